//! Error bars while numbers of the model follow schedules.

use contrastive_dynamics::fluctuation::{FluctuationError, FluctuationPath, Fluctuations, StartCovariance};
use contrastive_dynamics::integrate::DormandPrince;
use contrastive_dynamics::model::Quantity;
use contrastive_dynamics::prelude::*;

use super::{Moments, excess, hidden};

fn model(rate: f64, decay: f64, noise: (f64, f64)) -> impl Spec<Scalar = f64, Regularizer = L2> {
    let noise = GaussianNoise::correlated(noise.0, noise.1).unwrap();
    let builder = Model::builder().nonlinearity(Tanh).hidden(hidden()).noise(noise).learning_rate(rate);
    builder.weight_decay(decay).batch_size(2).build().unwrap()
}

fn start() -> OrderParameters {
    OrderParameters::from_rows(2, 1, &[0.4, -0.2], &[0.8]).unwrap()
}

/// Numbers that jump are one model after another: to the tolerance, and the jump is seen.
#[test]
fn a_path_of_steps_is_that_of_one_model_after_another() {
    let fine = DormandPrince::new(1e-9, 1e-11).unwrap();
    let (first, second) = (model(0.5, 0.5, (0.3, -0.5)), model(0.2, 0.9, (0.6, 0.4)));
    let (first, second) = (ReducedOde::new(&first).unwrap(), ReducedOde::new(&second).unwrap());
    let (early, late) = (Fluctuations::new(&first), Fluctuations::new(&second));
    let begin = early.solver().integrator(fine).solve(&start(), 1.5).unwrap();
    let middle = &begin.trajectory().states()[0];
    let given = StartCovariance::Given(begin.covariances()[0].clone());
    let end = late.solver().integrator(fine).start_covariance(given).solve(middle, 1.5).unwrap();
    let step = |from: f64, to: f64| Schedule::steps(from, [(1.5, to)]).unwrap();
    let schedules = Schedules::new()
        .learning_rate(step(0.5, 0.2))
        .weight_decay(step(0.5, 0.9))
        .noise_variance(step(0.3, 0.6))
        .noise_correlation(step(-0.5, 0.4));
    let whole = early.solver().integrator(fine).schedules(&schedules).solve(&start(), 3.0).unwrap();
    let scale = end.covariances()[0].amax();
    let apart = |path: &FluctuationPath| (&path.covariances()[0] - &end.covariances()[0]).amax() / scale;
    assert!((whole.trajectory().states()[0].to_packed() - end.trajectory().states()[0].to_packed()).amax() < 1e-7);
    assert!(apart(&whole) < 1e-6, "{}", apart(&whole));
    // All but one of them is not enough.
    let without = schedules.noise_correlation(Schedule::constant(-0.5).unwrap());
    let without = early.solver().integrator(fine).schedules(&without).solve(&start(), 3.0).unwrap();
    assert!(apart(&without) > 1e-2);
}

/// Runs under schedules have the covariance that is predicted for them: 4000 runs, five standard errors (false alarms below 1e-6). The
/// control is the prediction for the same model without schedules.
#[test]
fn runs_have_the_covariance_that_is_predicted() {
    let model = model(0.5, 0.5, (0.3, 0.2));
    let ode = ReducedOde::new(&model).unwrap();
    let fluctuations = Fluctuations::new(&ode);
    let schedules = Schedules::new()
        .learning_rate(Schedule::cosine(0.8, 0.1, 2.0).unwrap())
        .noise_variance(Schedule::linear([(0.0, 0.1), (1.0, 0.8)]).unwrap());
    let path = fluctuations.solver().schedules(&schedules).solve(&start(), 2.0).unwrap();
    let mut moments = Moments::new(3);
    for block in 0..125 {
        let seeds: Vec<u64> = (0..32).map(|k| 32 * block + k).collect();
        let chain = ProjectedChain::builder(&model, 1000).start(start()).schedules(&schedules);
        for run in chain.lanes(&seeds).unwrap().run(2.0, &Output::Stop).unwrap() {
            let end = run.unwrap().last().unwrap().1.to_packed();
            moments.add(&((end - path.trajectory().states()[0].to_packed()) * 1000_f64.sqrt()));
        }
    }
    let (off, error) = excess(&moments.covariance(), &path.covariances()[0], moments.count());
    assert!(off.abs() < 5.0 * error + 0.01, "{off} {error}");
    let plain = fluctuations.solver().solve(&start(), 2.0).unwrap();
    let (off, error) = excess(&moments.covariance(), &plain.covariances()[0], moments.count());
    assert!(off.abs() > 5.0 * error + 0.05, "{off} {error}");
}

#[test]
fn what_is_not_known_is_refused() {
    let model = model(0.5, 0.5, (0.3, 0.2));
    let ode = ReducedOde::new(&model).unwrap();
    let fluctuations = Fluctuations::new(&ode);
    let schedules = Schedules::new().learning_rate(Schedule::cosine(0.8, 0.1, 2.0).unwrap());
    let error = fluctuations.solver().schedules(&schedules).corrections(true).solve(&start(), 1.0).unwrap_err();
    assert_eq!(error, FluctuationError::ScheduledCorrections);
    let bad = Schedules::new().learning_rate(Schedule::linear([(0.0, 0.5), (1.0, -0.5)]).unwrap());
    let error = fluctuations.solver().schedules(&bad).solve(&start(), 1.0).unwrap_err();
    assert!(matches!(error, FluctuationError::Schedule(_)), "{error}");
    let builder = Model::builder().nonlinearity(Erf).hidden(hidden()).noise(NoNoise).learning_rate(0.3);
    let two = builder.n_neurons(2).penalty_strength(0.5).build().unwrap();
    let ode = ReducedOde::new(&two).unwrap();
    let state = OrderParameters::from_rows(2, 2, &[0.4, 0.1, 0.0, 0.3], &[1.0, 0.0, 0.0, 1.0]).unwrap();
    let strength = Schedules::new().with(Quantity::PenaltyStrength, Schedule::constant(0.5).unwrap());
    let error = Fluctuations::new(&ode).solver().schedules(&strength).solve(&state, 1.0).unwrap_err();
    assert_eq!(error, FluctuationError::ScheduledPenalty);
}
