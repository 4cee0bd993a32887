//! Averages for losses that couple the samples of a batch in other ways than by covariances: by moments of one sample where the loss
//! is a polynomial, else over whole batches.

use nalgebra::DMatrix;

use crate::Scalar;
use crate::limit::averages::sample_moments::{MomentWork, SampleMoments};
use crate::limit::averages::whole_batches::{BatchSignal, BatchSums, BatchTable, BatchWork};
use crate::limit::fields::factor::Factor;
use crate::numerics::dual::Number;

/// By what a loss is averaged over batches.
#[derive(Debug, Clone)]
pub(in crate::limit) enum Batches<T> {
    /// Sobol points.
    Whole(BatchTable<T>),
    /// Exactly in the batch size.
    Moments(Box<SampleMoments<T>>),
}

/// Buffers for one of them.
#[derive(Debug, Clone)]
pub(in crate::limit) enum BatchesWork<T, N> {
    Whole(Box<BatchWork<T, N>>),
    Moments(Box<MomentWork<T, N>>),
}

impl<T: Scalar> Batches<T> {
    /// The nodes of the hidden law, p x n.
    pub(in crate::limit) fn hidden(&self) -> &DMatrix<T> {
        match self {
            Self::Whole(table) => table.hidden(),
            Self::Moments(moments) => moments.hidden(),
        }
    }

    /// Takes those nodes of the hidden law, with c_l multiplied by `factors[l]`.
    pub(in crate::limit) fn scale_hidden(&mut self, hidden: &DMatrix<T>, factors: &[T]) {
        let own = match self {
            Self::Whole(table) => table.hidden_mut(),
            Self::Moments(moments) => moments.hidden_mut(),
        };
        own.clone_from(hidden);
        for (l, &factor) in factors.iter().enumerate() {
            own.row_mut(l).scale_mut(factor);
        }
    }

    /// Fields evaluated by one call of [`average`](Self::average).
    pub(in crate::limit) fn count(&self) -> usize {
        match self {
            Self::Whole(table) => table.count(),
            Self::Moments(moments) => moments.count(),
        }
    }

    pub(in crate::limit) fn work<N: Number<T>>(&self) -> BatchesWork<T, N> {
        match self {
            Self::Whole(table) => BatchesWork::Whole(Box::new(table.work())),
            Self::Moments(moments) => BatchesWork::Moments(Box::new(moments.work())),
        }
    }

    /// The averages at scaled overlaps `q` (p x m, row by row) with the factor of the 2m fields (view 1 first). `None` for buffers of
    /// the other kind.
    pub(in crate::limit) fn average<'w, N: Number<T>>(
        &self,
        q: &[N],
        factor: &Factor<T, N>,
        signal: &BatchSignal<'_, T, N>,
        work: &'w mut BatchesWork<T, N>,
    ) -> Option<&'w BatchSums<N>> {
        match (self, work) {
            (Self::Whole(table), BatchesWork::Whole(work)) => Some(table.average(q, factor, signal, work)),
            (Self::Moments(moments), BatchesWork::Moments(work)) => Some(moments.average(q, factor, signal, work)),
            _ => None,
        }
    }
}
