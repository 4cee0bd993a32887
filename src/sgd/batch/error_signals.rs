//! The error signals of one batch (theory §1): e from the fields h, the same for every simulator.
//!
//! In: outputs, cross-view covariance, ∂F/∂C and e. Out: how the fields are drawn and what e does to the weights.

use crate::Scalar;
use crate::model::{GradientPath, Model, Nonlinearity, Penalty};
use crate::numerics::kernels::{add_scaled, dot};

/// The fields of a batch and what follows from them. Of neuron i, view v of sample b is at (2i + v)·B + b, so that the
/// 2B numbers of one neuron are one slice. m and B are arguments, so that where they are constants loops unroll.
#[derive(Debug, Clone)]
pub(in crate::sgd) struct Batch<T> {
    fields: Vec<T>,
    values: Vec<T>,
    derivatives: Vec<T>,
    errors: Vec<T>,
    /// ∂F/∂C, m x m by rows.
    gradient: Vec<T>,
}

impl<T: Scalar> Batch<T> {
    /// Room for B samples seen by m neurons.
    pub(in crate::sgd) fn new(neurons: usize, size: usize) -> Self {
        let zeros = vec![T::zero(); 2 * size * neurons];
        Self {
            fields: zeros.clone(),
            values: zeros.clone(),
            derivatives: zeros.clone(),
            errors: zeros,
            gradient: vec![T::zero(); neurons * neurons],
        }
    }

    /// h of neuron i, 2B numbers: view 1 of every sample, then view 2.
    #[inline(always)]
    pub(in crate::sgd) fn fields_mut(&mut self, i: usize, size: usize) -> &mut [T] {
        let length = 2 * size;
        &mut self.fields[i * length..(i + 1) * length]
    }

    /// e of neuron i, 2B numbers as in [`fields_mut`](Self::fields_mut).
    #[inline(always)]
    pub(in crate::sgd) fn errors(&self, i: usize, size: usize) -> &[T] {
        let length = 2 * size;
        &self.errors[i * length..(i + 1) * length]
    }

    /// Whether every e is finite.
    pub(in crate::sgd) fn is_finite(&self) -> bool {
        self.errors.iter().all(nalgebra::ComplexField::is_finite)
    }

    /// e_bi^v from the fields of the whole batch.
    #[inline(always)]
    pub(in crate::sgd) fn error_signals<S, H, A, G, P>(
        &mut self,
        model: &Model<T, S, H, A, G, P>,
        m: usize,
        size: usize,
    ) where
        S: Nonlinearity<T>,
        P: Penalty<T>,
    {
        model.nonlinearity().evaluate(&self.fields, &mut self.values, &mut self.derivatives);
        let coupled = m > 1 && model.penalty_strength() > T::zero();
        if coupled {
            self.loss_gradient(model, m, size);
        }
        for i in 0..m {
            let own = 2 * i * size..2 * (i + 1) * size;
            let (first, second) = self.errors[own.clone()].split_at_mut(size);
            let both = model.gradient_path() == GradientPath::BothViews;
            // Σ_j G_ij y_j²; the diagonal of G is −1.
            let (y1, y2) = self.values[own.clone()].split_at(size);
            for (e, &y) in first.iter_mut().zip(y2) {
                *e = -y;
            }
            for (e, &y) in second.iter_mut().zip(y1) {
                *e = if both { -y } else { T::zero() };
            }
            if coupled {
                for j in (0..m).filter(|&j| j != i) {
                    let (y1, y2) = self.values[2 * j * size..2 * (j + 1) * size].split_at(size);
                    add_scaled(self.gradient[i * m + j], y2, first);
                    if both {
                        add_scaled(self.gradient[j * m + i], y1, second);
                    }
                }
            }
            for (e, &d) in self.errors[own.clone()].iter_mut().zip(&self.derivatives[own]) {
                *e *= d;
            }
        }
    }

    /// G_ij = λ g'(C_ij) for i ≠ j.
    #[inline(always)]
    fn loss_gradient<S, H, A, G, P>(&mut self, model: &Model<T, S, H, A, G, P>, m: usize, size: usize)
    where
        P: Penalty<T>,
    {
        for i in 0..m {
            for j in (0..m).filter(|&j| j != i) {
                let first = &self.values[2 * i * size..(2 * i + 1) * size];
                let second = &self.values[(2 * j + 1) * size..2 * (j + 1) * size];
                let covariance = dot(first, second) / T::of_usize(size);
                self.gradient[i * m + j] = model.penalty_strength() * model.penalty().derivative(covariance);
            }
        }
    }
}
