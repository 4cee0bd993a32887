//! The main job: one model, simulated by online SGD at N = 2000 and predicted by its reduced ODE, side by side, with the error bars that
//! belong to that N, and whether the deviation of the run is chance.
//!
//! `cargo run --release --example quickstart` prints a table and writes the picture docs/quickstart.svg.
//!
//! Two features with the same second moment and different fourth moments compete for one neuron.

mod picture;

use std::error::Error;

use contrastive_dynamics::fluctuation::{FluctuationPath, Fluctuations};
use contrastive_dynamics::integrate::Output;
use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::sgd::{DirectSgd, Simulator};
use contrastive_dynamics::state::OrderParameters;
use indicatif::{ProgressBar, ProgressStyle};
use plotters::prelude::*;

const DIMENSION: usize = 2000;
const END: f64 = 16.0;

fn main() -> Result<(), Box<dyn Error>> {
    let model = Model::builder()
        .nonlinearity(Tanh)
        .hidden(Independent::new([Law::two_point(2.25)?, Law::three_point(2.25, 0.5)?])?)
        .noise(GaussianNoise::correlated(0.3, -0.5)?)
        .learning_rate(0.3)
        .weight_decay(0.5)
        .build()?;
    let start = OrderParameters::from_rows(2, 1, &[0.35, 0.2], &[1.0])?;

    let times: Vec<f64> = (0..=64).map(|k| 0.25 * f64::from(k)).collect();
    let ode = ReducedOde::new(&model)?;
    let fluctuations = Fluctuations::new(&ode);
    let path = fluctuations.solver().corrections(true).output(Output::Times(times.clone())).solve(&start, END)?;
    let theory = path.trajectory();

    let mut sgd = DirectSgd::builder(&model, DIMENSION).start(&start).build_seeded(7)?;
    // Drawn on a terminal only.
    let progress = ProgressBar::new(times.len() as u64)
        .with_style(ProgressStyle::with_template("SGD at N = 2000 {bar:40} {percent}%")?);
    let (mut simulated, mut states) = (Vec::new(), Vec::new());
    for &t in &times {
        let reached = sgd.run(t, &Output::Stop)?;
        if let Some((t, state)) = reached.last() {
            simulated.push(t);
            states.push(state.clone());
        }
        progress.inc(1);
    }
    progress.finish_and_clear();

    println!(
        "two features, one neuron, tanh; N = {DIMENSION}, t = steps/N; Q overlap, R squared norm, cos = Q/sqrt(R)"
    );
    println!("s: simulated, p: predicted by the ODE; diff: largest difference of Q1, Q2, R in the row\n");
    println!(
        "{:>5}  {:>8} {:>8}  {:>8} {:>8}  {:>8} {:>8}  {:>8} {:>8}  {:>8} {:>8}  {:>8}",
        "t", "Q1 s", "Q1 p", "Q2 s", "Q2 p", "R s", "R p", "cos1 s", "cos1 p", "cos2 s", "cos2 p", "diff"
    );
    let mut worst: f64 = 0.0;
    for (k, (t, limit)) in theory.iter().enumerate() {
        let state = &states[k];
        let difference = (state.to_packed() - limit.to_packed()).amax();
        worst = worst.max(difference);
        if k % 8 != 0 {
            continue;
        }
        print!("{t:>5.1}");
        for (s, p) in state.to_packed().iter().zip(limit.to_packed().iter()) {
            print!("  {s:>8.4} {p:>8.4}");
        }
        for feature in 0..2 {
            let cosine = |state: &OrderParameters| state.cosine_similarity(feature, 0).unwrap_or(f64::NAN);
            print!("  {:>8.4} {:>8.4}", cosine(state), cosine(limit));
        }
        println!("  {difference:>8.4}");
    }
    let expected = 1.0 / (DIMENSION as f64).sqrt();
    println!("\nlargest difference {worst:.4}, in units of N^(-1/2): {:.2}", worst / expected);
    for (entry, name) in ["Q1", "Q2", "R"].into_iter().enumerate() {
        let band = path.band(DIMENSION, |state| state.to_packed()[entry])?;
        if let (Some(end), Some(state)) = (band.last(), states.last()) {
            let off = (state.to_packed()[entry] - end.mean) / end.standard_deviation;
            println!(
                "{name} at t = {END}: predicted {:.4} +- {:.4}, the run is {off:+.1} standard deviations off",
                end.mean, end.standard_deviation
            );
        }
    }
    let comparison = path.compare_states(DIMENSION, &simulated, &states)?;
    println!("the whole run against the limit and its fluctuations: {comparison}");

    draw(&simulated, &states, &path)?;
    Ok(())
}

/// Simulation as points, theory as lines, two standard deviations around them shaded.
fn draw(times: &[f64], states: &[OrderParameters], path: &FluctuationPath) -> Result<(), Box<dyn Error>> {
    picture::write("quickstart.svg", (900, 520), |root| {
        let mut chart = ChartBuilder::on(root)
            .caption(
                "Online SGD at N = 2000 (points), its limit (lines) and two standard deviations (bands)",
                ("sans-serif", 22),
            )
            .margin(14)
            .x_label_area_size(44)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..END, -0.1..1.15)?;
        chart
            .configure_mesh()
            .x_desc("time t = steps / N")
            .y_desc("order parameter")
            .label_style(("sans-serif", 15))
            .axis_desc_style(("sans-serif", 17))
            .light_line_style(WHITE)
            .draw()?;
        let labels = ["Q1: overlap, kurtosis 1", "Q2: overlap, kurtosis 2", "R: squared norm / N"];
        let colors = [RGBColor(0, 90, 181), RGBColor(220, 50, 32), RGBColor(60, 60, 60)];
        for (entry, (label, color)) in labels.into_iter().zip(colors).enumerate() {
            let band = path.band(DIMENSION, |state| state.to_packed()[entry])?;
            let edge = |side: f64| band.iter().map(move |at| (at.time, at.mean + side * at.standard_deviation));
            let outline: Vec<(f64, f64)> = edge(2.0).chain(edge(-2.0).rev()).collect();
            chart.draw_series([Polygon::new(outline, color.mix(0.2).filled())])?;
            let line = path.trajectory().iter().map(|(t, state)| (t, state.to_packed()[entry]));
            chart
                .draw_series(LineSeries::new(line, color.stroke_width(2)))?
                .label(label)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], color.stroke_width(2)));
            let points = times.iter().zip(states).map(|(&t, state)| (t, state.to_packed()[entry]));
            chart.draw_series(points.map(|point| Circle::new(point, 3, color.filled())))?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::MiddleRight)
            .background_style(WHITE.mix(0.9))
            .border_style(BLACK.mix(0.3))
            .label_font(("sans-serif", 15))
            .draw()?;
        Ok(())
    })
}
