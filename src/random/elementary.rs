//! The elementary functions of the Box-Muller transform: free of branches, tables and fused operations, so that loops
//! over them become vector instructions and every instruction set gives the same bits.
//!
//! Covers −2 ln u on (0, 1] in two halves, and cosine and sine of angles within π/4, in double and in single precision,
//! accurate to the units in the last place that the tests of this file state. Not here: everything random.
//!
//! The polynomials are minimax in relative error (Remez). Horner's rule, though a chain, is the fastest way here: the
//! many lanes hide its latency, and it needs the fewest operations.

use std::f64::consts::{FRAC_PI_2, LN_2};

use crate::Scalar;

#[inline(always)]
fn polynomial<T: Scalar, const N: usize>(coefficients: &[T; N], z: T) -> T {
    let mut sum = coefficients[N - 1];
    for k in (0..N - 1).rev() {
        sum = sum * z + coefficients[k];
    }
    sum
}

/// cos((π/2) y) in powers of y², relative error 6e-17.
const COS: [f64; 7] = [
    1.0,
    -1.233_700_550_136_155_3,
    0.253_669_507_899_959_35,
    -0.020_863_480_735_867_437,
    9.192_599_541_477_934e-4,
    -2.520_014_305_912_485_2e-5,
    4.655_337_250_537_963_6e-7,
];

/// sin((π/2) y)/y in powers of y², relative error 3e-18.
const SIN: [f64; 7] = [
    FRAC_PI_2,
    -0.645_964_097_506_244_3,
    0.079_692_626_246_039_57,
    -0.004_681_754_132_282_42,
    1.604_411_502_916_604_8e-4,
    -3.598_641_754_461_118e-6,
    5.633_721_011_705_075e-8,
];

/// −4 artanh(s)/s in powers of s², relative error 1e-18.
const LN: [f64; 8] = [
    -4.0,
    -1.333_333_333_333_346_8,
    -0.799_999_999_988_327_5,
    -0.571_428_574_840_294_7,
    -0.444_443_972_217_399_45,
    -0.363_671_248_008_611_56,
    -0.306_281_979_170_257_4,
    -0.295_909_478_396_802_04,
];

/// As [`COS`], relative error 7e-11.
const COS_SINGLE: [f32; 5] = [1.0, -1.233_700_5, 0.253_669_23, -0.020_860_165, 9.037_665_4e-4];

/// As [`SIN`], relative error 3e-9.
const SIN_SINGLE: [f32; 4] = [std::f32::consts::FRAC_PI_2, -0.645_963_5, 0.079_680_03, -0.004_601_658];

/// As [`LN`], relative error 8e-10.
const LN_SINGLE: [f32; 4] = [-4.0, -1.333_335_5, -0.799_551_5, -0.597_418_7];

/// Cosine and sine of (π/2) y for |y| ≤ 1/2.
#[inline(always)]
pub(super) fn cos_sin(y: f64) -> (f64, f64) {
    let z = y * y;
    (polynomial(&COS, z), polynomial(&SIN, z) * y)
}

/// As [`cos_sin`].
#[inline(always)]
pub(super) fn cos_sin_single(y: f32) -> (f32, f32) {
    let z = y * y;
    (polynomial(&COS_SINGLE, z), polynomial(&SIN_SINGLE, z) * y)
}

/// The first half of −2 ln u, u = 2^k m with √½ ≤ m < √2: k and s = (m − 1)/(m + 1); for normal numbers 0 < u ≤ 1.
///
/// It ends with a division, the second half begins with its result: as two loops they overlap.
#[inline(always)]
pub(super) fn reduce(u: f64) -> (f64, f64) {
    /// The bits of √½.
    const LEAST: u64 = 0x3FE6_A09E_667F_3BCD;
    /// 2^52: its low bits count units.
    const UNITS: u64 = 1075 << 52;
    let shifted = u.to_bits().wrapping_add((1023 << 52) - LEAST);
    let k = f64::from_bits((shifted >> 52) | UNITS) - (4_503_599_627_370_496.0 + 1023.0);
    let m = f64::from_bits((shifted & ((1 << 52) - 1)) + LEAST);
    (k, (m - 1.0) / (m + 1.0))
}

/// The second half: −2 ln u = −2 k ln 2 − 4 artanh s.
#[inline(always)]
pub(super) fn minus_two_ln(k: f64, s: f64) -> f64 {
    k * (-2.0 * LN_2) + polynomial(&LN, s * s) * s
}

/// As [`reduce`].
#[inline(always)]
pub(super) fn reduce_single(u: f32) -> (f32, f32) {
    const LEAST: u32 = 0x3F35_04F3;
    const UNITS: u32 = 150 << 23;
    let shifted = u.to_bits().wrapping_add((127 << 23) - LEAST);
    let k = f32::from_bits((shifted >> 23) | UNITS) - (8_388_608.0 + 127.0);
    let m = f32::from_bits((shifted & ((1 << 23) - 1)) + LEAST);
    (k, (m - 1.0) / (m + 1.0))
}

/// As [`minus_two_ln`].
#[inline(always)]
pub(super) fn minus_two_ln_single(k: f32, s: f32) -> f32 {
    k * (-2.0 * std::f32::consts::LN_2) + polynomial(&LN_SINGLE, s * s) * s
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest error in units in the last place, of a format with that distance from 1 to the next number.
    fn worst_ulp(values: impl Iterator<Item = [f64; 2]>, epsilon: f64) -> f64 {
        values.map(|[y, exact]| (y - exact).abs() / (epsilon * (0.5 * exact.abs()).max(1e-300))).fold(0.0, f64::max)
    }

    /// Numbers in (0, 1]: dense, close to 1, and close to 0.
    fn unit_interval() -> impl Iterator<Item = f64> {
        (0..200_000).flat_map(|k| {
            let x = (f64::from(k) + 0.5) / 200_000.0;
            [x, 1.0 - 1e-5 * x, 1.0 - 1e-12 * x, x * 1e-6, x * 1e-15]
        })
    }

    #[test]
    fn double_precision_is_accurate_to_five_ulp() {
        let angles = || unit_interval().flat_map(|x| [0.5 * x, -0.5 * x]);
        let cos = angles().map(|y| [cos_sin(y).0, libm::cos(FRAC_PI_2 * y)]);
        let sin = angles().map(|y| [cos_sin(y).1, libm::sin(FRAC_PI_2 * y)]);
        let ln = unit_interval().map(|u| {
            let (k, s) = reduce(u);
            [minus_two_ln(k, s), -2.0 * libm::log(u)]
        });
        let worst = [worst_ulp(cos, f64::EPSILON), worst_ulp(sin, f64::EPSILON), worst_ulp(ln, f64::EPSILON)];
        assert!(worst.iter().all(|&x| x < 5.0), "{worst:?}");
    }

    #[test]
    #[allow(clippy::cast_possible_truncation)]
    fn single_precision_is_accurate_to_five_ulp() {
        let epsilon = f64::from(f32::EPSILON);
        let angles = || unit_interval().flat_map(|x| [0.5 * x, -0.5 * x]).map(|y| y as f32);
        let exact = |y: f32| FRAC_PI_2 * f64::from(y);
        let cos = angles().map(|y| [f64::from(cos_sin_single(y).0), exact(y).cos()]);
        let sin = angles().map(|y| [f64::from(cos_sin_single(y).1), exact(y).sin()]);
        let ln = unit_interval().map(|u| u as f32).filter(|&u| u < 1.0).map(|u| {
            let (k, s) = reduce_single(u);
            [f64::from(minus_two_ln_single(k, s)), -2.0 * f64::from(u).ln()]
        });
        let worst = [worst_ulp(cos, epsilon), worst_ulp(sin, epsilon), worst_ulp(ln, epsilon)];
        assert!(worst.iter().all(|&x| x < 5.0), "{worst:?}");
    }

    #[test]
    fn the_ends_of_the_ranges_are_exact() {
        let ln = |u: f64| {
            let (k, s) = reduce(u);
            minus_two_ln(k, s)
        };
        assert_eq!(ln(1.0), 0.0);
        assert_eq!(ln(f64::EPSILON), 104.0 * LN_2);
        let (k, s) = reduce_single(1.0);
        assert_eq!(minus_two_ln_single(k, s), 0.0);
        assert_eq!(cos_sin(0.0), (1.0, 0.0));
        assert_eq!(cos_sin_single(0.0), (1.0, 0.0));
    }
}
