//! Branches as tables.

use std::fmt;

use crate::limit::Compiled;
use crate::stability::continuation::branch::{BifurcationKind, Branch};

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

/// Comma-separated values, with a header: one line for each point and each bifurcation, in the order of the branch. The
/// columns are λ, the arclength, the number of unstable eigenvalues, the largest real part, x_1 to x_n, and what happens
/// there (empty for ordinary points; bifurcations have no arclength).
impl<T: Compiled, E> fmt::Display for Branch<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "parameter,arclength,unstable,abscissa")?;
        let n = self.points.first().map_or(0, |point| point.state.len());
        (1..=n).try_for_each(|k| write!(f, ",x{k}"))?;
        writeln!(f, ",event")?;
        for (index, point) in self.points.iter().enumerate() {
            write!(f, "{},{},{},", point.parameter, point.arclength, point.unstable)?;
            write!(f, "{}", point.eigenvalues.first().map_or(T::lit(f64::NAN), |x| x.re))?;
            point.state.iter().try_for_each(|x| write!(f, ",{x}"))?;
            writeln!(f, ",")?;
            for event in self.bifurcations.iter().filter(|event| event.after == index) {
                let unstable = event.eigenvalues.iter().filter(|x| x.re > T::zero()).count();
                write!(f, "{},,{unstable},", event.parameter)?;
                write!(f, "{}", event.eigenvalues.first().map_or(T::lit(f64::NAN), |x| x.re))?;
                event.state.iter().try_for_each(|x| write!(f, ",{x}"))?;
                writeln!(f, ",{}", event.kind)?;
            }
        }
        Ok(())
    }
}
