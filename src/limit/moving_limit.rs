//! The limit of a model whose numbers follow schedules.

use super::compiled::Compiled;
use super::error::LimitError;
use super::problem::Limit;
use super::rule::Rule;
use crate::Scalar;
use crate::model::{InForce, ScheduleError, Schedules, Timetable, Unscheduled};
use crate::state::OrderParameters;

/// The limit coefficients of a model at numbers that move with time.
#[derive(Debug, Clone)]
pub(crate) struct MovingLimit<'a, T: Scalar> {
    timetable: Timetable<T>,
    limit: Limit<'a, T>,
    numbers: InForce<T>,
    /// Since when no schedule has jumped or bent.
    since: T,
}

impl<'a, T: Compiled> MovingLimit<'a, T> {
    /// That limit of a model under schedules, from time t = 0 on; `None` without any.
    pub(crate) fn of(
        model: Unscheduled<T>,
        schedules: &Schedules,
        limit: &Limit<'a, T>,
    ) -> Result<Option<Self>, ScheduleError> {
        Timetable::new(model, schedules)?.map(|timetable| Self::new(timetable, limit)).transpose()
    }

    fn new(timetable: Timetable<T>, limit: &Limit<'a, T>) -> Result<Self, ScheduleError> {
        let limit = if timetable.schedules_penalty() { limit.clone().coupled() } else { limit.clone() };
        let mut this = Self { numbers: *timetable.base(), timetable, limit, since: T::zero() };
        this.move_to(T::zero())?;
        Ok(this)
    }

    /// The limit at the present time.
    pub(crate) fn limit(&self) -> &Limit<'a, T> {
        &self.limit
    }

    /// γ at the present time.
    pub(crate) fn weight_decay(&self) -> T {
        self.numbers.weight_decay
    }

    /// τγ at the present time.
    pub(crate) fn decay(&self) -> T {
        self.limit.learning_rate() * self.numbers.weight_decay
    }

    /// Goes to time t, up to the next breakpoint, whose values are those before it.
    pub(crate) fn move_to(&mut self, t: T) -> Result<(), ScheduleError> {
        self.numbers = self.timetable.within(self.since, t)?;
        self.limit.move_to(&self.numbers, self.timetable.rest());
        Ok(())
    }

    /// Time t is reached: what follows begins there. Whether a schedule jumps or bends there.
    pub(crate) fn reach(&mut self, t: T) -> Result<bool, ScheduleError> {
        let broken = self.timetable.next_break(self.since).is_some_and(|end| t >= end);
        // Also back from an event within the last step.
        if broken || t < self.since {
            self.since = t;
        }
        self.move_to(t)?;
        Ok(broken)
    }

    /// The first breakpoint after t.
    pub(crate) fn next_break(&self, t: T) -> Option<T> {
        self.timetable.next_break(t)
    }

    /// A rule for the numbers of now at that state. A learning rate of zero would leave nothing to be accurate about, so it is
    /// chosen at that of the model.
    pub(crate) fn rule(&self, state: &OrderParameters<T>) -> Result<Rule<T>, LimitError<T>> {
        let mut limit = self.limit.clone();
        let numbers = InForce { learning_rate: self.timetable.base().learning_rate, ..self.numbers };
        limit.move_to(&numbers, self.timetable.rest());
        let mut rule = limit.rule(state)?;
        rule.follow(&self.limit);
        Ok(rule)
    }
}
