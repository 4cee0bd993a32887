//! Particles of the McKean-Vlasov equation: against the reduced ODE, against themselves in finer steps, and what is
//! rejected.

use contrastive_dynamics::integrate::{DormandPrince, Output};
use contrastive_dynamics::model::{
    Constraint, ElasticNet, GaussianNoise, Independent, L1, L2, Law, Model, Quadratic, Regularizer, SmoothedL1, Tanh,
};
use contrastive_dynamics::pde::particles::{
    EulerMaruyama, Exponential, Heun, Noise, ParticleError, ParticleSystem, StepFailure, StochasticIntegrator,
};
use contrastive_dynamics::start::{DiscreteStart, FeatureLaw, LinearGaussianStart, Rows, StartLaw, Whitening};
use contrastive_dynamics::{OrderParameters, ReducedOde};

type Trained<G> = Model<f64, Tanh, Independent, GaussianNoise, G, Quadratic>;

/// tanh, two features of different laws; with the penalty for two neurons.
fn model<G: Regularizer>(neurons: usize, regularizer: G, weight_decay: f64, constraint: Constraint) -> Trained<G> {
    let hidden = Independent::new([Law::two_point(2.25).unwrap(), Law::three_point(2.25, 0.5).unwrap()]).unwrap();
    let builder = Model::builder().nonlinearity(Tanh).hidden(hidden).learning_rate(0.3).neurons(neurons);
    let builder = builder.noise(GaussianNoise::correlated(0.3, -0.5).unwrap()).constraint(constraint);
    let builder = builder.penalty_strength(if neurons > 1 { 1.0 } else { 0.0 });
    builder.regularizer(regularizer).weight_decay(weight_decay).build().unwrap()
}

fn start(neurons: usize) -> OrderParameters {
    let (q, r): (&[f64], &[f64]) = match neurons {
        1 => (&[0.35, 0.2], &[1.0]),
        _ => (&[0.35, 0.1, 0.2, -0.3], &[1.0, 0.2, 0.2, 1.0]),
    };
    OrderParameters::from_rows(2, neurons, q, r).unwrap()
}

fn law(state: &OrderParameters) -> LinearGaussianStart {
    LinearGaussianStart::new(FeatureLaw::sparse(0.2).unwrap(), state).unwrap()
}

/// The order parameters at t = `end`.
fn run<G: Regularizer, I: StochasticIntegrator>(
    model: &Trained<G>,
    particles: usize,
    scheme: I,
    noise: Noise,
    end: f64,
    seed: u64,
) -> OrderParameters {
    let state = start(model.neurons());
    let law = law(&state);
    let builder = ParticleSystem::builder(model, particles).start(&law).exact_start(&state).noise(noise);
    let builder = if model.neurons() > 1 { builder.coefficient_tolerance(1e-4) } else { builder };
    let mut system = builder.scheme(scheme).seed(seed).unwrap();
    system.run(end, &Output::Stop).unwrap().last().unwrap().1.clone()
}

fn distance(x: &OrderParameters, y: &OrderParameters) -> f64 {
    (x.q() - y.q()).amax().max((x.r() - y.r()).amax())
}

/// The slope of ln(error) against ln(step).
fn order(errors: &[(f64, f64)]) -> f64 {
    let points: Vec<(f64, f64)> = errors.iter().map(|(h, e)| (h.ln(), e.ln())).collect();
    let n = points.len() as f64;
    let (x, y) = (points.iter().map(|p| p.0).sum::<f64>() / n, points.iter().map(|p| p.1).sum::<f64>() / n);
    let covariance: f64 = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    covariance / points.iter().map(|p| (p.0 - x).powi(2)).sum::<f64>()
}

fn ode<G: contrastive_dynamics::model::LinearRegularizer>(model: &Trained<G>, end: f64) -> OrderParameters {
    let ode = ReducedOde::new(model).unwrap();
    let ode = if model.neurons() > 1 { ode.coefficient_tolerance(1e-4).unwrap() } else { ode };
    let solver = ode.solver().integrator(DormandPrince::new(1e-10, 1e-12).unwrap());
    solver.solve(&start(model.neurons()), end).unwrap().last().unwrap().1.clone()
}

#[test]
fn matched_particles_follow_the_reduced_ode_with_the_order_of_the_scheme() {
    for (neurons, constraint) in [(1, Constraint::None), (1, Constraint::Sphere), (2, Constraint::None)] {
        let model = model(neurons, L2, 0.5, constraint);
        let exact = ode(&model, 2.0);
        let steps = [0.4, 0.2, 0.1];
        fn errors<I: StochasticIntegrator>(
            model: &Trained<L2>,
            exact: &OrderParameters,
            steps: &[f64],
            scheme: impl Fn(f64) -> I,
        ) -> Vec<(f64, f64)> {
            steps.iter().map(|&h| (h, distance(&run(model, 500, scheme(h), Noise::Matched, 2.0, 1), exact))).collect()
        }
        let euler = errors(&model, &exact, &steps, |h| EulerMaruyama::new(h).unwrap());
        let heun = errors(&model, &exact, &steps, |h| Heun::new(h).unwrap());
        let exponential = errors(&model, &exact, &steps, |h| Exponential::new(h).unwrap());
        println!(
            "{neurons} {constraint:?}: {euler:?} {} {heun:?} {} {exponential:?} {}",
            order(&euler),
            order(&heun),
            order(&exponential)
        );
    }
}
