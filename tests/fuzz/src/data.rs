//! Text and bytes that should be data.

use arbitrary::Unstructured;
use contrastive_dynamics::ensemble::{Statistics, Summary};
use contrastive_dynamics::model::{
    CorrelatedSigns, Discrete, GaussianNoise, Independent, Law, Mixture, Model, Settings, Tanh,
};
use contrastive_dynamics::random::LaneRng;
use contrastive_dynamics::save::{File, Fingerprint, Store, read};
use contrastive_dynamics::sgd::SavedLanes;
use contrastive_dynamics::stability::{Branch, CurveError, RegionMap, Selection};
use contrastive_dynamics::state::{OrderParameters, Trajectory};

use crate::Read;

/// What reads, to be changed here and there.
const TEXTS: [&str; 9] = [
    r#"{"Q":[[0.5],[0.1]],"R":[[1.0]]}"#,
    r#"{"times":[0.1,0.3],"states":[{"Q":[[0.3]],"R":[[0.7]]},{"Q":[[0.3]],"R":[[0.7]]}],"stop":"EndTime","work":{"accepted_steps":4}}"#,
    r#"{"laws":[{"TwoPoint":{"second_moment":2.25}},{"ThreePoint":{"second_moment":2.25,"activity":0.5}}]}"#,
    r#"{"points":[[1.0,-1.0],[0.5,-0.5]],"probabilities":[0.5,0.5]}"#,
    r#"{"n_features":1,"n_neurons":1,"batch_size":1,"learning_rate":0.3,"weight_decay":0.5,"background_std":0.0,"constraint":"None","gradient_path":"BothViews"}"#,
    r#"{"second_moments":[1.0,1.0],"loadings":[0.5,0.5]}"#,
    r#"{"weights":[0.5,0.5],"laws":[{"laws":[{"Laplace":{"second_moment":1.0}}]},{"laws":[{"Gaussian":{"second_moment":1.0}}]}]}"#,
    r#"{"count":2,"mean":1.0,"squares":0.5,"not_a_number":false,"levels":[[1.0,2.0]],"odd":[false],"rank_error":0,"values":null}"#,
    r#"{"grid":{"a":[0.0,1.0],"b":[0.0,1.0],"columns":1,"rows":1},"outcomes":[{"Reached":{"point":0,"image":0,"time":1.0}}],"refined":0,"complete":true}"#,
];

const INSERTS: [&str; 14] = [
    "",
    "0",
    "-1",
    "1e999",
    "1e-320",
    "18446744073709551615",
    "null",
    "\"NaN\"",
    "[]",
    "{}",
    "[[",
    "}",
    ",",
    "\u{feff}",
];

fn every(text: &str) {
    let _ = serde_json::from_str::<OrderParameters>(text).map(|state| state.to_packed());
    let _ = serde_json::from_str::<Trajectory>(text).map(|trajectory| trajectory.last().is_some());
    let _ = serde_json::from_str::<Independent>(text);
    let _ = serde_json::from_str::<Discrete>(text);
    let _ = serde_json::from_str::<Settings>(text);
    let _ = serde_json::from_str::<CorrelatedSigns>(text);
    let _ = serde_json::from_str::<Mixture<Independent>>(text);
    let _ = serde_json::from_str::<Law>(text);
    let _ = serde_json::from_str::<Model<f64, Tanh, Independent, GaussianNoise>>(text);
    let _ =
        serde_json::from_str::<Statistics>(text).map(|statistics| (statistics.quantile(0.3), statistics.variance()));
    let _ = serde_json::from_str::<Summary>(text).map(|summary| (summary.to_string(), summary.at(0, 0).is_some()));
    let _ = serde_json::from_str::<RegionMap>(text).map(|map| (map.to_string(), map.fraction(0)));
    let _ = serde_json::from_str::<Selection>(text).map(|selection| selection.probability(0));
    let _ = serde_json::from_str::<Branch<f64, CurveError>>(text).map(|branch| branch.to_string());
    let _ = serde_json::from_str::<LaneRng>(text);
}

pub(crate) fn data(u: &mut Unstructured<'_>) -> Read<()> {
    if u.ratio(1, 40)? {
        // Files of any bytes, with a header that is right now and then.
        let path = std::env::temp_dir().join(format!("contrastive-dynamics-fuzz-{}", std::process::id()));
        let mut bytes: Vec<u8> = if u.arbitrary()? { b"CDSAVE\r\n".to_vec() } else { Vec::new() };
        bytes.extend(u.arbitrary::<Vec<u8>>()?);
        if std::fs::write(&path, &bytes).is_ok() {
            let _ = read::<Trajectory>(&path);
            let _ = Store::<SavedLanes>::load(&File::new(&path), Fingerprint::of("anything"));
            let _ = std::fs::remove_file(&path);
        }
        return Ok(());
    }
    let mut text = TEXTS[u.choose_index(TEXTS.len())?].to_owned();
    for _ in 0..u.int_in_range(0..=3)? {
        let (from, length) = (u.choose_index(text.len().max(1))?, u.int_in_range(0..=6)?);
        let to = (from + length).min(text.len());
        if text.is_char_boundary(from) && text.is_char_boundary(to) {
            text.replace_range(from.min(to)..to, INSERTS[u.choose_index(INSERTS.len())?]);
        }
    }
    every(&text);
    Ok(())
}
