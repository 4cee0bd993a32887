//! All tests that need no program of their own, one folder for each room of src/. One program, because the crate's generic
//! code is compiled into every program that uses it.

mod architecture;
mod compile_errors;
mod control;
mod data;
mod documents;
mod ensemble;
mod fluctuation;
mod integrate;
mod limit;
mod model;
mod ode;
mod pde;
mod random;
#[cfg(feature = "serde")]
mod save;
mod sgd;
mod stability;
mod start;
mod support;
mod trust;
