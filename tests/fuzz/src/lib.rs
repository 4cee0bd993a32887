//! Hostile input, made of bytes, for every part of the library that takes input: nothing may panic, run for long, or take much
//! memory. How to run it is in CONTRIBUTING.md of the project.

mod control;
mod data;
mod laws;
mod liars;
mod models;
mod numbers;
mod simulations;
mod stability;
mod states;
mod training;

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use arbitrary::Unstructured;
use cap::Cap;

/// More than that at once is out of proportion to any input here.
const MOST_MEMORY: usize = 3 << 29;

/// An input that takes longer hangs.
const MOST_TIME: Duration = Duration::from_secs(60);

#[global_allocator]
static ALLOCATOR: Cap<std::alloc::System> = Cap::new(std::alloc::System, MOST_MEMORY);

/// What may go wrong in reading more bytes than there are; the input ends there.
type Read<T> = Result<T, arbitrary::Error>;

type Target = fn(&mut Unstructured<'_>) -> Read<()>;

/// What the first byte chooses from.
const TARGETS: [(&str, Target); 19] = [
    ("laws", laws::laws),
    ("joint laws", laws::joint),
    ("builders", models::builders),
    ("coefficients", models::coefficients),
    ("solutions", models::solutions),
    ("states", states::states),
    ("starts", states::starts),
    ("observables", states::observables),
    ("simulators", simulations::simulators),
    ("particles", simulations::particles),
    ("grids", simulations::grids),
    ("runs", simulations::runs),
    ("matrices", stability::matrices),
    ("branches and maps", stability::branches),
    ("data", data::data),
    ("liars", liars::liars),
    ("losses", training::losses),
    ("schedules", training::schedules),
    ("control", control::control),
];

/// The input that is worked on, and since when.
static NOW: Mutex<Option<(Instant, Vec<u8>)>> = Mutex::new(None);
static DONE: AtomicU64 = AtomicU64::new(0);

/// Ends the program if an input takes too long, and tells which.
fn watch() {
    static WATCH: Once = Once::new();
    WATCH.call_once(|| {
        std::thread::spawn(|| {
            loop {
                std::thread::sleep(Duration::from_secs(1));
                let now = NOW.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((since, input)) = &*now
                    && since.elapsed() > MOST_TIME
                {
                    eprintln!("hangs: {} {input:?}", name(input));
                    std::process::abort();
                }
            }
        });
    });
}

/// What an input is for.
#[must_use]
pub fn name(input: &[u8]) -> &'static str {
    TARGETS[usize::from(input.first().copied().unwrap_or(0)) % TARGETS.len()].0
}

/// Works on one input. With a file in the environment variable `FUZZ_LOG` the input is written there before, so that it is known if
/// the program is ended by the lack of memory.
pub fn one(input: &[u8]) {
    watch();
    if let Some(path) = std::env::var_os("FUZZ_LOG") {
        let _ = std::fs::File::create(path).and_then(|mut file| file.write_all(input));
    }
    *NOW.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), input.to_vec()));
    let (first, rest) = input.split_first().unwrap_or((&0, &[]));
    let (_, target) = TARGETS[usize::from(*first) % TARGETS.len()];
    let _ = target(&mut Unstructured::new(rest));
    *NOW.lock().unwrap_or_else(PoisonError::into_inner) = None;
    DONE.fetch_add(1, Ordering::Relaxed);
}
