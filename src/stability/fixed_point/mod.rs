//! Fixed points of the reduced ODE (theory §6): what is known of one, and the search for all of them.
//!
//! Covers, from the ground up: `orbit` and `symmetry` (which states are images of one another), `linearization`
//! (Jacobians, also where the rates are smooth but their averages are singular), `face` (linear families of states that
//! the flow keeps), `newton` within one of them and `settle` to a fixed point of the whole flow, `shape`, `arrangements`
//! and `starts`, `point` and `found` (what is known), `collapsed` (closed forms at R = 0), `search`, `finder`, and how all that
//! prints. Not here: what can be learned, and how fixed points move with a parameter.

mod arrangements;
mod collapsed;
mod display;
mod error;
mod exchange;
mod face;
mod finder;
mod found;
mod linearization;
mod newton;
mod orbit;
mod point;
mod search;
mod settle;
mod shape;
mod signed_permutation;
mod starts;
mod symmetry;
mod uninformative_states;

pub use collapsed::{CollapsedPoint, collapsed_point};
pub use error::FixedPointError;
pub use finder::FixedPointFinder;
pub use found::{FailedStart, FixedPoints};
pub use newton::NewtonStop;
pub use point::{FixedPoint, Kind, Stability};
pub use signed_permutation::SignedPermutation;
pub use starts::{SearchStart, StartKind};
pub use symmetry::Symmetries;

pub(crate) use face::Face;
pub(crate) use linearization::{Linearization, from_inside, linearize};
pub(crate) use newton::NewtonLimits;
pub(crate) use orbit::{Image, PackedMap, orbit};
pub(crate) use settle::settle_or_coincide;
pub(crate) use shape::{keeps_collapsed_state, off_centre};
pub(crate) use uninformative_states::uninformative_states;
