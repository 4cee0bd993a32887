//! What do learning rates that change with time, and noise that fades, do to what is learned, how fast, and how well in the end?
//!
//! One feature, one neuron, tanh, on the sphere. What is left of 1 − cos² at a constant learning rate is the noise of the gradient: small
//! rates leave little and take long. A cosine, a power law and a staircase are fast at first and still end low; the power law goes on as 1/t.
//! A last curve keeps the rate and lets the noise of the views fade instead. The limit is compared with the mean of many runs of SGD.
//!
//!     cargo run --release --features parallel --example schedules -- --help

mod support;

use clap::Parser;
use contrastive_dynamics::parallel::Cancel;
use contrastive_dynamics::prelude::*;
use support::interrupt::{ended, flag};
use support::picture::{Area, Mark, PENS, Pen, Plot, Scale, Sign, key, write};
use support::{Out, Outcome, progress, table};

/// What do learning rates that change with time, and noise that fades, do to what is learned, how fast, and how well in the end?
#[derive(Debug, Parser)]
struct Arguments {
    /// The constant rate that is fast, and the one at which the others begin.
    #[arg(long, default_value_t = 1.0)]
    fast: f64,
    /// The constant rate that is slow.
    #[arg(long, default_value_t = 0.1)]
    slow: f64,
    /// The end, in time t = steps/N; schedules are stretched with it.
    #[arg(long, default_value_t = 60.0)]
    end: f64,
    /// The dimension N of weights and features.
    #[arg(long, default_value_t = 4000)]
    dimension: usize,
    /// How many runs of SGD for each schedule.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..))]
    runs: u64,
    /// The seed of all runs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    out: Out,
}

/// A way to train, and what it comes to.
struct Curve {
    name: &'static str,
    /// The learning rate over time.
    rate: Schedule,
    /// 1 − cos²: the limit, and means over runs.
    limit: Points,
    seen: Points,
}

/// Times and values.
type Points = Vec<(f64, f64)>;

/// Points of the lines, and of the runs.
const FINE: u32 = 240;
const COARSE: u32 = 20;
/// Which of the points of the runs are in the table.
const ROWS: [usize; 4] = [2, 5, 10, 20];

fn main() -> std::process::ExitCode {
    support::told(example())
}

fn example() -> Outcome {
    let arguments = Arguments::parse();
    let model = Model::builder()
        .nonlinearity(Tanh)
        .hidden(Independent::new([Law::two_point(2.25)?])?)
        .noise(GaussianNoise::correlated(0.3, 0.0)?)
        .learning_rate(arguments.fast)
        .constraint(Constraint::Sphere)
        .build()?;
    let ways = ways(&arguments)?;
    let cancel = flag()?;
    let bar = progress(ways.len(), &format!("{} runs of each schedule", arguments.runs))?;
    let mut curves = Vec::new();
    for (name, rate, schedules) in ways {
        if cancel.is_cancelled() {
            break;
        }
        let (limit, seen) = follow(&model, &arguments, &schedules, &cancel)?;
        curves.push(Curve { name, rate, limit, seen });
        bar.inc(1);
    }
    bar.finish_and_clear();
    if ended(&cancel) {
        return Ok(());
    }
    tell(&arguments, &curves);
    draw(&arguments, &curves)
}

/// Names, learning rates, and all that changes.
fn ways(arguments: &Arguments) -> Outcome<Vec<(&'static str, Schedule, Schedules)>> {
    let &Arguments { fast, slow, end, .. } = arguments;
    let unit = end / 60.0;
    let steps = [(12.0, 0.3), (24.0, 0.1), (40.0, 0.03)].map(|(t, part)| (t * unit, part * fast));
    let rates = [
        ("constant, fast", Schedule::constant(fast)?),
        ("constant, slow", Schedule::constant(slow)?),
        ("cosine with warm-up", Schedule::cosine(fast, 0.01 * fast, 55.0 * unit)?.warm_up(5.0 * unit)?),
        ("staircase", Schedule::steps(fast, steps)?),
        ("power law", Schedule::power_law(fast, 8.0 * unit, 1.0)?),
    ];
    let scheduled = |rate: &Schedule| Schedules::new().learning_rate(rate.clone());
    let mut ways = rates.map(|(name, rate)| (name, rate.clone(), scheduled(&rate))).to_vec();
    let rate = Schedule::constant(fast)?;
    let fading = scheduled(&rate).noise_variance(Schedule::exponential(0.3, 0.1 / unit)?);
    ways.push(("fast, noise that fades", rate, fading));
    Ok(ways)
}

/// What is missing of the feature over time: in the limit, and on average over runs.
fn follow<M>(model: &M, arguments: &Arguments, schedules: &Schedules, cancel: &Cancel) -> Outcome<(Points, Points)>
where
    M: Spec<Scalar = f64, Regularizer: LinearRegularizer<f64>>,
{
    let &Arguments { end, dimension, runs, seed, .. } = arguments;
    let start = OrderParameters::from_rows(1, 1, &[0.1], &[1.0])?;
    let times = |count: u32, first: u32| (first..=count).map(|k| end * f64::from(k) / f64::from(count)).collect();
    let ode = ReducedOde::new(model)?;
    let limit = ode.solver().schedules(schedules).output(Output::Times(times(FINE, 0))).solve(&start, end)?;
    let limit = limit.iter().map(|(t, state)| (t, missing(state))).collect();
    let chain = ProjectedChain::builder(model, dimension).start(&start).schedules(schedules);
    let ensemble = Ensemble::new(runs, seed).cancelled_by(cancel);
    let summary =
        ensemble.run_projected(&chain, end, &Output::Times(times(COARSE, 1)), |_, state| vec![missing(state)]);
    let seen = match summary {
        Ok(summary) => summary.series(0).map(|(t, missing)| (t, missing.mean())).collect(),
        Err(_) if cancel.is_cancelled() => Vec::new(),
        Err(error) => return Err(error.to_string().into()),
    };
    Ok((limit, seen))
}

/// 1 − cos².
fn missing(state: &OrderParameters) -> f64 {
    1.0 - state.cosine_similarity(0, 0).unwrap_or(0.0).powi(2)
}

fn last(points: &[(f64, f64)]) -> f64 {
    points.last().map_or(f64::NAN, |point| point.1)
}

/// When half of the feature is learned in the limit.
fn half(curve: &Curve) -> Option<f64> {
    curve.limit.iter().find(|(_, missing)| *missing < 0.5).map(|(t, _)| *t)
}

fn tell(arguments: &Arguments, curves: &[Curve]) {
    let &Arguments { dimension, runs, end, fast, slow, .. } = arguments;
    println!(
        "What is missing of the feature, 1 - cos²: the limit, and the mean of {runs} runs of SGD at N = {dimension}."
    );
    println!(
        "Fast is a learning rate of {fast}, slow one of {slow}. The last column is the time at which half is learned.\n"
    );
    let times = ROWS.map(|k| end * k as f64 / f64::from(COARSE));
    let heads = times.iter().flat_map(|t| [format!("t = {t:.0}"), "SGD".to_owned()]);
    let all = ["schedule".to_owned()].into_iter().chain(heads).chain(["half".to_owned()]);
    let mut rows = table(all);
    for curve in curves {
        let mut row = vec![curve.name.to_owned()];
        for k in ROWS {
            let limit = curve.limit.get(k * (FINE / COARSE) as usize).map_or(f64::NAN, |point| point.1);
            let seen = curve.seen.get(k - 1).map_or(f64::NAN, |point| point.1);
            row.extend([limit, seen].map(|x| format!("{x:.5}")));
        }
        row.push(half(curve).map_or("never".to_owned(), |t| format!("{t:.2}")));
        rows.add_row(row);
    }
    println!("{rows}\n");
    tell_best(end, curves);
}

/// Which schedules are best, and how near the runs are to the limit.
fn tell_best(end: f64, curves: &[Curve]) {
    let by_end = |a: &&Curve, b: &&Curve| last(&a.limit).total_cmp(&last(&b.limit));
    let (Some(best), Some(worst)) = (curves.iter().min_by(by_end), curves.iter().max_by(by_end)) else { return };
    println!("At t = {end} the least is missing with \"{}\" and the most with \"{}\":", best.name, worst.name);
    println!("{:.5} and {:.5} in the limit.", last(&best.limit), last(&worst.limit));
    let time = |curve: &&Curve| half(curve).unwrap_or(f64::INFINITY);
    let quickest = curves.iter().min_by(|a, b| time(a).total_cmp(&time(b)));
    match quickest.and_then(|curve| Some((curve, half(curve)?))) {
        Some((curve, t)) => println!("Half of the feature is learned first with \"{}\", at t = {t:.2}.", curve.name),
        None => println!("No schedule learns half of the feature by then."),
    }
    let off = |curve: &Curve| last(&curve.seen) / last(&curve.limit) - 1.0;
    let most = curves.iter().map(|curve| off(curve).abs()).fold(0.0, f64::max);
    println!("At the end the mean of the runs is at most {:.1} % away from the limit.", 100.0 * most);
    let on_the_way = curves.iter().flat_map(|curve| differences(curve).map(move |(t, off)| (curve.name, t, off)));
    if let Some((name, t, off)) = on_the_way.max_by(|a, b| a.2.total_cmp(&b.2)) {
        println!("On the way it is at most {:.1} % away, at t = {t} with \"{name}\".", 100.0 * off);
    }
}

/// By what part the mean of the runs differs from the limit, over time.
fn differences(curve: &Curve) -> impl Iterator<Item = (f64, f64)> {
    let limit = curve.limit.iter().step_by((FINE / COARSE) as usize).skip(1);
    curve.seen.iter().zip(limit).map(|(&(t, seen), &(_, limit))| (t, (seen / limit - 1.0).abs()))
}

const MARKS: [Mark; 6] = [Mark::Disk, Mark::Square, Mark::Ring, Mark::Half, Mark::Cross, Mark::Disk];

fn draw(arguments: &Arguments, curves: &[Curve]) -> Outcome {
    let pens: Vec<(&Curve, Pen, Mark)> =
        curves.iter().zip(PENS).zip(MARKS).map(|((curve, pen), mark)| (curve, pen, mark)).collect();
    write(&arguments.out, "schedules", (920, 800), |_, root| {
        let entries: Vec<_> = pens.iter().map(|&(curve, pen, mark)| (curve.name, Sign::Both(pen, mark))).collect();
        let rest = key(root, &entries)?;
        let (above, below) = rest.split_vertically(rest.dim_in_pixel().1.cast_signed() * 3 / 5);
        draw_missing(&above, arguments, &pens)?;
        draw_rates(&below, arguments, &pens)
    })
}

fn draw_missing(area: &Area<'_>, arguments: &Arguments, pens: &[(&Curve, Pen, Mark)]) -> Outcome {
    let &Arguments { dimension, runs, end, .. } = arguments;
    let values = pens.iter().flat_map(|(curve, ..)| curve.limit.iter().chain(&curve.seen)).map(|point| point.1);
    let least = values.filter(|x| *x > 0.0).fold(1.0, f64::min);
    let title =
        format!("What is missing of the feature: the limit (lines), mean of {runs} runs at N = {dimension} (marks)");
    let y = Scale::log("1 − cos²", 0.7 * least..1.1);
    let mut plot = Plot::new(area, &title, Scale::linear("time t = steps / N", 0.0..end), y)?;
    for &(curve, pen, mark) in pens {
        plot.line(curve.limit.iter().copied(), pen)?;
        plot.marks(curve.seen.iter().copied(), mark, pen.color, 3.4)?;
    }
    Ok(())
}

fn draw_rates(area: &Area<'_>, arguments: &Arguments, pens: &[(&Curve, Pen, Mark)]) -> Outcome {
    let &Arguments { fast, slow, end, .. } = arguments;
    let y = Scale::linear("learning rate τ", 0.0..1.08 * fast.max(slow));
    let mut plot = Plot::new(area, "Learning rates", Scale::linear("time t = steps / N", 0.0..end), y)?;
    for &(curve, pen, _) in pens {
        let points = (0..=1200).map(|k| end * f64::from(k) / 1200.0).map(|t| (t, curve.rate.at(t)));
        plot.line(cut(points, 0.05 * fast), pen)?;
    }
    Ok(())
}

/// With a gap wherever a value jumps by more than that.
fn cut(points: impl Iterator<Item = (f64, f64)>, jump: f64) -> Points {
    let mut whole: Points = Vec::new();
    for (t, value) in points {
        if whole.last().is_some_and(|(_, before)| (value - before).abs() > jump) {
            whole.push((t, f64::NAN));
        }
        whole.push((t, value));
    }
    whole
}
