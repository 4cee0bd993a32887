//! How a run is saved: closures that know what is kept of the process, for a loop that does not.

use crate::save::{Fingerprint, SaveError, Store};
use crate::state::run::checkpoint::{Checkpoint, Progress, RunProgress};
use crate::state::run::process::Lockstep;

type ProgressOf<P> = Progress<<P as Lockstep>::Scalar, <P as Lockstep>::State>;

/// Where and how often a run is saved.
pub(super) struct Saving<'r, P: Lockstep + ?Sized> {
    /// Steps between saves.
    pub(super) every: u64,
    /// Puts the process back to what is kept, and gives the rest of it.
    pub(super) resume: Box<dyn Fn(&mut P, Fingerprint) -> Result<Option<ProgressOf<P>>, SaveError> + 'r>,
    /// Keeps both.
    pub(super) save: Box<dyn Fn(&P, Fingerprint, ProgressOf<P>) -> Result<(), SaveError> + 'r>,
    /// [`Checkpoint::failure_of`].
    pub(super) failure_of: fn(&P, usize) -> Option<P::Error>,
}

impl<'r, P: Checkpoint + ?Sized> Saving<'r, P> {
    pub(super) fn new<V>(store: V, every: u64) -> Self
    where
        V: Store<RunProgress<P::Saved, P::Scalar, P::State>> + 'r,
    {
        let store = std::rc::Rc::new(store);
        let kept = store.clone();
        let work = |process: &P, settings: Fingerprint| settings.and(process.fingerprint());
        Self {
            every,
            resume: Box::new(move |process, settings| {
                let Some(RunProgress { process: saved, progress }) = kept.load(work(process, settings))? else {
                    return Ok(None);
                };
                process.restore(saved)?;
                Ok(Some(progress))
            }),
            save: Box::new(move |process, settings, progress| {
                store.store(work(process, settings), &RunProgress { process: process.saved(), progress })
            }),
            failure_of: P::failure_of,
        }
    }
}
