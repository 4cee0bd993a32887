//! What the nodes of a hidden law tell on their own: shapes, weights, moments against those stated, exactness.
//!
//! Covers the rule that is looked at, and the error that it may have. Not here: draws (see the parent module).

use nalgebra::DMatrix;

use crate::Scalar;
use crate::model::check::{Disagreement, Estimate, HiddenAverage, ROUNDING, Source, typed_digits};
use crate::model::{HiddenDistribution, HiddenQuadrature};
use crate::numerics::matrix::smallest_eigenvalue;

/// The finest rule that is asked for: a Gauss rule is then exact to degree 63.
const MOST_POINTS: usize = 32;

/// The largest number of points up to [`MOST_POINTS`], a power of two, whose rule has at most `most` nodes.
fn affordable<T: Scalar>(law: &dyn HiddenDistribution<T>, most: usize) -> Option<usize> {
    (0..=MOST_POINTS.ilog2()).map(|k| 1 << k).take_while(|&n| law.quadrature_size(n) <= most).last()
}

/// What makes all other checks impossible: shapes that do not fit, numbers that are not finite, weights that are none.
pub(super) fn shapes<T: Scalar>(law: &dyn HiddenDistribution<T>, most: usize) -> Vec<Disagreement> {
    let p = law.dimension();
    let shape = |what: &'static str, want, got| (want != got).then_some(Disagreement::HiddenShape { what, want, got });
    let stated = law.gaussian_part();
    let mut found: Vec<Disagreement> = [
        shape("mean", (p, 1), law.mean().shape()),
        shape("second moment", (p, p), law.second_moment().shape()),
        shape("vector of fourth moments", (p, 1), law.fourth_moments().shape()),
        shape("Gaussian part", (p, p), stated.shape()),
    ]
    .into_iter()
    .flatten()
    .collect();
    let Some(points) = affordable(law, most) else { return found };
    let rule = law.quadrature(points);
    let n = rule.weights.len();
    found.extend(shape("matrix of nodes", (p, n.max(1)), rule.nodes.shape()));
    found.extend(shape("Gaussian part of the quadrature", (p, p), rule.gaussian.shape()));
    if !found.is_empty() {
        return found;
    }
    if let Some(k) = rule.nodes.iter().position(|x| !x.is_finite()) {
        let (node, variable) = (k / p, k % p);
        found.push(Disagreement::HiddenNode { node, variable, value: rule.nodes[(variable, node)].as_f64() });
    }
    if let Some(node) = rule.weights.iter().position(|w| !(*w >= T::zero() && w.is_finite())) {
        found.push(Disagreement::HiddenWeight { node, weight: rule.weights[node].as_f64() });
    } else {
        let sum: f64 = rule.weights.iter().map(|w| w.as_f64()).sum();
        if !((sum - 1.0).abs() <= typed_digits::<T>()) {
            found.push(Disagreement::HiddenWeights { sum });
        }
    }
    found.extend(gaussian_part(&rule.gaussian));
    let difference = (&stated - &rule.gaussian).amax().as_f64();
    if !(difference <= typed_digits::<T>() * rule.gaussian.amax().as_f64()) {
        found.push(Disagreement::HiddenGaussianParts { difference });
    }
    let claimed = law.quadrature_size(points);
    if claimed != n {
        found.push(Disagreement::HiddenQuadratureSize { points, claimed, nodes: n });
    }
    found
}

fn gaussian_part<T: Scalar>(part: &DMatrix<T>) -> Option<Disagreement> {
    let rounding = ROUNDING * T::EPSILON.as_f64() * part.amax().as_f64();
    let symmetric = (part - part.transpose()).amax().as_f64() <= rounding;
    let eigenvalue = if symmetric { smallest_eigenvalue(part).as_f64() } else { f64::NAN };
    (!(eigenvalue >= -rounding)).then_some(Disagreement::HiddenGaussianPart { eigenvalue })
}

/// From that many points on a rule for sines and cosines of order one converges.
const RELIABLE_POINTS: usize = 16;

/// A rule of the law and one of half as many points, whose difference bounds the error of the first.
pub(super) struct Rules<T: Scalar> {
    pub(super) fine: Option<HiddenQuadrature<T>>,
    /// None if the rule is exact, or has too few points for another.
    coarse: Option<HiddenQuadrature<T>>,
    /// Whether the difference of the two is known to bound the error of the first: not of a few points.
    pub(super) reliable: bool,
}

impl<T: Scalar> Rules<T> {
    pub(super) fn new(law: &dyn HiddenDistribution<T>, most: usize) -> Self {
        let points = affordable(law, most);
        // One point is a rule of known error only if it is exact.
        let points = points.filter(|&n| n > 1 || law.quadrature_is_exact());
        let coarse = points.filter(|_| !law.quadrature_is_exact()).map(|n| law.quadrature(n / 2));
        let fits = |rule: &HiddenQuadrature<T>| rule.nodes.ncols() == rule.weights.len();
        let reliable = law.quadrature_is_exact() || points.is_some_and(|n| n >= RELIABLE_POINTS);
        Self { fine: points.map(|n| law.quadrature(n)), coarse: coarse.filter(fits), reliable }
    }

    /// What the nodes say, and the error that the rule may have.
    pub(super) fn averages(&self, of: impl Fn(&HiddenQuadrature<T>) -> Vec<f64>) -> Option<(Vec<f64>, Vec<f64>)> {
        let fine = of(self.fine.as_ref()?);
        let errors = match &self.coarse {
            Some(coarse) => of(coarse).iter().zip(&fine).map(|(a, b)| 2.0 * (a - b).abs()).collect(),
            None => vec![0.0; fine.len()],
        };
        Some((fine, errors))
    }
}

/// Mean, second and fourth moments as stated against those of the nodes; of each kind the worst.
pub(super) fn stated_moments<T: Scalar>(law: &dyn HiddenDistribution<T>, rules: &Rules<T>) -> Vec<Disagreement> {
    let p = law.dimension();
    let second = law.second_moment();
    let size = |l: usize| second[(l, l)].as_f64().abs().sqrt();
    let mut averages: Vec<(HiddenAverage, f64, f64)> = Vec::new();
    averages.extend((0..p).zip(law.mean().iter()).map(|(l, x)| (HiddenAverage::Mean(l), x.as_f64(), size(l))));
    for l in 0..p {
        // The lower triangle too: a matrix that is not symmetric shows.
        let entries = (0..p).map(|k| (HiddenAverage::Second(k, l), second[(k, l)].as_f64(), size(k) * size(l)));
        averages.extend(entries);
    }
    let fourth = law.fourth_moments();
    let fourth = (0..p).zip(fourth.iter()).map(|(l, x)| (HiddenAverage::Fourth(l), x.as_f64(), x.as_f64().abs()));
    averages.extend(fourth);
    let of_nodes = |rule: &HiddenQuadrature<T>| {
        let (mean, second, fourth) = (rule.mean(), rule.second_moment(), rule.fourth_moments());
        mean.iter().chain(second.iter()).chain(fourth.iter()).map(|x| x.as_f64()).collect()
    };
    let Some((nodes, errors)) = rules.averages(of_nodes) else { return Vec::new() };
    let mut worst: [Option<(f64, Disagreement)>; 3] = [None, None, None];
    for (k, (average, stated, scale)) in averages.into_iter().enumerate() {
        let allowed = errors[k] + typed_digits::<T>() * scale;
        let gap = (stated - nodes[k]).abs();
        let kind = usize::from(k >= p) + usize::from(k >= p + p * p);
        if !(gap <= allowed) && !worst[kind].as_ref().is_some_and(|(before, _)| *before >= gap / scale) {
            let one = Estimate { value: stated, source: Source::Stated };
            let other = Estimate { value: nodes[k], source: Source::Nodes };
            worst[kind] = Some((gap / scale, Disagreement::HiddenMoment { average, one, other, allowed }));
        }
    }
    worst.into_iter().flatten().map(|(_, disagreement)| disagreement).collect()
}

/// Two numbers of points that are neither powers of each other nor close.
const EXACT_POINTS: (usize, usize) = (3, 7);

/// A rule that is exact whatever the number of points does not depend on it.
pub(super) fn exactness<T: Scalar>(law: &dyn HiddenDistribution<T>, most: usize) -> Option<Disagreement> {
    let (a, b) = EXACT_POINTS;
    if !law.quadrature_is_exact() || law.quadrature_size(a).max(law.quadrature_size(b)) > most {
        return None;
    }
    let (few, many) = (law.quadrature(a), law.quadrature(b));
    let close = |x: &[T], y: &[T]| {
        let size = x.iter().map(|x| x.as_f64().abs()).fold(0.0, f64::max);
        let equal = |(x, y): (&T, &T)| (x.as_f64() - y.as_f64()).abs() <= typed_digits::<T>() * size;
        x.len() == y.len() && x.iter().zip(y).all(equal)
    };
    let same = close(few.nodes.as_slice(), many.nodes.as_slice())
        && close(&few.weights, &many.weights)
        && close(few.gaussian.as_slice(), many.gaussian.as_slice());
    (!same).then_some(Disagreement::HiddenExactness { points: EXACT_POINTS })
}
