//! A solution with the covariance of runs around it.

use nalgebra::{DMatrix, DVector};

use crate::Scalar;
use crate::data::{Cell, Table};
use crate::fluctuation::FluctuationError;
use crate::state::{OrderParameters, Trajectory, packed_names};

/// A solution of the reduced ODE with the covariance of runs at finite N around it; made by
/// [`FluctuationSolver`](crate::fluctuation::FluctuationSolver). Theory §7.
#[derive(Debug, Clone, PartialEq)]
pub struct FluctuationPath<T: Scalar = f64> {
    pub(super) trajectory: Trajectory<T>,
    pub(super) covariances: Vec<DMatrix<T>>,
    /// δ at each output, if it was asked for.
    pub(super) corrections: Option<Vec<DVector<T>>>,
    /// From each output but the first to the next.
    pub(super) links: Vec<Link<T>>,
}

/// From one output to the next: how deviations propagate, and the covariance that comes up.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Link<T: Scalar> {
    pub(super) propagator: DMatrix<T>,
    pub(super) noise: DMatrix<T>,
}

impl<T: Scalar> FluctuationPath<T> {
    pub(super) fn new(start: &OrderParameters<T>, covariance: DMatrix<T>, correction: Option<DVector<T>>) -> Self {
        let mut trajectory = Trajectory::new();
        trajectory.push(T::zero(), start.clone());
        let corrections = correction.map(|correction| vec![correction]);
        Self { trajectory, covariances: vec![covariance], corrections, links: Vec::new() }
    }

    pub(super) fn push(
        &mut self,
        time: T,
        state: OrderParameters<T>,
        covariance: DMatrix<T>,
        correction: DVector<T>,
        link: Link<T>,
    ) {
        self.trajectory.push(time, state);
        self.covariances.push(covariance);
        if let Some(corrections) = &mut self.corrections {
            corrections.push(correction);
        }
        self.links.push(link);
    }

    /// Without the start, unless it is to be kept or is all there is.
    pub(super) fn without_start(mut self, keep: bool) -> Self {
        if keep || self.covariances.len() < 2 {
            return self;
        }
        self.trajectory.times.remove(0);
        self.trajectory.states.remove(0);
        self.covariances.remove(0);
        if let Some(corrections) = &mut self.corrections {
            corrections.remove(0);
        }
        self.links.remove(0);
        self
    }

    /// The solution.
    #[must_use]
    pub fn trajectory(&self) -> &Trajectory<T> {
        &self.trajectory
    }

    /// Σ at each output time: N times the covariance of the packed state, n x n (see [`OrderParameters::to_packed`]).
    #[must_use]
    pub fn covariances(&self) -> &[DMatrix<T>] {
        &self.covariances
    }

    /// δ at each output time: N times the difference of the mean of the packed state from the solution, to order 1/N. `None` unless it was
    /// asked for.
    #[must_use]
    pub fn corrections(&self) -> Option<&[DVector<T>]> {
        self.corrections.as_deref()
    }

    /// What runs at dimension N are expected to give: a row for every output time and entry of the packed state, with `t`, the name of the
    /// `entry` (`Q_l_i`, `R_i_j`), its value in the `limit`, and `mean` and `standard_deviation` over runs (see [`Prediction`](super::Prediction)).
    ///
    /// # Errors
    /// [`FluctuationError::Dimension`] for N = 0.
    pub fn to_table(&self, dimension: usize) -> Result<Table, FluctuationError<T>> {
        if dimension == 0 {
            return Err(FluctuationError::Dimension { dimension });
        }
        let n = dimension as f64;
        let mut table = Table::of(["t", "entry", "limit", "mean", "standard_deviation"]);
        for (k, (t, state)) in self.trajectory.iter().enumerate() {
            let names = packed_names(state.n_features(), state.n_neurons());
            for (entry, (name, limit)) in names.into_iter().zip(&state.to_packed()).enumerate() {
                let moved = self.corrections.as_ref().map_or(0.0, |corrections| corrections[k][entry].as_f64() / n);
                let deviation = (self.covariances[k][(entry, entry)].as_f64() / n).sqrt();
                let limit = limit.as_f64();
                table.add([
                    t.as_f64().into(),
                    Cell::from(name),
                    limit.into(),
                    (limit + moved).into(),
                    deviation.into(),
                ]);
            }
        }
        Ok(table.comment(format!("N = {dimension}")))
    }

    /// N times Cov[s(t_j), s(t_i)], for output times i ≤ j counted from 0, n x n: rows belong to the later time. `None` for an index out of
    /// range or i > j.
    #[must_use]
    pub fn two_time_covariance(&self, i: usize, j: usize) -> Option<DMatrix<T>> {
        let (first, links) = (self.covariances.get(i)?, self.links.get(i..j)?);
        Some(links.iter().fold(first.clone(), |covariance, link| &link.propagator * covariance))
    }
}
