//! Case files that are wrong are told where: case and field.
use crate::support::case_file::{CaseFileError, NoData, StateData, TrajectoryData, read_cases};

const GOOD: &str = r#"{"cases": [{"name": "one", "parameters": {"sigma": "tanh",
    "hidden": [{"kind": "rademacher", "scale": 1.5}, {"kind": "ternary", "scale": 1.0, "q": 0.5}],
    "Kf": [[0.3, 0.1], [0.1, 0.3]], "Kb": [[0.3, 0.1], [0.1, 0.3]], "tau": 0.3, "gamma": 0.5, "batch": 2,
    "eta": 1, "lambda": 0}, "Q": [[0.4], [0.1]], "R": [[0.8]], "Q0": [[0.4], [0.1]], "R0": [[0.8]], "times": [0, 1]}]}"#;

/// Replaces one piece of the good file and returns the message of everything that can be asked of it.
fn message(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    let text = GOOD.replacen(from, to, 1);
    let outcome = read_cases::<StateData>(&text).and_then(|cases| {
        let case = &cases[0];
        let state = case.state(&case.data.q, &case.data.r, "Q and R")?;
        case.model(state.n_neurons()).map(|_| ())
    });
    outcome.unwrap_err().to_string()
}

#[test]
fn a_good_file_is_read_whatever_is_asked_of_it() {
    assert_eq!(read_cases::<StateData>(GOOD).unwrap()[0].parameters.batch_size, 2);
    assert_eq!(read_cases::<TrajectoryData>(GOOD).unwrap()[0].data.times, [0.0, 1.0]);
    assert_eq!(read_cases::<NoData>(GOOD).unwrap()[0].model(1).unwrap().n_features(), 2);
}

#[test]
fn every_fault_is_told_with_its_case_and_field() {
    for (from, to, field) in [
        ("\"tau\"", "\"taw\"", "parameters.taw"),
        ("\"tau\": 0.3", "\"tau\": -0.3", "parameters.tau"),
        ("\"gamma\": 0.5", "\"gamma\": -1", "parameters.gamma"),
        ("\"lambda\": 0", "\"lambda\": -1", "parameters.lambda"),
        ("\"eta\": 1", "\"eta\": -1", "parameters.eta"),
        ("\"eta\": 1,", "", "eta"),
        ("\"batch\": 2", "\"batch\": 0", "parameters.batch"),
        ("\"batch\": 2", "\"batch\": 2.5", "parameters.batch"),
        ("\"tanh\"", "\"sine\"", "parameters.sigma"),
        ("\"rademacher\"", "\"cauchy\"", "parameters.hidden[0].kind"),
        ("\"scale\": 1.5", "\"scale\": \"wide\"", "parameters.hidden[0].scale"),
        ("\"scale\": 1.5", "\"scale\": 0", "parameters.hidden"),
        (", \"q\": 0.5", "", "parameters.hidden"),
        ("\"Kf\": [[0.3, 0.1], [0.1, 0.3]]", "\"Kf\": [[0.3, 0.9], [0.9, 0.3]]", "parameters.Kf"),
        ("\"Kb\": [[0.3, 0.1], [0.1, 0.3]]", "\"Kb\": [[0.3, 0.1], [0.2, 0.3]]", "parameters.Kb"),
        ("\"Kb\": [[0.3, 0.1], [0.1, 0.3]]", "\"Kb\": [[0.3, 0.1]]", "parameters.Kb"),
        ("\"R\": [[0.8]], ", "", "field R:"),
        ("\"R\": [[0.8]]", "\"S\": [[0.8]]", "field S: unknown field"),
        ("\"R\": [[0.8]]", "\"R\": [[0.01]]", "Q and R"),
        ("\"Q\": [[0.4], [0.1]]", "\"Q\": [[0.4]]", "Q and R"),
        ("\"Q\": [[0.4], [0.1]]", "\"Q\": 0.4", "field Q:"),
        ("\"Q\": [[0.4], [0.1]]", "\"Q\": [[0.4], [\"x\"]]", "field Q[1][0]:"),
        ("\"R\": [[0.8]]", "\"R\": \"no\"", "field R:"),
        ("\"R\": [[0.8]]", "\"R\": [[0.8]], \"S\": 1", "field S: unknown field"),
        ("\"scale\": 1.5", "\"scale\": 1.5, \"q\": 0.5", "parameters.hidden[0].q"),
        ("\"scale\": 1.5", "\"scale\": 1.5, \"width\": 2", "parameters.hidden[0].width"),
        (
            "\"Kf\": [[0.3, 0.1], [0.1, 0.3]]",
            "\"Kf\": [[0.3, 0.1], [-0.2, 0.3]]",
            "must be symmetric, got 0.1 and -0.2",
        ),
    ] {
        let text = message(from, to);
        assert!(text.contains("case one") && text.contains(field), "{to}: {text}");
    }
}

#[test]
fn what_is_no_case_file_is_told_so_and_a_case_without_name_by_its_position() {
    for text in ["", "[1", "{}", "{\"cases\": 3}"] {
        assert!(matches!(read_cases::<NoData>(text), Err(CaseFileError::Format { .. })));
    }
    for (from, to, key) in
        [("\"tau\": 0.3", "\"tau\": 0.3, \"tau\": 0.4", "`tau`"), ("\"Q\":", "\"Q\": 1, \"Q\":", "`Q`")]
    {
        let text = read_cases::<NoData>(&GOOD.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(text.contains(key) && text.contains("twice"), "{text}");
    }
    let text = read_cases::<NoData>(&GOOD.replace("\"name\": \"one\",", "")).unwrap_err().to_string();
    assert!(text.contains("case number 1"), "{text}");
}
