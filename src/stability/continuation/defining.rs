//! Bifurcations as regular solutions of equations of their own, by Newton's method, with a bound on their error.
//!
//! Covers folds, branch points and Hopf points. Not here: how they are noticed on a branch, and first guesses (see
//! `locate`).
//!
//! With z = (x, λ/scale), F = [f_x f_μ] (μ = λ/scale), and w, v the left and right null vectors there (W, V their
//! matrices where several eigenvalues cross), the equations are (minimally augmented systems: W. Govaerts,
//! doi:10.1137/1.9780898719543; W.-J. Beyn et al., doi:10.1016/S1874-575X(02)80025-X)
//!   fold: f = 0, wᵀ f_x v = 0;
//!   branch point: f + W ν = 0, Wᵀ F V = 0, with unfolding parameters ν, one for each eigenvalue that crosses;
//!   Hopf point: f = 0, w* (f_x − iω) v = 0.
//! A branch point is a solution that errors of f would destroy: the branch then passes it at a distance of the power
//! 2/3 of the error. With ν it moves by the error's first power, as all others do. Where several eigenvalues cross
//! because of a symmetry there are more equations than unknowns: they agree, or the point is no such point.

use nalgebra::{Complex, ComplexField, DMatrix, DVector};

use crate::Scalar;
use crate::limit::Compiled;
use crate::numerics::eigen::symmetric_eigen;
use crate::numerics::linear::{SVD_ITERATIONS, ascending, is_finite, left_inverse, svd};
use crate::stability::continuation::corrector::Corrector;
use crate::stability::continuation::system::{AnySystem, Uncertainty};

/// Newton steps. From a guess on the branch four or five are enough.
const STEPS: usize = 16;
/// Equations whose smallest singular value is less than that of the largest are degenerate: a fold about to become a
/// cusp, a branch point at which branches touch.
const REGULAR: f64 = 1e-8;
/// Steps shorter than that many roots of the precision may end the iteration by not getting shorter any more.
const SHORT: f64 = 64.0;
/// By which part steps get shorter while Newton's method converges.
const SHORTENS: f64 = 0.5;
/// Roundings of the unknowns themselves.
const ROUNDINGS: f64 = 4.0;
/// An admissible place farther than this part of the step from where a derivative is wanted lies in another direction.
const CORNER: f64 = 0.1;
/// Equations of several crossing eigenvalues agree to that many of their errors.
const AGREES: f64 = 10.0;

/// What is sought.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Sought<T> {
    /// A fold.
    Fold,
    /// A point where that many real eigenvalues cross zero.
    BranchPoint {
        /// How many.
        crossing: usize,
    },
    /// A point where eigenvalues ±iω cross the imaginary axis.
    Hopf {
        /// The first guess of ω, then ω.
        frequency: T,
    },
}

/// What is found.
#[derive(Debug, Clone)]
pub(crate) struct Solution<T: Scalar> {
    pub(crate) z: DVector<T>,
    /// What was sought, with the frequency found.
    pub(crate) sought: Sought<T>,
    /// A bound on the error of λ.
    pub(crate) parameter_error: T,
    /// f_x there.
    pub(crate) by_state: DMatrix<T>,
    /// The unit in which the equations were solved.
    pub(crate) unit: T,
}

/// The equations at one place, divided by the size of F, with their derivatives by z and by what else is unknown.
struct Equations<T: Scalar> {
    values: DVector<T>,
    slopes: DMatrix<T>,
    /// How errors of f_x and of f_μ enter the equations that are not f = 0: ‖w‖₁ ‖v‖₁ over the columns of either.
    weights: Vec<(T, T)>,
    unit: T,
    by_state: DMatrix<T>,
}

impl<T: Scalar> Equations<T> {
    /// Bounds on the errors of the values.
    fn errors(&self, uncertainty: &Uncertainty<T>, scale: T) -> DVector<T> {
        let n = self.values.len() - self.weights.len();
        DVector::from_fn(self.values.len(), |row, _| {
            let error = if row < n {
                uncertainty.residual
            } else {
                let (state, parameter) = self.weights[row - n];
                state * uncertainty.by_state + parameter * uncertainty.by_parameter * scale
            };
            error / self.unit
        })
    }
}

/// The bifurcation near `guess`, no farther than `reach` from it; none if Newton's method does not converge to one. The
/// equations are measured in `unit`, the size of F near by: at a branch point of a single equation F is zero.
pub(crate) fn solve<T: Compiled, E>(
    corrector: &Corrector<T>,
    system: &mut AnySystem<'_, T, E>,
    mut sought: Sought<T>,
    guess: &DVector<T>,
    unit: T,
    reach: T,
) -> Result<Option<Solution<T>>, E> {
    let n = guess.len() - 1;
    let mut z = guess.clone();
    let mut before = T::lit(f64::INFINITY);
    for _ in 0..STEPS {
        let Some(equations) = equations(corrector, system, sought, &z, unit)? else { return Ok(None) };
        let Some(inverse) = left_inverse(&equations.slopes, T::lit(REGULAR)) else { return Ok(None) };
        let step = -(&inverse * &equations.values);
        if !is_finite(step.as_slice()) {
            return Ok(None);
        }
        z += step.rows(0, n + 1);
        let mut size = step.rows(0, n + 1).norm();
        if let Sought::Hopf { frequency } = &mut sought {
            *frequency += step[n + 1];
            size = size.hypot(step[n + 1]);
        }
        if !((&z - guess).norm() <= reach) {
            return Ok(None);
        }
        z = admitted(corrector, system, &z).unwrap_or(z);
        let rounding = T::lit(ROUNDINGS) * T::EPSILON * (T::one() + z.amax());
        let stands = size >= T::lit(SHORTENS) * before;
        before = size;
        if size > rounding && !(stands && size <= T::lit(SHORT) * T::EPSILON.sqrt()) {
            continue;
        }
        let uncertainty = system.uncertainty(&z.as_slice()[..n], corrector.parameter(&z))?;
        let errors = equations.errors(&uncertainty, corrector.scale);
        let left = &equations.values + &equations.slopes * &step;
        if left.iter().zip(&errors).any(|(x, error)| x.abs() > T::lit(AGREES) * *error + corrector.tolerance) {
            return Ok(None);
        }
        let row = inverse.row(n);
        let propagated =
            row.iter().zip(errors.iter().zip(&left)).map(|(slope, (error, left))| slope.abs() * (*error + left.abs()));
        let parameter_error = (propagated.sum::<T>() + step[n].abs() + rounding) * corrector.scale;
        return Ok(Some(Solution { z, sought, parameter_error, by_state: equations.by_state, unit }));
    }
    Ok(None)
}

fn equations<T: Compiled, E>(
    corrector: &Corrector<T>,
    system: &mut AnySystem<'_, T, E>,
    sought: Sought<T>,
    z: &DVector<T>,
    unit: T,
) -> Result<Option<Equations<T>>, E> {
    let n = z.len() - 1;
    let f = corrector.residual(system, z)?;
    let derivatives = corrector.slopes(system, z)?;
    let by_state = derivatives.columns(0, n).into_owned();
    if !(unit > T::zero() && is_finite(derivatives.as_slice()) && is_finite(f.as_slice())) {
        return Ok(None);
    }
    let at = Place { corrector, z, derivatives: &derivatives };
    let added = match sought {
        Sought::Fold => at.fold(system, &by_state)?,
        Sought::BranchPoint { crossing } => at.branch_point(system, crossing)?,
        Sought::Hopf { frequency } => at.hopf(system, &by_state, frequency)?,
    };
    let Some(Added { values: more, slopes: rows, weights, columns }) = added else { return Ok(None) };
    let unknowns = n + 1 + columns.ncols();
    let mut values = DVector::zeros(n + more.len());
    let mut slopes = DMatrix::zeros(n + more.len(), unknowns);
    values.rows_mut(0, n).copy_from(&(f / unit));
    slopes.view_mut((0, 0), (n, n + 1)).copy_from(&(&derivatives / unit));
    slopes.view_mut((0, n + 1), (n, columns.ncols())).copy_from(&columns.rows(0, n));
    let bottom = columns.rows(n, more.len()) / unit;
    slopes.view_mut((n, n + 1), (more.len(), columns.ncols())).copy_from(&bottom);
    values.rows_mut(n, more.len()).copy_from(&(DVector::from_vec(more) / unit));
    slopes.view_mut((n, 0), (rows.nrows(), n + 1)).copy_from(&(rows / unit));
    Ok(Some(Equations { values, slopes, weights, unit, by_state }))
}

/// The equations beside f = 0: values, derivatives by z, how errors enter, and derivatives of all equations by what is
/// unknown beside z.
struct Added<T: Scalar> {
    values: Vec<T>,
    slopes: DMatrix<T>,
    weights: Vec<(T, T)>,
    columns: DMatrix<T>,
}

/// Where the equations are wanted, with F there.
struct Place<'p, T: Scalar> {
    corrector: &'p Corrector<T>,
    z: &'p DVector<T>,
    derivatives: &'p DMatrix<T>,
}

impl<T: Compiled> Place<'_, T> {
    fn fold<E>(&self, system: &mut AnySystem<'_, T, E>, by_state: &DMatrix<T>) -> Result<Option<Added<T>>, E> {
        let n = by_state.nrows();
        let Some(svd) = svd(by_state.clone(), (true, true), SVD_ITERATIONS) else { return Ok(None) };
        let (Some(left), Some(right)) = (&svd.u, &svd.v_t) else { return Ok(None) };
        let Some(&smallest) = ascending(svd.singular_values.as_slice()).first() else { return Ok(None) };
        let (w, v) = (left.column(smallest).into_owned(), right.row(smallest).transpose());
        let slopes = w.transpose() * self.bend(system, &v.clone().insert_row(n, T::zero()))?;
        Ok(Some(Added {
            values: vec![svd.singular_values[smallest]],
            slopes: DMatrix::from_row_slice(1, n + 1, slopes.as_slice()),
            weights: vec![(sum(&w) * sum(&v), T::zero())],
            columns: DMatrix::zeros(n + 1, 0),
        }))
    }

    fn branch_point<E>(&self, system: &mut AnySystem<'_, T, E>, crossing: usize) -> Result<Option<Added<T>>, E> {
        let n = self.derivatives.nrows();
        let Some((left, right)) = null_spaces(self.derivatives, crossing) else { return Ok(None) };
        let rank = left.ncols();
        let count = rank * right.ncols();
        let reduced = left.tr_mul(self.derivatives) * &right;
        let mut added = Added {
            values: Vec::with_capacity(count),
            slopes: DMatrix::zeros(count, n + 1),
            weights: Vec::with_capacity(count),
            columns: DMatrix::zeros(n + count, rank),
        };
        added.columns.view_mut((0, 0), (n, rank)).copy_from(&left);
        for (j, v) in right.column_iter().enumerate() {
            let v = v.into_owned();
            let bend = left.tr_mul(&self.bend(system, &v)?);
            for i in 0..rank {
                let row = added.values.len();
                added.values.push(reduced[(i, j)]);
                added.slopes.set_row(row, &bend.row(i));
                let w = sum(&left.column(i).into_owned());
                added.weights.push((w * sum(&v.rows(0, n).into_owned()), w * v[n].abs()));
            }
        }
        Ok(Some(added))
    }

    fn hopf<E>(
        &self,
        system: &mut AnySystem<'_, T, E>,
        by_state: &DMatrix<T>,
        frequency: T,
    ) -> Result<Option<Added<T>>, E> {
        let n = by_state.nrows();
        let mut shifted = by_state.map(Complex::from);
        for k in 0..n {
            shifted[(k, k)] -= Complex::new(T::zero(), frequency);
        }
        let Some(svd) = svd(shifted, (true, true), SVD_ITERATIONS) else { return Ok(None) };
        let (Some(left), Some(right)) = (&svd.u, &svd.v_t) else { return Ok(None) };
        let Some(&smallest) = ascending(svd.singular_values.as_slice()).first() else { return Ok(None) };
        let (w, v) = (left.column(smallest).into_owned(), right.row(smallest).adjoint());
        let part = |v: DVector<T>| v.insert_row(n, T::zero());
        let (re, im) = (self.bend(system, &part(v.map(|x| x.re)))?, self.bend(system, &part(v.map(|x| x.im)))?);
        // w* (∂f_x) v for each column, and −i w* v for ω.
        let (w_re, w_im) = (w.map(|x| x.re), w.map(|x| x.im));
        let real = re.tr_mul(&w_re) + im.tr_mul(&w_im);
        let imaginary = im.tr_mul(&w_re) - re.tr_mul(&w_im);
        let by_frequency = w.dotc(&v) * Complex::new(T::zero(), -T::one());
        let weight = w.iter().map(|x| x.modulus()).sum::<T>() * v.iter().map(|x| x.modulus()).sum::<T>();
        let mut columns = DMatrix::zeros(n + 2, 1);
        (columns[n], columns[n + 1]) = (by_frequency.re, by_frequency.im);
        Ok(Some(Added {
            values: vec![svd.singular_values[smallest], T::zero()],
            slopes: DMatrix::from_fn(2, n + 1, |row, column| if row == 0 { real[column] } else { imaginary[column] }),
            weights: vec![(weight, T::zero()); 2],
            columns,
        }))
    }

    /// The derivative of F along v, n x (n + 1): entry (i, k) is that of f_i by v and z_k. By central differences between
    /// admissible places, or on one side where the other is not admissible. (Where admissible places bound v on a curve,
    /// they lie equally far off it on both sides, which does not enter the difference.)
    fn bend<E>(&self, system: &mut AnySystem<'_, T, E>, v: &DVector<T>) -> Result<DMatrix<T>, E> {
        let norm = v.norm();
        let n = self.derivatives.nrows();
        if norm == T::zero() {
            return Ok(DMatrix::zeros(n, n + 1));
        }
        // Newton's method needs few digits of it.
        let step = T::EPSILON.sqrt().sqrt() * self.z.amax().max(T::one());
        let mut ends = Vec::with_capacity(2);
        let mut failure = None;
        for sign in [T::one(), -T::one()] {
            let there = self.z + v * (sign * step / norm);
            let Some(end) = admitted(self.corrector, system, &there) else { continue };
            // Round a corner: no derivative from there.
            if (&end - &there).norm() > T::lit(CORNER) * step {
                continue;
            }
            match self.corrector.slopes(system, &end) {
                Ok(slopes) => ends.push((sign, slopes)),
                Err(error) => failure = Some(error),
            }
        }
        match (&ends[..], failure) {
            ([(_, above), (_, below)], _) => Ok((above - below) * (norm / (step + step))),
            ([(sign, end)], _) => Ok((end - self.derivatives) * (*sign * norm / step)),
            (_, Some(error)) => Err(error),
            // Neither side is admissible: nothing is known.
            (_, None) => Ok(DMatrix::from_element(n, n + 1, T::lit(f64::NAN))),
        }
    }
}

/// The admissible place nearest to z.
fn admitted<T: Compiled, E>(
    corrector: &Corrector<T>,
    system: &AnySystem<'_, T, E>,
    z: &DVector<T>,
) -> Option<DVector<T>> {
    let n = z.len() - 1;
    let near = system.nearest_admissible(&z.as_slice()[..n], corrector.parameter(z))?;
    Some(DVector::from_iterator(n + 1, near.into_iter().chain([z[n]])))
}

/// ‖v‖₁.
fn sum<T: Scalar>(v: &DVector<T>) -> T {
    v.lp_norm(1)
}

/// Bases of the left singular vectors of an n x (n + 1) matrix to its `count` smallest singular values, n x count, and
/// of what is orthogonal to all other right ones, (n + 1) x (count + 1).
fn null_spaces<T: Scalar>(matrix: &DMatrix<T>, count: usize) -> Option<(DMatrix<T>, DMatrix<T>)> {
    let (n, columns) = matrix.shape();
    if count > n {
        return None;
    }
    let svd = svd(matrix.clone(), (true, true), SVD_ITERATIONS)?;
    let (left, right) = (svd.u.as_ref()?, svd.v_t.as_ref()?);
    let order = ascending(svd.singular_values.as_slice());
    let others = right.select_rows(&order[count..]);
    // The projection onto the rest of the space.
    let eigen = symmetric_eigen(DMatrix::identity(columns, columns) - others.tr_mul(&others))?;
    let rest = ascending(eigen.eigenvalues.as_slice());
    let rest = &rest[columns - (count + 1)..];
    Some((left.select_columns(&order[..count]), eigen.eigenvectors.select_columns(rest)))
}
