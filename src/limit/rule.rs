//! A frozen choice of nodes for every average that the coefficients need, and their assembly (theory §3).

use nalgebra::DMatrix;

use super::batch::{BatchSignal, BatchTable};
use super::factor::Factor;
use super::kinked::kinked_table;
use super::plane::{COVARIANCE, PlaneBuffers, SQUARES, SUMS, complete_by_exchange, plane_sums};
use super::sobol::uniform;
use super::space::{Signal, SpaceBuffers};
use super::table::{Coordinate, NodeTable, steps};
use super::{Coefficients, Limit, LimitError};
use crate::Scalar;
use crate::model::hidden::HiddenQuadrature;
use crate::model::{GradientFlow, HiddenLaw, Smoothness};
use crate::order_parameters::OrderParameters;

/// A frozen cubature rule for the limit coefficients: fixed nodes in whitened coordinates, so that what it computes is
/// a smooth function of the state. Made by [`Limit::rule`].
#[derive(Debug, Clone)]
pub struct Rule<T: Scalar = f64> {
    accuracy: f64,
    exact: bool,
    sampled: bool,
    smoothness: Smoothness<T>,
    hidden: HiddenQuadrature<T>,
    planes: Vec<Plane<T>>,
    groups: Vec<Group<T>>,
    /// Whole batches, for what a penalty that is not quadratic adds.
    batches: Option<(Factor<T>, BatchTable<T>)>,
    moments: StateMoments<T>,
    plane_buffers: PlaneBuffers<T>,
}

/// The pair of fields (h¹_i, h²_j) with its nodes and averages.
#[derive(Debug, Clone)]
struct Plane<T> {
    i: usize,
    j: usize,
    factor: Factor<T>,
    table: NodeTable<T>,
    /// The coordinate whose sign exchanges the views, if half of the nodes serve for all.
    odd: Option<usize>,
    /// E[f z] over hidden nodes and z; index as in `plane_sums`.
    sums: [T; SUMS],
    /// E[f c_l] for f = a₁, a₂, b₁, b₂: 4 x p.
    with_hidden: Vec<T>,
}

/// All fields of a group of neurons with its nodes.
#[derive(Debug, Clone)]
struct Group<T> {
    neurons: Vec<usize>,
    factor: Factor<T>,
    table: NodeTable<T>,
    buffers: SpaceBuffers<T>,
}

/// What the averages need of the state: second moments of fields, and means at the hidden nodes.
#[derive(Debug, Clone)]
struct StateMoments<T: Scalar> {
    /// QᵀQ, R − QᵀQ and Qᵀ G Q, with G the Gaussian part of the hidden law; m x m each.
    overlap: DMatrix<T>,
    background: DMatrix<T>,
    shared: DMatrix<T>,
    /// G Q, p x m.
    shared_overlap: DMatrix<T>,
    /// Qᵀ c at each hidden node, m x n.
    means: DMatrix<T>,
}

/// How much more accurate pairs of fields are than larger groups, in units of ln(1/error).
const PAIR_MARGIN: f64 = 8.0;

impl<T: Scalar> StateMoments<T> {
    fn new(features: usize, neurons: usize, nodes: usize) -> Self {
        let square = || DMatrix::zeros(neurons, neurons);
        Self {
            overlap: square(),
            background: square(),
            shared: square(),
            shared_overlap: DMatrix::zeros(features, neurons),
            means: DMatrix::zeros(neurons, nodes),
        }
    }

    fn update(&mut self, q: &DMatrix<T>, r: &DMatrix<T>, hidden: &HiddenQuadrature<T>) {
        q.tr_mul_to(q, &mut self.overlap);
        self.background.copy_from(r);
        self.background -= &self.overlap;
        hidden.gaussian.mul_to(q, &mut self.shared_overlap);
        q.tr_mul_to(&self.shared_overlap, &mut self.shared);
        q.tr_mul_to(&hidden.nodes, &mut self.means);
    }

    /// Cov(h_i^v, h_j^w).
    fn field_covariance(&self, limit: &Limit<'_, T>, (v, i): (usize, usize), (w, j): (usize, usize)) -> T {
        limit.feature_noise.get(v, w) * self.overlap[(i, j)]
            + limit.views.get(v, w) * self.background[(i, j)]
            + self.shared[(i, j)]
    }

    /// Cov(x̃_l^v − c_l at the node, h_j^w).
    fn feature_covariance(
        &self,
        limit: &Limit<'_, T>,
        q: &DMatrix<T>,
        (v, l): (usize, usize),
        (w, j): (usize, usize),
    ) -> T {
        limit.feature_noise.get(v, w) * q[(l, j)] + self.shared_overlap[(l, j)]
    }
}

/// The most nodes of a hidden law that are enumerated.
const MOST_HIDDEN_NODES: usize = 1 << 13;

/// Checks a hidden law that a user may have written.
pub(super) fn check_hidden<T: Scalar>(law: &dyn HiddenLaw<T>, features: usize) -> Result<(), LimitError<T>> {
    let fail = |reason| Err(LimitError::HiddenQuadrature { reason });
    let nodes = law.quadrature_size(CHECK_POINTS);
    if law.gaussian_part().shape() != (features, features) {
        return fail("the Gaussian part must be p x p");
    }
    if nodes > MOST_HIDDEN_NODES {
        let (u, mut c) = (vec![T::lit(0.5); features], vec![T::zero(); features]);
        let mapped = law.transport(&u, &mut c);
        return if mapped { Ok(()) } else { Err(LimitError::HiddenNodes { nodes, most: MOST_HIDDEN_NODES }) };
    }
    let rule = law.quadrature(CHECK_POINTS);
    if rule.nodes.nrows() != features || rule.nodes.ncols() != rule.weights.len() || rule.weights.is_empty() {
        return fail("nodes must be p x n with n weights, n at least 1");
    }
    let total: T = rule.weights.iter().copied().sum();
    if !((total - T::one()).abs() < T::lit(1e-5)) || !rule.nodes.iter().all(nalgebra::ComplexField::is_finite) {
        return fail("nodes must be finite and weights sum to 1");
    }
    Ok(())
}

/// Nodes for each continuous variable at which a law is checked.
const CHECK_POINTS: usize = 8;

/// Nodes of the hidden law: its own cubature, or Sobol points where that has too many nodes. Says which.
fn hidden_nodes<T: Scalar>(limit: &Limit<'_, T>, accuracy: f64) -> Result<(HiddenQuadrature<T>, bool), LimitError<T>> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // accuracy lies between 0 and a few hundred
    let points = (accuracy.clamp(1.0, 1e4).ceil() as usize) + 2;
    let size = limit.hidden.quadrature_size(points);
    if size <= MOST_HIDDEN_NODES {
        return Ok((limit.hidden.quadrature(points), false));
    }
    let p = limit.features;
    // The Gaussian part is second moment less that of the nodes; a rule of one point has it already.
    let gaussian = limit.hidden.gaussian_part();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a small positive number
    let (bits, scramble) = ((0.75 * accuracy + 2.0).clamp(4.0, 16.0) as u32, (accuracy * 512.0) as u32);
    let count = 1_usize << bits;
    let mut nodes = DMatrix::zeros(p, count);
    let (mut u, mut c) = (vec![T::zero(); p], vec![T::zero(); p]);
    for n in 0..count {
        for (l, u) in u.iter_mut().enumerate() {
            *u = T::lit(uniform(n, l, scramble));
        }
        if !limit.hidden.transport(&u, &mut c) {
            return Err(LimitError::HiddenNodes { nodes: size, most: MOST_HIDDEN_NODES });
        }
        nodes.column_mut(n).copy_from_slice(&c);
    }
    let weights = vec![T::one() / T::of_usize(count); count];
    Ok((HiddenQuadrature { nodes, weights, gaussian }, true))
}

/// Merges hidden nodes that are equal, or mirror images where that changes no average.
fn merge_nodes<T: Scalar>(rule: HiddenQuadrature<T>, mirror: bool) -> HiddenQuadrature<T> {
    let (p, n) = rule.nodes.shape();
    let mut entries: Vec<(Vec<T>, T)> = (0..n)
        .map(|k| {
            let mut c: Vec<T> = rule.nodes.column(k).iter().copied().collect();
            if mirror && c.iter().find(|x| **x != T::zero()).is_some_and(|x| *x < T::zero()) {
                for x in &mut c {
                    *x = -*x;
                }
            }
            (c, rule.weights[k])
        })
        .collect();
    entries.sort_by(|(a, _), (b, _)| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    entries.dedup_by(|(b, weight_b), (a, weight_a)| {
        let same = a == b;
        if same {
            *weight_a += *weight_b;
        }
        same
    });
    let nodes = DMatrix::from_fn(p, entries.len(), |l, k| entries[k].0[l]);
    HiddenQuadrature { nodes, weights: entries.iter().map(|e| e.1).collect(), gaussian: rule.gaussian }
}

impl<T: Scalar> Rule<T> {
    /// The rule that errs by about exp(−accuracy) near `state`; `None` if it needs more nodes than the budget.
    pub(super) fn new(
        limit: &Limit<'_, T>,
        state: &OrderParameters<T>,
        accuracy: f64,
    ) -> Result<Option<Self>, LimitError<T>> {
        let smoothness = limit.sigma.smoothness();
        let (hidden, sampled) = hidden_nodes(limit, accuracy)?;
        // A batch has many hidden nodes at once: none is the mirror image of another.
        let whole = limit.whole_batches.then(|| hidden.clone());
        let hidden = merge_nodes(hidden, limit.mirror);
        let mut rule = Self {
            accuracy,
            sampled: sampled || (limit.neurons > 2 && limit.penalty_strength > T::zero()),
            exact: limit.hidden_is_exact
                && !sampled
                && !limit.whole_batches
                && matches!(smoothness, Smoothness::Polynomial { .. }),
            smoothness,
            moments: StateMoments::new(limit.features, limit.neurons, hidden.weights.len()),
            hidden,
            planes: Vec::new(),
            groups: Vec::new(),
            batches: None,
            plane_buffers: PlaneBuffers::new(),
        };
        rule.moments.update(state.q(), state.r(), &rule.hidden);
        Ok(rule.choose(limit, whole.as_ref()).map(|()| rule))
    }

    /// Chooses nodes for every average.
    fn choose(&mut self, limit: &Limit<'_, T>, whole: Option<&HiddenQuadrature<T>>) -> Option<()> {
        let m = limit.neurons;
        if let Some(hidden) = whole {
            let mut covariance = vec![T::zero(); 4 * m * m];
            self.moments.group_covariance(limit, &(0..m).collect::<Vec<_>>(), &mut covariance);
            let factor = Factor::new(&covariance, 2 * m, limit.is_exchangeable());
            let table = BatchTable::new(hidden, m, limit.batch_size, self.accuracy, limit.node_budget)?;
            self.batches = Some((factor, table));
        }
        let penalised = limit.penalty_strength > T::zero();
        for i in 0..m {
            for j in (0..m).filter(|&j| penalised || j == i) {
                self.planes.push(self.plane(limit, i, j)?);
            }
        }
        if penalised {
            self.groups.push(self.group(limit, (0..m).collect())?);
        } else {
            for i in 0..m {
                for j in i + 1..m {
                    self.groups.push(self.group(limit, vec![i, j])?);
                }
            }
        }
        Some(())
    }

    /// Whether the rule has no discretisation error.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.exact
    }

    /// Whether some nodes are scrambled Sobol points, so that the error is random.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.sampled || self.batches.is_some()
    }

    /// The nodes at which one evaluation of the coefficients evaluates the nonlinearity, over all averages.
    #[must_use]
    pub fn nodes(&self) -> u64 {
        let planes = self.planes.iter().map(|plane| plane.table.count() * 2);
        let groups = self.groups.iter().map(|group| group.table.count() * 2 * group.neurons.len());
        let batches = self.batches.as_ref().map_or(0, |(_, table)| table.count());
        (planes.chain(groups).sum::<usize>() * self.hidden.weights.len() + batches) as u64
    }

    /// Nodes for the fields of that factor.
    fn table(&self, limit: &Limit<'_, T>, factor: &Factor<T>, fields: usize) -> Option<NodeTable<T>> {
        // Pairs of fields cost nothing beside larger groups: their error should not count.
        let accuracy = if fields == 2 && limit.neurons > 1 { self.accuracy + PAIR_MARGIN } else { self.accuracy };
        let mut coordinates = coordinates(factor, fields);
        if fields > 2 && limit.flow == GradientFlow::StopGradient {
            // Λ then has terms of view 1 alone.
            for coordinate in &mut coordinates {
                coordinate.reflected = false;
            }
        }
        let lattice = || NodeTable::trapezoid(&self.smoothness, &coordinates, accuracy, limit.node_budget);
        match self.smoothness {
            Smoothness::Polynomial { degree } => {
                // e has degree 2d − 1, or 4d − 1 with the penalty's own-sample part; Λ squares it; B multiplies by h.
                let error = if limit.penalty_strength > T::zero() { 4 * degree } else { 2 * degree };
                NodeTable::hermite(&coordinates, error.max(1), limit.node_budget)
            }
            // In six dimensions and more, Sobol points are cheaper than a lattice for as far as they go.
            _ if fields > 4 => NodeTable::sobol(&coordinates, accuracy, limit.node_budget).or_else(lattice),
            _ => lattice(),
        }
    }

    fn plane(&self, limit: &Limit<'_, T>, i: usize, j: usize) -> Option<Plane<T>> {
        // A kink lies across single fields: the rotated ones would hide it.
        let kinked = matches!(self.smoothness, Smoothness::Kinked { .. });
        let rotated = i == j && limit.is_exchangeable() && !kinked;
        let mut covariance = [T::zero(); 4];
        self.plane_covariance(limit, i, j, &mut covariance);
        let factor = Factor::new(&covariance, 2, rotated);
        let table = if let Smoothness::Kinked { at } = self.smoothness {
            let rows = [[factor.get(0, 0), factor.get(0, 1)], [factor.get(1, 0), factor.get(1, 1)]];
            let table = kinked_table([T::zero(); 2], rows, at, self.accuracy);
            (table.count() <= limit.node_budget).then_some(table)?
        } else {
            self.table(limit, &factor, 2)?
        };
        let polynomial = matches!(self.smoothness, Smoothness::Polynomial { .. });
        let odd = if polynomial { None } else { (0..2).find(|&k| factor.is_odd_under_exchange(k)) };
        let with_hidden = vec![T::zero(); 4 * limit.features];
        Some(Plane { i, j, factor, table, odd, sums: [T::zero(); SUMS], with_hidden })
    }

    fn group(&self, limit: &Limit<'_, T>, neurons: Vec<usize>) -> Option<Group<T>> {
        let fields = 2 * neurons.len();
        let mut covariance = vec![T::zero(); fields * fields];
        self.moments.group_covariance(limit, &neurons, &mut covariance);
        let factor = Factor::new(&covariance, fields, limit.is_exchangeable());
        let table = self.table(limit, &factor, fields)?;
        let buffers = SpaceBuffers::new(neurons.len());
        Some(Group { neurons, factor, table, buffers })
    }

    fn plane_covariance(&self, limit: &Limit<'_, T>, i: usize, j: usize, out: &mut [T; 4]) {
        let fields = [(0, i), (1, j)];
        for (slot, out) in out.iter_mut().enumerate() {
            *out = self.moments.field_covariance(limit, fields[slot / 2], fields[slot % 2]);
        }
    }

    /// Refits the factors to a state.
    fn update(&mut self, limit: &Limit<'_, T>, q: &DMatrix<T>, r: &DMatrix<T>) {
        self.moments.update(q, r, &self.hidden);
        let mut covariance = [T::zero(); 4];
        let mut work = [T::zero(); 4];
        for n in 0..self.planes.len() {
            let (i, j) = (self.planes[n].i, self.planes[n].j);
            self.plane_covariance(limit, i, j, &mut covariance);
            self.planes[n].factor.update(&covariance, &mut work);
        }
        if let Some((factor, _)) = &mut self.batches {
            let m = limit.neurons;
            let mut covariance = vec![T::zero(); 4 * m * m];
            let mut work = covariance.clone();
            self.moments.group_covariance(limit, &(0..m).collect::<Vec<_>>(), &mut covariance);
            factor.update(&covariance, &mut work);
        }
        for group in &mut self.groups {
            let fields = 2 * group.neurons.len();
            let mut covariance = vec![T::zero(); fields * fields];
            let mut work = covariance.clone();
            self.moments.group_covariance(limit, &group.neurons, &mut covariance);
            group.factor.update(&covariance, &mut work);
        }
    }

    /// Whether the nodes still resolve the fields at that state.
    pub(crate) fn resolves(&mut self, limit: &Limit<'_, T>, q: &DMatrix<T>, r: &DMatrix<T>) -> bool {
        if matches!(self.smoothness, Smoothness::Polynomial { .. }) {
            return true;
        }
        self.update(limit, q, r);
        let fits = |factor: &Factor<T>, table: &NodeTable<T>, fields: usize| {
            let margin = if fields == 2 && limit.neurons > 1 { PAIR_MARGIN } else { 0.0 };
            table.resolves(&steps(&self.smoothness, &coordinates(factor, fields), self.accuracy + margin))
        };
        // Nodes at a kink move with the state.
        let kinked = matches!(self.smoothness, Smoothness::Kinked { .. });
        (kinked || self.planes.iter().all(|plane| fits(&plane.factor, &plane.table, 2)))
            && self.groups.iter().all(|group| fits(&group.factor, &group.table, 2 * group.neurons.len()))
    }

    /// The coefficients at `state` by this rule; returns the number of nodes used.
    pub(super) fn apply(&mut self, limit: &Limit<'_, T>, state: &OrderParameters<T>, out: &mut Coefficients<T>) -> u64 {
        self.apply_to(limit, state.q(), state.r(), out)
    }

    /// As [`apply`](Self::apply), from matrices.
    pub(crate) fn apply_to(
        &mut self,
        limit: &Limit<'_, T>,
        q: &DMatrix<T>,
        r: &DMatrix<T>,
        out: &mut Coefficients<T>,
    ) -> u64 {
        self.update(limit, q, r);
        self.average_planes(limit);
        self.assemble_drift(limit, q, out);
        self.assemble_diffusion(limit, out);
        self.add_batches(limit, q, out);
        self.nodes()
    }

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

    fn average_planes(&mut self, limit: &Limit<'_, T>) {
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
    fn assemble_drift(&self, limit: &Limit<'_, T>, q: &DMatrix<T>, out: &mut Coefficients<T>) {
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
    fn add_batches(&mut self, limit: &Limit<'_, T>, q: &DMatrix<T>, out: &mut Coefficients<T>) {
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
    fn assemble_diffusion(&mut self, limit: &Limit<'_, T>, out: &mut Coefficients<T>) {
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

impl<T: Scalar> StateMoments<T> {
    /// The covariance of the fields (h¹, h²) of a group, row-major.
    fn group_covariance(&self, limit: &Limit<'_, T>, neurons: &[usize], out: &mut [T]) {
        let k = neurons.len();
        for (slot, out) in out.iter_mut().enumerate() {
            let (row, column) = (slot / (2 * k), slot % (2 * k));
            let field = |f: usize| (f / k, neurons[f % k]);
            *out = self.field_covariance(limit, field(row), field(column));
        }
    }
}

impl<T: Scalar> Limit<'_, T> {
    /// Whether exchanging the views changes no average.
    fn is_exchangeable(&self) -> bool {
        self.feature_noise.is_exchangeable() && self.views.is_exchangeable()
    }
}

fn coordinates<T: Scalar>(factor: &Factor<T>, fields: usize) -> Vec<Coordinate> {
    (0..fields)
        .map(|k| Coordinate { gain: factor.gain(k).as_f64(), reflected: factor.is_odd_under_exchange(k) })
        .collect()
}
