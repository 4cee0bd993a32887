//! Direct SGD (theory §1): every view of every sample is drawn in full, any noise, any regulariser. The reference.
//!
//! Gaussian noise needs two normals per coordinate and sample: the pair (a + s¹, a + s²) has covariance D in the
//! background, and its components along the features are replaced by x̃ = c + z, z of covariance K^f, which is exact
//! because the two are independent.

use nalgebra::DMatrix;
use rand::{Rng, SeedableRng};

use super::batch::Batch;
use super::start::{Setup, Start, normalise};
use super::{Divergence, Features, SgdError, Simulator};
use crate::Scalar;
use crate::kernels::{add_scaled, dot};
use crate::lanes::dispatch;
use crate::model::{
    AugmentationNoise, Constraint, HiddenDistribution, Model, Nonlinearity, Penalty, Regularizer, ViewCovariance,
};
use crate::order_parameters::OrderParameters;
use crate::random::{FillNormal, LaneRng, PerDraw};

/// Builds a [`DirectSgd`]; made by [`DirectSgd::builder`].
#[derive(Debug, Clone)]
pub struct DirectSgdBuilder<'a, M, T: Scalar = f64> {
    model: &'a M,
    setup: Setup<T>,
}

impl<'a, T, S, H, A, G, P> DirectSgdBuilder<'a, Model<T, S, H, A, G, P>, T>
where
    T: Scalar,
    S: Nonlinearity<T>,
    H: HiddenDistribution<T>,
    A: AugmentationNoise<T>,
    G: Regularizer<T>,
    P: Penalty<T>,
{
    /// Uses these features, of dimension N. Default: random ones.
    #[must_use]
    pub fn features(mut self, features: Features<T>) -> Self {
        self.setup.features = Some(features);
        self
    }

    /// Starts from random weights with exactly these order parameters. Default: weights with independent standard
    /// normal components.
    #[must_use]
    pub fn start(mut self, state: &OrderParameters<T>) -> Self {
        self.setup.start = Start::State(state.clone());
        self
    }

    /// Starts from these weights, N x m.
    #[must_use]
    pub fn weights(mut self, weights: DMatrix<T>) -> Self {
        self.setup.start = Start::Weights(weights);
        self
    }

    /// The simulator, drawing everything from a [`LaneRng`] with that seed.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn seed(self, seed: u64) -> Result<DirectSgd<'a, T, S, H, A, G, P, LaneRng>, SgdError<T>> {
        self.with(LaneRng::seed_from_u64(seed))
    }

    /// The simulator, drawing everything (features and start first, then samples) from `rng`.
    ///
    /// # Errors
    /// [`SgdError::Dimension`] unless N ≥ p + m and the features have dimension N; [`SgdError::StateShape`] or
    /// [`SgdError::WeightsShape`] if start or features do not fit the model; [`SgdError::Weights`] for weights that
    /// are not finite, or zero under the sphere constraint.
    pub fn build<R: Rng>(self, rng: R) -> Result<DirectSgd<'a, T, S, H, A, G, P, PerDraw<R>>, SgdError<T>> {
        self.with(PerDraw(rng))
    }

    fn with<R>(self, mut rng: R) -> Result<DirectSgd<'a, T, S, H, A, G, P, R>, SgdError<T>>
    where
        R: Rng + FillNormal<T>,
    {
        let (features, weights) = self.setup.build(self.model, &mut rng)?;
        Ok(DirectSgd::new(self.model, features, weights, rng))
    }
}

/// Direct simulation of online SGD: N-dimensional samples, weights in full.
///
/// ```
/// use contrastive_dynamics::integrate::Output;
/// use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
/// use contrastive_dynamics::sgd::{DirectSgd, Simulator};
/// use contrastive_dynamics::OrderParameters;
/// let model = Model::builder()
///     .nonlinearity(Tanh)
///     .hidden(Independent::new([Law::two_point(2.25)?])?)
///     .noise(GaussianNoise::correlated(0.3, -0.5)?)
///     .learning_rate(0.3)
///     .build()?;
/// let start = OrderParameters::from_rows(1, 1, &[0.4], &[0.8])?;
/// let mut sgd = DirectSgd::builder(&model, 100).start(&start).seed(1)?;
/// let trajectory = sgd.run(1.0, &Output::Times(vec![0.0, 0.5, 1.0]))?;
/// assert_eq!(trajectory.times(), [0.0, 0.5, 1.0]);
/// assert_eq!(trajectory.work().samples, 100);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct DirectSgd<'a, T: Scalar, S, H, A, G, P, R> {
    model: &'a Model<T, S, H, A, G, P>,
    features: Features<T>,
    weights: DMatrix<T>,
    rng: R,
    steps: u64,
    /// The views of the batch: sample b, view v in rows (2b + v)·N onwards.
    views: Vec<T>,
    batch: Batch<T>,
    hidden: Vec<T>,
    /// The weights before a step, to go back to.
    previous: DMatrix<T>,
}

impl<'a, T: Scalar, S, H, A, G, P> DirectSgd<'a, T, S, H, A, G, P, LaneRng> {
    /// A builder for that model at dimension N.
    #[must_use]
    pub fn builder(
        model: &'a Model<T, S, H, A, G, P>,
        dimension: usize,
    ) -> DirectSgdBuilder<'a, Model<T, S, H, A, G, P>, T> {
        DirectSgdBuilder { model, setup: Setup::new(dimension) }
    }
}

impl<'a, T, S, H, A, G, P, R> DirectSgd<'a, T, S, H, A, G, P, R>
where
    T: Scalar,
    S: Nonlinearity<T>,
    H: HiddenDistribution<T>,
    A: AugmentationNoise<T>,
    G: Regularizer<T>,
    P: Penalty<T>,
    R: Rng + FillNormal<T>,
{
    fn new(model: &'a Model<T, S, H, A, G, P>, features: Features<T>, weights: DMatrix<T>, rng: R) -> Self {
        let batch = model.batch_size();
        Self {
            model,
            previous: weights.clone(),
            rng,
            steps: 0,
            views: vec![T::zero(); 2 * batch * features.dimension()],
            batch: Batch::new(model.neurons(), batch),
            hidden: vec![T::zero(); model.features()],
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

    /// Draws both views of sample `b`.
    fn draw(&mut self, b: usize) {
        let n = self.features.dimension();
        let root = T::of_usize(n).sqrt();
        let noise = self.model.noise();
        self.model.hidden().sample(&mut self.rng, &mut self.hidden);
        let (first, second) = self.views[2 * b * n..2 * (b + 1) * n].split_at_mut(n);
        if noise.is_gaussian() {
            let [[l11, _], [l21, l22]] = self.model.view_covariance().factor();
            self.rng.fill_normal(first);
            self.rng.fill_normal(second);
            dispatch(
                #[inline(always)]
                || {
                    for (x1, x2) in first.iter_mut().zip(second.iter_mut()) {
                        *x2 = l21 * *x1 + l22 * *x2;
                        *x1 *= l11;
                    }
                },
            );
            let along: ViewCovariance<T> = noise.feature_covariance();
            for (u, &c) in self.features.matrix().column_iter().zip(&self.hidden) {
                let z = along.sample(&mut self.rng);
                for (x, z) in [(&mut *first, z[0]), (&mut *second, z[1])] {
                    dispatch(
                        #[inline(always)]
                        || {
                            let overlap = dot(u.as_slice(), x) / root;
                            add_scaled((c + z - overlap) / root, u.as_slice(), x);
                        },
                    );
                }
            }
        } else {
            let std = self.model.background_std();
            self.rng.fill_normal(first);
            for x in first.iter_mut() {
                *x *= std;
            }
            // The background is orthogonal to the features; isotropic noise is not projected.
            for (u, &c) in self.features.matrix().column_iter().zip(&self.hidden) {
                let overlap = dot(u.as_slice(), first) / root;
                add_scaled((c - overlap) / root, u.as_slice(), first);
            }
            for (x1, x2) in first.iter_mut().zip(second.iter_mut()) {
                let [s1, s2] = noise.sample(&mut self.rng);
                *x2 = *x1 + s2;
                *x1 += s1;
            }
        }
    }
}

impl<T, S, H, A, G, P, R> Simulator<T> for DirectSgd<'_, T, S, H, A, G, P, R>
where
    T: Scalar,
    S: Nonlinearity<T>,
    H: HiddenDistribution<T>,
    A: AugmentationNoise<T>,
    G: Regularizer<T>,
    P: Penalty<T>,
    R: Rng + FillNormal<T>,
{
    fn dimension(&self) -> usize {
        self.features.dimension()
    }

    fn batch_size(&self) -> usize {
        self.model.batch_size()
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    fn step(&mut self) -> Result<(), Divergence> {
        let n = self.features.dimension();
        let batch = self.model.batch_size();
        let root = T::of_usize(n).sqrt();
        for b in 0..batch {
            self.draw(b);
        }
        for (i, w) in self.weights.column_iter().enumerate() {
            let fields = self.batch.fields_mut(i, batch);
            for (k, view) in self.views.chunks_exact(n).enumerate() {
                fields[k % 2 * batch + k / 2] = dot(w.as_slice(), view) / root;
            }
        }
        self.batch.error_signals(self.model, self.model.neurons(), batch);
        if !self.batch.is_finite() {
            return Err(Divergence { step: self.steps + 1 });
        }
        self.previous.copy_from(&self.weights);
        let rate = self.model.learning_rate();
        let scale = -rate / (T::of_usize(batch) * root);
        let decay = rate * self.model.weight_decay() / T::of_usize(n);
        for (i, mut w) in self.weights.column_iter_mut().enumerate() {
            let w = w.as_mut_slice();
            if decay > T::zero() {
                for w in w.iter_mut() {
                    *w -= decay * self.model.regularizer().apply(*w);
                }
            }
            let errors = self.batch.errors(i, batch);
            for (k, view) in self.views.chunks_exact(n).enumerate() {
                add_scaled(scale * errors[k % 2 * batch + k / 2], view, w);
            }
        }
        if self.model.constraint() == Constraint::Sphere {
            normalise(&mut self.weights);
        }
        if !self.weights.column_iter().all(|w| dot(w.as_slice(), w.as_slice()).is_finite()) {
            std::mem::swap(&mut self.weights, &mut self.previous);
            return Err(Divergence { step: self.steps + 1 });
        }
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

#[cfg(test)]
mod tests {
    use super::super::Features;
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;
    use crate::integrate::Output;
    use crate::model::{GradientFlow, Identity, Independent, L1, Law, NoNoise, RademacherNoise, Tanh};

    fn hidden() -> Independent {
        Independent::new([Law::two_point(2.25).unwrap(), Law::three_point(2.25, 0.5).unwrap()]).unwrap()
    }

    /// The update of one step against theory §1 written out, for the batch that was drawn.
    #[test]
    fn one_step_is_the_gradient_of_the_loss() {
        let strength = 0.7;
        let builder = Model::builder().nonlinearity(Tanh).hidden(hidden()).learning_rate(0.3);
        let builder = builder.noise(RademacherNoise::new(0.4, -0.3).unwrap()).neurons(3).batch_size(2);
        let model = builder.penalty_strength(strength).weight_decay(0.2).regularizer(L1).build().unwrap();
        let n = 12;
        let mut sgd = DirectSgd::builder(&model, n).seed(3).unwrap();
        let before = sgd.weights().clone();
        sgd.step().unwrap();
        let views = DMatrix::from_column_slice(n, 4, &sgd.views);
        let loss = |w: &DMatrix<f64>| {
            let y = (w.tr_mul(&views) / (n as f64).sqrt()).map(f64::tanh);
            let c = |i: usize, j: usize| f64::midpoint(y[(i, 0)] * y[(j, 1)], y[(i, 2)] * y[(j, 3)]);
            let term = |i: usize, j: usize| if i == j { -c(i, i) } else { strength * 0.5 * c(i, j).powi(2) };
            (0..9).map(|k| term(k / 3, k % 3)).sum::<f64>()
        };
        for row in 0..n {
            for i in 0..3 {
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

    /// Moments of the views: along a feature c + z, in the background D. Each of the seven statistics lies within 5
    /// standard errors (false alarms below 1e-5 together); the control shows that 2 % in a variance is caught.
    fn check_views<A: AugmentationNoise>(noise: A, kf: [f64; 2], d: [f64; 2]) {
        let model = Model::builder().nonlinearity(Tanh).hidden(hidden()).noise(noise).learning_rate(0.3);
        let model = model.background_std(0.8).build().unwrap();
        let n = 40;
        let mut sgd = DirectSgd::builder(&model, n).seed(11).unwrap();
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
            let (x1, x2) = sgd.views[..2 * n].split_at(n);
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
        let model = build().constraint(Constraint::Sphere).neurons(2).build().unwrap();
        let run = || DirectSgd::builder(&model, 30).seed(9).unwrap().run(2.0, &Output::EverySteps(20)).unwrap();
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
            let model = builder.gradient_flow(flow).build().unwrap();
            let mut sgd = DirectSgd::builder(&model, 20).seed(5).unwrap();
            let before = sgd.weights().clone();
            sgd.step().unwrap();
            sgd.weights() - before
        };
        // Without noise the views are equal, and view 1 carries exactly half of the gradient.
        let difference = run(GradientFlow::BothViews) - 2.0 * run(GradientFlow::StopGradient);
        assert!(difference.amax() < 1e-14);
    }

    #[test]
    fn divergence_is_an_error_that_carries_the_trajectory() {
        let builder = Model::builder().nonlinearity(Identity).hidden(hidden()).noise(NoNoise).learning_rate(50.0);
        let model = builder.build().unwrap();
        let mut sgd = DirectSgd::builder(&model, 20).seed(5).unwrap();
        let Err(SgdError::Diverged { step, trajectory, .. }) = sgd.run(1000.0, &Output::EverySteps(1)) else {
            panic!("a learning rate of 50 diverges")
        };
        assert_eq!(trajectory.times().len() as u64, step);
        assert!(matches!(trajectory.stop_reason(), crate::trajectory::StopReason::Failure { .. }));
    }

    #[test]
    fn weights_that_overflow_are_a_divergence_and_the_state_stays() {
        let builder = Model::builder().nonlinearity(Tanh).hidden(hidden()).noise(NoNoise).learning_rate(1e200);
        let model = builder.build().unwrap();
        let mut sgd = DirectSgd::builder(&model, 20).seed(5).unwrap();
        let before = sgd.order_parameters();
        assert_eq!(sgd.step(), Err(Divergence { step: 1 }));
        assert_eq!((sgd.order_parameters(), sgd.steps()), (before, 0));
    }

    #[test]
    fn what_does_not_fit_is_rejected_each_with_its_error() {
        let model = Model::builder().nonlinearity(Tanh).hidden(hidden()).noise(NoNoise).learning_rate(0.3);
        let model = model.build().unwrap();
        let builder = |n| DirectSgd::builder(&model, n);
        assert!(matches!(builder(2).seed(1), Err(SgdError::Dimension { .. })));
        let state = OrderParameters::from_rows(1, 1, &[0.1], &[1.0]).unwrap();
        assert!(matches!(builder(9).start(&state).seed(1), Err(SgdError::StateShape { .. })));
        assert!(matches!(builder(9).weights(DMatrix::zeros(8, 1)).seed(1), Err(SgdError::WeightsShape { .. })));
        let nan = DMatrix::from_element(9, 1, f64::NAN);
        assert!(matches!(builder(9).weights(nan).seed(1), Err(SgdError::Weights { neuron: 0 })));
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let other = Features::random(8, 2, &mut rng).unwrap();
        assert!(matches!(builder(9).features(other).seed(1), Err(SgdError::Dimension { .. })));
        let mut sgd = builder(9).seed(1).unwrap();
        assert!(matches!(sgd.run(-1.0, &Output::Stop), Err(SgdError::Output(_))));
        assert!(matches!(sgd.run(f64::NAN, &Output::Stop), Err(SgdError::Output(_))));
        assert!(matches!(sgd.run(1.0, &Output::Times(vec![2.0])), Err(SgdError::Output(_))));
    }
}
