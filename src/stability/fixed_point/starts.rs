//! From where fixed points are sought.
//!
//! Covers states without overlaps, every neuron on every feature, mixtures, coinciding neurons, and Sobol points over
//! the feasible set, each with the family of states within which it is followed. Not here: the search (see `finder`).

use nalgebra::DMatrix;

use crate::Scalar;
use crate::model::Constraint;
use crate::numerics::sobol::uniform;
use crate::stability::fixed_point::arrangements::{partitions, tuples};
use crate::stability::fixed_point::face::Face;
use crate::stability::fixed_point::shape::Shape;
use crate::stability::fixed_point::symmetry::Symmetries;
use crate::stability::spectrum::Spectrum;
use crate::state::{OrderParameters, packed_len, unpack};

/// A kind of start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
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
    /// Beside a fixed point found before, along a direction in which the flow is slow there.
    Beside {
        /// Which point, counted as they were found.
        point: usize,
    },
}

/// A start of the search, and where it lies.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "T: serde::Serialize", deserialize = "T: serde::Deserialize<'de>"))
)]
pub struct SearchStart<T: Scalar = f64> {
    /// What kind of start.
    pub kind: StartKind,
    /// The state from which Newton's method begins.
    pub state: OrderParameters<T>,
}

/// A start with the family of states within which it is followed.
#[derive(Debug, Clone)]
pub(crate) struct FacedStart<T: Scalar> {
    pub(crate) start: SearchStart<T>,
    pub(crate) face: Face<T>,
}

impl<T: Scalar> FacedStart<T> {
    /// Whether `other` is an image of this start under those symmetries: then it leads to an image of what this one leads to.
    pub(crate) fn has_image(&self, other: &Self, symmetries: &Symmetries) -> bool {
        let (here, there, reach) = (&self.start.state, &other.start.state, T::EPSILON.sqrt());
        // Signed permutations keep all norms, which cost less than images do.
        let alike = |x: T, y: T| (x - y).abs() <= reach * (x + y);
        self.face.dimension() == other.face.dimension()
            && alike(here.q().norm(), there.q().norm())
            && alike(here.r().norm(), there.r().norm())
            && symmetries.relate(here, there, reach)
    }
}

/// The most structured starts of one kind: their number grows exponentially with features and neurons.
const MOST: usize = 160;

/// The most starts on combinations of features, of which there are more still.
const MOST_COMBINATIONS: usize = 60;

/// The most of them with backgrounds that repel one another: all choices of up to three features.
const MOST_REPELLED: usize = 13;

/// How much smaller than the one before a neuron is where they are unequal.
const GRADED: f64 = 0.6;

/// How many slow directions of a fixed point are tried, and how far, in units of the size of weights.
const SLOWEST: usize = 3;
const BESIDE: f64 = 0.15;

/// Sizes R_ii of uninformative starts: about a factor 3 apart, from where the nonlinearity is linear to where it
/// saturates.
const SIZES: [f64; 6] = [0.03, 0.12, 0.5, 1.0, 2.5, 8.0];

/// Where among [`SIZES`] 1 stands, the one size on the sphere.
const UNIT_SIZE: usize = 3;

/// Correlations R_ij/R_ii of uninformative starts, besides none: backgrounds that attract one another, ...
const ATTRACTING: f64 = 0.6;
/// ... and that repel one another, in units of the most that m neurons can.
const REPELLING: f64 = -0.9;

/// The sizes of starts with features, in units of that of the uninformative state: it grows where features are learned.
const INFORMED_SIZES: [f64; 2] = [1.0, 2.5];

/// The cosine similarity of neurons with the mixture of features that they start on: high, yet inside the feasible set.
const ALIGNMENT: f64 = 0.9;

/// The same where backgrounds repel one another: there is more of them then.
const LOOSE_ALIGNMENT: f64 = 0.6;

/// Features among which mixtures are tried: 57 subsets of two and more.
const MIXED_FEATURES: usize = 6;

/// The scramble of the Sobol starts, an arbitrary number.
const SCRAMBLE: u32 = 0x5EED;
/// Overlaps of Sobol starts lie in ± that, in units of the size of the uninformative state.
const OVERLAP_RANGE: f64 = 1.6;
/// Diagonal entries of the background's factor lie between the first number and its sum with the second, so that R, in
/// units of that size, lies on both sides of 1.
const BACKGROUND_RANGE: (f64, f64) = (0.1, 1.2);

impl Shape {
    /// R_ii = size with R_ij/size = correlation, or 1 on the sphere.
    fn covariance<T: Scalar>(&self, size: f64, correlation: f64) -> DMatrix<T> {
        let size = if self.constraint.fixes_norms() { 1.0 } else { size };
        DMatrix::from_fn(self.neurons, self.neurons, |i, j| T::lit(if i == j { size } else { size * correlation }))
    }

    /// Q = 0 with several sizes of R.
    pub(crate) fn uninformative<T: Scalar>(&self) -> Vec<FacedStart<T>> {
        if !self.centred {
            return Vec::new();
        }
        // Averages over two neurons and more cost too much for the ends of the range.
        let sizes = match (self.constraint, self.neurons) {
            (Constraint::None, 1) => &SIZES[..],
            (Constraint::None, _) => &SIZES[1..5],
            _ => &SIZES[UNIT_SIZE..=UNIT_SIZE],
        };
        let lowest = REPELLING / (self.neurons as f64 - 1.0).max(1.0);
        let free = self.neurons > 1 && !self.constraint.fixes_covariance();
        let correlations: &[f64] = if free { &[0.0, ATTRACTING, lowest] } else { &[0.0] };
        let mut starts = Vec::new();
        for &size in sizes {
            for &correlation in correlations {
                let q = DMatrix::zeros(self.features, self.neurons);
                let state = OrderParameters::from_parts(q, self.covariance(size, correlation));
                let face = Face::without_overlaps(self.features, self.neurons, self.constraint);
                starts.push(FacedStart { start: SearchStart { kind: StartKind::Uninformative, state }, face });
            }
        }
        starts
    }

    /// Every neuron on one feature with either sign, or on none; sizes R_ii around `scale`.
    pub(crate) fn selected<T: Scalar>(&self, scale: f64) -> Vec<FacedStart<T>> {
        let mut choices = vec![None];
        for l in 0..self.features {
            choices.push(Some((l, 1.0)));
            if !(self.even_features[l] || self.even_neurons) {
                choices.push(Some((l, -1.0)));
            }
        }
        let whole = || Face::whole(self.features, self.neurons, self.constraint);
        let mut starts = Vec::new();
        let each = if self.constraint.fixes_norms() { 1 } else { INFORMED_SIZES.len() };
        for at in tuples(self.neurons, choices.len(), self.exchangeable).take(MOST / each) {
            let picks: Vec<_> = at.iter().map(|&k| choices[k].into_iter().collect()).collect();
            for factor in INFORMED_SIZES.into_iter().take(each) {
                let state = self.aligned(&picks, scale * factor);
                starts.push(FacedStart { start: SearchStart { kind: StartKind::Selected, state }, face: whole() });
            }
        }
        starts
    }

    /// All neurons on one mixture of two or more features.
    pub(crate) fn mixtures<T: Scalar>(&self, scale: f64) -> Vec<FacedStart<T>> {
        let p = self.features;
        let mut starts = Vec::new();
        for subset in 1_usize..1 << p.min(MIXED_FEATURES) {
            let members: Vec<usize> = (0..p.min(MIXED_FEATURES)).filter(|l| subset >> l & 1 == 1).collect();
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
                starts.push(FacedStart { start: SearchStart { kind: StartKind::Mixture, state }, face });
            }
        }
        starts
    }

    /// Every neuron on features of its own, one at least on a mixture: without a penalty, neurons at fixed points of one neuron
    /// each are a fixed point of all.
    pub(crate) fn combinations<T: Scalar>(&self, scale: f64) -> Vec<FacedStart<T>> {
        let p = self.features.min(MIXED_FEATURES);
        // What one neuron is on: nothing, or features with signs, the first of them positive.
        let mut choices: Vec<Vec<(usize, f64)>> = vec![Vec::new()];
        for subset in 1_usize..1 << p {
            let members: Vec<usize> = (0..p).filter(|l| subset >> l & 1 == 1).collect();
            for signs in 0_usize..1 << (members.len() - 1) {
                let sign = |k: usize| if k > 0 && signs >> (k - 1) & 1 == 1 { -1.0 } else { 1.0 };
                choices.push(members.iter().enumerate().map(|(k, &l)| (l, sign(k))).collect());
            }
        }
        let mut starts = Vec::new();
        // All on one feature, with equal or alternating signs, each weaker than the one before.
        for (l, second) in (0..p).flat_map(|l| [(l, 1.0), (l, -1.0)]) {
            let picks: Vec<_> = (0..self.neurons).map(|i| vec![(l, if i % 2 == 0 { 1.0 } else { second })]).collect();
            let state = self.graded(&self.aligned(&picks, scale));
            let face = Face::whole(self.features, self.neurons, self.constraint);
            starts.push(FacedStart { start: SearchStart { kind: StartKind::Mixture, state }, face });
        }
        // All on one of the choices, with backgrounds that repel one another.
        for picks in choices.iter().skip(1).take(MOST_REPELLED) {
            let state = self.repelled(&self.placed(&vec![picks.clone(); self.neurons], scale, LOOSE_ALIGNMENT));
            let face = Face::whole(self.features, self.neurons, self.constraint);
            starts.push(FacedStart { start: SearchStart { kind: StartKind::Mixture, state }, face });
        }
        for at in tuples(self.neurons, choices.len(), self.exchangeable) {
            let mixed = at.iter().any(|&k| choices[k].len() > 1);
            // All alike are mixtures of their own.
            if !mixed || at.windows(2).all(|pair| pair[0] == pair[1]) {
                continue;
            }
            let picks: Vec<_> = at.iter().map(|&k| choices[k].clone()).collect();
            let face = Face::whole(self.features, self.neurons, self.constraint);
            let start = SearchStart { kind: StartKind::Mixture, state: self.aligned(&picks, scale) };
            starts.push(FacedStart { start, face });
            if starts.len() >= MOST_COMBINATIONS {
                break;
            }
        }
        starts
    }

    /// The same neurons, each smaller than the one before; on the sphere as they are.
    fn graded<T: Scalar>(&self, state: &OrderParameters<T>) -> OrderParameters<T> {
        if self.constraint.fixes_norms() {
            return state.clone();
        }
        let size: Vec<T> = (0..self.neurons).map(|i| T::lit(GRADED.powf(i as f64))).collect();
        let q = DMatrix::from_fn(self.features, self.neurons, |l, i| state.q()[(l, i)] * size[i]);
        let r = DMatrix::from_fn(self.neurons, self.neurons, |i, j| state.r()[(i, j)] * size[i] * size[j]);
        OrderParameters::from_parts(q, r)
    }

    /// The same neurons with backgrounds of the correlation [`REPELLING`].
    fn repelled<T: Scalar>(&self, state: &OrderParameters<T>) -> OrderParameters<T> {
        if self.constraint.fixes_covariance() {
            return state.clone();
        }
        let background = state.background();
        let correlation = T::lit(REPELLING / (self.neurons as f64 - 1.0).max(1.0));
        let r = DMatrix::from_fn(self.neurons, self.neurons, |i, j| {
            let own = if i == j { T::zero() } else { correlation * (background[(i, i)] * background[(j, j)]).sqrt() };
            state.r()[(i, j)] + own
        });
        OrderParameters::from_parts(state.q().clone(), r)
    }

    /// Neurons of cosine similarity [`ALIGNMENT`] with the mixture of their signed features, with independent
    /// backgrounds.
    fn aligned<T: Scalar>(&self, picks: &[Vec<(usize, f64)>], scale: f64) -> OrderParameters<T> {
        self.placed(picks, scale, ALIGNMENT)
    }

    fn placed<T: Scalar>(&self, picks: &[Vec<(usize, f64)>], scale: f64, alignment: f64) -> OrderParameters<T> {
        let size = if self.constraint.fixes_norms() { 1.0 } else { scale };
        let mut q = DMatrix::zeros(self.features, self.neurons);
        for (i, picks) in picks.iter().enumerate() {
            let amplitude = alignment * (size / picks.len().max(1) as f64).sqrt();
            for &(l, sign) in picks {
                q[(l, i)] = T::lit(sign * amplitude);
            }
        }
        let mut r = q.tr_mul(&q);
        for i in 0..self.neurons {
            r[(i, i)] = T::lit(size);
        }
        self.orthonormal(OrderParameters::from_parts(q, r))
    }

    /// The same state with orthonormal neurons, where the constraint asks for them.
    fn orthonormal<T: Scalar>(&self, state: OrderParameters<T>) -> OrderParameters<T> {
        if !self.constraint.fixes_covariance() {
            return state;
        }
        // What cannot be is no start: the search leaves it out.
        state.orthonormalised().unwrap_or(state)
    }

    /// Families in which neurons coincide up to sign or vanish, followed from the states of fewer neurons.
    pub(crate) fn coinciding<T: Scalar>(&self, scale: f64, vanishing: bool) -> Vec<FacedStart<T>> {
        let m = self.neurons;
        let mut starts = Vec::new();
        // Orthonormal neurons never coincide.
        if self.constraint.fixes_covariance() {
            return starts;
        }
        for clusters in partitions(m, vanishing, self.exchangeable) {
            let k = clusters.iter().flatten().max().map_or(0, |c| c + 1);
            let clusters: Vec<_> = clusters.into_iter().map(|c| c.map(|c| (c, T::one()))).collect();
            let fewer = Shape {
                features: self.features,
                neurons: k,
                constraint: self.constraint,
                centred: self.centred,
                even_features: self.even_features.clone(),
                even_neurons: self.even_neurons,
                exchangeable: self.exchangeable,
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
                    starts.push(FacedStart { start: SearchStart { kind: StartKind::Coinciding, state }, face });
                    if starts.len() >= MOST {
                        return starts;
                    }
                }
            }
        }
        starts
    }

    /// Beside fixed point number `index`, either way along its slowest directions: solutions born together lie so.
    pub(crate) fn beside<T: Scalar>(
        &self,
        point: &OrderParameters<T>,
        coordinates: &[usize],
        spectrum: &Spectrum<T>,
        index: usize,
    ) -> Vec<FacedStart<T>> {
        let (p, m) = (self.features, self.neurons);
        let values = &spectrum.values;
        let mut order: Vec<usize> = (0..values.len()).filter(|&k| values[k].im == T::zero()).collect();
        let size = |k: usize| values[k].re.abs();
        order.sort_by(|&a, &b| size(a).partial_cmp(&size(b)).unwrap_or(std::cmp::Ordering::Equal));
        let reach = T::lit(BESIDE) * point.r().amax().sqrt();
        let mut starts = Vec::new();
        for k in order.into_iter().take(SLOWEST) {
            for sign in [T::one(), -T::one()] {
                let mut packed = point.to_packed();
                for (entry, x) in coordinates.iter().zip(spectrum.vectors.column(k).iter()) {
                    packed[*entry] += sign * reach * x.re;
                }
                let (q, r) = unpack(p, m, packed.as_slice());
                let start =
                    SearchStart { kind: StartKind::Beside { point: index }, state: OrderParameters::from_parts(q, r) };
                starts.push(FacedStart { start, face: Face::whole(p, m, self.constraint) });
            }
        }
        starts
    }

    /// Sobol points over the feasible set: directions and sizes of the weights' parts along features and background.
    pub(crate) fn sobol<T: Scalar>(&self, index: usize, scale: f64) -> FacedStart<T> {
        let (p, m) = (self.features, self.neurons);
        let mut u = (0..packed_len(p, m)).map(|d| uniform(index, d, SCRAMBLE));
        let mut next = || u.next().unwrap_or(0.5);
        let spread = scale.sqrt();
        let q =
            DMatrix::from_fn(p, m, |_, _| T::lit(OVERLAP_RANGE * spread * (2.0 * next() - 1.0) / (p as f64).sqrt()));
        let factor = DMatrix::from_fn(m, m, |i, j| match i.cmp(&j) {
            std::cmp::Ordering::Less => T::zero(),
            std::cmp::Ordering::Equal => T::lit(spread * (BACKGROUND_RANGE.0 + BACKGROUND_RANGE.1 * next())),
            std::cmp::Ordering::Greater => T::lit(spread * (2.0 * next() - 1.0)),
        });
        let mut r = q.tr_mul(&q) + &factor * factor.transpose();
        let mut q = q;
        if self.constraint.fixes_norms() {
            let norms: Vec<T> = (0..m).map(|i| r[(i, i)].sqrt()).collect();
            q = DMatrix::from_fn(p, m, |l, i| q[(l, i)] / norms[i]);
            r = DMatrix::from_fn(m, m, |i, j| if i == j { T::one() } else { r[(i, j)] / (norms[i] * norms[j]) });
        }
        let state = self.orthonormal(OrderParameters::from_parts(q, r));
        let start = SearchStart { kind: StartKind::Sobol { index }, state };
        FacedStart { start, face: Face::whole(p, m, self.constraint) }
    }
}
