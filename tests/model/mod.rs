//! Parts of a model: samplers, moments and nodes.

mod samplers;
