//! Every rule against every other that applies, and against closed forms, at ordinary and at hard states; and the error
//! estimate against the true error over random models.

use contrastive_dynamics::limit::{Coefficients, Limit, LimitError, Quadrature};
use contrastive_dynamics::model::{
    Erf, GaussianNoise, Identity, Independent, Law, LeakyRelu, Model, Nonlinearity, Polynomial, Relu, Sigmoid,
    Softplus, Tanh,
};
use contrastive_dynamics::nalgebra::DMatrix;
use contrastive_dynamics::rand::{RngExt, SeedableRng};
use contrastive_dynamics::state::OrderParameters;
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::support::models::reference;

const ALL: [Quadrature; 5] =
    [Quadrature::Automatic, Quadrature::Trapezoidal, Quadrature::GaussHermite, Quadrature::Panels, Quadrature::Sobol];

/// A model and a state, as plain numbers.
#[derive(Clone)]
struct Case {
    laws: Vec<Law>,
    noise: (f64, f64),
    eta: f64,
    batch: usize,
    strength: f64,
    state: OrderParameters,
}

impl Case {
    fn one(laws: &[Law], q: &[f64], r: f64) -> Self {
        let state = OrderParameters::from_rows(laws.len(), 1, q, &[r]).unwrap();
        Self { laws: laws.to_vec(), noise: (0.3, -0.5), eta: 1.0, batch: 1, strength: 0.0, state }
    }

    fn with_noise(mut self, variance: f64, correlation: f64, eta: f64) -> Self {
        self.noise = (variance, correlation);
        self.eta = eta;
        self
    }

    /// Coefficients and error by that rule.
    fn by<S: Nonlinearity>(
        &self,
        sigma: S,
        rule: Quadrature,
        tolerance: f64,
    ) -> Result<(Coefficients, f64), LimitError> {
        let model = Model::builder()
            .nonlinearity(sigma)
            .hidden(Independent::new(self.laws.clone()).unwrap())
            .noise(GaussianNoise::correlated(self.noise.0, self.noise.1).unwrap())
            .learning_rate(0.3)
            .background_std(self.eta)
            .n_neurons(self.state.n_neurons())
            .batch_size(self.batch)
            .penalty_strength(self.strength)
            .build()
            .unwrap();
        let limit = Limit::new(&model)?.tolerance(tolerance)?.quadrature(rule);
        let answer = limit.coefficients(&self.state)?;
        Ok((answer.coefficients, answer.error))
    }
}

fn distance(x: &Coefficients, y: &Coefficients) -> f64 {
    (&x.a - &y.a).amax().max((&x.b - &y.b).amax()).max((&x.lambda - &y.lambda).amax())
}

fn magnitude(x: &Coefficients) -> f64 {
    x.a.amax().max(x.b.amax()).max(x.lambda.amax()).max(0.3)
}

fn two_point(s: f64) -> Law {
    Law::two_point(s).unwrap()
}

fn gaussian(s: f64) -> Law {
    Law::gaussian(s).unwrap()
}

/// Two rules within the sum of their tolerances.
fn agree<S: Nonlinearity + Copy>(case: &Case, sigma: S, rules: &[(Quadrature, f64)], what: &str) {
    let (first, rest) = rules.split_first().unwrap();
    let want = case.by(sigma, first.0, first.1).unwrap().0;
    for &(rule, tolerance) in rest {
        let got = case.by(sigma, rule, tolerance).unwrap().0;
        let (difference, allowed) = (distance(&got, &want), (tolerance + first.1) * magnitude(&want));
        assert!(difference <= allowed, "{what}: {rule:?} against {:?}: {difference:e} over {allowed:e}", first.0);
        // The control: a tenth of a percent in one entry would be seen.
        let mut wrong = want.clone();
        wrong.b *= 1.001;
        if tolerance < 1e-5 && want.b.amax() > 0.03 {
            assert!(distance(&got, &wrong) > allowed, "{what}");
        }
    }
}

const TIGHT: f64 = 1e-10;

#[test]
fn rules_agree_for_one_neuron() {
    use Quadrature::{Automatic, GaussHermite, Panels, Sobol, Trapezoidal};
    let case = Case::one(&[two_point(2.25), Law::skewed(1.2, 0.3).unwrap()], &[0.4, -0.3], 0.9);
    let all = [(Trapezoidal, TIGHT), (Automatic, TIGHT), (Panels, TIGHT), (Sobol, 1e-3)];
    agree(&case, Tanh, &[&all[..], &[(GaussHermite, 1e-6)]].concat(), "tanh");
    agree(&case, Softplus, &[&all[..], &[(GaussHermite, 1e-7)]].concat(), "softplus");
    agree(&case, Sigmoid, &[&all[..], &[(GaussHermite, 1e-7)]].concat(), "sigmoid");
    agree(&case, Erf, &[&all[..], &[(GaussHermite, 1e-9)]].concat(), "erf");
    agree(&case, Identity, &[&all[..], &[(GaussHermite, TIGHT)]].concat(), "identity");
    agree(&case, Relu, &[(Automatic, TIGHT), (Trapezoidal, 1e-2), (Sobol, 3e-3)], "relu");
}

#[test]
fn rules_agree_for_two_neurons_with_penalty() {
    use Quadrature::{Automatic, GaussHermite, Panels, Sobol, Trapezoidal};
    let state = OrderParameters::from_rows(1, 2, &[0.4, -0.3], &[0.9, 0.2, 0.2, 0.7]).unwrap();
    let mut case = Case { strength: 0.8, batch: 3, state, ..Case::one(&[two_point(2.25)], &[0.4], 0.9) };
    let rules = [(Automatic, 1e-7), (Trapezoidal, 1e-7), (Panels, 1e-7), (GaussHermite, 1e-2), (Sobol, 1e-2)];
    agree(&case, Tanh, &rules, "tanh");
    agree(&case, Erf, &rules, "erf");
    agree(&case, Identity, &[(Automatic, TIGHT), (GaussHermite, TIGHT), (Sobol, 2e-2)], "identity");
    // Relu's Λ converges algebraically by any rule.
    case.strength = 0.0;
    agree(&case, Relu, &[(Automatic, 1e-3), (Panels, 1e-3), (Sobol, 3e-3)], "relu");
}

/// Closed forms against quadrature, to 1e-10.
#[test]
fn closed_forms_agree_with_quadrature() {
    use Quadrature::{Automatic, Panels, Trapezoidal};
    let one = Case::one(&[gaussian(2.25), gaussian(0.8)], &[0.4, -0.3], 0.9);
    for case in [one.clone(), one.clone().with_noise(0.0, 0.0, 1.0), one.with_noise(0.2, 0.9, 0.5)] {
        agree(&case, Erf, &[(Automatic, TIGHT), (Trapezoidal, 1e-11)], "erf");
        agree(&case, Relu, &[(Automatic, TIGHT), (Panels, 1e-11)], "relu");
        agree(&case, LeakyRelu::new(0.2).unwrap(), &[(Automatic, TIGHT), (Panels, 1e-11)], "leaky relu");
        let cubic = |h: f64| h - 0.1 * h * h * h;
        let slope = |h: f64| 1.0 - 0.3 * h * h;
        let polynomial = Polynomial::new([0.0, 1.0, 0.0, -0.1]).unwrap();
        let exact = case.by(&polynomial, Automatic, TIGHT).unwrap().0;
        let lattice = case.by((cubic, slope), Automatic, TIGHT).unwrap().0;
        assert!(distance(&exact, &lattice) < 2e-10 * magnitude(&exact), "polynomial: {:e}", distance(&exact, &lattice));
    }
    let state = OrderParameters::from_rows(
        2,
        3,
        &[0.4, 0.1, -0.2, -0.25, 0.3, 0.3],
        &[1.0, 0.2, -0.1, 0.2, 1.0, 0.3, -0.1, 0.3, 1.0],
    );
    let case =
        Case { state: state.unwrap(), batch: 2, ..Case::one(&[gaussian(2.25), gaussian(0.8)], &[0.4, 0.1], 1.0) };
    agree(&case, Erf, &[(Automatic, TIGHT), (Trapezoidal, TIGHT)], "erf, three neurons");
    // Closed forms need no nodes, and say so.
    let model = Model::builder()
        .nonlinearity(Erf)
        .hidden(Independent::new([gaussian(2.25)]).unwrap())
        .noise(GaussianNoise::correlated(0.3, -0.5).unwrap())
        .learning_rate(0.3)
        .build()
        .unwrap();
    let limit = Limit::new(&model).unwrap();
    assert_eq!(limit.rule(&OrderParameters::from_rows(1, 1, &[0.4], &[1.0]).unwrap()).unwrap().nodes(), 0);
}

/// Where rules break: wide fields, singular covariances, atoms of the hidden law at zero.
#[test]
fn rules_agree_at_hard_states() {
    use Quadrature::{Automatic, Panels, Trapezoidal};
    let atom = Law::three_point(2.25, 0.3).unwrap();
    let base = Case::one(&[two_point(2.25), atom.clone()], &[0.4, -0.3], 0.9);
    let cases = [
        ("field of standard deviation 5", Case::one(&[two_point(2.25), atom.clone()], &[1.0, -0.8], 20.0)),
        ("R = QᵀQ", Case::one(&[two_point(2.25), atom], &[0.6, -0.8], 1.0)),
        ("rho = 1", base.clone().with_noise(0.3, 1.0, 1.0)),
        ("rho = -1", base.clone().with_noise(0.3, -1.0, 1.0)),
        ("rho = -1, eta = 0", base.clone().with_noise(0.3, -1.0, 0.0)),
        ("K = 0", base.clone().with_noise(0.0, 0.0, 1.0)),
        ("Q = 0", Case { state: OrderParameters::from_rows(2, 1, &[0.0, 0.0], &[0.9]).unwrap(), ..base.clone() }),
        ("eta = 0", base.clone().with_noise(0.3, -0.5, 0.0)),
        ("K = 0, eta = 0", base.with_noise(0.0, 0.0, 0.0)),
    ];
    for (name, case) in cases {
        for tolerance in [1e-6, TIGHT] {
            let rules = [(Automatic, TIGHT), (Trapezoidal, tolerance), (Panels, tolerance)];
            agree(&case, Tanh, &rules, name);
            agree(&case, Softplus, &rules, name);
            agree(&case, Erf, &rules, name);
            agree(&case, Relu, &[(Automatic, TIGHT), (Panels, tolerance)], name);
        }
    }
}

/// The estimate bounds the true error in at least 95 of 100 random models for every rule: of one to three features, one
/// or two neurons, penalty or none, any activation that the rule converges for, tolerances between 1e-2 and 1e-7 (Sobol points 1e-2 to 1e-3).
/// The truth is the trapezoidal rule or the closed form at a tolerance a thousand times smaller.
#[test]
fn estimates_bound_the_true_error_for_every_rule() {
    for rule in ALL {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
        let (mut held, mut tight) = (0, 0);
        for _ in 0..100 {
            let case = random_case(&mut rng);
            let neurons = case.state.n_neurons();
            let exponent: f64 = rng.random_range(0.0..1.0);
            let tolerance = match rule {
                Quadrature::Sobol => 10_f64.powf(-2.0 - exponent),
                Quadrature::GaussHermite if neurons > 1 => 10_f64.powf(-1.0 - exponent),
                _ if neurons > 1 => 10_f64.powf(-2.0 - 2.0 * exponent),
                _ => 10_f64.powf(-2.0 - 5.0 * exponent),
            };
            let sigma: &dyn Nonlinearity = match rng.random_range(0..4) {
                0 => &Tanh,
                1 => &Erf,
                2 => &Softplus,
                _ => &Sigmoid,
            };
            let truth = case.by(sigma, Quadrature::Automatic, 1e-3 * tolerance).unwrap().0;
            let (got, error) = case.by(sigma, rule, tolerance).unwrap();
            let difference = distance(&got, &truth);
            held += usize::from(difference <= error + 1e-3 * tolerance * magnitude(&truth));
            tight += usize::from(error <= tolerance * magnitude(&got) * (1.0 + 1e-12));
        }
        assert!(held >= 95, "{rule:?}: {held} of 100");
        assert_eq!(tight, 100, "{rule:?}");
    }
}

fn random_case(rng: &mut Xoshiro256PlusPlus) -> Case {
    let (p, m) = (rng.random_range(1..=3), rng.random_range(1..=2));
    let laws = (0..p)
        .map(|_| match rng.random_range(0..4) {
            0 => two_point(rng.random_range(0.5..2.5)),
            1 => Law::three_point(rng.random_range(0.5..2.5), 0.4).unwrap(),
            2 => Law::skewed(rng.random_range(0.5..2.5), 0.3).unwrap(),
            _ => gaussian(rng.random_range(0.5..2.5)),
        })
        .collect();
    let q = DMatrix::from_fn(p, m, |_, _| rng.random_range(-0.5..0.5));
    let v = DMatrix::from_fn(m, m, |i, j| match i.cmp(&j) {
        std::cmp::Ordering::Less => 0.0,
        std::cmp::Ordering::Equal => rng.random_range(0.4..1.0),
        std::cmp::Ordering::Greater => rng.random_range(-0.4..0.4),
    });
    let state = OrderParameters::new(q.clone(), q.tr_mul(&q) + &v * v.transpose()).unwrap();
    Case {
        laws,
        noise: (rng.random_range(0.0..0.5), rng.random_range(-1.0..1.0)),
        eta: rng.random_range(0.3..1.1),
        batch: rng.random_range(1..=4),
        strength: if rng.random_bool(0.5) { rng.random_range(0.2..1.0) } else { 0.0 },
        state,
    }
}

/// A tolerance that cannot be met returns the best that was seen, not the last: enumerated nodes are not left for Sobol points, and
/// nothing is made that the budget does not allow.
#[test]
fn what_cannot_be_met_returns_the_best_value_soon() {
    let best = |limit: Limit<'_>, tolerance: f64, state: &OrderParameters| match limit
        .tolerance(tolerance)
        .unwrap()
        .coefficients(state)
    {
        Ok(answer) => answer,
        Err(LimitError::ToleranceNotMet { best: Some(best), .. }) => *best,
        Err(error) => panic!("{error}"),
    };
    // Nodes of the hidden law, of which there are too many from 45 points a variable on; narrow fields, at which all rules converge. The
    // truth has no nodes of the hidden law at all.
    let state = OrderParameters::from_rows(2, 1, &[0.4, 0.1], &[0.2]).unwrap();
    let laws = [Law::laplace(1.0).unwrap(), Law::laplace(0.5).unwrap()];
    let noise = GaussianNoise::correlated(0.03, -0.5).unwrap();
    let model = reference(laws).noise(noise).background_std(0.3).build().unwrap();
    let limit = Limit::new(&model).unwrap();
    let truth = limit.clone().tolerance(1e-12).unwrap().coefficients(&state).unwrap().coefficients;
    for tolerance in [1e-12, 1e-15] {
        let answer = best(limit.clone().quadrature(Quadrature::GaussHermite), tolerance, &state);
        let error = distance(&answer.coefficients, &truth);
        assert!(error < 1e-11 && answer.error < 1e-11, "{tolerance:e}: {error:e} {:e}", answer.error);
    }
    // A kink between the nodes of a lattice: finer ones are better or worse by chance, and more nodes never make the answer worse.
    let one = OrderParameters::from_rows(1, 1, &[0.4], &[1.0]).unwrap();
    let kinked = reference([Law::two_point(1.0).unwrap()]).nonlinearity(Relu).build().unwrap();
    let limit = Limit::new(&kinked).unwrap().quadrature(Quadrature::Trapezoidal);
    let errors =
        (3..=10).map(|part| match limit.clone().node_budget(part << 13).tolerance(1e-12).unwrap().coefficients(&one) {
            Err(LimitError::ToleranceNotMet { best, .. }) => best.map_or(f64::INFINITY, |best| best.error),
            answer => panic!("{answer:?}"),
        });
    let errors: Vec<f64> = errors.collect();
    assert!(errors.is_sorted_by(|before, after| before >= after) && errors[7] < 1e-3, "{errors:?}");
    // Neither takes time or memory: a rule of 4000 points, a lattice for an error of 1e-300.
    let steep = Polynomial::new(vec![1e-300; 1001]).unwrap();
    let model = reference([Law::two_point(1.0).unwrap()]).nonlinearity(steep).build().unwrap();
    let answer = Limit::new(&model).unwrap().node_budget(100).coefficients(&one);
    assert!(matches!(answer, Err(LimitError::ToleranceNotMet { best: None, .. })), "{answer:?}");
    let model = reference([Law::two_point(1.0).unwrap()]).build().unwrap();
    let answer = Limit::new(&model).unwrap().tolerance(1e-300).unwrap().coefficients(&one);
    let Err(LimitError::ToleranceNotMet { best: Some(best), .. }) = answer else { panic!("{answer:?}") };
    assert!(best.error < 1e-13, "{:e}", best.error);
}
