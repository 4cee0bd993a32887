//! How far around a stable fixed point V falls, by Lyapunov's direct method.
//!
//! Covers the search for the radius of a [`Neighbourhood`]. Not here: the neighbourhood itself.
//!
//! With the Jacobian J in scaled coordinates and P the solution of JᵀP + PJ = −I, V(x) = xᵀPx falls near the point as
//! dV/dt = −|x|². How far from it that goes on is found from the rates themselves.

use nalgebra::{Cholesky, DMatrix, DVector, Dyn};

use crate::Scalar;
use crate::integrate::System;
use crate::limit::Compiled;
use crate::numerics::lyapunov::lyapunov;
use crate::numerics::matrix::smallest_eigenvalue;
use crate::numerics::normal::normal_quantile;
use crate::numerics::sobol::uniform;
use crate::ode::{OdeSystem, ReducedOde};
use crate::stability::regions::error::RegionsError;
use crate::stability::regions::frame::Frame;
use crate::stability::regions::neighbourhood::Neighbourhood;
use crate::stability::regions::root::{Root, root};
use crate::state::OrderParameters;

/// The part of the linear decay −|x|² of V that must be left at every point of the first check: far from the radius at
/// which V no longer falls, so that points between those checked are safe.
const MARGIN: f64 = 0.25;
/// The part that must be left on the points of a second, denser check. It is less: among more points some are worse.
const SECOND_MARGIN: f64 = 0.2;
/// Shells, as parts of the radius, on which dV/dt is checked. Nearer to the point the linear decay is what there is.
const SHELLS: [f64; 4] = [1.0, 0.8, 0.6, 0.35];
/// Directions per coordinate of the first check.
const DIRECTIONS: usize = 24;
/// How many times as many the second takes.
const DENSER: usize = 4;
/// The scrambles of both sets of Sobol directions, two arbitrary numbers.
const SCRAMBLES: [u32; 2] = [0x5EED, 0xC0DE];
/// Radii tried, each this part of the one before.
const SHRINKAGE: f64 = 0.8;
/// Radii tried: down to 2e-6 of the first, where only rates that are not differentiable still defy the linear decay.
const MOST_RADII: usize = 60;
/// The first radius, in units of the point's own size along its coordinates: no neighbourhood reaches that far.
const FIRST_RADIUS: f64 = 2.0;

impl<T: Compiled> Neighbourhood<T> {
    /// The neighbourhood of the stable fixed point near `guess`, which is first polished by Newton's method.
    ///
    /// # Errors
    /// [`RegionsError::NotFixed`] if Newton's method finds no root from there; [`RegionsError::Unstable`] if it is not
    /// linearly stable; [`RegionsError::NoNeighbourhood`] if dV/dt is not negative around it on any scale;
    /// [`RegionsError::Limit`] from the averages.
    pub fn certify(ode: &ReducedOde<'_, T>, guess: &OrderParameters<T>) -> Result<Self, RegionsError<T>> {
        let root = root(ode, guess)?.ok_or_else(|| RegionsError::NotFixed { guess: guess.clone() })?;
        Self::around(ode, &root)
    }

    pub(crate) fn around(ode: &ReducedOde<'_, T>, root: &Root<T>) -> Result<Self, RegionsError<T>> {
        let center = root.state.clone();
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
        let first: Vec<DVector<T>> = self.directions(DIRECTIONS * n, SCRAMBLES[0]).collect();
        let second: Vec<DVector<T>> = self.directions(DENSER * DIRECTIONS * n, SCRAMBLES[1]).collect();
        let inverse = self.factor.inverse();
        let longest = (0..n).fold(T::zero(), |s, i| s.max(inverse[(i, i)])).sqrt();
        let mut radius = T::lit(FIRST_RADIUS) / longest;
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

    /// Deviations on the unit ellipsoid V = 1: along the axes of the coordinates in which it is a sphere, then Sobol
    /// points.
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
