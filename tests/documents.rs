//! The documents: links lead somewhere, every page and picture is listed, and formulas stand as text, too.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    fn visit(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                visit(&entry, extension, found);
            } else if entry.extension().is_some_and(|own| own == extension) {
                found.push(entry);
            }
        }
    }
    let mut found = Vec::new();
    visit(&root().join(folder), extension, &mut found);
    found
}

fn pages() -> Vec<PathBuf> {
    let mut pages = files("docs", "md");
    pages.extend(
        ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "mpi/README.md", "benches/peers/README.md"]
            .map(|page| root().join(page)),
    );
    pages
}

/// The anchor that a heading has on the usual sites.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    heading.trim_start_matches('#').trim().to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
}

/// What `](...)` leads to that is no address of the network.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
}

/// Whether a link of a page leads to a file, and to a heading in it.
fn leads_somewhere(page: &Path, link: &str) -> bool {
    let (file, heading) = link.split_once('#').unwrap_or((link, ""));
    let target = if file.is_empty() { page.to_owned() } else { page.parent().unwrap().join(file) };
    if heading.is_empty() {
        return target.exists();
    }
    fs::read_to_string(target)
        .is_ok_and(|text| text.lines().any(|line| line.starts_with('#') && anchor(line) == heading))
}

#[test]
fn links_lead_somewhere() {
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for link in links(&text) {
            assert!(leads_somewhere(&page, link), "{} links to {link}", page.display());
        }
    }
    let page = root().join("README.md");
    assert!(leads_somewhere(&page, "docs/guide.md#6-error-bars") && leads_somewhere(&page, "#two-commands"));
    assert!(!leads_somewhere(&page, "docs/guide.md#7-error-bars") && !leads_somewhere(&page, "docs/guides.md"));
}

#[test]
fn every_page_and_every_picture_is_listed() {
    let listed = |page: &str| {
        let text = fs::read_to_string(root().join(page)).unwrap();
        links(&text).map(|link| link.split('#').next().unwrap().to_owned()).collect::<BTreeSet<String>>()
    };
    let name = |path: &Path, folder: &str| path.strip_prefix(root().join(folder)).unwrap().to_str().unwrap().to_owned();
    let index = listed("docs/index.md");
    for page in files("docs", "md").iter().map(|page| name(page, "docs")).filter(|page| page != "index.md") {
        assert!(index.contains(&page), "docs/index.md does not list {page}");
    }
    let gallery = listed("docs/gallery.md");
    for picture in files("docs", "svg") {
        let picture = name(&picture, "docs");
        assert!(gallery.contains(&picture), "docs/gallery.md does not show {picture}");
    }
    // Every example that draws has its command there, and every example is in it.
    let text = fs::read_to_string(root().join("docs/gallery.md")).unwrap();
    for example in fs::read_dir(root().join("examples")).unwrap().map(|entry| entry.unwrap().path()) {
        if let Some(example) = example.file_name().and_then(|name| name.to_str()?.strip_suffix(".rs")) {
            assert!(text.contains(&format!("--example {example}")), "docs/gallery.md has no command of {example}");
        }
    }
}

/// Colours and numbers of the pictures: no "-0.0", no thousands of rectangles.
#[test]
fn pictures_are_small_and_without_minus_zero() {
    for picture in files("docs", "svg") {
        let text = fs::read_to_string(&picture).unwrap();
        let rectangles = text.matches("<rect").count();
        assert!(rectangles < 700, "{}: {rectangles} rectangles", picture.display());
        assert!(text.len() < 400_000, "{}: {} bytes", picture.display(), text.len());
        assert!(text.lines().all(|line| !matches!(line.trim(), "-0" | "-0.0" | "-0.00")), "{}", picture.display());
    }
}

/// A formula that is set by KaTeX on docs.rs stands below it as text, which is what every other reader sees.
#[test]
fn formulas_stand_as_text_too() {
    let mut formulas = 0;
    for file in files("src", "rs") {
        let text = fs::read_to_string(&file).unwrap();
        for after in text.split("<div data-tex=\"").skip(1) {
            formulas += 1;
            let (tex, rest) = after.split_once("\">").unwrap();
            let plain = rest.split("</div>").next().unwrap();
            assert!(plain.contains("```text"), "{}: {tex}", file.display());
            assert!(tex.matches('{').count() == tex.matches('}').count(), "{}: {tex}", file.display());
        }
    }
    assert!(formulas >= 8);
}

/// The twelve recipes, each of less than 25 lines.
#[test]
fn recipes_are_short() {
    let guide = include_str!("../docs/guide.md");
    let recipes: Vec<&str> = guide.split("```rust\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(recipes.len(), 12);
    for recipe in recipes {
        let lines = recipe.lines().filter(|line| !line.starts_with('#')).count();
        assert!(lines < 25, "{lines} lines:\n{recipe}");
    }
}
