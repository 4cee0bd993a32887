//! What parts of a model say of themselves, and the pieces that laws and losses of one's own are made of.

use std::sync::atomic::{AtomicUsize, Ordering};

use contrastive_dynamics::limit::{Limit, Quadrature};
use contrastive_dynamics::model::{
    AugmentationNoise, Characteristic, CharacteristicRows, CorrelatedSigns, CovarianceForm, CovarianceLoss,
    Disagreement, EntrySlope, FromDistribution, Gaussian, GaussianNoise, HiddenDistribution, HiddenQuadrature,
    HiddenVariable, Independent, JointCharacteristic, L1, Law, Loss, Mixture, Model, Nonlinearity, OutputGradient,
    Outputs, Penalty, Polynomial, PseudoHuber, Quadratic, Quartic, Regularizer, Tanh, ThreePoint, TwoPoint,
    ViewCovariance, check, check_noise, check_variable,
};
use contrastive_dynamics::nalgebra::{Complex, DMatrix};
use contrastive_dynamics::rand::rngs::StdRng;
use contrastive_dynamics::rand::{Rng, SeedableRng};
use contrastive_dynamics::state::OrderParameters;
use rand_distr::{Distribution, StandardNormal};

use crate::support::models::reference;

/// What was given is what is told, and does what was given.
#[test]
fn parts_give_back_what_they_were_made_of() {
    let signs = CorrelatedSigns::<f64>::new([1.0, 2.0], -0.25).unwrap();
    assert_eq!(signs.loadings(), [0.5, -0.5]);
    let covariance = HiddenDistribution::<f64>::second_moment(&signs);
    assert!((covariance[(0, 1)] + 0.25 * 2.0_f64.sqrt()).abs() < 1e-15);
    let signs = CorrelatedSigns::<f64>::with_loadings([1.0, 2.0, 3.0], [0.5, -1.0, 0.25]).unwrap();
    assert_eq!(signs.loadings(), [0.5, -1.0, 0.25]);

    let law = FromDistribution::new(StandardNormal, [-1.0, 1.0], [0.5, 0.5]).unwrap();
    let mut rngs = [1, 1].map(StdRng::seed_from_u64);
    let [drawn, own]: [f64; 2] = [law.sample(&mut rngs[0]), law.distribution().sample(&mut rngs[1])];
    assert_eq!(drawn, own);

    let laws = [Law::two_point(1.0).unwrap(), Law::uniform(2.0).unwrap()];
    assert_eq!(Independent::new(laws.clone()).unwrap().laws(), laws);
    assert_eq!(ThreePoint::with_second_moment(2.0, 0.4).unwrap().activity(), 0.4);

    let parts =
        [(0.25, TwoPoint::with_second_moment(1.0).unwrap()), (0.75, TwoPoint::with_second_moment(4.0).unwrap())];
    let mixture = Mixture::new(parts).unwrap();
    let components: Vec<(f64, f64)> = mixture.components().map(|(weight, law)| (weight, law.second_moment())).collect();
    assert_eq!(components, [(0.25, 1.0), (0.75, 4.0)]);
    assert!((HiddenVariable::<f64>::second_moment(&mixture) - 3.25).abs() < 1e-15);

    let cubic = Polynomial::new(vec![0.0, 1.0, 0.5, -2.0]).unwrap();
    assert_eq!(cubic.coefficients(), [0.0, 1.0, 0.5, -2.0]);
    let loss = CovarianceLoss::new(PseudoHuber::new(0.5).unwrap(), 2.0).unwrap();
    assert!((loss.penalty().derivative(0.5) - 0.5 / 2.0_f64.sqrt()).abs() < 1e-15 && loss.strength() == 2.0);

    let model = reference(laws).regularizer(L1).build().unwrap();
    assert_eq!(model.regularizer().apply(-3.0), -1.0);
    assert_eq!(Nonlinearity::value(model.nonlinearity(), 0.5), 0.5_f64.tanh());
}

/// Only equal variances can be exchanged, whatever the covariance.
#[test]
fn views_are_exchangeable_where_their_variances_are_equal() {
    for (v11, v12, v22, expected) in [(0.3, 0.1, 0.3, true), (0.3, -0.3, 0.3, true), (0.3, 0.1, 0.4, false)] {
        assert_eq!(ViewCovariance::new(v11, v12, v22).unwrap().is_exchangeable(), expected);
    }
}

/// Means of rules that are not centred, by hand; rules whose parts do not fit have none.
#[test]
fn means_of_rules_are_the_weighted_sums_of_their_nodes() {
    let nodes = DMatrix::from_row_slice(2, 3, &[1.0, 2.0, -1.0, 0.0, 4.0, 8.0]);
    let rule = |weights| HiddenQuadrature { nodes: nodes.clone(), weights, gaussian: DMatrix::zeros(2, 2) };
    assert_eq!(rule(vec![0.5, 0.25, 0.25]).mean().as_slice(), [0.75, 3.0]);
    assert!(rule(vec![0.5, 0.5]).mean().iter().all(|x: &f64| x.is_nan()));
    let one = Law::point_masses([-1.0, 3.0], [0.75, 0.25]).unwrap();
    assert_eq!(one.quadrature(1).mean(), 0.0);
    let shifted = Law::point_masses([0.0, 4.0], [0.75, 0.25]).unwrap();
    assert_eq!(shifted.quadrature(1).mean(), 1.0);
    assert_eq!(Gaussian::with_second_moment(2.0).unwrap().quadrature(7).mean(), 0.0);
}

/// E[exp(ikc)] of points and of a sum of laws, and its moments, as derivatives of each other.
#[test]
fn characteristic_functions_of_points_add_up() {
    let k = 0.7;
    let (points, weights) = ([-1.5, 0.5, 2.0], [0.2, 0.5, 0.3]);
    let mut sum = Characteristic::zero();
    assert_eq!((sum.value, sum.first, sum.second), (Complex::ZERO, Complex::ZERO, Complex::ZERO));
    for (c, weight) in points.into_iter().zip(weights) {
        sum.add_point(k, c, weight);
    }
    let moment = |k: f64, order: i32| -> Complex<f64> {
        points
            .iter()
            .zip(weights)
            .map(|(&c, w): (&f64, f64)| Complex::from_polar(w * c.powi(order), 0.0) * Complex::cis(k * c))
            .sum()
    };
    let close = |x: Complex<f64>, y: Complex<f64>, allowed: f64| assert!((x - y).norm() < allowed, "{x} {y}");
    close(sum.value, moment(k, 0), 1e-15);
    // d/dk exp(ikc) = ic exp(ikc).
    let h = 1e-4;
    close(sum.first * Complex::I, (moment(k + h, 0) - moment(k - h, 0)) / (2.0 * h), 1e-7);
    close(-sum.second, (moment(k + h, 0) - 2.0 * moment(k, 0) + moment(k - h, 0)) / (h * h), 1e-6);
    // ±2 with probability 1/2, in one piece.
    let pair = Characteristic::symmetric((2.0 * k).cos(), 2.0 * (2.0 * k).sin(), 4.0 * (2.0 * k).cos());
    let mut by_points = Characteristic::zero();
    by_points.add_point(k, 2.0, 0.5);
    by_points.add_point(k, -2.0, 0.5);
    close(pair.value, by_points.value, 1e-15);
    close(pair.first, by_points.first, 1e-15);
    close(pair.second, by_points.second, 1e-15);
    let mut both = sum;
    both.add(&pair, 0.25);
    close(both.value, sum.value + pair.value * 0.25, 1e-15);
    close(both.first, sum.first + pair.first * 0.25, 1e-15);
    close(both.second, sum.second + pair.second * 0.25, 1e-15);
    let mut joint = JointCharacteristic::new();
    joint.reset(2);
    joint.set(&both);
    assert_eq!((joint.value, &joint.first[..], &joint.second[..]), (both.value, &[both.first][..], &[both.second][..]));
}

/// Six variables off centre, of which the law writes all rows itself.
struct Rowed {
    inner: Independent,
    rows: AtomicUsize,
}

impl HiddenDistribution for Rowed {
    fn dimension(&self) -> usize {
        6
    }
    fn sample<G: Rng + ?Sized>(&self, rng: &mut G, c: &mut [f64]) {
        self.inner.sample(rng, c);
    }
    fn quadrature(&self, points: usize) -> HiddenQuadrature<f64> {
        self.inner.quadrature(points)
    }
    fn quadrature_is_exact(&self) -> bool {
        true
    }
    fn blocks(&self) -> Vec<std::ops::Range<usize>> {
        self.inner.blocks()
    }
    fn characteristic(&self, block: usize, k: &[f64], out: &mut JointCharacteristic<f64>) -> bool {
        self.inner.characteristic(block, k, out)
    }
    fn characteristics(&self, _block: usize, k: &[f64], rows: &mut CharacteristicRows<'_, f64>) -> bool {
        assert_eq!((rows.variables(), k.len()), (1, 1));
        self.rows.fetch_add(1, Ordering::Relaxed);
        let mut wrong = JointCharacteristic::new();
        wrong.reset(2);
        assert!(!rows.set(0, &wrong));
        let count = rows.count();
        let written = (0..count).all(|n| {
            let wave = rows.wave(n, 0, k[0]);
            let mut at = Characteristic::zero();
            at.add_point(wave, -0.6, 0.55);
            at.add_point(wave, 1.4, 0.45);
            let mut joint = JointCharacteristic::new();
            joint.set(&at);
            rows.set(n, &joint)
        });
        let mut one = JointCharacteristic::new();
        one.reset(1);
        assert!(!rows.set(count, &one));
        written
    }
}

/// Rows that a law writes have the averages of its nodes.
#[test]
fn rows_that_a_law_writes_itself_are_those_of_its_nodes() {
    let inner = Independent::new(vec![Law::point_masses([-0.6, 1.4], [0.55, 0.45]).unwrap(); 6]).unwrap();
    let hidden = Rowed { inner, rows: AtomicUsize::new(0) };
    let noise = GaussianNoise::correlated(0.4, 0.3).unwrap();
    let model = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(noise).learning_rate(0.3).build().unwrap();
    let q = [0.25, 0.2, 0.15, 0.1, 0.05, -0.1];
    let state = OrderParameters::from_rows(6, 1, &q, &[1.0]).unwrap();
    let limit = || Limit::new(&model).unwrap().tolerance(1e-8).unwrap();
    let waves = limit().coefficients(&state).unwrap().coefficients;
    assert!(model.hidden().rows.load(Ordering::Relaxed) > 0, "no waves were asked for");
    let nodes = limit().quadrature(Quadrature::GaussHermite).coefficients(&state).unwrap().coefficients;
    let worst = (waves.a - nodes.a).amax().max((waves.lambda - nodes.lambda).amax()).max((waves.b - nodes.b).amax());
    assert!(worst < 1e-7, "{worst}");
}

/// ∂F/∂C of forms, against what they are made of.
#[test]
fn forms_of_losses_have_their_slopes() {
    let affine = EntrySlope::Affine { offset: 0.5, slope: -2.0 };
    assert_eq!((affine.at(0.25), affine.constant(), affine.affine()), (0.0, None, Some((0.5, -2.0))));
    let flat = EntrySlope::Affine { offset: 0.5, slope: 0.0 };
    assert_eq!((flat.at(7.0), flat.constant(), flat.affine()), (0.5, Some(0.5), Some((0.5, 0.0))));
    let quartic = EntrySlope::Penalty(&Quartic);
    let [low, high] = [0.5 - 1e-5, 0.5 + 1e-5].map(|c: f64| Penalty::<f64>::value(&Quartic, c));
    assert!((quartic.at(0.5) - (high - low) / 2e-5).abs() < 1e-9 && quartic.at(0.5) > 0.0);
    assert_eq!((quartic.constant(), quartic.affine()), (None, None));
    assert!(Penalty::<f64>::is_quadratic(&Quadratic) && !Penalty::<f64>::is_quadratic(&Quartic));

    let form = |strength| CovarianceForm { diagonal: flat, off_diagonal: quartic, strength };
    // One neuron has no others, and nothing but the diagonal, which is constant.
    assert!(form(2.0).couples_neurons(2) && !form(2.0).couples_neurons(1) && !form(0.0).couples_neurons(2));
    assert!(form(2.0).couples_samples(2) && !form(2.0).couples_samples(1) && !form(0.0).couples_samples(3));
    assert!(CovarianceForm { diagonal: affine, ..form(0.0) }.couples_samples(1));
    assert_eq!((form(2.0).slope(1, 1, 9.0), form(2.0).slope(0, 1, 0.5)), (0.5, 2.0 * quartic.at(0.5)));
}

/// B ∂F/∂Y of the covariance loss by its form and by differences of its value, at three samples and two neurons.
#[test]
fn gradients_of_forms_are_those_of_the_value() {
    let loss = CovarianceLoss::new(Quartic, 1.5).unwrap();
    let y: Vec<f64> = (0..12).map(|k| (1.7 * f64::from(k)).sin() + 0.2).collect();
    let mut gradient = [0.0; 12];
    let form = Loss::<f64>::covariance_form(&loss).unwrap();
    form.gradient(Outputs::new(&y, 2, 3).unwrap(), OutputGradient::new(&mut gradient, 2, 3).unwrap());
    for k in 0..12 {
        let at = |h: f64| {
            let mut y = y.clone();
            y[k] += h;
            loss.value(Outputs::new(&y, 2, 3).unwrap())
        };
        let difference = 3.0 * (at(1e-5) - at(-1e-5)) / 2e-5;
        assert!((gradient[k] - difference).abs() < 1e-8, "{k}: {} {difference}", gradient[k]);
    }
}

/// Noise that is said to be there and is not: only samples show it.
#[derive(Clone)]
struct Silent;

impl AugmentationNoise for Silent {
    fn feature_covariance(&self) -> ViewCovariance {
        ViewCovariance::new(0.25, 0.1, 0.25).unwrap()
    }
    fn background_covariance(&self) -> ViewCovariance {
        self.feature_covariance()
    }
    fn is_gaussian(&self) -> bool {
        false
    }
    fn sample<G: Rng + ?Sized>(&self, _rng: &mut G) -> [f64; 2] {
        [0.0; 2]
    }
}

/// Every part is asked: what is found in a model is what is found in its parts.
#[test]
fn a_model_is_checked_by_its_parts() {
    let sound = reference([Law::two_point(2.25).unwrap()]).build().unwrap();
    assert!(check(&sound).is_empty());
    let found: Vec<Disagreement> = check_noise::<f64, _>(&Silent);
    assert!(!found.is_empty());
    let model = reference([Law::two_point(2.25).unwrap()]).noise(Silent).build().unwrap();
    assert_eq!(check(&model), found);
    // The same beside a hidden law that draws others than it says.
    let wrong = FromDistribution::new(StandardNormal, [-1.5, 1.5], [0.5, 0.5]).unwrap();
    let other = check_variable::<f64, _>(&wrong);
    let model = model.to_builder().hidden(Independent::new([wrong]).unwrap()).noise(Silent).build().unwrap();
    assert!(!other.is_empty() && check(&model).len() > found.len(), "{other:?} {:?}", check(&model));
    assert!(found.iter().all(|one| check(&model).contains(one)));
}
