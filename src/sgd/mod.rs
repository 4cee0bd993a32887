//! Online SGD at finite dimension N (theory §1).
//!
//! Covers the trait [`Simulator`], the features, and three simulators that agree in law. Not here: the limit (see
//! [`crate::limit`]).
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
mod compressed;
mod direct;
mod projected;
mod start;

pub use builder::{Compressed, Direct, Projected, SimulatorBuilder};
pub use compressed::CompressedSgd;
pub use direct::DirectSgd;
pub use projected::{ProjectedChain, ProjectedLanes};

use std::ops::ControlFlow;

use crate::Scalar;
use crate::integrate::{Output, OutputError};
use crate::start::StartError;
use crate::state::OrderParameters;
use crate::state::{StopReason, Trajectory};
use start::Records;

/// Why a simulation could not be set up or went wrong.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SgdError<T: Scalar = f64> {
    /// The simulator cannot start like that.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The simulator needs Gaussian noise.
    #[error("{simulator} draws only projections of Gaussian noise, and this noise is not Gaussian: use DirectSgd")]
    NoiseNotGaussian {
        /// Which simulator.
        simulator: &'static str,
    },
    /// Too many replicates for one group, or none.
    #[error("from 1 to {most} replicates are stepped together, got {got}")]
    Lanes {
        /// The most there may be.
        most: usize,
        /// The number given.
        got: usize,
    },
    /// The output times are unusable.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The state is no longer finite: training diverged.
    #[error("training diverged at step {step} (t = {time}): lower the learning rate or add weight decay")]
    Diverged {
        /// The step whose update was not finite.
        step: u64,
        /// The time of that step.
        time: f64,
        /// What came before.
        trajectory: Box<Trajectory<T>>,
    },
}

/// A step whose update was not finite; the state is the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the update of step {step} is not finite")]
pub struct Divergence {
    /// The number of the step, counted from 1.
    pub step: u64,
}

/// A simulator of online SGD at finite N: it can be stepped by hand or run to a time.
pub trait Simulator<T: Scalar = f64> {
    /// The dimension N.
    fn dimension(&self) -> usize;

    /// Samples drawn per step: the batch size.
    fn batch_size(&self) -> usize;

    /// The number of steps taken so far. Time is t = steps/N.
    fn steps(&self) -> u64;

    /// Takes one step.
    ///
    /// # Errors
    /// [`Divergence`] if the update is not finite; then the state stays as it was.
    fn step(&mut self) -> Result<(), Divergence>;

    /// The order parameters of the present state.
    fn order_parameters(&self) -> OrderParameters<T>;

    /// The present time t = steps/N.
    fn time(&self) -> T {
        time_of(self.steps(), self.dimension())
    }

    /// Runs to the step nearest to time `end`, and records (Q, R) as `output` says.
    ///
    /// # Errors
    /// [`SgdError::Output`] for times that are unusable (before the present time or after `end`);
    /// [`SgdError::Diverged`] with the trajectory so far.
    fn run(&mut self, end: T, output: &Output<T>) -> Result<Trajectory<T>, SgdError<T>> {
        self.run_observed(end, output, &mut |_, _| ControlFlow::Continue(()))
    }

    /// As [`run`](Self::run), and shows every recorded time and state to `observer`, to print, to draw a progress bar,
    /// or to stop: [`ControlFlow::Break`] ends the run there, with [`StopReason::Observer`]. Between records nothing is
    /// called.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    fn run_observed(
        &mut self,
        end: T,
        output: &Output<T>,
        observer: &mut dyn FnMut(T, &OrderParameters<T>) -> ControlFlow<()>,
    ) -> Result<Trajectory<T>, SgdError<T>> {
        let start = self.steps();
        let mut records = Records::new(output, self.time(), start, end, self.dimension())?;
        let mut trajectory = Trajectory::new();
        loop {
            let step = self.steps();
            trajectory.work.accepted_steps = step - start;
            trajectory.work.samples = (step - start) * self.batch_size() as u64;
            if records.due(step) {
                let (time, state) = (self.time(), self.order_parameters());
                let flow = observer(time, &state);
                trajectory.push(time, state);
                if flow.is_break() && step < records.last() {
                    trajectory.stop = StopReason::Observer { time };
                    return Ok(trajectory);
                }
            }
            if step == records.last() {
                trajectory.stop = StopReason::EndTime;
                return Ok(trajectory);
            }
            if let Err(Divergence { step }) = self.step() {
                let time = self.time();
                trajectory.push(time, self.order_parameters());
                trajectory.stop = StopReason::Failure { time };
                return Err(SgdError::Diverged { step, time: time.as_f64(), trajectory: Box::new(trajectory) });
            }
        }
    }
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
