//! The one bound that users write: a real number of machine precision (`f32` or `f64`).
//!
//! Covers the trait [`Scalar`]. Not here: everything that knows what the numbers mean.

mod bounded;

use rand::Rng;
use rand_distr::{Distribution, Exp1, StandardNormal, StandardUniform};

pub(crate) use bounded::Bounded;

/// A real number of machine precision: `f32` or `f64`.
///
/// It collects what the crate needs of a number, so that generic code writes this bound alone:
/// nalgebra's [`RealField`](nalgebra::RealField) (all elementary functions), copying, printing, and the standard
/// random variables. The trait is sealed: its two implementations are all there are.
///
/// ```
/// use contrastive_dynamics::Scalar;
/// fn cosine<T: Scalar>(q: T, r: T) -> T {
///     q / r.sqrt()
/// }
/// assert_eq!(cosine(1.0_f32, 4.0), 0.5);
/// ```
pub trait Scalar:
    nalgebra::RealField + num_traits::ToPrimitive + Copy + Default + std::fmt::LowerExp + std::iter::Sum + sealed::Sealed
{
    /// Distance from 1 to the next larger number (2⁻⁵² or 2⁻²³).
    const EPSILON: Self;

    /// The number nearest to the literal `x`.
    fn lit(x: f64) -> Self;

    /// The number nearest to the integer `n`.
    fn of_usize(n: usize) -> Self {
        Self::lit(n as f64)
    }

    /// The same number in double precision, exactly.
    fn as_f64(self) -> f64;

    /// The error function erf(x) = (2/√π) ∫₀ˣ exp(−t²) dt, correctly rounded to about one ulp.
    #[must_use]
    fn erf(self) -> Self;

    /// The slice as one of the precision that it has: what generic code branches on where the two differ.
    #[doc(hidden)]
    fn in_precision(slice: &mut [Self]) -> InPrecision<'_>;

    /// One draw from the standard normal law.
    fn standard_normal<G: Rng + ?Sized>(rng: &mut G) -> Self;

    /// One draw from the uniform law on [0, 1).
    fn standard_uniform<G: Rng + ?Sized>(rng: &mut G) -> Self;

    /// One draw from the exponential law of mean 1.
    fn standard_exponential<G: Rng + ?Sized>(rng: &mut G) -> Self;
}

/// A slice of numbers, in the precision that they have.
#[doc(hidden)]
#[derive(Debug)]
pub enum InPrecision<'a> {
    /// `f32`.
    Single(&'a mut [f32]),
    /// `f64`.
    Double(&'a mut [f64]),
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

macro_rules! impl_scalar {
    ($t:ident, $precision:ident, $erf:path) => {
        impl Scalar for $t {
            const EPSILON: Self = $t::EPSILON;

            #[inline(always)]
            #[allow(clippy::cast_possible_truncation)] // rounding to f32 is what is promised
            fn lit(x: f64) -> Self {
                x as $t
            }

            #[inline(always)]
            fn as_f64(self) -> f64 {
                f64::from(self)
            }

            #[inline(always)]
            fn in_precision(slice: &mut [Self]) -> InPrecision<'_> {
                InPrecision::$precision(slice)
            }

            #[inline]
            fn erf(self) -> Self {
                $erf(self)
            }

            #[inline(always)]
            fn standard_normal<G: Rng + ?Sized>(rng: &mut G) -> Self {
                StandardNormal.sample(&mut Bounded::new(rng))
            }

            #[inline]
            fn standard_uniform<G: Rng + ?Sized>(rng: &mut G) -> Self {
                StandardUniform.sample(rng)
            }

            #[inline]
            fn standard_exponential<G: Rng + ?Sized>(rng: &mut G) -> Self {
                Exp1.sample(&mut Bounded::new(rng))
            }
        }
    };
}

impl_scalar!(f32, Single, libm::erff);
impl_scalar!(f64, Double, libm::erf);

#[cfg(test)]
mod tests {
    use super::Scalar;

    #[test]
    fn literals_round_to_nearest_and_widen_exactly() {
        assert_eq!(<f32 as Scalar>::lit(0.1), 0.1_f32);
        assert_eq!(0.1_f32.as_f64(), f64::from(0.1_f32));
        assert_eq!(<f64 as Scalar>::of_usize(7), 7.0);
    }

    #[test]
    fn erf_matches_tabulated_values() {
        // Abramowitz & Stegun, table 7.1.
        for (x, y) in [(0.5_f64, 0.520_499_877_8), (1.0, 0.842_700_792_9), (2.0, 0.995_322_265_0)] {
            assert!((Scalar::erf(x) - y).abs() < 1e-10);
            assert!((Scalar::erf(-x) + y).abs() < 1e-10);
        }
    }
}
