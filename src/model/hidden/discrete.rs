//! Any joint law of the hidden variables on finitely many points.
//!
//! Covers sampling, moments, symmetries and the exact rule. Not here: one variable alone (see
//! [`PointMasses`](crate::model::PointMasses)).

use nalgebra::{DMatrix, DVector};
use rand::Rng;

use crate::Scalar;
use crate::model::ModelError;
use crate::model::hidden::probabilities::{cumulative, index_in, is_invariant, normalise, uniform};
use crate::model::hidden::{CharacteristicRows, HiddenDistribution, HiddenQuadrature, JointCharacteristic};

/// Any joint law on finitely many points of ℝ^p, such as dependent features or an empirical sample.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "crate::model::stored::StoredDiscrete<T>"))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "T: serde::Serialize", deserialize = "T: crate::Scalar + serde::Deserialize<'de>"))
)]
pub struct Discrete<T: Scalar = f64> {
    #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::matrix"))]
    points: DMatrix<T>,
    pub(in crate::model) probabilities: Vec<T>,
    /// Sums of the probabilities up to each.
    #[cfg_attr(feature = "serde", serde(skip))]
    cumulative: Vec<f64>,
}

impl<T: Scalar> Discrete<T> {
    /// The law with P(c = column k of `points`) = probabilities\[k\]; `points` is p x n. The probabilities are
    /// normalised after the check.
    ///
    /// # Errors
    /// [`ModelError::NoFeatures`] if p = 0; [`ModelError::PointMasses`] unless there are as many probabilities as
    /// columns and at least one, all entries are finite, and the probabilities are positive and sum to 1 within 1e-6.
    pub fn new(points: DMatrix<T>, probabilities: impl Into<Vec<T>>) -> Result<Self, ModelError> {
        let mut probabilities = probabilities.into();
        if points.nrows() == 0 {
            return Err(ModelError::NoFeatures);
        }
        if points.ncols() == 0 || points.ncols() != probabilities.len() {
            let reason = if points.nrows() == probabilities.len() {
                "there are as many probabilities as rows: points are columns, p x n, transpose them"
            } else {
                "need as many probabilities as points, one in each column, and at least one"
            };
            return Err(ModelError::PointMasses { reason });
        }
        if !points.iter().all(nalgebra::ComplexField::is_finite) {
            return Err(ModelError::PointMasses { reason: "points must be finite" });
        }
        normalise(&mut probabilities).map_err(|reason| ModelError::PointMasses { reason })?;
        Ok(Self { cumulative: cumulative(&probabilities), points, probabilities })
    }

    /// Makes the table for drawing.
    #[cfg(feature = "serde")]
    pub(in crate::model) fn tabulate(&mut self) {
        self.cumulative = cumulative(&self.probabilities);
    }

    /// Whether the law is invariant when the signs of the rows marked in `flip` change.
    fn is_invariant(&self, flip: &dyn Fn(usize) -> bool) -> bool {
        is_invariant(self.points.as_slice(), self.points.nrows(), &self.probabilities, flip)
    }

    /// The point that a uniform number picks.
    fn picked(&self, u: f64) -> usize {
        index_in(&self.cumulative, u)
    }
}

impl<T: Scalar> HiddenDistribution<T> for Discrete<T> {
    fn dimension(&self) -> usize {
        self.points.nrows()
    }

    fn sample<G: Rng + ?Sized>(&self, rng: &mut G, c: &mut [T]) {
        let k = self.picked(T::standard_uniform(rng).as_f64());
        for (c, &value) in c.iter_mut().zip(self.points.column(k).iter()) {
            *c = value;
        }
    }

    fn samples_from_words(&self, words: &[u64], c: &mut [T]) -> bool {
        if words.len() != c.len() {
            return false;
        }
        let p = self.points.nrows();
        let count = words.len() / p.max(1);
        for (k, &word) in words[..count].iter().enumerate() {
            let drawn = self.picked(uniform(word));
            for l in 0..p {
                c[l * count + k] = self.points[(l, drawn)];
            }
        }
        true
    }

    fn second_moment(&self) -> DMatrix<T> {
        let p = self.points.nrows();
        let mut moment = DMatrix::zeros(p, p);
        for (c, &weight) in self.points.column_iter().zip(&self.probabilities) {
            moment.ger(weight, &c, &c, T::one());
        }
        moment
    }

    fn quadrature(&self, _points: usize) -> HiddenQuadrature<T> {
        let p = self.points.nrows();
        HiddenQuadrature {
            nodes: self.points.clone(),
            weights: self.probabilities.clone(),
            gaussian: DMatrix::zeros(p, p),
        }
    }

    fn quadrature_is_exact(&self) -> bool {
        true
    }

    fn quadrature_size(&self, _points: usize) -> usize {
        self.probabilities.len()
    }

    fn gaussian_part(&self) -> DMatrix<T> {
        DMatrix::zeros(self.points.nrows(), self.points.nrows())
    }

    fn transport(&self, u: &[T], c: &mut [T]) -> bool {
        let Some(&first) = u.first() else { return false };
        if u.len() != c.len() || u.len() != self.dimension() {
            return false;
        }
        let column = self.points.column(self.picked(first.as_f64()));
        for (c, &value) in c.iter_mut().zip(column.iter()) {
            *c = value;
        }
        true
    }

    fn characteristic(&self, _block: usize, k: &[T], out: &mut JointCharacteristic<T>) -> bool {
        out.reset(self.points.nrows());
        if k.len() != self.points.nrows() {
            return false;
        }
        for (c, &weight) in self.points.as_slice().chunks_exact(k.len()).zip(&self.probabilities) {
            out.add_point(k, c, weight);
        }
        true
    }

    fn characteristics(&self, _block: usize, k: &[T], rows: &mut CharacteristicRows<'_, T>) -> bool {
        rows.set_points(k, self.points.as_slice(), &self.probabilities)
    }

    fn mean(&self) -> DVector<T> {
        &self.points * DVector::from_column_slice(&self.probabilities)
    }

    fn fourth_moments(&self) -> DVector<T> {
        let p = self.points.nrows();
        let mut sums = DVector::zeros(p);
        for (c, &weight) in self.points.column_iter().zip(&self.probabilities) {
            (0..p).for_each(|l| sums[l] += weight * c[l].powi(4));
        }
        sums
    }

    fn is_symmetric(&self, l: usize) -> bool {
        self.is_invariant(&|row| row == l)
    }

    fn is_jointly_symmetric(&self) -> bool {
        self.is_invariant(&|_| true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependent_variables_are_symmetric_jointly_but_not_alone() {
        // Two signs of correlation 0.4.
        let points = DMatrix::from_row_slice(2, 4, &[1.0, 1.0, -1.0, -1.0, 1.0, -1.0, 1.0, -1.0]);
        let law = Discrete::<f64>::new(points, [0.35, 0.15, 0.15, 0.35]).unwrap();
        assert!((law.second_moment()[(0, 1)] - 0.4).abs() < 1e-15);
        assert!(!law.is_symmetric(0) && law.is_jointly_symmetric());
        assert!(law.mean().norm() < 1e-15);
    }

    /// As many points as a data set has.
    #[test]
    fn a_hundred_thousand_points_are_no_burden() {
        use rand::SeedableRng;
        let n = 100_000;
        let points = DMatrix::from_fn(3, n, |l, k| ((7 * l + 1) * k % 1009) as f64 - 504.0);
        let law = Discrete::new(points, vec![1.0 / n as f64; n]).unwrap();
        assert!((law.second_moment() - law.quadrature(1).second_moment()).amax() < 1e-6);
        assert!(!law.is_jointly_symmetric() && !law.is_symmetric(1));
        let mut rng = rand::rngs::StdRng::seed_from_u64(1);
        let (mut c, mut sum) = ([0.0; 3], 0.0);
        for _ in 0..100_000 {
            law.sample(&mut rng, &mut c);
            sum += c[0];
        }
        // Four standard errors and a half of a uniform law of that width: 1e-5.
        assert!((sum / 1e5 - law.mean()[0]).abs() < 4.5 * 291.0 / 1e5_f64.sqrt(), "{}", sum / 1e5);
    }

    #[test]
    fn parameters_that_make_no_law_are_rejected() {
        assert!(matches!(Discrete::<f64>::new(DMatrix::zeros(0, 1), [1.0]), Err(ModelError::NoFeatures)));
        assert!(matches!(Discrete::<f64>::new(DMatrix::zeros(1, 0), []), Err(ModelError::PointMasses { .. })));
        for weights in [vec![1.0], vec![1.5, -0.5], vec![0.5, 0.4], vec![f64::NAN, 0.5], vec![1.0, 0.0]] {
            let law = Discrete::new(DMatrix::zeros(1, 2), weights);
            assert!(matches!(law, Err(ModelError::PointMasses { .. })));
        }
        for bad in [f64::NAN, f64::INFINITY] {
            let law = Discrete::new(DMatrix::from_element(1, 1, bad), [1.0]);
            assert!(matches!(law, Err(ModelError::PointMasses { .. })));
        }
    }

    #[test]
    fn transposed_points_are_told_as_such() {
        let text = Discrete::new(DMatrix::zeros(4, 2), [0.25; 4]).unwrap_err().to_string();
        assert!(text.contains("transpose"), "{text}");
    }
}
