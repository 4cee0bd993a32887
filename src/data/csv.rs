//! Tables as comma-separated values.
//!
//! Lines of comments start with `# `, the first other line has the names of the columns. Lines end with a line feed; cells with commas,
//! quotes, `#` or line feeds are quoted (RFC 4180).

use std::fs;
use std::path::Path;

use csv::{ReaderBuilder, WriterBuilder};

use super::cell::Cell;
use super::error::DataError;
use super::table::Table;
use crate::save::replace;

const COMMENT: char = '#';

impl Table {
    /// As CSV: comments that start with `# `, a line with the names of the columns, and a line for every row.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let comments = self.comments().iter().map(|line| format!("{COMMENT} {line}").trim_end().to_owned() + "\n");
        let mut text: String = comments.collect();
        let mut writer = WriterBuilder::new().comment(Some(COMMENT as u8)).from_writer(Vec::new());
        let rows = self.rows().iter().map(|row| row.iter().map(ToString::to_string).collect());
        for row in std::iter::once(self.columns().to_vec()).chain(rows) {
            // Into memory, and of equal length.
            let _ = writer.write_record(row);
        }
        text.push_str(
            &writer.into_inner().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default(),
        );
        text
    }

    /// Writes it as CSV, all of it or nothing.
    ///
    /// # Errors
    /// [`DataError::Write`]; then what was there before is still there.
    pub fn write_csv(&self, path: impl AsRef<Path>) -> Result<(), DataError> {
        Ok(replace(path, self.to_csv().as_bytes())?)
    }

    /// Of text in CSV, from wherever it comes. The first line that starts with no `#` has the names of the columns; what reads as a number is one.
    ///
    /// # Errors
    /// [`DataError::Format`] if lines have not as many cells as the first, [`DataError::TwoColumns`].
    pub fn from_csv(text: &str) -> Result<Self, DataError> {
        let text = text.trim_start_matches('\u{feff}');
        let mut reader = ReaderBuilder::new().comment(Some(COMMENT as u8)).from_reader(text.as_bytes());
        let columns = reader.headers().map_err(|error| DataError::format(&error))?.clone();
        let comments = text.lines().map_while(|line| line.strip_prefix(COMMENT));
        let comments = comments.map(|line| line.strip_prefix(' ').unwrap_or(line).to_owned());
        let mut table = Self::new(&columns)?.with_comments(comments);
        for record in reader.records() {
            table.push(record.map_err(|error| DataError::format(&error))?.iter().map(Cell::of_text))?;
        }
        Ok(table)
    }

    /// Reads a file in CSV; see [`from_csv`](Self::from_csv).
    ///
    /// # Errors
    /// [`DataError::Read`], and those of `from_csv`.
    pub fn read_csv(path: impl AsRef<Path>) -> Result<Self, DataError> {
        let path = path.as_ref();
        Self::from_csv(&fs::read_to_string(path).map_err(|error| DataError::read(path, &error))?)
    }
}
