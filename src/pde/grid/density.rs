//! Densities of weights on a grid, as they were at one time.

use crate::data::{Cell, Table};
use crate::pde::grid::operator::Cells;
use crate::pde::observables::{Marginal, ObservableError};
use crate::start::FeatureNodes;
use crate::state::OrderParameters;

/// The densities of the weight given every node of the law of u, on cells of equal width: at their centres, and the masses of the
/// cells.
#[derive(Debug, Clone, PartialEq)]
pub struct GridDensity {
    pub(super) cells: Cells,
    pub(super) nodes: FeatureNodes,
    /// Of cell j given node k at j·K + k.
    pub(super) masses: Vec<f64>,
    /// At the centre of cell j given node k, at j·K + k.
    pub(super) densities: Vec<f64>,
    pub(super) state: OrderParameters,
}

impl GridDensity {
    /// The nodes of the law of u, p x K, and their weights.
    #[must_use]
    pub fn nodes(&self) -> &FeatureNodes {
        &self.nodes
    }

    /// Q and R.
    #[must_use]
    pub fn order_parameters(&self) -> &OrderParameters {
        &self.state
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
        self.given(&self.masses, k)
    }

    /// The density at the centres given node k; `None` if there is no such node.
    #[must_use]
    pub fn conditional_density(&self, k: usize) -> Option<Vec<f64>> {
        self.given(&self.densities, k)
    }

    fn given(&self, values: &[f64], k: usize) -> Option<Vec<f64>> {
        (k < self.cells.nodes).then(|| values.iter().skip(k).step_by(self.cells.nodes).copied().collect())
    }

    /// The masses of the cells, of sum 1, whatever u is.
    #[must_use]
    pub fn masses(&self) -> Vec<f64> {
        self.averaged(&self.masses)
    }

    /// The density at the centres, whatever u is.
    #[must_use]
    pub fn density(&self) -> Vec<f64> {
        self.averaged(&self.densities)
    }

    fn averaged(&self, values: &[f64]) -> Vec<f64> {
        let rows = values.chunks_exact(self.cells.nodes);
        rows.map(|row| row.iter().zip(&self.nodes.weights).map(|(n, p)| n * p).sum()).collect()
    }

    /// A row for every cell: its centre `w`, its `mass` and `density` whatever u is, and the `density_k` given every node k of u.
    #[must_use]
    pub fn to_table(&self) -> Table {
        let nodes = (0..self.cells.nodes).map(|k| format!("density_{k}"));
        let mut table = Table::of(["w", "mass", "density"].map(String::from).into_iter().chain(nodes));
        let whole = self.centres().into_iter().zip(self.masses()).zip(self.density());
        for (((w, mass), density), given) in whole.zip(self.densities.chunks_exact(self.cells.nodes)) {
            table.add([w, mass, density].into_iter().chain(given.iter().copied()).map(Cell::from));
        }
        table
    }

    /// The law of the weight given node k.
    ///
    /// Its distribution function is right at the edges of the cells. In between its density is constant, so that its variance is
    /// larger by h²/6 than that of the weight.
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
}
