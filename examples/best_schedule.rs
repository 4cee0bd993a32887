//! The best schedules of learning rate and augmentation, and what they gain, in the limit and in runs of SGD.
//!
//! `cargo run --release --example best_schedule` prints tables and writes the picture docs/best_schedule.svg.
//!
//! The letter's model with one feature, from a start that knows it and from one that does not: which schedule makes the cosine similarity at
//! the end largest? Then two features and two neurons: which makes the time least until both are learned? Each is searched for on the
//! limit, within bounds, and then followed by a thousand runs of the projected chain at N = 10 000.

mod interrupt;
mod picture;

use std::error::Error;

use contrastive_dynamics::control::{Control, CosineSimilarity, Objective, Optimiser, Optimum, TimeGrid};
use contrastive_dynamics::model::Quantity;
use contrastive_dynamics::parallel::Cancel;
use contrastive_dynamics::prelude::*;
use contrastive_dynamics::state::Direction;
use picture::Area;
use plotters::prelude::*;

const DIMENSION: usize = 10_000;
const RUNS: u64 = 1000;

/// When similarities are compared, from a start that is given and from random weights.
const END: f64 = 20.0;
const LATE_END: f64 = 30.0;

/// The similarity at which a feature counts as learned.
const LEARNED: f64 = 0.9;

/// A way to train, with what it comes to.
struct Protocol {
    name: &'static str,
    schedules: Schedules,
    /// The objective in the limit.
    limit: f64,
    /// Mean and standard error over runs, and how many.
    seen: (f64, f64, usize),
    /// Times and values of the limit, and means over runs.
    line: Vec<(f64, f64)>,
    dots: Vec<(f64, f64)>,
}

/// Mean and standard error.
fn mean(values: &[f64]) -> (f64, f64, usize) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
    (mean, (squares / (count * (count - 1.0))).sqrt(), values.len())
}

/// `pieces` + 1 times up to `end`.
fn grid(end: f64, pieces: i32) -> Result<TimeGrid, Box<dyn Error>> {
    Ok(TimeGrid::linear((0..=pieces).map(|k| end * f64::from(k) / f64::from(pieces)))?)
}

fn rate(grid: TimeGrid) -> Control {
    Control::new([Quantity::LearningRate], grid).bounds(0.003, 3.0)
}

/// The best constant rate, the best rate over time, and with it the best augmentation; in this order.
fn searched(
    ode: &ReducedOde<'_>,
    objective: &Objective<'_>,
    (start, end): (&OrderParameters, f64),
    (last, pieces, maximise): (f64, i32, bool),
) -> Result<[Optimum; 3], Box<dyn Error>> {
    let best = |search: Optimiser<'_, '_, '_>| {
        if maximise { search.maximise(start, end) } else { search.minimise(start, end) }
    };
    let search = || Optimiser::new(ode, objective);
    let constant = best(search().control(rate(TimeGrid::constant([0.0])?)))?;
    let first = Schedule::constant(constant.values(0)[0])?;
    let free = || Ok::<_, Box<dyn Error>>(rate(grid(last, pieces)?).initial(first.clone()));
    let varied = best(search().control(free()?))?;
    let augmented = search()
        .control(free()?)
        .control(Control::new(Quantity::NOISE_VARIANCE, grid(last, pieces)?).bounds(0.01, 1.0))
        .control(Control::new(Quantity::NOISE_CORRELATION, grid(last, pieces)?).bounds(-0.9, 0.9));
    Ok([constant, varied, best(augmented)?])
}

const NAMES: [&str; 3] = ["best constant rate", "best rate over time", "and best augmentation"];

/// One feature: the similarity at the end, from a start that is given, or one of random weights.
fn one_feature(informed: Option<f64>, cancel: &Cancel) -> Result<(Vec<Protocol>, [Optimum; 3]), Box<dyn Error>> {
    let model = Model::builder()
        .nonlinearity(Tanh)
        .hidden(Independent::new([Law::two_point(2.25)?])?)
        .noise(GaussianNoise::correlated(0.3, 0.0)?)
        .learning_rate(0.3)
        .weight_decay(0.5)
        .build()?;
    let ode = ReducedOde::new(&model)?;
    let horizon = if informed.is_some() { END } else { LATE_END };
    // Random weights have overlaps of about 1/sqrt(N).
    let overlap = informed.unwrap_or(1.0 / (DIMENSION as f64).sqrt());
    let start = OrderParameters::from_rows(1, 1, &[overlap], &[1.0])?;
    let similarity = |state: &OrderParameters| state.cosine_similarity(0, 0).unwrap_or(0.0).abs();
    let objective = Objective::new().at_end(CosineSimilarity { feature: 0, neuron: 0 });
    let found = searched(&ode, &objective, (&start, horizon), (horizon, 20, true))?;
    let times: Vec<f64> = (0..=200).map(|k| horizon * f64::from(k) / 200.0).collect();
    let shown: Vec<f64> = (1..=10).map(|k| horizon * f64::from(k) / 10.0).collect();
    let mut protocols = Vec::new();
    for (name, best) in NAMES.into_iter().zip(&found) {
        let solver = ode.solver().schedules(best.schedules()).output(Output::Times(times.clone()));
        let line = solver.solve(&start, horizon)?.iter().map(|(t, state)| (t, 1.0 - similarity(state))).collect();
        let mut values = vec![Vec::new(); shown.len()];
        for block in 0..RUNS.div_ceil(LANES) {
            if interrupt::ended(cancel) {
                break;
            }
            let seeds: Vec<u64> = (LANES * block..(LANES * (block + 1)).min(RUNS)).collect();
            let chain = ProjectedChain::builder(&model, DIMENSION).schedules(best.schedules());
            let chain = if informed.is_some() { chain.start(&start) } else { chain };
            for run in chain.lanes(&seeds)?.run(horizon, &Output::Times(shown.clone()))? {
                let run = run?;
                values.iter_mut().zip(run.states()).for_each(|(values, state)| values.push(similarity(state)));
            }
        }
        let dots = shown.iter().zip(&values).map(|(&t, values)| (t, 1.0 - mean(values).0)).collect();
        let seen = values.last().map_or((f64::NAN, f64::NAN, 0), |values| mean(values));
        let (schedules, limit) = (best.schedules().clone(), best.objective());
        protocols.push(Protocol { name, schedules, limit, seen, line, dots });
    }
    Ok((protocols, found))
}

/// Replicates that step together.
const LANES: u64 = 25;

/// Whether each of two features is learned by a neuron of its own: how far the less learned one is.
fn less_learned(state: &OrderParameters) -> f64 {
    let similarity = |l: usize, i: usize| state.cosine_similarity(l, i).unwrap_or(0.0);
    similarity(0, 0).min(similarity(1, 1))
}

/// Two features and two neurons: the time until both are learned.
fn two_features(cancel: &Cancel) -> Result<(Vec<Protocol>, [Optimum; 3]), Box<dyn Error>> {
    let model = Model::builder()
        .nonlinearity(Tanh)
        .hidden(Independent::new([Law::two_point(2.25)?, Law::two_point(2.25)?])?)
        .noise(GaussianNoise::correlated(0.3, 0.0)?)
        .learning_rate(0.3)
        .weight_decay(0.5)
        .n_neurons(2)
        .penalty_strength(0.2)
        .build()?;
    let ode = ReducedOde::new(&model)?.coefficient_tolerance(1e-5)?;
    let start = OrderParameters::from_rows(2, 2, &[0.3, 0.1, 0.05, 0.2], &[1.0, 0.0, 0.0, 1.0])?;
    let learned = |_: f64, state: &OrderParameters| less_learned(state) - LEARNED;
    let time = Objective::new().at_end(|t: f64, _: &OrderParameters| t).until(Direction::AtOrAbove, learned);
    let limit = 60.0;
    let found = searched(&ode, &time, (&start, limit), (8.0, 16, false))?;
    let mut protocols = Vec::new();
    for (name, best) in NAMES.into_iter().zip(&found) {
        let end = best.objective();
        let times: Vec<f64> = (0..=100).map(|k| end * f64::from(k) / 100.0).collect();
        let solver = ode.solver().schedules(best.schedules()).output(Output::Times(times));
        let line = solver.solve(&start, end)?.iter().map(|(t, state)| (t, less_learned(state))).collect();
        let mut seen = Vec::new();
        for block in 0..RUNS.div_ceil(LANES) {
            let seeds: Vec<u64> = (LANES * block..(LANES * (block + 1)).min(RUNS)).collect();
            let chain = ProjectedChain::builder(&model, DIMENSION).start(&start).schedules(best.schedules());
            let mut lanes = chain.lanes(&seeds)?;
            let mut reached = vec![None; seeds.len()];
            while reached.iter().any(Option::is_none) && lanes.time() < limit && !interrupt::ended(cancel) {
                let now = lanes.time() + 0.02;
                for (reached, run) in reached.iter_mut().zip(lanes.run(now, &Output::Stop)?) {
                    let run = run?;
                    let Some((t, state)) = run.last() else { continue };
                    if less_learned(state) >= LEARNED {
                        reached.get_or_insert(t);
                    }
                }
            }
            seen.extend(reached.into_iter().flatten());
        }
        let (schedules, seen) = (best.schedules().clone(), mean(&seen));
        protocols.push(Protocol { name, schedules, limit: end, seen, line, dots: vec![(seen.0, LEARNED)] });
    }
    Ok((protocols, found))
}

fn report(title: &str, protocols: &[Protocol], found: &[Optimum]) {
    println!("{title}\n");
    println!(
        "{:<24} {:>10} {:>20} {:>6}  {:>10} {:>10}",
        "", "limit", "seen at N = 10 000", "runs", "iterations", "solutions"
    );
    for (protocol, best) in protocols.iter().zip(found) {
        let (mean, error, count) = protocol.seen;
        println!(
            "{:<24} {:>10.5} {mean:>10.5} +- {error:.0e} {count:>6}  {:>10} {:>10}",
            protocol.name,
            protocol.limit,
            best.iterations(),
            best.evaluations()
        );
    }
    let (first, last) = (&protocols[0], &protocols[protocols.len() - 1]);
    let (gain, error) = (last.seen.0 - first.seen.0, last.seen.1.hypot(first.seen.1));
    println!("gain: {:+.5} in the limit, {gain:+.5} +- {error:.5} in the runs\n", last.limit - first.limit);
}

fn main() -> Result<(), Box<dyn Error>> {
    let cancel = interrupt::flag()?;
    let informed = one_feature(Some(0.4), &cancel)?;
    report("cosine similarity at t = 20, from Q = 0.4", &informed.0, &informed.1);
    let uninformed = one_feature(None, &cancel)?;
    report("cosine similarity at t = 30, from random weights (limit: from Q = 0.01)", &uninformed.0, &uninformed.1);
    let two = two_features(&cancel)?;
    report("time until two features are learned to a cosine similarity of 0.9", &two.0, &two.1);
    if interrupt::ended(&cancel) {
        println!("interrupted: no picture");
        return Ok(());
    }
    draw([&informed.0, &uninformed.0, &two.0])
}

const COLORS: [RGBColor; 3] = [RGBColor(120, 120, 120), RGBColor(0, 90, 181), RGBColor(220, 50, 32)];

fn draw(columns: [&Vec<Protocol>; 3]) -> Result<(), Box<dyn Error>> {
    picture::write("best_schedule.svg", (1320, 860), |root| {
        let panels = root.split_evenly((3, 3));
        let titles = ["from Q = 0.4", "from random weights", "two features, until both are learned"];
        for (column, protocols) in columns.into_iter().enumerate() {
            let end = protocols.iter().filter_map(|p| p.line.last()).fold(0.0, |end: f64, at| end.max(at.0));
            progress(&panels[column], titles[column], protocols, (end, column))?;
            numbers(&panels[3 + column], protocols, end)?;
            augmentation(&panels[6 + column], protocols, end)?;
        }
        Ok(())
    })
}

/// What is missing of the similarity, or the similarity itself, over time.
fn progress(
    panel: &Area<'_>,
    title: &str,
    protocols: &[Protocol],
    (end, column): (f64, usize),
) -> Result<(), Box<dyn Error>> {
    let mut builder = ChartBuilder::on(panel);
    builder.caption(title, ("sans-serif", 18)).margin(8).x_label_area_size(30).y_label_area_size(62);
    let missing = column < 2;
    let range = if missing { 0.002..1.2 } else { 0.01..1.2 };
    let mut chart = builder.build_cartesian_2d(0.0..1.02 * end, range.log_scale())?;
    let name = if missing { "1 − cos" } else { "1 − cos of the less learned" };
    chart.configure_mesh().y_desc(name).y_label_formatter(&|y| format!("{y}")).light_line_style(WHITE).draw()?;
    for (protocol, color) in protocols.iter().zip(COLORS) {
        let value = |&(t, y): &(f64, f64)| (t, if missing { y } else { 1.0 - y });
        chart
            .draw_series(LineSeries::new(protocol.line.iter().map(value), color.stroke_width(2)))?
            .label(protocol.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 22, y)], color.stroke_width(2)));
        chart.draw_series(protocol.dots.iter().map(|at| Circle::new(value(at), 3, color.filled())))?;
    }
    // There is room in the last panel.
    if missing {
        return Ok(());
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerLeft)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.3))
        .label_font(("sans-serif", 13))
        .draw()?;
    Ok(())
}

/// Values of a number over time: the schedule itself, as a solver sees it.
fn values(protocol: &Protocol, quantity: Quantity, end: f64) -> Vec<(f64, f64)> {
    let at = |t: f64| protocol.schedules.value_at(quantity, t).map(|value| (t, value));
    (0..=400).map(|k| end * f64::from(k) / 400.0).filter_map(at).collect()
}

/// Learning rates.
fn numbers(panel: &Area<'_>, protocols: &[Protocol], end: f64) -> Result<(), Box<dyn Error>> {
    let mut chart = ChartBuilder::on(panel)
        .margin(8)
        .x_label_area_size(30)
        .y_label_area_size(62)
        .build_cartesian_2d(0.0..1.02 * end, (0.02..4.0).log_scale())?;
    chart.configure_mesh().y_desc("τ").y_label_formatter(&|y| format!("{y}")).light_line_style(WHITE).draw()?;
    for (protocol, color) in protocols.iter().zip(COLORS) {
        let end = protocol.line.last().map_or(end, |at| at.0);
        let points = values(protocol, Quantity::LearningRate, end);
        chart.draw_series(LineSeries::new(points, color.stroke_width(2)))?;
    }
    Ok(())
}

/// The noise of the views.
fn augmentation(panel: &Area<'_>, protocols: &[Protocol], end: f64) -> Result<(), Box<dyn Error>> {
    let mut chart = ChartBuilder::on(panel)
        .margin(8)
        .x_label_area_size(34)
        .y_label_area_size(62)
        .build_cartesian_2d(0.0..1.02 * end, -1.0..1.0)?;
    chart.configure_mesh().x_desc("t").y_desc("σ² (full), ρ (thin)").light_line_style(WHITE).draw()?;
    for (protocol, color) in protocols.iter().zip(COLORS).skip(2) {
        let end = protocol.line.last().map_or(end, |at| at.0);
        for (quantity, width) in [(Quantity::FeatureNoiseVariance, 3), (Quantity::FeatureNoiseCorrelation, 1)] {
            chart.draw_series(LineSeries::new(values(protocol, quantity, end), color.stroke_width(width)))?;
        }
    }
    Ok(())
}
