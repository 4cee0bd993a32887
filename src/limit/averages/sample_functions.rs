//! Products of σ and σ' of the fields of one view of a sample, at the nodes of its coordinates, and the way of those of view 2 through the
//! matrices between the views.
//!
//! Not here: which of them there are (see `expansion`), and the moments that they make (see `sample_moments`).

use std::ops::Range;

use crate::Scalar;
use crate::limit::averages::curvature::Curvature;
use crate::limit::averages::view::multiply;
use crate::limit::moment_list::{Functions, Monomial};
use crate::model::Nonlinearity;
use crate::numerics::kernels::add_scaled;
use crate::numerics::lanes::dispatch;
use crate::numerics::products;

/// The functions of a view at its nodes.
#[derive(Debug, Clone)]
pub(super) struct ViewWork<T> {
    fields: Vec<T>,
    outputs: Vec<T>,
    slopes: Vec<T>,
    seconds: Vec<T>,
    curvature: Curvature<T>,
    pub(super) functions: Vec<T>,
    /// Of every function by each field, and by each coordinate. They are made where they are needed.
    pub(super) by_field: Vec<Vec<T>>,
    pub(super) by_coordinate: Vec<Vec<T>>,
}

/// A function of view 2 on its way through the matrices.
#[derive(Debug, Clone)]
pub(super) struct SecondWork<T> {
    /// K G, and that times each coordinate of view 1.
    pub(super) plain: Vec<T>,
    pub(super) times_coordinates: Vec<Vec<T>>,
    /// K ∂G by each field; K (u_k ∂G) at j·m + k; and K ∂G by each coordinate.
    pub(super) by_field: Vec<Vec<T>>,
    pub(super) by_row: Vec<Vec<T>>,
    pub(super) by_coordinate: Vec<Vec<T>>,
    scratch: Vec<T>,
    product: Vec<T>,
}

impl<T: Scalar> ViewWork<T> {
    pub(super) fn new(m: usize, nodes: usize, functions: usize) -> Self {
        let zeros = || vec![T::zero(); m * nodes];
        Self {
            fields: zeros(),
            outputs: zeros(),
            slopes: zeros(),
            seconds: zeros(),
            curvature: Curvature::new(nodes),
            functions: vec![T::zero(); functions * nodes],
            by_field: vec![Vec::new(); m],
            by_coordinate: vec![Vec::new(); m],
        }
    }

    /// Every function at every node, where the fields have those means and rows of L; `slopes`: and their derivatives.
    pub(super) fn evaluate(
        &mut self,
        (means, rows, coordinates): (&[T], &[T], &[Vec<T>]),
        sigma: &dyn Nonlinearity<T>,
        list: &Functions,
        slopes: bool,
    ) {
        let (m, nodes) = (means.len(), coordinates[0].len());
        for i in 0..m {
            let at = i * nodes..(i + 1) * nodes;
            let field = &mut self.fields[at.clone()];
            field.fill(means[i]);
            dispatch(
                #[inline(always)]
                || {
                    for (u, &row) in coordinates.iter().zip(&rows[i * m..]) {
                        add_scaled(row, u, field);
                    }
                },
            );
            let (y, d) = (&mut self.outputs[at.clone()], &mut self.slopes[at.clone()]);
            sigma.evaluate(field, y, d);
            if slopes {
                self.curvature.evaluate(sigma, field, y, d, &mut self.seconds[at]);
            }
        }
        self.functions[..nodes].fill(T::one());
        if slopes {
            // They are seldom needed.
            for slopes in self.by_field.iter_mut().chain(&mut self.by_coordinate) {
                slopes.resize(list.monomials.len() * nodes, T::zero());
            }
        }
        for (number, monomial) in list.monomials.iter().enumerate().skip(1) {
            dispatch(
                #[inline(always)]
                || self.add_function(number, *monomial, (rows, coordinates), slopes),
            );
        }
    }

    /// A function from the one that it is made of, which comes before it.
    #[inline(always)]
    fn add_function(
        &mut self,
        number: usize,
        Monomial { parent, factor }: Monomial,
        (rows, coordinates): (&[T], &[Vec<T>]),
        slopes: bool,
    ) {
        let (m, nodes) = (coordinates.len(), coordinates[0].len());
        let Self { outputs, slopes: dashed, seconds, functions, by_field, by_coordinate, .. } = self;
        let (before, own) = functions.split_at_mut(number * nodes);
        let (parent_values, own) = (&before[parent * nodes..][..nodes], &mut own[..nodes]);
        // The factor, and its derivative by the field of `neuron`, if it has one.
        let neuron = factor % m;
        let at = neuron * nodes..(neuron + 1) * nodes;
        let (factor, derivative) = match factor / m {
            0 => (&outputs[at.clone()], Some(&dashed[at])),
            1 => (&dashed[at.clone()], Some(&seconds[at])),
            _ => (coordinates[neuron].as_slice(), None),
        };
        multiply(parent_values, factor, own);
        if !slopes {
            return;
        }
        for (i, slopes) in by_field.iter_mut().enumerate() {
            let (before, own) = slopes.split_at_mut(number * nodes);
            let own = &mut own[..nodes];
            multiply(&before[parent * nodes..][..nodes], factor, own);
            if let Some(derivative) = derivative.filter(|_| i == neuron) {
                add_product(T::one(), parent_values, derivative, own);
            }
        }
        for (l, slopes) in by_coordinate.iter_mut().enumerate() {
            let (before, own) = slopes.split_at_mut(number * nodes);
            let own = &mut own[..nodes];
            multiply(&before[parent * nodes..][..nodes], factor, own);
            if let Some(derivative) = derivative {
                add_product(rows[neuron * m + l], parent_values, derivative, own);
            } else if l == neuron {
                add_scaled(T::one(), parent_values, own);
            }
        }
    }
}

impl<T: Scalar> SecondWork<T> {
    pub(super) fn new(m: usize, nodes: usize) -> Self {
        let zeros = || vec![T::zero(); nodes];
        let several = |count: usize| (0..count).map(|_| zeros()).collect::<Vec<_>>();
        Self {
            plain: zeros(),
            times_coordinates: several(m),
            by_field: several(m),
            by_row: several(m * m),
            by_coordinate: several(m),
            scratch: zeros(),
            product: zeros(),
        }
    }

    /// Takes the function of view 2 that stands there; `slopes`: by the coordinates too, and what derivatives need.
    #[inline(always)]
    pub(super) fn take(
        &mut self,
        matrices: &[Vec<T>],
        view: &ViewWork<T>,
        at: Range<usize>,
        coordinates: &[Vec<T>],
        (slopes, derivatives): (bool, bool),
    ) {
        let m = coordinates.len();
        let Self { plain, times_coordinates, by_field, by_row, by_coordinate, scratch, product } = self;
        transform(matrices, &view.functions[at.clone()], plain, scratch);
        for l in (0..m).filter(|_| slopes) {
            transform(matrices, &view.by_coordinate[l][at.clone()], &mut by_coordinate[l], scratch);
        }
        for j in (0..m).filter(|_| slopes && derivatives) {
            multiply(plain, &coordinates[j], &mut times_coordinates[j]);
            let slope = &view.by_field[j][at.clone()];
            transform(matrices, slope, &mut by_field[j], scratch);
            for k in 0..m {
                multiply(slope, &coordinates[k], product);
                transform(matrices, product, &mut by_row[j * m + k], scratch);
            }
        }
    }
}

/// out += a·x·y, entry by entry.
#[inline(always)]
fn add_product<T: Scalar>(a: T, x: &[T], y: &[T], out: &mut [T]) {
    for ((out, &x), &y) in out.iter_mut().zip(x).zip(y) {
        *out += a * x * y;
    }
}

/// (K₁ ⊗ … ⊗ K_m) x; `scratch` is overwritten. The last length is a multiple of the lane width.
#[inline(always)]
fn transform<T: Scalar>(matrices: &[Vec<T>], x: &[T], out: &mut [T], scratch: &mut [T]) {
    scratch.copy_from_slice(x);
    let mut after = x.len();
    for matrix in matrices {
        let length = matrix.len().isqrt();
        after /= length;
        if after == 1 {
            // The matrices are symmetric.
            products::multiply(scratch, length, matrix, length, length, out);
        } else {
            for (from, to) in scratch.chunks_exact(length * after).zip(out.chunks_exact_mut(length * after)) {
                products::multiply(matrix, length, from, length, after, to);
            }
        }
        scratch.copy_from_slice(out);
    }
}
