//! The activation σ of the network (theory §1) and what the limit must know of it: parity and smoothness.
//!
//! In: the trait [`Nonlinearity`] and the usual activations. Out: averages over σ (see [`crate::limit`]).

use crate::Scalar;
use crate::model::ModelError;
use crate::numerics::elementary;

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

/// An activation σ: ℝ → ℝ, applied to each pre-activation (Meng and Wang, arXiv 2406.06909, eq. (1)).
///
/// Required are the value and the first derivative. What is known beyond that (parity, smoothness, second derivative)
/// makes averages cheaper or possible: [`Parity`] halves the work, [`Smoothness`] chooses the quadrature rule.
///
/// Any type of yours may implement it; a pair of closures `(σ, σ')` does already, and [`FromFunctions`]
/// adds the optional knowledge to such a pair.
///
/// ```
/// use contrastive_dynamics::model::{Nonlinearity, Tanh};
/// let sine = (f64::sin, f64::cos);
/// assert_eq!(sine.value(0.0), 0.0);
/// assert!((Tanh.derivative(0.0_f64) - 1.0).abs() < 1e-15);
/// ```
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

/// The hyperbolic tangent, σ(h) = tanh h: odd, poles at ±iπ/2.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tanh;

impl<T: Scalar> Nonlinearity<T> for Tanh {
    #[inline]
    fn value(&self, h: T) -> T {
        T::lit(elementary::tanh(h.as_f64()).0)
    }
    #[inline]
    fn derivative(&self, h: T) -> T {
        T::lit(elementary::tanh(h.as_f64()).1)
    }
    #[inline]
    fn value_and_derivative(&self, h: T) -> (T, T) {
        let (value, derivative) = elementary::tanh(h.as_f64());
        (T::lit(value), T::lit(derivative))
    }
    fn evaluate(&self, fields: &[T], values: &mut [T], derivatives: &mut [T]) {
        elementary::evaluate(elementary::tanh, fields, values, derivatives);
    }
    fn evaluate_second(&self, _fields: &[T], values: &[T], derivatives: &[T], seconds: &mut [T]) -> bool {
        elementary::combine(values, derivatives, seconds, |y, d| T::lit(-2.0) * y * d);
        true
    }
    fn second_derivative(&self, h: T) -> Option<T> {
        let (y, d) = self.value_and_derivative(h);
        Some(T::lit(-2.0) * y * d)
    }
    fn parity(&self) -> Parity {
        Parity::Odd
    }
    fn smoothness(&self) -> Smoothness<T> {
        Smoothness::Analytic { pole_distance: T::frac_pi_2() }
    }
}

/// The error function in the scaling of the statistical mechanics of learning, σ(h) = erf(h/√2): odd, entire.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Erf;

impl<T: Scalar> Nonlinearity<T> for Erf {
    #[inline]
    fn value(&self, h: T) -> T {
        T::lit(elementary::erf(h.as_f64()).0)
    }
    #[inline]
    fn derivative(&self, h: T) -> T {
        T::lit(elementary::erf(h.as_f64()).1)
    }
    #[inline]
    fn value_and_derivative(&self, h: T) -> (T, T) {
        let (value, derivative) = elementary::erf(h.as_f64());
        (T::lit(value), T::lit(derivative))
    }
    fn evaluate(&self, fields: &[T], values: &mut [T], derivatives: &mut [T]) {
        elementary::evaluate(elementary::erf, fields, values, derivatives);
    }
    fn evaluate_second(&self, fields: &[T], _values: &[T], derivatives: &[T], seconds: &mut [T]) -> bool {
        elementary::combine(fields, derivatives, seconds, |h, d| -h * d);
        true
    }
    fn closed_form(&self) -> Option<ClosedForm<T>> {
        Some(ClosedForm::Erf)
    }
    fn second_derivative(&self, h: T) -> Option<T> {
        Some(-h * Nonlinearity::<T>::derivative(self, h))
    }
    fn parity(&self) -> Parity {
        Parity::Odd
    }
    fn smoothness(&self) -> Smoothness<T> {
        Smoothness::Entire
    }
}

/// The rectifier, σ(h) = max(h, 0), with σ'(0) = 0.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Relu;

impl<T: Scalar> Nonlinearity<T> for Relu {
    #[inline]
    fn value(&self, h: T) -> T {
        if h > T::zero() { h } else { T::zero() }
    }
    #[inline]
    fn derivative(&self, h: T) -> T {
        if h > T::zero() { T::one() } else { T::zero() }
    }
    fn smoothness(&self) -> Smoothness<T> {
        Smoothness::Kinked { at: T::zero() }
    }
    fn closed_form(&self) -> Option<ClosedForm<T>> {
        Some(ClosedForm::Rectifier { slope: T::zero() })
    }
}

/// The leaky rectifier, σ(h) = h for h > 0 and `slope`·h otherwise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LeakyRelu<T = f64> {
    slope: T,
}

impl<T: Scalar> LeakyRelu<T> {
    /// A leaky rectifier with that slope at negative arguments.
    ///
    /// # Errors
    /// [`ModelError::NonlinearityParameter`] if the slope is not finite.
    pub fn new(slope: T) -> Result<Self, ModelError> {
        if !slope.is_finite() {
            return Err(ModelError::NonlinearityParameter { name: "slope", value: slope.as_f64() });
        }
        Ok(Self { slope })
    }
}

impl<T: Scalar> Nonlinearity<T> for LeakyRelu<T> {
    #[inline]
    fn value(&self, h: T) -> T {
        if h > T::zero() { h } else { self.slope * h }
    }
    #[inline]
    fn derivative(&self, h: T) -> T {
        if h > T::zero() { T::one() } else { self.slope }
    }
    fn smoothness(&self) -> Smoothness<T> {
        Smoothness::Kinked { at: T::zero() }
    }
    fn closed_form(&self) -> Option<ClosedForm<T>> {
        Some(ClosedForm::Rectifier { slope: self.slope })
    }
}

/// The soft rectifier, σ(h) = ln(1 + exp h): branch points at ±iπ.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Softplus;

impl<T: Scalar> Nonlinearity<T> for Softplus {
    #[inline]
    fn value(&self, h: T) -> T {
        T::lit(elementary::softplus(h.as_f64()).0)
    }
    #[inline]
    fn derivative(&self, h: T) -> T {
        T::lit(elementary::softplus(h.as_f64()).1)
    }
    #[inline]
    fn value_and_derivative(&self, h: T) -> (T, T) {
        let (value, derivative) = elementary::softplus(h.as_f64());
        (T::lit(value), T::lit(derivative))
    }
    fn evaluate(&self, fields: &[T], values: &mut [T], derivatives: &mut [T]) {
        elementary::evaluate(elementary::softplus, fields, values, derivatives);
    }
    fn evaluate_second(&self, _fields: &[T], _values: &[T], derivatives: &[T], seconds: &mut [T]) -> bool {
        elementary::combine(derivatives, derivatives, seconds, |d, _| d * (T::one() - d));
        true
    }
    fn second_derivative(&self, h: T) -> Option<T> {
        Some(Sigmoid.derivative(h))
    }
    fn smoothness(&self) -> Smoothness<T> {
        Smoothness::Analytic { pole_distance: T::pi() }
    }
}

/// The logistic function, σ(h) = 1/(1 + exp(−h)): poles at ±iπ.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sigmoid;

impl<T: Scalar> Nonlinearity<T> for Sigmoid {
    #[inline]
    fn value(&self, h: T) -> T {
        T::lit(elementary::sigmoid(h.as_f64()).0)
    }
    #[inline]
    fn derivative(&self, h: T) -> T {
        T::lit(elementary::sigmoid(h.as_f64()).1)
    }
    #[inline]
    fn value_and_derivative(&self, h: T) -> (T, T) {
        let (value, derivative) = elementary::sigmoid(h.as_f64());
        (T::lit(value), T::lit(derivative))
    }
    fn evaluate(&self, fields: &[T], values: &mut [T], derivatives: &mut [T]) {
        elementary::evaluate(elementary::sigmoid, fields, values, derivatives);
    }
    fn evaluate_second(&self, _fields: &[T], values: &[T], derivatives: &[T], seconds: &mut [T]) -> bool {
        elementary::combine(values, derivatives, seconds, |y, d| d * (T::one() - y - y));
        true
    }
    fn second_derivative(&self, h: T) -> Option<T> {
        let y: T = self.value(h);
        Some(self.derivative(h) * (T::one() - y - y))
    }
    fn smoothness(&self) -> Smoothness<T> {
        Smoothness::Analytic { pole_distance: T::pi() }
    }
}

/// The identity, σ(h) = h: the linear model, for which the limit has a closed form (docs/theory.md, "The identity").
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Identity;

impl<T: Scalar> Nonlinearity<T> for Identity {
    #[inline]
    fn value(&self, h: T) -> T {
        h
    }
    #[inline]
    fn derivative(&self, _h: T) -> T {
        T::one()
    }
    fn second_derivative(&self, _h: T) -> Option<T> {
        Some(T::zero())
    }
    fn parity(&self) -> Parity {
        Parity::Odd
    }
    fn smoothness(&self) -> Smoothness<T> {
        Smoothness::Polynomial { degree: 1 }
    }
}

/// A polynomial, σ(h) = Σ_k a_k h^k.
#[derive(Debug, Clone, PartialEq)]
pub struct Polynomial<T = f64> {
    coefficients: Vec<T>,
}

impl<T: Scalar> Polynomial<T> {
    /// The polynomial with coefficients a_0, a_1, ...; trailing zeros are dropped.
    ///
    /// # Errors
    /// [`ModelError::NonlinearityParameter`] if a coefficient is not finite or all vanish.
    pub fn new(coefficients: impl Into<Vec<T>>) -> Result<Self, ModelError> {
        let mut coefficients = coefficients.into();
        if let Some(bad) = coefficients.iter().find(|a| !a.is_finite()) {
            return Err(ModelError::NonlinearityParameter { name: "coefficient", value: bad.as_f64() });
        }
        while coefficients.last().is_some_and(|a| *a == T::zero()) {
            coefficients.pop();
        }
        if coefficients.is_empty() {
            return Err(ModelError::NonlinearityParameter { name: "leading coefficient", value: 0.0 });
        }
        Ok(Self { coefficients })
    }

    /// The coefficients a_0, a_1, ..., a_d, the last of them not zero.
    #[must_use]
    pub fn coefficients(&self) -> &[T] {
        &self.coefficients
    }

    /// Horner's scheme for the `order`-th derivative.
    fn horner(&self, h: T, order: usize) -> T {
        let terms = self.coefficients.iter().enumerate().skip(order).rev();
        terms.fold(T::zero(), |sum, (k, &a)| {
            let falling = (k + 1 - order..=k).fold(T::one(), |f, j| f * T::of_usize(j));
            sum * h + falling * a
        })
    }
}

impl<T: Scalar> Nonlinearity<T> for Polynomial<T> {
    fn value(&self, h: T) -> T {
        self.horner(h, 0)
    }
    fn derivative(&self, h: T) -> T {
        self.horner(h, 1)
    }
    fn second_derivative(&self, h: T) -> Option<T> {
        Some(self.horner(h, 2))
    }
    fn parity(&self) -> Parity {
        let vanish = |start: usize| self.coefficients.iter().skip(start).step_by(2).all(|a| *a == T::zero());
        match (vanish(0), vanish(1)) {
            (true, _) => Parity::Odd,
            (false, true) => Parity::Even,
            (false, false) => Parity::None,
        }
    }
    fn smoothness(&self) -> Smoothness<T> {
        Smoothness::Polynomial { degree: self.coefficients.len() - 1 }
    }
}

/// A pair of functions (σ, σ').
impl<T: Scalar, F, D> Nonlinearity<T> for (F, D)
where
    F: Fn(T) -> T + Send + Sync,
    D: Fn(T) -> T + Send + Sync,
{
    fn value(&self, h: T) -> T {
        (self.0)(h)
    }
    fn derivative(&self, h: T) -> T {
        (self.1)(h)
    }
}

/// A triple of functions (σ, σ', σ'') with what is known of σ.
///
/// ```
/// use contrastive_dynamics::model::{FromFunctions, Nonlinearity, Parity, Smoothness};
/// let sine = FromFunctions::new(f64::sin, f64::cos, |h: f64| -h.sin())
///     .with_parity(Parity::Odd)
///     .with_smoothness(Smoothness::Entire);
/// assert_eq!(sine.second_derivative(0.5), Some(-0.5_f64.sin()));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct FromFunctions<T, F, D, E> {
    value: F,
    derivative: D,
    second_derivative: E,
    parity: Parity,
    smoothness: Smoothness<T>,
}

impl<T, F, D, E> FromFunctions<T, F, D, E>
where
    F: Fn(T) -> T,
    D: Fn(T) -> T,
    E: Fn(T) -> T,
{
    /// An activation with the given value and derivatives; of no known parity, [`Smoothness::Smooth`].
    pub fn new(value: F, derivative: D, second_derivative: E) -> Self {
        Self { value, derivative, second_derivative, parity: Parity::None, smoothness: Smoothness::Smooth }
    }

    /// Declares the parity. A wrong claim gives wrong averages.
    #[must_use]
    pub fn with_parity(mut self, parity: Parity) -> Self {
        self.parity = parity;
        self
    }

    /// Declares the smoothness. A too good claim gives averages whose error estimate is met later or never.
    #[must_use]
    pub fn with_smoothness(mut self, smoothness: Smoothness<T>) -> Self {
        self.smoothness = smoothness;
        self
    }
}

impl<T, F, D, E> Nonlinearity<T> for FromFunctions<T, F, D, E>
where
    T: Scalar,
    F: Fn(T) -> T + Send + Sync,
    D: Fn(T) -> T + Send + Sync,
    E: Fn(T) -> T + Send + Sync,
{
    fn value(&self, h: T) -> T {
        (self.value)(h)
    }
    fn derivative(&self, h: T) -> T {
        (self.derivative)(h)
    }
    fn second_derivative(&self, h: T) -> Option<T> {
        Some((self.second_derivative)(h))
    }
    fn parity(&self) -> Parity {
        self.parity
    }
    fn smoothness(&self) -> Smoothness<T> {
        self.smoothness
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
