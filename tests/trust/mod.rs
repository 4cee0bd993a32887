//! What must not happen: panics, endless runs, memory out of proportion, and errors that pass in silence.

mod errors;
mod faults;
mod generators;
mod lengths;
mod sizes;
mod survivors;
mod threads;
mod values;
