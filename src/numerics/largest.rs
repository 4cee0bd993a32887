//! Largest and smallest of some numbers, of which a NaN does not get lost: comparisons with it are false, so that a plain
//! maximum passes it over.

use crate::Scalar;

/// The largest number, −∞ of none; NaN if one is NaN.
pub(crate) fn largest<T: Scalar>(numbers: impl IntoIterator<Item = T>) -> T {
    numbers.into_iter().fold(T::lit(f64::NEG_INFINITY), |most, x| if is_nan(most) || x <= most { most } else { x })
}

/// The largest absolute value, 0 of none; NaN if one is NaN.
pub(crate) fn largest_size<T: Scalar>(numbers: impl IntoIterator<Item = T>) -> T {
    numbers.into_iter().fold(T::zero(), |most, x| if is_nan(most) || x.abs() <= most { most } else { x.abs() })
}

/// The smallest number, ∞ of none; NaN if one is NaN.
pub(crate) fn smallest<T: Scalar>(numbers: impl IntoIterator<Item = T>) -> T {
    numbers.into_iter().fold(T::lit(f64::INFINITY), |least, x| if is_nan(least) || x >= least { least } else { x })
}

fn is_nan<T: Scalar>(x: T) -> bool {
    x.partial_cmp(&x).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nan_is_not_lost_wherever_it_stands() {
        let numbers = [1.0, -3.0, 2.0];
        assert_eq!((largest(numbers), largest_size(numbers), smallest(numbers)), (2.0, 3.0, -3.0));
        for at in 0..3 {
            let mut numbers = numbers;
            numbers[at] = f64::NAN;
            assert!(largest(numbers).is_nan() && largest_size(numbers).is_nan() && smallest(numbers).is_nan(), "{at}");
        }
        let none: [f32; 0] = [];
        assert_eq!((largest(none), largest_size(none), smallest(none)), (f32::NEG_INFINITY, 0.0, f32::INFINITY));
        assert_eq!(largest_size([-f64::INFINITY, 1.0]), f64::INFINITY);
    }
}
