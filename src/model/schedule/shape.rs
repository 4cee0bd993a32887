//! One number as a function of time.

use std::fmt;
use std::sync::Arc;

use super::ScheduleError;

/// A number as a function of time t = steps/N ≥ 0.
///
/// | constructor | value at t |
/// |---|---|
/// | [`constant`](Self::constant) | always the same |
/// | [`steps`](Self::steps) | constant between given times |
/// | [`linear`](Self::linear) | straight lines between given points |
/// | [`polynomial`](Self::polynomial) | b + (a − b)(1 − t/T)^k up to T, then b |
/// | [`cosine`](Self::cosine) | b + (a − b)(1 + cos πt/T)/2 up to T, then b |
/// | [`exponential`](Self::exponential) | a e^(−rt) |
/// | [`power_law`](Self::power_law) | a (1 + t/s)^(−k) |
/// | [`function`](Self::function) | whatever you like |
///
/// [`warm_up`](Self::warm_up) lets any of them begin with a straight line from zero.
///
/// ```
/// use contrastive_dynamics::model::Schedule;
/// let schedule = Schedule::cosine(0.3, 0.0, 10.0)?.warm_up(2.0)?;
/// assert_eq!([0.0, 1.0, 2.0, 12.0, 50.0].map(|t| schedule.at(t)), [0.0, 0.15, 0.3, 0.0, 0.0]);
/// assert!((schedule.at(7.0) - 0.15).abs() < 1e-15);
/// # Ok::<(), contrastive_dynamics::model::ScheduleError>(())
/// ```
///
/// Solvers and simulators take schedules by their method `schedules` ([`Schedules`](super::Schedules)); the model has the value at rest.
///
/// Jumps and kinks are met exactly by solvers: a step ends there. A value that jumps is the new one from that time on.
#[derive(Clone)]
pub struct Schedule {
    shape: Shape,
    /// How long it rises from zero first.
    warm_up: f64,
}

#[derive(Clone)]
enum Shape {
    Constant(f64),
    /// The first value, and (time, value) from there on.
    Steps(f64, Vec<(f64, f64)>),
    /// (time, value).
    Linear(Vec<(f64, f64)>),
    Polynomial {
        from: f64,
        to: f64,
        duration: f64,
        power: f64,
    },
    Cosine {
        from: f64,
        to: f64,
        duration: f64,
    },
    Exponential {
        from: f64,
        rate: f64,
    },
    PowerLaw {
        from: f64,
        scale: f64,
        power: f64,
    },
    Function {
        function: Arc<dyn Fn(f64) -> f64 + Send + Sync>,
        breakpoints: Vec<f64>,
    },
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Schedule");
        match &self.shape {
            Shape::Constant(value) => out.field("constant", value),
            Shape::Steps(first, steps) => out.field("first", first).field("steps", steps),
            Shape::Linear(points) => out.field("linear", points),
            Shape::Polynomial { from, to, duration, power } => {
                out.field("polynomial", &power).field("from", from).field("to", to).field("duration", duration)
            }
            Shape::Cosine { from, to, duration } => out.field("cosine", &duration).field("from", from).field("to", to),
            Shape::Exponential { from, rate } => out.field("exponential", &rate).field("from", from),
            Shape::PowerLaw { from, scale, power } => {
                out.field("power_law", &power).field("from", from).field("scale", scale)
            }
            Shape::Function { breakpoints, .. } => out.field("function", &"..").field("breakpoints", breakpoints),
        };
        out.field("warm_up", &self.warm_up).finish()
    }
}

impl From<Shape> for Schedule {
    fn from(shape: Shape) -> Self {
        Self { shape, warm_up: 0.0 }
    }
}

impl Schedule {
    /// Always that value.
    ///
    /// # Errors
    /// [`ScheduleError::Setting`] unless it is finite.
    pub fn constant(value: f64) -> Result<Self, ScheduleError> {
        Ok(Shape::Constant(finite("value", value)?).into())
    }

    /// `first` up to the first time of `steps`, then the value that stands beside the last time that has passed.
    ///
    /// # Errors
    /// [`ScheduleError::Setting`] for a value that is not finite; [`ScheduleError::Times`] unless times are positive and increase.
    pub fn steps(first: f64, steps: impl IntoIterator<Item = (f64, f64)>) -> Result<Self, ScheduleError> {
        finite("value", first)?;
        Ok(Shape::Steps(first, points(steps, f64::MIN_POSITIVE)?).into())
    }

    /// Straight lines between `points` (time, value), constant before the first and after the last.
    ///
    /// # Errors
    /// [`ScheduleError::Setting`] for a value that is not finite; [`ScheduleError::Times`] unless there is a point, times are at
    /// least 0 and increase.
    pub fn linear(points_given: impl IntoIterator<Item = (f64, f64)>) -> Result<Self, ScheduleError> {
        let points = points(points_given, 0.0)?;
        if points.is_empty() {
            return Err(ScheduleError::Times { time: f64::NAN });
        }
        Ok(Shape::Linear(points).into())
    }

    /// From `from` to `to` as to + (from − to)(1 − t/duration)^power.
    ///
    /// # Errors
    /// [`ScheduleError::Setting`] unless both ends are finite, duration and power positive and finite.
    pub fn polynomial(from: f64, to: f64, duration: f64, power: f64) -> Result<Self, ScheduleError> {
        let (from, to) = (finite("value", from)?, finite("value", to)?);
        let (duration, power) = (positive("duration", duration)?, positive("power", power)?);
        Ok(Shape::Polynomial { from, to, duration, power }.into())
    }

    /// From `from` to `to` as half a period of a cosine.
    ///
    /// # Errors
    /// [`ScheduleError::Setting`] unless both ends are finite, the duration positive and finite.
    pub fn cosine(from: f64, to: f64, duration: f64) -> Result<Self, ScheduleError> {
        let (from, to) = (finite("value", from)?, finite("value", to)?);
        Ok(Shape::Cosine { from, to, duration: positive("duration", duration)? }.into())
    }

    /// from · e^(−rate·t).
    ///
    /// # Errors
    /// [`ScheduleError::Setting`] unless the value is finite, the rate positive and finite.
    pub fn exponential(from: f64, rate: f64) -> Result<Self, ScheduleError> {
        Ok(Shape::Exponential { from: finite("value", from)?, rate: positive("rate", rate)? }.into())
    }

    /// from · (1 + t/scale)^(−power): with power 1 the decay of stochastic approximation.
    ///
    /// # Errors
    /// [`ScheduleError::Setting`] unless the value is finite, scale and power positive and finite.
    pub fn power_law(from: f64, scale: f64, power: f64) -> Result<Self, ScheduleError> {
        let (scale, power) = (positive("scale", scale)?, positive("power", power)?);
        Ok(Shape::PowerLaw { from: finite("value", from)?, scale, power }.into())
    }

    /// That function of time. It must be smooth but for the times given to [`breakpoints`](Self::breakpoints). What it
    /// answers is checked where it is used: a value out of range ends a run with an error that names the time.
    ///
    /// ```
    /// use contrastive_dynamics::model::Schedule;
    /// let saw = Schedule::function(|t| 1.0 - 0.5 * t.fract()).breakpoints([1.0, 2.0, 3.0])?;
    /// assert_eq!([0.5, 1.0].map(|t| saw.at(t)), [0.75, 1.0]);
    /// # Ok::<(), contrastive_dynamics::model::ScheduleError>(())
    /// ```
    #[must_use]
    pub fn function(function: impl Fn(f64) -> f64 + Send + Sync + 'static) -> Self {
        Shape::Function { function: Arc::new(function), breakpoints: Vec::new() }.into()
    }

    /// Times at which a [`function`](Self::function) jumps or has a kink, of which others know on their own.
    ///
    /// # Errors
    /// [`ScheduleError::Times`] unless they are positive and increase.
    pub fn breakpoints(mut self, times: impl IntoIterator<Item = f64>) -> Result<Self, ScheduleError> {
        let times = points(times.into_iter().map(|time| (time, 0.0)), f64::MIN_POSITIVE)?;
        if let Shape::Function { breakpoints, .. } = &mut self.shape {
            *breakpoints = times.into_iter().map(|(time, _)| time).collect();
        }
        Ok(self)
    }

    /// Rises from zero to the first value within `duration`, and then follows this schedule, so much later.
    ///
    /// # Errors
    /// [`ScheduleError::Setting`] unless the duration is positive and finite.
    #[doc(alias = "warmup")]
    pub fn warm_up(mut self, duration: f64) -> Result<Self, ScheduleError> {
        self.warm_up = positive("duration", duration)?;
        Ok(self)
    }

    /// The value at time t ≥ 0.
    #[must_use]
    pub fn at(&self, t: f64) -> f64 {
        if t < self.warm_up {
            return self.shape.at(0.0) * (t / self.warm_up);
        }
        self.shape.at(self.local(t))
    }

    /// The time of the shape itself, on the right side of its breakpoints whatever rounding does.
    fn local(&self, t: f64) -> f64 {
        let mut local = t - self.warm_up;
        if self.warm_up > 0.0 {
            for time in self.shape.times() {
                if t < time + self.warm_up {
                    return local.min(time.next_down());
                }
                local = local.max(time);
            }
        }
        local
    }

    /// The first time after t at which it jumps or has a kink.
    pub(super) fn next_break(&self, t: f64) -> Option<f64> {
        if t < self.warm_up {
            return Some(self.warm_up);
        }
        let passed = |time: f64| time + self.warm_up <= t;
        let next = match &self.shape {
            Shape::Steps(_, points) | Shape::Linear(points) => {
                points.get(points.partition_point(|&(time, _)| passed(time))).map(|&(time, _)| time)
            }
            Shape::Function { breakpoints, .. } => {
                breakpoints.get(breakpoints.partition_point(|&time| passed(time))).copied()
            }
            shape => shape.times().find(|&time| !passed(time)),
        };
        next.map(|time| time + self.warm_up)
    }
}

impl Shape {
    /// Where it jumps or has a kink.
    fn times(&self) -> impl Iterator<Item = f64> {
        let (points, times, end): (&[(f64, f64)], &[f64], Option<f64>) = match self {
            Self::Constant(_) | Self::Exponential { .. } | Self::PowerLaw { .. } => (&[], &[], None),
            Self::Steps(_, points) | Self::Linear(points) => (points, &[], None),
            Self::Polynomial { duration, .. } | Self::Cosine { duration, .. } => (&[], &[], Some(*duration)),
            Self::Function { breakpoints, .. } => (&[], breakpoints, None),
        };
        points.iter().map(|&(time, _)| time).chain(times.iter().copied()).chain(end)
    }

    fn at(&self, t: f64) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Steps(first, steps) => {
                let passed = steps.partition_point(|&(time, _)| time <= t);
                if passed == 0 { *first } else { steps[passed - 1].1 }
            }
            Self::Linear(points) => {
                let passed = points.partition_point(|&(time, _)| time <= t);
                match (passed.checked_sub(1).map(|before| points[before]), points.get(passed)) {
                    (None, Some(&(_, value))) | (Some((_, value)), None) => value,
                    (Some((t0, x)), Some(&(t1, y))) => {
                        let part = (t - t0) / (t1 - t0);
                        x * (1.0 - part) + y * part
                    }
                    (None, None) => f64::NAN,
                }
            }
            &Self::Polynomial { from, to, duration, power } => {
                if t < duration {
                    to + (from - to) * libm::pow(1.0 - t / duration, power)
                } else {
                    to
                }
            }
            &Self::Cosine { from, to, duration } => {
                let part = |t: f64| 0.5 * (1.0 + libm::cos(std::f64::consts::PI * t / duration));
                if t < duration { to + (from - to) * part(t) } else { to }
            }
            &Self::Exponential { from, rate } => from * libm::exp(-rate * t),
            &Self::PowerLaw { from, scale, power } => from * libm::pow(1.0 + t / scale, -power),
            Self::Function { function, .. } => function(t),
        }
    }
}

fn finite(name: &'static str, value: f64) -> Result<f64, ScheduleError> {
    if value.is_finite() { Ok(value) } else { Err(ScheduleError::Setting { name, allowed: "finite", value }) }
}

fn positive(name: &'static str, value: f64) -> Result<f64, ScheduleError> {
    if value > 0.0 && value.is_finite() {
        return Ok(value);
    }
    Err(ScheduleError::Setting { name, allowed: "positive and finite", value })
}

/// Times from `least` on that increase, with values that are finite.
fn points(points: impl IntoIterator<Item = (f64, f64)>, least: f64) -> Result<Vec<(f64, f64)>, ScheduleError> {
    let points: Vec<_> = points.into_iter().collect();
    let mut before = f64::NEG_INFINITY;
    for &(time, value) in &points {
        if !(time >= least && time > before && time.is_finite()) {
            return Err(ScheduleError::Times { time });
        }
        finite("value", value)?;
        before = time;
    }
    Ok(points)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_formulas() {
        let check = |schedule: Schedule, expected: [(f64, f64); 4]| {
            for (t, value) in expected {
                assert!((schedule.at(t) - value).abs() < 1e-15, "{schedule:?} {t}: {}", schedule.at(t));
            }
        };
        check(Schedule::constant(0.3).unwrap(), [(0.0, 0.3), (1.0, 0.3), (1e9, 0.3), (2.0, 0.3)]);
        let steps = Schedule::steps(0.3, [(1.0, 0.2), (2.0, 0.5)]).unwrap();
        check(steps, [(0.0, 0.3), (1.0_f64.next_down(), 0.3), (1.0, 0.2), (2.0, 0.5)]);
        let linear = Schedule::linear([(1.0, 0.2), (3.0, 0.6)]).unwrap();
        check(linear, [(0.0, 0.2), (1.5, 0.3), (3.0, 0.6), (9.0, 0.6)]);
        let polynomial = Schedule::polynomial(0.5, 0.1, 4.0, 2.0).unwrap();
        check(polynomial, [(0.0, 0.5), (2.0, 0.2), (4.0, 0.1), (9.0, 0.1)]);
        let cosine = Schedule::cosine(0.5, 0.1, 4.0).unwrap();
        check(cosine, [(0.0, 0.5), (1.0, 0.3 + 0.2 * 0.5_f64.sqrt()), (2.0, 0.3), (5.0, 0.1)]);
        let exponential = Schedule::exponential(0.5, 2.0).unwrap();
        check(exponential, [(0.0, 0.5), (1.0, 0.5 * (-2.0_f64).exp()), (2.0, 0.5 * (-4.0_f64).exp()), (1e4, 0.0)]);
        let law = Schedule::power_law(0.5, 2.0, 1.0).unwrap();
        check(law.clone(), [(0.0, 0.5), (2.0, 0.25), (6.0, 0.125), (1e300, 0.0)]);
        check(law.warm_up(1.0).unwrap(), [(0.0, 0.0), (0.5, 0.25), (1.0, 0.5), (3.0, 0.25)]);
    }

    #[test]
    fn jumps_and_kinks_are_known() {
        let all = |schedule: &Schedule| {
            let (mut t, mut found) = (0.0, Vec::new());
            while let Some(next) = schedule.next_break(t) {
                found.push(next);
                t = next;
            }
            found
        };
        assert!(all(&Schedule::exponential(1.0, 1.0).unwrap()).is_empty());
        assert_eq!(all(&Schedule::cosine(1.0, 0.0, 3.0).unwrap().warm_up(1.0).unwrap()), [1.0, 4.0]);
        assert_eq!(all(&Schedule::steps(1.0, [(1.0, 2.0), (2.0, 1.0)]).unwrap()), [1.0, 2.0]);
        assert_eq!(all(&Schedule::linear([(0.0, 2.0), (2.0, 1.0)]).unwrap()), [2.0]);
        assert_eq!(all(&Schedule::function(f64::sin).breakpoints([0.5]).unwrap()), [0.5]);
    }

    #[test]
    fn settings_out_of_range_are_rejected() {
        for bad in [f64::NAN, f64::INFINITY] {
            assert!(Schedule::constant(bad).is_err() && Schedule::steps(bad, []).is_err());
            assert!(Schedule::linear([(0.0, bad)]).is_err() && Schedule::linear([(bad, 0.0)]).is_err());
            assert!(Schedule::cosine(bad, 0.0, 1.0).is_err() && Schedule::exponential(bad, 1.0).is_err());
            assert!(Schedule::polynomial(1.0, bad, 1.0, 1.0).is_err());
        }
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Schedule::cosine(1.0, 0.0, bad).is_err() && Schedule::exponential(1.0, bad).is_err());
            assert!(Schedule::polynomial(1.0, 0.0, bad, 1.0).is_err());
            assert!(Schedule::polynomial(1.0, 0.0, 1.0, bad).is_err());
            assert!(Schedule::power_law(1.0, bad, 1.0).is_err() && Schedule::power_law(1.0, 1.0, bad).is_err());
            assert!(Schedule::constant(1.0).unwrap().warm_up(bad).is_err());
        }
        assert!(Schedule::linear([]).is_err() && Schedule::linear([(-1.0, 0.0)]).is_err());
        assert!(Schedule::steps(1.0, [(0.0, 1.0)]).is_err() && Schedule::steps(1.0, [(1.0, 1.0), (1.0, 2.0)]).is_err());
        assert!(Schedule::function(f64::sin).breakpoints([2.0, 1.0]).is_err());
    }
}
