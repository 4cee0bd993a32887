//! Moments of one sample beside hidden variables and coordinates of the fields, as the covariance of a batch needs them (theory §7).
//!
//! Not here: which moments there are (see `increment_expansion`), and their averages at one value of the hidden variables (see
//! `sample_nodes`).

use std::sync::Arc;

use nalgebra::{DMatrix, DVector};

use crate::Scalar;
use crate::limit::averages::kernel::Kernel;
use crate::limit::averages::sample_nodes::{NodeWork, SampleNodes};
use crate::limit::fields::factor::Factor;
use crate::limit::increment_expansion::{IncrementExpansion, PairPart, Place};
use crate::limit::placements::Term;
use crate::model::{HiddenQuadrature, Nonlinearity, Parity};

/// Nodes of one sample, with what is averaged over them.
#[derive(Debug, Clone)]
pub(in crate::limit) struct IncrementMoments<T> {
    neurons: usize,
    nodes: SampleNodes<T>,
    expansion: Arc<IncrementExpansion<T>>,
    /// Which moments are odd, where a node of the hidden law stands for its mirror image.
    odd: Option<Vec<bool>>,
    work: NodeWork<T, T>,
    moments: Vec<T>,
    owns: Vec<Carried<T>>,
}

/// E[X y] and E[X y yᵀ] of a function X of one sample and what is carried, y = (c, ζ): the hidden variables at their nodes, and the
/// whitened coordinates of the fields. Also those of X with its views exchanged.
#[derive(Debug, Clone)]
struct Carried<T> {
    first: [DVector<T>; 2],
    second: Option<[DMatrix<T>; 2]>,
}

/// Covariances of sums over a batch.
#[derive(Debug, Clone)]
pub(in crate::limit) struct BatchCovariances<T> {
    /// E[(1/B) Σ_b e_bf y_b] for each field f.
    pub(in crate::limit) means: Vec<DVector<T>>,
    /// Cov[(1/B) Σ_b e_bf y_b, (1/B) Σ_b e_bg y_b] at f·2m + g.
    pub(in crate::limit) sums: Vec<DMatrix<T>>,
    /// E[(1/B²) Σ_b e_bf e_bg], 2m x 2m.
    pub(in crate::limit) noise: DMatrix<T>,
    /// Cov[(1/B) Σ_b e_bf y_b, (1/B²) Σ_b e_bg e_bh] at f·4m² + g·2m + h.
    pub(in crate::limit) sums_with_noise: Vec<DVector<T>>,
    /// Cov[(1/B²) Σ_b e_bf e_bg, (1/B²) Σ_b e_bh e_bi], 4m² x 4m².
    pub(in crate::limit) noise_with_noise: DMatrix<T>,
}

impl<T: Scalar> IncrementMoments<T> {
    /// Over those nodes of the hidden law, which stand for their mirror images under a σ of that parity, if there is one, and nodes of each
    /// coordinate, where the covariance of the fields is that. `axis` chooses them by the gain of the coordinate. `None` if it has none, or
    /// if functions times nodes exceed the budget by much.
    pub(in crate::limit) fn new(
        (hidden, mirrored): (&HiddenQuadrature<T>, Option<Parity>),
        covariance: &[T],
        neurons: usize,
        expansion: Arc<IncrementExpansion<T>>,
        axis: &mut dyn FnMut(f64) -> Option<Kernel<T>>,
        budget: usize,
    ) -> Option<Self> {
        let list = &expansion.list;
        let odd = mirrored.map(|parity| list.odd_moments(parity == Parity::Odd));
        let mut carried = vec![false; list.moments.len()];
        for own in &expansion.owns {
            // Odd moments count beside hidden variables.
            carried[own.moment] = true;
            own.with_coordinates.iter().for_each(|&moment| carried[moment] = true);
        }
        let needed = |moment: usize| carried[moment] || odd.as_ref().is_none_or(|odd| !odd[moment]);
        let nodes = SampleNodes::new(hidden, (covariance, neurons), (list, &needed), axis, (budget, 1))?;
        let carriers = hidden.nodes.nrows() + 2 * neurons;
        let owns = expansion.owns.iter().map(|own| Carried {
            first: [DVector::zeros(carriers), DVector::zeros(carriers)],
            second: (!own.with_pairs.is_empty())
                .then(|| [DMatrix::zeros(carriers, carriers), DMatrix::zeros(carriers, carriers)]),
        });
        let (work, owns, moments) = (nodes.work(list), owns.collect(), vec![T::zero(); list.moments.len()]);
        Some(Self { neurons, nodes, expansion, odd, work, moments, owns })
    }

    /// Fields evaluated by one call of [`average`](Self::average).
    pub(in crate::limit) fn count(&self) -> usize {
        self.nodes.count()
    }

    /// Whether the nodes of every coordinate suit `fits`, which is given the gain of the coordinate.
    pub(in crate::limit) fn resolves(&self, factor: &Factor<T>, fits: impl Fn(&Kernel<T>, f64) -> bool) -> bool {
        self.nodes.resolves(factor, fits)
    }

    /// The covariances at overlaps `q` (p x m, row by row) with the factor of the 2m fields (view 1 first).
    pub(in crate::limit) fn average(
        &mut self,
        q: &[T],
        factor: &Factor<T>,
        sigma: &dyn Nonlinearity<T>,
        out: &mut BatchCovariances<T>,
    ) {
        self.nodes.move_to(factor, &mut self.work);
        self.moments.fill(T::zero());
        for own in &mut self.owns {
            own.first[0].fill(T::zero());
            own.second.iter_mut().for_each(|[second, _]| second.fill(T::zero()));
        }
        for node in 0..self.nodes.weights().len() {
            self.nodes.evaluate(node, q, (&self.expansion.list, sigma), &mut self.work);
            self.add_node(node);
        }
        self.whiten(factor);
        self.collect(out);
    }

    /// Adds the moments at a node of the hidden law.
    fn add_node(&mut self, node: usize) {
        let (weight, c) = (self.nodes.weights()[node], self.nodes.hidden().column(node));
        let (p, here) = (c.len(), &self.work.here);
        for (moment, (total, &here)) in self.moments.iter_mut().zip(here).enumerate() {
            // With its mirror image an odd one cancels.
            if self.odd.as_ref().is_none_or(|odd| !odd[moment]) {
                *total += weight * here;
            }
        }
        for (own, sums) in self.expansion.owns.iter().zip(&mut self.owns) {
            let is_odd = self.odd.as_ref().map(|odd| odd[own.moment]);
            let value = weight * here[own.moment];
            let coordinates = own.with_coordinates.iter().map(|&moment| weight * here[moment]);
            // Beside one variable that is odd only odd functions are left, beside two even ones.
            if is_odd != Some(false) {
                for (l, &c) in c.iter().enumerate() {
                    sums.first[0][l] += value * c;
                }
                for (a, x) in coordinates.clone().enumerate() {
                    sums.first[0][p + a] += x;
                }
            }
            let Some([second, _]) = sums.second.as_mut().filter(|_| is_odd != Some(true)) else { continue };
            for l in 0..p {
                for k in 0..=l {
                    second[(l, k)] += value * c[l] * c[k];
                }
            }
            for (a, x) in coordinates.enumerate() {
                for (l, &c) in c.iter().enumerate() {
                    second[(p + a, l)] += x * c;
                }
            }
            let fields = own.with_coordinates.len();
            let pairs = (0..fields).flat_map(|a| (a..fields).map(move |b| (a, b)));
            for ((a, b), &moment) in pairs.zip(&own.with_pairs) {
                second[(p + b, p + a)] += weight * here[moment];
            }
        }
    }

    /// From the coordinates of the views to whitened coordinates of all fields.
    fn whiten(&mut self, factor: &Factor<T>) {
        let (m, fields, p) = (self.neurons, 2 * self.neurons, self.nodes.hidden().nrows());
        let mut maps = [0, 1].map(|_| DMatrix::identity(p + fields, p + fields));
        let (mut column, mut g) = (vec![T::zero(); fields], vec![T::zero(); fields]);
        for (exchanged, map) in maps.iter_mut().enumerate() {
            for a in 0..fields {
                let (view, k) = (a / m, a % m);
                for (f, out) in column.iter_mut().enumerate() {
                    let row = self.work.coordinates.rows[view][f % m * m + k];
                    // What a coordinate of one view moves are, exchanged, the fields of the other.
                    *out = if f / m == view ^ exchanged { row } else { T::zero() };
                }
                factor.regress(&column, &mut g);
                (0..fields).for_each(|k| map[(p + k, p + a)] = g[k]);
            }
        }
        for own in &mut self.owns {
            own.first = [0, 1].map(|exchanged| &maps[exchanged] * &own.first[0]);
            if let Some([second, _]) = &mut own.second {
                second.fill_upper_triangle_with_lower_triangle();
                let second = &*second;
                own.second = Some([0, 1].map(|exchanged| &maps[exchanged] * second * maps[exchanged].transpose()));
            }
        }
    }

    /// The covariances from the moments.
    fn collect(&self, out: &mut BatchCovariances<T>) {
        let IncrementExpansion { owns, drift, pairs, with_noise, noise, .. } = &*self.expansion;
        let fields = 2 * self.neurons;
        let value =
            |term: &Term<T>| term.moments.iter().fold(term.coefficient, |product, &k| product * self.moments[k]);
        let first = |place: &Place| &self.owns[place.own].first[usize::from(place.exchanged)];
        out.clear();
        for (mean, terms) in out.means.iter_mut().zip(drift) {
            for (own, term) in terms {
                mean.axpy(value(term), first(own), T::one());
            }
        }
        for PairPart { fields: (f, g), same, apart } in pairs {
            let sum = &mut out.sums[f * fields + g];
            for (own, term) in same {
                let coefficient = value(term);
                if let Some(second) = &self.owns[own.own].second {
                    *sum += &second[usize::from(own.exchanged)] * coefficient;
                }
                out.noise[(*f, *g)] += coefficient * self.moments[owns[own.own].moment];
            }
            for ([x, y], term) in apart {
                sum.ger(value(term), first(x), first(y), T::one());
            }
            sum.ger(-T::one(), &out.means[*f], &out.means[*g], T::one());
            let transposed = sum.transpose();
            out.noise[(*g, *f)] = out.noise[(*f, *g)];
            if f == g {
                out.sums[f * fields + g] = (&out.sums[f * fields + g] + transposed) * T::lit(0.5);
            } else {
                out.sums[g * fields + f] = transposed;
            }
        }
        let places = |pair: usize| {
            let (f, g) = pairs[pair].fields;
            [f * fields + g, g * fields + f]
        };
        for (f, pair, terms) in with_noise {
            let at = pairs[*pair].fields;
            let mut covariance = &out.means[*f] * -out.noise[at];
            for (own, term) in terms {
                covariance.axpy(value(term), first(own), T::one());
            }
            for place in places(*pair) {
                out.sums_with_noise[f * fields * fields + place].copy_from(&covariance);
            }
        }
        for (j, k, terms) in noise {
            let means = out.noise[pairs[*j].fields] * out.noise[pairs[*k].fields];
            let covariance = terms.iter().fold(-means, |sum, term| sum + value(term));
            for (x, y) in places(*j).into_iter().flat_map(|x| places(*k).map(move |y| (x, y))) {
                out.noise_with_noise[(x, y)] = covariance;
                out.noise_with_noise[(y, x)] = covariance;
            }
        }
    }
}

impl<T: Scalar> BatchCovariances<T> {
    /// Zero, for m neurons and p hidden variables.
    pub(in crate::limit) fn new(neurons: usize, features: usize) -> Self {
        let (fields, carriers) = (2 * neurons, features + 2 * neurons);
        let squared = fields * fields;
        Self {
            means: vec![DVector::zeros(carriers); fields],
            sums: vec![DMatrix::zeros(carriers, carriers); squared],
            noise: DMatrix::zeros(fields, fields),
            sums_with_noise: vec![DVector::zeros(carriers); fields * squared],
            noise_with_noise: DMatrix::zeros(squared, squared),
        }
    }

    fn clear(&mut self) {
        self.means.iter_mut().chain(&mut self.sums_with_noise).for_each(|x| x.fill(T::zero()));
        self.sums.iter_mut().for_each(|x| x.fill(T::zero()));
        self.noise.fill(T::zero());
        self.noise_with_noise.fill(T::zero());
    }
}
