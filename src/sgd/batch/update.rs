//! The weights after a step, one neuron at a time.

use crate::Scalar;
use crate::model::Regularizer;
use crate::numerics::kernels::{Columns, combine};
use crate::numerics::lanes::dispatch;

/// next = w − decay·φ(w) + Σ coefficient·column over all columns of all parts; returns ‖next‖². It depends on the regulariser
/// alone, so that it is compiled once for each, not once for each model.
pub(in crate::sgd) fn decayed<T: Scalar, G: Regularizer<T>, const P: usize>(
    next: &mut [T],
    w: &[T],
    decay: T,
    regularizer: &G,
    parts: [Columns<'_, T>; P],
) -> T {
    dispatch(
        #[inline(always)]
        || {
            if decay > T::zero() {
                combine(next, w, |w| w - decay * regularizer.apply(w), parts)
            } else {
                combine(next, w, |w| w, parts)
            }
        },
    )
}
