//! Simulators, particles, grids, and the loop around them.

use std::ops::ControlFlow;

use arbitrary::Unstructured;
use contrastive_dynamics::integrate::{Output, Work};
use contrastive_dynamics::model::Constraint;
use contrastive_dynamics::pde::grid::{Flux, GridSolver};
use contrastive_dynamics::pde::particles::{EulerMaruyama, Exponential, Heun, Noise, ParticleSystem};
use contrastive_dynamics::sgd::{CompressedSgd, DirectSgd, ProjectedChain, Simulator};
use contrastive_dynamics::state::{Checkpoint, Direction, OrderParameters, Process, Run};

use crate::Read;
use crate::models::small;
use crate::numbers::{count, mostly, number, output, sane, share};
use crate::states::state_of;

/// Few steps of anything.
fn drive<P: Process<Scalar = f64, State = OrderParameters>>(
    u: &mut Unstructured<'_>,
    process: &mut P,
    unit: f64,
) -> Read<()>
where
    P::Error: std::fmt::Display,
{
    let end = unit * 20.0 * share(u)?;
    let end = mostly(u, end)?;
    let level = sane(u)?;
    let run =
        Run::of(process).output(output(u, end)?).step_limit(u.int_in_range(0..=30)?).check_every(count(u, 3)? as u64);
    let run = run.event(Direction::Rising, move |_, state| state.r()[(0, 0)] - level);
    let run = run.steady_rate(mostly(u, 1e-2)?).steady_window(mostly(u, 0.1)?);
    let run = run.observe(output(u, end)?, |seen| {
        if seen.time() > 1e3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let _ = run.to(end).map_err(|error| error.to_string());
    Ok(())
}

pub(crate) fn simulators(u: &mut Unstructured<'_>) -> Read<()> {
    let Some(model) = small(u)? else { return Ok(()) };
    let (p, m) = (model.settings().n_features, model.settings().n_neurons);
    // What fits into memory and is large takes long to draw.
    let dimension = count(u, 40)?;
    let dimension = if dimension == 1 << 16 { 65 } else { dimension };
    let Some(start) = state_of(u, p, m)? else { return Ok(()) };
    let seed = u.arbitrary()?;
    let unit = 1.0 / dimension.max(1) as f64;
    match u.int_in_range(0..=3)? {
        0 => {
            if let Ok(mut sgd) = DirectSgd::builder(&model, dimension).start(&start).build_seeded(seed) {
                drive(u, &mut sgd, unit)?;
                let saved = sgd.saved();
                let _ = (sgd.step(), sgd.restore(saved));
            }
        }
        1 => {
            if let Ok(mut sgd) = CompressedSgd::builder(&model, dimension).start(&start).build_seeded(seed) {
                drive(u, &mut sgd, unit)?;
                let saved = sgd.saved();
                let _ = (sgd.step(), sgd.restore(saved));
            }
        }
        2 => {
            if let Ok(mut chain) = ProjectedChain::builder(&model, dimension).start(&start).build_seeded(seed) {
                drive(u, &mut chain, unit)?;
            }
        }
        _ => {
            let seeds: Read<Vec<u64>> = (0..u.int_in_range(0..=34)?).map(|k| Ok(seed ^ k)).collect();
            if let Ok(mut lanes) = ProjectedChain::builder(&model, dimension).start(&start).lanes(&seeds?) {
                let end = unit * 10.0;
                let _ = lanes.run(mostly(u, end)?.min(unit * 30.0), &Output::EverySteps(3));
            }
        }
    }
    Ok(())
}

pub(crate) fn particles(u: &mut Unstructured<'_>) -> Read<()> {
    let Some(model) = small(u)? else { return Ok(()) };
    let (p, m) = (model.settings().n_features, model.settings().n_neurons);
    let Some(start) = state_of(u, p, m)? else { return Ok(()) };
    let number_of = count(u, 60)?;
    let builder = ParticleSystem::builder(&model, if number_of == 1 << 16 { 66 } else { number_of }).start(&start);
    let noise = [Noise::Independent, Noise::Antithetic, Noise::Matched][u.choose_index(3)?];
    let builder = builder.noise(noise).coefficient_tolerance(mostly(u, 1e-3)?).node_budget(2000);
    let size = 0.5 * share(u)?;
    let size = mostly(u, size)?;
    let seed = u.arbitrary()?;
    match u.int_in_range(0..=3)? {
        0 => {
            if let Ok(scheme) = EulerMaruyama::new(size)
                && let Ok(mut particles) = builder.scheme(scheme).build_seeded(seed)
            {
                drive(u, &mut particles, 0.1)?;
            }
        }
        1 => {
            if let Ok(scheme) = Exponential::new(size)
                && let Ok(mut particles) = builder.scheme(scheme).build_seeded(seed)
            {
                drive(u, &mut particles, 0.1)?;
            }
        }
        2 => {
            if let Ok(scheme) = Heun::new(size)
                && let Ok(mut particles) = builder.scheme(scheme).build_seeded(seed)
            {
                drive(u, &mut particles, 0.1)?;
                let saved = particles.saved();
                let _ = (particles.step(), particles.restore(saved));
            }
        }
        _ => {
            if let Ok(mut particles) = builder.build_seeded(seed) {
                drive(u, &mut particles, 0.1)?;
            }
        }
    }
    Ok(())
}

pub(crate) fn grids(u: &mut Unstructured<'_>) -> Read<()> {
    let Some(model) = small(u)? else { return Ok(()) };
    let Ok(model) = model.to_builder().n_neurons(1).constraint(Constraint::None).build() else { return Ok(()) };
    let Some(start) = state_of(u, model.settings().n_features, 1)? else { return Ok(()) };
    let mut builder = GridSolver::builder(&model).coefficient_tolerance(1e-3).node_budget(2000).feature_nodes(3);
    builder = builder.cell_limit(u.int_in_range(0..=4000)?).tolerance(mostly(u, 1e-2)?).order(count(u, 5)?);
    if u.ratio(1, 3)? {
        builder = builder.width(number(u)?);
    }
    if u.ratio(1, 4)? {
        builder = builder.step_size(number(u)?);
    }
    if u.arbitrary()? {
        builder = builder.flux(Flux::ChangCooper);
    }
    if let Ok(mut solver) = builder.start(&start).build() {
        drive(u, &mut solver, 0.1)?;
        let saved = solver.saved();
        let _ = (solver.step(), solver.restore(saved), solver.density().marginal().is_ok());
    }
    Ok(())
}

/// A process that says anything.
struct Any<'d> {
    said: Vec<f64>,
    at: usize,
    steps: bool,
    dense: bool,
    words: &'d [u8],
}

impl Any<'_> {
    fn next(&self, k: usize) -> f64 {
        if self.said.is_empty() { 0.0 } else { self.said[(self.at + k) % self.said.len()] }
    }
}

impl Process for Any<'_> {
    type Scalar = f64;
    type State = OrderParameters;
    type Error = &'static str;
    fn now(&self) -> f64 {
        if self.steps { self.at as f64 / 10.0 } else { self.next(0) }
    }
    fn state(&self) -> OrderParameters {
        OrderParameters::from_rows(1, 1, &[0.0], &[self.next(1).abs().min(1e300)])
            .unwrap_or_else(|_| OrderParameters::from_rows(1, 1, &[0.0], &[1.0]).expect("it is one"))
    }
    fn work(&self) -> Work {
        Work::of_steps(self.at as u64)
    }
    fn advance(&mut self, _until: f64) -> Result<(), &'static str> {
        self.at += 1;
        if self.words.get(self.at).is_some_and(|word| *word == 7) { Err("as it was asked to") } else { Ok(()) }
    }
    fn steps_until(&self, t: f64) -> Option<i64> {
        self.steps.then(|| ((10.0 * t).round() as i64).saturating_sub(self.at as i64))
    }
    fn interpolate(&self, t: f64) -> Option<OrderParameters> {
        self.dense.then(|| self.state()).filter(|_| !t.is_nan())
    }
    fn numbers(&self, _state: &OrderParameters) -> Vec<f64> {
        vec![self.next(2); 1 + self.at % 2]
    }
}

pub(crate) fn runs(u: &mut Unstructured<'_>) -> Read<()> {
    let said: Read<Vec<f64>> = (0..u.int_in_range(0..=20)?).map(|_| number(u)).collect();
    let (steps, dense) = (u.arbitrary()?, u.arbitrary()?);
    let words: Vec<u8> = u.arbitrary()?;
    let mut process = Any { said: said?, at: 0, steps, dense: dense && !steps, words: &words };
    drive(u, &mut process, 0.1)
}
