//! The guarded eigen-solver ends on every matrix, and is right where the answer is known.

use contrastive_dynamics::nalgebra::{Complex, ComplexField, DMatrix, DVector};
use contrastive_dynamics::rand::rngs::StdRng;
use contrastive_dynamics::rand::{RngExt, SeedableRng};
use contrastive_dynamics::stability::{SpectrumError, eigenvalues, spectrum};

fn random(n: usize, rng: &mut StdRng) -> DMatrix<f64> {
    DMatrix::from_fn(n, n, |_, _| 2.0 * rng.random::<f64>() - 1.0)
}

/// The largest distance from an expected value to the nearest computed one, each used once.
fn distance(found: &[Complex<f64>], expected: &[Complex<f64>]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let mut left = found.to_vec();
    expected.iter().fold(0.0, |worst, e| {
        let (at, near) = left.iter().map(|f| (f - e).modulus()).enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
        left.swap_remove(at);
        f64::max(worst, near)
    })
}

#[test]
fn cyclic_permutations_of_all_sizes_have_the_roots_of_one() {
    for n in 1..=24 {
        for step in 1..=n {
            let cycle = DMatrix::from_fn(n, n, |i, j| if j == (i + step) % n { 1.0 } else { 0.0 });
            let root = |k: usize| Complex::from_polar(1.0, std::f64::consts::TAU * ((k * step) % n) as f64 / n as f64);
            let expected: Vec<_> = (0..n).map(root).collect();
            let found = spectrum(&cycle).unwrap();
            assert!(distance(&found.values, &expected) < 1e-12, "{n} by {step}");
            assert!(found.residual < 1e-12, "{n} by {step}: {:e}", found.residual);
            assert!(found.vectors.clone().svd(false, false).singular_values.min() > 1e-3, "{n} by {step}: independent");
        }
    }
}

#[test]
fn what_is_no_finite_square_matrix_is_refused() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for n in 1..=6 {
            let mut matrix = DMatrix::<f64>::identity(n, n);
            matrix[(n - 1, n / 2)] = bad;
            let refusal = SpectrumError::NotFinite { row: n - 1, column: n / 2 };
            assert_eq!(eigenvalues(&matrix), Err(refusal));
            assert_eq!(spectrum(&matrix), Err(refusal));
        }
    }
    assert_eq!(eigenvalues(&DMatrix::<f64>::zeros(2, 3)), Err(SpectrumError::NotSquare { rows: 2, columns: 3 }));
}

#[test]
fn empty_zero_tiny_and_huge_matrices_have_spectra() {
    assert_eq!(eigenvalues(&DMatrix::<f64>::zeros(0, 0)).unwrap(), []);
    assert_eq!(spectrum(&DMatrix::<f64>::zeros(0, 0)).unwrap().abscissa(), f64::NEG_INFINITY);
    let zero = spectrum(&DMatrix::<f64>::zeros(3, 3)).unwrap();
    assert!(zero.values.iter().all(|x| *x == Complex::new(0.0, 0.0)) && zero.residual == 0.0);
    for scale in [1e-300, 1e-10, 1e10, 1e300] {
        let matrix = DMatrix::from_row_slice(3, 3, &[2.0, 1.0, 0.0, 0.0, -1.0, 0.0, 0.0, 3.0, 0.5]) * scale;
        let expected = [2.0, 0.5, -1.0].map(|x| Complex::new(x * scale, 0.0));
        assert!(distance(&spectrum(&matrix).unwrap().values, &expected) < 1e-14 * scale, "{scale:e}");
    }
}

#[test]
fn defective_matrices_end_and_keep_their_multiplicity() {
    for n in 2..=8 {
        for value in [0.0, -1.5] {
            let jordan = DMatrix::from_fn(n, n, |i, j| match j.wrapping_sub(i) {
                0 => value,
                1 => 1.0,
                _ => 0.0,
            });
            let triangular = spectrum(&jordan).unwrap();
            assert!(triangular.values.iter().all(|x| (x - value).modulus() < 1e-14));
            assert!(triangular.residual < 1e-13);
            // Hidden by a rotation, rounding spreads the eigenvalue over a circle of radius ε^(1/n).
            let axis = DMatrix::from_fn(n, 1, |k, _| 1.0 + 0.3 * k as f64);
            let reflection = DMatrix::identity(n, n) - &axis * axis.transpose() * (2.0 / axis.norm_squared());
            let hidden = spectrum(&(&reflection * &jordan * &reflection)).unwrap();
            let radius = 20.0 * f64::EPSILON.powf(1.0 / n as f64);
            assert!(hidden.values.iter().all(|x| (x - value).modulus() < radius), "{n}");
            assert!(hidden.residual < 1e-13, "{n}: {:e}", hidden.residual);
        }
    }
}

/// Matrices V diag(blocks) V⁻¹ with chosen real and complex eigenvalues.
#[test]
fn chosen_eigenvalues_come_back_with_their_vectors() {
    let mut rng = StdRng::seed_from_u64(3);
    for n in 1..=16 {
        let mut block = DMatrix::<f64>::zeros(n, n);
        let mut expected = Vec::new();
        let mut k = 0;
        while k < n {
            let re = rng.random::<f64>() - 0.5;
            if k + 1 < n && rng.random::<f64>() < 0.5 {
                let im = rng.random::<f64>() + 0.1;
                block.view_mut((k, k), (2, 2)).copy_from_slice(&[re, -im, im, re]);
                expected.extend([Complex::new(re, im), Complex::new(re, -im)]);
                k += 2;
            } else {
                block[(k, k)] = re;
                expected.push(Complex::new(re, 0.0));
                k += 1;
            }
        }
        let basis = DMatrix::identity(n, n) * 2.0 + random(n, &mut rng) / (n as f64).sqrt();
        let matrix = &basis * block * basis.clone().try_inverse().unwrap();
        let found = spectrum(&matrix).unwrap();
        assert!(distance(&found.values, &expected) < 1e-12, "{n}");
        assert!(found.residual < 1e-12);
        for pair in found.values.windows(2) {
            assert!(pair[0].re >= pair[1].re, "in the order of falling real part");
        }
        for (k, value) in found.values.iter().enumerate() {
            let v = found.vector(k).unwrap();
            assert!((v.norm() - 1.0).abs() < 1e-12);
            assert!(value.im != 0.0 || v.iter().all(|x| x.im == 0.0), "real eigenvalues have real vectors");
        }
        assert!(found.vector(n).is_none());
    }
}

/// Sums and products of eigenvalues are trace and determinant, over sparse matrices of 0 and ±1: the kind that traps
/// QR iterations.
#[test]
fn sparse_sign_matrices_all_end_with_the_right_trace_and_determinant() {
    let mut rng = StdRng::seed_from_u64(11);
    for trial in 0..3000 {
        let n = 2 + trial % 7;
        let matrix =
            DMatrix::from_fn(n, n, |_, _| f64::from(rng.random_range(-1..=1_i32) * rng.random_range(0..=1_i32)));
        let values = eigenvalues(&matrix).unwrap();
        let sum: Complex<f64> = values.iter().sum();
        let product: Complex<f64> = values.iter().product();
        assert!((sum - matrix.trace()).modulus() < 1e-11, "{matrix}");
        assert!((product - matrix.determinant()).modulus() < 1e-10, "{matrix}");
    }
}

#[test]
fn repeated_eigenvalues_have_independent_vectors() {
    let mut rng = StdRng::seed_from_u64(8);
    let n = 5;
    let basis = DMatrix::identity(n, n) * 2.0 + random(n, &mut rng) / 2.0;
    let diagonal = DMatrix::from_diagonal(&DVector::from_column_slice(&[0.7, -0.2, -0.2, -0.2, -3.0]));
    let matrix = &basis * diagonal * basis.clone().try_inverse().unwrap();
    let found = spectrum(&matrix).unwrap();
    assert!(found.residual < 1e-13);
    assert!(found.vectors.svd(false, false).singular_values.min() > 1e-2);
}

/// Simple eigenvalues, real and complex, beside one that stands thirty times: each vector against the null vector of A − λI, and
/// those of equal eigenvalues orthogonal.
#[test]
fn simple_and_equal_eigenvalues_of_one_matrix_have_the_null_vectors() {
    let mut rng = StdRng::seed_from_u64(21);
    let n = 44;
    let mut block = DMatrix::<f64>::from_diagonal_element(n, n, -0.4);
    (0..6).for_each(|k| block[(k, k)] = 0.3 + 0.1 * k as f64 * k as f64);
    for k in 0..4 {
        let (re, im) = (-1.0 - 0.2 * k as f64, 0.1 + 0.3 * k as f64);
        block.view_mut((6 + 2 * k, 6 + 2 * k), (2, 2)).copy_from_slice(&[re, -im, im, re]);
    }
    let basis = DMatrix::identity(n, n) * 2.0 + random(n, &mut rng) / (n as f64).sqrt();
    let matrix = &basis * block * basis.clone().try_inverse().unwrap();
    let found = spectrum(&matrix).unwrap();
    assert!(found.residual < 1e-13, "{:e}", found.residual);
    let mut equal = Vec::new();
    for (k, &value) in found.values.iter().enumerate() {
        let v = found.vector(k).unwrap();
        if (value + 0.4).modulus() < 1e-9 {
            equal.push(v);
            continue;
        }
        let shifted = matrix.map(|x| Complex::new(x, 0.0)) - DMatrix::identity(n, n) * value;
        let svd = shifted.svd(false, true);
        let null = svd.v_t.unwrap().row(svd.singular_values.imin()).adjoint();
        assert!((null.dotc(&v).modulus() - 1.0).abs() < 1e-12, "{value}");
    }
    assert_eq!(equal.len(), 30);
    for i in 0..30 {
        for j in 0..i {
            assert!(equal[i].dotc(&equal[j]).modulus() < 1e-12);
        }
    }
}

#[test]
fn single_precision_serves_too() {
    let cycle = DMatrix::from_fn(4, 4, |i, j| if j == (i + 1) % 4 { 1.0_f32 } else { 0.0 });
    let found = spectrum(&cycle).unwrap();
    assert!((found.values[0].re - 1.0).abs() < 1e-5 && found.residual < 1e-5);
    assert_eq!(found.count_above(0.5), 1);
}
