//! The value of a parameter at which a feature becomes learnable, between bounds that prove it.
//!
//! Covers [`critical_value`], its proof, and why there may be none. Not here: growth rates at one value (see `modes`),
//! and false position as such (see [`crate::numerics::bracket`]).

use std::fmt;

use crate::Scalar;
use crate::limit::Compiled;
use crate::numerics::bracket::{Bracket, BracketEnd};
use crate::stability::display::{digits, number, small, state};
use crate::stability::learnability::error::StabilityError;
use crate::stability::learnability::family::OdeFamily;
use crate::stability::learnability::modes::{Learnability, attracting_learnability};
use crate::state::OrderParameters;

/// A growth rate at one value of a parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Growth<T = f64> {
    /// The value.
    pub parameter: T,
    /// μ, the growth rate there.
    pub rate: T,
    /// Its error.
    pub error: T,
}

impl<T: Scalar> Growth<T> {
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
///
/// Prints as a paragraph: the value, the state there, and the two ends that prove it.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "T: serde::Serialize", deserialize = "T: serde::Deserialize<'de>"))
)]
#[non_exhaustive]
pub struct CriticalValue<T: Scalar = f64> {
    /// The best estimate, inside the bracket.
    pub parameter: T,
    /// The narrowest bracket whose ends have rates of opposite signs, each beyond its error: between them μ vanishes,
    /// as it is continuous.
    pub bracket: (Growth<T>, Growth<T>),
    /// The uninformative state at the estimate.
    pub state: OrderParameters<T>,
    /// How many values were looked at.
    pub evaluations: usize,
}

impl<T: Scalar> fmt::Display for Growth<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = number(self.rate, digits(f));
        write!(f, "growth rate {rate} +- {} at {}", small(self.error), self.parameter)
    }
}

impl<T: Scalar> fmt::Display for CriticalValue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (low, high) = &self.bracket;
        let width = small(high.parameter - low.parameter);
        let digits = digits(f);
        let state = state(&self.state, digits);
        writeln!(f, "critical value {}, bracketed to {width} in {} evaluations", self.parameter, self.evaluations)?;
        write!(f, "{state}{low:.digits$}\n{high:.digits$}")
    }
}

/// The value between `low` and `high` at which the growth rate of `mode`, at the uninformative state that weights
/// without features come to, vanishes; bracketed to `width`, or to where the sign is within the rate's error.
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
/// use contrastive_dynamics::ode::ReducedOde;
/// use contrastive_dynamics::stability::{ParameterFamily, critical_value};
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
    let mut looks = Looks { family, mode, count: 0 };
    let (a, first) = looks.at(low, None)?;
    let (b, last) = looks.at(high, None)?;
    if !(a.is_certain() && b.is_certain() && (a.rate > T::zero()) != (b.rate > T::zero())) {
        return Err(CriticalError::NotBracketed { low: Box::new(a), high: Box::new(b) });
    }
    let mut best = if a.rate.abs() < b.rate.abs() { (a, first) } else { (b, last) };
    let mut bracket = Bracket::new(BracketEnd::new(low, a.rate, a), BracketEnd::new(high, b.rate, b));
    for k in 0..MOST_STEPS {
        if bracket.width() <= width {
            break;
        }
        let (at, state) = looks.at(next(&bracket, k, width), Some(&bracket))?;
        if at.rate.abs() < best.0.rate.abs() {
            best = (at, state);
        }
        if !at.is_certain() {
            // The root, as far as can be known.
            looks.close_in(&mut bracket, at, width)?;
            break;
        }
        bracket.narrow(BracketEnd::new(at.parameter, at.rate, at));
    }
    let (best, state) = best;
    let bracket = (bracket.low.data, bracket.high.data);
    Ok(CriticalValue { parameter: best.parameter, bracket, state, evaluations: looks.count })
}

/// Steps to the width asked for. Every fourth halves the bracket, so 25 bits are found whatever the rates are like.
const MOST_STEPS: usize = 100;
/// How far off the root a step may aim, in widths, so that the far end of the bracket moves as well.
const NUDGE: f64 = 0.25;
/// Where the sign of a rate is lost in its error, certain signs are looked for at that many errors from there ...
const FIRST_REACH: f64 = 4.0;
/// ... and then, again and again, that many times as far, ...
const REACH_GROWTH: f64 = 4.0;
/// ... so often at most that every interval is crossed.
const MOST_REACHES: usize = 40;

/// Where to look next: the secant, a little to the far side of it, or the middle, in turn.
fn next<T: Scalar>(bracket: &Bracket<T, Growth<T>>, step: usize, width: T) -> T {
    let (secant, middle) = (bracket.secant(), bracket.middle());
    let nudge = T::lit(NUDGE) * width;
    match (step % 4, bracket.contains(secant)) {
        (3, _) | (_, false) => middle,
        (1, true) if bracket.contains(secant + nudge) => secant + nudge,
        (2, true) if bracket.contains(secant - nudge) => secant - nudge,
        _ => secant,
    }
}

/// Growth rates of one mode over a family, counted.
struct Looks<'f, F> {
    family: &'f F,
    mode: usize,
    count: usize,
}

impl<F> Looks<'_, F> {
    fn at<T: Compiled>(
        &mut self,
        parameter: T,
        bracket: Option<&Bracket<T, Growth<T>>>,
    ) -> Result<(Growth<T>, OrderParameters<T>), CriticalError<T>>
    where
        F: OdeFamily<T>,
    {
        self.count += 1;
        growth_at(self.family, self.mode, parameter).map_err(|source| CriticalError::Growth {
            parameter: parameter.as_f64(),
            source,
            bracket: bracket.map(|bracket| Box::new((bracket.low.data, bracket.high.data))),
        })
    }

    /// Moves both ends to the nearest places around `root`, where the sign is uncertain, whose signs are certain.
    fn close_in<T: Compiled>(
        &mut self,
        bracket: &mut Bracket<T, Growth<T>>,
        root: Growth<T>,
        width: T,
    ) -> Result<(), CriticalError<T>>
    where
        F: OdeFamily<T>,
    {
        let slope = (bracket.high.data.rate - bracket.low.data.rate).abs() / bracket.width();
        let mut reach = (T::lit(FIRST_REACH) * root.error / slope).max(T::lit(NUDGE) * width);
        for _ in 0..MOST_REACHES {
            let mut done = true;
            for place in [root.parameter - reach, root.parameter + reach] {
                if !bracket.contains(place) {
                    continue;
                }
                let (near, _) = self.at(place, Some(bracket))?;
                if near.is_certain() {
                    bracket.narrow(BracketEnd::new(place, near.rate, near));
                } else {
                    done = false;
                }
            }
            if done {
                break;
            }
            reach *= T::lit(REACH_GROWTH);
        }
        Ok(())
    }
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
