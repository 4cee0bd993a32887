//! Functions of time and state with their derivatives.

use nalgebra::DVector;

use crate::Scalar;
use crate::numerics::differences::{fourth_order_slope, fourth_order_step};
use crate::state::{OrderParameters, unpack};

/// A smooth function of time and state, such as an objective or an event.
///
/// Every `Fn(T, &OrderParameters<T>) -> T` is one; its derivatives are central differences of fourth order, good to about 1e-10 (in
/// single precision 1e-4) of a function that varies on the scale of the weights; at a neuron without weights they are NaN.
/// One with exact derivatives is a type of its own:
///
/// ```
/// use contrastive_dynamics::control::Functional;
/// use contrastive_dynamics::nalgebra::DVector;
/// use contrastive_dynamics::prelude::*;
///
/// /// Q_00².
/// struct Square;
/// impl Functional for Square {
///     fn value(&self, _t: f64, state: &OrderParameters) -> f64 {
///         state.q()[(0, 0)].powi(2)
///     }
///     fn gradient(&self, _t: f64, state: &OrderParameters) -> DVector<f64> {
///         let mut gradient = DVector::zeros(state.packed_len());
///         gradient[0] = 2.0 * state.q()[(0, 0)];
///         gradient
///     }
/// }
/// let state = OrderParameters::from_rows(1, 1, &[0.4], &[0.8])?;
/// let by_differences = Functional::gradient(&|_: f64, state: &OrderParameters| state.q()[(0, 0)].powi(2), 0.0, &state);
/// assert!((Square.gradient(0.0, &state) - by_differences).amax() < 1e-11);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Functional<T: Scalar = f64> {
    /// The value at time t and that state.
    fn value(&self, t: T, state: &OrderParameters<T>) -> T;

    /// The derivatives by the packed state, of length pm + m(m + 1)/2 (see [`OrderParameters::to_packed`]): one by R_ij, i < j, is that
    /// where R_ji moves with it. The default takes differences.
    fn gradient(&self, t: T, state: &OrderParameters<T>) -> DVector<T> {
        let packed = state.to_packed();
        let m = state.n_neurons();
        // In units of the weights that each number is made of.
        let size = |i: usize| state.r()[(i, i)].sqrt();
        let overlaps = (0..state.n_features()).flat_map(|_| (0..m).map(size));
        let covariances = (0..m).flat_map(|i| (i..m).map(move |j| size(i) * size(j)));
        let sizes: Vec<T> = overlaps.chain(covariances).collect();
        let along = |entry: usize| {
            let step = fourth_order_step::<T>() * sizes[entry];
            let at = |shift: T| {
                let mut moved = packed.clone();
                moved[entry] += shift;
                let (q, r) = unpack(state.n_features(), state.n_neurons(), moved.as_slice());
                self.value(t, &OrderParameters::from_parts(q, r))
            };
            fourth_order_slope(at, step)
        };
        DVector::from_fn(packed.len(), |entry, _| along(entry))
    }

    /// The derivative by time at that state, where the objective ends with an event. The default takes differences, also at times a little
    /// before 0 and after the end.
    fn time_derivative(&self, t: T, state: &OrderParameters<T>) -> T {
        let step = fourth_order_step::<T>() * t.abs().max(T::one());
        fourth_order_slope(|shift| self.value(t + shift, state), step)
    }
}

impl<T: Scalar, F: Fn(T, &OrderParameters<T>) -> T> Functional<T> for F {
    fn value(&self, t: T, state: &OrderParameters<T>) -> T {
        self(t, state)
    }
}

/// The cosine similarity Q_li/√R_ii of a neuron with a feature, with exact derivatives; NaN for an index out of range or a neuron without
/// weights.
///
/// ```
/// use contrastive_dynamics::control::{CosineSimilarity, Functional};
/// use contrastive_dynamics::prelude::*;
/// let state = OrderParameters::from_rows(1, 1, &[0.4], &[0.64])?;
/// let similarity = CosineSimilarity { feature: 0, neuron: 0 };
/// let (value, gradient): (f64, _) = (similarity.value(0.0, &state), similarity.gradient(0.0, &state));
/// assert!((value - 0.5).abs() < 1e-15 && (gradient[0] - 1.25).abs() < 1e-15);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CosineSimilarity {
    /// The feature l, counted from 0.
    pub feature: usize,
    /// The neuron i, counted from 0.
    pub neuron: usize,
}

impl<T: Scalar> Functional<T> for CosineSimilarity {
    fn value(&self, _t: T, state: &OrderParameters<T>) -> T {
        state.cosine_similarity(self.feature, self.neuron).unwrap_or_else(|| T::lit(f64::NAN))
    }

    fn gradient(&self, _t: T, state: &OrderParameters<T>) -> DVector<T> {
        let (p, m) = (state.n_features(), state.n_neurons());
        let Some(value) = state.cosine_similarity(self.feature, self.neuron) else {
            return DVector::from_element(state.packed_len(), T::lit(f64::NAN));
        };
        let variance = state.r()[(self.neuron, self.neuron)];
        let mut gradient = DVector::zeros(state.packed_len());
        gradient[self.feature * m + self.neuron] = variance.sqrt().recip();
        // Row i of the upper triangle of R follows the m − k entries of each row k < i.
        let row: usize = (0..self.neuron).map(|k| m - k).sum();
        gradient[p * m + row] = -T::lit(0.5) * value / variance;
        gradient
    }

    fn time_derivative(&self, _t: T, _state: &OrderParameters<T>) -> T {
        T::zero()
    }
}
