//! The same code in single precision: models, limit, ODE and simulator in `f32`.

use contrastive_dynamics::Scalar;
use contrastive_dynamics::limit::{Compiled, Limit};
use contrastive_dynamics::model::{Erf, GaussianNoise, Independent, Law, Model, Nonlinearity, Relu, Softplus, Tanh};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::state::OrderParameters;

use crate::support::steps;

/// Coefficients, and the end of the ODE at t = 2, widened, for one nonlinearity.
fn solve<T: Compiled>(sigma: impl Nonlinearity<T>) -> [Vec<f64>; 2] {
    let x = <T as Scalar>::lit;
    let hidden = Independent::new([Law::two_point(x(2.25)).unwrap(), Law::uniform(x(1.5)).unwrap()]).unwrap();
    let noise = GaussianNoise::correlated(x(0.3), x(-0.5)).unwrap();
    let builder = Model::builder_in::<T>().nonlinearity(sigma).hidden(hidden).noise(noise).learning_rate(x(0.3));
    let model = builder.weight_decay(x(2.0)).build().unwrap();
    let state = OrderParameters::from_rows(2, 1, &[x(0.4), x(-0.2)], &[x(0.8)]).unwrap();
    let limit = Limit::new(&model).unwrap().coefficients(&state).unwrap().coefficients;
    let end = ReducedOde::new(&model).unwrap().solver().solve(&state, x(2.0)).unwrap();
    let end = end.last().unwrap().1.to_packed();
    let limit = limit.a.iter().chain(limit.b.iter()).chain(limit.lambda.iter());
    [limit.map(|x| x.as_f64()).collect(), end.iter().map(|x| x.as_f64()).collect()]
}

/// Coefficients to 16 roundings of numbers of order one, and the ODE to the tolerance of its solver in single precision, 256 of
/// them; measured are 8 and 161. An error of 1 % would be 1600 at least.
#[test]
fn single_precision_agrees_with_double_to_its_own_rounding() {
    let pairs = [
        (solve::<f32>(Tanh), solve::<f64>(Tanh)),
        (solve::<f32>(Erf), solve::<f64>(Erf)),
        (solve::<f32>(Softplus), solve::<f64>(Softplus)),
        (solve::<f32>(Relu), solve::<f64>(Relu)),
    ];
    for (single, double) in pairs {
        for (k, roundings) in [16.0, 256.0].into_iter().enumerate() {
            for (x, y) in single[k].iter().zip(&double[k]) {
                let allowed = roundings * f64::from(f32::EPSILON);
                assert!((x - y).abs() < allowed && 0.01 * y.abs() > 5.0 * allowed, "{single:?} {double:?}");
            }
        }
    }
}

/// What single steps in single precision show of the coefficients in double precision, to 1 %. The learning rate is small
/// enough for the state to stay where it is between starts, and large enough for weights to move by many of their roundings.
#[test]
fn the_simulator_runs_in_single_precision() {
    fn model<T: Scalar>(rate: f64) -> Model<T, Tanh, Independent<Law<T>>, GaussianNoise<T>> {
        let x = <T as Scalar>::lit;
        let hidden = Independent::new([Law::two_point(x(2.25)).unwrap()]).unwrap();
        let noise = GaussianNoise::correlated(x(0.3), x(-0.5)).unwrap();
        let builder = Model::builder_in::<T>().nonlinearity(Tanh).hidden(hidden).noise(noise);
        builder.learning_rate(x(rate)).weight_decay(x(1.0)).build().unwrap()
    }
    let state = OrderParameters::from_rows(1, 1, &[0.5], &[0.375]).unwrap();
    let double = model::<f64>(1.0);
    let coefficients = Limit::new(&double).unwrap().coefficients(&state).unwrap().coefficients;
    let state = OrderParameters::from_rows(1, 1, &[0.5_f32], &[0.375]).unwrap();
    let seen = steps::direct(&model::<f32>(3e-4), 16, &state, 5000, 100);
    seen.assert_follow("single precision", &coefficients, 1.0, &[]);
}
