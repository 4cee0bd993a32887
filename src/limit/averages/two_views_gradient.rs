//! How averages over two fields of each view move with means and covariances, by the same forms.
//!
//! By Price's theorem: the derivative by a covariance is the average of the mixed derivative, and that by a variance half the average
//! of the second derivative, which follows from E[∂_f g (h_f − μ_f)] = Σ_k Cov(h_f, h_k) E[∂_f ∂_k g] without a third derivative of σ.
//! Not here: the averages themselves (see `two_views`).

use std::ops::Range;

use crate::Scalar;
use crate::limit::averages::kernel::Kernel;
use crate::limit::averages::view::{ELEMENTARY, Function, Scratch, Shape, View, fold, multiply, transform};
use crate::numerics::kernels::dot;
use crate::numerics::lanes::{LANES, Lanes, dispatch, groups, groups_mut};

/// How an average moves: by the mean of each field, and by the covariances of the fields, entry by entry of the upper triangle.
#[derive(Debug, Clone, Copy)]
pub(in crate::limit) struct FormGradient<T> {
    pub(in crate::limit) means: [T; 4],
    pub(in crate::limit) covariances: [[T; 4]; 4],
}

/// Kinds of derivatives: by field 0 and 1, by both, and by a field times that field without its mean.
const MIXED: usize = 2;
const ALONG: usize = 3;
const DERIVATIVES: usize = 5;

/// Derivatives of the functions of a view, at its nodes. The buffers are empty until they are first filled.
#[derive(Debug, Clone)]
pub(super) struct Derivatives<T> {
    length: usize,
    functions: usize,
    /// Each elementary function of each field, and its derivative.
    tables: Vec<[[Vec<T>; 2]; 2]>,
    /// The parts of each derivative, kind by kind, function by function; none where it is zero.
    blocks: Vec<T>,
    /// Those of the first two kinds times K₁ ⊗ K₂, where a product needs them, and then the functions themselves.
    transformed: Vec<T>,
}

/// The place of the functions themselves among what is transformed.
const VALUE: usize = 2;

/// The fields that a function depends on.
fn fields(function: Function) -> Range<usize> {
    let [a, b] = function.map(|(_, field)| field);
    a.min(b)..a.max(b) + 1
}

impl<T: Scalar> Derivatives<T> {
    pub(super) fn new() -> Self {
        Self { length: 0, functions: 0, tables: Vec::new(), blocks: Vec::new(), transformed: Vec::new() }
    }

    fn resize(&mut self, view: &View<T>) {
        (self.length, self.functions) = (view.values[0].len(), view.functions.len());
        let empty = || [[Vec::new(), Vec::new()], [Vec::new(), Vec::new()]];
        self.tables.resize_with(ELEMENTARY, empty);
        self.tables.iter_mut().flatten().flatten().for_each(|table| table.resize(self.length, T::zero()));
        self.blocks.resize(DERIVATIVES * self.functions * self.length, T::zero());
        self.transformed.resize(3 * self.functions * self.length, T::zero());
    }

    fn slot(&self, kind: usize, function: usize) -> Range<usize> {
        let start = (kind * self.functions + function) * self.length;
        start..start + self.length
    }

    fn block(&self, kind: usize, function: usize) -> &[T] {
        &self.blocks[self.slot(kind, function)]
    }

    fn transformed(&self, kind: usize, function: usize) -> &[T] {
        &self.transformed[self.slot(kind, function)]
    }

    /// Of the values in a view of which σ'' is known.
    #[inline(always)]
    fn fill(&mut self, view: &View<T>, means: [T; 2], shape: Shape, scratch: &mut [T]) {
        for f in 0..2 {
            let (y, d, s) = (groups(&view.values[f]), groups(&view.slopes[f]), groups(&view.seconds[f]));
            for n in 0..y.len() {
                let (y, d, s) = (Lanes(y[n]), Lanes(d[n]), Lanes(s[n]));
                let all = [(y, d), (d, s), (y * y, y * d + y * d), (d * y, s * y + d * d)];
                for (table, (value, slope)) in self.tables.iter_mut().zip(all) {
                    groups_mut(&mut table[f][0])[n] = value.0;
                    groups_mut(&mut table[f][1])[n] = slope.0;
                }
            }
        }
        let scratch = &mut scratch[..self.length];
        for (index, &function) in view.functions.iter().enumerate() {
            let slots = [0, 1, MIXED, ALONG, ALONG + 1].map(|kind| self.slot(kind, index));
            let [x, y] = function.map(|(e, f)| &self.tables[e as usize][f]);
            for field in fields(function) {
                scratch.fill(T::zero());
                for (side, (own, other)) in [(x, y), (y, x)].into_iter().enumerate() {
                    if function[side].1 == field {
                        add_product(&own[1], &other[0], scratch);
                    }
                }
                fold(shape, scratch, &mut self.blocks[slots[field].clone()]);
                let (h, mean) = (groups(&view.fields[field]), means[field]);
                for (out, h) in groups_mut(scratch).iter_mut().zip(h) {
                    for k in 0..LANES {
                        out[k] *= h[k] - mean;
                    }
                }
                fold(shape, scratch, &mut self.blocks[slots[ALONG + field].clone()]);
            }
            if fields(function).len() > 1 {
                multiply(&x[1], &y[1], scratch);
                fold(shape, scratch, &mut self.blocks[slots[MIXED].clone()]);
            }
        }
    }

    /// Multiplies the derivatives of one function by K₁ ⊗ K₂.
    #[inline(always)]
    fn transform(&mut self, function: usize, by: Range<usize>, kernels: &[Kernel<T>; 2], scratch: &mut [T]) {
        for field in by {
            let slot = self.slot(field, function);
            transform(kernels, &self.blocks[slot.clone()], &mut self.transformed[slot], scratch);
        }
    }

    /// Multiplies all functions by K₁ ⊗ K₂.
    #[inline(always)]
    fn transform_values(&mut self, view: &View<T>, kernels: &[Kernel<T>; 2], scratch: &mut Scratch<T>) {
        let Scratch { product, parts, .. } = scratch;
        for function in 0..self.functions {
            let slot = self.slot(VALUE, function);
            view.parts(function, Shape::new(kernels), product, parts);
            transform(kernels, parts, &mut self.transformed[slot], product);
        }
    }
}

/// out += x·y, entry by entry.
#[inline(always)]
fn add_product<T: Scalar>(x: &[T], y: &[T], out: &mut [T]) {
    for ((out, x), y) in groups_mut(out).iter_mut().zip(groups(x)).zip(groups(y)) {
        for k in 0..LANES {
            out[k] += x[k] * y[k];
        }
    }
}

/// How the averages of products of functions of two views move, with σ and its derivatives known there: at fields of those means and that
/// covariance, one for each product.
pub(super) fn gradients<T: Scalar>(
    [first, second]: &[View<T>; 2],
    kernels: &[Kernel<T>; 2],
    products: &[(usize, usize)],
    (means, covariance): (&[T; 4], &[T]),
    [of_first, of_second]: &mut [Derivatives<T>; 2],
    scratch: &mut Scratch<T>,
) -> Vec<FormGradient<T>> {
    of_first.resize(first);
    of_second.resize(second);
    dispatch(
        #[inline(always)]
        || {
            let shape = Shape::new(kernels);
            of_first.fill(first, [means[0], means[1]], shape, &mut scratch.product);
            of_first.transform_values(first, kernels, scratch);
            of_second.fill(second, [means[2], means[3]], shape, &mut scratch.product);
            of_second.transform_values(second, kernels, scratch);
        },
    );
    // Of mixed derivatives across views one side is transformed: that with fewer of them.
    let mut ready = [vec![false; first.functions.len()], vec![false; second.functions.len()]];
    dispatch(
        #[inline(always)]
        || {
            let mut sides = Vec::with_capacity(products.len());
            for &(f, g) in products {
                let side = usize::from(fields(second.functions[g]).len() <= fields(first.functions[f]).len());
                let (function, of) = if side == 0 { (f, &mut *of_first) } else { (g, &mut *of_second) };
                if !std::mem::replace(&mut ready[side][function], true) {
                    let functions = if side == 0 { &first.functions } else { &second.functions };
                    of.transform(function, fields(functions[function]), kernels, &mut scratch.product);
                }
                sides.push(side);
            }
            let all = products.iter().zip(&sides).map(
                #[inline(always)]
                |(&(f, g), &side)| {
                    let (ours, theirs) = (of_first.transformed(VALUE, f), of_second.transformed(VALUE, g));
                    let (by_first, by_second) = (fields(first.functions[f]), fields(second.functions[g]));
                    let (mut means, mut along) = ([T::zero(); 4], [T::zero(); 4]);
                    let mut mixed = [[T::zero(); 4]; 4];
                    for a in by_first.clone() {
                        means[a] = dot(of_first.block(a, f), theirs);
                        along[a] = dot(of_first.block(ALONG + a, f), theirs);
                        for b in by_second.clone() {
                            mixed[a][2 + b] = if side == 0 {
                                dot(of_first.transformed(a, f), of_second.block(b, g))
                            } else {
                                dot(of_first.block(a, f), of_second.transformed(b, g))
                            };
                        }
                    }
                    for b in by_second.clone() {
                        means[2 + b] = dot(of_second.block(b, g), ours);
                        along[2 + b] = dot(of_second.block(ALONG + b, g), ours);
                    }
                    if by_first.len() > 1 {
                        mixed[0][1] = dot(of_first.block(MIXED, f), theirs);
                    }
                    if by_second.len() > 1 {
                        mixed[2][3] = dot(of_second.block(MIXED, g), ours);
                    }
                    for (k, along) in along.into_iter().enumerate() {
                        let others = (0..4).filter(|&l| l != k);
                        let known: T = others.map(|l| covariance[4 * k + l] * mixed[k.min(l)][k.max(l)]).sum();
                        let variance = covariance[5 * k];
                        if variance > T::zero() {
                            mixed[k][k] = T::lit(0.5) * (along - known) / variance;
                        }
                    }
                    FormGradient { means, covariances: mixed }
                },
            );
            all.collect()
        },
    )
}
