//! Masses on two meshes of cells, of width h and 2h, and what both say together.
//!
//! Each is the solution of a scheme of second order, so that what is left of its error beyond that falls with the fourth power of h
//! in what is extrapolated from both. Covers moments, point values, cells of half and of double the width, and room at the ends. Not
//! here: how masses move (see `operator`), and when cells change (see `step`).

use nalgebra::DMatrix;

use crate::numerics::largest::largest_size;
use crate::pde::grid::density::GridDensity;
use crate::pde::grid::operator::Cells;
use crate::start::FeatureNodes;
use crate::state::OrderParameters;

/// Where both meshes differ by more than this factor they do not resolve the density, and nothing is extrapolated.
const RESOLVED_WITHIN: f64 = 2.0;
/// Mass given any node that may be left out at an end where cells are made anew: far below what makes cells be added.
const MASS_BEYOND: f64 = 1e-20;
/// What a kink adds to the mass of its cell is at most this part of it, where cells resolve it.
const KINK_PART: f64 = 0.25;
/// By how much the sum of masses that were kept may differ from 1: what steps may have added up to.
const KEPT_SUM: f64 = 1e-6;

/// Masses n_j = hρ(w_j), of sum 1 given each node: cell j given node k at j·K + k.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mesh {
    pub(super) cells: Cells,
    pub(super) masses: Vec<f64>,
}

impl Mesh {
    /// Σ n_j w_j and Σ n_j w_j², summed over the law of u: Q (p x 1) and R.
    pub(super) fn moments(&self, nodes: &FeatureNodes) -> (DMatrix<f64>, f64) {
        let (p, count) = (nodes.nodes.nrows(), self.cells.nodes);
        let (mut first, mut second) = (vec![0.0; count], vec![0.0; count]);
        for (j, row) in self.masses.chunks_exact(count).enumerate() {
            let w = self.cells.centre(j);
            for ((first, second), n) in first.iter_mut().zip(&mut second).zip(row) {
                *first += n * w;
                *second += n * w * w;
            }
        }
        let weights = &nodes.weights;
        let q = |l: usize| (0..count).map(|k| weights[k] * nodes.nodes[(l, k)] * first[k]).sum();
        (DMatrix::from_fn(p, 1, |l, _| q(l)), weights.iter().zip(&second).map(|(p, x)| p * x).sum())
    }

    /// The sums given each node.
    fn totals(&self) -> Vec<f64> {
        totals(&self.masses, self.cells.nodes)
    }

    /// The largest difference of Q, R (relative to the larger of 1 and R), and of the densities in the L¹ norm; NaN if one is.
    pub(super) fn distance(&self, other: &Self, nodes: &FeatureNodes) -> f64 {
        let ((q, r), (q_other, r_other)) = (self.moments(nodes), other.moments(nodes));
        let pairs = self.masses.iter().zip(&other.masses).enumerate();
        let weights = &nodes.weights;
        let norm: f64 = pairs.map(|(at, (x, y))| weights[at % weights.len()] * (x - y).abs()).sum();
        largest_size((q - q_other).iter().copied().chain([(r - r_other) / r.max(1.0), norm]))
    }

    /// By how much the mass given any node differs from 1.
    fn mass_defect(&self) -> f64 {
        self.totals().into_iter().fold(0.0, |worst, sum| worst.max((sum - 1.0).abs()))
    }

    /// The same with sums of 1.
    fn normalised(mut self) -> Self {
        let totals = self.totals();
        for row in self.masses.chunks_exact_mut(self.cells.nodes) {
            row.iter_mut().zip(&totals).for_each(|(n, total)| *n /= total);
        }
        self
    }

    /// The smallest standard deviation given a node, and the node.
    fn narrowest(&self) -> (usize, f64) {
        let nodes = self.cells.nodes;
        let of = |k: usize| {
            let masses = || self.masses.iter().skip(k).step_by(nodes).enumerate();
            let mean: f64 = masses().map(|(j, n)| n * self.cells.centre(j)).sum();
            masses().map(|(j, n)| n * (self.cells.centre(j) - mean).powi(2)).sum::<f64>().sqrt()
        };
        (0..nodes).map(|k| (k, of(k))).fold((0, f64::INFINITY), |a, b| if b.1 < a.1 { b } else { a })
    }

    /// The largest mass, over the nodes, within so many cells of either end.
    fn mass_near_ends(&self, margin: usize) -> [f64; 2] {
        let nodes = self.cells.nodes;
        let largest = |rows: &[f64]| totals(rows, nodes).into_iter().fold(0.0, f64::max);
        let margin = margin.min(self.cells.count);
        [largest(&self.masses[..margin * nodes]), largest(&self.masses[(self.cells.count - margin) * nodes..])]
    }

    /// Adds so many empty cells at either end.
    fn grow(&mut self, [below, above]: [usize; 2]) {
        let nodes = self.cells.nodes;
        self.masses.splice(0..0, std::iter::repeat_n(0.0, below * nodes));
        self.masses.extend(std::iter::repeat_n(0.0, above * nodes));
        self.cells.first -= signed(below);
        self.cells.count += below + above;
    }

    /// How many cells hold next to nothing at either end: all but four at most.
    fn empty_ends(&self) -> [usize; 2] {
        let (nodes, count) = (self.cells.nodes, self.cells.count);
        let empty = |row: &dyn Fn(usize) -> usize| {
            let mut sums = vec![0.0; nodes];
            (0..count / 2 - 1)
                .take_while(|&j| {
                    let masses = &self.masses[row(j) * nodes..(row(j) + 1) * nodes];
                    sums.iter_mut().zip(masses).for_each(|(sum, n)| *sum += n);
                    sums.iter().all(|&sum| sum < MASS_BEYOND)
                })
                .count()
        };
        if count < 4 { [0, 0] } else { [empty(&|j| j), empty(&|j| count - 1 - j)] }
    }

    fn cut(&mut self, [below, above]: [usize; 2]) {
        let nodes = self.cells.nodes;
        self.masses.truncate((self.cells.count - above) * nodes);
        self.masses.drain(..below * nodes);
        self.cells.first += signed(below);
        self.cells.count -= below + above;
    }

    /// The number of cells between the ends that hold next to nothing.
    pub(super) fn occupied(&self) -> usize {
        self.cells.count - self.empty_ends().iter().sum::<usize>()
    }
}

/// Both meshes: every centre of the coarse one is a centre of the fine one, and so are the points in the middle between two.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Meshes {
    pub(super) fine: Mesh,
    pub(super) coarse: Mesh,
}

impl Meshes {
    /// Of densities `value(k, w)`, of any scale: on cells of width h and 2h, of which `count` coarse ones from number `first` on.
    pub(super) fn new<E>(
        (width, first, count): (f64, i64, usize),
        nodes: usize,
        value: &dyn Fn(usize, f64) -> Result<f64, E>,
    ) -> Result<Self, E> {
        let coarse = Cells { width: 2.0 * width, first, count, nodes };
        let on = |cells: Cells| {
            let mut masses = Vec::with_capacity(cells.count * nodes);
            for j in 0..cells.count {
                for k in 0..nodes {
                    masses.push(value(k, cells.centre(j))?);
                }
            }
            Ok(Mesh { cells, masses })
        };
        Ok(Self { fine: on(coarse.halved())?, coarse: on(coarse)? })
    }

    /// The sums given a node, in the fine cells and in the coarse ones.
    pub(super) fn totals(&self) -> impl Iterator<Item = (f64, f64)> {
        self.fine.totals().into_iter().zip(self.coarse.totals())
    }

    pub(super) fn normalised(self) -> Self {
        Self { fine: self.fine.normalised(), coarse: self.coarse.normalised() }
    }

    /// Q and R, extrapolated.
    pub(super) fn moments(&self, nodes: &FeatureNodes) -> (DMatrix<f64>, f64) {
        let ((q, r), (q_coarse, r_coarse)) = (self.fine.moments(nodes), self.coarse.moments(nodes));
        let q = &q + (&q - q_coarse) / 3.0;
        (q, r + (r - r_coarse) / 3.0)
    }

    /// The smallest standard deviation given a node, in fine cells, and the node.
    pub(super) fn narrowest(&self) -> (usize, f64) {
        self.fine.narrowest()
    }

    pub(super) fn mass_defect(&self) -> f64 {
        self.fine.mass_defect().max(self.coarse.mass_defect())
    }

    /// The largest mass, over the nodes, within so many coarse cells of either end.
    pub(super) fn mass_near_ends(&self, margin: usize) -> [f64; 2] {
        let (fine, coarse) = (self.fine.mass_near_ends(2 * margin), self.coarse.mass_near_ends(margin));
        [fine[0].max(coarse[0]), fine[1].max(coarse[1])]
    }

    /// Adds so many empty coarse cells at either end, and fine ones as they lie in them.
    pub(super) fn grow(&mut self, added: [usize; 2]) {
        self.fine.grow(added.map(|cells| 2 * cells));
        self.coarse.grow(added);
    }

    /// hρ at the centres of the fine cells: ln ρ extrapolated from both meshes where both have it, and by the mean of the neighbours'
    /// corrections between them.
    fn points(&self) -> Mesh {
        let nodes = self.fine.cells.nodes;
        let mut points = self.fine.clone();
        let correction = |j: usize, k: usize| {
            let ratio = 2.0 * self.fine.masses[2 * j * nodes + k] / self.coarse.masses[j * nodes + k];
            if (1.0 / RESOLVED_WITHIN..=RESOLVED_WITHIN).contains(&ratio) { ratio.cbrt() } else { 1.0 }
        };
        for k in 0..nodes {
            let mut before = 1.0;
            for j in 0..self.coarse.cells.count {
                let here = correction(j, k);
                if j > 0 {
                    points.masses[(2 * j - 1) * nodes + k] *= (before * here).sqrt();
                }
                points.masses[2 * j * nodes + k] *= here;
                before = here;
            }
        }
        points
    }

    /// The densities: point values and masses of the fine cells. `kinked`: they have a kink at zero.
    ///
    /// The mass of a cell is hρ + h³ρ''/24. A kink adds an eighth of the jump of ρ' times h² to its cell: what the trapezoid rule
    /// misses of a sum of 1, and what is thus left of it.
    pub(super) fn density(&self, nodes: &FeatureNodes, kinked: bool) -> GridDensity {
        let mut points = self.points();
        let (cells, row) = (points.cells, points.cells.nodes);
        let zero = cells.at_zero().filter(|_| kinked);
        // What is missing, and put to the cell at zero, is little beside what is there; else the sum is made 1.
        let mut missing: Vec<f64> = points.totals().into_iter().map(|total| 1.0 - total).collect();
        for (k, missing) in missing.iter_mut().enumerate() {
            if !zero.is_some_and(|zero| missing.abs() <= KINK_PART * points.masses[zero * row + k]) {
                points.masses.iter_mut().skip(k).step_by(row).for_each(|n| *n /= 1.0 - *missing);
                *missing = 0.0;
            }
        }
        let at = |j: usize, k: usize| points.masses[j * row + k];
        let mut masses = points.masses.clone();
        // What flows across an edge: a twenty-fourth of the difference, as long as no cell gives more than half of what it has.
        for j in 0..cells.count - 1 {
            for k in 0..row {
                let flow = (at(j + 1, k) - at(j, k)) / 24.0;
                let flow = flow.clamp(-0.5 * at(j, k), 0.5 * at(j + 1, k));
                masses[j * row + k] += flow;
                masses[(j + 1) * row + k] -= flow;
            }
        }
        let width = cells.width;
        if let Some(zero) = zero {
            masses[zero * row..(zero + 1) * row].iter_mut().zip(missing).for_each(|(n, missing)| *n += missing);
        }
        let densities = points.masses.iter().map(|n| n / width).collect();
        let (q, r) = self.moments(nodes);
        let state = OrderParameters::from_parts(q, DMatrix::from_element(1, 1, r));
        GridDensity { cells, nodes: nodes.clone(), masses, densities, state }
    }

    /// The difference that extrapolation makes to Q, R (relative to the larger of 1 and R), and to the densities in the L¹ norm,
    /// whichever is largest: the error of the fine cells alone.
    pub(super) fn space_error(&self, nodes: &FeatureNodes) -> f64 {
        let ((q, r), (q_coarse, r_coarse)) = (self.fine.moments(nodes), self.coarse.moments(nodes));
        let (row, weights) = (self.coarse.cells.nodes, &nodes.weights);
        let fine = self.fine.masses.chunks_exact(row).step_by(2);
        let differences = fine.zip(self.coarse.masses.chunks_exact(row)).map(|(fine, coarse)| {
            let pairs = weights.iter().zip(fine.iter().zip(coarse));
            pairs.map(|(p, (fine, coarse))| p * (2.0 * fine - coarse).abs()).sum::<f64>()
        });
        let q = q - q_coarse;
        largest_size(q.iter().copied().chain([(r - r_coarse) / r.max(1.0), differences.sum()])) / 3.0
    }

    /// On cells of half the width. Between two centres ln ρ is that of a cubic, on one side of a kink.
    pub(super) fn halved(&self, kinked: bool) -> Self {
        let mut coarse = self.points();
        coarse.cut(coarse.empty_ends());
        let (from, nodes) = (coarse.cells, coarse.cells.nodes);
        let cells = from.halved();
        let zero = from.at_zero().filter(|_| kinked);
        let mut masses = Vec::with_capacity(cells.count * nodes);
        for j in 0..from.count {
            masses.extend((0..nodes).map(|k| 0.5 * coarse.masses[j * nodes + k]));
            if j + 1 < from.count {
                let value = |j: usize, k: usize| coarse.masses[j * nodes + k];
                masses.extend((0..nodes).map(|k| 0.5 * between(&|j| value(j, k), j, from.count, zero)));
            }
        }
        Self { fine: Mesh { cells, masses }, coarse }.normalised()
    }

    /// On cells of double the width: of every other centre.
    pub(super) fn doubled(&self) -> Self {
        let points = self.points();
        let nodes = points.cells.nodes;
        let last = self.coarse.cells.first + signed(self.coarse.cells.count - 1);
        let (first, last) = (self.coarse.cells.first.div_euclid(2), last.div_euclid(2) + last.rem_euclid(2));
        #[allow(clippy::cast_sign_loss, clippy::cast_possible_truncation)] // fewer than there were
        let count = (last - first + 1) as usize;
        let coarse = Cells { width: 4.0 * points.cells.width, first, count, nodes };
        let on = |cells: Cells, stride: i64| {
            let mut masses = vec![0.0; cells.count * nodes];
            for (j, row) in masses.chunks_exact_mut(nodes).enumerate() {
                let from = (cells.first + signed(j)) * stride - points.cells.first;
                if let Some(from) = usize::try_from(from).ok().filter(|&from| from < points.cells.count) {
                    row.copy_from_slice(&points.masses[from * nodes..(from + 1) * nodes]);
                }
            }
            Mesh { cells, masses }
        };
        let mut meshes = Self { fine: on(coarse.halved(), 2), coarse: on(coarse, 4) }.normalised();
        meshes.trim();
        meshes
    }

    /// Whether all masses are such, of sum 1.
    pub(super) fn is_density(&self) -> bool {
        let masses = self.fine.masses.iter().chain(&self.coarse.masses);
        masses.clone().all(|n| *n >= 0.0 && n.is_finite()) && self.mass_defect() < KEPT_SUM
    }

    /// Leaves out cells at the ends that hold next to nothing.
    fn trim(&mut self) {
        let [below, above] = self.coarse.empty_ends();
        self.coarse.cut([below, above]);
        self.fine.cut([2 * below, 2 * above]);
    }
}

/// Weights of a cubic in the middle between the second and the third of four points, and between the first two.
const CENTRED: [f64; 4] = [-1.0 / 16.0, 9.0 / 16.0, 9.0 / 16.0, -1.0 / 16.0];
const ONE_SIDED: [f64; 4] = [5.0 / 16.0, 15.0 / 16.0, -5.0 / 16.0, 1.0 / 16.0];

/// The value between point j and the next of `count`: of a cubic in the logarithm through four points that lie on one side of point
/// `kink`, and the mean of both where there are no four such points, or one of them is zero.
fn between(value: &dyn Fn(usize) -> f64, j: usize, count: usize, kink: Option<usize>) -> f64 {
    let below = kink == Some(j) || j == 0;
    let above = kink == Some(j + 1) || j + 2 == count;
    let points: Option<[(usize, f64); 4]> = match (below, above) {
        (false, false) => Some(std::array::from_fn(|n| (j - 1 + n, CENTRED[n]))),
        (true, false) if j + 3 < count => Some(std::array::from_fn(|n| (j + n, ONE_SIDED[n]))),
        (false, true) if j >= 2 => Some(std::array::from_fn(|n| (j + 1 - n, ONE_SIDED[n]))),
        _ => None,
    };
    let smooth = points.filter(|points| points.iter().all(|&(at, _)| value(at) > 0.0));
    match smooth {
        Some(points) => points.iter().map(|&(at, weight)| weight * value(at).ln()).sum::<f64>().exp(),
        None => 0.5 * (value(j) + value(j + 1)),
    }
}

/// The sums over rows of that length.
fn totals(rows: &[f64], length: usize) -> Vec<f64> {
    let mut sums = vec![0.0; length];
    for row in rows.chunks_exact(length) {
        sums.iter_mut().zip(row).for_each(|(sum, n)| *sum += n);
    }
    sums
}

#[allow(clippy::cast_possible_wrap)] // counts of cells are far below 2⁶³
fn signed(count: usize) -> i64 {
    count as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// exp(−w²/2 − s|w|), and for the second node times exp(0.3 w).
    fn meshes(width: f64, slope: f64, span: i64) -> Meshes {
        let density = |k: usize, w: f64| Ok::<f64, ()>((-0.5 * w * w - slope * w.abs() + 0.3 * k as f64 * w).exp());
        Meshes::new((width, -span, 2 * usize::try_from(span).unwrap() + 2), 2, &density).unwrap().normalised()
    }

    fn nodes() -> FeatureNodes {
        crate::start::FeatureLaw::rademacher().nodes(1, 1, 10).unwrap()
    }

    /// By how much masses differ from hρ, in units of the largest, both of sum 1.
    fn distance(mesh: &Mesh, slope: f64, k: usize) -> f64 {
        let exact = |j: usize| {
            let w = mesh.cells.centre(j);
            (-0.5 * w * w - slope * w.abs() + 0.3 * k as f64 * w).exp()
        };
        let total: f64 = (0..mesh.cells.count).map(exact).sum();
        let differences = (0..mesh.cells.count).map(|j| (mesh.masses[2 * j + k] - exact(j) / total).abs());
        differences.fold(0.0, f64::max) / (mesh.cells.width)
    }

    #[test]
    fn cells_of_half_the_width_hold_the_same_densities() {
        for (slope, kinked, error) in [(0.0, false, 1e-9), (1.5, true, 1e-9), (1.5, false, 1.0)] {
            let halved = meshes(0.1, slope, 50).halved(kinked);
            assert_eq!((halved.fine.cells.width, halved.coarse.cells.width), (0.05, 0.1));
            let worst = [0, 1].map(|k| distance(&halved.fine, slope, k).max(distance(&halved.coarse, slope, k)));
            assert!(worst.iter().all(|&worst| worst < error), "{worst:?}");
            // The control: through the kink it is no cubic.
            assert!(error < 1.0 || worst.iter().all(|&worst| worst > 1e-3), "{worst:?}");
            assert!(halved.mass_defect() < 1e-14);
        }
    }

    /// Whatever the parity of the first cell.
    #[test]
    fn cells_of_double_the_width_hold_the_same_densities() {
        for (width, span) in [(0.1, 50), (0.13, 39)] {
            let doubled = meshes(width, 1.5, span).doubled();
            assert_eq!(doubled.fine.cells.width, 2.0 * width);
            assert_eq!(doubled.fine.cells.first, 2 * doubled.coarse.cells.first);
            assert_eq!(doubled.fine.cells.count, 2 * doubled.coarse.cells.count - 1);
            for mesh in [&doubled.fine, &doubled.coarse] {
                assert!([0, 1].iter().all(|&k| distance(mesh, 1.5, k) < 1e-9));
            }
        }
    }

    /// Masses of cells against the distribution function, in closed form, and at the kink.
    #[test]
    fn masses_of_cells_are_integrals_of_densities() {
        let (width, slope) = (0.05, 1.5);
        let density = meshes(width, slope, 101).density(&nodes(), true);
        // ∫ exp(−w²/2 − s w) = √(π/2) e^{s²/2} (erf((w + s)/√2) − erf(s/√2)).
        let below = |w: f64| libm::erf((w + slope) / 2f64.sqrt()) - libm::erf(slope / 2f64.sqrt());
        let total = 2.0 * below(8.0);
        let (edges, masses) = (density.edges(), density.conditional_masses(0).unwrap());
        let mass = |j: usize| {
            let [low, high] = [edges[j], edges[j + 1]];
            let part = |w: f64| w.signum() * below(w.abs());
            (part(high) - part(low)) / total
        };
        for (j, n) in masses.iter().enumerate() {
            assert!((n - mass(j)).abs() < 1e-6, "{j}: {n} {}", mass(j));
        }
        assert!((masses.iter().sum::<f64>() - 1.0).abs() < 1e-13);
        // The control: without the curvature, and without what the kink adds.
        let zero = density.centres().iter().position(|w| *w == 0.0).unwrap();
        let value = width * density.conditional_density(0).unwrap()[zero];
        assert!((value - mass(zero)).abs() > 1e-4);
    }

    /// Where both meshes say different things nothing is extrapolated, and nothing is negative.
    #[test]
    fn what_is_not_resolved_stays_positive() {
        let spike = |_: usize, w: f64| Ok::<f64, ()>(if w == 0.0 { 1.0 } else { 1e-30 });
        let meshes = Meshes::new((0.1, -10, 21), 2, &spike).unwrap().normalised();
        for meshes in [meshes.clone(), meshes.halved(true), meshes.halved(false), meshes.doubled()] {
            let density = meshes.density(&nodes(), true);
            let masses = density.conditional_masses(1).unwrap();
            assert!(masses.iter().all(|&n| n >= 0.0), "{masses:?}");
            assert!((masses.iter().sum::<f64>() - 1.0).abs() < 1e-13 && meshes.mass_defect() < 1e-14);
        }
    }
}
