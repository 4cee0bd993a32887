//! Multi-component ICA: how many of four components orthonormal neurons can hold, against the learning rate.
//!
//! `cargo run --release --example components` prints a table and writes the picture docs/components.svg.
//!
//! σ(h) = h²/2, no noise, four three-point features of unit variance, the sparser the more kurtotic, and four neurons that are
//! kept orthonormal after each step. Each neuron starts near a feature of its own, and the limit is solved for a long time. Gradient
//! noise grows as τ²: one component after the other is lost, the least kurtotic first, in a staircase. Neurons that hold
//! components of their own do not disturb one another, so the steps lie at the critical rates of single components,
//! τ_c = max 2 (m₄ − 3) Q² (1 − Q²)/E h⁶, by which they are checked. SGD at N = 4000 follows.

mod picture;

use std::error::Error;

use contrastive_dynamics::integrate::Output;
use contrastive_dynamics::model::{Constraint, Independent, Law, Model, NoNoise, Polynomial, Spec};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::sgd::{ProjectedChain, Simulator};
use contrastive_dynamics::stability::maximum;
use contrastive_dynamics::state::OrderParameters;
use plotters::prelude::*;

/// The probability that a variable is not zero; its fourth moment is one over it.
const ACTIVITIES: [f64; 4] = [0.1, 0.13, 0.16, 0.2];
const COUNT: usize = ACTIVITIES.len();
const DIMENSION: usize = 4000;
const HIGHEST: f64 = 0.14;
const RATES: u32 = 70;
/// An overlap above this is one that is held; below the fold there is none between zero and it.
const HELD: f64 = 0.3;
const START: f64 = 0.85;
const END: f64 = 2000.0;
const END_OF_SGD: f64 = 300.0;

fn model(rate: f64) -> Result<impl Spec<Scalar = f64, Regularizer = contrastive_dynamics::model::L2>, Box<dyn Error>> {
    let laws: Result<Vec<Law>, _> = ACTIVITIES.iter().map(|&q| Law::three_point(1.0, q)).collect();
    let builder = Model::builder().nonlinearity(Polynomial::new([0.0, 0.0, 0.5])?).hidden(Independent::new(laws?)?);
    let builder = builder.noise(NoNoise).learning_rate(rate).n_neurons(COUNT);
    Ok(builder.constraint(Constraint::Orthonormal).build()?)
}

/// |Q_ll| of every feature.
fn overlaps(state: &OrderParameters) -> [f64; COUNT] {
    std::array::from_fn(|l| state.q()[(l, l)].abs())
}

fn held(overlaps: &[f64; COUNT]) -> usize {
    overlaps.iter().filter(|&&q| q > HELD).count()
}

/// The critical rate of one component of that fourth and sixth moment, and the overlap at its fold.
fn critical([fourth, sixth]: [f64; 2]) -> Result<(f64, f64), Box<dyn Error>> {
    let rate = |q: f64| -> Result<f64, Box<dyn Error>> {
        let s = 1.0 - q * q;
        let power = sixth * q.powi(6) + 15.0 * fourth * q.powi(4) * s + 45.0 * q * q * s * s + 15.0 * s.powi(3);
        Ok(2.0 * (fourth - 3.0) * q * q * s / power)
    };
    let best = maximum(rate, (0.2, 0.9), 1e-9).map_err(|error| error.to_string())?;
    Ok((best.value, best.at))
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut steps = Vec::new();
    println!("four components, kurtosis 1/q - 3, and where one neuron alone loses each");
    for q in ACTIVITIES {
        let (rate, overlap) = critical([1.0 / q, 1.0 / (q * q)])?;
        println!("  q = {q:.2}: tau_c = {rate:.6} at Q = {overlap:.4}");
        steps.push(rate);
    }
    let diagonal = |x: f64, rest: f64| (0..COUNT * COUNT).map(move |k| if k % (COUNT + 1) == 0 { x } else { rest });
    let q: Vec<f64> = diagonal(START, 0.02).collect();
    let identity: Vec<f64> = diagonal(1.0, 0.0).collect();
    let start = OrderParameters::from_rows(COUNT, COUNT, &q, &identity)?;

    let mut rows = Vec::new();
    println!("\n{:>8} {:>5}  {:<32} {:>5}  {:<32}", "tau", "held", "overlaps in the limit", "SGD", "overlaps of SGD");
    let mut jumps = Vec::new();
    for k in 1..=RATES {
        let rate = HIGHEST * f64::from(k) / f64::from(RATES);
        let model = model(rate)?;
        let ode = ReducedOde::new(&model)?;
        let limit = ode.solver().solve(&start, END)?;
        let limit = overlaps(limit.last().ok_or("no end")?.1);
        let seen = if k % 5 == 0 {
            let mut chain = ProjectedChain::builder(&model, DIMENSION).start(&start).build_seeded(u64::from(k))?;
            let run = chain.run(END_OF_SGD, &Output::Stop)?;
            Some(overlaps(run.last().ok_or("no end")?.1))
        } else {
            None
        };
        if let Some(seen) = seen {
            let list = |x: [f64; COUNT]| x.map(|x| format!("{x:.4}")).join("  ");
            println!("{rate:>8.4} {:>5}  {:<32} {:>5}  {:<32}", held(&limit), list(limit), held(&seen), list(seen));
        }
        if let Some((before, last, _)) = rows.last().copied().filter(|(_, last, _)| held(last) > held(&limit)) {
            jumps.push((before, rate, held(&last) - held(&limit)));
        }
        rows.push((rate, limit, seen));
    }
    println!("\nlost between two rates, and the critical rate that lies there");
    for (low, high, lost) in jumps {
        let inside: Vec<String> =
            steps.iter().filter(|&&rate| low < rate && rate <= high).map(|rate| format!("{rate:.6}")).collect();
        println!("  {lost} between {low:.4} and {high:.4}: {}", inside.join(", "));
    }
    draw(&rows, &steps)
}

/// Rate, overlaps in the limit, and of SGD.
type Row = (f64, [f64; COUNT], Option<[f64; COUNT]>);

fn draw(rows: &[Row], steps: &[f64]) -> Result<(), Box<dyn Error>> {
    picture::write("components.svg", (900, 700), |root| {
        let (above, below) = root.split_vertically(330);
        let colors = [RGBColor(0, 90, 181), RGBColor(220, 50, 32), RGBColor(40, 140, 70), RGBColor(150, 90, 170)];
        let mut chart = ChartBuilder::on(&above)
            .caption("components held: the limit (line), SGD at N = 4000 (dots)", ("sans-serif", 19))
            .margin(12)
            .x_label_area_size(34)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..HIGHEST, -0.2..COUNT as f64 + 0.4)?;
        chart
            .configure_mesh()
            .y_labels(COUNT + 1)
            .y_desc("components")
            .y_label_formatter(&|y| format!("{y:.0}"))
            .light_line_style(WHITE)
            .draw()?;
        for (&rate, color) in steps.iter().zip(colors) {
            let line = [(rate, -0.2), (rate, COUNT as f64 + 0.4)];
            chart.draw_series(DashedLineSeries::new(line, 5, 4, color.mix(0.7).stroke_width(1)))?;
        }
        let mut corners: Vec<(f64, f64)> = Vec::new();
        for (rate, limit, _) in rows {
            let count = held(limit) as f64;
            if let Some(&(_, last)) = corners.last().filter(|(_, last)| *last != count) {
                corners.push((*rate, last));
            }
            corners.push((*rate, count));
        }
        chart.draw_series(LineSeries::new(corners, BLACK.stroke_width(2)))?;
        let dots = rows.iter().filter_map(|(rate, _, seen)| seen.map(|seen| (*rate, held(&seen) as f64)));
        chart.draw_series(dots.map(|at| Circle::new(at, 4, BLACK.filled())))?;

        let mut chart = ChartBuilder::on(&below)
            .caption(
                "overlap of each neuron with its feature, and where one alone loses it (dashed)",
                ("sans-serif", 19),
            )
            .margin(12)
            .x_label_area_size(42)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..HIGHEST, -0.03..1.03)?;
        chart.configure_mesh().x_desc("learning rate τ").y_desc("|Q|").light_line_style(WHITE).draw()?;
        for l in 0..COUNT {
            let color = colors[l];
            let dashed = [(steps[l], -0.03), (steps[l], 1.03)];
            chart.draw_series(DashedLineSeries::new(dashed, 5, 4, color.mix(0.7).stroke_width(1)))?;
            chart
                .draw_series(LineSeries::new(rows.iter().map(|row| (row.0, row.1[l])), color.stroke_width(2)))?
                .label(format!("q = {:.2}", ACTIVITIES[l]))
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], color.stroke_width(2)));
            let dots = rows.iter().filter_map(|row| row.2.map(|seen| (row.0, seen[l])));
            chart.draw_series(dots.map(|at| Circle::new(at, 4, color.filled())))?;
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
