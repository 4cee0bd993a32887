//! Many runs at once, and statistics over them: replicates of one model, or one run of each of many models.
//!
//! Covers seeds of replicates, the order in which results are combined, and the statistics. Not here: the simulators, which are
//! yours to make from a [`Replicate`]. Runs are reduced to the numbers you ask for as soon as they end, and those to
//! statistics in bounded memory.
//!
//! | what | by |
//! |---|---|
//! | any simulator, one run after the other on each thread | [`Ensemble::run`] |
//! | the projected chain, thirty-two replicates in lock-step on each thread | [`Ensemble::run_projected`] |
//! | one run of each of many models, or anything else | [`Ensemble::map`] |

mod error;
mod executor;
mod failure;
mod progress;
mod replicate;
mod run;
mod statistics;
mod summary;

pub use error::{EnsembleError, Failed};
pub(crate) use error::{keep, write_missing};
pub use executor::{EnsembleExecutor, Records};
pub use failure::Failure;
pub use progress::EnsembleProgress;
pub use replicate::Replicate;
pub use run::Ensemble;
pub use statistics::Statistics;
pub use summary::{Record, Summary};
