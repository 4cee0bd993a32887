//! How a grid solver is set up.

use nalgebra::DMatrix;

use crate::integrate::Work;
use crate::limit::{Limit, MovingLimit};
use crate::model::{Constraint, Schedules, Spec, Unscheduled};
use crate::pde::grid::drift::GridDrift;
use crate::pde::grid::mesh::Meshes;
use crate::pde::grid::operator::Flux;
use crate::pde::grid::step::{Levels, NARROWEST, StepSize};
use crate::pde::grid::{GridError, GridFailure, GridSolver, MOST_CELL_NUMBER};
use crate::start::{FeatureNodes, Start, StartError};
use crate::state::OrderParameters;

/// How far cells reach from every mean, in standard deviations: with less mass beyond than is carried in double precision.
const REACH: f64 = 9.0;
/// Cells in a standard deviation, by default.
const CELLS_PER_DEVIATION: f64 = 40.0;
/// Of what cells of width h alone are off by, by default.
const SPACE_TOLERANCE: f64 = 2e-3;
/// By how much E[u uᵀ] may differ from I.
const FEATURES_DEFECT: f64 = 1e-9;

/// Builds a [`GridSolver`]; made by [`GridSolver::builder`], where the defaults are.
pub struct GridSolverBuilder<'a, M> {
    model: &'a M,
    start: Start<'a>,
    /// Whether a start has been given.
    started: bool,
    densities: Option<Densities<'a>>,
    order: usize,
    width: Option<f64>,
    space_tolerance: f64,
    size: StepSize,
    levels: usize,
    flux: Flux,
    tolerance: Option<f64>,
    node_budget: Option<usize>,
    schedules: Schedules,
    most_cells: usize,
    most_steps: u64,
}

/// Densities of the user's.
struct Densities<'a> {
    nodes: FeatureNodes,
    range: (f64, f64),
    density: Box<dyn Fn(usize, f64) -> f64 + 'a>,
}

impl<M> std::fmt::Debug for GridSolverBuilder<'_, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GridSolverBuilder")
            .field("start", &self.start)
            .field("width", &self.width)
            .field("size", &self.size)
            .field("flux", &self.flux)
            .finish_non_exhaustive()
    }
}

impl<'a, M> GridSolverBuilder<'a, M> {
    pub(super) fn new(model: &'a M) -> Self {
        Self {
            model,
            start: Start::uninformative(),
            started: false,
            densities: None,
            order: 16,
            width: None,
            space_tolerance: SPACE_TOLERANCE,
            size: StepSize::Adaptive { tolerance: 1e-7 },
            levels: 3,
            flux: Flux::default(),
            tolerance: None,
            node_budget: None,
            schedules: Schedules::new(),
            most_cells: 1_000_000,
            most_steps: 1_000_000,
        }
    }

    /// Starts like that: from a law that is linear and Gaussian (`&law`), or from a state, given which the weight is Gaussian
    /// with mean Q₀·u and variance R₀ − |Q₀|²; see [`Start`]. Default: Q = 0, R = 1.
    #[must_use]
    pub fn start(mut self, start: impl Into<Start<'a>>) -> Self {
        self.start = start.into();
        self.started = true;
        self
    }

    /// Starts from densities of your own instead: `density(k, w)`, of any scale, of the weight given column k of `nodes`, on
    /// the range `(low, high)`, outside of which they are taken to be zero. The width must be set.
    #[must_use]
    pub fn densities(
        mut self,
        nodes: FeatureNodes,
        (low, high): (f64, f64),
        density: impl Fn(usize, f64) -> f64 + 'a,
    ) -> Self {
        self.densities = Some(Densities { nodes, range: (low, high), density: Box::new(density) });
        self
    }

    /// Lets numbers of the model follow those schedules, from t = 0 on. A step ends wherever one of them jumps or bends.
    #[must_use]
    pub fn schedules(mut self, schedules: &Schedules) -> Self {
        self.schedules = schedules.clone();
        self
    }

    /// Nodes for every feature whose law is continuous.
    #[must_use]
    pub fn feature_nodes(mut self, order: usize) -> Self {
        self.order = order;
        self
    }

    /// The width h of a cell at the start, in units of w. The equation is solved with cells of twice that width, too.
    #[must_use]
    pub fn width(mut self, width: f64) -> Self {
        self.width = Some(width);
        self
    }

    /// Halves h where [`GridSolver::space_error_estimate`], which is that of the cells of width h alone, exceeds `tolerance`, or where a
    /// density becomes narrow; the error of the answer, extrapolated from cells of both widths, is smaller. Infinite: h stays.
    #[must_use]
    pub fn space_tolerance(mut self, tolerance: f64) -> Self {
        self.space_tolerance = tolerance;
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

    /// At most so many cells of width h, times nodes of the law of u.
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

impl<'a, M: Spec<Scalar = f64>> GridSolverBuilder<'a, M> {
    /// The solver.
    ///
    /// # Errors
    /// [`GridError::Neurons`] for more than one neuron, [`GridError::Constrained`] under the sphere constraint,
    /// [`GridError::Start`] if the start does not fit the model or is not linear and Gaussian, [`GridError::StartTwice`] for
    /// densities beside another start, [`GridError::Setting`] for an unusable number, [`GridError::Unfit`] for a
    /// variance that is zero or too small for the width, a domain of too many cells, or a regulariser that is not finite there, [`GridError::Features`] unless the
    /// nodes have E[u uᵀ] = I, [`GridError::Density`] for a density that is negative, not finite, or zero on all cells;
    /// [`GridError::Limit`] if the coefficients cannot be computed.
    pub fn build(mut self) -> Result<GridSolver<'a, M>, GridError> {
        let shape = (self.model.n_features(), self.model.n_neurons());
        self.check_model()?;
        if let Some(Densities { nodes, range, density }) = self.densities.take() {
            if self.started {
                return Err(GridError::StartTwice);
            }
            let (features, start_features) = (shape.0, nodes.nodes.nrows());
            if features != start_features {
                let error = StartError::Model { features, neurons: 1, start_features, start_neurons: 1 };
                return Err(error.into());
            }
            let width = self.width.ok_or(GridError::Setting { name: "width", value: f64::NAN })?;
            if nodes.weights.len() != nodes.nodes.ncols() || nodes.weights.is_empty() {
                return Err(GridError::Features { value: f64::NAN });
            }
            return self.on_cells(nodes, width, range, &density);
        }
        let law = self.start.linear_gaussian(shape)?;
        let state = law.state();
        let nodes = law.feature_law().nodes(state.n_features(), self.order, self.most_cells)?;
        let deviation = state.background()[(0, 0)].max(0.0).sqrt();
        let reach = REACH * deviation;
        let means: Vec<f64> = nodes.nodes.column_iter().map(|u| u.dot(&state.q().column(0))).collect();
        let ends = means.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &mean| {
            (low.min(mean - reach), high.max(mean + reach))
        });
        let width = self.width.unwrap_or(deviation / CELLS_PER_DEVIATION);
        if !(deviation > NARROWEST * width) || width == 0.0 {
            return Err(GridError::Unfit(GridFailure::Unresolved { node: 0, deviation, width }));
        }
        let density = |k: usize, w: f64| (-0.5 * ((w - means[k]) / deviation).powi(2)).exp();
        self.on_cells(nodes, width, ends, &density)
    }

    fn check_model(&self) -> Result<(), GridError> {
        let neurons = self.model.n_neurons();
        if neurons != 1 {
            return Err(GridError::Neurons { neurons });
        }
        if self.model.constraint() != Constraint::None {
            return Err(GridError::Constrained);
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
        if !(self.space_tolerance > 0.0) {
            return Err(GridError::Setting { name: "tolerance in space", value: self.space_tolerance });
        }
        if !(2..=4).contains(&self.levels) {
            return Err(GridError::Setting { name: "order", value: self.levels as f64 });
        }
        Ok(())
    }

    fn on_cells(
        self,
        nodes: FeatureNodes,
        width: f64,
        (low, high): (f64, f64),
        density: &dyn Fn(usize, f64) -> f64,
    ) -> Result<GridSolver<'a, M>, GridError> {
        self.check_settings(width)?;
        check_features(&nodes)?;
        let (low, high) = (low / (2.0 * width), high / (2.0 * width));
        let cells = (2.0 * (high - low) + 3.0) * nodes.weights.len() as f64;
        let most = self.most_cells;
        let numbered = low.abs().max(high.abs()) < MOST_CELL_NUMBER as f64;
        if !(low < high && cells <= most as f64 && numbered) {
            return Err(GridError::Unfit(GridFailure::Cells { cells, most }));
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // below the limit of cells
        let (first, count) = (low.floor() as i64, (high.ceil() - low.floor()) as usize + 1);
        let meshes = Meshes::new((width, first, count), nodes.weights.len(), &|k, w| {
            let value = density(k, w);
            if value >= 0.0 && value.is_finite() { Ok(value) } else { Err(GridError::Density { node: k, w, value }) }
        })?;
        for (node, (fine, coarse)) in meshes.totals().enumerate() {
            if let Some(&value) = [fine, coarse].iter().find(|total| !(**total > 0.0 && total.is_finite())) {
                return Err(GridError::Density { node, w: f64::NAN, value });
            }
        }
        let meshes = meshes.normalised();
        let (node, deviation) = meshes.narrowest();
        if !(deviation > NARROWEST * width) {
            return Err(GridError::Unfit(GridFailure::Unresolved { node, deviation, width }));
        }
        let mut limit = Limit::new(self.model)?;
        if let Some(tolerance) = self.tolerance {
            limit = limit.tolerance(tolerance)?;
        }
        if let Some(nodes) = self.node_budget {
            limit = limit.node_budget(nodes);
        }
        let (q, r) = meshes.moments(&nodes);
        let state = OrderParameters::from_parts(q, DMatrix::from_element(1, 1, r));
        let moving = MovingLimit::of(Unscheduled::of(self.model), &self.schedules, &limit)?;
        let drift = GridDrift::new(self.model, (limit, moving), &state, self.flux)?;
        drift.check_regularizer(&meshes).map_err(GridError::Unfit)?;
        let mut solver = GridSolver {
            drift,
            schedules: self.schedules,
            nodes,
            meshes,
            resolution: deviation / width,
            space_tolerance: self.space_tolerance,
            state,
            time: 0.0,
            size: self.size,
            next_size: 0.0,
            error: 0.0,
            levels: [Levels::new(self.levels), Levels::new(self.levels)],
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
    if defect < FEATURES_DEFECT { Ok(()) } else { Err(GridError::Features { value: defect }) }
}
