//! Gradients of solutions and searches for schedules, for any objective, controls and bounds.

use arbitrary::Unstructured;
use contrastive_dynamics::control::{Adjoint, Control, Functional, Objective, Optimiser, TimeGrid};
use contrastive_dynamics::limit::Parameter;
use contrastive_dynamics::model::{Constraint, Quantity, Schedules};
use contrastive_dynamics::nalgebra::DVector;
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::state::{Direction, OrderParameters};

use crate::Read;
use crate::models::small;
use crate::numbers::{count, mostly, number, numbers, sane, share};
use crate::states::state_of;
use crate::training::schedule;

const QUANTITIES: [Quantity; 7] = [
    Quantity::LearningRate,
    Quantity::WeightDecay,
    Quantity::PenaltyStrength,
    Quantity::FeatureNoiseVariance,
    Quantity::BackgroundNoiseVariance,
    Quantity::FeatureNoiseCorrelation,
    Quantity::BackgroundNoiseCorrelation,
];

/// A function of the state that may be none, with derivatives that may be wrong.
struct AnyFunctional {
    kind: u8,
    a: f64,
    b: f64,
    derivatives: Option<(usize, f64)>,
}

impl Functional for AnyFunctional {
    fn value(&self, t: f64, state: &OrderParameters) -> f64 {
        let q = state.q()[(0, 0)];
        match self.kind {
            0 => self.a,
            1 => (self.a - q).sqrt(),
            2 => self.a * q + self.b * t,
            3 => self.b / (state.r()[(0, 0)] - self.a),
            4 => state.cosine_similarity(0, 0).unwrap_or(f64::NAN) - self.a,
            5 => t - self.a,
            _ => q * q - self.b,
        }
    }
    fn gradient(&self, t: f64, state: &OrderParameters) -> DVector<f64> {
        match self.derivatives {
            Some((length, value)) => DVector::from_element(length, value),
            None => Functional::gradient(&|t: f64, state: &OrderParameters| self.value(t, state), t, state),
        }
    }
}

fn functional(u: &mut Unstructured<'_>) -> Read<AnyFunctional> {
    let derivatives = if u.ratio(1, 8)? { Some((u.int_in_range(0..=9)?, number(u)?)) } else { None };
    let (a, b) = (sane(u)?, sane(u)?);
    Ok(AnyFunctional { kind: u.int_in_range(0..=6)?, a: mostly(u, a)?, b: mostly(u, b)?, derivatives })
}

fn grid(u: &mut Unstructured<'_>) -> Read<Option<TimeGrid>> {
    let times = if u.ratio(1, 6)? { numbers(u, 4)? } else { vec![0.0, 0.3, mostly(u, 0.8)?] };
    Ok(if u.arbitrary()? { TimeGrid::linear(times) } else { TimeGrid::constant(times) }.ok())
}

pub(crate) fn control(u: &mut Unstructured<'_>) -> Read<()> {
    let Some(model) = small(u)? else { return Ok(()) };
    let constraints = [Constraint::None, Constraint::Sphere, Constraint::Orthonormal, Constraint::GramSchmidt];
    let builder = model.to_builder().momentum(if u.ratio(1, 4)? { number(u)? } else { 0.0 });
    let Ok(model) = builder.constraint(constraints[u.choose_index(4)?]).build() else { return Ok(()) };
    let (p, m) = (model.settings().n_features, model.settings().n_neurons);
    let Some(state) = state_of(u, p, m)? else { return Ok(()) };
    let state = if u.arbitrary()? { state.orthonormalised().unwrap_or(state) } else { state };
    let Ok(ode) = ReducedOde::new(&model) else { return Ok(()) };
    let Ok(ode) = ode.coefficient_tolerance(mostly(u, 1e-3)?) else { return Ok(()) };
    let ode = ode.node_budget(500);
    let mut objective = Objective::new();
    if u.ratio(3, 4)? {
        objective = objective.at_end(functional(u)?);
    }
    if u.ratio(1, 3)? {
        objective = objective.integral(functional(u)?);
    }
    if u.ratio(1, 3)? {
        let ways = [Direction::Rising, Direction::Falling, Direction::Either, Direction::AtOrAbove, Direction::AtOrBelow];
        objective = objective.until(ways[u.choose_index(5)?], functional(u)?);
    }
    let mut schedules = Schedules::new();
    if u.ratio(1, 3)?
        && let Some(one) = schedule(u)?
    {
        schedules = schedules.with(QUANTITIES[u.choose_index(7)?], one);
    }
    let end = share(u)?;
    let end = mostly(u, end)?;
    let parameters = [Parameter::LearningRate, Parameter::BatchSize, Parameter::SecondMoment(count(u, 2)?)];
    let quantities = [QUANTITIES[u.choose_index(7)?], QUANTITIES[u.choose_index(7)?]];
    let adjoint = Adjoint::new(&ode).schedules(&schedules).step_limit(6).quantities(quantities);
    let adjoint = adjoint.parameters(parameters.into_iter().take(u.int_in_range(0..=3)?));
    match adjoint.gradient(&objective, &state, end) {
        Ok(gradient) => {
            assert!(gradient.value().is_finite() && gradient.by_start().iter().all(|x| x.is_finite()));
            let slope = number(u)?;
            let _ = (gradient.along(quantities[0], |t| slope * t), gradient.density(quantities[1]));
        }
        Err(error) => drop(error.to_string()),
    }
    let mut search = Optimiser::new(&ode, &objective).schedules(&schedules).step_limit(6).iteration_limit(2);
    search = search.gradient_tolerance(mostly(u, 1e-4)?);
    for _ in 0..u.int_in_range(1..=2)? {
        let Some(grid) = grid(u)? else { continue };
        let followed = quantities.into_iter().take(u.int_in_range(0..=2)?);
        let mut control = Control::new(followed, grid);
        if u.ratio(3, 4)? {
            let (lower, upper) = (share(u)?, share(u)?);
            control = control.bounds(mostly(u, 0.1 * lower)?, mostly(u, 0.2 + upper)?);
        }
        if u.arbitrary()?
            && let Some(first) = schedule(u)?
        {
            control = control.initial(first);
        }
        search = search.control(control);
    }
    let outcome = if u.arbitrary()? { search.minimise(&state, end) } else { search.maximise(&state, end) };
    match outcome {
        Ok(best) => assert!(best.objective().is_finite()),
        Err(error) => drop(error.to_string()),
    }
    Ok(())
}
