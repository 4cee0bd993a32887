//! The McKean-Vlasov equation: one Euler-Maruyama step of M particles, against a plain loop of the same arithmetic, and one
//! step of the grid (`pde/grid/nodes/cells`, cells on a range of 16).
//!
//! Ids are `pde/particles/<which>/M`: one feature, one neuron, L1, independent noise. `naive` is a loop with one normal at
//! a time and fixed coefficients; `ours` computes the coefficients too, which costs the same at every M (see
//! `coefficients`). `matched` and `heun` are what `ours` is by default. Throughput counts particles.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up has nothing to report")]

use std::hint::black_box;
use std::time::Duration;

use contrastive_dynamics::limit::{Coefficients, Limit};
use contrastive_dynamics::model::{GaussianNoise, Independent, L1, Law, Model, Tanh};
use contrastive_dynamics::pde::grid::GridSolver;
use contrastive_dynamics::pde::particles::{EulerMaruyama, Heun, Noise, ParticleSystem, StochasticIntegrator};
use contrastive_dynamics::rand::{SeedableRng, rngs::SmallRng};
use contrastive_dynamics::start::{FeatureLaw, LinearGaussianStart, Rows, Whitening};
use contrastive_dynamics::state::OrderParameters;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rand_distr::{Distribution, StandardNormal};

type BenchModel = Model<f64, Tanh, Independent, GaussianNoise, L1>;

const STEP: f64 = 0.01;
const WEIGHT_DECAY: f64 = 0.5;
const LEARNING_RATE: f64 = 0.3;

fn model() -> BenchModel {
    Model::builder()
        .nonlinearity(Tanh)
        .hidden(Independent::new([Law::two_point(2.25).unwrap()]).unwrap())
        .noise(GaussianNoise::correlated(0.3, -0.5).unwrap())
        .learning_rate(LEARNING_RATE)
        .regularizer(L1)
        .weight_decay(WEIGHT_DECAY)
        .build()
        .unwrap()
}

fn start() -> OrderParameters {
    OrderParameters::from_rows(1, 1, &[0.4], &[0.8]).unwrap()
}

fn rows(count: usize) -> Rows {
    let law = LinearGaussianStart::new(FeatureLaw::gaussian(), &start()).unwrap();
    Rows::draw(&law, count, &Whitening::State(start()), &mut SmallRng::seed_from_u64(1)).unwrap()
}

/// Particles as a careful researcher writes them first. The coefficients are given.
struct Naive {
    rng: SmallRng,
    u: Vec<f64>,
    w: Vec<f64>,
    alpha: f64,
    beta: f64,
    lambda: f64,
}

impl Naive {
    fn new(rows: &Rows, coefficients: &Coefficients) -> Self {
        let drift = coefficients.drift(&start());
        Self {
            rng: SmallRng::seed_from_u64(2),
            u: rows.features.as_slice().to_vec(),
            w: rows.weights.as_slice().to_vec(),
            alpha: drift.alpha[(0, 0)],
            beta: drift.beta[(0, 0)],
            lambda: coefficients.lambda[(0, 0)],
        }
    }

    /// One step; returns Q and R after it.
    fn step(&mut self) -> (f64, f64) {
        let noise = (self.lambda * STEP).sqrt();
        let (mut q, mut r) = (0.0, 0.0);
        for (w, u) in self.w.iter_mut().zip(&self.u) {
            let xi: f64 = StandardNormal.sample(&mut self.rng);
            let sign = if *w > 0.0 {
                1.0
            } else if *w < 0.0 {
                -1.0
            } else {
                0.0
            };
            let drift = self.alpha * u + self.beta * *w - LEARNING_RATE * WEIGHT_DECAY * sign;
            *w += drift * STEP + noise * xi;
            q += u * *w;
            r += *w * *w;
        }
        let count = self.w.len() as f64;
        (q / count, r / count)
    }
}

fn system<'a, I: StochasticIntegrator>(
    model: &'a BenchModel,
    rows: &Rows,
    scheme: I,
    noise: Noise,
) -> ParticleSystem<'a, BenchModel, I> {
    let builder = ParticleSystem::builder(model, rows.features.nrows()).start(rows.clone()).scheme(scheme);
    builder.noise(noise).coefficient_tolerance(1e-8).build_seeded(3).unwrap()
}

/// From the same rows both must reach the same (Q, R) up to the noise of one step: a factor 2 of either would show.
fn check_baseline(model: &BenchModel, coefficients: &Coefficients) {
    let rows = rows(1 << 16);
    let mut naive = Naive::new(&rows, coefficients);
    let mut ours = system(model, &rows, EulerMaruyama::new(STEP).unwrap(), Noise::Independent);
    let (q, r) = naive.step();
    ours.step().unwrap();
    let state = ours.order_parameters();
    // The noise moves Q and R by √(Λ·STEP/M) and twice that: 1e-5; the step itself by 1e-3.
    let agree = (state.q()[(0, 0)] - q).abs() < 2e-4 && (state.r()[(0, 0)] - r).abs() < 4e-4;
    assert!(agree, "naive gives ({q}, {r}), ours {state:?}");
}

fn pde(c: &mut Criterion) {
    let model = model();
    let limit = Limit::new(&model).unwrap().tolerance(1e-8).unwrap();
    let coefficients = limit.coefficients(&start()).unwrap().coefficients;
    check_baseline(&model, &coefficients);
    let mut group = c.benchmark_group("pde");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2)).sample_size(20);
    for count in [4096, 65_536] {
        group.throughput(Throughput::Elements(count as u64));
        let id = |which: &str| BenchmarkId::new(format!("particles/{which}"), count);
        let rows = rows(count);
        let mut naive = Naive::new(&rows, &coefficients);
        group.bench_function(id("naive"), |b| b.iter(|| black_box(naive.step())));
        let euler = EulerMaruyama::new(STEP).unwrap();
        let mut ours = system(&model, &rows, euler, Noise::Independent);
        group.bench_function(id("ours"), |b| b.iter(|| ours.step().unwrap()));
        let mut matched = system(&model, &rows, euler, Noise::Matched);
        group.bench_function(id("matched"), |b| b.iter(|| matched.step().unwrap()));
        let mut heun = system(&model, &rows, Heun::new(STEP).unwrap(), Noise::Matched);
        group.bench_function(id("heun"), |b| b.iter(|| heun.step().unwrap()));
    }
    // One step of the grid, of third order and 10 and 80 nodes of the law of u; throughput counts cells times nodes.
    for (order, cells) in [(10, 400), (80, 400), (10, 3200)] {
        let law = LinearGaussianStart::new(FeatureLaw::gaussian(), &start()).unwrap();
        let builder = GridSolver::builder(&model).feature_nodes(order).width(16.0 / f64::from(cells)).step_size(STEP);
        let mut solver = builder.start(&law).build().unwrap();
        let size = solver.density().centres().len() * order;
        group.throughput(Throughput::Elements(size as u64));
        let id = BenchmarkId::new("grid", format!("{order}/{cells}"));
        group.bench_function(id, |b| b.iter(|| solver.step().unwrap()));
    }
    group.finish();
}

criterion_group!(benches, pde);
criterion_main!(benches);
