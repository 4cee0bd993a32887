//! The Box-Muller transform of whole blocks: two uniform numbers give √(−2 ln u) (cos θ, sin θ), two standard normals.
//!
//! Covers one block of normals from the next rounds of the lanes, in double precision (two rounds) and in single precision
//! (one). Not here: blocks that are used in part (see [`crate::random::lane_rng`]).
//!
//! A transform is a few loops over the lanes, so that one's divisions and square roots overlap with the next one's
//! polynomials; in a single loop they would wait for each other. Loops read and write scratch arrays that alias
//! nothing, and the output only at the end: otherwise the compiler would add a scalar version of each.
//!
//! Source: G. E. P. Box and M. E. Muller, *A note on the generation of random normal deviates*, Ann. Math. Statist. 29
//! (1958), [doi:10.1214/aoms/1177706645](https://doi.org/10.1214/aoms/1177706645).

use crate::random::elementary::{cos_sin, cos_sin_single, minus_two_ln, minus_two_ln_single, reduce, reduce_single};
use crate::random::lane_state::{LaneState, WIDTH};

/// Normals in a block: two for each lane.
pub(super) const BLOCK: usize = 2 * WIDTH;

/// What passes from one loop to the next.
#[derive(Debug, Clone)]
#[repr(align(64))]
pub(crate) struct Scratch<T, A> {
    angles: [A; WIDTH],
    exponents: [T; WIDTH],
    radii: [T; WIDTH],
    x: [T; WIDTH],
    y: [T; WIDTH],
}

impl<T: Copy + Default, A: Copy + Default> Default for Scratch<T, A> {
    #[inline(always)]
    fn default() -> Self {
        Self {
            angles: [A::default(); WIDTH],
            exponents: [T::default(); WIDTH],
            radii: [T::default(); WIDTH],
            x: [T::default(); WIDTH],
            y: [T::default(); WIDTH],
        }
    }
}

/// A number type with a Box-Muller transform.
pub(crate) trait BoxMuller: Copy + Default {
    /// The scratch arrays of its transform.
    type Scratch: std::fmt::Debug + Clone + Default;

    /// Fills the block from the next rounds: of lane l the cosine's normal at l, the sine's at `WIDTH` + l.
    fn block(state: &mut LaneState, scratch: &mut Self::Scratch, out: &mut [Self; BLOCK]);
}

/// The upper 52 bits, uniform on [1, 2).
#[inline(always)]
fn one_to_two(word: u64) -> f64 {
    f64::from_bits((word >> 12) | (1023 << 52))
}

impl BoxMuller for f64 {
    type Scratch = Scratch<Self, u64>;

    #[inline(always)]
    fn block(state: &mut LaneState, scratch: &mut Self::Scratch, out: &mut [Self; BLOCK]) {
        let Scratch { angles, exponents, radii, x, y } = scratch;
        for l in 0..WIDTH {
            let word = state.step(l);
            angles[l] = state.step(l);
            (exponents[l], radii[l]) = reduce(2.0 - one_to_two(word));
        }
        let (first, second) = out.split_at_mut(WIDTH);
        for l in 0..WIDTH {
            radii[l] = minus_two_ln(exponents[l], radii[l]).sqrt();
            let angle = angles[l];
            let (cos, sin) = cos_sin(one_to_two(angle) - 1.5);
            let cos = Self::from_bits(cos.to_bits() ^ ((angle << 52) & (1 << 63)));
            (x[l], y[l]) = if angle & (1 << 10) == 0 { (cos, sin) } else { (sin, cos) };
            (first[l], second[l]) = (radii[l] * x[l], radii[l] * y[l]);
        }
    }
}

impl BoxMuller for f32 {
    type Scratch = Scratch<Self, u32>;

    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_precision_loss)]
    fn block(state: &mut LaneState, scratch: &mut Self::Scratch, out: &mut [Self; BLOCK]) {
        const TWO_TO_MINUS_30: f32 = 1.0 / 1_073_741_824.0;
        const TWO_TO_MINUS_31: f32 = 1.0 / 2_147_483_648.0;
        let Scratch { angles, exponents, radii, .. } = scratch;
        for l in 0..WIDTH {
            let word = state.step(l);
            angles[l] = word as u32;
            // Signed, because only signed integers have a conversion on every instruction set.
            let uniform = ((word >> 33) as i32 as Self + 0.5) * TWO_TO_MINUS_31;
            (exponents[l], radii[l]) = reduce_single(uniform);
        }
        for l in 0..WIDTH {
            radii[l] = minus_two_ln_single(exponents[l], radii[l]).sqrt();
        }
        let (first, second) = out.split_at_mut(WIDTH);
        for l in 0..WIDTH {
            let (angle, radius) = (angles[l], radii[l]);
            let (cos, sin) = cos_sin_single((angle as i32 >> 2) as Self * TWO_TO_MINUS_30);
            let cos = Self::from_bits(cos.to_bits() ^ ((angle << 30) & (1 << 31)));
            let (x, y) = if angle & 1 == 0 { (cos, sin) } else { (sin, cos) };
            (first[l], second[l]) = (radius * x, radius * y);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_xoshiro::Xoshiro256PlusPlus;

    const BLOCKS: usize = 500;

    fn state() -> LaneState {
        LaneState::from_first_lane(Xoshiro256PlusPlus::seed_from_u64(7))
    }

    #[inline(always)]
    fn blocks<T: BoxMuller>(state: &mut LaneState, out: &mut [[T; BLOCK]]) {
        let mut scratch = T::Scratch::default();
        for block in out {
            T::block(state, &mut scratch, block);
        }
    }

    /// On every instruction set of this machine, the baseline first.
    fn everywhere<T: BoxMuller>() -> Vec<Vec<[T; BLOCK]>> {
        let zeros = || vec![[T::default(); BLOCK]; BLOCKS];
        let mut results = vec![zeros(), zeros()];
        blocks(&mut state(), &mut results[0]);
        let out = &mut results[1];
        crate::numerics::lanes::dispatch(
            #[inline(always)]
            || blocks(&mut state(), out),
        );
        #[cfg(target_arch = "x86_64")]
        {
            let mut out = zeros();
            if let Some(v3) = pulp::x86::V3::try_new() {
                v3.vectorize(
                    #[inline(always)]
                    || blocks(&mut state(), &mut out),
                );
                results.push(out);
            }
            let mut out = zeros();
            if let Some(v4) = pulp::x86::V4::try_new() {
                v4.vectorize(
                    #[inline(always)]
                    || blocks(&mut state(), &mut out),
                );
                results.push(out);
            }
        }
        results
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let results = everywhere::<f64>();
        let bits = |x: &Vec<[f64; BLOCK]>| x.iter().flatten().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert!(results.iter().all(|x| bits(x) == bits(&results[0])));
        let results = everywhere::<f32>();
        let bits = |x: &Vec<[f32; BLOCK]>| x.iter().flatten().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert!(results.iter().all(|x| bits(x) == bits(&results[0])));
    }

    /// The documented map from words to normals, with the library's functions.
    #[test]
    fn blocks_are_the_transform_of_their_words() {
        let (mut words, mut lanes) = ([[0; WIDTH]; 2], state());
        for round in &mut words {
            lanes.round(round);
        }
        let (mut doubles, mut singles) = ([0.0; BLOCK], [0.0; BLOCK]);
        f64::block(&mut state(), &mut Scratch::default(), &mut doubles);
        f32::block(&mut state(), &mut Scratch::default(), &mut singles);
        let turned = |(cos, sin): (f64, f64), sign: u64, swap: u64| {
            let cos = if sign == 1 { -cos } else { cos };
            if swap == 1 { (sin, cos) } else { (cos, sin) }
        };
        let quarter = |y: f64| (std::f64::consts::FRAC_PI_2 * y).sin_cos();
        for l in 0..WIDTH {
            let (word, angle) = (words[0][l], words[1][l]);
            let radius = (-2.0 * (1.0 - (word >> 12) as f64 / 2_f64.powi(52)).ln()).sqrt();
            let (sin, cos) = quarter((angle >> 12) as f64 / 2_f64.powi(52) - 0.5);
            let (x, y) = turned((cos, sin), angle >> 11 & 1, angle >> 10 & 1);
            assert!((doubles[l] - radius * x).abs() < 1e-14, "lane {l}");
            assert!((doubles[WIDTH + l] - radius * y).abs() < 1e-14, "lane {l}");

            let radius = (-2.0 * (((word >> 33) as f64 + 0.5) / 2_f64.powi(31)).ln()).sqrt();
            let high = ((word & 0xFFFF_FFFC) << 32).cast_signed();
            let (sin, cos) = quarter(high as f64 / 2_f64.powi(64));
            let (x, y) = turned((cos, sin), word >> 1 & 1, word & 1);
            assert!((f64::from(singles[l]) - radius * x).abs() < 2e-6, "lane {l}");
            assert!((f64::from(singles[WIDTH + l]) - radius * y).abs() < 2e-6, "lane {l}");
        }
    }
}
