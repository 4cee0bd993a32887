//! The law of a sum μ = Σ_l q_l c_l of hidden variables, widened by an independent normal, on a grid of wave numbers.
//!
//! Its Fourier transform is the product of those of independent blocks, so it costs as much as there are variables, where
//! nodes of their joint law would be a product. E[c_l ·] has E[c_l exp(ik q_l c_l)] in the place of one factor. Not here: what
//! is averaged over the sum (see `sum_form`).

use crate::Scalar;
use crate::limit::averages::block_products::BlockProducts;
use crate::model::HiddenLaw;
use crate::numerics::lanes::LANES;

/// The law of a sum on its grid.
#[derive(Debug, Clone)]
pub(in crate::limit) struct SumLaw<T> {
    /// The wave numbers, and what each counts in a sum over the upper half of them.
    waves: Vec<T>,
    counts: Vec<T>,
    /// Where the sum was last computed: its coefficients and the factors of the variables, and the normal's standard deviation.
    coefficients: Vec<T>,
    scales: Vec<T>,
    width: T,
    mean: T,
    variance: T,
    products: BlockProducts<T>,
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
        let pairs: usize = law.blocks().iter().map(|range| range.len() * range.len()).sum();
        let count = highest / step;
        if !(count < most as f64 / pairs as f64) {
            return None;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and the budget
        let count = count as usize + 1;
        // Whole lanes: the rest of a loop costs more than a few wave numbers more.
        let count = if count > 1 { count.next_multiple_of(LANES) } else { count };
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
            products: BlockProducts::new(law, count)?,
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
            let step = self.waves.get(1).copied().unwrap_or(T::zero());
            let k: Vec<T> = q.iter().zip(scales).map(|(&q, &scale)| step * q * scale).collect();
            if !self.products.fill(scales, &mut |b, range, rows| law.characteristics(b, &k[range], rows)) {
                self.coefficients.fill(T::lit(f64::NAN));
                return false;
            }
            let mean = self.products.mean();
            self.mean = q.iter().zip(&mean).fold(T::zero(), |sum, (&q, &mean)| sum + q * mean);
            let mut variance = self.width * self.width;
            self.products.each_covariance(&mean, &mut |l, j, x| variance += q[l] * q[j] * x);
            self.variance = variance;
        } else if self.width == width {
            return true;
        }
        self.variance += width * width - self.width * self.width;
        self.width = width;
        self.weigh();
        true
    }

    fn weigh(&mut self) {
        let Self { products, waves, counts, width, mean, .. } = self;
        let waves = waves.iter().zip(&*counts);
        products.weigh(&mut waves.map(|(&k, &count)| {
            let normal = count * (-T::lit(0.5) * k * k * *width * *width).exp();
            let (sin, cos) = (k * *mean).sin_cos();
            (normal * cos, -normal * sin)
        }));
    }

    /// The average of a function by its Fourier transform over the lattice.
    pub(in crate::limit) fn average(&self, [re, im]: [&[T]; 2]) -> T {
        self.products.average([re, im])
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

    /// See [`BlockProducts::with_hidden`].
    pub(in crate::limit) fn with_hidden(&mut self, functions: &[[&[T]; 2]], out: &mut [T]) {
        self.products.with_hidden(functions, out);
    }

    /// See [`BlockProducts::with_pairs`].
    pub(in crate::limit) fn with_pairs(&mut self, functions: &[[&[T]; 2]], out: &mut [Vec<T>]) {
        self.products.with_pairs(functions, out);
    }
}
