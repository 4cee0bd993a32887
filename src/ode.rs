//! The reduced ODE (theory §5): dQ/dt = A − τγQ, dR/dt = B + Bᵀ + Λ − 2τγR, with or without the sphere constraint.
//!
//! In: [`ReducedOde`], its right-hand side and its solver. Out: the averages (see [`crate::limit`]) and the stepping
//! (see [`crate::integrate`]).

use nalgebra::DMatrix;

use crate::Scalar;
use crate::integrate::{
    DormandPrince, Drive, EventFunction, Halt, Integrator, Output, OutputError, StepError, System, drive,
};
use crate::limit::{Coefficients, Limit, LimitError, Rule};
use crate::model::{
    AugmentationNoise, Constraint, HiddenDistribution, LinearRegularizer, Model, Nonlinearity, Penalty,
};
use crate::order_parameters::{OrderParameters, OrderParametersError, pack, packed_len, unpack, unpack_into};
use crate::trajectory::{StopReason, Trajectory};

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
#[derive(Debug)]
pub struct ReducedOde<'a, T: Scalar = f64> {
    limit: Limit<'a, T>,
    /// τγ times the slope of φ.
    decay: T,
    constraint: Constraint,
}

impl<'a, T: Scalar> ReducedOde<'a, T> {
    /// The reduced ODE of that model, with the model's constraint.
    ///
    /// # Errors
    /// As [`Limit::new`].
    pub fn new<S, H, A, G, P>(model: &'a Model<T, S, H, A, G, P>) -> Result<Self, LimitError<T>>
    where
        S: Nonlinearity<T>,
        H: HiddenDistribution<T>,
        A: AugmentationNoise<T>,
        G: LinearRegularizer<T>,
        P: Penalty<T>,
    {
        let decay = model.learning_rate() * model.weight_decay() * model.regularizer().slope();
        Ok(Self { limit: Limit::new(model)?, decay, constraint: model.constraint() })
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
        self.decay
    }

    /// The constraint on the weights.
    #[must_use]
    pub fn constraint(&self) -> Constraint {
        self.constraint
    }

    /// The right-hand side (dQ/dt, dR/dt), p x m and m x m, at `state`.
    ///
    /// # Errors
    /// As [`Limit::coefficients`].
    pub fn rates(&self, state: &OrderParameters<T>) -> Result<Rates<T>, LimitError<T>> {
        let estimated = self.limit.coefficients(state)?;
        let mut rates = Rates { q: state.q().clone(), r: state.r().clone() };
        self.assemble(&estimated.coefficients, state.q(), state.r(), &mut rates);
        Ok(rates)
    }

    /// A right-hand side to be called often: its quadrature rule is chosen at `state`, frozen, and exact to the
    /// tolerance near it. It is a [`System`] over the packed state (see [`OrderParameters::to_packed`]).
    ///
    /// # Errors
    /// As [`Limit::rule`].
    pub fn system(&self, state: &OrderParameters<T>) -> Result<OdeSystem<'_, 'a, T>, LimitError<T>> {
        let (p, m) = (self.limit.features(), self.limit.neurons());
        Ok(OdeSystem {
            ode: self,
            rule: self.limit.rule(state)?,
            coefficients: Coefficients::zeros(p, m),
            q: DMatrix::zeros(p, m),
            r: DMatrix::zeros(m, m),
            rates: Rates { q: DMatrix::zeros(p, m), r: DMatrix::zeros(m, m) },
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

    fn assemble(&self, coefficients: &Coefficients<T>, q: &DMatrix<T>, r: &DMatrix<T>, rates: &mut Rates<T>) {
        let (p, m) = q.shape();
        let two = T::lit(2.0);
        for j in 0..m {
            for l in 0..p {
                rates.q[(l, j)] = coefficients.a[(l, j)] - self.decay * q[(l, j)];
            }
            for i in 0..m {
                rates.r[(i, j)] = coefficients.b[(i, j)] + coefficients.b[(j, i)] + coefficients.lambda[(i, j)]
                    - two * self.decay * r[(i, j)];
            }
        }
        if self.constraint == Constraint::Sphere {
            // Projection back to the sphere: ν_i = −(dR_ii/dt)/(2 R_ii).
            let pull = |i: usize, rates: &Rates<T>| -rates.r[(i, i)] / (two * r[(i, i)]);
            let pulls: Vec<T> = (0..m).map(|i| pull(i, rates)).collect();
            for j in 0..m {
                for l in 0..p {
                    rates.q[(l, j)] += pulls[j] * q[(l, j)];
                }
                for i in 0..m {
                    rates.r[(i, j)] += (pulls[i] + pulls[j]) * r[(i, j)];
                }
                rates.r[(j, j)] = T::zero();
            }
        }
    }
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
#[derive(Debug)]
pub struct OdeSystem<'o, 'a, T: Scalar = f64> {
    ode: &'o ReducedOde<'a, T>,
    rule: Rule<T>,
    coefficients: Coefficients<T>,
    q: DMatrix<T>,
    r: DMatrix<T>,
    rates: Rates<T>,
    nodes: u64,
    refinements: u64,
}

impl<T: Scalar> OdeSystem<'_, '_, T> {
    /// The rule in use.
    #[must_use]
    pub fn rule(&self) -> &Rule<T> {
        &self.rule
    }
}

impl<T: Scalar> System<T> for OdeSystem<'_, '_, T> {
    type Error = RatesError<T>;

    fn dimension(&self) -> usize {
        packed_len(self.q.nrows(), self.q.ncols())
    }

    fn rates(&mut self, _t: T, y: &[T], rates: &mut [T]) -> Result<(), RatesError<T>> {
        unpack_into(y, &mut self.q, &mut self.r);
        self.nodes += self.rule.apply_to(&self.ode.limit, &self.q, &self.r, &mut self.coefficients);
        self.ode.assemble(&self.coefficients, &self.q, &self.r, &mut self.rates);
        pack(&self.rates.q, &self.rates.r, rates);
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

impl<T: Scalar, I: std::fmt::Debug> std::fmt::Debug for Solver<'_, '_, T, I> {
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

impl<'o, 'a, T: Scalar, I: Integrator<T>> Solver<'o, 'a, T, I> {
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
        let (p, m) = (start.features(), start.neurons());
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
            for neuron in 0..start.neurons() {
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
