//! A frozen choice of nodes for the covariance of what one batch adds to A, B and Λ (theory §7): by moments of one sample where the loss is a
//! polynomial, σ smooth and the neurons few, and by whole batches else.
//!
//! Not here: how fine it must be (see `increment_averages`), and how the covariance is made of averages (see `increments`).

use nalgebra::DMatrix;

use super::accuracy::FARTHER;
use super::averages::increment_moments::{BatchCovariances, IncrementMoments};
use super::averages::whole_batches::{BatchSignal, BatchTable, BatchWork};
use super::fields::factor::Factor;
use super::fields::moments::{State, StateMoments};
use super::increments::{Carriers, Increments};
use super::numbers::Numbers;
use super::problem::Limit;
use crate::Scalar;
use crate::model::{HiddenQuadrature, Smoothness};

/// A frozen choice of nodes for the covariance of increments.
#[derive(Debug, Clone)]
pub struct IncrementRule<T: Scalar> {
    pub(super) accuracy: f64,
    pub(super) hidden: HiddenQuadrature<T>,
    /// The largest squared overlap (QᵀQ)_ii for which the cubature of the hidden law was chosen; none if it is exact.
    pub(super) reach: Option<T>,
    pub(super) sampled: bool,
    /// Whether more accuracy would not bring more nodes of the hidden law.
    pub(super) saturated: bool,
    pub(super) moments: StateMoments<T>,
    pub(super) numbers: Numbers<T>,
    pub(super) state: State<T>,
    pub(super) factor: Factor<T>,
    pub(super) nodes: Nodes<T>,
    pub(super) out: Increments<T>,
}

#[derive(Debug, Clone)]
pub(super) enum Nodes<T> {
    Moments(Box<(IncrementMoments<T>, BatchCovariances<T>)>),
    Whole(Box<(BatchTable<T>, BatchWork<T, T>)>),
}

impl<T: Scalar> IncrementRule<T> {
    /// Whether the nodes resolve the fields at that state.
    pub(crate) fn resolves(&mut self, limit: &Limit<'_, T>, q: &DMatrix<T>, r: &DMatrix<T>) -> bool {
        self.move_to(limit, q, r);
        if self.reach.is_some_and(|reach| self.moments.largest_overlap() > T::lit(FARTHER) * reach) {
            return false;
        }
        let smoothness = limit.sigma.smoothness();
        match &self.nodes {
            Nodes::Moments(_) if matches!(smoothness, Smoothness::Polynomial { .. }) => true,
            Nodes::Moments(nodes) => {
                nodes.0.resolves(&self.factor, |kernel, gain| kernel.resolves(&smoothness, gain, self.accuracy))
            }
            Nodes::Whole(_) => true,
        }
    }

    /// Fields evaluated by one call of `run_generic`.
    pub(crate) fn nodes(&self) -> u64 {
        match &self.nodes {
            Nodes::Moments(nodes) => nodes.0.count() as u64,
            Nodes::Whole(nodes) => nodes.0.count() as u64,
        }
    }

    fn move_to(&mut self, limit: &Limit<'_, T>, q: &DMatrix<T>, r: &DMatrix<T>) {
        self.state.copy_from(q, r);
        self.numbers = Numbers::constants(limit);
        self.moments.update(&self.numbers, &self.state, &self.hidden.gaussian);
        self.factor.update(&self.moments.full_covariance());
    }

    /// The covariance of increments at that state.
    pub(super) fn run_generic(&mut self, limit: &Limit<'_, T>, q: &DMatrix<T>, r: &DMatrix<T>) {
        self.move_to(limit, q, r);
        let of_state = (&self.moments, &self.state, &self.factor);
        let carriers = Carriers::new(limit, of_state, (&self.numbers, &self.hidden.gaussian));
        match &mut self.nodes {
            Nodes::Moments(nodes) => {
                let (moments, covariances) = &mut **nodes;
                moments.average(&self.moments.scaled, &self.factor, limit.sigma, covariances);
                carriers.collect(limit, covariances, &mut self.out);
            }
            Nodes::Whole(nodes) => {
                let (table, work) = &mut **nodes;
                table.set_means(&self.moments.scaled, work);
                let zeros = vec![T::zero(); limit.settings.n_neurons.pow(2)];
                let signal = BatchSignal {
                    sigma: limit.sigma,
                    loss: &limit.loss,
                    offsets: &zeros,
                    slopes: &zeros,
                    numbers: &self.numbers,
                    flow: limit.settings.gradient_path,
                };
                carriers.sample(limit, (table, work), (&self.factor, &signal), &mut self.out);
            }
        }
    }

    /// The covariance of increments at the state that was asked for last.
    pub(crate) fn increments(&self) -> &Increments<T> {
        &self.out
    }
}
