//! Which fixed points does training have, and where are they born? The branches of the reduced ODE over the strength η of the background,
//! with their stability and their bifurcations.
//!
//! Two features of unequal second moments compete for one neuron. The uninformative state is followed first, then every branch that leaves
//! at a pitchfork, then what leaves from those.
//!
//!     cargo run --release --example bifurcation -- --help

mod support;

use clap::Parser;
use contrastive_dynamics::prelude::*;
use contrastive_dynamics::stability::{
    Bifurcation, BifurcationKind, Branch, Continuation, CriticalError, CurveError, OdeCurve, ParameterFamily,
    critical_value, uninformative_points,
};
use support::picture::{BLUE, INK, Mark, Pen, Plot, RED, Scale, Sign, key, write};
use support::{Out, Outcome, table};

/// Which fixed points does training have, and where are they born? Follows the branches of the reduced ODE over the strength of the
/// background.
#[derive(Debug, Parser)]
struct Arguments {
    /// The second moments of the two hidden variables: a two-point and a three-point law.
    #[arg(long, num_args = 2, default_values_t = [2.25, 1.8], value_names = ["TWO_POINT", "THREE_POINT"])]
    second_moments: Vec<f64>,
    /// How often the three-point variable is not zero.
    #[arg(long, default_value_t = 0.5)]
    activity: f64,
    /// The variance of the augmentation noise.
    #[arg(long, default_value_t = 0.3)]
    variance: f64,
    /// The correlation of the augmentation noise between the views.
    #[arg(long, default_value_t = -0.5, allow_negative_numbers = true)]
    correlation: f64,
    /// The learning rate.
    #[arg(long, default_value_t = 0.3)]
    learning_rate: f64,
    /// The weight decay.
    #[arg(long, default_value_t = 0.5)]
    weight_decay: f64,
    /// The lowest strength of the background: its standard deviation η.
    #[arg(long, default_value_t = 0.7)]
    low: f64,
    /// The highest one, where the uninformative state is followed from.
    #[arg(long, default_value_t = 2.2)]
    high: f64,
    /// The longest step along a branch.
    #[arg(long, default_value_t = 0.02)]
    step: f64,
    #[command(flatten)]
    out: Out,
}

/// Overlaps below this are none.
const NONE: f64 = 1e-6;
/// Fixed points that are nearer to each other than this, in every entry, are the same.
const SAME: f64 = 1e-5;

fn main() -> std::process::ExitCode {
    support::told(example())
}

fn example() -> Outcome {
    let arguments = Arguments::parse();
    let model = model(&arguments)?;
    let ode = ReducedOde::new(&model)?;
    let found = Diagram::follow(&ode, &arguments)?;
    println!("Fixed points over the strength eta of the background: {} branches.", found.lines.len());
    println!("Mirror images, with signs of features or of the neuron changed, are left out.\n");
    found.print();
    for feature in 0..2 {
        found.conclude(&ode, feature, (arguments.low, arguments.high))?;
    }
    found.draw(&arguments)
}

type Trained = Model<f64, Tanh, Independent, GaussianNoise>;

fn model(arguments: &Arguments) -> Result<Trained, ModelError> {
    let moments = &arguments.second_moments;
    let laws = [Law::two_point(moments[0])?, Law::three_point(moments[1], arguments.activity)?];
    Model::builder()
        .nonlinearity(Tanh)
        .hidden(Independent::new(laws)?)
        .noise(GaussianNoise::correlated(arguments.variance, arguments.correlation)?)
        .learning_rate(arguments.learning_rate)
        .weight_decay(arguments.weight_decay)
        .build()
}

/// η, and the absolute cosine similarity with either feature.
type Point = (f64, [f64; 2]);

fn point(parameter: f64, state: &OrderParameters) -> Point {
    (parameter, [0, 1].map(|l| state.cosine_similarity(l, 0).unwrap_or(f64::NAN).abs()))
}

/// A branch with its bifurcations as vertices.
struct Line {
    vertices: Vec<Point>,
    /// Of the segment after each vertex but the last.
    stable: Vec<bool>,
}

impl Line {
    fn new(curve: &OdeCurve<'_>, branch: &Branch<f64, CurveError>) -> Self {
        let (mut vertices, mut stable) = (Vec::new(), Vec::new());
        for (k, at) in branch.points.iter().enumerate() {
            vertices.push(point(at.parameter, &curve.state(at.state.as_slice())));
            stable.push(at.is_stable());
            let Some(next) = branch.points.get(k + 1) else { continue };
            for event in branch.bifurcations.iter().filter(|event| event.after == k) {
                vertices.push(point(event.parameter, &curve.state(event.state.as_slice())));
                stable.push(next.is_stable());
            }
        }
        Self { vertices, stable }
    }

    fn ends_with(&self, other: &Self) -> bool {
        let (Some(x), Some(y)) = (self.vertices.last(), other.vertices.last()) else { return false };
        (x.0 - y.0).abs() < SAME && (x.1[0] - y.1[0]).abs() < 1e-4 && (x.1[1] - y.1[1]).abs() < 1e-4
    }

    /// The stretches of one stability.
    fn stretches(&self, stable: bool) -> impl Iterator<Item = &[Point]> {
        let mut start = 0;
        let parts = self.stable.chunk_by(|a, b| a == b).map(move |part| {
            start += part.len();
            (part[0], &self.vertices[start - part.len()..self.vertices.len().min(start + 1)])
        });
        parts.filter(move |part| part.0 == stable).map(|part| part.1)
    }
}

/// A bifurcation, and which overlaps are there or leave from it.
struct Event {
    what: String,
    bifurcation: Bifurcation,
    at: Point,
    concerns: [bool; 2],
}

impl Event {
    fn is_at(&self, other: &Bifurcation) -> bool {
        let apart = |(x, y): (&f64, &f64)| (x.abs() - y.abs()).abs();
        let states = self.bifurcation.state.iter().zip(&other.state).map(apart);
        states.chain([(self.bifurcation.parameter - other.parameter).abs()]).all(|distance| distance < SAME)
    }
}

/// Every branch that can be reached from the uninformative state.
struct Diagram {
    lines: Vec<Line>,
    events: Vec<Event>,
}

impl Diagram {
    fn follow(ode: &ReducedOde<'_>, arguments: &Arguments) -> Outcome<Self> {
        let start = ode.with_parameter(Parameter::BackgroundStd, arguments.high)?;
        let r = uninformative_points(&start, 1e-3, 20.0)?.first().ok_or("no uninformative state")?.r;
        let mut curve = OdeCurve::new(&start, Parameter::BackgroundStd)?;
        let plan = Continuation::new(arguments.low, arguments.high).steps(1e-9, arguments.step).downwards();
        let first = curve.coordinates(&OrderParameters::from_rows(2, 1, &[0.0, 0.0], &[r])?);
        let mut waiting = vec![plan.run(&mut curve, &first, arguments.high)?];
        let mut found = Self { lines: Vec::new(), events: Vec::new() };
        while let Some(branch) = waiting.pop() {
            found.lines.push(Line::new(&curve, &branch));
            for bifurcation in &branch.bifurcations {
                waiting.extend(found.visit(&mut curve, &plan, bifurcation)?);
            }
        }
        Ok(found)
    }

    /// Notes a bifurcation, and follows the branches that leave there.
    fn visit(
        &mut self,
        curve: &mut OdeCurve<'_>,
        plan: &Continuation,
        bifurcation: &Bifurcation,
    ) -> Outcome<Vec<Branch<f64, CurveError>>> {
        if self.events.iter().any(|event| event.is_at(bifurcation)) {
            return Ok(Vec::new());
        }
        // Nothing branches off at a fold.
        let ways = match bifurcation.kind {
            BifurcationKind::BranchPoint { .. } => plan.switch(curve, bifurcation)?,
            _ => Vec::new(),
        };
        let state = curve.state(bifurcation.state.as_slice());
        let moved = |l: usize| ways.iter().any(|way| curve.state(way.state.as_slice()).q()[(l, 0)].abs() > NONE);
        self.events.push(Event {
            what: bifurcation.kind.to_string(),
            bifurcation: bifurcation.clone(),
            at: point(bifurcation.parameter, &state),
            concerns: [0, 1].map(|l| state.q()[(l, 0)].abs() > NONE || moved(l)),
        });
        let mut branches = Vec::new();
        for way in ways {
            // Signs of features and of the neuron are symmetries: one image of each is enough.
            if curve.state(way.direction.as_slice()).q().iter().any(|&q| q < -NONE) {
                continue;
            }
            let branch = plan.run_from(curve, &way)?;
            let line = Line::new(curve, &branch);
            if !self.lines.iter().any(|known| known.ends_with(&line)) {
                branches.push(branch);
            }
        }
        Ok(branches)
    }

    fn print(&self) {
        let mut rows = table(["bifurcation", "feature", "eta", "error", "|cos[0]|", "|cos[1]|"]);
        for Event { what, bifurcation, at: (eta, cosines), concerns } in &self.events {
            let features: Vec<String> = (0..2).filter(|&l| concerns[l]).map(|l| l.to_string()).collect();
            let [first, second] = cosines.map(|cosine| format!("{cosine:.4}"));
            let (eta, error) = (format!("{eta:.8}"), format!("{:.0e}", bifurcation.parameter_error));
            rows.add_row([what.clone(), features.join(", "), eta, error, first, second]);
        }
        println!("{rows}\n");
    }

    /// The highest η at which a stable fixed point has learned a feature.
    fn last_stable(&self, feature: usize) -> Option<f64> {
        let learned = |line: &Line| -> Vec<f64> {
            let stable = line.stretches(true).flatten();
            stable.filter(|(_, cosines)| cosines[feature] > NONE).map(|(eta, _)| *eta).collect()
        };
        self.lines.iter().flat_map(learned).reduce(f64::max)
    }

    /// Says where a feature leaves the uninformative state, and where it is kept.
    fn conclude(&self, ode: &ReducedOde<'_>, feature: usize, (low, high): (f64, f64)) -> Outcome {
        let family = ParameterFamily::new(ode, Parameter::BackgroundStd);
        let critical = match critical_value(&family, feature, (low, high), 1e-9) {
            Ok(critical) => critical,
            Err(CriticalError::NotBracketed { low: end, .. }) => {
                let is = if end.rate > 0.0 { "grows" } else { "does not grow" };
                println!("Feature {feature} {is} out of the uninformative state over the whole range of eta.");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let (side, eta) = (if critical.bracket.0.rate > 0.0 { "below" } else { "above" }, critical.parameter);
        print!("Feature {feature} grows out of the uninformative state {side} eta = {eta:.8}");
        match self.last_stable(feature) {
            None => println!("; no fixed point that has learned it is stable."),
            Some(last) if side == "below" && last > eta + 1e-3 => println!(
                ".\nA fixed point that has learned it is stable up to eta = {last:.4}: in between the feature is kept once it is \
                 learned, but not found from there."
            ),
            Some(last) => println!("; a fixed point that has learned it is stable up to eta = {last:.4}."),
        }
        Ok(())
    }

    fn draw(&self, arguments: &Arguments) -> Outcome {
        let pens = [(true, Pen::new(BLUE).width(3.0)), (false, Pen::new(RED).width(1.4).dashed(&[6, 4]))];
        write(&arguments.out, "bifurcation", (960, 460), |_, root| {
            let entries = [
                ("stable fixed point", Sign::Line(pens[0].1)),
                ("unstable", Sign::Line(pens[1].1)),
                ("bifurcation", Sign::Mark(Mark::Ring, INK)),
            ];
            let rest = key(root, &entries)?;
            for (feature, area) in rest.split_evenly((1, 2)).iter().enumerate() {
                let title = format!("Fixed points without and with feature {feature}");
                let x =
                    Scale::linear("strength η of the background (standard deviation)", arguments.low..arguments.high);
                let x = x.ticks(8);
                let y =
                    Scale::linear(format!("cosine similarity with feature {feature}, |cos[{feature}]|"), -0.04..1.02);
                let mut plot = Plot::new(area, &title, x, y)?;
                for (stable, pen) in pens {
                    for stretch in self.lines.iter().flat_map(|line| line.stretches(stable)) {
                        plot.line(stretch.iter().map(|point| shown(point, feature)), pen)?;
                    }
                }
                let here = self.events.iter().filter(|event| event.concerns[feature]);
                plot.marks(here.map(|event| (event.at.0, event.at.1[feature])), Mark::Ring, INK, 4.5)?;
            }
            Ok(())
        })
    }
}

/// A point on the panel of a feature: none where only the other one is learned.
fn shown((eta, cosines): &Point, feature: usize) -> (f64, f64) {
    let other_alone = cosines[feature] <= NONE && cosines[1 - feature] > NONE;
    (*eta, if other_alone { f64::NAN } else { cosines[feature] })
}
