//! The loops of length N, and of length 2B, that simulators and particles are made of.
//!
//! Covers drawing normals, scalar products, and sums of columns, on plain slices. Sums are split over a fixed number of
//! accumulators, so results are the same bits on every instruction set; callers choose that set by
//! [`dispatch`](crate::numerics::lanes::dispatch).

use rand::Rng;

use crate::Scalar;
use crate::numerics::lanes::{LANES, Lanes};

/// Groups of lanes with partial sums of their own: enough to hide the latency of an addition.
const GROUPS: usize = 4;

/// Fills `out` with independent standard normals.
#[inline(always)]
pub(crate) fn fill_normals<T: Scalar, R: Rng + ?Sized>(rng: &mut R, out: &mut [T]) {
    for x in out {
        *x = T::standard_normal(rng);
    }
}

/// The sum over all lanes of all groups, in a fixed order.
#[inline(always)]
fn total<T: Scalar>([a, b, c, d]: [Lanes<T>; GROUPS]) -> T {
    sum_lanes((a + b) + (c + d))
}

/// The sum over the lanes. Not inlined: where the compiler sees what becomes of partial sums, it shuffles them all the
/// way instead of at the end.
#[inline(never)]
fn sum_lanes<T: Scalar>(lanes: Lanes<T>) -> T {
    lanes.sum()
}

/// Σ_n x_n y_n.
#[inline(always)]
pub(crate) fn dot<T: Scalar>(x: &[T], y: &[T]) -> T {
    let (xs, x_rest) = x.as_chunks::<LANES>();
    let (ys, y_rest) = y.as_chunks::<LANES>();
    let mut result = T::zero();
    if !xs.is_empty() {
        let (x4, xs) = xs.as_chunks::<GROUPS>();
        let (y4, ys) = ys.as_chunks::<GROUPS>();
        let mut sums = [Lanes::zero(); GROUPS];
        for (x, y) in x4.iter().zip(y4) {
            for k in 0..GROUPS {
                sums[k] += Lanes(x[k]) * Lanes(y[k]);
            }
        }
        for (x, y) in xs.iter().zip(ys) {
            sums[0] += Lanes(*x) * Lanes(*y);
        }
        result = total(sums);
    }
    x_rest.iter().zip(y_rest).fold(result, |sum, (&x, &y)| sum + x * y)
}

/// Σ_n x_n.
#[inline(always)]
pub(crate) fn sum<T: Scalar>(x: &[T]) -> T {
    let (groups, rest) = x.as_chunks::<LANES>();
    let (fours, ones) = groups.as_chunks::<GROUPS>();
    let mut sums = [Lanes::zero(); GROUPS];
    for x in fours {
        for k in 0..GROUPS {
            sums[k] += Lanes(x[k]);
        }
    }
    for x in ones {
        sums[0] += Lanes(*x);
    }
    rest.iter().fold(total(sums), |sum, &x| sum + x)
}

/// y += a x.
#[inline(always)]
pub(crate) fn add_scaled<T: Scalar>(a: T, x: &[T], y: &mut [T]) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y += a * x;
    }
}

/// Some columns, each `stride` entries after the one before it, and each with a coefficient.
#[derive(Clone, Copy)]
pub(crate) struct Columns<'a, T> {
    pub(crate) data: &'a [T],
    pub(crate) stride: usize,
    pub(crate) coefficients: &'a [T],
}

/// out = map(base) + Σ coefficient·column over all columns of all parts; returns ‖out‖². Of every column as many entries
/// count as `out` has, and so many has `base`.
#[inline(always)]
pub(crate) fn combine<T: Scalar, const P: usize>(
    out: &mut [T],
    base: &[T],
    map: impl Fn(T) -> T,
    parts: [Columns<'_, T>; P],
) -> T {
    let n = out.len();
    let mut norms = [Lanes::zero(); GROUPS];
    let (out_groups, out_rest) = out.as_chunks_mut::<LANES>();
    let (base_groups, base_rest) = base.as_chunks::<LANES>();
    let (out4, out1) = out_groups.as_chunks_mut::<GROUPS>();
    let (base4, base1) = base_groups.as_chunks::<GROUPS>();
    let mut at = 0;
    for (out, base) in out4.iter_mut().zip(base4) {
        norms = sweep(out, base, &map, parts, at, norms);
        at += GROUPS * LANES;
    }
    for (out, base) in out1.iter_mut().zip(base1) {
        norms = sweep(std::array::from_mut(out), std::array::from_ref(base), &map, parts, at, norms);
        at += LANES;
    }
    let mut norm = total(norms);
    for (k, (out, &base)) in (at..n).zip(out_rest.iter_mut().zip(base_rest)) {
        let mut sum = map(base);
        for part in parts {
            for (c, &a) in part.coefficients.iter().enumerate() {
                sum += a * part.data[c * part.stride + k];
            }
        }
        norm += sum * sum;
        *out = sum;
    }
    norm
}

/// [`combine`] for G groups of lanes from entry `at` on; adds the squares to `norms`.
#[inline(always)]
fn sweep<T: Scalar, const G: usize, const P: usize>(
    out: &mut [[T; LANES]; G],
    base: &[[T; LANES]; G],
    map: &impl Fn(T) -> T,
    parts: [Columns<'_, T>; P],
    at: usize,
    mut norms: [Lanes<T>; GROUPS],
) -> [Lanes<T>; GROUPS] {
    let mut sums = [Lanes::zero(); G];
    for g in 0..G {
        for k in 0..LANES {
            sums[g].0[k] = map(base[g][k]);
        }
    }
    for part in parts {
        let mut start = at;
        for &a in part.coefficients {
            let a = Lanes::splat(a);
            let column = part.data[start..start + G * LANES].as_chunks::<LANES>().0;
            for g in 0..G {
                sums[g] += a * Lanes(column[g]);
            }
            start += part.stride;
        }
    }
    for g in 0..G {
        norms[g] += sums[g] * sums[g];
        out[g] = sums[g].0;
    }
    norms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_agree_with_plain_loops_at_every_length() {
        for n in [1, 2, 7, 8, 31, 32, 33, 75, 128] {
            let entry = |seed: usize| move |k: usize| ((k * 37 + seed * 11) % 19) as f64 - 9.0;
            let column = |seed| (0..n).map(entry(seed)).collect::<Vec<f64>>();
            let (x, y) = (column(1), column(2));
            // Small integers: every sum is exact.
            assert_eq!(sum(&x), x.iter().sum::<f64>());
            assert_eq!(dot(&x, &y), x.iter().zip(&y).map(|(x, y)| x * y).sum::<f64>());
            let (data, one) = ([column(3), column(4)].concat(), column(5));
            let parts = [
                Columns { data: &data, stride: n, coefficients: &[2.0, -3.0] },
                Columns { data: &one, stride: n, coefficients: &[1.0] },
                Columns { data: &[], stride: n, coefficients: &[] },
            ];
            let mut out = vec![0.0; n];
            let norm = combine(&mut out, &x, |x| 0.5 * x, parts);
            for k in 0..n {
                assert_eq!(out[k], 0.5 * x[k] + 2.0 * data[k] - 3.0 * data[n + k] + one[k]);
            }
            assert_eq!(norm, out.iter().map(|x| x * x).sum::<f64>());
            add_scaled(2.0, &x, &mut out);
            assert_eq!(out[n - 1], 2.5 * x[n - 1] + 2.0 * data[n - 1] - 3.0 * data[2 * n - 1] + one[n - 1]);
        }
    }
}
