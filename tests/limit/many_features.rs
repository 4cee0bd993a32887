//! Many features: the law of the sum Qᵀc by its characteristic function, against nodes of the hidden law and closed forms.

use contrastive_dynamics::integrate::System;
use contrastive_dynamics::limit::{Coefficients, Limit, LimitError, Parameter};
use contrastive_dynamics::model::{
    CorrelatedSigns, GaussianNoise, HiddenDistribution, HiddenQuadrature, Independent, JointCharacteristic, L2, Law,
    Model, Spec, Tanh, ViewCovariance,
};
use contrastive_dynamics::nalgebra::{DMatrix, DVector};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::rand::Rng;
use contrastive_dynamics::state::OrderParameters;

use crate::support::models::reference;

/// A law that gives its characteristic function at |k| < `within` alone: nowhere if that is 0, so that its nodes are enumerated.
#[derive(Debug, Clone)]
pub(super) struct Within<H> {
    law: H,
    within: f64,
}

pub(super) fn enumerated<H>(law: H) -> Within<H> {
    Within { law, within: 0.0 }
}

impl<H: HiddenDistribution> HiddenDistribution for Within<H> {
    fn dimension(&self) -> usize {
        self.law.dimension()
    }
    fn sample<G: Rng + ?Sized>(&self, rng: &mut G, c: &mut [f64]) {
        self.law.sample(rng, c);
    }
    fn quadrature(&self, points: usize) -> HiddenQuadrature<f64> {
        self.law.quadrature(points)
    }
    fn quadrature_is_exact(&self) -> bool {
        self.law.quadrature_is_exact()
    }
    fn quadrature_size(&self, points: usize) -> usize {
        self.law.quadrature_size(points)
    }
    fn gaussian_part(&self) -> DMatrix<f64> {
        self.law.gaussian_part()
    }
    fn mean(&self) -> DVector<f64> {
        self.law.mean()
    }
    fn second_moment(&self) -> DMatrix<f64> {
        self.law.second_moment()
    }
    fn fourth_moments(&self) -> DVector<f64> {
        self.law.fourth_moments()
    }
    fn blocks(&self) -> Vec<std::ops::Range<usize>> {
        self.law.blocks()
    }
    fn characteristic(&self, block: usize, k: &[f64], out: &mut JointCharacteristic<f64>) -> bool {
        k.iter().all(|k| k.abs() < self.within) && self.law.characteristic(block, k, out)
    }
    fn is_symmetric(&self, l: usize) -> bool {
        self.law.is_symmetric(l)
    }
    fn is_jointly_symmetric(&self) -> bool {
        self.law.is_jointly_symmetric()
    }
}

pub(super) fn difference(x: &Coefficients, y: &Coefficients) -> f64 {
    (&x.a - &y.a).amax().max((&x.b - &y.b).amax()).max((&x.lambda - &y.lambda).amax())
}

/// A model of that law and those covariances of the views.
fn spec(
    hidden: impl HiddenDistribution,
    noise: GaussianNoise,
    background: f64,
) -> impl Spec<Scalar = f64, Regularizer = L2> {
    let builder = Model::builder().hidden(hidden).noise(noise).nonlinearity(Tanh).background_std(background);
    builder.learning_rate(0.3).weight_decay(0.5).batch_size(3).build().unwrap()
}

/// Discrete laws whose nodes are few enough to enumerate: signs, sparse and skewed variables, a Gaussian one, and a block.
fn laws(kind: usize) -> Vec<Law> {
    (0..6)
        .map(|l| match (kind, l % 3) {
            (0, _) | (1, 0) => Law::two_point(1.0 + 0.3 * f64::from(l)).unwrap(),
            (1, 1) => Law::three_point(1.5, 0.4).unwrap(),
            (1, _) => Law::gaussian(0.8).unwrap(),
            (_, 0) => Law::skewed(1.2, 0.3).unwrap(),
            (_, 1) => Law::point_masses([0.7, -0.1], [0.4, 0.6]).unwrap(),
            _ => Law::two_point(2.0).unwrap(),
        })
        .collect()
}

fn overlaps(p: usize, length: f64) -> Vec<f64> {
    let q: Vec<f64> = (0..p).map(|l| (1.7 * l as f64 + 0.4).cos()).collect();
    let norm = q.iter().map(|x| x * x).sum::<f64>().sqrt();
    q.iter().map(|x| length * x / norm).collect()
}

/// How far the sum's averages are from those over the nodes, and the error that they state.
fn compare<H: HiddenDistribution + Clone>(
    hidden: &H,
    noise: GaussianNoise,
    background: f64,
    state: &OrderParameters,
) -> (f64, f64) {
    let (summed, nodes) =
        (spec(hidden.clone(), noise, background), spec(enumerated(hidden.clone()), noise, background));
    let summed = Limit::new(&summed).unwrap().coefficients(state).unwrap();
    let nodes = Limit::new(&nodes).unwrap().tolerance(1e-11).unwrap().coefficients(state).unwrap();
    // Without any noise one node for each value of c is enough.
    assert!(summed.nodes != nodes.nodes || state.background().amax() == 0.0);
    (difference(&summed.coefficients, &nodes.coefficients), summed.error + nodes.error)
}

#[test]
fn sums_agree_with_nodes_at_every_covariance_of_the_views() {
    for kind in 0..3 {
        let hidden = Independent::new(laws(kind)).unwrap();
        // R = QᵀQ + background: with some of it, with hardly any, and with none.
        for background in [0.8, 1e-3, 0.0] {
            let q = overlaps(6, 0.6);
            let r = q.iter().map(|x| x * x).sum::<f64>() + background;
            let state = OrderParameters::from_rows(6, 1, &q, &[r]).unwrap();
            let covariance = |a, c, b| ViewCovariance::new(a, c, b).unwrap();
            let unequal = GaussianNoise::new(covariance(0.5, 0.1, 0.2), covariance(0.1, -0.05, 0.4));
            let opposed = GaussianNoise::correlated(0.3, -1.0).unwrap();
            let still = GaussianNoise::new(covariance(0.0, 0.0, 0.0), covariance(0.0, 0.0, 0.0));
            let equal = GaussianNoise::correlated(0.3, 1.0).unwrap();
            for (name, (error, stated)) in [
                ("negative", compare(&hidden, GaussianNoise::correlated(0.3, -0.5).unwrap(), 1.0, &state)),
                ("unequal", compare(&hidden, unequal, 0.5, &state)),
                ("opposed", compare(&hidden, opposed, 0.0, &state)),
                ("equal", compare(&hidden, equal, 0.0, &state)),
                ("none", compare(&hidden, still, 1.0, &state)),
            ] {
                assert!(error <= stated + 1e-14 && stated < 2e-10, "{kind} {background} {name}: {error:e} {stated:e}");
            }
        }
    }
}

/// Variables that are not independent enter as a block.
#[test]
fn blocks_of_dependent_variables_agree_with_nodes() {
    let signs = CorrelatedSigns::with_loadings([1.0, 2.0, 0.5, 1.5], [0.5, -0.3, 1.0, 0.2]).unwrap();
    let hidden = signs.and(Independent::new(laws(2)).unwrap());
    let state = OrderParameters::from_rows(10, 1, &overlaps(10, 0.7), &[1.1]).unwrap();
    let (error, stated) = compare(&hidden, GaussianNoise::correlated(0.3, -0.5).unwrap(), 1.0, &state);
    assert!(error <= stated && stated < 1e-10, "{error:e} {stated:e}");
}

/// The control: a law that differs in its fourth moment alone.
#[test]
fn another_law_of_the_same_second_moments_is_told_apart() {
    let state = OrderParameters::from_rows(6, 1, &overlaps(6, 0.6), &[1.0]).unwrap();
    let signs = |kurtosis: f64| (0..6).map(move |_| Law::three_point(1.0, 1.0 / kurtosis).unwrap());
    let at = |kurtosis| {
        let model = reference(signs(kurtosis)).build().unwrap();
        Limit::new(&model).unwrap().coefficients(&state).unwrap().coefficients
    };
    assert!(difference(&at(1.0), &at(1.01)) > 1e-6);
}

/// Gaussian variables have a closed way: they only widen the fields. Four variables that are not Gaussian, and of which the neuron
/// knows nothing, make a sum of the law.
#[test]
fn sixty_gaussian_variables_agree_with_wider_fields() {
    let p = 60;
    let mut q = overlaps(p - 4, 0.6);
    q.extend([0.0; 4]);
    let state = OrderParameters::from_rows(p, 1, &q, &[1.0]).unwrap();
    let answer = |last: Law| {
        let laws = (0..p).map(|l| if l < p - 4 { Law::gaussian(0.5 + 0.05 * l as f64).unwrap() } else { last.clone() });
        let model = reference(laws).build().unwrap();
        Limit::new(&model).unwrap().coefficients(&state).unwrap()
    };
    let (summed, wide) = (answer(Law::three_point(1.0, 0.5).unwrap()), answer(Law::gaussian(1.0).unwrap()));
    assert_ne!(summed.nodes, wide.nodes);
    let error = difference(&summed.coefficients, &wide.coefficients);
    assert!(error <= summed.error + wide.error && summed.error < 3e-10, "{error:e} {:e}", summed.error);
}

#[test]
fn derivatives_are_those_over_nodes() {
    let state = OrderParameters::from_rows(6, 1, &overlaps(6, 0.6), &[1.0]).unwrap();
    let covariance = |a, c, b| ViewCovariance::new(a, c, b).unwrap();
    let unequal = GaussianNoise::new(covariance(0.5, 0.1, 0.2), covariance(0.3, -0.05, 0.4));
    let parameters = [
        Parameter::SecondMoment(1),
        Parameter::SecondMoment(2),
        Parameter::FeatureNoiseCorrelation,
        Parameter::BackgroundNoiseVariance,
        Parameter::BackgroundStd,
        Parameter::BatchSize,
    ];
    for kind in 0..3 {
        let hidden = Independent::new(laws(kind)).unwrap();
        let (summed, nodes) = (spec(hidden.clone(), unequal, 0.7), spec(enumerated(hidden), unequal, 0.7));
        let summed = ReducedOde::new(&summed).unwrap().sensitivities(&state, &parameters).unwrap();
        let nodes = ReducedOde::new(&nodes).unwrap().sensitivities(&state, &parameters).unwrap();
        let scale = nodes.by_state.amax();
        assert!((&summed.by_state - &nodes.by_state).amax() < 1e-7 * scale, "{kind}");
        assert!((&summed.by_parameter - &nodes.by_parameter).amax() < 1e-7 * scale, "{kind}");
    }
}

/// A law that has a characteristic function, but not everywhere, is as one that has none; and this one has no other way.
#[test]
fn a_law_that_gives_its_characteristic_function_in_places_is_refused() {
    let law = Independent::new((0..30).map(|_| Law::two_point(1.0).unwrap())).unwrap();
    let hidden = Within { law, within: 1.1 };
    let model = spec(hidden, GaussianNoise::correlated(0.3, -0.5).unwrap(), 1.0);
    let state = OrderParameters::from_rows(30, 1, &overlaps(30, 0.5), &[1.0]).unwrap();
    let answer = Limit::new(&model).and_then(|limit| limit.coefficients(&state));
    assert!(matches!(answer, Err(LimitError::HiddenNodes { .. })), "{answer:?}");
}

/// One that stops giving it along the way leaves no answer of an earlier state behind: not in a frozen rule, not in its
/// derivatives, not at the end of a step.
#[test]
fn a_law_that_stops_giving_its_characteristic_function_leaves_no_old_answer() {
    let law = Independent::new((0..30).map(|_| Law::two_point(1.0).unwrap())).unwrap();
    let hidden = Within { law, within: 1.1 };
    let model = spec(hidden, GaussianNoise::correlated(0.3, -0.5).unwrap(), 1.0);
    let ode = ReducedOde::new(&model).unwrap();
    let state = |length| OrderParameters::from_rows(30, 1, &overlaps(30, length), &[1.0]).unwrap();
    let (near, far) = (state(0.05), state(0.9));
    let mut system = ode.system(&near).unwrap();
    let mut rates = |state: &OrderParameters| {
        let y = state.to_packed();
        let mut rates = vec![0.0; y.len()];
        system.rates(0.0, y.as_slice(), &mut rates).unwrap();
        (rates, system.clone())
    };
    let (known, _) = rates(&near);
    assert!(known.iter().all(|x| x.is_finite()));
    // Twice: the second time the rule knows the coefficients of the sum already.
    for _ in 0..2 {
        let (lost, mut system) = rates(&far);
        assert!(lost.iter().all(|x| x.is_nan()), "{lost:?}");
        let y = far.to_packed();
        assert!(system.accepted(0.0, y.as_slice()).is_err());
        match system.jacobian(y.as_slice()) {
            Ok(answer) => assert!(answer.by_state.iter().all(|x| x.is_nan()), "{}", answer.by_state),
            Err(error) => assert!(matches!(error, LimitError::NotFinite | LimitError::NotDifferentiable), "{error}"),
        }
    }
    assert_eq!(rates(&near).0, known);
}
