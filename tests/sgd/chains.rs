//! Compressed SGD and the projected chain beyond their law at small N (see `equality_in_law.rs`): dimensions up to 10⁹,
//! single precision, linear regularisers, what cannot be built, and what diverges.

use contrastive_dynamics::Scalar;
use contrastive_dynamics::integrate::Output;
use contrastive_dynamics::limit::Limit;
use contrastive_dynamics::model::{
    Constraint, GaussianNoise, Independent, Law, LinearRegularizer, Model, ModelBuilder, RademacherNoise, Regularizer,
    Tanh,
};
use contrastive_dynamics::nalgebra::DMatrix;
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::sgd::{CompressedSgd, DirectSgd, ProjectedChain, SgdError, SgdFailure, Simulator};
use contrastive_dynamics::start::{Features, Start, StartError};
use contrastive_dynamics::state::{OrderParameters, OrderParametersError, RunError};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

use crate::support::steps;

type Builder<T> = ModelBuilder<Tanh, Independent<Law<T>>, GaussianNoise<T>, T, T>;

/// Two features, τ = 0.3, γ = 0.5.
fn builder<T: Scalar>() -> Builder<T> {
    let law = |law: Result<Law<T>, _>| law.unwrap();
    let s = T::lit(2.25);
    let hidden = Independent::new([law(Law::two_point(s)), law(Law::three_point(s, T::lit(0.5)))]).unwrap();
    Model::builder_in::<T>()
        .nonlinearity(Tanh)
        .hidden(hidden)
        .noise(GaussianNoise::correlated(T::lit(0.3), T::lit(-0.5)).unwrap())
        .learning_rate(T::lit(0.3))
        .weight_decay(T::lit(0.5))
}

fn state<T: Scalar>() -> OrderParameters<T> {
    let entries = |x: &[f64]| x.iter().map(|&x| T::lit(x)).collect::<Vec<T>>();
    OrderParameters::from_rows(2, 2, &entries(&[0.35, 0.1, 0.1, 0.4]), &entries(&[1.0, 0.2, 0.2, 1.0])).unwrap()
}

/// The change of (Q, R) per unit of time at N = 10⁹, in 100 blocks of 4000 steps: its mean is the right-hand side of the
/// ODE within 6 standard errors (7 entries, false alarms below 2e-8). The control is the right-hand side at 5 % more
/// weight decay.
fn assert_moves_as_the_ode_says<T: Scalar>() {
    const BLOCKS: usize = 100;
    let (n, per_block) = (1_000_000_000, 4000);
    let model = builder::<T>().n_neurons(2).batch_size(4).penalty_strength(T::lit(2.0)).build().unwrap();
    let mut chain = ProjectedChain::builder(&model, n).start(state()).build_seeded(1).unwrap();
    let mut changes = Vec::new();
    let mut before = chain.order_parameters().to_packed().map(Scalar::as_f64);
    for _ in 0..BLOCKS {
        for _ in 0..per_block {
            chain.step().unwrap();
        }
        let after = chain.order_parameters().to_packed().map(Scalar::as_f64);
        changes.push((&after - &before) * (n as f64 / f64::from(per_block)));
        before = after;
    }
    assert_eq!(chain.steps(), 400_000);
    assert!((chain.time().as_f64() - 4e-4).abs() < 1e-10);
    let rates = |decay: f64| {
        let builder = builder::<f64>().n_neurons(2).batch_size(4).penalty_strength(2.0);
        let model = builder.weight_decay(decay).build().unwrap();
        let rates = ReducedOde::new(&model).unwrap().rates(&state()).unwrap();
        let (q, r) = (rates.q, rates.r);
        [q[(0, 0)], q[(0, 1)], q[(1, 0)], q[(1, 1)], r[(0, 0)], r[(0, 1)], r[(1, 1)]]
    };
    let worst = |rates: &[f64; 7]| {
        (0..7).fold(0.0_f64, |worst, e| {
            let mean = changes.iter().map(|c| c[e]).sum::<f64>() / BLOCKS as f64;
            let variance = changes.iter().map(|c| (c[e] - mean).powi(2)).sum::<f64>() / BLOCKS as f64;
            worst.max((mean - rates[e]).abs() / (6.0 * (variance / BLOCKS as f64).sqrt()))
        })
    };
    let (own, control) = (worst(&rates(0.5)), worst(&rates(0.525)));
    println!("N = 1e9: of what is allowed {own:.2}, control {control:.2}");
    assert!(own < 1.0 && control > 1.0, "{own} {control}");
}

#[test]
fn at_a_dimension_of_a_billion_the_chain_moves_as_the_ode_says() {
    assert_moves_as_the_ode_says::<f64>();
}

/// A step of 1e-9 is far below the rounding of a state of order 1: it counts all the same.
#[test]
fn so_it_does_in_single_precision() {
    assert_moves_as_the_ode_says::<f32>();
}

/// √N (s_N − s) has standard deviations of up to 0.6 here (measured for direct SGD); 6 of them are allowed.
#[test]
fn both_follow_the_ode_in_single_precision() {
    let model = builder::<f32>().build().unwrap();
    let start = OrderParameters::from_rows(2, 1, &[0.35, 0.2], &[1.0]).unwrap();
    let ode = ReducedOde::new(&model).unwrap().solver().solve(&start, 1.0).unwrap();
    let limit = ode.last().unwrap().1.to_packed();
    let n = 2000;
    let compressed =
        CompressedSgd::builder(&model, n).start(&start).build_seeded(1).unwrap().run(1.0, &Output::Stop).unwrap();
    let projected =
        ProjectedChain::builder(&model, n).start(&start).build_seeded(2).unwrap().run(1.0, &Output::Stop).unwrap();
    for trajectory in [compressed, projected] {
        assert_eq!(trajectory.work().samples, 2000);
        assert!((trajectory.last().unwrap().1.to_packed() - &limit).amax() < 3.6 / (n as f32).sqrt());
    }
}

/// φ(w) = 2w.
struct Double;

impl Regularizer for Double {
    fn apply(&self, w: f64) -> f64 {
        2.0 * w
    }
}

impl LinearRegularizer for Double {
    fn slope(&self) -> f64 {
        2.0
    }
}

#[test]
fn the_slope_of_a_linear_regulariser_multiplies_the_weight_decay() {
    let (double, l2) = (builder::<f64>().regularizer(Double).weight_decay(0.25), builder::<f64>());
    let (double, l2) = (double.build().unwrap(), l2.build().unwrap());
    let start = OrderParameters::from_rows(2, 1, &[0.35, 0.2], &[1.0]).unwrap();
    let run = Output::EverySteps(1);
    let a = ProjectedChain::builder(&double, 20).start(&start).build_seeded(1).unwrap().run(1.0, &run).unwrap();
    let b = ProjectedChain::builder(&l2, 20).start(&start).build_seeded(1).unwrap().run(1.0, &run).unwrap();
    assert_eq!(a, b);
    let a = CompressedSgd::builder(&double, 20).start(&start).build_seeded(1).unwrap().run(1.0, &run).unwrap();
    let b = CompressedSgd::builder(&l2, 20).start(&start).build_seeded(1).unwrap().run(1.0, &run).unwrap();
    let far = a.states().iter().zip(b.states()).map(|(a, b)| (a.to_packed() - b.to_packed()).amax());
    assert!(far.fold(0.0, f64::max) < 1e-13);
}

#[test]
fn starts_are_exactly_those_asked_for() {
    let model = builder::<f64>().n_neurons(2).build().unwrap();
    let compressed = CompressedSgd::builder(&model, 40).start(state()).build_seeded(1).unwrap().order_parameters();
    let projected = ProjectedChain::builder(&model, 40).start(state()).build_seeded(1).unwrap().order_parameters();
    for start in [compressed, projected] {
        assert!((start.to_packed() - state::<f64>().to_packed()).amax() < 1e-14);
    }
    // The sphere refuses what is off it, and `normalised` brings it there.
    let model = builder::<f64>().n_neurons(2).constraint(Constraint::Sphere).build().unwrap();
    let r = DMatrix::from_row_slice(2, 2, &[4.0, 0.4, 0.4, 1.0]);
    let start = OrderParameters::new(state().q().clone(), r).unwrap();
    let off = ProjectedChain::builder(&model, 40).start(&start).build_seeded(1).err();
    let value = OrderParametersError::OffSphere { neuron: 0, value: 4.0 };
    assert_eq!(off, Some(SgdError::Start(StartError::Infeasible(value))));
    let start = start.normalised().unwrap();
    let chain = ProjectedChain::builder(&model, 40).start(&start).build_seeded(1).unwrap().order_parameters();
    let want = [0.175, 0.1, 0.05, 0.4, 1.0, 0.2, 1.0];
    assert!(chain.to_packed().iter().zip(want).all(|(x, y)| (x - y).abs() < 1e-14));
}

#[test]
fn noise_that_is_not_gaussian_is_rejected_with_the_cure() {
    let model = builder::<f64>().noise(RademacherNoise::new(0.3, 0.0).unwrap()).build().unwrap();
    let errors = [
        CompressedSgd::builder(&model, 20).build_seeded(1).err().unwrap(),
        ProjectedChain::builder(&model, 20).build_seeded(1).err().unwrap(),
    ];
    for error in errors {
        assert!(matches!(error, SgdError::NoiseNotGaussian { .. }));
        assert!(error.to_string().contains("use DirectSgd"));
    }
}

#[test]
fn what_does_not_fit_is_rejected_each_with_its_error() {
    let model = builder::<f64>().build().unwrap();
    let compressed = |n| CompressedSgd::builder(&model, n);
    assert!(matches!(
        compressed(2).build_seeded(1),
        Err(SgdError::Start(StartError::Dimension { dimension: 2, least: 3 }))
    ));
    assert!(compressed(3).build_seeded(1).is_ok());
    assert!(matches!(compressed(9).start(state()).build_seeded(1), Err(SgdError::Start(StartError::Model { .. }))));
    assert!(matches!(
        compressed(9).start(DMatrix::zeros(8, 1)).build_seeded(1),
        Err(SgdError::Start(StartError::WeightsShape { .. }))
    ));
    let nan = DMatrix::from_element(9, 1, f64::NAN);
    assert!(matches!(
        compressed(9).start(nan).build_seeded(1),
        Err(SgdError::Start(StartError::Weights { neuron: 0 }))
    ));
    let other = Features::random(8, 2, &mut Xoshiro256PlusPlus::seed_from_u64(1)).unwrap();
    assert!(matches!(
        compressed(9).features(other).build_seeded(1),
        Err(SgdError::Start(StartError::FeaturesDimension { .. }))
    ));
    let projected = |n| ProjectedChain::builder(&model, n);
    assert!(matches!(
        projected(2).build_seeded(1),
        Err(SgdError::Start(StartError::Dimension { dimension: 2, least: 3 }))
    ));
    assert!(matches!(projected(2).start(state()).build_seeded(1), Err(SgdError::Start(StartError::Dimension { .. }))));
    assert!(matches!(projected(9).start(state()).build_seeded(1), Err(SgdError::Start(StartError::Model { .. }))));
    let model = builder::<f64>().constraint(Constraint::Sphere).build().unwrap();
    let zero = OrderParameters::from_rows(2, 1, &[0.0, 0.0], &[0.0]).unwrap();
    let off = SgdError::Start(StartError::Infeasible(OrderParametersError::OffSphere { neuron: 0, value: 0.0 }));
    assert_eq!(ProjectedChain::builder(&model, 9).start(&zero).build_seeded(1).err(), Some(off.clone()));
    assert_eq!(CompressedSgd::builder(&model, 9).start(&zero).build_seeded(1).err(), Some(off));
}

/// Without the sphere a zero neuron is a start like any other: with tanh it stays there.
#[test]
fn zero_weights_stay_zero() {
    let model = builder::<f64>().build().unwrap();
    let zero = OrderParameters::from_rows(2, 1, &[0.0, 0.0], &[0.0]).unwrap();
    let mut compressed = CompressedSgd::builder(&model, 9).start(&zero).build_seeded(1).unwrap();
    let mut projected = ProjectedChain::builder(&model, 9).start(&zero).build_seeded(1).unwrap();
    for _ in 0..10 {
        compressed.step().unwrap();
        projected.step().unwrap();
    }
    assert_eq!((compressed.order_parameters(), projected.order_parameters()), (zero.clone(), zero));
}

#[test]
fn a_chain_that_overflows_diverges_and_keeps_its_state() {
    for constraint in [Constraint::None, Constraint::Sphere] {
        for neurons in [1, 2] {
            let model =
                builder::<f64>().learning_rate(1e200).n_neurons(neurons).constraint(constraint).build().unwrap();
            let mut chain = ProjectedChain::builder(&model, 20).build_seeded(5).unwrap();
            let before = chain.order_parameters();
            assert_eq!(chain.step(), Err(SgdFailure::Diverged { step: 1 }));
            assert_eq!((chain.order_parameters(), chain.steps()), (before, 0));
            let Err(SgdError::Run(RunError::Failed { source: SgdFailure::Diverged { step: 1 }, trajectory, .. })) =
                chain.run(1.0, &Output::Stop)
            else {
                panic!()
            };
            assert_eq!(trajectory.times(), [0.0]);
        }
    }
}

#[test]
fn a_seed_fixes_the_run_and_recording_draws_nothing() {
    let model = builder::<f64>().n_neurons(2).batch_size(3).build().unwrap();
    let run = |output| {
        let compressed = CompressedSgd::builder(&model, 30).build_seeded(9).unwrap().run(2.0, output).unwrap();
        let projected = ProjectedChain::builder(&model, 30).build_seeded(9).unwrap().run(2.0, output).unwrap();
        (compressed.last().unwrap().1.clone(), projected.last().unwrap().1.clone())
    };
    assert_eq!(run(&Output::Stop), run(&Output::EverySteps(7)));
}

/// A replicate takes the same path in whatever company, place and piecewise run.
#[test]
fn a_lane_does_not_depend_on_the_others() {
    for (neurons, batch) in [(1, 1), (1, 8), (2, 3)] {
        let model = builder::<f64>().n_neurons(neurons).batch_size(batch).penalty_strength(2.0).build().unwrap();
        // Random starts: every lane draws another number of words.
        let chain = || ProjectedChain::builder(&model, 60);
        let output = Output::Times(vec![0.5, 1.0]);
        let all: Vec<u64> = (0..32).collect();
        let together = chain().lanes(&all).unwrap().run(1.0, &output).unwrap();
        for (index, seed) in [(0, 0), (5, 5), (31, 31)] {
            assert_eq!(chain().lanes(&[seed]).unwrap().run(1.0, &output).unwrap()[0], together[index]);
            let company = [40, seed, 41, 42];
            let mut lanes = chain().lanes(&company).unwrap();
            let first = lanes.run(0.5, &Output::Stop).unwrap();
            let second = lanes.run(1.0, &Output::Stop).unwrap();
            let expected = together[index].as_ref().unwrap().states();
            assert_eq!(first[1].as_ref().unwrap().states(), &expected[..1]);
            assert_eq!(second[1].as_ref().unwrap().states(), &expected[1..]);
        }
        assert_ne!(together[0], together[1]);
    }
}

#[test]
fn a_lane_that_diverges_stops_alone_and_keeps_its_trajectory() {
    let hidden = Independent::new([Law::laplace(1.0).unwrap()]).unwrap();
    let builder = Model::builder().nonlinearity(contrastive_dynamics::model::Identity).hidden(hidden);
    let builder = builder.noise(GaussianNoise::correlated(0.3, -0.5).unwrap()).learning_rate(6.0);
    let model = builder.build().unwrap();
    let seeds: Vec<u64> = (0..32).collect();
    let mut lanes = ProjectedChain::builder(&model, 10).lanes(&seeds).unwrap();
    let results = lanes.run(100.0, &Output::EverySteps(1)).unwrap();
    let mut steps = Vec::new();
    for result in &results {
        let Err(SgdError::Run(RunError::Failed { time, source: SgdFailure::Diverged { step }, trajectory })) = result
        else {
            panic!("{result:?}")
        };
        assert_eq!((trajectory.last().unwrap().0, *time), (*time, (*step as f64 - 1.0) / 10.0));
        assert_eq!(trajectory.times().len() as u64, *step);
        assert!(trajectory.states().iter().all(|state| state.r()[(0, 0)].is_finite()));
        steps.push(*step);
    }
    steps.sort_unstable();
    steps.dedup();
    assert!(steps.len() > 3, "lanes diverge each at its own step: {steps:?}");
    let again = lanes.run(200.0, &Output::EverySteps(1)).unwrap();
    assert!(again.iter().all(|result| matches!(result, Err(SgdError::Run(RunError::Failed { .. })))));
}

#[test]
fn lanes_in_single_precision_move_as_those_in_double() {
    let (single, double) = (builder::<f32>().build().unwrap(), builder::<f64>().build().unwrap());
    let seeds: Vec<u64> = (0..32).collect();
    let start = |q: [f64; 2]| OrderParameters::from_rows(2, 1, &q, &[1.0]).unwrap();
    let start32 = OrderParameters::from_rows(2, 1, &[0.35_f32, 0.1], &[1.0]).unwrap();
    let mut first = ProjectedChain::builder(&single, 4000).start(&start32).lanes(&seeds).unwrap();
    let mut second = ProjectedChain::builder(&double, 4000).start(start([0.35, 0.1])).lanes(&seeds).unwrap();
    first.run(1.0, &Output::Stop).unwrap();
    second.run(1.0, &Output::Stop).unwrap();
    let mean = |f: &dyn Fn(usize) -> f64| (0..32).map(f).sum::<f64>() / 32.0;
    let a = mean(&|k| f64::from(first.order_parameters(k).unwrap().q()[(0, 0)]));
    let b = mean(&|k| second.order_parameters(k).unwrap().q()[(0, 0)]);
    // Deviations of a run are of order 1/√4000; five standard errors of the mean of 32 are 0.014.
    assert!((a - b).abs() < 0.014 * 1.42, "{a} {b}");
    assert!(matches!(ProjectedChain::builder(&double, 60).lanes(&[]), Err(SgdError::Lanes { got: 0, .. })));
    assert!(matches!(ProjectedChain::builder(&double, 60).lanes(&[1; 33]), Err(SgdError::Lanes { got: 33, .. })));
}

/// A law of starts is drawn anew by every replicate, and its failure is an error.
#[test]
fn starts_are_drawn_from_their_law() {
    use contrastive_dynamics::rand::{Rng, RngExt};
    let model = builder::<f64>().build().unwrap();
    let law = |rng: &mut dyn Rng| {
        let angle = rng.random::<f64>() * std::f64::consts::TAU;
        OrderParameters::from_rows(2, 1, &[0.5 * angle.cos(), 0.5 * angle.sin()], &[1.0])
    };
    let radius = |state: &OrderParameters| state.q().norm();
    let seeds: Vec<u64> = (0..8).collect();
    let lanes = ProjectedChain::builder(&model, 50).start(Start::drawn(law)).lanes(&seeds).unwrap();
    let mut states: Vec<OrderParameters> = (0..8).map(|k| lanes.order_parameters(k).unwrap()).collect();
    for seed in 0..4 {
        states.push(
            ProjectedChain::builder(&model, 50).start(Start::drawn(law)).build_seeded(seed).unwrap().order_parameters(),
        );
        states.push(
            CompressedSgd::builder(&model, 50).start(Start::drawn(law)).build_seeded(seed).unwrap().order_parameters(),
        );
        // Direct and compressed SGD with one seed draw features and start alike.
        let direct = DirectSgd::builder(&model, 50).start(Start::drawn(law));
        states.push(direct.build_seeded(seed + 10).unwrap().order_parameters());
    }
    assert!(states.iter().all(|state| (radius(state) - 0.5).abs() < 1e-12));
    for (k, state) in states.iter().enumerate() {
        assert!(states[..k].iter().all(|other| (other.q() - state.q()).norm() > 1e-6));
    }
    let broken = |_: &mut dyn Rng| OrderParameters::from_rows(2, 1, &[0.0, f64::NAN], &[1.0]);
    assert!(matches!(
        ProjectedChain::builder(&model, 50).start(Start::drawn(broken)).build_seeded(1),
        Err(SgdError::Start(_))
    ));
    assert!(matches!(
        CompressedSgd::builder(&model, 50).start(Start::drawn(broken)).build_seeded(1),
        Err(SgdError::Start(_))
    ));
}

/// Samples per step, dimension and time of every simulator, and the work that a run counts of them.
#[test]
fn simulators_tell_what_they_draw() {
    fn check(mut simulator: impl Simulator<Scalar = f64>) {
        assert_eq!((simulator.dimension(), simulator.batch_size(), simulator.steps()), (40, 3, 0));
        let run = simulator.run(0.25, &Output::Stop).unwrap();
        assert_eq!((simulator.steps(), simulator.time()), (10, 0.25));
        assert_eq!((run.work().samples, run.work().accepted_steps), (30, 10));
    }
    let model = builder::<f64>().batch_size(3).build().unwrap();
    check(DirectSgd::builder(&model, 40).build_seeded(1).unwrap());
    check(CompressedSgd::builder(&model, 40).build_seeded(1).unwrap());
    check(ProjectedChain::builder(&model, 40).build_seeded(1).unwrap());
}

/// A lane that diverges keeps its last finite state, at the step that it tells; the others go on.
#[test]
fn lanes_tell_where_they_are() {
    let hidden = Independent::new([Law::laplace(1.0).unwrap()]).unwrap();
    let builder = Model::builder().nonlinearity(contrastive_dynamics::model::Identity).hidden(hidden);
    let noise = GaussianNoise::correlated(0.3, -0.5).unwrap();
    let model = builder.noise(noise).learning_rate(6.0).build().unwrap();
    let seeds: Vec<u64> = (0..5).collect();
    let mut lanes = ProjectedChain::builder(&model, 10).lanes(&seeds).unwrap();
    assert_eq!((lanes.replicates(), lanes.dimension(), lanes.steps(), lanes.time()), (5, 10, 0, 0.0));
    let mut last: Vec<_> = (0..5).map(|k| lanes.order_parameters(k).unwrap()).collect();
    let mut at = [None; 5];
    for step in 1..=2000 {
        lanes.step();
        assert_eq!((lanes.steps(), lanes.time()), (step, step as f64 / 10.0));
        for (k, before) in last.iter_mut().enumerate() {
            let now = lanes.order_parameters(k).unwrap();
            assert!(now.r()[(0, 0)].is_finite());
            if lanes.failure(k).is_some() {
                assert_eq!(now, *before, "lane {k} stays where it was");
                at[k] = at[k].or(Some(step));
            } else {
                assert_ne!(now, *before);
            }
            *before = now;
        }
    }
    for (k, step) in at.into_iter().enumerate() {
        assert_eq!(lanes.failure(k), step.map(|step| SgdFailure::Diverged { step }));
    }
    let distinct: std::collections::BTreeSet<_> = at.iter().flatten().collect();
    assert!(distinct.len() > 1, "{at:?}");
    assert_eq!((lanes.failure(5), lanes.order_parameters(5)), (None, None));
}

/// Compressed SGD with a generator of one's own: the steps that the limit says, to 1 %.
#[test]
fn a_generator_of_ones_own_gives_steps_of_the_same_law() {
    let model = |rate: f64| builder::<f64>().learning_rate(rate).weight_decay(1.0).build().unwrap();
    let state = OrderParameters::from_rows(2, 1, &[0.5, 0.2], &[0.4]).unwrap();
    let own = Limit::new(&model(1.0)).unwrap().coefficients(&state).unwrap().coefficients;
    let frozen = model(1e-8);
    let seen = steps::see(&frozen, 16, &state, 10, 100_000, |features, weights, seed| {
        let rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        CompressedSgd::builder(&frozen, 16).features(features).start(weights).build(rng).unwrap()
    });
    seen.assert_follow("compressed SGD", &own, 1.0, &[]);
}
