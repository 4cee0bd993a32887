//! How far is online SGD at dimension N from its limit? The root mean square over runs, which should fall as N^(−1/2).
//!
//! One feature, one neuron. Runs of the projected chain, which has the law of SGD at every N at a cost per step that does not depend on it,
//! against the reduced ODE and the size of the fluctuations around it. The mean over runs is closer to the limit by another order, below its
//! standard error here. Ctrl-C ends the program with the table of what is done by then. With the feature `serde` and a folder the program
//! saves there what is done, and goes on from it when it is started again: `--all-features`, and `--save FOLDER`.
//!
//!     cargo run --release [--features parallel] --example finite_size_scaling -- --help

mod support;

use clap::Parser;
use contrastive_dynamics::ensemble::Summary;
use contrastive_dynamics::fluctuation::{FluctuationPath, Fluctuations};
use contrastive_dynamics::parallel::Cancel;
use contrastive_dynamics::prelude::*;
use support::interrupt::{ended, flag};
use support::picture::{BLUE, Mark, Pen, Plot, RED, Scale, Sign, key, write};
use support::{Out, Outcome, progress, table};

/// How far is online SGD at dimension N from its limit? Runs at several N against the reduced ODE and its fluctuations.
#[derive(Debug, Parser)]
struct Arguments {
    /// The dimensions N.
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1000, 10_000, 100_000, 1_000_000])]
    dimensions: Vec<usize>,
    /// Steps over all runs of one dimension, about; they decide how many runs there are.
    #[arg(long, default_value_t = 6_000_000)]
    steps: u64,
    /// The least number of runs.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u64).range(2..))]
    least_runs: u64,
    /// The end, in time t = steps/N.
    #[arg(long, default_value_t = 1.0)]
    end: f64,
    /// The seed of the runs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The learning rate.
    #[arg(long, default_value_t = 0.3)]
    learning_rate: f64,
    /// The weight decay.
    #[arg(long, default_value_t = 0.5)]
    weight_decay: f64,
    /// A folder in which to save what is done, and to go on from there.
    #[cfg(feature = "serde")]
    #[arg(long, value_name = "FOLDER")]
    save: Option<std::path::PathBuf>,
    #[command(flatten)]
    out: Out,
}

type Trained = Model<f64, Tanh, Independent, GaussianNoise>;

/// Deviations of Q and R from the limit at one dimension.
struct Row {
    dimension: usize,
    runs: u64,
    /// √(mean (Q − limit)²), and the same for R.
    rms: [f64; 2],
    /// What the limit predicts for these.
    predicted: [f64; 2],
    /// |mean Q − limit|, and the standard error of that mean.
    bias: [f64; 2],
}

fn main() -> std::process::ExitCode {
    support::told(example())
}

fn example() -> Outcome {
    let arguments = Arguments::parse();
    if !(arguments.end > 0.0) {
        return Err("the end must be positive".into());
    }
    let cancel = flag()?;
    let model = model(&arguments)?;
    let ode = ReducedOde::new(&model)?;
    let start = OrderParameters::from_rows(1, 1, &[0.4], &[0.8])?;
    let path = Fluctuations::new(&ode).solver().solve(&start, arguments.end)?;
    let mut rows = Vec::new();
    for &dimension in &arguments.dimensions {
        let Some(summary) = simulate(&arguments, &model, &start, (dimension, &path), &cancel)? else { break };
        rows.push(row(dimension, &path, &summary)?);
    }
    tell(&arguments, &rows);
    if ended(&cancel) {
        return Ok(());
    }
    draw(&arguments, &rows)
}

fn model(arguments: &Arguments) -> Result<Trained, ModelError> {
    Model::builder()
        .nonlinearity(Tanh)
        .hidden(Independent::new([Law::two_point(2.25)?])?)
        .noise(GaussianNoise::correlated(0.3, -0.5)?)
        .learning_rate(arguments.learning_rate)
        .weight_decay(arguments.weight_decay)
        .build()
}

/// How many runs there are at one dimension.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
fn runs(arguments: &Arguments, dimension: usize) -> u64 {
    let steps = (dimension as f64 * arguments.end).max(1.0);
    ((arguments.steps as f64 / steps).round() as u64).max(arguments.least_runs)
}

/// Runs at one dimension: deviations of Q, and their squares of Q and R. None if it was ended before there were two.
fn simulate(
    arguments: &Arguments,
    model: &Trained,
    start: &OrderParameters,
    (dimension, path): (usize, &FluctuationPath),
    cancel: &Cancel,
) -> Outcome<Option<Summary>> {
    let limit = path.trajectory().last().ok_or("the ODE recorded nothing")?.1.to_packed();
    let runs = runs(arguments, dimension);
    let bar = progress(usize::try_from(runs)?, &format!("runs at N = {dimension}"))?;
    let ensemble = Ensemble::new(runs, arguments.seed).most_failures(0).cancelled_by(cancel);
    let ensemble = saved(ensemble, arguments, dimension, model);
    let answer = ensemble.run(
        |replicate| {
            let mut chain = ProjectedChain::builder(model, dimension).start(start).build_seeded(replicate.seed)?;
            let path = chain.run(arguments.end, &Output::Stop);
            bar.inc(1);
            path
        },
        |_, state| {
            let deviation = state.to_packed() - &limit;
            vec![deviation[0], deviation[0].powi(2), deviation[1].powi(2)]
        },
    );
    bar.finish_and_clear();
    match answer {
        Ok(summary) => Ok(Some(summary)),
        Err(part) if part.failures == 0 => Ok(Some(*part.summary).filter(|summary| summary.count() > 1)),
        Err(failed) => Err(failed.into()),
    }
}

/// Saved in the folder that the program was given, if it was.
#[cfg(feature = "serde")]
fn saved(ensemble: Ensemble, arguments: &Arguments, dimension: usize, model: &Trained) -> Ensemble {
    use contrastive_dynamics::{model::fingerprint, save::File};
    let Some(folder) = &arguments.save else { return ensemble };
    let file = File::new(folder.join(format!("finite_size_scaling-{dimension}.save")));
    let work = fingerprint(model).count(dimension as u64).numbers([arguments.end]);
    ensemble.saved_in(file, 1000, work)
}

#[cfg(not(feature = "serde"))]
fn saved(ensemble: Ensemble, _: &Arguments, _: usize, _: &Trained) -> Ensemble {
    ensemble
}

fn row(dimension: usize, path: &FluctuationPath, summary: &Summary) -> Outcome<Row> {
    let at = |value: usize| summary.at(0, value).ok_or("nothing was recorded");
    let predicted = |entry: usize| -> Outcome<f64> {
        let band = path.band(dimension, |state| state.to_packed()[entry])?;
        Ok(band.last().ok_or("the ODE recorded nothing")?.standard_deviation)
    };
    Ok(Row {
        dimension,
        runs: summary.count(),
        rms: [at(1)?.mean().sqrt(), at(2)?.mean().sqrt()],
        predicted: [predicted(0)?, predicted(1)?],
        bias: [at(0)?.mean().abs(), at(0)?.standard_error()],
    })
}

fn tell(arguments: &Arguments, rows: &[Row]) {
    println!(
        "tanh, one feature, one neuron, t = {}: root mean square deviations of runs of SGD from the ODE\n",
        arguments.end
    );
    let heads = ["N", "runs", "rms of Q", "predicted", "rms of R", "predicted", "|mean Q - limit|", "standard error"];
    let mut lines = table(heads);
    for Row { dimension, runs, rms, predicted, bias } in rows {
        let numbers = [rms[0], predicted[0], rms[1], predicted[1]].map(|number| format!("{number:.3e}"));
        let bias = bias.map(|number| format!("{number:.1e}"));
        lines.add_row([dimension.to_string(), runs.to_string()].into_iter().chain(numbers).chain(bias));
    }
    println!("{lines}\n");
    if rows.len() > 1 {
        let [q, r] = [0, 1].map(|k| slope(rows.iter().map(|row| (row.dimension as f64, row.rms[k]))));
        let near = (q + 0.5).abs().max((r + 0.5).abs()) < 0.05;
        let verdict = if near { "both within 0.05 of" } else { "not both within 0.05 of" };
        println!("The deviations fall as N to the powers {q:.3} (Q) and {r:.3} (R), {verdict} the -0.5 expected.");
    }
    let beyond = rows.iter().filter(|row| row.bias[0] > 3.0 * row.bias[1]).count();
    println!(
        "The mean of Q is more than three standard errors off the limit at {beyond} of {} dimensions.",
        rows.len()
    );
}

/// The slope of a least-squares line through the logarithms.
fn slope(points: impl Iterator<Item = (f64, f64)>) -> f64 {
    let points: Vec<(f64, f64)> = points.map(|(x, y)| (x.ln(), y.ln())).collect();
    let n = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + x / n, b + y / n));
    let (top, bottom) = points.iter().fold((0.0, 0.0), |(a, b), p| (a + (p.0 - x) * (p.1 - y), b + (p.0 - x).powi(2)));
    top / bottom
}

fn draw(arguments: &Arguments, rows: &[Row]) -> Outcome {
    let curves = [
        ("Q[0]: overlap with the feature", Pen::new(BLUE), Mark::Disk),
        ("R: squared norm / N", Pen::new(RED).dashed(&[8, 4]), Mark::Square),
    ];
    write(&arguments.out, "finite_size_scaling", (780, 540), |_, root| {
        let rest = key(root, &curves.map(|(label, pen, mark)| (label, Sign::Both(pen, mark))))?;
        let ends = |(low, high): (f64, f64), x: f64| (low.min(x), high.max(x));
        let none = (f64::INFINITY, 0.0);
        let (least, most) = rows.iter().map(|row| row.dimension as f64).fold(none, ends);
        let (low, high) = rows.iter().flat_map(|row| row.rms.into_iter().chain(row.predicted)).fold(none, ends);
        let x = Scale::log("dimension N", 0.7 * least..1.5 * most);
        let y = Scale::log(format!("root mean square over runs, at t = {}", arguments.end), 0.6 * low..1.8 * high);
        let title = "Deviation of SGD from its limit (marks), and its prediction (lines)";
        let mut plot = Plot::new(&rest, title, x, y)?;
        for (k, (_, pen, mark)) in curves.into_iter().enumerate() {
            plot.line(rows.iter().map(|row| (row.dimension as f64, row.predicted[k])), pen)?;
            plot.marks(rows.iter().map(|row| (row.dimension as f64, row.rms[k])), mark, pen.color, 4.0)?;
        }
        Ok(())
    })
}
