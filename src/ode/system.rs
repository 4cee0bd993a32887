//! The right-hand side with a frozen quadrature rule, as a [`System`].
//!
//! Covers evaluation of packed states, and when the rule is chosen anew. Not here: the right-hand side itself (see
//! `reduced`), the stepping (see [`crate::integrate`]).

use nalgebra::DMatrix;

use crate::Scalar;
use crate::integrate::{System, Work, differenced};
use crate::limit::{Compiled, Limit, LimitError, MovingLimit, Parameter, Rule};
use crate::model::ScheduleError;
use crate::numerics::matrix::smallest_eigenvalue;
use crate::ode::{ReducedOde, Sensitivities};
use crate::state::{OrderParameters, OrderParametersError, packed_len, unpack_into};

/// Why a right-hand side failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "T: serde::Serialize", deserialize = "T: serde::Deserialize<'de>"))
)]
#[non_exhaustive]
pub enum RatesError<T: Scalar = f64> {
    /// The coefficients could not be computed.
    #[error(transparent)]
    Limit(#[from] LimitError<T>),
    /// The state is not feasible.
    #[error(transparent)]
    Infeasible(#[from] OrderParametersError),
    /// The schedules do not suit the model, or have no usable value at that time.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
}

/// How negative R − QᵀQ may be to rounding, in ulp of the largest entry of R.
const FEASIBLE_ULPS: f64 = 64.0;

/// The right-hand side with a frozen quadrature rule; made by [`ReducedOde::system`].
#[derive(Debug, Clone)]
pub struct OdeSystem<'o, 'a, T: Scalar = f64> {
    ode: &'o ReducedOde<'a, T>,
    rule: Rule<T>,
    q: DMatrix<T>,
    r: DMatrix<T>,
    rates_q: Vec<T>,
    rates_r: Vec<T>,
    /// The limit in motion, if there are schedules.
    moving: Option<Box<MovingLimit<'a, T>>>,
    nodes: u64,
    refinements: u64,
}

impl<'o, 'a, T: Compiled> OdeSystem<'o, 'a, T> {
    pub(super) fn new(
        ode: &'o ReducedOde<'a, T>,
        state: &OrderParameters<T>,
        moving: Option<MovingLimit<'a, T>>,
    ) -> Result<Self, LimitError<T>> {
        let (p, m) = (ode.limit.n_features(), ode.limit.n_neurons());
        Ok(Self {
            ode,
            rule: moving.as_ref().map_or_else(|| ode.limit.rule(state), |moving| moving.rule(state))?,
            moving: moving.map(Box::new),
            q: DMatrix::zeros(p, m),
            r: DMatrix::zeros(m, m),
            rates_q: vec![T::zero(); p * m],
            rates_r: vec![T::zero(); m * m],
            nodes: 0,
            refinements: 0,
        })
    }

    /// The rule in use.
    #[must_use]
    pub fn rule(&self) -> &Rule<T> {
        &self.rule
    }

    /// The right-hand side at a packed state, and its Jacobian by the packed state, n x n: those of the frozen rule, and under
    /// schedules those of the time at which the rates were asked for last.
    ///
    /// # Errors
    /// [`LimitError::Shape`] if the length does not fit; [`LimitError::NotDifferentiable`] where the rates have no
    /// derivative.
    pub fn jacobian(&mut self, y: &[T]) -> Result<Sensitivities<T>, LimitError<T>> {
        self.differentiate(y, &[])
    }

    /// The right-hand side at the numbers in force, with its derivatives by the state and by those parameters.
    fn differentiate(&mut self, y: &[T], parameters: &[Parameter]) -> Result<Sensitivities<T>, LimitError<T>> {
        self.check_length(y.len())?;
        unpack_into(y, &mut self.q, &mut self.r);
        let state = OrderParameters::from_parts(self.q.clone(), self.r.clone());
        let directions = self.ode.directions(parameters);
        self.nodes += self.rule.nodes();
        match &self.moving {
            None => self.ode.differentiate(&self.ode.limit, &mut self.rule, &state, &directions),
            Some(moving) => {
                let ode = self.ode.moved(moving);
                ode.differentiate(&ode.limit, &mut self.rule, &state, &directions)
            }
        }
    }

    /// The right-hand side at time t and at a packed state, with its derivatives by the state and by those parameters. Those must be
    /// among the ones that the ODE was made for by [`ReducedOde::for_parameters`].
    pub(crate) fn sensitivities_at(
        &mut self,
        t: T,
        y: &[T],
        parameters: &[Parameter],
    ) -> Result<Sensitivities<T>, RatesError<T>> {
        if let Some(moving) = &mut self.moving {
            moving.move_to(t)?;
            self.rule.follow(moving.limit());
        }
        Ok(self.differentiate(y, parameters)?)
    }

    /// The limit at the numbers in force.
    pub(crate) fn limit_in_force(&self) -> &Limit<'a, T> {
        self.moving.as_ref().map_or(&self.ode.limit, |moving| moving.limit())
    }

    /// What follows begins at time t: schedules are those of the interval between jumps that starts there or holds it.
    pub(crate) fn begin_at(&mut self, t: T) -> Result<(), RatesError<T>> {
        if let Some(moving) = &mut self.moving {
            moving.reach(t)?;
        }
        Ok(())
    }

    /// Refuses what is no packed state.
    fn check_length(&self, length: usize) -> Result<(), LimitError<T>> {
        let (features, neurons) = self.q.shape();
        if length == packed_len(features, neurons) {
            return Ok(());
        }
        Err(LimitError::Shape { features, neurons, state_features: length, state_neurons: 1 })
    }

    /// How often the rule was chosen anew.
    pub(crate) fn refinements(&self) -> u64 {
        self.refinements
    }

    /// Whether R ≥ QᵀQ at a packed state, to rounding.
    pub(crate) fn is_feasible(&mut self, y: &[T]) -> bool {
        unpack_into(y, &mut self.q, &mut self.r);
        let state = OrderParameters::from_parts(self.q.clone(), self.r.clone());
        smallest_eigenvalue(&state.background()) >= -T::lit(FEASIBLE_ULPS) * T::EPSILON * self.r.amax()
    }

    /// Whether the rule in use resolves the fields at a packed state.
    pub(crate) fn resolves(&mut self, y: &[T]) -> bool {
        unpack_into(y, &mut self.q, &mut self.r);
        let limit = self.moving.as_ref().map_or(&self.ode.limit, |moving| moving.limit());
        self.rule.resolves(limit, &self.q, &self.r)
    }

    fn evaluate(&mut self, y: &[T], rates: &mut [T]) {
        let (p, m) = self.q.shape();
        let (q, r) = (&y[..p * m], &y[p * m..]);
        let ode = self.ode;
        let (limit, decay) = match &self.moving {
            None => (&ode.limit, ode.decay()),
            Some(moving) => {
                self.rule.follow(moving.limit());
                (moving.limit(), moving.decay() * ode.decay_slope)
            }
        };
        self.nodes += self.rule.evaluate(limit, q, r);
        ode.assemble(&self.rule.moving(), decay, &mut self.rates_q, &mut self.rates_r);
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

    /// The rates at a packed state. At a state that is not feasible they are those of a singular covariance nearby: variances below
    /// zero count as 0, and correlations are cut to ±1, so that the stages of a step may leave the feasible set by its error. Only
    /// [`accepted`](System::accepted) refuses the state. Where they are not finite an adaptive step is rejected.
    fn rates(&mut self, t: T, y: &[T], rates: &mut [T]) -> Result<(), RatesError<T>> {
        self.check_length(y.len())?;
        self.check_length(rates.len())?;
        if let Some(moving) = &mut self.moving {
            moving.move_to(t)?;
        }
        self.evaluate(y, rates);
        Ok(())
    }

    /// Exact, at the cost of a few right-hand sides; by differences where σ' jumps, and at states at which the rates are those of a
    /// singular covariance.
    fn jacobian(&mut self, t: T, y: &[T], jacobian: &mut [T]) -> Result<(), RatesError<T>> {
        if self.is_feasible(y)
            && let Ok(found) = self.sensitivities_at(t, y, &[])
        {
            jacobian.copy_from_slice(found.by_state.as_slice());
            return Ok(());
        }
        differenced(self, t, y, jacobian)
    }

    /// Refuses a state that is not feasible, up to the error of an integrator, and chooses the rule anew where it resolves the fields
    /// no longer; [`LimitError::Shape`] for what is no packed state.
    fn accepted(&mut self, t: T, y: &[T]) -> Result<bool, RatesError<T>> {
        self.check_length(y.len())?;
        unpack_into(y, &mut self.q, &mut self.r);
        let state = OrderParameters::from_parts(self.q.clone(), self.r.clone());
        state.check_reached()?;
        let (resolved, broken) = match &mut self.moving {
            None => (self.rule.resolves(&self.ode.limit, &self.q, &self.r), false),
            Some(moving) => {
                let broken = moving.reach(t)?;
                self.rule.follow(moving.limit());
                (self.rule.resolves(moving.limit(), &self.q, &self.r), broken)
            }
        };
        if resolved {
            return Ok(broken);
        }
        self.rule = match &self.moving {
            None => self.ode.limit.rule(&state)?,
            Some(moving) => moving.rule(&state)?,
        };
        self.refinements += 1;
        Ok(true)
    }

    fn next_break(&self, t: T) -> Option<T> {
        self.moving.as_ref()?.next_break(t)
    }

    fn work(&self) -> Work {
        Work { quadrature_nodes: self.nodes, rule_refinements: self.refinements, ..Work::default() }
    }
}
