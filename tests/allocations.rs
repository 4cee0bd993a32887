//! The right-hand side allocates nothing once it has run, nor does a step of a simulator. One test alone: the counts are
//! of the whole process.

use std::alloc::System as SystemAllocator;

use contrastive_dynamics::integrate::{Output, System};
use contrastive_dynamics::model::{
    Constraint, Erf, GaussianNoise, Independent, Law, Model, Nonlinearity, Penalty, PseudoHuber, Quadratic, Relu, Tanh,
};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::sgd::{CompressedSgd, DirectSgd, ProjectedChain, Simulator};
use contrastive_dynamics::state::{Direction, OrderParameters, Run};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<SystemAllocator> = &INSTRUMENTED_SYSTEM;

/// Allocations of ten evaluations at slowly moving states.
fn allocations(
    sigma: &dyn Nonlinearity,
    penalty: &dyn Penalty,
    neurons: usize,
    laws: Vec<Law>,
    tolerance: f64,
) -> usize {
    let model = Model::builder()
        .nonlinearity(sigma)
        .hidden(Independent::new(laws).unwrap())
        .noise(GaussianNoise::correlated(0.3, -0.5).unwrap())
        .learning_rate(0.3)
        .n_neurons(neurons)
        .batch_size(2)
        .penalty(penalty)
        .penalty_strength(if neurons > 1 { 1.0 } else { 0.0 })
        .build()
        .unwrap();
    let state = if neurons == 1 {
        OrderParameters::from_rows(2, 1, &[0.35, 0.2], &[1.0])
    } else {
        OrderParameters::from_rows(2, 2, &[0.35, 0.2, 0.1, 0.4], &[1.0, 0.2, 0.2, 0.9])
    };
    let state = state.unwrap();
    let ode = ReducedOde::new(&model).unwrap().coefficient_tolerance(tolerance).unwrap();
    let mut system = ode.system(&state).unwrap();
    let mut y = state.to_packed().as_slice().to_vec();
    let mut rates = vec![0.0; y.len()];
    system.rates(0.0, &y, &mut rates).unwrap();
    let region = Region::new(ALLOCATOR);
    for _ in 0..10 {
        y[0] *= 0.999;
        system.rates(0.0, &y, &mut rates).unwrap();
    }
    let change = region.change();
    assert!(rates.iter().all(|x| x.is_finite()));
    change.allocations + change.reallocations
}

/// Allocations of a hundred calls after a few: the least of three rounds, since the threads of the test harness count too.
fn of_steps(mut step: impl FnMut()) -> usize {
    (0..5).for_each(|_| step());
    let mut round = || {
        let region = Region::new(ALLOCATOR);
        (0..100).for_each(|_| step());
        let change = region.change();
        change.allocations + change.reallocations
    };
    [round(), round(), round()].into_iter().min().unwrap_or(0)
}

/// Every simulator, alone and in a batch, with one neuron and with two under a penalty on the sphere and off it.
fn simulators_allocate_nothing() {
    for (neurons, batch, constraint) in [(1, 1, Constraint::None), (1, 8, Constraint::None), (2, 4, Constraint::Sphere)]
    {
        let model = Model::builder()
            .nonlinearity(Tanh)
            .hidden(Independent::new([Law::two_point(2.25).unwrap(), Law::laplace(1.0).unwrap()]).unwrap())
            .noise(GaussianNoise::correlated(0.3, -0.5).unwrap())
            .learning_rate(0.3)
            .n_neurons(neurons)
            .batch_size(batch)
            .constraint(constraint)
            .penalty_strength(1.0)
            .build()
            .unwrap();
        let mut direct = DirectSgd::builder(&model, 200).build_seeded(1).unwrap();
        assert_eq!(of_steps(|| direct.step().unwrap()), 0, "direct");
        let mut compressed = CompressedSgd::builder(&model, 200).build_seeded(1).unwrap();
        assert_eq!(of_steps(|| compressed.step().unwrap()), 0, "compressed");
        let mut chain = ProjectedChain::builder(&model, 200).build_seeded(1).unwrap();
        assert_eq!(of_steps(|| chain.step().unwrap()), 0, "projected");
        let mut lanes = ProjectedChain::builder(&model, 200).lanes(&[1, 2, 3]).unwrap();
        assert_eq!(of_steps(|| lanes.step()), 0, "lanes");
    }
}

/// The loop around the steps: ten times as many of them, with as many records, allocate no more. What is looked at after
/// every step is the control.
fn the_loop_allocates_nothing_per_step() {
    let model = Model::builder()
        .nonlinearity(Tanh)
        .hidden(Independent::new([Law::two_point(2.25).unwrap()]).unwrap())
        .noise(GaussianNoise::correlated(0.3, -0.5).unwrap())
        .learning_rate(0.3)
        .build()
        .unwrap();
    let of_run = |steps: u32, looking: bool| {
        let mut chain = ProjectedChain::builder(&model, 1000).build_seeded(1).unwrap();
        let mut lanes = ProjectedChain::builder(&model, 1000).lanes(&[1, 2, 3]).unwrap();
        let output = Output::EverySteps(steps as usize / 10);
        let end = f64::from(steps) / 1000.0;
        let region = Region::new(ALLOCATOR);
        let run = Run::of(&mut chain).output(output.clone());
        let run = if looking { run.event(Direction::Rising, |_, _| -1.0) } else { run };
        assert_eq!(run.to(end).unwrap().times().len(), 11);
        lanes.run(end, &output).unwrap();
        let change = region.change();
        change.allocations + change.reallocations
    };
    assert_eq!(of_run(1000, false), of_run(10_000, false));
    assert!(of_run(10_000, true) > of_run(1000, true) + 9000);
}

#[test]
fn the_right_hand_side_and_steps_allocate_nothing() {
    simulators_allocate_nothing();
    the_loop_allocates_nothing_per_step();
    let laws = || vec![Law::two_point(2.25).unwrap(), Law::three_point(1.0, 0.4).unwrap()];
    let gaussian = || vec![Law::gaussian(2.25).unwrap(), Law::gaussian(1.0).unwrap()];
    assert_eq!(allocations(&Tanh, &Quadratic, 1, laws(), 1e-8), 0);
    assert_eq!(allocations(&Relu, &Quadratic, 1, laws(), 1e-6), 0, "panels at a kink");
    assert_eq!(allocations(&Erf, &Quadratic, 1, gaussian(), 1e-8), 0, "closed form");
    assert_eq!(allocations(&Tanh, &Quadratic, 2, laws(), 1e-4), 0, "four fields");
    assert_eq!(allocations(&Tanh, &PseudoHuber::new(0.5).unwrap(), 2, laws(), 5e-2), 0, "whole batches");
    // The control: one vector would be seen.
    let region = Region::new(ALLOCATOR);
    drop(std::hint::black_box(vec![0.0; 3]));
    assert_eq!(region.change().allocations, 1);
}
