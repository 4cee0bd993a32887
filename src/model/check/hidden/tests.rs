//! Every law of the library passes the checks, and every kind of lie is found.

use std::ops::Range;

use nalgebra::DVector;

use super::*;
use crate::model::check::{Estimate, HiddenAverage};
use crate::model::{
    CharacteristicRows, CorrelatedSigns, Discrete, HiddenDistribution, HiddenQuadrature, JointCharacteristic, Law,
    Mixture, VariableQuadrature,
};

fn well<T: Scalar>(law: &impl HiddenDistribution<T>) {
    assert_eq!(quick_check_hidden(law), []);
    assert_eq!(check_hidden(law), []);
}

fn laws<T: Scalar>() -> Vec<Law<T>> {
    let x = T::lit;
    let mixed = [(x(0.3), Law::gaussian(x(0.5)).unwrap()), (x(0.7), Law::skewed(x(2.0), x(0.3)).unwrap())];
    let mixed = Law::mixture(mixed).unwrap();
    vec![
        Law::two_point(x(2.25)).unwrap(),
        Law::three_point(x(2.25), x(0.3)).unwrap(),
        Law::three_point(x(1.0), x(1.0)).unwrap(),
        Law::gaussian(x(1e-3)).unwrap(),
        Law::uniform(x(1e4)).unwrap(),
        Law::laplace(x(2.25)).unwrap(),
        Law::skewed(x(2.25), x(0.2)).unwrap(),
        Law::point_masses([x(-2.0), x(0.1), x(1.0)], [x(0.1), x(0.5), x(0.4)]).unwrap(),
        mixed.clone(),
        Law::mixture([(x(0.5), mixed), (x(0.5), Law::laplace(x(0.3)).unwrap())]).unwrap(),
    ]
}

#[test]
fn the_laws_of_one_variable_keep_their_word() {
    for law in laws::<f64>() {
        assert_eq!(check_variable(&law), [], "{law:?}");
    }
    for law in laws::<f32>() {
        assert_eq!(check_variable(&law), [], "{law:?}");
    }
    // Active in 20 of 10⁵ draws, and in one of them.
    for activity in [2e-4, 1e-5] {
        assert_eq!(check_variable(&Law::three_point(1.0, activity).unwrap()), []);
    }
}

#[test]
fn the_joint_laws_keep_their_word() {
    well(&Independent::new(laws::<f64>().into_iter().skip(4).take(3)).unwrap());
    let points = DMatrix::from_row_slice(2, 3, &[1.0, 2.0, -0.5, 1.0, -1.0, 0.5]);
    let discrete = Discrete::new(points, [0.3, 0.2, 0.5]).unwrap();
    well(&discrete.clone().and(Independent::new([Law::laplace(2.0).unwrap()]).unwrap()));
    well(&CorrelatedSigns::new([2.0], 0.3).unwrap());
    for rho in [-1.0, -0.4, 0.0, 1.0] {
        well(&CorrelatedSigns::new([1.0, 4.0], rho).unwrap());
    }
    well(&CorrelatedSigns::new([1.0_f32; 5], 0.25).unwrap());
    well(&CorrelatedSigns::with_loadings([1.0; 4], [0.5, -0.3, 1.0, 0.0]).unwrap());
    let signs = |rho| CorrelatedSigns::new([1.0, 1.0], rho).unwrap();
    well(&Mixture::joint([(0.25, signs(0.8)), (0.75, signs(-0.4))]).unwrap());
    let pair = |a, b| Independent::new([Law::gaussian(a).unwrap(), Law::gaussian(b).unwrap()]).unwrap();
    well(&Mixture::joint([(0.25, pair(1.0, 2.0)), (0.75, pair(3.0, 0.5))]).unwrap());
    // More nodes than can be enumerated, but for those of its map.
    well(&Independent::new(vec![Law::three_point(1.0, 0.3).unwrap(); 12]).unwrap());
    well(&CorrelatedSigns::new([1.0; 40], 0.1).unwrap());
}

/// A sign and a skewed variable, of which one method is wrong.
struct Liar(&'static str);

fn truth() -> Independent {
    Independent::new([Law::two_point(1.0).unwrap(), Law::skewed(2.0, 0.3).unwrap()]).unwrap()
}

impl Liar {
    fn is(&self, lie: &str) -> bool {
        self.0 == lie
    }
}

impl HiddenDistribution for Liar {
    fn dimension(&self) -> usize {
        2
    }
    fn sample<G: Rng + ?Sized>(&self, rng: &mut G, c: &mut [f64]) {
        truth().sample(rng, c);
        match self.0 {
            "sample mean" => c[1] += 0.03,
            "sample scale" => c[1] *= 1.02,
            "sample correlation" => c[0] = if c[1] > 0.0 { 1.0 } else { c[0] },
            // Of the same first two moments, another law.
            "sample law" => c[1] = 2.0_f64.sqrt() * f64::standard_normal(rng),
            "sample forgets" => c[1] = f64::NAN,
            // Mean, second moment and nodes are symmetric still.
            "sample symmetry" => c[0] = Law::skewed(1.0, 0.3).map_or(0.0, |law| law.sample(rng)),
            _ => {}
        }
    }
    fn quadrature(&self, points: usize) -> HiddenQuadrature<f64> {
        let mut rule = truth().quadrature(points);
        match self.0 {
            "nodes transposed" => rule.nodes = rule.nodes.transpose(),
            "node" => rule.nodes[(1, 2)] = f64::INFINITY,
            "negative weight" => {
                rule.weights[0] -= 0.5;
                rule.weights[1] += 0.5;
            }
            "weights" => rule.weights[0] += 0.01,
            "Gaussian part" => rule.gaussian[(0, 0)] = -0.1,
            "Gaussian asymmetry" => rule.gaussian[(0, 1)] = 0.1,
            "exactness" => rule.nodes[(0, 0)] += 0.1 / points as f64,
            _ => {}
        }
        rule
    }
    fn quadrature_is_exact(&self) -> bool {
        true
    }
    fn quadrature_size(&self, _points: usize) -> usize {
        if self.is("size") { 5 } else { 4 }
    }
    fn gaussian_part(&self) -> DMatrix<f64> {
        match self.0 {
            "two Gaussian parts" => DMatrix::identity(2, 2),
            "shape of the Gaussian part" => DMatrix::zeros(1, 1),
            _ => self.quadrature(1).gaussian,
        }
    }
    fn samples_from_words(&self, words: &[u64], c: &mut [f64]) -> bool {
        let made = truth().samples_from_words(words, c);
        let second = c.len() / 2;
        match self.0 {
            "words" => c[second..].iter_mut().for_each(|c| *c *= 1.02),
            "words forget" => c[second..].iter_mut().skip(7).for_each(|c| *c = f64::NAN),
            "words by draw" => {
                // One draw after the other, where all of one variable should come first.
                for k in (0..second).rev() {
                    c.swap(2 * k, k);
                }
            }
            "words of some lengths" => return made && words.is_empty(),
            _ => {}
        }
        made
    }
    fn transport(&self, u: &[f64], c: &mut [f64]) -> bool {
        truth().transport(u, c);
        if self.is("transport") {
            c[1] = -c[1];
        }
        true
    }
    fn blocks(&self) -> Vec<Range<usize>> {
        if self.is("blocks") { vec![0..1, 0..2] } else { truth().blocks() }
    }
    fn characteristic(&self, block: usize, k: &[f64], out: &mut JointCharacteristic<f64>) -> bool {
        let known = truth().characteristic(block, k, out);
        match self.0 {
            "characteristic" => out.value *= 1.001,
            "first of the characteristic" => out.first[0] *= 1.001,
            "second of the characteristic" if block == 1 => out.second[0] *= 1.001,
            "few of the characteristic" => out.second.clear(),
            _ => {}
        }
        known
    }
    fn characteristics(&self, block: usize, k: &[f64], rows: &mut CharacteristicRows<'_, f64>) -> bool {
        let double: Vec<f64> = k.iter().map(|k| 2.0 * k).collect();
        match self.0 {
            "rows of the characteristic" => truth().characteristics(block, &double, rows),
            "no rows of the characteristic" => false,
            _ if self.0.ends_with("characteristic") => {
                // As the default.
                let mut at = JointCharacteristic::new();
                (0..rows.count()).all(|n| {
                    let wave: Vec<f64> = k.iter().enumerate().map(|(l, &k)| rows.wave(n, l, k)).collect();
                    self.characteristic(block, &wave, &mut at) && rows.set(n, &at)
                })
            }
            _ => truth().characteristics(block, k, rows),
        }
    }
    fn mean(&self) -> DVector<f64> {
        match self.0 {
            "mean" => DVector::from_vec(vec![0.0, 0.01]),
            "shape of the mean" => DVector::zeros(3),
            _ => truth().mean(),
        }
    }
    fn second_moment(&self) -> DMatrix<f64> {
        let factor = if self.is("second moment") { 1.001 } else { 1.0 };
        truth().second_moment() * factor
    }
    fn fourth_moments(&self) -> DVector<f64> {
        let factor = if self.is("fourth moment") { 1.001 } else { 1.0 };
        truth().fourth_moments() * factor
    }
    fn is_symmetric(&self, l: usize) -> bool {
        l == 0 || self.is("symmetry")
    }
    fn is_jointly_symmetric(&self) -> bool {
        self.is("joint symmetry")
    }
}

/// What the full and the quick check find about a lie.
fn found(lie: &'static str) -> (Vec<Disagreement>, Vec<Disagreement>) {
    (check_hidden(&Liar(lie)), quick_check_hidden(&Liar(lie)))
}

macro_rules! lie {
    ($lie:literal, $pattern:pat) => {
        let (full, quick) = found($lie);
        assert!(full.iter().any(|d| matches!(d, $pattern)), "{}: {full:?}", $lie);
        assert!(quick.iter().any(|d| matches!(d, $pattern)), "{} quickly: {quick:?}", $lie);
    };
    ($lie:literal, $pattern:pat, only in full) => {
        let (full, quick) = found($lie);
        assert!(full.iter().any(|d| matches!(d, $pattern)), "{}: {full:?}", $lie);
        assert_eq!(quick, [], "{}", $lie);
    };
}

use Disagreement as D;
use HiddenAverage::{Fourth, Mean, Second};
use Source::{Nodes, Samples, Stated, Transport, Words};

#[test]
fn the_truth_is_believed() {
    assert_eq!(found("nothing"), (vec![], vec![]));
}

#[test]
fn shapes_and_weights_that_do_not_fit_are_found() {
    lie!("shape of the mean", D::HiddenShape { what: "mean", want: (2, 1), got: (3, 1) });
    lie!("shape of the Gaussian part", D::HiddenShape { what: "Gaussian part", .. });
    lie!("nodes transposed", D::HiddenShape { what: "matrix of nodes", want: (2, 4), got: (4, 2) });
    lie!("node", D::HiddenNode { node: 2, variable: 1, .. });
    lie!("negative weight", D::HiddenWeight { node: 0, .. });
    lie!("weights", D::HiddenWeights { .. });
    lie!("Gaussian part", D::HiddenGaussianPart { .. });
    lie!("Gaussian asymmetry", D::HiddenGaussianPart { .. });
    lie!("two Gaussian parts", D::HiddenGaussianParts { .. });
    lie!("size", D::HiddenQuadratureSize { claimed: 5, nodes: 4, .. });
    lie!("exactness", D::HiddenExactness { .. });
}

#[test]
fn moments_that_are_not_those_of_the_nodes_are_found() {
    let stated = |value: &Estimate| value.source == Stated;
    lie!("mean", D::HiddenMoment { average: Mean(1), one: Estimate { source: Stated, .. }, .. });
    lie!("second moment", D::HiddenMoment { average: Second(1, 1) | Second(0, 0), .. });
    lie!("fourth moment", D::HiddenMoment { average: Fourth(_), other: Estimate { source: Nodes, .. }, .. });
    let (full, _) = found("second moment");
    assert!(matches!(&full[..], [D::HiddenMoment { one, .. }] if stated(one)), "{full:?}");
    let text = found("mean").0[0].to_string();
    assert!(text.contains("E[c_1]") && text.contains("0.01 as stated") && text.contains("leave out"), "{text}");
}

#[test]
fn characteristic_functions_of_another_law_are_found() {
    lie!("blocks", D::HiddenBlocks { variables: 2 });
    lie!("characteristic", D::HiddenCharacteristic { what: "the characteristic function", .. });
    lie!("first of the characteristic", D::HiddenCharacteristic { .. });
    lie!("second of the characteristic", D::HiddenCharacteristic { .. });
    lie!(
        "rows of the characteristic",
        D::HiddenCharacteristic { what: "`characteristics`, beside `characteristic`,", .. }
    );
    lie!(
        "no rows of the characteristic",
        D::HiddenCharacteristic { what: "`characteristics`, beside `characteristic`,", .. }
    );
    lie!("few of the characteristic", D::HiddenCharacteristic { .. });
    let (full, _) = found("second of the characteristic");
    assert!(full.len() == 1 && full[0].to_string().contains("second moment under"), "{full:?}");
}

#[test]
fn symmetries_that_are_none_are_found() {
    lie!("symmetry", D::HiddenSymmetry { variable: Some(1), from: Nodes, .. });
    lie!("joint symmetry", D::HiddenSymmetry { variable: None, from: Nodes, .. });
    lie!("sample symmetry", D::HiddenSymmetry { variable: Some(0), from: Samples, .. }, only in full);
    let text = found("symmetry").0[0].to_string();
    assert!(text.contains("c_1 → −c_1") && text.contains("is_symmetric"), "{text}");
}

#[test]
fn draws_from_another_law_are_found() {
    let full = |lie| found(lie).0;
    lie!("sample mean", D::HiddenMoment { average: Mean(1), other: Estimate { source: Samples, .. }, .. }, only in full);
    lie!("sample scale", D::HiddenMoment { average: Second(1, 1), .. }, only in full);
    lie!("sample correlation", D::HiddenMoment { other: Estimate { source: Samples, .. }, .. }, only in full);
    lie!("sample law", D::HiddenMoment { average: HiddenAverage::Cosine(_) | HiddenAverage::Sine(_), .. }, only in full);
    lie!("sample forgets", D::HiddenSample { from: Samples, variable: 1, .. }, only in full);
    lie!("words", D::HiddenMoment { other: Estimate { source: Words, .. }, .. }, only in full);
    lie!("words by draw", D::HiddenMoment { other: Estimate { source: Words, .. }, .. }, only in full);
    lie!("words forget", D::HiddenSample { from: Words, variable: 1, .. }, only in full);
    lie!("words of some lengths", D::HiddenWords { empty: true, full: false }, only in full);
    lie!("transport", D::HiddenMoment { other: Estimate { source: Transport, .. }, .. }, only in full);
    // One cause, one finding: what is right is not accused.
    assert!(matches!(full("words")[..], [D::HiddenMoment { .. }]));
}

/// A variable whose second moment is stated, and not that of its nodes.
struct Wide;
impl HiddenVariable for Wide {
    fn sample<G: Rng + ?Sized>(&self, rng: &mut G) -> f64 {
        Law::two_point(1.0).map_or(0.0, |law| law.sample(rng))
    }
    fn quadrature(&self, _points: usize) -> VariableQuadrature<f64> {
        VariableQuadrature { nodes: vec![1.0, -1.0], weights: vec![0.5; 2], gaussian: 0.0 }
    }
    fn second_moment(&self) -> f64 {
        2.0
    }
}

/// The same without another word.
struct Narrow;
impl HiddenVariable for Narrow {
    fn sample<G: Rng + ?Sized>(&self, rng: &mut G) -> f64 {
        Wide.sample(rng)
    }
    fn quadrature(&self, points: usize) -> VariableQuadrature<f64> {
        Wide.quadrature(points)
    }
}

#[test]
fn a_variable_that_says_nothing_of_its_moments_has_those_of_its_nodes() {
    assert_eq!((Narrow.mean(), Narrow.second_moment(), Narrow.fourth_moment()), (0.0, 1.0, 1.0));
    assert_eq!(check_variable(&Narrow), []);
    assert!(matches!(&check_variable(&Wide)[..], [D::HiddenMoment { average: Second(0, 0), .. }]));
    let product = Independent::new([Narrow]).unwrap();
    assert_eq!(quick_check_hidden(&product), []);
    assert!(!quick_check_hidden(&Independent::new([Wide]).unwrap()).is_empty());
}

#[test]
fn a_distribution_with_the_nodes_of_another_is_found() {
    // The nodes have mean 0 and variance 1; the fourth moment differs.
    let law = Law::from_distribution(rand_distr::StandardNormal, [1.0, -1.0], [0.5, 0.5]).unwrap();
    let found = check_variable(&law);
    assert!(matches!(&found[..], [D::HiddenMoment { average: HiddenAverage::Cosine(_), .. }]), "{found:?}");
    // Three nodes of Gauss and Hermite have five moments right; at the wavelengths looked at, two in three digits.
    let root = 3.0_f64.sqrt();
    let nodes =
        Law::from_distribution(rand_distr::StandardNormal, [-root, 0.0, root], [1.0 / 6.0, 2.0 / 3.0, 1.0 / 6.0]);
    assert!(!check_variable(&nodes.unwrap()).is_empty());
    let (nodes, weights) = crate::numerics::normal::normal_rule(12);
    assert_eq!(check_variable(&Law::from_distribution(rand_distr::StandardNormal, nodes, weights).unwrap()), []);
}
