//! Attraction regions: borders known exactly, neighbourhoods that hold what they promise, maps against careful outcomes.

use contrastive_dynamics::integrate::{DormandPrince, Output};
use contrastive_dynamics::model::{Constraint, GaussianNoise, Independent, Law, Model, ModelBuilder, Polynomial, Tanh};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::stability::{
    AreaFraction, AttractionRegions, Border, FixedPointFinder, Grid, Neighbourhood, NotReached, Outcome, RegionsError,
};
use contrastive_dynamics::state::{OrderParameters, OrderParametersError};

type Built = Model<f64, Tanh, Independent, GaussianNoise>;

fn builder(second: Law) -> ModelBuilder<Tanh, Independent, GaussianNoise, f64, f64> {
    Model::builder()
        .nonlinearity(Tanh)
        .hidden(Independent::new([Law::two_point(2.25).unwrap(), second]).unwrap())
        .noise(GaussianNoise::correlated(0.3, -0.5).unwrap())
        .learning_rate(0.3)
        .weight_decay(0.5)
}

/// Feature 1 two-point, feature 2 active with probability `activity`.
fn model(activity: f64) -> Built {
    builder(Law::three_point(2.25, activity).unwrap()).build().unwrap()
}

fn state(q1: f64, q2: f64) -> Result<OrderParameters, OrderParametersError> {
    OrderParameters::from_rows(2, 1, &[q1, q2], &[1.0])
}

fn on_circle(degrees: f64) -> Result<OrderParameters, OrderParametersError> {
    let angle = degrees.to_radians();
    state(0.3 * angle.cos(), 0.3 * angle.sin())
}

/// Feature 1 selected, and the other stable point, which for an activity near 1/2 is a mixture.
fn points(activity: f64) -> Vec<OrderParameters> {
    let first = state(0.984, 0.0).unwrap();
    let second = match activity {
        1.0 => state(0.0, 0.984).unwrap(),
        0.8 => OrderParameters::from_rows(2, 1, &[0.0, 0.87], &[0.81]).unwrap(),
        0.5 => OrderParameters::from_rows(2, 1, &[0.3713, 0.6453], &[0.677]).unwrap(),
        _ => return vec![first],
    };
    vec![first, second]
}

fn border(model: &Built, points: &[OrderParameters], tolerance: f64) -> Border {
    let ode = ReducedOde::new(model).unwrap();
    let regions = AttractionRegions::new(&ode, points).unwrap();
    let border = regions.border(on_circle, (5.0, 87.0), tolerance).unwrap();
    assert_eq!(border.outcomes.0.label(), Some((0, 0)));
    assert!(border.bracket.1 - border.bracket.0 <= tolerance);
    assert!(border.bracket.0 < border.at && border.at < border.bracket.1);
    border
}

/// 45° for equal features; arctan √2 for activity 1/2, where feature 2 is the normalised sum of two independent signs,
/// so that three equal features compete and their diagonal is invariant.
#[test]
fn borders_known_exactly_are_found() {
    let half = border(&model(1.0), &points(1.0), 1e-4).at;
    assert!((half - 45.0).abs() < 2e-4, "{half}");
    let three = border(&model(0.5), &points(0.5), 1e-4).at;
    let exact = 2.0_f64.sqrt().atan().to_degrees();
    assert!((three - exact).abs() < 2e-4, "{three} against {exact}");
    // One per mille more activity moves the border by hundred times that.
    let off = border(&model(0.5005), &points(0.5), 1e-4).at;
    assert!((off - exact).abs() > 5e-3, "{off} is not {exact}");
}

#[test]
fn a_sparser_feature_loses_ground_until_it_has_none() {
    let border = border(&model(0.8), &points(0.8), 1e-3).at;
    assert!((border - 46.44).abs() < 0.01, "{border}");
    let sparse = model(0.3);
    let ode = ReducedOde::new(&sparse).unwrap();
    let regions = AttractionRegions::new(&ode, &points(0.3)).unwrap();
    for degrees in [0.0, 20.0, 45.0, 60.0, 75.0, 82.0, 85.0, 87.0] {
        let outcome = regions.outcome(&on_circle(degrees).unwrap());
        assert_eq!(outcome.label(), Some((0, 0)), "{degrees}: {outcome:?}");
    }
    assert!(matches!(regions.border(on_circle, (1.0, 87.0), 1e-3), Err(RegionsError::NoBorder { .. })));
}

/// From every state tried in a neighbourhood V falls at least as fast as promised, along solutions of the ODE by its
/// own solver, until the point is reached; and the neighbourhoods are not smaller than they must be by orders.
#[test]
fn neighbourhoods_hold_what_they_promise() {
    for (activity, smallest) in [(1.0, 0.1), (0.5, 0.01)] {
        let model = model(activity);
        let ode = ReducedOde::new(&model).unwrap();
        for point in points(activity) {
            let neighbourhood = Neighbourhood::certify(&ode, &point).unwrap();
            assert!(neighbourhood.contains(&point) && neighbourhood.level(neighbourhood.center()) == 0.0);
            let rates = ode.rates(neighbourhood.center()).unwrap();
            assert!(rates.q.amax() < 1e-12 && rates.r.amax() < 1e-12);
            let kappa = neighbourhood.decay_rate();
            assert!(kappa > 0.0 && neighbourhood.checks() > 500);
            for n in 0..40 {
                let angle = |k: u32| {
                    std::f64::consts::TAU * (f64::from(n) * [0.754_877_666, 0.569_840_291][k as usize]).fract()
                };
                let (a, b) = (angle(0), 0.5 * angle(1));
                let direction = [a.cos() * b.sin(), a.sin() * b.sin(), b.cos()];
                let y = neighbourhood.surface(&direction).unwrap();
                assert!(
                    (y[0] - point.q()[(0, 0)]).abs() + (y[1] - point.q()[(1, 0)]).abs() + (y[2] - 1.0).abs() > smallest
                );
                let Ok(start) = OrderParameters::from_packed(2, 1, &y) else { continue };
                assert!((neighbourhood.level(&start) - 1.0).abs() < 1e-12);
                let times: Vec<f64> = (0..=60).map(|k| 0.5 * f64::from(k) / kappa / 30.0).collect();
                let end = *times.last().unwrap();
                let solver = ode.solver().integrator(DormandPrince::new(1e-9, 1e-11).unwrap());
                let path = solver.output(Output::Times(times)).solve(&start, end).unwrap();
                let mut before = 1.0 + 1e-9;
                for (t, state) in path.iter() {
                    let level = neighbourhood.level(state);
                    assert!(level <= before && level <= (-kappa * t).exp() + 1e-9, "{activity} {n} {t}: {level}");
                    before = level;
                }
            }
        }
    }
}

/// The control of the test above: a saddle has none, and far outside V does rise.
#[test]
fn there_is_no_neighbourhood_where_there_should_be_none() {
    let model = model(1.0);
    let ode = ReducedOde::new(&model).unwrap();
    let saddle = OrderParameters::from_rows(2, 1, &[0.56, 0.56], &[0.85]).unwrap();
    assert!(matches!(Neighbourhood::certify(&ode, &saddle), Err(RegionsError::Unstable { .. })));
    let nowhere = OrderParameters::from_rows(2, 1, &[0.0, 0.0], &[1e6]).unwrap();
    assert!(Neighbourhood::certify(&ode, &nowhere).is_err());
    let regions = AttractionRegions::new(&ode, &points(1.0)).unwrap();
    let [first, second] = [0, 1].map(|k| &regions.images(k)[0]);
    let path = ode.solver().output(Output::EverySteps(1)).solve(&state(0.2, 0.3).unwrap(), 60.0).unwrap();
    let levels =
        |neighbourhood: &Neighbourhood| path.states().iter().map(|s| neighbourhood.level(s)).collect::<Vec<_>>();
    assert!(levels(first).windows(2).any(|pair| pair[1] > pair[0]), "away from the other point");
    assert!(levels(second).last().unwrap() < &1e-6);
}

#[test]
fn a_map_has_the_outcomes_of_careful_integration() {
    for activity in [1.0, 0.5] {
        let model = model(activity);
        let ode = ReducedOde::new(&model).unwrap();
        let regions = AttractionRegions::new(&ode, &points(activity)).unwrap();
        // An even number of columns against an odd one of rows: no start on the diagonal.
        let grid = Grid { a: (-0.6, 0.9), b: (0.05, 0.95), columns: 24, rows: 15 };
        let map = regions.map(grid, state).unwrap();
        let mut outside = 0;
        for (row, column) in (0..15).flat_map(|row| (0..24).map(move |column| (row, column))) {
            let (a, b) = grid.parameters(column, row);
            let outcome = map.outcome(column, row).unwrap();
            if let Ok(start) = state(a, b) {
                assert_eq!(outcome.label(), regions.outcome(&start).label(), "{activity}: {a} {b}");
            } else {
                outside += 1;
                assert!(matches!(
                    outcome,
                    Outcome::NotReached(NotReached::NoState(OrderParametersError::Infeasible { .. }))
                ));
            }
        }
        assert!(outside > 10 && map.refined() > 20 && map.refined() < 200, "{outside} {}", map.refined());
        assert!(map.outcome(24, 0).is_none() && map.outcome(0, 15).is_none());
        #[cfg(feature = "parallel")]
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert_eq!(map, pool.install(|| regions.map(grid, state)).unwrap(), "{threads} threads");
        }
        assert_eq!(map, regions.map(grid, state).unwrap());
    }
}

/// For activity 1/2 the border is Q_2 = √2 Q_1 at every R: areas and border points are known exactly.
#[test]
fn areas_and_borders_of_three_equal_features_are_exact() {
    let model = model(0.5);
    let ode = ReducedOde::new(&model).unwrap();
    let regions = AttractionRegions::new(&ode, &points(0.5)).unwrap();
    let exact = 1.0 - 0.5 / 2.0_f64.sqrt();
    let mut errors = Vec::new();
    for n in [10, 30] {
        let map = regions.map(Grid { a: (0.0, 0.7), b: (0.0, 0.7), columns: n, rows: n }, state).unwrap();
        let [first, second] = [0, 1].map(|point| map.fraction(point));
        let AreaFraction { fraction, error, .. } = first;
        assert!((fraction - exact).abs() < error && error < 1.2 / n as f64, "{first:?}");
        assert!((fraction + second.fraction - 1.0).abs() < 1e-12);
        errors.push(error);
        if n == 10 {
            let points = regions.borders(&map, state, 1e-3).unwrap();
            assert!(points.len() >= 10);
            for ((a, b), border) in points {
                // A cell is 0.07 wide.
                assert!((b - 2.0_f64.sqrt() * a).abs() < 2e-4, "{a} {b} {border:?}");
            }
        }
    }
    assert!(errors[1] < 0.5 * errors[0]);
}

#[test]
fn images_of_a_point_share_its_number() {
    let model = model(0.5);
    let ode = ReducedOde::new(&model).unwrap();
    let regions = AttractionRegions::new(&ode, &points(0.5)).unwrap();
    // ± of feature 1 alone; of the mixture both signs.
    assert_eq!([0, 1, 2].map(|k| regions.images(k).len()), [2, 4, 0]);
    let mut seen = Vec::new();
    for (s1, s2) in [(1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0)] {
        let Some((point, image)) = regions.outcome(&state(0.1 * s1, 0.4 * s2).unwrap()).label() else { panic!() };
        let center = regions.images(point)[image].center();
        assert!(point == 1 && center.q()[(0, 0)] * s1 > 0.3 && center.q()[(1, 0)] * s2 > 0.6);
        assert_eq!(regions.neighbourhood_of(center), Some((point, image)));
        seen.push(image);
    }
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2, 3]);
    let duplicate = [state(0.984, 0.0).unwrap(), state(-0.984, 0.0).unwrap()];
    assert!(matches!(AttractionRegions::new(&ode, &duplicate), Err(RegionsError::Duplicate { first: 0, second: 1 })));
}

#[test]
fn starts_that_reach_no_point_say_why() {
    let model = model(0.5);
    let ode = ReducedOde::new(&model).unwrap();
    let regions = AttractionRegions::new(&ode, &points(0.5)).unwrap();
    // Q_1 = 0 stays 0: the saddle between the two signs of the mixture.
    let Outcome::NotReached(NotReached::Saddle { point, time }) = regions.outcome(&state(0.0, 0.3).unwrap()) else {
        panic!()
    };
    assert!(point.q()[(0, 0)].abs() < 1e-12 && (point.q()[(1, 0)] - 0.672_519_37).abs() < 1e-7 && time > 1.0);
    let one = AttractionRegions::new(&ode, &points(0.5)[..1]).unwrap();
    let Outcome::NotReached(NotReached::Unlisted { point, .. }) = one.outcome(&state(0.1, 0.4).unwrap()) else {
        panic!()
    };
    assert!((point.to_packed() - regions.images(1)[0].center().to_packed()).amax() < 1e-9);
    let short = regions.clone().time_limit(3.0).unwrap().outcome(&state(0.1, 0.1).unwrap());
    let Outcome::NotReached(NotReached::TimeLimit { time, state: reached }) = short else { panic!("{short:?}") };
    assert!(time == 3.0 && reached.q()[(0, 0)] > 0.1);
    let wide = OrderParameters::from_rows(1, 1, &[0.1], &[1.0]).unwrap();
    assert!(matches!(
        regions.outcome(&wide),
        Outcome::NotReached(NotReached::NoState(OrderParametersError::Shape { .. }))
    ));
    let map = regions.map(Grid { a: (0.0, 1.0), b: (0.0, 1.0), columns: 2, rows: 2 }, |_, _| Ok(wide.clone())).unwrap();
    assert!(map.outcomes().iter().all(|outcome| matches!(outcome, Outcome::NotReached(NotReached::NoState(_)))));
    assert_eq!(map.fraction(0).fraction, 0.0);
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let model = model(1.0);
    let ode = ReducedOde::new(&model).unwrap();
    assert!(matches!(AttractionRegions::new(&ode, &[]), Err(RegionsError::NoPoints)));
    let regions = || AttractionRegions::new(&ode, &points(1.0)).unwrap();
    for bad in [0.0, -1.0, 1e-13, 0.1, f64::NAN, f64::INFINITY] {
        assert!(matches!(regions().tolerance(bad), Err(RegionsError::Tolerance { .. })));
        assert!(matches!(regions().survey_tolerance(bad), Err(RegionsError::Tolerance { .. })));
    }
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(regions().time_limit(bad), Err(RegionsError::TimeLimit { .. })));
        assert!(
            matches!(regions().border(on_circle, (5.0, 80.0), bad), Err(RegionsError::Line { .. }))
                || bad == f64::INFINITY
        );
    }
    for (low, high) in [(1.0, 1.0), (2.0, 1.0), (f64::NAN, 1.0), (0.0, f64::INFINITY)] {
        assert!(matches!(regions().border(on_circle, (low, high), 1e-3), Err(RegionsError::Line { .. })));
        let grid = Grid { a: (low, high), b: (0.0, 1.0), columns: 2, rows: 2 };
        assert!(matches!(regions().map(grid, state), Err(RegionsError::Grid { .. })));
    }
    let grid = |columns, rows| Grid { a: (0.0, 1.0), b: (0.0, 1.0), columns, rows };
    assert!(matches!(regions().map(grid(0, 2), state), Err(RegionsError::Grid { columns: 0, rows: 2 })));
    // Products that wrap around, among them to 0 and to 1, and one that does not and is still too many.
    for (columns, rows) in
        [(1 << 33, 1 << 33), (1 << 63, 2), (usize::MAX, usize::MAX), (usize::MAX, 1), (1 << 16, 1 << 16)]
    {
        let refusal = regions().map(grid(columns, rows), state);
        assert!(matches!(refusal, Err(RegionsError::GridSize { .. })), "{columns} x {rows}");
    }
    let map = regions().map(grid(2, 1), |_, _| state(0.9, 0.1)).unwrap();
    assert!(map.outcome(1, 0).is_some());
    for (column, row) in [(2, 0), (0, 1), (0, 1 << 63), (1, usize::MAX), (usize::MAX, 0)] {
        assert!(map.outcome(column, row).is_none(), "{column} {row}");
    }
}

/// A neighbourhood of another model, with one feature, among those of a model with two.
#[test]
fn neighbourhoods_of_another_shape_are_refused() {
    let one = Independent::new([Law::two_point(2.25).unwrap()]).unwrap();
    let one = builder(Law::two_point(2.25).unwrap()).hidden(one).build().unwrap();
    let point = OrderParameters::from_rows(1, 1, &[0.984], &[1.0]).unwrap();
    let other = Neighbourhood::certify(&ReducedOde::new(&one).unwrap(), &point).unwrap();
    let model = model(1.0);
    let ode = ReducedOde::new(&model).unwrap();
    let refusal = AttractionRegions::from_neighbourhoods(&ode, vec![other]);
    assert!(matches!(refusal, Err(RegionsError::Limit(_))), "{refusal:?}");
    assert!(matches!(AttractionRegions::new(&ode, &[point]), Err(RegionsError::Limit(_))));
}

#[test]
fn the_sphere_constraint_keeps_the_diagonal() {
    let model = builder(Law::two_point(2.25).unwrap()).constraint(Constraint::Sphere).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let regions = AttractionRegions::new(&ode, &[state(0.97, 0.0).unwrap(), state(0.0, 0.97).unwrap()]).unwrap();
    let border = regions.border(on_circle, (5.0, 87.0), 1e-4).unwrap();
    assert!((border.at - 45.0).abs() < 2e-4, "{border:?}");
    assert_eq!(regions.images(0)[0].center().r()[(0, 0)], 1.0);
    assert!(regions.images(0)[0].surface(&[0.0, 0.0, 1.0]).is_none(), "R cannot move");
}

/// Two neurons that repel one another share two features: who has which is decided by the start, and exchanging the
/// neurons exchanges the images.
#[test]
fn two_neurons_share_two_features() {
    let model = builder(Law::two_point(2.25).unwrap()).n_neurons(2).penalty_strength(0.5).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap().coefficient_tolerance(1e-5).unwrap();
    let state = |q: [f64; 4], r: [f64; 4]| OrderParameters::from_rows(2, 2, &q, &r).unwrap();
    let point =
        ode.solver().steady_rate(1e-6).solve(&state([0.6, 0.1, 0.1, 0.6], [1.0, 0.1, 0.1, 1.0]), 500.0).unwrap();
    let regions = AttractionRegions::new(&ode, &[point.last().unwrap().1.clone()]).unwrap();
    // Signs of both, and who has which.
    assert_eq!(regions.images(0).len(), 8);
    let ends = |q: [f64; 4]| {
        let outcome = regions.outcome(&state(q, [1.0, 0.1, 0.1, 0.9]));
        let Some((point, image)) = outcome.label() else { panic!("{outcome:?}") };
        regions.images(point)[image].center().q().clone()
    };
    let straight = ends([0.3, 0.1, -0.1, -0.25]);
    assert!(straight[(0, 0)] > 0.6 && straight[(1, 1)] < -0.6 && straight[(0, 1)].abs() < 0.1, "{straight}");
    let crossed = ends([0.1, 0.3, -0.25, -0.1]);
    assert!(crossed[(0, 1)] > 0.6 && crossed[(1, 0)] < -0.6 && crossed[(1, 1)].abs() < 0.1, "{crossed}");
}

/// A search for fixed points gives what regions need, and selecting either of two equal features is a point of its own.
#[test]
fn fixed_points_found_are_taken_as_they_are() {
    for (activity, count) in [(1.0, 2), (0.5, 2)] {
        let model = model(activity);
        let ode = ReducedOde::new(&model).unwrap();
        let found = FixedPointFinder::new(&ode).find().unwrap();
        let regions = AttractionRegions::of_fixed_points(&ode, &found.points).unwrap();
        assert_eq!(regions.points(), count, "{activity}");
        let by_hand = AttractionRegions::new(&ode, &points(activity)).unwrap();
        for degrees in [10.0, 40.0, 62.0, 85.0] {
            let start = on_circle(degrees).unwrap();
            let ends = [&regions, &by_hand].map(|regions| {
                let (point, image) = regions.outcome(&start).label().unwrap();
                regions.images(point)[image].center().to_packed()
            });
            assert!((&ends[0] - &ends[1]).amax() < 1e-9, "{activity} {degrees}");
        }
    }
}

/// Strong decay lets all weights die: R = 0 is a stable point on the edge of what is feasible.
#[test]
fn the_collapsed_state_attracts_where_it_is_stable() {
    let model = builder(Law::two_point(2.25).unwrap()).weight_decay(6.0).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let regions =
        AttractionRegions::new(&ode, &[OrderParameters::from_rows(2, 1, &[0.0, 0.0], &[0.0]).unwrap()]).unwrap();
    assert_eq!(regions.images(0).len(), 1);
    let outcome = regions.outcome(&state(0.5, 0.3).unwrap());
    assert_eq!(outcome.label(), Some((0, 0)), "{outcome:?}");
    // Newton's method only approaches it, along the boundary.
    let near = AttractionRegions::new(&ode, &[OrderParameters::from_rows(2, 1, &[0.05, 0.02], &[0.01]).unwrap()]);
    assert_eq!(near.unwrap().images(0)[0].center().r()[(0, 0)], 0.0);
    // With less decay features grow out of it.
    let weak = builder(Law::two_point(2.25).unwrap()).weight_decay(3.0).build().unwrap();
    let ode = ReducedOde::new(&weak).unwrap();
    let zero = OrderParameters::from_rows(2, 1, &[0.0, 0.0], &[0.0]).unwrap();
    assert!(matches!(AttractionRegions::new(&ode, &[zero]), Err(RegionsError::Unstable { .. })));
}

#[test]
fn single_precision_finds_the_same_regions() {
    let hidden =
        Independent::new([Law::<f32>::two_point(2.25).unwrap(), Law::three_point(2.25, 0.8).unwrap()]).unwrap();
    let builder = Model::builder_in::<f32>().nonlinearity(Tanh).hidden(hidden).learning_rate(0.3).weight_decay(0.5);
    let model = builder.noise(GaussianNoise::correlated(0.3, -0.5).unwrap()).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let state = |q: [f32; 2], r: f32| OrderParameters::from_rows(2, 1, &q, &[r]);
    let points = [state([0.984, 0.0], 1.0).unwrap(), state([0.0, 0.87], 0.9).unwrap()];
    let regions = AttractionRegions::new(&ode, &points).unwrap();
    let circle = |degrees: f32| state([0.3 * degrees.to_radians().cos(), 0.3 * degrees.to_radians().sin()], 1.0);
    let border = regions.border(circle, (5.0, 87.0), 0.02).unwrap();
    assert!((border.at - 46.44).abs() < 0.05, "{border:?}");
}

/// σ = h³ with weight decay: what is small collapses, and what is large grows for ever.
#[test]
fn starts_that_diverge_say_when_and_where() {
    let hidden = Independent::new([Law::two_point(2.25).unwrap()]).unwrap();
    let noise = GaussianNoise::correlated(0.3, -0.5).unwrap();
    let builder = Model::builder().nonlinearity(Polynomial::new([0.0, 0.0, 0.0, 1.0]).unwrap()).hidden(hidden);
    let model = builder.noise(noise).learning_rate(0.001).weight_decay(1.0).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let small = OrderParameters::from_rows(1, 1, &[0.0], &[1e-3]).unwrap();
    let regions = AttractionRegions::new(&ode, &[small]).unwrap().time_limit(1e5).unwrap();
    let start = OrderParameters::from_rows(1, 1, &[0.5], &[1.0]).unwrap();
    let outcome = regions.outcome(&start);
    let Outcome::NotReached(NotReached::Diverged { state, time }) = &outcome else { panic!("{outcome:?}") };
    assert!(*time > 0.0 && state.r()[(0, 0)] > 1.0 && state.r()[(0, 0)] <= 1e3, "{outcome:?}");
    assert_eq!(outcome.to_string(), "not reached (diverged)");
}

/// One feature: a start ends at the image whose sign its overlap has, so that areas of images are counted by hand.
#[test]
fn the_area_of_an_image_is_that_of_its_sign() {
    let model = crate::support::models::one_feature();
    let ode = ReducedOde::new(&model).unwrap();
    let point = OrderParameters::from_rows(1, 1, &[0.98], &[1.0]).unwrap();
    let regions = AttractionRegions::new(&ode, &[point]).unwrap();
    let grid = Grid { a: (-0.1, 0.3), b: (0.8, 1.2), columns: 8, rows: 2 };
    let map = regions.map(grid, |q, r| OrderParameters::from_rows(1, 1, &[q], &[r])).unwrap();
    assert_eq!(map.grid(), grid);
    let signs: Vec<f64> = regions.images(0).iter().map(|image| image.center().q()[(0, 0)].signum()).collect();
    assert_eq!((signs.len(), signs[0] * signs[1]), (2, -1.0));
    for (image, sign) in signs.into_iter().enumerate() {
        let area: AreaFraction = map.fraction_of_image(0, image);
        // 2 of 8 columns are below zero, and one pair of neighbours in each row lies across: 2 halves of 16 cells.
        let expected = if sign < 0.0 { 0.25 } else { 0.75 };
        assert_eq!((area.point, area.fraction, area.error), (0, expected, 1.0 / 16.0));
        for column in 0..8 {
            let outcome = map.outcome(column, 1).unwrap();
            assert_eq!(outcome.point(), Some(0));
            assert_eq!(outcome.label() == Some((0, image)), (column < 2) == (sign < 0.0));
        }
    }
    let whole = map.fraction(0);
    assert_eq!((whole.fraction, whole.error), (1.0, 0.0));
    assert_eq!((map.fraction_of_image(0, 2).fraction, map.fraction_of_image(1, 0).fraction), (0.0, 0.0));
}
