//! Where training ends and what is stable there (theory §6).
//!
//! In: the uninformative fixed points of a single neuron and the growth rates of the features there; a guarded solver
//! for eigenvalues and eigenvectors.

mod spectrum;
mod uninformative;

pub use spectrum::{Spectrum, SpectrumError, eigenvalues, spectrum};
pub use uninformative::{StabilityError, UninformativePoint, uninformative_points};
