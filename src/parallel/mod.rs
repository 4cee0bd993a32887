//! Many independent things at once: an ordered map over a range of numbers, wherever it runs.
//!
//! Covers the trait [`Executor`] and its two implementations here, [`Serial`] and, with the feature `parallel`,
//! `Threads`, and the flag that ends long work, [`Cancel`]. It is the one place that knows rayon. Not here: what is mapped (see [`crate::ensemble`] and
//! [`crate::stability`]), and executors over many machines, which are a package of their own.

mod cancel;
mod chunks;

pub use cancel::Cancel;
pub(crate) use chunks::{each_chunk, each_numbered};

use std::ops::{ControlFlow, Range};
#[cfg(feature = "parallel")]
use std::sync::{Mutex, PoisonError};
#[cfg(feature = "parallel")]
use std::time::{Duration, Instant};

/// Runs many independent pieces of work, each known by a number, and hands their results, of type R, on in the order of the
/// numbers.
///
/// Whoever implements it may run the pieces anywhere and in any order. What is made of the results depends on their order
/// alone, which is fixed: so every executor gives the same bits.
///
/// It may also be many processes, each with this same program: then all of them call what is here, in the same order. Results
/// are consumed in one of them, the one that [`leads`](Self::leads), and what is made of them there is given to all by
/// [`once`](Self::once). An executor that carries results from one process to another is one for types that can be carried.
///
/// ```
/// use contrastive_dynamics::parallel::{Executor, Serial};
/// assert_eq!(Serial.map(0..4, &|k| k * k), [0, 1, 4, 9]);
/// ```
#[doc(alias = "par_iter")]
pub trait Executor<R>: Sync {
    /// Calls `work` with every number of the range and hands the results to `consume` in the order of the numbers. After
    /// [`ControlFlow::Break`], and once `cancel` is set, work that has not begun is left undone, and nothing is consumed after what
    /// is missing. Of many processes one consumes.
    fn for_each(
        &self,
        range: Range<u64>,
        cancel: &Cancel,
        work: &(dyn Fn(u64) -> R + Sync),
        consume: &mut dyn FnMut(u64, R) -> ControlFlow<()>,
    );

    /// What `make` gives in the process that leads, in all of them. Of one process: what it gives.
    fn once(&self, make: impl FnOnce() -> R) -> R
    where
        Self: Sized,
    {
        make()
    }

    /// Whether results are consumed in this process: of one it is this one.
    fn leads(&self) -> bool {
        true
    }

    /// Whether all processes give the same number here, for example the [value](crate::save::Fingerprint::value) of a fingerprint. Of one
    /// process: yes, without a look.
    fn agree(&self, number: impl FnOnce() -> u64) -> bool
    where
        Self: Sized,
    {
        let _ = number;
        true
    }

    /// The results of `work` for every number of the range, in order, in every process.
    fn map(&self, range: Range<u64>, work: &(dyn Fn(u64) -> R + Sync)) -> Vec<R>
    where
        Self: Executor<Vec<R>> + Sized,
    {
        let mut results = Vec::new();
        self.for_each(range, &Cancel::new(), work, &mut |_, result| {
            results.push(result);
            ControlFlow::Continue(())
        });
        self.once(|| results)
    }
}

impl<R, X: Executor<R>> Executor<R> for &X {
    fn for_each(
        &self,
        range: Range<u64>,
        cancel: &Cancel,
        work: &(dyn Fn(u64) -> R + Sync),
        consume: &mut dyn FnMut(u64, R) -> ControlFlow<()>,
    ) {
        (**self).for_each(range, cancel, work, consume);
    }

    fn once(&self, make: impl FnOnce() -> R) -> R {
        (**self).once(make)
    }

    fn leads(&self) -> bool {
        (**self).leads()
    }

    fn agree(&self, number: impl FnOnce() -> u64) -> bool {
        (**self).agree(number)
    }
}

/// `work` of every item, in order, on all cores with the feature `parallel` and one after the other without: a sweep.
///
/// ```
/// use contrastive_dynamics::parallel::map;
/// use contrastive_dynamics::prelude::*;
/// let overlaps = map(&[0.2, 0.4], |&decay| -> Result<f64, Error> {
///     let hidden = Independent::new([Law::two_point(2.25)?])?;
///     let builder = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(NoNoise).learning_rate(0.3);
///     let start = OrderParameters::from_rows(1, 1, &[0.4], &[0.8])?;
///     let solution = ReducedOde::new(&builder.weight_decay(decay).build()?)?.solver().solve(&start, 5.0)?;
///     Ok(solution.last().map_or(0.4, |(_, state)| state.q()[(0, 0)]))
/// });
/// assert!(overlaps[0].as_ref().is_ok_and(|a| overlaps[1].as_ref().is_ok_and(|b| a > b)));
/// ```
#[doc(alias = "sweep")]
pub fn map<X: Sync, R: Send>(items: &[X], work: impl Fn(&X) -> R + Sync) -> Vec<R> {
    Local::default().map(0..items.len() as u64, &|index| work(&items[usize::try_from(index).unwrap_or(usize::MAX)]))
}

/// One piece of work after the other, on the calling thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Serial;

impl<R> Executor<R> for Serial {
    fn for_each(
        &self,
        range: Range<u64>,
        cancel: &Cancel,
        work: &(dyn Fn(u64) -> R + Sync),
        consume: &mut dyn FnMut(u64, R) -> ControlFlow<()>,
    ) {
        for index in range {
            if cancel.is_cancelled() || consume(index, work(index)).is_break() {
                return;
            }
        }
    }
}

/// Over the threads of the current rayon pool, in bounded memory.
#[cfg(feature = "parallel")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Threads;

#[cfg(feature = "parallel")]
impl<R: Send> Executor<R> for Threads {
    fn for_each(
        &self,
        range: Range<u64>,
        cancel: &Cancel,
        work: &(dyn Fn(u64) -> R + Sync),
        consume: &mut dyn FnMut(u64, R) -> ControlFlow<()>,
    ) {
        let slots: Vec<Mutex<Option<R>>> = range.clone().take(IN_FLIGHT).map(|_| Mutex::new(None)).collect();
        // A slot is held only to move a result, which cannot panic.
        let slot = |index: u64| {
            let at = (index - range.start) % IN_FLIGHT as u64;
            slots[usize::try_from(at).unwrap_or(0)].lock().unwrap_or_else(PoisonError::into_inner)
        };
        let run = |index| {
            if cancel.is_cancelled() {
                return;
            }
            let result = work(index);
            *slot(index) = Some(result);
        };
        over_threads(range.clone(), &run, &mut |index| {
            let result = slot(index).take();
            result.map_or(ControlFlow::Break(()), |result| consume(index, result))
        });
    }
}

/// Calls `run` with the numbers of the range over threads, and `done` with each afterwards, in order. It is compiled once,
/// not once for each kind of work.
#[cfg(feature = "parallel")]
fn over_threads(range: Range<u64>, run: &(dyn Fn(u64) + Sync), done: &mut dyn FnMut(u64) -> ControlFlow<()>) {
    use rayon::iter::{IntoParallelIterator, ParallelIterator};
    let least = LEAST_EACH * rayon::current_num_threads();
    let (mut first, mut block) = (range.start, least.min(IN_FLIGHT));
    while first < range.end {
        let last = range.end.min(first.saturating_add(block as u64));
        let begin = Instant::now();
        (first..last).into_par_iter().for_each(run);
        // The time decides how soon results are handed on, and nothing else.
        block = if begin.elapsed() < BLOCK { block * 2 } else { block / 2 }.clamp(least.min(IN_FLIGHT), IN_FLIGHT);
        for index in first..last {
            if done(index).is_break() {
                return;
            }
        }
        first = last;
    }
}

/// Pieces of work in flight at once: enough for any number of threads, few enough that their results fit into memory.
#[cfg(feature = "parallel")]
const IN_FLIGHT: usize = 1024;

/// Results are handed on after about that time, so that whoever watches need not wait for all of them.
#[cfg(feature = "parallel")]
const BLOCK: Duration = Duration::from_millis(100);

/// Yet each thread has that many pieces of work before all wait for the last of them.
#[cfg(feature = "parallel")]
const LEAST_EACH: usize = 8;

/// The executor of this machine: over threads with the feature `parallel`, else on the calling thread.
#[cfg(feature = "parallel")]
pub type Local = Threads;

/// The executor of this machine: over threads with the feature `parallel`, else on the calling thread.
#[cfg(not(feature = "parallel"))]
pub type Local = Serial;

#[cfg(test)]
mod tests {
    use super::*;

    fn squares(executor: &(impl Executor<u64> + Executor<Vec<u64>>)) {
        let work = |k: u64| k * k;
        assert_eq!(executor.map(5..3000, &work), (5..3000).map(work).collect::<Vec<_>>());
        assert!(executor.map(7..7, &work).is_empty());
        let mut seen = Vec::new();
        executor.for_each(0..5000, &Cancel::new(), &work, &mut |index, square| {
            seen.push((index, square));
            if index == 1500 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(seen, (0..=1500).map(|k| (k, k * k)).collect::<Vec<_>>());
        // What is consumed of work that is cancelled has no gaps.
        let (cancel, mut next) = (Cancel::new(), 0);
        let cancelling = |k: u64| {
            if k == 700 {
                cancel.cancel();
            }
            k
        };
        executor.for_each(0..5000, &cancel, &cancelling, &mut |index, _| {
            assert_eq!(index, next);
            next += 1;
            ControlFlow::Continue(())
        });
        assert!((1..5000).contains(&next), "{next}");
    }

    #[test]
    fn results_come_in_order_and_stop_when_told() {
        squares(&Serial);
        squares(&Local::default());
        squares(&&Serial);
    }
}
