//! Direct SGD (theory §1): every view of every sample is drawn in full, any noise, any regulariser. The reference.
//!
//! Gaussian noise needs two normals per coordinate and sample: the pair (a + s¹, a + s²) has covariance D in the
//! background, and its components along the features are replaced by x̃ = c + z, z of covariance K^f, which is exact
//! because the two are independent. Colouring and replacement are linear, so they are done to scalar products and
//! to coefficients of the update: the normals themselves are written once, read once for the products, and read once for
//! the update.

use nalgebra::DMatrix;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::Scalar;
use crate::model::{AugmentationNoise, HiddenDistribution, ScheduleError, Spec, ViewCovariance, fingerprint};
use crate::numerics::kernels::{Columns, add_scaled, dot};
use crate::numerics::lanes::dispatch;
use crate::random::{FillNormal, LaneRng, PerDraw};
use crate::save::{Fingerprint, SaveError};
use crate::sgd::batch::error_signals::Batch;
use crate::sgd::batch::update::{Momentum, decayed};
use crate::sgd::builder::{Direct, SimulatorBuilder, Views};
use crate::sgd::checkpoint::SavedWeights;
use crate::sgd::present::Present;
use crate::sgd::{SgdError, SgdFailure, Simulator};
use crate::start::{Features, check_memory};
use crate::state::{Checkpoint, OrderParameters};

impl<'a, T: Scalar, M: Spec<Scalar = T>> SimulatorBuilder<'a, M, Direct> {
    /// The simulator, drawing everything from a [`LaneRng`] with that seed.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_seeded(self, seed: u64) -> Result<DirectSgd<'a, M, LaneRng>, SgdError<T>> {
        self.with(LaneRng::seed_from_u64(seed))
    }

    /// The simulator, drawing everything (features and start first, then samples) from `rng`.
    ///
    /// # Errors
    /// [`SgdError::Start`] if features and start do not fit the model and the dimension, which must be N ≥ p + m;
    /// [`SgdError::Schedule`] if schedules do not suit the model; [`SgdError::Anisotropic`] for views of your own beside noise that
    /// is not isotropic.
    pub fn build<R: Rng>(self, rng: R) -> Result<DirectSgd<'a, M, PerDraw<R>>, SgdError<T>> {
        self.with(PerDraw(rng))
    }

    fn with<R: Rng + FillNormal<T>>(self, mut rng: R) -> Result<DirectSgd<'a, M, R>, SgdError<T>> {
        let Self { model, dimension, features, start, schedules, views, .. } = self;
        let noise = model.noise();
        if views.is_some() && noise.feature_covariance() != noise.background_covariance() {
            return Err(SgdError::Anisotropic);
        }
        let shape = (model.n_features(), model.n_neurons());
        check_memory::<T>(dimension, model.batch_size().saturating_mul(2))?;
        let (features, weights) = start.place(dimension, shape, model.constraint(), features, &mut rng)?;
        let present = Present::new(model, &schedules)?;
        Ok(DirectSgd::new(model, (features, weights), present, views, rng))
    }
}

/// Direct simulation of online SGD: N-dimensional samples, weights in full.
///
/// ```
/// use contrastive_dynamics::integrate::Output;
/// use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
/// use contrastive_dynamics::sgd::{DirectSgd, Simulator};
/// use contrastive_dynamics::state::OrderParameters;
/// let model = Model::builder()
///     .nonlinearity(Tanh)
///     .hidden(Independent::new([Law::two_point(2.25)?])?)
///     .noise(GaussianNoise::correlated(0.3, -0.5)?)
///     .learning_rate(0.3)
///     .build()?;
/// let start = OrderParameters::from_rows(1, 1, &[0.4], &[0.8])?;
/// let mut sgd = DirectSgd::builder(&model, 100).start(&start).build_seeded(1)?;
/// let trajectory = sgd.run(1.0, &Output::Times(vec![0.0, 0.5, 1.0]))?;
/// assert_eq!(trajectory.times(), [0.0, 0.5, 1.0]);
/// assert_eq!(trajectory.work().samples, 100);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[doc(alias = "OnlineSgd")]
pub struct DirectSgd<'a, M: Spec, R> {
    model: &'a M,
    features: Features<M::Scalar>,
    weights: DMatrix<M::Scalar>,
    momentum: Momentum<M::Scalar>,
    present: Present<M::Scalar>,
    rng: R,
    steps: u64,
    /// What views are made of: sample b, part v in rows (2b + v)·N onwards.
    parts: Vec<M::Scalar>,
    /// Whether parts are normals that make the views of all samples alike; else they are the views.
    by_parts: bool,
    /// What makes views of samples, and a sample.
    views: Option<Views<'a, M::Scalar>>,
    clean: Vec<M::Scalar>,
    /// Whether noise is added to them.
    noisy: bool,
    /// View v of sample b is Σ_v' colour_vv' part_v' + Σ_l shift_bvl u_l/√N.
    colour: [[M::Scalar; 2]; 2],
    /// shift_bvl at (2b + v)·p + l.
    shifts: Vec<M::Scalar>,
    /// Scalar products of every part with u_l and w_i: p + m numbers each.
    products: Vec<M::Scalar>,
    /// Q_li at l + i·p.
    overlaps: Vec<M::Scalar>,
    /// Of the update: for every neuron those of the parts, then those of the features.
    coefficients: Vec<M::Scalar>,
    batch: Batch<M::Scalar>,
    hidden: Vec<M::Scalar>,
    /// The weights after a step.
    next: DMatrix<M::Scalar>,
}

impl<'a, T: Scalar, M: Spec<Scalar = T>> DirectSgd<'a, M, LaneRng> {
    /// A builder for that model at dimension N.
    #[must_use]
    pub fn builder(model: &'a M, dimension: usize) -> SimulatorBuilder<'a, M, Direct> {
        SimulatorBuilder::new(model, dimension)
    }
}

impl<'a, T: Scalar, M: Spec<Scalar = T>, R: Rng + FillNormal<T>> DirectSgd<'a, M, R> {
    fn new(
        model: &'a M,
        (features, weights): (Features<T>, DMatrix<T>),
        present: Present<T>,
        views: Option<Views<'a, T>>,
        rng: R,
    ) -> Self {
        let (batch, p, m) = (model.batch_size(), model.n_features(), model.n_neurons());
        let zeros = |length: usize| vec![T::zero(); length];
        let (zero, one) = (T::zero(), T::one());
        let is_zero = model.noise().background_covariance() == ViewCovariance::zero();
        let by_parts = model.noise().is_gaussian() && views.is_none();
        Self {
            model,
            next: weights.clone(),
            momentum: Momentum::new(model.momentum(), weights.len()),
            present,
            rng,
            steps: 0,
            parts: zeros(2 * batch * features.dimension()),
            colour: if by_parts { model.view_covariance().factor() } else { [[one, zero], [zero, one]] },
            clean: zeros(if views.is_some() { features.dimension() } else { 0 }),
            noisy: views.is_none() || !is_zero,
            views,
            by_parts,
            shifts: zeros(2 * batch * p),
            products: zeros(2 * batch * (p + m)),
            overlaps: zeros(p * m),
            coefficients: zeros(m * (2 * batch + p)),
            batch: Batch::new(m, batch),
            hidden: zeros(p),
            features,
            weights,
        }
    }

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

    /// Draws sample `b`: its parts, their products with features and weights, and its shifts.
    fn draw(&mut self, b: usize) {
        self.model.hidden().sample(&mut self.rng, &mut self.hidden);
        if self.by_parts {
            self.draw_gaussian(b);
        } else {
            self.draw_views(b);
        }
    }

    /// Parts are normals, and the shifts replace what they have along the features.
    fn draw_gaussian(&mut self, b: usize) {
        let (n, p) = (self.features.dimension(), self.features.n_features());
        let root = T::of_usize(n).sqrt();
        let width = p + self.model.n_neurons();
        for part in 2 * b..2 * b + 2 {
            let products = &mut self.products[part * width..(part + 1) * width];
            products.fill(T::zero());
            let normals = &mut self.parts[part * n..(part + 1) * n];
            for (chunk, at) in normals.chunks_mut(CHUNK).zip((0..).step_by(CHUNK)) {
                self.rng.fill_normal(chunk);
                add_products(chunk, at, n, self.features.matrix(), &self.weights, products);
            }
        }
        let along: ViewCovariance<T> = self.present.numbers.feature_noise;
        let [first, second] = [2 * b, 2 * b + 1].map(|part| &self.products[part * width..part * width + p]);
        for l in 0..p {
            let z = along.sample(&mut self.rng);
            for v in 0..2 {
                let drawn = (self.colour[v][0] * first[l] + self.colour[v][1] * second[l]) / root;
                self.shifts[(2 * b + v) * p + l] = self.hidden[l] + z[v] - drawn;
            }
        }
    }

    /// Parts are views, and there is nothing to shift: the background is orthogonal to the features, but noise that is
    /// isotropic is not projected.
    fn draw_views(&mut self, b: usize) {
        let n = self.features.dimension();
        let root = T::of_usize(n).sqrt();
        let (noise, std, scale) = (self.model.noise(), self.model.background_std(), self.present.noise_scale);
        let (first, second) = self.parts[2 * b * n..2 * (b + 1) * n].split_at_mut(n);
        self.rng.fill_normal(first);
        for x in first.iter_mut() {
            *x *= std;
        }
        for (u, &c) in self.features.matrix().column_iter().zip(&self.hidden) {
            let overlap = dot(u.as_slice(), first) / root;
            add_scaled((c - overlap) / root, u.as_slice(), first);
        }
        if let Some(Views(views)) = self.views {
            self.clean.copy_from_slice(first);
            views.views(&self.clean, first, second, &mut self.rng);
        } else {
            second.copy_from_slice(first);
        }
        let gaussian = noise.is_gaussian().then_some(self.present.numbers.background_noise);
        if self.noisy {
            for (x1, x2) in first.iter_mut().zip(second.iter_mut()) {
                let [s1, s2] = match gaussian {
                    Some(covariance) => covariance.sample(&mut self.rng),
                    None => noise.sample(&mut self.rng).map(|s| scale * s),
                };
                *x2 += s2;
                *x1 += s1;
            }
        }
        let width = self.features.n_features() + self.model.n_neurons();
        for part in 2 * b..2 * b + 2 {
            let products = &mut self.products[part * width..(part + 1) * width];
            products.fill(T::zero());
            let view = &self.parts[part * n..(part + 1) * n];
            add_products(view, 0, n, self.features.matrix(), &self.weights, products);
        }
    }

    /// h of every neuron in every view, from the products: h_i = w_i·x/√N, with x of parts and shifts.
    fn fields(&mut self) {
        let (n, m) = self.weights.shape();
        let (p, size) = (self.features.n_features(), self.model.batch_size());
        let (width, root) = (p + m, T::of_usize(n).sqrt());
        average_products(self.features.matrix(), &self.weights, &mut self.overlaps);
        for i in 0..m {
            let overlaps = &self.overlaps[i * p..(i + 1) * p];
            let fields = self.batch.fields_mut(i, size);
            for b in 0..size {
                let [first, second] = [2 * b, 2 * b + 1].map(|part| self.products[part * width + p + i]);
                for v in 0..2 {
                    let shifts = &self.shifts[(2 * b + v) * p..(2 * b + v + 1) * p];
                    let shifted = shifts.iter().zip(overlaps).fold(T::zero(), |sum, (&x, &q)| sum + x * q);
                    fields[v * size + b] = (self.colour[v][0] * first + self.colour[v][1] * second) / root + shifted;
                }
            }
        }
    }

    /// Writes the weights after the step; whether they are finite.
    ///
    /// w_i' = w_i − (τγ/N) φ(w_i) − (τ/(B√N)) Σ_bv e_bi^v x_b^v, block by block of coordinates, so that what one neuron has
    /// read of the parts is near for the next.
    fn advance(&mut self) -> bool {
        let (n, m) = self.weights.shape();
        let (p, size) = (self.features.n_features(), self.model.batch_size());
        let root = T::of_usize(n).sqrt();
        let rate = self.present.numbers.learning_rate;
        let decay = rate * self.present.numbers.weight_decay / T::of_usize(n);
        let (per_view, regularizer) = (-rate / (T::of_usize(size) * root), self.model.regularizer());
        for i in 0..m {
            let errors = self.batch.errors(i, size);
            let coefficients = &mut self.coefficients[i * (2 * size + p)..(i + 1) * (2 * size + p)];
            let (own, along) = coefficients.split_at_mut(2 * size);
            for b in 0..size {
                for part in 0..2 {
                    let coloured = self.colour[0][part] * errors[b] + self.colour[1][part] * errors[size + b];
                    own[2 * b + part] = per_view * coloured;
                }
            }
            for (l, along) in along.iter_mut().enumerate() {
                let shift = |b: usize, v: usize| errors[v * size + b] * self.shifts[(2 * b + v) * p + l];
                *along = per_view / root * (0..size).map(|b| shift(b, 0) + shift(b, 1)).sum::<T>();
            }
        }
        let block = if m == 1 { n } else { (CACHED / (2 * size)).clamp(CHUNK / 8, CHUNK * 4) / 32 * 32 };
        let (weights, next) = (self.weights.as_slice(), self.next.as_mut_slice());
        let mut squares = T::zero();
        for from in (0..n).step_by(block) {
            let to = (from + block).min(n);
            for i in 0..m {
                let (own, along) = self.coefficients[i * (2 * size + p)..(i + 1) * (2 * size + p)].split_at(2 * size);
                let parts = [
                    Columns { data: &self.features.matrix().as_slice()[from..], stride: n, coefficients: along },
                    Columns { data: &self.parts[from..], stride: n, coefficients: own },
                ];
                let (w, next) = (&weights[i * n + from..i * n + to], &mut next[i * n + from..i * n + to]);
                squares += decayed(next, w, decay, regularizer, parts);
            }
        }
        // Sums over blocks that are finite each may overflow together, and R with them.
        squares.is_finite()
    }
}

/// u_l·w_i/N, neuron by neuron.
fn average_products<T: Scalar>(u: &DMatrix<T>, w: &DMatrix<T>, out: &mut [T]) {
    let n = u.nrows();
    dispatch(
        #[inline(always)]
        || {
            for (w, out) in w.as_slice().chunks_exact(n).zip(out.chunks_exact_mut(u.ncols())) {
                for (u, out) in u.as_slice().chunks_exact(n).zip(out) {
                    *out = dot(u, w) / T::of_usize(n);
                }
            }
        },
    );
}

/// Adds the scalar products of `x`, which are entries `at` and following of a part, with u_l and w_i.
fn add_products<T: Scalar>(x: &[T], at: usize, n: usize, u: &DMatrix<T>, w: &DMatrix<T>, products: &mut [T]) {
    dispatch(
        #[inline(always)]
        || {
            let columns = u.as_slice().chunks_exact(n).chain(w.as_slice().chunks_exact(n));
            for (product, column) in products.iter_mut().zip(columns) {
                *product += dot(x, &column[at..at + x.len()]);
            }
        },
    );
}

/// Normals drawn at a time: they are multiplied while they are in the nearest cache.
const CHUNK: usize = 1024;

/// Numbers that fit into that cache.
const CACHED: usize = 4096;

impl<T: Scalar, M: Spec<Scalar = T>, R: Rng + FillNormal<T>> Simulator for DirectSgd<'_, M, R> {
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
        let batch = self.model.batch_size();
        if self.present.move_to(self.steps, self.features.dimension())? {
            if self.by_parts {
                self.colour = self.present.views().factor();
            } else if !self.present.is_isotropic() {
                let reason = "noise that is added to views of a transformation has the same in every direction";
                let source = ScheduleError::Undefined { name: "noise along the features alone", reason };
                return Err(SgdFailure::Schedule { step: self.steps + 1, source });
            }
        }
        for b in 0..batch {
            self.draw(b);
        }
        self.fields();
        dispatch(
            #[inline(always)]
            || {
                let strength = self.present.numbers.penalty_strength;
                self.batch.error_signals((self.model, strength), self.model.n_neurons(), batch);
            },
        );
        if !self.batch.is_finite() {
            return Err(SgdFailure::Diverged { step: self.steps + 1 });
        }
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

impl<T: Scalar, M: Spec<Scalar = T>, R: Rng + FillNormal<T> + Clone> Checkpoint for DirectSgd<'_, M, R> {
    type Saved = SavedWeights<T, R>;

    fn fingerprint(&self) -> Fingerprint {
        let work = Fingerprint::of("direct SGD").and(fingerprint(self.model)).count(self.dimension() as u64);
        let Some(Views(views)) = self.views else { return self.present.fingerprint(work) };
        // What it makes of one sample.
        let x: Vec<T> = (0..self.dimension()).map(|n| T::lit((7 * n % 11) as f64 / 4.0 - 1.25)).collect();
        let (mut first, mut second) = (x.clone(), x.clone());
        views.views(&x, &mut first, &mut second, &mut Xoshiro256PlusPlus::seed_from_u64(0));
        self.present.fingerprint(work.text("views").numbers(first).numbers(second))
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
    use crate::start::StartError;
    use nalgebra::DVector;

    use super::*;
    use crate::integrate::Output;
    use crate::model::{
        Constraint, GradientPath, Identity, Independent, L1, Law, Model, NoNoise, RademacherNoise, Tanh,
    };
    use crate::state::RunError;

    fn hidden() -> Independent {
        Independent::new([Law::two_point(2.25).unwrap(), Law::three_point(2.25, 0.5).unwrap()]).unwrap()
    }

    /// View v of sample b.
    fn view<M: Spec<Scalar = f64>>(sgd: &DirectSgd<'_, M, LaneRng>, b: usize, v: usize) -> Vec<f64> {
        let (n, p) = (sgd.features.dimension(), sgd.features.n_features());
        let (first, second) = sgd.parts[2 * b * n..2 * (b + 1) * n].split_at(n);
        let coloured = first.iter().zip(second).map(|(x, y)| sgd.colour[v][0] * x + sgd.colour[v][1] * y);
        let mut view: Vec<f64> = coloured.collect();
        for (l, u) in sgd.features.matrix().column_iter().enumerate() {
            add_scaled(sgd.shifts[(2 * b + v) * p + l] / (n as f64).sqrt(), u.as_slice(), &mut view);
        }
        view
    }

    /// The update of one step against theory §1 written out, for the batch that was drawn.
    fn check_step<A: AugmentationNoise>(noise: A, neurons: usize, n: usize) {
        let strength = 0.7;
        let builder = Model::builder().nonlinearity(Tanh).hidden(hidden()).learning_rate(0.3);
        let builder = builder.noise(noise).n_neurons(neurons).batch_size(2);
        let model = builder.penalty_strength(strength).weight_decay(0.2).regularizer(L1).build().unwrap();
        let mut sgd = DirectSgd::builder(&model, n).build_seeded(3).unwrap();
        let before = sgd.weights().clone();
        sgd.step().unwrap();
        let views = DMatrix::from_columns(&[0, 1, 2, 3].map(|k| DVector::from_vec(view(&sgd, k / 2, k % 2))));
        let loss = |w: &DMatrix<f64>| {
            let y = (w.tr_mul(&views) / (n as f64).sqrt()).map(f64::tanh);
            let c = |i: usize, j: usize| f64::midpoint(y[(i, 0)] * y[(j, 1)], y[(i, 2)] * y[(j, 3)]);
            let term = |i: usize, j: usize| if i == j { -c(i, i) } else { strength * 0.5 * c(i, j).powi(2) };
            (0..neurons * neurons).map(|k| term(k / neurons, k % neurons)).sum::<f64>()
        };
        // Every row of few, and those at the seams of blocks of many.
        for row in (0..n).filter(|row| n < 20 || [0, 31, 1023, 1024, n - 1].contains(row)) {
            for i in 0..neurons {
                let shifted = |step: f64| {
                    let mut w = before.clone();
                    w[(row, i)] += step;
                    loss(&w)
                };
                let gradient = (shifted(1e-5) - shifted(-1e-5)) / 2e-5;
                let w = before[(row, i)];
                let expected = w - 0.3 * gradient - 0.3 / n as f64 * 0.2 * w.signum();
                assert!((sgd.weights()[(row, i)] - expected).abs() < 1e-10);
            }
        }
    }

    #[test]
    fn one_step_is_the_gradient_of_the_loss() {
        for (neurons, n) in [(3, 12), (1, 12), (2, 2500)] {
            check_step(RademacherNoise::new(0.4, -0.3).unwrap(), neurons, n);
            check_step(crate::model::GaussianNoise::correlated(0.4, -0.3).unwrap(), neurons, n);
        }
    }

    /// Moments of the views: along a feature c + z, in the background D. Each of the seven statistics lies within 5
    /// standard errors (false alarms below 1e-5 together); the control shows that 2 % in a variance is caught.
    fn check_views<A: AugmentationNoise>(noise: A, kf: [f64; 2], d: [f64; 2]) {
        let model = Model::builder().nonlinearity(Tanh).hidden(hidden()).noise(noise).learning_rate(0.3);
        let model = model.background_std(0.8).build().unwrap();
        let n = 40;
        let mut sgd = DirectSgd::builder(&model, n).build_seeded(11).unwrap();
        let runs = 300_000;
        let direction: Vec<f64> = {
            // A unit vector orthogonal to the features.
            let state = OrderParameters::from_rows(2, 1, &[0.0, 0.0], &[1.0]).unwrap();
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(4);
            let w = sgd.features().weights(&state, &mut rng).unwrap();
            w.as_slice().iter().map(|x| x / (n as f64).sqrt()).collect()
        };
        let mut sums = [[0.0; 2]; 7];
        for _ in 0..runs {
            sgd.draw(0);
            let [x1, x2] = [0, 1].map(|v| view(&sgd, 0, v));
            let (x1, x2) = (&x1[..], &x2[..]);
            let u = sgd.features.matrix().column(0);
            let t = [x1, x2].map(|x| dot(u.as_slice(), x) / (n as f64).sqrt());
            let b = [x1, x2].map(|x| dot(&direction, x));
            let draws = [t[0] * t[0], t[1] * t[1], t[0] * t[1], b[0] * b[0], b[1] * b[1], b[0] * b[1], t[0] * b[0]];
            for (sum, x) in sums.iter_mut().zip(draws) {
                sum[0] += x;
                sum[1] += x * x;
            }
        }
        let runs = f64::from(runs);
        let z = |k: usize, expected: f64| {
            let mean: f64 = sums[k][0] / runs;
            if (mean - expected).abs() < 1e-12 {
                return 0.0; // a statistic without variance
            }
            (mean - expected) / ((sums[k][1] / runs - mean * mean) / runs).sqrt()
        };
        let s = 2.25;
        let expected = [s + kf[0], s + kf[0], s + kf[1], d[0], d[0], d[1], 0.0];
        for (k, &expected) in expected.iter().enumerate() {
            assert!(z(k, expected).abs() < 5.0, "statistic {k}: {}", z(k, expected));
        }
        assert!(z(3, 1.02 * d[0]).abs() > 5.0, "2 % in the background's variance is caught");
    }

    #[test]
    fn views_have_the_covariances_of_the_model() {
        use crate::model::{GaussianNoise, ViewCovariance};
        let k = |variance, correlation| ViewCovariance::correlated(variance, correlation).unwrap();
        check_views(GaussianNoise::correlated(0.3, -0.5).unwrap(), [0.3, -0.15], [0.94, 0.49]);
        check_views(GaussianNoise::new(k(0.1, 1.0), k(0.5, -1.0)), [0.1, 0.1], [1.14, 0.14]);
        check_views(RademacherNoise::new(0.3, -0.5).unwrap(), [0.3, -0.15], [0.94, 0.49]);
        check_views(NoNoise, [0.0, 0.0], [0.64, 0.64]);
    }

    #[test]
    fn the_sphere_constraint_keeps_norms_and_a_seed_fixes_the_run() {
        let build = || Model::builder().nonlinearity(Tanh).hidden(hidden()).noise(NoNoise).learning_rate(0.3);
        let model = build().constraint(Constraint::Sphere).n_neurons(2).build().unwrap();
        let run = || DirectSgd::builder(&model, 30).build_seeded(9).unwrap().run(2.0, &Output::EverySteps(20)).unwrap();
        let trajectory = run();
        assert_eq!(trajectory.times().len(), 4);
        for state in trajectory.states() {
            assert!((state.r()[(0, 0)] - 1.0).abs() < 1e-12 && (state.r()[(1, 1)] - 1.0).abs() < 1e-12);
        }
        assert_eq!(trajectory, run());
    }

    #[test]
    fn stop_gradient_moves_less_than_the_full_gradient() {
        let run = |flow| {
            let builder = Model::builder().nonlinearity(Identity).hidden(hidden()).noise(NoNoise).learning_rate(0.1);
            let model = builder.gradient_path(flow).build().unwrap();
            let mut sgd = DirectSgd::builder(&model, 20).build_seeded(5).unwrap();
            let before = sgd.weights().clone();
            sgd.step().unwrap();
            sgd.weights() - before
        };
        // Without noise the views are equal, and view 1 carries exactly half of the gradient.
        let difference = run(GradientPath::BothViews) - 2.0 * run(GradientPath::StopGradient);
        assert!(difference.amax() < 1e-14);
    }

    #[test]
    fn divergence_is_an_error_that_carries_the_trajectory() {
        let builder = Model::builder().nonlinearity(Identity).hidden(hidden()).noise(NoNoise).learning_rate(50.0);
        let model = builder.build().unwrap();
        let mut sgd = DirectSgd::builder(&model, 20).build_seeded(5).unwrap();
        let Err(SgdError::Run(error)) = sgd.run(1000.0, &Output::EverySteps(1)) else {
            panic!("a learning rate of 50 diverges")
        };
        assert!(error.to_string().contains("training diverged: the update of step"), "{error}");
        let RunError::Failed { time, source: SgdFailure::Diverged { step }, trajectory } = error else {
            panic!("{error}")
        };
        assert_eq!((trajectory.times().len() as u64, time), (step, sgd.time()));
        assert!(matches!(trajectory.stop_reason(), crate::state::StopReason::Failure { .. }));
    }

    #[test]
    fn weights_that_overflow_are_a_divergence_and_the_state_stays() {
        let builder = Model::builder().nonlinearity(Tanh).hidden(hidden()).noise(NoNoise).learning_rate(1e200);
        let model = builder.build().unwrap();
        let mut sgd = DirectSgd::builder(&model, 20).build_seeded(5).unwrap();
        let before = sgd.order_parameters();
        assert_eq!(sgd.step(), Err(SgdFailure::Diverged { step: 1 }));
        assert_eq!((sgd.order_parameters(), sgd.steps()), (before, 0));
    }

    #[test]
    fn what_does_not_fit_is_rejected_each_with_its_error() {
        let model = Model::builder().nonlinearity(Tanh).hidden(hidden()).noise(NoNoise).learning_rate(0.3);
        let model = model.build().unwrap();
        let builder = |n| DirectSgd::builder(&model, n);
        assert!(matches!(builder(2).build_seeded(1), Err(SgdError::Start(StartError::Dimension { .. }))));
        let state = OrderParameters::from_rows(1, 1, &[0.1], &[1.0]).unwrap();
        assert!(matches!(builder(9).start(&state).build_seeded(1), Err(SgdError::Start(StartError::Model { .. }))));
        assert!(matches!(
            builder(9).start(DMatrix::zeros(8, 1)).build_seeded(1),
            Err(SgdError::Start(StartError::WeightsShape { .. }))
        ));
        let nan = DMatrix::from_element(9, 1, f64::NAN);
        assert!(matches!(
            builder(9).start(nan).build_seeded(1),
            Err(SgdError::Start(StartError::Weights { neuron: 0 }))
        ));
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let other = Features::random(8, 2, &mut rng).unwrap();
        assert!(matches!(
            builder(9).features(other).build_seeded(1),
            Err(SgdError::Start(StartError::FeaturesDimension { .. }))
        ));
        let mut sgd = builder(9).build_seeded(1).unwrap();
        assert!(matches!(sgd.run(-1.0, &Output::Stop), Err(SgdError::Run(RunError::Output(_)))));
        assert!(matches!(sgd.run(f64::NAN, &Output::Stop), Err(SgdError::Run(RunError::Output(_)))));
        assert!(matches!(sgd.run(1.0, &Output::Times(vec![2.0])), Err(SgdError::Run(RunError::Output(_)))));
    }
}
