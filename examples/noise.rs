//! What does noise between the views do to what is learned? It depends on where the noise acts, and on how it is correlated: the third
//! finding of the letter.
//!
//! One feature, one neuron, tanh. First the variance of the gradient (tr Λ) at one fixed state. Then three numbers over the variance σ² of
//! the noise, for several correlations ρ between the views: the cosine similarity of weights and feature at rest, tr Λ there, and the growth
//! rate μ of the feature out of the uninformative state. The noise acts everywhere (isotropic), or in the background alone.
//!
//! Isotropic noise lowers the similarity, and negative correlation recovers a part; in the background alone it beats no noise at all. At one
//! and the same state, if the outputs are nearly linear in the weights, tr Λ is smaller the more negative ρ is. At the state where each comes
//! to rest that holds for noise in the background alone; with isotropic noise it is larger: the similarity is recovered by the drift.
//!
//!     cargo run --release [--features parallel] --example noise -- --help

mod support;

use std::ops::ControlFlow;

use clap::Parser;
use contrastive_dynamics::parallel::{Executor, Local};
use contrastive_dynamics::prelude::*;
use contrastive_dynamics::stability::{OptimumError, attracting_learnability, maximum, steady_state};
use indicatif::ProgressBar;
use support::interrupt::{ended, flag};
use support::picture::{BLUE, GREY, INK, ORANGE, Pen, Plot, RED, SKY, Scale, Sign, key, write};
use support::{Out, Outcome, progress, table};

/// What does noise between the views do to what is learned? Steady states over the variance of the noise, for several correlations.
#[derive(Debug, Parser)]
struct Arguments {
    /// Correlations of the noise between the views, at most five.
    #[arg(long, value_delimiter = ',', default_values_t = [-1.0, -0.5, 0.0, 0.5, 1.0], allow_negative_numbers = true)]
    correlations: Vec<f64>,
    /// The largest variance of the noise.
    #[arg(long, default_value_t = 1.0)]
    most_noise: f64,
    /// In how many steps the variance goes from zero to there.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// The variance at which the gradient is looked at in one state.
    #[arg(long, default_value_t = 0.3)]
    variance: f64,
    /// The second moment of the hidden variable, of two points.
    #[arg(long, default_value_t = 2.25)]
    second_moment: f64,
    /// The learning rate.
    #[arg(long, default_value_t = 1.0)]
    learning_rate: f64,
    /// The weight decay.
    #[arg(long, default_value_t = 0.5)]
    weight_decay: f64,
    #[command(flatten)]
    out: Out,
}

/// Where training starts from: overlap and squared norm.
const START: (f64, f64) = (0.8, 1.0);
/// The time by which it rests, and the rate below which it does.
const REST: f64 = 1e5;
const SLOW: f64 = 1e-8;
/// A change of the cosine similarity between neighbouring points that asks for a point between them ...
const STEEP: f64 = 0.1;
/// ... down to this part of the range. What is steeper yet is drawn as a jump.
const FINEST: f64 = 1.0 / 1000.0;

#[derive(Clone, Copy)]
enum Place {
    Everywhere,
    Background,
}

const PLACES: [(Place, &str); 2] =
    [(Place::Everywhere, "isotropic noise"), (Place::Background, "noise in the background alone")];

impl Place {
    fn noise(self, variance: f64, correlation: f64) -> Result<GaussianNoise, ModelError> {
        match self {
            Self::Everywhere => GaussianNoise::correlated(variance, correlation),
            Self::Background => GaussianNoise::semantic_preserving(variance, correlation),
        }
    }
}

impl Arguments {
    fn model(&self, noise: GaussianNoise) -> Result<Model<f64, Tanh, Independent, GaussianNoise>, ModelError> {
        self.model_with(Tanh, noise, self.weight_decay)
    }

    fn model_with<S: Nonlinearity>(
        &self,
        sigma: S,
        noise: GaussianNoise,
        decay: f64,
    ) -> Result<Model<f64, S, Independent, GaussianNoise>, ModelError> {
        Model::builder()
            .nonlinearity(sigma)
            .hidden(Independent::new([Law::two_point(self.second_moment)?])?)
            .noise(noise)
            .learning_rate(self.learning_rate)
            .weight_decay(decay)
            .build()
    }
}

fn main() -> std::process::ExitCode {
    support::told(example())
}

fn example() -> Outcome {
    let arguments = Arguments::parse();
    if arguments.correlations.len() > PENS.len() {
        return Err(format!("at most {} correlations", PENS.len()).into());
    }
    println!(
        "tanh, one feature, one neuron, tau = {}, gamma = {}, eta = 1\n",
        arguments.learning_rate, arguments.weight_decay
    );
    compare_at_one_state(&arguments)?;
    compare_at_rest(&arguments)
}

/// tr Λ/(τ²R) at Q = 0.
fn without_overlap(
    arguments: &Arguments,
    sigma: impl Nonlinearity,
    r: f64,
    (variance, correlation): (f64, f64),
) -> Outcome<f64> {
    let model = arguments.model_with(sigma, Place::Everywhere.noise(variance, correlation)?, 0.0)?;
    let state = OrderParameters::from_rows(1, 1, &[0.0], &[r])?;
    let lambda = Limit::new(&model)?.coefficients(&state)?.coefficients.lambda;
    Ok(lambda.trace() / (arguments.learning_rate.powi(2) * r))
}

/// At one state: what independent noise does to the variance of the gradient, and negative correlation.
fn compare_at_one_state(arguments: &Arguments) -> Outcome {
    let variance = arguments.variance;
    println!(
        "The variance of the gradient at one state of Q = 0, tr Lambda / (tau^2 R), for isotropic noise of variance {variance}\n"
    );
    let noises = [(0.0, 0.0), (variance, 0.0), (variance, -0.5), (variance, -1.0)];
    let linear = noises.map(|noise| without_overlap(arguments, Identity, 1.0, noise));
    let small = noises.map(|noise| without_overlap(arguments, Tanh, 0.05, noise));
    let large = noises.map(|noise| without_overlap(arguments, Tanh, 1.0, noise));
    let mut rows = table(["outputs, state", "no noise", "rho = 0", "rho = -0.5", "rho = -1"]);
    let mut verdicts = [Vec::new(), Vec::new()];
    for (name, values) in [("identity, any R", linear), ("tanh, R = 0.05", small), ("tanh, R = 1", large)] {
        let values: Vec<f64> = values.into_iter().collect::<Outcome<_>>()?;
        let row = values.iter().map(|value| format!("{value:.4}"));
        rows.add_row([name.to_owned()].into_iter().chain(row));
        verdicts[usize::from(values[3] >= values[1])].push(name);
    }
    println!("{rows}\n");
    for (names, effect) in verdicts.iter().zip(["less", "not less"]) {
        if !names.is_empty() {
            println!(
                "With views of correlation -1 the gradient is {effect} variable than with independent ones for: {}.",
                names.join("; ")
            );
        }
    }
    println!();
    Ok(())
}

/// A steady state over the variance of the noise.
#[derive(Clone, Copy)]
struct Rest {
    variance: f64,
    /// The cosine similarity, tr Λ, and the growth rate μ.
    numbers: [f64; 3],
}

/// Steady cosine similarity and tr Λ.
fn steady(ode: &ReducedOde<'_>) -> Outcome<[f64; 2]> {
    let start = OrderParameters::from_rows(1, 1, &[START.0], &[START.1])?;
    // Next to a fold the flow lingers where no fixed point is any more: wait until it is slower than `steady_state` asks for.
    let path = ode.solver().steady_rate(SLOW).solve(&start, REST)?;
    let end = path.last().map_or(&start, |(_, state)| state);
    let steady = steady_state(ode, end, REST)?;
    let cosine = steady.state.cosine_similarity(0, 0).ok_or("the weights vanish")?.abs();
    Ok([cosine, steady.gradient_variance])
}

fn rest(arguments: &Arguments, place: Place, variance: f64, correlation: f64) -> Outcome<Rest> {
    let model = arguments.model(place.noise(variance, correlation)?)?;
    let ode = ReducedOde::new(&model)?;
    let [cosine, gradient] = steady(&ode)?;
    let growth = attracting_learnability(&ode)?.growth(0).ok_or("no feature")?;
    Ok(Rest { variance, numbers: [cosine, gradient, growth] })
}

/// For a correlation, steady states over the variances.
fn curve(arguments: &Arguments, place: Place, correlation: f64, bar: &ProgressBar) -> Outcome<Vec<Rest>> {
    let mut curve = Vec::new();
    for k in 0..=arguments.steps {
        let variance = arguments.most_noise * f64::from(k) / f64::from(arguments.steps);
        curve.push(rest(arguments, place, variance, correlation)?);
        bar.inc(1);
    }
    let wide = FINEST * arguments.most_noise;
    let steep = |pair: &[Rest]| jumps(pair[0], pair[1]) && pair[1].variance - pair[0].variance > wide;
    while let Some(k) = curve.windows(2).position(steep) {
        let middle = 0.5 * (curve[k].variance + curve[k + 1].variance);
        curve.insert(k + 1, rest(arguments, place, middle, correlation)?);
    }
    Ok(curve)
}

fn jumps(x: Rest, y: Rest) -> bool {
    (x.numbers[0] - y.numbers[0]).abs() > STEEP
}

/// The curves of a place, one for each correlation.
type Curves = Vec<Vec<Rest>>;

fn compare_at_rest(arguments: &Arguments) -> Outcome {
    let cancel = flag()?;
    let clean = rest(arguments, Place::Everywhere, 0.0, 0.0)?;
    let [cosine, gradient, growth] = clean.numbers;
    println!(
        "The state where training comes to rest: cosine similarity, variance of the gradient there, and the growth rate mu"
    );
    println!(
        "out of the uninformative state. Without noise: cosine {cosine:.5}, tr Lambda {gradient:.5}, mu {growth:.5}\n"
    );
    let count = arguments.correlations.len();
    let bar = progress(2 * count * (arguments.steps as usize + 1), "steady states")?;
    let work = |k: u64| {
        let k = usize::try_from(k).map_err(|error| error.to_string())?;
        let (place, correlation) = (PLACES[k / count].0, arguments.correlations[k % count]);
        curve(arguments, place, correlation, &bar).map_err(|error| error.to_string())
    };
    let mut curves = Vec::new();
    Local::default().for_each(0..2 * count as u64, &cancel, &work, &mut |_, curve| {
        curves.push(curve);
        ControlFlow::Continue(())
    });
    bar.finish_and_clear();
    if ended(&cancel) {
        return Ok(());
    }
    let background = curves.split_off(count);
    let panels = [curves, background].map(|curves| curves.into_iter().collect::<Result<Curves, String>>());
    let [everywhere, background] = panels;
    let panels = [everywhere?, background?];
    for ((place, name), curves) in PLACES.into_iter().zip(&panels) {
        print(arguments, name, curves);
        tell_jumps(arguments, curves);
        find_best(arguments, place)?;
        conclude(arguments, name, curves, clean);
    }
    draw(arguments, &panels, clean)
}

fn print(arguments: &Arguments, name: &str, curves: &Curves) {
    println!("{name}\n");
    let mut rows = table(["correlation rho", "variance", "cosine", "tr Lambda", "mu"]);
    for (correlation, curve) in arguments.correlations.iter().zip(curves) {
        for k in 0..5 {
            let variance = arguments.most_noise * f64::from(k) / 4.0;
            let near = |x: &&Rest| (x.variance - variance).abs() < 1e-9 * arguments.most_noise;
            let Some(rest) = curve.iter().find(near) else { continue };
            let numbers = rest.numbers.map(|number| format!("{number:.5}"));
            rows.add_row([format!("{correlation:.2}"), format!("{variance:.2}")].into_iter().chain(numbers));
        }
    }
    println!("{rows}\n");
}

/// Where the steady state jumps as the noise grows.
fn tell_jumps(arguments: &Arguments, curves: &Curves) {
    for (correlation, curve) in arguments.correlations.iter().zip(curves) {
        for pair in curve.windows(2).filter(|pair| jumps(pair[0], pair[1])) {
            let [(low, from), (high, to)] = [pair[0], pair[1]].map(|rest| (rest.variance, rest.numbers[0]));
            println!(
                "With correlation {correlation} the cosine similarity jumps from {from:.3} to {to:.3} between the variances {low:.4} \
                 and {high:.4}."
            );
        }
    }
}

/// The correlation, and the variance, that give the largest steady cosine similarity.
fn find_best(arguments: &Arguments, place: Place) -> Outcome {
    let cosine = |variance: f64, correlation: f64| -> Outcome<f64> {
        let model = arguments.model(place.noise(variance, correlation)?)?;
        Ok(steady(&ReducedOde::new(&model)?)?[0])
    };
    println!("The largest cosine similarity:");
    for variance in [arguments.variance, arguments.most_noise] {
        let best = maximum(|rho| cosine(variance, rho), (-1.0, 0.5), 1e-3);
        println!("  at variance {variance}, over rho in [-1, 0.5]: {}", describe("rho", best)?);
    }
    let best = maximum(|variance| cosine(variance, -0.5), (0.0, arguments.most_noise), 1e-3);
    println!("  at rho = -0.5, over variances up to {}: {}", arguments.most_noise, describe("variance", best)?);
    Ok(())
}

type Best = Result<contrastive_dynamics::stability::Maximum, OptimumError<Box<dyn std::error::Error>>>;

fn describe(name: &str, best: Best) -> Outcome<String> {
    match best {
        Ok(best) => {
            let (low, high) = best.bracket;
            Ok(format!("{:.5}, for {name} = {:.3} in ({low:.4}, {high:.4})", best.value, best.at))
        }
        Err(OptimumError::AtEnd { end, at, value }) => {
            Ok(format!("{value:.5}, for {name} = {at}, the {end} end of the range"))
        }
        Err(OptimumError::NotUnimodal { .. }) => Ok("none: over a part of the range nothing changes".into()),
        Err(error) => Err(error.to_string().into()),
    }
}

/// What follows for the choice of augmentations, at the largest variance.
fn conclude(arguments: &Arguments, name: &str, curves: &Curves, clean: Rest) {
    let ends = || arguments.correlations.iter().zip(curves).filter_map(|(&rho, curve)| Some((rho, *curve.last()?)));
    let by_cosine = |x: &(f64, Rest), y: &(f64, Rest)| x.1.numbers[0].total_cmp(&y.1.numbers[0]);
    let (Some((rho, best)), Some((other, worst))) = (ends().max_by(by_cosine), ends().min_by(by_cosine)) else {
        return;
    };
    let against = if best.numbers[0] > clean.numbers[0] { "above" } else { "below" };
    let noisy = if best.numbers[1] > worst.numbers[1] { "more" } else { "less" };
    println!(
        "With {name} of variance {} the correlation {rho} does best of those compared: a similarity of {:.5}, {against} the {:.5} \
         without noise.",
        arguments.most_noise, best.numbers[0], clean.numbers[0]
    );
    if rho != other {
        println!(
            "Where it comes to rest the gradient is {noisy} variable than with correlation {other}, which does worst."
        );
    }
    println!();
}

/// From the most negative correlation to the most positive: they differ in colour, in lightness and in dashes.
const PENS: [Pen; 5] = [
    Pen::new(BLUE).width(2.4),
    Pen::new(SKY).width(2.4),
    Pen::new(INK).dashed(&[3, 3]),
    Pen::new(ORANGE).width(2.4).dashed(&[14, 3]),
    Pen::new(RED).dashed(&[8, 4]),
];
const CLEAN: Pen = Pen::new(GREY).width(1.2);

fn draw(arguments: &Arguments, panels: &[Curves; 2], clean: Rest) -> Outcome {
    write(&arguments.out, "noise", (920, 1000), |_, root| {
        let curves = arguments.correlations.iter().zip(PENS);
        let curves = curves.map(|(correlation, pen)| (format!("ρ = {correlation}"), Sign::Line(pen)));
        let entries: Vec<_> = curves.chain([("no noise".to_owned(), Sign::Line(CLEAN))]).collect();
        let rest = key(root, &entries)?;
        let labels =
            ["cosine similarity at rest, |cos[0]|", "gradient variance tr Λ at rest", "growth rate μ from Q = 0"];
        for (k, area) in rest.split_evenly((3, 2)).iter().enumerate() {
            let (quantity, curves) = (k / 2, &panels[k % 2]);
            let title = if quantity == 0 { PLACES[k % 2].1 } else { "" };
            let values = curves.iter().flatten().map(|rest| rest.numbers[quantity]).chain([clean.numbers[quantity]]);
            let x = Scale::linear("variance σ² of the noise", 0.0..arguments.most_noise);
            let mut plot = Plot::new(area, title, x, Scale::around(labels[quantity], values))?;
            let level = clean.numbers[quantity];
            plot.line([(0.0, level), (arguments.most_noise, level)], CLEAN)?;
            for (curve, pen) in curves.iter().zip(PENS) {
                plot.line(shown(curve, quantity), pen)?;
            }
        }
        Ok(())
    })
}

/// The points of a curve, with a gap where the steady state jumps.
fn shown(curve: &[Rest], quantity: usize) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> = Vec::new();
    for (k, rest) in curve.iter().enumerate() {
        if k > 0 && quantity < 2 && jumps(curve[k - 1], *rest) {
            points.push((f64::NAN, f64::NAN));
        }
        points.push((rest.variance, rest.numbers[quantity]));
    }
    points
}
