//! The maximum of a function of one variable in an interval: a scan that proves a bracket, then Brent's method.
//!
//! Covers [`maximum`], what it finds, and why it may find nothing. Not here: brackets of a change of sign (see
//! [`crate::numerics::bracket`]).
//!
//! R. P. Brent, Algorithms for Minimization without Derivatives (1973), chapter 5: parabolas through the last three
//! points, golden sections where they do not serve.

use std::fmt;

use crate::Scalar;
use crate::numerics::constants::GOLDEN_RATIO;

/// A maximum inside an interval.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Maximum<T = f64> {
    /// Where it is.
    pub at: T,
    /// The value there.
    pub value: T,
    /// Points on both sides with no larger values: a continuous function has a local maximum between them.
    pub bracket: (T, T),
    /// How often the function was evaluated.
    pub evaluations: usize,
}

/// An end of an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum End {
    /// The lower one.
    Low,
    /// The upper one.
    High,
}

/// "lower" or "upper".
impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Low => "lower",
            Self::High => "upper",
        })
    }
}

/// Why no maximum inside an interval could be given.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OptimumError<E, T: Scalar = f64> {
    /// The interval or the tolerance is unusable.
    #[error(
        "the interval must be finite and increasing and the tolerance positive, got ({low}, {high}) and {tolerance}"
    )]
    Interval {
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
        /// The tolerance.
        tolerance: f64,
    },
    /// The largest value is at an end of the interval.
    #[error("the largest value, {value:e}, is at the {end} end of the interval, at {at:e}")]
    AtEnd {
        /// Which end.
        end: End,
        /// Where that is.
        at: T,
        /// The value there.
        value: T,
    },
    /// There are several local maxima, or a plateau.
    #[error("the function is not unimodal on the scan: local maxima at {peaks:?}")]
    NotUnimodal {
        /// Where the scan found them, both ends included.
        peaks: Vec<T>,
    },
    /// A value is NaN.
    #[error("the function is not a number at {at:e}")]
    NotANumber {
        /// Where.
        at: T,
    },
    /// The function failed.
    #[error("the function failed at {at:e}: {source}")]
    Function {
        /// Where.
        at: T,
        /// Why.
        source: E,
    },
}

/// Points of the scan, ends included: a peak of a sixteenth of the interval is seen.
const SCAN: usize = 17;
/// Points are not placed nearer to each other than so many ulp, whatever the tolerance.
const PEAK_ULPS: f64 = 2.0;
/// Steps of Brent's method. Golden sections alone narrow a bracket by 1e-16 in 77.
const MOST_STEPS: usize = 200;

/// The maximum of a unimodal function inside (`low`, `high`), its place to within `tolerance`.
///
/// The interval is first scanned on 17 equidistant points: exactly one of them must be larger than its neighbours, and
/// lie inside. Narrower peaks than the scan sees are not found. The place of a smooth maximum is known to no better
/// than the square root of the function's own precision, whatever the tolerance.
///
/// ```
/// use contrastive_dynamics::stability::{End, OptimumError, maximum};
/// let smooth = |x: f64| Ok::<_, std::convert::Infallible>(x * (-x).exp());
/// let peak = maximum(smooth, (0.0, 5.0), 1e-7)?;
/// assert!((peak.at - 1.0).abs() < 1e-7);
/// assert!(peak.bracket.0 < peak.at && peak.at < peak.bracket.1);
/// assert!(matches!(maximum(smooth, (2.0, 5.0), 1e-7), Err(OptimumError::AtEnd { end: End::Low, .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`OptimumError::Interval`]; [`OptimumError::AtEnd`] if the scan is monotone; [`OptimumError::NotUnimodal`] if it has
/// several local maxima, counted at the ends too, or two equal neighbours at the top; [`OptimumError::NotANumber`];
/// [`OptimumError::Function`] with the function's own error.
pub fn maximum<T: Scalar, E>(
    mut f: impl FnMut(T) -> Result<T, E>,
    (low, high): (T, T),
    tolerance: T,
) -> Result<Maximum<T>, OptimumError<E, T>> {
    if !(low < high && low.is_finite() && high.is_finite() && tolerance > T::zero()) {
        let [low, high, tolerance] = [low, high, tolerance].map(T::as_f64);
        return Err(OptimumError::Interval { low, high, tolerance });
    }
    let mut evaluations = 0;
    let mut evaluate = |x: T| {
        evaluations += 1;
        let value = f(x).map_err(|source| OptimumError::Function { at: x, source })?;
        if value.partial_cmp(&value).is_some() { Ok(value) } else { Err(OptimumError::NotANumber { at: x }) }
    };
    let last = SCAN - 1;
    let place = |k: usize| if k == last { high } else { low + (high - low) * (T::of_usize(k) / T::of_usize(last)) };
    let mut scan = Vec::with_capacity(SCAN);
    for k in 0..SCAN {
        scan.push((place(k), evaluate(place(k))?));
    }
    let not_below = |k: usize, other: Option<&(T, T)>| other.is_none_or(|other| scan[k].1 >= other.1);
    let peaks: Vec<usize> = (0..SCAN)
        .filter(|&k| not_below(k, k.checked_sub(1).map(|j| &scan[j])) && not_below(k, scan.get(k + 1)))
        .collect();
    let [peak] = peaks[..] else {
        return Err(OptimumError::NotUnimodal { peaks: peaks.into_iter().map(|k| scan[k].0).collect() });
    };
    if peak == 0 || peak == last {
        let end = if peak == 0 { End::Low } else { End::High };
        return Err(OptimumError::AtEnd { end, at: scan[peak].0, value: scan[peak].1 });
    }
    let (bracket, (at, value)) = brent(&mut evaluate, [scan[peak - 1], scan[peak], scan[peak + 1]], tolerance)?;
    Ok(Maximum { at, value, bracket, evaluations })
}

/// Narrows a < x < b with f(x) > f(a), f(b) until x is within the tolerance of both.
fn brent<T: Scalar, E>(
    f: &mut impl FnMut(T) -> Result<T, OptimumError<E, T>>,
    [first, middle, last]: [(T, T); 3],
    tolerance: T,
) -> Result<((T, T), (T, T)), OptimumError<E, T>> {
    let golden = T::lit(1.0 - GOLDEN_RATIO);
    let (mut a, mut b) = (first.0, last.0);
    // The best point, the second best, and the one before that.
    let (mut x, mut w, mut v) = if first.1 > last.1 { (middle, first, last) } else { (middle, last, first) };
    let (mut step, mut before) = (b - a, b - a);
    let half = T::lit(0.5);
    for _ in 0..MOST_STEPS {
        let close = half * tolerance + T::lit(PEAK_ULPS) * T::EPSILON * x.0.abs();
        if (x.0 - a).max(b - x.0) <= close + close {
            break;
        }
        // The top of the parabola through the three points, as a step from x of p/q.
        let r = (x.0 - w.0) * (x.1 - v.1);
        let mut q = (x.0 - v.0) * (x.1 - w.1);
        let mut p = (x.0 - v.0) * q - (x.0 - w.0) * r;
        q = T::lit(2.0) * (q - r);
        if q > T::zero() {
            p = -p;
        } else {
            q = -q;
        }
        let inside = q != T::zero() && p > q * (a - x.0) && p < q * (b - x.0);
        if inside && p.abs() < (half * q * before).abs() {
            before = step;
            step = p / q;
            // Not within the tolerance of the ends: they would not move.
            let next = x.0 + step;
            if next - a < close + close || b - next < close + close {
                step = if x.0 < half * (a + b) { close } else { -close };
            }
        } else {
            before = if x.0 < half * (a + b) { b - x.0 } else { a - x.0 };
            step = golden * before;
        }
        if step.abs() < close {
            step = if step > T::zero() { close } else { -close };
        }
        let u = (x.0 + step, f(x.0 + step)?);
        if u.1 >= x.1 {
            if u.0 < x.0 {
                b = x.0;
            } else {
                a = x.0;
            }
            (v, w, x) = (w, x, u);
        } else {
            if u.0 < x.0 {
                a = u.0;
            } else {
                b = u.0;
            }
            if u.1 >= w.1 || w.0 == x.0 {
                (v, w) = (w, u);
            } else if u.1 >= v.1 || v.0 == x.0 || v.0 == w.0 {
                v = u;
            }
        }
    }
    Ok(((a, b), x))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn ok(f: impl Fn(f64) -> f64) -> impl Fn(f64) -> Result<f64, Infallible> {
        move |x| Ok(f(x))
    }

    #[test]
    fn maxima_are_where_calculus_puts_them() {
        let cases: [(fn(f64) -> f64, (f64, f64), f64); 5] = [
            (|x| x * (-x).exp(), (0.0, 5.0), 1.0),
            (|x| -(x - 0.3).powi(2), (-1.0, 1.0), 0.3),
            (|x| -(x - 0.3).abs(), (-1.0, 1.0), 0.3),
            (f64::sin, (0.0, 3.0), std::f64::consts::FRAC_PI_2),
            (|x| -(x - 0.7).powi(4), (0.0, 1.0), 0.7),
        ];
        for (f, interval, want) in cases {
            let peak = maximum(ok(f), interval, 1e-8).unwrap();
            // A quartic is flat to rounding within 1e-4.
            let flat = f(want) - f(want + 1e-6) < 1e-20;
            assert!((peak.at - want).abs() < if flat { 3e-4 } else { 3e-8 }, "{want}: {peak:?}");
            assert!(peak.bracket.0 <= peak.at && peak.at <= peak.bracket.1 && peak.evaluations < 80, "{peak:?}");
            assert!(f(peak.bracket.0) <= peak.value && f(peak.bracket.1) <= peak.value);
        }
        // Parabolas find the top of a parabola at once.
        assert!(maximum(ok(|x| -(x - 0.3).powi(2)), (-1.0, 1.0), 1e-8).unwrap().evaluations < 25);
    }

    #[test]
    fn what_has_no_maximum_inside_says_why() {
        let rising = maximum(ok(|x| x), (0.0, 1.0), 1e-6);
        assert!(matches!(rising, Err(OptimumError::AtEnd { end: End::High, at: 1.0, value: 1.0 })));
        assert!(matches!(
            maximum(ok(|x| -x), (0.0, 1.0), 1e-6),
            Err(OptimumError::AtEnd { end: End::Low, at: 0.0, .. })
        ));
        let Err(OptimumError::NotUnimodal { peaks }) = maximum(ok(|x: f64| (3.0 * x).cos()), (0.0, 3.0), 1e-6) else {
            panic!()
        };
        assert_eq!(peaks.len(), 2);
        // A valley has its maxima at both ends.
        assert!(matches!(maximum(ok(|x| x * x), (-1.0, 1.0), 1e-6), Err(OptimumError::NotUnimodal { .. })));
        assert!(matches!(maximum(ok(|_| 1.0), (-1.0, 1.0), 1e-6), Err(OptimumError::NotUnimodal { .. })));
        assert!(matches!(maximum(ok(|x| (0.5 - x).sqrt()), (0.0, 1.0), 1e-6), Err(OptimumError::NotANumber { .. })));
        let failing = maximum(|x: f64| if x > 0.4 { Err("beyond") } else { Ok(x) }, (0.0, 1.0), 1e-6);
        assert!(matches!(failing, Err(OptimumError::Function { at, source: "beyond" }) if at > 0.4));
        for (low, high, tolerance) in
            [(1.0, 0.0, 1e-6), (0.0, f64::INFINITY, 1e-6), (0.0, 1.0, 0.0), (f64::NAN, 1.0, 1e-6)]
        {
            assert!(matches!(maximum(ok(|x| x), (low, high), tolerance), Err(OptimumError::Interval { .. })));
        }
    }
}
