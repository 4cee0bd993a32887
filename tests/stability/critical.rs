//! What can be learned, and at which values of parameters that changes.

use contrastive_dynamics::data::Cell;
use contrastive_dynamics::integrate::{DormandPrince, Output};
use contrastive_dynamics::limit::Parameter;
use contrastive_dynamics::model::{
    Constraint, Discrete, GaussianNoise, GradientPath, HiddenDistribution, Independent, Law, Model, ModelBuilder,
    PointMasses, Quartic, Tanh,
};
use contrastive_dynamics::nalgebra::{Complex, DMatrix};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::stability::{
    BifurcationKind, Continuation, CriticalError, Learnability, ModelFamily, OdeCurve, ParameterFamily, PhaseDiagram,
    StabilityError, attracting_learnability, critical_value, eigenvalues, learnability, uninformative_points,
};
use contrastive_dynamics::state::OrderParameters;

fn builder<H: HiddenDistribution>(hidden: H) -> ModelBuilder<Tanh, H, GaussianNoise, f64> {
    let noise = GaussianNoise::correlated(0.3, -0.5).unwrap();
    Model::builder().nonlinearity(Tanh).hidden(hidden).noise(noise).learning_rate(0.3).weight_decay(0.5)
}

fn one(law: Law) -> Independent {
    Independent::new([law]).unwrap()
}

/// Finding 1 of Meng and Wang: of the hidden law only the second moment decides what can be learned.
#[test]
fn laws_of_equal_second_moment_are_equally_learnable_whatever_their_higher_moments() {
    let laws = [
        Law::two_point(2.25),
        Law::three_point(2.25, 0.3),
        Law::three_point(2.25, 0.8),
        Law::gaussian(2.25),
        Law::uniform(2.25),
        Law::laplace(2.25),
        Law::skewed(2.25, 0.2),
        Law::skewed(2.25, 0.7),
    ];
    let rate = |law: Law| {
        let model = builder(one(law)).build().unwrap();
        let ode = ReducedOde::new(&model).unwrap().coefficient_tolerance(1e-12).unwrap();
        let state = attracting_learnability(&ode).unwrap();
        let growth = state.growth(0).unwrap();
        // The ODE itself, from a small overlap: d ln Q/dt at first.
        let r = state.state.r()[(0, 0)];
        let start = OrderParameters::from_rows(1, 1, &[1e-5], &[r]).unwrap();
        let solver = ode.solver().integrator(DormandPrince::new(1e-11, 1e-16).unwrap());
        let run = solver.output(Output::Times(vec![0.0, 2.0])).solve(&start, 2.0).unwrap();
        let q: Vec<f64> = run.states().iter().map(|state| state.q()[(0, 0)]).collect();
        let early = (q[1] / q[0]).ln() / 2.0;
        assert!((early - growth).abs() < 1e-6, "{early} against {growth}");
        growth
    };
    let rates = laws.map(|law| rate(law.unwrap()));
    assert!(rates.iter().all(|x| (x - rates[0]).abs() < 1e-10), "{rates:?}");
    // One per cent more of it shows.
    assert!(rate(Law::skewed(2.25 * 1.01, 0.2).unwrap()) - rates[0] > 1e-3);
}

/// The eigenvalues of the Q-block of the exact Jacobian, which knows nothing of Stein's lemma.
fn block(ode: &ReducedOde<'_>, state: &OrderParameters) -> Vec<Complex<f64>> {
    let n = state.n_features() * state.n_neurons();
    let jacobian = ode.sensitivities(state, &[]).unwrap().by_state;
    assert!(jacobian.view((n, 0), (jacobian.nrows() - n, n)).amax() < 1e-8, "block diagonal");
    eigenvalues(&jacobian.view((0, 0), (n, n)).into_owned()).unwrap()
}

fn check(ode: &ReducedOde<'_>) -> Vec<Learnability> {
    let states = learnability(ode).unwrap();
    let mut compared = 0;
    for state in &states {
        let r = state.state.r();
        if r.clone().determinant() < 1e-9 * r.amax().powi(2) {
            continue; // The boundary: no Jacobian there but by extrapolation.
        }
        compared += 1;
        let mut closed: Vec<Complex<f64>> = state.rates.iter().flatten().copied().collect();
        closed.sort_by(|x, y| y.re.total_cmp(&x.re).then(y.im.total_cmp(&x.im)));
        for (x, y) in closed.iter().zip(block(ode, &state.state)) {
            assert!((x - y).norm() < 1e-8, "{x} against {y}");
        }
        let rates = ode.rates(&state.state).unwrap();
        assert!(rates.q.amax().max(rates.r.amax()) < 1e-6);
    }
    assert!(compared > 0);
    states
}

#[test]
fn growth_rates_in_closed_form_are_eigenvalues_of_the_jacobian_for_any_number_of_neurons() {
    let hidden = || Independent::new([Law::two_point(2.25).unwrap(), Law::skewed(0.8, 0.2).unwrap()]).unwrap();
    let model = builder(hidden()).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let states = check(&ode);
    // As the older analysis of one neuron has it.
    let points = uninformative_points(&ode, 0.02, 20.0).unwrap();
    assert_eq!((states.len(), points.len()), (1, 1));
    for l in 0..2 {
        assert!((states[0].growth(l).unwrap() - points[0].growth_rates[l]).abs() < 1e-9);
    }
    assert_eq!(states[0].learnable(), [0]);
    let model = builder(hidden()).gradient_path(GradientPath::StopGradient).batch_size(2).build().unwrap();
    check(&ReducedOde::new(&model).unwrap());
    let model = builder(hidden()).constraint(Constraint::Sphere).build().unwrap();
    check(&ReducedOde::new(&model).unwrap());
    // Correlated variables: along the eigenvectors of their second moment.
    let s = 1.5;
    let signs = DMatrix::from_row_slice(2, 4, &[s, s, -s, -s, s, -s, s, -s]);
    let model = builder(Discrete::new(signs, [0.35, 0.15, 0.15, 0.35]).unwrap()).build().unwrap();
    let states = check(&ReducedOde::new(&model).unwrap());
    assert!(states[0].moments[0] > states[0].moments[1] && (states[0].moments[0] - 2.25 * 1.4).abs() < 1e-12);
    let model = builder(one(Law::two_point(2.25).unwrap())).n_neurons(2).penalty_strength(0.8).batch_size(3);
    let model = model.gradient_path(GradientPath::StopGradient).build().unwrap();
    let states = check(&ReducedOde::new(&model).unwrap().coefficient_tolerance(1e-10).unwrap());
    assert!(states.len() > 1, "copies besides independent neurons");
    let model = builder(one(Law::two_point(2.25).unwrap())).n_neurons(2).build().unwrap();
    let states = check(&ReducedOde::new(&model).unwrap().coefficient_tolerance(1e-10).unwrap());
    assert!((states[0].growth(0).unwrap() - points[0].growth_rates[0]).abs() < 1e-6, "as one neuron alone");
}

#[test]
fn models_without_an_uninformative_state_are_told_so() {
    let law = || one(Law::two_point(2.25).unwrap());
    let decaying = builder(law()).weight_decay(20.0).build().unwrap();
    assert!(matches!(learnability(&ReducedOde::new(&decaying).unwrap()), Err(StabilityError::NoUninformativePoint)));
    let shifted = Independent::new([PointMasses::new([1.0, 0.0], [0.5, 0.5]).unwrap()]).unwrap();
    let shifted = builder(shifted).build().unwrap();
    assert!(matches!(learnability(&ReducedOde::new(&shifted).unwrap()), Err(StabilityError::NotCentred { .. })));
    let quartic = builder(law()).n_neurons(2).penalty(Quartic).penalty_strength(0.5).build().unwrap();
    let answer = learnability(&ReducedOde::new(&quartic).unwrap());
    assert!(matches!(answer, Err(StabilityError::Penalty | StabilityError::NoUninformativePoint)));
}

/// Two ways to the same value: the zero of the closed form, bracketed, and the branch point of the curve of uninformative
/// states, from the exact Jacobian.
#[test]
fn critical_values_of_every_parameter_are_proved_and_are_the_branch_points() {
    let model = builder(one(Law::skewed(1.5, 0.3).unwrap())).build().unwrap();
    let base = ReducedOde::new(&model).unwrap();
    for (parameter, moment, (low, high)) in [
        (Parameter::SecondMoment(0), 1.5, (0.8, 2.5)),
        (Parameter::LearningRate, 1.5, (0.1, 1.5)),
        (Parameter::WeightDecay, 1.2, (0.2, 1.2)),
        (Parameter::BackgroundStd, 1.5, (0.8, 1.4)),
        (Parameter::FeatureNoiseVariance, 1.5, (0.05, 1.5)),
        (Parameter::FeatureNoiseCorrelation, 1.25, (-1.0, 1.0)),
        (Parameter::BackgroundNoiseVariance, 1.5, (0.05, 1.5)),
        (Parameter::BackgroundNoiseCorrelation, 1.5, (-0.9, 0.9)),
        (Parameter::BatchSize, 1.15, (1.0, 8.0)),
    ] {
        let ode = base.with_parameter(Parameter::SecondMoment(0), moment).unwrap();
        let critical = critical_value(&ParameterFamily::new(&ode, parameter), 0, (low, high), 1e-9).unwrap();
        let (below, above) = critical.bracket;
        assert!(below.is_certain() && above.is_certain() && (below.rate > 0.0) != (above.rate > 0.0));
        assert!(below.parameter <= critical.parameter && critical.parameter <= above.parameter);
        assert!(above.parameter - below.parameter < 1e-7, "{parameter:?} {critical:?}");
        let mut curve = OdeCurve::new(&ode, parameter).unwrap();
        let member = ode.with_parameter(parameter, low).unwrap();
        let start = curve.coordinates(&attracting_learnability(&member).unwrap().state);
        let branch = Continuation::new(low, high).run(&mut curve, &start, low).unwrap();
        let points: Vec<_> =
            branch.bifurcations.iter().filter(|p| matches!(p.kind, BifurcationKind::BranchPoint { .. })).collect();
        assert_eq!(points.len(), 1, "{parameter:?} {:?}", branch.stop);
        let apart = (points[0].parameter - critical.parameter).abs();
        assert!(apart < 1e-8, "{parameter:?}: {} against {critical:?}", points[0].parameter);
    }
    // Affine in the second moment: exact from two values.
    let family = ParameterFamily::new(&base, Parameter::SecondMoment(0));
    let critical = critical_value(&family, 0, (0.8, 2.5), 1e-9).unwrap();
    let growth = |moment| {
        let ode = base.with_parameter(Parameter::SecondMoment(0), moment).unwrap();
        uninformative_points(&ode, 0.02, 20.0).unwrap()[0].growth_rates[0]
    };
    let (x, y) = (growth(1.0), growth(2.0));
    assert!((critical.parameter - (1.0 + x / (x - y))).abs() < 1e-8);
    // What is no parameter of a model: the scale of a nonlinearity.
    let family = ModelFamily(|scale: f64| {
        let scaled = (move |h: f64| (scale * h).tanh(), move |h: f64| scale * (1.0 - (scale * h).tanh().powi(2)));
        builder(one(Law::two_point(1.25)?)).nonlinearity(scaled).build()
    });
    // σ(ah) at decay γ is σ(h) at decay γ/a² and learning rate a²τ, with weights a times as large.
    let critical = critical_value(&family, 0, (0.7, 1.6), 1e-6).unwrap();
    let square = critical.parameter * critical.parameter;
    let model = builder(one(Law::two_point(1.25).unwrap())).learning_rate(0.3 * square).weight_decay(0.5 / square);
    let model = model.build().unwrap();
    let growth = attracting_learnability(&ReducedOde::new(&model).unwrap()).unwrap().growth(0).unwrap();
    assert!(growth.abs() < 1e-5, "{growth}");
}

#[test]
fn intervals_without_a_critical_value_are_refused_with_what_is_known() {
    let model = builder(one(Law::two_point(2.25).unwrap())).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let family = ParameterFamily::new(&ode, Parameter::SecondMoment(0));
    let Err(CriticalError::NotBracketed { low, high }) = critical_value(&family, 0, (2.0, 2.5), 1e-6) else { panic!() };
    assert!(low.rate > 0.0 && high.rate > low.rate && low.parameter == 2.0);
    for (bounds, width) in [((2.0, 1.0), 1e-6), ((1.0, f64::NAN), 1e-6), ((1.0, 2.0), 0.0), ((1.0, 2.0), f64::NAN)] {
        assert!(matches!(critical_value(&family, 0, bounds, width), Err(CriticalError::Interval { .. })));
    }
    let answer = critical_value(&family, 3, (1.0, 2.0), 1e-6);
    assert!(matches!(answer, Err(CriticalError::Growth { source: StabilityError::Mode { mode: 3, modes: 1 }, .. })));
    let answer = critical_value(&family, 0, (-1.0, 2.0), 1e-6);
    assert!(matches!(answer, Err(CriticalError::Growth { source: StabilityError::Family(_), bracket: None, .. })));
}

#[test]
fn phase_diagrams_hold_what_each_model_alone_gives() {
    let model = builder(one(Law::two_point(2.25).unwrap())).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let (moments, decays) = ([0.8, 1.6, 2.4], [0.2, 0.7, 30.0]);
    let diagram = PhaseDiagram::new(&ode, (Parameter::SecondMoment(0), &moments), (Parameter::WeightDecay, &decays));
    let models = PhaseDiagram::of_models(&moments, &decays, |moment, decay| {
        builder(one(Law::two_point(moment)?)).weight_decay(decay).build()
    });
    for (i, &moment) in moments.iter().enumerate() {
        for (j, &decay) in decays.iter().enumerate() {
            let alone = builder(one(Law::two_point(moment).unwrap())).weight_decay(decay).build().unwrap();
            let alone = attracting_learnability(&ReducedOde::new(&alone).unwrap());
            assert_eq!(models.cells[i * 3 + j], alone, "bit for bit");
            match alone {
                Ok(alone) => {
                    let growth = diagram.growth(i, j, 0).unwrap();
                    assert!((growth - alone.growth(0).unwrap()).abs() < 1e-9);
                    assert_eq!(growth > 0.0, moment > 1.5, "{moment} {decay}: {growth}");
                }
                Err(error) => {
                    assert_eq!((j, error), (2, StabilityError::NoUninformativePoint));
                    assert_eq!(diagram.growth(i, j, 0), None);
                }
            }
        }
    }
    assert!(
        diagram.growth(3, 0, 0).is_none() && diagram.growth(0, 3, 0).is_none() && diagram.growth(0, 0, 1).is_none()
    );
    // Numbers whose product with the number of columns wraps around to a cell.
    for (i, j) in [(1 << 63, 0), (usize::MAX, 1), (usize::MAX, usize::MAX), (0, usize::MAX)] {
        assert!(diagram.growth(i, j, 0).is_none() && diagram.cell(i, j).is_none(), "{i} {j}");
    }
    let table = diagram.to_table();
    assert_eq!(table.columns(), ["first", "second", "r", "growth_0", "failure"]);
    let rates = table.numbers("growth_0").unwrap();
    for (k, row) in table.rows().iter().enumerate() {
        let (i, j) = (k / 3, k % 3);
        assert_eq!(row[..2], [diagram.first[i].into(), diagram.second[j].into()]);
        assert_eq!(diagram.growth(i, j, 0).unwrap_or(f64::NAN).to_bits(), rates[k].to_bits());
        assert_eq!(row[4] == Cell::Empty, diagram.growth(i, j, 0).is_some());
    }
    assert_eq!(rates.len(), 9);
    assert!(
        PhaseDiagram::new(&ode, (Parameter::LearningRate, &[]), (Parameter::WeightDecay, &decays)).cells.is_empty()
    );
    // With two columns 2^63 is the number that wraps around to 0.
    let two = PhaseDiagram::new(&ode, (Parameter::SecondMoment(0), &[2.4]), (Parameter::WeightDecay, &decays[..2]));
    assert!(two.growth(0, 0, 0).is_some() && two.growth(1 << 63, 0, 0).is_none());
}

#[cfg(feature = "parallel")]
#[test]
fn phase_diagrams_are_the_same_on_any_number_of_threads() {
    let model = builder(one(Law::two_point(2.25).unwrap())).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let (moments, decays) = ([0.8, 1.6, 2.4], [0.2, 0.7]);
        pool.install(|| {
            PhaseDiagram::new(&ode, (Parameter::SecondMoment(0), &moments), (Parameter::WeightDecay, &decays))
        })
    };
    assert_eq!(on(1), on(4));
}
