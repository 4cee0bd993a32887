//! An ensemble of which replicates are missing: what went wrong, beside what went well.

use std::error::Error;
use std::fmt;

use super::failure::Failure;
use super::replicate::Replicate;
use super::summary::Summary;
use crate::Scalar;
use crate::save::SaveError;

/// Failures that are kept; of more only the number.
const MOST_KEPT: usize = 1000;

/// Keeps one more failure, or counts it.
pub(crate) fn keep<E>(failed: &mut Vec<Failed<E>>, failures: &mut u64, replicate: Replicate, failure: Failure<E>) {
    *failures += 1;
    if failed.len() < MOST_KEPT {
        failed.push(Failed { replicate, failure });
    }
}

/// What is missing, as errors begin.
pub(crate) fn write_missing<E: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    (failed, failures, cancelled): (&[Failed<E>], u64, u64),
    total: u64,
) -> fmt::Result {
    if let Some(Failed { replicate: Replicate { index, seed }, failure }) = failed.first() {
        write!(
            f,
            "{failures} of {total} replicates failed, the first of them number {index} (seed {seed}): {failure}; "
        )?;
    }
    if cancelled > 0 {
        write!(f, "{cancelled} of {total} had not begun when the ensemble was ended; ")?;
    }
    Ok(())
}

/// A replicate that failed, to be run alone from its seed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Failed<E> {
    /// Which.
    pub replicate: Replicate,
    /// Why.
    pub failure: Failure<E>,
}

/// An ensemble of which some replicates are missing. All others are done: their statistics are inside.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(
        serialize = "E: serde::Serialize, T: serde::Serialize",
        deserialize = "E: serde::Deserialize<'de>, T: serde::Deserialize<'de>"
    ))
)]
#[non_exhaustive]
pub struct EnsembleError<E, T: Scalar = f64> {
    /// The statistics over all replicates that did not fail, in the order of their numbers.
    pub summary: Box<Summary<T>>,
    /// The first thousand that failed.
    pub failed: Vec<Failed<E>>,
    /// How many failed.
    pub failures: u64,
    /// How many had not begun, or were not waited for, when the ensemble was told to end.
    pub cancelled: u64,
    /// Why the ensemble could not be saved, or what was saved is refused. Then no more replicates were begun.
    pub unsaved: Option<SaveError>,
}

impl<E: fmt::Display, T: Scalar> fmt::Display for EnsembleError<E, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { summary, failed, failures, cancelled, unsaved } = self;
        if let Some(error) = unsaved {
            write!(f, "{error}; ")?;
        }
        let total = summary.count() + failures + cancelled;
        write_missing(f, (failed, *failures, *cancelled), total)?;
        write!(f, "the statistics over the other {} are in `summary`", summary.count())
    }
}

impl<E: Error, T: Scalar> Error for EnsembleError<E, T> {}
