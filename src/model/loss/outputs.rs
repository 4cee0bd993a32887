//! The outputs of a batch in both views, and the gradient of a loss by them, as views of one slice each.

use crate::Scalar;
use crate::numerics::kernels::dot;

/// The outputs y_bi^v of one batch: B samples, m neurons, two views. Views, neurons and samples count from 0.
#[derive(Debug, Clone, Copy)]
pub struct Outputs<'a, T> {
    values: &'a [T],
    n_neurons: usize,
    batch_size: usize,
}

impl<'a, T: Scalar> Outputs<'a, T> {
    /// Outputs in a slice of 2mB numbers: of neuron i, view v of sample b at (2i + v)·B + b. `None` for another length.
    #[must_use]
    pub fn new(values: &'a [T], n_neurons: usize, batch_size: usize) -> Option<Self> {
        let wanted = n_neurons.checked_mul(2)?.checked_mul(batch_size)?;
        (values.len() == wanted).then_some(Self { values, n_neurons, batch_size })
    }

    /// As [`new`](Self::new), of a slice whose length is right.
    #[inline(always)]
    pub(crate) fn of_slice(values: &'a [T], n_neurons: usize, batch_size: usize) -> Self {
        Self { values, n_neurons, batch_size }
    }

    /// The number m of neurons.
    #[inline(always)]
    #[must_use]
    pub fn n_neurons(&self) -> usize {
        self.n_neurons
    }

    /// The batch size B.
    #[inline(always)]
    #[must_use]
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// The outputs of one neuron in one view, B numbers; empty for indices out of range.
    #[inline(always)]
    #[must_use]
    pub fn view(&self, view: usize, neuron: usize) -> &'a [T] {
        let at = 2 * neuron + view;
        self.values.get(at * self.batch_size..(at + 1) * self.batch_size).unwrap_or(&[])
    }

    /// C_ij = (1/B) Σ_b y_bi¹ y_bj²: the cross-view covariance of the outputs (theory §1).
    #[inline(always)]
    #[must_use]
    pub fn covariance(&self, i: usize, j: usize) -> T {
        dot(self.view(0, i), self.view(1, j)) / T::of_usize(self.batch_size)
    }
}

/// Where a loss writes B ∂F/∂y_bi^v, in the layout of [`Outputs`].
#[derive(Debug)]
pub struct OutputGradient<'a, T> {
    values: &'a mut [T],
    batch_size: usize,
}

impl<'a, T: Scalar> OutputGradient<'a, T> {
    /// In a slice of 2mB numbers: of neuron i, view v of sample b at (2i + v)·B + b. `None` for another length.
    #[must_use]
    pub fn new(values: &'a mut [T], n_neurons: usize, batch_size: usize) -> Option<Self> {
        let wanted = n_neurons.checked_mul(2)?.checked_mul(batch_size)?;
        (values.len() == wanted).then_some(Self { values, batch_size })
    }

    /// As [`new`](Self::new), of a slice whose length is right.
    #[inline(always)]
    pub(crate) fn of_slice(values: &'a mut [T], batch_size: usize) -> Self {
        Self { values, batch_size }
    }

    /// The entries of one neuron in one view, B numbers; empty for indices out of range.
    #[inline(always)]
    #[must_use]
    pub fn view_mut(&mut self, view: usize, neuron: usize) -> &mut [T] {
        let at = 2 * neuron + view;
        self.values.get_mut(at * self.batch_size..(at + 1) * self.batch_size).unwrap_or(&mut [])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_are_where_they_are_said_to_be_and_nothing_else_is_read() {
        let values: Vec<f64> = (0..12).map(f64::from).collect();
        let y = Outputs::new(&values, 2, 3).unwrap();
        assert_eq!((y.view(0, 0), y.view(1, 1)), (&values[..3], &values[9..]));
        assert_eq!(y.covariance(0, 1), (0.0 * 9.0 + 1.0 * 10.0 + 2.0 * 11.0) / 3.0);
        assert!(y.view(0, 2).is_empty());
        assert!(Outputs::new(&values, 2, 4).is_none() && Outputs::new(&values, usize::MAX, 2).is_none());
        let mut room = vec![0.0_f64; 12];
        OutputGradient::new(&mut room, 2, 3).unwrap().view_mut(1, 0).fill(1.0);
        assert_eq!(room.iter().sum::<f64>(), room[3..6].iter().sum::<f64>());
        assert!(OutputGradient::new(&mut room, 3, 3).is_none());
    }
}
