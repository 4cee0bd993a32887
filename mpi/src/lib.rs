//! Ensembles and maps of [`contrastive_dynamics`] over many processes, by MPI.
//!
//! [`MpiExecutor`] is one more [`Executor`](contrastive_dynamics::parallel::Executor): ensembles, phase diagrams, attraction
//! maps and selection probabilities take it, and give the same bits as on one thread, for any number of processes.
//!
//! Every process runs the whole program. Work is shared out where the library calls the executor; its results are combined, in
//! the order of their numbers, in the process of rank 0, which leads; what is made of them (a summary, a map) is then given to
//! all, so that all go on alike. Observers and stores are called in rank 0 alone.
//!
//! ```no_run
//! use contrastive_dynamics::model::fingerprint;
//! use contrastive_dynamics::prelude::*;
//! use contrastive_dynamics_mpi::{MpiExecutor, Threading, initialize};
//! let universe = initialize(Threading::Funneled)?;
//! let executor = MpiExecutor::new(&universe.world())?;
//! let hidden = Independent::new([Law::two_point(2.25)?])?;
//! let model = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(NoNoise).learning_rate(0.3).build()?;
//! executor.same_work(fingerprint(&model))?;
//! let chain = ProjectedChain::builder(&model, 100_000);
//! let ensemble = Ensemble::new(1_000_000, 1).executor(&executor);
//! let summary = ensemble.run_projected(&chain, 1.0, &Output::Stop, |_, state| vec![state.r()[(0, 0)]])?;
//! if executor.is_root() {
//!     println!("{summary}");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | what happens | what becomes of it |
//! |---|---|
//! | a replicate fails or panics | it is in the answer's error, as on one machine; see `Ensemble::most_failures` to end at once |
//! | other work panics, in any process | rank 0 panics with it, all others end in silence |
//! | a process is killed | MPI ends all; `Ensemble::saved_in` goes on from what rank 0 has saved, on any number of processes |
//! | a process returns early | rank 0 panics and says which, all others end |
//! | processes of other versions or models | [`MpiError`], in all of them |

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
