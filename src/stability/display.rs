//! How numbers, states and tables are printed.
//!
//! Covers single numbers, a state with the names Q and R and indices from 0, and tables with aligned columns. Not here:
//! what each type prints, which stands beside the type.

use std::fmt::{self, Write as _};

use nalgebra::Complex;

use crate::Scalar;
use crate::stability::tolerances::ROUNDING;
use crate::state::OrderParameters;

/// Digits after the point unless the format string asks for others: a table of six columns fits a line of a terminal.
const DIGITS: usize = 6;

/// Numbers of that size or more, and below [`SMALL`], are printed with an exponent.
const LARGE: f64 = 1e6;
/// See [`LARGE`]: below it fewer than three digits would be left.
const SMALL: f64 = 1e-4;

/// The digits after the point that a format string asks for.
pub(crate) fn digits(f: &fmt::Formatter<'_>) -> usize {
    f.precision().unwrap_or(DIGITS)
}

/// A number with that many digits after the point; with an exponent where they would say little.
pub(crate) fn number<T: Scalar>(x: T, digits: usize) -> String {
    let x = x.as_f64();
    let size = x.abs();
    if x == 0.0 {
        // Without the sign of a negative zero.
        format!("{:.digits$}", 0.0)
    } else if x.is_finite() && !(SMALL..LARGE).contains(&size) {
        format!("{x:.*e}", digits.min(3))
    } else {
        format!("{x:.digits$}")
    }
}

/// An error or a residual, of which the size alone is of interest.
pub(crate) fn small<T: Scalar>(x: T) -> String {
    if x == T::zero() { "0".into() } else { format!("{:.1e}", x.as_f64()) }
}

/// Numbers side by side: those that are zero to rounding beside the largest are printed as 0.
pub(crate) fn numbers<T: Scalar>(numbers: &[T], digits: usize) -> Vec<String> {
    let largest = numbers.iter().fold(T::zero(), |most, x| most.max(x.abs()));
    numbers.iter().map(|&x| number(unless_rounding(x, largest), digits)).collect()
}

fn unless_rounding<T: Scalar>(x: T, largest: T) -> T {
    if x.abs() <= T::lit(ROUNDING) * T::EPSILON * largest { T::zero() } else { x }
}

/// As [`numbers`], of complex ones.
pub(crate) fn complex_numbers<T: Scalar>(numbers: &[Complex<T>], digits: usize) -> Vec<String> {
    let largest = numbers.iter().fold(T::zero(), |most, x| most.max(x.re.abs()).max(x.im.abs()));
    let clean = |x: &Complex<T>| Complex::new(unless_rounding(x.re, largest), unless_rounding(x.im, largest));
    numbers.iter().map(|x| complex(clean(x), digits)).collect()
}

/// A complex number; without its imaginary part where that is zero.
pub(crate) fn complex<T: Scalar>(x: Complex<T>, digits: usize) -> String {
    if x.im == T::zero() {
        return number(x.re, digits);
    }
    let sign = if x.im < T::zero() { '-' } else { '+' };
    format!("{} {sign} {}i", number(x.re, digits), number(x.im.abs(), digits))
}

/// How many there are, with the word in the plural where there is not one.
pub(crate) fn count(n: usize, word: &str) -> String {
    if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") }
}

/// Rows of cells, printed with the columns aligned: the first to the left, all others to the right.
#[derive(Debug, Default)]
pub(crate) struct TextTable {
    rows: Vec<Vec<String>>,
}

impl TextTable {
    /// A table with that head.
    pub(crate) fn new(head: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let mut table = Self::default();
        table.push(head);
        table
    }

    pub(crate) fn push(&mut self, row: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(row.into_iter().map(Into::into).collect());
    }
}

impl fmt::Display for TextTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let length = |cell: &String| cell.chars().count();
        let width = |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(length).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                if column == 0 {
                    write!(line, "{cell:<width$}")?;
                } else {
                    write!(line, "  {cell:>width$}")?;
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Q and R of a state, a line for each row.
pub(crate) fn state<T: Scalar>(state: &OrderParameters<T>, digits: usize) -> TextTable {
    let (p, m) = (state.n_features(), state.n_neurons());
    let names = (0..p).map(|l| format!("Q[{l}]")).chain((0..m).map(|i| format!("R[{i}]")));
    let mut table = TextTable::default();
    for (name, row) in names.zip(entries(state, digits)) {
        table.push(std::iter::once(name).chain(row));
    }
    table
}

/// Q and R of a state in one line, row by row: "Q = [[0.3], [0.1]], R = [[1.0]]" with one digit.
pub(crate) fn state_in_line<T: Scalar>(state: &OrderParameters<T>) -> String {
    let row = |row: &[String]| format!("[{}]", row.join(", "));
    let rows = entries(state, DIGITS);
    let (q, r) = rows.split_at(state.n_features());
    let matrix = |rows: &[Vec<String>]| rows.iter().map(|cells| row(cells)).collect::<Vec<_>>().join(", ");
    format!("Q = [{}], R = [{}]", matrix(q), matrix(r))
}

/// The rows of Q, then those of R.
fn entries<T: Scalar>(state: &OrderParameters<T>, digits: usize) -> Vec<Vec<String>> {
    let entries: Vec<T> = state.q().transpose().iter().chain(state.r().transpose().iter()).copied().collect();
    numbers(&entries, digits).chunks(state.n_neurons().max(1)).map(<[String]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits_whatever_their_size() {
        let cases =
            [(0.5, "0.500000"), (-0.0, "0.000000"), (2.5e-7, "2.500e-7"), (-3e8, "-3.000e8"), (f64::INFINITY, "inf")];
        for (x, want) in cases {
            assert_eq!(number(x, 6), want);
        }
        assert_eq!(complex(Complex::new(0.25, -2.0), 2), "0.25 - 2.00i");
        assert_eq!(numbers(&[1.0, -1e-17, 2e-9], 3), ["1.000", "0.000", "2.000e-9"]);
        assert_eq!(complex_numbers(&[Complex::new(1e-18, 1.0)], 1), ["0.0 + 1.0i"]);
        assert_eq!((count(1, "point"), count(0, "point")), ("1 point".into(), "0 points".into()));
    }

    #[test]
    fn states_are_printed_in_rows_with_their_names() {
        let state = OrderParameters::from_rows(2, 2, &[0.5, -0.25, 0.0, 0.125], &[1.0, 0.1, 0.1, 2.0]).unwrap();
        assert_eq!(
            super::state(&state, 3).to_string(),
            "Q[0]  0.500  -0.250\nQ[1]  0.000   0.125\nR[0]  1.000   0.100\nR[1]  0.100   2.000\n"
        );
        assert_eq!(
            state_in_line(&state),
            "Q = [[0.500000, -0.250000], [0.000000, 0.125000]], R = [[1.000000, 0.100000], [0.100000, 2.000000]]"
        );
    }
}
