//! The best schedules found.

use std::fmt;

use crate::Scalar;
use crate::control::{Control, Gradient};
use crate::data::{Cell, Table};
use crate::model::Schedules;
use crate::state::Trajectory;

/// Why a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SearchEnd {
    /// The norm of the projected gradient is within the tolerance: to first order nothing is better near by.
    Converged,
    /// As many iterations as it may take.
    IterationLimit,
    /// No step along the way down is better: the accuracy of the solutions is used up, or all around has no value.
    NoDescent,
    /// An observer asked for it.
    Observer,
    /// An error; what is there is the best before it.
    Failure,
}

impl fmt::Display for SearchEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Converged => "converged",
            Self::IterationLimit => "limit of iterations",
            Self::NoDescent => "no step is better",
            Self::Observer => "stopped by an observer",
            Self::Failure => "ended by an error",
        })
    }
}

/// Where a value of a schedule stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AtBound {
    /// Between the bounds.
    Neither,
    /// At the lower bound.
    Lower,
    /// At the upper bound.
    Upper,
}

/// The best schedules found; made by [`Optimiser`](crate::control::Optimiser).
#[derive(Debug, Clone)]
pub struct Optimum<T: Scalar = f64> {
    pub(super) schedules: Schedules,
    pub(super) controls: Vec<Control>,
    pub(super) values: Vec<Vec<f64>>,
    pub(super) at_bounds: Vec<Vec<AtBound>>,
    pub(super) gradient: Gradient<T>,
    pub(super) first_objective: f64,
    pub(super) gradient_norm: f64,
    pub(super) end: SearchEnd,
    pub(super) iterations: u64,
    pub(super) evaluations: u64,
}

/// Alike if they found the same, whatever it took.
impl<T: Scalar> PartialEq for Optimum<T> {
    fn eq(&self, other: &Self) -> bool {
        (&self.values, &self.gradient, self.end) == (&other.values, &other.gradient, other.end)
    }
}

impl<T: Scalar> Optimum<T> {
    /// All schedules: those that were found, and those that were given.
    #[must_use]
    pub fn schedules(&self) -> &Schedules {
        &self.schedules
    }

    /// The values of a control at its grid's times, by the number of the control; empty for one that there is not.
    #[must_use]
    pub fn values(&self, control: usize) -> &[f64] {
        self.values.get(control).map_or(&[], Vec::as_slice)
    }

    /// The times that belong to [`values`](Self::values).
    #[must_use]
    pub fn times(&self, control: usize) -> &[f64] {
        self.controls.get(control).map_or(&[], |control| control.grid.times())
    }

    /// A row for every value: the number of the `control`, the names of the `quantities` that it controls, the time `t`, and the `value`. The
    /// objective, and why the search ended, are comments.
    #[must_use]
    pub fn to_table(&self) -> Table {
        let end = format!("objective {} (at first {}); {}", self.objective(), self.first_objective, self.end);
        let mut table = Table::of(["control", "quantities", "t", "value"]).comment(end);
        for (number, control) in self.controls.iter().enumerate() {
            let names: Vec<&str> = control.quantities.iter().map(|quantity| quantity.name()).collect();
            for (&t, &value) in self.times(number).iter().zip(self.values(number)) {
                table.add([number.into(), names.join(", ").into(), Cell::from(t), value.into()]);
            }
        }
        table
    }

    /// Whether these values are at a bound.
    #[must_use]
    pub fn at_bounds(&self, control: usize) -> &[AtBound] {
        self.at_bounds.get(control).map_or(&[], Vec::as_slice)
    }

    /// The objective under these schedules.
    #[must_use]
    pub fn objective(&self) -> f64 {
        self.gradient.value().as_f64()
    }

    /// The objective under the schedules with which the search began.
    #[must_use]
    pub fn first_objective(&self) -> f64 {
        self.first_objective
    }

    /// The objective's derivatives under these schedules.
    #[must_use]
    pub fn gradient(&self) -> &Gradient<T> {
        &self.gradient
    }

    /// By how much the objective still changes, to first order, in the best direction that the bounds leave, if the values move by one scale
    /// (the root of the sum of their squares). The scale of a value is a factor of e where the lower bound is positive; else the distance of
    /// the bounds, or the control's largest first value where there is no upper one.
    #[must_use]
    pub fn gradient_norm(&self) -> f64 {
        self.gradient_norm
    }

    /// Why the search ended.
    #[must_use]
    pub fn end(&self) -> SearchEnd {
        self.end
    }

    /// The iterations of the search.
    #[must_use]
    pub fn iterations(&self) -> u64 {
        self.iterations
    }

    /// The solutions of the ODE that it took, those with a way back among them.
    #[must_use]
    pub fn evaluations(&self) -> u64 {
        self.evaluations
    }

    /// The solution under these schedules: its final state.
    #[must_use]
    pub fn trajectory(&self) -> &Trajectory<T> {
        self.gradient.trajectory()
    }
}
