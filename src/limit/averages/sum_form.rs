//! Averages over the two fields of one neuron where the sum μ = Qᵀc of hidden variables is known by its characteristic function.
//!
//! The fields are h^v = μ + r^v. In u = μ + s z₁, the part of μ and r that is common to the views, and z₂ ∝ h¹ − h², which is independent of
//! both, they are h^v = u + γ_v z₂ (theory §9). Only the law of u knows c; averages over it are sums over a lattice of u and
//! over wave numbers. Not here: the law of the sum (see `sum_law`).

use std::f64::consts::TAU;

use crate::Scalar;
use crate::limit::averages::curvature::Curvature;
use crate::limit::averages::sum_law::SumLaw;
use crate::limit::averages::table::trapezoid_step;
use crate::limit::averages::two_fields::{SQUARES, SUMS};
use crate::limit::averages::two_fields_gradient::{Motion, PlaneGradient, pseudo_inverse};
use crate::limit::hidden::Hidden;
use crate::model::{Nonlinearity, Smoothness};
use crate::numerics::dual::{Dual, Number};
use crate::numerics::kernels::dot;
use crate::numerics::lanes::{LANES, Lanes, dispatch, groups};

/// Averages over z₂ as functions of u: of a₁ and a₂, each times 1 and z₂, and of a₁², a₁a₂, a₂².
const VALUES: usize = 7;
/// Of ∂₁a₁, ∂₂a₁ = ∂₁a₂, ∂₂a₂ times 1, z₂, z₂²; and of ∂_v of the squares, square by square, times 1 and z₂.
const SLOPES: usize = 9 + 12;

/// One neuron's pair of fields.
#[derive(Debug, Clone)]
pub(in crate::limit) struct SumForm<T> {
    law: SumLaw<T>,
    lattice: Lattice,
    /// cos and sin of k x for wave numbers k and x = 0, step, …: wave number by wave number; over the number of nodes.
    cosines: Vec<T>,
    sines: Vec<T>,
    /// z₂ and its weights, padded to lanes.
    nodes: Vec<T>,
    weights: Vec<T>,
    across: f64,
    /// Whether z₂ → −z₂ exchanges the views, so that half of the nodes serve for all.
    reflected: bool,
    /// Whether the law of c and σ let the half u ≥ 0 serve for all.
    mirror: bool,
    smoothness: Smoothness<T>,
    /// s and γ.
    spread: T,
    gains: [T; 2],
    /// Functions of u, their transforms (real and imaginary parts apart), and buffers for σ.
    rows: Vec<Vec<T>>,
    transforms: Vec<[Vec<T>; 2]>,
    fields: [Vec<T>; 2],
    values: [Vec<T>; 2],
    slopes: [Vec<T>; 2],
    seconds: [Vec<T>; 2],
    even: Vec<T>,
    odd: Vec<T>,
}

/// The lattice of u around its mean: −half, …, half steps.
#[derive(Debug, Clone, Copy)]
struct Lattice {
    accuracy: f64,
    step: f64,
    half: usize,
    /// The step that the window allows, whatever s.
    windowed: f64,
}

/// How the averages move.
#[derive(Debug, Clone)]
pub(in crate::limit) struct SumGradient<T> {
    /// With the mean and the factor of the fields.
    pub(in crate::limit) plane: PlaneGradient<T>,
    /// E[c_l (∂₁ + ∂₂) f (1, z)] for f = a₁, a₂ and the three squares (1 alone), of length p each.
    pub(in crate::limit) means: [[Vec<T>; 3]; 2],
    pub(in crate::limit) squares: [Vec<T>; 3],
    /// E[c_l ∂_v f z_k] for f = a₁, a₂, view v, coordinate k.
    pub(in crate::limit) rows: [[[Vec<T>; 2]; 2]; 2],
    /// E[c_l c_l' (∂₁ + ∂₂) f] for f = a₁, a₂: p x p.
    pub(in crate::limit) pairs: Vec<Vec<T>>,
}

/// By how much a normal's transform at the highest wave number is below the error aimed at, in units of ln(1/error).
const WAVE_MARGIN: f64 = 2.0;
/// The most times that the lattice is made longer by a quarter: until it is a thousand times longer.
const MOST_EXTENSIONS: usize = 31;
/// What the order of a pole costs, in units of ln(1/error).
const POLE_MARGIN: f64 = 8.0;
/// By how much the density at the end of the z₂ axis is below the error aimed at.
const END_MARGIN: f64 = 4.0;

impl<T: Scalar> SumForm<T> {
    /// The rule that errs by about exp(−accuracy) at coefficients `q`, with fields of covariance [a, c, c, b] at each value of μ; `None` if the
    /// law gives no characteristic function, or if there were more nodes than the budget.
    pub(in crate::limit) fn new(
        hidden: &Hidden<'_, T>,
        q: &[T],
        covariance: &[T; 4],
        (smoothness, accuracy, budget): (&Smoothness<T>, f64, usize),
        reflected: bool,
    ) -> Option<Self> {
        let (spread, gains) = common_part(covariance);
        let gain = gains.iter().fold(0.0, |most: f64, gain| most.max(gain.as_f64().abs()));
        let accuracy = grown_accuracy(smoothness, accuracy);
        let radius = (2.0 * (accuracy + END_MARGIN)).sqrt();
        let across = if gain > 0.0 { resolved_step(smoothness, gain, accuracy) } else { f64::INFINITY };
        let count = if gain > 0.0 { radius / across } else { 0.0 };
        // The variance of the sum: of a law on two wave numbers.
        let mut law = SumLaw::new(hidden.law, 1.0, 0.5, &|_| 1.0, budget)?;
        if !law.update(hidden.law, q, &hidden.scales, spread) {
            return None;
        }
        let deviation = law.variance().as_f64().max(0.0).sqrt();
        let mut reach = radius * deviation;
        for _ in 0..MOST_EXTENSIONS {
            let Grid { step, highest, flat, fall, tail } = Grid::new(smoothness, spread.as_f64(), reach, accuracy);
            let half = (reach + tail) / step;
            if !(half.max(1.0) * count.max(1.0) < budget as f64) {
                return None;
            }
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and the budget
            let (half, count) = ((half.ceil() as usize).max(1), count.ceil() as usize);
            let nodes = 2 * half + 1;
            let window = |k: f64| if fall > 0.0 { 0.5 * libm::erfc((k - flat) / fall) } else { 1.0 };
            let law = SumLaw::new(hidden.law, TAU / (step * nodes as f64), highest, &window, budget)?;
            let windowed = if fall > 0.0 { step } else { 0.0 };
            let lattice = Lattice { accuracy, step, half, windowed };
            let mut form = Self::with_law(law, lattice, (across, count), (reflected, hidden.mirror), *smoothness);
            if !form.update(hidden, q, covariance) {
                return None;
            }
            if form.covers() {
                return Some(form);
            }
            reach *= 1.25;
        }
        None
    }

    fn with_law(
        law: SumLaw<T>,
        lattice: Lattice,
        (across, count): (f64, usize),
        (reflected, mirror): (bool, bool),
        smoothness: Smoothness<T>,
    ) -> Self {
        let (waves, nodes) = (law.waves().len(), 2 * lattice.half + 1);
        let phases = |f: fn(f64) -> f64| -> Vec<T> {
            let circle = (0..nodes).map(|at| T::lit(f(TAU * at as f64 / nodes as f64) / nodes as f64));
            let circle: Vec<T> = circle.collect();
            let mut table = Vec::with_capacity(waves * (lattice.half + 1));
            for n in 0..waves {
                let mut at = 0;
                for _ in 0..=lattice.half {
                    table.push(circle[at]);
                    at = (at + n) % nodes;
                }
            }
            table
        };
        #[allow(clippy::cast_possible_wrap)] // at most the budget
        let line: Vec<i64> = ((if reflected { 0 } else { -(count as i64) })..=count as i64).collect();
        let place = |k: i64| if k == 0 { 0.0 } else { across * k as f64 };
        let weight = |k: i64| if reflected && k > 0 { 2.0 } else { 1.0 } * (-0.5 * place(k) * place(k)).exp();
        let total: f64 = line.iter().map(|&k| weight(k)).sum();
        let padded = line.len().div_ceil(LANES) * LANES;
        let padding = std::iter::repeat_n(T::zero(), padded - line.len());
        let zeros = |length: usize| vec![T::zero(); length];
        let block = padded * block_rows(padded);
        let both = || [zeros(block), zeros(block)];
        Self {
            cosines: phases(f64::cos),
            sines: phases(f64::sin),
            nodes: line.iter().map(|&k| T::lit(place(k))).chain(padding.clone()).collect(),
            weights: line.iter().map(|&k| T::lit(weight(k) / total)).chain(padding).collect(),
            across,
            reflected,
            mirror,
            smoothness,
            spread: T::zero(),
            gains: [T::zero(); 2],
            rows: vec![zeros(nodes); SLOPES],
            transforms: vec![[zeros(waves), zeros(waves)]; SLOPES],
            fields: both(),
            values: both(),
            slopes: both(),
            seconds: both(),
            even: zeros(lattice.half + 1),
            odd: zeros(lattice.half + 1),
            law,
            lattice,
        }
    }

    /// Nodes of the pair of fields, times two.
    pub(in crate::limit) fn count(&self) -> usize {
        2 * self.nodes.len() * (2 * self.lattice.half + 1)
    }

    /// What an evaluation costs, and one at a single node of the hidden law would, in evaluations of a node.
    pub(in crate::limit) fn cost(&self, features: usize) -> (f64, f64) {
        let width = self.nodes.len() as f64;
        let nodes = (2 * self.lattice.half + 1) as f64 * width / if self.mirror { 2.0 } else { 1.0 };
        // A characteristic function has a sine and a cosine.
        let sum = nodes + 6.0 * (features * self.law.waves().len()) as f64;
        let spread = self.spread.as_f64();
        let along = if spread > 0.0 { resolved_step(&self.smoothness, spread, self.lattice.accuracy) } else { 1.0 };
        (sum, (2.0 * (2.0 * self.lattice.accuracy).sqrt() / along + 1.0) * width)
    }

    /// Goes over to other coefficients and another covariance. False if the law gives no characteristic function.
    pub(in crate::limit) fn update(&mut self, hidden: &Hidden<'_, T>, q: &[T], covariance: &[T]) -> bool {
        (self.spread, self.gains) = common_part(covariance);
        self.law.update(hidden.law, q, &hidden.scales, self.spread)
    }

    /// Whether the lattice covers the law of u, and resolves what is averaged, within a tenth.
    pub(in crate::limit) fn resolves(&mut self) -> bool {
        let gain = self.gains.iter().fold(0.0, |most: f64, gain| most.max(gain.as_f64().abs()));
        let Lattice { accuracy, step, windowed, .. } = self.lattice;
        let spread = self.spread.as_f64();
        let along = windowed.max(spread * resolved_step(&self.smoothness, spread, accuracy));
        let across = gain == 0.0 || self.across <= 1.1 * resolved_step(&self.smoothness, gain, accuracy);
        across && step <= 1.1 * along && self.covers()
    }

    /// Whether what lies beyond the lattice, and so is folded onto it, is below the error aimed at: by the variance on the lattice, and by the
    /// density at its ends.
    fn covers(&mut self) -> bool {
        let Lattice { accuracy, step, half, .. } = self.lattice;
        let length = step * (2 * half + 1) as f64;
        let error = (-accuracy).exp();
        let exact = self.law.variance().as_f64();
        let mut average = |f: &dyn Fn(f64) -> f64| -> f64 {
            for j in 0..=half {
                let x = step * j as f64;
                self.even[j] = T::lit(if j == 0 { f(x) } else { f(x) + f(-x) });
                self.odd[j] = T::lit(f(x) - f(-x));
            }
            self.transform_parts(0);
            let [re, im] = &self.transforms[0];
            self.law.average([re, im]).as_f64()
        };
        // Rounding in a sum of so many terms of that size.
        let rounding = 64.0 * T::EPSILON.as_f64();
        let variance = average(&|x| x * x) - exact;
        let last = step * half as f64;
        let mass = |low: f64, high: f64| move |x: f64| if low < x && x < high { 1.0 } else { 0.0 };
        let mass_there = average(&mass(last - 1.5 * step, f64::INFINITY)).abs()
            + average(&mass(f64::NEG_INFINITY, 1.5 * step - last)).abs();
        variance.abs() <= (error / 40.0 + rounding) * length * length && mass_there <= error + rounding
    }

    /// The averages as in [`pair_sums`](super::two_fields::pair_sums), by z where h − μ = F z, F = `rows`; and E[c_l a_v] for the
    /// two error signals at v·p + l of `with_hidden`.
    pub(in crate::limit) fn sums(
        &mut self,
        rows: [[T; 2]; 2],
        sigma: &dyn Nonlinearity<T>,
        with_hidden: &mut [T],
    ) -> [T; SUMS] {
        self.each_block(sigma, None, &Self::write_values);
        if self.reflected {
            self.exchange(&[(0, 2, false), (1, 3, true), (4, 6, false)]);
        }
        self.complete(&[true, false, true, false, false, false, false]);
        let turn = self.turn(rows);
        let mut sums = [T::zero(); SUMS];
        let mut noisy = [vec![T::zero(); self.law.waves().len()], vec![T::zero(); self.law.waves().len()]];
        for f in 0..2 {
            let [re, im] = self.transform(2 * f);
            let [to_re, to_im] = &mut noisy;
            self.law.times_noise([re, im], [to_re, to_im]);
            let along = [self.law.average([&noisy[0], &noisy[1]]), self.law.average(self.transform(2 * f + 1))];
            sums[3 * f] = self.law.average([re, im]);
            for k in 0..2 {
                sums[3 * f + 1 + k] = turn[k][0] * along[0] + turn[k][1] * along[1];
            }
        }
        for k in 0..3 {
            sums[SQUARES + k] = self.law.average(self.transform(4 + k));
        }
        let Self { law, transforms, .. } = self;
        let [first, second] = [&transforms[0], &transforms[2]];
        law.with_hidden(&[split(first), split(second)], with_hidden);
        sums
    }

    /// z_k = Σ_j O_kj (z₁, z₂)_j for the coordinates of the factor F = `rows`.
    fn turn(&self, rows: [[T; 2]; 2]) -> [[T; 2]; 2] {
        let inverse = pseudo_inverse(rows);
        [0, 1].map(|k| {
            let along = inverse[0][k] + inverse[1][k];
            [along * self.spread, inverse[0][k] * self.gains[0] + inverse[1][k] * self.gains[1]]
        })
    }

    /// The Fourier transform of function number `row`.
    fn transform(&self, row: usize) -> [&[T]; 2] {
        let [re, im] = &self.transforms[row];
        [re, im]
    }

    /// Evaluates σ at blocks of whole rows, and writes the functions of u there by `write`, called with the first row and the nodes.
    fn each_block(
        &mut self,
        sigma: &dyn Nonlinearity<T>,
        mut curvature: Option<&mut Curvature<T>>,
        write: &dyn Fn(&mut [Vec<T>], usize, &Block<'_, T>),
    ) {
        let width = self.nodes.len();
        let Lattice { step, half, .. } = self.lattice;
        let (first, end) = (if self.mirror { half } else { 0 }, 2 * half + 1);
        let Self { law, fields, values, slopes, seconds, nodes, weights, gains, rows, .. } = self;
        for start in (first..end).step_by(block_rows(width)) {
            let count = block_rows(width).min(end - start);
            let length = count * width;
            for f in 0..2 {
                let fields = &mut fields[f][..length];
                for (j, row) in fields.chunks_exact_mut(width).enumerate() {
                    let u = law.mean() + T::lit(step * ((start + j) as f64 - half as f64));
                    row.iter_mut().zip(&*nodes).for_each(|(h, &z)| *h = u + gains[f] * z);
                }
                sigma.evaluate(fields, &mut values[f][..length], &mut slopes[f][..length]);
                if let Some(curvature) = &mut curvature {
                    let (values, slopes) = (&values[f][..length], &slopes[f][..length]);
                    curvature.evaluate(sigma, fields, values, slopes, &mut seconds[f][..length]);
                }
            }
            let (nodes, weights) = (&nodes[..], &weights[..]);
            let block = Block {
                width,
                nodes,
                weights,
                values: cut(values, length),
                slopes: cut(slopes, length),
                seconds: cut(seconds, length),
            };
            write(rows, start, &block);
        }
    }

    fn write_values(rows: &mut [Vec<T>], start: usize, block: &Block<'_, T>) {
        dispatch(
            #[inline(always)]
            || {
                for j in 0..block.rows() {
                    let mut sums = [Lanes::zero(); VALUES];
                    for n in 0..block.width / LANES {
                        let Node { w, z, y: [y, yy], d: [d, dd], .. } = block.node(j, n);
                        let (a1, a2) = (d * yy, dd * y);
                        let (w1, w2) = (w * a1, w * a2);
                        let all = [w1, w1 * z, w2, w2 * z, w1 * a1, w1 * a2, w2 * a2];
                        (0..VALUES).for_each(|k| sums[k] += all[k]);
                    }
                    (0..VALUES).for_each(|k| rows[k][start + j] = sums[k].sum());
                }
            },
        );
    }

    fn write_slopes(rows: &mut [Vec<T>], start: usize, block: &Block<'_, T>) {
        dispatch(
            #[inline(always)]
            || {
                for j in 0..block.rows() {
                    let mut sums = [Lanes::zero(); SLOPES];
                    for n in 0..block.width / LANES {
                        let Node { w, z, y: [y, yy], d: [d, dd], s: [s, ss] } = block.node(j, n);
                        let (a1, a2) = (d * yy, dd * y);
                        let slopes = [s * yy, d * dd, y * ss];
                        for (e, slope) in slopes.into_iter().enumerate() {
                            let first = w * slope;
                            let second = first * z;
                            sums[3 * e] += first;
                            sums[3 * e + 1] += second;
                            sums[3 * e + 2] += second * z;
                        }
                        let two = w + w;
                        for v in 0..2 {
                            let all = [
                                two * a1 * slopes[v],
                                w * (a1 * slopes[1 + v] + a2 * slopes[v]),
                                two * a2 * slopes[1 + v],
                            ];
                            for (f, first) in all.into_iter().enumerate() {
                                sums[9 + 4 * f + 2 * v] += first;
                                sums[10 + 4 * f + 2 * v] += first * z;
                            }
                        }
                    }
                    (0..SLOPES).for_each(|k| rows[k][start + j] = sums[k].sum());
                }
            },
        );
    }

    /// From the nodes z₂ ≥ 0 to all: pairs of functions that become each other when the views are exchanged, times −1 where z₂ enters to an
    /// odd power. A function may be its own partner.
    fn exchange(&mut self, pairs: &[(usize, usize, bool)]) {
        let half = T::lit(0.5);
        for &(a, b, odd) in pairs {
            for n in 0..self.rows[a].len() {
                let (x, y) = (self.rows[a][n], self.rows[b][n]);
                let mean = half * if odd { x - y } else { x + y };
                self.rows[a][n] = mean;
                self.rows[b][n] = if odd { -mean } else { mean };
            }
        }
    }

    /// Fills in u < 0 of functions that are odd or even, if they are, and transforms all.
    fn complete(&mut self, odd: &[bool]) {
        let half = self.lattice.half;
        for (row, &odd) in odd.iter().enumerate() {
            if self.mirror {
                for j in 1..=half {
                    let x = self.rows[row][half + j];
                    self.rows[row][half - j] = if odd { -x } else { x };
                }
            }
            let values = &self.rows[row];
            for j in 0..=half {
                let (above, below) = (values[half + j], values[half - j]);
                self.even[j] = if j == 0 { above } else { above + below };
                self.odd[j] = above - below;
            }
            self.transform_parts(row);
        }
    }

    /// Transforms the function of which even and odd part are in scratch.
    fn transform_parts(&mut self, row: usize) {
        let length = self.lattice.half + 1;
        let Self { cosines, sines, even, odd, transforms, .. } = self;
        let [re, im] = &mut transforms[row];
        dispatch(
            #[inline(always)]
            || {
                for (n, (re, im)) in re.iter_mut().zip(im).enumerate() {
                    *re = dot(&cosines[n * length..][..length], even);
                    *im = -dot(&sines[n * length..][..length], odd);
                }
            },
        );
    }

    /// How the averages move, with the fields as in the last update; without `with_hidden` only `plane`.
    pub(in crate::limit) fn gradient(
        &mut self,
        rows: [[T; 2]; 2],
        sigma: &dyn Nonlinearity<T>,
        with_hidden: bool,
    ) -> SumGradient<T> {
        let mut curvature = Curvature::new(self.fields[0].len());
        self.each_block(sigma, Some(&mut curvature), &Self::write_slopes);
        if self.reflected {
            let mut pairs = Vec::new();
            for b in 0..3 {
                // ∂₁a₁ and ∂₂a₂; ∂₂a₁ = ∂₁a₂ with itself.
                pairs.extend([(b, 6 + b, b == 1), (3 + b, 3 + b, b == 1)]);
            }
            for b in 0..2 {
                // ∂_v of square f becomes ∂_{1−v} of square 2 − f.
                let at = |f: usize, v: usize| 9 + 4 * f + 2 * v + b;
                pairs.extend([
                    (at(0, 0), at(2, 1), b == 1),
                    (at(0, 1), at(2, 0), b == 1),
                    (at(1, 0), at(1, 1), b == 1),
                ]);
            }
            self.exchange(&pairs);
        }
        let odd: Vec<bool> = (0..SLOPES).map(|k| if k < 9 { k % 3 == 1 } else { (k - 9) % 2 == 0 }).collect();
        self.complete(&odd);
        Motions::new(self, rows).gradient(with_hidden)
    }
}

impl<T: Scalar> SumGradient<T> {
    fn empty() -> Self {
        let none = || Vec::new();
        Self {
            plane: PlaneGradient {
                signals: [[[T::zero(); 6]; 2]; 4],
                covariance: [[T::zero(); 3]; 2],
                squares: [[[T::zero(); 3]; 2]; 3],
            },
            means: [[none(), none(), none()], [none(), none(), none()]],
            squares: [none(), none(), none()],
            rows: [[[none(), none()], [none(), none()]], [[none(), none()], [none(), none()]]],
            pairs: Vec::new(),
        }
    }

    /// Adds to the averages how they move with the coefficients `q` of the sum, and with the factor of the fields.
    pub(in crate::limit) fn lift(
        &self,
        q: &[Dual<T>],
        rows: [[Dual<T>; 2]; 2],
        sums: &mut [Dual<T>; SUMS],
        with_hidden: &mut [Dual<T>],
    ) {
        let p = q.len();
        // Most coefficients move along no direction.
        let moving: Vec<usize> = (0..p).filter(|&l| q[l].slopes != Lanes::zero()).collect();
        let along = |c: &[T]| moving.iter().fold(Lanes::zero(), |sum, &l| sum + Lanes::splat(c[l]) * q[l].slopes);
        let still = Motion { mean: [Dual::zero(); 2], rows };
        let along_rows = self.plane.slopes(&still);
        for (k, sum) in sums.iter_mut().enumerate() {
            sum.slopes += along_rows[k];
        }
        for f in 0..2 {
            for k in 0..3 {
                sums[3 * f + k].slopes += along(&self.means[f][k]);
            }
            for l in 0..p {
                let mut slopes = along(&self.pairs[f][l * p..(l + 1) * p]);
                for v in 0..2 {
                    for k in 0..2 {
                        slopes += Lanes::splat(self.rows[f][v][k][l]) * rows[v][k].slopes;
                    }
                }
                with_hidden[f * p + l].slopes += slopes;
            }
        }
        for k in 0..3 {
            sums[SQUARES + k].slopes += along(&self.squares[k]);
        }
    }
}

/// Whole rows of nodes, σ and its derivatives at them.
struct Block<'a, T> {
    width: usize,
    nodes: &'a [T],
    weights: &'a [T],
    values: [&'a [T]; 2],
    slopes: [&'a [T]; 2],
    seconds: [&'a [T]; 2],
}

/// Weight, z₂, and σ, σ', σ'' of both fields.
struct Node<T> {
    w: Lanes<T>,
    z: Lanes<T>,
    y: [Lanes<T>; 2],
    d: [Lanes<T>; 2],
    s: [Lanes<T>; 2],
}

impl<T: Scalar> Block<'_, T> {
    #[inline(always)]
    fn rows(&self) -> usize {
        self.values[0].len() / self.width
    }

    /// Lanes number n of row j.
    #[inline(always)]
    fn node(&self, j: usize, n: usize) -> Node<T> {
        let at = j * self.width / LANES + n;
        let pair = |x: [&[T]; 2]| [Lanes(groups(x[0])[at]), Lanes(groups(x[1])[at])];
        let (w, z) = (Lanes(groups(self.weights)[n]), Lanes(groups(self.nodes)[n]));
        Node { w, z, y: pair(self.values), d: pair(self.slopes), s: pair(self.seconds) }
    }
}

/// Rows of that many nodes that are evaluated at once.
fn block_rows(width: usize) -> usize {
    (512 / width).max(1)
}

/// From transforms of functions of u to how the averages move.
struct Motions<'a, T> {
    form: &'a mut SumForm<T>,
    turn: [[T; 2]; 2],
    /// Of every function, its transform times z₁, and times z₁².
    noisy: Vec<[Vec<T>; 2]>,
    noisier: Vec<[Vec<T>; 2]>,
}

impl<'a, T: Scalar> Motions<'a, T> {
    fn new(form: &'a mut SumForm<T>, rows: [[T; 2]; 2]) -> Self {
        let turn = form.turn(rows);
        let waves = form.law.waves().len();
        let by = |f: &dyn Fn([&[T]; 2], [&mut [T]; 2])| -> Vec<[Vec<T>; 2]> {
            let all = (0..SLOPES).map(|row| {
                let mut out = [vec![T::zero(); waves], vec![T::zero(); waves]];
                let [re, im] = &mut out;
                f(form.transform(row), [re, im]);
                out
            });
            all.collect()
        };
        let noisy = by(&|x, out| form.law.times_noise(x, out));
        let noisier = by(&|x, out| form.law.times_noise_squared(x, out));
        Self { form, turn, noisy, noisier }
    }

    /// E[g z₁^a z₂^b], for g the function of which number `row` is the first power of z₂.
    fn moment(&self, row: usize, (a, b): (usize, usize)) -> T {
        let law = &self.form.law;
        match a {
            0 => law.average(self.form.transform(row + b)),
            1 => law.average(split(&self.noisy[row + b])),
            _ => law.average(split(&self.noisier[row + b])),
        }
    }

    fn first(&self, row: usize) -> [T; 3] {
        let along = [self.moment(row, (1, 0)), self.moment(row, (0, 1))];
        let z = self.turn.map(|o| o[0] * along[0] + o[1] * along[1]);
        [self.moment(row, (0, 0)), z[0], z[1]]
    }

    fn second(&self, row: usize) -> [T; 6] {
        let [one, z1, z2] = self.first(row);
        let [uu, uv, vv] = [(2, 0), (1, 1), (0, 2)].map(|power| self.moment(row, power));
        let product = |k: usize, l: usize| {
            let (p, q) = (self.turn[k], self.turn[l]);
            p[0] * q[0] * uu + (p[0] * q[1] + p[1] * q[0]) * uv + p[1] * q[1] * vv
        };
        [one, z1, z2, product(0, 0), product(0, 1), product(1, 1)]
    }

    fn gradient(self, with_hidden: bool) -> SumGradient<T> {
        let slopes = [self.second(0), self.second(3), self.second(6)];
        let square = |f: usize, v: usize| self.first(9 + 4 * f + 2 * v);
        let none = [T::zero(); 6];
        let plane = PlaneGradient {
            signals: [[slopes[0], slopes[1]], [slopes[1], slopes[2]], [none; 2], [none; 2]],
            covariance: [[T::zero(); 3]; 2],
            squares: [0, 1, 2].map(|f| [square(f, 0), square(f, 1)]),
        };
        let Self { form, turn, noisy, .. } = self;
        let SumForm { law, transforms, .. } = form;
        if !with_hidden {
            return SumGradient { plane, ..SumGradient::empty() };
        }
        let p = law.features();
        // Of each of ∂₁a₁, ∂₂a₁, ∂₂a₂: times 1, z₁ and z₂; then the squares along both views.
        let mut functions: Vec<[&[T]; 2]> = Vec::new();
        for e in 0..3 {
            functions.extend([split(&transforms[3 * e]), split(&noisy[3 * e]), split(&transforms[3 * e + 1])]);
        }
        for f in 0..3 {
            functions.extend([split(&transforms[9 + 4 * f]), split(&transforms[11 + 4 * f])]);
        }
        let mut averages = vec![T::zero(); p * functions.len()];
        law.with_hidden(&functions, &mut averages);
        let with_hidden: Vec<&[T]> = averages.chunks_exact(p).collect();
        let sum = |x: &[T], y: &[T]| -> Vec<T> { x.iter().zip(y).map(|(&x, &y)| x + y).collect() };
        let combine = |e: usize, o: [T; 2]| -> Vec<T> {
            let along = with_hidden[3 * e + 1].iter().zip(with_hidden[3 * e + 2]);
            along.map(|(&u, &v)| o[0] * u + o[1] * v).collect()
        };
        // Number of ∂_v of signal f.
        let rows = [0, 1].map(|f| [0, 1].map(|v| [0, 1].map(|k| combine(f + v, turn[k]))));
        let means = [0, 1].map(|f| {
            let along = |k: usize| sum(&rows[f][0][k], &rows[f][1][k]);
            [sum(with_hidden[3 * f], with_hidden[3 * (f + 1)]), along(0), along(1)]
        });
        let squares = [0, 1, 2].map(|f| sum(with_hidden[9 + 2 * f], with_hidden[10 + 2 * f]));
        let both: Vec<[Vec<T>; 2]> =
            (0..2).map(|f| [0, 1].map(|part| sum(&transforms[3 * f][part], &transforms[3 * (f + 1)][part]))).collect();
        let mut pairs = vec![vec![T::zero(); p * p]; 2];
        law.with_pairs(&[split(&both[0]), split(&both[1])], &mut pairs);
        SumGradient { plane, means, squares, rows, pairs }
    }
}

fn cut<T>([first, second]: &[Vec<T>; 2], length: usize) -> [&[T]; 2] {
    [&first[..length], &second[..length]]
}

fn split<T>([re, im]: &[Vec<T>; 2]) -> [&[T]; 2] {
    [re, im]
}

/// s and γ: h^v = μ + s z₁ + γ_v z₂ for fields of covariance [a, c, c, b].
fn common_part<T: Scalar>(covariance: &[T]) -> (T, [T; 2]) {
    let [a, c, b] = [covariance[0], covariance[1], covariance[3]];
    // Var(h¹ − h²).
    let apart = a + b - c - c;
    let least = T::lit(4.0) * T::EPSILON * (a + b);
    if !(apart > least) {
        return (a.max(T::zero()).sqrt(), [T::zero(); 2]);
    }
    // The determinant over it.
    let variance = c + (a - c) * (b - c) / apart;
    let spread = if variance > least { variance.sqrt() } else { T::zero() };
    (spread, [(a - c) / apart.sqrt(), (c - b) / apart.sqrt()])
}

/// The accuracy that polynomials ask for: what is averaged grows with their degree, in the square of an error signal.
fn grown_accuracy<T: Scalar>(smoothness: &Smoothness<T>, accuracy: f64) -> f64 {
    let Smoothness::Polynomial { degree } = *smoothness else { return accuracy };
    let power = 4.0 * degree as f64;
    // x^power at x = the end of a standard normal; the end hardly depends on what it is taken at.
    accuracy + 0.5 * power * (2.0 * (accuracy + power)).ln()
}

/// The step for products of several factors: poles of σ stand on top of each other in them, and one of order n and distance d
/// makes an error (2πd/step)^(n−1)/(n−1)! times that of a simple one, 3000 for the six of a square at 2πd/step = 13.
fn resolved_step<T: Scalar>(smoothness: &Smoothness<T>, gain: f64, accuracy: f64) -> f64 {
    trapezoid_step(smoothness, gain, accuracy + POLE_MARGIN)
}

/// A lattice of u with the wave numbers of its law.
struct Grid {
    step: f64,
    highest: f64,
    /// The window falls around `flat`, over a few times `fall`; none if it is 0.
    flat: f64,
    fall: f64,
    /// By how much a density is widened by the window.
    tail: f64,
}

impl Grid {
    /// For fields that have a normal of standard deviation `spread` in common, over a sum that reaches that far.
    ///
    /// Where the normal is narrow, its transform goes further than that of what is averaged. It is cut off then, in a way that leaves all
    /// averages what they are: by a window that is 1 up to the highest wave number of σ.
    fn new<T: Scalar>(smoothness: &Smoothness<T>, spread: f64, reach: f64, accuracy: f64) -> Self {
        let root = accuracy.sqrt();
        // Of four factors of one field.
        let highest = match *smoothness {
            Smoothness::Analytic { pole_distance } => (accuracy + POLE_MARGIN) / pole_distance.as_f64(),
            Smoothness::Entire | Smoothness::Polynomial { .. } => 4.0 * root,
            // Kinks are not averaged over sums.
            Smoothness::Smooth | Smoothness::Kinked { .. } => accuracy,
        };
        // The window widens a density by 2 root/fall.
        let fall = (5.0 * root / reach.max(1e-300)).min(0.2 * highest);
        let flat = highest + fall * root;
        let windowed = TAU / (flat + fall * root + highest);
        let natural = if spread > 0.0 { spread * resolved_step(smoothness, spread, accuracy) } else { 0.0 };
        if natural >= windowed {
            let highest = 1.1 * (2.0 * (accuracy + WAVE_MARGIN)).sqrt() / spread;
            return Self { step: natural, highest, flat: 0.0, fall: 0.0, tail: 0.0 };
        }
        Self { step: windowed, highest: flat + fall * root, flat, fall, tail: 2.0 * root / fall }
    }
}
