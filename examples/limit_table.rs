//! What does the limit say of every case in a file? Prints it as one JSON object, to be checked against another program.
//!
//! Three kinds of things can be asked: the coefficients of the reduced ODE at a state, the trajectory from a start, or the fixed points
//! without overlaps. `--help` explains the file; tests/data has files of each kind. What is wrong with a file is said by a message that
//! names the case and the field, and by exit code 2.
//!
//!     cargo run --release --features serde --example limit_table -- --help

mod support;

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use contrastive_dynamics::nalgebra::DMatrix;
use contrastive_dynamics::prelude::*;
use contrastive_dynamics::stability::uninformative_points;
use serde_json::{Value, json};
use support::Outcome;

#[path = "../tests/support/case_file.rs"]
mod case_file;

use case_file::{Case, NoData, StateData, TrajectoryData, read_cases};

/// What does the limit say of every case in a file? Prints it as one JSON object, to be checked against another program.
#[derive(Debug, Parser)]
#[command(after_help = "--help explains the format of the file.", after_long_help = FORMAT)]
struct Arguments {
    /// What is computed for every case.
    kind: Kind,
    /// The file of cases, in JSON.
    file: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// A, B, Lambda and the rates dQ, dR of the reduced ODE at a state, and an estimate of the error.
    Coefficients,
    /// The state at given times from a start: Q row by row, then the upper triangle of R.
    Trajectory,
    /// Every fixed point without overlaps with 0.02 < R < 20, and the growth rate of every feature there; one neuron.
    Uninformative,
}

/// How a file is written.
const FORMAT: &str = r#"The file is one JSON object:

    {"cases": [{
        "name": "one",
        "parameters": {
            "sigma": "tanh",
            "hidden": [{"kind": "rademacher", "scale": 1.5}],
            "Kf": [[0.3, -0.15], [-0.15, 0.3]], "Kb": [[0.3, -0.15], [-0.15, 0.3]],
            "tau": 0.3, "gamma": 0.5, "lambda": 0, "eta": 1, "batch": 1
        },
        "Q": [[0.4]], "R": [[0.8]]
    }]}

Parameters:
    sigma            the nonlinearity: "tanh", "erf" (erf(h/sqrt 2)) or "identity"
    hidden           one law for each feature; "kind" is "rademacher", "ternary", "gaussian" or "uniform",
                     "scale" its standard deviation, and "q", of a ternary law alone, the probability not to be 0
    Kf, Kb           2 x 2 covariances of the noise over the two views, along the features and in the background
    tau, gamma       learning rate and weight decay
    lambda           strength of the penalty on correlated outputs
    eta              standard deviation of the background
    batch            batch size

Beside the parameters a case has, as lists of rows,
    coefficients     "Q" (features x neurons) and "R" (neurons x neurons), the state
    trajectory       "Q0" and "R0", the start, and "times", a list that increases
    uninformative    nothing

Answers of another program may stand in the same file; they are not read."#;

/// A matrix as a list of rows.
fn rows(matrix: &DMatrix<f64>) -> Value {
    matrix.row_iter().map(|row| row.iter().copied().collect::<Vec<f64>>()).collect::<Vec<_>>().into()
}

/// Coefficients at the state of every case.
fn coefficients(text: &str) -> Outcome<Vec<Value>> {
    let evaluate = |case: &Case<StateData>| -> Outcome<Value> {
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

/// The solution from the start of every case.
fn trajectories(text: &str) -> Outcome<Vec<Value>> {
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

/// The fixed points without overlaps of every case.
fn uninformative(text: &str) -> Outcome<Vec<Value>> {
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

/// The answers to every case of the file, as one JSON object.
fn answer(arguments: &Arguments) -> Outcome<Value> {
    let text = fs::read_to_string(&arguments.file).map_err(|e| format!("{}: {e}", arguments.file.display()))?;
    let cases = match arguments.kind {
        Kind::Coefficients => coefficients(&text)?,
        Kind::Trajectory => trajectories(&text)?,
        Kind::Uninformative => uninformative(&text)?,
    };
    Ok(json!({ "cases": cases }))
}

/// Prints it; whoever reads may have seen enough before the end.
fn print(answer: &Value) -> Outcome {
    match writeln!(io::stdout(), "{answer:#}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(format!("standard output: {error}").into()),
        _ => Ok(()),
    }
}

fn main() -> ExitCode {
    match answer(&Arguments::parse()).and_then(|answer| print(&answer)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("limit_table: {error}");
            ExitCode::from(2)
        }
    }
}
