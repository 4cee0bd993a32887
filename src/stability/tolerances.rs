//! The numbers by which several files of this room judge what rounding explains.
//!
//! Covers the tolerances that more than one file needs, in ulp. Not here: tolerances of one method alone, which stand
//! beside it.

/// What a sum of some dozen products may lose: moments and means of hidden variables, entries of R − QᵀQ. A mean or a
/// correlation within it counts as zero.
pub(crate) const ROUNDING: f64 = 64.0;
/// What one evaluation of a nonlinearity may lose: a σ(0) within it counts as zero.
pub(crate) const EVALUATION: f64 = 16.0;
