//! Special cases that others have solved, beside what this crate computes for them (theory §10).
//!
//! `cargo run --release --example known_limits` prints one table: online independent component analysis (Wang and Lu, arXiv
//! 1710.05384) and Oja's rule on spiked data (Wang, Eldar and Lu, arXiv 1805.06834).
//!
//! Literature values are those of the papers' equations: closed forms where there are any, and for the largest learning
//! rates the maximum of a closed form, found by another program in 40 digits. What stands beside them knows none of these
//! formulas: it comes from the general limit coefficients by the reduced ODE, its steady states, and continuation.

use std::error::Error;

use contrastive_dynamics::limit::Parameter;
use contrastive_dynamics::model::{
    Constraint, Identity, Independent, Law, Model, ModelError, NoNoise, Nonlinearity, Polynomial,
};
use contrastive_dynamics::stability::{Bifurcation, BifurcationKind, Continuation, OdeCurve, steady_state};
use contrastive_dynamics::{OrderParameters, OrderParametersError, ReducedOde};

const ICA: &str = "arXiv 1710.05384";
const OJA: &str = "arXiv 1805.06834";

type OneNeuron<S> = Model<f64, S, Independent, NoNoise>;
type Fallible<T> = Result<T, Box<dyn Error>>;

/// One neuron on the sphere, one feature, no view noise; the background has variance 1, batches have one sample.
fn noiseless_on_the_sphere<S: Nonlinearity<f64>>(sigma: S, law: Law, tau: f64) -> Result<OneNeuron<S>, ModelError> {
    let builder = Model::builder().nonlinearity(sigma).hidden(Independent::new([law])?).noise(NoNoise);
    builder.learning_rate(tau).constraint(Constraint::Sphere).build()
}

/// σ(h) = h²/2: both views together give the error signal −h³.
fn online_ica(law: Law, tau: f64) -> Result<OneNeuron<Polynomial>, ModelError> {
    noiseless_on_the_sphere(Polynomial::new([0.0, 0.0, 0.5])?, law, tau)
}

/// σ(h) = h; the step τ' of Oja's rule is 2τ, since both views give the same gradient. The data's covariance has one
/// eigenvalue 1 + `spike` among ones.
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
) -> Fallible<Bifurcation> {
    let ode = ReducedOde::new(model)?;
    let mut curve = OdeCurve::new(&ode, Parameter::LearningRate)?;
    let x = curve.coordinates(start);
    let branch = plan.run(&mut curve, &x, model.learning_rate())?;
    let found = branch.bifurcations.into_iter().find(|bifurcation| bifurcation.kind == kind);
    Ok(found.ok_or("no such bifurcation on the branch")?)
}

fn heading(title: &str) {
    println!("\n{title}");
    println!("{:<40} {:>16} {:>16} {:>10}  source", "quantity", "literature", "ours", "difference");
}

fn row(quantity: &str, literature: f64, ours: f64, source: &str) {
    let difference = ours - literature;
    println!("{quantity:<40} {literature:>16.12} {ours:>16.12} {difference:>10.1e}  {source}");
}

fn rates_of_ica() -> Fallible<()> {
    let (q, tau) = (0.6, 0.05);
    heading(&format!("Online ICA: dQ/dt at Q = {q}, tau = {tau}"));
    let laws = [
        ("Laplace", Law::laplace(1.0)?, 6.0, 90.0),
        ("three-point, q = 0.2", Law::three_point(1.0, 0.2)?, 5.0, 25.0),
        ("three-point, q = 0.1", Law::three_point(1.0, 0.1)?, 10.0, 100.0),
        ("uniform", Law::uniform(1.0)?, 9.0 / 5.0, 27.0 / 7.0),
        ("two-point", Law::two_point(1.0)?, 1.0, 1.0),
    ];
    for (name, law, fourth, sixth) in laws {
        let model = online_ica(law, tau)?;
        let ode = ReducedOde::new(&model)?.coefficient_tolerance(1e-12)?;
        let ours = ode.rates(&on_the_sphere(q)?)?.q[(0, 0)];
        row(&format!("dQ/dt, {name}"), ica_rate(q, tau, fourth, sixth), ours, ICA);
    }
    Ok(())
}

fn folds_of_ica() -> Fallible<()> {
    heading("Online ICA: the largest learning rate at which the source can be recovered, and Q there");
    let laws = [
        ("Laplace", Law::laplace(1.0)?, 0.063_479_238_489_896, 0.555_078_665_687),
        ("three-point, q = 0.2", Law::three_point(1.0, 0.2)?, 0.051_844_807_009_423, 0.637_347_089_423),
        ("three-point, q = 0.1", Law::three_point(1.0, 0.1)?, 0.123_958_547_242_784, 0.518_724_692_337),
    ];
    let small = 0.02;
    for (name, law, largest, at) in laws {
        let model = online_ica(law, small)?;
        let start = steady_state(&ReducedOde::new(&model)?, &on_the_sphere(0.95)?, 1e6)?.state;
        let plan = Continuation::new(0.01, 0.2).parameter_scale(0.1);
        let fold = bifurcation(&model, &start, plan, BifurcationKind::Fold)?;
        row(&format!("tau, {name}"), largest, fold.parameter, ICA);
        row(&format!("Q, {name}"), at, fold.state[0], ICA);
    }
    Ok(())
}

fn overlaps_of_oja() -> Fallible<()> {
    heading("Oja's rule: steady Q², and the step tau' from which it is zero");
    for spike in [1.0, 2.0] {
        for step in [0.2, 1.0] {
            let model = oja(spike, step)?;
            let steady = steady_state(&ReducedOde::new(&model)?, &on_the_sphere(0.3)?, 1e6)?.state;
            let ours = steady.q()[(0, 0)].powi(2);
            row(&format!("Q², omega = {spike}, tau' = {step}"), oja_overlap(spike, step), ours, OJA);
        }
        let plan = Continuation::new(0.1, 2.0 * spike).downwards();
        let kind = BifurcationKind::BranchPoint { crossing: 1 };
        let point = bifurcation(&oja(spike, 3.0 * spike)?, &on_the_sphere(0.0)?, plan, kind)?;
        row(&format!("tau', omega = {spike}"), 2.0 * spike, 2.0 * point.parameter, OJA);
    }
    Ok(())
}

fn main() -> Fallible<()> {
    println!("One feature, one neuron on the sphere, no view noise, eta = 1, gamma = 0, B = 1");
    rates_of_ica()?;
    folds_of_ica()?;
    overlaps_of_oja()
}
