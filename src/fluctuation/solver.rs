//! Follows a solution of the reduced ODE with its covariance.

use nalgebra::{DMatrix, DVector};

use crate::Scalar;
use crate::fluctuation::noise::projected;
use crate::fluctuation::path::{FluctuationPath, Link};
use crate::fluctuation::system::{FluctuationSystem, Point};
use crate::fluctuation::{FluctuationError, Fluctuations, StartCovariance};
use crate::integrate::{DormandPrince, Integrator, Output, OutputError, Schedule};
use crate::limit::Compiled;
use crate::model::{Constraint, Quantity, Schedules};
use crate::numerics::matrix::smallest_eigenvalue;
use crate::numerics::memory::fits;
use crate::ode::{OdeFailure, STEP_LIMIT};
use crate::start::check_state;
use crate::state::{Integration, OrderParameters, Process, StopReason, unpack};

/// So many vectors of n² numbers are kept at most: of the system, and of a step of the method.
const VECTORS: usize = 32;

/// Tolerances of the method by default: a covariance is seldom compared with anything that is known to more digits.
const RELATIVE: f64 = 1e-6;
const ABSOLUTE: f64 = 1e-8;

/// How much coarser they are for several neurons, whose Γ is known to a thousandth.
const MANY_NEURONS: f64 = 10.0;

/// Follows a solution with its covariance; made by [`Fluctuations::solver`].
///
/// | setter | meaning | default |
/// |---|---|---|
/// | [`integrator`](Self::integrator) | the method | [`DormandPrince`] with tolerances 1e-6 and 1e-8, ten times that for several neurons |
/// | [`output`](Self::output) | when to record: times | [`Output::Stop`] |
/// | [`start_covariance`](Self::start_covariance) | how the start varies from run to run | [`StartCovariance::Fixed`] |
/// | [`schedules`](Self::schedules) | the schedules that numbers of the model follow | none |
/// | [`corrections`](Self::corrections) | also the mean correction of order 1/N | no |
/// | [`step_limit`](Self::step_limit) | most steps | 10⁶ |
///
/// ```
/// use contrastive_dynamics::fluctuation::Fluctuations;
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
/// let path = Fluctuations::new(&ode).solver().solve(&start, 2.0)?;
/// let end = path.band(10_000, |state| state.cosine_similarity(0, 0).unwrap_or(0.0))?.remove(0);
/// assert!(end.standard_deviation > 1e-3 && end.standard_deviation < 1e-2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct FluctuationSolver<'f, 'o, 'a, T: Scalar = f64, I = DormandPrince<T>> {
    fluctuations: &'f Fluctuations<'o, 'a, T>,
    integrator: I,
    output: Output<T>,
    start: StartCovariance<T>,
    schedules: Schedules,
    corrects: bool,
    step_limit: u64,
}

impl<'f, 'o, 'a, T: Compiled> FluctuationSolver<'f, 'o, 'a, T> {
    pub(super) fn new(fluctuations: &'f Fluctuations<'o, 'a, T>) -> Self {
        // Both are positive. In single precision the defaults are as fine as it goes.
        let double = T::EPSILON < T::lit(1e-10);
        let coarser = if fluctuations.ode.limit().n_neurons() > 1 { MANY_NEURONS } else { 1.0 };
        let (relative, absolute) = (T::lit(coarser * RELATIVE), T::lit(coarser * ABSOLUTE));
        let integrator = DormandPrince::new(relative, absolute).ok().filter(|_| double);
        Self {
            fluctuations,
            integrator: integrator.unwrap_or_default(),
            output: Output::Stop,
            start: StartCovariance::Fixed,
            schedules: Schedules::new(),
            corrects: false,
            step_limit: STEP_LIMIT,
        }
    }
}

impl<'f, 'o, 'a, T: Compiled, I: Integrator<T>> FluctuationSolver<'f, 'o, 'a, T, I> {
    /// Steps with that method. Its error control sees the covariance and the propagator beside the state.
    #[must_use]
    pub fn integrator<J: Integrator<T>>(self, integrator: J) -> FluctuationSolver<'f, 'o, 'a, T, J> {
        let Self { fluctuations, output, start, schedules, corrects, step_limit, .. } = self;
        FluctuationSolver { fluctuations, integrator, output, start, schedules, corrects, step_limit }
    }

    /// Records at those times: a step ends at each of them. [`Output::EverySteps`] is an error of [`solve`](Self::solve).
    #[must_use]
    pub fn output(mut self, output: Output<T>) -> Self {
        self.output = output;
        self
    }

    /// How the start varies from run to run. Under a constraint it is projected.
    #[must_use]
    pub fn start_covariance(mut self, covariance: StartCovariance<T>) -> Self {
        self.start = covariance;
        self
    }

    /// Lets numbers of the model follow those schedules, from t = 0 on. A penalty strength of several neurons is not among them.
    #[must_use]
    pub fn schedules(mut self, schedules: &Schedules) -> Self {
        self.schedules = schedules.clone();
        self
    }

    /// Also follows by how much the mean of runs differs from the solution to order 1/N. It takes second differences of the rates, and so
    /// about 4n more right-hand sides in each. They are those of Gaussian noise of the views, without momentum: of other noise the fourth
    /// moments of the weights would count.
    #[must_use]
    pub fn corrections(mut self, wanted: bool) -> Self {
        self.corrects = wanted;
        self
    }

    /// Takes at most that many steps.
    #[must_use]
    pub fn step_limit(mut self, steps: u64) -> Self {
        self.step_limit = steps;
        self
    }

    /// Follows the solution from `start` at t = 0 to t = `end`.
    ///
    /// # Errors
    /// [`FluctuationError::Start`], [`FluctuationError::StartCovariance`], [`FluctuationError::Output`], [`FluctuationError::Limit`],
    /// [`FluctuationError::Momentum`] and [`FluctuationError::NotGaussian`] for corrections with momentum or other noise,
    /// [`FluctuationError::Schedule`], [`FluctuationError::ScheduledCorrections`] and [`FluctuationError::ScheduledPenalty`],
    /// [`FluctuationError::Degenerate`] for corrections from the border of the feasible set, [`FluctuationError::Memory`], and
    /// [`FluctuationError::Step`] and [`FluctuationError::StepLimit`] with the path so far, the last good
    /// point included.
    pub fn solve(&self, start: &OrderParameters<T>, end: T) -> Result<FluctuationPath<T>, FluctuationError<T>> {
        let (ode, n) = (self.fluctuations.ode, start.packed_len());
        check_state(ode.constraint(), start)?;
        if self.corrects && ode.has_momentum() {
            return Err(FluctuationError::Momentum);
        }
        if self.corrects && !ode.has_gaussian_noise() {
            return Err(FluctuationError::NotGaussian);
        }
        if self.corrects && !(smallest_eigenvalue(&start.background()) > T::zero()) {
            return Err(FluctuationError::Degenerate);
        }
        if self.corrects && !self.schedules.is_empty() {
            return Err(FluctuationError::ScheduledCorrections);
        }
        if self.schedules.contains(Quantity::PenaltyStrength) && start.n_neurons() > 1 {
            return Err(FluctuationError::ScheduledPenalty);
        }
        if !fits::<T>(n.saturating_mul(n), VECTORS) {
            return Err(FluctuationError::Memory { length: n });
        }
        let mut times = match self.output.schedule(T::zero(), end)? {
            Schedule::Times(times) => times,
            Schedule::EverySteps(value) => {
                return Err(OutputError::Count { what: "a number of times", least: 1, value }.into());
            }
        };
        if times.last().is_none_or(|&last| last < end) {
            times.push(end);
        }
        let system = FluctuationSystem::new(self.fluctuations, start, &self.schedules, self.corrects)?;
        let projection = self.fluctuations.projection(start);
        let free = self.start.at(start)?;
        let mut covariance = projected(&projection, &free);
        let correction = match ode.constraint() {
            _ if !self.corrects => DVector::zeros(0),
            Constraint::None => DVector::zeros(n),
            // The mean of what is brought back to the constraint.
            _ => self.fluctuations.constraint_curvature(start, &free),
        };
        let mut path = FluctuationPath::new(start, covariance.clone(), self.corrects.then(|| correction.clone()));
        let begin = Point::new(start.to_packed().as_slice().to_vec(), correction);
        let mut y = vec![T::zero(); begin.len()];
        begin.write(&mut y);
        let mut solution = Integration::new(system, &self.integrator, T::zero(), y);
        solution.set_state(|system, _| system.set_covariance(&covariance));
        let mut steps = 0;
        // A first output at t = 0 is the start itself.
        let first = times.first().is_some_and(|&t| t == T::zero());
        let keep_start = first || matches!(self.output, Output::Stop) && end == T::zero();
        let mut failure = None;
        'times: for &time in times.iter().skip(usize::from(first)) {
            loop {
                if let Err(error) = solution.prepare() {
                    failure = Some(OdeFailure::from(error));
                    break 'times;
                }
                if !(solution.now() < time) {
                    break;
                }
                if steps >= self.step_limit {
                    break 'times;
                }
                steps += 1;
                if let Err(error) = solution.advance(time) {
                    failure = Some(OdeFailure::from(error));
                    break 'times;
                }
            }
            let next = record(&mut path, (time, start), &solution.step().y);
            covariance.copy_from(&path.covariances[path.covariances.len() - 1]);
            solution.set_state(|system, y| {
                system.set_covariance(&covariance);
                next.write(y);
            });
        }
        path.trajectory.work = solution.work();
        let now = solution.now();
        if path.trajectory.times.last().is_some_and(|&last| last >= end) && failure.is_none() {
            return Ok(path.without_start(keep_start));
        }
        // Also the last good point.
        if path.trajectory.times.last().is_some_and(|&last| last < now) {
            record(&mut path, (now, start), &solution.step().y);
        }
        path.trajectory.stop = StopReason::Failure { time: now };
        let (time, path) = (now.as_f64(), Box::new(path.without_start(keep_start)));
        match failure {
            Some(source) => Err(FluctuationError::Step { time, source, path }),
            None => Err(FluctuationError::StepLimit { steps, time, path }),
        }
    }
}

/// Records a point of the system, and returns the one from which the next interval begins.
fn record<T: Scalar>(path: &mut FluctuationPath<T>, (time, start): (T, &OrderParameters<T>), y: &[T]) -> Point<T> {
    let point = Point::read(y, start.packed_len());
    let before = &path.covariances[path.covariances.len() - 1];
    let covariance = projected(&point.propagator, before) + &point.noise;
    let (q, r) = unpack(start.n_features(), start.n_neurons(), &point.state);
    let link = Link { propagator: point.propagator, noise: point.noise };
    path.push(time, OrderParameters::from_parts(q, r), covariance, point.correction.clone(), link);
    Point::new(point.state, point.correction)
}

impl<T: Compiled> Fluctuations<'_, '_, T> {
    /// How small deviations propagate from a state over a time: ∂s(t)/∂s(0), n x n.
    ///
    /// # Errors
    /// As [`FluctuationSolver::solve`].
    pub fn propagator(&self, state: &OrderParameters<T>, time: T) -> Result<DMatrix<T>, FluctuationError<T>> {
        let times = if time == T::zero() { vec![time] } else { vec![T::zero(), time] };
        let path = self.solver().output(Output::Times(times)).solve(state, time)?;
        let n = state.packed_len();
        Ok(path.links.last().map_or_else(|| DMatrix::identity(n, n), |link| link.propagator.clone()))
    }
}
