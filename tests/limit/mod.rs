//! The limit coefficients.

mod batch_polynomials;
mod case_file;
mod exact_losses;
mod hidden_laws;
mod identity;
mod independent_views;
mod kinked;
mod large_gain;
mod limit_properties;
mod many_features;
mod many_neurons;
mod questions;
mod reference;
mod rules;
mod single_precision;
mod sum_nodes;
mod sums;
mod whole_batches;
