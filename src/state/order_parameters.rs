//! The order parameters (theory §2): overlaps Q = UᵀW/N and covariance of the weights R = WᵀW/N.
//!
//! In: the one state type that every simulator and solver starts from and reports. Out: how it moves.

use nalgebra::{DMatrix, DVector};
use rand::Rng;

use crate::Scalar;
use crate::numerics::matrix::smallest_eigenvalue;
use crate::random::bartlett_factor;

/// Why a pair (Q, R) is no state of the model.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OrderParametersError {
    /// The shapes do not fit.
    #[error(
        "Q must be p x m and R m x m with p, m >= 1, got Q {}x{} and R {}x{}",
        .q.0, .q.1, .r.0, .r.1
    )]
    Shape {
        /// Rows and columns of Q.
        q: (usize, usize),
        /// Rows and columns of R.
        r: (usize, usize),
    },
    /// An entry is NaN or infinite.
    #[error("order parameters must be finite")]
    NotFinite,
    /// A neuron has norm zero, and cannot be scaled.
    #[error("neuron {neuron} has norm zero: it cannot be scaled to R_ii = 1")]
    ZeroNeuron {
        /// Which neuron.
        neuron: usize,
    },
    /// R is not symmetric.
    #[error("R must be symmetric: R[({row}, {column})] and its mirror image differ by {difference}")]
    NotSymmetric {
        /// Row of the entry.
        row: usize,
        /// Column of the entry.
        column: usize,
        /// By how much it differs from its mirror image.
        difference: f64,
    },
    /// R − QᵀQ is not positive semidefinite: no weights have these order parameters.
    #[error(
        "R - Q^T Q must be positive semidefinite, but its smallest eigenvalue is {eigenvalue} (tolerance {tolerance})"
    )]
    Infeasible {
        /// The smallest eigenvalue of R − QᵀQ.
        eigenvalue: f64,
        /// How negative it may be.
        tolerance: f64,
    },
    /// Features and weights have different dimensions, or none.
    #[error("features and weights must have the same number N >= 1 of rows, got {features} and {weights}")]
    Dimension {
        /// Rows of U.
        features: usize,
        /// Rows of W.
        weights: usize,
    },
}

/// The order parameters (Q, R) of p features and m neurons.
///
/// Q_li = u_l·w_i/N is the overlap of neuron i with feature l (p x m), R_ij = w_i·w_j/N the covariance of the weights
/// (m x m, symmetric). Some weights have these order parameters iff R − QᵀQ is positive semidefinite, which the
/// constructor checks to [`FEASIBILITY_TOLERANCE`](Self::feasibility_tolerance).
///
/// ```
/// use contrastive_dynamics::OrderParameters;
/// let state = OrderParameters::from_rows(2, 1, &[0.3, 0.4], &[1.0])?;
/// assert_eq!(state.cosine_similarity(1, 0), Some(0.4));
/// assert!(OrderParameters::from_rows(2, 1, &[0.8, 0.8], &[1.0]).is_err());
/// # Ok::<(), contrastive_dynamics::OrderParametersError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct OrderParameters<T: Scalar = f64> {
    q: DMatrix<T>,
    r: DMatrix<T>,
}

impl<T: Scalar> OrderParameters<T> {
    /// The state with overlaps `q` (p x m) and weight covariance `r` (m x m).
    ///
    /// # Errors
    /// See [`OrderParametersError`]: shapes, finiteness, symmetry of R (to 64 ulp of its largest diagonal entry) and
    /// feasibility (see [`feasibility_tolerance`](Self::feasibility_tolerance)).
    pub fn new(q: DMatrix<T>, mut r: DMatrix<T>) -> Result<Self, OrderParametersError> {
        let (p, m) = q.shape();
        if p == 0 || m == 0 || r.shape() != (m, m) {
            return Err(OrderParametersError::Shape { q: q.shape(), r: r.shape() });
        }
        if !q.iter().chain(r.iter()).all(nalgebra::ComplexField::is_finite) {
            return Err(OrderParametersError::NotFinite);
        }
        let scale = (0..m).fold(T::zero(), |s, i| s.max(r[(i, i)].abs()));
        check_symmetric(&r, scale)?;
        for i in 0..m {
            for j in 0..i {
                let mean = T::lit(0.5) * (r[(i, j)] + r[(j, i)]);
                r[(i, j)] = mean;
                r[(j, i)] = mean;
            }
        }
        let state = Self { q, r };
        state.check_feasible(state.feasibility_tolerance())?;
        Ok(state)
    }

    /// The state from slices: Q row by row (p·m entries), R row by row (m·m entries).
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_rows(features: usize, neurons: usize, q: &[T], r: &[T]) -> Result<Self, OrderParametersError> {
        if q.len() != features * neurons || r.len() != neurons * neurons {
            return Err(OrderParametersError::Shape { q: (features, neurons), r: (r.len(), 1) });
        }
        Self::new(DMatrix::from_row_slice(features, neurons, q), DMatrix::from_row_slice(neurons, neurons, r))
    }

    /// The state of given features U (N x p, columns of squared norm N) and weights W (N x m).
    ///
    /// # Errors
    /// [`OrderParametersError::Dimension`] if the numbers of rows differ or are 0; then as [`new`](Self::new). Features
    /// that are not orthogonal can give an infeasible state.
    pub fn from_weights(features: &DMatrix<T>, weights: &DMatrix<T>) -> Result<Self, OrderParametersError> {
        if features.nrows() != weights.nrows() || features.nrows() == 0 {
            return Err(OrderParametersError::Dimension { features: features.nrows(), weights: weights.nrows() });
        }
        let scale = T::one() / T::of_usize(features.nrows());
        Self::new(features.tr_mul(weights) * scale, weights.tr_mul(weights) * scale)
    }

    /// A random uninformative start: the exact law of (Q, R) for weights whose N rows are independent Gaussian
    /// vectors of covariance `r` (m x m), so Q is of order 1/√N and R is `r` up to fluctuations of that order.
    ///
    /// # Errors
    /// [`OrderParametersError::Shape`] if `r` is not square, or p = 0; [`OrderParametersError::Dimension`] if
    /// N < p + m; [`OrderParametersError::NotSymmetric`] and [`OrderParametersError::Infeasible`] if `r` is not symmetric
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
        if dimension < features + m {
            return Err(OrderParametersError::Dimension { features: dimension, weights: features + m });
        }
        if !r.iter().all(nalgebra::ComplexField::is_finite) {
            return Err(OrderParametersError::NotFinite);
        }
        check_symmetric(r, r.amax())?;
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

    /// How negative the smallest eigenvalue of R − QᵀQ may be: 10⁴ ulp of the largest diagonal entry of R
    /// (2e-12 for R = 1 in `f64`).
    #[must_use]
    pub fn feasibility_tolerance(&self) -> T {
        let scale = (0..self.n_neurons()).fold(T::zero(), |s, i| s.max(self.r[(i, i)].abs()));
        T::lit(1e4) * T::EPSILON * scale
    }

    /// Checks that R − QᵀQ ≥ −`tolerance`.
    pub(crate) fn check_feasible(&self, tolerance: T) -> Result<(), OrderParametersError> {
        let eigenvalue = smallest_eigenvalue(&self.background());
        if !(eigenvalue >= -tolerance) {
            return Err(OrderParametersError::Infeasible {
                eigenvalue: eigenvalue.as_f64(),
                tolerance: tolerance.as_f64(),
            });
        }
        Ok(())
    }

    /// The same state with every neuron scaled to R_ii = 1, as the sphere constraint wants it: Q_li/√R_ii and
    /// R_ij/√(R_ii R_jj).
    ///
    /// # Errors
    /// [`OrderParametersError::ZeroNeuron`] for a neuron of norm zero.
    pub fn normalised(&self) -> Result<Self, OrderParametersError> {
        let norms: Vec<T> = (0..self.n_neurons()).map(|i| self.r[(i, i)].sqrt()).collect();
        if let Some(neuron) = norms.iter().position(|norm| !(*norm > T::zero())) {
            return Err(OrderParametersError::ZeroNeuron { neuron });
        }
        let q = DMatrix::from_fn(self.n_features(), self.n_neurons(), |l, i| self.q[(l, i)] / norms[i]);
        let entry = |i: usize, j: usize| if i == j { T::one() } else { self.r[(i, j)] / (norms[i] * norms[j]) };
        Ok(Self { q, r: DMatrix::from_fn(self.n_neurons(), self.n_neurons(), entry) })
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
    /// [`OrderParametersError::Shape`] if the length is not p·m + m(m+1)/2; then as [`new`](Self::new).
    pub fn from_packed(features: usize, neurons: usize, packed: &[T]) -> Result<Self, OrderParametersError> {
        if packed.len() != packed_len(features, neurons) {
            return Err(OrderParametersError::Shape { q: (features, neurons), r: (packed.len(), 1) });
        }
        let (q, r) = unpack(features, neurons, packed);
        Self::new(q, r)
    }
}

/// Checks that mirror-image entries differ by at most 64 ulp of `scale`.
fn check_symmetric<T: Scalar>(r: &DMatrix<T>, scale: T) -> Result<(), OrderParametersError> {
    for i in 0..r.nrows() {
        for j in 0..i {
            let difference = (r[(i, j)] - r[(j, i)]).abs();
            if difference > T::lit(64.0) * T::EPSILON * scale {
                let difference = difference.as_f64();
                return Err(OrderParametersError::NotSymmetric { row: i, column: j, difference });
            }
        }
    }
    Ok(())
}

/// The number of independent entries of (Q, R).
pub(crate) fn packed_len(features: usize, neurons: usize) -> usize {
    features * neurons + neurons * (neurons + 1) / 2
}

/// Writes Q row by row and the upper triangle of R row by row into `packed`.
pub(crate) fn pack<T: Scalar>(q: &DMatrix<T>, r: &DMatrix<T>, packed: &mut [T]) {
    let (p, m) = q.shape();
    let rows = (0..p).flat_map(|l| (0..m).map(move |i| (l, i))).map(|at| q[at]);
    let triangle = (0..m).flat_map(|i| (i..m).map(move |j| (i, j))).map(|at| r[at]);
    for (slot, x) in packed.iter_mut().zip(rows.chain(triangle)) {
        *slot = x;
    }
}

/// The inverse of [`pack`], into existing matrices.
pub(crate) fn unpack_into<T: Scalar>(packed: &[T], q: &mut DMatrix<T>, r: &mut DMatrix<T>) {
    let (p, m) = q.shape();
    let mut entries = packed.iter();
    for l in 0..p {
        for (i, &x) in (0..m).zip(entries.by_ref()) {
            q[(l, i)] = x;
        }
    }
    for i in 0..m {
        for (j, &x) in (i..m).zip(entries.by_ref()) {
            r[(i, j)] = x;
            r[(j, i)] = x;
        }
    }
}

/// The inverse of [`pack`].
pub(crate) fn unpack<T: Scalar>(features: usize, neurons: usize, packed: &[T]) -> (DMatrix<T>, DMatrix<T>) {
    let (mut q, mut r) = (DMatrix::zeros(features, neurons), DMatrix::zeros(neurons, neurons));
    unpack_into(packed, &mut q, &mut r);
    (q, r)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn bad_states_are_rejected_each_with_its_error() {
        type E = OrderParametersError;
        let state = OrderParameters::<f64>::from_rows;
        assert!(matches!(state(1, 1, &[0.1, 0.2], &[1.0]), Err(E::Shape { .. })));
        assert!(matches!(state(1, 2, &[0.1, 0.2], &[1.0]), Err(E::Shape { .. })));
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
