//! Compressed SGD (theory §8): the weights in full, but for Gaussian noise no views. A batch is drawn as the weights see
//! it, and the rest of its gradient as one Gaussian matrix.
//!
//! Covers the update, for any regulariser. Not here: noise that is not Gaussian (see
//! [`DirectSgd`](crate::sgd::DirectSgd)).

use nalgebra::DMatrix;
use rand::{Rng, SeedableRng};

use crate::Scalar;
use crate::model::{Spec, fingerprint};
use crate::numerics::kernels::{Columns, dot};
use crate::numerics::lanes::dispatch;
use crate::random::{FillNormal, LaneRng, PerDraw};
use crate::save::{Fingerprint, SaveError};
use crate::sgd::batch::frame::Frame;
use crate::sgd::batch::span::Span;
use crate::sgd::batch::update::{Momentum, decayed};
use crate::sgd::builder::{Compressed, SimulatorBuilder};
use crate::sgd::checkpoint::SavedWeights;
use crate::sgd::present::Present;
use crate::sgd::{SgdError, SgdFailure, Simulator};
use crate::start::Features;
use crate::state::{Checkpoint, OrderParameters};

impl<'a, T: Scalar, M: Spec<Scalar = T>> SimulatorBuilder<'a, M, Compressed> {
    /// The simulator, drawing everything from a [`LaneRng`] with that seed.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_seeded(self, seed: u64) -> Result<CompressedSgd<'a, M, LaneRng>, SgdError<T>> {
        self.with(LaneRng::seed_from_u64(seed))
    }

    /// The simulator, drawing everything (features and start first, then samples) from `rng`.
    ///
    /// # Errors
    /// [`SgdError::NoiseNotGaussian`] if the model's noise is not Gaussian; [`SgdError::Start`] if features and start do not
    /// fit the model and the dimension, which must be N ≥ p + m.
    pub fn build<R: Rng>(self, rng: R) -> Result<CompressedSgd<'a, M, PerDraw<R>>, SgdError<T>> {
        self.with(PerDraw(rng))
    }

    fn with<R: Rng + FillNormal<T>>(self, mut rng: R) -> Result<CompressedSgd<'a, M, R>, SgdError<T>> {
        let Self { model, dimension, features, start, schedules, .. } = self;
        let present = Present::new(model, &schedules)?;
        let span = Span::new(model, "compressed SGD")?;
        let shape = (model.n_features(), model.n_neurons());
        let (features, weights) = start.place(dimension, shape, model.constraint(), features, &mut rng)?;
        let (n, m) = weights.shape();
        let p = features.n_features();
        let zeros = |length: usize| vec![T::zero(); length];
        Ok(CompressedSgd {
            model,
            rng,
            steps: 0,
            next: weights.clone(),
            momentum: Momentum::new(model.momentum(), weights.len()),
            present,
            features,
            weights,
            frame: Frame::new(n, p, m),
            overlaps: zeros(p * m),
            background: zeros(m * m),
            span,
            noise: zeros(n * m),
            noise_dots: zeros((p + m) * m),
            coefficients: zeros(p + 2 * m),
        })
    }
}

/// Online SGD at finite N under Gaussian noise, exact in law, with the weights in full but without the samples.
///
/// The weights see a sample only by c, by its noise z along the features and by its components ξ along their own
/// background parts, and its other components are Gaussian and independent of those. So the gradient of a whole batch
/// needs, once the errors e are there, no more than one N x m Gaussian matrix,
/// of covariance L Lᵀ = (1/B²) Σ_b Σ_vv' e_b^v D_vv' e_b^v'ᵀ per row, with its components in span(U, W) replaced by
/// those that were drawn. Per step and coordinate that is the rank of L, at most min(m, 2B), normals.
/// [`DirectSgd`](crate::sgd::DirectSgd) needs 2B.
///
/// Any regulariser, the sphere constraint and stop gradient are as in direct SGD. The frame of span(U, W) is built anew
/// from the weights at every step, orthogonal to rounding even where R − QᵀQ is nearly or exactly singular, so nothing
/// drifts.
///
/// ```
/// use contrastive_dynamics::integrate::Output;
/// use contrastive_dynamics::model::{GaussianNoise, Independent, L1, Law, Model, Tanh};
/// use contrastive_dynamics::sgd::{CompressedSgd, Simulator};
/// let model = Model::builder()
///     .nonlinearity(Tanh)
///     .hidden(Independent::new([Law::two_point(2.25)?])?)
///     .noise(GaussianNoise::correlated(0.3, -0.5)?)
///     .learning_rate(0.3)
///     .regularizer(L1)
///     .weight_decay(0.1)
///     .batch_size(16)
///     .build()?;
/// let mut sgd = CompressedSgd::builder(&model, 100).build_seeded(1)?;
/// let trajectory = sgd.run(1.0, &Output::Times(vec![0.0, 0.5, 1.0]))?;
/// assert_eq!(trajectory.work().samples, 1600);
/// assert_eq!(sgd.weights().shape(), (100, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The model is that of Meng and Wang ([arXiv 2406.06909](https://arxiv.org/abs/2406.06909)); the reduction is derived
/// in docs/theory.md, §8.
#[derive(Debug, Clone)]
pub struct CompressedSgd<'a, M: Spec, R> {
    model: &'a M,
    features: Features<M::Scalar>,
    weights: DMatrix<M::Scalar>,
    momentum: Momentum<M::Scalar>,
    present: Present<M::Scalar>,
    rng: R,
    steps: u64,
    /// The weights after the step.
    next: DMatrix<M::Scalar>,
    frame: Frame<M::Scalar>,
    /// Q_li at l·m + i and V_ia at i·m + a.
    overlaps: Vec<M::Scalar>,
    background: Vec<M::Scalar>,
    span: Span<M::Scalar>,
    /// One Gaussian vector of N numbers for each column of L.
    noise: Vec<M::Scalar>,
    /// The scalar products of noise j with U and the frame at j·(p + k) onwards.
    noise_dots: Vec<M::Scalar>,
    /// What one neuron's update takes of U, the frame and the noise.
    coefficients: Vec<M::Scalar>,
}

impl<'a, T: Scalar, M: Spec<Scalar = T>> CompressedSgd<'a, M, LaneRng> {
    /// A builder for that model at dimension N.
    #[must_use]
    pub fn builder(model: &'a M, dimension: usize) -> SimulatorBuilder<'a, M, Compressed> {
        SimulatorBuilder::new(model, dimension)
    }
}

impl<T: Scalar, M: Spec<Scalar = T>, R: Rng + FillNormal<T>> CompressedSgd<'_, M, R> {
    /// The features U.
    #[must_use]
    pub fn features(&self) -> &Features<T> {
        &self.features
    }

    /// The weights W, N x m.
    #[must_use]
    pub fn weights(&self) -> &DMatrix<T> {
        &self.weights
    }

    /// Writes the weights after the step; whether they are finite.
    ///
    /// w_i' = w_i − (τγ/N) φ(w_i) − (τ/(BN)) Σ_l (Σ e x̃)_li u_l − (τ/(B√N)) Σ_a (Σ e ξ)_ia ê_a + (τ/√N) Σ_j L_ij g_j, the
    /// g_j without their components along u_l and ê_a.
    fn advance(&mut self) -> bool {
        let (n, m) = self.weights.shape();
        let (p, k, rank) = (self.features.n_features(), self.frame.rank, self.span.noise_rank);
        let (features, frame) = (self.features.matrix().as_slice(), &self.frame.vectors[..k * n]);
        let noise = &self.noise[..rank * n];
        products(n, noise, [features, frame], &mut self.noise_dots);
        let (size, root) = (T::of_usize(n), T::of_usize(n).sqrt());
        let rate = self.present.numbers.learning_rate;
        let per_sample = rate / T::of_usize(self.model.batch_size());
        let decay = rate * self.present.numbers.weight_decay / size;
        let regularizer = self.model.regularizer();
        let mut finite = true;
        let columns = self.weights.as_slice().chunks_exact(n).zip(self.next.as_mut_slice().chunks_exact_mut(n));
        for (i, (w, next)) in columns.enumerate() {
            let (along, rest) = self.coefficients.split_at_mut(p);
            let (across, own) = rest.split_at_mut(k);
            let own = &mut own[..rank];
            for (j, own) in own.iter_mut().enumerate() {
                *own = rate / root * self.span.noise_factor[i * m + j];
            }
            let projected = |c: usize| {
                let terms = self.noise_dots.chunks_exact(p + k).zip(&*own);
                terms.fold(T::zero(), |sum, (dots, &a)| sum + a * dots[c])
            };
            for (l, along) in along.iter_mut().enumerate() {
                *along = -(per_sample * self.span.feature_sums[l * m + i] + projected(l)) / size;
            }
            for (a, across) in across.iter_mut().enumerate() {
                let norm = self.frame.norms[a];
                let drawn = per_sample / root * self.span.background_sums[i * m + a];
                *across = -(drawn + projected(p + a) / norm) / norm;
            }
            let parts = [
                Columns { data: features, stride: n, coefficients: along },
                Columns { data: frame, stride: n, coefficients: across },
                Columns { data: noise, stride: n, coefficients: own },
            ];
            finite &= decayed(next, w, decay, regularizer, parts).is_finite();
        }
        finite
    }
}

/// The scalar products of every g with every column of both parts, all of length n.
fn products<T: Scalar>(n: usize, noise: &[T], parts: [&[T]; 2], out: &mut [T]) {
    let columns = (parts[0].len() + parts[1].len()) / n;
    if columns == 0 {
        return;
    }
    dispatch(
        #[inline(always)]
        || {
            for (g, out) in noise.chunks_exact(n).zip(out.chunks_exact_mut(columns)) {
                for (out, x) in out.iter_mut().zip(parts[0].chunks_exact(n).chain(parts[1].chunks_exact(n))) {
                    *out = dot(g, x);
                }
            }
        },
    );
}

impl<T: Scalar, M: Spec<Scalar = T>, R: Rng + FillNormal<T>> Simulator for CompressedSgd<'_, M, R> {
    type Scalar = T;

    fn dimension(&self) -> usize {
        self.features.dimension()
    }

    fn batch_size(&self) -> usize {
        self.model.batch_size()
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    fn step(&mut self) -> Result<(), SgdFailure> {
        let n = self.features.dimension();
        if self.present.move_to(self.steps, n)? {
            self.span.set_noise(&self.present);
        }
        let features = self.features.matrix().as_slice();
        self.frame.build(features, &self.weights, &mut self.overlaps, &mut self.background);
        let model = (self.model, self.present.numbers.penalty_strength);
        self.span.draw(model, &self.overlaps, &self.background, self.frame.rank, &mut self.rng);
        self.rng.fill_normal(&mut self.noise[..self.span.noise_rank * n]);
        let mut finite = self.advance();
        finite = finite && self.momentum.finish(self.model.constraint(), &self.weights, &mut self.next);
        if !finite {
            return Err(SgdFailure::Diverged { step: self.steps + 1 });
        }
        std::mem::swap(&mut self.weights, &mut self.next);
        self.momentum.accept();
        self.steps += 1;
        Ok(())
    }

    fn order_parameters(&self) -> OrderParameters<T> {
        let scale = T::one() / T::of_usize(self.features.dimension());
        let q = self.features.matrix().tr_mul(&self.weights) * scale;
        let r = self.weights.tr_mul(&self.weights) * scale;
        OrderParameters::from_parts(q, r)
    }
}

impl<T: Scalar, M: Spec<Scalar = T>, R: Rng + FillNormal<T> + Clone> Checkpoint for CompressedSgd<'_, M, R> {
    type Saved = SavedWeights<T, R>;

    fn fingerprint(&self) -> Fingerprint {
        let work = Fingerprint::of("compressed SGD").and(fingerprint(self.model)).count(self.dimension() as u64);
        self.present.fingerprint(work)
    }

    fn saved(&self) -> SavedWeights<T, R> {
        SavedWeights::new(&self.features, &self.weights, self.momentum.velocity(), self.rng.clone(), self.steps)
    }

    fn restore(&mut self, mut saved: SavedWeights<T, R>) -> Result<(), SaveError> {
        let shape = (self.dimension(), self.model.n_features(), self.model.n_neurons());
        (self.features, self.weights) = saved.matrices(shape, &mut self.momentum)?;
        (self.rng, self.steps) = (saved.rng, saved.steps);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Constraint;
    use crate::sgd::tests::model;

    #[test]
    fn a_seed_fixes_the_run_and_the_sphere_keeps_norms() {
        let model = model(Constraint::Sphere, 0.3);
        let run = || {
            let mut sgd = CompressedSgd::builder(&model, 30).build_seeded(9).unwrap();
            for _ in 0..60 {
                sgd.step().unwrap();
            }
            sgd.weights().clone()
        };
        assert_eq!(run(), run());
        assert!(run().column_iter().all(|w| (w.norm_squared() - 30.0).abs() < 1e-12));
    }

    #[test]
    fn weights_that_overflow_are_a_divergence_and_the_state_stays() {
        for constraint in [Constraint::None, Constraint::Sphere] {
            let model = model(constraint, 1e200);
            let mut sgd = CompressedSgd::builder(&model, 20).build_seeded(5).unwrap();
            let before = sgd.weights().clone();
            assert_eq!(sgd.step(), Err(SgdFailure::Diverged { step: 1 }));
            assert_eq!((sgd.weights(), sgd.steps()), (&before, 0));
        }
    }
}
