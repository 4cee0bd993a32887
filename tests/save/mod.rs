//! Work that is saved and goes on: always the same bits as without an interruption.

mod branches;
mod ensembles;
mod kill;
mod maps;
mod processes;
mod refusals;
mod results;

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use contrastive_dynamics::save::{File, Store};
use contrastive_dynamics::state::{Checkpoint, Outcome, Run, RunError, RunProgress};

/// A file of one test, removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("contrastive-dynamics-{}-{name}", std::process::id()));
        let scratch = Self(path);
        scratch.clear();
        scratch
    }

    fn file(&self) -> File {
        File::new(&self.0)
    }

    fn path(&self) -> &Path {
        &self.0
    }

    fn clear(&self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.clear();
    }
}

/// What is asked of a run.
type Ask<'f, P> = dyn for<'r> Fn(&'r mut P) -> Run<'r, P> + 'f;

/// Runs without an interruption; then, saved after every few steps, cut off after so many of them again and again, each time going
/// on with a process made anew; and compares the outcomes of all replicates, and the processes as they are left.
fn goes_on<P>(name: &str, make: &dyn Fn(u64) -> P, ask: &Ask<'_, P>, end: P::Scalar)
where
    P: Checkpoint<State: PartialEq + Debug, Error: PartialEq + Debug>,
    File: Store<RunProgress<P::Saved, P::Scalar, P::State>>,
    P::Saved: Debug,
{
    let mut process = make(1);
    let whole = ask(&mut process).each_to(end).unwrap();
    assert!(whole.iter().any(Result::is_ok), "{name}: the run itself is sound");
    let left = format!("{:?}", process.saved());
    for every in [1, 4, 1000] {
        let scratch = Scratch::new(name);
        let mut cuts = 0;
        let mut resumed: Option<Vec<Outcome<P>>> = None;
        for limit in (3..).step_by(5).take(400) {
            // Seeds differ: whatever counts comes from the file, once there is one.
            let mut process = make(if scratch.path().exists() { limit } else { 1 });
            let run = ask(&mut process).saved_in(scratch.file(), every).step_limit(limit);
            let outcomes = run.each_to(end).unwrap();
            if outcomes.iter().any(|outcome| matches!(outcome, Err(RunError::StepLimit { .. }))) {
                cuts += 1;
                continue;
            }
            assert_eq!(format!("{:?}", process.saved()), left, "{name}, every {every}");
            resumed = Some(outcomes);
            break;
        }
        assert!(cuts > 2, "{name}: it was cut off {cuts} times");
        assert_eq!(resumed.as_ref(), Some(&whole), "{name}, every {every}");
        // What is done is there at once.
        let mut process = make(9);
        let again = ask(&mut process).saved_in(scratch.file(), every).step_limit(1).each_to(end).unwrap();
        if every < 1000 {
            assert_eq!(again, whole, "{name}: done");
        }
    }
}
