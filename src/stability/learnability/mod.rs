//! What can be learned from an uninformative start (theory §6), and at which parameters that changes.

mod critical;
mod family;
mod modes;
mod phase_diagram;
mod uninformative;

pub use critical::{CriticalError, CriticalValue, Growth, critical_value};
pub use family::{FamilyError, ModelFamily, OdeFamily, ParameterFamily};
pub use modes::{Learnability, attracting_learnability, learnability};
pub use phase_diagram::PhaseDiagram;
pub use uninformative::{StabilityError, UninformativePoint, uninformative_points};
