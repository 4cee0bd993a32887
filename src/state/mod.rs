//! The state of training, (Q, R), and what a run reports of it.
//!
//! Covers the order parameters and the trajectory. Not here: what moves them (see [`crate::sgd`], [`crate::ode`] and
//! [`crate::pde`]).

mod order_parameters;
mod trajectory;

pub use order_parameters::{OrderParameters, OrderParametersError};
pub(crate) use order_parameters::{packed_len, unpack, unpack_into};
pub use trajectory::{StopReason, Trajectory};
