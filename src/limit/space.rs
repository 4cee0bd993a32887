//! Averages over all fields of a group of neurons at once: the matrix Λ, whose entries couple up to four fields.
//!
//! The penalty's part that comes from the other samples of the batch enters through the second moments of
//! C_ij (theory §3), so that the quadratic penalty is exact for every batch size.

use nalgebra::DMatrix;

use super::plane::BLOCK;
use super::table::NodeTable;
use crate::Scalar;
use crate::lanes::{Lanes, dispatch, groups, groups_mut};
use crate::model::{GradientFlow, Nonlinearity, ViewCovariance};

/// What the error signals are made of besides the fields.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signal<'a, T: Scalar> {
    /// λ.
    pub(crate) penalty_strength: T,
    /// B.
    pub(crate) batch: T,
    /// D.
    pub(crate) views: ViewCovariance<T>,
    /// Which views carry the gradient.
    pub(crate) flow: GradientFlow,
    /// Whether exchanging the views changes no average.
    pub(crate) exchangeable: bool,
    /// M = E[y¹ y²ᵀ] of the group, k x k; read off the diagonal only.
    pub(crate) covariance: &'a DMatrix<T>,
}

/// Buffers and sums of a group of k neurons.
#[derive(Debug, Clone)]
pub(crate) struct SpaceBuffers<T> {
    neurons: usize,
    /// Fields (h¹_1..h¹_k, h²_1..h²_k), a block each; then σ, σ', e, D e, and λ-free products, in the same layout.
    fields: Vec<T>,
    values: Vec<T>,
    derivatives: Vec<T>,
    errors: Vec<T>,
    weighted: Vec<T>,
    /// y¹_i y²_j for each ordered pair i ≠ j.
    products: Vec<T>,
    /// σ'(h¹_i) y²_j, then σ'(h²_j) y¹_i, for each ordered pair i ≠ j.
    gradients: Vec<T>,
    sums: Vec<Lanes<T>>,
}

impl<T: Scalar> SpaceBuffers<T> {
    /// `fluctuations`: whether the other samples' part of C fluctuates and matters.
    pub(crate) fn new(neurons: usize, fluctuations: bool) -> Self {
        let pairs = if fluctuations { neurons * (neurons - 1) } else { 0 };
        let blocks = |count: usize| vec![T::zero(); count * BLOCK];
        let triangle = |n: usize| n * (n + 1) / 2;
        Self {
            neurons,
            fields: blocks(2 * neurons),
            values: blocks(2 * neurons),
            derivatives: blocks(2 * neurons),
            errors: blocks(2 * neurons),
            weighted: blocks(2 * neurons),
            products: blocks(pairs),
            gradients: blocks(2 * pairs),
            sums: vec![Lanes::zero(); triangle(neurons) + triangle(pairs) + triangle(2 * pairs)],
        }
    }

    /// Forgets all sums.
    pub(crate) fn reset(&mut self) {
        self.sums.fill(Lanes::zero());
    }

    /// Adds `weight` times the average over the nodes at that mean; `factor(f, k)` is F.
    pub(crate) fn add(
        &mut self,
        table: &NodeTable<T>,
        mean: &[T],
        weight: T,
        factor: &dyn Fn(usize, usize) -> T,
        sigma: &dyn Nonlinearity<T>,
        signal: &Signal<'_, T>,
    ) {
        let k = self.neurons;
        for start in (0..table.padded()).step_by(BLOCK) {
            let end = (start + BLOCK).min(table.padded());
            let length = end - start;
            for f in 0..2 * k {
                let out = &mut self.fields[f * BLOCK..][..length];
                out.fill(mean[f % k]);
                for axis in 0..table.dimensions() {
                    let (gain, z) = (factor(f, axis), &table.coordinate(axis)[start..end]);
                    if gain != T::zero() {
                        dispatch(
                            #[inline(always)]
                            || out.iter_mut().zip(z).for_each(|(h, &z)| *h += gain * z),
                        );
                    }
                }
                sigma.evaluate(
                    out,
                    &mut self.values[f * BLOCK..][..length],
                    &mut self.derivatives[f * BLOCK..][..length],
                );
            }
            let weights = &table.weights()[start..end];
            dispatch(
                #[inline(always)]
                || self.accumulate(length, weights, weight, signal),
            );
        }
    }

    #[inline(always)]
    fn accumulate(&mut self, length: usize, weights: &[T], weight: T, signal: &Signal<'_, T>) {
        self.error_signals(length, weights, weight, signal);
        let k = self.neurons;
        let mut slot = 0;
        for i in 0..k {
            for j in i..k {
                for v in 0..2 {
                    let at = |neuron: usize| (v * k + neuron) * BLOCK;
                    let (x, y) = (&self.weighted[at(i)..][..length], &self.errors[at(j)..][..length]);
                    dot(x, y, &mut self.sums[slot]);
                }
                slot += 1;
            }
        }
        if !needs_fluctuations(signal) {
            return;
        }
        let pairs = k * (k - 1);
        self.pair_signals(length);
        for (buffer, count) in [(&self.products, pairs), (&self.gradients, 2 * pairs)] {
            for a in 0..count {
                for b in a..count {
                    let (x, y) = (&buffer[a * BLOCK..][..length], &buffer[b * BLOCK..][..length]);
                    dot3(weights, x, y, weight, &mut self.sums[slot]);
                    slot += 1;
                }
            }
        }
    }

    /// e_i^v, averaged over the rest of the batch, and weight·Σ_v' D_vv' e_i^v'.
    #[inline(always)]
    fn error_signals(&mut self, length: usize, weights: &[T], weight: T, signal: &Signal<'_, T>) {
        let k = self.neurons;
        let (strength, inverse) = (signal.penalty_strength, T::one() / signal.batch);
        let rest = T::one() - inverse;
        for v in 0..2 {
            for i in 0..k {
                let own = (v * k + i) * BLOCK;
                let other = |j: usize| ((1 - v) * k + j) * BLOCK;
                let out = groups_mut(&mut self.errors[own..][..length]);
                if v == 1 && signal.flow == GradientFlow::StopGradient {
                    out.fill(Lanes::zero().0);
                    continue;
                }
                let twin = groups(&self.values[other(i)..][..length]);
                for (e, &y) in out.iter_mut().zip(twin) {
                    *e = (-Lanes(y)).0;
                }
                if strength > T::zero() {
                    let mine = groups(&self.values[own..][..length]);
                    for j in (0..k).filter(|&j| j != i) {
                        // C_ij in view 1, C_ji in view 2: rows of M are view 1.
                        let mean = if v == 0 { signal.covariance[(i, j)] } else { signal.covariance[(j, i)] };
                        let (constant, slope) =
                            (Lanes::splat(strength * rest * mean), Lanes::splat(strength * inverse));
                        let theirs = groups(&self.values[other(j)..][..length]);
                        for ((e, &y), &yj) in out.iter_mut().zip(mine).zip(theirs) {
                            *e = (Lanes(*e) + (constant + slope * Lanes(y) * Lanes(yj)) * Lanes(yj)).0;
                        }
                    }
                }
                let slope = groups(&self.derivatives[own..][..length]);
                for (e, &d) in out.iter_mut().zip(slope) {
                    *e = (Lanes(*e) * Lanes(d)).0;
                }
            }
        }
        let weights = groups(weights);
        for i in 0..k {
            for v in 0..2 {
                let (d1, d2) =
                    (Lanes::splat(signal.views.get(v, 0) * weight), Lanes::splat(signal.views.get(v, 1) * weight));
                let (e1, e2) =
                    (groups(&self.errors[i * BLOCK..][..length]), groups(&self.errors[(k + i) * BLOCK..][..length]));
                let out = groups_mut(&mut self.weighted[(v * k + i) * BLOCK..][..length]);
                for (((x, &w), &e1), &e2) in out.iter_mut().zip(weights).zip(e1).zip(e2) {
                    *x = (Lanes(w) * (d1 * Lanes(e1) + d2 * Lanes(e2))).0;
                }
            }
        }
    }

    /// Products over ordered pairs i ≠ j: see the fields.
    #[inline(always)]
    fn pair_signals(&mut self, length: usize) {
        let k = self.neurons;
        let pairs = k * (k - 1);
        let multiply = |x: &[T], y: &[T], out: &mut [T]| {
            for ((o, &x), &y) in groups_mut(out).iter_mut().zip(groups(x)).zip(groups(y)) {
                *o = (Lanes(x) * Lanes(y)).0;
            }
        };
        for (n, (i, j)) in ordered_pairs(k).enumerate() {
            let (first, second) = (i * BLOCK, (k + j) * BLOCK);
            let (y1, y2) = (&self.values[first..][..length], &self.values[second..][..length]);
            multiply(y1, y2, &mut self.products[n * BLOCK..][..length]);
            multiply(&self.derivatives[first..][..length], y2, &mut self.gradients[n * BLOCK..][..length]);
            multiply(&self.derivatives[second..][..length], y1, &mut self.gradients[(pairs + n) * BLOCK..][..length]);
        }
    }

    /// Λ/(τ²/B) of the group, k x k, from the sums so far.
    pub(crate) fn diffusion(&self, signal: &Signal<'_, T>) -> DMatrix<T> {
        let k = self.neurons;
        let pairs: Vec<(usize, usize)> = ordered_pairs(k).collect();
        let mut sums = self.sums.iter().map(|s| s.sum());
        let mut next = || sums.next().unwrap_or(T::zero());
        let mut out = DMatrix::zeros(k, k);
        for i in 0..k {
            for j in i..k {
                out[(i, j)] = next();
                out[(j, i)] = out[(i, j)];
            }
        }
        if !needs_fluctuations(signal) {
            return out;
        }
        let n = pairs.len();
        let mut fourth = read_symmetric(n, &mut next);
        let mut gradients = read_symmetric(2 * n, &mut next);
        if signal.exchangeable {
            // Half of the nodes may have served for all: exchanging the views maps (i, j) to (j, i), view v to 1 − v.
            let mirror = |a: usize| pairs.iter().position(|&(i, j)| (j, i) == pairs[a]).unwrap_or(a);
            symmetrise(&mut fourth, &mirror);
            symmetrise(&mut gradients, &|a| (1 - a / n) * n + mirror(a % n));
        }
        // Cov(c_a, c_b) = (B − 1)/B² (E[y y y y] − M M), c the part of C from the other samples.
        let share = signal.penalty_strength * signal.penalty_strength * (signal.batch - T::one())
            / (signal.batch * signal.batch);
        for a in 0..2 * n {
            for b in 0..2 * n {
                let ((va, pa), (vb, pb)) = ((a / n, pairs[a % n]), (b / n, pairs[b % n]));
                if signal.flow == GradientFlow::StopGradient && (va == 1 || vb == 1) {
                    continue;
                }
                let covariance = fourth[(a % n, b % n)] - signal.covariance[pa] * signal.covariance[pb];
                let neuron = |v: usize, pair: (usize, usize)| if v == 0 { pair.0 } else { pair.1 };
                let (i, j) = (neuron(va, pa), neuron(vb, pb));
                out[(i, j)] += share * signal.views.get(va, vb) * covariance * gradients[(a, b)];
            }
        }
        out
    }
}

/// A symmetric matrix whose upper triangle comes row by row.
fn read_symmetric<T: Scalar>(n: usize, next: &mut impl FnMut() -> T) -> DMatrix<T> {
    let mut out = DMatrix::zeros(n, n);
    for a in 0..n {
        for b in a..n {
            out[(a, b)] = next();
            out[(b, a)] = out[(a, b)];
        }
    }
    out
}

/// The mean of a matrix and its image under an involution of the indices.
fn symmetrise<T: Scalar>(matrix: &mut DMatrix<T>, image: &dyn Fn(usize) -> usize) {
    let copy = matrix.clone();
    let half = T::lit(0.5);
    for a in 0..copy.nrows() {
        for b in 0..copy.ncols() {
            matrix[(a, b)] = half * (copy[(a, b)] + copy[(image(a), image(b))]);
        }
    }
}

/// Whether the other samples' part of C fluctuates and matters.
fn needs_fluctuations<T: Scalar>(signal: &Signal<'_, T>) -> bool {
    signal.penalty_strength > T::zero() && signal.batch > T::one()
}

/// The ordered pairs (i, j), i ≠ j.
fn ordered_pairs(k: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..k).flat_map(move |i| (0..k).filter(move |&j| j != i).map(move |j| (i, j)))
}

#[inline(always)]
fn dot<T: Scalar>(x: &[T], y: &[T], sum: &mut Lanes<T>) {
    let mut acc = *sum;
    for (&x, &y) in groups(x).iter().zip(groups(y)) {
        acc += Lanes(x) * Lanes(y);
    }
    *sum = acc;
}

#[inline(always)]
fn dot3<T: Scalar>(w: &[T], x: &[T], y: &[T], weight: T, sum: &mut Lanes<T>) {
    let mut acc = Lanes::zero();
    for ((&w, &x), &y) in groups(w).iter().zip(groups(x)).zip(groups(y)) {
        acc += Lanes(w) * Lanes(x) * Lanes(y);
    }
    *sum += Lanes::splat(weight) * acc;
}
