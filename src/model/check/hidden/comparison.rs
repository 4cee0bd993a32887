//! The averages by which two laws are compared: first and second moments, the characteristic function in a few directions,
//! and what claimed symmetries make vanish.
//!
//! Covers these averages over nodes and for one draw, what the nodes expect of draws, and the comparison. Not here: the
//! draws (see the parent module).

use nalgebra::DMatrix;

use crate::Scalar;
use crate::model::check::averages::Averages;
use crate::model::check::hidden::SCRAMBLE;
use crate::model::check::hidden::nodes::Rules;
use crate::model::check::{Disagreement, Estimate, HiddenAverage, STANDARD_ERRORS, Source, typed_digits};
use crate::model::{HiddenDistribution, HiddenQuadrature};
use crate::numerics::normal::normal_quantile;
use crate::numerics::sobol::uniform;

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
pub(super) struct Statistics {
    p: usize,
    list: Vec<Statistic>,
    directions: Vec<Vec<f64>>,
    /// √E[c_l²].
    sizes: Vec<f64>,
}

impl Statistics {
    pub(super) fn new<T: Scalar>(law: &dyn HiddenDistribution<T>, rules: &Rules<T>) -> Self {
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
        let mut list: Vec<Statistic> = (0..p).map(Statistic::Mean).collect();
        list.extend((0..p).flat_map(|l| (0..=l).map(move |k| Statistic::Second(k, l))));
        list.extend((0..directions.len()).map(Statistic::Waves));
        for l in (0..p).filter(|&l| law.is_symmetric(l)) {
            let touched = [2 * l, 2 * l + 1].into_iter().chain(2 * p..directions.len());
            list.extend(touched.map(|direction| Statistic::Flip(direction, Some(l))));
        }
        if law.is_jointly_symmetric() {
            list.extend((0..directions.len()).map(|direction| Statistic::Flip(direction, None)));
        }
        Self { p, list, directions, sizes }
    }

    /// How many numbers [`evaluate`](Self::evaluate) writes.
    pub(super) fn count(&self) -> usize {
        self.list.iter().map(Statistic::numbers).sum()
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
    pub(super) fn evaluate(&self, point: &[f64], gaussian: Option<&DMatrix<f64>>, out: &mut [f64]) {
        let waves = self.p + self.p * (self.p + 1) / 2;
        let mut next = 0;
        for statistic in &self.list {
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
        self.list.iter().flat_map(|statistic| (0..statistic.numbers()).map(move |n| (statistic, n)))
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
    pub(super) fn reference<T: Scalar>(
        &self,
        law: &dyn HiddenDistribution<T>,
        rules: &Rules<T>,
    ) -> Vec<Option<Reference>> {
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
        let some = Some(&g).filter(|g| g.amax() > 0.0);
        let cosine = |a: &[f64], x: &[f64]| self.wave(a, None, x, some)[0];
        let (mut means, mut squares) = (vec![0.0; self.count()], vec![0.0; self.count()]);
        let mut values = vec![0.0; self.count()];
        for (node, weight) in rule.nodes.column_iter().zip(&rule.weights) {
            let x: Vec<f64> = node.iter().map(|x| x.as_f64()).collect();
            self.evaluate(&x, some, &mut values);
            let mut next = 0;
            for statistic in &self.list {
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
    pub(super) fn compare(
        &self,
        reference: &[Option<Reference>],
        averages: &Averages,
        source: Source,
    ) -> Vec<Disagreement> {
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
pub(super) struct Reference {
    value: f64,
    error: f64,
    variance: f64,
    source: Source,
}

/// Claimed symmetries against the nodes; of each the worst.
pub(super) fn symmetries<T: Scalar>(statistics: &Statistics, rules: &Rules<T>) -> Vec<Disagreement> {
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
