//! How are the weights distributed, and what does L1 do to them that L2 does not? The density of weights over time, which order parameters
//! do not show.
//!
//! The limit is the McKean-Vlasov equation on a grid, beside it compressed SGD at dimension N. A second picture shows the weights at rest:
//! L1 makes them sparse while the cosine similarity stays.
//!
//!     cargo run --release [--features parallel] --example weight_density -- --help

mod support;

use std::ops::ControlFlow;

use clap::Parser;
use contrastive_dynamics::parallel::{Cancel, Executor, Local};
use contrastive_dynamics::pde::grid::GridSolver;
use contrastive_dynamics::pde::observables::Marginal;
use contrastive_dynamics::prelude::*;
use contrastive_dynamics::rand::SeedableRng;
use contrastive_dynamics::random::LaneRng;
use contrastive_dynamics::start::{FeatureLaw, LinearGaussianStart, Rows, Whitening};
use support::interrupt::{ended, flag};
use support::picture::{BLUE, GREY, Mark, Pen, Plot, RED, Scale, Sign, key, write};
use support::{Out, Outcome, progress, table};

/// How are the weights distributed, and what does L1 do to them that L2 does not? The density of weights over time, by the limit and by SGD,
/// and at rest.
#[derive(Debug, Parser)]
struct Arguments {
    /// The dimension N of the run of SGD.
    #[arg(long, default_value_t = 10_000)]
    dimension: usize,
    /// The seed of the run of SGD.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The times t = steps/N at which densities are compared.
    #[arg(long, value_delimiter = ',', default_values_t = [1.0, 5.0, 25.0])]
    times: Vec<f64>,
    /// The fraction of coordinates that have a part in the feature.
    #[arg(long, default_value_t = 0.1)]
    support: f64,
    /// The second moment of the hidden variable, of two points.
    #[arg(long, default_value_t = 1.5)]
    second_moment: f64,
    /// The learning rate.
    #[arg(long, default_value_t = 0.4)]
    learning_rate: f64,
    /// The weight decay at which densities are compared.
    #[arg(long, default_value_t = 0.3)]
    weight_decay: f64,
    /// The largest weight decay of the weights at rest.
    #[arg(long, default_value_t = 0.48)]
    most_decay: f64,
    /// How many weight decays there are up to it.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    decays: u32,
    /// The time at which weights count as at rest.
    #[arg(long, default_value_t = 150.0)]
    rest: f64,
    #[command(flatten)]
    out: Out,
}

/// Weights below this are counted in the table over time.
const SMALL: f64 = 0.05;
/// At rest, weights within this fraction of √R count as small.
const SMALL_PART: f64 = 0.1;
/// Densities below this are not shown.
const FLOOR: f64 = 1e-3;
/// Bars of a histogram.
const BARS: u32 = 90;

impl Arguments {
    fn model<G: Regularizer>(
        &self,
        regularizer: G,
        decay: f64,
    ) -> Result<Model<f64, Tanh, Independent, GaussianNoise, G>, ModelError> {
        Model::builder()
            .nonlinearity(Tanh)
            .hidden(Independent::new([Law::two_point(self.second_moment)?])?)
            .noise(GaussianNoise::correlated(0.3, -0.5)?)
            .learning_rate(self.learning_rate)
            .regularizer(regularizer)
            .weight_decay(decay)
            .build()
    }

    fn start(&self) -> Outcome<LinearGaussianStart> {
        let state = OrderParameters::from_rows(1, 1, &[0.4], &[1.0])?;
        Ok(LinearGaussianStart::new(FeatureLaw::sparse(self.support)?, &state)?)
    }
}

fn main() -> std::process::ExitCode {
    support::told(example())
}

fn example() -> Outcome {
    let arguments = Arguments::parse();
    let cancel = flag()?;
    println!(
        "tanh, one feature, one neuron, weight decay {}, SGD at N = {}\n",
        arguments.weight_decay, arguments.dimension
    );
    let bar = progress(2 * arguments.times.len(), "densities over time")?;
    let mut panels = over_time(&arguments, "L2", L2, || bar.inc(1))?;
    panels.extend(over_time(&arguments, "L1", L1, || bar.inc(1))?);
    bar.finish_and_clear();
    tell_over_time(&panels);
    draw_densities(&arguments, &panels)?;

    let curves = [at_rest(&arguments, "L2", L2, &cancel)?, at_rest(&arguments, "L1", L1, &cancel)?];
    if ended(&cancel) {
        return Ok(());
    }
    tell_at_rest(&curves);
    draw_sparsity(&arguments, &curves)
}

/// One regulariser at one time.
struct Panel {
    regularizer: &'static str,
    time: f64,
    /// Cosine similarity of SGD and of the limit.
    cosines: [f64; 2],
    sample: Marginal,
    limit: Marginal,
    /// The density of the limit over w.
    density: Vec<(f64, f64)>,
}

fn over_time<G: Regularizer>(
    arguments: &Arguments,
    name: &'static str,
    regularizer: G,
    done: impl Fn(),
) -> Outcome<Vec<Panel>> {
    let (model, law) = (arguments.model(regularizer, arguments.weight_decay)?, arguments.start()?);
    let mut solver = GridSolver::builder(&model).width(0.01).tolerance(1e-6).start(&law).build()?;
    let mut rng = LaneRng::seed_from_u64(arguments.seed);
    let rows = Rows::draw(&law, arguments.dimension, &Whitening::State(law.state().clone()), &mut rng)?;
    let features = Features::from_matrix(rows.features)?;
    let sgd = CompressedSgd::builder(&model, arguments.dimension).features(features).start(rows.weights);
    let mut sgd = sgd.build_seeded(arguments.seed + 1)?;
    let cosine = |state: &OrderParameters| state.cosine_similarity(0, 0).unwrap_or(f64::NAN);
    let mut panels = Vec::new();
    for &time in &arguments.times {
        sgd.run(time, &Output::Stop)?;
        solver.run(time, &Output::Stop)?;
        let density = solver.density();
        panels.push(Panel {
            regularizer: name,
            time,
            cosines: [cosine(&sgd.order_parameters()), cosine(density.order_parameters())],
            sample: Marginal::sample(sgd.weights().as_slice())?,
            limit: density.marginal()?,
            density: density.centres().into_iter().zip(density.density()).collect(),
        });
        done();
    }
    Ok(panels)
}

fn tell_over_time(panels: &[Panel]) {
    let small = |marginal: &Marginal| marginal.fraction_within(SMALL).unwrap_or(f64::NAN);
    let within = format!("|w| < {SMALL}: SGD");
    let mut rows = table(["", "t", "cosine: SGD", "limit", &within, "limit", "Wasserstein-1 distance"]);
    for Panel { regularizer, time, cosines, sample, limit, .. } in panels {
        let numbers = cosines.iter().copied().chain([small(sample), small(limit), limit.wasserstein(sample)]);
        let numbers = numbers.map(|number| format!("{number:.4}"));
        rows.add_row([(*regularizer).to_owned(), format!("{time}")].into_iter().chain(numbers));
    }
    println!("{rows}\n");
    let farthest = panels.iter().map(|panel| panel.limit.wasserstein(&panel.sample)).fold(0.0, f64::max);
    println!(
        "The weights of SGD are within {farthest:.4} of the limit in Wasserstein-1 distance, at all of these times."
    );
    if let (Some(l2), Some(l1)) = (panels.get(panels.len() / 2 - 1), panels.last()) {
        let verdict = if small(&l1.limit) > small(&l2.limit) { "L1 is the sparser" } else { "L1 is not the sparser" };
        println!(
            "At t = {} L1 has {:.1} % of the weights within {SMALL} of zero and L2 {:.1} %: {verdict}.\n",
            l1.time,
            100.0 * small(&l1.limit),
            100.0 * small(&l2.limit)
        );
    }
}

/// A regulariser, with (γ, cosine similarity, fraction of small weights) at rest.
struct Curve {
    name: &'static str,
    points: Vec<[f64; 3]>,
}

fn at_rest<G: Regularizer + Copy>(
    arguments: &Arguments,
    name: &'static str,
    regularizer: G,
    cancel: &Cancel,
) -> Outcome<Curve> {
    let (law, count) = (arguments.start()?, arguments.decays);
    let point = |k: u64| -> Outcome<[f64; 3]> {
        let decay = arguments.most_decay * (k + 1) as f64 / f64::from(count);
        let model = arguments.model(regularizer, decay)?;
        let mut solver = GridSolver::builder(&model).width(0.005).tolerance(1e-4).start(&law).build()?;
        solver.run(arguments.rest, &Output::Stop)?;
        let state = solver.order_parameters();
        let small = SMALL_PART * state.r()[(0, 0)].sqrt();
        let fraction = solver.density().marginal()?.fraction_within(small)?;
        Ok([decay, state.cosine_similarity(0, 0).unwrap_or(f64::NAN), fraction])
    };
    let bar = progress(count as usize, &format!("{name} at rest"))?;
    let mut points = Vec::new();
    let work = |k: u64| point(k).map_err(|error| error.to_string());
    Local::default().for_each(0..count.into(), cancel, &work, &mut |_, point| {
        points.push(point);
        bar.inc(1);
        ControlFlow::Continue(())
    });
    bar.finish_and_clear();
    Ok(Curve { name, points: points.into_iter().collect::<Result<_, String>>()? })
}

fn tell_at_rest([l2, l1]: &[Curve; 2]) {
    println!("At rest: the cosine similarity, and the fraction of weights with |w| < {SMALL_PART} sqrt(R)\n");
    let mut rows = table(["weight decay", "cosine: L2", "L1", "small: L2", "L1"]);
    for ([decay, cosine, small], [_, other_cosine, other_small]) in l2.points.iter().zip(&l1.points) {
        let numbers = [cosine, other_cosine, small, other_small].map(|number| format!("{number:.4}"));
        rows.add_row([format!("{decay:.2}")].into_iter().chain(numbers));
    }
    println!("{rows}\n");
    let sparser = l2.points.iter().zip(&l1.points).filter(|(l2, l1)| l1[2] > l2[2]).count();
    println!("L1 has more small weights than L2 at {sparser} of {} weight decays.", l1.points.len());
    for curve in [l2, l1] {
        let lowest = |k: usize| curve.points.iter().map(|point| point[k]).fold(f64::INFINITY, f64::min);
        let highest = |k: usize| curve.points.iter().map(|point| point[k]).fold(0.0, f64::max);
        println!(
            "Under {} the cosine similarity is between {:.4} and {:.4}, and {:.0} to {:.0} % of the weights are small.",
            curve.name,
            lowest(1),
            highest(1),
            100.0 * lowest(2),
            100.0 * highest(2)
        );
    }
}

/// The largest weight that is shown.
fn widest(panels: &[Panel]) -> f64 {
    let shown = panels.iter().flat_map(|panel| &panel.density).filter(|(_, density)| *density > FLOOR);
    (1.1 * shown.map(|(w, _)| w.abs()).fold(0.0, f64::max)).max(1e-3)
}

fn draw_densities(arguments: &Arguments, panels: &[Panel]) -> Outcome {
    let widest = widest(panels);
    let highest = panels.iter().flat_map(|panel| &panel.density).map(|(_, density)| *density).fold(1.0, f64::max);
    let edges: Vec<f64> = (0..=BARS).map(|k| widest * (2.0 * f64::from(k) / f64::from(BARS) - 1.0)).collect();
    let columns = arguments.times.len();
    write(&arguments.out, "weight_density", (330 * u32::try_from(columns)?.max(2), 600), |_, root| {
        let sgd = format!("SGD at N = {}", arguments.dimension);
        let rest = key(root, &[(sgd.as_str(), Sign::Area(GREY, 0.45)), ("limit", Sign::Line(Pen::new(BLUE)))])?;
        for (area, panel) in rest.split_evenly((2, columns)).iter().zip(panels) {
            let title = format!("{}, t = {}", panel.regularizer, panel.time);
            let (x, y) = (Scale::linear("weight w", -widest..widest), Scale::log("density", FLOOR..5.0 * highest));
            let mut plot = Plot::new(area, &title, x, y)?;
            let heights = panel.sample.histogram(&edges)?.densities();
            let bars = edges
                .windows(2)
                .zip(heights)
                .flat_map(|(pair, height)| [pair[0], pair[1]].map(|edge| (edge, FLOOR, height.max(FLOOR))));
            plot.band(bars, GREY, 0.45)?;
            let inside = |&(w, density): &(f64, f64)| if density > FLOOR { (w, density) } else { (f64::NAN, f64::NAN) };
            plot.line(panel.density.iter().filter(|(w, _)| w.abs() < widest).map(inside), Pen::new(BLUE))?;
        }
        Ok(())
    })
}

fn draw_sparsity(arguments: &Arguments, curves: &[Curve; 2]) -> Outcome {
    let signs = [(Pen::new(BLUE), Mark::Disk), (Pen::new(RED).dashed(&[8, 4]), Mark::Ring)];
    write(&arguments.out, "weight_sparsity", (900, 440), |_, root| {
        let entries = curves.iter().zip(signs).map(|(curve, (pen, mark))| (curve.name, Sign::Both(pen, mark)));
        let rest = key(root, &entries.collect::<Vec<_>>())?;
        let small = format!("fraction of weights with |w| < {SMALL_PART} √R");
        let panels = [("Weight and feature at rest", "cosine similarity, cos[0]"), ("Small weights at rest", &small)];
        for (k, (area, (title, label))) in rest.split_evenly((1, 2)).iter().zip(panels).enumerate() {
            let x = Scale::linear("weight decay γ", 0.0..1.04 * arguments.most_decay);
            let mut plot = Plot::new(area, title, x, Scale::linear(label, 0.0..1.04))?;
            for (curve, (pen, mark)) in curves.iter().zip(signs) {
                let points = || curve.points.iter().map(|point| (point[0], point[k + 1]));
                plot.line(points(), pen)?;
                plot.marks(points(), mark, pen.color, 3.6)?;
            }
        }
        Ok(())
    })
}
