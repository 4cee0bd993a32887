//! Nodes for a smooth σ under fields of large gain: Gauss-Legendre panels, short where σ bends and long where it does not.
//!
//! Under a field of standard deviation s ≫ 1 a sigmoid is a step with a layer of width 1/s around zero, which a lattice
//! resolves everywhere at the cost of s. Here the line of h is divided until σ and σ' are polynomials on each panel, to
//! the accuracy asked for: of a sigmoid these are panels whose length grows with the distance from the layer, as many as
//! ln s. With h = μ_h + a z₁ and k = μ_k + b z₁ + c z₂ the inner integral over z₂ has the panels of k, the outer one those of h
//! and those of k smoothed over c. Covers also polynomial growth. Not here: kinks (see `kinked`), and four fields.

use crate::Scalar;
use crate::limit::averages::nested::{Line, Nested};
use crate::limit::averages::table::NodeTable;
use crate::model::Nonlinearity;
use crate::numerics::gauss::legendre;

/// Polynomials on a panel are told from rounding down to so many ulp.
const RESOLVED_ULPS: f64 = 256.0;
/// First breaks are at 0 and ± the powers of this.
const RATIO: f64 = 3.0;
/// Panels of the line of h are halved at most so many times.
const MOST_HALVINGS: usize = 24;
/// The most panels of the line of h.
const MOST_PANELS: usize = 400;
/// Breaks of k closer than that many c belong to one bend of what is smoothed over c.
const CLOSE: f64 = 3.0;
/// A bend is over beyond that many c.
const BEND: f64 = 8.0;
/// Panels of a bend, in units of c.
const BEND_PANEL: f64 = 2.7;
/// Panels shorter than that part of both neighbours are none.
const SHORT: f64 = 0.2;

/// Where σ is divided, and with how many nodes on each panel.
#[derive(Debug, Clone)]
pub(in crate::limit) struct FieldPanels {
    /// Increasing; the first and the last are the ends of what is covered.
    breaks: Vec<f64>,
    /// Gauss-Legendre nodes and weights on [−1, 1].
    line: Line,
    radius: f64,
}

impl FieldPanels {
    /// For fields of magnitude up to `reach`, such that averages err by about exp(−accuracy). `None` if σ bends in too many
    /// places.
    pub(in crate::limit) fn new<T: Scalar>(sigma: &dyn Nonlinearity<T>, reach: f64, accuracy: f64) -> Option<Self> {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a few dozen
        let line = legendre(6 + (accuracy / 3.0).ceil() as usize);
        let mut ends = vec![0.0];
        let mut end = 1.0;
        while end < RATIO * reach.max(1.0) {
            ends.extend([end, -end]);
            end *= RATIO;
        }
        ends.extend([end, -end]);
        ends.sort_unstable_by(f64::total_cmp);
        let mut division = Division::new(sigma, line, accuracy);
        for end in ends.windows(2) {
            division.measure(end[0], end[1]);
        }
        let mut breaks = vec![ends[0]];
        for end in ends.windows(2) {
            division.divide(end[0], end[1], MOST_HALVINGS, &mut breaks)?;
        }
        Some(Self { breaks, line: division.line, radius: (2.0 * (accuracy + 4.0)).sqrt() })
    }

    /// Whether fields of that magnitude are covered.
    pub(in crate::limit) fn covers(&self, reach: f64) -> bool {
        self.breaks.last().is_some_and(|end| reach <= *end)
    }

    /// The largest magnitude of a field of that mean and gain.
    pub(in crate::limit) fn reach(accuracy: f64, mean: f64, gain: f64) -> f64 {
        mean.abs() + (2.0 * (accuracy + 4.0)).sqrt() * gain
    }
}

/// The division of the line under way.
struct Division<'a, T: Scalar> {
    sigma: &'a dyn Nonlinearity<T>,
    line: Line,
    /// The last three Legendre polynomials that the nodes resolve, at the nodes, times weight and norm.
    last: [Vec<f64>; 3],
    /// Tails of σ and σ' are negligible below that, in units of the magnitude of σ'.
    small: f64,
    magnitude: f64,
    fields: Vec<T>,
    values: Vec<T>,
    slopes: Vec<T>,
}

impl<'a, T: Scalar> Division<'a, T> {
    fn new(sigma: &'a dyn Nonlinearity<T>, line: Line, accuracy: f64) -> Self {
        let n = line.0.len();
        let mut last = [vec![0.0; n], vec![0.0; n], vec![0.0; n]];
        for (at, (&x, &w)) in line.0.iter().zip(&line.1).enumerate() {
            let (mut before, mut now) = (0.0, 1.0);
            for degree in 0..n {
                if degree + 3 >= n {
                    last[degree + 3 - n][at] = (degree as f64 + 0.5) * w * now;
                }
                let next = ((2 * degree + 1) as f64 * x * now - degree as f64 * before) / (degree + 1) as f64;
                before = std::mem::replace(&mut now, next);
            }
        }
        let zeros = vec![T::zero(); n];
        // Gauss rules are exact to twice the degree that the nodes resolve. Below rounding there is nothing to resolve.
        let small = (-0.5 * accuracy - 2.0).exp().max(RESOLVED_ULPS * T::EPSILON.as_f64());
        Self { sigma, line, last, small, magnitude: 0.0, fields: zeros.clone(), values: zeros.clone(), slopes: zeros }
    }

    fn evaluate(&mut self, a: f64, b: f64) {
        let (centre, half) = (0.5 * (a + b), 0.5 * (b - a));
        for (h, x) in self.fields.iter_mut().zip(&self.line.0) {
            *h = T::lit(centre + half * x);
        }
        self.sigma.evaluate(&self.fields, &mut self.values, &mut self.slopes);
    }

    /// Takes note of the magnitude of σ' there.
    fn measure(&mut self, a: f64, b: f64) {
        self.evaluate(a, b);
        self.magnitude = self.slopes.iter().fold(self.magnitude, |most, d| most.max(d.as_f64().abs()));
    }

    /// Adds the ends of the panels that divide [a, b]; `None` if they become too many.
    fn divide(&mut self, a: f64, b: f64, halvings: usize, breaks: &mut Vec<f64>) -> Option<()> {
        self.evaluate(a, b);
        let tail = |f: &[T]| {
            let sum = |p: &Vec<f64>| p.iter().zip(f).map(|(p, f)| p * f.as_f64()).sum::<f64>().abs();
            self.last.iter().map(sum).fold(0.0, f64::max)
        };
        let most = |f: &[T]| f.iter().fold(self.magnitude, |most, f| most.max(f.as_f64().abs()));
        let (y, d) = (&self.values, &self.slopes);
        let resolved = tail(y) <= self.small * most(y) && tail(d) <= self.small * most(d);
        if resolved || halvings == 0 {
            breaks.push(b);
            return (breaks.len() <= MOST_PANELS).then_some(());
        }
        let middle = 0.5 * (a + b);
        self.divide(a, middle, halvings - 1, breaks)?;
        self.divide(middle, b, halvings - 1, breaks)
    }
}

/// Nodes for a pair of fields, remade at every mean.
#[derive(Debug, Clone)]
pub(in crate::limit) struct PanelNodes<T> {
    panels: FieldPanels,
    bend: Vec<f64>,
    nested: Nested<T>,
}

impl<T: Scalar> PanelNodes<T> {
    /// With panels for both fields.
    pub(in crate::limit) fn new(panels: FieldPanels) -> Self {
        Self { panels, bend: Vec::new(), nested: Nested::new() }
    }

    /// The nodes for fields of those means and factor rows; one of the rows has no second entry.
    pub(in crate::limit) fn at(&mut self, mean: [T; 2], rows: [[T; 2]; 2]) -> &NodeTable<T> {
        let first = usize::from(rows[0][1] != T::zero());
        let second = 1 - first;
        let (mean_h, mean_k) = (mean[first].as_f64(), mean[second].as_f64());
        let a = rows[first][0].as_f64();
        let (b, c) = (rows[second][0].as_f64(), rows[second][1].as_f64());
        let Self { panels: FieldPanels { breaks: all, line, radius }, bend, nested } = self;
        let radius = *radius;
        // Nodes of less weight count for nothing, also where the other coordinate is at its centre.
        let place = |breaks: &mut Vec<f64>, ends: &[f64], mean: f64, gain: f64| {
            breaks.extend(ends.iter().map(|x| (x - mean) / gain).filter(|z| z.abs() < radius));
        };
        let outer = |breaks: &mut Vec<f64>| {
            if a != 0.0 {
                place(breaks, all, mean_h, a);
            }
            if b != 0.0 {
                smoothed(all, c.abs(), bend);
                place(breaks, bend, mean_k, b);
            }
            merge(breaks);
            (a != 0.0 || b != 0.0).then_some(radius)
        };
        let inner = |z1: f64, breaks: &mut Vec<f64>| {
            if c == 0.0 {
                return None;
            }
            place(breaks, all, mean_k + b * z1, c);
            Some((radius * radius - z1 * z1).max(0.0).sqrt())
        };
        nested.remake(line, outer, inner, |_, _| true)
    }

    /// How many nodes there are for fields of mean 0 and those factor rows; `None` if more than that.
    pub(in crate::limit) fn count_up_to(&mut self, most: usize, rows: [[T; 2]; 2]) -> Option<usize> {
        self.nested.at_most(most);
        let count = self.at([T::zero(); 2], rows).count();
        self.nested.at_most(usize::MAX);
        (count <= most).then_some(count)
    }

    /// The nodes last made.
    pub(in crate::limit) fn table(&self) -> &NodeTable<T> {
        self.nested.table()
    }

    /// Where σ is divided.
    pub(in crate::limit) fn panels(&self) -> &FieldPanels {
        &self.panels
    }
}

/// The breaks of a function that is smoothed by a normal of standard deviation c.
fn smoothed(breaks: &[f64], c: f64, out: &mut Vec<f64>) {
    out.clear();
    if c == 0.0 {
        out.extend_from_slice(breaks);
        return;
    }
    let mut at = 0;
    while at < breaks.len() {
        // A run of breaks that the normal bridges.
        let start = at;
        while at + 1 < breaks.len() && breaks[at + 1] - breaks[at] < CLOSE * c {
            at += 1;
        }
        if at == start {
            out.push(breaks[at]);
        } else {
            let (low, high) = (breaks[start] - BEND * c, breaks[at] + BEND * c);
            let count = ((high - low) / (BEND_PANEL * c)).ceil();
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a few more than the breaks
            out.extend((0..=count as usize).map(|k| low + (high - low) * k as f64 / count));
        }
        at += 1;
    }
}

/// Sorts breaks, and drops those that make a panel much shorter than both of its neighbours: of two sets of breaks, neither
/// needs it.
fn merge(breaks: &mut Vec<f64>) {
    breaks.sort_unstable_by(f64::total_cmp);
    let mut kept = 0_usize;
    for at in 0..breaks.len() {
        let needed = match (kept.checked_sub(2).map(|k| breaks[k]), kept.checked_sub(1).map(|k| breaks[k])) {
            (_, None) => true,
            (None, Some(last)) => breaks[at] > last,
            (Some(before), Some(last)) => {
                let next = breaks.get(at + 1).map_or(f64::INFINITY, |next| next - breaks[at]);
                breaks[at] - last > SHORT * (last - before).min(next)
            }
        };
        if needed {
            breaks[kept] = breaks[at];
            kept += 1;
        }
    }
    breaks.truncate(kept);
}
