//! Who computes in a process: threads beside the one that speaks to the others, as many as its rayon pool has if the feature
//! `parallel` is on, else one.

use std::any::Any;
use std::ops::{ControlFlow, Range};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::Scope;
use std::time::Instant;

use contrastive_dynamics::parallel::{Cancel, Executor, Serial};
use serde::Serialize;

use crate::message::Block;

/// Work as a crew does it.
pub(crate) type Work<'w, R> = &'w (dyn Fn(u64) -> R + Sync);

/// A crew at work. It ends when this is dropped, after the pieces under way.
pub(crate) struct Crew<'s> {
    blocks: Sender<Range<u64>>,
    pub(crate) done: Receiver<Block>,
    stop: &'s Cancel,
}

impl<'s> Crew<'s> {
    /// Begins to work, and to look at `stop`.
    pub(crate) fn start<R: Send + Serialize>(scope: &'s Scope<'s, '_>, stop: &'s Cancel, work: Work<'s, R>) -> Self {
        let (blocks, queue) = channel();
        let (tell, done) = channel();
        let queue = std::sync::Arc::new(Mutex::new(queue));
        for _ in 0..threads() {
            let (queue, tell) = (queue.clone(), tell.clone());
            scope.spawn(move || compute(&queue, &tell, stop, work));
        }
        Self { blocks, done, stop }
    }

    /// Gives it a block.
    pub(crate) fn give(&self, block: Range<u64>) {
        // It is there as long as the sender is.
        let _ = self.blocks.send(block);
    }

    /// Begins no more pieces.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }
}

impl Drop for Crew<'_> {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Computes blocks until there come no more.
fn compute<R: Send + Serialize>(
    queue: &Mutex<Receiver<Range<u64>>>,
    done: &Sender<Block>,
    stop: &Cancel,
    work: Work<'_, R>,
) {
    // One waits at the queue, the others at its lock.
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
    while let Ok(block) = next() {
        let begin = Instant::now();
        let (mut bytes, mut count, mut unwritten) = (Vec::new(), 0, None);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            Serial.for_each(block.clone(), stop, work, &mut |_, result: R| {
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
