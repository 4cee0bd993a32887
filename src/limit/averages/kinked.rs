//! Nodes for a σ with a kink: Gauss-Legendre panels that end where a field of the pair crosses the kink.
//!
//! With h = μ_h + a z₁ and k = μ_k + b z₁ + c z₂ the inner integral over z₂ is split where k crosses the kink. What it
//! leaves is a smooth function of z₁, but for the crossing of h and a bend of width c/|b| where the mean of k crosses.
//! The nodes move with the state, smoothly.

use crate::Scalar;
use crate::limit::averages::nested::{Line, Nested};
use crate::limit::averages::table::NodeTable;
use crate::numerics::gauss::legendre;

/// The bend is over beyond that many widths.
const BEND: f64 = 7.0;

/// Nodes for a pair of fields, remade at every mean without allocating.
#[derive(Debug, Clone)]
pub(in crate::limit) struct KinkedNodes<T> {
    at: T,
    radius: f64,
    /// Gauss-Legendre nodes and weights on [−1, 1].
    line: Line,
    nested: Nested<T>,
}

impl<T: Scalar> KinkedNodes<T> {
    /// For a kink there, with an error of about exp(−accuracy).
    pub(in crate::limit) fn new(at: T, accuracy: f64) -> Self {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a few dozen
        let line = legendre(6 + (accuracy / 3.0).ceil() as usize);
        Self { at, radius: (2.0 * (accuracy + 4.0)).sqrt(), line, nested: Nested::new() }
    }

    /// The nodes for fields of those means and factor rows; one of the rows has no second entry.
    pub(in crate::limit) fn at(&mut self, mean: [T; 2], rows: [[T; 2]; 2]) -> &NodeTable<T> {
        let first = usize::from(rows[0][1] != T::zero());
        let second = 1 - first;
        let distance = |field: usize| (self.at - mean[field]).as_f64();
        let a = rows[first][0].as_f64();
        let (b, c) = (rows[second][0].as_f64(), rows[second][1].as_f64());
        let Self { radius, line, nested, .. } = self;
        let radius = *radius;
        let (first, second) = (distance(first), distance(second));
        let outer = |breaks: &mut Vec<f64>| {
            let (middle, width) = (second / b, BEND * (c / b).abs());
            breaks.extend([first / a, middle]);
            if c != 0.0 && width < 2.0 * radius {
                breaks.extend([middle - width, middle + width]);
            }
            (a != 0.0 || b != 0.0).then_some(radius)
        };
        let inner = |z1: f64, breaks: &mut Vec<f64>| {
            breaks.push((second - b * z1) / c);
            (c != 0.0).then_some(radius)
        };
        nested.remake(line, outer, inner, |z1, z2| z1 * z1 + z2 * z2 <= radius * radius)
    }

    /// The nodes last made.
    pub(in crate::limit) fn table(&self) -> &NodeTable<T> {
        self.nested.table()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rectified_averages_match_the_arc_cosine_formulas() {
        // E[max(h,0) max(k,0)] = (sin t + (π − t) cos t)/(2π) and P(h > 0, k > 0) = (π − t)/(2π) at correlation cos t.
        for correlation in [-0.999_999, -0.6, 0.0, 0.3, 0.9, 0.999_999, 1.0] {
            let angle = f64::acos(correlation);
            let rows = [[1.0, 0.0], [correlation, angle.sin()]];
            let mut nodes = KinkedNodes::new(0.0, 25.0);
            let table = nodes.at([0.0, 0.0], rows);
            assert!(table.count() <= 10_000, "{}", table.count());
            let (mut product, mut probability) = (0.0, 0.0);
            for n in 0..table.count() {
                let (z1, z2, w) = (table.coordinate(0)[n], table.coordinate(1)[n], table.weights()[n]);
                let (h, k) = (z1, rows[1][0] * z1 + rows[1][1] * z2);
                product += w * h.max(0.0) * k.max(0.0);
                probability += if h > 0.0 && k > 0.0 { w } else { 0.0 };
            }
            let pi = std::f64::consts::PI;
            assert!((product - (angle.sin() + (pi - angle) * angle.cos()) / (2.0 * pi)).abs() < 1e-10);
            assert!((probability - (pi - angle) / (2.0 * pi)).abs() < 1e-10, "{correlation}: {probability}");
        }
    }
}
