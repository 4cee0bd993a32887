//! How models are trained: losses, schedules, momentum, orthonormal weights and masks.

use arbitrary::Unstructured;
use contrastive_dynamics::limit::Limit;
use contrastive_dynamics::model::{
    BarlowTwins, BatchPolynomial, CentredCovarianceLoss, Constraint, CovarianceLoss, InfoNce, Loss, Masking,
    OutputGradient, Outputs, Quadratic, Schedule, Schedules, SpectralContrastive, VicReg,
};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::sgd::{DirectSgd, ProjectedChain, Simulator};

use crate::Read;
use crate::models::{Small, small};
use crate::numbers::{count, mostly, number, share};
use crate::states::state_of;

/// A polynomial of any terms; with a gradient of its own that is right, wrong, or not a number.
#[derive(Clone)]
struct AnyPolynomial {
    terms: Vec<(f64, Vec<Vec<(usize, usize)>>)>,
    factor: f64,
    neurons: Option<usize>,
}

impl Loss for AnyPolynomial {
    fn value(&self, outputs: Outputs<'_, f64>) -> f64 {
        self.polynomial(outputs.n_neurons(), outputs.batch_size()).map_or(0.0, |loss| loss.value(outputs))
    }
    fn gradient(&self, outputs: Outputs<'_, f64>, mut gradient: OutputGradient<'_, f64>) {
        let m = outputs.n_neurons();
        if let Some(loss) = self.polynomial(m, outputs.batch_size()) {
            loss.gradient(outputs, gradient);
            return;
        }
        for i in 0..m {
            gradient.view_mut(0, i).fill(self.factor);
        }
    }
    fn polynomial(&self, n_neurons: usize, _batch_size: usize) -> Option<BatchPolynomial> {
        self.terms.iter().try_fold(BatchPolynomial::new(self.neurons.unwrap_or(n_neurons)), |loss, (a, averages)| {
            let averages: Vec<&[(usize, usize)]> = averages.iter().map(Vec::as_slice).collect();
            loss.plus(*a, &averages)
        })
    }
}

fn any_polynomial(u: &mut Unstructured<'_>) -> Read<AnyPolynomial> {
    let mut terms = Vec::new();
    for _ in 0..u.int_in_range(0..=3)? {
        let mut averages = Vec::new();
        for _ in 0..u.int_in_range(0..=4)? {
            let outputs: Read<Vec<_>> = (0..u.int_in_range(0..=3)?)
                .map(|_| Ok((u.int_in_range(0..=2)? % 3, u.int_in_range(0..=3)? % 4)))
                .collect();
            averages.push(outputs?.into_iter().map(|(v, i)| (v % 2, if i == 3 { 7 } else { i % 2 })).collect());
        }
        terms.push((number(u)?, averages));
    }
    let neurons = if u.ratio(1, 8)? { Some(count(u, 3)?) } else { None };
    Ok(AnyPolynomial { terms, factor: number(u)?, neurons })
}

/// Coefficients and a few steps under a loss.
fn with_loss<L: Loss>(u: &mut Unstructured<'_>, base: &Small, loss: L) -> Read<()> {
    let Ok(model) = base.to_builder().loss(loss).build() else { return Ok(()) };
    let (p, m) = (model.settings().n_features, model.settings().n_neurons);
    let Some(state) = state_of(u, p, m)? else { return Ok(()) };
    if let Ok(limit) = Limit::new(&model)
        && let Ok(limit) = limit.node_budget(u.int_in_range(1..=2000)?).tolerance(mostly(u, 1e-3)?)
    {
        let _ = limit.coefficients(&state).map_err(|error| error.to_string());
    }
    if let Ok(ode) = ReducedOde::new(&model) {
        let ode = ode.node_budget(500);
        let _ = ode.sensitivities(&state, &[]).map_err(|error| error.to_string());
    }
    let dimension = u.int_in_range(1..=20)?;
    if let Ok(mut chain) = ProjectedChain::builder(&model, dimension).start(&state).build_seeded(u.arbitrary()?) {
        for _ in 0..3 {
            let _ = chain.step().map_err(|error| error.to_string());
        }
    }
    Ok(())
}

pub(crate) fn losses(u: &mut Unstructured<'_>) -> Read<()> {
    let Some(base) = small(u)? else { return Ok(()) };
    let (first, second, third) = (number(u)?, number(u)?, number(u)?);
    match u.int_in_range(0..=6)? {
        0 => with_loss(u, &base, SpectralContrastive),
        1 => BarlowTwins::new(first).map_or(Ok(()), |loss| with_loss(u, &base, loss)),
        2 => InfoNce::new(first).map_or(Ok(()), |loss| with_loss(u, &base, loss)),
        3 => {
            let loss = VicReg::new(first, second, third).and_then(|loss| loss.target(first));
            loss.map_or(Ok(()), |loss| with_loss(u, &base, loss))
        }
        4 => {
            let loss = CovarianceLoss::new(Quadratic, first).map(CentredCovarianceLoss::new);
            loss.map_or(Ok(()), |loss| with_loss(u, &base, loss))
        }
        _ => {
            let loss = any_polynomial(u)?;
            with_loss(u, &base, loss)
        }
    }
}

pub(crate) fn schedule(u: &mut Unstructured<'_>) -> Read<Option<Schedule>> {
    let (a, b, c, d) = (number(u)?, number(u)?, number(u)?, number(u)?);
    let kind = u.int_in_range(0..=8)?;
    let made = match kind {
        0 => Schedule::constant(a),
        1 => Schedule::steps(a, [(b, c), (d, a)]),
        2 => Schedule::linear([(0.0, a), (b, c), (d, a)]),
        3 => Schedule::polynomial(a, b, c, d),
        4 => Schedule::cosine(a, b, c),
        5 => Schedule::exponential(a, b),
        6 => Schedule::power_law(a, b, c),
        7 => Schedule::function(move |t| a + b * t).breakpoints([c, d]),
        _ => Schedule::cosine(a.abs(), b.abs(), 1.0),
    };
    let warmed = if u.ratio(1, 3)? { made.and_then(|schedule| schedule.warm_up(d)) } else { made };
    Ok(warmed.ok())
}

pub(crate) fn schedules(u: &mut Unstructured<'_>) -> Read<()> {
    let Some(model) = small(u)? else { return Ok(()) };
    let builder = model.to_builder().momentum(if u.ratio(1, 3)? { number(u)? } else { 0.0 });
    let constraints = [Constraint::None, Constraint::Sphere, Constraint::Orthonormal, Constraint::GramSchmidt];
    let Ok(model) = builder.constraint(constraints[u.choose_index(4)?]).build() else { return Ok(()) };
    let (p, m) = (model.settings().n_features, model.settings().n_neurons);
    let mut schedules = Schedules::new();
    for _ in 0..u.int_in_range(0..=3)? {
        let Some(one) = schedule(u)? else { continue };
        schedules = match u.int_in_range(0..=4)? {
            0 => schedules.learning_rate(one),
            1 => schedules.weight_decay(one),
            2 => schedules.penalty_strength(one),
            3 => schedules.noise_variance(one),
            _ => schedules.noise_correlation(one),
        };
    }
    let Some(state) = state_of(u, p, m)? else { return Ok(()) };
    let state = if u.arbitrary()? { state.orthonormalised().unwrap_or(state) } else { state };
    let end = share(u)?;
    let end = mostly(u, end)?;
    if let Ok(ode) = ReducedOde::new(&model)
        && let Ok(ode) = ode.coefficient_tolerance(mostly(u, 1e-3)?)
    {
        let ode = ode.node_budget(500);
        let solver = ode.solver().schedules(&schedules).step_limit(5);
        let _ = solver.solve(&state, end).map_err(|error| error.to_string());
    }
    let dimension = u.int_in_range(1..=20)?;
    let seed = u.arbitrary()?;
    let masking = Masking::new(share(u)?, number(u)?).ok();
    let direct = DirectSgd::builder(&model, dimension).start(&state).schedules(&schedules);
    let direct = if let Some(masking) = &masking { direct.views(masking) } else { direct };
    let direct = direct.build_seeded(seed).ok();
    if let Some(mut direct) = direct {
        let _ = (0..3).try_for_each(|_| direct.step().map(drop)).map_err(|error| error.to_string());
    }
    let chain = ProjectedChain::builder(&model, dimension).start(&state).schedules(&schedules);
    if let Ok(mut chain) = chain.build_seeded(seed) {
        let _ = (0..3).try_for_each(|_| chain.step().map(drop)).map_err(|error| error.to_string());
    }
    Ok(())
}
