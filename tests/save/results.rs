//! Results that are written and read back exactly.

use std::fmt::Debug;

use contrastive_dynamics::ensemble::{Ensemble, Summary};
use contrastive_dynamics::integrate::Output;
use contrastive_dynamics::limit::Parameter;
use contrastive_dynamics::model::{Law, fingerprint};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::save::{SaveError, read, write};
use contrastive_dynamics::sgd::ProjectedChain;
use contrastive_dynamics::stability::{
    AttractionRegions, Branch, Continuation, CurveError, FixedPoints, Grid, OdeCurve, RegionMap, steady_state,
};
use contrastive_dynamics::state::{OrderParameters, Trajectory};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Scratch;
use crate::support::models::{equal_features, informed_start, one_feature};

fn kept<V: Serialize + DeserializeOwned + PartialEq + Debug>(value: &V) {
    let scratch = Scratch::new("results");
    write(scratch.path(), value).unwrap();
    // As it prints, which tells NaN from no other.
    let shown = |value: &V| format!("{value:?}");
    assert!(shown(&read::<V>(scratch.path()).unwrap()) == shown(value));
}

#[test]
fn trajectories_summaries_branches_points_and_maps_are_read_as_they_were_written() {
    let model = one_feature();
    let ode = ReducedOde::new(&model).unwrap();
    let trajectory = ode.solver().output(Output::Times(vec![0.0, 0.1, 5.0])).solve(&informed_start(), 5.0).unwrap();
    kept::<Trajectory>(&trajectory);
    let ensemble = Ensemble::new(40, 1).keep_values(true);
    let chain = ProjectedChain::builder(&model, 100);
    // A value that is infinite, and one that is none.
    let observe = |_, state: &OrderParameters| vec![state.r()[(0, 0)], f64::INFINITY, 1.0 / 3.0];
    kept::<Summary>(&ensemble.run_projected(&chain, 1.0, &Output::EverySteps(50), observe).unwrap());
    let steady = steady_state(&ode, &informed_start(), 1e4).unwrap().state;
    let mut curve = OdeCurve::new(&ode, Parameter::SecondMoment(0)).unwrap();
    let start = curve.coordinates(&steady);
    let branch = Continuation::new(0.5, 2.25).downwards().run(&mut curve, &start, 2.25).unwrap();
    assert!(!branch.bifurcations.is_empty());
    kept::<Branch<f64, CurveError>>(&branch);
    let two = equal_features(2).build().unwrap();
    let ode = ReducedOde::new(&two).unwrap();
    let state = |a: f64, b: f64| OrderParameters::from_rows(2, 1, &[a, b], &[1.0]);
    let regions = AttractionRegions::new(&ode, &[state(0.98, 0.0).unwrap()]).unwrap();
    let grid = Grid { a: (0.0, 1.2), b: (0.0, 1.2), columns: 5, rows: 5 };
    kept::<RegionMap>(&regions.map(grid, state).unwrap());
    kept::<FixedPoints>(&contrastive_dynamics::stability::FixedPointFinder::new(&ode).find().unwrap());
}

/// Three-point laws of other activities have the same second moment; closures have a fingerprint, too.
#[test]
fn models_have_fingerprints_of_what_they_answer() {
    use contrastive_dynamics::model::{ElasticNet, GaussianNoise, GradientPath, Independent, Model, NoNoise, Tanh};
    let base = || {
        Model::builder()
            .nonlinearity(Tanh)
            .hidden(Independent::new([Law::three_point(2.25, 0.5).unwrap()]).unwrap())
            .noise(GaussianNoise::correlated(0.3, -0.5).unwrap())
            .learning_rate(0.3)
    };
    let own = fingerprint(&base().build().unwrap()).value();
    assert_eq!(own, fingerprint(&base().build().unwrap()).value());
    // The law of the same moments as another type.
    let closure = |h: f64| h.tanh() + 1e-3 * h * h;
    let slope = |h: f64| 1.0 - h.tanh().powi(2) + 2e-3 * h;
    let others = [
        fingerprint(&base().learning_rate(0.3_f64.next_up()).build().unwrap()).value(),
        fingerprint(&base().weight_decay(1e-300).build().unwrap()).value(),
        fingerprint(&base().batch_size(2).build().unwrap()).value(),
        fingerprint(&base().n_neurons(2).build().unwrap()).value(),
        fingerprint(&base().n_neurons(2).penalty_strength(0.1).build().unwrap()).value(),
        fingerprint(&base().gradient_path(GradientPath::StopGradient).build().unwrap()).value(),
        fingerprint(&base().noise(GaussianNoise::correlated(0.3, -0.6).unwrap()).build().unwrap()).value(),
        fingerprint(&base().noise(NoNoise).build().unwrap()).value(),
        fingerprint(&base().hidden(Independent::new([Law::three_point(2.25, 0.4).unwrap()]).unwrap()).build().unwrap())
            .value(),
        fingerprint(&base().regularizer(ElasticNet::new(0.5).unwrap()).build().unwrap()).value(),
        fingerprint(&base().regularizer(ElasticNet::new(0.6).unwrap()).build().unwrap()).value(),
        fingerprint(&base().nonlinearity((closure, slope)).build().unwrap()).value(),
    ];
    let mut all: Vec<u64> = others.into_iter().chain([own]).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 13);
}

#[test]
fn a_file_that_holds_something_else_or_nothing_is_an_error() {
    let scratch = Scratch::new("nothing");
    assert!(matches!(read::<f64>(scratch.path()), Err(SaveError::Io { .. })));
    write(scratch.path(), &[1.0_f64, 2.0]).unwrap();
    assert!(matches!(read::<Trajectory>(scratch.path()), Err(SaveError::Content { .. })));
    assert!(matches!(write("/nowhere/at/all", &1.0), Err(SaveError::Io { action: "write", .. })));
    std::fs::write(scratch.path(), "times,states\n").unwrap();
    assert_eq!(read::<Trajectory>(scratch.path()), Err(SaveError::Unknown));
}
