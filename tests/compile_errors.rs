//! What does not compile says why: the compiler's message for common mistakes names what is missing or what to do.
//!
//! Every mistake stands beside the same program without it, which compiles. Checked are phrases of this crate's own, not the
//! compiler's wording, which changes. The programs are compiled against the library that this test was built with.

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

/// The library that was built last beside this program.
fn library() -> PathBuf {
    let deps = env::current_exe().unwrap().parent().unwrap().to_owned();
    let rlibs = fs::read_dir(deps).unwrap().map(|entry| entry.unwrap().path()).filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("libcontrastive_dynamics-") && name.ends_with(".rlib")
    });
    rlibs.max_by_key(|path| fs::metadata(path).unwrap().modified().unwrap()).unwrap()
}

/// Compiles the body of a function; `None` if that works, else the messages.
fn compile(name: &str, body: &str) -> Option<String> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("compile_errors");
    fs::create_dir_all(&folder).unwrap();
    let (source, library) = (folder.join(format!("{name}.rs")), library());
    let program = format!(
        "#![allow(unused)]\nuse contrastive_dynamics::prelude::*;\n\
         fn main() -> Result<(), Box<dyn std::error::Error>> {{\n{body}\nOk(())\n}}\n"
    );
    fs::write(&source, program).unwrap();
    let output = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--edition", "2024", "--emit", "metadata", "--crate-name", name, "--extern"])
        .arg(format!("contrastive_dynamics={}", library.display()))
        .arg("-L")
        .arg(format!("dependency={}", library.parent().unwrap().display()))
        .arg("--out-dir")
        .args([&folder, &source])
        .output()
        .unwrap();
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The program as it stands does not compile, and says each of those phrases; with `right` in the place of `wrong` it does.
fn assert_told(name: &str, program: &str, (wrong, right): (&str, &str), phrases: &[&str]) {
    assert!(program.contains(wrong), "{name}: {wrong}");
    let mended = program.replacen(wrong, right, 1);
    assert_eq!(compile(&format!("{name}_mended"), &mended), None, "{name}: the mended program does not compile");
    let message = compile(name, program).unwrap_or_else(|| panic!("{name} compiles"));
    for phrase in phrases {
        assert!(message.contains(phrase), "{name}: no `{phrase}` in\n{message}");
    }
}

const PARTS: &str = "let hidden = Independent::new([Law::two_point(1.0)?])?;";

#[test]
fn missing_parts_are_named() {
    let program = |setters: &str| format!("{PARTS} let model = Model::builder(){setters}.build()?;");
    let all = ".nonlinearity(Tanh).hidden(hidden).noise(NoNoise).learning_rate(0.1)";
    for (name, setter, phrase) in [
        ("nonlinearity", ".nonlinearity(Tanh)", "call `.nonlinearity(..)`"),
        ("hidden", ".hidden(hidden)", "call `.hidden(..)`"),
        ("noise", ".noise(NoNoise)", "call `.noise(..)`"),
        ("learning_rate", ".learning_rate(0.1)", "the learning rate of the model is missing"),
    ] {
        let missing = program(&all.replace(setter, ""));
        let message = compile(&format!("missing_{name}"), &missing).unwrap_or_else(|| panic!("{name} may be missing"));
        assert!(message.contains(phrase) && !message.contains("trait bounds were not satisfied"), "{message}");
    }
    assert_eq!(compile("complete", &program(all)), None);
}

#[test]
fn what_is_no_part_is_told_how_to_become_one() {
    let program = |hidden: &str, sigma: &str| {
        format!("{PARTS} let model = Model::builder().hidden({hidden}).nonlinearity({sigma}).noise(NoNoise);")
    };
    assert_told(
        "bare_law",
        &program("Law::two_point(1.0)?", "Tanh"),
        (".hidden(Law::two_point(1.0)?)", ".hidden(Independent::new([Law::two_point(1.0)?])?)"),
        &["wrap it", "Independent::new([law])"],
    );
    assert_told(
        "lone_closure",
        &program("hidden", "|h: f64| h.sin()"),
        ("|h: f64| h.sin()", "(|h: f64| h.sin(), |h: f64| h.cos())"),
        &["give the derivative too", "(f, df)"],
    );
}

#[test]
fn l1_has_no_closed_ode_and_no_projected_chain() {
    let model = format!(
        "{PARTS} let model = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(NoNoise).learning_rate(0.1)\
         .regularizer(L1).build()?;"
    );
    let phrases = ["no closed ODE", "pde::particles", "CompressedSgd"];
    assert_told("ode_of_l1", &format!("{model} ReducedOde::new(&model)?;"), ("(L1)", "(L2)"), &phrases);
    let chain = format!("{model} ProjectedChain::builder(&model, 100).build_seeded(1)?;");
    assert_told("chain_of_l1", &chain, ("(L1)", "(L2)"), &phrases);
}

#[test]
fn an_incomplete_model_is_no_specification() {
    let program = format!(
        "{PARTS} let model = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(NoNoise).learning_rate(0.1);\
         let model = model.build()?; Limit::new(&0.5)?;"
    );
    assert_told("no_model", &program, ("&0.5", "&model"), &["is not a complete model", "Model::builder()"]);
}

/// Literals take the precision of the builder: no advice to use `f64`.
#[test]
fn models_in_single_precision_need_no_suffixes() {
    let program = "let model = Model::builder_in::<f32>().nonlinearity(Tanh)\
         .hidden(Independent::new([Law::two_point(2.25)?])?).noise(GaussianNoise::correlated(0.3, -0.5)?)\
         .learning_rate(0.3).weight_decay(0.5).build()?;\
         let start = OrderParameters::from_rows(1, 1, &[0.4], &[0.8])?;\
         let end = ReducedOde::new(&model)?.solver().solve(&start, 0.5)?; let q: f32 = end.states()[0].q()[(0, 0)];";
    assert_eq!(compile("single_precision", program), None);
}
