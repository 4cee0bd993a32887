//! The best protocol: gradients of what a solution of the reduced ODE is worth, and the schedules that make it best.
//!
//! Covers adjoints of the reduced ODE, by start, parameters and schedules, and the search for optimal schedules within bounds. Not here:
//! the ODE and its derivatives (see [`crate::ode`]), what schedules are (see [`Schedules`](crate::model::Schedules)).
//!
//! | question | where |
//! |---|---|
//! | what is wanted | [`Objective`], of a [`Functional`] of time and state |
//! | how does it change with start, parameters and schedules | [`Adjoint`] → [`Gradient`] |
//! | what may be scheduled, and within which bounds | [`Control`] |
//! | which schedule is the best | [`Optimiser`] → [`Optimum`] |
//!
//! # Method
//! Let s(t) follow ds/dt = f(t, s, u(t)), and J = ψ(T, s(T)) + ∫₀ᵀ ℓ(t, s) dt be wanted. The adjoint ξ(t) = ∂J/∂s(t) solves
//!
//! <div data-tex="\frac{d\xi}{dt} = -\Big(\frac{\partial f}{\partial s}\Big)^{\!\top} \xi - \frac{\partial \ell}{\partial s}, \qquad \xi(T) = \frac{\partial \psi}{\partial s}">
//!
//! ```text
//! dξ/dt = −(∂f/∂s)ᵀ ξ − ∂ℓ/∂s,   ξ(T) = ∂ψ/∂s
//! ```
//!
//! </div>
//!
//! backwards, and then
//!
//! | derivative | is |
//! |---|---|
//! | by the start | ξ(0) |
//! | by a parameter θ | ∫ ξᵀ ∂f/∂θ dt |
//! | by a schedule, δJ/δu(t) | ξᵀ ∂f/∂u at time t |
//!
//! Where the end is an event g(T, s(T)) = 0, T moves: ξ(T) = ∂ψ/∂s − (∂ψ/∂t + f·∂ψ/∂s + ℓ)/(∂g/∂t + f·∂g/∂s) ∂g/∂s.
//!
//! What is computed is the discrete adjoint: the exact derivative of the steps that the solver took, at their sizes (W. W. Hager, Numer.
//! Math. 87 (2000) 247, doi:10.1007/s002110000178). It is the gradient of the very number that the solver gives, which a search for
//! its optimum needs; from the adjoint of the exact solution it differs by the error of the solution. (That the end moves with an event is
//! taken from the exact solution.) The states at the ends of steps are kept; the stages between them are computed again on the way back.

mod adjoint;
mod controls;
mod error;
mod follow;
mod functional;
mod gradient;
mod objective;
mod optimiser;
mod optimum;
mod search;

pub use adjoint::Adjoint;
pub use controls::{Control, TimeGrid};
pub use error::ControlError;
pub use functional::{CosineSimilarity, Functional};
pub use gradient::Gradient;
pub use objective::Objective;
pub use optimiser::{Optimiser, Progress};
pub use optimum::{AtBound, Optimum, SearchEnd};
