//! From where fixed points are sought: states without overlaps, every neuron on every feature, mixtures, coinciding
//! neurons, and Sobol points over the feasible set.

use nalgebra::DMatrix;

use crate::Scalar;
use crate::limit::Compiled;
use crate::model::Constraint;
use crate::numerics::sobol::uniform;
use crate::stability::fixed_point::face::Face;
use crate::state::{OrderParameters, packed_len};

/// A kind of start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StartKind {
    /// The collapsed state, known in closed form.
    Collapsed,
    /// Q = 0, kept so.
    Uninformative,
    /// Every neuron on one feature, or on none.
    Selected,
    /// Neurons on several features.
    Mixture,
    /// Some neurons copies of others up to sign, or zero; kept so.
    Coinciding,
    /// A Sobol point.
    Sobol {
        /// Which.
        index: usize,
    },
    /// A start of the user's.
    Given {
        /// Which.
        index: usize,
    },
    /// A Sobol point or a user's start once more, away from the fixed points known by then.
    Deflated,
}

/// A start of the search, and where it lies.
#[derive(Debug, Clone, PartialEq)]
pub struct Start<T: Scalar = f64> {
    /// What kind of start.
    pub kind: StartKind,
    /// The state from which Newton's method begins.
    pub state: OrderParameters<T>,
}

/// A start with the family of states within which it is followed.
pub(super) struct FacedStart<T: Scalar> {
    pub(super) start: Start<T>,
    pub(super) face: Face<T>,
}

/// The model as the starts see it.
pub(super) struct Shape {
    pub(super) features: usize,
    pub(super) neurons: usize,
    pub(super) constraint: Constraint,
    /// Whether Q = 0 is kept by the flow.
    pub(super) centred: bool,
    /// Whether the sign of a feature, and of a neuron, is a symmetry.
    pub(super) even_features: Vec<bool>,
    pub(super) even_neurons: bool,
}

/// The most structured starts of one kind.
const MOST: usize = 160;

/// Sizes R_ii of uninformative starts.
const SIZES: [f64; 6] = [0.03, 0.12, 0.5, 1.0, 2.5, 8.0];

impl Shape {
    fn clusters<T: Compiled>(&self) -> Vec<Option<(usize, T)>> {
        (0..self.neurons).map(|i| Some((i, T::one()))).collect()
    }

    /// R_ii = size with R_ij/size = correlation, or 1 on the sphere.
    fn covariance<T: Compiled>(&self, size: f64, correlation: f64) -> DMatrix<T> {
        let size = if self.constraint == Constraint::Sphere { 1.0 } else { size };
        DMatrix::from_fn(self.neurons, self.neurons, |i, j| T::lit(if i == j { size } else { size * correlation }))
    }

    /// Q = 0 with several sizes of R.
    pub(super) fn uninformative<T: Compiled>(&self) -> Vec<FacedStart<T>> {
        if !self.centred {
            return Vec::new();
        }
        // Averages over two neurons and more cost too much for the ends of the range.
        let sizes = match (self.constraint, self.neurons) {
            (Constraint::Sphere, _) => &SIZES[3..4],
            (Constraint::None, 1) => &SIZES[..],
            (Constraint::None, _) => &SIZES[1..5],
        };
        let lowest = -0.9 / (self.neurons as f64 - 1.0).max(1.0);
        let correlations: &[f64] = if self.neurons > 1 { &[0.0, 0.6, lowest] } else { &[0.0] };
        let mut starts = Vec::new();
        for &size in sizes {
            for &correlation in correlations {
                let q = DMatrix::zeros(self.features, self.neurons);
                let state = OrderParameters::from_parts(q, self.covariance(size, correlation));
                let face = Face::new(self.features, &self.clusters(), false, self.constraint);
                starts.push(FacedStart { start: Start { kind: StartKind::Uninformative, state }, face });
            }
        }
        starts
    }

    /// Every neuron on one feature with either sign, or on none; sizes R_ii around `scale`.
    pub(super) fn selected<T: Compiled>(&self, scale: f64) -> Vec<FacedStart<T>> {
        let mut choices = vec![None];
        for l in 0..self.features {
            choices.push(Some((l, 1.0)));
            if !(self.even_features[l] || self.even_neurons) {
                choices.push(Some((l, -1.0)));
            }
        }
        let whole = || Face::whole(self.features, self.neurons, self.constraint);
        let mut starts = Vec::new();
        let (count, each) = (choices.len(), if self.constraint == Constraint::Sphere { 1 } else { 2 });
        let combinations = (0..self.neurons).try_fold(1_usize, |n, _| n.checked_mul(count)).unwrap_or(usize::MAX);
        for code in 1..combinations.min(MOST / each + 1) {
            let picks: Vec<_> =
                (0..self.neurons).map(|i| choices[code / count.pow(u32::try_from(i).unwrap_or(0)) % count]).collect();
            for factor in [1.0, 2.5].into_iter().take(each) {
                let state = self
                    .aligned(&picks.iter().map(|p| p.iter().copied().collect()).collect::<Vec<_>>(), scale * factor);
                starts.push(FacedStart { start: Start { kind: StartKind::Selected, state }, face: whole() });
            }
        }
        starts
    }

    /// All neurons on one mixture of two or more features.
    pub(super) fn mixtures<T: Compiled>(&self, scale: f64) -> Vec<FacedStart<T>> {
        let p = self.features;
        let mut starts = Vec::new();
        for subset in 1_usize..1 << p.min(6) {
            let members: Vec<usize> = (0..p.min(6)).filter(|l| subset >> l & 1 == 1).collect();
            if members.len() < 2 || starts.len() >= MOST {
                continue;
            }
            let free: Vec<usize> = members.iter().copied().filter(|&l| !self.even_features[l]).collect();
            for signs in 0_usize..1 << free.len() {
                let sign = |l: usize| {
                    free.iter().position(|&k| k == l).map_or(1.0, |at| if signs >> at & 1 == 1 { -1.0 } else { 1.0 })
                };
                let one: Vec<(usize, f64)> = members.iter().map(|&l| (l, sign(l))).collect();
                let state = self.aligned(&vec![one; self.neurons], scale);
                let face = Face::whole(p, self.neurons, self.constraint);
                starts.push(FacedStart { start: Start { kind: StartKind::Mixture, state }, face });
            }
        }
        starts
    }

    /// Neurons of cosine similarity 0.9 with the mixture of their signed features, with independent backgrounds.
    fn aligned<T: Compiled>(&self, picks: &[Vec<(usize, f64)>], scale: f64) -> OrderParameters<T> {
        let size = if self.constraint == Constraint::Sphere { 1.0 } else { scale };
        let mut q = DMatrix::zeros(self.features, self.neurons);
        for (i, picks) in picks.iter().enumerate() {
            let amplitude = 0.9 * (size / picks.len().max(1) as f64).sqrt();
            for &(l, sign) in picks {
                q[(l, i)] = T::lit(sign * amplitude);
            }
        }
        let mut r = q.tr_mul(&q);
        for i in 0..self.neurons {
            r[(i, i)] = T::lit(size);
        }
        OrderParameters::from_parts(q, r)
    }

    /// Families in which neurons coincide up to sign or vanish, followed from the states of fewer neurons.
    pub(super) fn coinciding<T: Compiled>(&self, scale: f64, vanishing: bool) -> Vec<FacedStart<T>> {
        let m = self.neurons;
        let mut starts = Vec::new();
        for clusters in partitions::<T>(m, vanishing, self.even_neurons) {
            let k = clusters.iter().flatten().map(|(c, _)| c + 1).max().unwrap_or(0);
            let fewer = Shape {
                features: self.features,
                neurons: k,
                constraint: self.constraint,
                centred: self.centred,
                even_features: self.even_features.clone(),
                even_neurons: self.even_neurons,
            };
            if k == 0 {
                continue;
            }
            for (overlaps, reduced) in
                [(false, fewer.uninformative::<T>()), (true, fewer.selected(scale)), (true, fewer.mixtures(scale))]
            {
                for FacedStart { start, .. } in reduced {
                    let member = |i: usize| clusters[i];
                    let q = DMatrix::from_fn(self.features, m, |l, i| {
                        member(i).map_or(T::zero(), |(c, s)| s * start.state.q()[(l, c)])
                    });
                    let r = DMatrix::from_fn(m, m, |i, j| match (member(i), member(j)) {
                        (Some((a, s)), Some((b, t))) => s * t * start.state.r()[(a, b)],
                        _ => T::zero(),
                    });
                    let state = OrderParameters::from_parts(q, r);
                    let face = Face::new(self.features, &clusters, overlaps, self.constraint);
                    starts.push(FacedStart { start: Start { kind: StartKind::Coinciding, state }, face });
                    if starts.len() >= MOST {
                        return starts;
                    }
                }
            }
        }
        starts
    }

    /// Sobol points over the feasible set: directions and sizes of the weights' parts along features and background.
    pub(super) fn sobol<T: Compiled>(&self, index: usize, scale: f64) -> FacedStart<T> {
        let (p, m) = (self.features, self.neurons);
        let mut u = (0..packed_len(p, m)).map(|d| uniform(index, d, 0x5EED));
        let mut next = || u.next().unwrap_or(0.5);
        let spread = scale.sqrt();
        let q = DMatrix::from_fn(p, m, |_, _| T::lit(1.6 * spread * (2.0 * next() - 1.0) / (p as f64).sqrt()));
        let factor = DMatrix::from_fn(m, m, |i, j| match i.cmp(&j) {
            std::cmp::Ordering::Less => T::zero(),
            std::cmp::Ordering::Equal => T::lit(spread * (0.1 + 1.2 * next())),
            std::cmp::Ordering::Greater => T::lit(spread * (2.0 * next() - 1.0)),
        });
        let mut r = q.tr_mul(&q) + &factor * factor.transpose();
        let mut q = q;
        if self.constraint == Constraint::Sphere {
            let norms: Vec<T> = (0..m).map(|i| r[(i, i)].sqrt()).collect();
            q = DMatrix::from_fn(p, m, |l, i| q[(l, i)] / norms[i]);
            r = DMatrix::from_fn(m, m, |i, j| if i == j { T::one() } else { r[(i, j)] / (norms[i] * norms[j]) });
        }
        let start = Start { kind: StartKind::Sobol { index }, state: OrderParameters::from_parts(q, r) };
        FacedStart { start, face: Face::whole(p, m, self.constraint) }
    }
}

/// Assignments of neurons to fewer clusters, with signs, one for each up to the order of clusters: all for up to three
/// neurons; for more, one pair or all together.
fn partitions<T: Compiled>(m: usize, vanishing: bool, signs: bool) -> Vec<Vec<Option<(usize, T)>>> {
    let mut found: Vec<Vec<Option<(usize, T)>>> = Vec::new();
    if m > 3 {
        let all = vec![Some((0, T::one())); m];
        let pair = (0..m).map(|i| Some((i.saturating_sub(1), T::one()))).collect();
        return vec![all, pair];
    }
    // Each neuron: nothing, an earlier cluster with a sign, or a new one.
    let mut open: Vec<(Vec<Option<(usize, T)>>, usize)> = vec![(Vec::new(), 0)];
    while let Some((partial, clusters)) = open.pop() {
        if partial.len() == m {
            if clusters < m {
                found.push(partial);
            }
            continue;
        }
        let mut extend = |entry: Option<(usize, T)>, clusters: usize| {
            let mut longer = partial.clone();
            longer.push(entry);
            open.push((longer, clusters));
        };
        if vanishing {
            extend(None, clusters);
        }
        for c in 0..clusters {
            extend(Some((c, T::one())), clusters);
            if signs {
                extend(Some((c, -T::one())), clusters);
            }
        }
        extend(Some((clusters, T::one())), clusters + 1);
    }
    found
}
