//! Which pairs (Q, R) are states: R symmetric, R − QᵀQ positive semidefinite, on the sphere R_ii = 1, and R = I of
//! orthonormal neurons.
//!
//! Covers the checks and their tolerances. Not here: the state itself (see `order_parameters`).

use nalgebra::DMatrix;

use crate::Scalar;
use crate::numerics::matrix::{Indefinite, smallest_eigenvalue, square_root};
use crate::state::{OrderParameters, OrderParametersError};

/// How negative R − QᵀQ may be in a state that is given, in ulp and in units of its neurons: what the products of which such
/// matrices are made lose by rounding, with room for thousands of terms.
const GIVEN: f64 = 1e4;

/// How negative R − QᵀQ may be in a state that an integrator reached, in units of the largest R_ii: errors of coefficients
/// follow their largest entry, and add up along the way.
const REACHED: f64 = 1e-6;

/// The same in ulp, where it is more: in single precision.
const REACHED_ULPS: f64 = 1e3;

/// By how many ulp mirror-image entries of R may differ, in units of its neurons.
const ASYMMETRY: f64 = 64.0;

/// By how many ulp R_ii may differ from 1 on the sphere.
const OFF_SPHERE: f64 = 1e4;

/// The unit in which errors of neuron i are measured: R_ii, but at least 1 or, if that is less, the largest of all. So an
/// entry is not excused by a large one elsewhere, nor held to digits that it does not have.
fn units<T: Scalar>(r: &DMatrix<T>) -> Vec<T> {
    let floor = largest(r).min(T::one()).max(T::EPSILON);
    r.diagonal().iter().map(|r| r.abs().max(floor)).collect()
}

fn largest<T: Scalar>(r: &DMatrix<T>) -> T {
    r.diagonal().iter().fold(T::zero(), |largest, r| largest.max(r.abs()))
}

/// Checks that mirror-image entries are equal to rounding.
pub(super) fn check_symmetric<T: Scalar>(r: &DMatrix<T>) -> Result<(), OrderParametersError> {
    let units = units(r);
    for i in 0..r.nrows() {
        for j in 0..i {
            let difference = (r[(i, j)] - r[(j, i)]).abs();
            if difference > T::lit(ASYMMETRY) * T::EPSILON * (units[i] * units[j]).sqrt() {
                let difference = difference.as_f64();
                return Err(OrderParametersError::NotSymmetric { row: i, column: j, difference });
            }
        }
    }
    Ok(())
}

impl<T: Scalar> OrderParameters<T> {
    /// How negative the smallest eigenvalue of R − QᵀQ may be where one number is wanted for all neurons.
    pub(crate) fn feasibility_tolerance(&self) -> T {
        T::lit(GIVEN) * T::EPSILON * largest(self.r())
    }

    /// Checks that a state that was given is feasible: the smallest eigenvalue of R − QᵀQ, with neuron i in units of √R_ii,
    /// is not below zero by more than rounding.
    pub(crate) fn check_given(&self) -> Result<(), OrderParametersError> {
        let units = units(self.r());
        let mut scaled = self.background();
        for i in 0..units.len() {
            for j in 0..units.len() {
                scaled[(i, j)] /= (units[i] * units[j]).sqrt();
            }
        }
        check_eigenvalue(&scaled, T::lit(GIVEN) * T::EPSILON)
    }

    /// How negative the smallest eigenvalue of R − QᵀQ may be for its square root: twice what passes
    /// [`check_given`](Self::check_given), which is in units of the neurons.
    pub(crate) fn root_tolerance(&self) -> T {
        T::lit(2.0 * GIVEN) * T::EPSILON * largest(self.r()).max(T::EPSILON)
    }

    /// The symmetric square root of R − QᵀQ, of which what is negative by no more than rounding counts as 0.
    pub(crate) fn background_root(&self) -> Result<DMatrix<T>, OrderParametersError> {
        let tolerance = self.root_tolerance();
        square_root(&self.background(), tolerance).map_err(|Indefinite { eigenvalue }| {
            OrderParametersError::Infeasible { eigenvalue: eigenvalue.as_f64(), tolerance: tolerance.as_f64() }
        })
    }

    /// Checks that a state that an integrator reached is feasible, up to what its error explains.
    pub(crate) fn check_reached(&self) -> Result<(), OrderParametersError> {
        let tolerance = T::lit(REACHED).max(T::lit(REACHED_ULPS) * T::EPSILON);
        check_eigenvalue(&self.background(), tolerance * largest(self.r()).max(T::EPSILON))
    }

    /// Checks that R_ii = 1 for every neuron, to 10⁴ ulp: what the sphere constraint asks of a start.
    ///
    /// # Errors
    /// [`OrderParametersError::OffSphere`], which tells how to get there.
    pub fn check_on_sphere(&self) -> Result<(), OrderParametersError> {
        self.r().diagonal().iter().enumerate().try_for_each(|(neuron, &value)| check_on_sphere(neuron, value))
    }
}

impl<T: Scalar> OrderParameters<T> {
    /// Checks that R = I, to 10⁴ ulp: what orthonormal neurons must start with.
    ///
    /// # Errors
    /// [`OrderParametersError::OffSphere`] and [`OrderParametersError::NotOrthogonal`], which tell how to get there.
    pub fn check_orthonormal(&self) -> Result<(), OrderParametersError> {
        self.check_on_sphere()?;
        (0..self.n_neurons())
            .flat_map(|i| (0..i).map(move |j| (j, i)))
            .try_for_each(|at| check_orthogonal(at, self.r()[at]))
    }
}

/// Checks that R_ij = 0, as a start of orthonormal neurons must have it.
pub(crate) fn check_orthogonal<T: Scalar>((i, j): (usize, usize), value: T) -> Result<(), OrderParametersError> {
    if value.abs() <= T::lit(OFF_SPHERE) * T::EPSILON {
        return Ok(());
    }
    Err(OrderParametersError::NotOrthogonal { neurons: (i, j), value: value.as_f64() })
}

/// Checks that R_ii = 1 for neuron i, as a start under the sphere constraint must have it.
pub(crate) fn check_on_sphere<T: Scalar>(neuron: usize, value: T) -> Result<(), OrderParametersError> {
    if (value - T::one()).abs() <= T::lit(OFF_SPHERE) * T::EPSILON {
        return Ok(());
    }
    Err(OrderParametersError::OffSphere { neuron, value: value.as_f64() })
}

fn check_eigenvalue<T: Scalar>(background: &DMatrix<T>, tolerance: T) -> Result<(), OrderParametersError> {
    let eigenvalue = smallest_eigenvalue(background);
    if !(eigenvalue >= -tolerance) {
        let (eigenvalue, tolerance) = (eigenvalue.as_f64(), tolerance.as_f64());
        return Err(OrderParametersError::Infeasible { eigenvalue, tolerance });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(q: [f64; 2], r: [f64; 4]) -> Result<OrderParameters, OrderParametersError> {
        OrderParameters::from_rows(1, 2, &q, &r)
    }

    #[test]
    fn a_neuron_is_not_excused_by_a_large_one() {
        let infeasible = |result: Result<_, _>| matches!(result, Err(OrderParametersError::Infeasible { .. }));
        assert!(infeasible(state([0.0, 0.0], [1e12, 0.0, 0.0, -1.0])));
        assert!(infeasible(state([0.0, 1.1], [1e12, 0.0, 0.0, 1.0])));
        assert!(infeasible(state([0.0, 0.0], [1e12, 1.1e6, 1.1e6, 1.0])), "a correlation of 1.1");
        assert!(state([1e6, 1.0], [1e12, 1e6, 1e6, 1.0]).is_ok(), "the boundary");
        let skew = state([0.0, 0.0], [1e12, 0.0, 1e-4, 1.0]);
        assert!(matches!(skew, Err(OrderParametersError::NotSymmetric { .. })));
    }

    #[test]
    fn rounding_is_excused_where_it_comes_from() {
        // A neuron that has decayed to rounding beside one of order one.
        assert!(state([0.5, 1e-9], [1.0, 0.0, 0.0, -1e-18]).is_ok());
        assert!(state([0.0, 0.0], [0.0; 4]).is_ok());
        assert!(state([0.0, 1e-6], [0.0; 4]).is_err());
        // Small states are held to their own size.
        assert!(state([1e-6, 0.0], [1e-13, 0.0, 0.0, 1e-13]).is_err());
    }

    #[test]
    fn what_an_integrator_reached_may_be_off_by_its_error() {
        let reached =
            |r: f64| OrderParameters::from_parts(DMatrix::from_element(1, 1, 1.0), DMatrix::from_element(1, 1, r));
        assert!(reached(1.0 - 1e-7).check_reached().is_ok() && reached(1.0 - 1e-7).check_given().is_err());
        assert!(reached(1.0 - 1e-5).check_reached().is_err() && reached(f64::NAN).check_reached().is_err());
    }
}
