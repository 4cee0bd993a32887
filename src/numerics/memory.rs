//! Whether so many numbers can be had, asked before they are: what does not fit ends a program where it is taken.

/// Tables of fewer numbers are not asked for.
const SMALL: usize = 1 << 20;

/// Whether there is memory for that many rows of so many numbers.
pub(crate) fn fits<T>(rows: usize, columns: usize) -> bool {
    let count = rows.checked_mul(columns);
    count.is_some_and(|count| count < SMALL || Vec::<T>::new().try_reserve_exact(count).is_ok())
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn sizes_that_overflow_or_exceed_every_memory_do_not_fit() {
        assert!(fits::<f64>(1000, 1000) && fits::<f64>(SOME, 2) && fits::<f64>(0, usize::MAX));
        assert!(!fits::<f64>(usize::MAX, 2) && !fits::<f64>(1 << 62, 1) && !fits::<f32>(1 << 40, 1 << 20));
    }

    const SOME: usize = 1 << 21;
}
