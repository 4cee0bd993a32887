//! The search for the best schedules.

use std::cell::RefCell;
use std::fmt;
use std::ops::ControlFlow;

use crate::Scalar;
use crate::control::controls::Control;
use crate::control::optimum::{AtBound, Optimum, SearchEnd};
use crate::control::search::{Landscape, Settings, descend, projected_norm};
use crate::control::{Adjoint, ControlError, Gradient, Objective};
use crate::integrate::DormandPrince;
use crate::limit::Compiled;
use crate::model::{Quantity, Schedules};
use crate::ode::ReducedOde;
use crate::state::OrderParameters;

/// Tolerance and limit by default.
const TOLERANCE: f64 = 1e-6;
const ITERATIONS: u64 = 500;

/// How far a search has come; what an observer sees.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// The iterations so far; 0 at the first schedules.
    pub iteration: u64,
    /// The solutions of the ODE so far.
    pub evaluations: u64,
    /// The objective now.
    pub objective: f64,
    /// The norm of the projected gradient now; see [`Optimum::gradient_norm`].
    pub gradient_norm: f64,
}

type Look<'f> = Box<dyn FnMut(&Progress) -> ControlFlow<()> + 'f>;

/// Finds the schedules under which an [`Objective`] is best, within bounds.
///
/// | setter | meaning | default |
/// |---|---|---|
/// | [`control`](Self::control) | what may be scheduled; at least one, several at once | |
/// | [`schedules`](Self::schedules) | the schedules that other numbers follow | none |
/// | [`integrator`](Self::integrator) | tolerances and largest step | [`DormandPrince`]'s own |
/// | [`step_limit`](Self::step_limit) | most steps of a solution | 10⁶ |
/// | [`gradient_tolerance`](Self::gradient_tolerance) | the [gradient norm](Optimum::gradient_norm) at which it ends | 1e-6 |
/// | [`iteration_limit`](Self::iteration_limit) | most iterations | 500 |
/// | [`observe`](Self::observe) | look at every iteration, and stop if need be | none |
///
/// The search is local: it goes downhill from the first schedules by a projected quasi-Newton method with exact gradients. Schedules under
/// which the solution fails, the event does not happen or the rates have no derivatives are as bad as can be, and stepped back from.
///
/// ```
/// use contrastive_dynamics::control::{Control, CosineSimilarity, TimeGrid, Objective, Optimiser};
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
/// let rate = Control::new([Quantity::LearningRate], TimeGrid::constant([0.0, 4.0, 8.0])?).bounds(0.0, 2.0);
/// let best = Optimiser::new(&ode, &similarity).control(rate).maximise(&start, 10.0)?;
/// assert!(best.objective() > best.first_objective() + 0.005);
/// // Large first, small later.
/// assert!(best.values(0)[0] > 2.0 * best.values(0)[2]);
/// // The same schedules are those of a simulator.
/// let mut chain = ProjectedChain::builder(&model, 10_000).start(&start).schedules(best.schedules()).build_seeded(1)?;
/// let run = chain.run(10.0, &Output::Stop)?;
/// assert!((run.last().and_then(|(_, end)| end.cosine_similarity(0, 0)).ok_or("empty")? - best.objective()).abs() < 0.02);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Optimiser<'o, 'a, 'f, T: Scalar = f64> {
    adjoint: Adjoint<'o, 'a, T>,
    schedules: Schedules,
    objective: &'f Objective<'f, T>,
    controls: Vec<Control>,
    settings: Settings,
    observers: RefCell<Vec<Look<'f>>>,
}

impl<T: Scalar> fmt::Debug for Optimiser<'_, '_, '_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Optimiser")
            .field("adjoint", &self.adjoint)
            .field("objective", &self.objective)
            .field("controls", &self.controls)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl<'o, 'a, 'f, T: Compiled> Optimiser<'o, 'a, 'f, T> {
    /// For that objective of solutions of that ODE.
    #[must_use]
    pub fn new(ode: &'o ReducedOde<'a, T>, objective: &'f Objective<'f, T>) -> Self {
        Self {
            adjoint: Adjoint::new(ode),
            schedules: Schedules::new(),
            objective,
            controls: Vec::new(),
            settings: Settings { tolerance: TOLERANCE, iterations: ITERATIONS },
            observers: RefCell::default(),
        }
    }

    /// Also schedules what that control says. Controls are counted from 0 in the order of these calls.
    #[must_use]
    pub fn control(mut self, control: Control) -> Self {
        self.controls.push(control);
        self
    }

    /// Lets other numbers of the model follow those schedules.
    #[must_use]
    pub fn schedules(mut self, schedules: &Schedules) -> Self {
        self.schedules = schedules.clone();
        self
    }

    /// Steps as that method does.
    #[must_use]
    pub fn integrator(mut self, integrator: DormandPrince<T>) -> Self {
        self.adjoint = self.adjoint.integrator(integrator);
        self
    }

    /// Takes at most that many steps in a solution; schedules that need more are stepped back from.
    #[must_use]
    pub fn step_limit(mut self, steps: u64) -> Self {
        self.adjoint = self.adjoint.step_limit(steps);
        self
    }

    /// Ends where the [gradient norm](Optimum::gradient_norm) is at most that.
    #[must_use]
    pub fn gradient_tolerance(mut self, tolerance: f64) -> Self {
        self.settings.tolerance = tolerance;
        self
    }

    /// Takes at most that many iterations.
    #[must_use]
    pub fn iteration_limit(mut self, iterations: u64) -> Self {
        self.settings.iterations = iterations;
        self
    }

    /// Shows every iteration to `look`, the first schedules among them, which may stop the search by [`ControlFlow::Break`].
    #[must_use]
    pub fn observe(self, look: impl FnMut(&Progress) -> ControlFlow<()> + 'f) -> Self {
        self.observers.borrow_mut().push(Box::new(look));
        self
    }

    /// The schedules under which the objective is largest, of solutions from `start` at t = 0 to t = `end` or the objective's event.
    ///
    /// # Errors
    /// As [`minimise`](Self::minimise).
    pub fn maximise(&self, start: &OrderParameters<T>, end: T) -> Result<Optimum<T>, ControlError<T>> {
        self.search(-1.0, start, end)
    }

    /// The schedules under which the objective is least, of solutions from `start` at t = 0 to t = `end` or the objective's event.
    ///
    /// # Errors
    /// [`ControlError::NoControl`], [`ControlError::ControlledTwice`], [`ControlError::NoQuantity`], [`ControlError::Bounds`],
    /// [`ControlError::Initial`] and [`ControlError::Setting`]; whatever [`Adjoint::gradient`] reports under the first schedules; and
    /// [`ControlError::Interrupted`] with the best so far where a function of the objective, or its derivatives, are not finite later on.
    pub fn minimise(&self, start: &OrderParameters<T>, end: T) -> Result<Optimum<T>, ControlError<T>> {
        self.search(1.0, start, end)
    }

    fn search(&self, sign: f64, start: &OrderParameters<T>, end: T) -> Result<Optimum<T>, ControlError<T>> {
        self.check()?;
        let mut axes = Vec::new();
        let mut first = Vec::new();
        for (k, control) in self.controls.iter().enumerate() {
            let bounds = control.checked_bounds()?;
            let values = control.first_values(bounds, self.own_number(control))?;
            let largest = values.iter().fold(0.0, |a: f64, b| a.max(b.abs()));
            let scale = match bounds {
                (lower, _) if lower > 0.0 => Scale::Ratio,
                (lower, upper) if upper.is_finite() => Scale::Difference(upper - lower),
                _ => Scale::Difference(if largest > 0.0 { largest } else { 1.0 }),
            };
            for value in values {
                let scaled = (scale.of(bounds.0), scale.of(bounds.1));
                axes.push(Axis { control: k, scale, bounds, scaled });
                first.push(scale.of(value));
            }
        }
        let bounds: (Vec<f64>, Vec<f64>) = axes.iter().map(|axis| axis.scaled).unzip();
        let mut terrain =
            Terrain { of: self, sign, start, end, axes: &axes, best: None, first: None, evaluations: 0, iteration: 0 };
        // The first schedules must have a value.
        terrain.first_point(&first)?;
        let outcome = descend(&mut terrain, bounds.clone(), first, self.settings);
        let (search_end, iterations, error) = match outcome {
            Ok((search_end, iterations)) => (search_end, iterations, None),
            Err(error) => (SearchEnd::Failure, terrain.iteration, Some(error)),
        };
        let (evaluations, first_objective) = (terrain.evaluations, terrain.first);
        let Some(best) = terrain.best else { return Err(error.unwrap_or(ControlError::NoControl)) };
        let values = self.values(&axes, &best.x);
        let at = |(k, &x): (usize, &f64)| match x {
            x if x <= bounds.0[k] => AtBound::Lower,
            x if x >= bounds.1[k] => AtBound::Upper,
            _ => AtBound::Neither,
        };
        let flags: Vec<AtBound> = best.x.iter().enumerate().map(at).collect();
        let of_control = |control: usize| -> Vec<AtBound> {
            let flags = axes.iter().zip(&flags).filter(|(axis, _)| axis.control == control);
            flags.map(|(_, &flag)| flag).collect()
        };
        let optimum = Optimum {
            schedules: self.scheduled(&values)?,
            controls: self.controls.clone(),
            at_bounds: (0..self.controls.len()).map(of_control).collect(),
            values,
            gradient_norm: projected_norm(&best.x, &best.slopes, &bounds.0, &bounds.1),
            gradient: best.gradient,
            first_objective: first_objective.unwrap_or(f64::NAN),
            end: search_end,
            iterations,
            evaluations,
        };
        match error {
            None => Ok(optimum),
            Some(source) => Err(ControlError::Interrupted { source: Box::new(source), best: Box::new(optimum) }),
        }
    }

    /// Refuses settings out of range, and numbers that would follow two schedules.
    fn check(&self) -> Result<(), ControlError<T>> {
        if self.controls.is_empty() {
            return Err(ControlError::NoControl);
        }
        let tolerance = self.settings.tolerance;
        if !(tolerance >= 0.0 && tolerance.is_finite()) {
            let (name, allowed) = ("gradient tolerance", "at least 0 and finite");
            return Err(ControlError::Setting { name, allowed, value: tolerance });
        }
        let mut taken: Vec<Quantity> = Vec::new();
        for &quantity in self.controls.iter().flat_map(|control| &control.quantities) {
            if taken.contains(&quantity) || self.schedules.contains(quantity) {
                return Err(ControlError::ControlledTwice { name: quantity.name() });
            }
            taken.push(quantity);
        }
        Ok(())
    }

    /// The model's number, if it is the same for all quantities of a control.
    fn own_number(&self, control: &Control) -> Option<f64> {
        let mut numbers = control.quantities.iter().map(|&quantity| self.adjoint.ode().scheduled_number(quantity));
        let first = numbers.next().flatten()?;
        numbers.all(|number| number == Some(first)).then_some(first.as_f64())
    }

    /// The values of each control.
    fn values(&self, axes: &[Axis], x: &[f64]) -> Vec<Vec<f64>> {
        let mut values = vec![Vec::new(); self.controls.len()];
        for (axis, x) in axes.iter().zip(x) {
            values[axis.control].push(axis.value(*x));
        }
        values
    }

    /// All schedules, with those values.
    fn scheduled(&self, values: &[Vec<f64>]) -> Result<Schedules, ControlError<T>> {
        let mut schedules = self.schedules.clone();
        for (control, values) in self.controls.iter().zip(values) {
            let schedule = control.grid.schedule(values)?;
            for &quantity in &control.quantities {
                schedules = schedules.with(quantity, schedule.clone());
            }
        }
        Ok(schedules)
    }
}

/// How a value is measured in the search.
#[derive(Debug, Clone, Copy)]
enum Scale {
    /// By its logarithm.
    Ratio,
    /// In that unit.
    Difference(f64),
}

impl Scale {
    /// The measure of a value.
    fn of(self, value: f64) -> f64 {
        match self {
            Self::Ratio => libm::log(value),
            Self::Difference(unit) => value / unit,
        }
    }

    /// The value of that measure.
    fn value(self, x: f64) -> f64 {
        match self {
            Self::Ratio => libm::exp(x),
            Self::Difference(unit) => x * unit,
        }
    }

    /// The derivative of the value by its measure.
    fn slope(self, x: f64) -> f64 {
        match self {
            Self::Ratio => libm::exp(x),
            Self::Difference(unit) => unit,
        }
    }
}

/// One value of one control, in units in which all count alike.
#[derive(Debug, Clone, Copy)]
struct Axis {
    control: usize,
    scale: Scale,
    bounds: (f64, f64),
    /// As they are measured.
    scaled: (f64, f64),
}

impl Axis {
    /// The value of that measure; scaling back does not leave the bounds.
    fn value(&self, x: f64) -> f64 {
        match x {
            x if x <= self.scaled.0 => self.bounds.0,
            x if x >= self.scaled.1 => self.bounds.1,
            x => self.scale.value(x).clamp(self.bounds.0, self.bounds.1),
        }
    }
}

/// A point with its gradient.
struct Visited<T: Scalar> {
    x: Vec<f64>,
    slopes: Vec<f64>,
    gradient: Gradient<T>,
}

/// The objective, to be made small, as a function of all values.
struct Terrain<'s, 'o, 'a, 'f, T: Scalar> {
    of: &'s Optimiser<'o, 'a, 'f, T>,
    sign: f64,
    start: &'s OrderParameters<T>,
    end: T,
    axes: &'s [Axis],
    best: Option<Visited<T>>,
    /// The first objective.
    first: Option<f64>,
    evaluations: u64,
    iteration: u64,
}

impl<T: Compiled> Terrain<'_, '_, '_, '_, T> {
    fn adjoint(&self, x: &[f64]) -> Result<Adjoint<'_, '_, T>, ControlError<T>> {
        let quantities = self.of.controls.iter().flat_map(|control| control.quantities.iter().copied());
        let schedules = self.of.scheduled(&self.of.values(self.axes, x))?;
        Ok(self.of.adjoint.clone().quantities(quantities).schedules(&schedules))
    }

    /// The first point, whose errors are reported as they are.
    fn first_point(&mut self, x: &[f64]) -> Result<(), ControlError<T>> {
        let visited = self.visit(x)?;
        self.first = Some(visited.gradient.value().as_f64());
        self.best = Some(visited);
        Ok(())
    }

    fn visit(&mut self, x: &[f64]) -> Result<Visited<T>, ControlError<T>> {
        self.evaluations += 1;
        let gradient = self.adjoint(x)?.gradient(self.of.objective, self.start, self.end)?;
        let slopes = self.slopes(&gradient, x);
        Ok(Visited { x: x.to_vec(), slopes, gradient })
    }

    /// The derivatives by all values.
    fn slopes(&self, gradient: &Gradient<T>, x: &[f64]) -> Vec<f64> {
        let mut slopes = vec![0.0; self.axes.len()];
        let (mut axis, mut quantity) = (0, 0);
        for control in &self.of.controls {
            let quantities = quantity..quantity + control.quantities.len();
            for sample in &gradient.samples {
                let slope = quantities.clone().map(|at| sample.slopes[at].as_f64()).sum::<f64>();
                for (value, share) in control.grid.shares(sample.time) {
                    slopes[axis + value] += share * slope;
                }
            }
            quantity = quantities.end;
            axis += control.grid.times().len();
        }
        let scaled = slopes.iter().zip(self.axes).zip(x);
        scaled.map(|((slope, axis), &x)| self.sign * slope * axis.scale.slope(x)).collect()
    }
}

/// A point that has no value is one that the search steps back from.
fn or_none<X, T: Scalar>(outcome: Result<X, ControlError<T>>) -> Result<Option<X>, ControlError<T>> {
    match outcome {
        Ok(answer) => Ok(Some(answer)),
        Err(error) => match error {
            ControlError::Solution(_)
            | ControlError::NoEvent { .. }
            | ControlError::Touched { .. }
            | ControlError::Rates { .. }
            | ControlError::NotFinite { .. }
            | ControlError::Schedule(_) => Ok(None),
            error => Err(error),
        },
    }
}

impl<T: Compiled> Landscape for Terrain<'_, '_, '_, '_, T> {
    type Error = ControlError<T>;

    fn value(&mut self, x: &[f64]) -> Result<Option<f64>, ControlError<T>> {
        self.evaluations += 1;
        let adjoint = self.adjoint(x);
        let value = or_none(adjoint.and_then(|adjoint| adjoint.value(self.of.objective, self.start, self.end)))?;
        Ok(value.map(|value| self.sign * value.as_f64()))
    }

    fn gradient(&mut self, x: &[f64]) -> Result<Option<(f64, Vec<f64>)>, ControlError<T>> {
        // The first point has been visited already.
        if let Some(best) = self.best.as_ref().filter(|best| best.x == x) {
            return Ok(Some((self.sign * best.gradient.value().as_f64(), best.slopes.clone())));
        }
        let Some(visited) = or_none(self.visit(x))? else { return Ok(None) };
        let cost = |visited: &Visited<T>| self.sign * visited.gradient.value().as_f64();
        let (value, slopes) = (cost(&visited), visited.slopes.clone());
        if self.best.as_ref().is_none_or(|best| value <= cost(best)) {
            self.best = Some(visited);
        }
        Ok(Some((value, slopes)))
    }

    fn progress(&mut self, iteration: u64, value: f64, gradient_norm: f64) -> ControlFlow<()> {
        self.iteration = iteration;
        let progress =
            Progress { iteration, evaluations: self.evaluations, objective: self.sign * value, gradient_norm };
        let mut flow = ControlFlow::Continue(());
        for look in self.of.observers.borrow_mut().iter_mut() {
            if look(&progress).is_break() {
                flow = ControlFlow::Break(());
            }
        }
        flow
    }
}
