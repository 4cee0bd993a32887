//! Simulation at finite N: three simulators with one law, and that law against the limit.

mod augmentations;
mod chains;
mod direct_vs_limit;
mod equality_in_law;
mod events;
mod losses;
mod momentum;
mod orthonormal;
mod overflow;
mod schedules;
mod user_loss;
