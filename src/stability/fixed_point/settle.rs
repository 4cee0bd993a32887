//! From a start to a fixed point of the whole flow.
//!
//! Covers the repetition of Newton's method with a rule chosen where it ended, the check that all rates vanish there,
//! and what to do where the boundary of the feasible set stops it. Not here: one run (see `newton`), and the analysis
//! of what is found.

use nalgebra::DVector;

use crate::limit::Compiled;
use crate::numerics::largest::largest_size;
use crate::ode::ReducedOde;
use crate::stability::fixed_point::face::Face;
use crate::stability::fixed_point::newton::{NewtonLimits, NewtonStop, Run, newton};
use crate::state::OrderParameters;

/// How often Newton's method is repeated with a new rule. The rule of a state near the fixed point serves there too, so
/// one repetition is the rule, and more say that none serves.
const REPETITIONS: usize = 3;
/// Rates count as zero up to that many times the accuracy of the coefficients, of which three enter dR/dt ...
const ACCURACIES: f64 = 3.0;
/// ... and up to that many tolerances of Newton's method, by the change of the rule.
const TOLERANCES: f64 = 1e3;

/// Whether a state is one of those known to be fixed.
pub(crate) type Known<'k, T> = dyn Fn(&OrderParameters<T>) -> bool + 'k;

/// Newton's method within `face`, then again with a rule chosen where it ended, until that is fixed to the
/// coefficients' tolerance, or `known`: an evaluation with error control costs as much as several steps.
pub(crate) fn settle<T: Compiled>(
    ode: &ReducedOde<'_, T>,
    face: &Face<T>,
    start: &OrderParameters<T>,
    (deflated, known): (&[DVector<T>], &Known<'_, T>),
    limits: &NewtonLimits<T>,
) -> Run<T> {
    let mut run = newton(ode, face, start, deflated, limits);
    for _ in 0..REPETITIONS {
        if run.stop != NewtonStop::Converged || known(&run.state) || is_fixed(ode, &run.state, limits) {
            return run;
        }
        let again = newton(ode, face, &run.state, &[], limits);
        run.residuals.extend(again.residuals);
        (run.state, run.stop) = (again.state, again.stop);
    }
    if run.stop == NewtonStop::Converged && !is_fixed(ode, &run.state, limits) {
        run.stop = NewtonStop::NotInvariant;
    }
    run
}

/// As [`settle`]; pressed against the boundary where neurons coincide or vanish, it goes on within the boundary.
pub(crate) fn settle_or_coincide<T: Compiled>(
    ode: &ReducedOde<'_, T>,
    face: &Face<T>,
    start: &OrderParameters<T>,
    (deflated, known): (&[DVector<T>], &Known<'_, T>),
    limits: &NewtonLimits<T>,
) -> Run<T> {
    let mut run = settle(ode, face, start, (deflated, known), limits);
    if run.stop == NewtonStop::Boundary
        && let Some(face) = Face::of_coinciding(&run.state, ode.constraint())
    {
        let within = settle(ode, &face, &run.state, (&[], known), limits);
        run.residuals.extend(within.residuals);
        if within.stop == NewtonStop::Converged {
            (run.state, run.stop) = (within.state, within.stop);
        }
    }
    run
}

/// Whether all rates vanish, not those of a face or of a frozen rule alone.
fn is_fixed<T: Compiled>(ode: &ReducedOde<'_, T>, state: &OrderParameters<T>, limits: &NewtonLimits<T>) -> bool {
    let Ok(rates) = ode.rates(state) else { return false };
    let unit = ode.limit().learning_rate().max(ode.decay().abs() * state.r().amax());
    let tolerance = T::lit(ACCURACIES) * ode.limit().accuracy() + T::lit(TOLERANCES) * limits.tolerance;
    largest_size(rates.q.iter().chain(&rates.r).copied()) <= tolerance * unit
}
