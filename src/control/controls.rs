//! What may be scheduled: numbers of a model, a grid of times, and bounds.

use crate::control::ControlError;
use crate::model::{Quantity, Schedule, ScheduleError};

/// A number of the model that is so many roundings from a bound is at it.
const ROUNDINGS: f64 = 8.0;

/// The most times of a grid.
const MOST_TIMES: usize = 100_000;

/// Times that carry the values of a schedule, and what it does between them.
///
/// ```
/// use contrastive_dynamics::control::TimeGrid;
/// let even = TimeGrid::linear((0..=20).map(|k| 0.5 * f64::from(k)))?;
/// let finer_at_first = TimeGrid::constant((0..10).map(|k| 2.0_f64.powi(k) - 1.0))?;
/// assert_eq!((even.times().len(), finer_at_first.times()[2]), (21, 3.0));
/// # Ok::<(), contrastive_dynamics::control::ControlError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct TimeGrid {
    times: Vec<f64>,
    linear: bool,
}

impl TimeGrid {
    /// Straight lines between the values at those times, and constant after the last.
    ///
    /// # Errors
    /// [`ControlError::Grid`] unless times begin at 0, increase and are finite, and there are 1 to 100 000 of them.
    pub fn linear(times: impl IntoIterator<Item = f64>) -> Result<Self, ControlError> {
        Ok(Self { times: checked(times)?, linear: true })
    }

    /// Constant from each of those times to the next.
    ///
    /// # Errors
    /// As [`linear`](Self::linear).
    pub fn constant(times: impl IntoIterator<Item = f64>) -> Result<Self, ControlError> {
        Ok(Self { times: checked(times)?, linear: false })
    }

    /// The times.
    #[must_use]
    pub fn times(&self) -> &[f64] {
        &self.times
    }

    /// The schedule of those values at the times.
    pub(super) fn schedule(&self, values: &[f64]) -> Result<Schedule, ScheduleError> {
        let points = self.times.iter().copied().zip(values.iter().copied());
        if self.linear { Schedule::linear(points) } else { Schedule::steps(values[0], points.skip(1)) }
    }

    /// What the schedule at time t takes of which values: at most two.
    pub(super) fn shares(&self, t: f64) -> [(usize, f64); 2] {
        let next = self.times.partition_point(|&time| time <= t);
        let before = next.saturating_sub(1);
        match self.times.get(next) {
            Some(&end) if self.linear => {
                let part = (t - self.times[before]) / (end - self.times[before]);
                [(before, 1.0 - part), (next, part)]
            }
            _ => [(before, 1.0), (before, 0.0)],
        }
    }
}

fn checked(times: impl IntoIterator<Item = f64>) -> Result<Vec<f64>, ControlError> {
    let mut kept = Vec::new();
    for (index, time) in times.into_iter().enumerate() {
        let fits = match kept.last() {
            None => time == 0.0,
            Some(&last) => time > last && time.is_finite(),
        };
        if !fits || index == MOST_TIMES {
            return Err(ControlError::Grid { index, time, most: MOST_TIMES });
        }
        kept.push(time);
    }
    if kept.is_empty() {
        return Err(ControlError::Grid { index: 0, time: f64::NAN, most: MOST_TIMES });
    }
    Ok(kept)
}

/// Numbers of a model that an [`Optimiser`](crate::control::Optimiser) may schedule: all of them follow the one schedule.
///
/// | setter | meaning | default |
/// |---|---|---|
/// | [`bounds`](Self::bounds) | the least and the largest value | the number's range |
/// | [`initial`](Self::initial) | the schedule from which the search begins, read off at the grid's times | the model's own number |
///
/// ```
/// use contrastive_dynamics::control::{Control, TimeGrid};
/// use contrastive_dynamics::model::{Quantity, Schedule};
/// let grid = TimeGrid::linear((0..=20).map(|k| 0.5 * f64::from(k)))?;
/// let rate = Control::new([Quantity::LearningRate], grid.clone()).bounds(0.0, 1.0).initial(Schedule::exponential(0.5, 0.2)?);
/// let correlation = Control::new(Quantity::NOISE_CORRELATION, grid).bounds(-0.9, 0.9);
/// # let _ = (rate, correlation);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Control {
    pub(super) quantities: Vec<Quantity>,
    pub(super) grid: TimeGrid,
    bounds: Option<(f64, f64)>,
    initial: Option<Schedule>,
}

impl Control {
    /// Those numbers, by values on that grid.
    #[must_use]
    pub fn new(quantities: impl IntoIterator<Item = Quantity>, grid: TimeGrid) -> Self {
        Self { quantities: quantities.into_iter().collect(), grid, bounds: None, initial: None }
    }

    /// Values are at least `lower` and at most `upper`, which may be infinite for a number without an upper limit. A variance must stay
    /// positive: by one of 0 the rates have no derivative. Nor do they where both views are the same, at a correlation of 1.
    ///
    /// A positive lower bound also lets the search go by ratios: what is small late, as a learning rate often is, then counts as much as
    /// what is large. For numbers that change by orders of magnitude it finds the optimum far sooner.
    #[must_use]
    pub fn bounds(mut self, lower: f64, upper: f64) -> Self {
        self.bounds = Some((lower, upper));
        self
    }

    /// Begins with that schedule.
    #[must_use]
    pub fn initial(mut self, schedule: Schedule) -> Self {
        self.initial = Some(schedule);
        self
    }

    /// The number that errors name.
    pub(super) fn name(&self) -> &'static str {
        self.quantities.first().map_or("number", |quantity| quantity.name())
    }

    /// The bounds, checked.
    pub(super) fn checked_bounds<T: crate::Scalar>(&self) -> Result<(f64, f64), ControlError<T>> {
        let variance = self.quantities.iter().any(|quantity| Quantity::NOISE_VARIANCE.contains(quantity));
        let range = |quantity: &Quantity| quantity.range();
        let ranges = self.quantities.iter().map(range);
        let common = ranges.reduce(|(a, b), (c, d)| (f64::max(a, c), f64::min(b, d)));
        let Some((mut least, most)) = common else { return Err(ControlError::NoQuantity) };
        if variance {
            least = least.max(f64::MIN_POSITIVE);
        }
        let (lower, upper) = self.bounds.unwrap_or((least, most));
        if lower < upper && lower >= least && upper <= most {
            return Ok((lower, upper));
        }
        Err(ControlError::Bounds { name: self.name(), lower, upper, least, most })
    }

    /// The first values, within those bounds; `own` is the model's number, if it has one for all of the quantities.
    pub(super) fn first_values<T: crate::Scalar>(
        &self,
        (lower, upper): (f64, f64),
        own: Option<f64>,
    ) -> Result<Vec<f64>, ControlError<T>> {
        let times = self.grid.times();
        let values: Vec<f64> = match (&self.initial, own) {
            (Some(schedule), _) => times.iter().map(|&t| schedule.at(t)).collect(),
            (None, Some(own)) => {
                // The model keeps products of its numbers: they come back rounded.
                let near = |bound: f64| (own - bound).abs() <= ROUNDINGS * T::EPSILON.as_f64() * bound.abs();
                let own = [lower, upper].into_iter().find(|&bound| near(bound)).unwrap_or(own);
                vec![own; times.len()]
            }
            (None, None) => return Err(ControlError::NoQuantity),
        };
        for (&time, &value) in times.iter().zip(&values) {
            if !(value >= lower && value <= upper && value.is_finite()) {
                return Err(ControlError::Initial { name: self.name(), time, value, lower, upper });
            }
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_the_values_of_the_schedules() {
        let values = [0.3, 0.7, 0.2, 0.9];
        for linear in [false, true] {
            let grid = TimeGrid { times: vec![0.0, 1.0, 3.0, 4.0], linear };
            let schedule = grid.schedule(&values).unwrap();
            for t in [0.0, 0.25, 1.5, 2.999, 3.2, 4.0, 7.0] {
                let sum: f64 = grid.shares(t).iter().map(|&(k, share)| values[k] * share).sum();
                assert!((sum - schedule.at(t)).abs() < 1e-15, "{linear} {t}");
            }
        }
    }
}
