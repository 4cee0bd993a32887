//! A hundred features of falling strength and one neuron: which of them can be learned, and which is.
//!
//! `cargo run --release --example many_features` prints tables and writes the picture docs/many_features.svg. It takes most of a
//! minute.
//!
//! Nodes of a hundred two-point variables would be 2¹⁰⁰; the limit takes them by the characteristic function of their sum. The
//! projected chain at N = 10⁵, from overlaps of the order of N^(−1/2) like those of random weights, follows the ODE from the same
//! start, but that its noise moves the escape a little. Which feature wins from there is settled by strength and by luck: over many random starts, the share of each feature.

mod interrupt;
mod picture;

use std::error::Error;

use contrastive_dynamics::integrate::Output;
use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Spec, Tanh};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::parallel::Cancel;
use contrastive_dynamics::sgd::{ProjectedChain, Simulator};
use contrastive_dynamics::stability::uninformative_points;
use contrastive_dynamics::start::Start;
use contrastive_dynamics::state::{OrderParameters, Trajectory};
use plotters::prelude::*;

const FEATURES: usize = 100;
const DIMENSION: usize = 100_000;
/// E[c_l²] of the strongest feature, and the ratio of one to the next.
const STRONGEST: f64 = 2.5;
const RATIO: f64 = 0.985;
const END: f64 = 40.0;
/// Random starts of the ODE.
const STARTS: u64 = 200;

fn strength(l: usize) -> f64 {
    STRONGEST * RATIO.powi(i32::try_from(l).unwrap_or(i32::MAX))
}

/// The cosine similarity of the weight with every feature.
fn cosines(state: &OrderParameters) -> Vec<f64> {
    (0..FEATURES).map(|l| state.cosine_similarity(l, 0).unwrap_or(0.0).abs()).collect()
}

fn largest(values: &[f64]) -> usize {
    (0..values.len()).fold(0, |best, l| if values[l] > values[best] { l } else { best })
}

fn main() -> Result<(), Box<dyn Error>> {
    let laws: Result<Vec<Law>, _> = (0..FEATURES).map(|l| Law::two_point(strength(l))).collect();
    let model = Model::builder()
        .nonlinearity(Tanh)
        .hidden(Independent::new(laws?)?)
        .noise(GaussianNoise::correlated(0.3, -0.5)?)
        .learning_rate(0.3)
        .weight_decay(0.5)
        .build()?;
    let ode = ReducedOde::new(&model)?;
    println!(
        "{FEATURES} two-point features, second moments {STRONGEST} to {:.3}; one neuron, tanh\n",
        strength(FEATURES - 1)
    );

    let uninformative = uninformative_points(&ode, 0.02, 20.0)?;
    let growth = &uninformative.first().ok_or("no uninformative state")?.growth_rates;
    let learnable = growth.iter().filter(|rate| **rate > 0.0).count();
    println!("learnable from a start without overlaps: {learnable}, those of second moment above {:.4}", {
        let weakest = growth.iter().rposition(|rate| *rate > 0.0).ok_or("nothing is learnable")?;
        strength(weakest)
    });

    let cancel = interrupt::flag()?;
    let (theory, simulated) = one_run(&model, &ode, &cancel)?;
    println!("\none run, N = {DIMENSION}: the four largest overlaps at some times, simulated and by the ODE");
    let mut worst: f64 = 0.0;
    for (k, (t, predicted)) in theory.iter().enumerate() {
        let Some((_, state)) = simulated.get(k) else { break };
        worst = worst.max((state.to_packed() - predicted.to_packed()).amax());
        if k % 20 == 0 {
            let seen = cosines(state);
            let mut order: Vec<usize> = (0..FEATURES).collect();
            order.sort_by(|&a, &b| seen[b].total_cmp(&seen[a]));
            print!("t = {t:>4.1} ");
            for l in &order[..4] {
                print!("  [{l:>2}] {:.4} {:.4}", seen[*l], cosines(predicted)[*l]);
            }
            println!();
        }
    }
    println!(
        "largest difference of an overlap or of R: {worst:.4} = {:.2} N^(-1/2)",
        worst * (DIMENSION as f64).sqrt()
    );

    let shares = shares(&model, &ode, &cancel)?;
    if interrupt::ended(&cancel) {
        return Ok(());
    }
    println!("\nwon from {STARTS} random starts (share; cosine similarity at the end above 0.9)");
    for (l, share) in shares.iter().enumerate().filter(|(_, share)| **share > 0.0) {
        print!("  [{l}] {share:.3}");
    }
    println!("\n  in all {:.3}", shares.iter().sum::<f64>());
    draw(growth, &theory, &simulated, &shares)?;
    Ok(())
}

type Run = (Trajectory<f64>, Vec<(f64, OrderParameters)>);

/// The projected chain from random weights, and the ODE from its start.
fn one_run<M>(model: &M, ode: &ReducedOde<'_>, cancel: &Cancel) -> Result<Run, Box<dyn Error>>
where
    M: Spec<Scalar = f64, Regularizer: contrastive_dynamics::model::LinearRegularizer<f64>>,
{
    let times: Vec<f64> = (0..=80).map(|k| END * f64::from(k) / 80.0).collect();
    let mut chain = ProjectedChain::builder(model, DIMENSION).start(Start::uninformative()).build_seeded(3)?;
    let start = chain.order_parameters();
    let mut simulated = Vec::new();
    for &t in times.iter().take_while(|_| !cancel.is_cancelled()) {
        let reached = chain.run(t, &Output::Stop)?;
        simulated.extend(reached.last().map(|(t, state)| (t, state.clone())));
    }
    let theory = ode.solver().output(Output::Times(times)).solve(&start, END)?;
    Ok((theory, simulated))
}

/// How often each feature wins.
fn shares<M>(model: &M, ode: &ReducedOde<'_>, cancel: &Cancel) -> Result<Vec<f64>, Box<dyn Error>>
where
    M: Spec<Scalar = f64, Regularizer: contrastive_dynamics::model::LinearRegularizer<f64>>,
{
    let mut wins = vec![0.0; FEATURES];
    for seed in (0..STARTS).take_while(|_| !cancel.is_cancelled()) {
        let chain = ProjectedChain::builder(model, DIMENSION).start(Start::uninformative()).build_seeded(seed)?;
        let end = ode.solver().output(Output::Stop).solve(&chain.order_parameters(), 4.0 * END)?;
        let seen = cosines(end.last().ok_or("no end")?.1);
        let winner = largest(&seen);
        if seen[winner] > 0.9 {
            wins[winner] += 1.0 / STARTS as f64;
        }
    }
    Ok(wins)
}

fn draw(
    growth: &[f64],
    theory: &Trajectory<f64>,
    simulated: &[(f64, OrderParameters)],
    shares: &[f64],
) -> Result<(), Box<dyn Error>> {
    picture::write("many_features.svg", (960, 760), |root| {
        let (above, below) = root.split_vertically(400);
        let (left, right) = below.split_horizontally(480);
        let (blue, red) = (RGBColor(0, 90, 181), RGBColor(220, 50, 32));
        // The features with the largest overlaps of the run.
        let most: Vec<f64> =
            (0..FEATURES).map(|l| theory.iter().map(|(_, state)| cosines(state)[l]).fold(0.0, f64::max)).collect();
        let mut order: Vec<usize> = (0..FEATURES).collect();
        order.sort_by(|&a, &b| most[b].total_cmp(&most[a]));

        let mut chart = ChartBuilder::on(&above)
            .caption("one run from random weights: ODE (lines) and SGD at N = 10⁵ (dots)", ("sans-serif", 19))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(60)
            .build_cartesian_2d(0.0..END, 0.0..1.05)?;
        chart.configure_mesh().x_desc("t").y_desc("cosine similarity").light_line_style(WHITE).draw()?;
        // The grey ones first, so that they lie below.
        for (rank, &l) in order.iter().enumerate().skip(8).chain(order.iter().enumerate().take(8)) {
            let color = if rank < 8 { Palette99::pick(rank).to_rgba() } else { RGBColor(190, 190, 190).to_rgba() };
            let line = theory.iter().map(|(t, state)| (t, cosines(state)[l]));
            let width = if rank < 8 { 2 } else { 1 };
            let series = chart.draw_series(LineSeries::new(line, color.stroke_width(width)))?;
            if rank < 8 {
                series
                    .label(format!("feature {l}, second moment {:.2}", strength(l)))
                    .legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], color.stroke_width(2)));
                let dots = simulated.iter().step_by(2).map(|(t, state)| (*t, cosines(state)[l]));
                chart.draw_series(dots.map(|at| Circle::new(at, 3, color.filled())))?;
            }
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::MiddleRight)
            .background_style(WHITE.mix(0.9))
            .border_style(BLACK.mix(0.3))
            .label_font(("sans-serif", 14))
            .draw()?;

        let weakest = strength(FEATURES - 1);
        let (low, high) = growth.iter().fold((0.0_f64, 0.0_f64), |(a, b), &x| (a.min(x), b.max(x)));
        let mut chart = ChartBuilder::on(&left)
            .caption("growth rate out of the uninformative state", ("sans-serif", 17))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(60)
            .build_cartesian_2d(0.9 * weakest..1.02 * STRONGEST, 1.1 * low..1.1 * high)?;
        chart
            .configure_mesh()
            .x_desc("second moment")
            .y_desc("μ")
            .y_label_formatter(&|y| format!("{:.2}", (y * 1e6).round() / 1e6 + 0.0))
            .light_line_style(WHITE)
            .draw()?;
        let zero = [(0.9 * weakest, 0.0), (1.02 * STRONGEST, 0.0)];
        chart.draw_series(DashedLineSeries::new(zero, 5, 4, BLACK.mix(0.7).stroke_width(1)))?;
        let points = growth.iter().enumerate().map(|(l, &rate)| {
            Circle::new((strength(l), rate), 3, if rate > 0.0 { blue.filled() } else { red.filled() })
        });
        chart.draw_series(points)?;

        let top = 1.15 * shares.iter().copied().fold(0.0, f64::max);
        let mut chart = ChartBuilder::on(&right)
            .caption("share of random starts that each feature wins", ("sans-serif", 17))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(60)
            .build_cartesian_2d(0.9 * weakest..1.02 * STRONGEST, 0.0..top)?;
        chart.configure_mesh().x_desc("second moment").y_desc("share").light_line_style(WHITE).draw()?;
        for (l, &share) in shares.iter().enumerate().filter(|(_, share)| **share > 0.0) {
            chart.draw_series([PathElement::new([(strength(l), 0.0), (strength(l), share)], blue.stroke_width(2))])?;
            chart.draw_series([Circle::new((strength(l), share), 3, blue.filled())])?;
        }
        Ok(())
    })
}
