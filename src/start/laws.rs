//! Joint laws of (u, w): linear plus Gaussian, a sampler of the user's, and a discretised law.

use nalgebra::DMatrix;
use rand::Rng;

use crate::Scalar;
use crate::start::{FeatureLaw, StartError, StartLaw};
use crate::state::OrderParameters;

/// Weights linear in the features plus Gaussian: w = Q₀ᵀu + (R₀ − Q₀ᵀQ₀)^{1/2} z with z standard normal in R^m, so that
/// E[u wᵀ] = Q₀ and E[w wᵀ] = R₀. Under L2 and Gaussian features the law stays of this form.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearGaussianStart<T: Scalar = f64> {
    features: FeatureLaw<T>,
    state: OrderParameters<T>,
    root: DMatrix<T>,
}

impl<T: Scalar> LinearGaussianStart<T> {
    /// Feature entries of that law, and the wanted order parameters (Q₀, R₀).
    ///
    /// # Errors
    /// [`StartError::Infeasible`] if R₀ − Q₀ᵀQ₀ is not positive semidefinite, which a state reported by a simulation or
    /// a solver can miss by its error.
    pub fn new(features: FeatureLaw<T>, state: &OrderParameters<T>) -> Result<Self, StartError> {
        state.check_given()?;
        Ok(Self { features, root: state.background_root()?, state: state.clone() })
    }

    /// The law of one entry of u.
    #[must_use]
    pub fn feature_law(&self) -> FeatureLaw<T> {
        self.features
    }

    /// The wanted order parameters: Q₀ᵀu is the mean of w given u, R₀ − Q₀ᵀQ₀
    /// ([`background`](OrderParameters::background)) its covariance.
    #[must_use]
    pub fn state(&self) -> &OrderParameters<T> {
        &self.state
    }
}

impl<T: Scalar> StartLaw<T> for LinearGaussianStart<T> {
    fn n_features(&self) -> usize {
        self.state.n_features()
    }

    fn n_neurons(&self) -> usize {
        self.state.n_neurons()
    }

    fn sample(&self, rng: &mut dyn Rng, u: &mut [T], w: &mut [T]) {
        for u in u.iter_mut() {
            *u = self.features.sample(rng);
        }
        w.fill(T::zero());
        let m = self.n_neurons();
        for k in 0..m {
            let z = T::standard_normal(rng);
            (0..m).for_each(|i| w[i] += self.root[(i, k)] * z);
        }
        for (l, &u) in u.iter().enumerate() {
            (0..m).for_each(|i| w[i] += self.state.q()[(l, i)] * u);
        }
    }

    fn linear_gaussian(&self) -> Option<&Self> {
        Some(self)
    }
}

/// A law given by a function that draws one row into (u, w).
#[derive(Clone)]
pub struct SampledStart<F> {
    features: usize,
    neurons: usize,
    draw: F,
}

impl<F> std::fmt::Debug for SampledStart<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SampledStart")
            .field("features", &self.features)
            .field("neurons", &self.neurons)
            .finish_non_exhaustive()
    }
}

impl<F> SampledStart<F> {
    /// The law of p = `features` and m = `neurons` drawn by `draw(rng, u, w)`.
    ///
    /// ```
    /// use contrastive_dynamics::rand::{Rng, RngExt};
    /// use contrastive_dynamics::start::SampledStart;
    /// let law = SampledStart::new(1, 1, |rng: &mut dyn Rng, u: &mut [f64], w: &mut [f64]| {
    ///     u[0] = if rng.random_bool(0.5) { 1.0 } else { -1.0 };
    ///     w[0] = 0.5 * u[0] + rng.random_range(-1.0..1.0);
    /// });
    /// ```
    pub fn new<T: Scalar>(features: usize, neurons: usize, draw: F) -> Self
    where
        F: Fn(&mut dyn Rng, &mut [T], &mut [T]),
    {
        Self { features, neurons, draw }
    }
}

impl<T: Scalar, F: Fn(&mut dyn Rng, &mut [T], &mut [T])> StartLaw<T> for SampledStart<F> {
    fn n_features(&self) -> usize {
        self.features
    }

    fn n_neurons(&self) -> usize {
        self.neurons
    }

    fn sample(&self, rng: &mut dyn Rng, u: &mut [T], w: &mut [T]) {
        (self.draw)(rng, u, w);
    }
}

/// A discretised joint law: atoms (u, w) with masses.
#[derive(Debug, Clone, PartialEq)]
pub struct DiscreteStart<T: Scalar = f64> {
    features: DMatrix<T>,
    weights: DMatrix<T>,
    masses: Vec<T>,
    /// Σ of the masses up to each atom.
    cumulative: Vec<f64>,
}

impl<T: Scalar> DiscreteStart<T> {
    /// Atoms u (p x n) and w (m x n), one column each, with n masses, which are scaled to sum 1.
    ///
    /// # Errors
    /// [`StartError::Shape`] if p or m is 0; [`StartError::Atoms`] if the numbers of columns and masses differ or are 0,
    /// a number is not finite, a mass is negative, or all are 0.
    pub fn new(features: DMatrix<T>, weights: DMatrix<T>, mut masses: Vec<T>) -> Result<Self, StartError> {
        let (p, m) = (features.nrows(), weights.nrows());
        if p == 0 || m == 0 {
            return Err(StartError::Shape { features: p, neurons: m });
        }
        let fail = |reason| Err(StartError::Atoms { reason });
        if features.ncols() != masses.len() || weights.ncols() != masses.len() || masses.is_empty() {
            return fail("u, w and masses must have the same number of atoms, at least one");
        }
        let finite = nalgebra::ComplexField::is_finite;
        if !features.iter().chain(weights.iter()).chain(&masses).all(finite) {
            return fail("atoms and masses must be finite");
        }
        let total: T = masses.iter().copied().sum();
        if !(masses.iter().all(|x| *x >= T::zero()) && total > T::zero() && finite(&total)) {
            return fail("masses must be at least 0, and not all 0");
        }
        for mass in &mut masses {
            *mass /= total;
        }
        let mut sum = 0.0;
        let cumulative = masses
            .iter()
            .map(|x| {
                sum += x.as_f64();
                sum
            })
            .collect();
        Ok(Self { features, weights, masses, cumulative })
    }

    /// u of every atom, p x n.
    #[must_use]
    pub fn feature_atoms(&self) -> &DMatrix<T> {
        &self.features
    }

    /// w of every atom, m x n.
    #[must_use]
    pub fn weight_atoms(&self) -> &DMatrix<T> {
        &self.weights
    }

    /// The masses, of sum 1.
    #[must_use]
    pub fn masses(&self) -> &[T] {
        &self.masses
    }
}

impl<T: Scalar> StartLaw<T> for DiscreteStart<T> {
    fn n_features(&self) -> usize {
        self.features.nrows()
    }

    fn n_neurons(&self) -> usize {
        self.weights.nrows()
    }

    fn sample(&self, rng: &mut dyn Rng, u: &mut [T], w: &mut [T]) {
        let last = self.cumulative.len() - 1;
        let x = f64::standard_uniform(rng) * self.cumulative[last];
        // The first atom whose cumulative mass exceeds x has a mass of its own; rounding cannot go past the last.
        let at = self.cumulative.partition_point(|c| *c <= x).min(last);
        u.iter_mut().zip(self.features.column(at).iter()).for_each(|(u, &x)| *u = x);
        w.iter_mut().zip(self.weights.column(at).iter()).for_each(|(w, &x)| *w = x);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::start::{Rows, Whitening};
    use crate::state::OrderParametersError;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn state() -> OrderParameters {
        OrderParameters::from_rows(2, 2, &[0.5, 0.1, -0.2, 0.3], &[1.0, 0.25, 0.25, 0.8]).unwrap()
    }

    /// The worst deviation of the second moments of `count` rows, in standard errors.
    fn worst(law: &impl StartLaw, count: usize, q: &DMatrix<f64>, r: &DMatrix<f64>) -> f64 {
        let rows = Rows::draw(law, count, &Whitening::None, &mut StdRng::seed_from_u64(4)).unwrap();
        let mut worst = 0.0_f64;
        let mut check = |x: &[f64], y: &[f64], wanted: f64| {
            let n = count as f64;
            let mean = x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>() / n;
            let squares = x.iter().zip(y).map(|(x, y)| (x * y - mean).powi(2)).sum::<f64>() / n;
            worst = worst.max((mean - wanted).abs() / (squares / n).sqrt());
        };
        for i in 0..law.n_neurons() {
            let w = rows.weights.column(i);
            for l in 0..law.n_features() {
                check(rows.features.column(l).as_slice(), w.as_slice(), q[(l, i)]);
            }
            for j in 0..law.n_neurons() {
                check(rows.weights.column(j).as_slice(), w.as_slice(), r[(j, i)]);
            }
        }
        worst
    }

    /// Seven different moments over 4·10⁵ rows: any beyond 5 standard errors with probability 4e-6. The control is a state
    /// 1 % away.
    #[test]
    fn linear_gaussian_rows_have_the_wanted_moments_whatever_the_features() {
        for features in [FeatureLaw::gaussian(), FeatureLaw::rademacher(), FeatureLaw::sparse(0.3).unwrap()] {
            let law = LinearGaussianStart::new(features, &state()).unwrap();
            let s = state();
            assert!(worst(&law, 400_000, s.q(), s.r()) < 5.0);
            // R_11 is known to √2/√(4·10⁵) = 0.22 %.
            assert!(worst(&law, 400_000, &(s.q() * 1.02), &(s.r() * 1.02)) > 5.0);
        }
    }

    #[test]
    fn atoms_are_drawn_by_their_masses() {
        let u = DMatrix::from_row_slice(1, 4, &[1.0, -1.0, 7.0, 1.0]);
        let w = DMatrix::from_row_slice(1, 4, &[0.5, 0.25, 7.0, -2.0]);
        let law = DiscreteStart::new(u, w, vec![1.0, 2.0, 0.0, 1.0]).unwrap();
        assert_eq!(law.masses(), [0.25, 0.5, 0.0, 0.25]);
        let (q, r) = (0.25 * 0.5 - 0.5 * 0.25 - 0.25 * 2.0, 0.25 * 0.25 + 0.5 * 0.0625 + 0.25 * 4.0);
        let matrix = |x| DMatrix::from_element(1, 1, x);
        assert!(worst(&law, 100_000, &matrix(q), &matrix(r)) < 4.5);
        assert!(worst(&law, 100_000, &matrix(q * 1.05), &matrix(r * 1.05)) > 4.5);
    }

    #[test]
    fn what_is_no_law_is_rejected() {
        let infeasible =
            OrderParameters::from_parts(DMatrix::from_element(1, 1, 1.1), DMatrix::from_element(1, 1, 1.0));
        let law = LinearGaussianStart::new(FeatureLaw::gaussian(), &infeasible);
        assert!(matches!(law, Err(StartError::Infeasible(OrderParametersError::Infeasible { .. }))));
        let atoms = |n, masses: &[f64]| {
            DiscreteStart::new(DMatrix::from_element(1, n, 1.0), DMatrix::from_element(1, n, 1.0), masses.to_vec())
        };
        assert!(atoms(2, &[0.5, 0.5]).is_ok());
        for (n, masses) in [(2, &[0.5][..]), (0, &[]), (2, &[-0.5, 1.5]), (2, &[0.0, 0.0]), (1, &[f64::NAN])] {
            assert!(matches!(atoms(n, masses), Err(StartError::Atoms { .. })));
        }
        let draw = |law: &dyn StartLaw| Rows::draw(law, 3, &Whitening::None, &mut StdRng::seed_from_u64(0));
        let none = SampledStart::new(0, 1, |_: &mut dyn Rng, _: &mut [f64], _: &mut [f64]| ());
        assert!(matches!(draw(&none), Err(StartError::Shape { features: 0, neurons: 1 })));
        let nan = SampledStart::new(1, 1, |_: &mut dyn Rng, u: &mut [f64], _: &mut [f64]| u[0] = f64::NAN);
        assert!(matches!(draw(&nan), Err(StartError::NotFinite { row: 0 })));
    }
}
