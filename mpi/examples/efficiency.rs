//! How much of the speed of threads do processes have, and what does it cost the one that leads?
//!
//! `RAYON_NUM_THREADS=1 mpirun -n 2 cargo run --release -p contrastive-dynamics-mpi --features parallel --example efficiency`
//!
//! The same work in turns: over as many threads of rank 0 as there are processes, while the others rest, and over the processes, each on
//! one thread. The ratio of the times is the efficiency; more processes than processors have none. `--rounds N` (default 7) of each.

use std::error::Error;
use std::time::Instant;

use contrastive_dynamics::parallel::Serial;
use contrastive_dynamics::prelude::*;
use contrastive_dynamics::sgd::SgdError;
use contrastive_dynamics_mpi::{MpiExecutor, Threading, Traffic, initialize};

/// Replicates of the lock-step ensemble, thirty-two to a piece, and their N and t.
const LOCK_STEP: (u64, usize, f64) = (4096, 20_000, 1.0);

/// Replicates one by one.
const SINGLE: u64 = 3000;

type Part<'a> = dyn Fn(&Ensemble<&MpiExecutor>, &Ensemble, bool) -> Result<(), Box<dyn Error>> + Sync + 'a;

fn main() -> Result<(), Box<dyn Error>> {
    let universe = initialize(Threading::Funneled)?;
    let executor = MpiExecutor::of_program(&universe.world(), "efficiency")?;
    let rounds = match std::env::args().skip_while(|argument| argument != "--rounds").nth(1) {
        Some(rounds) => rounds.parse()?,
        None => 7,
    };
    let model = Model::builder()
        .nonlinearity(Tanh)
        .hidden(Independent::new([Law::two_point(2.25)?, Law::three_point(2.25, 0.8)?])?)
        .noise(GaussianNoise::correlated(0.3, -0.5)?)
        .learning_rate(0.3)
        .weight_decay(0.5)
        .build()?;
    let observe = |_: f64, state: &OrderParameters| vec![state.q()[(0, 0)], state.q()[(1, 0)], state.r()[(0, 0)]];
    // From 100 to 10 000 dimensions, uniform in the logarithm: costs differ a hundredfold.
    let dimension = |seed: u64| {
        let fraction = (seed >> 11) as f64 / (1_u64 << 53) as f64;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // from 100 to 10 000
        let dimension = (100.0 * 100_f64.powf(fraction)) as usize;
        dimension
    };
    let one = |replicate: contrastive_dynamics::ensemble::Replicate| -> Result<_, SgdError> {
        let mut chain = ProjectedChain::builder(&model, dimension(replicate.seed)).build_seeded(replicate.seed)?;
        chain.run(1.0, &Output::Stop)
    };
    let lock_step = |over: &Ensemble<&MpiExecutor>, here: &Ensemble, processes: bool| -> Result<(), Box<dyn Error>> {
        let (_, dimension, end) = LOCK_STEP;
        let chain = ProjectedChain::builder(&model, dimension);
        if processes {
            over.run_projected(&chain, end, &Output::Stop, observe)?;
        } else {
            here.run_projected(&chain, end, &Output::Stop, observe)?;
        }
        Ok(())
    };
    let single = |over: &Ensemble<&MpiExecutor>, here: &Ensemble, processes: bool| -> Result<(), Box<dyn Error>> {
        if processes {
            over.run(one, observe)?;
        } else {
            here.run(one, observe)?;
        }
        Ok(())
    };
    let parts: [(&str, u64, &Part<'_>); 2] = [
        ("groups of 32 replicates in lock-step, all alike", LOCK_STEP.0, &lock_step),
        ("single replicates, costs from 1 to 100", SINGLE, &single),
    ];
    if executor.is_root() {
        println!("{} processes of one thread against {0} threads, {rounds} rounds", executor.size());
    }
    for (name, replicates, part) in parts {
        measure(&executor, (name, replicates, rounds), part)?;
    }
    // How much the costs of single replicates differ, on one thread.
    if executor.is_root() {
        let ensemble = Ensemble::new(300, 2).executor(Serial);
        let mut costs: Vec<f64> = Vec::new();
        ensemble.for_each(
            |replicate| {
                let begin = Instant::now();
                one(replicate).map(|_| begin.elapsed().as_secs_f64())
            },
            |_, cost| {
                costs.extend(cost);
                std::ops::ControlFlow::Continue(())
            },
        );
        costs.sort_unstable_by(f64::total_cmp);
        let mean = costs.iter().sum::<f64>() / costs.len() as f64;
        let part = |q: usize| costs[q * (costs.len() - 1) / 100] / mean;
        println!(
            "costs of single replicates, in means: {:.2} (1 %), {:.2} (50 %), {:.2} (99 %)",
            part(1),
            part(50),
            part(99)
        );
    }
    Ok(())
}

/// Measures one kind of work.
fn measure(
    executor: &MpiExecutor,
    (name, replicates, rounds): (&str, u64, usize),
    part: &Part<'_>,
) -> Result<(), Box<dyn Error>> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(executor.size()).build()?;
    let (over, here) = (Ensemble::new(replicates, 1).executor(executor), Ensemble::new(replicates, 1));
    let (mut ratios, mut before) = (Vec::new(), Traffic::default());
    for round in 0..=rounds {
        if round == 1 {
            // The first of each warms up.
            before = executor.traffic();
        }
        // The others wait here for rank 0, which takes no part of a processor.
        let threads = contrastive_dynamics::parallel::Executor::<Option<f64>>::once(executor, || {
            let begin = Instant::now();
            pool.install(|| part(&over, &here, false).ok()).map(|()| begin.elapsed().as_secs_f64())
        });
        let begin = Instant::now();
        part(&over, &here, true)?;
        if round > 0 {
            ratios.push(threads.ok_or("the threads failed")? / begin.elapsed().as_secs_f64());
        }
    }
    if executor.is_root() {
        let after = executor.traffic();
        ratios.sort_unstable_by(f64::total_cmp);
        let (low, high) = (ratios[0], ratios[ratios.len() - 1]);
        let all = (replicates * rounds as u64) as f64;
        let blocks = (after.blocks - before.blocks).max(1) as f64;
        println!("\n{name}");
        println!("  efficiency {:.3} (from {low:.3} to {high:.3})", ratios[ratios.len() / 2]);
        println!("  messages of the root a replicate: {:.4}", (after.messages - before.messages) as f64 / all);
        println!("  bytes a replicate: {:.1}", (after.bytes - before.bytes) as f64 / all);
        println!(
            "  root's time a block of others: {:.1} µs",
            (after.root_seconds - before.root_seconds) / blocks * 1e6
        );
        println!("  blocks of others in a run: {:.0}", blocks / rounds as f64);
    }
    Ok(())
}
