//! Maps, borders, selection probabilities and phase diagrams do not depend on what runs them.

use contrastive_dynamics::ensemble::Ensemble;
use contrastive_dynamics::limit::Parameter;
use contrastive_dynamics::model::Law;
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::parallel::Serial;
use contrastive_dynamics::sgd::ProjectedChain;
use contrastive_dynamics::stability::{
    AttractionRegions, Border, Grid, PhaseDiagram, RegionExecutor, RegionMap, Selection, SobolStarts,
};
use contrastive_dynamics::state::{OrderParameters, OrderParametersError};

use crate::support::backwards::Backwards;
#[cfg(feature = "serde")]
use crate::support::carried::Carried;
use crate::support::models::two_features;

fn state(q1: f64, q2: f64) -> Result<OrderParameters, OrderParametersError> {
    OrderParameters::from_rows(2, 1, &[q1, q2], &[1.0])
}

type Outcomes = (RegionMap, Vec<((f64, f64), Border)>, Selection);

fn outcomes(
    regions: &AttractionRegions<'_, f64, impl RegionExecutor<f64>>,
    grid: Grid,
    starts: SobolStarts,
) -> Outcomes {
    let map = regions.map(grid, state).unwrap();
    let borders = regions.borders(&map, state, 1e-3).unwrap();
    (map, borders, regions.selection(starts, |u| state(0.6 * u[0], 0.6 * u[1])).unwrap())
}

/// Two features, of which the second is active with probability 0.8.
#[test]
fn the_executor_changes_no_bit() {
    let model = two_features(0.8);
    let ode = ReducedOde::new(&model).unwrap();
    let rest = |q1, q2| {
        let run = ode.solver().steady_rate(1e-8).solve(&state(q1, q2).unwrap(), 1000.0).unwrap();
        run.last().unwrap().1.clone()
    };
    let points = [rest(0.9, 0.1), rest(0.1, 0.9)];
    let grid = || Grid { a: (0.05, 0.65), b: (0.05, 0.65), columns: 12, rows: 12 };
    let starts = || SobolStarts { dimensions: 2, points: 32, scrambles: 2, seed: 1 };
    let (first, second) = ([0.5, 1.0, 2.0], [0.3, 0.6]);
    let parameters = || ((Parameter::SecondMoment(0), &first[..]), (Parameter::WeightDecay, &second[..]));

    let regions = || AttractionRegions::new(&ode, &points).unwrap();
    let here = outcomes(&regions(), grid(), starts());
    assert!(here.0.refined() > 0);
    assert_eq!(here, outcomes(&regions().executor(Backwards), grid(), starts()));
    // One after the other, and carried where that can be.
    #[cfg(not(feature = "serde"))]
    assert_eq!(here, outcomes(&regions().executor(Serial), grid(), starts()));
    #[cfg(feature = "serde")]
    assert_eq!(here, outcomes(&regions().executor(Carried), grid(), starts()));

    let regions = regions();
    let chain = |seed| ProjectedChain::builder(&model, 50).build_seeded(seed);
    let finite = regions.selection_at_finite_size(&Ensemble::new(30, 3), (40.0, 5), |r| chain(r.seed)).unwrap();
    let ensemble = Ensemble::new(30, 3).executor(Backwards);
    assert_eq!(finite, regions.selection_at_finite_size(&ensemble, (40.0, 5), |r| chain(r.seed)).unwrap());

    #[cfg(feature = "serde")]
    {
        let ensemble = Ensemble::new(30, 3).executor(Carried);
        assert_eq!(finite, regions.selection_at_finite_size(&ensemble, (40.0, 5), |r| chain(r.seed)).unwrap());
    }

    let (first, second) = parameters();
    let diagram = PhaseDiagram::new(&ode, first, second);
    assert_eq!(diagram, PhaseDiagram::new_on(&Serial, &ode, first, second));
    assert_eq!(diagram, PhaseDiagram::new_on(&Backwards, &ode, first, second));
    #[cfg(feature = "serde")]
    assert_eq!(diagram, PhaseDiagram::new_on(&Carried, &ode, first, second));
}

/// Diagrams over models, cell by cell the learnability of the model there.
#[test]
fn diagrams_of_models_are_the_same_by_every_executor() {
    let (moments, decays) = ([0.5, 2.0], [0.3, 0.6, 0.9]);
    let build = |moment: f64, decay: f64| {
        crate::support::models::reference([Law::two_point(moment)?]).weight_decay(decay).build()
    };
    let here = PhaseDiagram::of_models(&moments, &decays, build);
    assert_eq!(PhaseDiagram::of_models_on(&Backwards, &moments, &decays, build), here);
    assert_eq!(here.cells.len(), 6);
    let distinct = (0..6).all(|k| (0..k).all(|j| here.cells[k] != here.cells[j]));
    assert!(distinct, "{here:?}");
}
