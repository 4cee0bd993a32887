//! What the examples share: where pictures go, tables and progress on the terminal, pictures, and how Ctrl-C ends them.

// Every example has its own copy, and uses a part of it.
#![allow(dead_code, unused_imports)]

pub(crate) mod interrupt;
pub(crate) mod picture;

use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;

use comfy_table::{Cell, CellAlignment, Table, TableComponent, presets};
use indicatif::{ProgressBar, ProgressStyle};

/// Anything that ends an example.
pub(crate) type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// What a program ends with; an error is told in words.
pub(crate) fn told(outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The option of every example that draws.
#[derive(Debug, clap::Args)]
pub(crate) struct Out {
    /// The folder into which the picture is written, as SVG.
    #[arg(long = "out", value_name = "FOLDER", default_value = "target/pictures")]
    pub(crate) folder: PathBuf,
}

/// A progress bar with that many steps, drawn on a terminal only.
pub(crate) fn progress(steps: usize, what: &str) -> Outcome<ProgressBar> {
    let style = ProgressStyle::with_template("{msg} {bar:40} {percent:>3} %  {eta} left")?;
    Ok(ProgressBar::new(steps as u64).with_style(style).with_message(what.to_owned()))
}

/// A table for the terminal: a line of heads, the first column to the left, the others to the right.
pub(crate) fn table<H: Display>(heads: impl IntoIterator<Item = H>) -> Table {
    let mut table = Table::new();
    let heads: Vec<Cell> = heads.into_iter().map(Cell::new).collect();
    table.load_preset(presets::NOTHING).set_header(heads);
    table.set_style(TableComponent::HeaderLines, '─').set_style(TableComponent::MiddleHeaderIntersections, '─');
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
