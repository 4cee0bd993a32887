//! Does the limit predict a run of SGD? One model, simulated at finite dimension N and predicted by its reduced ODE, with the error
//! bars that belong to that N, and whether the deviation of the run is chance.
//!
//! Two features with the same second moment and different fourth moments compete for one neuron.
//!
//!     cargo run --release --example quickstart -- --help

mod support;

use clap::Parser;
use contrastive_dynamics::fluctuation::{FluctuationPath, Fluctuations};
use contrastive_dynamics::prelude::*;
use support::picture::{BLUE, INK, Mark, Pen, Plot, RED, Scale, Sign, key, write};
use support::{Out, Outcome, progress, table};

/// Does the limit predict a run of SGD? Simulates one model at dimension N and compares with its reduced ODE.
#[derive(Debug, Parser)]
struct Arguments {
    /// The dimension N of weights and features.
    #[arg(long, default_value_t = 2000)]
    dimension: usize,
    /// The seed of the run.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// The end, in time t = steps/N.
    #[arg(long, default_value_t = 16.0)]
    end: f64,
    #[command(flatten)]
    out: Out,
}

/// Rows of the table, and points between two of them.
const ROWS: u32 = 8;
const BETWEEN: u32 = 8;

fn main() -> std::process::ExitCode {
    support::told(example())
}

fn example() -> Outcome {
    let Arguments { dimension, seed, end, out } = Arguments::parse();
    let model = Model::builder()
        .nonlinearity(Tanh)
        .hidden(Independent::new([Law::two_point(2.25)?, Law::three_point(2.25, 0.5)?])?)
        .noise(GaussianNoise::correlated(0.3, -0.5)?)
        .learning_rate(0.3)
        .weight_decay(0.5)
        .build()?;
    let start = OrderParameters::from_rows(2, 1, &[0.35, 0.2], &[1.0])?;

    let count = ROWS * BETWEEN;
    let times: Vec<f64> = (0..=count).map(|k| end * f64::from(k) / f64::from(count)).collect();
    let ode = ReducedOde::new(&model)?;
    let fluctuations = Fluctuations::new(&ode);
    let path = fluctuations.solver().corrections(true).output(Output::Times(times.clone())).solve(&start, end)?;

    let mut sgd = DirectSgd::builder(&model, dimension).start(&start).build_seeded(seed)?;
    let bar = progress(times.len(), &format!("SGD at N = {dimension}"))?;
    let (mut simulated, mut states) = (Vec::new(), Vec::new());
    for &t in &times {
        let reached = sgd.run(t, &Output::Stop)?;
        if let Some((t, state)) = reached.last() {
            simulated.push(t);
            states.push(state.clone());
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    tell(&path, &simulated, &states, dimension)?;
    draw(&out, &path, &simulated, &states, dimension)
}

/// The table, and what it says.
fn tell(path: &FluctuationPath, times: &[f64], states: &[OrderParameters], dimension: usize) -> Outcome {
    println!("Two features, one neuron, tanh, N = {dimension}. Overlaps Q with both features and squared norm R:");
    println!("one run of SGD, and the limit.\n");
    let mut rows = table(["t", "Q[0] SGD", "limit", "Q[1] SGD", "limit", "R SGD", "limit", "cos[0] SGD", "limit"]);
    for (k, (t, limit)) in path.trajectory().iter().enumerate().step_by(BETWEEN as usize) {
        let mut row = vec![format!("{t:.1}")];
        for (seen, expected) in states[k].to_packed().iter().zip(limit.to_packed().iter()) {
            row.extend([format!("{seen:.4}"), format!("{expected:.4}")]);
        }
        let cosine = |state: &OrderParameters| state.cosine_similarity(0, 0).map_or("-".into(), |x| format!("{x:.4}"));
        row.extend([cosine(&states[k]), cosine(limit)]);
        rows.add_row(row);
    }
    println!("{rows}\n");

    let comparison = path.compare_states(dimension, times, states)?;
    let band = path.band(dimension, |state| state.to_packed()[0])?;
    if let (Some(last), Some(state)) = (band.last(), states.last()) {
        let off = (state.to_packed()[0] - last.mean) / last.standard_deviation;
        println!(
            "At t = {} the limit predicts Q[0] = {:.4} +- {:.4} at this N; the run is {off:+.1} standard deviations off.",
            last.time, last.mean, last.standard_deviation
        );
    }
    println!("The whole run against the limit and its fluctuations: {comparison}");
    if let Some((_, limit)) = path.trajectory().last() {
        let first = limit.cosine_similarity(0, 0).unwrap_or(0.0).abs();
        let second = limit.cosine_similarity(1, 0).unwrap_or(0.0).abs();
        let learned = usize::from(second > first);
        println!("The neuron turns to feature {learned}, though both have the same second moment.");
    }
    Ok(())
}

/// Simulation as points, the limit as lines, two standard deviations around them shaded.
fn draw(out: &Out, path: &FluctuationPath, times: &[f64], states: &[OrderParameters], dimension: usize) -> Outcome {
    let curves = [
        ("Q[0]: overlap with feature 0, kurtosis 1", Pen::new(BLUE), Mark::Disk),
        ("Q[1]: overlap with feature 1, kurtosis 2", Pen::new(RED).dashed(&[9, 4]), Mark::Square),
        ("R: squared norm / N", Pen::new(INK).dashed(&[3, 3]), Mark::Ring),
    ];
    write(out, "quickstart", (900, 520), |_, root| {
        let entries = curves.map(|(label, pen, mark)| (label.to_owned(), Sign::Both(pen, mark)));
        let rest = key(root, &entries)?;
        let title =
            format!("Online SGD at N = {dimension} (marks), its limit (lines), two standard deviations (bands)");
        let end = times.last().copied().unwrap_or(1.0);
        let (x, y) = (Scale::linear("time t = steps / N", 0.0..end), Scale::linear("order parameter", -0.1..1.1));
        let mut plot = Plot::new(&rest, &title, x, y)?;
        for (entry, (_, pen, mark)) in curves.into_iter().enumerate() {
            let band = path.band(dimension, |state| state.to_packed()[entry])?;
            let edges = band
                .iter()
                .map(|at| (at.time, at.mean - 2.0 * at.standard_deviation, at.mean + 2.0 * at.standard_deviation));
            plot.band(edges, pen.color, 0.2)?;
            plot.line(path.trajectory().iter().map(|(t, state)| (t, state.to_packed()[entry])), pen)?;
            let points = times.iter().zip(states).map(|(&t, state)| (t, state.to_packed()[entry]));
            plot.marks(points, mark, pen.color, 2.8)?;
        }
        Ok(())
    })
}
