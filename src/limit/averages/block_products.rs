//! Products of the characteristic functions of independent blocks of hidden variables, with moments under them.
//!
//! Prefix and suffix products give that of all but one block, in whose place moments stand: no division by a characteristic
//! function, which may vanish. Of two blocks there are too many for that, and what vanishes is replaced by what is as good as
//! nothing. Not here: at what wave vectors (see `sum_law`, `sum_nodes`).

use std::ops::Range;

use crate::Scalar;
use crate::model::{CharacteristicRows, HiddenLaw};
use crate::numerics::kernels::dot;
use crate::numerics::lanes::{LANES, dispatch};
use crate::numerics::products::{multiply, multiply_upper};

/// Complex functions of the wave number, one row each: real and imaginary parts apart.
#[derive(Debug, Clone)]
struct Spectra<T> {
    count: usize,
    re: Vec<T>,
    im: Vec<T>,
}

impl<T: Scalar> Spectra<T> {
    fn new(rows: usize, count: usize) -> Self {
        Self { count, re: vec![T::zero(); rows * count], im: vec![T::zero(); rows * count] }
    }

    fn row(&self, row: usize) -> [&[T]; 2] {
        let at = row * self.count..(row + 1) * self.count;
        [&self.re[at.clone()], &self.im[at]]
    }

    fn row_mut(&mut self, row: usize) -> [&mut [T]; 2] {
        let at = row * self.count..(row + 1) * self.count;
        [&mut self.re[at.clone()], &mut self.im[at]]
    }

    /// Those rows, one after the other.
    fn rows_mut(&mut self, rows: Range<usize>) -> [&mut [T]; 2] {
        let at = rows.start * self.count..rows.end * self.count;
        [&mut self.re[at.clone()], &mut self.im[at]]
    }

    fn scale_row(&mut self, row: usize, factor: T) {
        for part in self.row_mut(row) {
            for x in part {
                *x *= factor;
            }
        }
    }

    fn copy_row(&mut self, row: usize, [re, im]: [&[T]; 2]) {
        let [to_re, to_im] = self.row_mut(row);
        to_re.copy_from_slice(re);
        to_im.copy_from_slice(im);
    }

    fn rows(&self) -> usize {
        self.re.len() / self.count
    }

    /// Re Σ_n x_n y_n of a row and another.
    fn real_dot(&self, row: usize, other: [&[T]; 2]) -> T {
        real_dot(self.row(row), other)
    }

    /// Row `row` becomes the product of two others, of this or another table.
    fn set_product(&mut self, row: usize, x: [&[T]; 2], y: [&[T]; 2]) {
        multiply_each(x, y, self.row_mut(row));
    }
}

/// Of fewer functions their averages with c are scalar products one by one.
const FEW_FUNCTIONS: usize = 6;

fn real_dot<T: Scalar>([a, b]: [&[T]; 2], [c, d]: [&[T]; 2]) -> T {
    dispatch(
        #[inline(always)]
        || dot(a, c) - dot(b, d),
    )
}

/// Complex products, number by number.
fn multiply_each<T: Scalar>([a, b]: [&[T]; 2], [c, d]: [&[T]; 2], [re, im]: [&mut [T]; 2]) {
    let n = re.len();
    let (a, b, c, d, im) = (&a[..n], &b[..n], &c[..n], &d[..n], &mut im[..n]);
    dispatch(
        #[inline(always)]
        || {
            for k in 0..n {
                re[k] = a[k] * c[k] - b[k] * d[k];
                im[k] = a[k] * d[k] + b[k] * c[k];
            }
        },
    );
}

/// The law of p variables at some wave vectors, the first of them zero.
#[derive(Debug, Clone)]
pub(super) struct BlockProducts<T> {
    blocks: Vec<Range<usize>>,
    /// E[exp(ikμ)] of each block alone, E[c_l exp(ikμ)] of each variable with its block alone, and E[c_l c_l' exp(ikμ)] of each
    /// pair in a block, block after block.
    values: Spectra<T>,
    firsts: Spectra<T>,
    seconds: Spectra<T>,
    /// The product of the values of all blocks before each, and after.
    before: Spectra<T>,
    after: Spectra<T>,
    /// What every product is multiplied by; it times the values of all but each block; and of all.
    common: Spectra<T>,
    rests: Spectra<T>,
    whole: Spectra<T>,
    /// Scratch, one row each.
    run: Spectra<T>,
    term: Spectra<T>,
}

impl<T: Scalar> BlockProducts<T> {
    /// Of that law at that many wave vectors; `None` if it has no variables.
    pub(super) fn new(law: &dyn HiddenLaw<T>, count: usize) -> Option<Self> {
        let blocks = law.blocks();
        let features = blocks.last()?.end;
        let pairs: usize = blocks.iter().map(|range| range.len() * range.len()).sum();
        let spectra = |rows: usize| Spectra::new(rows, count);
        Some(Self {
            values: spectra(blocks.len()),
            firsts: spectra(features),
            seconds: spectra(pairs),
            before: spectra(blocks.len()),
            after: spectra(blocks.len()),
            common: spectra(1),
            rests: spectra(blocks.len()),
            whole: spectra(1),
            run: spectra(1),
            term: spectra(1),
            blocks,
        })
    }

    /// The number of variables.
    pub(super) fn features(&self) -> usize {
        self.firsts.rows()
    }

    /// Asks `write` for each block, by number and variables, and multiplies variables by `scales`. False where that is; all products
    /// are NaN then.
    pub(super) fn fill(
        &mut self,
        scales: &[T],
        write: &mut dyn FnMut(usize, Range<usize>, &mut CharacteristicRows<'_, T>) -> bool,
    ) -> bool {
        let mut pair = 0;
        for (b, range) in self.blocks.iter().enumerate() {
            let (d, scales) = (range.len(), &scales[range.clone()]);
            let (firsts, seconds) = (self.firsts.rows_mut(range.clone()), self.seconds.rows_mut(pair..pair + d * d));
            let rows = CharacteristicRows::new(d, self.values.rows_mut(b..b + 1), firsts, seconds);
            if !rows.is_some_and(|mut rows| write(b, range.clone(), &mut rows)) {
                // What is computed from it shall not pass for an answer.
                for spectra in [&mut self.common, &mut self.rests, &mut self.whole] {
                    spectra.re.fill(T::lit(f64::NAN));
                }
                return false;
            }
            for (l, &scale) in scales.iter().enumerate().filter(|(_, scale)| **scale != T::one()) {
                self.firsts.scale_row(range.start + l, scale);
                for j in 0..d {
                    self.seconds.scale_row(pair + l * d + j, scale);
                    self.seconds.scale_row(pair + j * d + l, scale);
                }
            }
            pair += d * d;
        }
        self.multiply_blocks();
        true
    }

    fn multiply_blocks(&mut self) {
        let Self { blocks, values, before, after, run, .. } = self;
        for (products, reversed) in [(before, false), (after, true)] {
            run.re.fill(T::one());
            run.im.fill(T::zero());
            for b in 0..blocks.len() {
                let b = if reversed { blocks.len() - 1 - b } else { b };
                products.copy_row(b, run.row(0));
                run.set_product(0, products.row(b), values.row(b));
            }
        }
    }

    /// E[c], from wave vector zero.
    pub(super) fn mean(&self) -> Vec<T> {
        self.firsts.re.iter().step_by(self.firsts.count).copied().collect()
    }

    /// Calls `write` with E[c_l] for every l.
    pub(super) fn each_mean(&self, write: &mut dyn FnMut(usize, T)) {
        self.firsts.re.iter().step_by(self.firsts.count).enumerate().for_each(|(l, &c)| write(l, c));
    }

    /// Calls `write` with the covariance of each pair in a block, of variables of that mean.
    pub(super) fn each_covariance(&self, mean: &[T], write: &mut dyn FnMut(usize, usize, T)) {
        let mut seconds = self.seconds.re.iter().step_by(self.seconds.count);
        for range in &self.blocks {
            for l in range.clone() {
                for j in range.clone() {
                    let second = seconds.next().copied().unwrap_or(T::zero());
                    write(l, j, second - mean[l] * mean[j]);
                }
            }
        }
    }

    /// Multiplies every product by those numbers.
    pub(super) fn weigh(&mut self, common: &mut dyn Iterator<Item = (T, T)>) {
        let [re, im] = self.common.row_mut(0);
        for ((re, im), common) in re.iter_mut().zip(im).zip(common) {
            (*re, *im) = common;
        }
        for b in 0..self.blocks.len() {
            self.term.set_product(0, self.before.row(b), self.after.row(b));
            self.rests.set_product(b, self.term.row(0), self.common.row(0));
        }
        self.whole.set_product(0, self.rests.row(0), self.values.row(0));
    }

    /// The average of a function by its Fourier transform.
    pub(super) fn average(&self, function: [&[T]; 2]) -> T {
        self.whole.real_dot(0, function)
    }

    /// The product over all blocks.
    pub(super) fn whole(&self) -> [&[T]; 2] {
        self.whole.row(0)
    }

    /// Calls `read` with the product in which c_l stands, for every l.
    pub(super) fn each_first(&mut self, read: &mut dyn FnMut(usize, [&[T]; 2])) {
        let Self { blocks, firsts, rests, term, .. } = self;
        for (b, range) in blocks.iter().enumerate() {
            for l in range.clone() {
                term.set_product(0, rests.row(b), firsts.row(l));
                read(l, term.row(0));
            }
        }
    }

    /// E[c_l ·] of each function, given by their transforms: function number r at r·p + l.
    pub(super) fn with_hidden(&mut self, functions: &[[&[T]; 2]], out: &mut [T]) {
        let p = self.firsts.rows();
        if functions.len() >= FEW_FUNCTIONS {
            return self.with_hidden_at_once(functions, out);
        }
        self.each_first(&mut |l, term| {
            for (r, function) in functions.iter().enumerate() {
                out[r * p + l] = real_dot(term, *function);
            }
        });
    }

    /// The same of many functions: as a product of matrices.
    fn with_hidden_at_once(&mut self, functions: &[[&[T]; 2]], out: &mut [T]) {
        let (p, count) = (self.firsts.rows(), self.common.count);
        let mut products = Spectra::new(p, count);
        self.each_first(&mut |l, product| products.copy_row(l, product));
        let width = functions.len().next_multiple_of(LANES);
        // Re xy = Re x Re y − Im x Im y.
        let sum = |part: &[T], sign: T, which: usize, out: &mut [T]| {
            if part.iter().all(|x| *x == T::zero()) {
                return;
            }
            let mut columns = vec![T::zero(); count * width];
            for (r, function) in functions.iter().enumerate() {
                let column = columns.iter_mut().skip(r).step_by(width);
                column.zip(function[which]).for_each(|(to, &x)| *to = sign * x);
            }
            let mut sums = vec![T::zero(); p * width];
            dispatch(
                #[inline(always)]
                || multiply(part, count, &columns, count, width, &mut sums),
            );
            for (l, sums) in sums.chunks_exact(width).enumerate() {
                out.iter_mut().skip(l).step_by(p).zip(sums).for_each(|(out, &sum)| *out += sum);
            }
        };
        out[..functions.len() * p].fill(T::zero());
        sum(&products.re, T::one(), 0, out);
        sum(&products.im, -T::one(), 1, out);
    }

    /// E[c_l c_l' ·] of each function, p x p row by row.
    ///
    /// Of two blocks it is the product of everything, times the ratio of E[c_l exp(ikμ)] to E[exp(ikμ)] of one block and of the
    /// other: a product of matrices, p x n and n x p for n wave vectors.
    pub(super) fn with_pairs(&mut self, functions: &[[&[T]; 2]], out: &mut [Vec<T>]) {
        let Self { blocks, values, firsts, seconds, common, rests, term, .. } = self;
        let p = firsts.rows();
        let mut ratios = Ratios::new(blocks, values, firsts, common.row(0));
        for (function, out) in functions.iter().zip(&mut *out) {
            ratios.pairs(*function, out);
        }
        let mut pair = 0;
        for (b, range) in blocks.iter().enumerate() {
            for l in range.clone() {
                for j in range.clone() {
                    term.set_product(0, rests.row(b), seconds.row(pair));
                    pair += 1;
                    for (out, function) in out.iter_mut().zip(functions) {
                        out[l * p + j] = term.real_dot(0, *function);
                    }
                }
            }
        }
    }
}

/// The product of all blocks, and the ratios of E[c_l exp(ikμ)] to E[exp(ikμ)] of the block of c_l.
struct Ratios<T> {
    whole: Spectra<T>,
    /// A row for each variable, and whether its real parts and its imaginary ones are not all zero.
    rows: Spectra<T>,
    used: [bool; 2],
    /// The parts that are used, a row for each wave vector, padded to that width.
    columns: Vec<T>,
    width: usize,
    /// Scratch: the ratios times a function, and the product.
    scaled: Vec<T>,
    product: Vec<T>,
}

impl<T: Scalar> Ratios<T> {
    fn new(blocks: &[Range<usize>], values: &Spectra<T>, firsts: &Spectra<T>, common: [&[T]; 2]) -> Self {
        let (p, count) = (firsts.rows(), values.count);
        // What is below counts as that: it is lost beside the rounding of the product, which is divided by the very same number.
        let least = T::EPSILON * T::EPSILON;
        let (mut whole, mut rows) = (Spectra::new(1, count), Spectra::new(p, count));
        let (mut value, mut inverse, mut run) =
            (Spectra::new(1, count), Spectra::new(1, count), Spectra::new(1, count));
        run.copy_row(0, common);
        for (b, range) in blocks.iter().enumerate() {
            let [re, im] = values.row(b);
            for n in 0..count {
                let (x, y) = (re[n], im[n]);
                let (x, y) = if x * x + y * y < least * least { (least, T::zero()) } else { (x, y) };
                let size = (x * x + y * y).recip();
                (value.re[n], value.im[n]) = (x, y);
                (inverse.re[n], inverse.im[n]) = (x * size, -y * size);
            }
            whole.set_product(0, run.row(0), value.row(0));
            std::mem::swap(&mut whole, &mut run);
            for l in range.clone() {
                rows.set_product(l, firsts.row(l), inverse.row(0));
            }
        }
        let used = [&rows.re, &rows.im].map(|part| part.iter().any(|x| *x != T::zero()));
        let width = p.next_multiple_of(LANES);
        let mut columns = Vec::new();
        for (part, _) in [&rows.re, &rows.im].into_iter().zip(used).filter(|(_, used)| *used) {
            for n in 0..count {
                columns.extend(part[n..].iter().step_by(count).copied());
                columns.resize(columns.len().next_multiple_of(LANES), T::zero());
            }
        }
        Self { whole: run, rows, used, columns, width, scaled: Vec::new(), product: vec![T::zero(); p * width] }
    }

    /// E[c_l c_l' ·] of a function, p x p row by row: right where both are of different blocks.
    fn pairs(&mut self, function: [&[T]; 2], out: &mut [T]) {
        let Self { whole, rows, used, columns, width, scaled, product } = self;
        let (p, count, width) = (rows.rows(), rows.count, *width);
        let (mut weighted, mut row) = (Spectra::new(1, count), Spectra::new(1, count));
        weighted.set_product(0, whole.row(0), function);
        scaled.clear();
        for l in 0..p {
            row.set_product(0, rows.row(l), weighted.row(0));
            // Re xy = Re x Re y − Im x Im y.
            if used[0] {
                scaled.extend_from_slice(&row.re);
            }
            if used[1] {
                scaled.extend(row.im.iter().map(|&x| -x));
            }
        }
        let inner = scaled.len() / p;
        dispatch(
            #[inline(always)]
            || multiply_upper(scaled, inner, columns, inner, width, product),
        );
        // In squares, which stay in the cache.
        for first in (0..p).step_by(LANES) {
            for l in 0..p {
                let end = (first + LANES).min(p);
                for j in first..end {
                    out[l * p + j] = if l <= j { product[l * width + j] } else { product[j * width + l] };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Independent, JointCharacteristic, Law};
    use nalgebra::Complex;

    /// Against products of all factors but two, at wave numbers where none, one, two or three characteristic functions vanish.
    #[test]
    fn pairs_are_products_of_all_other_factors_where_factors_vanish_too() {
        let zero = |n: f64| {
            // ½ + ½ cos(kc) vanishes at kc = π, for a step of 1 at wave number n.
            let value = std::f64::consts::PI / n;
            Law::three_point(0.5 * value * value, 0.5).unwrap()
        };
        let laws = [zero(2.0), zero(3.0), Law::laplace(0.7).unwrap(), zero(3.0), zero(2.0), zero(2.0), zero(1.5)];
        let (p, count) = (laws.len(), 7);
        let law = Independent::new(laws).unwrap();
        let mut products = BlockProducts::<f64>::new(&law, count).unwrap();
        let ones = vec![1.0; p];
        assert!(products.fill(&ones, &mut |b, _, rows| HiddenLaw::characteristics(&law, b, &[1.0], rows)));
        let weight = |n: usize| Complex::new(0.9_f64.powf(n as f64), 0.1 * n as f64);
        products.weigh(&mut (0..count).map(|n| (weight(n).re, weight(n).im)));
        let function = |r: usize, n: usize| Complex::new((1.3 * n as f64 + r as f64).cos(), (0.7 * n as f64).sin());
        let parts: Vec<[Vec<f64>; 2]> = (0..2)
            .map(|r| [(0..count).map(|n| function(r, n).re).collect(), (0..count).map(|n| function(r, n).im).collect()])
            .collect();
        let functions: Vec<[&[f64]; 2]> = parts.iter().map(|[re, im]| [&re[..], &im[..]]).collect();
        let mut pairs = vec![vec![0.0; p * p]; 2];
        products.with_pairs(&functions, &mut pairs);
        let mut vanished = 0;
        for (l, j) in (0..p).flat_map(|l| (0..p).map(move |j| (l, j))) {
            let mut wanted = [Complex::new(0.0, 0.0); 2];
            for n in 0..count {
                let mut product = weight(n);
                for b in 0..p {
                    let mut factor = JointCharacteristic::new();
                    assert!(HiddenLaw::characteristic(&law, b, &[n as f64], &mut factor));
                    vanished += usize::from(factor.value.norm() < 1e-15);
                    product *= match (b == l, b == j) {
                        (true, true) => factor.second[0],
                        (false, false) => factor.value,
                        _ => factor.first[0],
                    };
                }
                (0..2).for_each(|r| wanted[r] += product * function(r, n));
            }
            for r in 0..2 {
                assert!(
                    (pairs[r][l * p + j] - wanted[r].re).abs() < 1e-14,
                    "({l}, {j}): {} {}",
                    pairs[r][l * p + j],
                    wanted[r]
                );
            }
        }
        assert!(vanished > 0, "some factors vanish");
    }
}
