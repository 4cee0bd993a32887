//! Products of a function of two fields of view 1 and one of two fields of view 2, summed over the law of u.
//!
//! The two couples share two neurons, one or none: what the second has beyond the first is summed first.

use std::borrow::Cow;

use super::law::LatticeLaw;
use super::view_functions::ViewFunctions;
use crate::Scalar;
use crate::numerics::kernels::{add_scaled, dot};
use crate::numerics::lanes::{LANES, dispatch};
use crate::numerics::products::multiply;

/// Products of the functions of one couple in view 1 with those of another in view 2.
#[derive(Debug, Clone)]
pub(super) struct Block {
    /// The tables of the two views, and the law of their neurons.
    pub(super) tables: [usize; 2],
    pub(super) law: usize,
    pub(super) couples: [[usize; 2]; 2],
    /// Each product: the functions, and its number among all.
    pub(super) products: Vec<(usize, usize, usize)>,
    /// The functions of view 2 in them.
    pub(super) used: Vec<usize>,
    shape: Shape,
}

/// How a tensor over the law's neurons is read: a row of what view 2 has beyond view 1 for every pair of values of the first couple.
#[derive(Debug, Clone)]
enum Shape {
    /// Both couples are the same.
    Same,
    /// One neuron is in both, number `shared` of the first couple; `turned`: it is the second of the other couple.
    One { slots: Vec<usize>, width: usize, shared: usize, turned: bool, lengths: [usize; 2] },
    /// None is.
    None { slots: Vec<usize>, width: usize },
}

/// No place in a tensor.
const NOWHERE: usize = usize::MAX;

impl Block {
    pub(super) fn new(
        tables: [usize; 2],
        (law, neurons): (usize, &[usize]),
        couples: [[usize; 2]; 2],
        count: &dyn Fn(usize) -> usize,
    ) -> Self {
        let [first, second] = couples;
        let rest: Vec<usize> = second.into_iter().filter(|i| !first.contains(i)).collect();
        let padded = |n: usize| n.next_multiple_of(LANES);
        let last = neurons.len() - 1;
        let slot = |index: &dyn Fn(usize) -> usize| {
            neurons
                .iter()
                .enumerate()
                .fold(0, |slot, (a, &i)| slot * if a == last { padded(count(i)) } else { count(i) } + index(i))
        };
        // For every pair of values of the first couple a row over those of the rest, the last neuron padded in each.
        let rest_padded = |i: usize| if Some(&i) == rest.last() { padded(count(i)) } else { count(i) };
        let width: usize = rest.iter().map(|&i| rest_padded(i)).product();
        let mut slots = Vec::new();
        for x in 0..if rest.is_empty() { 0 } else { count(first[0]) } {
            for y in 0..padded(count(first[1])) {
                slots.extend((0..width).map(|n| {
                    let index = |i: usize| match i {
                        i if i == first[0] => x,
                        i if i == first[1] => y,
                        i if Some(&i) == rest.last() => n % rest_padded(i),
                        _ => n / rest.last().map_or(1, |&last| rest_padded(last)),
                    };
                    let within = neurons.iter().all(|&i| index(i) < count(i));
                    if within { slot(&index) } else { NOWHERE }
                }));
            }
        }
        let shape = match rest.len() {
            0 => Shape::Same,
            1 => {
                let shared = usize::from(second.contains(&first[1]));
                Shape::One { slots, width, shared, turned: second[1] == first[shared], lengths: second.map(count) }
            }
            _ => Shape::None { slots, width },
        };
        Self { tables, law, couples, products: Vec::new(), used: Vec::new(), shape }
    }

    /// Adds a product: of those functions, with that number.
    pub(super) fn push(&mut self, product: (usize, usize, usize)) {
        self.products.push(product);
        if !self.used.contains(&product.1) {
            self.used.push(product.1);
        }
    }

    /// A tensor over the law's neurons as the block reads it.
    pub(super) fn read_into<'t, T: Scalar>(&self, tensor: &'t [T], out: &'t mut Vec<T>) -> &'t [T] {
        match &self.shape {
            Shape::Same => tensor,
            Shape::One { slots, .. } | Shape::None { slots, .. } => {
                out.clear();
                out.extend(slots.iter().map(|&slot| if slot == NOWHERE { T::zero() } else { tensor[slot] }));
                out
            }
        }
    }

    /// A function of view 2 as the block reads it: for a shared neuron, rows of the other for each of its values.
    pub(super) fn arrange<'g, T: Scalar>(&self, g: &'g [T]) -> Cow<'g, [T]> {
        if g.is_empty() || !matches!(self.shape, Shape::One { turned: true, .. }) {
            return Cow::Borrowed(g);
        }
        let mut out = Vec::new();
        self.arrange_into(g, &mut out);
        Cow::Owned(out)
    }

    fn arrange_into<T: Scalar>(&self, g: &[T], out: &mut Vec<T>) {
        let Shape::One { width, lengths: [rows, columns], .. } = self.shape else { return };
        let stride = columns.next_multiple_of(LANES);
        out.resize(columns * width, T::zero());
        for x in 0..rows {
            for y in 0..columns {
                out[y * width + x] = g[x * stride + y];
            }
        }
    }

    /// Sums a tensor, as the block reads it, times arranged functions of view 2 over what view 2 has beyond view 1: tables over the
    /// first couple, of rows of that length, one after the other for each function. Nothing of a function that is empty.
    pub(super) fn contract<'f, T: Scalar>(
        &self,
        tensor: &[T],
        (count, function): (usize, &dyn Fn(usize) -> &'f [T]),
        row: usize,
        buffers: &mut Contraction<T>,
        out: &mut [Vec<T>],
    ) {
        let present = || (0..count).filter(|&k| !function(k).is_empty());
        match &self.shape {
            Shape::Same => {
                for k in present() {
                    out[k].resize(tensor.len(), T::zero());
                    let all = out[k].iter_mut().zip(tensor).zip(function(k));
                    dispatch(
                        #[inline(always)]
                        || all.for_each(|((out, &w), &g)| *out = w * g),
                    );
                }
            }
            Shape::One { width, shared, .. } => {
                let size = tensor.len() / width;
                let lines = size / row;
                present().for_each(|k| out[k].resize(size, T::zero()));
                let columns = present().count().next_multiple_of(LANES);
                // One value of the shared neuron after the other: a product of matrices.
                let (values, others) = if *shared == 0 { (lines, row) } else { (self.shared_values(), lines) };
                let stride = if *shared == 0 { *width } else { row * width };
                let Contraction { matrix, sums } = buffers;
                matrix.resize(width * columns, T::zero());
                sums.resize(others * columns, T::zero());
                for at in 0..values {
                    for (column, k) in present().enumerate() {
                        for (x, &g) in function(k)[at * width..(at + 1) * width].iter().enumerate() {
                            matrix[x * columns + column] = g;
                        }
                    }
                    let start = if *shared == 0 { at * row * width } else { at * width };
                    dispatch(
                        #[inline(always)]
                        || multiply(&tensor[start..], stride, matrix, *width, columns, sums),
                    );
                    for (column, k) in present().enumerate() {
                        for (other, sums) in sums.chunks_exact(columns).enumerate() {
                            let place = if *shared == 0 { at * row + other } else { other * row + at };
                            out[k][place] = sums[column];
                        }
                    }
                }
            }
            Shape::None { width, .. } => {
                for k in present() {
                    out[k].resize(tensor.len() / width, T::zero());
                    dispatch(
                        #[inline(always)]
                        || {
                            let rows = out[k].iter_mut().zip(tensor.chunks_exact(*width));
                            rows.for_each(|(out, weights)| *out = dot(weights, function(k)));
                        },
                    );
                }
            }
        }
    }

    /// How many values the shared neuron has.
    fn shared_values(&self) -> usize {
        match &self.shape {
            Shape::One { turned, lengths, .. } => lengths[usize::from(*turned)],
            _ => 0,
        }
    }

    /// Adds the product of a function of view 1 with an arranged one of view 2 to a tensor as the block reads it.
    pub(super) fn add_product<T: Scalar>(&self, f: &[T], g: &[T], row: usize, out: &mut [T]) {
        dispatch(
            #[inline(always)]
            || match &self.shape {
                Shape::Same => out.iter_mut().zip(f).zip(g).for_each(|((out, &f), &g)| *out += f * g),
                Shape::One { width, shared, .. } => {
                    for ((n, out), &f) in out.chunks_exact_mut(*width).enumerate().zip(f) {
                        let at = if *shared == 0 { n / row } else { n % row };
                        if let Some(g) = g.get(at * width..(at + 1) * width) {
                            add_scaled(f, g, out);
                        }
                    }
                }
                Shape::None { width, .. } => {
                    out.chunks_exact_mut(*width).zip(f).for_each(|(out, &f)| add_scaled(f, g, out));
                }
            },
        );
    }

    /// Adds to a tensor over the law's neurons one as the block reads it.
    pub(super) fn write<T: Scalar>(&self, read: &[T], out: &mut [T]) {
        match &self.shape {
            Shape::Same => out.iter_mut().zip(read).for_each(|(out, &x)| *out += x),
            Shape::One { slots, .. } | Shape::None { slots, .. } => {
                for (&slot, &x) in slots.iter().zip(read).filter(|(slot, _)| **slot != NOWHERE) {
                    out[slot] += x;
                }
            }
        }
    }

    /// The length of a tensor as the block reads it, over a law of that size.
    pub(super) fn size(&self, law: usize) -> usize {
        match &self.shape {
            Shape::Same => law,
            Shape::One { slots, .. } | Shape::None { slots, .. } => slots.len(),
        }
    }

    /// The averages of all products.
    pub(super) fn average<T: Scalar>(
        &self,
        tables: &[ViewFunctions<T>],
        law: &LatticeLaw<T>,
        row: usize,
        buffers: &mut BlockBuffers<T>,
        out: &mut [T],
    ) {
        let [first, second] = self.tables.map(|table| &tables[table]);
        let BlockBuffers { tensor, arranged, sums, contraction } = buffers;
        let weights = self.read_into(&law.weights, tensor);
        arranged.resize_with(second.count(), Vec::new);
        sums.resize_with(second.count(), Vec::new);
        let turned = matches!(self.shape, Shape::One { turned: true, .. });
        for &g in self.used.iter().filter(|_| turned) {
            self.arrange_into(&second.values[g], &mut arranged[g]);
        }
        let function = |g: usize| -> &[T] {
            if !self.used.contains(&g) {
                &[]
            } else if turned {
                &arranged[g]
            } else {
                &second.values[g]
            }
        };
        self.contract(weights, (second.count(), &function), row, contraction, sums);
        for &(f, g, number) in &self.products {
            out[number] = dispatch(
                #[inline(always)]
                || dot(&first.values[f], &sums[g]),
            );
        }
    }
}

/// Memory of the contractions of a block.
#[derive(Debug, Clone)]
pub(super) struct Contraction<T> {
    matrix: Vec<T>,
    sums: Vec<T>,
}

impl<T> Contraction<T> {
    pub(super) fn new() -> Self {
        Self { matrix: Vec::new(), sums: Vec::new() }
    }
}

/// Memory of the averages of a block.
#[derive(Debug, Clone)]
pub(super) struct BlockBuffers<T> {
    tensor: Vec<T>,
    arranged: Vec<Vec<T>>,
    sums: Vec<Vec<T>>,
    contraction: Contraction<T>,
}

impl<T> BlockBuffers<T> {
    pub(super) fn new() -> Self {
        Self { tensor: Vec::new(), arranged: Vec::new(), sums: Vec::new(), contraction: Contraction::new() }
    }
}
