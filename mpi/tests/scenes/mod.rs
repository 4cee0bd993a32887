//! What the processes of a test do.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, SystemTime};

use contrastive_dynamics::ensemble::{Ensemble, EnsembleExecutor, Failure, Replicate};
use contrastive_dynamics::integrate::Output;
use contrastive_dynamics::limit::Parameter;
use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh, fingerprint};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::parallel::{Cancel, Executor, Serial};
use contrastive_dynamics::save::{File, SaveError};
use contrastive_dynamics::sgd::{ProjectedChain, SgdError, Simulator};
use contrastive_dynamics::stability::{
    AttractionRegions, DiagramExecutor, Grid, PhaseDiagram, RegionExecutor, RegionsError, RunFailure,
    SelectionExecutor, SobolStarts, StabilityError,
};
use contrastive_dynamics::state::{OrderParameters, OrderParametersError, Trajectory};
use contrastive_dynamics_mpi::rsmpi::traits::Communicator;
use contrastive_dynamics_mpi::{MpiError, MpiExecutor, Threading, initialize};

type Features = Model<f64, Tanh, Independent, GaussianNoise>;

/// Two features, of which the second is active with probability 0.8.
fn model(decay: f64) -> Features {
    Model::builder()
        .nonlinearity(Tanh)
        .hidden(Independent::new([Law::two_point(2.25).unwrap(), Law::three_point(2.25, 0.8).unwrap()]).unwrap())
        .noise(GaussianNoise::correlated(0.3, -0.5).unwrap())
        .learning_rate(0.3)
        .weight_decay(decay)
        .build()
        .unwrap()
}

fn state(a: f64, b: f64) -> Result<OrderParameters, OrderParametersError> {
    OrderParameters::from_rows(2, 1, &[a, b], &[1.0])
}

fn observe(_: f64, state: &OrderParameters) -> Vec<f64> {
    vec![state.q()[(0, 0)], state.q()[(1, 0)], state.r()[(0, 0)]]
}

fn run(model: &Features, replicate: Replicate, dimension: usize) -> Result<Trajectory, SgdError> {
    let mut chain = ProjectedChain::builder(model, dimension).build_seeded(replicate.seed)?;
    chain.run(1.0, &Output::Times(vec![0.0, 0.5, 1.0]))
}

/// What carries all that is run here.
pub(crate) trait Everything:
    EnsembleExecutor<f64, SgdError>
    + RegionExecutor<f64>
    + DiagramExecutor<f64>
    + SelectionExecutor<SgdError, f64>
    + Executor<Result<(u64, f64), Failure<RunFailure<String>>>>
    + Executor<Vec<Result<(u64, f64), Failure<RunFailure<String>>>>>
{
}

impl<X> Everything for X where
    X: EnsembleExecutor<f64, SgdError>
        + RegionExecutor<f64>
        + DiagramExecutor<f64>
        + SelectionExecutor<SgdError, f64>
        + Executor<Result<(u64, f64), Failure<RunFailure<String>>>>
        + Executor<Vec<Result<(u64, f64), Failure<RunFailure<String>>>>>
{
}

/// Everything that takes an executor, as bytes.
pub(crate) fn everything(executor: &impl Everything) -> Vec<u8> {
    let model = model(0.5);
    let ode = ReducedOde::new(&model).unwrap();
    let ensemble = Ensemble::new(150, 5).keep_values(true).executor(executor);
    let one_by_one = ensemble.run(|replicate| run(&model, replicate, 100), observe).unwrap();
    let failing = |replicate: Replicate| run(&model, replicate, if replicate.index == 23 { 1 } else { 100 });
    let failed = ensemble.run(failing, observe).unwrap_err();
    let chain = ProjectedChain::builder(&model, 100);
    let lock_step = ensemble.run_projected(&chain, 1.0, &Output::Stop, observe).unwrap();
    let mapped = ensemble.map(|replicate| match replicate.index {
        7 => Err(RunFailure::Start("seven".to_owned())),
        11 => panic!("eleven"),
        index => Ok((index, f64::NAN)),
    });
    assert!(matches!(&mapped[11], Err(Failure::Panic { message }) if message == "eleven"));

    let axes = ([0.2, 0.5, 1.0, 2.0], [0.2, 0.4, 0.6]);
    let diagram =
        PhaseDiagram::new_on(executor, &ode, (Parameter::SecondMoment(0), &axes.0), (Parameter::WeightDecay, &axes.1));
    let rest = |q1, q2| {
        let run = ode.solver().steady_rate(1e-8).solve(&state(q1, q2).unwrap(), 1000.0).unwrap();
        run.last().unwrap().1.clone()
    };
    let points = [rest(0.9, 0.1), rest(0.1, 0.9)];
    let regions = AttractionRegions::new(&ode, &points).unwrap().executor(executor);
    let map = regions.map(Grid { a: (0.05, 0.65), b: (0.05, 0.65), columns: 12, rows: 12 }, state).unwrap();
    let borders = regions.borders(&map, state, 1e-3).unwrap();
    let starts = SobolStarts { dimensions: 2, points: 32, scrambles: 2, seed: 1 };
    let selection = regions.selection(starts, |u| state(0.6 * u[0], 0.6 * u[1])).unwrap();
    let few = Ensemble::new(30, 3).executor(executor);
    let finite = regions.selection_at_finite_size(&few, (40.0, 5), |replicate| {
        ProjectedChain::builder(&model, 50).build_seeded(replicate.seed)
    });
    let first = (one_by_one, failed, lock_step, mapped);
    postcard::to_stdvec(&(first, diagram, map, borders, selection, finite.unwrap())).unwrap()
}

/// An ensemble that is saved, of 1000 replicates that take a while; `watch` sees each before it runs.
fn long<E>(
    executor: &impl EnsembleExecutor<f64, E>,
    folder: Option<&Path>,
    watch: impl Fn(u64) -> Result<(), E> + Sync,
) -> Result<Vec<u8>, String>
where
    E: From<SgdError> + Send + std::fmt::Display,
{
    let model = model(0.5);
    let mut ensemble = Ensemble::new(1000, 5).most_failures(0).executor(executor);
    if let Some(folder) = folder {
        ensemble = ensemble.saved_in(File::new(folder.join("saved")), 64, fingerprint(&model));
    }
    let simulate = |replicate: Replicate| {
        watch(replicate.index)?;
        Ok(run(&model, replicate, 300)?)
    };
    match ensemble.run(simulate, observe) {
        Ok(summary) => Ok(postcard::to_stdvec(&summary).unwrap()),
        Err(error) => {
            assert!(error.unsaved.is_none(), "{error}");
            Err(format!("replicate {} failed: {}", error.failed[0].replicate.index, error.failed[0].failure))
        }
    }
}

/// The same, not interrupted, on one thread.
pub(crate) fn uninterrupted() -> Vec<u8> {
    long(&Serial, None, |_| Ok::<(), SgdError>(())).unwrap()
}

/// How many replicates are saved there.
pub(crate) fn saved(folder: &Path) -> u64 {
    // With nothing left to be run, what is saved is the answer.
    let model = model(0.5);
    let cancel = Cancel::new();
    cancel.cancel();
    let store = File::new(folder.join("saved"));
    let ensemble = Ensemble::new(1000, 5).cancelled_by(&cancel).saved_in(store, 64, fingerprint(&model));
    let error = ensemble.run(|replicate| run(&model, replicate, 300), observe).unwrap_err();
    assert!(error.unsaved.is_none(), "{error}");
    error.summary.count()
}

/// Plays a scene in this process.
pub(crate) fn play(scene: &str, folder: &Path) {
    let universe = initialize(Threading::Funneled).unwrap();
    let world = universe.world();
    if scene == "versions" {
        let program = if world.rank() == 2 { "program 2" } else { "program 1" };
        let error = MpiExecutor::of_program(&world, program).unwrap_err();
        assert!(matches!(&error, MpiError::Version { rank: 2, found, .. } if found.contains("program 2")), "{error}");
        return;
    }
    let executor = MpiExecutor::new(&world).unwrap();
    let executor = if scene == "memory" { executor.memory(16 << 20) } else { executor };
    let found = ended(scene, &executor)
        || refused(scene, &executor, folder)
        || shared(scene, &executor, folder)
        || kept(scene, &executor, folder);
    assert!(found, "no scene {scene}");
}

/// Work that takes a while.
fn slow(k: u64) -> u64 {
    std::thread::sleep(Duration::from_micros(200));
    k
}

fn leave(executor: &MpiExecutor, folder: &Path, bits: &[u8]) {
    fs::write(folder.join(format!("rank{}", executor.rank())), bits).unwrap();
}

/// Scenes that end badly. Whether this is one.
fn ended(scene: &str, executor: &MpiExecutor) -> bool {
    let rank = executor.rank();
    let numbers = 0..10_000_u64;
    match scene {
        "panic of another" => {
            let work = |k| if rank == 2 && k > 500 { panic!("piece {k}") } else { slow(k) };
            executor.map(numbers, &work);
        }
        "panic of the root" => {
            let work = |k| if rank == 0 && k > 500 { panic!("piece {k}") } else { slow(k) };
            executor.map(numbers, &work);
        }
        "panic of the observer" => {
            let stop = Cancel::new();
            executor.for_each(numbers, &stop, &slow, &mut |k, _: u64| {
                assert!(k < 500, "the observer has had enough");
                ControlFlow::Continue(())
            });
        }
        "one returns" => {
            if rank != 1 {
                executor.map(numbers, &slow);
            }
        }
        "one panics outside" => {
            assert!(rank != 2, "outside");
            executor.map(numbers, &slow);
        }
        "one calls other things" => {
            if rank == 1 {
                executor.once(|| 0_u64);
            }
            executor.map(numbers, &slow);
        }
        "one returns before short work" => {
            if rank != 1 {
                executor.map(0..3, &|k| k);
            }
            std::thread::sleep(Duration::from_millis(if rank == 1 { 100 } else { 0 }));
        }
        "one waits where others compare" => {
            if rank == 1 {
                executor.once(|| 0_u64);
            }
            let _ = executor.same_work(fingerprint(&model(0.5)));
        }
        "one works where others have returned" => {
            executor.once(|| 0_u64);
            if rank == 1 {
                executor.map(numbers, &slow);
            }
        }
        "one compares where others wait" => {
            if rank == 1 {
                let _ = executor.same_work(fingerprint(&model(0.5)));
            }
            executor.once(|| vec![0_u64; 1 << 20]);
            executor.map(numbers, &slow);
        }
        "a long panic among long results" => {
            let work = |k| {
                assert!(rank != 2 || k < 200, "{}", "so ".repeat(1 << 20));
                vec![slow(k); 1 << 16]
            };
            executor.map(numbers, &work);
        }
        "on another thread" => {
            std::thread::scope(|scope| scope.spawn(|| executor.map(numbers, &slow)).join().map(|_| ())).unwrap();
        }
        "the root returns" => {
            assert!(rank != 0);
            executor.map(numbers, &slow);
        }
        _ => return false,
    }
    true
}

/// Scenes of processes that are not alike. Whether this is one.
fn refused(scene: &str, executor: &MpiExecutor, folder: &Path) -> bool {
    let rank = executor.rank();
    match scene {
        "work" => {
            let error = executor.same_work(fingerprint(&model(if rank == 1 { 0.4 } else { 0.5 }))).unwrap_err();
            assert!(matches!(error, MpiError::OtherWork { rank: 1, .. }), "{error}");
            executor.same_work(fingerprint(&model(0.5))).unwrap();
        }
        "models" => {
            let own = model(if rank == 1 { 0.4 } else { 0.5 });
            let chain = ProjectedChain::builder(&own, 100);
            let ensemble = Ensemble::new(150, 5).executor(executor);
            let error = ensemble.run_projected(&chain, 1.0, &Output::Stop, observe).unwrap_err();
            assert_eq!((error.unsaved, error.cancelled), (Some(SaveError::OtherProcesses), 150));
            let saved = ensemble.saved_in(File::new(folder.join("saved")), 10, fingerprint(&own));
            let error = saved.run(|replicate| run(&own, replicate, 100), observe).unwrap_err();
            assert_eq!(error.unsaved, Some(SaveError::OtherProcesses));
            // Seeds are compared, too.
            let other = Ensemble::new(150, if rank == 2 { 6 } else { 5 }).executor(executor);
            let error = other.run(|replicate| run(&own, replicate, 100), observe).unwrap_err();
            assert_eq!(error.unsaved, Some(SaveError::OtherProcesses));
        }
        "regions" => {
            let own = model(if rank == 1 { 0.499 } else { 0.5 });
            let ode = ReducedOde::new(&own).unwrap();
            let rest = ode.solver().steady_rate(1e-8).solve(&state(0.9, 0.1).unwrap(), 1000.0).unwrap();
            let point = rest.last().unwrap().1.clone();
            let regions = AttractionRegions::new(&ode, &[point]).unwrap().executor(executor);
            let grid = Grid { a: (0.05, 0.65), b: (0.05, 0.65), columns: 4, rows: 4 };
            assert_eq!(regions.map(grid, state), Err(RegionsError::OtherProcesses));
        }
        "diagrams" => {
            let own = model(if rank == 1 { 0.4 } else { 0.5 });
            let ode = ReducedOde::new(&own).unwrap();
            let axes = ((Parameter::SecondMoment(0), &[1.0][..]), (Parameter::LearningRate, &[0.3, 0.4][..]));
            let diagram = PhaseDiagram::new_on(executor, &ode, axes.0, axes.1);
            assert_eq!(diagram.cells, [Err(StabilityError::OtherProcesses), Err(StabilityError::OtherProcesses)]);
        }
        _ => return false,
    }
    true
}

/// Scenes of work that is cancelled, waits, or is within other work. Whether this is one.
fn shared(scene: &str, executor: &MpiExecutor, folder: &Path) -> bool {
    let rank = executor.rank();
    match scene {
        "cancelled by the root" | "cancelled by another" => {
            let cancel = Cancel::new();
            let who = usize::from(scene == "cancelled by another");
            let model = model(0.5);
            let ensemble = Ensemble::new(5000, 5).keep_values(true).cancelled_by(&cancel).executor(executor);
            let work = |replicate: Replicate| {
                if rank == who && replicate.index > 40 {
                    cancel.cancel();
                }
                run(&model, replicate, 100)
            };
            let error = ensemble.run(work, observe).unwrap_err();
            assert!(error.cancelled > 0 && error.summary.count() > 0 && error.failed.is_empty());
            assert_eq!(error.summary.count() + error.cancelled, 5000);
            leave(executor, folder, &postcard::to_stdvec(&error).unwrap());
        }
        "memory" => {
            // Results of a megabyte each, of which sixteen may wait; the first piece takes until all others wait.
            let work = |k: u64| {
                std::thread::sleep(if k == 0 { Duration::from_secs(3) } else { Duration::from_millis(1) });
                let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
                (now, vec![k; 1 << 17])
            };
            let (mut first, mut before, mut all) = (0.0, 0, 0_u64);
            executor.for_each(0..400, &Cancel::new(), &work, &mut |k, (done, values): (f64, Vec<u64>)| {
                assert!(values.iter().all(|&value| value == k));
                first = if k == 0 { done } else { first };
                before += u64::from(done < first);
                all += 1;
                ControlFlow::Continue(())
            });
            if executor.is_root() {
                // Those of 16 MiB (k takes up to two bytes in 400), and of blocks under way.
                assert!((8..200).contains(&before) && all == 400, "{before} of {all} were done before the first");
            }
        }
        "nested" => {
            let inner = |k: u64| {
                let inner: Vec<u64> = executor.map(0..k % 50, &|j| j * j);
                inner.iter().sum::<u64>()
            };
            assert_eq!(executor.map(0..500, &inner), Serial.map(0..500, &|k| (0..k % 50).map(|j| j * j).sum::<u64>()));
        }
        _ => return false,
    }
    true
}

/// Scenes that leave what they have found. Whether this is one.
fn kept(scene: &str, executor: &MpiExecutor, folder: &Path) -> bool {
    let rank = executor.rank();
    match scene {
        "everything" => leave(executor, folder, &everything(executor)),
        "failing" => {
            let watch = |index| if index == 700 { Err(Told("it was to fail".to_owned())) } else { Ok(()) };
            leave(executor, folder, long(executor, Some(folder), watch).unwrap_err().as_bytes());
        }
        "killed" => {
            let watch = |index| {
                if rank == 1 && index > 200 {
                    // Until the root has saved something.
                    while !folder.join("saved").exists() {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    let own = std::process::id().to_string();
                    std::process::Command::new("kill").args(["-KILL", &own]).status().unwrap();
                }
                std::thread::sleep(Duration::from_millis(2));
                Ok::<(), SgdError>(())
            };
            leave(executor, folder, &long(executor, Some(folder), watch).unwrap());
        }
        "resumed" => leave(executor, folder, &long(executor, Some(folder), |_| Ok::<(), SgdError>(())).unwrap()),
        _ => return false,
    }
    true
}

/// An error of a program of one's own.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
struct Told(String);

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl From<SgdError> for Told {
    fn from(error: SgdError) -> Self {
        Self(error.to_string())
    }
}
