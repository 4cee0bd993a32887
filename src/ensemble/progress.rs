//! An ensemble under way, as it is kept.

use super::statistics::Statistics;
use super::summary::Summary;
use crate::Scalar;
use crate::save::SaveError;

/// An ensemble under way as it is kept by [`Ensemble::saved_in`](super::Ensemble::saved_in): the statistics over the first
/// replicates, and the numbers of those that failed.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct EnsembleProgress {
    /// The first replicate that is not in it.
    pub(super) next: u64,
    pub(super) failures: u64,
    /// The first of those that failed. They are run again, for their errors.
    pub(super) failed: Vec<u64>,
    times: Vec<f64>,
    width: usize,
    statistics: Vec<Statistics>,
    count: u64,
}

impl EnsembleProgress {
    pub(super) fn new<T: Scalar>(next: u64, failures: u64, failed: Vec<u64>, summary: &Summary<T>) -> Self {
        let Summary { times, width, statistics, count } = summary;
        let times = times.iter().map(|t| t.as_f64()).collect();
        Self { next, failures, failed, times, width: *width, statistics: statistics.clone(), count: *count }
    }

    /// The statistics, unless they do not fit together or to that many replicates.
    pub(super) fn summary<T: Scalar>(&self, replicates: u64) -> Result<Summary<T>, SaveError> {
        let Self { next, failures, failed, times, width, statistics, count } = self;
        if *next > replicates {
            return Err(SaveError::content(format!("it has {next} replicates, and {replicates} are asked for")));
        }
        let increasing =
            failed.windows(2).all(|pair| pair[0] < pair[1]) && failed.last().is_none_or(|last| last < next);
        let shape = times.len().checked_mul(*width) == Some(statistics.len());
        let numbers = count.checked_add(*failures) == Some(*next) && failed.len() as u64 <= *failures;
        if !(increasing && shape && numbers && statistics.iter().all(|x| x.count() == *count)) {
            return Err(SaveError::content("its statistics are not of the same replicates"));
        }
        let times = times.iter().map(|&t| T::lit(t)).collect();
        Ok(Summary { times, width: *width, statistics: statistics.clone(), count: *count })
    }
}
