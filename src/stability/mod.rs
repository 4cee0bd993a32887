//! Where training ends and what is stable there (theory §6).
//!
//! In: the uninformative fixed points of a single neuron and the growth rates of the features there; attraction regions
//! and the probability with which a random start ends in each; steady states and the best noise.

pub mod basin;
mod optimum;
mod selection;
mod steady;
mod uninformative;

pub use basin::{AttractionRegions, Fate, Grid, Neighbourhood, RegionMap, Stray};
pub use optimum::{End, Maximum, OptimumError, maximum};
pub use selection::{FiniteSizeSelection, Selection, SelectionError, SobolStarts};
pub use steady::{SteadyState, SteadyStateError, steady_state};
pub use uninformative::{StabilityError, UninformativePoint, uninformative_points};
