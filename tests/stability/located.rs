//! Located bifurcations lie where they are known to by another way, within the error that they say.
//!
//! Closed forms, growth rates by Stein's lemma, and points a good way off the bifurcation with a sharper rule. Over all
//! events of a test at least 95 in 100 errors bound the distance, and none is so large as to say nothing. The
//! neighbours of branches that the flow cannot leave on every side are in `degenerate`.

use contrastive_dynamics::limit::Parameter;
use contrastive_dynamics::model::{
    Constraint, Erf, GaussianNoise, HiddenDistribution, Identity, Independent, Law, LinearRegularizer, Model, NoNoise,
    Nonlinearity, Polynomial, Spec, Tanh,
};
use contrastive_dynamics::nalgebra::{DMatrix, DVector};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::stability::{
    Bifurcation, BifurcationKind, Branch, Continuation, ContinuationSystem, FamilyCurve, FunctionSystem, ModelFamily,
    OdeCurve, uninformative_points,
};

/// Distances with the errors that bound them or not.
#[derive(Default)]
struct Tally(Vec<(String, f64, f64)>);

impl Tally {
    fn add(&mut self, name: impl Into<String>, event: &Bifurcation, truth: f64) {
        self.0.push((name.into(), (event.parameter - truth).abs(), event.parameter_error));
    }

    /// At least 95 in 100 errors bound, and none is above `most`.
    fn check(&self, most: f64) {
        let bounded = self.0.iter().filter(|(_, distance, error)| distance <= error).count();
        assert!(100 * bounded >= 95 * self.0.len(), "{bounded} of {}: {:?}", self.0.len(), self.0);
        for (name, distance, error) in &self.0 {
            assert!(*error > 0.0 && *error < most, "{name}: {error:e}");
            // What an error does not bound is not far off.
            assert!(*distance < 2.0 * error, "{name}: {distance:e} {error:e}");
        }
    }
}

#[test]
fn errors_bound_the_distance_to_closed_forms() {
    let mut tally = Tally::default();
    let wide = || Continuation::new(-3.0, 3.0);
    for k in 0..12_u32 {
        let s = f64::from(k) / 11.0;
        let (a, b, c) = (0.5 + s, 1.3 - 0.7 * s, 0.3 - 0.5 * s);
        // λ = a x³ − b x + c, with a second unknown that follows the first.
        let mut cubic = FunctionSystem::new(2, |x: &[f64], l: f64, out: &mut [f64]| {
            out[0] = l - a * x[0].powi(3) + b * x[0] - c;
            out[1] = x[0].sin() - 1.7 * x[1];
        });
        let x = -(b / a).sqrt() * 1.3;
        let start = a * x.powi(3) - b * x + c;
        let branch = wide().run(&mut cubic, &[x, x.sin() / 1.7], start).unwrap();
        assert_eq!(branch.bifurcations.len(), 2, "{branch}");
        let height = 2.0 / 3.0 * b * (b / (3.0 * a)).sqrt();
        for (event, l) in branch.bifurcations.iter().zip([c + height, c - height]) {
            assert_eq!(event.kind, BifurcationKind::Fold);
            tally.add("fold", event, l);
        }
        // A pitchfork at λ = c, seen from either branch, with a second unknown.
        let mut pitchfork = FunctionSystem::new(2, |x: &[f64], l: f64, out: &mut [f64]| {
            out[0] = (l - c) * x[0] - a * x[0].powi(3) + s * x[0] * x[1];
            out[1] = x[0] * x[0] - b * x[1];
        });
        let branch = wide().run(&mut pitchfork, &[0.0, 0.0], c - 1.0).unwrap();
        tally.add("pitchfork", &branch.bifurcations[0], c);
        let way = &wide().switch(&mut pitchfork, &branch.bifurcations[0]).unwrap()[0];
        let side = wide().downwards().point_limit(8).run_from(&mut pitchfork, way).unwrap();
        let last = side.points.last().unwrap();
        let direction = if last.parameter > c { wide().downwards() } else { wide() };
        let back = direction.run(&mut pitchfork, last.state.as_slice(), last.parameter).unwrap();
        tally.add("pitchfork from its side", &back.bifurcations[0], c);
        // Two branches that cross, at an angle.
        let mut crossing =
            FunctionSystem::new(1, |x: &[f64], l: f64, out: &mut [f64]| out[0] = (x[0] - s * l) * (l - c - b * x[0]));
        let (start, at) = (c - 0.9, c / (1.0 - b * s));
        if (0.2..5.0).contains(&(1.0 - b * s).abs()) && at.abs() < 2.5 {
            let branch = wide().run(&mut crossing, &[s * start], start).unwrap();
            tally.add("transcritical point", &branch.bifurcations[0], at);
        }
        // The Brusselator.
        let mut brusselator = FunctionSystem::new(2, |x: &[f64], l: f64, out: &mut [f64]| {
            let cubic = x[0] * x[0] * x[1];
            out.copy_from_slice(&[a + cubic - (l + 1.0) * x[0], l * x[0] - cubic]);
        });
        let branch = Continuation::new(0.2, 5.0).run(&mut brusselator, &[a, 0.3 / a], 0.3).unwrap();
        assert!(
            matches!(branch.bifurcations[0].kind, BifurcationKind::Hopf { frequency } if (frequency - a).abs() < 1e-9)
        );
        tally.add("Hopf", &branch.bifurcations[0], 1.0 + a * a);
        // Three eigenvalues at once, seen from the axis and, along it, from the branch that leaves there.
        let mut equal = FunctionSystem::new(3, |x: &[f64], l: f64, out: &mut [f64]| {
            let all: f64 = x.iter().map(|x| x * x).sum();
            (0..3).for_each(|i| out[i] = (l - c - 2.0 * all + a * x[i] * x[i]) * x[i]);
        });
        let branch = wide().run(&mut equal, &[0.0; 3], c - 0.7).unwrap();
        assert_eq!(branch.bifurcations[0].kind, BifurcationKind::BranchPoint { crossing: 3 }, "{branch}");
        tally.add("three at once", &branch.bifurcations[0], c);
    }
    assert!(tally.0.len() > 80);
    tally.check(1e-9);
}

fn noise() -> GaussianNoise {
    GaussianNoise::correlated(0.3, -0.5).unwrap()
}

fn model<S: Nonlinearity<f64>, H: HiddenDistribution>(sigma: S, hidden: H) -> Model<f64, S, H, GaussianNoise> {
    let builder = Model::builder().nonlinearity(sigma).hidden(hidden).noise(noise());
    builder.learning_rate(0.3).weight_decay(0.5).build().unwrap()
}

fn sharp<M: Spec<Scalar = f64, Regularizer: LinearRegularizer<f64>>>(model: &M) -> ReducedOde<'_> {
    ReducedOde::new(model).unwrap().coefficient_tolerance(1e-13).unwrap()
}

/// The value at which feature `mode` becomes learnable, by false position on its growth rate at the uninformative
/// state near that R, which comes from Stein's lemma. NaN if that is nowhere near.
fn threshold(ode: &ReducedOde<'_>, parameter: Parameter, mode: usize, near: (f64, f64)) -> f64 {
    let mut ends = [near.0 + 1e-3, near.0 - 2e-3];
    let rate = |value: f64| {
        let member = ode.with_parameter(parameter, value).unwrap();
        uninformative_points(&member, 0.9 * near.1, 1.1 * near.1).unwrap()[0].growth_rates[mode]
    };
    let mut rates = ends.map(rate);
    for _ in 0..8 {
        let next = ends[1] - rates[1] * (ends[1] - ends[0]) / (rates[1] - rates[0]);
        if !((next - near.0).abs() < 0.02) {
            return f64::NAN; // The rate of another mode.
        }
        (ends, rates) = ([ends[1], next], [rates[1], rate(next)]);
        if rates[1].abs() < 1e-15 || (ends[1] - ends[0]).abs() < 1e-14 {
            break;
        }
    }
    ends[1]
}

#[test]
fn errors_bound_the_distance_to_thresholds_of_learnability() {
    let mut tally = Tally::default();
    let mut check = |name: &str, ode: &ReducedOde<'_>, sharp: &ReducedOde<'_>, parameter, range: [f64; 2]| {
        let from = ode.with_parameter(parameter, range[1]).unwrap();
        let r = uninformative_points(&from, 0.02, 20.0).unwrap()[0].r;
        let p = ode.limit().n_features();
        let start: Vec<f64> = (0..p).map(|_| 0.0).chain([r]).collect();
        let mut curve = OdeCurve::new(ode, parameter).unwrap();
        let plan = Continuation::new(range[0], range[1]).downwards();
        let branch = plan.run(&mut curve, &start, range[1]).unwrap();
        for event in &branch.bifurcations {
            let near = |mode: &usize| {
                let at = threshold(sharp, parameter, *mode, (event.parameter, event.state[p]));
                ((at - event.parameter).abs() < 1e-3).then_some(at)
            };
            let truth = (0..p).find_map(|mode| near(&mode)).unwrap();
            tally.add(name, event, truth);
        }
    };
    let laws = || Independent::new([Law::two_point(2.25).unwrap(), Law::three_point(1.8, 0.5).unwrap()]).unwrap();
    let tanh = model(Tanh, laws());
    let (ode, exact) = (ReducedOde::new(&tanh).unwrap(), sharp(&tanh));
    check("tanh, background", &ode, &exact, Parameter::BackgroundStd, [0.8, 1.9]);
    check("tanh, learning rate", &ode, &exact, Parameter::LearningRate, [0.3, 2.6]);
    check("tanh, moment", &ode, &exact, Parameter::SecondMoment(1), [0.5, 1.7]);
    let equal = model(Tanh, Independent::new([Law::two_point(2.0).unwrap(), Law::two_point(2.0).unwrap()]).unwrap());
    let (ode, exact) = (ReducedOde::new(&equal).unwrap(), sharp(&equal));
    check("equal features", &ode, &exact, Parameter::BackgroundStd, [0.8, 1.9]);
    // Coefficients known to 1e-6 only: a sharper rule is found all the same.
    let coarse = ReducedOde::new(&tanh).unwrap().coefficient_tolerance(1e-6).unwrap();
    check("coarse", &coarse, &sharp(&tanh), Parameter::BackgroundStd, [0.8, 1.9]);
    let erf = model(Erf, Independent::new([Law::gaussian(3.0).unwrap(), Law::gaussian(2.5).unwrap()]).unwrap());
    check("erf", &ReducedOde::new(&erf).unwrap(), &sharp(&erf), Parameter::BackgroundStd, [1.2, 1.9]);
    assert!(tally.0.len() >= 9, "{:?}", tally.0);
    tally.check(1e-9);
}

/// Online ICA and Oja's rule on the sphere (theory §10).
#[test]
fn errors_bound_the_distance_to_folds_and_pitchforks_of_others() {
    fn on_the_sphere<S: Nonlinearity<f64>>(sigma: S, law: Law, tau: f64) -> Model<f64, S, Independent, NoNoise> {
        let builder = Model::builder().nonlinearity(sigma).hidden(Independent::new([law]).unwrap()).noise(NoNoise);
        builder.learning_rate(tau).constraint(Constraint::Sphere).build().unwrap()
    }
    let mut tally = Tally::default();
    for (law, largest, q) in [
        (Law::laplace(1.0).unwrap(), 0.063_479_238_489_896, 0.6),
        (Law::three_point(1.0, 0.2).unwrap(), 0.051_844_807_009_423, 0.7),
        (Law::three_point(1.0, 0.1).unwrap(), 0.123_958_547_242_784, 0.6),
    ] {
        let model = on_the_sphere(Polynomial::new([0.0, 0.0, 0.5]).unwrap(), law, 0.04);
        let ode = ReducedOde::new(&model).unwrap();
        let mut curve = OdeCurve::new(&ode, Parameter::LearningRate).unwrap();
        let plan = Continuation::new(0.02, 0.2).parameter_scale(0.1);
        // Mirror images fold at one place.
        let folds = [1.0, -1.0].map(|sign| {
            let branch = plan.run(&mut curve, &[sign * (q + 0.25)], 0.04).unwrap();
            let fold = branch.bifurcations.iter().find(|event| event.kind == BifurcationKind::Fold);
            fold.unwrap_or_else(|| panic!("{branch}")).clone()
        });
        tally.add("ICA", &folds[0], largest);
        tally.add("ICA, mirrored", &folds[1], largest);
        assert!((folds[0].parameter - folds[1].parameter).abs() < 1e-13);
        assert!((folds[0].state[0] + folds[1].state[0]).abs() < 1e-10);
    }
    for spike in [0.5, 1.0, 2.0] {
        let model = on_the_sphere(Identity, Law::two_point(1.0 + spike).unwrap(), 1.5 * spike);
        let ode = ReducedOde::new(&model).unwrap();
        let mut curve = OdeCurve::new(&ode, Parameter::LearningRate).unwrap();
        let plan = Continuation::new(0.05, 2.0 * spike).downwards();
        let branch = plan.run(&mut curve, &[0.0], 1.5 * spike).unwrap();
        tally.add("Oja", &branch.bifurcations[0], spike);
    }
    tally.check(1e-11);
}

/// Where a test along the branch vanishes, from twelve points up to 0.02 off along the tangent: no equation of the
/// bifurcation itself, no derivative of a Jacobian.
fn from_afar<S: ContinuationSystem>(system: &mut S, event: &Bifurcation) -> f64
where
    S::Error: std::fmt::Debug,
{
    const NODES: usize = 12;
    let n = event.state.len();
    let (centre, tangent) = (event.state.clone().insert_row(n, event.parameter), &event.tangent);
    let (mut at, mut parameters, mut tests) = (Vec::new(), Vec::new(), Vec::new());
    for k in 0..NODES {
        let s = 0.02 * (std::f64::consts::PI * (k as f64 + 0.5) / NODES as f64).cos();
        let mut z = &centre + tangent * s;
        let mut matrix = DMatrix::zeros(n + 1, n + 1);
        for _ in 0..6 {
            let mut f = DVector::zeros(n + 1);
            system.residual(&z.as_slice()[..n], z[n], &mut f.as_mut_slice()[..n]).unwrap();
            f[n] = tangent.dot(&(&z - &centre)) - s;
            let (by_state, by_parameter) = system.jacobian(&z.as_slice()[..n], z[n]).unwrap();
            matrix.view_mut((0, 0), (n, n)).copy_from(&by_state);
            matrix.view_mut((0, n), (n, 1)).copy_from(&by_parameter);
            matrix.set_row(n, &tangent.transpose());
            z -= matrix.clone().lu().solve(&f).unwrap();
        }
        let along = matrix.clone().lu().solve(&DVector::from_fn(n + 1, |k, _| f64::from(u8::from(k == n)))).unwrap();
        at.push(s);
        parameters.push(z[n]);
        tests.push(if event.kind == BifurcationKind::Fold { along[n] } else { matrix.determinant() });
    }
    let through = |values: &[f64], s: f64| -> f64 {
        let basis = |i: usize| (0..NODES).filter(|&j| j != i).map(|j| (s - at[j]) / (at[i] - at[j])).product::<f64>();
        (0..NODES).map(|i| values[i] * basis(i)).sum()
    };
    let (mut low, mut high) = (-0.015, 0.015);
    assert!(through(&tests, low) * through(&tests, high) < 0.0, "no change of sign");
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if through(&tests, middle) * through(&tests, low) > 0.0 { low = middle } else { high = middle }
    }
    through(&parameters, 0.5 * (low + high))
}

#[test]
fn errors_bound_the_distance_to_what_a_sharper_rule_sees_from_afar() {
    let mut tally = Tally::default();
    let mut look = |name: &str, exact: &ReducedOde<'_>, parameter, events: &[Bifurcation]| {
        for event in events.iter().filter(|event| event.kind != BifurcationKind::BranchPoint { crossing: 2 }) {
            let truth = from_afar(&mut OdeCurve::new(exact, parameter).unwrap(), event);
            tally.add(name, event, truth);
        }
    };
    // Informed states that fold, and the mixed states that branch off them.
    let hidden = |x: f64| Independent::new([Law::two_point(2.25).unwrap(), Law::three_point(x, 0.3).unwrap()]).unwrap();
    for moment in [1.6, 1.8, 2.25] {
        let model = model(Tanh, hidden(moment));
        let (ode, exact) = (ReducedOde::new(&model).unwrap(), sharp(&model));
        let mut curve = OdeCurve::new(&ode, Parameter::BackgroundStd).unwrap();
        let plan = Continuation::new(0.8, 2.2);
        for start in [[0.984, 0.0, 0.98], [0.0, 0.9, 0.98]] {
            let branch = plan.run(&mut curve, &start, 1.0).unwrap();
            look("informed", &exact, Parameter::BackgroundStd, &branch.bifurcations);
        }
    }
    // A law without symmetry.
    let skewed = Independent::new([Law::skewed(2.25, 0.3).unwrap(), Law::two_point(1.5).unwrap()]).unwrap();
    let skewed = model(Tanh, skewed);
    let (ode, exact) = (ReducedOde::new(&skewed).unwrap(), sharp(&skewed));
    let mut curve = OdeCurve::new(&ode, Parameter::BackgroundStd).unwrap();
    let branch: Branch<f64, _> = Continuation::new(0.8, 2.2).run(&mut curve, &[0.95, 0.0, 0.95], 1.0).unwrap();
    look("skewed", &exact, Parameter::BackgroundStd, &branch.bifurcations);
    // By differences of models, each with a rule of its own.
    let family = ModelFamily(|std| {
        let builder = Model::builder().nonlinearity(Tanh).hidden(hidden(1.8)).noise(noise());
        builder.learning_rate(0.3).weight_decay(0.5).background_std(std).build()
    });
    let model = model(Tanh, hidden(1.8));
    let mut curve = FamilyCurve::new::<f64>(family, 1.5).unwrap();
    let r = uninformative_points(&ReducedOde::new(&model).unwrap(), 0.02, 20.0).unwrap()[0].r;
    let branch = Continuation::new(1.1, 1.5).steps(1e-9, 0.1).run(&mut curve, &[0.0, 0.0, r], 1.1);
    look("family", &sharp(&model), Parameter::BackgroundStd, &branch.unwrap().bifurcations);
    assert!(tally.0.len() >= 8, "{:?}", tally.0);
    tally.check(1e-8);
}
