//! Whether a hidden law draws what it averages over, and has the moments and symmetries that it says.
//!
//! Covers nodes against stated moments, claims of exactness and symmetry against nodes, and every way of drawing
//! (`sample`, `samples_from_words`, `transport`) against the nodes. Not here: the averages over fields that the nodes
//! are for (see [`crate::limit`]).

use nalgebra::DMatrix;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::Scalar;
use crate::model::check::statistics::Averages;
use crate::model::check::{Disagreement, Estimate, HiddenAverage, ROUNDING, STANDARD_ERRORS, Source, typed_digits};
use crate::model::{HiddenDistribution, HiddenQuadrature, HiddenVariable, Independent};
use crate::numerics::matrix::smallest_eigenvalue;
use crate::numerics::normal::normal_quantile;
use crate::numerics::sobol::uniform;

/// Draws of each kind: 10⁵, and fewer where there are so many statistics that it would take seconds.
const DRAWS: usize = 100_000;
const FEWEST_DRAWS: usize = 10_000;
const WORK: usize = 50_000_000;
/// Draws from words are made in runs of that many.
const RUN: usize = 1000;
/// Sobol points that are mapped.
const MAPPED: usize = 1 << 13;
/// The most nodes that the checks look at: of moments quickly (a tenth of a millisecond), of everything in full (as many
/// as averages enumerate).
const QUICK_NODES: usize = 1 << 12;
const FULL_NODES: usize = 1 << 15;
/// The most nodes at which symmetries are looked at quickly, which takes sines and cosines.
const QUICK_SYMMETRY_NODES: usize = 1 << 8;
/// The finest rule that is asked for: a Gauss rule is then exact to degree 63.
const MOST_POINTS: usize = 32;
/// Any seed will do; a fixed one makes the answer the same each time.
const SEED: u64 = 0x6869_6464_656e;
/// Another scramble than those of averages.
const SCRAMBLE: u32 = 0x5eed;

/// Whether the nodes, the draws and the stated moments and symmetries of a joint law are of one law.
///
/// Empty if all is well. It makes 10⁵ draws (fewer for more than ten variables) at fixed seeds, and as many from words and
/// 8192 by `transport` where the law has them. With p variables each kind makes p + p(p + 1)/2 comparisons of moments and
/// 4p + 8 of averages of sines and cosines, which see the whole law, and a few for each symmetry claimed: a correct law
/// of two variables is told wrong with a probability below 1e-4, and the larger part of that only if it is active in
/// less than 100 of the draws.
///
/// ```
/// use contrastive_dynamics::model::{CorrelatedSigns, Independent, Law, check_hidden};
/// assert!(check_hidden(&Independent::new([Law::two_point(2.25)?, Law::laplace(1.0)?])?).is_empty());
/// assert!(check_hidden(&CorrelatedSigns::new([1.0, 1.0], -0.3)?).is_empty());
/// // A distribution with nodes of another.
/// let wrong = Law::from_distribution(rand_distr::StandardNormal, [1.0, -1.0], [0.5, 0.5])?;
/// println!("{}", check_hidden(&Independent::new([wrong])?)[0]);
/// # Ok::<(), contrastive_dynamics::model::ModelError>(())
/// ```
pub fn check_hidden<T: Scalar, H: HiddenDistribution<T>>(law: &H) -> Vec<Disagreement> {
    let p = law.dimension();
    if p == 0 {
        return Vec::new();
    }
    let mut found = shapes(law, FULL_NODES);
    if !found.is_empty() {
        return found;
    }
    let rules = Rules::new(law, FULL_NODES);
    found.extend(stated_moments(law, &rules));
    found.extend(exactness(law, FULL_NODES));
    let statistics = Statistics::new(law, &rules);
    found.extend(symmetries(&statistics, &rules));
    let reference = statistics.reference(law, &rules);
    for source in [Source::Samples, Source::Words, Source::Transport] {
        match draw(law, &statistics, source) {
            Ok(Some(averages)) => found.extend(statistics.compare(&reference, &averages, source)),
            Ok(None) => {}
            Err(disagreement) => found.push(disagreement),
        }
    }
    found
}

/// [`check_hidden`] for the law of one variable.
pub fn check_variable<T: Scalar, V: HiddenVariable<T>>(law: &V) -> Vec<Disagreement> {
    // One law is at least one law.
    Independent::new([law]).map_or_else(|_| Vec::new(), |law| check_hidden(&law))
}

/// The part of [`check_hidden`] that every model can be asked: shapes, weights, moments and symmetries of the nodes, where
/// these are few. Nothing is drawn.
pub(super) fn quick_check_hidden<T: Scalar, H: HiddenDistribution<T>>(law: &H) -> Vec<Disagreement> {
    if law.dimension() == 0 {
        return Vec::new();
    }
    let mut found = shapes(law, QUICK_NODES);
    if found.is_empty() {
        found.extend(stated_moments(law, &Rules::new(law, QUICK_NODES)));
        found.extend(exactness(law, QUICK_SYMMETRY_NODES));
        let rules = Rules::new(law, QUICK_SYMMETRY_NODES);
        found.extend(symmetries(&Statistics::new(law, &rules), &rules));
    }
    found
}

/// The largest number of points up to [`MOST_POINTS`], a power of two, whose rule has at most `most` nodes.
fn affordable<T: Scalar, H: HiddenDistribution<T>>(law: &H, most: usize) -> Option<usize> {
    (0..).map(|k| 1 << k).take_while(|&n| n <= MOST_POINTS && law.quadrature_size(n) <= most).last()
}

/// What makes all other checks impossible: shapes that do not fit, numbers that are not finite, weights that are none.
fn shapes<T: Scalar, H: HiddenDistribution<T>>(law: &H, most: usize) -> Vec<Disagreement> {
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

/// A rule of the law and one of half as many points, whose difference bounds the error of the first.
struct Rules<T: Scalar> {
    fine: Option<HiddenQuadrature<T>>,
    /// None if the rule is exact, or has too few points for another.
    coarse: Option<HiddenQuadrature<T>>,
}

impl<T: Scalar> Rules<T> {
    fn new<H: HiddenDistribution<T>>(law: &H, most: usize) -> Self {
        let points = affordable(law, most);
        // One point is a rule of known error only if it is exact.
        let points = points.filter(|&n| n > 1 || law.quadrature_is_exact());
        let coarse = points.filter(|_| !law.quadrature_is_exact()).map(|n| law.quadrature(n / 2));
        let fits = |rule: &HiddenQuadrature<T>| rule.nodes.ncols() == rule.weights.len();
        Self { fine: points.map(|n| law.quadrature(n)), coarse: coarse.filter(fits) }
    }

    /// What the nodes say, and the error that the rule may have.
    fn averages(&self, of: impl Fn(&HiddenQuadrature<T>) -> Vec<f64>) -> Option<(Vec<f64>, Vec<f64>)> {
        let fine = of(self.fine.as_ref()?);
        let errors = match &self.coarse {
            Some(coarse) => of(coarse).iter().zip(&fine).map(|(a, b)| 2.0 * (a - b).abs()).collect(),
            None => vec![0.0; fine.len()],
        };
        Some((fine, errors))
    }
}

/// Mean, second and fourth moments as stated against those of the nodes; of each kind the worst.
fn stated_moments<T: Scalar, H: HiddenDistribution<T>>(law: &H, rules: &Rules<T>) -> Vec<Disagreement> {
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
fn exactness<T: Scalar, H: HiddenDistribution<T>>(law: &H, most: usize) -> Option<Disagreement> {
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

/// What is averaged to compare two laws.
enum Statistic {
    Mean(usize),
    Second(usize, usize),
    /// cos(a·c) and sin(a·c) of that direction.
    Waves(usize),
    /// What a claimed symmetry makes vanish: cos(a·c) − cos(Sa·c) and the same with sines, S the change of signs of that
    /// variable or of all.
    Flip(usize, Option<usize>),
}

impl Statistic {
    /// How many numbers it is.
    fn numbers(&self) -> usize {
        match self {
            Self::Mean(_) | Self::Second(..) => 1,
            Self::Waves(_) | Self::Flip(..) => 2,
        }
    }
}

/// The averages by which two laws are compared: first and second moments, and the characteristic function in a few
/// directions, which sees the rest.
struct Statistics {
    p: usize,
    statistics: Vec<Statistic>,
    directions: Vec<Vec<f64>>,
    /// √E[c_l²].
    sizes: Vec<f64>,
}

impl Statistics {
    fn new<T: Scalar, H: HiddenDistribution<T>>(law: &H, rules: &Rules<T>) -> Self {
        let p = law.dimension();
        let second = rules.fine.as_ref().map_or_else(|| law.second_moment(), HiddenQuadrature::second_moment);
        let size = |l: usize| Some(second[(l, l)].as_f64().sqrt()).filter(|s| *s > 0.0 && s.is_finite()).unwrap_or(1.0);
        let sizes: Vec<f64> = (0..p).map(size).collect();
        // Each variable alone, at two wavelengths, and four directions that mix all; a·c is of order one in each.
        let alone = (0..p).flat_map(|l| [1.3, 2.9].map(|x| (l, x)));
        let alone = alone.map(|(l, x)| (0..p).map(|k| if k == l { x / sizes[l] } else { 0.0 }).collect());
        let mixed = (0..MIXED).map(|n| {
            let component = |l: usize| normal_quantile(uniform(n, l, SCRAMBLE));
            let norm = (0..p).map(|l| component(l).powi(2)).sum::<f64>().sqrt();
            (0..p).map(|l| 1.7 * component(l) / (norm * sizes[l])).collect()
        });
        let directions: Vec<Vec<f64>> = alone.chain(mixed).collect();
        let mut statistics: Vec<Statistic> = (0..p).map(Statistic::Mean).collect();
        statistics.extend((0..p).flat_map(|l| (0..=l).map(move |k| Statistic::Second(k, l))));
        statistics.extend((0..directions.len()).map(Statistic::Waves));
        for l in (0..p).filter(|&l| law.is_symmetric(l)) {
            let touched = [2 * l, 2 * l + 1].into_iter().chain(2 * p..directions.len());
            statistics.extend(touched.map(|direction| Statistic::Flip(direction, Some(l))));
        }
        if law.is_jointly_symmetric() {
            statistics.extend((0..directions.len()).map(|direction| Statistic::Flip(direction, None)));
        }
        Self { p, statistics, directions, sizes }
    }

    /// How many numbers [`evaluate`](Self::evaluate) writes.
    fn count(&self) -> usize {
        self.statistics.iter().map(Statistic::numbers).sum()
    }

    /// cos(a·c) and sin(a·c) at c = `point` + Gaussian, averaged over the Gaussian, with the signs of a changed where
    /// `flipped` says so.
    fn wave(&self, a: &[f64], flipped: Option<usize>, point: &[f64], gaussian: Option<&DMatrix<f64>>) -> [f64; 2] {
        let sign = |l: usize| if flipped == Some(l) { -1.0 } else { 1.0 };
        let phase: f64 = (0..self.p).map(|l| sign(l) * a[l] * point[l]).sum();
        let variance = gaussian.map_or(0.0, |g| {
            let term = |k: usize, l: usize| sign(k) * sign(l) * a[k] * a[l] * g[(k, l)];
            (0..self.p).map(|k| (0..self.p).map(|l| term(k, l)).sum::<f64>()).sum()
        });
        let damping = (-0.5 * variance).exp();
        [damping * phase.cos(), damping * phase.sin()]
    }

    /// The numbers at c = `point` + Gaussian, averaged over the Gaussian.
    fn evaluate(&self, point: &[f64], gaussian: Option<&DMatrix<f64>>, out: &mut [f64]) {
        let waves = self.p + self.p * (self.p + 1) / 2;
        let mut next = 0;
        for statistic in &self.statistics {
            match *statistic {
                Statistic::Mean(l) => out[next] = point[l],
                Statistic::Second(k, l) => out[next] = point[k] * point[l] + gaussian.map_or(0.0, |g| g[(k, l)]),
                Statistic::Waves(n) => {
                    [out[next], out[next + 1]] = self.wave(&self.directions[n], None, point, gaussian);
                }
                Statistic::Flip(n, variable) => {
                    // Waves come before, two numbers each.
                    let here = [out[waves + 2 * n], out[waves + 2 * n + 1]];
                    let there = match variable {
                        Some(l) => self.wave(&self.directions[n], Some(l), point, gaussian),
                        None => [here[0], -here[1]],
                    };
                    [out[next], out[next + 1]] = [here[0] - there[0], here[1] - there[1]];
                }
            }
            next += statistic.numbers();
        }
    }

    /// The statistics of a rule.
    fn of_rule<T: Scalar>(&self, rule: &HiddenQuadrature<T>) -> Vec<f64> {
        let gaussian = Some(rule.gaussian.map(Scalar::as_f64)).filter(|g| g.amax() > 0.0);
        let (mut sums, mut values) = (vec![0.0; self.count()], vec![0.0; self.count()]);
        for (node, weight) in rule.nodes.column_iter().zip(&rule.weights) {
            let point: Vec<f64> = node.iter().map(|x| x.as_f64()).collect();
            self.evaluate(&point, gaussian.as_ref(), &mut values);
            for (sum, value) in sums.iter_mut().zip(&values) {
                *sum += weight.as_f64() * value;
            }
        }
        sums
    }

    /// For each number the statistic, and which of its two numbers it is.
    fn labels(&self) -> impl Iterator<Item = (&Statistic, usize)> {
        self.statistics.iter().flat_map(|statistic| (0..statistic.numbers()).map(move |n| (statistic, n)))
    }

    fn scale(&self, statistic: &Statistic) -> f64 {
        match *statistic {
            Statistic::Mean(l) => self.sizes[l],
            Statistic::Second(k, l) => self.sizes[k] * self.sizes[l],
            Statistic::Waves(_) | Statistic::Flip(..) => 1.0,
        }
    }

    fn average(&self, statistic: &Statistic, number: usize) -> Option<HiddenAverage> {
        Some(match *statistic {
            Statistic::Mean(l) => HiddenAverage::Mean(l),
            Statistic::Second(k, l) => HiddenAverage::Second(k, l),
            Statistic::Waves(n) if number == 0 => HiddenAverage::Cosine(self.directions[n].clone()),
            Statistic::Waves(n) => HiddenAverage::Sine(self.directions[n].clone()),
            Statistic::Flip(..) => return None,
        })
    }

    /// What draws are compared with: the nodes where they can be enumerated, else the moments that are stated.
    fn reference<T: Scalar, H: HiddenDistribution<T>>(&self, law: &H, rules: &Rules<T>) -> Vec<Option<Reference>> {
        if let Some((values, errors)) = rules.averages(|rule| self.of_rule(rule)) {
            let variances = self.variances(rules);
            let all = values.into_iter().zip(errors).zip(variances).zip(self.labels());
            let make = |(((value, error), variance), (statistic, _)): (((f64, f64), f64), (&Statistic, usize))| {
                // A symmetry is a claim about zero.
                let value = if matches!(statistic, Statistic::Flip(..)) { 0.0 } else { value };
                let error = error + typed_digits::<T>() * self.scale(statistic);
                Some(Reference { value, error, variance, source: Source::Nodes })
            };
            return all.map(make).collect();
        }
        let (mean, second) = (law.mean(), law.second_moment());
        let stated = |(statistic, _): (&Statistic, usize)| {
            let value = match *statistic {
                Statistic::Mean(l) => mean[l].as_f64(),
                Statistic::Second(k, l) => second[(k, l)].as_f64(),
                Statistic::Flip(..) => 0.0,
                Statistic::Waves(_) => return None,
            };
            let error = typed_digits::<T>() * self.scale(statistic);
            Some(Reference { value, error, variance: 0.0, source: Source::Stated })
        };
        self.labels().map(stated).collect()
    }

    /// The variances of the numbers for one draw, by the nodes: rare large values may be missing among the draws. Where a
    /// symmetry makes the mean vanish it is the mean square.
    fn variances<T: Scalar>(&self, rules: &Rules<T>) -> Vec<f64> {
        let Some(rule) = &rules.fine else { return vec![0.0; self.count()] };
        let g = rule.gaussian.map(Scalar::as_f64);
        let cosine = |a: &[f64], x: &[f64]| self.wave(a, None, x, Some(&g))[0];
        let (mut means, mut squares) = (vec![0.0; self.count()], vec![0.0; self.count()]);
        let mut values = vec![0.0; self.count()];
        for (node, weight) in rule.nodes.column_iter().zip(&rule.weights) {
            let x: Vec<f64> = node.iter().map(|x| x.as_f64()).collect();
            self.evaluate(&x, Some(&g), &mut values);
            let mut next = 0;
            for statistic in &self.statistics {
                let square = match *statistic {
                    Statistic::Mean(l) => [x[l] * x[l] + g[(l, l)], 0.0],
                    // E[(x + z)_k² (x + z)_l²] over the Gaussian z (Isserlis).
                    Statistic::Second(k, l) => {
                        let (a, b) = (x[k] * x[k], x[l] * x[l]);
                        let mixed = a * g[(l, l)] + b * g[(k, k)] + 4.0 * x[k] * x[l] * g[(k, l)];
                        [a * b + mixed + g[(k, k)] * g[(l, l)] + 2.0 * g[(k, l)] * g[(k, l)], 0.0]
                    }
                    // cos² a = (1 + cos 2a)/2.
                    Statistic::Waves(n) => {
                        let double = cosine(&combined(&self.directions[n], &self.directions[n], 1.0), &x);
                        [0.5 * (1.0 + double), 0.5 * (1.0 - double)]
                    }
                    // (cos a − cos b)² = 1 + (cos 2a + cos 2b)/2 − cos(a + b) − cos(a − b), and so on.
                    Statistic::Flip(n, variable) => {
                        let a = &self.directions[n];
                        let flipped = |l: usize| variable.is_none_or(|flipped| flipped == l);
                        let b: Vec<f64> = (0..self.p).map(|l| if flipped(l) { -a[l] } else { a[l] }).collect();
                        let doubles = 0.5 * (cosine(&combined(a, a, 1.0), &x) + cosine(&combined(&b, &b, 1.0), &x));
                        let (sum, difference) = (cosine(&combined(a, &b, 1.0), &x), cosine(&combined(a, &b, -1.0), &x));
                        [1.0 + doubles - sum - difference, 1.0 - doubles + sum - difference]
                    }
                };
                for square in &square[..statistic.numbers()] {
                    means[next] += weight.as_f64() * values[next];
                    squares[next] += weight.as_f64() * square;
                    next += 1;
                }
            }
        }
        squares.iter().zip(&means).map(|(square, mean)| square - mean * mean).collect()
    }

    /// Where draws are further from the reference than chance explains: the worst moment, the worst wave, and the worst
    /// number of each symmetry.
    fn compare(&self, reference: &[Option<Reference>], averages: &Averages, source: Source) -> Vec<Disagreement> {
        let mut worst: Vec<(usize, f64, Disagreement)> = Vec::new();
        for (n, ((statistic, number), reference)) in self.labels().zip(reference).enumerate() {
            let Some(reference) = reference else { continue };
            let error = averages.standard_error(n, reference.variance);
            let allowed = STANDARD_ERRORS * error + reference.error;
            let (value, gap) = (averages.mean(n), (averages.mean(n) - reference.value).abs());
            if gap <= allowed {
                continue;
            }
            let disagreement = match *statistic {
                Statistic::Flip(_, variable) => Disagreement::HiddenSymmetry { variable, from: source, gap, allowed },
                _ => match self.average(statistic, number) {
                    Some(average) => Disagreement::HiddenMoment {
                        average,
                        one: Estimate { value: reference.value, source: reference.source },
                        other: Estimate { value, source },
                        allowed,
                    },
                    None => continue,
                },
            };
            keep_worst(&mut worst, statistic, gap / allowed, disagreement);
        }
        // Waves say less than moments: they are told where no moment is wrong.
        let moments = worst.iter().any(|(kind, ..)| *kind == MOMENT);
        worst
            .into_iter()
            .filter(|(kind, ..)| !(*kind == WAVE && moments))
            .map(|(.., disagreement)| disagreement)
            .collect()
    }
}

/// a + factor·b.
fn combined(a: &[f64], b: &[f64], factor: f64) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + factor * b).collect()
}

/// Directions that mix all variables.
const MIXED: usize = 4;

/// What is told once: moments, waves, and each symmetry.
const MOMENT: usize = 0;
const WAVE: usize = 1;
const ALL_FLIPPED: usize = 2;
const ONE_FLIPPED: usize = 3;

fn keep_worst(
    worst: &mut Vec<(usize, f64, Disagreement)>,
    statistic: &Statistic,
    excess: f64,
    disagreement: Disagreement,
) {
    let kind = match *statistic {
        Statistic::Mean(_) | Statistic::Second(..) => MOMENT,
        Statistic::Waves(_) => WAVE,
        Statistic::Flip(_, None) => ALL_FLIPPED,
        Statistic::Flip(_, Some(l)) => ONE_FLIPPED + l,
    };
    match worst.iter_mut().find(|(before, ..)| *before == kind) {
        // NaN is the worst.
        Some((_, before, _)) if *before >= excess || before.is_nan() => {}
        Some(entry) => *entry = (kind, excess, disagreement),
        None => worst.push((kind, excess, disagreement)),
    }
}

/// What a draw's average should be, with the error and the variance of one draw that are known.
struct Reference {
    value: f64,
    error: f64,
    variance: f64,
    source: Source,
}

/// Claimed symmetries against the nodes; of each the worst.
fn symmetries<T: Scalar>(statistics: &Statistics, rules: &Rules<T>) -> Vec<Disagreement> {
    let Some((values, errors)) = rules.averages(|rule| statistics.of_rule(rule)) else { return Vec::new() };
    let mut worst = Vec::new();
    for (((statistic, _), gap), error) in statistics.labels().zip(values).zip(errors) {
        let Statistic::Flip(_, variable) = *statistic else { continue };
        let (gap, allowed) = (gap.abs(), error + typed_digits::<T>());
        if !(gap <= allowed) {
            let disagreement = Disagreement::HiddenSymmetry { variable, from: Source::Nodes, gap, allowed };
            keep_worst(&mut worst, statistic, gap / allowed, disagreement);
        }
    }
    worst.into_iter().map(|(.., disagreement)| disagreement).collect()
}

/// The statistics of draws of one kind; none if the law has no such draws.
fn draw<T: Scalar, H: HiddenDistribution<T>>(
    law: &H,
    statistics: &Statistics,
    source: Source,
) -> Result<Option<Averages>, Disagreement> {
    let p = law.dimension();
    let draws = (WORK / statistics.count()).clamp(FEWEST_DRAWS, DRAWS);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(SEED);
    let mut averages = Averages::new(statistics.count());
    let mut values = vec![0.0; statistics.count()];
    // What is not written stays NaN.
    let nan = T::lit(f64::NAN);
    let mut add = |c: &[T], gaussian: Option<&DMatrix<f64>>| {
        if let Some(variable) = c.iter().position(|x| !x.is_finite()) {
            return Err(Disagreement::HiddenSample { from: source, variable, value: c[variable].as_f64() });
        }
        let point: Vec<f64> = c.iter().map(|x| x.as_f64()).collect();
        statistics.evaluate(&point, gaussian, &mut values);
        averages.add(&values);
        Ok(())
    };
    match source {
        Source::Words => {
            let empty = law.samples_from_words(&[], &mut []);
            let (mut words, mut c, mut one) = (vec![0; RUN * p], vec![nan; RUN * p], vec![nan; p]);
            for _ in 0..draws / RUN {
                words.fill_with(|| rng.next_u64());
                c.fill(nan);
                let full = law.samples_from_words(&words, &mut c);
                if full != empty {
                    return Err(Disagreement::HiddenWords { empty, full });
                }
                if !full {
                    return Ok(None);
                }
                for k in 0..RUN {
                    for l in 0..p {
                        one[l] = c[l * RUN + k];
                    }
                    add(&one, None)?;
                }
            }
        }
        Source::Transport => {
            let gaussian = law.gaussian_part().map(Scalar::as_f64);
            let (mut u, mut c) = (vec![nan; p], vec![nan; p]);
            for n in 0..MAPPED {
                for (l, u) in u.iter_mut().enumerate() {
                    *u = T::lit(uniform(n, l, SCRAMBLE)).min(T::one() - T::EPSILON);
                }
                c.fill(nan);
                if !law.transport(&u, &mut c) {
                    return Ok(None);
                }
                add(&c, Some(&gaussian))?;
            }
        }
        _ => {
            let mut c = vec![nan; p];
            for _ in 0..draws {
                c.fill(nan);
                law.sample(&mut rng, &mut c);
                add(&c, None)?;
            }
        }
    }
    Ok(Some(averages))
}

#[cfg(test)]
mod tests {
    use nalgebra::DVector;

    use super::*;
    use crate::model::{CorrelatedSigns, Discrete, HiddenDistribution, Law, Mixture, VariableQuadrature};

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
}
