//! How many components can orthonormal neurons hold at a learning rate? Multi-component independent component analysis.
//!
//! σ(h) = h²/2, no noise, three-point features of unit variance, the sparser the more kurtotic, and as many neurons, which are kept
//! orthonormal after each step. Each neuron starts near a feature of its own, and the limit is solved for a long time. Gradient
//! noise grows as τ²: one component after the other is lost, the least kurtotic first, in a staircase. Neurons that hold
//! components of their own do not disturb one another, so the steps lie at the critical rates of single components,
//! τ_c = max 2 (m₄ − 3) Q² (1 − Q²)/E h⁶, by which they are checked. SGD at finite N follows.
//!
//!     cargo run --release --features parallel --example components -- --help

mod support;

use std::convert::Infallible;
use std::ops::ControlFlow;

use clap::Parser;
use contrastive_dynamics::ensemble::Replicate;
use contrastive_dynamics::parallel::Cancel;
use contrastive_dynamics::prelude::*;
use contrastive_dynamics::stability::maximum;
use support::interrupt::{ended, flag};
use support::picture::{Area, GREY, INK, Mark, PENS, Pen, Plot, Scale, Sign, key, write};
use support::{Out, Outcome, progress, table};

/// How many components can orthonormal neurons hold at a learning rate? The limit, SGD, and a closed form.
#[derive(Debug, Parser)]
struct Arguments {
    /// The probability, for each feature, that it is not zero; its fourth moment is one over it.
    #[arg(long, value_delimiter = ',', default_values_t = [0.1, 0.13, 0.16, 0.2])]
    activities: Vec<f64>,
    /// The highest learning rate.
    #[arg(long, default_value_t = 0.14)]
    highest: f64,
    /// The number of learning rates.
    #[arg(long, default_value_t = 28, value_parser = clap::value_parser!(u32).range(1..))]
    rates: u32,
    /// SGD is run at every so manieth of them.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    every: u32,
    /// The dimension N of weights and features.
    #[arg(long, default_value_t = 4000)]
    dimension: usize,
    /// The end of the limit, in time t = steps/N, if it has not come to rest before.
    #[arg(long, default_value_t = 2000.0)]
    end: f64,
    /// The end of SGD, in time t = steps/N.
    #[arg(long, default_value_t = 150.0)]
    end_of_sgd: f64,
    /// The seed of SGD, to which the number of the learning rate is added.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    out: Out,
}

/// An overlap above this is one that is held; below the fold there is none between zero and it.
const HELD: f64 = 0.3;
/// Each neuron's overlap with its own feature at the start, and with every other.
const START: (f64, f64) = (0.85, 0.02);
/// The limit is also solved that near to each critical rate, relative to it.
const NEAR: [f64; 5] = [-0.04, -0.015, -4e-3, -1e-3, 4e-3];
/// The limit counts as at rest where nothing moves faster. Just above a critical rate it passes slowly where the overlap was held,
/// but not as slowly.
const STEADY: f64 = 1e-8;

type Built = Model<f64, Polynomial, Independent, NoNoise>;

/// Where one neuron alone loses a component: the learning rate, and the overlap there.
struct Critical {
    rate: f64,
    overlap: f64,
}

impl Critical {
    /// For a three-point feature of that activity and unit variance.
    fn of(activity: f64) -> Outcome<Self> {
        let (fourth, sixth) = (1.0 / activity, 1.0 / (activity * activity));
        let rate = |q: f64| {
            let s = 1.0 - q * q;
            let power = sixth * q.powi(6) + 15.0 * fourth * q.powi(4) * s + 45.0 * q * q * s * s + 15.0 * s.powi(3);
            Ok::<f64, Infallible>(2.0 * (fourth - 3.0) * q * q * s / power)
        };
        let unheld = |error| format!("a component of activity {activity} is held at no rate: {error}");
        let best = maximum(rate, (0.2, 0.9), 1e-9).map_err(unheld)?;
        Ok(Self { rate: best.value, overlap: best.at })
    }
}

/// Overlaps |Q[l, l]| of each neuron with its feature, at the end of the limit and, at some rates, of SGD.
struct Row {
    rate: f64,
    limit: Vec<f64>,
    sgd: Option<Vec<f64>>,
}

fn main() -> std::process::ExitCode {
    support::told(example())
}

fn example() -> Outcome {
    let arguments = Arguments::parse();
    let critical = arguments.activities.iter().map(|&activity| Critical::of(activity));
    let critical = critical.collect::<Outcome<Vec<_>>>()?;
    let cancel = flag()?;
    let rows = rows(&arguments, &critical, &cancel)?;
    if ended(&cancel) {
        return Ok(());
    }
    tell_critical(&arguments, &critical);
    tell_rows(&arguments, &rows);
    tell_steps(&rows, &critical);
    draw(&arguments, &rows, &critical)
}

fn model(activities: &[f64], rate: f64) -> Result<Built, ModelError> {
    let laws: Result<Vec<Law>, _> = activities.iter().map(|&q| Law::three_point(1.0, q)).collect();
    let builder = Model::builder().nonlinearity(Polynomial::new([0.0, 0.0, 0.5])?).hidden(Independent::new(laws?)?);
    builder.noise(NoNoise).learning_rate(rate).n_neurons(activities.len()).constraint(Constraint::Orthonormal).build()
}

/// Each neuron near its feature.
fn start(count: usize) -> Result<OrderParameters, Error> {
    let matrix = |on: f64, off: f64| -> Vec<f64> {
        (0..count * count).map(|k| if k % (count + 1) == 0 { on } else { off }).collect()
    };
    Ok(OrderParameters::from_rows(count, count, &matrix(START.0, START.1), &matrix(1.0, 0.0))?)
}

/// |Q[l, l]| of every feature at the end.
fn overlaps(run: &Trajectory) -> Vec<f64> {
    let of = |state: &OrderParameters| (0..state.q().nrows()).map(|l| state.q()[(l, l)].abs()).collect();
    run.last().map(|(_, state)| of(state)).unwrap_or_default()
}

fn held(overlaps: &[f64]) -> usize {
    overlaps.iter().filter(|&&q| q > HELD).count()
}

/// The limit at learning rates of equal distance and near the critical ones, and SGD at some of them; by rising rate.
fn rows(arguments: &Arguments, critical: &[Critical], cancel: &Cancel) -> Outcome<Vec<Row>> {
    let Arguments { highest, rates, every, .. } = *arguments;
    let even = (1..=rates).map(|k| (highest * f64::from(k) / f64::from(rates), (k % every == 0).then_some(k)));
    let near = critical.iter().flat_map(|at| NEAR.map(|part| ((1.0 + part) * at.rate, None)));
    let mut points: Vec<(f64, Option<u32>)> =
        even.chain(near.filter(|&(rate, _)| 0.0 < rate && rate < highest)).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));

    let bar = progress(points.len(), "learning rates")?;
    let mut rows = Vec::new();
    let work = |replicate: Replicate| -> Result<Row, Error> {
        let (rate, number) = points[usize::try_from(replicate.index).unwrap_or_default()];
        row(arguments, rate, number)
    };
    let ensemble = Ensemble::new(points.len() as u64, 0).cancelled_by(cancel);
    ensemble.for_each(work, |_, row| {
        bar.inc(1);
        let flow = if row.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
        rows.push(row);
        flow
    });
    bar.finish_and_clear();
    let rows: Result<Vec<Row>, _> = rows.into_iter().collect();
    if cancel.is_cancelled() { Ok(Vec::new()) } else { Ok(rows?) }
}

/// With the number of the rate SGD is run too.
fn row(arguments: &Arguments, rate: f64, number: Option<u32>) -> Result<Row, Error> {
    let Arguments { activities, dimension, end, end_of_sgd, seed, .. } = arguments;
    let (model, start) = (model(activities, rate)?, start(activities.len())?);
    let limit = overlaps(&ReducedOde::new(&model)?.solver().steady_rate(STEADY).solve(&start, *end)?);
    let run = |k: u32| -> Result<Vec<f64>, Error> {
        let chain = ProjectedChain::builder(&model, *dimension).start(&start);
        let mut chain = chain.build_seeded(seed.wrapping_add(k.into()))?;
        Ok(overlaps(&chain.run(*end_of_sgd, &Output::Stop)?))
    };
    Ok(Row { rate, limit, sgd: number.map(run).transpose()? })
}

fn tell_critical(arguments: &Arguments, critical: &[Critical]) {
    println!("Excess kurtosis of each component, and where one neuron alone loses it, by the closed form:\n");
    let mut shown = table(["component", "activity q", "kurtosis 1/q - 3", "critical rate tau", "overlap Q there"]);
    for (l, (activity, at)) in arguments.activities.iter().zip(critical).enumerate() {
        let Critical { rate, overlap } = at;
        let numbers = [activity.to_string(), format!("{:.4}", 1.0 / activity - 3.0)];
        let closed = [format!("{rate:.6}"), format!("{overlap:.4}")];
        shown.add_row([vec![l.to_string()], numbers.to_vec(), closed.to_vec()].concat());
    }
    println!("{shown}\n");
}

fn tell_rows(arguments: &Arguments, rows: &[Row]) {
    let Arguments { dimension, end, end_of_sgd, .. } = arguments;
    println!("Components held, and the overlap |Q| of each neuron with its feature:");
    println!("the limit at t = {end}, SGD at N = {dimension} at t = {end_of_sgd}\n");
    let mut heads = ["learning rate tau", "held limit", "SGD"].map(str::to_owned).to_vec();
    heads.extend((0..arguments.activities.len()).flat_map(|l| [format!("|Q[{l},{l}]| limit"), "SGD".to_owned()]));
    let mut shown = table(heads);
    for (row, sgd) in rows.iter().filter_map(|row| Some((row, row.sgd.as_ref()?))) {
        let mut cells = vec![format!("{:.4}", row.rate), held(&row.limit).to_string(), held(sgd).to_string()];
        cells.extend(row.limit.iter().zip(sgd).flat_map(|(x, y)| [format!("{x:.4}"), format!("{y:.4}")]));
        shown.add_row(cells);
    }
    println!("{shown}\n");
}

/// Where the limit loses components, and whether these are the critical rates; whether SGD holds as many.
fn tell_steps(rows: &[Row], critical: &[Critical]) {
    let (mut found, mut steps) = (0, 0);
    for pair in rows.windows(2).filter(|pair| held(&pair[0].limit) != held(&pair[1].limit)) {
        let (low, high) = (pair[0].rate, pair[1].rate);
        let (before, after) = (held(&pair[0].limit), held(&pair[1].limit));
        let inside: Vec<_> = critical.iter().filter(|at| low < at.rate && at.rate <= high).collect();
        let names: Vec<String> = inside.iter().map(|at| format!("{:.6}", at.rate)).collect();
        let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        println!(
            "Between tau = {low:.6} and {high:.6} it holds {after} instead of {before}; critical rates there: {there}."
        );
        steps += 1;
        found += usize::from(before == after + inside.len());
    }
    match (found, steps) {
        (_, 0) => println!("No component is lost at any of these learning rates."),
        (found, steps) if found == steps => {
            println!(
                "All {steps} steps of the staircase lie at critical rates of single components: neurons that hold"
            );
            println!("components of their own do not disturb one another.");
        }
        (found, steps) => println!("Only {found} of {steps} steps lie at critical rates of single components."),
    }
    let seen: Vec<_> = rows.iter().filter_map(|row| Some((held(&row.limit), held(row.sgd.as_ref()?)))).collect();
    let same = seen.iter().filter(|(limit, sgd)| limit == sgd).count();
    println!("SGD holds as many components as the limit at {same} of {} learning rates.", seen.len());
}

/// Marks of SGD for the components.
const MARKS: [Mark; 4] = [Mark::Disk, Mark::Square, Mark::Ring, Mark::Cross];
/// What is drawn of critical rates.
const CRITICAL: Pen = Pen::new(GREY).width(1.2).dashed(&[3, 3]);

fn draw(arguments: &Arguments, rows: &[Row], critical: &[Critical]) -> Outcome {
    let mut entries = vec![("where one neuron alone loses a component (closed form)".to_owned(), Sign::Line(CRITICAL))];
    for (l, activity) in arguments.activities.iter().enumerate() {
        let sign = Sign::Both(PENS[l % PENS.len()], MARKS[l % MARKS.len()]);
        entries.push((format!("component {l}, activity q = {activity}"), sign));
    }
    write(&arguments.out, "components", (900, 740), |_, root| {
        let rest = key(root, &entries)?;
        let (above, below) = rest.split_vertically(rest.dim_in_pixel().1.cast_signed() * 2 / 5);
        draw_held(arguments, &above, rows, critical)?;
        draw_overlaps(arguments, &below, rows, critical)
    })
}

fn draw_held(arguments: &Arguments, area: &Area<'_>, rows: &[Row], critical: &[Critical]) -> Outcome {
    let title = format!("Components held: the limit (lines), SGD at N = {} (marks)", arguments.dimension);
    let x = Scale::linear("learning rate τ", 0.0..1.02 * arguments.highest).ticks(7);
    let top = arguments.activities.len() as f64 + 0.4;
    let mut plot = Plot::new(area, &title, x, Scale::linear("components held", -0.3..top).ticks(5))?;
    for at in critical.iter().filter(|at| 0.0 < at.rate && at.rate < arguments.highest) {
        plot.line([(at.rate, -0.3), (at.rate, top)], CRITICAL)?;
    }
    let count = |row: &Row| held(&row.limit) as f64;
    plot.line(cut(rows, count, |before, after| count(before) != count(after)), Pen::new(INK))?;
    let seen = rows.iter().filter_map(|row| Some((row.rate, held(row.sgd.as_ref()?) as f64)));
    plot.marks(seen, Mark::Disk, INK, 3.6)
}

fn draw_overlaps(arguments: &Arguments, area: &Area<'_>, rows: &[Row], critical: &[Critical]) -> Outcome {
    let title = "Overlap of each neuron with its feature: the limit (lines), SGD (marks)";
    let x = Scale::linear("learning rate τ", 0.0..1.02 * arguments.highest).ticks(7);
    let mut plot = Plot::new(area, title, x, Scale::linear("overlap |Q[l, l]|", -0.04..1.04))?;
    for at in critical.iter().filter(|at| 0.0 < at.rate && at.rate < arguments.highest) {
        plot.line([(at.rate, -0.04), (at.rate, 1.04)], CRITICAL)?;
    }
    for l in 0..arguments.activities.len() {
        let (pen, mark) = (PENS[l % PENS.len()], MARKS[l % MARKS.len()]);
        let loses = |before: &Row, after: &Row| (before.limit[l] > HELD) != (after.limit[l] > HELD);
        plot.line(cut(rows, |row| row.limit[l], loses), pen)?;
        let seen = rows.iter().filter_map(|row| Some((row.rate, *row.sgd.as_ref()?.get(l)?)));
        plot.marks(seen, mark, pen.color, 3.6)?;
    }
    Ok(())
}

/// A line over the learning rates, cut wherever it jumps between two rows.
fn cut(rows: &[Row], y: impl Fn(&Row) -> f64, jumps: impl Fn(&Row, &Row) -> bool) -> Vec<(f64, f64)> {
    let mut line = Vec::new();
    for (k, row) in rows.iter().enumerate() {
        if k > 0 && jumps(&rows[k - 1], row) {
            line.push((row.rate, f64::NAN));
        }
        line.push((row.rate, y(row)));
    }
    line
}
