//! A frozen choice of nodes for every average that the coefficients need (theory §3, §9).

use nalgebra::DMatrix;

use crate::Scalar;
use crate::limit::Compiled;
use crate::limit::assembly::{Assembled, PairAverages};
use crate::limit::averages::four_fields::{Place, Quadruple, quadruples};
use crate::limit::averages::kinked::KinkedNodes;
use crate::limit::averages::table::{Coordinate, NodeTable};
use crate::limit::averages::two_fields::PairBuffers;
use crate::limit::averages::whole_batches::{BatchTable, BatchWork};
use crate::limit::fields::factor::Factor;
use crate::limit::fields::groups::Groups;
use crate::limit::fields::hidden_nodes::{hidden_nodes, merge_nodes, scale_nodes};
use crate::limit::fields::moments::{State, StateMoments};
use crate::limit::parameters::Numbers;
use crate::limit::signals::NoiseTerms;
use crate::limit::{Limit, LimitError, Quadrature};
use crate::model::HiddenQuadrature;
use crate::model::{ClosedForm, GradientPath, Smoothness};
use crate::numerics::dual::Number;
use crate::state::OrderParameters;

/// A frozen cubature rule for the limit coefficients: fixed nodes in whitened coordinates, so that what it computes is
/// a smooth function of the state. Made by [`Limit::rule`].
#[derive(Debug, Clone)]
pub struct Rule<T: Scalar = f64> {
    accuracy: Accuracy,
    pub(super) exact: bool,
    pub(super) sampled: bool,
    /// Whether more accuracy would not bring more nodes of the hidden law.
    pub(super) saturated: bool,
    /// The largest squared overlap (QᵀQ)_ii for which the cubature of the hidden law was chosen; none if it is exact.
    pub(super) reach: Option<T>,
    /// The factors of the hidden variables in these nodes.
    scales: Vec<T>,
    pub(super) smoothness: Smoothness<T>,
    pub(super) hidden: HiddenQuadrature<T>,
    pub(super) groups: Groups<T>,
    pub(super) field_pairs: Vec<FieldPair<T>>,
    /// How Λ is made of averages over four fields, and where those are.
    pub(super) terms: Option<NoiseTerms>,
    pub(super) quadruples: Vec<Quadruple<T>>,
    pub(super) places: Vec<Place>,
    /// The family whose closed forms serve for products of four fields.
    pub(super) closed_products: Option<ClosedForm<T>>,
    /// Whole batches, for what a penalty that is not quadratic adds.
    pub(super) batches: Option<BatchTable<T>>,
    /// g'(C) as offset + slope·C, m x m each: 0 and 1 for the quadratic penalty.
    pub(super) offsets: Vec<T>,
    pub(super) slopes: Vec<T>,
    pub(super) work: Work<T, T>,
    pub(super) pair_buffers: PairBuffers<T>,
}

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
    Closed(ClosedForm<T>),
}

/// Everything between the state and the coefficients, as numbers.
#[derive(Debug, Clone)]
pub(super) struct Work<T, N> {
    pub(super) numbers: Numbers<N>,
    pub(super) state: State<N>,
    pub(super) moments: StateMoments<N>,
    pub(super) pair_factors: Vec<Factor<T, N>>,
    pub(super) quadruple_factors: Vec<Factor<T, N>>,
    pub(super) batch: Option<(Factor<T, N>, BatchWork<T, N>)>,
    pub(super) field_pairs: Vec<PairAverages<N>>,
    /// M = E[y¹ y²ᵀ], m x m, off its diagonal.
    pub(super) means: Vec<N>,
    pub(super) products: Vec<N>,
    pub(super) out: Assembled<N>,
    /// Scratch.
    pub(super) covariance: Vec<N>,
}

/// The error aimed at, as ln(1/error): of lattices and other fixed rules, and of samples.
#[derive(Debug, Clone, Copy)]
pub(super) struct Accuracy {
    pub(super) fixed: f64,
    pub(super) sampled: f64,
}

/// How much more accurate pairs of fields are than quadruples, in units of ln(1/error).
const PAIR_MARGIN: f64 = 8.0;

impl<T: Compiled> Rule<T> {
    /// The rule that errs by about exp(−accuracy) near `state`; `None` if it needs more nodes than the budget.
    /// Sampled nodes are of those `replicates`.
    pub(super) fn new(
        limit: &Limit<'_, T>,
        state: &OrderParameters<T>,
        accuracy: Accuracy,
        replicates: std::ops::Range<u32>,
    ) -> Result<Option<Self>, LimitError<T>> {
        let (p, m) = (limit.features, limit.neurons);
        let smoothness = limit.sigma.smoothness();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a small positive number
        let base = (accuracy.sampled * 1024.0) as u32;
        let scrambles: Vec<u32> = replicates.map(|r| base.wrapping_add(r.wrapping_mul(0x9E37_79B1))).collect();
        let nodes = hidden_nodes(limit, accuracy, &scrambles)?;
        // A batch has many hidden nodes at once: none is the mirror image of another.
        let whole = limit.whole_batches.then(|| nodes.quadrature.clone());
        let hidden = merge_nodes(nodes.quadrature, limit.mirror);
        let mut rule = Self {
            accuracy,
            sampled: nodes.sampled || limit.whole_batches || limit.samples_fields(&smoothness),
            saturated: nodes.saturated,
            reach: None,
            scales: limit.hidden_scales.clone(),
            exact: false,
            smoothness,
            groups: Groups::new(p, m, hidden.weights.len(), limit.mirror),
            hidden,
            field_pairs: Vec::new(),
            terms: None,
            quadruples: Vec::new(),
            places: Vec::new(),
            closed_products: None,
            batches: None,
            offsets: vec![T::zero(); m * m],
            slopes: vec![T::one(); m * m],
            work: Work::new(limit),
            pair_buffers: PairBuffers::new(),
        };
        rule.work.state.copy_from(state.q(), state.r());
        let Work { moments, numbers, state: numbers_of_state, .. } = &mut rule.work;
        moments.update(numbers, numbers_of_state, &rule.hidden.gaussian);
        let inexact = nodes.sampled || !limit.hidden_is_exact;
        rule.reach = inexact.then(|| rule.work.moments.largest_overlap());
        let Some(closed) = rule.choose(limit, whole.as_ref(), &scrambles) else { return Ok(None) };
        let polynomial =
            limit.quadrature == Quadrature::Automatic && matches!(smoothness, Smoothness::Polynomial { .. });
        rule.exact = !inexact && !limit.whole_batches && (polynomial || closed);
        if limit.whole_batches {
            rule.fit_penalty(limit);
        }
        Ok(Some(rule))
    }

    /// Chooses nodes for every average; says whether all of them are closed forms.
    fn choose(&mut self, limit: &Limit<'_, T>, whole: Option<&HiddenQuadrature<T>>, scrambles: &[u32]) -> Option<bool> {
        let m = limit.neurons;
        let closed = self.closed_form(limit);
        for i in 0..m {
            for j in (0..m).filter(|&j| limit.penalised || j == i) {
                self.add_pair(limit, (i, j), closed, scrambles)?;
            }
        }
        let mut complete = closed.is_some();
        if m > 1 {
            let views = if limit.flow == GradientPath::StopGradient { 1 } else { 2 };
            let exchangeable = limit.is_exchangeable();
            // The offset of a penalty that is not quadratic acts on batches of one sample too.
            let rest = limit.batch_terms || limit.whole_batches;
            let terms = NoiseTerms::new(m, limit.penalised, rest, views, exchangeable);
            self.closed_products = closed.filter(|form| matches!(form, ClosedForm::Erf));
            complete &= self.closed_products.is_some();
            if self.closed_products.is_none() {
                (self.quadruples, self.places) = quadruples(&terms, m, exchangeable);
                for index in 0..self.quadruples.len() {
                    self.add_quadruple_nodes(limit, index, scrambles)?;
                }
            }
            self.work.products = vec![T::zero(); terms.products().len()];
            self.terms = Some(terms);
        }
        if let Some(hidden) = whole {
            let table =
                BatchTable::new(hidden, (m, limit.batch_size), self.accuracy.sampled, scrambles, limit.node_budget)?;
            let fields = all_fields(m);
            let mut covariance = vec![T::zero(); fields.len() * fields.len()];
            self.work.moments.covariance(&fields, &mut covariance);
            let factor = Factor::new(&covariance, fields.len(), limit.is_exchangeable());
            self.work.batch = Some((factor, table.work()));
            self.batches = Some(table);
        }
        Some(complete)
    }

    /// The closed form that applies: fields are Gaussian and centred, and there is no penalty.
    fn closed_form(&self, limit: &Limit<'_, T>) -> Option<ClosedForm<T>> {
        let centred = self.hidden.nodes.iter().all(|x| *x == T::zero());
        let form = limit.sigma.closed_form()?;
        let spread = |v: usize, i: usize| self.work.moments.field_covariance((v, i), (v, i)) > T::zero();
        let regular = match form {
            ClosedForm::Erf => true,
            ClosedForm::Rectifier { .. } => (0..limit.neurons).all(|i| spread(0, i) && spread(1, i)),
        };
        (limit.quadrature == Quadrature::Automatic && centred && regular && !limit.penalised).then_some(form)
    }

    fn add_pair(
        &mut self,
        limit: &Limit<'_, T>,
        (i, j): (usize, usize),
        closed: Option<ClosedForm<T>>,
        scrambles: &[u32],
    ) -> Option<()> {
        let kink = match self.smoothness {
            Smoothness::Kinked { at } => Some(at),
            _ => None,
        };
        let panels = match limit.quadrature {
            Quadrature::Automatic => kink,
            Quadrature::Panels => Some(kink.unwrap_or(T::zero())),
            _ => None,
        };
        // A kink lies across single fields: the rotated ones would hide it.
        let rotated = i == j && limit.is_exchangeable() && panels.is_none();
        let mut covariance = [T::zero(); 4];
        self.work.moments.covariance(&[(0, i), (1, j)], &mut covariance);
        let factor = Factor::new(&covariance, 2, rotated);
        let reflected = (0..2).find(|&k| factor.is_odd_under_exchange(k));
        let (nodes, odd) = if let Some(form) = closed {
            (PairNodes::Closed(form), None)
        } else if let Some(at) = panels {
            let mut nodes = KinkedNodes::new(at, self.accuracy.fixed);
            let mut rows = [[T::zero(); 2]; 2];
            (0..4).for_each(|k| rows[k / 2][k % 2] = factor.get(k / 2, k % 2));
            if nodes.at([T::zero(); 2], rows).count() > limit.node_budget {
                return None;
            }
            (PairNodes::Kinked(nodes), None)
        } else {
            let (table, halved) = self.table(limit, &coordinates(&factor, 2), scrambles)?;
            (PairNodes::Table(table), reflected.filter(|_| halved))
        };
        self.field_pairs.push(FieldPair { i, j, nodes, odd });
        self.work.pair_factors.push(factor);
        self.work.field_pairs.push(PairAverages::new(limit.features));
        Some(())
    }

    fn add_quadruple_nodes(&mut self, limit: &Limit<'_, T>, index: usize, scrambles: &[u32]) -> Option<()> {
        let quadruple = &self.quadruples[index];
        let mut covariance = vec![T::zero(); 16];
        self.work.moments.covariance(&quadruple.fields, &mut covariance);
        let factor = Factor::new(&covariance, 4, quadruple.is_symmetric() && limit.is_exchangeable());
        let (table, _) = self.table(limit, &coordinates(&factor, 4), scrambles)?;
        self.quadruples[index].table = table;
        self.work.quadruple_factors.push(factor);
        Some(())
    }

    /// Nodes for whitened coordinates, and whether half of them stand for all.
    fn table(
        &self,
        limit: &Limit<'_, T>,
        coordinates: &[Coordinate],
        scrambles: &[u32],
    ) -> Option<(NodeTable<T>, bool)> {
        // Pairs of fields cost nothing beside quadruples: their error should not count.
        let pair = coordinates.len() == 2 && limit.neurons > 1;
        let accuracy = if pair { self.accuracy.fixed + PAIR_MARGIN } else { self.accuracy.fixed };
        let budget = limit.node_budget;
        let degree = match self.smoothness {
            Smoothness::Polynomial { degree } => Some(degree),
            _ => None,
        };
        // e has degree 2d − 1, or 4d − 1 with the penalty's own-sample part; Λ squares it; B multiplies by h.
        let exact = degree.map(|degree| if limit.penalised { 4 * degree } else { 2 * degree }.max(1));
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a small positive number
        let many = accuracy.ceil() as usize;
        match (limit.quadrature, exact) {
            (Quadrature::Automatic, Some(points)) => Some((NodeTable::hermite(coordinates, points, budget)?, false)),
            (Quadrature::GaussHermite, points) => {
                Some((NodeTable::hermite(coordinates, points.unwrap_or(many), budget)?, false))
            }
            // Across a kink in four dimensions lattices converge more slowly still.
            _ if limit.samples_fields(&self.smoothness) => {
                Some((NodeTable::sobol(coordinates, self.accuracy.sampled, scrambles, budget)?, false))
            }
            _ => Some((NodeTable::trapezoid(&self.smoothness, coordinates, accuracy, budget)?, true)),
        }
    }

    /// Fits offset and slope of g' to the mean of C and to how far it strays over batches.
    fn fit_penalty(&mut self, limit: &Limit<'_, T>) {
        self.update_work(limit);
        self.average_pairs(limit);
        let m = limit.neurons;
        for at in (0..m * m).filter(|at| at / m != at % m) {
            let mean = self.work.means[at];
            let spread = (T::lit(0.5) + mean.abs()) / limit.batch.sqrt();
            let (above, below) = (limit.penalty.derivative(mean + spread), limit.penalty.derivative(mean - spread));
            let slope = (above - below) / (spread + spread);
            let offset = T::lit(0.5) * (above + below) - slope * mean;
            // Any line is exact in the end; none is better than one that is not finite.
            let usable = slope.is_finite() && offset.is_finite();
            (self.offsets[at], self.slopes[at]) = if usable { (offset, slope) } else { (T::zero(), T::zero()) };
        }
    }

    /// Goes over to the same model at other values of its parameters, with the same nodes. Both limits must be of
    /// [`Limit::for_directions`] of what differs.
    pub(crate) fn follow(&mut self, limit: &Limit<'_, T>) {
        self.work.numbers = Numbers::constants(limit);
        let factors: Vec<T> = limit.hidden_scales.iter().zip(&self.scales).map(|(&now, &then)| now / then).collect();
        if factors.iter().any(|factor| *factor != T::one()) {
            scale_nodes(&mut self.hidden, &factors);
            if let Some(batches) = &mut self.batches {
                batches.scale_hidden(&factors);
            }
            self.scales.clone_from(&limit.hidden_scales);
        }
    }

    /// Whether the rule has no error but rounding.
    pub(super) fn is_exact(&self) -> bool {
        self.exact
    }

    /// Whether some averages are over Sobol points, whose error is random.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.sampled
    }

    /// The nodes at which one evaluation of the coefficients evaluates the nonlinearity, over all averages. Closed forms
    /// have none.
    #[must_use]
    pub fn nodes(&self) -> u64 {
        let field_pairs = self.field_pairs.iter().map(|field_pair| match &field_pair.nodes {
            PairNodes::Table(table) => table.count() * 2,
            PairNodes::Kinked(nodes) => nodes.table().count() * 2,
            PairNodes::Closed(_) => 0,
        });
        let quadruples = self.quadruples.iter().map(Quadruple::count);
        let batches = self.batches.as_ref().map_or(0, BatchTable::count);
        (field_pairs.chain(quadruples).sum::<usize>() * self.groups.count() + batches) as u64
    }

    /// Refits moments and factors to the state in the work space.
    pub(super) fn update_work(&mut self, limit: &Limit<'_, T>) {
        self.groups.update(&self.work.state, &self.hidden);
        let Self { field_pairs, quadruples, hidden, work, .. } = self;
        work.update(limit, field_pairs, quadruples, hidden);
    }

    /// Whether the nodes still resolve the fields at that state.
    pub(crate) fn resolves(&mut self, limit: &Limit<'_, T>, q: &DMatrix<T>, r: &DMatrix<T>) -> bool {
        T::resolves(self, limit, q, r)
    }

    pub(super) fn resolves_generic(&mut self, limit: &Limit<'_, T>, q: &DMatrix<T>, r: &DMatrix<T>) -> bool {
        self.work.state.copy_from(q, r);
        self.update_work(limit);
        // The nodes of a continuous hidden law were chosen for overlaps of that size: a fifth more asks for new ones.
        if self.reach.is_some_and(|reach| self.work.moments.largest_overlap() > T::lit(1.44) * reach) {
            return false;
        }
        let automatic = limit.quadrature == Quadrature::Automatic;
        if automatic && matches!(self.smoothness, Smoothness::Polynomial { .. }) {
            return true;
        }
        let fits =
            |factor: &Factor<T>, table: &NodeTable<T>, fields: usize| table.resolves(&coordinates(factor, fields));
        let field_pairs =
            self.field_pairs.iter().zip(&self.work.pair_factors).all(|(field_pair, factor)| match &field_pair.nodes {
                PairNodes::Table(table) => fits(factor, table, 2),
                // These nodes move with the state.
                PairNodes::Kinked(_) | PairNodes::Closed(_) => true,
            });
        field_pairs
            && self
                .quadruples
                .iter()
                .zip(&self.work.quadruple_factors)
                .all(|(quadruple, factor)| fits(factor, &quadruple.table, 4))
    }

    /// The coefficients at `state` by this rule; returns the number of nodes used.
    pub(super) fn apply(
        &mut self,
        limit: &Limit<'_, T>,
        state: &OrderParameters<T>,
        out: &mut crate::limit::Coefficients<T>,
    ) -> u64 {
        self.apply_to(limit, state.q(), state.r(), out)
    }

    /// As [`apply`](Self::apply), from matrices.
    pub(crate) fn apply_to(
        &mut self,
        limit: &Limit<'_, T>,
        q: &DMatrix<T>,
        r: &DMatrix<T>,
        out: &mut crate::limit::Coefficients<T>,
    ) -> u64 {
        self.work.state.copy_from(q, r);
        self.run(limit);
        self.work.out.copy_to(out);
        self.nodes()
    }

    /// Computes the coefficients at a packed state, to be read from [`moving`](Self::moving).
    pub(crate) fn evaluate(&mut self, limit: &Limit<'_, T>, q: &[T], upper_r: &[T]) -> u64 {
        let m = limit.neurons;
        self.work.state.q.copy_from_slice(q);
        let triangle = (0..m).flat_map(|i| (i..m).map(move |j| (i, j)));
        for ((i, j), &x) in triangle.zip(upper_r) {
            self.work.state.r[i * m + j] = x;
            self.work.state.r[j * m + i] = x;
        }
        self.run(limit);
        self.nodes()
    }

    fn run(&mut self, limit: &Limit<'_, T>) {
        T::run(self, limit);
    }

    pub(super) fn run_generic(&mut self, limit: &Limit<'_, T>) {
        self.update_work(limit);
        self.average(limit);
        self.assemble(limit);
    }

    /// The coefficients last computed, at their state.
    pub(crate) fn moving(&self) -> Moving<'_, T> {
        self.work.moving()
    }

    /// All averages, of which the coefficients are made.
    pub(super) fn average(&mut self, limit: &Limit<'_, T>) {
        self.average_pairs(limit);
        self.average_quadruples(limit);
    }

    /// The coefficients from the averages.
    pub(super) fn assemble(&mut self, limit: &Limit<'_, T>) {
        let Self { field_pairs, terms, offsets, slopes, batches, work, .. } = self;
        let frozen = crate::limit::assembly::Frozen {
            field_pairs,
            terms: terms.as_ref(),
            offsets,
            slopes,
            batches: batches.as_ref(),
        };
        work.assemble(limit, &frozen);
    }
}

/// Coefficients at a state, with their derivatives or without.
#[derive(Debug)]
pub struct Moving<'a, N> {
    pub(crate) coefficients: &'a Assembled<N>,
    /// Q and R, row by row.
    pub(crate) q: &'a [N],
    pub(crate) r: &'a [N],
}

impl<T: Compiled, N: Number<T>> Work<T, N> {
    pub(super) fn moving(&self) -> Moving<'_, N> {
        Moving { coefficients: &self.out, q: &self.state.q, r: &self.state.r }
    }

    fn new(limit: &Limit<'_, T>) -> Self {
        let (p, m) = (limit.features, limit.neurons);
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
    pub(super) fn with_numbers<M: Number<T>>(
        &self,
        limit: &Limit<'_, T>,
        batches: Option<&BatchTable<T>>,
    ) -> Work<T, M> {
        let factors = |factors: &[Factor<T, N>]| factors.iter().map(Factor::with_numbers).collect();
        let batch = self.batch.as_ref().zip(batches);
        Work {
            pair_factors: factors(&self.pair_factors),
            quadruple_factors: factors(&self.quadruple_factors),
            batch: batch.map(|((factor, _), table)| (factor.with_numbers(), table.work())),
            field_pairs: vec![PairAverages::new(limit.features); self.field_pairs.len()],
            products: vec![M::zero(); self.products.len()],
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
        self.moments.update(&self.numbers, &self.state, &hidden.gaussian);
        for (field_pair, factor) in field_pairs.iter().zip(&mut self.pair_factors) {
            self.moments.covariance(&[(0, field_pair.i), (1, field_pair.j)], &mut self.covariance[..4]);
            factor.update(&self.covariance[..4]);
        }
        for (quadruple, factor) in quadruples.iter().zip(&mut self.quadruple_factors) {
            self.moments.covariance(&quadruple.fields, &mut self.covariance[..16]);
            factor.update(&self.covariance[..16]);
        }
        if let Some((factor, _)) = &mut self.batch {
            let m = limit.neurons;
            let entries = &mut self.covariance[..4 * m * m];
            for (slot, out) in entries.iter_mut().enumerate() {
                let (row, column) = (slot / (2 * m), slot % (2 * m));
                *out = self.moments.field_covariance((row / m, row % m), (column / m, column % m));
            }
            factor.update(entries);
        }
    }
}

impl<T: Compiled> Limit<'_, T> {
    /// Whether averages over some fields are over Sobol points.
    fn samples_fields(&self, smoothness: &Smoothness<T>) -> bool {
        let kinked = matches!(smoothness, Smoothness::Kinked { .. });
        let automatic = matches!(self.quadrature, Quadrature::Automatic | Quadrature::Panels);
        self.quadrature == Quadrature::Sobol || automatic && kinked && self.neurons > 1
    }

    /// Whether exchanging the views changes no average.
    pub(super) fn is_exchangeable(&self) -> bool {
        self.feature_noise.is_exchangeable() && self.views.is_exchangeable()
    }
}

/// Every field (view, neuron), view 1 first.
fn all_fields(neurons: usize) -> Vec<(usize, usize)> {
    (0..2).flat_map(|v| (0..neurons).map(move |i| (v, i))).collect()
}

fn coordinates<T: Compiled>(factor: &Factor<T>, fields: usize) -> Vec<Coordinate> {
    (0..fields)
        .map(|k| Coordinate { gain: factor.gain(k).as_f64(), reflected: factor.is_odd_under_exchange(k) })
        .collect()
}
