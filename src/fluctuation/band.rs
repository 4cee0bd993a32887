//! Mean and standard deviation of functions of the state at finite N.

use nalgebra::{DMatrix, DVector};

use crate::Scalar;
use crate::fluctuation::{FluctuationError, FluctuationPath};
use crate::numerics::differences::fourth_order_step;
use crate::numerics::eigen::symmetric_eigen;
use crate::numerics::largest::smallest;
use crate::state::{OrderParameters, unpack};

/// What a function of the state is at dimension N, at one time.
#[derive(Debug, Clone, Copy, PartialEq)]
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

/// A function of the state at a packed state and along the axes of Σ. `None` where it is not finite.
pub(super) fn derivatives<T: Scalar>(
    state: &OrderParameters<T>,
    covariance: &DMatrix<T>,
    function: &impl Fn(&OrderParameters<T>) -> T,
) -> Option<Derivatives<T>> {
    let (p, m, packed) = (state.n_features(), state.n_neurons(), state.to_packed());
    let at = |y: DVector<T>| {
        let (q, r) = unpack(p, m, y.as_slice());
        function(&OrderParameters::from_parts(q, r))
    };
    let value = function(state);
    let eigen = symmetric_eigen(covariance.clone())?;
    let least = T::EPSILON * eigen.eigenvalues.amax();
    let (mut variance, mut half_curvature) = (T::zero(), T::zero());
    let step = step_at(state);
    for (axis, &square) in eigen.eigenvectors.column_iter().zip(&eigen.eigenvalues) {
        if !(square > least) {
            continue;
        }
        let [far_below, below, above, far_above] =
            [-2.0, -1.0, 1.0, 2.0].map(|k| at(&packed + axis * (T::lit(k) * step)));
        let slope = (T::lit(8.0) * (above - below) - (far_above - far_below)) / (T::lit(12.0) * step);
        let (near, far) = (above + below - value - value, far_above + far_below - value - value);
        let curvature = (T::lit(16.0) * near - far) / (T::lit(12.0) * step * step);
        variance += square * slope * slope;
        half_curvature += T::lit(0.5) * square * curvature;
    }
    let all = [value, variance, half_curvature];
    all.iter().all(nalgebra::ComplexField::is_finite).then_some(Derivatives { value, variance, half_curvature })
}

/// The derivative of a function along a direction; 0 along none.
pub(super) fn slope_along<T: Scalar>(
    state: &OrderParameters<T>,
    direction: &DVector<T>,
    function: &impl Fn(&OrderParameters<T>) -> T,
) -> T {
    let size = direction.norm();
    if size == T::zero() {
        return T::zero();
    }
    let step = step_at(state);
    let at = |k: f64| {
        let y = state.to_packed() + direction * (T::lit(k) * step / size);
        let (q, r) = unpack(state.n_features(), state.n_neurons(), y.as_slice());
        function(&OrderParameters::from_parts(q, r))
    };
    (T::lit(8.0) * (at(1.0) - at(-1.0)) - (at(2.0) - at(-2.0))) / (T::lit(12.0) * step) * size
}

impl<T: Scalar> FluctuationPath<T> {
    /// Mean and standard deviation of a smooth function of the state over runs at dimension N, at every output time.
    ///
    /// Its derivatives are differences of fourth order along the directions in which runs differ, over 3e-3 of the smallest R_ii (in single
    /// precision a sixth of it).
    ///
    /// # Errors
    /// [`FluctuationError::Dimension`] for N = 0, and [`FluctuationError::Functional`] where the function is not finite.
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
                mean += (slope_along(state, &corrections[k], &function) + found.half_curvature) / n;
            }
            let standard_deviation = (found.variance / n).sqrt();
            let all = [mean, standard_deviation];
            let finite = all.iter().all(nalgebra::ComplexField::is_finite);
            if finite { Ok(Prediction { time, limit: found.value, mean, standard_deviation }) } else { Err(error) }
        };
        self.trajectory.iter().enumerate().map(predict).collect()
    }
}
