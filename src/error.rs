//! Any error of this crate, for programs that pass them all on by `?`.

use crate::Scalar;
use crate::control::ControlError;
use crate::data::DataError;
use crate::ensemble::{EnsembleError, Failure};
use crate::fluctuation::FluctuationError;
use crate::integrate::{IntegratorError, OutputError};
use crate::limit::LimitError;
use crate::model::{ModelError, ScheduleError};
use crate::ode::{OdeError, RatesError};
use crate::pde::grid::{GridError, GridFailure};
use crate::pde::observables::ObservableError;
use crate::pde::particles::{ParticleError, StepFailure};
use crate::save::SaveError;
use crate::sgd::{SgdError, SgdFailure};
use crate::stability::{
    ContinuationError, CriticalError, CurveError, FamilyError, FixedPointError, RegionsError, SelectionError,
    SpectrumError, StabilityError, SteadyStateError,
};
use crate::start::StartError;
use crate::state::{OrderParametersError, RunError};

macro_rules! errors {
    ($($(#[doc = $doc:literal])+ $name:ident($error:ty),)*) => {
        /// Any error of this crate. Each module has its own, with the data to act on; this one takes them all, for
        /// functions that only pass them on.
        ///
        /// ```
        /// use contrastive_dynamics::prelude::*;
        ///
        /// fn overlap(learning_rate: f64) -> Result<f64, Error> {
        ///     let hidden = Independent::new([Law::two_point(2.25)?])?;
        ///     let builder = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(NoNoise);
        ///     let model = builder.learning_rate(learning_rate).weight_decay(0.5).build()?;
        ///     let start = OrderParameters::from_rows(1, 1, &[0.4], &[0.8])?;
        ///     let solution = ReducedOde::new(&model)?.solver().solve(&start, 5.0)?;
        ///     Ok(solution.last().map_or(0.4, |(_, state)| state.q()[(0, 0)]))
        /// }
        /// assert!(overlap(0.3)? > 0.4);
        /// assert!(matches!(overlap(-1.0), Err(Error::Model(error)) if error.to_string().contains("must be positive")));
        /// # Ok::<(), Error>(())
        /// ```
        #[derive(Debug, Clone, PartialEq, thiserror::Error)]
        #[non_exhaustive]
        pub enum Error<T: Scalar = f64> {
            $($(#[doc = $doc])+ #[error(transparent)] $name(Box<$error>),)*
        }

        $(impl<T: Scalar> From<$error> for Error<T> {
            fn from(error: $error) -> Self {
                Self::$name(Box::new(error))
            }
        })*
    };
}

errors! {
    /// Of a model or one of its parts.
    Model(ModelError),
    /// Of schedules.
    Schedule(ScheduleError),
    /// Of a state (Q, R).
    State(OrderParametersError),
    /// Of a start.
    Start(StartError),
    /// Of output times.
    Output(OutputError),
    /// Of a method in time.
    Integrator(IntegratorError),
    /// Of tables of data.
    Data(DataError),
    /// Of the limit coefficients.
    Limit(LimitError<T>),
    /// Of the right-hand side of the ODE.
    Rates(RatesError<T>),
    /// Of a gradient, or of a search for the best schedules.
    Control(ControlError<T>),
    /// Of fluctuations at finite N.
    Fluctuation(FluctuationError<T>),
    /// Of a solution of the ODE.
    Ode(OdeError<T>),
    /// Of a simulator.
    Sgd(SgdError<T>),
    /// Of a step of a simulator.
    SgdStep(SgdFailure),
    /// Of particles.
    Particles(ParticleError<T>),
    /// Of a step of particles.
    ParticleStep(StepFailure<T>),
    /// Of a grid.
    Grid(GridError),
    /// Of a step of a grid.
    GridStep(GridFailure),
    /// Of what is read off weights.
    Observable(ObservableError),
    /// Of an ensemble of simulations.
    Ensemble(EnsembleError<SgdError<T>, T>),
    /// Of an ensemble of anything that fails with this error.
    EnsembleOfAny(EnsembleError<Error<T>, T>),
    /// Of one replicate of them.
    Replicate(Failure<Error<T>>),
    /// Of files and of what is in them.
    Save(SaveError),
    /// Of a spectrum.
    Spectrum(SpectrumError),
    /// Of the search for fixed points.
    FixedPoints(FixedPointError<T>),
    /// Of a steady state.
    SteadyState(SteadyStateError<T>),
    /// Of learnability.
    Stability(StabilityError<T>),
    /// Of a critical value.
    Critical(CriticalError<T>),
    /// Of a family of models.
    Family(FamilyError<T>),
    /// Of a branch of fixed points.
    Continuation(ContinuationError<CurveError<T>>),
    /// Of attraction regions.
    Regions(RegionsError<T>),
    /// Of the selection of features.
    Selection(SelectionError<SgdError<T>, T>),
}

/// Of a simulator in a [`Run`](crate::state::Run).
impl<T: Scalar> From<RunError<SgdFailure, T>> for Error<T> {
    fn from(error: RunError<SgdFailure, T>) -> Self {
        SgdError::from(error).into()
    }
}

/// Of particles in a [`Run`](crate::state::Run).
impl<T: Scalar> From<RunError<StepFailure<T>, T>> for Error<T> {
    fn from(error: RunError<StepFailure<T>, T>) -> Self {
        ParticleError::from(error).into()
    }
}

/// Of a grid in a [`Run`](crate::state::Run).
impl<T: Scalar> From<RunError<GridFailure>> for Error<T> {
    fn from(error: RunError<GridFailure>) -> Self {
        GridError::from(error).into()
    }
}
