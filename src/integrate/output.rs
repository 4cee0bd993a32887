//! At which times a run reports.
//!
//! Covers the choices and their checks. Not here: the loop that follows them (see [`Run`](crate::state::Run)).

use num_traits::ToPrimitive;

use crate::Scalar;

/// When a run records its state.
///
/// Whatever is chosen, the state at which a run stops is recorded too.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Output<T = f64> {
    /// At these times, increasing. A simulator rounds each to its nearest step and reports the time of that step, once
    /// for all times that round to it.
    Times(Vec<T>),
    /// At the start and after every so many steps (of the integrator, or of SGD).
    EverySteps(usize),
    /// At `count` times, evenly spaced in log t from `first` to `last`.
    LogSpaced {
        /// The first time, positive.
        first: T,
        /// The last time, above the first.
        last: T,
        /// How many, from 2 to 10⁷.
        count: usize,
    },
    /// Only where the run stops.
    Stop,
    /// At the start, and again after every such interval of time.
    Every(T),
}

/// An alias, because derived code would take the reference for one into the data that are read.
type Name = &'static str;

/// Why output times are unusable.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum OutputError {
    /// A time is NaN, infinite, or not above the one before.
    #[error("output times must be finite and increasing, got {time} after {previous}")]
    NotIncreasing {
        /// The time before.
        #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::number"))]
        previous: f64,
        /// The offending time.
        #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::number"))]
        time: f64,
    },
    /// A time lies outside the run.
    #[error("output time {time} lies outside the run from {start} to {end}")]
    OutsideRun {
        /// The offending time.
        #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::number"))]
        time: f64,
        /// Start of the run.
        #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::number"))]
        start: f64,
        /// End of the run.
        #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::number"))]
        end: f64,
    },
    /// A number of steps or points is too small.
    #[error("output needs {what} of at least {least}, got {value}")]
    Count {
        /// What is counted.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::numerics::stored::name"))]
        what: Name,
        /// The smallest number allowed.
        least: usize,
        /// The number given.
        value: usize,
    },
    /// More output times than any memory holds.
    #[error("at most {most} output times, got {value}")]
    TooMany {
        /// The most there may be.
        most: usize,
        /// The number given.
        value: usize,
    },
    /// The run ends before it starts, or an end is not finite.
    #[error("a run must end after its start at finite times, got a run from {start} to {end}")]
    EmptyRun {
        /// Start of the run.
        #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::number"))]
        start: f64,
        /// End of the run.
        #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::number"))]
        end: f64,
    },
}

/// A rest before the end that is no more than that part of an interval is rounding.
const SLIVER: f64 = 1e-9;

/// The most output times that are made of a few numbers.
const MOST_TIMES: usize = 10_000_000;

/// Output times, checked against the run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Schedule<T> {
    Times(Vec<T>),
    EverySteps(usize),
}

impl<T: Scalar> Output<T> {
    /// Checks the times against the run from `start` to `end`.
    pub(crate) fn schedule(&self, start: T, end: T) -> Result<Schedule<T>, OutputError> {
        if !(start.is_finite() && end.is_finite() && end >= start) {
            return Err(OutputError::EmptyRun { start: start.as_f64(), end: end.as_f64() });
        }
        let times = match self {
            Self::EverySteps(0) => return Err(OutputError::Count { what: "a number of steps", least: 1, value: 0 }),
            Self::EverySteps(steps) => return Ok(Schedule::EverySteps(*steps)),
            Self::Stop => Vec::new(),
            Self::Times(times) => times.clone(),
            Self::Every(interval) => {
                let intervals = (end - start) / *interval;
                if !(*interval > T::zero() && interval.is_finite()) {
                    let time = start + *interval;
                    return Err(OutputError::NotIncreasing { previous: start.as_f64(), time: time.as_f64() });
                }
                let count = (intervals + T::lit(SLIVER)).floor().as_f64().to_usize().unwrap_or(usize::MAX);
                if count >= MOST_TIMES {
                    return Err(OutputError::TooMany { most: MOST_TIMES, value: count });
                }
                // Rounding may put the last beyond the end.
                (0..=count).map(|k| (start + *interval * T::of_usize(k)).min(end)).collect()
            }
            Self::LogSpaced { count, .. } if *count < 2 => {
                return Err(OutputError::Count { what: "a number of log-spaced times", least: 2, value: *count });
            }
            Self::LogSpaced { count, .. } if *count > MOST_TIMES => {
                return Err(OutputError::TooMany { most: MOST_TIMES, value: *count });
            }
            Self::LogSpaced { first, last, count } => {
                if !(*first > T::zero() && *last > *first) {
                    return Err(OutputError::NotIncreasing { previous: first.as_f64(), time: last.as_f64() });
                }
                let ratio = (*last / *first).ln() / T::of_usize(count - 1);
                let mut times: Vec<T> = (0..*count).map(|k| *first * (ratio * T::of_usize(k)).exp()).collect();
                times[count - 1] = *last;
                times
            }
        };
        let mut previous = T::lit(f64::NEG_INFINITY);
        for &time in &times {
            if !(time > previous && time.is_finite()) {
                return Err(OutputError::NotIncreasing { previous: previous.as_f64(), time: time.as_f64() });
            }
            if time < start || time > end {
                return Err(OutputError::OutsideRun { time: time.as_f64(), start: start.as_f64(), end: end.as_f64() });
            }
            previous = time;
        }
        Ok(Schedule::Times(times))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusable_times_are_rejected_each_with_its_error() {
        let check = |output: Output| output.schedule(0.0, 10.0);
        assert!(matches!(check(Output::Times(vec![1.0, 1.0])), Err(OutputError::NotIncreasing { .. })));
        assert!(matches!(check(Output::Times(vec![f64::NAN])), Err(OutputError::NotIncreasing { .. })));
        assert!(matches!(check(Output::Times(vec![11.0])), Err(OutputError::OutsideRun { .. })));
        assert!(matches!(check(Output::Times(vec![-1.0])), Err(OutputError::OutsideRun { .. })));
        assert!(matches!(check(Output::EverySteps(0)), Err(OutputError::Count { .. })));
        let log = |first, last, count| check(Output::LogSpaced { first, last, count });
        assert!(matches!(log(1.0, 5.0, 1), Err(OutputError::Count { .. })));
        assert!(matches!(log(1.0, 5.0, usize::MAX), Err(OutputError::TooMany { .. })));
        assert!(matches!(log(0.0, 5.0, 3), Err(OutputError::NotIncreasing { .. })));
        assert!(matches!(log(5.0, 1.0, 3), Err(OutputError::NotIncreasing { .. })));
        assert!(matches!(Output::<f64>::Stop.schedule(1.0, 0.0), Err(OutputError::EmptyRun { .. })));
        assert!(matches!(Output::<f64>::Stop.schedule(0.0, f64::INFINITY), Err(OutputError::EmptyRun { .. })));
    }

    #[test]
    fn times_at_every_interval_reach_the_end_if_it_is_a_multiple() {
        let times = |interval: f64, end: f64| match Output::Every(interval).schedule(0.5, end) {
            Ok(Schedule::Times(times)) => times,
            other => panic!("{other:?}"),
        };
        assert_eq!(times(0.5, 2.0), [0.5, 1.0, 1.5, 2.0]);
        assert_eq!(times(0.5, 1.9), [0.5, 1.0, 1.5]);
        assert_eq!(times(3.0, 2.0), [0.5]);
        // 0.1 is not a binary fraction.
        let tenths = times(0.1, 1.2);
        assert_eq!((tenths.len(), tenths[7]), (8, 1.2));
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(Output::Every(bad).schedule(0.0, 1.0), Err(OutputError::NotIncreasing { .. })), "{bad}");
        }
        assert!(matches!(Output::Every(1e-12).schedule(0.0, 1.0), Err(OutputError::TooMany { .. })));
        assert!(matches!(Output::Every(1e-300).schedule(0.0, 1e300), Err(OutputError::TooMany { .. })));
    }

    #[test]
    fn log_spaced_times_have_constant_ratio_and_exact_ends() {
        let Ok(Schedule::Times(times)) = (Output::LogSpaced { first: 0.1, last: 10.0, count: 5 }).schedule(0.0, 10.0)
        else {
            panic!()
        };
        assert_eq!((times[0], times[4]), (0.1, 10.0));
        assert!(times.windows(2).all(|w| (w[1] / w[0] - 10_f64.sqrt()).abs() < 1e-13));
    }
}
