//! What is kept of a branch, and how it goes on from there.
//!
//! Covers the data, where it is kept, and whether it belongs to the branch. Not here: when it is kept (see `follow`).

use nalgebra::DVector;

use crate::Scalar;
use crate::limit::Compiled;
use crate::save::{Fingerprint, SaveError, Store};
use crate::stability::continuation::branch::{Bifurcation, Branch, BranchState};
use crate::stability::continuation::error::ContinuationError;
use crate::stability::continuation::node::Node;
use crate::stability::continuation::settings::Continuation;
use crate::stability::continuation::system::AnySystem;

/// A branch under way as it is kept by [`Continuation::saved_in`]: its points and bifurcations, the last solution with the next
/// step, and the [memory](super::ContinuationSystem::memory) of the system.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "T: serde::Serialize", deserialize = "T: serde::Deserialize<'de>"))
)]
pub struct BranchProgress<T: Scalar = f64> {
    pub(super) points: Vec<BranchState<T>>,
    pub(super) bifurcations: Vec<Bifurcation<T>>,
    pub(super) node: Node<T>,
    pub(super) step: T,
    pub(super) memory: Vec<T>,
}

/// Where and how often a branch is saved.
pub(super) struct Saves<'s, T: Scalar> {
    pub(super) store: &'s dyn Store<BranchProgress<T>>,
    /// Points between saves.
    pub(super) every: usize,
    work: Fingerprint,
}

impl<'s, T: Compiled> Saves<'s, T> {
    pub(super) fn new(store: &'s dyn Store<BranchProgress<T>>, every: usize) -> Self {
        Self { store, every, work: Fingerprint::of("a branch") }
    }

    pub(super) fn keep<E>(
        &self,
        system: &AnySystem<'_, T, E>,
        branch: &Branch<T, E>,
        node: &Node<T>,
        step: T,
    ) -> Result<(), SaveError> {
        let (points, bifurcations) = (branch.points.clone(), branch.bifurcations.clone());
        let memory = system.memory();
        self.store.store(self.work, &BranchProgress { points, bifurcations, node: node.clone(), step, memory })
    }

    /// The branch that is kept, if one is, with the system brought back to where it was. `z`: where the branch begins.
    pub(super) fn resume<E>(
        &mut self,
        settings: &Continuation<T>,
        system: &mut AnySystem<'_, T, E>,
        z: &DVector<T>,
    ) -> Result<Option<BranchProgress<T>>, ContinuationError<E>> {
        let n = z.len() - 1;
        let mut residual = vec![T::zero(); n];
        // Where it begins: a system that adapts does so there in any case.
        system.residual(&z.as_slice()[..n], z[n] * settings.scale, &mut residual).map_err(ContinuationError::System)?;
        let work = Fingerprint::of("a branch").text(&format!("{settings:?}")).numbers(z.iter().copied());
        self.work = work.numbers(residual);
        let Some(kept) = self.store.load(self.work)? else { return Ok(None) };
        let BranchProgress { points, bifurcations, node, .. } = &kept;
        let vectors = points.iter().flat_map(|point| [(point.state.len(), n), (point.tangent.len(), n + 1)]);
        let own = [(node.z.len(), n + 1), (node.tangent.len(), n + 1), (node.by_state.len(), n * n)];
        let fits = vectors.chain(own).all(|(length, expected)| length == expected) && node.by_state.nrows() == n;
        let ordered = bifurcations.iter().all(|found| found.after < points.len() && found.state.len() == n);
        let no_branch = || SaveError::content("its points or solutions are not of this system");
        if points.is_empty() || !fits || !ordered || !(kept.step > T::zero()) {
            return Err(no_branch().into());
        }
        if !system.recall(&kept.memory).map_err(ContinuationError::System)? {
            return Err(no_branch().into());
        }
        Ok(Some(kept))
    }
}
