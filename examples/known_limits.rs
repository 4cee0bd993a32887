//! Does the crate reproduce special cases that others have solved? Their numbers, beside what it computes (theory §10).
//!
//! Online independent component analysis (Wang and Lu, arXiv 1710.05384) and Oja's rule on spiked data (Wang, Eldar and Lu,
//! arXiv 1805.06834). Literature values are those of the papers' equations: closed forms where there are any, and for the largest
//! learning rates the maximum of a closed form, found by another program in 40 digits. What stands beside them knows none of these
//! formulas: it comes from the general limit coefficients by the reduced ODE, its steady states, and continuation.
//!
//!     cargo run --release --example known_limits -- --help

mod support;

use clap::Parser;
use contrastive_dynamics::prelude::*;
use contrastive_dynamics::stability::{Bifurcation, BifurcationKind, Continuation, OdeCurve, steady_state};
use contrastive_dynamics::state::OrderParametersError;
use support::{Outcome, table};

/// Does the crate reproduce special cases that others have solved? Compares with online ICA and with Oja's rule.
#[derive(Debug, Parser)]
struct Arguments {
    /// The overlap Q at which the rates of online ICA are compared.
    #[arg(long, default_value_t = 0.6)]
    overlap: f64,
    /// The learning rate at which the rates of online ICA are compared.
    #[arg(long, default_value_t = 0.05)]
    learning_rate: f64,
    /// Spikes ω for Oja's rule: the data's covariance has one eigenvalue 1 + ω among ones.
    #[arg(long, value_delimiter = ',', value_parser = positive, default_values_t = [1.0, 2.0])]
    spikes: Vec<f64>,
    /// Steps τ' of Oja's rule.
    #[arg(long, value_delimiter = ',', default_values_t = [0.2, 1.0])]
    steps: Vec<f64>,
}

fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|error| format!("{error}"))?;
    if number > 0.0 { Ok(number) } else { Err("it must be positive".to_owned()) }
}

/// Numbers that differ by less than this are said to agree: the literature's are given to 12 decimals.
const AGREE: f64 = 1e-11;

/// One number of the literature, and what the crate has for it.
struct Compared {
    quantity: String,
    literature: f64,
    computed: f64,
}

impl Compared {
    fn new(quantity: String, literature: f64, computed: f64) -> Self {
        Self { quantity, literature, computed }
    }

    fn difference(&self) -> f64 {
        self.computed - self.literature
    }
}

type OneNeuron<S> = Model<f64, S, Independent, NoNoise>;

fn main() -> std::process::ExitCode {
    support::told(example())
}

fn example() -> Outcome {
    let Arguments { overlap, learning_rate, spikes, steps } = Arguments::parse();
    println!("One feature, one neuron on the sphere, no view noise, background variance 1, batches of one sample.\n");
    let rates = rates_of_ica(overlap, learning_rate)?;
    show(
        &format!("Online ICA (arXiv 1710.05384): dQ/dt at Q = {overlap}, learning rate tau = {learning_rate}"),
        &rates,
    );
    let folds = folds_of_ica()?;
    show("Online ICA (arXiv 1710.05384): the largest tau at which the source can be recovered, and Q there", &folds);
    let overlaps = overlaps_of_oja(&spikes, &steps)?;
    show("Oja's rule (arXiv 1805.06834): steady Q², and the step tau' from which it is zero", &overlaps);
    conclude([&rates, &folds, &overlaps].into_iter().flatten());
    Ok(())
}

/// One neuron on the sphere, one feature, no view noise; the background has variance 1, batches have one sample.
fn noiseless_on_the_sphere<S: Nonlinearity<f64>>(sigma: S, law: Law, tau: f64) -> Result<OneNeuron<S>, ModelError> {
    let builder = Model::builder().nonlinearity(sigma).hidden(Independent::new([law])?).noise(NoNoise);
    builder.learning_rate(tau).constraint(Constraint::Sphere).build()
}

/// σ(h) = h²/2: both views together give the error signal −h³.
fn online_ica(law: Law, tau: f64) -> Result<OneNeuron<Polynomial>, ModelError> {
    noiseless_on_the_sphere(Polynomial::new([0.0, 0.0, 0.5])?, law, tau)
}

/// σ(h) = h; the step τ' of Oja's rule is 2τ, since both views give the same gradient.
fn oja(spike: f64, step: f64) -> Result<OneNeuron<Identity>, ModelError> {
    noiseless_on_the_sphere(Identity, Law::two_point(1.0 + spike)?, 0.5 * step)
}

fn on_the_sphere(q: f64) -> Result<OrderParameters, OrderParametersError> {
    OrderParameters::from_rows(1, 1, &[q], &[1.0])
}

/// dQ/dt of online ICA, by E[c⁴] and E[c⁶].
fn ica_rate(q: f64, tau: f64, fourth: f64, sixth: f64) -> f64 {
    let (x, s) = (q * q, 1.0 - q * q);
    let sixth_of_field = sixth * x.powi(3) + 15.0 * fourth * x * x * s + 45.0 * x * s * s + 15.0 * s.powi(3);
    tau * (fourth - 3.0) * q * x * s - 0.5 * tau * tau * q * sixth_of_field
}

/// Steady Q² of Oja's rule.
fn oja_overlap(spike: f64, step: f64) -> f64 {
    ((2.0 * spike - step) / (spike * (2.0 + step))).max(0.0)
}

/// The first bifurcation of that kind on the branch through a state, as the learning rate changes.
fn bifurcation<S: Nonlinearity<f64>>(
    model: &OneNeuron<S>,
    start: &OrderParameters,
    plan: Continuation,
    kind: BifurcationKind,
) -> Outcome<Bifurcation> {
    let ode = ReducedOde::new(model)?;
    let mut curve = OdeCurve::new(&ode, Parameter::LearningRate)?;
    let x = curve.coordinates(start);
    let branch = plan.run(&mut curve, &x, model.learning_rate())?;
    let found = branch.bifurcations.into_iter().find(|bifurcation| bifurcation.kind == kind);
    Ok(found.ok_or("no such bifurcation on the branch")?)
}

fn rates_of_ica(q: f64, tau: f64) -> Outcome<Vec<Compared>> {
    let laws = [
        ("Laplace", Law::laplace(1.0)?, 6.0, 90.0),
        ("three-point, q = 0.2", Law::three_point(1.0, 0.2)?, 5.0, 25.0),
        ("three-point, q = 0.1", Law::three_point(1.0, 0.1)?, 10.0, 100.0),
        ("uniform", Law::uniform(1.0)?, 9.0 / 5.0, 27.0 / 7.0),
        ("two-point", Law::two_point(1.0)?, 1.0, 1.0),
    ];
    let compare = |(name, law, fourth, sixth)| {
        let model = online_ica(law, tau)?;
        let ode = ReducedOde::new(&model)?.coefficient_tolerance(1e-12)?;
        let computed = ode.rates(&on_the_sphere(q)?)?.q[(0, 0)];
        Ok(Compared::new(format!("dQ/dt, {name}"), ica_rate(q, tau, fourth, sixth), computed))
    };
    laws.into_iter().map(compare).collect()
}

fn folds_of_ica() -> Outcome<Vec<Compared>> {
    let laws = [
        ("Laplace", Law::laplace(1.0)?, 0.063_479_238_489_896, 0.555_078_665_687),
        ("three-point, q = 0.2", Law::three_point(1.0, 0.2)?, 0.051_844_807_009_423, 0.637_347_089_423),
        ("three-point, q = 0.1", Law::three_point(1.0, 0.1)?, 0.123_958_547_242_784, 0.518_724_692_337),
    ];
    let (small, mut rows) = (0.02, Vec::new());
    for (name, law, largest, at) in laws {
        let model = online_ica(law, small)?;
        let start = steady_state(&ReducedOde::new(&model)?, &on_the_sphere(0.95)?, 1e6)?.state;
        let plan = Continuation::new(0.01, 0.2).parameter_scale(0.1);
        let fold = bifurcation(&model, &start, plan, BifurcationKind::Fold)?;
        rows.push(Compared::new(format!("tau, {name}"), largest, fold.parameter));
        rows.push(Compared::new(format!("Q, {name}"), at, fold.state[0]));
    }
    Ok(rows)
}

fn overlaps_of_oja(spikes: &[f64], steps: &[f64]) -> Outcome<Vec<Compared>> {
    let mut rows = Vec::new();
    for &spike in spikes {
        for &step in steps {
            let model = oja(spike, step)?;
            let steady = steady_state(&ReducedOde::new(&model)?, &on_the_sphere(0.3)?, 1e6)?.state;
            let quantity = format!("Q², omega = {spike}, tau' = {step}");
            rows.push(Compared::new(quantity, oja_overlap(spike, step), steady.q()[(0, 0)].powi(2)));
        }
        // From a step at which the overlap is zero, downwards to where that loses its stability.
        let plan = Continuation::new(0.1 * spike, 2.0 * spike).downwards();
        let kind = BifurcationKind::BranchPoint { crossing: 1 };
        let point = bifurcation(&oja(spike, 3.0 * spike)?, &on_the_sphere(0.0)?, plan, kind)?;
        rows.push(Compared::new(format!("tau', omega = {spike}"), 2.0 * spike, 2.0 * point.parameter));
    }
    Ok(rows)
}

fn show(title: &str, rows: &[Compared]) {
    let mut shown = table(["quantity", "literature", "this crate", "difference"]);
    for row in rows {
        let Compared { quantity, literature, computed } = row;
        let numbers = [format!("{literature:.12}"), format!("{computed:.12}"), format!("{:.1e}", row.difference())];
        shown.add_row([vec![quantity.clone()], numbers.to_vec()].concat());
    }
    println!("{title}\n{shown}\n");
}

/// Says how far the two differ at most.
fn conclude<'r>(rows: impl Iterator<Item = &'r Compared> + Clone) {
    let count = rows.clone().count();
    let apart = rows.clone().filter(|row| !(row.difference().abs() < AGREE)).count();
    let Some(worst) = rows.max_by(|a, b| a.difference().abs().total_cmp(&b.difference().abs())) else { return };
    if apart == 0 {
        print!("All {count} numbers agree with the literature to {AGREE:e}; ");
    } else {
        print!("{apart} of {count} numbers differ from the literature by more than {AGREE:e}; ");
    }
    println!("the largest difference is {:.1e} ({}).", worst.difference().abs(), worst.quantity);
}
