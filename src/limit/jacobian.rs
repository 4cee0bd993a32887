//! Derivatives of the coefficients by the state and by the parameters of the model: those of the frozen rule itself, and of
//! averages over forms those of the averages, to the error of the rule.
//!
//! One more pass over the nodes gives how every average moves with the means and the factor of its fields, whatever the
//! number of directions; the rest is the assembly, in numbers that carry eight derivatives each.

use super::averages::forms::Form;
use super::averages::four_fields::QuadGradient;
use super::averages::independent_views::{EntryMotion, PairSlopes};
use super::averages::pair_motion::{PairMotion, SIGNALS};
use super::averages::sum_gradient::{self, Extent};
use super::averages::table::NodeTable;
use super::averages::two_fields_gradient::PlaneGradient;
use super::error::LimitError;
use super::fields::factor::Factor;
use super::parameter::Direction;
use super::problem::Limit;
use super::rule::{FourFields, Rule};
use super::signals::Couplings;
use super::work::{Frozen, Moving, PairAverages, PairNodes, Work};
use crate::Scalar;
use crate::model::Smoothness;
use crate::numerics::dual::{DIRECTIONS, Dual, Number};
use crate::numerics::lanes::Lanes;
use crate::state::OrderParameters;

/// How the averages of a rule move.
pub(super) struct Gradients<T> {
    /// For each field_pair.
    pub(super) field_pairs: Vec<PairGradient<T>>,
    /// Over forms: for each of them, how its averages move.
    forms: Vec<Vec<FormMotion<T>>>,
    /// Over nodes: for each entry of Λ that moves, the entry, and its gradient for each quadruple.
    entries: Vec<(usize, Vec<QuadMotion<T>>)>,
    /// Given what the views have in common: for each entry of Λ that moves.
    pub(super) view_entries: Vec<(usize, EntryMotion<T>)>,
}

/// How the averages of a pair of fields move.
pub(super) enum PairGradient<T> {
    /// By a closed form.
    Closed,
    Motion(Box<PairMotion<T>>),
    Views(Box<PairSlopes<T>>),
}

/// How an average over four fields moves, summed over the hidden law.
#[derive(Clone)]
struct FormMotion<T> {
    /// By c_l Σ: for each field, of length p.
    means: [Vec<T>; 4],
    /// By the covariances of the fields, the upper triangle.
    covariances: [[T; 4]; 4],
}

/// How an entry of Λ moves with the means and the factor of four fields, summed over the hidden law.
struct QuadMotion<T> {
    /// By c_l Σ: for each field, of length p.
    means: [Vec<T>; 4],
    /// By F_fj.
    rows: [[T; 4]; 4],
}

/// What is done with coefficients at a moving state: called with the number of the first direction, and with them.
pub(super) type Visit<'a, T> = dyn FnMut(usize, Moving<'_, Dual<T>>) + 'a;

impl<T: Scalar> Rule<T> {
    pub(super) fn differentiate_generic(
        &mut self,
        limit: &Limit<'_, T>,
        state: &OrderParameters<T>,
        directions: &[Direction],
        visit: &mut Visit<'_, T>,
    ) -> Result<(), LimitError<T>> {
        self.work.state.copy_from(state.q(), state.r());
        self.update_for(limit, true);
        self.average(limit);
        let overlap =
            |direction: &Direction| if let Direction::Overlap(l, i) = *direction { Some((l, i)) } else { None };
        let overlaps: Vec<(usize, usize)> = directions.iter().map_while(overlap).collect();
        let by_levers = self.has_levers(limit, overlaps.len());
        let gradients = self.gradients(limit, !by_levers);
        let mut first = 0;
        if by_levers {
            self.visit_overlaps(limit, &gradients, &overlaps, visit)?;
            first = overlaps.len();
        }
        for (chunk, directions) in directions[first..].chunks(DIRECTIONS).enumerate() {
            let mut work = self.lifted(limit, directions)?;
            work.update(limit, &self.field_pairs, self.four_fields.quadruples(), &self.hidden);
            self.check_smooth(&work)?;
            self.lift_planes(limit, &gradients, &mut work);
            self.lift_products(&gradients, &mut work);
            work.assemble(limit, &self.frozen());
            self.add_quads(&gradients, &mut work);
            add_view_entries(&gradients, &mut work);
            visit(first + chunk * DIRECTIONS, work.moving());
        }
        Ok(())
    }

    pub(super) fn frozen(&self) -> Frozen<'_, T> {
        let Self { field_pairs, terms, offsets, slopes, batches, .. } = self;
        Frozen { field_pairs, terms: terms.as_ref(), offsets, slopes, batches: batches.as_ref() }
    }

    fn by_parts(&self) -> bool {
        matches!(self.smoothness, Smoothness::Kinked { .. })
    }

    /// How one field_pair's averages move at one group of hidden nodes.
    pub(super) fn pair_gradient(&mut self, limit: &Limit<'_, T>, index: usize, group: usize) -> PlaneGradient<T> {
        let by_parts = self.by_parts();
        let rows = self.work.rows(index);
        let Self { field_pairs, groups, pair_buffers, .. } = self;
        let field_pair = &mut field_pairs[index];
        let mean = [groups.mean(group)[field_pair.i], groups.mean(group)[field_pair.j]];
        let empty;
        let table = match &mut field_pair.nodes {
            PairNodes::Table(table) => &*table,
            PairNodes::Kinked(nodes) => nodes.at(mean, rows),
            PairNodes::Panels(nodes) => nodes.at(mean, rows),
            PairNodes::Form(form) => return form.gradient(mean, rows, limit.sigma),
            PairNodes::Sum(form) => return sum_gradient::motion(form, rows, limit.sigma, Extent::Fields).plane,
            PairNodes::Closed(_) | PairNodes::Views => {
                empty = NodeTable::empty(2);
                &empty
            }
        };
        if by_parts {
            return PlaneGradient::by_parts(table, mean, rows, limit.sigma, pair_buffers);
        }
        let mut gradient = PlaneGradient::new(
            table,
            mean,
            rows,
            limit.loss.moves((field_pair.i, field_pair.j)),
            limit.sigma,
            pair_buffers,
        );
        if let Some(odd) = field_pair.odd {
            gradient.complete_by_exchange(odd);
        }
        gradient
    }

    /// `pairs`: E[c_l c_l' ·] as well, where it is not known from the nodes of the hidden law.
    fn gradients(&mut self, limit: &Limit<'_, T>, pairs: bool) -> Gradients<T> {
        let hidden: Vec<Vec<T>> = if self.sum_nodes.is_some() || self.views.is_some() {
            Vec::new()
        } else {
            (0..self.groups.count()).map(|group| self.second_moments(group)).collect()
        };
        let field_pairs =
            (0..self.field_pairs.len()).map(|index| self.pair_motion(limit, index, &hidden, pairs)).collect();
        Gradients {
            field_pairs,
            forms: self.form_motions(limit),
            entries: self.entry_gradients(limit),
            view_entries: self.view_entries(limit),
        }
    }

    /// Σ weight · c cᵀ over a group: p x p.
    fn second_moments(&self, group: usize) -> Vec<T> {
        let p = self.hidden.nodes.nrows();
        let mut moments = vec![T::zero(); p * p];
        for &node in self.groups.members(group) {
            let (c, weight) = (self.hidden.nodes.column(node), self.hidden.weights[node]);
            for l in 0..p {
                for k in 0..p {
                    moments[l * p + k] += weight * c[l] * c[k];
                }
            }
        }
        moments
    }

    /// How the averages of a pair move; `hidden` are the second moments of each group, where they are not nodes of the sum.
    fn pair_motion(&mut self, limit: &Limit<'_, T>, index: usize, hidden: &[Vec<T>], pairs: bool) -> PairGradient<T> {
        let rows = self.work.rows(index);
        let pair = &mut self.field_pairs[index];
        if let Some(views) = &mut self.views {
            let slopes = views.pair_slopes((pair.i, pair.j), limit.settings.n_features, pairs);
            return PairGradient::Views(Box::new(slopes));
        }
        match &mut pair.nodes {
            PairNodes::Closed(_) => return PairGradient::Closed,
            PairNodes::Sum(form) => {
                let extent = if pairs { Extent::Pairs } else { Extent::Means };
                return PairGradient::Motion(Box::new(sum_gradient::motion(form, rows, limit.sigma, extent)));
            }
            _ => {}
        }
        let signals = if limit.loss.moves((pair.i, pair.j)) { SIGNALS } else { SIGNALS / 2 };
        let mut motion = PairMotion::zero(limit.settings.n_features, signals);
        // ∂_v of each signal at every node of the sum.
        let mut slopes = vec![vec![T::zero(); self.groups.count()]; if hidden.is_empty() { 2 * signals } else { 0 }];
        for group in 0..self.groups.count() {
            let gradient = self.pair_gradient(limit, index, group);
            motion.add(&gradient, self.groups.weight(group), self.groups.weighted(group));
            if let Some(moments) = hidden.get(group) {
                motion.add_pairs(&gradient, moments);
            }
            for (k, slopes) in slopes.iter_mut().enumerate() {
                slopes[group] = gradient.mean(k / 2)[k % 2];
            }
        }
        if let Some(nodes) = &mut self.sum_nodes {
            for (k, pairs) in nodes.with_pairs(&slopes).into_iter().enumerate() {
                motion.pairs[k / 2][k % 2] = pairs;
            }
        }
        PairGradient::Motion(Box::new(motion))
    }

    fn form_motions(&mut self, limit: &Limit<'_, T>) -> Vec<Vec<FormMotion<T>>> {
        let Self { four_fields: FourFields::Forms(forms, _), work, groups, .. } = self else { return Vec::new() };
        let p = limit.settings.n_features;
        let still = FormMotion { means: [(); 4].map(|()| vec![T::zero(); p]), covariances: [[T::zero(); 4]; 4] };
        let mut motions: Vec<Vec<FormMotion<T>>> =
            forms.iter().map(|form| vec![still.clone(); form.products()]).collect();
        for (form, motions) in forms.iter_mut().zip(&mut motions) {
            let covariance = &mut work.covariance[..16];
            work.moments.covariance(&form.fields(), covariance);
            let means = (0..groups.count()).map(|group| groups.mean(group));
            for (group, gradients) in form.gradients(means, covariance, limit.sigma).into_iter().enumerate() {
                for (motion, gradient) in motions.iter_mut().zip(gradients) {
                    for f in 0..4 {
                        for (total, &c) in motion.means[f].iter_mut().zip(groups.weighted(group)) {
                            *total += gradient.means[f] * c;
                        }
                        for g in f..4 {
                            motion.covariances[f][g] += groups.weight(group) * gradient.covariances[f][g];
                        }
                    }
                }
            }
        }
        motions
    }

    /// How the entries of Λ move, given what the views have in common.
    fn view_entries(&mut self, limit: &Limit<'_, T>) -> Vec<(usize, EntryMotion<T>)> {
        let Self { terms: Some(terms), views: Some(views), work, offsets, slopes, .. } = self else {
            return Vec::new();
        };
        let diagonal = limit.loss.diagonal();
        let couplings = Couplings { numbers: &work.numbers, diagonal, offsets, slopes, means: &work.means };
        let rows = terms.weights(&couplings, &work.products);
        let weights: Vec<&[T]> = rows.iter().map(|(_, row)| row.as_slice()).collect();
        let motions = views.entry_motions(&weights, limit.settings.n_features);
        rows.iter().map(|(entry, _)| *entry).zip(motions).collect()
    }

    fn entry_gradients(&mut self, limit: &Limit<'_, T>) -> Vec<(usize, Vec<QuadMotion<T>>)> {
        let by_parts = self.by_parts();
        let Self {
            terms: Some(terms),
            four_fields: FourFields::Nodes(quadruples, places),
            work,
            groups,
            offsets,
            slopes,
            ..
        } = self
        else {
            return Vec::new();
        };
        let diagonal = limit.loss.diagonal();
        let couplings = Couplings { numbers: &work.numbers, diagonal, offsets, slopes, means: &work.means };
        let rows = terms.weights(&couplings, &work.products);
        let p = limit.settings.n_features;
        let still = || QuadMotion { means: [(); 4].map(|()| vec![T::zero(); p]), rows: [[T::zero(); 4]; 4] };
        let mut entries: Vec<(usize, Vec<QuadMotion<T>>)> =
            rows.iter().map(|(entry, _)| (*entry, quadruples.iter().map(|_| still()).collect())).collect();
        for (index, quadruple) in quadruples.iter_mut().enumerate() {
            // The weight of each of the quadruple's own pairs in each entry.
            let mut weights = vec![vec![T::zero(); quadruple.pairs()]; rows.len()];
            for (product, place) in places.iter().enumerate() {
                let share = T::one() / T::of_usize(place.parts.len());
                for &(_, pair) in place.parts.iter().filter(|part| part.0 == index) {
                    for (weights, (_, row)) in weights.iter_mut().zip(&rows) {
                        weights[pair] += share * row[product];
                    }
                }
            }
            let moving: Vec<usize> = (0..rows.len()).filter(|&n| weights[n].iter().any(|w| *w != T::zero())).collect();
            let weights: Vec<Vec<T>> = moving.iter().map(|&n| std::mem::take(&mut weights[n])).collect();
            for group in 0..groups.count() {
                let (mean, factor) = (groups.mean(group), &work.quadruple_factors[index]);
                let gradients: Vec<QuadGradient<T>> = if by_parts {
                    quadruple.gradient_by_parts(mean, factor, &weights, limit.sigma)
                } else {
                    quadruple.gradient(mean, factor, &weights, limit.sigma)
                };
                for (&entry, gradient) in moving.iter().zip(gradients) {
                    let motion = &mut entries[entry].1[index];
                    for f in 0..4 {
                        for (total, &c) in motion.means[f].iter_mut().zip(groups.weighted(group)) {
                            *total += gradient[f][0] * c;
                        }
                        for j in 0..4 {
                            motion.rows[f][j] += groups.weight(group) * gradient[f][j + 1];
                        }
                    }
                }
            }
        }
        entries
    }

    /// A work space whose state and parameters move along the directions.
    pub(super) fn lifted(
        &self,
        limit: &Limit<'_, T>,
        directions: &[Direction],
    ) -> Result<Work<T, Dual<T>>, LimitError<T>> {
        let mut work: Work<T, Dual<T>> = self.work.with_numbers(limit, self.batches.as_ref());
        let m = limit.settings.n_neurons;
        work.state.q = self.work.state.q.iter().map(|&x| Dual::constant(x)).collect();
        work.state.r = self.work.state.r.iter().map(|&x| Dual::constant(x)).collect();
        for (k, &direction) in directions.iter().enumerate() {
            match direction {
                Direction::Overlap(l, i) => work.state.q[l * m + i].slopes.0[k] = T::one(),
                Direction::Covariance(i, j) => {
                    work.state.r[i * m + j].slopes.0[k] = T::one();
                    work.state.r[j * m + i].slopes.0[k] = T::one();
                }
                Direction::Parameter(parameter) => work.numbers.vary(limit, parameter, k)?,
            }
        }
        Ok(work)
    }

    /// Refuses where the factors, or the averages by parts, do not follow the directions.
    pub(super) fn check_smooth(&self, work: &Work<T, Dual<T>>) -> Result<(), LimitError<T>> {
        let mut smooth = work.batch.as_ref().is_none_or(|(factor, _)| factor.is_smooth());
        let by_factor = self.field_pairs.iter().zip(&work.pair_factors);
        for (field_pair, factor) in by_factor.filter(|(pair, _)| !matches!(pair.nodes, PairNodes::Views)) {
            smooth &= factor.is_smooth();
            if self.by_parts() {
                let neurons = [field_pair.i, field_pair.j];
                smooth &= self.means_follow(work, factor, &|f| neurons[f]);
            }
        }
        for (quadruple, factor) in self.four_fields.quadruples().iter().zip(&work.quadruple_factors) {
            smooth &= factor.is_smooth();
            if self.by_parts() {
                smooth &= self.means_follow(work, factor, &|f| quadruple.fields[f].1);
            }
        }
        if let FourFields::Forms(forms, _) = &self.four_fields {
            // A field without variance that gets some: its averages move with the third derivative of σ, which is not known.
            for field in forms.iter().flat_map(Form::fields) {
                let variance = work.moments.field_covariance(field, field);
                smooth &= variance.value > T::zero() || variance.is_stationary(&(variance + Dual::one()));
            }
        }
        if smooth { Ok(()) } else { Err(LimitError::NotDifferentiable) }
    }

    /// Whether fields without a density of their own move with those that have one.
    fn means_follow(
        &self,
        work: &Work<T, Dual<T>>,
        factor: &Factor<T, Dual<T>>,
        neuron: &dyn Fn(usize) -> usize,
    ) -> bool {
        factor.is_regular()
            || (0..self.groups.count()).all(|group| {
                let motion = work.mean_motion(self.groups.weighted(group));
                factor.moves_within_range(&|f| motion[neuron(f)])
            })
    }

    pub(super) fn lift_planes(&self, limit: &Limit<'_, T>, gradients: &Gradients<T>, work: &mut Work<T, Dual<T>>) {
        let m = limit.settings.n_neurons;
        for (index, field_pair) in self.field_pairs.iter().enumerate() {
            if let PairNodes::Closed(form) = field_pair.nodes {
                work.fill_closed(field_pair, index, form);
                continue;
            }
            let known = &self.work.field_pairs[index];
            let mut averages = PairAverages {
                sums: known.sums.map(Dual::constant),
                with_hidden: known.with_hidden.iter().map(|&x| Dual::constant(x)).collect(),
            };
            let PairAverages { sums, with_hidden } = &mut averages;
            let neurons = [field_pair.i, field_pair.j];
            match &gradients.field_pairs[index] {
                PairGradient::Closed => {}
                PairGradient::Motion(motion) => {
                    motion.lift((&work.moments.scaled, m), neurons, work.rows(index), sums, with_hidden);
                }
                PairGradient::Views(slopes) => {
                    let q = neurons.map(|i| -> Vec<Lanes<T>> {
                        work.moments.scaled.chunks_exact(m).map(|row| row[i].slopes).collect()
                    });
                    let fields = [(0, neurons[0]), (1, neurons[1])];
                    let covariances = [(0, 0), (0, 1), (1, 1)]
                        .map(|(v, w)| work.moments.field_covariance(fields[v], fields[w]).slopes);
                    slopes.lift([&q[0], &q[1]], covariances, sums, with_hidden);
                }
            }
            work.field_pairs[index] = averages;
        }
        debug_assert_eq!(work.means.len(), m * m);
        work.collect_means(&self.field_pairs);
    }

    /// Products over forms and closed forms as they move; those over nodes as constants, since how Λ moves with them comes from
    /// the gradients of its entries.
    pub(super) fn lift_products(&self, gradients: &Gradients<T>, work: &mut Work<T, Dual<T>>) {
        let Some(terms) = &self.terms else { return };
        match &self.four_fields {
            FourFields::Closed => work.fill_closed_products(terms.products()),
            FourFields::Nodes(..) | FourFields::Views => {
                work.products = self.work.products.iter().map(|&x| Dual::constant(x)).collect();
            }
            FourFields::Forms(forms, positions) => {
                let lift = |(&value, &(form, product)): (&T, &(usize, usize))| {
                    let (fields, motion) = (forms[form].fields(), &gradients.forms[form][product]);
                    let mut slopes = Lanes::zero();
                    for f in 0..4 {
                        slopes += work.mean_motion(&motion.means[f])[fields[f].1].slopes;
                        for g in f..4 {
                            let covariance = work.moments.field_covariance(fields[f], fields[g]);
                            slopes += Lanes::splat(motion.covariances[f][g]) * covariance.slopes;
                        }
                    }
                    Dual { value, slopes }
                };
                work.products = self.work.products.iter().zip(positions).map(lift).collect();
            }
        }
    }

    /// Adds to Λ how its averages over four fields move.
    fn add_quads(&self, gradients: &Gradients<T>, work: &mut Work<T, Dual<T>>) {
        for (entry, motions) in &gradients.entries {
            let mut total = Lanes::zero();
            let quadruples = self.four_fields.quadruples().iter();
            for ((quadruple, factor), motion) in quadruples.zip(&work.quadruple_factors).zip(motions) {
                for f in 0..4 {
                    total += work.mean_motion(&motion.means[f])[quadruple.fields[f].1].slopes;
                    for j in 0..4 {
                        total += Lanes::splat(motion.rows[f][j]) * factor.get(f, j).slopes;
                    }
                }
            }
            work.add_to_diffusion(*entry, total);
        }
    }
}

/// Adds to Λ how its entries move, given what the views have in common.
pub(super) fn add_view_entries<T: Scalar>(gradients: &Gradients<T>, work: &mut Work<T, Dual<T>>) {
    for (entry, motion) in &gradients.view_entries {
        let mut total = Lanes::zero();
        for (neuron, c) in &motion.means {
            total += work.mean_motion(c)[*neuron].slopes;
        }
        for ([first, second], slope) in &motion.covariances {
            total += Lanes::splat(*slope) * work.moments.field_covariance(*first, *second).slopes;
        }
        work.add_to_diffusion(*entry, total);
    }
}

impl<T: Scalar> Work<T, Dual<T>> {
    /// Adds τ²/B times that to how an entry i ≤ j of Λ moves.
    fn add_to_diffusion(&mut self, entry: usize, slopes: Lanes<T>) {
        let numbers = &self.numbers;
        let scale = (numbers.learning_rate * numbers.learning_rate / numbers.batch).value;
        let m = self.out.n_neurons();
        let (i, j) = (entry / m, entry % m);
        let total = Lanes::splat(scale) * slopes;
        self.out.lambda[i * m + j].slopes += total;
        if i != j {
            self.out.lambda[j * m + i].slopes += total;
        }
    }

    /// Σ_l dQ_li c_l for every neuron i, with Q scaled as the hidden variables are; as slopes of zero.
    fn mean_motion(&self, c: &[T]) -> Vec<Dual<T>> {
        let m = self.out.n_neurons();
        (0..m)
            .map(|i| {
                let slopes = c
                    .iter()
                    .enumerate()
                    .fold(Lanes::zero(), |sum, (l, &c)| sum + Lanes::splat(c) * self.moments.scaled[l * m + i].slopes);
                Dual { value: T::zero(), slopes }
            })
            .collect()
    }
}
