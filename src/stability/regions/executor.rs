//! What carries outcomes and borders from where they are found to where they are combined.

use crate::Scalar;
use crate::parallel::Executor;
use crate::save::SaveError;
use crate::stability::regions::kept::MapProgress;
use crate::stability::regions::outcome::{Border, Outcome};

/// A border, and the parameters (a, b) where it is.
pub(crate) type Located<T> = ((T, T), Border<T>);

/// An executor that carries outcomes and borders: every executor of one process, and those over many processes.
pub trait RegionExecutor<T: Scalar>:
    Executor<Vec<Outcome<T>>>
    + Executor<(Vec<Outcome<T>>, bool)>
    + Executor<Result<Option<MapProgress<T>>, SaveError>>
    + Executor<Option<SaveError>>
    + Executor<Option<Located<T>>>
    + Executor<Result<Vec<Located<T>>, u64>>
{
}

impl<T, X> RegionExecutor<T> for X
where
    T: Scalar,
    X: Executor<Vec<Outcome<T>>>
        + Executor<(Vec<Outcome<T>>, bool)>
        + Executor<Result<Option<MapProgress<T>>, SaveError>>
        + Executor<Option<SaveError>>
        + Executor<Option<Located<T>>>
        + Executor<Result<Vec<Located<T>>, u64>>,
{
}
