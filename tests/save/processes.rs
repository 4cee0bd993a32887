//! Every simulator, lanes, particles and the grid.

use std::cell::Cell;
use std::convert::Infallible;
use std::ops::ControlFlow;

use contrastive_dynamics::integrate::Output;
use contrastive_dynamics::model::{
    Constraint, GaussianNoise, Independent, L1, L2, Law, Model, Quartic, RademacherNoise, Tanh,
};
use contrastive_dynamics::pde::grid::GridSolver;
use contrastive_dynamics::pde::particles::{EulerMaruyama, Exponential, Heun, Noise, ParticleSystem};
use contrastive_dynamics::rand::TryRng;
use contrastive_dynamics::sgd::{CompressedSgd, DirectSgd, ProjectedChain};
use contrastive_dynamics::start::{FeatureLaw, LinearGaussianStart, Start};
use contrastive_dynamics::state::{Checkpoint, Direction, OrderParameters, Run, RunError, StopReason};

use super::{Scratch, goes_on};
use crate::support::models::{one_feature, reference};

fn laws() -> [Law; 2] {
    [Law::two_point(2.25).unwrap(), Law::laplace(1.5).unwrap()]
}

#[test]
fn simulators_go_on_with_the_same_bits() {
    let model = reference(laws()).n_neurons(2).penalty_strength(0.7).batch_size(3).build().unwrap();
    let sphere = reference(laws()).n_neurons(2).constraint(Constraint::Sphere).build().unwrap();
    goes_on(
        "direct",
        &|seed| DirectSgd::builder(&model, 40).build_seeded(seed).unwrap(),
        &|sgd| Run::of(sgd).output(Output::EverySteps(7)),
        1.5,
    );
    goes_on(
        "compressed",
        &|seed| CompressedSgd::builder(&sphere, 40).build_seeded(seed).unwrap(),
        &|sgd| Run::of(sgd).output(Output::Times(vec![0.0, 0.31, 0.9, 1.1])),
        1.5,
    );
    goes_on(
        "chain",
        &|seed| ProjectedChain::builder(&model, 40).build_seeded(seed).unwrap(),
        &|chain| Run::of(chain).output(Output::LogSpaced { first: 0.1, last: 1.5, count: 9 }),
        1.5,
    );
    // Noise that is not Gaussian, and a loss with whole batches.
    let other = Model::builder()
        .nonlinearity(Tanh)
        .hidden(Independent::new(laws()).unwrap())
        .noise(RademacherNoise::new(0.3, -0.5).unwrap())
        .learning_rate(0.3)
        .n_neurons(2)
        .batch_size(4)
        .penalty(Quartic)
        .penalty_strength(0.5)
        .build()
        .unwrap();
    goes_on(
        "signs",
        &|seed| DirectSgd::builder(&other, 30).build_seeded(seed).unwrap(),
        &|sgd| Run::of(sgd).output(Output::EverySteps(1)),
        1.5,
    );
}

#[test]
fn simulators_in_single_precision_go_on_with_the_same_bits() {
    let hidden = Independent::new([Law::<f32>::two_point(2.25).unwrap()]).unwrap();
    let noise = GaussianNoise::correlated(0.3_f32, -0.5).unwrap();
    let model = Model::builder_in::<f32>().nonlinearity(Tanh).hidden(hidden).noise(noise).learning_rate(0.3);
    let model = model.build().unwrap();
    goes_on(
        "direct-single",
        &|seed| DirectSgd::builder(&model, 33).build_seeded(seed).unwrap(),
        &|sgd| Run::of(sgd).output(Output::EverySteps(10)),
        1.5,
    );
    goes_on(
        "lanes-single",
        &|seed| ProjectedChain::builder(&model, 33).lanes(&[seed, 2, 3]).unwrap(),
        &|lanes| Run::of(lanes).output(Output::EverySteps(10)),
        1.5,
    );
}

/// Lanes stop one by one, at events of their own and by divergence; a lane that has ended stays as it was.
#[test]
fn lanes_go_on_with_the_same_bits_even_if_some_have_stopped_or_failed() {
    let model = reference(laws()).n_neurons(2).penalty_strength(0.7).build().unwrap();
    let start = OrderParameters::from_rows(2, 2, &[0.3, 0.1, 0.1, 0.2], &[1.0, 0.1, 0.1, 1.0]).unwrap();
    let seeds: Vec<u64> = (0..32).collect();
    goes_on(
        "lanes",
        &|_| ProjectedChain::builder(&model, 50).start(&start).lanes(&seeds).unwrap(),
        &|lanes| {
            let run = Run::of(lanes).output(Output::EverySteps(6)).check_every(3);
            run.event(Direction::Rising, |_, state: &OrderParameters| state.q()[(0, 0)] - 0.5)
        },
        1.5,
    );
    // Heavy tails of the hidden variable let some of them diverge.
    let wild = Model::builder()
        .nonlinearity(contrastive_dynamics::model::Polynomial::new(vec![0.0, 1.0, 0.0, 0.03]).unwrap())
        .hidden(Independent::new([Law::laplace(2.0).unwrap()]).unwrap())
        .noise(GaussianNoise::independent(0.3).unwrap())
        .learning_rate(0.2)
        .weight_decay(2.0)
        .build()
        .unwrap();
    let make = |_| ProjectedChain::builder(&wild, 20).lanes(&seeds).unwrap();
    let outcomes = Run::of(&mut make(0)).each_to(1.5).unwrap();
    let failed = outcomes.iter().filter(|outcome| matches!(outcome, Err(RunError::Failed { .. }))).count();
    assert!(failed > 2 && failed < 30, "{failed} of 32 diverge");
    goes_on("lanes-failing", &make, &|lanes| Run::of(lanes).output(Output::EverySteps(6)), 1.5);
}

#[test]
fn particles_go_on_with_the_same_bits_by_every_scheme_and_noise() {
    let builder = reference([Law::two_point(2.25).unwrap()]).regularizer(L1);
    let model = builder.weight_decay(0.5).build().unwrap();
    let start = OrderParameters::from_rows(1, 1, &[0.4], &[0.8]).unwrap();
    let law = LinearGaussianStart::new(FeatureLaw::sparse(0.1).unwrap(), &start).unwrap();
    let builder = || ParticleSystem::builder(&model, 5000).start(Start::law(&law).exactly(&start));
    let output = || Output::Times(vec![0.0, 0.5, 3.0]);
    goes_on(
        "particles-heun",
        &|seed| builder().build_seeded(seed).unwrap(),
        &|particles| Run::of(particles).output(output()),
        6.0,
    );
    goes_on(
        "particles-euler",
        &|seed| {
            let builder = builder().noise(Noise::Independent).scheme(EulerMaruyama::new(0.1).unwrap());
            builder.build_seeded(seed).unwrap()
        },
        &|particles| Run::of(particles).output(output()),
        6.0,
    );
    let sphere = reference(laws()).n_neurons(2).constraint(Constraint::Sphere).regularizer(L2).build().unwrap();
    goes_on(
        "particles-sphere",
        &|seed| {
            let builder = ParticleSystem::builder(&sphere, 3000).scheme(Exponential::new(0.1).unwrap());
            builder.coefficient_tolerance(1e-5).build_seeded(seed).unwrap()
        },
        &|particles| Run::of(particles).output(output()),
        4.0,
    );
    let heun = Heun::new(0.2).unwrap();
    goes_on(
        "particles-antithetic",
        &|seed| builder().noise(Noise::Antithetic).scheme(heun).build_seeded(seed).unwrap(),
        &|particles| Run::of(particles).output(output()),
        6.0,
    );
}

#[test]
fn the_grid_goes_on_with_the_same_bits_while_cells_are_added() {
    let model = reference([Law::two_point(2.25).unwrap()]).regularizer(L1).build().unwrap();
    let start = OrderParameters::from_rows(1, 1, &[0.2], &[0.2]).unwrap();
    let law = LinearGaussianStart::new(FeatureLaw::sparse(0.5).unwrap(), &start).unwrap();
    let make = |_| GridSolver::builder(&model).tolerance(1e-5).start(&law).build().unwrap();
    let mut solver = make(0);
    let before = solver.density().centres().len();
    solver.run(4.0, &Output::Stop).unwrap();
    assert!(solver.density().centres().len() > before, "cells are added on the way");
    goes_on("grid", &make, &|solver| Run::of(solver).output(Output::EverySteps(3)), 4.0);
}

/// Stopped by an observer it goes on later as if it had not been stopped; events, steady states and averages are kept.
#[test]
fn a_run_that_was_stopped_by_an_observer_goes_on() {
    let model = one_feature();
    let start = OrderParameters::from_rows(1, 1, &[0.4], &[0.8]).unwrap();
    let chain = || ProjectedChain::builder(&model, 100).start(&start).build_seeded(3).unwrap();
    let scratch = Scratch::new("observer");
    let (seen, budget) = (Cell::new(0), Cell::new(0));
    let run = |budget_now: usize, saved: bool| {
        budget.set(budget_now);
        let mut chain = chain();
        let run = Run::of(&mut chain)
            .output(Output::EverySteps(10))
            .event(Direction::Rising, |_, state| state.q()[(0, 0)] - 0.97)
            .steady_rate(1e-3)
            .steady_window(0.5)
            .observe(Output::EverySteps(1), |_| {
                seen.set(seen.get() + 1);
                budget.set(budget.get() - 1);
                if budget.get() == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
        if saved { run.saved_in(scratch.file(), 1_000_000).to(30.0) } else { run.to(30.0) }
    };
    let whole = run(usize::MAX, false).unwrap();
    let all = seen.replace(0);
    let mut interruptions = 0;
    let resumed = loop {
        let outcome = run(7, true).unwrap();
        if !matches!(outcome.stop_reason(), StopReason::Observer { .. }) {
            break outcome;
        }
        interruptions += 1;
    };
    assert!(interruptions > 10, "{interruptions}");
    assert_eq!(resumed, whole);
    // No point is shown twice.
    assert_eq!(seen.get(), all);
}

/// What fails is left as it was saved last, and fails again with the same trajectory.
#[test]
fn a_run_that_fails_goes_on_from_its_last_save_and_fails_again() {
    let hidden = Independent::new(laws()).unwrap();
    let noise = GaussianNoise::independent(0.3).unwrap();
    let builder = Model::builder().nonlinearity(contrastive_dynamics::model::Identity).hidden(hidden).noise(noise);
    let model = builder.learning_rate(50.0).build().unwrap();
    let scratch = Scratch::new("failing");
    let run = |saved: bool| {
        let mut sgd = DirectSgd::builder(&model, 20).build_seeded(5).unwrap();
        let run = Run::of(&mut sgd).output(Output::EverySteps(4));
        if saved { run.saved_in(scratch.file(), 10).to(1000.0) } else { run.to(1000.0) }
    };
    let whole = run(false).unwrap_err();
    assert!(matches!(&whole, RunError::Failed { trajectory, .. } if trajectory.times().len() > 10), "{whole}");
    for _ in 0..3 {
        assert_eq!(run(true).unwrap_err(), whole);
    }
}

/// A step that failed has drawn normals; the next one uses them, also after a save in between.
#[test]
fn a_failed_step_of_particles_leaves_what_is_saved() {
    let model = one_feature();
    let start = OrderParameters::from_rows(1, 1, &[0.4], &[0.8]).unwrap();
    let make = |seed| ParticleSystem::builder(&model, 500).start(&start).build_seeded(seed).unwrap();
    let mut particles = make(1);
    particles.step().unwrap();
    let saved = particles.saved();
    let mut other = make(2);
    other.restore(saved.clone()).unwrap();
    let step = |particles: &mut ParticleSystem<'_, _>| {
        particles.step().unwrap();
        (particles.weights(0).unwrap().to_vec(), particles.time(), particles.work())
    };
    assert_eq!(step(&mut particles), step(&mut other));
    // The control: from the save before, the same again.
    particles.restore(saved).unwrap();
    step(&mut particles);
    assert_ne!(step(&mut particles), step(&mut make(1)));
}

/// A generator of a user's, of which serde knows nothing.
#[derive(Clone)]
struct Weyl(u64);

impl TryRng for Weyl {
    type Error = Infallible;
    #[allow(clippy::cast_possible_truncation)] // the upper half
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.try_next_u64()? >> 32) as u32)
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        Ok(x ^ (x >> 31))
    }
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        out.iter_mut().try_for_each(|byte| self.try_next_u64().map(|word| *byte = word.to_le_bytes()[7]))
    }
}

/// A user's generator need only be cloned for a save in memory.
#[test]
fn a_generator_that_is_no_data_can_be_kept_in_memory() {
    let model = one_feature();
    let mut chain = ProjectedChain::builder(&model, 100).build(Weyl(4)).unwrap();
    let saved = chain.saved();
    let run = |chain: &mut ProjectedChain<'_, _, _>| Run::of(chain).to(1.0).unwrap();
    let first = run(&mut chain);
    chain.restore(saved).unwrap();
    assert_eq!(run(&mut chain), first);
}
