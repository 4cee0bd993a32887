//! A frozen choice of nodes for every average that the coefficients need (theory §3, §9).

use nalgebra::DMatrix;

use super::batch::BatchTable;
use super::factor::Factor;
use super::hidden_nodes::{hidden_nodes, merge_nodes};
use super::kinked::kinked_table;
use super::moments::StateMoments;
use super::plane::{PlaneBuffers, SUMS};
use super::space::SpaceBuffers;
use super::table::{Coordinate, NodeTable, steps};
use super::{Coefficients, Limit, LimitError};
use crate::Scalar;
use crate::model::hidden::HiddenQuadrature;
use crate::model::{GradientFlow, Smoothness};
use crate::order_parameters::OrderParameters;

/// A frozen cubature rule for the limit coefficients: fixed nodes in whitened coordinates, so that what it computes is
/// a smooth function of the state. Made by [`Limit::rule`].
#[derive(Debug, Clone)]
pub struct Rule<T: Scalar = f64> {
    pub(super) accuracy: f64,
    pub(super) exact: bool,
    pub(super) sampled: bool,
    pub(super) hidden_sampled: bool,
    /// The largest squared overlap (QᵀQ)_ii for which the cubature of the hidden law was chosen; none if it is exact.
    pub(super) reach: Option<T>,
    pub(super) smoothness: Smoothness<T>,
    pub(super) hidden: HiddenQuadrature<T>,
    pub(super) planes: Vec<Plane<T>>,
    pub(super) groups: Vec<Group<T>>,
    /// Whole batches, for what a penalty that is not quadratic adds.
    pub(super) batches: Option<(Factor<T>, BatchTable<T>)>,
    pub(super) moments: StateMoments<T>,
    pub(super) plane_buffers: PlaneBuffers<T>,
}

/// The pair of fields (h¹_i, h²_j) with its nodes and averages.
#[derive(Debug, Clone)]
pub(super) struct Plane<T> {
    pub(super) i: usize,
    pub(super) j: usize,
    pub(super) factor: Factor<T>,
    pub(super) table: NodeTable<T>,
    /// The coordinate whose sign exchanges the views, if half of the nodes serve for all.
    pub(super) odd: Option<usize>,
    /// E[f z] over hidden nodes and z; index as in `plane_sums`.
    pub(super) sums: [T; SUMS],
    /// E[f c_l] for f = a₁, a₂, b₁, b₂: 4 x p.
    pub(super) with_hidden: Vec<T>,
}

/// All fields of a group of neurons with its nodes.
#[derive(Debug, Clone)]
pub(super) struct Group<T> {
    pub(super) neurons: Vec<usize>,
    pub(super) factor: Factor<T>,
    pub(super) table: NodeTable<T>,
    pub(super) buffers: SpaceBuffers<T>,
}

/// How much more accurate pairs of fields are than larger groups, in units of ln(1/error).
const PAIR_MARGIN: f64 = 8.0;

impl<T: Scalar> Rule<T> {
    /// The rule that errs by about exp(−accuracy) near `state`; `None` if it needs more nodes than the budget.
    pub(super) fn new(
        limit: &Limit<'_, T>,
        state: &OrderParameters<T>,
        accuracy: f64,
    ) -> Result<Option<Self>, LimitError<T>> {
        let smoothness = limit.sigma.smoothness();
        let (hidden, hidden_sampled) = hidden_nodes(limit, accuracy)?;
        // A batch has many hidden nodes at once: none is the mirror image of another.
        let whole = limit.whole_batches.then(|| hidden.clone());
        let hidden = merge_nodes(hidden, limit.mirror);
        let mut rule = Self {
            accuracy,
            sampled: hidden_sampled
                || limit.neurons > 2
                    && limit.penalty_strength > T::zero()
                    && !matches!(smoothness, Smoothness::Polynomial { .. }),
            reach: None,
            hidden_sampled,
            exact: limit.hidden_is_exact
                && !hidden_sampled
                && !limit.whole_batches
                && matches!(smoothness, Smoothness::Polynomial { .. }),
            smoothness,
            moments: StateMoments::new(limit.features, limit.neurons, hidden.weights.len()),
            hidden,
            planes: Vec::new(),
            groups: Vec::new(),
            batches: None,
            plane_buffers: PlaneBuffers::new(),
        };
        rule.moments.update(state.q(), state.r(), &rule.hidden);
        rule.reach = (hidden_sampled || !limit.hidden_is_exact).then(|| rule.moments.overlap.diagonal().max());
        Ok(rule.choose(limit, whole.as_ref()).map(|()| rule))
    }

    /// Chooses nodes for every average.
    fn choose(&mut self, limit: &Limit<'_, T>, whole: Option<&HiddenQuadrature<T>>) -> Option<()> {
        let m = limit.neurons;
        if let Some(hidden) = whole {
            let mut covariance = vec![T::zero(); 4 * m * m];
            self.moments.group_covariance(limit, &(0..m).collect::<Vec<_>>(), &mut covariance);
            let factor = Factor::new(&covariance, 2 * m, limit.is_exchangeable());
            let table = BatchTable::new(hidden, m, limit.batch_size, self.accuracy, limit.node_budget)?;
            self.batches = Some((factor, table));
        }
        let penalised = limit.penalty_strength > T::zero();
        for i in 0..m {
            for j in (0..m).filter(|&j| penalised || j == i) {
                self.planes.push(self.plane(limit, i, j)?);
            }
        }
        if penalised {
            self.groups.push(self.group(limit, (0..m).collect())?);
        } else {
            for i in 0..m {
                for j in i + 1..m {
                    self.groups.push(self.group(limit, vec![i, j])?);
                }
            }
        }
        Some(())
    }

    /// Whether the rule has no discretisation error.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.exact
    }

    /// Whether some nodes are scrambled Sobol points, so that the error is random.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.sampled || self.batches.is_some()
    }

    /// The relative error that agreement of two samples of the hidden law cannot rule out.
    pub(super) fn sampling_floor(&self) -> T {
        if self.hidden_sampled { T::lit(4.0) / T::of_usize(self.hidden.weights.len()) } else { T::zero() }
    }

    /// The nodes at which one evaluation of the coefficients evaluates the nonlinearity, over all averages.
    #[must_use]
    pub fn nodes(&self) -> u64 {
        let planes = self.planes.iter().map(|plane| plane.table.count() * 2);
        let groups = self.groups.iter().map(|group| group.table.count() * 2 * group.neurons.len());
        let batches = self.batches.as_ref().map_or(0, |(_, table)| table.count());
        (planes.chain(groups).sum::<usize>() * self.hidden.weights.len() + batches) as u64
    }

    /// Nodes for the fields of that factor.
    fn table(&self, limit: &Limit<'_, T>, factor: &Factor<T>, fields: usize) -> Option<NodeTable<T>> {
        // Pairs of fields cost nothing beside larger groups: their error should not count.
        let accuracy = if fields == 2 && limit.neurons > 1 { self.accuracy + PAIR_MARGIN } else { self.accuracy };
        let mut coordinates = coordinates(factor, fields);
        if fields > 2 && limit.flow == GradientFlow::StopGradient {
            // Λ then has terms of view 1 alone.
            for coordinate in &mut coordinates {
                coordinate.reflected = false;
            }
        }
        let lattice = || NodeTable::trapezoid(&self.smoothness, &coordinates, accuracy, limit.node_budget);
        match self.smoothness {
            Smoothness::Polynomial { degree } => {
                // e has degree 2d − 1, or 4d − 1 with the penalty's own-sample part; Λ squares it; B multiplies by h.
                let error = if limit.penalty_strength > T::zero() { 4 * degree } else { 2 * degree };
                NodeTable::hermite(&coordinates, error.max(1), limit.node_budget)
            }
            // In six dimensions and more, Sobol points are cheaper than a lattice for as far as they go.
            _ if fields > 4 => NodeTable::sobol(&coordinates, accuracy, limit.node_budget).or_else(lattice),
            _ => lattice(),
        }
    }

    fn plane(&self, limit: &Limit<'_, T>, i: usize, j: usize) -> Option<Plane<T>> {
        // A kink lies across single fields: the rotated ones would hide it.
        let kinked = matches!(self.smoothness, Smoothness::Kinked { .. });
        let rotated = i == j && limit.is_exchangeable() && !kinked;
        let mut covariance = [T::zero(); 4];
        self.plane_covariance(limit, i, j, &mut covariance);
        let factor = Factor::new(&covariance, 2, rotated);
        let table = if let Smoothness::Kinked { at } = self.smoothness {
            let rows = [[factor.get(0, 0), factor.get(0, 1)], [factor.get(1, 0), factor.get(1, 1)]];
            let table = kinked_table([T::zero(); 2], rows, at, self.accuracy);
            (table.count() <= limit.node_budget).then_some(table)?
        } else {
            self.table(limit, &factor, 2)?
        };
        let polynomial = matches!(self.smoothness, Smoothness::Polynomial { .. });
        let odd = if polynomial { None } else { (0..2).find(|&k| factor.is_odd_under_exchange(k)) };
        let with_hidden = vec![T::zero(); 4 * limit.features];
        Some(Plane { i, j, factor, table, odd, sums: [T::zero(); SUMS], with_hidden })
    }

    fn group(&self, limit: &Limit<'_, T>, neurons: Vec<usize>) -> Option<Group<T>> {
        let fields = 2 * neurons.len();
        let mut covariance = vec![T::zero(); fields * fields];
        self.moments.group_covariance(limit, &neurons, &mut covariance);
        let factor = Factor::new(&covariance, fields, limit.is_exchangeable());
        let table = self.table(limit, &factor, fields)?;
        let fluctuations = limit.penalty_strength > T::zero() && limit.batch > T::one();
        let buffers = SpaceBuffers::new(neurons.len(), fluctuations);
        Some(Group { neurons, factor, table, buffers })
    }

    fn plane_covariance(&self, limit: &Limit<'_, T>, i: usize, j: usize, out: &mut [T; 4]) {
        let fields = [(0, i), (1, j)];
        for (slot, out) in out.iter_mut().enumerate() {
            *out = self.moments.field_covariance(limit, fields[slot / 2], fields[slot % 2]);
        }
    }

    /// Refits the factors to a state.
    pub(super) fn update(&mut self, limit: &Limit<'_, T>, q: &DMatrix<T>, r: &DMatrix<T>) {
        self.moments.update(q, r, &self.hidden);
        let mut covariance = [T::zero(); 4];
        let mut work = [T::zero(); 4];
        for n in 0..self.planes.len() {
            let (i, j) = (self.planes[n].i, self.planes[n].j);
            self.plane_covariance(limit, i, j, &mut covariance);
            self.planes[n].factor.update(&covariance, &mut work);
        }
        if let Some((factor, _)) = &mut self.batches {
            let m = limit.neurons;
            let mut covariance = vec![T::zero(); 4 * m * m];
            let mut work = covariance.clone();
            self.moments.group_covariance(limit, &(0..m).collect::<Vec<_>>(), &mut covariance);
            factor.update(&covariance, &mut work);
        }
        for group in &mut self.groups {
            let fields = 2 * group.neurons.len();
            let mut covariance = vec![T::zero(); fields * fields];
            let mut work = covariance.clone();
            self.moments.group_covariance(limit, &group.neurons, &mut covariance);
            group.factor.update(&covariance, &mut work);
        }
    }

    /// Whether the nodes still resolve the fields at that state.
    pub(crate) fn resolves(&mut self, limit: &Limit<'_, T>, q: &DMatrix<T>, r: &DMatrix<T>) -> bool {
        self.update(limit, q, r);
        // The nodes of a continuous hidden law were chosen for overlaps of that size: a fifth more asks for new ones.
        if self.reach.is_some_and(|reach| self.moments.overlap.diagonal().max() > T::lit(1.44) * reach) {
            return false;
        }
        if matches!(self.smoothness, Smoothness::Polynomial { .. }) {
            return true;
        }
        let fits = |factor: &Factor<T>, table: &NodeTable<T>, fields: usize| {
            let margin = if fields == 2 && limit.neurons > 1 { PAIR_MARGIN } else { 0.0 };
            table.resolves(&steps(&self.smoothness, &coordinates(factor, fields), self.accuracy + margin))
        };
        // Nodes at a kink move with the state.
        let kinked = matches!(self.smoothness, Smoothness::Kinked { .. });
        (kinked || self.planes.iter().all(|plane| fits(&plane.factor, &plane.table, 2)))
            && self.groups.iter().all(|group| fits(&group.factor, &group.table, 2 * group.neurons.len()))
    }

    /// The coefficients at `state` by this rule; returns the number of nodes used.
    pub(super) fn apply(&mut self, limit: &Limit<'_, T>, state: &OrderParameters<T>, out: &mut Coefficients<T>) -> u64 {
        self.apply_to(limit, state.q(), state.r(), out)
    }

    /// As [`apply`](Self::apply), from matrices.
    pub(crate) fn apply_to(
        &mut self,
        limit: &Limit<'_, T>,
        q: &DMatrix<T>,
        r: &DMatrix<T>,
        out: &mut Coefficients<T>,
    ) -> u64 {
        self.update(limit, q, r);
        self.average_planes(limit);
        self.assemble_drift(limit, q, out);
        self.assemble_diffusion(limit, out);
        self.add_batches(limit, q, out);
        self.nodes()
    }
}

impl<T: Scalar> Limit<'_, T> {
    /// Whether exchanging the views changes no average.
    pub(super) fn is_exchangeable(&self) -> bool {
        self.feature_noise.is_exchangeable() && self.views.is_exchangeable()
    }
}

fn coordinates<T: Scalar>(factor: &Factor<T>, fields: usize) -> Vec<Coordinate> {
    (0..fields)
        .map(|k| Coordinate { gain: factor.gain(k).as_f64(), reflected: factor.is_odd_under_exchange(k) })
        .collect()
}
