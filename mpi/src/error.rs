//! Why processes cannot work together.

use mpi::Threading;

/// Why processes cannot work together. All of them have the same error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MpiError {
    /// MPI was initialised before, or has ended.
    #[error("MPI can be initialised once in a process, and was before")]
    Initialised,
    /// MPI does not allow threads beside the one that calls it.
    #[error(
        "every process computes on threads beside the one that calls MPI, for which MPI has no support here ({found:?}): \
         begin with `initialize(Threading::Funneled)`"
    )]
    Threading {
        /// What it supports.
        found: Threading,
    },
    /// Processes run programs of other versions.
    #[error("rank {rank} runs {found}, and rank 0 {expected}: start all processes from one build")]
    Version {
        /// The first that differs.
        rank: usize,
        /// What it runs.
        found: String,
        /// What rank 0 runs.
        expected: String,
    },
    /// Processes have other models or settings.
    #[error(
        "rank {rank} has work of fingerprint {found:016x}, and rank 0 of {expected:016x}: all processes must build the same model"
    )]
    OtherWork {
        /// The first that differs.
        rank: usize,
        /// Its fingerprint.
        found: u64,
        /// That of rank 0.
        expected: u64,
    },
}
