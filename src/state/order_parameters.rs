//! The order parameters (theory §2): overlaps Q = UᵀW/N and covariance of the weights R = WᵀW/N.
//!
//! Covers the one state type that every simulator and solver starts from and reports, how it is made and read. Not here:
//! which pairs are states (see `feasibility`), and how they move.

use std::fmt;

use nalgebra::{DMatrix, DVector};
use rand::Rng;

use crate::Scalar;
use crate::numerics::matrix::{inverse_root, smallest_eigenvalue};
use crate::numerics::memory::fits;
use crate::random::bartlett_factor;
use crate::state::OrderParametersError;
use crate::state::feasibility::check_symmetric;
use crate::state::packed::{pack, packed_len, unpack};
#[cfg(feature = "serde")]
use crate::state::stored::StoredState;

/// The order parameters (Q, R) of p features and m neurons.
///
/// Q_li = u_l·w_i/N is the overlap of neuron i with feature l (p x m), R_ij = w_i·w_j/N the covariance of the weights
/// (m x m, symmetric). Some weights have these order parameters iff R − QᵀQ is positive semidefinite, which the
/// constructor checks to rounding: to 10⁴ ulp with each neuron in units of its norm √R_ii, but of no less than 1 (or than
/// the largest norm, if that is less).
///
/// ```
/// use contrastive_dynamics::state::OrderParameters;
/// let state = OrderParameters::from_rows(2, 1, &[0.3, 0.4], &[1.0])?;
/// assert_eq!(state.cosine_similarity(1, 0), Some(0.4));
/// assert!(OrderParameters::from_rows(2, 1, &[0.8, 0.8], &[1.0]).is_err());
/// println!("{state}"); // Q and R as matrices, to five digits
/// # Ok::<(), contrastive_dynamics::state::OrderParametersError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "StoredState<T>", into = "StoredState<T>"))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "T: serde::Serialize", deserialize = "T: serde::Deserialize<'de>"))
)]
pub struct OrderParameters<T: Scalar = f64> {
    q: DMatrix<T>,
    r: DMatrix<T>,
}

impl<T: Scalar> OrderParameters<T> {
    /// The state with overlaps `q` (p x m) and weight covariance `r` (m x m).
    ///
    /// # Errors
    /// [`OrderParametersError::Shape`], [`OrderParametersError::NotFinite`], [`OrderParametersError::NotSymmetric`] (to
    /// 64 ulp, in units as for feasibility) and [`OrderParametersError::Infeasible`].
    pub fn new(q: DMatrix<T>, r: DMatrix<T>) -> Result<Self, OrderParametersError> {
        let state = Self::symmetric(q, r)?;
        state.check_given()?;
        Ok(state)
    }

    /// Q and R of matching shapes, finite, R symmetric, but not yet known to be feasible.
    pub(super) fn symmetric(q: DMatrix<T>, mut r: DMatrix<T>) -> Result<Self, OrderParametersError> {
        let (p, m) = q.shape();
        if p == 0 || m == 0 || r.shape() != (m, m) {
            return Err(OrderParametersError::Shape { q: q.shape(), r: r.shape() });
        }
        if !q.iter().chain(r.iter()).all(nalgebra::ComplexField::is_finite) {
            return Err(OrderParametersError::NotFinite);
        }
        check_symmetric(&r)?;
        for i in 0..m {
            for j in 0..i {
                let mean = T::lit(0.5) * (r[(i, j)] + r[(j, i)]);
                r[(i, j)] = mean;
                r[(j, i)] = mean;
            }
        }
        Ok(Self { q, r })
    }

    /// The state from slices: Q row by row (p·m entries), R row by row (m·m entries).
    ///
    /// # Errors
    /// [`OrderParametersError::Shape`] for no features or no neurons, [`OrderParametersError::Length`] for another number of
    /// entries; then as [`new`](Self::new).
    pub fn from_rows(features: usize, neurons: usize, q: &[T], r: &[T]) -> Result<Self, OrderParametersError> {
        check_not_empty(features, neurons)?;
        check_length("Q", features.saturating_mul(neurons), q)?;
        check_length("R", neurons.saturating_mul(neurons), r)?;
        Self::new(DMatrix::from_row_slice(features, neurons, q), DMatrix::from_row_slice(neurons, neurons, r))
    }

    /// The state of given features U (N x p, columns of squared norm N) and weights W (N x m).
    ///
    /// # Errors
    /// [`OrderParametersError::Dimension`] if the numbers of rows differ or are 0, as of a matrix that is transposed; then as
    /// [`new`](Self::new). Features that are not orthogonal can give an infeasible state.
    pub fn from_weights(features: &DMatrix<T>, weights: &DMatrix<T>) -> Result<Self, OrderParametersError> {
        if features.nrows() != weights.nrows() || features.nrows() == 0 {
            return Err(OrderParametersError::Dimension { features: features.shape(), weights: weights.shape() });
        }
        let scale = T::one() / T::of_usize(features.nrows());
        Self::new(features.tr_mul(weights) * scale, weights.tr_mul(weights) * scale)
    }

    /// A random uninformative start: the exact law of (Q, R) for weights whose N rows are independent Gaussian
    /// vectors of covariance `r` (m x m), so Q is of order 1/√N and R is `r` up to fluctuations of that order.
    ///
    /// # Errors
    /// [`OrderParametersError::Shape`] if `r` is not square, or p = 0; [`OrderParametersError::TooFewDimensions`] if
    /// N < p + m; [`OrderParametersError::Memory`] for too many features; [`OrderParametersError::NotSymmetric`] and [`OrderParametersError::Infeasible`] if `r` is not symmetric
    /// and positive definite.
    pub fn uninformative<G: Rng + ?Sized>(
        features: usize,
        r: &DMatrix<T>,
        dimension: usize,
        rng: &mut G,
    ) -> Result<Self, OrderParametersError> {
        let m = r.nrows();
        if features == 0 || m == 0 || r.ncols() != m {
            return Err(OrderParametersError::Shape { q: (features, m), r: r.shape() });
        }
        let least = features.saturating_add(m);
        if dimension < least {
            return Err(OrderParametersError::TooFewDimensions { dimension, least });
        }
        if !fits::<T>(features, m) {
            return Err(OrderParametersError::Memory { features, neurons: m });
        }
        if !r.iter().all(nalgebra::ComplexField::is_finite) {
            return Err(OrderParametersError::NotFinite);
        }
        check_symmetric(r)?;
        let Some(factor) = r.clone().cholesky().map(|c| c.l()) else {
            return Err(OrderParametersError::Infeasible {
                eigenvalue: smallest_eigenvalue(r).as_f64(),
                tolerance: 0.0,
            });
        };
        // W = G Lᵀ with G standard: along the features p rows of G, in the background a Wishart of N − p degrees.
        let scale = T::one() / T::of_usize(dimension).sqrt();
        let q = DMatrix::from_fn(features, m, |_, _| T::standard_normal(rng)) * factor.transpose() * scale;
        let bartlett = &factor * bartlett_factor(m, dimension - features, rng) * scale;
        let r = q.tr_mul(&q) + &bartlett * bartlett.transpose();
        Ok(Self::from_parts(q, r))
    }

    /// A state that an integrator or simulator reached: its own error control answers for it.
    pub(crate) fn from_parts(q: DMatrix<T>, r: DMatrix<T>) -> Self {
        Self { q, r }
    }

    /// The state of the same directions on the sphere: every weight vector scaled to R_ii = 1, so Q_li/√R_ii and
    /// R_ij/√(R_ii R_jj). What is on the sphere to rounding stays as it is.
    ///
    /// ```
    /// use contrastive_dynamics::state::OrderParameters;
    /// let state = OrderParameters::from_rows(1, 1, &[0.4], &[0.64])?;
    /// assert_eq!(state.normalised()?, OrderParameters::from_rows(1, 1, &[0.5], &[1.0])?);
    /// # Ok::<(), contrastive_dynamics::state::OrderParametersError>(())
    /// ```
    ///
    /// # Errors
    /// [`OrderParametersError::ZeroNeuron`] for a neuron of norm zero.
    pub fn normalised(&self) -> Result<Self, OrderParametersError> {
        if self.check_on_sphere().is_ok() {
            return Ok(self.clone());
        }
        let norms: Vec<T> = self.r.diagonal().iter().map(|r| r.sqrt()).collect();
        if let Some(neuron) = norms.iter().position(|norm| !(*norm > T::zero())) {
            return Err(OrderParametersError::ZeroNeuron { neuron });
        }
        let q = DMatrix::from_fn(self.n_features(), self.n_neurons(), |l, i| self.q[(l, i)] / norms[i]);
        let r = DMatrix::from_fn(self.n_neurons(), self.n_neurons(), |i, j| {
            if i == j { T::one() } else { self.r[(i, j)] / (norms[i] * norms[j]) }
        });
        Ok(Self { q, r })
    }

    /// The state of orthonormal weights nearest to these, W (WᵀW/N)^(−1/2): Q R^(−1/2) and I. What is orthonormal to rounding
    /// stays as it is.
    ///
    /// ```
    /// use contrastive_dynamics::state::OrderParameters;
    /// let state = OrderParameters::from_rows(1, 2, &[0.4, 0.0], &[1.0, 0.6, 0.6, 1.0])?.orthonormalised()?;
    /// assert!(state.check_orthonormal().is_ok() && state.q()[(0, 1)] < 0.0);
    /// # Ok::<(), contrastive_dynamics::state::OrderParametersError>(())
    /// ```
    ///
    /// # Errors
    /// [`OrderParametersError::DependentNeurons`] if R is singular.
    pub fn orthonormalised(&self) -> Result<Self, OrderParametersError> {
        if self.check_orthonormal().is_ok() {
            return Ok(self.clone());
        }
        let correction = inverse_root(&self.r).ok_or(OrderParametersError::DependentNeurons)?;
        let m = self.n_neurons();
        Ok(Self { q: &self.q * correction, r: DMatrix::identity(m, m) })
    }

    /// The overlaps Q, p x m.
    #[must_use]
    pub fn q(&self) -> &DMatrix<T> {
        &self.q
    }

    /// The weight covariance R, m x m.
    #[must_use]
    pub fn r(&self) -> &DMatrix<T> {
        &self.r
    }

    /// The number p of features.
    #[must_use]
    pub fn n_features(&self) -> usize {
        self.q.nrows()
    }

    /// The number m of neurons.
    #[must_use]
    pub fn n_neurons(&self) -> usize {
        self.q.ncols()
    }

    /// R − QᵀQ: the covariance of the weights' background part, m x m.
    #[must_use]
    pub fn background(&self) -> DMatrix<T> {
        &self.r - self.q.tr_mul(&self.q)
    }

    /// The cosine similarity Q_li/√R_ii of neuron `neuron` with feature `feature`; `None` for a neuron of norm zero
    /// or an index out of range.
    ///
    /// ```
    /// use contrastive_dynamics::state::OrderParameters;
    /// let state = OrderParameters::from_rows(1, 1, &[0.4], &[0.64])?;
    /// // How far it is from 0.9, as an event asks for it.
    /// let distance = state.cosine_similarity(0, 0).unwrap_or(0.0) - 0.9;
    /// assert!((distance + 0.4_f64).abs() < 1e-15);
    /// # Ok::<(), contrastive_dynamics::state::OrderParametersError>(())
    /// ```
    #[must_use]
    pub fn cosine_similarity(&self, feature: usize, neuron: usize) -> Option<T> {
        let (q, r) = (self.q.get((feature, neuron))?, self.r.get((neuron, neuron))?);
        (*r > T::zero()).then(|| *q / r.sqrt())
    }

    /// The number of independent entries, p·m + m(m+1)/2.
    #[must_use]
    pub fn packed_len(&self) -> usize {
        packed_len(self.n_features(), self.n_neurons())
    }

    /// The independent entries in one vector: Q row by row, then the upper triangle of R row by row.
    #[must_use]
    pub fn to_packed(&self) -> DVector<T> {
        let mut packed = DVector::zeros(self.packed_len());
        pack(&self.q, &self.r, packed.as_mut_slice());
        packed
    }

    /// The state from its packed form (see [`to_packed`](Self::to_packed)).
    ///
    /// # Errors
    /// [`OrderParametersError::Shape`] for no features or no neurons, [`OrderParametersError::Length`] if the length is not
    /// p·m + m(m+1)/2; then as [`new`](Self::new).
    pub fn from_packed(features: usize, neurons: usize, packed: &[T]) -> Result<Self, OrderParametersError> {
        check_not_empty(features, neurons)?;
        check_length("a packed state", packed_len(features, neurons), packed)?;
        let (q, r) = unpack(features, neurons, packed);
        Self::new(q, r)
    }
}

fn check_not_empty(features: usize, neurons: usize) -> Result<(), OrderParametersError> {
    if features > 0 && neurons > 0 {
        return Ok(());
    }
    Err(OrderParametersError::Shape { q: (features, neurons), r: (neurons, neurons) })
}

fn check_length<T>(name: &'static str, expected: usize, slice: &[T]) -> Result<(), OrderParametersError> {
    if slice.len() == expected {
        return Ok(());
    }
    Err(OrderParametersError::Length { name, expected, got: slice.len() })
}

/// Q and R as matrices with aligned columns, to the precision asked for (`{:.3}`), or to five digits.
impl<T: Scalar> fmt::Display for OrderParameters<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let precision = f.precision().unwrap_or(5);
        let rows = |matrix: &DMatrix<T>| -> Vec<Vec<String>> {
            let row = |row: DVector<T>| row.iter().map(|x| format!("{:.precision$}", x.as_f64())).collect();
            matrix.row_iter().map(|entries| row(entries.transpose())).collect()
        };
        let (q, r) = (rows(&self.q), rows(&self.r));
        let width = q.iter().chain(&r).flatten().map(String::len).max().unwrap_or(0);
        for (name, rows) in [("Q", &q), ("R", &r)] {
            for (k, row) in rows.iter().enumerate() {
                let last = name == "R" && k + 1 == rows.len();
                write!(f, "{} [", if k == 0 { name } else { " " })?;
                row.iter().try_for_each(|x| write!(f, " {x:>width$}"))?;
                write!(f, " ]{}", if last { "" } else { "\n" })?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn bad_states_are_rejected_each_with_its_error() {
        type E = OrderParametersError;
        let state = OrderParameters::<f64>::from_rows;
        let long = state(1, 1, &[0.1, 0.2], &[1.0]).unwrap_err();
        assert_eq!(long, E::Length { name: "Q", expected: 1, got: 2 });
        let short = state(2, 2, &[0.1, 0.2, 0.1, 0.2], &[1.0]).unwrap_err();
        assert_eq!(short.to_string(), "R must have 4 numbers here, got 1");
        assert!(matches!(
            OrderParameters::new(DMatrix::<f64>::zeros(1, 2), DMatrix::zeros(1, 1)),
            Err(E::Shape { .. })
        ));
        assert!(matches!(state(1, 1, &[f64::NAN], &[1.0]), Err(E::NotFinite)));
        assert!(matches!(state(1, 1, &[0.0], &[f64::INFINITY]), Err(E::NotFinite)));
        assert!(matches!(state(1, 2, &[0.0, 0.0], &[1.0, 0.1, 0.2, 1.0]), Err(E::NotSymmetric { .. })));
        let Err(E::Infeasible { eigenvalue, .. }) = state(1, 1, &[1.1], &[1.0]) else { panic!() };
        assert!((eigenvalue + 0.21).abs() < 1e-12, "says by how much: {eigenvalue}");
        assert!(OrderParameters::from_packed(1, 1, &[0.1, 1.0, 0.0]).is_err());
        let (u, w) = (DMatrix::<f64>::zeros(3, 1), DMatrix::<f64>::zeros(4, 1));
        assert!(matches!(OrderParameters::from_weights(&u, &w), Err(E::Dimension { .. })));
    }

    #[test]
    fn a_transposed_matrix_is_told_so() {
        let (u, w) = (DMatrix::<f64>::zeros(2, 9), DMatrix::<f64>::zeros(9, 3));
        let error = OrderParameters::from_weights(&u, &w).unwrap_err().to_string();
        assert!(error.contains("got 2 x 9 and 9 x 3: the features are transposed"), "{error}");
        let error = OrderParameters::from_weights(&u.transpose(), &w.transpose()).unwrap_err().to_string();
        assert!(error.contains("the weights are transposed"), "{error}");
    }

    #[test]
    fn a_state_is_scaled_to_the_sphere_and_one_off_it_is_told_how() {
        let state = OrderParameters::from_rows(1, 2, &[0.4, 0.1], &[0.64, 0.4, 0.4, 4.0]).unwrap();
        let on = state.normalised().unwrap();
        assert_eq!(on, OrderParameters::from_rows(1, 2, &[0.5, 0.05], &[1.0, 0.25, 0.25, 1.0]).unwrap());
        assert_eq!((on.check_on_sphere(), on.normalised().unwrap()), (Ok(()), on));
        let off = state.check_on_sphere().unwrap_err();
        assert!(off.to_string().contains("got R_00 = 0.64: use `OrderParameters::normalised`"), "{off}");
        let zero = OrderParameters::from_rows(1, 2, &[0.4, 0.0], &[0.64, 0.0, 0.0, 0.0]).unwrap();
        assert_eq!(zero.normalised(), Err(OrderParametersError::ZeroNeuron { neuron: 1 }));
    }

    #[test]
    fn states_print_as_matrices() {
        let state = OrderParameters::from_rows(2, 2, &[0.2, -0.25, 0.1, 0.3], &[1.0, 0.2, 0.2, 11.1]).unwrap();
        let expected = "Q [  0.20 -0.25 ]\n  [  0.10  0.30 ]\nR [  1.00  0.20 ]\n  [  0.20 11.10 ]";
        assert_eq!(format!("{state:.2}"), expected);
        assert!(state.to_string().starts_with("Q [  0.20000 -0.25000 ]"));
    }

    #[test]
    fn the_boundary_is_feasible() {
        let state = OrderParameters::<f64>::from_rows(2, 1, &[0.6, 0.8], &[1.0]).unwrap();
        assert!(state.background()[(0, 0)].abs() < 1e-15);
        assert_eq!(OrderParameters::<f64>::from_rows(1, 1, &[0.0], &[0.0]).unwrap().cosine_similarity(0, 0), None);
    }

    #[test]
    fn packing_is_invertible() {
        let state = OrderParameters::from_rows(2, 2, &[0.2, 0.25, 0.1, 0.3], &[1.0, 0.2, 0.2, 1.1]).unwrap();
        let packed = state.to_packed();
        assert_eq!(packed.as_slice(), [0.2, 0.25, 0.1, 0.3, 1.0, 0.2, 1.1]);
        assert_eq!(OrderParameters::from_packed(2, 2, packed.as_slice()).unwrap(), state);
    }

    /// Mean and variance of Q and R of random starts, within 5 standard errors (false alarms below 1e-5 for the six
    /// statistics together); the control shows that one degree of freedom in R would be caught.
    #[test]
    fn uninformative_starts_have_the_moments_of_random_weights() {
        let mut rng = rand::rngs::StdRng::seed_from_u64(5);
        let (n, runs) = (8, 40_000);
        let r = DMatrix::from_row_slice(2, 2, &[1.0, 0.3, 0.3, 0.5]);
        let draws: Vec<_> = (0..runs).map(|_| OrderParameters::uninformative(3, &r, n, &mut rng).unwrap()).collect();
        let mean = |f: &dyn Fn(&OrderParameters) -> f64| draws.iter().map(f).sum::<f64>() / f64::from(runs);
        let z = |f: &dyn Fn(&OrderParameters) -> f64, expected: f64| {
            let average = mean(f);
            let variance = mean(&|s| (f(s) - average).powi(2));
            (average - expected) / (variance / f64::from(runs)).sqrt()
        };
        let n = n as f64;
        assert!(z(&|s| s.q()[(0, 0)], 0.0).abs() < 5.0);
        assert!(z(&|s| s.q()[(1, 0)].powi(2), 1.0 / n).abs() < 5.0);
        assert!(z(&|s| s.q()[(2, 0)] * s.q()[(2, 1)], 0.3 / n).abs() < 5.0);
        assert!(z(&|s| s.r()[(0, 0)], 1.0).abs() < 5.0);
        assert!(z(&|s| s.r()[(0, 1)], 0.3).abs() < 5.0);
        assert!(z(&|s| (s.r()[(0, 0)] - 1.0).powi(2), 2.0 / n).abs() < 5.0);
        assert!(z(&|s| s.r()[(0, 0)], (n - 1.0) / n).abs() > 20.0, "one degree of freedom is caught");
    }

    #[test]
    fn uninformative_starts_need_a_covariance() {
        let mut rng = rand::rngs::StdRng::seed_from_u64(5);
        let bad = DMatrix::from_row_slice(2, 2, &[1.0, 2.0, 2.0, 1.0]);
        assert!(matches!(
            OrderParameters::uninformative(1, &bad, 10, &mut rng),
            Err(OrderParametersError::Infeasible { .. })
        ));
        let skew = DMatrix::from_row_slice(2, 2, &[1.0, 0.5, 0.0, 1.0]);
        let skew = OrderParameters::uninformative(1, &skew, 10, &mut rng);
        assert!(matches!(skew, Err(OrderParametersError::NotSymmetric { .. })));
        let one = DMatrix::from_element(1, 1, 1.0);
        assert!(OrderParameters::uninformative(0, &one, 10, &mut rng).is_err());
        assert!(OrderParameters::uninformative(5, &one, 5, &mut rng).is_err());
    }
}
