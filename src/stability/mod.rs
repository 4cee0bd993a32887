//! Where training ends and what is stable there (theory §6).
//!
//! In: the uninformative fixed points of a single neuron and the growth rates of the features there; attraction regions.

pub mod basin;
mod uninformative;

pub use basin::{AttractionRegions, Fate, Grid, Neighbourhood, RegionMap, Stray};
pub use uninformative::{StabilityError, UninformativePoint, uninformative_points};
