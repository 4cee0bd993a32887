//! Thirty-two xoshiro256++ generators side by side.
//!
//! Covers their states, seeding and one round of outputs, as loops over arrays in memory that become vector instructions
//! under [`crate::numerics::lanes::dispatch`]. Not here: what the outputs are used for.
//!
//! Source: D. Blackman and S. Vigna, *Scrambled linear pseudorandom number generators*, ACM Trans. Math. Softw. 47
//! (2021), [doi:10.1145/3460772](https://doi.org/10.1145/3460772).

use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

/// The number of lanes: with fewer, the loops over them no longer fill the widest registers.
pub(crate) const WIDTH: usize = 32;

/// One output of each lane.
pub(super) type Round = [u64; WIDTH];

/// The states: word k of lane l is `words[k][l]`. Aligned so that no vector straddles two cache lines.
#[derive(Debug, Clone, PartialEq, Eq)]
#[repr(align(64))]
pub(crate) struct LaneState {
    pub(super) words: [Round; 4],
}

impl LaneState {
    /// Lane 0 starts where `first` stands, each further lane 2¹²⁸ steps after the one before it.
    pub(super) fn from_first_lane(mut first: Xoshiro256PlusPlus) -> Self {
        Self::from_lanes(&std::array::from_fn(|_| {
            let lane = first.clone();
            first.jump();
            lane
        }))
    }

    /// Every lane starts where its generator stands.
    pub(super) fn from_lanes(lanes: &[Xoshiro256PlusPlus; WIDTH]) -> Self {
        let mut words = [[0; WIDTH]; 4];
        for (lane, generator) in lanes.iter().enumerate() {
            let bytes = <Xoshiro256PlusPlus as SeedableRng>::Seed::from(generator.state());
            for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
                word[lane] = u64::from_le_bytes(*bytes);
            }
        }
        Self { words }
    }

    /// The next output of one lane.
    #[inline(always)]
    pub(super) fn step(&mut self, l: usize) -> u64 {
        let [a, b, c, d] = &mut self.words;
        let (s0, s1, s2, s3) = (a[l], b[l], c[l], d[l]);
        let out = s0.wrapping_add(s3).rotate_left(23).wrapping_add(s0);
        let (t2, t3) = (s2 ^ s0, s3 ^ s1);
        a[l] = s0 ^ t3;
        b[l] = s1 ^ t2;
        c[l] = t2 ^ (s1 << 17);
        d[l] = t3.rotate_left(45);
        out
    }

    /// The next output of each lane.
    #[inline(always)]
    pub(super) fn round(&mut self, out: &mut Round) {
        for l in 0..WIDTH {
            out[l] = self.step(l);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn lanes_are_the_scalar_generator_and_its_jumps() {
        let mut scalar = Xoshiro256PlusPlus::seed_from_u64(3);
        let mut state = LaneState::from_first_lane(scalar.clone());
        let mut rounds = vec![[0; WIDTH]; 50];
        for round in &mut rounds {
            state.round(round);
        }
        for lane in 0..WIDTH {
            let mut generator = scalar.clone();
            for round in &rounds {
                assert_eq!(round[lane], generator.next_u64(), "lane {lane}");
            }
            scalar.jump();
        }
    }
}
