//! Elementary functions for slices: free of branches and of fused operations, so that loops over them become vector
//! instructions and every instruction set gives the same bits. Accurate to a few units in the last place (tested
//! against the scalar library in this file).
//!
//! Covers pairs (σ, σ') of the activations that need an exponential. All work is in double precision; `f32` slices are
//! widened and rounded once.

use crate::Scalar;
use crate::numerics::lanes::dispatch;

/// Fills `values` and `derivatives` with the pair f(field) of every field.
pub(crate) fn evaluate<T: Scalar>(
    f: impl Fn(f64) -> (f64, f64),
    fields: &[T],
    values: &mut [T],
    derivatives: &mut [T],
) {
    dispatch(
        #[inline(always)]
        || {
            for ((&h, y), d) in fields.iter().zip(values.iter_mut()).zip(derivatives.iter_mut()) {
                let (value, derivative) = f(h.as_f64());
                *y = T::lit(value);
                *d = T::lit(derivative);
            }
        },
    );
}

/// Fills `out` with f of every pair.
pub(crate) fn combine<T: Scalar>(x: &[T], y: &[T], out: &mut [T], f: impl Fn(T, T) -> T) {
    dispatch(
        #[inline(always)]
        || out.iter_mut().zip(x).zip(y).for_each(|((out, &x), &y)| *out = f(x, y)),
    );
}

/// Adding it rounds to the nearest integer and leaves that integer in the low bits.
const ROUNDER: f64 = 6_755_399_441_055_744.0; // 1.5 · 2^52
const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;

/// 1/(k + 2)!.
const EXP_TAYLOR: [f64; 13] = [
    1.0 / 2.0,
    1.0 / 6.0,
    1.0 / 24.0,
    1.0 / 120.0,
    1.0 / 720.0,
    1.0 / 5_040.0,
    1.0 / 40_320.0,
    1.0 / 362_880.0,
    1.0 / 3_628_800.0,
    1.0 / 39_916_800.0,
    1.0 / 479_001_600.0,
    1.0 / 6_227_020_800.0,
    1.0 / 87_178_291_200.0,
];

/// (2^k, exp(r) − 1) with x = k ln 2 + r, |r| ≤ ln(2)/2; for −708 ≤ x ≤ 708.
#[inline(always)]
fn reduced_exp(x: f64) -> (f64, f64) {
    let shifted = x * std::f64::consts::LOG2_E + ROUNDER;
    let k = shifted - ROUNDER;
    let power = f64::from_bits((shifted.to_bits() << 52).wrapping_add(1023 << 52));
    let r = (x - k * LN_2_HIGH) - k * LN_2_LOW;
    // Taylor, Σ_k r^k/(k + 2)!: the first term left out is below 2e-17 relative to r. In pairs (Estrin), so that no
    // operation waits long for another.
    let [r2, r4, r8] = {
        let r2 = r * r;
        let r4 = r2 * r2;
        [r2, r4, r4 * r4]
    };
    let pair = |k: usize| EXP_TAYLOR[k] + EXP_TAYLOR[k + 1] * r;
    let four = |k: usize| pair(k) + pair(k + 2) * r2;
    let low = four(0) + four(4) * r4;
    let sum = low + (four(8) + EXP_TAYLOR[12] * r4) * r8;
    (power, r + r2 * sum)
}

/// exp(x) for −708 ≤ x ≤ 708.
#[inline(always)]
fn exp(x: f64) -> f64 {
    let (power, rest) = reduced_exp(x);
    power + power * rest
}

/// `x` if it is below `limit`, else `limit`; a NaN stays one.
#[inline(always)]
fn at_most(x: f64, limit: f64) -> f64 {
    if x > limit { limit } else { x }
}

/// tanh h and its derivative.
#[inline(always)]
pub(crate) fn tanh(h: f64) -> (f64, f64) {
    // E = exp(2|h|) − 1, tanh = E/(E + 2), derivative 4(E + 1)/(E + 2)². Beyond 350 both are constant.
    let (power, rest) = reduced_exp(2.0 * at_most(h.abs(), 350.0));
    let e = power * rest + (power - 1.0);
    let inverse = 1.0 / (e + 2.0);
    // (E + 1)/(E + 2)² without overflow.
    let derivative = 4.0 * ((e + 1.0) * inverse) * inverse;
    ((e * inverse).copysign(h), derivative)
}

/// The logistic function and its derivative.
#[inline(always)]
pub(crate) fn sigmoid(h: f64) -> (f64, f64) {
    let e = exp(-at_most(h.abs(), 708.0));
    let inverse = 1.0 / (1.0 + e);
    let small = e * inverse;
    (if h < 0.0 { small } else { inverse }, small * inverse)
}

/// ln(1 + exp h) and its derivative.
#[inline(always)]
pub(crate) fn softplus(h: f64) -> (f64, f64) {
    let e = exp(-at_most(h.abs(), 708.0));
    let inverse = 1.0 / (1.0 + e);
    // ln(1 + e) = 2 artanh(e/(2 + e)), the argument at most 1/3.
    let z = e / (2.0 + e);
    let square = z * z;
    let mut sum = 1.0 / 35.0;
    for k in (0..17).rev() {
        sum = sum * square + 1.0 / (2.0 * f64::from(k) + 1.0);
    }
    let positive = if h < 0.0 { 0.0 } else { h };
    (positive + 2.0 * z * sum, if h < 0.0 { e * inverse } else { inverse })
}

/// erf(√u)/√u for 0 ≤ u ≤ 1, relative error 1e-17.
const ERF_SMALL: [f64; 13] = [
    std::f64::consts::FRAC_2_SQRT_PI,
    -0.376_126_389_031_837_5,
    0.112_837_916_709_548_79,
    -0.026_866_170_645_076_793,
    0.005_223_977_624_818_015,
    -0.000_854_832_698_083_379,
    0.000_120_553_311_116_427_1,
    -0.000_014_925_595_266_831_182,
    1.646_100_048_412_136_8e-6,
    -1.635_031_270_105_469_5e-7,
    1.465_977_527_404_743_6e-8,
    -1.137_284_885_679_167_4e-9,
    5.957_176_147_748_911e-11,
];

/// erfc(x) exp(x²)(x + 2) as a polynomial in (x − 2)/(x + 2) for 1 ≤ x ≤ 6.5, relative error 2e-17.
const ERFC_LARGE: [f64; 17] = [
    1.021_582_705_242_023,
    -0.687_160_684_413_811,
    0.279_472_092_556_047_5,
    -0.036_442_231_506_774_14,
    -0.021_510_661_888_550_743,
    0.006_479_185_058_953_732,
    0.003_090_612_016_438_149,
    -0.000_837_295_720_957_530_9,
    -0.000_663_072_661_379_275_3,
    0.000_034_364_359_410_249_355,
    0.000_144_464_420_239_086_63,
    0.000_034_229_364_826_652_94,
    -0.000_021_711_145_918_338_377,
    -0.000_016_593_120_272_404_002,
    -6.724_132_836_955_859e-7,
    4.755_154_360_069_088e-6,
    2.068_498_956_325_185e-7,
];

#[inline(always)]
fn polynomial<const N: usize>(coefficients: &[f64; N], x: f64) -> f64 {
    let mut sum = coefficients[N - 1];
    for k in (0..N - 1).rev() {
        sum = sum * x + coefficients[k];
    }
    sum
}

/// erf(h/√2) and its derivative √(2/π) exp(−h²/2).
#[inline(always)]
pub(crate) fn erf(h: f64) -> (f64, f64) {
    let magnitude = at_most(h.abs(), 37.5);
    // exp(−h²/2) with h² exact: h = high + low, high of 26 bits.
    let high = f64::from_bits(magnitude.to_bits() & 0xFFFF_FFFF_F800_0000);
    let low = 0.5 * (magnitude - high) * (magnitude + high);
    let gauss = exp(-0.5 * high * high) * (1.0 - low + 0.5 * low * low);
    let x = magnitude * std::f64::consts::FRAC_1_SQRT_2;
    let small = x * polynomial(&ERF_SMALL, at_most(x * x, 1.0));
    let inverse = 1.0 / (x + 2.0);
    let large = 1.0 - gauss * polynomial(&ERFC_LARGE, (x - 2.0) * inverse) * inverse;
    let value = if x < 1.0 { small } else { large };
    (value.copysign(h), 0.797_884_560_802_865_4 * gauss)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest error in units in the last place over a grid of both signs and many magnitudes.
    fn worst_ulp(f: impl Fn(f64) -> f64, reference: impl Fn(f64) -> f64, range: f64) -> f64 {
        let grid = (1..40_000).flat_map(|k| {
            let x = range * f64::from(k) / 40_000.0;
            [x, -x, x * 1e-4, -x * 1e-9]
        });
        grid.map(|x| {
            let exact = reference(x);
            (f(x) - exact).abs() / (f64::EPSILON * exact.abs().max(f64::MIN_POSITIVE / f64::EPSILON))
        })
        .fold(0.0, f64::max)
    }

    #[test]
    fn functions_are_accurate_to_a_few_ulp() {
        let cosh = |x: f64| 1.0 / x.cosh();
        assert!(worst_ulp(|x| tanh(x).0, f64::tanh, 30.0) < 4.0);
        assert!(worst_ulp(|x| tanh(x).1, |x| cosh(x) * cosh(x), 15.0) < 8.0);
        assert!(worst_ulp(|x| sigmoid(x).0, |x| 1.0 / (1.0 + (-x).exp()), 600.0) < 4.0);
        assert!(worst_ulp(|x| softplus(x).0, |x| x.max(0.0) + (-x.abs()).exp().ln_1p(), 600.0) < 4.0);
        let root = std::f64::consts::FRAC_1_SQRT_2;
        assert!(worst_ulp(|x| erf(x).0, |x| libm::erf(x * root), 10.0) < 4.0);
        let gauss = |x: f64| {
            // x² = high + low exactly.
            let high = x * x;
            let low = x.mul_add(x, -high);
            (2.0 / std::f64::consts::PI).sqrt() * (-0.5 * high).exp() * (-0.5 * low).exp()
        };
        assert!(worst_ulp(|x| erf(x).1, gauss, 30.0) < 6.0);
    }

    #[test]
    fn the_ends_of_the_range_are_right() {
        for f in [tanh, sigmoid, softplus, erf] {
            assert!(f(f64::NAN).0.is_nan());
        }
        assert_eq!(tanh(f64::INFINITY).0, 1.0);
        assert_eq!(tanh(-1e300).0, -1.0);
        assert!(tanh(1e300).1 < 1e-290);
        assert_eq!(erf(f64::NEG_INFINITY).0, -1.0);
        assert_eq!(sigmoid(f64::INFINITY).0, 1.0);
        assert_eq!(softplus(f64::INFINITY).0, f64::INFINITY);
        assert!(softplus(f64::NEG_INFINITY).0 < 1e-300);
        for f in [tanh, erf] {
            assert_eq!(f(0.0).0, 0.0);
            assert!(f(-0.0).0.is_sign_negative());
        }
    }
}
