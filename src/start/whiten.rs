//! Giving drawn rows the wanted second moments exactly, by the smallest linear change.

use nalgebra::DMatrix;

use crate::Scalar;
use crate::numerics::eigen::symmetric_eigen;
use crate::numerics::largest::largest_size;
use crate::numerics::matrix::square_root;
use crate::start::{Rows, StartError};
use crate::state::OrderParameters;

/// Which second moments drawn rows are given exactly. Drawn rows have them up to 1/√N by themselves, and the linear map
/// that does the rest is as close to the identity.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Whitening<T: Scalar = f64> {
    /// None: rows stay independent.
    None,
    /// UᵀU/N = I, as theory §1 has it.
    #[default]
    Features,
    /// UᵀU/N = I, UᵀW/N = Q₀ and WᵀW/N = R₀.
    State(OrderParameters<T>),
}

impl<T: Scalar> Rows<T> {
    /// Gives the rows those second moments: u ← G_u^{-1/2} u with G_u = UᵀU/N; then w ← Q₀ᵀu + Aᵀe, with e the part of w
    /// orthogonal to the features and A the symmetric matrix that turns the covariance of e into R₀ − Q₀ᵀQ₀ (the
    /// optimal transport between Gaussians).
    ///
    /// # Errors
    /// [`StartError::WeightsShape`] unless there are as many weights as features; [`StartError::Shape`] if the state has other shapes, [`StartError::Rows`] for fewer than p rows (p + m for a
    /// state), [`StartError::Degenerate`] if the rows span too few directions.
    pub fn whiten(&mut self, whitening: &Whitening<T>) -> Result<(), StartError> {
        let (n, p) = self.features.shape();
        let m = self.weights.ncols();
        if self.weights.nrows() != n {
            let (rows, columns) = self.weights.shape();
            return Err(StartError::WeightsShape { dimension: n, neurons: m, rows, columns });
        }
        let least = match whitening {
            Whitening::None => return Ok(()),
            Whitening::Features => p,
            Whitening::State(_) => p + m,
        };
        if n < least {
            return Err(StartError::Rows { count: n, least });
        }
        let scale = T::one() / T::of_usize(n);
        // A second pass takes away what rounding left of the first one on ill-conditioned rows.
        for _ in 0..2 {
            let gram = self.features.tr_mul(&self.features) * scale;
            let inverse = inverse_root(&gram);
            let Some(inverse) = inverse else { return Err(StartError::Degenerate { what: "features" }) };
            self.features = &self.features * inverse;
        }
        let Whitening::State(state) = whitening else { return Ok(()) };
        if (state.n_features(), state.n_neurons()) != (p, m) {
            return Err(StartError::Shape { features: state.n_features(), neurons: state.n_neurons() });
        }
        let wanted = state.background();
        let mut rest = self.weights.clone();
        for _ in 0..2 {
            rest -= &self.features * (self.features.tr_mul(&rest) * scale);
            let gram = rest.tr_mul(&rest) * scale;
            let reached = transport(&gram, (&wanted, state.root_tolerance())).map(|map| &rest * map);
            let Some(reached) = reached else { return Err(StartError::Degenerate { what: "weights" }) };
            rest = reached;
        }
        let miss = largest_size((rest.tr_mul(&rest) * scale - &wanted).iter().copied());
        if !(miss <= T::lit(MISSED_ULPS) * T::EPSILON * state.r().amax()) {
            return Err(StartError::Degenerate { what: "weights" });
        }
        self.weights = &self.features * state.q() + rest;
        Ok(())
    }
}

/// Eigenvalues of a Gram matrix that are so many ulp of its largest entry are zero but for rounding.
const SINGULAR_ULPS: f64 = 64.0;

/// By how many ulp of the largest entry second moments may be off, which are sums over all rows.
const MISSED_ULPS: f64 = 1e4;

/// The inverse square root of a Gram matrix; `None` if it is singular to rounding.
fn inverse_root<T: Scalar>(gram: &DMatrix<T>) -> Option<DMatrix<T>> {
    let eigen = symmetric_eigen(gram.clone())?;
    let least = T::lit(SINGULAR_ULPS) * T::EPSILON * gram.amax();
    if !eigen.eigenvalues.iter().all(|x| *x > least) {
        return None;
    }
    let roots = eigen.eigenvalues.map(|x| T::one() / x.sqrt());
    Some(&eigen.eigenvectors * DMatrix::from_diagonal(&roots) * eigen.eigenvectors.transpose())
}

/// The symmetric A with A G A = B, A = G^{-1/2} (G^{1/2} B G^{1/2})^{1/2} G^{-1/2}; directions in which G is singular to
/// rounding are dropped, and whether B needs them is left to the caller to check. `None` if an eigenvalue iteration fails, or
/// B has eigenvalues below −`tolerance`, or G such as rounding does not explain.
fn transport<T: Scalar>(from: &DMatrix<T>, (to, tolerance): (&DMatrix<T>, T)) -> Option<DMatrix<T>> {
    let eigen = symmetric_eigen(from.clone())?;
    let least = T::lit(SINGULAR_ULPS) * T::EPSILON * from.amax();
    let inverse = eigen.eigenvalues.map(|x| if x > least { T::one() / x.sqrt() } else { T::zero() });
    let inverse = &eigen.eigenvectors * DMatrix::from_diagonal(&inverse) * eigen.eigenvectors.transpose();
    let rounding = T::lit(MISSED_ULPS) * T::EPSILON * from.amax();
    let root = square_root(from, rounding).ok()?;
    // G turns the tolerance of B into itself times at most its trace.
    let product = square_root(&(&root * to * &root), tolerance * from.trace()).ok()?;
    Some(&inverse * product * &inverse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::start::{DiscreteStart, FeatureLaw, Features, LinearGaussianStart};
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn whitened_rows_have_the_wanted_second_moments_and_are_features_of_sgd() {
        let inner = OrderParameters::from_rows(2, 2, &[0.5, 0.1, -0.2, 0.3], &[1.0, 0.25, 0.25, 0.8]).unwrap();
        // R − QᵀQ singular: once in one direction, once in all.
        let edge = OrderParameters::from_rows(2, 2, &[0.6, 0.6, 0.0, 0.0], &[1.0, 1.0, 1.0, 1.0]).unwrap();
        let span = OrderParameters::from_rows(2, 2, &[0.6, 0.0, 0.0, 0.5], &[0.36, 0.0, 0.0, 0.25]).unwrap();
        for state in [inner, edge, span] {
            for law in [FeatureLaw::gaussian(), FeatureLaw::sparse(0.2).unwrap()] {
                let law = LinearGaussianStart::new(law, &state).unwrap();
                let whitening = Whitening::State(state.clone());
                let rows = Rows::draw(&law, 500, &whitening, &mut StdRng::seed_from_u64(1)).unwrap();
                let got = rows.order_parameters().unwrap();
                assert!((got.q() - state.q()).amax() < 1e-14 && (got.r() - state.r()).amax() < 1e-14);
                assert!(Features::from_matrix(rows.features.clone()).is_ok());
                // The change is of the order of the sampling error.
                let raw = Rows::draw(&law, 500, &Whitening::None, &mut StdRng::seed_from_u64(1)).unwrap();
                assert!((&rows.features - &raw.features).norm() / raw.features.norm() < 0.15);
                assert!((&rows.weights - &raw.weights).norm() / raw.weights.norm() < 0.15);
            }
        }
    }

    #[test]
    fn rows_that_cannot_be_whitened_are_rejected() {
        let state = OrderParameters::from_rows(1, 1, &[0.5], &[1.0]).unwrap();
        let draw = |atoms: &[f64], weights: &[f64], count: usize, whitening: &Whitening| {
            let (u, w) = (DMatrix::from_row_slice(1, 2, atoms), DMatrix::from_row_slice(1, 2, weights));
            let law = DiscreteStart::new(u, w, vec![0.5, 0.5]).unwrap();
            Rows::draw(&law, count, whitening, &mut StdRng::seed_from_u64(2))
        };
        let exact = Whitening::State(state);
        let degenerate = |what| Err(StartError::Degenerate { what });
        assert_eq!(draw(&[0.0, 0.0], &[1.0, -1.0], 10, &Whitening::Features), degenerate("features"));
        // Weights that are a multiple of the feature have no background to be scaled.
        assert_eq!(draw(&[1.0, -1.0], &[1.0, -1.0], 10, &exact), degenerate("weights"));
        assert_eq!(draw(&[1.0, -1.0], &[1.0, 1.0], 1, &exact), Err(StartError::Rows { count: 1, least: 2 }));
        let wide = OrderParameters::from_rows(2, 1, &[0.5, 0.0], &[1.0]).unwrap();
        let other = draw(&[1.0, -1.0], &[1.0, 1.0], 10, &Whitening::State(wide));
        assert_eq!(other, Err(StartError::Shape { features: 2, neurons: 1 }));
    }

    /// Of all maps that give the covariance wanted the symmetric one moves the rows least.
    #[test]
    fn the_map_between_covariances_is_symmetric() {
        let from = DMatrix::from_row_slice(2, 2, &[1.0, 0.4, 0.4, 0.5]);
        let to = DMatrix::from_row_slice(2, 2, &[0.7, -0.3, -0.3, 2.0]);
        let map = transport(&from, (&to, 1e-12)).unwrap();
        assert!((&map - map.transpose()).amax() < 1e-14);
        assert!((&map * &from * &map - &to).amax() < 1e-13);
        let indefinite = DMatrix::from_row_slice(2, 2, &[0.7, -0.3, -0.3, 0.1]);
        assert_eq!(transport(&from, (&indefinite, 1e-12)), None);
    }
}
