//! Brackets: a change between two ends, and the searches that narrow it.
//!
//! Covers brackets of a change of sign with false position and the Illinois rule, roots to rounding, and bisection for
//! what has no size but a label. Not here: maxima (see [`crate::numerics::maximum`]).
//!
//! The Illinois rule halves the weight of an end that stays while the other moves twice, so that both move: M. Dowell
//! and P. Jarratt, BIT 11 (1971) 168, doi:10.1007/BF01934364.

use crate::Scalar;

/// A root is found where its bracket, or the last step, is so many ulp wide: no function tells numbers apart that are nearer.
const ROOT_ULPS: f64 = 4.0;

/// An end of a bracket: where it is, the weight that false position gives it, and what the caller knows there.
#[derive(Debug, Clone)]
pub(crate) struct BracketEnd<T, D> {
    pub(crate) at: T,
    weight: T,
    pub(crate) data: D,
}

impl<T, D> BracketEnd<T, D> {
    /// The end at `at`, where the function is `value`.
    pub(crate) fn new(at: T, value: T, data: D) -> Self {
        Self { at, weight: value, data }
    }
}

/// Which end moved last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Low,
    High,
}

/// Two places at which a function has opposite signs.
#[derive(Debug, Clone)]
pub(crate) struct Bracket<T, D = ()> {
    pub(crate) low: BracketEnd<T, D>,
    pub(crate) high: BracketEnd<T, D>,
    newest: Option<Side>,
}

impl<T: Scalar, D> Bracket<T, D> {
    /// The bracket between two ends of opposite signs.
    pub(crate) fn new(low: BracketEnd<T, D>, high: BracketEnd<T, D>) -> Self {
        Self { low, high, newest: None }
    }

    /// The root of the straight line through both ends, by their weights.
    pub(crate) fn secant(&self) -> T {
        let Self { low, high, .. } = self;
        low.at + (high.at - low.at) * low.weight / (low.weight - high.weight)
    }

    pub(crate) fn middle(&self) -> T {
        T::lit(0.5) * (self.low.at + self.high.at)
    }

    pub(crate) fn width(&self) -> T {
        self.high.at - self.low.at
    }

    /// Whether `x` lies strictly between the ends.
    pub(crate) fn contains(&self, x: T) -> bool {
        x > self.low.at && x < self.high.at
    }

    /// Moves the end of the same sign there. An end that stays while the other moves twice loses half of its weight.
    pub(crate) fn narrow(&mut self, end: BracketEnd<T, D>) {
        let half = T::lit(0.5);
        if (end.weight > T::zero()) == (self.low.weight > T::zero()) {
            if self.newest == Some(Side::Low) {
                self.high.weight *= half;
            }
            (self.low, self.newest) = (end, Some(Side::Low));
        } else {
            if self.newest == Some(Side::High) {
                self.low.weight *= half;
            }
            (self.high, self.newest) = (end, Some(Side::High));
        }
    }
}

/// Steps of a search for a root. False position with the Illinois rule takes about ten to rounding.
const ROOT_STEPS: usize = 200;

/// The root between two places where `f` has opposite signs, to rounding.
pub(crate) fn root<T: Scalar, E>(
    (low, f_low): (T, T),
    (high, f_high): (T, T),
    f: impl Fn(T) -> Result<T, E>,
) -> Result<T, E> {
    let mut bracket = Bracket::new(BracketEnd::new(low, f_low, ()), BracketEnd::new(high, f_high, ()));
    // The place looked at last is an end, the root's estimate, and the base of the next secant.
    bracket.newest = Some(Side::High);
    for _ in 0..ROOT_STEPS {
        let (newest, other) = match bracket.newest {
            Some(Side::Low) => (&bracket.low, &bracket.high),
            _ => (&bracket.high, &bracket.low),
        };
        let before = newest.at;
        let secant = newest.at + (other.at - newest.at) * newest.weight / (newest.weight - other.weight);
        let x = if bracket.contains(secant) { secant } else { halfway(other.at, newest.at) };
        let value = f(x)?;
        if value == T::zero() {
            return Ok(x);
        }
        bracket.narrow(BracketEnd::new(x, value, ()));
        let resolution = T::lit(ROOT_ULPS) * T::EPSILON * x.abs();
        if bracket.width().min((x - before).abs()) <= resolution {
            return Ok(x);
        }
    }
    Ok(if bracket.newest == Some(Side::Low) { bracket.low.at } else { bracket.high.at })
}

/// The middle of two places, without the overflow of their sum.
fn halfway<T: Scalar>(from: T, to: T) -> T {
    from + (to - from) * T::lit(0.5)
}

/// What bisection ends with: both ends, and how often it looked.
#[derive(Debug, Clone)]
pub(crate) struct Bisected<T, D> {
    pub(crate) low: (T, D),
    pub(crate) high: (T, D),
    pub(crate) middle: T,
    pub(crate) looks: usize,
}

/// Narrows the interval between two places that are not `alike` until it is no wider than `tolerance`, or its middle is
/// one of its ends by rounding. A middle that is like neither end becomes the upper one.
pub(crate) fn bisect<T: Scalar, D>(
    mut low: (T, D),
    mut high: (T, D),
    tolerance: T,
    look: impl Fn(T) -> D,
    alike: impl Fn(&D, &D) -> bool,
) -> Bisected<T, D> {
    let mut looks = 0;
    while high.0 - low.0 > tolerance {
        let middle = halfway(low.0, high.0);
        if !(middle > low.0 && middle < high.0) {
            break;
        }
        let found = look(middle);
        looks += 1;
        if alike(&found, &low.1) {
            low = (middle, found);
        } else {
            high = (middle, found);
        }
    }
    Bisected { middle: halfway(low.0, high.0), low, high, looks }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::convert::Infallible;

    #[test]
    fn roots_are_found_to_rounding_in_few_steps() {
        let cases: [(fn(f64) -> f64, f64, f64, f64); 5] = [
            (|x| x * x - 2.0, 0.0, 2.0, std::f64::consts::SQRT_2),
            (f64::cos, 1.0, 3.0, std::f64::consts::FRAC_PI_2),
            (|x| x.powi(9) - 0.5, 0.0, 4.0, 0.5_f64.powf(1.0 / 9.0)),
            (|x| 1.0 - x.exp(), -3.0, 5.0, 0.0),
            (|x| (x - 0.3).cbrt(), 0.0, 1.0, 0.3),
        ];
        for (f, low, high, want) in cases {
            let steps = Cell::new(0);
            let counted = |x: f64| {
                steps.set(steps.get() + 1);
                Ok::<_, Infallible>(f(x))
            };
            let found = root((low, f(low)), (high, f(high)), counted).unwrap();
            assert!((found - want).abs() < 1e-14 * want.abs().max(1.0), "{found} against {want}");
            assert!(steps.get() < 80, "{want}: {} steps", steps.get());
        }
        let failing = root((0.0, -1.0), (1.0, 1.0), |_: f64| Err::<f64, _>("no value"));
        assert_eq!(failing, Err("no value"));
    }

    #[test]
    fn brackets_keep_a_change_of_sign_and_both_ends_move() {
        let f = |x: f64| x.powi(5) - 0.1;
        let mut bracket = Bracket::new(BracketEnd::new(0.0, f(0.0), 0), BracketEnd::new(2.0, f(2.0), 0));
        for k in 1..60 {
            let x = if bracket.contains(bracket.secant()) { bracket.secant() } else { bracket.middle() };
            bracket.narrow(BracketEnd::new(x, f(x), k));
            assert!(f(bracket.low.at) <= 0.0 && f(bracket.high.at) >= 0.0);
        }
        assert!(bracket.width() < 1e-6, "{bracket:?}");
        assert!(bracket.low.data > 0 && bracket.high.data > 0);
    }

    #[test]
    fn bisection_keeps_labels_apart_to_the_tolerance_or_to_rounding() {
        let label = |x: f64| if x < 0.3 { 'a' } else { 'b' };
        let found = bisect((0.0, 'a'), (1.0, 'b'), 1e-6, label, |x, y| x == y);
        assert!(found.low.0 < 0.3 && found.high.0 >= 0.3 && found.high.0 - found.low.0 <= 1e-6);
        assert_eq!((found.low.1, found.high.1, found.looks), ('a', 'b', 20));
        let finest = bisect((0.0, 'a'), (1.0, 'b'), 1e-300, label, |x, y| x == y);
        assert!(finest.low.0 < finest.high.0 && finest.high.0 - finest.low.0 < 1e-16);
    }

    /// A middle that is like neither end is beyond the border of the lower one.
    #[test]
    fn a_third_label_between_two_does_not_take_the_place_of_the_first() {
        let label = |x: f64| {
            if x < 0.3 {
                'a'
            } else if x < 0.6 {
                'b'
            } else {
                'c'
            }
        };
        let found = bisect((0.0, 'a'), (1.0, 'c'), 1e-9, label, |x, y| x == y);
        assert_eq!((found.low.1, found.high.1), ('a', 'b'));
        assert!((found.middle - 0.3).abs() < 1e-9);
    }
}
