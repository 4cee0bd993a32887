//! Whether the deviation of a run from the limit is chance.

use std::fmt;

use nalgebra::{DMatrix, DVector};

use crate::Scalar;
use crate::fluctuation::{FluctuationError, FluctuationPath};
use crate::numerics::chi_square::chi_square_tail;
use crate::numerics::eigen::symmetric_eigen;
use crate::numerics::linear::is_finite;
use crate::state::{OrderParameters, Trajectory};

/// How far a run is from the prediction: a sum of squares of independent standard normal numbers, if it is chance. Theory §7.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Comparison<T = f64> {
    /// χ².
    pub chi_square: T,
    /// How many numbers are squared.
    pub degrees: usize,
    /// The probability of a larger χ².
    pub p_value: f64,
}

impl<T: Scalar> fmt::Display for Comparison<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "chi-square {:.1} of {} degrees of freedom, p = {:.3}",
            self.chi_square.as_f64(),
            self.degrees,
            self.p_value
        )
    }
}

/// Directions with less than that part of the largest variance are not compared: there is nothing but rounding.
const LEAST_VARIANCE: f64 = 1e-9;

impl<T: Scalar> FluctuationPath<T> {
    /// Compares a run at dimension N with the prediction at all output times together.
    ///
    /// What the run deviates by at one output, less what its deviation at the one before propagates to, is an independent Gaussian vector for
    /// every output. Corrections of order 1/N are taken into account if they were asked for; they matter where the run has very many
    /// outputs or N is small. So do times of the run that are not those of the output: best are outputs at multiples of 1/N. A start of
    /// fixed overlaps is not compared.
    ///
    /// # Errors
    /// [`FluctuationError::Dimension`] for N = 0; [`FluctuationError::Times`] unless the run has a state at every output time, within half a
    /// step; [`FluctuationError::Shape`] for one of another model, [`FluctuationError::NotFinite`] for states that are not finite.
    pub fn compare(&self, dimension: usize, run: &Trajectory<T>) -> Result<Comparison<T>, FluctuationError<T>> {
        self.compare_states(dimension, run.times(), run.states())
    }

    /// The same for a run given by its times, increasing, and a state at each of them.
    ///
    /// # Errors
    /// As [`compare`](Self::compare).
    pub fn compare_states(
        &self,
        dimension: usize,
        times: &[T],
        states: &[OrderParameters<T>],
    ) -> Result<Comparison<T>, FluctuationError<T>> {
        if dimension == 0 {
            return Err(FluctuationError::Dimension { dimension });
        }
        let n = T::of_usize(dimension);
        let mut deviations = Vec::new();
        for (k, (time, state)) in self.trajectory.iter().enumerate() {
            let found = nearest((times, states), time).filter(|(t, _)| (*t - time).abs() * n <= T::lit(0.51));
            let (_, own) = found.ok_or(FluctuationError::Times { time: time.as_f64() })?;
            if own.q().shape() != state.q().shape() {
                return Err(FluctuationError::Shape {
                    features: own.n_features(),
                    neurons: own.n_neurons(),
                    expected_features: state.n_features(),
                    expected_neurons: state.n_neurons(),
                });
            }
            let mut deviation = own.to_packed() - state.to_packed();
            if let Some(corrections) = &self.corrections {
                deviation -= &corrections[k] / n;
            }
            deviations.push(deviation * n.sqrt());
        }
        let (mut chi_square, mut degrees) = (T::zero(), 0);
        let mut add = |deviation: &DVector<T>, covariance: &DMatrix<T>| -> Option<()> {
            let eigen = symmetric_eigen(covariance.clone()).filter(|_| is_finite(deviation.as_slice()))?;
            let least = T::lit(LEAST_VARIANCE) * eigen.eigenvalues.amax();
            for (axis, &variance) in eigen.eigenvectors.column_iter().zip(&eigen.eigenvalues) {
                if variance > least {
                    chi_square += axis.dot(deviation).powi(2) / variance;
                    degrees += 1;
                }
            }
            Some(())
        };
        for (k, deviation) in deviations.iter().enumerate() {
            let added = match k.checked_sub(1) {
                None => add(deviation, &self.covariances[0]),
                Some(before) => {
                    let link = &self.links[before];
                    let news = deviation - &link.propagator * &deviations[before];
                    add(&news, &link.noise)
                }
            };
            added.ok_or(FluctuationError::NotFinite { time: self.trajectory.times[k].as_f64() })?;
        }
        Ok(Comparison { chi_square, degrees, p_value: chi_square_tail(chi_square.as_f64(), degrees) })
    }
}

/// The state of a run whose time is nearest.
fn nearest<'s, T: Scalar>(
    (times, states): (&[T], &'s [OrderParameters<T>]),
    time: T,
) -> Option<(T, &'s OrderParameters<T>)> {
    let after = times.partition_point(|&t| t < time);
    let candidates = [after.checked_sub(1), Some(after)].into_iter().flatten();
    let known = candidates.filter_map(|k| Some((*times.get(k)?, states.get(k)?)));
    known
        .min_by(|(x, _), (y, _)| (*x - time).abs().partial_cmp(&(*y - time).abs()).unwrap_or(std::cmp::Ordering::Equal))
}
