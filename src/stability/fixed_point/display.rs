//! How fixed points print.
//!
//! Covers one point as a paragraph, a list as a table, and the words for their classes. Not here: numbers and tables as
//! such (see `display` of the room).

use std::fmt;

use crate::Scalar;
use crate::stability::display::{TextTable, complex_numbers, count, digits, number, numbers, small, state};
use crate::stability::fixed_point::found::FixedPoints;
use crate::stability::fixed_point::newton::NewtonStop;
use crate::stability::fixed_point::point::{FixedPoint, Kind, Stability};
use crate::stability::fixed_point::starts::StartKind;
use crate::state::packed_names;

/// Tables of fixed points hold Q and R of states with up to that many entries: wider ones break the line.
const MOST_ENTRIES: usize = 9;

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Collapsed => f.pad("collapsed"),
            Self::Uninformative => f.pad("uninformative"),
            Self::Selected { features } => {
                let feature = |feature: &Option<usize>| feature.map_or("-".into(), |l| l.to_string());
                let list: Vec<String> = features.iter().map(feature).collect();
                f.pad(&format!("selected [{}]", list.join(", ")))
            }
            Self::Mixed => f.pad("mixed"),
        }
    }
}

impl fmt::Display for Stability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Stable => "stable",
            Self::Saddle => "saddle",
            Self::Unstable => "unstable",
            Self::Degenerate => "degenerate",
        })
    }
}

impl fmt::Display for StartKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Collapsed => f.pad("the closed form"),
            Self::Uninformative => f.pad("a start without overlaps"),
            Self::Selected => f.pad("a start with a feature each"),
            Self::Mixture => f.pad("a start on a mixture"),
            Self::Coinciding => f.pad("a start with coinciding neurons"),
            Self::Sobol { index } => f.pad(&format!("Sobol start {index}")),
            Self::Given { index } => f.pad(&format!("given start {index}")),
            Self::Deflated => f.pad("a start with deflation"),
            Self::Beside { point } => f.pad(&format!("a start beside point {point}")),
        }
    }
}

impl<T: Scalar> fmt::Display for NewtonStop<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Converged => f.pad("converged"),
            Self::Stalled => f.pad("stalled at a minimum of the rates that is no zero"),
            Self::StepLimit => f.pad("stopped at the limit of steps"),
            Self::Boundary => f.pad("stopped at the boundary of the feasible set"),
            Self::Diverged => f.pad("diverged"),
            Self::NotInvariant => f.pad("converged in a family of states that the flow leaves"),
            Self::Failed(error) => f.pad(&format!("failed: {error}")),
        }
    }
}

impl<T: Scalar> fmt::Display for FixedPoint<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = digits(f);
        let images = images(self.image_count);
        let noun = if self.image_count == 1.0 { "image" } else { "images" };
        writeln!(f, "{} fixed point, {}, {images} {noun} by symmetry", self.stability, self.kind)?;
        write!(f, "{}", state(&self.state, digits))?;
        let eigenvalues = complex_numbers(&self.spectrum.values, digits).join(", ");
        writeln!(f, "eigenvalues {eigenvalues}; {} unstable, {} neutral", self.unstable, self.neutral)?;
        let steps = count(self.residuals.len().saturating_sub(1), "step");
        let residual = self.residuals.last().copied().unwrap_or(T::lit(f64::NAN));
        let (residual, error) = (small(residual), small(self.error));
        write!(f, "Newton's method from {}: {}, {steps}, largest rate {residual}, error {error}", self.start, self.stop)
    }
}

impl<T: Scalar> fmt::Display for FixedPoints<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = digits(f);
        let names = self
            .points
            .first()
            .map_or(Vec::new(), |point| packed_names(point.state.n_features(), point.state.n_neurons()));
        let named = names.len() <= MOST_ENTRIES;
        let head = ["", "kind", "stability", "unstable", "abscissa", "images"].map(String::from);
        let mut table = TextTable::new(head.into_iter().chain(names.into_iter().filter(|_| named)));
        for (k, point) in self.points.iter().enumerate() {
            let class = [
                format!("[{k}]"),
                point.kind.to_string(),
                point.stability.to_string(),
                point.unstable.to_string(),
                number(point.spectrum.abscissa(), digits),
                images(point.image_count),
            ];
            let entries = numbers(point.state.to_packed().as_slice(), digits);
            table.push(class.into_iter().chain(entries.into_iter().filter(|_| named)));
        }
        let points = count(self.points.len(), "fixed point");
        let repeats: usize = self.repeats.iter().sum();
        write!(f, "{table}{points}; {repeats} more starts led to one of them, {} to none", self.failed.len())?;
        match self.unresolved.len() {
            0 => Ok(()),
            unresolved => write!(f, "; {} could not be analysed", count(unresolved, "point")),
        }
    }
}

/// A number of images: in full, or by its size.
fn images(count: f64) -> String {
    if count < 1e6 { format!("{count}") } else { format!("{count:.1e}") }
}
