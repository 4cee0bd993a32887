//! Averages over whole batches, for penalties that are not quadratic: there C_ij couples the samples of a batch
//! nonlinearly, and nothing less than the batch can be averaged (theory §3).
//!
//! Averaged is what the penalty adds to the loss without it, whose averages over single samples are known far more
//! accurately. One Sobol point is one batch: for every sample a node of the hidden law and 2m whitened coordinates.

use nalgebra::DMatrix;

use super::factor::Factor;
use super::sobol::{normal_quantile, uniform};
use crate::Scalar;
use crate::model::hidden::HiddenQuadrature;
use crate::model::{GradientFlow, Nonlinearity, Penalty, ViewCovariance};

/// Frozen batches, and buffers for one.
#[derive(Debug, Clone)]
pub(crate) struct BatchTable<T> {
    batches: usize,
    batch: usize,
    neurons: usize,
    /// The nodes of the hidden law, p x n.
    hidden: DMatrix<T>,
    /// Hidden node of every sample of every batch.
    nodes: Vec<u32>,
    /// Whitened coordinates of every sample, 2m each.
    coordinates: Vec<T>,
    fields: Vec<T>,
    values: Vec<T>,
    derivatives: Vec<T>,
    /// e_bi^v of one batch, with and without penalty: index (b·2 + v)·m + i, as the fields.
    errors: Vec<T>,
    bare: Vec<T>,
}

/// Averages of sums over a batch and its views: with penalty less without.
#[derive(Debug, Clone)]
pub(crate) struct BatchSums<T: Scalar> {
    /// E[(1/B) Σ_b Δe_bi^v c_bl]: p x 2m, column v·m + i.
    pub(crate) with_hidden: DMatrix<T>,
    /// E[(1/B) Σ_b Δe_bi^v z_b]: 2m x 2m, column v·m + i.
    pub(crate) with_z: DMatrix<T>,
    /// E[(1/B²) Σ_b Σ_vv' Δ(e_bi^v D_vv' e_bj^v')]: m x m.
    pub(crate) diffusion: DMatrix<T>,
}

/// What the error signals are made of besides the fields.
#[derive(Clone, Copy)]
pub(crate) struct BatchSignal<'a, T: Scalar> {
    pub(crate) sigma: &'a dyn Nonlinearity<T>,
    pub(crate) penalty: &'a dyn Penalty<T>,
    pub(crate) penalty_strength: T,
    pub(crate) views: ViewCovariance<T>,
    pub(crate) flow: GradientFlow,
}

impl<T: Scalar> BatchTable<T> {
    /// Batches for that accuracy, or `None` if their samples exceed the budget.
    pub(crate) fn new(
        hidden: &HiddenQuadrature<T>,
        neurons: usize,
        batch: usize,
        accuracy: f64,
        budget: usize,
    ) -> Option<Self> {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a small positive number
        let (bits, scramble) = ((0.75 * accuracy + 6.0).clamp(4.0, 31.0) as u32, (accuracy * 1024.0) as u32);
        let batches = 1_usize << bits;
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
        for n in 0..batches {
            for b in 0..batch {
                let at = |k: usize| uniform(n, b * per_sample + k, scramble);
                let node = cumulative.partition_point(|&c| c <= at(0)).min(cumulative.len() - 1);
                #[allow(clippy::cast_possible_truncation)] // the nodes of a hidden law are a few thousand
                nodes.push(node as u32);
                coordinates.extend((1..per_sample).map(|k| T::lit(normal_quantile(at(k)))));
            }
        }
        let buffer = vec![T::zero(); 2 * neurons * batch];
        Some(Self {
            batches,
            batch,
            neurons,
            nodes,
            coordinates,
            fields: buffer.clone(),
            values: buffer.clone(),
            derivatives: buffer.clone(),
            errors: buffer.clone(),
            bare: buffer,
            hidden: hidden.nodes.clone(),
        })
    }

    /// Fields evaluated by one call of [`average`](Self::average).
    pub(crate) fn count(&self) -> usize {
        self.batches * self.batch * 2 * self.neurons
    }

    /// The averages at overlaps `q` (p x m) with the factor of the 2m fields (view 1 first).
    pub(crate) fn average(&mut self, q: &DMatrix<T>, factor: &Factor<T>, signal: &BatchSignal<'_, T>) -> BatchSums<T> {
        let (m, p, fields) = (self.neurons, q.nrows(), 2 * self.neurons);
        let means = q.tr_mul(&self.hidden);
        let mut sums = BatchSums {
            with_hidden: DMatrix::zeros(p, fields),
            with_z: DMatrix::zeros(fields, fields),
            diffusion: DMatrix::zeros(m, m),
        };
        let rows: Vec<T> = (0..fields * fields).map(|k| factor.get(k / fields, k % fields)).collect();
        let batch = T::of_usize(self.batch);
        let samples = self.batches * self.batch;
        for n in 0..self.batches {
            let first = n * self.batch;
            for b in 0..self.batch {
                let z = &self.coordinates[(first + b) * fields..][..fields];
                let node = self.nodes[first + b] as usize;
                for f in 0..fields {
                    let noise: T = rows[f * fields..][..fields].iter().zip(z).map(|(&r, &z)| r * z).sum();
                    self.fields[b * fields + f] = means[(f % m, node)] + noise;
                }
            }
            signal.sigma.evaluate(&self.fields, &mut self.values, &mut self.derivatives);
            self.error_signals(signal);
            for b in 0..self.batch {
                let z = &self.coordinates[(first + b) * fields..][..fields];
                let c = self.hidden.column(self.nodes[first + b] as usize);
                let (errors, bare) = (&self.errors[b * fields..][..fields], &self.bare[b * fields..][..fields]);
                for f in 0..fields {
                    let added = errors[f] - bare[f];
                    for (slot, &z) in sums.with_z.column_mut(f).iter_mut().zip(z) {
                        *slot += added * z;
                    }
                    for (slot, &c) in sums.with_hidden.column_mut(f).iter_mut().zip(c.iter()) {
                        *slot += added * c;
                    }
                }
                for j in 0..m {
                    for i in 0..m {
                        let product = |e: &[T]| {
                            let d = signal.views;
                            e[j] * (d.get(0, 0) * e[i] + d.get(0, 1) * e[m + i])
                                + e[m + j] * (d.get(1, 0) * e[i] + d.get(1, 1) * e[m + i])
                        };
                        sums.diffusion[(i, j)] += product(errors) - product(bare);
                    }
                }
            }
        }
        let scale = T::one() / T::of_usize(samples);
        sums.with_hidden *= scale;
        sums.with_z *= scale;
        sums.diffusion *= scale / batch;
        sums
    }

    fn error_signals(&mut self, signal: &BatchSignal<'_, T>) {
        let (m, fields) = (self.neurons, 2 * self.neurons);
        let value = |b: usize, v: usize, i: usize| self.values[b * fields + v * m + i];
        let scale = T::one() / T::of_usize(self.batch);
        self.errors.fill(T::zero());
        for i in 0..m {
            for j in 0..m {
                // G_ij = ∂F/∂C_ij.
                let gradient = if i == j {
                    -T::one()
                } else {
                    let sum: T = (0..self.batch).map(|b| value(b, 0, i) * value(b, 1, j)).sum();
                    signal.penalty_strength * signal.penalty.derivative(sum * scale)
                };
                for b in 0..self.batch {
                    self.errors[b * fields + i] += gradient * value(b, 1, j);
                    if signal.flow == GradientFlow::BothViews {
                        self.errors[b * fields + m + j] += gradient * value(b, 0, i);
                    }
                }
            }
        }
        for (e, &d) in self.errors.iter_mut().zip(&self.derivatives) {
            *e *= d;
        }
        for b in 0..self.batch {
            for i in 0..m {
                let at = |v: usize| b * fields + v * m + i;
                self.bare[at(0)] = -self.derivatives[at(0)] * self.values[at(1)];
                if signal.flow == GradientFlow::BothViews {
                    self.bare[at(1)] = -self.derivatives[at(1)] * self.values[at(0)];
                }
            }
        }
    }
}
