//! The same data under five kinds of losses: which features two neurons learn, and what collapses.
//!
//! `cargo run --release --example losses` prints a table and writes the picture docs/losses.svg.
//!
//! Three features, the last of them weaker than the background; two neurons, tanh, batches of eight, from a start at which both
//! lean to the first feature. Lines are the limit, dots the mean of 32 runs of SGD at N = 2000. For each loss: the cosine
//! similarity of each neuron with each feature at the end, the cosine of the two neurons' weights, and what that amounts to. Without
//! a penalty both neurons learn the same feature. What keeps them apart is the penalty, or the repulsion of strangers. Without its
//! variance term VICReg has nothing that keeps weights from vanishing. The limit of InfoNCE and VICReg is an average over whole batches,
//! here to 1e-2; that of the others is exact in the batch size.

mod picture;

use std::error::Error;

use contrastive_dynamics::ensemble::{Ensemble, Statistics};
use contrastive_dynamics::integrate::{DormandPrince, Output};
use contrastive_dynamics::model::{
    BarlowTwins, CovarianceLoss, GaussianNoise, Independent, InfoNce, Law, Loss, Model, Quadratic, SpectralContrastive,
    Tanh, VicReg,
};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::sgd::ProjectedChain;
use contrastive_dynamics::state::OrderParameters;
use plotters::prelude::*;

/// Errors of the coefficients, where they are exact in the batch size and where they are averages over whole batches.
const EXACT: f64 = 1e-6;
const SAMPLED: f64 = 1e-2;

const FEATURES: usize = 3;
const NEURONS: usize = 2;
const MOMENTS: [f64; FEATURES] = [2.5, 2.0, 0.6];
const DIMENSION: usize = 2000;
const RUNS: u64 = 32;
const END: f64 = 30.0;
/// A cosine above this is a feature that is learned; a neuron below that norm has collapsed.
const LEARNED: f64 = 0.6;
const COLLAPSED: f64 = 0.02;

/// |cos| of neuron i with feature l at l·m + i, then the cosine of the neurons, then R_ii.
fn read(state: &OrderParameters) -> Vec<f64> {
    let similarity = |l: usize, i: usize| state.cosine_similarity(l, i).unwrap_or(0.0).abs();
    let mut numbers: Vec<f64> = (0..FEATURES).flat_map(|l| (0..NEURONS).map(move |i| similarity(l, i))).collect();
    let r = state.r();
    numbers.push(r[(0, 1)] / (r[(0, 0)] * r[(1, 1)]).sqrt());
    numbers.extend((0..NEURONS).map(|i| r[(i, i)]));
    numbers
}

/// What the numbers at the end amount to.
fn verdict(numbers: &[f64]) -> String {
    let learns = |i: usize| {
        if numbers[FEATURES * NEURONS + 1 + i] < COLLAPSED {
            return Err("nothing: collapsed");
        }
        (0..FEATURES).find(|l| numbers[l * NEURONS + i] > LEARNED).ok_or("a mixture")
    };
    match (learns(0), learns(1)) {
        (Ok(a), Ok(b)) if a == b => format!("both on feature {a}"),
        (Ok(a), Ok(b)) => format!("features {a} and {b}"),
        (a, b) => {
            let name = |x: Result<usize, &str>| x.map_or_else(str::to_owned, |l| format!("feature {l}"));
            format!("{}; {}", name(a), name(b))
        }
    }
}

/// Times and numbers.
type Rows = Vec<(f64, Vec<f64>)>;

/// The limit, and the mean of SGD.
struct Outcome {
    name: &'static str,
    limit: Rows,
    seen: Rows,
}

fn run<L: Loss>(name: &'static str, loss: L, rate: f64, error: f64) -> Result<Outcome, Box<dyn Error>> {
    let laws: Result<Vec<Law>, _> = MOMENTS.iter().map(|&moment| Law::two_point(moment)).collect();
    let model = Model::builder()
        .nonlinearity(Tanh)
        .hidden(Independent::new(laws?)?)
        .noise(GaussianNoise::correlated(0.3, 0.0)?)
        .learning_rate(rate)
        .weight_decay(0.3)
        .n_neurons(NEURONS)
        .batch_size(8)
        .loss(loss)
        .build()?;
    let start =
        OrderParameters::from_rows(FEATURES, NEURONS, &[0.25, 0.2, 0.05, 0.15, 0.05, 0.05], &[0.6, 0.0, 0.0, 0.6])?;
    let times = |count: u32| (0..=count).map(|k| END * f64::from(k) / f64::from(count)).collect::<Vec<f64>>();
    let ode = ReducedOde::new(&model)?.coefficient_tolerance(error)?;
    let solver = ode.solver().integrator(DormandPrince::new(1e-4, 1e-9)?).output(Output::Times(times(120)));
    let limit = solver.solve(&start, END)?;
    let builder = ProjectedChain::builder(&model, DIMENSION).start(&start);
    let runs =
        Ensemble::new(RUNS, 1).run_projected(&builder, END, &Output::Times(times(20)), |_, state| read(state))?;
    let count = FEATURES * NEURONS + 1 + NEURONS;
    let row = |k: usize| (0..count).map(|at| runs.at(k, at).map_or(f64::NAN, Statistics::mean)).collect();
    let seen = times(20).into_iter().enumerate().map(|(k, t)| (t, row(k))).collect();
    Ok(Outcome { name, limit: limit.iter().map(|(t, state)| (t, read(state))).collect(), seen })
}

fn main() -> Result<(), Box<dyn Error>> {
    println!(
        "cosine similarity of each neuron with each feature at t = {END}: the limit, and SGD at N = {DIMENSION}\n"
    );
    let heads: Vec<String> = (0..FEATURES).flat_map(|l| (0..NEURONS).map(move |i| format!("f{l} n{i}"))).collect();
    print!("{:<24}", "loss");
    for head in &heads {
        print!(" {head:>13}");
    }
    println!(" {:>13} {:>13}  learned", "neurons", "R_00");
    let all = [
        run("covariance, no penalty", CovarianceLoss::default(), 0.3, EXACT)?,
        run("covariance", CovarianceLoss::new(Quadratic, 2.0)?, 0.3, EXACT)?,
        run("Barlow Twins", BarlowTwins::new(1.0)?, 0.3, EXACT)?,
        run("spectral contrastive", SpectralContrastive, 0.15, EXACT)?,
        run("InfoNCE", InfoNce::new(0.3)?, 0.15, SAMPLED)?,
        run("VICReg", VicReg::new(1.0, 2.0, 2.0)?.target(0.6)?, 0.3, SAMPLED)?,
        run("VICReg, no variance", VicReg::new(1.0, 0.0, 2.0)?, 0.3, SAMPLED)?,
    ];
    for Outcome { name, limit, seen } in &all {
        let (limit, seen) = (&limit.last().ok_or("no end")?.1, &seen.last().ok_or("no end")?.1);
        print!("{name:<24}");
        for (x, y) in limit.iter().zip(seen).take(FEATURES * NEURONS + 2) {
            print!(" {:>13}", format!("{x:.3} {y:.3}"));
        }
        println!("  {}", verdict(limit));
    }
    draw(&all)
}

fn draw(all: &[Outcome]) -> Result<(), Box<dyn Error>> {
    picture::write("losses.svg", (1240, 640), |root| {
        let colors = [RGBColor(0, 90, 181), RGBColor(220, 50, 32), RGBColor(120, 120, 120)];
        for (area, outcome) in root.split_evenly((2, 4)).iter().zip(all) {
            let mut chart = ChartBuilder::on(area)
                .caption(outcome.name, ("sans-serif", 18))
                .margin(10)
                .x_label_area_size(38)
                .y_label_area_size(44)
                .build_cartesian_2d(0.0..END, 0.0..1.02)?;
            chart.configure_mesh().x_desc("t").y_desc("|cosine similarity|").light_line_style(WHITE).draw()?;
            for (l, color) in colors.into_iter().enumerate() {
                for i in 0..NEURONS {
                    let at = l * NEURONS + i;
                    let line = outcome.limit.iter().map(|(t, numbers)| (*t, numbers[at]));
                    let style = color.stroke_width(2);
                    if i == 0 {
                        chart
                            .draw_series(LineSeries::new(line, style))?
                            .label(format!("feature {l}"))
                            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], color.stroke_width(2)));
                    } else {
                        chart.draw_series(DashedLineSeries::new(line, 6, 4, style))?;
                    }
                    let dots = outcome.seen.iter().map(|(t, numbers)| (*t, numbers[at]));
                    if i == 0 {
                        chart.draw_series(dots.map(|at| Circle::new(at, 3, color.filled())))?;
                    } else {
                        chart.draw_series(dots.map(|at| Circle::new(at, 3, color.stroke_width(1))))?;
                    }
                }
            }
            if outcome.name.ends_with("penalty") {
                chart
                    .configure_series_labels()
                    .position(SeriesLabelPosition::MiddleRight)
                    .background_style(WHITE.mix(0.9))
                    .border_style(BLACK.mix(0.3))
                    .label_font(("sans-serif", 14))
                    .draw()?;
            }
        }
        Ok(())
    })
}
