//! Ensembles: cancelled and extended again and again, with replicates that fail.

use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicU64, Ordering};

use contrastive_dynamics::ensemble::{Ensemble, EnsembleError, Failure, Summary};
use contrastive_dynamics::integrate::Output;
use contrastive_dynamics::model::fingerprint;
use contrastive_dynamics::parallel::{Cancel, Executor, Serial};
use contrastive_dynamics::save::{SaveError, write};
use contrastive_dynamics::sgd::{ProjectedChain, SgdError, Simulator};
use contrastive_dynamics::state::OrderParameters;

use super::Scratch;
use crate::support::models::one_feature;

const REPLICATES: u64 = 150;

/// One run in seven fails, some panic; with `cancel` it is told to end after so many runs have begun.
fn run(
    replicates: u64,
    saved: Option<&Scratch>,
    most: u64,
    began: &AtomicU64,
) -> Result<Summary, EnsembleError<SgdError>> {
    let model = one_feature();
    let cancel = Cancel::new();
    let mut ensemble = Ensemble::new(replicates, 5).keep_values(true).cancelled_by(&cancel);
    if let Some(scratch) = saved {
        ensemble = ensemble.saved_in(scratch.file(), 10, fingerprint(&model));
    }
    let count = AtomicU64::new(0);
    ensemble.run(
        |replicate| {
            began.fetch_add(1, Ordering::Relaxed);
            // Those that failed are begun every time.
            let fails = replicate.index % 31 == 30 || replicate.index % 7 == 3;
            if !fails && count.fetch_add(1, Ordering::Relaxed) + 1 >= most {
                cancel.cancel();
            }
            assert!(replicate.index % 31 != 30, "as it was asked to");
            let dimension = if replicate.index % 7 == 3 { 1 } else { 100 };
            let mut chain = ProjectedChain::builder(&model, dimension).build_seeded(replicate.seed)?;
            chain.run(0.5, &Output::Times(vec![0.0, 0.5]))
        },
        |_, state| vec![state.r()[(0, 0)], state.q()[(0, 0)]],
    )
}

#[test]
fn an_ensemble_goes_on_with_the_same_bits_and_the_same_failures() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let began = AtomicU64::new(0);
    let whole = run(REPLICATES, None, u64::MAX, &began).unwrap_err();
    assert!(whole.failures > 20 && whole.failed.iter().any(|x| matches!(x.failure, Failure::Panic { .. })));
    let scratch = Scratch::new("ensemble");
    began.store(0, Ordering::Relaxed);
    let mut cancelled = 0;
    let resumed = loop {
        let answer = run(REPLICATES, Some(&scratch), 25, &began).unwrap_err();
        if answer.cancelled == 0 {
            break answer;
        }
        cancelled += 1;
    };
    assert!(cancelled > 3, "{cancelled}");
    assert_eq!(resumed, whole);
    // All is there: only what failed is run again.
    began.store(0, Ordering::Relaxed);
    assert_eq!(run(REPLICATES, Some(&scratch), u64::MAX, &began).unwrap_err(), whole);
    assert_eq!(began.load(Ordering::Relaxed), whole.failures);
    // More of them: the old ones are not run again.
    let more = run(2 * REPLICATES, Some(&scratch), u64::MAX, &began).unwrap_err();
    assert_eq!(more, run(2 * REPLICATES, None, u64::MAX, &AtomicU64::new(0)).unwrap_err());
    // Fewer: that is another ensemble.
    let fewer = run(REPLICATES, Some(&scratch), u64::MAX, &began).unwrap_err();
    assert!(matches!(&fewer.unsaved, Some(SaveError::Content { .. })), "{fewer}");
    assert!(fewer.to_string().contains("it has 300 replicates, and 150 are asked for"), "{fewer}");
    std::panic::set_hook(hook);
}

#[test]
fn projected_ensembles_are_extended_within_a_group_of_lanes() {
    let model = one_feature();
    let chain = ProjectedChain::builder(&model, 200);
    let scratch = Scratch::new("lanes-ensemble");
    let run = |replicates: u64, saved: bool| {
        let mut ensemble = Ensemble::new(replicates, 5);
        if saved {
            ensemble = ensemble.saved_in(scratch.file(), 1, fingerprint(&model));
        }
        ensemble.run_projected(&chain, 0.5, &Output::Stop, |_, state| vec![state.r()[(0, 0)]]).unwrap()
    };
    for replicates in [1, 20, 20, 75, 130] {
        assert_eq!(run(replicates, true), run(replicates, false), "{replicates}");
    }
}

#[test]
fn what_an_ensemble_cannot_save_or_read_is_told_with_what_is_done() {
    let model = one_feature();
    let chain = ProjectedChain::builder(&model, 200);
    let simulate = |ensemble: Ensemble, end: f64, learning_rate: f64| {
        let other = model.to_builder().learning_rate(learning_rate).build().unwrap();
        let chain = if learning_rate == 0.3 { chain.clone() } else { ProjectedChain::builder(&other, 200) };
        ensemble.run_projected(&chain, end, &Output::Stop, |_, state| vec![state.r()[(0, 0)]])
    };
    // A folder that is not there.
    let nowhere = contrastive_dynamics::save::File::new("/nowhere/at/all");
    let ensemble = || Ensemble::new(100, 5);
    let error = simulate(ensemble().saved_in(nowhere, 32, fingerprint(&model)), 0.5, 0.3).unwrap_err();
    assert!(matches!(error.unsaved, Some(SaveError::Io { .. })), "{error}");
    assert_eq!((error.summary.count(), error.cancelled), (32, 68));
    let never = Scratch::new("never");
    let error = simulate(ensemble().saved_in(never.file(), 0, fingerprint(&model)), 0.5, 0.3).unwrap_err();
    assert_eq!((&error.unsaved, error.cancelled), (&Some(SaveError::Never), 100));
    // What belongs to another model, seed, or end.
    let scratch = Scratch::new("other-ensemble");
    let saved = || ensemble().saved_in(scratch.file(), 32, fingerprint(&model));
    simulate(saved(), 0.5, 0.3).unwrap();
    for (ensemble, end, rate) in [
        (saved(), 0.5, 0.31),
        (saved(), 0.6, 0.3),
        (Ensemble::new(100, 6).saved_in(scratch.file(), 32, fingerprint(&model)), 0.5, 0.3),
    ] {
        let error = simulate(ensemble, end, rate).unwrap_err();
        assert!(matches!(error.unsaved, Some(SaveError::OtherWork { .. })), "{error}");
        assert_eq!((error.summary.count(), error.cancelled), (0, 100));
    }
    write(scratch.path(), &1.0).unwrap();
    let error = simulate(saved(), 0.5, 0.3).unwrap_err();
    assert!(error.to_string().contains("holds results, and an ensemble is looked for"), "{error}");
}

/// With two failures allowed the third ends an ensemble, in the midst of a group in lock-step too. What is saved does not hold it: once
/// nothing fails there any more, the ensemble goes on as if it had not been. A failure that was allowed, and saved, keeps its place.
#[test]
fn the_first_failure_too_many_is_run_again_in_its_turn() {
    let model = one_feature();
    let run = |scratch: Option<&Scratch>, failing: &[u64]| {
        let mut ensemble = Ensemble::new(200, 5).most_failures(2).keep_values(true);
        if let Some(scratch) = scratch {
            ensemble = ensemble.saved_in(scratch.file(), 16, fingerprint(&model));
        }
        ensemble.run(
            |replicate| {
                let dimension = if failing.contains(&replicate.index) { 1 } else { 100 };
                let mut chain = ProjectedChain::builder(&model, dimension).build_seeded(replicate.seed)?;
                chain.run(0.5, &Output::Stop)
            },
            |_, state| vec![state.r()[(0, 0)]],
        )
    };
    let scratch = Scratch::new("failures");
    let ended: EnsembleError<SgdError> = run(Some(&scratch), &[7, 50, 90, 120]).unwrap_err();
    let failed: Vec<u64> = ended.failed.iter().map(|failed| failed.replicate.index).collect();
    assert_eq!((failed, ended.failures, ended.cancelled, ended.summary.count()), (vec![7, 50, 90], 3, 109, 88));
    let allowed = run(None, &[7, 50]).unwrap_err();
    assert_eq!((allowed.failures, allowed.cancelled), (2, 0));
    assert_eq!(run(Some(&scratch), &[7, 50]).unwrap_err(), allowed);
    let refused = run(Some(&scratch), &[50]).unwrap_err();
    assert!(refused.to_string().contains("replicate 7 failed before, and does not now"), "{refused}");

    // Groups of thirty-two in lock-step: an observer panics at the end of one run.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let scratch = Scratch::new("failures in lock-step");
    let chain = ProjectedChain::builder(&model, 100);
    let run = |saved: bool, panics: Option<f64>| {
        let mut ensemble = Ensemble::new(200, 5).most_failures(0).keep_values(true);
        if saved {
            ensemble = ensemble.saved_in(scratch.file(), 16, fingerprint(&model));
        }
        ensemble.run_projected(&chain, 0.5, &Output::Stop, |_, state| {
            assert!(Some(state.r()[(0, 0)]) != panics, "as it was asked to");
            vec![state.r()[(0, 0)]]
        })
    };
    let whole = run(false, None).unwrap();
    let values = whole.at(0, 0).unwrap().values().unwrap();
    let ended = run(true, Some(values[75])).unwrap_err();
    assert_eq!((ended.failures, ended.summary.count(), ended.cancelled), (1, 75, 124));
    assert_eq!(run(true, None).unwrap(), whole);
    std::panic::set_hook(hook);
}

/// An executor that breaks down at a piece of work, as one over processes does when one of them is gone.
struct Breaking(u64);

impl<R> Executor<R> for Breaking {
    fn for_each(
        &self,
        range: Range<u64>,
        cancel: &Cancel,
        work: &(dyn Fn(u64) -> R + Sync),
        consume: &mut dyn FnMut(u64, R) -> ControlFlow<()>,
    ) {
        Serial.for_each(range, cancel, work, &mut |index, result| {
            assert!(index != self.0, "a process is gone");
            consume(index, result)
        });
    }
}

#[test]
fn what_is_combined_is_saved_when_the_executor_breaks_down() {
    let model = one_feature();
    let chain = ProjectedChain::builder(&model, 100);
    let scratch = Scratch::new("broken");
    let observe = |_: f64, state: &OrderParameters| vec![state.r()[(0, 0)]];
    let whole = Ensemble::new(200, 5).keep_values(true).run_projected(&chain, 0.5, &Output::Stop, observe).unwrap();
    let ensemble = || Ensemble::new(200, 5).keep_values(true).saved_in(scratch.file(), 1000, fingerprint(&model));
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let run = || ensemble().executor(Breaking(3)).run_projected(&chain, 0.5, &Output::Stop, observe);
    let broken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).map(|_| ());
    std::panic::set_hook(hook);
    assert_eq!(broken.unwrap_err().downcast_ref::<&str>(), Some(&"a process is gone"));
    // Three groups of thirty-two are there.
    let cancel = Cancel::new();
    cancel.cancel();
    let kept = ensemble().cancelled_by(&cancel).run_projected(&chain, 0.5, &Output::Stop, observe).unwrap_err();
    assert_eq!((kept.summary.count(), kept.cancelled, kept.unsaved), (96, 104, None));
    assert_eq!(ensemble().run_projected(&chain, 0.5, &Output::Stop, observe).unwrap(), whole);
}
