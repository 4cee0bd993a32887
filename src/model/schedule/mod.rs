//! Numbers of a model as functions of time: learning rate, weight decay, penalty strength, noise.
//!
//! Covers one function of time ([`Schedule`]), which number follows which ([`Schedules`]), and the numbers in force at a
//! time. Not here: what simulators and solvers make of them. The model itself stays constant, so that its fixed points mean
//! something.

mod in_force;
mod schedules;
mod shape;

pub(crate) use in_force::{InForce, Timetable, Unscheduled};
pub use schedules::{Quantity, ScheduleError, Schedules};
pub use shape::Schedule;
