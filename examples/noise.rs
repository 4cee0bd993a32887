//! The third finding of the letter: what noise between the views does to what is learned, where it acts and how it is
//! correlated.
//!
//! `cargo run --release --example noise` prints tables and writes the picture docs/noise.svg.
//!
//! One feature, one neuron, tanh. The steady cosine similarity of weight and feature, the variance of the gradient there
//! (tr Λ) and the growth rate μ of the feature out of the uninformative state, against the variance σ² of the noise, for
//! correlations ρ between the views: noise everywhere (isotropic), and noise in the background alone.
//!
//! Isotropic noise lowers the similarity, and negative correlation recovers a part; in the background alone it beats no
//! noise at all. At one and the same state, if the outputs are nearly linear in the weights, tr Λ is smaller the more negative ρ is. At the
//! state where each comes to rest that holds for noise in the background alone; with isotropic noise it is larger: the similarity is
//! recovered by the drift.

mod picture;

use std::error::Error;

use contrastive_dynamics::limit::Limit;
use contrastive_dynamics::model::{GaussianNoise, Identity, Independent, Law, Model, ModelError, Nonlinearity, Tanh};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::stability::{OptimumError, maximum, steady_state, uninformative_points};
use contrastive_dynamics::state::OrderParameters;
use plotters::coord::Shift;
use plotters::prelude::*;

const LEARNING_RATE: f64 = 1.0;
const WEIGHT_DECAY: f64 = 0.5;
const MOST_NOISE: f64 = 1.0;
const CORRELATIONS: [f64; 5] = [-1.0, -0.5, 0.0, 0.5, 1.0];

#[derive(Clone, Copy)]
enum Place {
    Everywhere,
    Background,
}

/// Steady cosine similarity, tr Λ, and μ.
type Outcome = [f64; 3];

fn noise(place: Place, variance: f64, correlation: f64) -> Result<GaussianNoise, ModelError> {
    match place {
        Place::Everywhere => GaussianNoise::correlated(variance, correlation),
        Place::Background => GaussianNoise::semantic_preserving(variance, correlation),
    }
}

/// tr Λ/(τ²R) at Q = 0.
fn without_overlap(sigma: impl Nonlinearity, r: f64, variance: f64, correlation: f64) -> Result<f64, Box<dyn Error>> {
    let model = Model::builder()
        .nonlinearity(sigma)
        .hidden(Independent::new([Law::two_point(2.25)?])?)
        .noise(noise(Place::Everywhere, variance, correlation)?)
        .learning_rate(LEARNING_RATE)
        .build()?;
    let state = OrderParameters::from_rows(1, 1, &[0.0], &[r])?;
    let lambda = Limit::new(&model)?.coefficients(&state)?.coefficients.lambda;
    Ok(lambda.trace() / (LEARNING_RATE.powi(2) * r))
}

/// At one state: what independent noise does to the variance of the gradient, and negative correlation.
fn compare_at_one_state() -> Result<(), Box<dyn Error>> {
    println!(
        "variance of the gradient at one state of Q = 0, in units of tau^2 R, for isotropic noise of variance 0.3"
    );
    println!("{:>16} {:>10} {:>10} {:>10} {:>10}", "", "no noise", "rho = 0", "rho = -0.5", "rho = -1");
    let row = |name: &str, at: &dyn Fn(f64, f64) -> Result<f64, Box<dyn Error>>| -> Result<(), Box<dyn Error>> {
        let values = [at(0.0, 0.0)?, at(0.3, 0.0)?, at(0.3, -0.5)?, at(0.3, -1.0)?];
        println!("{name:>16} {:>10.4} {:>10.4} {:>10.4} {:>10.4}", values[0], values[1], values[2], values[3]);
        Ok(())
    };
    row("identity, any R", &|variance, correlation| without_overlap(Identity, 1.0, variance, correlation))?;
    row("tanh, R = 0.05", &|variance, correlation| without_overlap(Tanh, 0.05, variance, correlation))?;
    row("tanh, R = 1", &|variance, correlation| without_overlap(Tanh, 1.0, variance, correlation))?;
    println!(
        "Noise makes the gradient more variable. Negative correlation between the views takes a part of that back while the outputs \
         are nearly linear in the weights, not where tanh saturates.\n"
    );
    Ok(())
}

fn outcome(place: Place, variance: f64, correlation: f64) -> Result<Outcome, Box<dyn Error>> {
    let noise = noise(place, variance, correlation)?;
    let model = Model::builder()
        .nonlinearity(Tanh)
        .hidden(Independent::new([Law::two_point(2.25)?])?)
        .noise(noise)
        .learning_rate(LEARNING_RATE)
        .weight_decay(WEIGHT_DECAY)
        .build()?;
    let ode = ReducedOde::new(&model)?;
    let start = OrderParameters::from_rows(1, 1, &[0.8], &[1.0])?;
    let steady = steady_state(&ode, &start, 1e5)?;
    let cosine = steady.state.cosine_similarity(0, 0).ok_or("the weights vanish")?.abs();
    let uninformative = uninformative_points(&ode, 0.02, 20.0)?;
    let growth = uninformative.first().ok_or("no uninformative state")?.growth_rates[0];
    Ok([cosine, steady.gradient_variance, growth])
}

/// For each correlation, outcomes over the variances.
type Curves = Vec<(f64, Vec<(f64, Outcome)>)>;

fn main() -> Result<(), Box<dyn Error>> {
    println!("tanh, one feature, one neuron, tau = {LEARNING_RATE}, gamma = {WEIGHT_DECAY}, eta = 1");
    compare_at_one_state()?;
    println!("at the state where each comes to rest, and the growth rate mu out of the uninformative state");
    let clean = outcome(Place::Everywhere, 0.0, 0.0)?;
    println!("without noise: cosine {:.5}, tr Lambda {:.5}, mu {:.5}\n", clean[0], clean[1], clean[2]);
    let mut panels = Vec::new();
    for (place, name) in [(Place::Everywhere, "isotropic noise"), (Place::Background, "noise in the background alone")]
    {
        let mut curves: Curves = Vec::new();
        println!("{name}\n{:>6} {:>9}  {:>9} {:>10} {:>9}", "rho", "variance", "cosine", "tr Lambda", "mu");
        for correlation in CORRELATIONS {
            let mut rows = Vec::new();
            for k in 0..=40 {
                let variance = MOST_NOISE * f64::from(k) / 40.0;
                let [cosine, gradient, growth] = outcome(place, variance, correlation)?;
                if k % 10 == 0 {
                    println!("{correlation:>6.2} {variance:>9.2}  {cosine:>9.5} {gradient:>10.5} {growth:>9.5}");
                }
                rows.push((variance, [cosine, gradient, growth]));
            }
            curves.push((correlation, rows));
        }
        println!("\nthe correlation with the largest cosine");
        for variance in [0.3, 1.0] {
            let best = maximum(|rho| outcome(place, variance, rho).map(|found| found[0]), (-1.0, 0.5), 1e-3);
            print!("  variance {variance}: ");
            describe(best)?;
        }
        println!("the variance with the largest cosine at rho = -0.5");
        let best = maximum(|variance| outcome(place, variance, -0.5).map(|found| found[0]), (0.0, 1.0), 1e-3);
        print!("  ");
        describe(best)?;
        println!();
        panels.push((name, curves));
    }
    println!(
        "For the choice of augmentations: noise that leaves the features alone, and is negatively correlated between the views, is better \
         than none. Noise that hits the features too costs similarity; negative correlation wins a part of it back, by the drift, while \
         the gradient is more variable where it comes to rest.\n"
    );
    draw(&panels, clean)?;
    Ok(())
}

type Best = Result<contrastive_dynamics::stability::Maximum, OptimumError<Box<dyn Error>>>;

fn describe(best: Best) -> Result<(), Box<dyn Error>> {
    match best {
        Ok(best) => {
            println!("{:.3} in ({:.4}, {:.4}), cosine {:.5}", best.at, best.bracket.0, best.bracket.1, best.value);
        }
        Err(OptimumError::AtEnd { end, at, value }) => {
            println!("{at}, the {end} end of the range, cosine {value:.5}");
        }
        Err(OptimumError::NotUnimodal { .. }) => println!("none: nothing is learned over a part of the range"),
        Err(error) => return Err(error.to_string().into()),
    }
    Ok(())
}

fn draw(panels: &[(&str, Curves)], clean: Outcome) -> Result<(), Box<dyn Error>> {
    picture::write("noise.svg", (900, 980), |root| {
        let labels = ["steady cosine similarity", "gradient variance tr Λ", "growth rate μ"];
        let areas = root.split_evenly((3, 2));
        for (k, area) in areas.iter().enumerate() {
            let (quantity, (name, curves)) = (k / 2, &panels[k % 2]);
            let values = curves.iter().flat_map(|(_, rows)| rows.iter().map(|row| row.1[quantity]));
            let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
            let room = 0.06 * (high - low);
            let title = if quantity == 0 { name } else { "" };
            panel(area, (title, labels[quantity]), (low - room)..(high + room), (curves, quantity), clean[quantity])?;
        }
        Ok(())
    })
}

fn panel(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    (title, label): (&str, &str),
    range: std::ops::Range<f64>,
    (curves, quantity): (&Curves, usize),
    clean: f64,
) -> Result<(), Box<dyn Error>> {
    let decimals = if range.end - range.start < 0.1 { 3 } else { 2 };
    let legend = range.start < -0.04 && !title.is_empty();
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 21))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(66)
        .build_cartesian_2d(0.0..MOST_NOISE, range)?;
    chart
        .configure_mesh()
        .x_desc("noise variance")
        .y_desc(label)
        // Adding zero turns a rounded −0 into 0.
        .y_label_formatter(&|y| format!("{:.decimals$}", (y * 1e6).round() / 1e6 + 0.0))
        .label_style(("sans-serif", 14))
        .axis_desc_style(("sans-serif", 16))
        .light_line_style(WHITE)
        .draw()?;
    let line = [(0.0, clean), (MOST_NOISE, clean)];
    chart
        .draw_series(DashedLineSeries::new(line, 5, 4, BLACK.mix(0.7).stroke_width(1)))?
        .label("no noise")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 24, y)], BLACK.mix(0.5).stroke_width(1)));
    let colors = [
        RGBColor(0, 90, 181),
        RGBColor(90, 160, 220),
        RGBColor(60, 60, 60),
        RGBColor(240, 150, 110),
        RGBColor(220, 50, 32),
    ];
    for ((correlation, rows), color) in curves.iter().zip(colors) {
        let points = rows.iter().map(|(variance, outcome)| (*variance, outcome[quantity]));
        chart
            .draw_series(LineSeries::new(points, color.stroke_width(2)))?
            .label(format!("ρ = {correlation}"))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], color.stroke_width(2)));
    }
    if legend {
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerLeft)
            .background_style(WHITE.mix(0.9))
            .border_style(BLACK.mix(0.3))
            .label_font(("sans-serif", 14))
            .draw()?;
    }
    Ok(())
}
