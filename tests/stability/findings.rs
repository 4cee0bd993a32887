//! The findings of the letter (Meng and Wang, arXiv 2406.06909), from the library alone.

use contrastive_dynamics::limit::Limit;
use contrastive_dynamics::model::{
    GaussianNoise, HiddenDistribution, Identity, Independent, Law, Model, ModelError, Tanh,
};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::stability::{
    AttractionRegions, End, FixedPointFinder, Grid, OptimumError, SteadyState, maximum, steady_state,
    uninformative_points,
};
use contrastive_dynamics::state::{OrderParameters, OrderParametersError};

type Built = Model<f64, Tanh, Independent, GaussianNoise>;

fn model(laws: impl IntoIterator<Item = Law>, noise: GaussianNoise, learning_rate: f64, weight_decay: f64) -> Built {
    let builder = Model::builder().nonlinearity(Tanh).hidden(Independent::new(laws).unwrap()).noise(noise);
    builder.learning_rate(learning_rate).weight_decay(weight_decay).build().unwrap()
}

/// Finding 2: laws of equal second and different fourth moments have the same growth rates out of the uninformative
/// point, and different attraction regions.
#[test]
fn higher_moments_move_the_regions_and_not_the_growth_rates() {
    let state =
        |q1: f64, q2: f64| -> Result<_, OrderParametersError> { OrderParameters::from_rows(2, 1, &[q1, q2], &[1.0]) };
    let noise = GaussianNoise::correlated(0.3, -0.5).unwrap();
    let mut rows = Vec::new();
    for activity in [1.0, 0.8, 0.6, 0.3] {
        let laws = [Law::two_point(2.25).unwrap(), Law::three_point(2.25, activity).unwrap()];
        let kurtosis = Independent::new(laws.clone()).unwrap().fourth_moments()[1] / 2.25_f64.powi(2);
        assert!((kurtosis - 1.0 / activity).abs() < 1e-12);
        let model = model(laws, noise, 0.3, 0.5);
        let ode = ReducedOde::new(&model).unwrap();
        let growth = uninformative_points(&ode, 0.02, 20.0).unwrap()[0].growth_rates.clone();
        let found = FixedPointFinder::new(&ode).find().unwrap();
        let regions = AttractionRegions::of_fixed_points(&ode, &found.points).unwrap();
        let first = (0..regions.points())
            .find(|&k| regions.images(k)[0].center().cosine_similarity(0, 0).unwrap().abs() > 0.9)
            .unwrap();
        let grid = Grid { a: (0.0, 0.7), b: (0.0, 0.7), columns: 32, rows: 32 };
        let area = regions.map(grid, state).unwrap().fraction(first);
        rows.push((growth, area.fraction, area.error));
    }
    let reference = &rows[0].0;
    assert!(reference[0] > 0.1);
    for (growth, ..) in &rows {
        assert!(growth.iter().all(|rate| (rate - reference[0]).abs() < 1e-10), "{growth:?}");
    }
    // The control: one percent more second moment is seen at once.
    let other = model([Law::two_point(2.2725).unwrap(), Law::two_point(2.25).unwrap()], noise, 0.3, 0.5);
    let other = uninformative_points(&ReducedOde::new(&other).unwrap(), 0.02, 20.0).unwrap()[0].growth_rates[0];
    assert!((other - reference[0]).abs() > 1e-3);
    assert!((rows[0].1 - 0.5).abs() <= rows[0].2, "by symmetry: {rows:?}");
    assert!(rows[3].1 == 1.0, "nothing is left of the sparsest: {rows:?}");
    for pair in rows.windows(2) {
        assert!(pair[1].1 > pair[0].1, "the sparser the second feature, the larger the region of the first: {rows:?}");
    }
    assert!(rows[2].1 - rows[0].1 > rows[2].2 + rows[0].2, "beyond the errors: {rows:?}");
}

#[derive(Clone, Copy)]
enum Where {
    Everywhere,
    Background,
}

fn noise(place: Where, variance: f64, correlation: f64) -> Result<GaussianNoise, ModelError> {
    match place {
        Where::Everywhere => GaussianNoise::correlated(variance, correlation),
        Where::Background => GaussianNoise::semantic_preserving(variance, correlation),
    }
}

/// The steady state of one feature learned, and its cosine similarity.
fn steady(place: Where, (variance, correlation): (f64, f64), (tau, gamma): (f64, f64)) -> (SteadyState, f64) {
    let model = model([Law::two_point(2.25).unwrap()], noise(place, variance, correlation).unwrap(), tau, gamma);
    let ode = ReducedOde::new(&model).unwrap();
    let start = OrderParameters::from_rows(1, 1, &[0.8], &[1.0]).unwrap();
    let steady = steady_state(&ode, &start, 1e4).unwrap();
    let cosine = steady.state.cosine_similarity(0, 0).unwrap();
    (steady, cosine)
}

/// The growth rate out of the uninformative point.
fn growth(place: Where, (variance, correlation): (f64, f64), (tau, gamma): (f64, f64)) -> f64 {
    let model = model([Law::two_point(2.25).unwrap()], noise(place, variance, correlation).unwrap(), tau, gamma);
    uninformative_points(&ReducedOde::new(&model).unwrap(), 0.02, 20.0).unwrap()[0].growth_rates[0]
}

const SETTING: (f64, f64) = (0.3, 0.5);

fn cosine(place: Where, variance: f64, correlation: f64) -> f64 {
    steady(place, (variance, correlation), SETTING).1
}

/// Finding 3, isotropic noise: the more of it, the lower the steady cosine similarity; negative correlation between the
/// views recovers a part, and only a part.
#[test]
fn isotropic_noise_hurts_and_negative_correlation_recovers_a_part() {
    let clean = cosine(Where::Everywhere, 0.0, 0.0);
    let mut before = clean;
    for variance in [0.1, 0.3, 0.6, 1.0] {
        let at = |correlation| cosine(Where::Everywhere, variance, correlation);
        let [shared, positive, independent, negative, opposite] = [1.0, 0.5, 0.0, -0.5, -1.0].map(at);
        assert!(independent < before - 5e-4, "more noise, less similarity: {variance}");
        assert!(shared < positive && positive < independent && independent < negative && negative < opposite);
        assert!(negative < clean && opposite < clean, "not all of it comes back: {variance}");
        before = independent;
    }
    // The best correlation is at the end of the range, and the search says so.
    let best = maximum(|rho| Ok::<_, ()>(cosine(Where::Everywhere, 0.3, rho)), (-1.0, 1.0), 1e-3);
    assert!(matches!(best, Err(OptimumError::AtEnd { end: End::Low, at: -1.0, .. })), "{best:?}");
}

/// Finding 3, noise in the background only: with negative correlation it is better than no noise at all. The gradient's
/// variance falls with the correlation, and the feature becomes more learnable.
#[test]
fn negatively_correlated_background_noise_beats_no_noise() {
    let (clean, best_without) = steady(Where::Background, (0.0, 0.0), SETTING);
    let growth_at = |noise| growth(Where::Background, noise, SETTING);
    let growth_without = growth_at((0.0, 0.0));
    for variance in [0.1, 0.3, 0.6, 1.0] {
        let rows = [1.0, 0.5, 0.0, -0.5, -1.0].map(|rho| {
            let noise = (variance, rho);
            let (steady, cosine) = steady(Where::Background, noise, SETTING);
            (steady, cosine, growth_at(noise))
        });
        for pair in rows.windows(2) {
            assert!(pair[1].1 > pair[0].1 + 1e-5, "similarity rises as the correlation falls");
            assert!(
                pair[1].0.gradient_variance < pair[0].0.gradient_variance - 1e-6,
                "and the gradient's variance falls"
            );
            assert!(pair[1].2 > pair[0].2 + 1e-3, "and the feature is learned faster");
        }
        assert!(rows[3].1 > best_without + 2e-4 && rows[4].1 > rows[3].1, "{variance}");
        assert!(rows[0].1 < best_without - 2e-4, "shared noise is worse than none: {variance}");
        assert!(rows[4].2 > growth_without);
        assert!(rows[0].0.gradient_variance > clean.gradient_variance);
    }
}

/// At a strong background noise the best correlation is inside the range, where the search finds it with a bracket; the
/// values left and right of it confirm it.
#[test]
fn the_best_correlation_can_be_inside() {
    let setting = (1.0, 0.2);
    let value = |rho: f64| Ok::<_, ()>(steady(Where::Background, (6.0, rho), setting).1);
    let best = maximum(value, (-0.85, -0.6), 1e-2).unwrap();
    assert!(best.bracket.0 < best.at && best.at < best.bracket.1 && best.bracket.1 - best.bracket.0 < 3e-2, "{best:?}");
    for rho in [-1.0, best.at - 0.05, best.at + 0.05] {
        assert!(value(rho).unwrap() < best.value, "{rho}: {best:?}");
    }
    assert!((-0.8..-0.6).contains(&best.at), "{best:?}");
}

/// How the averages' own solver sees it: the steady state is a root of the rates, and the similarity and the variance of
/// the gradient there are tied by dR/dt = 0 in the background, 2(β − τγ)(R − Q²) + Λ = 0.
#[test]
fn steady_states_balance_gradient_noise_against_drift() {
    for (place, variance, correlation) in
        [(Where::Everywhere, 0.3, -0.5), (Where::Everywhere, 1.0, 0.5), (Where::Background, 0.6, -1.0)]
    {
        let model = model([Law::two_point(2.25).unwrap()], noise(place, variance, correlation).unwrap(), 0.3, 0.5);
        let ode = ReducedOde::new(&model).unwrap();
        let (steady, ..) = steady(place, (variance, correlation), SETTING);
        let rates = ode.rates(&steady.state).unwrap();
        assert!(rates.q.amax() < 5e-10 && rates.r.amax() < 5e-10);
        let coefficients = ode.limit().coefficients(&steady.state).unwrap().coefficients;
        let drift = coefficients.drift(&steady.state).beta[(0, 0)] - ode.decay();
        let balance = 2.0 * drift * steady.state.background()[(0, 0)] + steady.gradient_variance;
        assert!(balance.abs() < 1e-9, "{balance:e}");
        assert!(steady.gradient_variance > 1e-3 && drift < -1e-2);
    }
}

/// At one state, Q = 0 and R = 1, the variance of the gradient of the identity is 2τ²(D_11² + D_12²): negative correlation lowers what
/// independent noise adds. For tanh it does so while fields are small; the order turns round between R = 0.3 and R = 0.5.
#[test]
fn at_one_state_negative_correlation_lowers_the_variance_of_the_gradient() {
    let start = OrderParameters::from_rows(1, 1, &[0.0], &[1.0]).unwrap();
    let builder = |correlation: f64| {
        let hidden = Independent::new([Law::two_point(2.25).unwrap()]).unwrap();
        let noise = noise(Where::Everywhere, 0.3, correlation).unwrap();
        Model::builder().nonlinearity(Tanh).hidden(hidden).noise(noise).learning_rate(0.5)
    };
    for (correlation, expected) in [(0.0, 5.38), (-0.5, 4.825), (-1.0, 4.36)] {
        let model = builder(correlation).nonlinearity(Identity).build().unwrap();
        let lambda = Limit::new(&model).unwrap().coefficients(&start).unwrap().coefficients.lambda[(0, 0)];
        assert!((lambda / 0.25 - expected).abs() < 1e-10, "{correlation}: {lambda}");
    }
    // In units of τ²R, by a product of Gauss rules in another program.
    let table = [
        (0.05, [3.1706, 3.4039, 3.6849, 4.0149, 4.3957]),
        (0.3, [1.3108, 1.3200, 1.3349, 1.3588, 1.3972]),
        (0.5, [0.8705, 0.8589, 0.8466, 0.8359, 0.8315]),
        (1.0, [0.4523, 0.4371, 0.4178, 0.3942, 0.3677]),
    ];
    for (r, expected) in table {
        let state = OrderParameters::from_rows(1, 1, &[0.0], &[r]).unwrap();
        for (correlation, expected) in [-1.0, -0.5, 0.0, 0.5, 1.0].into_iter().zip(expected) {
            let model = builder(correlation).build().unwrap();
            let lambda = Limit::new(&model).unwrap().coefficients(&state).unwrap().coefficients.lambda[(0, 0)];
            assert!((lambda / (0.25 * r) - expected).abs() < 6e-5, "R = {r}, {correlation}: {lambda}");
        }
    }
}
