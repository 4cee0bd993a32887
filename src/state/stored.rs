//! States and trajectories as data (feature `serde`): what they look like in a file, and their checks when they are read.
//!
//! Covers {"Q": rows, "R": rows} for a state, and times, states, stop and work for a trajectory. Not here: models as data
//! (see `crate::model`), and who writes the file.

use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use crate::Scalar;
use crate::integrate::Work;
use crate::numerics::stored::to_rows;
use crate::state::{OrderParameters, OrderParametersError, StopReason, Trajectory};

/// Q and R row by row.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredState<T> {
    #[serde(rename = "Q")]
    q: Vec<Vec<T>>,
    #[serde(rename = "R")]
    r: Vec<Vec<T>>,
}

/// A trajectory that has not been checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[serde(bound(deserialize = "T: Deserialize<'de>, S: Deserialize<'de>"))]
pub(super) struct StoredTrajectory<T, S> {
    times: Vec<T>,
    states: Vec<S>,
    stop: StopReason<T>,
    work: Work,
}

/// Why stored data is no trajectory.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoredTrajectoryError {
    #[error("a trajectory has a state for each time, got {times} times and {states} states")]
    Lengths { times: usize, states: usize },
    #[error("times must be finite and increasing, got {time} after {previous}")]
    Times { previous: f64, time: f64 },
}

/// The matrix of those rows; of ragged ones, a matrix that no shape fits.
fn matrix<T: Scalar>(rows: &[Vec<T>]) -> DMatrix<T> {
    let columns = rows.first().map_or(0, Vec::len);
    if rows.iter().any(|row| row.len() != columns) {
        return DMatrix::zeros(rows.len(), 0);
    }
    DMatrix::from_fn(rows.len(), columns, |i, j| rows[i][j])
}

impl<T: Scalar> From<OrderParameters<T>> for StoredState<T> {
    fn from(state: OrderParameters<T>) -> Self {
        Self { q: to_rows(state.q()), r: to_rows(state.r()) }
    }
}

/// Feasible to the error of an integrator: a state that was reached, and stored, is one that can be read.
impl<T: Scalar> TryFrom<StoredState<T>> for OrderParameters<T> {
    type Error = OrderParametersError;

    fn try_from(stored: StoredState<T>) -> Result<Self, OrderParametersError> {
        let state = Self::symmetric(matrix(&stored.q), matrix(&stored.r))?;
        state.check_reached()?;
        Ok(state)
    }
}

impl<T: Scalar, S> TryFrom<StoredTrajectory<T, S>> for Trajectory<T, S> {
    type Error = StoredTrajectoryError;

    fn try_from(stored: StoredTrajectory<T, S>) -> Result<Self, StoredTrajectoryError> {
        let StoredTrajectory { times, states, stop, work } = stored;
        if times.len() != states.len() {
            return Err(StoredTrajectoryError::Lengths { times: times.len(), states: states.len() });
        }
        let mut previous = f64::NEG_INFINITY;
        for time in times.iter().map(|time| time.as_f64()) {
            if !(time > previous && time.is_finite()) {
                return Err(StoredTrajectoryError::Times { previous, time });
            }
            previous = time;
        }
        Ok(Self { times, states, stop, work })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trajectory() -> Trajectory {
        let state = |q: f64, r: f64| {
            let (q, r) = (DMatrix::from_row_slice(2, 1, &[q, 0.1]), DMatrix::from_element(1, 1, r));
            OrderParameters::from_parts(q, r)
        };
        let mut trajectory = Trajectory::new();
        trajectory.push(0.1, state(1.0 / 3.0, 0.7));
        // As far outside as a solver may go.
        trajectory.push(0.3, state(0.99_f64.sqrt(), 1.0 - 1e-8));
        trajectory.stop = StopReason::Event { index: 1, time: 0.3, step: 12 };
        trajectory.work = Work { quadrature_nodes: 7, ..Work::of_steps(12) };
        trajectory
    }

    #[test]
    fn what_was_stored_is_read_to_the_last_bit() {
        let text = serde_json::to_string(&trajectory()).unwrap();
        assert!(
            text.starts_with(r#"{"times":[0.1,0.3],"states":[{"Q":[[0.3333333333333333],[0.1]],"R":[[0.7]]}"#),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<Trajectory>(&text).unwrap(), trajectory());
        let single = OrderParameters::from_rows(1, 2, &[0.1_f32, 0.2], &[1.0, 0.3, 0.3, 1.0]).unwrap();
        let text = serde_json::to_string(&single).unwrap();
        assert_eq!(serde_json::from_str::<OrderParameters<f32>>(&text).unwrap(), single);
        // A trajectory of other states, and counters that a newer version may have more of.
        let other: Trajectory<f64, Vec<f64>> =
            serde_json::from_str(r#"{"times":[1],"states":[[2, 3]],"stop":"EndTime","work":{"accepted_steps":4}}"#)
                .unwrap();
        assert_eq!((other.states(), other.work()), (&[vec![2.0, 3.0]][..], Work::of_steps(4)));
    }

    #[test]
    fn what_is_no_state_or_trajectory_is_not_read() {
        let state = |text: &str| serde_json::from_str::<OrderParameters>(text).map_err(|error| error.to_string());
        assert!(state(r#"{"Q":[[0.5]],"R":[[1.0]]}"#).is_ok());
        assert!(state(r#"{"Q":[[1.5]],"R":[[1.0]]}"#).unwrap_err().contains("positive semidefinite"));
        assert!(state(r#"{"Q":[[0.1, 0.1]],"R":[[1, 0.5], [0.4, 1]]}"#).unwrap_err().contains("symmetric"));
        for shape in [r#"{"Q":[[0.1], [0.1, 0.2]],"R":[[1]]}"#, r#"{"Q":[],"R":[]}"#, r#"{"Q":[[0.1]],"R":[[1],[1]]}"#]
        {
            assert!(state(shape).unwrap_err().contains("Q must be p x m"), "{shape}");
        }
        let text = serde_json::to_string(&trajectory()).unwrap();
        let read = |text: &str| serde_json::from_str::<Trajectory>(text).map_err(|error| error.to_string());
        assert!(read(&text.replace("[0.1,0.3]", "[0.1]")).unwrap_err().contains("1 times and 2 states"));
        assert!(read(&text.replace("[0.1,0.3]", "[0.3,0.1]")).unwrap_err().contains("got 0.1 after 0.3"));
        assert!(read(&text.replace("[[0.7]]", "[[0.01]]")).unwrap_err().contains("positive semidefinite"));
    }
}
