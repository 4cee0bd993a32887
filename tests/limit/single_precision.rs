//! The same code in single precision: models, limit, ODE and simulator in `f32`.

use contrastive_dynamics::Scalar;
use contrastive_dynamics::integrate::Output;
use contrastive_dynamics::limit::{Compiled, Limit};
use contrastive_dynamics::model::{Erf, GaussianNoise, Independent, Law, Model, Nonlinearity, Relu, Softplus, Tanh};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::sgd::{DirectSgd, Simulator};
use contrastive_dynamics::state::OrderParameters;

/// Coefficients and the end of the ODE at t = 2, widened, for one nonlinearity.
fn solve<T: Compiled>(sigma: impl Nonlinearity<T>) -> Vec<f64> {
    let x = <T as Scalar>::lit;
    let hidden = Independent::new([Law::two_point(x(2.25)).unwrap(), Law::uniform(x(1.5)).unwrap()]).unwrap();
    let noise = GaussianNoise::correlated(x(0.3), x(-0.5)).unwrap();
    let builder = Model::builder_in::<T>().nonlinearity(sigma).hidden(hidden).noise(noise).learning_rate(x(0.3));
    let model = builder.weight_decay(x(2.0)).build().unwrap();
    let state = OrderParameters::from_rows(2, 1, &[x(0.4), x(-0.2)], &[x(0.8)]).unwrap();
    let limit = Limit::new(&model).unwrap().coefficients(&state).unwrap().coefficients;
    let end = ReducedOde::new(&model).unwrap().solver().solve(&state, x(2.0)).unwrap();
    let end = end.last().unwrap().1.to_packed();
    limit.a.iter().chain(limit.b.iter()).chain(limit.lambda.iter()).chain(end.iter()).map(|x| x.as_f64()).collect()
}

#[test]
fn single_precision_agrees_with_double_to_its_own_rounding() {
    let pairs = [
        (solve::<f32>(Tanh), solve::<f64>(Tanh)),
        (solve::<f32>(Erf), solve::<f64>(Erf)),
        (solve::<f32>(Softplus), solve::<f64>(Softplus)),
        (solve::<f32>(Relu), solve::<f64>(Relu)),
    ];
    for (single, double) in pairs {
        for (x, y) in single.iter().zip(&double) {
            assert!((x - y).abs() < 1e-4 * (1.0 + y.abs()), "{single:?} {double:?}");
        }
    }
}

/// N = 1000 at t = 1 in single precision, within 6 N^(-1/2) of the ODE: about six standard deviations of one run.
#[test]
fn the_simulator_runs_in_single_precision() {
    let hidden = Independent::new([Law::two_point(2.25_f32).unwrap()]).unwrap();
    let noise = GaussianNoise::correlated(0.3, -0.5).unwrap();
    let builder = Model::builder_in::<f32>().nonlinearity(Tanh).hidden(hidden).noise(noise).learning_rate(0.3);
    let model = builder.weight_decay(0.5).build().unwrap();
    let start = OrderParameters::from_rows(1, 1, &[0.4], &[0.8]).unwrap();
    let mut sgd = DirectSgd::builder(&model, 1000).start(&start).build_seeded(1).unwrap();
    let simulated = sgd.run(1.0, &Output::Stop).unwrap();
    let theory = ReducedOde::new(&model).unwrap().solver().solve(&start, 1.0).unwrap();
    let difference = simulated.last().unwrap().1.to_packed() - theory.last().unwrap().1.to_packed();
    assert!(difference.amax() < 6.0 / 1000_f32.sqrt() && difference.amax() > 0.0);
}
