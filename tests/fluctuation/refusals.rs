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
    let E::StepLimit { steps: 1, path, time } = &error else { panic!("{error}") };
    assert!(
        *time > 0.0 && path.trajectory().times() == [*time],
        "the last good point is kept: {:?}",
        path.trajectory()
    );
    assert!(path.trajectory().work().accepted_steps == 1 && path.covariances()[0].amax() > 0.0);
    let heavy = builder().momentum(0.5).build().unwrap();
    let ode = ReducedOde::new(&heavy).unwrap();
    let fluctuations = Fluctuations::new(&ode);
    assert!(matches!(fluctuations.solver().corrections(true).solve(&start(), 1.0), Err(E::Momentum)));
    assert!(fluctuations.solver().solve(&start(), 0.1).is_ok());
    let signs = Model::builder().nonlinearity(Tanh).hidden(hidden()).noise(RademacherNoise::new(0.3, 0.0).unwrap());
    let signs = signs.learning_rate(0.5).build().unwrap();
    let ode = ReducedOde::new(&signs).unwrap();
    let fluctuations = Fluctuations::new(&ode);
    assert!(matches!(fluctuations.solver().corrections(true).solve(&start(), 1.0), Err(E::NotGaussian)));
    let border = OrderParameters::from_rows(2, 1, &[0.6, 0.8], &[1.0]).unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let fluctuations = Fluctuations::new(&ode);
    assert!(matches!(fluctuations.solver().corrections(true).solve(&border, 1.0), Err(E::Degenerate)));
    assert_eq!(fluctuations.propagator(&start(), 0.0).unwrap(), DMatrix::identity(3, 3));
    let sphere = builder().constraint(Constraint::Sphere).build().unwrap();
    let ode = ReducedOde::new(&sphere).unwrap();
    let fluctuations = Fluctuations::new(&ode);
    assert!(matches!(fluctuations.solver().solve(&start(), 1.0), Err(E::Start(_))));
    let zero = OrderParameters::from_rows(2, 1, &[0.0, 0.0], &[0.0]).unwrap();
    assert!(matches!(fluctuations.noise(&zero), Err(LimitError::ZeroNeuron { neuron: 0 })));
    assert!(matches!(fluctuations.noise_rule(&zero), Err(LimitError::ZeroNeuron { .. })));
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

/// A run with a state that is not finite is no chance.
#[test]
fn a_run_that_is_not_finite_is_not_compared() {
    let builder = Model::builder().nonlinearity(Tanh).hidden(hidden()).noise(correlated()).learning_rate(0.5);
    let model = builder.build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let path = Fluctuations::new(&ode).solver().solve(&start(), 1.0).unwrap();
    let huge = OrderParameters::from_rows(2, 1, &[1e200, 0.0], &[1e300]);
    assert!(huge.is_err());
    let far = OrderParameters::from_rows(2, 1, &[0.0, 0.0], &[1e308]).unwrap();
    let error = path.compare_states(1_000_000, &[1.0], &[far]).unwrap_err();
    assert!(matches!(error, FluctuationError::NotFinite { time: 1.0 }), "{error}");
}

/// In single precision everything agrees with double precision to what it can.
#[test]
fn single_precision_agrees_with_double() {
    let double = Model::builder().nonlinearity(Tanh).hidden(hidden()).noise(correlated()).learning_rate(0.5);
    let double = double.weight_decay(0.5).batch_size(2).build().unwrap();
    let laws = [Law::two_point(2.25_f32).unwrap(), Law::three_point(1.5, 0.4).unwrap()];
    let single = Model::builder_in::<f32>().nonlinearity(Tanh).hidden(Independent::new(laws).unwrap());
    let single = single.noise(GaussianNoise::correlated(0.3_f32, -0.5).unwrap()).learning_rate(0.5);
    let single = single.weight_decay(0.5).batch_size(2).build().unwrap();
    let (double, single) = (ReducedOde::new(&double).unwrap(), ReducedOde::new(&single).unwrap());
    let (double, single) = (Fluctuations::new(&double), Fluctuations::new(&single));
    let other = OrderParameters::from_rows(2, 1, &[0.4_f32, -0.2], &[0.8]).unwrap();
    let path = double.solver().corrections(true).solve(&start(), 2.0).unwrap();
    let coarse = single.solver().corrections(true).solve(&other, 2.0).unwrap();
    let distance = (&path.covariances()[0] - coarse.covariances()[0].map(f64::from)).amax();
    assert!(distance < 1e-3 * path.covariances()[0].amax(), "{distance}");
    let (delta, coarse) = (&path.corrections().unwrap()[0], coarse.corrections().unwrap()[0].map(f64::from));
    assert!((delta - coarse).amax() < 1e-2 * delta.amax());
    let (one, other) = (DMatrix::identity(1, 1), DMatrix::identity(1, 1));
    let (escape, coarse) = (double.escape(&one).unwrap(), single.escape(&other).unwrap());
    let distance = (escape.start_covariance() - coarse.start_covariance().map(f64::from)).amax();
    assert!(distance < 1e-3 * escape.start_covariance().amax(), "{distance}");
}
