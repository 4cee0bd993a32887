//! What can be run: the traits [`Process`], one thing that moves in time, and [`Lockstep`], several that step together.
//!
//! Covers what the loop asks of them and how an observer sees them. Not here: the loop itself (see `drive`), and the
//! process that a differential equation makes (see [`Integration`](crate::state::Integration)).

use std::fmt;

use crate::Scalar;
use crate::integrate::Work;

/// Something that moves in time by steps and has a state to record: all that [`Run`](crate::state::Run) needs.
///
/// The simulators of [`sgd`](crate::sgd), the particles and the grid of [`pde`](crate::pde) and every
/// [`Integration`](crate::state::Integration) are processes. One of your own, here a random walk, gets output times,
/// events, observers, steady states, limits and failures with the trajectory so far:
///
/// ```
/// use contrastive_dynamics::integrate::{Output, Work};
/// use contrastive_dynamics::rand::{RngExt, SeedableRng, rngs::StdRng};
/// use contrastive_dynamics::state::{Direction, Process, Run, StopReason};
///
/// struct Walk {
///     steps: u64,
///     at: f64,
///     rng: StdRng,
/// }
///
/// impl Process for Walk {
///     type Scalar = f64;
///     type State = f64;
///     type Error = std::convert::Infallible;
///     fn now(&self) -> f64 {
///         self.steps as f64 / 100.0
///     }
///     fn state(&self) -> f64 {
///         self.at
///     }
///     fn work(&self) -> Work {
///         Work::of_steps(self.steps)
///     }
///     fn advance(&mut self, _until: f64) -> Result<(), Self::Error> {
///         self.at += if self.rng.random() { 0.1 } else { -0.1 };
///         self.steps += 1;
///         Ok(())
///     }
///     fn steps_until(&self, t: f64) -> Option<i64> {
///         Some((100.0 * t).round() as i64 - self.steps as i64)
///     }
/// }
///
/// let mut walk = Walk { steps: 0, at: 0.0, rng: StdRng::seed_from_u64(1) };
/// let trajectory = Run::of(&mut walk)
///     .output(Output::Times(vec![1.0, 2.0]))
///     .event(Direction::Either, |_, at| at.abs() - 5.0)
///     .to(1e4)?;
/// let StopReason::Event { step, .. } = trajectory.stop_reason() else { panic!("a walk leaves every interval") };
/// assert_eq!((step, trajectory.times()[0]), (walk.steps, 1.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Process {
    /// The precision of time: `f64` or `f32`.
    type Scalar: Scalar;
    /// What is recorded of it.
    type State: Clone;
    /// Why a step fails.
    type Error;

    /// The present time.
    fn now(&self) -> Self::Scalar;

    /// The present state.
    fn state(&self) -> Self::State;

    /// Counters of the work done since it was made. A trajectory reports their growth over its run, an event the number of
    /// [accepted steps](Work::accepted_steps) at which it happened.
    fn work(&self) -> Work;

    /// Takes one step. A process that can choose the size of its steps does not go past `until`, and if it has no dense
    /// output (see [`interpolate`](Self::interpolate)) is asked to end a step at every output time.
    ///
    /// # Errors
    /// Whatever keeps it from taking a step; time and state must then be those before it.
    fn advance(&mut self, until: Self::Scalar) -> Result<(), Self::Error>;

    /// Called when a run starts, before anything else: work that the first state needs. The default does nothing.
    ///
    /// # Errors
    /// Whatever keeps it from starting there.
    fn prepare(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Where all steps are of one size: how many of them lie between now and the step nearest to time t, negative if that
    /// has passed. Output times and the end are then rounded to the nearest step. The default, `None`, is for steps that
    /// can end at any time.
    fn steps_until(&self, t: Self::Scalar) -> Option<i64> {
        let _ = t;
        None
    }

    /// Dense output: the state at time t of the last step, or now before the first; always `Some` for a process that has
    /// dense output, always `None` (the default) for one that has not.
    fn interpolate(&self, t: Self::Scalar) -> Option<Self::State> {
        let _ = t;
        None
    }

    /// Goes back to time t of the last step, where a run stops. Called only if there is dense output.
    fn rewind(&mut self, t: Self::Scalar) {
        let _ = t;
    }

    /// The largest absolute rate of change of a number of the state, if it is known. The default does not know it.
    fn rate(&self) -> Option<Self::Scalar> {
        None
    }

    /// The numbers of which a state is made, always equally many: where no [`rate`](Self::rate) is known, their averages
    /// over windows of time tell whether the state is steady. The default, none, leaves it unknown.
    fn numbers(&self, state: &Self::State) -> Vec<Self::Scalar> {
        let _ = state;
        Vec::new()
    }

    /// The most steps of a run that sets no limit of its own. The default is no limit.
    fn step_limit(&self) -> Option<u64> {
        None
    }
}

/// Several replicates that step together, each with a state and possibly a failure of its own: what
/// [`Run`](crate::state::Run) steps. Every [`Process`] is one of a single replicate;
/// [`ProjectedLanes`](crate::sgd::ProjectedLanes) are up to 32.
///
/// A replicate that fails reports it once, keeps time and state from before the failed step, and is not asked again.
pub trait Lockstep {
    /// The precision of time: `f64` or `f32`.
    type Scalar: Scalar;
    /// What is recorded of a replicate.
    type State: Clone;
    /// Why a replicate fails.
    type Error;

    /// The number of replicates.
    fn replicates(&self) -> usize;

    /// The time of that replicate: that of all, or for one that failed the time before the failed step.
    fn time_of(&self, replicate: usize) -> Self::Scalar;

    /// The state of that replicate.
    fn state_of(&self, replicate: usize) -> Self::State;

    /// The work done for that replicate since it was made.
    fn work_of(&self, replicate: usize) -> Work;

    /// Takes one step in every replicate that has not failed, as [`Process::advance`]; calls `failed` for each that fails.
    fn advance_all(&mut self, until: Self::Scalar, failed: &mut impl FnMut(usize, Self::Error));

    /// Called when a run starts; calls `failed` for every replicate that cannot go on. The default does nothing.
    fn prepare_all(&mut self, failed: &mut impl FnMut(usize, Self::Error)) {
        let _ = failed;
    }

    /// As [`Process::steps_until`].
    fn steps_to(&self, t: Self::Scalar) -> Option<i64> {
        let _ = t;
        None
    }

    /// As [`Process::interpolate`].
    fn interpolate_of(&self, replicate: usize, t: Self::Scalar) -> Option<Self::State> {
        let _ = (replicate, t);
        None
    }

    /// As [`Process::rewind`], for all replicates.
    fn rewind_all(&mut self, t: Self::Scalar) {
        let _ = t;
    }

    /// As [`Process::rate`].
    fn rate_of(&self, replicate: usize) -> Option<Self::Scalar> {
        let _ = replicate;
        None
    }

    /// As [`Process::numbers`].
    fn numbers_of(&self, state: &Self::State) -> Vec<Self::Scalar> {
        let _ = state;
        Vec::new()
    }

    /// As [`Process::step_limit`].
    fn most_steps(&self) -> Option<u64> {
        None
    }
}

impl<P: Process + ?Sized> Lockstep for P {
    type Scalar = P::Scalar;
    type State = P::State;
    type Error = P::Error;

    fn replicates(&self) -> usize {
        1
    }
    fn time_of(&self, _replicate: usize) -> P::Scalar {
        self.now()
    }
    fn state_of(&self, _replicate: usize) -> P::State {
        self.state()
    }
    fn work_of(&self, _replicate: usize) -> Work {
        self.work()
    }
    #[inline]
    fn advance_all(&mut self, until: P::Scalar, failed: &mut impl FnMut(usize, P::Error)) {
        if let Err(error) = self.advance(until) {
            failed(0, error);
        }
    }
    fn prepare_all(&mut self, failed: &mut impl FnMut(usize, P::Error)) {
        if let Err(error) = self.prepare() {
            failed(0, error);
        }
    }
    fn steps_to(&self, t: P::Scalar) -> Option<i64> {
        self.steps_until(t)
    }
    fn interpolate_of(&self, _replicate: usize, t: P::Scalar) -> Option<P::State> {
        self.interpolate(t)
    }
    fn rewind_all(&mut self, t: P::Scalar) {
        self.rewind(t);
    }
    fn rate_of(&self, _replicate: usize) -> Option<P::Scalar> {
        self.rate()
    }
    fn numbers_of(&self, state: &P::State) -> Vec<P::Scalar> {
        self.numbers(state)
    }
    fn most_steps(&self) -> Option<u64> {
        self.step_limit()
    }
}

/// What an observer sees: a process at one of the times at which it is observed.
pub struct Snapshot<'s, P: Lockstep + ?Sized> {
    pub(super) time: P::Scalar,
    pub(super) process: &'s P,
}

impl<P: Lockstep + ?Sized> fmt::Debug for Snapshot<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("time", &self.time).finish_non_exhaustive()
    }
}

impl<'s, P: Lockstep + ?Sized> Snapshot<'s, P> {
    /// The time.
    #[must_use]
    pub fn time(&self) -> P::Scalar {
        self.time
    }

    /// The process itself, with all that it can show. With dense output it stands at the end of the step in which
    /// [`time`](Self::time) lies; otherwise its time is this one.
    #[must_use]
    pub fn process(&self) -> &'s P {
        self.process
    }

    /// The state of that replicate (0 if there is one alone) at this time. Of a replicate that failed, the last one.
    #[must_use]
    pub fn replicate(&self, replicate: usize) -> P::State {
        if self.time < self.process.time_of(replicate)
            && let Some(state) = self.process.interpolate_of(replicate, self.time)
        {
            return state;
        }
        self.process.state_of(replicate)
    }
}

impl<P: Process + ?Sized> Snapshot<'_, P> {
    /// The state at this time.
    #[must_use]
    pub fn state(&self) -> P::State {
        self.replicate(0)
    }
}
