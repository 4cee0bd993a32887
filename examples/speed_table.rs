//! How much faster than the baseline "naive" each simulator is: medians of ratios over interleaved rounds.
//!
//! Criterion runs one id after the other, and a machine drifts in between. Here every round times all contenders in
//! turn, and only ratios inside a round are kept. With `--features parallel` the last lines compare two threads with one.
//!
//! ```text
//! cargo run --release --example speed_table [rounds, 9 unless told]
//! ```

#[path = "../benches/naive/mod.rs"]
mod naive;

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use contrastive_dynamics::Scalar;
use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
use contrastive_dynamics::nalgebra::DMatrix;
use contrastive_dynamics::rand::{SeedableRng, rngs::SmallRng};
use contrastive_dynamics::random::{FillNormal, LaneRng, PerDraw};
use contrastive_dynamics::sgd::{CompressedSgd, DirectSgd, ProjectedChain, Simulator};
use contrastive_dynamics::start::Features;
use contrastive_dynamics::state::OrderParameters;
use naive::Naive;

/// (N, m, B).
const CASES: [(usize, usize, usize); 5] = [(1000, 1, 1), (1000, 2, 1), (1000, 1, 16), (1000, 2, 16), (10_000, 2, 16)];

/// One turn of a contender.
const TURN: Duration = Duration::from_millis(40);

type Outcome<T> = Result<T, Box<dyn Error>>;
type TableModel = Model<f64, Tanh, Independent, GaussianNoise>;

/// A contender: what one call does, and how many units of work that is.
struct Contender<'a> {
    name: String,
    work: Box<dyn FnMut() + 'a>,
    units: f64,
}

impl<'a> Contender<'a> {
    fn new(name: impl Into<String>, units: f64, work: impl FnMut() + 'a) -> Self {
        Self { name: name.into(), work: Box::new(work), units }
    }

    /// Units of work in a second, over one turn.
    fn rate(&mut self) -> f64 {
        let (start, mut calls, mut block) = (Instant::now(), 0_u64, 1);
        loop {
            for _ in 0..block {
                (self.work)();
            }
            calls += block;
            let elapsed = start.elapsed();
            if elapsed >= TURN {
                return calls as f64 * self.units / elapsed.as_secs_f64();
            }
            // Some fifty looks at the clock in a turn.
            if elapsed < TURN / 50 * u32::try_from(calls / block).unwrap_or(u32::MAX) {
                block *= 2;
            }
        }
    }
}

/// Prints median, smallest and largest ratio of every contender to the first.
fn compare(what: &str, rounds: usize, mut contenders: Vec<Contender<'_>>) {
    let mut ratios = vec![Vec::new(); contenders.len()];
    for round in 0..=rounds {
        let rates: Vec<f64> = contenders.iter_mut().map(Contender::rate).collect();
        // The first round warms up.
        if round > 0 {
            for (ratios, rate) in ratios.iter_mut().zip(&rates) {
                ratios.push(rate / rates[0]);
            }
        }
    }
    for (contender, ratios) in contenders.iter().zip(&mut ratios).skip(1) {
        ratios.sort_unstable_by(f64::total_cmp);
        let (low, median, high) = (ratios[0], ratios[ratios.len() / 2], ratios[ratios.len() - 1]);
        println!("| {what} | {} | {} | {} | {} |", contender.name, short(median), short(low), short(high));
    }
}

/// Three digits.
fn short(ratio: f64) -> String {
    if ratio < 100.0 { format!("{ratio:.2}") } else { format!("{ratio:.0}") }
}

/// The model that the baseline has built in.
fn model(neurons: usize, batch: usize) -> Outcome<TableModel> {
    let model = Model::builder()
        .nonlinearity(Tanh)
        .hidden(Independent::new([Law::two_point(naive::SECOND_MOMENT)?])?)
        .noise(GaussianNoise::correlated(naive::NOISE_VARIANCE, naive::NOISE_CORRELATION)?)
        .learning_rate(naive::LEARNING_RATE)
        .weight_decay(naive::WEIGHT_DECAY)
        .n_neurons(neurons)
        .batch_size(batch)
        .penalty_strength(naive::penalty_strength(neurons))
        .build()?;
    Ok(model)
}

/// A step that does not diverge, as none does with these parameters.
fn step(simulator: &mut impl Simulator<Scalar = f64>) {
    assert!(simulator.step().is_ok(), "diverged");
}

fn simulators(rounds: usize) -> Outcome<()> {
    for (n, m, batch) in CASES {
        let model = model(m, batch)?;
        let mut naive = Naive::new(n, m, batch, 1);
        let (q, r) = naive.order_parameters();
        let start = OrderParameters::from_rows(1, m, &q, &r)?;
        let features = Features::from_matrix(DMatrix::from_column_slice(n, 1, naive.feature()))?;
        let weights = DMatrix::from_vec(n, m, naive.weights().concat());
        let direct = DirectSgd::builder(&model, n).features(features.clone()).start(weights.clone());
        let compressed = CompressedSgd::builder(&model, n).features(features).start(weights);
        let (mut direct, mut compressed) = (direct.build_seeded(2)?, compressed.build_seeded(3)?);
        let mut projected = ProjectedChain::builder(&model, n).start(&start).build_seeded(4)?;
        let seeds: Vec<u64> = (0..32).collect();
        let mut lanes = ProjectedChain::builder(&model, n).start(&start).lanes(&seeds)?;
        let contenders = vec![
            Contender::new("naive", 1.0, || naive.step()),
            Contender::new("direct", 1.0, || step(&mut direct)),
            Contender::new("compressed", 1.0, || step(&mut compressed)),
            Contender::new("projected", 1.0, || step(&mut projected)),
            Contender::new("projected_lanes", 32.0, || lanes.step()),
        ];
        compare(&format!("step of naive SGD, N = {n}, m = {m}, B = {batch}"), rounds, contenders);
    }
    let model = model(1, 1)?;
    let start = OrderParameters::from_rows(1, 1, &[0.4], &[1.0])?;
    let mut small = ProjectedChain::builder(&model, 1000).start(&start).build_seeded(5)?;
    let mut large = ProjectedChain::builder(&model, 1_000_000).start(&start).build_seeded(6)?;
    let contenders = vec![
        Contender::new("N = 1000", 1.0, || step(&mut small)),
        Contender::new("projected at N = 1 000 000", 1.0, || step(&mut large)),
    ];
    compare("step of the projected chain at N = 1000, m = 1, B = 1", rounds, contenders);
    Ok(())
}

fn normals<T: Scalar>(precision: &str, rounds: usize) {
    const COUNT: usize = 1_000_000;
    let (mut first, mut second) = (vec![T::zero(); COUNT], vec![T::zero(); COUNT]);
    let mut draws = PerDraw(SmallRng::seed_from_u64(1));
    let mut lanes = LaneRng::seed_from_u64(1);
    let contenders = vec![
        Contender::new("rand_distr", 1.0, || draws.fill_normal(black_box(&mut first))),
        Contender::new("fill", 1.0, || lanes.fill_normal(black_box(&mut second))),
    ];
    compare(&format!("{COUNT} normals of rand_distr, {precision}"), rounds, contenders);
}

/// Replicates over threads: 1024 of the projected chain, a hundred steps each.
#[cfg(feature = "parallel")]
fn threads(rounds: usize) -> Outcome<()> {
    use contrastive_dynamics::ensemble::Ensemble;
    use contrastive_dynamics::integrate::Output;
    let model = model(1, 16)?;
    let chain = ProjectedChain::builder(&model, 1000);
    let pools = [1, 2].map(|threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build());
    let mut contenders = Vec::new();
    for (pool, threads) in pools.into_iter().zip(1..) {
        let (pool, chain) = (pool?, &chain);
        contenders.push(Contender::new(format!("ensemble on {threads} threads"), 1.0, move || {
            let ensemble = Ensemble::new(1024, 1);
            let run = || ensemble.run_projected(chain, 0.1, &Output::Stop, |_, state| vec![state.r()[(0, 0)]]);
            assert!(pool.install(run).is_ok());
        }));
    }
    compare("ensemble of projected chains on 1 thread", rounds, contenders);
    Ok(())
}

#[cfg(not(feature = "parallel"))]
#[expect(clippy::unnecessary_wraps, reason = "as with the feature")]
fn threads(_rounds: usize) -> Outcome<()> {
    Ok(())
}

fn main() -> Outcome<()> {
    let rounds = std::env::args().nth(1).map_or(Ok(9), |rounds| rounds.parse())?;
    println!("| baseline | contender | times faster: median | smallest | largest |");
    println!("|---|---|---|---|---|");
    normals::<f64>("f64", rounds);
    normals::<f32>("f32", rounds);
    simulators(rounds)?;
    threads(rounds)
}
