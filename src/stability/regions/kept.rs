//! A map under way, as it is kept.

use crate::Scalar;
use crate::stability::regions::outcome::Outcome;

/// A map under way as it is kept by [`AttractionRegions::saved_in`](super::AttractionRegions::saved_in).
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "T: serde::Serialize", deserialize = "T: serde::Deserialize<'de>"))
)]
pub struct MapProgress<T: Scalar = f64> {
    /// Of all starts on the first pass, or of the first of them.
    pub(super) outcomes: Vec<Outcome<T>>,
    pub(super) refined: usize,
    /// The starts that were followed again.
    pub(super) followed: Vec<bool>,
    /// Those of the present pass, and the outcomes of the first of them.
    pub(super) suspects: Vec<usize>,
    pub(super) second: Vec<Outcome<T>>,
}

impl<T: Scalar> MapProgress<T> {
    pub(super) fn begin(count: usize) -> Self {
        let followed = vec![false; count];
        Self { outcomes: Vec::new(), refined: 0, followed, suspects: Vec::new(), second: Vec::new() }
    }

    /// Whether its parts fit together, for so many starts.
    pub(super) fn fits(&self, count: usize) -> bool {
        let Self { outcomes, refined, followed, suspects, second } = self;
        let whole = outcomes.len() == count;
        let first = suspects.is_empty() && *refined == 0 && outcomes.len() < count;
        let within = suspects.windows(2).all(|pair| pair[0] < pair[1]) && suspects.last().is_none_or(|&k| k < count);
        followed.len() == count && (whole || first) && within && second.len() <= suspects.len() && *refined <= count
    }
}
