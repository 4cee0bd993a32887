//! What stands in the table of each kind of result.

use contrastive_dynamics::control::{Control, CosineSimilarity, Objective, Optimiser, TimeGrid};
use contrastive_dynamics::data::{Cell, Table};
use contrastive_dynamics::fluctuation::Fluctuations;
use contrastive_dynamics::integrate::Output;
use contrastive_dynamics::limit::Parameter;
use contrastive_dynamics::model::Quantity;
use contrastive_dynamics::pde::grid::GridSolver;
use contrastive_dynamics::prelude::{Ensemble, ProjectedChain, ReducedOde};
use contrastive_dynamics::stability::{
    AttractionRegions, Continuation, FixedPointFinder, Grid, OdeCurve, PhaseDiagram, RegionMap,
};
use contrastive_dynamics::start::{FeatureLaw, LinearGaussianStart};
use contrastive_dynamics::state::OrderParameters;

use crate::support::models::{informed_start, one_feature, two_features};

fn times() -> Vec<f64> {
    (0..=8).map(|k| 0.5 * f64::from(k)).collect()
}

/// One table of every kind, under the names that the guide gives their files.
pub(super) fn all() -> Vec<(&'static str, Table)> {
    let (model, start) = (one_feature(), informed_start());
    let ode = ReducedOde::new(&model).unwrap();
    let trajectory = ode.solver().output(Output::Times(times())).solve(&start, 4.0).unwrap();
    let chain = ProjectedChain::builder(&model, 100).start(&start);
    let runs =
        Ensemble::new(40, 1).run_projected(&chain, 4.0, &Output::Times(times()), |_, state| vec![state.q()[(0, 0)]]);
    let path = Fluctuations::new(&ode).solver().output(Output::Times(times())).solve(&start, 4.0).unwrap();
    let law = LinearGaussianStart::new(FeatureLaw::sparse(0.3).unwrap(), &start).unwrap();
    let mut grid = GridSolver::builder(&model).width(0.1).start(&law).build().unwrap();
    grid.run(1.0, &Output::Stop).unwrap();
    let edges: Vec<f64> = (-30..=30).map(|k| 0.1 * f64::from(k)).collect();
    let histogram = grid.density().marginal().unwrap().histogram(&edges).unwrap();
    let found = FixedPointFinder::new(&ode).find().unwrap();
    let mut curve = OdeCurve::new(&ode, Parameter::SecondMoment(0)).unwrap();
    let first = curve.coordinates(&found.stable().next().unwrap().state);
    let branch = Continuation::new(0.5, 2.25).downwards().run(&mut curve, &first, 2.25).unwrap();
    let (moments, decays) = ([0.8, 1.6, 2.4], [0.2, 0.5]);
    let diagram = PhaseDiagram::new(&ode, (Parameter::SecondMoment(0), &moments), (Parameter::WeightDecay, &decays));
    let about = |table: Table| table.comment(&model);
    vec![
        ("trajectory", about(trajectory.to_table())),
        ("summary", about(runs.unwrap().to_table())),
        ("fluctuations", about(path.to_table(100).unwrap())),
        ("density", about(grid.density().to_table())),
        ("histogram", about(histogram.to_table())),
        ("branch", about(branch.to_table())),
        ("diagram", about(diagram.to_table())),
        ("map", about(map().to_table())),
        ("points", about(found.to_table())),
    ]
}

fn map() -> RegionMap {
    let model = two_features(0.5);
    let ode = ReducedOde::new(&model).unwrap().coefficient_tolerance(1e-6).unwrap();
    let found = FixedPointFinder::new(&ode).find().unwrap();
    let regions = AttractionRegions::of_fixed_points(&ode, &found.points).unwrap();
    let grid = Grid { a: (0.0, 1.2), b: (0.0, 0.9), columns: 4, rows: 3 };
    regions.map(grid, |a, b| OrderParameters::from_rows(2, 1, &[a, b], &[1.0])).unwrap()
}

#[test]
fn trajectories_have_a_column_for_every_entry() {
    let model = two_features(0.5).to_builder().n_neurons(2).build().unwrap();
    let start = OrderParameters::from_rows(2, 2, &[0.1, 0.2, 0.3, 0.4], &[1.0, 0.3, 0.3, 0.9]).unwrap();
    let ode = ReducedOde::new(&model).unwrap().coefficient_tolerance(1e-5).unwrap();
    let trajectory = ode.solver().output(Output::Times(vec![0.0, 0.5])).solve(&start, 0.5).unwrap();
    let table = trajectory.to_table();
    assert_eq!(table.columns(), ["t", "Q_0_0", "Q_0_1", "Q_1_0", "Q_1_1", "R_0_0", "R_0_1", "R_1_1"]);
    assert_eq!(table.comments(), ["reached its end"]);
    assert_eq!(table.rows()[0], [0.0, 0.1, 0.2, 0.3, 0.4, 1.0, 0.3, 0.9].map(Cell::from));
    let state = trajectory.last().unwrap().1;
    for (name, value) in [("Q_1_0", state.q()[(1, 0)]), ("R_0_1", state.r()[(0, 1)]), ("t", 0.5)] {
        assert_eq!(table.numbers(name).unwrap()[1], value);
    }
}

#[test]
fn summaries_and_fluctuations_say_what_their_types_say() {
    let (model, start) = (one_feature(), informed_start());
    let chain = ProjectedChain::builder(&model, 100).start(&start);
    let read = |_: f64, state: &OrderParameters| vec![state.q()[(0, 0)], state.r()[(0, 0)]];
    let summary = Ensemble::new(40, 1).run_projected(&chain, 1.0, &Output::Times(vec![0.5, 1.0]), read).unwrap();
    let table = summary.to_table();
    let of = |name: &str, row: usize| table.numbers(name).unwrap()[row];
    for (row, (time, value)) in [(0, 0), (0, 1), (1, 0), (1, 1)].into_iter().enumerate() {
        let expected = summary.at(time, value).unwrap();
        assert_eq!((of("t", row), of("value", row)), (summary.times()[time], value as f64));
        assert_eq!((of("mean", row), of("count", row)), (expected.mean(), 40.0));
        assert_eq!(of("standard_deviation", row), expected.variance().sqrt());
        assert_eq!((of("standard_error", row), of("q95", row)), (expected.standard_error(), expected.quantile(0.95)));
    }

    let ode = ReducedOde::new(&model).unwrap();
    let path = Fluctuations::new(&ode).solver().corrections(true).output(Output::Times(times())).solve(&start, 4.0);
    let path = path.unwrap();
    let table = path.to_table(200).unwrap();
    let (means, deviations) = (table.numbers("mean").unwrap(), table.numbers("standard_deviation").unwrap());
    for (entry, name) in ["Q_0_0", "R_0_0"].into_iter().enumerate() {
        // The same by derivatives of the function that reads the entry, which are differences.
        for (k, expected) in path.band(200, |state| state.to_packed()[entry]).unwrap().iter().enumerate() {
            let row = 2 * k + entry;
            assert_eq!(table.rows()[row][1], Cell::from(name));
            assert!((means[row] - expected.mean).abs() < 1e-9 && (expected.mean - expected.limit).abs() < 0.01);
            assert!((deviations[row] - expected.standard_deviation).abs() < 1e-9);
        }
    }
    assert!(path.to_table(0).is_err());
}

#[test]
fn densities_maps_points_and_schedules_say_what_their_types_say() {
    let tables = all();
    let of = |name: &str| &tables.iter().find(|(known, _)| *known == name).unwrap().1;
    let sum = |table: &Table, column: &str| table.numbers(column).unwrap().iter().sum::<f64>();
    assert!((sum(of("density"), "mass") - 1.0).abs() < 1e-12);
    // Given one of the nodes of u, and whatever u is: the mean weight is that of the nodes.
    assert!((0.1 * sum(of("density"), "density_0") - 1.0).abs() < 1e-3);
    assert!((0.1 * sum(of("histogram"), "density") - sum(of("histogram"), "mass")).abs() < 1e-12);
    assert!(of("histogram").comments()[0].starts_with("mass below "));

    let map = map();
    let table = of("map");
    assert_eq!(table.rows().len(), 12);
    for (k, outcome) in map.outcomes().iter().enumerate() {
        let (a, b) = map.grid().parameters(k % 4, k / 4);
        assert_eq!(table.rows()[k][..2], [a, b].map(Cell::from));
        assert_eq!(table.rows()[k][2], outcome.point().into());
        assert_eq!(table.rows()[k][5] == Cell::Empty, outcome.point().is_some());
    }
    // Of both: states that select, and starts that are no states.
    assert!(map.outcomes().iter().any(|outcome| outcome.point().is_none()));

    let points = of("points");
    assert_eq!(points.column("kind").unwrap().filter(|kind| **kind == "uninformative".into()).count(), 1);
    let stable = points.column("stability").unwrap().position(|cell| *cell == "stable".into()).unwrap();
    assert!(points.numbers("abscissa").unwrap()[stable] < 0.0 && points.numbers("images").unwrap()[stable] == 2.0);

    let (model, start) = (one_feature(), informed_start());
    let ode = ReducedOde::new(&model).unwrap();
    let objective = Objective::new().at_end(CosineSimilarity { feature: 0, neuron: 0 });
    let control = Control::new([Quantity::LearningRate], TimeGrid::linear([0.0, 1.0, 2.0]).unwrap()).bounds(0.01, 1.0);
    let best = Optimiser::new(&ode, &objective).control(control).maximise(&start, 2.0).unwrap();
    let table = best.to_table();
    assert_eq!(table.numbers("value").unwrap(), best.values(0));
    assert_eq!(table.numbers("t").unwrap(), [0.0, 1.0, 2.0]);
    assert!(table.column("quantities").unwrap().all(|cell| *cell == "learning rate".into()));
    assert!(table.comments()[0].ends_with(&best.end().to_string()));
}
