//! Replicates: their seeds, and how they are run and combined.

use std::ops::ControlFlow;

use super::summary::{Record, Summary, Unusable};
use crate::Scalar;
use crate::integrate::Output;
use crate::model::{LinearRegularizer, Spec};
use crate::parallel::{Executor, Local};
use crate::sgd::{Projected, SgdError, SimulatorBuilder};
use crate::state::{OrderParameters, Trajectory};

/// Why an ensemble failed; what was computed before is inside.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EnsembleError<E, T: Scalar = f64> {
    /// A run failed.
    #[error("replicate {index} (seed {seed}) failed after {} others: {source}", .before.count())]
    Run {
        /// Which replicate.
        index: u64,
        /// Its seed, to run it alone.
        seed: u64,
        /// Why.
        source: E,
        /// The statistics over the replicates before it.
        before: Box<Summary<T>>,
    },
    /// A run was recorded at other times than the first, or gave another number of values.
    #[error("replicate {index} recorded {got} values where the first recorded {expected}, or at other times")]
    Shape {
        /// Which replicate.
        index: u64,
        /// Values of this run.
        got: usize,
        /// Values of the first.
        expected: usize,
        /// The statistics over the replicates before it.
        before: Box<Summary<T>>,
    },
}

/// One run of an ensemble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replicate {
    /// Its number, from 0.
    pub index: u64,
    /// Its seed: a function of the ensemble's seed and of the number alone, different for every number.
    pub seed: u64,
}

/// An ensemble of runs.
///
/// The statistics do not depend on the [`executor`](Self::executor), to the last bit: runs are combined in the order of
/// their numbers. Any replicate can be run alone from its seed.
///
/// ```
/// use contrastive_dynamics::state::OrderParameters;
/// use contrastive_dynamics::ensemble::Ensemble;
/// use contrastive_dynamics::integrate::Output;
/// use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
/// use contrastive_dynamics::sgd::{ProjectedChain, Simulator};
/// let model = Model::builder()
///     .nonlinearity(Tanh)
///     .hidden(Independent::new([Law::two_point(2.25)?])?)
///     .noise(GaussianNoise::correlated(0.3, -0.5)?)
///     .learning_rate(0.3)
///     .build()?;
/// let start = OrderParameters::from_rows(1, 1, &[0.4], &[0.8])?;
/// let summary = Ensemble::new(100, 1).run(
///     |replicate| {
///         let mut chain = ProjectedChain::builder(&model, 1000).start(&start).build_seeded(replicate.seed)?;
///         chain.run(1.0, &Output::Times(vec![0.5, 1.0]))
///     },
///     |_, state| vec![state.q()[(0, 0)]],
/// )?;
/// let overlap = summary.at(1, 0).ok_or("not recorded")?;
/// assert_eq!(summary.count(), 100);
/// assert!(overlap.standard_error() < 0.01);
/// assert!(overlap.quantile(0.1) < overlap.mean() && overlap.mean() < overlap.quantile(0.9));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ensemble<X = Local> {
    replicates: u64,
    seed: u64,
    keep: bool,
    executor: X,
}

impl Ensemble {
    /// `replicates` runs, numbered from 0, of a master seed.
    #[must_use]
    pub fn new(replicates: u64, seed: u64) -> Self {
        Self { replicates, seed, keep: false, executor: Local::default() }
    }
}

impl<X: Executor> Ensemble<X> {
    /// Runs the replicates by that executor. Default: the threads of this machine with the feature `parallel`, else one
    /// replicate after the other. No bit of the statistics depends on it.
    #[must_use]
    pub fn executor<Y: Executor>(self, executor: Y) -> Ensemble<Y> {
        Ensemble { replicates: self.replicates, seed: self.seed, keep: self.keep, executor }
    }

    /// Whether every observed value is kept beside the statistics, eight bytes each, for
    /// [`Statistics::values`](super::Statistics::values). Default: not.
    #[must_use]
    pub fn keep_values(mut self, keep: bool) -> Self {
        self.keep = keep;
        self
    }

    /// The number of replicates.
    #[must_use]
    pub fn replicates(&self) -> u64 {
        self.replicates
    }

    /// The replicate of that number, which need not be below the number of replicates.
    ///
    /// Its seed is mix(mix(master seed) + 0x9E3779B97F4A7C15·(index + 1)) in 64-bit arithmetic, with mix the finaliser of
    /// splitmix64; for one master seed it is different for every index.
    #[must_use]
    pub fn replicate(&self, index: u64) -> Replicate {
        let step = GOLDEN.wrapping_mul(index.wrapping_add(1));
        Replicate { index, seed: mix(mix(self.seed).wrapping_add(step)) }
    }

    /// The result of `work` for every replicate, in the order of their numbers; what fails takes nothing else with it. For
    /// one run of each of many models, let the number choose the model.
    ///
    /// ```
    /// use contrastive_dynamics::ensemble::Ensemble;
    /// use contrastive_dynamics::integrate::Output;
    /// use contrastive_dynamics::model::{Independent, Law, Model, NoNoise, Tanh};
    /// use contrastive_dynamics::sgd::{ProjectedChain, Simulator};
    /// let rates = [0.1, 0.2, 0.4];
    /// let ends = Ensemble::new(3, 1).map(|replicate| -> Result<f64, Box<dyn std::error::Error + Send + Sync>> {
    ///     let model = Model::builder()
    ///         .nonlinearity(Tanh)
    ///         .hidden(Independent::new([Law::two_point(2.25)?])?)
    ///         .noise(NoNoise)
    ///         .learning_rate(rates[replicate.index as usize])
    ///         .build()?;
    ///     let mut chain = ProjectedChain::builder(&model, 1000).build_seeded(replicate.seed)?;
    ///     let run = chain.run(1.0, &Output::Stop)?;
    ///     Ok(run.last().ok_or("no state")?.1.r()[(0, 0)])
    /// });
    /// assert_eq!(ends.len(), 3);
    /// assert!(ends.iter().all(Result::is_ok));
    /// ```
    pub fn map<R: Send>(&self, work: impl Fn(Replicate) -> R + Sync) -> Vec<R> {
        self.executor.map(0..self.replicates, &|index| work(self.replicate(index)))
    }

    /// As [`map`](Self::map), but `consume` gets every result when its turn comes. After [`ControlFlow::Break`] nothing
    /// more is consumed, and replicates that have not begun are left undone.
    pub fn for_each<R: Send>(
        &self,
        work: impl Fn(Replicate) -> R + Sync,
        mut consume: impl FnMut(Replicate, R) -> ControlFlow<()>,
    ) {
        let work = |index| work(self.replicate(index));
        self.executor.for_each(0..self.replicates, &work, &mut |index, result| consume(self.replicate(index), result));
    }

    /// Runs every replicate by `simulate`, and summarises the values that `observe` reads off each recorded time and
    /// state. All runs must be recorded at the same times, and all calls of `observe` give the same number of values.
    ///
    /// # Errors
    /// [`EnsembleError::Run`] for the first replicate that fails, [`EnsembleError::Shape`] for the first that was recorded
    /// otherwise than replicate 0; both carry the statistics over the replicates before it.
    pub fn run<T, E, F, O>(&self, simulate: F, observe: O) -> Result<Summary<T>, EnsembleError<E, T>>
    where
        T: Scalar,
        E: Send,
        F: Fn(Replicate) -> Result<Trajectory<T>, E> + Sync,
        O: Fn(T, &OrderParameters<T>) -> Vec<f64> + Sync,
    {
        let record = |index: u64| vec![simulate(self.replicate(index)).map(|run| Record::new(run, &observe))];
        self.summarise(1, &record)
    }

    /// Runs every replicate of a projected chain to time `end`, thirty-two at a time in lock-step
    /// ([`ProjectedLanes`](crate::sgd::ProjectedLanes)), records as `output` says, and summarises as [`run`](Self::run)
    /// does. The law is that of [`run`](Self::run) with a [`ProjectedChain`](crate::sgd::ProjectedChain), the random
    /// numbers are others: replicate k alone is `chain.lanes(&[ensemble.replicate(k).seed])`.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    ///
    /// ```
    /// use contrastive_dynamics::ensemble::Ensemble;
    /// use contrastive_dynamics::integrate::Output;
    /// use contrastive_dynamics::model::{Independent, Law, Model, NoNoise, Tanh};
    /// use contrastive_dynamics::sgd::ProjectedChain;
    /// let hidden = Independent::new([Law::two_point(2.25)?])?;
    /// let model = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(NoNoise).learning_rate(0.3).build()?;
    /// let chain = ProjectedChain::builder(&model, 1_000_000);
    /// let summary = Ensemble::new(100, 1).run_projected(&chain, 1e-3, &Output::Stop, |_, state| vec![state.r()[(0, 0)]])?;
    /// assert_eq!(summary.count(), 100);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn run_projected<
        T: Scalar,
        M: Spec<Scalar = T, Regularizer: LinearRegularizer<T>>,
        O: Fn(T, &OrderParameters<T>) -> Vec<f64> + Sync,
    >(
        &self,
        chain: &SimulatorBuilder<'_, M, Projected>,
        end: T,
        output: &Output<T>,
        observe: O,
    ) -> Result<Summary<T>, EnsembleError<SgdError<T>, T>> {
        let record = |group: u64| -> Vec<Result<Record<T>, SgdError<T>>> {
            let (first, last) = (group * WIDTH, ((group + 1) * WIDTH).min(self.replicates));
            let seeds: Vec<u64> = (first..last).map(|index| self.replicate(index).seed).collect();
            match chain.lanes(&seeds).and_then(|mut lanes| lanes.run(end, output)) {
                Ok(runs) => runs.into_iter().map(|run| run.map(|run| Record::new(run, &observe))).collect(),
                Err(error) => vec![Err(error)],
            }
        };
        self.summarise(WIDTH, &record)
    }

    /// Summarises groups of that many replicates, in the order of their numbers.
    fn summarise<T, E, F>(&self, width: u64, record: &F) -> Result<Summary<T>, EnsembleError<E, T>>
    where
        T: Scalar,
        E: Send,
        F: Fn(u64) -> Vec<Result<Record<T>, E>> + Sync,
    {
        let groups = self.replicates.div_ceil(width);
        let mut summary = Summary::empty();
        let mut failure = None;
        self.executor.for_each(0..groups, record, &mut |_, records| {
            for record in records {
                if let Err(error) = summary.add(record, self.keep) {
                    failure = Some(error);
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        });
        let index = summary.count();
        match failure {
            None => Ok(summary),
            Some(Unusable::Run(source)) => {
                let Replicate { index, seed } = self.replicate(index);
                Err(EnsembleError::Run { index, seed, source, before: Box::new(summary) })
            }
            Some(Unusable::Shape { got, expected }) => {
                Err(EnsembleError::Shape { index, got, expected, before: Box::new(summary) })
            }
        }
    }
}

/// Replicates that are stepped together.
const WIDTH: u64 = crate::random::WIDTH as u64;

/// The golden ratio's fraction in 64 bits, odd.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The finaliser of splitmix64, a bijection.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_pinned_and_different() {
        let ensemble = Ensemble::new(10, 42);
        let seeds: Vec<u64> = (0..10_000).map(|k| ensemble.replicate(k).seed).collect();
        assert_eq!(seeds[..2], [PINNED.0, PINNED.1]);
        let mut sorted = seeds.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), seeds.len());
        // Half of the bits differ from one to the next: 32 ± 0.04 (one standard error) on average.
        let bits: u32 = seeds.windows(2).map(|pair| (pair[0] ^ pair[1]).count_ones()).sum();
        assert!((f64::from(bits) / 9999.0 - 32.0).abs() < 0.25);
    }

    /// Value stability: a change here is a value-breaking change.
    const PINNED: (u64, u64) = (10_996_452_266_160_306_281, 2_958_219_263_312_191_191);
}
