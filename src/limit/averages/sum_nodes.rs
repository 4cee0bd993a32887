//! Values of the sum μ = Qᵀc of hidden variables, in as many dimensions as there are neurons, with weights from its characteristic
//! function: nodes of a hidden law that has too many of its own.
//!
//! Given μ, averages over the fields are smooth functions Φ(μ) (theory §9). Of the noise that the views have in common a part is
//! moved to the sum: u = μ + normal. What is left of it makes Φ(u) smoother, what is moved makes the law of u narrow in wave
//! vectors, so that a coarse lattice of u serves: its weights are a Fourier sum over wave vectors, and E[c_l Φ] has weights of
//! its own. Not here: averages at a node (those of any hidden law), the lattice (see `sum_lattice`), and products of
//! characteristic functions (see `block_products`).

use nalgebra::{DMatrix, DVector};

use crate::Scalar;
use crate::limit::averages::block_products::BlockProducts;
use crate::limit::averages::sum_lattice::{Falls, Lattice, Line, NONE, SUM_ULPS};
use crate::limit::averages::wave_lines::{Lines, fill};
use crate::limit::hidden::Hidden;
use crate::model::Smoothness;
use crate::numerics::eigen::symmetric_eigen;
use crate::numerics::fourier::{Fourier, FourierBuffers};

/// Which part of the common noise is moved to the sum: neither what is left nor what is moved is narrow.
const MOVED: f64 = 0.45;
/// How far the common noise may shrink, as a variance, before nodes are chosen anew.
const SHRINKS: f64 = 0.8;
/// By how much the density at the end of the lattice is below the error aimed at.
const END_MARGIN: f64 = 2.0;
/// In units of the error aimed at, what may lie beyond the lattice.
const BEYOND: f64 = 8.0;
/// Views whose difference has a variance of so many ulp are one and the same.
const APART_ULPS: f64 = 4.0;
/// The most times that the lattice is made longer by a quarter.
const MOST_EXTENSIONS: usize = 12;
/// The most numbers of all products at all wave vectors.
const MOST_WAVES: f64 = 1.6e7;
/// The most points of a joint law at all wave vectors.
const MOST_SUMS: f64 = 1e8;
/// Entries of products that are transformed at once.
const AT_ONCE: usize = 1 << 18;

/// The nodes, and their weights at the state of the last update.
#[derive(Debug, Clone)]
pub(in crate::limit) struct SumNodes<T> {
    neurons: usize,
    accuracy: f64,
    /// Principal axes of the common noise, as columns, and its standard deviations along them when the nodes were chosen.
    frame: DMatrix<f64>,
    spreads: Vec<f64>,
    /// The covariance of what is moved, m x m, and the length of the lattice.
    moved: Vec<T>,
    length: f64,
    /// Wave vectors, m numbers each, and what each counts.
    waves: Vec<T>,
    counts: Vec<T>,
    wave_lines: Lines<T>,
    /// Nodes from the mean, m numbers each, and how many each stands for.
    offsets: Vec<T>,
    multiples: Vec<T>,
    /// From wave vectors to nodes, by lattices that hold both, and where these stand.
    fourier: Fourier<T>,
    wave_slots: Vec<usize>,
    node_slots: Vec<usize>,
    products: BlockProducts<T>,
    /// Of the last update.
    coefficients: Vec<T>,
    scales: Vec<T>,
    mean: Vec<T>,
    covariance: Vec<T>,
    /// Node by node: μ (m), the weight, and the weight with c (p).
    means: Vec<T>,
    weights: Vec<T>,
    weighted: Vec<T>,
}

/// Covariances of the fields within view 1, between the views (rows of view 1), and within view 2; m x m each.
pub(in crate::limit) type Covariances = [DMatrix<f64>; 3];

impl<T: Scalar> SumNodes<T> {
    /// Nodes that err by about exp(−accuracy) at coefficients `q`, p x m row by row; `None` if the law gives no characteristic
    /// function, or if there were more than `most`.
    pub(in crate::limit) fn new(
        hidden: &Hidden<'_, T>,
        q: &[T],
        covariances: &Covariances,
        (smoothness, accuracy): (&Smoothness<T>, f64),
        most: f64,
    ) -> Option<Self> {
        let neurons = covariances[0].nrows();
        let (frame, spreads) = axes(&common_covariance(covariances)?)?;
        let mut products = BlockProducts::new(hidden.law, 1)?;
        let still = vec![T::zero(); neurons];
        if !fill(&mut products, hidden, q, &still, &mut Lines::new(&still, neurons)) {
            return None;
        }
        let (_, sum) = moments(&products, q, neurons);
        let sum = DMatrix::from_fn(neurons, neurons, |i, j| sum[i * neurons + j].as_f64());
        let along = frame.transpose() * &sum * &frame;
        let mut radius = (2.0 * (accuracy + END_MARGIN)).sqrt();
        for _ in 0..MOST_EXTENSIONS {
            let lines: Option<Vec<Line>> = (0..neurons)
                .map(|a| line(smoothness, spreads[a], along[(a, a)].max(0.0).sqrt(), radius, accuracy))
                .collect();
            let lines = lines?;
            let lattice = Lattice { frame: &frame, lines: &lines, along: &along, radius, mirror: hidden.mirror };
            let mut nodes = Self::on(hidden, &lattice, (&spreads, accuracy), most)?;
            if !nodes.update(hidden, q) {
                return None;
            }
            if nodes.covers() {
                return Some(nodes);
            }
            radius *= 1.25;
        }
        None
    }

    fn on(
        hidden: &Hidden<'_, T>,
        lattice: &Lattice<'_>,
        (spreads, accuracy): (&[f64], f64),
        most: f64,
    ) -> Option<Self> {
        let neurons = lattice.lines.len();
        let nodes = lattice.nodes(most)?;
        let (offsets, multiples, count) = (nodes.vectors, nodes.counts, nodes.indices.len());
        let blocks = hidden.law.blocks();
        let pairs: usize = blocks.iter().map(|range| range.len() * range.len()).sum();
        // A law on many points is summed over them at every wave vector.
        let sums = if blocks.len() == 1 { MOST_SUMS / hidden.law.quadrature_size(1) as f64 } else { f64::INFINITY };
        let vectors = lattice.waves(accuracy, (MOST_WAVES / pairs as f64).min(sums))?;
        let (waves, counts) = (vectors.vectors, vectors.counts);
        let fourier = lattice.fourier()?;
        let wave_slots = vectors.indices.iter().map(|index| fourier.slot(index, true)).collect();
        let node_slots = nodes.indices.iter().map(|index| fourier.slot(index, false)).collect();
        let n = counts.len();
        let moved = lattice.lines.iter().map(|line| line.moved * line.moved);
        let moved = DMatrix::from_diagonal(&DVector::from_iterator(neurons, moved));
        let moved = lattice.frame * moved * lattice.frame.transpose();
        let lit = |x: &[f64]| -> Vec<T> { x.iter().map(|&x| T::lit(x)).collect() };
        let p = hidden.scales.len();
        Some(Self {
            neurons,
            accuracy,
            frame: lattice.frame.clone(),
            spreads: spreads.to_vec(),
            moved: lit(moved.transpose().as_slice()),
            length: lattice.lines.iter().map(|line| 2.0 * line.step * line.half as f64).fold(0.0, f64::max),
            wave_lines: Lines::new(&lit(&waves), neurons),
            waves: lit(&waves),
            counts: lit(&counts),
            offsets: lit(&offsets),
            multiples: lit(&multiples),
            fourier,
            wave_slots,
            node_slots,
            products: BlockProducts::new(hidden.law, n)?,
            coefficients: Vec::new(),
            scales: Vec::new(),
            mean: vec![T::zero(); neurons],
            covariance: vec![T::zero(); neurons * neurons],
            means: vec![T::zero(); count * neurons],
            weights: vec![T::zero(); count],
            weighted: vec![T::zero(); count * p],
        })
    }

    /// The number of nodes.
    pub(in crate::limit) fn count(&self) -> usize {
        self.weights.len()
    }

    /// The covariance of the noise that is in the law of the nodes and so no longer in the fields, m x m row by row.
    pub(in crate::limit) fn moved(&self) -> &[T] {
        &self.moved
    }

    /// Node by node: the mean of the fields, the weight, and the weight with c.
    pub(in crate::limit) fn weights(&self) -> (&[T], &[T], &[T]) {
        (&self.means, &self.weights, &self.weighted)
    }

    /// Goes over to other coefficients, p x m row by row. False if the law gives no characteristic function: weights are NaN then.
    pub(in crate::limit) fn update(&mut self, hidden: &Hidden<'_, T>, q: &[T]) -> bool {
        if self.coefficients == q && self.scales == hidden.scales {
            return true;
        }
        self.coefficients = q.to_vec();
        self.scales.clone_from(&hidden.scales);
        if !fill(&mut self.products, hidden, q, &self.waves, &mut self.wave_lines) {
            // What is computed from it shall not pass for an answer.
            for x in [&mut self.coefficients, &mut self.weights, &mut self.weighted].into_iter().flatten() {
                *x = T::lit(f64::NAN);
            }
            return false;
        }
        (self.mean, self.covariance) = moments(&self.products, q, self.neurons);
        let Self { products, waves, counts, mean, neurons, .. } = self;
        let vectors = waves.chunks_exact(*neurons).zip(&*counts);
        products.weigh(&mut vectors.map(|(k, &count)| {
            let at: T = k.iter().zip(&*mean).map(|(&k, &mean)| k * mean).sum();
            let (sin, cos) = at.sin_cos();
            (count * cos, -count * sin)
        }));
        for (node, offset) in self.means.chunks_exact_mut(self.neurons).zip(self.offsets.chunks_exact(self.neurons)) {
            node.iter_mut().zip(offset).zip(&self.mean).for_each(|((x, &offset), &mean)| *x = mean + offset);
        }
        let p = hidden.scales.len();
        let (points, size) = self.fourier.sizes();
        let Self { products, fourier, wave_slots, node_slots, multiples, weights, weighted, .. } = self;
        // So many products at once that they stay in memory.
        let at_once = (AT_ONCE / size).clamp(1, p + 1);
        let mut first = 0;
        let mut parts = [Vec::new(), Vec::new()];
        let (mut buffers, mut rows) = (FourierBuffers::new(), Vec::new());
        let mut write = |parts: &mut [Vec<T>; 2]| {
            fourier.to_points(parts.each_ref().map(Vec::as_slice), &mut buffers, &mut rows);
            parts.iter_mut().for_each(Vec::clear);
            for (at, row) in rows.chunks_exact(points).enumerate() {
                for (node, (&slot, &multiple)) in node_slots.iter().zip(&*multiples).enumerate() {
                    let weight = multiple * row[slot];
                    // The product with no c first, then that with each.
                    match (first + at).checked_sub(1) {
                        None => weights[node] = weight,
                        Some(l) => weighted[node * p + l] = weight,
                    }
                }
            }
            first += rows.len() / points;
        };
        let mut add = |product: [&[T]; 2]| {
            for (part, product) in parts.iter_mut().zip(product) {
                let start = part.len();
                part.resize(start + size, T::zero());
                wave_slots.iter().zip(product).for_each(|(&slot, &x)| part[start + slot] = x);
            }
            if parts[0].len() >= at_once * size {
                write(&mut parts);
            }
        };
        add(products.whole());
        products.each_first(&mut |_, product| add(product));
        if !parts[0].is_empty() {
            write(&mut parts);
        }
        true
    }

    /// E[c_l c_l' f], p x p row by row, for functions by their values at the nodes.
    pub(in crate::limit) fn with_pairs(&mut self, functions: &[Vec<T>]) -> Vec<Vec<T>> {
        let p = self.scales.len();
        let mut values = vec![T::zero(); self.fourier.sizes().0];
        let (mut buffers, mut parts) = (FourierBuffers::new(), [Vec::new(), Vec::new()]);
        let transforms: Vec<[Vec<T>; 2]> = functions
            .iter()
            .map(|function| {
                for ((&slot, &multiple), &x) in self.node_slots.iter().zip(&self.multiples).zip(function) {
                    values[slot] = x * multiple;
                }
                self.fourier.to_waves(&values, &mut buffers, &mut parts);
                parts.each_ref().map(|part| self.wave_slots.iter().map(|&slot| part[slot]).collect())
            })
            .collect();
        let rows: Vec<[&[T]; 2]> = transforms.iter().map(|[re, im]| [re.as_slice(), im.as_slice()]).collect();
        let mut pairs = vec![vec![T::zero(); p * p]; functions.len()];
        self.products.with_pairs(&rows, &mut pairs);
        pairs
    }

    /// Whether the nodes serve for fields of those covariances, at the coefficients of the last update.
    pub(in crate::limit) fn resolves(&self, covariances: &Covariances) -> bool {
        let Some(now) = common_covariance(covariances) else { return false };
        let now = self.frame.transpose() * now * &self.frame;
        let used: Vec<usize> = (0..self.neurons).filter(|&a| self.spreads[a] > 0.0).collect();
        let share = DMatrix::from_fn(used.len(), used.len(), |a, b| {
            let (a, b) = (used[a], used[b]);
            0.5 * (now[(a, b)] + now[(b, a)]) / (self.spreads[a] * self.spreads[b])
        });
        let enough = used.is_empty() || symmetric_eigen(share).is_some_and(|e| e.eigenvalues.min() >= SHRINKS);
        enough && self.covers()
    }

    /// Whether what lies beyond the lattice is below the error aimed at: by the mass and the second moments on it.
    fn covers(&self) -> bool {
        let m = self.neurons;
        let error = (-self.accuracy).exp();
        let rounding = SUM_ULPS * T::EPSILON.as_f64();
        let mass: f64 = self.weights.iter().map(|w| w.as_f64()).sum();
        let second = |i: usize, j: usize| -> f64 {
            let nodes = self.offsets.chunks_exact(m).zip(&self.weights);
            let sum: f64 = nodes.map(|(x, w)| (x[i] * x[j] * *w).as_f64()).sum();
            sum - (self.covariance[i * m + j] + self.moved[i * m + j]).as_f64()
        };
        // What a lattice of that step mistakes in a constant is of the order of the error already, whatever its length.
        let mass_off = BEYOND * error + rounding;
        let most = (mass_off / 40.0 + rounding) * self.length * self.length + rounding * self.count() as f64;
        (mass - 1.0).abs() <= mass_off && (0..m).all(|i| (0..=i).all(|j| second(i, j).abs() <= most))
    }
}

/// Along an axis with that standard deviation of the common noise, and of the sum.
fn line<T: Scalar>(
    smoothness: &Smoothness<T>,
    spread: f64,
    deviation: f64,
    radius: f64,
    accuracy: f64,
) -> Option<Line> {
    // Where the sum does not move it needs no lattice.
    if !(deviation > NONE * spread) {
        return Some(Line::single());
    }
    let variance = spread * spread;
    let falls = Falls::new(smoothness, (1.0 - MOVED) * variance, accuracy);
    Line::new(falls, MOVED * variance, deviation, radius, accuracy)
}

/// Mean (m) and covariance (m x m) of the sum.
fn moments<T: Scalar>(products: &BlockProducts<T>, q: &[T], m: usize) -> (Vec<T>, Vec<T>) {
    let of_c = products.mean();
    let mean = (0..m).map(|i| of_c.iter().enumerate().map(|(l, &c)| q[l * m + i] * c).sum()).collect();
    let mut covariance = vec![T::zero(); m * m];
    products.each_covariance(&of_c, &mut |l, j, x| {
        for i in 0..m {
            for k in 0..m {
                covariance[i * m + k] += q[l * m + i] * q[j * m + k] * x;
            }
        }
    });
    (mean, covariance)
}

/// The covariance of the noise that the views have in common: of h¹ given h¹ − h².
fn common_covariance([first, cross, second]: &Covariances) -> Option<DMatrix<f64>> {
    let apart = first + second - cross - cross.transpose();
    let own = first - cross;
    let scale = first.trace() + second.trace();
    if !apart.iter().all(|x| x.is_finite()) {
        return None;
    }
    let eigen = symmetric_eigen(apart)?;
    let mut common = first.clone();
    for (value, vector) in eigen.eigenvalues.iter().zip(eigen.eigenvectors.column_iter()) {
        if *value > APART_ULPS * f64::EPSILON * scale {
            let along = &own * vector;
            common -= &along * along.transpose() / *value;
        }
    }
    Some(common)
}

/// Principal axes of a covariance, and its standard deviations along them: zero where there is none to speak of.
fn axes(covariance: &DMatrix<f64>) -> Option<(DMatrix<f64>, Vec<f64>)> {
    if covariance.is_empty() || !covariance.iter().all(|x| x.is_finite()) {
        return None;
    }
    let symmetric = (covariance + covariance.transpose()) * 0.5;
    let eigen = symmetric_eigen(symmetric)?;
    let most = eigen.eigenvalues.max().max(0.0).sqrt();
    let spreads = eigen.eigenvalues.iter().map(|&value| {
        let spread = value.max(0.0).sqrt();
        if spread > NONE * most { spread } else { 0.0 }
    });
    Some((eigen.eigenvectors, spreads.collect()))
}
