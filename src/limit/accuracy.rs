//! The error aimed at.

/// The error aimed at, as ln(1/error): of lattices and other fixed rules, and of samples.
#[derive(Debug, Clone, Copy)]
pub(super) struct Accuracy {
    pub(super) fixed: f64,
    pub(super) sampled: f64,
}
