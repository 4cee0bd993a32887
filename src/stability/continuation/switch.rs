//! Other branches through a branch point.
//!
//! Covers the directions in which they leave, and first points on them. Not here: how a branch is followed from there
//! (see `follow`).

use nalgebra::{DMatrix, DVector};

use crate::Scalar;
use crate::limit::Compiled;
use crate::numerics::linear::{SVD_ITERATIONS, ascending, svd};
use crate::stability::continuation::branch::{Bifurcation, BifurcationKind};
use crate::stability::continuation::corrector::bordered;
use crate::stability::continuation::error::ContinuationError;
use crate::stability::continuation::settings::Continuation;
use crate::stability::continuation::system::{AnySystem, ContinuationSystem};

/// Distances tried in each direction, each [`NEARER`] times the one before.
const DISTANCES: usize = 6;
/// See [`DISTANCES`]: down to a hundredth of the first.
const NEARER: f64 = 0.4;
/// A solution farther from its guess, in distances, belongs to another branch.
const FAR: f64 = 2.0;
/// Ways out whose directions have that cosine, 2.6°, are one.
const SAME_WAY: f64 = 0.999;
/// Weights with which pairs of null vectors are combined: features that share a neuron evenly, or one twice the other.
const COMBINATIONS: [(f64, f64); 3] = [(1.0, 1.0), (1.0, 2.0), (2.0, 1.0)];

/// A first point on another branch, near a branch point.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "T: serde::Serialize", deserialize = "T: serde::Deserialize<'de>"))
)]
pub struct Emanating<T: Scalar = f64> {
    /// λ.
    pub parameter: T,
    /// x.
    #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::vector"))]
    pub state: DVector<T>,
    /// The direction (dx, dλ/scale) away from the branch point, of norm 1.
    #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::vector"))]
    pub direction: DVector<T>,
}

/// Refuses what is no direction in so many coordinates.
pub(super) fn check_direction<T: Compiled, E>(
    expected: usize,
    direction: &DVector<T>,
) -> Result<(), ContinuationError<E>> {
    let norm = direction.norm();
    if direction.len() == expected && norm > T::zero() && norm.is_finite() {
        return Ok(());
    }
    Err(ContinuationError::Direction { expected, found: direction.len() })
}

impl<T: Compiled> Continuation<T> {
    /// First points on the branches that cross at a branch point, one for each way out (so two for a branch that
    /// passes through), at a distance of about the first step.
    ///
    /// Where a single eigenvalue crosses, every other branch leaves along the null vector of f_x up to a multiple of
    /// the tangent, and both ways are tried. Where several cross at once there are more ways than can be listed: tried
    /// are the null vectors in echelon form, and combinations of their pairs with weights 1:1, 1:2 and 2:1.
    ///
    /// # Errors
    /// [`ContinuationError::System`] if the system cannot be evaluated on any way out;
    /// [`ContinuationError::NoSolution`] if the point is no branch point; [`ContinuationError::Dimension`] and
    /// [`ContinuationError::Direction`] for a point of another system.
    pub fn switch<S: ContinuationSystem<T>>(
        &self,
        system: &mut S,
        point: &Bifurcation<T>,
    ) -> Result<Vec<Emanating<T>>, ContinuationError<S::Error>> {
        self.ways_out(system, point)
    }

    fn ways_out<E>(
        &self,
        system: &mut AnySystem<'_, T, E>,
        point: &Bifurcation<T>,
    ) -> Result<Vec<Emanating<T>>, ContinuationError<E>> {
        let BifurcationKind::BranchPoint { crossing } = point.kind else { return Err(ContinuationError::NoSolution) };
        let corrector = self.corrector();
        let n = point.state.len();
        if n != system.dimension() {
            return Err(ContinuationError::Dimension { expected: system.dimension(), found: n });
        }
        check_direction(n + 1, &point.tangent)?;
        let mut z = DVector::zeros(n + 1);
        z.rows_mut(0, n).copy_from(&point.state);
        z[n] = point.parameter / corrector.scale;
        let slopes = corrector.slopes(system, &z).map_err(ContinuationError::System)?;
        let mut found: Vec<(DVector<T>, Emanating<T>)> = Vec::new();
        let mut failure = None;
        for direction in directions(&bordered(&slopes, &point.tangent), crossing) {
            for sign in [T::one(), -T::one()] {
                let mut distance = self.first_step;
                for _ in 0..DISTANCES {
                    let along = &direction * sign;
                    let guess = &z + &along * distance;
                    // Too far out the system may not exist.
                    let corrected = match corrector.correct(system, &guess, &along) {
                        Ok(corrected) => corrected,
                        Err(error) => {
                            failure = Some(error);
                            None
                        }
                    };
                    let near = corrected.filter(|c| {
                        (&c.z - &guess).norm() <= T::lit(FAR) * distance
                            && system.is_admissible(&c.z.as_slice()[..n], corrector.parameter(&c.z))
                    });
                    let Some(corrected) = near else {
                        distance *= T::lit(NEARER);
                        continue;
                    };
                    let away = (&corrected.z - &z).normalize();
                    if !found.iter().any(|(known, _)| known.dot(&away) > T::lit(SAME_WAY)) {
                        let start = Emanating {
                            parameter: corrector.parameter(&corrected.z),
                            state: corrected.z.rows(0, n).into_owned(),
                            direction: away.clone(),
                        };
                        found.push((away, start));
                    }
                    break;
                }
            }
        }
        match failure {
            Some(error) if found.is_empty() => Err(ContinuationError::System(error)),
            _ => Ok(found.into_iter().map(|(_, start)| start).collect()),
        }
    }
}

/// Unit null vectors of [f_x f_μ; tangent] to try: a basis of the space of the `count` smallest singular values in
/// echelon form, and combinations of its pairs.
fn directions<T: Scalar>(matrix: &DMatrix<T>, count: usize) -> Vec<DVector<T>> {
    let Some(svd) = svd(matrix.clone(), (false, true), SVD_ITERATIONS) else { return Vec::new() };
    let Some(rows) = svd.v_t else { return Vec::new() };
    let order = ascending(svd.singular_values.as_slice());
    let mut basis: Vec<DVector<T>> = order.iter().take(count.max(1)).map(|&k| rows.row(k).transpose()).collect();
    for pivot in 0..basis.len() {
        let largest = basis[pivot].iamax();
        let scale = basis[pivot][largest];
        basis[pivot] /= scale;
        for other in (0..basis.len()).filter(|&other| other != pivot) {
            let share = basis[other][largest];
            let take = &basis[pivot] * share;
            basis[other] -= take;
        }
    }
    let units: Vec<DVector<T>> = basis.iter().map(DVector::normalize).collect();
    let mut directions = units.clone();
    for a in 0..units.len() {
        for b in a + 1..units.len() {
            for (x, y) in COMBINATIONS {
                let (x, y) = (&units[a] * T::lit(x), &units[b] * T::lit(y));
                directions.extend([(&x + &y).normalize(), (x - y).normalize()]);
            }
        }
    }
    directions
}
