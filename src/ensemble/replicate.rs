//! One run of an ensemble: its number and its seed.

/// One run of an ensemble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Replicate {
    /// Its number, from 0.
    pub index: u64,
    /// Its seed: a function of the ensemble's seed and of the number alone, different for every number.
    pub seed: u64,
}
