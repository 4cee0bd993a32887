//! How a map of attraction regions prints.
//!
//! Covers the picture in text and its legend. Not here: what is in a map (see `map`).

use std::fmt;

use crate::Scalar;
use crate::stability::display::{count, digits, number};
use crate::stability::regions::map::{Grid, RegionMap};
use crate::stability::regions::outcome::{NotReached, Outcome};

/// The most characters of a line and lines of the picture: a terminal. Characters are twice as high as wide.
const MOST_COLUMNS: usize = 64;
/// See [`MOST_COLUMNS`].
const MOST_ROWS: usize = 32;
/// The signs of the points, in order; there are few.
const POINTS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
/// The sign of all further points.
const FURTHER: char = '*';
/// The sign of a start that reaches none.
const NONE: char = '?';
/// The sign of a start that is no state of the model.
const NO_STATE: char = '.';
/// The sign of a start that was not followed.
const NOT_FOLLOWED: char = ' ';

fn sign<T: Scalar>(outcome: &Outcome<T>) -> char {
    match outcome {
        Outcome::Reached { point, .. } => POINTS.get(*point).map_or(FURTHER, |&sign| char::from(sign)),
        Outcome::NotReached(NotReached::NoState(_)) => NO_STATE,
        Outcome::NotReached(NotReached::NotFollowed) => NOT_FOLLOWED,
        Outcome::NotReached(_) => NONE,
    }
}

impl<T: Scalar> fmt::Display for RegionMap<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = digits(f);
        let Grid { a, b, columns, rows } = self.grid();
        // Every character shows the start in the middle of the cells that it stands for.
        let (wide, high) = (columns.min(MOST_COLUMNS), rows.min(MOST_ROWS));
        let middle = |k: usize, shown: usize, all: usize| (2 * k + 1) * all / (2 * shown);
        for row in (0..high).rev() {
            let cell = |column: usize| self.outcome(middle(column, wide, columns), middle(row, high, rows));
            let line: String = (0..wide).map(|column| cell(column).map_or(NONE, sign)).collect();
            writeln!(f, "{line}")?;
        }
        let range = |(low, high): (T, T)| format!("({}, {})", number(low, digits), number(high, digits));
        writeln!(f, "{columns} x {rows} starts, first parameter in {}, second in {}", range(a), range(b))?;
        let last = self.outcomes().iter().filter_map(Outcome::point).max();
        for point in 0..last.map_or(0, |last| last + 1) {
            let area = self.fraction(point);
            let (fraction, error) = (number(area.fraction, digits), number(area.error, digits));
            let sign = POINTS.get(point).map_or(FURTHER, |&sign| char::from(sign));
            writeln!(f, "{sign}  point {point}: {fraction} +- {error} of the area")?;
        }
        let states = self.outcomes().iter().filter(|outcome| outcome.is_of_a_state());
        let none = states.filter(|outcome| outcome.label().is_none()).count();
        if none > 0 {
            writeln!(f, "{NONE}  no point: {}", count(none, "start"))?;
        }
        let not_followed = self.outcomes().iter().filter(|outcome| !outcome.is_followed()).count();
        let no_state = self.outcomes().iter().filter(|outcome| !outcome.is_of_a_state()).count() - not_followed;
        if no_state > 0 {
            writeln!(f, "{NO_STATE}  no state: {}", count(no_state, "start"))?;
        }
        write!(f, "{} followed twice", count(self.refined(), "start"))?;
        if self.is_complete() { Ok(()) } else { write!(f, "; stopped, {} not followed", count(not_followed, "start")) }
    }
}
