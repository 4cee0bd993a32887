//! Filling a slice of 10⁶ with standard normals: one draw after the other, and by lanes.
//!
//! Ids are `normals/<how>/<precision>/1000000`; only ratios inside one run mean something.

use contrastive_dynamics::Scalar;
use contrastive_dynamics::rand::{SeedableRng, rngs::SmallRng};
use contrastive_dynamics::random::{FillNormal, LaneRng, PerDraw};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const COUNT: usize = 1_000_000;

fn fill<T: Scalar>(c: &mut Criterion, precision: &str) {
    let mut group = c.benchmark_group("normals");
    group.throughput(Throughput::Elements(COUNT as u64)).sample_size(20);
    let mut out = vec![T::zero(); COUNT];
    let mut draws = PerDraw(SmallRng::seed_from_u64(1));
    let mut lanes = LaneRng::seed_from_u64(1);
    group.bench_function(format!("rand_distr/{precision}/{COUNT}"), |b| b.iter(|| draws.fill_normal(&mut out)));
    group.bench_function(format!("fill/{precision}/{COUNT}"), |b| b.iter(|| lanes.fill_normal(&mut out)));
    group.finish();
}

fn normals(c: &mut Criterion) {
    fill::<f64>(c, "f64");
    fill::<f32>(c, "f32");
}

criterion_group!(benches, normals);
criterion_main!(benches);
