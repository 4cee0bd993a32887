//! How branches print.
//!
//! Covers a branch as a table, to read and as data, and a bifurcation as a paragraph. Not here: what
//! is in them (see `branch`).

use std::fmt;

use nalgebra::Complex;

use crate::Scalar;
use crate::data::{Cell, Table};
use crate::stability::continuation::branch::{Bifurcation, BifurcationKind, Branch, BranchStop};
use crate::stability::display::{TextTable, complex_numbers, count, digits, number, numbers, small};

impl<T: fmt::Display> fmt::Display for BifurcationKind<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fold => f.write_str("fold"),
            Self::BranchPoint { crossing: 1 } => f.write_str("branch point"),
            Self::BranchPoint { crossing } => write!(f, "branch point of {crossing}"),
            Self::Hopf { frequency } => write!(f, "Hopf at frequency {frequency}"),
        }
    }
}

impl<T: Scalar> fmt::Display for Bifurcation<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = digits(f);
        let error = small(self.parameter_error);
        writeln!(f, "{} at parameter {} +- {error}, after point {}", self.kind, self.parameter, self.after)?;
        let state = numbers(self.state.as_slice(), digits).join(", ");
        write!(f, "x = [{state}]\neigenvalues {}", complex_numbers(&self.eigenvalues, digits).join(", "))
    }
}

impl<E: fmt::Display> fmt::Display for BranchStop<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => write!(f, "{}: {error}", reason(self)),
            Self::Spectrum(error) => write!(f, "{}: {error}", reason(self)),
            other => f.pad(reason(other)),
        }
    }
}

/// Why a branch ends, without what an error says of itself.
fn reason<E>(stop: &BranchStop<E>) -> &'static str {
    match stop {
        BranchStop::Bound => "the parameter reached its bound",
        BranchStop::PointLimit => "limit of points",
        BranchStop::Observer => "stopped by an observer",
        BranchStop::Closed => "back at the first point",
        BranchStop::StepTooSmall => "no step is small enough",
        BranchStop::Inadmissible => "the next solution is not admissible",
        BranchStop::Unsaved(_) => "it could not be saved",
        BranchStop::Failed(_) => "the system could not be evaluated",
        BranchStop::Spectrum(_) => "the eigenvalues could not be computed",
    }
}

/// A line of a branch: a point or a bifurcation. Bifurcations have no arclength.
struct Line<'b, T: Scalar> {
    parameter: T,
    arclength: Option<T>,
    eigenvalues: &'b [Complex<T>],
    state: &'b [T],
    event: Option<&'b BifurcationKind<T>>,
}

impl<T: Scalar> Line<'_, T> {
    fn unstable(&self) -> usize {
        self.eigenvalues.iter().filter(|x| x.re > T::zero()).count()
    }

    fn abscissa(&self) -> T {
        self.eigenvalues.first().map_or(T::lit(f64::NAN), |x| x.re)
    }

    fn event(&self) -> String {
        self.event.map_or_else(String::new, ToString::to_string)
    }
}

impl<T: Scalar, E> Branch<T, E> {
    /// Points and bifurcations in the order of the branch.
    fn lines(&self) -> impl Iterator<Item = Line<'_, T>> {
        self.points.iter().enumerate().flat_map(|(index, point)| {
            let point = Line {
                parameter: point.parameter,
                arclength: Some(point.arclength),
                eigenvalues: &point.eigenvalues,
                state: point.state.as_slice(),
                event: None,
            };
            let events = self.bifurcations.iter().filter(move |event| event.after == index).map(|event| Line {
                parameter: event.parameter,
                arclength: None,
                eigenvalues: &event.eigenvalues,
                state: event.state.as_slice(),
                event: Some(&event.kind),
            });
            std::iter::once(point).chain(events)
        })
    }

    /// Unknowns of the system.
    fn dimension(&self) -> usize {
        self.points.first().map_or(0, |point| point.state.len())
    }

    /// A row for each point and each bifurcation, in the order of the branch: the `parameter` λ, the `arclength`, the number of `unstable`
    /// eigenvalues, the largest real part `abscissa`, the unknowns `x_0` to `x_(n−1)`, and the `event` (empty for ordinary points;
    /// bifurcations have no arclength). Why the branch ends is a comment.
    #[must_use]
    pub fn to_table(&self) -> Table {
        let places = ["parameter", "arclength", "unstable", "abscissa"].map(String::from);
        let unknowns = (0..self.dimension()).map(|k| format!("x_{k}"));
        let mut table = Table::of(places.into_iter().chain(unknowns).chain(["event".into()]));
        for line in self.lines() {
            let arclength = line.arclength.map(Scalar::as_f64);
            let place: [Cell; 4] = [
                line.parameter.as_f64().into(),
                arclength.into(),
                line.unstable().into(),
                line.abscissa().as_f64().into(),
            ];
            let state = line.state.iter().map(|x| Cell::from(x.as_f64()));
            table.add(place.into_iter().chain(state).chain([line.event.map(ToString::to_string).into()]));
        }
        table.comment(format!("ends: {}", reason(&self.stop)))
    }
}

impl<T: Scalar, E> fmt::Display for Branch<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = digits(f);
        let head = ["", "parameter", "arclength", "unstable", "abscissa"].map(String::from);
        let unknowns = (0..self.dimension()).map(|k| format!("x[{k}]"));
        let mut table = TextTable::new(head.into_iter().chain(unknowns).chain(["event".into()]));
        let mut index = 0;
        for line in self.lines() {
            let name = if line.event.is_some() { String::new() } else { format!("[{index}]") };
            index += usize::from(line.event.is_none());
            let before = [
                name,
                number(line.parameter, digits),
                line.arclength.map_or_else(String::new, |length| number(length, digits)),
                line.unstable().to_string(),
                number(line.abscissa(), digits),
            ];
            table.push(before.into_iter().chain(numbers(line.state, digits)).chain([line.event()]));
        }
        let (points, bifurcations) = (count(self.points.len(), "point"), count(self.bifurcations.len(), "bifurcation"));
        write!(f, "{table}{points}, {bifurcations}; ends: {}", reason(&self.stop))
    }
}
