//! Steps of finite differences, in units of the scale on which the function varies.
//!
//! Covers central differences of second and of fourth order. Not here: second derivatives.

use crate::Scalar;

/// ε^(1/3): balances the truncation error h² of a central difference against its rounding error ε/h.
pub(crate) fn second_order_step<T: Scalar>() -> T {
    T::EPSILON.cbrt()
}

/// ε^(1/5) in double and in single precision. Literals, because compilers round a power of constants otherwise than the
/// program does, depending on what they inline.
const FOURTH_ORDER_STEPS: [f64; 2] = [7.400_959_797_414_052e-4, 4.123_462_4e-2];

/// ε^(1/5): balances h⁴ against ε/h, for central differences of fourth order.
pub(crate) fn fourth_order_step<T: Scalar>() -> T {
    let [double, single] = FOURTH_ORDER_STEPS;
    T::lit(if T::EPSILON.as_f64() == f64::EPSILON { double } else { single })
}

/// The derivative at 0 of a function, by its values one and two steps to each side.
pub(crate) fn fourth_order_slope<T: Scalar>(function: impl Fn(T) -> T, step: T) -> T {
    slope_of([-2.0, -1.0, 1.0, 2.0].map(|k| function(T::lit(k) * step)), step)
}

/// The same, of the values from two steps below to two above.
pub(crate) fn slope_of<T: Scalar>([far_below, below, above, far_above]: [T; 4], step: T) -> T {
    (T::lit(8.0) * (above - below) - (far_above - far_below)) / (T::lit(12.0) * step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_of_fourth_order() {
        let error = |step: f64| (fourth_order_slope(|x| (1.0 + x).sin(), step) - 1.0_f64.cos()).abs();
        assert!(error(1e-3) < 1e-12 && (error(0.2) / error(0.1)).log2() > 3.9);
    }

    #[test]
    fn steps_are_powers_of_the_precision() {
        assert!((fourth_order_step::<f64>().powi(5) / f64::EPSILON - 1.0).abs() < 1e-14);
        assert!((fourth_order_step::<f32>().powi(5) / f32::EPSILON - 1.0).abs() < 1e-5);
    }
}
