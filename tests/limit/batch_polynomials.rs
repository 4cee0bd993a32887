//! Losses that are polynomials in averages over the batch: their limit is exact in the batch size. Against averages over all samples of
//! a whole batch, enumerated one by one, which know of the loss nothing but its gradient.

use contrastive_dynamics::limit::{Coefficients, Parameter, Quadrature};
use contrastive_dynamics::model::{AugmentationNoise, BatchPolynomial, Output};
use contrastive_dynamics::nalgebra::DMatrix;
use contrastive_dynamics::prelude::*;
use contrastive_dynamics::stability::{FixedPointFinder, Stability};

use super::exact_losses::assert_derivatives;

type Of<S, L> = Model<f64, S, Independent, GaussianNoise, L2, L>;

const RATE: f64 = 0.7;

fn model<S: Nonlinearity, L: Loss>(sigma: S, loss: L, (neurons, batch): (usize, usize), noise: (f64, f64)) -> Of<S, L> {
    let hidden = Independent::new([Law::skewed(1.3, 0.3).unwrap()]).unwrap();
    let noise = GaussianNoise::correlated(noise.0, noise.1).unwrap();
    let builder =
        Model::builder().nonlinearity(sigma).hidden(hidden).noise(noise).learning_rate(RATE).weight_decay(0.2);
    builder.n_neurons(neurons).batch_size(batch).loss(loss).build().unwrap()
}

fn state(neurons: usize) -> OrderParameters {
    let q = DMatrix::from_row_slice(1, neurons, &[0.6, -0.4, 0.3][..neurons]);
    let r = q.tr_mul(&q) + DMatrix::from_fn(neurons, neurons, |i, j| if i == j { 0.5 } else { 0.1 });
    OrderParameters::new(q, r).unwrap()
}

fn centred(strength: f64) -> CentredCovarianceLoss {
    CentredCovarianceLoss::new(CovarianceLoss::new(Quadratic, strength).unwrap())
}

fn barlow_twins(strength: f64) -> BarlowTwins {
    BarlowTwins::new(strength).unwrap()
}

/// A third moment of a batch, which no covariance is: F = −C_11 + ½ T_1² + ½ T_2², T_1 = (1/B) Σ_b y_b¹ (y_b²)².
#[derive(Clone, Copy)]
struct ThirdMoment;

/// (1/B) Σ_b y_b¹ (y_b²)², and the same with the views exchanged.
fn third_moments(outputs: Outputs<'_, f64>) -> [f64; 2] {
    [0, 1].map(|v| {
        let pairs = outputs.view(v, 0).iter().zip(outputs.view(1 - v, 0));
        pairs.map(|(own, other)| own * other * other).sum::<f64>() / outputs.batch_size() as f64
    })
}

impl Loss for ThirdMoment {
    fn value(&self, outputs: Outputs<'_, f64>) -> f64 {
        let [first, second] = third_moments(outputs);
        -outputs.covariance(0, 0) + 0.5 * (first * first + second * second)
    }
    fn gradient(&self, outputs: Outputs<'_, f64>, mut gradient: OutputGradient<'_, f64>) {
        let moments = third_moments(outputs);
        for v in 0..2 {
            let pairs = outputs.view(v, 0).iter().zip(outputs.view(1 - v, 0));
            for (out, (own, other)) in gradient.view_mut(v, 0).iter_mut().zip(pairs) {
                *out = -other + moments[v] * other * other + moments[1 - v] * 2.0 * own * other;
            }
        }
    }
    fn polynomial(&self, n_neurons: usize, _batch_size: usize) -> Option<BatchPolynomial> {
        let (first, second): (&[Output], &[Output]) = (&[(0, 0), (1, 0), (1, 0)], &[(0, 0), (0, 0), (1, 0)]);
        let loss = BatchPolynomial::new(n_neurons).plus(-1.0, &[&[(0, 0), (1, 0)]])?;
        loss.plus(0.5, &[first, first])?.plus(0.5, &[second, second])
    }
}

/// Nodes and weights of the standard normal law: exact for polynomials of degree below 8, or a lattice for what is smooth.
fn line(polynomial: bool) -> Vec<(f64, f64)> {
    if polynomial {
        let root = 6.0_f64.sqrt();
        let (near, far) = ((3.0 - root).sqrt(), (3.0 + root).sqrt());
        let (heavy, light) = ((3.0 + root) / 12.0, (3.0 - root) / 12.0);
        return vec![(near, heavy), (-near, heavy), (far, light), (-far, light)];
    }
    let step = 0.31_f64;
    let weight = |z: f64| step * (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
    (-20..=20).map(|k| (step * f64::from(k), weight(step * f64::from(k)))).collect()
}

/// A, B and Λ by the sum over all batches of nodes.
fn enumerated<S: Nonlinearity, L: Loss>(model: &Of<S, L>, state: &OrderParameters, polynomial: bool) -> Coefficients {
    let (m, size) = (model.n_neurons(), model.batch_size());
    let (features, background) = (model.noise().feature_covariance(), model.noise().background_covariance());
    let views = |v: usize, w: usize| 1.0 + background.get(v, w);
    let overlap = state.q().tr_mul(state.q());
    let covariance = DMatrix::from_fn(2 * m, 2 * m, |f, g| {
        let (v, w, at) = (f / m, g / m, (f % m, g % m));
        features.get(v, w) * overlap[at] + views(v, w) * (state.r()[at] - overlap[at])
    });
    let eigen = covariance.symmetric_eigen();
    let axes: Vec<usize> = (0..2 * m).filter(|&k| eigen.eigenvalues[k] > 1e-12).collect();
    let factor = DMatrix::from_fn(2 * m, axes.len(), |f, k| {
        eigen.eigenvectors[(f, axes[k])] * eigen.eigenvalues[axes[k]].sqrt()
    });
    // Noise along the feature, by the coordinates of the fields.
    let with_fields = DMatrix::from_fn(2, 2 * m, |v, g| features.get(v, g / m) * state.q()[(0, g % m)]);
    let noise = DMatrix::from_fn(2, axes.len(), |v, k| {
        (0..2 * m).map(|f| with_fields[(v, f)] * factor[(f, k)]).sum::<f64>() / eigen.eigenvalues[axes[k]]
    });
    let through = if model.settings().gradient_path == GradientPath::StopGradient { 1 } else { 2 };
    let hidden = model.hidden().quadrature(8);
    let line = line(polynomial);
    let each = line.len().pow(u32::try_from(axes.len()).unwrap());
    // Every sample: its weight, its fields, and x̃ in both views.
    let mut samples = Vec::new();
    for (node, &weight) in hidden.weights.iter().enumerate() {
        let c = hidden.nodes[(0, node)];
        for number in 0..each {
            let point = |k: usize| line[number / line.len().pow(u32::try_from(k).unwrap()) % line.len()];
            let weight = (0..axes.len()).fold(weight, |weight, k| weight * point(k).1);
            let along = |row: usize, matrix: &DMatrix<f64>| -> f64 {
                (0..axes.len()).map(|k| matrix[(row, k)] * point(k).0).sum()
            };
            let fields: Vec<f64> = (0..2 * m).map(|f| state.q()[(0, f % m)] * c + along(f, &factor)).collect();
            samples.push((weight, fields, [c + along(0, &noise), c + along(1, &noise)]));
        }
    }
    let (mut a, mut b, mut lambda) = (DMatrix::zeros(1, m), DMatrix::zeros(m, m), DMatrix::zeros(m, m));
    let (mut outputs, mut slopes, mut gradient) =
        (vec![0.0; 2 * m * size], vec![0.0; 2 * m * size], vec![0.0; 2 * m * size]);
    let dashed: Vec<(Vec<f64>, Vec<f64>)> = samples
        .iter()
        .map(|(_, fields, _)| {
            let (mut y, mut d) = (vec![0.0; 2 * m], vec![0.0; 2 * m]);
            model.nonlinearity().evaluate(fields, &mut y, &mut d);
            (y, d)
        })
        .collect();
    for number in 0..samples.len().pow(u32::try_from(size).unwrap()) {
        let of = |b: usize| number / samples.len().pow(u32::try_from(b).unwrap()) % samples.len();
        let weight: f64 = (0..size).map(|b| samples[of(b)].0).product();
        // Of neuron i, view v of sample b at (2i + v)·B + b.
        for (at, (y, d)) in outputs.iter_mut().zip(&mut slopes).enumerate() {
            let (row, sample) = (at / size, of(at % size));
            let field = row % 2 * m + row / 2;
            (*y, *d) = (dashed[sample].0[field], dashed[sample].1[field]);
        }
        let batch = Outputs::new(&outputs, m, size).unwrap();
        model.loss().gradient(batch, OutputGradient::new(&mut gradient, m, size).unwrap());
        for sample in 0..size {
            let (_, fields, x) = &samples[of(sample)];
            let error = |v: usize, i: usize| {
                let at = (2 * i + v) * size + sample;
                gradient[at] * slopes[at]
            };
            for (v, i) in (0..through).flat_map(|v| (0..m).map(move |i| (v, i))) {
                let scale = -RATE * weight * error(v, i) / size as f64;
                a[(0, i)] += scale * x[v];
                for j in 0..m {
                    b[(j, i)] += scale * fields[v * m + j];
                    for w in 0..through {
                        let squares = RATE * RATE * weight / (size * size) as f64;
                        lambda[(i, j)] += squares * error(v, i) * views(v, w) * error(w, j);
                    }
                }
            }
        }
    }
    Coefficients { a, b, lambda }
}

fn distance(x: &Coefficients, y: &Coefficients) -> f64 {
    (&x.a - &y.a).amax().max((&x.b - &y.b).amax()).max((&x.lambda - &y.lambda).amax())
}

fn assert_exact<S: Nonlinearity + Clone, L: Loss + Clone>(model: &Of<S, L>, polynomial: bool, name: &str) {
    let state = state(model.n_neurons());
    let answer = Limit::new(model).unwrap().coefficients(&state).unwrap();
    let expected = enumerated(model, &state, polynomial);
    let miss = distance(&answer.coefficients, &expected);
    let (allowed, error) = (if polynomial { 1e-10 } else { 2e-7 }, answer.error);
    assert!(miss < allowed && error < 1e-8, "{name} {:?}: {miss} {error}", (model.n_neurons(), model.batch_size()));
    // The control: a learning rate larger by a part in twenty thousand.
    let other = model.to_builder().learning_rate(RATE * (1.0 + 5e-5)).build().unwrap();
    let other = Limit::new(&other).unwrap().coefficients(&state).unwrap().coefficients;
    assert!(distance(&other, &expected) > 10.0 * allowed, "{name}");
}

/// One neuron and σ = tanh, two samples; views of correlated and of opposite noise.
#[test]
fn one_neuron_is_that_of_all_batches_of_two() {
    let (correlated, opposite) = ((0.5, 0.4), (0.5, -0.6));
    assert_exact(&model(Tanh, SpectralContrastive, (1, 2), correlated), false, "spectral");
    assert_exact(&model(Tanh, SpectralContrastive, (1, 2), opposite), false, "spectral, opposite noise");
    assert_exact(&model(Tanh, barlow_twins(0.7), (1, 2), opposite), false, "Barlow Twins");
    assert_exact(&model(Tanh, centred(0.0), (1, 2), correlated), false, "centred");
    assert_exact(&model(Tanh, ThirdMoment, (1, 2), opposite), false, "a third moment");
}

/// σ the identity: two neurons and two samples; one neuron and three samples; equal views, whose covariance is singular, with two neurons
/// and three samples.
#[test]
fn the_identity_is_that_of_all_batches() {
    for (shape, noise) in [((2, 2), (0.5, 0.4)), ((1, 3), (0.5, -0.6)), ((2, 3), (0.0, 0.0)), ((1, 2), (0.5, -1.0))] {
        assert_exact(&model(Identity, SpectralContrastive, shape, noise), true, "spectral");
        assert_exact(&model(Identity, centred(0.8), shape, noise), true, "centred");
        assert_exact(&model(Identity, barlow_twins(0.7), shape, noise), true, "Barlow Twins");
    }
}

/// A gradient through one view alone.
#[test]
fn stopped_gradients_are_those_of_all_batches() {
    let stopped = model(Tanh, SpectralContrastive, (1, 2), (0.5, 0.4)).to_builder();
    let stopped = stopped.gradient_path(GradientPath::StopGradient).build().unwrap();
    assert_exact(&stopped, false, "stopped");
    let answer = Limit::new(&stopped).unwrap().coefficients(&state(1)).unwrap().coefficients;
    let both = model(Tanh, SpectralContrastive, (1, 2), (0.5, 0.4));
    let both = Limit::new(&both).unwrap().coefficients(&state(1)).unwrap().coefficients;
    // Views are exchangeable: half of the drift.
    assert!((&answer.a * 2.0 - &both.a).amax() < 1e-10 && (&answer.b * 2.0 - &both.b).amax() < 1e-10);
}

/// The other rules of quadrature, more neurons and larger batches agree.
#[test]
fn rules_agree() {
    let of = |model: &Of<Tanh, SpectralContrastive>, quadrature: Quadrature, tolerance: f64| {
        let limit = Limit::new(model).unwrap().quadrature(quadrature).tolerance(tolerance).unwrap();
        limit.node_budget(1 << 24).coefficients(&state(model.n_neurons())).unwrap().coefficients
    };
    for shape in [(1, 8), (2, 4)] {
        let model = model(Tanh, SpectralContrastive, shape, (0.5, -0.6));
        let exact = of(&model, Quadrature::Automatic, 1e-9);
        let hermite = of(&model, Quadrature::GaussHermite, 1e-6);
        let sampled = of(&model, Quadrature::Sobol, 4e-3);
        assert!(distance(&exact, &hermite) < 2e-6, "{shape:?} {}", distance(&exact, &hermite));
        assert!(distance(&exact, &sampled) < 1e-2, "{shape:?} {}", distance(&exact, &sampled));
    }
    // Three neurons, of which one has no weight: those of two.
    let (two, three) =
        (model(Tanh, SpectralContrastive, (2, 4), (0.5, 0.4)), model(Tanh, SpectralContrastive, (3, 4), (0.5, 0.4)));
    let small = state(2);
    let grow = |x: &DMatrix<f64>, rows: usize| DMatrix::from_fn(rows, 3, |i, j| x.get((i, j)).copied().unwrap_or(0.0));
    let large = OrderParameters::new(grow(small.q(), 1), grow(small.r(), 3)).unwrap();
    let small = Limit::new(&two).unwrap().coefficients(&small).unwrap().coefficients;
    let large = Limit::new(&three).unwrap().tolerance(1e-7).unwrap().coefficients(&large).unwrap().coefficients;
    assert!((large.a.columns(0, 2) - &small.a).amax() < 1e-6, "{} {}", large.a, small.a);
    assert!((large.lambda.view((0, 0), (2, 2)) - &small.lambda).amax() < 1e-6);
}

/// Estimated errors bound the true ones at random states of random models: in 95 of 100, and of the others within a factor five.
#[test]
fn estimates_bound_the_errors() {
    let (mut all, mut exceeded) = (0, 0);
    for seed in 0..40_u32 {
        let number = |k: f64| ((12.9898 * (f64::from(seed) + 1.0) + 78.233 * k).sin() * 43_758.545_3).fract();
        for m in [1, 2] {
            let q = DMatrix::from_fn(1, m, |_, i| 1.2 * number(i as f64));
            let background =
                |i: usize, j: usize| if i == j { 0.1 + 1.5 * number(7.0).abs() } else { 0.08 * number(9.0) };
            let r = q.tr_mul(&q) + DMatrix::from_fn(m, m, background);
            let state = OrderParameters::new(q, r).unwrap();
            let model = model(Tanh, SpectralContrastive, (m, 4), (0.8 * number(13.0).abs(), number(14.0)));
            let limit = Limit::new(&model).unwrap();
            let truth = limit.clone().tolerance(1e-11).unwrap().coefficients(&state).unwrap().coefficients;
            for tolerance in [1e-2, 1e-4, 1e-6, 1e-8] {
                let answer = limit.clone().tolerance(tolerance).unwrap().coefficients(&state).unwrap();
                let ratio = distance(&answer.coefficients, &truth) / (answer.error + 1e-12);
                assert!(ratio < 5.0, "{seed} {m} {tolerance}: {ratio}");
                (all, exceeded) = (all + 1, exceeded + usize::from(ratio > 1.0));
            }
        }
    }
    assert!(20 * exceeded <= all, "{exceeded} of {all}");
}

/// σ with a kink is averaged over whole batches still.
#[test]
fn kinks_are_averaged_over_whole_batches() {
    let model = model(Relu, SpectralContrastive, (1, 2), (0.5, 0.4));
    let limit = Limit::new(&model).unwrap();
    assert!(limit.tolerance(1e-2).unwrap().rule(&state(1)).unwrap().is_sampled());
    let smooth = self::model(Tanh, SpectralContrastive, (1, 2), (0.5, 0.4));
    assert!(!Limit::new(&smooth).unwrap().rule(&state(1)).unwrap().is_sampled());
}

/// Derivatives by the state and by parameters against differences, at a state where canonical coordinates are arbitrary, too.
#[test]
fn derivatives_are_those_of_differences() {
    let parameters = [Parameter::LearningRate, Parameter::FeatureNoiseVariance, Parameter::SecondMoment(0)];
    for noise in [(0.5, 0.4), (0.5, -0.6)] {
        assert_derivatives(&model(Tanh, SpectralContrastive, (2, 4), noise), &state(2), &parameters);
        assert_derivatives(&model(Tanh, centred(0.8), (1, 3), noise), &state(1), &parameters);
    }
    let plain = OrderParameters::from_rows(1, 2, &[0.0, 0.0], &[0.8, 0.1, 0.1, 0.6]).unwrap();
    assert_derivatives(&model(Tanh, SpectralContrastive, (2, 4), (0.5, 0.4)), &plain, &parameters);
}

/// Solutions: the start, the end, and the fixed point that they lead to.
#[test]
fn solutions_and_fixed_points_are_had() {
    let model = model(Tanh, SpectralContrastive, (1, 8), (0.5, 0.4));
    let ode = ReducedOde::new(&model).unwrap();
    let start = OrderParameters::from_rows(1, 1, &[0.3], &[0.5]).unwrap();
    let trajectory = ode.solver().solve(&start, 60.0).unwrap();
    let (_, end) = trajectory.last().unwrap();
    let found = FixedPointFinder::new(&ode).find().unwrap();
    let near = found.points.iter().find(|point| (point.state.q() - end.q()).amax() < 1e-6);
    let near = near.unwrap_or_else(|| panic!("{end:?} {:?}", found.points));
    assert_eq!(near.stability, Stability::Stable);
}
