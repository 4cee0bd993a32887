//! Attraction regions: certifying a stable point, following one start, and a whole map.
//!
//! Ids are `stability/<what>/p/m`. `stability/map/2/1` is a map of 128 x 128 starts over the quarter plane of overlaps up
//! to 1 with R = 1 (those beyond the circle are no states): two features, one two-point, the other three-point with
//! activity 0.8. On several cores with the feature `parallel`.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up has nothing to report")]

use std::hint::black_box;
use std::time::Duration;

use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::stability::{AttractionRegions, Grid, Neighbourhood};
use contrastive_dynamics::state::OrderParameters;
use criterion::{Criterion, criterion_group, criterion_main};

fn regions(c: &mut Criterion) {
    let model = Model::builder()
        .nonlinearity(Tanh)
        .hidden(Independent::new([Law::two_point(2.25).unwrap(), Law::three_point(2.25, 0.8).unwrap()]).unwrap())
        .noise(GaussianNoise::correlated(0.3, -0.5).unwrap())
        .learning_rate(0.3)
        .weight_decay(0.5)
        .build()
        .unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let state = |q1: f64, q2: f64| OrderParameters::from_rows(2, 1, &[q1, q2], &[1.0]);
    let points = [state(0.98, 0.0).unwrap(), state(0.0, 0.87).unwrap()];
    let regions = AttractionRegions::new(&ode, &points).unwrap();
    let mut group = c.benchmark_group("stability");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3)).sample_size(10);
    group.bench_function("certify/2/1", |b| b.iter(|| Neighbourhood::certify(&ode, black_box(&points[0])).unwrap()));
    let start = state(0.3, 0.1).unwrap();
    group.bench_function("fate/2/1", |b| b.iter(|| regions.outcome(black_box(&start))));
    let grid = Grid { a: (0.0, 1.0), b: (0.0, 1.0), columns: 128, rows: 128 };
    group.bench_function("map/2/1", |b| b.iter(|| regions.map(black_box(grid), state).unwrap()));
    group.finish();
}

criterion_group!(benches, regions);
criterion_main!(benches);
