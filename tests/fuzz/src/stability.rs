//! Matrices, branches, fixed points, attraction regions.

use std::ops::ControlFlow;

use arbitrary::Unstructured;
use contrastive_dynamics::limit::Parameter;
use contrastive_dynamics::nalgebra::{DMatrix, DVector};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::stability::{
    AttractionRegions, Continuation, Emanating, FixedPointFinder, FunctionSystem, Grid, SobolStarts, collapsed_point,
    eigenvalues, learnability, spectrum, steady_state, uninformative_points,
};
use contrastive_dynamics::state::OrderParameters;

use crate::Read;
use crate::models::small;
use crate::numbers::{count, mostly, number, numbers, sane};
use crate::states::state_of;

pub(crate) fn matrices(u: &mut Unstructured<'_>) -> Read<()> {
    let n = u.int_in_range(0..=6)?;
    let columns = if u.ratio(1, 12)? { n + 1 } else { n };
    let entries: Read<Vec<f64>> = (0..n * columns).map(|_| number(u)).collect();
    let matrix = DMatrix::from_vec(n, columns, entries?);
    let _ = eigenvalues(&matrix).map_err(|error| error.to_string());
    if let Ok(spectrum) = spectrum(&matrix) {
        let _ = (
            spectrum.abscissa(),
            spectrum.vector(count(u, 7)?),
            spectrum.count_above(number(u)?),
            spectrum.to_string(),
        );
    }
    Ok(())
}

/// f of polynomials with any coefficients.
fn branch(u: &mut Unstructured<'_>) -> Read<()> {
    let n = u.int_in_range(1..=2)?;
    let c = numbers(u, 12)?;
    let at = move |k: usize| c.get(k).copied().unwrap_or(0.5);
    let mut system = FunctionSystem::new(n, move |x: &[f64], parameter, out: &mut [f64]| {
        for (i, out) in out.iter_mut().enumerate() {
            *out = at(6 * i) + at(6 * i + 1) * parameter + at(6 * i + 2) * x[i] + at(6 * i + 3) * x[i].powi(2)
                - at(6 * i + 4) * x[i].powi(3)
                + at(6 * i + 5) * x[0];
        }
    });
    let settings = Continuation::new(mostly(u, -1.0)?, mostly(u, 1.0)?).point_limit(u.int_in_range(0..=15)?);
    let settings = settings.parameter_scale(mostly(u, 1.0)?).first_step(mostly(u, 0.02)?).tolerance(mostly(u, 1e-10)?);
    let settings = settings.steps(mostly(u, 1e-6)?, mostly(u, 0.1)?).location(mostly(u, 1e-10)?);
    let start = numbers(u, n)?;
    let _ = settings.run(&mut system, &start, mostly(u, 0.1)?).map(|branch| (branch.to_string(), branch.to_table().to_csv()));
    let direction = DVector::from_vec(numbers(u, n + 1)?);
    let start = Emanating { state: DVector::from_vec(numbers(u, n)?), parameter: number(u)?, direction };
    let _ = settings.run_from(&mut system, &start).map_err(|error| error.to_string());
    Ok(())
}

pub(crate) fn branches(u: &mut Unstructured<'_>) -> Read<()> {
    let kind = u.int_in_range(0..=31)?;
    if kind > 3 {
        return branch(u);
    }
    // Several neurons are no other code, and take long.
    let Some(model) = small(u)?.and_then(|model| model.to_builder().n_neurons(1).build().ok()) else { return Ok(()) };
    let (p, m) = (model.settings().n_features, model.settings().n_neurons);
    let Ok(ode) = ReducedOde::new(&model) else { return Ok(()) };
    let Ok(ode) = ode.coefficient_tolerance(1e-4) else { return Ok(()) };
    let ode = ode.node_budget(1000);
    let Some(start) = state_of(u, p, m)? else { return Ok(()) };
    match kind {
        0 => {
            let finder = FixedPointFinder::new(&ode).tolerance(mostly(u, 1e-6)?).sobol_starts(u.int_in_range(0..=2)?);
            let finder = finder.separation(mostly(u, 1e-3)?).degeneracy(mostly(u, 1e-4)?).purity(mostly(u, 0.9)?);
            let finder = finder.deflated_starts(0).step_limit(u.int_in_range(0..=8)?).start(&start);
            let mut calls = 0;
            let found = finder.find_with(|_, _| {
                calls += 1;
                if calls > 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            let _ = found.map(|points| points.to_string());
        }
        1 => {
            let _ = learnability(&ode).map_err(|error| error.to_string());
            let _ = uninformative_points(&ode, number(u)?, number(u)?).map_err(|error| error.to_string());
            let _ = collapsed_point(&ode).map_err(|error| error.to_string());
        }
        2 => {
            let _ = steady_state(&ode, &start, mostly(u, 20.0)?.min(50.0)).map_err(|error| error.to_string());
            let _ = ode.with_parameter(Parameter::WeightDecay, number(u)?).is_ok();
        }
        _ => {
            let Ok(regions) = AttractionRegions::new(&ode, &[start.clone()]) else { return Ok(()) };
            let Ok(regions) = regions.time_limit(mostly(u, 10.0)?.min(30.0)) else { return Ok(()) };
            let grid = Grid { a: (number(u)?, number(u)?), b: (0.0, 1.0), columns: count(u, 2)?, rows: count(u, 2)? };
            let scale = sane(u)?;
            let of = |a: f64, b: f64| {
                OrderParameters::new(start.q() * (scale * a), start.r() * (1.0 + b.abs() + a * a * scale * scale))
            };
            let _ = regions.map(grid, of).map(|map| map.to_string());
            let starts = SobolStarts { dimensions: count(u, 2)?, points: 2, scrambles: 2, seed: 1 };
            let _ = regions.selection(starts, |x| of(x.first().copied().unwrap_or(0.1), 0.5)).is_ok();
        }
    }
    Ok(())
}
