//! The reduced ODE (theory §5): dQ/dt = A − τγQ, dR/dt = B + Bᵀ + Λ − 2τγR, with or without the sphere constraint.
//!
//! In: [`ReducedOde`], its right-hand side and its solver. Out: the averages (see [`crate::limit`]) and the stepping
//! (see [`crate::integrate`]).

use nalgebra::DMatrix;

use crate::Scalar;
use crate::integrate::{
    DormandPrince, Drive, EventFunction, Halt, Integrator, Output, OutputError, StepError, System, drive,
};
use crate::limit::Compiled;
use crate::limit::{Assembled, Direction, Limit, LimitError, Moving, Parameter, Rule};
use crate::model::{Constraint, LinearRegularizer, Spec};
use crate::numerics::dual::{Dual, Number};
use crate::state::{OrderParameters, OrderParametersError, packed_len, unpack, unpack_into};
use crate::state::{StopReason, Trajectory};

/// Why an ODE could not be solved. What was computed before the failure is in the variant.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OdeError<T: Scalar = f64> {
    /// The coefficients could not be computed.
    #[error("the right-hand side failed at t = {}: {source}", .trajectory.last().map_or(f64::NAN, |(t, _)| t.as_f64()))]
    Limit {
        /// Why.
        source: LimitError<T>,
        /// What came before.
        trajectory: Box<Trajectory<T>>,
    },
    /// The output times are unusable.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The rate that counts as steady is out of range.
    #[error("the rate below which a state counts as steady must be at least 0, got {value}")]
    SteadyRate {
        /// The value given.
        value: f64,
    },
    /// The start does not satisfy the constraint.
    #[error("under the sphere constraint every neuron must start with R_ii = 1, got R_{neuron}{neuron} = {value}")]
    OffSphere {
        /// Which neuron.
        neuron: usize,
        /// Its R_ii.
        value: f64,
    },
    /// The step limit was reached.
    #[error("the limit of {steps} steps was reached at t = {time}: allow more with `step_limit`")]
    StepLimit {
        /// The limit.
        steps: u64,
        /// The time reached.
        time: f64,
        /// What came before.
        trajectory: Box<Trajectory<T>>,
    },
    /// No step is small enough to meet the tolerance.
    #[error(
        "no step meets the tolerance at t = {time}: the solution diverges there, or the tolerance is below rounding"
    )]
    StepTooSmall {
        /// The time reached.
        time: f64,
        /// What came before.
        trajectory: Box<Trajectory<T>>,
    },
    /// The state left the feasible set by more than the integration error explains.
    #[error("the state at t = {time} is not feasible ({source}): ask the integrator for a smaller tolerance or step")]
    Infeasible {
        /// The time reached.
        time: f64,
        /// By how much.
        source: OrderParametersError,
        /// What came before, the infeasible state last.
        trajectory: Box<Trajectory<T>>,
    },
}

/// How far R − QᵀQ may fall below zero along a solution, in units of the largest R_ii, before it counts as an error.
const FEASIBILITY: f64 = 1e-6;

/// The reduced ODE of a model: the closed equations of the order parameters as N → ∞ (theory §5).
///
/// It exists for linear regularisers alone, which the compiler checks:
///
/// ```compile_fail
/// use contrastive_dynamics::model::{Independent, L1, Law, Model, NoNoise, Tanh};
/// use contrastive_dynamics::ReducedOde;
/// let hidden = Independent::new([Law::two_point(1.0).unwrap()]).unwrap();
/// let model = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(NoNoise).learning_rate(0.1);
/// let model = model.regularizer(L1).weight_decay(0.1).build().unwrap();
/// let ode = ReducedOde::new(&model); // L1 is not linear.
/// ```
///
/// ```
/// use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
/// use contrastive_dynamics::{OrderParameters, ReducedOde};
/// let model = Model::builder()
///     .nonlinearity(Tanh)
///     .hidden(Independent::new([Law::two_point(2.25)?])?)
///     .noise(GaussianNoise::correlated(0.3, -0.5)?)
///     .learning_rate(0.3)
///     .weight_decay(0.5)
///     .build()?;
/// let ode = ReducedOde::new(&model)?;
/// let start = OrderParameters::from_rows(1, 1, &[0.4], &[0.8])?;
/// let trajectory = ode.solver().solve(&start, 8.0)?;
/// let (_, end) = trajectory.last().ok_or("empty")?;
/// assert!((end.q()[(0, 0)] - 0.924_075_529).abs() < 1e-7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ReducedOde<'a, T: Scalar = f64> {
    limit: Limit<'a, T>,
    weight_decay: T,
    /// The slope of φ.
    decay_slope: T,
    constraint: Constraint,
}

impl<'a, T: Compiled> ReducedOde<'a, T> {
    /// The reduced ODE of that model, with the model's constraint.
    ///
    /// # Errors
    /// As [`Limit::new`].
    pub fn new<M: Spec<Scalar = T, Regularizer: LinearRegularizer<T>>>(model: &'a M) -> Result<Self, LimitError<T>> {
        Ok(Self {
            limit: Limit::new(model)?,
            weight_decay: model.weight_decay(),
            decay_slope: model.regularizer().slope(),
            constraint: model.constraint(),
        })
    }

    /// Replaces the limit coefficients' tolerance: errors below `tolerance` times max(τ, largest entry).
    ///
    /// # Errors
    /// As [`Limit::tolerance`].
    pub fn coefficient_tolerance(mut self, tolerance: T) -> Result<Self, LimitError<T>> {
        self.limit = self.limit.tolerance(tolerance)?;
        Ok(self)
    }

    /// Replaces the limit coefficients' node budget; see [`Limit::node_budget`].
    #[must_use]
    pub fn node_budget(mut self, nodes: usize) -> Self {
        self.limit = self.limit.node_budget(nodes);
        self
    }

    /// The limit coefficients on which it is built.
    #[must_use]
    pub fn limit(&self) -> &Limit<'a, T> {
        &self.limit
    }

    /// τγ times the slope of φ: the rate at which weights decay.
    #[must_use]
    pub fn decay(&self) -> T {
        self.limit.learning_rate() * self.weight_decay * self.decay_slope
    }

    /// The constraint on the weights.
    #[must_use]
    pub fn constraint(&self) -> Constraint {
        self.constraint
    }

    /// The reduced ODE of the same model at another value of one parameter; see [`Limit::with_parameter`].
    ///
    /// ```
    /// use contrastive_dynamics::limit::Parameter;
    /// use contrastive_dynamics::model::{Independent, Law, Model, NoNoise, Tanh};
    /// use contrastive_dynamics::{OrderParameters, ReducedOde};
    /// let model = Model::builder()
    ///     .nonlinearity(Tanh)
    ///     .hidden(Independent::new([Law::two_point(2.25)?])?)
    ///     .noise(NoNoise)
    ///     .learning_rate(0.3)
    ///     .weight_decay(0.5)
    ///     .build()?;
    /// let ode = ReducedOde::new(&model)?;
    /// let state = OrderParameters::from_rows(1, 1, &[0.4], &[0.8])?;
    /// let more = ode.with_parameter(Parameter::WeightDecay, 0.6)?;
    /// let change = more.rates(&state)?.q - ode.rates(&state)?.q;
    /// assert!((change[(0, 0)] + 0.3 * 0.1 * 0.4).abs() < 1e-14);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Limit::with_parameter`].
    pub fn with_parameter(&self, parameter: Parameter, value: T) -> Result<Self, LimitError<T>> {
        let weight_decay = if parameter == Parameter::WeightDecay { value } else { self.weight_decay };
        let limit = self.limit.with_parameter(parameter, value)?;
        Ok(Self { limit, weight_decay, decay_slope: self.decay_slope, constraint: self.constraint })
    }

    /// The value of a parameter, as [`with_parameter`](Self::with_parameter) takes it; `None` if the model does not have
    /// it.
    #[must_use]
    pub fn parameter(&self, parameter: Parameter) -> Option<T> {
        if parameter == Parameter::WeightDecay { Some(self.weight_decay) } else { self.limit.parameter(parameter) }
    }

    /// The same ODE with coefficients of that much smaller a tolerance.
    pub(crate) fn with_finer_coefficients(&self, factor: T) -> Result<Self, LimitError<T>> {
        let limit = self.limit.clone();
        let tolerance = limit.accuracy() * factor;
        Ok(Self { limit: limit.tolerance(tolerance)?, ..*self })
    }

    /// The same ODE with every term that a change of that parameter may bring in.
    pub(crate) fn for_parameter(&self, parameter: Parameter) -> Self {
        Self { limit: self.limit.for_directions(&[Direction::Parameter(parameter)]), ..*self }
    }

    /// The right-hand side (dQ/dt, dR/dt), p x m and m x m, at `state`.
    ///
    /// # Errors
    /// As [`Limit::coefficients`].
    pub fn rates(&self, state: &OrderParameters<T>) -> Result<Rates<T>, LimitError<T>> {
        let coefficients = Assembled::from(&self.limit.coefficients(state)?.coefficients);
        let (p, m) = (state.n_features(), state.n_neurons());
        let (q, r) = (state.q().transpose(), state.r().transpose());
        let (mut rates_q, mut rates_r) = (vec![T::zero(); p * m], vec![T::zero(); m * m]);
        let at = Moving { coefficients: &coefficients, q: q.as_slice(), r: r.as_slice() };
        self.assemble(&at, self.decay(), &mut rates_q, &mut rates_r);
        Ok(Rates { q: DMatrix::from_row_slice(p, m, &rates_q), r: DMatrix::from_row_slice(m, m, &rates_r) })
    }

    /// A right-hand side to be called often: its quadrature rule is chosen at `state`, frozen, and exact to the
    /// tolerance near it. It is a [`System`] over the packed state (see [`OrderParameters::to_packed`]).
    ///
    /// # Errors
    /// As [`Limit::rule`].
    pub fn system(&self, state: &OrderParameters<T>) -> Result<OdeSystem<'_, 'a, T>, LimitError<T>> {
        let (p, m) = (self.limit.n_features(), self.limit.n_neurons());
        Ok(OdeSystem {
            ode: self,
            rule: self.limit.rule(state)?,
            q: DMatrix::zeros(p, m),
            r: DMatrix::zeros(m, m),
            rates_q: vec![T::zero(); p * m],
            rates_r: vec![T::zero(); m * m],
            nodes: 0,
            refinements: 0,
        })
    }

    /// A solver with the Dormand-Prince method, output where it stops, and a limit of 10⁶ steps.
    #[must_use]
    pub fn solver(&self) -> Solver<'_, 'a, T> {
        Solver {
            ode: self,
            integrator: DormandPrince::default(),
            output: Output::Stop,
            steady_rate: None,
            events: Vec::new(),
            most_steps: 1_000_000,
        }
    }

    /// The right-hand side with its derivatives by the state and by parameters of the model, at `state`.
    ///
    /// The derivatives are those of the frozen quadrature rule that meets the tolerance at `state`, exact to rounding;
    /// so they agree with differences of a [`system`](Self::system). With a σ that has a kink they come by parts and
    /// are as accurate as the averages. Under the sphere constraint they are those of the projected flow.
    ///
    /// ```
    /// use contrastive_dynamics::limit::Parameter;
    /// use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
    /// use contrastive_dynamics::{OrderParameters, ReducedOde};
    /// let model = Model::builder()
    ///     .nonlinearity(Tanh)
    ///     .hidden(Independent::new([Law::two_point(2.25)?])?)
    ///     .noise(GaussianNoise::correlated(0.3, -0.5)?)
    ///     .learning_rate(0.3)
    ///     .weight_decay(0.5)
    ///     .build()?;
    /// let state = OrderParameters::from_rows(1, 1, &[0.4], &[0.8])?;
    /// let answer = ReducedOde::new(&model)?.sensitivities(&state, &[Parameter::WeightDecay])?;
    /// // d(dQ/dt)/dγ = −τQ and d(dR/dt)/dγ = −2τR.
    /// assert!((answer.by_parameter[(0, 0)] + 0.3 * 0.4).abs() < 1e-14);
    /// assert!((answer.by_parameter[(1, 0)] + 2.0 * 0.3 * 0.8).abs() < 1e-14);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Limit::coefficients`]; [`LimitError::Parameter`] for a parameter that this model does not have;
    /// [`LimitError::NotDifferentiable`] where the rates have a derivative on one side at most.
    pub fn sensitivities(
        &self,
        state: &OrderParameters<T>,
        parameters: &[Parameter],
    ) -> Result<Sensitivities<T>, LimitError<T>> {
        let directions = self.directions(parameters);
        let limit = self.limit.for_directions(&directions);
        let mut rule = limit.rule(state)?;
        self.differentiate(&limit, &mut rule, state, &directions)
    }

    /// The packed rates by a rule.
    pub(crate) fn packed_rates(&self, rule: &mut Rule<T>, state: &OrderParameters<T>) -> Vec<T> {
        let (p, m) = (self.limit.n_features(), self.limit.n_neurons());
        let packed = state.to_packed();
        rule.evaluate(&self.limit, &packed.as_slice()[..p * m], &packed.as_slice()[p * m..]);
        let (mut q, mut r) = (vec![T::zero(); p * m], vec![T::zero(); m * m]);
        self.assemble(&rule.moving(), self.decay(), &mut q, &mut r);
        q.extend((0..m).flat_map(|i| (i..m).map(move |j| i * m + j)).map(|at| r[at]));
        q
    }

    /// Every entry of the packed state, then the parameters.
    pub(crate) fn directions(&self, parameters: &[Parameter]) -> Vec<Direction> {
        let (p, m) = (self.limit.n_features(), self.limit.n_neurons());
        Direction::of_state(p, m).chain(parameters.iter().map(|&parameter| Direction::Parameter(parameter))).collect()
    }

    pub(crate) fn differentiate(
        &self,
        limit: &Limit<'_, T>,
        rule: &mut Rule<T>,
        state: &OrderParameters<T>,
        directions: &[Direction],
    ) -> Result<Sensitivities<T>, LimitError<T>> {
        let (p, m) = (limit.n_features(), limit.n_neurons());
        let entries = packed_len(p, m);
        let mut out = Sensitivities {
            rates: Rates { q: DMatrix::zeros(p, m), r: DMatrix::zeros(m, m) },
            by_state: DMatrix::zeros(entries, entries),
            by_parameter: DMatrix::zeros(entries, directions.len() - entries),
        };
        let varied: Vec<Option<Parameter>> = directions
            .iter()
            .map(|direction| if let Direction::Parameter(parameter) = direction { Some(*parameter) } else { None })
            .collect();
        rule.differentiate(limit, state, directions, &mut |first, moving| {
            let mut decay = Dual::constant(self.decay());
            for (slope, parameter) in decay.slopes.0.iter_mut().zip(&varied[first..]) {
                *slope = match parameter {
                    Some(Parameter::LearningRate) => self.decay_slope * self.weight_decay,
                    Some(Parameter::WeightDecay) => self.decay_slope * limit.learning_rate(),
                    _ => T::zero(),
                };
            }
            let (mut q, mut r) = (vec![Dual::zero(); p * m], vec![Dual::zero(); m * m]);
            self.assemble(&moving, decay, &mut q, &mut r);
            let triangle = (0..m).flat_map(|i| (i..m).map(move |j| i * m + j));
            for (row, rate) in q.iter().copied().chain(triangle.map(|at| r[at])).enumerate() {
                for (k, &slope) in rate.slopes.0.iter().enumerate().take(directions.len() - first) {
                    let column = first + k;
                    if column < entries {
                        out.by_state[(row, column)] = slope;
                    } else {
                        out.by_parameter[(row, column - entries)] = slope;
                    }
                }
            }
            (0..p * m).for_each(|at| out.rates.q[(at / m, at % m)] = q[at].value);
            (0..m * m).for_each(|at| out.rates.r[(at / m, at % m)] = r[at].value);
        })?;
        Ok(out)
    }

    /// The right-hand side from coefficients at their state (theory §5); Q row by row, and R.
    fn assemble<N: Number<T>>(&self, at: &Moving<'_, N>, decay: N, rates_q: &mut [N], rates_r: &mut [N]) {
        let (p, m) = (self.limit.n_features(), self.limit.n_neurons());
        let Moving { coefficients: Assembled { a, b, lambda, .. }, q, r } = at;
        for (at, rate) in rates_q.iter_mut().enumerate() {
            *rate = a[at] - decay * q[at];
        }
        for i in 0..m {
            for j in 0..m {
                rates_r[i * m + j] =
                    b[i * m + j] + b[j * m + i] + lambda[i * m + j] - (decay * r[i * m + j]).times(T::lit(2.0));
            }
        }
        if self.constraint == Constraint::Sphere {
            // Projection back to the sphere: ν_i = −(dR_ii/dt)/(2 R_ii). Entry (i, i) is read before it is written.
            for i in 0..m {
                let pull = -(rates_r[i * m + i] / r[i * m + i].times(T::lit(2.0)));
                for l in 0..p {
                    rates_q[l * m + i] += pull * q[l * m + i];
                }
                for j in (0..m).filter(|&j| j != i) {
                    rates_r[i * m + j] += pull * r[i * m + j];
                    rates_r[j * m + i] += pull * r[j * m + i];
                }
            }
            for i in 0..m {
                rates_r[i * m + i] = N::zero();
            }
        }
    }
}

/// The right-hand side with its derivatives; made by [`ReducedOde::sensitivities`].
#[derive(Debug, Clone, PartialEq)]
pub struct Sensitivities<T: Scalar = f64> {
    /// The right-hand side itself.
    pub rates: Rates<T>,
    /// The Jacobian, n x n with n = pm + m(m + 1)/2: rows are entries of the packed rates, columns of the packed state (see
    /// [`OrderParameters::to_packed`]). A column of R_ij, i < j, moves R_ji with it.
    pub by_state: DMatrix<T>,
    /// Derivatives by the parameters, n x k, in the order in which they were asked for.
    pub by_parameter: DMatrix<T>,
}

/// Rates of change of the order parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Rates<T: Scalar = f64> {
    /// dQ/dt, p x m.
    pub q: DMatrix<T>,
    /// dR/dt, m x m, symmetric.
    pub r: DMatrix<T>,
}

/// Why a right-hand side failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RatesError<T: Scalar = f64> {
    /// The coefficients could not be computed.
    #[error(transparent)]
    Limit(#[from] LimitError<T>),
    /// The state is not feasible.
    #[error(transparent)]
    Infeasible(#[from] OrderParametersError),
}

/// The right-hand side with a frozen quadrature rule; made by [`ReducedOde::system`].
#[derive(Debug, Clone)]
pub struct OdeSystem<'o, 'a, T: Scalar = f64> {
    ode: &'o ReducedOde<'a, T>,
    rule: Rule<T>,
    q: DMatrix<T>,
    r: DMatrix<T>,
    rates_q: Vec<T>,
    rates_r: Vec<T>,
    nodes: u64,
    refinements: u64,
}

impl<T: Compiled> OdeSystem<'_, '_, T> {
    /// The rule in use.
    #[must_use]
    pub fn rule(&self) -> &Rule<T> {
        &self.rule
    }

    /// The right-hand side at a packed state, and its Jacobian by the packed state, n x n: those of the frozen rule.
    ///
    /// # Errors
    /// [`LimitError::Shape`] if the length does not fit; [`LimitError::NotDifferentiable`] where the rates have no
    /// derivative.
    pub fn jacobian(&mut self, y: &[T]) -> Result<Sensitivities<T>, LimitError<T>> {
        let limit = &self.ode.limit;
        let (p, m) = self.q.shape();
        if y.len() != packed_len(p, m) {
            return Err(LimitError::Shape { features: p, neurons: m, state_features: y.len(), state_neurons: 1 });
        }
        unpack_into(y, &mut self.q, &mut self.r);
        let state = OrderParameters::from_parts(self.q.clone(), self.r.clone());
        let directions = self.ode.directions(&[]);
        self.nodes += self.rule.nodes();
        self.ode.differentiate(limit, &mut self.rule, &state, &directions)
    }

    /// How often the rule was chosen anew.
    pub(crate) fn refinements(&self) -> u64 {
        self.refinements
    }

    /// Whether R ≥ QᵀQ at a packed state, to rounding.
    pub(crate) fn is_feasible(&mut self, y: &[T]) -> bool {
        unpack_into(y, &mut self.q, &mut self.r);
        let state = OrderParameters::from_parts(self.q.clone(), self.r.clone());
        state.check_feasible(T::lit(64.0) * T::EPSILON * self.r.amax()).is_ok()
    }

    /// Whether the rule in use resolves the fields at a packed state.
    pub(crate) fn resolves(&mut self, y: &[T]) -> bool {
        unpack_into(y, &mut self.q, &mut self.r);
        self.rule.resolves(&self.ode.limit, &self.q, &self.r)
    }

    fn evaluate(&mut self, y: &[T], rates: &mut [T]) {
        let (p, m) = self.q.shape();
        let (q, r) = (&y[..p * m], &y[p * m..]);
        self.nodes += self.rule.evaluate(&self.ode.limit, q, r);
        let (ode, at) = (self.ode, self.rule.moving());
        ode.assemble(&at, ode.decay(), &mut self.rates_q, &mut self.rates_r);
        rates[..p * m].copy_from_slice(&self.rates_q);
        let triangle = (0..m).flat_map(|i| (i..m).map(move |j| i * m + j));
        for (rate, at) in rates[p * m..].iter_mut().zip(triangle) {
            *rate = self.rates_r[at];
        }
    }
}

impl<T: Compiled> System<T> for OdeSystem<'_, '_, T> {
    type Error = RatesError<T>;

    fn dimension(&self) -> usize {
        packed_len(self.q.nrows(), self.q.ncols())
    }

    fn rates(&mut self, _t: T, y: &[T], rates: &mut [T]) -> Result<(), RatesError<T>> {
        self.evaluate(y, rates);
        // Rates that are not finite make an adaptive step be rejected, and a fixed one infeasible.
        Ok(())
    }

    fn accepted(&mut self, _t: T, y: &[T]) -> Result<bool, RatesError<T>> {
        unpack_into(y, &mut self.q, &mut self.r);
        let state = OrderParameters::from_parts(self.q.clone(), self.r.clone());
        let scale = (0..self.r.nrows()).fold(T::EPSILON, |s, i| s.max(self.r[(i, i)].abs()));
        state.check_feasible(T::lit(FEASIBILITY).max(T::lit(1e3) * T::EPSILON) * scale)?;
        if self.rule.resolves(&self.ode.limit, &self.q, &self.r) {
            return Ok(false);
        }
        self.rule = self.ode.limit.rule(&state)?;
        self.refinements += 1;
        Ok(true)
    }
}

/// Solves a [`ReducedOde`]; made by [`ReducedOde::solver`].
///
/// | setter | meaning | default |
/// |---|---|---|
/// | [`integrator`](Self::integrator) | the method | [`DormandPrince::default`] |
/// | [`output`](Self::output) | when to record | [`Output::Stop`] |
/// | [`steady_rate`](Self::steady_rate) | stop when nothing moves faster | never |
/// | [`event`](Self::event) | stop when a function crosses zero | none |
/// | [`step_limit`](Self::step_limit) | most steps | 10⁶ |
pub struct Solver<'o, 'a, T: Scalar = f64, I = DormandPrince<T>> {
    ode: &'o ReducedOde<'a, T>,
    integrator: I,
    output: Output<T>,
    steady_rate: Option<T>,
    events: Vec<Box<dyn Fn(T, &OrderParameters<T>) -> T + 'o>>,
    most_steps: u64,
}

impl<T: Compiled, I: std::fmt::Debug> std::fmt::Debug for Solver<'_, '_, T, I> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Solver")
            .field("ode", &self.ode)
            .field("integrator", &self.integrator)
            .field("output", &self.output)
            .field("steady_rate", &self.steady_rate)
            .field("events", &self.events.len())
            .field("step_limit", &self.most_steps)
            .finish()
    }
}

impl<'o, 'a, T: Compiled, I: Integrator<T>> Solver<'o, 'a, T, I> {
    /// Steps with that method.
    #[must_use]
    pub fn integrator<J: Integrator<T>>(self, integrator: J) -> Solver<'o, 'a, T, J> {
        let Self { ode, output, steady_rate, events, most_steps, .. } = self;
        Solver { ode, integrator, output, steady_rate, events, most_steps }
    }

    /// Records at those times.
    #[must_use]
    pub fn output(mut self, output: Output<T>) -> Self {
        self.output = output;
        self
    }

    /// Stops where every |dQ_li/dt| and |dR_ij/dt| is at most `rate`.
    #[must_use]
    pub fn steady_rate(mut self, rate: T) -> Self {
        self.steady_rate = Some(rate);
        self
    }

    /// Stops where `function` of time and state crosses zero, in either direction. Several events are counted from 0
    /// in the order of these calls.
    #[must_use]
    pub fn event(mut self, function: impl Fn(T, &OrderParameters<T>) -> T + 'o) -> Self {
        self.events.push(Box::new(function));
        self
    }

    /// Takes at most that many steps.
    #[must_use]
    pub fn step_limit(mut self, steps: u64) -> Self {
        self.most_steps = steps;
        self
    }

    /// Solves from `start` at t = 0 to t = `end`, or to the first event or steady state.
    ///
    /// # Errors
    /// See [`OdeError`]; every error after the start carries the trajectory so far.
    pub fn solve(&self, start: &OrderParameters<T>, end: T) -> Result<Trajectory<T>, OdeError<T>> {
        let schedule = self.output.schedule(T::zero(), end)?;
        if let Some(rate) = self.steady_rate
            && !(rate >= T::zero())
        {
            return Err(OdeError::SteadyRate { value: rate.as_f64() });
        }
        self.check_constraint(start)?;
        let (p, m) = (start.n_features(), start.n_neurons());
        let mut trajectory = Trajectory::new();
        let mut system = match self.ode.system(start) {
            Ok(system) => system,
            Err(source) => {
                trajectory.push(T::zero(), start.clone());
                trajectory.stop = StopReason::Failure { time: T::zero() };
                return Err(OdeError::Limit { source, trajectory: Box::new(trajectory) });
            }
        };
        let state = move |y: &[T]| {
            let (q, r) = unpack(p, m, y);
            OrderParameters::from_parts(q, r)
        };
        let events: Vec<Box<EventFunction<'_, T>>> = self
            .events
            .iter()
            .map(|event| Box::new(move |t: T, y: &[T]| event(t, &state(y))) as Box<EventFunction<'_, T>>)
            .collect();
        let plan = Drive { end, schedule, steady_rate: self.steady_rate, events: &events, most_steps: self.most_steps };
        let packed = start.to_packed().as_slice().to_vec();
        let (halt, time, step) = drive(&mut system, &self.integrator, (T::zero(), packed), &plan, |t, y| {
            trajectory.push(t, state(y));
        });
        trajectory.work = step.work;
        trajectory.work.quadrature_nodes = system.nodes;
        trajectory.work.rule_refinements = system.refinements;
        self.conclude(halt, time, trajectory)
    }

    fn check_constraint(&self, start: &OrderParameters<T>) -> Result<(), OdeError<T>> {
        if self.ode.constraint == Constraint::Sphere {
            for neuron in 0..start.n_neurons() {
                let value = start.r()[(neuron, neuron)];
                if !((value - T::one()).abs() <= T::lit(1e4) * T::EPSILON) {
                    return Err(OdeError::OffSphere { neuron, value: value.as_f64() });
                }
            }
        }
        Ok(())
    }

    fn conclude(
        &self,
        halt: Halt<T, RatesError<T>>,
        time: T,
        mut trajectory: Trajectory<T>,
    ) -> Result<Trajectory<T>, OdeError<T>> {
        trajectory.stop = match halt {
            Halt::EndTime => StopReason::EndTime,
            Halt::SteadyState { rate } => StopReason::SteadyState { time, rate },
            Halt::Event { index } => StopReason::Event { index, time },
            Halt::StepLimit | Halt::Failed(_) => StopReason::Failure { time },
        };
        let failed = Box::new(trajectory);
        let time = time.as_f64();
        match halt {
            Halt::StepLimit => Err(OdeError::StepLimit { steps: self.most_steps, time, trajectory: failed }),
            Halt::Failed(StepError::StepTooSmall) => Err(OdeError::StepTooSmall { time, trajectory: failed }),
            Halt::Failed(StepError::System(RatesError::Limit(source))) => {
                Err(OdeError::Limit { source, trajectory: failed })
            }
            Halt::Failed(StepError::System(RatesError::Infeasible(source))) => {
                Err(OdeError::Infeasible { time, source, trajectory: failed })
            }
            _ => Ok(*failed),
        }
    }
}
