//! The limit: one right-hand side of the reduced ODE, coefficients with error control, and whole solutions.
//!
//! Ids are `limit/<what>/p/m`, with tanh, two-point features and, for m > 1, the penalty. Coefficients are good to
//! 1e-8 for one neuron, and 1e-7 for two and three. A `jacobian` is that of the right-hand side by the state.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up has nothing to report")]

use std::hint::black_box;
use std::time::Duration;

use contrastive_dynamics::integrate::{DormandPrince, System};
use contrastive_dynamics::model::{
    BarlowTwins, CentredCovarianceLoss, CovarianceLoss, Loss, Quadratic, SpectralContrastive,
};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::state::OrderParameters;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main};

#[path = "../tests/support/models.rs"]
#[allow(dead_code)] // a bench uses a part of what tests do
mod models;

fn model(features: usize, neurons: usize) -> models::Reference {
    let strength = if neurons > 1 { 1.0 } else { 0.0 };
    models::equal_features(features).n_neurons(neurons).penalty_strength(strength).build().unwrap()
}

fn start(features: usize, neurons: usize) -> OrderParameters {
    let (q, r): (&[f64], &[f64]) = match neurons {
        1 => (&[0.35, 0.2], &[1.0]),
        2 => (&[0.35, 0.2, -0.1, 0.3], &[1.0, 0.2, 0.2, 0.9]),
        _ => (&[0.35, 0.2, -0.1, 0.1, 0.3, 0.2], &[1.0, 0.2, 0.1, 0.2, 0.9, -0.1, 0.1, -0.1, 1.1]),
    };
    OrderParameters::from_rows(features, neurons, &q[..features * neurons], r).unwrap()
}

fn limit(c: &mut Criterion) {
    let mut group = c.benchmark_group("limit");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2)).sample_size(20);
    for (p, m) in [(1, 1), (2, 1), (1, 2), (1, 3)] {
        let id = |what: &str| BenchmarkId::new(what, format!("{p}/{m}"));
        let model = model(p, m);
        let tolerance = [1e-8, 1e-7, 1e-7][m - 1];
        let ode = ReducedOde::new(&model).unwrap().coefficient_tolerance(tolerance).unwrap();
        let state = start(p, m);

        let mut system = ode.system(&state).unwrap();
        let y = state.to_packed();
        let mut rates = vec![0.0; y.len()];
        group.bench_function(id("rhs"), |b| {
            b.iter(|| system.rates(0.0, black_box(y.as_slice()), black_box(&mut rates)).unwrap());
        });
        group.bench_function(id("jacobian"), |b| b.iter(|| system.jacobian(black_box(y.as_slice())).unwrap()));
        group.bench_function(id("coefficients"), |b| {
            b.iter(|| ode.limit().coefficients(black_box(&state)).unwrap());
        });
        if m <= 2 {
            let solver = ode.solver().integrator(DormandPrince::new(tolerance, 0.01 * tolerance).unwrap());
            group.bench_function(id("solve"), |b| b.iter(|| solver.solve(black_box(&state), 20.0).unwrap()));
        }
    }
    group.finish();
}

/// The same with many features, good to 1e-8 for one neuron and for two, and to 1e-7 for three.
fn many_features(c: &mut Criterion) {
    let mut group = c.benchmark_group("limit");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2)).sample_size(20);
    let one = [10, 30, 100, 300, 1000].map(|p| (p, 1));
    for (p, m) in one.into_iter().chain([(12, 2), (30, 2), (100, 2), (300, 2), (12, 3), (30, 3)]) {
        let id = |what: &str| BenchmarkId::new(what, format!("{p}/{m}"));
        let model = model(p, m);
        let ode = ReducedOde::new(&model).unwrap().coefficient_tolerance([1e-8, 1e-8, 1e-7][m - 1]).unwrap();
        let q: Vec<f64> = (0..p * m).map(|l| 0.7 * (l as f64).cos() / (0.5 * p as f64).sqrt()).collect();
        let overlap = |i: usize, j: usize| q.chunks_exact(m).map(|row| row[i] * row[j]).sum::<f64>();
        let r: Vec<f64> = (0..m * m).map(|k| overlap(k / m, k % m) + if k / m == k % m { 0.5 } else { 0.1 }).collect();
        let state = OrderParameters::from_rows(p, m, &q, &r).unwrap();

        let mut system = ode.system(&state).unwrap();
        // Two states in turn: of one that it has seen a rule knows the law of the sum.
        let here = state.to_packed();
        let there = &here * 0.999;
        let mut rates = vec![0.0; here.len()];
        let mut turn = false;
        group.bench_function(id("rhs"), |b| {
            b.iter(|| {
                turn = !turn;
                let y = if turn { &here } else { &there };
                system.rates(0.0, black_box(y.as_slice()), black_box(&mut rates)).unwrap();
            });
        });
        if p * m <= 300 {
            group.bench_function(id("jacobian"), |b| b.iter(|| system.jacobian(black_box(here.as_slice())).unwrap()));
        }
        group.bench_function(id("coefficients"), |b| {
            b.iter(|| ode.limit().coefficients(black_box(&state)).unwrap());
        });
    }
    group.finish();
}

/// Right-hand sides, their Jacobians and solutions under other losses, with ids `losses/<what>/<loss>/m`: two features, B = 8, coefficients
/// good to 1e-8.
fn losses(c: &mut Criterion) {
    let mut group = c.benchmark_group("losses");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2)).sample_size(20);
    let covariance = CovarianceLoss::new(Quadratic, 0.5).unwrap();
    for m in [1, 2] {
        bench_loss(&mut group, "covariance", m, covariance);
        bench_loss(&mut group, "Barlow Twins", m, BarlowTwins::new(0.5).unwrap());
        bench_loss(&mut group, "spectral", m, SpectralContrastive);
        bench_loss(&mut group, "centred", m, CentredCovarianceLoss::new(covariance));
    }
    group.finish();
}

fn bench_loss<L: Loss>(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, m: usize, loss: L) {
    let model = models::equal_features(2).n_neurons(m).batch_size(8).loss(loss).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap().coefficient_tolerance(1e-8).unwrap();
    let state = start(2, m);
    let id = |what: &str| BenchmarkId::new(what, format!("{name}/{m}"));
    let mut system = ode.system(&state).unwrap();
    let y = state.to_packed();
    let mut rates = vec![0.0; y.len()];
    group.bench_function(id("rhs"), |b| {
        b.iter(|| system.rates(0.0, black_box(y.as_slice()), black_box(&mut rates)).unwrap());
    });
    group.bench_function(id("jacobian"), |b| b.iter(|| system.jacobian(black_box(y.as_slice())).unwrap()));
    let solver = ode.solver().integrator(DormandPrince::new(1e-8, 1e-10).unwrap());
    group.bench_function(id("solve"), |b| b.iter(|| solver.solve(black_box(&state), 5.0).unwrap()));
}

criterion_group!(benches, limit, many_features, losses);
criterion_main!(benches);
