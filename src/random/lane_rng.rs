//! The generator: a stream of words, of normals in double and of normals in single precision.
//!
//! Covers seeding, streams for replicates, and stocks, which make every output independent of how requests are split.
//! Not here: the arithmetic of a block (see [`crate::random::box_muller`]).

use std::convert::Infallible;

use rand::{SeedableRng, TryRng, rand_core};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::Scalar;
use crate::numerics::lanes::dispatch;
use crate::random::FillNormal;
use crate::random::box_muller::{BLOCK, BoxMuller};
use crate::random::lane_state::{LaneState, WIDTH};
use crate::scalar::InPrecision;

/// A block of which the first `used` items have been given away.
#[derive(Debug, Clone)]
pub(crate) struct Stock<T, const N: usize> {
    pub(super) items: [T; N],
    pub(super) used: usize,
}

impl<T: Copy + Default, const N: usize> Stock<T, N> {
    pub(super) fn empty() -> Self {
        Self { items: [T::default(); N], used: N }
    }

    /// Moves as many items as there are to the start of `out`, and returns the part that is still to be filled.
    #[inline(always)]
    fn take<'a>(&mut self, out: &'a mut [T]) -> &'a mut [T] {
        let left = &self.items[self.used.min(N)..];
        let count = left.len().min(out.len());
        let (now, later) = out.split_at_mut(count);
        now.copy_from_slice(&left[..count]);
        self.used += count;
        later
    }
}

/// Thirty-two xoshiro256++ generators side by side: a [`rand`] generator that also fills slices with standard normals,
/// with vector instructions where the machine has them and the same bits everywhere.
///
/// ```
/// use contrastive_dynamics::rand::{RngExt, SeedableRng};
/// use contrastive_dynamics::random::{FillNormal, LaneRng};
/// let mut rng = LaneRng::seed_from_u64(1);
/// let mut noise = [0.0_f64; 1000];
/// rng.fill_normal(&mut noise);
/// let uniform: f64 = rng.random();
/// assert!((0.0..1.0).contains(&uniform));
/// ```
///
/// # The stream
/// A seed fixes every number below, on every machine; a change of any of it is a breaking change.
///
/// *Seeds.* Lane 0 is `rand_xoshiro`'s [`Xoshiro256PlusPlus`] of the same seed (32 bytes, or a `u64` expanded by
/// splitmix64), lane l + 1 is lane l after its jump of 2¹²⁸ steps: the lanes overlap after 2¹²⁸ steps each. Making a
/// generator computes 31 jumps, about 15 µs.
///
/// *Rounds.* All is drawn in rounds, one word (64 bits) of each lane in the order of the lanes.
///
/// *Words* (`next_u64`) come one round at a time; `next_u32` is the upper half of a word, and bytes are little-endian
/// words, of which a call leaves no part for the next one.
///
/// *Normals in double precision* come in blocks of 64 from two rounds. Lane l's words a and b give
/// u = 1 − ⌊a/2¹²⌋/2⁵² and θ = (π/2)(⌊b/2¹²⌋/2⁵² − 1/2); c = cos θ and s = sin θ; bit 11 of b turns c into −c, bit 10 then
/// exchanges c and s. √(−2 ln u) c is number l of the block and √(−2 ln u) s number 32 + l. Elementary functions are
/// accurate to five units in the last place and free of fused operations; the largest normal is 8.49.
///
/// *Normals in single precision* come in blocks of 64 from one round, at half of the cost: the upper half of lane l's word,
/// less its last bit, is a 31-bit integer k, u = (k + 1/2)/2³¹, and the lower half is, as a signed integer i,
/// θ = (π/2) ⌊i/4⌋/2³⁰, c turns into −c by its bit 1, and bit 0 exchanges. Numbers are rounded to `f32` on the way, hence
/// of 10⁸ pairs three are exactly zero, and the largest normal is 6.66. Where that matters, draw in double precision.
///
/// *Requests.* The three kinds (words and the two sorts of normals) each have a stock, and when it is empty the next rounds
/// fill it. So each kind is one sequence, and how it is split into requests changes none of its numbers as long as only
/// one kind is drawn: filling 10 numbers and then 22 is filling 32. Between kinds the order of the requests does count.
///
/// Not for cryptography.
#[derive(Clone)]
pub struct LaneRng {
    pub(super) state: LaneState,
    pub(super) words: Stock<u64, WIDTH>,
    pub(super) doubles: Stock<f64, BLOCK>,
    pub(super) singles: Stock<f32, BLOCK>,
}

impl LaneRng {
    /// The generator of replicate `index` of an experiment with that seed.
    ///
    /// Different pairs (seed, index) start from different states: the state's first two words are a permutation of the
    /// pair (four Feistel rounds whose function is the output function of splitmix64), the other two are four rounds
    /// more. Starting points are as if at random on a cycle of 2²⁵⁶ − 1, so that streams, of 32 lanes each, overlap
    /// with a probability that is zero for all purposes. No index gives the stream of `seed_from_u64(seed)`.
    ///
    /// ```
    /// use contrastive_dynamics::random::{FillNormal, LaneRng};
    /// let mut first = [[0.0_f64]; 100];
    /// for (replicate, x) in (0..).zip(&mut first) {
    ///     LaneRng::stream(7, replicate).fill_normal(x);
    /// }
    /// assert!(first.iter().any(|x| x != &first[0]));
    /// ```
    pub fn stream(seed: u64, index: u64) -> Self {
        let (mut left, mut right) = (seed, index);
        let mut bytes = [0; 32];
        for (k, half) in (1..).zip(bytes.as_chunks_mut::<16>().0) {
            for round in 4 * k - 4..4 * k {
                (left, right) = (right, left ^ mix(right.wrapping_add(GOLDEN.wrapping_mul(round + 1))));
            }
            half[..8].copy_from_slice(&left.to_le_bytes());
            half[8..].copy_from_slice(&right.to_le_bytes());
        }
        Self::from_seed(bytes)
    }

    fn from_first_lane(first: Xoshiro256PlusPlus) -> Self {
        Self {
            state: LaneState::from_first_lane(first),
            words: Stock::empty(),
            doubles: Stock::empty(),
            singles: Stock::empty(),
        }
    }
}

/// The increment of splitmix64, 2⁶⁴ over the golden ratio.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The output function of splitmix64, a permutation.
fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// Two thousand bytes of state help nobody.
impl std::fmt::Debug for LaneRng {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LaneRng").finish_non_exhaustive()
    }
}

impl SeedableRng for LaneRng {
    type Seed = [u8; 32];

    fn from_seed(seed: Self::Seed) -> Self {
        Self::from_first_lane(Xoshiro256PlusPlus::from_seed(seed))
    }

    fn seed_from_u64(seed: u64) -> Self {
        Self::from_first_lane(Xoshiro256PlusPlus::seed_from_u64(seed))
    }
}

impl TryRng for LaneRng {
    type Error = Infallible;

    #[inline]
    #[allow(clippy::cast_possible_truncation)] // the upper half fits
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|word| (word >> 32) as u32)
    }

    #[inline]
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        if self.words.used >= WIDTH {
            let Self { state, words, .. } = self;
            dispatch(
                #[inline(always)]
                || state.round(&mut words.items),
            );
            words.used = 0;
        }
        let word = self.words.items[self.words.used];
        self.words.used += 1;
        Ok(word)
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        rand_core::utils::fill_bytes_via_next_word(out, || self.try_next_u64())
    }
}

impl<T: Scalar> FillNormal<T> for LaneRng {
    fn fill_normal(&mut self, out: &mut [T]) {
        match T::in_precision(out) {
            InPrecision::Single(out) => fill(&mut self.state, &mut self.singles, out),
            InPrecision::Double(out) => fill(&mut self.state, &mut self.doubles, out),
        }
    }
}

/// Fills `out` from the stock, then from new blocks.
fn fill<T: BoxMuller>(state: &mut LaneState, stock: &mut Stock<T, BLOCK>, out: &mut [T]) {
    let out = stock.take(out);
    if out.is_empty() {
        return;
    }
    dispatch(
        #[inline(always)]
        || {
            let mut scratch = T::Scratch::default();
            // In memory, aligned to cache lines, as then is the stack to which the vectors of a block are spilled:
            // left in registers by the optimiser, unaligned spills cost a tenth.
            let scratch = std::hint::black_box(&mut scratch);
            let (blocks, rest) = out.as_chunks_mut();
            for block in blocks {
                T::block(state, scratch, block);
            }
            if !rest.is_empty() {
                T::block(state, scratch, &mut stock.items);
                stock.used = 0;
                stock.take(rest);
            }
        },
    );
}
