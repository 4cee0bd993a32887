//! What training minimises: a function F of the outputs of one batch (theory §1).
//!
//! Covers the trait [`Loss`], the outputs that it is a function of, the covariance loss of Meng and Wang with its penalties, and
//! those that are in use. Not here: how error signals follow from them (see [`crate::sgd`]), averages (see [`crate::limit`]).

mod barlow_twins;
mod centred;
mod covariance;
mod form;
mod info_nce;
mod outputs;
mod penalty;
mod polynomial;
mod spectral;
mod vicreg;

pub use barlow_twins::BarlowTwins;
pub use centred::CentredCovarianceLoss;
pub use covariance::CovarianceLoss;
pub use form::{CovarianceForm, EntrySlope};
pub use info_nce::InfoNce;
pub use outputs::{OutputGradient, Outputs};
pub use penalty::{Penalty, PseudoHuber, Quadratic, Quartic};
pub use polynomial::{BatchPolynomial, Output};
pub use spectral::SpectralContrastive;
pub use vicreg::VicReg;

use super::ModelError;
use crate::Scalar;

/// A loss: a function F of the outputs Y¹, Y² (B x m each) of a batch in its two views.
///
/// A step of SGD needs of it only e_bi^v = σ'(h_bi^v) B ∂F/∂y_bi^v (theory §1). Required are F and its gradient; a loss
/// that depends on the batch through the cross-view covariances C_ij alone says so by
/// [`covariance_form`](Self::covariance_form), which makes its limit exact in the batch size where it is a quadratic one,
/// and its simulation in lock-step fast. One that is a polynomial in averages over the batch gives it by
/// [`polynomial`](Self::polynomial): its limit is exact in the batch size, too, for up to three neurons and a σ without a kink. That of
/// any other loss is an average over whole batches, by default to 3e-3.
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
    message = "`{Self}` is not a loss in `{T}`",
    label = "not a `Loss<{T}>`",
    note = "give a pair of closures, F and B dF/dY: `(|y: Outputs<'_, {T}>| ..., |y: Outputs<'_, {T}>, g: OutputGradient<'_, {T}>| ...)`",
    note = "or implement `Loss` for a type of your own"
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

    /// F of m neurons and batches of B samples, but for a constant, as a polynomial in averages over the batch, if it is one. The default is that of
    /// [`covariance_form`](Self::covariance_form). A polynomial of another number of neurons is ignored.
    fn polynomial(&self, n_neurons: usize, batch_size: usize) -> Option<BatchPolynomial<T>> {
        let _ = batch_size;
        BatchPolynomial::of_covariances(&self.covariance_form()?, n_neurons)
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
    fn polynomial(&self, n_neurons: usize, batch_size: usize) -> Option<BatchPolynomial<T>> {
        (**self).polynomial(n_neurons, batch_size)
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

/// The mean of a view over the batch.
#[inline(always)]
fn mean<T: Scalar>(y: &[T]) -> T {
    y.iter().copied().sum::<T>() / T::of_usize(y.len())
}

/// A parameter of a loss: finite, and as asked for.
fn check_parameter<T: Scalar>(name: &'static str, value: T, fits: impl Fn(T) -> bool) -> Result<(), ModelError> {
    if value.is_finite() && fits(value) {
        return Ok(());
    }
    Err(ModelError::LossParameter { name, value: value.as_f64() })
}

/// Losses that compare samples of a batch need two of them.
fn check_pairs(n_neurons: usize, batch_size: usize) -> Result<(), ModelError> {
    if batch_size > 1 {
        return Ok(());
    }
    Err(ModelError::Loss {
        reason: "it compares the samples of a batch, of which there must be two",
        n_neurons,
        batch_size,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn losses() -> Vec<(&'static str, Box<dyn Loss>)> {
        vec![
            ("Barlow Twins", Box::new(BarlowTwins::new(0.3).unwrap())),
            ("spectral", Box::new(SpectralContrastive)),
            ("InfoNCE", Box::new(InfoNce::new(0.7).unwrap())),
            ("VICReg", Box::new(VicReg::new(1.5, 2.0, 0.7).unwrap().target(0.8).unwrap())),
            ("centred", Box::new(CentredCovarianceLoss::new(CovarianceLoss::new(Quadratic, 0.7).unwrap()))),
        ]
    }

    fn batch(m: usize, size: usize) -> Vec<f64> {
        (0..2 * m * size).map(|k| (1.7 * k as f64 + 0.3).sin()).collect()
    }

    /// B ∂F/∂Y against differences of F, at a batch of that size for m neurons.
    pub(super) fn assert_gradient(loss: &dyn Loss, name: &str, (m, size): (usize, usize), error: f64) {
        let values = batch(m, size);
        let mut gradient = vec![f64::NAN; values.len()];
        loss.gradient(Outputs::new(&values, m, size).unwrap(), OutputGradient::new(&mut gradient, m, size).unwrap());
        for k in 0..values.len() {
            let at = |step: f64| {
                let mut moved = values.clone();
                moved[k] += step;
                loss.value(Outputs::new(&moved, m, size).unwrap())
            };
            let slope = size as f64 * (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!((slope - gradient[k]).abs() < error, "{name} {m} {size} {k}: {slope} {}", gradient[k]);
        }
    }

    #[test]
    fn gradients_are_those_of_the_values() {
        for (name, loss) in losses() {
            for (m, size) in [(1, 2), (2, 3), (3, 5), (1, 7)] {
                assert_gradient(&*loss, name, (m, size), 2e-8);
            }
        }
    }

    /// A permutation of the neurons, or of the samples, changes nothing.
    #[test]
    fn neither_neurons_nor_samples_are_told_apart() {
        let (m, size) = (3, 4);
        let values = batch(m, size);
        for (name, loss) in losses() {
            let value = |moved: &[f64]| loss.value(Outputs::new(moved, m, size).unwrap());
            let neurons: Vec<f64> = (0..values.len()).map(|k| values[(k + 2 * size) % values.len()]).collect();
            let samples: Vec<f64> =
                (0..values.len()).map(|k| values[k / size * size + (k % size + 1) % size]).collect();
            let known = value(&values);
            assert!((value(&neurons) - known).abs() < 1e-12 && (value(&samples) - known).abs() < 1e-12, "{name}");
        }
    }

    /// Against their definitions, written down once more, sample by sample.
    #[test]
    fn values_are_those_of_the_definitions() {
        let (m, size) = (2, 3);
        let values = batch(m, size);
        let y = |v: usize, b: usize, i: usize| values[(2 * i + v) * size + b];
        let product = |b: usize, c: usize| (0..m).map(|i| y(0, b, i) * y(1, c, i)).sum::<f64>();
        let outputs = Outputs::new(&values, m, size).unwrap();
        let pairs = || (0..size).flat_map(|b| (0..size).map(move |c| (b, c)));

        let strangers: f64 = pairs().filter(|(b, c)| b != c).map(|(b, c)| product(b, c).powi(2)).sum();
        let attraction: f64 = (0..size).map(|b| product(b, b)).sum();
        let spectral = -2.0 * attraction / 3.0 + strangers / 6.0;
        assert!((SpectralContrastive.value(outputs) - spectral).abs() < 1e-14);

        let row = |b: usize| (0..size).map(|c| (product(b, c) / 0.7).exp()).sum::<f64>();
        let nce: f64 = (0..size).map(|b| -((product(b, b) / 0.7).exp() / row(b)).ln()).sum::<f64>() / 3.0;
        assert!((InfoNce::new(0.7).unwrap().value(outputs) - nce).abs() < 1e-14);

        let mean = |v: usize, i: usize| (0..size).map(|b| y(v, b, i)).sum::<f64>() / 3.0;
        let entry = |v: usize, w: usize, i: usize, j: usize| {
            (0..size).map(|b| (y(v, b, i) - mean(v, i)) * (y(w, b, j) - mean(w, j))).sum::<f64>()
        };
        let mut vicreg = 0.0;
        for i in 0..m {
            vicreg += 1.5 * (0..size).map(|b| (y(0, b, i) - y(1, b, i)).powi(2)).sum::<f64>() / 3.0;
            for v in 0..2 {
                vicreg += 2.0 / 2.0 * (0.8 - (entry(v, v, i, i) / 2.0 + 1e-4).sqrt()).max(0.0);
                vicreg += 0.7 / 2.0 * (entry(v, v, i, 1 - i) / 2.0).powi(2);
            }
        }
        let loss = VicReg::new(1.5, 2.0, 0.7).unwrap().target(0.8).unwrap();
        assert!((loss.value(outputs) - vicreg).abs() < 1e-14);

        let centred = -(entry(0, 1, 0, 0) + entry(0, 1, 1, 1)) / 3.0
            + 0.5 * 0.7 * ((entry(0, 1, 0, 1) / 3.0).powi(2) + (entry(0, 1, 1, 0) / 3.0).powi(2));
        let loss = CentredCovarianceLoss::new(CovarianceLoss::new(Quadratic, 0.7).unwrap());
        assert!((loss.value(outputs) - centred).abs() < 1e-14);
    }

    /// Exponents beyond the range of numbers are taken relative to the largest.
    #[test]
    fn a_low_temperature_overflows_nothing() {
        let loss = InfoNce::new(1e-6).unwrap();
        let values = [1.0, 2.0, 3.0, -1.0, 0.5, 2.5];
        let outputs = Outputs::new(&values, 1, 3).unwrap();
        let mut gradient = [f64::NAN; 6];
        loss.gradient(outputs, OutputGradient::new(&mut gradient, 1, 3).unwrap());
        assert!(loss.value(outputs).is_finite() && gradient.iter().all(|g| g.is_finite()), "{gradient:?}");
    }

    #[test]
    fn parameters_and_batches_out_of_range_are_rejected() {
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(BarlowTwins::new(bad), Err(ModelError::LossParameter { name: "strength", .. })));
            assert!(matches!(InfoNce::new(bad), Err(ModelError::LossParameter { name: "temperature", .. })));
            assert!(VicReg::new(bad, 1.0, 1.0).is_err() && VicReg::new(1.0, bad, 1.0).is_err());
            assert!(VicReg::new(1.0, 1.0, bad).is_err() && VicReg::new(1.0, 1.0, 1.0).unwrap().target(bad).is_err());
            assert!(VicReg::new(1.0, 1.0, 1.0).unwrap().epsilon(bad).is_err());
        }
        assert!(InfoNce::new(0.0).is_err());
        for (name, loss) in losses() {
            let alone = loss.check(2, 1);
            assert_eq!(alone.is_err(), name != "Barlow Twins", "{name}");
            assert!(loss.check(2, 2).is_ok());
        }
    }
}
