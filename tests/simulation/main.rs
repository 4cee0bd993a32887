//! Simulation at finite N: random numbers, the three simulators, ensembles. One program, because the crate is compiled into it once.

mod chains;
mod direct_vs_limit;
mod ensemble;
mod equality_in_law;
mod events;
mod normals;
mod samplers;
