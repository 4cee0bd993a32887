//! Whoever watches long work sees it go on, may stop it and keeps what is done, and changes no bit.

use std::ops::ControlFlow;

use contrastive_dynamics::ensemble::Ensemble;
use contrastive_dynamics::limit::Parameter;
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::parallel::Serial;
use contrastive_dynamics::sgd::ProjectedChain;
use contrastive_dynamics::stability::{
    AttractionRegions, Grid, NotReached, Outcome, PhaseDiagram, RegionExecutor, RegionMap, Selection, SelectionError,
    SobolStarts,
};
use contrastive_dynamics::state::{OrderParameters, OrderParametersError};

use crate::support::backwards::Backwards;
use crate::support::models::{Reference, equal_features};

const GRID: Grid = Grid { a: (0.05, 0.65), b: (0.05, 0.65), columns: 20, rows: 20 };
const STARTS: SobolStarts = SobolStarts { dimensions: 2, points: 64, scrambles: 4, seed: 1 };

fn state(q1: f64, q2: f64) -> Result<OrderParameters, OrderParametersError> {
    OrderParameters::from_rows(2, 1, &[q1, q2], &[1.0])
}

fn start(u: &[f64]) -> Result<OrderParameters, OrderParametersError> {
    state(0.6 * u[0], 0.6 * u[1])
}

fn model() -> Reference {
    equal_features(2).build().unwrap()
}

fn regions<'a>(ode: &ReducedOde<'a>) -> AttractionRegions<'a> {
    AttractionRegions::new(ode, &[state(0.984, 0.0).unwrap(), state(0.0, 0.984).unwrap()]).unwrap()
}

/// What an observer has seen, who stops when that much is done.
struct Watch {
    seen: Vec<(usize, usize)>,
    most: usize,
}

impl Watch {
    fn until(most: usize) -> Self {
        Self { seen: Vec::new(), most }
    }

    fn look(&mut self, done: usize, total: usize) -> ControlFlow<()> {
        self.seen.push((done, total));
        if done >= self.most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Every look shows more done, of no less, and the last one all.
    fn went_through(&self) {
        assert!(self.seen.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1), "{:?}", self.seen);
        assert!(self.seen.iter().all(|(done, total)| done <= total));
        let (done, total) = self.seen.last().unwrap();
        assert_eq!(done, total);
    }
}

fn mapped(regions: &AttractionRegions<'_, f64, impl RegionExecutor<f64>>, most: usize) -> (RegionMap, Watch) {
    let mut watch = Watch::until(most);
    let map = regions.map_with(GRID, state, |done, total| watch.look(done, total)).unwrap();
    (map, watch)
}

#[test]
fn maps_and_borders_are_watched_and_stopped() {
    let model = model();
    let ode = ReducedOde::new(&model).unwrap();
    let (here, serial, backwards) = (regions(&ode), regions(&ode).executor(Serial), regions(&ode).executor(Backwards));
    let whole = here.map(GRID, state).unwrap();
    assert!(whole.is_complete() && whole.refined() > 64);
    for (map, watch) in [mapped(&serial, usize::MAX), mapped(&backwards, usize::MAX)] {
        assert_eq!(map, whole);
        watch.went_through();
        assert_eq!(watch.seen.last().unwrap().0, 400 + whole.refined());
    }

    // On the first pass, in pieces of 64 starts; on the second; and with its first look past the end of the first.
    for (most, followed, refined) in [(100, 128, 0), (400, 400, 0), (401, 400, 64)] {
        let (map, watch) = mapped(&here, most);
        assert!(!map.is_complete() && watch.seen.iter().filter(|(done, _)| *done >= most).count() == 1);
        assert_eq!(map.refined(), refined);
        let is_left_out = |outcome: &Outcome| matches!(outcome, Outcome::NotReached(NotReached::NotFollowed));
        let left_out: Vec<bool> = map.outcomes().iter().map(is_left_out).collect();
        assert_eq!(left_out, (0..400).map(|k| k >= followed).collect::<Vec<_>>());
        // Far from borders the first pass is right.
        let differ = |k: &usize| map.outcomes()[*k].label() != whole.outcomes()[*k].label();
        assert!((0..followed).filter(differ).count() < 20);
        assert_eq!(map, mapped(&backwards, most).0);
        assert!(map.to_string().ends_with(&format!("stopped, {} starts not followed", 400 - followed)), "{map}");
    }

    let borders = here.borders(&whole, state, 1e-2).unwrap();
    let mut watch = Watch::until(usize::MAX);
    let watched = here.borders_with(&whole, state, 1e-2, |done, total| watch.look(done, total)).unwrap();
    watch.went_through();
    assert_eq!(watched, borders);
    let mut watch = Watch::until(3);
    let stopped = backwards.borders_with(&whole, state, 1e-2, |done, total| watch.look(done, total)).unwrap();
    assert_eq!(stopped, borders[..3]);
}

#[test]
fn selection_is_watched_and_stopped() {
    let model = model();
    let ode = ReducedOde::new(&model).unwrap();
    let (here, backwards) = (regions(&ode), regions(&ode).executor(Backwards));
    let whole = here.selection(STARTS, start).unwrap();
    let mut watch = Watch::until(usize::MAX);
    assert_eq!(here.selection_with(STARTS, start, |done, total| watch.look(done, total)).unwrap(), whole);
    watch.went_through();
    assert_eq!(watch.seen.last().unwrap().0, 2 * 256 + whole.doubtful());

    let until = |most: usize| {
        let mut watch = Watch::until(most);
        here.selection_with(STARTS, start, |done, total| watch.look(done, total))
    };
    let Err(SelectionError::Stopped { outcomes }) = until(1) else { panic!("one scramble has no error estimate") };
    assert_eq!(outcomes.len(), 64);
    // Three of four scrambles, and all of them once: as the first pass leaves them.
    let check = |stopped: &Selection, scrambles: usize| {
        assert!(!stopped.is_complete() && stopped.to_string().contains(&format!("{scrambles} scrambles")));
        assert!(stopped.to_string().ends_with("stopped"));
        let ((p, error), (exact, _)) = (stopped.probability(0).unwrap(), whole.probability(0).unwrap());
        assert!((p - exact).abs() < 0.05 && error > 0.0, "{p} {exact}");
        assert!((stopped.undecided() + p + stopped.probability(1).unwrap().0 - 1.0).abs() < 1e-12);
    };
    check(&until(129).unwrap(), 3);
    check(&until(256).unwrap(), 4);
    check(&until(257).unwrap(), 4);
    let mut watch = Watch::until(257);
    let other = backwards.selection_with(STARTS, start, |done, total| watch.look(done, total)).unwrap();
    assert_eq!(other, until(257).unwrap());

    // At finite N what a stop leaves is an ensemble of fewer replicates.
    let chain = |seed| ProjectedChain::builder(&model, 50).build_seeded(seed);
    let runs = |replicates: u64, most: u64| {
        let mut seen = Vec::new();
        let ensemble = Ensemble::new(replicates, 3).executor(Backwards);
        let selection = here.selection_at_finite_size_with(
            &ensemble,
            (20.0, 5),
            |r| chain(r.seed),
            |counts, total| {
                seen.push((counts.runs(), total));
                if counts.runs() >= most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            },
        );
        (selection.unwrap(), seen)
    };
    let (all, seen) = runs(20, u64::MAX);
    assert_eq!(seen, (1..=20).map(|k| (k, 20)).collect::<Vec<_>>());
    assert_eq!(all, here.selection_at_finite_size(&Ensemble::new(20, 3), (20.0, 5), |r| chain(r.seed)).unwrap());
    assert_eq!(runs(20, 9).0, runs(9, u64::MAX).0);
}

#[test]
fn phase_diagrams_are_watched_and_stopped() {
    let model = model();
    let ode = ReducedOde::new(&model).unwrap();
    let (moments, decays) = ([0.5, 1.0, 2.0], [0.3, 0.6]);
    let (first, second) = ((Parameter::SecondMoment(0), &moments[..]), (Parameter::WeightDecay, &decays[..]));
    let whole = PhaseDiagram::new(&ode, first, second);
    let until = |most: usize| {
        let mut watch = Watch::until(most);
        let diagram = PhaseDiagram::new_with(&Backwards, &ode, first, second, |done, total| watch.look(done, total));
        (diagram, watch)
    };
    let (diagram, watch) = until(usize::MAX);
    watch.went_through();
    assert_eq!(diagram, whole);
    assert_eq!(watch.seen, (1..=6).map(|k| (k, 6)).collect::<Vec<_>>());
    let (stopped, _) = until(4);
    assert!(whole.is_complete() && !stopped.is_complete());
    assert_eq!(stopped.cells, whole.cells[..4]);
    assert_eq!((stopped.cell(1, 1), stopped.cell(2, 0)), (whole.cell(1, 1), None));
    assert_eq!(stopped.to_table().rows().len(), 4);
    assert_eq!(stopped.to_string().lines().count(), whole.to_string().lines().count());

    let build = |moment: f64, decay: f64| {
        let law = contrastive_dynamics::model::Law::two_point(moment)?;
        crate::support::models::reference([law]).weight_decay(decay).build()
    };
    let mut watch = Watch::until(2);
    let models = PhaseDiagram::of_models(&moments, &decays, build);
    let look = |done: usize, total: usize| watch.look(done, total);
    let stopped = PhaseDiagram::of_models_with(&Serial, &moments, &decays, build, look);
    assert_eq!(stopped.cells, models.cells[..2]);
}
