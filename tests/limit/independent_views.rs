//! Several neurons, given what the views have in common: at degenerate states, across kinks, and with derivatives. Random models are in
//! `sums`.

use contrastive_dynamics::limit::{Limit, LimitError, Quadrature};
use contrastive_dynamics::model::{
    Erf, GaussianNoise, Identity, Independent, Law, LeakyRelu, Nonlinearity, Relu, Tanh, ViewCovariance,
};
use contrastive_dynamics::nalgebra::{DMatrix, DVector};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::state::OrderParameters;

use super::many_features::{difference, enumerated};
use super::sum_nodes::model;

fn hidden() -> Independent {
    let laws = [Law::two_point(2.25).unwrap(), Law::skewed(1.2, 0.3).unwrap(), Law::three_point(1.0, 0.4).unwrap()];
    Independent::new(laws).unwrap()
}

fn correlated(rho: f64) -> GaussianNoise {
    GaussianNoise::correlated(0.3, rho).unwrap()
}

/// Views that differ in both kinds of noise.
fn unequal() -> GaussianNoise {
    let covariance = |a, c, b| ViewCovariance::new(a, c, b).unwrap();
    GaussianNoise::new(covariance(0.5, 0.1, 0.2), covariance(0.2, -0.05, 0.4))
}

/// Two neurons: R = QᵀQ, copies of each other, opposites, one that has vanished, one of a hundredth of the other, and anywhere.
fn states() -> Vec<OrderParameters> {
    let two = |q: [f64; 6], background: [f64; 3]| {
        let q = DMatrix::from_row_slice(3, 2, &q);
        let [a, c, b] = background;
        let r = q.transpose() * &q + DMatrix::from_row_slice(2, 2, &[a, c, c, b]);
        OrderParameters::new(q, r).unwrap()
    };
    vec![
        two([0.4, 0.1, -0.2, 0.5, 0.3, 0.2], [0.0, 0.0, 0.0]),
        two([0.4, 0.4, -0.2, -0.2, 0.1, 0.1], [0.6, 0.6, 0.6]),
        two([0.4, -0.4, -0.2, 0.2, 0.1, -0.1], [0.6, -0.6, 0.6]),
        two([0.4, 0.0, -0.2, 0.0, 0.3, 0.0], [0.5, 0.0, 0.0]),
        two([0.4, 0.01, -0.2, 0.02, 0.3, 0.01], [0.5, 0.001, 1e-4]),
        two([0.4, 0.1, -0.2, 0.5, 0.3, 0.2], [0.7, 0.3, 0.4]),
    ]
}

/// At degenerate states, for views that are equal, correlated either way, and unlike each other, the averages are those over the nodes of the
/// hidden law by another rule.
#[test]
fn degenerate_states_agree_with_lattices_of_the_fields() {
    let still = GaussianNoise::new(ViewCovariance::zero(), ViewCovariance::zero());
    for (sigma, noise) in [
        (&Tanh as &dyn Nonlinearity, correlated(0.5)),
        (&Tanh, correlated(-0.3)),
        (&Erf, correlated(1.0)),
        (&Tanh, unequal()),
        (&Erf, still),
    ] {
        let (by_law, by_nodes) = (model(sigma, hidden(), noise, 2), model(sigma, enumerated(hidden()), noise, 2));
        for (number, state) in states().iter().enumerate() {
            let answer = Limit::new(&by_law).unwrap().tolerance(1e-8).unwrap().coefficients(state).unwrap();
            let fields = Limit::new(&by_nodes).unwrap().tolerance(1e-9).unwrap().quadrature(Quadrature::Trapezoidal);
            let fields = fields.coefficients(state).unwrap();
            let error = difference(&answer.coefficients, &fields.coefficients);
            assert!(error <= answer.error + fields.error, "{number}: {error:e} {:e}", answer.error);
            assert!(answer.error < 1e-8, "{number}: {:e}", answer.error);
        }
    }
}

/// The hidden law costs nothing but its characteristic function: eight times the features are about as many evaluations of σ.
#[test]
fn evaluations_do_not_grow_with_the_features() {
    let nodes = |p: usize| {
        let hidden = Independent::new((0..p).map(|_| Law::two_point(1.0).unwrap())).unwrap();
        let model = model(Tanh, hidden, correlated(0.5), 2);
        let q = DMatrix::from_fn(p, 2, |l, i| 0.6 * ((3 * l + i) as f64).cos() / (p as f64).sqrt());
        let r = q.transpose() * &q + DMatrix::from_row_slice(2, 2, &[0.6, 0.1, 0.1, 0.5]);
        let limit = Limit::new(&model).unwrap().tolerance(1e-8).unwrap();
        limit.rule(&OrderParameters::new(q, r).unwrap()).unwrap().nodes()
    };
    let (few, many) = (nodes(10), nodes(80));
    assert!(many < 2 * few && many < 40_000, "{few} {many}");
}

/// Two and three neurons across a kink: the leaky rectifier of slope 1 is the identity, for which averages are exact. The control is one of
/// slope 0.99.
#[test]
fn a_leaky_rectifier_without_a_kink_is_the_identity() {
    for (neurons, tolerance) in [(2, 1e-8), (3, 1e-5)] {
        let q = DMatrix::from_fn(3, neurons, |l, i| 0.4 * (2.0 * l as f64 + 0.7 * i as f64).sin());
        let r = q.transpose() * &q + DMatrix::from_fn(neurons, neurons, |i, j| if i == j { 0.5 } else { 0.1 });
        let state = OrderParameters::new(q, r).unwrap();
        let exact = model(Identity, hidden(), correlated(0.4), neurons);
        let exact = Limit::new(&exact).unwrap().coefficients(&state).unwrap().coefficients;
        let leaky = |slope| {
            let model = model(LeakyRelu::new(slope).unwrap(), hidden(), correlated(0.4), neurons);
            Limit::new(&model).unwrap().tolerance(tolerance).unwrap().coefficients(&state).unwrap()
        };
        let (straight, bent) = (leaky(1.0), leaky(0.99));
        let error = difference(&straight.coefficients, &exact);
        assert!(error <= straight.error && straight.error < 3.0 * tolerance, "{error:e} {:e}", straight.error);
        assert!(difference(&bent.coefficients, &exact) > 1e-3);
    }
}

/// Across a kink points in four dimensions agree as far as they go. Where views are equal there is nothing else.
#[test]
fn a_rectifier_agrees_with_points_in_four_dimensions() {
    for noise in [correlated(0.4), correlated(-0.3), unequal()] {
        let model = model(Relu, hidden(), noise, 2);
        let state = &states()[5];
        let limit = Limit::new(&model).unwrap();
        let answer = limit.clone().tolerance(1e-8).unwrap().coefficients(state).unwrap();
        let points = limit.tolerance(4e-3).unwrap().quadrature(Quadrature::Sobol).coefficients(state).unwrap();
        let error = difference(&answer.coefficients, &points.coefficients);
        assert!(error <= answer.error + points.error, "{error:e} {:e}", points.error);
        let mut wrong = answer.coefficients.clone();
        wrong.lambda *= 1.05;
        assert!(difference(&wrong, &points.coefficients) > answer.error + points.error, "the control");
    }
    let still = GaussianNoise::new(ViewCovariance::zero(), ViewCovariance::zero());
    let equal = model(Relu, hidden(), still, 2);
    let error = Limit::new(&equal).unwrap().tolerance(1e-8).unwrap().node_budget(1 << 16);
    let error = error.coefficients(&states()[5]).unwrap_err();
    assert!(matches!(error, LimitError::ToleranceNotMet { best: Some(_), .. }), "{error}");
}

/// Derivatives by every entry of the state against differences of the coefficients, smooth and across a kink. A vanished neuron is none of these
/// states: differences would leave what is feasible.
#[test]
fn derivatives_are_those_of_the_averages() {
    for (sigma, noise) in
        [(&Tanh as &dyn Nonlinearity, correlated(0.5)), (&Erf, unequal()), (&Relu, correlated(0.4)), (&Relu, unequal())]
    {
        let model = model(sigma, hidden(), noise, 2);
        let ode = ReducedOde::new(&model).unwrap().coefficient_tolerance(1e-10).unwrap();
        let state = &states()[5];
        let jacobian = ode.sensitivities(state, &[]).unwrap().by_state;
        let packed = state.to_packed();
        let rates = |y: &DVector<f64>| -> DVector<f64> {
            let state = OrderParameters::from_packed(3, 2, y.as_slice()).unwrap();
            let rates = ode.rates(&state).unwrap();
            // Q row by row, then the upper triangle of R.
            let q = rates.q.transpose();
            let r = [(0, 0), (0, 1), (1, 1)].map(|at| rates.r[at]);
            DVector::from_iterator(9, q.iter().copied().chain(r))
        };
        let step = 1e-3;
        for k in 0..packed.len() {
            let at = |shift: f64| {
                let mut y = packed.clone();
                y[k] += shift;
                rates(&y)
            };
            let third = (at(step) - at(-step)) * (8.0 / 12.0) - (at(2.0 * step) - at(-2.0 * step)) * (1.0 / 12.0);
            let error = (third / step - jacobian.column(k)).amax();
            assert!(error < 2e-6 * jacobian.amax(), "{k}: {error:e}");
        }
    }
}
