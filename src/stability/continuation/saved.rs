//! A continuation that is saved on the way.
//!
//! Covers its verbs, which are those of [`Continuation`]. Not here: what is kept (see `saving`).

use std::fmt;
use std::ops::ControlFlow;

use crate::Scalar;
use crate::limit::Compiled;
use crate::save::Store;
use crate::stability::continuation::branch::Branch;
use crate::stability::continuation::error::ContinuationError;
use crate::stability::continuation::saving::{BranchProgress, Saves};
use crate::stability::continuation::settings::Continuation;
use crate::stability::continuation::switch::Emanating;
use crate::stability::continuation::system::ContinuationSystem;

/// A [`Continuation`] that keeps the branch on the way, and goes on from what is kept; made by [`Continuation::saved_in`].
#[derive(Clone)]
pub struct SavedContinuation<S, T: Scalar = f64> {
    settings: Continuation<T>,
    store: S,
    every: usize,
}

impl<S, T: Scalar> fmt::Debug for SavedContinuation<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SavedContinuation")
            .field("settings", &self.settings)
            .field("every", &self.every)
            .finish_non_exhaustive()
    }
}

impl<T: Compiled> Continuation<T> {
    /// Keeps a branch in `store` after every so many points, and goes on from one that is kept there: to the same branch, to the
    /// last bit, as without an interruption. One store is for one branch; it is taken for this one if settings, start and the
    /// system's answer there are the same. A branch that has ended is followed again from its last save.
    ///
    /// ```
    /// # #[cfg(feature = "serde")]
    /// # {
    /// use std::ops::ControlFlow;
    /// use contrastive_dynamics::save::File;
    /// use contrastive_dynamics::stability::{Continuation, FunctionSystem};
    /// let system = || FunctionSystem::new(1, |x: &[f64], lambda, out: &mut [f64]| out[0] = lambda + x[0] * x[0]);
    /// let path = std::env::temp_dir().join("contrastive-dynamics-branch");
    /// let whole = Continuation::new(-1.0, 0.5).run(&mut system(), &[-0.9], -0.81)?;
    /// let saved = Continuation::new(-1.0, 0.5).saved_in(File::new(&path), 5);
    /// // Broken off after twelve points, ...
    /// let part = saved.run_with(&mut system(), &[-0.9], -0.81, |branch| {
    ///     if branch.points.len() < 12 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    /// })?;
    /// // ... it goes on from the eleventh.
    /// assert_eq!(saved.run(&mut system(), &[-0.9], -0.81)?, whole);
    /// # std::fs::remove_file(&path)?;
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn saved_in<S: Store<BranchProgress<T>>>(self, store: S, every: usize) -> SavedContinuation<S, T> {
        SavedContinuation { settings: self, store, every }
    }
}

impl<K: Store<BranchProgress<T>>, T: Compiled> SavedContinuation<K, T> {
    fn saves<E>(&self) -> Result<Saves<'_, T>, ContinuationError<E>> {
        if self.every == 0 {
            return Err(ContinuationError::Setting { name: "the number of points between saves", value: 0.0 });
        }
        Ok(Saves::new(&self.store, self.every))
    }

    /// As [`Continuation::run`].
    ///
    /// # Errors
    /// As there; [`ContinuationError::Save`] for what is kept and refused. A branch that cannot be saved on the way ends
    /// with [`BranchStop::Unsaved`](super::BranchStop::Unsaved).
    pub fn run<S: ContinuationSystem<T>>(
        &self,
        system: &mut S,
        start: &[T],
        parameter: T,
    ) -> Result<Branch<T, S::Error>, ContinuationError<S::Error>> {
        self.run_with(system, start, parameter, |_| ControlFlow::Continue(()))
    }

    /// As [`Continuation::run_with`]; of a branch that goes on the observer is shown what is new.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_with<S: ContinuationSystem<T>>(
        &self,
        system: &mut S,
        start: &[T],
        parameter: T,
        mut observe: impl FnMut(&Branch<T, S::Error>) -> ControlFlow<()>,
    ) -> Result<Branch<T, S::Error>, ContinuationError<S::Error>> {
        let mut saves = self.saves()?;
        self.settings.begin(system, start, parameter, (&mut observe, Some(&mut saves)))
    }

    /// As [`Continuation::run_from`].
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_from<S: ContinuationSystem<T>>(
        &self,
        system: &mut S,
        start: &Emanating<T>,
    ) -> Result<Branch<T, S::Error>, ContinuationError<S::Error>> {
        self.run_from_with(system, start, |_| ControlFlow::Continue(()))
    }

    /// As [`Continuation::run_from_with`]; of a branch that goes on the observer is shown what is new.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_from_with<S: ContinuationSystem<T>>(
        &self,
        system: &mut S,
        start: &Emanating<T>,
        mut observe: impl FnMut(&Branch<T, S::Error>) -> ControlFlow<()>,
    ) -> Result<Branch<T, S::Error>, ContinuationError<S::Error>> {
        let mut saves = self.saves()?;
        self.settings.leave(system, start, (&mut observe, Some(&mut saves)))
    }
}
