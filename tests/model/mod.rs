//! Parts of a model: samplers, moments and nodes.

mod parts;
mod samplers;
#[cfg(feature = "serde")]
mod stored;
