//! The projected chain (theory §8): under a linear regulariser and Gaussian noise the order parameters are themselves a
//! Markov chain, simulated exactly in law at a cost that does not depend on N.
//!
//! Covers the chain of (Q, V), R = QᵀQ + V Vᵀ, and its builder. Not here: weights (there are none), other regularisers and
//! other noise (see [`CompressedSgd`](crate::sgd::CompressedSgd) and [`DirectSgd`](crate::sgd::DirectSgd)).

use nalgebra::DMatrix;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::Scalar;
use crate::model::{AugmentationNoise, Constraint, InForce, LinearRegularizer, Spec, fingerprint};
use crate::numerics::kernels::fill_normals;
use crate::numerics::triangle::{factor_covariance, factor_rows};
use crate::random::chi_squared;
use crate::save::{Fingerprint, SaveError};
use crate::sgd::batch::span::Span;
use crate::sgd::builder::{Projected, SimulatorBuilder};
use crate::sgd::present::Present;
use crate::sgd::{SgdError, SgdFailure, Simulator};
use crate::start::StartError;
use crate::state::{Checkpoint, OrderParameters};

impl<'a, T: Scalar, M: Spec<Scalar = T, Regularizer: LinearRegularizer<T>>> SimulatorBuilder<'a, M, Projected> {
    /// The chain, drawing everything from a xoshiro256++ generator with that seed.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_seeded(self, seed: u64) -> Result<ProjectedChain<'a, M, Xoshiro256PlusPlus>, SgdError<T>> {
        self.build(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// The chain, drawing everything (the start first, then samples) from `rng`.
    ///
    /// # Errors
    /// [`SgdError::NoiseNotGaussian`] if the model's noise is not Gaussian; [`SgdError::Start`] if the start does not fit the
    /// model and the dimension, which must be N ≥ p + m.
    pub fn build<R: Rng>(self, mut rng: R) -> Result<ProjectedChain<'a, M, R>, SgdError<T>> {
        let (n, p, m) = (self.dimension, self.model.n_features(), self.model.n_neurons());
        let span = Span::new(self.model, SIMULATOR)?;
        let (q, v, rank) = self.draw_start(&mut rng)?;
        let present = Present::new(self.model, &self.schedules)?;
        let mut chain = ProjectedChain {
            model: self.model,
            dimension: n,
            rng,
            steps: 0,
            next: State { q: q.clone(), v: v.clone(), rank },
            rounded: (vec![T::zero(); p * m], vec![T::zero(); m * m]),
            state: State { q, v, rank },
            span,
            rates: Rates::new(self.model, &present.numbers, n),
            present,
            rows: vec![0.0; 2 * m * m],
            bartlett: vec![0.0; m * m],
        };
        let constraint = self.model.constraint();
        if constraint != Constraint::None && !chain.state.constrain(constraint, m) {
            return Err(StartError::Dependent.into());
        }
        Ok(chain)
    }

    /// Q, V and the rank of V Vᵀ at the start.
    pub(in crate::sgd) fn draw_start<R: Rng>(&self, rng: &mut R) -> Result<(Vec<f64>, Vec<f64>, usize), SgdError<T>> {
        let (n, p, m) = (self.dimension, self.model.n_features(), self.model.n_neurons());
        if !self.model.noise().is_gaussian() {
            return Err(SgdError::NoiseNotGaussian { simulator: SIMULATOR });
        }
        if self.model.momentum() != T::zero() {
            return Err(SgdError::Momentum { simulator: SIMULATOR });
        }
        let start = self.start.order_parameters(n, (p, m), self.model.constraint(), rng)?;
        let q: Vec<f64> = start.q().transpose().iter().map(|x| x.as_f64()).collect();
        let mut background: Vec<f64> = start.r().iter().map(|x| x.as_f64()).collect();
        // R − QᵀQ is known to the rounding of R only, each neuron to that of its own.
        let rounding = FACTOR_ULPS * m as f64 * T::EPSILON.as_f64();
        let tolerances: Vec<f64> = (0..m).map(|i| rounding * background[i * m + i]).collect();
        for i in 0..m {
            for j in 0..m {
                background[i * m + j] -= (0..p).map(|l| q[l * m + i] * q[l * m + j]).sum::<f64>();
            }
        }
        let mut v = vec![0.0; m * m];
        let rank = factor_covariance(&mut background, &tolerances, &mut v, m);
        Ok((q, v, rank))
    }
}

/// A variance of the background that is below so many ulp of R_ii, for each neuron that there is, is zero but for rounding.
const FACTOR_ULPS: f64 = 4.0;

/// As errors call it.
const SIMULATOR: &str = "the projected chain";

/// (Q, V): w_i = Σ_l Q_li u_l + √N Σ_a V_ia ê_a in some orthonormal frame. In double precision whatever T is, because
/// a step moves it by a part of order 1/N.
#[derive(Debug, Clone)]
struct State {
    /// Q_li at l·m + i.
    q: Vec<f64>,
    /// V_ia at i·m + a, k columns.
    v: Vec<f64>,
    /// k, the rank of R − QᵀQ.
    rank: usize,
}

impl State {
    /// R_ij.
    fn covariance(&self, m: usize, i: usize, j: usize) -> f64 {
        let overlaps = self.q.chunks_exact(m).map(|q| q[i] * q[j]);
        let background = self.v[i * m..(i + 1) * m].iter().zip(&self.v[j * m..(j + 1) * m]).map(|(x, y)| x * y);
        overlaps.chain(background).sum()
    }

    /// Scales every neuron to R_ii = 1.
    fn normalise(&mut self, m: usize) {
        for i in 0..m {
            let scale = 1.0 / self.covariance(m, i, i).sqrt();
            let overlaps = self.q.iter_mut().skip(i).step_by(m);
            for x in overlaps.chain(&mut self.v[i * m..(i + 1) * m]) {
                *x *= scale;
            }
        }
    }

    /// Brings the weights to the constraint; false if that cannot be.
    pub(super) fn constrain(&mut self, constraint: Constraint, m: usize) -> bool {
        if m == 1 || !constraint.fixes_covariance() {
            self.normalise(m);
            return true;
        }
        let r = DMatrix::from_fn(m, m, |i, j| self.covariance(m, i, j));
        let Some(correction) = constraint.correction(&r) else { return false };
        for q in self.q.chunks_exact_mut(m) {
            let row: Vec<f64> = (0..m).map(|j| (0..m).map(|i| q[i] * correction[(i, j)]).sum()).collect();
            q.copy_from_slice(&row);
        }
        let v = self.v.clone();
        for (at, x) in self.v.iter_mut().enumerate() {
            let (j, a) = (at / m, at % m);
            *x = (0..m).map(|i| correction[(i, j)] * v[i * m + a]).sum();
        }
        true
    }

    /// Whether Q and R are finite in the precision in which they are read: the trace of R bounds every entry.
    fn is_finite<T: Scalar>(&self) -> bool {
        T::lit(self.q.iter().chain(&self.v).map(|x| x * x).sum::<f64>()).is_finite()
    }
}

/// τ/N, τ/(NB) and 1 − τγφ'/N.
#[derive(Debug, Clone, Copy)]
struct Rates {
    step: f64,
    per_sample: f64,
    keep: f64,
}

impl Rates {
    fn new<T, M>(model: &M, numbers: &InForce<T>, dimension: usize) -> Self
    where
        T: Scalar,
        M: Spec<Scalar = T, Regularizer: LinearRegularizer<T>>,
    {
        let step = numbers.learning_rate.as_f64() / dimension as f64;
        let decay = numbers.weight_decay.as_f64() * model.regularizer().slope().as_f64();
        Self { step, per_sample: step / model.batch_size() as f64, keep: 1.0 - step * decay }
    }
}

/// The Markov chain of the order parameters (Q, R) under online SGD at dimension N, without the N-dimensional weights.
///
/// With R − QᵀQ = V Vᵀ of rank k, a sample enters only by c, by its noise z along the features, and by its components ξ
/// along the k background directions of the weights; h = Qᵀx̃ + Vξ, x̃ = c + z. The other N − p − k coordinates add a
/// Wishart matrix to R:
///
/// ```text
/// Q' = (1 − τγ/N) Q − (τ/(NB)) Σ x̃ eᵀ,   V' = (1 − τγ/N) V − (τ/(NB)) Σ e ξᵀ,
/// R' = Q'ᵀQ' + V'V'ᵀ + (τ²/N²) L Wishart(I, N − p − k) Lᵀ,   L Lᵀ = (1/B²) Σ_b Σ_vv' e_b^v D_vv' e_b^v'ᵀ
/// ```
///
/// This is exact in law at every N ≥ p + m, the sphere constraint and stop gradient included, and the cost of a step is
/// the same at N = 10⁹ as at N = 10. Two limits: the noise must be Gaussian, and the regulariser linear (or the
/// weight decay zero). The latter is checked by the compiler:
///
/// ```compile_fail
/// use contrastive_dynamics::model::{Independent, L1, Law, Model, NoNoise, Tanh};
/// use contrastive_dynamics::sgd::ProjectedChain;
/// let hidden = Independent::new([Law::two_point(1.0).unwrap()]).unwrap();
/// let model = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(NoNoise).learning_rate(0.1);
/// let model = model.regularizer(L1).weight_decay(0.1).build().unwrap();
/// let chain = ProjectedChain::builder(&model, 100); // L1 is not linear: use CompressedSgd.
/// ```
///
/// (Q, V) are kept in double precision for `f32` models too, since a step moves them by order 1/N.
///
/// ```
/// use contrastive_dynamics::state::OrderParameters;
/// use contrastive_dynamics::integrate::Output;
/// use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
/// use contrastive_dynamics::sgd::{ProjectedChain, Simulator};
/// let model = Model::builder()
///     .nonlinearity(Tanh)
///     .hidden(Independent::new([Law::two_point(2.25)?])?)
///     .noise(GaussianNoise::correlated(0.3, -0.5)?)
///     .learning_rate(0.3)
///     .build()?;
/// let start = OrderParameters::from_rows(1, 1, &[0.4], &[0.8])?;
/// let mut chain = ProjectedChain::builder(&model, 1_000_000_000).start(&start).build_seeded(1)?;
/// let trajectory = chain.run(1e-6, &Output::EverySteps(500))?; // a thousand steps
/// assert_eq!(trajectory.times(), [0.0, 5e-7, 1e-6]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The model is that of Meng and Wang ([arXiv 2406.06909](https://arxiv.org/abs/2406.06909)); the chain is derived in
/// docs/theory.md, §8.
#[derive(Debug, Clone)]
pub struct ProjectedChain<'a, M: Spec, R> {
    model: &'a M,
    dimension: usize,
    rng: R,
    steps: u64,
    state: State,
    next: State,
    /// Q and V in the precision of the model.
    rounded: (Vec<M::Scalar>, Vec<M::Scalar>),
    span: Span<M::Scalar>,
    rates: Rates,
    present: Present<M::Scalar>,
    /// (V', (τ/N) L·Bartlett): m rows of up to 2m numbers.
    rows: Vec<f64>,
    /// The lower triangular factor of the Wishart matrix, by rows.
    bartlett: Vec<f64>,
}

impl<'a, T: Scalar, M: Spec<Scalar = T, Regularizer: LinearRegularizer<T>>> ProjectedChain<'a, M, Xoshiro256PlusPlus> {
    /// A builder for that model at dimension N.
    #[must_use]
    pub fn builder(model: &'a M, dimension: usize) -> SimulatorBuilder<'a, M, Projected> {
        SimulatorBuilder::new(model, dimension)
    }
}

impl<T: Scalar, M: Spec<Scalar = T, Regularizer: LinearRegularizer<T>>, R: Rng> ProjectedChain<'_, M, R> {
    /// Draws Bartlett's factor T of a Wishart matrix T Tᵀ of order `order` with that many degrees of freedom: chi
    /// variables on the diagonal, normals below. With fewer degrees than `order` the matrix is singular, and T has a
    /// column for each degree.
    #[inline(always)]
    fn draw_bartlett(&mut self, order: usize, degrees: usize) {
        let m = self.model.n_neurons();
        for i in 0..order {
            let row = &mut self.bartlett[i * m..i * m + order];
            fill_normals(&mut self.rng, &mut row[..i.min(degrees)]);
            row[i.min(degrees)..].fill(0.0);
            if i < degrees {
                row[i] = chi_squared(degrees - i, &mut self.rng).sqrt();
            }
        }
    }

    /// The next state from the sums that the span of the last batch holds.
    #[inline(always)]
    fn advance(&mut self) {
        let (m, k, rank) = (self.model.n_neurons(), self.state.rank, self.span.noise_rank);
        let Rates { step: rate, per_sample, keep } = self.rates;
        for ((next, &q), &sum) in self.next.q.iter_mut().zip(&self.state.q).zip(&self.span.feature_sums) {
            *next = keep * q - per_sample * sum.as_f64();
        }
        let width = k + rank;
        for i in 0..m {
            let row = &mut self.rows[i * width..(i + 1) * width];
            for a in 0..k {
                row[a] = keep * self.state.v[i * m + a] - per_sample * self.span.background_sums[i * m + a].as_f64();
            }
            for j in 0..rank {
                let product = |c: usize| self.span.noise_factor[i * m + c].as_f64() * self.bartlett[c * m + j];
                row[k + j] = rate * (j..rank).map(product).sum::<f64>();
            }
        }
        self.next.rank = factor_rows(&mut self.rows[..m * width], width, &mut self.next.v, m);
    }
}

impl<T: Scalar, M: Spec<Scalar = T, Regularizer: LinearRegularizer<T>>, R: Rng> Simulator for ProjectedChain<'_, M, R> {
    type Scalar = T;

    fn dimension(&self) -> usize {
        self.dimension
    }

    fn batch_size(&self) -> usize {
        self.model.batch_size()
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    fn step(&mut self) -> Result<(), SgdFailure> {
        if self.present.move_to(self.steps, self.dimension)? {
            self.span.set_noise(&self.present);
        }
        if self.present.is_scheduled() {
            self.rates = Rates::new(self.model, &self.present.numbers, self.dimension);
        }
        let k = self.state.rank;
        let (q, v) = (&mut self.rounded.0, &mut self.rounded.1);
        for (rounded, &x) in q.iter_mut().zip(&self.state.q).chain(v.iter_mut().zip(&self.state.v)) {
            *rounded = T::lit(x);
        }
        self.span.draw((self.model, self.present.numbers.penalty_strength), q, v, k, &mut self.rng);
        self.draw_bartlett(self.span.noise_rank, self.dimension - self.model.n_features() - k);
        self.advance();
        let mut finite = self.next.is_finite::<T>();
        // A norm that is not finite would scale its neuron to zero.
        let constraint = self.model.constraint();
        if constraint != Constraint::None && finite {
            finite = self.next.constrain(constraint, self.model.n_neurons()) && self.next.is_finite::<T>();
        }
        if !finite {
            return Err(SgdFailure::Diverged { step: self.steps + 1 });
        }
        std::mem::swap(&mut self.state, &mut self.next);
        self.steps += 1;
        Ok(())
    }

    fn order_parameters(&self) -> OrderParameters<T> {
        let (p, m) = (self.model.n_features(), self.model.n_neurons());
        let q = DMatrix::from_fn(p, m, |l, i| T::lit(self.state.q[l * m + i]));
        let r = DMatrix::from_fn(m, m, |i, j| T::lit(self.state.covariance(m, i, j)));
        OrderParameters::from_parts(q, r)
    }
}

/// What is kept of a [`ProjectedChain`]: Q, V, the generator R, and the number of steps.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SavedChain<R> {
    q: Vec<f64>,
    v: Vec<f64>,
    rank: usize,
    rng: R,
    steps: u64,
}

impl<T, M, R> Checkpoint for ProjectedChain<'_, M, R>
where
    T: Scalar,
    M: Spec<Scalar = T, Regularizer: LinearRegularizer<T>>,
    R: Rng + Clone,
{
    type Saved = SavedChain<R>;

    fn fingerprint(&self) -> Fingerprint {
        let work = Fingerprint::of("the projected chain").and(fingerprint(self.model)).count(self.dimension as u64);
        self.present.fingerprint(work)
    }

    fn saved(&self) -> SavedChain<R> {
        let State { q, v, rank } = self.state.clone();
        SavedChain { q, v, rank, rng: self.rng.clone(), steps: self.steps }
    }

    fn restore(&mut self, saved: SavedChain<R>) -> Result<(), SaveError> {
        let SavedChain { q, v, rank, rng, steps } = saved;
        if q.len() != self.state.q.len() || v.len() != self.state.v.len() || rank > self.model.n_neurons() {
            return Err(SaveError::content("its overlaps are of another number"));
        }
        let state = State { q, v, rank };
        if !state.is_finite::<T>() {
            return Err(SaveError::content("its overlaps are not finite"));
        }
        self.state = state;
        (self.rng, self.steps) = (rng, steps);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sgd::tests::{Plain, model};

    /// Mean of every entry of T Tᵀ for Wishart matrices of more and of fewer degrees of freedom than their order: n on
    /// the diagonal, 0 off it; and E[|T Tᵀ|] = n(n−1)(n−2), which is 0 for n < 3 exactly.
    #[test]
    fn bartlett_factors_have_the_moments_of_wishart_matrices() {
        let three = model(Constraint::None, 0.3);
        let mut chain = ProjectedChain::builder(&three, 30).build_seeded(3).unwrap();
        let runs = 40_000;
        for degrees in [0, 1, 2, 3, 4, 12] {
            let draw = |chain: &mut ProjectedChain<'_, Plain, _>| {
                chain.draw_bartlett(3, degrees);
                let t = DMatrix::from_row_slice(3, 3, &chain.bartlett);
                &t * t.transpose()
            };
            let draws: Vec<_> = (0..runs).map(|_| draw(&mut chain)).collect();
            let n = degrees as f64;
            let z = |f: &dyn Fn(&DMatrix<f64>) -> f64, expected: f64| {
                let mean = draws.iter().map(f).sum::<f64>() / f64::from(runs);
                let variance = draws.iter().map(|w| (f(w) - mean).powi(2)).sum::<f64>() / f64::from(runs);
                (mean - expected) / (variance / f64::from(runs)).sqrt().max(1e-12)
            };
            for i in 0..3 {
                // Five standard errors, 42 statistics: false alarms below 3e-5.
                assert!(z(&|w| w[(i, i)], n).abs() < 5.0, "{degrees}");
                assert!(z(&|w| w[(i, (i + 1) % 3)], 0.0).abs() < 5.0, "{degrees}");
            }
            assert!(z(&DMatrix::determinant, n * (n - 1.0) * (n - 2.0)).abs() < 5.0, "{degrees}");
        }
    }
}
