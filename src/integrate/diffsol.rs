//! Stiff methods of the crate `diffsol`, behind the trait of this one.
//!
//! Covers one step. Not here: the methods themselves (see <https://docs.rs/diffsol>). Sources: J. B. Jørgensen, M. R. Kristensen,
//! P. G. Thomsen, arXiv 1803.01613 (ESDIRK); M. E. Hosea, L. F. Shampine, Appl. Numer. Math. 20 (1996) 21 (TR-BDF2).

use std::cell::{Cell, RefCell};

use diffsol::{
    NalgebraLU, NalgebraMat, OdeBuilder, OdeSolverMethod as _, OdeSolverState as _, RkState, Tableau, VectorCommon as _,
};

use super::{Integrator, IntegratorError, SLIVER, Step, StepError, System, positive};

/// A stiff method of the crate [`diffsol`](https://docs.rs/diffsol): implicit, with error control (feature `diffsol`).
///
/// Its steps are as long as the accuracy allows, where those of an explicit method such as
/// [`DormandPrince`](super::DormandPrince) are bound by the fastest rate, even where nothing moves any more. So it pays at low accuracy over
/// long times with a large learning rate times weight decay, τγ, beside slow growth; docs/performance.md has measured ratios. A step costs
/// [Jacobians](System::jacobian) and the right-hand sides of Newton's method. In `Work::right_hand_sides` both are counted, one each. Between the ends of
/// steps the state is interpolated by cubics. In double precision.
///
/// ```
/// use contrastive_dynamics::integrate::Diffsol;
/// use contrastive_dynamics::prelude::*;
/// let hidden = Independent::new([Law::two_point(2.25)?])?;
/// let model = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(NoNoise).learning_rate(0.3).weight_decay(0.5).build()?;
/// let start = OrderParameters::from_rows(1, 1, &[0.4], &[0.8])?;
/// let ode = ReducedOde::new(&model)?;
/// let (stiff, explicit) = (ode.solver().integrator(Diffsol::esdirk34(1e-7, 1e-9)?), ode.solver());
/// let [a, b] = [stiff.solve(&start, 50.0)?, explicit.solve(&start, 50.0)?].map(|t| t.last().map(|(_, s)| s.q()[(0, 0)]));
/// assert!((a.unwrap_or(0.0) - b.unwrap_or(1.0)).abs() < 1e-6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Diffsol {
    method: Method,
    relative: f64,
    absolute: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Esdirk34,
    TrBdf2,
}

impl Diffsol {
    /// The singly diagonally implicit Runge-Kutta method ESDIRK3(4), with these relative and absolute tolerances.
    ///
    /// # Errors
    /// [`IntegratorError`] unless both are positive and finite.
    pub fn esdirk34(relative: f64, absolute: f64) -> Result<Self, IntegratorError> {
        Self::of(Method::Esdirk34, relative, absolute)
    }

    /// The method TR-BDF2: of lower order, for rough tolerances.
    ///
    /// # Errors
    /// [`IntegratorError`] unless both are positive and finite.
    pub fn tr_bdf2(relative: f64, absolute: f64) -> Result<Self, IntegratorError> {
        Self::of(Method::TrBdf2, relative, absolute)
    }

    fn of(method: Method, relative: f64, absolute: f64) -> Result<Self, IntegratorError> {
        let relative = positive("relative tolerance", relative)?;
        Ok(Self { method, relative, absolute: positive("absolute tolerance", absolute)? })
    }

    fn tableau(self) -> Tableau<f64> {
        match self.method {
            Method::Esdirk34 => Tableau::esdirk34(),
            Method::TrBdf2 => Tableau::tr_bdf2(),
        }
    }
}

/// A system as `diffsol` asks for it: by functions that cannot fail, and that have the derivative along a direction.
struct Asked<'s, S: System> {
    system: RefCell<&'s mut S>,
    /// The last failure; then the rates were not finite.
    failure: Cell<Option<S::Error>>,
    evaluations: Cell<u64>,
    /// Where the Jacobian was formed last, and it, column by column.
    jacobian: RefCell<Option<(f64, Vec<f64>, Vec<f64>)>>,
    /// The rates at the start of the step, which are known.
    known: (f64, Vec<f64>, Vec<f64>),
}

impl<S: System> Asked<'_, S> {
    fn take(&self, answer: Result<(), S::Error>, numbers: &mut [f64]) {
        self.evaluations.set(self.evaluations.get() + 1);
        if let Err(error) = answer {
            self.failure.set(Some(error));
            numbers.fill(f64::NAN);
        }
    }

    fn rates(&self, t: f64, y: &[f64], rates: &mut [f64]) {
        let (time, state, known) = &self.known;
        if *time == t && state == y {
            rates.copy_from_slice(known);
            return;
        }
        let answer = self.system.borrow_mut().rates(t, y, rates);
        self.take(answer, rates);
    }

    fn derivative(&self, t: f64, y: &[f64], direction: &[f64], derivative: &mut [f64]) {
        let mut kept = self.jacobian.borrow_mut();
        if !kept.as_ref().is_some_and(|(time, state, _)| *time == t && state == y) {
            let mut jacobian = vec![0.0; y.len() * y.len()];
            let answer = self.system.borrow_mut().jacobian(t, y, &mut jacobian);
            self.take(answer, &mut jacobian);
            *kept = Some((t, y.to_vec(), jacobian));
        }
        derivative.fill(0.0);
        let columns = kept.iter().flat_map(|(_, _, jacobian)| jacobian.chunks_exact(y.len()));
        for (column, &x) in columns.zip(direction) {
            if x != 0.0 {
                derivative.iter_mut().zip(column).for_each(|(sum, entry)| *sum += entry * x);
            }
        }
    }
}

impl Integrator for Diffsol {
    fn order(&self) -> usize {
        self.tableau().order()
    }

    fn step<S: System>(&self, system: &mut S, step: &mut Step, end: f64) -> Result<(), StepError<S::Error>> {
        step.check::<S::Error>(system.dimension())?;
        if step.y.is_empty() {
            // Time alone, of which the solvers make nothing.
            (step.previous_t, step.t) = (step.t, end);
            step.work.accepted_steps += 1;
            return Ok(());
        }
        let asked = Asked {
            system: RefCell::new(system),
            failure: Cell::new(None),
            evaluations: Cell::new(0),
            jacobian: RefCell::new(None),
            known: (step.t, step.y.clone(), step.rates.clone()),
        };
        let reached = self.reach(&asked, step, end);
        step.work.right_hand_sides += asked.evaluations.get();
        // What made a shorter step necessary is no failure of one that was taken.
        let (t, y, next_size) =
            reached.ok_or_else(|| asked.failure.take().map_or(StepError::StepTooSmall, StepError::System))?;
        let size = t - step.t;
        let (start, start_rates) = (std::mem::replace(&mut step.y, y), step.rates.clone());
        (step.previous_t, step.t, step.next_size) = (step.t, t, next_size);
        let Asked { system, .. } = asked;
        system.into_inner().rates(t, &step.y, &mut step.rates)?;
        step.work.right_hand_sides += 1;
        step.work.accepted_steps += 1;
        step.set_cubic(&start, &start_rates, size);
        Ok(())
    }
}

impl Diffsol {
    /// The time, the state and the size of the next step after one; `None` where none could be taken.
    fn reach<S: System>(&self, asked: &Asked<'_, S>, step: &mut Step, end: f64) -> Option<(f64, Vec<f64>, f64)> {
        let n = step.y.len();
        let problem = OdeBuilder::<NalgebraMat<f64>>::new()
            .t0(step.t)
            .h0(if step.next_size > 0.0 { step.next_size } else { 1.0 })
            .rtol(self.relative)
            .atol([self.absolute])
            .rhs_implicit(
                |y: &[f64], _: &[f64], t: f64, rates: &mut [f64]| asked.rates(t, y, rates),
                |y: &[f64], _: &[f64], t: f64, v: &[f64], out: &mut [f64]| asked.derivative(t, y, v, out),
            )
            .init(|_: &[f64], _: f64, y: &mut [f64]| y.copy_from_slice(&asked.known.1), n)
            .build()
            .ok()?;
        let tableau = self.tableau();
        let state =
            if step.next_size > 0.0 { RkState::new_without_initialise(&problem) } else { problem.rk_state(&tableau) };
        let state = state.ok()?;
        let wanted = state.as_ref().h;
        let mut solver = problem.sdirk_solver::<NalgebraLU<f64>, _>(state.clone(), tableau).ok()?;
        solver.set_stop_time(end).ok()?;
        solver.step().ok()?;
        let state = solver.state();
        let statistics = solver.get_statistics();
        step.work.rejected_steps +=
            (statistics.number_of_error_test_failures + statistics.number_of_nonlinear_solver_fails) as u64;
        // Rounding leaves slivers before the end.
        let reached = if (end - state.t).abs() <= SLIVER * (end - step.t) { end } else { state.t };
        let cut = reached == end && reached - step.t < wanted;
        let next = if cut { wanted.max(state.h) } else { state.h };
        let y = state.y.inner().as_slice().to_vec();
        (reached > step.t && y.iter().all(|x| x.is_finite())).then_some((reached, y, next))
    }
}
