//! The reduced ODE: its solver and its derivatives.

mod sensitivities;
mod solver;
