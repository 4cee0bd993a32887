//! Thirty-two streams side by side, each with a seed of its own: what one lane draws does not depend on its neighbours.
//!
//! Covers normals and uniforms for all lanes at once, and a [`rand`] generator for one lane at a time. Not here: the arithmetic
//! of a block (see [`crate::random::box_muller`]); one stream over all lanes (see [`crate::random::LaneRng`]).

use std::convert::Infallible;

use rand::{SeedableRng, TryRng, rand_core};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::Scalar;
use crate::random::box_muller::{BLOCK, BoxMuller};
use crate::random::lane_state::{LaneState, Round, WIDTH};
use crate::scalar::InPrecision;

/// A number for each lane.
pub(crate) type Row<T> = [T; WIDTH];

/// Two numbers for each lane.
pub(crate) type Block<T> = [T; BLOCK];

/// Rounds of words that are drawn ahead.
pub(super) const STOCK: usize = 16;

/// Four generators for each lane: xoshiro256++ of the lane's seed, and that after one, two and three jumps of 2¹²⁸ steps.
///
/// The first gives normals (as [`crate::random::LaneRng`] makes them of two words; one word in single precision), the second
/// words and uniforms, always for all lanes at once. The third gives words to one lane at a time, the fourth too, where a lane
/// needs more than its neighbours; so that the first two never fall out of step.
#[derive(Debug, Clone)]
pub(crate) struct LaneStreams {
    pub(super) normals: LaneState,
    pub(super) uniforms: LaneState,
    pub(super) words: LaneState,
    pub(super) spare: LaneState,
    /// Word `used[l]` and later of lane l are still to be given away.
    pub(super) stock: [Round; STOCK],
    pub(super) used: [usize; WIDTH],
}

impl LaneStreams {
    pub(crate) fn new(seeds: &Row<u64>) -> Self {
        let mut generators = seeds.map(Xoshiro256PlusPlus::seed_from_u64);
        let mut next = || {
            let state = LaneState::from_lanes(&generators);
            generators.iter_mut().for_each(Xoshiro256PlusPlus::jump);
            state
        };
        let (normals, uniforms, words, spare) = (next(), next(), next(), next());
        Self { normals, uniforms, words, spare, stock: [[0; WIDTH]; STOCK], used: [STOCK; WIDTH] }
    }

    /// Two independent normals for each lane: of lane l those at l and at [`WIDTH`] + l.
    #[inline(always)]
    pub(crate) fn normals<T: Scalar>(&mut self, scratch: &mut NormalScratch, block: &mut Block<T>) {
        // A block is as long as it says, in either precision.
        match T::in_precision(block) {
            InPrecision::Single(block) => {
                if let Some(block) = block.first_chunk_mut() {
                    f32::block(&mut self.normals, &mut scratch.single, block);
                }
            }
            InPrecision::Double(block) => {
                if let Some(block) = block.first_chunk_mut() {
                    f64::block(&mut self.normals, &mut scratch.double, block);
                }
            }
        }
    }

    /// A word for each lane.
    #[inline(always)]
    pub(crate) fn round(&mut self, out: &mut Round) {
        self.uniforms.round(out);
    }

    /// A number uniform in (0, 1) for each lane: an odd multiple of 2⁻⁵³.
    #[inline(always)]
    pub(crate) fn uniforms(&mut self) -> Row<f64> {
        let mut out = [0.0; WIDTH];
        for l in 0..WIDTH {
            let word = self.uniforms.step(l);
            out[l] = f64::from_bits((word >> 12) | (1023 << 52)) - (1.0 - f64::EPSILON / 2.0);
        }
        out
    }

    /// The words of one lane.
    #[inline(always)]
    pub(crate) fn lane(&mut self, lane: usize) -> LaneWords<'_> {
        LaneWords { streams: self, lane }
    }

    /// The spare words of one lane.
    #[inline(always)]
    pub(crate) fn spare(&mut self, lane: usize) -> SpareWords<'_> {
        SpareWords { state: &mut self.spare, lane }
    }

    /// Draws words ahead for that lane; for all of them at once where none has any left.
    #[inline(always)]
    fn restock(&mut self, lane: usize) {
        if self.used.iter().all(|&used| used == STOCK) {
            for round in &mut self.stock {
                self.words.round(round);
            }
            self.used = [0; WIDTH];
        } else {
            for round in &mut self.stock {
                round[lane] = self.words.step(lane);
            }
            self.used[lane] = 0;
        }
    }
}

/// The words of one lane as a generator.
pub(crate) struct LaneWords<'a> {
    streams: &'a mut LaneStreams,
    lane: usize,
}

/// The spare words of one lane as a generator.
pub(crate) struct SpareWords<'a> {
    state: &'a mut LaneState,
    lane: usize,
}

macro_rules! generator {
    ($name:ident, $self:ident, $next:expr) => {
        impl TryRng for $name<'_> {
            type Error = Infallible;

            #[inline(always)]
            #[allow(clippy::cast_possible_truncation)] // the upper half fits
            fn try_next_u32(&mut self) -> Result<u32, Infallible> {
                self.try_next_u64().map(|word| (word >> 32) as u32)
            }

            #[inline(always)]
            fn try_next_u64(&mut $self) -> Result<u64, Infallible> {
                Ok($next)
            }

            fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
                rand_core::utils::fill_bytes_via_next_word(out, || self.try_next_u64())
            }
        }
    };
}
generator!(LaneWords, self, {
    if self.streams.used[self.lane] >= STOCK {
        self.streams.restock(self.lane);
    }
    let used = self.streams.used[self.lane] % STOCK;
    self.streams.used[self.lane] = used + 1;
    self.streams.stock[used][self.lane]
});
generator!(SpareWords, self, self.state.step(self.lane));

/// What the transform needs to make normals, in either precision.
#[derive(Debug, Clone, Default)]
pub(crate) struct NormalScratch {
    single: <f32 as BoxMuller>::Scratch,
    double: <f64 as BoxMuller>::Scratch,
}

/// Room for the two normals of each lane.
#[derive(Debug, Clone)]
pub(crate) struct NormalBlock<T: Scalar> {
    pub(crate) scratch: NormalScratch,
    pub(crate) block: Block<T>,
}

impl<T: Scalar> Default for NormalBlock<T> {
    fn default() -> Self {
        Self { scratch: NormalScratch::default(), block: [T::zero(); BLOCK] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    fn seeds() -> Row<u64> {
        std::array::from_fn(|l| 100 + l as u64)
    }

    /// Words are those of the scalar generator after two jumps, in whatever order lanes ask for them.
    #[test]
    fn words_of_a_lane_do_not_depend_on_the_others() {
        let mut together = LaneStreams::new(&seeds());
        let mut apart = LaneStreams::new(&seeds());
        let expected = |l: usize| -> Vec<u64> {
            let mut generator = Xoshiro256PlusPlus::seed_from_u64(100 + l as u64);
            generator.jump();
            generator.jump();
            (0..40).map(|_| generator.next_u64()).collect()
        };
        let in_step: Vec<Vec<u64>> =
            (0..40).map(|_| (0..WIDTH).map(|l| together.lane(l).next_u64()).collect()).collect();
        for l in 0..WIDTH {
            assert_eq!(in_step.iter().map(|round| round[l]).collect::<Vec<_>>(), expected(l));
            assert_eq!((0..40).map(|_| apart.lane(l).next_u64()).collect::<Vec<_>>(), expected(l));
        }
    }

    /// Normals are the transform of the lane's own words, and uniforms odd multiples of 2⁻⁵³.
    #[test]
    fn normals_and_uniforms_are_made_of_the_words_of_their_lane() {
        let mut streams = LaneStreams::new(&seeds());
        let mut other = LaneStreams::new(&std::array::from_fn(|l| if l == 5 { 105 } else { 7 }));
        let mut room = NormalBlock::<f64>::default();
        for _ in 0..10 {
            streams.normals(&mut room.scratch, &mut room.block);
            let here = room.block;
            other.normals(&mut room.scratch, &mut room.block);
            assert_eq!((here[5], here[WIDTH + 5]), (room.block[5], room.block[WIDTH + 5]));
            assert!(here[4] != room.block[4] && here[5] != here[WIDTH + 5]);
        }
        let mut generator = Xoshiro256PlusPlus::seed_from_u64(105);
        generator.jump();
        for _ in 0..10 {
            let expected = ((generator.next_u64() >> 12) as f64 + 0.5) / 2_f64.powi(52);
            assert_eq!(streams.uniforms()[5], expected);
        }
    }
}
