//! How the state at t = 0 varies from run to run.

use nalgebra::DMatrix;

use crate::Scalar;
use crate::fluctuation::FluctuationError;
use crate::numerics::matrix::smallest_eigenvalue;
use crate::stability::pairs;
use crate::state::OrderParameters;

/// How the state at t = 0 varies from run to run: N times its covariance.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub enum StartCovariance<T: Scalar = f64> {
    /// Not at all: every run starts at the same overlaps.
    #[default]
    Fixed,
    /// As that of weights whose N components are independent Gaussian vectors, whatever the features: an uninformative start with
    /// Q = 0 and R their covariance (see [`OrderParameters::uninformative`]). Cov(Q_li, Q_kj) = R_ij/N for l = k and
    /// Cov(R_ij, R_kl) = (R_ik R_jl + R_il R_jk)/N.
    Uninformative,
    /// N times the covariance of the packed state, n x n.
    Given(DMatrix<T>),
}

/// How negative an eigenvalue may be to rounding, in ulp of the largest entry.
const ROUNDINGS: f64 = 1024.0;

impl<T: Scalar> StartCovariance<T> {
    /// The covariance of the packed state before a constraint projects it.
    pub(super) fn at(&self, state: &OrderParameters<T>) -> Result<DMatrix<T>, FluctuationError<T>> {
        let (n, m) = (state.packed_len(), state.n_neurons());
        let overlaps = state.n_features() * m;
        match self {
            Self::Fixed => Ok(DMatrix::zeros(n, n)),
            Self::Uninformative if state.q().iter().any(|&q| q != T::zero()) => Err(FluctuationError::Overlaps),
            Self::Uninformative => {
                let r = state.r();
                let pairs: Vec<(usize, usize)> = pairs(m).collect();
                Ok(DMatrix::from_fn(n, n, |x, y| {
                    if x < overlaps && y < overlaps {
                        return if x / m == y / m { r[(x % m, y % m)] } else { T::zero() };
                    }
                    if x < overlaps || y < overlaps {
                        return T::zero();
                    }
                    let ((i, j), (k, l)) = (pairs[x - overlaps], pairs[y - overlaps]);
                    r[(i, k)] * r[(j, l)] + r[(i, l)] * r[(j, k)]
                }))
            }
            Self::Given(covariance) => {
                let wrong = FluctuationError::StartCovariance {
                    expected: n,
                    rows: covariance.nrows(),
                    columns: covariance.ncols(),
                };
                if covariance.shape() != (n, n) {
                    return Err(wrong);
                }
                let rounding = T::lit(ROUNDINGS) * T::EPSILON * covariance.amax();
                let symmetric = (covariance - covariance.transpose()).amax() <= rounding;
                let positive = smallest_eigenvalue(covariance) >= -rounding;
                if symmetric && positive { Ok(covariance.clone()) } else { Err(wrong) }
            }
        }
    }
}
