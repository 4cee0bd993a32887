//! The law of a sum μ = Σ_l q_l c_l of hidden variables, widened by an independent normal, on a grid of wave numbers.
//!
//! Its Fourier transform is the product of those of independent blocks, so it costs as much as there are variables, where
//! nodes of their joint law would be a product. E[c_l ·] has E[c_l exp(ik q_l c_l)] in the place of one factor. Not here: what
//! is averaged over the sum (see `sum_form`).

use std::ops::Range;

use crate::Scalar;
use crate::model::{CharacteristicRows, HiddenLaw};
use crate::numerics::kernels::dot;
use crate::numerics::lanes::{LANES, dispatch};

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

    /// Re Σ_n x_n y_n of a row and another.
    fn real_dot(&self, row: usize, [c, d]: [&[T]; 2]) -> T {
        let [a, b] = self.row(row);
        dispatch(
            #[inline(always)]
            || dot(a, c) - dot(b, d),
        )
    }

    /// Row `row` becomes the product of two others, of this or another table.
    fn set_product(&mut self, row: usize, x: [&[T]; 2], y: [&[T]; 2]) {
        multiply(x, y, self.row_mut(row));
    }
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

/// The law of a sum on its grid.
#[derive(Debug, Clone)]
pub(in crate::limit) struct SumLaw<T> {
    blocks: Vec<Range<usize>>,
    /// The wave numbers, and what each counts in a sum over the upper half of them.
    waves: Vec<T>,
    counts: Vec<T>,
    /// Where the sum was last computed: its coefficients and the factors of the variables, and the normal's standard deviation.
    coefficients: Vec<T>,
    scales: Vec<T>,
    width: T,
    mean: T,
    variance: T,
    /// E[exp(ikμ)] of each block alone, E[c_l exp(ikμ)] of each variable with its block alone, and E[c_l c_l' exp(ikμ)] of each
    /// pair in a block, block after block.
    values: Spectra<T>,
    firsts: Spectra<T>,
    seconds: Spectra<T>,
    /// The product of the values of all blocks before each, and after.
    before: Spectra<T>,
    after: Spectra<T>,
    /// The normal's transform times what each wave number counts, with the mean taken off; that of all but each block; and of all.
    common: Spectra<T>,
    rests: Spectra<T>,
    whole: Spectra<T>,
    /// Scratch, one row each.
    run: Spectra<T>,
    term: Spectra<T>,
}

impl<T: Scalar> SumLaw<T> {
    /// The law of sums of those variables at wave numbers 0, step, … up to the highest, each weighted by `window`, which is 1 as
    /// far as it matters. `None` if there were more than `most` numbers to keep.
    pub(in crate::limit) fn new(
        law: &dyn HiddenLaw<T>,
        step: f64,
        highest: f64,
        window: &dyn Fn(f64) -> f64,
        most: usize,
    ) -> Option<Self> {
        let blocks = law.blocks();
        let features = blocks.last()?.end;
        let pairs: usize = blocks.iter().map(|range| range.len() * range.len()).sum();
        let count = highest / step;
        if !(count < most as f64 / pairs as f64) {
            return None;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and the budget
        let count = count as usize + 1;
        // Whole lanes: the rest of a loop costs more than a few wave numbers more.
        let count = if count > 1 { count.next_multiple_of(LANES) } else { count };
        let spectra = |rows: usize| Spectra::new(rows, count);
        let waves: Vec<f64> = (0..count).map(|n| step * n as f64).collect();
        let counts = waves.iter().map(|&k| T::lit(if k > 0.0 { 2.0 * window(k) } else { 1.0 }));
        Some(Self {
            counts: counts.collect(),
            waves: waves.iter().map(|&k| T::lit(k)).collect(),
            coefficients: Vec::new(),
            scales: Vec::new(),
            width: T::zero(),
            mean: T::zero(),
            variance: T::zero(),
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

    /// The number p of variables.
    pub(in crate::limit) fn features(&self) -> usize {
        self.coefficients.len()
    }

    /// The wave numbers.
    pub(in crate::limit) fn waves(&self) -> &[T] {
        &self.waves
    }

    /// E[μ].
    pub(in crate::limit) fn mean(&self) -> T {
        self.mean
    }

    /// The variance of μ and the normal.
    pub(in crate::limit) fn variance(&self) -> T {
        self.variance
    }

    /// Goes over to those coefficients, variables multiplied by `scales`, and a normal of that standard deviation. False if the law
    /// gives no characteristic function.
    pub(in crate::limit) fn update(&mut self, law: &dyn HiddenLaw<T>, q: &[T], scales: &[T], width: T) -> bool {
        if self.coefficients != q || self.scales != scales {
            self.coefficients = q.to_vec();
            self.scales = scales.to_vec();
            if !self.fill(law) {
                return false;
            }
            self.multiply_blocks();
            (self.mean, self.variance) = self.moments();
        } else if self.width == width {
            return true;
        }
        self.variance += width * width - self.width * self.width;
        self.width = width;
        self.weigh();
        true
    }

    fn fill(&mut self, law: &dyn HiddenLaw<T>) -> bool {
        let step = self.waves.get(1).copied().unwrap_or(T::zero());
        let mut k = Vec::new();
        let mut pair = 0;
        for (b, range) in self.blocks.iter().enumerate() {
            let (d, scales) = (range.len(), &self.scales[range.clone()]);
            k.clear();
            k.extend(range.clone().map(|l| step * self.coefficients[l] * self.scales[l]));
            let (firsts, seconds) = (self.firsts.rows_mut(range.clone()), self.seconds.rows_mut(pair..pair + d * d));
            let rows = CharacteristicRows::new(d, self.values.rows_mut(b..b + 1), firsts, seconds);
            if !rows.is_some_and(|mut rows| law.characteristics(b, &k, &mut rows)) {
                // What is computed from it shall not pass for an answer.
                let nan = T::lit(f64::NAN);
                self.coefficients.fill(nan);
                for spectra in [&mut self.common, &mut self.rests, &mut self.whole] {
                    spectra.re.fill(nan);
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

    /// Mean and variance of μ, from the moments at wave number zero.
    fn moments(&self) -> (T, T) {
        let (q, n) = (&self.coefficients, self.waves.len());
        let mean = |l: usize| self.firsts.re[l * n];
        let (mut variance, mut pair) = (self.width * self.width, 0);
        for range in &self.blocks {
            for l in range.clone() {
                for j in range.clone() {
                    variance += q[l] * q[j] * (self.seconds.re[pair * n] - mean(l) * mean(j));
                    pair += 1;
                }
            }
        }
        (q.iter().enumerate().fold(T::zero(), |sum, (l, &q)| sum + q * mean(l)), variance)
    }

    fn weigh(&mut self) {
        let [re, im] = self.common.row_mut(0);
        for ((re, im), (&k, &count)) in re.iter_mut().zip(im).zip(self.waves.iter().zip(&self.counts)) {
            let normal = count * (-T::lit(0.5) * k * k * self.width * self.width).exp();
            let (sin, cos) = (k * self.mean).sin_cos();
            (*re, *im) = (normal * cos, -normal * sin);
        }
        for b in 0..self.blocks.len() {
            self.term.set_product(0, self.before.row(b), self.after.row(b));
            self.rests.set_product(b, self.term.row(0), self.common.row(0));
        }
        self.whole.set_product(0, self.rests.row(0), self.values.row(0));
    }

    /// The average of a function by its Fourier transform over the lattice.
    pub(in crate::limit) fn average(&self, [re, im]: [&[T]; 2]) -> T {
        self.whole.real_dot(0, [re, im])
    }

    /// Turns the transform of a function into that of the function times z, where the normal is `width`·z and what follows is an
    /// average over the sum: E[z exp(ikμ)] = ik·width·E[exp(ikμ)].
    pub(in crate::limit) fn times_noise(&self, [re, im]: [&[T]; 2], [to_re, to_im]: [&mut [T]; 2]) {
        for (n, &k) in self.waves.iter().enumerate() {
            let slope = self.width * k;
            (to_re[n], to_im[n]) = (-slope * im[n], slope * re[n]);
        }
    }

    /// The same for z²: E[z² exp(ikμ)] = (1 − k²·width²) E[exp(ikμ)].
    pub(in crate::limit) fn times_noise_squared(&self, [re, im]: [&[T]; 2], [to_re, to_im]: [&mut [T]; 2]) {
        for (n, &k) in self.waves.iter().enumerate() {
            let factor = T::one() - self.width * k * self.width * k;
            (to_re[n], to_im[n]) = (factor * re[n], factor * im[n]);
        }
    }

    /// E[c_l ·] of each function, given by their transforms: function number r at r·p + l.
    pub(in crate::limit) fn with_hidden(&mut self, functions: &[[&[T]; 2]], out: &mut [T]) {
        let p = self.features();
        let Self { blocks, firsts, rests, term, .. } = self;
        for (b, range) in blocks.iter().enumerate() {
            for l in range.clone() {
                term.set_product(0, rests.row(b), firsts.row(l));
                for (r, function) in functions.iter().enumerate() {
                    out[r * p + l] = term.real_dot(0, *function);
                }
            }
        }
    }

    /// E[c_l c_l' ·] of each function, p x p row by row.
    pub(in crate::limit) fn with_pairs(&mut self, functions: &[[&[T]; 2]], out: &mut [Vec<T>]) {
        let Self { blocks, waves, values, firsts, seconds, before, after, common, rests, run, term, .. } = self;
        let p = blocks.last().map_or(0, |range| range.end);
        let mut tails: Vec<Spectra<T>> = functions.iter().map(|_| Spectra::new(p, waves.len())).collect();
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
