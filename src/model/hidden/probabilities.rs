//! Probabilities of finitely many outcomes, for every law that has some.
//!
//! Covers their check, drawing an outcome by inversion, and the uniform number that a random word stands for. Not here:
//! the laws.

use rand::Rng;

use crate::Scalar;

/// Checks that probabilities are positive and sum to 1 within 1e-6, and makes the sum exact. The error says what is wrong.
///
/// Six digits are what people type; the sum of n numbers in single precision may be wrong by n units in the last place.
pub(super) fn normalise<T: Scalar>(probabilities: &mut [T]) -> Result<(), &'static str> {
    if !probabilities.iter().all(|w| *w > T::zero() && w.is_finite()) {
        return Err("every probability must be positive and finite");
    }
    let total: f64 = probabilities.iter().map(|w| w.as_f64()).sum();
    let rounding = T::EPSILON.as_f64() * probabilities.len() as f64;
    if !((total - 1.0).abs() < rounding.max(1e-6)) {
        return Err("the probabilities must sum to 1");
    }
    for w in probabilities {
        *w /= T::lit(total);
    }
    Ok(())
}

/// The index drawn from a discrete law, by inversion.
pub(super) fn draw_index<T: Scalar, G: Rng + ?Sized>(probabilities: &[T], rng: &mut G) -> usize {
    index_at(probabilities, T::standard_uniform(rng).as_f64())
}

/// The index at which the distribution function of a discrete law exceeds u.
pub(super) fn index_at<T: Scalar>(probabilities: &[T], mut u: f64) -> usize {
    for (k, &w) in probabilities.iter().enumerate() {
        if u < w.as_f64() {
            return k;
        }
        u -= w.as_f64();
    }
    probabilities.len() - 1
}

/// The upper 52 bits of a word as an odd multiple of 2⁻⁵³: uniform in (0, 1), never an end.
#[inline]
pub(super) fn uniform(word: u64) -> f64 {
    f64::from_bits((word >> 12) | (1023 << 52)) - (1.0 - f64::EPSILON / 2.0)
}
