//! The law of u = Qᵀc + what the views have in common, for one neuron or some, on the lattice of their values.
//!
//! As a sum of waves: products of characteristic functions times exp(−kᵀCk/2), with C the covariance between the views. It need be no
//! density: where C is not positive, what is averaged falls faster than this grows. Not here: what is averaged.

use nalgebra::DMatrix;

use super::axis::Waves;
use crate::Scalar;
use crate::limit::averages::block_products::BlockProducts;
use crate::limit::averages::sum_grid::WAVE_MARGIN;
use crate::limit::averages::sum_lattice::{Line, each_index, fourier};
use crate::limit::averages::wave_lines::{Lines, fill};
use crate::limit::hidden::Hidden;
use crate::numerics::fourier::{Fourier, FourierBuffers};

/// The law of u of some neurons, in rising order.
#[derive(Debug, Clone)]
pub(super) struct LatticeLaw<T> {
    pub(super) neurons: Vec<usize>,
    /// Wave vectors, a number for each neuron, and what each counts beside exp(−kᵀCk/2).
    waves: Vec<T>,
    counts: Vec<T>,
    /// Where each stands along each axis, of those that are not negative, and its sign.
    places: Vec<(usize, T)>,
    fourier: Fourier<T>,
    slots: Vec<usize>,
    products: BlockProducts<T>,
    coefficients: Vec<T>,
    scales: Vec<T>,
    /// E[μ] of its neurons.
    pub(super) mean: Vec<T>,
    /// Of the lattice: a tensor over the neurons, the last axis padded.
    pub(super) weights: Vec<T>,
    buffers: Buffers<T>,
}

#[derive(Debug, Clone)]
struct Buffers<T> {
    lines: Lines<T>,
    fourier: FourierBuffers<T>,
    own: Vec<T>,
    /// Tensors over wave vectors.
    tensors: Waves<T>,
}

impl<T: Scalar> LatticeLaw<T> {
    /// On lines of each of the neurons. Wave vectors end where a normal of covariance `least`, if that is one, is below the error.
    /// `None` if the law gives no characteristic function, or if they were more than `most`.
    pub(super) fn new(
        hidden: &Hidden<'_, T>,
        neurons: &[usize],
        lines: &[Line],
        (least, accuracy): (Option<&DMatrix<f64>>, f64),
        most: f64,
    ) -> Option<Self> {
        let d = neurons.len();
        let size: f64 = lines.iter().map(|line| (2 * line.half + 1) as f64).product();
        let highest: Vec<i64> = lines.iter().map(Line::waves).collect();
        let (mut list, mut counts, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
        let fits = each_index(&highest, true, most, &mut |index, is_half| {
            let k: Vec<f64> = index.iter().zip(lines).map(|(&n, line)| n as f64 * line.spacing()).collect();
            let normal = least.map_or(0.0, |least| {
                let pairs = (0..d).flat_map(|a| (0..d).map(move |b| (a, b)));
                pairs.map(|(a, b)| 0.5 * k[a] * k[b] * least[(neurons[a], neurons[b])]).sum()
            });
            if normal > accuracy + WAVE_MARGIN {
                return true;
            }
            let window: f64 = k.iter().zip(lines).map(|(&k, line)| line.window(k)).product();
            counts.push(T::lit(if is_half { 2.0 } else { 1.0 } * window / size));
            list.extend(k.into_iter().map(T::lit));
            numbers.extend_from_slice(index);
            counts.len() as f64 <= most
        });
        if !fits {
            return None;
        }
        let fourier = fourier(lines)?;
        let slot = |index: &[i64]| {
            let from_lowest = index.iter().zip(&highest).enumerate();
            let index: Vec<usize> = from_lowest
                .map(|(a, (&n, &highest))| usize::try_from(if a > 0 { n + highest } else { n }).unwrap_or(0))
                .collect();
            fourier.slot(&index, true)
        };
        let place = |&n: &i64| (usize::try_from(n.abs()).unwrap_or(0), if n < 0 { -T::one() } else { T::one() });
        let places = numbers.iter().map(place).collect();
        let lines = Lines::new(&list, d);
        Some(Self {
            neurons: neurons.to_vec(),
            slots: numbers.chunks_exact(d).map(slot).collect(),
            products: BlockProducts::new(hidden.law, counts.len())?,
            waves: list,
            counts,
            places,
            fourier,
            coefficients: Vec::new(),
            scales: Vec::new(),
            mean: vec![T::zero(); d],
            weights: Vec::new(),
            buffers: Buffers {
                lines,
                fourier: FourierBuffers::new(),
                own: Vec::new(),
                tensors: [Vec::new(), Vec::new()],
            },
        })
    }

    /// The number of neurons.
    fn dimensions(&self) -> usize {
        self.neurons.len()
    }

    /// Goes over to coefficients `q`, of m neurons each, and the covariance between the views, m x m. False if the law gives no
    /// characteristic function; averages are NaN then.
    pub(super) fn update(&mut self, hidden: &Hidden<'_, T>, (q, m): (&[T], usize), common: &[T]) -> bool {
        let d = self.dimensions();
        let Self { products, waves, counts, neurons, coefficients, scales, mean, buffers, .. } = self;
        let Buffers { lines, own, .. } = buffers;
        own.clear();
        own.extend(q.chunks_exact(m).flat_map(|row| neurons.iter().map(|&i| row[i])));
        if own != coefficients || *scales != hidden.scales {
            if !fill(products, hidden, own, waves, lines) {
                coefficients.clear();
                return false;
            }
            coefficients.clone_from(own);
            scales.clone_from(&hidden.scales);
            mean.fill(T::zero());
            products.each_mean(&mut |l, c| {
                mean.iter_mut().zip(&coefficients[l * d..]).for_each(|(mean, &q)| *mean += c * q);
            });
        }
        let vectors = waves.chunks_exact(d).zip(&*counts);
        products.weigh(&mut vectors.map(|(k, &count)| {
            let (mut at, mut normal) = (T::zero(), T::zero());
            for a in 0..d {
                at += k[a] * mean[a];
                let row = &common[neurons[a] * m..];
                normal += k[a] * (0..d).fold(T::zero(), |sum, b| sum + row[neurons[b]] * k[b]);
            }
            let count = count * (-T::lit(0.5) * normal).exp();
            let (sin, cos) = if at == T::zero() { (T::zero(), T::one()) } else { at.sin_cos() };
            (count * cos, -count * sin)
        }));
        let mut weights = std::mem::take(&mut self.weights);
        self.sum_waves(&mut |re, im, _| (re, im), &mut weights);
        self.weights = weights;
        true
    }

    /// The variance of μ of its first neuron.
    pub(super) fn variance(&self) -> T {
        let (mean, d) = (self.products.mean(), self.dimensions());
        let mut sum = T::zero();
        let q = &self.coefficients;
        self.products.each_covariance(&mean, &mut |l, j, x| sum += q[l * d] * q[j * d] * x);
        sum
    }

    /// How the weights move with axis `a`.
    pub(super) fn weight_slopes(&mut self, a: usize) -> Vec<T> {
        let mut slopes = Vec::new();
        self.sum_waves(&mut |re, im, k| (k[a] * im, -k[a] * re), &mut slopes);
        slopes
    }

    /// The sum of waves that `wave` makes of the law's own ones.
    fn sum_waves(&mut self, wave: &mut dyn FnMut(T, T, &[T]) -> (T, T), out: &mut Vec<T>) {
        let (d, (_, size)) = (self.dimensions(), self.fourier.sizes());
        let Self { products, fourier, slots, waves, buffers, .. } = self;
        let tensors = &mut buffers.tensors;
        // Where no wave stands there is nothing, whatever came before.
        for tensor in tensors.iter_mut() {
            tensor.resize(size, T::zero());
        }
        let [re, im] = products.whole();
        let all = slots.iter().zip(waves.chunks_exact(d)).zip(re.iter().zip(im));
        for ((&slot, k), (&re, &im)) in all {
            (tensors[0][slot], tensors[1][slot]) = wave(re, im, k);
        }
        fourier.to_points(tensors.each_ref().map(Vec::as_slice), &mut buffers.fourier, out);
    }

    /// The number of wave vectors.
    pub(super) fn waves(&self) -> usize {
        self.counts.len()
    }

    /// The length of a tensor over the lattice.
    pub(super) fn size(&self) -> usize {
        self.fourier.sizes().0
    }

    /// About how many multiplications it takes.
    pub(super) fn work(&self) -> f64 {
        let along: usize = self.counts.len() + self.size();
        let longest = (self.size() as f64).powf(1.0 / self.dimensions() as f64);
        along as f64 * longest + 8.0 * (self.counts.len() * (1 + self.products.features())) as f64
    }

    /// A function on the lattice as a sum of waves: what [`averages`](Self::averages) takes.
    pub(super) fn write_waves(&mut self, values: &[T], out: &mut Waves<T>) {
        let Self { fourier, slots, buffers, .. } = self;
        fourier.to_waves(values, &mut buffers.fourier, &mut buffers.tensors);
        for (out, part) in out.iter_mut().zip(&buffers.tensors) {
            out.clear();
            out.extend(slots.iter().map(|&slot| part[slot]));
        }
        // They may be of another length than those of a law.
        buffers.tensors.iter_mut().for_each(Vec::clear);
    }

    /// A product of functions of the two neurons, each at the wave numbers that are not negative.
    pub(super) fn product_waves(&self, f: &Waves<T>, g: &Waves<T>, out: &mut Waves<T>) {
        out.iter_mut().for_each(Vec::clear);
        let at = |[re, im]: &Waves<T>, (n, sign): (usize, T)| (re[n], sign * im[n]);
        for pair in self.places.as_chunks::<2>().0 {
            let ((a, b), (c, d)) = (at(f, pair[0]), at(g, pair[1]));
            out[0].push(a * c - b * d);
            out[1].push(a * d + b * c);
        }
    }

    /// The derivative by axis `a` of a sum of waves.
    pub(super) fn derivative(&self, a: usize, [re, im]: &Waves<T>) -> Waves<T> {
        let k = || self.waves.iter().skip(a).step_by(self.dimensions());
        [im.iter().zip(k()).map(|(&im, &k)| -k * im).collect(), re.iter().zip(k()).map(|(&re, &k)| k * re).collect()]
    }

    /// The averages of derivatives of a sum of waves, each so often by the first neuron and by the second, if there is one: up to three
    /// times.
    pub(super) fn averages<const N: usize>(&self, [re, im]: &Waves<T>, orders: [[usize; 2]; N]) -> [T; N] {
        let [own_re, own_im] = self.products.whole();
        let d = self.dimensions();
        let mut sums = [T::zero(); N];
        let waves = self.waves.chunks_exact(d);
        for (k, (((&a, &b), &x), &y)) in waves.zip(own_re.iter().zip(own_im).zip(re).zip(im)) {
            // i^n times the product of both.
            let parts = [a * x - b * y, -(a * y + b * x)];
            let parts = [parts[0], parts[1], -parts[0], -parts[1]];
            let powers = |k: T| [T::one(), k, k * k, k * k * k];
            let [first, second] = [powers(k[0]), powers(k[d - 1])];
            for (sum, [m, n]) in sums.iter_mut().zip(orders) {
                *sum += first[m] * second[n] * parts[(m + n) % 4];
            }
        }
        sums
    }

    /// The average of a sum of waves.
    pub(super) fn average(&self, waves: &Waves<T>) -> T {
        self.products.average(parts(waves))
    }

    /// E[c_l ·] of each: function number r at r·p + l.
    pub(super) fn with_hidden(&mut self, functions: &[[&[T]; 2]], out: &mut [T]) {
        self.products.with_hidden(functions, out);
    }

    /// E[c_l c_l' ·] of each, p x p row by row.
    pub(super) fn with_pairs(&mut self, functions: &[[&[T]; 2]]) -> Vec<Vec<T>> {
        let p = self.scales.len();
        let mut pairs = vec![vec![T::zero(); p * p]; functions.len()];
        self.products.with_pairs(functions, &mut pairs);
        pairs
    }
}

/// Both parts as slices.
pub(super) fn parts<T>(waves: &Waves<T>) -> [&[T]; 2] {
    waves.each_ref().map(Vec::as_slice)
}
