//! The weights themselves, which order parameters do not show: the density of weights over time under L2 and L1 (line: the
//! McKean-Vlasov equation on a grid; bars: compressed SGD at N = 10⁴), and how L1 makes weights sparse while the cosine
//! similarity stays.
//!
//! ```text
//! cargo run --release --example weight_density
//! ```

mod interrupt;
mod picture;

use std::error::Error;
use std::ops::ControlFlow;

use contrastive_dynamics::integrate::Output;
use contrastive_dynamics::model::{GaussianNoise, Independent, L1, L2, Law, Model, Regularizer, Tanh};
use contrastive_dynamics::parallel::Cancel;
use contrastive_dynamics::pde::grid::GridSolver;
use contrastive_dynamics::pde::observables::Marginal;
use contrastive_dynamics::rand::SeedableRng;
use contrastive_dynamics::random::LaneRng;
use contrastive_dynamics::sgd::{CompressedSgd, Simulator};
use contrastive_dynamics::start::{FeatureLaw, Features, LinearGaussianStart, Rows, Whitening};
use contrastive_dynamics::state::{OrderParameters, Run};
use plotters::prelude::*;

const N: usize = 10_000;
const TIMES: [f64; 3] = [1.0, 5.0, 25.0];
/// One row of features in ten has a part in the feature.
const DENSITY: f64 = 0.1;
/// Weights within this fraction of √R count as small.
const SMALL: f64 = 0.1;
/// The range of the pictures, of weights and of densities.
const WIDEST: f64 = 7.8;
const RANGE: [f64; 2] = [1e-3, 20.0];
/// Long enough to come to rest.
const REST: f64 = 150.0;

type Outcome<T> = Result<T, Box<dyn Error>>;
type Trained<G> = Model<f64, Tanh, Independent, GaussianNoise, G>;

fn model<G: Regularizer>(regularizer: G, decay: f64) -> Outcome<Trained<G>> {
    let model = Model::builder()
        .nonlinearity(Tanh)
        .hidden(Independent::new([Law::two_point(1.5)?])?)
        .noise(GaussianNoise::correlated(0.3, -0.5)?)
        .learning_rate(0.4)
        .regularizer(regularizer)
        .weight_decay(decay);
    Ok(model.build()?)
}

fn start() -> Outcome<LinearGaussianStart> {
    let state = OrderParameters::from_rows(1, 1, &[0.4], &[1.0])?;
    Ok(LinearGaussianStart::new(FeatureLaw::sparse(DENSITY)?, &state)?)
}

/// One regulariser at one time.
struct Panel {
    title: String,
    /// w and density.
    line: Vec<(f64, f64)>,
    /// Edges and density of the histogram.
    bars: Vec<([f64; 2], f64)>,
}

fn panels<G: Regularizer>(name: &str, regularizer: G, decay: f64) -> Outcome<Vec<Panel>> {
    let (model, law) = (model(regularizer, decay)?, start()?);
    let output = Output::Times(TIMES.to_vec());
    let mut laws = Vec::new();
    let mut solver = GridSolver::builder(&model).width(0.01).tolerance(1e-6).start(&law).build()?;
    Run::of(&mut solver)
        .observe(output, |seen| {
            laws.push(seen.process().density());
            ControlFlow::Continue(())
        })
        .to(TIMES[2])?;

    let mut rng = LaneRng::seed_from_u64(1);
    let rows = Rows::draw(&law, N, &Whitening::State(law.state().clone()), &mut rng)?;
    let features = Features::from_matrix(rows.features)?;
    let mut sgd = CompressedSgd::builder(&model, N).features(features).start(rows.weights).build_seeded(2)?;
    let edges: Vec<f64> = (0..=90).map(|k| -WIDEST + WIDEST / 45.0 * f64::from(k)).collect();
    let mut panels = Vec::new();
    for (time, density) in TIMES.into_iter().zip(laws) {
        sgd.run(time, &Output::Stop)?;
        let sample = Marginal::sample(sgd.weights().as_slice())?;
        let histogram = sample.histogram(&edges)?;
        let limit = density.marginal()?;
        let distance = limit.wasserstein(&sample);
        println!(
            "{name:>3} {time:>6}  {:>9.4} {:>9.4}  {:>9.4} {:>9.4}  {distance:>11.4}",
            sgd.order_parameters().cosine_similarity(0, 0).unwrap_or(f64::NAN),
            density.order_parameters().cosine_similarity(0, 0).unwrap_or(f64::NAN),
            sample.fraction_within(0.05)?,
            limit.fraction_within(0.05)?,
        );
        panels.push(Panel {
            title: format!("{name}, t = {time}"),
            line: density.centres().into_iter().zip(density.density()).collect(),
            bars: edges.windows(2).map(|pair| [pair[0], pair[1]]).zip(histogram.densities()).collect(),
        });
    }
    Ok(panels)
}

/// (γ, cosine similarity, fraction of small weights) at rest.
fn at_rest<G: Regularizer + Copy>(regularizer: G, decays: &[f64], cancel: &Cancel) -> Outcome<Vec<[f64; 3]>> {
    let law = start()?;
    let mut rows = Vec::new();
    for &decay in decays.iter().take_while(|_| !cancel.is_cancelled()) {
        let model = model(regularizer, decay)?;
        let mut solver = GridSolver::builder(&model).width(0.005).tolerance(1e-4).start(&law).build()?;
        solver.run(REST, &Output::Stop)?;
        let state = solver.order_parameters();
        let small = SMALL * state.r()[(0, 0)].sqrt();
        let fraction = solver.density().marginal()?.fraction_within(small)?;
        rows.push([decay, state.cosine_similarity(0, 0).ok_or("no weights are left")?, fraction]);
    }
    Ok(rows)
}

fn main() -> Outcome<()> {
    println!(
        "regulariser, time; cosine similarity of SGD and limit; fraction of |w| < 0.05 of both; Wasserstein-1 distance"
    );
    let mut all = panels("L2", L2, 0.3)?;
    all.extend(panels("L1", L1, 0.3)?);
    draw_densities(&all)?;

    let cancel = interrupt::flag()?;
    let decays: Vec<f64> = (1..=8).map(|k| 0.06 * f64::from(k)).collect();
    let curves = [("L1", at_rest(L1, &decays, &cancel)?), ("L2", at_rest(L2, &decays, &cancel)?)];
    println!("at rest: regulariser, gamma, cosine similarity, fraction of |w| < {SMALL} sqrt(R)");
    for (name, rows) in &curves {
        for [decay, cosine, fraction] in rows {
            println!("{name:>3} {decay:>6.2}  {cosine:>8.4} {fraction:>8.4}");
        }
    }
    if interrupt::ended(&cancel) {
        return Ok(());
    }
    draw_sparsity(&curves)?;
    Ok(())
}

const BLUE_LINE: RGBColor = RGBColor(0, 90, 181);
const RED_LINE: RGBColor = RGBColor(220, 50, 32);

fn draw_densities(panels: &[Panel]) -> Outcome<()> {
    picture::write("weight_density.svg", (960, 560), |root| {
        for (k, (area, panel)) in root.split_evenly((2, 3)).iter().zip(panels).enumerate() {
            let mut chart = ChartBuilder::on(area)
                .caption(&panel.title, ("sans-serif", 18))
                .margin(8)
                .x_label_area_size(38)
                .y_label_area_size(44)
                .build_cartesian_2d(-WIDEST..WIDEST, (RANGE[0]..RANGE[1]).log_scale())?;
            chart
                .configure_mesh()
                .x_desc("weight w")
                .y_desc("density")
                .x_labels(7)
                .y_labels(6)
                .y_label_formatter(&|y| format!("{y}"))
                .label_style(("sans-serif", 13))
                .axis_desc_style(("sans-serif", 14))
                .light_line_style(WHITE)
                .bold_line_style(BLACK.mix(0.08))
                .draw()?;
            let bars = panel
                .bars
                .iter()
                .filter(|bar| bar.1 > RANGE[0])
                .map(|(edges, y)| Rectangle::new([(edges[0], RANGE[0]), (edges[1], *y)], BLACK.mix(0.22).filled()));
            chart
                .draw_series(bars)?
                .label("SGD, N = 10 000")
                .legend(|(x, y)| Rectangle::new([(x + 4, y - 5), (x + 20, y + 5)], BLACK.mix(0.22).filled()));
            let line = panel.line.iter().copied().filter(|(w, y)| w.abs() < WIDEST && *y > RANGE[0]);
            chart
                .draw_series(LineSeries::new(line, BLUE_LINE.stroke_width(2)))?
                .label("limit")
                .legend(|(x, y)| PathElement::new([(x, y), (x + 22, y)], BLUE_LINE.stroke_width(2)));
            if k == 0 {
                chart
                    .configure_series_labels()
                    .position(SeriesLabelPosition::UpperLeft)
                    .background_style(WHITE.mix(0.9))
                    .label_font(("sans-serif", 13))
                    .draw()?;
            }
        }
        Ok(())
    })
}

fn draw_sparsity(curves: &[(&str, Vec<[f64; 3]>)]) -> Outcome<()> {
    picture::write("weight_sparsity.svg", (760, 480), |root| {
        let mut chart = ChartBuilder::on(root)
            .caption("L1 makes weights sparse; the cosine similarity stays", ("sans-serif", 20))
            .margin(14)
            .x_label_area_size(46)
            .y_label_area_size(60)
            .build_cartesian_2d(0.0..0.5, 0.0..1.0)?;
        chart
            .configure_mesh()
            .x_desc("weight decay")
            .y_desc("at rest")
            .label_style(("sans-serif", 14))
            .axis_desc_style(("sans-serif", 16))
            .light_line_style(WHITE)
            .draw()?;
        for ((name, rows), color) in curves.iter().zip([BLUE_LINE, RED_LINE]) {
            chart
                .draw_series(LineSeries::new(rows.iter().map(|row| (row[0], row[1])), color.stroke_width(2)))?
                .label(format!("{name}: cosine similarity"))
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], color.stroke_width(2)));
            chart
                .draw_series(rows.iter().map(|row| Circle::new((row[0], row[2]), 4, color.filled())))?
                .label(format!("{name}: fraction of |w| < {SMALL} sqrt(R)"))
                .legend(move |(x, y)| Circle::new((x + 12, y), 4, color.filled()));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::MiddleRight)
            .background_style(WHITE.mix(0.9))
            .border_style(BLACK.mix(0.3))
            .label_font(("sans-serif", 14))
            .draw()?;
        Ok(())
    })
}
