//! Computes limit quantities for every case of a file and prints them as one JSON object, to be checked against another
//! program:
//!
//! `cargo run --release --features serde --example limit_table -- KIND FILE`
//!
//! KIND is `coefficients` (A, B, Lambda, dQ, dR at Q, R), `trajectory` (a row of state per time: Q row by row, then the
//! upper triangle of R) or `uninformative` (every fixed point Q = 0 with 0.02 < R < 20, and the growth rate of every
//! feature there). FILE is in the format that tests/support/case_file.rs describes. A file that is wrong gets a message
//! that names the case and the field, and exit code 2.

use std::error::Error;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use contrastive_dynamics::integrate::Output;
use contrastive_dynamics::nalgebra::DMatrix;
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::stability::uninformative_points;
use serde_json::{Value, json};

#[path = "../tests/support/case_file.rs"]
mod case_file;

use case_file::{Case, NoData, StateData, TrajectoryData, read_cases};

/// A matrix as a list of rows.
fn rows(matrix: &DMatrix<f64>) -> Value {
    matrix.row_iter().map(|row| row.iter().copied().collect::<Vec<f64>>()).collect::<Vec<_>>().into()
}

fn coefficients(text: &str) -> Result<Vec<Value>, Box<dyn Error>> {
    let evaluate = |case: &Case<StateData>| -> Result<Value, Box<dyn Error>> {
        let state = case.state(&case.data.q, &case.data.r, "Q and R")?;
        let model = case.model(state.n_neurons())?;
        let ode = ReducedOde::new(&model)?;
        let named = |e| format!("case {}, fields Q and R: {e}", case.name);
        let estimated = ode.limit().coefficients(&state).map_err(named)?;
        let (limit, rates) = (&estimated.coefficients, ode.rates(&state).map_err(named)?);
        Ok(json!({
            "name": case.name,
            "A": rows(&limit.a), "B": rows(&limit.b), "Lambda": rows(&limit.lambda),
            "dQ": rows(&rates.q), "dR": rows(&rates.r),
            "error_estimate": estimated.error,
        }))
    };
    read_cases::<StateData>(text)?.iter().map(evaluate).collect()
}

fn trajectories(text: &str) -> Result<Vec<Value>, Box<dyn Error>> {
    let mut out = Vec::new();
    for case in read_cases::<TrajectoryData>(text)? {
        let start = case.state(&case.data.q0, &case.data.r0, "Q0 and R0")?;
        let model = case.model(start.n_neurons())?;
        let ode = ReducedOde::new(&model)?;
        let end = case.data.times.last().copied();
        let end = end.ok_or_else(|| format!("case {}, field times: needs at least one time", case.name))?;
        let solver = ode.solver().output(Output::Times(case.data.times.clone()));
        let trajectory = solver.solve(&start, end).map_err(|e| format!("case {}, field times: {e}", case.name))?;
        let state: Vec<_> = trajectory.states().iter().map(|s| s.to_packed().as_slice().to_vec()).collect();
        out.push(json!({ "name": case.name, "times": trajectory.times(), "state": state }));
    }
    Ok(out)
}

fn uninformative(text: &str) -> Result<Vec<Value>, Box<dyn Error>> {
    let mut out = Vec::new();
    for case in read_cases::<NoData>(text)? {
        let model = case.model(1)?;
        let ode = ReducedOde::new(&model)?.coefficient_tolerance(1e-12)?;
        let points = uninformative_points(&ode, 0.02, 20.0).map_err(|e| format!("case {}: {e}", case.name))?;
        let points: Vec<_> =
            points.iter().map(|point| json!({ "R": point.r, "eigenvalue_Q": point.growth_rates })).collect();
        out.push(json!({ "name": case.name, "fixed_points": points }));
    }
    Ok(out)
}

fn run() -> Result<Value, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kind, file] = arguments.as_slice() else {
        return Err("usage: limit_table coefficients|trajectory|uninformative FILE".into());
    };
    let text = std::fs::read_to_string(file).map_err(|e| format!("{file}: {e}"))?;
    let cases = match kind.as_str() {
        "coefficients" => coefficients(&text)?,
        "trajectory" => trajectories(&text)?,
        "uninformative" => uninformative(&text)?,
        other => return Err(format!("unknown kind {other}: coefficients, trajectory or uninformative").into()),
    };
    Ok(json!({ "cases": cases }))
}

fn main() -> ExitCode {
    match run() {
        Ok(answer) => match writeln!(std::io::stdout(), "{answer:#}") {
            // Whoever reads has seen enough.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                eprintln!("limit_table: standard output: {error}");
                ExitCode::from(2)
            }
            _ => ExitCode::SUCCESS,
        },
        Err(error) => {
            eprintln!("limit_table: {error}");
            ExitCode::from(2)
        }
    }
}
