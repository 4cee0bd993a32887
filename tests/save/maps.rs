//! Maps of attraction regions, broken off in every pass.

use std::ops::ControlFlow;

use contrastive_dynamics::model::Law;
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::parallel::Serial;
use contrastive_dynamics::save::{File, SaveError};
use contrastive_dynamics::stability::{AttractionRegions, Grid, RegionsError};
use contrastive_dynamics::state::{OrderParameters, OrderParametersError};

use super::Scratch;
use crate::support::models::equal_features;

fn state(a: f64, b: f64) -> Result<OrderParameters, OrderParametersError> {
    OrderParameters::from_rows(2, 1, &[a, b], &[1.0])
}

#[test]
fn a_map_goes_on_with_the_same_bits_and_is_refused_by_another() {
    let model = equal_features(2).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let points = [state(0.98, 0.0).unwrap(), state(0.0, 0.98).unwrap()];
    let regions = AttractionRegions::new(&ode, &points).unwrap().survey_tolerance(1e-3).unwrap().executor(Serial);
    // Some of the starts are no states.
    let grid = Grid { a: (-0.2, 0.9), b: (0.05, 0.9), columns: 22, rows: 20 };
    let whole = regions.map(grid, state).unwrap();
    assert!(whole.is_complete() && whole.refined() > 64, "{} refined", whole.refined());
    let scratch = Scratch::new("map");
    let saved = regions.saved_in(scratch.file(), 1);
    let (mut breaks, mut last) = (0, 0);
    let resumed = loop {
        let mut calls = 0;
        let map = saved.map_with(grid, state, |done, total| {
            assert!(done > last && done <= total, "{last}, {done}, {total}");
            last = done;
            calls += 1;
            if calls == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let map = map.unwrap();
        if map.is_complete() {
            break map;
        }
        breaks += 1;
    };
    assert!(breaks > 3, "{breaks}");
    assert_eq!(resumed, whole);
    // Done is done: nothing is followed again.
    let again = saved.map_with(grid, state, |_, _| panic!("nothing is left")).unwrap();
    assert_eq!(again, whole);

    let refused = |map: Result<_, RegionsError>| {
        let error = map.err().unwrap();
        assert!(matches!(&error, RegionsError::Save { source: SaveError::OtherWork { .. }, .. }), "{error}");
    };
    refused(saved.map(Grid { rows: 21, ..grid }, state));
    refused(saved.map(grid, |a, b| state(a, 1.01 * b)));
    let other = regions.clone().tolerance(1e-7).unwrap();
    refused(other.saved_in(scratch.file(), 1).map(grid, state));
    let other = regions.clone().time_limit(500.0).unwrap();
    refused(other.saved_in(scratch.file(), 1).map(grid, state));
    let laws = [Law::two_point(2.26).unwrap(), Law::two_point(2.26).unwrap()];
    let model = crate::support::models::reference(laws).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let other = AttractionRegions::new(&ode, &points).unwrap().survey_tolerance(1e-3).unwrap();
    refused(other.saved_in(scratch.file(), 1).map(grid, state));
    let never = regions.saved_in(scratch.file(), 0).map(grid, state).err().unwrap();
    assert!(matches!(never, RegionsError::Save { source: SaveError::Never, .. }), "{never}");
    // Where it cannot be saved, what is done is told.
    let error = regions.saved_in(File::new("/nowhere/at/all"), 100).map(grid, state).err().unwrap();
    let RegionsError::Save { source: SaveError::Io { .. }, outcomes } = &error else { panic!("{error}") };
    assert!(outcomes.len() == 440 && outcomes[0] == whole.outcomes()[0]);
}

/// Saved every ten thousand starts, of which it has not so many: what is known when an observer panics is kept all the same, in the first
/// pass and later.
#[test]
fn what_is_known_is_saved_when_something_panics() {
    let model = equal_features(2).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let points = [state(0.98, 0.0).unwrap(), state(0.0, 0.98).unwrap()];
    let regions = AttractionRegions::new(&ode, &points).unwrap().survey_tolerance(1e-3).unwrap().executor(Serial);
    let grid = Grid { a: (0.05, 0.65), b: (0.05, 0.65), columns: 24, rows: 24 };
    let whole = regions.map(grid, state).unwrap();
    assert!(whole.refined() > 64);
    let scratch = Scratch::new("panicking map");
    let saved = regions.saved_in(scratch.file(), 10_000);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let mut last = 0;
    for least in [100, 580] {
        let before = last;
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            saved.map_with(grid, state, |done, _| {
                assert!(done > before, "{done} were done before, and {before} are");
                last = done;
                if done > least { panic!("enough") } else { ControlFlow::Continue(()) }
            })
        }));
        assert_eq!(panicked.unwrap_err().downcast_ref::<&str>(), Some(&"enough"));
    }
    std::panic::set_hook(hook);
    assert!(last > 576, "{last}");
    let resumed = saved.map_with(grid, state, |done, _| {
        assert!(done > last, "{done}");
        ControlFlow::Continue(())
    });
    assert_eq!(resumed.unwrap(), whole);
}
