//! Mean and standard deviation of functions of the state at finite N.

use nalgebra::{DMatrix, DVector};

use crate::Scalar;
use crate::fluctuation::{FluctuationError, FluctuationPath};
use crate::numerics::differences::{fourth_order_step, slope_of};
use crate::numerics::eigen::symmetric_eigen;
use crate::numerics::largest::smallest;
use crate::state::{OrderParameters, unpack};

/// What a function of the state is at dimension N, at one time.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Prediction<T = f64> {
    /// The time t = steps/N.
    pub time: T,
    /// The value as N → ∞.
    pub limit: T,
    /// The mean over runs: the limit, and to order 1/N what corrections and the curvature of the function add, if corrections were asked
    /// for.
    pub mean: T,
    /// The standard deviation over runs, of order N^(−1/2).
    pub standard_deviation: T,
}

/// First and second derivatives of a function along the principal axes of a covariance.
pub(super) struct Derivatives<T> {
    pub(super) value: T,
    /// gᵀ Σ g.
    pub(super) variance: T,
    /// ½ tr(Σ ∂²g).
    pub(super) half_curvature: T,
}

/// Steps by which a function of the state is differenced, in units of the smallest R_ii, within which most functions are smooth: second
/// differences need wider ones than first.
const WIDER: f64 = 4.0;

/// The step for a state.
fn step_at<T: Scalar>(state: &OrderParameters<T>) -> T {
    let room = smallest(state.r().diagonal().iter().copied()).min(T::one());
    T::lit(WIDER) * fourth_order_step::<T>() * room
}

/// First and second derivative along a direction of length 1 of a function that has that value at the state.
fn along<T: Scalar>(
    state: &OrderParameters<T>,
    direction: &DVector<T>,
    (function, value): (&impl Fn(&OrderParameters<T>) -> T, T),
) -> (T, T) {
    let step = step_at(state);
    let at = |k: f64| {
        let y = state.to_packed() + direction * (T::lit(k) * step);
        let (q, r) = unpack(state.n_features(), state.n_neurons(), y.as_slice());
        function(&OrderParameters::from_parts(q, r))
    };
    let values @ [far_below, below, above, far_above] = [-2.0, -1.0, 1.0, 2.0].map(at);
    let slope = slope_of(values, step);
    let (near, far) = (above + below - value - value, far_above + far_below - value - value);
    let curvature = (T::lit(16.0) * near - far) / (T::lit(12.0) * step * step);
    (slope, curvature)
}

/// A function of the state at a packed state and along the axes of Σ. `None` where it is not finite.
pub(super) fn derivatives<T: Scalar>(
    state: &OrderParameters<T>,
    covariance: &DMatrix<T>,
    function: &impl Fn(&OrderParameters<T>) -> T,
) -> Option<Derivatives<T>> {
    let value = function(state);
    let eigen = symmetric_eigen(covariance.clone())?;
    let least = T::EPSILON * eigen.eigenvalues.amax();
    let (mut variance, mut half_curvature) = (T::zero(), T::zero());
    for (axis, &square) in eigen.eigenvectors.column_iter().zip(&eigen.eigenvalues) {
        if square > least {
            let (slope, curvature) = along(state, &axis.into_owned(), (function, value));
            variance += square * slope * slope;
            half_curvature += T::lit(0.5) * square * curvature;
        }
    }
    let all = [value, variance, half_curvature];
    all.iter().all(nalgebra::ComplexField::is_finite).then_some(Derivatives { value, variance, half_curvature })
}

impl<T: Scalar> FluctuationPath<T> {
    /// Mean and standard deviation of a smooth function of the state over runs at dimension N, at every output time.
    ///
    /// Its derivatives are differences of fourth order along the directions in which runs differ, over 3e-3 of the smallest R_ii (in single
    /// precision a sixth of it).
    ///
    /// # Errors
    /// [`FluctuationError::Dimension`] for N = 0, and [`FluctuationError::Functional`] where the function is not finite.
    #[doc(alias = "error_bars")]
    #[doc(alias = "confidence")]
    pub fn band(
        &self,
        dimension: usize,
        function: impl Fn(&OrderParameters<T>) -> T,
    ) -> Result<Vec<Prediction<T>>, FluctuationError<T>> {
        if dimension == 0 {
            return Err(FluctuationError::Dimension { dimension });
        }
        let n = T::of_usize(dimension);
        let predict = |(k, (time, state)): (usize, (T, &OrderParameters<T>))| {
            let error = FluctuationError::Functional { time: time.as_f64() };
            let found = derivatives(state, &self.covariances[k], &function).ok_or_else(|| error.clone())?;
            let mut mean = found.value;
            if let Some(corrections) = &self.corrections {
                let size = corrections[k].norm();
                let slope = |by: T| along(state, &(&corrections[k] / by), (&function, found.value)).0 * by;
                let moved = if size == T::zero() { size } else { slope(size) };
                mean += (moved + found.half_curvature) / n;
            }
            let standard_deviation = (found.variance / n).sqrt();
            let all = [mean, standard_deviation];
            let finite = all.iter().all(nalgebra::ComplexField::is_finite);
            if finite { Ok(Prediction { time, limit: found.value, mean, standard_deviation }) } else { Err(error) }
        };
        self.trajectory.iter().enumerate().map(predict).collect()
    }
}
