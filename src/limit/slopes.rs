//! Averages of the error signals' slopes, E[∂e_i^v/∂h_j^v'], from which the linear flow near Q = 0 follows (theory §6).

use nalgebra::DMatrix;

use super::averages::closed;
use super::averages::sum_gradient::{self, Extent};
use super::averages::two_fields::COVARIANCE;
use super::problem::Limit;
use super::rule::Rule;
use super::work::PairNodes;
use crate::Scalar;
use crate::model::{GradientPath, Smoothness};
use crate::state::OrderParameters;

impl<T: Scalar> Rule<T> {
    /// E[∂e^v/∂h^v'] of one neuron, or `None` where σ'' is needed and not known.
    pub(super) fn error_slopes(&mut self, limit: &Limit<'_, T>, state: &OrderParameters<T>) -> Option<[[T; 2]; 2]> {
        self.work.state.copy_from(state.q(), state.r());
        self.update_work(limit);
        let by_parts = matches!(self.smoothness, Smoothness::Kinked { .. });
        let diagonal = limit.loss.diagonal();
        let mut slopes = [[T::zero(); 2]; 2];
        if let PairNodes::Closed(form) = self.field_pairs.first()?.nodes {
            slopes =
                closed::slopes(form, &self.work.pair_law(&self.field_pairs[0], 0)).map(|f| f.map(|x| diagonal * x));
        } else {
            if by_parts && !self.work.pair_factors[0].is_regular() {
                return None;
            }
            let rows = self.work.rows(0);
            if let PairNodes::Sum(form) = &mut self.field_pairs[0].nodes {
                let gradient = sum_gradient::motion(form, rows, limit.sigma, Extent::Fields);
                slopes = [0, 1].map(|f| gradient.plane.mean(f).map(|x| diagonal * x));
            }
            for group in 0..self.groups.count() {
                let gradient = self.pair_gradient(limit, 0, group);
                for f in 0..2 {
                    for (slope, mean) in slopes[f].iter_mut().zip(gradient.mean(f)) {
                        *slope += diagonal * (self.groups.weight(group) * mean);
                    }
                }
            }
        }
        if limit.settings.gradient_path == GradientPath::StopGradient {
            slopes[1] = [T::zero(); 2];
        }
        Some(slopes)
    }

    /// E[∂e_i^v/∂h_j^v'], m x m for each v and v', averaged over the batch; `None` where σ'' is needed and not known, or
    /// where averages run over whole batches.
    pub(crate) fn error_slope_matrices(
        &mut self,
        limit: &Limit<'_, T>,
        state: &OrderParameters<T>,
    ) -> Option<[[DMatrix<T>; 2]; 2]> {
        let m = limit.settings.n_neurons;
        let zeros = || DMatrix::zeros(m, m);
        let mut slopes = [[zeros(), zeros()], [zeros(), zeros()]];
        if m == 1 {
            let one = self.error_slopes(limit, state)?;
            (0..4).for_each(|k| slopes[k / 2][k % 2][(0, 0)] = one[k / 2][k % 2]);
            return Some(slopes);
        }
        if limit.loss.over_batches() {
            return None;
        }
        self.work.state.copy_from(state.q(), state.r());
        self.update_work(limit);
        self.average_pairs(limit);
        let by_parts = matches!(self.smoothness, Smoothness::Kinked { .. });
        let views = limit.settings.gradient_path.views();
        for index in 0..self.field_pairs.len() {
            let (i, j) = (self.field_pairs[index].i, self.field_pairs[index].j);
            // E[∂_v f] for f = a₁, a₂, b₁, b₂.
            let mut means = [[T::zero(); 2]; 4];
            if let PairNodes::Closed(form) = self.field_pairs[index].nodes {
                let closed = closed::slopes(form, &self.work.pair_law(&self.field_pairs[index], index));
                means[..2].copy_from_slice(&closed);
            } else if let PairNodes::Views = self.field_pairs[index].nodes {
                let sums = &self.work.field_pairs[index].sums;
                means = std::array::from_fn(|f| [sums[3 * f + 1], sums[3 * f + 2]]);
            } else {
                if by_parts && !self.work.pair_factors[index].is_regular() {
                    return None;
                }
                for group in 0..self.groups.count() {
                    let gradient = self.pair_gradient(limit, index, group);
                    for (f, means) in means.iter_mut().enumerate() {
                        for (mean, slope) in means.iter_mut().zip(gradient.mean(f)) {
                            *mean += self.groups.weight(group) * slope;
                        }
                    }
                }
            }
            let inverse = T::one() / limit.batch;
            let strength = if i == j { T::one() } else { limit.loss.strength() };
            let covariance = self.work.field_pairs[index].sums[COVARIANCE];
            for view in 0..views {
                let owner = if view == 0 { i } else { j };
                let terms = if limit.loss.moves((i, j)) {
                    let at = i * m + j;
                    let (offset, slope) = (self.offsets[at], self.slopes[at]);
                    let rest = offset + slope * (T::one() - inverse) * covariance;
                    [(view, strength * rest), (2 + view, strength * slope * inverse)]
                } else {
                    [(view, limit.loss.diagonal()), (2 + view, T::zero())]
                };
                for (f, coefficient) in terms.into_iter().filter(|term| term.1 != T::zero()) {
                    slopes[view][0][(owner, i)] += coefficient * means[f][0];
                    slopes[view][1][(owner, j)] += coefficient * means[f][1];
                }
            }
        }
        Some(slopes)
    }
}
