//! Cubature of the standard normal law in whitened coordinates (theory §9): tables of nodes and weights.
//!
//! Covers the trapezoidal lattice, cut at a ball, with the step of each coordinate set by the nearest pole of σ, and
//! Gauss-Hermite products for polynomial σ. A table does not depend on the state once it is made.

use std::num::NonZeroUsize;

use gauss_quad::hermite::GaussHermite;

use crate::Scalar;
use crate::limit::accuracy::COARSER;
use crate::model::Smoothness;
use crate::numerics::lanes::LANES;
use crate::numerics::normal::normal_quantile;
use crate::numerics::sobol::uniform;

/// Nodes z and weights w with Σ w f(z) ≈ E f(z), z standard normal of `dimensions` coordinates.
#[derive(Debug, Clone)]
pub(crate) struct NodeTable<T> {
    dimensions: usize,
    /// Padded to a multiple of the lane width by nodes of weight zero at the origin.
    padded: usize,
    /// Without the padding.
    count: usize,
    coordinates: Vec<T>,
    weights: Vec<T>,
    reach: Reach<T>,
}

/// How far the fields may grow before a table no longer resolves them.
#[derive(Debug, Clone)]
enum Reach<T> {
    /// Without limit.
    Any,
    /// Until a step of the lattice is too long; it is infinite where there is one node.
    Steps { smoothness: Smoothness<T>, accuracy: f64, steps: Vec<f64> },
    /// Until a gain has grown.
    Gains(Vec<f64>),
}

/// How a coordinate enters the fields.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Coordinate {
    /// How far a unit of it moves a field.
    pub(crate) gain: f64,
    /// Whether its sign exchanges the views: then half of the nodes serve for all.
    pub(crate) reflected: bool,
}

/// The step with which the trapezoidal rule errs by about exp(−accuracy) in a coordinate of that gain.
///
/// Shifting the line of integration by a gives the error exp(a²/2 − 2πa/step); the pole of σ at distance d allows
/// a < d/gain, and the best a of an entire integrand is 2π/step.
pub(crate) fn trapezoid_step<T: Scalar>(smoothness: &Smoothness<T>, gain: f64, accuracy: f64) -> f64 {
    use std::f64::consts::{PI, SQRT_2, TAU};
    let entire = PI * SQRT_2 / accuracy.sqrt();
    let pole = match *smoothness {
        Smoothness::Polynomial { .. } => return entire,
        // Up to four factors erf or erf', each of growth exp(gain² a²/2) off the real line.
        Smoothness::Entire => return entire / (1.0 + 4.0 * gain * gain).sqrt(),
        Smoothness::Analytic { pole_distance } => pole_distance.as_f64(),
        Smoothness::Smooth => 1.0,
        Smoothness::Kinked { .. } => 0.25,
    };
    let shift = pole / gain;
    if shift * entire >= TAU { entire } else { TAU * shift / (accuracy + 0.5 * shift * shift) }
}

/// The step of each coordinate at that accuracy.
pub(crate) fn steps<T: Scalar>(smoothness: &Smoothness<T>, coordinates: &[Coordinate], accuracy: f64) -> Vec<f64> {
    let step = |c: &Coordinate| if c.gain > 0.0 { trapezoid_step(smoothness, c.gain, accuracy) } else { f64::INFINITY };
    coordinates.iter().map(step).collect()
}

impl<T: Scalar> NodeTable<T> {
    /// The trapezoidal lattice with an error of about exp(−accuracy), or `None` if it has more than `budget` nodes.
    pub(crate) fn trapezoid(
        smoothness: &Smoothness<T>,
        coordinates: &[Coordinate],
        accuracy: f64,
        budget: usize,
    ) -> Option<Self> {
        let steps = steps(smoothness, coordinates, accuracy);
        let radius_squared = 2.0 * (accuracy + 2.0 + coordinates.len() as f64);
        let mut lattice =
            Lattice { coordinates, steps: &steps, radius_squared, budget, nodes: Vec::new(), weights: Vec::new() };
        let mut point = vec![0.0; coordinates.len()];
        lattice.fill(0, radius_squared, 1.0, false, &mut point)?;
        let Lattice { nodes, weights, .. } = lattice;
        let reach = Reach::Steps { smoothness: *smoothness, accuracy, steps };
        Some(Self::from_rows(coordinates.len(), &nodes, &weights, reach))
    }

    /// Scrambled Sobol points, equally many of each scramble, or `None` if they are more than `budget`. The number of
    /// points grows with the accuracy.
    pub(crate) fn sobol(coordinates: &[Coordinate], accuracy: f64, scrambles: &[u32], budget: usize) -> Option<Self> {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a small positive number
        let each = 1_usize << ((0.75 * accuracy + 1.0).clamp(4.0, 31.0) as u32);
        let count = each.checked_mul(scrambles.len())?;
        if count > budget {
            return None;
        }
        let mut nodes = Vec::with_capacity(count * coordinates.len());
        for &scramble in scrambles {
            for n in 0..each {
                let mut moving = 0;
                for coordinate in coordinates {
                    nodes.push(if coordinate.gain > 0.0 {
                        moving += 1;
                        normal_quantile(uniform(n, moving - 1, scramble))
                    } else {
                        0.0
                    });
                }
            }
        }
        Some(Self::from_rows(coordinates.len(), &nodes, &vec![1.0; count], Reach::gains(coordinates)))
    }

    /// The product of Gauss-Hermite rules of `points` nodes, or `None` if it has more than `budget` nodes.
    pub(crate) fn hermite(coordinates: &[Coordinate], points: usize, budget: usize) -> Option<Self> {
        // Making a rule takes the third power of its points.
        let count = coordinates.iter().try_fold(1_usize, |n, _| n.checked_mul(points))?;
        if count > budget {
            return None;
        }
        let rule = GaussHermite::new(NonZeroUsize::new(points)?);
        let root = std::f64::consts::SQRT_2;
        let normal = std::f64::consts::PI.sqrt();
        // Physicists' weight exp(−x²): z = √2 x, w/√π.
        let line: Vec<(f64, f64)> = rule.iter().map(|&(x, w)| (root * x, w / normal)).collect();
        // A coordinate without gain now may get some later.
        let axes = vec![line.as_slice(); coordinates.len()];
        let (mut nodes, mut weights) = (Vec::with_capacity(count * axes.len()), Vec::with_capacity(count));
        for k in 0..count {
            let (mut rest, mut weight) = (k, 1.0);
            for axis in &axes {
                let (z, w) = axis[rest % axis.len()];
                rest /= axis.len();
                nodes.push(z);
                weight *= w;
            }
            weights.push(weight);
        }
        Some(Self::from_rows(axes.len(), &nodes, &weights, Reach::gains(coordinates)))
    }

    /// A table from nodes row by row; the weights are normalised to sum 1.
    fn from_rows(dimensions: usize, nodes: &[f64], weights: &[f64], reach: Reach<T>) -> Self {
        let mut table = Self { reach, ..Self::empty(dimensions) };
        table.refill(nodes, weights);
        table
    }

    /// A table without nodes.
    pub(crate) fn empty(dimensions: usize) -> Self {
        let reach = Reach::Any;
        Self { dimensions, padded: 0, count: 0, coordinates: Vec::new(), weights: Vec::new(), reach }
    }

    /// Replaces the nodes, given row by row; the weights are normalised to sum 1.
    pub(crate) fn refill(&mut self, nodes: &[f64], weights: &[f64]) {
        self.count = weights.len();
        self.padded = self.count.div_ceil(LANES) * LANES;
        let total: f64 = weights.iter().sum();
        self.coordinates.clear();
        self.coordinates.resize(self.dimensions * self.padded, T::zero());
        for (n, row) in nodes.chunks_exact(self.dimensions.max(1)).enumerate() {
            for (k, &z) in row.iter().enumerate() {
                self.coordinates[k * self.padded + n] = T::lit(z);
            }
        }
        self.weights.clear();
        self.weights.extend(weights.iter().map(|w| T::lit(w / total)));
        self.weights.resize(self.padded, T::zero());
    }

    /// The number of nodes, padding included: a multiple of the lane width.
    pub(crate) fn padded(&self) -> usize {
        self.padded
    }

    /// The number of nodes.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Coordinate k of every node.
    pub(crate) fn coordinate(&self, k: usize) -> &[T] {
        &self.coordinates[k * self.padded..(k + 1) * self.padded]
    }

    /// The weight of every node.
    pub(crate) fn weights(&self) -> &[T] {
        &self.weights
    }

    /// Whether fields that move so with the coordinates are still resolved, but for a little.
    pub(crate) fn resolves(&self, coordinates: &[Coordinate]) -> bool {
        match &self.reach {
            Reach::Any => true,
            Reach::Steps { smoothness, accuracy, steps: have } => {
                have.iter().zip(steps(smoothness, coordinates, *accuracy)).all(|(have, want)| *have <= COARSER * want)
            }
            Reach::Gains(gains) => gains.iter().zip(coordinates).all(|(had, now)| now.gain <= COARSER * had),
        }
    }
}

impl<T> Reach<T> {
    fn gains(coordinates: &[Coordinate]) -> Self {
        Self::Gains(coordinates.iter().map(|c| c.gain).collect())
    }
}

/// The lattice under construction.
struct Lattice<'a> {
    coordinates: &'a [Coordinate],
    steps: &'a [f64],
    radius_squared: f64,
    budget: usize,
    nodes: Vec<f64>,
    weights: Vec<f64>,
}

impl Lattice<'_> {
    /// Adds the points with the first `axis` coordinates given; `open` says that a reflected coordinate before this
    /// one is positive, so that its mirror image is already counted.
    fn fill(&mut self, axis: usize, rest: f64, multiplicity: f64, open: bool, point: &mut [f64]) -> Option<()> {
        if axis == self.coordinates.len() {
            if self.weights.len() >= self.budget {
                return None;
            }
            self.nodes.extend_from_slice(point);
            self.weights.push(multiplicity * (-0.5 * (self.radius_squared - rest)).exp());
            return Some(());
        }
        let step = self.steps[axis];
        if !step.is_finite() {
            point[axis] = 0.0;
            return self.fill(axis + 1, rest, multiplicity, open, point);
        }
        #[allow(clippy::cast_possible_truncation)] // a radius of order ten over a step that is positive
        let end = (rest.max(0.0).sqrt() / step).min(1e9) as i64;
        if usize::try_from(end).map_or(true, |end| end > self.budget) {
            return None;
        }
        let half = self.coordinates[axis].reflected && !open;
        for k in (if half { 0 } else { -end })..=end {
            let z = step * k as f64;
            point[axis] = z;
            let doubled = half && k > 0;
            self.fill(
                axis + 1,
                rest - z * z,
                if doubled { 2.0 * multiplicity } else { multiplicity },
                open || doubled,
                point,
            )?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn average(table: &NodeTable<f64>, f: impl Fn(&[f64]) -> f64) -> f64 {
        (0..table.padded())
            .map(|n| {
                let z: Vec<f64> = (0..table.dimensions).map(|k| table.coordinate(k)[n]).collect();
                table.weights()[n] * f(&z)
            })
            .sum()
    }

    #[test]
    fn trapezoid_meets_its_accuracy_on_analytic_integrands() {
        let tanh = Smoothness::Analytic { pole_distance: std::f64::consts::FRAC_PI_2 };
        let plain = |gain| Coordinate { gain, reflected: false };
        let fine = NodeTable::trapezoid(&tanh, &[plain(1.0)], 60.0, 10_000).unwrap();
        let sech = |z: &[f64]| z[0].cosh().powi(-2);
        for accuracy in [10.0, 15.0, 20.0, 25.0] {
            let table = NodeTable::trapezoid(&tanh, &[plain(1.0)], accuracy, 10_000).unwrap();
            let error = (average(&table, sech) - average(&fine, sech)).abs();
            assert!(error < 100.0 * f64::exp(-accuracy), "{accuracy}: {error}");
        }
    }

    #[test]
    fn moments_are_exact_and_reflection_halves_the_nodes() {
        let entire: Smoothness<f64> = Smoothness::Entire;
        let axes = |reflected| [Coordinate { gain: 0.1, reflected: false }, Coordinate { gain: 0.1, reflected }];
        let full = NodeTable::trapezoid(&entire, &axes(false), 30.0, 100_000).unwrap();
        let half = NodeTable::trapezoid(&entire, &axes(true), 30.0, 100_000).unwrap();
        for table in [&full, &half] {
            assert!((average(table, |_| 1.0) - 1.0).abs() < 1e-13);
            assert!((average(table, |z| z[0] * z[0] * z[1] * z[1]) - 1.0).abs() < 1e-10);
            assert!((average(table, |z| z[1].powi(4)) - 3.0).abs() < 1e-9);
        }
        assert!(half.count() < full.count() * 6 / 10);
    }

    #[test]
    fn hermite_is_exact_to_degree_two_n_minus_one() {
        let axis = Coordinate { gain: 1.0, reflected: false };
        let flat = Coordinate { gain: 0.0, reflected: false };
        let table = NodeTable::<f64>::hermite(&[axis, flat, axis], 4, 1000).unwrap();
        assert_eq!(table.count(), 64);
        assert!((average(&table, |z| z[0].powi(6) * z[2].powi(2)) - 15.0).abs() < 1e-12);
        assert!((average(&table, |z| z[0].powi(8)) - 105.0).abs() > 1.0, "degree 8 is not");
    }

    #[test]
    fn a_table_over_budget_is_not_made() {
        let axis = Coordinate { gain: 1.0, reflected: false };
        let tanh: Smoothness<f64> = Smoothness::Analytic { pole_distance: 1.5 };
        assert!(NodeTable::trapezoid(&tanh, &[axis; 4], 25.0, 10_000).is_none());
        assert!(NodeTable::<f64>::hermite(&[axis; 4], 20, 10_000).is_none());
        let wide = Coordinate { gain: 1e300, reflected: false };
        assert!(NodeTable::trapezoid(&tanh, &[wide], 25.0, 10_000).is_none());
    }
}
