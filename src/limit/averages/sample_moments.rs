//! The coefficients that are made of moments of one sample: their sums over the hidden law, and A, B and Λ (theory §11).
//!
//! Not here: which moments there are (see `expansion`), and their averages at one value of the hidden variables (see `sample_nodes`).

use std::sync::Arc;

use nalgebra::DMatrix;

use crate::Scalar;
use crate::limit::averages::kernel::Kernel;
use crate::limit::averages::sample_nodes::{NodeWork, SampleNodes};
use crate::limit::averages::whole_batches::{BatchSignal, BatchSums};
use crate::limit::expansion::Expansion;
use crate::limit::fields::factor::Factor;
use crate::limit::placements::Term;
use crate::model::{HiddenQuadrature, Parity};
use crate::numerics::dual::Number;

/// Nodes of one sample, with what is averaged over them.
#[derive(Debug, Clone)]
pub(in crate::limit) struct SampleMoments<T> {
    neurons: usize,
    nodes: SampleNodes<T>,
    expansion: Arc<Expansion<T>>,
    /// Which moments are odd, where a node of the hidden law stands for its mirror image.
    odd: Option<Vec<bool>>,
}

/// Buffers for one value of the hidden variables, and sums over all.
#[derive(Debug, Clone)]
pub(in crate::limit) struct MomentWork<T, N> {
    nodes: NodeWork<T, N>,
    moments: Vec<N>,
    /// E[X c_l] for what stands beside x̃ and h: p each.
    with_hidden: Vec<N>,
    sums: BatchSums<N>,
}

impl<T: Scalar> SampleMoments<T> {
    /// Over those nodes of the hidden law, which stand for their mirror images under a σ of that parity, if there is one, and nodes of each
    /// coordinate, where the covariance of the fields is that. `axis` chooses them by the gain of the coordinate. `None` if it has none, or
    /// if functions times nodes exceed the budget by much.
    pub(in crate::limit) fn new(
        (hidden, mirrored): (&HiddenQuadrature<T>, Option<Parity>),
        covariance: &[T],
        neurons: usize,
        expansion: Arc<Expansion<T>>,
        axis: &mut dyn FnMut(f64) -> Option<Kernel<T>>,
        budget: usize,
    ) -> Option<Self> {
        let odd = mirrored.map(|parity| expansion.list.odd_moments(parity == Parity::Odd));
        let beside = |moment| expansion.beside.iter().any(|beside| beside.moment == moment);
        let needed = |moment: usize| odd.as_ref().is_none_or(|odd| !odd[moment]) || beside(moment);
        let nodes = SampleNodes::new(
            hidden,
            (covariance, neurons),
            (&expansion.list, &needed),
            axis,
            (budget, 1 + 2 * neurons),
        )?;
        Some(Self { neurons, nodes, expansion, odd })
    }

    /// The nodes of the hidden law, p x n.
    pub(in crate::limit) fn hidden(&self) -> &DMatrix<T> {
        self.nodes.hidden()
    }

    /// The nodes of the hidden law, p x n, to be moved.
    pub(in crate::limit) fn hidden_mut(&mut self) -> &mut DMatrix<T> {
        self.nodes.hidden_mut()
    }

    /// Fields evaluated by one call of [`average`](Self::average).
    pub(in crate::limit) fn count(&self) -> usize {
        self.nodes.count()
    }

    /// Whether the nodes of every coordinate suit `fits`, which is given the gain of the coordinate.
    pub(in crate::limit) fn resolves(&self, factor: &Factor<T>, fits: impl Fn(&Kernel<T>, f64) -> bool) -> bool {
        self.nodes.resolves(factor, fits)
    }

    pub(in crate::limit) fn work<N: Number<T>>(&self) -> MomentWork<T, N> {
        let (m, p) = (self.neurons, self.nodes.hidden().nrows());
        let lifted = |n: usize| vec![N::zero(); n];
        MomentWork {
            nodes: self.nodes.work(&self.expansion.list),
            moments: lifted(self.expansion.list.moments.len()),
            with_hidden: lifted(self.expansion.beside.len() * p),
            sums: BatchSums::new(2 * m, p, 2 * m, m),
        }
    }

    /// The averages at scaled overlaps `q` (p x m, row by row) with the factor of the 2m fields (view 1 first).
    pub(in crate::limit) fn average<'w, N: Number<T>>(
        &self,
        q: &[N],
        factor: &Factor<T, N>,
        signal: &BatchSignal<'_, T, N>,
        work: &'w mut MomentWork<T, N>,
    ) -> &'w BatchSums<N> {
        self.nodes.move_to(factor, &mut work.nodes);
        for sums in [&mut work.moments, &mut work.with_hidden] {
            sums.fill(N::zero());
        }
        for (node, &weight) in self.nodes.weights().iter().enumerate() {
            self.nodes.evaluate(node, q, (&self.expansion.list, signal.sigma), &mut work.nodes);
            let (c, here) = (self.nodes.hidden().column(node), &work.nodes.here);
            for (moment, (total, &here)) in work.moments.iter_mut().zip(here).enumerate() {
                // With its mirror image an odd one cancels.
                if self.odd.as_ref().is_none_or(|odd| !odd[moment]) {
                    *total += here.times(weight);
                }
            }
            for (x, beside) in self.expansion.beside.iter().enumerate() {
                if self.odd.as_ref().is_some_and(|odd| !odd[beside.moment]) {
                    continue;
                }
                for (out, &c) in work.with_hidden[x * c.len()..].iter_mut().zip(c.iter()) {
                    *out += here[beside.moment].times(weight * c);
                }
            }
        }
        self.collect(factor, signal, work);
        &work.sums
    }

    /// A, B and Λ from the moments.
    fn collect<N: Number<T>>(
        &self,
        factor: &Factor<T, N>,
        signal: &BatchSignal<'_, T, N>,
        work: &mut MomentWork<T, N>,
    ) {
        let (m, p) = (self.neurons, self.nodes.hidden().nrows());
        let fields = 2 * m;
        let MomentWork { moments, with_hidden, nodes, sums, .. } = work;
        let coordinates = &nodes.coordinates;
        sums.clear();
        let value = |term: &Term<T>| {
            let all = term.moments.iter();
            all.fold(N::constant(term.coefficient), |product, &k| product * moments[k])
        };
        // Of each X with the coordinates of the factor, by way of its covariances with the fields.
        let (mut with_z, mut with_fields) =
            (vec![N::zero(); self.expansion.beside.len() * fields], vec![N::zero(); fields]);
        for (beside, with_z) in self.expansion.beside.iter().zip(with_z.chunks_exact_mut(fields)) {
            for (f, out) in with_fields.iter_mut().enumerate() {
                let rows = &coordinates.rows[f / m][f % m * m..][..m];
                let with_own = &beside.with_coordinates[f / m * m..][..m];
                *out = rows.iter().zip(with_own).fold(N::zero(), |sum, (&row, &k)| sum + row * moments[k]);
            }
            factor.regress(&with_fields, with_z);
        }
        for (f, terms) in self.expansion.drift.iter().enumerate() {
            for (x, term) in terms {
                let coefficient = value(term);
                let hidden = &with_hidden[x * p..][..p];
                sums.with_hidden[f * p..].iter_mut().zip(hidden).for_each(|(out, &x)| *out += coefficient * x);
                let z = &with_z[x * fields..][..fields];
                sums.with_z[f * fields..].iter_mut().zip(z).for_each(|(out, &x)| *out += coefficient * x);
            }
        }
        for part in &self.expansion.noise {
            let (i, j) = part.entry;
            let total = part.terms.iter().fold(N::zero(), |sum, term| sum + value(term));
            let noise = signal.numbers.views.get(part.views.0, part.views.1) * total / signal.numbers.batch;
            sums.diffusion[i * m + j] += noise;
            if i != j {
                sums.diffusion[j * m + i] += noise;
            }
        }
    }
}
