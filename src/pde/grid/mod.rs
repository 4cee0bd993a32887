//! The McKean-Vlasov equation of one neuron on a grid (theory §4): for each node of the law of u a Fokker-Planck
//! equation in w, all coupled by Q and R.
//!
//! Covers [`GridSolver`], finite volumes in w, implicit in time. Not here: start laws (see [`crate::start`]), coefficients
//! (see [`crate::limit`]), the loop (see [`Run`]), what is read off densities (see [`crate::pde::observables`]).

mod builder;
mod density;
mod operator;

use nalgebra::DMatrix;

pub use builder::GridSolverBuilder;
pub use density::GridDensity;
pub use operator::Flux;
use operator::{Generator, Work as Room, extrapolate, extrapolation};

use crate::integrate::{Output, Work};
use crate::limit::{Coefficients, Limit, LimitError, Rule};
use crate::model::{Regularizer, Spec, fingerprint};
use crate::save::{Fingerprint, SaveError};
use crate::start::StartError;
use crate::state::{Checkpoint, OrderParameters, Process, Run, RunError, Trajectory};

/// Mass given any node that may lie within the outermost thirty-second of the cells; with more there, cells are added.
const MASS_AT_EDGE: f64 = 1e-14;

/// A step that was made smaller so often has an error that does not fall with its size.
const MOST_REJECTIONS: u32 = 40;

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
    /// No step is small enough, or the solution is no longer finite.
    #[error("no step meets the tolerance: the solution diverges there, or the tolerance is below rounding")]
    StepTooSmall,
}

/// How far a step goes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum StepSize {
    Fixed { size: f64 },
    Adaptive { tolerance: f64 },
}

/// The McKean-Vlasov equation of one neuron by finite volumes:
///
/// ∂_t ρ_u = −∂_w \[(α·u + βw − τγ φ(w)) ρ_u\] + ½Λ ∂²_w ρ_u
///
/// for every node u of the law of the features, with α, β and Λ the limit coefficients at Q = Σ p_u u ∫ w ρ_u and
/// R = Σ p_u ∫ w² ρ_u. In double precision, for any regulariser.
///
/// Cells are centred at multiples of h, one of them at zero, where L1 has its kink: between centres everything is
/// smooth. In space the method is of second order, and for linear drifts (L2) it makes no error in Q and R at all
/// ([`Flux::Moments`]). In time, implicit Euler with frozen coefficients and 1, 2, ..., L substeps is extrapolated to
/// order L; the extrapolation is a flow of mass between cells that is cut where it would leave less than nothing
/// there. So mass is kept to rounding and no density is negative, however long the steps. Cells are added where mass
/// comes near an end. Without noise, D = 0, fluxes are upwind and of first order in space.
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
/// | [`width`](GridSolverBuilder::width) | h | a fortieth of the start's standard deviation given u |
/// | [`feature_nodes`](GridSolverBuilder::feature_nodes) | nodes for each Gaussian feature | 16 |
/// | [`tolerance`](GridSolverBuilder::tolerance), [`step_size`](GridSolverBuilder::step_size) | adaptive or fixed steps | adaptive, 1e-7 per step |
/// | [`order`](GridSolverBuilder::order) | order in time | 3 |
/// | [`flux`](GridSolverBuilder::flux) | fluxes between cells | [`Flux::Moments`] |
/// | [`coefficient_tolerance`](GridSolverBuilder::coefficient_tolerance), [`node_budget`](GridSolverBuilder::node_budget) | of the limit coefficients | those of [`Limit`] |
/// | [`cell_limit`](GridSolverBuilder::cell_limit), [`step_limit`](GridSolverBuilder::step_limit) | most cells times nodes, most steps of a run | 10⁶ each |
#[derive(Debug, Clone)]
pub struct GridSolver<'a, M: Spec<Scalar = f64>> {
    model: &'a M,
    limit: Limit<'a>,
    rule: Rule,
    /// The state at which the rule was chosen.
    ruled_at: OrderParameters,
    coefficients: Coefficients,
    regularizer: &'a M::Regularizer,
    /// τγ.
    decay: f64,
    density: GridDensity,
    state: OrderParameters,
    time: f64,
    size: StepSize,
    /// The size proposed for the next adaptive step; zero before the first.
    next_size: f64,
    error: f64,
    flux: Flux,
    /// The masses after a step in 1, 2, ..., L substeps.
    levels: Vec<Vec<f64>>,
    flows: Vec<f64>,
    room: Room,
    most_cells: usize,
    most_steps: u64,
    work: Work,
}

impl GridDensity {
    /// Whether every density is wider than one and a half cells.
    fn check_resolved(&self) -> Result<(), GridFailure> {
        let ((node, deviation), width) = (self.narrowest(), self.width());
        if deviation > 1.5 * width { Ok(()) } else { Err(GridFailure::Unresolved { node, deviation, width }) }
    }
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

    /// Q and R.
    #[must_use]
    pub fn order_parameters(&self) -> &OrderParameters {
        &self.state
    }

    /// The densities.
    #[must_use]
    pub fn density(&self) -> &GridDensity {
        &self.density
    }

    /// By how much the mass given any node differs from 1: rounding.
    #[must_use]
    pub fn mass_defect(&self) -> f64 {
        self.density.mass_defect()
    }

    /// The sum of the estimated errors of all steps in time, in Q, R (relative to the larger of 1 and R) and in the L¹ norm of
    /// the densities, whichever is largest: of the answer of one order less, so that the error of the answer is smaller.
    #[must_use]
    pub fn error_estimate(&self) -> f64 {
        self.error
    }

    /// Work since the start: steps, evaluations of the coefficients, nodes.
    #[must_use]
    pub fn work(&self) -> Work {
        self.work
    }
}

impl<M: Spec<Scalar = f64>> GridSolver<'_, M> {
    /// Room for the present cells.
    fn resize(&mut self) {
        let (regularizer, decay) = (self.regularizer, self.decay);
        let slope = regularizer.linear_part();
        let bent = |w: f64| decay * (regularizer.apply(w) - slope * w);
        self.room.resize(self.density.cells, bent);
    }

    /// Drift and diffusion at those order parameters.
    fn generator(&mut self, q: &DMatrix<f64>, r: f64) -> Generator {
        let r = DMatrix::from_element(1, 1, r);
        self.work.quadrature_nodes += self.rule.apply_to(&self.limit, q, &r, &mut self.coefficients);
        self.work.right_hand_sides += 1;
        let state = OrderParameters::from_parts(q.clone(), r);
        let drift = self.coefficients.drift(&state);
        Generator {
            shifts: self.density.nodes.nodes.column_iter().map(|u| u.dot(&drift.alpha.column(0))).collect(),
            slope: drift.beta[(0, 0)] - self.decay * self.regularizer.linear_part(),
            diffusion: 0.5 * self.coefficients.lambda[(0, 0)].max(0.0),
            flux: self.flux,
        }
    }

    /// The densities after a step of that size, order by order, in `levels`.
    fn substeps(&mut self, size: f64) {
        let cells = self.density.cells;
        let (q, r) = self.density.moments();
        let first = self.generator(&q, r);
        for level in 0..self.levels.len() {
            let mut masses = std::mem::take(&mut self.levels[level]);
            masses.clone_from(&self.density.masses);
            let dt = size / (level + 1) as f64;
            self.room.implicit_euler(cells, &first, dt, &mut masses);
            for _ in 0..level {
                // Borrowed as a density for its moments.
                std::mem::swap(&mut self.density.masses, &mut masses);
                let (q, r) = self.density.moments();
                std::mem::swap(&mut self.density.masses, &mut masses);
                let generator = self.generator(&q, r);
                self.room.implicit_euler(cells, &generator, dt, &mut masses);
            }
            self.levels[level] = masses;
        }
    }

    /// Extrapolates the levels but the first `without` to a density.
    fn extrapolated(&mut self, without: usize) -> GridDensity {
        let orders = self.levels.len();
        let mut density = self.density.clone();
        density.masses.clone_from(&self.levels[orders - 1]);
        let weights = extrapolation(without + 1, orders);
        extrapolate(density.cells, &weights, &self.levels[without..], &mut self.flows, &mut density.masses);
        density
    }

    /// Tries a step: the new densities and the estimated error of one order less.
    fn attempt(&mut self, size: f64) -> (GridDensity, f64) {
        self.substeps(size);
        let (best, second) = (self.extrapolated(0), self.extrapolated(1));
        let ((q, r), (q_less, r_less)) = (best.moments(), second.moments());
        let moments = (&q - &q_less).amax().max((r - r_less).abs()) / r.max(1.0);
        let norm: f64 = best.masses().iter().zip(second.masses()).map(|(x, y)| (x - y).abs()).sum();
        // A NaN must not get lost in a maximum.
        let error = if moments.is_finite() && norm.is_finite() { moments.max(norm) } else { f64::INFINITY };
        (best, error)
    }

    /// Takes one step, of the size that was set or that the tolerance allows.
    ///
    /// # Errors
    /// [`GridFailure`]; the densities then stay as they are.
    pub fn step(&mut self) -> Result<(), GridFailure> {
        self.step_until(None)
    }

    /// Takes one step, to the time `until` at most.
    fn step_until(&mut self, until: Option<f64>) -> Result<(), GridFailure> {
        let mut size = match self.size {
            StepSize::Fixed { size } => size,
            StepSize::Adaptive { .. } if self.next_size > 0.0 => self.next_size,
            StepSize::Adaptive { tolerance } => tolerance.sqrt().min(0.01),
        };
        let mut rejected = 0;
        loop {
            let proposed = size;
            // A rest that is no more than rounding is part of this step.
            let rest = until.map(|until| until - self.time).filter(|rest| *rest <= size * (1.0 + 1e-6));
            size = rest.unwrap_or(size);
            if !(self.time + size > self.time) {
                return Err(GridFailure::StepTooSmall);
            }
            let (density, error) = self.attempt(size);
            let mut factor = 1.0;
            if let StepSize::Adaptive { tolerance } = self.size {
                let ratio = error / tolerance;
                factor = (0.9 / ratio.powf(1.0 / self.levels.len() as f64)).clamp(0.2, 3.0);
                if !(ratio <= 1.0) {
                    self.work.rejected_steps += 1;
                    rejected += 1;
                    if rejected > MOST_REJECTIONS {
                        return Err(GridFailure::StepTooSmall);
                    }
                    size *= if ratio.is_finite() { factor } else { 0.2 };
                    continue;
                }
            } else if !error.is_finite() {
                return Err(GridFailure::StepTooSmall);
            }
            let margin = (self.density.cells.count / 32).max(2);
            let near = density.mass_near_ends(margin);
            if near.iter().any(|&mass| mass > MASS_AT_EDGE) {
                self.grow(near)?;
                size = proposed;
                continue;
            }
            self.accept(density)?;
            // A step cut short says little about what the next one may be.
            self.next_size = if rest.is_some() { proposed.max(size * factor) } else { size * factor };
            self.error += error;
            self.time = match (rest, until) {
                (Some(_), Some(until)) => until,
                _ => self.time + size,
            };
            return Ok(());
        }
    }

    /// Adds a quarter of the cells at each end near which there is mass.
    fn grow(&mut self, near: [f64; 2]) -> Result<(), GridFailure> {
        let (count, nodes) = (self.density.cells.count, self.density.cells.nodes);
        let added = near.map(|mass| if mass > MASS_AT_EDGE { count / 4 + 4 } else { 0 });
        let cells = (count + added[0] + added[1]).saturating_mul(nodes);
        if cells > self.most_cells {
            return Err(GridFailure::Cells { cells: cells as f64, most: self.most_cells });
        }
        self.density.grow(added);
        self.resize();
        Ok(())
    }

    /// Takes the densities over, unless they are not acceptable.
    fn accept(&mut self, density: GridDensity) -> Result<(), GridFailure> {
        let (q, r) = density.moments();
        let state = OrderParameters::from_parts(q, DMatrix::from_element(1, 1, r));
        density.check_resolved()?;
        if !self.rule.resolves(&self.limit, state.q(), state.r()) {
            self.rule = self.limit.rule(&state)?;
            self.ruled_at = state.clone();
            self.work.rule_refinements += 1;
        }
        self.density = density;
        self.state = state;
        self.work.accepted_steps += 1;
        Ok(())
    }

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

/// What is kept of a [`GridSolver`]: the masses of the cells, where the coefficients' quadrature rule was chosen, time and counters.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SavedGrid {
    /// Number of the first cell.
    first: i64,
    masses: Vec<f64>,
    ruled_at: OrderParameters,
    time: f64,
    next_size: f64,
    error: f64,
    work: Work,
}

impl<M: Spec<Scalar = f64>> Checkpoint for GridSolver<'_, M> {
    type Saved = SavedGrid;

    fn fingerprint(&self) -> Fingerprint {
        let GridDensity { cells, nodes, .. } = &self.density;
        let settings = format!("{:?} {:?} {}", self.size, self.flux, self.levels.len());
        let work = Fingerprint::of("a grid").and(fingerprint(self.model)).text(&settings).numbers([cells.width]);
        let work = work.numbers(nodes.nodes.iter().copied()).numbers(nodes.weights.iter().copied());
        self.limit.fingerprint(work)
    }

    fn saved(&self) -> SavedGrid {
        SavedGrid {
            first: self.density.cells.first,
            masses: self.density.masses.clone(),
            ruled_at: self.ruled_at.clone(),
            time: self.time,
            next_size: self.next_size,
            error: self.error,
            work: self.work,
        }
    }

    fn restore(&mut self, saved: SavedGrid) -> Result<(), SaveError> {
        let SavedGrid { first, masses, ruled_at, time, next_size, error, work } = saved;
        let nodes = self.density.cells.nodes;
        let fits = !masses.is_empty() && masses.len().is_multiple_of(nodes) && masses.len() <= self.most_cells;
        // Numbers of cells that can be computed with.
        let within = first.unsigned_abs() < 1 << 52;
        if !fits || !within || (ruled_at.n_features(), ruled_at.n_neurons()) != (self.state.n_features(), 1) {
            return Err(SaveError::content("its cells or order parameters are of another number"));
        }
        let unusable = |error: LimitError| SaveError::content(format!("its coefficients fail: {error}"));
        self.rule = self.limit.rule(&ruled_at).map_err(unusable)?;
        self.ruled_at = ruled_at;
        (self.density.cells.first, self.density.cells.count) = (first, masses.len() / nodes);
        self.density.masses = masses;
        let (q, r) = self.density.moments();
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
