//! Refining rules until their own error estimate meets the tolerance.
//!
//! Covers the choice of accuracy and the two estimates of the error. Not here: the rules themselves (see `rule`).

use super::accuracy::{Accuracy, GROWTH};
use super::coefficients::{Coefficients, Estimated};
use super::error::LimitError;
use super::problem::{DEFAULT_BATCH_BUDGET, Limit, Quadrature};
use super::rule::Rule;
use crate::Scalar;
use crate::model::Smoothness;
use crate::numerics::largest::{largest, largest_size};
use crate::state::OrderParameters;

/// Independent scrambles of Sobol points, from whose spread their error is known.
pub(super) const SCRAMBLES: u32 = 8;

/// How much finer a form is that checks another: of rules close to each other the difference says little.
const CHECK: f64 = 3.0;

/// From one rule to the next, in accuracy.
const FINER: f64 = 1.15;

/// No rule is refined beyond that accuracy, which is ten times finer than rounding.
const FINEST: f64 = 90.0;

/// Rounding in the averages of one neuron, in ulp of the largest coefficient; of several, which are sums over all fields; and of sums
/// whose terms grow before they fall.
const ONE_NEURON_ULPS: f64 = 32.0;
const MANY_NEURONS_ULPS: f64 = 1024.0;
const GROWING_ULPS: f64 = 1e6;

/// Near rounding accuracy is not aimed at.
const FINE: f64 = 36.0;

/// Units of accuracy for which the error of a form falls by a factor e, at least.
const RATE: f64 = 1.3;

/// Fields of smaller standard deviation have no layer that points could miss.
const LARGE_GAIN: f64 = 30.0;

/// The accuracy of the coarsest rules.
const LEAST_ACCURACY: f64 = 5.0;

/// A rule has at most that many nodes over all averages and all values of the hidden variables, or so many times the budget of one.
const MOST_NODES: u64 = 1 << 26;
const NODES_PER_BUDGET: u64 = 256;

/// The most nodes of an average where Sobol points stand in for rules that would have too many.
const MOST_SAMPLES: usize = 1 << 18;

impl<T: Scalar> Limit<'_, T> {
    /// Whether a rule converges no faster than algebraically, so that refining it goes on for as long as the budget lasts.
    fn converges_slowly(&self) -> bool {
        let kinked = matches!(self.sigma.smoothness(), Smoothness::Kinked { .. });
        !self.loss.over_batches() && kinked && self.options.quadrature == Quadrature::Trapezoidal
    }

    /// Refines until the estimated error meets the tolerance. The rule returned is the coarser of two that agree (their
    /// difference is its error), the coefficients those of the finer; rules over Sobol points are judged by the
    /// spread over independent scrambles. `near`: the rule is to be used near the state.
    pub(super) fn refine_generic(
        &self,
        state: &OrderParameters<T>,
        near: bool,
    ) -> Result<(Rule<T>, Estimated<T>), LimitError<T>> {
        self.check_shape(state)?;
        let factor = T::lit(GROWTH);
        let grown = near.then(|| OrderParameters::from_parts(state.q() * factor, state.r() * (factor * factor)));
        // Rules are better than their bounds by about two units, but for coarse ones, where the bounds mean little.
        // Below rounding there is nothing to resolve, however small a tolerance is asked for.
        let wanted = -self.options.tolerance.max(T::EPSILON).as_f64().ln();
        self.refine_from(state, grown.as_ref(), (wanted + 2.0).min(7.0).max(wanted - 2.0).max(LEAST_ACCURACY))
    }

    fn refine_from(
        &self,
        state: &OrderParameters<T>,
        grown: Option<&OrderParameters<T>>,
        mut accuracy: f64,
    ) -> Result<(Rule<T>, Estimated<T>), LimitError<T>> {
        let mut nodes = 0;
        // The accuracy of the rule that the present one checks.
        let mut before: Option<f64> = None;
        // From the accuracy before to the present one.
        let mut gap = CHECK;
        let mut previous: Option<(Rule<T>, Estimated<T>)> = None;
        let zeros = || Coefficients::zeros(self.settings.n_features, self.settings.n_neurons);
        let (mut finer, mut coarser) = (zeros(), zeros());
        // The answer of least error so far: rules that are finer need not be better, where rounding or another kind of nodes sets in.
        let mut best: Option<Box<Estimated<T>>> = None;
        let fail = |best: Option<Box<Estimated<T>>>| LimitError::ToleranceNotMet {
            tolerance: self.options.tolerance.as_f64(),
            budget: self.options.node_budget,
            best,
        };
        loop {
            let both = Accuracy { fixed: accuracy + self.margin(), sampled: accuracy };
            let most = MOST_NODES.max(NODES_PER_BUDGET.saturating_mul(self.options.node_budget as u64));
            let affordable = |rule: &Rule<T>| rule.nodes() <= most;
            let Some(mut rule) = Rule::new(self, state, both, 0..SCRAMBLES)?.filter(affordable) else {
                let known = best.as_ref().is_some_and(|best| best.error.is_finite());
                return if known { Err(fail(best)) } else { self.sample(state, best) };
            };
            // Gauss-Hermite rules are rounded to an even number of points: one that is the same says nothing of the other.
            let same = previous.as_ref().is_some_and(|(before, _)| before.nodes() == rule.nodes());
            let polynomial = matches!(self.sigma.smoothness(), Smoothness::Polynomial { .. });
            if self.options.quadrature == Quadrature::GaussHermite && same && !polynomial && accuracy < FINEST {
                accuracy += 1.0;
                gap += 1.0;
                continue;
            }
            // Where nodes become too many they give way to Sobol points, which are far worse than what is there already.
            let known = best.as_ref().is_some_and(|best| best.error.is_finite());
            if known && rule.is_sampled() && previous.as_ref().is_some_and(|(before, _)| !before.is_sampled()) {
                return Err(fail(best));
            }
            let mut coefficients = zeros();
            nodes += rule.apply_generic(self, state, &mut coefficients);
            if !coefficients.is_finite() {
                return Err(LimitError::NotFinite);
            }
            let magnitude = coefficients.magnitude().max(self.settings.learning_rate);
            // Sums over all fields of many neurons have the more roundings.
            let roundings = match self.settings.n_neurons {
                1 if rule.sums_growing(self) => GROWING_ULPS,
                1 => ONE_NEURON_ULPS,
                _ => MANY_NEURONS_ULPS,
            };
            let rounding = T::lit(roundings) * T::EPSILON * magnitude;
            if rule.is_exact() {
                return Ok((rule, Estimated { coefficients, error: rounding, nodes }));
            }
            let error = if rule.is_sampled() {
                self.spread(state, accuracy, &mut nodes)? + self.missed(&rule, accuracy) + rounding
            } else if let Some((before, previous)) = &mut previous {
                // Twice the difference: it may be small by chance, and of coarse rules it need not bound the error. More where the
                // rules are close to each other.
                let close = if gap < CHECK { (CHECK / gap).powi(2) } else { 1.0 };
                let mut distance = coefficients.distance(&previous.coefficients);
                if let Some(grown) = grown.filter(|_| before.grows() && rule.grows()) {
                    nodes += before.apply_generic(self, grown, &mut coarser);
                    nodes += rule.apply_generic(self, grown, &mut finer);
                    let far = finer.distance(&coarser);
                    // Where the grown weights have no coefficients nothing is known of the rule there.
                    if far.is_finite() {
                        before.allow_growth();
                        distance = largest([distance, far]);
                    }
                }
                T::lit(2.0 * close) * distance + rounding
            } else {
                T::lit(f64::INFINITY)
            };
            let estimated = Estimated { coefficients, error, nodes };
            if error <= self.options.tolerance * magnitude {
                let rule = if rule.is_sampled() { rule } else { previous.map_or(rule, |(rule, _)| rule) };
                return Ok((rule, estimated));
            }
            // Rounding sets the floor: a rule ten times finer than that will not agree better.
            let pointless = accuracy > FINEST && !self.converges_slowly() || rule.saturated;
            if best.as_ref().is_none_or(|best| !(best.error <= estimated.error)) {
                best = Some(Box::new(estimated.clone()));
            }
            let sampled = rule.is_sampled();
            let in_four_dimensions = self.has_nodes_in_four_dimensions() && rule.views.is_none();
            previous = Some((rule, estimated));
            if pointless {
                return Err(fail(best));
            }
            let last = accuracy;
            let moments = self.loss.expansion().is_some() && !sampled;
            let forms = moments || self.settings.n_neurons > 1 && !in_four_dimensions;
            let next = FINER * last;
            accuracy = if !forms {
                next
            } else if let (Some(before), true) = (before, error.is_finite() && !sampled && last < FINE) {
                // What is known is the error of the rule before. Solutions take that rule thousands of times, so it should be no
                // finer than need be.
                let excess = (error / (self.options.tolerance * magnitude)).as_f64().ln();
                (before + RATE * excess + 0.5).clamp(last + 1.0, last + 2.0 * CHECK)
            } else {
                next.max(last + CHECK)
            };
            // A rule that was aimed at is checked next.
            before = if before.is_some() { None } else { Some(last) };
            gap = if forms { accuracy - last } else { CHECK };
        }
    }

    /// The answer by Sobol points, which fit into any budget, where no other rule does.
    /// `value`: what is there already, of unknown error.
    fn sample(
        &self,
        state: &OrderParameters<T>,
        value: Option<Box<Estimated<T>>>,
    ) -> Result<(Rule<T>, Estimated<T>), LimitError<T>> {
        let (tolerance, budget) = (self.options.tolerance.as_f64(), self.options.node_budget);
        if self.options.quadrature == Quadrature::Sobol {
            return Err(LimitError::ToleranceNotMet { tolerance, budget, best: value });
        }
        let mut sampled = self.clone();
        sampled.options.quadrature = Quadrature::Sobol;
        let most = if self.loss.over_batches() { DEFAULT_BATCH_BUDGET } else { MOST_SAMPLES };
        sampled.options.node_budget = budget.min(most);
        sampled.refine_from(state, None, LEAST_ACCURACY).map_err(|error| match error {
            LimitError::ToleranceNotMet { best, .. } => {
                LimitError::ToleranceNotMet { tolerance, budget, best: best.or(value) }
            }
            other => other,
        })
    }

    /// How much more accurate lattices are than Sobol points beside them, in units of ln(1/error): they cost less.
    fn margin(&self) -> f64 {
        // Derivatives of forms are those of the averages: with this margin they agree with differences of the frozen rule to
        // 1e-6.
        if self.loss.whole_batches() { 14.0 } else { 0.0 }
    }

    /// What all points of a rule may have missed. Under a field of large gain σ' is a layer of small probability, and points that do
    /// not meet it agree with each other. N points miss one of probability 9/N once in ten thousand times; what is averaged there is
    /// an error signal, of order one, times a field.
    fn missed(&self, rule: &Rule<T>, accuracy: f64) -> T {
        let smoothness = self.sigma.smoothness();
        let bends = !matches!(smoothness, Smoothness::Polynomial { .. } | Smoothness::Kinked { .. });
        let sampled = self.samples_fields(&smoothness) || self.loss.whole_batches();
        let gain = rule.largest_gain();
        if !(bends && sampled && gain > LARGE_GAIN) {
            return T::zero();
        }
        let points = f64::from(SCRAMBLES) * (0.75 * accuracy + 1.0).clamp(4.0, 31.0).floor().exp2();
        self.settings.learning_rate * T::lit(9.0 * (1.0 + gain) / points)
    }

    /// The error of a rule with Sobol points: four standard errors over independent scrambles, of the entry that strays
    /// most, and twice what finer lattices change for one of the scrambles.
    fn spread(&self, state: &OrderParameters<T>, accuracy: f64, nodes: &mut u64) -> Result<T, LimitError<T>> {
        let mut apply = |fixed: f64, r: u32| -> Result<Option<Vec<T>>, LimitError<T>> {
            let accuracy = Accuracy { fixed, sampled: accuracy };
            let Some(mut rule) = Rule::new(self, state, accuracy, r..r + 1)? else { return Ok(None) };
            let mut c = Coefficients::zeros(self.settings.n_features, self.settings.n_neurons);
            *nodes += rule.apply_generic(self, state, &mut c);
            Ok(Some([&c.a, &c.b, &c.lambda].iter().flat_map(|x| x.iter().copied()).collect()))
        };
        let mut rows = Vec::new();
        for r in 0..SCRAMBLES {
            // A part of a rule that fitted into the budget fits.
            let Some(row) = apply(accuracy + self.margin(), r)? else { return Ok(T::lit(f64::INFINITY)) };
            rows.push(row);
        }
        let Some(finer) = apply(FINER * (accuracy + self.margin()), 0)? else { return Ok(T::lit(f64::INFINITY)) };
        let fixed = largest_size(finer.iter().zip(&rows[0]).map(|(&x, &y)| x - y));
        Ok(T::lit(4.0) * largest_standard_error(&rows) + T::lit(2.0) * fixed)
    }
}

/// The largest standard error of the mean over rows of equal length, of the entry that strays most.
pub(super) fn largest_standard_error<T: Scalar>(rows: &[Vec<T>]) -> T {
    let count = T::of_usize(rows.len());
    let standard_error = |k: usize| {
        let mean = rows.iter().map(|row| row[k]).sum::<T>() / count;
        let squares: T = rows.iter().map(|row| (row[k] - mean) * (row[k] - mean)).sum();
        (squares / (count * (count - T::one()))).sqrt()
    };
    largest_size((0..rows.first().map_or(0, Vec::len)).map(standard_error))
}
