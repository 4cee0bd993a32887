//! What can be learned from an uninformative start (theory §6), and at which parameters that changes.
//!
//! Covers, from the ground up: `family` (models over one number), `moments` (principal axes of the hidden variables),
//! `modes` (growth rates for any number of neurons), `uninformative` (one neuron, every R* in a range), `critical`
//! (where a rate vanishes) and `phase_diagram`. Not here: fixed points with features.

mod critical;
mod error;
mod family;
mod modes;
mod moments;
mod phase_diagram;
mod uninformative;

pub use critical::{CriticalError, CriticalValue, Growth, critical_value};
pub use error::StabilityError;
pub use family::{FamilyError, ModelFamily, OdeFamily, ParameterFamily};
pub use modes::{Learnability, attracting_learnability, learnability};
pub use phase_diagram::{DiagramExecutor, PhaseDiagram};
pub use uninformative::{UninformativePoint, uninformative_points};
