//! An executor that carries every result as bytes, as one over many processes does.

use std::ops::{ControlFlow, Range};

use contrastive_dynamics::parallel::{Cancel, Executor};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// One piece of work after the other; results are written, and what is combined was read.
pub(crate) struct Carried;

fn carried<R: Serialize + DeserializeOwned>(result: &R) -> R {
    postcard::from_bytes(&postcard::to_stdvec(result).unwrap()).unwrap()
}

impl<R: Serialize + DeserializeOwned> Executor<R> for Carried {
    fn for_each(
        &self,
        range: Range<u64>,
        cancel: &Cancel,
        work: &(dyn Fn(u64) -> R + Sync),
        consume: &mut dyn FnMut(u64, R) -> ControlFlow<()>,
    ) {
        for index in range {
            if cancel.is_cancelled() || consume(index, carried(&work(index))).is_break() {
                return;
            }
        }
    }

    fn once(&self, make: impl FnOnce() -> R) -> R {
        carried(&make())
    }
}
