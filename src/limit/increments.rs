//! What one batch adds to A, B and Λ: its covariance (theory §7).
//!
//! With Â_li = −(τ/B) Σ_b Σ_v e_bi^v x̃_bl^v, B̂_ji = −(τ/B) Σ_b Σ_v e_bi^v h_bj^v and Λ̂_ij = (τ²/B²) Σ_b Σ_vv' e_bi^v D_vv' e_bj^v' the
//! coefficients are the means of these sums over one batch (theory §3); here are their covariances. By moments of one sample where the
//! loss is a polynomial, σ smooth and the neurons few, and by whole batches else. Not here: what moves by them (see
//! [`crate::fluctuation`]).

use std::collections::VecDeque;
use std::sync::Arc;

use nalgebra::{DMatrix, DVector};

use super::accuracy::Accuracy;
use super::averages::increment_moments::{BatchCovariances, IncrementMoments};
use super::averages::whole_batches::{BatchSignal, BatchTable, BatchWork};
use super::error::LimitError;
use super::fields::factor::Factor;
use super::fields::moments::{State, StateMoments};
use super::hidden::{hidden_nodes, merge_nodes};
use super::increment_expansion::IncrementExpansion;
use super::numbers::Numbers;
use super::problem::{DEFAULT_BATCH_BUDGET, DEFAULT_BUDGET, Limit, Quadrature};
use super::rule::all_fields;
use crate::Scalar;
use crate::model::{HiddenQuadrature, Smoothness};
use crate::numerics::largest::largest_size;
use crate::state::OrderParameters;

/// Errors by default, relative to the largest entry: by moments of one sample, for one neuron and for more, and where anything is sampled.
const TOLERANCE: f64 = 1e-7;
const MANY_NEURONS_TOLERANCE: f64 = 1e-3;
const SAMPLED_TOLERANCE: f64 = 1e-2;

/// Independent scrambles of Sobol points, from whose spread their error is known.
const SCRAMBLES: u32 = 8;

/// The accuracy of the coarsest rules, from one to the next, and where refining ends.
const LEAST_ACCURACY: f64 = 4.0;
const FINER: f64 = 2.5;
const FINEST: f64 = 60.0;

/// A rule checks the one so many before it.
const CHECKED: usize = 1;

/// Rounding in ulp of the largest entry.
const ROUNDINGS: f64 = 4096.0;

/// The covariance of increments at a state.
#[derive(Debug, Clone)]
pub struct Increments<T: Scalar> {
    /// Â row by row, B̂ row by row, then Λ̂_ij for i ≤ j.
    pub(crate) mean: DVector<T>,
    pub(crate) covariance: DMatrix<T>,
}

/// The averages of increments of a model.
#[derive(Debug, Clone)]
pub struct IncrementAverages<'a, T: Scalar> {
    limit: Limit<'a, T>,
    expansion: Option<Arc<IncrementExpansion<T>>>,
    /// The tolerance, if one was asked for.
    tolerance: Option<T>,
}

/// A frozen choice of nodes for the covariance of increments.
#[derive(Debug, Clone)]
pub struct IncrementRule<T: Scalar> {
    accuracy: f64,
    hidden: HiddenQuadrature<T>,
    /// The largest squared overlap (QᵀQ)_ii for which the cubature of the hidden law was chosen; none if it is exact.
    reach: Option<T>,
    sampled: bool,
    /// Whether more accuracy would not bring more nodes of the hidden law.
    saturated: bool,
    moments: StateMoments<T>,
    numbers: Numbers<T>,
    state: State<T>,
    factor: Factor<T>,
    nodes: Nodes<T>,
    out: Increments<T>,
}

#[derive(Debug, Clone)]
enum Nodes<T> {
    Moments(Box<(IncrementMoments<T>, BatchCovariances<T>)>),
    Whole(Box<(BatchTable<T>, BatchWork<T, T>)>),
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

impl<T: Scalar> IncrementAverages<'_, T> {
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
        let mut before: VecDeque<IncrementRule<T>> = VecDeque::new();
        let mut best = T::lit(f64::INFINITY);
        let batch = T::of_usize(self.limit.settings.batch_size);
        loop {
            let rule = match first.take() {
                None if accuracy <= FINEST && !before.is_empty() => self.rule(state, accuracy, 0..SCRAMBLES)?,
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
            } else if let Some(first) = before.front().filter(|_| before.len() == CHECKED) {
                T::lit(2.0) * increments.distance(&first.out) + rounding
            } else {
                T::lit(f64::INFINITY)
            };
            if error <= tolerance * magnitude || error <= rounding {
                let coarser = if rule.sampled || before.len() < CHECKED { None } else { before.pop_front() };
                return Ok((coarser.unwrap_or(rule), increments, error));
            }
            best = best.min(error / magnitude);
            if rule.saturated {
                return Err(self.not_met(tolerance, best));
            }
            accuracy += FINER;
            if before.len() == CHECKED {
                before.pop_front();
            }
            before.push_back(rule);
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
            rows.push(rule.out.covariance);
        }
        let count = T::of_usize(rows.len());
        let standard_error = |at: usize| {
            let mean = rows.iter().map(|row| row[at]).sum::<T>() / count;
            let squares: T = rows.iter().map(|row| (row[at] - mean) * (row[at] - mean)).sum();
            (squares / (count * (count - T::one()))).sqrt()
        };
        Ok(T::lit(4.0) * largest_size((0..rows[0].len()).map(standard_error)))
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
        let covariance = covariance_of(&moments, m);
        let factor = Factor::new(&covariance, 2 * m, limit.noise.is_exchangeable());
        let budget = limit.options.node_budget;
        let merged = merge_nodes(own.quadrature.clone(), limit.hidden.mirror);
        let moments_of_sample = self.expansion.as_ref().and_then(|expansion| {
            let exact = match limit.sigma.smoothness() {
                Smoothness::Polynomial { degree } => Some(expansion.list.degree(degree) / 2 + 1),
                _ => None,
            };
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

impl<T: Scalar> IncrementRule<T> {
    /// Whether the nodes resolve the fields at that state.
    pub(crate) fn resolves(&mut self, limit: &Limit<'_, T>, q: &DMatrix<T>, r: &DMatrix<T>) -> bool {
        self.move_to(limit, q, r);
        if self.reach.is_some_and(|reach| self.moments.largest_overlap() > T::lit(1.44) * reach) {
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
        self.factor.update(&covariance_of(&self.moments, limit.settings.n_neurons));
    }

    /// The covariance of increments at that state.
    pub(super) fn run_generic(&mut self, limit: &Limit<'_, T>, q: &DMatrix<T>, r: &DMatrix<T>) {
        self.move_to(limit, q, r);
        let carriers = Carriers::new(limit, self);
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

/// What x̃ and h of a sample are given its hidden variables and the whitened coordinates of its fields.
struct Carriers<T: Scalar> {
    /// The mean of x̃_l^v at v·(p + m) + l, of h_j^v at v·(p + m) + p + j: rows beside y = (c, ζ).
    rows: Vec<DVector<T>>,
    /// The covariance of x̃^v and x̃^w around them at 2v + w, p x p.
    rest: Vec<DMatrix<T>>,
}

impl<T: Scalar> Carriers<T> {
    fn new(limit: &Limit<'_, T>, rule: &IncrementRule<T>) -> Self {
        let (p, m) = (limit.settings.n_features, limit.settings.n_neurons);
        let fields = 2 * m;
        let IncrementRule { moments, state, factor, hidden, numbers, .. } = rule;
        let mut rows = Vec::with_capacity(2 * (p + m));
        let (mut column, mut g) = (vec![T::zero(); fields], vec![T::zero(); fields]);
        for v in 0..2 {
            for l in 0..p {
                for (f, slot) in column.iter_mut().enumerate() {
                    *slot = moments.feature_covariance(state, (v, l), (f / m, f % m));
                }
                factor.regress(&column, &mut g);
                let own = |k: usize| if k < p { T::of_usize(usize::from(k == l)) } else { g[k - p] };
                rows.push(DVector::from_fn(p + fields, |k, _| own(k)));
            }
            for j in 0..m {
                let own = |k: usize| if k < p { moments.scaled[k * m + j] } else { factor.get(v * m + j, k - p) };
                rows.push(DVector::from_fn(p + fields, |k, _| own(k)));
            }
        }
        let rest = |v: usize, w: usize| {
            DMatrix::from_fn(p, p, |l, k| {
                let (x, y) = (&rows[v * (p + m) + l], &rows[w * (p + m) + k]);
                let known: T = (p..p + fields).map(|at| x[at] * y[at]).sum();
                let shared = if hidden.gaussian.is_empty() { T::zero() } else { hidden.gaussian[(l, k)] };
                let noise = if l == k { numbers.feature_noise.get(v, w) } else { T::zero() };
                noise + shared - known
            })
        };
        let rest = [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(v, w)| rest(v, w)).to_vec();
        Self { rows, rest }
    }

    /// The covariance of increments from covariances of sums over a batch.
    fn collect(&self, limit: &Limit<'_, T>, sums: &BatchCovariances<T>, out: &mut Increments<T>) {
        let (p, m) = (limit.settings.n_features, limit.settings.n_neurons);
        let (fields, width) = (2 * m, p + m);
        let tau = limit.settings.learning_rate;
        let views = limit.noise.views();
        let d: Vec<(usize, usize, T)> = (0..4).map(|at| (at / 2, at % 2, views.get(at / 2, at % 2))).collect();
        let entries: Vec<(usize, usize)> = (0..m).flat_map(|i| (i..m).map(move |j| (i, j))).collect();
        let first = width * m;
        out.covariance.fill(T::zero());
        for (v, i) in (0..2).flat_map(|v| (0..m).map(move |i| (v, i))) {
            let f = v * m + i;
            let carriers = DMatrix::from_fn(width, self.rows[0].len(), |o, k| self.rows[v * width + o][k]);
            let mean = &carriers * &sums.means[f] * -tau;
            for o in 0..width {
                out.mean[o * m + i] = mean[o] + if v == 0 { T::zero() } else { out.mean[o * m + i] };
            }
            for (w, j) in (0..2).flat_map(|w| (0..m).map(move |j| (w, j))) {
                let g = w * m + j;
                let others = DMatrix::from_fn(width, self.rows[0].len(), |o, k| self.rows[w * width + o][k]);
                let covariance = &carriers * &sums.sums[f * fields + g] * others.transpose();
                for (o, k) in (0..width).flat_map(|o| (0..width).map(move |k| (o, k))) {
                    let rest =
                        if o < p && k < p { self.rest[2 * v + w][(o, k)] * sums.noise[(f, g)] } else { T::zero() };
                    out.covariance[(o * m + i, k * m + j)] += tau * tau * (covariance[(o, k)] + rest);
                }
            }
            for (at, &(j, k)) in entries.iter().enumerate() {
                let mut with_noise = DVector::zeros(self.rows[0].len());
                for &(w, x, d) in &d {
                    let place = f * fields * fields + (w * m + j) * fields + x * m + k;
                    with_noise.axpy(d, &sums.sums_with_noise[place], T::one());
                }
                let covariance = &carriers * with_noise * -(tau * tau * tau);
                for o in 0..width {
                    out.covariance[(o * m + i, first + at)] += covariance[o];
                    out.covariance[(first + at, o * m + i)] += covariance[o];
                }
            }
        }
        let square = tau * tau;
        for (x, &(i, j)) in entries.iter().enumerate() {
            let place = |(v, w): (usize, usize), (i, j): (usize, usize)| (v * m + i) * fields + w * m + j;
            out.mean[first + x] = square * d.iter().map(|&(v, w, d)| d * sums.noise[(v * m + i, w * m + j)]).sum::<T>();
            for (y, &other) in entries.iter().enumerate() {
                let mut sum = T::zero();
                for &(v, w, a) in &d {
                    for &(r, s, b) in &d {
                        sum += a * b * sums.noise_with_noise[(place((v, w), (i, j)), place((r, s), other))];
                    }
                }
                out.covariance[(first + x, first + y)] = square * square * sum;
            }
        }
    }

    /// The covariance of increments over whole batches.
    fn sample(
        &self,
        limit: &Limit<'_, T>,
        (table, work): (&BatchTable<T>, &mut BatchWork<T, T>),
        (factor, signal): (&Factor<T>, &BatchSignal<'_, T, T>),
        out: &mut Increments<T>,
    ) {
        let (p, m) = (limit.settings.n_features, limit.settings.n_neurons);
        let (fields, width, first) = (2 * m, p + m, (p + m) * m);
        let (tau, batch) = (limit.settings.learning_rate, limit.batch);
        let views = limit.noise.views();
        let entries: Vec<(usize, usize)> = (0..m).flat_map(|i| (i..m).map(move |j| (i, j))).collect();
        let mut noise = DMatrix::zeros(fields, fields);
        let mut squares = DMatrix::zeros(fields, fields);
        let mut sums = DMatrix::zeros(p + fields, fields);
        let mut increments = DVector::zeros(out.mean.len());
        out.mean.fill(T::zero());
        out.covariance.fill(T::zero());
        for n in 0..table.batches() {
            table.evaluate(n, factor, signal, work);
            sums.fill(T::zero());
            squares.fill(T::zero());
            for ((node, z), e) in table.samples(n).zip(work.errors().chunks_exact(fields)) {
                let c = table.hidden().column(node);
                for (f, &e) in e.iter().enumerate() {
                    let mut column = sums.column_mut(f);
                    column.iter_mut().zip(c.iter().chain(z)).for_each(|(sum, &y)| *sum += e * y);
                }
                for (f, g) in (0..fields).flat_map(|f| (0..fields).map(move |g| (f, g))) {
                    squares[(f, g)] += e[f] * e[g];
                }
            }
            squares /= batch * batch;
            noise += &squares;
            increments.fill(T::zero());
            for (f, sum) in sums.column_iter().enumerate() {
                for o in 0..width {
                    increments[o * m + f % m] -= tau / batch * self.rows[f / m * width + o].dot(&sum);
                }
            }
            for (at, &(i, j)) in entries.iter().enumerate() {
                let parts = (0..4).map(|at| (at / 2, at % 2));
                let sum: T = parts.map(|(v, w)| views.get(v, w) * squares[(v * m + i, w * m + j)]).sum();
                increments[first + at] = tau * tau * sum;
            }
            out.mean += &increments;
            out.covariance.syger(T::one(), &increments, &increments, T::one());
        }
        let count = T::of_usize(table.batches());
        out.mean /= count;
        out.covariance.fill_upper_triangle_with_lower_triangle();
        out.covariance /= count;
        out.covariance.ger(-T::one(), &out.mean, &out.mean, T::one());
        noise /= count;
        for (f, g) in (0..fields).flat_map(|f| (0..fields).map(move |g| (f, g))) {
            let rest = &self.rest[2 * (f / m) + g / m];
            for (l, k) in (0..p).flat_map(|l| (0..p).map(move |k| (l, k))) {
                out.covariance[(l * m + f % m, k * m + g % m)] += tau * tau * rest[(l, k)] * noise[(f, g)];
            }
        }
    }
}

impl<T: Scalar> Increments<T> {
    fn zeros(features: usize, neurons: usize) -> Self {
        let length = Self::len(features, neurons);
        Self { mean: DVector::zeros(length), covariance: DMatrix::zeros(length, length) }
    }

    /// The largest absolute difference of two entries of the covariance.
    fn distance(&self, other: &Self) -> T {
        largest_size(self.covariance.iter().zip(&other.covariance).map(|(&x, &y)| x - y))
    }

    /// How many numbers a batch adds to: those of A, of B, and of the upper triangle of Λ.
    pub(crate) fn len(features: usize, neurons: usize) -> usize {
        (features + neurons) * neurons + neurons * (neurons + 1) / 2
    }
}

/// The covariance of the fields of both views, 2m x 2m row by row.
fn covariance_of<T: Scalar>(moments: &StateMoments<T>, neurons: usize) -> Vec<T> {
    let fields = all_fields(neurons);
    let mut covariance = vec![T::zero(); fields.len() * fields.len()];
    moments.covariance(&fields, &mut covariance);
    covariance
}
