//! Attraction regions: which fixed point each start reaches, and where the border between two regions runs (theory §6).
//!
//! Covers, from the ground up: `outcome` and `error` (what is answered), `frame` (scaled coordinates), `root` (the
//! fixed point near a state), `neighbourhood` and `certify` (around stable points, [`Neighbourhood`]), `attraction`
//! (the list of points, [`AttractionRegions`]), `watch` and `follow` (one start), `many` (many starts), `map` and
//! `picture` (a two-parameter family), `border`. Not here: how fixed points are found.
//!
//! A start has reached a point when its trajectory enters that point's neighbourhood, not after a fixed time. By the
//! symmetries of the model a stable point has images (overlaps of either sign, neurons exchanged): they share the
//! point's number and differ in the number of the image. Which of two equal features is learned is an answer, not an
//! image.

mod attraction;
mod border;
mod certify;
mod error;
mod executor;
mod follow;
mod frame;
mod kept;
mod many;
mod map;
mod mapping;
mod neighbourhood;
mod outcome;
mod picture;
mod root;
mod watch;

pub use attraction::AttractionRegions;
pub use error::RegionsError;
pub use executor::RegionExecutor;
pub use kept::MapProgress;
pub use map::{AreaFraction, Grid, RegionMap};
pub use mapping::SavedRegions;
pub use neighbourhood::Neighbourhood;
pub use outcome::{Border, NotReached, Outcome};
pub(in crate::stability) use root::linearly_stable_root;
