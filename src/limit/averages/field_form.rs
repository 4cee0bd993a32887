//! Averages over two fields of each view on nodes of the fields themselves, for large gains (theory §3).
//!
//! With nodes h = δ sinh t, t on a lattice, a field of standard deviation s ≫ 1 has about ln s/δ of them, and they resolve both
//! a layer of σ around zero and the normal density. In the density of four fields, exp(−½ xᵀP x), x = h − μ, the terms between
//! the views are products of functions of two fields each: so a sum over all four fields is a product of matrices for each
//! node of the third. Derivatives are those of the density: of the rule itself. Covers fields whose covariance is far
//! enough from singular. Not here: lattices in canonical coordinates (see `two_views`).

use std::f64::consts::TAU;

use nalgebra::Matrix4;

use crate::Scalar;
use crate::limit::accuracy::COARSER;
use crate::limit::averages::two_views_gradient::FormGradient;
use crate::limit::averages::view::elementary;
use crate::limit::signals::{Product, Signal};
use crate::model::{Nonlinearity, Smoothness};
use crate::numerics::kernels::dot;
use crate::numerics::lanes::{LANES, dispatch};
use crate::numerics::products::multiply;

/// A function of one field: powers of σ and of σ'.
type Function = (usize, usize);

/// What a product of two signals is of the field of that view and neuron.
fn function((x, y): Product, (view, neuron): (usize, usize)) -> Function {
    let of = |signal: Signal| {
        if signal.neuron(view) == neuron { elementary(signal, view).powers() } else { (0, 0) }
    };
    let (x, y) = (of(x), of(y));
    (x.0 + y.0, x.1 + y.1)
}

/// The exponent beyond which factors of the density may overflow.
const MOST_EXPONENT: f64 = 300.0;
/// The part of the strip of analyticity that is used.
const STRIP: f64 = 0.95;
/// How much further than needed the nodes reach, so that a state may move.
const MARGIN: f64 = 1.3;

/// The nodes of one field.
#[derive(Debug, Clone)]
struct Axis<T> {
    scale: f64,
    step: f64,
    reach: f64,
    /// The nodes, without padding; then weights, padded.
    nodes: Vec<f64>,
    weights: Vec<f64>,
    /// x = h − μ; σ and σ'.
    deviations: Vec<f64>,
    fields: Vec<T>,
    values: Vec<T>,
    slopes: Vec<T>,
    /// Functions times powers of x times weights; row by row, rows as in `Rows`.
    table: Vec<f64>,
}

/// What nodes a field needs.
struct Wanted {
    scale: f64,
    step: f64,
    reach: f64,
}

impl Wanted {
    /// For a field of that variance and entry of P, and means up to `mean`.
    fn new<T: Scalar>(smoothness: &Smoothness<T>, (variance, precision): (f64, f64), mean: f64, accuracy: f64) -> Self {
        let gain = variance.sqrt();
        let distance = match *smoothness {
            Smoothness::Analytic { pole_distance } => pole_distance.as_f64(),
            _ => 1.0,
        };
        // On the line t + iy far out, h is turned by y. The density decays there as long as cos 2y > ρ² cos² y, ρ² the part of
        // the variance that the other fields explain.
        let explained = (1.0 - 1.0 / (variance * precision)).clamp(0.0, 1.0);
        let strip = (1.0 / (2.0 - explained)).sqrt().acos();
        let reach = mean + (2.0 * (accuracy + 4.0)).sqrt() * gain;
        Self { scale: distance.min(gain), step: TAU * STRIP * strip / accuracy, reach }
    }

    fn count(&self) -> f64 {
        2.0 * (MARGIN * self.reach / self.scale).asinh() / self.step + 2.0
    }
}

impl<T: Scalar> Axis<T> {
    fn new(wanted: &Wanted) -> Self {
        let Wanted { scale, step, reach } = *wanted;
        let reach = MARGIN * reach;
        #[allow(clippy::cast_possible_truncation)] // checked to be few
        let half = ((reach / scale).asinh() / step).ceil() as i32;
        let places = || (-half..=half).map(|k| step * f64::from(k));
        let nodes: Vec<f64> = places().map(|t| scale * t.sinh()).collect();
        let mut weights: Vec<f64> = places().map(|t| step * scale * t.cosh()).collect();
        weights.resize(weights.len().div_ceil(LANES) * LANES, 0.0);
        let zeros = vec![T::zero(); nodes.len()];
        Self {
            scale,
            step,
            reach,
            deviations: vec![0.0; weights.len()],
            fields: nodes.iter().map(|&h| T::lit(h)).collect(),
            values: zeros.clone(),
            slopes: zeros,
            table: Vec::new(),
            nodes,
            weights,
        }
    }

    fn resolves(&self, wanted: &Wanted) -> bool {
        self.step <= COARSER * wanted.step && self.reach >= wanted.reach && self.scale <= COARSER * wanted.scale
    }

    /// Fills in the table at that mean: functions times powers of x below `powers`.
    fn fill(&mut self, functions: &[Function], powers: usize, mean: f64) {
        let width = self.weights.len();
        self.table.clear();
        self.table.resize(functions.len() * powers * width, 0.0);
        for (x, h) in self.deviations.iter_mut().zip(&self.nodes) {
            *x = h - mean;
        }
        for (k, &(a, b)) in functions.iter().enumerate() {
            for n in 0..self.nodes.len() {
                let (y, d) = (self.values[n].as_f64(), self.slopes[n].as_f64());
                let mut value = self.weights[n] * power(y, a) * power(d, b);
                for p in 0..powers {
                    self.table[(k * powers + p) * width + n] = value;
                    value *= self.deviations[n];
                }
            }
        }
    }
}

/// x to a power that is a few at most.
fn power(x: f64, n: usize) -> f64 {
    (0..n).fold(1.0, |product, _| product * x)
}

/// Products of signals that are functions of the same four fields.
#[derive(Debug, Clone)]
pub(in crate::limit) struct FieldForm<T> {
    fields: [(usize, usize); 4],
    /// The functions of each field, and for each product which of them it is made of.
    functions: [Vec<Function>; 4],
    products: Vec<[usize; 4]>,
    axes: [Axis<T>; 4],
    accuracy: f64,
    smoothness: Smoothness<T>,
    covariance: Matrix4<f64>,
    /// P, and the density at its centre.
    precision: Matrix4<f64>,
    centre: f64,
    sums: Vec<T>,
}

/// Powers of x₁ and x₂, or of x₃ and x₄.
type Powers = (usize, usize);

/// All moments up to the second of x over the two views: powers of view 1 and of view 2.
const MOMENTS: [(Powers, Powers); 15] = [
    ((0, 0), (0, 0)),
    ((1, 0), (0, 0)),
    ((0, 1), (0, 0)),
    ((0, 0), (1, 0)),
    ((0, 0), (0, 1)),
    ((2, 0), (0, 0)),
    ((1, 1), (0, 0)),
    ((0, 2), (0, 0)),
    ((0, 0), (2, 0)),
    ((0, 0), (1, 1)),
    ((0, 0), (0, 2)),
    ((1, 0), (1, 0)),
    ((1, 0), (0, 1)),
    ((0, 1), (1, 0)),
    ((0, 1), (0, 1)),
];

/// P and the density at the centre; `None` if the covariance is too close to singular.
fn density(covariance: &Matrix4<f64>) -> Option<(Matrix4<f64>, f64)> {
    let factor = covariance.cholesky()?;
    let root: f64 = (0..4).map(|k| factor.l_dirty()[(k, k)]).product();
    let precision = factor.inverse();
    let sound = (0..4).all(|k| precision[(k, k)] * covariance[(k, k)] < 1e4);
    (sound && root > 0.0).then(|| (precision, 1.0 / (TAU * TAU * root)))
}

fn matrix<T: Scalar>(covariance: &[T]) -> Matrix4<f64> {
    Matrix4::from_fn(|i, j| covariance[4 * i + j].as_f64())
}

impl<T: Scalar> FieldForm<T> {
    /// For products of those fields at that covariance and means of magnitude up to `means`, with an error of about
    /// exp(−accuracy). `None` if the fields are too close to degenerate, or if it takes more than `most` operations.
    pub(in crate::limit) fn new(
        fields: [(usize, usize); 4],
        products: &[Product],
        covariance: &[T],
        means: [f64; 4],
        (sigma, accuracy): (&dyn Nonlinearity<T>, f64),
        most: f64,
    ) -> Option<Self> {
        let smoothness = sigma.smoothness();
        let mut functions: [Vec<Function>; 4] = std::array::from_fn(|_| Vec::new());
        let number = |known: &mut Vec<Function>, function: Function| {
            known.iter().position(|f| *f == function).unwrap_or_else(|| {
                known.push(function);
                known.len() - 1
            })
        };
        let parts: Vec<[usize; 4]> = products
            .iter()
            .map(|&product| std::array::from_fn(|f| number(&mut functions[f], function(product, fields[f]))))
            .collect();
        let covariance = matrix(covariance);
        let (precision, centre) = density(&covariance)?;
        let wanted = Self::wanted(&smoothness, &covariance, &precision, means, accuracy);
        let work = wanted.iter().fold(functions[1].len() as f64, |work, wanted| work * wanted.count());
        let exponent =
            |a: usize, b: usize| precision[(a, b)].abs() * wanted[a].reach * wanted[b].reach * MARGIN * MARGIN;
        let safe = (0..2).all(|a| exponent(a, 2) + exponent(a, 3) < MOST_EXPONENT);
        if !(work < most && safe) {
            return None;
        }
        let mut axes = wanted.each_ref().map(Axis::new);
        for axis in &mut axes {
            sigma.evaluate(&axis.fields, &mut axis.values, &mut axis.slopes);
        }
        let sums = vec![T::zero(); parts.len()];
        Some(Self {
            fields,
            functions,
            products: parts,
            axes,
            accuracy,
            smoothness,
            covariance,
            precision,
            centre,
            sums,
        })
    }

    fn wanted(
        smoothness: &Smoothness<T>,
        covariance: &Matrix4<f64>,
        precision: &Matrix4<f64>,
        means: [f64; 4],
        accuracy: f64,
    ) -> [Wanted; 4] {
        std::array::from_fn(|f| Wanted::new(smoothness, (covariance[(f, f)], precision[(f, f)]), means[f], accuracy))
    }

    /// (view, neuron) of each field.
    pub(in crate::limit) fn fields(&self) -> [(usize, usize); 4] {
        self.fields
    }

    /// Goes over to another covariance of the fields.
    pub(in crate::limit) fn update(&mut self, covariance: &[T]) {
        self.covariance = matrix(covariance);
        // What is computed without a density shall not pass for an answer.
        let none = || (Matrix4::repeat(f64::NAN), f64::NAN);
        (self.precision, self.centre) = density(&self.covariance).unwrap_or_else(none);
    }

    /// Whether the nodes still resolve the fields, for means of magnitude up to `means`.
    pub(in crate::limit) fn resolves(&self, means: [f64; 4]) -> bool {
        if !self.centre.is_finite() {
            return false;
        }
        let wanted = Self::wanted(&self.smoothness, &self.covariance, &self.precision, means, self.accuracy);
        self.axes.iter().zip(&wanted).all(|(axis, wanted)| axis.resolves(wanted))
    }

    /// Evaluations of the nonlinearity for one rule.
    pub(in crate::limit) fn count(&self) -> usize {
        self.axes.iter().map(|axis| axis.nodes.len()).sum()
    }

    /// Forgets all sums.
    pub(in crate::limit) fn reset(&mut self) {
        self.sums.fill(T::zero());
    }

    /// The average of a product, from the sums so far.
    pub(in crate::limit) fn average(&self, product: usize) -> T {
        self.sums[product]
    }

    /// The number of products.
    pub(in crate::limit) fn products(&self) -> usize {
        self.products.len()
    }

    /// Adds `weight` times the averages at that mean of each neuron to the sums.
    pub(in crate::limit) fn add(&mut self, mean: &[T], weight: T) {
        let averages = self.moments(mean, &MOMENTS[..1]);
        for (sum, average) in self.sums.iter_mut().zip(averages) {
            *sum += weight * T::lit(average);
        }
    }

    /// How the averages move at that mean of each neuron, with the covariance of the fields as in the last update; one for each
    /// product.
    ///
    /// The density p has ∂p/∂μ = Px p, and ∂p/∂S is half its matrix of second derivatives, P(xxᵀ − S)P p.
    pub(in crate::limit) fn gradient(&mut self, mean: &[T]) -> Vec<FormGradient<T>> {
        let all = self.moments(mean, &MOMENTS);
        let p = self.precision;
        let gradient = |moments: &[f64]| {
            let first = nalgebra::Vector4::new(moments[1], moments[2], moments[3], moments[4]);
            let [aa, ab, bb, cc, cd, dd, ac, ad, bc, bd] = std::array::from_fn(|k| moments[5 + k]);
            #[rustfmt::skip]
            let second = Matrix4::new(
                aa, ab, ac, ad,
                ab, bb, bc, bd,
                ac, bc, cc, cd,
                ad, bd, cd, dd,
            );
            let means = p * first;
            let curved = p * (second - self.covariance * moments[0]) * p;
            let entry = |i: usize, j: usize| match i.cmp(&j) {
                std::cmp::Ordering::Less => curved[(i, j)],
                std::cmp::Ordering::Equal => 0.5 * curved[(i, i)],
                std::cmp::Ordering::Greater => 0.0,
            };
            FormGradient {
                means: std::array::from_fn(|f| T::lit(means[f])),
                covariances: std::array::from_fn(|i| std::array::from_fn(|j| T::lit(entry(i, j)))),
            }
        };
        all.chunks_exact(MOMENTS.len()).map(gradient).collect()
    }

    /// E[product · powers of x], product by product, moment by moment.
    fn moments(&mut self, mean: &[T], moments: &[(Powers, Powers)]) -> Vec<f64> {
        let powers = 1 + moments.iter().map(|(f, g)| f.0.max(f.1).max(g.0).max(g.1)).max().unwrap_or(0);
        for (f, axis) in self.axes.iter_mut().enumerate() {
            axis.fill(&self.functions[f], powers, mean[self.fields[f].1].as_f64());
        }
        let [a, b, c, d] = &self.axes;
        let p = &self.precision;
        let width = |axis: &Axis<T>| axis.weights.len();
        let row = |axis: &Axis<T>, function: usize, power: usize| (function * powers + power) * width(axis);
        let (n1, n2, w2, w4) = (a.nodes.len(), b.nodes.len(), width(b), width(d));
        // Functions of view 1 that occur, and for each what is made of it with functions of view 2.
        let mut firsts: Vec<([usize; 2], Powers)> = Vec::new();
        let mut wanted: Vec<(usize, usize, usize, usize)> = Vec::new();
        for (k, &[f1, f2, f3, f4]) in self.products.iter().enumerate() {
            for (m, &(first, second)) in moments.iter().enumerate() {
                let key = ([f1, f2], first);
                let at = firsts.iter().position(|known| *known == key).unwrap_or_else(|| {
                    firsts.push(key);
                    firsts.len() - 1
                });
                wanted.push((at, row(c, f3, second.0), row(d, f4, second.1), k * moments.len() + m));
            }
        }
        // Functions of field 2 times the density of view 1: function by function, node of field 1 by node.
        let rows = self.functions[1].len() * powers;
        let mut stack = vec![0.0; rows * n1 * w2];
        for (block, table) in stack.chunks_exact_mut(n1 * w2).zip(b.table.chunks_exact(w2)) {
            for (line, x1) in block.chunks_exact_mut(w2).zip(&a.deviations) {
                for ((out, value), x2) in line.iter_mut().zip(table).zip(&b.deviations) {
                    let exponent = 0.5 * (p[(0, 0)] * x1 * x1 + p[(1, 1)] * x2 * x2) + p[(0, 1)] * x1 * x2;
                    *out = self.centre * value * (-exponent).exp();
                }
            }
        }
        let factors = |i: usize, j: usize, x: &Axis<T>, y: &Axis<T>| -> Vec<f64> {
            let pairs = x.deviations.iter().flat_map(|x| y.deviations.iter().map(move |y| x * y));
            pairs.map(|xy| (-p[(i, j)] * xy).exp()).collect()
        };
        // Rows are nodes of the field of view 1; those beyond a field's nodes stand for nothing.
        let (e13, e14, e23, e24) = (factors(0, 2, a, c), factors(0, 3, a, d), factors(1, 2, b, c), factors(1, 3, b, d));
        let w3 = width(c);
        let mut between = vec![0.0; n2 * w4];
        let mut inner = vec![0.0; rows * n1 * w4];
        let mut density = vec![0.0; w4];
        let mut transformed = vec![0.0; firsts.len() * w4];
        let mut out = vec![0.0; self.products.len() * moments.len()];
        for (n3, &x3) in c.deviations[..c.nodes.len()].iter().enumerate() {
            for (n2, line) in between.chunks_exact_mut(w4).enumerate() {
                let factor = e23[n2 * w3 + n3];
                line.iter_mut().zip(&e24[n2 * w4..]).for_each(|(out, e)| *out = factor * e);
            }
            dispatch(
                #[inline(always)]
                || multiply(&stack, w2, &between, n2, w4, &mut inner),
            );
            for (density, x4) in density.iter_mut().zip(&d.deviations) {
                let exponent = 0.5 * (p[(2, 2)] * x3 * x3 + p[(3, 3)] * x4 * x4) + p[(2, 3)] * x3 * x4;
                *density = (-exponent).exp();
            }
            transformed.fill(0.0);
            dispatch(
                #[inline(always)]
                || {
                    for n1 in 0..n1 {
                        let line = &e14[n1 * w4..][..w4];
                        for (&([f1, f2], power), sum) in firsts.iter().zip(transformed.chunks_exact_mut(w4)) {
                            let factor = a.table[row(a, f1, power.0) + n1] * e13[n1 * w3 + n3];
                            let inner = &inner[((f2 * powers + power.1) * a.nodes.len() + n1) * w4..][..w4];
                            for ((sum, e), x) in sum.iter_mut().zip(line).zip(inner) {
                                *sum += factor * e * x;
                            }
                        }
                    }
                    for sum in transformed.chunks_exact_mut(w4) {
                        sum.iter_mut().zip(&density).for_each(|(sum, density)| *sum *= density);
                    }
                    for &(at, third, fourth, slot) in &wanted {
                        let sum = dot(&transformed[at * w4..][..w4], &d.table[fourth..][..w4]);
                        out[slot] += c.table[third + n3] * sum;
                    }
                },
            );
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Tanh;

    #[test]
    fn strips_of_independent_fields_are_those_of_the_density() {
        let wanted = Wanted::new(&Nonlinearity::<f64>::smoothness(&Tanh), (1e4, 1e-4), 0.0, 20.0);
        assert!(
            (wanted.step - TAU * STRIP * 0.125 * TAU / 20.0).abs() < 1e-12 && (wanted.scale - 0.25 * TAU).abs() < 1e-12
        );
    }
}
