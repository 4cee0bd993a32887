//! The McKean-Vlasov equation: particles, the grid, and what is read off weights. One program, because the crate is compiled into it once.

mod agreement;
mod grid;
mod observables;
mod particles;
mod runs;
