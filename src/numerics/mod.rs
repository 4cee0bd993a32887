//! The numerical tools of the crate, which know nothing of the model.
//!
//! Covers lanes and kernels on slices, elementary functions on slices, dual numbers, small dense linear algebra with a
//! guarded solver for eigenvalues, brackets of roots and of maxima, Gauss rules, normal quantiles and Sobol points. Not
//! here: random numbers (see [`crate::random`]) and time stepping (see [`crate::integrate`]).

pub(crate) mod bracket;
pub(crate) mod chi_square;
pub(crate) mod constants;
pub(crate) mod differences;
pub(crate) mod dual;
pub(crate) mod eigen;
pub(crate) mod elementary;
pub(crate) mod fourier;
pub(crate) mod gauss;
pub(crate) mod kernels;
pub(crate) mod lanes;
pub(crate) mod largest;
pub(crate) mod linear;
pub(crate) mod lyapunov;
pub(crate) mod matrix;
pub(crate) mod maximum;
pub(crate) mod memory;
pub(crate) mod normal;
pub(crate) mod products;
pub(crate) mod sobol;
#[cfg(feature = "serde")]
pub(crate) mod stored;
pub(crate) mod triangle;
