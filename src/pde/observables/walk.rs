//! Distribution functions that are linear between knots and may jump at them, walked along in the order of x.

/// A point of a distribution function, which is linear between such points and may jump at them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Knot {
    pub(super) x: f64,
    /// P(X < x).
    pub(super) below: f64,
    /// P(X ≤ x).
    pub(super) at: f64,
}

/// A walk over a distribution function in the order of x.
pub(super) struct Walk<'a> {
    knots: &'a [Knot],
    /// The first knot not passed.
    next: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(knots: &'a [Knot]) -> Self {
        Self { knots, next: 0 }
    }

    /// From the knot of that number on, the first that is not below where the walk begins.
    pub(super) fn starting(knots: &'a [Knot], next: usize) -> Self {
        Self { knots, next }
    }

    /// Where the next knot is.
    pub(super) fn peek(&self) -> Option<f64> {
        self.knots.get(self.next).map(|knot| knot.x)
    }

    /// Goes past the knot at x, if there is one.
    pub(super) fn pass(&mut self, x: f64) {
        if self.peek() == Some(x) {
            self.next += 1;
        }
    }

    /// (P(X < x), P(X ≤ x)) at an x that is not below those before.
    pub(super) fn to(&mut self, x: f64) -> (f64, f64) {
        while self.peek().is_some_and(|knot| knot < x) {
            self.next += 1;
        }
        let before = self.next.checked_sub(1).map(|k| self.knots[k]);
        let value = match (before, self.knots.get(self.next)) {
            (_, Some(knot)) if knot.x == x => return (knot.below, knot.at),
            (None, Some(_)) => 0.0,
            (Some(before), Some(knot)) => before.at + (knot.below - before.at) * ((x - before.x) / (knot.x - before.x)),
            (_, None) => 1.0,
        };
        (value, value)
    }
}
