//! Gradients by the discrete adjoint.

use nalgebra::{DMatrix, DVector};

use crate::Scalar;
use crate::control::error::{not_finite, rates_failed};
use crate::control::follow::{Course, Solved, follow, stage, state_of};
use crate::control::gradient::{Gradient, Sample};
use crate::control::{ControlError, Functional, Objective};
use crate::integrate::{DormandPrince, STAGES};
use crate::limit::{Compiled, LimitError, Parameter};
use crate::model::{Quantity, Schedules};
use crate::ode::{OdeSystem, ReducedOde, STEP_LIMIT, Sensitivities};
use crate::state::{Direction, OrderParameters};

/// Gradients of an [`Objective`] of solutions of the reduced ODE, by one solution forwards and one backwards (theory §14).
///
/// | setter | meaning | default |
/// |---|---|---|
/// | [`parameters`](Self::parameters) | by which parameters of the model | none |
/// | [`quantities`](Self::quantities) | by which numbers over time | none |
/// | [`schedules`](Self::schedules) | the schedules that the model follows | none |
/// | [`integrator`](Self::integrator) | tolerances and largest step | [`DormandPrince`]'s own |
/// | [`step_limit`](Self::step_limit) | most steps | 10⁶ |
///
/// ```
/// use contrastive_dynamics::control::{Adjoint, CosineSimilarity, Objective};
/// use contrastive_dynamics::model::Quantity;
/// use contrastive_dynamics::prelude::*;
/// let model = Model::builder()
///     .nonlinearity(Tanh)
///     .hidden(Independent::new([Law::two_point(2.25)?])?)
///     .noise(GaussianNoise::correlated(0.3, -0.5)?)
///     .learning_rate(0.3)
///     .weight_decay(0.5)
///     .build()?;
/// let ode = ReducedOde::new(&model)?;
/// let start = OrderParameters::from_rows(1, 1, &[0.4], &[0.8])?;
/// let similarity = Objective::new().at_end(CosineSimilarity { feature: 0, neuron: 0 });
/// let adjoint = Adjoint::new(&ode).parameters([Parameter::LearningRate]).quantities([Quantity::LearningRate]);
/// let gradient = adjoint.gradient(&similarity, &start, 4.0)?;
/// // A constant change at all times is a change of the parameter.
/// let (once, always) = (gradient.by_parameter(Parameter::LearningRate), gradient.along(Quantity::LearningRate, |_| 1.0));
/// assert!((once.ok_or("asked for")? - always.ok_or("asked for")?).abs() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Adjoint<'o, 'a, T: Scalar = f64> {
    ode: &'o ReducedOde<'a, T>,
    parameters: Vec<Parameter>,
    quantities: Vec<Quantity>,
    schedules: Schedules,
    course: Course<T>,
}

impl<'o, 'a, T: Compiled> Adjoint<'o, 'a, T> {
    /// Of solutions of that ODE.
    #[must_use]
    pub fn new(ode: &'o ReducedOde<'a, T>) -> Self {
        let course = Course { integrator: DormandPrince::default(), step_limit: STEP_LIMIT };
        Self { ode, parameters: Vec::new(), quantities: Vec::new(), schedules: Schedules::new(), course }
    }

    /// Also by those parameters of the model.
    #[must_use]
    pub fn parameters(mut self, parameters: impl IntoIterator<Item = Parameter>) -> Self {
        self.parameters = parameters.into_iter().collect();
        self
    }

    /// Also by those numbers of the model as functions of time, whether they follow schedules or not.
    #[must_use]
    pub fn quantities(mut self, quantities: impl IntoIterator<Item = Quantity>) -> Self {
        self.quantities = quantities.into_iter().collect();
        self
    }

    /// Lets numbers of the model follow those schedules.
    #[must_use]
    pub fn schedules(mut self, schedules: &Schedules) -> Self {
        self.schedules = schedules.clone();
        self
    }

    /// Steps as that method does.
    #[must_use]
    pub fn integrator(mut self, integrator: DormandPrince<T>) -> Self {
        self.course.integrator = integrator;
        self
    }

    /// Takes at most that many steps.
    #[must_use]
    pub fn step_limit(mut self, steps: u64) -> Self {
        self.course.step_limit = steps;
        self
    }

    pub(super) fn ode(&self) -> &'o ReducedOde<'a, T> {
        self.ode
    }

    /// The objective alone.
    pub(super) fn value(
        &self,
        objective: &Objective<'_, T>,
        start: &OrderParameters<T>,
        end: T,
    ) -> Result<T, ControlError<T>> {
        Ok(follow(self.ode, (&self.course, &self.schedules), objective, (start, end))?.value)
    }

    /// The objective with its derivatives, of the solution from `start` at t = 0 to t = `end` or to the event of the objective.
    ///
    /// # Errors
    /// [`ControlError::Horizon`], [`ControlError::NoObjective`], [`ControlError::Start`], [`ControlError::Schedule`];
    /// [`ControlError::Functional`] and [`ControlError::Derivatives`] for a function that is not finite or not differentiated as the state
    /// is; [`ControlError::NoEvent`] and [`ControlError::Touched`]; [`ControlError::NotFinite`]; [`ControlError::Solution`] where the
    /// solution fails, with what came before; [`ControlError::Limit`] for a parameter that the model does not have, and
    /// [`ControlError::Rates`] where the rates are not differentiable.
    pub fn gradient(
        &self,
        objective: &Objective<'_, T>,
        start: &OrderParameters<T>,
        end: T,
    ) -> Result<Gradient<T>, ControlError<T>> {
        let wanted: Vec<(Parameter, T)> = self
            .parameters
            .iter()
            .map(|&parameter| (parameter, T::one()))
            .chain(self.quantities.iter().map(|&quantity| self.ode.direction_of(quantity)))
            .collect();
        let parameters: Vec<Parameter> = wanted.iter().map(|&(parameter, _)| parameter).collect();
        for &parameter in &parameters {
            self.ode.parameter(parameter).ok_or(LimitError::Parameter { parameter })?;
        }
        let ode = self.ode.for_parameters(&parameters);
        let solved = follow(&ode, (&self.course, &self.schedules), objective, (start, end))?;
        let shape = (start.n_features(), start.n_neurons());
        let mut back = Back { objective, shape, parameters: &parameters, jacobians: 0 };
        let (mut adjoint, at_end) = back.end(&solved)?;
        let weights: Vec<T> = wanted.iter().map(|&(_, weight)| weight).collect();
        let weighted = |slopes: DVector<T>| -> Vec<T> { slopes.iter().zip(&weights).map(|(&x, &w)| x * w).collect() };
        let mut totals = vec![T::zero(); parameters.len()];
        let given = self.parameters.len();
        let (mut samples, mut densities) = (Vec::new(), vec![(solved.end().0, weighted(at_end).split_off(given))]);
        // The first of them is in use from the first point on.
        let mut which = solved.systems.len() - 1;
        let mut system = solved.systems[which].1.clone();
        for k in (0..solved.points.len() - 1).rev() {
            while solved.systems[which].0 > k {
                which -= 1;
                system.clone_from(&solved.systems[which].1);
            }
            let step = back.step(&mut system, [&solved.points[k], &solved.points[k + 1]], &adjoint)?;
            adjoint = step.adjoint;
            let begin = solved.points[k].0;
            for (time, slopes) in step.slopes.into_iter().rev() {
                let mut slopes = weighted(slopes);
                totals.iter_mut().zip(&slopes).for_each(|(total, &x)| *total += x);
                let time = self.schedules.within(begin, time);
                samples.push(Sample { time, slopes: slopes.split_off(given) });
            }
            if !adjoint.iter().chain(&totals).all(nalgebra::ComplexField::is_finite) {
                return Err(ControlError::NotFinite { time: begin.as_f64() });
            }
            densities.push((begin, weighted(step.first.tr_mul(&adjoint)).split_off(given)));
        }
        samples.reverse();
        densities.reverse();
        totals.truncate(given);
        Ok(Gradient {
            value: solved.value,
            by_start: adjoint,
            parameters: self.parameters.clone(),
            by_parameter: totals,
            quantities: self.quantities.clone(),
            samples,
            densities,
            trajectory: solved.trajectory,
            jacobians: back.jacobians,
        })
    }
}

impl<T: Scalar> Solved<'_, '_, T> {
    fn end(&self) -> &(T, Vec<T>) {
        &self.points[self.points.len() - 1]
    }
}

/// The way back.
struct Back<'b, 'f, T: Scalar> {
    objective: &'b Objective<'f, T>,
    shape: (usize, usize),
    parameters: &'b [Parameter],
    jacobians: u64,
}

/// A step back.
struct StepBack<T> {
    /// ξ at its begin.
    adjoint: DVector<T>,
    /// For each stage its time, and for each parameter what a change there changes.
    slopes: Vec<(T, DVector<T>)>,
    /// ∂f/∂θ at its begin.
    first: DMatrix<T>,
}

impl<T: Compiled> Back<'_, '_, T> {
    /// The rates with their derivatives.
    fn rates(&mut self, system: &mut OdeSystem<'_, '_, T>, t: T, y: &[T]) -> Result<Sensitivities<T>, ControlError<T>> {
        self.jacobians += 1;
        system.sensitivities_at(t, y, self.parameters).map_err(|error| rates_failed(t, error))
    }

    /// The gradient of a function at a state.
    fn gradient(
        &self,
        what: &'static str,
        function: &dyn Functional<T>,
        (t, y): (T, &[T]),
    ) -> Result<DVector<T>, ControlError<T>> {
        let gradient = function.gradient(t, &state_of(self.shape, y));
        if gradient.len() != y.len() {
            return Err(ControlError::Derivatives { what, length: gradient.len(), expected: y.len() });
        }
        let finite = gradient.iter().all(nalgebra::ComplexField::is_finite);
        if finite { Ok(gradient) } else { Err(not_finite(what, t)) }
    }

    /// ξ at the end, and what a change of each parameter there changes.
    fn end(&mut self, solved: &Solved<'_, '_, T>) -> Result<(DVector<T>, DVector<T>), ControlError<T>> {
        let (t, y) = solved.end();
        let n = solved.trajectory.last().map_or(y.len(), |(_, state)| state.packed_len());
        let (t, y) = (*t, &y[..n]);
        let mut system = solved.systems[solved.systems.len() - 1].1.clone();
        // The end of the last step is before what jumps there.
        let before = solved.points.len().checked_sub(2).map_or(t, |last| solved.points[last].0);
        system.begin_at(before).map_err(|error| rates_failed(before, error))?;
        let rates = self.rates(&mut system, t, y)?;
        let mut adjoint = match &self.objective.at_end {
            Some(function) => self.gradient(AT_END, &**function, (t, y))?,
            None => DVector::zeros(n),
        };
        // What holds at the start already holds there whatever moves.
        if let Some((direction, event)) = self.objective.event.as_ref().filter(|_| solved.points.len() > 1) {
            let flow = rates.rates.to_packed();
            let state = state_of(self.shape, y);
            let by_time = |function: &dyn Functional<T>| function.time_derivative(t, &state);
            let normal = self.gradient(EVENT, &**event, (t, y))?;
            let growth = self.objective.at_end.as_deref().map_or(T::zero(), by_time)
                + adjoint.dot(&flow)
                + self.objective.running(t, &state);
            let own = by_time(&**event);
            let crossing = own + normal.dot(&flow);
            if !(growth.is_finite() && own.is_finite()) {
                return Err(not_finite("derivative by time", t));
            }
            let size = own.abs() + normal.iter().zip(&flow).map(|(&g, &f)| (g * f).abs()).sum::<T>();
            let way = match direction {
                Direction::Rising | Direction::AtOrAbove => crossing,
                Direction::Falling | Direction::AtOrBelow => -crossing,
                Direction::Either => crossing.abs(),
            };
            // What is only touched has no time that moves.
            if !(way > T::EPSILON.sqrt() * size) {
                return Err(ControlError::Touched { time: t.as_f64() });
            }
            adjoint -= normal * (growth / crossing);
        }
        let by_parameter = rates.by_parameter.tr_mul(&adjoint);
        Ok((adjoint, by_parameter))
    }

    /// Through one step, from ξ at its end.
    fn step(
        &mut self,
        system: &mut OdeSystem<'_, '_, T>,
        [(begin, y), (end, _)]: [&(T, Vec<T>); 2],
        adjoint: &DVector<T>,
    ) -> Result<StepBack<T>, ControlError<T>> {
        let (n, size) = (adjoint.len(), *end - *begin);
        system.begin_at(*begin).map_err(|error| rates_failed(*begin, error))?;
        let (mut stages, mut flows) = (Vec::new(), Vec::new());
        for s in 0..STAGES.len() {
            let (time, point) = stage(s, (*begin, &y[..n]), size, &flows);
            let rates = self.rates(system, time, &point)?;
            flows.push(rates.rates.to_packed().as_slice().to_vec());
            let running = match &self.objective.integral {
                Some(function) => self.gradient(ALONG, &**function, (time, &point))?,
                None => DVector::zeros(n),
            };
            stages.push((time, rates, running));
        }
        let last = STAGES.len() - 1;
        // What ξ gets from each stage.
        let mut gains: Vec<DVector<T>> = vec![DVector::zeros(n); STAGES.len()];
        let mut slopes = Vec::new();
        for (s, (time, rates, running)) in stages.iter().enumerate().rev() {
            let share = size * T::lit(STAGES[last][s]);
            let mut by_rates = adjoint * share;
            for later in s + 1..=last {
                by_rates.axpy(size * T::lit(STAGES[later - 1][s]), &gains[later], T::one());
            }
            gains[s] = rates.by_state.tr_mul(&by_rates) + running * share;
            slopes.push((*time, rates.by_parameter.tr_mul(&by_rates)));
        }
        slopes.reverse();
        let adjoint = gains.iter().fold(adjoint.clone(), |sum, gain| sum + gain);
        let first = stages.swap_remove(0).1.by_parameter;
        Ok(StepBack { adjoint, slopes, first })
    }
}

/// How errors name the functions.
const AT_END: &str = "function of the final state";
const ALONG: &str = "function along the path";
const EVENT: &str = "event function";
