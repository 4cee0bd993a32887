//! Characteristic functions of hidden laws, with the moments under them, from which the law of a sum Σ_l Q_l c_l follows at a
//! cost linear in the number of variables.
//!
//! Covers [`Characteristic`] of one variable and [`JointCharacteristic`] of several. Not here: what is made of them (see
//! [`Limit`](crate::limit::Limit)).

use nalgebra::Complex;

use crate::Scalar;

/// A law of one variable at one wave number k.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Characteristic<T> {
    /// E[exp(ikc)].
    pub value: Complex<T>,
    /// E[c exp(ikc)].
    pub first: Complex<T>,
    /// E[c² exp(ikc)].
    pub second: Complex<T>,
}

impl<T: Scalar> Characteristic<T> {
    /// All zero: the start of a sum.
    #[must_use]
    pub fn zero() -> Self {
        let zero = real(T::zero());
        Self { value: zero, first: zero, second: zero }
    }

    /// Of a law that is symmetric under c → −c, of which value and second are real and first is imaginary.
    #[must_use]
    pub fn symmetric(value: T, first: T, second: T) -> Self {
        Self { value: real(value), first: Complex::new(T::zero(), first), second: real(second) }
    }

    /// Adds a point c of probability `weight` at the wave number `k`.
    pub fn add_point(&mut self, k: T, c: T, weight: T) {
        let wave = at_phase(k * c).scale(weight);
        self.value += wave;
        self.first += wave.scale(c);
        self.second += wave.scale(c * c);
    }

    /// Adds another law at the same wave number with that weight.
    pub fn add(&mut self, other: &Self, weight: T) {
        self.value += other.value.scale(weight);
        self.first += other.first.scale(weight);
        self.second += other.second.scale(weight);
    }
}

/// A joint law of d variables at one wave vector k.
#[derive(Debug, Clone, PartialEq)]
pub struct JointCharacteristic<T> {
    /// E[exp(ikᵀc)].
    pub value: Complex<T>,
    /// E[c_l exp(ikᵀc)], of length d.
    pub first: Vec<Complex<T>>,
    /// E[c_l c_l' exp(ikᵀc)], d x d, symmetric.
    pub second: Vec<Complex<T>>,
}

impl<T: Scalar> JointCharacteristic<T> {
    /// All zero, of no variable yet.
    #[must_use]
    pub fn new() -> Self {
        Self { value: real(T::zero()), first: Vec::new(), second: Vec::new() }
    }

    /// All zero, of d variables.
    pub fn reset(&mut self, d: usize) {
        let zero = real(T::zero());
        self.value = zero;
        self.first.clear();
        self.first.resize(d, zero);
        self.second.clear();
        self.second.resize(d * d, zero);
    }

    /// Takes over that of one variable.
    pub fn set(&mut self, one: &Characteristic<T>) {
        if self.first.len() != 1 || self.second.len() != 1 {
            self.reset(1);
        }
        (self.value, self.first[0], self.second[0]) = (one.value, one.first, one.second);
    }

    /// Adds a point c, as long as k, of probability `weight`.
    pub fn add_point(&mut self, k: &[T], c: &[T], weight: T) {
        let phase: T = k.iter().zip(c).map(|(&k, &c)| k * c).sum();
        let wave = at_phase(phase).scale(weight);
        let d = self.first.len();
        self.value += wave;
        for (l, &x) in c.iter().enumerate().take(d) {
            let product = wave.scale(x);
            self.first[l] += product;
            for (second, y) in self.second[l * d..(l + 1) * d].iter_mut().zip(c) {
                *second += product.scale(*y);
            }
        }
    }

    /// Adds another joint law of as many variables with that weight.
    pub fn add(&mut self, other: &Self, weight: T) {
        self.value += other.value.scale(weight);
        for (sum, x) in self.first.iter_mut().zip(&other.first).chain(self.second.iter_mut().zip(&other.second)) {
            *sum += x.scale(weight);
        }
    }

    /// Goes over to c + a centred Gaussian of that covariance, at the same wave vector, of length d; NaN if it is not.
    pub fn widen(&mut self, k: &[T], gaussian: impl Fn(usize, usize) -> T) {
        let d = self.first.len();
        if k.len() != d || self.second.len() != d * d {
            return self.spoil(d);
        }
        // E[z exp(ikᵀz)] = i G k E[exp(ikᵀz)].
        let shift: Vec<T> = (0..d).map(|l| (0..d).map(|j| gaussian(l, j) * k[j]).sum()).collect();
        let form: T = shift.iter().zip(k).map(|(&s, &k)| s * k).sum();
        let damping = (-T::lit(0.5) * form).exp();
        let turned = |z: Complex<T>, by: T| Complex::new(-z.im * by, z.re * by);
        for l in 0..d {
            for j in 0..d {
                let cross = turned(self.first[l], shift[j]) + turned(self.first[j], shift[l]);
                let own = self.value.scale(gaussian(l, j) - shift[l] * shift[j]);
                self.second[l * d + j] = (self.second[l * d + j] + cross + own).scale(damping);
            }
        }
        for (first, &shift) in self.first.iter_mut().zip(&shift) {
            *first = (*first + turned(self.value, shift)).scale(damping);
        }
        self.value = self.value.scale(damping);
    }

    /// All NaN, of d variables.
    fn spoil(&mut self, d: usize) {
        self.reset(d);
        let nan = Complex::new(T::lit(f64::NAN), T::lit(f64::NAN));
        self.value = nan;
        self.first.fill(nan);
        self.second.fill(nan);
    }

    /// Becomes that of independent blocks of variables, one after the other; NaN if one of them does not have d² second moments.
    pub fn set_product(&mut self, blocks: &[Self]) {
        let d = blocks.iter().map(|block| block.first.len()).sum();
        if blocks.iter().any(|block| block.second.len() != block.first.len() * block.first.len()) {
            return self.spoil(d);
        }
        self.reset(d);
        let one = real(T::one());
        // The product of all blocks from number b on.
        let mut after = vec![one; blocks.len() + 1];
        for (b, block) in blocks.iter().enumerate().rev() {
            after[b] = after[b + 1] * block.value;
        }
        self.value = after[0];
        let (mut before, mut row) = (one, 0);
        for (b, block) in blocks.iter().enumerate() {
            let size = block.first.len();
            let rest = before * after[b + 1];
            for l in 0..size {
                self.first[row + l] = block.first[l] * rest;
                for k in 0..size {
                    self.second[(row + l) * d + row + k] = block.second[l * size + k] * rest;
                }
            }
            let (mut between, mut column) = (before, row + size);
            for (c, other) in blocks.iter().enumerate().skip(b + 1) {
                let rest = between * after[c + 1];
                for l in 0..size {
                    for (k, &first) in other.first.iter().enumerate() {
                        let value = block.first[l] * first * rest;
                        self.second[(row + l) * d + column + k] = value;
                        self.second[(column + k) * d + row + l] = value;
                    }
                }
                between *= other.value;
                column += other.first.len();
            }
            before *= block.value;
            row += size;
        }
    }
}

impl<T: Scalar> Default for JointCharacteristic<T> {
    fn default() -> Self {
        Self::new()
    }
}

fn real<T: Scalar>(x: T) -> Complex<T> {
    Complex::new(x, T::zero())
}

/// exp(ix).
fn at_phase<T: Scalar>(x: T) -> Complex<T> {
    let (sin, cos) = x.sin_cos();
    Complex::new(cos, sin)
}

#[cfg(test)]
mod tests {
    use nalgebra::DMatrix;

    use super::*;
    use crate::model::{CorrelatedSigns, Discrete, HiddenDistribution, HiddenVariable, Independent, Law, Mixture};

    fn laws() -> Vec<Law> {
        let half = Law::mixture([(0.4, Law::gaussian(0.7).unwrap()), (0.6, Law::skewed(2.0, 0.2).unwrap())]).unwrap();
        vec![
            Law::two_point(2.25).unwrap(),
            Law::three_point(2.25, 0.3).unwrap(),
            Law::gaussian(1.3).unwrap(),
            Law::uniform(2.25).unwrap(),
            Law::laplace(1.7).unwrap(),
            Law::skewed(2.25, 0.2).unwrap(),
            Law::point_masses([0.5, -2.0, 3.0], [0.2, 0.5, 0.3]).unwrap(),
            half,
            Law::from_distribution(rand_distr::StandardNormal, [1.0, -1.0], [0.5, 0.5]).unwrap(),
        ]
    }

    /// From the nodes of a rule, and the Gaussian part beside them.
    fn of_nodes(law: &impl HiddenVariable, k: f64) -> Characteristic<f64> {
        let rule = law.quadrature(120);
        let mut sum = JointCharacteristic::new();
        sum.reset(1);
        for (&c, &w) in rule.nodes.iter().zip(&rule.weights) {
            sum.add_point(&[k], &[c], w);
        }
        sum.widen(&[k], |_, _| rule.gaussian);
        Characteristic { value: sum.value, first: sum.first[0], second: sum.second[0] }
    }

    #[test]
    fn every_law_agrees_with_its_nodes() {
        for law in laws() {
            for k in [0.0, 1e-6, 0.02, -0.3, 1.0, 2.7, 5.0] {
                let (a, b) = (law.characteristic(k).unwrap(), of_nodes(&law, k));
                let error = (a.value - b.value).norm() + (a.first - b.first).norm() + (a.second - b.second).norm();
                assert!(error < 1e-11, "{law:?} at {k}: {error}");
            }
        }
    }

    fn check_joint(law: &impl HiddenDistribution<f64>) {
        let p = law.dimension();
        let rule = law.quadrature(60);
        let mut blocks = Vec::new();
        let k: Vec<f64> = (0..p).map(|l| 0.7 - 0.31 * l as f64).collect();
        for (b, range) in law.blocks().into_iter().enumerate() {
            let mut block = JointCharacteristic::new();
            assert!(law.characteristic(b, &k[range], &mut block));
            blocks.push(block);
        }
        let mut whole = JointCharacteristic::new();
        whole.set_product(&blocks);
        let mut nodes = JointCharacteristic::new();
        nodes.reset(p);
        for (c, &w) in rule.nodes.as_slice().chunks_exact(p).zip(&rule.weights) {
            nodes.add_point(&k, c, w);
        }
        assert_eq!(rule.gaussian, DMatrix::zeros(p, p));
        nodes.add(&whole, -1.0);
        let error = nodes.first.iter().chain(&nodes.second).fold(nodes.value.norm(), |most, x| most.max(x.norm()));
        assert!(error < 1e-11, "{error}");
    }

    #[test]
    fn joint_laws_agree_with_their_nodes() {
        let points = DMatrix::from_row_slice(2, 3, &[1.0, -0.5, 0.3, 0.2, 2.0, -1.0]);
        let discrete = Discrete::new(points, [0.2, 0.5, 0.3]).unwrap();
        let signs = CorrelatedSigns::with_loadings([1.0, 2.0, 0.5], [0.5, -0.3, 1.0]).unwrap();
        let laws = [Law::skewed(2.0, 0.3).unwrap(), Law::uniform(1.0).unwrap(), Law::two_point(0.5).unwrap()];
        let independent = Independent::new(laws).unwrap();
        let mixture = Mixture::joint([(0.4, independent.clone()), (0.6, Independent::new(laws_of_three()).unwrap())]);
        check_joint(&discrete);
        check_joint(&signs);
        check_joint(&independent);
        check_joint(&mixture.unwrap());
        check_joint(&discrete.and(signs));
    }

    fn laws_of_three() -> [Law; 3] {
        [Law::two_point(2.0).unwrap(), Law::three_point(1.0, 0.2).unwrap(), Law::two_point(0.3).unwrap()]
    }
}
