//! Continuation against systems whose bifurcations are known in closed form, and along the parameters of models.

use std::ops::ControlFlow;

use contrastive_dynamics::data::Cell;
use contrastive_dynamics::limit::Parameter;
use contrastive_dynamics::model::{
    Constraint, GaussianNoise, HiddenDistribution, Independent, Law, Model, ModelBuilder, Tanh,
};
use contrastive_dynamics::nalgebra::{DMatrix, DVector};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::stability::{
    BifurcationKind, Branch, BranchStop, Continuation, ContinuationError, ContinuationSystem, FamilyCurve,
    FixedPointFinder, FunctionSystem, Kind, ModelFamily, OdeCurve, uninformative_points,
};
use contrastive_dynamics::state::OrderParameters;

fn kinds<E>(branch: &Branch<f64, E>) -> Vec<BifurcationKind> {
    branch.bifurcations.iter().map(|point| point.kind).collect()
}

#[test]
fn folds_stand_where_they_are_known_to() {
    // λ = x³ − x folds at x = ∓1/√3, λ = ±2/(3√3).
    let mut cubic = FunctionSystem::new(1, |x: &[f64], l, out: &mut [f64]| out[0] = l + x[0] - x[0].powi(3));
    let branch = Continuation::new(-1.0, 1.0).run(&mut cubic, &[-1.3], -0.9).unwrap();
    assert_eq!(kinds(&branch), [BifurcationKind::Fold, BifurcationKind::Fold]);
    let height = 2.0 / 27.0_f64.sqrt();
    for (point, (l, x)) in branch.bifurcations.iter().zip([(height, -1.0), (-height, 1.0)]) {
        assert!((point.parameter - l).abs() < 1e-10, "{}", point.parameter);
        assert!((point.state[0] - x / 3.0_f64.sqrt()).abs() < 1e-6 && point.parameter_error < 1e-8);
    }
    // Outside stable, between the folds unstable.
    assert_eq!(branch.stop, BranchStop::Bound);
    assert_eq!(branch.points.last().unwrap().parameter, 1.0);
    for point in &branch.points {
        assert_eq!(point.is_stable(), point.state[0].abs() > 1.0 / 3.0_f64.sqrt());
        assert!(point.residual < 1e-10);
    }
    // A closed curve comes back, past two folds.
    let mut circle = FunctionSystem::new(1, |x: &[f64], l, out: &mut [f64]| out[0] = 1.0 - l * l - x[0] * x[0]);
    let branch = Continuation::new(-2.0, 2.0).run(&mut circle, &[1.0], 0.0).unwrap();
    assert_eq!(branch.stop, BranchStop::Closed);
    assert_eq!(kinds(&branch), [BifurcationKind::Fold, BifurcationKind::Fold]);
    assert!((branch.bifurcations[0].parameter - 1.0).abs() < 1e-10);
    assert!((branch.points.last().unwrap().arclength - std::f64::consts::TAU).abs() < 0.1);
}

#[test]
fn pitchforks_are_found_from_either_branch_and_switched_at() {
    let mut pitchfork = FunctionSystem::new(2, |x: &[f64], l: f64, out: &mut [f64]| {
        out[0] = (l - 0.3) * x[0] - x[0].powi(3);
        out[1] = 0.5 * l - x[1] + x[0] * x[0];
    });
    let plan = Continuation::new(-1.0, 1.0);
    let branch = plan.run(&mut pitchfork, &[0.0, -0.45], -0.9).unwrap();
    assert_eq!(kinds(&branch), [BifurcationKind::BranchPoint { crossing: 1 }]);
    let point = &branch.bifurcations[0];
    assert!((point.parameter - 0.3).abs() < 1e-9 && point.parameter_error < 1e-8, "{}", point.parameter);
    let ways = plan.switch(&mut pitchfork, point).unwrap();
    assert_eq!(ways.len(), 2);
    for way in &ways {
        let side = plan.run_from(&mut pitchfork, way).unwrap();
        assert!(side.points.len() > 5 && side.points.iter().all(|p| p.state[0] * way.state[0] > 0.0 && p.is_stable()));
        for p in &side.points {
            assert!((p.state[0] * p.state[0] - (p.parameter - 0.3)).abs() < 1e-9);
        }
        // Back through the pitchfork from its side.
        let last = side.points.last().unwrap();
        let back = plan.downwards().run(&mut pitchfork, last.state.as_slice(), last.parameter).unwrap();
        assert!(matches!(back.bifurcations[0].kind, BifurcationKind::BranchPoint { .. }), "{:?}", kinds(&back));
        assert!((back.bifurcations[0].parameter - 0.3).abs() < 1e-8);
    }
    assert!(branch.points.iter().all(|p| p.is_stable() == (p.parameter < 0.3)));
}

#[test]
fn transcritical_points_exchange_stability_on_both_branches() {
    let mut system = FunctionSystem::new(1, |x: &[f64], l: f64, out: &mut [f64]| out[0] = x[0] * (l - 0.1 - x[0]));
    let plan = Continuation::new(-1.0, 1.0);
    for start in [0.0, -0.9] {
        let branch = plan.run(&mut system, &[start], -0.8).unwrap();
        assert_eq!(kinds(&branch), [BifurcationKind::BranchPoint { crossing: 1 }], "from {start}");
        assert!((branch.bifurcations[0].parameter - 0.1).abs() < 1e-8);
        let ways = plan.switch(&mut system, &branch.bifurcations[0]).unwrap();
        assert_eq!(ways.len(), 2);
        let slope = if start == 0.0 { 1.0 } else { 0.0 };
        for way in ways {
            assert!((way.state[0] - slope * (way.parameter - 0.1)).abs() < 1e-9);
        }
    }
}

/// The Brusselator, x' = A + x²y − (B + 1)x, y' = Bx − x²y: fixed point (A, B/A), Hopf at B = 1 + A² with frequency A.
struct Brusselator {
    a: f64,
    differences: bool,
}

impl ContinuationSystem for Brusselator {
    type Error = std::convert::Infallible;
    fn dimension(&self) -> usize {
        2
    }
    fn residual(&mut self, x: &[f64], b: f64, out: &mut [f64]) -> Result<(), Self::Error> {
        let cubic = x[0] * x[0] * x[1];
        out.copy_from_slice(&[self.a + cubic - (b + 1.0) * x[0], b * x[0] - cubic]);
        Ok(())
    }
    fn jacobian(&mut self, x: &[f64], b: f64) -> Result<(DMatrix<f64>, DVector<f64>), Self::Error> {
        if self.differences {
            let a = self.a;
            let f = move |x: &[f64], b: f64, out: &mut [f64]| {
                let cubic = x[0] * x[0] * x[1];
                out.copy_from_slice(&[a + cubic - (b + 1.0) * x[0], b * x[0] - cubic]);
            };
            return FunctionSystem::new(2, f).jacobian(x, b);
        }
        let (xy, xx) = (2.0 * x[0] * x[1], x[0] * x[0]);
        let by_state = DMatrix::from_row_slice(2, 2, &[xy - b - 1.0, xx, b - xy, -xx]);
        Ok((by_state, DVector::from_column_slice(&[-x[0], x[0]])))
    }
}

#[test]
fn hopf_points_stand_where_they_are_known_to_with_their_frequency() {
    for a in [0.7, 1.0, 1.6] {
        for differences in [false, true] {
            let mut system = Brusselator { a, differences };
            let branch = Continuation::new(0.2, 5.0).run(&mut system, &[a, 0.3 / a], 0.3).unwrap();
            assert_eq!(branch.bifurcations.len(), 1);
            let BifurcationKind::Hopf { frequency } = branch.bifurcations[0].kind else {
                panic!("{:?}", kinds(&branch))
            };
            assert!((branch.bifurcations[0].parameter - (1.0 + a * a)).abs() < 1e-8);
            assert!((frequency - a).abs() < 1e-6);
            assert!(branch.points.iter().all(|p| p.is_stable() == (p.parameter < 1.0 + a * a)));
        }
    }
    // The normal form, with its eigenvalues λ ± 2i at the origin.
    let mut normal = FunctionSystem::new(2, |x: &[f64], l: f64, out: &mut [f64]| {
        let r = x[0] * x[0] + x[1] * x[1];
        out.copy_from_slice(&[(l - r) * x[0] - 2.0 * x[1], 2.0 * x[0] + (l - r) * x[1]]);
    });
    let branch = Continuation::new(-0.5, 0.5).run(&mut normal, &[0.0, 0.0], -0.5).unwrap();
    assert!(matches!(kinds(&branch)[..], [BifurcationKind::Hopf { frequency }] if (frequency - 2.0).abs() < 1e-9));
    assert!(branch.bifurcations[0].parameter.abs() < 1e-9);
}

#[test]
fn several_eigenvalues_that_cross_at_once_are_one_branch_point_with_many_ways_out() {
    // Two equal features: (λ − x² − 2y²) x and (λ − y² − 2x²) y; axes and diagonals leave the origin.
    let mut system = FunctionSystem::new(2, |x: &[f64], l: f64, out: &mut [f64]| {
        let (a, b) = (x[0] * x[0], x[1] * x[1]);
        out.copy_from_slice(&[(l - a - 2.0 * b) * x[0], (l - b - 2.0 * a) * x[1]]);
    });
    let plan = Continuation::new(-1.0, 1.0);
    let branch = plan.run(&mut system, &[0.0, 0.0], -0.7).unwrap();
    assert_eq!(kinds(&branch), [BifurcationKind::BranchPoint { crossing: 2 }]);
    assert!(branch.bifurcations[0].parameter.abs() < 1e-9);
    assert_eq!(plan.switch(&mut system, &branch.bifurcations[0]).unwrap().len(), 8);
}

#[test]
fn settings_that_make_no_sense_and_starts_without_a_solution_are_refused() {
    let mut none = FunctionSystem::new(1, |x: &[f64], l: f64, out: &mut [f64]| out[0] = 1.0 + l * l + x[0] * x[0]);
    let plan = Continuation::new(-1.0, 1.0);
    assert!(matches!(plan.run(&mut none, &[0.2], 0.0), Err(ContinuationError::NoSolution)));
    assert!(matches!(plan.run(&mut none, &[0.2, 0.1], 0.0), Err(ContinuationError::Dimension { .. })));
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        for plan in [
            plan.parameter_scale(bad),
            plan.first_step(bad),
            plan.steps(bad, 0.1),
            plan.steps(1e-6, bad),
            plan.tolerance(bad),
            plan.location(bad),
            Continuation::new(0.0, bad),
        ] {
            assert!(matches!(plan.run(&mut none, &[0.2], 0.0), Err(ContinuationError::Setting { .. })));
        }
    }
    let mut line = FunctionSystem::new(1, |x: &[f64], l: f64, out: &mut [f64]| out[0] = l - x[0]);
    let branch = plan.point_limit(7).run(&mut line, &[0.0], 0.0).unwrap();
    assert_eq!((branch.stop, branch.points.len()), (BranchStop::PointLimit, 7));
}

fn builder<H: HiddenDistribution>(hidden: H) -> ModelBuilder<Tanh, H, GaussianNoise, f64> {
    let noise = GaussianNoise::correlated(0.3, -0.5).unwrap();
    Model::builder().nonlinearity(Tanh).hidden(hidden).noise(noise).learning_rate(0.3).weight_decay(0.5)
}

fn uninformative(ode: &ReducedOde<'_>) -> OrderParameters {
    let r = uninformative_points(ode, 0.02, 20.0).unwrap()[0].r;
    OrderParameters::new(DMatrix::zeros(ode.limit().n_features(), 1), DMatrix::from_element(1, 1, r)).unwrap()
}

/// The pitchfork at the uninformative state is where the growth rate, by Stein's lemma, is zero; the branch that leaves it
/// ends at the fixed point that the finder knows.
#[test]
fn the_informed_state_branches_off_where_the_feature_becomes_learnable() {
    let model = builder(Independent::new([Law::two_point(2.25).unwrap()]).unwrap()).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let mut curve = OdeCurve::new(&ode, Parameter::SecondMoment(0)).unwrap();
    let plan = Continuation::new(0.5, 2.25).steps(1e-9, 0.05);
    let start = curve.coordinates(&uninformative(&ode));
    let branch = plan.downwards().run(&mut curve, &start, 2.25).unwrap();
    assert_eq!(kinds(&branch), [BifurcationKind::BranchPoint { crossing: 1 }]);
    let point = &branch.bifurcations[0];
    let growth = |moment: f64| {
        let member = ode.with_parameter(Parameter::SecondMoment(0), moment).unwrap();
        uninformative_points(&member, 0.02, 20.0).unwrap()[0].growth_rates[0]
    };
    // μ is affine in the second moment: its zero is exact from two values.
    let (low, high) = (growth(1.0), growth(2.0));
    let critical = 1.0 + low / (low - high);
    assert!((point.parameter - critical).abs() < 1e-8, "{} against {critical}", point.parameter);
    let ways = plan.switch(&mut curve, point).unwrap();
    assert_eq!(ways.len(), 2);
    let side = plan.run_from(&mut curve, &ways[0]).unwrap();
    assert_eq!(side.stop, BranchStop::Bound);
    let found = FixedPointFinder::new(&ode).find().unwrap();
    let informed = found.points.iter().find(|p| p.kind == Kind::Selected { features: vec![Some(0)] }).unwrap();
    let end = curve.state(side.points.last().unwrap().state.as_slice());
    assert_eq!(side.points.last().unwrap().parameter, 2.25);
    assert!(informed.images.iter().any(|s| (s.to_packed() - end.to_packed()).amax() < 1e-8));
    assert!(side.points.last().unwrap().is_stable());
}

#[test]
fn equal_features_become_learnable_at_once() {
    let hidden = || Independent::new([Law::two_point(2.25).unwrap(), Law::three_point(2.25, 0.5).unwrap()]).unwrap();
    let model = builder(hidden()).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let mut curve = OdeCurve::new(&ode, Parameter::BackgroundStd).unwrap();
    let start = curve.coordinates(&uninformative(&ode));
    let plan = Continuation::new(0.9, 1.6);
    let branch = plan.run(&mut curve, &start, 1.0).unwrap();
    let both = branch.bifurcations.iter().find(|p| p.kind == BifurcationKind::BranchPoint { crossing: 2 });
    let Some(point) = both else { panic!("{:?} {:?}", kinds(&branch), branch.stop) };
    // Each feature's own branch and mixtures leave there.
    let ways = plan.switch(&mut curve, point).unwrap();
    assert!(ways.len() >= 6, "{}", ways.len());
    // A family of models gives the same by differences.
    let family = ModelFamily(|std| builder(hidden()).background_std(std).build());
    let mut curve = FamilyCurve::new::<f64>(family, 1.0).unwrap();
    let again = plan.run(&mut curve, &start, 1.0).unwrap();
    let other = again.bifurcations.iter().find(|p| p.kind == point.kind).unwrap();
    assert!((other.parameter - point.parameter).abs() < 1e-8);
}

/// Every parameter: the point continued to another value is the fixed point of the model built with that value.
#[test]
fn continued_points_are_fixed_points_of_the_models_at_the_other_end() {
    let hidden = |s: f64| Independent::new([Law::skewed(s, 0.3).unwrap(), Law::two_point(1.5).unwrap()]).unwrap();
    let noise = |f: f64, fc: f64, b: f64, bc: f64| {
        use contrastive_dynamics::model::ViewCovariance;
        GaussianNoise::new(ViewCovariance::correlated(f, fc).unwrap(), ViewCovariance::correlated(b, bc).unwrap())
    };
    let base = || builder(hidden(2.25)).noise(noise(0.3, -0.2, 0.4, 0.1)).batch_size(2).background_std(0.9);
    let model = base().build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let point = FixedPointFinder::new(&ode).find().unwrap();
    let point = point.stable().next().unwrap().state.clone();
    let cases = [
        (Parameter::LearningRate, 0.3, 0.4, base().learning_rate(0.4).build()),
        (Parameter::WeightDecay, 0.5, 0.6, base().weight_decay(0.6).build()),
        (Parameter::BatchSize, 2.0, 3.0, base().batch_size(3).build()),
        (Parameter::BackgroundStd, 0.9, 1.0, base().background_std(1.0).build()),
        (Parameter::SecondMoment(0), 2.25, 2.4, base().hidden(hidden(2.4)).build()),
        (Parameter::FeatureNoiseVariance, 0.3, 0.4, base().noise(noise(0.4, -0.2, 0.4, 0.1)).build()),
        (Parameter::FeatureNoiseCorrelation, -0.2, 0.3, base().noise(noise(0.3, 0.3, 0.4, 0.1)).build()),
        (Parameter::BackgroundNoiseVariance, 0.4, 0.5, base().noise(noise(0.3, -0.2, 0.5, 0.1)).build()),
        (Parameter::BackgroundNoiseCorrelation, 0.1, 0.4, base().noise(noise(0.3, -0.2, 0.4, 0.4)).build()),
    ];
    for (parameter, from, to, other) in cases {
        let mut curve = OdeCurve::new(&ode, parameter).unwrap();
        assert!((ode.parameter(parameter).unwrap() - from).abs() < 1e-14);
        let start = curve.coordinates(&point);
        let branch = Continuation::new(from - 0.01, to).run(&mut curve, &start, from).unwrap();
        let last = branch.points.last().unwrap();
        assert_eq!((branch.stop, last.parameter), (BranchStop::Bound, to), "{parameter:?}");
        let other = other.unwrap();
        let rates = ReducedOde::new(&other).unwrap().rates(&curve.state(last.state.as_slice())).unwrap();
        assert!(rates.q.amax().max(rates.r.amax()) < 1e-9, "{parameter:?}: {rates:?}");
        assert!((curve.state(last.state.as_slice()).to_packed() - point.to_packed()).amax() > 1e-4, "it has moved");
    }
    assert!(OdeCurve::new(&ode, Parameter::SecondMoment(7)).is_err());
}

#[test]
fn values_out_of_a_parameters_range_are_refused() {
    let model = builder(Independent::new([Law::two_point(2.25).unwrap()]).unwrap()).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    for (parameter, bad) in [
        (Parameter::LearningRate, 0.0),
        (Parameter::WeightDecay, -0.1),
        (Parameter::BatchSize, 0.5),
        (Parameter::BackgroundStd, -1.0),
        (Parameter::SecondMoment(0), 0.0),
        (Parameter::FeatureNoiseVariance, -0.1),
        (Parameter::BackgroundNoiseCorrelation, 1.1),
        (Parameter::PenaltyStrength, f64::INFINITY),
    ] {
        for value in [bad, f64::NAN] {
            let refusal = ode.with_parameter(parameter, value);
            assert!(
                matches!(refusal, Err(contrastive_dynamics::limit::LimitError::ParameterValue { .. })),
                "{parameter:?} {value}"
            );
        }
    }
    assert!(ode.with_parameter(Parameter::SecondMoment(1), 1.0).is_err());
}

#[test]
fn branches_on_the_sphere_and_of_two_neurons_go_through() {
    let hidden = || Independent::new([Law::two_point(2.25).unwrap()]).unwrap();
    let model = builder(hidden()).constraint(Constraint::Sphere).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let mut curve = OdeCurve::new(&ode, Parameter::SecondMoment(0)).unwrap();
    assert_eq!(curve.dimension(), 1);
    let branch = Continuation::new(0.5, 2.25).downwards().run(&mut curve, &[0.0], 2.25).unwrap();
    assert_eq!(kinds(&branch), [BifurcationKind::BranchPoint { crossing: 1 }]);
    let model = builder(hidden()).n_neurons(2).penalty_strength(0.5).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let found = FixedPointFinder::new(&ode).sobol_starts(0).deflated_starts(0).find().unwrap();
    let inside =
        found.points.iter().find(|p| p.kind == Kind::Uninformative && p.state.background().determinant() > 0.01);
    let mut curve = OdeCurve::new(&ode, Parameter::PenaltyStrength).unwrap();
    let start = curve.coordinates(&inside.unwrap().state);
    let branch = Continuation::new(0.0, 0.5).downwards().run(&mut curve, &start, 0.5).unwrap();
    let last = branch.points.last().unwrap();
    // Without a penalty each neuron stands where one does alone.
    assert_eq!((branch.stop.clone(), last.parameter), (BranchStop::Bound, 0.0), "{branch}");
    assert!((last.state[2] - 0.545_903_857).abs() < 1e-6, "{branch}");
}

#[test]
fn an_observer_sees_the_branch_grow_and_may_end_it() {
    let mut cubic = FunctionSystem::new(1, |x: &[f64], l, out: &mut [f64]| out[0] = l + x[0] - x[0].powi(3));
    let plan = Continuation::new(-1.0, 1.0);
    let whole = plan.run(&mut cubic, &[-1.3], -0.9).unwrap();
    let mut seen = Vec::new();
    let watched = plan
        .run_with(&mut cubic, &[-1.3], -0.9, |branch| {
            seen.push((branch.points.len(), branch.bifurcations.len()));
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(watched, whole);
    assert_eq!(seen.iter().map(|x| x.0).collect::<Vec<_>>(), (1..=whole.points.len()).collect::<Vec<_>>());
    assert!(seen.windows(2).all(|pair| pair[0].1 <= pair[1].1) && seen.last().unwrap().1 == 2);
    // Up to the first fold: what there is by then comes back.
    let stop = |branch: &Branch<f64, _>| {
        if branch.bifurcations.is_empty() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let half = plan.run_with(&mut cubic, &[-1.3], -0.9, stop).unwrap();
    assert_eq!((&half.stop, half.bifurcations.len()), (&BranchStop::Observer, 1));
    assert_eq!(half.points[..], whole.points[..half.points.len()]);
    assert_eq!(half.points.len(), half.bifurcations[0].after + 2);
    let first = plan.run_with(&mut cubic, &[-1.3], -0.9, |_| ControlFlow::Break(())).unwrap();
    assert_eq!((first.stop, first.points.len()), (BranchStop::Observer, 1));
    // On a branch that was switched to.
    let mut pitchfork =
        FunctionSystem::new(1, |x: &[f64], l: f64, out: &mut [f64]| out[0] = (l - 0.3) * x[0] - x[0].powi(3));
    let trunk = plan.run(&mut pitchfork, &[0.0], -0.9).unwrap();
    let way = &plan.switch(&mut pitchfork, &trunk.bifurcations[0]).unwrap()[0];
    let third = |branch: &Branch<f64, _>| {
        if branch.points.len() < 3 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let side = plan.run_from_with(&mut pitchfork, way, third).unwrap();
    assert_eq!((side.stop, side.points.len()), (BranchStop::Observer, 3));
}

#[test]
fn branches_are_tables() {
    let mut cubic = FunctionSystem::new(1, |x: &[f64], l, out: &mut [f64]| out[0] = l + x[0] - x[0].powi(3));
    let branch = Continuation::new(-1.0, 1.0).run(&mut cubic, &[-1.3], -0.9).unwrap();
    let table = branch.to_table();
    assert_eq!(table.columns(), ["parameter", "arclength", "unstable", "abscissa", "x_0", "event"]);
    assert_eq!(table.rows().len(), branch.points.len() + 2);
    let (parameters, lengths) = (table.numbers("parameter").unwrap(), table.numbers("arclength").unwrap());
    for (event, (row, cell)) in branch
        .bifurcations
        .iter()
        .zip(table.column("event").unwrap().enumerate().filter(|(_, cell)| **cell != Cell::Empty))
    {
        assert_eq!((cell, parameters[row]), (&Cell::from("fold"), event.parameter));
        // Between the two points around it, and without an arclength.
        assert!(lengths[row].is_nan() && lengths[row - 1] < lengths[row + 1]);
        assert_eq!(parameters[row - 1], branch.points[event.after].parameter);
    }
    assert_eq!(table.column("event").unwrap().filter(|cell| **cell == Cell::from("fold")).count(), 2);
    assert_eq!(table.comments(), ["ends: the parameter reached its bound"]);
}

/// On a line arclengths are exact: x = λ/2, where a change of λ by 4 counts as one of 1 in x.
#[test]
fn steps_are_measured_in_the_scale_of_the_parameter() {
    let mut line = FunctionSystem::new(1, |x: &[f64], l: f64, out: &mut [f64]| out[0] = x[0] - 0.5 * l);
    let plan = Continuation::new(-1.0, 1.0).parameter_scale(4.0).first_step(0.01).steps(1e-6, 0.03).point_limit(12);
    let branch = plan.run(&mut line, &[-0.25], -0.5).unwrap();
    let lengths: Vec<f64> = branch
        .points
        .windows(2)
        .map(|ends| {
            let (x, l) = (ends[1].state[0] - ends[0].state[0], ends[1].parameter - ends[0].parameter);
            (x * x + (l / 4.0).powi(2)).sqrt()
        })
        .collect();
    assert_eq!(branch.points.len(), 12);
    assert!((lengths[0] - 0.01).abs() < 1e-9, "{lengths:?}");
    assert!(lengths.iter().all(|&length| length < 0.03 + 1e-9), "{lengths:?}");
    assert!((lengths[10] - 0.03).abs() < 1e-9, "{lengths:?}");
    // In another scale the same steps are others.
    let other = plan.parameter_scale(1.0).run(&mut line, &[-0.25], -0.5).unwrap();
    let first = other.points[1].parameter - other.points[0].parameter;
    assert!((first - 0.01 / 1.25_f64.sqrt()).abs() < 1e-9, "{first}");
}

/// The unknowns of a state and back; on the sphere R_ii is none of them.
#[test]
fn unknowns_of_a_family_are_the_entries_that_move() {
    let two = || Independent::new([Law::two_point(2.25).unwrap(), Law::two_point(1.5).unwrap()]).unwrap();
    for constraint in [Constraint::None, Constraint::Sphere] {
        let family = ModelFamily(move |std| builder(two()).background_std(std).constraint(constraint).build());
        let mut curve = FamilyCurve::new::<f64>(family, 1.0).unwrap();
        let state = OrderParameters::from_rows(2, 1, &[0.6, -0.3], &[1.0]).unwrap();
        let x = curve.coordinates(&state);
        let expected: &[f64] = if constraint == Constraint::None { &[0.6, -0.3, 1.0] } else { &[0.6, -0.3] };
        assert_eq!((&x[..], curve.dimension()), (expected, expected.len()));
        assert_eq!(curve.state(&x), state);
        // The residual there is what the ODE says.
        let model = builder(two()).background_std(1.0).constraint(constraint).build().unwrap();
        let rates = ReducedOde::new(&model).unwrap().rates(&state).unwrap();
        let mut out = vec![0.0_f64; x.len()];
        curve.residual(&x, 1.0, &mut out).unwrap();
        assert!((out[0] - rates.q[(0, 0)]).abs() < 1e-9 && (out[1] - rates.q[(1, 0)]).abs() < 1e-9);
    }
}
