//! Selection probabilities: in the limit against exact values, at finite N against the limit.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_PI_2};

use contrastive_dynamics::ensemble::{Ensemble, Failure};
use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::sgd::{ProjectedChain, SgdError, SgdFailure, Simulator};
use contrastive_dynamics::stability::{
    AttractionRegions, FiniteSizeSelection, NotReached, PartialSelection, RunFailure, Selection, SelectionError,
    SobolStarts, uninformative_points,
};
use contrastive_dynamics::start::StartError;
use contrastive_dynamics::state::{OrderParameters, OrderParametersError};

type Built = Model<f64, Tanh, Independent, GaussianNoise>;

/// Feature 1 two-point of that second moment, feature 2 of 2.25 and active with probability `activity`.
fn model(first: f64, activity: f64) -> Built {
    let laws = [Law::two_point(first).unwrap(), Law::three_point(2.25, activity).unwrap()];
    let builder = Model::builder().nonlinearity(Tanh).hidden(Independent::new(laws).unwrap()).learning_rate(0.3);
    builder.noise(GaussianNoise::correlated(0.3, -0.5).unwrap()).weight_decay(0.5).build().unwrap()
}

fn state(q1: f64, q2: f64, r: f64) -> Result<OrderParameters, OrderParametersError> {
    OrderParameters::from_rows(2, 1, &[q1, q2], &[r])
}

/// Feature 1 selected; feature 2 selected, or for activity 1/2 the mixture.
fn points(activity: f64) -> [OrderParameters; 2] {
    let second = if activity == 0.5 { state(0.3713, 0.6453, 0.677) } else { state(0.0, 0.87, 0.9) };
    [state(0.984, 0.0, 1.0).unwrap(), second.unwrap()]
}

/// Starts of a uniform radius, with more of small angles than of large ones: P(angle < x π/2) = x^(1/1.3).
fn starts(u: &[f64]) -> Result<OrderParameters, OrderParametersError> {
    let (angle, radius) = (FRAC_PI_2 * u[0].powf(1.3), 0.15 + 0.6 * u[1]);
    state(radius * angle.cos(), radius * angle.sin(), 0.8 + 0.4 * u[2])
}

fn selection(activity: f64, points_per_scramble: usize) -> Selection {
    let model = model(2.25, activity);
    let ode = ReducedOde::new(&model).unwrap();
    let regions = AttractionRegions::new(&ode, &points(activity)).unwrap();
    let sobol = SobolStarts { dimensions: 3, points: points_per_scramble, scrambles: 8, seed: 3 };
    regions.selection(sobol, starts).unwrap()
}

/// Equal features: the border is Q_2 = Q_1 whatever the radius and R. Eight standard
/// errors of eight scrambles: false alarms below 1e-4 (Student's t of 7 degrees of freedom); the control is 1 % off.
#[test]
fn a_law_of_starts_is_divided_as_its_border_says() {
    let exact = 0.5_f64.powf(1.0 / 1.3);
    let selection = selection(1.0, 512);
    let (probability, error) = selection.probability(0).unwrap();
    assert!(error > 0.0 && (probability - exact).abs() < 8.0 * error, "{probability} ± {error} against {exact}");
    assert!((probability - 1.01 * exact).abs() > 8.0 * error, "{error} is too wide to see one percent");
    let (other, same_error) = selection.probability(1).unwrap();
    assert!((probability + other + selection.undecided() - 1.0).abs() < 1e-12 && (error - same_error).abs() < 1e-12);
    // No spread over scrambles, and yet not known better than to a part of a point.
    assert_eq!(selection.probability_of_image(0, 1), Some((0.0, 0.5 / 512.0 / 8.0_f64.sqrt())));
    assert_eq!(selection.probability_of_image(0, 0), selection.probability(0));
    assert_eq!(selection.probability(2), None);
    assert_eq!(selection.undecided(), 0.0);
}

fn chains(model: &Built, activity: f64, dimension: usize, runs: u64) -> FiniteSizeSelection {
    let ode = ReducedOde::new(model).unwrap();
    let regions = AttractionRegions::new(&ode, &points(activity)).unwrap();
    let stride = (dimension / 10).max(1) as u64;
    let start = |seed| ProjectedChain::builder(model, dimension).build_seeded(seed);
    regions.selection_at_finite_size(&Ensemble::new(runs, 11), (1000.0, stride), |r| start(r.seed)).unwrap()
}

/// With equal features both are selected with probability 1/2 at every N, and each sign of the overlap with half of that.
/// Intervals of confidence 1 − 1e-5; the control: one percent more or less lies outside.
#[test]
fn uninformative_starts_choose_between_equal_features_by_chance() {
    let confidence = 1.0 - 1e-5;
    let even = chains(&model(2.25, 1.0), 1.0, 12, 300_000);
    assert_eq!((even.runs(), even.undecided()), (300_000, 0));
    let (low, high) = even.interval(0, confidence);
    assert!(low < 0.5 && 0.5 < high, "{low} {high}");
    assert!(0.495 < low && high < 0.505, "one percent is seen: {low} {high}");
    let half = even.count(0) as f64 / 2.0;
    assert!((even.count_of_image(0, 0) as f64 - half).abs() < 4.5 * (half / 2.0).sqrt());
}

/// The time limit holds within a stride: however long that is, no step begins at the limit, and the last look is there.
#[test]
fn runs_end_at_their_time_limit_whatever_the_stride() {
    let model = model(2.25, 1.0);
    let ode = ReducedOde::new(&model).unwrap();
    let regions = AttractionRegions::new(&ode, &points(1.0)).unwrap();
    let start = |seed| ProjectedChain::builder(&model, 50).build_seeded(seed);
    let select = |time, stride| {
        let runs = Ensemble::new(20, 3);
        regions.selection_at_finite_size(&runs, (time, stride), |replicate| start(replicate.seed)).unwrap()
    };
    assert_eq!(select(0.5, u64::MAX).undecided(), 20);
    // At t = 200 all have long entered: one look, at the limit, sees most of them inside.
    let late = select(200.0, u64::MAX);
    assert!(late.undecided() < 10 && late.runs() == 20, "{late}");
    // A stride that does not divide the time: as if the look at the limit were the stride's own.
    assert_eq!(select(40.0, 1999), select(40.0, 2000));
}

/// Equal second moments grow alike out of an uninformative start, so as N grows the direction in which a run leaves it is
/// uniform, and the probability is the part of all directions, at small overlaps and R = R*, on one side of the border.
/// Interval of confidence 1 − 1e-5; the control is the symmetric value 1/2.
#[test]
fn finite_size_ensembles_agree_with_the_border_at_small_overlaps() {
    let model = model(2.25, 0.6);
    let ode = ReducedOde::new(&model).unwrap();
    let r = uninformative_points(&ode, 0.02, 20.0).unwrap()[0].r;
    let second = ode.solver().steady_rate(1e-6).solve(&state(0.1, 0.6, 0.9).unwrap(), 1000.0).unwrap();
    let points = [state(0.984, 0.0, 1.0).unwrap(), second.last().unwrap().1.clone()];
    let regions = AttractionRegions::new(&ode, &points).unwrap();
    let small = |angle: f64| state(1e-3 * angle.cos(), 1e-3 * angle.sin(), r);
    let limit = regions.border(small, (0.2, 1.5), 1e-4).unwrap().at / FRAC_PI_2;
    let start = |seed| ProjectedChain::builder(&model, 800).build_seeded(seed);
    let runs = Ensemble::new(1500, 5);
    let finite = regions.selection_at_finite_size(&runs, (2000.0, 80), |r| start(r.seed)).unwrap();
    let (low, high) = finite.interval(0, 1.0 - 1e-5);
    assert!(low < limit && limit < high, "{limit} outside ({low}, {high})");
    assert!(low > 0.5 && finite.undecided() == 0, "{low}: the sparser feature is selected less often");
}

#[test]
#[cfg(feature = "parallel")]
fn the_number_of_threads_changes_no_selection() {
    let both = || (selection(0.8, 16), chains(&model(2.25, 0.8), 0.8, 50, 50));
    let with = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(both);
    let one = with(1);
    assert_eq!(one, with(2));
    assert_eq!(one, with(5));
}

#[test]
fn what_cannot_be_run_is_refused_and_failures_keep_what_there_is() {
    let model = model(2.25, 1.0);
    let ode = ReducedOde::new(&model).unwrap();
    let regions = AttractionRegions::new(&ode, &points(1.0)).unwrap();
    for (dimensions, points, scrambles) in [(0, 4, 4), (2, 0, 4), (2, 4, 1)] {
        let bad = regions.selection(SobolStarts { dimensions, points, scrambles, seed: 1 }, |_| state(0.1, 0.2, 1.0));
        assert!(matches!(bad, Err(SelectionError::Starts { .. })));
    }
    // Numbers of starts that wrap around, and ones that do not and are too many.
    for (dimensions, points, scrambles) in
        [(2, 1 << 63, 2), (2, usize::MAX, u32::MAX), (2, 1 << 28, 2), (usize::MAX, 4, 4), (1 << 17, 4, 4)]
    {
        let bad = regions.selection(SobolStarts { dimensions, points, scrambles, seed: 1 }, |_| state(0.1, 0.2, 1.0));
        assert!(matches!(bad, Err(SelectionError::TooManyStarts { .. })), "{dimensions} {points} {scrambles}");
    }
    let start = |seed| ProjectedChain::builder(&model, 50).build_seeded(seed);
    for (time, stride) in [(0.0, 1), (f64::NAN, 1), (f64::INFINITY, 1), (10.0, 0)] {
        let bad = regions.selection_at_finite_size(&Ensemble::new(3, 1), (time, stride), |r| start(r.seed));
        assert!(matches!(bad, Err(SelectionError::Run { .. })));
    }
    let failing = |r: contrastive_dynamics::ensemble::Replicate| {
        ProjectedChain::builder(&model, if r.index == 3 { 1 } else { 50 }).build_seeded(r.seed)
    };
    let failed = regions.selection_at_finite_size(&Ensemble::new(9, 1), (500.0, 5), failing);
    let Err(SelectionError::Replicates(part)) = failed else { panic!("{failed:?}") };
    let PartialSelection { others, failed, failures: 1, cancelled: 0, .. } = *part else { panic!("{part:?}") };
    let Failure::Run(RunFailure::Start(SgdError::Start(StartError::Dimension { .. }))) = failed[0].failure else {
        panic!("{:?}", failed[0])
    };
    assert_eq!((failed[0].replicate, others.runs()), (Ensemble::new(9, 1).replicate(3), 8));
    // Too short a time decides nothing.
    let short = regions.selection_at_finite_size(&Ensemble::new(9, 1), (0.1, 5), |r| start(r.seed)).unwrap();
    assert_eq!((short.undecided(), short.fraction(0)), (9, 0.0));
    // Starts that are none are undecided.
    let infeasible = SobolStarts { dimensions: 1, points: 4, scrambles: 2, seed: 1 };
    let none = regions.selection(infeasible, |_| state(FRAC_1_SQRT_2, FRAC_1_SQRT_2, 0.9)).unwrap();
    assert_eq!((none.undecided(), none.probability(0).unwrap().0), (1.0, 0.0));
    let places: Vec<_> = none.not_reached().iter().map(|start| (start.scramble, start.point)).collect();
    assert_eq!(places, (0..8).map(|k| (k / 4, k % 4)).collect::<Vec<_>>());
    assert!(none.not_reached().iter().all(|start| matches!(start.reason, NotReached::NoState(_))));
    // A run that diverges tells when, and its last state.
    let wild = model.to_builder().learning_rate(1e200).build().unwrap();
    let start = ProjectedChain::builder(&wild, 50).build_seeded(7).unwrap();
    let failed =
        regions.selection_at_finite_size(&Ensemble::new(1, 1), (500.0, 5), |_| Ok::<_, SgdError>(start.clone()));
    let Err(SelectionError::Replicates(part)) = failed else { panic!("{failed:?}") };
    let Failure::Run(RunFailure::Step { source: SgdFailure::Diverged { step: 1 }, time, state }) =
        &part.failed[0].failure
    else {
        panic!("{part:?}")
    };
    assert_eq!((*time, &**state), (0.0, &start.order_parameters()));
}
