//! Learning rates that change with time, and noise that does: what is learned, how fast, and how well in the end.
//!
//! `cargo run --release --example schedules` prints a table and writes the picture docs/schedules.svg.
//!
//! One feature, one neuron, tanh, on the sphere. What is left of 1 − cos² at a constant learning rate is the noise of the
//! gradient: small rates leave little and take long. A cosine, a power law and a staircase are fast at first and still end low; the
//! power law goes on as 1/t. A fourth curve keeps the rate and lets the noise of the views fade instead. Lines are the
//! limit, dots the mean of 32 runs of SGD at N = 4000.

mod picture;

use std::error::Error;

use contrastive_dynamics::ensemble::Ensemble;
use contrastive_dynamics::integrate::Output;
use contrastive_dynamics::model::{Constraint, GaussianNoise, Independent, Law, Model, Schedule, Schedules, Tanh};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::sgd::ProjectedChain;
use contrastive_dynamics::state::OrderParameters;
use plotters::prelude::*;

const END: f64 = 60.0;
const FAST: f64 = 1.0;
const SLOW: f64 = 0.1;
const DIMENSION: usize = 4000;
const RUNS: u64 = 32;

/// 1 − cos².
fn missing(state: &OrderParameters) -> f64 {
    1.0 - state.cosine_similarity(0, 0).unwrap_or(0.0).powi(2)
}

fn all() -> Result<Vec<(&'static str, Schedules)>, Box<dyn Error>> {
    let rate = |schedule: Schedule| Schedules::new().learning_rate(schedule);
    Ok(vec![
        ("constant, fast", rate(Schedule::constant(FAST)?)),
        ("constant, slow", rate(Schedule::constant(SLOW)?)),
        ("cosine with warm-up", rate(Schedule::cosine(FAST, 0.01, END - 5.0)?.warm_up(5.0)?)),
        ("staircase", rate(Schedule::steps(FAST, [(12.0, 0.3), (24.0, 0.1), (40.0, 0.03)])?)),
        ("power law", rate(Schedule::power_law(FAST, 8.0, 1.0)?)),
        ("noise that fades", rate(Schedule::constant(FAST)?).noise_variance(Schedule::exponential(0.3, 0.1)?)),
    ])
}

fn main() -> Result<(), Box<dyn Error>> {
    let model = Model::builder()
        .nonlinearity(Tanh)
        .hidden(Independent::new([Law::two_point(2.25)?])?)
        .noise(GaussianNoise::correlated(0.3, 0.0)?)
        .learning_rate(FAST)
        .constraint(Constraint::Sphere)
        .build()?;
    let ode = ReducedOde::new(&model)?;
    let start = OrderParameters::from_rows(1, 1, &[0.1], &[1.0])?;
    let times: Vec<f64> = (0..=240).map(|k| END * f64::from(k) / 240.0).collect();
    let shown: Vec<f64> = (1..=20).map(|k| END * f64::from(k) / 20.0).collect();
    println!("1 - cos^2 with the feature: the limit, and the mean of {RUNS} runs of SGD at N = {DIMENSION}\n");
    print!("{:<20}", "schedule");
    for t in [6.0, 15.0, 30.0, END] {
        print!("  {:>17}", format!("t = {t}"));
    }
    println!("  half learned at t");
    let mut curves = Vec::new();
    for (name, schedules) in all()? {
        let solver = ode.solver().schedules(&schedules).output(Output::Times(times.clone()));
        let limit = solver.solve(&start, END)?;
        let builder = ProjectedChain::builder(&model, DIMENSION).start(&start).schedules(&schedules);
        let output = Output::Times(shown.clone());
        let runs = Ensemble::new(RUNS, 1).run_projected(&builder, END, &output, |_, state| vec![missing(state)])?;
        let line: Vec<(f64, f64)> = limit.iter().map(|(t, state)| (t, missing(state))).collect();
        let dots: Result<Vec<(f64, f64)>, &str> =
            shown.iter().enumerate().map(|(k, &t)| Ok((t, runs.at(k, 0).ok_or("not recorded")?.mean()))).collect();
        let dots = dots?;
        print!("{name:<20}");
        for at in [6.0, 15.0, 30.0, END] {
            let value = |points: &[(f64, f64)]| points.iter().find(|(t, _)| (t - at).abs() < 1e-9).map(|point| point.1);
            let (limit, seen) = (value(&line).ok_or("no such time")?, value(&dots).ok_or("no such time")?);
            print!("  {limit:>8.5} {seen:>8.5}");
        }
        let half = line.iter().find(|(_, x)| *x < 0.5).map_or("never".to_owned(), |(t, _)| format!("{t:.2}"));
        println!("  {half:>10}");
        curves.push((name, line, dots));
    }
    draw(&curves)
}

type Curve = (&'static str, Vec<(f64, f64)>, Vec<(f64, f64)>);

fn draw(curves: &[Curve]) -> Result<(), Box<dyn Error>> {
    picture::write("schedules.svg", (920, 720), |root| {
        let (above, below) = root.split_vertically(440);
        let colors = [
            RGBColor(220, 50, 32),
            RGBColor(240, 150, 110),
            RGBColor(0, 90, 181),
            RGBColor(40, 140, 70),
            RGBColor(150, 90, 170),
            RGBColor(60, 60, 60),
        ];
        let mut chart = ChartBuilder::on(&above)
            .caption("what is missing of the feature: the limit (lines), SGD at N = 4000 (dots)", ("sans-serif", 19))
            .margin(12)
            .x_label_area_size(34)
            .y_label_area_size(64)
            .build_cartesian_2d(0.0..END, (0.005..1.2).log_scale())?;
        chart
            .configure_mesh()
            .y_desc("1 − cos²")
            .y_label_formatter(&|y| format!("{y}"))
            .light_line_style(WHITE)
            .draw()?;
        for ((name, line, dots), color) in curves.iter().zip(colors) {
            chart
                .draw_series(LineSeries::new(line.iter().copied(), color.stroke_width(2)))?
                .label(*name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], color.stroke_width(2)));
            chart.draw_series(dots.iter().map(|&at| Circle::new(at, 3, color.filled())))?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerLeft)
            .background_style(WHITE.mix(0.9))
            .border_style(BLACK.mix(0.3))
            .label_font(("sans-serif", 15))
            .draw()?;

        let rates = [
            Schedule::constant(FAST)?,
            Schedule::constant(SLOW)?,
            Schedule::cosine(FAST, 0.01, END - 5.0)?.warm_up(5.0)?,
            Schedule::steps(FAST, [(12.0, 0.3), (24.0, 0.1), (40.0, 0.03)])?,
            Schedule::power_law(FAST, 8.0, 1.0)?,
        ];
        let mut chart = ChartBuilder::on(&below)
            .caption("learning rates", ("sans-serif", 19))
            .margin(12)
            .x_label_area_size(42)
            .y_label_area_size(64)
            .build_cartesian_2d(0.0..END, 0.0..1.08 * FAST)?;
        chart.configure_mesh().x_desc("t").y_desc("τ").light_line_style(WHITE).draw()?;
        for (rate, color) in rates.iter().zip(colors) {
            let points = (0..=1200).map(|k| END * f64::from(k) / 1200.0).map(|t| (t, rate.at(t)));
            chart.draw_series(LineSeries::new(points, color.stroke_width(2)))?;
        }
        Ok(())
    })
}
