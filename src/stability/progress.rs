//! How far work over many starts has come, and whether whoever watches has stopped it.
//!
//! Covers the counts over several passes. Not here: the passes (see the maps and the selection probabilities).

use std::ops::ControlFlow;

/// Counts that are shown to an observer.
pub(crate) struct Progress<'f> {
    observe: &'f mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    done: usize,
    total: usize,
    stopped: bool,
}

impl<'f> Progress<'f> {
    /// Nothing done yet of `total`, as far as that is known.
    pub(crate) fn new(total: usize, observe: &'f mut dyn FnMut(usize, usize) -> ControlFlow<()>) -> Self {
        Self { observe, done: 0, total, stopped: false }
    }

    /// So much more is to be done than was known.
    pub(crate) fn extend(&mut self, more: usize) {
        self.total += more;
    }

    /// So much more is done; `Break` if the observer says so.
    pub(crate) fn advance(&mut self, more: usize) -> ControlFlow<()> {
        self.done += more;
        let flow = (self.observe)(self.done, self.total);
        self.stopped |= flow.is_break();
        flow
    }

    /// So much was done before.
    pub(crate) fn done(&mut self, before: usize) {
        self.done += before;
    }

    /// Stops the work for another reason.
    pub(crate) fn stop(&mut self) {
        self.stopped = true;
    }

    /// Whether the work was stopped, by the observer's `Break` or for another reason.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped
    }
}
