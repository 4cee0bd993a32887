//! A process that is killed at any moment leaves the last good save.

use std::process::{Command, Stdio};
use std::time::Duration;

use contrastive_dynamics::integrate::Output;
use contrastive_dynamics::rand::{RngExt, SeedableRng, rngs::StdRng};
use contrastive_dynamics::save::File;
use contrastive_dynamics::sgd::{CompressedSgd, SgdFailure};
use contrastive_dynamics::state::{Run, RunError, Trajectory};

use super::Scratch;
use crate::support::models::one_feature;

/// Where the child finds the path of its file.
const PATH: &str = "CONTRASTIVE_DYNAMICS_KILLED_FILE";

const END: f64 = 400.0;

fn run(file: Option<File>, step_limit: u64) -> Result<Trajectory, RunError<SgdFailure>> {
    let model = one_feature();
    let mut sgd = CompressedSgd::builder(&model, 400).build_seeded(1).unwrap();
    let run = Run::of(&mut sgd).output(Output::EverySteps(4000)).step_limit(step_limit);
    match file {
        Some(file) => run.saved_in(file, 50).to(END),
        None => run.to(END),
    }
}

/// Run by the other test alone, in a process of its own.
#[test]
#[ignore = "a child of the test below"]
fn child() {
    if let Some(path) = std::env::var_os(PATH) {
        run(Some(File::new(path)), u64::MAX).unwrap();
    }
}

#[test]
fn a_process_killed_a_hundred_times_goes_on_from_its_last_save() {
    let scratch = Scratch::new("killed");
    let mut rng = StdRng::seed_from_u64(1);
    let mut running = 0;
    for _ in 0..100 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "save::kill::child", "--ignored", "--nocapture"])
            .env(PATH, scratch.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // While it starts, reads, computes, writes, or renames.
        std::thread::sleep(Duration::from_micros(rng.random_range(0..40_000)));
        running += u32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(running > 90, "{running} of 100 were killed while they ran");
    // What there is goes beyond the first step, and is not all.
    let RunError::StepLimit { time, .. } = run(Some(scratch.file()), 1).unwrap_err() else {
        panic!("it is done already")
    };
    assert!(time > 1.0, "{time}");
    assert_eq!(run(Some(scratch.file()), u64::MAX), run(None, u64::MAX));
}
