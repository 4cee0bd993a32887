//! Stiff methods of the crate diffsol, against closed forms, the literature and our own explicit method.

use std::cell::Cell;

use contrastive_dynamics::integrate::{Diffsol, DormandPrince, Integrator, Output, Step, StepError, System};
use contrastive_dynamics::model::{Constraint, CovarianceLoss, Quadratic, Schedule, Schedules};
use contrastive_dynamics::ode::{OdeError, OdeFailure, ReducedOde};
use contrastive_dynamics::state::{Direction, Integration, OrderParameters, Run, RunError, StopReason, Trajectory};

use crate::support::models::{informed_start, one_feature, two_features};

/// The reaction of Robertson (1966), stiff by nine orders of magnitude.
struct Robertson;

impl System for Robertson {
    type Error = std::convert::Infallible;

    fn dimension(&self) -> usize {
        3
    }

    fn rates(&mut self, _t: f64, y: &[f64], rates: &mut [f64]) -> Result<(), Self::Error> {
        let (slow, fast, square) = (0.04 * y[0], 1e4 * y[1] * y[2], 3e7 * y[1] * y[1]);
        rates.copy_from_slice(&[fast - slow, slow - fast - square, square]);
        Ok(())
    }
}

fn run<I: Integrator>(integrator: I, end: f64) -> Trajectory<f64, Vec<f64>> {
    let mut solution = Integration::new(Robertson, integrator, 0.0, vec![1.0, 0.0, 0.0]);
    Run::of(&mut solution).to(end).unwrap()
}

/// At t = 40, as the user guide of CVODE prints it (cvRoberts_dns): 7.1583e-01, 9.1855e-06, 2.8416e-01; more digits by the explicit method.
#[test]
fn a_stiff_reaction_takes_few_steps() {
    let stiff = run(Diffsol::esdirk34(1e-7, 1e-12).unwrap(), 40.0);
    let y = stiff.last().unwrap().1.clone();
    for (got, printed) in y.iter().zip([7.1583e-1, 9.1855e-6, 2.8416e-1]) {
        assert!((got / printed - 1.0).abs() < 2e-5, "{y:?}");
    }
    let explicit = run(DormandPrince::new(1e-7, 1e-12).unwrap(), 40.0);
    for (a, b) in y.iter().zip(explicit.last().unwrap().1) {
        assert!((a / b - 1.0).abs() < 1e-5, "{a} {b}");
    }
    let (few, many) = (stiff.work(), explicit.work());
    assert!(20 * few.accepted_steps < many.accepted_steps, "{few:?} {many:?}");
    assert!(3 * few.right_hand_sides < many.right_hand_sides, "{few:?} {many:?}");
    let rough = run(Diffsol::tr_bdf2(1e-4, 1e-8).unwrap(), 40.0);
    assert!((rough.last().unwrap().1[0] - y[0]).abs() < 1e-3);
}

/// The errors of y' = −y fall with the tolerance, and with the order of the method at a given size of steps.
#[test]
fn tolerances_are_met() {
    struct Decay;
    impl System for Decay {
        type Error = std::convert::Infallible;
        fn dimension(&self) -> usize {
            1
        }
        fn rates(&mut self, _t: f64, y: &[f64], rates: &mut [f64]) -> Result<(), Self::Error> {
            rates[0] = -y[0];
            Ok(())
        }
    }
    let error = |method: Diffsol| {
        let mut solution = Integration::new(Decay, method, 0.0, vec![1.0]);
        let run = Run::of(&mut solution).output(Output::Times(vec![0.3, 1.0])).to(1.0).unwrap();
        // At the end, and between two steps.
        [0, 1].map(|k| (run.states()[k][0] - (-run.times()[k]).exp()).abs())
    };
    for (tolerance, allowed) in [(1e-4, 1e-2), (1e-6, 1e-4), (1e-8, 1e-6)] {
        for method in [Diffsol::esdirk34(tolerance, tolerance), Diffsol::tr_bdf2(tolerance, tolerance)] {
            let found = error(method.unwrap());
            assert!(found[0] < allowed && found[1] < allowed && found[1] > 1e-4 * tolerance, "{tolerance} {found:?}");
        }
    }
    assert_eq!((Diffsol::esdirk34(1.0, 1.0).unwrap().order(), Diffsol::tr_bdf2(1.0, 1.0).unwrap().order()), (3, 2));
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(Diffsol::esdirk34(bad, 1e-6).is_err() && Diffsol::tr_bdf2(1e-6, bad).is_err());
    }
}

/// One neuron and two, free and on the sphere, with a schedule that jumps, to an event.
#[test]
fn the_reduced_ode_is_solved_as_by_the_explicit_method() {
    let two = two_features(0.5).to_builder().n_neurons(2).loss(CovarianceLoss::new(Quadratic, 1.0).unwrap());
    let start = OrderParameters::from_rows(2, 2, &[0.3, 0.1, 0.1, 0.3], &[1.0, 0.2, 0.2, 1.0]).unwrap();
    for constraint in [Constraint::None, Constraint::Sphere] {
        let model = two.clone().constraint(constraint).build().unwrap();
        let ode = ReducedOde::new(&model).unwrap().coefficient_tolerance(1e-8).unwrap();
        let solver = ode.solver().output(Output::Times(vec![1.0, 2.0]));
        let explicit = solver.solve(&start, 2.0).unwrap();
        let stiff =
            ode.solver().integrator(Diffsol::esdirk34(1e-7, 1e-9).unwrap()).output(Output::Times(vec![1.0, 2.0]));
        let stiff = stiff.solve(&start, 2.0).unwrap();
        for (a, b) in explicit.states().iter().zip(stiff.states()) {
            assert!((a.to_packed() - b.to_packed()).amax() < 1e-6, "{constraint:?} {a} {b}");
        }
    }

    let model = one_feature();
    let ode = ReducedOde::new(&model).unwrap();
    let schedules = Schedules::new().learning_rate(Schedule::steps(0.3, [(2.0, 0.6)]).unwrap());
    let learned = |_: f64, state: &OrderParameters| state.cosine_similarity(0, 0).unwrap_or(0.0) - 0.8;
    let time = |end: &Trajectory| match end.stop_reason() {
        StopReason::Event { time, .. } => time,
        other => panic!("{other}"),
    };
    let explicit = ode.solver().schedules(&schedules).event(Direction::Rising, learned);
    let stiff = ode.solver().schedules(&schedules).event(Direction::Rising, learned);
    let stiff = stiff.integrator(Diffsol::esdirk34(1e-7, 1e-10).unwrap()).solve(&informed_start(), 100.0).unwrap();
    let explicit = time(&explicit.solve(&informed_start(), 100.0).unwrap());
    assert!(explicit > 2.0 && (time(&stiff) - explicit).abs() < 1e-4, "{explicit} {}", time(&stiff));
}

/// Near the border of learnability growth is slow, and the decay of R binds the steps of the explicit method.
#[test]
fn slow_growth_beside_fast_decay_is_where_it_pays() {
    let hidden = contrastive_dynamics::model::Law::two_point(1.4).unwrap();
    let model = crate::support::models::reference([hidden]).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap().coefficient_tolerance(1e-8).unwrap();
    let start = OrderParameters::from_rows(1, 1, &[0.01], &[0.5]).unwrap();
    let explicit = ode.solver().integrator(DormandPrince::new(1e-5, 1e-8).unwrap()).solve(&start, 3000.0).unwrap();
    let stiff = ode.solver().integrator(Diffsol::esdirk34(1e-5, 1e-8).unwrap()).solve(&start, 3000.0).unwrap();
    let [a, b] = [&explicit, &stiff].map(|run| run.last().unwrap().1.clone());
    assert!((a.to_packed() - b.to_packed()).amax() < 1e-4, "{a} {b}");
    let (many, few) = (explicit.work(), stiff.work());
    assert!(3 * few.accepted_steps < many.accepted_steps, "{few:?} {many:?}");
}

/// No unknowns.
struct Nothing;
impl System for Nothing {
    type Error = String;
    fn dimension(&self) -> usize {
        0
    }
    fn rates(&mut self, _t: f64, _y: &[f64], _rates: &mut [f64]) -> Result<(), String> {
        Ok(())
    }
}

/// A system that fails is asked for shorter steps, and its error is told where these fail, too.
#[test]
fn what_a_system_says_is_passed_on() {
    struct Wall<'a>(f64, &'a Cell<u64>);
    impl System for Wall<'_> {
        type Error = String;
        fn dimension(&self) -> usize {
            1
        }
        fn rates(&mut self, _t: f64, y: &[f64], rates: &mut [f64]) -> Result<(), String> {
            if y[0] > self.0 {
                self.1.set(self.1.get() + 1);
                return Err(format!("{} is behind the wall", y[0]));
            }
            rates[0] = 1.0;
            Ok(())
        }
    }
    let (asked, method) = (Cell::new(0), Diffsol::esdirk34(1e-6, 1e-8).unwrap());
    let mut step = Step::new(0.0, vec![0.0], vec![1.0]);
    assert!(method.step(&mut Wall(1e6, &asked), &mut step, 0.5).is_ok() && asked.get() == 0);
    let mut solution = Integration::new(Wall(1.0, &asked), method, 0.0, vec![0.0]);
    let error = Run::of(&mut solution).to(10.0).unwrap_err();
    assert!(asked.get() > 1 && error.to_string().contains("behind the wall"), "{error}");
    let mut solution = Integration::new(Nothing, method, 0.0, Vec::new());
    assert_eq!(Run::of(&mut solution).to(2.0).unwrap().last().unwrap(), (2.0, &Vec::new()));
    let mut short = Step::new(0.0, vec![0.0, 1.0], vec![1.0]);
    let refused = method.step(&mut Wall(1e6, &asked), &mut short, 0.5);
    assert!(matches!(refused, Err(StepError::Length { dimension: 1, length: 2 })));

    // Growth without bound ends as with every method.
    let model =
        one_feature().to_builder().nonlinearity(contrastive_dynamics::model::Identity).weight_decay(0.0).build();
    let model = model.unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let solver = ode.solver().integrator(method);
    let error = solver.solve(&informed_start(), 1e3).unwrap_err();
    assert!(matches!(&error, OdeError::Run(RunError::Failed { source: OdeFailure::Diverged { .. }, .. })), "{error}");
}

/// The default Jacobian, by differences, and that of the reduced ODE, which is exact.
#[test]
fn jacobians_agree_with_differences() {
    let y = [0.7, 1e-5, 0.3];
    let mut jacobian = [0.0; 9];
    Robertson.jacobian(0.0, &y, &mut jacobian).unwrap();
    let expected = [-0.04, 0.04, 0.0, 1e4 * y[2], -1e4 * y[2] - 6e7 * y[1], 6e7 * y[1], 1e4 * y[1], -1e4 * y[1], 0.0];
    for (got, want) in jacobian.iter().zip(expected) {
        assert!((got - want).abs() < 1e-3 * (want.abs() + 1e-3), "{jacobian:?}");
    }
    let model = two_features(0.5);
    let ode = ReducedOde::new(&model).unwrap();
    let state = OrderParameters::from_rows(2, 1, &[0.4, 0.3], &[0.9]).unwrap();
    let mut system = ode.system(&state).unwrap();
    let mut exact = [0.0; 9];
    System::jacobian(&mut system, 0.0, state.to_packed().as_slice(), &mut exact).unwrap();
    for j in 0..3 {
        let mut moved = |by: f64| {
            let (mut y, mut rates) = (state.to_packed(), [0.0; 3]);
            y[j] += by;
            system.rates(0.0, y.as_slice(), &mut rates).unwrap();
            rates
        };
        let (above, below) = (moved(1e-5), moved(-1e-5));
        for i in 0..3 {
            assert!(((above[i] - below[i]) / 2e-5 - exact[3 * j + i]).abs() < 1e-8, "{i} {j} {exact:?}");
        }
    }
}
