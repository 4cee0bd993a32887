//! What can be learned from where no feature is known: the linear flow of Q at the uninformative states of any number
//! of neurons, in closed form (theory §6).
//!
//! Covers the states, the modes of the hidden variables and their growth rates. Not here: one neuron's states in a
//! range of R (see `uninformative`), and at which parameters the sign of a rate changes (see `critical`).
//!
//! With J^{vv'}_ij = E[∂e_i^v/∂h_j^v'] at Q = 0 and M₂ = E[c cᵀ],
//!   dQ_li/dt = −τ Σ_vv' Σ_j J^{vv'}_ij [(M₂Q)_lj + K^f_vv' Q_lj] − τγ Q_li (+ ν_i Q_li on the sphere):
//! along an eigenvector of M₂ with eigenvalue s the neurons' overlaps move by the m x m matrix X(s), affine in s.
//! Nothing of the hidden law enters but its second moments.

use std::fmt;

use nalgebra::{Complex, DMatrix};

use crate::Scalar;
use crate::limit::{Compiled, LimitError};
use crate::model::pull;
use crate::numerics::largest::largest_size;
use crate::ode::ReducedOde;
use crate::stability::coordinates::free_pairs;
use crate::stability::display::{TextTable, complex_numbers, digits, number, small, state};
use crate::stability::fixed_point::{linearize, off_centre, uninformative_states};
use crate::stability::learnability::error::StabilityError;
use crate::stability::learnability::moments::principal_axes;
use crate::stability::spectrum::eigenvalues;
use crate::stability::tolerances::ROUNDING;
use crate::state::OrderParameters;

/// Rates are compared with those of a rule of that part of the tolerance, ...
const FINER: f64 = 0.1;
/// ... and the error is taken as that many times the difference: the finer rule has an error too, and there is room.
const SAFETY: f64 = 2.0;

/// An uninformative fixed point, Q = 0 and R = R*, and what can be learned from there.
///
/// Prints as a paragraph: R row by row, and a line for each mode.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "T: serde::Serialize", deserialize = "T: serde::Deserialize<'de>"))
)]
#[non_exhaustive]
pub struct Learnability<T: Scalar = f64> {
    /// The state.
    pub state: OrderParameters<T>,
    /// The modes of the hidden variables: orthonormal columns, p x p. Mode l is feature l for uncorrelated variables,
    /// else an eigenvector of E\[c cᵀ\], by falling second moment.
    #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::matrix"))]
    pub modes: DMatrix<T>,
    /// The second moment along each mode.
    pub moments: Vec<T>,
    /// For each mode the growth rates of small overlaps with it, m of them by falling real part. For one neuron they
    /// are the μ_l of the theory.
    #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::complex_lists"))]
    pub rates: Vec<Vec<Complex<T>>>,
    /// An estimate of the error of a rate: the coefficients' tolerance, and what a finer rule changes.
    #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::number"))]
    pub error: T,
    /// The largest real part of the eigenvalues of dR/dt by R: negative where R* attracts weights without features.
    #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::number"))]
    pub covariance_abscissa: T,
}

impl<T: Scalar> Learnability<T> {
    /// The growth rate μ of a mode: the largest real part of its rates. The mode is learnable from here iff it is
    /// positive. `None` for a mode that does not exist.
    #[must_use]
    pub fn growth(&self, mode: usize) -> Option<T> {
        Some(self.rates.get(mode)?.first()?.re)
    }

    /// The modes that are learnable from here, beyond the error.
    #[must_use]
    pub fn learnable(&self) -> Vec<usize> {
        (0..self.rates.len()).filter(|&mode| self.growth(mode).is_some_and(|rate| rate > self.error)).collect()
    }
}

impl<T: Scalar> fmt::Display for Learnability<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = digits(f);
        let attracts = if self.covariance_abscissa < T::zero() { "attracts" } else { "does not attract" };
        writeln!(f, "uninformative fixed point; {attracts} weights without features")?;
        write!(f, "{}", state(&self.state, digits))?;
        let mut table = TextTable::new(["mode", "second moment", "growth rates"]);
        for (l, (&moment, rates)) in self.moments.iter().zip(&self.rates).enumerate() {
            let rates = complex_numbers(rates, digits);
            table.push([format!("[{l}]"), number(moment, digits)].into_iter().chain(rates));
        }
        let learnable: Vec<String> = self.learnable().iter().map(ToString::to_string).collect();
        write!(f, "{table}learnable modes [{}], error of a rate {}", learnable.join(", "), small(self.error))
    }
}

/// Every uninformative state of R > 0 (all R_ii > 0) that Newton's method finds at Q = 0, with the growth rates of
/// overlaps in closed form; for any number of neurons, one of each orbit of the model's symmetries.
///
/// # Errors
/// [`StabilityError::NotCentred`] if a hidden variable has a mean, [`StabilityError::NoUninformativePoint`] if there is
/// no such state, [`StabilityError::Penalty`] for a penalty that is not quadratic, [`StabilityError::Limit`] from the
/// averages, among them [`LimitError::NoSecondDerivative`] as for [`Limit::error_slopes`](crate::limit::Limit::error_slopes).
///
/// ```
/// use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
/// use contrastive_dynamics::ode::ReducedOde;
/// use contrastive_dynamics::stability::learnability;
/// let model = Model::builder()
///     .nonlinearity(Tanh)
///     .hidden(Independent::new([Law::two_point(2.25)?, Law::two_point(0.8)?])?)
///     .noise(GaussianNoise::correlated(0.3, -0.5)?)
///     .learning_rate(0.3)
///     .weight_decay(0.5)
///     .build()?;
/// let states = learnability(&ReducedOde::new(&model)?)?;
/// assert_eq!(states[0].learnable(), [0]); // The second feature is weaker than the background.
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn learnability<T: Compiled>(ode: &ReducedOde<'_, T>) -> Result<Vec<Learnability<T>>, StabilityError<T>> {
    let limit = ode.limit();
    if let Some(feature) = off_centre(limit) {
        return Err(StabilityError::NotCentred { feature, mean: limit.hidden_mean()[feature].as_f64() });
    }
    let states = uninformative_states(ode)?;
    if states.is_empty() {
        return Err(StabilityError::NoUninformativePoint);
    }
    states.into_iter().map(|state| analyse(ode, state)).collect()
}

/// The uninformative state that weights without features come to: of those that attract them, the one of most weight.
///
/// # Errors
/// As [`learnability`]; [`StabilityError::NoneAttracting`] if there is none.
pub fn attracting_learnability<T: Compiled>(ode: &ReducedOde<'_, T>) -> Result<Learnability<T>, StabilityError<T>> {
    let states = learnability(ode)?;
    let count = states.len();
    let attracting = states.into_iter().filter(|state| state.covariance_abscissa < T::zero());
    let by = |x: &Learnability<T>| x.state.r().trace();
    attracting
        .max_by(|x, y| by(x).partial_cmp(&by(y)).unwrap_or(std::cmp::Ordering::Equal))
        .ok_or(StabilityError::NoneAttracting { count })
}

fn analyse<T: Compiled>(
    ode: &ReducedOde<'_, T>,
    state: OrderParameters<T>,
) -> Result<Learnability<T>, StabilityError<T>> {
    let limit = ode.limit();
    let axes = principal_axes(limit.hidden_second_moment()).ok_or(StabilityError::Spectrum)?.falling();
    let (moments, modes) = (axes.moments, axes.directions);
    let rates = |ode: &ReducedOde<'_, T>| -> Result<Vec<Vec<Complex<T>>>, StabilityError<T>> {
        let moved = Flow::new(ode, &state)?;
        moments.iter().map(|&moment| Ok(eigenvalues(&moved.along(moment))?)).collect()
    };
    let coarse = rates(ode)?;
    // Against a finer rule, if there is one.
    let finer = ode.with_finer_coefficients(T::lit(FINER));
    let change = finer.as_ref().ok().and_then(|finer| rates(finer).ok()).map_or(T::zero(), |fine| {
        let pairs = coarse.iter().flatten().zip(fine.iter().flatten());
        largest_size(pairs.flat_map(|(x, y)| [(x - y).re, (x - y).im]))
    });
    let largest = coarse.iter().flatten().fold(limit.learning_rate(), |most, x| most.max(x.re.abs()));
    let error = T::lit(SAFETY) * change + (limit.accuracy() + T::lit(ROUNDING) * T::EPSILON) * largest;
    let linear = linearize(ode, &state)?.by_state;
    let overlaps = limit.n_features() * state.n_neurons();
    let free: Vec<usize> = free_pairs(state.n_neurons(), ode.constraint()).map(|k| overlaps + k).collect();
    let block = linear.select_rows(&free).select_columns(&free);
    let covariance = eigenvalues(&block)?;
    let covariance_abscissa = covariance.first().map_or(T::lit(f64::NEG_INFINITY), |x| x.re);
    Ok(Learnability { state, modes, moments, rates: coarse, error, covariance_abscissa })
}

/// X(s) = offset + s · slope.
struct Flow<T: Scalar> {
    offset: DMatrix<T>,
    slope: DMatrix<T>,
}

impl<T: Compiled> Flow<T> {
    fn new(ode: &ReducedOde<'_, T>, state: &OrderParameters<T>) -> Result<Self, StabilityError<T>> {
        let limit = ode.limit();
        let m = state.n_neurons();
        if limit.loss().over_batches() {
            return Err(StabilityError::Penalty);
        }
        let slopes = limit.rule(state)?.error_slope_matrices(limit, state).ok_or(LimitError::NoSecondDerivative)?;
        let (mut offset, mut slope) = (DMatrix::zeros(m, m), DMatrix::zeros(m, m));
        for v in 0..2 {
            for w in 0..2 {
                offset -= &slopes[v][w] * (limit.learning_rate() * limit.feature_noise().get(v, w));
                slope -= &slopes[v][w] * limit.learning_rate();
            }
        }
        for i in 0..m {
            offset[(i, i)] -= ode.decay();
        }
        if ode.constraint().fixes_covariance() && m > 1 {
            let c = limit.coefficients(state)?.coefficients;
            let unconstrained = &c.b + c.b.transpose() + &c.lambda - state.r() * (T::lit(2.0) * ode.decay());
            for (i, j) in (0..m).flat_map(|i| (0..m).map(move |j| (i, j))) {
                offset[(j, i)] -= pull(ode.constraint(), (i, j), |i, j| unconstrained[(i, j)]);
            }
        } else if ode.constraint().fixes_norms() {
            // ν_i = −(dR_ii/dt without the constraint)/(2 R_ii).
            let c = limit.coefficients(state)?.coefficients;
            let two = T::lit(2.0);
            for i in 0..m {
                let r = state.r()[(i, i)];
                let unconstrained = two * c.b[(i, i)] + c.lambda[(i, i)] - two * ode.decay() * r;
                offset[(i, i)] -= unconstrained / (two * r);
            }
        }
        Ok(Self { offset, slope })
    }

    fn along(&self, moment: T) -> DMatrix<T> {
        &self.offset + &self.slope * moment
    }
}
