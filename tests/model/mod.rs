//! Parts of a model: samplers, moments and nodes.

mod samplers;
#[cfg(feature = "serde")]
mod stored;
