//! The McKean-Vlasov equation (theory §4): the law P_t(u, w) of a row of features and weights as N → ∞, for every
//! regulariser.
//!
//! The empirical measure of the rows converges to the solution of
//!
//! <div data-tex="\partial_t P = -\nabla_w \cdot \big[(\alpha^\top u + \beta^\top w - \tau\gamma\, \varphi(w))\, P\big] + \tfrac12 \sum_{ij} \Lambda_{ij}\, \frac{\partial^2 P}{\partial w_i\, \partial w_j}">
//!
//! ```text
//! ∂_t P = −∇_w·[(αᵀu + βᵀw − τγ φ(w)) P] + ½ Σ_ij Λ_ij ∂²P/∂w_i∂w_j
//! ```
//!
//! </div>
//!
//! with α, β, Λ functions of Q = ∫ u wᵀ dP and R = ∫ w wᵀ dP. Start laws are in [`crate::start`], the coefficients in
//! [`crate::limit`].

pub mod grid;
pub mod observables;
pub mod particles;
mod step_size;
