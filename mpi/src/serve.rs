//! How a process other than the root does the work that it is given.

use std::sync::mpsc::channel;

use contrastive_dynamics::parallel::Cancel;
use serde::Serialize;

use crate::crew::{compute, threads};
use crate::group::{Pause, Together};
use crate::message::{Down, Up};

/// Does blocks of work until the root says that it is done.
pub(crate) fn serve<R: Send + Serialize>(together: &Together<'_>, cancel: &Cancel, work: &(dyn Fn(u64) -> R + Sync)) {
    let stop = Cancel::new();
    let (give, blocks) = channel();
    let (tell, done) = channel();
    together.up(&Up::Ready { threads: threads(), call: together.call });
    std::thread::scope(|scope| {
        // Dropped however this ends, and then the crew ends too.
        let (give, _halt) = (give, Halt(&stop));
        scope.spawn(|| {
            let (blocks, tell) = (blocks, tell);
            compute(&blocks, &tell, &stop, work);
        });
        let mut pause = Pause::new();
        loop {
            match together.hear_down() {
                Some(Down::Block { first, last }) => {
                    pause.reset();
                    // The crew is there as long as the sender is.
                    let _ = give.send(first..last);
                }
                Some(Down::Stop) => stop.cancel(),
                Some(Down::End) => {
                    together.up(&Up::Bye);
                    return;
                }
                Some(other) => together.unexpected(&other),
                None => {}
            }
            if cancel.is_cancelled() {
                stop.cancel();
            }
            if let Ok(block) = done.recv_timeout(pause.next()) {
                pause.reset();
                together.up(&Up::Done(block));
            }
        }
    });
}

/// Tells the crew to end.
struct Halt<'s>(&'s Cancel);

impl Drop for Halt<'_> {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
