//! Maps and selection probabilities as data (feature `serde`), and their checks when they are read.
//!
//! Covers the answers whose parts must fit together. Not here: those that are plain data, which derive.

use nalgebra::{Complex, DMatrix};
use serde::Deserialize;

use super::Spectrum;
use crate::Scalar;
use crate::stability::fixed_point::SignedPermutation;
use crate::stability::learnability::{Learnability, PhaseDiagram, StabilityError};
use crate::stability::regions::{Grid, Outcome, RegionMap};
use crate::stability::selection::{FiniteSizeSelection, Selection, UndecidedStart};

/// Why stored data is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoredError {
    #[error("{0}")]
    Grid(String),
    #[error(
        "a map of {columns} x {rows} cells has an outcome for each, all followed if it is complete, got {outcomes} and \
         {refined} of them refined"
    )]
    Cells { columns: usize, rows: usize, outcomes: usize, refined: usize },
    #[error("selection probabilities need fractions of the same points and images in at least two scrambles of starts")]
    Scrambles,
    #[error(
        "fractions of starts must lie in [0, 1] and sum to 1 with those undecided, doubtful ones be no more than all"
    )]
    Fractions,
    #[error("eigenvectors must be columns of a square matrix, one for each eigenvalue")]
    Spectrum,
    #[error("features and neurons must be permuted, each of them once")]
    Permutation,
    #[error("a phase diagram has at most a cell for each pair of values")]
    Diagram,
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
    complete: bool,
}

impl<T: Scalar> TryFrom<StoredMap<T>> for RegionMap<T> {
    type Error = StoredError;

    fn try_from(stored: StoredMap<T>) -> Result<Self, StoredError> {
        let StoredMap { grid, outcomes, refined, complete } = stored;
        grid.check().map_err(|error| StoredError::Grid(error.to_string()))?;
        let Grid { columns, rows, .. } = grid;
        let left_out = outcomes.iter().any(|outcome| !outcome.is_followed());
        if columns * rows != outcomes.len() || refined > outcomes.len() || complete && left_out {
            return Err(StoredError::Cells { columns, rows, outcomes: outcomes.len(), refined });
        }
        Ok(Self { grid, outcomes, refined, complete })
    }
}

/// Selection probabilities that have not been checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[serde(bound(deserialize = "T: Scalar + Deserialize<'de>"))]
pub(super) struct StoredSelection<T: Scalar> {
    fractions: Vec<Vec<Vec<f64>>>,
    points: usize,
    undecided: f64,
    doubtful: usize,
    complete: bool,
    /// None in what older versions wrote.
    #[serde(default = "Vec::new")]
    not_reached: Vec<UndecidedStart<T>>,
}

/// Sums of so many fractions as a map has points are 1 to that.
const ROUNDING: f64 = 1e-6;

impl<T: Scalar> TryFrom<StoredSelection<T>> for Selection<T> {
    type Error = StoredError;

    fn try_from(stored: StoredSelection<T>) -> Result<Self, StoredError> {
        let StoredSelection { fractions, points, undecided, doubtful, complete, not_reached } = stored;
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
        let known = not_reached.iter().all(|start| start.scramble < fractions.len() && start.point < points);
        if !fits || !known || doubtful > points.saturating_mul(fractions.len()) {
            return Err(StoredError::Fractions);
        }
        Ok(Self { fractions, points, undecided, doubtful, complete, not_reached })
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

/// A spectrum that has not been checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
pub(super) struct StoredSpectrum<T: Scalar> {
    #[serde(with = "crate::numerics::stored::complex")]
    values: Vec<Complex<T>>,
    #[serde(with = "crate::numerics::stored::complex_matrix")]
    vectors: DMatrix<Complex<T>>,
    residual: T,
}

impl<T: Scalar> TryFrom<StoredSpectrum<T>> for Spectrum<T> {
    type Error = StoredError;

    fn try_from(stored: StoredSpectrum<T>) -> Result<Self, StoredError> {
        let StoredSpectrum { values, vectors, residual } = stored;
        if vectors.shape() != (values.len(), values.len()) {
            return Err(StoredError::Spectrum);
        }
        Ok(Self { values, vectors, residual })
    }
}

/// A signed permutation that has not been checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredPermutation {
    features: Vec<(usize, bool)>,
    neurons: Vec<(usize, bool)>,
}

impl TryFrom<StoredPermutation> for SignedPermutation {
    type Error = StoredError;

    fn try_from(stored: StoredPermutation) -> Result<Self, StoredError> {
        let StoredPermutation { features, neurons } = stored;
        let permutes = |map: &[(usize, bool)]| {
            let mut places: Vec<usize> = map.iter().map(|to| to.0).collect();
            places.sort_unstable();
            places.into_iter().eq(0..map.len())
        };
        if permutes(&features) && permutes(&neurons) {
            Ok(Self { features, neurons })
        } else {
            Err(StoredError::Permutation)
        }
    }
}

/// A phase diagram that has not been checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
pub(super) struct StoredDiagram<T: Scalar> {
    first: Vec<T>,
    second: Vec<T>,
    cells: Vec<Result<Learnability<T>, StabilityError<T>>>,
}

impl<T: Scalar> TryFrom<StoredDiagram<T>> for PhaseDiagram<T> {
    type Error = StoredError;

    fn try_from(stored: StoredDiagram<T>) -> Result<Self, StoredError> {
        let StoredDiagram { first, second, cells } = stored;
        if first.len().checked_mul(second.len()).is_none_or(|count| cells.len() > count) {
            return Err(StoredError::Diagram);
        }
        Ok(Self { first, second, cells })
    }
}
