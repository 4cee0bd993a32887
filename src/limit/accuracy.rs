//! The error aimed at.

/// The error aimed at, as ln(1/error): of lattices and other fixed rules, and of samples.
#[derive(Debug, Clone, Copy)]
pub(super) struct Accuracy {
    pub(super) fixed: f64,
    pub(super) sampled: f64,
}

/// Fields may grow until the steps that resolve them are shorter by that factor.
pub(super) const COARSER: f64 = 1.1;

/// A rule to be used near a state is verified where all weights are larger by that factor, too: the error may grow by a hundred times
/// before the bound that steps are chosen by does.
pub(super) const GROWTH: f64 = 1.02;

/// The nodes of a continuous hidden law are chosen for overlaps of some size: a fifth more, in their squares so much, asks for new ones.
pub(super) const FARTHER: f64 = 1.44;
