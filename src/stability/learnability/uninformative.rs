//! The uninformative fixed points Q = 0, R = R* of one neuron, and whether a feature can be learned from there (theory
//! §6).
//!
//! Covers every root R* in a range, by a scan and false position. Not here: any number of neurons (see `modes`).
//!
//! There the Jacobian is block diagonal, and its Q-block,
//!   −τ Σ_vv' E[∂e^v/∂h^v'] (M₂ + K^f_vv' I) − τγ I,   M₂ = E[c cᵀ],
//! holds nothing of the hidden law but second moments. For uncorrelated hidden variables it is diagonal, with entry μ_l
//! for feature l.

use std::fmt;

use nalgebra::DMatrix;

use crate::Scalar;
use crate::limit::{Compiled, LimitError};
use crate::model::Constraint;
use crate::numerics::bracket::root;
use crate::ode::ReducedOde;
use crate::stability::display::{TextTable, digits, number, numbers};
use crate::stability::fixed_point::off_centre;
use crate::stability::learnability::error::StabilityError;
use crate::stability::learnability::moments::principal_axes;
use crate::state::OrderParameters;

/// A fixed point Q = 0, R = R* of one neuron.
///
/// Prints as a table, a line for each mode.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "T: serde::Serialize", deserialize = "T: serde::Deserialize<'de>"))
)]
#[non_exhaustive]
pub struct UninformativePoint<T: Scalar = f64> {
    /// R*.
    pub r: T,
    /// The growth rates of small overlaps, p of them: for uncorrelated hidden variables μ_l for each feature l, which
    /// is learnable from here iff it is positive (Meng and Wang, arXiv 2406.06909: only second moments enter); else
    /// the eigenvalues of the Q-block.
    pub growth_rates: Vec<T>,
    /// The direction in feature space that grows at each of these rates: orthonormal columns, p x p. The identity for
    /// uncorrelated hidden variables.
    #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::matrix"))]
    pub modes: DMatrix<T>,
}

impl<T: Scalar> fmt::Display for UninformativePoint<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = digits(f);
        let mut table = TextTable::new(["mode", "growth rate", "direction"]);
        for (l, &rate) in self.growth_rates.iter().enumerate() {
            let direction = numbers(self.modes.column(l).into_owned().as_slice(), digits);
            table.push([format!("[{l}]"), number(rate, digits)].into_iter().chain(direction));
        }
        let learnable = self.growth_rates.iter().filter(|rate| **rate > T::zero()).count();
        let (modes, r) = (self.growth_rates.len(), number(self.r, digits));
        write!(f, "uninformative fixed point, Q = 0, R[0,0] = {r}\n{table}{learnable} of {modes} modes learnable")
    }
}

/// Points of the logarithmic grid on which sign changes of dR/dt are sought: over three decades one every 3.5 %.
const GRID: usize = 200;

/// Every root R* of dR/dt at Q = 0 in the range (low, high), where dR/dt changes sign between points of a
/// logarithmic grid of 200, with the growth rate of every feature there.
///
/// It looks at every point of that grid. For the state that attracts alone, at a small part of the cost, there is
/// [`attracting_learnability`](crate::stability::attracting_learnability).
///
/// # Errors
/// [`StabilityError::Neurons`] unless m = 1; [`StabilityError::Constrained`] under the sphere constraint;
/// [`StabilityError::NotCentred`] if a hidden variable has a mean; [`StabilityError::Range`] unless 0 < low < high < ∞;
/// [`StabilityError::Limit`] from the averages, among them [`LimitError::NoSecondDerivative`] for a σ without σ'' when
/// the two views' backgrounds are fully correlated.
///
/// ```
/// use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
/// use contrastive_dynamics::ode::ReducedOde;
/// use contrastive_dynamics::stability::uninformative_points;
/// let model = Model::builder()
///     .nonlinearity(Tanh)
///     .hidden(Independent::new([Law::two_point(2.25)?, Law::three_point(2.25, 0.5)?])?)
///     .noise(GaussianNoise::correlated(0.3, -0.5)?)
///     .learning_rate(0.3)
///     .weight_decay(0.5)
///     .build()?;
/// let points = uninformative_points(&ReducedOde::new(&model)?, 0.02, 20.0)?;
/// // Equal second moments: equally learnable, whatever the fourth.
/// assert!((points[0].r - 0.545_903_857_6).abs() < 1e-8);
/// assert!((points[0].growth_rates[0] - points[0].growth_rates[1]).abs() < 1e-10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn uninformative_points<T: Compiled>(
    ode: &ReducedOde<'_, T>,
    low: T,
    high: T,
) -> Result<Vec<UninformativePoint<T>>, StabilityError<T>> {
    let limit = ode.limit();
    if limit.n_neurons() != 1 {
        return Err(StabilityError::Neurons { neurons: limit.n_neurons() });
    }
    if ode.constraint() != Constraint::None {
        return Err(StabilityError::Constrained);
    }
    if !(low > T::zero() && high > low && high.is_finite()) {
        return Err(StabilityError::Range { low: low.as_f64(), high: high.as_f64() });
    }
    if let Some(feature) = off_centre(limit) {
        return Err(StabilityError::NotCentred { feature, mean: limit.hidden_mean()[feature].as_f64() });
    }
    let rate = |r: T| -> Result<T, LimitError<T>> { Ok(ode.rates(&uninformative(limit.n_features(), r))?.r[(0, 0)]) };
    let ratio = (high.ln() - low.ln()) / T::of_usize(GRID);
    let mut roots = Vec::new();
    let mut left = (low, rate(low)?);
    for k in 1..=GRID {
        let r = (low.ln() + ratio * T::of_usize(k)).exp().min(high);
        let right = (r, rate(r)?);
        if right.1 == T::zero() {
            roots.push(right.0);
        } else if (left.1 > T::zero()) != (right.1 > T::zero()) && left.1 != T::zero() {
            roots.push(root(left, right, rate)?);
        }
        left = right;
    }
    let points = roots.into_iter().map(|r| {
        let (growth_rates, modes) = linear_flow(ode, r)?;
        Ok(UninformativePoint { r, growth_rates, modes })
    });
    points.collect()
}

fn uninformative<T: Compiled>(features: usize, r: T) -> OrderParameters<T> {
    OrderParameters::from_parts(DMatrix::zeros(features, 1), DMatrix::from_element(1, 1, r))
}

/// Growth rates and modes of the Q-block at Q = 0. The block is an affine function of M₂, so it has M₂'s eigenvectors.
fn linear_flow<T: Compiled>(ode: &ReducedOde<'_, T>, r: T) -> Result<(Vec<T>, DMatrix<T>), StabilityError<T>> {
    let limit = ode.limit();
    let slopes = limit.error_slopes(&uninformative(limit.n_features(), r))?;
    let noise = limit.feature_noise();
    let rate = |moment: T| {
        let views = [(0, 0), (0, 1), (1, 0), (1, 1)];
        let sum: T = views.iter().map(|&(v, w)| slopes[v][w] * (moment + noise.get(v, w))).sum();
        -limit.learning_rate() * sum - ode.decay()
    };
    let axes = principal_axes(limit.hidden_second_moment()).ok_or(StabilityError::Spectrum)?;
    Ok((axes.moments.iter().map(|&moment| rate(moment)).collect(), axes.directions))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Discrete, GaussianNoise, HiddenDistribution, Independent, Law, Model, Tanh};

    fn points(hidden: impl HiddenDistribution) -> Vec<UninformativePoint> {
        let noise = GaussianNoise::correlated(0.3, -0.5).unwrap();
        let builder = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(noise).learning_rate(0.3);
        let model = builder.weight_decay(0.5).build().unwrap();
        let ode = ReducedOde::new(&model).unwrap();
        uninformative_points(&ode, 0.02, 20.0).unwrap()
    }

    #[test]
    fn only_the_second_moment_of_a_hidden_variable_enters() {
        let laws = [
            Law::two_point(2.25),
            Law::three_point(2.25, 0.3),
            Law::gaussian(2.25),
            Law::uniform(2.25),
            Law::laplace(2.25),
            Law::skewed(2.25, 0.2),
        ];
        let rates: Vec<f64> =
            laws.map(|law| points(Independent::new([law.unwrap()]).unwrap())[0].growth_rates[0]).to_vec();
        assert!(rates.iter().all(|rate| (rate - rates[0]).abs() < 1e-9), "{rates:?}");
        assert!(
            (points(Independent::new([Law::two_point(2.28).unwrap()]).unwrap())[0].growth_rates[0] - rates[0]).abs()
                > 1e-3
        );
    }

    #[test]
    fn correlated_hidden_variables_grow_along_their_principal_axes() {
        let s = 2.25_f64.sqrt();
        let signs = DMatrix::from_row_slice(2, 4, &[s, s, -s, -s, s, -s, s, -s]);
        let point = &points(Discrete::new(signs, [0.35, 0.15, 0.15, 0.35]).unwrap())[0];
        // E[c cᵀ] = 2.25 [[1, 0.4], [0.4, 1]]: principal variances 2.25 · 1.4 and 2.25 · 0.6, as for those laws alone.
        for k in 0..2 {
            let along = point.modes[(0, k)] * point.modes[(1, k)] > 0.0;
            let alone = Independent::new([Law::two_point(2.25 * if along { 1.4 } else { 0.6 }).unwrap()]).unwrap();
            assert!((point.growth_rates[k] - points(alone)[0].growth_rates[0]).abs() < 1e-9);
        }
    }

    #[test]
    fn models_without_such_points_are_told_so() {
        let hidden = || Independent::new([Law::two_point(2.25).unwrap()]).unwrap();
        let noise = GaussianNoise::correlated(0.3, -0.5).unwrap();
        let builder = || Model::builder().nonlinearity(Tanh).hidden(hidden()).noise(noise).learning_rate(0.3);
        let two = builder().n_neurons(2).build().unwrap();
        let ode = ReducedOde::new(&two).unwrap();
        assert!(matches!(uninformative_points(&ode, 0.1, 1.0), Err(StabilityError::Neurons { neurons: 2 })));
        let one = builder().build().unwrap();
        let ode = ReducedOde::new(&one).unwrap();
        for (low, high) in [(0.0, 1.0), (1.0, 0.5), (f64::NAN, 1.0), (0.1, f64::INFINITY)] {
            assert!(matches!(uninformative_points(&ode, low, high), Err(StabilityError::Range { .. })));
        }
        let sphere = builder().constraint(Constraint::Sphere).build().unwrap();
        let ode = ReducedOde::new(&sphere).unwrap();
        assert!(matches!(uninformative_points(&ode, 0.1, 1.0), Err(StabilityError::Constrained)));
        let shifted = crate::model::PointMasses::new([1.0, 0.0], [0.5, 0.5]).unwrap();
        let shifted = builder().hidden(Independent::new([shifted]).unwrap()).build().unwrap();
        let ode = ReducedOde::new(&shifted).unwrap();
        assert!(matches!(uninformative_points(&ode, 0.1, 1.0), Err(StabilityError::NotCentred { .. })));
    }
}
