//! Why a replicate gave nothing.

use std::any::Any;

/// Why a replicate gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Failure<E> {
    /// Its run failed.
    #[error(transparent)]
    Run(E),
    /// It panicked, in the run or in what was observed.
    #[error("panicked: {message}")]
    Panic {
        /// What the panic said.
        message: String,
    },
    /// It was recorded at other times than the first, or gave another number of values.
    #[error("recorded {got} values where the first recorded {expected}, or at other times")]
    Shape {
        /// Values of this run.
        got: usize,
        /// Values of the first.
        expected: usize,
    },
    /// It had not begun when the ensemble was told to end.
    #[error("cancelled before it began")]
    Cancelled,
}

/// What `work` gives, or what it panicked with.
pub(super) fn caught<R, E>(work: impl FnOnce() -> R) -> Result<R, Failure<E>> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
        .map_err(|payload| Failure::Panic { message: message(&*payload) })
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().map(str::to_owned);
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
