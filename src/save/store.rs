//! Where work in progress is kept.

use super::error::SaveError;
use super::fingerprint::Fingerprint;

/// Where work in progress of kind V is kept: with the feature `serde` a file, `File`, or whatever you implement.
///
/// ```
/// use std::cell::RefCell;
///
/// use contrastive_dynamics::prelude::*;
/// use contrastive_dynamics::save::{Fingerprint, SaveError, Store};
/// use contrastive_dynamics::state::Run;
///
/// /// In memory.
/// struct Memory<V>(RefCell<Option<(Fingerprint, V)>>);
///
/// impl<V: Clone> Store<V> for Memory<V> {
///     fn load(&self, work: Fingerprint) -> Result<Option<V>, SaveError> {
///         Ok(self.0.borrow().as_ref().filter(|kept| kept.0 == work).map(|kept| kept.1.clone()))
///     }
///     fn store(&self, work: Fingerprint, value: &V) -> Result<(), SaveError> {
///         *self.0.borrow_mut() = Some((work, value.clone()));
///         Ok(())
///     }
/// }
///
/// let hidden = Independent::new([Law::two_point(2.25)?])?;
/// let model = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(NoNoise).learning_rate(0.3).build()?;
/// let memory = Memory(RefCell::new(None));
/// let run = |steps| {
///     let mut chain = ProjectedChain::builder(&model, 100).build_seeded(1)?;
///     Ok::<_, Box<dyn std::error::Error>>(Run::of(&mut chain).saved_in(&memory, 10).step_limit(steps).to(2.0)?)
/// };
/// assert!(run(150).is_err()); // The limit of steps ends it, and what is done is kept.
/// let resumed = run(1000)?;
/// assert_eq!(resumed, ProjectedChain::builder(&model, 100).build_seeded(1)?.run(2.0, &Output::Stop)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Store<V> {
    /// What was stored last; `None` if nothing was.
    ///
    /// # Errors
    /// What is kept cannot be read, or does not belong to that work.
    fn load(&self, work: Fingerprint) -> Result<Option<V>, SaveError>;

    /// Keeps `value` in the place of what was stored before, all of it or nothing.
    ///
    /// # Errors
    /// It cannot be kept; then what was stored before still is.
    fn store(&self, work: Fingerprint, value: &V) -> Result<(), SaveError>;
}

impl<V, S: Store<V> + ?Sized> Store<V> for &S {
    fn load(&self, work: Fingerprint) -> Result<Option<V>, SaveError> {
        (**self).load(work)
    }
    fn store(&self, work: Fingerprint, value: &V) -> Result<(), SaveError> {
        (**self).store(work, value)
    }
}
