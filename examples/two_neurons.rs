//! Two neurons and two features: do the neurons share the features out, or do both take the same one?
//!
//! `cargo run --release --features parallel --example two_neurons` prints tables and writes the picture docs/two_neurons.svg. It takes
//! one or two minutes; Ctrl-C ends it with what is done by then.
//!
//! tanh, two equal two-point features, batches of four, and a penalty of strength λ on what the neurons have in common. From a joint start, on which both
//! neurons favour the first feature, they collapse onto it while the penalty is weak, and share out the features once it is strong. Above: two
//! solutions of the ODE, and the fixed points against λ, by continuation. Below: who learns what, for a start of the first neuron anywhere
//! on a plane and a fixed one of the second, at both strengths.

mod interrupt;
mod picture;

use std::error::Error;

use contrastive_dynamics::integrate::Output;
use contrastive_dynamics::limit::Parameter;
use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::parallel::Cancel;
use contrastive_dynamics::stability::{
    AttractionRegions, Continuation, FixedPointFinder, Grid, OdeCurve, Outcome, RegionMap,
};
use contrastive_dynamics::state::{OrderParameters, OrderParametersError, Trajectory};
use plotters::coord::Shift;
use plotters::prelude::*;

type Answer<T> = Result<T, Box<dyn Error>>;
type Trained = Model<f64, Tanh, Independent, GaussianNoise>;

const WEAK: f64 = 0.1;
const STRONG: f64 = 1.0;
const RANGE: [f64; 2] = [0.02, 2.0];
const END: f64 = 30.0;
/// Starts of the first neuron: columns and rows of the map, and how far they reach.
const CELLS: usize = 64;
const REACH: f64 = 0.7;
/// Overlaps of the second neuron's start.
const SECOND: [f64; 2] = [0.3, 0.1];

const SHARED: RGBColor = RGBColor(0, 90, 181);
const SAME: RGBColor = RGBColor(220, 50, 32);
const OTHER: RGBColor = RGBColor(150, 150, 150);

fn model(strength: f64) -> Answer<Trained> {
    let hidden = Independent::new([Law::two_point(2.25)?, Law::two_point(2.25)?])?;
    let builder = Model::builder().nonlinearity(Tanh).hidden(hidden).learning_rate(0.3).weight_decay(0.5);
    let noise = GaussianNoise::correlated(0.3, -0.5)?;
    Ok(builder.noise(noise).n_neurons(2).batch_size(4).penalty_strength(strength).build()?)
}

/// Neurons of those overlaps with the features, with independent backgrounds.
fn state(first: [f64; 2], second: [f64; 2]) -> Result<OrderParameters, OrderParametersError> {
    let dot = |a: [f64; 2], b: [f64; 2]| a[0] * b[0] + a[1] * b[1];
    let (r11, r12, r22) = (dot(first, first) + 0.5, dot(first, second), dot(second, second) + 0.5);
    OrderParameters::from_rows(2, 2, &[first[0], second[0], first[1], second[1]], &[r11, r12, r12, r22])
}

/// What the neurons have learned.
#[derive(Clone, Copy, PartialEq)]
enum Learned {
    /// Each another feature.
    Shared,
    /// Both the same.
    Same,
    /// Neither of these.
    Other,
}

impl Learned {
    fn of(state: &OrderParameters) -> Self {
        let favourite = |i: usize| {
            let cosine = [0, 1].map(|l| state.cosine_similarity(l, i).unwrap_or(0.0).abs());
            (cosine[0].max(cosine[1]) > 0.8).then_some(cosine[1] > cosine[0])
        };
        match (favourite(0), favourite(1)) {
            (Some(a), Some(b)) if a == b => Self::Same,
            (Some(_), Some(_)) => Self::Shared,
            _ => Self::Other,
        }
    }

    fn color(self) -> RGBColor {
        match self {
            Self::Shared => SHARED,
            Self::Same => SAME,
            Self::Other => OTHER,
        }
    }
}

/// A branch: λ, the largest overlap, what is learned, and whether it is stable.
type Branch = Vec<(f64, f64, Learned, bool)>;

fn main() -> Answer<()> {
    println!("tanh, two neurons, two two-point features of second moment 2.25, B = 4");
    let mut solutions = Vec::new();
    for strength in [WEAK, STRONG] {
        let model = model(strength)?;
        let times = (0..=120).map(|k| END * f64::from(k) / 120.0).collect();
        let solver =
            ReducedOde::new(&model)?.solver().output(Output::Times(times)).solve(&state([0.15, 0.05], SECOND)?, END)?;
        let end = solver.last().ok_or("no end")?.1;
        println!("\nlambda = {strength}: from a joint start to\n{end}");
        solutions.push((strength, solver));
    }
    let cancel = interrupt::flag()?;
    let branches = branches(&cancel)?;
    for branch in &branches {
        let stable = branch.iter().filter(|point| point.3).map(|point| point.0);
        let ends = stable.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
        if ends.0 < ends.1 {
            let name = match branch[0].2 {
                Learned::Shared => "features shared out",
                Learned::Same => "both on the same",
                Learned::Other => "another state",
            };
            println!("{name}: stable for lambda from {:.4} to {:.4}", ends.0, ends.1);
        }
    }
    let mut maps = Vec::new();
    for strength in [WEAK, STRONG] {
        let Some((learned, map)) = who_learns_what(strength, &cancel)? else { break };
        let share = |what: Learned| learned.iter().filter(|l| **l == what).count() as f64 / learned.len() as f64;
        println!(
            "\nlambda = {strength}: of {CELLS} x {CELLS} starts {:.3} share out, {:.3} take the same, {:.3} undecided; {} refined",
            share(Learned::Shared),
            share(Learned::Same),
            share(Learned::Other),
            map.refined()
        );
        maps.push((strength, learned));
    }
    if interrupt::ended(&cancel) {
        return Ok(());
    }
    draw(&solutions, &branches, &maps)?;
    Ok(())
}

/// From all fixed points at one strength both ways, each class of images once.
fn branches(cancel: &Cancel) -> Answer<Vec<Branch>> {
    let middle = 0.4;
    let model = model(middle)?;
    let ode = ReducedOde::new(&model)?;
    let found = FixedPointFinder::new(&ode).find_with(|_, _| cancel.flow())?;
    println!("\nlambda = {middle}\n{found:.4}\n");
    let mut curve = OdeCurve::new(&ode, Parameter::PenaltyStrength)?;
    let mut branches = Vec::new();
    for point in found.points.iter().filter(|point| point.state.q().amax() > 0.1) {
        let first = curve.coordinates(&point.state);
        let mut branch: Branch = Vec::new();
        for upwards in [false, true] {
            let plan = Continuation::new(RANGE[0], RANGE[1]).steps(1e-6, 0.05);
            let plan = if upwards { plan } else { plan.downwards() };
            let Ok(half) = plan.run_with(&mut curve, &first, middle, |_| cancel.flow()) else { continue };
            let shown = half.points.iter().map(|at| {
                let state = curve.state(at.state.as_slice());
                (at.parameter, state.q().amax(), Learned::of(&state), at.is_stable())
            });
            if upwards {
                branch.extend(shown.skip(1));
            } else {
                branch = shown.collect();
                branch.reverse();
            }
        }
        if !branch.is_empty() {
            branches.push(branch);
        }
    }
    Ok(branches)
}

fn who_learns_what(strength: f64, cancel: &Cancel) -> Answer<Option<(Vec<Learned>, RegionMap)>> {
    let model = model(strength)?;
    let ode = ReducedOde::new(&model)?.coefficient_tolerance(1e-6)?;
    let found = FixedPointFinder::new(&ode).find_with(|_, _| cancel.flow())?;
    if cancel.is_cancelled() {
        return Ok(None);
    }
    let regions = AttractionRegions::of_fixed_points(&ode, &found.points)?;
    let range = (-REACH, REACH);
    let grid = Grid { a: range, b: range, columns: CELLS, rows: CELLS };
    let map = regions.map_with(grid, |a, b| state([a, b], SECOND), |_, _| cancel.flow())?;
    let learned = map.outcomes().iter().map(|outcome| match outcome {
        Outcome::Reached { point, image, .. } => Learned::of(regions.images(*point)[*image].center()),
        Outcome::NotReached(_) => Learned::Other,
    });
    Ok(Some((learned.collect(), map)))
}

type Solutions = [(f64, Trajectory<f64>)];

fn draw(solutions: &Solutions, branches: &[Branch], maps: &[(f64, Vec<Learned>)]) -> Answer<()> {
    picture::write("two_neurons.svg", (1000, 860), |root| {
        let (above, below) = root.split_vertically(420);
        let (left, right) = above.split_horizontally(500);
        draw_solutions(&left, solutions)?;
        draw_branches(&right, branches)?;
        for ((strength, learned), area) in maps.iter().zip(below.split_evenly((1, 2))) {
            let mut chart = ChartBuilder::on(&area)
                .caption(format!("who learns what, λ = {strength}"), ("sans-serif", 18))
                .margin(12)
                .x_label_area_size(44)
                .y_label_area_size(56)
                .build_cartesian_2d(-REACH..REACH, -REACH..REACH)?;
            chart
                .configure_mesh()
                .disable_mesh()
                .x_desc("overlap of neuron 1 with feature 1 at the start")
                .y_desc("with feature 2")
                .x_label_formatter(&tidy)
                .y_label_formatter(&tidy)
                .draw()?;
            let width = 2.0 * REACH / CELLS as f64;
            for (cell, learned) in learned.iter().enumerate() {
                let corner = [cell % CELLS, cell / CELLS].map(|k| width * k as f64 - REACH);
                let corners = [(corner[0], corner[1]), (corner[0] + width, corner[1] + width)];
                chart.draw_series([Rectangle::new(corners, learned.color().mix(0.75).filled())])?;
            }
            chart.draw_series([Circle::new((SECOND[0], SECOND[1]), 5, BLACK.filled())])?;
            chart.draw_series([Text::new("neuron 2", (SECOND[0] + 0.03, SECOND[1] + 0.02), ("sans-serif", 14))])?;
        }
        Ok(())
    })
}

/// Adding zero turns a rounded −0 into 0.
#[allow(clippy::trivially_copy_pass_by_ref)] // what the plotting library asks for
fn tidy(x: &f64) -> String {
    format!("{:.1}", (x * 1e6).round() / 1e6 + 0.0)
}

fn draw_solutions(area: &DrawingArea<SVGBackend<'_>, Shift>, solutions: &Solutions) -> Answer<()> {
    let mut chart = ChartBuilder::on(area)
        .caption("from a joint start", ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..END, -0.4..1.05)?;
    chart.configure_mesh().x_desc("t").y_desc("overlap").y_label_formatter(&tidy).light_line_style(WHITE).draw()?;
    for ((strength, solution), color) in solutions.iter().zip([SAME, SHARED]) {
        for (l, i) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let line = solution.iter().map(|(t, state)| (t, state.q()[(l, i)]));
            let style = color.mix(if l == 0 { 1.0 } else { 0.45 }).stroke_width(if i == 0 { 3 } else { 1 });
            let series = chart.draw_series(LineSeries::new(line, style))?;
            series
                .label(format!("λ = {strength}: neuron {}, feature {}", i + 1, l + 1))
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], style));
        }
    }
    legend(&mut chart, SeriesLabelPosition::MiddleRight)
}

fn draw_branches(area: &DrawingArea<SVGBackend<'_>, Shift>, branches: &[Branch]) -> Answer<()> {
    let mut chart = ChartBuilder::on(area)
        .caption("fixed points", ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(RANGE[0]..RANGE[1], 0.0..1.05)?;
    chart.configure_mesh().x_desc("penalty strength λ").y_desc("largest overlap").light_line_style(WHITE).draw()?;
    for branch in branches {
        for pair in branch.windows(2) {
            let style = if pair[0].3 { pair[0].2.color().stroke_width(4) } else { pair[0].2.color().stroke_width(1) };
            chart.draw_series(LineSeries::new(pair.iter().map(|point| (point.0, point.1)), style))?;
        }
    }
    for (what, name) in
        [(Learned::Shared, "features shared out"), (Learned::Same, "both on the same"), (Learned::Other, "other")]
    {
        let color = what.color();
        chart
            .draw_series(LineSeries::new([], color.stroke_width(3)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], color.stroke_width(3)));
    }
    legend(&mut chart, SeriesLabelPosition::LowerLeft)
}

type Chart<'a, 'b> = ChartContext<
    'a,
    SVGBackend<'b>,
    Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
>;

fn legend<'a, 'b: 'a>(chart: &mut Chart<'a, 'b>, position: SeriesLabelPosition) -> Answer<()> {
    chart
        .configure_series_labels()
        .position(position)
        .background_style(WHITE.mix(0.9))
        .border_style(BLACK.mix(0.3))
        .label_font(("sans-serif", 13))
        .draw()?;
    Ok(())
}
