//! The state, its covariance, how deviations propagate, and the mean correction, as one system of differential equations.

use nalgebra::{DMatrix, DVector};

use crate::Scalar;
use crate::fluctuation::Fluctuations;
use crate::fluctuation::correction::half_curvature;
use crate::fluctuation::noise::projected;
use crate::integrate::{System, Work};
use crate::limit::{Compiled, IncrementRule};
use crate::model::Schedules;
use crate::numerics::matrix::smallest_eigenvalue;
use crate::ode::{GROWTH_LIMIT, Growth, OdeFailure, OdeSystem, RatesError};
use crate::state::{OrderParameters, unpack};

/// y = (s, Φ, G, δ): the packed state, the propagator of deviations since the last output (n x n, column by column), the covariance that has
/// come up since then (the lower triangle, column by column), and the correction, if it is asked for.
pub(super) struct FluctuationSystem<'f, 'o, 'a, T: Scalar> {
    fluctuations: &'f Fluctuations<'o, 'a, T>,
    system: OdeSystem<'o, 'a, T>,
    rule: IncrementRule<T>,
    growth: Growth<T>,
    shape: (usize, usize),
    /// The covariance at the last output.
    since: DMatrix<T>,
    corrects: bool,
    refinements: u64,
    nodes: u64,
}

/// A point of the system.
pub(super) struct Point<T> {
    pub(super) state: Vec<T>,
    pub(super) propagator: DMatrix<T>,
    pub(super) noise: DMatrix<T>,
    pub(super) correction: DVector<T>,
}

impl<T: Scalar> Point<T> {
    /// Just after an output.
    pub(super) fn new(state: Vec<T>, correction: DVector<T>) -> Self {
        let n = state.len();
        Self { state, propagator: DMatrix::identity(n, n), noise: DMatrix::zeros(n, n), correction }
    }

    pub(super) fn read(y: &[T], n: usize) -> Self {
        let (state, rest) = y.split_at(n);
        let (propagator, rest) = rest.split_at(n * n);
        let (noise, correction) = rest.split_at(n * (n + 1) / 2);
        let mut full = DMatrix::zeros(n, n);
        for (&x, (j, i)) in noise.iter().zip(triangle(n)) {
            (full[(i, j)], full[(j, i)]) = (x, x);
        }
        Self {
            state: state.to_vec(),
            propagator: DMatrix::from_column_slice(n, n, propagator),
            noise: full,
            correction: DVector::from_column_slice(correction),
        }
    }

    pub(super) fn write(&self, y: &mut [T]) {
        let n = self.state.len();
        let lower = triangle(n).map(|(j, i)| self.noise[(i, j)]);
        let entries =
            self.state.iter().chain(&self.propagator).copied().chain(lower).chain(self.correction.iter().copied());
        y.iter_mut().zip(entries).for_each(|(slot, x)| *slot = x);
    }

    pub(super) fn len(&self) -> usize {
        let n = self.state.len();
        n + n * n + n * (n + 1) / 2 + self.correction.len()
    }
}

/// Columns j and rows i ≥ j of a triangle.
fn triangle(n: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n).flat_map(move |j| (j..n).map(move |i| (j, i)))
}

impl<'f, 'o, 'a, T: Compiled> FluctuationSystem<'f, 'o, 'a, T> {
    pub(super) fn new(
        fluctuations: &'f Fluctuations<'o, 'a, T>,
        start: &OrderParameters<T>,
        schedules: &Schedules,
        corrects: bool,
    ) -> Result<Self, RatesError<T>> {
        let system = fluctuations.ode.scheduled_system(start, schedules)?;
        let averages = fluctuations.averages.at(system.limit_in_force());
        let (rule, _, _) = T::refine_increments(&averages, start)?;
        let n = start.packed_len();
        Ok(Self {
            fluctuations,
            system,
            rule,
            growth: Growth::new(start, T::lit(GROWTH_LIMIT)),
            shape: (start.n_features(), start.n_neurons()),
            since: DMatrix::zeros(n, n),
            corrects,
            refinements: 0,
            nodes: 0,
        })
    }

    /// The covariance from which the next interval begins.
    pub(super) fn set_covariance(&mut self, covariance: &DMatrix<T>) {
        self.since.copy_from(covariance);
    }

    fn len(&self) -> usize {
        self.since.nrows()
    }

    /// How the correction grows beyond Jδ, at a state of those rates and Jacobian.
    fn forcing(
        &mut self,
        state: &OrderParameters<T>,
        (rates, jacobian): (&DVector<T>, &DMatrix<T>),
        covariance: &DMatrix<T>,
    ) -> Result<DVector<T>, OdeFailure<T>> {
        let (y, n) = (state.to_packed(), self.len());
        let own = self.fluctuations.second_order_drift(state, self.rule.increments());
        let system = &mut self.system;
        // Where R − QᵀQ is not positive definite rates are those of a state nearby.
        let room = smallest_eigenvalue(&state.background());
        let curved = half_curvature(y.as_slice(), (covariance, room), |y| {
            let mut rates = vec![T::zero(); n];
            system.rates(T::zero(), y, &mut rates)?;
            Ok::<_, OdeFailure<T>>(DVector::from_vec(rates))
        })?;
        let nan = || DVector::from_element(n, T::lit(f64::NAN));
        Ok(own + curved.unwrap_or_else(nan) - jacobian * rates * T::lit(0.5))
    }
}

impl<T: Compiled> System<T> for FluctuationSystem<'_, '_, '_, T> {
    type Error = OdeFailure<T>;

    fn dimension(&self) -> usize {
        let n = self.len();
        n + n * n + n * (n + 1) / 2 + if self.corrects { n } else { 0 }
    }

    fn rates(&mut self, t: T, y: &[T], rates: &mut [T]) -> Result<(), OdeFailure<T>> {
        let (n, (p, m)) = (self.len(), self.shape);
        let Point { state: packed, propagator, noise, correction } = Point::read(y, n);
        let (q, r) = unpack(p, m, &packed);
        let state = OrderParameters::from_parts(q, r);
        let answer = self.system.sensitivities_at(t, &packed, &[])?;
        let (flow, jacobian) = (answer.rates.to_packed(), answer.by_state);
        T::run_increments(&mut self.rule, self.system.limit_in_force(), state.q(), state.r());
        self.nodes += self.rule.nodes();
        let gamma = projected(&self.fluctuations.map(&state), &self.rule.increments().covariance);
        let drift = &jacobian * &noise;
        let growth = &drift + drift.transpose() + gamma;
        let correction = if self.corrects {
            let covariance = projected(&propagator, &self.since) + &noise;
            &jacobian * correction + self.forcing(&state, (&flow, &jacobian), &covariance)?
        } else {
            correction
        };
        let change =
            Point { state: flow.as_slice().to_vec(), propagator: jacobian * propagator, noise: growth, correction };
        change.write(rates);
        Ok(())
    }

    fn accepted(&mut self, t: T, y: &[T]) -> Result<bool, OdeFailure<T>> {
        let packed = &y[..self.len()];
        if let Some(growth) = self.growth.excess(packed) {
            return Err(OdeFailure::Diverged { growth: growth.as_f64() });
        }
        let mut changed = self.system.accepted(t, packed)?;
        let (q, r) = unpack(self.shape.0, self.shape.1, packed);
        let limit = self.system.limit_in_force();
        if !self.rule.resolves(limit, &q, &r) {
            let state = OrderParameters::from_parts(q, r);
            self.rule = T::renew_increments(&self.fluctuations.averages.at(limit), &self.rule, &state)?;
            self.refinements += 1;
            changed = true;
        }
        Ok(changed)
    }

    fn next_break(&self, t: T) -> Option<T> {
        self.system.next_break(t)
    }

    fn work(&self) -> Work {
        let own = Work { quadrature_nodes: self.nodes, rule_refinements: self.refinements, ..Work::default() };
        self.system.work() + own
    }
}
