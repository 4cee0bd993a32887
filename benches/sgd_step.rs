//! One step of SGD: the crate's simulators against the baseline "naive".
//!
//! Ids are `sgd_step/<simulator>/N/m/B`; a step of `projected_lanes` is one of 32 replicates together. Only ratios inside one
//! run mean something (and better those of `examples/speed_table.rs`, which times its contenders in turn); throughput
//! counts samples of all replicates.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up has nothing to report")]

mod naive;

use std::time::Duration;

use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
use contrastive_dynamics::nalgebra::DMatrix;
use contrastive_dynamics::sgd::{CompressedSgd, DirectSgd, Projected, ProjectedChain, Simulator, SimulatorBuilder};
use contrastive_dynamics::start::Features;
use contrastive_dynamics::state::OrderParameters;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use naive::Naive;

/// (N, m, B).
const CASES: [(usize, usize, usize); 5] = [(1000, 1, 1), (1000, 2, 1), (1000, 1, 16), (1000, 2, 16), (10_000, 2, 16)];

type BenchModel = Model<f64, Tanh, Independent, GaussianNoise>;

/// The model that the baseline has built in.
fn model(neurons: usize, batch: usize) -> BenchModel {
    Model::builder()
        .nonlinearity(Tanh)
        .hidden(Independent::new([Law::two_point(naive::SECOND_MOMENT).unwrap()]).unwrap())
        .noise(GaussianNoise::correlated(naive::NOISE_VARIANCE, naive::NOISE_CORRELATION).unwrap())
        .learning_rate(naive::LEARNING_RATE)
        .weight_decay(naive::WEIGHT_DECAY)
        .n_neurons(neurons)
        .batch_size(batch)
        .penalty_strength(naive::penalty_strength(neurons))
        .build()
        .unwrap()
}

/// Direct SGD from feature and weights of the baseline.
fn direct<'a>(model: &'a BenchModel, naive: &Naive, seed: u64) -> impl Simulator<Scalar = f64> + use<'a> {
    let (n, m) = (naive.feature().len(), naive.weights().len());
    DirectSgd::builder(model, n)
        .features(Features::from_matrix(DMatrix::from_column_slice(n, 1, naive.feature())).unwrap())
        .start(DMatrix::from_vec(n, m, naive.weights().concat()))
        .build_seeded(seed)
        .unwrap()
}

/// Compressed SGD from feature and weights of the baseline.
fn compressed<'a>(model: &'a BenchModel, naive: &Naive, seed: u64) -> impl Simulator<Scalar = f64> + use<'a> {
    let (n, m) = (naive.feature().len(), naive.weights().len());
    CompressedSgd::builder(model, n)
        .features(Features::from_matrix(DMatrix::from_column_slice(n, 1, naive.feature())).unwrap())
        .start(DMatrix::from_vec(n, m, naive.weights().concat()))
        .build_seeded(seed)
        .unwrap()
}

/// The projected chain from the order parameters of the baseline.
fn chain<'a>(model: &'a BenchModel, naive: &Naive) -> SimulatorBuilder<'a, BenchModel, Projected> {
    let (q, r) = naive.order_parameters();
    let start = OrderParameters::from_rows(1, naive.weights().len(), &q, &r).unwrap();
    ProjectedChain::builder(model, naive.feature().len()).start(&start)
}

/// A baseline that simulates something else would make every ratio worthless: from the same start, means of Q and R
/// must agree at t = 1. The law is the same at every N, and small N gives the smallest sampling error for the time:
/// 0.002 here. Uncorrelated noise or a background that is not projected would be off by 0.02.
fn check_baseline() {
    const N: usize = 100;
    const RUNS: u64 = 400;
    for (m, batch) in [(1, 1), (2, 4)] {
        let model = model(m, batch);
        let mut difference = vec![0.0; m + m * m];
        for run in 0..RUNS {
            let mut naive = Naive::new(N, m, batch, run);
            let mut direct = direct(&model, &naive, RUNS + run);
            for _ in 0..N {
                naive.step();
                direct.step().unwrap();
            }
            let (q, r) = naive.order_parameters();
            let state = direct.order_parameters();
            // R is symmetric, so that the order of its entries does not matter.
            let entries = state.q().iter().chain(state.r().iter());
            for ((sum, x), y) in difference.iter_mut().zip(q.iter().chain(&r)).zip(entries) {
                *sum += (x - y) / RUNS as f64;
            }
        }
        let agree = difference.iter().all(|x| x.abs() < 0.01);
        assert!(agree, "naive and direct SGD differ at m = {m}, B = {batch}: (Q, R) by {difference:?}");
    }
}

fn sgd_step(c: &mut Criterion) {
    check_baseline();
    let mut group = c.benchmark_group("sgd_step");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2)).sample_size(20);
    for (n, m, batch) in CASES {
        group.throughput(Throughput::Elements(batch as u64));
        let id = |simulator: &str| BenchmarkId::new(simulator, format!("{n}/{m}/{batch}"));
        let model = model(m, batch);
        let mut naive = Naive::new(n, m, batch, 1);
        let mut direct = direct(&model, &naive, 2);
        let mut compressed = compressed(&model, &naive, 3);
        let seeds: Vec<u64> = (0..32).collect();
        let mut lanes = chain(&model, &naive).lanes(&seeds).unwrap();
        let mut projected = chain(&model, &naive).build_seeded(4).unwrap();
        group.bench_function(id("naive"), |b| b.iter(|| naive.step()));
        group.bench_function(id("direct"), |b| b.iter(|| direct.step().unwrap()));
        group.bench_function(id("compressed"), |b| b.iter(|| compressed.step().unwrap()));
        group.bench_function(id("projected"), |b| b.iter(|| projected.step().unwrap()));
        group.throughput(Throughput::Elements(32 * batch as u64));
        group.bench_function(id("projected_lanes"), |b| b.iter(|| lanes.step()));
    }
    // The cost of a step of the projected chain does not depend on N.
    let model = model(1, 1);
    let start = OrderParameters::from_rows(1, 1, &[0.4], &[1.0]).unwrap();
    let mut projected = ProjectedChain::builder(&model, 1_000_000).start(&start).build_seeded(5).unwrap();
    group.throughput(Throughput::Elements(1));
    group.bench_function(BenchmarkId::new("projected", "1000000/1/1"), |b| b.iter(|| projected.step().unwrap()));
    group.finish();
}

/// 1024 replicates of the projected chain, a hundred steps each, over threads (feature `parallel`).
#[cfg(feature = "parallel")]
fn ensemble(c: &mut Criterion) {
    use contrastive_dynamics::ensemble::Ensemble;
    use contrastive_dynamics::integrate::Output;
    let model = model(1, 16);
    let chain = ProjectedChain::builder(&model, 1000);
    let mut group = c.benchmark_group("ensemble");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2)).sample_size(20);
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let run = || {
            let observe = |_, state: &OrderParameters| vec![state.r()[(0, 0)]];
            Ensemble::new(1024, 1).run_projected(&chain, 0.1, &Output::Stop, observe).unwrap()
        };
        group.bench_function(threads.to_string(), |b| b.iter(|| pool.install(run)));
    }
    group.finish();
}

/// Without threads there is nothing to compare.
#[cfg(not(feature = "parallel"))]
fn ensemble(_: &mut Criterion) {}

criterion_group!(benches, sgd_step, ensemble);
criterion_main!(benches);
