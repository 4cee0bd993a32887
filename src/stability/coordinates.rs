//! Which entries of a packed state can move.
//!
//! Covers the pairs of neurons in the order of the packed state (Q row by row, then the upper triangle of R), and the
//! entries that a constraint leaves free. Not here: the scales by which entries are measured (see the attraction
//! regions).

use crate::model::Constraint;

/// The pairs (i, j), i ≤ j, in the order in which a packed state holds R_ij.
pub(crate) fn pairs(neurons: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..neurons).flat_map(move |i| (i..neurons).map(move |j| (i, j)))
}

/// The entries of R that can move, counted within the packed triangle: all, those off the diagonal on the sphere, none of
/// orthonormal neurons.
pub(crate) fn free_pairs(neurons: usize, constraint: Constraint) -> impl Iterator<Item = usize> {
    let free = move |i: usize, j: usize| match constraint {
        Constraint::None => true,
        Constraint::Sphere => i != j,
        _ => false,
    };
    pairs(neurons).enumerate().filter(move |(_, (i, j))| free(*i, *j)).map(|(k, _)| k)
}

/// The entries of the packed state that can move.
pub(crate) fn free_entries(features: usize, neurons: usize, constraint: Constraint) -> Vec<usize> {
    let overlaps = features * neurons;
    (0..overlaps).chain(free_pairs(neurons, constraint).map(|k| overlaps + k)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints_keep_entries_of_r() {
        assert_eq!(pairs(2).collect::<Vec<_>>(), [(0, 0), (0, 1), (1, 1)]);
        assert_eq!(free_entries(1, 2, Constraint::None), [0, 1, 2, 3, 4]);
        assert_eq!(free_entries(1, 2, Constraint::Sphere), [0, 1, 3]);
        assert_eq!(free_entries(1, 2, Constraint::Orthonormal), [0, 1]);
    }
}
