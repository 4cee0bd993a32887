//! Γ against the sample covariance of single steps of the projected chain, which knows nothing of it.

use contrastive_dynamics::fluctuation::Fluctuations;
use contrastive_dynamics::nalgebra::{DMatrix, DVector};
use contrastive_dynamics::prelude::*;

use super::{Moments, correlated, hidden};

/// Dimension of the chain: its steps have the covariance Γ/N² but for parts of order 1/N.
const N: usize = 1_000_000;

/// The largest deviation of an entry of the sample covariance of N steps, in standard errors; of Γ, and of Γ with a variance that is 3 %
/// larger. Standard errors are those of the sample of products.
fn deviation<M>(model: &M, state: &OrderParameters, runs: u64) -> (f64, f64)
where
    M: Spec<Scalar = f64, Regularizer: LinearRegularizer<f64>>,
{
    let ode = ReducedOde::new(model).unwrap();
    let gamma = Fluctuations::new(&ode).noise(state).unwrap().covariance;
    let (start, rates) = (state.to_packed(), ode.rates(state).unwrap());
    let mut drift = rates.q.transpose().as_slice().to_vec();
    let m = state.n_neurons();
    drift.extend((0..m).flat_map(|i| (i..m).map(move |j| (i, j))).map(|at| rates.r[at]));
    let n = start.len();
    let pairs: Vec<(usize, usize)> = (0..n).flat_map(|i| (i..n).map(move |j| (i, j))).collect();
    let mut products = Moments::new(pairs.len());
    for block in 0..runs / 32 {
        let seeds: Vec<u64> = (0..32).map(|k| 32 * block + k).collect();
        let mut lanes = ProjectedChain::builder(model, N).start(state).lanes(&seeds).unwrap();
        lanes.step();
        for lane in 0..32 {
            let now = lanes.order_parameters(lane).unwrap().to_packed();
            let step = (now - &start) * N as f64;
            let step: Vec<f64> = step.iter().zip(&drift).map(|(x, f)| x - f).collect();
            let squares = pairs.iter().map(|&(i, j)| step[i] * step[j]);
            products.add(&DVector::from_iterator(pairs.len(), squares));
        }
    }
    let (mean, spread) = (products.mean(), products.covariance());
    let worst = |gamma: &DMatrix<f64>| {
        let of = |(k, &(i, j)): (usize, &(usize, usize))| {
            let error = (spread[(k, k)] / products.count()).sqrt().max(1e-9 * gamma.amax());
            (mean[k] - gamma[(i, j)]).abs() / error
        };
        pairs.iter().enumerate().map(of).fold(0.0, f64::max)
    };
    (worst(&gamma), worst(&(&gamma * 1.03)))
}

/// Five and a half standard errors: with fewer than 300 entries in all false alarms are below 2e-5. The control is caught where there are
/// enough steps, and that is asked of one model of each kind.
fn assert_noise<M>(name: &str, model: &M, state: &OrderParameters, runs: u64, control: bool)
where
    M: Spec<Scalar = f64, Regularizer: LinearRegularizer<f64>>,
{
    let (own, wrong) = deviation(model, state, runs);
    assert!(own < 5.5, "{name}: {own}");
    assert!(!control || wrong > 6.5, "{name}: 3 % are not seen: {wrong}");
}

fn one() -> OrderParameters {
    OrderParameters::from_rows(2, 1, &[0.4, -0.2], &[0.8]).unwrap()
}

fn two() -> OrderParameters {
    OrderParameters::from_rows(2, 2, &[0.4, -0.2, 0.3, 0.5], &[0.8, 0.2, 0.2, 1.0]).unwrap()
}

#[test]
fn one_neuron() {
    let builder = || Model::builder().nonlinearity(Tanh).hidden(hidden()).noise(correlated()).learning_rate(0.9);
    assert_noise("B = 1", &builder().weight_decay(0.5).build().unwrap(), &one(), 300_000, true);
    assert_noise("B = 3", &builder().batch_size(3).build().unwrap(), &one(), 100_000, false);
    let stop = builder().gradient_path(GradientPath::StopGradient).batch_size(2).build().unwrap();
    assert_noise("stop gradient", &stop, &one(), 100_000, false);
    let sphere = OrderParameters::from_rows(2, 1, &[0.4, -0.2], &[1.0]).unwrap();
    let model = builder().constraint(Constraint::Sphere).batch_size(2).build().unwrap();
    assert_noise("sphere", &model, &sphere, 100_000, false);
    // No parity, a law that is not symmetric, one that is continuous, noise of the features other than that of the background.
    let skewed = Independent::new([Law::skewed(1.5, 0.3).unwrap(), Law::uniform(1.2).unwrap()]).unwrap();
    let (features, background) = (ViewCovariance::correlated(0.6, 0.5), ViewCovariance::new(0.2, -0.1, 0.5));
    let noise = GaussianNoise::new(features.unwrap(), background.unwrap());
    let model = Model::builder().nonlinearity(Sigmoid).hidden(skewed).noise(noise).learning_rate(0.9);
    assert_noise("skewed", &model.build().unwrap(), &one(), 100_000, false);
    // A Gaussian law, of which both views see the same value.
    let gaussian = Independent::new([Law::gaussian(1.5).unwrap(), Law::two_point(1.2).unwrap()]).unwrap();
    let model = Model::builder().nonlinearity(Tanh).hidden(gaussian).noise(correlated()).learning_rate(0.9);
    assert_noise("Gaussian", &model.build().unwrap(), &one(), 100_000, false);
    assert_noise(
        "spectral",
        &builder().loss(SpectralContrastive).batch_size(3).build().unwrap(),
        &one(),
        100_000,
        false,
    );
    let barlow = builder().loss(BarlowTwins::new(0.5).unwrap()).batch_size(3).build().unwrap();
    assert_noise("Barlow Twins", &barlow, &one(), 50_000, false);
}

#[test]
fn several_neurons() {
    let builder = |batch: usize| {
        let builder = Model::builder().nonlinearity(Tanh).hidden(hidden()).noise(correlated()).learning_rate(0.9);
        builder.n_neurons(2).penalty_strength(0.7).batch_size(batch)
    };
    assert_noise("B = 1", &builder(1).weight_decay(0.5).build().unwrap(), &two(), 100_000, false);
    assert_noise("B = 3", &builder(3).build().unwrap(), &two(), 100_000, true);
    let orthonormal = OrderParameters::from_rows(2, 2, &[0.4, -0.2, 0.3, 0.5], &[1.0, 0.0, 0.0, 1.0]).unwrap();
    for constraint in [Constraint::Sphere, Constraint::Orthonormal, Constraint::GramSchmidt] {
        let model = builder(2).constraint(constraint).build().unwrap();
        assert_noise(&format!("{constraint:?}"), &model, &orthonormal, 50_000, false);
    }
    let three = [0.8, 0.2, 0.1, 0.2, 1.0, 0.0, 0.1, 0.0, 0.7];
    let three = OrderParameters::from_rows(2, 3, &[0.4, -0.2, 0.1, 0.3, 0.5, 0.2], &three).unwrap();
    assert_noise("three", &builder(2).n_neurons(3).penalty_strength(0.0).build().unwrap(), &three, 50_000, false);
}

/// By whole batches Γ is known to two hundredths only.
#[test]
fn whole_batches() {
    let builder = || Model::builder().nonlinearity(Tanh).hidden(hidden()).noise(correlated()).learning_rate(0.9);
    let relu = Model::builder().nonlinearity(Relu).hidden(hidden()).noise(correlated()).learning_rate(0.9);
    let relu = relu.batch_size(2).build().unwrap();
    assert!(!Fluctuations::new(&ReducedOde::new(&relu).unwrap()).is_exact());
    assert_noise("ReLU", &relu, &one(), 20_000, false);
    let info = builder().loss(InfoNce::new(0.5).unwrap()).batch_size(4).build().unwrap();
    assert_noise("InfoNCE", &info, &one(), 20_000, false);
}

/// Whole batches of a loss that tells nothing of its polynomial, against that polynomial.
#[test]
fn whole_batches_agree_with_moments_of_a_sample() {
    struct Plain<L>(L);
    impl<L: Loss> Loss for Plain<L> {
        fn value(&self, outputs: Outputs<'_, f64>) -> f64 {
            self.0.value(outputs)
        }
        fn gradient(&self, outputs: Outputs<'_, f64>, gradient: OutputGradient<'_, f64>) {
            self.0.gradient(outputs, gradient);
        }
    }
    let builder = || Model::builder().nonlinearity(Tanh).hidden(hidden()).noise(correlated()).learning_rate(0.9);
    let barlow = BarlowTwins::new(0.5).unwrap();
    let exact = builder().n_neurons(2).batch_size(2).loss(barlow).build().unwrap();
    let plain = builder().n_neurons(2).batch_size(2).loss(Plain(barlow)).build().unwrap();
    let (exact, plain) = (ReducedOde::new(&exact).unwrap(), ReducedOde::new(&plain).unwrap());
    let (exact, plain) = (Fluctuations::new(&exact), Fluctuations::new(&plain));
    assert!(exact.is_exact() && !plain.is_exact());
    let (exact, plain) = (exact.noise(&two()).unwrap(), plain.noise(&two()).unwrap());
    let difference = (&exact.covariance - &plain.covariance).amax();
    assert!(difference < 2.0 * (exact.error + plain.error), "{difference} {} {}", exact.error, plain.error);
    assert!(plain.error < 0.025 * exact.covariance.amax());
}

/// What is told of the error bounds it: against a tolerance a thousand times finer.
#[test]
fn errors_are_told() {
    for (name, batch, neurons) in [("one", 2, 1), ("two", 1, 2)] {
        let builder = Model::builder().nonlinearity(Tanh).hidden(hidden()).noise(correlated()).learning_rate(0.9);
        let model = builder.n_neurons(neurons).batch_size(batch).build().unwrap();
        let ode = ReducedOde::new(&model).unwrap();
        let state = if neurons == 1 { one() } else { two() };
        let at = |tolerance: f64| Fluctuations::new(&ode).noise_tolerance(tolerance).unwrap().noise(&state).unwrap();
        let fine = at(1e-8);
        for tolerance in [1e-2, 1e-3, 1e-4, 1e-5] {
            let coarse = at(tolerance);
            let difference = (&coarse.covariance - &fine.covariance).amax();
            assert!(difference <= coarse.error, "{name} {tolerance}: {difference} {}", coarse.error);
            assert!(coarse.error <= tolerance * 4.0 * fine.covariance.amax(), "{name} {tolerance}: {}", coarse.error);
        }
    }
}

/// A hidden law of more nodes than can be enumerated: Γ by points of it, to two hundredths, against its closed form for the identity on the
/// sphere at Q = 0, where a step adds 2τ h c: 4τ² E[c_l²] along each feature, and nothing else.
#[test]
fn hidden_laws_with_many_nodes_are_sampled() {
    let laws: Vec<Law> = (0..18).map(|l| Law::two_point(1.0 + 0.1 * f64::from(l)).unwrap()).collect();
    let builder = Model::builder().nonlinearity(Identity).hidden(Independent::new(laws).unwrap()).noise(NoNoise);
    let model = builder.learning_rate(0.5).constraint(Constraint::Sphere).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let state = OrderParameters::new(DMatrix::zeros(18, 1), DMatrix::identity(1, 1)).unwrap();
    let noise = Fluctuations::new(&ode).noise(&state).unwrap();
    for l in 0..18 {
        let expected = 1.0 + 0.1 * l as f64;
        assert!(
            (noise.covariance[(l, l)] - expected).abs() <= noise.error.max(1e-9),
            "{l}: {}",
            noise.covariance[(l, l)]
        );
    }
    assert!(noise.error <= 0.02 * noise.covariance.amax(), "{}", noise.error);
}

/// With momentum Γ is that of the effective rate, and 600 runs of compressed SGD at N = 300 have the covariance that follows, within five
/// standard errors and 12/N for the memory of some steps. The control has no momentum.
#[test]
fn momentum_has_the_fluctuations_of_its_effective_rate() {
    let (n, runs) = (300, 600);
    let build = |rate: f64, momentum: f64| {
        let builder = Model::builder().nonlinearity(Tanh).hidden(hidden()).noise(correlated()).weight_decay(0.5);
        builder.learning_rate(rate).momentum(momentum).build().unwrap()
    };
    let (heavy, plain) = (build(0.4, 0.5), build(0.4, 0.0));
    let mut moments = Moments::new(3);
    for seed in 0..runs {
        let mut sgd = CompressedSgd::builder(&heavy, n).start(one()).build_seeded(seed).unwrap();
        let end = sgd.run(1.0, &Output::Stop).unwrap();
        moments.add(&end.last().unwrap().1.to_packed());
    }
    let excess_of = |model: &Model<f64, Tanh, Independent, GaussianNoise>| {
        let ode = ReducedOde::new(model).unwrap();
        let path = Fluctuations::new(&ode).solver().solve(&one(), 1.0).unwrap();
        super::excess(&(moments.covariance() * n as f64), &path.covariances()[0], moments.count())
    };
    let allowed = |error: f64| 5.0 * error + 12.0 / n as f64;
    let (own, error) = excess_of(&heavy);
    assert!(own.abs() < allowed(error), "{own} {error}");
    let (other, error) = excess_of(&plain);
    assert!(other.abs() > allowed(error), "{other} {error}");
}
