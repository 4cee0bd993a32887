//! Eigenvalues and eigenvectors as an answer: which matrices are refused, and how good the answer is.
//!
//! Covers [`eigenvalues`], [`spectrum()`] and what they report. Not here: the iterations (see
//! [`crate::numerics::eigen`]), and which matrix it is (see [`crate::stability::FixedPoint`]).

use std::fmt;

use nalgebra::{Complex, ComplexField, DMatrix, DVector};

use crate::Scalar;
use crate::numerics::eigen;
use crate::stability::display::{TextTable, complex, complex_numbers, digits, small};

/// Why a spectrum could not be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum SpectrumError {
    /// The matrix is not square.
    #[error("only a square matrix has eigenvalues, got {rows} x {columns}")]
    NotSquare {
        /// Its rows.
        rows: usize,
        /// Its columns.
        columns: usize,
    },
    /// An entry is NaN or infinite.
    #[error("the matrix has an entry that is not finite: ({row}, {column})")]
    NotFinite {
        /// Row of the first such entry.
        row: usize,
        /// Column of the first such entry.
        column: usize,
    },
    /// The iteration did not converge, on the matrix or on any of its shifts and rotations.
    #[error("the eigenvalue iteration did not converge within {iterations} steps in any of {attempts} attempts")]
    NotConverged {
        /// The steps allowed to each attempt.
        iterations: usize,
        /// The attempts made.
        attempts: usize,
    },
}

impl From<eigen::NotConverged> for SpectrumError {
    fn from(eigen::NotConverged { iterations, attempts }: eigen::NotConverged) -> Self {
        Self::NotConverged { iterations, attempts }
    }
}

/// Eigenvalues with their eigenvectors, in the order of falling real part (then of falling imaginary part).
///
/// Prints as a table, a line for each eigenvalue with its eigenvector.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "crate::stability::stored::StoredSpectrum<T>"))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "T: serde::Serialize", deserialize = "T: serde::Deserialize<'de>"))
)]
#[non_exhaustive]
pub struct Spectrum<T: Scalar = f64> {
    /// The eigenvalues, n of them, each as often as its algebraic multiplicity.
    #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::complex"))]
    pub values: Vec<Complex<T>>,
    /// The right eigenvectors as columns, n x n, of Euclidean norm 1 and with a real positive largest entry. A
    /// defective matrix has too few: then columns of one eigenvalue repeat.
    #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::complex_matrix"))]
    pub vectors: DMatrix<Complex<T>>,
    /// The largest ‖A v − λ v‖ over the pairs, divided by the Frobenius norm of A (0 if A = 0).
    pub residual: T,
}

impl<T: Scalar> Spectrum<T> {
    /// The largest real part; −∞ for a matrix of size 0.
    #[must_use]
    pub fn abscissa(&self) -> T {
        self.values.first().map_or(T::lit(f64::NEG_INFINITY), |value| value.re)
    }

    /// The eigenvector of eigenvalue `index`; `None` beyond the last.
    #[must_use]
    pub fn vector(&self, index: usize) -> Option<DVector<Complex<T>>> {
        (index < self.values.len()).then(|| self.vectors.column(index).into_owned())
    }

    /// The number of eigenvalues with a real part above `threshold`.
    #[must_use]
    pub fn count_above(&self, threshold: T) -> usize {
        self.values.iter().filter(|value| value.re > threshold).count()
    }
}

impl<T: Scalar> fmt::Display for Spectrum<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = digits(f);
        let mut table = TextTable::new(["", "eigenvalue", "eigenvector"]);
        for (k, &value) in self.values.iter().enumerate() {
            let vector = complex_numbers(self.vectors.column(k).into_owned().as_slice(), digits);
            table.push([format!("[{k}]"), complex(value, digits)].into_iter().chain(vector));
        }
        write!(f, "{table}largest residual {}", small(self.residual))
    }
}

/// The eigenvalues of a real square matrix, in the order of falling real part (then of falling imaginary part).
///
/// Errors are of backward type: they are exact for a matrix that differs by a few roundings of its norm.
///
/// # Errors
/// See [`SpectrumError`]; it ends on every input.
///
/// ```
/// use contrastive_dynamics::nalgebra::DMatrix;
/// use contrastive_dynamics::stability::eigenvalues;
/// // A cyclic permutation: the fourth roots of one, on which plain QR iterations never end.
/// let cycle = DMatrix::from_fn(4, 4, |i, j| if j == (i + 1) % 4 { 1.0_f64 } else { 0.0 });
/// let values = eigenvalues(&cycle)?;
/// assert!((values[0].re - 1.0).abs() < 1e-14 && (values[1].im - 1.0).abs() < 1e-14);
/// # Ok::<(), contrastive_dynamics::stability::SpectrumError>(())
/// ```
pub fn eigenvalues<T: Scalar>(matrix: &DMatrix<T>) -> Result<Vec<Complex<T>>, SpectrumError> {
    check(matrix)?;
    Ok(eigen::eigenvalues(matrix)?)
}

/// Eigenvalues that differ by that many roundings of the norm, for each row, share a decomposition: as far as rounding
/// spreads equal ones of a matrix that is diagonalisable.
const EQUAL: f64 = 256.0;

/// The residual of a vector by substitution may be that many roundings of the norm, for each row. Singular values serve where
/// it is more.
const SUBSTITUTED: f64 = 16.0;

/// The eigenvalues and eigenvectors of a real square matrix.
///
/// Eigenvectors of simple eigenvalues are by substitution in the Schur form; those of equal ones are orthogonal, and span the null
/// space of A − λI, from a singular value decomposition.
///
/// # Errors
/// See [`SpectrumError`]; it ends on every input.
///
/// ```
/// use contrastive_dynamics::nalgebra::DMatrix;
/// use contrastive_dynamics::stability::spectrum;
/// let rotation = DMatrix::from_row_slice(2, 2, &[0.0_f64, -1.0, 1.0, 0.0]);
/// let spectrum = spectrum(&rotation)?;
/// assert!((spectrum.values[0].im - 1.0).abs() < 1e-14 && spectrum.residual < 1e-14);
/// # Ok::<(), contrastive_dynamics::stability::SpectrumError>(())
/// ```
pub fn spectrum<T: Scalar>(matrix: &DMatrix<T>) -> Result<Spectrum<T>, SpectrumError> {
    check(matrix)?;
    let schur = eigen::real_schur(matrix)?;
    let (values, blocks): (Vec<_>, Vec<_>) = schur.eigenvalues().into_iter().unzip();
    let n = values.len();
    let norm = matrix.amax();
    let mut vectors = DMatrix::zeros(n, n);
    if norm == T::zero() {
        vectors.fill_with_identity();
        return Ok(Spectrum { values, vectors, residual: T::zero() });
    }
    let scaled = matrix / norm;
    let roundings = T::of_usize(n) * T::EPSILON;
    let cutoff = T::lit(EQUAL) * roundings;
    let near = |a: Complex<T>, b: Complex<T>| (a - b).modulus() <= cutoff * norm;
    // One decomposition for each set of equal eigenvalues: its null vectors are orthogonal.
    let mut spaces: Vec<(Complex<T>, Vec<DVector<Complex<T>>>, usize)> = Vec::new();
    for (column, &value) in values.iter().enumerate() {
        if values.iter().filter(|&&other| near(other, value)).count() == 1 {
            let vector = eigen::normalised(&schur.vector(value, blocks[column]), value.im == T::zero());
            if residual(&scaled, value / norm, &vector) <= T::lit(SUBSTITUTED) * roundings {
                vectors.set_column(column, &vector);
                continue;
            }
        }
        let known = spaces.iter().position(|(other, ..)| near(*other, value));
        let at = if let Some(at) = known {
            at
        } else {
            spaces.push((value, null_space(&scaled, value / norm, cutoff)?, 0));
            spaces.len() - 1
        };
        let (_, space, used) = &mut spaces[at];
        let vector = &space[(*used).min(space.len() - 1)];
        *used += 1;
        vectors.set_column(column, &eigen::normalised(vector, value.im == T::zero()));
    }
    let frobenius = scaled.norm();
    let worst = values.iter().enumerate().fold(T::zero(), |worst, (k, &value)| {
        worst.max(residual(&scaled, value / norm, &vectors.column(k).into_owned()))
    });
    Ok(Spectrum { values, vectors, residual: worst / frobenius })
}

/// ‖A v − λ v‖, or infinity where it is no number.
fn residual<T: Scalar>(matrix: &DMatrix<T>, value: Complex<T>, vector: &DVector<Complex<T>>) -> T {
    let (re, im) = (matrix * vector.map(|x| x.re), matrix * vector.map(|x| x.im));
    let residual = (re.zip_map(&im, Complex::new) - vector * value).norm();
    if residual.is_finite() { residual } else { T::lit(f64::INFINITY) }
}

/// Null vectors of A − λI, in real numbers where λ is real.
fn null_space<T: Scalar>(
    matrix: &DMatrix<T>,
    value: Complex<T>,
    cutoff: T,
) -> Result<Vec<DVector<Complex<T>>>, eigen::NotConverged> {
    if value.im != T::zero() {
        return eigen::null_vectors(&matrix.map(Complex::from), &value, cutoff);
    }
    let real = eigen::null_vectors(matrix, &value.re, cutoff)?;
    Ok(real.into_iter().map(|vector| vector.map(Complex::from)).collect())
}

fn check<T: Scalar>(matrix: &DMatrix<T>) -> Result<(), SpectrumError> {
    let (rows, columns) = matrix.shape();
    if rows != columns {
        return Err(SpectrumError::NotSquare { rows, columns });
    }
    for column in 0..columns {
        for row in 0..rows {
            if !matrix[(row, column)].is_finite() {
                return Err(SpectrumError::NotFinite { row, column });
            }
        }
    }
    Ok(())
}
