//! How much faster than the baseline "naive" is each simulator? Medians of ratios over interleaved rounds.
//!
//! Criterion runs one id after the other, and a machine drifts in between. Here every round times all contenders in turn, and only ratios
//! inside a round are kept. With the feature `parallel` the last line compares two threads with one.
//!
//!     cargo run --release [--features parallel] --example speed_table -- --help

mod support;

#[path = "../benches/naive/mod.rs"]
mod naive;

use std::hint::black_box;
use std::time::{Duration, Instant};

use clap::Parser;
use comfy_table::{Table, presets::ASCII_MARKDOWN};
use contrastive_dynamics::nalgebra::DMatrix;
use contrastive_dynamics::prelude::*;
use contrastive_dynamics::rand::{SeedableRng, rngs::SmallRng};
use contrastive_dynamics::random::{FillNormal, LaneRng, PerDraw};
use indicatif::ProgressBar;
use naive::Naive;
use support::{Outcome, progress, table};

/// How much faster than the baseline "naive" is each simulator? Medians of ratios over rounds that time all contenders in turn.
#[derive(Debug, Parser)]
struct Arguments {
    /// Rounds in which every contender has a turn; a first one warms up.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long a turn is, in milliseconds.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u64).range(1..))]
    turn: u64,
    /// Prints the table as Markdown.
    #[arg(long)]
    markdown: bool,
}

/// (N, m, B).
const CASES: [(usize, usize, usize); 5] = [(1000, 1, 1), (1000, 2, 1), (1000, 1, 16), (1000, 2, 16), (10_000, 2, 16)];

/// How many comparisons there are.
const COMPARISONS: usize = CASES.len() + 3 + cfg!(feature = "parallel") as usize;

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
    fn rate(&mut self, turn: Duration) -> f64 {
        let (start, mut calls, mut block) = (Instant::now(), 0_u64, 1);
        loop {
            for _ in 0..block {
                (self.work)();
            }
            calls += block;
            let elapsed = start.elapsed();
            if elapsed >= turn {
                return calls as f64 * self.units / elapsed.as_secs_f64();
            }
            // Some fifty looks at the clock in a turn.
            if elapsed < turn / 50 * u32::try_from(calls / block).unwrap_or(u32::MAX) {
                block *= 2;
            }
        }
    }
}

/// The table, as it grows.
struct Comparisons {
    rounds: u32,
    turn: Duration,
    table: Table,
    bar: ProgressBar,
    slowest: Option<(f64, String)>,
    fastest: Option<(f64, String)>,
}

impl Comparisons {
    /// Adds median, smallest and largest ratio of every contender to the first.
    fn compare(&mut self, what: &str, mut contenders: Vec<Contender<'_>>) {
        let mut ratios = vec![Vec::new(); contenders.len()];
        for round in 0..=self.rounds {
            let rates: Vec<f64> = contenders.iter_mut().map(|contender| contender.rate(self.turn)).collect();
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
            self.table.add_row([what, &contender.name, &short(median), &short(low), &short(high)]);
            self.note(median, format!("{} against {what}", contender.name));
        }
        self.bar.inc(1);
    }

    /// Keeps the extremes.
    fn note(&mut self, median: f64, name: String) {
        if self.slowest.as_ref().is_none_or(|least| median < least.0) {
            self.slowest = Some((median, name.clone()));
        }
        if self.fastest.as_ref().is_none_or(|most| median > most.0) {
            self.fastest = Some((median, name));
        }
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

fn simulators(all: &mut Comparisons) -> Outcome {
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
        all.compare(&format!("step of naive SGD, N = {n}, m = {m}, B = {batch}"), contenders);
    }
    let model = model(1, 1)?;
    let start = OrderParameters::from_rows(1, 1, &[0.4], &[1.0])?;
    let mut small = ProjectedChain::builder(&model, 1000).start(&start).build_seeded(5)?;
    let mut large = ProjectedChain::builder(&model, 1_000_000).start(&start).build_seeded(6)?;
    let contenders = vec![
        Contender::new("N = 1000", 1.0, || step(&mut small)),
        Contender::new("projected at N = 1 000 000", 1.0, || step(&mut large)),
    ];
    all.compare("step of the projected chain at N = 1000, m = 1, B = 1", contenders);
    Ok(())
}

fn normals<T: Scalar>(precision: &str, all: &mut Comparisons) {
    const COUNT: usize = 1_000_000;
    let (mut first, mut second) = (vec![T::zero(); COUNT], vec![T::zero(); COUNT]);
    let mut draws = PerDraw(SmallRng::seed_from_u64(1));
    let mut lanes = LaneRng::seed_from_u64(1);
    let contenders = vec![
        Contender::new("rand_distr", 1.0, || draws.fill_normal(black_box(&mut first))),
        Contender::new("fill", 1.0, || lanes.fill_normal(black_box(&mut second))),
    ];
    all.compare(&format!("{COUNT} normals of rand_distr, {precision}"), contenders);
}

/// Replicates over threads: 1024 of the projected chain, a hundred steps each.
#[cfg(feature = "parallel")]
fn threads(all: &mut Comparisons) -> Outcome {
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
    all.compare("ensemble of projected chains on 1 thread", contenders);
    Ok(())
}

#[cfg(not(feature = "parallel"))]
#[expect(clippy::unnecessary_wraps, reason = "as with the feature")]
fn threads(_: &mut Comparisons) -> Outcome {
    Ok(())
}

fn main() -> std::process::ExitCode {
    support::told(example())
}

fn example() -> Outcome {
    let arguments = Arguments::parse();
    let mut all = Comparisons {
        rounds: arguments.rounds,
        turn: Duration::from_millis(arguments.turn),
        table: table(["baseline", "contender", "times faster: median", "smallest", "largest"]),
        bar: progress(COMPARISONS, "comparisons")?,
        slowest: None,
        fastest: None,
    };
    normals::<f64>("f64", &mut all);
    normals::<f32>("f32", &mut all);
    simulators(&mut all)?;
    threads(&mut all)?;
    all.bar.finish_and_clear();
    if arguments.markdown {
        all.table.load_preset(ASCII_MARKDOWN);
    }
    println!("{}\n", all.table);
    for (extreme, name) in [("largest", all.fastest), ("smallest", all.slowest)] {
        if let Some((ratio, name)) = name {
            println!("The {extreme} median is {}, of {name}.", short(ratio));
        }
    }
    Ok(())
}
