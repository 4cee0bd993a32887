//! Averages over the two fields of one neuron where the sum μ = Qᵀc of hidden variables is known by its characteristic function.
//!
//! The fields are h^v = μ + r^v. In u = μ + s z₁, the part of μ and r that is common to the views, and z₂ ∝ h¹ − h², which is independent of
//! both, they are h^v = u + γ_v z₂ (theory §9). Only the law of u knows c; averages over it are sums over a lattice of u and
//! over wave numbers. Not here: the law of the sum (see `sum_law`), the lattice (see
//! `sum_grid`), and derivatives (see `sum_gradient`).

use std::f64::consts::{PI, TAU};

use crate::Scalar;
use crate::limit::accuracy::COARSER;
use crate::limit::averages::curvature::Curvature;
use crate::limit::averages::sum_grid::{Grid, common_part, grown_accuracy, resolved_step};
use crate::limit::averages::sum_lattice::SUM_ULPS;
use crate::limit::averages::sum_law::SumLaw;
use crate::limit::averages::two_fields::{SQUARES, SUMS};
use crate::limit::averages::two_fields_gradient::pseudo_inverse;
use crate::limit::hidden::Hidden;
use crate::model::{Nonlinearity, Smoothness};
use crate::numerics::kernels::dot;
use crate::numerics::lanes::{LANES, Lanes, dispatch, groups};

/// Averages over z₂ as functions of u: of a₁ and a₂, each times 1 and z₂, and of a₁², a₁a₂, a₂².
const VALUES: usize = 7;
/// Of ∂₁a₁, ∂₂a₁ = ∂₁a₂, ∂₂a₂ times 1, z₂, z₂²; and of ∂_v of the squares, square by square, times 1 and z₂.
pub(super) const SLOPES: usize = 9 + 12;

/// One neuron's pair of fields.
#[derive(Debug, Clone)]
pub(in crate::limit) struct SumForm<T> {
    pub(super) law: SumLaw<T>,
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
    pub(super) transforms: Vec<[Vec<T>; 2]>,
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

/// The most times that the lattice is made longer by a quarter: until it is a thousand times longer.
const MOST_EXTENSIONS: usize = 31;
/// The most numbers of a table of cosines.
const MOST_PHASES: f64 = 1e8;
/// By how much the density at the end of the z₂ axis is below the error aimed at.
const END_MARGIN: f64 = 4.0;

impl<T: Scalar> SumForm<T> {
    /// The rule that errs by about exp(−accuracy) at coefficients `q`, with fields of covariance [a, c, c, b] at each value of μ; `None` if the
    /// law gives no characteristic function, if there were more nodes than the budget, or if it costs more than `most` evaluations of a node.
    pub(in crate::limit) fn new(
        hidden: &Hidden<'_, T>,
        q: &[T],
        covariance: &[T; 4],
        (smoothness, accuracy, budget): (&Smoothness<T>, f64, usize),
        reflected: bool,
        most: f64,
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
            let Grid { step, highest, window, tail } = Grid::new(smoothness, spread.as_f64(), reach, accuracy);
            let half = (reach + tail) / step;
            if !(half.max(1.0) * count.max(1.0) < budget as f64) {
                return None;
            }
            let phases = half * (half * step * highest / PI);
            if !(phases < MOST_PHASES && 2.0 * half.max(1.0) * count.max(1.0) + phases < most) {
                return None;
            }
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and the budget
            let (half, count) = ((half.ceil() as usize).max(1), count.ceil() as usize);
            let nodes = 2 * half + 1;
            let at = |k: f64| window.map_or(1.0, |window| window.at(k));
            let law = SumLaw::new(hidden.law, TAU / (step * nodes as f64), highest, &at, budget)?;
            let windowed = if window.is_some() { step } else { 0.0 };
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

    /// Whether the lattice covers the law of u, and resolves what is averaged, but for a little.
    pub(in crate::limit) fn resolves(&mut self) -> bool {
        let gain = self.gains.iter().fold(0.0, |most: f64, gain| most.max(gain.as_f64().abs()));
        let Lattice { accuracy, step, windowed, .. } = self.lattice;
        let spread = self.spread.as_f64();
        let along = windowed.max(spread * resolved_step(&self.smoothness, spread, accuracy));
        let across = gain == 0.0 || self.across <= COARSER * resolved_step(&self.smoothness, gain, accuracy);
        across && step <= COARSER * along && self.covers()
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
        let rounding = SUM_ULPS * T::EPSILON.as_f64();
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
    pub(super) fn turn(&self, rows: [[T; 2]; 2]) -> [[T; 2]; 2] {
        let inverse = pseudo_inverse(rows);
        [0, 1].map(|k| {
            let along = inverse[0][k] + inverse[1][k];
            [along * self.spread, inverse[0][k] * self.gains[0] + inverse[1][k] * self.gains[1]]
        })
    }

    /// The Fourier transform of function number `row`.
    pub(super) fn transform(&self, row: usize) -> [&[T]; 2] {
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

    /// Transforms the derivatives of the averages over z₂, with the fields as in the last update.
    pub(super) fn differentiate(&mut self, sigma: &dyn Nonlinearity<T>) {
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

fn cut<T>([first, second]: &[Vec<T>; 2], length: usize) -> [&[T]; 2] {
    [&first[..length], &second[..length]]
}

pub(super) fn split<T>([re, im]: &[Vec<T>; 2]) -> [&[T]; 2] {
    [re, im]
}
