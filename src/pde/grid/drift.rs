//! Drift and diffusion of a grid at given order parameters.

use nalgebra::DMatrix;

use crate::integrate::Work;
use crate::limit::{Coefficients, Limit, LimitError, MovingLimit, Rule};
use crate::model::{Regularizer, ScheduleError, Spec};
use crate::pde::grid::GridFailure;
use crate::pde::grid::mesh::Meshes;
use crate::pde::grid::operator::{Cells, Flux, Generator};
use crate::start::FeatureNodes;
use crate::state::OrderParameters;

/// The limit coefficients by a rule, and the regulariser.
#[derive(Debug, Clone)]
pub(super) struct GridDrift<'a, M: Spec<Scalar = f64>> {
    pub(super) limit: Limit<'a>,
    /// The limit in motion, if there are schedules; `limit` and `decay` are those of the drift computed last.
    moving: Option<Box<MovingLimit<'a, f64>>>,
    rule: Rule,
    /// The state at which the rule was chosen.
    pub(super) ruled_at: OrderParameters,
    pub(super) ruled_when: f64,
    coefficients: Coefficients,
    pub(super) model: &'a M,
    /// τγ.
    decay: f64,
    pub(super) flux: Flux,
}

impl<'a, M: Spec<Scalar = f64>> GridDrift<'a, M> {
    pub(super) fn new(
        model: &'a M,
        (limit, moving): (Limit<'a>, Option<MovingLimit<'a, f64>>),
        state: &OrderParameters,
        flux: Flux,
    ) -> Result<Self, LimitError> {
        Ok(Self {
            rule: moving.as_ref().map_or_else(|| limit.rule(state), |moving| moving.rule(state))?,
            decay: limit.learning_rate() * model.weight_decay(),
            limit,
            moving: moving.map(Box::new),
            ruled_at: state.clone(),
            ruled_when: 0.0,
            coefficients: Coefficients::zeros(state.n_features(), 1),
            model,
            flux,
        })
    }

    /// The part of the drift that is not linear in w, subtracted from the rest, over τγ: φ(w) − s w.
    pub(super) fn bent(&self, w: f64) -> f64 {
        let regularizer = self.model.regularizer();
        regularizer.apply(w) - regularizer.linear_part() * w
    }

    /// Goes over to the numbers in force at time t, of a step that begins there or before.
    fn move_to(&mut self, t: f64) -> Result<(), ScheduleError> {
        if let Some(moving) = &mut self.moving {
            moving.reach(t)?;
            self.rule.follow(moving.limit());
            self.limit.clone_from(moving.limit());
            self.decay = moving.decay();
        }
        Ok(())
    }

    /// The first time after t at which a schedule jumps or bends.
    pub(super) fn next_break(&self, t: f64) -> Option<f64> {
        self.moving.as_ref()?.next_break(t)
    }

    /// Whether φ is finite at all edges.
    pub(super) fn check_regularizer(&self, meshes: &Meshes) -> Result<(), GridFailure> {
        let edges = [meshes.fine.cells, meshes.coarse.cells].into_iter().flat_map(Cells::edges);
        let regularizer = self.model.regularizer();
        let mut values = edges.map(|w| (w, regularizer.apply(w)));
        let broken = values.find(|(_, value)| !value.is_finite());
        broken.map_or(Ok(()), |(w, value)| Err(GridFailure::Regularizer { w, value }))
    }

    /// Whether it jumps at zero.
    pub(super) fn is_kinked(&self) -> bool {
        (self.decay != 0.0 || self.moving.is_some())
            && self.bent(f64::MIN_POSITIVE) - self.bent(-f64::MIN_POSITIVE) != 0.0
    }

    /// At those order parameters and that time.
    pub(super) fn at(
        &mut self,
        time: f64,
        nodes: &FeatureNodes,
        (q, r): (DMatrix<f64>, f64),
        work: &mut Work,
    ) -> Result<Generator, GridFailure> {
        self.move_to(time)?;
        let state = OrderParameters::from_parts(q, DMatrix::from_element(1, 1, r));
        work.quadrature_nodes += self.rule.apply_to(&self.limit, state.q(), state.r(), &mut self.coefficients);
        work.right_hand_sides += 1;
        let drift = self.coefficients.drift(&state);
        let shifts: Vec<f64> = nodes.nodes.column_iter().map(|u| u.dot(&drift.alpha.column(0))).collect();
        let slope = drift.beta[(0, 0)] - self.decay * self.model.regularizer().linear_part();
        let diffusion = 0.5 * self.coefficients.lambda[(0, 0)];
        let total: f64 = shifts.iter().sum();
        let scale = self.coefficients.a.amax().max(self.coefficients.b.amax());
        // Λ is an average of squares, known to the accuracy of the coefficients.
        if !(total.is_finite() && slope.is_finite() && diffusion >= -self.limit.accuracy() * scale.max(1.0)) {
            return Err(GridFailure::Coefficients { shift: total, slope, diffusion });
        }
        let diffusion = if diffusion < 0.0 { 0.0 } else { diffusion };
        Ok(Generator { shifts, slope, decay: self.decay, diffusion, flux: self.flux })
    }

    /// Chooses the rule at that state and time.
    pub(super) fn choose_rule(&mut self, state: &OrderParameters, time: f64) -> Result<(), GridFailure> {
        self.move_to(time)?;
        self.rule = self.moving.as_ref().map_or_else(|| self.limit.rule(state), |moving| moving.rule(state))?;
        self.ruled_at = state.clone();
        self.ruled_when = time;
        Ok(())
    }

    /// Whether the rule still serves there.
    pub(super) fn resolves(&mut self, state: &OrderParameters, time: f64) -> Result<bool, GridFailure> {
        self.move_to(time)?;
        Ok(self.rule.resolves(&self.limit, state.q(), state.r()))
    }
}
