//! On what values of one coordinate of u = Qᵀc + what the views have in common averages are taken, and functions of it as sums of
//! waves.

use std::f64::consts::TAU;

use crate::Scalar;
use crate::limit::averages::sum_lattice::Line;
use crate::numerics::fourier::{Fourier, FourierBuffers};
use crate::numerics::lanes::LANES;

/// The lattice of one neuron: values from the mean of u, an odd number of them.
#[derive(Debug, Clone)]
pub(super) struct Axis<T> {
    pub(super) line: Line,
    /// Padded to lanes by zeros.
    pub(super) offsets: Vec<T>,
    pub(super) count: usize,
    /// To wave numbers 0, …, K.
    fourier: Fourier<T>,
}

/// Real and imaginary parts.
pub(super) type Waves<T> = [Vec<T>; 2];

impl<T: Scalar> Axis<T> {
    pub(super) fn new(line: Line) -> Self {
        let offsets: Vec<f64> = points(&line);
        let count = offsets.len();
        let fourier = Fourier::new(&[line.size(false)]);
        let mut offsets: Vec<T> = offsets.into_iter().map(T::lit).collect();
        offsets.resize(count.next_multiple_of(LANES), T::zero());
        Self { line, offsets, count, fourier }
    }

    /// Σ_x f(x) exp(−ikx) at the wave numbers that are not negative.
    pub(super) fn to_waves(&self, values: &[T], buffers: &mut FourierBuffers<T>, out: &mut Waves<T>) {
        self.fourier.to_waves(values, buffers, out);
    }
}

/// The values of a line.
fn points(line: &Line) -> Vec<f64> {
    let half = i64::try_from(line.half).unwrap_or(i64::MAX);
    (-half..=half).map(|n| n as f64 * line.step).collect()
}

/// The nodes at which a line would be as long as the density asks for: those of `weights`, a row over its values, that count.
pub(super) fn trimmed<T: Scalar>(line: &Line, weights: &[T], error: f64) -> Line {
    let mut beyond = 0.0;
    let mut half = line.half;
    while half > 0 {
        beyond += (weights[line.half - half].abs() + weights[line.half + half].abs()).as_f64();
        if beyond > error {
            break;
        }
        half -= 1;
    }
    // What lies beyond comes back at the other end.
    let half = (half + 1).min(line.half);
    debug_assert!(line.step * (2 * half + 1) as f64 <= TAU / line.spacing() + 1e-9);
    line.shortened(half)
}
