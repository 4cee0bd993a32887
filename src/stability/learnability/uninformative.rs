//! The uninformative fixed points Q = 0, R = R* of one neuron, and whether a feature can be learned from there
//! (theory §6).
//!
//! There the Jacobian is block diagonal, and its Q-block,
//!   −τ Σ_vv' E[∂e^v/∂h^v'] (M₂ + K^f_vv' I) − τγ I,   M₂ = E[c cᵀ],
//! holds nothing of the hidden law but second moments. For uncorrelated hidden variables it is diagonal, with entry μ_l
//! for feature l.

use nalgebra::{DMatrix, SymmetricEigen};

use crate::Scalar;
use crate::limit::Compiled;
use crate::limit::LimitError;
use crate::model::Constraint;
use crate::ode::ReducedOde;
use crate::stability::fixed_point::FixedPointError;
use crate::stability::learnability::family::FamilyError;
use crate::state::OrderParameters;

/// Why uninformative points could not be found.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StabilityError<T: Scalar = f64> {
    /// More than one neuron.
    #[error("this analysis is for one neuron, the model has {neurons}")]
    Neurons {
        /// Neurons of the model.
        neurons: usize,
    },
    /// Hidden variables with a mean pull the weights even at Q = 0.
    #[error("Q = 0 is no fixed point, because the mean of hidden variable {feature} is {mean}")]
    NotCentred {
        /// Which.
        feature: usize,
        /// Its mean.
        mean: f64,
    },
    /// The sphere constraint fixes R: there is no R* to find.
    #[error("under the sphere constraint R is fixed at 1, and dR/dt has no root to find")]
    Constrained,
    /// The range of R is empty.
    #[error("the range of R must be positive, finite and increasing, got ({low}, {high})")]
    Range {
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
    },
    /// The eigenvalues of E[c cᵀ] did not converge.
    #[error("the eigenvalues of the hidden variables' second moment did not converge")]
    Spectrum,
    /// No neuron keeps any weights without features.
    #[error(
        "the model has no uninformative point of R > 0: without features the weights decay to nothing, or grow without bound"
    )]
    NoUninformativePoint,
    /// No uninformative point attracts the weights that have no features.
    #[error("none of the {count} uninformative points attracts weights without features")]
    NoneAttracting {
        /// How many there are.
        count: usize,
    },
    /// The linear flow needs averages over single samples.
    #[error("the linear flow of Q at Q = 0 has no closed form for a penalty that is not quadratic")]
    Penalty,
    /// A mode that the model does not have.
    #[error("the model has {modes} modes of its hidden variables, counted from 0, and no mode {mode}")]
    Mode {
        /// The mode asked for.
        mode: usize,
        /// How many there are.
        modes: usize,
    },
    /// Fixed points could not be found or analysed.
    #[error(transparent)]
    FixedPoint(#[from] FixedPointError<T>),
    /// The model could not be built.
    #[error(transparent)]
    Family(#[from] FamilyError<T>),
    /// The coefficients could not be computed.
    #[error(transparent)]
    Limit(#[from] LimitError<T>),
}

/// A fixed point Q = 0, R = R* of one neuron.
#[derive(Debug, Clone, PartialEq)]
pub struct UninformativePoint<T: Scalar = f64> {
    /// R*.
    pub r: T,
    /// The growth rates of small overlaps, p of them: for uncorrelated hidden variables μ_l for each feature l, which
    /// is learnable from here iff it is positive (Meng and Wang, arXiv 2406.06909: only second moments enter); else
    /// the eigenvalues of the Q-block.
    pub growth_rates: Vec<T>,
    /// The direction in feature space that grows at each of these rates: orthonormal columns, p x p. The identity for
    /// uncorrelated hidden variables.
    pub modes: DMatrix<T>,
}

/// Points of the logarithmic grid on which sign changes of dR/dt are sought.
const GRID: usize = 200;

/// Every root R* of dR/dt at Q = 0 in the range (low, high), where dR/dt changes sign between points of a
/// logarithmic grid of 200, with the growth rate of every feature there.
///
/// # Errors
/// [`StabilityError::Neurons`] unless m = 1; [`StabilityError::Constrained`] under the sphere constraint; [`StabilityError::NotCentred`] if a hidden variable has a mean;
/// [`StabilityError::Range`] unless 0 < low < high < ∞; [`StabilityError::Limit`] from the averages, among them
/// [`LimitError::NoSecondDerivative`] for a σ without σ'' when the two views' backgrounds are fully correlated.
///
/// ```
/// use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
/// use contrastive_dynamics::{ReducedOde, stability::uninformative_points};
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
    let (mean, second_moment) = (limit.hidden_mean(), limit.hidden_second_moment());
    let scale = second_moment.trace().sqrt();
    if let Some(feature) = (0..limit.n_features()).find(|&l| mean[l].abs() > T::lit(64.0) * T::EPSILON * scale) {
        return Err(StabilityError::NotCentred { feature, mean: mean[feature].as_f64() });
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
            roots.push(bisect(left, right, &rate)?);
        }
        left = right;
    }
    let points = roots.into_iter().map(|r| {
        let (growth_rates, modes) = linear_flow(ode, r, second_moment)?;
        Ok(UninformativePoint { r, growth_rates, modes })
    });
    points.collect()
}

fn uninformative<T: Compiled>(features: usize, r: T) -> OrderParameters<T> {
    OrderParameters::from_parts(DMatrix::zeros(features, 1), DMatrix::from_element(1, 1, r))
}

/// The root between two points of opposite sign: false position with the Illinois rule, to rounding.
fn bisect<T: Compiled, E>(
    (mut a, mut fa): (T, T),
    (mut b, mut fb): (T, T),
    f: &dyn Fn(T) -> Result<T, E>,
) -> Result<T, E> {
    let half = T::lit(0.5);
    for _ in 0..200 {
        let secant = b - fb * (b - a) / (fb - fa);
        let inside = (secant - a) * (secant - b) < T::zero();
        let c = if inside { secant } else { a + (b - a) * half };
        let fc = f(c)?;
        if fc == T::zero() {
            return Ok(c);
        }
        if (fc > T::zero()) == (fb > T::zero()) {
            // The same end moved twice: halve the weight of the other.
            fa *= half;
        } else {
            (a, fa) = (b, fb);
        }
        let moved = (c - b).abs();
        (b, fb) = (c, fc);
        if (b - a).abs().min(moved) <= T::lit(4.0) * T::EPSILON * c.abs() {
            break;
        }
    }
    Ok(b)
}

/// Growth rates and modes of the Q-block at Q = 0.
fn linear_flow<T: Compiled>(
    ode: &ReducedOde<'_, T>,
    r: T,
    second_moment: &DMatrix<T>,
) -> Result<(Vec<T>, DMatrix<T>), StabilityError<T>> {
    let limit = ode.limit();
    let p = limit.n_features();
    let slopes = limit.error_slopes(&uninformative(p, r))?;
    let noise = limit.feature_noise();
    let rate = |moment: T| {
        let views = [(0, 0), (0, 1), (1, 0), (1, 1)];
        let sum: T = views.iter().map(|&(v, w)| slopes[v][w] * (moment + noise.get(v, w))).sum();
        -limit.learning_rate() * sum - ode.decay()
    };
    let off_diagonal = second_moment - DMatrix::from_diagonal(&second_moment.diagonal());
    if off_diagonal.amax() <= T::lit(64.0) * T::EPSILON * second_moment.amax() {
        let rates = second_moment.diagonal().iter().map(|&moment| rate(moment)).collect();
        return Ok((rates, DMatrix::identity(p, p)));
    }
    // The block is an affine function of M₂, so it has M₂'s eigenvectors.
    let eigen = SymmetricEigen::try_new(second_moment.clone(), T::EPSILON, 1000).ok_or(StabilityError::Spectrum)?;
    Ok((eigen.eigenvalues.iter().map(|&moment| rate(moment)).collect(), eigen.eigenvectors))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Discrete;
    use crate::model::{GaussianNoise, HiddenDistribution, Independent, Law, Model, Tanh};

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
