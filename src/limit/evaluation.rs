//! A rule at a state: moments and factors refitted, averages over the nodes, and the coefficients made of them.
//!
//! Covers also whether the nodes still resolve the fields there. Not here: how nodes are chosen (see `rule`), and derivatives
//! (see `jacobian`).

use nalgebra::DMatrix;

use super::accuracy::FARTHER;
use super::averages::batches::Batches;
use super::averages::forms::Form;
use super::averages::pair_form::PairForm;
use super::averages::table::NodeTable;
use super::averages::two_fields::{SUMS, complete_by_exchange, pair_sums};
use super::coefficients::Coefficients;
use super::fields::factor::Factor;
use super::problem::{Limit, Quadrature};
use super::rule::{FourFields, PAIR_MARGIN, Rule, coordinates};
use super::work::{FieldPair, Frozen, Moving, PairNodes};
use crate::Scalar;
use crate::model::Smoothness;
use crate::state::OrderParameters;

impl<T: Scalar> Rule<T> {
    /// The nodes of the means at the state in the work space.
    pub(super) fn regroup(&mut self, limit: &Limit<'_, T>) {
        if let Some(nodes) = &mut self.sum_nodes {
            nodes.update(&limit.hidden, &self.work.state.q);
            self.groups.set(nodes.weights());
        } else {
            self.groups.update(&self.work.state, &self.hidden);
        }
    }

    /// Refits moments and factors to the state in the work space.
    pub(super) fn update_work(&mut self, limit: &Limit<'_, T>) {
        self.update_for(limit, false);
    }

    /// The same; `slopes`: derivatives of averages will be asked for.
    pub(super) fn update_for(&mut self, limit: &Limit<'_, T>, slopes: bool) {
        if self.views.is_none() {
            self.regroup(limit);
        }
        let Self { field_pairs, four_fields, hidden, work, .. } = self;
        work.update(limit, field_pairs, four_fields.quadruples(), hidden);
        if let Some(views) = &mut self.views {
            work.moments.write_view_noise(views.noise_mut());
            views.update(&limit.hidden, &work.state.q, limit.sigma, slopes);
            return;
        }
        for field_pair in field_pairs {
            if let PairNodes::Sum(form) = &mut field_pair.nodes {
                work.moments.covariance(&[(0, field_pair.i), (1, field_pair.j)], &mut work.covariance[..4]);
                form.update(&limit.hidden, &work.state.q, &work.covariance[..4]);
            }
        }
        if let FourFields::Forms(forms, _) = four_fields {
            for form in forms {
                work.moments.covariance(&form.fields(), &mut work.covariance[..16]);
                form.update(&work.covariance[..16]);
            }
        }
    }

    pub(super) fn resolves_generic(&mut self, limit: &Limit<'_, T>, q: &DMatrix<T>, r: &DMatrix<T>) -> bool {
        self.work.state.copy_from(q, r);
        let Self { views, field_pairs, four_fields, hidden, work, .. } = &mut *self;
        if let Some(views) = views {
            work.update(limit, field_pairs, four_fields.quadruples(), hidden);
            work.moments.write_view_noise(views.noise_mut());
            return views.resolves(&limit.hidden, &work.state.q);
        }
        self.update_work(limit);
        if let [FieldPair { nodes: PairNodes::Sum(form), .. }] = &mut self.field_pairs[..] {
            return form.resolves();
        }
        if let Some(nodes) = &self.sum_nodes
            && !nodes.resolves(&self.work.moments.view_covariances())
        {
            return false;
        }
        if self.reach.is_some_and(|reach| self.work.moments.largest_overlap() > T::lit(FARTHER) * reach) {
            return false;
        }
        let fields = (0..2).flat_map(|view| (0..limit.settings.n_neurons).map(move |i| (view, i)));
        if fields.zip(&self.most).any(|(field, &most)| self.work.moments.field_covariance(field, field) > most) {
            return false;
        }
        let automatic = limit.options.quadrature == Quadrature::Automatic;
        if automatic && matches!(self.smoothness, Smoothness::Polynomial { .. }) {
            return true;
        }
        let fits =
            |factor: &Factor<T>, table: &NodeTable<T>, fields: usize| table.resolves(&coordinates(factor, fields));
        let field_pairs =
            self.field_pairs.iter().zip(&self.work.pair_factors).all(|(field_pair, factor)| match &field_pair.nodes {
                PairNodes::Table(table) => fits(factor, table, 2),
                PairNodes::Form(form) => {
                    let mut covariance = [T::zero(); 4];
                    self.work.moments.covariance(&[(0, field_pair.i), (1, field_pair.j)], &mut covariance);
                    let gain = PairForm::gain(&covariance);
                    form.kernel().resolves(&self.smoothness, gain, self.accuracy.fixed + PAIR_MARGIN)
                }
                PairNodes::Panels(nodes) => self.covers(nodes.panels(), field_pair),
                // These nodes move with the state.
                PairNodes::Kinked(_) | PairNodes::Sum(_) | PairNodes::Closed(_) | PairNodes::Views => true,
            });
        let batches = match (&self.batches, &self.work.batch) {
            (Some(Batches::Moments(moments)), Some((factor, _))) => {
                moments.resolves(factor, |kernel, gain| kernel.resolves(&self.smoothness, gain, self.accuracy.fixed))
            }
            _ => true,
        };
        field_pairs
            && batches
            && match &self.four_fields {
                FourFields::Closed | FourFields::Views => true,
                FourFields::Forms(forms, _) => forms.iter().all(|form| match form {
                    Form::Views(form) => {
                        form.axes().all(|(gain, axis)| axis.resolves(&self.smoothness, gain, self.accuracy.fixed))
                    }
                    Form::Fields(form) => form.resolves(self.largest_means(form.fields())),
                }),
                FourFields::Nodes(quadruples, _) => {
                    let mut all = quadruples.iter().zip(&self.work.quadruple_factors);
                    all.all(|(quadruple, factor)| fits(factor, &quadruple.table, 4))
                }
            }
    }

    /// The coefficients at `state`; returns the number of nodes used.
    pub(super) fn apply_generic(
        &mut self,
        limit: &Limit<'_, T>,
        state: &OrderParameters<T>,
        out: &mut Coefficients<T>,
    ) -> u64 {
        self.work.state.copy_from(state.q(), state.r());
        self.run_generic(limit);
        self.work.out.copy_to(out);
        self.nodes()
    }

    pub(super) fn run_generic(&mut self, limit: &Limit<'_, T>) {
        self.update_work(limit);
        self.average(limit);
        self.assemble(limit);
    }

    /// Averages over pairs of fields.
    pub(super) fn average_pairs(&mut self, limit: &Limit<'_, T>) {
        let Self { field_pairs, work, groups, pair_buffers, views, .. } = self;
        for index in 0..field_pairs.len() {
            if let PairNodes::Closed(form) = field_pairs[index].nodes {
                work.fill_closed(&field_pairs[index], index, form);
                continue;
            }
            let field_pair = &mut field_pairs[index];
            let rows = work.rows(index);
            let averages = &mut work.field_pairs[index];
            averages.sums = [T::zero(); SUMS];
            averages.with_hidden.fill(T::zero());
            if let Some(views) = views {
                averages.sums = views.pair((field_pair.i, field_pair.j), &mut averages.with_hidden);
                continue;
            }
            if let PairNodes::Sum(form) = &mut field_pair.nodes {
                averages.sums = form.sums(rows, limit.sigma, &mut averages.with_hidden);
                continue;
            }
            if let PairNodes::Form(form) = &mut field_pair.nodes {
                work.moments.covariance(&[(0, field_pair.i), (1, field_pair.j)], &mut work.covariance[..4]);
                form.update(&work.covariance[..4]);
            }
            for group in 0..groups.count() {
                let mean = [groups.mean(group)[field_pair.i], groups.mean(group)[field_pair.j]];
                let penalty = limit.loss.moves((field_pair.i, field_pair.j));
                let mut by_nodes =
                    |table: &NodeTable<T>| pair_sums(table, mean, rows, penalty, limit.sigma, pair_buffers);
                let mut sums = match &mut field_pair.nodes {
                    PairNodes::Table(table) => by_nodes(table),
                    PairNodes::Kinked(nodes) => by_nodes(nodes.at(mean, rows)),
                    PairNodes::Panels(nodes) => by_nodes(nodes.at(mean, rows)),
                    PairNodes::Form(form) => form.sums(mean, rows, limit.sigma),
                    PairNodes::Sum(_) | PairNodes::Closed(_) | PairNodes::Views => continue,
                };
                if let Some(odd) = field_pair.odd {
                    complete_by_exchange(&mut sums, odd);
                }
                for (total, &sum) in averages.sums.iter_mut().zip(&sums) {
                    *total += groups.weight(group) * sum;
                }
                for (f, totals) in averages.with_hidden.chunks_exact_mut(limit.settings.n_features).enumerate() {
                    for (total, &c) in totals.iter_mut().zip(groups.weighted(group)) {
                        *total += sums[3 * f] * c;
                    }
                }
            }
        }
        work.collect_means(field_pairs);
    }

    /// Averages over four fields.
    pub(super) fn average_four_fields(&mut self, limit: &Limit<'_, T>) {
        let Self { four_fields, work, groups, terms, views, .. } = self;
        let Some(terms) = terms else { return };
        match four_fields {
            FourFields::Closed => work.fill_closed_products(terms.products()),
            FourFields::Views => {
                if let Some(views) = views {
                    views.products(&mut work.products);
                }
            }
            FourFields::Forms(forms, positions) => {
                for form in &mut *forms {
                    form.reset();
                    for group in 0..groups.count() {
                        form.add(groups.mean(group), groups.weight(group), limit.sigma);
                    }
                }
                for (product, &(form, number)) in work.products.iter_mut().zip(&*positions) {
                    *product = forms[form].average(number);
                }
            }
            FourFields::Nodes(quadruples, places) => {
                for (quadruple, factor) in quadruples.iter_mut().zip(&work.quadruple_factors) {
                    quadruple.reset();
                    for group in 0..groups.count() {
                        quadruple.add(groups.mean(group), groups.weight(group), factor, limit.sigma);
                    }
                }
                for (product, place) in work.products.iter_mut().zip(&*places) {
                    let sum: T = place.parts.iter().map(|&(quadruple, pair)| quadruples[quadruple].average(pair)).sum();
                    *product = sum / T::of_usize(place.parts.len());
                }
            }
        }
    }

    /// The coefficients last computed, at their state.
    pub(crate) fn moving(&self) -> Moving<'_, T> {
        self.work.moving()
    }

    /// All averages, of which the coefficients are made.
    pub(super) fn average(&mut self, limit: &Limit<'_, T>) {
        self.average_pairs(limit);
        self.average_four_fields(limit);
    }

    /// The coefficients from the averages.
    pub(super) fn assemble(&mut self, limit: &Limit<'_, T>) {
        let Self { field_pairs, terms, offsets, slopes, batches, work, .. } = self;
        let frozen = Frozen { field_pairs, terms: terms.as_ref(), offsets, slopes, batches: batches.as_ref() };
        work.assemble(limit, &frozen);
    }
}
