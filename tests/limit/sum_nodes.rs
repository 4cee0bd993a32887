//! Several neurons, and kinks: nodes of the sum Qᵀc in as many dimensions as there are neurons, against nodes of the hidden law, and
//! against one variable that has the law of a sum.

use contrastive_dynamics::integrate::DormandPrince;
use contrastive_dynamics::limit::{Limit, Parameter, Quadrature};
use contrastive_dynamics::model::{
    AugmentationNoise, CorrelatedSigns, GaussianNoise, HiddenDistribution, Independent, L2, Law, Model, Nonlinearity,
    Relu, Spec, Tanh, ViewCovariance,
};
use contrastive_dynamics::nalgebra::DMatrix;
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::state::OrderParameters;

use super::many_features::{difference, enumerated};

pub(super) fn model(
    sigma: impl Nonlinearity,
    hidden: impl HiddenDistribution,
    noise: impl AugmentationNoise,
    neurons: usize,
) -> impl Spec<Scalar = f64, Regularizer = L2> {
    let builder = Model::builder().nonlinearity(sigma).hidden(hidden).noise(noise).learning_rate(0.3);
    let builder = builder.weight_decay(0.4).n_neurons(neurons).batch_size(3);
    builder.penalty_strength(if neurons > 1 { 1.0 } else { 0.0 }).build().unwrap()
}

fn overlaps(p: usize, m: usize) -> DMatrix<f64> {
    DMatrix::from_fn(p, m, |l, i| 0.9 * (1.7 * (l * m + i) as f64 + 0.4 * i as f64).cos() / (p as f64).sqrt())
}

/// R = QᵀQ + something.
fn state(q: DMatrix<f64>) -> OrderParameters {
    let m = q.ncols();
    let r = q.transpose() * &q + DMatrix::from_fn(m, m, |i, j| if i == j { 0.5 + 0.1 * i as f64 } else { 0.15 });
    OrderParameters::new(q, r).unwrap()
}

/// Nine variables with 128 to a thousand nodes.
fn laws(kind: usize) -> Vec<Law> {
    (0..9)
        .map(|l| match (kind, l % 3) {
            (0, _) => Law::two_point(1.0 + 0.2 * f64::from(l % 5)).unwrap(),
            (1, 0) => Law::skewed(1.2, 0.3).unwrap(),
            (1, _) => Law::two_point(1.3).unwrap(),
            (_, 0) => Law::three_point(1.5, 0.4).unwrap(),
            _ => Law::two_point(0.7).unwrap(),
        })
        .collect()
}

fn unequal() -> GaussianNoise {
    let covariance = |a, c, b| ViewCovariance::new(a, c, b).unwrap();
    GaussianNoise::new(covariance(0.5, 0.1, 0.2), covariance(0.1, -0.05, 0.4))
}

/// How far averages over nodes of the sum are from those over the nodes of the law, and the errors that they state together.
fn compare<H: HiddenDistribution + Clone>(
    sigma: impl Nonlinearity + Copy,
    hidden: &H,
    noise: GaussianNoise,
    neurons: usize,
    tolerance: f64,
) -> (f64, f64) {
    let (summed, nodes) =
        (model(sigma, hidden.clone(), noise, neurons), model(sigma, enumerated(hidden.clone()), noise, neurons));
    let state = state(overlaps(hidden.dimension(), neurons));
    let limit = Limit::new(&summed).unwrap().tolerance(tolerance).unwrap();
    // By default several neurons do without nodes of the sum.
    let limit = if neurons > 1 { limit.quadrature(Quadrature::Trapezoidal) } else { limit };
    let (summed, nodes) = (limit.coefficients(&state).unwrap(), Limit::new(&nodes).unwrap());
    let nodes = nodes.tolerance(tolerance).unwrap().coefficients(&state).unwrap();
    assert_ne!(summed.nodes, nodes.nodes);
    (difference(&summed.coefficients, &nodes.coefficients), summed.error + nodes.error)
}

/// Two neurons, views equal, opposed in part, and unlike each other.
#[test]
fn two_neurons_agree_with_the_nodes_of_the_law() {
    for (kind, noise) in [
        (0, GaussianNoise::correlated(0.3, -0.5).unwrap()),
        (1, GaussianNoise::correlated(0.3, 1.0).unwrap()),
        (1, unequal()),
        (2, GaussianNoise::semantic_preserving(0.4, 0.3).unwrap()),
    ] {
        let hidden = Independent::new(laws(kind).into_iter().chain(laws(0).into_iter().take(2))).unwrap();
        let (error, stated) = compare(Tanh, &hidden, noise, 2, 1e-6);
        assert!(error <= stated && stated < 1e-6, "{kind}: {error:e} {stated:e}");
    }
}

/// Variables that are not independent enter as a block.
#[test]
fn blocks_of_dependent_variables_agree_with_the_nodes_of_the_law() {
    let signs = CorrelatedSigns::with_loadings([1.0, 2.0, 0.5, 1.5], [0.5, -0.3, 1.0, 0.2]).unwrap();
    let hidden = signs.and(Independent::new(laws(0).into_iter().take(7)).unwrap());
    let (error, stated) = compare(Tanh, &hidden, GaussianNoise::correlated(0.3, -0.5).unwrap(), 2, 1e-6);
    assert!(error <= stated && stated < 1e-6, "{error:e} {stated:e}");
}

/// Across a kink one neuron's averages are sums of panels at each node.
#[test]
fn a_kink_agrees_with_the_nodes_of_the_law() {
    for (kind, noise) in [(0, GaussianNoise::correlated(0.3, -0.5).unwrap()), (1, unequal())] {
        let (error, stated) = compare(Relu, &Independent::new(laws(kind)).unwrap(), noise, 1, 1e-9);
        assert!(error <= stated && stated < 2e-9, "{kind}: {error:e} {stated:e}");
    }
}

/// Derivatives by the state and by those parameters against those over the nodes of the law.
fn assert_same_derivatives(
    sigma: impl Nonlinearity + Copy,
    laws: impl Iterator<Item = Law>,
    neurons: usize,
    parameters: &[Parameter],
) {
    let hidden = Independent::new(laws).unwrap();
    let state = state(overlaps(hidden.dimension(), neurons));
    let summed = model(sigma, hidden.clone(), unequal(), neurons);
    let nodes = model(sigma, enumerated(hidden), unequal(), neurons);
    let [summed, nodes] = [ReducedOde::new(&summed), ReducedOde::new(&nodes)]
        .map(|ode| ode.unwrap().coefficient_tolerance(1e-8).unwrap().sensitivities(&state, parameters).unwrap());
    assert!(summed.by_state != nodes.by_state, "by nodes of their own");
    assert!((&summed.by_state - &nodes.by_state).amax() < 1e-6 * nodes.by_state.amax());
    assert!((&summed.by_parameter - &nodes.by_parameter).amax() < 1e-6 * nodes.by_parameter.amax());
}

/// Derivatives by the state and by parameters of the law, of the noise and of the loss.
#[test]
fn derivatives_are_those_over_the_nodes_of_the_law() {
    let parameters = [
        Parameter::SecondMoment(1),
        Parameter::FeatureNoiseCorrelation,
        Parameter::BackgroundNoiseVariance,
        Parameter::PenaltyStrength,
    ];
    assert_same_derivatives(Tanh, laws(1).into_iter().chain(laws(0).into_iter().take(2)), 2, &parameters);
}

/// Across a kink they are taken by parts.
#[test]
fn derivatives_across_a_kink_are_those_over_the_nodes_of_the_law() {
    let parameters = [Parameter::SecondMoment(1), Parameter::BackgroundNoiseVariance];
    assert_same_derivatives(Relu, laws(1).into_iter(), 1, &parameters);
}

/// Without any noise, and with a state that is all overlap, the lattice alone is what is smooth enough.
#[test]
fn without_noise_the_averages_are_those_of_the_nodes() {
    let still = GaussianNoise::new(ViewCovariance::zero(), ViewCovariance::zero());
    let hidden = Independent::new(laws(0).into_iter().chain(laws(1).into_iter().take(4))).unwrap();
    let q = overlaps(13, 2);
    let state = OrderParameters::new(q.clone(), q.transpose() * &q).unwrap();
    let (summed, nodes) = (model(Tanh, hidden.clone(), still, 2), model(Tanh, enumerated(hidden), still, 2));
    let [summed, nodes] = [Limit::new(&summed), Limit::new(&nodes)]
        .map(|limit| limit.unwrap().tolerance(1e-4).unwrap().quadrature(Quadrature::Trapezoidal))
        .map(|limit| limit.coefficients(&state).unwrap());
    let error = difference(&summed.coefficients, &nodes.coefficients);
    assert!(error <= summed.error + nodes.error && summed.error < 1e-4, "{error:e} {:e}", summed.error);
}

/// The law of the sum of p signs, of mean square one.
fn binomial(p: u32) -> Law {
    let mut probability = 0.5_f64.powi(p.try_into().unwrap());
    let (mut values, mut probabilities) = (Vec::new(), Vec::new());
    for k in 0..=p {
        values.push((2.0 * f64::from(k) - f64::from(p)) / f64::from(p).sqrt());
        probabilities.push(probability);
        probability *= f64::from(p - k) / f64::from(k + 1);
    }
    let total: f64 = probabilities.iter().sum();
    Law::point_masses(values, probabilities.iter().map(|x| x / total).collect::<Vec<_>>()).unwrap()
}

/// Equal overlaps with forty signs are one overlap with their sum, of which there are 41 values and not 2^40: coefficients for two
/// neurons, and a solution for three at less accuracy. The control is a sum of 44 signs.
#[test]
fn forty_signs_of_equal_overlap_are_one_variable() {
    let noise = || GaussianNoise::correlated(0.3, -0.5).unwrap();
    let (p, root) = (40, 40.0_f64.sqrt());
    let signs = Independent::new((0..p).map(|_| Law::two_point(1.0).unwrap())).unwrap();
    for (m, tolerance) in [(2, 1e-7), (3, 1e-4)] {
        let many = model(Tanh, signs.clone(), noise(), m);
        let one = |p| model(Tanh, Independent::new([binomial(p)]).unwrap(), noise(), m);
        let q = DMatrix::from_fn(1, m, |_, i| 0.6 - 0.5 * i as f64);
        let r = q.transpose() * &q + DMatrix::from_fn(m, m, |i, j| if i == j { 0.6 } else { 0.1 });
        let at = |q: DMatrix<f64>| OrderParameters::new(q, r.clone()).unwrap();
        let each = DMatrix::from_fn(p, m, |_, i| q[(0, i)] / root);
        let limit = Limit::new(&many).unwrap().tolerance(tolerance).unwrap();
        let summed = limit.coefficients(&at(each)).unwrap();
        let off = |p| {
            let model = one(p);
            let exact = Limit::new(&model).unwrap().tolerance(tolerance).unwrap().coefficients(&at(q.clone())).unwrap();
            let (many, one) = (&summed.coefficients, &exact.coefficients);
            let a = (0..40).map(|l| (many.a.row(l) * root - one.a.row(0)).amax()).fold(0.0, f64::max);
            let rest = (&many.b - &one.b).amax().max((&many.lambda - &one.lambda).amax());
            (a.max(rest), summed.error * root + exact.error)
        };
        let ((error, stated), (other, _)) = (off(40), off(44));
        assert!(error <= stated && stated < tolerance * root, "{m}: {error:e} {stated:e}");
        assert!(m == 3 || other > 10.0 * stated, "{other:e} {stated:e}");
    }
}

/// The same along a solution, on which nodes are chosen anew.
#[test]
fn a_solution_with_thirty_signs_is_that_with_their_sum() {
    let noise = || GaussianNoise::correlated(0.3, -0.5).unwrap();
    let (p, root) = (30, 30.0_f64.sqrt());
    let many = model(Tanh, Independent::new((0..p).map(|_| Law::two_point(1.0).unwrap())).unwrap(), noise(), 2);
    let one = model(Tanh, Independent::new([binomial(30)]).unwrap(), noise(), 2);
    let start = |p: usize, scale: f64| {
        let q = DMatrix::from_fn(p, 2, |_, i| [0.3, -0.1][i] / scale);
        OrderParameters::new(q, DMatrix::from_row_slice(2, 2, &[1.0, 0.2, 0.2, 0.8])).unwrap()
    };
    let ode = ReducedOde::new(&many).unwrap().coefficient_tolerance(1e-5).unwrap();
    let summed = ode.solver().integrator(DormandPrince::new(1e-6, 1e-8).unwrap()).solve(&start(p, root), 6.0).unwrap();
    let ode = ReducedOde::new(&one).unwrap().coefficient_tolerance(1e-5).unwrap();
    let exact = ode.solver().integrator(DormandPrince::new(1e-6, 1e-8).unwrap()).solve(&start(1, 1.0), 6.0).unwrap();
    let (summed, exact) = (&summed.last().unwrap().1, &exact.last().unwrap().1);
    assert!((exact.q()[(0, 0)] - 0.3).abs() > 0.05, "it moves: {exact:?}");
    for i in 0..2 {
        for l in 0..p {
            assert!((summed.q()[(l, i)] * root - exact.q()[(0, i)]).abs() < 1e-4);
        }
    }
    assert!((summed.r() - exact.r()).amax() < 1e-4);
}
