//! Weight decay φ (theory §1): the step −(τ/N) γ φ(w), component by component.
//!
//! Covers the trait [`Regularizer`], the compile-time marker [`LinearRegularizer`] of those under which the moments
//! close (theory §5), and the usual choices. Not here: the strength γ, which belongs to the model, and the comparison of
//! what a regulariser says with its φ (see [`check_regularizer`](crate::model::check_regularizer)).

use crate::Scalar;
use crate::model::ModelError;

/// A regulariser, given by φ, the derivative of the penalty on one weight.
///
/// # A function of your own
/// Nothing takes the derivative of φ, so φ alone is enough: `RegularizerFunction(phi)` (a bare closure cannot be a
/// regulariser, because references to regularisers are). A type of yours that knows more of φ implements the trait.
/// [`check_regularizer`](crate::model::check_regularizer) compares what it says with φ.
///
/// ```
/// use contrastive_dynamics::model::{Regularizer, RegularizerFunction};
/// let cubic = RegularizerFunction(|w: f64| w * w * w);
/// assert_eq!(cubic.apply(2.0), 8.0);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a regulariser in `{T}`",
    label = "not a `Regularizer<{T}>`",
    note = "of a function of your own wrap φ: `RegularizerFunction(phi)`, or implement `Regularizer`"
)]
pub trait Regularizer<T: Scalar = f64>: Send + Sync {
    /// φ(w).
    fn apply(&self, w: T) -> T;

    /// The slope s of a linear part of φ, which solvers may integrate exactly, φ(w) − s w being left. Any value is right,
    /// the best is the slope of φ far out. Default 0.
    fn linear_part(&self) -> T {
        T::zero()
    }

    /// Whether φ(w) = s w with s the [`linear_part`](Self::linear_part), and nothing else. Default false.
    fn is_linear(&self) -> bool {
        false
    }
}

/// A linear regulariser, φ(w) = slope·w: the only kind under which the order parameters obey a closed ODE.
///
/// Implementing it is the promise; nothing is required. [`check_linear_regularizer`](crate::model::check_linear_regularizer)
/// looks whether it is kept.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not linear: under it the order parameters obey no closed ODE",
    label = "φ(w) is not known to be slope·w",
    note = "under L1, or any other φ that is not linear, use `pde::grid` (one neuron), `pde::particles` or `CompressedSgd`",
    note = "a linear φ of your own implements `LinearRegularizer`, which requires no method"
)]
pub trait LinearRegularizer<T: Scalar = f64>: Regularizer<T> {
    /// The slope of φ. The default is φ(1).
    fn slope(&self) -> T {
        self.apply(T::one())
    }
}

impl<T: Scalar, G: Regularizer<T> + ?Sized> Regularizer<T> for &G {
    #[inline]
    fn apply(&self, w: T) -> T {
        (**self).apply(w)
    }
    fn linear_part(&self) -> T {
        (**self).linear_part()
    }
    fn is_linear(&self) -> bool {
        (**self).is_linear()
    }
}

impl<T: Scalar, G: LinearRegularizer<T> + ?Sized> LinearRegularizer<T> for &G {
    fn slope(&self) -> T {
        (**self).slope()
    }
}

/// A function φ of your own as a regulariser; see [`Regularizer`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RegularizerFunction<F>(
    /// φ.
    pub F,
);

impl<T: Scalar, F: Fn(T) -> T + Send + Sync> Regularizer<T> for RegularizerFunction<F> {
    #[inline]
    fn apply(&self, w: T) -> T {
        (self.0)(w)
    }
}

/// L2: φ(w) = w.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct L2;

impl<T: Scalar> Regularizer<T> for L2 {
    #[inline]
    fn apply(&self, w: T) -> T {
        w
    }
    fn linear_part(&self) -> T {
        T::one()
    }
    fn is_linear(&self) -> bool {
        true
    }
}

impl<T: Scalar> LinearRegularizer<T> for L2 {}

/// L1: φ(w) = sign w, with φ(0) = 0.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct L1;

impl<T: Scalar> Regularizer<T> for L1 {
    #[inline]
    fn apply(&self, w: T) -> T {
        sign(w)
    }
}

/// −1, 0 or 1.
#[inline]
fn sign<T: Scalar>(w: T) -> T {
    if w > T::zero() {
        T::one()
    } else if w < T::zero() {
        -T::one()
    } else {
        // Zero, or NaN.
        w
    }
}

/// Elastic net: φ(w) = r sign w + (1 − r) w.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "crate::model::stored::StoredElasticNet<T>"))]
#[cfg_attr(feature = "serde", serde(bound(deserialize = "T: crate::Scalar + serde::Deserialize<'de>")))]
pub struct ElasticNet<T = f64> {
    l1_ratio: T,
}

impl<T: Scalar> ElasticNet<T> {
    /// The elastic net with the share r = `l1_ratio` of L1.
    ///
    /// # Errors
    /// [`ModelError::RegularizerParameter`] unless 0 ≤ r ≤ 1.
    pub fn new(l1_ratio: T) -> Result<Self, ModelError> {
        if !(l1_ratio >= T::zero() && l1_ratio <= T::one()) {
            return Err(ModelError::RegularizerParameter { name: "l1_ratio", value: l1_ratio.as_f64() });
        }
        Ok(Self { l1_ratio })
    }
}

impl<T: Scalar> Regularizer<T> for ElasticNet<T> {
    #[inline]
    fn apply(&self, w: T) -> T {
        self.l1_ratio * sign(w) + (T::one() - self.l1_ratio) * w
    }
    fn linear_part(&self) -> T {
        T::one() - self.l1_ratio
    }
    fn is_linear(&self) -> bool {
        self.l1_ratio == T::zero()
    }
}

/// Smoothed L1: φ(w) = w/√(w² + δ²), which tends to sign w as δ → 0.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "crate::model::stored::StoredWidth<T>"))]
#[cfg_attr(feature = "serde", serde(bound(deserialize = "T: crate::Scalar + serde::Deserialize<'de>")))]
pub struct SmoothedL1<T = f64> {
    width: T,
}

impl<T: Scalar> SmoothedL1<T> {
    /// The smoothed L1 regulariser of width δ.
    ///
    /// # Errors
    /// [`ModelError::RegularizerParameter`] unless 0 < δ < ∞.
    pub fn new(width: T) -> Result<Self, ModelError> {
        if !(width > T::zero() && width.is_finite()) {
            return Err(ModelError::RegularizerParameter { name: "width", value: width.as_f64() });
        }
        Ok(Self { width })
    }
}

impl<T: Scalar> Regularizer<T> for SmoothedL1<T> {
    #[inline]
    fn apply(&self, w: T) -> T {
        w / w.hypot(self.width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_the_family_are_l1_and_l2() {
        for w in [-2.0_f64, -0.3, 0.0, 0.7] {
            assert_eq!(ElasticNet::new(0.0).unwrap().apply(w), L2.apply(w));
            assert_eq!(ElasticNet::new(1.0).unwrap().apply(w), L1.apply(w));
            assert!((SmoothedL1::new(1e-9).unwrap().apply(w) - L1.apply(w)).abs() < 1e-12);
        }
        assert_eq!(RegularizerFunction(|w: f64| 3.0 * w).apply(2.0), 6.0);
        assert_eq!(LinearRegularizer::<f64>::slope(&&L2), 1.0);
        assert!(Regularizer::<f64>::is_linear(&&L2) && !Regularizer::<f64>::is_linear(&L1));
        assert_eq!(ElasticNet::new(0.25).unwrap().linear_part(), 0.75);
    }

    #[test]
    fn parameters_that_make_no_regularizer_are_rejected() {
        for bad in [-0.1, 1.1, f64::NAN] {
            assert!(matches!(ElasticNet::new(bad), Err(ModelError::RegularizerParameter { .. })));
        }
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(SmoothedL1::new(bad), Err(ModelError::RegularizerParameter { .. })));
        }
    }
}
