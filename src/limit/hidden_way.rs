//! By what averages over the hidden law are taken: its own nodes, Sobol points, its characteristic function, or nodes of the sum
//! Qᵀc.
//!
//! Not here: these themselves (see `hidden`, `sum_form`, `sum_nodes`).

use nalgebra::DMatrix;

use super::accuracy::Accuracy;
use super::averages::sum_form::SumForm;
use super::averages::sum_nodes::SumNodes;
use super::error::LimitError;
use super::hidden::{HiddenNodes, MOST_HIDDEN_NODES, hidden_nodes};
use super::problem::{Limit, Sums};
use super::work::Work;
use crate::Scalar;
use crate::model::Smoothness;
use crate::state::OrderParameters;

/// Fewer nodes of the hidden law are enumerated.
const LEAST_SUMMED: f64 = 8.0;

/// Fewer nodes of the hidden law are enumerated, and more nodes of a sum than that many are never worth it.
const LEAST_NODES: usize = 64;
const MOST_SUM_NODES: f64 = 16_384.0;

/// What stands for the hidden law. Where one of the sums does, there are no nodes.
pub(super) struct HiddenWay<T: Scalar> {
    pub(super) nodes: HiddenNodes<T>,
    pub(super) sum: Option<SumForm<T>>,
    pub(super) sum_nodes: Option<SumNodes<T>>,
}

impl<T: Scalar> Limit<'_, T> {
    /// What costs least of what the law and σ allow. Sampled nodes are of those scrambles.
    pub(super) fn hidden_way(
        &self,
        state: &OrderParameters<T>,
        accuracy: Accuracy,
        scrambles: &[u32],
    ) -> Result<HiddenWay<T>, LimitError<T>> {
        let (sum, sum_nodes) = (self.sum_form(state, accuracy), self.sum_nodes(state, accuracy));
        let nodes = if sum.is_some() || sum_nodes.is_some() {
            HiddenNodes::none(self.settings.n_features)
        } else {
            hidden_nodes(&self.hidden, accuracy, scrambles)?
        };
        Ok(HiddenWay { nodes, sum, sum_nodes })
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
        let (smoothness, whole) = (self.sigma.smoothness(), self.loss.whole_batches());
        Sums::of(&smoothness, self.settings.n_neurons, whole, self.options.quadrature)
    }
}
