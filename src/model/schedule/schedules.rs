//! Which number of a model follows which schedule.

use super::Schedule;
use crate::Scalar;
use crate::save::Fingerprint;

/// An alias, because derived code would take the reference for one into the data that are read.
type Name = &'static str;

/// Why schedules cannot be used, or a run under them cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum ScheduleError {
    /// A number that makes a schedule is out of range.
    #[error("the {name} of a schedule must be {allowed}, got {value}")]
    Setting {
        /// Which number.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::numerics::stored::name"))]
        name: Name,
        /// What it must be.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::numerics::stored::name"))]
        allowed: Name,
        /// The value given.
        #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::number"))]
        value: f64,
    },
    /// Times are not in order.
    #[error("the times of a schedule must be positive, finite and increasing, and at least one, got {time}")]
    Times {
        /// The offending time; NaN if there is none.
        #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::number"))]
        time: f64,
    },
    /// A schedule leaves the range of its number.
    #[error("the scheduled {name} is {value} at t = {time}, and must be {allowed}")]
    Value {
        /// Which number.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::numerics::stored::name"))]
        name: Name,
        /// The time.
        #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::number"))]
        time: f64,
        /// The value there.
        #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::number"))]
        value: f64,
        /// What it must be.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::numerics::stored::name"))]
        allowed: Name,
    },
    /// The model has no such number.
    #[error("this model has no {name} that could be scheduled: {reason}")]
    Undefined {
        /// Which number.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::numerics::stored::name"))]
        name: Name,
        /// Why.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::numerics::stored::name"))]
        reason: Name,
    },
}

/// A number of a model that can be scheduled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Quantity {
    /// The learning rate τ ≥ 0.
    LearningRate,
    /// The weight decay γ ≥ 0.
    WeightDecay,
    /// The penalty strength λ ≥ 0, of a loss that has one in its [`covariance_form`](crate::model::Loss::covariance_form).
    PenaltyStrength,
    /// The variance σ² ≥ 0 of the noise along the features: the mean of both views.
    FeatureNoiseVariance,
    /// The variance σ² ≥ 0 of the noise in the background: the mean of both views.
    BackgroundNoiseVariance,
    /// The correlation −1 ≤ ρ ≤ 1 between the views of the noise along the features.
    FeatureNoiseCorrelation,
    /// The correlation −1 ≤ ρ ≤ 1 between the views of the noise in the background.
    BackgroundNoiseCorrelation,
}

impl Quantity {
    /// The variance of the noise along the features and in the background.
    pub const NOISE_VARIANCE: [Self; 2] = [Self::FeatureNoiseVariance, Self::BackgroundNoiseVariance];
    /// The correlation of the noise between the views, along the features and in the background.
    pub const NOISE_CORRELATION: [Self; 2] = [Self::FeatureNoiseCorrelation, Self::BackgroundNoiseCorrelation];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::LearningRate => "learning rate",
            Self::WeightDecay => "weight decay",
            Self::PenaltyStrength => "penalty strength",
            Self::FeatureNoiseVariance => "variance of the noise along the features",
            Self::BackgroundNoiseVariance => "variance of the noise in the background",
            Self::FeatureNoiseCorrelation => "correlation of the noise along the features",
            Self::BackgroundNoiseCorrelation => "correlation of the noise in the background",
        }
    }

    fn is_correlation(self) -> bool {
        matches!(self, Self::FeatureNoiseCorrelation | Self::BackgroundNoiseCorrelation)
    }

    /// The least and the largest value.
    pub(crate) fn range(self) -> (f64, f64) {
        if self.is_correlation() { (-1.0, 1.0) } else { (0.0, f64::INFINITY) }
    }

    /// The value, if it is in range.
    fn checked(self, time: f64, value: f64) -> Result<f64, ScheduleError> {
        let (fits, allowed) = if self.is_correlation() {
            (value.abs() <= 1.0, "from -1 to 1")
        } else {
            (value >= 0.0 && value.is_finite(), "at least 0 and finite")
        };
        if fits { Ok(value) } else { Err(ScheduleError::Value { name: self.name(), time, value, allowed }) }
    }
}

/// The numbers of a model that follow schedules; all others stay those of the model.
///
/// Simulators and solvers take them beside the model, which stays what it is: its limit, fixed points and rates are those of
/// its own numbers.
///
/// ```
/// use contrastive_dynamics::prelude::*;
/// let model = Model::builder()
///     .nonlinearity(Tanh)
///     .hidden(Independent::new([Law::two_point(2.25)?])?)
///     .noise(GaussianNoise::correlated(0.3, -0.5)?)
///     .learning_rate(0.3)
///     .build()?;
/// let schedules = Schedules::new()
///     .learning_rate(Schedule::cosine(0.3, 0.03, 4.0)?.warm_up(0.5)?)
///     .weight_decay(Schedule::steps(0.0, [(2.0, 0.5)])?);
/// let start = OrderParameters::from_rows(1, 1, &[0.4], &[0.8])?;
/// let limit = ReducedOde::new(&model)?.solver().schedules(&schedules).solve(&start, 5.0)?;
/// let mut chain = ProjectedChain::builder(&model, 10_000).start(&start).schedules(&schedules).build_seeded(1)?;
/// let sgd = chain.run(5.0, &Output::Stop)?;
/// let end = |run: &Trajectory| run.last().map(|(_, state)| state.q()[(0, 0)]);
/// let (limit, sgd) = (end(&limit).ok_or("empty")?, end(&sgd).ok_or("empty")?);
/// assert!((limit - sgd).abs() < 0.05);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Schedules {
    pub(super) all: Vec<(Quantity, Schedule)>,
}

impl Schedules {
    /// No schedule yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// That number follows that schedule; the methods below are this one by name.
    ///
    /// ```
    /// use contrastive_dynamics::model::{Quantity, Schedule, Schedules};
    /// let schedules = Schedules::new().with(Quantity::WeightDecay, Schedule::exponential(0.5, 1.0)?);
    /// assert!(!schedules.is_empty());
    /// # Ok::<(), contrastive_dynamics::model::ScheduleError>(())
    /// ```
    #[must_use]
    pub fn with(mut self, quantity: Quantity, schedule: Schedule) -> Self {
        self.all.retain(|(other, _)| *other != quantity);
        self.all.push((quantity, schedule));
        self
    }

    /// The learning rate τ ≥ 0.
    #[must_use]
    pub fn learning_rate(self, schedule: Schedule) -> Self {
        self.with(Quantity::LearningRate, schedule)
    }

    /// The weight decay γ ≥ 0.
    #[must_use]
    pub fn weight_decay(self, schedule: Schedule) -> Self {
        self.with(Quantity::WeightDecay, schedule)
    }

    /// The penalty strength λ ≥ 0, of a loss that has one in its [`covariance_form`](crate::model::Loss::covariance_form).
    #[must_use]
    pub fn penalty_strength(self, schedule: Schedule) -> Self {
        self.with(Quantity::PenaltyStrength, schedule)
    }

    /// The variance σ² ≥ 0 of the noise, along the features and in the background: the mean of both views. The model's noise
    /// is scaled, so it must have some.
    #[must_use]
    pub fn noise_variance(self, schedule: Schedule) -> Self {
        self.with(Quantity::FeatureNoiseVariance, schedule.clone()).with(Quantity::BackgroundNoiseVariance, schedule)
    }

    /// The correlation −1 ≤ ρ ≤ 1 of the noise between the views, along the features and in the background. The noise must
    /// be Gaussian.
    #[must_use]
    pub fn noise_correlation(self, schedule: Schedule) -> Self {
        self.with(Quantity::FeatureNoiseCorrelation, schedule.clone())
            .with(Quantity::BackgroundNoiseCorrelation, schedule)
    }

    /// As [`noise_variance`](Self::noise_variance), along the features alone. The noise must be Gaussian.
    #[must_use]
    pub fn feature_noise_variance(self, schedule: Schedule) -> Self {
        self.with(Quantity::FeatureNoiseVariance, schedule)
    }

    /// As [`noise_variance`](Self::noise_variance), in the background alone. The noise must be Gaussian.
    #[must_use]
    pub fn background_noise_variance(self, schedule: Schedule) -> Self {
        self.with(Quantity::BackgroundNoiseVariance, schedule)
    }

    /// As [`noise_correlation`](Self::noise_correlation), along the features alone.
    #[must_use]
    pub fn feature_noise_correlation(self, schedule: Schedule) -> Self {
        self.with(Quantity::FeatureNoiseCorrelation, schedule)
    }

    /// As [`noise_correlation`](Self::noise_correlation), in the background alone.
    #[must_use]
    pub fn background_noise_correlation(self, schedule: Schedule) -> Self {
        self.with(Quantity::BackgroundNoiseCorrelation, schedule)
    }

    /// Whether every number is the model's.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The first time after t at which a schedule jumps or has a kink.
    #[must_use]
    pub fn next_breakpoint(&self, t: f64) -> Option<f64> {
        self.all.iter().filter_map(|(_, schedule)| schedule.next_break(t)).reduce(f64::min)
    }

    /// The value of that number at time t, at a jump after it; `None` if it is not scheduled. Whether it is in range is not looked at.
    #[must_use]
    pub fn value_at(&self, quantity: Quantity, t: f64) -> Option<f64> {
        let schedule = self.all.iter().find(|(other, _)| *other == quantity);
        schedule.map(|(_, schedule)| schedule.at(t))
    }

    /// The time t of an interval up to the next breakpoint after `start`, whose end counts as before the breakpoint. Breakpoints are those
    /// of the precision in which time is kept.
    pub(crate) fn within<T: Scalar>(&self, start: T, t: T) -> f64 {
        let (passed, next) = self.around(start);
        t.as_f64().max(passed).min(next.next_down())
    }

    /// The last breakpoint that rounds to t, or 0, and the first that rounds to a later time, or infinity.
    pub(super) fn around<T: Scalar>(&self, t: T) -> (f64, f64) {
        let (mut passed, mut at) = (0.0, t.as_f64() * (1.0 - 2.0 * T::EPSILON.as_f64()));
        while let Some(next) = self.next_breakpoint(at) {
            if T::lit(next) > t {
                return (passed, next);
            }
            (passed, at) = (next, next);
        }
        (passed, f64::INFINITY)
    }

    /// Whether that number is scheduled.
    pub(crate) fn contains(&self, quantity: Quantity) -> bool {
        self.all.iter().any(|(other, _)| *other == quantity)
    }

    /// The value of that number at time t, if it is scheduled.
    pub(super) fn value(&self, quantity: Quantity, t: f64) -> Result<Option<f64>, ScheduleError> {
        self.value_at(quantity, t).map(|value| quantity.checked(t, value)).transpose()
    }

    /// `work` with these schedules, by the values they take; without any, `work` itself.
    pub(crate) fn fingerprint(&self, work: Fingerprint) -> Fingerprint {
        self.all.iter().fold(work, |work, (quantity, schedule)| {
            let times = (0..FINGERPRINT_TIMES).map(|k| 1.25_f64.powi(k - 20));
            work.text(quantity.name()).numbers(std::iter::once(0.0).chain(times).map(|t| schedule.at(t)))
        })
    }
}

/// So many times at which a schedule is asked for what it is, from a hundredth to a million.
const FINGERPRINT_TIMES: i32 = 84;
