//! The reduced ODE: its solver and its derivatives.

mod schedules;
mod sensitivities;
mod solver;
