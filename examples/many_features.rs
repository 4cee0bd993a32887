//! Which of a hundred features can one neuron learn, and which does it learn?
//!
//! The features have falling strength. Nodes of a hundred two-point variables would be 2¹⁰⁰; the limit takes them by the characteristic
//! function of their sum. The projected chain at large N, from overlaps of the order of N^(−1/2) like those of random weights, follows the
//! ODE from the same start, but that its noise moves the escape a little. Which feature wins from there is settled by strength and by luck:
//! the share of each feature over many random starts tells how.
//!
//!     cargo run --release --features parallel --example many_features -- --help

mod support;

use std::ops::ControlFlow;

use clap::Parser;
use contrastive_dynamics::parallel::Cancel;
use contrastive_dynamics::prelude::*;
use contrastive_dynamics::stability::uninformative_points;
use support::interrupt::{ended, flag};
use support::picture::{Area, BLUE, INK, Mark, PENS, Pen, Plot, RED, Scale, Sign, key, write};
use support::{Out, Outcome, progress, table};

/// Which of many features can one neuron learn, and which does it learn? Growth rates, one run, and the winners of many random starts.
#[derive(Debug, Parser)]
struct Arguments {
    /// The number of features.
    #[arg(long, default_value_t = 100)]
    features: usize,
    /// The second moment E[c²] of the strongest feature.
    #[arg(long, default_value_t = 2.5)]
    strongest: f64,
    /// The second moment of a feature, divided by that of the next stronger one.
    #[arg(long, default_value_t = 0.985)]
    ratio: f64,
    /// The learning rate.
    #[arg(long, default_value_t = 0.3)]
    learning_rate: f64,
    /// The dimension N of weights and features.
    #[arg(long, default_value_t = 100_000)]
    dimension: usize,
    /// The end of the run, in time t = steps/N. Winners are looked at after four times as long.
    #[arg(long, default_value_t = 40.0)]
    end: f64,
    /// How many random starts of the ODE.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..))]
    starts: u64,
    /// The seed of the run.
    #[arg(long, default_value_t = 3)]
    seed: u64,
    #[command(flatten)]
    out: Out,
}

/// The cosine similarity from which on a feature counts as learned.
const LEARNED: f64 = 0.9;
/// Times at which the run is looked at, and rows of its table.
const TIMES: u32 = 80;
const ROWS: usize = 4;
/// Features that have a column of the table, and a colour of the picture.
const SHOWN: usize = 5;

/// What was found.
struct Found {
    /// E[c²] of every feature.
    moments: Vec<f64>,
    /// The rate at which a small overlap with every feature grows.
    growth: Vec<f64>,
    /// One run of SGD, and the ODE from its start.
    simulated: Vec<(f64, OrderParameters)>,
    theory: Trajectory,
    /// The share of random starts from which every feature wins.
    shares: Vec<f64>,
}

fn main() -> std::process::ExitCode {
    support::told(example())
}

fn example() -> Outcome {
    let arguments = Arguments::parse();
    let moments: Vec<f64> =
        (0..).map(|l| arguments.strongest * arguments.ratio.powi(l)).take(arguments.features).collect();
    let laws: Result<Vec<Law>, ModelError> = moments.iter().map(|&moment| Law::two_point(moment)).collect();
    let model = Model::builder()
        .nonlinearity(Tanh)
        .hidden(Independent::new(laws?)?)
        .noise(GaussianNoise::correlated(0.3, -0.5)?)
        .learning_rate(arguments.learning_rate)
        .weight_decay(0.5)
        .build()?;
    let ode = ReducedOde::new(&model)?;
    let points = uninformative_points(&ode, 0.02, 20.0)?;
    let growth = points.first().ok_or("there is no state at rest without overlaps")?.growth_rates.clone();
    tell_growth(&moments, &growth);

    let cancel = flag()?;
    let simulated = simulate(&model, &arguments, &cancel)?;
    let (_, start) = simulated.first().ok_or("ended before the run began")?;
    let times = simulated.iter().map(|(t, _)| *t).collect();
    let theory = ode.solver().output(Output::Times(times)).solve(start, arguments.end)?;
    tell_run(&arguments, &simulated, &theory);

    let shares = shares(&model, &ode, &arguments, &cancel)?;
    if ended(&cancel) {
        return Ok(());
    }
    tell_shares(&arguments, &shares);
    draw(&arguments, &Found { moments, growth, simulated, theory, shares })
}

/// The projected chain from random weights.
fn simulate<M>(model: &M, arguments: &Arguments, cancel: &Cancel) -> Outcome<Vec<(f64, OrderParameters)>>
where
    M: Spec<Scalar = f64, Regularizer: LinearRegularizer<f64>>,
{
    let mut chain = ProjectedChain::builder(model, arguments.dimension).build_seeded(arguments.seed)?;
    let bar = progress(TIMES as usize + 1, &format!("SGD at N = {}", arguments.dimension))?;
    let mut simulated = Vec::new();
    for k in (0..=TIMES).take_while(|_| !cancel.is_cancelled()) {
        let t = arguments.end * f64::from(k) / f64::from(TIMES);
        let reached = chain.run(t, &Output::Stop)?;
        simulated.extend(reached.last().map(|(t, state)| (t, state.clone())));
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(simulated)
}

/// The share of random starts from which each feature wins.
fn shares<M>(model: &M, ode: &ReducedOde<'_>, arguments: &Arguments, cancel: &Cancel) -> Outcome<Vec<f64>>
where
    M: Spec<Scalar = f64, Regularizer: LinearRegularizer<f64>>,
{
    type Failed = Box<dyn std::error::Error + Send + Sync>;
    let winner = |seed: u64| -> Result<Option<usize>, Failed> {
        let chain = ProjectedChain::builder(model, arguments.dimension).build_seeded(seed)?;
        let solver = ode.solver().output(Output::Stop);
        let run = solver.solve(&chain.order_parameters(), 4.0 * arguments.end)?;
        let (_, state) = run.last().ok_or("a run without an end")?;
        Ok(ranked(&cosines(state)).first().copied().filter(|&l| cosines(state)[l] > LEARNED))
    };
    let bar = progress(usize::try_from(arguments.starts)?, "random starts")?;
    let mut shares = vec![0.0; arguments.features];
    let mut failed = None;
    let all = Ensemble::new(arguments.starts, 0).cancelled_by(cancel);
    all.for_each(
        |replicate| winner(replicate.index),
        |_, result| {
            bar.inc(1);
            match result {
                Ok(Some(l)) => shares[l] += 1.0 / arguments.starts as f64,
                Ok(None) => {}
                Err(_) if cancel.is_cancelled() => return ControlFlow::Break(()),
                Err(failure) => {
                    failed = Some(failure);
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        },
    );
    bar.finish_and_clear();
    failed.map_or(Ok(shares), |failure| Err(failure.to_string().into()))
}

/// The size of the cosine similarity of the neuron with every feature.
fn cosines(state: &OrderParameters) -> Vec<f64> {
    (0..state.n_features()).map(|l| state.cosine_similarity(l, 0).unwrap_or(0.0).abs()).collect()
}

/// Indices by their values, the largest first.
fn ranked(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    order
}

/// The features that come nearest to the neuron in the course of a run, the nearest first.
fn nearest(run: &Trajectory) -> Vec<usize> {
    let mut most = Vec::new();
    for (_, state) in run.iter() {
        let now = cosines(state);
        most.resize(now.len(), 0.0_f64);
        most.iter_mut().zip(now).for_each(|(most, now)| *most = most.max(now));
    }
    ranked(&most)
}

/// Which features can be learned.
fn tell_growth(moments: &[f64], growth: &[f64]) {
    let (count, weakest, strongest) = (moments.len(), moments[moments.len() - 1], moments[0]);
    println!("{count} two-point features, E[c²] from {strongest:.3} down to {weakest:.3}, one neuron, tanh.");
    let learnable = growth.iter().filter(|rate| **rate > 0.0).count();
    let least = (0..count).filter(|&l| growth[l] > 0.0).map(|l| moments[l]).fold(f64::INFINITY, f64::min);
    match learnable {
        0 => println!("No overlap grows out of a start without overlaps: nothing can be learned from there."),
        all if all == count => println!("Every overlap grows out of a start without overlaps: all can be learned."),
        some => println!(
            "Out of a start without overlaps {some} of the overlaps grow: those features with E[c²] of {least:.4} and more."
        ),
    }
}

/// One run of SGD against the ODE.
fn tell_run(arguments: &Arguments, simulated: &[(f64, OrderParameters)], theory: &Trajectory) {
    println!("\nOne run from random weights, N = {}. Size of the cosine similarity with", arguments.dimension);
    println!("the features that come nearest: SGD, and the limit.\n");
    let shown: Vec<usize> = nearest(theory).into_iter().take(SHOWN).collect();
    let heads = shown.iter().flat_map(|l| [format!("[{l}] SGD"), "limit".to_owned()]);
    let mut rows = table(["t".to_owned()].into_iter().chain(heads));
    for ((t, seen), (_, limit)) in simulated.iter().zip(theory.iter()).step_by(TIMES as usize / ROWS) {
        let pairs = shown.iter().flat_map(|&l| [cosines(seen)[l], cosines(limit)[l]]);
        rows.add_row([format!("{t:.1}")].into_iter().chain(pairs.map(|x| format!("{x:.4}"))));
    }
    println!("{rows}\n");

    let off = |((_, seen), (_, limit)): (&(f64, OrderParameters), (f64, &OrderParameters))| {
        (seen.to_packed() - limit.to_packed()).amax()
    };
    let worst = simulated.iter().zip(theory.iter()).map(off).fold(0.0, f64::max);
    let scaled = worst * (arguments.dimension as f64).sqrt();
    println!("No order parameter of the run is ever further from the limit than {worst:.4} = {scaled:.2} N^(-1/2).");
    let (Some((t, seen)), Some((_, limit))) = (simulated.last(), theory.last()) else { return };
    let (winner, expected) = (ranked(&cosines(seen))[0], ranked(&cosines(limit))[0]);
    let cosine = cosines(seen)[winner];
    let verdict = if cosine > LEARNED { "has been learned" } else { "is ahead, but has not been learned yet" };
    print!("At t = {t} feature {winner} {verdict}, with a cosine similarity of {cosine:.4}; ");
    println!("{}", if winner == expected { "the limit says the same." } else { "in the limit it is another." });
}

/// Which features win, and how often.
fn tell_shares(arguments: &Arguments, shares: &[f64]) {
    let winners: Vec<usize> = ranked(shares).into_iter().filter(|&l| shares[l] > 0.0).collect();
    let time = 4.0 * arguments.end;
    println!(
        "\nThe ODE from {} random starts: the feature whose cosine similarity is above {LEARNED}",
        arguments.starts
    );
    println!("at t = {time}, and the share of starts.\n");
    let mut rows = table(["feature", "share"]);
    for &l in winners.iter().take(10) {
        rows.add_row([format!("{l}"), format!("{:.3}", shares[l])]);
    }
    println!("{rows}\n");
    let Some((&first, last)) = winners.first().zip(winners.iter().max()) else {
        println!("No start has led to a feature by then.");
        return;
    };
    let [most, all] = [shares[first], shares.iter().sum()].map(|share: f64| 100.0 * share);
    match winners.len() {
        1 => println!("Only feature {first} ever wins,"),
        some => println!(
            "{some} features win from some start, the weakest is feature {last}. Feature {first} wins most often,"
        ),
    }
    println!("from {most:.1} % of the starts. Some feature has been learned by then from {all:.1} % of them.");
}

fn draw(arguments: &Arguments, found: &Found) -> Outcome {
    write(&arguments.out, "many_features", (960, 800), |_, root| {
        let (above, below) = root.split_vertically(root.dim_in_pixel().1.cast_signed() * 11 / 20);
        draw_run(&above, arguments, found)?;
        let signs = [
            ("growth rate above 0: can be learned", Sign::Mark(Mark::Disk, BLUE)),
            ("below 0: cannot", Sign::Mark(Mark::Ring, RED)),
            ("share of the starts", Sign::Both(Pen::new(INK).width(1.4), Mark::Square)),
        ];
        let below = key(&below, &signs)?;
        let (left, right) = below.split_horizontally(below.dim_in_pixel().0.cast_signed() / 2);
        draw_growth(&left, found)?;
        draw_shares(&right, arguments, found)
    })
}

const MARKS: [Mark; SHOWN] = [Mark::Disk, Mark::Square, Mark::Ring, Mark::Half, Mark::Cross];
const OTHERS: Pen = Pen::new(support::picture::GREY).width(0.5);

/// Cosine similarities over time: the few that become largest in colours, the others below them.
fn draw_run(area: &Area<'_>, arguments: &Arguments, found: &Found) -> Outcome {
    let Found { moments, simulated, theory, .. } = found;
    let order = nearest(theory);
    let (shown, others) = order.split_at(order.len().min(SHOWN));
    let curves: Vec<(usize, Pen, Mark)> =
        shown.iter().zip(PENS).zip(MARKS).map(|((&l, pen), mark)| (l, pen, mark)).collect();
    let entry = |&(l, pen, mark): &(usize, Pen, Mark)| {
        (format!("feature {l}, E[c²] = {:.2}", moments[l]), Sign::Both(pen, mark))
    };
    let mut entries: Vec<(String, Sign)> = curves.iter().map(entry).collect();
    entries.push(("other features".to_owned(), Sign::Line(OTHERS)));
    let rest = key(area, &entries)?;

    let title = format!("One run from random weights: SGD at N = {} (marks), the limit (lines)", arguments.dimension);
    let x = Scale::linear("time t = steps / N", 0.0..arguments.end);
    let mut plot = Plot::new(&rest, &title, x, Scale::linear("|cosine similarity|", 0.0..1.02))?;
    let line = |l: usize| theory.iter().map(move |(t, state)| (t, cosines(state)[l]));
    for &l in others {
        plot.line(line(l), OTHERS)?;
    }
    for (l, pen, mark) in curves {
        plot.line(line(l), pen)?;
        plot.marks(simulated.iter().step_by(2).map(|(t, state)| (*t, cosines(state)[l])), mark, pen.color, 3.2)?;
    }
    Ok(())
}

/// The axis of second moments.
fn moment_axis(moments: &[f64]) -> Scale {
    Scale::around("second moment E[c²] of the feature", moments.iter().flat_map(|x| [0.97 * x, 1.02 * x]))
}

fn draw_growth(area: &Area<'_>, Found { moments, growth, .. }: &Found) -> Outcome {
    let y = Scale::around("growth rate of a small overlap", growth.iter().copied().chain([0.0]));
    let mut plot = Plot::new(area, "Growth out of a start without overlaps", moment_axis(moments), y)?;
    let ends = [moments[moments.len() - 1], moments[0]];
    plot.line(ends.map(|x| (x, 0.0)), Pen::new(INK).width(1.0).dashed(&[4, 4]))?;
    let points = |grows: bool| {
        let these = moments.iter().zip(growth).filter(move |(_, rate)| (**rate > 0.0) == grows);
        these.map(|(&moment, &rate)| (moment, rate))
    };
    plot.marks(points(false), Mark::Ring, RED, 2.4)?;
    plot.marks(points(true), Mark::Disk, BLUE, 2.6)
}

fn draw_shares(area: &Area<'_>, arguments: &Arguments, Found { moments, shares, .. }: &Found) -> Outcome {
    let title = format!("Winners from {} random starts", arguments.starts);
    let top = shares.iter().copied().fold(0.0, f64::max).max(0.01);
    let y = Scale::linear("share of the starts that it wins", 0.0..1.1 * top);
    let mut plot = Plot::new(area, &title, moment_axis(moments), y)?;
    for (&moment, &share) in moments.iter().zip(shares).filter(|(_, share)| **share > 0.0) {
        plot.line([(moment, 0.0), (moment, share)], Pen::new(INK).width(1.4))?;
        plot.marks([(moment, share)], Mark::Square, INK, 2.4)?;
    }
    Ok(())
}
