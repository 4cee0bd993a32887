//! A neighbourhood of a stable fixed point from which every trajectory is drawn into it, by Lyapunov's direct method.
//!
//! With the Jacobian J in scaled coordinates and P the solution of JᵀP + PJ = −I, V(x) = xᵀPx falls near the point as
//! dV/dt = −|x|². How far from it that goes on is found from the rates themselves.

use nalgebra::{Cholesky, DMatrix, DVector, Dyn};

use crate::Scalar;
use crate::integrate::System;
use crate::limit::Compiled;
use crate::numerics::matrix::smallest_eigenvalue;
use crate::numerics::normal::normal_quantile;
use crate::numerics::sobol::uniform;
use crate::ode::{OdeSystem, ReducedOde};
use crate::stability::regions::RegionsError;
use crate::stability::regions::newton::{Frame, Root, polish};
use crate::stability::regions::symmetry::Image;
use crate::state::{OrderParameters, unpack};

/// The part of the linear decay −|x|² of V that must be left everywhere in the neighbourhood.
const MARGIN: f64 = 0.25;
/// The part that must be left on the points of a second, denser check.
const SECOND_MARGIN: f64 = 0.2;
/// Shells, as parts of the radius, on which dV/dt is checked.
const SHELLS: [f64; 4] = [1.0, 0.8, 0.6, 0.35];
/// Directions per coordinate of the first check; the second takes four times as many.
const DIRECTIONS: usize = 24;
/// Radii tried, each this part of the one before.
const SHRINKAGE: f64 = 0.8;
const MOST_RADII: usize = 60;

/// An ellipsoid {V(x) ≤ V₀} around a stable fixed point of the reduced ODE, x the deviation from it in coordinates
/// scaled by the point's own size (Q_li by √R_ii, R_ij by √(R_ii R_jj)), in which V falls along every trajectory; so a
/// trajectory that enters never leaves and ends at the point.
///
/// What "certified" means here. V(x) = xᵀPx with JᵀP + PJ = −I, J the exact Jacobian at the point; such a positive
/// definite P exists iff the point is linearly stable. V₀ is the largest of a geometric sequence for which the true
/// rates f satisfy dV/dt = 2xᵀPf ≤ −|x|²/4 at every check point: on four shells of the ellipsoid, in the directions of
/// its axes and in 24 Sobol directions per coordinate; and again, with a factor 1/5, in four times as many others, so
/// that a radius at which the points are too few to see how dV/dt varies is refused. States outside the feasible set
/// R ≥ QᵀQ do not count; the set is convex and invariant. This is a dense numerical check with a margin, and no proof in
/// interval arithmetic.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbourhood<T: Scalar = f64> {
    center: OrderParameters<T>,
    packed: Vec<T>,
    /// V/V₀ as a form of packed deviations, n x n by rows; entries that cannot move have none.
    form: Vec<T>,
    /// The ellipsoid's half-widths along the packed entries: to reject at a glance.
    widths: Vec<T>,
    decay_rate: T,
    fastest_rate: T,
    checks: usize,
}

impl<T: Compiled> Neighbourhood<T> {
    /// The neighbourhood of the stable fixed point near `guess`, which is first polished by Newton's method.
    ///
    /// # Errors
    /// [`RegionsError::NotFixed`] if Newton's method finds no root from there; [`RegionsError::Unstable`] if it is not
    /// linearly stable; [`RegionsError::NoNeighbourhood`] if dV/dt is not negative around it on any scale;
    /// [`RegionsError::Limit`] from the averages.
    pub fn certify(ode: &ReducedOde<'_, T>, guess: &OrderParameters<T>) -> Result<Self, RegionsError<T>> {
        let root = polish(ode, guess)?.ok_or_else(|| RegionsError::NotFixed { guess: guess.clone() })?;
        Self::around(ode, &root)
    }

    pub(super) fn around(ode: &ReducedOde<'_, T>, root: &Root<T>) -> Result<Self, RegionsError<T>> {
        let (p, m) = (ode.limit().n_features(), ode.limit().n_neurons());
        let center = root.state(p, m);
        let unstable = || RegionsError::Unstable { point: center.clone() };
        let weights = lyapunov(&root.jacobian).ok_or_else(unstable)?;
        let factor = Cholesky::new(weights.clone()).ok_or_else(unstable)?;
        let search = Search { frame: &root.frame, weights: &weights, factor: &factor, packed: &root.packed };
        let (radius, checks) = search
            .radius(&mut ode.system(&center)?)?
            .ok_or_else(|| RegionsError::NoNeighbourhood { point: center.clone() })?;
        let n = root.packed.len();
        let (mut form, mut widths) = (vec![T::zero(); n * n], vec![T::lit(f64::INFINITY); n]);
        let inverse = factor.inverse();
        // dV/dt ≤ −margin·|x|² ≤ −margin·V/|P|, with 1/|P| the smallest eigenvalue of the inverse.
        let decay_rate = T::lit(SECOND_MARGIN) * smallest_eigenvalue(&inverse);
        let Frame { free, scales } = &root.frame;
        for (i, &row) in free.iter().enumerate() {
            for (j, &column) in free.iter().enumerate() {
                form[row * n + column] = weights[(i, j)] / (scales[row] * scales[column] * radius * radius);
            }
            widths[row] = radius * inverse[(i, i)].sqrt() * scales[row];
        }
        Ok(Self {
            packed: root.packed.clone(),
            center,
            form,
            widths,
            decay_rate,
            fastest_rate: root.jacobian.norm(),
            checks,
        })
    }

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
    pub(super) fn fastest_rate(&self) -> T {
        self.fastest_rate
    }

    pub(super) fn packed(&self) -> &[T] {
        &self.packed
    }

    /// V/V₀ at a packed state.
    pub(super) fn level_of(&self, y: &[T]) -> T {
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

    /// Whether V ≤ share·V₀, for a share of at most 1.
    pub(super) fn holds(&self, y: &[T], share: T) -> bool {
        let near = y.iter().zip(&self.packed).zip(&self.widths).all(|((&y, &c), &width)| (y - c).abs() <= width);
        near && self.level_of(y) <= share
    }

    /// The same around the image of the point.
    pub(super) fn image(&self, image: &Image) -> Self {
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

/// The linearly stable fixed point near `guess`, without its neighbourhood.
pub(in crate::stability) fn linearly_stable_root<T: Compiled>(
    ode: &ReducedOde<'_, T>,
    guess: &OrderParameters<T>,
) -> Result<OrderParameters<T>, RegionsError<T>> {
    let root = polish(ode, guess)?.ok_or_else(|| RegionsError::NotFixed { guess: guess.clone() })?;
    let point = root.state(guess.n_features(), guess.n_neurons());
    // P is positive definite iff every eigenvalue of J has a negative real part (Lyapunov).
    let stable = lyapunov(&root.jacobian).and_then(Cholesky::new).is_some();
    if stable { Ok(point) } else { Err(RegionsError::Unstable { point }) }
}

/// The symmetric P with JᵀP + PJ = −I, from its n(n + 1)/2 equations; `None` if they are singular.
fn lyapunov<T: Compiled>(jacobian: &DMatrix<T>) -> Option<DMatrix<T>> {
    let n = jacobian.nrows();
    let pairs: Vec<(usize, usize)> = (0..n).flat_map(|i| (i..n).map(move |j| (i, j))).collect();
    let index = |i: usize, j: usize| {
        let (i, j) = (i.min(j), i.max(j));
        i * n - i * (i + 1) / 2 + j
    };
    let mut system = DMatrix::zeros(pairs.len(), pairs.len());
    let mut right = DVector::zeros(pairs.len());
    for (row, &(i, j)) in pairs.iter().enumerate() {
        for k in 0..n {
            system[(row, index(k, j))] += jacobian[(k, i)];
            system[(row, index(i, k))] += jacobian[(k, j)];
        }
        right[row] = if i == j { -T::one() } else { T::zero() };
    }
    let solution = system.lu().solve(&right)?;
    solution.iter().all(nalgebra::ComplexField::is_finite).then(|| DMatrix::from_fn(n, n, |i, j| solution[index(i, j)]))
}

/// Looks for the largest radius √V₀.
struct Search<'s, T: Scalar> {
    frame: &'s Frame<T>,
    weights: &'s DMatrix<T>,
    factor: &'s Cholesky<T, Dyn>,
    packed: &'s [T],
}

impl<T: Compiled> Search<'_, T> {
    /// The radius and the number of states checked, or none.
    fn radius(&self, system: &mut OdeSystem<'_, '_, T>) -> Result<Option<(T, usize)>, RegionsError<T>> {
        let n = self.frame.free.len();
        let first: Vec<DVector<T>> = self.directions(DIRECTIONS * n, 0x5EED).collect();
        let second: Vec<DVector<T>> = self.directions(4 * DIRECTIONS * n, 0xC0DE).collect();
        // Twice the size of the point along its own coordinates is further than any neighbourhood reaches.
        let inverse = self.factor.inverse();
        let longest = (0..n).fold(T::zero(), |s, i| s.max(inverse[(i, i)])).sqrt();
        let mut radius = T::lit(2.0) / longest;
        let mut checks = 0;
        for _ in 0..MOST_RADII {
            let falls = self.falls(system, radius, &first, T::lit(MARGIN), &mut checks)?
                && self.falls(system, radius, &second, T::lit(SECOND_MARGIN), &mut checks)?;
            if falls {
                return Ok(Some((radius, checks)));
            }
            radius *= T::lit(SHRINKAGE);
        }
        Ok(None)
    }

    /// Deviations on the unit ellipsoid V = 1: along the axes of the coordinates in which it is a sphere, then Sobol points.
    fn directions(&self, count: usize, scramble: u32) -> impl Iterator<Item = DVector<T>> {
        let n = self.frame.free.len();
        let axes = (0..2 * n).map(move |k| {
            let mut axis = DVector::zeros(n);
            axis[k / 2] = if k % 2 == 0 { T::one() } else { -T::one() };
            axis
        });
        let spread = (0..count).filter_map(move |index| {
            let normal = |d: usize| T::lit(normal_quantile(uniform(index, d, scramble)));
            let point = DVector::from_fn(n, |d, _| normal(d));
            let norm = point.norm();
            (norm > T::zero()).then(|| point / norm)
        });
        // V = |Lᵀx|² for P = L Lᵀ.
        let upper = self.factor.l().transpose();
        axes.chain(spread).filter_map(move |u| upper.solve_upper_triangular(&u))
    }

    /// Whether dV/dt ≤ −margin·|x|² at every feasible check point of that radius.
    fn falls(
        &self,
        system: &mut OdeSystem<'_, '_, T>,
        radius: T,
        directions: &[DVector<T>],
        margin: T,
        checks: &mut usize,
    ) -> Result<bool, RegionsError<T>> {
        let mut y = self.packed.to_vec();
        let mut rates = vec![T::zero(); y.len()];
        for &shell in &SHELLS {
            for direction in directions {
                for (&at, &x) in self.frame.free.iter().zip(direction.iter()) {
                    y[at] = self.packed[at] + T::lit(shell) * radius * x * self.frame.scales[at];
                }
                if !system.is_feasible(&y) {
                    continue;
                }
                // Chooses the quadrature rule anew where the state asks for it.
                system.accepted(T::zero(), &y)?;
                system.rates(T::zero(), &y, &mut rates)?;
                *checks += 1;
                let x = direction * (T::lit(shell) * radius);
                let slope = T::lit(2.0) * (self.weights * &x).dot(&self.frame.coordinates(&|k| rates[k]));
                if !(slope <= -margin * x.norm_squared()) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// J = [[−1, a], [0, −2]] has P in closed form.
    #[test]
    fn the_lyapunov_equation_is_solved() {
        let a = 3.0;
        let jacobian = DMatrix::from_row_slice(2, 2, &[-1.0, a, 0.0, -2.0]);
        let p = lyapunov::<f64>(&jacobian).unwrap();
        let want = DMatrix::from_row_slice(2, 2, &[0.5, a / 6.0, a / 6.0, 0.25 + a * a / 12.0]);
        assert!((&p - &want).amax() < 1e-14, "{p}");
        assert!((jacobian.transpose() * &p + &p * &jacobian + DMatrix::identity(2, 2)).amax() < 1e-14);
        // An undamped rotation has none.
        assert!(
            lyapunov(&DMatrix::from_row_slice(2, 2, &[0.0, 1.0, -1.0, 0.0]))
                .is_none_or(|p: DMatrix<f64>| p.cholesky().is_none())
        );
    }
}
