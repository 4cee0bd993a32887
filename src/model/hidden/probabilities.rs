//! Probabilities of finitely many outcomes, for every law that has some.
//!
//! Covers their check, drawing an outcome by inversion, and the uniform number that a random word stands for. Not here:
//! the laws.

use std::cmp::Ordering;

use rand::Rng;

use crate::Scalar;

/// Probabilities sum to 1 within that: what six digits are good for.
const TYPED: f64 = 1e-6;

/// Of a law that is invariant images may differ by so many ulp.
const INVARIANT_ULPS: f64 = 4.0;

/// Checks that probabilities are positive and sum to 1 within 1e-6, and makes the sum exact. The error says what is wrong.
///
/// Six digits are what people type; the sum of n numbers in single precision may be wrong by n units in the last place.
pub(super) fn normalise<T: Scalar>(probabilities: &mut [T]) -> Result<(), &'static str> {
    if !probabilities.iter().all(|w| *w > T::zero() && w.is_finite()) {
        return Err("every probability must be positive and finite");
    }
    let total: f64 = probabilities.iter().map(|w| w.as_f64()).sum();
    let rounding = T::EPSILON.as_f64() * probabilities.len() as f64;
    if !((total - 1.0).abs() < rounding.max(TYPED)) {
        return Err("the probabilities must sum to 1");
    }
    for w in probabilities {
        *w /= T::lit(total);
    }
    Ok(())
}

/// The index drawn from a discrete law, by inversion.
pub(super) fn draw_index<T: Scalar, G: Rng + ?Sized>(probabilities: &[T], rng: &mut G) -> usize {
    let mut u = T::standard_uniform(rng).as_f64();
    for (k, &w) in probabilities.iter().enumerate() {
        if u < w.as_f64() {
            return k;
        }
        u -= w.as_f64();
    }
    probabilities.len() - 1
}

/// The sums of the probabilities up to each.
pub(super) fn cumulative<T: Scalar>(probabilities: &[T]) -> Vec<f64> {
    let mut sum = 0.0;
    let sums = probabilities.iter().map(|w| {
        sum += w.as_f64();
        sum
    });
    sums.collect()
}

/// The index at which sums of probabilities exceed u.
pub(super) fn index_in(cumulative: &[f64], u: f64) -> usize {
    cumulative.partition_point(|&sum| sum <= u).min(cumulative.len() - 1)
}

/// Whether a law on points of d numbers each is invariant when the signs of the entries marked in `flip` change. As much work as sorting
/// the points.
pub(super) fn is_invariant<T: Scalar>(
    points: &[T],
    d: usize,
    probabilities: &[T],
    flip: &dyn Fn(usize) -> bool,
) -> bool {
    let allowed = T::lit(INVARIANT_ULPS) * T::EPSILON;
    let n = T::of_usize(probabilities.len());
    // Most laws that are not are known by a mean or a third moment, at less work.
    for l in (0..d).filter(|&l| flip(l)) {
        let column = || points.iter().skip(l).step_by(d).zip(probabilities);
        let size = column().fold(T::zero(), |most: T, (x, _)| most.max(x.abs()));
        let odd = |power: i32| column().fold(T::zero(), |sum, (&x, &w)| sum + w * (x / size).powi(power)).abs();
        if size > T::zero() && [1, 3].into_iter().any(|power| odd(power) > T::lit(2.0) * n * allowed) {
            return false;
        }
    }
    let point = |k: usize| &points[k * d..(k + 1) * d];
    let compare = |a: usize, b: usize| point(a).partial_cmp(point(b)).unwrap_or(Ordering::Equal);
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_unstable_by(|&a, &b| compare(a, b));
    // Each place once, with its mass.
    let mut masses: Vec<(usize, T)> = Vec::with_capacity(order.len());
    for k in order {
        match masses.last_mut() {
            Some((known, mass)) if point(*known) == point(k) => *mass += probabilities[k],
            _ => masses.push((k, probabilities[k])),
        }
    }
    masses.iter().all(|&(k, mass)| {
        let turned = || point(k).iter().enumerate().map(|(l, &x)| if flip(l) { -x } else { x });
        let found = masses.binary_search_by(|&(other, _)| {
            point(other).iter().copied().partial_cmp(turned()).unwrap_or(Ordering::Equal)
        });
        let other = found.map_or(T::zero(), |at| masses[at].1);
        (mass - other).abs() <= allowed
    })
}

/// The upper 52 bits of a word as an odd multiple of 2⁻⁵³: uniform in (0, 1), never an end.
#[inline]
pub(super) fn uniform(word: u64) -> f64 {
    f64::from_bits((word >> 12) | (1023 << 52)) - (1.0 - f64::EPSILON / 2.0)
}
