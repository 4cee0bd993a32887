//! How a particle system is set up.

use rand::{Rng, SeedableRng};

use crate::Scalar;
use crate::limit::{Compiled, Limit, MovingLimit};
use crate::model::{Constraint, Schedules, Spec, Unscheduled};
use crate::pde::particles::field::Field;
use crate::pde::particles::noise::Noise;
use crate::pde::particles::rows::RowBuffers;
use crate::pde::particles::scheme::{Heun, StochasticIntegrator};
use crate::pde::particles::{ParticleError, ParticleSystem, StepFailure};
use crate::random::LaneRng;
use crate::start::{Rows, Start, StartError, check_memory, constrain};

/// Columns of a row for each feature and neuron: the weights at three stages, and the normals.
const COLUMNS: usize = 4;

/// Builds a [`ParticleSystem`]; made by [`ParticleSystem::builder`], where the defaults are.
pub struct ParticleSystemBuilder<'a, M, T: Scalar = f64, I = Heun<T>> {
    model: &'a M,
    particles: usize,
    start: Start<'a, T>,
    noise: Noise,
    scheme: I,
    schedules: Schedules,
    tolerance: Option<T>,
    node_budget: Option<usize>,
    most_steps: u64,
}

impl<M, T: Compiled, I: std::fmt::Debug> std::fmt::Debug for ParticleSystemBuilder<'_, M, T, I> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParticleSystemBuilder")
            .field("particles", &self.particles)
            .field("noise", &self.noise)
            .field("scheme", &self.scheme)
            .finish_non_exhaustive()
    }
}

impl<'a, M, T: Compiled> ParticleSystemBuilder<'a, M, T> {
    pub(super) fn new(model: &'a M, particles: usize) -> Self {
        Self {
            model,
            particles,
            start: Start::uninformative(),
            noise: Noise::default(),
            scheme: Heun::default(),
            schedules: Schedules::new(),
            tolerance: None,
            node_budget: None,
            most_steps: 1_000_000,
        }
    }
}

impl<'a, T: Compiled, M: Spec<Scalar = T>, I: StochasticIntegrator<T>> ParticleSystemBuilder<'a, M, T, I> {
    /// Starts like that: from a law of rows (`&law`), from rows, or from a state; see [`Start`]. Default: features and
    /// weights with independent standard normal entries.
    #[must_use]
    pub fn start(mut self, start: impl Into<Start<'a, T>>) -> Self {
        self.start = start.into();
        self
    }

    /// Draws the normals in that way.
    #[must_use]
    pub fn noise(mut self, noise: Noise) -> Self {
        self.noise = noise;
        self
    }

    /// Steps with that scheme.
    #[must_use]
    pub fn scheme<J: StochasticIntegrator<T>>(self, scheme: J) -> ParticleSystemBuilder<'a, M, T, J> {
        let Self { model, particles, start, noise, schedules, tolerance, node_budget, most_steps, .. } = self;
        ParticleSystemBuilder { model, particles, start, noise, scheme, schedules, tolerance, node_budget, most_steps }
    }

    /// Lets numbers of the model follow those schedules, from t = 0 on. A step ends wherever one of them jumps or bends; a scheme
    /// sees their values at both ends of a step.
    #[must_use]
    pub fn schedules(mut self, schedules: &Schedules) -> Self {
        self.schedules = schedules.clone();
        self
    }

    /// The tolerance of the limit coefficients; see [`Limit::tolerance`].
    #[must_use]
    pub fn coefficient_tolerance(mut self, tolerance: T) -> Self {
        self.tolerance = Some(tolerance);
        self
    }

    /// The node budget of the limit coefficients; see [`Limit::node_budget`].
    #[must_use]
    pub fn node_budget(mut self, nodes: usize) -> Self {
        self.node_budget = Some(nodes);
        self
    }

    /// Takes at most that many steps in one run.
    #[must_use]
    pub fn step_limit(mut self, steps: u64) -> Self {
        self.most_steps = steps;
        self
    }

    /// The system, drawing everything from a [`LaneRng`] with that seed.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_seeded(self, seed: u64) -> Result<ParticleSystem<'a, M, I>, ParticleError<T>> {
        self.build(LaneRng::seed_from_u64(seed))
    }

    /// The system, drawing the rows from `rng` and then one word, the seed of the streams from which the normals come.
    ///
    /// # Errors
    /// [`ParticleError::Start`] if the start does not fit the model, or cannot be drawn or whitened; [`ParticleError::Count`] for fewer than p + 2m + 2 particles under matched noise,
    /// [`ParticleError::Odd`] under antithetic noise;
    /// [`ParticleError::Coefficients`] if the coefficients cannot be computed at the start.
    pub fn build<R: Rng>(self, mut rng: R) -> Result<ParticleSystem<'a, M, I>, ParticleError<T>> {
        let model = self.model;
        let mut limit = Limit::new(model).map_err(coefficients)?;
        if let Some(tolerance) = self.tolerance {
            limit = limit.tolerance(tolerance).map_err(coefficients)?;
        }
        if let Some(nodes) = self.node_budget {
            limit = limit.node_budget(nodes);
        }
        let mut rows = self.draw_rows(&mut rng)?;
        if model.constraint() != Constraint::None {
            for (neuron, w) in rows.weights.column_iter().enumerate() {
                if !(w.norm_squared() > T::zero()) {
                    return Err(StartError::Weights { neuron }.into());
                }
            }
            if !constrain(model.constraint(), &mut rows.weights) {
                return Err(StartError::Dependent.into());
            }
        }
        let rows = RowBuffers::new(rows, rng.next_u64());
        let update = (model.regularizer(), limit.learning_rate() * model.weight_decay(), model.constraint());
        let moving = MovingLimit::of(Unscheduled::of(model), &self.schedules, &limit)
            .map_err(|error| ParticleError::Coefficients(error.into()))?;
        let field = Field::new((limit, moving), update, self.noise, rows).map_err(ParticleError::Coefficients)?;
        Ok(ParticleSystem {
            model: self.model,
            field,
            scheme: self.scheme,
            schedules: self.schedules,
            time: T::zero(),
            next_size: T::zero(),
            error: T::zero(),
            most_steps: self.most_steps,
        })
    }

    fn draw_rows(&self, rng: &mut dyn Rng) -> Result<Rows<T>, ParticleError<T>> {
        let shape = (self.model.n_features(), self.model.n_neurons());
        let constraint = self.model.constraint();
        check_memory::<T>(self.particles, (shape.0 + shape.1).saturating_mul(COLUMNS))?;
        self.check(shape, self.start.given_rows().unwrap_or(self.particles))?;
        if self.noise == Noise::Antithetic && self.start.given_rows().is_none() {
            return Ok(twice(&self.start.rows(self.particles / 2, shape, constraint, rng)?));
        }
        Ok(self.start.rows(self.particles, shape, constraint, rng)?)
    }

    fn check(&self, (features, neurons): (usize, usize), count: usize) -> Result<(), ParticleError<T>> {
        let least = match self.noise {
            Noise::Matched => features + 2 * neurons + 2,
            Noise::Antithetic => 2,
            Noise::Independent => 1,
        };
        if count < least {
            return Err(ParticleError::Count { count, least });
        }
        if self.noise == Noise::Antithetic && count % 2 == 1 {
            return Err(ParticleError::Odd { count });
        }
        Ok(())
    }
}

fn coefficients<T: Compiled>(error: crate::limit::LimitError<T>) -> ParticleError<T> {
    ParticleError::Coefficients(StepFailure::Limit(error))
}

/// Every row twice, n and n + M/2.
fn twice<T: Compiled>(rows: &Rows<T>) -> Rows<T> {
    let double = |x: &nalgebra::DMatrix<T>| {
        let n = x.nrows();
        nalgebra::DMatrix::from_fn(2 * n, x.ncols(), |row, column| x[(row % n, column)])
    };
    Rows { features: double(&rows.features), weights: double(&rows.weights) }
}
