//! What is kept of a process, and of a run under way, so that it can go on later.
//!
//! Covers the trait [`Checkpoint`] and the progress of a run. Not here: where it is kept (see [`crate::save`]), and when the
//! loop does so (see `drive`).

use std::cmp::Ordering;

use crate::Scalar;
use crate::integrate::Work;
use crate::save::{Fingerprint, SaveError, Store};
use crate::state::run::process::Lockstep;
use crate::state::{StopReason, Trajectory};

/// A process, or several in lock-step, that can be put back to where it stood: after [`restore`](Self::restore) it goes on
/// with the very bits with which it would have gone on then.
///
/// The simulators, lanes, particles and the grid are; the generator of random numbers must be data for that to be of use in
/// a file ([`LaneRng`](crate::random::LaneRng) and xoshiro256++, which seeded simulators have, are). Restoring needs a
/// process that was made like the first one, of the same model and size; seed and start do not matter.
///
/// ```
/// # #[cfg(feature = "serde")]
/// # {
/// use contrastive_dynamics::prelude::*;
/// use contrastive_dynamics::save::File;
/// use contrastive_dynamics::state::Checkpoint;
/// let hidden = Independent::new([Law::two_point(2.25)?])?;
/// let model = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(NoNoise).learning_rate(0.3).build()?;
/// let mut sgd = DirectSgd::builder(&model, 100).build_seeded(1)?;
/// sgd.step()?;
/// let path = std::env::temp_dir().join("contrastive-dynamics-checkpoint");
/// sgd.save_to(&File::new(&path))?;
/// let mut other = DirectSgd::builder(&model, 100).build_seeded(2)?;
/// assert!(other.resume_from(&File::new(&path))?);
/// sgd.step()?;
/// other.step()?;
/// assert_eq!(sgd.weights(), other.weights());
/// # std::fs::remove_file(&path)?;
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Checkpoint: Lockstep {
    /// What is kept of it.
    type Saved;

    /// What decides about its bits beside what is kept: the model, sizes, settings.
    fn fingerprint(&self) -> Fingerprint;

    /// What must be kept.
    fn saved(&self) -> Self::Saved;

    /// Goes back to where it stood when that was kept.
    ///
    /// # Errors
    /// [`SaveError::Content`] for what does not fit; then it stands where it stood.
    fn restore(&mut self, saved: Self::Saved) -> Result<(), SaveError>;

    /// Why that replicate failed, if it has and the others go on. The default is for a process alone.
    fn failure_of(&self, replicate: usize) -> Option<Self::Error> {
        let _ = replicate;
        None
    }

    /// Keeps it there. Another of its kind, built anew, goes on from it by [`resume_from`](Self::resume_from).
    ///
    /// # Errors
    /// Those of the store.
    #[doc(alias = "save")]
    fn save_to(&self, store: &impl Store<Self::Saved>) -> Result<(), SaveError> {
        store.store(self.fingerprint(), &self.saved())
    }

    /// Goes on from what is kept there; says whether something was.
    ///
    /// # Errors
    /// Those of the store, and of [`restore`](Self::restore).
    #[doc(alias = "load")]
    #[doc(alias = "restart")]
    fn resume_from(&mut self, store: &impl Store<Self::Saved>) -> Result<bool, SaveError> {
        match store.load(self.fingerprint())? {
            Some(saved) => self.restore(saved).map(|()| true),
            None => Ok(false),
        }
    }
}

/// A run under way as it is kept: the process, V, and what the loop knows beside it.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(
        serialize = "V: serde::Serialize, T: serde::Serialize, S: serde::Serialize",
        deserialize = "V: serde::Deserialize<'de>, T: Scalar + serde::Deserialize<'de>, S: serde::Deserialize<'de>"
    ))
)]
pub struct RunProgress<V, T: Scalar, S> {
    pub(super) process: V,
    pub(super) progress: Progress<T, S>,
}

/// What the loop knows.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(
        serialize = "T: serde::Serialize, S: serde::Serialize",
        deserialize = "T: Scalar + serde::Deserialize<'de>, S: serde::Deserialize<'de>"
    ))
)]
pub(super) struct Progress<T: Scalar, S> {
    /// The time at which the run began.
    pub(super) start: T,
    /// Steps since then.
    pub(super) steps: u64,
    /// The last time that each observer was shown.
    pub(super) seen: Vec<Option<T>>,
    pub(super) courses: Vec<CourseProgress<T, S>>,
}

/// What is known of one replicate.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(
        serialize = "T: serde::Serialize, S: serde::Serialize",
        deserialize = "T: Scalar + serde::Deserialize<'de>, S: serde::Deserialize<'de>"
    ))
)]
pub(super) struct CourseProgress<T: Scalar, S> {
    pub(super) trajectory: Trajectory<T, S>,
    /// Work before the run.
    pub(super) before: Work,
    pub(super) sides: Vec<Side>,
    pub(super) windows: super::steady::Windows,
    pub(super) ending: Option<(T, EndingProgress<T>)>,
}

/// On which side of zero an event function is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) enum Side {
    Below,
    At,
    Above,
}

impl From<Ordering> for Side {
    fn from(side: Ordering) -> Self {
        match side {
            Ordering::Less => Self::Below,
            Ordering::Equal => Self::At,
            Ordering::Greater => Self::Above,
        }
    }
}

impl From<Side> for Ordering {
    fn from(side: Side) -> Self {
        match side {
            Side::Below => Self::Less,
            Side::At => Self::Equal,
            Side::Above => Self::Greater,
        }
    }
}

/// How a replicate ended while others went on.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) enum EndingProgress<T> {
    Stopped(StopReason<T>),
    /// Why, the process knows.
    Failed,
    EventNotANumber {
        index: usize,
    },
}
