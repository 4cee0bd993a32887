//! Averages over whole batches, for losses whose gradient couples the samples of a batch nonlinearly: nothing less than
//! the batch can be averaged (theory §1, §3).
//!
//! Of a penalty that is not quadratic only the difference from a line is averaged here, g'(C) ≈ offset + slope·C, because
//! averages of the line are known far more accurately; the more samples, the less is left. Of a loss that is no function
//! of covariances everything is averaged here. One Sobol point is one batch: for every sample a node of the
//! hidden law and 2m whitened coordinates.

use nalgebra::DMatrix;

use crate::Scalar;
use crate::limit::averages::curvature::Curvature;
use crate::limit::fields::factor::Factor;
use crate::limit::loss_terms::LossTerms;
use crate::limit::numbers::Numbers;
use crate::model::{EntrySlope, GradientPath, HiddenQuadrature, Nonlinearity};
use crate::numerics::dual::Number;
use crate::numerics::lanes::{LANES, Lanes, dispatch};
use crate::numerics::normal::normal_quantile;
use crate::numerics::sobol::uniform;

/// Frozen batches.
#[derive(Debug, Clone)]
pub(in crate::limit) struct BatchTable<T> {
    batches: usize,
    batch: usize,
    neurons: usize,
    /// The nodes of the hidden law, p x n.
    hidden: DMatrix<T>,
    /// Hidden node of every sample of every batch.
    nodes: Vec<u32>,
    /// Whitened coordinates of every sample, 2m each.
    coordinates: Vec<T>,
}

/// Averages of sums over a batch and its views: with the penalty less with the quadratic one.
#[derive(Debug, Clone)]
pub(in crate::limit) struct BatchSums<N> {
    /// E[(1/B) Σ_b Δe_bi^v c_bl]: at (v·m + i)·p + l.
    pub(in crate::limit) with_hidden: Vec<N>,
    /// E[(1/B) Σ_b Δe_bi^v z_b]: at (v·m + i)·2m + k.
    pub(in crate::limit) with_z: Vec<N>,
    /// E[(1/B²) Σ_b Σ_vv' Δ(e_bi^v D_vv' e_bj^v')]: m x m.
    pub(in crate::limit) diffusion: Vec<N>,
}

impl<N> BatchSums<N> {
    /// Zero, for so many columns beside p hidden variables and so many coordinates, and of m neurons.
    pub(in crate::limit) fn new<T: Scalar>(columns: usize, p: usize, coordinates: usize, m: usize) -> Self
    where
        N: Number<T>,
    {
        let zeros = |count: usize| vec![N::zero(); count];
        Self { with_hidden: zeros(columns * p), with_z: zeros(columns * coordinates), diffusion: zeros(m * m) }
    }

    pub(in crate::limit) fn clear<T: Scalar>(&mut self)
    where
        N: Number<T>,
    {
        for sums in [&mut self.with_hidden, &mut self.with_z, &mut self.diffusion] {
            sums.fill(N::zero());
        }
    }
}

/// Buffers for one batch.
#[derive(Debug, Clone)]
pub(in crate::limit) struct BatchWork<T, N> {
    plain: Vec<T>,
    values: Vec<T>,
    derivatives: Vec<T>,
    seconds: Vec<T>,
    curvature: Curvature<T>,
    fields: Vec<N>,
    outputs: Vec<N>,
    /// e_bi^v of one batch with the penalty, and with the quadratic one: index (b·2 + v)·m + i, as the fields.
    errors: [Vec<N>; 2],
    means: Vec<N>,
    flat: Flat<T>,
    sums: BatchSums<N>,
}

/// What the error signals are made of besides the fields.
pub(in crate::limit) struct BatchSignal<'a, T: Scalar, N> {
    pub(in crate::limit) sigma: &'a dyn Nonlinearity<T>,
    pub(in crate::limit) loss: &'a LossTerms<'a, T>,
    pub(in crate::limit) offsets: &'a [T],
    pub(in crate::limit) slopes: &'a [T],
    pub(in crate::limit) numbers: &'a Numbers<N>,
    pub(in crate::limit) flow: GradientPath,
}

impl<T, N> BatchWork<T, N> {
    /// The error signals of the batch evaluated last: of field f of sample b at b·2m + f.
    pub(in crate::limit) fn errors(&self) -> &[N] {
        &self.errors[0]
    }
}

impl<T: Scalar> BatchTable<T> {
    /// Batches for that accuracy, from several scrambles, or `None` if their fields exceed the budget.
    pub(in crate::limit) fn new(
        hidden: &HiddenQuadrature<T>,
        (neurons, batch): (usize, usize),
        accuracy: f64,
        scrambles: &[u32],
        budget: usize,
    ) -> Option<Self> {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a small positive number
        let each = 1_usize << ((0.75 * accuracy + 3.0).clamp(4.0, 31.0) as u32);
        let batches = each.checked_mul(scrambles.len())?;
        if batches.checked_mul(batch)?.checked_mul(2 * neurons)? > budget {
            return None;
        }
        let mut cumulative = Vec::with_capacity(hidden.weights.len());
        let mut below = 0.0;
        for w in &hidden.weights {
            below += w.as_f64();
            cumulative.push(below);
        }
        let per_sample = 1 + 2 * neurons;
        let (mut nodes, mut coordinates) = (Vec::new(), Vec::new());
        for &scramble in scrambles {
            for n in 0..each {
                for b in 0..batch {
                    let at = |k: usize| uniform(n, b * per_sample + k, scramble);
                    let node = cumulative.partition_point(|&c| c <= at(0)).min(cumulative.len() - 1);
                    #[allow(clippy::cast_possible_truncation)] // the nodes of a hidden law are a few thousand
                    nodes.push(node as u32);
                    coordinates.extend((1..per_sample).map(|k| T::lit(normal_quantile(at(k)))));
                }
            }
        }
        Some(Self { batches, batch, neurons, nodes, coordinates, hidden: hidden.nodes.clone() })
    }

    /// The nodes of the hidden law, p x n.
    pub(in crate::limit) fn hidden(&self) -> &DMatrix<T> {
        &self.hidden
    }

    /// The nodes of the hidden law, p x n, to be moved.
    pub(in crate::limit) fn hidden_mut(&mut self) -> &mut DMatrix<T> {
        &mut self.hidden
    }

    /// Fields evaluated by one call of [`average`](Self::average).
    pub(in crate::limit) fn count(&self) -> usize {
        self.batches * self.batch * 2 * self.neurons
    }

    pub(in crate::limit) fn work<N: Number<T>>(&self) -> BatchWork<T, N> {
        let (m, p) = (self.neurons, self.hidden.nrows());
        let length = 2 * m * self.batch;
        let (plain, lifted) = (|| vec![T::zero(); length], || vec![N::zero(); length]);
        BatchWork {
            plain: plain(),
            values: plain(),
            derivatives: plain(),
            seconds: plain(),
            curvature: Curvature::new(length),
            fields: lifted(),
            outputs: lifted(),
            errors: [lifted(), lifted()],
            means: vec![N::zero(); m * self.hidden.ncols()],
            flat: Flat::new(length),
            sums: BatchSums::new(2 * m, p, 2 * m, m),
        }
    }

    /// The averages at scaled overlaps `q` (p x m, row by row) with the factor of the 2m fields (view 1 first).
    pub(in crate::limit) fn average<'w, N: Number<T>>(
        &self,
        q: &[N],
        factor: &Factor<T, N>,
        signal: &BatchSignal<'_, T, N>,
        work: &'w mut BatchWork<T, N>,
    ) -> &'w BatchSums<N> {
        self.set_means(q, work);
        work.sums.clear();
        for n in 0..self.batches {
            self.evaluate(n, factor, signal, work);
            dispatch(
                #[inline(always)]
                || self.accumulate(n, signal, work),
            );
        }
        let samples = T::one() / T::of_usize(self.batches * self.batch);
        for x in work.sums.with_hidden.iter_mut().chain(&mut work.sums.with_z) {
            *x = x.times(samples);
        }
        for x in &mut work.sums.diffusion {
            *x = x.times(samples / T::of_usize(self.batch));
        }
        &work.sums
    }

    /// The means of the fields at every node of the hidden law, with scaled overlaps `q` (p x m, row by row).
    pub(in crate::limit) fn set_means<N: Number<T>>(&self, q: &[N], work: &mut BatchWork<T, N>) {
        let m = self.neurons;
        for (slot, mean) in work.means.iter_mut().enumerate() {
            let column = self.hidden.column(slot / m);
            let terms = column.iter().enumerate();
            *mean = terms.fold(N::zero(), |sum, (l, &c)| sum + q[l * m + slot % m].times(c));
        }
    }

    /// The number of batches.
    pub(in crate::limit) fn batches(&self) -> usize {
        self.batches
    }

    /// Of each sample of batch n the node of the hidden law, and the 2m whitened coordinates of the fields.
    pub(in crate::limit) fn samples(&self, n: usize) -> impl Iterator<Item = (usize, &[T])> {
        let nodes = &self.nodes[n * self.batch..(n + 1) * self.batch];
        let fields = 2 * self.neurons;
        let coordinates = self.coordinates[n * self.batch * fields..].chunks_exact(fields);
        nodes.iter().map(|&node| node as usize).zip(coordinates)
    }

    /// The error signals of batch n.
    pub(in crate::limit) fn evaluate<N: Number<T>>(
        &self,
        n: usize,
        factor: &Factor<T, N>,
        signal: &BatchSignal<'_, T, N>,
        work: &mut BatchWork<T, N>,
    ) {
        dispatch(
            #[inline(always)]
            || self.fill_fields(n, factor, work),
        );
        signal.sigma.evaluate(&work.plain, &mut work.values, &mut work.derivatives);
        if N::DIFFERENTIATES {
            let BatchWork { plain, values, derivatives, seconds, curvature, .. } = work;
            curvature.evaluate(signal.sigma, plain, values, derivatives, seconds);
        }
        dispatch(
            #[inline(always)]
            || self.error_signals(signal, work),
        );
    }

    #[inline(always)]
    fn fill_fields<N: Number<T>>(&self, n: usize, factor: &Factor<T, N>, work: &mut BatchWork<T, N>) {
        let (m, fields) = (self.neurons, 2 * self.neurons);
        for b in 0..self.batch {
            let sample = n * self.batch + b;
            let z = &self.coordinates[sample * fields..][..fields];
            let node = self.nodes[sample] as usize;
            for f in 0..fields {
                let mut h = work.means[node * m + f % m];
                for (k, &z) in z.iter().enumerate() {
                    h += factor.get(f, k).times(z);
                }
                work.fields[b * fields + f] = h;
                work.plain[b * fields + f] = h.value();
            }
        }
    }

    #[inline(always)]
    fn accumulate<N: Number<T>>(&self, n: usize, signal: &BatchSignal<'_, T, N>, work: &mut BatchWork<T, N>) {
        let (m, p, fields) = (self.neurons, self.hidden.nrows(), 2 * self.neurons);
        let BatchWork { errors: [errors, known], sums, .. } = work;
        for b in 0..self.batch {
            let sample = n * self.batch + b;
            let z = &self.coordinates[sample * fields..][..fields];
            let c = self.hidden.column(self.nodes[sample] as usize);
            let (errors, known) = (&errors[b * fields..][..fields], &known[b * fields..][..fields]);
            for f in 0..fields {
                let added = errors[f] - known[f];
                for (slot, &z) in sums.with_z[f * fields..][..fields].iter_mut().zip(z) {
                    *slot += added.times(z);
                }
                for (slot, &c) in sums.with_hidden[f * p..][..p].iter_mut().zip(c.iter()) {
                    *slot += added.times(c);
                }
            }
            for i in 0..m {
                for j in 0..m {
                    let product = |e: &[N]| {
                        let d = |v: usize, w: usize| signal.numbers.views.get(v, w);
                        e[i] * (d(0, 0) * e[j] + d(0, 1) * e[m + j]) + e[m + i] * (d(1, 0) * e[j] + d(1, 1) * e[m + j])
                    };
                    sums.diffusion[i * m + j] += product(errors) - product(known);
                }
            }
        }
    }

    #[inline(always)]
    fn error_signals<N: Number<T>>(&self, signal: &BatchSignal<'_, T, N>, work: &mut BatchWork<T, N>) {
        let BatchWork { fields: h, values, derivatives, outputs, errors, .. } = work;
        for (((y, h), &value), &d) in outputs.iter_mut().zip(&*h).zip(&*values).zip(&*derivatives) {
            *y = h.map(value, d);
        }
        for errors in &mut *errors {
            errors.fill(N::zero());
        }
        if signal.loss.has_form() {
            self.covariance_gradients(signal, work);
        } else {
            self.gradient(signal, work);
        }
        let BatchWork { fields: h, derivatives, seconds, errors, .. } = work;
        for errors in errors {
            for (k, e) in errors.iter_mut().enumerate() {
                *e = *e * h[k].map(derivatives[k], seconds[k]);
            }
        }
    }

    /// B ∂F/∂Y of a function of covariances, and of the one with affine slopes beside it.
    #[inline(always)]
    fn covariance_gradients<N: Number<T>>(&self, signal: &BatchSignal<'_, T, N>, work: &mut BatchWork<T, N>) {
        let (m, fields) = (self.neurons, 2 * self.neurons);
        let BatchWork { outputs, errors, .. } = work;
        let strength = signal.numbers.penalty_strength;
        let scale = T::one() / T::of_usize(self.batch);
        let both = signal.flow == GradientPath::BothViews;
        let (diagonal, entry) = (signal.loss.diagonal_line(), signal.loss.off_diagonal());
        for i in 0..m {
            for j in 0..m {
                let mut gradients = [N::constant(diagonal.0); 2];
                let covariance = || {
                    let pairs = (0..self.batch).map(|b| outputs[b * fields + i] * outputs[b * fields + m + j]);
                    pairs.fold(N::zero(), |sum, x| sum + x).times(scale)
                };
                if i == j && diagonal.1 != T::zero() {
                    gradients = [N::constant(diagonal.0) + covariance().times(diagonal.1); 2];
                } else if i != j {
                    let c = covariance();
                    let (offset, slope) = (signal.offsets[i * m + j], signal.slopes[i * m + j]);
                    // ∂F/∂C_ij itself, and the line beside it.
                    let curved = c.map(entry.at(c.value()), second::<T, N>(&entry, c.value()));
                    gradients = [strength * curved, strength * (N::constant(offset) + c.times(slope))];
                }
                for (errors, gradient) in errors.iter_mut().zip(gradients) {
                    for b in 0..self.batch {
                        errors[b * fields + i] += gradient * outputs[b * fields + m + j];
                        if both {
                            errors[b * fields + m + j] += gradient * outputs[b * fields + i];
                        }
                    }
                }
            }
        }
    }

    /// B ∂F/∂Y of any loss, with nothing known beside it.
    fn gradient<N: Number<T>>(&self, signal: &BatchSignal<'_, T, N>, work: &mut BatchWork<T, N>) {
        let (m, fields, size) = (self.neurons, 2 * self.neurons, self.batch);
        let BatchWork { outputs, errors: [errors, _], flat, .. } = work;
        // A loss sees (2i + v)·B + b; here sample b has view v of neuron i at b·2m + v·m + i.
        let place = |k: usize| (k % size) * fields + (k / size % 2) * m + k / (2 * size);
        for (k, y) in flat.outputs.iter_mut().enumerate() {
            *y = outputs[place(k)].value();
        }
        signal.loss.gradient_of(&flat.outputs, m, size, &mut flat.gradient);
        for (k, &g) in flat.gradient.iter().enumerate() {
            errors[place(k)] = N::constant(g);
        }
        if N::DIFFERENTIATES {
            flat.differentiate(
                signal.loss,
                m,
                size,
                |k| outputs[place(k)],
                |k, slopes| {
                    errors[place(k)] = N::with_slopes(errors[place(k)].value(), slopes);
                },
            );
        }
        if signal.flow == GradientPath::StopGradient {
            for (k, e) in errors.iter_mut().enumerate() {
                if k % fields >= m {
                    *e = N::zero();
                }
            }
        }
    }
}

/// One batch in the layout of a loss, and what its derivatives along a direction are taken from.
#[derive(Debug, Clone)]
struct Flat<T> {
    outputs: Vec<T>,
    gradient: Vec<T>,
    moved: Vec<T>,
    change: Vec<T>,
    slopes: Vec<Lanes<T>>,
}

impl<T: Scalar> Flat<T> {
    fn new(length: usize) -> Self {
        let zeros = || vec![T::zero(); length];
        Self {
            outputs: zeros(),
            gradient: zeros(),
            moved: zeros(),
            change: zeros(),
            slopes: vec![Lanes::zero(); length],
        }
    }

    /// The derivatives of the gradient along every direction of the outputs, by differences of fourth order.
    fn differentiate<N: Number<T>>(
        &mut self,
        loss: &LossTerms<'_, T>,
        m: usize,
        size: usize,
        output: impl Fn(usize) -> N,
        mut give: impl FnMut(usize, Lanes<T>),
    ) {
        let scale = self.outputs.iter().fold(T::one(), |most, y| most.max(y.abs()));
        self.slopes.fill(Lanes::zero());
        for direction in 0..LANES {
            let along = |k: usize| output(k).slope(direction);
            let length = (0..self.outputs.len()).fold(T::zero(), |most, k| most.max(along(k).abs()));
            if !(length > T::zero()) {
                continue;
            }
            // The step at which truncation, of fourth order, and rounding balance.
            let step = T::EPSILON.powf(T::lit(0.2)) * scale / length;
            self.change.fill(T::zero());
            for (at, weight) in [(-2.0, 1.0), (-1.0, -8.0), (1.0, 8.0), (2.0, -1.0)] {
                for (k, moved) in self.moved.iter_mut().enumerate() {
                    *moved = self.outputs[k] + T::lit(at) * step * along(k);
                }
                loss.gradient_of(&self.moved, m, size, &mut self.gradient);
                for (change, &g) in self.change.iter_mut().zip(&self.gradient) {
                    *change += T::lit(weight) * g;
                }
            }
            for (slopes, &change) in self.slopes.iter_mut().zip(&self.change) {
                slopes.0[direction] = change / (T::lit(12.0) * step);
            }
        }
        for (k, &slopes) in self.slopes.iter().enumerate() {
            give(k, slopes);
        }
    }
}

/// g'' by a difference of g' of fourth order, where it matters.
#[inline(always)]
fn second<T: Scalar, N: Number<T>>(entry: &EntrySlope<'_, T>, c: T) -> T {
    if !N::DIFFERENTIATES {
        return T::zero();
    }
    let step = T::EPSILON.powf(T::lit(0.2)) * (T::one() + c.abs());
    let at = |k: f64| entry.at(c + T::lit(k) * step);
    (T::lit(8.0) * (at(1.0) - at(-1.0)) - (at(2.0) - at(-2.0))) / (T::lit(12.0) * step)
}
