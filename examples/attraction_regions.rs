//! Which of two equally learnable features is learned? The second finding of the letter: features of equal second moments are
//! equally learnable, and yet the fourth moments decide.
//!
//! Two features compete for one neuron: feature 0 takes the values ±1.5, feature 1 is active with probability q and has the same
//! second moment. Drawn are the phase portraits for two q on the slice of states whose R is quasi-steady (dR/dt = 0, so that every
//! fixed point lies on it), with the border between the attraction regions; and the probability that feature 0 is selected, against
//! q: for a law of starts with overlaps of order one, and for uninformative starts in the limit and at finite N.
//!
//!     cargo run --release --features parallel --example attraction_regions -- --help

mod support;

use std::f64::consts::FRAC_PI_2;

use clap::Parser;
use contrastive_dynamics::ensemble::Replicate;
use contrastive_dynamics::integrate::System;
use contrastive_dynamics::prelude::*;
use contrastive_dynamics::stability::{
    AttractionRegions, FixedPointFinder, FixedPoints, Grid, Kind, RegionMap, RegionsError, SobolStarts, Stability,
    uninformative_points,
};
use contrastive_dynamics::state::OrderParametersError;
use support::interrupt::{ended, flag};
use support::picture::{Area, BLUE, Canvas, GREEN, GREY, INK, Mark, Pen, Plot, RED, RGBColor, Scale, Sign, key, write};
use support::{Out, Outcome, progress, table};

/// Which of two equally learnable features is learned? Attraction regions, and selection probabilities against kurtosis.
#[derive(Debug, Parser)]
struct Arguments {
    /// The probabilities q that feature 1 is active, at which selection probabilities are computed.
    #[arg(long, value_delimiter = ',', default_values_t = [1.0, 0.85, 0.7, 0.6, 0.55, 0.5, 0.45, 0.4, 0.3])]
    activities: Vec<f64>,
    /// Those for which a phase portrait is drawn.
    #[arg(long, value_delimiter = ',', default_values_t = [1.0, 0.6])]
    portraits: Vec<f64>,
    /// The dimension N of SGD.
    #[arg(long, default_value_t = 500)]
    dimension: usize,
    /// The number of runs of SGD for each q.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    runs: u64,
    /// Starts of order one for each q; eight times as many are followed.
    #[arg(long, default_value_t = 128)]
    starts: usize,
    /// Cells of a phase portrait along each axis.
    #[arg(long, default_value_t = 80)]
    cells: usize,
    /// The seed of SGD and of the starts.
    #[arg(long, default_value_t = 1)]
    seed: u32,
    #[command(flatten)]
    out: Out,
}

/// Overlaps are drawn up to there, and from a little below zero, so that marks on the axes are whole.
const WIDTH: f64 = 1.08;
const LOW: f64 = -0.03;
/// Arrows of a phase portrait along each axis.
const ARROWS: u32 = 19;
/// Angles at which the edge of the slice is sought.
const EDGE_ANGLES: u32 = 240;
/// Dots along each axis by which regions are coloured.
const DOTS: usize = 640;
/// A distance from the origin, and angles in degrees, at which the drawn solutions start with R = 1.
const SOLUTIONS: (f64, [f64; 6]) = (0.06, [12.0, 30.0, 42.0, 48.0, 62.0, 80.0]);
/// The limit is also computed that near to where it jumps, which is found to that width.
const NEAR: f64 = 1.003;
const JUMP_WIDTH: f64 = 2e-4;
/// SGD is given up at that time.
const TIME_LIMIT: f64 = 3000.0;

/// Colours of the regions: pale, and of different lightness.
const REGIONS: [RGBColor; 2] = [RGBColor(190, 212, 236), RGBColor(253, 238, 222)];

type Built = Model<f64, Tanh, Independent, GaussianNoise>;

fn main() -> std::process::ExitCode {
    support::told(example())
}

fn example() -> Outcome {
    let mut arguments = Arguments::parse();
    arguments.activities.sort_by(|a, b| b.total_cmp(a));
    let cancel = flag()?;
    let jump = jump(&arguments.activities)?;
    let mut activities: Vec<(f64, bool)> = arguments.activities.iter().map(|&activity| (activity, true)).collect();
    activities.extend(jump.map(|jump| (NEAR * jump, false)));
    activities.sort_by(|a, b| b.0.total_cmp(&a.0));
    let bar = progress(activities.len() + arguments.portraits.len(), "activities")?;
    let mut rows = Vec::new();
    for (activity, with_sgd) in activities {
        rows.push(probabilities(&arguments, activity, with_sgd)?);
        bar.inc(1);
        if ended(&cancel) {
            return Ok(());
        }
    }
    let mut portraits = Vec::new();
    for &activity in &arguments.portraits {
        portraits.push(portrait(&arguments, activity)?);
        bar.inc(1);
        if ended(&cancel) {
            return Ok(());
        }
    }
    bar.finish_and_clear();
    tell(&arguments, &rows, jump);
    tell_portraits(&portraits);
    draw(&arguments, &portraits, &rows, jump)
}

fn model(activity: f64) -> Result<Built, ModelError> {
    let laws = [Law::two_point(2.25)?, Law::three_point(2.25, activity)?];
    let builder = Model::builder().nonlinearity(Tanh).hidden(Independent::new(laws)?).learning_rate(0.3);
    builder.noise(GaussianNoise::correlated(0.3, -0.5)?).weight_decay(0.5).build()
}

/// The state of those overlaps and that R.
fn state(q: [f64; 2], r: f64) -> Result<OrderParameters, OrderParametersError> {
    OrderParameters::from_rows(2, 1, &q, &[r])
}

/// Overlaps of that length and direction.
fn polar(length: f64, angle: f64) -> [f64; 2] {
    [length * angle.cos(), length * angle.sin()]
}

/// The probability that feature 0 is selected.
struct Row {
    activity: f64,
    growth_rates: [f64; 2],
    /// Starts of order one, with the standard error.
    order_one: (f64, f64),
    /// Small overlaps of uniform direction, in the limit.
    small: f64,
    /// Uninformative starts at finite N, with the confidence interval, if SGD is run.
    finite: Option<(f64, (f64, f64))>,
}

/// Probabilities at one activity, with SGD or without.
fn probabilities(arguments: &Arguments, activity: f64, with_sgd: bool) -> Outcome<Row> {
    let Arguments { dimension, runs, starts, seed, .. } = *arguments;
    let model = model(activity)?;
    let ode = ReducedOde::new(&model)?;
    let found = FixedPointFinder::new(&ode).find()?;
    let regions = AttractionRegions::of_fixed_points(&ode, &found.points)?;
    let alone = point_of_feature_0(&regions)?;
    // Overlaps of uniform direction and of length 0.1 to 0.8, R = 1.
    let starts = SobolStarts { dimensions: 2, points: starts, scrambles: 8, seed };
    let selection = regions.selection(starts, |u| state(polar(0.1 + 0.7 * u[1], FRAC_PI_2 * u[0]), 1.0))?;
    let uninformative = uninformative_points(&ode, 0.02, 20.0)?;
    let point = uninformative.first().ok_or("no uninformative state")?;
    let small = |angle: f64| state(polar(1e-3, angle), point.r);
    let limit = match regions.border(small, (0.05, FRAC_PI_2 - 1e-3), 1e-5) {
        Ok(border) => border.at / FRAC_PI_2,
        // One region alone: everything but the axis.
        Err(RegionsError::NoBorder { .. }) => 1.0,
        Err(error) => return Err(error.into()),
    };
    let start = |replicate: Replicate| ProjectedChain::builder(&model, dimension).build_seeded(replicate.seed);
    let stride = (dimension as u64 / 10).max(1);
    let run = || regions.selection_at_finite_size(&Ensemble::new(runs, seed.into()), (TIME_LIMIT, stride), start);
    let finite = with_sgd.then(run).transpose()?;
    Ok(Row {
        activity,
        growth_rates: [point.growth_rates[0], point.growth_rates[1]],
        order_one: selection.probability(alone).ok_or("no such point")?,
        small: limit,
        finite: finite.map(|finite| (finite.fraction(alone), finite.interval(alone, 0.95))),
    })
}

/// The number of the point at which feature 0 alone is selected.
fn point_of_feature_0(regions: &AttractionRegions<'_>) -> Outcome<usize> {
    let alone =
        |k: &usize| regions.images(*k)[0].center().cosine_similarity(0, 0).is_some_and(|cosine| cosine.abs() > 0.9);
    Ok((0..regions.points()).find(alone).ok_or("feature 0 is not selected anywhere")?)
}

/// Whether there is a stable state nearer to feature 1.
fn selects_feature_1(activity: f64) -> Outcome<bool> {
    let model = model(activity)?;
    let found = FixedPointFinder::new(&ReducedOde::new(&model)?).find()?;
    let cosine = |state: &OrderParameters, l: usize| state.cosine_similarity(l, 0).map_or(0.0, f64::abs);
    let nearer = |state: &OrderParameters| cosine(state, 1) > cosine(state, 0);
    Ok(found.stable().flat_map(|point| &point.images).any(nearer))
}

/// The q below which no stable state selects feature 1, if it lies between two of these.
fn jump(falling: &[f64]) -> Outcome<Option<f64>> {
    let selects = falling.iter().map(|&activity| selects_feature_1(activity)).collect::<Outcome<Vec<bool>>>()?;
    let Some(k) = selects.windows(2).position(|pair| pair[0] && !pair[1]) else { return Ok(None) };
    let (mut high, mut low) = (falling[k], falling[k + 1]);
    while high - low > JUMP_WIDTH {
        let middle = 0.5 * (low + high);
        if selects_feature_1(middle)? { high = middle } else { low = middle }
    }
    Ok(Some(high))
}

/// The state of those overlaps whose R is steady; an error where there is none.
fn on_slice(ode: &ReducedOde<'_>, q: [f64; 2]) -> Result<OrderParameters, OrderParametersError> {
    let least = q[0] * q[0] + q[1] * q[1];
    let (mut low, mut high) = (least + 1e-9, least + 2.0);
    let Ok(mut system) = ode.system(&state(q, high)?) else { return Err(OrderParametersError::NotFinite) };
    let mut falls = |r: f64| {
        let mut rates = [0.0; 3];
        system.rates(0.0, &[q[0], q[1], r], &mut rates).is_err() || rates[2] < 0.0
    };
    if falls(low) {
        // R falls to QᵀQ and takes Q with it: no slice here.
        return state(q, least - 1e-3);
    }
    for _ in 0..30 {
        let middle = 0.5 * (low + high);
        if falls(middle) { high = middle } else { low = middle }
    }
    state(q, 0.5 * (low + high))
}

/// Everything that is drawn of one model.
struct Portrait {
    activity: f64,
    map: RegionMap,
    feature_0: usize,
    /// By distance from the origin.
    border: Vec<(f64, f64)>,
    /// By angle.
    edge: Vec<(f64, f64)>,
    arrows: Vec<[(f64, f64); 2]>,
    solutions: Vec<Vec<(f64, f64)>>,
    points: Vec<((f64, f64), Stability)>,
}

fn portrait(arguments: &Arguments, activity: f64) -> Outcome<Portrait> {
    let model = model(activity)?;
    let ode = ReducedOde::new(&model)?.coefficient_tolerance(1e-8)?;
    let coarse = ReducedOde::new(&model)?.coefficient_tolerance(1e-4)?;
    let found = FixedPointFinder::new(&ode).find()?;
    let regions = AttractionRegions::of_fixed_points(&ode, &found.points)?;
    let slice = |a: f64, b: f64| on_slice(&coarse, [a, b]);
    let range = (0.0, WIDTH);
    let grid = Grid { a: range, b: range, columns: arguments.cells, rows: arguments.cells };
    let map = regions.map(grid, slice)?;
    let mut border: Vec<(f64, f64)> = regions.borders(&map, slice, 1e-2)?.into_iter().map(|(at, _)| at).collect();
    // Along the border the distance from the origin grows.
    border.sort_by(|x, y| x.0.hypot(x.1).total_cmp(&y.0.hypot(y.1)));
    Ok(Portrait {
        activity,
        feature_0: point_of_feature_0(&regions)?,
        map,
        border,
        edge: edge(&coarse),
        arrows: arrows(&coarse)?,
        solutions: solutions(&ode)?,
        points: in_view(&found),
    })
}

/// Where the slice ends, on rays from the origin.
fn edge(ode: &ReducedOde<'_>) -> Vec<(f64, f64)> {
    let on_ray = |k: u32| {
        let angle = FRAC_PI_2 * f64::from(k) / f64::from(EDGE_ANGLES);
        let (mut low, mut high) = (0.0, 2.0 * WIDTH);
        while high - low > 1e-4 {
            let middle = 0.5 * (low + high);
            if on_slice(ode, polar(middle, angle)).is_ok() { low = middle } else { high = middle }
        }
        let [x, y] = polar(low, angle);
        (x, y)
    };
    (0..=EDGE_ANGLES).map(on_ray).collect()
}

/// The flow on the slice: short where it is slow, but not as short as it is slow.
fn arrows(ode: &ReducedOde<'_>) -> Outcome<Vec<[(f64, f64); 2]>> {
    let mut arrows = Vec::new();
    for k in 0..ARROWS * ARROWS {
        let [x, y] = [k % ARROWS, k / ARROWS].map(|k| 0.03 + 0.057 * f64::from(k));
        let Ok(state) = on_slice(ode, [x, y]) else { continue };
        let rates = ode.rates(&state)?.q;
        let speed = rates.norm();
        let length = 0.045 * (speed / 0.1).powf(0.3).min(1.0);
        arrows.push([(x, y), (x + length * rates[(0, 0)] / speed, y + length * rates[(1, 0)] / speed)]);
    }
    Ok(arrows)
}

/// Solutions of the ODE from some starts.
fn solutions(ode: &ReducedOde<'_>) -> Outcome<Vec<Vec<(f64, f64)>>> {
    let (length, angles) = SOLUTIONS;
    let times: Vec<f64> = (0..=320).map(|k| 0.25 * f64::from(k)).collect();
    let solve = |angle: f64| {
        let solver = ode.solver().output(Output::Times(times.clone()));
        let path = solver.solve(&state(polar(length, angle.to_radians()), 1.0)?, 80.0)?;
        Ok(path.states().iter().map(|state| (state.q()[(0, 0)], state.q()[(1, 0)])).collect())
    };
    angles.into_iter().map(solve).collect()
}

/// Fixed points and their images with overlaps of no negative sign, but for the one without weights.
fn in_view(found: &FixedPoints) -> Vec<((f64, f64), Stability)> {
    let points = found.points.iter().filter(|point| point.kind != Kind::Collapsed);
    let images = points.flat_map(|point| point.images.iter().map(move |image| (image, point.stability)));
    let overlaps = images.map(|(image, stability)| ((image.q()[(0, 0)], image.q()[(1, 0)]), stability));
    overlaps.filter(|((a, b), _)| *a > -1e-6 && *b > -1e-6).collect()
}

fn tell(arguments: &Arguments, rows: &[Row], jump: Option<f64>) {
    let Arguments { dimension, runs, .. } = arguments;
    println!("Two features of second moment 2.25, feature 1 active with probability q; one neuron, tanh.");
    println!("Growth rates out of the uninformative state, and the probability that feature 0 is selected:");
    println!("order one: overlaps of length 0.1 to 0.8; small: vanishing overlaps of uniform direction, in the limit;");
    println!("SGD: {runs} uninformative starts at N = {dimension}, with 95 % intervals.\n");
    let heads = ["activity q", "growth rate 0", "growth rate 1", "P order one", "P small", "P SGD", "95 % interval"];
    let mut shown = table(heads);
    for row in rows {
        let Row { activity, growth_rates: [first, second], order_one: (p, e), small, finite } = row;
        let sgd = finite.map_or(["-".to_owned(), "-".to_owned()], |(fraction, (low, high))| {
            [format!("{fraction:.3}"), format!("{low:.3} to {high:.3}")]
        });
        let limit = [
            format!("{}", (activity * 1e4).round() / 1e4),
            format!("{first:.6}"),
            format!("{second:.6}"),
            format!("{p:.4} +- {e:.4}"),
            format!("{small:.4}"),
        ];
        shown.add_row(limit.into_iter().chain(sgd));
    }
    println!("{shown}\n");
    conclude(rows, jump);
}

fn conclude(rows: &[Row], jump: Option<f64>) {
    let apart = rows.iter().map(|row| (row.growth_rates[0] - row.growth_rates[1]).abs()).fold(0.0, f64::max);
    if apart < 1e-6 {
        println!("Equal second moments: at every q both features grow at the same rate, to {apart:.0e}.");
    } else {
        println!("The features grow at rates that differ by up to {apart:.1e}.");
    }
    let by_small = |a: &&Row, b: &&Row| a.small.total_cmp(&b.small);
    if let (Some(least), Some(most)) = (rows.iter().min_by(by_small), rows.iter().max_by(by_small)) {
        println!(
            "Yet from uninformative starts feature 0 is selected with probability {:.3} at q = {} and {:.3} at q = {}.",
            least.small, least.activity, most.small, most.activity
        );
    }
    if let Some(jump) = jump {
        println!("Below q = {jump:.4} (kurtosis {:.3}) no stable state selects feature 1.", 1.0 / jump);
    }
    let seen: Vec<_> = rows.iter().filter_map(|row| Some((row.small, row.finite?.1))).collect();
    let inside = seen.iter().filter(|(limit, (low, high))| low <= limit && limit <= high).count();
    println!("The probability in the limit lies in the 95 % interval of SGD at {inside} of {} activities.", seen.len());
}

fn tell_portraits(portraits: &[Portrait]) {
    for portrait in portraits {
        let area = portrait.map.fraction(portrait.feature_0);
        println!(
            "At q = {} the region of feature 0 is {:.3} +- {:.3} of the slice dR/dt = 0.",
            portrait.activity, area.fraction, area.error
        );
    }
}

const FLOW: Pen = Pen::new(GREEN).width(1.8);
const BORDER: Pen = Pen::new(INK).width(3.0);
const EDGE: Pen = Pen::new(GREY).width(1.0);
const JUMP: Pen = Pen::new(GREY).width(1.2).dashed(&[3, 3]);
const ORDER_ONE: Pen = Pen::new(RED).dashed(&[9, 4]);
const SMALL: Pen = Pen::new(BLUE);

fn draw(arguments: &Arguments, portraits: &[Portrait], rows: &[Row], jump: Option<f64>) -> Outcome {
    let finite = format!("uninformative starts, N = {}, with 95 % interval", arguments.dimension);
    let mut entries = vec![
        ("region of feature 0", Sign::Area(REGIONS[0], 1.0)),
        ("region of feature 1", Sign::Area(REGIONS[1], 1.0)),
        ("border", Sign::Line(BORDER)),
        ("edge of the slice", Sign::Line(EDGE)),
        ("flow on the slice", Sign::Arrow(GREY)),
        ("solutions from R = 1", Sign::Line(FLOW)),
    ];
    let marks = [
        ("stable point", Mark::Disk, Stability::Stable),
        ("saddle", Mark::Half, Stability::Saddle),
        ("unstable point", Mark::Ring, Stability::Unstable),
    ];
    let shown = |stability| portraits.iter().flat_map(|portrait| &portrait.points).any(|point| point.1 == stability);
    entries.extend(marks.into_iter().filter(|mark| shown(mark.2)).map(|mark| (mark.0, Sign::Mark(mark.1, INK))));
    entries.extend([
        ("starts of order one, N → ∞", Sign::Line(ORDER_ONE)),
        ("uninformative starts, N → ∞", Sign::Line(SMALL)),
        (finite.as_str(), Sign::Mark(Mark::Disk, BLUE)),
    ]);
    entries.extend(jump.map(|_| ("below: no stable state selects feature 1", Sign::Line(JUMP))));
    write(&arguments.out, "attraction_regions", (1380, 580), |canvas, root| {
        let rest = key(root, &entries)?;
        let areas = rest.split_evenly((1, portraits.len() + 1));
        for (area, portrait) in areas.iter().zip(portraits) {
            draw_portrait(canvas, area, portrait)?;
        }
        draw_probabilities(&areas[portraits.len()], rows, jump)
    })
}

fn draw_portrait(canvas: &mut Canvas, area: &Area<'_>, portrait: &Portrait) -> Outcome {
    let title = format!("feature 1 active with q = {}", portrait.activity);
    let [x, y] = ["overlap Q[0] with feature 0", "overlap Q[1] with feature 1"].map(|label| {
        // All portraits on one scale.
        Scale::linear(label, LOW..WIDTH)
    });
    let mut plot = Plot::new(area, &title, x, y)?;
    let white = RGBColor(255, 255, 255);
    plot.raster(canvas, [(0.0, 0.0), (WIDTH, WIDTH)], (DOTS, DOTS), |column, row| {
        let [x, y] = [column, row].map(|k| WIDTH * (k as f64 + 0.5) / DOTS as f64);
        portrait.region(x, y).map_or(white, |feature| REGIONS[feature])
    })?;
    plot.line(portrait.edge.iter().copied(), EDGE)?;
    for &[from, to] in &portrait.arrows {
        plot.arrow(from, to, GREY)?;
    }
    for solution in &portrait.solutions {
        plot.line(solution.iter().copied(), FLOW)?;
    }
    plot.line(portrait.border.iter().copied(), BORDER)?;
    for &(at, stability) in &portrait.points {
        let mark = match stability {
            Stability::Stable => Mark::Disk,
            Stability::Saddle => Mark::Half,
            _ => Mark::Ring,
        };
        plot.marks([at], mark, INK, 6.0)?;
    }
    Ok(())
}

impl Portrait {
    /// The feature whose region holds these overlaps; none beyond the edge of the slice.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // whole and not negative
    fn region(&self, x: f64, y: f64) -> Option<usize> {
        let (length, angle) = (x.hypot(y), y.atan2(x));
        let place = angle / FRAC_PI_2 * f64::from(EDGE_ANGLES);
        let k = (place as usize).min(EDGE_ANGLES as usize - 1);
        let lengths = [k, k + 1].map(|k| self.edge[k].0.hypot(self.edge[k].1));
        let edge = lengths[0] + (place - k as f64) * (lengths[1] - lengths[0]);
        if length > edge {
            return None;
        }
        match self.border_angle(length) {
            Some(border) => Some(usize::from(angle > border)),
            None => Some(usize::from(self.map.fraction(self.feature_0).fraction < 0.5)),
        }
    }

    /// The angle of the border at that distance from the origin, if there is a border.
    fn border_angle(&self, length: f64) -> Option<f64> {
        let polar = |at: &(f64, f64)| (at.0.hypot(at.1), at.1.atan2(at.0));
        let after = self.border.partition_point(|at| polar(at).0 < length);
        let before = polar(self.border.get(after.saturating_sub(1))?);
        let Some((far, angle)) = self.border.get(after).map(polar) else { return Some(before.1) };
        let part = if far > before.0 { ((length - before.0) / (far - before.0)).max(0.0) } else { 1.0 };
        Some(before.1 + part * (angle - before.1))
    }
}

fn draw_probabilities(area: &Area<'_>, rows: &[Row], jump: Option<f64>) -> Outcome {
    let title = "probability that feature 0 is selected";
    let ends = (rows.last().map_or(0.0, |row| row.activity), rows.first().map_or(1.0, |row| row.activity));
    let x = Scale::around("activity q of feature 1 (kurtosis 1/q)", [ends.0, ends.1]);
    let finite: Vec<_> = rows.iter().filter_map(|row| Some((row.activity, row.finite?))).collect();
    let limits = rows.iter().flat_map(|row| [row.small, row.order_one.0]);
    let values = limits.chain(finite.iter().flat_map(|(_, (_, (low, high)))| [*low, *high]));
    let mut plot = Plot::new(area, title, x, Scale::around("probability", values))?;
    if let Some(jump) = jump {
        plot.line([(jump, 0.45), (jump, 1.0)], JUMP)?;
    }
    for &(activity, (_, (low, high))) in &finite {
        plot.line([(activity, low), (activity, high)], Pen::new(BLUE).width(1.2))?;
    }
    plot.line(cut(rows, jump, |row| row.order_one.0), ORDER_ONE)?;
    plot.line(cut(rows, jump, |row| row.small), SMALL)?;
    plot.marks(finite.iter().map(|&(activity, (fraction, _))| (activity, fraction)), Mark::Disk, BLUE, 4.0)
}

/// A line over the activities, cut at the jump; below that feature 0 is all there is to select.
fn cut(rows: &[Row], jump: Option<f64>, y: impl Fn(&Row) -> f64) -> Vec<(f64, f64)> {
    let mut line = Vec::new();
    for (k, row) in rows.iter().enumerate() {
        if let Some(jump) = jump.filter(|&jump| k > 0 && row.activity < jump && jump <= rows[k - 1].activity) {
            line.extend([(jump, f64::NAN), (jump, y(row))]);
        }
        line.push((row.activity, y(row)));
    }
    line
}
