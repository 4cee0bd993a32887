//! Products of the characteristic functions of independent blocks of hidden variables, with moments under them.
//!
//! Prefix and suffix products give that of all but one block, or two, in whose places moments stand: no division by a
//! characteristic function, which may vanish. Not here: at what wave vectors (see `sum_law`, `sum_nodes`).

use std::ops::Range;

use crate::Scalar;
use crate::model::{CharacteristicRows, HiddenLaw};
use crate::numerics::kernels::dot;
use crate::numerics::lanes::dispatch;

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
        multiply(x, y, self.row_mut(row));
    }
}

fn real_dot<T: Scalar>([a, b]: [&[T]; 2], [c, d]: [&[T]; 2]) -> T {
    dispatch(
        #[inline(always)]
        || dot(a, c) - dot(b, d),
    )
}

/// Complex products, number by number.
fn multiply<T: Scalar>([a, b]: [&[T]; 2], [c, d]: [&[T]; 2], [re, im]: [&mut [T]; 2]) {
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
        self.each_first(&mut |l, term| {
            for (r, function) in functions.iter().enumerate() {
                out[r * p + l] = real_dot(term, *function);
            }
        });
    }

    /// E[c_l c_l' ·] of each function, p x p row by row.
    pub(super) fn with_pairs(&mut self, functions: &[[&[T]; 2]], out: &mut [Vec<T>]) {
        let Self { blocks, values, firsts, seconds, before, after, common, rests, run, term, .. } = self;
        let (p, count) = (firsts.rows(), common.count);
        let mut tails: Vec<Spectra<T>> = functions.iter().map(|_| Spectra::new(p, count)).collect();
        for (b, range) in blocks.iter().enumerate() {
            for l in range.clone() {
                term.set_product(0, after.row(b), firsts.row(l));
                for (tail, function) in tails.iter_mut().zip(functions) {
                    tail.set_product(l, term.row(0), *function);
                }
            }
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
                term.set_product(0, before.row(b), firsts.row(l));
                run.set_product(0, term.row(0), common.row(0));
                for (c, others) in blocks.iter().enumerate().skip(b + 1) {
                    for j in others.clone() {
                        for (out, tail) in out.iter_mut().zip(&tails) {
                            let value = run.real_dot(0, tail.row(j));
                            out[l * p + j] = value;
                            out[j * p + l] = value;
                        }
                    }
                    term.copy_row(0, run.row(0));
                    run.set_product(0, term.row(0), values.row(c));
                }
            }
        }
    }
}
