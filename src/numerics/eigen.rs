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
use crate::numerics::linear::ascending;

/// An iteration that did not end within its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotConverged {
    /// Steps allowed to each attempt.
    pub(crate) iterations: usize,
    /// Attempts made.
    pub(crate) attempts: usize,
}

/// Steps that each attempt may take for each row. QR iterations take about two or three for each eigenvalue.
const ITERATIONS_PER_ROW: usize = 60;

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

/// The eigenvalues of a finite square matrix, in the order of falling real part (then of falling imaginary part).
pub(crate) fn eigenvalues<T: Scalar>(matrix: &DMatrix<T>) -> Result<Vec<Complex<T>>, NotConverged> {
    let n = matrix.nrows();
    let scale = matrix.amax();
    if scale == T::zero() {
        return Ok(vec![Complex::new(T::zero(), T::zero()); n]);
    }
    // Entries of at most 1: neither tiny nor huge matrices overflow on the way.
    let scaled = matrix.map(|x| x / scale);
    let iterations = ITERATIONS_PER_ROW * (n + 1);
    let rotation = reflection(n);
    let mut attempts = 0;
    let ways = ROUNDINGS.into_iter().flat_map(|roundings| [(roundings, false), (roundings, true)]);
    for (roundings, rotated) in ways {
        for shift in SHIFTS {
            attempts += 1;
            let mut attempt = if rotated { &rotation * &scaled * &rotation } else { scaled.clone() };
            (0..n).for_each(|i| attempt[(i, i)] += T::lit(shift));
            let Some(schur) = Schur::try_new(attempt, T::lit(roundings) * T::EPSILON, iterations) else { continue };
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
    Err(NotConverged { iterations, attempts })
}

/// Singular vectors of A − λI, smallest singular value first: those up to `cutoff`, and at least one.
pub(crate) fn null_vectors<T: Scalar>(
    matrix: &DMatrix<Complex<T>>,
    value: Complex<T>,
    cutoff: T,
) -> Result<Vec<DVector<Complex<T>>>, NotConverged> {
    let n = matrix.nrows();
    let mut shifted = matrix.clone();
    (0..n).for_each(|i| shifted[(i, i)] -= value);
    let iterations = ITERATIONS_PER_ROW * (n + 1);
    let failed = NotConverged { iterations, attempts: 1 };
    let svd = shifted.try_svd(false, true, T::EPSILON, iterations).ok_or(failed)?;
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

/// The eigenvalues of a quasi-triangular matrix: blocks of one or two rows.
fn block_eigenvalues<T: Scalar>(t: &DMatrix<T>) -> Vec<Complex<T>> {
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

fn sort<T: Scalar>(values: &mut [Complex<T>]) {
    let by = |x: &T, y: &T| y.partial_cmp(x).unwrap_or(std::cmp::Ordering::Equal);
    values.sort_by(|x, y| by(&x.re, &y.re).then(by(&x.im, &y.im)));
}
