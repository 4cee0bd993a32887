//! What averages over the fields cost, and where their gain is so large that lattices cost more than panels: the choice between them.
//!
//! Not here: the panels (see `averages::panels`).

use super::accuracy::Accuracy;
use super::averages::field_form::FieldForm;
use super::averages::pair_form::PairForm;
use super::averages::panels::{FieldPanels, PanelNodes};
use super::averages::table::trapezoid_step;
use super::averages::two_views::{Position, ViewForm, forms};
use super::fields::canonical::Canonical;
use super::fields::factor::Factor;
use super::problem::{Limit, Quadrature};
use super::rule::{FORM_MARGIN, PAIR_MARGIN, Rule};
use super::signals::{NoiseTerms, Product};
use super::work::FieldPair;
use crate::Scalar;
use crate::model::Smoothness;

/// Lattices of fewer nodes are not given up.
const CHEAP: f64 = 3e4;
/// Nor are those of four fields that take fewer operations.
const CHEAP_FORM: f64 = 3e8;
/// The most operations on nodes of four fields, in units of the budget of nodes, and on lattices for them.
const MOST_QUADRUPLES: f64 = 1000.0;
const MOST_LATTICE: f64 = 4000.0;
/// What an operation on a lattice in canonical coordinates takes, in multiplications of longer loops: measured.
const FORM: f64 = 1.3;
/// More values of the hidden variables than that must do with fewer operations each.
const FEW_VALUES: f64 = 8.0;
/// Panels of fewer nodes are had with any budget.
const LEAST_BUDGET: usize = 1 << 16;
/// Forms in the nodes of two fields that take fewer operations are not given up either.
const CHEAP_PAIR: f64 = 5e5;

/// Nodes of a lattice for a canonical coordinate of that gain.
fn lattice_points<T: Scalar>(smoothness: &Smoothness<T>, gain: f64, accuracy: f64) -> f64 {
    let step = if gain > 0.0 { trapezoid_step(smoothness, gain, accuracy) } else { f64::INFINITY };
    1.0 + 2.0 * (2.0 * (accuracy + FORM_MARGIN)).sqrt() / step
}

/// The operations on a lattice in canonical coordinates, and its nodes along the longer one.
fn lattice_work<T: Scalar>(
    smoothness: &Smoothness<T>,
    accuracy: f64,
    functions: usize,
    covariance: &[T],
) -> (f64, f64) {
    let canonical = Canonical::new(covariance);
    let [n1, n2] = [0, 1].map(|k| lattice_points(smoothness, canonical.gain(k), accuracy));
    (functions as f64 * n1 * n2 * (n1 + n2), n1.max(n2))
}

impl<T: Scalar> Limit<'_, T> {
    /// Whether σ may have panels.
    fn has_panels(&self) -> bool {
        let bends = !matches!(self.sigma.smoothness(), Smoothness::Polynomial { .. } | Smoothness::Kinked { .. });
        bends && matches!(self.options.quadrature, Quadrature::Automatic | Quadrature::Panels)
    }

    /// The nodes of a lattice for a pair of fields with that factor.
    fn lattice_cost(&self, factor: &Factor<T>, accuracy: f64) -> f64 {
        let smoothness = self.sigma.smoothness();
        let axis = |gain: T| {
            let gain = gain.as_f64();
            let step = if gain > 0.0 { trapezoid_step(&smoothness, gain, accuracy) } else { f64::INFINITY };
            1.0 + 2.0 * (2.0 * accuracy).sqrt() / step
        };
        axis(factor.gain(0)) * axis(factor.gain(1))
    }

    /// The operations on lattices in canonical coordinates for those products at one node of the hidden law, where `covariance` writes
    /// that of some fields.
    pub(super) fn forms_work(
        &self,
        terms: &NoiseTerms,
        accuracy: Accuracy,
        covariance: &dyn Fn(&[(usize, usize)], &mut [T]),
    ) -> f64 {
        let (forms, _) = forms::<T>(terms);
        let smoothness = self.sigma.smoothness();
        let mut entries = [T::zero(); 16];
        let work = forms.iter().map(|form| {
            covariance(&form.fields, &mut entries);
            lattice_work(&smoothness, accuracy.fixed, form.functions(), &entries).0
        });
        FORM * work.sum::<f64>()
    }

    /// Panels for fields that reach so far, with the number of nodes that a pair of fields of that covariance has at mean 0;
    /// `None` for more than the budget.
    fn panels(&self, covariance: &[T; 4], reach: f64, accuracy: f64) -> Option<(PanelNodes<T>, f64)> {
        let mut nodes = PanelNodes::new(FieldPanels::new(self.sigma, reach, accuracy)?);
        let factor = Factor::new(covariance, 2, false);
        let rows = [0, 1].map(|f| [0, 1].map(|k| factor.get(f, k)));
        let count = nodes.count_up_to(self.options.node_budget.max(LEAST_BUDGET), rows)?;
        Some((nodes, count as f64))
    }

    /// About how many nodes a pair of fields of that covariance needs at one node of the hidden law; infinite where its gain is
    /// not large.
    pub(super) fn pair_cost(&self, covariance: &[T; 4], accuracy: Accuracy) -> f64 {
        let lattice = self.lattice_cost(&Factor::new(covariance, 2, self.noise.is_exchangeable()), accuracy.fixed);
        if lattice <= CHEAP || !self.has_panels() {
            return f64::INFINITY;
        }
        let gain = covariance[0].max(covariance[3]).as_f64().max(0.0).sqrt();
        let reach = FieldPanels::reach(accuracy.fixed, 0.0, gain);
        self.panels(covariance, reach, accuracy.fixed).map_or(lattice, |(_, count)| count.min(lattice))
    }
}

impl<T: Scalar> Rule<T> {
    /// Panels for a pair of fields with that factor, where they cost less than a lattice.
    pub(super) fn pair_panels(
        &mut self,
        limit: &Limit<'_, T>,
        pair: (usize, usize),
        factor: &Factor<T>,
    ) -> Option<PanelNodes<T>> {
        let mut covariance = [T::zero(); 4];
        self.work.moments.covariance(&[(0, pair.0), (1, pair.1)], &mut covariance);
        // Of several neurons a pair is a form, with as many nodes of both fields as the wider one needs.
        let several = limit.settings.n_neurons > 1;
        let accuracy = self.accuracy.fixed + if several { PAIR_MARGIN } else { 0.0 };
        let (lattice, cheap) = if several {
            (lattice_points(&self.smoothness, PairForm::gain(&covariance), accuracy).powi(2), CHEAP_PAIR)
        } else {
            (limit.lattice_cost(factor, accuracy), CHEAP)
        };
        let asked = limit.options.quadrature == Quadrature::Panels;
        if !(limit.has_panels() && (asked || lattice > cheap)) {
            return None;
        }
        self.regroup(limit);
        let (nodes, count) = limit.panels(&covariance, self.pair_reach(pair), accuracy)?;
        (asked || count < lattice).then_some(nodes)
    }

    /// Whether a lattice in canonical coordinates for products of fields of that covariance takes more operations than the budget
    /// allows.
    pub(super) fn form_exceeds(&self, limit: &Limit<'_, T>, functions: usize, covariance: &[T]) -> bool {
        let exact = matches!(self.smoothness, Smoothness::Polynomial { .. });
        if exact || limit.options.quadrature == Quadrature::GaussHermite {
            return false;
        }
        self.lattice_work(functions, covariance).0 > MOST_LATTICE * limit.options.node_budget as f64
    }

    /// The operations on a lattice in canonical coordinates for that many functions of fields of that covariance, and its nodes
    /// along the longer coordinate.
    fn lattice_work(&self, functions: usize, covariance: &[T]) -> (f64, f64) {
        lattice_work(&self.smoothness, self.accuracy.fixed, functions, covariance)
    }

    /// Nodes of the fields for products of signals, where lattices in canonical coordinates cost more. The covariance of the
    /// fields is in scratch.
    pub(super) fn field_form<'p>(
        &mut self,
        limit: &Limit<'_, T>,
        form: &ViewForm<T>,
        products: impl Iterator<Item = (&'p Position, &'p Product)>,
    ) -> Option<FieldForm<T>> {
        if !limit.has_panels() {
            return None;
        }
        let (lattice, longest) = self.lattice_work(form.functions(), &self.work.covariance[..16]);
        if lattice < CHEAP_FORM {
            return None;
        }
        self.regroup(limit);
        let values = (self.groups.count() as f64 / FEW_VALUES).max(1.0);
        let most = limit.options.node_budget as f64;
        let fits = longest < most.sqrt();
        let most = MOST_QUADRUPLES * most / values;
        let most = if fits { lattice.min(most) } else { most };
        // The first of each number: products of equal functions have one.
        let mut first: Vec<Option<Product>> = vec![None; form.products()];
        for (position, product) in products {
            first[position.1].get_or_insert(*product);
        }
        let first: Vec<Product> = first.into_iter().flatten().collect();
        let fields = form.fields;
        let means = self.largest_means(fields);
        let how = (limit.sigma, self.accuracy.fixed);
        FieldForm::new(fields, &first, &self.work.covariance[..16], means, how, most)
    }

    /// The largest standard deviation of a field at a node of the hidden law.
    pub(super) fn largest_gain(&self) -> f64 {
        let neurons = self.groups.neurons();
        let fields = (0..2).flat_map(|view| (0..neurons).map(move |i| (view, i)));
        let variance = |field| self.work.moments.field_covariance(field, field).as_f64();
        fields.map(variance).fold(0.0, f64::max).sqrt()
    }

    /// The largest magnitude of the mean of each field over the hidden law.
    pub(super) fn largest_means(&self, fields: [(usize, usize); 4]) -> [f64; 4] {
        fields.map(|(_, neuron)| self.largest_mean(neuron))
    }

    fn largest_mean(&self, neuron: usize) -> f64 {
        let means = (0..self.groups.count()).map(|group| self.groups.mean(group)[neuron].as_f64());
        means.fold(0.0, |most, mean| mean.abs().max(most))
    }

    /// How far the fields of a pair reach at the nodes of the hidden law.
    fn pair_reach(&self, (i, j): (usize, usize)) -> f64 {
        let reach = |view: usize, neuron: usize| {
            let gain = self.work.moments.field_covariance((view, neuron), (view, neuron)).as_f64().max(0.0).sqrt();
            FieldPanels::reach(self.accuracy.fixed, self.largest_mean(neuron), gain)
        };
        reach(0, i).max(reach(1, j))
    }

    /// Whether these panels still cover the fields.
    pub(super) fn covers(&self, panels: &FieldPanels, pair: &FieldPair<T>) -> bool {
        panels.covers(self.pair_reach((pair.i, pair.j)))
    }
}
