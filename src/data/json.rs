//! Tables as JSON: an object of comments, columns, and rows, which are lists of numbers, words, and `null`.

use std::fs;
use std::path::Path;

use super::cell::Cell;
use super::error::DataError;
use super::table::Table;
use crate::save::replace;

/// A table as it was written, before it is known to be one.
#[derive(serde::Deserialize)]
pub(super) struct StoredTable {
    comments: Vec<String>,
    columns: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

impl TryFrom<StoredTable> for Table {
    type Error = DataError;

    fn try_from(stored: StoredTable) -> Result<Self, DataError> {
        let mut table = Self::new(stored.columns)?.with_comments(stored.comments);
        stored.rows.into_iter().try_for_each(|row| table.push(row))?;
        Ok(table)
    }
}

impl Table {
    /// As JSON: `{"comments": [...], "columns": [...], "rows": [[...], ...]}`, `null` for what is empty, infinite or not a number.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Into memory, with names that are strings.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Writes it as JSON, all of it or nothing.
    ///
    /// # Errors
    /// [`DataError::Write`]; then what was there before is still there.
    pub fn write_json(&self, path: impl AsRef<Path>) -> Result<(), DataError> {
        Ok(replace(path, self.to_json().as_bytes())?)
    }

    /// Of text in JSON, as [`to_json`](Self::to_json) writes it.
    ///
    /// # Errors
    /// [`DataError::Format`].
    pub fn from_json(text: &str) -> Result<Self, DataError> {
        serde_json::from_str(text).map_err(|error| DataError::format(&error))
    }

    /// Reads a file in JSON; see [`from_json`](Self::from_json).
    ///
    /// # Errors
    /// [`DataError::Read`], [`DataError::Format`].
    pub fn read_json(path: impl AsRef<Path>) -> Result<Self, DataError> {
        let path = path.as_ref();
        Self::from_json(&fs::read_to_string(path).map_err(|error| DataError::read(path, &error))?)
    }
}
