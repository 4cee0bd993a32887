//! What stands in one place of a table.

use std::fmt;

/// What stands in one place of a [`Table`](super::Table).
///
/// Prints as it is written in CSV: a number in the fewest digits from which it is read back exactly, and nothing where there is nothing.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(untagged))]
#[non_exhaustive]
pub enum Cell {
    /// A number; infinite ones and NaN are `inf`, `-inf` and `NaN` in CSV, and `null` in JSON, which has no others.
    Number(f64),
    /// Words.
    Text(String),
    /// Nothing.
    Empty,
}

impl Cell {
    /// As it was written in CSV: what reads as a number is one.
    pub(super) fn of_text(text: &str) -> Self {
        match text.parse() {
            Ok(number) => Self::Number(number),
            Err(_) if text.is_empty() => Self::Empty,
            Err(_) => Self::Text(text.to_owned()),
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Far from one the point would stand behind many zeros.
            Self::Number(x) if x.is_finite() && *x != 0.0 && !(1e-5..1e16).contains(&x.abs()) => write!(f, "{x:e}"),
            Self::Number(x) => write!(f, "{x}"),
            Self::Text(text) => f.write_str(text),
            Self::Empty => Ok(()),
        }
    }
}

impl From<f64> for Cell {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

/// Exactly: 0.1 of single precision is 0.10000000149011612.
impl From<f32> for Cell {
    fn from(number: f32) -> Self {
        Self::Number(number.into())
    }
}

impl From<u32> for Cell {
    fn from(count: u32) -> Self {
        Self::Number(count.into())
    }
}

/// To the nearest number of double precision, from 2⁵³ on.
impl From<u64> for Cell {
    fn from(count: u64) -> Self {
        Self::Number(count as f64)
    }
}

/// To the nearest number of double precision, from 2⁵³ on.
impl From<usize> for Cell {
    fn from(count: usize) -> Self {
        Self::Number(count as f64)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<C: Into<Self>> From<Option<C>> for Cell {
    fn from(cell: Option<C>) -> Self {
        cell.map_or(Self::Empty, Into::into)
    }
}
