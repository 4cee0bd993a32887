//! So many inputs at random, from a seed; every place that panics is told once, with the first input that came there.
//!
//!     cargo run --release -- 1000000 1
//!
//! With the name of a file it takes the one input that is there.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use contrastive_dynamics_fuzz::{name, one};

static PLACE: Mutex<String> = Mutex::new(String::new());

/// splitmix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

fn main() -> ExitCode {
    // One input again.
    if let [path] = &std::env::args().skip(1).collect::<Vec<_>>()[..]
        && let Ok(input) = std::fs::read(path)
    {
        one(&input);
        return ExitCode::SUCCESS;
    }
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let (Some(Ok(count)), Some(Ok(seed))) = (arguments.next(), arguments.next()) else {
        eprintln!("how many inputs, and from which seed?");
        return ExitCode::from(2);
    };
    std::panic::set_hook(Box::new(|info| {
        if let Ok(mut place) = PLACE.lock() {
            *place = info.to_string();
        }
    }));
    let (mut state, mut found) = (seed, BTreeMap::new());
    // By target: inputs, and the time of all and of the slowest.
    let mut times: BTreeMap<&str, (u64, Duration, Duration)> = BTreeMap::new();
    for _ in 0..count {
        let length = next(&mut state) % 400;
        let input: Vec<u8> = (0..length).map(|_| next(&mut state).to_le_bytes()[0]).collect();
        let begin = Instant::now();
        if catch_unwind(AssertUnwindSafe(|| one(&input))).is_err() {
            let place = PLACE.lock().map(|place| place.clone()).unwrap_or_default();
            if !found.contains_key(&place) {
                println!("{}: {place}\n    {input:?}", name(&input));
            }
            *found.entry(place).or_insert(0_u64) += 1;
        }
        let (taken, entry) = (begin.elapsed(), times.entry(name(&input)).or_default());
        *entry = (entry.0 + 1, entry.1 + taken, entry.2.max(taken));
    }
    for (target, (inputs, all, slowest)) in times {
        println!(
            "{target:>18}: {inputs:>7} inputs, {:.2} ms each, slowest {:.2} s",
            1e3 * all.as_secs_f64() / inputs as f64,
            slowest.as_secs_f64()
        );
    }
    println!("{count} inputs, {} places that panic", found.len());
    if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
