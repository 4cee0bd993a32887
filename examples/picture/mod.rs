//! How examples write their pictures.

use std::error::Error;
use std::path::{Path, PathBuf};

use contrastive_dynamics::save::replace;
use plotters::coord::Shift;
use plotters::prelude::*;

/// What an example draws on.
pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// In the project's own folder the place from which its documents show it, elsewhere the present folder.
fn place(name: &str) -> PathBuf {
    let at_home = std::env::current_dir().is_ok_and(|folder| folder == Path::new(env!("CARGO_MANIFEST_DIR")));
    if at_home { Path::new("docs").join(name) } else { PathBuf::from(name) }
}

/// Draws on white and writes the picture, all of it or nothing.
pub(crate) fn write(
    name: &str,
    size: (u32, u32),
    draw: impl FnOnce(&Area<'_>) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let mut picture = String::new();
    let area = SVGBackend::with_string(&mut picture, size).into_drawing_area();
    area.fill(&WHITE)?;
    draw(&area)?;
    area.present()?;
    drop(area);
    let path = place(name);
    replace(&path, picture.as_bytes())?;
    println!("picture written to {}", path.display());
    Ok(())
}
