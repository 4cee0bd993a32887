//! Who computes in a process: one thread beside the one that speaks to the others, with threads of its own if the feature
//! `parallel` is on.

use std::any::Any;
use std::ops::{ControlFlow, Range};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender};
use std::time::Instant;

use contrastive_dynamics::parallel::{Cancel, Executor, Local};
use serde::Serialize;

use crate::message::Block;

/// Computes blocks, one after the other, until there come no more.
pub(crate) fn compute<R: Send + Serialize>(
    blocks: &Receiver<Range<u64>>,
    done: &Sender<Block>,
    stop: &Cancel,
    work: &(dyn Fn(u64) -> R + Sync),
) {
    for block in blocks {
        let begin = Instant::now();
        let (mut bytes, mut count, mut unwritten) = (Vec::new(), 0, None);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            Local::default().for_each(block.clone(), stop, work, &mut |_, result: R| {
                match postcard::to_extend(&result, std::mem::take(&mut bytes)) {
                    Ok(longer) => bytes = longer,
                    Err(error) => {
                        unwritten = Some(format!("a result cannot be written as bytes: {error}"));
                        return ControlFlow::Break(());
                    }
                }
                count += 1;
                ControlFlow::Continue(())
            });
        }));
        let results = match (outcome, unwritten) {
            (Err(payload), _) => Err(format!("work panicked: {}", words(&*payload))),
            (Ok(()), Some(reason)) => Err(reason),
            (Ok(()), None) => Ok(bytes),
        };
        let seconds = begin.elapsed().as_secs_f64();
        if done.send(Block { first: block.start, count, seconds, results }).is_err() {
            return;
        }
    }
}

/// What a panic said.
fn words(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().map(str::to_owned);
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

/// The threads that a process computes on.
pub(crate) fn threads() -> usize {
    #[cfg(feature = "parallel")]
    return rayon::current_num_threads();
    #[cfg(not(feature = "parallel"))]
    1
}
