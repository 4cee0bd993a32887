//! On what lattice of the sum Qᵀc, in as many dimensions as there are neurons, and at what wave vectors (theory §9).
//!
//! Along each principal axis of the noise that the views have in common a line of nodes; of all lines together what lies within
//! an ellipsoid. Not here: one neuron with a smooth σ (see `sum_grid`), and weights (see `sum_nodes`).

use std::f64::consts::TAU;

use nalgebra::{DMatrix, DVector};

use crate::Scalar;
use crate::limit::averages::sum_grid::{WAVE_MARGIN, Window, highest_wave};
use crate::model::Smoothness;
use crate::numerics::fourier::{AxisSize, Fourier};

/// How far beyond the ellipsoid of the density at the ends nodes are kept, as a factor of its square.
const KEPT: f64 = 1.1;
/// The most cosines of wave numbers and nodes.
const MOST_PHASES: f64 = 4e6;
/// Rounding in a sum over a lattice, in ulp of the size of its terms.
pub(super) const SUM_ULPS: f64 = 64.0;
/// Smaller standard deviations than that part of the largest are none.
pub(super) const NONE: f64 = 1e-7;

/// Nodes and wave numbers along one axis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) step: f64,
    pub(super) half: usize,
    highest: f64,
    /// The window, where the normal that is moved is too narrow to do without.
    window: Option<Window>,
    /// The standard deviation of that normal.
    pub(super) moved: f64,
}

/// What is averaged over a sum falls with the wave number as exp(−rest k²/2 − pole k).
#[derive(Debug, Clone, Copy)]
pub(super) struct Falls {
    pub(super) rest: f64,
    pub(super) pole: f64,
}

impl Falls {
    /// Of products of functions of σ under noise of variance `rest`.
    pub(super) fn new<T: Scalar>(smoothness: &Smoothness<T>, rest: f64, accuracy: f64) -> Self {
        let kinked = matches!(smoothness, Smoothness::Kinked { .. });
        Self { rest, pole: if kinked { 0.0 } else { accuracy / highest_wave(smoothness, accuracy) } }
    }

    /// The wave number up to which it matters, times a normal of that variance, which may be negative.
    fn highest(self, accuracy: f64, moved: f64) -> f64 {
        let (pole, rest) = (self.pole, self.rest + moved.min(0.0));
        if rest > 0.0 { ((pole * pole + 2.0 * rest * accuracy).sqrt() - pole) / rest } else { accuracy / pole }
    }

    /// The slope of the logarithm there.
    fn slope(self, k: f64, moved: f64) -> f64 {
        self.pole + (self.rest + moved) * k
    }
}

impl Line {
    /// One node.
    pub(super) fn single() -> Self {
        Self { step: 1.0, half: 0, highest: 0.0, window: None, moved: 0.0 }
    }

    /// For a normal of variance `moved`, where that is not negative, beside a sum of that standard deviation; `None` if too little is
    /// smooth.
    pub(super) fn new(falls: Falls, moved: f64, deviation: f64, radius: f64, accuracy: f64) -> Option<Self> {
        let highest = falls.highest(accuracy, moved);
        if !(highest > 0.0 && highest.is_finite()) {
            return None;
        }
        let least = moved.min(0.0);
        let moved = moved.max(0.0).sqrt();
        let reach = radius * deviation.hypot(moved);
        let window = Window::new((highest, falls.slope(highest, least)), -least, reach, accuracy);
        let windowed = TAU / window.top(highest);
        let windowed_half = (reach + window.tail(accuracy)) / windowed;
        let (step, half, highest, window) = if moved > 0.0 {
            let step = TAU / aliasing_wave(moved * moved, falls.rest, falls.pole, accuracy);
            let half = reach / step;
            if half <= windowed_half {
                (step, half, (2.0 * (accuracy + WAVE_MARGIN)).sqrt() / moved, None)
            } else {
                (windowed, windowed_half, window.highest(accuracy), Some(window))
            }
        } else {
            (windowed, windowed_half, window.highest(accuracy), Some(window))
        };
        if !(half < 1e6) {
            return None;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and a million
        let half = half.ceil() as usize;
        Some(Self { step, half, highest, window, moved })
    }

    /// The points, and the wave numbers of both signs or of one.
    pub(super) fn size(&self, both: bool) -> AxisSize {
        let highest = self.waves();
        let waves = usize::try_from(if both { 2 * highest + 1 } else { highest + 1 }).unwrap_or(1);
        AxisSize { half: self.half, lowest: if both { -highest } else { 0 }, waves }
    }

    /// With so many nodes on each side.
    pub(super) fn shortened(self, half: usize) -> Self {
        Self { half, ..self }
    }

    /// How much the logarithm of exp(growth k²/2) grows up to the highest wave number that counts.
    pub(super) fn growth(&self, growth: f64, accuracy: f64) -> f64 {
        self.window.map_or(0.5 * growth * self.highest * self.highest, |window| window.growth(growth, accuracy))
    }

    /// Of a wave number, 1 where there is no window.
    pub(super) fn window(&self, k: f64) -> f64 {
        self.window.map_or(1.0, |window| window.at(k.abs()))
    }

    pub(super) fn spacing(&self) -> f64 {
        TAU / (self.step * (2 * self.half + 1) as f64)
    }

    #[allow(clippy::cast_possible_truncation)] // less than the nodes times a small number
    pub(super) fn waves(&self) -> i64 {
        if self.half == 0 { 0 } else { (self.highest / self.spacing()).floor() as i64 }
    }
}

/// The smallest κ at which moved k²/2 + rest (κ − k)²/2 + pole (κ − k) is at least `accuracy` for all k up to κ: a lattice of step
/// 2π/κ takes a wave k of the density for one of the function at κ − k.
fn aliasing_wave(moved: f64, rest: f64, pole: f64, accuracy: f64) -> f64 {
    let least = |kappa: f64| {
        let k = ((rest * kappa + pole) / (moved + rest)).min(kappa);
        0.5 * moved * k * k + 0.5 * rest * (kappa - k).powi(2) + pole * (kappa - k)
    };
    let (mut low, mut high) = (0.0, 1.0);
    while least(high) < accuracy && high < 1e300 {
        high *= 2.0;
    }
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if least(middle) < accuracy { low = middle } else { high = middle }
    }
    high
}

/// The lines of all axes together.
pub(super) struct Lattice<'a> {
    pub(super) frame: &'a DMatrix<f64>,
    pub(super) lines: &'a [Line],
    /// The covariance of the sum along the axes.
    pub(super) along: &'a DMatrix<f64>,
    pub(super) radius: f64,
    pub(super) mirror: bool,
}

impl Lattice<'_> {
    /// Nodes from the mean, and how many each stands for. `None` if there are more than `most`.
    pub(super) fn nodes(&self, most: f64) -> Option<Chosen> {
        let m = self.lines.len();
        let smooth: Vec<usize> = (0..m).filter(|&a| self.lines[a].window.is_none() && self.lines[a].half > 0).collect();
        let density = DMatrix::from_fn(smooth.len(), smooth.len(), |a, b| {
            let (a, b) = (smooth[a], smooth[b]);
            self.along[(a, b)] + if a == b { self.lines[a].moved.powi(2) } else { 0.0 }
        });
        let inverse = density.cholesky().map(|cholesky| cholesky.inverse());
        let mut nodes = Chosen::default();
        let halves: Vec<i64> = self.lines.iter().map(|line| i64::try_from(line.half).unwrap_or(i64::MAX)).collect();
        let fits = each_index(&halves, self.mirror, most, &mut |index, is_half| {
            let at = |a: usize| index[a] as f64 * self.lines[a].step;
            let x = DVector::from_iterator(smooth.len(), smooth.iter().map(|&a| at(a)));
            let far = |inverse: &DMatrix<f64>| (x.transpose() * inverse * &x)[(0, 0)];
            if inverse.as_ref().is_some_and(|inverse| far(inverse) > KEPT * self.radius * self.radius) {
                return true;
            }
            let x = self.frame * DVector::from_iterator(m, (0..m).map(at));
            nodes.push(&halves, index, x.as_slice(), if is_half { 2.0 } else { 1.0 });
            nodes.counts.len() as f64 <= most
        });
        fits.then_some(nodes)
    }

    /// Wave vectors, one of each pair ±k, and what each counts. `None` if there are more than `most`.
    pub(super) fn waves(&self, accuracy: f64, most: f64) -> Option<Chosen> {
        let m = self.lines.len();
        let nodes: f64 = self.lines.iter().map(|line| (2 * line.half + 1) as f64).product();
        let highest: Vec<i64> = self.lines.iter().map(Line::waves).collect();
        let mut waves = Chosen::default();
        // Of the first axis there is half.
        let lowest: Vec<i64> = highest.iter().enumerate().map(|(a, &most)| if a == 0 { 0 } else { most }).collect();
        let fits = each_index(&highest, true, most, &mut |index, is_half| {
            let at = |a: usize| index[a] as f64 * self.lines[a].spacing();
            let normal: f64 = (0..m).map(|a| 0.5 * (at(a) * self.lines[a].moved).powi(2)).sum();
            if normal > accuracy + WAVE_MARGIN {
                return true;
            }
            let window: f64 = (0..m).map(|a| self.lines[a].window(at(a))).product();
            let k = self.frame * DVector::from_iterator(m, (0..m).map(at));
            let count = if is_half { 2.0 } else { 1.0 } * window * (-normal).exp() / nodes;
            waves.push(&lowest, index, k.as_slice(), count);
            waves.counts.len() as f64 <= most
        });
        fits.then_some(waves)
    }

    /// `None` if its tables were too long.
    pub(super) fn fourier<T: Scalar>(&self) -> Option<Fourier<T>> {
        fourier(self.lines)
    }
}

/// Sums between the values of lines and their wave vectors; `None` if the tables were too long.
pub(super) fn fourier<T: Scalar>(lines: &[Line]) -> Option<Fourier<T>> {
    let table = |line: &Line| (2 * line.half + 1) as f64 * (2 * line.waves() + 1) as f64;
    if !(lines.iter().map(table).sum::<f64>() < MOST_PHASES) {
        return None;
    }
    let axes: Vec<AxisSize> = lines.iter().enumerate().map(|(a, line)| line.size(a > 0)).collect();
    Some(Fourier::new(&axes))
}

/// Nodes or wave vectors: m numbers each, what each counts, and where on the lattice it stands.
#[derive(Default)]
pub(super) struct Chosen {
    pub(super) vectors: Vec<f64>,
    pub(super) counts: Vec<f64>,
    pub(super) indices: Vec<Vec<usize>>,
}

impl Chosen {
    /// With the index from −`lowest` on.
    fn push(&mut self, lowest: &[i64], index: &[i64], vector: &[f64], count: f64) {
        self.vectors.extend_from_slice(vector);
        self.counts.push(count);
        let at = |(&n, &lowest): (&i64, &i64)| usize::try_from(n + lowest).unwrap_or(0);
        self.indices.push(index.iter().zip(lowest).map(at).collect());
    }
}

/// Calls `visit` with every index from −halves to halves, zero first; of each pair ± only with one if `halved`, and whether it stands
/// for the other too. False, and no further, once `visit` says so, or at once if a small part of them were more than `most`.
pub(super) fn each_index(halves: &[i64], halved: bool, most: f64, visit: &mut dyn FnMut(&[i64], bool) -> bool) -> bool {
    let total: f64 = halves.iter().map(|&half| 2.0 * half as f64 + 1.0).product();
    // A ball in many dimensions is a small part of its cube.
    if !(total < 256.0 * most.max(1.0) && total < 1e9) {
        return false;
    }
    let zero = vec![0; halves.len()];
    let mut goes_on = visit(&zero, false);
    let mut index: Vec<i64> = halves.iter().map(|half| -half).collect();
    loop {
        if let Some(first) = index.iter().find(|x| **x != 0)
            && (!halved || *first > 0)
        {
            goes_on = goes_on && visit(&index, halved);
        }
        if !goes_on {
            return false;
        }
        let Some(axis) = (0..index.len()).rev().find(|&a| index[a] < halves[a]) else { return true };
        index[axis] += 1;
        for a in axis + 1..index.len() {
            index[a] = -halves[a];
        }
    }
}
