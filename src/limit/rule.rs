//! A frozen choice of nodes for every average that the coefficients need (theory §3, §9).

use nalgebra::DMatrix;

use super::accuracy::Accuracy;
use super::averages::batches::Batches;
use super::averages::forms::Form;
use super::averages::four_fields::{Place, Quadruple, quadruples};
use super::averages::independent_views::IndependentViews;
use super::averages::kernel::Kernel;
use super::averages::kinked::KinkedNodes;
use super::averages::pair_form::PairForm;
use super::averages::sample_moments::SampleMoments;
use super::averages::sum_form::SumForm;
use super::averages::sum_nodes::SumNodes;
use super::averages::table::{Coordinate, NodeTable, trapezoid_step};
use super::averages::two_fields::PairBuffers;
use super::averages::two_views::{Position, forms};
use super::averages::whole_batches::BatchTable;
use super::error::LimitError;
use super::fields::factor::Factor;
use super::fields::groups::Groups;
use super::hidden::{HiddenNodes, merge_nodes, scale_nodes};
use super::hidden_way::HiddenWay;
use super::numbers::Numbers;
use super::problem::{Limit, Quadrature};
use super::signals::NoiseTerms;
use super::work::{FieldPair, PairAverages, PairNodes, Work};
use crate::Scalar;
use crate::model::{ClosedForm, HiddenQuadrature, Smoothness};
use crate::numerics::lanes::LANES;
use crate::state::OrderParameters;

/// A frozen cubature rule for the limit coefficients: fixed nodes in whitened coordinates, so that what it computes is
/// a smooth function of the state. Made by [`Limit::rule`].
#[derive(Debug, Clone)]
pub struct Rule<T: Scalar = f64> {
    pub(super) accuracy: Accuracy,
    pub(super) exact: bool,
    pub(super) sampled: bool,
    /// Whether more accuracy would not bring more nodes of the hidden law.
    pub(super) saturated: bool,
    /// The largest squared overlap (QᵀQ)_ii for which the cubature of the hidden law was chosen; none if it is exact.
    pub(super) reach: Option<T>,
    /// The largest variance of each field, view 1 first, for which the rule was verified; empty if it holds for any.
    pub(super) most: Vec<T>,
    /// The factors of the hidden variables for which the nodes were chosen, and those in them.
    chosen_scales: Vec<T>,
    scales: Vec<T>,
    /// The nodes of the hidden law and of whole batches as they were chosen, once they have been scaled.
    chosen: Option<Box<(HiddenQuadrature<T>, Option<DMatrix<T>>)>>,
    pub(super) smoothness: Smoothness<T>,
    pub(super) hidden: HiddenQuadrature<T>,
    pub(super) groups: Groups<T>,
    /// Nodes of the sum of hidden variables, in the place of those of the hidden law.
    pub(super) sum_nodes: Option<Box<SumNodes<T>>>,
    /// Averages given what the views have in common, in the place of all others.
    pub(super) views: Option<Box<IndependentViews<T>>>,
    pub(super) field_pairs: Vec<FieldPair<T>>,
    /// How Λ is made of averages over four fields, and by what they are averaged.
    pub(super) terms: Option<NoiseTerms>,
    pub(super) four_fields: FourFields<T>,
    /// Batches, for what a penalty that is not quadratic adds, and for losses without a form.
    pub(super) batches: Option<Batches<T>>,
    /// g'(C) as offset + slope·C, m x m each: 0 and 1 for the quadratic penalty.
    pub(super) offsets: Vec<T>,
    pub(super) slopes: Vec<T>,
    pub(super) work: Work<T, T>,
    pub(super) pair_buffers: PairBuffers<T>,
}

/// By what products of signals, functions of four fields, are averaged.
#[derive(Debug, Clone)]
pub(super) enum FourFields<T> {
    /// There are none, or all have closed forms.
    Closed,
    /// Forms in two views, for smooth σ.
    Forms(Vec<Form<T>>, Vec<Position>),
    /// Given what the views have in common.
    Views,
    /// Nodes in four dimensions, across kinks.
    Nodes(Vec<Quadruple<T>>, Vec<Place>),
}

impl<T: Scalar> FourFields<T> {
    pub(super) fn quadruples(&self) -> &[Quadruple<T>] {
        if let Self::Nodes(quadruples, _) = self { quadruples } else { &[] }
    }
}

/// How much more accurate pairs of fields are than quadruples, in units of ln(1/error).
pub(super) const PAIR_MARGIN: f64 = 4.0;

/// By how much the density at the end of a lattice is below the error aimed at, in units of ln(1/error).
pub(super) const FORM_MARGIN: f64 = 2.0;

impl<T: Scalar> Limit<'_, T> {
    /// Nodes of a coordinate by its gain; `exact`: the points of a Gauss-Hermite rule that is exact.
    pub(super) fn axis(&self, gain: f64, accuracy: f64, multiple: usize, exact: Option<usize>) -> Option<Kernel<T>> {
        // The matrix between the nodes has their number squared.
        let most = self.options.node_budget.isqrt();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a small positive number
        let many = accuracy.ceil() as usize;
        match (self.options.quadrature, exact) {
            (Quadrature::Automatic | Quadrature::GaussHermite, Some(points)) => {
                Kernel::hermite(points, gain, multiple, most)
            }
            (Quadrature::GaussHermite, None) => Kernel::hermite(many, gain, multiple, most),
            _ if gain > 0.0 => {
                let radius = (2.0 * (accuracy + FORM_MARGIN)).sqrt();
                Kernel::lattice(trapezoid_step(&self.sigma.smoothness(), gain, accuracy), radius, multiple, most)
            }
            _ => Some(Kernel::still(multiple)),
        }
    }
}

impl<T: Scalar> Rule<T> {
    /// The rule that errs by about exp(−accuracy) near `state`; `None` if it needs more nodes than the budget.
    /// Sampled nodes are of those `replicates`.
    pub(super) fn new(
        limit: &Limit<'_, T>,
        state: &OrderParameters<T>,
        accuracy: Accuracy,
        replicates: std::ops::Range<u32>,
    ) -> Result<Option<Self>, LimitError<T>> {
        let (p, m) = (limit.settings.n_features, limit.settings.n_neurons);
        let smoothness = limit.sigma.smoothness();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a small positive number
        let base = (accuracy.sampled * 1024.0) as u32;
        let scrambles: Vec<u32> = replicates.map(|r| base.wrapping_add(r.wrapping_mul(0x9E37_79B1))).collect();
        let way = limit.hidden_way(state, accuracy, &scrambles)?;
        let summed = !matches!(way, HiddenWay::Nodes(_));
        let mut nodes = HiddenNodes::none(p);
        let (mut sum, mut sum_nodes, mut views, mut terms) = (None, None, None, None);
        match way {
            HiddenWay::Nodes(own) => nodes = own,
            HiddenWay::Sum(form) => sum = Some(form),
            HiddenWay::SumNodes(of_sum) => sum_nodes = Some(of_sum),
            HiddenWay::Views(independent, its_terms) => (views, terms) = (Some(independent), Some(its_terms)),
        }
        // A whole batch has many hidden nodes at once: none is the mirror image of another.
        let whole = limit.loss.over_batches().then(|| nodes.quadrature.clone());
        let hidden = merge_nodes(nodes.quadrature, limit.hidden.mirror);
        // Of what is not affine, the line is fitted below.
        let (offset, slope) = limit.loss.off_diagonal().affine().unwrap_or((T::zero(), T::one()));
        let mut rule = Self {
            accuracy,
            sampled: nodes.sampled
                || limit.loss.whole_batches()
                || views.is_none() && limit.samples_fields(&smoothness),
            saturated: nodes.saturated,
            reach: None,
            most: Vec::new(),
            chosen_scales: limit.hidden.scales.clone(),
            scales: limit.hidden.scales.clone(),
            chosen: None,
            exact: false,
            smoothness,
            groups: Groups::new(p, m, hidden.weights.len(), limit.hidden.mirror),
            hidden,
            sum_nodes,
            views,
            field_pairs: Vec::new(),
            terms,
            four_fields: FourFields::Closed,
            batches: None,
            offsets: entries(m, offset, limit.loss.diagonal_line().0),
            slopes: entries(m, slope, limit.loss.diagonal_line().1),
            work: Work::new(limit),
            pair_buffers: PairBuffers::new(),
        };
        rule.work.state.copy_from(state.q(), state.r());
        let Work { moments, numbers, state: numbers_of_state, .. } = &mut rule.work;
        moments.update(numbers, numbers_of_state, &rule.hidden.gaussian);
        let inexact = nodes.sampled || summed || !limit.hidden.is_exact;
        rule.reach = (inexact && !summed).then(|| rule.work.moments.largest_overlap());
        if let Some(nodes) = &rule.sum_nodes {
            rule.work.moments.move_noise(nodes.moved());
        }
        rule.regroup(limit);
        let Some(closed) = rule.choose(limit, sum, whole.as_ref(), &scrambles) else { return Ok(None) };
        let polynomial =
            limit.options.quadrature == Quadrature::Automatic && matches!(smoothness, Smoothness::Polynomial { .. });
        rule.exact = !inexact && !limit.loss.whole_batches() && (polynomial || closed && !limit.loss.over_batches());
        if limit.loss.off_diagonal().affine().is_none() && limit.loss.coupled() {
            rule.fit_line(limit);
        }
        Ok(Some(rule))
    }

    /// Chooses nodes for every average; says whether all of them are closed forms.
    fn choose(
        &mut self,
        limit: &Limit<'_, T>,
        sum: Option<Box<SumForm<T>>>,
        whole: Option<&HiddenQuadrature<T>>,
        scrambles: &[u32],
    ) -> Option<bool> {
        let m = limit.settings.n_neurons;
        if let Some(form) = sum {
            let mut covariance = [T::zero(); 4];
            self.work.moments.covariance(&[(0, 0), (1, 0)], &mut covariance);
            let factor = Factor::new(&covariance, 2, limit.noise.is_exchangeable());
            self.push_pair((0, 0), PairNodes::Sum(form), None, factor, limit.settings.n_features);
            return Some(false);
        }
        if self.views.is_some() {
            self.choose_views(limit);
            return Some(false);
        }
        let closed = self.closed_form(limit);
        for i in 0..m {
            for j in (0..m).filter(|&j| limit.loss.has_form() && (limit.loss.coupled() || j == i)) {
                self.add_pair(limit, (i, j), closed, scrambles)?;
            }
        }
        let mut complete = closed.is_some();
        if m > 1 && limit.loss.has_form() {
            let closed = closed.is_some_and(|form| matches!(form, ClosedForm::Erf));
            let terms = limit.noise_terms(!closed && !limit.has_nodes_in_four_dimensions());
            if !closed {
                complete = false;
                if limit.has_nodes_in_four_dimensions() {
                    let (mut quadruples, places) = quadruples(&terms, m, limit.noise.is_exchangeable());
                    for quadruple in &mut quadruples {
                        self.add_quadruple_nodes(limit, quadruple, scrambles)?;
                    }
                    self.four_fields = FourFields::Nodes(quadruples, places);
                } else {
                    let (views, positions) = forms(&terms);
                    let mut forms = Vec::with_capacity(views.len());
                    for (number, mut form) in views.into_iter().enumerate() {
                        self.work.moments.covariance(&form.fields, &mut self.work.covariance[..16]);
                        let of_form = positions.iter().zip(terms.products()).filter(|(at, _)| at.0 == number);
                        if let Some(form) = self.field_form(limit, &form, of_form) {
                            forms.push(Form::Fields(Box::new(form)));
                            continue;
                        }
                        if self.form_exceeds(limit, form.functions(), &self.work.covariance[..16]) {
                            return None;
                        }
                        form.choose(&self.work.covariance[..16], &mut |gain, multiple| {
                            self.axis(limit, gain, self.accuracy.fixed, multiple)
                        })?;
                        forms.push(Form::Views(Box::new(form)));
                    }
                    self.four_fields = FourFields::Forms(forms, positions);
                }
            }
            self.work.products = vec![T::zero(); terms.products().len()];
            self.terms = Some(terms);
        }
        if let Some(hidden) = whole {
            let batches = self.choose_batches(limit, hidden, scrambles)?;
            self.batches = Some(batches);
        }
        Some(complete)
    }

    /// Chooses nodes for averages over batches.
    fn choose_batches(
        &mut self,
        limit: &Limit<'_, T>,
        hidden: &HiddenQuadrature<T>,
        scrambles: &[u32],
    ) -> Option<Batches<T>> {
        let m = limit.settings.n_neurons;
        let covariance = self.work.moments.full_covariance();
        let factor = Factor::new(&covariance, 2 * m, limit.noise.is_exchangeable());
        let expansion = limit.loss.expansion().filter(|_| !limit.samples_fields(&self.smoothness));
        let batches = if let Some(expansion) = expansion {
            let mut axis = |gain: f64| self.axis(limit, gain, self.accuracy.fixed, 1);
            let budget = limit.options.node_budget;
            let mirrored = limit.hidden.mirror.then(|| limit.sigma.parity());
            let hidden = (&self.hidden, mirrored);
            let moments = SampleMoments::new(hidden, &covariance, m, expansion.clone(), &mut axis, budget)?;
            Batches::Moments(Box::new(moments))
        } else {
            let shape = (m, limit.settings.batch_size);
            let budget = limit.options.node_budget;
            Batches::Whole(BatchTable::new(hidden, shape, self.accuracy.sampled, scrambles, budget)?)
        };
        self.work.batch = Some((factor, batches.work()));
        Some(batches)
    }

    /// All averages are those of independent views.
    fn choose_views(&mut self, limit: &Limit<'_, T>) {
        let m = limit.settings.n_neurons;
        let pairs = (0..m).flat_map(|i| (0..m).map(move |j| (i, j)));
        for (i, j) in pairs.filter(|(i, j)| limit.loss.coupled() || i == j) {
            let mut covariance = [T::zero(); 4];
            self.work.moments.covariance(&[(0, i), (1, j)], &mut covariance);
            let factor = Factor::new(&covariance, 2, false);
            self.push_pair((i, j), PairNodes::Views, None, factor, limit.settings.n_features);
        }
        self.four_fields = FourFields::Views;
        let products = self.terms.as_ref().map_or(0, |terms| terms.products().len());
        self.work.products = vec![T::zero(); products];
    }

    /// The closed form that applies: fields are Gaussian and centred, and there is no penalty.
    fn closed_form(&self, limit: &Limit<'_, T>) -> Option<ClosedForm<T>> {
        let centred = !self.hidden.weights.is_empty() && self.hidden.nodes.iter().all(|x| *x == T::zero());
        let form = limit.sigma.closed_form()?;
        let spread = |v: usize, i: usize| self.work.moments.field_covariance((v, i), (v, i)) > T::zero();
        let regular = match form {
            ClosedForm::Erf => true,
            ClosedForm::Rectifier { .. } => (0..limit.settings.n_neurons).all(|i| spread(0, i) && spread(1, i)),
        };
        (limit.options.quadrature == Quadrature::Automatic && centred && regular && !limit.loss.couples_samples())
            .then_some(form)
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
        let polynomial = matches!(self.smoothness, Smoothness::Polynomial { .. });
        let panels = match limit.options.quadrature {
            Quadrature::Panels if polynomial => Some(T::zero()),
            Quadrature::Automatic | Quadrature::Panels => kink,
            _ => None,
        };
        // A kink lies across single fields: the rotated ones would hide it.
        let rotated = i == j && limit.noise.is_exchangeable() && panels.is_none();
        let mut covariance = [T::zero(); 4];
        self.work.moments.covariance(&[(0, i), (1, j)], &mut covariance);
        let factor = Factor::new(&covariance, 2, rotated);
        let reflected = (0..2).find(|&k| factor.is_odd_under_exchange(k));
        if let Some(nodes) = self.pair_panels(limit, (i, j), &factor).filter(|_| closed.is_none() && panels.is_none()) {
            let nodes = PairNodes::Panels(Box::new(nodes));
            self.push_pair((i, j), nodes, None, Factor::new(&covariance, 2, false), limit.settings.n_features);
            return Some(());
        }
        let (nodes, odd) = if let Some(form) = closed {
            (PairNodes::Closed(form), None)
        } else if let Some(at) = panels {
            let mut nodes = KinkedNodes::new(at, self.accuracy.fixed);
            let mut rows = [[T::zero(); 2]; 2];
            (0..4).for_each(|k| rows[k / 2][k % 2] = factor.get(k / 2, k % 2));
            if nodes.at([T::zero(); 2], rows).count() > limit.options.node_budget {
                return None;
            }
            (PairNodes::Kinked(nodes), None)
        } else if limit.settings.n_neurons > 1 && !limit.has_nodes_in_four_dimensions() {
            let accuracy = self.accuracy.fixed + PAIR_MARGIN;
            let kernel = self.axis(limit, PairForm::gain(&covariance), accuracy, LANES)?;
            (PairNodes::Form(Box::new(PairForm::new(kernel))), None)
        } else {
            let (table, halved) = self.table(limit, &coordinates(&factor, 2), scrambles)?;
            (PairNodes::Table(table), reflected.filter(|_| halved))
        };
        self.push_pair((i, j), nodes, odd, factor, limit.settings.n_features);
        Some(())
    }

    fn push_pair(
        &mut self,
        (i, j): (usize, usize),
        nodes: PairNodes<T>,
        odd: Option<usize>,
        factor: Factor<T>,
        features: usize,
    ) {
        self.field_pairs.push(FieldPair { i, j, nodes, odd });
        self.work.pair_factors.push(factor);
        self.work.field_pairs.push(PairAverages::new(features));
    }

    fn add_quadruple_nodes(
        &mut self,
        limit: &Limit<'_, T>,
        quadruple: &mut Quadruple<T>,
        scrambles: &[u32],
    ) -> Option<()> {
        let mut covariance = vec![T::zero(); 16];
        self.work.moments.covariance(&quadruple.fields, &mut covariance);
        let factor = Factor::new(&covariance, 4, quadruple.is_symmetric() && limit.noise.is_exchangeable());
        let (table, _) = self.table(limit, &coordinates(&factor, 4), scrambles)?;
        quadruple.table = table;
        self.work.quadruple_factors.push(factor);
        Some(())
    }

    /// Nodes for a canonical coordinate of that gain; half their number is a multiple of `multiple`.
    pub(super) fn axis(&self, limit: &Limit<'_, T>, gain: f64, accuracy: f64, multiple: usize) -> Option<Kernel<T>> {
        limit.axis(gain, accuracy, multiple, self.exact_points(limit))
    }

    /// The points of a Gauss-Hermite rule that is exact, for polynomials.
    fn exact_points(&self, limit: &Limit<'_, T>) -> Option<usize> {
        let Smoothness::Polynomial { degree } = self.smoothness else { return None };
        if let Some(expansion) = limit.loss.expansion() {
            return expansion.list.exact_points(&self.smoothness);
        }
        // e has degree 2d − 1, or 4d − 1 with the penalty's own-sample part; Λ squares it; B multiplies by h.
        Some(if limit.loss.couples_samples() { 4 * degree } else { 2 * degree }.max(1))
    }

    /// Nodes for whitened coordinates, and whether half of them stand for all.
    fn table(
        &self,
        limit: &Limit<'_, T>,
        coordinates: &[Coordinate],
        scrambles: &[u32],
    ) -> Option<(NodeTable<T>, bool)> {
        // Pairs of fields cost nothing beside quadruples: their error should not count.
        let pair = coordinates.len() == 2 && limit.settings.n_neurons > 1;
        let accuracy = if pair { self.accuracy.fixed + PAIR_MARGIN } else { self.accuracy.fixed };
        let budget = limit.options.node_budget;
        let exact = self.exact_points(limit);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a small positive number
        let many = accuracy.ceil() as usize;
        match (limit.options.quadrature, exact) {
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
    fn fit_line(&mut self, limit: &Limit<'_, T>) {
        self.update_work(limit);
        self.average_pairs(limit);
        let (m, entry) = (limit.settings.n_neurons, limit.loss.off_diagonal());
        for at in (0..m * m).filter(|at| at / m != at % m) {
            let mean = self.work.means[at];
            let spread = (T::lit(0.5) + mean.abs()) / limit.batch.sqrt();
            let (above, below) = (entry.at(mean + spread), entry.at(mean - spread));
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
        if limit.hidden.scales == self.scales {
            return;
        }
        // From the nodes that were chosen: what a rule is does not depend on where it has been.
        let (hidden, batches) = &**self.chosen.get_or_insert_with(|| {
            Box::new((self.hidden.clone(), self.batches.as_ref().map(|batches| batches.hidden().clone())))
        });
        let factors = limit.hidden.scales.iter().zip(&self.chosen_scales);
        let factors: Vec<T> = factors.map(|(&now, &then)| now / then).collect();
        if !hidden.weights.is_empty() {
            self.hidden.clone_from(hidden);
            scale_nodes(&mut self.hidden, &factors);
        }
        if let (Some(batches), Some(hidden)) = (&mut self.batches, batches) {
            batches.scale_hidden(hidden, &factors);
        }
        self.scales.clone_from(&limit.hidden.scales);
    }

    /// Whether its error depends on how large the fields are, beyond what its nodes are chosen for.
    pub(super) fn grows(&self) -> bool {
        let own = |nodes: &PairNodes<T>| matches!(nodes, PairNodes::Table(_) | PairNodes::Form(_));
        let forms = matches!(self.four_fields, FourFields::Forms(..) | FourFields::Nodes(..));
        let moments = matches!(self.batches, Some(Batches::Moments(_)));
        !self.exact
            && self.views.is_none()
            && self.sum_nodes.is_none()
            && (forms || moments || self.field_pairs.iter().any(|pair| own(&pair.nodes)))
    }

    /// Allows fields as large as those of its last state.
    pub(super) fn allow_growth(&mut self) {
        self.most = all_fields(self.work.out.n_neurons())
            .into_iter()
            .map(|field| self.work.moments.field_covariance(field, field))
            .collect();
    }

    /// Whether the rule has no error but rounding.
    pub(super) fn is_exact(&self) -> bool {
        self.exact
    }

    /// Whether a polynomial multiplies the roundings of a density of the sum at its ends.
    pub(super) fn sums_growing(&self, limit: &Limit<'_, T>) -> bool {
        let sums = self.field_pairs.iter().any(|pair| matches!(pair.nodes, PairNodes::Sum(_)));
        sums && matches!(limit.sigma.smoothness(), Smoothness::Polynomial { .. })
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
        let groups = self.groups.count();
        let field_pairs = self.field_pairs.iter().map(|field_pair| match &field_pair.nodes {
            PairNodes::Table(table) => table.count() * 2 * groups,
            PairNodes::Kinked(nodes) => nodes.table().count() * 2 * groups,
            PairNodes::Panels(nodes) => nodes.table().count() * 2 * groups,
            PairNodes::Form(form) => form.count() * groups,
            PairNodes::Sum(form) => form.count(),
            PairNodes::Closed(_) | PairNodes::Views => 0,
        });
        let four_fields: usize = match &self.four_fields {
            FourFields::Closed | FourFields::Views => 0,
            FourFields::Forms(forms, _) => forms.iter().map(Form::count).sum(),
            FourFields::Nodes(quadruples, _) => quadruples.iter().map(Quadruple::count).sum(),
        };
        let batches = self.batches.as_ref().map_or(0, Batches::count);
        let views = self.views.as_ref().map_or(0, |views| views.count());
        (field_pairs.sum::<usize>() + four_fields * groups + batches + views) as u64
    }
}

/// m x m entries, on the diagonal and off it.
fn entries<T: Scalar>(m: usize, off: T, diagonal: T) -> Vec<T> {
    (0..m * m).map(|at| if at / m == at % m { diagonal } else { off }).collect()
}

/// Every field (view, neuron), view 1 first.
fn all_fields(neurons: usize) -> Vec<(usize, usize)> {
    (0..2).flat_map(|v| (0..neurons).map(move |i| (v, i))).collect()
}

pub(super) fn coordinates<T: Scalar>(factor: &Factor<T>, fields: usize) -> Vec<Coordinate> {
    (0..fields)
        .map(|k| Coordinate { gain: factor.gain(k).as_f64(), reflected: factor.is_odd_under_exchange(k) })
        .collect()
}
