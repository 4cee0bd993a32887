//! The bivariate normal law as a matrix between nodes of its two variables: Σ_ij F(z_i) K_ij G(z_j) ≈ E[F(z) G(w)] for
//! standard normal z and w of correlation r.
//!
//! Covers nodes on a lattice and of Gauss-Hermite rules. Not here: functions of several variables (see `two_views`).

use std::num::NonZeroUsize;

use gauss_quad::hermite::GaussHermite;

use crate::Scalar;
use crate::limit::averages::table::trapezoid_step;
use crate::model::Smoothness;
use crate::numerics::gauss::legendre;
use crate::numerics::kernels::dot;
use crate::numerics::lanes::LANES;

/// Nodes of one coordinate of each view, and the matrix between them, which follows r.
#[derive(Debug, Clone)]
pub(in crate::limit) struct Kernel<T> {
    nodes: Vec<f64>,
    rule: Rule,
    /// K, row by row, with rows of `width` entries; those beyond the number of nodes are zero.
    matrix: Vec<T>,
    width: usize,
    /// The same for E[F' G], and its transpose, for E[F G'].
    slopes: [Vec<T>; 2],
    /// Scratch: the profile across the diagonal, and along it.
    across: Vec<f64>,
    along: Vec<f64>,
}

#[derive(Debug, Clone)]
enum Rule {
    /// One node, for a coordinate that moves no field.
    Still,
    Lattice(Lattice),
    /// Hermite polynomials of unit norm at the nodes times their weights, polynomial by polynomial.
    Hermite {
        table: Vec<f64>,
        gain: f64,
    },
}

/// An even lattice.
///
/// With F and G each multiplied by the root of the normal density φ, so that they decay, the kernel is
/// 2/(1 + r) · exp(−(1 − r)/(8(1 + r)) (z + w)²) times a normal density of z − w with variance 4(1 − r)/(1 + r) (Mehler). As r → 1 the
/// density is narrower than the lattice. What the lattice resolves of F and G has wave numbers up to π/step, so the
/// density may be replaced by its part of these wave numbers: the sum is then as accurate as the trapezoidal rule for
/// F·G, for every r from 0 to 1, where it becomes that rule.
#[derive(Debug, Clone)]
struct Lattice {
    step: f64,
    /// The roots of φ at the nodes.
    roots: Vec<f64>,
    /// Gauss-Legendre nodes on [0, π], squared and halved.
    waves: Vec<f64>,
    /// cos(jx) at these nodes times their weights over π, j = 0, 1, … below the number of nodes.
    cosines: Vec<f64>,
    /// Scratch.
    spectrum: Vec<f64>,
}

/// The exponent at which a Gaussian is below rounding.
const NEGLIGIBLE: f64 = 40.0;

/// Gauss-Legendre nodes beyond the number of lattice nodes that resolve a Gaussian down to [`NEGLIGIBLE`].
const MORE_WAVES: usize = 24;

impl<T: Scalar> Kernel<T> {
    fn new(nodes: Vec<f64>, rule: Rule) -> Self {
        let (n, width) = (nodes.len(), nodes.len().div_ceil(LANES) * LANES);
        let scratch = || vec![0.0; 2 * n];
        let matrix = || vec![T::zero(); n * width];
        let slopes = [matrix(), matrix()];
        Self { nodes, rule, matrix: matrix(), width, slopes, across: scratch(), along: scratch() }
    }

    /// One node at zero.
    pub(in crate::limit) fn still() -> Self {
        Self::new(vec![0.0], Rule::Still)
    }

    /// A lattice of that step out to `radius`; rows are padded to a multiple of the lane width. `None` if it has more than `most` nodes.
    pub(in crate::limit) fn lattice(step: f64, radius: f64, most: usize) -> Option<Self> {
        let count = 2.0 * radius / step;
        if !(count < most as f64 && count < 1e6) {
            return None;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and a million
        let n = count.ceil() as usize + 1;
        let nodes: Vec<f64> = (0..n).map(|i| step * (i as f64 - 0.5 * (n - 1) as f64)).collect();
        let density = |z: f64| (-0.25 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt().sqrt();
        let (x, w) = legendre(n + MORE_WAVES);
        let x: Vec<f64> = x.iter().map(|x| 0.5 * std::f64::consts::PI * (1.0 + x)).collect();
        let cosines = (0..n).flat_map(|j| x.iter().zip(&w).map(move |(x, w)| 0.5 * w * (j as f64 * x).cos()));
        let lattice = Lattice {
            step,
            roots: nodes.iter().map(|&z| density(z)).collect(),
            cosines: cosines.collect(),
            spectrum: vec![0.0; x.len()],
            waves: x.iter().map(|x| 0.5 * x * x).collect(),
        };
        Some(Self::new(nodes, Rule::Lattice(lattice)))
    }

    /// A Gauss-Hermite rule of that many nodes, exact for F·G of degree below 2n, for a coordinate of that gain. `None` if
    /// they are 0, or more than `most`.
    pub(in crate::limit) fn hermite(points: usize, gain: f64, most: usize) -> Option<Self> {
        if points > most {
            return None;
        }
        let rule = GaussHermite::new(NonZeroUsize::new(points)?);
        // Physicists' weight exp(−x²): z = √2 x, w/√π.
        let nodes: Vec<f64> = rule.iter().map(|(x, _)| std::f64::consts::SQRT_2 * x).collect();
        let mut before = vec![0.0; points];
        let mut now: Vec<f64> = rule.iter().map(|(_, w)| w / std::f64::consts::PI.sqrt()).collect();
        let mut table = Vec::with_capacity(points * points);
        for degree in 0..points {
            table.extend_from_slice(&now);
            // √(n + 1) ψ_{n+1} = z ψ_n − √n ψ_{n−1}.
            let (root, next) = ((degree as f64).sqrt(), ((degree + 1) as f64).sqrt());
            for ((before, now), z) in before.iter_mut().zip(&mut now).zip(&nodes) {
                let value = (z * *now - root * *before) / next;
                *before = std::mem::replace(now, value);
            }
        }
        Some(Self::new(nodes, Rule::Hermite { table, gain }))
    }

    /// The nodes.
    pub(in crate::limit) fn nodes(&self) -> &[f64] {
        &self.nodes
    }

    /// The length of a row of the matrix: the number of nodes, padded.
    pub(in crate::limit) fn width(&self) -> usize {
        self.width
    }

    /// K, row by row; it is symmetric.
    pub(in crate::limit) fn matrix(&self) -> &[T] {
        &self.matrix
    }

    /// Σ_ij F(z_i) S_ij G(z_j) ≈ E[F'(z) G(w)]: S, row by row, and its transpose, as of the last
    /// [`differentiate`](Self::differentiate).
    pub(in crate::limit) fn slopes(&self) -> [&[T]; 2] {
        [&self.slopes[0], &self.slopes[1]]
    }

    /// Whether it is a lattice, on which derivatives of what it resolves are known.
    pub(in crate::limit) fn is_lattice(&self) -> bool {
        matches!(self.rule, Rule::Lattice(_))
    }

    /// Goes over to the derivatives at the present correlation: those of the interpolation by sinc functions, of F times the
    /// root of φ.
    pub(in crate::limit) fn differentiate(&mut self) {
        let Self { nodes, rule: Rule::Lattice(lattice), matrix, width, slopes: [slopes, transposed], .. } = self else {
            return;
        };
        let n = nodes.len();
        for i in 0..n {
            for j in 0..n {
                let mut sum = 0.5 * nodes[i] * matrix[i * *width + j].as_f64();
                for k in (0..n).filter(|&k| k != i) {
                    let sign = if (k + i) % 2 == 0 { 1.0 } else { -1.0 };
                    // Columns are weighted by the root of φ at k, not at i.
                    let weight = lattice.roots[i] / lattice.roots[k];
                    sum += sign / (nodes[k] - nodes[i]) * weight * matrix[k * *width + j].as_f64();
                }
                slopes[i * *width + j] = T::lit(sum);
                transposed[j * *width + i] = T::lit(sum);
            }
        }
    }

    /// Whether a coordinate of that gain is still resolved, within a tenth, as a rule of that accuracy does.
    pub(in crate::limit) fn resolves(&self, smoothness: &Smoothness<T>, gain: f64, accuracy: f64) -> bool {
        match &self.rule {
            Rule::Still => gain == 0.0,
            Rule::Lattice(lattice) => gain == 0.0 || lattice.step <= 1.1 * trapezoid_step(smoothness, gain, accuracy),
            Rule::Hermite { gain: had, .. } => gain <= 1.1 * had,
        }
    }

    /// Goes over to that correlation, between 0 (or hardly less) and 1.
    pub(in crate::limit) fn correlate(&mut self, r: f64) {
        let n = self.nodes.len();
        let Self { nodes, rule, matrix, width, across, along, .. } = self;
        match rule {
            Rule::Still => matrix[0] = T::one(),
            Rule::Lattice(lattice) => {
                lattice.profile(r, &mut across[..n]);
                // z_i + z_j runs over a lattice too.
                let slope = (1.0 - r) / (8.0 * (1.0 + r));
                let scale = 2.0 * lattice.step / (1.0 + r);
                for (sum, value) in along[..2 * n - 1].iter_mut().enumerate() {
                    let z = nodes[0] + nodes[0] + lattice.step * sum as f64;
                    *value = scale * (-slope * z * z).exp();
                }
                for i in 0..n {
                    for j in 0..=i {
                        let value = T::lit(lattice.roots[i] * lattice.roots[j] * along[i + j] * across[i - j]);
                        matrix[i * *width + j] = value;
                        matrix[j * *width + i] = value;
                    }
                }
            }
            Rule::Hermite { table, .. } => {
                for i in 0..n {
                    for j in 0..=i {
                        // Horner's rule in r.
                        let terms = table.chunks_exact(n).rev();
                        let value = T::lit(terms.fold(0.0, |sum, row| sum * r + row[i] * row[j]));
                        matrix[i * *width + j] = value;
                        matrix[j * *width + i] = value;
                    }
                }
            }
        }
    }
}

impl Lattice {
    /// step times the resolved part of the normal density of variance 4(1 − r)/(1 + r) at the distances 0, step, …
    fn profile(&mut self, r: f64, out: &mut [f64]) {
        let variance = 4.0 * (1.0 - r) / ((1.0 + r) * self.step * self.step);
        let pi = std::f64::consts::PI;
        if 0.5 * variance * pi * pi > NEGLIGIBLE {
            let scale = 1.0 / (2.0 * pi * variance).sqrt();
            for (j, out) in out.iter_mut().enumerate() {
                *out = scale * (-((j * j) as f64) / (2.0 * variance)).exp();
            }
            return;
        }
        for (value, x) in self.spectrum.iter_mut().zip(&self.waves) {
            *value = (-variance * x).exp();
        }
        for (out, cosines) in out.iter_mut().zip(self.cosines.chunks_exact(self.spectrum.len())) {
            *out = dot(cosines, &self.spectrum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn average(kernel: &mut Kernel<f64>, r: f64, f: impl Fn(f64) -> f64, g: impl Fn(f64) -> f64) -> f64 {
        kernel.correlate(r);
        let (z, width) = (kernel.nodes().to_vec(), kernel.width());
        let matrix = kernel.matrix();
        let row = |i: usize| -> f64 { (0..z.len()).map(|j| matrix[i * width + j] * g(z[j])).sum() };
        (0..z.len()).map(|i| f(z[i]) * row(i)).sum()
    }

    /// From independent to equal variables, and close to either.
    const CORRELATIONS: [f64; 9] = [0.0, 1e-9, 0.3, 0.65, 0.9, 0.97, 0.999, 1.0 - 1e-9, 1.0];

    #[test]
    fn lattices_average_to_their_accuracy_at_every_correlation() {
        // E[erf(az) erf(bw)] = (2/π) arcsin(2abr/√((1 + 2a²)(1 + 2b²))).
        let (a, b) = (0.7, 0.5);
        let mut kernel = Kernel::lattice(0.45, 8.5, 1000).unwrap();
        for r in CORRELATIONS {
            let exact = (2.0 * a * b * r / ((1.0 + 2.0 * a * a) * (1.0 + 2.0 * b * b)).sqrt()).asin();
            let exact = exact * std::f64::consts::FRAC_2_PI;
            let got = average(&mut kernel, r, |z| libm::erf(a * z), |z| libm::erf(b * z));
            assert!((got - exact).abs() < 1e-13, "{r}: {got} {exact}");
            // An odd by an even function, and the whole mass.
            assert!(average(&mut kernel, r, f64::sin, f64::cos).abs() < 1e-14);
            assert!((average(&mut kernel, r, |_| 1.0, |_| 1.0) - 1.0).abs() < 1e-13, "{r}");
            // E[cos(az) cos(bw)] = exp(−(a² + b²)/2) cosh(abr).
            let exact = (-0.5 * (a * a + b * b)).exp() * (a * b * r).cosh();
            let got = average(&mut kernel, r, |z| (a * z).cos(), |z| (b * z).cos());
            assert!((got - exact).abs() < 1e-13, "{r}: {got} {exact}");
        }
    }

    #[test]
    fn derivatives_are_those_of_the_functions() {
        let mut kernel = Kernel::<f64>::lattice(0.45, 8.5, 1000).unwrap();
        for r in CORRELATIONS {
            kernel.correlate(r);
            kernel.differentiate();
            let (z, width, [slopes, transposed]) = (kernel.nodes(), kernel.width(), kernel.slopes());
            let sum = |s: &[f64], f: &dyn Fn(f64) -> f64, g: &dyn Fn(f64) -> f64| -> f64 {
                (0..z.len()).map(|i| (0..z.len()).map(|j| f(z[i]) * s[i * width + j] * g(z[j])).sum::<f64>()).sum()
            };
            // E[sin'(z) cos(w)] = E[cos(z) cos(w)].
            let exact = (-1.0_f64).exp() * r.cosh();
            assert!((sum(slopes, &f64::sin, &f64::cos) - exact).abs() < 1e-12, "{r}");
            assert!((sum(transposed, &f64::cos, &f64::sin) - exact).abs() < 1e-12, "{r}");
        }
    }

    #[test]
    fn a_step_that_is_too_long_shows() {
        let mut kernel = Kernel::lattice(1.6, 8.5, 1000).unwrap();
        let got = average(&mut kernel, 1.0, |z| (2.0 * z).cos(), |z| (2.0 * z).cos());
        assert!((got - 0.5 * (1.0 + (-8.0_f64).exp())).abs() > 1e-4);
    }

    #[test]
    fn hermite_rules_are_exact_for_polynomials() {
        let mut kernel = Kernel::hermite(5, 1.0, 1000).unwrap();
        for r in CORRELATIONS {
            // E[z⁴ w⁴] = 9 + 72 r² + 24 r⁴, E[z³ w] = 3r.
            let got = average(&mut kernel, r, |z| z.powi(4), |z| z.powi(4));
            assert!((got - (9.0 + 72.0 * r * r + 24.0 * r.powi(4))).abs() < 1e-11, "{r}: {got}");
            assert!((average(&mut kernel, r, |z| z.powi(3), |z| z) - 3.0 * r).abs() < 1e-12);
        }
    }

    #[test]
    fn more_nodes_than_allowed_are_not_made() {
        assert!(Kernel::<f64>::lattice(0.1, 10.0, 100).is_none() && Kernel::<f64>::hermite(101, 1.0, 100).is_none());
        assert!(Kernel::<f64>::lattice(1e-300, 10.0, usize::MAX).is_none());
    }
}
