//! Joint laws of the hidden variables: independent products, discrete joint laws, and two laws side by side.

use nalgebra::{DMatrix, DVector};
use rand::Rng;

use crate::Scalar;
use crate::model::ModelError;
use crate::model::hidden::variables::{draw_index, index_at, normalise, uniform};
use crate::model::hidden::{HiddenDistribution, HiddenQuadrature, HiddenVariable, Law};

/// Independent hidden variables, one one-dimensional law for each feature.
///
/// ```
/// use contrastive_dynamics::model::hidden::{HiddenDistribution, Independent, Law};
/// // Equal second moments, different fourth moments.
/// let law = Independent::new([Law::two_point(2.25)?, Law::three_point(2.25, 0.5)?])?;
/// assert_eq!(law.second_moment()[(0, 0)], law.second_moment()[(1, 1)]);
/// assert_eq!(law.fourth_moments()[1], 2.0 * law.fourth_moments()[0]);
/// # Ok::<(), contrastive_dynamics::model::ModelError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Independent<L = Law<f64>> {
    laws: Vec<L>,
}

impl<L> Independent<L> {
    /// The product of those laws, in the order of the features.
    ///
    /// # Errors
    /// [`ModelError::NoFeatures`] if there are none.
    pub fn new(laws: impl IntoIterator<Item = L>) -> Result<Self, ModelError> {
        let laws: Vec<L> = laws.into_iter().collect();
        if laws.is_empty() {
            return Err(ModelError::NoFeatures);
        }
        Ok(Self { laws })
    }

    /// The laws, in the order of the features.
    #[must_use]
    pub fn laws(&self) -> &[L] {
        &self.laws
    }
}

impl<T: Scalar, L: HiddenVariable<T>> HiddenDistribution<T> for Independent<L> {
    fn dimension(&self) -> usize {
        self.laws.len()
    }

    #[inline]
    fn sample<G: Rng + ?Sized>(&self, rng: &mut G, c: &mut [T]) {
        for (law, c) in self.laws.iter().zip(c) {
            *c = law.sample(rng);
        }
    }

    #[inline]
    fn sample_words(&self, words: &[u64], c: &mut [T]) -> bool {
        let count = words.len() / self.laws.len().max(1);
        let run = |l: usize| l * count..(l + 1) * count;
        self.laws.iter().enumerate().all(|(l, law)| law.sample_words(&words[run(l)], &mut c[run(l)]))
    }

    fn second_moment(&self) -> DMatrix<T> {
        let mean = self.mean();
        let mut moment = &mean * mean.transpose();
        for (l, law) in self.laws.iter().enumerate() {
            moment[(l, l)] = law.second_moment();
        }
        moment
    }

    fn quadrature(&self, points: usize) -> HiddenQuadrature<T> {
        let p = self.laws.len();
        let rules: Vec<_> = self.laws.iter().map(|law| law.quadrature(points)).collect();
        let count = rules.iter().fold(1, |n: usize, rule| n.saturating_mul(rule.nodes.len()));
        let mut nodes = DMatrix::zeros(p, count);
        let mut weights = Vec::with_capacity(count);
        for k in 0..count {
            let mut rest = k;
            let mut weight = T::one();
            for (l, rule) in rules.iter().enumerate() {
                let index = rest % rule.nodes.len();
                rest /= rule.nodes.len();
                nodes[(l, k)] = rule.nodes[index];
                weight *= rule.weights[index];
            }
            weights.push(weight);
        }
        HiddenQuadrature { nodes, weights, gaussian: self.gaussian_part() }
    }

    fn quadrature_is_exact(&self) -> bool {
        self.laws.iter().all(HiddenVariable::quadrature_is_exact)
    }

    fn quadrature_size(&self, points: usize) -> usize {
        self.laws.iter().fold(1, |size: usize, law| size.saturating_mul(law.quadrature(points).nodes.len()))
    }

    fn gaussian_part(&self) -> DMatrix<T> {
        let p = self.laws.len();
        DMatrix::from_diagonal(&DVector::from_fn(p, |l, _| self.laws[l].quadrature(1).gaussian))
    }

    fn transport(&self, u: &[T], c: &mut [T]) -> bool {
        for ((law, &u), c) in self.laws.iter().zip(u).zip(c) {
            *c = law.quantile(u);
        }
        true
    }

    fn mean(&self) -> DVector<T> {
        DVector::from_fn(self.laws.len(), |l, _| self.laws[l].mean())
    }

    fn fourth_moments(&self) -> DVector<T> {
        DVector::from_fn(self.laws.len(), |l, _| self.laws[l].fourth_moment())
    }

    fn is_symmetric(&self, l: usize) -> bool {
        self.laws.get(l).is_some_and(HiddenVariable::is_symmetric)
    }
}

/// Any joint law on finitely many points of ℝ^p, such as dependent features or an empirical sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Discrete<T: Scalar = f64> {
    points: DMatrix<T>,
    probabilities: Vec<T>,
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
            return Err(ModelError::PointMasses { reason: "need as many probabilities as points, and at least one" });
        }
        if !points.iter().all(nalgebra::ComplexField::is_finite) {
            return Err(ModelError::PointMasses { reason: "points must be finite" });
        }
        normalise(&mut probabilities)?;
        Ok(Self { points, probabilities })
    }

    /// Whether the law is invariant when the signs of the rows marked in `flip` change.
    fn is_invariant(&self, flip: &dyn Fn(usize) -> bool) -> bool {
        let (p, n) = self.points.shape();
        let mass = |target: &dyn Fn(usize) -> T| -> T {
            let hits = (0..n).filter(|&k| (0..p).all(|l| self.points[(l, k)] == target(l)));
            hits.map(|k| self.probabilities[k]).sum()
        };
        (0..n).all(|k| {
            let point = |l: usize| self.points[(l, k)];
            let mirror = |l: usize| if flip(l) { -self.points[(l, k)] } else { self.points[(l, k)] };
            (mass(&point) - mass(&mirror)).abs() <= T::lit(4.0) * T::EPSILON
        })
    }
}

impl<T: Scalar> HiddenDistribution<T> for Discrete<T> {
    fn dimension(&self) -> usize {
        self.points.nrows()
    }

    fn sample<G: Rng + ?Sized>(&self, rng: &mut G, c: &mut [T]) {
        let k = draw_index(&self.probabilities, rng);
        for (c, &value) in c.iter_mut().zip(self.points.column(k).iter()) {
            *c = value;
        }
    }

    fn sample_words(&self, words: &[u64], c: &mut [T]) -> bool {
        let p = self.points.nrows();
        let count = words.len() / p.max(1);
        for (k, &word) in words[..count].iter().enumerate() {
            let drawn = index_at(&self.probabilities, uniform(word));
            for l in 0..p {
                c[l * count + k] = self.points[(l, drawn)];
            }
        }
        true
    }

    fn second_moment(&self) -> DMatrix<T> {
        let weights = DMatrix::from_diagonal(&DVector::from_column_slice(&self.probabilities));
        &self.points * weights * self.points.transpose()
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

    fn transport(&self, u: &[T], c: &mut [T]) -> bool {
        let Some(&first) = u.first() else { return false };
        let mut below = T::zero();
        let k = self.probabilities.iter().position(|&w| {
            below += w;
            first < below
        });
        let column = self.points.column(k.unwrap_or(self.probabilities.len() - 1));
        for (c, &value) in c.iter_mut().zip(column.iter()) {
            *c = value;
        }
        true
    }

    fn is_symmetric(&self, l: usize) -> bool {
        self.is_invariant(&|row| row == l)
    }

    fn is_jointly_symmetric(&self) -> bool {
        self.is_invariant(&|_| true)
    }
}

/// Two independent joint laws, the variables of the second below those of the first; made by
/// [`HiddenDistribution::and`]. It joins laws of different types, your own among them.
#[derive(Debug, Clone, PartialEq)]
pub struct Concatenation<A, B> {
    upper: A,
    lower: B,
}

impl<A, B> Concatenation<A, B> {
    pub(super) fn new(upper: A, lower: B) -> Self {
        Self { upper, lower }
    }
}

/// The block matrix with `a` above and left of `b`, and `corner` above b.
fn block<T: Scalar>(a: &DMatrix<T>, b: &DMatrix<T>, corner: &DMatrix<T>) -> DMatrix<T> {
    let (p, q) = (a.nrows(), b.nrows());
    DMatrix::from_fn(p + q, p + q, |i, j| match (i < p, j < p) {
        (true, true) => a[(i, j)],
        (false, false) => b[(i - p, j - p)],
        (true, false) => corner[(i, j - p)],
        (false, true) => corner[(j, i - p)],
    })
}

impl<T, A, B> HiddenDistribution<T> for Concatenation<A, B>
where
    T: Scalar,
    A: HiddenDistribution<T>,
    B: HiddenDistribution<T>,
{
    fn dimension(&self) -> usize {
        self.upper.dimension() + self.lower.dimension()
    }

    #[inline]
    fn sample<G: Rng + ?Sized>(&self, rng: &mut G, c: &mut [T]) {
        let (above, below) = c.split_at_mut(self.upper.dimension());
        self.upper.sample(rng, above);
        self.lower.sample(rng, below);
    }

    fn sample_words(&self, words: &[u64], c: &mut [T]) -> bool {
        let (above, below) = (self.upper.dimension(), self.lower.dimension());
        let split = words.len() / (above + below).max(1) * above;
        let (upper, lower) = c.split_at_mut(split);
        self.upper.sample_words(&words[..split], upper) && self.lower.sample_words(&words[split..], lower)
    }

    fn second_moment(&self) -> DMatrix<T> {
        let corner = self.upper.mean() * self.lower.mean().transpose();
        block(&self.upper.second_moment(), &self.lower.second_moment(), &corner)
    }

    fn quadrature(&self, points: usize) -> HiddenQuadrature<T> {
        let (a, b) = (self.upper.quadrature(points), self.lower.quadrature(points));
        let (p, q) = (a.nodes.nrows(), b.nodes.nrows());
        let count = a.weights.len() * b.weights.len();
        let nodes = DMatrix::from_fn(p + q, count, |l, k| {
            if l < p { a.nodes[(l, k % a.weights.len())] } else { b.nodes[(l - p, k / a.weights.len())] }
        });
        let weights = (0..count).map(|k| a.weights[k % a.weights.len()] * b.weights[k / a.weights.len()]).collect();
        let gaussian = block(&a.gaussian, &b.gaussian, &DMatrix::zeros(p, q));
        HiddenQuadrature { nodes, weights, gaussian }
    }

    fn quadrature_is_exact(&self) -> bool {
        self.upper.quadrature_is_exact() && self.lower.quadrature_is_exact()
    }

    fn quadrature_size(&self, points: usize) -> usize {
        self.upper.quadrature_size(points).saturating_mul(self.lower.quadrature_size(points))
    }

    fn gaussian_part(&self) -> DMatrix<T> {
        let (p, q) = (self.upper.dimension(), self.lower.dimension());
        block(&self.upper.gaussian_part(), &self.lower.gaussian_part(), &DMatrix::zeros(p, q))
    }

    fn transport(&self, u: &[T], c: &mut [T]) -> bool {
        let p = self.upper.dimension();
        let (above, below) = c.split_at_mut(p);
        self.upper.transport(&u[..p], above) && self.lower.transport(&u[p..], below)
    }

    fn mean(&self) -> DVector<T> {
        let (a, b) = (self.upper.mean(), self.lower.mean());
        DVector::from_iterator(a.len() + b.len(), a.iter().chain(b.iter()).copied())
    }

    fn fourth_moments(&self) -> DVector<T> {
        let (a, b) = (self.upper.fourth_moments(), self.lower.fourth_moments());
        DVector::from_iterator(a.len() + b.len(), a.iter().chain(b.iter()).copied())
    }

    fn is_symmetric(&self, l: usize) -> bool {
        let p = self.upper.dimension();
        if l < p { self.upper.is_symmetric(l) } else { self.lower.is_symmetric(l - p) }
    }

    fn is_jointly_symmetric(&self) -> bool {
        self.upper.is_jointly_symmetric() && self.lower.is_jointly_symmetric()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two signs with correlation 0.4.
    fn dependent() -> Discrete {
        let points = DMatrix::from_row_slice(2, 4, &[1.0, 1.0, -1.0, -1.0, 1.0, -1.0, 1.0, -1.0]);
        Discrete::new(points, [0.35, 0.15, 0.15, 0.35]).unwrap()
    }

    #[test]
    fn products_and_concatenations_agree() {
        let (a, b) = (Law::two_point(2.0).unwrap(), Law::skewed(1.5, 0.2).unwrap());
        let product = Independent::new([a.clone(), b.clone()]).unwrap();
        let joined = Independent::new([a]).unwrap().and(Independent::new([b]).unwrap());
        assert_eq!(HiddenDistribution::<f64>::dimension(&joined), 2);
        assert_eq!(product.second_moment(), joined.second_moment());
        assert_eq!(product.fourth_moments(), joined.fourth_moments());
        assert_eq!(product.quadrature(1), joined.quadrature(1));
        assert!(joined.is_symmetric(0) && !joined.is_symmetric(1) && !joined.is_jointly_symmetric());
    }

    #[test]
    fn transport_of_a_grid_has_the_moments_of_the_law() {
        let laws = [Law::uniform(1.5).unwrap(), Law::laplace(0.8).unwrap(), Law::skewed(2.0, 0.3).unwrap()];
        let law = Independent::new(laws).unwrap().and(dependent());
        let (count, mut c) = (20_000, [0.0; 5]);
        let mut moment = DMatrix::zeros(5, 5);
        for n in 0..count {
            // Rank-one lattice points: each coordinate runs through an even grid.
            let u: Vec<f64> = [1, 7_919, 6_143, 4_099, 3_251].iter().map(|g| f64::from((n * g) % count)).collect();
            let u: Vec<f64> = u.iter().map(|x| (x + 0.5) / f64::from(count)).collect();
            assert!(law.transport(&u, &mut c));
            let c = DVector::from_column_slice(&c);
            moment += &c * c.transpose() / f64::from(count);
        }
        let exact: DMatrix<f64> = law.second_moment();
        assert!((&moment - &exact).amax() < 5e-3, "{moment} {exact}");
        assert_eq!(HiddenDistribution::<f64>::quadrature_size(&law, 10), 10 * 40 * 2 * 4);
    }

    #[test]
    fn dependent_variables_are_symmetric_jointly_but_not_alone() {
        let law = dependent();
        assert!((law.second_moment()[(0, 1)] - 0.4).abs() < 1e-15);
        assert!(!law.is_symmetric(0) && law.is_jointly_symmetric());
        assert!(law.mean().norm() < 1e-15);
    }

    #[test]
    fn parameters_that_make_no_law_are_rejected() {
        assert!(matches!(Independent::<Law>::new([]), Err(ModelError::NoFeatures)));
        assert!(matches!(Discrete::<f64>::new(DMatrix::zeros(0, 1), [1.0]), Err(ModelError::NoFeatures)));
        assert!(Discrete::new(DMatrix::zeros(1, 2), [1.0]).is_err());
        assert!(Discrete::new(DMatrix::zeros(1, 2), [1.5, -0.5]).is_err());
        assert!(Discrete::new(DMatrix::from_element(1, 1, f64::NAN), [1.0]).is_err());
    }
}
