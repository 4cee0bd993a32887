//! Everything between a state and its coefficients, as numbers: with derivatives or without.

use super::averages::batches::{Batches, BatchesWork};
use super::averages::closed;
use super::averages::four_fields::Quadruple;
use super::averages::kinked::KinkedNodes;
use super::averages::pair_form::PairForm;
use super::averages::panels::PanelNodes;
use super::averages::sum_form::SumForm;
use super::averages::table::NodeTable;
use super::averages::two_fields::{COVARIANCE, SUMS};
use super::coefficients::Coefficients;
use super::fields::factor::Factor;
use super::fields::moments::{State, StateMoments};
use super::numbers::Numbers;
use super::problem::Limit;
use super::signals::{NoiseTerms, Product};
use crate::Scalar;
use crate::model::{ClosedForm, HiddenQuadrature};
use crate::numerics::dual::Number;

/// The pair of fields (h¹_i, h²_j) with its nodes.
#[derive(Debug, Clone)]
pub(super) struct FieldPair<T> {
    pub(super) i: usize,
    pub(super) j: usize,
    pub(super) nodes: PairNodes<T>,
    /// The coordinate whose sign exchanges the views, if half of the nodes serve for all.
    pub(super) odd: Option<usize>,
}

/// By what a pair of fields is averaged.
#[derive(Debug, Clone)]
pub(super) enum PairNodes<T> {
    Table(NodeTable<T>),
    Kinked(KinkedNodes<T>),
    Panels(Box<PanelNodes<T>>),
    Form(Box<PairForm<T>>),
    /// The hidden law by its characteristic function: there are no nodes of it.
    Sum(Box<SumForm<T>>),
    Closed(ClosedForm<T>),
    /// Given what the views have in common: averages are those of derivatives by the fields where others have whitened coordinates.
    Views,
}

/// Everything between the state and the coefficients, as numbers.
#[derive(Debug, Clone)]
pub(super) struct Work<T, N> {
    pub(super) numbers: Numbers<N>,
    pub(super) state: State<N>,
    pub(super) moments: StateMoments<N>,
    pub(super) pair_factors: Vec<Factor<T, N>>,
    pub(super) quadruple_factors: Vec<Factor<T, N>>,
    pub(super) batch: Option<(Factor<T, N>, BatchesWork<T, N>)>,
    pub(super) field_pairs: Vec<PairAverages<N>>,
    /// M = E[y¹ y²ᵀ], m x m, off its diagonal.
    pub(super) means: Vec<N>,
    pub(super) products: Vec<N>,
    pub(super) out: Assembled<N>,
    /// Scratch.
    pub(super) covariance: Vec<N>,
}

/// Averages over one pair of fields and the hidden law.
#[derive(Debug, Clone)]
pub(super) struct PairAverages<N> {
    /// E[f z] over hidden nodes and z; index as in `pair_sums`. Given what the views have in common: E[∂_v f] in the place of E[f z_v].
    pub(super) sums: [N; SUMS],
    /// E[f c_l] for f = a₁, a₂, b₁, b₂ at the nodes' c, before any scale: 4 x p.
    pub(super) with_hidden: Vec<N>,
}

impl<N> PairAverages<N> {
    pub(super) fn new<T: Scalar>(features: usize) -> Self
    where
        N: Number<T>,
    {
        Self { sums: [N::zero(); SUMS], with_hidden: vec![N::zero(); 4 * features] }
    }
}

/// A, p x m, B and Λ, m x m, row by row.
#[derive(Debug, Clone)]
pub(crate) struct Assembled<N> {
    neurons: usize,
    pub(crate) a: Vec<N>,
    pub(crate) b: Vec<N>,
    pub(crate) lambda: Vec<N>,
}

impl<N> Assembled<N> {
    pub(super) fn new<T: Scalar>(features: usize, neurons: usize) -> Self
    where
        N: Number<T>,
    {
        let square = || vec![N::zero(); neurons * neurons];
        Self { neurons, a: vec![N::zero(); features * neurons], b: square(), lambda: square() }
    }
}

impl<N> Assembled<N> {
    /// The number m of neurons.
    pub(crate) fn n_neurons(&self) -> usize {
        self.neurons
    }
}

impl<T: Scalar> From<&Coefficients<T>> for Assembled<T> {
    fn from(c: &Coefficients<T>) -> Self {
        let rows = |x: &nalgebra::DMatrix<T>| x.transpose().as_slice().to_vec();
        Self { neurons: c.b.nrows(), a: rows(&c.a), b: rows(&c.b), lambda: rows(&c.lambda) }
    }
}

impl<T: Scalar> Assembled<T> {
    pub(super) fn copy_to(&self, out: &mut Coefficients<T>) {
        let m = self.neurons;
        for (matrix, entries) in [(&mut out.a, &self.a), (&mut out.b, &self.b), (&mut out.lambda, &self.lambda)] {
            for (slot, &x) in entries.iter().enumerate() {
                matrix[(slot / m, slot % m)] = x;
            }
        }
    }
}

/// The parts of a rule that do not depend on the state.
pub(super) struct Frozen<'a, T> {
    pub(super) field_pairs: &'a [FieldPair<T>],
    pub(super) terms: Option<&'a NoiseTerms>,
    pub(super) offsets: &'a [T],
    pub(super) slopes: &'a [T],
    pub(super) batches: Option<&'a Batches<T>>,
}

/// Coefficients at a state, with their derivatives or without.
#[derive(Debug)]
pub struct Moving<'a, N> {
    pub(crate) coefficients: &'a Assembled<N>,
    /// Q and R, row by row.
    pub(crate) q: &'a [N],
    pub(crate) r: &'a [N],
}

impl<T: Scalar, N: Number<T>> Work<T, N> {
    pub(super) fn moving(&self) -> Moving<'_, N> {
        Moving { coefficients: &self.out, q: &self.state.q, r: &self.state.r }
    }

    pub(super) fn new(limit: &Limit<'_, T>) -> Self {
        let (p, m) = (limit.settings.n_features, limit.settings.n_neurons);
        Self {
            numbers: Numbers::constants(limit),
            state: State { q: vec![N::zero(); p * m], r: vec![N::zero(); m * m] },
            moments: StateMoments::new(p, m),
            pair_factors: Vec::new(),
            quadruple_factors: Vec::new(),
            batch: None,
            field_pairs: Vec::new(),
            means: vec![N::zero(); m * m],
            products: Vec::new(),
            out: Assembled::new(p, m),
            covariance: vec![N::zero(); 16.max(4 * m * m)],
        }
    }

    /// A work space of the same layout for other numbers; the state is left to be filled in.
    pub(super) fn with_numbers<M: Number<T>>(&self, limit: &Limit<'_, T>, batches: Option<&Batches<T>>) -> Work<T, M> {
        let factors = |factors: &[Factor<T, N>]| factors.iter().map(Factor::with_numbers).collect();
        let batch = self.batch.as_ref().zip(batches);
        Work {
            pair_factors: factors(&self.pair_factors),
            quadruple_factors: factors(&self.quadruple_factors),
            batch: batch.map(|((factor, _), table)| (factor.with_numbers(), table.work())),
            field_pairs: vec![PairAverages::new(limit.settings.n_features); self.field_pairs.len()],
            products: vec![M::zero(); self.products.len()],
            moments: self.moments.with_numbers(),
            ..Work::new(limit)
        }
    }

    /// Refits moments and factors to the state.
    pub(super) fn update(
        &mut self,
        limit: &Limit<'_, T>,
        field_pairs: &[FieldPair<T>],
        quadruples: &[Quadruple<T>],
        hidden: &HiddenQuadrature<T>,
    ) {
        self.update_moments(hidden);
        self.update_factors(limit, field_pairs, quadruples);
    }

    /// Refits moments to the state.
    pub(super) fn update_moments(&mut self, hidden: &HiddenQuadrature<T>) {
        self.moments.update(&self.numbers, &self.state, &hidden.gaussian);
    }

    /// Refits factors to the moments.
    pub(super) fn update_factors(
        &mut self,
        limit: &Limit<'_, T>,
        field_pairs: &[FieldPair<T>],
        quadruples: &[Quadruple<T>],
    ) {
        for (field_pair, factor) in field_pairs.iter().zip(&mut self.pair_factors) {
            self.moments.covariance(&[(0, field_pair.i), (1, field_pair.j)], &mut self.covariance[..4]);
            factor.update(&self.covariance[..4]);
        }
        for (quadruple, factor) in quadruples.iter().zip(&mut self.quadruple_factors) {
            self.moments.covariance(&quadruple.fields, &mut self.covariance[..16]);
            factor.update(&self.covariance[..16]);
        }
        if let Some((factor, _)) = &mut self.batch {
            let m = limit.settings.n_neurons;
            let entries = &mut self.covariance[..4 * m * m];
            for (slot, out) in entries.iter_mut().enumerate() {
                let (row, column) = (slot / (2 * m), slot % (2 * m));
                *out = self.moments.field_covariance((row / m, row % m), (column / m, column % m));
            }
            factor.update(entries);
        }
    }
}

impl<T: Scalar, N: Number<T>> Work<T, N> {
    /// The factor rows of the two fields of a field_pair.
    pub(super) fn rows(&self, field_pair: usize) -> [[N; 2]; 2] {
        let factor = &self.pair_factors[field_pair];
        [0, 1].map(|f| [factor.get(f, 0), factor.get(f, 1)])
    }

    pub(super) fn pair_law(&self, field_pair: &FieldPair<T>, index: usize) -> closed::PairLaw<N> {
        let fields = [(0, field_pair.i), (1, field_pair.j)];
        let covariance = fields.map(|x| fields.map(|y| self.moments.field_covariance(x, y)));
        closed::PairLaw { covariance, rows: self.rows(index) }
    }

    /// A field_pair's averages in closed form: the only hidden node is zero.
    pub(super) fn fill_closed(&mut self, field_pair: &FieldPair<T>, index: usize, form: ClosedForm<T>) {
        let sums = closed::pair_sums(form, &self.pair_law(field_pair, index));
        self.field_pairs[index].sums = sums;
        self.field_pairs[index].with_hidden.fill(N::zero());
    }

    /// Averages over four fields of erf in closed form.
    pub(super) fn fill_closed_products(&mut self, products: &[Product]) {
        for (out, (x, y)) in self.products.iter_mut().zip(products) {
            let fields = [(x.view, x.own), (y.view, y.own), (1 - x.view, x.other), (1 - y.view, y.other)];
            let moments = &self.moments;
            *out = closed::erf_fourth(&|i, j| moments.field_covariance(fields[i], fields[j]));
        }
    }

    /// M from the field_pairs.
    pub(super) fn collect_means(&mut self, field_pairs: &[FieldPair<T>]) {
        let m = self.out.neurons;
        for (field_pair, averages) in field_pairs.iter().zip(&self.field_pairs) {
            self.means[field_pair.i * m + field_pair.j] = averages.sums[COVARIANCE];
        }
    }
}
