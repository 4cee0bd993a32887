//! A table of named columns.

use std::fmt::Display;

use super::cell::Cell;
use super::error::DataError;

/// Rows of numbers and words under named columns, with comments.
///
/// Results make one by `to_table`; of your own it is made row by row:
///
/// ```
/// use contrastive_dynamics::data::Table;
/// let mut table = Table::new(["N", "time", "law"])?.comment("how long the escape takes");
/// table.push([1000.0.into(), 12.5.into(), "two-point".into()])?;
/// assert_eq!(table.to_csv(), "# how long the escape takes\nN,time,law\n1000,12.5,two-point\n");
/// # Ok::<(), contrastive_dynamics::data::DataError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "super::json::StoredTable"))]
pub struct Table {
    comments: Vec<String>,
    columns: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// Without rows.
    ///
    /// # Errors
    /// [`DataError::TwoColumns`] if a name stands twice.
    pub fn new<N: Into<String>>(columns: impl IntoIterator<Item = N>) -> Result<Self, DataError> {
        let table = Self::of(columns);
        let mut sorted = table.columns.clone();
        sorted.sort_unstable();
        match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(DataError::TwoColumns { name: pair[0].clone() }),
            None => Ok(table),
        }
    }

    /// As [`new`](Self::new), of names that differ.
    pub(crate) fn of<N: Into<String>>(columns: impl IntoIterator<Item = N>) -> Self {
        Self { comments: Vec::new(), columns: columns.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// With a comment above the names of the columns, such as the model: `comment(&model)` says all that is known of it. Every line of it
    /// is one of the table's.
    #[must_use]
    pub fn comment(mut self, text: impl Display) -> Self {
        self.comments.extend(text.to_string().lines().map(str::to_owned));
        self
    }

    /// Adds a row.
    ///
    /// # Errors
    /// [`DataError::Width`] if it has not one cell for every column.
    pub fn push(&mut self, row: impl IntoIterator<Item = Cell>) -> Result<(), DataError> {
        let row: Vec<Cell> = row.into_iter().collect();
        if row.len() != self.columns.len() {
            return Err(DataError::Width { columns: self.columns.len(), cells: row.len() });
        }
        self.rows.push(row);
        Ok(())
    }

    /// As [`push`](Self::push), of a row that is as long as it must be.
    pub(crate) fn add(&mut self, row: impl IntoIterator<Item = Cell>) {
        self.rows.push(row.into_iter().collect());
    }

    /// With these lines as comments.
    pub(super) fn with_comments(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.comments.extend(lines);
        self
    }

    /// The comments, line by line.
    #[must_use]
    pub fn comments(&self) -> &[String] {
        &self.comments
    }

    /// The names of the columns.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The rows.
    #[must_use]
    pub fn rows(&self) -> &[Vec<Cell>] {
        &self.rows
    }

    /// A column.
    ///
    /// # Errors
    /// [`DataError::NoColumn`] if there is none of that name.
    pub fn column(&self, name: &str) -> Result<impl ExactSizeIterator<Item = &Cell>, DataError> {
        let missing = || DataError::NoColumn { name: name.to_owned(), columns: self.columns.clone() };
        let at = self.columns.iter().position(|column| column == name).ok_or_else(missing)?;
        Ok(self.rows.iter().map(move |row| &row[at]))
    }

    /// A column of numbers; NaN where nothing stands.
    ///
    /// # Errors
    /// [`DataError::NoColumn`] if there is none of that name, [`DataError::NotANumber`] where words stand.
    pub fn numbers(&self, name: &str) -> Result<Vec<f64>, DataError> {
        let number = |(row, cell): (usize, &Cell)| match cell {
            Cell::Number(x) => Ok(*x),
            Cell::Empty => Ok(f64::NAN),
            Cell::Text(text) => Err(DataError::NotANumber { column: name.to_owned(), row, text: text.clone() }),
        };
        self.column(name)?.enumerate().map(number).collect()
    }
}
