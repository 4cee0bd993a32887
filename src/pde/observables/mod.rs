//! What a law of weights shows: histograms, densities, quantiles, sparsity, moments, and distances between laws.
//!
//! Covers [`Marginal`], the law of one real quantity, made from a sample (particles, or the weights of SGD) or from a density
//! on a grid, so that both are looked at and compared in the same way. Not here: where samples and densities come from.

mod walk;

use crate::Scalar;
use crate::data::{Cell, Table};
use walk::{Knot, Walk};

/// Why an observable does not exist.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ObservableError {
    /// Nothing to look at: no values, or none that is kept.
    #[error("a law needs at least one value of positive weight")]
    Empty,
    /// Two lists do not belong together.
    #[error("expected {expected} {what}, got {got}")]
    Length {
        /// What is counted.
        what: &'static str,
        /// How many are needed.
        expected: usize,
        /// How many there are.
        got: usize,
    },
    /// A value is NaN or infinite.
    #[error("value {index} is {value}")]
    NotFinite {
        /// Which.
        index: usize,
        /// The value.
        value: f64,
    },
    /// A weight or mass is negative, NaN or infinite.
    #[error("weight {index} must be finite and at least 0, got {value}")]
    Weight {
        /// Which.
        index: usize,
        /// The value.
        value: f64,
    },
    /// Edges do not increase.
    #[error("edges must be at least two, finite and increasing: edge {index} is {value}")]
    Edges {
        /// Which.
        index: usize,
        /// The value.
        value: f64,
    },
    /// A number is out of range.
    #[error("the {name} is out of range: {value}")]
    OutOfRange {
        /// Which number.
        name: &'static str,
        /// The value given.
        value: f64,
    },
}

/// The law of one real quantity, say of one neuron's weight: a weighted sample or a piecewise constant density.
///
/// Kept as its distribution function, in double precision, of total mass 1. Whatever is read off it is exact for the
/// sample or the density that it was made from.
///
/// ```
/// use contrastive_dynamics::pde::observables::Marginal;
/// let sample = Marginal::sample(&[0.1, -0.4, 0.0, 0.7])?;
/// let density = Marginal::density(&[-0.5, 0.0, 1.0], &[0.5, 0.5])?;
/// assert_eq!(sample.fraction_within(0.1)?, 0.5);
/// assert_eq!(density.quantile(0.75)?, 0.5);
/// assert!((sample.wasserstein(&density) - 0.1225).abs() < 1e-12);
/// # Ok::<(), contrastive_dynamics::pde::observables::ObservableError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Marginal {
    knots: Vec<Knot>,
}

impl Marginal {
    /// The law of a sample: equal masses at its values.
    ///
    /// # Errors
    /// [`ObservableError::Empty`], [`ObservableError::NotFinite`].
    pub fn sample<T: Scalar>(values: &[T]) -> Result<Self, ObservableError> {
        Self::from_atoms(values, |_| 1.0)
    }

    /// The law of a sample with weights, which are scaled to sum 1.
    ///
    /// # Errors
    /// [`ObservableError::Length`], [`ObservableError::Weight`]; [`ObservableError::Empty`] if all weights are 0;
    /// [`ObservableError::NotFinite`].
    pub fn weighted<T: Scalar>(values: &[T], weights: &[T]) -> Result<Self, ObservableError> {
        check_length("weights", values.len(), weights.len())?;
        Self::from_atoms(values, |n| weights[n].as_f64())
    }

    /// The law of those values of a sample that are kept, say of weights given that the feature is on:
    /// `Marginal::conditional(w, |n| u[n] > 0.0)`.
    ///
    /// # Errors
    /// [`ObservableError::Empty`] if none is kept, [`ObservableError::NotFinite`].
    pub fn conditional<T: Scalar>(values: &[T], keep: impl Fn(usize) -> bool) -> Result<Self, ObservableError> {
        Self::from_atoms(values, |n| if keep(n) { 1.0 } else { 0.0 })
    }

    fn from_atoms<T: Scalar>(values: &[T], weight: impl Fn(usize) -> f64) -> Result<Self, ObservableError> {
        let mut atoms = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            let (value, mass) = (value.as_f64(), weight(index));
            if !(mass >= 0.0 && mass.is_finite()) {
                return Err(ObservableError::Weight { index, value: mass });
            }
            if !value.is_finite() {
                return Err(ObservableError::NotFinite { index, value });
            }
            if mass > 0.0 {
                atoms.push((value, mass));
            }
        }
        atoms.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let mut knots: Vec<Knot> = Vec::with_capacity(atoms.len());
        let mut sum = 0.0;
        for (x, mass) in atoms {
            let below = sum;
            sum += mass;
            match knots.last_mut() {
                // Compared as numbers: −0 is 0.
                Some(knot) if knot.x == x => knot.at = sum,
                _ => knots.push(Knot { x, below, at: sum }),
            }
        }
        Self::normalised(knots)
    }

    /// The law with constant density between neighbouring `edges`, of those masses (one fewer), which are scaled to
    /// sum 1.
    ///
    /// # Errors
    /// [`ObservableError::Edges`], [`ObservableError::Length`], [`ObservableError::Weight`],
    /// [`ObservableError::Empty`] if all masses are 0.
    pub fn density<T: Scalar>(edges: &[T], masses: &[T]) -> Result<Self, ObservableError> {
        let edges: Vec<f64> = edges.iter().map(|x| x.as_f64()).collect();
        check_edges(&edges)?;
        check_length("masses", edges.len() - 1, masses.len())?;
        let mut knots = vec![Knot { x: edges[0], below: 0.0, at: 0.0 }];
        let mut sum = 0.0;
        for (index, mass) in masses.iter().enumerate() {
            let mass = mass.as_f64();
            if !(mass >= 0.0 && mass.is_finite()) {
                return Err(ObservableError::Weight { index, value: mass });
            }
            sum += mass;
            knots.push(Knot { x: edges[index + 1], below: sum, at: sum });
        }
        Self::normalised(knots)
    }

    /// The mixture of laws with those weights, scaled to sum 1: the law of w from its laws given u.
    ///
    /// # Errors
    /// [`ObservableError::Weight`]; [`ObservableError::Empty`] if there is none of positive weight.
    pub fn mixture(parts: &[(f64, &Self)]) -> Result<Self, ObservableError> {
        for (index, &(value, _)) in parts.iter().enumerate() {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(ObservableError::Weight { index, value });
            }
        }
        let mut points: Vec<f64> = parts.iter().flat_map(|(_, part)| part.knots.iter().map(|knot| knot.x)).collect();
        points.sort_unstable_by(f64::total_cmp);
        points.dedup();
        let mut knots: Vec<Knot> = points.iter().map(|&x| Knot { x, below: 0.0, at: 0.0 }).collect();
        for (weight, part) in parts {
            let mut walk = Walk::new(&part.knots);
            for knot in &mut knots {
                let (below, at) = walk.to(knot.x);
                knot.below += weight * below;
                knot.at += weight * at;
            }
        }
        Self::normalised(knots)
    }

    /// Scales to total mass 1.
    fn normalised(mut knots: Vec<Knot>) -> Result<Self, ObservableError> {
        let total = knots.last().map_or(0.0, |knot| knot.at);
        if !(total > 0.0 && total.is_finite()) {
            return Err(ObservableError::Empty);
        }
        for knot in &mut knots {
            knot.below /= total;
            knot.at /= total;
        }
        Ok(Self { knots })
    }

    /// (P(X < x), P(X ≤ x)).
    fn both(&self, x: f64) -> (f64, f64) {
        let next = self.knots.partition_point(|knot| knot.x < x);
        Walk::starting(&self.knots, next).to(x)
    }

    /// P(X ≤ x); NaN for NaN.
    #[must_use]
    pub fn cdf(&self, x: f64) -> f64 {
        if x.is_nan() { x } else { self.both(x).1 }
    }

    /// P(|X| ≤ δ): of weights, how sparse they are.
    ///
    /// # Errors
    /// [`ObservableError::OutOfRange`] unless δ ≥ 0.
    pub fn fraction_within(&self, delta: f64) -> Result<f64, ObservableError> {
        if !(delta >= 0.0) {
            return Err(ObservableError::OutOfRange { name: "half width delta", value: delta });
        }
        Ok(self.both(delta).1 - self.both(-delta).0)
    }

    /// The quantile of level q: the smallest x with P(X ≤ x) ≥ q; for q = 0 the lower end of the support.
    ///
    /// # Errors
    /// [`ObservableError::OutOfRange`] unless 0 ≤ q ≤ 1.
    pub fn quantile(&self, q: f64) -> Result<f64, ObservableError> {
        if !(0.0..=1.0).contains(&q) {
            return Err(ObservableError::OutOfRange { name: "level of a quantile", value: q });
        }
        // Densities may have empty cells at their lower end.
        let first = self.knots.partition_point(|knot| if q > 0.0 { knot.at < q } else { knot.at <= 0.0 });
        let k = first.min(self.knots.len() - 1);
        let knot = self.knots[k];
        let Some(before) = k.checked_sub(1).map(|k| self.knots[k]) else { return Ok(knot.x) };
        if knot.below <= q || knot.below <= before.at {
            // Reached by a jump, or exactly here; but at q = 0 the cell below is where the mass begins.
            return Ok(if q == 0.0 && knot.below > before.at { before.x } else { knot.x });
        }
        Ok(before.x + (q - before.at) / (knot.below - before.at) * (knot.x - before.x))
    }

    /// E\[X^k\].
    #[must_use]
    pub fn moment(&self, k: u32) -> f64 {
        if k > EXPANDED {
            return self.average(|x| power(x, k), |middle, half| mean_power(middle, half, k));
        }
        self.average(
            |x| power(x, k),
            |middle, half| {
                // The mean over a cell, expanded about its middle: no difference of large powers.
                let (mut sum, mut binomial) = (0.0, 1.0);
                for j in 0..=k {
                    if j % 2 == 0 {
                        sum += binomial * power(middle, k - j) * power(half, j) / f64::from(j + 1);
                    }
                    binomial *= f64::from(k - j) / f64::from(j + 1);
                }
                sum
            },
        )
    }

    /// E\[X\].
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.moment(1)
    }

    /// E\[(X − E\[X\])²\].
    #[must_use]
    pub fn variance(&self) -> f64 {
        let mean = self.mean();
        self.average(|x| (x - mean) * (x - mean), |middle, half| (middle - mean).powi(2) + half * half / 3.0)
    }

    /// Σ mass·f, f by its value at an atom and by its mean over the cell of that middle and half width.
    fn average(&self, atom: impl Fn(f64) -> f64, cell: impl Fn(f64, f64) -> f64) -> f64 {
        let mut sum = 0.0;
        let mut previous: Option<Knot> = None;
        for knot in &self.knots {
            if let Some(before) = previous.filter(|before| knot.below > before.at) {
                let half = 0.5 * (knot.x - before.x);
                sum += (knot.below - before.at) * cell(before.x + half, half);
            }
            if knot.at > knot.below {
                sum += (knot.at - knot.below) * atom(knot.x);
            }
            previous = Some(*knot);
        }
        sum
    }

    /// The masses between neighbouring edges, an edge belonging to the cell above it and the last one to the cell below.
    ///
    /// # Errors
    /// [`ObservableError::Edges`] unless there are at least two, finite and increasing.
    pub fn histogram(&self, edges: &[f64]) -> Result<Histogram, ObservableError> {
        check_edges(edges)?;
        let mut walk = Walk::new(&self.knots);
        let both: Vec<(f64, f64)> = edges.iter().map(|&x| walk.to(x)).collect();
        let last = edges.len() - 1;
        let upper = |k: usize| if k == last { both[k].1 } else { both[k].0 };
        let masses = (0..last).map(|k| upper(k + 1) - both[k].0).collect();
        Ok(Histogram { edges: edges.to_vec(), masses, below: both[0].0, above: 1.0 - both[last].1 })
    }

    /// The density at those points, smoothed with a Gaussian kernel of standard deviation `bandwidth`.
    ///
    /// # Errors
    /// [`ObservableError::OutOfRange`] unless the bandwidth is positive and finite, and so is the height of the kernel;
    /// [`ObservableError::NotFinite`] for points that are not.
    pub fn kernel_density(&self, bandwidth: f64, at: &[f64]) -> Result<Vec<f64>, ObservableError> {
        let height = 1.0 / (bandwidth * (2.0 * std::f64::consts::PI).sqrt());
        if !(bandwidth > 0.0 && bandwidth.is_finite() && height.is_finite()) {
            return Err(ObservableError::OutOfRange { name: "bandwidth", value: bandwidth });
        }
        if let Some((index, &value)) = at.iter().enumerate().find(|(_, x)| !x.is_finite()) {
            return Err(ObservableError::NotFinite { index, value });
        }
        let normal = |z: f64| 0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2);
        Ok(at
            .iter()
            .map(|&y| {
                let atom = |x: f64| height * (-0.5 * ((y - x) / bandwidth).powi(2)).exp();
                self.average(atom, |middle, half| {
                    let ends = [y - middle + half, y - middle - half].map(|x| normal(x / bandwidth));
                    (ends[0] - ends[1]) / (2.0 * half)
                })
            })
            .collect())
    }

    /// Silverman's bandwidth 0.9 min(s, (q₀.₇₅ − q₀.₂₅)/1.349) n^{−1/5} for a sample, n being 1/Σ mass²; `None` for a
    /// density, or if the sample has no spread.
    ///
    /// Source: B. W. Silverman, *Density Estimation for Statistics and Data Analysis* (1986), eq. 3.31.
    #[must_use]
    pub fn silverman_bandwidth(&self) -> Option<f64> {
        let squares: f64 = self.knots.iter().map(|knot| (knot.at - knot.below).powi(2)).sum();
        let quartiles = self.quantile(0.75).ok()? - self.quantile(0.25).ok()?;
        let deviation = self.variance().sqrt();
        let spread = if quartiles > 0.0 { deviation.min(quartiles / 1.349) } else { deviation };
        let bandwidth = 0.9 * spread * squares.powf(0.2);
        (bandwidth > 0.0 && bandwidth.is_finite()).then_some(bandwidth)
    }

    /// The Wasserstein-1 distance ∫ |F − G| dx, exact: between samples, densities, or one of each.
    #[must_use]
    pub fn wasserstein(&self, other: &Self) -> f64 {
        let (mut one, mut two) = (Walk::new(&self.knots), Walk::new(&other.knots));
        let mut distance = 0.0;
        let mut previous: Option<(f64, f64)> = None;
        while let Some(x) = match (one.peek(), two.peek()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        } {
            let ((below_one, at_one), (below_two, at_two)) = (one.to(x), two.to(x));
            one.pass(x);
            two.pass(x);
            if let Some((before, start)) = previous {
                // F − G is linear in between.
                let end = below_one - below_two;
                let (s, e) = (start.abs(), end.abs());
                let mean = if start * end >= 0.0 { 0.5 * (s + e) } else { 0.5 * (s * s + e * e) / (s + e) };
                distance += mean * (x - before);
            }
            previous = Some((x, at_one - at_two));
        }
        distance
    }
}

/// The masses of a law between edges; made by [`Marginal::histogram`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Histogram {
    /// The edges, one more than there are masses.
    pub edges: Vec<f64>,
    /// The masses between neighbouring edges.
    pub masses: Vec<f64>,
    /// The mass below the first edge.
    pub below: f64,
    /// The mass above the last edge.
    pub above: f64,
}

impl Histogram {
    /// Mass over width of every cell: the density.
    #[must_use]
    pub fn densities(&self) -> Vec<f64> {
        self.masses.iter().zip(self.edges.windows(2)).map(|(mass, edge)| mass / (edge[1] - edge[0])).collect()
    }

    /// A row for every cell: its edges `lower` and `upper`, its `mass` and `density`. What is outside is a comment.
    #[must_use]
    pub fn to_table(&self) -> Table {
        let outside = format!("mass below {}, above {}", self.below, self.above);
        let mut table = Table::of(["lower", "upper", "mass", "density"]).comment(outside);
        for ((edges, mass), density) in self.edges.windows(2).zip(&self.masses).zip(self.densities()) {
            table.add([edges[0], edges[1], *mass, density].map(Cell::from));
        }
        table
    }
}

/// Up to that power means over cells are expanded about the middle.
const EXPANDED: u32 = 32;

/// x^k, for powers beyond those of `i32` too.
fn power(x: f64, k: u32) -> f64 {
    i32::try_from(k).map_or_else(
        |_| if k % 2 == 1 { x.abs().powf(f64::from(k)).copysign(x) } else { x.abs().powf(f64::from(k)) },
        |k| x.powi(k),
    )
}

/// The mean of x^k over a cell of that middle and half width, by the powers of its ends: from 0 to b it is b^k/(k + 1), and from a to b
/// of one sign that times (1 − (a/b)^(k + 1))/(1 − a/b).
fn mean_power(middle: f64, half: f64, k: u32) -> f64 {
    let count = f64::from(k) + 1.0;
    let far = middle.abs() + half;
    // What is odd is so in the middle.
    let sign = if k % 2 == 1 { 1.0_f64.copysign(middle) } else { 1.0 };
    let nearer = half - middle.abs();
    if nearer > 0.0 {
        // Zero lies within.
        let other = if k % 2 == 1 { -power(nearer, k) } else { power(nearer, k) };
        return sign * (far * power(far, k) + nearer * other) / (count * 2.0 * half);
    }
    let part = (2.0 * half / far).min(1.0);
    sign * power(far, k) * -(count * (-part).ln_1p()).exp_m1() / (count * part)
}

fn check_length(what: &'static str, expected: usize, got: usize) -> Result<(), ObservableError> {
    if expected == got { Ok(()) } else { Err(ObservableError::Length { what, expected, got }) }
}

fn check_edges(edges: &[f64]) -> Result<(), ObservableError> {
    check_at_least_two(edges)?;
    for (index, pair) in edges.windows(2).enumerate() {
        if !(pair[0] < pair[1] && pair[1].is_finite()) {
            return Err(ObservableError::Edges { index: index + 1, value: pair[1] });
        }
    }
    Ok(())
}

fn check_at_least_two(edges: &[f64]) -> Result<(), ObservableError> {
    match edges {
        [] | [_] => Err(ObservableError::Length { what: "edges (or more)", expected: 2, got: edges.len() }),
        [first, ..] if !first.is_finite() => Err(ObservableError::Edges { index: 0, value: *first }),
        _ => Ok(()),
    }
}
