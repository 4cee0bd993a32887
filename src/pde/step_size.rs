//! How adaptive steps of particles and grids change their size.

/// A rest before an output time that is no more than that part of a step is taken along with it.
pub(super) const SLIVER: f64 = 1e-6;
/// An adaptive step is that part of what the estimate allows, so that it is seldom rejected.
pub(super) const SAFETY: f64 = 0.9;
/// From one step to the next the size falls at most by that factor, and does so where the answer is not finite.
pub(super) const LEAST_FACTOR: f64 = 0.2;
