//! Ensembles and maps of [`contrastive_dynamics`] over many processes, by MPI.
//!
//! [`MpiExecutor`] is one more [`Executor`](contrastive_dynamics::parallel::Executor): ensembles, phase diagrams, attraction
//! maps and selection probabilities take it, and give the same bits as on one thread, for any number of processes.
//!
//! Every process runs the whole program. Work is shared out where the library calls the executor; its results are combined, in
//! the order of their numbers, in the process of rank 0, which leads; what is made of them (a summary, a map) is then given to
//! all, so that all go on alike. Observers and stores are called in rank 0 alone. The package's README has a whole program.
//!
//! | what happens | what becomes of it |
//! |---|---|
//! | a replicate fails or panics | it is in the answer's error, as on one machine; see `Ensemble::most_failures` to end at once |
//! | other work panics, in any process | rank 0 panics with it, all others end in silence |
//! | a process is killed | MPI ends all; `Ensemble::saved_in` goes on from what rank 0 has saved, on any number of processes |
//! | a process returns early | rank 0 panics and says which (of rank 0, rank 1 does), all others end |
//! | processes of other versions, or other models as [`MpiExecutor::same_work`] compares them | [`MpiError`], in all of them |
//! | other models in what knows its model: `run_projected`, what is saved, maps, diagrams over a parameter | the error of that work, in all of them |

#![forbid(unsafe_code)]

mod crew;
mod error;
mod executor;
mod group;
mod lead;
mod message;
pub mod schedule;
mod serve;
mod wire;

pub use error::MpiError;
pub use executor::{MpiExecutor, Traffic, initialize};
/// The crate `mpi`, of the version whose communicators are taken here.
pub use mpi as rsmpi;
pub use mpi::Threading;

/// The README, whose example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
