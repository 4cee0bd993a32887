//! Bad input of every kind, each with its error.

use contrastive_dynamics::fluctuation::{FluctuationError, Fluctuations, StartCovariance};
use contrastive_dynamics::limit::LimitError;
use contrastive_dynamics::nalgebra::DMatrix;
use contrastive_dynamics::prelude::*;

use super::{correlated, hidden};

fn start() -> OrderParameters {
    OrderParameters::from_rows(2, 1, &[0.4, -0.2], &[0.8]).unwrap()
}

#[test]
fn bad_input_is_refused() {
    type E = FluctuationError;
    let builder = || Model::builder().nonlinearity(Tanh).hidden(hidden()).noise(correlated()).learning_rate(0.5);
    let model = builder().weight_decay(0.5).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let fluctuations = Fluctuations::new(&ode);
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(Fluctuations::new(&ode).noise_tolerance(bad), Err(LimitError::Tolerance { .. })));
    }
    let other = OrderParameters::from_rows(1, 1, &[0.4], &[0.8]).unwrap();
    assert!(matches!(fluctuations.noise(&other), Err(LimitError::Shape { .. })));
    assert!(matches!(fluctuations.solver().solve(&other, 1.0), Err(E::Limit(LimitError::Shape { .. }))));
    assert!(matches!(fluctuations.solver().solve(&start(), -1.0), Err(E::Output(_))));
    assert!(matches!(fluctuations.solver().solve(&start(), f64::NAN), Err(E::Output(_))));
    let steps = fluctuations.solver().output(Output::EverySteps(3));
    assert!(matches!(steps.solve(&start(), 1.0), Err(E::Output(_))));
    let nan = DMatrix::from_element(3, 3, f64::NAN);
    let lopsided = DMatrix::from_row_slice(3, 3, &[1.0, 0.5, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    for given in [DMatrix::identity(2, 2), DMatrix::identity(3, 3) * -1.0, nan, lopsided] {
        let solver = fluctuations.solver().start_covariance(StartCovariance::Given(given));
        assert!(matches!(solver.solve(&start(), 1.0), Err(E::StartCovariance { expected: 3, .. })));
    }
    let solver = fluctuations.solver().start_covariance(StartCovariance::Uninformative);
    assert_eq!(solver.solve(&start(), 1.0).unwrap_err(), E::Overlaps);
    assert!(matches!(fluctuations.stationary(&start()), Err(E::NotFixed { .. })));
    let path = fluctuations.solver().output(Output::Times(vec![0.0, 1.0])).solve(&start(), 1.0).unwrap();
    assert!(matches!(path.band(0, |_| 1.0), Err(E::Dimension { .. })));
    assert!(matches!(path.band(10, |_| f64::NAN), Err(E::Functional { .. })));
    let run = ode.solver().solve(&start(), 1.0).unwrap();
    assert!(matches!(path.compare(0, &run), Err(E::Dimension { .. })));
    let error = path.compare(10, &run).unwrap_err();
    assert!(matches!(error, E::Times { time: 0.0 }), "{error}");
    let error = fluctuations.solver().step_limit(1).solve(&start(), 50.0).unwrap_err();
    let E::StepLimit { steps: 1, path, .. } = &error else { panic!("{error}") };
    assert_eq!(path.trajectory().times(), [0.0], "the start is kept where there is nothing else");
    let heavy = builder().momentum(0.5).build().unwrap();
    let ode = ReducedOde::new(&heavy).unwrap();
    let fluctuations = Fluctuations::new(&ode);
    assert!(matches!(fluctuations.solver().corrections(true).solve(&start(), 1.0), Err(E::Momentum)));
    assert!(fluctuations.solver().solve(&start(), 0.1).is_ok());
    let sphere = builder().constraint(Constraint::Sphere).build().unwrap();
    let ode = ReducedOde::new(&sphere).unwrap();
    assert!(matches!(Fluctuations::new(&ode).solver().solve(&start(), 1.0), Err(E::Start(_))));
}

/// A saddle has no stationary fluctuations: Q = 0 with the R of the uninformative point.
#[test]
fn saddles_are_refused() {
    let hidden = Independent::new([Law::two_point(2.25).unwrap()]).unwrap();
    let builder = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(correlated());
    let model = builder.learning_rate(0.3).weight_decay(0.5).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let start = OrderParameters::from_rows(1, 1, &[0.0], &[1.0]).unwrap();
    let end = ode.solver().steady_rate(1e-9).solve(&start, 1e4).unwrap();
    let saddle = end.last().unwrap().1;
    let error = Fluctuations::new(&ode).stationary(saddle).unwrap_err();
    assert_eq!(error, FluctuationError::NotStable);
}

/// A solution that diverges keeps what came before.
#[test]
fn a_path_that_diverges_keeps_what_came_before() {
    let builder = Model::builder().nonlinearity(Identity).hidden(hidden()).noise(correlated());
    let model = builder.learning_rate(1.5).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let fluctuations = Fluctuations::new(&ode);
    let times: Vec<f64> = (0..100).map(|k| 0.1 * f64::from(k)).collect();
    let error = fluctuations.solver().output(Output::Times(times)).solve(&start(), 10.0).unwrap_err();
    let FluctuationError::Step { time, path, .. } = &error else { panic!("{error}") };
    assert!(path.trajectory().times().len() > 2 && path.covariances().len() == path.trajectory().times().len());
    assert!(*time < 10.0);
}
