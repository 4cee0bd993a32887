//! Newton's method for fixed points: damped, kept inside the feasible set, and with deflation of what is known already.
//!
//! Covers one run within a family of states, with exact Jacobians of a quadrature rule that is chosen anew where a
//! state leaves its range. Not here: whether where it ends all rates vanish (see `settle`), and the corrector of
//! continuation, which solves f(x, λ) = 0 within a hyperplane.

use nalgebra::{DMatrix, DVector};

use crate::Scalar;
use crate::integrate::System;
use crate::limit::{Compiled, LimitError};
use crate::numerics::differences::second_order_step;
use crate::numerics::eigen::symmetric_eigen;
use crate::numerics::largest::largest_size;
use crate::numerics::linear::{is_finite, least_squares, solve_square};
use crate::ode::{OdeSystem, RatesError, ReducedOde};
use crate::stability::fixed_point::face::Face;
use crate::stability::tolerances::ROUNDING;
use crate::state::{OrderParameters, unpack};

/// Why Newton's method stopped.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "T: serde::Serialize", deserialize = "T: serde::Deserialize<'de>"))
)]
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
    /// The rates could not be computed.
    Failed(LimitError<T>),
}

/// What limits a run of Newton's method.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewtonLimits<T> {
    /// Rates below it, in units of max(τ, decay · largest entry), count as zero.
    pub(crate) tolerance: T,
    pub(crate) steps: usize,
}

/// Unknowns up to which steps are by singular values, and of least size where the Jacobian is singular.
const MOST_DECOMPOSED: usize = 20;

/// The default tolerance of rates: far above rounding in an average over some thousand nodes, 1e-14.
const TOLERANCE: f64 = 1e-12;
/// The same in ulp, where it is more: 5e-5 in single precision.
const TOLERANCE_ULPS: f64 = 400.0;
/// The default limit of steps. From a start near a fixed point ten are enough; damped ones may take a few dozen.
const STEPS: usize = 60;

impl<T: Scalar> Default for NewtonLimits<T> {
    fn default() -> Self {
        Self { tolerance: T::lit(TOLERANCE).max(T::lit(TOLERANCE_ULPS) * T::EPSILON), steps: STEPS }
    }
}

/// Where a run ended.
#[derive(Debug)]
pub(crate) struct Run<T: Scalar> {
    pub(crate) state: OrderParameters<T>,
    /// The largest rate before each step, and at the end.
    pub(crate) residuals: Vec<T>,
    pub(crate) stop: NewtonStop<T>,
}

/// The share of the way to the boundary of the feasible set that a step may go, as interior-point methods have it.
const TO_BOUNDARY: f64 = 0.995;
/// That many steps in a row which the boundary shortens are pressed against it: each goes 0.995 of the way.
const PRESSED_STEPS: usize = 12;
/// A direction along which less of a step than that is feasible leads out of the feasible set.
const NO_ROOM: f64 = 1e-6;
/// Shortenings tried to find a feasible step, each by [`FEASIBLE_SHRINKAGE`]: down to 5e-10 of a Newton step.
const FEASIBLE_TRIALS: usize = 60;
/// See [`FEASIBLE_TRIALS`].
const FEASIBLE_SHRINKAGE: f64 = 0.7;
/// The shortest damped step, in feasible ones: twelve halvings.
const SHORTEST: f64 = 1.0 / 4096.0;
/// The part of the decrease that the linearisation promises which a damped step must reach (Armijo's rule, with the
/// customary constant).
const DECREASE: f64 = 1e-4;
/// A state with an entry of that size has diverged: order parameters are of order one.
const DIVERGED: f64 = 1e6;
/// Deflation lengthens a step at most by the inverse of that.
const DEFLATED_STEP: f64 = 1e-3;
/// The step of differences is taken in units of this part of the largest entry, which entries of one state differ by
/// ...
const DIFFERENCE_SCALE: f64 = 0.1;
/// ... but not of less than that.
const LEAST_DIFFERENCE_SCALE: f64 = 1e-6;
/// An eigenvalue of R − QᵀQ is negative if it is so by that many ulp of the largest.
const NEGATIVE: f64 = 1e3;

struct Newton<'r, 'o, 'a, T: Scalar> {
    system: OdeSystem<'o, 'a, T>,
    face: &'r Face<T>,
    deflated: &'r [DVector<T>],
    shape: (usize, usize),
}

/// Newton's method within `face` from the projection of `start`, away from the packed states `deflated`.
pub(crate) fn newton<T: Compiled>(
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

/// The next state of a damped step.
struct Trial<T: Scalar> {
    y: DVector<T>,
    rates: DVector<T>,
    /// Whether the boundary of the feasible set left the step alone.
    free: bool,
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
            let residual = largest_size(rates.iter().copied());
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
            let Some(trial) = self.search(y, &rates, &newton)? else {
                let feasible = self.room(y, &newton) > T::lit(NO_ROOM);
                return Ok(match (converged, feasible) {
                    (true, _) => NewtonStop::Converged,
                    (false, true) => NewtonStop::Stalled,
                    (false, false) => NewtonStop::Boundary,
                });
            };
            pressed = if trial.free { 0 } else { pressed + 1 };
            *y = trial.y;
            rates = trial.rates;
            if !(largest_size(y.iter().copied()) < T::lit(DIVERGED)) {
                return Ok(NewtonStop::Diverged);
            }
            if pressed > PRESSED_STEPS {
                residuals.push(largest_size(rates.iter().copied()));
                return Ok(NewtonStop::Boundary);
            }
            let x = self.face.embed(y);
            match self.system.accepted(T::zero(), x.as_slice()) {
                Ok(true) => rates = self.rates(y)?,
                Ok(false) => {}
                Err(RatesError::Limit(error)) => return Err(error),
                // There are no schedules here.
                Err(RatesError::Infeasible(_) | RatesError::Schedule(_)) => return Ok(NewtonStop::Boundary),
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
        let scale = T::lit(DIFFERENCE_SCALE) * self.face.embed(y).amax();
        let step = second_order_step::<T>() * scale.max(T::lit(LEAST_DIFFERENCE_SCALE));
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
        // Singular values cost twenty times what elimination does.
        let solve = if jacobian.nrows() > MOST_DECOMPOSED { solve_square } else { least_squares };
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
        let least = T::lit(DEFLATED_STEP);
        let factor = if factor.abs() < least { least } else { factor };
        p / factor
    }

    /// The deflation factor η.
    fn deflation(&self, y: &DVector<T>) -> T {
        let x = self.face.embed(y);
        self.deflated.iter().fold(T::one(), |product, known| {
            product * (T::one() + T::one() / (&x - known).norm_squared().max(T::EPSILON * T::EPSILON))
        })
    }

    /// The longest of the halved steps that stays feasible and makes the deflated rates smaller.
    fn search(
        &mut self,
        y: &DVector<T>,
        rates: &DVector<T>,
        direction: &DVector<T>,
    ) -> Result<Option<Trial<T>>, LimitError<T>> {
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
            if reduced <= (T::one() - T::lit(DECREASE) * length) * merit {
                return Ok(Some(Trial { y: trial, rates: trial_rates, free: room == T::one() }));
            }
            length *= T::lit(0.5);
        }
        Ok(None)
    }

    /// The longest step, at most 1, that leaves half a percent of the way to the boundary of the feasible set.
    fn room(&self, y: &DVector<T>, direction: &DVector<T>) -> T {
        let here = self.smallest(y);
        let tolerance = T::lit(ROUNDING) * T::EPSILON * self.face.embed(y).amax();
        let least = here * T::lit(1.0 - TO_BOUNDARY) - tolerance;
        let mut length = T::one();
        for _ in 0..FEASIBLE_TRIALS {
            if self.smallest(&(y + direction * length)) >= least {
                return length;
            }
            length *= T::lit(FEASIBLE_SHRINKAGE);
        }
        T::zero()
    }

    /// The smallest eigenvalue of R − QᵀQ that is not zero on the whole face.
    fn smallest(&self, y: &DVector<T>) -> T {
        let (q, r) = unpack(self.shape.0, self.shape.1, self.face.embed(y).as_slice());
        let background = &r - q.tr_mul(&q);
        if !is_finite(background.as_slice()) || self.face.rank == 0 {
            return T::lit(if self.face.rank == 0 { 0.0 } else { f64::NEG_INFINITY });
        }
        let Some(eigen) = symmetric_eigen(background) else {
            return T::lit(f64::NEG_INFINITY);
        };
        let mut values: Vec<T> = eigen.eigenvalues.iter().copied().collect();
        values.sort_by(|a, b| b.partial_cmp(a).unwrap_or(std::cmp::Ordering::Equal));
        // A negative one moves the zeros down the order: then it is the smallest of all.
        let last = values.last().copied().unwrap_or(T::zero());
        let tolerance = T::lit(NEGATIVE) * T::EPSILON * values[0].abs();
        if last < -tolerance { last } else { values[self.face.rank - 1] }
    }
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
        let limits = NewtonLimits { steps: 100, ..NewtonLimits::default() };
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
