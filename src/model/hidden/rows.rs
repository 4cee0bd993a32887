//! Characteristic functions at the wave vectors 0, k, 2k, …, all at once: what averages over a sum of variables need.
//!
//! Covers [`CharacteristicRows`], into which they are written, and laws on points. Many points are gathered in cells of μ = kᵀc, in
//! each of which exp(inμ) is its Taylor series: what is then needed are moments of the cells, at a cost that does not depend on the
//! number of wave vectors. Not here: one wave vector (see [`JointCharacteristic`]).

use std::array::from_fn;

use crate::Scalar;
use crate::model::hidden::{Characteristic, JointCharacteristic};

/// A joint law of d variables at the wave vectors s, s + k, s + 2k, …, n of them, as [`HiddenDistribution::characteristics`] writes it. The
/// first is zero unless [`wave`](Self::wave) says otherwise.
///
/// [`HiddenDistribution::characteristics`]: crate::model::HiddenDistribution::characteristics
#[derive(Debug)]
pub struct CharacteristicRows<'a, T> {
    variables: usize,
    count: usize,
    /// The first wave vector; empty for zero.
    start: &'a [T],
    /// Of rows of so many numbers these are from that one on.
    stride: usize,
    offset: usize,
    /// E[exp(ikᵀc)]; E[c_l exp(ikᵀc)], a row of n for each l; the same of c_l c_l', d² rows. Real and imaginary parts apart.
    value: [&'a mut [T]; 2],
    first: [&'a mut [T]; 2],
    second: [&'a mut [T]; 2],
}

impl<'a, T: Scalar> CharacteristicRows<'a, T> {
    /// Of rows of as many numbers as `value` has; `None` if there are not d rows of `first` and d² of `second`.
    pub(crate) fn new(
        variables: usize,
        value: [&'a mut [T]; 2],
        first: [&'a mut [T]; 2],
        second: [&'a mut [T]; 2],
    ) -> Option<Self> {
        let count = value[0].len();
        let fits = |part: &[&'a mut [T]; 2], rows: usize| part.iter().all(|x| x.len() == rows * count);
        let all = fits(&value, 1) && fits(&first, variables) && fits(&second, variables * variables);
        all.then_some(Self { variables, count, start: &[], stride: count, offset: 0, value, first, second })
    }

    /// The `count` wave vectors from number `offset` on, of which the first is `start`; `None` if there are not so many.
    pub(crate) fn run<'b>(
        &'b mut self,
        offset: usize,
        count: usize,
        start: &'b [T],
    ) -> Option<CharacteristicRows<'b, T>> {
        let part = |[re, im]: &'b mut [&'a mut [T]; 2]| [&mut **re, &mut **im];
        let Self { variables, count: all, stride, offset: before, value, first, second, .. } = self;
        (offset + count <= *all && start.len() == *variables).then(|| CharacteristicRows {
            variables: *variables,
            count,
            start,
            stride: *stride,
            offset: *before + offset,
            value: part(value),
            first: part(first),
            second: part(second),
        })
    }

    /// Component l of wave vector number n, for steps of k.
    #[must_use]
    pub fn wave(&self, n: usize, l: usize, k: T) -> T {
        let from_start = T::of_usize(n) * k;
        self.start.get(l).map_or(from_start, |&start| start + from_start)
    }

    /// The number n of wave vectors.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The number d of variables.
    #[must_use]
    pub fn variables(&self) -> usize {
        self.variables
    }

    /// Writes what belongs to wave vector number n. False if there is none such, or if that is not of d variables.
    pub fn set(&mut self, n: usize, at: &JointCharacteristic<T>) -> bool {
        let (d, stride) = (self.variables, self.stride);
        if n >= self.count || at.first.len() != d || at.second.len() != d * d {
            return false;
        }
        let n = self.offset + n;
        (self.value[0][n], self.value[1][n]) = (at.value.re, at.value.im);
        for (l, x) in at.first.iter().enumerate() {
            (self.first[0][l * stride + n], self.first[1][l * stride + n]) = (x.re, x.im);
        }
        for (l, x) in at.second.iter().enumerate() {
            (self.second[0][l * stride + n], self.second[1][l * stride + n]) = (x.re, x.im);
        }
        true
    }

    /// The same of one variable.
    pub(super) fn set_one(&mut self, n: usize, at: &Characteristic<T>) -> bool {
        if n >= self.count || self.variables != 1 {
            return false;
        }
        let n = self.offset + n;
        (self.value[0][n], self.value[1][n]) = (at.value.re, at.value.im);
        (self.first[0][n], self.first[1][n]) = (at.first.re, at.first.im);
        (self.second[0][n], self.second[1][n]) = (at.second.re, at.second.im);
        true
    }

    /// Of one variable that is 0 with probability 1 − `activity` and ±`size` otherwise, at multiples of k. False if there are more
    /// variables.
    pub(super) fn set_signs(&mut self, k: T, size: T, activity: T) -> bool {
        if self.variables != 1 {
            return false;
        }
        let start = self.wave(0, 0, k);
        let all = self.offset..self.offset + self.count;
        let Self { value: [cos, none], first: [no, sin], second: [square, nothing], .. } = self;
        let [cos, none, no, sin, square, nothing] =
            [cos, none, no, sin, square, nothing].map(|part| &mut part[all.clone()]);
        turns(start * size, k * size, cos, sin);
        let (first, second) = (activity * size, activity * size * size);
        for ((cos, sin), square) in cos.iter_mut().zip(sin.iter_mut()).zip(square.iter_mut()) {
            *square = second * *cos;
            *sin *= first;
            *cos = T::one() - activity + activity * *cos;
        }
        for part in [none, no, nothing] {
            part.fill(T::zero());
        }
        true
    }

    /// The sum of what `write` writes for each part, times its weight. False where that is.
    pub(super) fn set_mixture<L>(
        &mut self,
        parts: impl Iterator<Item = (T, L)>,
        write: &mut dyn FnMut(L, &mut CharacteristicRows<'_, T>) -> bool,
    ) -> bool {
        let (d, n) = (self.variables, self.count);
        let room = |rows: usize| [vec![T::zero(); rows * n], vec![T::zero(); rows * n]];
        let mut parts_of_one = [room(1), room(d), room(d * d)];
        self.clear();
        for (weight, part) in parts {
            let [value, first, second] = parts_of_one.each_mut().map(|part| part.each_mut().map(Vec::as_mut_slice));
            let start = self.start;
            let mut one =
                CharacteristicRows { variables: d, count: n, start, stride: n, offset: 0, value, first, second };
            if !write(part, &mut one) {
                return false;
            }
            let (stride, offset) = (self.stride, self.offset);
            let sums = [&mut self.value, &mut self.first, &mut self.second].into_iter().flatten();
            for (sum, one) in sums.zip([one.value, one.first, one.second].into_iter().flatten()) {
                for (sum, one) in sum.chunks_exact_mut(stride).zip(one.chunks_exact(n)) {
                    sum[offset..offset + n].iter_mut().zip(one).for_each(|(sum, &x)| *sum += weight * x);
                }
            }
        }
        true
    }

    fn clear(&mut self) {
        let (stride, all) = (self.stride, self.offset..self.offset + self.count);
        for part in [&mut self.value, &mut self.first, &mut self.second].into_iter().flatten() {
            part.chunks_exact_mut(stride).for_each(|row| row[all.clone()].fill(T::zero()));
        }
    }

    /// Where row number `row` of 1, the c_l and the products c_l c_l' with l ≤ l' is, of which `pairs` are listed.
    fn moment(&mut self, row: usize, pairs: &[(usize, usize)]) -> [&mut [T]; 2] {
        let (d, count) = (self.variables, self.count);
        let (stride, offset) = (self.stride, self.offset);
        let (part, at) = match row {
            0 => (&mut self.value, 0),
            _ if row <= d => (&mut self.first, row - 1),
            _ => (&mut self.second, pairs[row - 1 - d].0 * d + pairs[row - 1 - d].1),
        };
        let [re, im] = part;
        let at = at * stride + offset;
        [&mut re[at..][..count], &mut im[at..][..count]]
    }

    /// Of the law on those points, d numbers each, with those weights, at multiples of k. False if they are not of d variables.
    pub(super) fn set_points(&mut self, k: &[T], points: &[T], weights: &[T]) -> bool {
        let (d, count, stride, offset) = (self.variables, self.count, self.stride, self.offset);
        if k.len() != d || d == 0 || points.len() != d * weights.len() {
            return false;
        }
        let pairs: Vec<(usize, usize)> = (0..d).flat_map(|l| (l..d).map(move |j| (l, j))).collect();
        self.clear();
        let law = Points { start: self.start, k, places: points, weights, pairs: &pairs };
        // Cells are about zero.
        match law.cells(count).filter(|_| self.start.is_empty()) {
            Some(cells) => law.write_cells(cells, self),
            None => law.write_each(self),
        }
        for &(l, j) in pairs.iter().filter(|(l, j)| l != j) {
            for part in &mut self.second {
                let from = (l * d + j) * stride + offset;
                part.copy_within(from..from + count, (j * d + l) * stride + offset);
            }
        }
        true
    }
}

/// Cells of μ = kᵀc: `count` of that half width, from `low` on.
#[derive(Clone, Copy)]
struct Cells {
    low: f64,
    half: f64,
    count: usize,
}

/// A law on points.
struct Points<'p, T> {
    start: &'p [T],
    k: &'p [T],
    places: &'p [T],
    weights: &'p [T],
    pairs: &'p [(usize, usize)],
}

/// Terms of a Taylor series about the centre of a cell, where |nμ| ≤ 1: the first left out is below 1/18! = 2e-16.
const TERMS: usize = 18;

impl<T: Scalar> Points<'_, T> {
    /// Rows of moments: of 1, the c_l, and their products.
    fn moments(&self) -> usize {
        1 + self.k.len() + self.pairs.len()
    }

    fn sum(&self, c: &[T]) -> T {
        self.k.iter().zip(c).fold(T::zero(), |sum, (&k, &c)| sum + k * c)
    }

    /// Calls `visit` with every point's μ and its moments.
    fn each(&self, visit: &mut dyn FnMut(T, &[T])) {
        let d = self.k.len();
        let mut moments = vec![T::zero(); self.moments()];
        for (c, &weight) in self.places.chunks_exact(d).zip(self.weights) {
            moments[0] = weight;
            for (l, &c) in c.iter().enumerate() {
                moments[1 + l] = weight * c;
            }
            for (moment, &(l, j)) in moments[1 + d..].iter_mut().zip(self.pairs) {
                *moment = weight * c[l] * c[j];
            }
            visit(self.sum(c), &moments);
        }
    }

    /// Cells for so many wave vectors, if they save work.
    fn cells(&self, count: usize) -> Option<Cells> {
        let sums = self.places.chunks_exact(self.k.len()).map(|c| self.sum(c).as_f64());
        let (low, high) = sums.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
        let most = 0.5 * (high - low) * count as f64 + 1.0;
        let points = self.weights.len() as f64;
        if !(points * TERMS as f64 + 2.0 * most * (TERMS * count) as f64 <= points * count as f64) {
            return None;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // below the number of points
        let cells = most as usize;
        // Not less than rounding, for all points at one place.
        let half = (0.5 * (high - low) / cells as f64).max(f64::EPSILON * high.abs().max(low.abs()));
        Some(Cells { low, half: half.max(f64::MIN_POSITIVE), count: cells })
    }

    fn write_each(&self, rows: &mut CharacteristicRows<'_, T>) {
        if rows.count == 1 && self.start.is_empty() {
            // At zero alone, as for the variance of a sum.
            let mut sums = vec![T::zero(); self.moments()];
            self.each(&mut |_, moments| sums.iter_mut().zip(moments).for_each(|(sum, &x)| *sum += x));
            sums.iter().enumerate().for_each(|(row, &sum)| rows.moment(row, self.pairs)[0][0] = sum);
            return;
        }
        let (mut cos, mut sin) = (vec![T::zero(); rows.count], vec![T::zero(); rows.count]);
        let mut places = self.places.chunks_exact(self.k.len());
        self.each(&mut |sum, moments| {
            let place = places.next().unwrap_or(&[]);
            turns(self.start.iter().zip(place).map(|(&s, &c)| s * c).sum(), sum, &mut cos, &mut sin);
            for (row, &moment) in moments.iter().enumerate() {
                let [re, im] = rows.moment(row, self.pairs);
                for ((re, im), (&cos, &sin)) in re.iter_mut().zip(im).zip(cos.iter().zip(&sin)) {
                    *re += moment * cos;
                    *im += moment * sin;
                }
            }
        });
    }

    fn write_cells(&self, cells: Cells, rows: &mut CharacteristicRows<'_, T>) {
        let (many, count) = (self.moments(), rows.count);
        let Cells { low, half, count: last } = cells;
        // Σ moment t^r over each cell, t from −1 to 1 across it.
        let mut sums = vec![T::zero(); last * many * TERMS];
        let (origin, per) = (T::lit(low), T::lit(0.5 / half));
        self.each(&mut |sum, moments| {
            let place = (sum - origin) * per;
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // below the number of cells
            let cell = (place.as_f64() as usize).min(last - 1);
            let t = (place - T::of_usize(cell)) * T::lit(2.0) - T::one();
            let mut powers = [T::one(); TERMS];
            (1..TERMS).for_each(|r| powers[r] = powers[r - 1] * t);
            let sums = sums[cell * many * TERMS..][..many * TERMS].as_chunks_mut::<TERMS>().0;
            for (sums, &moment) in sums.iter_mut().zip(moments) {
                (0..TERMS).for_each(|r| sums[r] += moment * powers[r]);
            }
        });
        // (in half)^r/r!, of which the powers of i are in the signs of real and imaginary parts.
        let series: Vec<[T; TERMS]> = (0..count)
            .map(|n| {
                let mut term = 1.0;
                from_fn(|r| {
                    term *= if r == 0 { 1.0 } else { n as f64 * half / r as f64 };
                    T::lit(if r % 4 < 2 { term } else { -term })
                })
            })
            .collect();
        let (mut cos, mut sin) = (vec![T::zero(); count], vec![T::zero(); count]);
        for (cell, sums) in sums.chunks_exact(many * TERMS).enumerate() {
            turns(T::zero(), T::lit(low + half * (2 * cell + 1) as f64), &mut cos, &mut sin);
            for (row, sums) in
                sums.as_chunks::<TERMS>().0.iter().enumerate().filter(|(_, sums)| **sums != [T::zero(); TERMS])
            {
                let [re, im] = rows.moment(row, self.pairs);
                for n in 0..count {
                    let part =
                        |odd: usize| (odd..TERMS).step_by(2).fold(T::zero(), |sum, r| sum + series[n][r] * sums[r]);
                    let (even, odd) = (part(0), part(1));
                    re[n] += cos[n] * even - sin[n] * odd;
                    im[n] += cos[n] * odd + sin[n] * even;
                }
            }
        }
    }
}

/// cos and sin of s, s + x, s + 2x, …, of which each half makes the next: roundings grow with the logarithm of their number.
fn turns<T: Scalar>(start: T, x: T, cos: &mut [T], sin: &mut [T]) {
    let count = cos.len().min(sin.len());
    if count == 0 {
        return;
    }
    (sin[0], cos[0]) = start.sin_cos();
    let mut known = 1;
    while known < count {
        let (s, c) = (x * T::of_usize(known)).sin_cos();
        let ((a, more), (b, others)) = (cos[..count].split_at_mut(known), sin[..count].split_at_mut(known));
        for ((cos, sin), (&a, &b)) in more.iter_mut().zip(others).zip(a.iter().zip(&*b)) {
            (*cos, *sin) = (a * c - b * s, a * s + b * c);
        }
        known = (2 * known).min(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CorrelatedSigns, Discrete, HiddenDistribution, HiddenQuadrature, Independent, Law};

    /// The furthest that rows are from what the law gives at each wave vector, over the size of its moments.
    fn gap<H: HiddenDistribution<f64>>(law: &H, k: &[f64], count: usize) -> f64 {
        let mut worst = 0.0_f64;
        for (b, range) in law.blocks().into_iter().enumerate() {
            let (d, k) = (range.len(), &k[range]);
            let size = law.second_moment().amax();
            let mut room = [1, d, d * d].map(|rows| [vec![1.0; rows * count], vec![1.0; rows * count]]);
            let [value, first, second] = room.each_mut().map(|part| part.each_mut().map(Vec::as_mut_slice));
            let mut rows = CharacteristicRows::new(d, value, first, second).unwrap();
            assert!(law.characteristics(b, k, &mut rows));
            // The second half again, from where it starts.
            let (half, start): (usize, Vec<f64>) = (count / 2, k.iter().map(|k| (count / 2) as f64 * k).collect());
            assert!(law.characteristics(b, k, &mut rows.run(half, count - half, &start).unwrap()));
            let [value, first, second] = &room;
            for n in 0..count {
                let mut at = JointCharacteristic::new();
                assert!(law.characteristic(b, &k.iter().map(|k| n as f64 * k).collect::<Vec<_>>(), &mut at));
                let mut compare = |rows: &[Vec<f64>; 2], row: usize, want: nalgebra::Complex<f64>, size: f64| {
                    let at = row * count + n;
                    worst = worst.max((rows[0][at] - want.re).hypot(rows[1][at] - want.im) / size);
                };
                compare(value, 0, at.value, 1.0);
                at.first.iter().enumerate().for_each(|(l, &x)| compare(first, l, x, size.sqrt()));
                at.second.iter().enumerate().for_each(|(l, &x)| compare(second, l, x, size));
            }
        }
        worst
    }

    #[test]
    fn rows_are_those_of_single_wave_vectors() {
        let half = Law::mixture([(0.4, Law::gaussian(0.7).unwrap()), (0.6, Law::skewed(2.0, 0.2).unwrap())]).unwrap();
        let laws = [
            Law::two_point(2.25).unwrap(),
            Law::three_point(2.25, 0.3).unwrap(),
            Law::point_masses([0.5, -2.0, 3.0], [0.2, 0.5, 0.3]).unwrap(),
            Law::laplace(1.7).unwrap(),
            Law::from_variable(Law::skewed(1.0, 0.3).unwrap()),
            half,
        ];
        let law = Independent::new(laws).unwrap().and(CorrelatedSigns::with_loadings([1.0, 2.0], [0.5, -0.3]).unwrap());
        for (scale, count) in [(1.0, 1), (0.3, 2), (-0.7, 37), (1e-3, 64), (5.0, 100), (0.0, 5)] {
            let k: Vec<f64> = (0..8).map(|l| scale * (0.7 - 0.31 * f64::from(l))).collect();
            // Wave numbers reach 900: rounding of a phase.
            assert!(gap(&law, &k, count) < 4e-13, "{scale} {count}: {:e}", gap(&law, &k, count));
        }
    }

    /// Cells serve where points are many, and only there: far ones, or all at one place, too.
    #[test]
    fn cells_of_points_are_the_points() {
        let random = |n: usize, seed: f64| (0..n).map(move |k| (12.9898 * k as f64 + seed).sin() * 4375.8 % 1.0);
        let d = 3;
        let many = |n: usize, at: &dyn Fn(usize, f64) -> f64| {
            let points: Vec<f64> = random(d * n, 1.0).enumerate().map(|(k, x)| at(k / d, x)).collect();
            let weights: Vec<f64> = random(n, 7.0).map(|x| 1.0 + x.abs()).collect();
            let total: f64 = weights.iter().sum();
            let weights: Vec<f64> = weights.iter().map(|w| w / total).collect();
            Discrete::new(nalgebra::DMatrix::from_vec(d, n, points), weights).unwrap()
        };
        let spread = |_, x: f64| x;
        let laws = [
            ("few", many(40, &spread), false),
            ("many", many(3000, &spread), true),
            ("off centre", many(3000, &|_, x| x + 100.0), true),
            ("one far", many(3000, &|k, x| if k == 7 { 3.0 * x } else { x }), true),
            ("one place", many(3000, &|_, _| 0.3), true),
            ("very far", many(3000, &|k, x| if k == 7 { 300.0 * x } else { x }), false),
        ];
        let (k, count) = ([0.05, -0.1, 0.08], 50);
        for (name, law, gathered) in &laws {
            let HiddenQuadrature { nodes, weights, .. } = law.quadrature(1);
            let pairs = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)];
            let points = Points { start: &[], k: &k, places: nodes.as_slice(), weights: &weights, pairs: &pairs };
            assert_eq!(points.cells(count).is_some(), *gathered, "{name}");
            assert!(gap(law, &k, count) < 1e-11, "{name}: {:e}", gap(law, &k, count));
        }
        let one = Law::point_masses(random(5000, 3.0).collect::<Vec<_>>(), vec![2e-4; 5000]).unwrap();
        let mixed = Law::mixture([(0.5, one.clone()), (0.5, Law::two_point(1.0).unwrap())]).unwrap();
        let law = Independent::new([one, mixed]).unwrap();
        assert!(gap(&law, &[0.1, -0.2], 60) < 1e-12, "{:e}", gap(&law, &[0.1, -0.2], 60));
    }
}
