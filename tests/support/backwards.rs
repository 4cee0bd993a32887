//! An executor that is not of the library: it works through the range from its end, in pieces.

use std::ops::{ControlFlow, Range};

use contrastive_dynamics::parallel::{Cancel, Executor};

/// Runs seven pieces of work at a time, the last first.
pub(crate) struct Backwards;

impl<R> Executor<R> for Backwards {
    fn for_each(
        &self,
        range: Range<u64>,
        cancel: &Cancel,
        work: &(dyn Fn(u64) -> R + Sync),
        consume: &mut dyn FnMut(u64, R) -> ControlFlow<()>,
    ) {
        for first in range.clone().step_by(7) {
            let last = range.end.min(first + 7);
            let mut results: Vec<R> = (first..last).rev().map(work).collect();
            results.reverse();
            for (index, result) in (first..last).zip(results) {
                if cancel.is_cancelled() || consume(index, result).is_break() {
                    return;
                }
            }
        }
    }
}
