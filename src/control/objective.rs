//! What is wanted of a solution.

use std::fmt;

use crate::Scalar;
use crate::control::Functional;
use crate::state::{Direction, OrderParameters};

/// J = ψ(T, s(T)) + ∫₀ᵀ ℓ(t, s(t)) dt of a solution s(t), up to a time T that is given or at which an event happens.
///
/// | setter | meaning | default |
/// |---|---|---|
/// | [`at_end`](Self::at_end) | ψ, of the final state | none |
/// | [`integral`](Self::integral) | ℓ, along the path | none |
/// | [`until`](Self::until) | the event that ends it | none: it ends at the time asked for |
///
/// ```
/// use contrastive_dynamics::control::{Adjoint, CosineSimilarity, Objective};
/// use contrastive_dynamics::prelude::*;
/// use contrastive_dynamics::state::Direction;
/// let model = Model::builder()
///     .nonlinearity(Tanh)
///     .hidden(Independent::new([Law::two_point(2.25)?])?)
///     .noise(GaussianNoise::correlated(0.3, -0.5)?)
///     .learning_rate(0.3)
///     .weight_decay(0.5)
///     .build()?;
/// let ode = ReducedOde::new(&model)?;
/// let start = OrderParameters::from_rows(1, 1, &[0.4], &[0.8])?;
/// // The time until the feature is learned to a cosine similarity of 0.8.
/// let learned = |_: f64, state: &OrderParameters| state.cosine_similarity(0, 0).unwrap_or(0.0) - 0.8;
/// let objective = Objective::new().at_end(|t, _: &_| t).until(Direction::AtOrAbove, learned);
/// let gradient = Adjoint::new(&ode).gradient(&objective, &start, 100.0)?;
/// assert!(gradient.value() == gradient.end() && gradient.by_start()[0] < 0.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Objective<'f, T: Scalar = f64> {
    pub(super) at_end: Option<Box<dyn Functional<T> + 'f>>,
    pub(super) integral: Option<Box<dyn Functional<T> + 'f>>,
    pub(super) event: Option<(Direction, Box<dyn Functional<T> + 'f>)>,
}

impl<T: Scalar> fmt::Debug for Objective<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Objective")
            .field("at_end", &self.at_end.is_some())
            .field("integral", &self.integral.is_some())
            .field("until", &self.event.as_ref().map(|(direction, _)| direction))
            .finish()
    }
}

impl<T: Scalar> Default for Objective<'_, T> {
    fn default() -> Self {
        Self { at_end: None, integral: None, event: None }
    }
}

impl<'f, T: Scalar> Objective<'f, T> {
    /// Nothing yet. Each setter below replaces what it was given before.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts that function ψ of the end.
    #[must_use]
    pub fn at_end(mut self, function: impl Functional<T> + 'f) -> Self {
        self.at_end = Some(Box::new(function));
        self
    }

    /// Counts the integral of that function ℓ over time.
    #[must_use]
    pub fn integral(mut self, function: impl Functional<T> + 'f) -> Self {
        self.integral = Some(Box::new(function));
        self
    }

    /// Ends where that function g changes its sign in that direction. With a ψ that is the time itself the objective is the time until
    /// then.
    #[must_use]
    pub fn until(mut self, direction: Direction, function: impl Functional<T> + 'f) -> Self {
        self.event = Some((direction, Box::new(function)));
        self
    }

    /// ℓ at a state; 0 without any.
    pub(super) fn running(&self, t: T, state: &OrderParameters<T>) -> T {
        self.integral.as_ref().map_or(T::zero(), |function| function.value(t, state))
    }
}
