//! Numbers that follow schedules: in every simulator those of models built with the numbers in force, and on the
//! average those of the limit.

use contrastive_dynamics::ensemble::Ensemble;
use contrastive_dynamics::model::ScheduleError;
use contrastive_dynamics::prelude::*;
use contrastive_dynamics::sgd::{SgdError, SgdFailure};
use contrastive_dynamics::state::{Checkpoint, RunError};

const N: usize = 40;

/// What a schedule can change.
#[derive(Clone, Copy)]
struct Numbers {
    learning_rate: f64,
    weight_decay: f64,
    penalty: f64,
    variance: f64,
    correlation: f64,
}

const FIRST: Numbers =
    Numbers { learning_rate: 0.5, weight_decay: 0.5, penalty: 0.7, variance: 0.5, correlation: -0.5 };

fn hidden() -> Independent {
    Independent::new([Law::two_point(2.25).unwrap(), Law::laplace(1.0).unwrap()]).unwrap()
}

fn model(numbers: Numbers) -> Model<f64, Tanh, Independent, GaussianNoise> {
    let noise = GaussianNoise::correlated(numbers.variance, numbers.correlation).unwrap();
    Model::builder()
        .nonlinearity(Tanh)
        .hidden(hidden())
        .noise(noise)
        .learning_rate(numbers.learning_rate)
        .weight_decay(numbers.weight_decay)
        .penalty_strength(numbers.penalty)
        .n_neurons(2)
        .batch_size(3)
        .build()
        .unwrap()
}

/// Every number jumps at t = 1/2.
fn jump(to: Numbers) -> Schedules {
    let steps = |first: f64, then: f64| Schedule::steps(first, [(0.5, then)]).unwrap();
    Schedules::new()
        .learning_rate(steps(FIRST.learning_rate, to.learning_rate))
        .weight_decay(steps(FIRST.weight_decay, to.weight_decay))
        .penalty_strength(steps(FIRST.penalty, to.penalty))
        .noise_variance(steps(FIRST.variance, to.variance))
        .noise_correlation(steps(FIRST.correlation, to.correlation))
}

/// What differs in one number each, and in all.
fn others() -> Vec<Numbers> {
    let all = Numbers { learning_rate: 0.2, weight_decay: 0.0, penalty: 0.0, variance: 1.0, correlation: 0.25 };
    vec![
        Numbers { learning_rate: 0.2, ..FIRST },
        Numbers { weight_decay: 0.0, ..FIRST },
        Numbers { penalty: 1.5, ..FIRST },
        Numbers { variance: 1.0, ..FIRST },
        Numbers { correlation: 0.25, ..FIRST },
        all,
    ]
}

fn distance(x: &OrderParameters, y: &OrderParameters) -> f64 {
    (x.to_packed() - y.to_packed()).amax()
}

/// Half of the time under one model, half under the other; a simulator of a seed by `build`, with schedules or without.
macro_rules! assert_two_models {
    ($simulator:ident) => {{
        for to in others() {
            let (first, second, schedules) = (model(FIRST), model(to), jump(to));
            let (half, all) = (N / 2, N);
            let mut scheduled = $simulator::builder(&first, N).schedules(&schedules).build_seeded(3).unwrap();
            let mut before = $simulator::builder(&first, N).build_seeded(3).unwrap();
            (0..half).for_each(|_| before.step().unwrap());
            let mut after = $simulator::builder(&second, N).build_seeded(3).unwrap();
            after.restore(before.saved()).unwrap();
            (half..all).for_each(|_| after.step().unwrap());
            (0..all).for_each(|_| scheduled.step().unwrap());
            // A correlation times a variance is rounded twice.
            assert!(distance(&scheduled.order_parameters(), &after.order_parameters()) < 1e-12);
            // The control: it would not be so without the jump.
            (half..all).for_each(|_| before.step().unwrap());
            assert!(distance(&scheduled.order_parameters(), &before.order_parameters()) > 1e-4);
        }
    }};
}

#[test]
fn direct_sgd_takes_the_numbers_in_force() {
    assert_two_models!(DirectSgd);
}

#[test]
fn compressed_sgd_takes_the_numbers_in_force() {
    assert_two_models!(CompressedSgd);
}

#[test]
fn the_projected_chain_takes_the_numbers_in_force() {
    assert_two_models!(ProjectedChain);
}

#[test]
fn lanes_take_the_numbers_in_force() {
    for to in others() {
        let (first, second, schedules) = (model(FIRST), model(to), jump(to));
        let lanes = |model, schedules: &Schedules| {
            ProjectedChain::builder(model, N).schedules(schedules).lanes(&[1, 2, 3]).unwrap()
        };
        let mut scheduled = lanes(&first, &schedules);
        (0..N).for_each(|_| scheduled.step());
        let mut before = lanes(&first, &Schedules::new());
        (0..N / 2).for_each(|_| before.step());
        let mut after = lanes(&second, &Schedules::new());
        after.restore(before.saved()).unwrap();
        (0..N / 2).for_each(|_| after.step());
        for k in 0..3 {
            // A batch that a schedule may couple is summed in another order than one that never is.
            let (x, y) = (scheduled.order_parameters(k).unwrap(), after.order_parameters(k).unwrap());
            assert!(distance(&x, &y) < 1e-12);
        }
    }
}

/// One neuron, whose lanes draw two normals a sample in the modes of exchangeable views.
#[test]
fn lanes_of_one_neuron_take_the_noise_in_force() {
    let build = |variance: f64, correlation: f64| {
        let noise = GaussianNoise::correlated(variance, correlation).unwrap();
        let builder = Model::builder().nonlinearity(Tanh).hidden(hidden()).noise(noise).learning_rate(0.5);
        builder.batch_size(8).build().unwrap()
    };
    let (first, second) = (build(0.5, -0.5), build(1.0, 0.25));
    let constant = |value: f64| Schedule::constant(value).unwrap();
    let schedules = Schedules::new().noise_variance(constant(1.0)).noise_correlation(constant(0.25));
    let mut scheduled = ProjectedChain::builder(&first, N).schedules(&schedules).lanes(&[1, 2]).unwrap();
    let mut plain = ProjectedChain::builder(&second, N).lanes(&[1, 2]).unwrap();
    (0..N).for_each(|_| (scheduled.step(), plain.step()).0);
    assert!(distance(&scheduled.order_parameters(1).unwrap(), &plain.order_parameters(1).unwrap()) < 1e-12);
}

/// Noise that is not Gaussian is scaled: to the last bit that of a model of that variance, for a factor of 4.
#[test]
fn noise_that_is_not_gaussian_is_scaled() {
    let build = |variance: f64| {
        let noise = RademacherNoise::new(variance, -0.5).unwrap();
        Model::builder().nonlinearity(Tanh).hidden(hidden()).noise(noise).learning_rate(0.5).build().unwrap()
    };
    let (first, second) = (build(0.25), build(1.0));
    let schedules = Schedules::new().noise_variance(Schedule::constant(1.0).unwrap());
    let mut scheduled = DirectSgd::builder(&first, N).schedules(&schedules).build_seeded(4).unwrap();
    let mut plain = DirectSgd::builder(&second, N).build_seeded(4).unwrap();
    (0..N).for_each(|_| (scheduled.step().unwrap(), plain.step().unwrap()).0);
    assert_eq!(scheduled.order_parameters(), plain.order_parameters());
    let correlation = Schedules::new().noise_correlation(Schedule::constant(0.0).unwrap());
    let along = Schedules::new().feature_noise_variance(Schedule::constant(1.0).unwrap());
    for schedules in [correlation, along] {
        let error = DirectSgd::builder(&first, N).schedules(&schedules).build_seeded(4).unwrap_err();
        assert!(matches!(error, SgdError::Schedule(ScheduleError::Undefined { .. })), "{error}");
    }
}

/// A cosine with warm-up, decay that sets in, noise that fades and turns: 2000 chains at N = 4000 against the ODE, at three times.
/// Means may be off by five standard errors and by 2/N for the bias of order 1/N: six numbers, false alarms below 4e-6. The
/// controls are a learning rate 1 % larger, and the same schedules without warm-up.
#[test]
fn ensembles_under_schedules_follow_the_limit() {
    let first = Model::builder().nonlinearity(Tanh).hidden(Independent::new([Law::two_point(2.25).unwrap()]).unwrap());
    let first = first.noise(GaussianNoise::correlated(0.5, -0.5).unwrap()).learning_rate(0.3).build().unwrap();
    let start = OrderParameters::from_rows(1, 1, &[0.3], &[1.0]).unwrap();
    let times = vec![1.0, 2.0, 4.0];
    let schedules = |rate: f64, warm_up: f64| {
        Schedules::new()
            .learning_rate(Schedule::cosine(rate, 0.05, 3.0).unwrap().warm_up(warm_up).unwrap())
            .weight_decay(Schedule::steps(0.0, [(1.3, 0.5)]).unwrap())
            .noise_variance(Schedule::exponential(0.5, 0.5).unwrap())
            .noise_correlation(Schedule::linear([(0.0, -0.5), (3.0, 0.5)]).unwrap())
    };
    let builder = ProjectedChain::builder(&first, 4000).start(&start).schedules(&schedules(0.6, 0.5));
    let summary = Ensemble::new(2000, 7)
        .run_projected(&builder, 4.0, &Output::Times(times.clone()), |_, state| state.to_packed().as_slice().to_vec())
        .unwrap();
    let worst = |schedules: &Schedules| {
        let ode = ReducedOde::new(&first).unwrap();
        let solver = ode.solver().schedules(schedules).output(Output::Times(times.clone()));
        let trajectory = solver.solve(&start, 4.0).unwrap();
        let mut worst = 0.0_f64;
        for (k, state) in trajectory.states().iter().enumerate().take(3) {
            for (entry, &expected) in state.to_packed().iter().enumerate() {
                let seen = summary.at(k, entry).unwrap();
                worst = worst.max((seen.mean() - expected).abs() / (5.0 * seen.standard_error() + 2.0 / 4000.0));
            }
        }
        worst
    };
    assert!(worst(&schedules(0.6, 0.5)) < 1.0, "{}", worst(&schedules(0.6, 0.5)));
    assert!(worst(&schedules(0.606, 0.5)) > 1.5, "{}", worst(&schedules(0.606, 0.5)));
    assert!(worst(&schedules(0.6, 1e-3)) > 3.0, "{}", worst(&schedules(0.6, 1e-3)));
}

/// A run that was saved under schedules goes on to the same bits; with other schedules the file is another's.
#[test]
fn what_is_saved_belongs_to_its_schedules() {
    let first = model(FIRST);
    let schedules = jump(others()[5]);
    let build = |schedules: &Schedules| DirectSgd::builder(&first, N).schedules(schedules).build_seeded(3).unwrap();
    let mut whole = build(&schedules);
    (0..N).for_each(|_| whole.step().unwrap());
    let mut part = build(&schedules);
    (0..N / 2).for_each(|_| part.step().unwrap());
    let mut rest = build(&schedules);
    rest.restore(part.saved()).unwrap();
    (0..N / 2).for_each(|_| rest.step().unwrap());
    assert_eq!(rest.weights(), whole.weights());
    assert_ne!(build(&Schedules::new()).fingerprint(), rest.fingerprint());
    assert_ne!(build(&jump(others()[4])).fingerprint(), rest.fingerprint());
}

#[test]
fn values_out_of_range_are_errors_that_name_the_time() {
    let first = model(FIRST);
    // Seen before anything is drawn, where the schedule is one of the library's.
    let bad = [
        Schedules::new().learning_rate(Schedule::linear([(0.0, 0.3), (2.0, -0.1)]).unwrap()),
        Schedules::new().weight_decay(Schedule::steps(0.3, [(1.5, -1.0)]).unwrap()),
        Schedules::new().penalty_strength(Schedule::constant(-1.0).unwrap()),
        Schedules::new().noise_variance(Schedule::polynomial(1.0, -0.1, 3.0, 1.0).unwrap()),
        Schedules::new().noise_correlation(Schedule::constant(1.1).unwrap()),
    ];
    for (schedules, when) in bad.iter().zip([2.0, 1.5, 0.0, 3.0, 0.0]) {
        let error = CompressedSgd::builder(&first, N).schedules(schedules).build_seeded(3).unwrap_err();
        let SgdError::Schedule(ScheduleError::Value { time, .. }) = error else { panic!("{error}") };
        assert!((time - when).abs() < 1e-12 && error.to_string().contains("at t = "), "{error}");
    }
    // Of a function at the step that needs it.
    let function = Schedules::new().learning_rate(Schedule::function(|t| if t < 1.0 { 0.3 } else { f64::NAN }));
    let mut chain = ProjectedChain::builder(&first, N).schedules(&function).build_seeded(3).unwrap();
    let error = chain.run(2.0, &Output::EverySteps(10)).unwrap_err();
    let SgdError::Run(RunError::Failed { source, trajectory, .. }) = &error else { panic!("{error}") };
    let SgdFailure::Schedule { step: 41, source: ScheduleError::Value { time, .. } } = source else {
        panic!("{error}")
    };
    assert!((*time, trajectory.times().len()) == (1.0, 5), "{error}");
    let mut lanes = ProjectedChain::builder(&first, N).schedules(&function).lanes(&[1, 2]).unwrap();
    for outcome in lanes.run(2.0, &Output::Stop).unwrap() {
        let Err(SgdError::Run(RunError::Failed { source, .. })) = outcome else { panic!("it fails") };
        assert!(matches!(source, SgdFailure::Schedule { step: 41, .. }) && source.step() == 41);
    }
    let mut again = ProjectedChain::builder(&first, N).schedules(&function).lanes(&[1, 2]).unwrap();
    again.restore(lanes.saved()).unwrap();
    assert!(matches!(again.failure(1), Some(SgdFailure::Schedule { step: 41, .. })));
}

#[test]
fn what_a_model_does_not_have_cannot_be_scheduled() {
    let builder = Model::builder().nonlinearity(Tanh).hidden(hidden()).noise(NoNoise).learning_rate(0.3);
    let quiet = builder.loss(SpectralContrastive).batch_size(2).build().unwrap();
    let constant = || Schedule::constant(0.5).unwrap();
    for schedules in [Schedules::new().noise_variance(constant()), Schedules::new().penalty_strength(constant())] {
        let error = DirectSgd::builder(&quiet, N).schedules(&schedules).build_seeded(3).unwrap_err();
        assert!(matches!(error, SgdError::Schedule(ScheduleError::Undefined { .. })), "{error}");
    }
}
