//! How a particle system is set up.

use rand::{Rng, SeedableRng};

use crate::Scalar;
use crate::limit::Compiled;
use crate::limit::Limit;
use crate::model::{AugmentationNoise, Constraint, HiddenDistribution, Model, Nonlinearity, Penalty, Regularizer};
use crate::pde::particles::field::Field;
use crate::pde::particles::noise::Noise;
use crate::pde::particles::rows::RowBuffers;
use crate::pde::particles::scheme::{Heun, StochasticIntegrator};
use crate::pde::particles::{ParticleError, ParticleSystem, StepFailure};
use crate::random::LaneRng;
use crate::start::{FeatureLaw, LinearGaussianStart, Rows, StartError, StartLaw, Whitening};
use crate::state::{OrderParameters, check_on_sphere};

/// Builds a [`ParticleSystem`]; made by [`ParticleSystem::builder`], where the defaults are.
pub struct ParticleSystemBuilder<'a, M, T: Scalar = f64, I = Heun<T>> {
    model: &'a M,
    particles: usize,
    start: Start<'a, T>,
    whitening: Whitening<T>,
    noise: Noise,
    scheme: I,
    tolerance: Option<T>,
    node_budget: Option<usize>,
    most_steps: u64,
}

/// Where the rows come from.
enum Start<'a, T: Scalar> {
    Uninformative,
    Law(&'a dyn StartLaw<T>),
    Rows(Rows<T>),
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
            start: Start::Uninformative,
            whitening: Whitening::default(),
            noise: Noise::default(),
            scheme: Heun::default(),
            tolerance: None,
            node_budget: None,
            most_steps: 1_000_000,
        }
    }
}

impl<'a, T, S, H, A, G, P, I> ParticleSystemBuilder<'a, Model<T, S, H, A, G, P>, T, I>
where
    T: Compiled,
    S: Nonlinearity<T>,
    H: HiddenDistribution<T>,
    A: AugmentationNoise<T>,
    G: Regularizer<T>,
    P: Penalty<T>,
    I: StochasticIntegrator<T>,
{
    /// Draws the particles from that law. Default: features and weights with independent standard normal entries.
    #[must_use]
    pub fn start(mut self, law: &'a dyn StartLaw<T>) -> Self {
        self.start = Start::Law(law);
        self
    }

    /// Starts from these rows, say those of a simulation; they are whitened like drawn ones.
    #[must_use]
    pub fn rows(mut self, rows: Rows<T>) -> Self {
        self.start = Start::Rows(rows);
        self
    }

    /// Gives the rows those second moments exactly. Default: ⟨u uᵀ⟩ = I.
    #[must_use]
    pub fn whitening(mut self, whitening: Whitening<T>) -> Self {
        self.whitening = whitening;
        self
    }

    /// Gives the rows ⟨u uᵀ⟩ = I and exactly these order parameters: [`Whitening::State`].
    #[must_use]
    pub fn exact_start(self, state: &OrderParameters<T>) -> Self {
        self.whitening(Whitening::State(state.clone()))
    }

    /// Draws the normals in that way.
    #[must_use]
    pub fn noise(mut self, noise: Noise) -> Self {
        self.noise = noise;
        self
    }

    /// Steps with that scheme.
    #[must_use]
    pub fn scheme<J: StochasticIntegrator<T>>(
        self,
        scheme: J,
    ) -> ParticleSystemBuilder<'a, Model<T, S, H, A, G, P>, T, J> {
        let Self { model, particles, start, whitening, noise, tolerance, node_budget, most_steps, .. } = self;
        ParticleSystemBuilder { model, particles, start, whitening, noise, scheme, tolerance, node_budget, most_steps }
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
    pub fn seed(self, seed: u64) -> Result<ParticleSystem<'a, T, G, I>, ParticleError<T>> {
        self.build(LaneRng::seed_from_u64(seed))
    }

    /// The system, drawing the rows from `rng` and then one word, the seed of the streams from which the normals come.
    ///
    /// # Errors
    /// [`ParticleError::Shape`] if the start does not fit the model, [`ParticleError::Start`] if it cannot be drawn or
    /// whitened; [`ParticleError::Count`] for fewer than p + 2m + 2 particles under matched noise,
    /// [`ParticleError::Odd`] under antithetic noise; [`ParticleError::Start`] too under the sphere constraint for
    /// rows or exact second moments off the sphere, and for a neuron that is zero; [`ParticleError::Coefficients`] if the coefficients cannot be computed at the start.
    pub fn build<R: Rng>(self, mut rng: R) -> Result<ParticleSystem<'a, T, G, I>, ParticleError<T>> {
        let model = self.model;
        let mut limit = Limit::new(model).map_err(coefficients)?;
        if let Some(tolerance) = self.tolerance {
            limit = limit.tolerance(tolerance).map_err(coefficients)?;
        }
        if let Some(nodes) = self.node_budget {
            limit = limit.node_budget(nodes);
        }
        let mut rows = self.draw_rows(&mut rng)?;
        if model.constraint() == Constraint::Sphere {
            let exact = matches!((&self.start, &self.whitening), (Start::Rows(_), _) | (_, Whitening::State(_)));
            normalise(&mut rows, exact)?;
        }
        let rows = RowBuffers::new(rows, rng.next_u64());
        let update = (model.regularizer(), model.learning_rate() * model.weight_decay(), model.constraint());
        let field = Field::new(limit, update, self.noise, rows).map_err(ParticleError::Coefficients)?;
        Ok(ParticleSystem {
            field,
            scheme: self.scheme,
            time: T::zero(),
            next_size: T::zero(),
            error: T::zero(),
            most_steps: self.most_steps,
        })
    }

    fn draw_rows(&self, rng: &mut dyn Rng) -> Result<Rows<T>, ParticleError<T>> {
        let (p, m) = (self.model.n_features(), self.model.n_neurons());
        let uninformative;
        let law: &dyn StartLaw<T> = match &self.start {
            Start::Law(law) => *law,
            Start::Rows(rows) => {
                let mut rows = rows.clone();
                self.check((p, m), (rows.features.ncols(), rows.weights.ncols()), rows.features.nrows())?;
                rows.whiten(&self.whitening)?;
                return Ok(rows);
            }
            Start::Uninformative => {
                let state =
                    OrderParameters::from_parts(nalgebra::DMatrix::zeros(p, m), nalgebra::DMatrix::identity(m, m));
                uninformative = LinearGaussianStart::new(FeatureLaw::gaussian(), &state)?;
                &uninformative
            }
        };
        self.check((p, m), (law.n_features(), law.n_neurons()), self.particles)?;
        if self.noise == Noise::Antithetic {
            let half = Rows::draw(law, self.particles / 2, &self.whitening, rng)?;
            return Ok(twice(&half));
        }
        Ok(Rows::draw(law, self.particles, &self.whitening, rng)?)
    }

    fn check(
        &self,
        (features, neurons): (usize, usize),
        (start_features, start_neurons): (usize, usize),
        count: usize,
    ) -> Result<(), ParticleError<T>> {
        if (features, neurons) != (start_features, start_neurons) {
            return Err(ParticleError::Shape { features, neurons, start_features, start_neurons });
        }
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

/// Scales every neuron to ⟨w_i²⟩ = 1. Rows of which that was known before are not, they must have it.
fn normalise<T: Compiled>(rows: &mut Rows<T>, exact: bool) -> Result<(), ParticleError<T>> {
    let root = T::of_usize(rows.weights.nrows()).sqrt();
    for (neuron, mut w) in rows.weights.column_iter_mut().enumerate() {
        let norm = w.norm() / root;
        if exact || !(norm > T::zero()) {
            check_on_sphere(neuron, norm * norm).map_err(StartError::from)?;
        }
        w *= root / w.norm();
    }
    Ok(())
}
