//! The high-dimensional limit of online SGD in single-layer nonlinear contrastive learning.
//!
//! The model and its limit are those of Meng and Wang, *Training Dynamics of Nonlinear Contrastive Learning Model in
//! the High Dimensional Limit* ([arXiv 2406.06909](https://arxiv.org/abs/2406.06909)). As the dimension N grows, the
//! overlaps Q of the weights with the features and the weights' covariance R follow a closed ODE (under L2
//! regularisation); this crate simulates the model at finite N and solves its limit, from one [`model`]. This page says
//! what is computed, which part of the crate answers which question, and what that costs.
//!
//! # The model
//!
//! A sample is p features U, each weighted by a hidden variable c_l, in a Gaussian background a of variance η². It is seen in two
//! views with augmentation noise s¹ and s², of which m neurons make outputs:
//!
//! <div data-tex="x^v = \frac{U c}{\sqrt N} + a + s^v, \qquad y_i^v = \sigma\!\left(\frac{w_i \cdot x^v}{\sqrt N}\right), \qquad v = 1, 2">
//!
//! ```text
//! x^v = U c/√N + a + s^v,   y_i^v = σ(w_i·x^v/√N),   v = 1, 2
//! ```
//!
//! </div>
//!
//! Online SGD draws a fresh batch of B samples in every step, and lowers a loss F of the outputs, by default
//! F = −Σ_i C_ii + λ Σ_{i≠j} g(C_ij) of the covariances C of the outputs across the views, under weight decay:
//!
//! <div data-tex="w_i \leftarrow w_i - \tau\, \frac{\partial F}{\partial w_i} - \frac{\tau}{N}\, \gamma\, \varphi(w_i)">
//!
//! ```text
//! w_i ← w_i − τ ∂F/∂w_i − (τ/N) γ φ(w_i)
//! ```
//!
//! </div>
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
//!
//! # Scaling
//!
//! Weights and features have components of order one; time is t = steps/N. τ and γ are the numbers of the formula above: no public number
//! is divided by N beforehand. What is followed are the order parameters, [`state::OrderParameters`],
//!
//! <div data-tex="Q = \frac{U^\top W}{N} \in \mathbb R^{p \times m}, \qquad R = \frac{W^\top W}{N} \in \mathbb R^{m \times m}">
//!
//! ```text
//! Q = UᵀW/N  (p x m),   R = WᵀW/N  (m x m)
//! ```
//!
//! </div>
//!
//! and as N → ∞ they follow the reduced ODE, whose coefficients A, B and Λ are averages over Gaussian fields, functions of (Q, R)
//! ([`limit`]):
//!
//! <div data-tex="\frac{dQ}{dt} = A - \tau\gamma\, Q, \qquad \frac{dR}{dt} = B + B^\top + \Lambda - 2\tau\gamma\, R">
//!
//! ```text
//! dQ/dt = A − τγ Q
//! dR/dt = B + Bᵀ + Λ − 2τγ R
//! ```
//!
//! </div>
//!
//! # The way of the data
//!
//! ```text
//! Model (Spec) ──► limit: A, B, Λ at (Q, R) ──► ode ──► stability, fluctuation, control
//!    │                  │
//!    │                  └─────────────────────► pde: particles, grid
//!    └──► sgd: direct | compressed | projected ──► ensemble ──► statistics
//!
//! every solver and simulator ──► state::Run ──► Trajectory ──► data: CSV, JSON
//! ```
//!
//! # Where to look
//!
//! | question | where |
//! |---|---|
//! | what is trained, and how | [`model`] |
//! | what is the state | [`state::OrderParameters`] |
//! | what does SGD do at dimension N | [`sgd`] |
//! | what drives the limit: A, B, Λ | [`limit`] |
//! | where does the limit go | [`ode`] |
//! | which features can be learned, and which are | [`stability`] |
//! | what do the weights look like in the limit | [`pde`] |
//! | with which time stepping, and when to report | [`integrate`] |
//! | what runs anything, and what a run reports | [`state`] |
//! | how particles, grids and SGD start | [`start`] |
//! | what do many runs do | [`ensemble`] |
//! | how sure is the limit at finite N | [`fluctuation`] |
//! | which schedules are the best | [`control`] |
//! | how results go to other programs | [`data`] |
//! | how work is saved and goes on later | [`save`] |
//! | where random numbers come from | [`random`] |
//! | where many things run at once | [`parallel`] |
//! | all of it that most programs need, for one `use` | [`prelude`] |
//! | any error of the crate, for `?` | [`Error`] |
//!
//! # Which simulator
//!
//! All three agree in law. [`sgd::ProjectedChain`] keeps (Q, R) alone: use it wherever it takes your model, that is under Gaussian noise and
//! a linear regulariser, and in lock-step for many runs ([`ensemble::Ensemble::run_projected`]). [`sgd::CompressedSgd`] keeps the weights,
//! for L1 and others, and for what the weights look like. [`sgd::DirectSgd`] draws every view, for noise that is not Gaussian and
//! transformations of your own.
//!
//! # Which solver
//!
//! | you have | take |
//! |---|---|
//! | a linear regulariser (L2) | [`ode::ReducedOde`]: by default Dormand-Prince 5(4) |
//! | slow growth beside fast decay, over a long time | the same with the stiff methods of `integrate::Diffsol` (feature `diffsol`) |
//! | L1 or another regulariser, one neuron | [`pde::grid::GridSolver`], with an estimate of its error |
//! | the same, several neurons | [`pde::particles::ParticleSystem`] |
//! | the end, not the way | [`stability::FixedPointFinder`], or [`stability::steady_state`] of one start |
//! | the end over a range of a parameter | [`stability::Continuation`] |
//!
//! # What it costs
//!
//! | | cost |
//! |---|---|
//! | a step of `DirectSgd` | of order B N (p + m), and 2BN normals |
//! | a step of `CompressedSgd` | of order N m (p + m), at most N m normals |
//! | a step of `ProjectedChain` | of order B (p + m) m, at any N |
//! | a run to time t | N t steps |
//! | a right-hand side of the ODE, one neuron | linear in the nodes of the hidden law, and for many features linear in p |
//! | the same, of one feature | for two neurons 17 times that for one, for three 210 times |
//! | its Jacobian | four to five right-hand sides for a few unknowns, more for tens of them |
//! | a step of a particle system | of order K (p + m) m for K rows |
//! | error bars along a solution | 2.7 solutions for one neuron, 7.9 for two |
//!
//! Where numbers stand they were measured, by the commands in docs/performance.md, which has more. Averages are asked for to a tolerance
//! ([`ode::ReducedOde::coefficient_tolerance`]), by default 1e-9 for one neuron: where a picture is all that is wanted, 1e-5 is faster.
//!
//! # Features of the crate
//!
//! | feature | adds |
//! |---|---|
//! | `parallel` | ensembles, particles and maps over the threads of rayon, to the same bits |
//! | `serde` | everything as data, tables as JSON, work under way in files |
//! | `diffsol` | stiff methods for the reduced ODE |
//!
//! Twelve recipes, each a whole program, are in docs/guide.md of the repository.

// What an input can reach must not panic.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod control;
pub mod data;
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

/// The recipes of docs/guide.md, compiled and run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/guide.md")]
pub struct Guide;

/// The README's example, compiled and run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
