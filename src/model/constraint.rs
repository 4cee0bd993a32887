//! Constraints on the weights, enforced after each step (theory §1, §13).
//!
//! Covers what they are, and the matrix that brings weights back. Not here: how the flow is projected (see
//! [`crate::ode`]).

use nalgebra::DMatrix;

use crate::Scalar;
use crate::numerics::dual::Number;
use crate::numerics::linear::is_finite;
use crate::numerics::matrix::inverse_root;

/// A constraint on the weights, enforced after each step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Constraint {
    /// None.
    #[default]
    None,
    /// Each neuron's weights are scaled back to ‖w_i‖² = N, so R_ii = 1.
    Sphere,
    /// Orthonormal neurons, R = I, by the nearest such weights: W ← W (WᵀW/N)^(−1/2). No neuron is preferred. With σ the
    /// identity this is Oja's subspace rule, with σ(h) = h²/2 multi-component ICA. m = 1 is the sphere.
    Orthonormal,
    /// Orthonormal neurons, R = I, by Gram and Schmidt in the order of the neurons: the first goes its own way, every other
    /// keeps out of the way of those before it. With σ the identity this is Sanger's rule. m = 1 is the sphere.
    GramSchmidt,
}

impl Constraint {
    /// Whether R_ii = 1.
    #[must_use]
    pub fn fixes_norms(self) -> bool {
        self != Self::None
    }

    /// Whether R = I.
    #[must_use]
    pub fn fixes_covariance(self) -> bool {
        matches!(self, Self::Orthonormal | Self::GramSchmidt)
    }

    /// The matrix C, m x m, with which weights W of covariance R = WᵀW/N become W C, which satisfies the constraint; `None` if
    /// there is none, because R is singular or not finite.
    pub(crate) fn correction<T: Scalar>(self, r: &DMatrix<T>) -> Option<DMatrix<T>> {
        let m = r.nrows();
        let scale = |i: usize| T::one() / r[(i, i)].sqrt();
        let correction = match self {
            Self::None => return Some(DMatrix::identity(m, m)),
            Self::Orthonormal if m > 1 => inverse_root(r)?,
            Self::GramSchmidt if m > 1 => {
                // R = L Lᵀ and C = L⁻ᵀ, which is upper triangular.
                let lower = r.clone().cholesky()?.unpack();
                lower.solve_lower_triangular(&DMatrix::identity(m, m))?.transpose()
            }
            Self::Sphere | Self::Orthonormal | Self::GramSchmidt => {
                DMatrix::from_fn(m, m, |i, j| if i == j { scale(i) } else { T::zero() })
            }
        };
        is_finite(correction.as_slice()).then_some(correction)
    }
}

/// Entry (i, j) of X, by which the flow of weights is drawn back to R = I: dW/dt − W X, where R had the rate `rates` without.
/// Zero for constraints that leave R free.
#[inline(always)]
pub(crate) fn pull<T: Scalar, N: Number<T>>(
    constraint: Constraint,
    (i, j): (usize, usize),
    rates: impl Fn(usize, usize) -> N,
) -> N {
    let half = T::lit(0.5);
    match constraint {
        Constraint::Orthonormal => rates(i, j).times(half),
        Constraint::GramSchmidt if i == j => rates(i, i).times(half),
        Constraint::GramSchmidt if i < j => rates(i, j),
        Constraint::GramSchmidt | Constraint::None | Constraint::Sphere => N::zero(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covariance() -> DMatrix<f64> {
        DMatrix::from_row_slice(3, 3, &[1.3, 0.2, -0.4, 0.2, 0.9, 0.1, -0.4, 0.1, 1.1])
    }

    #[test]
    fn corrections_lead_to_the_constraint() {
        let r = covariance();
        for constraint in [Constraint::Sphere, Constraint::Orthonormal, Constraint::GramSchmidt] {
            let c = constraint.correction(&r).unwrap();
            let after = c.transpose() * &r * &c;
            assert!(after.diagonal().iter().all(|x| (x - 1.0).abs() < 1e-14));
            assert_eq!((&after - DMatrix::identity(3, 3)).amax() < 1e-14, constraint.fixes_covariance());
        }
        let symmetric = Constraint::Orthonormal.correction(&r).unwrap();
        assert!((&symmetric - symmetric.transpose()).amax() < 1e-15);
        let triangular = Constraint::GramSchmidt.correction(&r).unwrap();
        assert!(triangular[(1, 0)] == 0.0 && triangular[(2, 0)] == 0.0 && triangular[(2, 1)] == 0.0);
        let one = DMatrix::from_element(1, 1, 4.0);
        for constraint in [Constraint::Sphere, Constraint::Orthonormal, Constraint::GramSchmidt] {
            assert_eq!(constraint.correction(&one).unwrap()[0], 0.5);
        }
    }

    #[test]
    fn what_cannot_be_corrected_is_none() {
        let singular = DMatrix::from_element(2, 2, 1.0);
        let bad = DMatrix::from_element(2, 2, f64::NAN);
        for constraint in [Constraint::Orthonormal, Constraint::GramSchmidt] {
            assert!(constraint.correction(&bad).is_none());
            let correction = constraint.correction(&singular);
            assert!(correction.is_none(), "{constraint:?}");
        }
        assert!(Constraint::Sphere.correction(&DMatrix::<f64>::zeros(1, 1)).is_none());
    }

    /// The derivative of the correction of I + dR t at t = 0 is −X.
    #[test]
    fn the_pull_is_the_rate_of_the_correction() {
        let rates = covariance();
        let step = 1e-6;
        for constraint in [Constraint::Orthonormal, Constraint::GramSchmidt] {
            let at = |t: f64| constraint.correction(&(DMatrix::identity(3, 3) + &rates * t)).unwrap();
            let derivative = (at(step) - at(-step)) / (2.0 * step);
            let x = DMatrix::from_fn(3, 3, |i, j| pull::<f64, f64>(constraint, (i, j), |i, j| rates[(i, j)]));
            assert!((derivative + x).amax() < 1e-9, "{constraint:?}");
        }
    }
}
