//! The normals of a step: independent, antithetic, or matched to the rows.

use nalgebra::DMatrix;

use crate::Scalar;
use crate::limit::Compiled;
use crate::numerics::eigen::symmetric_eigen;

/// How the normals ξ of the particles are drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Noise {
    /// Independent of one another: averages have a Monte Carlo error of order M^{−1/2}.
    Independent,
    /// Rows n and n + M/2 start equal and get opposite normals: what is odd in the noise cancels. Under L2 that is all of the
    /// noise in Q.
    Antithetic,
    /// Orthogonal over the rows to u, to w and to 1, and of covariance exactly I: a linear change of independent normals by
    /// about M^{−1/2}. Under L2, Q, R and the mean of w then have no Monte Carlo error at all: they follow the reduced ODE up
    /// to the time step.
    #[default]
    Matched,
}

/// The linear change that matches normals to rows: ξ ← (ξ − X c) N, with X the columns u, w and 1.
#[derive(Debug, Clone)]
pub(super) struct Matching<T: Scalar> {
    /// c N, (p + m + 1) x m.
    pub(super) columns: DMatrix<T>,
    /// N, m x m.
    pub(super) normals: DMatrix<T>,
}

impl<T: Compiled> Matching<T> {
    /// From means over the rows: of X Xᵀ, of X ξᵀ and of ξ ξᵀ. `None` if the normals have no part of their own, as there are
    /// too few rows.
    pub(super) fn new(gram: &DMatrix<T>, cross: &DMatrix<T>, own: &DMatrix<T>) -> Option<Self> {
        let c = pseudo_solve(gram, cross)?;
        let rest = own - cross.tr_mul(&c);
        let normals = if rest.len() == 1 {
            let x = rest[0];
            (x > T::zero()).then(|| DMatrix::from_element(1, 1, T::one() / x.sqrt()))?
        } else {
            let eigen = symmetric_eigen(rest)?;
            if !eigen.eigenvalues.iter().all(|x| *x > T::lit(OWN_ULPS) * T::EPSILON) {
                return None;
            }
            let roots = eigen.eigenvalues.map(|x| T::one() / x.sqrt());
            &eigen.eigenvectors * DMatrix::from_diagonal(&roots) * eigen.eigenvectors.transpose()
        };
        Some(Self { columns: c * &normals, normals })
    }
}

/// Normals, of variance 1, whose part orthogonal to the particles has a variance of so many ulp have none but rounding.
const OWN_ULPS: f64 = 64.0;

/// Columns of one length are dependent where an eigenvalue of their Gram matrix is so many ulp: sums over all rows.
const DEPENDENT_ULPS: f64 = 1e4;

/// G⁺ B for a Gram matrix G, its columns brought to one length before directions that are zero to rounding are dropped.
fn pseudo_solve<T: Compiled>(gram: &DMatrix<T>, right: &DMatrix<T>) -> Option<DMatrix<T>> {
    let lengths = gram.diagonal().map(|x| if x > T::zero() { T::one() / x.sqrt() } else { T::zero() });
    let scale = DMatrix::from_diagonal(&lengths);
    let eigen = symmetric_eigen(&scale * gram * &scale)?;
    let least = T::lit(DEPENDENT_ULPS) * T::EPSILON;
    let inverse = eigen.eigenvalues.map(|x| if x > least { T::one() / x } else { T::zero() });
    let basis = scale * eigen.eigenvectors;
    Some(&basis * DMatrix::from_diagonal(&inverse) * basis.tr_mul(right))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{FillNormal, LaneRng};
    use rand::SeedableRng;

    #[test]
    fn matched_normals_are_orthogonal_to_the_columns_and_white_even_if_columns_are_dependent() {
        const M: usize = 40;
        let mut rng = LaneRng::seed_from_u64(1);
        let mut normals = |columns| {
            let mut matrix = DMatrix::<f64>::zeros(M, columns);
            rng.fill_normal(matrix.as_mut_slice());
            matrix
        };
        let (free, xi) = (normals(3), normals(2));
        let mut dependent = free.clone();
        dependent.set_column(2, &(free.column(0) * 2.0 - free.column(1)));
        let mut zero = free.clone();
        zero.column_mut(1).fill(0.0);
        for columns in [free, dependent, zero] {
            let scale = 1.0 / M as f64;
            let means = |x: &DMatrix<f64>, y: &DMatrix<f64>| x.tr_mul(y) * scale;
            let matching = Matching::new(&means(&columns, &columns), &means(&columns, &xi), &means(&xi, &xi)).unwrap();
            let matched = &xi * &matching.normals - &columns * &matching.columns;
            assert!(means(&columns, &matched).amax() < 1e-14);
            assert!((means(&matched, &matched) - DMatrix::identity(2, 2)).amax() < 1e-13);
        }
        // In the columns' own span nothing is left of the normals.
        let xi = &normals(2);
        let gram = xi.tr_mul(xi);
        assert!(Matching::new(&gram, &gram, &gram).is_none());
    }
}
