//! Newton's method for fixed points: exact Jacobians of a frozen rule, damped, kept inside the feasible set, and with
//! deflation of what is known already.

use nalgebra::{DMatrix, DVector, SVD, SymmetricEigen};

use crate::Scalar;
use crate::integrate::System;
use crate::limit::Compiled;
use crate::limit::LimitError;
use crate::ode::{OdeSystem, RatesError, ReducedOde};
use crate::stability::fixed_point::face::Face;
use crate::state::{OrderParameters, unpack};

/// Why Newton's method stopped.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum NewtonStop<T: Scalar = f64> {
    /// The rates are below the tolerance.
    Converged,
    /// No damped step makes the rates smaller: a local minimum of their size that is no zero.
    Stalled,
    /// The limit of steps was reached.
    StepLimit,
    /// The steps press against the boundary of the feasible set, where R − QᵀQ is singular.
    Boundary,
    /// The state grew beyond every bound.
    Diverged,
    /// It converged within a family of states that the flow leaves.
    NotInvariant,
    /// It converged to a point that is known already, or to an image of it.
    Duplicate {
        /// Its place in the list of points.
        of: usize,
    },
    /// The rates could not be computed.
    Failed(LimitError<T>),
}

/// What limits a run of Newton's method.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewtonLimits<T> {
    /// Rates below it, in units of max(τ, decay · largest entry), count as zero.
    pub(super) tolerance: T,
    pub(super) steps: usize,
    /// Largest entry that a state may reach.
    pub(super) bound: T,
}

/// Where a run ended.
#[derive(Debug)]
pub(super) struct Run<T: Scalar> {
    pub(super) state: OrderParameters<T>,
    pub(super) residuals: Vec<T>,
    pub(super) stop: NewtonStop<T>,
}

/// The share of the way to the boundary of the feasible set that a step may go.
const TO_BOUNDARY: f64 = 0.995;
/// The shortest damped step.
const SHORTEST: f64 = 1.0 / 4096.0;

struct Newton<'r, 'o, 'a, T: Scalar> {
    system: OdeSystem<'o, 'a, T>,
    face: &'r Face<T>,
    deflated: &'r [DVector<T>],
    shape: (usize, usize),
}

/// Newton's method within `face` from the projection of `start`, away from the packed states `deflated`.
pub(super) fn newton<T: Compiled>(
    ode: &ReducedOde<'_, T>,
    face: &Face<T>,
    start: &OrderParameters<T>,
    deflated: &[DVector<T>],
    limits: &NewtonLimits<T>,
) -> Run<T> {
    let shape = (start.n_features(), start.n_neurons());
    let mut y = face.project(&start.to_packed());
    let mut residuals = Vec::new();
    let state = |y: &DVector<T>| {
        let (q, r) = unpack(shape.0, shape.1, face.embed(y).as_slice());
        OrderParameters::from_parts(q, r)
    };
    let system = match ode.system(&state(&y)) {
        Ok(system) => system,
        Err(error) => return Run { state: state(&y), residuals, stop: NewtonStop::Failed(error) },
    };
    let mut newton = Newton { system, face, deflated, shape };
    let stop = newton.run(ode, &mut y, &mut residuals, limits).unwrap_or_else(NewtonStop::Failed);
    Run { state: state(&y), residuals, stop }
}

impl<T: Compiled> Newton<'_, '_, '_, T> {
    fn run(
        &mut self,
        ode: &ReducedOde<'_, T>,
        y: &mut DVector<T>,
        residuals: &mut Vec<T>,
        limits: &NewtonLimits<T>,
    ) -> Result<NewtonStop<T>, LimitError<T>> {
        let mut rates = self.rates(y)?;
        let mut pressed = 0;
        for step in 0..=limits.steps {
            let residual = rates.iter().fold(T::zero(), |most, x| most.max(x.abs()));
            residuals.push(residual);
            let unit = ode.limit().learning_rate().max(ode.decay().abs() * self.face.embed(y).amax());
            let converged = residual <= limits.tolerance * unit;
            // One step beyond the tolerance: convergence is quadratic, so it takes the digits that are left.
            if converged && residuals.len() > 1 && residuals[residuals.len() - 2] <= limits.tolerance.sqrt() * unit {
                return Ok(NewtonStop::Converged);
            }
            if y.is_empty() {
                // A single state: fixed or not, there is nowhere to go.
                return Ok(NewtonStop::Converged);
            }
            if step == limits.steps {
                break;
            }
            let jacobian = self.jacobian(y)?;
            let newton = self.direction(&jacobian, &rates, y);
            let Some((trial, trial_rates, free)) = self.search(y, &rates, &newton)? else {
                let feasible = self.room(y, &newton) > T::lit(1e-6);
                return Ok(match (converged, feasible) {
                    (true, _) => NewtonStop::Converged,
                    (false, true) => NewtonStop::Stalled,
                    (false, false) => NewtonStop::Boundary,
                });
            };
            pressed = if free { 0 } else { pressed + 1 };
            *y = trial;
            rates = trial_rates;
            if !(y.amax() < limits.bound) {
                return Ok(NewtonStop::Diverged);
            }
            if pressed > 12 {
                residuals.push(rates.amax());
                return Ok(NewtonStop::Boundary);
            }
            let x = self.face.embed(y);
            match self.system.accepted(T::zero(), x.as_slice()) {
                Ok(true) => rates = self.rates(y)?,
                Ok(false) => {}
                Err(RatesError::Limit(error)) => return Err(error),
                Err(RatesError::Infeasible(_)) => return Ok(NewtonStop::Boundary),
            }
        }
        Ok(NewtonStop::StepLimit)
    }

    fn rates(&mut self, y: &DVector<T>) -> Result<DVector<T>, LimitError<T>> {
        let x = self.face.embed(y);
        let mut f = DVector::zeros(x.len());
        match self.system.rates(T::zero(), x.as_slice(), f.as_mut_slice()) {
            Err(RatesError::Limit(error)) => Err(error),
            // Rates are computed wherever they are finite; feasibility is the line search's.
            _ => Ok(self.face.rates(&f)),
        }
    }

    fn jacobian(&mut self, y: &DVector<T>) -> Result<DMatrix<T>, LimitError<T>> {
        let x = self.face.embed(y);
        match self.system.jacobian(x.as_slice()) {
            Ok(answer) => Ok(self.face.jacobian(&answer.by_state)),
            // Off the face a field would get variance that it does not have here; within it none does.
            Err(LimitError::NotDifferentiable) => self.differences(y),
            Err(error) => Err(error),
        }
    }

    fn differences(&mut self, y: &DVector<T>) -> Result<DMatrix<T>, LimitError<T>> {
        let n = y.len();
        let step = T::EPSILON.cbrt() * (T::lit(0.1) * self.face.embed(y).amax()).max(T::lit(1e-6));
        let mut jacobian = DMatrix::zeros(n, n);
        for column in 0..n {
            let mut moved = y.clone();
            moved[column] += step;
            let above = self.rates(&moved)?;
            moved[column] = y[column] - step;
            let below = self.rates(&moved)?;
            jacobian.set_column(column, &((above - below) / (step + step)));
        }
        Ok(jacobian)
    }

    /// The Newton step −J⁺F, stretched or turned round by deflation (Farrell, Birkisson and Funke,
    /// doi:10.1137/140984798): with the factor η = Π (1 + 1/‖x − x_k‖²) it is p/(1 − ∇η·p/η).
    fn direction(&self, jacobian: &DMatrix<T>, rates: &DVector<T>, y: &DVector<T>) -> DVector<T> {
        let p = solve(jacobian, rates).map(|x| -x);
        let x = self.face.embed(y);
        let motion = self.face.basis() * &p;
        let slope: T = self
            .deflated
            .iter()
            .map(|known| {
                let away = &x - known;
                let squared = away.norm_squared().max(T::EPSILON * T::EPSILON);
                T::lit(-2.0) * away.dot(&motion) / (squared * (squared + T::one()))
            })
            .sum();
        let factor = T::one() - slope;
        let factor = if factor.abs() < T::lit(1e-3) { T::lit(1e-3) } else { factor };
        p / factor
    }

    /// The deflation factor η.
    fn deflation(&self, y: &DVector<T>) -> T {
        let x = self.face.embed(y);
        self.deflated.iter().fold(T::one(), |product, known| {
            product * (T::one() + T::one() / (&x - known).norm_squared().max(T::EPSILON * T::EPSILON))
        })
    }

    /// The longest of the halved steps that stays feasible and makes the deflated rates smaller; says whether the
    /// boundary left it alone.
    fn search(
        &mut self,
        y: &DVector<T>,
        rates: &DVector<T>,
        direction: &DVector<T>,
    ) -> Result<Option<(DVector<T>, DVector<T>, bool)>, LimitError<T>> {
        let merit = self.deflation(y) * rates.norm();
        if merit == T::zero() {
            return Ok(None);
        }
        let room = self.room(y, direction);
        let mut length = room;
        while length >= T::lit(SHORTEST) * room.max(T::EPSILON) && length > T::zero() {
            let trial = y + direction * length;
            let trial_rates = self.rates(&trial)?;
            let reduced = self.deflation(&trial) * trial_rates.norm();
            if reduced <= (T::one() - T::lit(1e-4) * length) * merit {
                return Ok(Some((trial, trial_rates, room == T::one())));
            }
            length *= T::lit(0.5);
        }
        Ok(None)
    }

    /// The longest step, at most 1, that leaves half a percent of the way to the boundary of the feasible set.
    fn room(&self, y: &DVector<T>, direction: &DVector<T>) -> T {
        let here = self.smallest(y);
        let tolerance = T::lit(64.0) * T::EPSILON * self.face.embed(y).amax();
        let least = here * T::lit(1.0 - TO_BOUNDARY) - tolerance;
        let mut length = T::one();
        for _ in 0..60 {
            if self.smallest(&(y + direction * length)) >= least {
                return length;
            }
            length *= T::lit(0.7);
        }
        T::zero()
    }

    /// The smallest eigenvalue of R − QᵀQ that is not zero on the whole face.
    fn smallest(&self, y: &DVector<T>) -> T {
        let (q, r) = unpack(self.shape.0, self.shape.1, self.face.embed(y).as_slice());
        let background = &r - q.tr_mul(&q);
        if !background.iter().all(nalgebra::ComplexField::is_finite) || self.face.rank == 0 {
            return T::lit(if self.face.rank == 0 { 0.0 } else { f64::NEG_INFINITY });
        }
        let Some(eigen) = SymmetricEigen::try_new(background, T::EPSILON, 1000) else {
            return T::lit(f64::NEG_INFINITY);
        };
        let mut values: Vec<T> = eigen.eigenvalues.iter().copied().collect();
        values.sort_by(|a, b| b.partial_cmp(a).unwrap_or(std::cmp::Ordering::Equal));
        // A negative one moves the zeros down the order: then it is the smallest of all.
        let last = values.last().copied().unwrap_or(T::zero());
        let tolerance = T::lit(1e3) * T::EPSILON * values[0].abs();
        if last < -tolerance { last } else { values[self.face.rank - 1] }
    }
}

/// J⁺ F: singular values below 1e-13 of the largest count as zero.
pub(crate) fn solve<T: Compiled>(jacobian: &DMatrix<T>, right: &DVector<T>) -> DVector<T> {
    if jacobian.is_empty() || !jacobian.iter().all(nalgebra::ComplexField::is_finite) {
        return DVector::zeros(jacobian.ncols());
    }
    let cutoff = T::lit(500.0) * T::EPSILON * jacobian.amax();
    SVD::try_new(jacobian.clone(), true, true, T::EPSILON, 10_000)
        .and_then(|svd| svd.solve(right, cutoff).ok())
        .unwrap_or_else(|| DVector::zeros(jacobian.ncols()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Constraint, GaussianNoise, Independent, Law, Model, Tanh};

    #[test]
    fn deflation_leads_from_one_start_to_one_point_after_another() {
        let hidden = Independent::new([Law::two_point(2.25).unwrap(), Law::two_point(2.25).unwrap()]).unwrap();
        let noise = GaussianNoise::correlated(0.3, -0.5).unwrap();
        let model = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(noise).learning_rate(0.3);
        let model = model.weight_decay(0.5).build().unwrap();
        let ode = ReducedOde::new(&model).unwrap();
        let face = Face::whole(2, 1, Constraint::None);
        let limits = NewtonLimits { tolerance: 1e-12, steps: 100, bound: 1e6 };
        let mut converged = 0;
        for (x, y) in [(0.7, 0.3), (0.5, 0.5), (0.2, 0.6), (0.4, 0.1), (0.1, 0.1)] {
            let start = OrderParameters::from_rows(2, 1, &[x, y], &[0.9]).unwrap();
            let mut known: Vec<DVector<f64>> = Vec::new();
            for _ in 0..4 {
                let run = newton(&ode, &face, &start, &known, &limits);
                if run.stop != NewtonStop::Converged {
                    break;
                }
                let point = run.state.to_packed();
                assert!(known.iter().all(|other| (other - &point).norm() > 1e-3), "a point is found once");
                known.push(point);
            }
            converged += known.len();
        }
        assert!(converged > 9, "five starts, {converged} points");
    }
}
