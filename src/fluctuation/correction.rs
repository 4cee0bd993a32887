//! What the mean of runs at finite N differs by from the ODE, to order 1/N (theory §7).
//!
//! With δ/N this difference, dδ/dt = Jδ + ½ f'':Σ + f₁ − ½ J f: the curvature of the rates f over the fluctuations, the part f₁/N² of the
//! mean step of the exact chain (theory §8) beyond f/N, and the difference of steps of length 1/N from a flow.

use nalgebra::{DMatrix, DVector};

use crate::Scalar;
use crate::fluctuation::Fluctuations;
use crate::fluctuation::noise::{free_map, projected};
use crate::limit::{Compiled, Increments};
use crate::model::Constraint;
use crate::numerics::eigen::symmetric_eigen;
use crate::numerics::linear::pseudo_inverse;
use crate::numerics::matrix::smallest_eigenvalue;
use crate::stability::pairs;
use crate::state::{OrderParameters, unpack};

/// A step is at most that part of the distance to where a function ends.
const INSIDE: f64 = 0.2;

/// ½ Σ_ab C_ab ∂²f/∂y_a∂y_b of a function of a packed state, by differences of fourth order along the principal axes of C, over steps that
/// keep to a ball of radius `room` around it. `None` where the axes are not found, or there is no room.
pub(super) fn half_curvature<T: Scalar, E>(
    y: &[T],
    (covariance, room): (&DMatrix<T>, T),
    mut function: impl FnMut(&[T]) -> Result<DVector<T>, E>,
) -> Result<Option<DVector<T>>, E> {
    let centre = function(y)?;
    let mut sum = DVector::zeros(centre.len());
    let Some(eigen) = symmetric_eigen(covariance.clone()) else { return Ok(None) };
    let least = T::EPSILON * eigen.eigenvalues.amax();
    // ε^(1/6) balances the truncation error h⁴ against the rounding error ε/h².
    let best = T::EPSILON.cbrt().sqrt();
    let step = best.min(T::lit(INSIDE) * room);
    if !(step > best * best) {
        return Ok(None);
    }
    for (vector, &value) in eigen.eigenvectors.column_iter().zip(&eigen.eigenvalues) {
        if value.abs() <= least {
            continue;
        }
        let mut at = |k: f64| {
            let moved: Vec<T> = y.iter().zip(&vector).map(|(&y, &v)| y + T::lit(k) * step * v).collect();
            function(&moved)
        };
        let near = at(1.0)? + at(-1.0)? - &centre * T::lit(2.0);
        let far = at(2.0)? + at(-2.0)? - &centre * T::lit(2.0);
        let second = (near * T::lit(16.0) - far) / (T::lit(12.0) * step * step);
        sum += second * (value * T::lit(0.5));
    }
    Ok(Some(sum))
}

impl<T: Compiled> Fluctuations<'_, '_, T> {
    /// f₁ at a state: N² times the mean of a step less N times the rates, up to order 1/N.
    pub(super) fn second_order_drift(&self, state: &OrderParameters<T>, increments: &Increments<T>) -> DVector<T> {
        let (p, m, n) = (state.n_features(), state.n_neurons(), state.packed_len());
        let decay = self.ode.decay();
        let Increments { mean, covariance } = increments;
        let square = covariance + mean * mean.transpose();
        let background = state.background();
        let inverse = pseudo_inverse(&background).unwrap_or_else(|| DMatrix::zeros(m, m));
        // Its rank, to rounding.
        let rank = (&inverse * &background).trace().round();
        let b = |j: usize, i: usize| (p + j) * m + i;
        // Of h_k less Qᵀx̃ with neuron i, at k·m + i: rows beside the increments.
        let mut along = DMatrix::zeros(m * m, mean.len());
        for (k, i) in (0..m).flat_map(|k| (0..m).map(move |i| (k, i))) {
            along[(k * m + i, b(k, i))] = T::one();
            (0..p).for_each(|l| along[(k * m + i, l * m + i)] -= state.q()[(l, k)]);
        }
        let along = &along * &square * along.transpose();
        let mut out = DVector::zeros(n);
        for (at, (i, j)) in pairs(m).enumerate() {
            let features: T = (0..p).map(|l| square[(l * m + i, l * m + j)]).sum();
            let mut rest = T::zero();
            for (k, l) in (0..m).flat_map(|k| (0..m).map(move |l| (k, l))) {
                rest += inverse[(k, l)] * along[(k * m + i, l * m + j)];
            }
            let lambda = mean[(p + m) * m + at];
            let known = (T::of_usize(p) + rank) * lambda;
            let decayed = decay * decay * state.r()[(i, j)] - decay * (mean[b(i, j)] + mean[b(j, i)]);
            out[p * m + at] = decayed + features + rest - known;
        }
        if self.ode.constraint() == Constraint::None {
            return out;
        }
        // Back to the constraint, of which the second derivatives count.
        let packed = state.to_packed();
        let map = free_map(p, m);
        let mut moments = projected(&map, covariance);
        let drift = &map * mean - &packed_decay(&packed, p * m, decay);
        moments += &drift * drift.transpose();
        self.projection(state) * out + self.constraint_curvature(state, &moments)
    }

    /// ½ Σ_ab C_ab ∂²c/∂s_a∂s_b of the map c that brings a state back to the constraint; NaN where it has none.
    pub(super) fn constraint_curvature(&self, state: &OrderParameters<T>, covariance: &DMatrix<T>) -> DVector<T> {
        let (p, m, n) = (state.n_features(), state.n_neurons(), state.packed_len());
        let constrained = |y: &[T]| -> Result<DVector<T>, std::convert::Infallible> {
            let (q, r) = unpack(p, m, y);
            let nan = || DMatrix::from_element(m, m, T::lit(f64::NAN));
            let correction = self.ode.constraint().correction(&r).unwrap_or_else(nan);
            let state = OrderParameters::from_parts(&q * &correction, correction.tr_mul(&r) * &correction);
            Ok(state.to_packed())
        };
        let room = smallest_eigenvalue(state.r());
        let Ok(curved) = half_curvature(state.to_packed().as_slice(), (covariance, room), constrained);
        curved.unwrap_or_else(|| DVector::from_element(n, T::lit(f64::NAN)))
    }
}

/// The rates of decay: τγQ and 2τγR.
fn packed_decay<T: Scalar>(packed: &DVector<T>, overlaps: usize, decay: T) -> DVector<T> {
    let factor = |k: usize| if k < overlaps { decay } else { T::lit(2.0) * decay };
    DVector::from_fn(packed.len(), |k, _| factor(k) * packed[k])
}
