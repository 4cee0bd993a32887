//! Events: functions of time and state whose change of sign stops a run.
//!
//! Covers which changes count, what holds at the start, and where within a step with dense output the change lies. Not
//! here: what the loop does then (see `drive`).

use std::cmp::Ordering;

use crate::Scalar;

/// Which changes of sign of an event function g(t, state) stop a run.
///
/// g is looked at when the run starts and after every step (or every so many, see
/// [`check_every`](crate::state::Run::check_every)). Its sign is that of its last value other than zero, so a start at
/// exactly zero has no sign yet, and nothing is crossed on the way out of it: the event happens when g comes back.
///
/// | direction | happens at the start | happens on the way |
/// |---|---|---|
/// | `Rising` | never | where g ≥ 0, after g was below zero |
/// | `Falling` | never | where g ≤ 0, after g was above zero |
/// | `Either` | never | as `Rising` or as `Falling` |
/// | `AtOrAbove` | if g ≥ 0 | as `Rising` |
/// | `AtOrBelow` | if g ≤ 0 | as `Falling` |
///
/// So what already holds at the start is passed over by the first three and stops the run at once by the last two. A
/// function that is NaN is an error; an infinite one has its sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Direction {
    /// From below zero to zero or above.
    Rising,
    /// From above zero to zero or below.
    Falling,
    /// Rising or falling.
    Either,
    /// Zero or above, at the start or by rising.
    AtOrAbove,
    /// Zero or below, at the start or by falling.
    AtOrBelow,
}

/// An event of a run.
pub(super) struct Event<'r, T, S: ?Sized> {
    pub(super) direction: Direction,
    pub(super) function: Box<dyn Fn(T, &S) -> T + 'r>,
}

/// The function is NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct NotANumber<T> {
    pub(super) time: T,
}

impl<T: Scalar, S: ?Sized> Event<'_, T, S> {
    /// On which side of zero the function is.
    fn side(&self, time: T, state: &S) -> Result<Ordering, NotANumber<T>> {
        (self.function)(time, state).partial_cmp(&T::zero()).ok_or(NotANumber { time })
    }

    /// The side at the start, and whether the event happens there.
    pub(super) fn at_start(&self, time: T, state: &S) -> Result<(Ordering, bool), NotANumber<T>> {
        let side = self.side(time, state)?;
        let happens = match self.direction {
            Direction::AtOrAbove => side.is_ge(),
            Direction::AtOrBelow => side.is_le(),
            Direction::Rising | Direction::Falling | Direction::Either => false,
        };
        Ok((side, happens))
    }

    /// Whether the event happens by this time; takes over the side in `side`.
    pub(super) fn happens(&self, side: &mut Ordering, time: T, state: &S) -> Result<bool, NotANumber<T>> {
        let (before, after) = (*side, self.side(time, state)?);
        if after != Ordering::Equal {
            *side = after;
        }
        let (rises, falls) = (before.is_lt() && after.is_ge(), before.is_gt() && after.is_le());
        Ok(match self.direction {
            Direction::Rising | Direction::AtOrAbove => rises,
            Direction::Falling | Direction::AtOrBelow => falls,
            Direction::Either => rises || falls,
        })
    }

    /// When the function leaves the side `before` between `low`, where it is there, and `high`, where it no longer is:
    /// bisection to the last bit of t, for the function may be any and is cheap beside a step.
    pub(super) fn locate(
        &self,
        before: Ordering,
        (mut low, mut high): (T, T),
        state: impl Fn(T) -> S,
    ) -> Result<T, NotANumber<T>>
    where
        S: Sized,
    {
        loop {
            let middle = low + (high - low) * T::lit(0.5);
            if !(middle > low && middle < high) {
                return Ok(high);
            }
            if self.side(middle, &state(middle))? == before { low = middle } else { high = middle }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At which of the values an event happens.
    fn first(direction: Direction, values: &[f64]) -> Option<usize> {
        let event = Event { direction, function: Box::new(|_, x: &f64| *x) };
        let (mut side, happens) = event.at_start(0.0, &values[0]).unwrap();
        if happens {
            return Some(0);
        }
        (1..values.len()).find(|&k| event.happens(&mut side, k as f64, &values[k]).unwrap())
    }

    #[test]
    fn every_direction_has_its_changes_of_sign() {
        use Direction::{AtOrAbove, AtOrBelow, Either, Falling, Rising};
        let up = [-1.0, -0.5, 0.5, 1.0, -1.0];
        assert_eq!([Rising, Falling, Either].map(|d| first(d, &up)), [Some(2), Some(4), Some(2)]);
        assert_eq!([AtOrAbove, AtOrBelow].map(|d| first(d, &up)), [Some(2), Some(0)]);
        let down = up.map(|x| -x);
        assert_eq!([Rising, Falling, Either].map(|d| first(d, &down)), [Some(4), Some(2), Some(2)]);
        assert_eq!([AtOrAbove, AtOrBelow].map(|d| first(d, &down)), [Some(0), Some(2)]);
        // Exactly zero counts as arrived, from either side.
        assert_eq!([Rising, Falling, Either].map(|d| first(d, &[-1.0, 0.0])), [Some(1), None, Some(1)]);
        assert_eq!([Rising, Falling, Either].map(|d| first(d, &[1.0, 0.0])), [None, Some(1), Some(1)]);
        // Touching zero and turning back is no crossing in the other direction.
        assert_eq!(first(Rising, &[1.0, 0.0, 1.0]), None);
        assert_eq!(first(Falling, &[-1.0, 0.0, -1.0]), None);
    }

    #[test]
    fn a_start_at_zero_is_not_crossed_on_the_way_out() {
        use Direction::{AtOrAbove, AtOrBelow, Either, Falling, Rising};
        let out = [0.0, 1.0, 2.0];
        assert_eq!([Rising, Falling, Either].map(|d| first(d, &out)), [None, None, None]);
        let back = [0.0, 0.0, 1.0, -1.0, 1.0];
        assert_eq!([Rising, Falling, Either].map(|d| first(d, &back)), [Some(4), Some(3), Some(3)]);
        assert_eq!([AtOrAbove, AtOrBelow].map(|d| first(d, &back)), [Some(0), Some(0)]);
    }

    #[test]
    fn nan_is_an_error_and_infinity_has_a_sign() {
        assert_eq!(first(Direction::Rising, &[f64::NEG_INFINITY, f64::INFINITY]), Some(1));
        let event = Event { direction: Direction::Either, function: Box::new(|_, x: &f64| *x) };
        assert_eq!(event.at_start(3.0, &f64::NAN), Err(NotANumber { time: 3.0 }));
        assert!(event.happens(&mut Ordering::Less, 4.0, &f64::NAN).is_err());
        let inside = event.locate(Ordering::Less, (0.0, 1.0), |t| if t == 0.5 { f64::NAN } else { t - 0.5 });
        assert_eq!(inside, Err(NotANumber { time: 0.5 }));
    }

    /// Bisection ends where the function is on the other side for the first time, whichever way it went.
    #[test]
    fn events_are_located_at_the_first_number_on_the_other_side() {
        for (sign, before) in [(1.0, Ordering::Less), (-1.0, Ordering::Greater)] {
            let event = Event { direction: Direction::Either, function: Box::new(move |_, x: &f64| sign * (*x - 0.7)) };
            let at = event.locate(before, (0.0, 1.0), |t| t).unwrap();
            assert_eq!((at, at.next_down() < 0.7), (0.7, true));
        }
    }
}
