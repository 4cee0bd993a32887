//! A generator for samplers by rejection, which a generator that repeats itself would keep for ever.

use std::convert::Infallible;

use rand::{Rng, TryRng};

/// Words of a draw after which the generator is given up. The samplers accept more than nine candidates in ten, each of a few words, so
/// that independent words never come to so many.
const MOST: u32 = 1000;

/// The words of a generator, and after [`MOST`] of them others, with which every sampler ends.
pub(crate) struct Bounded<'r, R: ?Sized> {
    rng: &'r mut R,
    left: u32,
    state: u64,
}

impl<'r, R: ?Sized> Bounded<'r, R> {
    pub(crate) fn new(rng: &'r mut R) -> Self {
        Self { rng, left: MOST, state: 0 }
    }

    /// SplitMix64 (Steele, Lea and Flood 2014, doi:10.1145/2714064.2660195).
    #[cold]
    fn other(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Whether the generator still serves.
    #[inline(always)]
    fn serves(&mut self) -> bool {
        let serves = self.left > 0;
        self.left = self.left.saturating_sub(1);
        serves
    }
}

impl<R: Rng + ?Sized> TryRng for Bounded<'_, R> {
    type Error = Infallible;

    #[inline(always)]
    #[allow(clippy::cast_possible_truncation)] // the upper half fits
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(if self.serves() { self.rng.next_u32() } else { (self.other() >> 32) as u32 })
    }

    #[inline(always)]
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(if self.serves() { self.rng.next_u64() } else { self.other() })
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        if self.serves() {
            self.rng.fill_bytes(out);
            return Ok(());
        }
        for bytes in out.chunks_mut(8) {
            let word = self.other().to_le_bytes();
            bytes.copy_from_slice(&word[..bytes.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    /// Always the same word.
    struct Stuck(u64);

    impl TryRng for Stuck {
        type Error = Infallible;
        #[allow(clippy::cast_possible_truncation)] // any half does
        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            Ok(self.0 as u32)
        }
        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            Ok(self.0)
        }
        fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
            out.fill(0);
            Ok(())
        }
    }

    /// A sampler that waits for a word unlike the first one.
    fn waits(rng: &mut impl Rng) -> u64 {
        let first = rng.next_u64();
        loop {
            let word = rng.next_u64();
            if word != first {
                return word;
            }
        }
    }

    #[test]
    fn samplers_end_on_a_generator_that_repeats_itself_and_see_no_other_words_of_one_that_does_not() {
        for word in [0, u64::MAX, 1 << 40] {
            waits(&mut Bounded::new(&mut Stuck(word)));
        }
        let (mut plain, mut inner) = (StdRng::seed_from_u64(1), StdRng::seed_from_u64(1));
        for _ in 0..10 {
            let mut bounded = Bounded::new(&mut inner);
            assert!((0..MOST).all(|_| bounded.next_u64() == plain.next_u64()));
        }
        let mut bounded = Bounded::new(&mut inner);
        assert!((0..MOST).all(|_| bounded.next_u64() == plain.next_u64()));
        assert_ne!(bounded.next_u64(), plain.next_u64());
    }
}
