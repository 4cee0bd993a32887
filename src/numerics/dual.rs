//! Numbers with which a rule is evaluated: a scalar, or a scalar with its derivatives along eight directions.
//!
//! Everything that follows the nodes of a rule (factor, regressions, assembly) is written once, for both; the
//! derivatives are then those of the frozen rule itself.

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};

use crate::Scalar;
use crate::numerics::lanes::{LANES, Lanes};

/// A scalar, or one with derivatives.
pub(crate) trait Number<T: Scalar>:
    Copy
    + Debug
    + PartialEq
    + Send
    + Sync
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
{
    /// Whether derivatives are carried.
    const DIFFERENTIATES: bool;

    /// A constant.
    fn constant(x: T) -> Self;

    /// The value alone.
    fn value(&self) -> T;

    /// This number times a constant.
    #[must_use]
    fn times(self, x: T) -> Self;

    /// f of this number, from f and f' at its value.
    #[must_use]
    fn map(self, value: T, derivative: T) -> Self;

    /// The derivative along a direction; 0 where none is carried.
    fn slope(&self, direction: usize) -> T;

    /// A number with these derivatives, where they are carried.
    #[must_use]
    fn with_slopes(value: T, slopes: Lanes<T>) -> Self;

    /// Whether every derivative is zero to rounding, beside those of `scale`.
    fn is_stationary(&self, scale: &Self) -> bool;

    fn zero() -> Self {
        Self::constant(T::zero())
    }

    fn one() -> Self {
        Self::constant(T::one())
    }

    #[must_use]
    fn sqrt(self) -> Self {
        let root = self.value().sqrt();
        self.map(root, T::lit(0.5) / root)
    }
}

impl<T: Scalar> Number<T> for T {
    const DIFFERENTIATES: bool = false;

    #[inline(always)]
    fn constant(x: T) -> Self {
        x
    }
    #[inline(always)]
    fn value(&self) -> T {
        *self
    }
    #[inline(always)]
    fn times(self, x: T) -> Self {
        self * x
    }
    #[inline(always)]
    fn map(self, value: T, _derivative: T) -> Self {
        value
    }
    #[inline(always)]
    fn slope(&self, _direction: usize) -> T {
        T::zero()
    }
    #[inline(always)]
    fn with_slopes(value: T, _slopes: Lanes<T>) -> Self {
        value
    }
    #[inline(always)]
    fn is_stationary(&self, _scale: &Self) -> bool {
        true
    }
}

/// A value with its derivatives along [`LANES`] directions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dual<T> {
    pub(crate) value: T,
    pub(crate) slopes: Lanes<T>,
}

impl<T: Scalar> Number<T> for Dual<T> {
    const DIFFERENTIATES: bool = true;

    #[inline(always)]
    fn constant(x: T) -> Self {
        Self { value: x, slopes: Lanes::zero() }
    }
    #[inline(always)]
    fn value(&self) -> T {
        self.value
    }
    #[inline(always)]
    fn times(self, x: T) -> Self {
        Self { value: self.value * x, slopes: self.slopes * Lanes::splat(x) }
    }
    #[inline(always)]
    fn map(self, value: T, derivative: T) -> Self {
        Self { value, slopes: self.slopes * Lanes::splat(derivative) }
    }
    #[inline(always)]
    fn slope(&self, direction: usize) -> T {
        self.slopes.0[direction]
    }
    #[inline(always)]
    fn with_slopes(value: T, slopes: Lanes<T>) -> Self {
        Self { value, slopes }
    }
    fn is_stationary(&self, scale: &Self) -> bool {
        let largest = scale.slopes.0.iter().fold(scale.value.abs(), |most, x| most.max(x.abs()));
        self.slopes.0.iter().all(|x| x.abs() <= T::EPSILON.sqrt() * largest)
    }
}

impl<T: Scalar> Add for Dual<T> {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self { value: self.value + other.value, slopes: self.slopes + other.slopes }
    }
}

impl<T: Scalar> Sub for Dual<T> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self { value: self.value - other.value, slopes: self.slopes - other.slopes }
    }
}

impl<T: Scalar> Mul for Dual<T> {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        let slopes = self.slopes * Lanes::splat(other.value) + Lanes::splat(self.value) * other.slopes;
        Self { value: self.value * other.value, slopes }
    }
}

impl<T: Scalar> Div for Dual<T> {
    type Output = Self;
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        let value = self.value / other.value;
        let inverse = T::one() / other.value;
        Self { value, slopes: (self.slopes - Lanes::splat(value) * other.slopes) * Lanes::splat(inverse) }
    }
}

impl<T: Scalar> Neg for Dual<T> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self { value: -self.value, slopes: -self.slopes }
    }
}

impl<T: Scalar> AddAssign for Dual<T> {
    #[inline(always)]
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl<T: Scalar> SubAssign for Dual<T> {
    #[inline(always)]
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

/// The directions of one evaluation.
pub(crate) const DIRECTIONS: usize = LANES;

#[cfg(test)]
mod tests {
    use super::*;

    fn along(value: f64, direction: usize, slope: f64) -> Dual<f64> {
        let mut x = Dual::constant(value);
        x.slopes.0[direction] = slope;
        x
    }

    #[test]
    fn derivatives_follow_the_rules_of_calculus() {
        let f = |x: Dual<f64>, y: Dual<f64>| (x * y - y.times(3.0)) / (x + Dual::one()) + (x * x + y * y).sqrt();
        let (x, y, step) = (1.3, -0.7, 1e-6);
        let both = f(along(x, 0, 1.0), along(y, 5, 2.0));
        let at = |x, y| f(Dual::constant(x), Dual::constant(y)).value;
        assert!((both.slopes.0[0] - (at(x + step, y) - at(x - step, y)) / (2.0 * step)).abs() < 1e-9);
        assert!((both.slopes.0[5] - (at(x, y + step) - at(x, y - step)) / step).abs() < 1e-9);
        assert_eq!(both.slopes.0[1], 0.0);
    }
}
