//! What one batch adds to A, B and Λ: its covariance (theory §7).
//!
//! With Â_li = −(τ/B) Σ_b Σ_v e_bi^v x̃_bl^v, B̂_ji = −(τ/B) Σ_b Σ_v e_bi^v h_bj^v and Λ̂_ij = (τ²/B²) Σ_b Σ_vv' e_bi^v D_vv' e_bj^v' the
//! coefficients are the means of these sums over one batch (theory §3); here are their covariances, from those of sums over a batch, or over
//! whole batches. Not here: by what these are averaged (see `increment_rule`), and what moves by them (see [`crate::fluctuation`]).

use nalgebra::{DMatrix, DVector};

use super::averages::increment_moments::BatchCovariances;
use super::averages::whole_batches::{BatchSignal, BatchTable, BatchWork};
use super::fields::factor::Factor;
use super::fields::moments::{State, StateMoments};
use super::numbers::Numbers;
use super::problem::Limit;
use crate::Scalar;
use crate::numerics::largest::largest_size;

/// The covariance of increments at a state.
#[derive(Debug, Clone)]
pub struct Increments<T: Scalar> {
    /// Â row by row, B̂ row by row, then Λ̂_ij for i ≤ j.
    pub(crate) mean: DVector<T>,
    pub(crate) covariance: DMatrix<T>,
}

/// What x̃ and h of a sample are given its hidden variables and the whitened coordinates of its fields.
pub(super) struct Carriers<T: Scalar> {
    /// The mean of x̃_l^v at v·(p + m) + l, of h_j^v at v·(p + m) + p + j: rows beside y = (c, ζ).
    rows: Vec<DVector<T>>,
    /// The covariance of x̃^v and x̃^w around them at 2v + w, p x p.
    rest: Vec<DMatrix<T>>,
}

impl<T: Scalar> Carriers<T> {
    /// At a state, whose hidden law has that Gaussian part around its nodes; an empty matrix stands for none.
    pub(super) fn new(
        limit: &Limit<'_, T>,
        (moments, state, factor): (&StateMoments<T>, &State<T>, &Factor<T>),
        (numbers, gaussian): (&Numbers<T>, &DMatrix<T>),
    ) -> Self {
        let (p, m) = (limit.settings.n_features, limit.settings.n_neurons);
        let fields = 2 * m;
        let mut rows = Vec::with_capacity(2 * (p + m));
        let (mut column, mut g) = (vec![T::zero(); fields], vec![T::zero(); fields]);
        for v in 0..2 {
            for l in 0..p {
                for (f, slot) in column.iter_mut().enumerate() {
                    *slot = moments.feature_covariance(state, (v, l), (f / m, f % m));
                }
                factor.regress(&column, &mut g);
                let own = |k: usize| if k < p { T::of_usize(usize::from(k == l)) } else { g[k - p] };
                rows.push(DVector::from_fn(p + fields, |k, _| own(k)));
            }
            for j in 0..m {
                let own = |k: usize| if k < p { moments.scaled[k * m + j] } else { factor.get(v * m + j, k - p) };
                rows.push(DVector::from_fn(p + fields, |k, _| own(k)));
            }
        }
        let rest = |v: usize, w: usize| {
            DMatrix::from_fn(p, p, |l, k| {
                let (x, y) = (&rows[v * (p + m) + l], &rows[w * (p + m) + k]);
                let known: T = (p..p + fields).map(|at| x[at] * y[at]).sum();
                let shared = if gaussian.is_empty() { T::zero() } else { gaussian[(l, k)] };
                let noise = if l == k { numbers.feature_noise.get(v, w) } else { T::zero() };
                noise + shared - known
            })
        };
        let rest = [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(v, w)| rest(v, w)).to_vec();
        Self { rows, rest }
    }

    /// The covariance of increments from covariances of sums over a batch.
    pub(super) fn collect(&self, limit: &Limit<'_, T>, sums: &BatchCovariances<T>, out: &mut Increments<T>) {
        let (p, m) = (limit.settings.n_features, limit.settings.n_neurons);
        let (fields, width) = (2 * m, p + m);
        let tau = limit.settings.learning_rate;
        let views = limit.noise.views();
        let d: Vec<(usize, usize, T)> = (0..4).map(|at| (at / 2, at % 2, views.get(at / 2, at % 2))).collect();
        let entries: Vec<(usize, usize)> = (0..m).flat_map(|i| (i..m).map(move |j| (i, j))).collect();
        let first = width * m;
        out.covariance.fill(T::zero());
        for (v, i) in (0..2).flat_map(|v| (0..m).map(move |i| (v, i))) {
            let f = v * m + i;
            let carriers = DMatrix::from_fn(width, self.rows[0].len(), |o, k| self.rows[v * width + o][k]);
            let mean = &carriers * &sums.means[f] * -tau;
            for o in 0..width {
                out.mean[o * m + i] = mean[o] + if v == 0 { T::zero() } else { out.mean[o * m + i] };
            }
            for (w, j) in (0..2).flat_map(|w| (0..m).map(move |j| (w, j))) {
                let g = w * m + j;
                let others = DMatrix::from_fn(width, self.rows[0].len(), |o, k| self.rows[w * width + o][k]);
                let covariance = &carriers * &sums.sums[f * fields + g] * others.transpose();
                for (o, k) in (0..width).flat_map(|o| (0..width).map(move |k| (o, k))) {
                    let rest =
                        if o < p && k < p { self.rest[2 * v + w][(o, k)] * sums.noise[(f, g)] } else { T::zero() };
                    out.covariance[(o * m + i, k * m + j)] += tau * tau * (covariance[(o, k)] + rest);
                }
            }
            for (at, &(j, k)) in entries.iter().enumerate() {
                let mut with_noise = DVector::zeros(self.rows[0].len());
                for &(w, x, d) in &d {
                    let place = f * fields * fields + (w * m + j) * fields + x * m + k;
                    with_noise.axpy(d, &sums.sums_with_noise[place], T::one());
                }
                let covariance = &carriers * with_noise * -(tau * tau * tau);
                for o in 0..width {
                    out.covariance[(o * m + i, first + at)] += covariance[o];
                    out.covariance[(first + at, o * m + i)] += covariance[o];
                }
            }
        }
        let square = tau * tau;
        for (x, &(i, j)) in entries.iter().enumerate() {
            let place = |(v, w): (usize, usize), (i, j): (usize, usize)| (v * m + i) * fields + w * m + j;
            out.mean[first + x] = square * d.iter().map(|&(v, w, d)| d * sums.noise[(v * m + i, w * m + j)]).sum::<T>();
            for (y, &other) in entries.iter().enumerate() {
                let mut sum = T::zero();
                for &(v, w, a) in &d {
                    for &(r, s, b) in &d {
                        sum += a * b * sums.noise_with_noise[(place((v, w), (i, j)), place((r, s), other))];
                    }
                }
                out.covariance[(first + x, first + y)] = square * square * sum;
            }
        }
    }

    /// The covariance of increments over whole batches.
    pub(super) fn sample(
        &self,
        limit: &Limit<'_, T>,
        (table, work): (&BatchTable<T>, &mut BatchWork<T, T>),
        (factor, signal): (&Factor<T>, &BatchSignal<'_, T, T>),
        out: &mut Increments<T>,
    ) {
        let (p, m) = (limit.settings.n_features, limit.settings.n_neurons);
        let (fields, width, first) = (2 * m, p + m, (p + m) * m);
        let (tau, batch) = (limit.settings.learning_rate, limit.batch);
        let views = limit.noise.views();
        let entries: Vec<(usize, usize)> = (0..m).flat_map(|i| (i..m).map(move |j| (i, j))).collect();
        let mut noise = DMatrix::zeros(fields, fields);
        let mut squares = DMatrix::zeros(fields, fields);
        let mut sums = DMatrix::zeros(p + fields, fields);
        let mut increments = DVector::zeros(out.mean.len());
        out.mean.fill(T::zero());
        out.covariance.fill(T::zero());
        for n in 0..table.batches() {
            table.evaluate(n, factor, signal, work);
            sums.fill(T::zero());
            squares.fill(T::zero());
            for ((node, z), e) in table.samples(n).zip(work.errors().chunks_exact(fields)) {
                let c = table.hidden().column(node);
                for (f, &e) in e.iter().enumerate() {
                    let mut column = sums.column_mut(f);
                    column.iter_mut().zip(c.iter().chain(z)).for_each(|(sum, &y)| *sum += e * y);
                }
                for (f, g) in (0..fields).flat_map(|f| (0..fields).map(move |g| (f, g))) {
                    squares[(f, g)] += e[f] * e[g];
                }
            }
            squares /= batch * batch;
            noise += &squares;
            increments.fill(T::zero());
            for (f, sum) in sums.column_iter().enumerate() {
                for o in 0..width {
                    increments[o * m + f % m] -= tau / batch * self.rows[f / m * width + o].dot(&sum);
                }
            }
            for (at, &(i, j)) in entries.iter().enumerate() {
                let parts = (0..4).map(|at| (at / 2, at % 2));
                let sum: T = parts.map(|(v, w)| views.get(v, w) * squares[(v * m + i, w * m + j)]).sum();
                increments[first + at] = tau * tau * sum;
            }
            out.mean += &increments;
            out.covariance.syger(T::one(), &increments, &increments, T::one());
        }
        let count = T::of_usize(table.batches());
        out.mean /= count;
        out.covariance.fill_upper_triangle_with_lower_triangle();
        out.covariance /= count;
        out.covariance.ger(-T::one(), &out.mean, &out.mean, T::one());
        noise /= count;
        for (f, g) in (0..fields).flat_map(|f| (0..fields).map(move |g| (f, g))) {
            let rest = &self.rest[2 * (f / m) + g / m];
            for (l, k) in (0..p).flat_map(|l| (0..p).map(move |k| (l, k))) {
                out.covariance[(l * m + f % m, k * m + g % m)] += tau * tau * rest[(l, k)] * noise[(f, g)];
            }
        }
    }
}

impl<T: Scalar> Increments<T> {
    pub(super) fn zeros(features: usize, neurons: usize) -> Self {
        let length = Self::len(features, neurons);
        Self { mean: DVector::zeros(length), covariance: DMatrix::zeros(length, length) }
    }

    /// The largest absolute difference of two entries of the covariance.
    pub(super) fn distance(&self, other: &Self) -> T {
        largest_size(self.covariance.iter().zip(&other.covariance).map(|(&x, &y)| x - y))
    }

    /// How many numbers a batch adds to: those of A, of B, and of the upper triangle of Λ.
    pub(crate) fn len(features: usize, neurons: usize) -> usize {
        (features + neurons) * neurons + neurons * (neurons + 1) / 2
    }
}
