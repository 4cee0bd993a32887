//! What a limit, its rules and the ODE say of themselves.

use contrastive_dynamics::integrate::System;
use contrastive_dynamics::limit::{Limit, LimitError, Parameter, Quadrature};
use contrastive_dynamics::model::{
    Constraint, GaussianNoise, Identity, Independent, Law, Model, Quartic, Tanh, ViewCovariance,
};
use contrastive_dynamics::nalgebra::{DMatrix, DVector};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::state::OrderParameters;

use crate::support::models::{equal_features, informed_start, one_feature, reference};

fn unequal() -> GaussianNoise {
    let view = |v11, v12, v22| ViewCovariance::new(v11, v12, v22).unwrap();
    GaussianNoise::new(view(0.5, -0.2, 0.2), view(0.3, 0.3, 1.2))
}

/// The numbers of the model, by hand: variances are means over the views, correlations are of their roots.
#[test]
fn a_limit_tells_the_numbers_of_its_model() {
    let laws = [Law::point_masses([-0.5, 1.5], [0.5, 0.5]).unwrap(), Law::two_point(1.5).unwrap()];
    let model = reference(laws).noise(unequal()).background_std(0.7).n_neurons(2).batch_size(3).penalty_strength(0.6);
    let model = model.build().unwrap();
    let limit = Limit::new(&model).unwrap();
    assert_eq!((limit.learning_rate(), limit.n_features(), limit.n_neurons()), (0.3, 2, 2));
    assert_eq!(limit.feature_noise().to_array(), [[0.5, -0.2], [-0.2, 0.2]]);
    assert!((limit.hidden_mean() - DVector::from_column_slice(&[0.5, 0.0])).amax() < 1e-15);
    let second = DMatrix::from_row_slice(2, 2, &[1.25, 0.0, 0.0, 1.5]);
    assert!((limit.hidden_second_moment() - second).amax() < 1e-15);
    let expected = [
        (Parameter::LearningRate, Some(0.3)),
        (Parameter::WeightDecay, None),
        (Parameter::PenaltyStrength, Some(0.6)),
        (Parameter::BatchSize, Some(3.0)),
        (Parameter::BackgroundStd, Some(0.7)),
        (Parameter::SecondMoment(0), Some(1.25)),
        (Parameter::SecondMoment(1), Some(1.5)),
        (Parameter::SecondMoment(2), None),
        (Parameter::FeatureNoiseVariance, Some(0.35)),
        (Parameter::BackgroundNoiseVariance, Some(0.75)),
        (Parameter::FeatureNoiseCorrelation, Some(-0.2 / 0.1_f64.sqrt())),
        (Parameter::BackgroundNoiseCorrelation, Some(0.5)),
    ];
    for (parameter, value) in expected {
        match (limit.parameter(parameter), value) {
            (Some(got), Some(wanted)) => assert!((got - wanted).abs() < 1e-15, "{parameter:?}: {got} {wanted}"),
            (got, wanted) => assert_eq!(got, wanted, "{parameter:?}"),
        }
        // Another value is told as well.
        if let Some(value) = value {
            let changed = if parameter == Parameter::BatchSize { 5.0 } else { 0.9 * value };
            let other = limit.with_parameter(parameter, changed).unwrap();
            assert!((other.parameter(parameter).unwrap() - changed).abs() < 1e-15, "{parameter:?}");
        }
    }
    // Without variance there is no correlation.
    let silent = reference([Law::two_point(2.25).unwrap()]).noise(GaussianNoise::correlated(0.0, 0.0).unwrap());
    let silent = silent.build().unwrap();
    assert_eq!(Limit::new(&silent).unwrap().parameter(Parameter::FeatureNoiseCorrelation), None);
}

/// For σ(h) = h the errors are e¹ = −h² and e² = −h¹. For tanh they give the drift β = −τ Σ D_vv' E[∂e^v/∂h^v'], which follows from A
/// and B by an inverse instead.
#[test]
fn slopes_of_the_errors_give_the_drift_without_an_inverse() {
    let laws = || Independent::new([Law::two_point(2.25).unwrap()]).unwrap();
    let linear = Model::builder().nonlinearity(Identity).hidden(laws()).noise(unequal()).learning_rate(0.3);
    let linear = linear.build().unwrap();
    let slopes = Limit::new(&linear).unwrap().error_slopes(&informed_start()).unwrap();
    let expected = [[0.0, -1.0], [-1.0, 0.0]];
    assert!((0..4).all(|k| (slopes[k / 2][k % 2] - expected[k / 2][k % 2]).abs() < 1e-12), "{slopes:?}");

    let model = Model::builder().nonlinearity(Tanh).hidden(laws()).noise(unequal()).learning_rate(0.3);
    let model = model.background_std(0.7).build().unwrap();
    let limit = Limit::new(&model).unwrap().tolerance(1e-9).unwrap();
    let slopes = limit.error_slopes(&informed_start()).unwrap();
    let d = ViewCovariance::new(0.3 + 0.49, 0.3 + 0.49, 1.2 + 0.49).unwrap().to_array();
    let beta: f64 = (0..4).map(|k| -0.3 * d[k / 2][k % 2] * slopes[k / 2][k % 2]).sum();
    let drift = limit.coefficients(&informed_start()).unwrap().coefficients.drift(&informed_start());
    assert!((drift.beta[(0, 0)] - beta).abs() < 1e-7, "{} {beta}", drift.beta[(0, 0)]);
    // −E[σ'(h¹) σ'(h²)] across the views; within them unequal views are not the same.
    assert!((slopes[0][1] - slopes[1][0]).abs() < 1e-9 && (slopes[0][0] - slopes[1][1]).abs() > 1e-3, "{slopes:?}");

    let two = equal_features(1).n_neurons(2).build().unwrap();
    let state = OrderParameters::from_rows(1, 2, &[0.4, 0.1], &[0.8, 0.1, 0.1, 0.9]).unwrap();
    let refused = Limit::new(&two).unwrap().error_slopes(&state);
    assert!(matches!(refused, Err(LimitError::OneNeuron { neurons: 2 })));
}

/// Sobol points are random, every other rule is not.
#[test]
fn rules_say_whether_they_are_sampled() {
    let model = one_feature();
    let sampled = |quadrature| {
        let limit = Limit::new(&model).unwrap().quadrature(quadrature).tolerance(1e-2).unwrap();
        limit.rule(&informed_start()).unwrap().is_sampled()
    };
    assert!(sampled(Quadrature::Sobol));
    for quadrature in [Quadrature::Automatic, Quadrature::Trapezoidal, Quadrature::GaussHermite, Quadrature::Panels] {
        assert!(!sampled(quadrature), "{quadrature:?}");
    }
    // Whole batches are.
    let whole = equal_features(1).n_neurons(2).batch_size(2).penalty(Quartic).penalty_strength(1.0).build().unwrap();
    let state = OrderParameters::from_rows(1, 2, &[0.4, 0.1], &[0.8, 0.1, 0.1, 0.9]).unwrap();
    let limit = Limit::new(&whole).unwrap().tolerance(3e-2).unwrap();
    assert!(limit.rule(&state).unwrap().is_sampled());
}

/// The rule of a system is the one at its state, and its nodes are those that an evaluation counts.
#[test]
fn a_system_evaluates_by_its_rule() {
    let model = one_feature();
    let ode = ReducedOde::new(&model).unwrap();
    let state = informed_start();
    let mut system = ode.system(&state).unwrap();
    let nodes = system.rule().nodes();
    assert_eq!(nodes, ode.limit().rule(&state).unwrap().nodes());
    let before = system.work().quadrature_nodes;
    system.rates(0.0, &[0.4, 0.8], &mut [0.0; 2]).unwrap();
    assert_eq!(system.work().quadrature_nodes - before, nodes);
    assert!(nodes > 0);
}

#[test]
fn an_ode_tells_its_constraint() {
    for constraint in [Constraint::None, Constraint::Sphere] {
        let model = equal_features(1).constraint(constraint).build().unwrap();
        let ode = ReducedOde::new(&model).unwrap();
        assert_eq!(ode.constraint(), constraint);
        let state = OrderParameters::from_rows(1, 1, &[0.4], &[1.0]).unwrap();
        assert_eq!(ode.rates(&state).unwrap().r[(0, 0)] == 0.0, constraint == Constraint::Sphere);
    }
}
