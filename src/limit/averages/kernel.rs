//! The bivariate normal law as a matrix between nodes of its two variables: Σ_ij F(z_i) K_ij G(z_j) ≈ E[F(z) G(w)] for
//! standard normal z and w of correlation r.
//!
//! Covers nodes on a lattice and of Gauss-Hermite rules. Not here: functions of several variables (see `two_views`).

use std::num::NonZeroUsize;

use gauss_quad::hermite::GaussHermite;

use crate::Scalar;
use crate::limit::accuracy::COARSER;
use crate::limit::averages::table::trapezoid_step;
use crate::model::Smoothness;
use crate::numerics::gauss::legendre;
use crate::numerics::kernels::dot;

/// Nodes of one coordinate of each view, and the matrix between them, which follows r.
///
/// Nodes lie in pairs z and −z, and the matrix keeps the parity of a function. So functions are given by their even and odd parts
/// F(z) ± F(−z) at positive nodes, and there is a matrix for each: a quarter of the entries, two times.
#[derive(Debug, Clone)]
pub(in crate::limit) struct Kernel<T> {
    /// The positive nodes, then the same with the other sign.
    nodes: Vec<f64>,
    rule: Rule,
    /// Between even parts and between odd parts, row by row; symmetric.
    matrices: [Vec<T>; 2],
    slopes: Slopes<T>,
    /// Scratch: the profile across the diagonal, and along it.
    across: Vec<f64>,
    along: Vec<f64>,
}

/// Matrices for E[F'(z) G(w)], by the parity of F; that of G is the other.
#[derive(Debug, Clone)]
pub(in crate::limit) struct Slopes<T> {
    pub(in crate::limit) by_first: [Vec<T>; 2],
    /// Transposed: rows belong to G.
    pub(in crate::limit) transposed: [Vec<T>; 2],
}

#[derive(Debug, Clone)]
enum Rule {
    /// All nodes at zero, for a coordinate that moves no field.
    Still,
    Lattice(Lattice),
    /// Hermite polynomials of unit norm at the positive nodes times their weights, polynomial by polynomial.
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
    /// The roots of φ at the positive nodes.
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
    fn new(positive: &[f64], rule: Rule) -> Self {
        let half = positive.len();
        let matrices = || [vec![T::zero(); half * half], vec![T::zero(); half * half]];
        Self {
            nodes: positive.iter().copied().chain(positive.iter().map(|z| -z)).collect(),
            rule,
            matrices: matrices(),
            slopes: Slopes { by_first: matrices(), transposed: matrices() },
            across: vec![0.0; 2 * half],
            along: vec![0.0; 2 * half],
        }
    }

    /// Nodes at zero only: twice `multiple` of them.
    pub(in crate::limit) fn still(multiple: usize) -> Self {
        Self::new(&vec![0.0; multiple], Rule::Still)
    }

    /// A lattice of that step, or a smaller one, out to `radius`; half the number of nodes is a multiple of `multiple`. `None` if
    /// it needs more than `most` nodes.
    pub(in crate::limit) fn lattice(step: f64, radius: f64, multiple: usize, most: usize) -> Option<Self> {
        let count = 2.0 * radius / step;
        if !(count < most as f64 && count < 1e6) {
            return None;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and a million
        let least = (0.5 * (count + 1.0)).ceil() as usize;
        let half = least.next_multiple_of(multiple);
        // More nodes than asked for go into both, as their errors balance.
        let step = step * (least as f64 / half as f64).powf(2.0 / 3.0);
        let nodes: Vec<f64> = (0..half).map(|i| step * (i as f64 + 0.5)).collect();
        let density = |z: f64| (-0.25 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt().sqrt();
        let (x, w) = legendre(2 * half + MORE_WAVES);
        let x: Vec<f64> = x.iter().map(|x| 0.5 * std::f64::consts::PI * (1.0 + x)).collect();
        let cosines = (0..2 * half).flat_map(|j| x.iter().zip(&w).map(move |(x, w)| 0.5 * w * (j as f64 * x).cos()));
        let lattice = Lattice {
            step,
            roots: nodes.iter().map(|&z| density(z)).collect(),
            cosines: cosines.collect(),
            spectrum: vec![0.0; x.len()],
            waves: x.iter().map(|x| 0.5 * x * x).collect(),
        };
        Some(Self::new(&nodes, Rule::Lattice(lattice)))
    }

    /// A Gauss-Hermite rule of at least that many nodes n, exact for F·G of degree below 2n, for a coordinate of that gain; half
    /// their number is a multiple of `multiple`. `None` for 0 or more than `most`.
    pub(in crate::limit) fn hermite(points: usize, gain: f64, multiple: usize, most: usize) -> Option<Self> {
        if points > most {
            return None;
        }
        let count = 2 * points.div_ceil(2).next_multiple_of(multiple);
        let rule = GaussHermite::new(NonZeroUsize::new(count)?);
        // Physicists' weight exp(−x²): z = √2 x, w/√π.
        let (nodes, mut now): (Vec<f64>, Vec<f64>) = rule
            .iter()
            .filter(|(x, _)| *x > 0.0)
            .map(|(x, w)| (std::f64::consts::SQRT_2 * x, w / std::f64::consts::PI.sqrt()))
            .unzip();
        let half = nodes.len();
        let mut before = vec![0.0; half];
        let mut table = Vec::with_capacity(2 * half * half);
        for degree in 0..2 * half {
            table.extend_from_slice(&now);
            // √(n + 1) ψ_{n+1} = z ψ_n − √n ψ_{n−1}.
            let (root, next) = ((degree as f64).sqrt(), ((degree + 1) as f64).sqrt());
            for ((before, now), z) in before.iter_mut().zip(&mut now).zip(&nodes) {
                let value = (z * *now - root * *before) / next;
                *before = std::mem::replace(now, value);
            }
        }
        Some(Self::new(&nodes, Rule::Hermite { table, gain }))
    }

    /// The nodes: the positive ones, then the same with the other sign.
    pub(in crate::limit) fn nodes(&self) -> &[f64] {
        &self.nodes
    }

    /// The number of positive nodes: rows and columns of a matrix.
    pub(in crate::limit) fn half(&self) -> usize {
        self.nodes.len() / 2
    }

    /// Σ_ij F_i K_ij G_j for even (0) or odd (1) parts F(z_i) ± F(−z_i) and G(z_j) ± G(−z_j): K, row by row; it is symmetric. The average
    /// is the sum of both.
    pub(in crate::limit) fn matrix(&self, parity: usize) -> &[T] {
        &self.matrices[parity]
    }

    /// K between all nodes, in rows of that length.
    pub(in crate::limit) fn write_full(&self, out: &mut [T], length: usize) {
        let half = self.half();
        let (above, below) = out.split_at_mut(half * length);
        let lines = above.chunks_exact_mut(length).zip(below.chunks_exact_mut(length)).take(half);
        for (i, (above, below)) in lines.enumerate() {
            let ((a, b), (c, d)) = (above.split_at_mut(half), below.split_at_mut(half));
            let [even, odd] = [0, 1].map(|parity| &self.matrices[parity][i * half..][..half]);
            for j in 0..half {
                (a[j], d[j]) = (even[j] + odd[j], even[j] + odd[j]);
                (b[j], c[j]) = (even[j] - odd[j], even[j] - odd[j]);
            }
        }
    }

    /// Matrices for E[F'(z) G(w)] as of the last [`differentiate`](Self::differentiate).
    pub(in crate::limit) fn slopes(&self) -> &Slopes<T> {
        &self.slopes
    }

    /// Whether it is a lattice, on which derivatives of what it resolves are known.
    pub(in crate::limit) fn is_lattice(&self) -> bool {
        matches!(self.rule, Rule::Lattice(_))
    }

    /// Goes over to the derivatives at the present correlation: those of the interpolation by sinc functions, of F times the
    /// root of φ.
    pub(in crate::limit) fn differentiate(&mut self) {
        let half = self.half();
        let Self { nodes, rule: Rule::Lattice(lattice), matrices, slopes, .. } = self else { return };
        // (−1)^(i − k)/(z_k − z_i), and columns weighted by the root of φ at k, not at i.
        let (roots, step) = (&lattice.roots, lattice.step);
        let sign = |n: usize| if n.is_multiple_of(2) { 1.0 } else { -1.0 };
        let entry = |i: usize, k: usize, parity: f64| {
            let same = if i == k { 0.0 } else { sign(i + k) / (nodes[k] - nodes[i]) };
            // −z_k is i + k + 1 steps below z_i.
            let other = -sign(i + k + 1) / (step * (i + k + 1) as f64);
            let own = if i == k { 0.5 * nodes[i] } else { 0.0 };
            own + roots[i] / roots[k] * (same + parity * other)
        };
        for (parity, sign) in [-1.0, 1.0].into_iter().enumerate() {
            // F even with G odd, then F odd with G even.
            let matrix = &matrices[1 - parity];
            for i in 0..half {
                let row = &mut slopes.by_first[parity][i * half..(i + 1) * half];
                row.fill(T::zero());
                for k in 0..half {
                    let factor = T::lit(entry(i, k, sign));
                    row.iter_mut().zip(&matrix[k * half..]).for_each(|(out, &x)| *out += factor * x);
                }
                for (j, &x) in row.iter().enumerate() {
                    slopes.transposed[parity][j * half + i] = x;
                }
            }
        }
    }

    /// Whether a coordinate of that gain is still resolved, but for a little, as a rule of that accuracy does.
    pub(in crate::limit) fn resolves(&self, smoothness: &Smoothness<T>, gain: f64, accuracy: f64) -> bool {
        match &self.rule {
            Rule::Still => gain == 0.0,
            Rule::Lattice(lattice) => {
                gain == 0.0 || lattice.step <= COARSER * trapezoid_step(smoothness, gain, accuracy)
            }
            Rule::Hermite { gain: had, .. } => gain <= COARSER * had,
        }
    }

    /// Goes over to that correlation, between 0 (or hardly less) and 1.
    pub(in crate::limit) fn correlate(&mut self, r: f64) {
        let half = self.half();
        let Self { rule, matrices: [even, odd], across, along, .. } = self;
        match rule {
            // Four nodes stand for the one, whose even part is twice the value.
            Rule::Still => even[0] = T::lit(0.25),
            Rule::Lattice(lattice) => {
                lattice.profile(r, across);
                let slope = (1.0 - r) / (8.0 * (1.0 + r)) * lattice.step * lattice.step;
                let scale = lattice.step / (1.0 + r);
                for (n, value) in along.iter_mut().enumerate() {
                    *value = scale * (-slope * (n * n) as f64).exp();
                }
                for i in 0..half {
                    for j in 0..=i {
                        // Sum and difference of z_i and z_j, in steps; of z_i and −z_j the other way round.
                        let (sum, difference) = (i + j + 1, i - j);
                        let (same, other) = (along[sum] * across[difference], along[difference] * across[sum]);
                        let roots = lattice.roots[i] * lattice.roots[j];
                        let values = [T::lit(roots * (same + other)), T::lit(roots * (same - other))];
                        for (matrix, value) in [&mut *even, &mut *odd].into_iter().zip(values) {
                            matrix[i * half + j] = value;
                            matrix[j * half + i] = value;
                        }
                    }
                }
            }
            Rule::Hermite { table, .. } => {
                let square = r * r;
                for i in 0..half {
                    for j in 0..=i {
                        // Horner's rule in r², for each parity.
                        let pairs = table.chunks_exact(2 * half).rev();
                        let (a, b) = pairs.fold((0.0, 0.0), |(a, b), rows| {
                            let (first, second) = rows.split_at(half);
                            (a * square + first[i] * first[j], b * square + second[i] * second[j])
                        });
                        for (matrix, value) in [(&mut *even, a), (&mut *odd, r * b)] {
                            matrix[i * half + j] = T::lit(value);
                            matrix[j * half + i] = T::lit(value);
                        }
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

    /// Σ_ij F_i M_ij G_j over the parts of those parities.
    fn form(
        kernel: &Kernel<f64>,
        m: &[f64],
        parities: [usize; 2],
        f: &dyn Fn(f64) -> f64,
        g: &dyn Fn(f64) -> f64,
    ) -> f64 {
        let (z, half) = (kernel.nodes(), kernel.half());
        let part = |f: &dyn Fn(f64) -> f64, parity: usize, z: f64| f(z) + [1.0, -1.0][parity] * f(-z);
        let row = |i: usize| -> f64 { (0..half).map(|j| m[i * half + j] * part(g, parities[1], z[j])).sum() };
        (0..half).map(|i| part(f, parities[0], z[i]) * row(i)).sum()
    }

    fn average(kernel: &mut Kernel<f64>, r: f64, f: impl Fn(f64) -> f64, g: impl Fn(f64) -> f64) -> f64 {
        kernel.correlate(r);
        (0..2).map(|parity| form(kernel, kernel.matrix(parity), [parity; 2], &f, &g)).sum()
    }

    /// From independent to equal variables, and close to either.
    const CORRELATIONS: [f64; 9] = [0.0, 1e-9, 0.3, 0.65, 0.9, 0.97, 0.999, 1.0 - 1e-9, 1.0];

    #[test]
    fn lattices_average_to_their_accuracy_at_every_correlation() {
        // E[erf(az) erf(bw)] = (2/π) arcsin(2abr/√((1 + 2a²)(1 + 2b²))).
        let (a, b) = (0.7, 0.5);
        let mut kernel = Kernel::lattice(0.45, 8.5, 1, 1000).unwrap();
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
        let mut kernel = Kernel::<f64>::lattice(0.45, 8.5, 1, 1000).unwrap();
        for r in CORRELATIONS {
            kernel.correlate(r);
            kernel.differentiate();
            let slopes = kernel.slopes();
            let first = |f: &dyn Fn(f64) -> f64, g: &dyn Fn(f64) -> f64| -> f64 {
                (0..2).map(|p| form(&kernel, &slopes.by_first[p], [p, 1 - p], f, g)).sum()
            };
            let second = |f: &dyn Fn(f64) -> f64, g: &dyn Fn(f64) -> f64| -> f64 {
                (0..2).map(|p| form(&kernel, &slopes.transposed[p], [1 - p, p], f, g)).sum()
            };
            // E[sin'(z) cos(w)] = E[cos(z) cos(w)].
            let exact = (-1.0_f64).exp() * r.cosh();
            assert!((first(&f64::sin, &f64::cos) - exact).abs() < 1e-12, "{r}");
            assert!((second(&f64::cos, &f64::sin) - exact).abs() < 1e-12, "{r}");
        }
    }

    #[test]
    fn the_full_matrix_is_that_of_both_parities() {
        let mut kernel = Kernel::lattice(0.45, 8.5, 1, 1000).unwrap();
        let (f, g) = (|z: f64| (0.7 * z + 0.3).tanh(), |z: f64| (0.4 * z - 0.2).tanh());
        let expected = average(&mut kernel, 0.6, f, g);
        // In rows that are longer than need be.
        let (nodes, length) = (kernel.nodes(), kernel.nodes().len() + 3);
        let mut full = vec![0.0; length * length];
        kernel.write_full(&mut full, length);
        let entries = (0..length * length).filter(|&at| full[at] != 0.0);
        let got: f64 = entries.map(|at| f(nodes[at / length]) * full[at] * g(nodes[at % length])).sum();
        assert!((got - expected).abs() < 1e-14, "{got} {expected}");
    }

    #[test]
    fn a_step_that_is_too_long_shows() {
        let mut kernel = Kernel::lattice(1.6, 8.5, 1, 1000).unwrap();
        let got = average(&mut kernel, 1.0, |z| (2.0 * z).cos(), |z| (2.0 * z).cos());
        assert!((got - 0.5 * (1.0 + (-8.0_f64).exp())).abs() > 1e-4);
    }

    #[test]
    fn hermite_rules_are_exact_for_polynomials() {
        let mut kernel = Kernel::hermite(5, 1.0, 1, 1000).unwrap();
        for r in CORRELATIONS {
            // E[z⁴ w⁴] = 9 + 72 r² + 24 r⁴, E[z³ w] = 3r.
            let got = average(&mut kernel, r, |z| z.powi(4), |z| z.powi(4));
            assert!((got - (9.0 + 72.0 * r * r + 24.0 * r.powi(4))).abs() < 1e-11, "{r}: {got}");
            assert!((average(&mut kernel, r, |z| z.powi(3), |z| z) - 3.0 * r).abs() < 1e-12);
        }
    }

    #[test]
    fn more_nodes_than_allowed_are_not_made() {
        assert!(
            Kernel::<f64>::lattice(0.1, 10.0, 1, 100).is_none() && Kernel::<f64>::hermite(101, 1.0, 1, 100).is_none()
        );
        assert!(Kernel::<f64>::lattice(1e-300, 10.0, 1, usize::MAX).is_none());
    }
}
