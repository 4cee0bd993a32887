//! The floors of the library: a file in a room imports only from rooms on lower floors, and no files import in a circle.
//!
//! The floors are those of docs/design.md. Read are the `use` lines of src/ and paths that start with `crate::`, tests and
//! documentation left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The rooms, from the ground up. A room imports from itself and from what stands before it.
const FLOORS: [&str; 20] = [
    "scalar",
    "numerics",
    "parallel",
    "random",
    "integrate",
    "save",
    "data",
    "state",
    "model",
    "start",
    "limit",
    "sgd",
    "ode",
    "pde",
    "ensemble",
    "stability",
    "fluctuation",
    "control",
    "error",
    "prelude",
];

/// Every file below src/, as module path and code.
fn files() -> BTreeMap<String, String> {
    fn visit(folder: &Path, path: &str, files: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = entry.file_stem().unwrap().to_str().unwrap().to_owned();
            let inner = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}::{name}") };
            if entry.is_dir() {
                visit(&entry, &inner(&name), files);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                let module = if name == "mod" { path.to_owned() } else { inner(&name) };
                files.insert(module, code(&fs::read_to_string(&entry).unwrap()));
            }
        }
    }
    let mut files = BTreeMap::new();
    visit(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut files);
    files.remove("lib");
    files
}

/// The code alone: without comments, and without the tests at the end of a file.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]").next().unwrap();
    text.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// The paths that a file imports or names, each from the root of the crate.
fn imports(module: &str, code: &str) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    let mut at = 0;
    for line in code.lines() {
        let start = at + (line.len() - line.trim_start().len());
        at += line.len() + 1;
        // `use`, also after `pub` or `pub(...)`; nothing else begins so.
        let statement = code[start..].trim_start_matches("pub");
        let statement = statement.strip_prefix('(').and_then(|s| s.split_once(')')).map_or(statement, |(_, s)| s);
        let Some(tree) = statement.trim_start_matches(' ').strip_prefix("use ") else { continue };
        if let Some(end) = tree.find(';') {
            expand("", &without_new_names(&tree[..end]), &mut paths);
        }
    }
    for (at, _) in code.match_indices("crate::") {
        let path = code[at..].split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).next().unwrap();
        paths.insert(path.trim_end_matches(':').to_owned());
    }
    paths.iter().filter_map(|path| absolute(module, path)).collect()
}

/// A use tree without whitespace, and without the `x` of `as x`.
fn without_new_names(tree: &str) -> String {
    let mut words = tree.split_whitespace();
    let mut out = String::new();
    while let Some(word) = words.next() {
        if word == "as" {
            out.extend(words.next().unwrap_or_default().chars().filter(|c| !c.is_alphanumeric() && *c != '_'));
        } else {
            out.push_str(word);
        }
    }
    out
}

/// Every path of a use tree.
fn expand(prefix: &str, tree: &str, paths: &mut BTreeSet<String>) {
    let Some(open) = tree.find('{') else {
        paths.insert(format!("{prefix}{tree}"));
        return;
    };
    let (prefix, inner) = (format!("{prefix}{}", &tree[..open]), &tree[open + 1..tree.rfind('}').unwrap()]);
    let (mut depth, mut start) = (0, 0);
    for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&prefix, &inner[start..at], paths);
                start = at + 1;
            }
            _ => {}
        }
    }
}

/// The path from the root, of paths that start with `crate` or `super`.
fn absolute(module: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = path.split("::").filter(|part| !part.is_empty()).collect();
    if parts.first() == Some(&"crate") {
        return Some(parts[1..].join("::"));
    }
    let mut base: Vec<&str> = module.split("::").collect();
    if parts.first() != Some(&"super") {
        return None;
    }
    while parts.first() == Some(&"super") {
        base.pop();
        parts.remove(0);
    }
    Some(base.into_iter().chain(parts).collect::<Vec<_>>().join("::"))
}

/// The file that a path leads to: the longest prefix that is one.
fn target<'a>(path: &str, files: &'a BTreeMap<String, String>) -> Option<&'a str> {
    let parts: Vec<&str> = path.split("::").collect();
    (1..=parts.len()).rev().find_map(|n| files.get_key_value(&parts[..n].join("::")).map(|(key, _)| key.as_str()))
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|name| *name == room)
}

/// What is wrong with the floors of these files.
fn violations(files: &BTreeMap<String, String>) -> Vec<String> {
    let mut found = Vec::new();
    for (module, code) in files {
        let room = module.split("::").next().unwrap();
        let Some(own) = floor(room) else {
            found.push(format!("{module} stands on no floor"));
            continue;
        };
        for path in imports(module, code) {
            let to = path.split("::").next().unwrap();
            // The root re-exports it from a private room.
            let to = if to == "Scalar" { "scalar" } else { to };
            if floor(to).is_none_or(|other| other > own) {
                found.push(format!("{module} imports {path} from a floor above its own"));
            }
        }
    }
    found
}

/// A circle that can be reached from a file, depth first: `way` holds the files on the way to it, `done` those that lead to none.
fn visit<'a>(
    at: &'a str,
    edges: &BTreeMap<&'a str, BTreeSet<&'a str>>,
    way: &mut Vec<&'a str>,
    done: &mut BTreeSet<&'a str>,
) -> Option<Vec<String>> {
    if let Some(start) = way.iter().position(|file| *file == at) {
        return Some(way[start..].iter().map(|file| (*file).to_owned()).collect());
    }
    if done.contains(at) {
        return None;
    }
    way.push(at);
    for &next in edges.get(at).into_iter().flatten() {
        if let Some(circle) = visit(next, edges, way, done) {
            return Some(circle);
        }
    }
    way.pop();
    done.insert(at);
    None
}

/// Files that import each other, re-exports of a folder's own file left out.
fn circle(files: &BTreeMap<String, String>) -> Option<Vec<String>> {
    // A folder's mod.rs re-exports what stands in it; that is no dependence.
    let is_folder = |module: &str| files.keys().any(|other| other.starts_with(&format!("{module}::")));
    let edges: BTreeMap<&str, BTreeSet<&str>> = files
        .iter()
        .map(|(module, code)| {
            let targets = imports(module, code).into_iter().filter_map(|path| target(&path, files));
            let own = |to: &&str| *to != module && !to.starts_with(&format!("{module}::"));
            (module.as_str(), targets.filter(own).filter(|to| !is_folder(to)).collect())
        })
        .collect();
    let mut done = BTreeSet::new();
    edges.keys().find_map(|file| visit(file, &edges, &mut Vec::new(), &mut done))
}

#[test]
fn rooms_import_from_lower_floors_alone() {
    let files = files();
    assert!(files.len() > 100, "the files are read: {}", files.len());
    let found = violations(&files);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_files_import_in_a_circle() {
    assert_eq!(circle(&files()), None);
}

/// The controls: an import upwards, written in each way, and a circle of two files.
#[test]
fn an_import_upwards_and_a_circle_would_be_seen() {
    let clean = files();
    let add = |files: &mut BTreeMap<String, String>, module: &str, line: &str| {
        let code = files.get_mut(module).unwrap();
        *code = format!("{code}\n{line}\n");
    };
    for line in [
        "use crate::ode::ReducedOde;",
        "fn f() { crate::ode::g(); }",
        "use crate::{ode::{self}, Scalar};",
        "pub(crate) use crate::{\n    Scalar as Number,\n    ode as basis,\n};",
    ] {
        let mut changed = clean.clone();
        add(&mut changed, "random::wishart", line);
        assert!(!violations(&changed).is_empty(), "{line}");
    }
    let mut changed = clean.clone();
    add(&mut changed, "numerics::matrix", "use super::sobol::uniform;");
    add(&mut changed, "numerics::sobol", "use super::matrix::square_root;");
    let found = circle(&changed).unwrap();
    assert!(found.contains(&"numerics::matrix".to_owned()) && found.contains(&"numerics::sobol".to_owned()));
    let mut changed = clean;
    changed.insert("cellar".to_owned(), String::new());
    assert_eq!(violations(&changed).len(), 1);
}
