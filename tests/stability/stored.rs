//! Answers of the analysis as data: what was written is read to the last bit, and what does not fit together is not.

use std::convert::Infallible;
use std::fmt::Debug;

use contrastive_dynamics::limit::Parameter;
use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
use contrastive_dynamics::nalgebra::DMatrix;
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::stability::{
    AttractionRegions, Branch, Continuation, FiniteSizeSelection, FixedPointFinder, FixedPoints, FunctionSystem, Grid,
    PhaseDiagram, RegionMap, Selection, SignedPermutation, SobolStarts, Spectrum, spectrum,
};
use contrastive_dynamics::state::{OrderParameters, OrderParametersError};
use serde::Serialize;
use serde::de::DeserializeOwned;

type Built = Model<f64, Tanh, Independent, GaussianNoise>;

fn model() -> Built {
    Model::builder()
        .nonlinearity(Tanh)
        .hidden(Independent::new([Law::two_point(2.25).unwrap(), Law::two_point(2.25).unwrap()]).unwrap())
        .noise(GaussianNoise::correlated(0.3, -0.5).unwrap())
        .learning_rate(0.3)
        .weight_decay(0.5)
        .build()
        .unwrap()
}

fn state(q1: f64, q2: f64) -> Result<OrderParameters, OrderParametersError> {
    OrderParameters::from_rows(2, 1, &[q1, q2], &[1.0])
}

/// The text of an answer that comes back as it was.
fn stored<A: Serialize + DeserializeOwned + PartialEq + Debug>(answer: &A) -> String {
    let text = serde_json::to_string(answer).unwrap();
    assert_eq!(&serde_json::from_str::<A>(&text).unwrap(), answer);
    text
}

fn refused<A: DeserializeOwned + Debug>(text: &str) -> String {
    serde_json::from_str::<A>(text).unwrap_err().to_string()
}

#[test]
fn fixed_points_come_back_as_they_were() {
    let model = model();
    let ode = ReducedOde::new(&model).unwrap();
    let mut found = FixedPointFinder::new(&ode).find().unwrap();
    assert!(found.points.len() > 2);
    // As of a singular Jacobian: JSON has no number for it.
    found.points[0].error = f64::INFINITY;
    let text = serde_json::to_string(&found).unwrap();
    let read: FixedPoints = serde_json::from_str(&text).unwrap();
    assert_eq!((&read.points, &read.symmetries, &read.repeats), (&found.points, &found.symmetries, &found.repeats));
    // Starts that failed may have residuals that are not numbers, and reasons that are read as words.
    assert_eq!(serde_json::to_string(&read).unwrap(), text);
    assert!(text.contains(r#""error":"inf""#));
    let (real, wrong) = (r#""stop":"Converged""#, r#""stop":"Surrendered""#);
    assert!(refused::<FixedPoints>(&text.replacen(real, wrong, 1)).contains("unknown variant"));
}

#[test]
fn spectra_come_back_as_they_were() {
    let rotation = DMatrix::from_row_slice(2, 2, &[0.0_f64, -1.0, 1.0, 0.0]);
    let text = stored(&spectrum(&rotation).unwrap());
    assert!(text.starts_with(r#"{"values":[["#), "{text}");
    let short = r#"{"values":[[1,0],[0,1]],"vectors":[[[1,0]]],"residual":0}"#;
    assert!(refused::<Spectrum>(short).contains("one for each eigenvalue"));
    assert!(refused::<SignedPermutation>(r#"{"features":[[1,false]],"neurons":[]}"#).contains("each of them once"));
    assert!(refused::<PhaseDiagram>(r#"{"first":[1],"second":[],"cells":[{"Err":"Spectrum"}]}"#).contains("each pair"));
}

#[test]
fn branches_come_back_as_they_were() {
    let mut pitchfork = FunctionSystem::new(1, |x: &[f64], l: f64, out: &mut [f64]| {
        out[0] = (l - 0.3) * x[0] - x[0].powi(3);
    });
    let plan = Continuation::new(-1.0, 1.0);
    let branch: Branch<f64, Infallible> = plan.run(&mut pitchfork, &[0.0], -0.9).unwrap();
    assert!(branch.bifurcations.len() == 1 && branch.points.len() > 5);
    for way in plan.switch(&mut pitchfork, &branch.bifurcations[0]).unwrap() {
        stored(&way);
    }
    // A system that cannot fail has failures that are no data.
    let branch: Branch<f64, String> = branch.map_failure(|never| match never {});
    let text = stored(&branch);
    assert!(text.ends_with(r#""stop":"Bound"}"#), "{text}");
}

#[test]
fn maps_and_borders_come_back_as_they_were() {
    let model = model();
    let ode = ReducedOde::new(&model).unwrap();
    let stable = [state(0.984, 0.0).unwrap(), state(0.0, 0.984).unwrap()];
    let regions = AttractionRegions::new(&ode, &stable).unwrap();
    // Some starts are no states.
    let map = regions.map(Grid { a: (-0.6, 0.9), b: (0.05, 0.95), columns: 4, rows: 3 }, state).unwrap();
    let text = stored(&map);
    assert!(text.contains("Infeasible") && text.contains("Reached"), "{text}");
    let read = |from: &str, to: &str| {
        assert!(text.contains(from), "{text}");
        refused::<RegionMap>(&text.replacen(from, to, 1))
    };
    assert!(read(r#""columns":4"#, r#""columns":5"#).contains("an outcome for each"));
    assert!(read(r#""columns":4"#, r#""columns":0"#).contains("at least one column"));
    assert!(read(r#""refined":"#, r#""refined":99"#).contains("an outcome for each"));
    let line = |angle: f64| state(0.3 * angle.cos(), 0.3 * angle.sin());
    stored(&regions.border(line, (0.1, 1.4), 1e-2).unwrap());
    stored(&map.fraction(0));
}

#[test]
fn selection_comes_back_as_it_was() {
    let model = model();
    let ode = ReducedOde::new(&model).unwrap();
    let stable = [state(0.984, 0.0).unwrap(), state(0.0, 0.984).unwrap()];
    let regions = AttractionRegions::new(&ode, &stable).unwrap();
    let starts = SobolStarts { dimensions: 2, points: 8, scrambles: 2, seed: 1 };
    stored(&starts);
    let selection = regions.selection(starts, |u| state(0.6 * u[0], 0.6 * u[1])).unwrap();
    let text = stored(&selection);
    let bad = |text: &str| refused::<Selection>(text);
    assert!(bad(r#"{"fractions":[],"points":8,"undecided":0,"doubtful":0,"complete":true}"#).contains("two scrambles"));
    assert!(
        bad(r#"{"fractions":[[[1.0]],[[0.5],[0.5]]],"points":8,"undecided":0,"doubtful":0,"complete":true}"#)
            .contains("same points")
    );
    assert!(
        bad(r#"{"fractions":[[[0.5]],[[0.5]]],"points":8,"undecided":0,"doubtful":0,"complete":true}"#)
            .contains("sum to 1")
    );
    assert!(bad(&text.replace(r#""points":8"#, r#""points":0"#)).contains("two scrambles"));
    let counts: FiniteSizeSelection = serde_json::from_str(r#"{"counts":[[3,4],[5]],"undecided":1}"#).unwrap();
    assert_eq!((counts.runs(), counts.count(0)), (13, 7));
    stored(&counts);
    let many = format!(r#"{{"counts":[[{0}],[{0}]],"undecided":1}}"#, u64::MAX);
    assert!(refused::<FiniteSizeSelection>(&many).contains("too many"));
}

/// A cell without an answer says why, and says so still when it was read.
#[test]
fn phase_diagrams_come_back_with_their_errors() {
    let model = model();
    let ode = ReducedOde::new(&model).unwrap();
    let (first, second) = ([0.3, 0.6], [0.2, -1.0]);
    let diagram = PhaseDiagram::new(&ode, (Parameter::WeightDecay, &first), (Parameter::LearningRate, &second));
    assert!(diagram.cells[0].is_ok() && diagram.cells[1].is_err());
    let text = serde_json::to_string(&diagram).unwrap();
    let read: PhaseDiagram = serde_json::from_str(&text).unwrap();
    assert_eq!(read.cells[0], diagram.cells[0]);
    let words = |diagram: &PhaseDiagram| diagram.cells[1].as_ref().unwrap_err().to_string();
    assert_eq!(words(&read), words(&diagram));
    // Words are read as words: from then on nothing changes.
    stored(&read);
}
