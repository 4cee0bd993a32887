//! Heavy-ball momentum: one law in both simulators that have it, and in the limit a larger learning rate.

use contrastive_dynamics::ensemble::Ensemble;
use contrastive_dynamics::prelude::*;
use contrastive_dynamics::sgd::SgdError;
use contrastive_dynamics::state::Checkpoint;

use super::equality_in_law::{assert_different, assert_equal, builder, compressed, direct, isotropic, two_neurons};

/// The statistics of `equality_in_law` at N = 8, where the memory of a few steps is a good part of the run: 31 at a significance of
/// 1e-7 each. The control has a little less momentum.
#[test]
fn momentum_has_one_law_in_both_simulators() {
    let model = |momentum: f64| {
        let builder = builder(isotropic()).n_neurons(2).penalty_strength(2.0);
        builder.learning_rate(0.5).momentum(momentum).build().unwrap()
    };
    let reference = direct(&model(0.6), &two_neurons());
    assert_equal("momentum, compressed", &compressed(&model(0.6), &two_neurons()), &reference);
    assert_different("momentum 0.55", &compressed(&model(0.55), &two_neurons()), &reference);
}

/// Means of 300 runs of compressed SGD at N = 600 against the ODE at τ/(1 − β), by five standard errors and 2/(N(1 − β)) for the
/// finite memory, at two times and for three β and the sphere: sixteen numbers, false alarms below 1e-5. The controls are
/// the ODE without momentum, and with an effective rate a quarter larger.
#[test]
fn the_limit_is_that_of_a_larger_learning_rate() {
    let n = 600;
    for (momentum, constraint) in
        [(0.3, Constraint::None), (0.6, Constraint::None), (0.9, Constraint::None), (0.6, Constraint::Sphere)]
    {
        let build = |momentum: f64, factor: f64| {
            let hidden = Independent::new([Law::two_point(2.25).unwrap()]).unwrap();
            let builder = Model::builder().nonlinearity(Tanh).hidden(hidden);
            let builder = builder.noise(GaussianNoise::correlated(0.3, -0.5).unwrap()).weight_decay(0.5);
            // The same effective rate whatever the momentum is.
            let builder = builder.learning_rate(0.3 * factor * 0.1_f64.max(1.0 - momentum));
            builder.momentum(momentum).constraint(constraint).build().unwrap()
        };
        let start = OrderParameters::from_rows(1, 1, &[0.4], &[1.0]).unwrap();
        let model = build(momentum, 1.0);
        let times = vec![1.0, 3.0];
        let summary = Ensemble::new(300, 5).run(
            |replicate| {
                let builder = CompressedSgd::builder(&model, n).start(&start);
                builder.build_seeded(replicate.seed)?.run(3.0, &Output::Times(times.clone()))
            },
            |_, state| state.to_packed().as_slice().to_vec(),
        );
        let summary = summary.unwrap();
        let worst = |model: &Model<f64, Tanh, Independent, GaussianNoise>| {
            let ode = ReducedOde::new(model).unwrap();
            let trajectory = ode.solver().output(Output::Times(times.clone())).solve(&start, 3.0).unwrap();
            let mut worst = 0.0_f64;
            for (k, state) in trajectory.states().iter().enumerate().take(2) {
                for (entry, &expected) in state.to_packed().iter().enumerate() {
                    let seen = summary.at(k, entry).unwrap();
                    let allowed = 5.0 * seen.standard_error() + 2.0 / (n as f64 * (1.0 - momentum));
                    worst = worst.max((seen.mean() - expected).abs() / allowed);
                }
            }
            worst
        };
        assert!(worst(&model) < 1.0, "{momentum} {constraint:?}: {}", worst(&model));
        assert!(worst(&build(momentum, 1.25)) > 1.2, "{momentum} {constraint:?}: {}", worst(&build(momentum, 1.25)));
        let plain = model.to_builder().momentum(0.0).build().unwrap();
        assert!(worst(&plain) > 2.0, "{momentum} {constraint:?}: {}", worst(&plain));
    }
}

/// The limit is that of the effective rate exactly, particles included.
#[test]
fn coefficients_are_those_of_the_effective_rate() {
    let plain = builder(isotropic()).learning_rate(0.5).build().unwrap();
    let heavy = builder(isotropic()).learning_rate(0.25).momentum(0.5).build().unwrap();
    assert_eq!(heavy.settings().effective_learning_rate(), 0.5);
    let state = OrderParameters::from_rows(1, 1, &[0.4], &[1.0]).unwrap();
    let rates = |model| ReducedOde::new(model).unwrap().rates(&state).unwrap();
    assert_eq!(rates(&plain), rates(&heavy));
    let schedules = Schedules::new().learning_rate(Schedule::constant(0.1).unwrap());
    let by_schedule = |model| {
        let ode = ReducedOde::new(model).unwrap();
        ode.solver().schedules(&schedules).solve(&state, 1.0).unwrap().last().unwrap().1.clone()
    };
    let fast = builder(isotropic()).learning_rate(0.2).build().unwrap();
    let expected = ReducedOde::new(&fast).unwrap().solver().solve(&state, 1.0).unwrap().last().unwrap().1.clone();
    assert!((by_schedule(&heavy).to_packed() - expected.to_packed()).amax() < 1e-8);
    assert!((by_schedule(&plain).to_packed() - expected.to_packed()).amax() > 1e-3);
}

#[test]
fn velocities_are_saved() {
    let model = builder(isotropic()).n_neurons(2).momentum(0.5).build().unwrap();
    let build = |seed| DirectSgd::builder(&model, 20).build_seeded(seed).unwrap();
    let (mut whole, mut rest) = (build(1), build(2));
    (0..10).for_each(|_| whole.step().unwrap());
    rest.restore(whole.saved()).unwrap();
    (0..10).for_each(|_| (whole.step().unwrap(), rest.step().unwrap()).0);
    assert_eq!(whole.weights(), rest.weights());
    // What has no velocity does not fit.
    let plain = builder(isotropic()).n_neurons(2).build().unwrap();
    let other = DirectSgd::builder(&plain, 20).build_seeded(1).unwrap();
    assert!(rest.restore(other.saved()).is_err());
}

#[test]
fn momentum_that_cannot_be_is_an_error() {
    for bad in [-0.1, 1.0, 1.5, f64::NAN, f64::INFINITY] {
        let error = builder(isotropic()).momentum(bad).build().unwrap_err();
        assert!(matches!(error, ModelError::Momentum { .. }) && error.to_string().contains("momentum"), "{error}");
    }
    let model = builder(isotropic()).momentum(0.5).build().unwrap();
    let error = ProjectedChain::builder(&model, 20).build_seeded(1).unwrap_err();
    assert!(matches!(error, SgdError::Momentum { .. }) && error.to_string().contains("CompressedSgd"), "{error}");
    assert!(ProjectedChain::builder(&model, 20).lanes(&[1]).is_err());
}
