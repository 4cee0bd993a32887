//! The activation σ of the network (theory §1) and what averages must know of it: parity and smoothness.
//!
//! Covers the trait [`Nonlinearity`] and the words in which a σ says what it is. Not here: the activations (a file a
//! family), averages over them (see [`crate::limit`]), and the comparison of what a σ says with what it does (see
//! [`check_nonlinearity`](crate::model::check_nonlinearity)).

mod erf;
mod functions;
mod logistic;
mod polynomial;
mod rectifier;
mod tanh;

pub use erf::Erf;
pub use functions::FromFunctions;
pub use logistic::{Sigmoid, Softplus};
pub use polynomial::{Identity, Polynomial};
pub use rectifier::{LeakyRelu, Relu};
pub use tanh::Tanh;

use crate::Scalar;

/// Behaviour of σ under h → −h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parity {
    /// σ(−h) = σ(h).
    Even,
    /// σ(−h) = −σ(h).
    Odd,
    /// Neither.
    None,
}

/// Smoothness of σ: it decides by which rule Gaussian averages of σ are computed.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Smoothness<T> {
    /// A polynomial of that degree: Gauss-Hermite rules are exact.
    Polynomial {
        /// The degree of σ.
        degree: usize,
    },
    /// Analytic in the whole complex plane, as erf is.
    Entire,
    /// Analytic on the real line; the nearest singularity in the complex plane has that imaginary part.
    Analytic {
        /// Distance of the nearest pole or branch point from the real axis, in units of h.
        pole_distance: T,
    },
    /// Continuous, with a jump of the derivative at one point.
    Kinked {
        /// Where the derivative jumps.
        at: T,
    },
    /// Smooth, but nothing else is known. Averages are refined until their own error estimate is met.
    Smooth,
}

/// An activation σ: ℝ → ℝ, applied to each pre-activation (theory §1).
///
/// Required are the value and the first derivative. What is known beyond that (parity, smoothness, second derivative)
/// makes averages cheaper or possible: [`Parity`] halves the work, [`Smoothness`] chooses the quadrature rule.
///
/// # A function of your own
/// A function with its derivative is a pair of closures, `(f, df)`, wherever the crate takes one: here `(σ, σ')`.
/// [`FromFunctions`] takes σ'' too and has words for parity and smoothness; a type of yours may implement the trait.
/// [`check_nonlinearity`](crate::model::check_nonlinearity) compares derivatives, parity and the rest with the values.
///
/// ```
/// use contrastive_dynamics::model::{Nonlinearity, Tanh};
/// let sine = (f64::sin, f64::cos);
/// assert_eq!(sine.value(0.0), 0.0);
/// assert!((Tanh.derivative(0.0_f64) - 1.0).abs() < 1e-15);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a nonlinearity in `{T}`",
    label = "not a `Nonlinearity<{T}>`",
    note = "a `MissingNonlinearity` is one that was not set: call `.nonlinearity(..)` before `.build()`; or `Model` stands without its types where `&impl Spec<Scalar = {T}>` would do",
    note = "of a function of your own give the derivative too: `(f, df)`, or implement `Nonlinearity`",
    note = "the closures of a pair take and return the precision of the model, `|h: {T}| ...`"
)]
pub trait Nonlinearity<T: Scalar = f64>: Send + Sync {
    /// σ(h).
    fn value(&self, h: T) -> T;

    /// σ'(h); at a kink, either one-sided value.
    fn derivative(&self, h: T) -> T;

    /// Both at once, for activations where they share work.
    fn value_and_derivative(&self, h: T) -> (T, T) {
        (self.value(h), self.derivative(h))
    }

    /// σ''(h), or `None` where it is not known or does not exist.
    fn second_derivative(&self, h: T) -> Option<T> {
        let _ = h;
        None
    }

    /// Parity of σ. The default claims none.
    fn parity(&self) -> Parity {
        Parity::None
    }

    /// Smoothness of σ. The default claims nothing beyond smoothness.
    fn smoothness(&self) -> Smoothness<T> {
        Smoothness::Smooth
    }

    /// The family whose Gaussian averages have closed forms, if σ is of one. The default claims none.
    fn closed_form(&self) -> Option<ClosedForm<T>> {
        None
    }

    /// σ and σ' over a slice: `values\[k\] = σ(fields\[k\])`, `derivatives\[k\] = σ'(fields\[k\])`.
    ///
    /// The three slices have one length; only the common prefix is written otherwise. This is the hot call of every
    /// average; the default loops over [`value_and_derivative`](Self::value_and_derivative).
    fn evaluate(&self, fields: &[T], values: &mut [T], derivatives: &mut [T]) {
        for ((&h, y), d) in fields.iter().zip(values).zip(derivatives) {
            (*y, *d) = self.value_and_derivative(h);
        }
    }

    /// σ'' over a slice, from the fields and what [`evaluate`](Self::evaluate) gave for them; all slices have one
    /// length. Answers false, and may leave anything in `seconds`, if σ'' is not known. The default loops over
    /// [`second_derivative`](Self::second_derivative).
    fn evaluate_second(&self, fields: &[T], values: &[T], derivatives: &[T], seconds: &mut [T]) -> bool {
        let _ = (values, derivatives);
        fields.iter().zip(seconds).all(|(&h, out)| self.second_derivative(h).map(|second| *out = second).is_some())
    }
}

/// A family of activations whose averages over centred Gaussian fields are elementary functions.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum ClosedForm<T> {
    /// σ(h) = erf(h/√2): arcsine formulas (Saad and Solla, Phys. Rev. E 52, 4225 (1995)).
    Erf,
    /// σ(h) = h for h > 0 and `slope`·h otherwise: arc-cosine formulas (Cho and Saul, NIPS 2009).
    Rectifier {
        /// The slope at negative arguments.
        slope: T,
    },
}

macro_rules! forward_nonlinearity {
    ($($t:ty),*) => {$(
        impl<T: Scalar, S: Nonlinearity<T> + ?Sized> Nonlinearity<T> for $t {
            fn value(&self, h: T) -> T {
                (**self).value(h)
            }
            fn derivative(&self, h: T) -> T {
                (**self).derivative(h)
            }
            fn value_and_derivative(&self, h: T) -> (T, T) {
                (**self).value_and_derivative(h)
            }
            fn second_derivative(&self, h: T) -> Option<T> {
                (**self).second_derivative(h)
            }
            fn parity(&self) -> Parity {
                (**self).parity()
            }
            fn smoothness(&self) -> Smoothness<T> {
                (**self).smoothness()
            }
            fn evaluate(&self, fields: &[T], values: &mut [T], derivatives: &mut [T]) {
                (**self).evaluate(fields, values, derivatives);
            }
            fn closed_form(&self) -> Option<ClosedForm<T>> {
                (**self).closed_form()
            }
            fn evaluate_second(&self, fields: &[T], values: &[T], derivatives: &[T], seconds: &mut [T]) -> bool {
                (**self).evaluate_second(fields, values, derivatives, seconds)
            }
        }
    )*};
}
forward_nonlinearity!(&S, Box<S>, std::sync::Arc<S>);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelError;

    /// Every activation: derivatives against central differences, parity against its definition.
    fn check(sigma: &dyn Nonlinearity<f64>) {
        let step = 1e-5;
        for k in -40..40 {
            let h = 0.1 * f64::from(k) + 0.037;
            let (y, d) = sigma.value_and_derivative(h);
            assert_eq!(y, sigma.value(h));
            assert_eq!(d, sigma.derivative(h));
            let slope = (sigma.value(h + step) - sigma.value(h - step)) / (2.0 * step);
            assert!((slope - d).abs() < 1e-7 * (1.0 + d.abs()), "first derivative at {h}: {slope} {d}");
            if let Some(second) = sigma.second_derivative(h) {
                let mut slice = [0.0];
                assert!(sigma.evaluate_second(&[h], &[y], &[d], &mut slice));
                assert!((slice[0] - second).abs() <= 1e-14 * (1.0 + second.abs()), "on a slice, at {h}");
                let curvature = (sigma.derivative(h + step) - sigma.derivative(h - step)) / (2.0 * step);
                assert!((curvature - second).abs() < 1e-7 * (1.0 + second.abs()), "second derivative at {h}");
            }
            match sigma.parity() {
                Parity::Odd => assert!((sigma.value(-h) + y).abs() < 1e-14 * (1.0 + y.abs())),
                Parity::Even => assert!((sigma.value(-h) - y).abs() < 1e-14 * (1.0 + y.abs())),
                Parity::None => {}
            }
        }
    }

    #[test]
    fn derivatives_and_parity_are_those_of_the_value() {
        check(&Tanh);
        check(&Erf);
        check(&Relu);
        check(&LeakyRelu::new(0.1).unwrap());
        check(&Softplus);
        check(&Sigmoid);
        check(&Identity);
        check(&Polynomial::new([0.1, 1.0, -0.3, 0.05]).unwrap());
        check(&Polynomial::new([0.0, 1.0, 0.0, 0.05]).unwrap());
        check(&Polynomial::new([0.5, 0.0, 1.0]).unwrap());
        check(&FromFunctions::new(f64::sin, f64::cos, |h: f64| -h.sin()).with_parity(Parity::Odd));
        check(&(f64::exp, f64::exp));
    }

    #[test]
    fn stable_far_from_the_origin() {
        assert_eq!(Softplus.value(1000.0), 1000.0);
        assert!(Softplus.value(-1000.0) < 1e-300);
        assert!(Sigmoid.value(-1000.0) < 1e-300);
        assert_eq!(Sigmoid.value(1000.0), 1.0);
    }

    #[test]
    fn parameters_that_make_no_activation_are_rejected() {
        assert!(matches!(LeakyRelu::new(f64::NAN), Err(ModelError::NonlinearityParameter { name: "slope", .. })));
        assert!(Polynomial::new([1.0, f64::INFINITY]).is_err());
        assert!(Polynomial::new([0.0, 0.0]).is_err());
    }
}
