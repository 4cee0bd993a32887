//! The baseline "naive": online SGD as a careful researcher writes it first.
//!
//! Covers the letter's model (docs/theory.md) at fixed parameters, with `Vec`s, one generator, three normals per
//! coordinate and sample, and plain loops. Not here: every trick. It shares no code with the crate, so it also checks it.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal};

/// ⟨c²⟩ of the one two-point feature.
pub(crate) const SECOND_MOMENT: f64 = 2.25;
/// K = σ² [[1, ρ], [ρ, 1]]: σ².
pub(crate) const NOISE_VARIANCE: f64 = 0.3;
/// ρ of K.
pub(crate) const NOISE_CORRELATION: f64 = -0.5;
/// τ.
pub(crate) const LEARNING_RATE: f64 = 0.3;
/// γ.
pub(crate) const WEIGHT_DECAY: f64 = 0.5;

/// λ: the penalty is there as soon as there is a second neuron.
pub(crate) fn penalty_strength(neurons: usize) -> f64 {
    if neurons > 1 { 1.0 } else { 0.0 }
}

/// Online SGD with tanh, one feature, η = 1, the quadratic penalty and L2 decay.
pub(crate) struct Naive {
    rng: SmallRng,
    /// U, of squared norm N.
    feature: Vec<f64>,
    /// w_i, one vector per neuron.
    weights: Vec<Vec<f64>>,
    /// a, of the sample being drawn.
    background: Vec<f64>,
    /// x^v, σ(h_i^v) and e_i^v: one pair of vectors per sample.
    views: Vec<[Vec<f64>; 2]>,
    outputs: Vec<[Vec<f64>; 2]>,
    errors: Vec<[Vec<f64>; 2]>,
    /// ∂F/∂C.
    gradient: Vec<Vec<f64>>,
}

impl Naive {
    /// A simulator at dimension N with random feature and weights, of overlap Q_i ≈ 0.4, -0.2, 0.1, ... and R_ii ≈ 1.
    pub(crate) fn new(n: usize, neurons: usize, batch: usize, seed: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut normals = || -> Vec<f64> { (0..n).map(|_| StandardNormal.sample(&mut rng)).collect() };
        let mut feature = normals();
        let scale = (n as f64 / dot(&feature, &feature)).sqrt();
        for u in &mut feature {
            *u *= scale;
        }
        let mut overlap = -0.8_f64;
        let mut weights = Vec::new();
        for _ in 0..neurons {
            overlap *= -0.5;
            let rest = (1.0 - overlap * overlap).sqrt();
            weights.push(feature.iter().zip(normals()).map(|(u, z)| overlap * u + rest * z).collect());
        }
        let pairs = |length: usize| vec![[vec![0.0; length], vec![0.0; length]]; batch];
        Self {
            rng,
            feature,
            weights,
            background: vec![0.0; n],
            views: pairs(n),
            outputs: pairs(neurons),
            errors: pairs(neurons),
            gradient: vec![vec![0.0; neurons]; neurons],
        }
    }

    /// U.
    pub(crate) fn feature(&self) -> &[f64] {
        &self.feature
    }

    /// w_i, one vector per neuron.
    pub(crate) fn weights(&self) -> &[Vec<f64>] {
        &self.weights
    }

    /// Q and R of the present state; R row by row.
    pub(crate) fn order_parameters(&self) -> (Vec<f64>, Vec<f64>) {
        let n = self.feature.len() as f64;
        let q = self.weights.iter().map(|w| dot(&self.feature, w) / n).collect();
        let r = self.weights.iter().flat_map(|w| self.weights.iter().map(move |v| dot(w, v) / n)).collect();
        (q, r)
    }

    /// One step of SGD on a fresh batch.
    pub(crate) fn step(&mut self) {
        for b in 0..self.views.len() {
            self.draw(b);
            self.forward(b);
        }
        self.backward();
        self.update();
    }

    /// Draws x^v = U c/√N + a + s^v; only the background a is orthogonal to the feature.
    fn draw(&mut self, b: usize) {
        let n = self.feature.len();
        let root = (n as f64).sqrt();
        let c = if self.rng.random_bool(0.5) { SECOND_MOMENT.sqrt() } else { -SECOND_MOMENT.sqrt() };
        for a in &mut self.background {
            *a = StandardNormal.sample(&mut self.rng);
        }
        let along = c / root - dot(&self.feature, &self.background) / n as f64;
        let std = NOISE_VARIANCE.sqrt();
        let (shared, own) = (std * NOISE_CORRELATION, std * (1.0 - NOISE_CORRELATION * NOISE_CORRELATION).sqrt());
        let [first, second] = &mut self.views[b];
        for k in 0..n {
            let x = self.background[k] + along * self.feature[k];
            let z1: f64 = StandardNormal.sample(&mut self.rng);
            let z2: f64 = StandardNormal.sample(&mut self.rng);
            first[k] = x + std * z1;
            second[k] = x + shared * z1 + own * z2;
        }
    }

    /// σ(h_i^v) of sample b.
    fn forward(&mut self, b: usize) {
        let root = (self.feature.len() as f64).sqrt();
        for v in 0..2 {
            for (i, w) in self.weights.iter().enumerate() {
                self.outputs[b][v][i] = (dot(w, &self.views[b][v]) / root).tanh();
            }
        }
    }

    /// e_bi^v of the whole batch.
    fn backward(&mut self) {
        let m = self.weights.len();
        let strength = penalty_strength(m);
        for i in 0..m {
            for j in 0..m {
                let sum: f64 = self.outputs.iter().map(|y| y[0][i] * y[1][j]).sum();
                self.gradient[i][j] = if i == j { -1.0 } else { strength * sum / self.outputs.len() as f64 };
            }
        }
        for (y, e) in self.outputs.iter().zip(&mut self.errors) {
            for i in 0..m {
                let (mut first, mut second) = (0.0, 0.0);
                for j in 0..m {
                    first += self.gradient[i][j] * y[1][j];
                    second += self.gradient[j][i] * y[0][j];
                }
                e[0][i] = (1.0 - y[0][i] * y[0][i]) * first;
                e[1][i] = (1.0 - y[1][i] * y[1][i]) * second;
            }
        }
    }

    /// w_i ← w_i − τ ∂F/∂w_i − (τ/N) γ w_i.
    fn update(&mut self) {
        let n = self.feature.len() as f64;
        let rate = LEARNING_RATE / (self.views.len() as f64 * n.sqrt());
        for (i, w) in self.weights.iter_mut().enumerate() {
            for w in w.iter_mut() {
                *w -= LEARNING_RATE * WEIGHT_DECAY / n * *w;
            }
            for (x, e) in self.views.iter().zip(&self.errors) {
                for v in 0..2 {
                    for (w, x) in w.iter_mut().zip(&x[v]) {
                        *w -= rate * e[v][i] * x;
                    }
                }
            }
        }
    }
}

/// Σ_n x_n y_n in strict order.
fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}
