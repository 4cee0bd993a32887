//! Averages over two fields of each view as forms: E[F(h¹_a, h¹_b) G(h²_c, h²_d)] = Fᵀ (K₁ ⊗ K₂) G (theory §3).
//!
//! In canonical coordinates the density is a product of two bivariate normal densities, each a small matrix between the
//! nodes of the two views. So σ is evaluated at n² nodes of each view, and a product of signals costs two products of
//! matrices, instead of n⁴ nodes. Covers the averages and their derivatives by means and covariances. Not here: the
//! matrices (see `kernel`), and which products there are (see `signals`).

use std::ops::Range;

use crate::Scalar;
use crate::limit::averages::curvature::Curvature;
use crate::limit::averages::kernel::Kernel;
use crate::limit::fields::canonical::Canonical;
use crate::limit::signals::{Kind, NoiseTerms, Signal, four_fields};
use crate::model::Nonlinearity;
use crate::numerics::kernels::dot;
use crate::numerics::lanes::{Lanes, dispatch, groups, groups_mut};
use crate::numerics::products::product;

/// A function of one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Elementary {
    /// σ.
    Value,
    /// σ'.
    Slope,
    /// σ².
    Square,
    /// σσ'.
    SlopeValue,
}

/// The number of elementary functions.
const ELEMENTARY: usize = 4;

/// What a signal is of its field in that view.
fn elementary(signal: Signal, view: usize) -> Elementary {
    match (signal.kind, signal.view == view) {
        (Kind::Error, true) => Elementary::Slope,
        (Kind::Own, true) => Elementary::SlopeValue,
        (Kind::Own, false) => Elementary::Square,
        (Kind::Error, false) | (Kind::Output, _) => Elementary::Value,
    }
}

/// A product of two functions of one field each; the field is 0 or 1 of its view.
type Function = [(Elementary, usize); 2];

/// The functions of the two fields of a view, at its nodes.
#[derive(Debug, Clone)]
struct View<T> {
    functions: Vec<Function>,
    /// The fields, then σ, σ' and σ'' of them; of both.
    fields: [Vec<T>; 2],
    values: [Vec<T>; 2],
    slopes: [Vec<T>; 2],
    seconds: [Vec<T>; 2],
    /// σ² and σσ' of both.
    squares: [Vec<T>; 2],
    slope_values: [Vec<T>; 2],
    /// One block for each function.
    blocks: Vec<T>,
    /// The same times K₁ ⊗ K₂.
    transformed: Vec<T>,
}

/// How an average moves: by the mean of each field, and by the covariances of the fields, entry by entry of the upper triangle.
#[derive(Debug, Clone, Copy)]
pub(in crate::limit) struct FormGradient<T> {
    pub(in crate::limit) means: [T; 4],
    pub(in crate::limit) covariances: [[T; 4]; 4],
}

/// Products of signals that are functions of the same four fields.
#[derive(Debug, Clone)]
pub(in crate::limit) struct ViewForm<T> {
    /// (view, neuron) of each field: two of view 1, then two of view 2.
    pub(in crate::limit) fields: [(usize, usize); 4],
    /// For each product, the function of view 1 and that of view 2.
    products: Vec<(usize, usize)>,
    views: [View<T>; 2],
    kernels: [Kernel<T>; 2],
    canonical: Canonical,
    /// The averages so far.
    sums: Vec<T>,
    scratch: Vec<T>,
    rests: Vec<T>,
    derivatives: [Derivatives<T>; 2],
}

/// Where the average of a product is found: in that form, with that number.
pub(in crate::limit) type Position = (usize, usize);

/// The forms that hold the products of `terms`, without nodes, and where each product is found.
pub(in crate::limit) fn forms<T: Scalar>(terms: &NoiseTerms) -> (Vec<ViewForm<T>>, Vec<Position>) {
    let mut forms: Vec<ViewForm<T>> = Vec::new();
    let mut places = Vec::new();
    for &(x, y) in terms.products() {
        let fields = four_fields((x, y));
        let index = forms.iter().position(|form| form.fields == fields).unwrap_or_else(|| {
            forms.push(ViewForm::new(fields));
            forms.len() - 1
        });
        places.push((index, forms[index].product(x, y)));
    }
    (forms, places)
}

impl<T: Scalar> View<T> {
    fn new() -> Self {
        let empty = || [Vec::new(), Vec::new()];
        Self {
            functions: Vec::new(),
            fields: empty(),
            values: empty(),
            slopes: empty(),
            seconds: empty(),
            squares: empty(),
            slope_values: empty(),
            blocks: Vec::new(),
            transformed: Vec::new(),
        }
    }

    fn function(&mut self, mut function: Function) -> usize {
        function.sort_unstable();
        self.functions.iter().position(|known| *known == function).unwrap_or_else(|| {
            self.functions.push(function);
            self.functions.len() - 1
        })
    }

    fn resize(&mut self, nodes: usize) {
        let arrays = [
            &mut self.fields,
            &mut self.values,
            &mut self.slopes,
            &mut self.seconds,
            &mut self.squares,
            &mut self.slope_values,
        ];
        arrays.into_iter().flatten().for_each(|array| array.resize(nodes, T::zero()));
        self.blocks.resize(nodes * self.functions.len(), T::zero());
        self.transformed.resize(nodes * self.functions.len(), T::zero());
    }

    /// σ and its like at the nodes, for fields of those means and rows of L.
    fn evaluate(&mut self, means: [T; 2], rows: [[f64; 2]; 2], kernels: &[Kernel<T>; 2], sigma: &dyn Nonlinearity<T>) {
        let width = kernels[1].width();
        for f in 0..2 {
            let [first, second] = rows[f].map(T::lit);
            for (line, &z) in self.fields[f].chunks_exact_mut(width).zip(kernels[0].nodes()) {
                let start = means[f] + first * T::lit(z);
                line.fill(start);
                for (h, &z) in line.iter_mut().zip(kernels[1].nodes()) {
                    *h += second * T::lit(z);
                }
            }
            sigma.evaluate(&self.fields[f], &mut self.values[f], &mut self.slopes[f]);
        }
        let Self { functions, values, slopes, squares, slope_values, blocks, .. } = self;
        dispatch(
            #[inline(always)]
            || {
                for f in 0..2 {
                    multiply(&values[f], &values[f], &mut squares[f]);
                    multiply(&values[f], &slopes[f], &mut slope_values[f]);
                }
                let part = |(e, f): (Elementary, usize)| -> &[T] {
                    match e {
                        Elementary::Value => &values[f],
                        Elementary::Slope => &slopes[f],
                        Elementary::Square => &squares[f],
                        Elementary::SlopeValue => &slope_values[f],
                    }
                };
                let length = values[0].len();
                for (function, block) in functions.iter().zip(blocks.chunks_exact_mut(length)) {
                    multiply(part(function[0]), part(function[1]), block);
                }
            },
        );
    }

    fn block(&self, function: usize) -> &[T] {
        let length = self.values[0].len();
        &self.blocks[function * length..(function + 1) * length]
    }

    fn transformed(&self, function: usize) -> &[T] {
        let length = self.values[0].len();
        &self.transformed[function * length..(function + 1) * length]
    }
}

impl<T: Scalar> ViewForm<T> {
    fn new(fields: [(usize, usize); 4]) -> Self {
        Self {
            fields,
            products: Vec::new(),
            views: [View::new(), View::new()],
            kernels: [Kernel::still(), Kernel::still()],
            canonical: Canonical::new(&[T::zero(); 16]),
            sums: Vec::new(),
            scratch: Vec::new(),
            rests: Vec::new(),
            derivatives: [Derivatives::new(), Derivatives::new()],
        }
    }

    /// The number of a product of signals, which is added if it is new.
    fn product(&mut self, x: Signal, y: Signal) -> usize {
        let function = |view: usize| {
            let field = |signal: Signal| usize::from(self.fields[2 * view].1 != signal.neuron(view));
            [x, y].map(|signal| (elementary(signal, view), field(signal)))
        };
        let (first, second) = (function(0), function(1));
        let product = (self.views[0].function(first), self.views[1].function(second));
        self.products.iter().position(|known| *known == product).unwrap_or_else(|| {
            self.products.push(product);
            self.sums.push(T::zero());
            self.products.len() - 1
        })
    }

    /// Takes nodes for the two coordinates, chosen by `axis` from their gains at that covariance of the fields. `None` if `axis` has
    /// none.
    pub(in crate::limit) fn choose(
        &mut self,
        covariance: &[T],
        axis: &mut dyn FnMut(f64) -> Option<Kernel<T>>,
    ) -> Option<()> {
        self.canonical = Canonical::new(covariance);
        self.kernels = [axis(self.canonical.gain(0))?, axis(self.canonical.gain(1))?];
        let nodes = self.kernels[0].nodes().len() * self.kernels[1].width();
        self.views.iter_mut().for_each(|view| view.resize(nodes));
        self.scratch.resize(nodes, T::zero());
        self.rests.resize(nodes, T::zero());
        Some(())
    }

    /// Goes over to another covariance of the fields.
    pub(in crate::limit) fn update(&mut self, covariance: &[T]) {
        let lattices = self.kernels.iter().all(Kernel::is_lattice);
        self.canonical = self.canonical.at(covariance, lattices);
        let rest = self.canonical.rest != [0.0; 2];
        for (kernel, r) in self.kernels.iter_mut().zip(self.canonical.correlations) {
            kernel.correlate(r);
            if rest {
                kernel.differentiate();
            }
        }
    }

    /// The gains of the coordinates, with the kernels whose nodes must resolve them.
    pub(in crate::limit) fn axes(&self) -> impl Iterator<Item = (f64, &Kernel<T>)> {
        self.kernels.iter().enumerate().map(|(k, kernel)| (self.canonical.gain(k), kernel))
    }

    /// Evaluations of the nonlinearity in one pass over the nodes.
    pub(in crate::limit) fn count(&self) -> usize {
        4 * self.kernels[0].nodes().len() * self.kernels[1].nodes().len()
    }

    /// Forgets all sums.
    pub(in crate::limit) fn reset(&mut self) {
        self.sums.fill(T::zero());
    }

    /// The average of a product, from the sums so far.
    pub(in crate::limit) fn average(&self, product: usize) -> T {
        self.sums[product]
    }

    /// The length of a row of nodes.
    pub(in crate::limit) fn width(&self) -> usize {
        self.kernels[1].width()
    }

    /// The number of products.
    pub(in crate::limit) fn products(&self) -> usize {
        self.products.len()
    }

    fn evaluate(&mut self, mean: &[T], sigma: &dyn Nonlinearity<T>) {
        let Self { fields, views, kernels, canonical, .. } = self;
        for (v, view) in views.iter_mut().enumerate() {
            let means = [mean[fields[2 * v].1], mean[fields[2 * v + 1].1]];
            view.evaluate(means, [canonical.rows[2 * v], canonical.rows[2 * v + 1]], kernels, sigma);
        }
    }

    /// Adds `weight` times the averages at that mean of each neuron to the sums.
    pub(in crate::limit) fn add(&mut self, mean: &[T], weight: T, sigma: &dyn Nonlinearity<T>) {
        self.evaluate(mean, sigma);
        let Self { products, views: [first, second], kernels, canonical, sums, scratch, rests, .. } = self;
        let rest = canonical.rest;
        transform(kernels, &first.blocks, &mut first.transformed, scratch);
        if rest != [0.0; 2] {
            add_rest(kernels, rest, &first.blocks, &mut first.transformed, scratch, rests);
        }
        dispatch(
            #[inline(always)]
            || {
                for (&(f, g), sum) in products.iter().zip(sums) {
                    *sum += weight * dot(first.transformed(f), second.block(g));
                }
            },
        );
    }

    /// How the averages move at that mean of each neuron, with the covariance of the fields as in the last update; one for each
    /// product.
    ///
    /// By Price's theorem: the derivative by a covariance is the average of the mixed derivative, and that by a variance
    /// half the average of the second derivative, which follows from E[∂_f g (h_f − μ_f)] = Σ_k Cov(h_f, h_k) E[∂_f ∂_k g]
    /// without a third derivative of σ.
    pub(in crate::limit) fn gradient(
        &mut self,
        mean: &[T],
        covariance: &[T],
        sigma: &dyn Nonlinearity<T>,
        curvature: &mut Curvature<T>,
    ) -> Vec<FormGradient<T>> {
        self.evaluate(mean, sigma);
        let width = self.kernels[1].width();
        for view in &mut self.views {
            for f in 0..2 {
                let all = view.fields[f].chunks(width).zip(view.values[f].chunks(width));
                let all = all.zip(view.slopes[f].chunks(width)).zip(view.seconds[f].chunks_mut(width));
                all.for_each(|(((h, y), d), out)| curvature.evaluate(sigma, h, y, d, out));
            }
        }
        let Self { fields, products, views: [first, second], kernels, scratch, derivatives, .. } = self;
        let kernels = &*kernels;
        derivatives.iter_mut().zip([&*first, &*second]).for_each(|(derivatives, view)| derivatives.resize(view));
        let means = |v: usize| [mean[fields[2 * v].1], mean[fields[2 * v + 1].1]];
        let [of_first, of_second] = derivatives;
        dispatch(
            #[inline(always)]
            || {
                of_first.fill(first, means(0));
                of_second.fill(second, means(1));
            },
        );
        transform(kernels, &first.blocks, &mut first.transformed, scratch);
        transform(kernels, &second.blocks, &mut second.transformed, scratch);
        of_second.transform(kernels, scratch);
        dispatch(
            #[inline(always)]
            || {
                products
                    .iter()
                    .map(
                        #[inline(always)]
                        |&(f, g)| {
                            let (ours, theirs) = (first.transformed(f), second.transformed(g));
                            let one = |derivatives: &Derivatives<T>, which: usize, function: usize, other: &[T]| {
                                dot(derivatives.block(which, function), other)
                            };
                            let means = [
                                one(of_first, 0, f, theirs),
                                one(of_first, 1, f, theirs),
                                one(of_second, 0, g, ours),
                                one(of_second, 1, g, ours),
                            ];
                            let mut mixed = [[T::zero(); 4]; 4];
                            mixed[0][1] = one(of_first, MIXED, f, theirs);
                            mixed[2][3] = one(of_second, MIXED, g, ours);
                            for a in 0..2 {
                                for b in 0..2 {
                                    mixed[a][2 + b] = dot(of_first.block(a, f), of_second.transformed(b, g));
                                }
                            }
                            let along = [
                                one(of_first, ALONG, f, theirs),
                                one(of_first, ALONG + 1, f, theirs),
                                one(of_second, ALONG, g, ours),
                                one(of_second, ALONG + 1, g, ours),
                            ];
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
                    )
                    .collect()
            },
        )
    }
}

/// Kinds of derivatives: by field 0 and 1, by both, and by a field times that field without its mean.
const MIXED: usize = 2;
const ALONG: usize = 3;
const DERIVATIVES: usize = 5;

/// Derivatives of the functions of a view, at its nodes. The buffers are empty until they are first filled.
#[derive(Debug, Clone)]
struct Derivatives<T> {
    length: usize,
    functions: usize,
    /// Each elementary function of each field, and its derivative.
    tables: Vec<[[Vec<T>; 2]; 2]>,
    /// Kind by kind, function by function.
    blocks: Vec<T>,
    /// Those of the first two kinds times K₁ ⊗ K₂.
    transformed: Vec<T>,
}

impl<T: Scalar> Derivatives<T> {
    fn new() -> Self {
        Self { length: 0, functions: 0, tables: Vec::new(), blocks: Vec::new(), transformed: Vec::new() }
    }

    fn resize(&mut self, view: &View<T>) {
        (self.length, self.functions) = (view.values[0].len(), view.functions.len());
        let empty = || [[Vec::new(), Vec::new()], [Vec::new(), Vec::new()]];
        self.tables.resize_with(ELEMENTARY, empty);
        self.tables.iter_mut().flatten().flatten().for_each(|table| table.resize(self.length, T::zero()));
        self.blocks.resize(DERIVATIVES * self.functions * self.length, T::zero());
        self.transformed.resize(2 * self.functions * self.length, T::zero());
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
    fn fill(&mut self, view: &View<T>, means: [T; 2]) {
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
        for (index, function) in view.functions.iter().enumerate() {
            let ((a, b), same) = ((function[0].1, function[1].1), function[0].1 == function[1].1);
            let slots = [self.slot(a, index), self.slot(b, index), self.slot(MIXED, index)];
            let [x, y] = function.map(|(e, f)| &self.tables[e as usize][f]);
            // ∂x·y and x·∂y: by one field, or both by the same.
            multiply(&x[1], &y[0], &mut self.blocks[slots[0].clone()]);
            if same {
                let all = groups_mut(&mut self.blocks[slots[0].clone()]).iter_mut().zip(groups(&x[0]));
                all.zip(groups(&y[1])).for_each(|((out, &x), &y)| *out = (Lanes(*out) + Lanes(x) * Lanes(y)).0);
            } else {
                multiply(&x[0], &y[1], &mut self.blocks[slots[1].clone()]);
                multiply(&x[1], &y[1], &mut self.blocks[slots[2].clone()]);
            }
        }
        let (slopes, along) = self.blocks.split_at_mut(ALONG * self.functions * self.length);
        for f in 0..2 {
            let (field, mean) = (groups(&view.fields[f]), Lanes::splat(means[f]));
            for index in 0..self.functions {
                let start = (f * self.functions + index) * self.length;
                let slope = groups(&slopes[start..start + self.length]);
                let out = groups_mut(&mut along[start..start + self.length]);
                for n in 0..out.len() {
                    out[n] = (Lanes(slope[n]) * (Lanes(field[n]) - mean)).0;
                }
            }
        }
    }

    fn transform(&mut self, kernels: &[Kernel<T>; 2], scratch: &mut [T]) {
        let count = self.transformed.len();
        transform(kernels, &self.blocks[..count], &mut self.transformed, scratch);
    }
}

/// out = x·y, entry by entry.
#[inline(always)]
fn multiply<T: Scalar>(x: &[T], y: &[T], out: &mut [T]) {
    // Lengths are multiples of the lane width.
    for ((out, &x), &y) in groups_mut(out).iter_mut().zip(groups(x)).zip(groups(y)) {
        *out = (Lanes(x) * Lanes(y)).0;
    }
}

/// Multiplies every block by K₁ ⊗ K₂.
fn transform<T: Scalar>(kernels: &[Kernel<T>; 2], blocks: &[T], out: &mut [T], scratch: &mut [T]) {
    let (n, width) = (kernels[0].nodes().len(), kernels[1].width());
    for (block, out) in blocks.chunks_exact(n * width).zip(out.chunks_exact_mut(n * width)) {
        product(block, width, kernels[1].matrix(), kernels[1].nodes().len(), width, scratch);
        product(kernels[0].matrix(), kernels[0].width(), scratch, n, width, out);
    }
}

/// Adds what the correlations between different coordinates change, to first order: E[∂_1F ∂_2G] and E[∂_2F ∂_1G].
fn add_rest<T: Scalar>(
    kernels: &[Kernel<T>; 2],
    rest: [f64; 2],
    blocks: &[T],
    out: &mut [T],
    scratch: &mut [T],
    rests: &mut [T],
) {
    let (n, width) = (kernels[0].nodes().len(), kernels[1].width());
    let [[first, first_transposed], [second, second_transposed]] = [kernels[0].slopes(), kernels[1].slopes()];
    for (block, out) in blocks.chunks_exact(n * width).zip(out.chunks_exact_mut(n * width)) {
        for (c, left, right) in [(rest[0], first_transposed, second_transposed), (rest[1], first, second)] {
            product(block, width, right, kernels[1].nodes().len(), width, scratch);
            product(left, kernels[0].width(), scratch, n, width, rests);
            out.iter_mut().zip(&*rests).for_each(|(out, &x)| *out += T::lit(c) * x);
        }
    }
}
