//! Covariances of the fields at a state (theory §2): S = K^f ⊗ QᵀQ + D ⊗ (R − QᵀQ), and the shared Gaussian part of the
//! hidden law.

use nalgebra::DMatrix;

use crate::Scalar;
use crate::limit::numbers::Numbers;
use crate::numerics::dual::Number;
use crate::numerics::lanes::Lanes;

/// A state as numbers: Q, p x m, and R, m x m, row by row.
#[derive(Debug, Clone)]
pub(in crate::limit) struct State<N> {
    pub(in crate::limit) q: Vec<N>,
    pub(in crate::limit) r: Vec<N>,
}

impl<T: Scalar> State<T> {
    pub(in crate::limit) fn copy_from(&mut self, q: &DMatrix<T>, r: &DMatrix<T>) {
        let m = r.nrows();
        for (slot, x) in self.q.iter_mut().enumerate() {
            *x = q[(slot / m, slot % m)];
        }
        for (slot, x) in self.r.iter_mut().enumerate() {
            *x = r[(slot / m, slot % m)];
        }
    }
}

/// Covariances of the fields: between the views, and within each of them less that; m x m row by row.
#[derive(Debug, Clone)]
pub(in crate::limit) struct ViewNoise<N> {
    pub(in crate::limit) common: Vec<N>,
    pub(in crate::limit) own: [Vec<N>; 2],
}

impl<N> ViewNoise<N> {
    /// Nothing yet.
    pub(in crate::limit) fn new() -> Self {
        Self { common: Vec::new(), own: [Vec::new(), Vec::new()] }
    }
}

/// Second moments of the fields.
#[derive(Debug, Clone)]
pub(in crate::limit) struct StateMoments<N> {
    features: usize,
    neurons: usize,
    feature_noise: [[N; 2]; 2],
    views: [[N; 2]; 2],
    /// QᵀQ, R − QᵀQ and Qᵀ G Q, with G the Gaussian part of the hidden law; m x m each.
    pub(in crate::limit) overlap: Vec<N>,
    background: Vec<N>,
    shared: Vec<N>,
    /// G Q, p x m.
    shared_overlap: Vec<N>,
    /// Q with rows scaled as the hidden variables are; p x m.
    pub(in crate::limit) scaled: Vec<N>,
    /// The part of the noise that is in the law of the means and no longer in the fields around them; m x m.
    moved: Vec<N>,
}

impl<N> StateMoments<N> {
    pub(in crate::limit) fn new<T: Scalar>(features: usize, neurons: usize) -> Self
    where
        N: Number<T>,
    {
        let square = || vec![N::zero(); neurons * neurons];
        let tall = || vec![N::zero(); features * neurons];
        Self {
            features,
            neurons,
            feature_noise: [[N::zero(); 2]; 2],
            views: [[N::zero(); 2]; 2],
            overlap: square(),
            background: square(),
            shared: square(),
            shared_overlap: tall(),
            scaled: tall(),
            moved: square(),
        }
    }

    /// A work space of the same layout for other numbers, to be updated.
    pub(in crate::limit) fn with_numbers<T: Scalar, M: Number<T>>(&self) -> StateMoments<M>
    where
        N: Number<T>,
    {
        let moved = self.moved.iter().map(|x| M::constant(x.value())).collect();
        StateMoments { moved, ..StateMoments::new(self.features, self.neurons) }
    }

    pub(in crate::limit) fn update<T: Scalar>(&mut self, numbers: &Numbers<N>, state: &State<N>, gaussian: &DMatrix<T>)
    where
        N: Number<T>,
    {
        let (p, m) = (self.features, self.neurons);
        for (v, w) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            self.feature_noise[v][w] = numbers.feature_noise.get(v, w);
            self.views[v][w] = numbers.views.get(v, w);
        }
        let q = &state.q;
        for l in 0..p {
            for i in 0..m {
                self.scaled[l * m + i] = q[l * m + i] * numbers.scales[l];
            }
        }
        // An empty matrix stands for none.
        for l in 0..gaussian.nrows() {
            for i in 0..m {
                let row = (0..p).filter(|&k| gaussian[(l, k)] != T::zero());
                let sum = row.fold(N::zero(), |sum, k| sum + self.scaled[k * m + i].times(gaussian[(l, k)]));
                self.shared_overlap[l * m + i] = sum * numbers.scales[l];
            }
        }
        for i in 0..m {
            for j in i..m {
                let sum = |x: &[N], y: &[N]| (0..p).fold(N::zero(), |sum, l| sum + x[l * m + i] * y[l * m + j]);
                let (overlap, shared) = (sum(q, q), sum(q, &self.shared_overlap));
                for at in [i * m + j, j * m + i] {
                    self.overlap[at] = overlap;
                    self.background[at] = state.r[i * m + j] - overlap;
                    self.shared[at] = shared;
                }
            }
        }
    }

    /// Lets entry (i, j) of QᵀQ, and with it (j, i), move along a direction; R stays.
    pub(in crate::limit) fn vary_overlap<T: Scalar>(&mut self, (i, j): (usize, usize), direction: usize)
    where
        N: Number<T>,
    {
        let mut slopes = Lanes::zero();
        slopes.0[direction] = T::one();
        let moving = N::with_slopes(T::zero(), slopes);
        let m = self.neurons;
        for at in if i == j { 0..1 } else { 0..2 } {
            let at = if at == 0 { i * m + j } else { j * m + i };
            self.overlap[at] += moving;
            self.background[at] -= moving;
        }
    }

    /// The largest (QᵀQ)_ii.
    pub(in crate::limit) fn largest_overlap<T: Scalar>(&self) -> T
    where
        N: Number<T>,
    {
        let diagonal = self.overlap.iter().step_by(self.neurons + 1);
        diagonal.fold(T::zero(), |most, x| most.max(x.value()))
    }

    /// Cov(h_i^v, h_j^w).
    pub(in crate::limit) fn field_covariance<T: Scalar>(&self, (v, i): (usize, usize), (w, j): (usize, usize)) -> N
    where
        N: Number<T>,
    {
        let at = i * self.neurons + j;
        self.feature_noise[v][w] * self.overlap[at] + self.views[v][w] * self.background[at] + self.shared[at]
    }

    /// Covariances within view 1, between the views and within view 2; m x m each.
    pub(in crate::limit) fn view_covariances<T: Scalar>(&self) -> [DMatrix<f64>; 3]
    where
        N: Number<T>,
    {
        [(0, 0), (0, 1), (1, 1)].map(|(v, w)| {
            DMatrix::from_fn(self.neurons, self.neurons, |i, j| self.field_covariance((v, i), (w, j)).value().as_f64())
        })
    }

    /// The noise of the views: what they have in common, and of each the rest.
    pub(in crate::limit) fn write_view_noise<T: Scalar>(&self, out: &mut ViewNoise<N>)
    where
        N: Number<T>,
    {
        let m = self.neurons;
        let ViewNoise { common, own } = out;
        let all = |v: usize, w: usize| (0..m * m).map(move |at| self.field_covariance((v, at / m), (w, at % m)));
        common.clear();
        common.extend(all(0, 1));
        for (v, own) in own.iter_mut().enumerate() {
            own.clear();
            own.extend(all(v, v).zip(&*common).map(|(x, &common)| x - common));
        }
    }

    /// Cov(x̃_l^v − c_l at the node, h_j^w).
    pub(in crate::limit) fn feature_covariance<T: Scalar>(
        &self,
        state: &State<N>,
        (v, l): (usize, usize),
        (w, j): (usize, usize),
    ) -> N
    where
        N: Number<T>,
    {
        let at = l * self.neurons + j;
        self.feature_noise[v][w] * state.q[at] + self.shared_overlap[at]
    }

    /// Moves noise that the views have in common to the law of the means: that of this covariance, m x m row by row.
    pub(in crate::limit) fn move_noise<T: Scalar>(&mut self, moved: &[T])
    where
        N: Number<T>,
    {
        self.moved.iter_mut().zip(moved).for_each(|(x, &moved)| *x = N::constant(moved));
    }

    /// The covariance of all fields of both views around their means, view 1 first, 2m x 2m row by row: without the noise that has been moved.
    pub(in crate::limit) fn full_covariance<T: Scalar>(&self) -> Vec<N>
    where
        N: Number<T>,
    {
        let fields: Vec<_> = (0..2).flat_map(|v| (0..self.neurons).map(move |i| (v, i))).collect();
        let mut covariance = vec![N::zero(); fields.len() * fields.len()];
        self.covariance(&fields, &mut covariance);
        covariance
    }

    /// The covariance of those fields (view, neuron) around their means, row by row: without the noise that has been moved.
    pub(in crate::limit) fn covariance<T: Scalar>(&self, fields: &[(usize, usize)], out: &mut [N])
    where
        N: Number<T>,
    {
        for (row, &first) in out.chunks_exact_mut(fields.len()).zip(fields) {
            for (out, &second) in row.iter_mut().zip(fields) {
                *out = self.field_covariance(first, second) - self.moved[first.1 * self.neurons + second.1];
            }
        }
    }
}
