//! Losses that are polynomials in averages over the batch of products of outputs: what makes the limit exact in the batch size
//! where it is more than a function of covariances (theory §11).

use super::{CovarianceForm, OutputGradient, Outputs};
use crate::Scalar;

/// An output y_i^v of one sample, by view and neuron, both from 0.
pub type Output = (usize, usize);

/// A loss as a polynomial in averages over the batch: F = Σ_t a_t Π_k (1/B) Σ_b Π_{(v, i) in factor k} y_bi^v.
///
/// Of such a loss the limit coefficients are exact in the batch size: they are sums of products of moments of a single sample. This is
/// so for up to three neurons, a σ without a kink and terms of up to 64 outputs; else they are averages over whole batches.
/// Theory §11.
///
/// ```
/// use contrastive_dynamics::model::{BatchPolynomial, Outputs};
/// // −C_11 + ½ C_11² for one neuron, with C_11 = (1/B) Σ_b y_b¹ y_b².
/// let covariance: &[(usize, usize)] = &[(0, 0), (1, 0)];
/// let loss = BatchPolynomial::<f64>::new(1)
///     .plus(-1.0, &[covariance])
///     .and_then(|loss| loss.plus(0.5, &[covariance, covariance]))
///     .ok_or("no such output")?;
/// let outputs = Outputs::new(&[1.0, 2.0, 3.0, 4.0], 1, 2).ok_or("length")?;
/// assert_eq!(loss.value(outputs), -5.5 + 0.5 * 5.5 * 5.5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct BatchPolynomial<T = f64> {
    neurons: usize,
    terms: Vec<(T, Vec<Vec<Output>>)>,
}

impl<T: Scalar> BatchPolynomial<T> {
    /// Zero, for m neurons.
    #[must_use]
    pub fn new(n_neurons: usize) -> Self {
        Self { neurons: n_neurons, terms: Vec::new() }
    }

    /// The number m of neurons.
    #[must_use]
    pub fn n_neurons(&self) -> usize {
        self.neurons
    }

    /// Adds `coefficient` times the product of those averages over the batch, each of a product of outputs. `None` if there is no such
    /// output, or for a coefficient that is not finite.
    #[must_use]
    pub fn plus(mut self, coefficient: T, averages: &[&[Output]]) -> Option<Self> {
        let known = averages.iter().copied().flatten().all(|&(view, neuron)| view < 2 && neuron < self.neurons);
        if !known || !coefficient.is_finite() {
            return None;
        }
        if coefficient != T::zero() {
            self.terms.push((coefficient, averages.iter().map(|average| average.to_vec()).collect()));
        }
        Some(self)
    }

    /// That of a function of covariances, for m neurons; `None` unless f' and g' are affine.
    #[must_use]
    pub fn of_covariances(form: &CovarianceForm<'_, T>, n_neurons: usize) -> Option<Self> {
        let (diagonal, off_diagonal) = (form.diagonal.affine()?, form.off_diagonal.affine()?);
        let mut this = Self::new(n_neurons);
        for (i, j) in (0..n_neurons).flat_map(|i| (0..n_neurons).map(move |j| (i, j))) {
            let ((offset, slope), strength) = if i == j { (diagonal, T::one()) } else { (off_diagonal, form.strength) };
            let covariance: &[Output] = &[(0, i), (1, j)];
            this = this.plus(strength * offset, &[covariance])?;
            this = this.plus(T::lit(0.5) * strength * slope, &[covariance, covariance])?;
        }
        Some(this)
    }

    /// F of the outputs of one batch. Outputs that the batch does not have count as zero.
    pub fn value(&self, outputs: Outputs<'_, T>) -> T {
        self.terms
            .iter()
            .map(|(a, averages)| averages.iter().fold(*a, |product, x| product * average(x, outputs)))
            .sum()
    }

    /// Writes B ∂F/∂Y, in the layout of [`Outputs`].
    pub fn gradient(&self, outputs: Outputs<'_, T>, mut gradient: OutputGradient<'_, T>) {
        let output = |(view, neuron): Output, b: usize| outputs.view(view, neuron).get(b).copied().unwrap_or(T::zero());
        for (view, neuron) in (0..2).flat_map(|v| (0..outputs.n_neurons()).map(move |i| (v, i))) {
            gradient.view_mut(view, neuron).fill(T::zero());
        }
        for (coefficient, averages) in &self.terms {
            let values: Vec<T> = averages.iter().map(|x| average(x, outputs)).collect();
            for (k, product) in averages.iter().enumerate() {
                let rest = values.iter().enumerate().filter(|(j, _)| *j != k);
                let rest = rest.fold(*coefficient, |rest, (_, &value)| rest * value);
                for (at, &(view, neuron)) in product.iter().enumerate() {
                    for (b, out) in gradient.view_mut(view, neuron).iter_mut().enumerate() {
                        let others = product.iter().enumerate().filter(|(other, _)| *other != at);
                        *out += others.fold(rest, |x, (_, &other)| x * output(other, b));
                    }
                }
            }
        }
    }

    /// Its terms: coefficients, and the averages that are multiplied.
    pub(crate) fn terms(&self) -> &[(T, Vec<Vec<Output>>)] {
        &self.terms
    }
}

/// (1/B) Σ_b of a product of outputs.
fn average<T: Scalar>(product: &[Output], outputs: Outputs<'_, T>) -> T {
    let size = outputs.batch_size();
    let of_sample = |b: usize| {
        let factors = product.iter().map(|&(view, neuron)| outputs.view(view, neuron).get(b).copied());
        factors.fold(T::one(), |x, y| x * y.unwrap_or(T::zero()))
    };
    (0..size).map(of_sample).sum::<T>() / T::of_usize(size)
}

#[cfg(test)]
mod tests {
    use super::super::tests::assert_gradient;
    use super::super::{BarlowTwins, CentredCovarianceLoss, CovarianceLoss, Loss, Quadratic, SpectralContrastive};
    use super::*;

    /// A loss by its polynomial alone.
    struct ByPolynomial(BatchPolynomial);

    impl Loss for ByPolynomial {
        fn value(&self, outputs: Outputs<'_, f64>) -> f64 {
            self.0.value(outputs)
        }
        fn gradient(&self, outputs: Outputs<'_, f64>, gradient: OutputGradient<'_, f64>) {
            self.0.gradient(outputs, gradient);
        }
    }

    /// Of every loss that has one: its value and its gradient.
    #[test]
    fn polynomials_are_the_losses_that_give_them() {
        let covariance = CovarianceLoss::new(Quadratic, 0.7).unwrap();
        let losses: [(&str, &dyn Loss); 4] = [
            ("covariance", &covariance),
            ("Barlow Twins", &BarlowTwins::new(0.3).unwrap()),
            ("spectral", &SpectralContrastive),
            ("centred", &CentredCovarianceLoss::new(covariance)),
        ];
        for (name, loss) in losses {
            for (m, size) in [(1, 2), (2, 3), (3, 5)] {
                let polynomial = ByPolynomial(loss.polynomial(m, size).unwrap());
                let values: Vec<f64> = (0..2 * m * size).map(|k| (1.7 * k as f64 + 0.3).sin()).collect();
                let outputs = Outputs::new(&values, m, size).unwrap();
                // Of a loss its polynomial leaves out what is constant.
                let zeros = vec![0.0; values.len()];
                let constant = loss.value(Outputs::new(&zeros, m, size).unwrap());
                let (own, other) = (loss.value(outputs) - constant, polynomial.value(outputs));
                assert!((own - other).abs() < 1e-13, "{name} {m} {size}: {own} {other}");
                let mut gradients = [vec![0.0; values.len()], vec![1.0; values.len()]];
                let [first, second] = &mut gradients;
                loss.gradient(outputs, OutputGradient::new(first, m, size).unwrap());
                polynomial.gradient(outputs, OutputGradient::new(second, m, size).unwrap());
                for (x, y) in first.iter().zip(second) {
                    assert!((*x - *y).abs() < 1e-13, "{name} {m} {size}: {x} {y}");
                }
                assert_gradient(&polynomial, name, (m, size), 1e-7);
            }
        }
    }

    #[test]
    fn outputs_that_do_not_exist_are_refused() {
        let zero = || BatchPolynomial::<f64>::new(2);
        assert!(zero().plus(1.0, &[&[(0, 0), (1, 1)]]).is_some());
        assert!(zero().plus(1.0, &[&[(2, 0)]]).is_none() && zero().plus(1.0, &[&[(0, 2)]]).is_none());
        assert!(zero().plus(f64::NAN, &[&[(0, 0)]]).is_none());
    }
}
