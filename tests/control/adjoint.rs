//! Gradients by the adjoint against differences of solutions, sensitivities forwards, and closed forms.

use std::ops::AddAssign;

use approx::assert_relative_eq;
use contrastive_dynamics::control::{Adjoint, CosineSimilarity, Functional, Objective};
use contrastive_dynamics::fluctuation::Fluctuations;
use contrastive_dynamics::integrate::{DormandPrince, System};
use contrastive_dynamics::limit::Parameter;
use contrastive_dynamics::model::Quantity;
use contrastive_dynamics::nalgebra::{DMatrix, DVector};
use contrastive_dynamics::ode::RatesError;
use contrastive_dynamics::prelude::*;
use contrastive_dynamics::state::{Direction, Integration, Run};

use super::{oja, similarity, two_features};

fn fine() -> DormandPrince {
    DormandPrince::new(1e-10, 1e-12).unwrap()
}

fn start() -> OrderParameters {
    OrderParameters::from_rows(2, 1, &[0.4, 0.2], &[0.8]).unwrap()
}

/// The derivative at x by differences of fourth order.
fn difference(function: impl Fn(f64) -> f64, x: f64, step: f64) -> f64 {
    let [a, b, c, d] = [-2.0, -1.0, 1.0, 2.0].map(|k| function(x + k * step));
    (8.0 * (c - b) - (d - a)) / (12.0 * step)
}

fn learned(_: f64, state: &OrderParameters) -> f64 {
    state.cosine_similarity(0, 0).unwrap_or(0.0) - 0.8
}

/// A final value, an integral, the time of an event, and all at once.
fn objectives() -> [Objective<'static>; 4] {
    [
        similarity(),
        Objective::new().integral(|t: f64, s: &OrderParameters| t.cos() * s.q()[(1, 0)] * s.r()[(0, 0)]),
        Objective::new().at_end(|t: f64, _: &OrderParameters| t).until(Direction::AtOrAbove, learned),
        Objective::new()
            .at_end(|t: f64, s: &OrderParameters| t * s.r()[(0, 0)])
            .integral(|t: f64, s: &OrderParameters| t + s.q()[(0, 0)])
            .until(Direction::Rising, |t: f64, s: &OrderParameters| learned(t, s) + 0.01 * t),
    ]
}

const PARAMETERS: [Parameter; 8] = [
    Parameter::LearningRate,
    Parameter::WeightDecay,
    Parameter::BackgroundStd,
    Parameter::SecondMoment(0),
    Parameter::FeatureNoiseVariance,
    Parameter::FeatureNoiseCorrelation,
    Parameter::BackgroundNoiseVariance,
    Parameter::BatchSize,
];

/// Gradients agree with differences of the objective to 1e-6 of the largest.
#[test]
fn gradients_are_those_of_differences_of_solutions() {
    let model = two_features();
    let ode = ReducedOde::new(&model).unwrap();
    let start = start();
    for (which, objective) in objectives().iter().enumerate() {
        let adjoint = Adjoint::new(&ode).parameters(PARAMETERS).integrator(fine());
        let gradient = adjoint.gradient(objective, &start, 20.0).unwrap();
        let scale = gradient.by_start().amax();
        let value = |ode: &ReducedOde<'_>, start: &OrderParameters| {
            Adjoint::new(ode).integrator(fine()).gradient(objective, start, 20.0).unwrap().value()
        };
        for entry in 0..3 {
            let packed = start.to_packed();
            let moved = |x: f64| {
                let mut packed = packed.clone();
                packed[entry] = x;
                value(&ode, &OrderParameters::from_packed(2, 1, packed.as_slice()).unwrap())
            };
            let (found, expected) = (gradient.by_start()[entry], difference(moved, packed[entry], 1e-3));
            assert_relative_eq!(found, expected, epsilon = 1e-6 * scale);
        }
        // All terms at once are those of the last objective.
        for parameter in PARAMETERS.into_iter().filter(|_| which == 3) {
            let moved = |x: f64| value(&ode.with_parameter(parameter, x).unwrap(), &start);
            let expected = difference(moved, ode.parameter(parameter).unwrap(), 1e-3);
            let found = gradient.by_parameter(parameter).unwrap();
            assert_relative_eq!(found, expected, epsilon = 1e-6 * scale);
        }
        assert!(gradient.by_parameter(Parameter::SecondMoment(1)).is_none(), "{which}");
    }
}

/// Schedules with kinks and jumps; a change of one number over time, however shaped, and the density of it.
#[test]
fn gradients_by_schedules_are_those_of_differences() {
    let model = two_features();
    let ode = ReducedOde::new(&model).unwrap();
    let start = start();
    let kinks = [0.0, 1.0, 2.5, 4.0];
    let values = [0.4, 0.3, 0.35, 0.1];
    let schedules = |quantity: Quantity, node: usize, x: f64| {
        let of = |q: Quantity, values: [f64; 4]| {
            let mut values = values;
            if q == quantity {
                values[node] += x;
            }
            values
        };
        let line = |values: [f64; 4]| Schedule::linear(kinks.into_iter().zip(values)).unwrap();
        let steps = |values: [f64; 4]| Schedule::steps(values[0], kinks.into_iter().zip(values).skip(1)).unwrap();
        Schedules::new()
            .with(Quantity::LearningRate, line(of(Quantity::LearningRate, values)))
            .with(Quantity::WeightDecay, steps(of(Quantity::WeightDecay, [0.5, 0.2, 0.9, 0.4])))
            .with(Quantity::BackgroundNoiseVariance, steps(of(Quantity::BackgroundNoiseVariance, [0.3, 0.1, 0.2, 0.4])))
            .with(Quantity::FeatureNoiseCorrelation, line(of(Quantity::FeatureNoiseCorrelation, [-0.5, 0.3, 0.0, 0.8])))
    };
    let hat = |node: usize| {
        let mut values = [0.0; 4];
        values[node] = 1.0;
        Schedule::linear(kinks.into_iter().zip(values)).unwrap()
    };
    let piece = |node: usize| {
        let mut values = [0.0; 4];
        values[node] = 1.0;
        Schedule::steps(values[0], kinks.into_iter().zip(values).skip(1)).unwrap()
    };
    let quantities = [
        (Quantity::LearningRate, true),
        (Quantity::WeightDecay, false),
        (Quantity::BackgroundNoiseVariance, false),
        (Quantity::FeatureNoiseCorrelation, true),
    ];
    let objectives = objectives();
    for objective in &objectives[3..] {
        let adjoint = Adjoint::new(&ode).quantities(quantities.map(|(quantity, _)| quantity)).integrator(fine());
        let gradient =
            adjoint.schedules(&schedules(Quantity::PenaltyStrength, 0, 0.0)).gradient(objective, &start, 9.0);
        let gradient = gradient.unwrap();
        let scale = gradient.by_start().amax();
        for (quantity, linear) in quantities {
            for node in 0..4 {
                let value = |x: f64| {
                    let adjoint = Adjoint::new(&ode).schedules(&schedules(quantity, node, x)).integrator(fine());
                    adjoint.gradient(objective, &start, 9.0).unwrap().value()
                };
                let change = if linear { hat(node) } else { piece(node) };
                let found = gradient.along(quantity, |t| change.at(t)).unwrap();
                assert_relative_eq!(found, difference(value, 0.0, 1e-3), epsilon = 1e-6 * scale);
                // The density, summed up by the trapezoidal rule between the steps, is the same, but roughly.
                let density = gradient.density(quantity);
                let sum: f64 = density
                    .windows(2)
                    .map(|w| {
                        let (left, right) = (w[0].1 * change.at(w[0].0), w[1].1 * change.at(w[1].0.next_down()));
                        0.5 * (w[1].0 - w[0].0) * (left + right)
                    })
                    .sum();
                assert_relative_eq!(found, sum, epsilon = 0.02 * scale);
            }
        }
        assert!(gradient.along(Quantity::PenaltyStrength, |_| 1.0).is_none());
        assert!(gradient.density(Quantity::PenaltyStrength).is_empty());
    }
}

/// S = ∂s/∂(s(0), θ) forwards: dS/dt = JS + ∂f/∂θ, with the state beside it.
struct Forwards<'o, 'a> {
    ode: &'o ReducedOde<'a>,
    parameters: Vec<Parameter>,
}

impl System for Forwards<'_, '_> {
    type Error = RatesError;
    fn dimension(&self) -> usize {
        3 * (1 + 3 + self.parameters.len())
    }
    fn rates(&mut self, _t: f64, y: &[f64], rates: &mut [f64]) -> Result<(), RatesError> {
        let answer =
            self.ode.sensitivities(&OrderParameters::from_packed(2, 1, &y[..3]).unwrap(), &self.parameters).unwrap();
        rates[..2].copy_from_slice(answer.rates.q.as_slice());
        rates[2] = answer.rates.r[(0, 0)];
        let columns = 3 + self.parameters.len();
        let mut growth = &answer.by_state * DMatrix::from_column_slice(3, columns, &y[3..]);
        growth.columns_mut(3, self.parameters.len()).add_assign(&answer.by_parameter);
        rates[3..].copy_from_slice(growth.as_slice());
        Ok(())
    }
}

#[test]
fn gradients_are_those_of_sensitivities_forwards() {
    let model = two_features();
    let ode = ReducedOde::new(&model).unwrap();
    let start = start();
    let parameters = vec![Parameter::LearningRate, Parameter::SecondMoment(1), Parameter::BatchSize];
    let mut begin = vec![0.0; 3 * 7];
    begin[..3].copy_from_slice(start.to_packed().as_slice());
    (0..3).for_each(|k| begin[3 + 4 * k] = 1.0);
    let system = Forwards { ode: &ode, parameters: parameters.clone() };
    let mut forwards = Integration::new(system, fine(), 0.0, begin);
    let end = Run::of(&mut forwards).to(6.0).unwrap().last().unwrap().1.clone();
    let sensitivities = DMatrix::from_column_slice(3, 6, &end[3..]);
    let state = OrderParameters::from_packed(2, 1, &end[..3]).unwrap();
    let objective = similarity();
    let gradient = Adjoint::new(&ode).parameters(parameters.clone()).integrator(fine());
    let gradient = gradient.gradient(&objective, &start, 6.0).unwrap();
    let similarity = CosineSimilarity { feature: 0, neuron: 0 };
    let expected = sensitivities.tr_mul(&Functional::gradient(&similarity, 6.0, &state));
    for entry in 0..3 {
        assert_relative_eq!(gradient.by_start()[entry], expected[entry], epsilon = 1e-8);
        let by_parameter = gradient.by_parameter(parameters[entry]).unwrap();
        assert_relative_eq!(by_parameter, expected[3 + entry], epsilon = 1e-8);
    }
    // A third way: the propagator of fluctuations.
    let propagator = Fluctuations::new(&ode).propagator(&start, 6.0).unwrap();
    let by_start = propagator.tr_mul(&Functional::gradient(&similarity, 6.0, &state));
    assert!((by_start - gradient.by_start()).amax() < 1e-5);
}

/// Two neurons with a penalty, on the sphere and orthonormal; momentum; a loss of batches.
#[test]
fn gradients_of_other_models() {
    fn check<M: Spec<Scalar = f64, Regularizer = L2>>(model: &M, start: &OrderParameters, quantities: &[Quantity]) {
        let ode = ReducedOde::new(model).unwrap();
        let integrator = DormandPrince::new(1e-8, 1e-10).unwrap();
        let objective = Objective::new().at_end(|_: f64, s: &OrderParameters| s.q()[(0, 0)] * s.r()[(0, 0)]);
        let own = |quantity: Quantity| match quantity {
            Quantity::LearningRate => model.learning_rate(),
            Quantity::PenaltyStrength => 0.7,
            _ => 0.3,
        };
        let schedules = |quantity: Quantity, x: f64| {
            let constant = |q: Quantity| Schedule::constant(own(q) + if q == quantity { x } else { 0.0 }).unwrap();
            quantities.iter().fold(Schedules::new(), |all, &q| all.with(q, constant(q)))
        };
        let solve = |quantity: Quantity, x: f64| {
            let adjoint = Adjoint::new(&ode).quantities(quantities.iter().copied()).integrator(integrator);
            adjoint.schedules(&schedules(quantity, x)).gradient(&objective, start, 1.0).unwrap()
        };
        let gradient = solve(Quantity::LearningRate, 0.0);
        for &quantity in quantities {
            let found = gradient.along(quantity, |_| 1.0).unwrap();
            let expected = difference(|x| solve(quantity, x).value(), 0.0, 1e-3);
            assert_relative_eq!(found, expected, epsilon = 1e-6);
            assert!(found.abs() > 1e-4, "{quantity:?} does something");
        }
    }
    let laws = || Independent::new([Law::two_point(2.25).unwrap(), Law::two_point(1.5).unwrap()]).unwrap();
    let noise = || GaussianNoise::correlated(0.3, 0.3).unwrap();
    let two = |constraint: Constraint| {
        let builder = Model::builder().nonlinearity(Identity).hidden(laws()).noise(noise()).learning_rate(0.2);
        builder.n_neurons(2).penalty_strength(0.7).constraint(constraint).build().unwrap()
    };
    let q = [0.5, 0.1, -0.2, 0.4];
    let loose = OrderParameters::from_rows(2, 2, &q, &[1.0, 0.2, 0.2, 1.1]).unwrap();
    let both = [Quantity::LearningRate, Quantity::PenaltyStrength, Quantity::FeatureNoiseVariance];
    check(&two(Constraint::None), &loose, &both);
    check(&two(Constraint::Sphere), &loose.normalised().unwrap(), &both);
    let fixed = loose.orthonormalised().unwrap();
    check(&two(Constraint::Orthonormal), &fixed, &both);
    check(&two(Constraint::GramSchmidt), &fixed, &both);
    let momentum = Model::builder().nonlinearity(Tanh).hidden(laws()).noise(noise()).learning_rate(0.2).momentum(0.4);
    let one = OrderParameters::from_rows(2, 1, &[0.5, 0.1], &[0.8]).unwrap();
    check(&momentum.build().unwrap(), &one, &[Quantity::LearningRate, Quantity::WeightDecay]);
    let spectral = Model::builder().nonlinearity(Identity).hidden(laws()).noise(noise()).learning_rate(0.1);
    let spectral = spectral.batch_size(3).loss(SpectralContrastive).build().unwrap();
    check(&spectral, &one, &[Quantity::LearningRate, Quantity::BackgroundNoiseVariance]);
}

/// Of the steps that were taken, however coarse: the error of the solution is a hundred times that of the gradient.
#[test]
fn gradients_are_exact_for_coarse_steps() {
    let model = oja(1.0);
    let ode = ReducedOde::new(&model).unwrap();
    let coarse = DormandPrince::new(1e3, 1e3).unwrap().largest_step(2.0).unwrap();
    let objective = Objective::new().at_end(|_: f64, s: &OrderParameters| s.q()[(0, 0)]);
    let value = |x: f64| {
        let start = OrderParameters::from_rows(1, 1, &[x], &[1.0]).unwrap();
        Adjoint::new(&ode).integrator(coarse).gradient(&objective, &start, 12.0).unwrap()
    };
    let exact = |x: f64| {
        let start = OrderParameters::from_rows(1, 1, &[x], &[1.0]).unwrap();
        Adjoint::new(&ode).integrator(fine()).gradient(&objective, &start, 12.0).unwrap()
    };
    let slope = difference(|x| value(x).value(), 0.3, 1e-3);
    let off = (slope - exact(0.3).by_start()[0]).abs();
    assert!((value(0.3).by_start()[0] - slope).abs() < 1e-9);
    assert!(off > 1e-6, "coarse steps have an error: {off}");
}

/// In one dimension the time to reach a state has the derivative −1/rate by the start, and 1/rate by what is to be reached.
#[test]
fn times_of_events_in_closed_form() {
    let model = oja(1.0);
    let ode = ReducedOde::new(&model).unwrap();
    let start = OrderParameters::from_rows(1, 1, &[0.3], &[1.0]).unwrap();
    let reached = |_: f64, s: &OrderParameters| s.q()[(0, 0)] - 0.8;
    let time = Objective::new().at_end(|t: f64, _: &OrderParameters| t).until(Direction::Rising, reached);
    let gradient = Adjoint::new(&ode).parameters([Parameter::LearningRate]).integrator(fine());
    let gradient = gradient.gradient(&time, &start, 100.0).unwrap();
    let rate = ode.rates(&start).unwrap().q[(0, 0)];
    assert_relative_eq!(gradient.by_start()[0], -1.0 / rate, max_relative = 1e-8);
    // dQ/dt = 2τ Q (1 − Q²) − 2τ² Q (1 + Q²): t = ∫ dQ/rate, by the midpoint rule.
    let (pieces, tau) = (200_000, 0.2);
    let size = 0.5 / f64::from(pieces);
    let (mut expected, mut by_rate) = (0.0, 0.0);
    for k in 0..pieces {
        let q = 0.3 + (f64::from(k) + 0.5) * size;
        let (gain, loss) = (2.0 * q * (1.0 - q * q), 2.0 * q * (1.0 + q * q));
        let rate = tau * gain - tau * tau * loss;
        expected += size / rate;
        by_rate -= size * (gain - 2.0 * tau * loss) / (rate * rate);
    }
    assert_relative_eq!(gradient.value(), expected, max_relative = 1e-8);
    assert_relative_eq!(gradient.end(), expected, max_relative = 1e-8);
    assert_relative_eq!(gradient.by_parameter(Parameter::LearningRate).unwrap(), by_rate, max_relative = 1e-7);
    // What holds at the start takes no time.
    let above = OrderParameters::from_rows(1, 1, &[0.9], &[1.0]).unwrap();
    let time = Objective::new().at_end(|t: f64, _: &OrderParameters| t).until(Direction::AtOrAbove, reached);
    let gradient = Adjoint::new(&ode).gradient(&time, &above, 100.0).unwrap();
    assert_eq!((gradient.value(), gradient.end()), (0.0, 0.0));
    // Nor do starts near by take any.
    assert_eq!(gradient.by_start().amax(), 0.0);
}

/// One solution forwards, and six right-hand sides with derivatives for each of its steps.
#[test]
fn the_work_is_counted() {
    let model = two_features();
    let ode = ReducedOde::new(&model).unwrap();
    let plain = ode.solver().solve(&start(), 6.0).unwrap();
    let gradient = Adjoint::new(&ode).parameters(PARAMETERS).gradient(&similarity(), &start(), 6.0).unwrap();
    assert_eq!(gradient.work().right_hand_sides, plain.work().right_hand_sides);
    assert_eq!(gradient.jacobians(), 6 * plain.work().accepted_steps + 1);
    assert_eq!(gradient.trajectory().last(), plain.last());
}

/// Functions of the state of one's own, with derivatives and without.
#[test]
fn functionals_have_their_derivatives() {
    let state = OrderParameters::from_rows(2, 2, &[0.5, 0.1, -0.2, 0.4], &[1.2, 0.3, 0.3, 0.9]).unwrap();
    for (feature, neuron) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
        let exact = CosineSimilarity { feature, neuron };
        let plain = |_: f64, s: &OrderParameters| s.q()[(feature, neuron)] / s.r()[(neuron, neuron)].sqrt();
        let (a, b): (DVector<f64>, DVector<f64>) = (exact.gradient(0.0, &state), plain.gradient(0.0, &state));
        assert!((a - b).amax() < 1e-11);
    }
    let out = CosineSimilarity { feature: 2, neuron: 0 };
    assert!(Functional::value(&out, 0.0, &state).is_nan());
    assert!((|t: f64, _: &OrderParameters| t.powi(3)).time_derivative(2.0, &state) - 12.0 < 1e-9);
}

#[test]
fn single_precision_agrees_with_double() {
    let model = Model::builder_in::<f32>()
        .nonlinearity(Tanh)
        .hidden(Independent::new([Law::two_point(2.25).unwrap()]).unwrap())
        .noise(GaussianNoise::correlated(0.3, -0.5).unwrap())
        .learning_rate(0.3)
        .weight_decay(0.5)
        .build()
        .unwrap();
    let double = Model::builder()
        .nonlinearity(Tanh)
        .hidden(Independent::new([Law::two_point(2.25).unwrap()]).unwrap())
        .noise(GaussianNoise::correlated(0.3, -0.5).unwrap())
        .learning_rate(0.3)
        .weight_decay(0.5)
        .build()
        .unwrap();
    let quantities = [Quantity::LearningRate, Quantity::BackgroundNoiseVariance];
    let (ode, fine_ode) = (ReducedOde::new(&model).unwrap(), ReducedOde::new(&double).unwrap());
    let schedules = Schedules::new().learning_rate(Schedule::steps(0.3, [(1.7, 0.1)]).unwrap());
    let single = Adjoint::new(&ode).quantities(quantities).schedules(&schedules);
    let single = single
        .gradient(
            &Objective::new().at_end(CosineSimilarity { feature: 0, neuron: 0 }),
            &OrderParameters::from_rows(1, 1, &[0.4], &[0.8]).unwrap(),
            4.0,
        )
        .unwrap();
    let double = Adjoint::new(&fine_ode).quantities(quantities).schedules(&schedules);
    let double =
        double.gradient(&similarity(), &OrderParameters::from_rows(1, 1, &[0.4], &[0.8]).unwrap(), 4.0).unwrap();
    assert_relative_eq!(f64::from(single.by_start()[0]), double.by_start()[0], epsilon = 1e-3);
    for quantity in quantities {
        for from in [0.0, 1.7] {
            let late = |t: f64| if t >= from { 1.0 } else { 0.0 };
            let (a, b) = (single.along(quantity, late).unwrap(), double.along(quantity, late).unwrap());
            assert_relative_eq!(f64::from(a), b, epsilon = 1e-3);
        }
    }
}
