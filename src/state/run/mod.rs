//! The one loop around everything that steps: it records, observes, stops, counts work and reports failures with the
//! trajectory so far; and it saves a run on the way.
//!
//! Covers [`Run`], what can be run ([`Process`], [`Lockstep`], and a differential equation by [`Integration`]), and what can
//! go wrong. Not here: what is stepped.

mod agenda;
mod checkpoint;
mod course;
mod drive;
mod error;
mod event;
mod integration;
mod plan;
mod process;
mod saving;
mod stage;
mod steady;
#[cfg(test)]
mod tests;

pub use checkpoint::{Checkpoint, RunProgress};
pub use error::RunError;
pub use event::Direction;
pub use integration::{Integration, IntegrationError};
pub use plan::{Outcome, Run};
pub use process::{Lockstep, Process, Snapshot};
