//! From averages to coefficients (theory §3): A and B by regression of x̃ and h on the fields of each pair, Λ from pairs
//! and quadruples of fields, and what whole batches add. Written once, for scalars and for numbers with derivatives.

use crate::limit::Compiled;
use crate::limit::averages::closed;
use crate::limit::averages::two_fields::{COVARIANCE, SQUARES, SUMS, complete_by_exchange, pair_sums};
use crate::limit::averages::whole_batches::{BatchSignal, BatchTable};
use crate::limit::rule::{FieldPair, PairNodes, Rule, Work};
use crate::limit::signals::{Couplings, NoiseTerms, Product};
use crate::limit::{Coefficients, Limit};
use crate::model::{GradientPath, Smoothness};
use crate::numerics::dual::Number;
use crate::state::OrderParameters;

/// Averages over one pair of fields and the hidden law.
#[derive(Debug, Clone)]
pub(super) struct PairAverages<N> {
    /// E[f z] over hidden nodes and z; index as in `pair_sums`.
    pub(super) sums: [N; SUMS],
    /// E[f c_l] for f = a₁, a₂, b₁, b₂ at the nodes' c, before any scale: 4 x p.
    pub(super) with_hidden: Vec<N>,
}

impl<N> PairAverages<N> {
    pub(super) fn new<T: Compiled>(features: usize) -> Self
    where
        N: Number<T>,
    {
        Self { sums: [N::zero(); SUMS], with_hidden: vec![N::zero(); 4 * features] }
    }
}

/// A, p x m, B and Λ, m x m, row by row.
#[derive(Debug, Clone)]
pub(crate) struct Assembled<N> {
    neurons: usize,
    pub(crate) a: Vec<N>,
    pub(crate) b: Vec<N>,
    pub(crate) lambda: Vec<N>,
}

impl<N> Assembled<N> {
    pub(super) fn new<T: Compiled>(features: usize, neurons: usize) -> Self
    where
        N: Number<T>,
    {
        let square = || vec![N::zero(); neurons * neurons];
        Self { neurons, a: vec![N::zero(); features * neurons], b: square(), lambda: square() }
    }
}

impl<N> Assembled<N> {
    /// The number m of neurons.
    pub(crate) fn n_neurons(&self) -> usize {
        self.neurons
    }
}

impl<T: Compiled> From<&Coefficients<T>> for Assembled<T> {
    fn from(c: &Coefficients<T>) -> Self {
        let rows = |x: &nalgebra::DMatrix<T>| x.transpose().as_slice().to_vec();
        Self { neurons: c.b.nrows(), a: rows(&c.a), b: rows(&c.b), lambda: rows(&c.lambda) }
    }
}

impl<T: Compiled> Assembled<T> {
    pub(super) fn copy_to(&self, out: &mut Coefficients<T>) {
        let m = self.neurons;
        for (matrix, entries) in [(&mut out.a, &self.a), (&mut out.b, &self.b), (&mut out.lambda, &self.lambda)] {
            for (slot, &x) in entries.iter().enumerate() {
                matrix[(slot / m, slot % m)] = x;
            }
        }
    }
}

/// The parts of a rule that do not depend on the state.
pub(super) struct Frozen<'a, T> {
    pub(super) field_pairs: &'a [FieldPair<T>],
    pub(super) terms: Option<&'a NoiseTerms>,
    pub(super) offsets: &'a [T],
    pub(super) slopes: &'a [T],
    pub(super) batches: Option<&'a BatchTable<T>>,
}

impl<T: Compiled> Rule<T> {
    /// E[∂e^v/∂h^v'] of one neuron, or `None` where σ'' is needed and not known.
    pub(super) fn error_slopes(&mut self, limit: &Limit<'_, T>, state: &OrderParameters<T>) -> Option<[[T; 2]; 2]> {
        self.work.state.copy_from(state.q(), state.r());
        self.update_work(limit);
        let by_parts = matches!(self.smoothness, Smoothness::Kinked { .. });
        let mut slopes = [[T::zero(); 2]; 2];
        if let PairNodes::Closed(form) = self.field_pairs.first()?.nodes {
            slopes = closed::slopes(form, &self.work.pair_law(&self.field_pairs[0], 0)).map(|f| f.map(|x| -x));
        } else {
            if by_parts && !self.work.pair_factors[0].is_regular() {
                return None;
            }
            for group in 0..self.groups.count() {
                let gradient = self.pair_gradient(limit, 0, group);
                for f in 0..2 {
                    for (slope, mean) in slopes[f].iter_mut().zip(gradient.mean(f)) {
                        *slope -= self.groups.weight(group) * mean;
                    }
                }
            }
        }
        if limit.flow == GradientPath::StopGradient {
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
    ) -> Option<[[nalgebra::DMatrix<T>; 2]; 2]> {
        let m = limit.neurons;
        let zeros = || nalgebra::DMatrix::zeros(m, m);
        let mut slopes = [[zeros(), zeros()], [zeros(), zeros()]];
        if m == 1 {
            let one = self.error_slopes(limit, state)?;
            (0..4).for_each(|k| slopes[k / 2][k % 2][(0, 0)] = one[k / 2][k % 2]);
            return Some(slopes);
        }
        if limit.whole_batches {
            return None;
        }
        self.work.state.copy_from(state.q(), state.r());
        self.update_work(limit);
        self.average_pairs(limit);
        let by_parts = matches!(self.smoothness, Smoothness::Kinked { .. });
        let views = if limit.flow == GradientPath::StopGradient { 1 } else { 2 };
        for index in 0..self.field_pairs.len() {
            let (i, j) = (self.field_pairs[index].i, self.field_pairs[index].j);
            // E[∂_v f] for f = a₁, a₂, b₁, b₂.
            let mut means = [[T::zero(); 2]; 4];
            if let PairNodes::Closed(form) = self.field_pairs[index].nodes {
                let closed = closed::slopes(form, &self.work.pair_law(&self.field_pairs[index], index));
                means[..2].copy_from_slice(&closed);
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
            let strength = limit.penalty_strength;
            let covariance = self.work.field_pairs[index].sums[COVARIANCE];
            for view in 0..views {
                let owner = if view == 0 { i } else { j };
                let terms = if i == j {
                    [(view, -T::one()), (2 + view, T::zero())]
                } else {
                    [(view, strength * (T::one() - inverse) * covariance), (2 + view, strength * inverse)]
                };
                for (f, coefficient) in terms.into_iter().filter(|term| term.1 != T::zero()) {
                    slopes[view][0][(owner, i)] += coefficient * means[f][0];
                    slopes[view][1][(owner, j)] += coefficient * means[f][1];
                }
            }
        }
        Some(slopes)
    }

    /// Averages over pairs of fields.
    pub(super) fn average_pairs(&mut self, limit: &Limit<'_, T>) {
        let Self { field_pairs, work, groups, pair_buffers, .. } = self;
        for index in 0..field_pairs.len() {
            if let PairNodes::Closed(form) = field_pairs[index].nodes {
                work.fill_closed(&field_pairs[index], index, form);
                continue;
            }
            let field_pair = &mut field_pairs[index];
            let rows = work.rows(index);
            let averages = &mut work.field_pairs[index];
            averages.sums = [T::zero(); SUMS];
            averages.with_hidden.fill(T::zero());
            for group in 0..groups.count() {
                let mean = [groups.mean(group)[field_pair.i], groups.mean(group)[field_pair.j]];
                let table = match &mut field_pair.nodes {
                    PairNodes::Table(table) => &*table,
                    PairNodes::Kinked(nodes) => nodes.at(mean, rows),
                    PairNodes::Closed(_) => continue,
                };
                let penalty = field_pair.i != field_pair.j;
                let mut sums = pair_sums(table, mean, rows, penalty, limit.sigma, pair_buffers);
                if let Some(odd) = field_pair.odd {
                    complete_by_exchange(&mut sums, odd);
                }
                for (total, &sum) in averages.sums.iter_mut().zip(&sums) {
                    *total += groups.weight(group) * sum;
                }
                for (f, totals) in averages.with_hidden.chunks_exact_mut(limit.features).enumerate() {
                    for (total, &c) in totals.iter_mut().zip(groups.weighted(group)) {
                        *total += sums[3 * f] * c;
                    }
                }
            }
        }
        work.collect_means(field_pairs);
    }

    /// Averages over quadruples of fields.
    pub(super) fn average_quadruples(&mut self, limit: &Limit<'_, T>) {
        let Self { quadruples, places, work, groups, terms, closed_products, .. } = self;
        let Some(terms) = terms else { return };
        if closed_products.is_some() {
            work.fill_closed_products(terms.products());
            return;
        }
        for (quadruple, factor) in quadruples.iter_mut().zip(&work.quadruple_factors) {
            quadruple.reset();
            for group in 0..groups.count() {
                quadruple.add(groups.mean(group), groups.weight(group), factor, limit.sigma);
            }
        }
        for (product, place) in work.products.iter_mut().zip(places) {
            let sum: T = place.parts.iter().map(|&(quadruple, pair)| quadruples[quadruple].average(pair)).sum();
            *product = sum / T::of_usize(place.parts.len());
        }
    }
}

impl<T: Compiled, N: Number<T>> Work<T, N> {
    /// The factor rows of the two fields of a field_pair.
    pub(super) fn rows(&self, field_pair: usize) -> [[N; 2]; 2] {
        let factor = &self.pair_factors[field_pair];
        [0, 1].map(|f| [factor.get(f, 0), factor.get(f, 1)])
    }

    fn pair_law(&self, field_pair: &FieldPair<T>, index: usize) -> closed::PairLaw<N> {
        let fields = [(0, field_pair.i), (1, field_pair.j)];
        let covariance = fields.map(|x| fields.map(|y| self.moments.field_covariance(x, y)));
        closed::PairLaw { covariance, rows: self.rows(index) }
    }

    /// A field_pair's averages in closed form: the only hidden node is zero.
    pub(super) fn fill_closed(&mut self, field_pair: &FieldPair<T>, index: usize, form: crate::model::ClosedForm<T>) {
        let sums = closed::pair_sums(form, &self.pair_law(field_pair, index));
        self.field_pairs[index].sums = sums;
        self.field_pairs[index].with_hidden.fill(N::zero());
    }

    /// Averages over four fields of erf in closed form.
    pub(super) fn fill_closed_products(&mut self, products: &[Product]) {
        for (out, (x, y)) in self.products.iter_mut().zip(products) {
            let fields = [(x.view, x.own), (y.view, y.own), (1 - x.view, x.other), (1 - y.view, y.other)];
            let moments = &self.moments;
            *out = closed::erf_fourth(&|i, j| moments.field_covariance(fields[i], fields[j]));
        }
    }

    /// M from the field_pairs.
    pub(super) fn collect_means(&mut self, field_pairs: &[FieldPair<T>]) {
        let m = self.out.neurons;
        for (field_pair, averages) in field_pairs.iter().zip(&self.field_pairs) {
            self.means[field_pair.i * m + field_pair.j] = averages.sums[COVARIANCE];
        }
    }

    /// The coefficients from the averages.
    pub(super) fn assemble(&mut self, limit: &Limit<'_, T>, frozen: &Frozen<'_, T>) {
        self.assemble_drift(limit, frozen);
        self.assemble_diffusion(limit, frozen);
        self.add_batches(limit, frozen);
    }

    /// A and B from the averages over field_pairs.
    fn assemble_drift(&mut self, limit: &Limit<'_, T>, frozen: &Frozen<'_, T>) {
        let (p, m) = (limit.features, limit.neurons);
        let Self { numbers, state, moments, pair_factors, field_pairs, out, .. } = self;
        let inverse = N::one() / numbers.batch;
        out.a.fill(N::zero());
        out.b.fill(N::zero());
        let views = if limit.flow == GradientPath::StopGradient { 1 } else { 2 };
        for ((field_pair, factor), averages) in frozen.field_pairs.iter().zip(&*pair_factors).zip(&*field_pairs) {
            let fields = [(0, field_pair.i), (1, field_pair.j)];
            for view in 0..views {
                // Index 1 of the field_pair's averages belongs to neuron i in view 1, index 2 to neuron j in view 2.
                let neuron = if view == 0 { field_pair.i } else { field_pair.j };
                let terms = if field_pair.i == field_pair.j {
                    [Some((view, -N::one())), None]
                } else {
                    let at = field_pair.i * m + field_pair.j;
                    let (offset, slope) = (frozen.offsets[at], frozen.slopes[at]);
                    let rest = ((N::one() - inverse) * averages.sums[COVARIANCE]).times(slope);
                    let strength = numbers.penalty_strength;
                    let own = (strength * inverse).times(slope);
                    [Some((view, strength * (N::constant(offset) + rest))), Some((2 + view, own))]
                };
                for (f, coefficient) in terms.into_iter().flatten() {
                    let scale = -(numbers.learning_rate * coefficient);
                    let with_z = [averages.sums[3 * f + 1], averages.sums[3 * f + 2]];
                    let with_hidden = &averages.with_hidden[f * p..(f + 1) * p];
                    let mut g = [N::zero(); 2];
                    for l in 0..p {
                        let covariance = fields.map(|field| moments.feature_covariance(state, (view, l), field));
                        factor.regress(&covariance, &mut g);
                        out.a[l * m + neuron] +=
                            scale * (with_hidden[l] * numbers.scales[l] + g[0] * with_z[0] + g[1] * with_z[1]);
                    }
                    for j in 0..m {
                        let covariance = fields.map(|field| moments.field_covariance((view, j), field));
                        factor.regress(&covariance, &mut g);
                        let mean = (0..p).fold(N::zero(), |sum, l| sum + moments.scaled[l * m + j] * with_hidden[l]);
                        out.b[j * m + neuron] += scale * (mean + g[0] * with_z[0] + g[1] * with_z[1]);
                    }
                }
            }
        }
    }

    /// Λ from the averages over field_pairs (diagonal, no penalty) and over quadruples of fields.
    fn assemble_diffusion(&mut self, limit: &Limit<'_, T>, frozen: &Frozen<'_, T>) {
        let m = limit.neurons;
        let Self { numbers, field_pairs, means, products, out, .. } = self;
        let scale = numbers.learning_rate * numbers.learning_rate / numbers.batch;
        out.lambda.fill(N::zero());
        if !limit.penalised {
            let d = |v: usize, w: usize| numbers.views.get(v, w);
            for (field_pair, averages) in frozen.field_pairs.iter().zip(&*field_pairs) {
                let [first, cross, second] = [0, 1, 2].map(|k| averages.sums[SQUARES + k]);
                out.lambda[field_pair.i * m + field_pair.i] = if limit.flow == GradientPath::StopGradient {
                    d(0, 0) * first
                } else {
                    d(0, 0) * first + (d(0, 1) * cross).times(T::lit(2.0)) + d(1, 1) * second
                };
            }
        }
        if let Some(terms) = frozen.terms {
            let couplings = Couplings { numbers, offsets: frozen.offsets, slopes: frozen.slopes, means };
            terms.add(&couplings, products, &mut out.lambda);
        }
        for i in 0..m {
            for j in i..m {
                let entry = scale * out.lambda[i * m + j];
                out.lambda[i * m + j] = entry;
                out.lambda[j * m + i] = entry;
            }
        }
    }

    /// What a penalty that is not quadratic adds to every coefficient, from averages over whole batches.
    fn add_batches(&mut self, limit: &Limit<'_, T>, frozen: &Frozen<'_, T>) {
        let (Some((factor, work)), Some(table)) = (&mut self.batch, frozen.batches) else { return };
        let (p, m) = (limit.features, limit.neurons);
        let (numbers, moments, state, out) = (&self.numbers, &self.moments, &self.state, &mut self.out);
        let (g, rest) = self.covariance.split_at_mut(2 * m);
        let covariance = &mut rest[..2 * m];
        let signal = BatchSignal {
            sigma: limit.sigma,
            penalty: limit.penalty,
            offsets: frozen.offsets,
            slopes: frozen.slopes,
            numbers,
            flow: limit.flow,
        };
        let sums = table.average(&moments.scaled, factor, &signal, work);
        let tau = numbers.learning_rate;
        for (out, &sum) in out.lambda.iter_mut().zip(&sums.diffusion) {
            *out += tau * tau * sum;
        }
        for view in 0..2 {
            for l in 0..p {
                for (f, slot) in covariance.iter_mut().enumerate() {
                    *slot = moments.feature_covariance(state, (view, l), (f / m, f % m));
                }
                factor.regress(covariance, g);
                for i in 0..m {
                    let column = view * m + i;
                    let with_z = &sums.with_z[column * 2 * m..][..2 * m];
                    let noise = g.iter().zip(with_z).fold(N::zero(), |sum, (&g, &z)| sum + g * z);
                    let mean = sums.with_hidden[column * p + l] * numbers.scales[l];
                    out.a[l * m + i] -= tau * (mean + noise);
                }
            }
            for j in 0..m {
                for i in 0..m {
                    let column = view * m + i;
                    let with_hidden = &sums.with_hidden[column * p..][..p];
                    let mean = (0..p).fold(N::zero(), |sum, l| sum + moments.scaled[l * m + j] * with_hidden[l]);
                    let with_z = &sums.with_z[column * 2 * m..][..2 * m];
                    let noise = (0..2 * m).fold(mean, |sum, k| sum + factor.get(view * m + j, k) * with_z[k]);
                    out.b[j * m + i] -= tau * noise;
                }
            }
        }
    }
}
