//! Tables as text and as files.

use contrastive_dynamics::data::{Cell, DataError, Table};
use contrastive_dynamics::prelude::*;
use proptest::prelude::*;

use crate::support::models::one_feature;

/// Words that need quotes, and look like something else.
const WORDS: [&str; 9] =
    ["a, b", "\"", "# no comment", "two\nlines", "carriage\rreturn", " spaces ", "O'Neill", "naïve σ", "1e"];

fn with_words() -> Table {
    let mut table = Table::new(["word", "number", "another, \"odd\" name"]).unwrap();
    for (k, word) in WORDS.into_iter().enumerate() {
        table.push([word.into(), (k as f64).into(), Cell::Empty]).unwrap();
    }
    table
}

#[test]
fn what_is_written_as_csv_is_read_back() {
    let table = with_words().comment("a model\n\n# of two lines").comment("τ = 0.3");
    assert_eq!(Table::from_csv(&table.to_csv()).unwrap(), table);
    assert_eq!(table.comments(), ["a model", "", "# of two lines", "τ = 0.3"]);
    // Without rows; of one column, where an empty cell is not an empty line; and without columns.
    let empty = Table::new(["a", "b"]).unwrap();
    assert_eq!(Table::from_csv(&empty.to_csv()).unwrap(), empty);
    let mut narrow = Table::new(["a"]).unwrap();
    narrow.push([Cell::Empty]).unwrap();
    assert_eq!(Table::from_csv(&narrow.to_csv()).unwrap(), narrow);
    // As other programs write it.
    let other = Table::from_csv("\u{feff}#made elsewhere\r\na,b\r\n1, 2\r\n-inf,x\r\n").unwrap();
    assert_eq!(
        (other.comments(), other.columns()),
        (&["made elsewhere".to_owned()][..], &["a".into(), "b".into()][..])
    );
    assert_eq!(other.numbers("a").unwrap(), [1.0, f64::NEG_INFINITY]);
}

#[test]
fn files_are_written_and_read() {
    let path = std::env::temp_dir().join(format!("contrastive-dynamics-data-{}.csv", std::process::id()));
    let table = with_words().comment(one_feature());
    table.write_csv(&path).unwrap();
    assert_eq!(Table::read_csv(&path).unwrap(), table);
    #[cfg(feature = "serde")]
    {
        table.write_json(&path).unwrap();
        assert_eq!(Table::read_json(&path).unwrap(), table);
        let read: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(read["columns"][1], "number");
        assert_eq!(read["rows"][2], serde_json::json!(["# no comment", 2.0, null]));
        assert!(matches!(Table::read_csv(&path), Err(DataError::TwoColumns { .. } | DataError::Format { .. }) | Ok(_)));
    }
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(Table::read_csv(&path), Err(DataError::Read { .. })));
    assert!(matches!(table.write_csv("/no/such/folder/table.csv"), Err(DataError::Write(_))));
}

#[test]
fn what_is_no_table_is_told() {
    let mut table = with_words();
    assert_eq!(table.push([Cell::Empty]), Err(DataError::Width { columns: 3, cells: 1 }));
    assert_eq!(table.rows().len(), WORDS.len());
    assert_eq!(Table::new(["a", "b", "a"]), Err(DataError::TwoColumns { name: "a".into() }));
    assert!(matches!(Table::from_csv("a,a\n1,2\n"), Err(DataError::TwoColumns { .. })));
    let Err(DataError::Format { reason }) = Table::from_csv("a,b\n1,2\n3\n") else { panic!("a ragged table") };
    assert!(reason.contains("line: 3"), "{reason}");
    let Err(error @ DataError::NoColumn { .. }) = table.numbers("numbr") else { panic!("no such column") };
    assert!(error.to_string().contains("there are word, number"), "{error}");
    let error = DataError::NotANumber { column: "word".into(), row: 0, text: "a, b".into() };
    assert_eq!(table.numbers("word"), Err(error));
    assert!(table.numbers("another, \"odd\" name").unwrap().iter().all(|x| x.is_nan()));
    #[cfg(feature = "serde")]
    for text in ["", "{}", "[1]", r#"{"comments": [], "columns": ["a"], "rows": [[1, 2]]}"#] {
        assert!(matches!(Table::from_json(text), Err(DataError::Format { .. })), "{text}");
    }
}

#[test]
fn a_model_says_what_is_known_of_it() {
    let model = one_feature();
    let text = model.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0],
        "nonlinearity Tanh, hidden law Independent, noise GaussianNoise, regulariser L2, loss CovarianceLoss, f64"
    );
    assert_eq!(lines[1], "second moments of the hidden variables 2.25; fourth moments 5.0625");
    assert_eq!(
        lines[2],
        "noise along features [[0.3, -0.15], [-0.15, 0.3]], of the background [[0.3, -0.15], [-0.15, 0.3]]"
    );
    assert_eq!(lines[3], "1 features, 1 neurons, batch size 1");
    assert!(lines[4].starts_with("learning rate 0.3, momentum 0, weight decay 0.5, background deviation 1, "));
    // Models whose parts have one name are told apart.
    let other = model.to_builder().nonlinearity((|h: f64| h.sin(), |h: f64| h.cos())).build().unwrap();
    let third = model.to_builder().nonlinearity((|h: f64| h.atan(), |h: f64| 1.0 / (1.0 + h * h))).build().unwrap();
    assert_ne!(other.to_string().lines().last(), third.to_string().lines().last());
    assert!(!other.to_string().contains("::"), "{other}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every number, to the last bit, in the fewest digits.
    #[test]
    fn numbers_go_through_csv_and_json(bits in proptest::collection::vec(any::<u64>(), 1..20)) {
        let mut table = Table::new(["x"]).unwrap();
        let numbers: Vec<f64> = bits.into_iter().map(f64::from_bits).map(|x| if x.is_nan() { f64::NAN } else { x }).collect();
        for &x in &numbers {
            table.push([x.into()]).unwrap();
        }
        let same = |read: Vec<f64>| read.iter().zip(&numbers).all(|(a, b)| a.to_bits() == b.to_bits());
        let text = table.to_csv();
        prop_assert!(same(Table::from_csv(&text).unwrap().numbers("x").unwrap()));
        prop_assert!(text.lines().all(|line| line.len() < 30), "{}", text);
        #[cfg(feature = "serde")]
        {
            let read = Table::from_json(&table.to_json()).unwrap().numbers("x").unwrap();
            let finite = |x: f64| if x.is_finite() { x.to_bits() } else { f64::NAN.to_bits() };
            prop_assert!(read.iter().zip(&numbers).all(|(a, b)| finite(*a) == finite(*b)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a file holds: a table, or an error that says why not.
    #[test]
    fn any_text_is_a_table_or_an_error(text in "[#a\",0-9.e+\\-\r\n \\PC]{0,60}") {
        match Table::from_csv(&text) {
            Ok(table) => prop_assert!(table.rows().iter().all(|row| row.len() == table.columns().len())),
            Err(error) => {
                let told = matches!(error, DataError::Format { .. } | DataError::TwoColumns { .. });
                prop_assert!(told, "{}", error);
            }
        }
    }
}

/// That of the projected chain and that of the reduced ODE are one type.
#[test]
fn single_precision_is_written_exactly() {
    let hidden = Independent::new([Law::two_point(2.25_f32).unwrap()]).unwrap();
    let builder = Model::builder_in::<f32>().nonlinearity(Tanh).hidden(hidden).noise(NoNoise);
    let model = builder.learning_rate(0.3).build().unwrap();
    let start = OrderParameters::from_rows(1, 1, &[0.4_f32], &[0.8]).unwrap();
    let run = ProjectedChain::builder(&model, 50).start(&start).build_seeded(1).unwrap();
    let run = { run }.run(1.0, &Output::EverySteps(10)).unwrap();
    let read = Table::from_csv(&run.to_table().to_csv()).unwrap().numbers("Q_0_0").unwrap();
    let expected: Vec<f64> = run.states().iter().map(|state| f64::from(state.q()[(0, 0)])).collect();
    assert_eq!(read, expected);
}
