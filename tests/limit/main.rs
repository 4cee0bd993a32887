//! The limit coefficients, their derivatives, and the reduced ODE. One program, because the crate is compiled into it once.

#[cfg(feature = "serde")]
mod case_file;
mod hidden_laws;
mod identity;
mod kinked;
mod limit_properties;
mod many_neurons;
mod ode;
#[cfg(feature = "serde")]
mod reference;
mod rules;
mod sensitivities;
mod single_precision;
mod whole_batches;
