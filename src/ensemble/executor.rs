//! What carries the runs of an ensemble from where they are run to where they are combined.

use super::error::EnsembleError;
use super::failure::Failure;
use super::summary::{Record, Summary};
use crate::Scalar;
use crate::parallel::Executor;
use crate::save::SaveError;

/// What is left of runs that were run together, in the order of their numbers.
pub type Records<T, E> = Vec<Result<Record<T>, Failure<E>>>;

/// An executor that carries the runs of an ensemble, their statistics and their errors: every executor of one process, and one
/// over many processes for errors that can be carried.
pub trait EnsembleExecutor<T: Scalar, E>:
    Executor<Records<T, E>> + Executor<Result<u64, SaveError>> + Executor<Result<Summary<T>, EnsembleError<E, T>>>
{
}

impl<T, E, X> EnsembleExecutor<T, E> for X
where
    T: Scalar,
    X: Executor<Records<T, E>> + Executor<Result<u64, SaveError>> + Executor<Result<Summary<T>, EnsembleError<E, T>>>,
{
}
