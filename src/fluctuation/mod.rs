//! How sure the limit is at finite N: the covariance of the order parameters, error bars and the mean correction of order 1/N
//! (theory §7).
//!
//! √N (s_N(t) − s(t)) of the state s = (Q, R) converges to a Gaussian process, with the covariance
//!
//! <div data-tex="\frac{d\Sigma}{dt} = J \Sigma + \Sigma J^\top + \Gamma">
//!
//! ```text
//! dΣ/dt = JΣ + ΣJᵀ + Γ
//! ```
//!
//! </div>
//!
//! with J the Jacobian of the reduced ODE and Γ the covariance of what one step adds. Not here: the averages in Γ (see [`crate::limit`]), and ensembles of runs (see
//! [`crate::ensemble`]).
//!
//! | question | where |
//! |---|---|
//! | what is the noise of one step | [`Fluctuations::noise`] |
//! | what do runs at dimension N look like along a solution | [`Fluctuations::solver`] |
//! | and of a function of the state: mean and standard deviation | [`FluctuationPath::band`] |
//! | is the deviation of my run chance | [`FluctuationPath::compare`] |
//! | how long do runs take to leave Q = 0, and what do they learn | [`Fluctuations::escape`] |
//! | what do they look like at a steady state | [`Fluctuations::stationary`] |

mod band;
mod compare;
mod correction;
mod error;
mod escape;
mod noise;
mod path;
mod solver;
mod start;
mod stationary;
mod system;

pub use band::Prediction;
pub use compare::Comparison;
pub use error::FluctuationError;
pub use escape::{Escape, EscapeTimes, Escaped};
pub use noise::{Fluctuations, Noise, NoiseRule};
pub use path::FluctuationPath;
pub use solver::FluctuationSolver;
pub use start::StartCovariance;
pub use stationary::Stationary;
