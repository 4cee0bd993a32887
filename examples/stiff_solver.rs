//! When does a stiff solver pay? The same solutions by Dormand-Prince and by the stiff methods of diffsol.
//!
//! Close to the border of learnability a feature grows slowly, while the norm of the weights relaxes at a rate of the order of τγ. However little is left of
//! that, an explicit method must follow it with every step; a stiff one need not. The nearer to the border, the longer the way, and the more it pays. Where
//! growth is fast, or the accuracy asked for is high, it does not.
//!
//!     cargo run --release --features diffsol --example stiff_solver -- --help

mod support;

use std::hint::black_box;
use std::time::Instant;

use clap::Parser;
use contrastive_dynamics::integrate::{Diffsol, DormandPrince, Integrator};
use contrastive_dynamics::prelude::*;
use contrastive_dynamics::stability::uninformative_points;
use support::{Outcome, progress, table};

/// When does a stiff solver pay? Times solutions by Dormand-Prince and by the stiff methods of diffsol.
#[derive(Debug, Parser)]
struct Arguments {
    /// Second moments of the hidden variable; at these settings the border of learnability is at 1.191.
    #[arg(long, value_delimiter = ',', default_values_t = [2.25, 1.25, 1.2, 1.193])]
    second_moments: Vec<f64>,
    /// Relative tolerances in time.
    #[arg(long, value_delimiter = ',', default_values_t = [1e-3, 1e-5, 1e-7])]
    tolerances: Vec<f64>,
    /// Rounds, each with every method in turn; ratios are medians over them.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

/// What one method took: right-hand sides, and a time.
#[derive(Clone, Copy)]
struct Cost {
    right_hand_sides: u64,
    seconds: f64,
}

fn solve<I: Integrator>(ode: &ReducedOde<'_>, method: I, start: &OrderParameters, end: f64) -> Outcome<(Cost, f64)> {
    let before = Instant::now();
    let solution = black_box(ode.solver().integrator(method).solve(start, end)?);
    let cost = Cost { right_hand_sides: solution.work().right_hand_sides, seconds: before.elapsed().as_secs_f64() };
    Ok((cost, solution.last().map_or(f64::NAN, |(_, state)| state.q()[(0, 0)])))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() -> std::process::ExitCode {
    support::told(example())
}

fn example() -> Outcome {
    let Arguments { second_moments, tolerances, rounds } = Arguments::parse();
    println!(
        "One feature, one neuron, tanh: from a small overlap until the feature is learned, 12 times 1/mu, mu the growth rate.\n"
    );
    let heads = ["<c^2>", "mu", "end", "tolerance", "times faster", "right-hand sides", "Dormand-Prince", "difference"];
    let (mut rows, mut paid) = (table(heads), Vec::new());
    let bar = progress(second_moments.len() * tolerances.len() * rounds.max(1), "solving")?;
    for &second_moment in &second_moments {
        let model = Model::builder()
            .nonlinearity(Tanh)
            .hidden(Independent::new([Law::two_point(second_moment)?])?)
            .noise(GaussianNoise::correlated(0.3, -0.5)?)
            .learning_rate(0.3)
            .weight_decay(0.5)
            .build()?;
        let ode = ReducedOde::new(&model)?;
        let points = uninformative_points(&ode, 0.02, 20.0)?;
        let point = points.first().ok_or("no uninformative state")?;
        let growth = point.growth_rates[0];
        if growth <= 0.0 {
            return Err(format!("the second moment {second_moment} is below the border: nothing grows").into());
        }
        let (start, end) = (OrderParameters::from_rows(1, 1, &[1e-3], &[2.0 * point.r])?, 12.0 / growth);
        for &tolerance in &tolerances {
            let mut ratios = Vec::new();
            let mut last = None;
            for _ in 0..rounds.max(1) {
                let (explicit, a) = solve(&ode, DormandPrince::new(tolerance, 1e-3 * tolerance)?, &start, end)?;
                let (stiff, b) = solve(&ode, Diffsol::esdirk34(tolerance, 1e-3 * tolerance)?, &start, end)?;
                ratios.push(explicit.seconds / stiff.seconds);
                last = Some((explicit, stiff, (a - b).abs()));
                bar.inc(1);
            }
            let Some((explicit, stiff, difference)) = last else { continue };
            let faster = median(ratios);
            rows.add_row([
                format!("{second_moment}"),
                format!("{growth:.4}"),
                format!("{end:.0}"),
                format!("{tolerance:.0e}"),
                format!("{faster:.2}"),
                format!("{}", stiff.right_hand_sides),
                format!("{}", explicit.right_hand_sides),
                format!("{difference:.1e}"),
            ]);
            if faster > 1.0 {
                paid.push(format!("<c^2> = {second_moment} at {tolerance:.0e}"));
            }
        }
    }
    bar.finish_and_clear();
    println!("{rows}\n");
    println!(
        "Times faster: the time of Dormand-Prince by that of ESDIRK3(4). Right-hand sides count Jacobians as one."
    );
    if paid.is_empty() {
        println!("The stiff method pays nowhere here.");
    } else {
        println!("The stiff method pays for {}.", paid.join("; "));
    }
    Ok(())
}
