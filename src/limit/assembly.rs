//! From averages to coefficients (theory §3): A and B by regression of x̃ and h on the fields of each pair, Λ from pairs
//! and groups, and what whole batches add.

use nalgebra::DMatrix;

use super::batch::BatchSignal;
use super::kinked::kinked_table;
use super::plane::{COVARIANCE, SQUARES, SUMS, complete_by_exchange, plane_sums};
use super::rule::Rule;
use super::space::Signal;
use super::{Coefficients, Limit};
use crate::Scalar;
use crate::model::{GradientFlow, Smoothness};
use crate::order_parameters::OrderParameters;

impl<T: Scalar> Rule<T> {
    /// E[∂e^v/∂h^v'] of one neuron, or `None` where σ'' is needed and not known.
    pub(super) fn error_slopes(&mut self, limit: &Limit<'_, T>, state: &OrderParameters<T>) -> Option<[[T; 2]; 2]> {
        self.update(limit, state.q(), state.r());
        let plane = self.planes.first()?;
        let row = |field: usize| [plane.factor.get(field, 0), plane.factor.get(field, 1)];
        let rows = [row(0), row(1)];
        if limit.sigma.second_derivative(T::zero()).is_none() {
            // E[e z_k] = Σ_v F_vk E[∂e/∂h^v], solved for the derivatives.
            self.average_planes(limit);
            let determinant = rows[0][0] * rows[1][1] - rows[0][1] * rows[1][0];
            let scale = rows.iter().flatten().fold(T::zero(), |s, x| s.max(x.abs()));
            if !(determinant.abs() > T::EPSILON.sqrt() * scale * scale) {
                return None;
            }
            let sums = &self.planes.first()?.sums;
            return Some([0, 3].map(|f| {
                let (x, y) = (-sums[f + 1], -sums[f + 2]);
                [(x * rows[1][1] - y * rows[1][0]) / determinant, (y * rows[0][0] - x * rows[0][1]) / determinant]
            }));
        }
        let mut slopes = [[T::zero(); 2]; 2];
        let (z1, z2) = (plane.table.coordinate(0), plane.table.coordinate(1));
        for (n, &hidden_weight) in self.hidden.weights.iter().enumerate() {
            let mean = self.moments.means[(plane.i, n)];
            for ((&a, &b), &w) in z1.iter().zip(z2).zip(plane.table.weights()) {
                let w = w * hidden_weight;
                let h = rows.map(|row| mean + row[0] * a + row[1] * b);
                let [(y, d), (yy, dd)] = h.map(|h| limit.sigma.value_and_derivative(h));
                slopes[0][0] -= w * limit.sigma.second_derivative(h[0])? * yy;
                slopes[1][1] -= w * limit.sigma.second_derivative(h[1])? * y;
                slopes[0][1] -= w * d * dd;
            }
        }
        if plane.odd.is_some() {
            // Half of the nodes served for all: exchanging the views exchanges the diagonal.
            let mean = T::lit(0.5) * (slopes[0][0] + slopes[1][1]);
            slopes[0][0] = mean;
            slopes[1][1] = mean;
        }
        slopes[1][0] = slopes[0][1];
        if limit.flow == GradientFlow::StopGradient {
            slopes[1] = [T::zero(); 2];
        }
        Some(slopes)
    }

    pub(super) fn average_planes(&mut self, limit: &Limit<'_, T>) {
        for plane in &mut self.planes {
            let factor = &plane.factor;
            let rows = [[factor.get(0, 0), factor.get(0, 1)], [factor.get(1, 0), factor.get(1, 1)]];
            plane.sums = [T::zero(); SUMS];
            plane.with_hidden.fill(T::zero());
            for (n, &weight) in self.hidden.weights.iter().enumerate() {
                let mean = [self.moments.means[(plane.i, n)], self.moments.means[(plane.j, n)]];
                let penalty = plane.i != plane.j;
                if let Smoothness::Kinked { at } = self.smoothness {
                    plane.table = kinked_table(mean, rows, at, self.accuracy);
                }
                let mut sums = plane_sums(&plane.table, mean, rows, penalty, limit.sigma, &mut self.plane_buffers);
                if let Some(odd) = plane.odd {
                    complete_by_exchange(&mut sums, odd);
                }
                for (total, &sum) in plane.sums.iter_mut().zip(&sums) {
                    *total += weight * sum;
                }
                for f in 0..4 {
                    for l in 0..limit.features {
                        plane.with_hidden[f * limit.features + l] += weight * sums[3 * f] * self.hidden.nodes[(l, n)];
                    }
                }
            }
        }
    }

    /// A and B from the averages over planes.
    pub(super) fn assemble_drift(&self, limit: &Limit<'_, T>, q: &DMatrix<T>, out: &mut Coefficients<T>) {
        let (p, m) = (limit.features, limit.neurons);
        let (inverse, strength) = (T::one() / limit.batch, limit.penalty_strength);
        out.a.fill(T::zero());
        out.b.fill(T::zero());
        let views = if limit.flow == GradientFlow::StopGradient { 1 } else { 2 };
        for plane in &self.planes {
            for view in 0..views {
                // Index 1 of the plane's averages belongs to neuron i in view 1, index 2 to neuron j in view 2.
                let neuron = if view == 0 { plane.i } else { plane.j };
                let terms = if plane.i == plane.j {
                    [(view, -T::one()), (2 + view, T::zero())]
                } else {
                    let rest = (T::one() - inverse) * plane.sums[COVARIANCE];
                    [(view, strength * rest), (2 + view, strength * inverse)]
                };
                for (f, coefficient) in terms.into_iter().filter(|t| t.1 != T::zero()) {
                    let scale = -limit.learning_rate * coefficient;
                    let with_z = [plane.sums[3 * f + 1], plane.sums[3 * f + 2]];
                    let with_hidden = &plane.with_hidden[f * p..(f + 1) * p];
                    let mut g = [T::zero(); 2];
                    for l in 0..p {
                        let covariance = [(0, plane.i), (1, plane.j)]
                            .map(|field| self.moments.feature_covariance(limit, q, (view, l), field));
                        plane.factor.regress(&covariance, &mut g);
                        out.a[(l, neuron)] += scale * (with_hidden[l] + g[0] * with_z[0] + g[1] * with_z[1]);
                    }
                    for j in 0..m {
                        let covariance = [(0, plane.i), (1, plane.j)]
                            .map(|field| self.moments.field_covariance(limit, (view, j), field));
                        plane.factor.regress(&covariance, &mut g);
                        let mean: T = (0..p).map(|l| q[(l, j)] * with_hidden[l]).sum();
                        out.b[(j, neuron)] += scale * (mean + g[0] * with_z[0] + g[1] * with_z[1]);
                    }
                }
            }
        }
    }

    /// What a penalty that is not quadratic adds to every coefficient, from averages over whole batches.
    pub(super) fn add_batches(&mut self, limit: &Limit<'_, T>, q: &DMatrix<T>, out: &mut Coefficients<T>) {
        let Some((factor, table)) = &mut self.batches else { return };
        let (p, m) = (limit.features, limit.neurons);
        let signal = BatchSignal {
            sigma: limit.sigma,
            penalty: limit.penalty,
            penalty_strength: limit.batch_strength,
            views: limit.views,
            flow: limit.flow,
        };
        let sums = table.average(q, factor, &signal);
        out.lambda += sums.diffusion * (limit.learning_rate * limit.learning_rate);
        let mut g = vec![T::zero(); 2 * m];
        let mut covariance = vec![T::zero(); 2 * m];
        for view in 0..2 {
            for l in 0..p {
                for (f, slot) in covariance.iter_mut().enumerate() {
                    *slot = self.moments.feature_covariance(limit, q, (view, l), (f / m, f % m));
                }
                factor.regress(&covariance, &mut g);
                for i in 0..m {
                    let column = view * m + i;
                    let noise: T = g.iter().zip(sums.with_z.column(column).iter()).map(|(&g, &z)| g * z).sum();
                    out.a[(l, i)] -= limit.learning_rate * (sums.with_hidden[(l, column)] + noise);
                }
            }
            for j in 0..m {
                for i in 0..m {
                    let column = view * m + i;
                    let mean: T = (0..p).map(|l| q[(l, j)] * sums.with_hidden[(l, column)]).sum();
                    let with_z = sums.with_z.column(column);
                    let noise: T = (0..2 * m).map(|k| factor.get(view * m + j, k) * with_z[k]).sum();
                    out.b[(j, i)] -= limit.learning_rate * (mean + noise);
                }
            }
        }
    }

    /// Λ from the averages over planes (one neuron, or diagonal without penalty) and over groups.
    pub(super) fn assemble_diffusion(&mut self, limit: &Limit<'_, T>, out: &mut Coefficients<T>) {
        let m = limit.neurons;
        let scale = limit.learning_rate * limit.learning_rate / limit.batch;
        let penalised = limit.penalty_strength > T::zero();
        out.lambda.fill(T::zero());
        let mut covariance = DMatrix::zeros(m, m);
        for plane in &self.planes {
            covariance[(plane.i, plane.j)] = plane.sums[COVARIANCE];
            if plane.i == plane.j && !penalised {
                let d = limit.views;
                let [first, cross, second] = [plane.sums[SQUARES], plane.sums[SQUARES + 1], plane.sums[SQUARES + 2]];
                let sum = if limit.flow == GradientFlow::StopGradient {
                    d.get(0, 0) * first
                } else {
                    d.get(0, 0) * first + T::lit(2.0) * d.get(0, 1) * cross + d.get(1, 1) * second
                };
                out.lambda[(plane.i, plane.i)] = scale * sum;
            }
        }
        for group in &mut self.groups {
            let k = group.neurons.len();
            let local = DMatrix::from_fn(k, k, |a, b| covariance[(group.neurons[a], group.neurons[b])]);
            let signal = Signal {
                penalty_strength: limit.penalty_strength,
                batch: limit.batch,
                views: limit.views,
                flow: limit.flow,
                exchangeable: limit.is_exchangeable(),
                covariance: &local,
            };
            group.buffers.reset();
            let mut mean = vec![T::zero(); k];
            for (n, &weight) in self.hidden.weights.iter().enumerate() {
                for (slot, &neuron) in mean.iter_mut().zip(&group.neurons) {
                    *slot = self.moments.means[(neuron, n)];
                }
                let factor = |f: usize, axis: usize| group.factor.get(f, axis);
                group.buffers.add(&group.table, &mean, weight, &factor, limit.sigma, &signal);
            }
            let block = group.buffers.diffusion(&signal);
            for (a, &i) in group.neurons.iter().enumerate() {
                for (b, &j) in group.neurons.iter().enumerate() {
                    if penalised || i != j {
                        out.lambda[(i, j)] = scale * block[(a, b)];
                    }
                }
            }
        }
    }
}
