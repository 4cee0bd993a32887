//! Moments of one sample, E[F(h¹) G(h²)] of products F and G of σ and σ' of all fields of a view, and the coefficients that are made of
//! them (theory §11).
//!
//! In canonical coordinates the density is a product of bivariate normal densities, each a small matrix between nodes of the two
//! views: of n nodes for a coordinate σ is evaluated at nᵐ nodes of each view, and a moment is a form Fᵀ (K₁ ⊗ … ⊗ K_m) G. How it moves
//! with the means and the rows of the fields are more such forms, whatever the number of directions. Not here: which moments there are
//! (see `expansion`), the coordinates (see `view_coordinates`), the functions of a view (see `sample_functions`) and the matrices (see
//! `kernel`).

use std::sync::Arc;

use nalgebra::DMatrix;

use crate::Scalar;
use crate::limit::averages::kernel::Kernel;
use crate::limit::averages::sample_functions::{SecondWork, ViewWork};
use crate::limit::averages::whole_batches::{BatchSignal, BatchSums};
use crate::limit::expansion::{Expansion, Term};
use crate::limit::fields::factor::Factor;
use crate::limit::fields::view_coordinates::{Reference, ViewCoordinates};
use crate::model::{HiddenQuadrature, Parity};
use crate::numerics::dual::Number;
use crate::numerics::kernels::dot;
use crate::numerics::lanes::{LANES, dispatch};

/// Functions, with their derivatives, times nodes may be so many budgets of nodes: they are kept in memory.
const BUDGETS: usize = 16;

/// Nodes of one sample, with what is averaged over them.
#[derive(Debug, Clone)]
pub(in crate::limit) struct SampleMoments<T> {
    neurons: usize,
    reference: Reference<T>,
    /// Of each canonical coordinate.
    kernels: Vec<Kernel<T>>,
    /// The nodes of each coordinate.
    lengths: Vec<usize>,
    /// Every coordinate at every node of a view.
    coordinates: Vec<Vec<T>>,
    hidden: DMatrix<T>,
    weights: Vec<T>,
    expansion: Arc<Expansion<T>>,
    /// Which moments are odd, where a node of the hidden law stands for its mirror image.
    odd: Option<Vec<bool>>,
    /// For each function of view 2 the moments that it is in and that do not vanish.
    by_second: Vec<Vec<usize>>,
}

/// Buffers for one value of the hidden variables.
#[derive(Debug, Clone)]
pub(in crate::limit) struct MomentWork<T, N> {
    coordinates: ViewCoordinates<T, N>,
    kernels: Vec<Kernel<T>>,
    /// Between all nodes of a coordinate, row by row.
    matrices: Vec<Vec<T>>,
    views: [ViewWork<T>; 2],
    second: SecondWork<T>,
    means: Vec<N>,
    /// At this value of the hidden variables, and over all.
    here: Vec<N>,
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
        let reference = Reference::new(covariance, neurons)?;
        let mut at: ViewCoordinates<T, T> = reference.coordinates();
        at.move_to(&reference, covariance);
        let kernels = (0..neurons).map(|k| axis(at.gain(k))).collect::<Option<Vec<_>>>()?;
        let mut lengths: Vec<usize> = kernels.iter().map(|kernel| kernel.nodes().len()).collect();
        // What follows a coordinate fills groups of lanes, with nodes that no matrix has entries for.
        lengths.last_mut().into_iter().for_each(|last| *last = last.next_multiple_of(LANES));
        let nodes = lengths.iter().try_fold(1_usize, |n, &length| n.checked_mul(length))?;
        let functions: usize = expansion.functions.iter().map(|functions| functions.monomials.len()).sum();
        if functions.checked_mul(nodes)?.checked_mul(1 + 2 * neurons)? / BUDGETS > budget {
            return None;
        }
        let coordinates = (0..neurons).map(|k| {
            let after: usize = lengths[k + 1..].iter().product();
            let node = |n: usize| kernels[k].nodes().get(n / after % lengths[k]).copied().unwrap_or(0.0);
            (0..nodes).map(|n| T::lit(node(n))).collect()
        });
        let mut by_second = vec![Vec::new(); expansion.functions[1].monomials.len()];
        let odd = mirrored.map(|parity| {
            let is_odd = |moment| expansion.is_odd(moment, parity == Parity::Odd);
            (0..expansion.moments.len()).map(is_odd).collect::<Vec<bool>>()
        });
        for (moment, functions) in expansion.moments.iter().enumerate() {
            let beside = expansion.beside.iter().any(|beside| beside.moment == moment);
            if beside || odd.as_ref().is_none_or(|odd| !odd[moment]) {
                by_second[functions[1]].push(moment);
            }
        }
        Some(Self {
            neurons,
            coordinates: coordinates.collect(),
            reference,
            kernels,
            lengths,
            hidden: hidden.nodes.clone(),
            weights: hidden.weights.clone(),
            expansion,
            odd,
            by_second,
        })
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
        self.nodes() * 2 * self.neurons * self.weights.len()
    }

    /// Nodes of a view.
    fn nodes(&self) -> usize {
        self.coordinates.first().map_or(0, Vec::len)
    }

    /// Whether the nodes of every coordinate suit `fits`, which is given the gain of the coordinate.
    pub(in crate::limit) fn resolves(&self, factor: &Factor<T>, fits: impl Fn(&Kernel<T>, f64) -> bool) -> bool {
        let mut at: ViewCoordinates<T, T> = self.reference.coordinates();
        at.move_to(&self.reference, &covariance(factor, self.neurons));
        self.kernels.iter().enumerate().all(|(k, kernel)| fits(kernel, at.gain(k)))
    }

    pub(in crate::limit) fn work<N: Number<T>>(&self) -> MomentWork<T, N> {
        let (m, p, nodes) = (self.neurons, self.hidden.nrows(), self.nodes());
        let lifted = |n: usize| vec![N::zero(); n];
        let squares = self.lengths.iter().map(|length| vec![T::zero(); length * length]);
        let moments = self.expansion.moments.len();
        MomentWork {
            coordinates: self.reference.coordinates(),
            kernels: self.kernels.clone(),
            matrices: squares.collect(),
            views: [0, 1].map(|v| ViewWork::new(m, nodes, self.expansion.functions[v].monomials.len())),
            second: SecondWork::new(m, nodes),
            means: lifted(m),
            here: lifted(moments),
            moments: lifted(moments),
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
        let m = self.neurons;
        work.coordinates.move_to(&self.reference, &covariance(factor, m));
        for (k, (kernel, matrix)) in work.kernels.iter_mut().zip(&mut work.matrices).enumerate() {
            kernel.correlate(work.coordinates.correlations[k]);
            kernel.write_full(matrix, self.lengths[k]);
        }
        for sums in [&mut work.moments, &mut work.with_hidden] {
            sums.fill(N::zero());
        }
        let rows = [0, 1].map(|v| work.coordinates.rows[v].iter().map(Number::value).collect::<Vec<T>>());
        for (c, &weight) in self.hidden.column_iter().zip(&self.weights) {
            for (i, mean) in work.means.iter_mut().enumerate() {
                *mean = c.iter().enumerate().fold(N::zero(), |sum, (l, &c)| sum + q[l * m + i].times(c));
            }
            let means: Vec<T> = work.means.iter().map(Number::value).collect();
            for ((view, rows), list) in work.views.iter_mut().zip(&rows).zip(&self.expansion.functions) {
                view.evaluate((&means, rows, &self.coordinates), signal.sigma, list, work.coordinates.has_rest);
            }
            self.add_forms(work);
            let MomentWork { here, moments, with_hidden, .. } = &mut *work;
            for (moment, (total, &here)) in moments.iter_mut().zip(&*here).enumerate() {
                // With its mirror image an odd one cancels.
                if self.odd.as_ref().is_none_or(|odd| !odd[moment]) {
                    *total += here.times(weight);
                }
            }
            for (x, beside) in self.expansion.beside.iter().enumerate() {
                if self.odd.as_ref().is_some_and(|odd| !odd[beside.moment]) {
                    continue;
                }
                for (out, &c) in with_hidden[x * c.len()..].iter_mut().zip(c.iter()) {
                    *out += here[beside.moment].times(weight * c);
                }
            }
        }
        self.collect(factor, signal, work);
        &work.sums
    }

    /// The forms at one value of the hidden variables.
    ///
    /// E[F G] moves with the means by E[∂_iF G] and E[F ∂_iG], with L¹ by E[∂_iF u_k G], with L² by E[F u_k ∂_iG], and with correlations
    /// between the coordinates by E[∂F/∂u_k ∂G/∂u_l]. The last is also what correlations that the matrices do not have are worth, to
    /// first order.
    fn add_forms<N: Number<T>>(&self, work: &mut MomentWork<T, N>) {
        let (m, nodes) = (self.neurons, self.nodes());
        let MomentWork { coordinates, matrices, views: [first, second], second: through, means, here, .. } = work;
        let motion = |x: &N| *x - N::constant(x.value());
        let moving: Vec<N> = means.iter().map(motion).collect();
        let rows = [0, 1].map(|v| coordinates.rows[v].iter().map(motion).collect::<Vec<N>>());
        let slopes = coordinates.has_rest;
        let all = self.by_second.iter().enumerate().filter(|(_, moments)| !moments.is_empty());
        for (g, moments) in all {
            let at = g * nodes..(g + 1) * nodes;
            dispatch(
                #[inline(always)]
                || through.take(matrices, second, at, &self.coordinates, (slopes, N::DIFFERENTIATES)),
            );
            for &moment in moments {
                let f = self.expansion.moments[moment][0];
                let at = f * nodes..(f + 1) * nodes;
                let mut form = N::zero();
                dispatch(
                    #[inline(always)]
                    || {
                        let function = &first.functions[at.clone()];
                        form = N::constant(dot(function, &through.plain));
                        if !slopes {
                            return;
                        }
                        for (k, l) in (0..m).flat_map(|k| (0..m).map(move |l| (k, l))) {
                            let mixed = dot(&first.by_coordinate[k][at.clone()], &through.by_coordinate[l]);
                            form += coordinates.rest[k * m + l].times(mixed);
                        }
                        for i in (0..m).filter(|_| N::DIFFERENTIATES) {
                            let own = &first.by_field[i][at.clone()];
                            let by_mean = dot(own, &through.plain) + dot(function, &through.by_field[i]);
                            form += moving[i].times(by_mean);
                            for k in 0..m {
                                form += rows[0][i * m + k].times(dot(own, &through.times_coordinates[k]));
                                form += rows[1][i * m + k].times(dot(function, &through.by_row[i * m + k]));
                            }
                        }
                    },
                );
                here[moment] = form;
            }
        }
    }

    /// A, B and Λ from the moments.
    fn collect<N: Number<T>>(
        &self,
        factor: &Factor<T, N>,
        signal: &BatchSignal<'_, T, N>,
        work: &mut MomentWork<T, N>,
    ) {
        let (m, p, fields) = (self.neurons, self.hidden.nrows(), 2 * self.neurons);
        let MomentWork { moments, with_hidden, coordinates, sums, .. } = work;
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

/// The covariance of the 2m fields.
fn covariance<T: Scalar, N: Number<T>>(factor: &Factor<T, N>, neurons: usize) -> Vec<N> {
    let fields = 2 * neurons;
    let entry = |f: usize, g: usize| (0..fields).fold(N::zero(), |sum, k| sum + factor.get(f, k) * factor.get(g, k));
    (0..fields * fields).map(|at| entry(at / fields, at % fields)).collect()
}
