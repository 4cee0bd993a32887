//! The principal axes of the hidden variables.
//!
//! Covers the second moments E[c cᵀ] along them. Not here: what grows along an axis (see `modes`).

use nalgebra::DMatrix;

use crate::Scalar;
use crate::numerics::eigen::symmetric_eigen;
use crate::stability::tolerances::ROUNDING;

/// Second moments along orthonormal directions.
pub(crate) struct PrincipalAxes<T: Scalar> {
    pub(crate) moments: Vec<T>,
    /// Columns, p x p.
    pub(crate) directions: DMatrix<T>,
    /// Whether the axes are those of the features, which keep their order.
    uncorrelated: bool,
}

/// The eigenvalues and eigenvectors of E[c cᵀ]: of uncorrelated variables its diagonal and the features themselves.
/// `None` if the iteration does not end.
pub(crate) fn principal_axes<T: Scalar>(second_moment: &DMatrix<T>) -> Option<PrincipalAxes<T>> {
    let diagonal = second_moment.diagonal();
    let off_diagonal = second_moment - DMatrix::from_diagonal(&diagonal);
    if off_diagonal.amax() <= T::lit(ROUNDING) * T::EPSILON * second_moment.amax() {
        let directions = DMatrix::identity(diagonal.len(), diagonal.len());
        return Some(PrincipalAxes { moments: diagonal.iter().copied().collect(), directions, uncorrelated: true });
    }
    let eigen = symmetric_eigen(second_moment.clone())?;
    let moments = eigen.eigenvalues.iter().copied().collect();
    Some(PrincipalAxes { moments, directions: eigen.eigenvectors, uncorrelated: false })
}

impl<T: Scalar> PrincipalAxes<T> {
    /// Axes of correlated variables by falling second moment.
    pub(crate) fn falling(self) -> Self {
        if self.uncorrelated {
            return self;
        }
        let mut order: Vec<usize> = (0..self.moments.len()).collect();
        let by = |a: &usize, b: &usize| self.moments[*b].partial_cmp(&self.moments[*a]);
        order.sort_by(|a, b| by(a, b).unwrap_or(std::cmp::Ordering::Equal));
        let moments = order.iter().map(|&k| self.moments[k]).collect();
        Self { moments, directions: self.directions.select_columns(&order), ..self }
    }
}
