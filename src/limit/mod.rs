//! The limit coefficients A, B and Λ (theory §3): the one object from which ODE, PDE and stability are built.
//!
//! Covers [`Limit`], which answers for their error, [`Coefficients`], and [`Rule`], a frozen choice of nodes. Not here: what
//! moves by them (see [`crate::ode`] and [`crate::pde`]).
//!
//! <div data-tex="A_{li} = -\tau\, \mathbb E\Big[\tfrac1B \sum_b \sum_v e_{bi}^v\, \tilde x_{bl}^v\Big], \quad B_{ji} = -\tau\, \mathbb E\Big[\tfrac1B \sum_b \sum_v e_{bi}^v\, h_{bj}^v\Big], \quad \Lambda_{ij} = \tau^2\, \mathbb E\Big[\tfrac1{B^2} \sum_b \sum_{v,v'} e_{bi}^v D_{vv'} e_{bj}^{v'}\Big]">
//!
//! ```text
//! A_li = −τ E[(1/B) Σ_b Σ_v e_bi^v x̃_bl^v]               p x m
//! B_ji = −τ E[(1/B) Σ_b Σ_v e_bi^v h_bj^v]                m x m
//! Λ_ij = τ² E[(1/B²) Σ_b Σ_{v,v'} e_bi^v D_vv' e_bj^v']   m x m
//! ```
//!
//! </div>
//!
//! Here h_bj^v is the field of neuron j in view v of sample b, e_bi^v = σ'(h_bi^v) B ∂F/∂y_bi^v its error signal, x̃_bl^v the view seen
//! along feature l, and D the covariance over the views of one background coordinate.
//!
//! The private files, from the lowest up: `hidden` and `loss_terms` (nodes of the hidden law, and the loss as the averages
//! see it), `problem` (the limit as data), `numbers` (its numbers, with derivatives), `fields` (Gaussian fields), `expansion` (losses that are polynomials of averages over the batch), `averages` (over two fields, four, all of a sample, whole batches), `signals` (what Λ is made of), `work`
//! (everything between a state and its coefficients), `assembly` (from averages to coefficients), `hidden_way` (by what the hidden law is averaged), `rule` (a choice of nodes) and `evaluation`, `jacobian` and
//! `slopes` (derivatives), `refine` (error control), `moment_list`, `placements`, `increment_expansion`, `increments`, `increment_rule` and `increment_averages` (the
//! covariance of what one batch adds), `compiled` (entry points).

mod accuracy;
mod assembly;
mod averages;
mod coefficients;
mod compiled;
mod error;
mod evaluation;
mod expansion;
mod fields;
mod hidden;
mod hidden_way;
mod increment_averages;
mod increment_expansion;
mod increment_rule;
mod increments;
mod jacobian;
mod large_gain;
mod loss_terms;
mod moment_list;
mod moving_limit;
mod numbers;
mod overlap_jacobian;
mod parameter;
mod parameters;
mod placements;
mod problem;
mod refine;
mod rule;
mod signals;
mod slopes;
mod work;

pub use coefficients::{Coefficients, Drift, Estimated};
pub use compiled::Compiled;
pub use error::LimitError;
pub(crate) use increment_averages::IncrementAverages;
pub(crate) use increment_rule::IncrementRule;
pub(crate) use increments::Increments;
pub(crate) use moving_limit::MovingLimit;
pub(crate) use parameter::Direction;
pub use parameter::Parameter;
pub use problem::{Limit, Quadrature};
pub use rule::Rule;
pub(crate) use work::{Assembled, Moving};
