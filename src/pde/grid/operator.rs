//! One step of the Fokker-Planck equations on the grid: fluxes, implicit solves, and their extrapolation.
//!
//! Covers masses n_j of cells of width h centred at jh, for every node of the law of u side by side; the generator in flux
//! form, implicit Euler, and the flux-limited extrapolation of implicit Euler steps. Not here: where drift and diffusion come
//! from (see `drift`).

use crate::numerics::kernels::add_scaled;
use crate::numerics::lanes::dispatch;

/// How the diffusion at an edge is chosen, between the second order of central fluxes and positivity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Flux {
    /// Central fluxes with the diffusion D − βh²/4, β the slope of the linear drift: then Σ n_j w_j and Σ n_j w_j² obey the
    /// equations of ∫ w ρ and ∫ w² ρ exactly for a linear drift, so that under L2 space costs the moments no error at all.
    /// Where |b|h exceeds twice the diffusion, in far tails, at least |b|h/2.
    #[default]
    Moments,
    /// Chang and Cooper (J. Comput. Phys. 6 (1970), doi:10.1016/0021-9991(70)90001-X): the diffusion
    /// D (x/2) coth(x/2), x = bh/D. Keeps the stationary density of a drift that is constant in a cell.
    ChangCooper,
}

/// Where x/2 is smaller, x/2 coth(x/2) is the first two terms of its series, to its fourth power over 45.
const SMALL_PECLET: f64 = 1e-4;
/// A cell gives what it has less so many roundings.
const SHARE_ULPS: f64 = 4.0;

/// The larger of both; NaN if `x` is.
#[inline(always)]
fn at_least(x: f64, least: f64) -> f64 {
    if x < least { least } else { x }
}

/// Cells and nodes: cell j has its centre at (first + j)·h.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cells {
    pub(super) width: f64,
    pub(super) first: i64,
    pub(super) count: usize,
    pub(super) nodes: usize,
}

impl Cells {
    /// The centre of cell j.
    #[allow(clippy::cast_possible_wrap)] // counts of cells are far below 2⁶³
    pub(super) fn centre(&self, j: usize) -> f64 {
        (self.first + j as i64) as f64 * self.width
    }

    /// Cells of half the width: each centre is one of them, and so is the middle between two.
    pub(super) fn halved(self) -> Self {
        Self { width: 0.5 * self.width, first: 2 * self.first, count: 2 * self.count - 1, nodes: self.nodes }
    }

    /// The cell whose centre is zero, if there is one.
    pub(super) fn at_zero(self) -> Option<usize> {
        usize::try_from(-self.first).ok().filter(|&zero| zero < self.count)
    }

    /// The edges between cells.
    pub(super) fn edges(self) -> impl Iterator<Item = f64> {
        (0..self.count - 1).map(move |j| self.edge(j))
    }

    /// The edge between cells j and j + 1.
    fn edge(&self, j: usize) -> f64 {
        self.centre(j) + 0.5 * self.width
    }
}

/// Drift and diffusion at one time: b = a_k + β w − τγ bent(w), D.
#[derive(Debug, Clone)]
pub(super) struct Generator {
    /// a_k = α·u_k.
    pub(super) shifts: Vec<f64>,
    pub(super) slope: f64,
    /// τγ.
    pub(super) decay: f64,
    /// D = Λ/2.
    pub(super) diffusion: f64,
    pub(super) flux: Flux,
}

impl Generator {
    /// The diffusion that the flux is given where the drift is b.
    #[inline(always)]
    fn at_edge(&self, b: f64, h: f64) -> f64 {
        let least = 0.5 * b.abs() * h;
        match self.flux {
            Flux::Moments => at_least(self.diffusion - 0.25 * self.slope * h * h, least),
            Flux::ChangCooper => {
                let half = 0.5 * b * h / self.diffusion;
                if half.abs() < SMALL_PECLET {
                    self.diffusion * (1.0 + half * half / 3.0)
                } else if half.is_finite() {
                    self.diffusion * half / half.tanh()
                } else {
                    least
                }
            }
        }
    }
}

/// Room for the solves: entries at j·K + k.
#[derive(Debug, Clone, Default)]
pub(super) struct Room {
    /// Rates of mass from cell j to j + 1 and back, across every edge.
    right: Vec<f64>,
    left: Vec<f64>,
    /// 1 over the pivots of the elimination.
    pivots: Vec<f64>,
    /// The bent part φ(w) − s w at every edge.
    bent: Vec<f64>,
}

impl Room {
    /// Room for those cells; `bent` is the bent part of the regulariser.
    pub(super) fn resize(&mut self, cells: Cells, bent: impl Fn(f64) -> f64) {
        let size = cells.count * cells.nodes;
        for room in [&mut self.right, &mut self.left, &mut self.pivots] {
            room.clear();
            room.resize(size, 0.0);
        }
        self.bent.clear();
        self.bent.extend((0..cells.count).map(|j| bent(cells.edge(j))));
    }

    /// The rates of that generator.
    fn assemble(&mut self, cells: Cells, generator: &Generator) {
        let (h, nodes) = (cells.width, cells.nodes);
        for j in 0..cells.count - 1 {
            let common = generator.slope * cells.edge(j) - generator.decay * self.bent[j];
            let rows = j * nodes..(j + 1) * nodes;
            let rates = self.right[rows.clone()].iter_mut().zip(&mut self.left[rows]);
            for ((right, left), shift) in rates.zip(&generator.shifts) {
                let b = shift + common;
                let (diffusive, advective) = (generator.at_edge(b, h) / (h * h), 0.5 * b / h);
                // Not below zero by rounding: the diffusion is at least |b|h/2.
                (*right, *left) = (at_least(diffusive + advective, 0.0), at_least(diffusive - advective, 0.0));
            }
        }
    }

    /// One step of implicit Euler: masses ← (1 − dt A)⁻¹ masses. The matrix has columns of sum 1 and no positive entry off
    /// the diagonal, so that masses stay positive and their sum does not change, however large dt is.
    pub(super) fn implicit_euler(&mut self, cells: Cells, generator: &Generator, dt: f64, masses: &mut [f64]) {
        dispatch(
            #[inline(always)]
            || {
                self.assemble(cells, generator);
                self.eliminate(cells, dt, masses);
            },
        );
    }

    /// Thomas's elimination, nodes side by side. In the form of fluxes: with s_j the reciprocal of what of cell j's
    /// diagonal is left, no subtraction cancels.
    #[inline(always)]
    fn eliminate(&mut self, cells: Cells, dt: f64, masses: &mut [f64]) {
        let nodes = cells.nodes;
        // Pivot_j = 1 + dt right_j + dt left_{j−1}(1 − dt right_{j−1}/pivot_{j−1}), and the bracket is
        // (pivot − dt right)/pivot, whose numerator `rest` is a sum of positive terms.
        for k in 0..nodes {
            self.pivots[k] = 1.0;
        }
        for j in 0..cells.count {
            let row = j * nodes;
            for k in row..row + nodes {
                let rest = self.pivots[k];
                let moved = dt * self.right[k];
                let inverse = 1.0 / (rest + moved);
                if j + 1 < cells.count {
                    self.pivots[k + nodes] = 1.0 + dt * self.left[k] * (rest * inverse);
                    masses[k + nodes] += moved * inverse * masses[k];
                }
                self.pivots[k] = inverse;
            }
        }
        for j in (0..cells.count).rev() {
            let row = j * nodes;
            for k in row..row + nodes {
                let back = if j + 1 < cells.count { dt * self.left[k] * masses[k + nodes] } else { 0.0 };
                masses[k] = (masses[k] + back) * self.pivots[k];
            }
        }
    }
}

/// Weights of the extrapolation of implicit Euler with `first`, ..., `last` substeps to substeps of no length.
pub(super) fn extrapolation(first: usize, last: usize) -> Vec<f64> {
    let weight = |j: usize| {
        let factors = (first..=last).filter(|&i| i != j).map(|i| j as f64 / (j as f64 - i as f64));
        factors.product()
    };
    (first..=last).map(weight).collect()
}

/// base ← Σ weights·levels, as a flow of mass between neighbouring cells that is cut where a cell would be left with less
/// than nothing (the limiter of S. T. Zalesak, J. Comput. Phys. 31 (1979), doi:10.1016/0021-9991(79)90051-2, for positivity
/// alone). The last level is the base; all have the same mass, which stays.
pub(super) fn extrapolate(cells: Cells, weights: &[f64], levels: &[Vec<f64>], flows: &mut Vec<f64>, base: &mut [f64]) {
    let nodes = cells.nodes;
    flows.clear();
    flows.resize(base.len(), 0.0);
    // First the changes of the cells.
    for (&weight, level) in weights.iter().zip(levels) {
        add_scaled(weight, level, flows);
    }
    add_scaled(-1.0, base, flows);
    for k in 0..nodes {
        // Then what flows across each edge, summed from the nearer end: in either tail rounding is that of the tail.
        let half = cells.count / 2;
        let mut sum = 0.0;
        for j in 0..half {
            sum -= flows[j * nodes + k];
            flows[j * nodes + k] = sum;
        }
        let mut sum = 0.0;
        for j in (half..cells.count).rev() {
            let change = flows[j * nodes + k];
            flows[j * nodes + k] = sum;
            sum += change;
        }
        // A cell gives at most what it has; what it is given by others in the same breath does not count.
        let at = |j: usize| j * nodes + k;
        let outflow = |flows: &[f64], j: usize| {
            let from_left = if j > 0 { (-flows[at(j - 1)]).max(0.0) } else { 0.0 };
            flows[at(j)].max(0.0) + from_left
        };
        let share = |flows: &[f64], base: &[f64], j: usize| {
            let (out, has) = (outflow(flows, j), base[at(j)] * (1.0 - SHARE_ULPS * f64::EPSILON));
            if out > has { has / out } else { 1.0 }
        };
        let mut before = 0.0;
        let mut here = share(flows, base, 0);
        for j in 0..cells.count {
            let next = if j + 1 < cells.count { share(flows, base, j + 1) } else { 0.0 };
            let flow = flows[at(j)];
            let cut = if j + 1 == cells.count { 0.0 } else { flow * if flow > 0.0 { here } else { next } };
            base[at(j)] += before - cut;
            // Later shares still need the uncut flow of this edge.
            before = cut;
            here = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CELLS: Cells = Cells { width: 0.1, first: -40, count: 81, nodes: 2 };

    fn generator(flux: Flux) -> Generator {
        Generator { shifts: vec![0.3, -0.2], slope: -0.8, decay: 1.0, diffusion: 0.2, flux }
    }

    /// A density in node 0, a single full cell in node 1.
    fn masses() -> Vec<f64> {
        let mut masses: Vec<f64> = (0..CELLS.count * 2).map(|at| (-3.0 * CELLS.centre(at / 2).powi(2)).exp()).collect();
        (0..CELLS.count).for_each(|j| masses[2 * j + 1] = if j == 40 { 1.0 } else { 0.0 });
        let total: f64 = masses.iter().step_by(2).sum();
        masses.iter_mut().step_by(2).for_each(|n| *n /= total);
        masses
    }

    fn moment(masses: &[f64], k: usize, power: i32) -> f64 {
        (0..CELLS.count).map(|j| masses[2 * j + k] * CELLS.centre(j).powi(power)).sum()
    }

    /// Against a dense solve of the same generator, for small and for enormous steps; mass and positivity.
    #[test]
    fn implicit_euler_solves_its_equation_and_keeps_mass_and_sign() {
        for (flux, dt) in [(Flux::Moments, 0.05), (Flux::ChangCooper, 0.05), (Flux::Moments, 1e9)] {
            let (generator, mut work) = (generator(flux), Room::default());
            work.resize(CELLS, |w| 0.1 * w.signum());
            let (before, mut after) = (masses(), masses());
            work.implicit_euler(CELLS, &generator, dt, &mut after);
            assert!(after.iter().all(|&n| n >= 0.0));
            for k in 0..2 {
                assert!((moment(&after, k, 0) - 1.0).abs() < 1e-13);
                for j in 0..CELLS.count {
                    let at = 2 * j + k;
                    let out = |j: usize| if j + 1 < CELLS.count { work.right[2 * j + k] } else { 0.0 };
                    let back = |j: usize| if j > 0 { work.left[2 * (j - 1) + k] } else { 0.0 };
                    let mut change = -(out(j) + back(j)) * after[at];
                    if j > 0 {
                        change += out(j - 1) * after[at - 2];
                    }
                    if j + 1 < CELLS.count {
                        change += work.left[at] * after[at + 2];
                    }
                    let rounding = 1e-13 * (1.0 + dt * (out(j) + back(j)) * after[at]);
                    assert!((after[at] - dt * change - before[at]).abs() < rounding, "{flux:?} {dt} {j} {k}");
                }
            }
        }
    }

    /// Under a linear drift implicit Euler on the cells is implicit Euler on the moments: m₁' = a + βm₁,
    /// m₂' = 2(a m₁ + β m₂) + 2D.
    #[test]
    fn linear_drifts_move_the_moments_without_an_error_of_space() {
        let (generator, mut work) = (generator(Flux::Moments), Room::default());
        work.resize(CELLS, |_| 0.0);
        let (before, mut after, dt) = (masses(), masses(), 0.1);
        work.implicit_euler(CELLS, &generator, dt, &mut after);
        for k in 0..2 {
            let (a, m) = (generator.shifts[k], |masses: &[f64], power| moment(masses, k, power));
            let first = m(&after, 1) - dt * (a + generator.slope * m(&after, 1)) - m(&before, 1);
            let drift = a * m(&after, 1) + generator.slope * m(&after, 2);
            let second = m(&after, 2) - 2.0 * dt * (drift + generator.diffusion) - m(&before, 2);
            assert!(first.abs() < 1e-12 && second.abs() < 1e-12, "{first} {second}");
        }
    }

    /// Exact for polynomials in 1/n of degree L − 1, positive and of the same mass where the plain sum is negative.
    #[test]
    fn extrapolation_is_exact_positive_and_keeps_mass() {
        for levels in 2..=4 {
            let weights = extrapolation(1, levels);
            for power in 0..i32::try_from(levels).unwrap() {
                let sum: f64 = (1..).zip(&weights).map(|(n, w)| w * (1.0 / f64::from(n)).powi(power)).sum();
                assert!((sum - if power == 0 { 1.0 } else { 0.0 }).abs() < 1e-12);
            }
        }
        let cells = Cells { width: 0.1, first: 0, count: 5, nodes: 1 };
        let levels = [vec![0.21, 0.58, 0.185, 0.02, 0.005], vec![0.2, 0.6, 0.19, 0.0099, 0.0001]];
        let plain: Vec<f64> = levels[0].iter().zip(&levels[1]).map(|(x, y)| 2.0 * y - x).collect();
        assert!(plain[4] < 0.0 && plain[3] < 0.0);
        let (mut base, mut flows) = (levels[1].clone(), Vec::new());
        extrapolate(cells, &extrapolation(1, 2), &levels, &mut flows, &mut base);
        assert!(base.iter().all(|&n| n >= 0.0) && (base.iter().sum::<f64>() - 1.0).abs() < 1e-15);
        // Where nothing had to be cut, it is the plain sum.
        assert!((base[0] - plain[0]).abs() < 1e-15 && (base[1] - plain[1]).abs() < 1e-15);
    }
}
