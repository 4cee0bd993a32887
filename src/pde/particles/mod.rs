//! Particles (theory §4): M rows (u, w), M whatever you like, that move in the field of their own order parameters.
//!
//! Covers [`ParticleSystem`], its schemes in time and its noises. Not here: start laws (see [`crate::start`]), coefficients
//! (see [`crate::limit`]), the loop (see [`Run`]), and what is read off the weights (see [`crate::pde::observables`]).

mod builder;
mod exponential;
mod field;
mod noise;
mod rows;
mod scheme;

pub use builder::ParticleSystemBuilder;
pub use exponential::Exponential;
use field::{Field, SavedField};
pub use noise::Noise;
pub use scheme::{Change, EulerMaruyama, Flow, Heun, MeanField, Stage, StepSize, StochasticIntegrator};

use crate::Scalar;
use crate::integrate::{Output, Work};
use crate::limit::{Compiled, LimitError};
use crate::model::{ScheduleError, Schedules, Spec, fingerprint};
use crate::numerics::largest::largest_size;
use crate::pde::step_size::{LEAST_FACTOR, SAFETY, SLIVER};
use crate::save::{Fingerprint, SaveError};
use crate::start::StartError;
use crate::state::{Checkpoint, OrderParameters, OrderParametersError, Process, Run, RunError, Trajectory};

/// An adaptive step that has been shortened to so many ulp of the size first tried meets no tolerance.
const LEAST_STEP_ULPS: f64 = 16.0;
/// From one step to the next the size grows at most by that factor.
const MOST_GROWTH: f64 = 5.0;

/// Why a step of particles failed; they stay where they were before it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StepFailure<T: Scalar = f64> {
    /// The coefficients could not be computed.
    #[error(transparent)]
    Limit(#[from] LimitError<T>),
    /// The schedules have no usable value at that time.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// The order parameters are not feasible.
    #[error(
        "{0}: the features' rows must have second moment I (see `Whitening`), and the step must not be far too large"
    )]
    Infeasible(#[from] OrderParametersError),
    /// The new weights are not finite.
    #[error("the weights diverge: take smaller steps, or `Exponential` if it is the decay that is stiff")]
    Diverged,
    /// The covariance of the noise is negative by more than the error of Λ.
    #[error(
        "the covariance of the noise has the eigenvalue {eigenvalue:e}, below what the error of the coefficients explains \
         ({tolerance:e}): ask for more accurate coefficients"
    )]
    Indefinite {
        /// The smallest eigenvalue; NaN if none was found.
        eigenvalue: f64,
        /// The most by which it may be negative.
        tolerance: f64,
    },
    /// No step is small enough to meet the tolerance.
    #[error("no step meets the tolerance: the solution diverges there, or the tolerance is below rounding")]
    StepTooSmall,
    /// The normals cannot be matched.
    #[error("the normals have no part orthogonal to the particles: take more particles")]
    Unmatched,
}

/// Why particles could not be set up or run.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParticleError<T: Scalar = f64> {
    /// The start could not be drawn.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Too few particles.
    #[error("at least {least} particles are needed here, got {count}")]
    Count {
        /// The number given.
        count: usize,
        /// The smallest that works.
        least: usize,
    },
    /// Antithetic noise needs pairs.
    #[error("antithetic noise needs an even number of particles, got {count}")]
    Odd {
        /// The number given.
        count: usize,
    },
    /// The model's limit does not exist, or not at the start.
    #[error("the particles cannot start: {0}")]
    Coefficients(StepFailure<T>),
    /// The run failed.
    #[error(transparent)]
    Run(#[from] RunError<StepFailure<T>, T>),
}

/// The McKean-Vlasov equation by particles: M rows (u, w), each moved by
///
/// dw = (αᵀu + βᵀw − τγ φ(w)) dt + Λ^{1/2} dB,
///
/// with α, β and Λ the limit coefficients at the particles' own Q = ⟨u wᵀ⟩ and R = ⟨w wᵀ⟩. It holds for every
/// regulariser and any p and m, with the sphere constraint too, and shows the weights themselves. M has nothing to do
/// with N, which is infinite.
///
/// ```
/// use contrastive_dynamics::state::OrderParameters;
/// use contrastive_dynamics::integrate::Output;
/// use contrastive_dynamics::model::{GaussianNoise, Independent, L1, Law, Model, Tanh};
/// use contrastive_dynamics::pde::observables::Marginal;
/// use contrastive_dynamics::pde::particles::{Heun, ParticleSystem};
/// use contrastive_dynamics::start::{FeatureLaw, LinearGaussianStart, Start};
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
/// let mut particles =
///     ParticleSystem::builder(&model, 2000).start(Start::law(&law).exactly(&start)).scheme(Heun::new(0.05)?).build_seeded(1)?;
/// let trajectory = particles.run(10.0, &Output::Times(vec![0.0, 5.0, 10.0]))?;
/// assert_eq!(trajectory.times().len(), 3);
/// let weights = Marginal::sample(particles.weights(0).ok_or("no neuron")?)?;
/// assert!(weights.fraction_within(0.1)? > 0.1); // L1 makes weights small where there is no feature.
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Setters of the builder:
///
/// | setter | meaning | default |
/// |---|---|---|
/// | [`start`](ParticleSystemBuilder::start) | (u, w) at t = 0: a law, rows, a state | both standard normal and independent |
/// | [`noise`](ParticleSystemBuilder::noise) | how the normals are drawn | [`Noise::Matched`] |
/// | [`scheme`](ParticleSystemBuilder::scheme) | the stepping in time | [`Heun::default`], adaptive |
/// | [`coefficient_tolerance`](ParticleSystemBuilder::coefficient_tolerance), [`node_budget`](ParticleSystemBuilder::node_budget) | of the limit coefficients | those of [`Limit`](crate::limit::Limit) |
/// | [`schedules`](ParticleSystemBuilder::schedules) | learning rate and others as functions of time | the model's own, constant |
/// | [`step_limit`](ParticleSystemBuilder::step_limit) | most steps of a run | 10⁶ |
///
/// A seed fixes every weight, whatever the number of threads (feature `parallel`) and the instruction set: the rows are
/// worked on in chunks of 4096, of which chunk k draws from [`LaneRng::stream`](crate::random::LaneRng::stream) k.
#[derive(Debug, Clone)]
pub struct ParticleSystem<'a, M: Spec, I = Heun<<M as Spec>::Scalar>> {
    model: &'a M,
    field: Field<'a, M::Scalar, M::Regularizer>,
    scheme: I,
    schedules: Schedules,
    time: M::Scalar,
    /// The size proposed for the next adaptive step; zero before the first.
    next_size: M::Scalar,
    error: M::Scalar,
    most_steps: u64,
}

impl<'a, M: Spec<Scalar: Compiled>> ParticleSystem<'a, M> {
    /// A builder for that model and M = `particles`.
    #[must_use]
    pub fn builder(model: &'a M, particles: usize) -> ParticleSystemBuilder<'a, M, M::Scalar> {
        ParticleSystemBuilder::new(model, particles)
    }
}

impl<T: Compiled, M: Spec<Scalar = T>, I: StochasticIntegrator<T>> ParticleSystem<'_, M, I> {
    /// The number M of particles.
    #[must_use]
    pub fn particles(&self) -> usize {
        self.field.rows.count
    }

    /// The time t reached.
    #[must_use]
    pub fn time(&self) -> T {
        self.time
    }

    /// The particles' own Q and R.
    #[must_use]
    pub fn order_parameters(&self) -> OrderParameters<T> {
        self.field.state(Stage::Start)
    }

    /// Feature l of every particle, M numbers; `None` if there is no such feature.
    #[must_use]
    pub fn features(&self, l: usize) -> Option<&[T]> {
        (l < self.field.rows.features).then(|| self.field.rows.feature(l))
    }

    /// The weight of neuron i of every particle, M numbers; `None` if there is no such neuron.
    #[must_use]
    pub fn weights(&self, i: usize) -> Option<&[T]> {
        (i < self.field.rows.neurons).then(|| self.field.rows.weight(Stage::Start, i))
    }

    /// Work since the start: steps, evaluations of the coefficients, nodes.
    #[must_use]
    pub fn work(&self) -> Work {
        self.field.work
    }

    /// How far an answer of order one would have strayed in (Q, R) so far: the sum over steps of the largest change from
    /// predictor to answer. The error of the answer itself is smaller by a power of the step. `None` for a scheme without a
    /// predictor, as [`EulerMaruyama`], whose error is not known.
    #[must_use]
    pub fn error_estimate(&self) -> Option<T> {
        self.scheme.predicts().then_some(self.error)
    }

    /// Takes one step, of the size of the scheme.
    ///
    /// # Errors
    /// [`StepFailure`]; the particles then stay where they are.
    pub fn step(&mut self) -> Result<(), StepFailure<T>> {
        self.step_until(None)
    }

    /// Takes one step, to the time `until` at most.
    fn step_until(&mut self, until: Option<T>) -> Result<(), StepFailure<T>> {
        let until = match (until, self.field.next_break()) {
            (Some(until), Some(next)) => Some(until.min(next)),
            (until, next) => until.or(next),
        };
        let control = self.scheme.step_size();
        let mut size = match control {
            StepSize::Fixed(size) => size,
            StepSize::Adaptive { .. } if self.next_size > T::zero() => self.next_size,
            StepSize::Adaptive { relative, .. } => self.first_size(relative)?,
        };
        let smallest = T::lit(LEAST_STEP_ULPS) * T::EPSILON * size;
        loop {
            let proposed = size;
            // A rest that is no more than rounding is part of this step.
            let rest = until.map(|until| until - self.time).filter(|rest| *rest <= size * T::lit(1.0 + SLIVER));
            let last = rest.is_some();
            size = rest.unwrap_or(size);
            if !(self.time + size > self.time && proposed > smallest) {
                return Err(StepFailure::StepTooSmall);
            }
            self.field.try_size(size);
            let outcome = self.scheme.step(&mut self.field, size);
            let (mut next_size, mut error) = (self.next_size, T::zero());
            if let StepSize::Adaptive { relative, absolute } = control {
                let ratio = match outcome {
                    Ok(()) => self.error_ratio(relative, absolute),
                    Err(StepFailure::Diverged) => T::lit(f64::INFINITY),
                    Err(failure) => return Err(failure),
                };
                // The estimate falls as the square of the size.
                let factor = (T::lit(SAFETY) / ratio.sqrt()).min(T::lit(MOST_GROWTH)).max(T::lit(LEAST_FACTOR));
                if !(ratio <= T::one()) {
                    self.field.work.rejected_steps += 1;
                    size *= if ratio.is_finite() { factor } else { T::lit(LEAST_FACTOR) };
                    continue;
                }
                // A step cut short says little about what the next one may be.
                next_size = if last { proposed.max(size * factor) } else { size * factor };
            } else {
                outcome?;
            }
            if self.scheme.predicts() {
                error = self.largest_change();
            }
            let time = match until {
                Some(until) if last => until,
                _ => self.time + size,
            };
            self.field.accept(time)?;
            self.next_size = next_size;
            self.error += error;
            self.time = time;
            return Ok(());
        }
    }

    /// A first step of about √tolerance over the fastest rate.
    fn first_size(&mut self, relative: T) -> Result<T, StepFailure<T>> {
        let flow = self.field.flow(Stage::Start)?;
        let rate = flow.alpha.amax() + flow.beta.amax() + flow.lambda.amax() + flow.decay;
        let size = relative.sqrt() / rate;
        Ok(if size > T::zero() && size.is_finite() { size } else { relative.sqrt() })
    }

    /// The difference of predictor and answer, in units of what is allowed.
    fn error_ratio(&self, relative: T, absolute: T) -> T {
        let stages = [Stage::Start, Stage::Predictor, Stage::End].map(|stage| self.field.packed(stage));
        let triples = stages[0].iter().zip(stages[1]).zip(stages[2]);
        largest_size(triples.map(|((&start, &predictor), &end)| {
            (end - predictor).abs() / (absolute + relative * start.abs().max(end.abs()))
        }))
    }

    fn largest_change(&self) -> T {
        let pairs = self.field.packed(Stage::Predictor).iter().zip(self.field.packed(Stage::End));
        largest_size(pairs.map(|(&x, &y)| x - y))
    }

    /// Runs to t = `end`, and records (Q, R) as `output` says. A step ends at every output time. For events, observers and
    /// steady states see [`Run`], of which this is the shortest.
    ///
    /// # Errors
    /// [`ParticleError::Run`] with [`RunError::Output`] for times that are unusable (before the present time or after
    /// `end`), or with [`RunError::Failed`] or [`RunError::StepLimit`] and the trajectory so far.
    pub fn run(&mut self, end: T, output: &Output<T>) -> Result<Trajectory<T>, ParticleError<T>> {
        Ok(Run::of(self).output(output.clone()).to(end)?)
    }
}

/// What is kept of a [`ParticleSystem`]: rows, the generators of their chunks, where the coefficients' quadrature rule was chosen, time and
/// counters.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "T: serde::Serialize", deserialize = "T: Scalar + serde::Deserialize<'de>"))
)]
pub struct SavedParticles<T: Scalar> {
    field: SavedField<T>,
    time: T,
    next_size: T,
    error: T,
}

impl<T: Compiled, M: Spec<Scalar = T>, I: StochasticIntegrator<T>> Checkpoint for ParticleSystem<'_, M, I> {
    type Saved = SavedParticles<T>;

    fn fingerprint(&self) -> Fingerprint {
        let settings = format!("{:?} {:?} {}", self.scheme.step_size(), self.field.noise, self.scheme.order());
        let work = Fingerprint::of("particles").and(fingerprint(self.model)).count(self.particles() as u64);
        self.schedules.fingerprint(self.field.limit.fingerprint(work.text(&settings)))
    }

    fn saved(&self) -> SavedParticles<T> {
        let Self { time, next_size, error, .. } = *self;
        SavedParticles { field: self.field.saved(), time, next_size, error }
    }

    fn restore(&mut self, saved: SavedParticles<T>) -> Result<(), SaveError> {
        let SavedParticles { field, time, next_size, error } = saved;
        self.field.restore(field)?;
        (self.time, self.next_size, self.error) = (time, next_size, error);
        Ok(())
    }
}

impl<T: Compiled, M: Spec<Scalar = T>, I: StochasticIntegrator<T>> Process for ParticleSystem<'_, M, I> {
    type Scalar = T;
    type State = OrderParameters<T>;
    type Error = StepFailure<T>;

    fn now(&self) -> T {
        self.time
    }

    fn state(&self) -> OrderParameters<T> {
        self.order_parameters()
    }

    fn work(&self) -> Work {
        self.field.work
    }

    fn advance(&mut self, until: T) -> Result<(), StepFailure<T>> {
        self.step_until(Some(until))
    }

    fn numbers(&self, state: &OrderParameters<T>) -> Vec<T> {
        state.to_packed().data.into()
    }

    fn step_limit(&self) -> Option<u64> {
        Some(self.most_steps)
    }
}
