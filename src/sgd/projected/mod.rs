//! The projected chain (theory §8): one replicate, or thirty-two in lock-step.

mod chain;
mod lane_batch;
mod lanes;
mod single;

pub use chain::{ProjectedChain, SavedChain};
pub use lanes::{ProjectedLanes, SavedLanes};
