//! Maps and selection probabilities as data (feature `serde`), and their checks when they are read.
//!
//! Covers the answers whose parts must fit together. Not here: those that are plain data, which derive.

use serde::Deserialize;

use crate::Scalar;
use crate::stability::regions::{Grid, Outcome, RegionMap};
use crate::stability::selection::{FiniteSizeSelection, Selection};

/// Why stored data is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoredError {
    #[error("{0}")]
    Grid(String),
    #[error("a map of {columns} x {rows} cells has an outcome for each, got {outcomes} and {refined} of them refined")]
    Cells { columns: usize, rows: usize, outcomes: usize, refined: usize },
    #[error("selection probabilities need fractions of the same points and images in at least two scrambles of starts")]
    Scrambles,
    #[error(
        "fractions of starts must lie in [0, 1] and sum to 1 with those undecided, and doubtful starts be no more than all"
    )]
    Fractions,
    #[error("the runs are too many to be counted")]
    Runs,
}

/// A map that has not been checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
pub(super) struct StoredMap<T: Scalar> {
    grid: Grid<T>,
    outcomes: Vec<Outcome<T>>,
    refined: usize,
}

impl<T: Scalar> TryFrom<StoredMap<T>> for RegionMap<T> {
    type Error = StoredError;

    fn try_from(stored: StoredMap<T>) -> Result<Self, StoredError> {
        let StoredMap { grid, outcomes, refined } = stored;
        grid.check().map_err(|error| StoredError::Grid(error.to_string()))?;
        let Grid { columns, rows, .. } = grid;
        if columns * rows != outcomes.len() || refined > outcomes.len() {
            return Err(StoredError::Cells { columns, rows, outcomes: outcomes.len(), refined });
        }
        Ok(Self { grid, outcomes, refined })
    }
}

/// Selection probabilities that have not been checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredSelection {
    fractions: Vec<Vec<Vec<f64>>>,
    points: usize,
    undecided: f64,
    doubtful: usize,
}

/// Sums of so many fractions as a map has points are 1 to that.
const ROUNDING: f64 = 1e-6;

impl TryFrom<StoredSelection> for Selection {
    type Error = StoredError;

    fn try_from(stored: StoredSelection) -> Result<Self, StoredError> {
        let StoredSelection { fractions, points, undecided, doubtful } = stored;
        let shape = |scramble: &Vec<Vec<f64>>| scramble.iter().map(Vec::len).collect::<Vec<_>>();
        if points == 0
            || fractions.len() < 2
            || fractions.iter().any(|scramble| shape(scramble) != shape(&fractions[0]))
        {
            return Err(StoredError::Scrambles);
        }
        let all = || fractions.iter().flatten().flatten().copied();
        let within = |x: f64| (0.0..=1.0 + ROUNDING).contains(&x);
        let total = all().sum::<f64>() / fractions.len() as f64 + undecided;
        let fits = all().all(within) && within(undecided) && (total - 1.0).abs() <= ROUNDING;
        if !fits || doubtful > points.saturating_mul(fractions.len()) {
            return Err(StoredError::Fractions);
        }
        Ok(Self { fractions, points, undecided, doubtful })
    }
}

/// Counts of runs that have not been checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredCounts {
    counts: Vec<Vec<u64>>,
    undecided: u64,
}

impl TryFrom<StoredCounts> for FiniteSizeSelection {
    type Error = StoredError;

    fn try_from(stored: StoredCounts) -> Result<Self, StoredError> {
        let StoredCounts { counts, undecided } = stored;
        let total = counts.iter().flatten().try_fold(undecided, |sum, &count| sum.checked_add(count));
        total.map(|_| Self { counts, undecided }).ok_or(StoredError::Runs)
    }
}
