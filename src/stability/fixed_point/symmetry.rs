//! The symmetries of a model's flow: signed permutations of features and of neurons that map solutions to solutions.
//!
//! They are not read off the model but tested on its coefficients at a state without symmetries, so a joint law that is
//! symmetric only as a whole, a penalty that is not even, or an activation without parity all count for what they are.

use crate::limit::Compiled;
use crate::limit::LimitError;
use crate::ode::ReducedOde;
use crate::state::OrderParameters;

use nalgebra::DMatrix;

/// A map of states, Q'_li = s_l t_i Q_π(l)ρ(i) and R'_ij = t_i t_j R_ρ(i)ρ(j).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SignedPermutation {
    /// (π(l), whether s_l = −1) for each feature l.
    pub features: Vec<(usize, bool)>,
    /// (ρ(i), whether t_i = −1) for each neuron i.
    pub neurons: Vec<(usize, bool)>,
}

impl SignedPermutation {
    fn identity(features: usize, neurons: usize) -> Self {
        let same = |n: usize| (0..n).map(|k| (k, false)).collect();
        Self { features: same(features), neurons: same(neurons) }
    }

    /// The image of a state; the state itself where the shapes do not fit.
    #[must_use]
    pub fn apply<T: Compiled>(&self, state: &OrderParameters<T>) -> OrderParameters<T> {
        let (p, m) = (state.n_features(), state.n_neurons());
        if (self.features.len(), self.neurons.len()) != (p, m) {
            return state.clone();
        }
        let (q, r) = self.map(state.q(), state.r());
        OrderParameters::from_parts(q, r)
    }

    fn map<T: Compiled>(&self, q: &DMatrix<T>, r: &DMatrix<T>) -> (DMatrix<T>, DMatrix<T>) {
        let signed = |x: T, minus: bool| if minus { -x } else { x };
        let q = DMatrix::from_fn(q.nrows(), q.ncols(), |l, i| {
            let ((k, s), (j, t)) = (self.features[l], self.neurons[i]);
            signed(q[(k, j)], s != t)
        });
        let r = DMatrix::from_fn(r.nrows(), r.ncols(), |i, j| {
            let ((a, s), (b, t)) = (self.neurons[i], self.neurons[j]);
            signed(r[(a, b)], s != t)
        });
        (q, r)
    }
}

/// The symmetries of a model's flow, as generators of their group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symmetries {
    /// The generators found.
    pub generators: Vec<SignedPermutation>,
}

/// The most images of one state that are listed.
const MOST_IMAGES: usize = 20_000;

impl Symmetries {
    /// No symmetry but the identity.
    #[must_use]
    pub fn none() -> Self {
        Self { generators: Vec::new() }
    }

    /// Tests sign changes of one, two or all features, exchanges (with or without signs) and cyclic shifts of features,
    /// sign changes of one or of all neurons, and exchanges of neurons, each against the coefficients at a state without
    /// symmetries. A broken symmetry whose breaking is below twenty times the error of the coefficients passes.
    ///
    /// # Errors
    /// As [`Limit::coefficients`](crate::Limit::coefficients).
    pub fn detect<T: Compiled>(ode: &ReducedOde<'_, T>) -> Result<Self, LimitError<T>> {
        let (p, m) = (ode.limit().n_features(), ode.limit().n_neurons());
        let state = generic(p, m);
        let here = ode.limit().coefficients(&state)?;
        let rates = ode.rates(&state)?;
        let holds = |candidate: &SignedPermutation| -> Result<bool, LimitError<T>> {
            let image = ode.rates(&candidate.apply(&state))?;
            let (q, r) = candidate.map(&rates.q, &rates.r);
            let unit = rates.q.amax().max(rates.r.amax());
            let tolerance = T::lit(20.0) * here.error + T::lit(1e3) * T::EPSILON * unit;
            Ok((image.q - q).amax() <= tolerance && (image.r - r).amax() <= tolerance)
        };
        let mut generators = Vec::new();
        let mut flips = vec![false; p];
        for l in 0..p {
            let mut flip = SignedPermutation::identity(p, m);
            flip.features[l].1 = true;
            flips[l] = holds(&flip)?;
            generators.extend(flips[l].then_some(flip));
        }
        let stiff: Vec<usize> = (0..p).filter(|&l| !flips[l]).collect();
        if stiff.len() > 1 {
            let mut together = SignedPermutation::identity(p, m);
            for &l in &stiff {
                together.features[l].1 = true;
            }
            generators.extend(holds(&together)?.then_some(together));
        }
        for a in 0..p {
            for b in a + 1..p {
                if !flips[a] && !flips[b] && stiff.len() > 2 {
                    let mut pair = SignedPermutation::identity(p, m);
                    pair.features[a].1 = true;
                    pair.features[b].1 = true;
                    generators.extend(holds(&pair)?.then_some(pair));
                }
                for minus in [false, true] {
                    let mut swap = SignedPermutation::identity(p, m);
                    swap.features[a] = (b, minus);
                    swap.features[b] = (a, minus);
                    if holds(&swap)? {
                        generators.push(swap);
                        break;
                    }
                }
            }
        }
        if p > 2 {
            let mut shift = SignedPermutation::identity(p, m);
            (0..p).for_each(|l| shift.features[l].0 = (l + 1) % p);
            generators.extend(holds(&shift)?.then_some(shift));
        }
        for i in 0..m {
            let mut flip = SignedPermutation::identity(p, m);
            flip.neurons[i].1 = true;
            generators.extend(holds(&flip)?.then_some(flip));
            if i > 0 {
                let mut swap = SignedPermutation::identity(p, m);
                swap.neurons[i].0 = i - 1;
                swap.neurons[i - 1].0 = i;
                generators.extend(holds(&swap)?.then_some(swap));
            }
        }
        if m > 1 {
            let mut together = SignedPermutation::identity(p, m);
            (0..m).for_each(|i| together.neurons[i].1 = true);
            generators.extend(holds(&together)?.then_some(together));
        }
        Ok(Self { generators })
    }

    /// Every image of a state, itself first; images closer than `separation` in every entry are one. At most 20 000.
    #[must_use]
    pub fn images<T: Compiled>(&self, state: &OrderParameters<T>, separation: T) -> Vec<OrderParameters<T>> {
        // Images in the order of a linear functional without symmetries, so that equal ones are neighbours.
        let key = |state: &OrderParameters<T>| {
            let weight = |k: usize| T::lit((0.618_033_988_75 * (k + 1) as f64).fract() + 0.1);
            state.to_packed().iter().enumerate().map(|(k, &x)| weight(k) * x).sum::<T>()
        };
        let reach = separation * T::lit(1.1) * T::of_usize(state.packed_len());
        let mut images = vec![state.clone()];
        let mut order = vec![(key(state), 0)];
        let mut next = 0;
        while next < images.len() && images.len() < MOST_IMAGES {
            for generator in &self.generators {
                let image = generator.apply(&images[next]);
                let at = key(&image);
                let first = order.partition_point(|&(other, _)| other < at - reach);
                let mut near = order[first..].iter().take_while(|&&(other, _)| other <= at + reach);
                if !near.any(|&(_, known): &(T, usize)| distance(&images[known], &image) <= separation) {
                    order.insert(order.partition_point(|&(other, _)| other < at), (at, images.len()));
                    images.push(image);
                }
            }
            next += 1;
        }
        images
    }
}

/// The largest entry of the difference.
pub(super) fn distance<T: Compiled>(x: &OrderParameters<T>, y: &OrderParameters<T>) -> T {
    (x.q() - y.q()).amax().max((x.r() - y.r()).amax())
}

/// A feasible state that no signed permutation maps to itself.
fn generic<T: Compiled>(p: usize, m: usize) -> OrderParameters<T> {
    let q = DMatrix::from_fn(p, m, |l, i| {
        T::lit((0.31 + 0.17 * l as f64 - 0.11 * i as f64 + 0.07 * (l * i) as f64) / (p as f64).sqrt())
    });
    let factor = DMatrix::from_fn(m, m, |i, j| {
        T::lit(match i.cmp(&j) {
            std::cmp::Ordering::Less => 0.0,
            std::cmp::Ordering::Equal => 0.8 + 0.09 * i as f64,
            std::cmp::Ordering::Greater => 0.15 + 0.06 * i as f64 - 0.04 * j as f64,
        })
    });
    let r = q.tr_mul(&q) + &factor * factor.transpose();
    OrderParameters::from_parts(q, r)
}
