//! How accurately rates are known, and how accurately they can be.
//!
//! Covers what errors of the coefficients do to rates and to their derivatives, and the tolerances that are asked for
//! where a bifurcation is located. Not here: what errors of the rates do to a bifurcation (see `defining`).

use crate::limit::{Compiled, LimitError, Rule};
use crate::model::Constraint;
use crate::ode::ReducedOde;
use crate::stability::continuation::system::Uncertainty;

/// The error of a rate in errors of the coefficients: three of them enter dR/dt, and once more the projection to the
/// sphere.
const COEFFICIENTS: f64 = 3.0;
/// The error of a derivative in errors of the rates: that of a rule decays like exp(−n a(x)) with the accuracy n, which
/// is about 30 units of ln(1/error).
const DERIVATIVES: f64 = 30.0;
/// The tolerances that are asked for, of one neuron and of more: a little above rounding.
const SHARPEST: [f64; 2] = [1e-13, 1e-12];
/// The same in ulp, where it is more.
const SHARPEST_ULPS: f64 = 400.0;
/// Where a tolerance cannot be met the next is that many times as large.
const BLUNTER: f64 = 10.0;

/// How far rates and their derivatives may be off with coefficients of that error.
pub(crate) fn of_rates<T: Compiled>(ode: &ReducedOde<'_, T>, coefficients: T) -> Uncertainty<T> {
    let projected = if ode.constraint() == Constraint::None { 1.0 } else { 2.0 };
    let residual = T::lit(COEFFICIENTS * projected) * coefficients;
    let derivative = T::lit(DERIVATIVES) * residual;
    Uncertainty { residual, by_state: derivative, by_parameter: derivative }
}

/// The ODE with the smallest tolerance of its coefficients that `works`; none if that is its own already, or if the
/// rule in use is sampled, whose error shrinks no more.
pub(crate) fn sharpest<'a, T: Compiled>(
    ode: &ReducedOde<'a, T>,
    rule: Option<&Rule<T>>,
    works: impl Fn(&ReducedOde<'a, T>) -> Option<()>,
) -> Option<ReducedOde<'a, T>> {
    if rule.is_some_and(Rule::is_sampled) {
        return None;
    }
    sharper_tolerances(ode).find_map(|tolerance| {
        let sharper: Result<_, LimitError<T>> = ode.clone().coefficient_tolerance(tolerance);
        sharper.ok().filter(|ode| works(ode).is_some())
    })
}

/// Tolerances below the ODE's own, rising.
pub(crate) fn sharper_tolerances<T: Compiled>(ode: &ReducedOde<'_, T>) -> impl Iterator<Item = T> {
    let least = T::lit(SHARPEST[usize::from(ode.limit().n_neurons() > 1)]).max(T::lit(SHARPEST_ULPS) * T::EPSILON);
    let own = ode.limit().accuracy();
    std::iter::successors(Some(least), |tolerance| Some(*tolerance * T::lit(BLUNTER)))
        .take_while(move |tolerance| *tolerance < T::lit(0.5) * own)
}
