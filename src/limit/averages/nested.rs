//! Nodes for a pair of fields as nested integrals over Gauss-Legendre panels, remade at every mean without allocating.
//!
//! Not here: where panels end (see `kinked` and `panels`).

use crate::Scalar;
use crate::limit::averages::table::NodeTable;

/// Longest panel, in standard deviations.
const PANEL: f64 = 3.5;

/// Gauss-Legendre nodes and weights on [−1, 1].
pub(super) type Line = (Vec<f64>, Vec<f64>);

/// A nested pair of integrals over the normal law, and buffers.
#[derive(Debug, Clone)]
pub(super) struct Nested<T> {
    breaks: Vec<f64>,
    outer: Vec<(f64, f64)>,
    inner: Vec<(f64, f64)>,
    rows: Vec<f64>,
    weights: Vec<f64>,
    table: NodeTable<T>,
    /// More nodes than that are not made.
    most: usize,
}

impl<T: Scalar> Nested<T> {
    pub(super) fn new() -> Self {
        Self {
            breaks: Vec::new(),
            outer: Vec::new(),
            inner: Vec::new(),
            rows: Vec::new(),
            weights: Vec::new(),
            table: NodeTable::empty(2),
            most: usize::MAX,
        }
    }

    /// Remakes the nodes. `outer` writes breaks of z₁ and gives the radius, or `None` where z₁ moves no field; `inner` those of z₂ at
    /// a value of z₁. Nodes (z₁, z₂) that `keeps` does not are left out.
    pub(super) fn remake(
        &mut self,
        line: &Line,
        outer: impl FnOnce(&mut Vec<f64>) -> Option<f64>,
        inner: impl Fn(f64, &mut Vec<f64>) -> Option<f64>,
        keeps: impl Fn(f64, f64) -> bool,
    ) -> &NodeTable<T> {
        fill(outer(cleared(&mut self.breaks)), &mut self.breaks, line, &mut self.outer);
        self.rows.clear();
        self.weights.clear();
        for &(z1, w1) in &self.outer {
            if self.weights.len() > self.most {
                break;
            }
            fill(inner(z1, cleared(&mut self.breaks)), &mut self.breaks, line, &mut self.inner);
            for &(z2, w2) in &self.inner {
                if keeps(z1, z2) {
                    self.rows.extend([z1, z2]);
                    self.weights.push(w1 * w2);
                }
            }
        }
        self.table.refill(&self.rows, &self.weights);
        &self.table
    }

    /// Makes at most about so many nodes from now on; a table that has more is not whole.
    pub(super) fn at_most(&mut self, nodes: usize) {
        self.most = nodes;
    }

    /// The nodes last made.
    pub(super) fn table(&self) -> &NodeTable<T> {
        &self.table
    }
}

fn cleared(breaks: &mut Vec<f64>) -> &mut Vec<f64> {
    breaks.clear();
    breaks
}

/// Nodes and normal weights on [−radius, radius], with panels that end at the breaks; one node at 0 without a radius.
fn fill(radius: Option<f64>, breaks: &mut Vec<f64>, line: &Line, nodes: &mut Vec<(f64, f64)>) {
    nodes.clear();
    let Some(radius) = radius else {
        nodes.push((0.0, 1.0));
        return;
    };
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
