//! Fluctuations: Γ against right-hand sides, and covariances along a solution against the solution.
//!
//! Ids are `fluctuation/{rhs,noise,solution,path,corrected}/m` for m = 1 and 2 neurons with tanh and two features (batches of 3, and for two
//! neurons the quadratic penalty): one right-hand side and one evaluation of Γ by frozen rules, and whole runs to t = 3 from
//! choosing their rules on, all at default tolerances.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up has nothing to report")]

use std::hint::black_box;
use std::time::Duration;

use contrastive_dynamics::fluctuation::Fluctuations;
use contrastive_dynamics::integrate::System;
use contrastive_dynamics::prelude::*;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

fn fluctuation(c: &mut Criterion) {
    let mut group = c.benchmark_group("fluctuation");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3)).sample_size(10);
    let overlaps = [0.4, -0.2, 0.3, 0.5];
    let starts = [
        OrderParameters::from_rows(2, 1, &overlaps[..2], &[0.8]).unwrap(),
        OrderParameters::from_rows(2, 2, &overlaps, &[0.8, 0.2, 0.2, 1.0]).unwrap(),
    ];
    for (m, start) in [1, 2].into_iter().zip(&starts) {
        let hidden = Independent::new([Law::two_point(2.25).unwrap(), Law::three_point(1.5, 0.4).unwrap()]).unwrap();
        let builder = Model::builder().nonlinearity(Tanh).hidden(hidden);
        let builder = builder.noise(GaussianNoise::correlated(0.3, -0.5).unwrap()).learning_rate(0.3).weight_decay(0.5);
        let model = builder.n_neurons(m).batch_size(3).penalty_strength(0.7).build().unwrap();
        let ode = ReducedOde::new(&model).unwrap();
        let packed = start.to_packed();
        let mut system = ode.system(start).unwrap();
        let mut rates = vec![0.0; packed.len()];
        group.bench_function(BenchmarkId::new("rhs", m), |b| {
            b.iter(|| system.rates(0.0, black_box(packed.as_slice()), &mut rates).unwrap());
        });
        let fluctuations = Fluctuations::new(&ode);
        let mut rule = fluctuations.noise_rule(start).unwrap();
        group.bench_function(BenchmarkId::new("noise", m), |b| b.iter(|| rule.covariance(black_box(start)).unwrap()));
        group.bench_function(BenchmarkId::new("solution", m), |b| {
            b.iter(|| ode.solver().solve(black_box(start), 3.0).unwrap());
        });
        for (name, corrected) in [("path", false), ("corrected", true)] {
            group.bench_function(BenchmarkId::new(name, m), |b| {
                b.iter(|| fluctuations.solver().corrections(corrected).solve(black_box(start), 3.0).unwrap());
            });
        }
    }
    group.finish();
}

criterion_group!(benches, fluctuation);
criterion_main!(benches);
