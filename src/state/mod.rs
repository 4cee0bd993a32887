//! The state of training, (Q, R), the loop that records it, and what that reports.
//!
//! Covers the order parameters, the run and the trajectory. Not here: what moves them (see [`crate::sgd`], [`crate::ode`]
//! and [`crate::pde`]).

mod error;
mod feasibility;
mod order_parameters;
mod packed;
mod run;
#[cfg(feature = "serde")]
mod stored;
mod trajectory;

pub use error::OrderParametersError;
pub(crate) use feasibility::{check_on_sphere, check_orthogonal};
pub use order_parameters::OrderParameters;
pub(crate) use packed::{pack, packed_len, packed_names, unpack, unpack_into};
pub use run::{
    Checkpoint, Direction, Integration, IntegrationError, Lockstep, Outcome, Process, Run, RunError, RunProgress,
    Snapshot,
};
pub use trajectory::{StopReason, Trajectory};
