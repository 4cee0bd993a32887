//! A law of one hidden variable that is drawn from a distribution of `rand_distr` and averaged over given nodes.
//!
//! Covers [`FromDistribution`]. Not here: laws on finitely many points (see [`PointMasses`]), and how other types enter
//! [`Law`](crate::model::Law) (see [`SharedVariable`](crate::model::SharedVariable)).

use rand::Rng;
use rand_distr::Distribution;

use crate::Scalar;
use crate::model::ModelError;
use crate::model::hidden::{Characteristic, CharacteristicRows, HiddenVariable, PointMasses, VariableQuadrature};

/// A law that is drawn from a distribution of `rand_distr` (or any other [`Distribution`]) and averaged over nodes that
/// come with it.
///
/// The limit takes the nodes as the law: it has no way to know how well they stand for the distribution.
/// [`check_variable`](crate::model::check_variable) compares the two, to the precision of 10⁵ draws. A Gauss rule of n
/// nodes has the first 2n − 1 moments.
///
/// ```
/// use contrastive_dynamics::model::{FromDistribution, HiddenVariable, check_variable};
/// use rand_distr::{Beta, Distribution};
/// // The arcsine law on [−1, 1], whose Gauss rule has equal weights at the zeros of a Chebyshev polynomial.
/// let arcsine = Beta::new(0.5, 0.5)?.map(|x: f64| 2.0 * x - 1.0);
/// let n = 20;
/// let nodes: Vec<f64> = (0..n).map(|k| ((k as f64 + 0.5) * std::f64::consts::PI / n as f64).cos()).collect();
/// let law = FromDistribution::new(arcsine, nodes, vec![1.0 / n as f64; n])?;
/// assert!((law.second_moment() - 0.5).abs() < 1e-14);
/// assert!(check_variable(&law).is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct FromDistribution<D, T = f64> {
    distribution: D,
    nodes: PointMasses<T>,
}

impl<T: Scalar, D: Distribution<T>> FromDistribution<D, T> {
    /// The law of that distribution, with P(c = `nodes\[k\]`) = `weights\[k\]` in averages. The weights are normalised after
    /// the check.
    ///
    /// # Errors
    /// [`ModelError::Nodes`] unless there are as many weights as nodes and at least one, all nodes are finite, and the
    /// weights are positive and sum to 1 within 1e-6.
    pub fn new(distribution: D, nodes: impl Into<Vec<T>>, weights: impl Into<Vec<T>>) -> Result<Self, ModelError> {
        match PointMasses::new(nodes, weights) {
            Ok(nodes) => Ok(Self { distribution, nodes }),
            Err(ModelError::PointMasses { reason }) => Err(ModelError::Nodes { reason }),
            Err(error) => Err(error),
        }
    }

    /// The distribution.
    #[must_use]
    pub fn distribution(&self) -> &D {
        &self.distribution
    }
}

impl<T: Scalar, D: Distribution<T> + Send + Sync> HiddenVariable<T> for FromDistribution<D, T> {
    fn sample<G: Rng + ?Sized>(&self, rng: &mut G) -> T {
        self.distribution.sample(rng)
    }
    fn quadrature(&self, points: usize) -> VariableQuadrature<T> {
        self.nodes.quadrature(points)
    }
    /// The nodes do not depend on the number of points: there is no error of theirs to estimate.
    fn quadrature_is_exact(&self) -> bool {
        true
    }
    fn mean(&self) -> T {
        self.nodes.mean()
    }
    fn second_moment(&self) -> T {
        self.nodes.second_moment()
    }
    fn fourth_moment(&self) -> T {
        self.nodes.fourth_moment()
    }
    fn quantile(&self, u: T) -> T {
        self.nodes.quantile(u)
    }
    fn characteristic(&self, k: T) -> Option<Characteristic<T>> {
        self.nodes.characteristic(k)
    }
    fn characteristics(&self, k: T, rows: &mut CharacteristicRows<'_, T>) -> bool {
        self.nodes.characteristics(k, rows)
    }
    fn is_symmetric(&self) -> bool {
        self.nodes.is_symmetric()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::model::Law;

    #[test]
    fn draws_are_those_of_the_distribution() {
        let exponential = rand_distr::Exp::new(1.0).unwrap();
        // Gauss-Laguerre of two nodes: 2 ± √2.
        let root = 2.0_f64.sqrt();
        let law =
            FromDistribution::new(exponential, [2.0 - root, 2.0 + root], [0.25 * (2.0 + root), 0.25 * (2.0 - root)]);
        let law = law.unwrap();
        assert!((law.mean() - 1.0).abs() < 1e-14 && (law.second_moment() - 2.0).abs() < 1e-14);
        let (mut a, mut b) = (StdRng::seed_from_u64(1), StdRng::seed_from_u64(1));
        assert_eq!(law.sample(&mut a), exponential.sample(&mut b));
        let shared = Law::from_variable(law.clone());
        let (mut a, mut b) = (StdRng::seed_from_u64(2), StdRng::seed_from_u64(2));
        assert_eq!(shared.sample(&mut a), law.sample(&mut b));
    }

    #[test]
    fn parameters_that_make_no_law_are_rejected() {
        let fails = |nodes: &[f64], weights: &[f64]| {
            matches!(FromDistribution::new(rand_distr::StandardNormal, nodes, weights), Err(ModelError::Nodes { .. }))
        };
        assert!(fails(&[], &[]) && fails(&[1.0, -1.0], &[1.0]));
        assert!(fails(&[f64::NAN], &[1.0]) && fails(&[f64::INFINITY], &[1.0]));
        assert!(fails(&[1.0], &[0.9]) && fails(&[1.0, 2.0], &[1.5, -0.5]) && fails(&[1.0], &[f64::NAN]));
    }
}
