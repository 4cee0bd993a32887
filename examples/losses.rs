//! Which features do two neurons learn under each kind of loss, and what collapses?
//!
//! Three features, the last of them weaker than the background; two neurons, tanh, batches of eight, from a start at which both
//! lean to feature 0. Lines are the limit, marks the mean of runs of SGD at finite N. For each loss: the cosine similarity of each
//! neuron with each feature at the end, the cosine of the two neurons' weights, and what that amounts to. Without a penalty both
//! neurons learn the same feature. What keeps them apart is the penalty, or the repulsion of strangers. Without its variance term
//! VICReg has nothing that keeps weights from vanishing. The limit of InfoNCE and VICReg is an average over whole batches, here to
//! 1e-2; that of the others is exact in the batch size.
//!
//!     cargo run --release --features parallel --example losses -- --help

mod support;

use std::ops::ControlFlow;

use clap::Parser;
use contrastive_dynamics::ensemble::{Replicate, Statistics};
use contrastive_dynamics::integrate::DormandPrince;
use contrastive_dynamics::prelude::*;
use support::picture::{Area, BLUE, GREY, INK, Mark, Pen, Plot, RED, Scale, Sign, key, write};
use support::{Out, Outcome, progress, table};

/// Which features do two neurons learn under each kind of loss, and what collapses? The limit and SGD under seven losses.
#[derive(Debug, Parser)]
struct Arguments {
    /// The dimension N of weights and features.
    #[arg(long, default_value_t = 2000)]
    dimension: usize,
    /// The number of runs of SGD.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..))]
    runs: u64,
    /// The seed of the runs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The end, in time t = steps/N.
    #[arg(long, default_value_t = 30.0)]
    end: f64,
    /// Samples in a batch.
    #[arg(long, default_value_t = 8)]
    batch: usize,
    /// Learning rates are multiplied by this.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// The error of coefficients that are averages over whole batches.
    #[arg(long, default_value_t = 1e-2)]
    error: f64,
    #[command(flatten)]
    out: Out,
}

const LOSSES: usize = 7;
const FEATURES: usize = 3;
const NEURONS: usize = 2;
const MOMENTS: [f64; FEATURES] = [2.5, 2.0, 0.6];
/// The error of coefficients that are exact in the batch size.
const EXACT: f64 = 1e-6;
/// Output times after the start: of the limit and of SGD.
const POINTS: [u32; 2] = [120, 20];
/// A cosine above this is a feature that is learned; a neuron below that norm has collapsed.
const LEARNED: f64 = 0.6;
const COLLAPSED: f64 = 0.02;

/// What is observed of a state.
#[derive(Debug, Clone, Copy)]
enum Number {
    /// |cos| of a neuron with a feature.
    Cosine { feature: usize, neuron: usize },
    /// The cosine of the two neurons' weights.
    Between,
    /// R of a neuron with itself.
    Norm { neuron: usize },
}

/// All that is observed, in the order of the table.
fn numbers() -> Vec<Number> {
    let cosines = (0..FEATURES).flat_map(|feature| (0..NEURONS).map(move |neuron| Number::Cosine { feature, neuron }));
    cosines.chain([Number::Between]).chain((0..NEURONS).map(|neuron| Number::Norm { neuron })).collect()
}

impl Number {
    fn of(self, state: &OrderParameters) -> f64 {
        let r = state.r();
        match self {
            Self::Cosine { feature, neuron } => state.cosine_similarity(feature, neuron).unwrap_or(0.0).abs(),
            Self::Between => r[(0, 1)] / (r[(0, 0)] * r[(1, 1)]).sqrt(),
            Self::Norm { neuron } => r[(neuron, neuron)],
        }
    }

    fn name(self) -> String {
        match self {
            Self::Cosine { feature, neuron } => format!("|cos| f{feature} n{neuron}"),
            Self::Between => "cos n0 n1".to_owned(),
            Self::Norm { neuron } => format!("R[{neuron},{neuron}]"),
        }
    }
}

/// What a neuron has learned.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Learned {
    Feature(usize),
    Mixture,
    Collapsed,
}

impl Learned {
    fn of(state: &OrderParameters, neuron: usize) -> Self {
        let learned = |&feature: &usize| Number::Cosine { feature, neuron }.of(state) > LEARNED;
        if state.r()[(neuron, neuron)] < COLLAPSED {
            return Self::Collapsed;
        }
        (0..FEATURES).find(learned).map_or(Self::Mixture, Self::Feature)
    }

    fn name(self) -> String {
        match self {
            Self::Feature(feature) => format!("feature {feature}"),
            Self::Mixture => "a mixture".to_owned(),
            Self::Collapsed => "nothing: collapsed".to_owned(),
        }
    }
}

/// One loss: the limit, and the mean of SGD at its times, by [`numbers`].
struct Trained {
    name: &'static str,
    limit: Trajectory,
    times: Vec<f64>,
    sgd: Vec<Vec<f64>>,
}

impl Trained {
    fn end(&self) -> Outcome<&OrderParameters> {
        Ok(self.limit.last().ok_or("no state of the limit")?.1)
    }

    /// What each neuron has learned at the end.
    fn learned(&self) -> Outcome<[Learned; NEURONS]> {
        let end = self.end()?;
        Ok(std::array::from_fn(|neuron| Learned::of(end, neuron)))
    }
}

fn main() -> std::process::ExitCode {
    support::told(example())
}

fn example() -> Outcome {
    let arguments = Arguments::parse();
    let bar = progress(LOSSES, "losses")?;
    let mut all = Vec::new();
    let work = |replicate: Replicate| train_by_number(&arguments, replicate.index);
    Ensemble::new(LOSSES as u64, 0).for_each(work, |_, trained| {
        bar.inc(1);
        all.push(trained);
        ControlFlow::Continue(())
    });
    bar.finish_and_clear();
    let all = all.into_iter().collect::<Result<Vec<_>, _>>()?;
    tell(&arguments, &all)?;
    draw(&arguments, &all)
}

/// One loss after the other, by its number.
fn train_by_number(arguments: &Arguments, number: u64) -> Result<Trained, Error> {
    let sampled = arguments.error;
    match number {
        0 => train(arguments, "covariance, no penalty", CovarianceLoss::default(), 0.3, EXACT),
        1 => train(arguments, "covariance", CovarianceLoss::new(Quadratic, 2.0)?, 0.3, EXACT),
        2 => train(arguments, "Barlow Twins", BarlowTwins::new(1.0)?, 0.3, EXACT),
        3 => train(arguments, "spectral contrastive", SpectralContrastive, 0.15, EXACT),
        4 => train(arguments, "InfoNCE", InfoNce::new(0.3)?, 0.15, sampled),
        5 => train(arguments, "VICReg", VicReg::new(1.0, 2.0, 2.0)?.target(0.6)?, 0.3, sampled),
        _ => train(arguments, "VICReg, no variance", VicReg::new(1.0, 0.0, 2.0)?, 0.3, sampled),
    }
}

/// Equal steps from 0 to the end.
fn times(end: f64, count: u32) -> Vec<f64> {
    (0..=count).map(|k| end * f64::from(k) / f64::from(count)).collect()
}

fn train<L: Loss>(arguments: &Arguments, name: &'static str, loss: L, rate: f64, error: f64) -> Result<Trained, Error> {
    let Arguments { dimension, runs, seed, end, batch, speed, .. } = *arguments;
    let laws: Result<Vec<Law>, _> = MOMENTS.iter().map(|&moment| Law::two_point(moment)).collect();
    let model = Model::builder()
        .nonlinearity(Tanh)
        .hidden(Independent::new(laws?)?)
        .noise(GaussianNoise::correlated(0.3, 0.0)?)
        .learning_rate(rate * speed)
        .weight_decay(0.3)
        .n_neurons(NEURONS)
        .batch_size(batch)
        .loss(loss)
        .build()?;
    let start =
        OrderParameters::from_rows(FEATURES, NEURONS, &[0.25, 0.2, 0.05, 0.15, 0.05, 0.05], &[0.6, 0.0, 0.0, 0.6])?;
    let [fine, coarse] = POINTS.map(|count| times(end, count));
    let ode = ReducedOde::new(&model)?.coefficient_tolerance(error)?;
    let solver = ode.solver().integrator(DormandPrince::new(1e-4, 1e-9)?).output(Output::Times(fine));
    let limit = solver.solve(&start, end)?;
    let builder = ProjectedChain::builder(&model, dimension).start(&start);
    let observed = numbers();
    let summary =
        Ensemble::new(runs, seed).run_projected(&builder, end, &Output::Times(coarse.clone()), |_, state| {
            observed.iter().map(|number| number.of(state)).collect()
        })?;
    let mean = |time: usize, value: usize| summary.at(time, value).map_or(f64::NAN, Statistics::mean);
    let sgd = (0..coarse.len()).map(|time| (0..observed.len()).map(|value| mean(time, value)).collect()).collect();
    Ok(Trained { name, limit, times: coarse, sgd })
}

/// Two tables, and what they amount to.
fn tell(arguments: &Arguments, all: &[Trained]) -> Outcome {
    let Arguments { dimension, runs, end, .. } = arguments;
    println!("Two neurons (n0, n1), three features (f0, f1, f2) of second moments {MOMENTS:?}, at t = {end}:");
    println!("|cosine similarity| of neurons with features, cosine of the neurons' weights, and R[0,0] = |w|²/N.");
    println!("Before the stroke the limit, after it the mean of {runs} runs of SGD at N = {dimension}.\n");
    // The second neuron's norm only tells whether it has collapsed.
    let shown = numbers().len() - 1;
    let heads = ["loss".to_owned()].into_iter().chain(numbers().into_iter().take(shown).map(Number::name));
    let mut rows = table(heads.chain(["n0 learns", "n1 learns"].map(str::to_owned)));
    for trained in all {
        let (end, sgd) = (trained.end()?, trained.sgd.last().ok_or("no state of SGD")?);
        let mut row = vec![trained.name.to_owned()];
        for (number, mean) in numbers().into_iter().zip(sgd).take(shown) {
            row.push(format!("{:.3} / {:.3}", tidy(number.of(end)), tidy(*mean)));
        }
        row.extend(trained.learned()?.map(Learned::name));
        rows.add_row(row);
    }
    println!("{rows}\n");
    conclude(all)
}

/// Without the sign of what is shown as zero.
fn tidy(x: f64) -> f64 {
    if x.abs() < 5e-4 { 0.0 } else { x }
}

fn conclude(all: &[Trained]) -> Outcome {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for trained in all {
        let what = match trained.learned()? {
            [Learned::Feature(a), Learned::Feature(b)] if a == b => "Both neurons learn the same feature",
            [Learned::Feature(_), Learned::Feature(_)] => "The neurons learn different features",
            [Learned::Collapsed, Learned::Collapsed] => "Both neurons collapse",
            [Learned::Collapsed, _] | [_, Learned::Collapsed] => "One neuron collapses",
            _ => "A neuron is left with a mixture of features",
        };
        match groups.iter_mut().find(|(known, _)| *known == what) {
            Some((_, names)) => names.push(trained.name),
            None => groups.push((what, vec![trained.name])),
        }
    }
    for (what, names) in groups {
        println!("{what} under: {}.", names.join("; "));
    }
    let apart = all.iter().map(farthest).fold(0.0, f64::max);
    println!("Of all these numbers at all times, SGD and the limit are at most {apart:.3} apart.");
    Ok(())
}

/// The largest distance between the limit and SGD, of any number at any time.
fn farthest(trained: &Trained) -> f64 {
    let every = (POINTS[0] / POINTS[1]) as usize;
    let mut most = 0.0;
    for (state, means) in trained.limit.states().iter().step_by(every).zip(&trained.sgd) {
        for (number, mean) in numbers().into_iter().zip(means) {
            most = f64::max(most, (number.of(state) - mean).abs());
        }
    }
    most
}

/// The pen of a neuron with a feature: colour by feature, solid or dashed by neuron.
fn pen(feature: usize, neuron: usize) -> Pen {
    let pen = Pen::new([BLUE, RED, GREY][feature]).width([2.0, 2.0, 1.4][feature]);
    if neuron == 0 { pen } else { pen.dashed(&[6, 4]) }
}

fn mark(neuron: usize) -> Mark {
    if neuron == 0 { Mark::Disk } else { Mark::Ring }
}

fn draw(arguments: &Arguments, all: &[Trained]) -> Outcome {
    let observed = numbers();
    let cosines = |number: Number| match number {
        Number::Cosine { feature, neuron } => Some((feature, neuron)),
        _ => None,
    };
    let mut entries: Vec<(String, Sign)> = Vec::new();
    for (feature, neuron) in observed.iter().copied().filter_map(cosines) {
        let label = format!("neuron {neuron} with feature {feature}");
        entries.push((label, Sign::Both(pen(feature, neuron), mark(neuron))));
    }
    entries.push(("lines: the limit".to_owned(), Sign::Line(Pen::new(INK))));
    let sgd = format!("marks: mean of {} runs of SGD at N = {}", arguments.runs, arguments.dimension);
    entries.push((sgd, Sign::Mark(Mark::Disk, INK)));
    write(&arguments.out, "losses", (1240, 700), |_, root| {
        let rest = key(root, &entries)?;
        let areas = rest.split_evenly((2, 4));
        for (area, trained) in areas.iter().zip(all) {
            let x = Scale::linear("time t = steps / N", 0.0..arguments.end);
            let y = Scale::linear("|cosine similarity|", 0.0..1.03).ticks(5);
            let mut plot = Plot::new(area, trained.name, x, y)?;
            for (value, number) in observed.iter().enumerate() {
                let Some((feature, neuron)) = cosines(*number) else { continue };
                let pen = pen(feature, neuron);
                plot.line(trained.limit.iter().map(|(t, state)| (t, number.of(state))), pen)?;
                let points = trained.times.iter().zip(&trained.sgd).map(|(&t, means)| (t, means[value]));
                plot.marks(points, mark(neuron), pen.color, 2.8)?;
            }
        }
        draw_norms(arguments, &areas[LOSSES], all)
    })
}

/// The norm of neuron 0 under all losses; where it collapses with the loss's name.
fn draw_norms(arguments: &Arguments, area: &Area<'_>, all: &[Trained]) -> Outcome {
    let number = Number::Norm { neuron: 0 };
    let least = all.iter().flat_map(|trained| trained.limit.states()).map(|state| number.of(state).log10());
    let least = least.fold(-1.0, f64::min).max(-12.0).floor();
    let x = Scale::linear("time t = steps / N", 0.0..arguments.end);
    let y = Scale::log("squared norm R[0, 0]", 10.0_f64.powf(least)..3.0);
    let mut plot = Plot::new(area, "norm of neuron 0, all losses", x, y)?;
    for trained in all {
        let line: Vec<(f64, f64)> = trained.limit.iter().map(|(t, state)| (t, number.of(state))).collect();
        plot.line(line.iter().copied(), Pen::new(INK).width(1.4))?;
        if let Some(&at) =
            line.get(line.len() / 2).filter(|_| trained.learned().is_ok_and(|x| x[0] == Learned::Collapsed))
        {
            plot.text(at, trained.name, INK)?;
        }
    }
    Ok(())
}
