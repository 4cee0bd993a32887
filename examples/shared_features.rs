//! How do two neurons share out thirty features?
//!
//! A penalty keeps the outputs of the neurons apart, so that each learns a feature of its own. Nodes of thirty two-point variables would be
//! 2³⁰; the limit takes nodes of the two sums that the neurons see. The projected chain and the ODE start from the same small overlaps with
//! every feature, each neuron a little nearer to one of the two strongest.
//!
//!     cargo run --release --example shared_features -- --help

mod support;

use clap::Parser;
use contrastive_dynamics::integrate::DormandPrince;
use contrastive_dynamics::parallel::Cancel;
use contrastive_dynamics::prelude::*;
use support::interrupt::{ended, flag};
use support::picture::{Area, GREY, Mark, PENS, Pen, Plot, Scale, Sign, key, write};
use support::{Out, Outcome, progress, table};

/// How do two neurons share out many features? One run of SGD against the limit, from small overlaps with all features.
#[derive(Debug, Parser)]
struct Arguments {
    /// The number of features, at least 2.
    #[arg(long, default_value_t = 30)]
    features: usize,
    /// The second moment E[c²] of the strongest feature.
    #[arg(long, default_value_t = 2.5)]
    strongest: f64,
    /// The second moment of a feature, divided by that of the next stronger one.
    #[arg(long, default_value_t = 0.97)]
    ratio: f64,
    /// The strength of the penalty on correlated outputs.
    #[arg(long, default_value_t = 1.0)]
    penalty: f64,
    /// The dimension N of weights and features.
    #[arg(long, default_value_t = 50_000)]
    dimension: usize,
    /// The end, in time t = steps/N.
    #[arg(long, default_value_t = 40.0)]
    end: f64,
    /// The seed of the run.
    #[arg(long, default_value_t = 5)]
    seed: u64,
    #[command(flatten)]
    out: Out,
}

const NEURONS: usize = 2;
/// Times at which the run is looked at, and rows of its table.
const TIMES: u32 = 60;
const ROWS: usize = 6;
/// Features of each neuron that have a column of its table, and a colour of the picture.
const SHOWN: usize = 4;
/// The cosine similarity from which on a feature counts as learned.
const LEARNED: f64 = 0.9;

/// What was found.
struct Found {
    /// E[c²] of every feature.
    moments: Vec<f64>,
    dimension: usize,
    /// One run of SGD at that dimension, and the ODE.
    simulated: Vec<(f64, OrderParameters)>,
    theory: Trajectory,
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
        .learning_rate(0.3)
        .weight_decay(0.5)
        .n_neurons(NEURONS)
        .penalty_strength(arguments.penalty)
        .build()?;

    let start = start(arguments.features)?;
    let cancel = flag()?;
    let simulated = simulate(&model, &start, &arguments, &cancel)?;
    if ended(&cancel) {
        return Ok(());
    }
    let theory = solve(&model, &start, &simulated, &cancel)?;
    if ended(&cancel) {
        return Ok(());
    }
    let found = Found { moments, dimension: arguments.dimension, simulated, theory };
    tell(&found);
    draw(&arguments.out, &found)
}

/// Small overlaps with all features; each neuron has a little more with one of the two strongest.
fn start(features: usize) -> Outcome<OrderParameters> {
    let overlap = |l: usize, i: usize| if l == i { 0.2 } else { 0.08 * (1.9 * (2 * l + i) as f64 + 0.3).cos() };
    let q: Vec<f64> = (0..NEURONS * features).map(|k| overlap(k / NEURONS, k % NEURONS)).collect();
    Ok(OrderParameters::from_rows(features, NEURONS, &q, &[1.0, 0.0, 0.0, 1.0])?)
}

/// The projected chain at the times that are shown.
fn simulate<M>(
    model: &M,
    start: &OrderParameters,
    arguments: &Arguments,
    cancel: &Cancel,
) -> Outcome<Vec<(f64, OrderParameters)>>
where
    M: Spec<Scalar = f64, Regularizer: LinearRegularizer<f64>>,
{
    let mut chain = ProjectedChain::builder(model, arguments.dimension).start(start).build_seeded(arguments.seed)?;
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

/// The limit at the times of a run.
fn solve<M>(
    model: &M,
    start: &OrderParameters,
    simulated: &[(f64, OrderParameters)],
    cancel: &Cancel,
) -> Outcome<Trajectory>
where
    M: Spec<Scalar = f64, Regularizer: LinearRegularizer<f64>>,
{
    let times: Vec<f64> = simulated.iter().map(|(t, _)| *t).collect();
    let end = times.last().copied().unwrap_or(0.0);
    let ode = ReducedOde::new(model)?.coefficient_tolerance(1e-5)?;
    let bar = progress(times.len(), "the limit")?;
    let solver = ode.solver().integrator(DormandPrince::new(1e-5, 1e-7)?).output(Output::Times(times.clone())).observe(
        Output::Times(times),
        |_, _| {
            bar.inc(1);
            cancel.flow()
        },
    );
    let theory = solver.solve(start, end)?;
    bar.finish_and_clear();
    Ok(theory)
}

/// The size of the cosine similarity of a neuron with every feature.
fn cosines(state: &OrderParameters, neuron: usize) -> Vec<f64> {
    (0..state.n_features()).map(|l| state.cosine_similarity(l, neuron).unwrap_or(0.0).abs()).collect()
}

/// Indices by their values, the largest first.
fn ranked(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    order
}

/// The features that come nearest to a neuron in the course of a run, the nearest first.
fn nearest(run: &Trajectory, neuron: usize) -> Vec<usize> {
    let mut most = Vec::new();
    for (_, state) in run.iter() {
        let now = cosines(state, neuron);
        most.resize(now.len(), 0.0_f64);
        most.iter_mut().zip(now).for_each(|(most, now)| *most = most.max(now));
    }
    ranked(&most)
}

fn tell(found: &Found) {
    let Found { moments, dimension, simulated, theory } = found;
    let (strongest, weakest) = (moments[0], moments[moments.len() - 1]);
    println!("{} two-point features, E[c²] from {strongest:.3} to {weakest:.3}, two neurons, tanh.", moments.len());
    for neuron in 0..NEURONS {
        tell_neuron(neuron, found);
    }
    let off = |((_, seen), (_, limit)): (&(f64, OrderParameters), (f64, &OrderParameters))| {
        (seen.to_packed() - limit.to_packed()).amax()
    };
    let worst = simulated.iter().zip(theory.iter()).map(off).fold(0.0, f64::max);
    let scaled = worst * (*dimension as f64).sqrt();
    println!("\nNo order parameter of the run is ever further from the limit than {worst:.4} = {scaled:.2} N^(-1/2).");
    tell_shared(found);
}

/// The course of a neuron.
fn tell_neuron(neuron: usize, Found { dimension, simulated, theory, .. }: &Found) {
    println!("\nNeuron {neuron}: size of its cosine similarity with the features that come nearest to it,");
    println!("SGD at N = {dimension}, and the limit.\n");
    let shown: Vec<usize> = nearest(theory, neuron).into_iter().take(SHOWN).collect();
    let heads = shown.iter().flat_map(|l| [format!("[{l}] SGD"), "limit".to_owned()]);
    let mut rows = table(["t".to_owned()].into_iter().chain(heads));
    for ((t, seen), (_, limit)) in simulated.iter().zip(theory.iter()).step_by(TIMES as usize / ROWS) {
        let pairs = shown.iter().flat_map(|&l| [cosines(seen, neuron)[l], cosines(limit, neuron)[l]]);
        rows.add_row([format!("{t:.1}")].into_iter().chain(pairs.map(|x| format!("{x:.4}"))));
    }
    println!("{rows}");
}

/// What each neuron has learned.
fn tell_shared(Found { simulated, theory, .. }: &Found) {
    let (Some((t, seen)), Some((_, limit))) = (simulated.last(), theory.last()) else { return };
    let winner = |state: &OrderParameters, neuron: usize| ranked(&cosines(state, neuron))[0];
    let winners = [0, 1].map(|neuron| winner(seen, neuron));
    let learned = [0, 1].map(|neuron| cosines(seen, neuron)[winners[neuron]] > LEARNED);
    match (learned, winners) {
        ([true, true], [a, b]) if a != b => {
            println!("At t = {t} neuron 0 has learned feature {a} and neuron 1 feature {b}.");
        }
        ([true, true], [both, _]) => println!("At t = {t} both neurons have learned feature {both}."),
        ([true, false], [one, _]) => println!("At t = {t} neuron 0 has learned feature {one}, and neuron 1 none yet."),
        ([false, true], [_, one]) => println!("At t = {t} neuron 1 has learned feature {one}, and neuron 0 none yet."),
        ([false, false], _) => println!("At t = {t} no neuron has learned a feature."),
    }
    if winners != [0, 1].map(|neuron| winner(limit, neuron)) {
        println!("In the limit other features are ahead by then.");
    }
    let r = limit.r();
    let similarity = (r[(0, 1)] / (r[(0, 0)] * r[(1, 1)]).sqrt()).abs();
    println!("In the limit the size of the cosine similarity of the neurons with each other is {similarity:.4} then.");
}

const MARKS: [Mark; SHOWN] = [Mark::Disk, Mark::Square, Mark::Ring, Mark::Half];
const OTHERS: Pen = Pen::new(GREY).width(0.5);

fn draw(out: &Out, found: &Found) -> Outcome {
    write(out, "shared_features", (960, 500), |_, root| {
        let shared =
            [("marks: SGD, lines: the limit", Sign::Both(OTHERS, Mark::Ring)), ("other features", Sign::Line(OTHERS))];
        let rest = key(root, &shared)?;
        for (neuron, area) in rest.split_evenly((1, NEURONS)).iter().enumerate() {
            draw_neuron(area, neuron, found)?;
        }
        Ok(())
    })
}

/// Cosine similarities of a neuron over time: the few that become largest in colours, the others below them.
fn draw_neuron(area: &Area<'_>, neuron: usize, found: &Found) -> Outcome {
    let Found { moments, dimension, simulated, theory } = found;
    let order = nearest(theory, neuron);
    let (shown, others) = order.split_at(order.len().min(SHOWN));
    let curves: Vec<(usize, Pen, Mark)> =
        shown.iter().zip(PENS).zip(MARKS).map(|((&l, pen), mark)| (l, pen, mark)).collect();
    let entry = |&(l, pen, mark): &(usize, Pen, Mark)| {
        (format!("feature {l}, E[c²] = {:.2}", moments[l]), Sign::Both(pen, mark))
    };
    let rest = key(area, &curves.iter().map(entry).collect::<Vec<_>>())?;
    let title = format!("Neuron {neuron}, SGD at N = {dimension}");
    let end = simulated.last().map_or(1.0, |(t, _)| *t);
    let x = Scale::linear("time t = steps / N", 0.0..end);
    let mut plot = Plot::new(&rest, &title, x, Scale::linear("|cosine similarity|", 0.0..1.02))?;
    let line = |l: usize| theory.iter().map(move |(t, state)| (t, cosines(state, neuron)[l]));
    for &l in others {
        plot.line(line(l), OTHERS)?;
    }
    for (l, pen, mark) in curves {
        plot.line(line(l), pen)?;
        let points = simulated.iter().step_by(2).map(|(t, state)| (*t, cosines(state, neuron)[l]));
        plot.marks(points, mark, pen.color, 3.2)?;
    }
    Ok(())
}
