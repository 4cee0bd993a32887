//! Continuation: how solutions of f(x, λ) = 0 move with a parameter, where they fold, branch or begin to oscillate.
//!
//! Covers, from the ground up: `system` (what can be continued), `branch` (what comes out, as data), `corrector` (one
//! point), `defining` (the equations of bifurcations), `settings`, `node` (a point with its tests), `locate`
//! (bifurcations between two points), `switch` (other branches through a point), `follow` (pseudo-arclength continuation with step control), `table` (how branches
//! print); and `entries`,
//! `sharpness`, `curve` and `family_curve` (the reduced ODE as such a system). Not here: the search for a
//! first solution.

mod branch;
mod corrector;
mod curve;
mod defining;
mod entries;
mod error;
mod family_curve;
mod follow;
mod locate;
mod node;
mod saved;
mod saving;
mod settings;
mod sharpness;
mod switch;
mod system;
mod table;

pub use branch::{Bifurcation, BifurcationKind, Branch, BranchState, BranchStop};
pub use curve::OdeCurve;
pub use error::{ContinuationError, CurveError};
pub use family_curve::FamilyCurve;
pub use saved::SavedContinuation;
pub use saving::BranchProgress;
pub use settings::Continuation;
pub use switch::Emanating;
pub use system::{BoxedSystem, ContinuationSystem, FunctionSystem, Uncertainty};
