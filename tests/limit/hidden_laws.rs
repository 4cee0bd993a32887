//! Laws made of others, in the limit: for one neuron without penalty every coefficient is an average over a single sample,
//! so it is linear in the law of c.

use contrastive_dynamics::limit::{Coefficients, Limit};
use contrastive_dynamics::model::{
    CorrelatedSigns, Discrete, GaussianNoise, HiddenDistribution, HiddenVariable, Independent, Law, Mixture, Model,
    Sigmoid, Tanh, VariableQuadrature,
};
use contrastive_dynamics::nalgebra::DMatrix;
use contrastive_dynamics::state::OrderParameters;

/// The coefficients under that law of two variables, with their error.
fn coefficients(hidden: impl HiddenDistribution, tanh: bool) -> (Coefficients, f64) {
    let state = OrderParameters::from_rows(2, 1, &[0.45, -0.2], &[0.8]).unwrap();
    let noise = GaussianNoise::correlated(0.3, -0.5).unwrap();
    let builder = Model::builder().hidden(hidden).noise(noise).learning_rate(0.3).batch_size(2);
    let estimated = if tanh {
        let model = builder.nonlinearity(Tanh).build().unwrap();
        Limit::new(&model).unwrap().coefficients(&state).unwrap()
    } else {
        let model = builder.nonlinearity(Sigmoid).build().unwrap();
        Limit::new(&model).unwrap().coefficients(&state).unwrap()
    };
    (estimated.coefficients, estimated.error)
}

fn difference(x: &Coefficients, y: &Coefficients) -> f64 {
    (&x.a - &y.a).amax().max((&x.b - &y.b).amax()).max((&x.lambda - &y.lambda).amax())
}

fn pair(first: Law, second: Law) -> Independent {
    Independent::new([first, second]).unwrap()
}

/// Components with different Gaussian parts, a discrete one and one with a rule of its own.
#[test]
fn the_coefficients_of_a_mixture_are_the_weighted_coefficients_of_its_components() {
    let components = || {
        [
            (0.2, Law::gaussian(0.5).unwrap()),
            (0.3, Law::gaussian(2.0).unwrap()),
            (0.4, Law::skewed(1.5, 0.3).unwrap()),
            (0.1, Law::uniform(3.0).unwrap()),
        ]
    };
    let other = || Law::three_point(1.0, 0.4).unwrap();
    for tanh in [true, false] {
        let (mixture, error) = coefficients(pair(Law::mixture(components()).unwrap(), other()), tanh);
        let joint = Mixture::joint(components().map(|(weight, law)| (weight, pair(law, other())))).unwrap();
        let (joint, joint_error) = coefficients(joint, tanh);
        let (mut sum, mut allowed) = (mixture.clone(), error);
        (sum.a, sum.b, sum.lambda) = (DMatrix::zeros(2, 1), DMatrix::zeros(1, 1), DMatrix::zeros(1, 1));
        for (weight, law) in components() {
            let (alone, error) = coefficients(pair(law, other()), tanh);
            sum.a += alone.a * weight;
            sum.b += alone.b * weight;
            sum.lambda += alone.lambda * weight;
            allowed += error * weight;
        }
        assert!(allowed < 1e-10, "{allowed}");
        assert!(difference(&mixture, &sum) <= allowed, "{} {allowed}", difference(&mixture, &sum));
        assert!(difference(&joint, &sum) <= allowed + joint_error, "{}", difference(&joint, &sum));
        // The control: the same second moment, not the same law.
        let (gaussian, _) = coefficients(pair(Law::gaussian(1.6).unwrap(), other()), tanh);
        assert!(difference(&gaussian, &sum) > 1e-4);
    }
}

#[test]
fn correlated_signs_are_the_discrete_law_of_their_patterns() {
    let points = DMatrix::from_row_slice(2, 4, &[1.0, 1.0, -1.0, -1.0, 1.5, -1.5, 1.5, -1.5]);
    for rho in [-0.6, 0.3] {
        let signs = CorrelatedSigns::new([1.0, 2.25], rho).unwrap();
        let (same, other) = (0.25 * (1.0 + rho), 0.25 * (1.0 - rho));
        let discrete = Discrete::new(points.clone(), [same, other, other, same]).unwrap();
        let (discrete, _) = coefficients(discrete, true);
        assert!(difference(&coefficients(signs, true).0, &discrete) < 1e-12);
        let independent = pair(Law::two_point(1.0).unwrap(), Law::two_point(2.25).unwrap());
        assert!(difference(&coefficients(independent, true).0, &discrete) > 1e-3, "the control");
    }
}

/// Ten nodes of the arcsine law on [−1, 1]: its Gauss rule, and the first 19 moments.
#[test]
fn a_distribution_is_averaged_over_the_nodes_that_come_with_it() {
    use rand_distr::Distribution;
    let arcsine = |n: u32| {
        let distribution = rand_distr::Beta::new(0.5, 0.5).unwrap().map(|x: f64| 2.0 * x - 1.0);
        let node = |k: u32| ((f64::from(k) + 0.5) * std::f64::consts::PI / f64::from(n)).cos();
        let weights = vec![1.0 / f64::from(n); n as usize];
        Law::from_distribution(distribution, (0..n).map(node).collect::<Vec<f64>>(), weights).unwrap()
    };
    let with = |law: Law| coefficients(pair(law, Law::two_point(1.0).unwrap()), true).0;
    assert!(difference(&with(arcsine(10)), &with(arcsine(40))) < 1e-9);
    assert!(difference(&with(arcsine(1)), &with(arcsine(40))) > 1e-3, "the control");
}

/// A sample of a million, one point for each of as many quantiles of a uniform variable, which a midpoint rule has to 1e-12; beside it a skewed
/// one. As two variables, and as one of 300 000 values.
#[test]
fn a_million_points_are_the_law_that_they_sample() {
    let n = 1_000_000;
    let (width, skewed) = ((3.0_f64 * 2.25).sqrt(), Law::skewed(1.2, 0.3).unwrap());
    let quantile = |k: usize, n: usize| width * ((2 * k + 1) as f64 / n as f64 - 1.0);
    let VariableQuadrature { nodes, weights, .. } = HiddenVariable::quadrature(&skewed, 1);
    let points = DMatrix::from_fn(2, n, |l, k| if l == 0 { quantile(k / 2, n / 2) } else { nodes[k % 2] });
    let masses: Vec<f64> = (0..n).map(|k| weights[k % 2] / (n / 2) as f64).collect();
    let sample = Discrete::new(points, masses).unwrap();
    let m = 300_000;
    let values: Vec<f64> = (0..m).map(|k| quantile(k, m)).collect();
    let values = Law::point_masses(values, vec![1.0 / m as f64; m]).unwrap();
    let (exact, error) = coefficients(pair(Law::uniform(2.25).unwrap(), skewed.clone()), true);
    assert!(error < 1e-10);
    let (as_points, of_points) = coefficients(sample, true);
    let (as_values, of_values) = coefficients(pair(values, skewed.clone()), true);
    assert!(of_points < 1e-9 && difference(&as_points, &exact) <= error + of_points, "{of_points:e}");
    assert!(of_values < 1e-9 && difference(&as_values, &exact) <= error + of_values, "{of_values:e}");
    // The control: a law that has the same second moments.
    let (other, _) = coefficients(pair(Law::three_point(2.25, 5.0 / 9.0).unwrap(), skewed), true);
    assert!(difference(&other, &exact) > 1e-5, "{:e}", difference(&other, &exact));
}
