//! What training minimises.

mod penalty;

pub use penalty::{Penalty, PseudoHuber, Quadratic, Quartic};
