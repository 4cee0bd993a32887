//! One batch as the weights see it (theory §8): its components in span(U, W), and what they leave of the rest.
//!
//! Covers drawing c, z and ξ of every sample, the fields h = Qᵀx̃ + Vξ, the errors e, their sums against x̃ and ξ, and the
//! factor L of the noise that the remaining N − p − k coordinates see. Everything the gradient of a batch of Gaussian
//! views is made of, without a loop over N. Not here: the weights themselves.

use rand::Rng;

use crate::Scalar;
use crate::model::{AugmentationNoise, HiddenDistribution, Spec};
use crate::numerics::kernels::{add_scaled, dot, fill_normals};
use crate::numerics::lanes::dispatch;
use crate::numerics::triangle::factor_rows;
use crate::sgd::SgdError;
use crate::sgd::batch::error_signals::Batch;
use crate::sgd::present::Present;

/// From this batch size on vector instructions are worth choosing at run time.
const WIDE: usize = 4;

/// p, m, k and B.
#[derive(Clone, Copy)]
struct Shape {
    p: usize,
    m: usize,
    k: usize,
    size: usize,
}

/// A batch in the orthonormal frame u_l/√N, ê_a of span(U, W), where w_i = Σ_l Q_li u_l + √N Σ_a V_ia ê_a.
#[derive(Debug, Clone)]
pub(in crate::sgd) struct Span<T> {
    features: usize,
    neurons: usize,
    size: usize,
    /// Factors of K^f (none if it is zero) and D, and the latter over B.
    along: Option<[[T; 2]; 2]>,
    across: [[T; 2]; 2],
    across_per_sample: [[T; 2]; 2],
    /// c of every sample, p numbers each.
    hidden: Vec<T>,
    /// x̃_l, 2B numbers for each l: view 1 of every sample, then view 2. Before that, two normals.
    overlaps: Vec<T>,
    /// ξ_a, in the same way.
    background: Vec<T>,
    batch: Batch<T>,
    /// (e_i · columns of the factor of D)/B: m rows of 2B numbers.
    noise: Vec<T>,
    /// Σ_bv e_i x̃_l at l·m + i.
    pub(in crate::sgd) feature_sums: Vec<T>,
    /// Σ_bv e_i ξ_a at i·m + a.
    pub(in crate::sgd) background_sums: Vec<T>,
    /// L at i·m + j, with L Lᵀ = (1/B²) Σ_b Σ_vv' e_b^v D_vv' e_b^v'ᵀ, and its rank.
    pub(in crate::sgd) noise_factor: Vec<T>,
    pub(in crate::sgd) noise_rank: usize,
}

impl<T: Scalar> Span<T> {
    /// Room for the batches of that model.
    pub(in crate::sgd) fn new<M: Spec<Scalar = T>>(model: &M, simulator: &'static str) -> Result<Self, SgdError<T>> {
        if !model.noise().is_gaussian() {
            return Err(SgdError::NoiseNotGaussian { simulator });
        }
        let (p, m, size) = (model.n_features(), model.n_neurons(), model.batch_size());
        let along = model.noise().feature_covariance();
        let zero = along.to_array().as_flattened().iter().all(|&k| k == T::zero());
        let across = model.view_covariance().factor();
        let zeros = |length: usize| vec![T::zero(); length];
        Ok(Self {
            features: p,
            neurons: m,
            size,
            along: (!zero).then(|| along.factor()),
            across,
            across_per_sample: across.map(|row| row.map(|x| x / T::of_usize(size))),
            hidden: zeros(size * p),
            overlaps: zeros(2 * size * p),
            background: zeros(2 * size * m),
            batch: Batch::new(m, size),
            noise: zeros(2 * size * m),
            feature_sums: zeros(p * m),
            background_sums: zeros(m * m),
            noise_factor: zeros(m * m),
            noise_rank: 0,
        })
    }

    /// Draws with the noise in force from now on.
    pub(in crate::sgd) fn set_noise(&mut self, present: &Present<T>) {
        let along = present.numbers.feature_noise;
        self.along = self.along.map(|_| along.factor());
        self.across = present.views().factor();
        self.across_per_sample = self.across.map(|row| row.map(|x| x / T::of_usize(self.size)));
    }

    /// Draws a batch and leaves its sums and L. λ is that of the model, if no other is in force. `q` is Q at l·m + i, `v` is V at
    /// i·m + a, with k columns.
    #[inline(always)]
    pub(in crate::sgd) fn draw<M: Spec<Scalar = T>, R: Rng>(
        &mut self,
        (model, strength): (&M, Option<T>),
        q: &[T],
        v: &[T],
        k: usize,
        rng: &mut R,
    ) {
        let (size, length) = (self.size, 2 * self.size);
        if self.along.is_some() {
            fill_normals(rng, &mut self.overlaps);
        } else {
            self.overlaps.fill(T::zero());
        }
        fill_normals(rng, &mut self.background[..k * length]);
        for c in self.hidden.chunks_exact_mut(self.features) {
            model.hidden().sample(rng, c);
        }
        let model = (model, strength);
        // The commonest shapes as constants: a third faster, since loops of length 1 and 2 are mostly overhead.
        let shape = Shape { p: self.features, m: self.neurons, k, size };
        match shape {
            Shape { p: 1, m: 1, k: 1, size: 1 } => self.reduce(model, q, v, Shape { p: 1, m: 1, k: 1, size: 1 }),
            Shape { p: 1, m: 2, k: 2, size: 1 } => self.reduce(model, q, v, Shape { p: 1, m: 2, k: 2, size: 1 }),
            Shape { size: 0..WIDE, .. } => self.reduce(model, q, v, shape),
            Shape { p: 1, m: 1, k: 1, size } => dispatch(
                #[inline(always)]
                || self.reduce(model, q, v, Shape { p: 1, m: 1, k: 1, size }),
            ),
            _ => dispatch(
                #[inline(always)]
                || self.reduce(model, q, v, shape),
            ),
        }
    }

    /// From the draws to the sums.
    #[inline(always)]
    fn reduce<M: Spec<Scalar = T>>(&mut self, model: (&M, Option<T>), q: &[T], v: &[T], shape: Shape) {
        let Shape { p, m, k, size } = shape;
        let length = 2 * size;
        if let Some(factor) = self.along {
            colour(&mut self.overlaps, size, factor);
        }
        for (l, views) in self.overlaps.chunks_exact_mut(length).enumerate() {
            for view in views.chunks_exact_mut(size) {
                for (x, c) in view.iter_mut().zip(self.hidden.chunks_exact(p)) {
                    *x += c[l];
                }
            }
        }
        colour(&mut self.background[..k * length], size, self.across);
        let (overlaps, background) = (&self.overlaps, &self.background);
        let along = |l: usize| &overlaps[l * length..(l + 1) * length];
        let across = |a: usize| &background[a * length..(a + 1) * length];
        for i in 0..m {
            let h = self.batch.fields_mut(i, size);
            for (h, &x) in h.iter_mut().zip(along(0)) {
                *h = q[i] * x;
            }
            for l in 1..p {
                add_scaled(q[l * m + i], along(l), h);
            }
            for a in 0..k {
                add_scaled(v[i * m + a], across(a), h);
            }
        }
        self.batch.error_signals(model, m, size);
        let [[d11, _], [d21, d22]] = self.across_per_sample;
        for i in 0..m {
            let e = self.batch.errors(i, size);
            for l in 0..p {
                self.feature_sums[l * m + i] = dot(e, along(l));
            }
            for a in 0..k {
                self.background_sums[i * m + a] = dot(e, across(a));
            }
            let (e1, e2) = e.split_at(size);
            let (n1, n2) = self.noise[i * length..(i + 1) * length].split_at_mut(size);
            for ((n1, n2), (&e1, &e2)) in n1.iter_mut().zip(n2).zip(e1.iter().zip(e2)) {
                *n1 = d11 * e1 + d21 * e2;
                *n2 = d22 * e2;
            }
        }
        self.noise_rank = factor_rows(&mut self.noise, length, &mut self.noise_factor, m);
    }
}

/// Turns independent normals into pairs over the views: every 2B numbers are view 1 of B samples, then view 2.
#[inline(always)]
fn colour<T: Scalar>(normals: &mut [T], size: usize, [[l11, _], [l21, l22]]: [[T; 2]; 2]) {
    for pair in normals.chunks_exact_mut(2 * size) {
        let (first, second) = pair.split_at_mut(size);
        for (x1, x2) in first.iter_mut().zip(second) {
            *x2 = l21 * *x1 + l22 * *x2;
            *x1 *= l11;
        }
    }
}
