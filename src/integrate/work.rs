//! Work counters, for integrators and for all that steps.
//!
//! Covers what is counted. Not here: who counts.

use std::ops::Add;

/// Work counters of a run. What does not apply stays 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
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
    /// So many accepted steps, and nothing else.
    #[must_use]
    pub fn of_steps(accepted_steps: u64) -> Self {
        Self { accepted_steps, ..Self::default() }
    }

    /// The work done since the counters stood at `then`; counters only grow.
    pub(crate) fn since(self, then: Self) -> Self {
        Self {
            right_hand_sides: self.right_hand_sides.saturating_sub(then.right_hand_sides),
            accepted_steps: self.accepted_steps.saturating_sub(then.accepted_steps),
            rejected_steps: self.rejected_steps.saturating_sub(then.rejected_steps),
            quadrature_nodes: self.quadrature_nodes.saturating_sub(then.quadrature_nodes),
            rule_refinements: self.rule_refinements.saturating_sub(then.rule_refinements),
            samples: self.samples.saturating_sub(then.samples),
        }
    }
}

impl Add for Work {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            right_hand_sides: self.right_hand_sides + other.right_hand_sides,
            accepted_steps: self.accepted_steps + other.accepted_steps,
            rejected_steps: self.rejected_steps + other.rejected_steps,
            quadrature_nodes: self.quadrature_nodes + other.quadrature_nodes,
            rule_refinements: self.rule_refinements + other.rule_refinements,
            samples: self.samples + other.samples,
        }
    }
}
