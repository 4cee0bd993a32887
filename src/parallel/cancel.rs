//! A flag by which a long piece of work is told to end.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag by which long work is told to end, from another thread or a signal handler; all clones are one flag.
///
/// [`Ensemble`](crate::ensemble::Ensemble) looks at it before every replicate; observers of runs, maps, branches and searches may give
/// its [`flow`](Self::flow).
///
/// ```
/// use contrastive_dynamics::parallel::Cancel;
/// let cancel = Cancel::new();
/// let handler = cancel.clone(); // say for `ctrlc::set_handler(move || handler.cancel())`
/// std::thread::spawn(move || handler.cancel()).join().expect("no panic");
/// assert!(cancel.is_cancelled());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// A flag that is not set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the flag, for good.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// `Break` once the flag is set: what observers of runs, branches, maps and searches give back.
    pub fn flow(&self) -> ControlFlow<()> {
        if self.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Whether the flag is set.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
