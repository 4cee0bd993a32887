//! With which probability a random start ends at each stable point: in the limit, for starts with overlaps of order one,
//! by Sobol points; at finite N, where uninformative starts are decided by chance, by ensembles of SGD.

use crate::Scalar;
use crate::ensemble::{Ensemble, Replicate};
use crate::limit::Compiled;
use crate::numerics::normal::normal_quantile;
use crate::numerics::sobol::uniform;
use crate::parallel::records;
use crate::sgd::{Divergence, Simulator};
use crate::stability::regions::{AttractionRegions, Fate, RegionsError};
use crate::state::{OrderParameters, OrderParametersError};

/// Why selection probabilities could not be computed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectionError<E, T: Scalar = f64> {
    /// No starts, or too few scrambles for an error estimate.
    #[error(
        "starts need at least one dimension, one point and two scrambles, got {dimensions}, {points} and {scrambles}"
    )]
    Starts {
        /// Dimensions.
        dimensions: usize,
        /// Points.
        points: usize,
        /// Scrambles.
        scrambles: u32,
    },
    /// A stride or time of a simulation is out of range.
    #[error("a run needs a positive time and stride, got {time} and {stride}")]
    Run {
        /// The time limit.
        time: f64,
        /// Steps from one look at the state to the next.
        stride: u64,
    },
    /// The regions could not be computed.
    #[error(transparent)]
    Basin(#[from] RegionsError<T>),
    /// A simulation could not be set up.
    #[error("replicate {index} (seed {seed}) failed after {} others: {source}", .before.runs())]
    Replicate {
        /// Which replicate.
        index: u64,
        /// Its seed, to run it alone.
        seed: u64,
        /// Why.
        source: E,
        /// The counts over the replicates before it.
        before: Box<FiniteSizeSelection>,
    },
    /// A simulation diverged.
    #[error("replicate {index} (seed {seed}) diverged at step {step} after {} others: lower the learning rate or add weight decay", .before.runs())]
    Diverged {
        /// Which replicate.
        index: u64,
        /// Its seed, to run it alone.
        seed: u64,
        /// The step whose update was not finite.
        step: u64,
        /// The counts over the replicates before it.
        before: Box<FiniteSizeSelection>,
    },
}

/// Scrambled Sobol points of the unit cube, from which starts are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// For each scramble, the fraction of starts that end at each image of each point.
    fractions: Vec<Vec<Vec<f64>>>,
    /// Starts of each scramble.
    points: usize,
    undecided: f64,
    doubtful: usize,
}

impl Selection {
    /// The probability of ending at `point`, its images together, with its standard error over the scrambles; `None` for
    /// a number out of range. The error is never given as less than half a point of every scramble: they can agree by
    /// chance where a border passes through one cell of the Sobol points, and a probability of 0 or 1 is not known better.
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

    /// Starts on which the first two passes did not agree, so that they were followed a third time.
    #[must_use]
    pub fn doubtful(&self) -> usize {
        self.doubtful
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

impl<T: Compiled> AttractionRegions<'_, T> {
    /// The probability that a random start ends at each stable point: `start` maps independent uniform variables in
    /// (0, 1) to a start.
    ///
    /// Every start is followed at the survey tolerance and ten times more tightly; where the two disagree, at
    /// [`tolerance`](Self::tolerance). The answer does not depend on the number of threads.
    ///
    /// # Errors
    /// [`SelectionError::Starts`] unless there are a dimension, a point and two scrambles; [`SelectionError::Basin`].
    pub fn selection<F>(
        &self,
        starts: SobolStarts,
        start: F,
    ) -> Result<Selection, SelectionError<std::convert::Infallible, T>>
    where
        F: Fn(&[T]) -> Result<OrderParameters<T>, OrderParametersError> + Sync,
    {
        let SobolStarts { dimensions, points, scrambles, seed } = starts;
        if dimensions == 0 || points == 0 || scrambles < 2 {
            return Err(SelectionError::Starts { dimensions, points, scrambles });
        }
        let state = |n: usize| {
            #[allow(clippy::cast_possible_truncation)] // below the number of scrambles
            let scramble = seed.wrapping_add(((n / points) as u32).wrapping_mul(0x9E37_79B1));
            let u: Vec<T> = (0..dimensions).map(|d| T::lit(uniform(n % points, d, scramble))).collect();
            start(&u)
        };
        let count = points * scrambles as usize;
        let [survey, tolerance] = self.tolerances();
        let mut fates = self.fates(survey, count, state)?;
        let second = self.fates((survey * T::lit(0.1)).max(tolerance).min(survey), count, state)?;
        let disagree = |n: &usize| fates[*n].label().is_none() || fates[*n].label() != second[*n].label();
        let doubtful: Vec<usize> = (0..count).filter(disagree).collect();
        let third = self.fates(tolerance, doubtful.len(), |k| state(doubtful[k]))?;
        for (&n, fate) in doubtful.iter().zip(third) {
            fates[n] = fate;
        }
        let share = 1.0 / points as f64;
        let mut undecided = 0;
        let fractions = fates.chunks(points).map(|fates| {
            let mut fractions = self.table(0.0);
            for fate in fates {
                match fate {
                    Fate::Reached { point, image, .. } => fractions[*point][*image] += share,
                    Fate::NotReached(_) => undecided += 1,
                }
            }
            fractions
        });
        let fractions = fractions.collect();
        Ok(Selection { fractions, points, undecided: f64::from(undecided) / count as f64, doubtful: doubtful.len() })
    }

    /// How often SGD at finite N ends at each stable point: every replicate of `ensemble` is run by the simulator that
    /// `simulate` makes, until it enters a certified neighbourhood at one of its looks at the state, every `stride` steps,
    /// or until `time_limit`.
    ///
    /// At finite N a run that has entered can leave again, with a probability that falls exponentially with N: the answer
    /// is about the first entry. Where the neighbourhood is not wide beside fluctuations of order 1/√N the question which
    /// point a run selects has no sharp answer.
    ///
    /// Seeds and the order of replicates are those of [`Ensemble`]; the answer does not depend on the number of threads.
    ///
    /// # Errors
    /// [`SelectionError::Run`] for a time or stride that is not positive; [`SelectionError::Replicate`] and
    /// [`SelectionError::Diverged`] for the first replicate that fails, with the counts before it.
    pub fn selection_at_finite_size<E, S, F>(
        &self,
        ensemble: &Ensemble,
        (time_limit, stride): (T, u64),
        simulate: F,
    ) -> Result<FiniteSizeSelection, SelectionError<E, T>>
    where
        S: Simulator<Scalar = T>,
        E: Send,
        F: Fn(Replicate) -> Result<S, E> + Sync,
    {
        if !(time_limit > T::zero() && time_limit.is_finite() && stride > 0) {
            return Err(SelectionError::Run { time: time_limit.as_f64(), stride });
        }
        let run = |index: u64| -> Result<Option<(usize, usize)>, Broken<E>> {
            let mut simulator = simulate(ensemble.replicate(index)).map_err(Broken::Start)?;
            loop {
                if let Some(label) = self.neighbourhood_of(&simulator.order_parameters()) {
                    return Ok(Some(label));
                }
                if simulator.time() >= time_limit {
                    return Ok(None);
                }
                for _ in 0..stride {
                    simulator.step().map_err(|Divergence { step }| Broken::Diverged(step))?;
                }
            }
        };
        let mut selection = FiniteSizeSelection { counts: self.table(0), undecided: 0 };
        for first in (0..ensemble.replicates()).step_by(CHUNK) {
            let last = (first + CHUNK as u64).min(ensemble.replicates());
            for (index, outcome) in (first..last).zip(records(first..last, &run)) {
                match outcome {
                    Ok(Some((point, image))) => selection.counts[point][image] += 1,
                    Ok(None) => selection.undecided += 1,
                    Err(broken) => {
                        let Replicate { index, seed } = ensemble.replicate(index);
                        let before = Box::new(selection);
                        return Err(match broken {
                            Broken::Start(source) => SelectionError::Replicate { index, seed, source, before },
                            Broken::Diverged(step) => SelectionError::Diverged { index, seed, step, before },
                        });
                    }
                }
            }
        }
        Ok(selection)
    }

    /// An entry for each image of each point.
    fn table<X: Clone>(&self, x: X) -> Vec<Vec<X>> {
        (0..self.points()).map(|point| vec![x.clone(); self.images(point).len()]).collect()
    }
}

/// Why a run did not end.
enum Broken<E> {
    Start(E),
    Diverged(u64),
}

/// Runs in flight at once.
const CHUNK: usize = 1024;

/// How often runs at finite N ended at each stable point; made by [`AttractionRegions::selection_at_finite_size`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FiniteSizeSelection {
    counts: Vec<Vec<u64>>,
    undecided: u64,
}

impl FiniteSizeSelection {
    /// All runs.
    #[must_use]
    pub fn runs(&self) -> u64 {
        self.counts.iter().flatten().sum::<u64>() + self.undecided
    }

    /// Runs that were in no neighbourhood at the time limit.
    #[must_use]
    pub fn undecided(&self) -> u64 {
        self.undecided
    }

    /// Runs that ended at `point`, its images together; 0 for a number out of range.
    #[must_use]
    pub fn count(&self, point: usize) -> u64 {
        self.counts.get(point).map_or(0, |images| images.iter().sum())
    }

    /// Runs that ended at that image of `point`.
    #[must_use]
    pub fn count_of_image(&self, point: usize, image: usize) -> u64 {
        self.counts.get(point).and_then(|images| images.get(image)).copied().unwrap_or(0)
    }

    /// The fraction of runs that ended at `point`; NaN without runs.
    #[must_use]
    pub fn fraction(&self, point: usize) -> f64 {
        self.count(point) as f64 / self.runs() as f64
    }

    /// Wilson's score interval for the probability of ending at `point`, at that confidence in (0, 1); NaN for a
    /// confidence out of range and without runs.
    ///
    /// E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209, doi:10.1080/01621459.1927.10502953.
    #[must_use]
    pub fn interval(&self, point: usize, confidence: f64) -> (f64, f64) {
        wilson(self.count(point), self.runs(), confidence)
    }
}

fn wilson(successes: u64, trials: u64, confidence: f64) -> (f64, f64) {
    if !(confidence > 0.0 && confidence < 1.0) || trials == 0 {
        return (f64::NAN, f64::NAN);
    }
    let (k, n) = (successes as f64, trials as f64);
    let z = -normal_quantile(0.5 * (1.0 - confidence));
    let center = (k + 0.5 * z * z) / (n + z * z);
    let width = z / (n + z * z) * (k * (n - k) / n + 0.25 * z * z).sqrt();
    // At the ends the formula gives 0 and 1 up to rounding.
    let low = if successes == 0 { 0.0 } else { center - width };
    (low, if successes == trials { 1.0 } else { center + width })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ends of Wilson's interval are where the score test stands on the edge: |k − np| = z √(np(1 − p)).
    #[test]
    fn intervals_invert_the_score_test() {
        let z = -normal_quantile(0.025);
        assert!((z - 1.959_963_984_540_054).abs() < 1e-12);
        for (k, n) in [(1, 10), (5, 10), (430, 1000), (9, 10), (0, 7), (7, 7)] {
            let (low, high) = wilson(k, n, 0.95);
            let (k, n) = (k as f64, n as f64);
            for p in [low, high] {
                let edge = (k - n * p).abs() - z * (n * p * (1.0 - p)).sqrt();
                assert!(edge.abs() < 1e-9 || p == 0.0 || p == 1.0, "{k} of {n}: {p} {edge}");
            }
            assert!(0.0 <= low && low <= k / n && k / n <= high && high <= 1.0);
        }
        assert!(wilson(0, 0, 0.95).0.is_nan() && wilson(1, 2, 1.0).0.is_nan() && wilson(1, 2, f64::NAN).0.is_nan());
    }
}
