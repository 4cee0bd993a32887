//! σ'' on slices, for derivatives of averages: as the nonlinearity gives it, or by differences of σ'.

use crate::Scalar;
use crate::model::Nonlinearity;

/// Buffers for differences.
#[derive(Debug, Clone)]
pub(in crate::limit) struct Curvature<T> {
    shifted: Vec<T>,
    values: Vec<T>,
    derivatives: Vec<T>,
}

impl<T: Scalar> Curvature<T> {
    /// For slices of at most that length.
    pub(in crate::limit) fn new(length: usize) -> Self {
        let zeros = vec![T::zero(); length];
        Self { shifted: zeros.clone(), values: zeros.clone(), derivatives: zeros }
    }

    /// Writes σ'' of every field. Without a formula it is the difference of σ' of fourth order, good to about 1e-12
    /// where σ is smooth on the scale of one.
    pub(in crate::limit) fn evaluate(
        &mut self,
        sigma: &dyn Nonlinearity<T>,
        fields: &[T],
        values: &[T],
        derivatives: &[T],
        seconds: &mut [T],
    ) {
        if sigma.evaluate_second(fields, values, derivatives, seconds) {
            return;
        }
        let length = fields.len();
        let step = T::EPSILON.powf(T::lit(0.2));
        seconds.fill(T::zero());
        for (shift, coefficient) in [(-2.0, 1.0), (-1.0, -8.0), (1.0, 8.0), (2.0, -1.0)] {
            for (x, &h) in self.shifted.iter_mut().zip(fields) {
                *x = h + T::lit(shift) * step;
            }
            let shifted = &self.shifted[..length];
            sigma.evaluate(shifted, &mut self.values[..length], &mut self.derivatives[..length]);
            let scale = T::lit(coefficient / 12.0) / step;
            for (second, &d) in seconds.iter_mut().zip(&self.derivatives) {
                *second += scale * d;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_agree_with_the_formula() {
        let fields: Vec<f64> = (-20..20).map(|k| 0.3 * f64::from(k) + 0.05).collect();
        let mut seconds = vec![0.0; fields.len()];
        let pair = (f64::sin, f64::cos);
        Curvature::new(fields.len()).evaluate(&pair, &fields, &fields, &fields, &mut seconds);
        for (h, second) in fields.iter().zip(&seconds) {
            assert!((second + h.sin()).abs() < 1e-11, "{h}: {second}");
        }
    }
}
