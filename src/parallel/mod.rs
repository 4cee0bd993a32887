//! Many things at once, in order.

/// What `record` makes of every number of the range, in order.
#[cfg(feature = "parallel")]
pub(crate) fn records<R: Send>(range: std::ops::Range<u64>, record: &(impl Fn(u64) -> R + Sync)) -> Vec<R> {
    use rayon::iter::{IntoParallelIterator, ParallelIterator};
    range.into_par_iter().map(record).collect()
}

/// What `record` makes of every number of the range, in order.
#[cfg(not(feature = "parallel"))]
pub(crate) fn records<R>(range: std::ops::Range<u64>, record: &impl Fn(u64) -> R) -> Vec<R> {
    range.map(record).collect()
}
