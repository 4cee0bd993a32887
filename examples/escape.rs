//! How long does SGD take to leave an uninformative start, and how does that grow with the dimension?
//!
//! One feature, one neuron. Runs of the projected chain at several N are compared with the law of escape times: the solution of the
//! reduced ODE from Gaussian starts of variance v/N, where v is that of the start itself and of all noise of the steps, pulled back to it.
//!
//!     cargo run --release --features parallel --example escape -- --help

mod support;

use std::ops::ControlFlow;

use clap::Parser;
use contrastive_dynamics::fluctuation::{Escape, EscapeTimes, FluctuationError};
use contrastive_dynamics::nalgebra::DMatrix;
use contrastive_dynamics::parallel::Cancel;
use contrastive_dynamics::prelude::*;
use contrastive_dynamics::sgd::{ProjectedLanes, SgdError};
use indicatif::ProgressBar;
use support::interrupt::{ended, flag};
use support::picture::{BLUE, INK, Mark, Pen, Plot, RED, Scale, Sign, key, write};
use support::{Out, Outcome, progress, table};

/// How long does SGD take to leave an uninformative start, and how does that grow with the dimension? Runs against the law.
#[derive(Debug, Parser)]
struct Arguments {
    /// Dimensions N, separated by commas.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 10_000, 100_000, 1_000_000])]
    dimensions: Vec<usize>,
    /// How many runs: one number for every dimension, separated by commas, or one for all.
    #[arg(long, value_delimiter = ',', default_values_t = [96, 96, 96, 32], value_parser = clap::value_parser!(u64).range(2..))]
    runs: Vec<u64>,
    /// The size of the cosine similarity at which a run has escaped.
    #[arg(long, default_value_t = 0.5)]
    cosine: f64,
    /// The learning rate.
    #[arg(long, default_value_t = 1.0)]
    learning_rate: f64,
    /// The seed of the first run; the others follow.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    out: Out,
}

/// Runs that step together, and how often they are looked at.
const LANES: u64 = 32;
const LOOK: f64 = 0.05;

/// The last time at which the law looks for escapes.
const LATEST: f64 = 1e3;

/// Runs of one dimension, and their law.
struct Escapes {
    dimension: usize,
    seen: Vec<f64>,
    law: EscapeTimes,
}

fn main() -> std::process::ExitCode {
    support::told(example())
}

fn example() -> Outcome {
    let arguments = Arguments::parse();
    let plan = plan(&arguments)?;
    let model = Model::builder()
        .nonlinearity(Tanh)
        .hidden(Independent::new([Law::two_point(3.0)?])?)
        .noise(GaussianNoise::correlated(0.3, -0.5)?)
        .learning_rate(arguments.learning_rate)
        .weight_decay(0.4)
        .batch_size(2)
        .build()?;
    let ode = ReducedOde::new(&model)?;
    let fluctuations = Fluctuations::new(&ode);
    let escape = fluctuations.escape(&DMatrix::identity(1, 1))?;

    let cancel = flag()?;
    let mut all = Vec::new();
    for &(dimension, runs) in &plan {
        let law = law(&escape, dimension, arguments.cosine)?;
        let seen = simulate(&model, (dimension, runs), &law, &arguments, &cancel)?;
        if cancel.is_cancelled() {
            break;
        }
        all.push(Escapes { dimension, seen, law });
    }
    tell(&arguments, &escape, &all);
    if ended(&cancel) {
        return Ok(());
    }
    draw(&arguments, &escape, &all)
}

/// Dimensions, and how many runs of each.
fn plan(arguments: &Arguments) -> Outcome<Vec<(usize, u64)>> {
    let Arguments { dimensions, runs, .. } = arguments;
    match *runs.as_slice() {
        [one] => Ok(dimensions.iter().map(|&dimension| (dimension, one)).collect()),
        _ if runs.len() == dimensions.len() => Ok(dimensions.iter().copied().zip(runs.iter().copied()).collect()),
        _ => Err(format!("{} numbers of runs for {} dimensions", runs.len(), dimensions.len()).into()),
    }
}

/// Positive once a run has escaped.
fn event(state: &OrderParameters, cosine: f64) -> f64 {
    state.cosine_similarity(0, 0).unwrap_or(0.0).abs() - cosine
}

fn law(escape: &Escape<'_, '_, '_>, dimension: usize, cosine: f64) -> Result<EscapeTimes, FluctuationError> {
    escape.times(dimension, LATEST, |state| event(state, cosine))
}

/// The times at which runs of the projected chain escape.
fn simulate<M>(
    model: &M,
    (dimension, runs): (usize, u64),
    law: &EscapeTimes,
    arguments: &Arguments,
    cancel: &Cancel,
) -> Outcome<Vec<f64>>
where
    M: Spec<Scalar = f64, Regularizer: LinearRegularizer<f64>>,
{
    let latest = law.quantile(1.0 - 1e-6) + 1.0;
    let blocks = runs.div_ceil(LANES);
    // As many looks as the median run takes.
    let looks = (0..blocks).map(|_| looks(law.quantile(0.5))).sum();
    let bar = progress(looks, &format!("runs at N = {dimension}"))?;
    let chain = ProjectedChain::builder(model, dimension);
    let (mut seen, mut failed) = (Vec::new(), None);
    Ensemble::new(blocks, 0).cancelled_by(cancel).for_each(
        |block| {
            let first = LANES * block.index;
            let seeds: Vec<u64> = (first..runs.min(first + LANES)).map(|k| arguments.seed.wrapping_add(k)).collect();
            together(chain.lanes(&seeds)?, latest, arguments.cosine, &bar, cancel)
        },
        |_, times| match times {
            Ok(times) => {
                seen.extend(times);
                ControlFlow::Continue(())
            }
            Err(failure) => {
                failed = Some(failure);
                ControlFlow::Break(())
            }
        },
    );
    bar.finish_and_clear();
    match failed {
        Some(failure) if !cancel.is_cancelled() => Err(failure.into()),
        _ => Ok(seen),
    }
}

/// How often a run is looked at until that time.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // some hundreds
fn looks(time: f64) -> usize {
    (time / LOOK).ceil() as usize
}

/// The times at which runs that step together escape, each between two looks by a straight line.
fn together<M>(
    mut lanes: ProjectedLanes<'_, M>,
    latest: f64,
    cosine: f64,
    bar: &ProgressBar,
    cancel: &Cancel,
) -> Result<Vec<f64>, SgdError>
where
    M: Spec<Scalar = f64, Regularizer: LinearRegularizer<f64>>,
{
    let mut before = vec![(0.0, -cosine); lanes.replicates()];
    let mut escaped = vec![None; lanes.replicates()];
    while escaped.iter().any(Option::is_none) && lanes.time() < latest && !cancel.is_cancelled() {
        let now = lanes.time() + LOOK;
        for (lane, run) in lanes.run(now, &Output::Stop)?.into_iter().enumerate() {
            let run = run?;
            let Some((t, state)) = run.last() else { continue };
            let value = event(state, cosine);
            let (then, earlier) = std::mem::replace(&mut before[lane], (t, value));
            if value >= 0.0 && escaped[lane].is_none() {
                escaped[lane] = Some(then + (t - then) * earlier / (earlier - value));
            }
        }
        bar.inc(1);
    }
    Ok(escaped.into_iter().flatten().collect())
}

/// Mean and standard error.
fn mean(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|t| (t - mean).powi(2)).sum();
    (mean, (squares / (count * (count - 1.0))).sqrt())
}

/// The probability of a larger Kolmogorov distance of so many times from their law, in the limit of many.
fn kolmogorov(seen: &[f64], times: &EscapeTimes) -> f64 {
    let mut sorted = seen.to_vec();
    sorted.sort_by(f64::total_cmp);
    let count = sorted.len() as f64;
    let gap = |(k, &t): (usize, &f64)| {
        let p = times.distribution(t);
        (p - k as f64 / count).abs().max((p - (k + 1) as f64 / count).abs())
    };
    let distance = sorted.iter().enumerate().map(gap).fold(0.0, f64::max) * count.sqrt();
    let terms = (1..=100).map(|k| {
        let k = f64::from(k);
        let sign = if k % 2.0 == 1.0 { 2.0 } else { -2.0 };
        sign * (-2.0 * (k * distance).powi(2)).exp()
    });
    terms.sum::<f64>().clamp(0.0, 1.0)
}

fn tell(arguments: &Arguments, escape: &Escape<'_, '_, '_>, all: &[Escapes]) {
    let variance = escape.start_covariance()[(0, 0)];
    println!("One feature, one neuron, tanh. Small overlaps grow at the rate mu = {:.4};", escape.rate());
    println!("with the noise of the steps they leave as from a start of variance {variance:.3}/N without noise.\n");
    println!("Time t = steps / N until the size of the cosine similarity is {}: runs, and the law.", arguments.cosine);
    println!("p is the probability that times of the law are further from it than these (Kolmogorov-Smirnov).\n");
    let heads = ["N", "runs", "mean", "+-", "law: mean", "law: 10 %", "law: 50 %", "law: 90 %", "p"];
    let mut rows = table(heads);
    for Escapes { dimension, seen, law } in all {
        let (mean, error) = mean(seen);
        let quantiles = [0.1, 0.5, 0.9].map(|part| format!("{:.3}", law.quantile(part)));
        let mut row = vec![dimension.to_string(), seen.len().to_string(), format!("{mean:.3}"), format!("{error:.2}")];
        row.push(format!("{:.3}", law.mean()));
        row.extend(quantiles);
        row.push(format!("{:.3}", kolmogorov(seen, law)));
        rows.add_row(row);
    }
    println!("{rows}\n");
    tell_fit(escape, all);
}

/// Whether the runs follow the law, and how their times grow with the dimension.
fn tell_fit(escape: &Escape<'_, '_, '_>, all: &[Escapes]) {
    let unlike: Vec<String> = all
        .iter()
        .filter(|escapes| kolmogorov(&escapes.seen, &escapes.law) < 0.01)
        .map(|escapes| escapes.dimension.to_string())
        .collect();
    match unlike.len() {
        0 => println!("At every N the runs agree with the law (p above 0.01)."),
        _ => println!("The runs do not agree with the law (p below 0.01) at N = {}.", unlike.join(", ")),
    }
    let slope = 10_f64.ln() / (2.0 * escape.rate());
    println!("A tenfold dimension takes ln 10/(2 mu) = {slope:.3} longer by the law,");
    let by_size = |a: &&Escapes, b: &&Escapes| a.dimension.cmp(&b.dimension);
    let (Some(first), Some(last)) = (all.iter().min_by(by_size), all.iter().max_by(by_size)) else { return };
    if first.dimension < last.dimension {
        let ((early, a), (late, b)) = (mean(&first.seen), mean(&last.seen));
        let decades = (last.dimension as f64 / first.dimension as f64).log10();
        let (slope, error) = ((late - early) / decades, a.hypot(b) / decades);
        let (from, to) = (first.dimension, last.dimension);
        println!("and {slope:.2} +- {error:.2} by the means of the runs from N = {from} to {to}.");
    } else {
        println!("which one dimension cannot show.");
    }
}

/// Dimensions of the lines: from the least to a thousand times the largest.
fn dimensions(all: &[Escapes]) -> Vec<usize> {
    let sizes = || all.iter().map(|escapes| escapes.dimension as f64);
    let (least, most) = (sizes().fold(f64::INFINITY, f64::min), 1e3 * sizes().fold(0.0, f64::max));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive, and rounded
    let at = |k: u32| (least * (most / least).powf(f64::from(k) / 12.0)).round() as usize;
    (0..=12).map(at).collect()
}

/// Runs as points, quantiles of the law as lines.
fn draw(arguments: &Arguments, escape: &Escape<'_, '_, '_>, all: &[Escapes]) -> Outcome {
    let mut lines = Vec::new();
    for dimension in dimensions(all) {
        let law = law(escape, dimension, arguments.cosine)?;
        lines.push((dimension as f64, [0.05, 0.5, 0.95].map(|part| law.quantile(part))));
    }
    let Some(((first, _), (last, _))) = lines.first().zip(lines.last()) else { return Ok(()) };
    let longest = lines.iter().map(|(_, times)| times[2]).fold(0.0, f64::max);
    let longest = all.iter().flat_map(|escapes| &escapes.seen).copied().fold(longest, f64::max);
    let (x, y) = (
        Scale::log("dimension N", 0.6 * first..1.5 * last),
        Scale::linear(format!("time t = steps / N until |cosine| is {}", arguments.cosine), 0.0..1.05 * longest),
    );
    write(&arguments.out, "escape", (900, 540), |_, root| {
        let law = Pen::new(BLUE);
        let signs = [
            ("law: from 5 % to 95 %", Sign::Area(BLUE, 0.15)),
            ("law: median", Sign::Line(law)),
            ("runs of SGD", Sign::Mark(Mark::Disk, RED)),
            ("median of the runs", Sign::Mark(Mark::Ring, INK)),
        ];
        let rest = key(root, &signs)?;
        let mut plot = Plot::new(&rest, "Time to leave an uninformative start: SGD, and its law", x, y)?;
        plot.band(lines.iter().map(|(n, times)| (*n, times[0], times[2])), BLUE, 0.15)?;
        plot.line(lines.iter().map(|(n, times)| (*n, times[1])), law)?;
        for Escapes { dimension, seen, .. } in all {
            let n = *dimension as f64;
            // Side by side, so that they can be told apart.
            let shift = |k: usize| 1.0 + 0.25 * ((k * 7 % 11) as f64 / 10.0 - 0.5);
            plot.marks(seen.iter().enumerate().map(|(k, &t)| (n * shift(k), t)), Mark::Disk, RED, 1.8)?;
            plot.marks(median(seen).map(|t| (n, t)), Mark::Ring, INK, 4.5)?;
        }
        Ok(())
    })
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted.get(sorted.len().checked_sub(1)? / 2)?, sorted.get(sorted.len() / 2)?);
    Some(0.5 * (low + high))
}
