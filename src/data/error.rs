//! What can go wrong with tables.

use std::path::Path;

use crate::save::SaveError;

/// Why a table could not be made, written or read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A row has another number of cells than the table has columns.
    #[error("the table has {columns} columns, the row {cells} cells")]
    Width {
        /// The columns.
        columns: usize,
        /// The cells of the row.
        cells: usize,
    },
    /// Two columns have one name.
    #[error("two columns have the name {name:?}")]
    TwoColumns {
        /// The name.
        name: String,
    },
    /// There is no column of that name.
    #[error("no column {name:?}; there are {}", .columns.join(", "))]
    NoColumn {
        /// The name.
        name: String,
        /// The columns that there are.
        columns: Vec<String>,
    },
    /// Words stand where a number is asked for.
    #[error("{text:?} in row {row} of column {column:?} is no number")]
    NotANumber {
        /// The column.
        column: String,
        /// The row, counted from 0.
        row: usize,
        /// What stands there.
        text: String,
    },
    /// What was read is no table.
    #[error("no table: {reason}")]
    Format {
        /// Why.
        reason: String,
    },
    /// The file could not be written.
    #[error(transparent)]
    Write(#[from] SaveError),
    /// The file could not be read.
    #[error("{path} could not be read: {reason}")]
    Read {
        /// The file.
        path: String,
        /// What the system says.
        reason: String,
    },
}

impl DataError {
    pub(super) fn format(reason: &impl ToString) -> Self {
        Self::Format { reason: reason.to_string() }
    }

    pub(super) fn read(path: &Path, error: &std::io::Error) -> Self {
        Self::Read { path: path.display().to_string(), reason: error.to_string() }
    }
}
