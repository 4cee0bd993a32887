//! Escape from the uninformative state: closed forms for the identity, and runs of the projected chain.

use contrastive_dynamics::fluctuation::{EscapeTimes, FluctuationError, Fluctuations};
use contrastive_dynamics::model::{CorrelatedSigns, PointMasses};
use contrastive_dynamics::nalgebra::DMatrix;
use contrastive_dynamics::prelude::*;

use super::correlated;

/// σ the identity, one feature of second moment 3 and 2τ = 1, on the sphere: dQ/dt = Q (a − b Q²) with a = 3/2 and b = 3.
fn oja() -> Model<f64, Identity, Independent, NoNoise> {
    let hidden = Independent::new([Law::two_point(3.0).unwrap()]).unwrap();
    let builder = Model::builder().nonlinearity(Identity).hidden(hidden).noise(NoNoise);
    builder.learning_rate(0.5).constraint(Constraint::Sphere).build().unwrap()
}

const A: f64 = 1.5;
const B: f64 = 3.0;

/// |Q| at which a run has escaped.
const AT: f64 = 0.5;

fn event(state: &OrderParameters) -> f64 {
    state.q()[(0, 0)].abs() - AT
}

fn one() -> DMatrix<f64> {
    DMatrix::identity(1, 1)
}

/// The time of the solution from Q₀ = z √(v/N), where v = 1 + Γ/(2μ) with Γ = τ'² E c² = 3 and μ = a.
fn time(size: f64, n: usize) -> f64 {
    let square = size * size * (1.0 + 3.0 / (2.0 * A)) / n as f64;
    (AT * AT * (1.0 - B / A * square) / (square * (1.0 - B / A * AT * AT))).ln() / (2.0 * A)
}

#[test]
fn the_law_of_the_identity_is_known() {
    let model = oja();
    let ode = ReducedOde::new(&model).unwrap();
    let fluctuations = Fluctuations::new(&ode);
    let escape = fluctuations.escape(&one()).unwrap();
    assert!((escape.rate() - A).abs() < 1e-12 && escape.growing_modes() == 1);
    assert!((escape.start_covariance()[(0, 0)] - 2.0).abs() < 1e-6, "{}", escape.start_covariance());
    for n in [10_000, 1_000_000_000] {
        let times = escape.times(n, 100.0, event).unwrap();
        assert_eq!(times.dimension(), n);
        // Normal quantiles: P(|z| > size).
        for (probability, size) in [(0.1, 1.644_853_627), (0.5, 0.674_489_750), (0.9, 0.125_661_347)] {
            let expected = time(size, n);
            assert!((times.quantile(probability) - expected).abs() < 1e-6, "{probability} {expected}");
            assert!((times.distribution(expected) - probability).abs() < 1e-6);
        }
        // P(|z| < 1e-5) = 8e-6.
        assert!((times.quantile(1.0 - 7.978_845_6e-6) - time(1e-5, n)).abs() < 1e-5);
        // The density is the derivative of the distribution, and its first moment the mean, by the trapezoidal rule.
        let (from, to, count) = (0.0, 25.0, 5000);
        let step = (to - from) / f64::from(count);
        let (mut total, mut mean) = (0.0, 0.0);
        for k in 0..=count {
            let t = from + step * f64::from(k);
            total += step * times.density(t);
            mean += step * t * times.density(t);
        }
        assert!((total - 1.0).abs() < 1e-6 && (mean - times.mean()).abs() < 1e-5, "{total} {mean} {}", times.mean());
        let slope = (times.distribution(4.01) - times.distribution(3.99)) / 0.02;
        assert!((slope - times.density(4.0)).abs() < 1e-4);
    }
    let times = escape.times(10_000, 100.0, event).unwrap();
    assert!(times.quantile(1.5).is_nan() && times.quantile(0.0).is_nan());
    // P(|z| > 8.2924) = 1.1e-16.
    assert!((times.quantile(1.111_82e-16) - time(8.292_362, 10_000)).abs() < 1e-2);
    let edges = [f64::NEG_INFINITY, -1.0, 0.0, f64::INFINITY];
    assert_eq!(edges.map(|t| times.distribution(t)), [0.0, 0.0, 0.0, 1.0]);
    assert_eq!(edges.map(|t| times.density(t)), [0.0; 4]);
    assert!(times.distribution(f64::NAN).is_nan() && times.density(f64::NAN).is_nan());
}

/// Kolmogorov's distance of escape times of projected chains to a law, times the root of their number.
fn distance<M>(model: &M, n: usize, runs: u64, end: f64, times: &EscapeTimes) -> f64
where
    M: Spec<Scalar = f64, Regularizer: LinearRegularizer<f64>>,
{
    let outputs: Vec<f64> = (0..100_000).map(|k| 0.01 * f64::from(k)).take_while(|&t| t <= end).collect();
    let mut seen = Vec::new();
    for block in 0..runs / 32 {
        let seeds: Vec<u64> = (0..32).map(|k| 1 + 32 * block + k).collect();
        let mut lanes = ProjectedChain::builder(model, n).lanes(&seeds).unwrap();
        for run in lanes.run(end, &Output::Times(outputs.clone())).unwrap() {
            let run = run.unwrap();
            let series: Vec<(f64, f64)> = run.iter().map(|(t, state)| (t, event(state))).collect();
            let crossing = series.windows(2).find(|pair| pair[1].1 >= 0.0);
            let at = crossing.map(|pair| {
                let ((t, before), (u, after)) = (pair[0], pair[1]);
                t + (u - t) * before / (before - after)
            });
            seen.push(at.unwrap_or(f64::INFINITY));
        }
    }
    seen.sort_by(f64::total_cmp);
    let count = seen.len() as f64;
    let gap = |(k, &t): (usize, &f64)| {
        let p = times.distribution(t);
        (p - k as f64 / count).abs().max((p - (k + 1) as f64 / count).abs())
    };
    // Of runs that have not escaped by the end only their number counts.
    let escaped = seen.iter().enumerate().filter(|(_, t)| t.is_finite());
    escaped.map(gap).fold(0.0, f64::max) * count.sqrt()
}

/// 640 runs at N = 10⁴ and 32 at N = 10⁵: Kolmogorov's distance below 2.4/√runs, where a false alarm has probability 2 exp(−2·2.4²) = 2e-5.
/// The control: the law without the noise of the steps, which is a fifth of a standard deviation later.
#[test]
fn runs_of_the_identity_have_that_law() {
    let model = oja();
    let ode = ReducedOde::new(&model).unwrap();
    let fluctuations = Fluctuations::new(&ode);
    let escape = fluctuations.escape(&one()).unwrap();
    for (n, runs) in [(10_000, 640), (100_000, 32)] {
        let times = escape.times(n, 100.0, event).unwrap();
        let seen = distance(&model, n, runs, 6.5, &times);
        assert!(seen < 2.4, "{n}: {seen}");
        // Half the variance of the start is that of a dimension twice as large.
        let without = escape.times(2 * n, 100.0, event).unwrap();
        if runs < 500 {
            continue;
        }
        let seen = distance(&model, n, runs, 6.5, &without);
        assert!(seen > 2.4, "{n}: the noise of the steps is not seen: {seen}");
    }
}

/// tanh with noise and decay, where R comes to rest first: against 192 runs at N = 10⁴.
#[test]
fn runs_of_tanh_have_that_law() {
    let hidden = Independent::new([Law::two_point(3.0).unwrap()]).unwrap();
    let builder = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(correlated());
    let model = builder.learning_rate(1.0).weight_decay(0.4).batch_size(2).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let fluctuations = Fluctuations::new(&ode);
    let escape = fluctuations.escape(&one()).unwrap();
    let times = escape.times(10_000, 200.0, event).unwrap();
    let end = times.quantile(0.999_9) + 2.0;
    let seen = distance(&model, 10_000, 192, end, &times);
    assert!(seen < 2.4, "{seen} {} {}", escape.rate(), times.mean());
}

/// Two equal features: each wins in half of the samples, in each sign in a quarter; and a stronger one wins nearly always at large N.
#[test]
fn what_is_learned_is_sampled() {
    let build = |second: [f64; 2]| {
        let hidden = Independent::new(second.map(|s| Law::two_point(s).unwrap())).unwrap();
        let builder = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(correlated());
        builder.learning_rate(0.5).weight_decay(0.4).build().unwrap()
    };
    let largest = |state: &OrderParameters| {
        (0..2).map(|l| state.cosine_similarity(l, 0).unwrap_or(0.0).abs()).fold(0.0, f64::max) - 0.7
    };
    let equal = build([2.25, 2.25]);
    let ode = ReducedOde::new(&equal).unwrap();
    let fluctuations = Fluctuations::new(&ode);
    let escape = fluctuations.escape(&one()).unwrap();
    assert_eq!(escape.growing_modes(), 2);
    assert!(matches!(escape.times(1000, 1e3, largest), Err(FluctuationError::ManyModes { modes: 2 })));
    let samples = escape.sample(100_000, 64, 1e3, largest).unwrap();
    for learned in [(0, 0, 1), (0, 0, -1), (1, 0, 1), (1, 0, -1)] {
        let count = samples.iter().filter(|sample| sample.learned == learned).count();
        // Sobol points are in each quadrant equally often, to a few.
        assert!((13..=19).contains(&count), "{learned:?}: {count}");
    }
    assert!(samples.iter().all(|sample| sample.time.is_finite() && largest(&sample.state).abs() < 1e-6));
    let unequal = build([2.25, 3.0]);
    let ode = ReducedOde::new(&unequal).unwrap();
    let fluctuations = Fluctuations::new(&ode);
    let escape = fluctuations.escape(&one()).unwrap();
    let stronger = |n: usize| {
        let samples = escape.sample(n, 32, 1e3, largest).unwrap();
        samples.iter().filter(|sample| sample.learned.0 == 1).count()
    };
    assert!(stronger(1000) < 31 && stronger(1_000_000_000) == 32);
}

#[test]
fn what_does_not_escape_is_refused() {
    type E = FluctuationError;
    let hidden = Independent::new([Law::two_point(0.5).unwrap()]).unwrap();
    let builder = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(correlated());
    let weak = builder.learning_rate(0.3).weight_decay(0.1).build().unwrap();
    let ode = ReducedOde::new(&weak).unwrap();
    assert!(matches!(Fluctuations::new(&ode).escape(&one()), Err(E::NoEscape)));
    let hidden = Independent::new([Law::skewed(3.0, 0.3).unwrap()]).unwrap();
    let builder = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(correlated());
    let skewed = builder.learning_rate(1.0).weight_decay(0.4).build().unwrap();
    let ode = ReducedOde::new(&skewed).unwrap();
    let fluctuations = Fluctuations::new(&ode);
    let escape = fluctuations.escape(&one()).unwrap();
    assert!(matches!(escape.times(10_000, 100.0, event), Err(E::NotSymmetric)));
    assert!(escape.sample(10_000, 2, 100.0, event).is_ok());
    let shifted = Independent::new([PointMasses::new([2.0, 0.0], [0.5, 0.5]).unwrap()]).unwrap();
    let builder = Model::builder().nonlinearity(Sigmoid).hidden(shifted).noise(correlated());
    let shifted = builder.learning_rate(1.0).weight_decay(0.4).build().unwrap();
    let ode = ReducedOde::new(&shifted).unwrap();
    assert_eq!(Fluctuations::new(&ode).escape(&one()).unwrap_err(), E::NotCentred);
    let model = oja();
    let ode = ReducedOde::new(&model).unwrap();
    let fluctuations = Fluctuations::new(&ode);
    assert!(matches!(fluctuations.escape(&DMatrix::from_element(1, 1, 2.0)), Err(E::Start(_))));
    assert!(matches!(fluctuations.escape(&DMatrix::identity(2, 2)), Err(E::Start(_) | E::Limit(_))));
    let escape = fluctuations.escape(&one()).unwrap();
    assert!(matches!(escape.times(0, 100.0, event), Err(E::Dimension { .. })));
    assert!(matches!(escape.times(50, 100.0, event), Err(E::FewDimensions { dimension: 50 })));
    assert!(matches!(escape.times(10_000, 1.0, event), Err(E::NoEvent { .. })));
    let error = escape.sample(20, 64, 100.0, event).unwrap_err();
    assert!(matches!(&error, E::Sample { done, .. } if !done.is_empty()), "{error}");
    let never = escape.sample(10_000, 4, 1.0, event).unwrap();
    assert!(never.iter().all(|sample| sample.time == f64::INFINITY));
}

/// σ the identity on the sphere with several modes: v = 1 + τ'² λ/(2μ) along each that grows, μ = τ'(λ − κ) with 2τ = τ' = 1 and λ an
/// eigenvalue of E[c cᵀ]: of very different rates, of one that is zero, and across the features.
#[test]
fn modes_of_unequal_rates_are_told_apart() {
    fn check<H: HiddenDistribution>(name: &str, hidden: H, expected: &[(f64, [f64; 2])]) {
        let builder = Model::builder().nonlinearity(Identity).hidden(hidden).noise(NoNoise);
        let model = builder.learning_rate(0.5).constraint(Constraint::Sphere).build().unwrap();
        let ode = ReducedOde::new(&model).unwrap();
        let fluctuations = Fluctuations::new(&ode);
        let escape = fluctuations.escape(&one()).unwrap();
        assert_eq!(escape.growing_modes(), expected.len(), "{name}");
        let mut covariance = DMatrix::zeros(2, 2);
        for (value, axis) in expected {
            let axis = DMatrix::from_column_slice(2, 1, axis).normalize();
            covariance += &axis * axis.transpose() * (1.0 + value / (2.0 * (value - 1.5)));
        }
        let distance = (escape.start_covariance() - &covariance).amax();
        assert!(distance < 1e-6 * covariance.amax(), "{name}: {} {covariance}", escape.start_covariance());
    }
    let independent = |second: [f64; 2]| Independent::new(second.map(|s| Law::two_point(s).unwrap())).unwrap();
    check("unequal", independent([3.0, 1.51]), &[(3.0, [1.0, 0.0]), (1.51, [0.0, 1.0])]);
    check("one at rest", independent([3.0, 1.5]), &[(3.0, [1.0, 0.0])]);
    let pair = CorrelatedSigns::new([3.0, 3.0], 0.3).unwrap();
    check("correlated", pair, &[(3.9, [1.0, 1.0]), (2.1, [1.0, -1.0])]);
}
