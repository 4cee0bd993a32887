//! The functions of the two fields of a view at its nodes, and their way through the matrices between the views.
//!
//! The matrices keep parity, so functions are given by four parts, even and odd in each coordinate, at the positive nodes. Not
//! here: which products of them are averaged (see `two_views`).

use crate::Scalar;
use crate::limit::averages::curvature::Curvature;
use crate::limit::averages::kernel::Kernel;
use crate::limit::signals::{Kind, Signal};
use crate::model::Nonlinearity;
use crate::numerics::lanes::{LANES, Lanes, dispatch, groups, groups_mut};
use crate::numerics::products;

/// A function of one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Elementary {
    /// σ.
    Value,
    /// σ'.
    Slope,
    /// σ².
    Square,
    /// σσ'.
    SlopeValue,
}

impl Elementary {
    /// Its powers of σ and of σ'.
    pub(super) fn powers(self) -> (usize, usize) {
        match self {
            Self::Value => (1, 0),
            Self::Slope => (0, 1),
            Self::Square => (2, 0),
            Self::SlopeValue => (1, 1),
        }
    }
}

/// The number of elementary functions.
pub(super) const ELEMENTARY: usize = 4;

/// What a signal is of its field in that view.
pub(super) fn elementary(signal: Signal, view: usize) -> Elementary {
    match (signal.kind, signal.view == view) {
        (Kind::Error, true) => Elementary::Slope,
        (Kind::Own, true) => Elementary::SlopeValue,
        (Kind::Own, false) => Elementary::Square,
        (Kind::Error, false) | (Kind::Output, _) => Elementary::Value,
    }
}

/// A product of two functions of one field each; the field is 0 or 1 of its view.
pub(super) type Function = [(Elementary, usize); 2];

/// The functions of the two fields of a view, at its nodes: line by line, one line for each node of the first coordinate.
#[derive(Debug, Clone)]
pub(super) struct View<T> {
    pub(super) functions: Vec<Function>,
    /// The fields, then σ, σ' and σ'' of them; of both.
    pub(super) fields: [Vec<T>; 2],
    pub(super) values: [Vec<T>; 2],
    pub(super) slopes: [Vec<T>; 2],
    pub(super) seconds: [Vec<T>; 2],
    /// σ² and σσ' of both.
    squares: [Vec<T>; 2],
    slope_values: [Vec<T>; 2],
}

/// Functions of a view on their way through the matrices.
#[derive(Debug, Clone, Default)]
pub(super) struct Scratch<T> {
    /// A product, node by node; then what is between two matrices.
    pub(super) product: Vec<T>,
    /// Its parts.
    pub(super) parts: Vec<T>,
    /// The parts times K₁ ⊗ K₂.
    pub(super) transformed: Vec<T>,
}

impl<T: Scalar> View<T> {
    pub(super) fn new() -> Self {
        let empty = || [Vec::new(), Vec::new()];
        Self {
            functions: Vec::new(),
            fields: empty(),
            values: empty(),
            slopes: empty(),
            seconds: empty(),
            squares: empty(),
            slope_values: empty(),
        }
    }

    pub(super) fn function(&mut self, mut function: Function) -> usize {
        function.sort_unstable();
        self.functions.iter().position(|known| *known == function).unwrap_or_else(|| {
            self.functions.push(function);
            self.functions.len() - 1
        })
    }

    pub(super) fn resize(&mut self, nodes: usize) {
        let arrays = [
            &mut self.fields,
            &mut self.values,
            &mut self.slopes,
            &mut self.seconds,
            &mut self.squares,
            &mut self.slope_values,
        ];
        arrays.into_iter().flatten().for_each(|array| array.resize(nodes, T::zero()));
    }

    /// σ and its like at the nodes, for fields of those means and rows of L.
    pub(super) fn evaluate(
        &mut self,
        means: [T; 2],
        rows: [[f64; 2]; 2],
        kernels: &[Kernel<T>; 2],
        sigma: &dyn Nonlinearity<T>,
    ) {
        let width = kernels[1].nodes().len();
        for f in 0..2 {
            let [first, second] = rows[f].map(T::lit);
            for (line, &z) in self.fields[f].chunks_exact_mut(width).zip(kernels[0].nodes()) {
                let start = means[f] + first * T::lit(z);
                for (h, &z) in line.iter_mut().zip(kernels[1].nodes()) {
                    *h = start + second * T::lit(z);
                }
            }
            sigma.evaluate(&self.fields[f], &mut self.values[f], &mut self.slopes[f]);
        }
        let Self { values, slopes, squares, slope_values, .. } = self;
        dispatch(
            #[inline(always)]
            || {
                for f in 0..2 {
                    multiply(&values[f], &values[f], &mut squares[f]);
                    multiply(&values[f], &slopes[f], &mut slope_values[f]);
                }
            },
        );
    }

    /// σ'' at the nodes, in lines of that length.
    pub(super) fn evaluate_second(&mut self, width: usize, sigma: &dyn Nonlinearity<T>, curvature: &mut Curvature<T>) {
        for f in 0..2 {
            let all = self.fields[f].chunks(width).zip(self.values[f].chunks(width));
            let all = all.zip(self.slopes[f].chunks(width)).zip(self.seconds[f].chunks_mut(width));
            all.for_each(|(((h, y), d), out)| curvature.evaluate(sigma, h, y, d, out));
        }
    }

    /// Goes over to the values of a view whose fields are the same.
    pub(super) fn copy_from(&mut self, other: &Self) {
        let ours = [&mut self.fields, &mut self.values, &mut self.slopes, &mut self.squares, &mut self.slope_values];
        let theirs = [&other.fields, &other.values, &other.slopes, &other.squares, &other.slope_values];
        for (ours, theirs) in ours.into_iter().flatten().zip(theirs.into_iter().flatten()) {
            ours.copy_from_slice(theirs);
        }
    }

    /// Writes the parts of a function, see [`fold`].
    #[inline(always)]
    pub(super) fn parts(&self, function: usize, shape: Shape, scratch: &mut [T], out: &mut [T]) {
        let [x, y] = self.functions[function].map(|(e, f)| match e {
            Elementary::Value => &self.values[f],
            Elementary::Slope => &self.slopes[f],
            Elementary::Square => &self.squares[f],
            Elementary::SlopeValue => &self.slope_values[f],
        });
        multiply(x, y, scratch);
        fold(shape, scratch, out);
    }
}

/// out = x·y, entry by entry.
#[inline(always)]
pub(super) fn multiply<T: Scalar>(x: &[T], y: &[T], out: &mut [T]) {
    // Lengths are multiples of the lane width.
    for ((out, &x), &y) in groups_mut(out).iter_mut().zip(groups(x)).zip(groups(y)) {
        *out = (Lanes(x) * Lanes(y)).0;
    }
}

/// The numbers of positive nodes: of the first coordinate, and of the second in groups of lanes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    rows: usize,
    lanes: usize,
}

impl Shape {
    pub(super) fn new<T: Scalar>(kernels: &[Kernel<T>; 2]) -> Self {
        Self { rows: kernels[0].half(), lanes: kernels[1].half() / LANES }
    }
}

/// Writes the parts of a function given by its values: at each positive node their sums and differences over the signs of both
/// coordinates. First what is even in the second coordinate, of this first what is even in the first.
#[inline(always)]
pub(super) fn fold<T: Scalar>(Shape { rows, lanes }: Shape, values: &[T], out: &mut [T]) {
    let (above, below) = groups(values).split_at(2 * rows * lanes);
    let (even, odd) = groups_mut(out).split_at_mut(2 * rows * lanes);
    let (even_even, odd_even) = even.split_at_mut(rows * lanes);
    let (even_odd, odd_odd) = odd.split_at_mut(rows * lanes);
    for i in 0..rows {
        let [(a, b), (c, d)] = [above, below].map(|lines| lines[2 * i * lanes..][..2 * lanes].split_at(lanes));
        let [ee, oe, eo, oo] = [&mut *even_even, &mut *odd_even, &mut *even_odd, &mut *odd_odd]
            .map(|part| &mut part[i * lanes..][..lanes]);
        for l in 0..lanes {
            // Entry by entry: groups as values would go through memory.
            for k in 0..LANES {
                let (upper, lower) = (a[l][k] + b[l][k], c[l][k] + d[l][k]);
                (ee[l][k], oe[l][k]) = (upper + lower, upper - lower);
                let (upper, lower) = (a[l][k] - b[l][k], c[l][k] - d[l][k]);
                (eo[l][k], oo[l][k]) = (upper + lower, upper - lower);
            }
        }
    }
}

/// Multiplies the parts of a function by K₁ ⊗ K₂, within a dispatch.
#[inline(always)]
pub(super) fn transform<T: Scalar>(kernels: &[Kernel<T>; 2], parts: &[T], out: &mut [T], scratch: &mut [T]) {
    let (rows, width) = (kernels[0].half(), kernels[1].half());
    let size = rows * width;
    for second in 0..2 {
        let part = 2 * second * size..2 * (second + 1) * size;
        products::multiply(&parts[part], width, kernels[1].matrix(second), width, width, &mut scratch[..2 * size]);
        for first in 0..2 {
            let at = (2 * second + first) * size;
            let (from, to) = (&scratch[first * size..][..size], &mut out[at..at + size]);
            products::multiply(kernels[0].matrix(first), rows, from, rows, width, to);
        }
    }
}

/// Adds what the correlations between different coordinates change, to first order: E[∂_1F ∂_2G] and E[∂_2F ∂_1G]. A derivative
/// changes the parity.
#[inline(always)]
pub(super) fn add_rest<T: Scalar>(
    kernels: &[Kernel<T>; 2],
    rest: [f64; 2],
    parts: &[T],
    out: &mut [T],
    scratch: &mut [T],
) {
    let (rows, width) = (kernels[0].half(), kernels[1].half());
    let size = rows * width;
    let [first, second] = [kernels[0].slopes(), kernels[1].slopes()];
    let (half, result) = scratch[..2 * size].split_at_mut(size);
    for part in 0..4 {
        let (p, q) = (part % 2, part / 2);
        let cases = [
            (rest[0], &first.transposed[p], &second.transposed[1 - q]),
            (rest[1], &first.by_first[1 - p], &second.by_first[q]),
        ];
        for (c, left, right) in cases {
            products::multiply(&parts[part * size..][..size], width, right, width, width, half);
            products::multiply(left, rows, half, rows, width, result);
            let out = &mut out[(3 - part) * size..][..size];
            out.iter_mut().zip(&*result).for_each(|(out, &x)| *out += T::lit(c) * x);
        }
    }
}
