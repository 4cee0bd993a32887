//! Stability: the search for all fixed points, and branches of them.
//!
//! Ids are `stability/fixed_points/p/m` (with tanh and two-point features, collapsed and uninformative states included),
//! `stability/neurons/m` (the same for one feature, with the quadratic penalty and coefficients to 1e-4, for
//! ratios to one neuron), `stability/newton/tolerance` (Newton's method from twelve states of two neurons), `stability/spectrum/n` (a matrix of simple eigenvalues) and `stability/branch/200`: two hundred points
//! with eigenvalues of the informed state of one of two features along
//! the learning rate.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up has nothing to report")]

use std::hint::black_box;
use std::time::Duration;

use contrastive_dynamics::limit::Parameter;
use contrastive_dynamics::nalgebra::DMatrix;
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::stability::{Continuation, FixedPointFinder, OdeCurve, attracting_learnability, spectrum};
use contrastive_dynamics::state::OrderParameters;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

#[path = "../tests/support/models.rs"]
#[allow(dead_code)] // a bench uses a part of what tests do
mod models;

fn model(features: usize) -> models::Reference {
    models::equal_features(features).build().unwrap()
}

fn stability(c: &mut Criterion) {
    let mut group = c.benchmark_group("stability");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3)).sample_size(10);
    for p in [1, 2, 3] {
        let model = model(p);
        let ode = ReducedOde::new(&model).unwrap();
        group.bench_function(BenchmarkId::new("fixed_points", format!("{p}/1")), |b| {
            b.iter(|| FixedPointFinder::new(black_box(&ode)).find().unwrap());
        });
    }
    for m in [1, 2, 3] {
        let model = models::equal_features(1).n_neurons(m).batch_size(4).penalty_strength(0.7).build().unwrap();
        let ode = ReducedOde::new(&model).unwrap().coefficient_tolerance(1e-4).unwrap();
        group.bench_function(BenchmarkId::new("neurons", m), |b| {
            b.iter(|| FixedPointFinder::new(black_box(&ode)).find().unwrap());
        });
    }
    let two = models::equal_features(1).n_neurons(2).batch_size(4).penalty_strength(0.7).build().unwrap();
    for tolerance in [1e-4, 1e-7] {
        let ode = ReducedOde::new(&two).unwrap().coefficient_tolerance(tolerance).unwrap();
        let finder = FixedPointFinder::new(&ode);
        let starts = (0..12).map(|k| {
            let x = |n: u32| (f64::from(7 * k + 3 * n) * 0.77).sin();
            let (size, between) = (0.9 + 0.1 * x(2), 0.2 * x(3));
            OrderParameters::from_rows(1, 2, &[0.4 * x(0), 0.4 * x(1)], &[size, between, between, size]).unwrap()
        });
        let starts: Vec<OrderParameters> = starts.collect();
        group.bench_function(BenchmarkId::new("newton", format!("{tolerance:e}")), |b| {
            b.iter(|| starts.iter().map(|start| finder.polish(black_box(start)).unwrap()).collect::<Vec<_>>());
        });
    }
    for n in [10, 100] {
        // Far from symmetric.
        let entry = |i: usize, j: usize| if i == j { (i + 1) as f64 } else { 0.3 * (1.7 * i as f64 + j as f64).sin() };
        let matrix = DMatrix::from_fn(n, n, entry);
        group.bench_function(BenchmarkId::new("spectrum", n), |b| b.iter(|| spectrum(black_box(&matrix)).unwrap()));
    }
    let model = model(2);
    let ode = ReducedOde::new(&model).unwrap();
    group.bench_function("learnability/2/1", |b| b.iter(|| attracting_learnability(black_box(&ode)).unwrap()));
    let found = FixedPointFinder::new(&ode).find().unwrap();
    let informed = found.stable().next().unwrap().state.clone();
    let plan = Continuation::new(0.29, 5.0).steps(1e-9, 0.005).first_step(0.005).point_limit(200);
    group.bench_function("branch/200", |b| {
        b.iter(|| {
            let mut curve = OdeCurve::new(&ode, Parameter::LearningRate).unwrap();
            let start = curve.coordinates(&informed);
            let branch = plan.run(&mut curve, &start, 0.3).unwrap();
            assert_eq!(branch.points.len(), 200);
            branch
        });
    });
    group.finish();
}

criterion_group!(benches, stability);
criterion_main!(benches);
