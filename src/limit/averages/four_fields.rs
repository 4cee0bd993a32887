//! Averages of products of signals over four fields, two of each view: all that Λ needs (theory §3).

use std::ops::Range;

use crate::Scalar;
use crate::limit::averages::curvature::Curvature;
use crate::limit::averages::table::NodeTable;
use crate::limit::fields::factor::Factor;
use crate::limit::signals::{Kind, NoiseTerms, Signal, four_fields, ordered};
use crate::model::Nonlinearity;
use crate::numerics::lanes::{LANES, Lanes, dispatch, groups, groups_mut};

/// Nodes evaluated at once: the signals of a block stay in the first-level cache.
const BLOCK: usize = 128;
/// 1 and the four whitened coordinates.
const AFFINE: usize = 5;

/// E[∂g/∂h_f z̃_j] for the fields f, z̃ = (1, z).
pub(in crate::limit) type QuadGradient<T> = [[T; AFFINE]; 4];

/// A signal with the fields it is a function of, counted within the four.
#[derive(Debug, Clone, Copy)]
struct Local {
    kind: Kind,
    own: usize,
    other: usize,
}

/// Four fields with their nodes.
#[derive(Debug, Clone)]
pub(in crate::limit) struct Quadruple<T> {
    /// (view, neuron) of each field: two of view 1, then two of view 2.
    pub(in crate::limit) fields: [(usize, usize); 4],
    pub(in crate::limit) table: NodeTable<T>,
    signals: Vec<Signal>,
    locals: Vec<Local>,
    /// Pairs of signals whose products are averaged, sorted.
    pairs: Vec<(usize, usize)>,
    sums: Vec<Lanes<T>>,
    values: [Vec<T>; 4],
    derivatives: [Vec<T>; 4],
    field: Vec<T>,
    /// The signals at a block of nodes, then one product with the weights.
    block: Vec<T>,
}

/// Where the average of a product is found: in these quadruples, with equal weights.
#[derive(Debug, Clone, Default)]
pub(in crate::limit) struct Place {
    pub(in crate::limit) parts: Vec<(usize, usize)>,
}

/// The quadruples that hold the products of `terms`, without nodes, and where each product is found. `reflect`: whether a quadruple
/// of equal neurons in both views sums over half of its nodes, so that mirror images must be averaged.
pub(in crate::limit) fn quadruples<T: Scalar>(
    terms: &NoiseTerms,
    neurons: usize,
    reflect: bool,
) -> (Vec<Quadruple<T>>, Vec<Place>) {
    let mut quadruples: Vec<Quadruple<T>> = Vec::new();
    let mut places = Vec::new();
    for &(x, y) in terms.products() {
        debug_assert!(neurons > 1);
        let fields = four_fields((x, y));
        let index = quadruples.iter().position(|quadruple| quadruple.fields == fields).unwrap_or_else(|| {
            quadruples.push(Quadruple::new(fields));
            quadruples.len() - 1
        });
        let quadruple = &mut quadruples[index];
        let mut place = Place { parts: vec![(index, quadruple.pair(x, y))] };
        if reflect && quadruple.is_symmetric() {
            let (x, y) = ordered(x.mirrored(), y.mirrored());
            place.parts.push((index, quadruple.pair(x, y)));
        }
        places.push(place);
    }
    for (index, quadruple) in quadruples.iter_mut().enumerate() {
        // Products of one signal follow each other.
        let mut order: Vec<usize> = (0..quadruple.pairs.len()).collect();
        order.sort_unstable_by_key(|&k| quadruple.pairs[k]);
        let pairs = order.iter().map(|&k| quadruple.pairs[k]).collect();
        quadruple.pairs = pairs;
        for part in places.iter_mut().flat_map(|place: &mut Place| &mut place.parts).filter(|part| part.0 == index) {
            part.1 = order.iter().position(|&k| k == part.1).unwrap_or(part.1);
        }
        let count = quadruple.locals.len();
        quadruple.block = vec![T::zero(); (count + 1) * BLOCK];
        quadruple.sums = vec![Lanes::zero(); quadruple.pairs.len()];
    }
    (quadruples, places)
}

impl<T: Scalar> Quadruple<T> {
    fn new(fields: [(usize, usize); 4]) -> Self {
        let buffers = || [(); 4].map(|()| vec![T::zero(); BLOCK]);
        Self {
            fields,
            table: NodeTable::empty(4),
            signals: Vec::new(),
            locals: Vec::new(),
            pairs: Vec::new(),
            sums: Vec::new(),
            values: buffers(),
            derivatives: buffers(),
            field: vec![T::zero(); BLOCK],
            block: Vec::new(),
        }
    }

    /// Whether both views have the same neurons.
    pub(in crate::limit) fn is_symmetric(&self) -> bool {
        self.fields[0].1 == self.fields[2].1 && self.fields[1].1 == self.fields[3].1
    }

    /// The number of a pair of signals, which is added if it is new.
    fn pair(&mut self, x: Signal, y: Signal) -> usize {
        let pair = (self.signal(x), self.signal(y));
        self.pairs.iter().position(|known| *known == pair).unwrap_or_else(|| {
            self.pairs.push(pair);
            self.pairs.len() - 1
        })
    }

    fn signal(&mut self, signal: Signal) -> usize {
        self.signals.iter().position(|known| *known == signal).unwrap_or_else(|| {
            let field = |view: usize| {
                let neuron = signal.neuron(view);
                self.fields.iter().position(|f| *f == (view, neuron)).unwrap_or(0)
            };
            let local = Local { kind: signal.kind, own: field(signal.view), other: field(1 - signal.view) };
            self.locals.push(local);
            self.signals.push(signal);
            self.locals.len() - 1
        })
    }

    /// Evaluations of the nonlinearity in one pass over the nodes.
    pub(in crate::limit) fn count(&self) -> usize {
        4 * self.table.count()
    }

    /// σ and σ' of the four fields at a block of nodes.
    fn evaluate(&mut self, range: Range<usize>, mean: &[T], factor: &Factor<T>, sigma: &dyn Nonlinearity<T>) {
        let length = range.len();
        for f in 0..4 {
            let field = &mut self.field[..length];
            fill_field(field, &self.table, range.clone(), mean[self.fields[f].1], factor, f);
            sigma.evaluate(field, &mut self.values[f][..length], &mut self.derivatives[f][..length]);
        }
    }

    /// Adds `weight` times the averages at that mean of each neuron to the sums.
    pub(in crate::limit) fn add(&mut self, mean: &[T], weight: T, factor: &Factor<T>, sigma: &dyn Nonlinearity<T>) {
        for start in (0..self.table.padded()).step_by(BLOCK) {
            let range = start..(start + BLOCK).min(self.table.padded());
            self.evaluate(range.clone(), mean, factor, sigma);
            let Self { table, locals, pairs, sums, values, derivatives, block, .. } = self;
            let weights = &table.weights()[range];
            dispatch(
                #[inline(always)]
                || {
                    signals(locals, values, derivatives, weights.len(), block);
                    products(pairs, locals.len(), weights, weight, block, sums);
                },
            );
        }
    }

    /// Forgets all sums.
    pub(in crate::limit) fn reset(&mut self) {
        self.sums.fill(Lanes::zero());
    }

    /// The average of a pair of signals, from the sums so far.
    pub(in crate::limit) fn average(&self, pair: usize) -> T {
        self.sums[pair].sum()
    }

    /// E[∂g/∂h_f z̃_j] at that mean, for g = Σ weight · product of a pair.
    pub(in crate::limit) fn gradient(
        &mut self,
        mean: &[T],
        factor: &Factor<T>,
        weights: &[Vec<T>],
        sigma: &dyn Nonlinearity<T>,
    ) -> Vec<QuadGradient<T>> {
        let signals = self.locals.len();
        let forms: Vec<Form<T>> = weights.iter().map(|weights| self.form(weights)).collect();
        let mut sums = vec![[[Lanes::zero(); AFFINE]; 4]; forms.len()];
        let mut work = GradientBlock::new(signals);
        let mut curvature = Curvature::new(BLOCK);
        for start in (0..self.table.padded()).step_by(BLOCK) {
            let range = start..(start + BLOCK).min(self.table.padded());
            let length = range.len();
            self.evaluate(range.clone(), mean, factor, sigma);
            for f in 0..4 {
                let field = &mut self.field[..length];
                fill_field(field, &self.table, range.clone(), mean[self.fields[f].1], factor, f);
                let (y, d) = (&self.values[f][..length], &self.derivatives[f][..length]);
                curvature.evaluate(sigma, field, y, d, &mut work.seconds[f][..length]);
            }
            let Self { table, locals, values, derivatives, block, .. } = self;
            dispatch(
                #[inline(always)]
                || {
                    self::signals(locals, values, derivatives, length, block);
                    work.slopes(locals, values, derivatives, length);
                    for (form, sums) in forms.iter().zip(&mut sums) {
                        work.accumulate(form, locals, block, table, range.clone(), sums);
                    }
                },
            );
        }
        sums.into_iter().map(|sums| sums.map(|field| field.map(Lanes::sum))).collect()
    }

    /// As [`gradient`](Self::gradient), without σ'': by parts, from the moments E[g z̃_j z̃_k].
    pub(in crate::limit) fn gradient_by_parts(
        &mut self,
        mean: &[T],
        factor: &Factor<T>,
        weights: &[Vec<T>],
        sigma: &dyn Nonlinearity<T>,
    ) -> Vec<QuadGradient<T>> {
        let forms: Vec<Form<T>> = weights.iter().map(|weights| self.form(weights)).collect();
        let mut sums = vec![[[Lanes::zero(); AFFINE]; AFFINE]; weights.len()];
        for start in (0..self.table.padded()).step_by(BLOCK) {
            let range = start..(start + BLOCK).min(self.table.padded());
            self.evaluate(range.clone(), mean, factor, sigma);
            let Self { table, locals, values, derivatives, block, .. } = self;
            dispatch(
                #[inline(always)]
                || {
                    signals(locals, values, derivatives, range.len(), block);
                    for (form, sums) in forms.iter().zip(&mut sums) {
                        moments(form, block, table, range.clone(), sums);
                    }
                },
            );
        }
        let moments = sums.into_iter().map(|sums| sums.map(|row| row.map(Lanes::sum)));
        let solve = |moments: [[T; AFFINE]; AFFINE]| {
            // E[∂g/∂z_j z̃_k] = E[g z_j z̃_k] − δ_jk E[g].
            let mut gradient = [[T::zero(); AFFINE]; 4];
            for k in 0..AFFINE {
                let along: [T; 4] =
                    std::array::from_fn(|j| moments[j + 1][k] - if j + 1 == k { moments[0][0] } else { T::zero() });
                let fields = factor.solve_transposed(&along);
                (0..4).for_each(|f| gradient[f][k] = fields[f]);
            }
            gradient
        };
        moments.map(solve).collect()
    }

    /// Twice the symmetric matrix W with g = sᵀ W s over the signals s, from the weights of the pairs.
    fn form(&self, weights: &[T]) -> Form<T> {
        let mut rows = vec![Vec::new(); self.locals.len()];
        for (&(x, y), &weight) in self.pairs.iter().zip(weights).filter(|(_, weight)| **weight != T::zero()) {
            if x == y {
                rows[x].push((y, weight + weight));
            } else {
                rows[x].push((y, weight));
                rows[y].push((x, weight));
            }
        }
        rows
    }

    /// The number of pairs of signals.
    pub(in crate::limit) fn pairs(&self) -> usize {
        self.pairs.len()
    }
}

/// Field f at a block of nodes.
fn fill_field<T: Scalar>(
    out: &mut [T],
    table: &NodeTable<T>,
    range: Range<usize>,
    mean: T,
    factor: &Factor<T>,
    f: usize,
) {
    out.fill(mean);
    for axis in 0..4 {
        let (gain, z) = (factor.get(f, axis), &table.coordinate(axis)[range.clone()]);
        if gain != T::zero() {
            dispatch(
                #[inline(always)]
                || out.iter_mut().zip(z).for_each(|(h, &z)| *h += gain * z),
            );
        }
    }
}

/// The signals at a block of nodes.
#[inline(always)]
fn signals<T: Scalar>(locals: &[Local], y: &[Vec<T>; 4], d: &[Vec<T>; 4], length: usize, block: &mut [T]) {
    for (local, out) in locals.iter().zip(block.chunks_exact_mut(BLOCK)) {
        let (own, other) = (local.own, local.other);
        let out = groups_mut(&mut out[..length]);
        let [yo, yt, slope] = [&y[own], &y[other], &d[own]].map(|x| groups(&x[..length]));
        for n in 0..out.len() {
            let (yo, yt, slope) = (Lanes(yo[n]), Lanes(yt[n]), Lanes(slope[n]));
            out[n] = match local.kind {
                Kind::Error => slope * yt,
                Kind::Own => slope * yo * (yt * yt),
                Kind::Output => yo * yt,
            }
            .0;
        }
    }
}

/// Adds E[g z̃_j z̃_k], g = sᵀ W s, over a block of nodes.
#[inline(always)]
fn moments<T: Scalar>(
    form: &Form<T>,
    block: &[T],
    table: &NodeTable<T>,
    range: Range<usize>,
    sums: &mut [[Lanes<T>; AFFINE]; AFFINE],
) {
    let length = range.len();
    let weights = groups(&table.weights()[range.clone()]);
    let z: [&[[T; LANES]]; 4] = std::array::from_fn(|k| groups(&table.coordinate(k)[range.clone()]));
    for (n, &w) in weights.iter().enumerate() {
        let at = |signal: usize| Lanes(groups(&block[signal * BLOCK..][..length])[n]);
        let mut g = Lanes::zero();
        for (x, row) in form.iter().enumerate().filter(|(_, row)| !row.is_empty()) {
            let mut sum = Lanes::zero();
            for &(y, entry) in row {
                sum += Lanes::splat(entry) * at(y);
            }
            g += sum * at(x);
        }
        let g = g * Lanes(w) * Lanes::splat(T::lit(0.5));
        let mut point = [Lanes::splat(T::one()); AFFINE];
        for k in 0..4 {
            point[k + 1] = Lanes(z[k][n]);
        }
        for j in 0..AFFINE {
            let first = g * point[j];
            for k in 0..AFFINE {
                sums[j][k] += first * point[k];
            }
        }
    }
}

/// Adds `weight` times the weighted sums of the products to `sums`.
#[inline(always)]
fn products<T: Scalar>(
    pairs: &[(usize, usize)],
    signals: usize,
    weights: &[T],
    weight: T,
    block: &mut [T],
    sums: &mut [Lanes<T>],
) {
    let (signals, weighted) = block.split_at_mut(signals * BLOCK);
    let length = weights.len();
    let mut done = 0;
    while let Some(&(x, _)) = pairs.get(done) {
        let first = groups(&signals[x * BLOCK..][..length]);
        let weighted = groups_mut(&mut weighted[..length]);
        for ((out, &x), &w) in weighted.iter_mut().zip(first).zip(groups(weights)) {
            *out = (Lanes(x) * Lanes(w)).0;
        }
        let run = pairs[done..].iter().take_while(|pair| pair.0 == x).count();
        let end = done + run;
        // Four products at a time share the loads of the first factor.
        while done < end {
            let count = (end - done).min(4);
            let second: [&[[T; LANES]]; 4] = std::array::from_fn(|k| {
                let y = pairs[done + k.min(count - 1)].1;
                groups(&signals[y * BLOCK..][..length])
            });
            let mut total = [Lanes::zero(); 4];
            for (n, &x) in weighted.iter().enumerate() {
                for k in 0..4 {
                    total[k] += Lanes(x) * Lanes(second[k][n]);
                }
            }
            for k in 0..count {
                sums[done + k] += Lanes::splat(weight) * total[k];
            }
            done += count;
        }
    }
}

/// Buffers of the gradient at a block of nodes.
struct GradientBlock<T> {
    seconds: [Vec<T>; 4],
    /// Derivatives of every signal by its own field, then by the other.
    own: Vec<T>,
    other: Vec<T>,
    /// ∂g/∂h of the four fields.
    fields: [Vec<T>; 4],
    row: Vec<T>,
}

impl<T: Scalar> GradientBlock<T> {
    fn new(signals: usize) -> Self {
        let zeros = || vec![T::zero(); BLOCK];
        Self {
            seconds: [(); 4].map(|()| zeros()),
            own: vec![T::zero(); signals * BLOCK],
            other: vec![T::zero(); signals * BLOCK],
            fields: [(); 4].map(|()| zeros()),
            row: zeros(),
        }
    }

    #[inline(always)]
    fn slopes(&mut self, locals: &[Local], y: &[Vec<T>; 4], d: &[Vec<T>; 4], length: usize) {
        let two = Lanes::splat(T::lit(2.0));
        for (x, local) in locals.iter().enumerate() {
            let (own, other) = (local.own, local.other);
            let by_own = groups_mut(&mut self.own[x * BLOCK..][..length]);
            let by_other = groups_mut(&mut self.other[x * BLOCK..][..length]);
            let [yo, yt, slope, slope_t, second] =
                [&y[own], &y[other], &d[own], &d[other], &self.seconds[own]].map(|x| groups(&x[..length]));
            for n in 0..by_own.len() {
                let (yo, yt, slope) = (Lanes(yo[n]), Lanes(yt[n]), Lanes(slope[n]));
                let (slope_t, second) = (Lanes(slope_t[n]), Lanes(second[n]));
                let (a, b) = match local.kind {
                    Kind::Error => (second * yt, slope * slope_t),
                    Kind::Own => ((second * yo + slope * slope) * (yt * yt), two * slope * yo * yt * slope_t),
                    Kind::Output => (slope * yt, yo * slope_t),
                };
                by_own[n] = a.0;
                by_other[n] = b.0;
            }
        }
    }

    #[inline(always)]
    fn accumulate(
        &mut self,
        form: &Form<T>,
        locals: &[Local],
        block: &[T],
        table: &NodeTable<T>,
        range: Range<usize>,
        sums: &mut QuadLanes<T>,
    ) {
        let length = range.len();
        for field in &mut self.fields {
            field[..length].fill(T::zero());
        }
        let weights = groups(&table.weights()[range.clone()]);
        for ((x, local), row) in locals.iter().enumerate().zip(form) {
            if row.is_empty() {
                continue;
            }
            // 2 w (W s)_x.
            let out = groups_mut(&mut self.row[..length]);
            for (n, (out, &w)) in out.iter_mut().zip(weights).enumerate() {
                let mut sum = Lanes::zero();
                for &(y, entry) in row {
                    sum += Lanes::splat(entry) * Lanes(groups(&block[y * BLOCK..][..length])[n]);
                }
                *out = (sum * Lanes(w)).0;
            }
            for (field, slopes) in [(local.own, &self.own), (local.other, &self.other)] {
                let total = groups_mut(&mut self.fields[field][..length]);
                let slopes = groups(&slopes[x * BLOCK..][..length]);
                for ((total, &row), &slope) in total.iter_mut().zip(&*out).zip(slopes) {
                    *total = (Lanes(*total) + Lanes(row) * Lanes(slope)).0;
                }
            }
        }
        for (field, sums) in self.fields.iter().zip(sums) {
            let field = groups(&field[..length]);
            let mut plain = Lanes::zero();
            for &g in field {
                plain += Lanes(g);
            }
            sums[0] += plain;
            for k in 0..4 {
                let z = groups(&table.coordinate(k)[range.clone()]);
                let mut sum = Lanes::zero();
                for (&g, &z) in field.iter().zip(z) {
                    sum += Lanes(g) * Lanes(z);
                }
                sums[k + 1] += sum;
            }
        }
    }
}

/// For each signal, the other signals with their entries in the row.
type Form<T> = Vec<Vec<(usize, T)>>;

type QuadLanes<T> = [[Lanes<T>; AFFINE]; 4];
