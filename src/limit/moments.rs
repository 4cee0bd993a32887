//! Covariances and means of the fields at a state (theory §2): S = K^f ⊗ QᵀQ + D ⊗ (R − QᵀQ), and the shared Gaussian part
//! of the hidden law.

use nalgebra::DMatrix;

use super::Limit;
use crate::Scalar;
use crate::model::hidden::HiddenQuadrature;

/// What the averages need of the state: second moments of fields, and means at the hidden nodes.
#[derive(Debug, Clone)]
pub(super) struct StateMoments<T: Scalar> {
    /// QᵀQ, R − QᵀQ and Qᵀ G Q, with G the Gaussian part of the hidden law; m x m each.
    pub(super) overlap: DMatrix<T>,
    background: DMatrix<T>,
    shared: DMatrix<T>,
    /// G Q, p x m.
    shared_overlap: DMatrix<T>,
    /// Qᵀ c at each hidden node, m x n.
    pub(super) means: DMatrix<T>,
}

impl<T: Scalar> StateMoments<T> {
    pub(super) fn new(features: usize, neurons: usize, nodes: usize) -> Self {
        let square = || DMatrix::zeros(neurons, neurons);
        Self {
            overlap: square(),
            background: square(),
            shared: square(),
            shared_overlap: DMatrix::zeros(features, neurons),
            means: DMatrix::zeros(neurons, nodes),
        }
    }

    pub(super) fn update(&mut self, q: &DMatrix<T>, r: &DMatrix<T>, hidden: &HiddenQuadrature<T>) {
        q.tr_mul_to(q, &mut self.overlap);
        self.background.copy_from(r);
        self.background -= &self.overlap;
        hidden.gaussian.mul_to(q, &mut self.shared_overlap);
        q.tr_mul_to(&self.shared_overlap, &mut self.shared);
        q.tr_mul_to(&hidden.nodes, &mut self.means);
    }

    /// Cov(h_i^v, h_j^w).
    pub(super) fn field_covariance(&self, limit: &Limit<'_, T>, (v, i): (usize, usize), (w, j): (usize, usize)) -> T {
        limit.feature_noise.get(v, w) * self.overlap[(i, j)]
            + limit.views.get(v, w) * self.background[(i, j)]
            + self.shared[(i, j)]
    }

    /// Cov(x̃_l^v − c_l at the node, h_j^w).
    pub(super) fn feature_covariance(
        &self,
        limit: &Limit<'_, T>,
        q: &DMatrix<T>,
        (v, l): (usize, usize),
        (w, j): (usize, usize),
    ) -> T {
        limit.feature_noise.get(v, w) * q[(l, j)] + self.shared_overlap[(l, j)]
    }

    /// The covariance of the fields (h¹, h²) of a group, row-major.
    pub(super) fn group_covariance(&self, limit: &Limit<'_, T>, neurons: &[usize], out: &mut [T]) {
        let k = neurons.len();
        for (slot, out) in out.iter_mut().enumerate() {
            let (row, column) = (slot / (2 * k), slot % (2 * k));
            let field = |f: usize| (f / k, neurons[f % k]);
            *out = self.field_covariance(limit, field(row), field(column));
        }
    }
}
