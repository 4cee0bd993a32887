//! The best schedules against those that are known.

use std::cell::RefCell;
use std::ops::ControlFlow;

use approx::assert_relative_eq;
use contrastive_dynamics::control::{AtBound, Control, Objective, Optimiser, Optimum, SearchEnd, TimeGrid};
use contrastive_dynamics::model::Quantity;
use contrastive_dynamics::prelude::*;
use contrastive_dynamics::state::Direction;

use super::{oja, one_feature, similarity};

/// n + 1 times from 0 to `end`, ever farther apart.
fn ever_farther(n: i32, end: f64) -> TimeGrid {
    TimeGrid::linear((0..=n).map(|k| (1.0 + end).powf(f64::from(k) / f64::from(n)) - 1.0)).unwrap()
}

fn rate(grid: TimeGrid) -> Control {
    Control::new([Quantity::LearningRate], grid).bounds(1e-4, 2.0)
}

/// What is missing of the feature, 1 − Q².
fn missing() -> Objective<'static> {
    Objective::new().at_end(|_: f64, s: &OrderParameters| 1.0 - s.q()[(0, 0)].powi(2))
}

/// Under the best schedule 2τ = ω(1 − Q²)/(1 + ωQ²), x = 1 − Q² follows dx/dt = −ω²(1 − x)x²/(1 + ω − ωx), so that
/// t = [(1 + ω)/x − ln x + ln(1 − x)]/ω² between two values of x.
fn oja_time(omega: f64, x: f64) -> f64 {
    ((1.0 + omega) / x - x.ln() + (1.0 - x).ln()) / (omega * omega)
}

/// Literature (batch PCA, and Wang, Eldar, Lu, arXiv 1805.06834): 0.005068 for ω = 1 and 0.001881 for ω = 2 at t = 400, from Q = 0.3.
#[test]
fn the_best_learning_rate_of_oja_is_that_of_batch_pca() {
    for (omega, literature) in [(1.0, 0.005_068), (2.0, 0.001_881)] {
        // The value of x at which the time is up.
        let (mut low, mut high) = (1e-4, 0.5);
        for _ in 0..100 {
            let middle = 0.5 * (low + high);
            let late = oja_time(omega, middle) - oja_time(omega, 0.91) > 400.0;
            (low, high) = if late { (middle, high) } else { (low, middle) };
        }
        assert!((low - literature).abs() < 1e-6);
        let model = oja(omega);
        let ode = ReducedOde::new(&model).unwrap();
        let start = OrderParameters::from_rows(1, 1, &[0.3], &[1.0]).unwrap();
        let objective = missing();
        let first = Schedule::power_law(0.2, 1.0, 0.5).unwrap();
        let search = Optimiser::new(&ode, &objective).control(rate(ever_farther(40, 400.0)).initial(first));
        let best = search.minimise(&start, 400.0).unwrap();
        assert_eq!(best.end(), SearchEnd::Converged);
        assert!((best.objective() - low).abs() < 1e-6 && best.objective() > low, "{} {low}", best.objective());
        assert!(best.gradient_norm() <= 1e-6 && best.first_objective() > 2.0 * low);
        // The schedule itself, along the solution.
        let times = best.times(0).to_vec();
        let solver = ode.solver().schedules(best.schedules()).output(Output::Times(times[1..40].to_vec()));
        for ((t, state), tau) in solver.solve(&start, 400.0).unwrap().iter().zip(&best.values(0)[1..40]) {
            let q = state.q()[(0, 0)].powi(2);
            let greedy = 0.5 * omega * (1.0 - q) / (1.0 + omega * q);
            // What is lost early is made up for later, so that early rates matter least.
            let allowed = if t < 3.0 { 0.5 } else { 0.1 };
            assert_relative_eq!(*tau, greedy, max_relative = allowed);
        }
    }
}

/// In one dimension the best rate is at every time the one of the steepest way: online ICA, dQ/dt = τ(m₄ − 3)Q³s − τ²/2 · Q · E h⁶.
#[test]
fn the_best_learning_rate_of_online_ica_is_greedy() {
    let model = Model::builder()
        .nonlinearity(Polynomial::new([0.0, 0.0, 0.5]).unwrap())
        .hidden(Independent::new([Law::laplace(1.0).unwrap()]).unwrap())
        .noise(NoNoise)
        .learning_rate(0.03)
        .constraint(Constraint::Sphere)
        .build()
        .unwrap();
    let end = 300.0;
    let of = |q: f64| {
        let s = 1.0 - q * q;
        let sixth = 90.0 * q.powi(6) + 90.0 * q.powi(4) * s + 45.0 * q * q * s * s + 15.0 * s.powi(3);
        (3.0 * q.powi(3) * s, q * sixth)
    };
    // max over τ of τa − τ²b/2 is a²/2b, by the midpoint rule of second order.
    let steps = 200_000;
    let size = end / f64::from(steps);
    let flow = |q: f64| of(q).0.powi(2) / (2.0 * of(q).1);
    let greedy = (0..steps).fold(0.5, |q: f64, _| q + size * flow(q + 0.5 * size * flow(q)));
    let ode = ReducedOde::new(&model).unwrap();
    let start = OrderParameters::from_rows(1, 1, &[0.5], &[1.0]).unwrap();
    let objective = similarity();
    let grid = TimeGrid::linear((0..=30).map(|k| 10.0 * f64::from(k))).unwrap();
    let search = Optimiser::new(&ode, &objective).control(rate(grid));
    let best = search.maximise(&start, end).unwrap();
    assert_eq!(best.end(), SearchEnd::Converged);
    assert!(best.objective() < greedy && greedy - best.objective() < 2e-5, "{} {greedy}", best.objective());
    assert!(greedy - best.first_objective() > 1e-3);
    let solver = ode.solver().schedules(best.schedules()).output(Output::Times(best.times(0)[1..29].to_vec()));
    for ((_, state), tau) in solver.solve(&start, end).unwrap().iter().zip(&best.values(0)[1..29]) {
        let (a, b) = of(state.q()[(0, 0)]);
        assert_relative_eq!(*tau, a / b, max_relative = 0.05);
    }
}

/// The least time to an overlap, on the way of the best rate.
#[test]
fn the_least_time_of_oja_is_that_of_the_greedy_rate() {
    let model = oja(1.0);
    let ode = ReducedOde::new(&model).unwrap();
    let start = OrderParameters::from_rows(1, 1, &[0.3], &[1.0]).unwrap();
    let reached = |_: f64, s: &OrderParameters| s.q()[(0, 0)] - 0.8;
    let time = Objective::new().at_end(|t: f64, _: &OrderParameters| t).until(Direction::AtOrAbove, reached);
    let least = oja_time(1.0, 0.36) - oja_time(1.0, 0.91);
    for (grid, allowed) in [
        (TimeGrid::linear((0..=16).map(|k| 0.5 * f64::from(k))).unwrap(), 1e-3),
        (TimeGrid::constant((0..=16).map(|k| 0.5 * f64::from(k))).unwrap(), 2e-2),
    ] {
        let search = Optimiser::new(&ode, &time).control(rate(grid));
        let best = search.minimise(&start, 100.0).unwrap();
        assert_eq!(best.end(), SearchEnd::Converged);
        let loss = best.objective() / least - 1.0;
        assert!(loss > 0.0 && loss < allowed, "{loss}");
        assert!(best.trajectory().last().unwrap().0 == best.objective());
    }
}

/// A bound that binds is told, and costs something.
#[test]
fn bounds_are_kept_and_told() {
    let model = oja(1.0);
    let ode = ReducedOde::new(&model).unwrap();
    let start = OrderParameters::from_rows(1, 1, &[0.3], &[1.0]).unwrap();
    let objective = missing();
    let search = |upper: f64| {
        let control = Control::new([Quantity::LearningRate], ever_farther(12, 60.0)).bounds(0.01, upper);
        Optimiser::new(&ode, &objective).control(control).minimise(&start, 60.0).unwrap()
    };
    let (free, bound) = (search(2.0), search(0.2));
    assert_eq!((free.end(), bound.end()), (SearchEnd::Converged, SearchEnd::Converged));
    assert!(bound.objective() > free.objective() + 1e-4);
    for (value, flag) in bound.values(0).iter().zip(bound.at_bounds(0)) {
        assert!((0.01..=0.2).contains(value));
        assert_eq!(*flag == AtBound::Upper, *value == 0.2);
    }
    assert_eq!(bound.at_bounds(0)[2], AtBound::Upper);
    assert!(free.at_bounds(0).iter().all(|flag| *flag != AtBound::Upper));
    assert!(bound.values(1).is_empty() && bound.times(1).is_empty() && bound.at_bounds(1).is_empty());
}

/// Noise, its correlation and the learning rate at once: noise of the views is best none or correlated negatively, and every control
/// adds something.
#[test]
fn several_numbers_at_once() {
    let model = one_feature();
    let ode = ReducedOde::new(&model).unwrap();
    let start = OrderParameters::from_rows(1, 1, &[0.4], &[1.0]).unwrap();
    let objective = similarity();
    let grid = || TimeGrid::linear((0..=5).map(|k| 2.0 * f64::from(k))).unwrap();
    let seen = RefCell::new(Vec::new());
    let search = |controls: usize| {
        let mut search = Optimiser::new(&ode, &objective).control(rate(grid()));
        if controls > 1 {
            search = search.control(Control::new(Quantity::NOISE_CORRELATION, grid()).bounds(-0.9, 0.9));
        }
        if controls > 2 {
            search = search.control(Control::new(Quantity::NOISE_VARIANCE, grid()).bounds(0.02, 1.0));
        }
        let look = |progress: &contrastive_dynamics::control::Progress| {
            seen.borrow_mut().push(*progress);
            ControlFlow::Continue(())
        };
        search.observe(look).maximise(&start, 10.0).unwrap()
    };
    let found: Vec<_> = (1..=3).map(search).collect();
    for (k, best) in found.iter().enumerate() {
        assert_eq!(best.end(), SearchEnd::Converged, "{k}");
        assert!(best.objective() > best.first_objective());
    }
    let objectives: Vec<f64> = found.iter().map(Optimum::objective).collect();
    assert!(objectives.windows(2).all(|pair| pair[1] > pair[0] + 1e-4), "{objectives:?}");
    assert!(found[1].values(1)[1..].iter().all(|rho| *rho == -0.9));
    // The observer saw every iteration of each search, ever better.
    let seen = seen.into_inner();
    let firsts: Vec<usize> = (0..seen.len()).filter(|&k| seen[k].iteration == 0).collect();
    assert_eq!(firsts.len(), 3);
    for pair in seen.windows(2).filter(|pair| pair[1].iteration > 0) {
        assert!(pair[1].iteration == pair[0].iteration + 1 && pair[1].evaluations > pair[0].evaluations);
        assert!(pair[1].objective >= pair[0].objective);
    }
    assert_eq!(seen.last().unwrap().objective, found[2].objective());
}

/// Learning rates under which the weights diverge are stepped back from.
#[test]
fn what_diverges_is_stepped_back_from() {
    let model = Model::builder()
        .nonlinearity(Identity)
        .hidden(Independent::new([Law::two_point(2.25).unwrap()]).unwrap())
        .noise(GaussianNoise::correlated(0.3, 0.0).unwrap())
        .learning_rate(0.02)
        .weight_decay(3.0)
        .build()
        .unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let start = OrderParameters::from_rows(1, 1, &[0.3], &[1.0]).unwrap();
    let objective = similarity();
    let control =
        Control::new([Quantity::LearningRate], TimeGrid::linear([0.0, 5.0, 10.0]).unwrap()).bounds(0.0, 1000.0);
    let best = Optimiser::new(&ode, &objective).control(control).maximise(&start, 10.0).unwrap();
    assert!(best.objective() > best.first_objective() + 0.05, "{}", best.objective());
    assert!(best.values(0).iter().all(|tau| *tau < 100.0));
}

/// Where the accuracy of the solutions is used up the search ends, and says so, instead of trying for ever.
#[test]
fn what_cannot_be_better_ends_the_search() {
    let model = oja(1.0);
    let ode = ReducedOde::new(&model).unwrap();
    let start = OrderParameters::from_rows(1, 1, &[0.3], &[1.0]).unwrap();
    let objective = missing();
    let search = Optimiser::new(&ode, &objective).control(rate(ever_farther(4, 30.0))).gradient_tolerance(0.0);
    let best = search.minimise(&start, 30.0).unwrap();
    assert_eq!(best.end(), SearchEnd::NoDescent);
    assert!(
        best.gradient_norm() < 1e-5 && best.evaluations() < 3000,
        "{} {}",
        best.gradient_norm(),
        best.evaluations()
    );
}

/// A search that is stopped, or may take no more iterations, has the best so far.
#[test]
fn searches_can_be_stopped() {
    let model = oja(1.0);
    let ode = ReducedOde::new(&model).unwrap();
    let start = OrderParameters::from_rows(1, 1, &[0.3], &[1.0]).unwrap();
    let objective = missing();
    let search = || Optimiser::new(&ode, &objective).control(rate(ever_farther(8, 30.0)));
    let limited = search().iteration_limit(3).minimise(&start, 30.0).unwrap();
    assert_eq!((limited.end(), limited.iterations()), (SearchEnd::IterationLimit, 3));
    let look = |progress: &contrastive_dynamics::control::Progress| {
        if progress.iteration == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let stopped = search().observe(look).minimise(&start, 30.0).unwrap();
    assert_eq!((stopped.end(), stopped.iterations()), (SearchEnd::Observer, 2));
    assert!(limited.objective() <= stopped.objective() && stopped.objective() < stopped.first_objective());
    let none = search().iteration_limit(0).minimise(&start, 30.0).unwrap();
    assert_eq!(none.objective(), none.first_objective());
}
