//! A point of a branch in the making.
//!
//! Covers the solution with its tangent, its eigenvalues and its tests for bifurcations. Not here: how a solution is
//! found (see `corrector`).

use nalgebra::{Complex, DMatrix, DVector};

use crate::Scalar;
use crate::stability::continuation::corrector::{Corrected, bordered, tangent};
use crate::stability::spectrum::{SpectrumError, eigenvalues};

/// The least unit in which derivatives are measured, lest a Jacobian that is zero be divided by zero.
const LEAST_UNIT: f64 = 1e-30;

/// A point in the making: the solution, its tangent and its tests.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "T: serde::Serialize", deserialize = "T: serde::Deserialize<'de>"))
)]
pub(crate) struct Node<T: Scalar> {
    #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::vector"))]
    pub(crate) z: DVector<T>,
    #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::vector"))]
    pub(crate) tangent: DVector<T>,
    #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::complex"))]
    pub(crate) eigenvalues: Vec<Complex<T>>,
    pub(crate) unstable: usize,
    /// det [f_x f_μ; tangent]: changes sign at branch points.
    pub(crate) determinant: T,
    pub(crate) residual: T,
    /// f_x.
    #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::matrix"))]
    pub(crate) by_state: DMatrix<T>,
}

impl<T: Scalar> Node<T> {
    pub(crate) fn new(corrected: Corrected<T>, before: &DVector<T>) -> Result<Self, SpectrumError> {
        let tangent = tangent(&corrected.slopes, before);
        let n = corrected.slopes.nrows();
        let by_state = corrected.slopes.columns(0, n).into_owned();
        let eigenvalues = eigenvalues(&by_state)?;
        // In units in which it neither over- nor underflows.
        let unit = by_state.amax().max(T::lit(LEAST_UNIT));
        let mut scaled = bordered(&corrected.slopes, &tangent);
        scaled.rows_mut(0, n).scale_mut(T::one() / unit);
        Ok(Self {
            unstable: eigenvalues.iter().filter(|x| x.re > T::zero()).count(),
            determinant: scaled.determinant(),
            z: corrected.z,
            tangent,
            eigenvalues,
            residual: corrected.residual,
            by_state,
        })
    }

    /// dλ along the branch.
    pub(crate) fn turning(&self) -> T {
        self.tangent[self.tangent.len() - 1]
    }
}
