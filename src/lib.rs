//! The high-dimensional limit of online SGD in single-layer nonlinear contrastive learning.
//!
//! The model and its limit are those of Meng and Wang, *Training Dynamics of Nonlinear Contrastive Learning Model in
//! the High Dimensional Limit* ([arXiv 2406.06909](https://arxiv.org/abs/2406.06909)). As the dimension N grows, the
//! overlaps Q of the weights with the features and the weights' covariance R follow a closed ODE (under L2
//! regularisation); this crate simulates the model at finite N and solves its limit, from one [`model`].
//!
//! | question | where |
//! |---|---|
//! | what is trained, and how | [`model`] |
//! | what is the state | [`state::OrderParameters`] |
//! | what does SGD do at dimension N | [`sgd`] |
//! | what drives the limit: A, B, Λ | [`limit`] |
//! | where does the limit go | [`ode`] |
//! | which features can be learned | [`stability`] |
//! | what do the weights look like in the limit | [`pde`] |
//! | with which time stepping, and when to report | [`integrate`] |
//! | what runs anything, and what a run reports | [`state`] |
//! | how particles, grids and SGD start | [`start`] |
//! | what do many runs do | [`ensemble`] |
//! | how sure is the limit at finite N | [`fluctuation`] |
//! | which schedules are the best | [`control`] |
//! | how work is saved and goes on later | [`save`] |
//! | where random numbers come from | [`random`] |
//! | where many things run at once | [`parallel`] |
//! | all of it that most programs need, for one `use` | [`prelude`] |
//!
//! Scaling: weights and features have components of order one, a step of SGD moves w by −τ ∂F/∂w − (τ/N) γ φ(w), and
//! time is t = steps/N. No public number is pre-divided by N.
//!
//! ```
//! use contrastive_dynamics::prelude::*;
//!
//! let model = Model::builder()
//!     .nonlinearity(Tanh)
//!     .hidden(Independent::new([Law::two_point(2.25)?, Law::three_point(2.25, 0.5)?])?)
//!     .noise(GaussianNoise::correlated(0.3, -0.5)?)
//!     .learning_rate(0.3)
//!     .weight_decay(0.5)
//!     .build()?;
//! let start = OrderParameters::from_rows(2, 1, &[0.35, 0.2], &[1.0])?;
//! let theory = ReducedOde::new(&model)?.solver().solve(&start, 2.0)?;
//! let simulated = DirectSgd::builder(&model, 500).start(&start).build_seeded(1)?.run(2.0, &Output::Stop)?;
//! let (Some((_, limit)), Some((_, finite))) = (theory.last(), simulated.last()) else { unreachable!() };
//! assert!((limit.q()[(0, 0)] - finite.q()[(0, 0)]).abs() < 0.2); // of order 1/√N
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// What an input can reach must not panic.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod control;
pub mod ensemble;
mod error;
pub mod fluctuation;
pub mod integrate;
pub mod limit;
pub mod model;
mod numerics;
pub mod ode;
pub mod parallel;
pub mod pde;
pub mod prelude;
pub mod random;
pub mod save;
mod scalar;
pub mod sgd;
pub mod stability;
pub mod start;
pub mod state;

pub use error::Error;
pub use nalgebra;
pub use rand;
pub use scalar::Scalar;

/// The example of docs/best_schedules.md, compiled and run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/best_schedules.md")]
pub struct BestSchedules;

/// The README's example, compiled and run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
