//! What training minimises: a function F of the outputs of one batch (theory §1).
//!
//! Covers the trait [`Loss`], the outputs that it is a function of, and the covariance loss of Meng and Wang with its
//! penalties. Not here: how error signals follow from it (see [`crate::sgd`]), averages over it (see [`crate::limit`]).

mod covariance;
mod form;
mod outputs;
mod penalty;

pub use covariance::CovarianceLoss;
pub use form::{CovarianceForm, EntrySlope};
pub use outputs::{OutputGradient, Outputs};
pub use penalty::{Penalty, PseudoHuber, Quadratic, Quartic};

use super::ModelError;
use crate::Scalar;

/// A loss: a function F of the outputs Y¹, Y² (B x m each) of a batch in its two views.
///
/// A step of SGD needs of it only e_bi^v = σ'(h_bi^v) B ∂F/∂y_bi^v (theory §1). Required are F and its gradient; a loss
/// that depends on the batch through the cross-view covariances C_ij alone says so by
/// [`covariance_form`](Self::covariance_form), which makes its limit exact in the batch size where it is a quadratic one,
/// and its simulation in lock-step fast. The limit of any other loss is an average over whole batches, by default to 3e-3.
///
/// F must not tell neurons apart: a permutation of them changes nothing. Fixed points are listed up to that symmetry.
///
/// Any type of yours may implement it, and a pair of closures `(F, B ∂F/∂Y)` does already:
///
/// ```
/// use contrastive_dynamics::prelude::*;
/// // The mean square difference of the views less that of strangers: F = −(1/B) Σ_b y_b¹·y_b² + ½ (1/B) Σ_b |y_b¹|²|y_b²|².
/// let value = |y: Outputs<'_, f64>| {
///     let sum: f64 = y.view(0, 0).iter().zip(y.view(1, 0)).map(|(a, b)| -a * b + 0.5 * (a * b).powi(2)).sum();
///     sum / y.batch_size() as f64
/// };
/// let gradient = |y: Outputs<'_, f64>, mut g: OutputGradient<'_, f64>| {
///     for v in 0..2 {
///         let (own, other) = (y.view(v, 0), y.view(1 - v, 0));
///         for ((g, a), b) in g.view_mut(v, 0).iter_mut().zip(own).zip(other) {
///             *g = -b + a * b * b;
///         }
///     }
/// };
/// let model = Model::builder()
///     .nonlinearity(Tanh)
///     .hidden(Independent::new([Law::two_point(2.25)?])?)
///     .noise(GaussianNoise::correlated(0.3, -0.5)?)
///     .learning_rate(0.3)
///     .loss((value, gradient))
///     .build()?;
/// let start = OrderParameters::from_rows(1, 1, &[0.4], &[0.8])?;
/// let trajectory = ReducedOde::new(&model)?.solver().solve(&start, 1.0)?;
/// assert!(trajectory.last().is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a loss in this precision",
    label = "not a `Loss`",
    note = "give a pair of closures (F, B dF/dY), or implement `Loss` for a type of your own"
)]
pub trait Loss<T: Scalar = f64>: Send + Sync {
    /// F of the outputs of one batch.
    fn value(&self, outputs: Outputs<'_, T>) -> T;

    /// Writes B ∂F/∂y_bi^v, for every sample b, neuron i and view v, into `gradient`, whose former content is
    /// meaningless. It is of order one whatever the batch size.
    fn gradient(&self, outputs: Outputs<'_, T>, gradient: OutputGradient<'_, T>);

    /// F as a function of the cross-view covariances, if it is one of the form F = Σ_i f(C_ii) + λ Σ_{i≠j} g(C_ij). The
    /// default says that it is not.
    fn covariance_form(&self) -> Option<CovarianceForm<'_, T>> {
        None
    }

    /// Checks the loss for m neurons and batches of B samples; called once, when a model is built. The default accepts
    /// all.
    ///
    /// # Errors
    /// Whatever makes the loss unusable, as [`ModelError::Loss`].
    fn check(&self, n_neurons: usize, batch_size: usize) -> Result<(), ModelError> {
        let _ = (n_neurons, batch_size);
        Ok(())
    }
}

impl<T: Scalar, L: Loss<T> + ?Sized> Loss<T> for &L {
    #[inline(always)]
    fn value(&self, outputs: Outputs<'_, T>) -> T {
        (**self).value(outputs)
    }
    #[inline(always)]
    fn gradient(&self, outputs: Outputs<'_, T>, gradient: OutputGradient<'_, T>) {
        (**self).gradient(outputs, gradient);
    }
    #[inline(always)]
    fn covariance_form(&self) -> Option<CovarianceForm<'_, T>> {
        (**self).covariance_form()
    }
    fn check(&self, n_neurons: usize, batch_size: usize) -> Result<(), ModelError> {
        (**self).check(n_neurons, batch_size)
    }
}

/// F and B ∂F/∂Y as closures.
impl<T, F, D> Loss<T> for (F, D)
where
    T: Scalar,
    F: Fn(Outputs<'_, T>) -> T + Send + Sync,
    D: Fn(Outputs<'_, T>, OutputGradient<'_, T>) + Send + Sync,
{
    #[inline]
    fn value(&self, outputs: Outputs<'_, T>) -> T {
        (self.0)(outputs)
    }
    #[inline]
    fn gradient(&self, outputs: Outputs<'_, T>, gradient: OutputGradient<'_, T>) {
        (self.1)(outputs, gradient);
    }
}
