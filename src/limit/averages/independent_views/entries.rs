//! How the entries of Λ move with the state, by the products over four fields that they are made of.
//!
//! By second derivatives as for pairs. One within a view is that of an integral by parts over u, so that no third derivative of σ is
//! needed and no noise is too small. Not here: how Λ is made of products (see `signals`).

use std::borrow::Cow;

use super::law::{LatticeLaw, parts};
use super::products::{Block, Contraction};
use super::view_functions::ViewFunctions;
use crate::Scalar;
use crate::numerics::kernels::{add_scaled, dot};
use crate::numerics::lanes::dispatch;

/// How an entry moves.
#[derive(Debug, Clone)]
pub(in crate::limit) struct EntryMotion<T> {
    /// The neurons whose means move it, and E[c_l ∂_i ·] for each, of length p.
    pub(in crate::limit) means: Vec<(usize, Vec<T>)>,
    /// Fields (view, neuron) whose covariance moves it, and by how much.
    pub(in crate::limit) covariances: Vec<([(usize, usize); 2], T)>,
}

impl<T: Scalar> EntryMotion<T> {
    pub(super) fn new() -> Self {
        Self { means: Vec::new(), covariances: Vec::new() }
    }
}

/// A block at a state.
pub(super) struct BlockSlopes<'a, T: Scalar> {
    block: &'a Block,
    tables: [&'a ViewFunctions<T>; 2],
    row: usize,
    /// The functions of view 2, arranged, with their derivatives by c and d where sums are made of them.
    second: [Vec<Cow<'a, [T]>>; 3],
    /// The weights of the lattice, and their slopes by a and b; nothing where sums are known.
    tensors: Option<[&'a [T]; 3]>,
    /// For each function of view 2 the sums of [`SUMS`], where it has neurons that view 1 has not.
    sums: [Vec<Vec<T>>; SUMS],
}

/// With c and d the fields of the second couple, a and b those of the first, w the weights: w∂_c g and w∂_d g; ∂_a w g and ∂_b w g;
/// ∂_c w ∂_c g, ∂_d w ∂_c g and ∂_d w ∂_d g. Summed over what view 2 has beyond view 1.
const SUMS: usize = 7;

impl<'a, T: Scalar> BlockSlopes<'a, T> {
    /// `slopes`: of the weights, by each neuron of the law.
    pub(super) fn new(
        block: &'a Block,
        all: &'a [ViewFunctions<T>],
        (law, slopes): (&'a LatticeLaw<T>, &'a [Vec<T>]),
        row: usize,
    ) -> Self {
        let tables = block.tables.map(|table| &all[table]);
        let table = tables[1];
        let arranged = |of: &dyn Fn(usize) -> &'a Vec<T>| -> Vec<Cow<'a, [T]>> {
            let used = |g: usize| block.used.contains(&g);
            (0..table.count()).map(|g| if used(g) { block.arrange(of(g)) } else { Cow::Borrowed(&[][..]) }).collect()
        };
        let second = arranged(&|g| &table.values[g]);
        let [by_c, by_d] = [0, 1].map(|v| arranged(&|g| &table.slopes[g][v]));
        let mut this = Self {
            block,
            tables,
            row,
            second: [second, by_c, by_d],
            tensors: None,
            sums: std::array::from_fn(|_| Vec::new()),
        };
        let [[a, b], [c, d]] = block.couples;
        if let [first, second] = slopes
            && (a, b) == (c, d)
        {
            this.tensors = Some([&law.weights, first, second]);
            return this;
        }
        let mut contraction = Contraction::new();
        let mut contract = |tensor: &[T], parts: &[usize]| -> Vec<Vec<T>> {
            let functions: Vec<&[T]> = parts.iter().flat_map(|&k| this.second[k].iter().map(|x| &**x)).collect();
            let mut out = vec![Vec::new(); functions.len()];
            block.contract(tensor, (functions.len(), &|k| functions[k]), row, &mut contraction, &mut out);
            out
        };
        let mut tensor = Vec::new();
        let halves = |mut both: Vec<Vec<T>>| {
            let second = both.split_off(table.count());
            [both, second]
        };
        let mut sums: [Vec<Vec<T>>; SUMS] = std::array::from_fn(|_| Vec::new());
        [sums[0], sums[1]] = halves(contract(block.read_into(&law.weights, &mut tensor), &[1, 2]));
        for (&neuron, slopes) in law.neurons.iter().zip(slopes) {
            let tensor = block.read_into(slopes, &mut tensor);
            if neuron == a || neuron == b {
                sums[if neuron == a { 2 } else { 3 }] = contract(tensor, &[0]);
            }
            if neuron == c {
                sums[4] = contract(tensor, &[1]);
            } else if neuron == d {
                [sums[5], sums[6]] = halves(contract(tensor, &[1, 2]));
            }
        }
        this.sums = sums;
        this
    }

    /// The sums of functions of view 2 with weights, of which `g` is the first of [`second`](Self::second).
    fn sums_of(&self, with: &[(usize, T)], g: &[T]) -> [Vec<T>; SUMS] {
        let Some([w, by_a, by_b]) = self.tensors else {
            return self.sums.each_ref().map(|sums| weighted(with, sums));
        };
        let [g_c, g_d] = [1, 2].map(|k| weighted(with, &self.second[k]));
        // Both couples are one.
        [(w, &g_c[..]), (w, &g_d), (by_a, g), (by_b, g), (by_a, &g_c), (by_b, &g_c), (by_b, &g_d)].map(|(w, g)| {
            let mut out = vec![T::zero(); g.len()];
            dispatch(
                #[inline(always)]
                || out.iter_mut().zip(w).zip(g).for_each(|((out, &w), &g)| *out = w * g),
            );
            out
        })
    }

    /// Adds how Σ weight·product moves, with the weight of each product by number.
    ///
    /// `all`: adds the sum itself, at every point of the lattice; nothing if there was nothing yet.
    pub(super) fn add(&self, weights: &[T], size: usize, all: &mut Vec<T>, motion: &mut EntryMotion<T>) {
        let Self { block, tables, .. } = self;
        let [[a, b], [c, d]] = block.couples;
        let mut total = vec![T::zero(); block.size(size)];
        let mut sums = [[T::zero(); 4]; 4];
        let mut some = false;
        for f in 0..tables[0].count() {
            let with: Vec<(usize, T)> = block
                .products
                .iter()
                .filter(|product| product.0 == f && weights[product.2] != T::zero())
                .map(|product| (product.1, weights[product.2]))
                .collect();
            if with.is_empty() {
                continue;
            }
            some = true;
            let (value, [by_a, by_b]) = (&tables[0].values[f], &tables[0].slopes[f]);
            let g = weighted(&with, &self.second[0]);
            block.add_product(value, &g, self.row, &mut total);
            let [wc, wd, wa, wb, cc, cd, dd] = self.sums_of(&with, &g);
            // By the u of a neuron, where it is a field of both views.
            let shared = |i: usize| {
                if i == c {
                    &wc[..]
                } else if i == d {
                    &wd[..]
                } else {
                    &[]
                }
            };
            let of_f = |i: usize| {
                if i == a {
                    &by_a[..]
                } else if i == b {
                    &by_b[..]
                } else {
                    &[]
                }
            };
            sums[0][2] += product(by_a, &wc);
            sums[0][3] += product(by_a, &wd);
            sums[1][2] += product(by_b, &wc);
            sums[1][3] += product(by_b, &wd);
            // −E[∂_a f ∂_u(w g)], and the same with the views exchanged.
            sums[0][0] -= product(by_a, &wa) + product(by_a, shared(a));
            sums[0][1] -= product(by_a, &wb) + product(by_a, shared(b));
            sums[1][1] -= product(by_b, &wb) + product(by_b, shared(b));
            sums[2][2] -= product(value, &cc) + product(of_f(c), &wc);
            sums[2][3] -= product(value, &cd) + product(of_f(d), &wc);
            sums[3][3] -= product(value, &dd) + product(of_f(d), &wd);
        }
        if !some {
            return;
        }
        let fields = [(0, a), (0, b), (1, c), (1, d)];
        for x in 0..4 {
            for y in x..4 {
                let half = if x == y { T::lit(0.5) } else { T::one() };
                motion.covariances.push(([fields[x], fields[y]], half * sums[x][y]));
            }
        }
        all.resize(size, T::zero());
        block.write(&total, all);
    }
}

/// Adds how sums move with the means of the law's neurons, given by their values on the lattice: one of each motion, empty where
/// there is none.
pub(super) fn add_means<T: Scalar>(all: &[Vec<T>], law: &mut LatticeLaw<T>, p: usize, motions: &mut [EntryMotion<T>]) {
    let present: Vec<usize> = (0..all.len()).filter(|&n| !all[n].is_empty()).collect();
    let mut rows = Vec::new();
    for &n in &present {
        let mut waves = [Vec::new(), Vec::new()];
        law.write_waves(&all[n], &mut waves);
        rows.extend((0..law.neurons.len()).map(|axis| law.derivative(axis, &waves)));
    }
    let mut with_hidden = vec![T::zero(); rows.len() * p];
    law.with_hidden(&rows.iter().map(parts).collect::<Vec<_>>(), &mut with_hidden);
    let mut means = with_hidden.chunks_exact(p);
    for &n in &present {
        motions[n].means.extend(law.neurons.iter().zip(&mut means).map(|(&neuron, c)| (neuron, c.to_vec())));
    }
}

/// The sum of some of the functions with weights: nothing if all of them are empty.
fn weighted<T: Scalar>(with: &[(usize, T)], functions: &[impl AsRef<[T]>]) -> Vec<T> {
    let mut sum = Vec::new();
    for &(g, weight) in with {
        let part = functions[g].as_ref();
        sum.resize(sum.len().max(part.len()), T::zero());
        if !part.is_empty() {
            dispatch(
                #[inline(always)]
                || add_scaled(weight, part, &mut sum),
            );
        }
    }
    sum
}

/// Of tables, nothing where one is empty.
fn product<T: Scalar>(x: &[T], y: &[T]) -> T {
    if x.is_empty() || y.is_empty() {
        return T::zero();
    }
    dispatch(
        #[inline(always)]
        || dot(x, y),
    )
}
