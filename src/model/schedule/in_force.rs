//! The numbers of a model in force at a time.

use super::schedules::Quantity;
use super::{ScheduleError, Schedules};
use crate::Scalar;
use crate::model::{AugmentationNoise, Loss, Spec, ViewCovariance};

/// The numbers of a model that schedules can change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct InForce<T> {
    /// τ.
    pub(crate) learning_rate: T,
    /// γ.
    pub(crate) weight_decay: T,
    /// λ, if it is not that of the loss.
    pub(crate) penalty_strength: Option<T>,
    /// K^f.
    pub(crate) feature_noise: ViewCovariance<T>,
    /// K^b.
    pub(crate) background_noise: ViewCovariance<T>,
}

/// What schedules need to know of a model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unscheduled<T> {
    /// Its own numbers.
    pub(crate) numbers: InForce<T>,
    /// Whether its noise is Gaussian.
    pub(crate) gaussian: bool,
    /// Whether its loss has a penalty strength.
    pub(crate) penalised: bool,
    /// 1 − β.
    pub(crate) rest: T,
}

impl<T: Scalar> Unscheduled<T> {
    pub(crate) fn of<M: Spec<Scalar = T>>(model: &M) -> Self {
        let noise = model.noise();
        let numbers = InForce {
            learning_rate: model.learning_rate(),
            weight_decay: model.weight_decay(),
            penalty_strength: None,
            feature_noise: noise.feature_covariance(),
            background_noise: noise.background_covariance(),
        };
        let penalised = model.loss().covariance_form().is_some();
        Self { numbers, gaussian: noise.is_gaussian(), penalised, rest: T::one() - model.momentum() }
    }
}

/// Schedules of one model, and the numbers that they make of its own.
#[derive(Debug, Clone)]
pub(crate) struct Timetable<T> {
    schedules: Schedules,
    model: Unscheduled<T>,
}

impl<T: Scalar> Timetable<T> {
    /// Of that model; `None` if nothing is scheduled. Every schedule is looked at where it starts, jumps or bends, so that those
    /// that are monotone between never leave their range.
    pub(crate) fn new(model: Unscheduled<T>, schedules: &Schedules) -> Result<Option<Self>, ScheduleError> {
        if schedules.is_empty() {
            return Ok(None);
        }
        let base = &model.numbers;
        let undefined = |quantity: Quantity, reason| Err(ScheduleError::Undefined { name: quantity.name(), reason });
        for (quantity, _) in &schedules.all {
            let zero = |k: ViewCovariance<T>| k.to_array().as_flattened().iter().all(|&x| x == T::zero());
            let reason = match quantity {
                Quantity::PenaltyStrength if !model.penalised => "its loss has none",
                Quantity::FeatureNoiseVariance if zero(base.feature_noise) => NO_NOISE,
                Quantity::BackgroundNoiseVariance if zero(base.background_noise) => NO_NOISE,
                Quantity::FeatureNoiseCorrelation | Quantity::BackgroundNoiseCorrelation if !model.gaussian => {
                    "its noise is not Gaussian"
                }
                _ => continue,
            };
            return undefined(*quantity, reason);
        }
        let this = Self { schedules: schedules.clone(), model };
        let mut next = Some(0.0);
        while let Some(t) = next {
            this.at(t)?;
            next = schedules.next_breakpoint(t);
            if let Some(end) = next {
                this.at(end.next_down())?;
            }
        }
        Ok(Some(this))
    }

    /// Whether the penalty strength is scheduled.
    pub(crate) fn schedules_penalty(&self) -> bool {
        self.schedules.contains(Quantity::PenaltyStrength)
    }

    /// The numbers of the model.
    pub(crate) fn base(&self) -> &InForce<T> {
        &self.model.numbers
    }

    /// 1 − β.
    pub(crate) fn rest(&self) -> T {
        self.model.rest
    }

    /// The schedules.
    pub(crate) fn schedules(&self) -> &Schedules {
        &self.schedules
    }

    /// At time t; at a jump, after it.
    pub(crate) fn at(&self, t: f64) -> Result<InForce<T>, ScheduleError> {
        let value = |quantity| Ok(self.schedules.value(quantity, t)?.map(T::lit));
        let base = &self.model.numbers;
        let noise = |k: ViewCovariance<T>, variance: Option<T>, correlation: Option<T>| {
            let k = variance.and_then(|variance| k.with_variance(variance)).unwrap_or(k);
            correlation.and_then(|correlation| k.with_correlation(correlation)).unwrap_or(k)
        };
        let variances = [value(Quantity::FeatureNoiseVariance)?, value(Quantity::BackgroundNoiseVariance)?];
        if !self.model.gaussian && variances[0] != variances[1] {
            let reason = "noise that is not Gaussian has the same in every direction";
            return Err(ScheduleError::Undefined { name: Quantity::FeatureNoiseVariance.name(), reason });
        }
        Ok(InForce {
            learning_rate: value(Quantity::LearningRate)?.unwrap_or(base.learning_rate),
            weight_decay: value(Quantity::WeightDecay)?.unwrap_or(base.weight_decay),
            penalty_strength: value(Quantity::PenaltyStrength)?,
            feature_noise: noise(base.feature_noise, variances[0], value(Quantity::FeatureNoiseCorrelation)?),
            background_noise: noise(base.background_noise, variances[1], value(Quantity::BackgroundNoiseCorrelation)?),
        })
    }

    /// The standard deviation of isotropic noise of these numbers, in units of that of the model.
    pub(crate) fn noise_scale(&self, numbers: &InForce<T>) -> T {
        let variance = |k: ViewCovariance<T>| k.get(0, 0) + k.get(1, 1);
        let base = variance(self.model.numbers.background_noise);
        if base > T::zero() { (variance(numbers.background_noise) / base).sqrt() } else { T::one() }
    }

    /// At a time of the interval up to the next breakpoint after `start`, whose end counts as before the breakpoint. Breakpoints
    /// are those of the precision in which time is kept.
    pub(crate) fn within(&self, start: T, t: T) -> Result<InForce<T>, ScheduleError> {
        self.at(self.schedules.within(start, t))
    }

    /// The first breakpoint after t, rounded.
    pub(crate) fn next_break(&self, t: T) -> Option<T> {
        Some(self.schedules.around(t).1).filter(|next| next.is_finite()).map(T::lit)
    }
}

/// Without any there is nothing to scale.
const NO_NOISE: &str = "it has no such noise, whose scaling that would be";
