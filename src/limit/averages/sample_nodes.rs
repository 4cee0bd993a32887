//! Moments of one sample, E[F(h¹) G(h²)] of products F and G of σ and σ' of all fields of a view, at one value of the hidden variables
//! (theory §11).
//!
//! In canonical coordinates the density is a product of bivariate normal densities, each a small matrix between nodes of the two
//! views: of n nodes for a coordinate σ is evaluated at nᵐ nodes of each view, and a moment is a form Fᵀ (K₁ ⊗ … ⊗ K_m) G. How it moves
//! with the means and the rows of the fields are more such forms, whatever the number of directions. Not here: which moments there are
//! (see `moment_list`), their sums over the hidden law (see `sample_moments` and `increments`), the coordinates (see `view_coordinates`), the functions of a view
//! (see `sample_functions`) and the matrices (see `kernel`).

use nalgebra::DMatrix;

use crate::Scalar;
use crate::limit::averages::kernel::Kernel;
use crate::limit::averages::sample_functions::{SecondWork, ViewWork};
use crate::limit::fields::factor::Factor;
use crate::limit::fields::view_coordinates::{Reference, ViewCoordinates};
use crate::limit::moment_list::MomentList;
use crate::model::{HiddenQuadrature, Nonlinearity};
use crate::numerics::dual::Number;
use crate::numerics::kernels::dot;
use crate::numerics::lanes::{LANES, dispatch};

/// Functions, with their derivatives, times nodes may be so many budgets of nodes: they are kept in memory.
const BUDGETS: usize = 16;

/// Nodes of one sample.
#[derive(Debug, Clone)]
pub(in crate::limit) struct SampleNodes<T> {
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
    /// For each function of view 2 the moments that it is in and that are needed.
    by_second: Vec<Vec<usize>>,
}

/// Buffers for one value of the hidden variables.
#[derive(Debug, Clone)]
pub(in crate::limit) struct NodeWork<T, N> {
    pub(in crate::limit) coordinates: ViewCoordinates<T, N>,
    kernels: Vec<Kernel<T>>,
    /// Between all nodes of a coordinate, row by row.
    matrices: Vec<Vec<T>>,
    views: [ViewWork<T>; 2],
    second: SecondWork<T>,
    means: Vec<N>,
    /// L of each view without derivatives.
    rows: [Vec<T>; 2],
    /// The moments at this value of the hidden variables.
    pub(in crate::limit) here: Vec<N>,
}

impl<T: Scalar> SampleNodes<T> {
    /// Over those nodes of the hidden law, and nodes of each coordinate, where the covariance of the fields is that, for the moments of the
    /// list that are needed. `axis` chooses nodes by the gain of the coordinate. `None` if it has none, or if functions times nodes exceed
    /// the budget by much; so many copies of them are kept, with derivatives.
    pub(in crate::limit) fn new(
        hidden: &HiddenQuadrature<T>,
        (covariance, neurons): (&[T], usize),
        (list, needed): (&MomentList, &dyn Fn(usize) -> bool),
        axis: &mut dyn FnMut(f64) -> Option<Kernel<T>>,
        (budget, copies): (usize, usize),
    ) -> Option<Self> {
        let reference = Reference::new(covariance, neurons)?;
        let mut at: ViewCoordinates<T, T> = reference.coordinates();
        at.move_to(&reference, covariance);
        let kernels = (0..neurons).map(|k| axis(at.gain(k))).collect::<Option<Vec<_>>>()?;
        let mut lengths: Vec<usize> = kernels.iter().map(|kernel| kernel.nodes().len()).collect();
        // What follows a coordinate fills groups of lanes, with nodes that no matrix has entries for.
        lengths.last_mut().into_iter().for_each(|last| *last = last.next_multiple_of(LANES));
        let nodes = lengths.iter().try_fold(1_usize, |n, &length| n.checked_mul(length))?;
        let functions: usize = list.functions.iter().map(|functions| functions.monomials.len()).sum();
        if functions.checked_mul(nodes)?.checked_mul(copies)? / BUDGETS > budget {
            return None;
        }
        let coordinates = (0..neurons).map(|k| {
            let after: usize = lengths[k + 1..].iter().product();
            let node = |n: usize| kernels[k].nodes().get(n / after % lengths[k]).copied().unwrap_or(0.0);
            (0..nodes).map(|n| T::lit(node(n))).collect()
        });
        let mut by_second = vec![Vec::new(); list.functions[1].monomials.len()];
        for (moment, functions) in list.moments.iter().enumerate().filter(|(moment, _)| needed(*moment)) {
            by_second[functions[1]].push(moment);
        }
        Some(Self {
            neurons,
            coordinates: coordinates.collect(),
            reference,
            kernels,
            lengths,
            hidden: hidden.nodes.clone(),
            weights: hidden.weights.clone(),
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

    /// The weights of the nodes of the hidden law.
    pub(in crate::limit) fn weights(&self) -> &[T] {
        &self.weights
    }

    /// Fields evaluated over all nodes of the hidden law.
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

    /// Buffers for the moments of that list.
    pub(in crate::limit) fn work<N: Number<T>>(&self, list: &MomentList) -> NodeWork<T, N> {
        let (m, nodes) = (self.neurons, self.nodes());
        let squares = self.lengths.iter().map(|length| vec![T::zero(); length * length]);
        NodeWork {
            coordinates: self.reference.coordinates(),
            kernels: self.kernels.clone(),
            matrices: squares.collect(),
            views: [0, 1].map(|v| ViewWork::new(m, nodes, list.functions[v].monomials.len())),
            second: SecondWork::new(m, nodes),
            means: vec![N::zero(); m],
            rows: [Vec::new(), Vec::new()],
            here: vec![N::zero(); list.moments.len()],
        }
    }

    /// Goes over to the fields of that factor, 2m of them, view 1 first.
    pub(in crate::limit) fn move_to<N: Number<T>>(&self, factor: &Factor<T, N>, work: &mut NodeWork<T, N>) {
        work.coordinates.move_to(&self.reference, &covariance(factor, self.neurons));
        for (k, (kernel, matrix)) in work.kernels.iter_mut().zip(&mut work.matrices).enumerate() {
            kernel.correlate(work.coordinates.correlations[k]);
            kernel.write_full(matrix, self.lengths[k]);
        }
        work.rows = [0, 1].map(|v| work.coordinates.rows[v].iter().map(Number::value).collect());
    }

    /// The moments at a node of the hidden law, with scaled overlaps `q` (p x m, row by row).
    pub(in crate::limit) fn evaluate<N: Number<T>>(
        &self,
        node: usize,
        q: &[N],
        (list, sigma): (&MomentList, &dyn Nonlinearity<T>),
        work: &mut NodeWork<T, N>,
    ) {
        let (m, c) = (self.neurons, self.hidden.column(node));
        for (i, mean) in work.means.iter_mut().enumerate() {
            *mean = c.iter().enumerate().fold(N::zero(), |sum, (l, &c)| sum + q[l * m + i].times(c));
        }
        let means: Vec<T> = work.means.iter().map(Number::value).collect();
        for ((view, rows), functions) in work.views.iter_mut().zip(&work.rows).zip(&list.functions) {
            view.evaluate((&means, rows, &self.coordinates), sigma, functions, work.coordinates.has_rest);
        }
        self.add_forms(list, work);
    }

    /// The forms at one value of the hidden variables.
    ///
    /// E[F G] moves with the means by E[∂_iF G] and E[F ∂_iG], with L¹ by E[∂_iF u_k G], with L² by E[F u_k ∂_iG], and with correlations
    /// between the coordinates by E[∂F/∂u_k ∂G/∂u_l]. The last is also what correlations that the matrices do not have are worth, to
    /// first order.
    fn add_forms<N: Number<T>>(&self, list: &MomentList, work: &mut NodeWork<T, N>) {
        let (m, nodes) = (self.neurons, self.nodes());
        let NodeWork { coordinates, matrices, views: [first, second], second: through, means, here, .. } = work;
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
                let f = list.moments[moment][0];
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
}

/// The covariance of the 2m fields.
fn covariance<T: Scalar, N: Number<T>>(factor: &Factor<T, N>, neurons: usize) -> Vec<N> {
    let fields = 2 * neurons;
    let entry = |f: usize, g: usize| (0..fields).fold(N::zero(), |sum, k| sum + factor.get(f, k) * factor.get(g, k));
    (0..fields * fields).map(|at| entry(at / fields, at % fields)).collect()
}
