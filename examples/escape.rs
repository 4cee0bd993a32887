//! How long does SGD take to leave an uninformative start, and how does that grow with the dimension?
//!
//! `cargo run --release --example escape` prints a table and writes the picture docs/escape.svg.
//!
//! One feature, one neuron. Runs of the projected chain at several N against the law of escape times: the solution of the reduced ODE from
//! Gaussian starts of variance v/N, the start's own and all noise of the steps pulled back to it.

mod interrupt;
mod picture;

use std::error::Error;

use contrastive_dynamics::fluctuation::{EscapeTimes, Fluctuations};
use contrastive_dynamics::nalgebra::DMatrix;
use contrastive_dynamics::parallel::Cancel;
use contrastive_dynamics::prelude::*;
use indicatif::{ProgressBar, ProgressStyle};
use plotters::prelude::*;

/// Dimensions, and how many runs of each.
const RUNS: [(usize, u64); 4] = [(1_000, 96), (10_000, 96), (100_000, 96), (1_000_000, 32)];

/// The cosine similarity at which a run has escaped.
const COSINE: f64 = 0.5;

fn event(state: &OrderParameters) -> f64 {
    state.cosine_similarity(0, 0).unwrap_or(0.0).abs() - COSINE
}

fn main() -> Result<(), Box<dyn Error>> {
    let cancel = interrupt::flag()?;
    let model = Model::builder()
        .nonlinearity(Tanh)
        .hidden(Independent::new([Law::two_point(3.0)?])?)
        .noise(GaussianNoise::correlated(0.3, -0.5)?)
        .learning_rate(1.0)
        .weight_decay(0.4)
        .batch_size(2)
        .build()?;
    let ode = ReducedOde::new(&model)?;
    let fluctuations = Fluctuations::new(&ode);
    let escape = fluctuations.escape(&DMatrix::identity(1, 1))?;
    println!(
        "one feature, tanh: small overlaps grow at mu = {:.4}; their variance is that of a start of {:.3}/N",
        escape.rate(),
        escape.start_covariance()[(0, 0)]
    );
    println!("time until the cosine similarity is {COSINE}: runs of the projected chain, and the law\n");
    println!(
        "{:>9} {:>5}  {:>9} {:>15}  {:>9} {:>9} {:>9}  {:>8}",
        "N", "runs", "law: mean", "seen", "10 %", "50 %", "90 %", "KS p"
    );
    let mut points = Vec::new();
    for (n, runs) in RUNS {
        if interrupt::ended(&cancel) {
            println!("interrupted: what is done is above");
            break;
        }
        let times = escape.times(n, 1e3, event)?;
        let seen = simulate(&model, (n, runs), times.quantile(1.0 - 1e-6) + 1.0, &cancel)?;
        if seen.is_empty() {
            break;
        }
        let count = seen.len() as f64;
        let mean = seen.iter().sum::<f64>() / count;
        let error = (seen.iter().map(|t| (t - mean).powi(2)).sum::<f64>() / (count * (count - 1.0))).sqrt();
        println!(
            "{n:>9} {:>5}  {:>9.3} {mean:>7.3} +- {error:>4.2}  {:>9.3} {:>9.3} {:>9.3}  {:>8.3}",
            seen.len(),
            times.mean(),
            times.quantile(0.1),
            times.quantile(0.5),
            times.quantile(0.9),
            kolmogorov(&seen, &times)
        );
        points.extend(seen.into_iter().map(|t| (n, t)));
    }
    let slope = 10_f64.ln() / (2.0 * escape.rate());
    println!("\na tenfold dimension takes ln 10/(2 mu) = {slope:.3} longer");
    let mut lines = Vec::new();
    for k in 0..=12 {
        let n = 10_f64.powf(3.0 + 0.5 * f64::from(k)).round();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // from a thousand to a billion
        let times = escape.times(n as usize, 1e3, event)?;
        lines.push((n, [times.quantile(0.05), times.quantile(0.5), times.quantile(0.95)]));
    }
    draw(&points, &lines)
}

/// Escape times of runs, 32 in lock-step; those that were done when the program was interrupted.
fn simulate<M>(model: &M, (n, runs): (usize, u64), end: f64, cancel: &Cancel) -> Result<Vec<f64>, Box<dyn Error>>
where
    M: Spec<Scalar = f64, Regularizer: LinearRegularizer<f64>>,
{
    // Drawn on a terminal only.
    let style = ProgressStyle::with_template("runs at N = {msg} {bar:40} {percent}%")?;
    let pieces = (end / 0.05).ceil();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // some hundreds
    let progress = ProgressBar::new(runs / 32 * pieces as u64).with_style(style).with_message(n.to_string());
    let mut seen = Vec::new();
    for block in 0..runs / 32 {
        let seeds: Vec<u64> = (0..32).map(|k| 1 + 32 * block + k).collect();
        let mut lanes = ProjectedChain::builder(model, n).lanes(&seeds)?;
        let mut before = vec![(0.0, -COSINE); seeds.len()];
        let mut escaped = vec![None; seeds.len()];
        while escaped.iter().any(Option::is_none) && lanes.time() < end {
            if interrupt::ended(cancel) {
                return Ok(seen);
            }
            let now = lanes.time() + 0.05;
            for (lane, run) in lanes.run(now, &Output::Stop)?.into_iter().enumerate() {
                let run = run?;
                let Some((t, state)) = run.last() else { continue };
                let value = event(state);
                let (then, earlier) = std::mem::replace(&mut before[lane], (t, value));
                if value >= 0.0 && escaped[lane].is_none() {
                    escaped[lane] = Some(then + (t - then) * earlier / (earlier - value));
                }
            }
            progress.inc(1);
        }
        seen.extend(escaped.into_iter().flatten());
    }
    progress.finish_and_clear();
    Ok(seen)
}

/// The probability of a larger Kolmogorov distance of so many times from their law, in the limit of many.
fn kolmogorov(seen: &[f64], times: &EscapeTimes) -> f64 {
    let mut sorted = seen.to_vec();
    sorted.sort_by(f64::total_cmp);
    let count = sorted.len() as f64;
    let gap = |(k, &t): (usize, &f64)| {
        let p = times.distribution(t);
        (p - k as f64 / count).abs().max((p - (k + 1) as f64 / count).abs())
    };
    let distance = sorted.iter().enumerate().map(gap).fold(0.0, f64::max) * count.sqrt();
    let terms = (1..=100).map(|k| {
        let k = f64::from(k);
        let sign = if k % 2.0 == 1.0 { 2.0 } else { -2.0 };
        sign * (-2.0 * (k * distance).powi(2)).exp()
    });
    terms.sum::<f64>().clamp(0.0, 1.0)
}

/// Runs as points, quantiles of the law as lines.
fn draw(points: &[(usize, f64)], lines: &[(f64, [f64; 3])]) -> Result<(), Box<dyn Error>> {
    let most = lines.iter().map(|(_, times)| times[2]).fold(0.0, f64::max);
    let blue = RGBColor(0, 90, 181);
    picture::write("escape.svg", (900, 520), |root| {
        let mut chart = ChartBuilder::on(root)
            .caption("Time to leave the uninformative start: SGD (points) and its law (lines)", ("sans-serif", 22))
            .margin(14)
            .x_label_area_size(44)
            .y_label_area_size(56)
            .build_cartesian_2d((700.0..1.4e9).log_scale(), 0.0..1.1 * most)?;
        chart
            .configure_mesh()
            .x_desc("dimension N")
            .y_desc("time t = steps / N until the cosine similarity is 0.5")
            .x_label_formatter(&|n: &f64| format!("1e{:.0}", n.log10()))
            .label_style(("sans-serif", 15))
            .axis_desc_style(("sans-serif", 17))
            .light_line_style(WHITE)
            .draw()?;
        let outline =
            lines.iter().map(|(n, times)| (*n, times[2])).chain(lines.iter().rev().map(|(n, times)| (*n, times[0])));
        chart
            .draw_series([Polygon::new(outline.collect::<Vec<_>>(), blue.mix(0.15).filled())])?
            .label("law: from 5 % to 95 %")
            .legend(move |(x, y)| Rectangle::new([(x, y - 6), (x + 24, y + 6)], blue.mix(0.15).filled()));
        chart
            .draw_series(LineSeries::new(lines.iter().map(|(n, times)| (*n, times[1])), blue.stroke_width(2)))?
            .label("law: median")
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], blue.stroke_width(2)));
        let dots = points.iter().enumerate().map(|(k, &(n, t))| {
            // Side by side, so that they can be told apart.
            let shift = 1.0 + 0.25 * ((k * 7 % 11) as f64 / 10.0 - 0.5);
            Circle::new((n as f64 * shift, t), 2, RGBColor(220, 50, 32).filled())
        });
        chart
            .draw_series(dots)?
            .label("runs of the projected chain")
            .legend(|(x, y)| Circle::new((x + 12, y), 2, RGBColor(220, 50, 32).filled()));
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.9))
            .border_style(BLACK.mix(0.3))
            .label_font(("sans-serif", 15))
            .draw()?;
        Ok(())
    })
}
