//! Ensembles: the same bits for any number of threads, replicates that can be run alone, and errors that lose nothing.

use std::ops::ControlFlow;

use contrastive_dynamics::ensemble::{Ensemble, EnsembleError, Replicate, Summary};
use contrastive_dynamics::integrate::Output;
use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::parallel::{Executor, Serial};
use contrastive_dynamics::sgd::{DirectSgd, ProjectedChain, SgdError, Simulator};
use contrastive_dynamics::start::StartError;
use contrastive_dynamics::state::{OrderParameters, Run, RunError, StopReason, Trajectory};

use crate::support::backwards::Backwards;
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

/// Statistics, values, lanes and failures, by executors that run the work in other orders.
#[test]
fn the_executor_changes_no_bit() {
    fn all(ensemble: &Ensemble<impl Executor>) -> (Summary, Summary, Vec<u64>, Option<u64>) {
        let model = model();
        let chain = ProjectedChain::builder(&model, 200);
        let summary = ensemble.run(|replicate| run(replicate, 200), observe).unwrap();
        let lanes = ensemble.run_projected(&chain, 1.0, &Output::Stop, observe).unwrap();
        let failing = |replicate: Replicate| run(replicate, if replicate.index == 23 { 1 } else { 200 });
        let failure = match ensemble.run(failing, observe) {
            Err(EnsembleError::Run { index, .. }) => Some(index),
            _ => None,
        };
        (summary, lanes, ensemble.map(|replicate| replicate.seed), failure)
    }
    let ensemble = || Ensemble::new(150, 5).keep_values(true);
    let here = all(&ensemble());
    assert_eq!(here.3, Some(23));
    assert_eq!(here, all(&ensemble().executor(Serial)));
    assert_eq!(here, all(&ensemble().executor(Backwards)));
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
fn an_ensemble_in_lanes_that_fails_leaves_what_came_before() {
    let hidden = Independent::new([Law::two_point(2.25).unwrap()]).unwrap();
    let builder = Model::builder().nonlinearity(contrastive_dynamics::model::Identity).hidden(hidden);
    let noise = GaussianNoise::correlated(0.3, -0.5).unwrap();
    let diverging = builder.noise(noise).learning_rate(3.0).build().unwrap();
    let chain = ProjectedChain::builder(&diverging, 20);
    let ensemble = Ensemble::new(500, 5);
    // Some runs diverge before this time and some do not.
    let failed = ensemble.run_projected(&chain, 40.0, &Output::Stop, observe);
    let Err(EnsembleError::Run { index, seed, source: SgdError::Run(RunError::Failed { .. }), before }) = failed else {
        panic!("{failed:?}")
    };
    assert_eq!((seed, before.count()), (ensemble.replicate(index).seed, index));
    let small = ProjectedChain::builder(&diverging, 1);
    let failed = ensemble.run_projected(&small, 1.0, &Output::Stop, observe);
    assert!(matches!(
        failed,
        Err(EnsembleError::Run { index: 0, source: SgdError::Start(StartError::Dimension { .. }), .. })
    ));
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

#[test]
fn a_run_that_fails_leaves_what_came_before() {
    let ensemble = Ensemble::new(20, 5);
    let failed = ensemble.run(|replicate| run(replicate, if replicate.index == 7 { 1 } else { 50 }), observe);
    let Err(EnsembleError::Run { index: 7, seed, source: SgdError::Start(StartError::Dimension { .. }), before }) =
        failed
    else {
        panic!("{failed:?}")
    };
    assert_eq!((seed, before.count()), (ensemble.replicate(7).seed, 7));
    assert_eq!(before.at(1, 0).unwrap().count(), 7);
    // Other times: 2 of 3 recorded steps coincide.
    let odd = ensemble.run(|replicate| run(replicate, if replicate.index == 3 { 51 } else { 50 }), observe);
    assert!(matches!(odd, Err(EnsembleError::Shape { index: 3, .. })), "{odd:?}");
    let none = Ensemble::new(0, 1).run(|replicate| run(replicate, 50), observe).unwrap();
    assert_eq!((none.count(), none.at(0, 0)), (0, None));
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
