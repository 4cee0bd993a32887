//! Solving the reduced ODE: why a run stops, what it carries, and what is rejected.

use std::ops::ControlFlow;

use approx::assert_abs_diff_eq;
use contrastive_dynamics::integrate::{DormandPrince, Euler, Output, OutputError, RungeKutta4, System};
use contrastive_dynamics::limit::{Limit, LimitError};
use contrastive_dynamics::model::{
    Constraint, GaussianNoise, HiddenDistribution, HiddenQuadrature, Identity, Independent, Law, Model, ModelError,
    NoNoise, Nonlinearity, Polynomial, Sigmoid, Tanh,
};
use contrastive_dynamics::nalgebra::DMatrix;
use contrastive_dynamics::ode::{OdeError, OdeFailure, ReducedOde};
use contrastive_dynamics::rand::Rng;
use contrastive_dynamics::state::{Direction, OrderParameters, OrderParametersError, RunError, StopReason};

use crate::support::models::{informed_start as start, one_feature as model};

type Plain<H = Independent> = Model<f64, Tanh, H, GaussianNoise>;

fn with<H: HiddenDistribution>(hidden: H, constraint: Constraint) -> Plain<H> {
    let noise = GaussianNoise::correlated(0.3, -0.5).unwrap();
    let builder = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(noise).learning_rate(0.3);
    builder.weight_decay(0.5).constraint(constraint).build().unwrap()
}

/// The error of a rule may grow much faster than the bound by which its steps are chosen: here two hundredfold while the fields' standard
/// deviations grow by a tenth.
#[test]
fn a_frozen_rule_meets_the_tolerance_as_long_as_it_is_kept() {
    let law = || Law::skewed(2.4, 0.35).unwrap();
    let builder = Model::builder().nonlinearity(Sigmoid).hidden(Independent::new([law(), law()]).unwrap());
    let builder = builder.noise(GaussianNoise::correlated(0.3, -0.6).unwrap()).learning_rate(0.7).weight_decay(0.02);
    let model = builder.n_neurons(2).batch_size(3).penalty_strength(1.5).build().unwrap();
    let tolerance = 1e-8;
    let ode = ReducedOde::new(&model).unwrap().coefficient_tolerance(tolerance).unwrap();
    let finer = ReducedOde::new(&model).unwrap().coefficient_tolerance(1e-12).unwrap();
    // Two copies, whose overlaps fall while their backgrounds grow.
    let at = |t: f64| {
        let (q, r) = (0.6 - 0.1544 * t, 0.4 + 0.0878 * t);
        OrderParameters::from_rows(2, 2, &[0.0, 0.0, q, q], &[r; 4]).unwrap()
    };
    let (mut errors, mut kept) = (Vec::new(), 0);
    for k in 0..=10 {
        let (mut system, state) = (ode.system(&at(0.0)).unwrap(), at(0.1 * f64::from(k)));
        let mut rates = vec![0.0; state.packed_len()];
        system.rates(0.0, state.to_packed().as_slice(), &mut rates).unwrap();
        let frozen = (
            DMatrix::from_row_slice(2, 2, &rates[..4]),
            DMatrix::from_row_slice(2, 2, &[rates[4], rates[5], rates[5], rates[6]]),
        );
        let truth = finer.rates(&state).unwrap();
        let error = (frozen.0 - truth.q).amax().max((frozen.1 - truth.r).amax());
        errors.push(error);
        if !system.accepted(0.0, state.to_packed().as_slice()).unwrap() {
            kept += 1;
            // Entries are at most about 1, rates of R twice those of B.
            assert!(error < 2.0 * tolerance, "{k}: {error:e}");
        }
    }
    assert!((1..=8).contains(&kept), "{kept}");
    assert!(errors[10] > 5.0 * tolerance, "what would be kept otherwise: {:e}", errors[10]);
}

#[test]
fn a_run_ends_at_its_end_a_steady_state_or_an_event_and_says_so() {
    let model = model();
    let ode = ReducedOde::new(&model).unwrap();
    let end = ode.solver().solve(&start(), 3.0).unwrap();
    assert_eq!((end.stop_reason(), end.times()), (StopReason::EndTime, &[3.0][..]));
    assert!(end.work().right_hand_sides > 10 && end.work().quadrature_nodes > end.work().right_hand_sides);

    let steady = ode.solver().steady_rate(1e-6).solve(&start(), 1e4).unwrap();
    let StopReason::SteadyState { time, rate } = steady.stop_reason() else { panic!() };
    assert!(time < 200.0 && rate <= 1e-6);
    let (_, state) = steady.last().unwrap();
    let rates = ode.rates(state).unwrap();
    assert!(rates.q.amax() < 2e-6 && rates.r.amax() < 2e-6);

    let cosine = |_: f64, state: &OrderParameters| state.cosine_similarity(0, 0).unwrap() - 0.8;
    let solver = ode.solver().integrator(DormandPrince::new(1e-10, 1e-12).unwrap());
    let solver = solver.event(Direction::Either, |_, state| state.q()[(0, 0)] - 5.0);
    let event = solver.event(Direction::Rising, cosine).solve(&start(), 100.0).unwrap();
    let StopReason::Event { index: 1, time, step } = event.stop_reason() else { panic!() };
    assert_eq!(step, event.work().accepted_steps);
    let (t, state) = event.last().unwrap();
    assert_eq!(t, time);
    assert_abs_diff_eq!(state.cosine_similarity(0, 0).unwrap(), 0.8, epsilon = 1e-9);
}

#[test]
fn every_integrator_reaches_the_same_state_and_every_output_is_where_it_was_asked_for() {
    let model = model();
    let ode = ReducedOde::new(&model).unwrap();
    let times = Output::Times(vec![0.0, 0.5, 2.0]);
    let reference = ode.solver().output(times.clone()).solve(&start(), 2.0).unwrap();
    let classic = ode.solver().output(times.clone()).integrator(RungeKutta4::new(0.05).unwrap());
    let simple = ode.solver().output(times).integrator(Euler::new(0.001).unwrap());
    let runs = [(classic.solve(&start(), 2.0).unwrap(), 1e-7), (simple.solve(&start(), 2.0).unwrap(), 1e-3)];
    for (run, allowed) in runs {
        assert_eq!(run.times(), [0.0, 0.5, 2.0]);
        for (a, b) in run.states().iter().zip(reference.states()) {
            assert!((a.to_packed() - b.to_packed()).amax() < allowed);
        }
    }
    let log = Output::LogSpaced { first: 0.01, last: 1.0, count: 3 };
    let spaced = ode.solver().output(log).solve(&start(), 1.0).unwrap();
    assert!((spaced.times()[1] - 0.1).abs() < 1e-12 && spaced.times().len() == 3);
    let strided = ode.solver().output(Output::EverySteps(2)).integrator(Euler::new(0.25).unwrap());
    assert_eq!(strided.solve(&start(), 1.0).unwrap().times(), [0.0, 0.5, 1.0]);
}

#[test]
fn the_sphere_constraint_keeps_the_norm_and_rejects_a_start_off_the_sphere() {
    let sphere = with(Independent::new([Law::two_point(2.25).unwrap()]).unwrap(), Constraint::Sphere);
    let ode = ReducedOde::new(&sphere).unwrap();
    let on = OrderParameters::from_rows(1, 1, &[0.4], &[1.0]).unwrap();
    let run = ode.solver().output(Output::EverySteps(1)).solve(&on, 10.0).unwrap();
    assert!(run.states().iter().all(|s| s.r()[(0, 0)] == 1.0));
    assert!(run.last().unwrap().1.q()[(0, 0)] > 0.9);
    let off = ode.solver().solve(&start(), 1.0);
    let Err(OdeError::Start(error @ OrderParametersError::OffSphere { neuron: 0, value: 0.8 })) = off else { panic!() };
    assert!(error.to_string().contains("OrderParameters::normalised"));
    assert!(ode.solver().solve(&start().normalised().unwrap(), 1.0).is_ok());
}

#[test]
fn what_cannot_be_solved_is_an_error_that_loses_nothing() {
    let model = model();
    let ode = ReducedOde::new(&model).unwrap();
    let limited = ode.solver().integrator(Euler::new(0.1).unwrap()).step_limit(7).output(Output::EverySteps(1));
    let Err(OdeError::Run(RunError::StepLimit { steps: 7, time, trajectory })) = limited.solve(&start(), 5.0) else {
        panic!()
    };
    assert!((time - 0.7).abs() < 1e-12 && trajectory.times().len() == 8);
    assert!(matches!(trajectory.stop_reason(), StopReason::Failure { .. }));

    // A step far too large leaves the feasible set; time and state are those before it.
    let wild = ode.solver().integrator(Euler::new(40.0).unwrap()).output(Output::EverySteps(1));
    let error = wild.solve(&start(), 400.0).unwrap_err();
    let Some((last, state)) = error.trajectory().unwrap().last() else { panic!() };
    let OdeError::Run(RunError::Failed { time, source: OdeFailure::Infeasible(_), .. }) = error else {
        panic!("{error}")
    };
    assert_eq!(last, time);
    assert!(OrderParameters::new(state.q().clone(), state.r().clone()).is_ok(), "{state}");

    let tiny = ReducedOde::new(&model).unwrap().node_budget(50);
    let Err(OdeError::Run(RunError::Failed {
        time: 0.0,
        source: OdeFailure::Limit(LimitError::ToleranceNotMet { .. }),
        trajectory,
    })) = tiny.solver().solve(&start(), 1.0)
    else {
        panic!()
    };
    assert_eq!(trajectory.states(), [start()]);
    let steady = ode.solver().steady_rate(f64::NAN).solve(&start(), 1.0);
    assert!(matches!(steady, Err(OdeError::Run(RunError::Setting { name: "steady rate", .. }))));
    let growth = ode.solver().growth_limit(f64::NAN).solve(&start(), 1.0);
    assert!(matches!(growth, Err(OdeError::GrowthLimit { .. })));
    let outside = ode.solver().output(Output::Times(vec![2.0])).solve(&start(), 1.0);
    assert!(matches!(outside, Err(OdeError::Run(RunError::Output(OutputError::OutsideRun { .. })))));
    let nowhere = ode.solver().solve(&start(), f64::NAN);
    assert!(matches!(nowhere, Err(OdeError::Run(RunError::Output(OutputError::EmptyRun { .. })))));
}

#[test]
fn a_tolerance_that_cannot_be_met_is_an_error_with_the_best_value_inside() {
    let model = model();
    let exact = Limit::new(&model).unwrap().coefficients(&start()).unwrap().coefficients;
    let limit = Limit::new(&model).unwrap().tolerance(1e-10).unwrap().node_budget(700);
    let Err(LimitError::ToleranceNotMet { best: Some(best), budget: 700, .. }) = limit.coefficients(&start()) else {
        panic!("700 nodes do not suffice")
    };
    assert!((best.coefficients.a - exact.a).amax() < 1e-6);
    let impossible = Limit::new(&model).unwrap().tolerance(1e-18).unwrap().coefficients(&start());
    assert!(matches!(impossible, Err(LimitError::ToleranceNotMet { best: Some(_), .. })), "it ends");
}

#[test]
fn what_does_not_fit_is_rejected_each_with_its_error() {
    let model = model();
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(Limit::new(&model).unwrap().tolerance(bad), Err(LimitError::Tolerance { .. })));
    }
    let two = OrderParameters::from_rows(2, 1, &[0.1, 0.1], &[1.0]).unwrap();
    assert!(matches!(Limit::new(&model).unwrap().coefficients(&two), Err(LimitError::Shape { .. })));
    let blowing_up = (|h: f64| (h * h).exp(), |h: f64| 2.0 * h * (h * h).exp());
    let noise = GaussianNoise::correlated(0.3, -0.5).unwrap();
    let hidden = Independent::new([Law::two_point(900.0).unwrap()]).unwrap();
    let builder = Model::builder().nonlinearity(blowing_up).hidden(hidden).noise(noise).learning_rate(0.3);
    let model = builder.build().unwrap();
    assert!(matches!(Limit::new(&model).unwrap().coefficients(&start()), Err(LimitError::NotFinite)));
}

/// Steps far too large for a field that grows as its cube: whatever else may be asked of the run, it fails.
#[test]
fn a_run_that_would_stop_at_an_event_is_still_checked() {
    let cubic = Polynomial::new([0.0, -3.0, 0.0, 1.0]).unwrap();
    let hidden = Independent::new([Law::two_point(2.25).unwrap()]).unwrap();
    let noise = GaussianNoise::correlated(0.3, -0.5).unwrap();
    let builder = Model::builder().nonlinearity(cubic).hidden(hidden).noise(noise).learning_rate(3.0);
    let model = builder.build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let event = |t: f64, _: &OrderParameters| t - 5.0;
    let classic = ode.solver().integrator(RungeKutta4::new(50.0).unwrap()).event(Direction::Rising, event);
    let simple = ode.solver().integrator(Euler::new(50.0).unwrap()).event(Direction::Rising, event);
    for error in
        [classic.output(Output::Stop).solve(&start(), 100.0), simple.output(Output::Stop).solve(&start(), 100.0)]
    {
        let Err(OdeError::Run(RunError::Failed { time: 0.0, trajectory, source })) = error else { panic!("{error:?}") };
        println!("{source}");
        assert_eq!((trajectory.times(), trajectory.states()), (&[0.0][..], &[start()][..]));
    }
}

/// σ = h³ − 3h as a closure, of which the library knows no more than values: as it diverges its averages need ever more
/// nodes, in proportion to R, so this test asks for a hundredfold growth. The polynomial is the same function, and ends at
/// the same time.
#[test]
fn divergence_is_told_as_what_it_is_whatever_the_rule() {
    fn diverges(sigma: impl Nonlinearity, limit: f64) -> f64 {
        let hidden = Independent::new([Law::two_point(2.25).unwrap()]).unwrap();
        let noise = GaussianNoise::correlated(0.3, -0.5).unwrap();
        let builder = Model::builder().nonlinearity(sigma).hidden(hidden).noise(noise).learning_rate(0.001);
        let model = builder.build().unwrap();
        let ode = ReducedOde::new(&model).unwrap();
        let solver = if limit == 1e3 { ode.solver() } else { ode.solver().growth_limit(limit) };
        let error = solver.solve(&start(), 1e4).unwrap_err();
        assert!(error.to_string().contains("the solution diverges: the largest R_ii has grown"), "{error}");
        let OdeError::Run(RunError::Failed { time, source: OdeFailure::Diverged { growth }, trajectory }) = error
        else {
            panic!()
        };
        let (last, state) = trajectory.last().unwrap();
        assert!(last == time && state.r()[(0, 0)] <= limit && growth > limit);
        time
    }
    let closure = diverges((|h: f64| h * h * h - 3.0 * h, |h: f64| 3.0 * h * h - 3.0), 100.0);
    let polynomial = || Polynomial::new([0.0, -3.0, 0.0, 1.0]).unwrap();
    assert!((closure - diverges(polynomial(), 100.0)).abs() < 1e-6 * closure);
    assert!(diverges(polynomial(), 1e3) > closure, "a thousandfold is the default");
}

/// The growth that counts is a setting: identity without decay grows past a thousand and is no failure if that is wanted.
#[test]
fn growth_is_allowed_if_asked_for() {
    let hidden = Independent::new([Law::two_point(2.25).unwrap()]).unwrap();
    let builder = Model::builder().nonlinearity(Identity).hidden(hidden).noise(NoNoise).learning_rate(0.3);
    let model = builder.build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let failed = ode.solver().solve(&start(), 5.0).unwrap_err();
    assert!(matches!(failed, OdeError::Run(RunError::Failed { source: OdeFailure::Diverged { .. }, .. })), "{failed}");
    let end = ode.solver().growth_limit(f64::INFINITY).solve(&start(), 5.0).unwrap();
    assert!(end.states()[0].r()[(0, 0)] > 2e3);
}

#[test]
fn observers_of_a_solution_see_time_and_state_without_anything_recorded() {
    let model = model();
    let ode = ReducedOde::new(&model).unwrap();
    let mut seen = Vec::new();
    let solver = ode.solver().observe(Output::Times(vec![0.5, 1.0]), |t, state: &OrderParameters| {
        seen.push((t, state.clone()));
        ControlFlow::Continue(())
    });
    let trajectory = solver.solve(&start(), 2.0).unwrap();
    drop(solver);
    assert_eq!((trajectory.times(), seen.len()), (&[2.0][..], 3));
    let recorded = ode.solver().output(Output::Times(vec![0.5, 1.0])).solve(&start(), 2.0).unwrap();
    assert!(recorded.iter().eq(seen.iter().map(|(t, state)| (*t, state))));
    let stopping = ode.solver().observe(Output::EverySteps(1), |t, _: &OrderParameters| {
        if t > 0.1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(stopping.solve(&start(), 2.0).unwrap().stop_reason(), StopReason::Observer { .. }));
}

/// A user's law with a faulty cubature: `size` nodes, of weights that sum to `total`.
struct Faulty {
    size: usize,
    total: f64,
}

impl HiddenDistribution for Faulty {
    fn dimension(&self) -> usize {
        1
    }
    fn sample<G: Rng + ?Sized>(&self, _rng: &mut G, c: &mut [f64]) {
        c[0] = 1.0;
    }
    fn second_moment(&self) -> DMatrix<f64> {
        DMatrix::identity(1, 1)
    }
    fn quadrature(&self, _points: usize) -> HiddenQuadrature<f64> {
        let (nodes, weights) = (DMatrix::from_element(1, 2, 1.0), vec![0.5 * self.total; 2]);
        HiddenQuadrature { nodes, weights, gaussian: DMatrix::zeros(1, 1) }
    }
    fn quadrature_size(&self, _points: usize) -> usize {
        self.size
    }
    fn quadrature_is_exact(&self) -> bool {
        true
    }
}

#[test]
fn hidden_laws_of_users_are_checked() {
    let model = |size, total| with(Faulty { size, total }, Constraint::None);
    assert!(Limit::new(&model(2, 1.0)).is_ok());
    let faulty = Faulty { size: 2, total: 0.9 };
    let built = Model::builder().nonlinearity(Tanh).hidden(faulty).noise(NoNoise).learning_rate(0.3).build();
    assert!(matches!(built, Err(ModelError::Disagreement(_))));
    assert!(matches!(Limit::new(&model(1 << 20, 1.0)), Err(LimitError::HiddenNodes { .. })));
}

/// From the boundary of the feasible set (no background part at all) noise leads inside: the rule must see the direction
/// that opens. The start a little inside goes to the same end.
#[test]
fn a_start_on_the_boundary_is_left_as_one_just_inside_it() {
    use contrastive_dynamics::model::{Identity, NoNoise};
    let hidden = Independent::new([Law::two_point(2.25).unwrap()]).unwrap();
    let builder = Model::builder().nonlinearity(Identity).hidden(hidden).noise(NoNoise).learning_rate(0.5);
    let model = builder.weight_decay(1.0).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let end = |r: f64| {
        let start = OrderParameters::from_rows(1, 1, &[0.5], &[r]).unwrap();
        ode.solver().solve(&start, 1.0).unwrap().last().unwrap().1.to_packed()
    };
    assert!((end(0.25) - end(0.25 + 1e-9)).amax() < 1e-6, "{} {}", end(0.25), end(0.25 + 1e-9));
}

/// A uniform hidden variable whose overlap grows fifty times along the run: its cubature must grow with it.
#[test]
fn the_cubature_of_the_hidden_law_is_refined_along_the_trajectory() {
    let model = with(Independent::new([Law::uniform(25.0).unwrap()]).unwrap(), Constraint::None);
    let start = OrderParameters::from_rows(1, 1, &[0.02], &[0.5]).unwrap();
    let end = |tolerance: f64| {
        let ode = ReducedOde::new(&model).unwrap().coefficient_tolerance(tolerance).unwrap();
        let run = ode.solver().solve(&start, 10.0).unwrap();
        assert!(run.work().rule_refinements > 3);
        run.last().unwrap().1.to_packed()
    };
    assert!((end(1e-7) - end(1e-10)).amax() < 1e-5, "{} {}", end(1e-7), end(1e-10));
}

#[test]
fn a_very_loose_tolerance_still_gives_a_sensible_answer() {
    let model = model();
    let exact = Limit::new(&model).unwrap().coefficients(&start()).unwrap().coefficients;
    let loose = Limit::new(&model).unwrap().tolerance(1e3).unwrap().coefficients(&start()).unwrap();
    assert!((loose.coefficients.a - exact.a).amax() < loose.error.max(0.02));
}
