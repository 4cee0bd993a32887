//! Whether a loss does what it says: its gradient against differences of its value, its indifference to the order of the
//! neurons, and what it says of its form against both.

use super::Disagreement;
use crate::Scalar;
use crate::model::{Loss, OutputGradient, Outputs};

/// Outputs at which a loss is looked at by the quick check, and by the full one.
const QUICK_POINTS: usize = 1;
const POINTS: usize = 8;

/// The most neurons and samples that are looked at: more repeat what these show.
const MOST_NEURONS: usize = 3;
const MOST_SAMPLES: usize = 4;
/// The most samples at which a polynomial is compared, where they are those of the model.
const MOST_OF_POLYNOMIAL: usize = 1024;

/// Compares a loss with itself, for m neurons and batches of B samples: B ∂F/∂Y with differences of F, F with the neurons in
/// another order, and the gradients of its covariance form and of its polynomial, if it has them. Empty if all is well. There are no samples in it, so
/// no false alarms but where F has a kink within the step of a difference.
///
/// ```
/// use contrastive_dynamics::model::{CovarianceLoss, OutputGradient, Outputs, Quadratic, check_loss};
/// assert!(check_loss::<f64, _>(&CovarianceLoss::new(Quadratic, 0.7)?, 2, 4).is_empty());
/// let value = |y: Outputs<'_, f64>| -y.covariance(0, 0);
/// let wrong = |y: Outputs<'_, f64>, mut g: OutputGradient<'_, f64>| {
///     (0..2).for_each(|v| g.view_mut(v, 0).copy_from_slice(y.view(1 - v, 0))); // the sign is lost
/// };
/// assert!(!check_loss(&(value, wrong), 1, 4).is_empty());
/// # Ok::<(), contrastive_dynamics::model::ModelError>(())
/// ```
pub fn check_loss<T: Scalar, L: Loss<T> + ?Sized>(loss: &L, n_neurons: usize, batch_size: usize) -> Vec<Disagreement> {
    check_at(loss, n_neurons, batch_size, POINTS)
}

pub(super) fn quick_check_loss<T: Scalar, L: Loss<T> + ?Sized>(
    loss: &L,
    n_neurons: usize,
    batch_size: usize,
) -> Vec<Disagreement> {
    check_at(loss, n_neurons, batch_size, QUICK_POINTS)
}

fn check_at<T: Scalar, L: Loss<T> + ?Sized>(
    loss: &L,
    n_neurons: usize,
    batch_size: usize,
    points: usize,
) -> Vec<Disagreement> {
    let mut found = Vec::new();
    let (m, size) = (n_neurons.clamp(1, MOST_NEURONS), batch_size.clamp(1, MOST_SAMPLES));
    if loss.check(m, size).is_err() {
        // It says itself that it needs more of them.
        return found;
    }
    for point in 0..points {
        let values = outputs::<T>(2 * m * size, point);
        let mut gradient = vec![T::zero(); values.len()];
        loss.gradient(Outputs::of_slice(&values, m, size), OutputGradient::of_slice(&mut gradient, size));
        found.extend(gradient_of(loss, (m, size), &values, &gradient));
        if m > 1 {
            found.extend(order(loss, (m, size), &values));
        }
        if let Some(form) = loss.covariance_form() {
            let mut other = vec![T::zero(); values.len()];
            form.gradient(Outputs::of_slice(&values, m, size), OutputGradient::of_slice(&mut other, size));
            let differs = differing(&gradient, &other);
            found.extend(differs.map(|(gradient, of_form)| Disagreement::LossForm { gradient, of_form }));
        }
        if found.is_empty() {
            found.extend(polynomial_of(loss, (m, size), &values, &gradient));
        }
        if !found.is_empty() {
            break;
        }
    }
    // A polynomial may depend on the batch size.
    let own = (n_neurons, batch_size);
    let few = n_neurons <= MOST_NEURONS && batch_size <= MOST_OF_POLYNOMIAL;
    if found.is_empty() && own != (m, size) && few && loss.polynomial(n_neurons, batch_size).is_some() {
        let values = outputs::<T>(2 * n_neurons * batch_size, 0);
        let mut gradient = vec![T::zero(); values.len()];
        let of_values = Outputs::of_slice(&values, n_neurons, batch_size);
        loss.gradient(of_values, OutputGradient::of_slice(&mut gradient, batch_size));
        found.extend(polynomial_of(loss, own, &values, &gradient));
    }
    found
}

/// B ∂F/∂Y against that of the polynomial, if there is one.
fn polynomial_of<T: Scalar, L: Loss<T> + ?Sized>(
    loss: &L,
    (m, size): (usize, usize),
    values: &[T],
    gradient: &[T],
) -> Option<Disagreement> {
    let polynomial = loss.polynomial(m, size).filter(|polynomial| polynomial.n_neurons() == m)?;
    let mut other = vec![T::zero(); values.len()];
    polynomial.gradient(Outputs::of_slice(values, m, size), OutputGradient::of_slice(&mut other, size));
    let differs = differing(gradient, &other);
    differs.map(|(gradient, of_polynomial)| Disagreement::LossPolynomial { gradient, of_polynomial })
}

/// The first entries that are not the same but for rounding.
fn differing<T: Scalar>(first: &[T], second: &[T]) -> Option<(f64, f64)> {
    let mut pairs = first.iter().zip(second);
    let differs = pairs.find(|(x, y)| !close(**x, **y, super::ROUNDING * T::EPSILON.as_f64()));
    differs.map(|(x, y)| (x.as_f64(), y.as_f64()))
}

/// Outputs of order one, none of them equal; the same for everybody.
fn outputs<T: Scalar>(count: usize, point: usize) -> Vec<T> {
    (0..count).map(|k| T::lit((1.37 * k as f64 + 2.11 * point as f64 + 0.4).sin())).collect()
}

fn close<T: Scalar>(x: T, y: T, tolerance: f64) -> bool {
    (x - y).abs().as_f64() <= tolerance * (1.0 + x.abs().as_f64().max(y.abs().as_f64()))
}

/// How far a gradient may be from differences of fourth order, in units of their own error ε^(4/5).
const GRADIENT_MARGIN: f64 = 100.0;

/// B ∂F/∂Y against differences of fourth order.
fn gradient_of<T: Scalar, L: Loss<T> + ?Sized>(
    loss: &L,
    (m, size): (usize, usize),
    values: &[T],
    gradient: &[T],
) -> Option<Disagreement> {
    // Truncation, of the fourth order in the step, and rounding over the step balance at ε^(1/5).
    let step = T::EPSILON.powf(T::lit(0.2));
    let tolerance = GRADIENT_MARGIN * T::EPSILON.as_f64().powf(0.8) * size as f64;
    (0..values.len()).find_map(|k| {
        let at = |by: f64| {
            let mut moved = values.to_vec();
            moved[k] += T::lit(by) * step;
            loss.value(Outputs::of_slice(&moved, m, size))
        };
        let rise = T::lit(8.0) * (at(1.0) - at(-1.0)) - (at(2.0) - at(-2.0));
        let difference = T::of_usize(size) * rise / (T::lit(12.0) * step);
        (!close(difference, gradient[k], tolerance)).then(|| Disagreement::LossGradient {
            neuron: k / (2 * size),
            view: k / size % 2,
            sample: k % size,
            gradient: gradient[k].as_f64(),
            difference: difference.as_f64(),
        })
    })
}

/// F with the neurons in the reverse order.
fn order<T: Scalar, L: Loss<T> + ?Sized>(loss: &L, (m, size): (usize, usize), values: &[T]) -> Option<Disagreement> {
    let reversed: Vec<T> = values.chunks_exact(2 * size).rev().flatten().copied().collect();
    let (value, other) =
        (loss.value(Outputs::of_slice(values, m, size)), loss.value(Outputs::of_slice(&reversed, m, size)));
    let same = close(value, other, super::ROUNDING * T::EPSILON.as_f64());
    (!same).then(|| Disagreement::LossOrder { value: value.as_f64(), reversed: other.as_f64() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        BatchPolynomial, CovarianceForm, CovarianceLoss, EntrySlope, PseudoHuber, Quadratic, Quartic,
        SpectralContrastive,
    };

    #[test]
    fn shipped_losses_do_what_they_say_in_either_precision() {
        for (m, size) in [(1, 1), (2, 3), (5, 16)] {
            assert_eq!(check_loss::<f64, _>(&CovarianceLoss::default(), m, size), []);
            assert_eq!(check_loss::<f64, _>(&CovarianceLoss::new(Quartic, 2.0).unwrap(), m, size), []);
            let huber = PseudoHuber::new(0.3_f32).unwrap();
            assert_eq!(check_loss::<f32, _>(&CovarianceLoss::new(huber, 2.0_f32).unwrap(), m, size), []);
        }
    }

    /// The covariance loss with one thing wrong.
    struct Lying {
        factor: f64,
        first_alone: bool,
        form_strength: f64,
    }

    impl Loss for Lying {
        fn value(&self, y: Outputs<'_, f64>) -> f64 {
            let weight = |i: usize| if self.first_alone && i > 0 { 0.5 } else { 1.0 };
            (0..y.n_neurons()).map(|i| -weight(i) * y.covariance(i, i)).sum()
        }
        fn gradient(&self, y: Outputs<'_, f64>, mut gradient: OutputGradient<'_, f64>) {
            for i in 0..y.n_neurons() {
                let weight = if self.first_alone && i > 0 { 0.5 } else { 1.0 };
                for v in 0..2 {
                    for (g, y) in gradient.view_mut(v, i).iter_mut().zip(y.view(1 - v, i)) {
                        *g = -self.factor * weight * y;
                    }
                }
            }
        }
        fn covariance_form(&self) -> Option<CovarianceForm<'_, f64>> {
            let constant = |offset| EntrySlope::Affine { offset, slope: 0.0 };
            (!self.first_alone).then(|| CovarianceForm {
                diagonal: constant(-self.factor),
                off_diagonal: EntrySlope::Affine { offset: 0.0, slope: 1.0 },
                strength: self.form_strength,
            })
        }
    }

    #[test]
    fn each_lie_is_told() {
        let honest = Lying { factor: 1.0, first_alone: false, form_strength: 0.0 };
        assert_eq!(check_loss(&honest, 2, 3), []);
        let gradient = check_loss(&Lying { factor: 1.0 + 1e-5, ..honest }, 2, 3);
        assert!(
            matches!(gradient[..], [Disagreement::LossGradient { neuron: 0, view: 0, sample: 0, .. }]),
            "{gradient:?}"
        );
        let order = check_loss(&Lying { factor: 1.0, first_alone: true, form_strength: 0.0 }, 2, 3);
        assert!(matches!(order[..], [Disagreement::LossOrder { .. }]), "{order:?}");
        let form = check_loss(&Lying { factor: 1.0, first_alone: false, form_strength: 1.0 }, 2, 3);
        assert!(matches!(form[..], [Disagreement::LossForm { .. }]), "{form:?}");
        let nan = (|_: Outputs<'_, f64>| f64::NAN, |_: Outputs<'_, f64>, _: OutputGradient<'_, f64>| ());
        assert!(!check_loss(&nan, 1, 1).is_empty());
        assert!(!quick_check_loss(&nan, 1, 1).is_empty());
    }

    #[test]
    fn a_polynomial_of_another_loss_is_told_at_the_batch_size_of_the_model() {
        /// The polynomial of B = 4, whatever B is.
        struct Stale;
        impl Loss for Stale {
            fn value(&self, y: Outputs<'_, f64>) -> f64 {
                SpectralContrastive.value(y)
            }
            fn gradient(&self, y: Outputs<'_, f64>, gradient: OutputGradient<'_, f64>) {
                SpectralContrastive.gradient(y, gradient);
            }
            fn polynomial(&self, n_neurons: usize, _batch_size: usize) -> Option<BatchPolynomial> {
                Loss::<f64>::polynomial(&SpectralContrastive, n_neurons, 4)
            }
        }
        assert_eq!(check_loss(&Stale, 2, 4), []);
        let found = check_loss(&Stale, 2, 8);
        assert!(matches!(found[..], [Disagreement::LossPolynomial { .. }]), "{found:?}");
    }

    #[test]
    fn quadratic_is_not_taken_for_another_penalty() {
        let loss = CovarianceLoss::new(Quadratic, 1.0).unwrap();
        let wrong = (
            |y: Outputs<'_, f64>| CovarianceLoss::new(Quartic, 1.0).unwrap().value(y),
            move |y: Outputs<'_, f64>, g: OutputGradient<'_, f64>| loss.gradient(y, g),
        );
        assert!(!check_loss(&wrong, 2, 2).is_empty());
    }
}
