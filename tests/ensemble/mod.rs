//! Ensembles: the same bits for any number of threads, replicates that can be run alone, and errors that lose nothing.

use std::ops::ControlFlow;

use contrastive_dynamics::ensemble::{
    Ensemble, EnsembleError, EnsembleExecutor, Failure, Replicate, Statistics, Summary,
};
use contrastive_dynamics::integrate::Output;
use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::parallel::{Cancel, Executor, Serial};
use contrastive_dynamics::sgd::{DirectSgd, ProjectedChain, SgdError, Simulator};
use contrastive_dynamics::start::StartError;
use contrastive_dynamics::state::{OrderParameters, Run, RunError, StopReason, Trajectory};

use crate::support::backwards::Backwards;
#[cfg(feature = "serde")]
use crate::support::carried::Carried;
use crate::support::models::{informed_start as start, one_feature as model};

fn run(replicate: Replicate, dimension: usize) -> Result<Trajectory, SgdError> {
    let model = model();
    let mut chain = ProjectedChain::builder(&model, dimension).start(start()).build_seeded(replicate.seed)?;
    chain.run(1.0, &Output::Times(vec![0.5, 1.0]))
}

fn observe(_: f64, state: &OrderParameters) -> Vec<f64> {
    vec![state.q()[(0, 0)], state.cosine_similarity(0, 0).unwrap()]
}

fn summary() -> Summary {
    Ensemble::new(2000, 5).keep_values(true).run(|replicate| run(replicate, 200), observe).unwrap()
}

#[test]
#[cfg(feature = "parallel")]
fn the_number_of_threads_changes_no_bit() {
    let with = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(summary);
    let one = with(1);
    assert_eq!(one, with(2));
    assert_eq!(one, with(5));
}

/// What carries all that is run here.
trait Runs:
    EnsembleExecutor<f64, SgdError>
    + Executor<Result<u64, Failure<String>>>
    + Executor<Vec<Result<u64, Failure<String>>>>
    + Executor<Result<i32, Failure<SgdError>>>
    + Executor<Vec<Result<i32, Failure<SgdError>>>>
{
}

impl<X> Runs for X where
    X: EnsembleExecutor<f64, SgdError>
        + Executor<Result<u64, Failure<String>>>
        + Executor<Vec<Result<u64, Failure<String>>>>
        + Executor<Result<i32, Failure<SgdError>>>
        + Executor<Vec<Result<i32, Failure<SgdError>>>>
{
}

/// Statistics, values, lanes and failures, by executors that run the work in other orders.
#[test]
fn the_executor_changes_no_bit() {
    fn all(ensemble: &Ensemble<impl Runs>) -> (Summary, Summary, Vec<u64>, EnsembleError<SgdError>) {
        let model = model();
        let chain = ProjectedChain::builder(&model, 200);
        let summary = ensemble.run(|replicate| run(replicate, 200), observe).unwrap();
        let lanes = ensemble.run_projected(&chain, 1.0, &Output::Stop, observe).unwrap();
        let failing = |replicate: Replicate| run(replicate, if replicate.index == 23 { 1 } else { 200 });
        let failure = ensemble.run(failing, observe).unwrap_err();
        let seeds = ensemble.map(|replicate| Ok::<_, String>(replicate.seed));
        (summary, lanes, seeds.into_iter().map(Result::unwrap).collect(), failure)
    }
    let ensemble = || Ensemble::new(150, 5).keep_values(true);
    let here = all(&ensemble());
    assert_eq!((here.3.failed[0].replicate.index, here.3.failures, here.3.summary.count()), (23, 1, 149));
    assert_eq!(here, all(&ensemble().executor(Serial)));
    assert_eq!(here, all(&ensemble().executor(Backwards)));
    #[cfg(feature = "serde")]
    assert_eq!(here, all(&ensemble().executor(Carried)));
}

/// The same replicates in lock-step, of a start drawn for each.
fn in_lanes(replicates: u64) -> Summary {
    let model = model();
    let chain = ProjectedChain::builder(&model, 200);
    let output = Output::Times(vec![0.5, 1.0]);
    Ensemble::new(replicates, 5).keep_values(true).run_projected(&chain, 1.0, &output, observe).unwrap()
}

#[test]
#[cfg(feature = "parallel")]
fn the_number_of_threads_changes_no_bit_in_lanes() {
    let with =
        |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| in_lanes(2010));
    let one = with(1);
    assert_eq!(one, with(2));
    assert_eq!(one, with(5));
}

#[test]
fn a_replicate_in_lanes_gives_its_value_alone_and_in_smaller_ensembles() {
    let (model, all, few) = (model(), in_lanes(2010), in_lanes(45));
    assert_eq!((all.count(), few.count()), (2010, 45));
    let values = |summary: &Summary, k| summary.at(1, k).unwrap().values().unwrap().to_vec();
    for k in 0..2 {
        assert_eq!(values(&all, k)[..45], values(&few, k));
    }
    for index in [0, 31, 32, 2009] {
        let seed = Ensemble::new(1, 5).replicate(index).seed;
        let mut alone = ProjectedChain::builder(&model, 200).lanes(&[seed]).unwrap();
        let run = alone.run(1.0, &Output::Stop).unwrap().remove(0).unwrap();
        let observed = observe(1.0, run.last().unwrap().1);
        let index = usize::try_from(index).unwrap();
        assert_eq!(observed, [values(&all, 0)[index], values(&all, 1)[index]]);
    }
}

#[test]
fn an_ensemble_in_lanes_that_fails_runs_all_others() {
    const END: f64 = 35.0;
    let hidden = Independent::new([Law::two_point(2.25).unwrap()]).unwrap();
    let builder = Model::builder().nonlinearity(contrastive_dynamics::model::Identity).hidden(hidden);
    let noise = GaussianNoise::correlated(0.3, -0.5).unwrap();
    let diverging = builder.noise(noise).learning_rate(3.0).build().unwrap();
    let chain = ProjectedChain::builder(&diverging, 20);
    let ensemble = Ensemble::new(500, 5);
    // Some runs diverge before this time and some do not.
    let answer = ensemble.run_projected(&chain, END, &Output::Stop, observe).unwrap_err();
    assert!(answer.failures > 10 && answer.summary.count() > 10, "{answer}");
    assert_eq!(answer.failures + answer.summary.count(), 500);
    for failed in &answer.failed {
        assert!(matches!(failed.failure, Failure::Run(SgdError::Run(RunError::Failed { .. }))));
        assert_eq!(failed.replicate, ensemble.replicate(failed.replicate.index));
        // Alone it fails, too.
        let alone = chain.lanes(&[failed.replicate.seed]).unwrap().run(END, &Output::Stop).unwrap();
        assert!(alone[0].is_err());
    }
    let small = ProjectedChain::builder(&diverging, 1);
    let answer = ensemble.run_projected(&small, 1.0, &Output::Stop, observe).unwrap_err();
    assert_eq!((answer.failures, answer.summary.count()), (500, 0));
    let dimension =
        |failure: &Failure<SgdError>| matches!(failure, Failure::Run(SgdError::Start(StartError::Dimension { .. })));
    assert!(answer.failed.iter().all(|failed| dimension(&failed.failure)));
}

/// One run of each of many models.
#[test]
fn a_map_over_models_keeps_their_order_and_every_failure() {
    let ends = Ensemble::new(40, 5).map(|replicate| run(replicate, if replicate.index % 8 == 3 { 1 } else { 50 }));
    for (index, end) in ends.iter().enumerate() {
        assert_eq!(end.is_err(), index % 8 == 3);
        if let Ok(end) = end {
            assert_eq!(*end, run(Ensemble::new(1, 5).replicate(index as u64), 50).unwrap());
        }
    }
}

#[test]
fn a_replicate_run_alone_gives_its_value() {
    let ensemble = Ensemble::new(2000, 5);
    let all = summary();
    for index in [0, 1, 1023, 1024, 1999] {
        let alone = run(ensemble.replicate(index), 200).unwrap();
        let values = observe(1.0, alone.last().unwrap().1);
        for (k, value) in values.into_iter().enumerate() {
            assert_eq!(all.at(1, k).unwrap().values().unwrap()[usize::try_from(index).unwrap()], value);
        }
    }
    assert_eq!((all.times(), all.count()), (&[0.5, 1.0][..], 2000));
    // Combined in the order of the indices, with the feature `parallel` and without: Welford's recurrence, bit by bit.
    let overlap = all.at(1, 0).unwrap();
    let mean = (1..).zip(overlap.values().unwrap()).fold(0.0, |mean, (n, x)| mean + (x - mean) / f64::from(n));
    assert_eq!(overlap.mean(), mean);
    assert!(all.at(2, 0).is_none() && all.at(0, 2).is_none());
    assert_ne!(ensemble.replicate(0), Ensemble::new(2000, 6).replicate(0));
}

/// The mean over 2000 runs at N = 200 is that of the ODE within 5 standard errors and 1/N (false alarms below 1e-6); the
/// control, 1 % off, is not.
#[test]
fn the_mean_is_that_of_the_ode() {
    let model = model();
    let limit = ReducedOde::new(&model).unwrap().solver().solve(&start(), 1.0).unwrap();
    let want = limit.last().unwrap().1.q()[(0, 0)];
    let all = summary();
    let overlap = all.at(1, 0).unwrap();
    let bound = 5.0 * overlap.standard_error() + 1.0 / 200.0;
    assert!((overlap.mean() - want).abs() < bound, "{} against {want} within {bound}", overlap.mean());
    let larger = Ensemble::new(400, 5).run(|replicate| run(replicate, 20_000), observe).unwrap();
    let overlap = larger.at(1, 0).unwrap();
    let bound = 5.0 * overlap.standard_error() + 1.0 / 20_000.0;
    assert!((overlap.mean() - want).abs() < bound && (overlap.mean() - 1.01 * want).abs() > bound, "{bound}");
}

/// The statistics over those that are left: by running them alone.
fn without(count: u64, missing: &[u64]) -> Summary {
    let left: Vec<u64> = (0..count).filter(|index| !missing.contains(index)).collect();
    let all = Ensemble::new(count, 5);
    let number = |replicate: Replicate| left[usize::try_from(replicate.index).unwrap()];
    let alone = Ensemble::new(left.len() as u64, 5);
    alone.run(|replicate| run(all.replicate(number(replicate)), 50), observe).unwrap()
}

#[test]
fn replicates_that_fail_or_panic_are_known_and_all_others_are_run() {
    let ensemble = Ensemble::new(20, 5);
    let work = |replicate: Replicate| match replicate.index {
        7 => run(replicate, 1),
        11 => panic!("number {}", replicate.index),
        // Other times: 2 of 3 recorded steps coincide.
        13 => run(replicate, 51),
        _ => run(replicate, 50),
    };
    let answer = ensemble.run(work, observe).unwrap_err();
    let of = |index: usize| (&answer.failed[index].failure, answer.failed[index].replicate);
    assert!(
        matches!(of(0), (Failure::Run(SgdError::Start(StartError::Dimension { .. })), r) if r == ensemble.replicate(7))
    );
    assert!(matches!(of(1), (Failure::Panic { message }, r) if message == "number 11" && r == ensemble.replicate(11)));
    assert!(matches!(of(2), (Failure::Shape { .. }, r) if r == ensemble.replicate(13)));
    assert_eq!((answer.failed.len(), answer.failures, answer.cancelled), (3, 3, 0));
    assert_eq!(*answer.summary, without(20, &[7, 11, 13]));
    assert!(answer.to_string().starts_with("3 of 20 replicates failed, the first of them number 7 (seed "), "{answer}");
    // A panic in what is observed, and one of the first replicate.
    let observed = ensemble.run(|replicate| run(replicate, 50), |_, _| -> Vec<f64> { panic!("seen") }).unwrap_err();
    assert_eq!((observed.failures, observed.summary.count()), (20, 0));
    let ends = ensemble.map(|replicate| if replicate.index == 3 { panic!("three") } else { Ok::<_, SgdError>(1) });
    assert!(ends.iter().enumerate().all(|(index, end)| end.is_ok() == (index != 3)));
    let none = Ensemble::new(0, 1).run(|replicate| run(replicate, 50), observe).unwrap();
    assert_eq!((none.count(), none.at(0, 0)), (0, None));
}

/// Of thirty-two that are stepped together one panics: the others are run again, and give what they give anywhere.
#[test]
fn a_panic_in_lanes_takes_no_neighbour_with_it() {
    let model = model();
    let chain = ProjectedChain::builder(&model, 200).start(start());
    let ensemble = Ensemble::new(70, 5).keep_values(true);
    let all = ensemble.run_projected(&chain, 1.0, &Output::Stop, observe).unwrap();
    let values = all.at(0, 0).unwrap().values().unwrap();
    let largest = values.iter().fold(0.0_f64, |most, x| most.max(*x));
    let careful = |t: f64, state: &OrderParameters| {
        assert!(state.q()[(0, 0)] < largest, "too large");
        observe(t, state)
    };
    let answer = ensemble.run_projected(&chain, 1.0, &Output::Stop, careful).unwrap_err();
    assert_eq!((answer.failures, answer.summary.count()), (1, 69));
    assert!(matches!(&answer.failed[0].failure, Failure::Panic { message } if message == "too large"));
    let index = usize::try_from(answer.failed[0].replicate.index).unwrap();
    assert_eq!(values[index], largest);
    let mut others = values.to_vec();
    others.remove(index);
    assert_eq!(answer.summary.at(0, 0).unwrap().values().unwrap(), others);
}

/// Whatever runs it: what is done by then is in the answer, and with what is left makes up all.
#[test]
fn a_cancelled_ensemble_gives_what_is_done() {
    fn check(ensemble: Ensemble<impl Runs>) {
        let cancel = Cancel::new();
        let ensemble = ensemble.cancelled_by(&cancel);
        let work = |replicate: Replicate| {
            if replicate.index == 10 {
                cancel.cancel();
            }
            run(replicate, 50)
        };
        let answer = ensemble.run(work, observe).unwrap_err();
        assert!(answer.failed.is_empty() && answer.cancelled > 0);
        assert_eq!(answer.summary.count() + answer.cancelled, 5000);
        assert!(answer.to_string().contains("had not begun when the ensemble was ended"), "{answer}");
        // Nothing begins any more.
        let nothing = ensemble.run(|replicate| run(replicate, 50), observe).unwrap_err();
        assert_eq!((nothing.summary.count(), nothing.cancelled), (0, 5000));
        let model = model();
        let chain = ProjectedChain::builder(&model, 200);
        let lanes = ensemble.run_projected(&chain, 1.0, &Output::Stop, observe).unwrap_err();
        assert_eq!((lanes.summary.count(), lanes.cancelled), (0, 5000));
        let ends = ensemble.map(|_| Ok::<_, SgdError>(1));
        assert!(ends.iter().all(|end| matches!(end, Err(Failure::Cancelled))));
    }
    check(Ensemble::new(5000, 5));
    check(Ensemble::new(5000, 5).executor(Serial));
}

#[test]
fn an_observer_sees_every_record_and_can_stop_the_run() {
    let model = model();
    let mut sgd = DirectSgd::builder(&model, 50).start(start()).build_seeded(1).unwrap();
    let mut seen = Vec::new();
    let mut norms = Vec::new();
    let trajectory = Run::of(&mut sgd)
        .output(Output::EverySteps(10))
        .observe(Output::EverySteps(10), |at| {
            seen.push((at.time(), at.state()));
            norms.push(at.process().weights().norm_squared() / 50.0);
            if at.time() >= 0.6 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .to(2.0)
        .unwrap();
    assert!(norms.iter().zip(&seen).all(|(norm, (_, state))| (norm - state.r()[(0, 0)]).abs() < 1e-12));
    assert_eq!(trajectory.stop_reason(), StopReason::Observer { time: 0.6 });
    assert_eq!(trajectory.times(), [0.0, 0.2, 0.4, 0.6]);
    assert!(seen.iter().map(|(t, state)| (*t, state)).eq(trajectory.iter()));
    // It goes on from there.
    assert_eq!(sgd.run(1.0, &Output::Stop).unwrap().times(), [1.0]);
    assert_eq!(sgd.steps(), 50);
}

/// Every replicate in its turn with the seed that it has alone, until there is enough.
#[test]
fn results_are_consumed_in_the_order_of_the_replicates() {
    let ensemble = Ensemble::new(40, 5).executor(Backwards);
    assert_eq!(ensemble.replicates(), 40);
    let (mut seen, mut failures) = (Vec::new(), 0);
    let work = |replicate: Replicate| if replicate.index == 3 { Err("three") } else { Ok(2 * replicate.index) };
    ensemble.for_each(work, |replicate, result| {
        assert_eq!(replicate, ensemble.replicate(replicate.index));
        match result {
            Ok(value) => seen.push((replicate.index, value)),
            Err(Failure::Run("three")) => failures += 1,
            Err(other) => panic!("{other:?}"),
        }
        if replicate.index == 10 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let expected: Vec<(u64, u64)> = (0..=10).filter(|&k| k != 3).map(|k| (k, 2 * k)).collect();
    assert_eq!((seen, failures), (expected, 1));
}

#[test]
fn a_summary_is_as_wide_as_what_was_observed() {
    let summary = Ensemble::new(3, 5).run(|replicate| run(replicate, 50), observe).unwrap();
    assert_eq!((summary.width(), summary.times(), summary.count()), (2, &[0.5, 1.0][..], 3));
    assert!(summary.at(1, 1).is_some() && summary.at(1, 2).is_none() && summary.series(2).next().is_none());
    let one = Ensemble::new(3, 5).run(|replicate| run(replicate, 50), |t, _| vec![t; 5]).unwrap();
    assert_eq!((one.width(), one.at(0, 4).map(Statistics::mean)), (5, Some(0.5)));
}

/// All clones are one flag, and an observer that gives its flow ends a run.
#[test]
fn a_flag_is_seen_by_all_its_clones_and_ends_a_run() {
    let cancel = Cancel::new();
    let other = cancel.clone();
    assert!(!other.is_cancelled() && other.flow() == ControlFlow::Continue(()));
    let model = model();
    let mut chain = ProjectedChain::builder(&model, 100).start(start()).build_seeded(1).unwrap();
    let run = Run::of(&mut chain).output(Output::EverySteps(1)).observe(Output::EverySteps(1), |seen| {
        if seen.time() >= 0.3 {
            cancel.cancel();
        }
        other.flow()
    });
    let trajectory = run.to(1.0).unwrap();
    assert!(matches!(trajectory.stop_reason(), StopReason::Observer { time } if (time - 0.3).abs() < 0.011));
    assert!(cancel.is_cancelled() && other.is_cancelled() && other.flow() == ControlFlow::Break(()));
    assert!((trajectory.last().unwrap().0 - 0.3).abs() < 0.011);
}
