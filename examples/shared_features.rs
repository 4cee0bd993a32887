//! Two neurons share out thirty features: simulated and by the reduced ODE.
//!
//! `cargo run --release --example shared_features` prints tables and writes the picture docs/shared_features.svg. It takes less
//! than a minute.
//!
//! The penalty keeps the outputs of the neurons apart, so that each learns a feature of its own. Nodes of thirty two-point variables would
//! be 2³⁰; the limit takes nodes of the two sums that the neurons see. The projected chain and the ODE start from the same small overlaps
//! with every feature.

mod interrupt;
mod picture;

use std::error::Error;

use contrastive_dynamics::integrate::{DormandPrince, Output};
use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::sgd::{ProjectedChain, Simulator};
use contrastive_dynamics::state::{OrderParameters, Trajectory};
use plotters::prelude::*;

const FEATURES: usize = 30;
const DIMENSION: usize = 50_000;
/// E[c_l²] of the strongest feature, and the ratio of one to the next.
const STRONGEST: f64 = 2.5;
const RATIO: f64 = 0.97;
const END: f64 = 40.0;

fn strength(l: usize) -> f64 {
    STRONGEST * RATIO.powi(i32::try_from(l).unwrap_or(i32::MAX))
}

/// The cosine similarity of a neuron with every feature.
fn cosines(state: &OrderParameters, neuron: usize) -> Vec<f64> {
    (0..FEATURES).map(|l| state.cosine_similarity(l, neuron).unwrap_or(0.0).abs()).collect()
}

/// Features by how large a value ever is, the largest first.
fn ranked(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    order
}

fn main() -> Result<(), Box<dyn Error>> {
    let laws: Result<Vec<Law>, _> = (0..FEATURES).map(|l| Law::two_point(strength(l))).collect();
    let model = Model::builder()
        .nonlinearity(Tanh)
        .hidden(Independent::new(laws?)?)
        .noise(GaussianNoise::correlated(0.3, -0.5)?)
        .learning_rate(0.3)
        .weight_decay(0.5)
        .n_neurons(2)
        .penalty_strength(1.0)
        .build()?;
    println!("{FEATURES} two-point features, second moments {STRONGEST} to {:.3}; two neurons", strength(FEATURES - 1));

    let times: Vec<f64> = (0..=60).map(|k| END * f64::from(k) / 60.0).collect();
    // Small ones with all, and each neuron a little more with one of the two strongest.
    let overlap = |l: usize, i: usize| if l == i { 0.2 } else { 0.08 * (1.9 * (2 * l + i) as f64 + 0.3).cos() };
    let q: Vec<f64> = (0..2 * FEATURES).map(|k| overlap(k / 2, k % 2)).collect();
    let start = OrderParameters::from_rows(FEATURES, 2, &q, &[1.0, 0.0, 0.0, 1.0])?;
    let mut chain = ProjectedChain::builder(&model, DIMENSION).start(&start).build_seeded(5)?;
    let (mut simulated, cancel) = (Vec::new(), interrupt::flag()?);
    for &t in times.iter().take_while(|_| !cancel.is_cancelled()) {
        let reached = chain.run(t, &Output::Stop)?;
        simulated.extend(reached.last().map(|(t, state)| (t, state.clone())));
    }
    let ode = ReducedOde::new(&model)?.coefficient_tolerance(1e-5)?;
    let solver = ode.solver().integrator(DormandPrince::new(1e-5, 1e-7)?);
    let theory = solver.output(Output::Times(times)).solve(&start, END)?;

    println!("\nthe two largest overlaps of each neuron, simulated at N = {DIMENSION} and by the ODE");
    let mut worst: f64 = 0.0;
    for (k, (t, predicted)) in theory.iter().enumerate() {
        let Some((_, state)) = simulated.get(k) else { break };
        worst = worst.max((state.to_packed() - predicted.to_packed()).amax());
        if k % 10 == 0 {
            print!("t = {t:>4.1} ");
            for neuron in 0..2 {
                let seen = cosines(state, neuron);
                for &l in &ranked(&seen)[..2] {
                    print!("  [{l:>2}] {:.4} {:.4}", seen[l], cosines(predicted, neuron)[l]);
                }
                print!("{}", if neuron == 0 { "   |" } else { "\n" });
            }
        }
    }
    if interrupt::ended(&cancel) {
        return Ok(());
    }
    let root = (DIMENSION as f64).sqrt();
    println!("largest difference of an overlap or of R: {worst:.4} = {:.2} N^(-1/2)", worst * root);
    let (_, end) = theory.last().ok_or("no end")?;
    let similarity = end.r()[(0, 1)] / (end.r()[(0, 0)] * end.r()[(1, 1)]).sqrt();
    println!("cosine similarity of the neurons with each other at the end: {similarity:.4}");
    draw(&theory, &simulated)?;
    Ok(())
}

fn draw(theory: &Trajectory<f64>, simulated: &[(f64, OrderParameters)]) -> Result<(), Box<dyn Error>> {
    picture::write("shared_features.svg", (960, 420), |root| {
        let (left, right) = root.split_horizontally(480);
        for (neuron, area) in [left, right].iter().enumerate() {
            let most: Vec<f64> = (0..FEATURES)
                .map(|l| theory.iter().map(|(_, state)| cosines(state, neuron)[l]).fold(0.0, f64::max))
                .collect();
            let order = ranked(&most);
            let caption = format!("neuron {}: ODE (lines), SGD at N = 50 000 (dots)", neuron + 1);
            let mut chart = ChartBuilder::on(area)
                .caption(caption, ("sans-serif", 17))
                .margin(12)
                .x_label_area_size(40)
                .y_label_area_size(60)
                .build_cartesian_2d(0.0..END, 0.0..1.05)?;
            chart.configure_mesh().x_desc("t").y_desc("cosine similarity").light_line_style(WHITE).draw()?;
            // The grey ones first, so that they lie below.
            for (rank, &l) in order.iter().enumerate().rev() {
                let color = if rank < 4 { Palette99::pick(rank).to_rgba() } else { RGBColor(190, 190, 190).to_rgba() };
                let line = theory.iter().map(|(t, state)| (t, cosines(state, neuron)[l]));
                let width = if rank < 4 { 2 } else { 1 };
                let series = chart.draw_series(LineSeries::new(line, color.stroke_width(width)))?;
                if rank < 4 {
                    series
                        .label(format!("feature {l}, second moment {:.2}", strength(l)))
                        .legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], color.stroke_width(2)));
                    let dots = simulated.iter().step_by(2).map(|(t, state)| (*t, cosines(state, neuron)[l]));
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
        }
        Ok(())
    })
}
