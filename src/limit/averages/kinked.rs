//! Nodes for a σ with a kink: Gauss-Legendre panels that end where a field of the pair crosses the kink.
//!
//! With h = μ_h + a z₁ and k = μ_k + b z₁ + c z₂ the inner integral over z₂ is split where k crosses the kink. What it
//! leaves is a smooth function of z₁, but for the crossing of h and a bend of width c/|b| where the mean of k crosses.
//! The nodes move with the state, smoothly.

use crate::Scalar;
use crate::limit::averages::table::NodeTable;
use crate::numerics::gauss::legendre;

/// Longest panel, in standard deviations.
const PANEL: f64 = 3.5;
/// The bend is over beyond that many widths.
const BEND: f64 = 7.0;

/// Nodes for a pair of fields, remade at every mean without allocating.
#[derive(Debug, Clone)]
pub(in crate::limit) struct KinkedNodes<T> {
    at: T,
    radius: f64,
    /// Gauss-Legendre nodes and weights on [−1, 1].
    line: (Vec<f64>, Vec<f64>),
    breaks: Vec<f64>,
    outer: Vec<(f64, f64)>,
    inner: Vec<(f64, f64)>,
    rows: Vec<f64>,
    weights: Vec<f64>,
    table: NodeTable<T>,
}

impl<T: Scalar> KinkedNodes<T> {
    /// For a kink there, with an error of about exp(−accuracy).
    pub(in crate::limit) fn new(at: T, accuracy: f64) -> Self {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a few dozen
        let line = legendre(6 + (accuracy / 3.0).ceil() as usize);
        Self {
            at,
            radius: (2.0 * (accuracy + 4.0)).sqrt(),
            line,
            breaks: Vec::new(),
            outer: Vec::new(),
            inner: Vec::new(),
            rows: Vec::new(),
            weights: Vec::new(),
            table: NodeTable::empty(2),
        }
    }

    /// The nodes for fields of those means and factor rows; one of the rows has no second entry.
    pub(in crate::limit) fn at(&mut self, mean: [T; 2], rows: [[T; 2]; 2]) -> &NodeTable<T> {
        let first = usize::from(rows[0][1] != T::zero());
        let second = 1 - first;
        let distance = |field: usize| (self.at - mean[field]).as_f64();
        let a = rows[first][0].as_f64();
        let (b, c) = (rows[second][0].as_f64(), rows[second][1].as_f64());
        let radius = self.radius;
        let (first, second) = (distance(first), distance(second));

        self.outer.clear();
        if a == 0.0 && b == 0.0 {
            self.outer.push((0.0, 1.0));
        } else {
            let (middle, width) = (second / b, BEND * (c / b).abs());
            self.breaks.clear();
            self.breaks.extend([first / a, middle]);
            if c != 0.0 && width < 2.0 * radius {
                self.breaks.extend([middle - width, middle + width]);
            }
            panels(&mut self.breaks, radius, &self.line, &mut self.outer);
        }
        self.rows.clear();
        self.weights.clear();
        for &(z1, w1) in &self.outer {
            self.inner.clear();
            if c == 0.0 {
                self.inner.push((0.0, 1.0));
            } else {
                self.breaks.clear();
                self.breaks.push((second - b * z1) / c);
                panels(&mut self.breaks, radius, &self.line, &mut self.inner);
            }
            for &(z2, w2) in &self.inner {
                if z1 * z1 + z2 * z2 <= radius * radius {
                    self.rows.extend([z1, z2]);
                    self.weights.push(w1 * w2);
                }
            }
        }
        self.table.refill(&self.rows, &self.weights);
        &self.table
    }

    /// The nodes last made.
    pub(in crate::limit) fn table(&self) -> &NodeTable<T> {
        &self.table
    }
}

/// Adds nodes and normal weights on [−radius, radius], with panels that end at the breaks.
pub(super) fn panels(breaks: &mut Vec<f64>, radius: f64, line: &(Vec<f64>, Vec<f64>), nodes: &mut Vec<(f64, f64)>) {
    breaks.retain(|x| x.abs() < radius);
    breaks.extend([-radius, radius]);
    breaks.sort_unstable_by(f64::total_cmp);
    for ends in breaks.windows(2) {
        let length = ends[1] - ends[0];
        if length <= 0.0 {
            continue;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // at most a few
        let count = (length / PANEL).ceil() as usize;
        let half = 0.5 * length / count as f64;
        for k in 0..count {
            let centre = ends[0] + half * (2 * k + 1) as f64;
            nodes.extend(line.0.iter().zip(&line.1).map(|(x, w)| {
                let z = centre + half * x;
                (z, half * w * (-0.5 * z * z).exp())
            }));
        }
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
