//! The numbers of a model at the present step, which schedules may change.

use crate::Scalar;
use crate::model::{InForce, Schedules, Spec, Timetable, Unscheduled, ViewCovariance};
use crate::save::Fingerprint;
use crate::sgd::{SgdError, SgdFailure};

/// The numbers in force, and the schedules that they follow.
#[derive(Debug, Clone)]
pub(in crate::sgd) struct Present<T> {
    pub(in crate::sgd) numbers: InForce<T>,
    /// η².
    background: T,
    /// Standard deviation of the noise, in units of that of the model: for noise that is not Gaussian.
    pub(in crate::sgd) noise_scale: T,
    timetable: Option<Timetable<T>>,
}

impl<T: Scalar> Present<T> {
    pub(in crate::sgd) fn new<M: Spec<Scalar = T>>(model: &M, schedules: &Schedules) -> Result<Self, SgdError<T>> {
        let std = model.background_std();
        let unscheduled = Unscheduled::of(model);
        let timetable = Timetable::new(unscheduled, schedules)?;
        Ok(Self { numbers: unscheduled.numbers, background: std * std, noise_scale: T::one(), timetable })
    }

    /// D = η² 11ᵀ + K^b.
    pub(in crate::sgd) fn views(&self) -> ViewCovariance<T> {
        self.numbers.background_noise.plus_common(self.background)
    }

    /// The numbers of the step that follows so many; whether the noise is another than before.
    #[inline]
    pub(in crate::sgd) fn move_to(&mut self, steps: u64, dimension: usize) -> Result<bool, SgdFailure> {
        let Some(timetable) = &self.timetable else { return Ok(false) };
        let before = self.numbers;
        let moved = timetable.at(steps as f64 / dimension as f64);
        self.numbers = moved.map_err(|source| SgdFailure::Schedule { step: steps + 1, source })?;
        let noise = |numbers: &InForce<T>| (numbers.feature_noise, numbers.background_noise);
        if noise(&before) == noise(&self.numbers) {
            return Ok(false);
        }
        self.noise_scale = timetable.noise_scale(&self.numbers);
        Ok(true)
    }

    /// Whether the noise is the same in every direction.
    pub(in crate::sgd) fn is_isotropic(&self) -> bool {
        self.numbers.feature_noise == self.numbers.background_noise
    }

    /// Whether any number follows a schedule.
    pub(in crate::sgd) fn is_scheduled(&self) -> bool {
        self.timetable.is_some()
    }

    /// `work` with the schedules.
    pub(in crate::sgd) fn fingerprint(&self, work: Fingerprint) -> Fingerprint {
        self.timetable.as_ref().map_or(work, |timetable| timetable.schedules().fingerprint(work))
    }
}
