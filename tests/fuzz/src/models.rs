//! Models from any parts and settings, their coefficients and solutions.

use arbitrary::Unstructured;
use contrastive_dynamics::limit::{Limit, Parameter};
use contrastive_dynamics::model::{
    Constraint, CovarianceLoss, ElasticNet, GaussianNoise, GradientPath, Independent, L2, LeakyRelu, Model, Polynomial,
    PseudoHuber, Quadratic, RademacherNoise, SmoothedL1, Tanh, ViewCovariance, fingerprint,
};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::prelude::{Erf, Identity, Law, Relu, Sigmoid, Softplus};
use contrastive_dynamics::state::{Direction, OrderParameters};

use crate::Read;
use crate::laws::independent;
use crate::numbers::{count, mostly, number, numbers, output, sane, share};
use crate::states::state_of;

pub(crate) type Small = Model<f64, Tanh, Independent, GaussianNoise>;

pub(crate) fn noise(u: &mut Unstructured<'_>) -> Read<Option<GaussianNoise>> {
    let (variance, correlation) = (share(u)?, 2.0 * share(u)? - 1.0);
    let (variance, correlation) = (mostly(u, variance)?, mostly(u, correlation)?);
    Ok(match u.int_in_range(0..=3)? {
        0 => GaussianNoise::independent(variance).ok(),
        1 => GaussianNoise::semantic_preserving(variance, correlation).ok(),
        2 => {
            let along = ViewCovariance::new(number(u)?, number(u)?, number(u)?);
            let across = ViewCovariance::correlated(variance, correlation);
            along.ok().zip(across.ok()).map(|(along, across)| GaussianNoise::new(along, across))
        }
        _ => GaussianNoise::correlated(variance, correlation).ok(),
    })
}

/// A model of tanh with sound settings nearly always.
pub(crate) fn small(u: &mut Unstructured<'_>) -> Read<Option<Small>> {
    let hidden = match independent(u, 2)? {
        Some(hidden) => hidden,
        None => match Law::two_point(2.25).and_then(|law| Independent::new([law])) {
            Ok(hidden) => hidden,
            Err(_) => return Ok(None),
        },
    };
    let Some(noise) = noise(u)? else { return Ok(None) };
    let builder = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(noise);
    let rate = 0.05 + share(u)?;
    let decay = share(u)?;
    let builder = builder.learning_rate(mostly(u, rate)?).weight_decay(mostly(u, decay)?);
    let builder = builder.n_neurons(u.int_in_range(1..=2)?).batch_size(u.int_in_range(1..=4)?);
    let strength = share(u)?;
    let builder = builder.penalty_strength(mostly(u, strength)?).background_std(mostly(u, 0.0)?);
    let constraint = if u.ratio(1, 4)? { Constraint::Sphere } else { Constraint::None };
    let path = if u.ratio(1, 4)? { GradientPath::StopGradient } else { GradientPath::BothViews };
    Ok(builder.constraint(constraint).gradient_path(path).build().ok())
}

pub(crate) fn builders(u: &mut Unstructured<'_>) -> Read<()> {
    let Some(hidden) = independent(u, 3)? else { return Ok(()) };
    let coefficients = numbers(u, 6)?;
    let (slope, width, ratio) = (number(u)?, number(u)?, number(u)?);
    let _ = (LeakyRelu::new(slope), SmoothedL1::new(width), ElasticNet::new(ratio), PseudoHuber::new(width));
    let _ = (CovarianceLoss::new(Quadratic, number(u)?), RademacherNoise::new(width, ratio));
    let Some(noise) = noise(u)? else { return Ok(()) };
    let base = Model::builder().hidden(hidden).noise(noise).learning_rate(number(u)?).weight_decay(number(u)?);
    let base = base.n_neurons(count(u, 4)?).batch_size(count(u, 9)?).background_std(number(u)?);
    let base = base.penalty_strength(number(u)?);
    if let Ok(sigma) = Polynomial::new(coefficients)
        && let Ok(model) = base.clone().nonlinearity(sigma).build()
        && model.settings().n_neurons * model.settings().batch_size < 1 << 16
    {
        let _ = fingerprint(&model);
        let _ = Limit::new(&model).map(|limit| limit.node_budget(100));
    }
    if let Ok(model) = base.nonlinearity(Relu).regularizer(L2).build()
        && model.settings().n_neurons * model.settings().batch_size < 1 << 16
    {
        let _ = fingerprint(&model);
        let _ = ReducedOde::new(&model);
    }
    Ok(())
}

fn limit_of(u: &mut Unstructured<'_>, limit: Limit<'_>) -> Read<()> {
    let tolerance = [1e-3, 1e-5][usize::from(u.arbitrary::<bool>()?)];
    let Ok(limit) = limit.node_budget(u.int_in_range(1..=2000)?).tolerance(mostly(u, tolerance)?) else {
        return Ok(());
    };
    let state = state_of(u, limit.n_features(), limit.n_neurons())?;
    let Some(state) = state else { return Ok(()) };
    let _ = limit.coefficients(&state).map_err(|error| error.to_string());
    if u.ratio(1, 4)? {
        let _ = limit.error_slopes(&state).map_err(|error| error.to_string());
    }
    Ok(())
}

pub(crate) fn coefficients(u: &mut Unstructured<'_>) -> Read<()> {
    let Some(base) = small(u)? else { return Ok(()) };
    let kind = u.int_in_range(0..=7)?;
    let coefficients = numbers(u, 5)?;
    macro_rules! with {
        ($sigma:expr) => {
            if let Ok(model) = base.to_builder().nonlinearity($sigma).build()
                && let Ok(limit) = Limit::new(&model)
            {
                limit_of(u, limit)?;
            }
        };
    }
    match kind {
        0 => with!(Erf),
        1 => with!(Relu),
        2 => with!(Softplus),
        3 => with!(Sigmoid),
        4 => with!(Identity),
        5 => {
            if let Ok(sigma) = Polynomial::new(coefficients) {
                with!(sigma);
            }
        }
        _ => with!(Tanh),
    }
    Ok(())
}

pub(crate) fn solutions(u: &mut Unstructured<'_>) -> Read<()> {
    let Some(model) = small(u)? else { return Ok(()) };
    let Ok(ode) = ReducedOde::new(&model) else { return Ok(()) };
    let tolerance = mostly(u, 1e-3)?;
    let Ok(ode) = ode.coefficient_tolerance(tolerance) else { return Ok(()) };
    let ode = ode.node_budget(2000);
    let Some(start) = state_of(u, model.settings().n_features, model.settings().n_neurons)? else { return Ok(()) };
    let end = mostly(u, 1.0)?;
    let level = sane(u)?;
    let solver = ode.solver().output(output(u, end)?).step_limit(u.int_in_range(0..=40)?);
    let solver = solver.event(Direction::Either, move |_, state: &OrderParameters| state.r()[(0, 0)] - level);
    let _ = solver.steady_rate(mostly(u, 1e-3)?).solve(&start, end).map_err(|error| error.to_string());
    let _ = ode.rates(&start).map_err(|error| error.to_string());
    let parameters = [Parameter::LearningRate, Parameter::WeightDecay, Parameter::SecondMoment(count(u, 2)?)];
    let _ = ode.sensitivities(&start, &parameters).map_err(|error| error.to_string());
    let _ = ode.with_parameter(parameters[u.choose_index(3)?], number(u)?).map_err(|error| error.to_string());
    Ok(())
}
