//! Which lattice of u serves for some noise.

use std::f64::consts::TAU;

use nalgebra::{DMatrix, DVector};

use super::axis::trimmed;
use super::law::LatticeLaw;
use super::view_functions::FieldWaves;
use crate::Scalar;
use crate::limit::averages::sum_lattice::{Falls, Line};
use crate::limit::fields::moments::ViewNoise;
use crate::limit::hidden::Hidden;
use crate::model::Smoothness;
use crate::numerics::eigen::symmetric_eigen;

/// Of the noise for which a lattice is chosen there may be so much less. Many features make the waves that this takes dear, and with
/// few of them the choice of another lattice is.
fn shrinks(features: usize) -> f64 {
    if features < MANY { 0.6 } else { 0.7 }
}

/// From so many features on waves are dear.
const MANY: usize = 6;
/// In parts of the views' own noise: less noise in common than that is little.
const LITTLE: f64 = 0.1;
/// By how much the density at the end of the lattice is below the error aimed at.
const END_MARGIN: f64 = 2.0;
/// Eigenvalues that are negative by no more than that, in units of the largest entry, are so by rounding.
const NEGATIVE: f64 = 1e-13;
/// The most wave vectors of some neurons together.
pub(super) const MOST_WAVES: f64 = 4e5;

/// The lattice of each neuron, and what it was chosen for.
pub(super) struct Choice {
    pub(super) lines: Vec<Line>,
    /// What it needs at least: each neuron's noise in common with all others given, and its own.
    pub(super) least: Vec<[f64; 2]>,
    pub(super) waves: Vec<FieldWaves>,
    /// The covariance of a normal beyond which no wave counts: the noise in common may not be less.
    pub(super) cut: Option<DMatrix<f64>>,
}

impl Choice {
    /// For coefficients of the sums, p x m; `None` where there is none.
    pub(super) fn new<T: Scalar>(
        hidden: &Hidden<'_, T>,
        q: &[T],
        noise: &ViewNoise<T>,
        (smoothness, accuracy): (&Smoothness<T>, f64),
    ) -> Option<Self> {
        let m = noise.common.len().isqrt();
        let common = matrix(&noise.common);
        let shrinks = shrinks(q.len() / m);
        let least: Vec<[f64; 2]> =
            needs(noise)?.into_iter().map(|[c, own]| [least_common(c, own, shrinks), shrinks * own]).collect();
        // Less than that by some of the views' own noise: the least of the eigenvalues may go its way.
        let own = DVector::from_iterator(m, least.iter().map(|least| LITTLE * least[1]));
        let cut = is_covariance(&common).then(|| &common * shrinks - DMatrix::from_diagonal(&own));
        let error = (-accuracy).exp();
        let radius = (2.0 * (accuracy + END_MARGIN)).sqrt();
        let mut lines = Vec::with_capacity(m);
        for i in 0..m {
            let deviation = {
                let still = Line::single();
                let mut law = LatticeLaw::new(hidden, &[i], &[still], (None, accuracy), 1.0)?;
                if !law.update(hidden, (q, m), &noise.common) {
                    return None;
                }
                law.variance().as_f64().max(0.0).sqrt()
            };
            let variance = common[(i, i)];
            if deviation * deviation + variance.abs() <= f64::EPSILON * least[i][1] {
                lines.push(Line::single());
                continue;
            }
            let falls = Falls::new(smoothness, 0.5 * least[i][1], accuracy);
            lines.push(Line::new(falls, least[i][0], deviation.hypot(variance.max(0.0).sqrt()), radius, accuracy)?);
        }
        // What grows where the common noise is no covariance must not lift roundings above the error.
        if cut.is_none() {
            let grows: f64 =
                lines.iter().zip(&least).map(|(line, least)| line.growth((-least[0]).max(0.0), accuracy)).sum();
            if !(grows.exp() * T::EPSILON.as_f64() < error) {
                return None;
            }
        }
        for (i, line) in lines.iter_mut().enumerate().filter(|(_, line)| line.half > 0) {
            let mut law = LatticeLaw::new(hidden, &[i], &[*line], (cut.as_ref(), accuracy), MOST_WAVES)?;
            if !law.update(hidden, (q, m), &noise.common) {
                return None;
            }
            *line = trimmed(line, &law.weights, error);
        }
        let pole = Falls::new(smoothness, 0.0, accuracy).pole;
        let kink = if let Smoothness::Kinked { at } = *smoothness { Some(at.as_f64()) } else { None };
        let waves: Vec<FieldWaves> = lines
            .iter()
            .zip(&least)
            .map(|(line, least)| FieldWaves { pole, kink, variance: following(least), top: TAU / line.step })
            .collect();
        Some(Self { lines, least, waves, cut })
    }
}

/// The least noise in common that a lattice chosen at c serves: little of it counts as none, so that it may change its sign once.
fn least_common(c: f64, own: f64, shrinks: f64) -> f64 {
    if c > LITTLE * own {
        shrinks * c
    } else if c >= 0.0 {
        0.0
    } else {
        (c / shrinks).min(-0.5 * LITTLE * own)
    }
}

/// What each neuron's lattice needs: noise in common with all others given, and the least of the views' own.
pub(super) fn needs<T: Scalar>(noise: &ViewNoise<T>) -> Option<Vec<[f64; 2]>> {
    let (common, own) = (matrix(&noise.common), noise.own.each_ref().map(|x| matrix(x)));
    let m = common.nrows();
    if !own.iter().all(is_covariance) {
        return None;
    }
    let own: Vec<f64> = (0..m).map(|i| own[0][(i, i)].min(own[1][(i, i)])).collect();
    let parts = common_parts(&common, &own)?;
    Some(parts.into_iter().zip(own).map(|(common, own)| [common, own]).collect())
}

/// The variance by which what follows an average over one view's noise falls, given least noise in common and of a view's own: a wave
/// is of u, or of the other view.
fn following([common, own]: &[f64; 2]) -> f64 {
    if *common > 0.0 { common * own / (common + own) } else { 0.0 }
}

/// As a matrix, from its rows.
pub(super) fn matrix<T: Scalar>(rows: &[T]) -> DMatrix<f64> {
    let m = rows.len().isqrt();
    DMatrix::from_fn(m, m, |i, j| rows[i * m + j].as_f64())
}

/// Whether a symmetric matrix has no negative eigenvalue, but for roundings.
pub(super) fn is_covariance(matrix: &DMatrix<f64>) -> bool {
    if !matrix.iter().all(|x| x.is_finite()) {
        return false;
    }
    let symmetric = (matrix + matrix.transpose()) * 0.5;
    let scale = symmetric.amax();
    symmetric_eigen(symmetric).is_some_and(|eigen| eigen.eigenvalues.min() >= -NEGATIVE * scale)
}

/// Of noise of that covariance C, what each coordinate has beyond the others: kᵀCk is at least that times k_i². Where C is not
/// positive: the most negative number that does for all, in proportion to the views' own noise. `None` if that is none.
fn common_parts(common: &DMatrix<f64>, own: &[f64]) -> Option<Vec<f64>> {
    let m = common.nrows();
    if let Some(cholesky) = common.clone().cholesky() {
        let inverse = cholesky.inverse();
        return Some((0..m).map(|i| 1.0 / inverse[(i, i)]).collect());
    }
    if is_covariance(common) {
        return Some(vec![0.0; m]);
    }
    let scaled = DMatrix::from_fn(m, m, |i, j| 0.5 * (common[(i, j)] + common[(j, i)]) / (own[i] * own[j]).sqrt());
    if !scaled.iter().all(|x| x.is_finite()) {
        return None;
    }
    let least = symmetric_eigen(scaled)?.eigenvalues.min();
    Some(own.iter().map(|own| least * own).collect())
}
