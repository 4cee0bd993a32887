//! Whether the characteristic function of a hidden law is that of its nodes.

use std::ops::Range;

use nalgebra::Complex;

use crate::Scalar;
use crate::model::check::hidden::SCRAMBLE;
use crate::model::check::hidden::nodes::Rules;
use crate::model::check::{Disagreement, typed_digits};
use crate::model::{CharacteristicRows, HiddenDistribution, HiddenQuadrature, JointCharacteristic};
use crate::numerics::normal::normal_quantile;
use crate::numerics::sobol::uniform;

/// Variables of a smaller second moment, in units of the largest, are taken for as large as that.
const LEAST_SCALE: f64 = 1e-3;
/// Wave vectors at which it is looked at besides zero.
const WAVES: usize = 3;

/// Compares at a few wave vectors with the nodes, where these are few, else at zero with the stated moments. Nothing if the law
/// gives none.
pub(super) fn characteristic<T: Scalar>(law: &dyn HiddenDistribution<T>, rules: &Rules<T>) -> Option<Disagreement> {
    let p = law.dimension();
    let blocks = law.blocks();
    let mut end = 0;
    let follow = blocks.iter().all(|range| {
        let follows = range.start == end && range.end > range.start;
        end = range.end;
        follows
    });
    if !(follow && end == p) {
        return Some(Disagreement::HiddenBlocks { variables: p });
    }
    let mut parts = vec![JointCharacteristic::new(); blocks.len()];
    let mut at = |k: &[T]| {
        let mut pairs = blocks.iter().enumerate().zip(&mut parts);
        let known = pairs.all(|((b, range), part)| law.characteristic(b, &k[range.clone()], part));
        known.then(|| parts.clone())
    };
    let zero = vec![T::zero(); p];
    let parts = at(&zero)?;
    let (mean, second) = (law.mean(), law.second_moment());
    let size = second.amax().as_f64().max(f64::MIN_POSITIVE);
    let allowed = typed_digits::<T>();
    // Where there are nodes, they have been compared with the stated moments.
    for (range, part) in blocks.iter().zip(&parts).filter(|_| rules.fine.is_none()) {
        let d = range.len();
        let mut moments = JointCharacteristic::new();
        moments.reset(d);
        moments.value.re = T::one();
        for l in 0..d {
            moments.first[l].re = mean[range.start + l];
            for j in 0..d {
                moments.second[l * d + j].re = second[(range.start + l, range.start + j)];
            }
        }
        let worst = gap(part, &moments, size.sqrt(), &|_| allowed, &zero[range.clone()]);
        if worst.is_some() {
            return worst;
        }
    }
    let worst = blocks.iter().enumerate().find_map(|(b, range)| rows(law, b, range.clone(), size.sqrt()));
    if worst.is_some() || !rules.reliable {
        return worst;
    }
    (0..WAVES).find_map(|n| {
        let component = |l: usize| normal_quantile(uniform(n + 1, l, SCRAMBLE));
        let norm = (0..p).map(|l| component(l).powi(2)).sum::<f64>().sqrt();
        let scale = |l: usize| second[(l, l)].as_f64().max(LEAST_SCALE * size).sqrt();
        let k: Vec<T> = (0..p).map(|l| T::lit(1.7 * component(l) / (norm * scale(l)))).collect();
        let of_nodes = |rule: &HiddenQuadrature<T>| numbers(&of_rule(rule, &k));
        let (nodes, errors) = rules.averages(of_nodes)?;
        let parts = at(&k)?;
        let mut whole = JointCharacteristic::new();
        whole.set_product(&parts);
        let mut known = whole.clone();
        known.reset(p);
        set_numbers(&mut known, &nodes);
        gap(&whole, &known, size.sqrt(), &|entry| allowed + errors[2 * entry].hypot(errors[2 * entry + 1]), &k)
    })
}

/// Compares what block `b` gives at several wave vectors at once with what it gives at each, for variables of that size.
fn rows<T: Scalar>(law: &dyn HiddenDistribution<T>, b: usize, range: Range<usize>, size: f64) -> Option<Disagreement> {
    let (d, count) = (range.len(), WAVES);
    let k: Vec<T> = range.map(|l| T::lit(0.7 * normal_quantile(uniform(1, l, SCRAMBLE)) / size)).collect();
    let mut room = [1, d, d * d].map(|rows| [vec![T::zero(); rows * count], vec![T::zero(); rows * count]]);
    let [value, first, moments] = room.each_mut().map(|part| part.each_mut().map(Vec::as_mut_slice));
    let mut at_once = CharacteristicRows::new(d, value, first, moments)?;
    let wave = |n: usize| -> Vec<T> { k.iter().map(|&k| T::of_usize(n) * k).collect() };
    let mut each = vec![JointCharacteristic::new(); count];
    if !each.iter_mut().enumerate().all(|(n, one)| law.characteristic(b, &wave(n), one)) {
        return None;
    }
    // Then the second half from where it starts.
    let start = wave(count / 2);
    let half = |mut rows: CharacteristicRows<'_, T>| {
        rows.run(count / 2, count - count / 2, &start).is_some_and(|mut rows| law.characteristics(b, &k, &mut rows))
    };
    let known = law.characteristics(b, &k, &mut at_once) && half(at_once);
    let mut same = JointCharacteristic::new();
    same.reset(d);
    each.iter().enumerate().find_map(|(n, one)| {
        let wave = wave(n);
        let complex =
            |part: usize, row: usize| Complex::new(room[part][0][row * count + n], room[part][1][row * count + n]);
        same.value = complex(0, 0);
        (0..d).for_each(|l| same.first[l] = complex(1, l));
        (0..d * d).for_each(|l| same.second[l] = complex(2, l));
        let what = "`characteristics`, beside `characteristic`,";
        if !known || one.first.len() != d || one.second.len() != d * d {
            let wave = wave.iter().map(|x| x.as_f64()).collect();
            return Some(Disagreement::HiddenCharacteristic { what, wave, gap: f64::NAN, allowed: 0.0 });
        }
        gap(&same, one, size, &|_| 0.0, &wave).map(|found| match found {
            Disagreement::HiddenCharacteristic { wave, gap, allowed, .. } => {
                Disagreement::HiddenCharacteristic { what, wave, gap, allowed }
            }
            other => other,
        })
    })
}

/// The worst entry that differs by more than is allowed, in units of powers of `size`.
fn gap<T: Scalar>(
    got: &JointCharacteristic<T>,
    want: &JointCharacteristic<T>,
    size: f64,
    allowed: &dyn Fn(usize) -> f64,
    k: &[T],
) -> Option<Disagreement> {
    let d = want.first.len();
    let wave = || k.iter().map(|x| x.as_f64()).collect();
    if got.first.len() != d || got.second.len() != d * d {
        let what = "the number of moments under the characteristic function";
        return Some(Disagreement::HiddenCharacteristic { what, wave: wave(), gap: f64::NAN, allowed: 0.0 });
    }
    let (got, want) = (numbers(got), numbers(want));
    (0..got.len() / 2).find_map(|entry| {
        let part = |x: &[f64]| [x[2 * entry], x[2 * entry + 1]];
        let ([a, b], [c, d_]) = (part(&got), part(&want));
        let (what, unit) = match entry {
            0 => ("the characteristic function", 1.0),
            _ if entry <= d => ("the first moment under the characteristic function", size),
            _ => ("the second moment under the characteristic function", size * size),
        };
        let (gap, allowed) = ((a - c).hypot(b - d_), allowed(entry) + typed_digits::<T>() * unit);
        (!(gap <= allowed)).then(|| Disagreement::HiddenCharacteristic { what, wave: wave(), gap, allowed })
    })
}

/// Value, first and second moments, real and imaginary part of each.
fn numbers<T: Scalar>(x: &JointCharacteristic<T>) -> Vec<f64> {
    let all = std::iter::once(&x.value).chain(&x.first).chain(&x.second);
    all.flat_map(|z| [z.re.as_f64(), z.im.as_f64()]).collect()
}

fn set_numbers<T: Scalar>(x: &mut JointCharacteristic<T>, numbers: &[f64]) {
    let all = std::iter::once(&mut x.value).chain(&mut x.first).chain(&mut x.second);
    for (z, pair) in all.zip(numbers.chunks_exact(2)) {
        (z.re, z.im) = (T::lit(pair[0]), T::lit(pair[1]));
    }
}

/// Of the nodes and the Gaussian part beside them.
fn of_rule<T: Scalar>(rule: &HiddenQuadrature<T>, k: &[T]) -> JointCharacteristic<T> {
    let d = k.len();
    let mut nodes = JointCharacteristic::new();
    nodes.reset(d);
    for (c, &weight) in rule.nodes.as_slice().chunks_exact(d).zip(&rule.weights) {
        nodes.add_point(k, c, weight);
    }
    nodes.widen(k, |l, j| rule.gaussian[(l, j)]);
    nodes
}
