//! Solutions of the ODE, of particles and of the grid while numbers follow schedules.

use contrastive_dynamics::integrate::{DormandPrince, Euler, Integrator, RungeKutta4, System};
use contrastive_dynamics::model::ScheduleError;
use contrastive_dynamics::ode::{OdeError, OdeFailure};
use contrastive_dynamics::pde::grid::{GridError, GridFailure, GridSolver};
use contrastive_dynamics::pde::particles::{Heun, ParticleError, ParticleSystem, StepFailure};
use contrastive_dynamics::prelude::*;
use contrastive_dynamics::save::SaveError;
use contrastive_dynamics::start::{FeatureLaw, LinearGaussianStart, Start};
use contrastive_dynamics::state::{Checkpoint, Direction, RunError};

fn noise() -> GaussianNoise {
    GaussianNoise::correlated(0.3, -0.5).unwrap()
}

fn model() -> Model<f64, Tanh, Independent, GaussianNoise> {
    let hidden = Independent::new([Law::two_point(2.25).unwrap()]).unwrap();
    Model::builder().nonlinearity(Tanh).hidden(hidden).noise(noise()).learning_rate(0.3).build().unwrap()
}

fn start() -> OrderParameters {
    OrderParameters::from_rows(1, 1, &[0.4], &[0.8]).unwrap()
}

/// Jumps and kinks at times that no step size divides.
fn schedules() -> Schedules {
    Schedules::new()
        .learning_rate(Schedule::steps(0.4, [(1.0 / 3.0, 0.25), (1.1, 0.5)]).unwrap())
        .weight_decay(Schedule::linear([(0.2, 0.0), (0.77, 1.0), (1.4, 0.3)]).unwrap())
        .noise_variance(Schedule::cosine(0.6, 0.2, 1.7).unwrap())
        .noise_correlation(Schedule::steps(0.5, [(0.9, -0.9)]).unwrap())
}

fn solve(integrator: impl Integrator, schedules: &Schedules) -> OrderParameters {
    let model = model();
    let ode = ReducedOde::new(&model).unwrap();
    let trajectory = ode.solver().integrator(integrator).schedules(schedules).solve(&start(), 2.0).unwrap();
    trajectory.last().unwrap().1.clone()
}

fn distance(x: &OrderParameters, y: &OrderParameters) -> f64 {
    (x.to_packed() - y.to_packed()).amax()
}

/// Errors fall by (3/2)^order where steps become so much smaller; the control is a jump that integrators are not told of.
#[test]
fn orders_hold_across_breakpoints() {
    let exact = solve(DormandPrince::new(1e-12, 1e-13).unwrap(), &schedules());
    let order = |errors: [f64; 2]| (errors[0] / errors[1]).ln() / 1.5_f64.ln();
    let fourth = [0.06, 0.04].map(|h| distance(&solve(RungeKutta4::new(h).unwrap(), &schedules()), &exact));
    assert!(order(fourth) > 3.7 && fourth[1] < 1e-7, "{} {fourth:?}", order(fourth));
    let first = [0.02, 0.005].map(|h| distance(&solve(Euler::new(h).unwrap(), &schedules()), &exact));
    // Steps that end at breakpoints are shorter.
    assert!((2.8..6.0).contains(&(first[0] / first[1])), "{first:?}");
    let adaptive = [1e-6, 1e-8].map(|e| distance(&solve(DormandPrince::new(e, e).unwrap(), &schedules()), &exact));
    assert!(adaptive[0] < 1e-5 && adaptive[1] < 1e-7, "{adaptive:?}");
    // A function without breakpoints says nothing of its jump.
    let silent = schedules().learning_rate(Schedule::function(|t| if t < 1.0 / 3.0 { 0.4 } else { 0.1 }));
    let known = silent.clone().learning_rate(Schedule::steps(0.4, [(1.0 / 3.0, 0.1)]).unwrap());
    let told = Schedule::function(|t| if t < 1.0 / 3.0 { 0.4 } else { 0.1 }).breakpoints([1.0 / 3.0]).unwrap();
    let told = silent.clone().learning_rate(told);
    let exact = solve(DormandPrince::new(1e-12, 1e-13).unwrap(), &known);
    let error = |schedules: &Schedules| distance(&solve(RungeKutta4::new(0.04).unwrap(), schedules), &exact);
    assert!(error(&told) < 1e-7 && error(&silent) > 1e-4, "{} {}", error(&told), error(&silent));
}

/// Constant numbers between jumps are those of other models, one solved after the other.
#[test]
fn pieces_are_solutions_of_their_own_models() {
    let noise = |variance: f64, correlation: f64| GaussianNoise::correlated(variance, correlation).unwrap();
    let build = |rate: f64, decay: f64, noise: GaussianNoise| {
        let builder = model().to_builder().noise(noise).learning_rate(rate).weight_decay(decay);
        builder.n_neurons(2).build().unwrap()
    };
    let start = OrderParameters::from_rows(1, 2, &[0.4, -0.2], &[0.8, 0.1, 0.1, 1.0]).unwrap();
    let (first, second) = (build(0.5, 0.2, noise(0.2, 0.5)), build(0.2, 0.6, noise(0.5, -0.4)));
    let solve = |model, start: &OrderParameters, schedules: &Schedules, end: f64| {
        let ode = ReducedOde::new(model).unwrap().coefficient_tolerance(1e-9).unwrap();
        ode.solver().schedules(schedules).solve(start, end).unwrap().last().unwrap().1.clone()
    };
    let none = Schedules::new();
    let pieces = solve(&second, &solve(&first, &start, &none, 1.0), &none, 1.0);
    let jump = |first: f64, then: f64| Schedule::steps(first, [(1.0, then)]).unwrap();
    let schedules = Schedules::new()
        .learning_rate(jump(0.5, 0.2))
        .weight_decay(jump(0.2, 0.6))
        .noise_variance(jump(0.2, 0.5))
        .noise_correlation(jump(0.5, -0.4));
    // Whichever of the two the model is: schedules replace what it has.
    for model in [&first, &second] {
        let whole = solve(model, &start, &schedules, 2.0);
        assert!(distance(&whole, &pieces) < 2e-7, "{}", distance(&whole, &pieces));
    }
    assert!(distance(&solve(&first, &start, &none, 2.0), &pieces) > 0.01);
}

/// The rates at a time are those of a model of the numbers in force; at a jump those before it until it is accepted.
#[test]
fn rates_are_those_of_the_numbers_in_force() {
    let model = model().to_builder().n_neurons(2).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let state = OrderParameters::from_rows(1, 2, &[0.4, -0.2], &[0.8, 0.1, 0.1, 1.0]).unwrap();
    let schedules = schedules().penalty_strength(Schedule::exponential(2.0, 1.0).unwrap());
    let mut system = ode.scheduled_system(&state, &schedules).unwrap();
    let y = state.to_packed();
    let mut seen = vec![0.0; y.len()];
    let cosine = |t: f64| 0.2 + 0.4 * 0.5 * (1.0 + (std::f64::consts::PI * t / 1.7).cos());
    let expected = |rate: f64, decay: f64, t: f64| {
        let noise = GaussianNoise::correlated(cosine(t), 0.5).unwrap();
        let builder = model.to_builder().learning_rate(rate).weight_decay(decay).noise(noise);
        let model = builder.penalty_strength(2.0 * (-t).exp()).build().unwrap();
        let rates = ReducedOde::new(&model).unwrap().rates(&state).unwrap();
        [rates.q[0], rates.q[1], rates.r[(0, 0)], rates.r[(0, 1)], rates.r[(1, 1)]]
    };
    let close = |seen: &[f64], expected: [f64; 5]| {
        let worst = seen.iter().zip(expected).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max);
        assert!(worst < 1e-7, "{worst} {seen:?} {expected:?}");
    };
    assert!(system.next_break(0.0) == Some(0.2));
    system.accepted(0.2, y.as_slice()).unwrap();
    let third = 1.0 / 3.0;
    for t in [0.25, third, 0.4] {
        // Beyond the jump it still counts as before.
        system.rates(t, y.as_slice(), &mut seen).unwrap();
        let at = t.min(third);
        close(&seen, expected(0.4, (at - 0.2) / 0.57, at));
    }
    assert!(system.accepted(third, y.as_slice()).unwrap());
    system.rates(third, y.as_slice(), &mut seen).unwrap();
    close(&seen, expected(0.25, (third - 0.2) / 0.57, third));
    let jacobian = system.jacobian(y.as_slice()).unwrap();
    assert!((jacobian.rates.q[0] - seen[0]).abs() < 1e-12);
    let moved = |step: f64| {
        let mut y = y.clone();
        y[0] += step;
        y
    };
    let (mut up, mut down) = (seen.clone(), seen.clone());
    system.rates(third, moved(1e-5).as_slice(), &mut up).unwrap();
    system.rates(third, moved(-1e-5).as_slice(), &mut down).unwrap();
    for k in 0..5 {
        assert!((jacobian.by_state[(k, 0)] - (up[k] - down[k]) / 2e-5).abs() < 1e-7);
    }
}

/// A rate of zero leaves the state where it is, from the start too.
#[test]
fn a_learning_rate_of_zero_stands_still() {
    let model = model();
    let ode = ReducedOde::new(&model).unwrap();
    let zero = Schedules::new().learning_rate(Schedule::constant(0.0).unwrap());
    let trajectory = ode.solver().schedules(&zero).solve(&start(), 3.0).unwrap();
    assert_eq!(trajectory.last().unwrap().1, &start());
    let schedules = Schedules::new().learning_rate(Schedule::polynomial(0.3, 0.0, 1.0, 2.0).unwrap());
    let at = |t: f64| ode.solver().schedules(&schedules).solve(&start(), t).unwrap().last().unwrap().1.clone();
    assert!(distance(&at(1.0), &at(5.0)) < 1e-12 && distance(&at(1.0), &start()) > 0.01);
}

/// An event within a step is found under schedules too, and single precision knows its breakpoints.
#[test]
fn events_and_single_precision_work_under_schedules() {
    let model = model();
    let ode = ReducedOde::new(&model).unwrap();
    let schedules = schedules();
    let event = |_: f64, state: &OrderParameters| state.q()[(0, 0)] - 0.45;
    let solver = ode.solver().schedules(&schedules).event(Direction::Rising, event);
    let trajectory = solver.solve(&start(), 50.0).unwrap();
    let (time, state) = trajectory.last().unwrap();
    assert!((state.q()[(0, 0)] - 0.45).abs() < 1e-8 && time < 50.0);
    let plain = ode.solver().schedules(&schedules).solve(&start(), time).unwrap();
    assert!(distance(plain.last().unwrap().1, state) < 1e-7);

    let hidden = Independent::new([Law::two_point(2.25_f32).unwrap()]).unwrap();
    let noise = GaussianNoise::correlated(0.3_f32, -0.5).unwrap();
    let single = Model::builder_in::<f32>().nonlinearity(Tanh).hidden(hidden).noise(noise).learning_rate(0.3);
    let single = single.build().unwrap();
    let start = OrderParameters::from_rows(1, 1, &[0.4_f32], &[0.8]).unwrap();
    let solution = ReducedOde::new(&single).unwrap().solver().schedules(&schedules).solve(&start, 2.0).unwrap();
    let double = solve(DormandPrince::default(), &schedules);
    let q = f64::from(solution.last().unwrap().1.q()[(0, 0)]);
    assert!((q - double.q()[(0, 0)]).abs() < 2e-5, "{q} {}", double.q()[(0, 0)]);
}

/// Matched particles under L2 have the order of the scheme against the ODE, jumps or not.
#[test]
fn particles_follow_the_ode_with_the_order_of_the_scheme() {
    let (model, schedules, start) = (model(), schedules(), start());
    let exact = solve(DormandPrince::new(1e-11, 1e-12).unwrap(), &schedules);
    let run = |size: f64| {
        let builder = ParticleSystem::builder(&model, 200).start(&start).schedules(&schedules);
        let mut particles = builder.scheme(Heun::new(size).unwrap()).build_seeded(3).unwrap();
        let trajectory = particles.run(2.0, &Output::Stop).unwrap();
        distance(trajectory.last().unwrap().1, &exact)
    };
    let errors = [0.03, 0.015].map(run);
    assert!(errors[0] / errors[1] > 3.2 && errors[1] < 2e-4, "{errors:?}");
    let constant = Schedules::new();
    assert!(distance(&solve(DormandPrince::default(), &constant), &exact) > 0.01);
}

/// L2 against the ODE, L1 against particles.
#[test]
fn the_grid_follows_schedules() {
    let (schedules, start) = (schedules(), start());
    let exact = solve(DormandPrince::new(1e-11, 1e-12).unwrap(), &schedules);
    let linear = model();
    let mut grid = GridSolver::builder(&linear).start(&start).schedules(&schedules).tolerance(1e-8).build().unwrap();
    let trajectory = grid.run(2.0, &Output::Stop).unwrap();
    let error = distance(trajectory.last().unwrap().1, &exact);
    assert!(error < 1e-7, "{error}");

    let kinked = linear.to_builder().regularizer(L1).build().unwrap();
    let law = LinearGaussianStart::new(FeatureLaw::rademacher(), &start).unwrap();
    let mut grid = GridSolver::builder(&kinked).start(&law).schedules(&schedules).tolerance(1e-7).build().unwrap();
    let by_grid = grid.run(2.0, &Output::Stop).unwrap().last().unwrap().1.clone();
    let builder =
        ParticleSystem::builder(&kinked, 40_000).start(Start::law(&law).exactly(&start)).schedules(&schedules);
    let mut particles = builder.scheme(Heun::new(0.01).unwrap()).build_seeded(3).unwrap();
    let by_particles = particles.run(2.0, &Output::Stop).unwrap().last().unwrap().1.clone();
    // 40 000 particles: their scatter is about 1/√M of what L1 takes, a tenth.
    assert!(distance(&by_grid, &by_particles) < 2e-3, "{}", distance(&by_grid, &by_particles));
    let mut plain = GridSolver::builder(&kinked).start(&law).tolerance(1e-7).build().unwrap();
    let plain = plain.run(2.0, &Output::Stop).unwrap().last().unwrap().1.clone();
    assert!(distance(&plain, &by_grid) > 0.02);
}

/// Particles and grids that are saved before and after jumps go on to the same bits.
#[test]
fn what_is_saved_goes_on_to_the_same_bits() -> Result<(), SaveError> {
    let (linear, schedules, start) = (model(), schedules(), start());
    let particles =
        || ParticleSystem::builder(&linear, 50).start(&start).schedules(&schedules).build_seeded(3).unwrap();
    let grid = || GridSolver::builder(&linear).start(&start).schedules(&schedules).tolerance(1e-4).build().unwrap();
    let (mut whole, mut parts) = (particles(), particles());
    for _ in 0..60 {
        whole.step().unwrap();
        let mut next = particles();
        next.restore(parts.saved())?;
        next.step().unwrap();
        parts = next;
    }
    assert_eq!((whole.weights(0), whole.time()), (parts.weights(0), parts.time()));
    assert!(whole.time() > 1.2, "{}", whole.time());
    let (mut whole, mut parts) = (grid(), grid());
    for _ in 0..25 {
        whole.step().unwrap();
        let mut next = grid();
        next.restore(parts.saved())?;
        next.step().unwrap();
        parts = next;
    }
    assert_eq!((whole.order_parameters(), whole.time()), (parts.order_parameters(), parts.time()));
    assert!(whole.time() > 0.4, "{}", whole.time());
    Ok(())
}

#[test]
fn values_out_of_range_are_errors_that_name_the_time() {
    let (model, start) = (model(), start());
    let ode = ReducedOde::new(&model).unwrap();
    let function = Schedules::new().weight_decay(Schedule::function(|t| 0.5 - t));
    let is_late = |error: &ScheduleError| match error {
        ScheduleError::Value { name: "weight decay", time, value, .. } => *time > 0.5 && *value < 0.0,
        _ => false,
    };
    let error = ode.solver().output(Output::Times(vec![0.1])).schedules(&function).solve(&start, 2.0).unwrap_err();
    let OdeError::Run(RunError::Failed { source: OdeFailure::Schedule(source), trajectory, .. }) = &error else {
        panic!("{error}")
    };
    assert!(is_late(source) && trajectory.times()[0] == 0.1, "{error}");
    let mut particles = ParticleSystem::builder(&model, 50).schedules(&function).build_seeded(3).unwrap();
    let error = particles.run(2.0, &Output::Stop).unwrap_err();
    let ParticleError::Run(RunError::Failed { source: StepFailure::Schedule(source), .. }) = &error else {
        panic!("{error}")
    };
    assert!(is_late(source) && particles.time() <= 0.5, "{error}");
    let mut grid = GridSolver::builder(&model).start(&start).schedules(&function).build().unwrap();
    let error = grid.run(2.0, &Output::Stop).unwrap_err();
    let GridError::Run(RunError::Failed { source: GridFailure::Schedule(source), .. }) = &error else {
        panic!("{error}")
    };
    assert!(is_late(source), "{error}");
    // What is known beforehand is refused beforehand.
    let negative = Schedules::new().learning_rate(Schedule::steps(0.3, [(1.5, -0.1)]).unwrap());
    assert!(matches!(
        ode.solver().schedules(&negative).solve(&start, 1.0),
        Err(OdeError::Run(RunError::Failed {
            source: OdeFailure::Schedule(ScheduleError::Value { time: 1.5, .. }),
            ..
        }))
    ));
    assert!(ParticleSystem::builder(&model, 50).schedules(&negative).build_seeded(3).is_err());
    assert!(matches!(GridSolver::builder(&model).schedules(&negative).build(), Err(GridError::Schedule(_))));
}
