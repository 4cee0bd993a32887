//! A neighbourhood of a stable fixed point that every trajectory in it never leaves.
//!
//! Covers the ellipsoid, what lies in it, and its images under symmetries. Not here: how large it is (see `certify`).

use crate::Scalar;
use crate::stability::fixed_point::PackedMap;
use crate::state::{OrderParameters, unpack};

/// An ellipsoid {V(x) ≤ V₀} around a stable fixed point of the reduced ODE, x the deviation from it in coordinates
/// scaled by the point's own size (Q_li by √R_ii, R_ij by √(R_ii R_jj)), in which V falls along every trajectory; so a
/// trajectory that enters never leaves and ends at the point.
///
/// What "certified" means here. V(x) = xᵀPx with JᵀP + PJ = −I, J the exact Jacobian at the point; such a positive
/// definite P exists iff the point is linearly stable. V₀ is the largest of a geometric sequence for which the true
/// rates f satisfy dV/dt = 2xᵀPf ≤ −|x|²/4 at every check point: on four shells of the ellipsoid, in the directions of
/// its axes and in 24 Sobol directions per coordinate; and again, with a factor 1/5, in four times as many others, so
/// that a radius at which the points are too few to see how dV/dt varies is refused. States outside the feasible set R
/// ≥ QᵀQ do not count; the set is convex and invariant. This is a dense numerical check with a margin, and no proof in
/// interval arithmetic.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbourhood<T: Scalar = f64> {
    pub(in crate::stability::regions) center: OrderParameters<T>,
    pub(in crate::stability::regions) packed: Vec<T>,
    /// V/V₀ as a form of packed deviations, n x n by rows; entries that cannot move have none.
    pub(in crate::stability::regions) form: Vec<T>,
    /// The ellipsoid's half-widths along the packed entries: to reject at a glance.
    pub(in crate::stability::regions) widths: Vec<T>,
    pub(in crate::stability::regions) decay_rate: T,
    pub(in crate::stability::regions) fastest_rate: T,
    pub(in crate::stability::regions) checks: usize,
}

impl<T: Scalar> Neighbourhood<T> {
    /// The fixed point, polished.
    #[must_use]
    pub fn center(&self) -> &OrderParameters<T> {
        &self.center
    }

    /// V/V₀ at a state: 0 at the point, at most 1 in the neighbourhood. NaN for a state of another shape.
    #[must_use]
    pub fn level(&self, state: &OrderParameters<T>) -> T {
        if (state.n_features(), state.n_neurons()) != (self.center.n_features(), self.center.n_neurons()) {
            return T::lit(f64::NAN);
        }
        self.level_of(state.to_packed().as_slice())
    }

    /// Whether the state lies in the neighbourhood.
    #[must_use]
    pub fn contains(&self, state: &OrderParameters<T>) -> bool {
        self.level(state) <= T::one()
    }

    /// The state at V = V₀ in direction `direction` of packed deviations from the point; `None` for a direction that is
    /// zero, of another length, or along which nothing can move.
    #[must_use]
    pub fn surface(&self, direction: &[T]) -> Option<Vec<T>> {
        if direction.len() != self.packed.len() {
            return None;
        }
        let at = |size: T| self.packed.iter().zip(direction).map(|(&c, &d)| c + size * d).collect::<Vec<T>>();
        let size = T::one() / self.level_of(&at(T::one())).sqrt();
        size.is_finite().then(|| at(size))
    }

    /// A rate κ at which V certainly falls in the neighbourhood: V(t) ≤ V(0) exp(−κt).
    #[must_use]
    pub fn decay_rate(&self) -> T {
        self.decay_rate
    }

    /// The states at which dV/dt was checked.
    #[must_use]
    pub fn checks(&self) -> usize {
        self.checks
    }

    /// The norm of the Jacobian there: no linear mode is faster.
    pub(crate) fn fastest_rate(&self) -> T {
        self.fastest_rate
    }

    pub(crate) fn packed(&self) -> &[T] {
        &self.packed
    }

    /// V/V₀ at a packed state.
    pub(crate) fn level_of(&self, y: &[T]) -> T {
        let n = self.packed.len();
        let mut level = T::zero();
        for i in 0..n {
            let mut along = T::zero();
            for j in 0..n {
                along += self.form[i * n + j] * (y[j] - self.packed[j]);
            }
            level += along * (y[i] - self.packed[i]);
        }
        level
    }

    /// Whether V ≤ V₀ at a packed state.
    pub(crate) fn holds(&self, y: &[T]) -> bool {
        let near = y.iter().zip(&self.packed).zip(&self.widths).all(|((&y, &c), &width)| (y - c).abs() <= width);
        near && self.level_of(y) <= T::one()
    }

    /// The same around the image of the point.
    pub(crate) fn image(&self, image: &PackedMap) -> Self {
        let n = self.packed.len();
        let sign = |k: usize| if image.negative[k] { -T::one() } else { T::one() };
        let packed = image.apply(&self.packed);
        let (q, r) = unpack(self.center.n_features(), self.center.n_neurons(), &packed);
        let form = |at: usize| {
            let (i, j) = (at / n, at % n);
            sign(i) * sign(j) * self.form[image.source[i] * n + image.source[j]]
        };
        Self {
            center: OrderParameters::from_parts(q, r),
            packed,
            form: (0..n * n).map(form).collect(),
            widths: image.source.iter().map(|&at| self.widths[at]).collect(),
            ..self.clone()
        }
    }
}
