//! How fixed points of training are born: branches of the reduced ODE over the strength of the background, followed from
//! the uninformative state through its pitchforks and on from each branch, with stability and bifurcations; and where in
//! the plane of augmentation noise a feature can be learned from an uninformative start.
//!
//! ```text
//! cargo run --release --features parallel --example bifurcation
//! ```

mod picture;

use std::error::Error;

use contrastive_dynamics::limit::Parameter;
use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, ModelError, Tanh};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::stability::{
    Bifurcation, BifurcationKind, Branch, Continuation, CurveError, OdeCurve, ParameterFamily, PhaseDiagram,
    critical_value, uninformative_points,
};
use contrastive_dynamics::state::OrderParameters;
use plotters::prelude::*;

/// The range of η.
const RANGE: [f64; 2] = [0.7, 2.2];

type Outcome<T> = Result<T, Box<dyn Error>>;
type Trained = Model<f64, Tanh, Independent, GaussianNoise>;

/// Two features of unequal second moments.
fn model(noise: GaussianNoise) -> Result<Trained, ModelError> {
    let hidden = Independent::new([Law::two_point(2.25)?, Law::three_point(1.8, 0.5)?])?;
    Model::builder().nonlinearity(Tanh).hidden(hidden).noise(noise).learning_rate(0.3).weight_decay(0.5).build()
}

fn main() -> Outcome<()> {
    let model = model(GaussianNoise::correlated(0.3, -0.5)?)?;
    let ode = ReducedOde::new(&model)?;
    let (branches, events) = follow_all(&ode)?;
    println!("{} branches; bifurcations:", branches.len());
    for (kind, event) in &events {
        println!("  eta = {:.8} +- {:.0e}: {kind}", event.parameter, event.parameter_error);
    }
    for mode in 0..2 {
        let family = ParameterFamily::new(&ode, Parameter::BackgroundStd);
        let critical = critical_value(&family, mode, (RANGE[0], RANGE[1]), 1e-9)?;
        println!("feature {mode}: the growth rate changes sign at eta = {:.8}", critical.parameter);
    }
    draw_branches(&branches, &events)?;

    let (variances, correlations) = (spaced(0.05, 3.0, 60), spaced(-1.0, 1.0, 41));
    let diagram = PhaseDiagram::of_models(&variances, &correlations, model_at);
    draw_learnability(&diagram)?;
    let cells = diagram.first.len() * diagram.second.len();
    for mode in 0..2 {
        let grows = |&(i, j): &(usize, usize)| diagram.growth(i, j, mode).is_some_and(|rate| rate > 0.0);
        let all = (0..diagram.first.len()).flat_map(|i| (0..diagram.second.len()).map(move |j| (i, j)));
        println!("feature {mode} is learnable in {} of {cells} cells", all.filter(grows).count());
    }
    Ok(())
}

fn model_at(variance: f64, correlation: f64) -> Result<Trained, ModelError> {
    model(GaussianNoise::correlated(variance, correlation)?)
}

fn spaced(low: f64, high: f64, count: usize) -> Vec<f64> {
    (0..count).map(|k| low + (high - low) * k as f64 / (count - 1) as f64).collect()
}

/// A point of a picture: η, and the cosine similarity with either feature.
type Shown = (f64, [f64; 2]);

/// A branch as it is drawn, with the stability of every point.
struct Line {
    points: Vec<Shown>,
    stable: Vec<bool>,
}

type Event = (String, Bifurcation);

/// Every branch that can be reached from the uninformative state by switching, mirror images left out.
fn follow_all(ode: &ReducedOde<'_>) -> Outcome<(Vec<Line>, Vec<Event>)> {
    let start = ode.with_parameter(Parameter::BackgroundStd, RANGE[1])?;
    let r = uninformative_points(&start, 1e-3, 20.0)?.first().ok_or("no uninformative state")?.r;
    let mut curve = OdeCurve::new(&start, Parameter::BackgroundStd)?;
    let plan = Continuation::new(RANGE[0], RANGE[1]).steps(1e-9, 0.02).downwards();
    let first = curve.coordinates(&OrderParameters::from_rows(2, 1, &[0.0, 0.0], &[r])?);
    let mut waiting = vec![plan.run(&mut curve, &first, RANGE[1])?];
    let (mut lines, mut events): (Vec<Line>, Vec<Event>) = (Vec::new(), Vec::new());
    while let Some(branch) = waiting.pop() {
        lines.push(line(&curve, &branch));
        for event in &branch.bifurcations {
            let seen = |other: &Event| {
                let far =
                    other.1.state.iter().zip(&event.state).fold(0.0, |d: f64, (x, y)| d.max((x.abs() - y.abs()).abs()));
                far < 1e-5 && (other.1.parameter - event.parameter).abs() < 1e-6
            };
            if events.iter().any(seen) {
                continue;
            }
            events.push((event.kind.to_string(), event.clone()));
            // Nothing branches off at a fold.
            if !matches!(event.kind, BifurcationKind::BranchPoint { .. }) {
                continue;
            }
            for way in plan.switch(&mut curve, event)? {
                // Signs of features and of the neuron are symmetries: one image of each is enough.
                if curve.state(way.direction.as_slice()).q().iter().any(|&q| q < -1e-6) {
                    continue;
                }
                let side = plan.run_from(&mut curve, &way)?;
                if !lines.iter().any(|known| same(known, &line(&curve, &side))) {
                    waiting.push(side);
                }
            }
        }
    }
    Ok((lines, events))
}

/// Whether two branches end at the same point.
fn same(x: &Line, y: &Line) -> bool {
    let (Some(x), Some(y)) = (x.points.last(), y.points.last()) else { return false };
    (x.0 - y.0).abs() < 1e-6 && (x.1[0] - y.1[0]).abs() < 1e-4 && (x.1[1] - y.1[1]).abs() < 1e-4
}

fn line(curve: &OdeCurve<'_>, branch: &Branch<f64, CurveError>) -> Line {
    let shown = |parameter: f64, x: &[f64]| {
        let state = curve.state(x);
        (parameter, [0, 1].map(|l| state.cosine_similarity(l, 0).unwrap_or(f64::NAN).abs()))
    };
    Line {
        points: branch.points.iter().map(|point| shown(point.parameter, point.state.as_slice())).collect(),
        stable: branch.points.iter().map(contrastive_dynamics::stability::BranchState::is_stable).collect(),
    }
}

const STABLE: RGBColor = RGBColor(0, 90, 181);
const UNSTABLE: RGBColor = RGBColor(220, 50, 32);

fn draw_branches(branches: &[Line], events: &[Event]) -> Outcome<()> {
    picture::write("bifurcation.svg", (960, 460), |root| {
        for (feature, area) in root.split_evenly((1, 2)).iter().enumerate() {
            let mut chart = ChartBuilder::on(area)
                .caption(format!("fixed points: feature {}", feature + 1), ("sans-serif", 18))
                .margin(12)
                .x_label_area_size(44)
                .y_label_area_size(52)
                .build_cartesian_2d(RANGE[0]..RANGE[1], -0.03..1.0)?;
            chart
                .configure_mesh()
                .x_desc("background strength")
                .y_desc("cosine similarity")
                .label_style(("sans-serif", 13))
                .axis_desc_style(("sans-serif", 15))
                .light_line_style(WHITE)
                .bold_line_style(BLACK.mix(0.08))
                .draw()?;
            for branch in branches {
                for (pair, stable) in branch.points.windows(2).zip(&branch.stable) {
                    let ends = pair.iter().map(|point| (point.0, point.1[feature]));
                    let style = if *stable { STABLE.stroke_width(3) } else { UNSTABLE.stroke_width(1) };
                    chart.draw_series(LineSeries::new(ends, style))?;
                }
            }
            for (_, event) in events {
                let (q, r) = (event.state[feature], event.state[2]);
                let place = (event.parameter, (q / r.sqrt()).abs());
                chart.draw_series([Circle::new(place, 5, BLACK.stroke_width(2))])?;
            }
            if feature == 0 {
                chart
                    .draw_series(LineSeries::new([], STABLE.stroke_width(3)))?
                    .label("stable")
                    .legend(|(x, y)| PathElement::new([(x, y), (x + 24, y)], STABLE.stroke_width(3)));
                chart
                    .draw_series(LineSeries::new([], UNSTABLE.stroke_width(1)))?
                    .label("unstable")
                    .legend(|(x, y)| PathElement::new([(x, y), (x + 24, y)], UNSTABLE.stroke_width(1)));
                chart
                    .draw_series([] as [Circle<(f64, f64), i32>; 0])?
                    .label("bifurcation")
                    .legend(|(x, y)| Circle::new((x + 12, y), 5, BLACK.stroke_width(2)));
                chart
                    .configure_series_labels()
                    .position(SeriesLabelPosition::MiddleLeft)
                    .background_style(WHITE.mix(0.9))
                    .border_style(BLACK.mix(0.3))
                    .label_font(("sans-serif", 13))
                    .draw()?;
            }
        }
        Ok(())
    })
}

fn draw_learnability(diagram: &PhaseDiagram) -> Outcome<()> {
    picture::write("learnability.svg", (700, 500), |root| {
        let (variances, correlations) = (&diagram.first, &diagram.second);
        let half = |x: &[f64]| 0.5 * (x[1] - x[0]);
        let (dx, dy) = (half(variances), half(correlations));
        let mut chart = ChartBuilder::on(root)
            .caption("Learnable from an uninformative start", ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(46)
            .y_label_area_size(56)
            .build_cartesian_2d(0.05 - dx..3.0 + dx, -1.0 - dy..1.0 + dy)?;
        chart
            .configure_mesh()
            .x_desc("variance of isotropic augmentation noise")
            .y_desc("its correlation between views")
            .disable_mesh()
            .label_style(("sans-serif", 14))
            .axis_desc_style(("sans-serif", 16))
            .draw()?;
        let colors = [RGBColor(235, 235, 235), RGBColor(150, 190, 230), STABLE];
        for (i, &variance) in variances.iter().enumerate() {
            for (j, &correlation) in correlations.iter().enumerate() {
                let grows = |mode: usize| diagram.growth(i, j, mode).map(|rate| usize::from(rate > 0.0));
                let Some(learnable) = grows(0).and_then(|first| Some(first + grows(1)?)) else { continue };
                let corners = [(variance - dx, correlation - dy), (variance + dx, correlation + dy)];
                chart.draw_series([Rectangle::new(corners, colors[learnable].filled())])?;
            }
        }
        for (label, color) in ["no feature", "feature 1", "both features"].into_iter().zip(colors) {
            chart
                .draw_series([] as [Circle<(f64, f64), i32>; 0])?
                .label(label)
                .legend(move |(x, y)| Rectangle::new([(x + 4, y - 6), (x + 20, y + 6)], color.filled()));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE.mix(0.9))
            .border_style(BLACK.mix(0.3))
            .label_font(("sans-serif", 14))
            .draw()?;
        Ok(())
    })
}
