//! Where one start ends, as data, and where that changes along a line.
//!
//! Covers the stable point that is reached, or why none is, and a border. Not here: how a start is followed (see `follow`), and how a
//! border is found (see `border`).

use std::fmt;

use crate::Scalar;
use crate::ode::RatesError;
use crate::stability::display::small;
use crate::state::{OrderParameters, OrderParametersError};

/// Where a start ends.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "T: serde::Serialize", deserialize = "T: serde::Deserialize<'de>"))
)]
pub enum Outcome<T: Scalar = f64> {
    /// It entered the certified neighbourhood of a stable point.
    Reached {
        /// The point's number in the list given.
        point: usize,
        /// Which of the point's images under the model's symmetries, see [`AttractionRegions::images`](super::AttractionRegions::images); 0 is the point
        /// itself.
        image: usize,
        /// When it entered.
        time: T,
    },
    /// It did not.
    NotReached(NotReached<T>),
}

/// Why a start reached none of the stable points.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "T: serde::Serialize", deserialize = "T: serde::Deserialize<'de>"))
)]
#[non_exhaustive]
pub enum NotReached<T: Scalar = f64> {
    /// It came so close to an unstable fixed point that the tolerance does not tell where it goes from there: the start
    /// lies on a border, within what the tolerance resolves.
    Saddle {
        /// The unstable point.
        point: OrderParameters<T>,
        /// When.
        time: T,
    },
    /// It came to rest at a stable fixed point that is not in the list.
    Unlisted {
        /// The stable point.
        point: OrderParameters<T>,
        /// When.
        time: T,
    },
    /// It was still on its way when the time or the number of steps was over.
    TimeLimit {
        /// The state then.
        state: OrderParameters<T>,
        /// The time reached.
        time: T,
    },
    /// The start is no state of the model.
    NoState(OrderParametersError),
    /// It was not followed: the work was stopped before (see [`AttractionRegions::map_with`](super::AttractionRegions::map_with)).
    NotFollowed,
    /// Its weights grow without bound: the largest R_ii has grown a thousandfold, as at
    /// [`Solver::growth_limit`](crate::ode::Solver::growth_limit).
    Diverged {
        /// The last state before.
        state: OrderParameters<T>,
        /// The time of that state.
        time: T,
    },
    /// The integration failed.
    Failed {
        /// Why; `None` if no step was small enough for the tolerance.
        source: Option<RatesError<T>>,
        /// The last state before.
        state: Box<OrderParameters<T>>,
        /// The time of that state.
        time: T,
    },
}

impl<T: Scalar> Outcome<T> {
    /// The number of the point reached.
    #[must_use]
    pub fn point(&self) -> Option<usize> {
        self.label().map(|(point, _)| point)
    }

    /// The numbers of the point reached and of its image.
    #[must_use]
    pub fn label(&self) -> Option<(usize, usize)> {
        match self {
            Self::Reached { point, image, .. } => Some((*point, *image)),
            Self::NotReached(_) => None,
        }
    }

    /// Whether the start was followed, or found to be no state.
    pub(crate) fn is_followed(&self) -> bool {
        !matches!(self, Self::NotReached(NotReached::NotFollowed))
    }

    /// Whether the start is a state of the model, as far as is known.
    pub(crate) fn is_of_a_state(&self) -> bool {
        !matches!(self, Self::NotReached(NotReached::NoState(_) | NotReached::NotFollowed))
    }
}

impl<T: Scalar> fmt::Display for Outcome<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reached { point, image, .. } => write!(f, "point {point}, image {image}"),
            Self::NotReached(reason) => write!(f, "not reached ({reason})"),
        }
    }
}

impl<T: Scalar> fmt::Display for NotReached<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Saddle { .. } => "stopped at a saddle",
            Self::Unlisted { .. } => "a stable point that is not listed",
            Self::TimeLimit { .. } => "still on its way",
            Self::NoState(_) => "no state",
            Self::NotFollowed => "not followed",
            Self::Diverged { .. } => "diverged",
            Self::Failed { .. } => "failed",
        })
    }
}

/// Where the outcome of starts changes along a line.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "T: serde::Serialize", deserialize = "T: serde::Deserialize<'de>"))
)]
#[non_exhaustive]
pub struct Border<T: Scalar = f64> {
    /// The middle of the bracket.
    pub at: T,
    /// The bracket (low, high), no wider than the tolerance unless rounding is wider: between its ends the outcome
    /// changes.
    pub bracket: (T, T),
    /// The outcomes at the two ends of the bracket.
    pub outcomes: (Outcome<T>, Outcome<T>),
    /// Starts followed.
    pub starts: usize,
}

impl<T: Scalar> fmt::Display for Border<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = small(self.bracket.1 - self.bracket.0);
        let (low, high) = &self.outcomes;
        write!(f, "border at {}, bracketed to {width} by {} starts: below {low}, above {high}", self.at, self.starts)
    }
}
