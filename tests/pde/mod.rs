//! The McKean-Vlasov equation: particles, the grid, and what is read off weights.

mod agreement;
mod grid;
mod observables;
mod particles;
mod runs;
