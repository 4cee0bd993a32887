//! Losses that are functions of the cross-view covariances, entry by entry: what makes the limit exact in the batch
//! size (theory §3).

use super::{OutputGradient, Outputs, Penalty};
use crate::Scalar;
use crate::numerics::kernels::add_scaled;

/// A loss F = Σ_i f(C_ii) + λ Σ_{i≠j} g(C_ij) of the cross-view covariances C, by f', g' and λ.
///
/// Where f' is constant and g' affine, F is a polynomial in second moments of the outputs and the limit coefficients are
/// exact in the batch size (theory §3).
#[derive(Debug, Clone, Copy)]
pub struct CovarianceForm<'a, T: Scalar = f64> {
    /// f', the entries of ∂F/∂C on the diagonal.
    pub diagonal: EntrySlope<'a, T>,
    /// g', the entries of ∂F/∂C off the diagonal, over λ.
    pub off_diagonal: EntrySlope<'a, T>,
    /// λ.
    pub strength: T,
}

/// An entry of ∂F/∂C as a function of the same entry of C.
#[derive(Clone, Copy)]
pub enum EntrySlope<'a, T: Scalar = f64> {
    /// offset + slope·C.
    Affine {
        /// The value at C = 0.
        offset: T,
        /// How it grows with C.
        slope: T,
    },
    /// g'(C) of a penalty.
    Penalty(&'a dyn Penalty<T>),
}

impl<T: Scalar> std::fmt::Debug for EntrySlope<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Affine { offset, slope } => {
                f.debug_struct("Affine").field("offset", offset).field("slope", slope).finish()
            }
            Self::Penalty(_) => f.debug_tuple("Penalty").finish_non_exhaustive(),
        }
    }
}

impl<T: Scalar> EntrySlope<'_, T> {
    /// The entry of ∂F/∂C where that of C is `c`.
    #[inline(always)]
    #[must_use]
    pub fn at(&self, c: T) -> T {
        match *self {
            Self::Affine { offset, slope } => offset + slope * c,
            Self::Penalty(penalty) => penalty.derivative(c),
        }
    }

    /// The value, if it does not depend on C.
    #[inline(always)]
    #[must_use]
    pub fn constant(&self) -> Option<T> {
        match *self {
            Self::Affine { offset, slope } if slope == T::zero() => Some(offset),
            _ => None,
        }
    }

    /// Offset and slope, if it is affine in C.
    #[must_use]
    pub fn affine(&self) -> Option<(T, T)> {
        match *self {
            Self::Affine { offset, slope } => Some((offset, slope)),
            Self::Penalty(_) => None,
        }
    }
}

impl<T: Scalar> CovarianceForm<'_, T> {
    /// Whether the gradient of one sample depends on the others of its batch.
    #[inline(always)]
    #[must_use]
    pub fn couples_samples(&self, n_neurons: usize) -> bool {
        self.couples_neurons(n_neurons) || self.diagonal.constant().is_none()
    }

    /// Whether the gradient of one neuron depends on the others.
    #[inline(always)]
    #[must_use]
    pub fn couples_neurons(&self, n_neurons: usize) -> bool {
        n_neurons > 1 && self.strength > T::zero()
    }

    /// ∂F/∂C_ij where C_ij is `c`.
    #[inline(always)]
    #[must_use]
    pub fn slope(&self, i: usize, j: usize, c: T) -> T {
        if i == j { self.diagonal.at(c) } else { self.strength * self.off_diagonal.at(c) }
    }

    /// Writes B ∂F/∂Y: Σ_j ∂F/∂C_ij y_bj² for neuron i in view 1, Σ_j ∂F/∂C_ji y_bj¹ in view 2.
    #[inline(always)]
    pub fn gradient(&self, outputs: Outputs<'_, T>, mut gradient: OutputGradient<'_, T>) {
        let m = outputs.n_neurons();
        for i in 0..m {
            let slope = self.diagonal.constant().unwrap_or_else(|| self.diagonal.at(outputs.covariance(i, i)));
            for view in 0..2 {
                for (g, &y) in gradient.view_mut(view, i).iter_mut().zip(outputs.view(1 - view, i)) {
                    *g = slope * y;
                }
            }
        }
        if !self.couples_neurons(m) {
            return;
        }
        for i in 0..m {
            for j in (0..m).filter(|&j| j != i) {
                let slope = self.strength * self.off_diagonal.at(outputs.covariance(i, j));
                add_scaled(slope, outputs.view(1, j), gradient.view_mut(0, i));
                add_scaled(slope, outputs.view(0, i), gradient.view_mut(1, j));
            }
        }
    }
}
