//! How a grid solver is set up.

use nalgebra::DMatrix;

use crate::integrate::Work;
use crate::limit::{Coefficients, Limit};
use crate::model::{AugmentationNoise, Constraint, HiddenDistribution, Model, Nonlinearity, Penalty, Regularizer};
use crate::pde::grid::density::GridDensity;
use crate::pde::grid::operator::{Cells, Flux, Work as Room};
use crate::pde::grid::{GridError, GridFailure, GridSolver, StepSize};
use crate::start::{FeatureNodes, LinearGaussianStart};
use crate::state::OrderParameters;

/// Builds a [`GridSolver`]; made by [`GridSolver::builder`], where the defaults are.
#[derive(Debug, Clone)]
pub struct GridSolverBuilder<'a, M> {
    model: &'a M,
    order: usize,
    width: Option<f64>,
    size: StepSize,
    levels: usize,
    flux: Flux,
    tolerance: Option<f64>,
    node_budget: Option<usize>,
    most_cells: usize,
    most_steps: u64,
}

impl<'a, M> GridSolverBuilder<'a, M> {
    pub(super) fn new(model: &'a M) -> Self {
        Self {
            model,
            order: 16,
            width: None,
            size: StepSize::Adaptive { tolerance: 1e-7 },
            levels: 3,
            flux: Flux::default(),
            tolerance: None,
            node_budget: None,
            most_cells: 1_000_000,
            most_steps: 1_000_000,
        }
    }

    /// Nodes for every feature whose law is continuous.
    #[must_use]
    pub fn feature_nodes(mut self, order: usize) -> Self {
        self.order = order;
        self
    }

    /// The width h of a cell, in units of w.
    #[must_use]
    pub fn width(mut self, width: f64) -> Self {
        self.width = Some(width);
        self
    }

    /// Adaptive steps, each with an estimated error below `tolerance`: of Q and R, relative to the larger of 1 and R, and of
    /// the densities in the L¹ norm.
    #[must_use]
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.size = StepSize::Adaptive { tolerance };
        self
    }

    /// Steps of that length in t.
    #[must_use]
    pub fn step_size(mut self, size: f64) -> Self {
        self.size = StepSize::Fixed { size };
        self
    }

    /// The order in time: implicit Euler with 1, 2, ..., `order` substeps, extrapolated; from 2 to 4.
    #[must_use]
    pub fn order(mut self, order: usize) -> Self {
        self.levels = order;
        self
    }

    /// The fluxes between cells.
    #[must_use]
    pub fn flux(mut self, flux: Flux) -> Self {
        self.flux = flux;
        self
    }

    /// The tolerance of the limit coefficients; see [`Limit::tolerance`].
    #[must_use]
    pub fn coefficient_tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = Some(tolerance);
        self
    }

    /// The node budget of the limit coefficients; see [`Limit::node_budget`].
    #[must_use]
    pub fn node_budget(mut self, nodes: usize) -> Self {
        self.node_budget = Some(nodes);
        self
    }

    /// At most so many cells, times nodes of the law of u.
    #[must_use]
    pub fn cell_limit(mut self, cells: usize) -> Self {
        self.most_cells = cells;
        self
    }

    /// Takes at most that many steps in one run.
    #[must_use]
    pub fn step_limit(mut self, steps: u64) -> Self {
        self.most_steps = steps;
        self
    }
}

impl<'a, S, H, A, G, P> GridSolverBuilder<'a, Model<f64, S, H, A, G, P>>
where
    S: Nonlinearity,
    H: HiddenDistribution,
    A: AugmentationNoise,
    G: Regularizer,
    P: Penalty,
{
    /// The solver, from that law: given u the weight is Gaussian with mean Q₀·u and variance R₀ − |Q₀|².
    ///
    /// # Errors
    /// [`GridError::Neurons`] for more than one neuron, [`GridError::Constrained`] under the sphere constraint,
    /// [`GridError::Shape`] if the law does not fit the model, [`GridError::Setting`] for an unusable number,
    /// [`GridError::Unfit`] for a variance that is zero or too small for the width, or a domain of too many cells,
    /// [`GridError::Start`]; [`GridError::Limit`] if the coefficients cannot be computed.
    pub fn start(self, law: &LinearGaussianStart) -> Result<GridSolver<'a, G>, GridError> {
        let state = law.state();
        self.check_shape(state.n_features(), state.n_neurons())?;
        let nodes = law.feature_law().nodes(state.n_features(), self.order, self.most_cells)?;
        let deviation = state.background()[(0, 0)].max(0.0).sqrt();
        let reach = 9.0 * deviation;
        let means: Vec<f64> = nodes.nodes.column_iter().map(|u| u.dot(&state.q().column(0))).collect();
        let ends = means.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &mean| {
            (low.min(mean - reach), high.max(mean + reach))
        });
        let width = self.width.unwrap_or(deviation / 40.0);
        if !(deviation > 1.5 * width) || width == 0.0 {
            return Err(GridError::Unfit(GridFailure::Unresolved { node: 0, deviation, width }));
        }
        let density = |k: usize, w: f64| (-0.5 * ((w - means[k]) / deviation).powi(2)).exp();
        self.build(nodes, width, ends, &density)
    }

    /// The solver, from densities of your own: `density(k, w)`, of any scale, of the weight given column k of `nodes`, on the
    /// range `(low, high)`, outside of which they are taken to be zero. The width must be set.
    ///
    /// # Errors
    /// As [`start`](Self::start), and [`GridError::Features`] unless the nodes have E[u uᵀ] = I, [`GridError::Density`] for
    /// a value that is negative or not finite, or a density that is zero on all cells.
    pub fn densities(
        self,
        nodes: FeatureNodes,
        (low, high): (f64, f64),
        density: impl Fn(usize, f64) -> f64,
    ) -> Result<GridSolver<'a, G>, GridError> {
        self.check_shape(nodes.nodes.nrows(), 1)?;
        let width = self.width.ok_or(GridError::Setting { name: "width", value: f64::NAN })?;
        if nodes.weights.len() != nodes.nodes.ncols() || nodes.weights.is_empty() {
            return Err(GridError::Features { value: f64::NAN });
        }
        self.build(nodes, width, (low, high), &density)
    }

    fn check_shape(&self, start_features: usize, start_neurons: usize) -> Result<(), GridError> {
        let (features, neurons) = (self.model.n_features(), self.model.n_neurons());
        if neurons != 1 {
            return Err(GridError::Neurons { neurons });
        }
        if self.model.constraint() != Constraint::None {
            return Err(GridError::Constrained);
        }
        if (features, neurons) != (start_features, start_neurons) {
            return Err(GridError::Shape { features, start_features, start_neurons });
        }
        Ok(())
    }

    fn check_settings(&self, width: f64) -> Result<(), GridError> {
        let (name, value) = match self.size {
            StepSize::Fixed { size } => ("step size", size),
            StepSize::Adaptive { tolerance } => ("tolerance", tolerance),
        };
        for (name, value) in [("width", width), (name, value)] {
            if !(value > 0.0 && value.is_finite()) {
                return Err(GridError::Setting { name, value });
            }
        }
        if !(2..=4).contains(&self.levels) {
            return Err(GridError::Setting { name: "order", value: self.levels as f64 });
        }
        Ok(())
    }

    fn build(
        self,
        nodes: FeatureNodes,
        width: f64,
        (low, high): (f64, f64),
        density: &dyn Fn(usize, f64) -> f64,
    ) -> Result<GridSolver<'a, G>, GridError> {
        self.check_settings(width)?;
        check_features(&nodes)?;
        let count = (high - low) / width + 1.0;
        if !(low < high && count * nodes.weights.len() as f64 <= self.most_cells as f64) {
            let cells = count * nodes.weights.len() as f64;
            return Err(GridError::Unfit(GridFailure::Cells { cells, most: self.most_cells }));
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // below the limit of cells
        let (first, count) = ((low / width).round() as i64, count.ceil() as usize);
        let cells = Cells { width, first, count, nodes: nodes.weights.len() };
        let mut masses = Vec::with_capacity(count * cells.nodes);
        for j in 0..count {
            for k in 0..cells.nodes {
                let (w, value) = (cells.centre(j), density(k, cells.centre(j)));
                if !(value >= 0.0 && value.is_finite()) {
                    return Err(GridError::Density { node: k, w, value });
                }
                masses.push(value);
            }
        }
        for k in 0..cells.nodes {
            let total: f64 = masses.iter().skip(k).step_by(cells.nodes).sum();
            if !(total > 0.0 && total.is_finite()) {
                return Err(GridError::Density { node: k, w: f64::NAN, value: total });
            }
            masses.iter_mut().skip(k).step_by(cells.nodes).for_each(|n| *n /= total);
        }
        let mut limit = Limit::new(self.model)?;
        if let Some(tolerance) = self.tolerance {
            limit = limit.tolerance(tolerance)?;
        }
        if let Some(nodes) = self.node_budget {
            limit = limit.node_budget(nodes);
        }
        let density = GridDensity { cells, nodes, masses };
        density.check_resolved().map_err(GridError::Unfit)?;
        let (q, r) = density.moments();
        let state = OrderParameters::from_parts(q, DMatrix::from_element(1, 1, r));
        let (p, regularizer) = (state.n_features(), self.model.regularizer());
        let mut solver = GridSolver {
            rule: limit.rule(&state)?,
            coefficients: Coefficients::zeros(p, 1),
            decay: self.model.learning_rate() * self.model.weight_decay(),
            regularizer,
            limit,
            levels: vec![Vec::new(); self.levels],
            flows: Vec::new(),
            room: Room::default(),
            density,
            state,
            time: 0.0,
            size: self.size,
            next_size: 0.0,
            error: 0.0,
            flux: self.flux,
            most_cells: self.most_cells,
            most_steps: self.most_steps,
            work: Work::default(),
        };
        solver.resize();
        Ok(solver)
    }
}

/// E[u uᵀ] = I, weights positive and of sum 1.
fn check_features(nodes: &FeatureNodes) -> Result<(), GridError> {
    let p = nodes.nodes.nrows();
    if let Some(&value) = nodes.weights.iter().find(|w| !(**w > 0.0)) {
        return Err(GridError::Features { value });
    }
    let total: f64 = nodes.weights.iter().sum();
    let weights = DMatrix::from_diagonal(&nalgebra::DVector::from_column_slice(&nodes.weights));
    let moment = &nodes.nodes * weights * nodes.nodes.transpose();
    let defect = (moment - DMatrix::identity(p, p)).amax().max((total - 1.0).abs());
    if defect < 1e-9 { Ok(()) } else { Err(GridError::Features { value: defect }) }
}
