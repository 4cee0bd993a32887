//! The law of one entry of the features, of mean 0 and second moment 1: sampling and quadrature.

use nalgebra::DMatrix;
use rand::Rng;

use crate::Scalar;
use crate::numerics::gauss::hermite;
use crate::start::{StartError, check_memory};

/// The most points of a Gauss-Hermite rule.
const MOST_POINTS: usize = 256;

/// The law of the entries of a feature row u, independent and alike, of mean 0 and second moment 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FeatureLaw<T = f64>(Kind<T>);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind<T> {
    Gaussian,
    /// ±1/√s with probability s/2 each, else 0; s = 1 is Rademacher's law.
    Sparse(T),
}

/// Nodes of the law of u in R^p.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureNodes<T: Scalar = f64> {
    /// The nodes, one column each: p x n.
    pub nodes: DMatrix<T>,
    /// The weights of the nodes: n, positive, of sum 1.
    pub weights: Vec<T>,
}

impl<T: Scalar> FeatureLaw<T> {
    /// The standard normal law.
    #[must_use]
    pub fn gaussian() -> Self {
        Self(Kind::Gaussian)
    }

    /// ±1 with probability 1/2 each.
    #[must_use]
    pub fn rademacher() -> Self {
        Self(Kind::Sparse(T::one()))
    }

    /// ±1/√s with probability s/2 each and else 0, of density s = `density`.
    ///
    /// # Errors
    /// [`StartError::Density`] unless 0 < s ≤ 1.
    pub fn sparse(density: T) -> Result<Self, StartError> {
        if !(density > T::zero() && density <= T::one()) {
            return Err(StartError::Density { value: density.as_f64() });
        }
        Ok(Self(Kind::Sparse(density)))
    }

    /// The fourth moment: 3 for the Gaussian, 1/s for a sparse law.
    #[must_use]
    pub fn fourth_moment(&self) -> T {
        match self.0 {
            Kind::Gaussian => T::lit(3.0),
            Kind::Sparse(density) => T::one() / density,
        }
    }

    /// One draw.
    pub fn sample<G: Rng + ?Sized>(&self, rng: &mut G) -> T {
        match self.0 {
            Kind::Gaussian => T::standard_normal(rng),
            Kind::Sparse(density) => {
                let height = T::one() / density.sqrt();
                let x = T::standard_uniform(rng);
                if x >= density {
                    T::zero()
                } else if x < T::lit(0.5) * density {
                    -height
                } else {
                    height
                }
            }
        }
    }

    /// Whether [`line`](Self::line) and [`nodes`](Self::nodes) are the law itself, whatever their order.
    #[must_use]
    pub fn is_discrete(&self) -> bool {
        matches!(self.0, Kind::Sparse(_))
    }

    /// Points and weights on the line, in increasing order: Gauss-Hermite with `order` points for the Gaussian (exact for
    /// polynomials of degree 2·order − 1), the atoms themselves, two or three whatever the order, for a discrete law.
    ///
    /// # Errors
    /// [`StartError::Order`] unless 1 ≤ `order` ≤ 256.
    pub fn line(&self, order: usize) -> Result<Vec<(T, T)>, StartError> {
        if !(1..=MOST_POINTS).contains(&order) {
            return Err(StartError::Order { order, most: MOST_POINTS });
        }
        Ok(match self.0 {
            Kind::Gaussian => hermite(order).into_iter().map(|(z, w)| (T::lit(z), T::lit(w))).collect(),
            Kind::Sparse(density) => {
                let (height, half) = (T::one() / density.sqrt(), T::lit(0.5) * density);
                if density == T::one() {
                    vec![(-height, half), (height, half)]
                } else {
                    vec![(-height, half), (T::zero(), T::one() - density), (height, half)]
                }
            }
        })
    }

    /// The product over p = `features` dimensions of [`line`](Self::line), the first feature varying fastest.
    ///
    /// # Errors
    /// [`StartError::Order`] unless 1 ≤ `order` ≤ 256, [`StartError::Nodes`] for more than `budget` nodes,
    /// [`StartError::Shape`] if p = 0, [`StartError::Memory`] if they do not fit into memory.
    pub fn nodes(&self, features: usize, order: usize, budget: usize) -> Result<FeatureNodes<T>, StartError> {
        if features == 0 {
            return Err(StartError::Shape { features, neurons: 1 });
        }
        let line = self.line(order)?;
        let points = line.len();
        let power = u32::try_from(features).ok().and_then(|features| points.checked_pow(features));
        let count = if points == 1 { Some(1) } else { power }.filter(|&count| count <= budget);
        let Some(count) = count else { return Err(StartError::Nodes { points, features, budget }) };
        check_memory::<T>(features, count)?;
        let mut out = FeatureNodes { nodes: DMatrix::zeros(features, count), weights: vec![T::one(); count] };
        for (n, weight) in out.weights.iter_mut().enumerate() {
            let mut rest = n;
            for l in 0..features {
                let (x, w) = line[rest % points];
                rest /= points;
                out.nodes[(l, n)] = x;
                *weight *= w;
            }
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    /// Σ weight · f(node).
    fn average(nodes: &FeatureNodes, f: impl Fn(&[f64]) -> f64) -> f64 {
        nodes.nodes.column_iter().zip(&nodes.weights).map(|(u, w)| w * f(u.as_slice())).sum()
    }

    #[test]
    fn nodes_have_the_moments_of_the_law() {
        for law in [FeatureLaw::gaussian(), FeatureLaw::rademacher(), FeatureLaw::sparse(0.2).unwrap()] {
            let nodes = law.nodes(2, 8, 1000).unwrap();
            assert!(nodes.weights.iter().all(|w| *w > 0.0));
            let near = |value: f64, wanted: f64| assert!((value - wanted).abs() < 1e-13, "{value} {wanted}");
            near(average(&nodes, |_| 1.0), 1.0);
            near(average(&nodes, |u| u[0]), 0.0);
            near(average(&nodes, |u| u[1] * u[1]), 1.0);
            near(average(&nodes, |u| u[0] * u[1]), 0.0);
            near(average(&nodes, |u| u[0].powi(4)), law.fourth_moment());
            near(average(&nodes, |u| u[0].powi(2) * u[1].powi(4)), law.fourth_moment());
        }
        // Fifteen is the eighth moment's 105 over 7: the rule is exact to degree 15, and not one degree of two more.
        let line = FeatureLaw::<f64>::gaussian().line(3).unwrap();
        let moment = |k: i32| line.iter().map(|(x, w)| w * x.powi(k)).sum::<f64>();
        assert!((moment(4) - 3.0).abs() < 1e-13 && (moment(6) - 15.0).abs() > 1.0);
    }

    /// Second moment and fourth moment over 10⁵ draws, each within 4.5 standard errors (false alarm below 1e-5 each). A
    /// second moment off by 3 % is 6.7 standard errors of the Gaussian's; the exact nodes above see any error.
    #[test]
    fn draws_have_the_moments_of_the_law() {
        const COUNT: usize = 100_000;
        let mut rng = StdRng::seed_from_u64(1);
        for law in [FeatureLaw::gaussian(), FeatureLaw::rademacher(), FeatureLaw::sparse(0.2).unwrap()] {
            let draws: Vec<f64> = (0..COUNT).map(|_| law.sample(&mut rng)).collect();
            let moment = |k: i32| draws.iter().map(|x| x.powi(k)).sum::<f64>() / COUNT as f64;
            let within = |value: f64, mean: f64, second: f64| {
                let error = ((second - mean * mean).max(0.0) / COUNT as f64).sqrt();
                assert!((value - mean).abs() <= 4.5 * error + 1e-9, "{value} {mean} {error}");
            };
            let eighth = if law.is_discrete() { law.fourth_moment().powi(3) } else { 105.0 };
            within(moment(1), 0.0, 1.0);
            within(moment(2), 1.0, law.fourth_moment());
            within(moment(4), law.fourth_moment(), eighth);
        }
    }

    #[test]
    fn laws_and_rules_that_are_none_are_rejected() {
        for bad in [0.0, -0.1, 1.1, f64::NAN] {
            assert!(matches!(FeatureLaw::sparse(bad), Err(StartError::Density { .. })));
        }
        let law = FeatureLaw::<f64>::gaussian();
        assert_eq!(law.line(0), Err(StartError::Order { order: 0, most: MOST_POINTS }));
        assert!(law.line(MOST_POINTS).is_ok() && law.line(MOST_POINTS + 1).is_err());
        assert!(matches!(law.nodes(0, 3, 9), Err(StartError::Shape { .. })));
        assert!(law.nodes(2, 3, 9).is_ok());
        assert_eq!(law.nodes(2, 3, 8), Err(StartError::Nodes { points: 3, features: 2, budget: 8 }));
        assert!(matches!(law.nodes(500, 3, usize::MAX), Err(StartError::Nodes { .. })));
    }
}
