//! Bad input of every kind, each with its error.

use contrastive_dynamics::control::{Adjoint, Control, ControlError, Functional, Objective, Optimiser, TimeGrid};
use contrastive_dynamics::limit::{LimitError, Parameter};
use contrastive_dynamics::model::{Quantity, ScheduleError};
use contrastive_dynamics::nalgebra::DVector;
use contrastive_dynamics::ode::OdeError;
use contrastive_dynamics::prelude::*;
use contrastive_dynamics::state::Direction;

use super::{oja, similarity, two_features};

fn start() -> OrderParameters {
    OrderParameters::from_rows(2, 1, &[0.4, 0.2], &[0.8]).unwrap()
}

#[test]
fn horizons_and_objectives() {
    let model = two_features();
    let ode = ReducedOde::new(&model).unwrap();
    let gradient = |objective: &Objective<'_>, end: f64| Adjoint::new(&ode).gradient(objective, &start(), end);
    for end in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(gradient(&similarity(), end), Err(ControlError::Horizon { .. })));
    }
    assert_eq!(gradient(&Objective::new(), 1.0), Err(ControlError::NoObjective));
    let nan = |_: f64, _: &OrderParameters| f64::NAN;
    let late = |t: f64, _: &OrderParameters| if t > 0.5 { f64::NAN } else { 1.0 };
    let is_functional = |outcome: Result<_, ControlError>| matches!(outcome, Err(ControlError::Functional { .. }));
    assert!(is_functional(gradient(&Objective::new().at_end(nan), 1.0)));
    assert!(is_functional(gradient(&Objective::new().integral(nan), 1.0)));
    let outcome = gradient(&Objective::new().integral(late), 1.0);
    assert!(outcome.is_err(), "{outcome:?}");
    // An event that is NaN, and one that never happens.
    let objective = similarity().until(Direction::Rising, nan);
    assert!(matches!(gradient(&objective, 1.0), Err(ControlError::Solution(_))));
    let never = similarity().until(Direction::Rising, |_: f64, s: &OrderParameters| s.q()[(0, 0)] - 10.0);
    let Err(ControlError::NoEvent { time, trajectory }) = gradient(&never, 1.0) else { panic!("it never happens") };
    assert_eq!((time, trajectory.last().unwrap().0), (1.0, 1.0));
    let touched = similarity().until(Direction::AtOrAbove, Jump);
    assert!(matches!(gradient(&touched, 1.0), Err(ControlError::Touched { .. })));
    assert!(matches!(
        Adjoint::new(&ode).step_limit(2).gradient(&similarity(), &start(), 10.0),
        Err(ControlError::Solution(error)) if matches!(&*error, OdeError::Run(run) if run.trajectory().is_some())
    ));
    let on_sphere = oja(1.0);
    let ode = ReducedOde::new(&on_sphere).unwrap();
    let off = OrderParameters::from_rows(1, 1, &[0.3], &[0.9]).unwrap();
    assert!(matches!(Adjoint::new(&ode).gradient(&similarity(), &off, 1.0), Err(ControlError::Start(_))));
}

/// What jumps to zero and stays there crosses it at a time that has no derivative.
struct Jump;

impl Functional for Jump {
    fn value(&self, t: f64, _state: &OrderParameters) -> f64 {
        if t < 0.5 { -1.0 } else { 0.0 }
    }
    fn time_derivative(&self, _t: f64, _state: &OrderParameters) -> f64 {
        0.0
    }
}

/// A functional whose derivatives are wrong in number, or are not finite.
struct Wrong(usize);

impl Functional for Wrong {
    fn value(&self, _t: f64, state: &OrderParameters) -> f64 {
        state.q()[(0, 0)]
    }
    fn gradient(&self, _t: f64, _state: &OrderParameters) -> DVector<f64> {
        DVector::from_element(self.0, f64::NAN)
    }
}

#[test]
fn derivatives_and_parameters() {
    let model = two_features();
    let ode = ReducedOde::new(&model).unwrap();
    let gradient = |objective: Objective<'_>| Adjoint::new(&ode).gradient(&objective, &start(), 1.0).unwrap_err();
    for objective in [Objective::new().at_end(Wrong(2)), Objective::new().integral(Wrong(5))] {
        assert!(matches!(gradient(objective), ControlError::Derivatives { expected: 3, .. }));
    }
    assert!(matches!(gradient(Objective::new().at_end(Wrong(3))), ControlError::Functional { .. }));
    let adjoint = Adjoint::new(&ode).parameters([Parameter::SecondMoment(2)]);
    let error = adjoint.gradient(&similarity(), &start(), 1.0).unwrap_err();
    assert_eq!(error, ControlError::Limit(LimitError::Parameter { parameter: Parameter::SecondMoment(2) }));
    let adjoint = Adjoint::new(&ode)
        .schedules(&Schedules::new().learning_rate(Schedule::linear([(0.0, 1.0), (0.5, -1.0)]).unwrap()));
    let error = adjoint.gradient(&similarity(), &start(), 1.0).unwrap_err();
    assert!(matches!(error, ControlError::Schedule(ScheduleError::Value { .. })), "{error}");
    // Without noise there is none to be scaled or correlated.
    let silent = oja(1.0);
    let ode = ReducedOde::new(&silent).unwrap();
    let start = OrderParameters::from_rows(1, 1, &[0.3], &[1.0]).unwrap();
    for quantity in [Quantity::FeatureNoiseCorrelation, Quantity::FeatureNoiseVariance] {
        let error = Adjoint::new(&ode).quantities([quantity]).gradient(&similarity(), &start, 1.0).unwrap_err();
        assert!(matches!(error, ControlError::Limit(_) | ControlError::Rates { .. }), "{error}");
    }
}

#[test]
fn grids_bounds_and_first_values() {
    for times in [vec![], vec![1.0], vec![0.0, 1.0, 1.0], vec![0.0, f64::NAN], vec![0.0, f64::INFINITY]] {
        assert!(matches!(TimeGrid::linear(times.clone()), Err(ControlError::Grid { .. })), "{times:?}");
        assert!(TimeGrid::constant(times).is_err());
    }
    // It does not take what never ends.
    assert!(TimeGrid::linear((0..).map(f64::from)).is_err());
    let model = two_features();
    let ode = ReducedOde::new(&model).unwrap();
    let objective = similarity();
    let grid = || TimeGrid::linear([0.0, 1.0]).unwrap();
    let search =
        |control: Control| Optimiser::new(&ode, &objective).control(control).maximise(&start(), 2.0).unwrap_err();
    let rate = || Control::new([Quantity::LearningRate], grid());
    for (lower, upper) in [(1.0, 0.5), (0.5, 0.5), (-1.0, 1.0), (f64::NAN, 1.0), (0.0, f64::NAN)] {
        assert!(matches!(search(rate().bounds(lower, upper)), ControlError::Bounds { .. }), "{lower} {upper}");
    }
    let correlation = Control::new(Quantity::NOISE_CORRELATION, grid());
    assert!(matches!(search(correlation.bounds(-1.5, 0.0)), ControlError::Bounds { .. }));
    let variance = Control::new(Quantity::NOISE_VARIANCE, grid());
    assert!(matches!(search(variance.bounds(0.0, 1.0)), ControlError::Bounds { .. }));
    assert!(matches!(search(rate().bounds(0.5, 1.0)), ControlError::Initial { value: 0.3, .. }));
    let outside = rate().bounds(0.0, 1.0).initial(Schedule::linear([(0.0, 0.5), (1.0, 2.0)]).unwrap());
    assert!(matches!(search(outside), ControlError::Initial { time: 1.0, value: 2.0, .. }));
    assert_eq!(search(Control::new([], grid())), ControlError::NoQuantity);
    let apart = Control::new([Quantity::LearningRate, Quantity::WeightDecay], grid());
    assert_eq!(search(apart), ControlError::NoQuantity);
}

#[test]
fn searches() {
    let model = two_features();
    let ode = ReducedOde::new(&model).unwrap();
    let objective = similarity();
    let grid = || TimeGrid::linear([0.0, 1.0]).unwrap();
    let rate = || Control::new([Quantity::LearningRate], grid()).bounds(0.0, 2.0);
    let plain = || Optimiser::new(&ode, &objective);
    assert_eq!(plain().maximise(&start(), 1.0), Err(ControlError::NoControl));
    let twice = plain().control(rate()).control(rate()).maximise(&start(), 1.0);
    assert!(matches!(twice, Err(ControlError::ControlledTwice { name: "learning rate" })));
    let scheduled = Schedules::new().learning_rate(Schedule::constant(0.1).unwrap());
    let twice = plain().control(rate()).schedules(&scheduled).maximise(&start(), 1.0);
    assert!(matches!(twice, Err(ControlError::ControlledTwice { .. })));
    for tolerance in [-1.0, f64::NAN, f64::INFINITY] {
        let search = plain().control(rate()).gradient_tolerance(tolerance);
        assert!(matches!(search.maximise(&start(), 1.0), Err(ControlError::Setting { .. })));
    }
    for end in [0.0, f64::NAN] {
        assert!(matches!(plain().control(rate()).maximise(&start(), end), Err(ControlError::Horizon { .. })));
    }
    // A penalty strength, of one neuron too, is a number that can be scheduled, but does nothing.
    let strength = Control::new([Quantity::PenaltyStrength], grid()).bounds(0.0, 1.0);
    let idle = plain().control(strength).maximise(&start(), 1.0).unwrap();
    assert_eq!((idle.gradient_norm(), idle.iterations()), (0.0, 0));
}

/// A functional that fails on the way: what was found before is there.
#[test]
fn a_search_that_fails_has_the_best_so_far() {
    let model = two_features();
    let ode = ReducedOde::new(&model).unwrap();
    let gone = |_: f64, s: &OrderParameters| {
        let similarity = s.cosine_similarity(0, 0).unwrap_or(0.0);
        if similarity > 0.72 { f64::NAN } else { similarity }
    };
    let objective = Objective::new().at_end(gone);
    let control =
        Control::new([Quantity::LearningRate], TimeGrid::linear([0.0, 1.0, 2.0, 3.0]).unwrap()).bounds(0.0, 2.0);
    let first = Optimiser::new(&ode, &objective).control(control.clone()).iteration_limit(0).maximise(&start(), 3.0);
    let first = first.unwrap();
    let error = Optimiser::new(&ode, &objective).control(control).maximise(&start(), 3.0).unwrap_err();
    let ControlError::Interrupted { source, best } = error else { panic!("{error}") };
    assert!(matches!(*source, ControlError::Functional { what: "function of the final state", .. }));
    assert!(best.objective() >= first.objective() && best.objective() <= 0.72);
    assert!(best.values(0).len() == 4 && best.evaluations() > 0);
}
