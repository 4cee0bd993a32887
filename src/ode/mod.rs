//! The reduced ODE of the order parameters as N → ∞ (theory §5): its right-hand side, solver and derivatives.
//!
//! Covers the closed equations of (Q, R) for linear regularisers. Not here: the averages in them (see [`crate::limit`]),
//! the stepping (see [`crate::integrate`]), other regularisers (see [`crate::pde`]).
//!
//! <div data-tex="\frac{dQ}{dt} = A - \tau\gamma\, Q, \qquad \frac{dR}{dt} = B + B^\top + \Lambda - 2\tau\gamma\, R">
//!
//! ```text
//! dQ/dt = A − τγ Q
//! dR/dt = B + Bᵀ + Λ − 2τγ R
//! ```
//!
//! </div>
//!
//! | question | where |
//! |---|---|
//! | what are dQ/dt and dR/dt at a state | [`ReducedOde::rates`] |
//! | where does a start go | [`ReducedOde::solver`] |
//! | what are the derivatives | [`ReducedOde::sensitivities`] |
//! | a right-hand side for a solver of one's own | [`ReducedOde::system`] |

mod growth;
mod reduced;
mod sensitivities;
mod solver;
mod system;

pub(crate) use growth::{GROWTH_LIMIT, Growth};
pub use reduced::{Rates, ReducedOde};
pub use sensitivities::Sensitivities;
pub(crate) use solver::STEP_LIMIT;
pub use solver::{OdeError, OdeFailure, Solver};
pub use system::{OdeSystem, RatesError};
