//! What is read off a path: bands, comparisons with runs, propagators.

use contrastive_dynamics::fluctuation::{FluctuationPath, Fluctuations, StartCovariance};
use contrastive_dynamics::nalgebra::DMatrix;
use contrastive_dynamics::prelude::*;

use rand::SeedableRng;

use super::{correlated, hidden};

fn model() -> Model<f64, Tanh, Independent, GaussianNoise> {
    let builder = Model::builder().nonlinearity(Tanh).hidden(hidden()).noise(correlated());
    builder.learning_rate(0.5).weight_decay(0.5).batch_size(2).build().unwrap()
}

fn start() -> OrderParameters {
    OrderParameters::from_rows(2, 1, &[0.4, -0.2], &[0.8]).unwrap()
}

fn path(ode: &ReducedOde<'_>, times: &[f64]) -> FluctuationPath {
    let fluctuations = Fluctuations::new(ode);
    let solver = fluctuations.solver().corrections(true).output(Output::Times(times.to_vec()));
    solver.solve(&start(), *times.last().unwrap()).unwrap()
}

/// The solution of a path is that of the ODE, whatever stands beside it, and outputs do not change what comes after them.
#[test]
fn paths_follow_the_solution() {
    let model = model();
    let ode = ReducedOde::new(&model).unwrap();
    let solution = ode.solver().output(Output::Times(vec![1.0, 3.0])).solve(&start(), 3.0).unwrap();
    let (few, many) = (path(&ode, &[1.0, 3.0]), path(&ode, &[0.0, 0.5, 1.0, 1.7, 3.0]));
    assert_eq!(few.trajectory().times(), [1.0, 3.0]);
    assert_eq!(many.trajectory().times(), [0.0, 0.5, 1.0, 1.7, 3.0]);
    for (k, l) in [(0, 2), (1, 4)] {
        let known = solution.states()[k].to_packed();
        for (path, at) in [(&few, k), (&many, l)] {
            assert!((path.trajectory().states()[at].to_packed() - &known).amax() < 1e-5);
        }
        assert!((&few.covariances()[k] - &many.covariances()[l]).amax() < 1e-5);
        assert!((&few.corrections().unwrap()[k] - &many.corrections().unwrap()[l]).amax() < 1e-4);
    }
    let through = many.two_time_covariance(2, 4).unwrap();
    assert!((through - few.two_time_covariance(0, 1).unwrap()).amax() < 1e-5);
    // From the state at t = 1 on: the propagator alone.
    let propagator = Fluctuations::new(&ode).propagator(&few.trajectory().states()[0], 2.0).unwrap();
    assert!((propagator * &few.covariances()[0] - few.two_time_covariance(0, 1).unwrap()).amax() < 1e-5);
    let end = Fluctuations::new(&ode).solver().solve(&start(), 3.0).unwrap();
    assert_eq!(end.trajectory().times(), [3.0]);
    assert!(end.corrections().is_none());
}

/// Derivatives of ∂s(t)/∂s(0) against solutions from starts nearby.
#[test]
fn propagators_are_derivatives_of_solutions() {
    let model = model();
    let ode = ReducedOde::new(&model).unwrap();
    let propagator = Fluctuations::new(&ode).propagator(&start(), 2.0).unwrap();
    let end = |packed: &[f64]| {
        let start = OrderParameters::from_packed(2, 1, packed).unwrap();
        ode.solver().solve(&start, 2.0).unwrap().last().unwrap().1.to_packed()
    };
    let packed = start().to_packed();
    for column in 0..3 {
        let mut moved = [packed.as_slice().to_vec(), packed.as_slice().to_vec()];
        moved[0][column] += 1e-3;
        moved[1][column] -= 1e-3;
        let difference = (end(&moved[0]) - end(&moved[1])) / 2e-3;
        assert!((propagator.column(column) - difference).amax() < 1e-5, "{column}");
    }
}

/// The band of a linear function is exact, and that of the cosine what its derivatives by hand make of Σ and δ.
#[test]
fn bands_are_propagated_covariances() {
    let model = model();
    let ode = ReducedOde::new(&model).unwrap();
    let path = path(&ode, &[0.0, 2.0]);
    let (state, sigma, delta) =
        (&path.trajectory().states()[1], &path.covariances()[1], &path.corrections().unwrap()[1]);
    let n = 400.0;
    let overlap = path.band(400, |state| 3.0 * state.q()[(0, 0)]).unwrap();
    assert_eq!((overlap[0].standard_deviation, overlap[0].mean), (0.0, 3.0 * 0.4));
    assert!((overlap[1].standard_deviation / (9.0 * sigma[(0, 0)] / n).sqrt() - 1.0).abs() < 1e-9);
    assert!((overlap[1].mean - overlap[1].limit - 3.0 * delta[0] / n).abs() < 1e-9);
    let (q, r) = (state.q()[(0, 0)], state.r()[(0, 0)]);
    // q r^(−1/2).
    let slopes = [r.powf(-0.5), -0.5 * q * r.powf(-1.5)];
    let variance = slopes[0].powi(2) * sigma[(0, 0)]
        + 2.0 * slopes[0] * slopes[1] * sigma[(0, 2)]
        + slopes[1].powi(2) * sigma[(2, 2)];
    let half_curvature = -0.5 * r.powf(-1.5) * sigma[(0, 2)] + 0.375 * q * r.powf(-2.5) * sigma[(2, 2)];
    let mean = slopes[0] * delta[0] + slopes[1] * delta[2] + half_curvature;
    let cosine = path.band(400, |state| state.cosine_similarity(0, 0).unwrap()).unwrap()[1];
    assert!((cosine.standard_deviation / (variance / n).sqrt() - 1.0).abs() < 1e-7);
    assert!((cosine.mean - cosine.limit - mean / n).abs() < 1e-9, "{} {}", cosine.mean - cosine.limit, mean / n);
}

/// p-values of 200 runs are uniform: Kolmogorov's distance to the uniform law below 2.3/√200, where a false alarm has probability
/// 2 exp(−2·2.3²) = 5e-5. The control: a prediction for a learning rate that is 10 % larger, of which the runs are no deviations.
#[test]
fn comparisons_with_runs_have_uniform_p_values() {
    let (model, n) = (model(), 2000);
    let wrong = model.to_builder().learning_rate(0.55).build().unwrap();
    let times = [0.0, 0.5, 1.0, 2.0];
    let distance = |predicted: &Model<f64, Tanh, Independent, GaussianNoise>| {
        let ode = ReducedOde::new(predicted).unwrap();
        let path = path(&ode, &times);
        let mut values: Vec<f64> = (0..200)
            .map(|seed| {
                let mut chain = ProjectedChain::builder(&model, n).start(start()).build_seeded(seed).unwrap();
                let run = chain.run(2.0, &Output::Times(times.to_vec())).unwrap();
                let comparison = path.compare(n, &run).unwrap();
                assert_eq!(comparison.degrees, 9, "three numbers at each of three times: {comparison}");
                comparison.p_value
            })
            .collect();
        values.sort_by(f64::total_cmp);
        let steps = values.iter().enumerate();
        steps.map(|(k, p)| (p - k as f64 / 200.0).abs().max((p - (k + 1) as f64 / 200.0).abs())).fold(0.0, f64::max)
    };
    let bound = 2.3 / 200.0_f64.sqrt();
    assert!(distance(&model) < bound, "{}", distance(&model));
    assert!(distance(&wrong) > bound, "{}", distance(&wrong));
}

/// Uninformative starts have the covariance of `OrderParameters::uninformative`: five and a half standard errors, 28 entries.
#[test]
fn starts_vary_as_they_are_said_to() {
    let builder = Model::builder().nonlinearity(Tanh).hidden(hidden()).noise(correlated()).learning_rate(0.5);
    let model = builder.n_neurons(2).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let r = DMatrix::from_row_slice(2, 2, &[1.0, 0.3, 0.3, 0.5]);
    let start = OrderParameters::new(DMatrix::zeros(2, 2), r.clone()).unwrap();
    let fluctuations = Fluctuations::new(&ode);
    let solver = fluctuations.solver().start_covariance(StartCovariance::Uninformative);
    let path = solver.output(Output::Times(vec![0.0, 0.1])).solve(&start, 0.1).unwrap();
    let expected = &path.covariances()[0];
    let (n, runs) = (1000, 40_000);
    let mut moments = super::Moments::new(7);
    let mut rng = rand::rngs::StdRng::seed_from_u64(5);
    for _ in 0..runs {
        let drawn = OrderParameters::uninformative(2, &r, n, &mut rng).unwrap();
        moments.add(&((drawn.to_packed() - start.to_packed()) * (n as f64).sqrt()));
    }
    let seen = moments.covariance();
    for (i, j) in (0..7).flat_map(|i| (i..7).map(move |j| (i, j))) {
        let error = ((expected[(i, i)] * expected[(j, j)] + expected[(i, j)].powi(2)) / f64::from(runs)).sqrt();
        assert!(
            (seen[(i, j)] - expected[(i, j)]).abs() < 5.5 * error,
            "({i}, {j}): {} {}",
            seen[(i, j)],
            expected[(i, j)]
        );
    }
}
