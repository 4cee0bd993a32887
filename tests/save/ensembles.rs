//! Ensembles: cancelled and extended again and again, with replicates that fail.

use std::sync::atomic::{AtomicU64, Ordering};

use contrastive_dynamics::ensemble::{Ensemble, EnsembleError, Failure, Summary};
use contrastive_dynamics::integrate::Output;
use contrastive_dynamics::model::fingerprint;
use contrastive_dynamics::parallel::Cancel;
use contrastive_dynamics::save::{SaveError, write};
use contrastive_dynamics::sgd::{ProjectedChain, SgdError, Simulator};

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
