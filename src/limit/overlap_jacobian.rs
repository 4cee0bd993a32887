//! Derivatives along many overlaps at once.
//!
//! An overlap moves coefficients by few numbers, on which all of them depend: entries of QᵀQ, and averages over each pair of fields. Beside
//! them it moves its own row, and E[c_l f]. So the derivatives by overlaps are those by these numbers, times theirs by the
//! overlaps, and a rest that is known entry by entry: of p features p² multiplications for each number, where numbers with
//! derivatives would carry all of them through every operation. Not here: how averages move (see `jacobian`).

use super::averages::sum_gradient;
use super::averages::two_fields::{COVARIANCE, SUMS};
use super::error::LimitError;
use super::fields::moments::State;
use super::jacobian::{Gradients, PairGradient, Visit, add_view_entries};
use super::problem::Limit;
use super::rule::{FourFields, Rule};
use super::work::{Assembled, Moving, PairNodes};
use crate::Scalar;
use crate::model::Smoothness;
use crate::numerics::dual::{DIRECTIONS, Dual, Number};
use crate::numerics::kernels::add_scaled;
use crate::numerics::lanes::{LANES, Lanes, dispatch};
use crate::numerics::products::multiply;

/// A number by which overlaps move the coefficients.
#[derive(Debug, Clone, Copy)]
enum Lever {
    /// (QᵀQ)_ij = (QᵀQ)_ji.
    Square(usize, usize),
    /// An average over a pair of fields, each by its number.
    Average { pair: usize, k: usize },
}

/// The most averages that move, over the fields of one neuron: two signals, with 1 and z, and three squares; and over those of two: four
/// signals and the covariance.
const OF_ONE: usize = 9;
const OF_TWO: usize = 13;

/// How A, B and Λ move: a row for each of their entries, row by row, and a column for each overlap. Overlaps of a neuron stand side by
/// side, padded to `stride`.
#[derive(Debug)]
struct ByOverlaps<T> {
    stride: usize,
    width: usize,
    a: Vec<T>,
    b: Vec<T>,
    lambda: Vec<T>,
}

impl<T: Scalar> Rule<T> {
    /// Whether derivatives along that many overlaps come at less from levers.
    pub(super) fn has_levers(&self, limit: &Limit<'_, T>, overlaps: usize) -> bool {
        let m = limit.settings.n_neurons;
        let averages = self.field_pairs.iter().map(|pair| if pair.i == pair.j { OF_ONE } else { OF_TWO });
        let levers = m * (m + 1) / 2 + averages.sum::<usize>();
        let by_sums = self.field_pairs.iter().all(|pair| matches!(pair.nodes, PairNodes::Sum(_)));
        overlaps.div_ceil(DIRECTIONS) > levers.div_ceil(DIRECTIONS)
            && (self.views.is_some() || by_sums)
            && self.batches.is_none()
            && (self.terms.is_none() || matches!(self.four_fields, FourFields::Views))
            && self.hidden.gaussian.nrows() == 0
            && !matches!(self.smoothness, Smoothness::Kinked { .. })
    }

    /// Calls `visit` for those overlaps, of which gradients are known but for E[c_l c_l' ·].
    pub(super) fn visit_overlaps(
        &mut self,
        limit: &Limit<'_, T>,
        gradients: &Gradients<T>,
        overlaps: &[(usize, usize)],
        visit: &mut Visit<'_, T>,
    ) -> Result<(), LimitError<T>> {
        self.assemble(limit);
        let motion = self.by_overlaps(limit, gradients)?;
        let m = limit.settings.n_neurons;
        let constant = |x: &[T]| -> Vec<Dual<T>> { x.iter().map(|&x| Dual::constant(x)).collect() };
        let mut q = constant(&self.work.state.q);
        let r = constant(&self.work.state.r);
        let mut coefficients = Assembled::<Dual<T>>::new(limit.settings.n_features, m);
        for (chunk, overlaps) in overlaps.chunks(DIRECTIONS).enumerate() {
            let columns: Vec<usize> = overlaps.iter().map(|&(l, i)| i * motion.stride + l).collect();
            let side_by_side = columns.len() == DIRECTIONS && columns.windows(2).all(|two| two[1] == two[0] + 1);
            let lanes = |row: &[T]| {
                let mut lanes = Lanes::zero();
                if side_by_side {
                    lanes.0.copy_from_slice(&row[columns[0]..][..DIRECTIONS]);
                } else {
                    lanes.0.iter_mut().zip(&columns).for_each(|(lane, &column)| *lane = row[column]);
                }
                lanes
            };
            let Assembled { a, b, lambda, .. } = &self.work.out;
            let moved = [(&mut coefficients.a, a, &motion.a), (&mut coefficients.b, b, &motion.b)];
            for (out, values, rows) in moved.into_iter().chain([(&mut coefficients.lambda, lambda, &motion.lambda)]) {
                dispatch(
                    #[inline(always)]
                    || {
                        for ((out, &value), row) in out.iter_mut().zip(values).zip(rows.chunks_exact(motion.width)) {
                            *out = Dual { value, slopes: lanes(row) };
                        }
                    },
                );
            }
            overlaps.iter().enumerate().for_each(|(k, &(l, i))| q[l * m + i].slopes.0[k] = T::one());
            visit(chunk * DIRECTIONS, Moving { coefficients: &coefficients, q: &q, r: &r });
            for &(l, i) in overlaps {
                q[l * m + i].slopes = Lanes::zero();
            }
        }
        Ok(())
    }

    fn by_overlaps(&mut self, limit: &Limit<'_, T>, gradients: &Gradients<T>) -> Result<ByOverlaps<T>, LimitError<T>> {
        let (p, m) = (limit.settings.n_features, limit.settings.n_neurons);
        let stride = p.next_multiple_of(LANES);
        let width = stride * m;
        let levers = self.levers(gradients, m);
        let moved = self.lever_motion(gradients, &levers, (p, m), stride);
        let [a, b, lambda] = self.by_levers(limit, gradients, &levers)?.map(|by| {
            let rows = by.len() / levers.len();
            let mut out = vec![T::zero(); rows * width];
            dispatch(
                #[inline(always)]
                || multiply(&by, levers.len(), &moved, levers.len(), width, &mut out),
            );
            out
        });
        let mut motion = ByOverlaps { stride, width, a, b, lambda };
        self.add_pairs(limit, gradients, &mut motion);
        self.add_own(limit, &mut motion);
        let numbers = &self.work.numbers;
        let scale = numbers.learning_rate * numbers.learning_rate / numbers.batch;
        for (entry, entry_motion) in &gradients.view_entries {
            let (i, j) = (entry / m, entry % m);
            for (neuron, c) in &entry_motion.means {
                for at in if i == j { 0..1 } else { 0..2 } {
                    let row = if at == 0 { i * m + j } else { j * m + i };
                    add_scaled(scale, c, &mut motion.lambda[row * width + neuron * stride..][..p]);
                }
            }
        }
        Ok(motion)
    }

    fn levers(&self, gradients: &Gradients<T>, m: usize) -> Vec<Lever> {
        let squares = (0..m).flat_map(|i| (i..m).map(move |j| Lever::Square(i, j)));
        let averages = (0..self.field_pairs.len()).flat_map(|pair| (0..SUMS).map(move |k| Lever::Average { pair, k }));
        let moves = |lever: &Lever| match *lever {
            Lever::Square(..) => true,
            Lever::Average { pair, k } => (0..2).any(|v| !self.means(gradients, pair, k, v).is_empty()),
        };
        squares.chain(averages.filter(moves)).collect()
    }

    /// How an average over a pair of fields moves with the coefficients that the field of view v sees: of length p, or empty.
    fn means<'a>(&'a self, gradients: &'a Gradients<T>, pair: usize, k: usize, v: usize) -> &'a [T] {
        match &gradients.field_pairs[pair] {
            PairGradient::Closed => &[],
            PairGradient::Motion(motion) => &motion.means[k][v],
            // ∂₁ of y Y is a₁, ∂₂ is a₂.
            PairGradient::Views(slopes) if k == COVARIANCE && slopes.has_covariance() => {
                let with_hidden = &self.work.field_pairs[pair].with_hidden;
                let p = with_hidden.len() / 4;
                &with_hidden[v * p..(v + 1) * p]
            }
            PairGradient::Views(slopes) => slopes.means(k, v),
        }
    }

    /// How the levers move with the overlaps: a row for each.
    fn lever_motion(
        &self,
        gradients: &Gradients<T>,
        levers: &[Lever],
        (p, m): (usize, usize),
        stride: usize,
    ) -> Vec<T> {
        let (q, width) = (&self.work.state.q, stride * m);
        let mut moved = vec![T::zero(); levers.len() * width];
        for (lever, row) in levers.iter().zip(moved.chunks_exact_mut(width)) {
            match *lever {
                Lever::Square(i, j) => {
                    for l in 0..p {
                        row[i * stride + l] += q[l * m + j];
                        row[j * stride + l] += q[l * m + i];
                    }
                }
                Lever::Average { pair, k } => {
                    let neurons = [self.field_pairs[pair].i, self.field_pairs[pair].j];
                    for (v, i) in neurons.into_iter().enumerate() {
                        let means = self.means(gradients, pair, k, v);
                        row[i * stride..].iter_mut().zip(means).for_each(|(out, &c)| *out += c);
                    }
                }
            }
        }
        moved
    }

    /// How A, B and Λ move with the levers: a row for each entry.
    fn by_levers(
        &self,
        limit: &Limit<'_, T>,
        gradients: &Gradients<T>,
        levers: &[Lever],
    ) -> Result<[Vec<T>; 3], LimitError<T>> {
        let count = levers.len();
        let Assembled { a, b, lambda, .. } = &self.work.out;
        let mut out = [a, b, lambda].map(|x| vec![T::zero(); x.len() * count]);
        for (chunk, levers) in levers.chunks(DIRECTIONS).enumerate() {
            let mut work = self.lifted(limit, &[])?;
            work.update_moments(&self.hidden);
            for (k, lever) in levers.iter().enumerate() {
                if let Lever::Square(i, j) = *lever {
                    work.moments.vary_overlap((i, j), k);
                }
            }
            work.update_factors(limit, &self.field_pairs, self.four_fields.quadruples());
            self.check_smooth(&work)?;
            self.lift_planes(limit, gradients, &mut work);
            for (k, lever) in levers.iter().enumerate() {
                if let Lever::Average { pair, k: average } = *lever {
                    work.field_pairs[pair].sums[average].slopes.0[k] += T::one();
                }
            }
            work.collect_means(&self.field_pairs);
            self.lift_products(gradients, &mut work);
            work.assemble(limit, &self.frozen());
            add_view_entries(gradients, &mut work);
            let all = [&work.out.a, &work.out.b, &work.out.lambda];
            for (out, moved) in out.iter_mut().zip(all) {
                for (row, x) in out.chunks_exact_mut(count).zip(moved) {
                    row[chunk * DIRECTIONS..][..levers.len()].copy_from_slice(&x.slopes.0[..levers.len()]);
                }
            }
        }
        Ok(out)
    }

    /// What E[c_l c_l' ·] adds to A, and by it to B.
    fn add_pairs(&mut self, limit: &Limit<'_, T>, gradients: &Gradients<T>, motion: &mut ByOverlaps<T>) {
        let (p, m) = (limit.settings.n_features, limit.settings.n_neurons);
        let ByOverlaps { stride, width, .. } = *motion;
        for (i, j) in (0..m).flat_map(|i| (i..m).map(move |j| (i, j))) {
            // For each neuron that moves, and each by the sum that moves it: weights of ∂_v f in pair (i, j), and in (j, i).
            let mut blocks = vec![(i, i)];
            if i < j {
                blocks.extend([(i, j), (j, i), (j, j)]);
            }
            let mut weights: Vec<Vec<(usize, usize, usize, T)>> = vec![Vec::new(); blocks.len()];
            for (index, pair) in self.field_pairs.iter().enumerate() {
                if (pair.i.min(pair.j), pair.i.max(pair.j)) != (i, j) {
                    continue;
                }
                let neurons = [pair.i, pair.j];
                for view in 0..limit.settings.gradient_path.views() {
                    let terms = self.work.signal_terms(limit, &self.frozen(), index, view);
                    for (f, coefficient) in terms.into_iter().flatten() {
                        let weight = -(self.work.numbers.learning_rate * coefficient);
                        for v in 0..2 {
                            let block = (neurons[view], neurons[v]);
                            let at = blocks.iter().position(|&other| other == block);
                            weights[at.unwrap_or(0)].push((index, f, v, weight));
                        }
                    }
                }
            }
            let all = self.weighted_pairs(gradients, (i, j), &weights);
            for ((n, x), pairs) in blocks.into_iter().zip(all) {
                for (l, pairs) in pairs.chunks_exact(p).enumerate() {
                    add_scaled(T::one(), pairs, &mut motion.a[(l * m + n) * width + x * stride..][..p]);
                }
                for neuron in 0..m {
                    let along = &mut motion.b[(neuron * m + n) * width + x * stride..][..p];
                    dispatch(
                        #[inline(always)]
                        || {
                            for (l, pairs) in pairs.chunks_exact(p).enumerate() {
                                add_scaled(self.work.state.q[l * m + neuron], pairs, along);
                            }
                        },
                    );
                }
            }
        }
    }

    /// E[c_l c_l' ·], p x p each, of sums of weight·∂_v f over terms (pair, f, v, weight), all of the neurons i and j.
    fn weighted_pairs(
        &mut self,
        gradients: &Gradients<T>,
        neurons: (usize, usize),
        sums: &[Vec<(usize, usize, usize, T)>],
    ) -> Vec<Vec<T>> {
        if let Some(views) = &mut self.views {
            let terms = |sum: &Vec<(usize, usize, usize, T)>| {
                let term = |&(pair, f, v, weight): &(usize, usize, usize, T)| match &gradients.field_pairs[pair] {
                    PairGradient::Views(slopes) => Some((slopes.first(f, v), weight)),
                    _ => None,
                };
                sum.iter().filter_map(term).collect::<Vec<_>>()
            };
            return views.weighted_pairs(neurons, &sums.iter().map(terms).collect::<Vec<_>>());
        }
        let mut out = Vec::new();
        for sum in sums {
            // One neuron, one pair: of each signal both slopes have the same weight.
            let mut weights = [T::zero(); 2];
            sum.iter().filter(|term| term.2 == 0).for_each(|&(_, f, _, weight)| weights[f] += weight);
            if let PairNodes::Sum(form) = &mut self.field_pairs[0].nodes {
                out.push(sum_gradient::weighted_pairs(form, weights));
            }
        }
        out
    }

    /// What an overlap adds to its own row of A, and to B by that of E[c f].
    fn add_own(&self, limit: &Limit<'_, T>, motion: &mut ByOverlaps<T>) {
        let (p, m) = (limit.settings.n_features, limit.settings.n_neurons);
        let ByOverlaps { stride, width, .. } = *motion;
        let work = &self.work;
        for (index, pair) in self.field_pairs.iter().enumerate() {
            let fields = [(0, pair.i), (1, pair.j)];
            for view in 0..limit.settings.gradient_path.views() {
                let n = fields[view].1;
                for (f, coefficient) in work.signal_terms(limit, &self.frozen(), index, view).into_iter().flatten() {
                    let scale = -(work.numbers.learning_rate * coefficient);
                    let averages = &work.field_pairs[index];
                    let with_z = [averages.sums[3 * f + 1], averages.sums[3 * f + 2]];
                    for j in 0..m {
                        let q = (0..m).map(|i| if i == j { T::one() } else { T::zero() }).collect();
                        let one = State { q, r: Vec::new() };
                        let covariance = fields.map(|field| work.moments.feature_covariance(&one, (view, 0), field));
                        let g = work.regress(&pair.nodes, index, covariance);
                        let own = scale * (g[0] * with_z[0] + g[1] * with_z[1]);
                        let with_hidden = &averages.with_hidden[f * p..(f + 1) * p];
                        for (l, &c) in with_hidden.iter().enumerate() {
                            motion.a[(l * m + n) * width + j * stride + l] += own;
                            motion.b[(j * m + n) * width + j * stride + l] += scale * c;
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Direction;
    use crate::model::{GaussianNoise, Independent, Law, Model, Tanh};
    use crate::state::OrderParameters;
    use nalgebra::DMatrix;

    /// The same derivatives with overlaps first, by levers, and with them last, by numbers that carry them all.
    fn compare(m: usize, p: usize, laws: &[Law], correlation: f64, penalty: f64) {
        let laws: Vec<Law> = (0..p).map(|l| laws[l % laws.len()].clone()).collect();
        let builder = Model::builder()
            .nonlinearity(Tanh)
            .n_neurons(m)
            .hidden(Independent::new(laws).unwrap())
            .noise(GaussianNoise::correlated(0.3, correlation).unwrap())
            .batch_size(3)
            .learning_rate(0.3)
            .penalty_strength(penalty);
        let model = builder.build().unwrap();
        let limit = Limit::new(&model).unwrap();
        let q = DMatrix::from_fn(p, m, |l, i| 0.25 * ((3 * l + 5 * i) as f64).sin() / (p as f64).sqrt());
        let r = DMatrix::from_fn(m, m, |i, j| if i == j { 0.9 + 0.1 * i as f64 } else { 0.2 });
        let state = OrderParameters::new(q, r).unwrap();
        let mut rule = limit.rule(&state).unwrap();
        let overlaps: Vec<Direction> = Direction::of_state(p, m).collect();
        let reversed: Vec<Direction> = overlaps.iter().rev().copied().collect();
        assert!(rule.has_levers(&limit, p * m), "m = {m}: no levers");
        let mut tables = [&overlaps, &reversed].map(|directions| {
            let mut rows: Vec<Vec<f64>> = vec![Vec::new(); directions.len()];
            rule.differentiate(&limit, &state, directions, &mut |first, moving| {
                let Assembled { a, b, lambda, .. } = moving.coefficients;
                let all: Vec<&Dual<f64>> = a.iter().chain(b).chain(lambda).chain(moving.q).chain(moving.r).collect();
                for (k, row) in rows[first..].iter_mut().take(DIRECTIONS).enumerate() {
                    *row = all.iter().map(|x| x.slopes.0[k]).chain(all.iter().map(|x| x.value)).collect();
                }
            })
            .unwrap();
            rows
        });
        tables[1].reverse();
        let [by_levers, by_numbers] = tables;
        for (column, (x, y)) in by_levers.iter().zip(&by_numbers).enumerate() {
            for (row, (x, y)) in x.iter().zip(y).enumerate() {
                assert!((x - y).abs() < 1e-13, "m = {m}: ({row}, {column}) {x} against {y}");
            }
        }
    }

    #[test]
    fn levers_give_what_numbers_with_all_derivatives_give() {
        let symmetric = [Law::two_point(2.0).unwrap(), Law::laplace(1.2).unwrap(), Law::uniform(0.8).unwrap()];
        let skewed = [Law::skewed(1.5, 0.2).unwrap(), Law::two_point(0.7).unwrap()];
        for laws in [&symmetric[..], &skewed] {
            compare(1, 37, laws, -0.4, 0.0);
            compare(2, 70, laws, 0.3, 0.7);
        }
    }
}
