//! Compressed SGD and the projected chain, alone and in lanes, against direct SGD: the same law of (Q, R) at finite N.
//!
//! At N = 8, where an error of one degree of freedom shows, B = 4 and 20 steps, 20 000 runs of each simulator. Of every
//! entry of Q and R, every Q_li² and every Q_li² R_ii, compared are the means, the variances (both by their standard errors, those of the variances from fourth moments) and the
//! distribution (two-sample Kolmogorov-Smirnov).
//!
//! Seeds are fixed. Every statistic is tested at a significance of 1e-7: |z| < 5.33, or a KS distance below
//! √(−ln(α/2)/n). There are 783 of them, so a correct crate fails at fresh seeds with probability below 7.9e-5.
//! The statistics are normal only up to corrections of order 1/√20 000, for which the rest to 1e-4 is left.
//!
//! The negative controls are chains written out in this file, independent of the crate: right, they pass; with one degree
//! of freedom too many or too few, or D_12 left out of Λ, they miss by more than twice what is allowed.

use contrastive_dynamics::model::{
    AugmentationNoise, Constraint, GaussianNoise, GradientPath, HiddenVariable, Independent, L1, Law,
    LinearRegularizer, Model, ModelBuilder, Spec, Tanh, ViewCovariance,
};
use contrastive_dynamics::sgd::{CompressedSgd, DirectSgd, ProjectedChain, Simulator};
use contrastive_dynamics::state::OrderParameters;
use rand_distr::{ChiSquared, Distribution};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

const N: usize = 8;
/// Enough for every term of a step to show: the controls hold it to that (at 20 steps one of them is missed).
const STEPS: usize = 60;
/// Large, so that the gradient's noise is a good part of R.
const TAU: f64 = 1.0;
const RUNS: u64 = 20_000;
/// Normal quantile and logarithm of half of the significance 1e-7 of one statistic.
const Z: f64 = 5.33;
const LN_HALF_SIGNIFICANCE: f64 = -16.81;

pub(super) type Builder = ModelBuilder<Tanh, Independent, GaussianNoise, f64, f64>;
type Trained = Model<f64, Tanh, Independent, GaussianNoise>;

/// tanh, one feature of the skewed law (nothing is symmetric), τ = 1, γ = 0.5, B = 4.
pub(super) fn builder(noise: GaussianNoise) -> Builder {
    let hidden = Independent::new([Law::skewed(1.0, 0.3).unwrap()]).unwrap();
    Model::builder().nonlinearity(Tanh).hidden(hidden).noise(noise).learning_rate(TAU).weight_decay(0.5).batch_size(4)
}

pub(super) fn isotropic() -> GaussianNoise {
    GaussianNoise::correlated(0.6, 0.5).unwrap()
}

/// K^f = 0.
fn in_background() -> GaussianNoise {
    GaussianNoise::semantic_preserving(0.6, -0.5).unwrap()
}

fn one_neuron() -> OrderParameters {
    OrderParameters::from_rows(1, 1, &[0.4], &[1.0]).unwrap()
}

pub(super) fn two_neurons() -> OrderParameters {
    OrderParameters::from_rows(1, 2, &[0.5, -0.2], &[1.0, 0.3, 0.3, 0.8]).unwrap()
}

/// Two neurons with a penalty.
fn pair(noise: GaussianNoise) -> Trained {
    builder(noise).n_neurons(2).penalty_strength(2.0).build().unwrap()
}

/// For each statistic, its value in every run.
pub(super) type Sample = Vec<Vec<f64>>;

/// Q, R, Q² and Q² R of every run.
fn sample(mut run: impl FnMut(u64) -> OrderParameters) -> Sample {
    let mut sample = Sample::new();
    for seed in 0..RUNS {
        let state = run(seed);
        let mut entries: Vec<f64> = state.to_packed().iter().copied().collect();
        for l in 0..state.n_features() {
            for i in 0..state.n_neurons() {
                let square = state.q()[(l, i)].powi(2);
                entries.extend([square, square * state.r()[(i, i)]]);
            }
        }
        sample.resize(entries.len(), Vec::new());
        for (column, entry) in sample.iter_mut().zip(entries) {
            column.push(entry);
        }
    }
    sample
}

fn after(mut simulator: impl Simulator<Scalar = f64>, steps: usize) -> OrderParameters {
    for _ in 0..steps {
        simulator.step().unwrap();
    }
    simulator.order_parameters()
}

// Seeds of different simulators do not overlap.

pub(super) fn direct<M: Spec<Scalar = f64>>(model: &M, start: &OrderParameters) -> Sample {
    sample(|seed| run_directly(model, start, seed))
}

/// One run of [`direct`].
pub(super) fn run_directly<M: Spec<Scalar = f64>>(model: &M, start: &OrderParameters, seed: u64) -> OrderParameters {
    after(DirectSgd::builder(model, N).start(start).build_seeded(seed).unwrap(), STEPS)
}

pub(super) fn compressed<M: Spec<Scalar = f64>>(model: &M, start: &OrderParameters) -> Sample {
    sample(|seed| after(CompressedSgd::builder(model, N).start(start).build_seeded(1_000_000 + seed).unwrap(), STEPS))
}

pub(super) fn projected<M: Spec<Scalar = f64, Regularizer: LinearRegularizer>>(
    model: &M,
    start: &OrderParameters,
) -> Sample {
    sample(|seed| after(ProjectedChain::builder(model, N).start(start).build_seeded(2_000_000 + seed).unwrap(), STEPS))
}

/// The chain by thirty-two replicates in lock-step.
fn lanes_of<M: Spec<Scalar = f64, Regularizer: LinearRegularizer>>(
    model: &M,
    n: usize,
    start: Option<&OrderParameters>,
    steps: usize,
) -> Sample {
    let builder = ProjectedChain::builder(model, n);
    let builder = match start {
        Some(start) => builder.start(start),
        None => builder,
    };
    let seeds: Vec<u64> = (0..RUNS).map(|seed| 4_000_000 + seed).collect();
    let mut states = seeds.chunks(32).flat_map(|seeds| {
        let mut lanes = builder.lanes(seeds).unwrap();
        (0..steps).for_each(|_| lanes.step());
        (0..seeds.len()).map(|k| lanes.order_parameters(k).unwrap()).collect::<Vec<_>>()
    });
    sample(|_| states.next().unwrap())
}

pub(super) fn lanes<M: Spec<Scalar = f64, Regularizer: LinearRegularizer>>(
    model: &M,
    start: &OrderParameters,
) -> Sample {
    lanes_of(model, N, Some(start), STEPS)
}

/// Mean, variance, and the variances of those two as estimators.
fn moments(x: &[f64]) -> [f64; 4] {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let central = |k: i32| x.iter().map(|x| (x - mean).powi(k)).sum::<f64>() / n;
    let variance = central(2);
    [mean, variance, variance / n, (central(4) - variance * variance) / n]
}

/// The largest distance of the two empirical distribution functions.
fn kolmogorov_smirnov(x: &[f64], y: &[f64]) -> f64 {
    let sorted = |x: &[f64]| {
        let mut x = x.to_vec();
        x.sort_by(f64::total_cmp);
        x
    };
    let (x, y) = (sorted(x), sorted(y));
    let (mut i, mut j, mut distance) = (0, 0, 0.0_f64);
    while i < x.len() && j < y.len() {
        let at = x[i].min(y[j]);
        while i < x.len() && x[i] <= at {
            i += 1;
        }
        while j < y.len() && y[j] <= at {
            j += 1;
        }
        distance = distance.max((i as f64 / x.len() as f64 - j as f64 / y.len() as f64).abs());
    }
    distance
}

/// The largest of the statistics in units of what is allowed: means, variances, KS.
fn disagreement(x: &Sample, y: &Sample) -> [f64; 3] {
    assert_eq!(x.len(), y.len());
    let mut worst = [0.0_f64; 3];
    for (x, y) in x.iter().zip(y) {
        let (a, b) = (moments(x), moments(y));
        let z = |k: usize| (a[k] - b[k]).abs() / (a[k + 2] + b[k + 2]).sqrt() / Z;
        let critical = (-LN_HALF_SIGNIFICANCE / x.len() as f64).sqrt();
        for (worst, value) in worst.iter_mut().zip([z(0), z(1), kolmogorov_smirnov(x, y) / critical]) {
            *worst = worst.max(value);
        }
    }
    worst
}

pub(super) fn assert_equal(name: &str, x: &Sample, y: &Sample) {
    let worst = disagreement(x, y);
    println!("{name}: of what is allowed, means {:.2}, variances {:.2}, KS {:.2}", worst[0], worst[1], worst[2]);
    assert!(worst.iter().all(|&w| w < 1.0), "{name}: means, variances, KS are off by {worst:?} of what is allowed");
}

pub(super) fn assert_different(name: &str, x: &Sample, y: &Sample) {
    let worst = disagreement(x, y);
    println!("{name}: of what is allowed, means {:.2}, variances {:.2}, KS {:.2}", worst[0], worst[1], worst[2]);
    assert!(worst.iter().any(|&w| w > 2.0), "the control {name} is not caught clearly: {worst:?}");
}

/// Gives the sample of direct SGD, with which the others are compared.
pub(super) fn assert_all_agree<M: Spec<Scalar = f64, Regularizer: LinearRegularizer>>(
    name: &str,
    model: &M,
    start: &OrderParameters,
) -> Sample {
    let reference = direct(model, start);
    assert_equal(&format!("{name}, compressed"), &compressed(model, start), &reference);
    assert_equal(&format!("{name}, projected"), &projected(model, start), &reference);
    assert_equal(&format!("{name}, lanes"), &lanes(model, start), &reference);
    reference
}

/// Direct SGD draws W, the chain (Q, R): the same law.
#[test]
fn default_starts_agree_with_direct() {
    let model = pair(isotropic());
    let reference = sample(|seed| DirectSgd::builder(&model, N).build_seeded(seed).unwrap().order_parameters());
    let compressed =
        sample(|seed| CompressedSgd::builder(&model, N).build_seeded(1_000_000 + seed).unwrap().order_parameters());
    let projected =
        sample(|seed| ProjectedChain::builder(&model, N).build_seeded(2_000_000 + seed).unwrap().order_parameters());
    assert_equal("start, compressed", &compressed, &reference);
    assert_equal("start, projected", &projected, &reference);
    assert_equal("start, lanes", &lanes_of(&model, N, None, 0), &reference);
}

/// What a chain of this file gets wrong.
#[derive(Clone, Copy, Default)]
struct Fault {
    degrees: f64,
    no_d12: bool,
}

/// Theory §8 for one neuron and one feature, written out.
fn written_out(noise: &GaussianNoise, fault: Fault, seed: u64) -> OrderParameters {
    let (tau, gamma, n, batch) = (TAU, 0.5, N as f64, 4);
    let law = Law::skewed(1.0, 0.3).unwrap();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let [[d11, d12], [_, d22]] = noise.background_covariance().plus_shared(1.0).unwrap().to_array();
    let across = ViewCovariance::new(d11, d12, d22).unwrap();
    let along: ViewCovariance = noise.feature_covariance();
    let chi_squared = ChiSquared::new(n - 2.0 + fault.degrees).unwrap();
    let start = one_neuron();
    let (mut q, mut s) = (start.q()[(0, 0)], start.background()[(0, 0)]);
    for _ in 0..STEPS {
        let v = s.sqrt();
        let (mut sum_q, mut sum_v, mut lambda) = (0.0, 0.0, 0.0);
        for _ in 0..batch {
            let c: f64 = law.sample(&mut rng);
            let (z, xi) = (along.sample(&mut rng), across.sample(&mut rng));
            let y = [0, 1].map(|view| (q * (c + z[view]) + v * xi[view]).tanh());
            let e = [-(1.0 - y[0] * y[0]) * y[1], -(1.0 - y[1] * y[1]) * y[0]];
            sum_q += e[0] * (c + z[0]) + e[1] * (c + z[1]);
            sum_v += e[0] * xi[0] + e[1] * xi[1];
            let cross = if fault.no_d12 { 0.0 } else { 2.0 * d12 * e[0] * e[1] };
            lambda += d11 * e[0] * e[0] + cross + d22 * e[1] * e[1];
        }
        let (keep, size) = (1.0 - tau * gamma / n, f64::from(batch));
        q = keep * q - tau / (n * size) * sum_q;
        let v = keep * v - tau / (n * size) * sum_v;
        s = v * v + (tau / n).powi(2) * lambda / (size * size) * chi_squared.sample(&mut rng);
    }
    OrderParameters::from_rows(1, 1, &[q], &[q * q + s]).unwrap()
}

/// The controls are caught by direct SGD, whose law they would have to have.
#[test]
fn one_neuron_agrees_with_direct_and_broken_chains_do_not() {
    for (name, noise) in [("one neuron, isotropic", isotropic()), ("one neuron, K^f = 0", in_background())] {
        let model = builder(noise).build().unwrap();
        let start = one_neuron();
        let reference = direct(&model, &start);
        assert_equal(&format!("{name}, compressed"), &compressed(&model, &start), &reference);
        assert_equal(&format!("{name}, projected"), &projected(&model, &start), &reference);
        assert_equal(&format!("{name}, lanes"), &lanes(&model, &start), &reference);
        let control = |fault| sample(|seed| written_out(&noise, fault, 3_000_000 + seed));
        assert_equal(&format!("{name}, written out"), &control(Fault::default()), &reference);
        for degrees in [-1.0, 1.0] {
            let broken = control(Fault { degrees, no_d12: false });
            assert_different(&format!("{name}, degrees of freedom {degrees:+}"), &broken, &reference);
        }
        let broken = control(Fault { degrees: 0.0, no_d12: true });
        assert_different(&format!("{name}, no D_12"), &broken, &reference);
    }
}

#[test]
fn two_neurons_with_a_penalty_agree_with_direct() {
    assert_all_agree("two neurons, isotropic", &pair(isotropic()), &two_neurons());
    assert_all_agree("two neurons, K^f = 0", &pair(in_background()), &two_neurons());
}

#[test]
fn another_regulariser_agrees_with_direct() {
    let model = builder(isotropic()).regularizer(L1).build().unwrap();
    assert_equal("L1, compressed", &compressed(&model, &one_neuron()), &direct(&model, &one_neuron()));
}

#[test]
fn stop_gradient_agrees_with_direct() {
    let model = builder(isotropic()).gradient_path(GradientPath::StopGradient).build().unwrap();
    assert_all_agree("stop gradient", &model, &one_neuron());
}

/// A sample without those columns, which are that number to rounding.
pub(super) fn without(mut sample: Sample, columns: &[usize], value: f64) -> Sample {
    for &k in columns {
        assert!(sample.remove(k).iter().all(|r| (r - value).abs() < 1e-12));
    }
    sample
}

/// Two neurons, so that R_12 moves; R_ii is 1 to rounding, and that rounding is not compared.
#[test]
fn the_sphere_agrees_with_direct() {
    let model = builder(isotropic()).n_neurons(2).penalty_strength(2.0).constraint(Constraint::Sphere).build().unwrap();
    let start = two_neurons().normalised().unwrap();
    let without_diagonal = |sample| without(sample, &[4, 2], 1.0);
    let reference = without_diagonal(direct(&model, &start));
    assert_equal("sphere, compressed", &without_diagonal(compressed(&model, &start)), &reference);
    assert_equal("sphere, projected", &without_diagonal(projected(&model, &start)), &reference);
    assert_equal("sphere, lanes", &without_diagonal(lanes(&model, &start)), &reference);
}

/// R − QᵀQ = 0 at the start, then of rank 1 (two equal neurons): no direction of the background, then one, is there to
/// be seen. With N = p + m = 3 there is nothing outside of span(U, W) either.
#[test]
fn singular_starts_and_the_smallest_dimension_agree_with_direct() {
    let model = pair(isotropic());
    let in_span = OrderParameters::from_rows(1, 2, &[0.5, -0.2], &[0.25, -0.1, -0.1, 0.04]).unwrap();
    let equal = OrderParameters::from_rows(1, 2, &[0.5, 0.5], &[1.0, 1.0, 1.0, 1.0]).unwrap();
    for (name, start, n) in
        [("weights in span U", &in_span, N), ("equal neurons", &equal, N), ("N = 3", &two_neurons(), 3)]
    {
        let reference =
            sample(|seed| after(DirectSgd::builder(&model, n).start(start).build_seeded(seed).unwrap(), 20));
        let run =
            |seed| after(CompressedSgd::builder(&model, n).start(start).build_seeded(1_000_000 + seed).unwrap(), 20);
        let compressed = sample(run);
        let run =
            |seed| after(ProjectedChain::builder(&model, n).start(start).build_seeded(2_000_000 + seed).unwrap(), 20);
        let projected = sample(run);
        assert_equal(&format!("{name}, compressed"), &compressed, &reference);
        assert_equal(&format!("{name}, projected"), &projected, &reference);
        assert_equal(&format!("{name}, lanes"), &lanes_of(&model, n, Some(start), 20), &reference);
    }
}

/// In lanes a batch of one neuron is drawn in another way where that is cheaper, and chi-square variables of many
/// degrees of freedom for all lanes at once: three features, unequal overlaps, one of them zero; a batch of one; N = 40.
/// Against the chain alone, with views that are exchangeable and views that are not.
#[test]
fn lanes_agree_with_the_chain_alone() {
    let laws = [Law::skewed(1.0, 0.3), Law::gaussian(1.3), Law::laplace(0.7)].map(Result::unwrap);
    let hidden = Independent::new(laws).unwrap();
    let view = |v11, v12, v22| ViewCovariance::new(v11, v12, v22).unwrap();
    let unequal = GaussianNoise::new(view(0.6, -0.2, 0.2), view(0.3, 0.3, 0.9));
    let start = OrderParameters::from_rows(3, 1, &[0.4, 0.0, -0.5], &[1.0]).unwrap();
    for (name, noise, batch) in
        [("exchangeable", isotropic(), 4), ("a batch of one", isotropic(), 1), ("unequal", unequal, 4)]
    {
        let builder = Model::builder().nonlinearity(Tanh).hidden(hidden.clone()).noise(noise).learning_rate(TAU);
        let model = builder.weight_decay(0.5).batch_size(batch).build().unwrap();
        let run = |seed| {
            after(ProjectedChain::builder(&model, 40).start(&start).build_seeded(2_000_000 + seed).unwrap(), STEPS)
        };
        assert_equal(&format!("lanes, {name}"), &lanes_of(&model, 40, Some(&start), STEPS), &sample(run));
    }
}
