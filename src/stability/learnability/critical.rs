//! The value of a parameter at which a feature becomes learnable, between bounds that prove it.

use crate::Scalar;
use crate::limit::Compiled;
use crate::stability::StabilityError;
use crate::stability::learnability::family::OdeFamily;
use crate::stability::learnability::modes::{Learnability, attracting_learnability};
use crate::state::OrderParameters;

/// A growth rate at one value of a parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growth<T = f64> {
    /// The value.
    pub parameter: T,
    /// μ, the growth rate there.
    pub rate: T,
    /// Its error.
    pub error: T,
}

impl<T: Compiled> Growth<T> {
    /// Whether the sign of μ is beyond its error.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        self.rate.abs() > self.error
    }
}

/// Why no critical value was found.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CriticalError<T: Scalar = f64> {
    /// The interval is none, or the width is not positive.
    #[error("the interval must be finite and increasing and the width positive, got ({low}, {high}) and {width}")]
    Interval {
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
        /// The width.
        width: f64,
    },
    /// The growth rate does not change sign between the ends, or not beyond its error.
    #[error(
        "the growth rate is {} at {} and {} at {}: no change of sign that exceeds the errors",
        .low.rate.as_f64(), .low.parameter.as_f64(), .high.rate.as_f64(), .high.parameter.as_f64()
    )]
    NotBracketed {
        /// At the lower end.
        low: Box<Growth<T>>,
        /// At the upper end.
        high: Box<Growth<T>>,
    },
    /// The growth rate could not be computed at some value.
    #[error("the growth rate at {parameter} could not be computed")]
    Growth {
        /// The value.
        parameter: f64,
        /// Why.
        #[source]
        source: StabilityError<T>,
        /// The bracket so far, if there was one.
        bracket: Option<Box<(Growth<T>, Growth<T>)>>,
    },
}

/// The value at which a growth rate vanishes, with its proof.
#[derive(Debug, Clone, PartialEq)]
pub struct CriticalValue<T: Scalar = f64> {
    /// The best estimate, inside the bracket.
    pub parameter: T,
    /// The narrowest bracket whose ends have rates of opposite signs, each beyond its error: between them μ vanishes, as it is
    /// continuous.
    pub bracket: (Growth<T>, Growth<T>),
    /// The uninformative state at the estimate.
    pub state: OrderParameters<T>,
    /// How many values were looked at.
    pub evaluations: usize,
}

/// The value between `low` and `high` at which the growth rate of `mode`, at the uninformative state that weights without
/// features come to, vanishes; bracketed to `width`, or to where the sign is within the rate's error.
///
/// Continuity holds as long as that state moves continuously: a jump to another one would show in
/// [`CriticalValue::state`].
///
/// # Errors
/// See [`CriticalError`].
///
/// ```
/// use contrastive_dynamics::limit::Parameter;
/// use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
/// use contrastive_dynamics::{ReducedOde, stability::{ParameterFamily, critical_value}};
/// let model = Model::builder()
///     .nonlinearity(Tanh)
///     .hidden(Independent::new([Law::two_point(2.25)?])?)
///     .noise(GaussianNoise::correlated(0.3, -0.5)?)
///     .learning_rate(0.3)
///     .weight_decay(0.5)
///     .build()?;
/// let family = ParameterFamily::new(&ReducedOde::new(&model)?, Parameter::SecondMoment(0));
/// let critical = critical_value(&family, 0, (0.5, 2.25), 1e-9)?;
/// let (below, above) = critical.bracket;
/// assert!(below.rate < -below.error && above.rate > above.error);
/// assert!(above.parameter - below.parameter < 1e-8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn critical_value<T: Compiled>(
    family: &impl OdeFamily<T>,
    mode: usize,
    (low, high): (T, T),
    width: T,
) -> Result<CriticalValue<T>, CriticalError<T>> {
    if !(low < high && low.is_finite() && high.is_finite() && width > T::zero() && width.is_finite()) {
        let [low, high, width] = [low, high, width].map(T::as_f64);
        return Err(CriticalError::Interval { low, high, width });
    }
    let mut evaluations = 0;
    let mut growth = |parameter: T, bracket: Option<(Growth<T>, Growth<T>)>| {
        evaluations += 1;
        let at = growth_at(family, mode, parameter);
        at.map_err(|source| CriticalError::Growth {
            parameter: parameter.as_f64(),
            source,
            bracket: bracket.map(Box::new),
        })
    };
    let (mut a, first) = growth(low, None)?;
    let (mut b, last) = growth(high, None)?;
    if !(a.is_certain() && b.is_certain() && (a.rate > T::zero()) != (b.rate > T::zero())) {
        return Err(CriticalError::NotBracketed { low: Box::new(a), high: Box::new(b) });
    }
    let mut best = if a.rate.abs() < b.rate.abs() { (a, first) } else { (b, last) };
    // False position with the Illinois rule; rates that are weighed down, and the bracket itself.
    let (mut weighed_a, mut weighed_b) = (a.rate, b.rate);
    let mut side = 0;
    for k in 0..100 {
        if b.parameter - a.parameter <= width {
            break;
        }
        let span = b.parameter - a.parameter;
        let secant = a.parameter + span * weighed_a / (weighed_a - weighed_b);
        let middle = T::lit(0.5) * (a.parameter + b.parameter);
        // Off the root by a little on the far side, so that the bracket closes from both.
        let nudge = T::lit(0.25) * width;
        let inside = |x: T| x > a.parameter && x < b.parameter;
        let trial = match (k % 4, inside(secant)) {
            (3, _) | (_, false) => middle,
            (1, true) if inside(secant + nudge) => secant + nudge,
            (2, true) if inside(secant - nudge) => secant - nudge,
            _ => secant,
        };
        let (at, state) = growth(trial, Some((a, b)))?;
        if at.rate.abs() < best.0.rate.abs() {
            best = (at, state);
        }
        if !at.is_certain() {
            // The root, as far as can be known; tighten both sides to where signs are certain.
            let slope = (b.rate - a.rate).abs() / span;
            let mut reach = (T::lit(4.0) * at.error / slope).max(T::lit(0.25) * width);
            for _ in 0..40 {
                let (left, right) = (trial - reach, trial + reach);
                let mut done = true;
                for end in [left, right] {
                    if !(end > a.parameter && end < b.parameter) {
                        continue;
                    }
                    let (near, _) = growth(end, Some((a, b)))?;
                    if !near.is_certain() {
                        done = false;
                    } else if (near.rate > T::zero()) == (a.rate > T::zero()) {
                        a = near;
                    } else {
                        b = near;
                    }
                }
                if done {
                    break;
                }
                reach *= T::lit(4.0);
            }
            break;
        }
        if (at.rate > T::zero()) == (a.rate > T::zero()) {
            (a, weighed_a) = (at, at.rate);
            if side == -1 {
                weighed_b *= T::lit(0.5);
            }
            side = -1;
        } else {
            (b, weighed_b) = (at, at.rate);
            if side == 1 {
                weighed_a *= T::lit(0.5);
            }
            side = 1;
        }
    }
    let (best, state) = best;
    Ok(CriticalValue { parameter: best.parameter, bracket: (a, b), state, evaluations })
}

fn growth_at<T: Compiled>(
    family: &impl OdeFamily<T>,
    mode: usize,
    parameter: T,
) -> Result<(Growth<T>, OrderParameters<T>), StabilityError<T>> {
    let mut answer: Option<Result<Learnability<T>, StabilityError<T>>> = None;
    family.visit(parameter, &mut |ode| answer = Some(attracting_learnability(ode)))?;
    let learnability = answer.unwrap_or(Err(StabilityError::NoUninformativePoint))?;
    let modes = learnability.rates.len();
    let rate = learnability.growth(mode).ok_or(StabilityError::Mode { mode, modes })?;
    Ok((Growth { parameter, rate, error: learnability.error }, learnability.state))
}
