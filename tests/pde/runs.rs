//! Events, steady states, observers and failures of particles and grids: the loop is that of the ODE.

use std::ops::ControlFlow;

use contrastive_dynamics::integrate::{DormandPrince, Output};
use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::pde::grid::{GridFailure, GridSolver};
use contrastive_dynamics::pde::particles::{Heun, ParticleSystem};
use contrastive_dynamics::start::{FeatureLaw, LinearGaussianStart, Start};
use contrastive_dynamics::state::{Direction, OrderParameters, Process, Run, RunError, StopReason};

fn model(decay: f64) -> Model<f64, Tanh, Independent, GaussianNoise> {
    let hidden = Independent::new([Law::two_point(2.25).unwrap()]).unwrap();
    let noise = GaussianNoise::correlated(0.3, -0.5).unwrap();
    let builder = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(noise).learning_rate(0.3);
    builder.weight_decay(decay).build().unwrap()
}

fn start() -> OrderParameters {
    OrderParameters::from_rows(1, 1, &[0.4], &[0.8]).unwrap()
}

fn law() -> LinearGaussianStart {
    LinearGaussianStart::new(FeatureLaw::rademacher(), &start()).unwrap()
}

fn event(_: f64, state: &OrderParameters) -> f64 {
    state.cosine_similarity(0, 0).unwrap() - 0.8
}

/// Under L2 both have the order parameters of the ODE: they stop after the first step that is past its event, come to rest
/// where it does, and are seen at the times asked for, at which their steps end.
fn assert_runs<P>(make: impl Fn() -> P, largest_step: f64)
where
    P: Process<Scalar = f64, State = OrderParameters>,
    P::Error: std::fmt::Debug,
{
    let model = model(0.5);
    let ode = ReducedOde::new(&model).unwrap();
    let exact = ode.solver().integrator(DormandPrince::new(1e-10, 1e-12).unwrap());
    let exact = exact.event(Direction::Rising, event).solve(&start(), 100.0).unwrap().last().unwrap().0;

    let mut process = make();
    let trajectory = Run::of(&mut process).event(Direction::Rising, event).to(100.0).unwrap();
    let StopReason::Event { index: 0, time, step } = trajectory.stop_reason() else { panic!() };
    assert!(time > exact - 1e-4 && time < exact + largest_step, "{time} {exact}");
    assert_eq!((time, step), (process.now(), process.work().accepted_steps));
    assert_eq!(trajectory.last().unwrap(), (time, &process.state()));

    let mut seen = Vec::new();
    let steady = Run::of(&mut process)
        .steady_rate(1e-5)
        .observe(Output::Times(vec![20.0, 25.3]), |at| {
            seen.push((at.time(), at.process().now()));
            ControlFlow::Continue(())
        })
        .to(1e3)
        .unwrap();
    let StopReason::SteadyState { time, rate } = steady.stop_reason() else { panic!() };
    assert!(time < 200.0 && rate <= 1e-5, "{time} {rate}");
    assert_eq!(seen, [(20.0, 20.0), (25.3, 25.3), (time, time)]);
    let rest = ode.solver().steady_rate(1e-9).solve(&start(), 1e4).unwrap();
    let distance = (steady.last().unwrap().1.to_packed() - rest.last().unwrap().1.to_packed()).amax();
    assert!(distance < 1e-3, "{distance}");
    assert_eq!(Run::of(&mut process).to(time).unwrap().stop_reason(), StopReason::NoStep);
}

#[test]
fn particles_stop_at_events_and_steady_states() {
    let (model, law) = (model(0.5), law());
    assert_runs(
        || {
            let builder = ParticleSystem::builder(&model, 400).start(Start::law(&law).exactly(&start()));
            builder.scheme(Heun::new(0.05).unwrap()).build_seeded(1).unwrap()
        },
        0.05,
    );
}

#[test]
fn a_grid_stops_at_events_and_steady_states() {
    let (model, law) = (model(0.5), law());
    assert_runs(|| GridSolver::builder(&model).width(0.05).step_size(0.05).start(&law).build().unwrap(), 0.05);
}

/// A step whose densities would need more cells than are allowed is not taken: time, densities and order parameters are those before it.
#[test]
fn a_failed_step_of_a_grid_leaves_everything_as_it_was() {
    let (model, law) = (model(5.0), law());
    let builder = GridSolver::builder(&model).tolerance(1e-4).width(0.05).cell_limit(900);
    let mut solver = builder.start(&law).build().unwrap();
    let Err(RunError::Failed { time, source: GridFailure::Cells { cells, most: 900 }, trajectory }) =
        Run::of(&mut solver).output(Output::EverySteps(1)).to(20.0)
    else {
        panic!("the weights collapse")
    };
    assert!(cells > 900.0);
    let (narrowest, before) = (solver.density(), solver.order_parameters().clone());
    assert_eq!((trajectory.last(), solver.time()), (Some((time, &before)), time));
    assert!(solver.step().is_err());
    assert_eq!((solver.density(), solver.order_parameters(), solver.time()), (narrowest, &before, time));
}
