//! Choosing nodes for the covariance of what one batch adds to A, B and Λ, until their own error estimate meets the tolerance.
//!
//! Not here: the rules themselves (see `increment_rule`).

use std::sync::Arc;

use super::accuracy::Accuracy;
use super::averages::increment_moments::{BatchCovariances, IncrementMoments};
use super::averages::whole_batches::BatchTable;
use super::error::LimitError;
use super::fields::factor::Factor;
use super::fields::moments::{State, StateMoments};
use super::hidden::{hidden_nodes, merge_nodes};
use super::increment_expansion::IncrementExpansion;
use super::increment_rule::{IncrementRule, Nodes};
use super::increments::Increments;
use super::numbers::Numbers;
use super::problem::{DEFAULT_BATCH_BUDGET, DEFAULT_BUDGET, Limit, Quadrature};
use super::refine::{SCRAMBLES, largest_standard_error};
use crate::Scalar;
use crate::model::Smoothness;
use crate::numerics::largest::largest_size;
use crate::state::OrderParameters;

/// Errors by default, relative to the largest entry: by moments of one sample, for one neuron and for more, and where anything is sampled
/// (four standard errors).
const TOLERANCE: f64 = 1e-7;
const MANY_NEURONS_TOLERANCE: f64 = 1e-3;
const SAMPLED_TOLERANCE: f64 = 2e-2;

/// The accuracy of the coarsest rules, from one to the next, and where refining ends.
const LEAST_ACCURACY: f64 = 4.0;
const FINER: f64 = 2.5;
const FINEST: f64 = 60.0;

/// Rounding in ulp of the largest entry.
const ROUNDINGS: f64 = 4096.0;

/// The averages of increments of a model.
#[derive(Debug, Clone)]
pub struct IncrementAverages<'a, T: Scalar> {
    limit: Limit<'a, T>,
    expansion: Option<Arc<IncrementExpansion<T>>>,
    /// The tolerance, if one was asked for.
    tolerance: Option<T>,
}

impl<'a, T: Scalar> Limit<'a, T> {
    /// The averages of increments.
    pub(crate) fn increments(&self) -> IncrementAverages<'a, T> {
        let (m, batch) = (self.settings.n_neurons, self.settings.batch_size);
        let kinked = matches!(self.sigma.smoothness(), Smoothness::Kinked { .. });
        let polynomial = self.loss.polynomial(m, batch).filter(|_| !kinked);
        let views = self.settings.gradient_path.views();
        let exchangeable = self.noise.is_exchangeable();
        let expansion = polynomial.and_then(|loss| IncrementExpansion::new(&loss, batch, views, exchangeable));
        let mut limit = self.clone();
        // Unless the user has less for it.
        if limit.options.node_budget == DEFAULT_BUDGET {
            limit.options.node_budget = DEFAULT_BATCH_BUDGET;
        }
        IncrementAverages { limit, expansion: expansion.map(Arc::new), tolerance: None }
    }
}

impl<'a, T: Scalar> IncrementAverages<'a, T> {
    /// The same for that limit: of the same model, at other numbers, but for the penalty strength.
    pub(crate) fn at(&self, limit: &Limit<'a, T>) -> Self {
        let mut limit = limit.clone();
        limit.options.node_budget = self.limit.options.node_budget;
        Self { limit, expansion: self.expansion.clone(), tolerance: self.tolerance }
    }

    /// Asks for errors below `tolerance` times the largest entry of the covariance.
    pub(crate) fn set_tolerance(&mut self, tolerance: T) -> Result<(), LimitError<T>> {
        if !(tolerance > T::zero() && tolerance.is_finite()) {
            return Err(LimitError::Tolerance { value: tolerance.as_f64() });
        }
        self.tolerance = Some(tolerance);
        Ok(())
    }

    /// Whether they are exact in the batch size.
    pub(crate) fn is_exact(&self) -> bool {
        self.expansion.is_some()
    }

    /// The covariance at a state with its estimated largest error, and the rule that meets the tolerance there.
    pub(super) fn refine_generic(
        &self,
        state: &OrderParameters<T>,
    ) -> Result<(IncrementRule<T>, Increments<T>, T), LimitError<T>> {
        self.limit.check_shape(state)?;
        let start = |tolerance: T| {
            // Rules are better than their bounds by about two units.
            (-tolerance.max(T::EPSILON).as_f64().ln() - 2.0).max(LEAST_ACCURACY)
        };
        let mut tolerance = self.tolerance_of(self.expansion.is_none());
        let mut accuracy = start(tolerance);
        let mut first = self.rule(state, accuracy, 0..SCRAMBLES)?;
        if first.as_ref().is_some_and(|rule| rule.sampled) && self.expansion.is_some() {
            tolerance = self.tolerance_of(true);
            accuracy = start(tolerance);
            first = self.rule(state, accuracy, 0..SCRAMBLES)?;
        }
        let mut before: Option<IncrementRule<T>> = None;
        let mut best = T::lit(f64::INFINITY);
        let batch = T::of_usize(self.limit.settings.batch_size);
        loop {
            let rule = match first.take() {
                None if accuracy <= FINEST && before.is_some() => self.rule(state, accuracy, 0..SCRAMBLES)?,
                rule => rule,
            };
            let Some(mut rule) = rule else { return Err(self.not_met(tolerance, best)) };
            rule.run_generic(&self.limit, state.q(), state.r());
            let increments = rule.out.clone();
            let magnitude = largest_size(increments.covariance.iter().copied());
            if !magnitude.is_finite() {
                return Err(LimitError::NotFinite);
            }
            // Means cancel to their square over B.
            let squares = largest_size(increments.mean.iter().copied()).powi(2);
            let rounding = T::lit(ROUNDINGS) * T::EPSILON * (magnitude + squares / batch.sqrt());
            let error = if rule.sampled {
                self.spread(state, accuracy)? + rounding
            } else if self.is_closed() {
                rounding
            } else if let Some(coarser) = &before {
                T::lit(2.0) * increments.distance(&coarser.out) + rounding
            } else {
                T::lit(f64::INFINITY)
            };
            if error <= tolerance * magnitude || error <= rounding {
                // The one that has been checked will do.
                let checked = before.filter(|_| !rule.sampled);
                return Ok((checked.unwrap_or(rule), increments, error));
            }
            best = best.min(error / magnitude);
            if rule.saturated {
                return Err(self.not_met(tolerance, best));
            }
            accuracy += FINER;
            before = Some(rule);
        }
    }

    fn not_met(&self, tolerance: T, error: T) -> LimitError<T> {
        let budget = self.limit.options.node_budget;
        LimitError::IncrementTolerance { tolerance: tolerance.as_f64(), budget, error: error.as_f64() }
    }

    /// The tolerance that was asked for, or the default.
    fn tolerance_of(&self, sampled: bool) -> T {
        let default = match self.limit.settings.n_neurons {
            _ if sampled => SAMPLED_TOLERANCE,
            1 => TOLERANCE,
            _ => MANY_NEURONS_TOLERANCE,
        };
        self.tolerance.unwrap_or_else(|| T::lit(default).max(T::lit(8.0 * ROUNDINGS) * T::EPSILON))
    }

    /// A rule as fine as one that met the tolerance elsewhere on the way.
    pub(super) fn renew_generic(
        &self,
        rule: &IncrementRule<T>,
        state: &OrderParameters<T>,
    ) -> Result<IncrementRule<T>, LimitError<T>> {
        let none = || self.not_met(self.tolerance_of(rule.sampled), T::lit(f64::INFINITY));
        self.rule(state, rule.accuracy, 0..SCRAMBLES)?.ok_or_else(none)
    }

    /// Whether rules are exact for polynomials over an exact hidden law.
    fn is_closed(&self) -> bool {
        let polynomial = matches!(self.limit.sigma.smoothness(), Smoothness::Polynomial { .. });
        let exact = self.limit.hidden.is_exact && self.is_exact();
        self.limit.options.quadrature == Quadrature::Automatic && polynomial && exact
    }

    /// Four standard errors over independent scrambles, of the entry that strays most.
    fn spread(&self, state: &OrderParameters<T>, accuracy: f64) -> Result<T, LimitError<T>> {
        let mut rows = Vec::new();
        for r in 0..SCRAMBLES {
            // A part of a rule that fitted into the budget fits.
            let Some(mut rule) = self.rule(state, accuracy, r..r + 1)? else { return Ok(T::lit(f64::INFINITY)) };
            rule.run_generic(&self.limit, state.q(), state.r());
            rows.push(rule.out.covariance.as_slice().to_vec());
        }
        Ok(T::lit(4.0) * largest_standard_error(&rows))
    }

    /// A rule that errs by about exp(−accuracy) near `state`, with samples of those replicates; `None` if it needs more nodes than the
    /// budget.
    fn rule(
        &self,
        state: &OrderParameters<T>,
        accuracy: f64,
        replicates: std::ops::Range<u32>,
    ) -> Result<Option<IncrementRule<T>>, LimitError<T>> {
        let limit = &self.limit;
        let (p, m) = (limit.settings.n_features, limit.settings.n_neurons);
        let scrambles: Vec<u32> = replicates.map(|r| r.wrapping_mul(0x9E37_79B1).wrapping_add(7)).collect();
        let both = Accuracy { fixed: accuracy, sampled: accuracy };
        let own = hidden_nodes(&limit.hidden, both, &scrambles)?;
        let (mut sampled, saturated) = (own.sampled, own.saturated);
        let mut moments = StateMoments::new(p, m);
        let numbers = Numbers::constants(limit);
        let mut numbers_of_state = State { q: vec![T::zero(); p * m], r: vec![T::zero(); m * m] };
        numbers_of_state.copy_from(state.q(), state.r());
        moments.update(&numbers, &numbers_of_state, &own.quadrature.gaussian);
        let reach = (!limit.hidden.is_exact && !own.sampled).then(|| moments.largest_overlap());
        let covariance = moments.full_covariance();
        let factor = Factor::new(&covariance, 2 * m, limit.noise.is_exchangeable());
        let budget = limit.options.node_budget;
        let merged = merge_nodes(own.quadrature.clone(), limit.hidden.mirror);
        let moments_of_sample = self.expansion.as_ref().and_then(|expansion| {
            let exact = expansion.list.exact_points(&limit.sigma.smoothness());
            let mirrored = limit.hidden.mirror.then(|| limit.sigma.parity());
            let mut axis = |gain: f64| limit.axis(gain, accuracy, 1, exact);
            IncrementMoments::new((&merged, mirrored), &covariance, m, expansion.clone(), &mut axis, budget)
        });
        let (hidden, nodes) = if let Some(moments) = moments_of_sample {
            (merged, Nodes::Moments(Box::new((moments, BatchCovariances::new(m, p)))))
        } else {
            let shape = (m, limit.settings.batch_size);
            let table = BatchTable::new(&own.quadrature, shape, accuracy, &scrambles, budget);
            let Some(table) = table else { return Ok(None) };
            let work = table.work();
            sampled = true;
            (own.quadrature, Nodes::Whole(Box::new((table, work))))
        };
        Ok(Some(IncrementRule {
            accuracy,
            hidden,
            reach,
            sampled,
            saturated,
            moments,
            numbers,
            state: numbers_of_state,
            factor,
            nodes,
            out: Increments::zeros(p, m),
        }))
    }
}
