//! Eigenvalues and eigenvectors of small dense matrices that need not be symmetric, normal or diagonalisable.
//!
//! In: a guarded solver that ends on every input. Plain QR iterations cycle for ever on some matrices (permutations
//! among them) and on NaN; here every attempt has a bound on its iterations, and an attempt that fails is repeated on a
//! shifted or rotated matrix. Out: which matrix it is (see [`crate::stability::FixedPoint`]).

use nalgebra::{Complex, ComplexField, DMatrix, DVector, Schur};

use crate::Scalar;
use crate::limit::Compiled;

/// Why a spectrum could not be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
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

/// Eigenvalues with their eigenvectors, in the order of falling real part (then of falling imaginary part).
#[derive(Debug, Clone, PartialEq)]
pub struct Spectrum<T: Scalar = f64> {
    /// The eigenvalues, n of them, each as often as its algebraic multiplicity.
    pub values: Vec<Complex<T>>,
    /// The right eigenvectors as columns, n x n, of Euclidean norm 1 and with a real positive largest entry. A defective
    /// matrix has too few: then columns of one eigenvalue repeat.
    pub vectors: DMatrix<Complex<T>>,
    /// The largest ‖A v − λ v‖ over the pairs, divided by the Frobenius norm of A (0 if A = 0).
    pub residual: T,
}

impl<T: Compiled> Spectrum<T> {
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

/// Steps that each attempt may take for each row.
const ITERATIONS_PER_ROW: usize = 60;

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
pub fn eigenvalues<T: Compiled>(matrix: &DMatrix<T>) -> Result<Vec<Complex<T>>, SpectrumError> {
    let n = check(matrix)?;
    let scale = matrix.amax();
    if scale == T::zero() {
        return Ok(vec![Complex::new(T::zero(), T::zero()); n]);
    }
    // Entries of at most 1: neither tiny nor huge matrices overflow on the way.
    let scaled = matrix.map(|x| x / scale);
    let iterations = ITERATIONS_PER_ROW * (n + 1);
    let rotation = reflection(n);
    let mut attempts = 0;
    for rotated in [false, true] {
        for shift in [0.0, 0.3, -0.7, 1.7] {
            attempts += 1;
            let mut attempt = if rotated { &rotation * &scaled * &rotation } else { scaled.clone() };
            (0..n).for_each(|i| attempt[(i, i)] += T::lit(shift));
            let Some(schur) = Schur::try_new(attempt, T::EPSILON, iterations) else { continue };
            let (_, triangular) = schur.unpack();
            let mut values: Vec<_> = block_eigenvalues(&triangular)
                .into_iter()
                .map(|x| (x - Complex::from(T::lit(shift))) * scale)
                .collect();
            if values.iter().all(|x| x.re.is_finite() && x.im.is_finite()) {
                sort(&mut values);
                return Ok(values);
            }
        }
    }
    Err(SpectrumError::NotConverged { iterations, attempts })
}

/// The eigenvalues and eigenvectors of a real square matrix.
///
/// Eigenvectors span the null spaces of A − λI, from singular value decompositions.
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
pub fn spectrum<T: Compiled>(matrix: &DMatrix<T>) -> Result<Spectrum<T>, SpectrumError> {
    let values = eigenvalues(matrix)?;
    let n = values.len();
    let norm = matrix.amax();
    let mut vectors = DMatrix::zeros(n, n);
    if norm == T::zero() {
        vectors.fill_with_identity();
        return Ok(Spectrum { values, vectors, residual: T::zero() });
    }
    let scaled = matrix.map(|x| Complex::from(x / norm));
    let cutoff = T::lit(256.0) * T::of_usize(n) * T::EPSILON;
    // One decomposition for each set of equal eigenvalues: its null vectors are orthogonal.
    let mut spaces: Vec<(Complex<T>, NullSpace<T>, usize)> = Vec::new();
    for (column, &value) in values.iter().enumerate() {
        let value = value / norm;
        let known = spaces.iter().position(|(other, ..)| (*other - value).modulus() <= cutoff);
        let at = if let Some(at) = known {
            at
        } else {
            spaces.push((value, null_space(&scaled, value, cutoff)?, 0));
            spaces.len() - 1
        };
        let (_, space, used) = &mut spaces[at];
        let vector = &space.0[(*used).min(space.0.len() - 1)];
        *used += 1;
        vectors.set_column(column, &normalised(vector, value.im == T::zero()));
    }
    let frobenius = scaled.norm();
    let residual = values.iter().enumerate().fold(T::zero(), |worst, (k, &value)| {
        let v = vectors.column(k);
        worst.max((&scaled * v - v * (value / norm)).norm() / frobenius)
    });
    Ok(Spectrum { values, vectors, residual })
}

/// Singular vectors of the smallest singular values, smallest first: those that vanish to rounding, at least one.
struct NullSpace<T: Scalar>(Vec<DVector<Complex<T>>>);

fn null_space<T: Compiled>(
    matrix: &DMatrix<Complex<T>>,
    value: Complex<T>,
    cutoff: T,
) -> Result<NullSpace<T>, SpectrumError> {
    let n = matrix.nrows();
    let mut shifted = matrix.clone();
    (0..n).for_each(|i| shifted[(i, i)] -= value);
    let iterations = ITERATIONS_PER_ROW * (n + 1);
    let failed = SpectrumError::NotConverged { iterations, attempts: 1 };
    let svd = shifted.try_svd(false, true, T::EPSILON, iterations).ok_or(failed)?;
    let rows = svd.v_t.ok_or(failed)?;
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| {
        svd.singular_values[a].partial_cmp(&svd.singular_values[b]).unwrap_or(std::cmp::Ordering::Equal)
    });
    let null = order.iter().enumerate().filter(|&(k, &at)| k == 0 || svd.singular_values[at] <= cutoff);
    Ok(NullSpace(null.map(|(_, &at)| rows.row(at).adjoint()).collect()))
}

/// Norm 1, with a real positive largest entry; `real` drops imaginary rounding.
fn normalised<T: Compiled>(vector: &DVector<Complex<T>>, real: bool) -> DVector<Complex<T>> {
    let largest = vector.iter().fold(Complex::from(T::zero()), |most: Complex<T>, x| {
        // The first of equal entries, whatever the rounding.
        if x.modulus() > most.modulus() * T::lit(1.000_01) { *x } else { most }
    });
    let phase = if largest.modulus() > T::zero() { largest / largest.modulus() } else { Complex::from(T::one()) };
    let turned = vector.map(|x| if real { Complex::from((x / phase).re) } else { x / phase });
    let norm = turned.norm();
    if norm > T::zero() { turned.map(|x| x / norm) } else { turned }
}

fn check<T: Compiled>(matrix: &DMatrix<T>) -> Result<usize, SpectrumError> {
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
    Ok(rows)
}

/// A Householder reflection along a vector without symmetries.
fn reflection<T: Compiled>(n: usize) -> DMatrix<T> {
    let axis = DVector::from_fn(n, |k, _| T::lit(1.0 + 0.618_033_988_75 * (k as f64) % 1.0));
    let squares = axis.norm_squared();
    if n == 0 {
        return DMatrix::zeros(0, 0);
    }
    DMatrix::identity(n, n) - &axis * axis.transpose() * (T::lit(2.0) / squares)
}

/// The eigenvalues of a quasi-triangular matrix: blocks of one or two rows.
fn block_eigenvalues<T: Compiled>(t: &DMatrix<T>) -> Vec<Complex<T>> {
    let n = t.nrows();
    let mut values = Vec::with_capacity(n);
    let mut k = 0;
    while k < n {
        if k + 1 == n || t[(k + 1, k)] == T::zero() {
            values.push(Complex::from(t[(k, k)]));
            k += 1;
            continue;
        }
        let (a, b, c, d) = (t[(k, k)], t[(k, k + 1)], t[(k + 1, k)], t[(k + 1, k + 1)]);
        let half = T::lit(0.5);
        let (mean, difference) = (half * (a + d), half * (a - d));
        let discriminant = difference * difference + b * c;
        if discriminant < T::zero() {
            let im = (-discriminant).sqrt();
            values.extend([Complex::new(mean, im), Complex::new(mean, -im)]);
        } else {
            // The root that is a sum without cancellation, then its partner from difference² − root² = −bc.
            let root = discriminant.sqrt();
            let far = if difference >= T::zero() { difference + root } else { difference - root };
            let near = if far == T::zero() { T::zero() } else { -b * c / far };
            values.extend([Complex::from(d + far), Complex::from(d + near)]);
        }
        k += 2;
    }
    values
}

fn sort<T: Compiled>(values: &mut [Complex<T>]) {
    let by = |x: &T, y: &T| y.partial_cmp(x).unwrap_or(std::cmp::Ordering::Equal);
    values.sort_by(|x, y| by(&x.re, &y.re).then(by(&x.im, &y.im)));
}
