//! Many independent things at once: an ordered map over a range of numbers, wherever it runs.
//!
//! Covers the trait [`Executor`] and its two implementations here, [`Serial`] and, with the feature `parallel`,
//! `Threads`, and the flag that ends long work, [`Cancel`]. It is the one place that knows rayon. Not here: what is mapped (see [`crate::ensemble`] and
//! [`crate::stability`]).

mod cancel;
mod chunks;

pub use cancel::Cancel;
pub(crate) use chunks::{each_chunk, each_numbered};

use std::ops::{ControlFlow, Range};
#[cfg(feature = "parallel")]
use std::sync::{Mutex, PoisonError};
#[cfg(feature = "parallel")]
use std::time::{Duration, Instant};

/// Runs many independent pieces of work, each known by a number, and gives their results back in the order of the
/// numbers.
///
/// Whoever implements it may run the pieces anywhere and in any order. What is made of the results depends on their order
/// alone, which is fixed: so every executor gives the same bits.
///
/// ```
/// use contrastive_dynamics::parallel::{Executor, Serial};
/// assert_eq!(Serial.map(0..4, &|k| k * k), [0, 1, 4, 9]);
/// ```
pub trait Executor: Sync {
    /// Calls `work` with every number of the range and hands the results to `consume` in the order of the numbers. After
    /// [`ControlFlow::Break`] nothing more is consumed, and work that has not begun is left undone.
    fn for_each<R: Send>(
        &self,
        range: Range<u64>,
        work: &(impl Fn(u64) -> R + Sync),
        consume: &mut dyn FnMut(u64, R) -> ControlFlow<()>,
    );

    /// The results of `work` for every number of the range, in order.
    fn map<R: Send>(&self, range: Range<u64>, work: &(impl Fn(u64) -> R + Sync)) -> Vec<R> {
        let mut results = Vec::new();
        self.for_each(range, work, &mut |_, result| {
            results.push(result);
            ControlFlow::Continue(())
        });
        results
    }
}

impl<X: Executor> Executor for &X {
    fn for_each<R: Send>(
        &self,
        range: Range<u64>,
        work: &(impl Fn(u64) -> R + Sync),
        consume: &mut dyn FnMut(u64, R) -> ControlFlow<()>,
    ) {
        (**self).for_each(range, work, consume);
    }
}

/// One piece of work after the other, on the calling thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Serial;

impl Executor for Serial {
    fn for_each<R: Send>(
        &self,
        range: Range<u64>,
        work: &(impl Fn(u64) -> R + Sync),
        consume: &mut dyn FnMut(u64, R) -> ControlFlow<()>,
    ) {
        for index in range {
            if consume(index, work(index)).is_break() {
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
impl Executor for Threads {
    fn for_each<R: Send>(
        &self,
        range: Range<u64>,
        work: &(impl Fn(u64) -> R + Sync),
        consume: &mut dyn FnMut(u64, R) -> ControlFlow<()>,
    ) {
        let slots: Vec<Mutex<Option<R>>> = range.clone().take(IN_FLIGHT).map(|_| Mutex::new(None)).collect();
        // A slot is held only to move a result, which cannot panic.
        let slot = |index: u64| {
            let at = (index - range.start) % IN_FLIGHT as u64;
            slots[usize::try_from(at).unwrap_or(0)].lock().unwrap_or_else(PoisonError::into_inner)
        };
        let run = |index| {
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

    fn squares(executor: &impl Executor) {
        let work = |k: u64| k * k;
        assert_eq!(executor.map(5..3000, &work), (5..3000).map(work).collect::<Vec<_>>());
        assert!(executor.map(7..7, &work).is_empty());
        let mut seen = Vec::new();
        executor.for_each(0..5000, &work, &mut |index, square| {
            seen.push((index, square));
            if index == 1500 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(seen, (0..=1500).map(|k| (k, k * k)).collect::<Vec<_>>());
    }

    #[test]
    fn results_come_in_order_and_stop_when_told() {
        squares(&Serial);
        squares(&Local::default());
        squares(&&Serial);
    }
}
