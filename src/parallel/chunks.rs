//! Chunks of one slice, worked on over threads where there are many and the feature `parallel` is on.

/// Chunks from which on several threads pay.
#[cfg(feature = "parallel")]
const MANY: usize = 32;

/// Runs `work` on every chunk of `out`, of that length, with the state that belongs to it. A chunk's result must not depend on
/// the others; then the number of threads changes no bit.
#[cfg(feature = "parallel")]
pub(crate) fn each_chunk<T: Send, S: Send>(
    states: &mut [S],
    out: &mut [T],
    length: usize,
    work: &(dyn Fn(&mut S, &mut [T]) + Sync),
) {
    use rayon::iter::{IndexedParallelIterator, IntoParallelRefMutIterator, ParallelIterator};
    use rayon::slice::ParallelSliceMut;
    if states.len() < MANY {
        states.iter_mut().zip(out.chunks_mut(length)).for_each(|(state, out)| work(state, out));
    } else {
        states.par_iter_mut().zip(out.par_chunks_mut(length)).for_each(|(state, out)| work(state, out));
    }
}

/// Runs `work` on every chunk of `out`, of that length, with the state that belongs to it.
#[cfg(not(feature = "parallel"))]
pub(crate) fn each_chunk<T, S>(states: &mut [S], out: &mut [T], length: usize, work: &dyn Fn(&mut S, &mut [T])) {
    states.iter_mut().zip(out.chunks_mut(length)).for_each(|(state, out)| work(state, out));
}

/// Runs `work` on every chunk of `out`, of that length, with its number.
pub(crate) fn each_numbered<T: Send>(out: &mut [T], length: usize, work: &(dyn Fn(usize, &mut [T]) + Sync)) {
    #[cfg(feature = "parallel")]
    if out.len() >= MANY * length {
        use rayon::iter::{IndexedParallelIterator, ParallelIterator};
        use rayon::slice::ParallelSliceMut;
        out.par_chunks_mut(length).enumerate().for_each(|(chunk, out)| work(chunk, out));
        return;
    }
    out.chunks_mut(length).enumerate().for_each(|(chunk, out)| work(chunk, out));
}
