//! The settings of a continuation.
//!
//! Covers [`Continuation`] with its setters and their check. Not here: what it does with them (see `follow` and
//! `switch`).

use crate::Scalar;
use crate::stability::continuation::corrector::Corrector;
use crate::stability::continuation::error::ContinuationError;

/// Default arclength of the first step, for unknowns and parameters of order one.
const FIRST_STEP: f64 = 0.02;
/// Default shortest step: well above the tolerance of solutions.
const SHORTEST_STEP: f64 = 1e-9;
/// Default longest step: ten for a change of order one.
const LONGEST_STEP: f64 = 0.1;
/// Default limit of points.
const MOST_POINTS: usize = 1000;
/// Default tolerance of solutions, and width of brackets of degenerate bifurcations: what rounding in an average over
/// some thousand nodes leaves, with a margin.
const TOLERANCE: f64 = 1e-10;
/// None of these is below that many ulp, which counts in single precision.
const SINGLE_ULPS: f64 = 1e2;
/// Corrections of a point. Newton's method takes three or four from a good guess.
const CORRECTIONS: usize = 12;

/// Pseudo-arclength continuation.
///
/// | setter | meaning | default |
/// |---|---|---|
/// | [`parameter_scale`](Self::parameter_scale) | the change of λ that counts as much as one of 1 in x | 1 |
/// | [`first_step`](Self::first_step) | arclength of the first step | 0.02 |
/// | [`steps`](Self::steps) | shortest and longest step | 1e-9, 0.1 |
/// | [`point_limit`](Self::point_limit) | most points | 1000 |
/// | [`tolerance`](Self::tolerance) | largest abs(f) at a solution | 1e-10 (in `f32` 1e-5) |
/// | [`location`](Self::location) | width to which degenerate bifurcations are bracketed in λ | 1e-10 (in `f32` 1e-5) |
/// | [`downwards`](Self::downwards) | begins towards smaller λ | upwards |
#[derive(Debug, Clone, Copy, PartialEq)]
#[doc(alias = "bifurcation diagram")]
pub struct Continuation<T: Scalar = f64> {
    pub(crate) low: T,
    pub(crate) high: T,
    pub(crate) scale: T,
    pub(crate) first_step: T,
    pub(crate) shortest: T,
    pub(crate) longest: T,
    pub(crate) points: usize,
    pub(crate) tolerance: T,
    pub(crate) location: T,
    pub(crate) upwards: bool,
}

impl<T: Scalar> Continuation<T> {
    /// Continuation for λ from `low` to `high`, with every default.
    #[must_use]
    pub fn new(low: T, high: T) -> Self {
        Self {
            low,
            high,
            scale: T::one(),
            first_step: T::lit(FIRST_STEP),
            shortest: T::lit(SHORTEST_STEP).max(T::lit(SINGLE_ULPS) * T::EPSILON),
            longest: T::lit(LONGEST_STEP),
            points: MOST_POINTS,
            tolerance: T::lit(TOLERANCE).max(T::lit(SINGLE_ULPS) * T::EPSILON),
            location: T::lit(TOLERANCE).max(T::lit(SINGLE_ULPS) * T::EPSILON),
            upwards: true,
        }
    }

    /// A change of λ by `scale` counts as much as one of 1 in x.
    #[must_use]
    pub fn parameter_scale(mut self, scale: T) -> Self {
        self.scale = scale;
        self
    }

    /// Begins with a step of that arclength.
    #[must_use]
    pub fn first_step(mut self, step: T) -> Self {
        self.first_step = step;
        self
    }

    /// Takes steps from `shortest` to `longest`.
    #[must_use]
    pub fn steps(mut self, shortest: T, longest: T) -> Self {
        (self.shortest, self.longest) = (shortest, longest);
        self
    }

    /// Ends after that many points.
    #[must_use]
    pub fn point_limit(mut self, points: usize) -> Self {
        self.points = points;
        self
    }

    /// Counts x as a solution where no |f| exceeds `tolerance`.
    #[must_use]
    pub fn tolerance(mut self, tolerance: T) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Brackets degenerate bifurcations to that width in λ, and tells bifurcations apart that are farther from each
    /// other. All others are solutions of equations of their own, as exact as the system is.
    #[must_use]
    pub fn location(mut self, width: T) -> Self {
        self.location = width;
        self
    }

    /// Begins towards smaller λ.
    #[must_use]
    pub fn downwards(mut self) -> Self {
        self.upwards = false;
        self
    }

    pub(crate) fn corrector(&self) -> Corrector<T> {
        Corrector { scale: self.scale, tolerance: self.tolerance, iterations: CORRECTIONS }
    }

    /// Whether every setting is in its range and a start of `found` unknowns fits the system's `expected`.
    pub(crate) fn check<E>(&self, expected: usize, found: usize) -> Result<(), ContinuationError<E>> {
        let settings = [
            ("the upper bound less the lower", self.high - self.low),
            ("the parameter's scale", self.scale),
            ("the first step", self.first_step),
            ("the shortest step", self.shortest),
            ("the longest step", self.longest),
            ("the tolerance", self.tolerance),
            ("the location width", self.location),
        ];
        for (name, value) in settings {
            if !(value > T::zero() && value.is_finite()) {
                return Err(ContinuationError::Setting { name, value: value.as_f64() });
            }
        }
        if expected == found { Ok(()) } else { Err(ContinuationError::Dimension { expected, found }) }
    }
}
