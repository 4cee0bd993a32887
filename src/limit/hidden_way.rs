//! By what averages over the hidden law are taken: given what the views have in common, by its characteristic function, by nodes of the
//! sum Qᵀc, by its own nodes, or by Sobol points.
//!
//! Not here: these themselves (see `independent_views`, `sum_form`, `sum_nodes`, `hidden`).

use nalgebra::DMatrix;

use super::accuracy::Accuracy;
use super::averages::independent_views::IndependentViews;
use super::averages::sum_form::SumForm;
use super::averages::sum_nodes::SumNodes;
use super::error::LimitError;
use super::fields::moments::ViewNoise;
use super::hidden::{HiddenNodes, MOST_HIDDEN_NODES, hidden_nodes};
use super::problem::{Limit, Quadrature, Sums};
use super::signals::{Needs, NoiseTerms};
use super::work::Work;
use crate::Scalar;
use crate::model::Smoothness;
use crate::state::OrderParameters;

/// Fewer nodes of the hidden law are enumerated.
const LEAST_SUMMED: f64 = 8.0;

/// Fewer nodes of the hidden law are enumerated, and more nodes of a sum than that many are never worth it.
const LEAST_NODES: usize = 64;
const MOST_SUM_NODES: f64 = 16_384.0;

/// What stands for the hidden law.
pub(super) enum HiddenWay<T: Scalar> {
    /// Its own nodes, or Sobol points.
    Nodes(HiddenNodes<T>),
    /// The sum of one neuron, over wave numbers.
    Sum(Box<SumForm<T>>),
    /// Nodes of the sum.
    SumNodes(Box<SumNodes<T>>),
    /// The sum with what the views have in common, given which they are independent; with what Λ is made of.
    Views(Box<IndependentViews<T>>, NoiseTerms),
}

impl<T: Scalar> Limit<'_, T> {
    /// What costs least of what the law and σ allow. Sampled nodes are of those scrambles.
    pub(super) fn hidden_way(
        &self,
        state: &OrderParameters<T>,
        accuracy: Accuracy,
        scrambles: &[u32],
    ) -> Result<HiddenWay<T>, LimitError<T>> {
        if let Some((views, terms)) = self.independent_views(state, accuracy) {
            return Ok(HiddenWay::Views(Box::new(views), terms));
        }
        if let Some(sum) = self.sum_form(state, accuracy) {
            return Ok(HiddenWay::Sum(Box::new(sum)));
        }
        if let Some(nodes) = self.sum_nodes(state, accuracy) {
            return Ok(HiddenWay::SumNodes(Box::new(nodes)));
        }
        Ok(HiddenWay::Nodes(hidden_nodes(&self.hidden, accuracy, scrambles)?))
    }

    /// Averages given what the views have in common, where they are independent then.
    fn independent_views(
        &self,
        state: &OrderParameters<T>,
        accuracy: Accuracy,
    ) -> Option<(IndependentViews<T>, NoiseTerms)> {
        let smoothness = self.sigma.smoothness();
        let automatic = self.options.quadrature == Quadrature::Automatic;
        if !(self.settings.n_neurons > 1 && automatic && self.sums() == Some(Sums::Nodes)) {
            return None;
        }
        // Of one neuron in both views only what the loss itself needs is made there.
        if self.loss.diagonal_moves() {
            return None;
        }
        // Of centred Gaussian fields there may be closed forms.
        if self.sigma.closed_form().is_some() && !self.loss.couples_samples() && self.hidden.nodes(accuracy) < 2 {
            return None;
        }
        let work = self.without_hidden(state);
        let terms = self.noise_terms(true);
        let mut noise = ViewNoise::new();
        work.moments.write_view_noise(&mut noise);
        let nodes = self.hidden.nodes(accuracy);
        let kinked = matches!(smoothness, Smoothness::Kinked { .. });
        // Across a kink there are only points in four dimensions beside this.
        let forms = if nodes > MOST_HIDDEN_NODES || kinked {
            f64::INFINITY
        } else {
            let each = self.forms_work(&terms, accuracy, &|fields, out| work.moments.covariance(fields, out));
            nodes as f64 * each
        };
        let mut views = IndependentViews::new(
            &self.hidden,
            &work.state.q,
            noise,
            self.noise.is_exchangeable(),
            (&smoothness, accuracy.fixed),
            (self.options.node_budget, forms),
        )?;
        views.add_products(&self.hidden, &terms)?;
        Some((views, terms))
    }

    /// What Λ of several neurons is made of; `diagonal`: its diagonal too. On one set of nodes neurons that are copies have equal
    /// entries, to rounding.
    pub(super) fn noise_terms(&self, diagonal: bool) -> NoiseTerms {
        let m = self.settings.n_neurons;
        let (offset, _) = self.loss.off_diagonal().affine().unwrap_or((T::zero(), T::one()));
        NoiseTerms::new(
            m,
            Needs {
                penalised: self.loss.coupled(),
                diagonal_moves: self.loss.diagonal_moves(),
                // An offset acts on batches of one sample too.
                batches: self.batch_terms || offset != T::zero() || self.loss.over_batches(),
                views: self.settings.gradient_path.views(),
                exchangeable: self.noise.is_exchangeable(),
                diagonal,
            },
        )
    }

    /// The hidden law by its characteristic function, where it has one, and has so many nodes that this costs less.
    fn sum_form(&self, state: &OrderParameters<T>, accuracy: Accuracy) -> Option<SumForm<T>> {
        if self.sums() != Some(Sums::Waves) {
            return None;
        }
        let p = self.settings.n_features;
        #[allow(clippy::cast_precision_loss)] // a comparison of costs
        let nodes = self.hidden.nodes(accuracy) as f64;
        // Rules for polynomials are exact over nodes. Over sums their growth multiplies the roundings of a density.
        let polynomial = matches!(self.sigma.smoothness(), Smoothness::Polynomial { .. });
        if nodes < if polynomial { MOST_HIDDEN_NODES as f64 } else { LEAST_SUMMED } {
            return None;
        }
        let work = self.without_hidden(state);
        let mut covariance = [T::zero(); 4];
        work.moments.covariance(&[(0, 0), (1, 0)], &mut covariance);
        let how = (&self.sigma.smoothness(), accuracy.fixed, self.options.node_budget);
        let enumerated = nodes <= MOST_HIDDEN_NODES as f64;
        let most = if enumerated { nodes * self.pair_cost(&covariance, accuracy) } else { f64::INFINITY };
        let form = SumForm::new(&self.hidden, &work.state.q, &covariance, how, self.noise.is_exchangeable(), most)?;
        let (sum, each) = form.cost(p);
        (sum < nodes * each || nodes > MOST_HIDDEN_NODES as f64).then_some(form)
    }

    /// Nodes of the sum of hidden variables, where the hidden law has more.
    fn sum_nodes(&self, state: &OrderParameters<T>, accuracy: Accuracy) -> Option<SumNodes<T>> {
        let nodes = self.hidden.nodes(accuracy);
        if self.sums() != Some(Sums::Nodes) || nodes < LEAST_NODES {
            return None;
        }
        let work = self.without_hidden(state);
        // Enumerated nodes have no error, and cost no Fourier sums.
        let most = if nodes > MOST_HIDDEN_NODES { MOST_SUM_NODES } else { (0.5 * nodes as f64).min(MOST_SUM_NODES) };
        let how = (&self.sigma.smoothness(), accuracy.fixed);
        SumNodes::new(&self.hidden, &work.state.q, &work.moments.view_covariances(), how, most)
    }

    /// The moments of the fields at that state around the sum of hidden variables, of which the Gaussian part is in the characteristic
    /// function.
    fn without_hidden(&self, state: &OrderParameters<T>) -> Work<T, T> {
        let mut work: Work<T, T> = Work::new(self);
        work.state.copy_from(state.q(), state.r());
        work.moments.update(&work.numbers, &work.state, &DMatrix::zeros(0, 0));
        work
    }

    fn sums(&self) -> Option<Sums> {
        let (smoothness, batches) = (self.sigma.smoothness(), self.loss.over_batches());
        Sums::of(&smoothness, self.settings.n_neurons, batches, self.options.quadrature)
    }
}
