//! Files that do not belong to a run, or are no longer what was written.

use std::fs;

use contrastive_dynamics::integrate::Output;
use contrastive_dynamics::model::Law;
use contrastive_dynamics::pde::particles::{Heun, ParticleSystem};
use contrastive_dynamics::save::{SaveError, replace};
use contrastive_dynamics::sgd::{CompressedSgd, DirectSgd, ProjectedChain, SgdError, Simulator};
use contrastive_dynamics::state::{Checkpoint, Direction, Run, RunError, Trajectory};

use super::Scratch;
use crate::support::models::{Reference, one_feature, reference};

fn run(scratch: &Scratch, model: &Reference, dimension: usize) -> Result<Trajectory, SgdError> {
    let mut sgd = CompressedSgd::builder(model, dimension).build_seeded(1)?;
    Ok(Run::of(&mut sgd).output(Output::EverySteps(20)).saved_in(scratch.file(), 25).to(2.0)?)
}

fn refusal(result: Result<Trajectory, SgdError>) -> SaveError {
    match result {
        Err(SgdError::Run(RunError::Save { source, time: 0.0, trajectory })) if trajectory.times().is_empty() => source,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_belongs_to_another_run_is_refused() {
    let scratch = Scratch::new("other-run");
    let model = one_feature();
    run(&scratch, &model, 50).unwrap();
    let other = |error| assert!(matches!(error, SaveError::OtherWork { .. }), "{error}");
    other(refusal(run(&scratch, &model, 51)));
    other(refusal(run(&scratch, &model.to_builder().learning_rate(0.31).build().unwrap(), 50)));
    other(refusal(run(&scratch, &reference([Law::uniform(2.25).unwrap()]).build().unwrap(), 50)));
    // Another end, output, event, or simulator.
    let sgd = || CompressedSgd::builder(&model, 50).build_seeded(1).unwrap();
    let source = |error: RunError<_>| match error {
        RunError::Save { source, .. } => source,
        error => panic!("{error}"),
    };
    let output = || Output::EverySteps(20);
    other(source(Run::of(&mut sgd()).output(output()).saved_in(scratch.file(), 25).to(2.5).unwrap_err()));
    other(source(Run::of(&mut sgd()).saved_in(scratch.file(), 25).to(2.0).unwrap_err()));
    let run = |direction| {
        let mut sgd = sgd();
        let run = Run::of(&mut sgd).output(output()).event(direction, |_, _| 1.0);
        run.saved_in(scratch.file(), 25).to(2.0).unwrap_err()
    };
    other(source(run(Direction::Falling)));
    let mut direct = DirectSgd::builder(&model, 50).build_seeded(1).unwrap();
    other(source(Run::of(&mut direct).output(output()).saved_in(scratch.file(), 25).to(2.0).unwrap_err()));
    // A process alone is no run.
    let error = sgd().resume_from(&scratch.file()).unwrap_err();
    assert!(error.to_string().contains("the file holds a run, and compressed SGD is looked for"), "{error}");
    let none = Run::of(&mut sgd()).saved_in(scratch.file(), 0).to(2.0);
    assert!(matches!(none, Err(RunError::Setting { .. })));
}

#[test]
fn truncated_and_corrupted_files_are_refused_and_left_as_they_are() {
    let scratch = Scratch::new("corrupted");
    let model = one_feature();
    let whole = run(&scratch, &model, 50).unwrap();
    let bytes = fs::read(scratch.path()).unwrap();
    for length in [0, 5, 40, bytes.len() / 2, bytes.len() - 1] {
        fs::write(scratch.path(), &bytes[..length]).unwrap();
        let error = refusal(run(&scratch, &model, 50));
        assert!(matches!(error, SaveError::Truncated { .. }), "{length}: {error}");
        assert_eq!(fs::read(scratch.path()).unwrap(), bytes[..length]);
    }
    for at in (0..bytes.len()).step_by(bytes.len() / 60) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        fs::write(scratch.path(), &changed).unwrap();
        let error = refusal(run(&scratch, &model, 50));
        let told = matches!(error, SaveError::Corrupted { .. } | SaveError::Unknown | SaveError::Truncated { .. });
        assert!(told, "{at}: {error}");
    }
    fs::write(scratch.path(), &bytes).unwrap();
    assert_eq!(run(&scratch, &model, 50).unwrap(), whole);
}

/// What is whole and of this run, but does not fit together, is refused and changes nothing.
#[test]
fn content_that_does_not_fit_is_refused() {
    let model = one_feature();
    let small = ProjectedChain::builder(&model, 30).build_seeded(1).unwrap();
    let two = reference([Law::two_point(2.25).unwrap()]).n_neurons(2).build().unwrap();
    let mut large = ProjectedChain::builder(&two, 30).build_seeded(1).unwrap();
    let before = large.saved();
    assert!(matches!(large.restore(small.saved()), Err(SaveError::Content { .. })));
    assert_eq!(large.saved(), before);
    let small = DirectSgd::builder(&model, 30).build_seeded(1).unwrap();
    let mut large = DirectSgd::builder(&model, 31).build_seeded(1).unwrap();
    assert!(matches!(large.restore(small.saved()), Err(SaveError::Content { .. })));
    let small = ProjectedChain::builder(&model, 30).lanes(&[1]).unwrap();
    let mut large = ProjectedChain::builder(&two, 30).lanes(&[1]).unwrap();
    assert!(matches!(large.restore(small.saved()), Err(SaveError::Content { .. })));
}

/// Damaged data whose checksum fits, as what is written by hand, is refused and changes nothing.
fn refuses_other_numbers<P>(process: &mut P, places: &[&str])
where
    P: Checkpoint<Saved: serde::Serialize + serde::de::DeserializeOwned>,
{
    let whole = serde_json::to_value(process.saved()).unwrap();
    for place in places {
        let mut changed = whole.clone();
        *changed.pointer_mut(place).unwrap() = serde_json::json!(1e200);
        let saved = serde_json::from_value(changed).unwrap();
        let refused = process.restore(saved);
        assert!(matches!(refused, Err(SaveError::Content { .. })), "{place}: {refused:?}");
        assert_eq!(serde_json::to_value(process.saved()).unwrap(), whole, "{place}");
    }
    process.restore(serde_json::from_value(whole).unwrap()).unwrap();
}

#[test]
fn numbers_that_are_no_state_are_refused() {
    let model = one_feature();
    let mut chain = ProjectedChain::builder(&model, 30).build_seeded(1).unwrap();
    refuses_other_numbers(&mut chain, &["/q/0", "/v/0"]);
    let mut lanes = ProjectedChain::builder(&model, 30).lanes(&[1, 2]).unwrap();
    refuses_other_numbers(&mut lanes, &["/q/1", "/v/0"]);
    let mut direct = DirectSgd::builder(&model, 30).build_seeded(1).unwrap();
    refuses_other_numbers(&mut direct, &["/weights/3", "/features/3"]);
    let mut compressed = CompressedSgd::builder(&model, 30).build_seeded(1).unwrap();
    refuses_other_numbers(&mut compressed, &["/weights/3"]);
    let scheme = Heun::new(0.1).unwrap();
    let mut particles = ParticleSystem::builder(&model, 200).scheme(scheme).build_seeded(1).unwrap();
    refuses_other_numbers(&mut particles, &["/field/moments/0", "/field/moments/1", "/field/rows/weights/7"]);
}

/// What a process keeps by itself: the same bits go on from it, in a process of the same kind only.
#[test]
fn a_process_is_kept_and_goes_on_by_itself() {
    let scratch = Scratch::new("by-itself");
    assert_eq!(scratch.file().path(), scratch.path());
    let model = one_feature();
    let build = |seed| ProjectedChain::builder(&model, 50).build_seeded(seed).unwrap();
    let mut chain = build(1);
    assert!(!chain.resume_from(&scratch.file()).unwrap());
    chain.run(0.4, &Output::Stop).unwrap();
    chain.save_to(&scratch.file()).unwrap();
    let end = chain.run(1.0, &Output::EverySteps(1)).unwrap();
    let mut other = build(2);
    assert!(other.resume_from(&scratch.file()).unwrap());
    assert_eq!((other.steps(), other.run(1.0, &Output::EverySteps(1)).unwrap()), (20, end));
    assert!(chain.fingerprint().kind().contains("chain"), "{}", chain.fingerprint().kind());
    assert_eq!(chain.fingerprint(), build(7).fingerprint());
    let mut compressed = CompressedSgd::builder(&model, 50).build_seeded(1).unwrap();
    assert!(matches!(compressed.resume_from(&scratch.file()), Err(SaveError::Kind { .. })));
    assert_ne!(compressed.fingerprint().kind(), chain.fingerprint().kind());
}

/// All of it or nothing: a longer content is not left behind a shorter one, and where there is no folder nothing is.
#[test]
fn a_file_is_replaced_as_a_whole() {
    let scratch = Scratch::new("replaced");
    for content in [&b"a longer content"[..], b"short", b""] {
        replace(scratch.path(), content).unwrap();
        assert_eq!(fs::read(scratch.path()).unwrap(), content);
    }
    let nowhere = scratch.path().join("no-folder").join("file");
    assert!(replace(&nowhere, b"x").is_err() && !nowhere.exists());
}
