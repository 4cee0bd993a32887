//! A guarded solver for eigenvalues and eigenvectors of small dense matrices.
//!
//! Covers matrices that need not be symmetric, normal or diagonalisable, with a bound on the work for every input:
//! plain QR iterations cycle for ever on some matrices (permutations among them) and on NaN. Here every attempt has a
//! bound on its iterations, and an attempt that fails is repeated on a shifted or rotated matrix. Covers symmetric
//! matrices with the same bound. Not here: which matrices are refused, and how a spectrum is reported (see
//! [`crate::stability::spectrum()`]).

use nalgebra::{Complex, ComplexField, DMatrix, DVector, Dyn, Schur, SymmetricEigen};

use crate::Scalar;
use crate::numerics::constants::GOLDEN_RATIO;
use crate::numerics::linear::{ascending, is_finite, svd};

/// An iteration that did not end within its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotConverged {
    /// Steps allowed to each attempt.
    pub(crate) iterations: usize,
    /// Attempts made.
    pub(crate) attempts: usize,
}

/// Steps that each attempt may take for each row: QR iterations take two or three for each eigenvalue, rarely twelve where many are
/// equal, and an attempt that takes more is one that does not end. If all attempts fail, so many more are allowed.
const ITERATIONS_PER_ROW: [usize; 2] = [12, 60];

/// Multiples of the identity that are added to the matrix scaled to entries of at most 1, one for each attempt: any
/// three different numbers besides 0 that are no symmetries of matrices of 0 and ±1.
const SHIFTS: [f64; 4] = [0.0, 0.3, -0.7, 1.7];

/// Roundings up to which an entry counts as zero: more where the iteration does not end otherwise, as with many equal
/// eigenvalues.
const ROUNDINGS: [f64; 3] = [1.0, 64.0, 4096.0];

/// Sweeps of the symmetric iteration, which takes about two for each row.
pub(crate) const SYMMETRIC_ITERATIONS: usize = 1000;

/// Eigenvalues and orthonormal eigenvectors of a symmetric matrix, in no order; `None` if the iteration does not end.
pub(crate) fn symmetric_eigen<T: Scalar>(matrix: DMatrix<T>) -> Option<SymmetricEigen<T, Dyn>> {
    SymmetricEigen::try_new(matrix, T::EPSILON, SYMMETRIC_ITERATIONS)
}

/// A real Schur decomposition A = scale · Q T Qᵀ, T quasi-triangular with blocks of one or two rows.
pub(crate) struct RealSchur<T> {
    q: DMatrix<T>,
    t: DMatrix<T>,
    scale: T,
}

/// The decomposition of a finite square matrix.
pub(crate) fn real_schur<T: Scalar>(matrix: &DMatrix<T>) -> Result<RealSchur<T>, NotConverged> {
    let n = matrix.nrows();
    let scale = matrix.amax();
    if scale == T::zero() {
        return Ok(RealSchur { q: DMatrix::identity(n, n), t: DMatrix::zeros(n, n), scale });
    }
    // Entries of at most 1: neither tiny nor huge matrices overflow on the way.
    let scaled = matrix.map(|x| x / scale);
    let rotation = reflection(n);
    let mut attempts = 0;
    let ways = ITERATIONS_PER_ROW
        .into_iter()
        .flat_map(|per_row| ROUNDINGS.map(|roundings| (per_row, roundings)))
        .flat_map(|(per_row, roundings)| [(per_row, roundings, false), (per_row, roundings, true)]);
    for (per_row, roundings, rotated) in ways {
        for shift in SHIFTS.map(T::lit) {
            attempts += 1;
            let mut attempt = if rotated { &rotation * &scaled * &rotation } else { scaled.clone() };
            (0..n).for_each(|i| attempt[(i, i)] += shift);
            let iterations = per_row * (n + 1);
            let Some(schur) = Schur::try_new(attempt, T::lit(roundings) * T::EPSILON, iterations) else { continue };
            let (q, mut t) = schur.unpack();
            (0..n).for_each(|i| t[(i, i)] -= shift);
            if is_finite(t.as_slice()) {
                return Ok(RealSchur { q: if rotated { &rotation * q } else { q }, t, scale });
            }
        }
    }
    Err(NotConverged { iterations: ITERATIONS_PER_ROW[1] * (n + 1), attempts })
}

/// The eigenvalues of a finite square matrix, in the order of falling real part (then of falling imaginary part).
pub(crate) fn eigenvalues<T: Scalar>(matrix: &DMatrix<T>) -> Result<Vec<Complex<T>>, NotConverged> {
    Ok(real_schur(matrix)?.eigenvalues().into_iter().map(|(value, _)| value).collect())
}

impl<T: Scalar> RealSchur<T> {
    /// The eigenvalues, in the order of falling real part (then of falling imaginary part), each with the first row of its block.
    pub(crate) fn eigenvalues(&self) -> Vec<(Complex<T>, usize)> {
        let mut values = block_eigenvalues(&self.t);
        for (value, _) in &mut values {
            *value *= Complex::from(self.scale);
        }
        sort(&mut values);
        values
    }

    /// An eigenvector for the eigenvalue of the block that begins in row `block`, by substitution upwards from there, of
    /// norm 1; of no use where it is not finite or where other eigenvalues are nearly equal.
    pub(crate) fn vector(&self, value: Complex<T>, block: usize) -> DVector<Complex<T>> {
        let (n, t) = (self.t.nrows(), &self.t);
        let value = value / self.scale;
        let zero = Complex::from(T::zero());
        let mut x = DVector::from_element(n, zero);
        let paired = |k: usize| k + 1 < n && t[(k + 1, k)] != T::zero();
        let entry = |i: usize, j: usize| {
            let off = Complex::from(t[(i, j)]);
            if i == j { off - value } else { off }
        };
        if paired(block) {
            // The null vector of the larger of both rows.
            let (above, below) = (entry(block, block), entry(block + 1, block + 1));
            let (right, left) = (entry(block, block + 1), entry(block + 1, block));
            let first = above.modulus() + right.modulus() >= below.modulus() + left.modulus();
            (x[block], x[block + 1]) = if first { (-right, above) } else { (-below, left) };
        } else {
            x[block] = Complex::from(T::one());
        }
        let last = if paired(block) { block + 1 } else { block };
        let mut row = block;
        while row > 0 {
            row -= 1;
            let sum = |i: usize, from: usize| (from..=last).fold(zero, |sum, j| sum - x[j] * t[(i, j)]);
            if row > 0 && paired(row - 1) {
                row -= 1;
                let right = [sum(row, row + 2), sum(row + 1, row + 2)];
                let block = [0, 1].map(|i| [0, 1].map(|j| entry(row + i, row + j)));
                [x[row], x[row + 1]] = solve_pair(block, right);
            } else {
                let right = sum(row, row + 1);
                x[row] = right / guarded(entry(row, row));
            }
            // Vectors of matrices far from normal grow on the way up.
            let size = x.iter().fold(T::zero(), |most, x| most.max(x.modulus()));
            x.iter_mut().for_each(|x| *x /= Complex::from(size));
        }
        let (re, im) = (&self.q * x.map(|x| x.re), &self.q * x.map(|x| x.im));
        let vector = re.zip_map(&im, Complex::new);
        let norm = vector.norm();
        vector.map(|x| x / norm)
    }
}

/// A divisor that is not below rounding, in units of the largest entry.
fn guarded<T: Scalar>(x: Complex<T>) -> Complex<T> {
    if x.modulus() < T::EPSILON { Complex::from(T::EPSILON) } else { x }
}

/// The solution of two equations, by elimination.
fn solve_pair<T: Scalar>([a, b]: [[Complex<T>; 2]; 2], [u, v]: [Complex<T>; 2]) -> [Complex<T>; 2] {
    let (a, b, u, v) = if a[0].modulus() >= b[0].modulus() { (a, b, u, v) } else { (b, a, v, u) };
    let pivot = guarded(a[0]);
    let factor = b[0] / pivot;
    let y = (v - factor * u) / guarded(b[1] - factor * a[1]);
    [(u - a[1] * y) / pivot, y]
}

/// Singular vectors of A − λI, smallest singular value first: those up to `cutoff`, and at least one.
pub(crate) fn null_vectors<T: Scalar, N: ComplexField<RealField = T>>(
    matrix: &DMatrix<N>,
    value: &N,
    cutoff: T,
) -> Result<Vec<DVector<N>>, NotConverged> {
    let n = matrix.nrows();
    let mut shifted = matrix.clone();
    (0..n).for_each(|i| shifted[(i, i)] -= value.clone());
    let iterations = ITERATIONS_PER_ROW[1] * (n + 1);
    let failed = NotConverged { iterations, attempts: 1 };
    let svd = svd(shifted, (false, true), iterations).ok_or(failed)?;
    let rows = svd.v_t.ok_or(failed)?;
    let order = ascending(svd.singular_values.as_slice());
    let null = order.iter().enumerate().filter(|&(k, &at)| k == 0 || svd.singular_values[at] <= cutoff);
    Ok(null.map(|(_, &at)| rows.row(at).adjoint()).collect())
}

/// The vector with norm 1 and a real positive largest entry; `real` drops imaginary rounding.
pub(crate) fn normalised<T: Scalar>(vector: &DVector<Complex<T>>, real: bool) -> DVector<Complex<T>> {
    // Of entries equal to rounding the first is the largest: rounding does not choose the phase.
    let tie = T::lit(1.000_01);
    let largest =
        vector.iter().fold(
            Complex::from(T::zero()),
            |most: Complex<T>, x| {
                if x.modulus() > most.modulus() * tie { *x } else { most }
            },
        );
    let phase = if largest.modulus() > T::zero() { largest / largest.modulus() } else { Complex::from(T::one()) };
    let turned = vector.map(|x| if real { Complex::from((x / phase).re) } else { x / phase });
    let norm = turned.norm();
    if norm > T::zero() { turned.map(|x| x / norm) } else { turned }
}

/// A Householder reflection along a vector without symmetries.
fn reflection<T: Scalar>(n: usize) -> DMatrix<T> {
    let axis = DVector::from_fn(n, |k, _| T::lit(1.0 + GOLDEN_RATIO * (k as f64) % 1.0));
    let squares = axis.norm_squared();
    if n == 0 {
        return DMatrix::zeros(0, 0);
    }
    DMatrix::identity(n, n) - &axis * axis.transpose() * (T::lit(2.0) / squares)
}

/// The eigenvalues of a quasi-triangular matrix, each with the first row of its block, of one or two rows.
fn block_eigenvalues<T: Scalar>(t: &DMatrix<T>) -> Vec<(Complex<T>, usize)> {
    let n = t.nrows();
    let mut values = Vec::with_capacity(n);
    let mut k = 0;
    while k < n {
        if k + 1 == n || t[(k + 1, k)] == T::zero() {
            values.push((Complex::from(t[(k, k)]), k));
            k += 1;
            continue;
        }
        let (a, b, c, d) = (t[(k, k)], t[(k, k + 1)], t[(k + 1, k)], t[(k + 1, k + 1)]);
        let half = T::lit(0.5);
        let (mean, difference) = (half * (a + d), half * (a - d));
        let discriminant = difference * difference + b * c;
        if discriminant < T::zero() {
            let im = (-discriminant).sqrt();
            values.extend([(Complex::new(mean, im), k), (Complex::new(mean, -im), k)]);
        } else {
            // The root that is a sum without cancellation, then its partner from difference² − root² = −bc.
            let root = discriminant.sqrt();
            let far = if difference >= T::zero() { difference + root } else { difference - root };
            let near = if far == T::zero() { T::zero() } else { -b * c / far };
            values.extend([(Complex::from(d + far), k), (Complex::from(d + near), k)]);
        }
        k += 2;
    }
    values
}

fn sort<T: Scalar>(values: &mut [(Complex<T>, usize)]) {
    let by = |x: &T, y: &T| y.partial_cmp(x).unwrap_or(std::cmp::Ordering::Equal);
    values.sort_by(|(x, _), (y, _)| by(&x.re, &y.re).then(by(&x.im, &y.im)));
}
