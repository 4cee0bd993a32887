//! Online SGD at finite dimension N (theory §1).
//!
//! Covers the trait [`Simulator`] and three simulators that agree in law. Not here: the loop that runs them (see
//! [`Run`]), features and starts (see [`crate::start`]), the limit (see [`crate::limit`]).
//!
//! | simulator | keeps | draws per step | noise | regulariser |
//! |---|---|---|---|---|
//! | [`DirectSgd`] | U, W | every view in full: 2B normals per coordinate and more | any | any |
//! | [`CompressedSgd`] | U, W | at most m normals per coordinate, whatever B | Gaussian | any |
//! | [`ProjectedChain`] | Q, R | a number that does not depend on N | Gaussian | linear |
//!
//! Use the last that allows your model: [`ProjectedChain`] for order parameters under L2, [`CompressedSgd`] if the
//! weights or another regulariser matter, [`DirectSgd`] for noise that is not Gaussian.

mod batch;
mod builder;
mod checkpoint;
mod compressed;
mod direct;
mod present;
mod projected;

pub use builder::{Compressed, Direct, Projected, SimulatorBuilder};
pub use checkpoint::SavedWeights;
pub use compressed::CompressedSgd;
pub use direct::DirectSgd;
pub use projected::{ProjectedChain, ProjectedLanes, SavedChain, SavedLanes};

use crate::Scalar;
use crate::integrate::{Output, Work};
use crate::model::ScheduleError;
use crate::start::StartError;
use crate::state::{OrderParameters, Process, Run, RunError, Trajectory};

/// An alias, because derived code would take the reference for one into the data that are read.
type Name = &'static str;

/// Why a simulation could not be set up or went wrong.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "T: serde::Serialize", deserialize = "T: serde::Deserialize<'de>"))
)]
#[non_exhaustive]
pub enum SgdError<T: Scalar = f64> {
    /// The simulator cannot start like that.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The simulator needs Gaussian noise.
    #[error("{simulator} draws only projections of Gaussian noise, and this noise is not Gaussian: use DirectSgd")]
    NoiseNotGaussian {
        /// Which simulator.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::numerics::stored::name"))]
        simulator: Name,
    },
    /// Too many replicates for one group, or none.
    #[error("from 1 to {most} replicates are stepped together, got {got}")]
    Lanes {
        /// The most there may be.
        most: usize,
        /// The number given.
        got: usize,
    },
    /// The schedules do not suit the model.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// Noise that is added to views of one's own must be the same in all directions.
    #[error(
        "noise that is added to views of a transformation must be isotropic: give features and background the same"
    )]
    Anisotropic,
    /// The simulator has no momentum.
    #[error("{simulator} keeps order parameters only, and momentum is a memory of weights: use CompressedSgd")]
    Momentum {
        /// Which simulator.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::numerics::stored::name"))]
        simulator: Name,
    },
    /// The run failed.
    #[error(transparent)]
    Run(#[from] RunError<SgdFailure, T>),
}

/// Why a step failed; the state is the one before it.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum SgdFailure {
    /// The update is not finite.
    #[error("training diverged: the update of step {step} is not finite; lower the learning rate or add weight decay")]
    Diverged {
        /// The number of the step, counted from 1.
        step: u64,
    },
    /// A schedule has no usable value there.
    #[error("step {step} cannot be taken: {source}")]
    Schedule {
        /// The number of the step, counted from 1.
        step: u64,
        /// What is wrong.
        source: ScheduleError,
    },
}

impl SgdFailure {
    /// The number of the step that failed, counted from 1.
    #[must_use]
    pub fn step(&self) -> u64 {
        match *self {
            Self::Diverged { step } | Self::Schedule { step, .. } => step,
        }
    }
}

/// A simulator of online SGD at finite N: it can be stepped by hand or run to a time.
pub trait Simulator {
    /// The model's precision: `f64` or `f32`.
    type Scalar: Scalar;

    /// The dimension N.
    fn dimension(&self) -> usize;

    /// Samples drawn per step: the batch size.
    fn batch_size(&self) -> usize;

    /// The number of steps taken so far. Time is t = steps/N.
    fn steps(&self) -> u64;

    /// Takes one step.
    ///
    /// # Errors
    /// [`SgdFailure`], for example if the update is not finite; then the state stays as it was.
    fn step(&mut self) -> Result<(), SgdFailure>;

    /// The order parameters of the present state.
    fn order_parameters(&self) -> OrderParameters<Self::Scalar>;

    /// The present time t = steps/N.
    fn time(&self) -> Self::Scalar {
        time_of(self.steps(), self.dimension())
    }

    /// Runs to the step nearest to time `end`, and records (Q, R) as `output` says. For events, observers and steady states
    /// see [`Run`], of which this is the shortest.
    ///
    /// # Errors
    /// [`SgdError::Run`] with [`RunError::Output`] for times that are unusable (before the present time or after `end`), or
    /// with [`RunError::Failed`] and the trajectory so far for an [`SgdFailure`].
    fn run(
        &mut self,
        end: Self::Scalar,
        output: &Output<Self::Scalar>,
    ) -> Result<Trajectory<Self::Scalar>, SgdError<Self::Scalar>> {
        Ok(Run::of(self).output(output.clone()).to(end)?)
    }
}

/// A simulator steps by 1/N in time.
impl<S: Simulator + ?Sized> Process for S {
    type Scalar = S::Scalar;
    type State = OrderParameters<S::Scalar>;
    type Error = SgdFailure;

    fn now(&self) -> S::Scalar {
        self.time()
    }

    fn state(&self) -> OrderParameters<S::Scalar> {
        self.order_parameters()
    }

    fn work(&self) -> Work {
        work_of(self.steps(), self.batch_size())
    }

    #[inline]
    fn advance(&mut self, _until: S::Scalar) -> Result<(), SgdFailure> {
        self.step()
    }

    fn steps_until(&self, t: S::Scalar) -> Option<i64> {
        Some(steps_between(self.steps(), t, self.dimension()))
    }

    fn numbers(&self, state: &OrderParameters<S::Scalar>) -> Vec<S::Scalar> {
        state.to_packed().data.into()
    }
}

/// The work of so many steps.
fn work_of(steps: u64, batch_size: usize) -> Work {
    Work { accepted_steps: steps, samples: steps * batch_size as u64, ..Work::default() }
}

/// From step `steps` to the step nearest to time t.
fn steps_between<T: Scalar>(steps: u64, t: T, dimension: usize) -> i64 {
    #[allow(clippy::cast_possible_truncation)] // beyond any number of steps that can be taken
    let nearest = (t.as_f64() * dimension as f64).round() as i64;
    nearest.saturating_sub_unsigned(steps)
}

/// t = steps/N.
fn time_of<T: Scalar>(steps: u64, dimension: usize) -> T {
    T::lit(steps as f64 / dimension as f64)
}

#[cfg(test)]
mod tests {
    use crate::model::{Constraint, GaussianNoise, Independent, Law, Model, Tanh};

    pub(super) type Plain = Model<f64, Tanh, Independent, GaussianNoise>;

    /// Two features, three neurons.
    pub(super) fn model(constraint: Constraint, learning_rate: f64) -> Plain {
        let hidden = Independent::new([Law::two_point(2.25).unwrap(), Law::three_point(2.25, 0.5).unwrap()]).unwrap();
        let builder = Model::builder().nonlinearity(Tanh).hidden(hidden).learning_rate(learning_rate).n_neurons(3);
        let noise = GaussianNoise::correlated(0.3, -0.5).unwrap();
        builder.noise(noise).penalty_strength(0.7).constraint(constraint).build().unwrap()
    }
}
