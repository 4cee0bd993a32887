//! Events, steady states and observers of simulators: the loop is that of the ODE, and the process is what it steps.

use std::ops::ControlFlow;

use contrastive_dynamics::integrate::Output;
use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::sgd::{CompressedSgd, DirectSgd, ProjectedChain, ProjectedLanes, Simulator};
use contrastive_dynamics::state::{Direction, OrderParameters, Run, RunError, StopReason};

const N: usize = 200;
const LEVEL: f64 = 0.75;

fn model() -> Model<f64, Tanh, Independent, GaussianNoise> {
    let hidden = Independent::new([Law::two_point(2.25).unwrap()]).unwrap();
    let noise = GaussianNoise::correlated(0.3, -0.5).unwrap();
    let builder = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(noise).learning_rate(0.3);
    builder.weight_decay(0.5).build().unwrap()
}

fn start() -> OrderParameters {
    OrderParameters::from_rows(1, 1, &[0.4], &[0.8]).unwrap()
}

fn cosine(state: &OrderParameters) -> f64 {
    state.cosine_similarity(0, 0).unwrap()
}

/// Steps until the cosine similarity reaches the level, by hand and by an event: the same step, time and state.
fn assert_stops_where_it_crosses<S: Simulator<Scalar = f64>>(make: impl Fn() -> S) {
    let mut by_hand = make();
    while cosine(&by_hand.order_parameters()) < LEVEL {
        by_hand.step().unwrap();
    }
    let mut simulator = make();
    let trajectory = Run::of(&mut simulator)
        .output(Output::EverySteps(10))
        .event(Direction::Rising, |_, state| cosine(state) - LEVEL)
        .to(100.0)
        .unwrap();
    let (time, step) = (by_hand.time(), by_hand.steps());
    assert!(step > 20);
    assert_eq!(trajectory.stop_reason(), StopReason::Event { index: 0, time, step });
    assert_eq!(trajectory.last().unwrap(), (time, &by_hand.order_parameters()));
    assert_eq!(trajectory.work().accepted_steps, step);
    // Looked at every seventh step it stops at the first of those, and draws the same.
    let mut seldom = make();
    let run = Run::of(&mut seldom).event(Direction::Rising, |_, state| cosine(state) - LEVEL).check_every(7);
    let StopReason::Event { step: late, .. } = run.to(100.0).unwrap().stop_reason() else { panic!() };
    assert!(late >= step && late.is_multiple_of(7));
    // What holds already is passed over, unless it is asked for.
    let at = |direction| Run::of(&mut make()).event(direction, |_, state| cosine(state) - 0.1).to(0.5).unwrap();
    assert_eq!(at(Direction::Rising).stop_reason(), StopReason::EndTime);
    assert_eq!(at(Direction::AtOrAbove).stop_reason(), StopReason::Event { index: 0, time: 0.0, step: 0 });
}

#[test]
fn every_simulator_stops_at_the_step_at_which_the_cosine_similarity_crosses() {
    let model = model();
    assert_stops_where_it_crosses(|| DirectSgd::builder(&model, N).start(start()).build_seeded(3).unwrap());
    assert_stops_where_it_crosses(|| CompressedSgd::builder(&model, N).start(start()).build_seeded(3).unwrap());
    assert_stops_where_it_crosses(|| ProjectedChain::builder(&model, N).start(start()).build_seeded(3).unwrap());
}

#[test]
fn every_lane_stops_at_its_own_step() {
    let model = model();
    let chain = ProjectedChain::builder(&model, N).start(start());
    let seeds: Vec<u64> = (0..20).collect();
    let run = |lanes: &mut ProjectedLanes<'_, _>| {
        let run =
            Run::of(lanes).output(Output::EverySteps(50)).event(Direction::Rising, |_, state| cosine(state) - LEVEL);
        run.each_to(50.0).unwrap()
    };
    let together = run(&mut chain.lanes(&seeds).unwrap());
    let mut steps = Vec::new();
    for (seed, outcome) in seeds.iter().zip(&together) {
        let trajectory = outcome.as_ref().unwrap();
        let StopReason::Event { time, step, .. } = trajectory.stop_reason() else { panic!() };
        assert_eq!((trajectory.last().unwrap().0, trajectory.work().accepted_steps), (time, step));
        assert!(cosine(trajectory.last().unwrap().1) >= LEVEL);
        assert_eq!(&run(&mut chain.lanes(&[*seed]).unwrap())[0], outcome, "alone as in company");
        steps.push(step);
    }
    steps.sort_unstable();
    steps.dedup();
    assert!(steps.len() > 10, "{steps:?}");
}

/// Averages over 5 units of time at N = 20 000 fluctuate by a few thousandths; the start moves at 0.1. The mean of the last
/// window is near the fixed point of the ODE: deviations of a state are of order 0.6/√N = 0.004, and six of them are allowed.
#[test]
fn a_simulator_is_steady_when_its_averages_are() {
    let model = model();
    let mut chain = ProjectedChain::builder(&model, 20_000).start(start()).build_seeded(1).unwrap();
    let run = Run::of(&mut chain).steady_rate(2e-3).steady_window(5.0).check_every(20);
    let trajectory = run.to(500.0).unwrap();
    let StopReason::SteadyState { time, rate } = trajectory.stop_reason() else { panic!() };
    assert!(time > 10.0 && time < 200.0 && rate <= 2e-3, "{time} {rate}");
    let ode = ReducedOde::new(&model).unwrap();
    let limit = ode.solver().steady_rate(1e-8).solve(&start(), 1e4).unwrap();
    let distance = (trajectory.last().unwrap().1.to_packed() - limit.last().unwrap().1.to_packed()).amax();
    assert!(distance < 0.026, "{distance}");
    // One window alone tells nothing.
    let mut chain = ProjectedChain::builder(&model, 20_000).start(start()).build_seeded(1).unwrap();
    let moving = Run::of(&mut chain).steady_rate(2e-3).steady_window(5.0).to(9.9).unwrap();
    assert_eq!(moving.stop_reason(), StopReason::EndTime);
}

#[test]
fn a_run_of_less_than_half_a_step_says_so_and_is_harmless() {
    let model = model();
    let mut sgd = DirectSgd::builder(&model, N).start(start()).build_seeded(1).unwrap();
    for end in [0.0, 0.4 / N as f64] {
        let none = sgd.run(end, &Output::Stop).unwrap();
        assert_eq!((none.stop_reason(), none.times(), none.work().samples), (StopReason::NoStep, &[0.0][..], 0));
    }
    let one = sgd.run(0.6 / N as f64, &Output::Stop).unwrap();
    assert_eq!((one.stop_reason(), sgd.steps()), (StopReason::EndTime, 1));
    let again = sgd.run(0.6 / N as f64, &Output::Stop).unwrap();
    assert_eq!((again.stop_reason(), sgd.steps()), (StopReason::NoStep, 1));
}

#[test]
fn an_observer_sees_the_weights_and_nothing_is_recorded_for_it() {
    let model = model();
    let mut sgd = CompressedSgd::builder(&model, N).start(start()).build_seeded(1).unwrap();
    let mut largest = Vec::new();
    let trajectory = Run::of(&mut sgd)
        .observe(Output::Times(vec![0.5, 1.0]), |at| {
            largest.push((at.time(), at.process().steps(), at.process().weights().amax()));
            ControlFlow::Continue(())
        })
        .to(1.5)
        .unwrap();
    assert_eq!(trajectory.times(), [1.5]);
    assert_eq!(largest.iter().map(|x| (x.0, x.1)).collect::<Vec<_>>(), [(0.5, 100), (1.0, 200), (1.5, 300)]);
    assert_eq!(largest[2].2, sgd.weights().amax());
}

#[test]
fn a_simulator_can_be_given_a_step_limit() {
    let model = model();
    let mut sgd = DirectSgd::builder(&model, N).start(start()).build_seeded(1).unwrap();
    let Err(RunError::StepLimit { steps: 30, time, trajectory }) = Run::of(&mut sgd).step_limit(30).to(1.0) else {
        panic!()
    };
    assert_eq!((time, trajectory.times(), sgd.steps()), (0.15, &[0.15][..], 30));
}
