//! Selection probabilities in the limit: where the starts of a law end, by scrambled Sobol points.
//!
//! Covers [`Selection`] and the starts it is made of. Not here: finite N (see `finite_size`).

use std::fmt;
use std::ops::ControlFlow;

use crate::Scalar;
use crate::limit::Compiled;
use crate::numerics::sobol::uniform;
use crate::stability::display::{count, digits, number};
use crate::stability::progress::Progress;
use crate::stability::regions::{AttractionRegions, NotReached, Outcome, RegionExecutor};
use crate::stability::selection::error::SelectionError;
use crate::stability::selection::table::{by_point, for_each_image};
use crate::state::{OrderParameters, OrderParametersError};

/// The most starts: their outcomes take tens of gigabytes.
const MOST_STARTS: usize = 1 << 28;
/// The most uniform variables of a start: more than any law of starts needs.
const MOST_DIMENSIONS: usize = 1 << 16;
/// Starts that reached no point are kept up to that many; of more only the number.
const MOST_KEPT: usize = 1000;
/// From one scramble's seed to the next, an odd number: the golden ratio of 2³², rounded to a prime (D. E. Knuth, The
/// Art of Computer Programming 3, section 6.4).
const SCRAMBLE_STEP: u32 = 0x9E37_79B1;
/// The second pass is followed at that part of the survey tolerance, to see which starts are in doubt.
const TIGHTER: f64 = 0.1;

/// Scrambled Sobol points of the unit cube, from which starts are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SobolStarts {
    /// The number of uniform variables that a start needs.
    pub dimensions: usize,
    /// Points of each scramble; powers of 2 are best.
    pub points: usize,
    /// Independent scrambles, from whose spread the error is known.
    pub scrambles: u32,
    /// The seed of the scrambles.
    pub seed: u32,
}

/// Selection probabilities of a law of starts; made by [`AttractionRegions::selection`].
///
/// Prints as a table, a line for each point.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "crate::stability::stored::StoredSelection<T>"))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "T: serde::Serialize", deserialize = "T: Scalar + serde::Deserialize<'de>"))
)]
pub struct Selection<T: Scalar = f64> {
    /// For each scramble, the fraction of starts that end at each image of each point.
    pub(in crate::stability) fractions: Vec<Vec<Vec<f64>>>,
    /// Starts of each scramble.
    pub(in crate::stability) points: usize,
    pub(in crate::stability) undecided: f64,
    pub(in crate::stability) doubtful: usize,
    pub(in crate::stability) complete: bool,
    pub(in crate::stability) not_reached: Vec<UndecidedStart<T>>,
}

/// A start that reached none of the points.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "T: serde::Serialize", deserialize = "T: Scalar + serde::Deserialize<'de>"))
)]
#[non_exhaustive]
pub struct UndecidedStart<T: Scalar = f64> {
    /// Its scramble.
    pub scramble: usize,
    /// Its number among the points of the scramble.
    pub point: usize,
    /// Why it reached none.
    pub reason: NotReached<T>,
}

impl<T: Scalar> Selection<T> {
    /// The probability of ending at `point`, its images together, with its standard error over the scrambles; `None`
    /// for a number out of range. The error is never given as less than half a point of every scramble: they can agree
    /// by chance where a border passes through one cell of the Sobol points, and a probability of 0 or 1 is not known
    /// better.
    #[must_use]
    pub fn probability(&self, point: usize) -> Option<(f64, f64)> {
        self.fractions[0].get(point)?;
        Some(self.statistics(|scramble| scramble[point].iter().sum()))
    }

    /// The same for one image of the point.
    #[must_use]
    pub fn probability_of_image(&self, point: usize, image: usize) -> Option<(f64, f64)> {
        self.fractions[0].get(point)?.get(image)?;
        Some(self.statistics(|scramble| scramble[point][image]))
    }

    /// The fraction of starts that reached none of the points, or were no states.
    #[must_use]
    pub fn undecided(&self) -> f64 {
        self.undecided
    }

    /// The first thousand starts that reached none of the points, and why.
    #[must_use]
    pub fn not_reached(&self) -> &[UndecidedStart<T>] {
        &self.not_reached
    }

    /// Starts on which the first two passes did not agree, so that they were followed a third time.
    #[must_use]
    pub fn doubtful(&self) -> usize {
        self.doubtful
    }

    /// Whether all starts were followed as carefully as they need. What was stopped before holds the scrambles that had been followed
    /// at the survey tolerance by then.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    fn statistics(&self, value: impl Fn(&Vec<Vec<f64>>) -> f64) -> (f64, f64) {
        let values: Vec<f64> = self.fractions.iter().map(value).collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
        let least = 0.5 / (self.points as f64 * count.sqrt());
        (mean, (squares / (count * (count - 1.0))).sqrt().max(least))
    }
}

impl<T: Scalar> fmt::Display for Selection<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = digits(f);
        let nan = (f64::NAN, f64::NAN);
        let first = &self.fractions[0];
        let whole = |point: usize| {
            let (probability, error) = self.probability(point).unwrap_or(nan);
            [number(probability, digits), number(error, digits)]
        };
        let image =
            |point: usize, image: usize| number(self.probability_of_image(point, image).unwrap_or(nan).0, digits);
        let head = ["point", "probability", "error", "of its images"];
        let table = by_point(head, first.len(), |point| first[point].len(), whole, image);
        let (scrambles, points) = (count(self.fractions.len(), "scramble"), count(self.points, "start"));
        let (undecided, doubtful) = (number(self.undecided, digits), count(self.doubtful, "start"));
        write!(f, "{table}{scrambles} of {points}; undecided {undecided}, {doubtful} in doubt")?;
        if self.complete { Ok(()) } else { write!(f, "; stopped") }
    }
}

impl<T: Compiled, X: RegionExecutor<T>> AttractionRegions<'_, T, X> {
    /// The probability that a random start ends at each stable point: `start` maps independent uniform variables in
    /// (0, 1) to a start.
    ///
    /// Every start is followed at the survey tolerance and ten times more tightly; where the two disagree, at
    /// [`tolerance`](Self::tolerance). The answer does not depend on the
    /// [`executor`](Self::executor).
    ///
    /// # Errors
    /// [`SelectionError::Starts`] unless there are a dimension, a point and two scrambles;
    /// [`SelectionError::TooManyStarts`]; [`SelectionError::Regions`].
    pub fn selection<F>(
        &self,
        starts: SobolStarts,
        start: F,
    ) -> Result<Selection<T>, SelectionError<std::convert::Infallible, T>>
    where
        F: Fn(&[T]) -> Result<OrderParameters<T>, OrderParametersError> + Sync,
    {
        self.selection_with(starts, start, |_, _| ControlFlow::Continue(()))
    }

    /// As [`selection`](Self::selection), and tells `observe` time and again how many times a start has been followed, and how many
    /// times one will be: twice each, then those in doubt, as far as is known. `Break` ends it with the scrambles followed by then at
    /// the survey tolerance at least.
    ///
    /// # Errors
    /// As [`selection`](Self::selection); [`SelectionError::Stopped`] with the outcomes known, if it ends before two scrambles are
    /// followed.
    pub fn selection_with<F>(
        &self,
        starts: SobolStarts,
        start: F,
        mut observe: impl FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Selection<T>, SelectionError<std::convert::Infallible, T>>
    where
        F: Fn(&[T]) -> Result<OrderParameters<T>, OrderParametersError> + Sync,
    {
        self.selection_of(starts, &|u: &[T]| start(u), &mut observe)
    }

    fn selection_of(
        &self,
        starts: SobolStarts,
        start: &(dyn Fn(&[T]) -> Result<OrderParameters<T>, OrderParametersError> + Sync),
        observe: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Selection<T>, SelectionError<std::convert::Infallible, T>> {
        let SobolStarts { dimensions, points, scrambles, seed } = starts;
        if dimensions == 0 || points == 0 || scrambles < 2 {
            return Err(SelectionError::Starts { dimensions, points, scrambles });
        }
        let count = usize::try_from(scrambles).ok().and_then(|scrambles| points.checked_mul(scrambles));
        let Some(count) = count.filter(|&count| count <= MOST_STARTS && dimensions <= MOST_DIMENSIONS) else {
            let (most, most_dimensions) = (MOST_STARTS, MOST_DIMENSIONS);
            return Err(SelectionError::TooManyStarts { dimensions, points, scrambles, most, most_dimensions });
        };
        let state = |n: usize| {
            #[allow(clippy::cast_possible_truncation)] // below the number of scrambles
            let scramble = seed.wrapping_add(((n / points) as u32).wrapping_mul(SCRAMBLE_STEP));
            let u: Vec<T> = (0..dimensions).map(|d| T::lit(uniform(n % points, d, scramble))).collect();
            start(&u)
        };
        let (survey, tolerance) = (self.survey_tolerance, self.tolerance);
        let mut progress = Progress::new(2 * count, observe);
        let mut outcomes = self.outcomes_of(survey, count, &state, &mut progress)?;
        if outcomes.len() / points < 2 {
            return Err(SelectionError::Stopped { outcomes });
        }
        // What follows is about whole scrambles.
        outcomes.truncate(outcomes.len() / points * points);
        let mut complete = !progress.is_stopped();
        let mut doubtful = Vec::new();
        if complete {
            let tighter = (survey * T::lit(TIGHTER)).max(tolerance).min(survey);
            let second = self.outcomes_of(tighter, count, &state, &mut progress)?;
            let disagree = |n: &usize| outcomes[*n].label().is_none() || outcomes[*n].label() != second[*n].label();
            doubtful = (0..second.len()).filter(disagree).collect();
            complete = !progress.is_stopped();
        }
        if complete {
            progress.extend(doubtful.len());
            let third = self.outcomes_of(tolerance, doubtful.len(), &|k| state(doubtful[k]), &mut progress)?;
            complete = third.len() == doubtful.len();
            for (&n, outcome) in doubtful.iter().zip(third) {
                outcomes[n] = outcome;
            }
        }
        let share = 1.0 / points as f64;
        let (mut undecided, mut not_reached) = (0, Vec::new());
        let fractions = outcomes.chunks(points).enumerate().map(|(scramble, outcomes)| {
            let mut fractions = for_each_image(self, &0.0);
            for (number, outcome) in outcomes.iter().enumerate() {
                match outcome {
                    Outcome::Reached { point, image, .. } => fractions[*point][*image] += share,
                    Outcome::NotReached(reason) => {
                        undecided += 1;
                        if not_reached.len() < MOST_KEPT {
                            not_reached.push(UndecidedStart { scramble, point: number, reason: reason.clone() });
                        }
                    }
                }
            }
            fractions
        });
        let fractions = fractions.collect();
        let undecided = f64::from(undecided) / outcomes.len() as f64;
        Ok(Selection { fractions, points, undecided, doubtful: doubtful.len(), complete, not_reached })
    }
}
