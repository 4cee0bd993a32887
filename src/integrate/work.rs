//! Work counters, for integrators and for all that steps.

/// Work counters of a run. What does not apply stays 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Work {
    /// Evaluations of a right-hand side.
    pub right_hand_sides: u64,
    /// Steps accepted by an integrator, or taken by a simulator.
    pub accepted_steps: u64,
    /// Steps rejected by the error control of an integrator.
    pub rejected_steps: u64,
    /// Quadrature nodes at which the nonlinearity was evaluated.
    pub quadrature_nodes: u64,
    /// How often a quadrature rule was chosen anew along the way.
    pub rule_refinements: u64,
    /// Samples drawn by a simulator (steps times batch size).
    pub samples: u64,
}

impl Work {
    /// The work done since the counters stood at `then`.
    pub(crate) fn since(self, then: Self) -> Self {
        Self {
            right_hand_sides: self.right_hand_sides - then.right_hand_sides,
            accepted_steps: self.accepted_steps - then.accepted_steps,
            rejected_steps: self.rejected_steps - then.rejected_steps,
            quadrature_nodes: self.quadrature_nodes - then.quadrature_nodes,
            rule_refinements: self.rule_refinements - then.rule_refinements,
            samples: self.samples - then.samples,
        }
    }
}
