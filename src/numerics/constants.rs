//! Named numbers that several numerical tools share.
//!
//! Covers the golden ratio. Not here: tolerances, which stand beside what they judge.

/// (√5 − 1)/2. Its multiples modulo 1 are spread more evenly than those of any other number, which makes vectors
/// without symmetries; a section in this ratio keeps its ratio when it is repeated, which serves searches.
pub(crate) const GOLDEN_RATIO: f64 = 0.618_033_988_749_894_8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_golden_section_keeps_its_ratio() {
        assert!((GOLDEN_RATIO * GOLDEN_RATIO - (1.0 - GOLDEN_RATIO)).abs() < f64::EPSILON);
    }
}
