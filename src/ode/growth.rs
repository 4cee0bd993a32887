//! When a solution counts as diverging: its largest R_ii has grown out of all proportion.
//!
//! Covers the measure and its default limit. Not here: who follows the solution (see `solver`, and the attraction regions).

use crate::Scalar;
use crate::numerics::largest::largest;
use crate::state::OrderParameters;

/// From such growth of the largest R_ii on a solution counts as diverging. Averages of a growing field need ever more
/// nodes, so without a limit a diverging solution ends, after a long time, with advice to allow more of them.
pub(crate) const GROWTH_LIMIT: f64 = 1e3;

/// How much the largest R_ii has grown since the start.
#[derive(Debug, Clone)]
pub(crate) struct Growth<T> {
    /// Where the R_ii are in a packed state.
    diagonal: Vec<usize>,
    /// The larger of 1 and the largest R_ii of the start.
    scale: T,
    limit: T,
}

impl<T: Scalar> Growth<T> {
    /// Since `start`, with that limit.
    pub(crate) fn new(start: &OrderParameters<T>, limit: T) -> Self {
        let (p, m) = (start.n_features(), start.n_neurons());
        // Row i of the upper triangle of R follows the m − k entries of each row k < i.
        let diagonal = (0..m).map(|i| p * m + (0..i).map(|k| m - k).sum::<usize>()).collect();
        let scale = start.r().diagonal().iter().fold(T::one(), |s, &r| s.max(r));
        Self { diagonal, scale, limit }
    }

    /// The growth at a packed state, if it is above the limit.
    pub(crate) fn excess(&self, y: &[T]) -> Option<T> {
        let growth = largest(self.diagonal.iter().map(|&at| y[at])) / self.scale;
        Some(growth).filter(|growth| *growth > self.limit)
    }
}
