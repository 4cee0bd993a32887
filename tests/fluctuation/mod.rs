//! Fluctuations at finite N: Γ, covariances along solutions, corrections of order 1/N and what is read off them.

mod escape;
mod identity;
mod noise;
mod paths;
mod properties;
mod refusals;
mod schedules;
mod universality;

use contrastive_dynamics::nalgebra::{DMatrix, DVector};
use contrastive_dynamics::prelude::*;

/// Mean and covariance of a sample of vectors.
pub(super) struct Moments {
    count: f64,
    sum: DVector<f64>,
    squares: DMatrix<f64>,
}

impl Moments {
    pub(super) fn new(length: usize) -> Self {
        Self { count: 0.0, sum: DVector::zeros(length), squares: DMatrix::zeros(length, length) }
    }

    pub(super) fn add(&mut self, x: &DVector<f64>) {
        self.count += 1.0;
        self.sum += x;
        self.squares.syger(1.0, x, x, 1.0);
    }

    pub(super) fn count(&self) -> f64 {
        self.count
    }

    pub(super) fn mean(&self) -> DVector<f64> {
        &self.sum / self.count
    }

    pub(super) fn covariance(&self) -> DMatrix<f64> {
        let mut squares = self.squares.clone();
        squares.fill_upper_triangle_with_lower_triangle();
        (squares - self.mean() * self.sum.transpose()) / (self.count - 1.0)
    }
}

/// tr(Σ⁺ C)/rank less 1, which is 0 for C = Σ, and the standard error of that for a Gaussian sample of so many.
pub(super) fn excess(covariance: &DMatrix<f64>, expected: &DMatrix<f64>, count: f64) -> (f64, f64) {
    let eigen = expected.clone().symmetric_eigen();
    let least = 1e-9 * eigen.eigenvalues.max();
    let kept = eigen.eigenvectors.column_iter().zip(&eigen.eigenvalues).filter(|(_, x)| **x > least);
    let ratios: Vec<f64> = kept.map(|(axis, x)| axis.dot(&(covariance * axis)) / x).collect();
    let rank = ratios.len() as f64;
    (ratios.iter().sum::<f64>() / rank - 1.0, (2.0 / (rank * count)).sqrt())
}

/// Deviations of the packed state of so many projected chains at dimension N from that of a state, at time `end`.
pub(super) fn deviations<M>(
    model: &M,
    start: &OrderParameters,
    end: f64,
    n: usize,
    runs: u64,
    from: &DVector<f64>,
) -> Moments
where
    M: Spec<Scalar = f64, Regularizer: LinearRegularizer<f64>>,
{
    let mut moments = Moments::new(from.len());
    for block in 0..runs / 32 {
        let seeds: Vec<u64> = (0..32).map(|k| 32 * block + k).collect();
        let mut lanes = ProjectedChain::builder(model, n).start(start).lanes(&seeds).unwrap();
        for run in lanes.run(end, &Output::Stop).unwrap() {
            moments.add(&(run.unwrap().last().unwrap().1.to_packed() - from));
        }
    }
    moments
}

pub(super) fn hidden() -> Independent {
    Independent::new([Law::two_point(2.25).unwrap(), Law::three_point(1.5, 0.4).unwrap()]).unwrap()
}

pub(super) fn correlated() -> GaussianNoise {
    GaussianNoise::correlated(0.3, -0.5).unwrap()
}
