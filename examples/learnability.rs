//! Which features can be learned from an uninformative start? Only the second moment of a hidden variable decides: the first finding of the
//! letter.
//!
//! In the uninformative state the weights overlap with no feature. Hidden variables of one second moment, whatever their higher moments,
//! leave it at one growth rate μ, and are learnable (μ > 0) from one critical second moment on. That is the table, and the left panel. The
//! right panel is the map of two features over the plane of augmentation noise: its variance, and its correlation between the views. The
//! lines in it are the curves μ = 0, found as roots.
//!
//!     cargo run --release [--features parallel] --example learnability -- --help

mod support;

use std::ops::ControlFlow;

use clap::Parser;
use contrastive_dynamics::parallel::{Executor, Local};
use contrastive_dynamics::prelude::*;
use contrastive_dynamics::stability::{
    CriticalError, ModelFamily, OdeFamily, ParameterFamily, PhaseDiagram, attracting_learnability, critical_value,
};
use support::picture::{
    Area, BLUE, Canvas, GREY, INK, Mark, ORANGE, Pen, Plot, RED, RGBColor, SKY, Scale, Sign, key, write,
};
use support::{Out, Outcome, progress, table};

/// Which features can be learned from an uninformative start? Compares laws of one second moment, and maps two features over the plane of
/// augmentation noise.
#[derive(Debug, Parser)]
struct Arguments {
    /// The second moments of the two features of the map. The laws of the table have the first one.
    #[arg(long, num_args = 2, default_values_t = [2.25, 1.8], value_names = ["FIRST", "SECOND"])]
    second_moments: Vec<f64>,
    /// The variance of the noise at which laws are compared.
    #[arg(long, default_value_t = 0.3)]
    variance: f64,
    /// The correlation of that noise between the views.
    #[arg(long, default_value_t = -0.5, allow_negative_numbers = true)]
    correlation: f64,
    /// The learning rate.
    #[arg(long, default_value_t = 0.3)]
    learning_rate: f64,
    /// The weight decay.
    #[arg(long, default_value_t = 0.5)]
    weight_decay: f64,
    /// The strength of the background: its standard deviation.
    #[arg(long, default_value_t = 1.0)]
    background: f64,
    /// The largest variance of the noise in the map.
    #[arg(long, default_value_t = 3.0)]
    most_noise: f64,
    /// The cells of the map along the variance.
    #[arg(long, default_value_t = 60)]
    columns: u32,
    /// The cells of the map along the correlation.
    #[arg(long, default_value_t = 40)]
    rows: u32,
    #[command(flatten)]
    out: Out,
}

/// Points of a critical curve.
const CURVE: u32 = 64;
/// To which width critical values are bracketed, in the table and on the curves.
const NARROW: f64 = 1e-9;
const ON_CURVES: f64 = 1e-5;

type Trained = Model<f64, Tanh, Independent, GaussianNoise>;

impl Arguments {
    fn model<const P: usize>(&self, laws: [Law; P], variance: f64, correlation: f64) -> Result<Trained, ModelError> {
        Model::builder()
            .nonlinearity(Tanh)
            .hidden(Independent::new(laws)?)
            .noise(GaussianNoise::correlated(variance, correlation)?)
            .learning_rate(self.learning_rate)
            .weight_decay(self.weight_decay)
            .background_std(self.background)
            .build()
    }

    /// The model of the map. Only second moments enter, so the cheapest laws will do.
    fn two_features(&self, variance: f64, correlation: f64) -> Result<Trained, ModelError> {
        let moments = &self.second_moments;
        self.model([Law::two_point(moments[0])?, Law::two_point(moments[1])?], variance, correlation)
    }
}

fn main() -> std::process::ExitCode {
    support::told(example())
}

fn example() -> Outcome {
    let arguments = Arguments::parse();
    let laws = compare_laws(&arguments)?;
    let diagram = map(&arguments)?;
    let curves = [critical_curve(&arguments, 0)?, critical_curve(&arguments, 1)?];
    for feature in 0..2 {
        describe(&arguments, &diagram, feature, &curves[feature]);
    }
    draw(&arguments, &laws, &diagram, &curves)
}

/// A law with what it leaves the uninformative state with.
struct Row {
    name: &'static str,
    /// E[c⁴]/E[c²]².
    kurtosis: f64,
    growth: f64,
    /// The second moment from which on it is learnable, if there is one.
    critical: Option<f64>,
    /// (second moment, growth rate).
    line: Vec<(f64, f64)>,
}

fn compare_laws(arguments: &Arguments) -> Outcome<Vec<Row>> {
    let moment = arguments.second_moments[0];
    let laws = [
        ("two-point", Law::two_point(moment)?),
        ("uniform", Law::uniform(moment)?),
        ("Gaussian", Law::gaussian(moment)?),
        ("skewed, two values", Law::skewed(moment, 0.2)?),
        ("Laplace", Law::laplace(moment)?),
        ("three-point, active one time in ten", Law::three_point(moment, 0.1)?),
    ];
    let count = laws.len();
    let rows = laws.into_iter().enumerate().map(|(k, (name, law))| row(arguments, name, law, (k, count)));
    let rows: Vec<Row> = rows.collect::<Outcome<_>>()?;
    println!(
        "Laws of a hidden variable c with E[c^2] = {moment}: how fast a small overlap grows, and from which second"
    );
    println!("moment on it grows at all.\n");
    let mut lines = table(["law", "E[c^4]/E[c^2]^2", "growth rate mu", "critical E[c^2]"]);
    for Row { name, kurtosis, growth, critical, .. } in &rows {
        let critical = critical.map_or("-".into(), |critical| format!("{critical:.10}"));
        lines.add_row([(*name).to_owned(), format!("{kurtosis:.2}"), format!("{growth:.10}"), critical]);
    }
    println!("{lines}\n");
    conclude(arguments, &rows)?;
    Ok(rows)
}

fn row(arguments: &Arguments, name: &'static str, law: Law, (place, count): (usize, usize)) -> Outcome<Row> {
    let (moment, kurtosis) = (law.second_moment(), law.fourth_moment() / law.second_moment().powi(2));
    let model = arguments.model([law], arguments.variance, arguments.correlation)?;
    let ode = ReducedOde::new(&model)?;
    let family = ParameterFamily::new(&ode, Parameter::SecondMoment(0));
    let critical = root(&family, 0, (0.05 * moment, 20.0 * moment), NARROW)?;
    let growth = |moment: f64| -> Outcome<f64> {
        let learnability = attracting_learnability(&ode.with_parameter(Parameter::SecondMoment(0), moment)?)?;
        Ok(learnability.growth(0).ok_or("no feature")?)
    };
    // Each law has places of its own, so that marks do not cover each other.
    let places = (0..4).map(|k| 2.0 * moment * (k * count + place + 1) as f64 / (4 * count) as f64);
    let line = places.map(|moment| Ok((moment, growth(moment)?))).collect::<Outcome<_>>()?;
    Ok(Row { name, kurtosis, growth: growth(moment)?, critical, line })
}

/// The critical value, or none if the growth rate keeps its sign.
fn root(family: &impl OdeFamily, mode: usize, range: (f64, f64), width: f64) -> Outcome<Option<f64>> {
    match critical_value(family, mode, range, width) {
        Ok(critical) => Ok(Some(critical.parameter)),
        Err(CriticalError::NotBracketed { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// How far apart the largest and the smallest are.
fn spread(values: impl IntoIterator<Item = f64>) -> f64 {
    let (low, high) = values.into_iter().fold((f64::INFINITY, -f64::INFINITY), |(a, b), x| (a.min(x), b.max(x)));
    (high - low).max(0.0)
}

/// Says whether the laws differ, by the measure of what a second moment larger by a hundredth would do.
fn conclude(arguments: &Arguments, rows: &[Row]) -> Outcome {
    let moment = 1.01 * arguments.second_moments[0];
    let larger = row(arguments, "", Law::two_point(moment)?, (0, 1))?;
    let effect = (larger.growth - rows[0].growth).abs();
    let growth = spread(rows.iter().map(|row| row.growth));
    let critical = spread(rows.iter().filter_map(|row| row.critical));
    let verdict = if growth < 1e-3 * effect { "Only the second moment decides" } else { "The laws differ" };
    println!(
        "{verdict}: between these laws mu differs by {growth:.0e} and the critical second moment by {critical:.0e},"
    );
    println!("while a second moment larger by one per cent changes mu by {effect:.0e}.\n");
    Ok(())
}

/// The middles of so many equal parts of a range.
fn middles(low: f64, high: f64, count: u32) -> Vec<f64> {
    (0..count).map(|k| low + (high - low) * (f64::from(k) + 0.5) / f64::from(count)).collect()
}

fn map(arguments: &Arguments) -> Outcome<PhaseDiagram> {
    let variances = middles(0.0, arguments.most_noise, arguments.columns);
    let correlations = middles(-1.0, 1.0, arguments.rows);
    let bar = progress(variances.len() * correlations.len(), "cells of the map")?;
    let observe = |_, _| {
        bar.inc(1);
        ControlFlow::Continue(())
    };
    let model = |variance, correlation| arguments.two_features(variance, correlation);
    let diagram = PhaseDiagram::of_models_with(&Local::default(), &variances, &correlations, model, observe);
    bar.finish_and_clear();
    Ok(diagram)
}

/// The critical variance at each of many correlations, and where the curve leaves the map: (variance, correlation).
fn critical_curve(arguments: &Arguments, feature: usize) -> Outcome<Vec<(f64, f64)>> {
    let most = arguments.most_noise;
    let place = |k: u64| 2.0 * k as f64 / f64::from(CURVE) - 1.0;
    let at = |correlation: f64| {
        let family = ModelFamily(|variance| arguments.two_features(variance, correlation));
        root(&family, feature, (0.0, most), ON_CURVES).map_err(|error| error.to_string())
    };
    let roots = Local::default().map(0..u64::from(CURVE) + 1, &|k| at(place(k)));
    let edge = ModelFamily(|correlation| arguments.two_features(most, correlation));
    let mut curve: Vec<(f64, f64)> = Vec::new();
    let mut before = None;
    for (k, found) in (0..).zip(roots) {
        let found = found?;
        if k > 0 && found.is_some() != before.is_some() {
            let leaves = root(&edge, feature, (place(k - 1), place(k)), ON_CURVES)?;
            curve.extend(leaves.map(|correlation| (most, correlation)));
        }
        curve.push((found.unwrap_or(f64::NAN), place(k)));
        before = found;
    }
    Ok(curve)
}

/// Which of the features grow in a cell; none where there is no uninformative state that attracts.
fn learnable(diagram: &PhaseDiagram, column: usize, row: usize) -> Option<[bool; 2]> {
    let grows = |feature| Some(diagram.growth(column, row, feature)? > 0.0);
    Some([grows(0)?, grows(1)?])
}

/// Says where a feature is learnable.
fn describe(arguments: &Arguments, diagram: &PhaseDiagram, feature: usize, curve: &[(f64, f64)]) {
    let (columns, rows) = (diagram.first.len(), diagram.second.len());
    let cells = (0..columns).flat_map(|i| (0..rows).map(move |j| (i, j)));
    let count = cells.filter(|&(i, j)| learnable(diagram, i, j).is_some_and(|grows| grows[feature])).count();
    print!("Feature {feature}, of second moment {}, is learnable", arguments.second_moments[feature]);
    println!(" in {:.1} % of the plane of noise.", 100.0 * count as f64 / (columns * rows) as f64);
    let inside = curve.iter().filter(|point| point.0.is_finite());
    if curve.iter().any(|point| point.0.is_nan()) {
        println!("At some correlations it still is at the largest variance, {}.", arguments.most_noise);
    } else if let Some((variance, correlation)) = inside.copied().max_by(|x, y| x.0.total_cmp(&y.0)) {
        println!("It bears most noise at a correlation of {correlation:.2}: variances up to {variance:.4}.");
    }
}

/// Marks and colours of the laws.
const LAWS: [(Mark, RGBColor); 6] = [
    (Mark::Disk, INK),
    (Mark::Square, BLUE),
    (Mark::Ring, RED),
    (Mark::Cross, INK),
    (Mark::Half, BLUE),
    (Mark::Square, ORANGE),
];

/// No feature, feature 0 alone, feature 1 alone, both, and where there is no answer.
const NEITHER: RGBColor = RGBColor(238, 238, 238);
const MAP: [(&str, RGBColor); 4] =
    [("neither feature", NEITHER), ("feature 0 alone", SKY), ("feature 1 alone", ORANGE), ("both features", BLUE)];
const CURVES: [(&str, Pen); 2] =
    [("μ = 0 of feature 0", Pen::new(INK)), ("μ = 0 of feature 1", Pen::new(INK).dashed(&[8, 5]))];

fn color(diagram: &PhaseDiagram, column: usize, row: usize) -> RGBColor {
    learnable(diagram, column, row).map_or(GREY, |[first, second]| MAP[usize::from(first) + 2 * usize::from(second)].1)
}

fn draw(arguments: &Arguments, laws: &[Row], diagram: &PhaseDiagram, curves: &[Vec<(f64, f64)>; 2]) -> Outcome {
    write(&arguments.out, "learnability", (1000, 560), |canvas, root| {
        let marks = laws.iter().zip(LAWS).map(|(law, (mark, color))| (law.name, Sign::Mark(mark, color)));
        let shown = |k: usize| {
            (0..diagram.first.len()).any(|i| (0..diagram.second.len()).any(|j| color(diagram, i, j) == MAP[k].1))
        };
        let areas = (0..4).filter(|&k| shown(k)).map(|k| (MAP[k].0, Sign::Area(MAP[k].1, 1.0)));
        let lines = CURVES.map(|(name, pen)| (name, Sign::Line(pen)));
        let entries: Vec<(&str, Sign)> = marks.chain(areas).chain(lines).collect();
        let rest = key(root, &entries)?;
        let areas = rest.split_evenly((1, 2));
        draw_laws(&areas[0], laws)?;
        draw_map(canvas, &areas[1], arguments, diagram, curves)
    })
}

/// Growth rates over the second moment: one line, and marks of all laws on it.
fn draw_laws(area: &Area<'_>, laws: &[Row]) -> Outcome {
    let mut all: Vec<(f64, f64)> = laws.iter().flat_map(|law| law.line.iter().copied()).collect();
    all.sort_by(|x, y| x.0.total_cmp(&y.0));
    let last = all.last().map_or(1.0, |point| point.0);
    let (x, y) = (
        Scale::linear("second moment E[c²]", 0.0..1.04 * last),
        Scale::around("growth rate μ", all.iter().map(|point| point.1)),
    );
    let mut plot = Plot::new(area, "Growth out of the uninformative state", x, y)?;
    plot.line([(0.0, 0.0), (1.04 * last, 0.0)], Pen::new(GREY).width(1.0))?;
    plot.line(all, Pen::new(GREY).width(1.4))?;
    for (law, (mark, color)) in laws.iter().zip(LAWS) {
        plot.marks(law.line.iter().copied(), mark, color, 4.5)?;
    }
    if let Some(critical) = laws[0].critical {
        plot.text((1.05 * critical, -0.02), &format!("critical second moment {critical:.4}"), INK)?;
    }
    Ok(())
}

fn draw_map(
    canvas: &mut Canvas,
    area: &Area<'_>,
    arguments: &Arguments,
    diagram: &PhaseDiagram,
    curves: &[Vec<(f64, f64)>; 2],
) -> Outcome {
    let x = Scale::linear("variance σ² of the augmentation noise", 0.0..arguments.most_noise);
    let y = Scale::linear("its correlation ρ between the views", -1.0..1.0);
    let mut plot = Plot::new(area, "Learnable from an uninformative start", x, y)?;
    let corners = [(0.0, -1.0), (arguments.most_noise, 1.0)];
    plot.raster(canvas, corners, (diagram.first.len(), diagram.second.len()), |i, j| color(diagram, i, j))?;
    for (curve, (_, pen)) in curves.iter().zip(CURVES) {
        plot.line(curve.iter().copied(), pen)?;
    }
    Ok(())
}
