//! Generators as data (feature `serde`): a generator that is read goes on as the one that was written would have.
//!
//! Covers the states of the lanes and what was drawn ahead.

use serde::{Deserialize, Serialize};

use crate::random::lane_rng::{LaneRng, Stock};
use crate::random::lane_state::{LaneState, WIDTH};
use crate::random::lane_streams::{LaneStreams, STOCK};

/// Why stored data is no generator.
#[derive(Debug, thiserror::Error)]
#[error("a generator has {expected} {what}, got {got}")]
pub(super) struct StoredError {
    what: &'static str,
    expected: usize,
    got: usize,
}

/// The words of the lanes, one after the other.
fn lanes<const N: usize>(rows: &[[u64; WIDTH]; N]) -> Vec<u64> {
    rows.concat()
}

fn rows<const N: usize>(words: &[u64], what: &'static str) -> Result<[[u64; WIDTH]; N], StoredError> {
    let wrong = StoredError { what, expected: N * WIDTH, got: words.len() };
    let (rows, rest) = words.as_chunks();
    if rest.is_empty() { rows.try_into().map_err(|_| wrong) } else { Err(wrong) }
}

impl Serialize for LaneState {
    fn serialize<Z: serde::Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        lanes(&self.words).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for LaneState {
    fn deserialize<Z: serde::Deserializer<'de>>(deserializer: Z) -> Result<Self, Z::Error> {
        let words = Vec::deserialize(deserializer)?;
        Ok(Self { words: rows(&words, "words of state").map_err(serde::de::Error::custom)? })
    }
}

impl<T: Copy + Default, const N: usize> Stock<T, N> {
    /// What has not been given away.
    fn left(&self) -> Vec<T> {
        self.items[self.used.min(N)..].to_vec()
    }

    /// A stock of which that has not been given away.
    fn of(left: &[T]) -> Result<Self, StoredError> {
        let mut stock = Self::empty();
        let Some(used) = N.checked_sub(left.len()) else {
            return Err(StoredError { what: "numbers in stock at most", expected: N, got: left.len() });
        };
        stock.items[used..].copy_from_slice(left);
        stock.used = used;
        Ok(stock)
    }
}

/// See [`LaneRng`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredRng {
    state: LaneState,
    words: Vec<u64>,
    doubles: Vec<f64>,
    singles: Vec<f32>,
}

impl From<LaneRng> for StoredRng {
    fn from(rng: LaneRng) -> Self {
        let LaneRng { state, words, doubles, singles } = rng;
        Self { state, words: words.left(), doubles: doubles.left(), singles: singles.left() }
    }
}

impl TryFrom<StoredRng> for LaneRng {
    type Error = StoredError;

    fn try_from(stored: StoredRng) -> Result<Self, StoredError> {
        let StoredRng { state, words, doubles, singles } = stored;
        Ok(Self { state, words: Stock::of(&words)?, doubles: Stock::of(&doubles)?, singles: Stock::of(&singles)? })
    }
}

/// A generator as the data that it is stored as.
macro_rules! stored_as {
    ($($rng:ident as $stored:ident),*) => {$(
        impl Serialize for $rng {
            fn serialize<Z: serde::Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
                $stored::from(self.clone()).serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $rng {
            fn deserialize<Z: serde::Deserializer<'de>>(deserializer: Z) -> Result<Self, Z::Error> {
                $stored::deserialize(deserializer)?.try_into().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
stored_as!(LaneRng as StoredRng, LaneStreams as StoredStreams);

/// See [`LaneStreams`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredStreams {
    normals: LaneState,
    uniforms: LaneState,
    words: LaneState,
    spare: LaneState,
    stock: Vec<u64>,
    used: Vec<usize>,
}

impl From<LaneStreams> for StoredStreams {
    fn from(streams: LaneStreams) -> Self {
        let LaneStreams { normals, uniforms, words, spare, stock, used } = streams;
        Self { normals, uniforms, words, spare, stock: lanes(&stock), used: used.to_vec() }
    }
}

impl TryFrom<StoredStreams> for LaneStreams {
    type Error = StoredError;

    fn try_from(stored: StoredStreams) -> Result<Self, StoredError> {
        let StoredStreams { normals, uniforms, words, spare, stock, used } = stored;
        let got = used.len();
        let used: [usize; WIDTH] = used.try_into().map_err(|_| StoredError { what: "stocks", expected: WIDTH, got })?;
        if let Some(&got) = used.iter().find(|&&used| used > STOCK) {
            return Err(StoredError { what: "words in a stock at most", expected: STOCK, got });
        }
        Ok(Self { normals, uniforms, words, spare, stock: rows(&stock, "words in stock")?, used })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::FillNormal;
    use rand::{Rng, SeedableRng};

    #[test]
    fn a_generator_that_was_stored_goes_on() {
        let mut rng = LaneRng::seed_from_u64(5);
        let (mut doubles, mut singles) = ([0.0_f64; 71], [0.0_f32; 13]);
        rng.fill_normal(&mut doubles);
        rng.fill_normal(&mut singles);
        rng.next_u64();
        let text = serde_json::to_string(&rng).unwrap();
        let mut read: LaneRng = serde_json::from_str(&text).unwrap();
        let draw = |rng: &mut LaneRng| {
            let (mut doubles, mut singles) = ([0.0_f64; 100], [0.0_f32; 100]);
            rng.fill_normal(&mut doubles);
            rng.fill_normal(&mut singles);
            (doubles.map(f64::to_bits), singles.map(f32::to_bits), rng.next_u64(), rng.next_u32())
        };
        assert_eq!(draw(&mut rng), draw(&mut read));
        let wrong = text.replacen('[', "[1,", 1);
        assert!(
            serde_json::from_str::<LaneRng>(&wrong).unwrap_err().to_string().contains("128 words of state, got 129")
        );
    }
}
