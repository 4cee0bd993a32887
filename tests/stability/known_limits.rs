//! Two special cases of the model that others have solved (theory §10): online independent component analysis (Wang and
//! Lu, arXiv 1710.05384) and Oja's rule on spiked data (Wang, Eldar and Lu, arXiv 1805.06834).
//!
//! Covers the right-hand side against its closed form, the largest learning rates as folds, steady overlaps and the
//! learning rate from which nothing is learned. Comparisons are repeated with a closed form that is wrong by 1 %, which
//! must fail. Not here: schedules of the learning rate, and momentum.

use contrastive_dynamics::limit::Parameter;
use contrastive_dynamics::model::{Constraint, Identity, Independent, Law, Model, NoNoise, Nonlinearity, Polynomial};
use contrastive_dynamics::stability::{
    BifurcationKind, Branch, BranchStop, Continuation, CurveError, FixedPointFinder, Kind, OdeCurve, Stability,
    steady_state,
};
use contrastive_dynamics::{OrderParameters, ReducedOde};

type OneNeuron<S> = Model<f64, S, Independent, NoNoise>;

/// One neuron on the sphere, one feature, no view noise, no weight decay, background of variance 1, batches of one.
fn noiseless_on_the_sphere<S: Nonlinearity<f64>>(sigma: S, law: Law, learning_rate: f64) -> OneNeuron<S> {
    let hidden = Independent::new([law]).unwrap();
    let builder = Model::builder().nonlinearity(sigma).hidden(hidden).noise(NoNoise).learning_rate(learning_rate);
    builder.weight_decay(0.0).background_std(1.0).batch_size(1).constraint(Constraint::Sphere).build().unwrap()
}

/// Online independent component analysis: σ(h) = h²/2, so that both views together give the error signal −h³.
fn online_ica(law: Law, learning_rate: f64) -> OneNeuron<Polynomial> {
    noiseless_on_the_sphere(Polynomial::new([0.0, 0.0, 0.5]).unwrap(), law, learning_rate)
}

/// Oja's rule with the learning rate τ' = 2τ (both views give the same gradient) on data of covariance I + ω uuᵀ/N.
fn oja(spike: f64, step: f64) -> OneNeuron<Identity> {
    noiseless_on_the_sphere(Identity, Law::two_point(1.0 + spike).unwrap(), 0.5 * step)
}

fn on_the_sphere(q: f64) -> OrderParameters {
    OrderParameters::from_rows(1, 1, &[q], &[1.0]).unwrap()
}

/// A law of a source with E[c²] = 1, with E[c⁴] and E[c⁶].
struct Source {
    name: &'static str,
    law: Law,
    fourth: f64,
    sixth: f64,
}

fn laplace() -> Source {
    // E[c^k] = k! b^k with 2b² = 1.
    Source { name: "Laplace", law: Law::laplace(1.0).unwrap(), fourth: 24.0 / 4.0, sixth: 720.0 / 8.0 }
}

fn three_point(activity: f64) -> Source {
    let law = Law::three_point(1.0, activity).unwrap();
    Source { name: "three-point", law, fourth: activity.recip(), sixth: activity.powi(-2) }
}

fn sources() -> [Source; 6] {
    let uniform = Law::uniform(1.0).unwrap();
    let (two_point, gaussian) = (Law::two_point(1.0).unwrap(), Law::gaussian(1.0).unwrap());
    [
        laplace(),
        three_point(0.2),
        three_point(0.1),
        Source { name: "uniform", law: uniform, fourth: 9.0 / 5.0, sixth: 27.0 / 7.0 },
        Source { name: "two-point", law: two_point, fourth: 1.0, sixth: 1.0 },
        Source { name: "Gaussian", law: gaussian, fourth: 3.0, sixth: 15.0 },
    ]
}

/// E[h⁶] of h = Qc + N(0, 1 − Q²).
fn sixth_moment_of_field(q: f64, fourth: f64, sixth: f64) -> f64 {
    let (x, s) = (q * q, 1.0 - q * q);
    sixth * x.powi(3) + 15.0 * fourth * x * x * s + 45.0 * x * s * s + 15.0 * s.powi(3)
}

/// dQ/dt of online ICA in closed form.
fn ica_rate(q: f64, learning_rate: f64, fourth: f64, sixth: f64) -> f64 {
    let drift = learning_rate * (fourth - 3.0) * q.powi(3) * (1.0 - q * q);
    drift - 0.5 * learning_rate * learning_rate * q * sixth_moment_of_field(q, fourth, sixth)
}

/// The learning rate at which Q ≠ 0 is steady.
fn steady_learning_rate(q: f64, fourth: f64, sixth: f64) -> f64 {
    2.0 * (fourth - 3.0) * q * q * (1.0 - q * q) / sixth_moment_of_field(q, fourth, sixth)
}

/// The maximum of that over Q, and where it is: the best of 10⁴ values, then golden sections.
fn largest_learning_rate(fourth: f64, sixth: f64) -> (f64, f64) {
    let rate = |q: f64| steady_learning_rate(q, fourth, sixth);
    let best = (1..10_000_u32).map(|k| f64::from(k) * 1e-4).max_by(|x, y| rate(*x).total_cmp(&rate(*y))).unwrap();
    let (mut low, mut high) = (best - 1e-4, best + 1e-4);
    let share = 0.5 * (5.0_f64.sqrt() - 1.0);
    while high - low > 1e-8 {
        let (left, right) = (high - share * (high - low), low + share * (high - low));
        if rate(left) < rate(right) { low = left } else { high = right }
    }
    let q = 0.5 * (low + high);
    (rate(q), q)
}

/// Steady Q² of Oja's rule in closed form.
fn oja_overlap(spike: f64, step: f64) -> f64 {
    ((2.0 * spike - step) / (spike * (2.0 + step))).max(0.0)
}

#[test]
fn the_rates_of_online_ica_are_those_of_the_closed_form() {
    for Source { name, law, fourth, sixth } in sources() {
        for tau in [0.01, 0.06, 0.3, 2.0] {
            let model = online_ica(law.clone(), tau);
            let ode = ReducedOde::new(&model).unwrap().coefficient_tolerance(1e-12).unwrap();
            for q in [-0.95, -0.4, 0.25, 0.5551, 0.8, 0.99] {
                let rates = ode.rates(&on_the_sphere(q)).unwrap();
                assert_eq!(rates.r[(0, 0)], 0.0);
                let error = |tau: f64, fourth: f64, sixth: f64| {
                    let expected = ica_rate(q, tau, fourth, sixth);
                    (rates.q[(0, 0)] - expected).abs() / expected.abs()
                };
                let found = error(tau, fourth, sixth);
                assert!(found < 1e-12, "{name}, tau = {tau}, Q = {q}: {found:e}");
                // The sixth moment of a law of small tails matters least: 2e-7 of the rate at Q = 0.25.
                let wrong = [(1.01, 1.0, 1.0), (1.0, 1.01, 1.0), (1.0, 1.0, 1.01)]
                    .map(|(x, y, z)| error(x * tau, y * fourth, z * sixth));
                assert!(wrong.iter().all(|&error| error > 1e-8), "{name}, tau = {tau}, Q = {q}: {wrong:?}");
            }
        }
    }
}

/// The branch of informed steady states from a small learning rate on, to its fold and back.
fn informed_branch(law: &Law) -> Branch<f64, CurveError> {
    let small = 0.02;
    let model = online_ica(law.clone(), small);
    let ode = ReducedOde::new(&model).unwrap();
    let start = steady_state(&ode, &on_the_sphere(0.95), 1e6).unwrap().state;
    let mut curve = OdeCurve::new(&ode, Parameter::LearningRate).unwrap();
    let start = curve.coordinates(&start);
    Continuation::new(0.01, 0.2).parameter_scale(0.1).run(&mut curve, &start, small).unwrap()
}

#[test]
fn the_largest_learning_rates_of_online_ica_are_folds() {
    // The last two numbers are those of theory §10, from another program, as printed there.
    for (source, printed, place) in
        [(laplace(), 0.063_479, 0.5551), (three_point(0.2), 0.051_845, 0.6373), (three_point(0.1), 0.123_959, 0.5187)]
    {
        let Source { name, law, fourth, sixth } = source;
        let branch = informed_branch(&law);
        assert_eq!(branch.stop, BranchStop::Bound, "{name}");
        let [fold] = &branch.bifurcations[..] else { panic!("{name}: {:?}", branch.bifurcations) };
        assert_eq!(fold.kind, BifurcationKind::Fold, "{name}");
        let (exact, at) = largest_learning_rate(fourth, sixth);
        assert!((fold.parameter - exact).abs() < 1e-6, "{name}: {} against {exact}", fold.parameter);
        assert!((fold.state[0] - at).abs() < 1e-6, "{name}: {} against {at}", fold.state[0]);
        assert!((fold.parameter - printed).abs() < 0.5e-6 && (fold.state[0] - place).abs() < 0.5e-4, "{name}");
        // Not only the fold: every point, with the stable ones before it.
        for point in &branch.points {
            let expected = steady_learning_rate(point.state[0], fourth, sixth);
            assert!((point.parameter - expected).abs() < 1e-9, "{name}: {} against {expected}", point.parameter);
            assert_eq!(point.is_stable(), point.state[0] > at, "{name}");
        }
        for (fourth, sixth) in [(1.01 * fourth, sixth), (fourth, 1.01 * sixth)] {
            assert!((fold.parameter - largest_learning_rate(fourth, sixth).0).abs() > 1e-5, "{name}");
        }
        assert!((1.01 * fold.parameter - exact).abs() > 1e-4, "{name}");
    }
}

/// Kind, stability and |Q| of all fixed points, by rising |Q|.
fn fixed_points<S: Nonlinearity<f64>>(model: &OneNeuron<S>) -> Vec<(Kind, Stability, f64)> {
    let ode = ReducedOde::new(model).unwrap();
    let found = FixedPointFinder::new(&ode).find().unwrap();
    let mut points: Vec<_> =
        found.points.iter().map(|point| (point.kind.clone(), point.stability, point.state.q()[(0, 0)].abs())).collect();
    points.sort_by(|x, y| x.2.total_cmp(&y.2));
    points
}

#[test]
fn online_ica_recovers_below_the_largest_learning_rate_alone() {
    let nothing = (Kind::Uninformative, Stability::Stable, 0.0);
    for Source { name, law, fourth, sixth } in [laplace(), three_point(0.2), three_point(0.1)] {
        let (largest, at) = largest_learning_rate(fourth, sixth);
        let below = fixed_points(&online_ica(law.clone(), 0.99 * largest));
        let [zero, unstable, informed] = &below[..] else { panic!("{name}: {below:?}") };
        assert_eq!(*zero, nothing, "{name}");
        assert_eq!((unstable.1, informed.1), (Stability::Unstable, Stability::Stable), "{name}");
        assert!(unstable.2 < at && at < informed.2, "{name}: {below:?}");
        for (_, _, q) in [unstable, informed] {
            assert!((steady_learning_rate(*q, fourth, sixth) - 0.99 * largest).abs() < 1e-9, "{name}: {q}");
        }
        assert_eq!(fixed_points(&online_ica(law, 1.01 * largest)), std::slice::from_ref(&nothing), "{name}");
    }
    // Without positive excess kurtosis there is nothing to recover at any learning rate.
    for Source { name, law, .. } in sources().into_iter().filter(|source| source.fourth <= 3.0) {
        assert_eq!(fixed_points(&online_ica(law, 0.01)), std::slice::from_ref(&nothing), "{name}");
    }
}

#[test]
fn steady_overlaps_of_oja_are_those_of_the_closed_form() {
    let printed = [[9.0 / 11.0, 1.0 / 3.0], [19.0 / 22.0, 0.5]];
    for (spike, printed) in [1.0, 2.0].into_iter().zip(printed) {
        for (step, printed) in [0.2, 1.0].into_iter().zip(printed) {
            let model = oja(spike, step);
            let ode = ReducedOde::new(&model).unwrap();
            let steady = steady_state(&ode, &on_the_sphere(0.3), 1e6).unwrap().state.q()[(0, 0)];
            let points = fixed_points(&model);
            let [(zero, at_zero, _), (informed, at_informed, found)] = &points[..] else { panic!("{points:?}") };
            assert_eq!((zero, *at_zero), (&Kind::Uninformative, Stability::Unstable));
            assert_eq!((informed, *at_informed), (&Kind::Selected { features: vec![Some(0)] }, Stability::Stable));
            for q in [steady, *found] {
                assert!((q * q - printed).abs() < 1e-9, "spike {spike}, step {step}: {q}");
                assert!((q * q - oja_overlap(spike, step)).abs() < 1e-9, "spike {spike}, step {step}: {q}");
                for wrong in [oja_overlap(1.01 * spike, step), oja_overlap(spike, 1.01 * step)] {
                    assert!((q * q - wrong).abs() > 1e-4, "spike {spike}, step {step}: {q}");
                }
            }
        }
        for step in [2.001 * spike, 2.2 * spike, 4.0 * spike] {
            assert_eq!(fixed_points(&oja(spike, step)), [(Kind::Uninformative, Stability::Stable, 0.0)]);
        }
        assert_eq!(fixed_points(&oja(spike, 1.999 * spike)).len(), 2);
    }
}

/// A pitchfork at τ' = 2ω; the branch that leaves it has the steady overlap at every learning rate.
#[test]
fn what_oja_learns_vanishes_at_a_step_of_twice_the_spike() {
    for spike in [1.0, 2.0] {
        let model = oja(spike, 3.0 * spike);
        let ode = ReducedOde::new(&model).unwrap();
        let mut curve = OdeCurve::new(&ode, Parameter::LearningRate).unwrap();
        let plan = Continuation::new(0.05, 2.0 * spike).downwards();
        let branch = plan.run(&mut curve, &[0.0], 1.5 * spike).unwrap();
        let [point] = &branch.bifurcations[..] else { panic!("{:?}", branch.bifurcations) };
        assert_eq!(point.kind, BifurcationKind::BranchPoint { crossing: 1 });
        // The learning rate τ is half of the step τ'.
        assert!((2.0 * point.parameter - 2.0 * spike).abs() < 1e-9, "{}", point.parameter);
        for way in plan.switch(&mut curve, point).unwrap() {
            let side = plan.run_from(&mut curve, &way).unwrap();
            assert_eq!(side.stop, BranchStop::Bound);
            for point in &side.points {
                let expected = oja_overlap(spike, 2.0 * point.parameter);
                assert!((point.state[0].powi(2) - expected).abs() < 1e-9, "{} {expected}", point.parameter);
            }
        }
    }
}
