//! The lines of Python in docs/guide.md, run on files of every kind of result, where Python and what they import are.
//!
//! The interpreter is that of the environment variable `PYTHON`, or `python3`.

use std::path::Path;
use std::process::{Command, Output};

use super::results::all;

fn python(program: &str, folder: &Path) -> Option<Output> {
    let interpreter = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    Command::new(interpreter).args(["-c", program]).env("MPLBACKEND", "Agg").current_dir(folder).output().ok()
}

/// The blocks of Python of the guide.
fn lines() -> Vec<String> {
    let guide = include_str!("../../docs/guide.md");
    let blocks = guide.split("```python\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default().to_owned());
    blocks.collect()
}

#[test]
fn the_lines_of_the_guide_load_and_plot_every_kind_of_result() {
    let lines = lines();
    assert!(lines.len() >= 8);
    let folder = std::env::temp_dir().join(format!("contrastive-dynamics-python-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let tables = all();
    for (name, table) in &tables {
        table.write_csv(folder.join(format!("{name}.csv"))).unwrap();
        // Every file is read by some line, but for the points, which are read as the others.
        let used = lines.iter().any(|line| line.contains(&format!("\"{name}.csv\"")));
        assert!(used || *name == "points", "{name}");
    }
    #[cfg(feature = "serde")]
    tables[0].1.write_json(folder.join("trajectory.json")).unwrap();

    // Of the standard library alone: the names of the columns and the numbers are there.
    let plain = "import csv; rows = list(csv.DictReader(l for l in open('trajectory.csv') if l[0] != '#')); \
                 print(len(rows), rows[0]['t'], rows[0]['Q_0_0'])";
    match python(plain, &folder) {
        None => println!("not run: there is no Python here"),
        Some(output) => assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "9 0 0.4", "{output:?}"),
    }
    let there = python("import pandas, matplotlib", &folder).is_some_and(|output| output.status.success());
    if !there {
        println!("not run: there are no pandas and matplotlib here");
    }
    for line in lines.iter().filter(|line| there && (cfg!(feature = "serde") || !line.contains("json"))) {
        // Something is drawn.
        let program = format!("{line}\nimport matplotlib.pyplot as p; assert any(a.has_data() for a in p.gcf().axes)");
        let output = python(&program, &folder).unwrap();
        assert!(output.status.success(), "{line}{}", String::from_utf8_lossy(&output.stderr));
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
