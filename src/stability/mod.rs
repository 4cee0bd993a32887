//! Where training ends and what is stable there (theory §6).
//!
//! In: the fixed points of the reduced ODE with their spectra and classes, from all of a model's starts
//! ([`FixedPointFinder`]); closed forms at the uninformative and the collapsed state; a guarded solver for eigenvalues
//! and eigenvectors; attraction regions, and the probability with which a random start ends in each; steady states, and
//! the maximum of what they achieve.

pub mod basin;
mod fixed_point;
mod optimum;
mod selection;
mod spectrum;
mod steady;
mod uninformative;

pub use basin::{AttractionRegions, Fate, Grid, Neighbourhood, RegionMap, Stray};
pub use fixed_point::{
    CollapsedPoint, FailedStart, FixedPoint, FixedPointError, FixedPointFinder, FixedPoints, Kind, NewtonStop,
    SignedPermutation, Stability, Start, StartKind, Symmetries, collapsed_point,
};
pub use optimum::{End, Maximum, OptimumError, maximum};
pub use selection::{FiniteSizeSelection, Selection, SelectionError, SobolStarts};
pub use spectrum::{Spectrum, SpectrumError, eigenvalues, spectrum};
pub use steady::{SteadyState, SteadyStateError, steady_state};
pub use uninformative::{StabilityError, UninformativePoint, uninformative_points};
