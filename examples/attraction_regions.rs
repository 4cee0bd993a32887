//! The second finding of the letter: features of equal second moments are equally learnable, and yet the fourth moments
//! decide which of them is learned.
//!
//! `cargo run --release --example attraction_regions` prints a table and writes the picture docs/attraction_regions.svg
//! (with `--features parallel` on all cores).
//!
//! Two features compete for one neuron: the first takes the values ±1.5, the second is active with probability q and has
//! the same second moment. Drawn are the phase portraits for two q on the slice of states whose R is quasi-steady
//! (dR/dt = 0, so that every fixed point lies on it), with the border between the attraction regions; and the probability
//! that the first feature is selected, against q: for a law of starts with overlaps of order one, and for uninformative
//! starts at finite N.

mod interrupt;
mod picture;

use std::error::Error;
use std::f64::consts::FRAC_PI_2;

use contrastive_dynamics::ensemble::Ensemble;
use contrastive_dynamics::integrate::{Output, System};
use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::sgd::ProjectedChain;
use contrastive_dynamics::stability::{
    AttractionRegions, FixedPointFinder, FixedPoints, Grid, RegionMap, SobolStarts, Stability, uninformative_points,
};
use contrastive_dynamics::state::{OrderParameters, OrderParametersError};
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

type Built = Model<f64, Tanh, Independent, GaussianNoise>;
type Panel<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Overlaps are drawn up to there.
const WIDTH: f64 = 1.08;
const DIMENSION: usize = 500;
const RUNS: u64 = 1000;
const FIRST: RGBColor = RGBColor(0, 90, 181);
const SECOND: RGBColor = RGBColor(220, 50, 32);

fn model(activity: f64) -> Result<Built, Box<dyn Error>> {
    let laws = [Law::two_point(2.25)?, Law::three_point(2.25, activity)?];
    let builder = Model::builder().nonlinearity(Tanh).hidden(Independent::new(laws)?).learning_rate(0.3);
    Ok(builder.noise(GaussianNoise::correlated(0.3, -0.5)?).weight_decay(0.5).build()?)
}

/// The state of those overlaps whose R is steady; an error where there is none.
fn on_slice(ode: &ReducedOde<'_>, q: [f64; 2]) -> Result<OrderParameters, OrderParametersError> {
    let least = q[0] * q[0] + q[1] * q[1];
    let state = |r: f64| OrderParameters::from_rows(2, 1, &q, &[r]);
    let (mut low, mut high) = (least + 1e-9, least + 2.0);
    let Ok(mut system) = ode.system(&state(high)?) else { return Err(OrderParametersError::NotFinite) };
    let mut falls = |r: f64| {
        let mut rates = [0.0; 3];
        system.rates(0.0, &[q[0], q[1], r], &mut rates).is_err() || rates[2] < 0.0
    };
    if falls(low) {
        // R falls to QᵀQ and takes Q with it: no slice here.
        return state(least - 1e-3);
    }
    for _ in 0..30 {
        let middle = 0.5 * (low + high);
        if falls(middle) { high = middle } else { low = middle }
    }
    state(0.5 * (low + high))
}

/// Everything that is drawn of one model.
struct Portrait {
    activity: f64,
    map: RegionMap,
    first: usize,
    border: Vec<(f64, f64)>,
    arrows: Vec<[(f64, f64); 2]>,
    paths: Vec<Vec<(f64, f64)>>,
    points: Vec<((f64, f64), Stability)>,
}

fn portrait(activity: f64) -> Result<Portrait, Box<dyn Error>> {
    let model = model(activity)?;
    let ode = ReducedOde::new(&model)?.coefficient_tolerance(1e-8)?;
    let coarse = ReducedOde::new(&model)?.coefficient_tolerance(1e-4)?;
    let found = FixedPointFinder::new(&ode).find()?;
    let regions = AttractionRegions::of_fixed_points(&ode, &found.points)?;
    let first = first_feature(&regions).ok_or("feature 1 is not selected anywhere")?;
    let slice = |a: f64, b: f64| on_slice(&coarse, [a, b]);
    let map = regions.map(Grid { a: (0.0, WIDTH), b: (0.0, WIDTH), columns: 80, rows: 80 }, slice)?;
    let mut border: Vec<(f64, f64)> = regions.borders(&map, slice, 1e-2)?.into_iter().map(|(at, _)| at).collect();
    // Along the border the distance from the origin grows.
    border.sort_by(|x, y| x.0.hypot(x.1).total_cmp(&y.0.hypot(y.1)));
    let mut arrows = Vec::new();
    for k in 0..19 * 19 {
        let q = [0.03 + 0.057 * f64::from(k % 19), 0.03 + 0.057 * f64::from(k / 19)];
        let Ok(state) = on_slice(&coarse, q) else { continue };
        let rates = coarse.rates(&state)?.q;
        let speed = rates.norm();
        // Short where it is slow, but not as short as it is slow.
        let length = 0.045 * (speed / 0.1).powf(0.3).min(1.0);
        arrows.push([(q[0], q[1]), (q[0] + length * rates[(0, 0)] / speed, q[1] + length * rates[(1, 0)] / speed)]);
    }
    let mut paths = Vec::new();
    for (radius, angle) in [(0.06, 12.0), (0.06, 30.0), (0.06, 42.0), (0.06, 48.0), (0.06, 62.0), (0.06, 80.0)] {
        let angle = f64::to_radians(angle);
        let start = OrderParameters::from_rows(2, 1, &[radius * angle.cos(), radius * angle.sin()], &[1.0])?;
        let path = ode.solver().output(Output::Times((0..=320).map(|k| 0.25 * f64::from(k)).collect()));
        let path = path.solve(&start, 80.0)?;
        paths.push(path.states().iter().map(|state| (state.q()[(0, 0)], state.q()[(1, 0)])).collect());
    }
    let points = in_view(&found);
    Ok(Portrait { activity, map, first, border, arrows, paths, points })
}

/// The point at which the first feature alone is selected.
fn first_feature(regions: &AttractionRegions<'_>) -> Option<usize> {
    let alone =
        |k: &usize| regions.images(*k)[0].center().cosine_similarity(0, 0).is_some_and(|cosine| cosine.abs() > 0.9);
    (0..regions.points()).find(alone)
}

/// Fixed points and their images with overlaps of no negative sign.
fn in_view(found: &FixedPoints) -> Vec<((f64, f64), Stability)> {
    let images = found.points.iter().flat_map(|point| point.images.iter().map(move |image| (image, point.stability)));
    let overlaps = images.map(|(image, stability)| ((image.q()[(0, 0)], image.q()[(1, 0)]), stability));
    overlaps.filter(|((a, b), _)| *a > -1e-6 && *b > -1e-6).collect()
}

/// The probability that the first feature is selected.
struct Row {
    activity: f64,
    growth_rates: [f64; 2],
    /// Starts of order one, with the standard error.
    order_one: (f64, f64),
    /// Small overlaps of uniform direction, in the limit.
    small: f64,
    /// Uninformative starts at finite N, with the confidence interval.
    finite: (f64, (f64, f64)),
}

fn probabilities(activity: f64) -> Result<Row, Box<dyn Error>> {
    let model = model(activity)?;
    let ode = ReducedOde::new(&model)?;
    let found = FixedPointFinder::new(&ode).find()?;
    let regions = AttractionRegions::of_fixed_points(&ode, &found.points)?;
    let first = first_feature(&regions).ok_or("feature 1 is not selected anywhere")?;
    // Overlaps of uniform direction and of length 0.1 to 0.8, R = 1.
    let starts = SobolStarts { dimensions: 2, points: 128, scrambles: 8, seed: 1 };
    let selection = regions.selection(starts, |u| {
        let (angle, length) = (FRAC_PI_2 * u[0], 0.1 + 0.7 * u[1]);
        OrderParameters::from_rows(2, 1, &[length * angle.cos(), length * angle.sin()], &[1.0])
    })?;
    let uninformative = uninformative_points(&ode, 0.02, 20.0)?;
    let point = uninformative.first().ok_or("no uninformative state")?;
    let small = |angle: f64| OrderParameters::from_rows(2, 1, &[1e-3 * angle.cos(), 1e-3 * angle.sin()], &[point.r]);
    let limit = match regions.border(small, (0.05, FRAC_PI_2 - 1e-3), 1e-5) {
        Ok(border) => border.at / FRAC_PI_2,
        // One region alone: everything but the axis.
        Err(_) => 1.0,
    };
    let start = |seed| ProjectedChain::builder(&model, DIMENSION).build_seeded(seed);
    let ensemble = Ensemble::new(RUNS, 1);
    let finite = regions.selection_at_finite_size(&ensemble, (3000.0, DIMENSION as u64 / 10), |r| start(r.seed))?;
    Ok(Row {
        activity,
        growth_rates: [point.growth_rates[0], point.growth_rates[1]],
        order_one: selection.probability(first).ok_or("no such point")?,
        small: limit,
        finite: (finite.fraction(first), finite.interval(first, 0.95)),
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("two features of second moment 2.25, the second active with probability q; one neuron, tanh\n");
    println!("growth rates out of the uninformative state, and the probability that the first feature is selected:");
    println!("order one: overlaps of length 0.1 to 0.8; small: vanishing overlaps of uniform direction, in the limit;");
    println!("N = {DIMENSION}: {RUNS} uninformative starts of SGD, with 95 % intervals\n");
    println!("{:>5} {:>9} {:>9}   {:>16}  {:>8}  {:>24}", "q", "mu_1", "mu_2", "order one", "small", "finite N");
    let (mut rows, cancel) = (Vec::new(), interrupt::flag()?);
    for activity in [1.0, 0.85, 0.7, 0.6, 0.55, 0.5, 0.45, 0.4, 0.3] {
        let row = probabilities(activity)?;
        let Row { growth_rates: [first, second], order_one: (p, e), small, finite: (f, (low, high)), .. } = row;
        println!(
            "{activity:>5} {first:>9.6} {second:>9.6}   {p:>7.4} +- {e:.4}  {small:>8.4}  {f:>8.3} ({low:.3}, {high:.3})"
        );
        rows.push(row);
        if interrupt::ended(&cancel) {
            return Ok(());
        }
    }
    let portraits = [portrait(1.0)?, portrait(0.6)?];
    for portrait in &portraits {
        let area = portrait.map.fraction(portrait.first);
        println!(
            "\nq = {}: the first feature's region is {:.3} +- {:.3} of the slice",
            portrait.activity, area.fraction, area.error
        );
    }
    draw(&portraits, &rows)?;
    Ok(())
}

fn draw(portraits: &[Portrait], rows: &[Row]) -> Result<(), Box<dyn Error>> {
    picture::write("attraction_regions.svg", (1380, 500), |root| {
        let areas = root.split_evenly((1, 3));
        for (area, portrait) in areas.iter().zip(portraits) {
            draw_portrait(area, portrait)?;
        }
        draw_probabilities(&areas[2], rows)?;
        Ok(())
    })
}

fn draw_portrait(area: &DrawingArea<SVGBackend<'_>, Shift>, portrait: &Portrait) -> Result<(), Box<dyn Error>> {
    let mut chart = ChartBuilder::on(area)
        .caption(format!("second feature active with q = {}", portrait.activity), ("sans-serif", 19))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..WIDTH, 0.0..WIDTH)?;
    let Grid { a, columns, .. } = portrait.map.grid();
    let cell = (a.1 - a.0) / columns as f64;
    let cells = portrait.map.outcomes().iter().enumerate().filter_map(|(k, outcome)| {
        let (x, y) = portrait.map.grid().parameters(k % columns, k / columns);
        let color = if outcome.point()? == portrait.first { FIRST } else { SECOND };
        let half = 0.5 * cell;
        Some(Rectangle::new([(x - half, y - half), (x + half, y + half)], color.mix(0.13).filled()))
    });
    chart.draw_series(cells)?;
    chart
        .configure_mesh()
        .disable_mesh()
        .x_desc("overlap with feature 1, Q1")
        .y_desc("overlap with feature 2, Q2")
        .label_style(("sans-serif", 14))
        .axis_desc_style(("sans-serif", 16))
        .draw()?;
    for &[from, to] in &portrait.arrows {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        // The two sides of the arrow's head.
        let side = |turn: f64| (to.0 - 0.35 * dx + 0.2 * turn * dy, to.1 - 0.35 * dy - 0.2 * turn * dx);
        let style = BLACK.mix(0.45).stroke_width(1);
        chart.draw_series([
            PathElement::new(vec![from, to], style),
            PathElement::new(vec![side(1.0), to, side(-1.0)], style),
        ])?;
    }
    for path in &portrait.paths {
        chart.draw_series(LineSeries::new(path.iter().copied(), RGBColor(0, 110, 80).stroke_width(2)))?;
    }
    chart.draw_series(LineSeries::new(portrait.border.iter().copied(), BLACK.stroke_width(3)))?;
    for &(at, stability) in &portrait.points {
        mark(&mut chart, at, stability)?;
    }
    Ok(())
}

/// Stable points filled, saddles half filled, unstable points hollow.
fn mark(chart: &mut Panel<'_, '_>, at: (f64, f64), stability: Stability) -> Result<(), Box<dyn Error>> {
    let fill = if stability == Stability::Stable { BLACK } else { WHITE };
    chart.draw_series([EmptyElement::at(at) + Circle::new((0, 0), 7, fill.filled())])?;
    if matches!(stability, Stability::Saddle) {
        // The left half of a disk of radius 7, line by line of pixels.
        let half: Vec<(i32, i32)> =
            [(0, -7), (-3, -6), (-5, -5), (-6, -3), (-7, 0), (-6, 3), (-5, 5), (-3, 6), (0, 7)].into();
        chart.draw_series([EmptyElement::at(at) + Polygon::new(half, BLACK.filled())])?;
    }
    chart.draw_series([EmptyElement::at(at) + Circle::new((0, 0), 7, BLACK.stroke_width(2))])?;
    Ok(())
}

fn draw_probabilities(area: &DrawingArea<SVGBackend<'_>, Shift>, rows: &[Row]) -> Result<(), Box<dyn Error>> {
    let mut chart = ChartBuilder::on(area)
        .caption("probability that feature 1 is selected", ("sans-serif", 19))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(52)
        .build_cartesian_2d(0.25..1.05, 0.45..1.02)?;
    chart
        .configure_mesh()
        .x_desc("activity q of feature 2 (kurtosis 1/q)")
        .label_style(("sans-serif", 14))
        .axis_desc_style(("sans-serif", 16))
        .light_line_style(WHITE)
        .draw()?;
    let line = rows.iter().map(|row| (row.activity, row.order_one.0));
    chart
        .draw_series(LineSeries::new(line, SECOND.stroke_width(2)))?
        .label("starts of order one, N → ∞")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 24, y)], SECOND.stroke_width(2)));
    let line = rows.iter().map(|row| (row.activity, row.small));
    chart
        .draw_series(LineSeries::new(line, FIRST.stroke_width(2)))?
        .label("uninformative starts, N → ∞")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 24, y)], FIRST.stroke_width(2)));
    chart.draw_series(rows.iter().map(|row| {
        let (_, (low, high)) = row.finite;
        PathElement::new([(row.activity, low), (row.activity, high)], FIRST.stroke_width(1))
    }))?;
    chart
        .draw_series(rows.iter().map(|row| Circle::new((row.activity, row.finite.0), 4, FIRST.filled())))?
        .label(format!("uninformative starts, N = {DIMENSION}"))
        .legend(|(x, y)| Circle::new((x + 12, y), 4, FIRST.filled()));
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.9))
        .border_style(BLACK.mix(0.3))
        .label_font(("sans-serif", 14))
        .draw()?;
    Ok(())
}
