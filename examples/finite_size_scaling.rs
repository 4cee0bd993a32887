//! How far online SGD at dimension N is from its limit, for N from 10² to 10⁶.
//!
//!     cargo run --release --features parallel --example finite_size_scaling
//!
//! prints a table with the fitted exponents, which should be −1/2, and writes docs/finite_size_scaling.svg. The mean over
//! runs is closer by another order, below its standard error here. The projected chain has the law of SGD at every N, at a
//! cost per step that does not depend on it. Ctrl-C ends the program with the table of what is done by then. With the feature
//! `serde` and a folder as its argument the program saves there what is done, and goes on from it when it is started again:
//!
//!     cargo run --release --all-features --example finite_size_scaling -- .
//!

mod interrupt;
mod picture;

use std::error::Error;

use contrastive_dynamics::ensemble::Ensemble;
use contrastive_dynamics::integrate::Output;
use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Spec, Tanh};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::sgd::{ProjectedChain, Simulator};
use contrastive_dynamics::state::OrderParameters;
use plotters::prelude::*;

/// Dimension and number of runs: about 10⁷ steps each, and no fewer than 32 runs.
const SIZES: [(usize, u64); 5] = [(100, 60_000), (1000, 6000), (10_000, 600), (100_000, 64), (1_000_000, 32)];
const END: f64 = 1.0;

/// Deviations of Q and R at one size.
struct Row {
    dimension: f64,
    /// √(mean (Q − limit)²), and the same for R.
    spread: [f64; 2],
    /// |mean Q − limit| with its standard error.
    bias: (f64, f64),
}

fn main() -> Result<(), Box<dyn Error>> {
    let model = Model::builder()
        .nonlinearity(Tanh)
        .hidden(Independent::new([Law::two_point(2.25)?])?)
        .noise(GaussianNoise::correlated(0.3, -0.5)?)
        .learning_rate(0.3)
        .weight_decay(0.5)
        .build()?;
    let start = OrderParameters::from_rows(1, 1, &[0.4], &[0.8])?;
    let theory = ReducedOde::new(&model)?.solver().solve(&start, END)?;
    let limit = theory.last().ok_or("the ODE recorded nothing")?.1.to_packed();

    let cancel = interrupt::flag()?;

    println!("tanh, one feature, one neuron, t = {END}; deviations from the ODE over runs of SGD\n");
    println!("{:>8} {:>7}  {:>12} {:>12}  {:>22}", "N", "runs", "rms of Q", "rms of R", "|mean Q - limit|");
    let mut rows = Vec::new();
    for (dimension, runs) in SIZES {
        let ensemble = saved(Ensemble::new(runs, 1).cancelled_by(&cancel), dimension, &model);
        let answer = ensemble.run(
            |replicate| {
                let mut chain =
                    ProjectedChain::builder(&model, dimension).start(&start).build_seeded(replicate.seed)?;
                chain.run(END, &Output::Stop)
            },
            |_, state| {
                let deviation = state.to_packed() - &limit;
                vec![deviation[0], deviation[0].powi(2), deviation[1].powi(2)]
            },
        );
        let summary = match answer {
            Ok(summary) => summary,
            Err(part) if part.failures == 0 && part.summary.count() > 1 => *part.summary,
            Err(part) if part.failures == 0 => break,
            Err(failed) => return Err(failed.into()),
        };
        let runs = summary.count();
        let at = |value: usize| summary.at(0, value).ok_or("nothing was recorded");
        let row = Row {
            dimension: dimension as f64,
            spread: [at(1)?.mean().sqrt(), at(2)?.mean().sqrt()],
            bias: (at(0)?.mean().abs(), at(0)?.standard_error()),
        };
        println!(
            "{dimension:>8} {runs:>7}  {:>12.3e} {:>12.3e}  {:>10.1e} +- {:>7.1e}",
            row.spread[0], row.spread[1], row.bias.0, row.bias.1
        );
        rows.push(row);
    }
    if interrupt::ended(&cancel) {
        return Ok(());
    }
    let slopes = [0, 1].map(|k| slope(rows.iter().map(|row| (row.dimension, row.spread[k]))));
    println!("\nfitted exponents of the rms: Q {:.3}, R {:.3}; expected -0.5", slopes[0], slopes[1]);
    draw(&rows)?;
    Ok(())
}

/// Saved in the folder that the program was given, if it was.
#[cfg(feature = "serde")]
fn saved<M: Spec>(ensemble: Ensemble, dimension: usize, model: &M) -> Ensemble {
    use contrastive_dynamics::{model::fingerprint, save::File};
    let Some(folder) = std::env::args_os().nth(1) else { return ensemble };
    let file = File::new(std::path::Path::new(&folder).join(format!("finite_size_scaling-{dimension}.save")));
    ensemble.saved_in(file, 1000, fingerprint(model).count(dimension as u64))
}

#[cfg(not(feature = "serde"))]
fn saved<M: Spec>(ensemble: Ensemble, _dimension: usize, _model: &M) -> Ensemble {
    ensemble
}

/// The slope of a least-squares line through the logarithms.
fn slope(points: impl Iterator<Item = (f64, f64)>) -> f64 {
    let points: Vec<(f64, f64)> = points.map(|(x, y)| (x.ln(), y.ln())).collect();
    let n = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + x / n, b + y / n));
    let (top, bottom) = points.iter().fold((0.0, 0.0), |(a, b), p| (a + (p.0 - x) * (p.1 - y), b + (p.0 - x).powi(2)));
    top / bottom
}

fn draw(rows: &[Row]) -> Result<(), Box<dyn Error>> {
    picture::write("finite_size_scaling.svg", (760, 520), |root| {
        let mut chart = ChartBuilder::on(root)
            .caption("Deviation of online SGD from its limit", ("sans-serif", 22))
            .margin(14)
            .x_label_area_size(46)
            .y_label_area_size(70)
            .build_cartesian_2d((70.0..1.5e6_f64).log_scale(), (1e-4..0.3_f64).log_scale())?;
        chart
            .configure_mesh()
            .x_desc("dimension N")
            .y_desc("root mean square over runs, t = 1")
            .x_label_formatter(&|x| format!("{x:.0e}"))
            .y_label_formatter(&|y| format!("{y:.0e}"))
            .label_style(("sans-serif", 15))
            .axis_desc_style(("sans-serif", 17))
            .light_line_style(WHITE)
            .draw()?;
        let colors = [RGBColor(0, 90, 181), RGBColor(60, 60, 60)];
        for (k, (label, color)) in ["Q, overlap", "R, squared norm / N"].into_iter().zip(colors).enumerate() {
            let points = || rows.iter().map(move |row| (row.dimension, row.spread[k]));
            chart
                .draw_series(points().map(|point| Circle::new(point, 4, color.filled())))?
                .label(label)
                .legend(move |(x, y)| Circle::new((x + 12, y), 4, color.filled()));
            // N^(-1/2) through the point in the middle.
            if let Some((n, y)) = points().nth(rows.len() / 2) {
                let line = rows.iter().map(|row| (row.dimension, y * (n / row.dimension).sqrt()));
                chart
                    .draw_series(LineSeries::new(line, color.stroke_width(1)))?
                    .label("proportional to N^(-1/2)")
                    .legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], color.stroke_width(1)));
            }
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE.mix(0.9))
            .border_style(BLACK.mix(0.3))
            .label_font(("sans-serif", 15))
            .draw()?;
        Ok(())
    })
}
