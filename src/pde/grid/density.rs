//! Densities of weights on a grid, as they were at one time.

use nalgebra::DMatrix;

use crate::pde::grid::operator::Cells;
use crate::pde::observables::{Marginal, ObservableError};
use crate::start::FeatureNodes;

/// The densities of the weight given every node of the law of u: masses in cells of equal width.
#[derive(Debug, Clone, PartialEq)]
pub struct GridDensity {
    pub(super) cells: Cells,
    pub(super) nodes: FeatureNodes,
    /// Of cell j given node k at j·K + k.
    pub(super) masses: Vec<f64>,
}

impl GridDensity {
    /// The nodes of the law of u, p x K, and their weights.
    #[must_use]
    pub fn nodes(&self) -> &FeatureNodes {
        &self.nodes
    }

    /// The width h of a cell.
    #[must_use]
    pub fn width(&self) -> f64 {
        self.cells.width
    }

    /// The centres of the cells, multiples of h.
    #[must_use]
    pub fn centres(&self) -> Vec<f64> {
        (0..self.cells.count).map(|j| self.cells.centre(j)).collect()
    }

    /// The edges of the cells, one more than there are cells.
    #[must_use]
    pub fn edges(&self) -> Vec<f64> {
        (0..=self.cells.count).map(|j| self.cells.centre(j) - 0.5 * self.cells.width).collect()
    }

    /// The masses of the cells given node k, of sum 1; `None` if there is no such node.
    #[must_use]
    pub fn conditional_masses(&self, k: usize) -> Option<Vec<f64>> {
        (k < self.cells.nodes).then(|| self.masses.iter().skip(k).step_by(self.cells.nodes).copied().collect())
    }

    /// The masses of the cells, of sum 1, whatever u is.
    #[must_use]
    pub fn masses(&self) -> Vec<f64> {
        let rows = self.masses.chunks_exact(self.cells.nodes);
        rows.map(|row| row.iter().zip(&self.nodes.weights).map(|(n, p)| n * p).sum()).collect()
    }

    /// The law of the weight given node k.
    ///
    /// Its density is constant in every cell, so that its variance is larger by h²/12 than the one that the equation is
    /// solved with: there masses count at the centres.
    ///
    /// # Errors
    /// [`ObservableError::Empty`] if there is no such node.
    pub fn conditional(&self, k: usize) -> Result<Marginal, ObservableError> {
        Marginal::density(&self.edges(), &self.conditional_masses(k).ok_or(ObservableError::Empty)?)
    }

    /// The law of the weight, whatever u is; as in [`conditional`](Self::conditional), constant in every cell.
    ///
    /// # Errors
    /// None for a density that a solver made.
    pub fn marginal(&self) -> Result<Marginal, ObservableError> {
        Marginal::density(&self.edges(), &self.masses())
    }

    /// The density at the centres, whatever u is.
    #[must_use]
    pub fn density(&self) -> Vec<f64> {
        self.masses().into_iter().map(|n| n / self.cells.width).collect()
    }

    /// Q (p x 1) and R, with every mass at the centre of its cell.
    pub(super) fn moments(&self) -> (DMatrix<f64>, f64) {
        let (p, nodes) = (self.nodes.nodes.nrows(), self.cells.nodes);
        let (mut first, mut second) = (vec![0.0; nodes], vec![0.0; nodes]);
        for (j, row) in self.masses.chunks_exact(nodes).enumerate() {
            let w = self.cells.centre(j);
            for ((first, second), n) in first.iter_mut().zip(&mut second).zip(row) {
                *first += n * w;
                *second += n * w * w;
            }
        }
        let weights = &self.nodes.weights;
        let q = |l: usize| (0..nodes).map(|k| weights[k] * self.nodes.nodes[(l, k)] * first[k]).sum();
        (DMatrix::from_fn(p, 1, |l, _| q(l)), weights.iter().zip(&second).map(|(p, x)| p * x).sum())
    }

    /// By how much the mass given any node differs from 1.
    pub(super) fn mass_defect(&self) -> f64 {
        let mut sums = vec![0.0; self.cells.nodes];
        for row in self.masses.chunks_exact(self.cells.nodes) {
            sums.iter_mut().zip(row).for_each(|(sum, n)| *sum += n);
        }
        sums.iter().fold(0.0, |worst, sum| worst.max((sum - 1.0).abs()))
    }

    /// The smallest standard deviation given a node.
    pub(super) fn narrowest(&self) -> (usize, f64) {
        let nodes = self.cells.nodes;
        let of = |k: usize| {
            let masses = || self.masses.iter().skip(k).step_by(nodes).enumerate();
            let mean: f64 = masses().map(|(j, n)| n * self.cells.centre(j)).sum();
            masses().map(|(j, n)| n * (self.cells.centre(j) - mean).powi(2)).sum::<f64>().sqrt()
        };
        (0..nodes).map(|k| (k, of(k))).fold((0, f64::INFINITY), |a, b| if b.1 < a.1 { b } else { a })
    }

    /// The largest mass, over the nodes, within so many cells of either end.
    pub(super) fn mass_near_ends(&self, margin: usize) -> [f64; 2] {
        let (nodes, count) = (self.cells.nodes, self.cells.count);
        let largest = |rows: &[f64]| {
            let mut sums = vec![0.0; nodes];
            rows.chunks_exact(nodes).for_each(|row| sums.iter_mut().zip(row).for_each(|(sum, n)| *sum += n));
            sums.into_iter().fold(0.0, f64::max)
        };
        let margin = margin.min(count);
        [largest(&self.masses[..margin * nodes]), largest(&self.masses[(count - margin) * nodes..])]
    }

    /// Adds so many empty cells at either end.
    pub(super) fn grow(&mut self, [below, above]: [usize; 2]) {
        let nodes = self.cells.nodes;
        self.masses.splice(0..0, std::iter::repeat_n(0.0, below * nodes));
        self.masses.extend(std::iter::repeat_n(0.0, above * nodes));
        #[allow(clippy::cast_possible_wrap)] // far below 2⁶³
        let shift = below as i64;
        self.cells.first -= shift;
        self.cells.count += below + above;
    }
}
