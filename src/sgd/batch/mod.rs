//! One batch as the simulators see it: its components in the span of features and weights, and its error signals.

pub(in crate::sgd) mod error_signals;
pub(in crate::sgd) mod frame;
pub(in crate::sgd) mod lane_rows;
pub(in crate::sgd) mod span;
pub(in crate::sgd) mod update;
