//! The features U (theory §1) and weights with given order parameters.

use nalgebra::DMatrix;
use rand::Rng;

use crate::Scalar;
use crate::start::StartError;
use crate::state::OrderParameters;

/// The features U, N x p, with UᵀU = N·I: orthogonal columns with components of order one.
#[derive(Debug, Clone, PartialEq)]
pub struct Features<T: Scalar = f64> {
    matrix: DMatrix<T>,
}

impl<T: Scalar> Features<T> {
    /// Random features: √N times the Q of a QR decomposition of Gaussian columns, so U is uniform over all
    /// orthogonal frames.
    ///
    /// # Errors
    /// [`StartError::Dimension`] unless 1 ≤ p ≤ N.
    pub fn random<G: Rng + ?Sized>(dimension: usize, features: usize, rng: &mut G) -> Result<Self, StartError> {
        if features == 0 || features > dimension {
            return Err(StartError::Dimension { dimension, least: features.max(1) });
        }
        let mut matrix = orthonormal(None, dimension, features, rng);
        matrix *= T::of_usize(dimension).sqrt();
        Ok(Self { matrix })
    }

    /// The user's own features, N x p.
    ///
    /// # Errors
    /// [`StartError::Dimension`] for an empty matrix or p > N; [`StartError::NotOrthogonal`] if an entry of UᵀU/N − I
    /// exceeds 10³ ulp times √N.
    pub fn from_matrix(matrix: DMatrix<T>) -> Result<Self, StartError> {
        let (n, p) = matrix.shape();
        if p == 0 || p > n {
            return Err(StartError::Dimension { dimension: n, least: p.max(1) });
        }
        let gram = matrix.tr_mul(&matrix) / T::of_usize(n);
        let tolerance = T::lit(ORTHOGONAL_ULPS) * T::EPSILON * T::of_usize(n).sqrt();
        for k in 0..p {
            for l in 0..=k {
                let expected = if k == l { T::one() } else { T::zero() };
                let error = (gram[(k, l)] - expected).abs();
                if !(error <= tolerance) {
                    return Err(StartError::NotOrthogonal { first: l, second: k, value: gram[(k, l)].as_f64() });
                }
            }
        }
        Ok(Self { matrix })
    }

    /// U, N x p.
    #[must_use]
    pub fn matrix(&self) -> &DMatrix<T> {
        &self.matrix
    }

    /// N.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.matrix.nrows()
    }

    /// p.
    #[must_use]
    pub fn n_features(&self) -> usize {
        self.matrix.ncols()
    }

    /// Weights W, N x m, whose order parameters are `state` exactly (to rounding), uniform over all such weights:
    /// W = U Q + √N E Vᵀ with V Vᵀ = R − QᵀQ and a random frame E orthogonal to U.
    ///
    /// # Errors
    /// [`StartError::Model`] if the state has another number of features; [`StartError::Dimension`] if
    /// N < p + m; [`StartError::Infeasible`] if R − QᵀQ is negative by more than rounding.
    pub fn weights<G: Rng + ?Sized>(&self, state: &OrderParameters<T>, rng: &mut G) -> Result<DMatrix<T>, StartError> {
        let (n, p) = self.matrix.shape();
        let m = state.n_neurons();
        if state.n_features() != p {
            return Err(StartError::Model {
                features: p,
                neurons: m,
                start_features: state.n_features(),
                start_neurons: m,
            });
        }
        if n < p + m {
            return Err(StartError::Dimension { dimension: n, least: p + m });
        }
        let frame = orthonormal(Some(&self.matrix), n, m, rng);
        let mut weights = &self.matrix * state.q();
        let background = state.background_root()?;
        weights += frame * background * T::of_usize(n).sqrt();
        Ok(weights)
    }
}

/// How far UᵀU/N may be from I, in ulp times √N: rounding in sums of N terms adds up like a random walk.
const ORTHOGONAL_ULPS: f64 = 1e3;

/// `count` random orthonormal columns of length n, orthogonal to the columns of `avoid` (orthogonal, squared norm n).
fn orthonormal<T: Scalar, G: Rng + ?Sized>(
    avoid: Option<&DMatrix<T>>,
    n: usize,
    count: usize,
    rng: &mut G,
) -> DMatrix<T> {
    let mut columns = DMatrix::from_fn(n, count, |_, _| T::standard_normal(rng));
    // Projecting twice makes the columns orthogonal to rounding even where one projection loses digits.
    let project = |columns: &mut DMatrix<T>| {
        if let Some(u) = avoid {
            let overlap = u.tr_mul(columns) / T::of_usize(n);
            *columns -= u * overlap;
        }
    };
    project(&mut columns);
    project(&mut columns);
    let mut frame = columns.qr().q();
    project(&mut frame);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn features_are_orthogonal_and_checked() {
        let mut rng = StdRng::seed_from_u64(1);
        let features = Features::<f64>::random(200, 3, &mut rng).unwrap();
        assert_eq!((features.dimension(), features.n_features()), (200, 3));
        assert!(Features::from_matrix(features.matrix().clone()).is_ok());
        let skew = features.matrix() * DMatrix::from_row_slice(3, 3, &[1.0, 1e-6, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
        assert!(matches!(Features::from_matrix(skew), Err(StartError::NotOrthogonal { first: 0, second: 1, .. })));
        assert!(matches!(Features::<f64>::random(3, 4, &mut rng), Err(StartError::Dimension { .. })));
        assert!(matches!(Features::<f64>::random(3, 0, &mut rng), Err(StartError::Dimension { .. })));
    }

    #[test]
    fn weights_have_the_wanted_order_parameters_exactly() {
        let mut rng = StdRng::seed_from_u64(2);
        let features = Features::<f64>::random(50, 2, &mut rng).unwrap();
        let inner = OrderParameters::from_rows(2, 2, &[0.2, 0.25, 0.1, 0.3], &[1.0, 0.2, 0.2, 1.1]).unwrap();
        let edge = OrderParameters::from_rows(2, 1, &[0.6, 0.8], &[1.0]).unwrap();
        for state in [inner, edge] {
            let weights = features.weights(&state, &mut rng).unwrap();
            let got = OrderParameters::from_weights(features.matrix(), &weights).unwrap();
            assert!((got.q() - state.q()).amax() < 1e-14 && (got.r() - state.r()).amax() < 1e-14);
        }
    }

    #[test]
    fn states_that_do_not_fit_are_rejected() {
        let mut rng = StdRng::seed_from_u64(3);
        let features = Features::<f64>::random(4, 2, &mut rng).unwrap();
        let other = OrderParameters::from_rows(1, 1, &[0.2], &[1.0]).unwrap();
        assert!(matches!(features.weights(&other, &mut rng), Err(StartError::Model { .. })));
        let many = OrderParameters::new(DMatrix::zeros(2, 3), DMatrix::identity(3, 3)).unwrap();
        assert!(matches!(features.weights(&many, &mut rng), Err(StartError::Dimension { .. })));
    }
}
