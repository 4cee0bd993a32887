//! The McKean-Vlasov equation of one neuron on a grid (theory §4): for each node of the law of u a Fokker-Planck
//! equation in w, all coupled by Q and R.
//!
//! Covers [`GridSolver`], finite volumes in w, implicit in time. Not here: start laws (see [`crate::start`]), coefficients
//! (see [`crate::limit`]), the loop (see [`Run`]), what is read off densities (see [`crate::pde::observables`]).

mod builder;
mod density;
mod drift;
mod mesh;
mod operator;
mod step;

use nalgebra::DMatrix;

pub use builder::GridSolverBuilder;
pub use density::GridDensity;
use drift::GridDrift;
use mesh::{Mesh, Meshes};
use operator::Cells;
pub use operator::Flux;
use step::{Levels, StepSize};

use crate::integrate::{Output, Work};
use crate::limit::LimitError;
use crate::model::{ScheduleError, Schedules, Spec, fingerprint};
use crate::save::{Fingerprint, SaveError};
use crate::start::{FeatureNodes, StartError};
use crate::state::{Checkpoint, OrderParameters, Process, Run, RunError, Trajectory};

/// Numbers of cells are at most this, so that centres are exact multiples of h.
const MOST_CELL_NUMBER: u64 = 1 << 52;

/// Why a grid could not be set up or run.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GridError {
    /// More than one neuron.
    #[error("the grid is for one neuron, the model has {neurons}: use particles")]
    Neurons {
        /// Neurons of the model.
        neurons: usize,
    },
    /// The sphere constraint.
    #[error("the grid knows no sphere constraint: use particles")]
    Constrained,
    /// Densities were given beside another start.
    #[error("a start is given twice, by `start` and by `densities`: leave one of them out")]
    StartTwice,
    /// A setting is out of range.
    #[error("the {name} is out of range: {value}")]
    Setting {
        /// Which.
        name: &'static str,
        /// The value given; NaN if it is missing.
        value: f64,
    },
    /// The nodes of the law of u are not such.
    #[error("nodes of the features need positive weights of sum 1 and E[u u^T] = I, which is missed by {value}")]
    Features {
        /// By how much, or the weight that is not positive.
        value: f64,
    },
    /// A density is negative, not finite, or zero everywhere.
    #[error("the density given node {node} is {value} at w = {w}")]
    Density {
        /// Which node.
        node: usize,
        /// Where; NaN if it is the whole density.
        w: f64,
        /// Its value, or its sum.
        value: f64,
    },
    /// The start law is unusable.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The grid cannot stand for the start.
    #[error("the grid cannot start: {0}")]
    Unfit(GridFailure),
    /// The coefficients could not be computed at the start.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// The schedules do not suit the model.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// The run failed.
    #[error(transparent)]
    Run(#[from] RunError<GridFailure>),
}

/// Why a step of a grid failed; the densities are those before it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GridFailure {
    /// The coefficients could not be computed.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// The schedules have no usable value at that time.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// A density is too narrow for the cells.
    #[error("the density given node {node} has standard deviation {deviation}, too narrow for cells of {width}")]
    Unresolved {
        /// Which node.
        node: usize,
        /// Its standard deviation.
        deviation: f64,
        /// The width of the cells.
        width: f64,
    },
    /// The domain would need more cells.
    #[error("the domain needs {cells} cells over all nodes, at most {most} are allowed: allow more with `cell_limit`")]
    Cells {
        /// How many.
        cells: f64,
        /// The limit.
        most: usize,
    },
    /// The drift is not finite, or the diffusion not finite or negative beyond the error of the coefficients.
    #[error(
        "the drift is {shift} + {slope} w with a diffusion of {diffusion}: the solution diverges there, or the nonlinearity is not finite"
    )]
    Coefficients {
        /// α·u, summed over the nodes u.
        shift: f64,
        /// β less what is linear of the regulariser.
        slope: f64,
        /// Λ/2.
        diffusion: f64,
    },
    /// The regulariser is not finite.
    #[error("the regulariser is {value} at w = {w}")]
    Regularizer {
        /// Where.
        w: f64,
        /// Its value.
        value: f64,
    },
    /// No step is small enough.
    #[error("no step meets the tolerance: the solution diverges there, or the tolerance is below rounding")]
    StepTooSmall,
}

/// The McKean-Vlasov equation of one neuron by finite volumes:
///
/// ∂_t ρ_u = −∂_w \[(α·u + βw − τγ φ(w)) ρ_u\] + ½Λ ∂²_w ρ_u
///
/// for every node u of the law of the features, with α, β and Λ the limit coefficients at Q = Σ p_u u ∫ w ρ_u and
/// R = Σ p_u ∫ w² ρ_u. In double precision, for any regulariser.
///
/// Cells are centred at multiples of h, one of them at zero, where L1 has its kink: between centres everything is
/// smooth. The equation is solved on cells of width h and on cells of width 2h, with fluxes of second order; what is
/// extrapolated from both, Q, R and the densities, is of fourth order in h, at the kink too. For linear drifts (L2) space
/// makes no error in Q and R at all ([`Flux::Moments`]). Where both meshes differ too much, or where the narrowest
/// density given u has become narrower than two thirds of what it was in cells, h is halved; it is doubled where that
/// density has become three times as wide and both differ little. In time,
/// implicit Euler with frozen coefficients and 1, 2, ..., L substeps is extrapolated to order L; the extrapolation is a
/// flow of mass between cells that is cut where it would leave less than nothing there. So mass is kept to rounding and
/// no density is negative, however long the steps. Cells are added where mass comes near an end. With next to no noise,
/// D < |b|h/2, fluxes are upwind and of first order in space.
///
/// ```
/// use contrastive_dynamics::state::OrderParameters;
/// use contrastive_dynamics::integrate::Output;
/// use contrastive_dynamics::model::{GaussianNoise, Independent, L1, Law, Model, Tanh};
/// use contrastive_dynamics::pde::grid::GridSolver;
/// use contrastive_dynamics::start::{FeatureLaw, LinearGaussianStart};
/// let model = Model::builder()
///     .nonlinearity(Tanh)
///     .hidden(Independent::new([Law::two_point(2.25)?])?)
///     .noise(GaussianNoise::correlated(0.3, -0.5)?)
///     .learning_rate(0.3)
///     .regularizer(L1)
///     .weight_decay(0.5)
///     .build()?;
/// let start = OrderParameters::from_rows(1, 1, &[0.4], &[0.8])?;
/// let law = LinearGaussianStart::new(FeatureLaw::sparse(0.1)?, &start)?;
/// let mut solver = GridSolver::builder(&model).tolerance(1e-5).start(&law).build()?;
/// let trajectory = solver.run(10.0, &Output::Times(vec![0.0, 5.0, 10.0]))?;
/// assert_eq!(trajectory.times().len(), 3);
/// assert!(solver.mass_defect() < 1e-12);
/// let weights = solver.density().marginal()?;
/// assert!(weights.fraction_within(0.1)? > 0.1); // L1 makes weights small where there is no feature.
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Setters of the builder, which [`GridSolverBuilder::build`] ends:
///
/// | setter | meaning | default |
/// |---|---|---|
/// | [`start`](GridSolverBuilder::start), [`densities`](GridSolverBuilder::densities) | the law of (u, w) at t = 0 | Q = 0, R = 1, Gaussian |
/// | [`width`](GridSolverBuilder::width) | h at the start | a fortieth of the start's standard deviation given u |
/// | [`space_tolerance`](GridSolverBuilder::space_tolerance) | error of cells of width h alone above which h is halved | 2e-3 |
/// | [`feature_nodes`](GridSolverBuilder::feature_nodes) | nodes for each Gaussian feature | 16 |
/// | [`tolerance`](GridSolverBuilder::tolerance), [`step_size`](GridSolverBuilder::step_size) | adaptive or fixed steps | adaptive, 1e-7 per step |
/// | [`order`](GridSolverBuilder::order) | order in time | 3 |
/// | [`flux`](GridSolverBuilder::flux) | fluxes between cells | [`Flux::Moments`] |
/// | [`coefficient_tolerance`](GridSolverBuilder::coefficient_tolerance), [`node_budget`](GridSolverBuilder::node_budget) | of the limit coefficients | those of [`Limit`](crate::limit::Limit) |
/// | [`schedules`](GridSolverBuilder::schedules) | learning rate and others as functions of time | the model's own, constant |
/// | [`cell_limit`](GridSolverBuilder::cell_limit), [`step_limit`](GridSolverBuilder::step_limit) | most cells of width h times nodes, most steps of a run | 10⁶ each |
#[derive(Debug, Clone)]
pub struct GridSolver<'a, M: Spec<Scalar = f64>> {
    drift: GridDrift<'a, M>,
    schedules: Schedules,
    nodes: FeatureNodes,
    meshes: Meshes,
    /// The narrowest standard deviation given u at the start, in units of h.
    resolution: f64,
    space_tolerance: f64,
    state: OrderParameters,
    time: f64,
    size: StepSize,
    /// The size proposed for the next adaptive step; zero before the first.
    next_size: f64,
    error: f64,
    /// Of the fine mesh and of the coarse one.
    levels: [Levels; 2],
    most_cells: usize,
    most_steps: u64,
    work: Work,
}

impl<'a, M: Spec<Scalar = f64>> GridSolver<'a, M> {
    /// A builder for that model.
    #[must_use]
    pub fn builder(model: &'a M) -> GridSolverBuilder<'a, M> {
        GridSolverBuilder::new(model)
    }

    /// The time t reached.
    #[must_use]
    pub fn time(&self) -> f64 {
        self.time
    }

    /// Q and R, extrapolated from both widths of cells.
    #[must_use]
    pub fn order_parameters(&self) -> &OrderParameters {
        &self.state
    }

    /// The densities, on the cells of width h, extrapolated from both widths.
    #[must_use]
    pub fn density(&self) -> GridDensity {
        self.meshes.density(&self.nodes, self.drift.is_kinked())
    }

    /// The present width h of the cells.
    #[must_use]
    pub fn width(&self) -> f64 {
        self.meshes.fine.cells.width
    }

    /// By how much the mass given any node differs from 1: rounding.
    #[must_use]
    pub fn mass_defect(&self) -> f64 {
        self.meshes.mass_defect()
    }

    /// The sum of the estimated errors of all steps in time, in Q, R (relative to the larger of 1 and R) and in the L¹ norm of
    /// the densities, whichever is largest: of the answer of one order less, so that the error of the answer is smaller.
    #[must_use]
    pub fn error_estimate(&self) -> f64 {
        self.error
    }

    /// The difference that extrapolation over both widths of cells makes at present to Q, R (relative to the larger of 1 and R)
    /// and the densities in the L¹ norm, whichever is largest: the error in space of the cells of width h alone, so that that of
    /// the answer is smaller.
    #[must_use]
    pub fn space_error_estimate(&self) -> f64 {
        self.meshes.space_error(&self.nodes)
    }

    /// Work since the start: steps, evaluations of the coefficients, nodes.
    #[must_use]
    pub fn work(&self) -> Work {
        self.work
    }
}

impl<M: Spec<Scalar = f64>> GridSolver<'_, M> {
    /// Runs to t = `end`, and records (Q, R) as `output` says. A step ends at every output time. For events, observers and
    /// steady states see [`Run`], of which this is the shortest.
    ///
    /// # Errors
    /// [`GridError::Run`] with [`RunError::Output`] for times that are unusable (before the present time or after `end`), or
    /// with [`RunError::Failed`] or [`RunError::StepLimit`] and the trajectory so far.
    pub fn run(&mut self, end: f64, output: &Output) -> Result<Trajectory, GridError> {
        Ok(Run::of(self).output(output.clone()).to(end)?)
    }
}

/// What is kept of a [`GridSolver`]: the masses of both meshes, where the coefficients' quadrature rule was chosen, time and counters.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SavedGrid {
    width: f64,
    /// Number of the first coarse cell.
    first: i64,
    fine: Vec<f64>,
    coarse: Vec<f64>,
    ruled_at: OrderParameters,
    ruled_when: f64,
    time: f64,
    next_size: f64,
    error: f64,
    work: Work,
}

impl<M: Spec<Scalar = f64>> Checkpoint for GridSolver<'_, M> {
    type Saved = SavedGrid;

    fn fingerprint(&self) -> Fingerprint {
        let settings = format!("{:?} {:?} {}", self.size, self.drift.flux, self.levels[0].orders());
        let work = Fingerprint::of("a grid")
            .and(fingerprint(self.drift.model))
            .text(&settings)
            .numbers([self.resolution, self.space_tolerance]);
        let nodes = &self.nodes;
        let work = work.numbers(nodes.nodes.iter().copied()).numbers(nodes.weights.iter().copied());
        self.schedules.fingerprint(self.drift.limit.fingerprint(work))
    }

    fn saved(&self) -> SavedGrid {
        SavedGrid {
            width: self.width(),
            first: self.meshes.coarse.cells.first,
            fine: self.meshes.fine.masses.clone(),
            coarse: self.meshes.coarse.masses.clone(),
            ruled_at: self.drift.ruled_at.clone(),
            ruled_when: self.drift.ruled_when,
            time: self.time,
            next_size: self.next_size,
            error: self.error,
            work: self.work,
        }
    }

    fn restore(&mut self, saved: SavedGrid) -> Result<(), SaveError> {
        let SavedGrid { width, first, fine, coarse, ruled_at, ruled_when, time, next_size, error, work } = saved;
        let nodes = self.nodes.weights.len();
        let cells = Cells { width: 2.0 * width, first, count: coarse.len() / nodes, nodes };
        let fits = cells.count > 1 && fine.len() <= self.most_cells && first.unsigned_abs() < MOST_CELL_NUMBER;
        let fits = fits && width > 0.0 && width.is_finite() && coarse.len() == cells.count * nodes;
        if !fits
            || fine.len() != cells.halved().count * nodes
            || (ruled_at.n_features(), ruled_at.n_neurons()) != (self.state.n_features(), 1)
        {
            return Err(SaveError::content("its cells or order parameters are of another number"));
        }
        let meshes =
            Meshes { fine: Mesh { cells: cells.halved(), masses: fine }, coarse: Mesh { cells, masses: coarse } };
        self.drift.check_regularizer(&meshes).map_err(|failure| SaveError::content(failure.to_string()))?;
        if !meshes.is_density() {
            return Err(SaveError::content("its masses are negative, not finite, or of another sum than 1"));
        }
        let unusable = |error: GridFailure| SaveError::content(format!("its coefficients fail: {error}"));
        self.drift.choose_rule(&ruled_at, ruled_when).map_err(unusable)?;
        self.meshes = meshes;
        let (q, r) = self.meshes.moments(&self.nodes);
        self.state = OrderParameters::from_parts(q, DMatrix::from_element(1, 1, r));
        (self.time, self.next_size, self.error, self.work) = (time, next_size, error, work);
        self.resize();
        Ok(())
    }
}

impl<M: Spec<Scalar = f64>> Process for GridSolver<'_, M> {
    type Scalar = f64;
    type State = OrderParameters;
    type Error = GridFailure;

    fn now(&self) -> f64 {
        self.time
    }

    fn state(&self) -> OrderParameters {
        self.state.clone()
    }

    fn work(&self) -> Work {
        self.work
    }

    fn advance(&mut self, until: f64) -> Result<(), GridFailure> {
        self.step_until(Some(until))
    }

    fn numbers(&self, state: &OrderParameters) -> Vec<f64> {
        state.to_packed().data.into()
    }

    fn step_limit(&self) -> Option<u64> {
        Some(self.most_steps)
    }
}
