//! The right-hand side (theory §5): dQ/dt = A − τγQ, dR/dt = B + Bᵀ + Λ − 2τγR, with or without a constraint.
//!
//! Covers [`ReducedOde`] and how coefficients become rates. Not here: the averages (see [`crate::limit`]), evaluation with
//! a frozen rule (see `system`), derivatives (see `sensitivities`).

use nalgebra::{DMatrix, DVector};

use crate::Scalar;
use crate::limit::{Assembled, Compiled, Limit, LimitError, Moving, MovingLimit, Parameter, Rule};
use crate::model::{Constraint, InForce, LinearRegularizer, ScheduleError, Schedules, Spec, Unscheduled, pull};
use crate::numerics::dual::Number;
use crate::ode::{OdeSystem, RatesError, Solver};
use crate::state::{OrderParameters, pack, packed_len};

/// The reduced ODE of a model: the closed equations of the order parameters as N → ∞ (theory §5).
///
/// It exists for linear regularisers alone, which the compiler checks:
///
/// ```compile_fail
/// use contrastive_dynamics::model::{Independent, L1, Law, Model, NoNoise, Tanh};
/// use contrastive_dynamics::ode::ReducedOde;
/// let hidden = Independent::new([Law::two_point(1.0).unwrap()]).unwrap();
/// let model = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(NoNoise).learning_rate(0.1);
/// let model = model.regularizer(L1).weight_decay(0.1).build().unwrap();
/// let ode = ReducedOde::new(&model); // L1 is not linear.
/// ```
///
/// ```
/// use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
/// use contrastive_dynamics::ode::ReducedOde;
/// use contrastive_dynamics::state::OrderParameters;
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
///
/// From here: where it ends ([`FixedPointFinder`](crate::stability::FixedPointFinder), [`steady_state`](crate::stability::steady_state)), how that moves
/// with a parameter ([`OdeCurve`](crate::stability::OdeCurve)), and how sure it is at finite N ([`Fluctuations`](crate::fluctuation::Fluctuations)).
#[derive(Debug, Clone)]
#[doc(alias = "mean field")]
#[doc(alias = "order parameter flow")]
pub struct ReducedOde<'a, T: Scalar = f64> {
    pub(super) limit: Limit<'a, T>,
    pub(super) weight_decay: T,
    /// The slope of φ.
    pub(super) decay_slope: T,
    pub(super) constraint: Constraint,
    /// As schedules see the model.
    pub(super) unscheduled: Unscheduled<T>,
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
            unscheduled: Unscheduled::of(model),
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

    /// Whether the noise of the views is Gaussian.
    pub(crate) fn has_gaussian_noise(&self) -> bool {
        self.unscheduled.gaussian
    }

    /// Whether the model has momentum, of which the limit keeps no more than a larger learning rate.
    pub(crate) fn has_momentum(&self) -> bool {
        self.unscheduled.rest != T::one()
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
    /// use contrastive_dynamics::ode::ReducedOde;
    /// use contrastive_dynamics::state::OrderParameters;
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
        Ok(Self { limit, weight_decay, ..*self })
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

    /// The right-hand side (dQ/dt, dR/dt), p x m and m x m, at `state`.
    ///
    /// # Errors
    /// As [`Limit::coefficients`]; [`LimitError::ZeroNeuron`] for a neuron without weights under the sphere constraint.
    pub fn rates(&self, state: &OrderParameters<T>) -> Result<Rates<T>, LimitError<T>> {
        self.check_neurons(state)?;
        let coefficients = Assembled::from(&self.limit.coefficients(state)?.coefficients);
        let (p, m) = (state.n_features(), state.n_neurons());
        let (q, r) = (state.q().transpose(), state.r().transpose());
        let (mut rates_q, mut rates_r) = (vec![T::zero(); p * m], vec![T::zero(); m * m]);
        let at = Moving { coefficients: &coefficients, q: q.as_slice(), r: r.as_slice() };
        self.assemble(&at, self.decay(), &mut rates_q, &mut rates_r);
        Ok(Rates { q: DMatrix::from_row_slice(p, m, &rates_q), r: DMatrix::from_row_slice(m, m, &rates_r) })
    }

    /// A right-hand side to be called often: its quadrature rule is chosen at `state`, frozen, and exact to the
    /// tolerance near it. It is a
    /// [`System`](crate::integrate::System) over the packed state (see [`OrderParameters::to_packed`]).
    ///
    /// # Errors
    /// As [`Limit::rule`]; [`LimitError::ZeroNeuron`] for a neuron without weights under the sphere constraint.
    pub fn system(&self, state: &OrderParameters<T>) -> Result<OdeSystem<'_, 'a, T>, LimitError<T>> {
        self.check_neurons(state)?;
        OdeSystem::new(self, state, None)
    }

    /// The same while numbers of the model follow schedules, from t = 0 on. Where these jump or bend it asks for the end of a
    /// step.
    ///
    /// ```
    /// use contrastive_dynamics::integrate::System;
    /// use contrastive_dynamics::prelude::*;
    /// let model = Model::builder()
    ///     .nonlinearity(Tanh)
    ///     .hidden(Independent::new([Law::two_point(2.25)?])?)
    ///     .noise(NoNoise)
    ///     .learning_rate(0.3)
    ///     .build()?;
    /// let ode = ReducedOde::new(&model)?;
    /// let state = OrderParameters::from_rows(1, 1, &[0.4], &[0.8])?;
    /// let schedules = Schedules::new().learning_rate(Schedule::exponential(0.3, 1.0)?);
    /// let mut system = ode.scheduled_system(&state, &schedules)?;
    /// let (mut now, mut later) = ([0.0; 2], [0.0; 2]);
    /// system.rates(0.0, state.to_packed().as_slice(), &mut now)?;
    /// system.rates(1.0, state.to_packed().as_slice(), &mut later)?;
    /// assert!((later[0] / now[0] - (-1.0_f64).exp()).abs() < 1e-12);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`system`](Self::system), and [`RatesError::Schedule`] for schedules that do not suit the model.
    pub fn scheduled_system(
        &self,
        state: &OrderParameters<T>,
        schedules: &Schedules,
    ) -> Result<OdeSystem<'_, 'a, T>, RatesError<T>> {
        self.check_neurons(state)?;
        let moving = self.moving_limit(schedules)?;
        Ok(OdeSystem::new(self, state, moving)?)
    }

    /// The ODE of the numbers in force.
    pub(super) fn moved(&self, moving: &MovingLimit<'a, T>) -> Self {
        Self { limit: moving.limit().clone(), weight_decay: moving.weight_decay(), ..*self }
    }

    /// The limit under those schedules; `None` without any.
    fn moving_limit(&self, schedules: &Schedules) -> Result<Option<MovingLimit<'a, T>>, ScheduleError> {
        let numbers = InForce {
            learning_rate: self.limit.learning_rate() * self.unscheduled.rest,
            weight_decay: self.weight_decay,
            penalty_strength: None,
            feature_noise: self.limit.feature_noise(),
            background_noise: self.limit.background_noise(),
        };
        MovingLimit::of(Unscheduled { numbers, ..self.unscheduled }, schedules, &self.limit)
    }

    /// What is zero cannot be projected back to the sphere.
    pub(crate) fn check_neurons(&self, state: &OrderParameters<T>) -> Result<(), LimitError<T>> {
        let constrained = self.constraint.fixes_norms();
        let zero = (0..state.n_neurons()).find(|&i| constrained && !(state.r()[(i, i)] > T::zero()));
        zero.map_or(Ok(()), |neuron| Err(LimitError::ZeroNeuron { neuron }))
    }

    /// A solver with the defaults of [`Solver`].
    #[must_use]
    pub fn solver(&self) -> Solver<'_, 'a, T> {
        Solver::new(self)
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

    /// The right-hand side from coefficients at their state (theory §5); Q row by row, and R.
    #[inline(always)]
    pub(super) fn assemble<N: Number<T>>(&self, at: &Moving<'_, N>, decay: N, rates_q: &mut [N], rates_r: &mut [N]) {
        let m = self.limit.n_neurons();
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
        self.project((q, r), rates_q, rates_r);
    }

    /// The rates of weights that a constraint holds, from those of free ones.
    #[inline(always)]
    pub(crate) fn project<N: Number<T>>(&self, (q, r): (&[N], &[N]), rates_q: &mut [N], rates_r: &mut [N]) {
        let (p, m) = (self.limit.n_features(), self.limit.n_neurons());
        if self.constraint.fixes_covariance() && m > 1 {
            // Projection back to R = I.
            for l in 0..p {
                for j in 0..m {
                    for i in 0..m {
                        let x = pull(self.constraint, (i, j), |i, j| rates_r[i * m + j]);
                        rates_q[l * m + j] -= q[l * m + i] * x;
                    }
                }
            }
            rates_r.fill(N::zero());
        } else if self.constraint.fixes_norms() {
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

/// Rates of change of the order parameters.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Rates<T: Scalar = f64> {
    /// dQ/dt, p x m.
    pub q: DMatrix<T>,
    /// dR/dt, m x m, symmetric.
    pub r: DMatrix<T>,
}

impl<T: Scalar> Rates<T> {
    /// As a packed state is.
    pub(crate) fn to_packed(&self) -> DVector<T> {
        let mut packed = DVector::zeros(packed_len(self.q.nrows(), self.q.ncols()));
        pack(&self.q, &self.r, packed.as_mut_slice());
        packed
    }
}
