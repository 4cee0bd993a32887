//! The decorrelation penalty g on the off-diagonal cross-view covariances C_ij (theory §1).

use crate::Scalar;
use crate::model::ModelError;

/// A penalty g(C), given by its value and derivative. A pair of closures `(g, g')` is one.
pub trait Penalty<T: Scalar = f64>: Send + Sync {
    /// g(C).
    fn value(&self, c: T) -> T;

    /// g'(C).
    fn derivative(&self, c: T) -> T;

    /// Whether g(C) = C²/2: then averages over batches need averages over single samples only, exactly for every
    /// batch size. The default says no.
    fn is_quadratic(&self) -> bool {
        false
    }
}

impl<T: Scalar, P: Penalty<T> + ?Sized> Penalty<T> for &P {
    fn value(&self, c: T) -> T {
        (**self).value(c)
    }
    fn derivative(&self, c: T) -> T {
        (**self).derivative(c)
    }
    fn is_quadratic(&self) -> bool {
        (**self).is_quadratic()
    }
}

impl<T: Scalar, F, D> Penalty<T> for (F, D)
where
    F: Fn(T) -> T + Send + Sync,
    D: Fn(T) -> T + Send + Sync,
{
    fn value(&self, c: T) -> T {
        (self.0)(c)
    }
    fn derivative(&self, c: T) -> T {
        (self.1)(c)
    }
}

/// g(C) = C²/2.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Quadratic;

impl<T: Scalar> Penalty<T> for Quadratic {
    #[inline]
    fn value(&self, c: T) -> T {
        T::lit(0.5) * c * c
    }
    #[inline]
    fn derivative(&self, c: T) -> T {
        c
    }
    fn is_quadratic(&self) -> bool {
        true
    }
}

/// g(C) = δ²(√(1 + (C/δ)²) − 1): quadratic near 0, linear beyond δ.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "crate::model::stored::StoredWidth<T>"))]
#[cfg_attr(feature = "serde", serde(bound(deserialize = "T: crate::Scalar + serde::Deserialize<'de>")))]
pub struct PseudoHuber<T = f64> {
    width: T,
}

impl<T: Scalar> PseudoHuber<T> {
    /// The pseudo-Huber penalty of width δ.
    ///
    /// # Errors
    /// [`ModelError::PenaltyParameter`] unless 0 < δ < ∞.
    pub fn new(width: T) -> Result<Self, ModelError> {
        if !(width > T::zero() && width.is_finite()) {
            return Err(ModelError::PenaltyParameter { name: "width", value: width.as_f64() });
        }
        Ok(Self { width })
    }
}

impl<T: Scalar> Penalty<T> for PseudoHuber<T> {
    #[inline]
    fn value(&self, c: T) -> T {
        // δ²(√(1+x²) − 1) = C²/(√(1+x²) + 1): no cancellation.
        let root = (c / self.width).hypot(T::one());
        c * c / (root + T::one())
    }
    #[inline]
    fn derivative(&self, c: T) -> T {
        c / (c / self.width).hypot(T::one())
    }
}

/// g(C) = C⁴/4.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Quartic;

impl<T: Scalar> Penalty<T> for Quartic {
    #[inline]
    fn value(&self, c: T) -> T {
        T::lit(0.25) * c.powi(4)
    }
    #[inline]
    fn derivative(&self, c: T) -> T {
        c * c * c
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_are_those_of_the_value() {
        let penalties: [&dyn Penalty; 4] =
            [&Quadratic, &PseudoHuber::new(0.3).unwrap(), &Quartic, &(f64::exp, f64::exp)];
        for g in penalties {
            for c in [-0.8, -0.1, 0.0, 0.3, 1.2] {
                let slope = (g.value(c + 1e-5) - g.value(c - 1e-5)) / 2e-5;
                assert!((slope - g.derivative(c)).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn wide_pseudo_huber_is_quadratic() {
        let wide = PseudoHuber::<f64>::new(1e6).unwrap();
        assert!((wide.value(0.7) - 0.245_f64).abs() < 1e-12);
    }

    #[test]
    fn parameters_that_make_no_penalty_are_rejected() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(PseudoHuber::new(bad), Err(ModelError::PenaltyParameter { .. })));
        }
    }
}
