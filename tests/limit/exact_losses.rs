//! Losses whose limit is exact in the batch size beside the covariance loss: Barlow Twins of several neurons, whose diagonal of ∂F/∂C
//! moves with C.

use contrastive_dynamics::limit::{Coefficients, Parameter, Quadrature};
use contrastive_dynamics::nalgebra::{DMatrix, DVector};
use contrastive_dynamics::prelude::*;

const STRENGTH: f64 = 0.7;

fn hidden(features: usize) -> Independent {
    let laws = [Law::skewed(1.3, 0.3).unwrap(), Law::three_point(2.0, 0.4).unwrap()];
    Independent::new(laws[..features].to_vec()).unwrap()
}

fn model<S: Nonlinearity + Clone>(
    sigma: S,
    (neurons, batch): (usize, usize),
    noise: GaussianNoise,
) -> Model<f64, S, Independent, GaussianNoise, L2, BarlowTwins> {
    let builder = Model::builder().nonlinearity(sigma).hidden(hidden(2)).noise(noise).learning_rate(0.8);
    let builder = builder.n_neurons(neurons).batch_size(batch).weight_decay(0.2);
    builder.loss(BarlowTwins::new(STRENGTH).unwrap()).build().unwrap()
}

fn state(neurons: usize) -> OrderParameters {
    let q = [0.6, -0.3, 0.2, 0.1, 0.5, -0.2];
    let q = DMatrix::from_fn(2, neurons, |l, i| q[3 * l + i]);
    let r = q.tr_mul(&q) + DMatrix::from_fn(neurons, neurons, |i, j| if i == j { 0.5 } else { 0.1 });
    OrderParameters::new(q, r).unwrap()
}

fn coefficients<L: Loss>(
    model: &Model<f64, Tanh, Independent, GaussianNoise, L2, L>,
    tolerance: Option<f64>,
) -> (Coefficients, f64) {
    let limit = Limit::new(model).unwrap();
    let limit = match tolerance {
        Some(tolerance) => limit.tolerance(tolerance).unwrap().node_budget(1 << 24),
        None => limit,
    };
    let answer = limit.coefficients(&state(model.n_neurons())).unwrap();
    (answer.coefficients, answer.error)
}

fn distance(x: &Coefficients, y: &Coefficients) -> f64 {
    (&x.a - &y.a).amax().max((&x.b - &y.b).amax()).max((&x.lambda - &y.lambda).amax())
}

/// Against averages over whole batches of the same loss, of which nothing but its gradient is told: to their error. Views that are
/// independent given what they have in common, and views that are not; batches of one sample too. The exact ones meet 1e-7. The
/// control of two neurons has a strength 30 % larger.
#[test]
fn barlow_twins_is_that_of_whole_batches() {
    for (correlation, shapes) in [(0.4, [(2, 1), (3, 3)]), (-0.6, [(2, 2), (2, 6)])] {
        let noise = || GaussianNoise::correlated(0.5, correlation).unwrap();
        for shape in shapes {
            let exact = model(Tanh, shape, noise());
            let (own, error) = coefficients(&exact, None);
            assert!(error < 1e-6, "{shape:?} {error}");
            let scale = own.a.amax().max(own.b.amax()).max(own.lambda.amax());
            let loss = |strength: f64| {
                let loss = BarlowTwins::new(strength).unwrap();
                let value = move |y: Outputs<'_, f64>| loss.value(y);
                let gradient = move |y: Outputs<'_, f64>, g: OutputGradient<'_, f64>| loss.gradient(y, g);
                (value, gradient)
            };
            let off = |strength: f64| {
                let sampled = exact.to_builder().loss(loss(strength)).build().unwrap();
                let (seen, error) = coefficients(&sampled, Some(6e-3));
                (distance(&seen, &own), error)
            };
            let (miss, error) = off(STRENGTH);
            assert!(miss < 3.0 * error.max(2e-3 * scale), "{correlation} {shape:?}: {miss} {error} {scale}");
            if shape.0 == 3 {
                continue; // whose batches take long, and once is enough
            }
            let (other, _) = off(1.3 * STRENGTH);
            assert!(other > 2.0 * miss && other > 5e-3 * scale, "{correlation} {shape:?}: {other} {miss} {scale}");
        }
    }
}

/// All rules of quadrature agree, to what they are asked for.
#[test]
fn rules_agree_on_barlow_twins() {
    let noise = || GaussianNoise::correlated(0.5, 0.4).unwrap();
    let smooth = model(Tanh, (2, 4), noise());
    let of = |quadrature: Quadrature, tolerance: f64| {
        let limit = Limit::new(&smooth).unwrap().quadrature(quadrature).tolerance(tolerance).unwrap();
        limit.coefficients(&state(2)).unwrap().coefficients
    };
    let exact = of(Quadrature::Automatic, 1e-10);
    let trapezoidal = of(Quadrature::Trapezoidal, 1e-10);
    let sampled = of(Quadrature::Sobol, 3e-3);
    assert!(distance(&exact, &trapezoidal) < 1e-9, "{}", distance(&exact, &trapezoidal));
    assert!(distance(&exact, &sampled) < 2e-2, "{}", distance(&exact, &sampled));
    let polynomial = model(Polynomial::new([0.1, 0.8, 0.1]).unwrap(), (2, 4), noise());
    let of = |quadrature| {
        let limit = Limit::new(&polynomial).unwrap().quadrature(quadrature).tolerance(1e-9).unwrap();
        limit.coefficients(&state(2)).unwrap().coefficients
    };
    let (hermite, lattice) = (of(Quadrature::Automatic), of(Quadrature::Trapezoidal));
    assert!(distance(&hermite, &lattice) < 1e-7, "{}", distance(&hermite, &lattice));
}

/// σ the identity, no feature's noise, everything Gaussian: Isserlis' theorem gives A in closed form. With h¹ = h² = h of covariance R
/// (no noise, Gaussian features of variance 1, η = 1), C_ij = h_i h_j over the batch and e_i = −2h_i·2 + …:
/// A = −2τ E[Σ_j G_ij h_j x], E[G_ij h_j x_l] = offset_ij E[h_j x_l] + slope_ij (1 − 1/B) R_ij E[h_j x_l] + slope_ij/B E[h_i h_j h_j x_l].
#[test]
fn the_identity_has_a_closed_form() {
    for batch in [1, 3] {
        let laws = [Law::gaussian(1.0).unwrap(), Law::gaussian(1.0).unwrap()];
        let builder = Model::builder().nonlinearity(Identity).hidden(Independent::new(laws).unwrap()).noise(NoNoise);
        let builder = builder.learning_rate(1.0).n_neurons(2).batch_size(batch);
        let model = builder.loss(BarlowTwins::new(STRENGTH).unwrap()).build().unwrap();
        let state = state(2);
        let seen = Limit::new(&model).unwrap().coefficients(&state).unwrap().coefficients;
        let (q, r) = (state.q(), state.r());
        let share = 1.0 / batch as f64;
        let expected = DMatrix::from_fn(2, 2, |l, i| {
            let terms = (0..2).map(|j| {
                let (offset, slope) = if i == j { (-2.0, 2.0) } else { (0.0, 2.0 * STRENGTH) };
                // E[h_i h_j h_j x_l] = R_ij Q_lj + R_ij Q_lj + R_jj Q_li.
                let own = 2.0 * r[(i, j)] * q[(l, j)] + r[(j, j)] * q[(l, i)];
                offset * q[(l, j)] + slope * (1.0 - share) * r[(i, j)] * q[(l, j)] + slope * share * own
            });
            -2.0 * terms.sum::<f64>()
        });
        assert!((&seen.a - &expected).amax() < 1e-9, "{batch}: {} {}", seen.a, expected);
    }
}

/// Derivatives by the state, the learning rate, the penalty strength and the batch size against differences of the rates.
#[test]
fn derivatives_are_those_of_differences() {
    for correlation in [0.4, -0.6] {
        let model = model(Tanh, (2, 4), GaussianNoise::correlated(0.5, correlation).unwrap());
        let parameters = [Parameter::LearningRate, Parameter::PenaltyStrength, Parameter::BatchSize];
        assert_derivatives(&model, &state(2), &parameters);
    }
}

/// Derivatives of the rates by every entry of the state and by those parameters, against differences.
pub(super) fn assert_derivatives<S: Nonlinearity, L: Loss>(
    model: &Model<f64, S, Independent, GaussianNoise, L2, L>,
    state: &OrderParameters,
    parameters: &[Parameter],
) {
    let (p, m) = (model.n_features(), model.n_neurons());
    let ode = ReducedOde::new(model).unwrap().coefficient_tolerance(1e-10).unwrap();
    let answer = ode.sensitivities(state, parameters).unwrap();
    let packed = state.to_packed();
    let rates = |ode: &ReducedOde<'_>, state: &OrderParameters| {
        let rates = ode.rates(state).unwrap();
        let triangle = (0..m).flat_map(|i| (i..m).map(move |j| (i, j)));
        let entries = rates.q.transpose().iter().copied().chain(triangle.map(|at| rates.r[at])).collect::<Vec<f64>>();
        DVector::from_vec(entries)
    };
    let step = 1e-4;
    let close = |up: &DVector<f64>, down: &DVector<f64>, seen: &dyn Fn(usize) -> f64, name: &dyn std::fmt::Debug| {
        for row in 0..packed.len() {
            let (slope, seen) = ((up[row] - down[row]) / (2.0 * step), seen(row));
            assert!((slope - seen).abs() < 2e-6, "{name:?} {row}: {slope} {seen}");
        }
    };
    for column in 0..packed.len() {
        let moved = |step: f64| {
            let mut y = packed.clone();
            y[column] += step;
            rates(&ode, &OrderParameters::from_packed(p, m, y.as_slice()).unwrap())
        };
        close(&moved(step), &moved(-step), &|row| answer.by_state[(row, column)], &column);
    }
    for (k, &parameter) in parameters.iter().enumerate() {
        let value = ode.parameter(parameter).unwrap();
        let at = |value: f64| rates(&ode.with_parameter(parameter, value).unwrap(), state);
        close(&at(value + step), &at(value - step), &|row| answer.by_parameter[(row, k)], &parameter);
    }
}
