//! Three neurons: six fields at once, where Λ is averaged over scrambled Sobol points.

use contrastive_dynamics::integrate::Output;
use contrastive_dynamics::limit::Limit;
use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, NoNoise, Tanh};
use contrastive_dynamics::nalgebra::DVector;
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::sgd::{DirectSgd, Simulator};
use contrastive_dynamics::state::OrderParameters;

use crate::support::steps;

type Three = Model<f64, Tanh, Independent, GaussianNoise>;

fn model(penalty: f64, batch: usize, correlation: f64) -> Three {
    let laws = [Law::two_point(2.25).unwrap(), Law::two_point(3.24).unwrap()];
    let builder = Model::builder().nonlinearity(Tanh).hidden(Independent::new(laws).unwrap());
    let builder = builder.noise(GaussianNoise::correlated(0.3, correlation).unwrap()).learning_rate(0.4);
    builder.weight_decay(0.4).n_neurons(3).batch_size(batch).penalty_strength(penalty).build().unwrap()
}

fn state() -> OrderParameters {
    let r = [1.0, 0.1, 0.0, 0.1, 1.0, 0.1, 0.0, 0.1, 0.9];
    OrderParameters::from_rows(2, 3, &[0.3, 0.1, 0.05, 0.1, 0.4, -0.1], &r).unwrap()
}

#[test]
fn the_estimated_error_bounds_the_difference_to_a_finer_rule() {
    for (batch, correlation) in [(1, -0.5), (4, 0.3), (4, -1.0)] {
        let model = model(1.0, batch, correlation);
        let coarse = Limit::new(&model).unwrap().tolerance(3e-3).unwrap().coefficients(&state()).unwrap();
        let fine = Limit::new(&model).unwrap().tolerance(5e-5).unwrap().coefficients(&state()).unwrap();
        let pairs = [
            (&coarse.coefficients.a, &fine.coefficients.a),
            (&coarse.coefficients.b, &fine.coefficients.b),
            (&coarse.coefficients.lambda, &fine.coefficients.lambda),
        ];
        for (x, y) in pairs {
            assert!((x - y).amax() <= coarse.error + fine.error, "{} {}", (x - y).amax(), coarse.error);
        }
        assert!(fine.error < 5e-5 * 0.4);
    }
}

/// Without penalty the neurons are trained independently: every pair of three has the coefficients of that pair alone.
#[test]
fn neurons_without_penalty_do_not_see_each_other() {
    let three = model(0.0, 2, -0.5);
    let laws = three.hidden().clone();
    let two = Model::builder().nonlinearity(Tanh).hidden(laws).noise(*three.noise()).learning_rate(0.4);
    let two = two.weight_decay(0.4).n_neurons(2).batch_size(2).build().unwrap();
    let all = Limit::new(&three).unwrap().tolerance(1e-7).unwrap().coefficients(&state()).unwrap().coefficients;
    for (i, j) in [(0, 1), (0, 2), (1, 2)] {
        let columns = [i, j];
        let pair = OrderParameters::new(
            state().q().select_columns(&columns),
            state().r().select_columns(&columns).select_rows(&columns),
        );
        let limit = Limit::new(&two).unwrap().tolerance(1e-7).unwrap();
        let alone = limit.coefficients(&pair.unwrap()).unwrap().coefficients;
        assert!((all.a.select_columns(&columns) - alone.a).amax() < 1e-7);
        assert!((all.lambda.select_columns(&columns).select_rows(&columns) - alone.lambda).amax() < 1e-7);
    }
}

/// Mean over 12 runs at N = 1000 against the ODE at t = 1: every entry within 5 standard errors plus 2/N (false alarms
/// below 1e-5 for the twelve entries); a model whose penalty is a third weaker is off by more.
#[test]
fn direct_sgd_with_three_neurons_follows_the_ode() {
    let model = model(2.0, 4, -0.5);
    let (n, runs) = (1000, 12);
    let finite: Vec<_> = (0..runs)
        .map(|seed| {
            let mut sgd = DirectSgd::builder(&model, n).start(state()).build_seeded(seed).unwrap();
            sgd.run(1.0, &Output::Stop).unwrap().last().unwrap().1.to_packed()
        })
        .collect();
    let mean = finite.iter().sum::<DVector<f64>>() / runs as f64;
    let limit = |model: &Three| {
        let ode = ReducedOde::new(model).unwrap().coefficient_tolerance(3e-4).unwrap();
        ode.solver().solve(&state(), 1.0).unwrap().last().unwrap().1.to_packed()
    };
    let (theory, weaker) = (limit(&model), limit(&self::model(1.3, 4, -0.5)));
    let mut caught = false;
    for e in 0..theory.len() {
        let variance = finite.iter().map(|x| (x[e] - mean[e]).powi(2)).sum::<f64>() / (runs - 1) as f64;
        let bound = 5.0 * (variance / runs as f64).sqrt() + 2.0 / n as f64;
        assert!((mean[e] - theory[e]).abs() < bound, "entry {e}: {} against {} ± {bound}", mean[e], theory[e]);
        caught |= (mean[e] - weaker[e]).abs() > bound;
    }
    assert!(caught, "a weaker penalty is seen");
}

/// What single steps show of them: errors of 1 % are seen, in the penalty's strength too.
#[test]
fn steps_of_direct_sgd_show_the_coefficients_of_three_neurons() {
    let r = [0.36, 0.13, 0.07, 0.13, 0.36, -0.1, 0.07, -0.1, 0.23];
    let state = OrderParameters::from_rows(2, 3, &[0.5, 0.1, 0.2, 0.1, 0.5, -0.3], &r).unwrap();
    let at = |penalty: f64| {
        let model = model(penalty, 4, -0.5).to_builder().learning_rate(1.0).build().unwrap();
        Limit::new(&model).unwrap().tolerance(3e-4).unwrap().coefficients(&state).unwrap().coefficients
    };
    let frozen = model(2.0, 4, -0.5).to_builder().learning_rate(1e-8).weight_decay(1.0).build().unwrap();
    let seen = steps::direct(&frozen, 16, &state, 10, 80_000);
    seen.assert_follow("three neurons", &at(2.0), 1.0, &[at(1.98), at(2.02)]);
}

#[test]
fn a_degenerate_state_of_three_neurons_works() {
    let laws = [Law::two_point(2.25).unwrap(), Law::two_point(3.24).unwrap()];
    let builder = Model::builder().nonlinearity(Tanh).hidden(Independent::new(laws).unwrap()).noise(NoNoise);
    let model = builder.learning_rate(0.4).n_neurons(3).penalty_strength(1.0).batch_size(2).build().unwrap();
    // Neuron 3 is neuron 1, and there is no noise: two of six directions are left.
    let r = [1.0, 0.1, 1.0, 0.1, 1.0, 0.1, 1.0, 0.1, 1.0];
    let state = OrderParameters::from_rows(2, 3, &[0.3, 0.1, 0.3, 0.1, 0.4, 0.1], &r).unwrap();
    let answer = Limit::new(&model).unwrap().coefficients(&state).unwrap().coefficients;
    assert!((answer.a.column(0) - answer.a.column(2)).amax() < 1e-4);
    let difference: f64 = answer.lambda[(0, 0)] - answer.lambda[(2, 2)];
    assert!(difference.abs() < 1e-4);
}

/// Twelve uniform hidden variables have a product rule that fits nowhere: Sobol points take its place. Only one of the
/// features has an overlap, so the law of that one alone gives the same B, Λ and own A.
#[test]
fn many_continuous_hidden_variables_are_averaged_over_sobol_points() {
    let noise = GaussianNoise::correlated(0.3, -0.5).unwrap();
    let model = |p| {
        let laws = (0..p).map(|_| Law::uniform(2.25).unwrap());
        let builder = Model::builder().nonlinearity(Tanh).hidden(Independent::new(laws).unwrap()).noise(noise);
        builder.learning_rate(0.3).build().unwrap()
    };
    let (many, one) = (model(12), model(1));
    let mut q = vec![0.0; 12];
    q[0] = 0.4;
    let state = OrderParameters::from_rows(12, 1, &q, &[0.8]).unwrap();
    let answer = Limit::new(&many).unwrap().tolerance(1e-3).unwrap().coefficients(&state).unwrap();
    let alone = OrderParameters::from_rows(1, 1, &[0.4], &[0.8]).unwrap();
    let alone = Limit::new(&one).unwrap().coefficients(&alone).unwrap().coefficients;
    let close = |x: f64, y: f64, allowed: f64| assert!((x - y).abs() < allowed, "{x} {y} {allowed}");
    let (error, answer) = (answer.error, answer.coefficients);
    close(answer.a[(0, 0)], alone.a[(0, 0)], error);
    close(answer.b[(0, 0)], alone.b[(0, 0)], error);
    close(answer.lambda[(0, 0)], alone.lambda[(0, 0)], error);
    for l in 1..12 {
        close(answer.a[(l, 0)], 0.0, 1e-3);
    }
}
