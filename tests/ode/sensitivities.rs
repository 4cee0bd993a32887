//! Derivatives of the right-hand side by the state and by every parameter, against central differences.

use contrastive_dynamics::integrate::System;
use contrastive_dynamics::limit::{LimitError, Parameter};
use contrastive_dynamics::model::{
    Constraint, Erf, FromFunctions, GaussianNoise, GradientPath, Identity, Independent, Law, LeakyRelu, Model,
    Nonlinearity, PseudoHuber, Relu, Sigmoid, Smoothness, Softplus, Tanh, ViewCovariance,
};
use contrastive_dynamics::nalgebra::DMatrix;
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::state::OrderParameters;

/// A model by its numbers.
#[derive(Clone, Copy)]
struct Numbers {
    learning_rate: f64,
    weight_decay: f64,
    penalty_strength: f64,
    background_std: f64,
    second_moments: [f64; 2],
    /// σ² and ρ along the features, then in the background.
    noise: [f64; 4],
    gaussian: bool,
    neurons: usize,
    batch: usize,
    flow: GradientPath,
    constraint: Constraint,
}

const BASE: Numbers = Numbers {
    learning_rate: 0.3,
    weight_decay: 0.5,
    penalty_strength: 0.8,
    background_std: 0.9,
    second_moments: [2.25, 1.6],
    noise: [0.3, -0.4, 0.5, 0.2],
    gaussian: false,
    neurons: 1,
    batch: 1,
    flow: GradientPath::BothViews,
    constraint: Constraint::None,
};

type AnyModel<S> = Model<f64, S, Independent, GaussianNoise>;

impl Numbers {
    fn model<S: Nonlinearity>(self, sigma: S) -> AnyModel<S> {
        let [a, b] = self.second_moments;
        let laws = if self.gaussian {
            [Law::gaussian(a).unwrap(), Law::gaussian(b).unwrap()]
        } else {
            [Law::two_point(a).unwrap(), Law::skewed(b, 0.3).unwrap()]
        };
        let [s, r, t, q] = self.noise;
        let view = |variance, correlation| ViewCovariance::correlated(variance, correlation).unwrap();
        Model::builder()
            .nonlinearity(sigma)
            .hidden(Independent::new(laws).unwrap())
            .noise(GaussianNoise::new(view(s, r), view(t, q)))
            .learning_rate(self.learning_rate)
            .weight_decay(self.weight_decay)
            .penalty_strength(self.penalty_strength)
            .background_std(self.background_std)
            .n_neurons(self.neurons)
            .batch_size(self.batch)
            .gradient_path(self.flow)
            .constraint(self.constraint)
            .build()
            .unwrap()
    }

    fn state(self) -> OrderParameters {
        if self.neurons == 1 {
            return OrderParameters::from_rows(2, 1, &[0.4, -0.25], &[1.0]).unwrap();
        }
        if self.neurons == 3 {
            let r = [1.0, 0.2, -0.1, 0.2, 1.0, 0.3, -0.1, 0.3, 1.0];
            return OrderParameters::from_rows(2, 3, &[0.4, 0.1, -0.2, -0.25, 0.5, 0.3], &r).unwrap();
        }
        OrderParameters::from_rows(2, 2, &[0.4, 0.1, -0.25, 0.5], &[1.0, 0.3, 0.3, 1.0]).unwrap()
    }
}

/// Every continuous parameter with the model where it is moved by a factor 1 + x, and by how much that moves it.
fn moved(numbers: Numbers, parameter: Parameter, x: f64) -> (Numbers, f64) {
    let mut out = numbers;
    let slot = match parameter {
        Parameter::LearningRate => &mut out.learning_rate,
        Parameter::WeightDecay => &mut out.weight_decay,
        Parameter::PenaltyStrength => &mut out.penalty_strength,
        Parameter::BackgroundStd => &mut out.background_std,
        Parameter::SecondMoment(l) => &mut out.second_moments[l],
        Parameter::FeatureNoiseVariance => &mut out.noise[0],
        Parameter::FeatureNoiseCorrelation => &mut out.noise[1],
        Parameter::BackgroundNoiseVariance => &mut out.noise[2],
        Parameter::BackgroundNoiseCorrelation => &mut out.noise[3],
        _ => unreachable!(),
    };
    let step = x * slot.abs().max(0.1);
    *slot += step;
    (out, step)
}

const PARAMETERS: [Parameter; 10] = [
    Parameter::LearningRate,
    Parameter::WeightDecay,
    Parameter::PenaltyStrength,
    Parameter::BackgroundStd,
    Parameter::SecondMoment(0),
    Parameter::SecondMoment(1),
    Parameter::FeatureNoiseVariance,
    Parameter::FeatureNoiseCorrelation,
    Parameter::BackgroundNoiseVariance,
    Parameter::BackgroundNoiseCorrelation,
];

fn rates(ode: &ReducedOde<'_>, state: &OrderParameters) -> Vec<f64> {
    let rates = ode.rates(state).unwrap();
    let (p, m) = rates.q.shape();
    let q = (0..p * m).map(|k| rates.q[(k / m, k % m)]);
    let r = (0..m).flat_map(|i| (i..m).map(move |j| (i, j))).map(|at| rates.r[at]);
    q.chain(r).collect()
}

/// The Jacobian against central differences of the frozen rule, and the parameters against those of other models.
fn check<S: Nonlinearity + Copy>(sigma: S, numbers: Numbers, tolerance: f64, coefficients: f64) {
    let model = numbers.model(sigma);
    let ode = ReducedOde::new(&model).unwrap().coefficient_tolerance(coefficients).unwrap();
    let state = numbers.state();
    let penalised = numbers.penalty_strength > 0.0;
    let parameters: Vec<Parameter> =
        PARAMETERS.into_iter().filter(|&p| penalised || p != Parameter::PenaltyStrength).collect();
    let answer = ode.sensitivities(&state, &parameters).unwrap();
    let mut system = ode.system(&state).unwrap();
    let packed = state.to_packed();
    let n = packed.len();
    let mut differences: DMatrix<f64> = DMatrix::zeros(n, n);
    let step = 1e-4;
    for column in 0..n {
        let mut total = vec![0.0; n];
        // Fourth order.
        for (k, c) in [(-2.0, 1.0), (-1.0, -8.0), (1.0, 8.0), (2.0, -1.0)] {
            let mut y = packed.as_slice().to_vec();
            y[column] += k * step;
            let mut out = vec![0.0; n];
            system.rates(0.0, &y, &mut out).unwrap();
            total.iter_mut().zip(&out).for_each(|(t, x)| *t += c * x / (12.0 * step));
        }
        differences.column_mut(column).copy_from_slice(&total);
    }
    let error = (&answer.by_state - &differences).amax();
    assert!(error < tolerance, "state: {error:e}\n{}\n{}", answer.by_state, differences);
    for (k, &parameter) in parameters.iter().enumerate() {
        let at = |x: f64| {
            let (numbers, moved) = moved(numbers, parameter, x);
            let model = numbers.model(sigma);
            let ode = ReducedOde::new(&model).unwrap().coefficient_tolerance(coefficients).unwrap();
            (rates(&ode, &state), moved)
        };
        let x = 1e-3;
        let [(a, _), (b, _), (c, h), (d, _)] = [-2.0 * x, -x, x, 2.0 * x].map(at);
        for row in 0..n {
            let difference = (8.0 * (c[row] - b[row]) - (d[row] - a[row])) / (12.0 * h);
            let got = answer.by_parameter[(row, k)];
            assert!((got - difference).abs() < tolerance, "{parameter:?}, row {row}: {got} against {difference}");
        }
    }
}

#[test]
fn one_neuron() {
    for numbers in [
        BASE,
        Numbers { batch: 4, ..BASE },
        Numbers { flow: GradientPath::StopGradient, ..BASE },
        Numbers { constraint: Constraint::Sphere, ..BASE },
    ] {
        check(Tanh, numbers, 1e-6, 1e-10);
    }
    check(Softplus, BASE, 1e-6, 1e-10);
    check(Sigmoid, BASE, 1e-6, 1e-10);
    check(Erf, BASE, 1e-6, 1e-10);
    check(Identity, BASE, 1e-6, 1e-10);
    check((f64::sin, f64::cos), BASE, 1e-6, 1e-10);
}

#[test]
fn closed_forms() {
    let numbers = Numbers { gaussian: true, ..BASE };
    check(Erf, numbers, 1e-6, 1e-10);
    check(Relu, numbers, 1e-6, 1e-10);
    check(LeakyRelu::new(0.2).unwrap(), numbers, 1e-6, 1e-10);
    check(Erf, Numbers { neurons: 3, penalty_strength: 0.0, ..numbers }, 1e-6, 1e-10);
}

#[test]
fn a_kink() {
    check(Relu, BASE, 1e-6, 1e-10);
    check(LeakyRelu::new(0.2).unwrap(), Numbers { batch: 2, ..BASE }, 1e-6, 1e-10);
}

#[test]
fn two_neurons_with_penalty() {
    check(Tanh, Numbers { neurons: 2, ..BASE }, 1e-6, 1e-8);
    check(Tanh, Numbers { neurons: 2, batch: 3, ..BASE }, 1e-6, 1e-8);
    check(Erf, Numbers { neurons: 2, batch: 3, flow: GradientPath::StopGradient, ..BASE }, 1e-6, 1e-8);
    check(Tanh, Numbers { neurons: 2, penalty_strength: 0.0, ..BASE }, 1e-6, 1e-8);
    check((f64::sin, f64::cos), Numbers { neurons: 2, gaussian: true, ..BASE }, 1e-6, 1e-8);
}

/// The rates are quadratic in λ, and polynomial in 1/B: differences of second order in λ are exact, and the derivative by B
/// at B = 1 comes from interpolation over B = 1, ..., 5.
#[test]
fn penalty_strength_and_batch_size() {
    let numbers = Numbers { neurons: 2, penalty_strength: 0.0, ..BASE };
    let at = |numbers: Numbers| {
        let model = numbers.model(Tanh);
        rates(&ReducedOde::new(&model).unwrap(), &numbers.state())
    };
    let derivative = |numbers: Numbers, parameter| {
        let model = numbers.model(Tanh);
        let ode = ReducedOde::new(&model).unwrap();
        ode.sensitivities(&numbers.state(), &[parameter]).unwrap().by_parameter
    };
    let got = derivative(numbers, Parameter::PenaltyStrength);
    let [a, b, c] = [0.0, 0.5, 1.0].map(|penalty_strength| at(Numbers { penalty_strength, ..numbers }));
    for row in 0..a.len() {
        assert!((got[(row, 0)] - (4.0 * b[row] - 3.0 * a[row] - c[row])).abs() < 1e-5, "row {row}");
    }
    let numbers = Numbers { neurons: 2, ..BASE };
    let got = derivative(numbers, Parameter::BatchSize);
    let rows: Vec<Vec<f64>> = (1..=5).map(|batch| at(Numbers { batch, ..numbers })).collect();
    for row in 0..a.len() {
        // Λ is a polynomial of degree 4 in x = 1/B (τ²/B times the square of something linear, and the fluctuations).
        let x: Vec<f64> = (1..=5).map(|b| 1.0 / f64::from(b)).collect();
        let slope: f64 = (0..5)
            .map(|k| {
                let others = || (0..5).filter(move |&j| j != k);
                let scale: f64 = others().map(|j| x[k] - x[j]).product();
                let sum: f64 =
                    others().map(|i| others().filter(|&j| j != i).map(|j| x[0] - x[j]).product::<f64>()).sum();
                rows[k][row] * sum / scale
            })
            .sum();
        // d/dB = −d/dx at B = 1.
        assert!((got[(row, 0)] + slope).abs() < 1e-4, "row {row}: {} against {}", got[(row, 0)], -slope);
    }
}

#[test]
fn three_neurons_of_polynomials() {
    let numbers = Numbers { neurons: 3, batch: 2, gaussian: true, ..BASE };
    check(Identity, numbers, 1e-6, 1e-10);
}

/// A penalty that is not quadratic: whole batches, at a coarse tolerance, since the derivative is that of the rule.
#[test]
fn whole_batches() {
    let model = {
        Model::builder()
            .nonlinearity(Tanh)
            .hidden(Independent::new([Law::two_point(2.25).unwrap(), Law::two_point(1.0).unwrap()]).unwrap())
            .noise(GaussianNoise::correlated(0.3, -0.4).unwrap())
            .learning_rate(0.3)
            .n_neurons(2)
            .batch_size(3)
            .penalty(PseudoHuber::new(0.4).unwrap())
            .penalty_strength(0.8)
            .background_std(0.9)
            .build()
            .unwrap()
    };
    let state = Numbers { neurons: 2, ..BASE }.state();
    let ode = ReducedOde::new(&model).unwrap().coefficient_tolerance(3e-2).unwrap();
    let mut system = ode.system(&state).unwrap();
    let packed = state.to_packed();
    let got = system.jacobian(packed.as_slice()).unwrap();
    let n = packed.len();
    for column in 0..n {
        let mut at = |step: f64| {
            let (mut y, mut out) = (packed.as_slice().to_vec(), vec![0.0; n]);
            y[column] += step;
            system.rates(0.0, &y, &mut out).unwrap();
            out
        };
        let h = 1e-3;
        let [a, b, c, d] = [-2.0 * h, -h, h, 2.0 * h].map(&mut at);
        for row in 0..n {
            let difference = (8.0 * (c[row] - b[row]) - (d[row] - a[row])) / (12.0 * h);
            let error = (got.by_state[(row, column)] - difference).abs();
            assert!(error < 1e-6, "({row}, {column}): {error:e}");
        }
    }
}

/// tanh that claims a kink goes by panels and integration by parts: the same to the tolerance, in every entry.
#[test]
fn derivatives_by_parts_agree_with_those_by_the_second_derivative() {
    let second = |h: f64| -2.0 * h.tanh() / h.cosh().powi(2);
    let kinked = FromFunctions::new(f64::tanh, |h: f64| h.cosh().powi(-2), second)
        .with_smoothness(Smoothness::Kinked { at: 0.0 });
    for strength in [0.0, 0.8] {
        let numbers = Numbers { neurons: 2, batch: 2, penalty_strength: strength, ..BASE };
        let (smooth, kinked) = (numbers.model(Tanh), numbers.model(kinked));
        let want = ReducedOde::new(&smooth).unwrap().sensitivities(&numbers.state(), &[]).unwrap().by_state;
        let ode = ReducedOde::new(&kinked).unwrap().coefficient_tolerance(1e-7).unwrap();
        let got = ode.sensitivities(&numbers.state(), &[]).unwrap().by_state;
        let error = (&got - &want).amax() / want.amax();
        assert!(error < 6e-7, "{error:e}");
        // An error of 1 % in any of them would be more.
        assert!(want.iter().all(|x| x.abs() < 1e-12 || 0.01 * x.abs() > 1.2e-6 * want.amax()), "{want}");
    }
}

#[test]
fn derivatives_that_do_not_exist_are_refused() {
    let model = BASE.model(Tanh);
    let ode = ReducedOde::new(&model).unwrap();
    let at = |q: &[f64], r: f64| OrderParameters::from_rows(2, 1, q, &[r]).unwrap();
    // R = QᵀQ: the noise keeps the fields regular, but for full correlation.
    assert!(ode.sensitivities(&at(&[0.6, 0.8], 1.0), &[]).is_ok());
    let singular = Numbers { noise: [0.3, 1.0, 0.3, 1.0], ..BASE };
    let model = singular.model(Tanh);
    let ode = ReducedOde::new(&model).unwrap();
    let state = at(&[0.4, 0.1], 1.0);
    assert!(ode.sensitivities(&state, &[Parameter::BackgroundNoiseVariance]).is_ok());
    let refused = ode.sensitivities(&state, &[Parameter::BackgroundNoiseCorrelation]);
    assert!(matches!(refused, Err(LimitError::NotDifferentiable)), "{refused:?}");
    assert!(matches!(ode.sensitivities(&at(&[0.0, 0.0], 0.0), &[]), Err(LimitError::NotDifferentiable)));
    let refused = ode.sensitivities(&state, &[Parameter::SecondMoment(2)]);
    assert!(matches!(refused, Err(LimitError::Parameter { .. })));
    let silent = Numbers { noise: [0.0; 4], ..BASE };
    let model = silent.model(Tanh);
    let ode = ReducedOde::new(&model).unwrap();
    assert!(ode.sensitivities(&state, &[]).is_ok());
    assert!(matches!(
        ode.sensitivities(&state, &[Parameter::FeatureNoiseVariance]),
        Err(LimitError::Parameter { parameter: Parameter::FeatureNoiseVariance })
    ));
}
