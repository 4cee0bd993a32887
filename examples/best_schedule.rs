//! Which schedules of learning rate and augmentation are best, and what do they gain, in the limit and in runs of SGD?
//!
//! One feature, from a start that knows it and from one that does not: which schedule makes the cosine similarity at the end largest? Then
//! two features and two neurons: which makes the time least until both are learned? Each schedule is searched for on the limit, within
//! bounds, and then followed by many runs of the projected chain.
//!
//!     cargo run --release --features parallel --example best_schedule -- --help

mod support;

use std::ops::ControlFlow;

use clap::Parser;
use contrastive_dynamics::control::{AtBound, Optimum, SearchEnd};
use contrastive_dynamics::model::Quantity;
use contrastive_dynamics::parallel::Cancel;
use contrastive_dynamics::prelude::*;
use contrastive_dynamics::sgd::ProjectedLanes;
use contrastive_dynamics::state::Direction;
use indicatif::ProgressBar;
use support::interrupt::{ended, flag};
use support::picture::{Area, BLUE, GREY, INK, Mark, Pen, Plot, RED, Scale, Sign, key, write};
use support::{Out, Outcome, progress, table};

/// Which schedules of learning rate and augmentation are best, and what do they gain, in the limit and in runs of SGD?
#[derive(Debug, Parser)]
struct Arguments {
    /// The dimension N of weights and features.
    #[arg(long, default_value_t = 10_000)]
    dimension: usize,
    /// How many runs of SGD under each schedule.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(2..))]
    runs: u64,
    /// The overlap with the feature in a start that knows it.
    #[arg(long, default_value_t = 0.4)]
    overlap: f64,
    /// The end, in time t = steps/N, from a start that knows the feature.
    #[arg(long, default_value_t = 20.0)]
    end: f64,
    /// The end, in time t = steps/N, from random weights.
    #[arg(long, default_value_t = 30.0)]
    late_end: f64,
    /// The cosine similarity at which each of two features counts as learned.
    #[arg(long, default_value_t = 0.9)]
    learned: f64,
    /// How many pieces a schedule has, of straight lines; four fifths of that for two features.
    #[arg(long, default_value_t = 20)]
    pieces: u32,
    /// Most iterations of a search.
    #[arg(long, default_value_t = 25)]
    iterations: u64,
    /// The seed of the first run; the others follow.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    out: Out,
}

/// Runs that step together.
const LANES: u64 = 25;
/// How often runs are looked at for whether two features are learned, in time, and when the search for that gives up.
const LOOK: f64 = 0.02;
const LATEST: f64 = 60.0;
/// Schedules for two features move until then.
const MOVES: f64 = 8.0;

type Taught = Model<f64, Tanh, Independent<Law>, GaussianNoise>;
type Points = Vec<(f64, f64)>;
type Failed = Box<dyn std::error::Error + Send + Sync>;

/// What is wanted, and the best ways to get there.
struct Task {
    title: String,
    wanted: String,
    protocols: Vec<Protocol>,
    /// Whether the objective is to be as large as possible.
    maximised: bool,
}

/// A way to train, with what it comes to.
struct Protocol {
    name: &'static str,
    best: Optimum,
    /// The objective over runs.
    seen: Seen,
    /// What is missing of the cosine similarity over time: in the limit, and on average over runs.
    line: Points,
    dots: Points,
}

/// A mean over runs.
#[derive(Clone, Copy)]
struct Seen {
    mean: f64,
    error: f64,
    count: usize,
}

impl Seen {
    fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
        Self { mean, error: (squares / (count * (count - 1.0))).sqrt(), count: values.len() }
    }
}

/// What a program needs everywhere: the arguments, the flag that ends it, and the bar.
struct Context<'a> {
    arguments: &'a Arguments,
    cancel: &'a Cancel,
    bar: &'a ProgressBar,
}

fn main() -> std::process::ExitCode {
    support::told(example())
}

fn example() -> Outcome {
    let arguments = Arguments::parse();
    let cancel = flag()?;
    // Three tasks, three ways, a search and all blocks of runs each.
    let bar = progress(9 * usize::try_from(1 + blocks(&arguments))?, "searches and runs")?;
    let context = Context { arguments: &arguments, cancel: &cancel, bar: &bar };
    let tasks: [fn(&Context<'_>) -> Outcome<Task>; 3] = [from_overlap, from_random_weights, two_features];
    let mut done = Vec::new();
    for task in tasks {
        let task = task(&context);
        if cancel.is_cancelled() {
            break;
        }
        let task = task?;
        bar.suspend(|| tell(&arguments, &task));
        done.push(task);
    }
    bar.finish_and_clear();
    if ended(&cancel) {
        return Ok(());
    }
    draw(&arguments, &done)
}

fn from_overlap(context: &Context<'_>) -> Outcome<Task> {
    let &Arguments { overlap, end, .. } = context.arguments;
    let protocols = one_feature(context, overlap, end, true)?;
    let title = format!("One feature, from an overlap of {overlap}");
    Ok(Task { title, wanted: format!("cosine similarity at t = {end}"), protocols, maximised: true })
}

fn from_random_weights(context: &Context<'_>) -> Outcome<Task> {
    let &Arguments { dimension, late_end: end, .. } = context.arguments;
    // Random weights have overlaps of about that size.
    let overlap = 1.0 / (dimension as f64).sqrt();
    let protocols = one_feature(context, overlap, end, false)?;
    let title = format!("One feature, from random weights (limit: overlap {overlap:.2})");
    Ok(Task { title, wanted: format!("cosine similarity at t = {end}"), protocols, maximised: true })
}

fn model(features: usize, neurons: usize, penalty: f64) -> Outcome<Taught> {
    let model = Model::builder()
        .nonlinearity(Tanh)
        .hidden(Independent::new(vec![Law::two_point(2.25)?; features])?)
        .noise(GaussianNoise::correlated(0.3, 0.0)?)
        .learning_rate(0.3)
        .weight_decay(0.5)
        .n_neurons(neurons)
        .penalty_strength(penalty);
    Ok(model.build()?)
}

const NAMES: [&str; 3] = ["best constant rate", "best rate over time", "with best augmentation"];

/// The best constant rate, the best rate over time, and with it the best augmentation; in this order.
fn searched(
    (ode, start): (&ReducedOde<'_>, &OrderParameters),
    objective: &Objective<'_>,
    (end, last, pieces): (f64, f64, u32),
    maximised: bool,
    context: &Context<'_>,
) -> Outcome<Vec<Optimum>> {
    let best = |search: Optimiser<'_, '_, '_>| {
        let cancel = context.cancel.clone();
        let search = search.observe(move |_| cancel.flow());
        let best = if maximised { search.maximise(start, end) } else { search.minimise(start, end) };
        context.bar.inc(1);
        best
    };
    let search = || Optimiser::new(ode, objective).iteration_limit(context.arguments.iterations);
    let grid = || TimeGrid::linear((0..=pieces).map(|k| last * f64::from(k) / f64::from(pieces)));
    let rate = |grid| Control::new([Quantity::LearningRate], grid).bounds(0.003, 3.0);

    let constant = best(search().control(rate(TimeGrid::constant([0.0])?)))?;
    let first = Schedule::constant(constant.values(0)[0])?;
    let varied = best(search().control(rate(grid()?).initial(first.clone())))?;
    let augmented = search()
        .control(rate(grid()?).initial(first))
        .control(Control::new(Quantity::NOISE_VARIANCE, grid()?).bounds(0.01, 1.0))
        .control(Control::new(Quantity::NOISE_CORRELATION, grid()?).bounds(-0.9, 0.9));
    Ok(vec![constant, varied, best(augmented)?])
}

fn blocks(arguments: &Arguments) -> u64 {
    arguments.runs.div_ceil(LANES)
}

/// What `follow` says of every run under those schedules, a block of them at a time.
fn runs<'a, R: Send>(
    model: &'a Taught,
    start: Option<&OrderParameters>,
    best: &Optimum,
    context: &Context<'_>,
    follow: impl Fn(ProjectedLanes<'a, Taught>) -> Result<Vec<R>, Failed> + Sync,
) -> Outcome<Vec<R>> {
    let &Arguments { dimension, runs, seed, .. } = context.arguments;
    let chain = ProjectedChain::builder(model, dimension).schedules(best.schedules());
    let chain = if let Some(start) = start { chain.start(start) } else { chain };
    let (mut all, mut failed) = (Vec::new(), None);
    Ensemble::new(blocks(context.arguments), 0).cancelled_by(context.cancel).for_each(
        |block| {
            let first = LANES * block.index;
            let seeds: Vec<u64> = (first..runs.min(first + LANES)).map(|k| seed.wrapping_add(k)).collect();
            let found = chain.lanes(&seeds).map_err(Failed::from).and_then(&follow);
            context.bar.inc(1);
            found
        },
        |_, found| match found {
            Ok(found) => {
                all.extend(found);
                ControlFlow::Continue(())
            }
            Err(failure) => {
                failed = Some(failure);
                ControlFlow::Break(())
            }
        },
    );
    failed.map_or(Ok(all), |failure| Err(failure.to_string().into()))
}

/// One feature: the similarity at the end, from a start with that overlap; runs have it, or random weights.
fn one_feature(context: &Context<'_>, overlap: f64, end: f64, given: bool) -> Outcome<Vec<Protocol>> {
    let model = model(1, 1, 0.0)?;
    let ode = ReducedOde::new(&model)?;
    let start = OrderParameters::from_rows(1, 1, &[overlap], &[1.0])?;
    let similarity = |state: &OrderParameters| state.cosine_similarity(0, 0).unwrap_or(0.0).abs();
    let objective = Objective::new().at_end(CosineSimilarity { feature: 0, neuron: 0 });
    let found = searched((&ode, &start), &objective, (end, end, context.arguments.pieces), true, context)?;
    let shown: Vec<f64> = (1..=10).map(|k| end * f64::from(k) / 10.0).collect();
    let mut protocols = Vec::new();
    for (name, best) in NAMES.into_iter().zip(found) {
        let line = line(&ode, &start, &best, end, |state| 1.0 - similarity(state))?;
        let values: Vec<Vec<f64>> = runs(&model, given.then_some(&start), &best, context, |mut lanes| {
            let similarities = |run: Trajectory| run.states().iter().map(similarity).collect();
            lanes.run(end, &Output::Times(shown.clone()))?.into_iter().map(|run| Ok(similarities(run?))).collect()
        })?;
        let at = |k: usize| Seen::of(&values.iter().filter_map(|values| values.get(k).copied()).collect::<Vec<_>>());
        let dots = shown.iter().enumerate().map(|(k, &t)| (t, 1.0 - at(k).mean)).collect();
        protocols.push(Protocol { name, best, seen: at(shown.len() - 1), line, dots });
    }
    Ok(protocols)
}

/// The limit under the best schedules, as a function of its state.
fn line(
    ode: &ReducedOde<'_>,
    start: &OrderParameters,
    best: &Optimum,
    end: f64,
    value: impl Fn(&OrderParameters) -> f64,
) -> Outcome<Points> {
    let times = (0..=200).map(|k| end * f64::from(k) / 200.0).collect();
    let run = ode.solver().schedules(best.schedules()).output(Output::Times(times)).solve(start, end)?;
    Ok(run.iter().map(|(t, state)| (t, value(state))).collect())
}

/// How far the less learned of two features is, each by a neuron of its own.
fn less_learned(state: &OrderParameters) -> f64 {
    let similarity = |k: usize| state.cosine_similarity(k, k).unwrap_or(0.0);
    similarity(0).min(similarity(1))
}

/// Two features and two neurons: the time until both are learned.
fn two_features(context: &Context<'_>) -> Outcome<Task> {
    let &Arguments { learned, pieces, .. } = context.arguments;
    let model = model(2, 2, 0.2)?;
    let ode = ReducedOde::new(&model)?.coefficient_tolerance(1e-5)?;
    let start = OrderParameters::from_rows(2, 2, &[0.3, 0.1, 0.05, 0.2], &[1.0, 0.0, 0.0, 1.0])?;
    let event = |_: f64, state: &OrderParameters| less_learned(state) - learned;
    let time = Objective::new().at_end(|t: f64, _: &OrderParameters| t).until(Direction::AtOrAbove, event);
    let found = searched((&ode, &start), &time, (LATEST, MOVES, (4 * pieces).div_ceil(5)), false, context)?;
    let mut protocols = Vec::new();
    for (name, best) in NAMES.into_iter().zip(found) {
        let line = line(&ode, &start, &best, best.objective(), |state| 1.0 - less_learned(state))?;
        let times = runs(&model, Some(&start), &best, context, |lanes| until_learned(lanes, context))?;
        let seen = Seen::of(&times);
        protocols.push(Protocol { name, best, seen, line, dots: vec![(seen.mean, 1.0 - learned)] });
    }
    let wanted = format!("time until both have a cosine similarity of {learned}");
    Ok(Task { title: "Two features and two neurons".to_owned(), wanted, protocols, maximised: false })
}

/// When runs that step together have learned both features; those that do.
fn until_learned(mut lanes: ProjectedLanes<'_, Taught>, context: &Context<'_>) -> Result<Vec<f64>, Failed> {
    let mut reached = vec![None; lanes.replicates()];
    while reached.iter().any(Option::is_none) && lanes.time() < LATEST && !context.cancel.is_cancelled() {
        let now = lanes.time() + LOOK;
        for (reached, run) in reached.iter_mut().zip(lanes.run(now, &Output::Stop)?) {
            let run = run?;
            let Some((t, state)) = run.last() else { continue };
            if less_learned(state) >= context.arguments.learned {
                reached.get_or_insert(t);
            }
        }
    }
    Ok(reached.into_iter().flatten().collect())
}

fn tell(arguments: &Arguments, task: &Task) {
    println!("{}. Wanted: {} {}.", task.title, if task.maximised { "a large" } else { "a short" }, task.wanted);
    println!("The limit, and the mean over runs at N = {} with its standard error.\n", arguments.dimension);
    let mut rows = table(["schedule", "limit", "SGD", "+-", "runs", "iterations", "solutions of the ODE"]);
    for Protocol { name, best, seen, .. } in &task.protocols {
        let mut row = vec![(*name).to_owned(), format!("{:.5}", best.objective()), format!("{:.5}", seen.mean)];
        row.extend([format!("{:.0e}", seen.error), seen.count.to_string()]);
        row.extend([best.iterations().to_string(), best.evaluations().to_string()]);
        rows.add_row(row);
    }
    println!("{rows}\n");
    let [constant, varied, augmented] = task.protocols.as_slice() else { return };
    tell_gain(constant, varied, task.maximised);
    tell_gain(constant, augmented, task.maximised);
    let off = |p: &Protocol| (p.seen.mean - p.best.objective()).abs();
    let most = task.protocols.iter().map(off).fold(0.0, f64::max);
    println!("The mean over runs is at most {most:.5} away from the limit.");
    tell_shape(varied);
    tell_augmentation(augmented);
    let unfinished: Vec<&str> = task.protocols.iter().filter(|p| is_unfinished(p)).map(|p| p.name).collect();
    if !unfinished.is_empty() {
        println!("Not at an optimum yet, and perhaps better after more --iterations: {}.", unfinished.join(", "));
    }
    println!();
}

/// What one protocol gains against another.
fn tell_gain(from: &Protocol, to: &Protocol, maximised: bool) {
    let sign = if maximised { 1.0 } else { -1.0 };
    let limit = sign * (to.best.objective() - from.best.objective());
    let (seen, error) = (sign * (to.seen.mean - from.seen.mean), to.seen.error.hypot(from.seen.error));
    let verdict = if seen > 3.0 * error {
        "which is no chance"
    } else if seen < -3.0 * error {
        "which is a loss"
    } else {
        "which may be chance"
    };
    println!("The {} gains {limit:+.5} in the limit;", to.name.trim_start_matches("with "));
    println!("in the runs {seen:+.5} +- {error:.5}, {verdict}.");
}

/// Whether the search for it might have gone on.
fn is_unfinished(protocol: &Protocol) -> bool {
    protocol.best.end() == SearchEnd::IterationLimit
}

/// Where the best rate is highest.
fn tell_shape(varied: &Protocol) {
    let (values, times) = (varied.best.values(0), varied.best.times(0));
    let highest = (0..values.len()).fold(0, |best, k| if values[k] > values[best] { k } else { best });
    let [first, last] = [values[0], values[values.len() - 1]];
    println!(
        "The best rate over time begins at {first:.3}, is highest at t = {:.1} with {:.3}, and ends at {last:.3}.",
        times[highest], values[highest]
    );
}

/// Whether the best noise is at its bounds.
fn tell_augmentation(augmented: &Protocol) {
    let [variance, correlation] = [1, 2].map(|control| {
        let bounds = augmented.best.at_bounds(control);
        (bounds.iter().filter(|at| **at == AtBound::Lower).count(), bounds.len())
    });
    println!("The best noise has its least correlation at {} of {} times,", correlation.0, correlation.1);
    println!("and its least variance at {} of {}.", variance.0, variance.1);
}

/// How the protocols are drawn.
const PENS: [Pen; 3] = [Pen::new(GREY), Pen::new(BLUE).width(2.4), Pen::new(RED).dashed(&[9, 4])];
const MARKS: [Mark; 3] = [Mark::Ring, Mark::Disk, Mark::Square];
const VARIANCE: Pen = Pen::new(INK);
const CORRELATION: Pen = Pen::new(INK).dashed(&[3, 3]);

fn draw(arguments: &Arguments, tasks: &[Task]) -> Outcome {
    write(&arguments.out, "best_schedule", (1320, 900), |_, root| {
        let mut signs: Vec<_> =
            (0..NAMES.len()).map(|k| (NAMES[k].to_owned(), Sign::Both(PENS[k], MARKS[k]))).collect();
        signs.push(("variance σ² of the best noise".to_owned(), Sign::Line(VARIANCE)));
        signs.push(("its correlation ρ between the views".to_owned(), Sign::Line(CORRELATION)));
        let words = format!("limit (lines), mean of {} runs at N = {} (marks)", arguments.runs, arguments.dimension);
        signs.push((words, Sign::Both(Pen::new(GREY).width(0.5), Mark::Ring)));
        let rest = key(root, &signs)?;
        let panels = rest.split_evenly((3, tasks.len()));
        for (column, task) in tasks.iter().enumerate() {
            let longest = task.protocols.iter().filter_map(|p| p.line.last()).fold(0.0, |end: f64, at| end.max(at.0));
            let x = Scale::linear("time t = steps / N", 0.0..1.02 * longest);
            draw_missing(&panels[column], task, x.clone())?;
            draw_rates(&panels[tasks.len() + column], task, x.clone())?;
            draw_noise(&panels[2 * tasks.len() + column], task, x)?;
        }
        Ok(())
    })
}

/// The axis that shows all of these: logarithmic if they spread, else from zero on.
fn axis(label: &str, values: impl Iterator<Item = f64>) -> Scale {
    let values = values.filter(|x| x.is_finite() && *x > 0.0);
    let (low, high) = values.fold((f64::INFINITY, 0.0_f64), |(low, high), x| (low.min(x), high.max(x)));
    if high > 30.0 * low {
        Scale::log(label, 0.7 * low..1.3 * high).ticks(4)
    } else {
        Scale::linear(label, 0.0..1.05 * high.max(1e-9)).ticks(4)
    }
}

/// What is missing of the cosine similarity over time.
fn draw_missing(area: &Area<'_>, task: &Task, x: Scale) -> Outcome {
    let label = if task.maximised { "1 − cosine similarity" } else { "1 − lesser similarity" };
    let y = axis(label, task.protocols.iter().flat_map(|p| p.line.iter().chain(&p.dots)).map(|point| point.1));
    let mut plot = Plot::new(area, &task.title, x, y)?;
    for (protocol, (pen, mark)) in task.protocols.iter().zip(PENS.into_iter().zip(MARKS)) {
        plot.line(protocol.line.iter().copied(), pen)?;
        plot.marks(protocol.dots.iter().copied(), mark, pen.color, 3.4)?;
    }
    Ok(())
}

/// A scheduled number until the end of its protocol.
fn values(protocol: &Protocol, quantity: Quantity) -> Points {
    let end = protocol.line.last().map_or(0.0, |at| at.0);
    let at = |t: f64| protocol.best.schedules().value_at(quantity, t).map(|value| (t, value));
    (0..=400).map(|k| end * f64::from(k) / 400.0).filter_map(at).collect()
}

fn draw_rates(area: &Area<'_>, task: &Task, x: Scale) -> Outcome {
    let curves: Vec<Points> = task.protocols.iter().map(|protocol| values(protocol, Quantity::LearningRate)).collect();
    let y = axis("learning rate τ", curves.iter().flatten().map(|point| point.1));
    let mut plot = Plot::new(area, "Learning rate", x, y)?;
    for (curve, pen) in curves.into_iter().zip(PENS) {
        plot.line(curve, pen)?;
    }
    Ok(())
}

fn draw_noise(area: &Area<'_>, task: &Task, x: Scale) -> Outcome {
    let Some(augmented) = task.protocols.last() else { return Ok(()) };
    let variance = values(augmented, Quantity::FeatureNoiseVariance);
    let top = variance.iter().map(|point| point.1).fold(0.5, f64::max);
    let y = Scale::linear("variance, correlation", -1.0..1.05 * top);
    let mut plot = Plot::new(area, "Best noise of the views", x, y)?;
    plot.line(variance, VARIANCE)?;
    plot.line(values(augmented, Quantity::FeatureNoiseCorrelation), CORRELATION)
}
