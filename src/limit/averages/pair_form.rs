//! Averages over one pair of fields (h¹_i, h²_j) as a form: Σ_kl F(h¹ at z_k) K_kl G(h² at z_l).
//!
//! Where there are several neurons and so many pairs, σ at n nodes of each field costs less than at n² of the pair. Covers
//! the same averages as `two_fields` and `two_fields_gradient`. Not here: the matrix (see `kernel`).

use crate::Scalar;
use crate::limit::averages::curvature::Curvature;
use crate::limit::averages::kernel::Kernel;
use crate::limit::averages::two_fields::{COVARIANCE, SQUARES, SUMS};
use crate::limit::averages::two_fields_gradient::{MONOMIALS, PlaneGradient, pseudo_inverse};
use crate::model::Nonlinearity;
use crate::numerics::kernels::dot;
use crate::numerics::lanes::{LANES, dispatch, groups, groups_mut};
use crate::numerics::products::multiply;

/// Functions of one field of which the error signals and their squares are made: σ, σ', σσ', σ², σ'².
const VALUES: usize = 5;
const Y: usize = 0;
const D: usize = 1;
const YD: usize = 2;
const YY: usize = 3;
const DD: usize = 4;
/// Their derivatives: of σ' (σ''), of σσ', and half of that of σ'².
const S: usize = 5;
const SY: usize = 6;
const DS: usize = 7;
const FUNCTIONS: usize = 8;
/// Each is multiplied by 1, x, x², where x is the field without its mean.
const POWERS: usize = 3;

#[inline(always)]
fn all<T: Scalar>(y: T, d: T, s: T) -> [T; FUNCTIONS] {
    [y, d, y * d, y * y, d * d, s, s * y + d * d, d * s]
}

/// A pair of fields with the nodes of each.
#[derive(Debug, Clone)]
pub(in crate::limit) struct PairForm<T> {
    kernel: Kernel<T>,
    /// How far a unit of z moves each field; negative for the second where they are anticorrelated.
    gains: [f64; 2],
    /// x, the field, σ, σ' and σ'' at the nodes.
    deviations: [Vec<T>; 2],
    fields: [Vec<T>; 2],
    values: [Vec<T>; 2],
    slopes: [Vec<T>; 2],
    seconds: [Vec<T>; 2],
    /// The functions of each field, even parts and then odd parts, power by power; and those of the second times K.
    tables: [Vec<T>; 2],
    transformed: Vec<T>,
    /// The functions in the tables, and the length of their even parts.
    rows: usize,
    size: usize,
}

/// An average E[f(h¹) x₁^a · g(h²) x₂^b]: f and g by number.
type Term = (usize, usize);

impl<T: Scalar> PairForm<T> {
    /// By the nodes of that kernel, of which half fills groups of lanes.
    pub(in crate::limit) fn new(kernel: Kernel<T>) -> Self {
        let width = kernel.nodes().len();
        let both = |length: usize| [vec![T::zero(); length], vec![T::zero(); length]];
        Self {
            gains: [0.0; 2],
            deviations: both(width),
            fields: both(width),
            values: both(width),
            slopes: both(width),
            seconds: both(width),
            tables: both(FUNCTIONS * POWERS * width),
            transformed: vec![T::zero(); FUNCTIONS * POWERS * width],
            rows: FUNCTIONS,
            size: FUNCTIONS * POWERS * width / 2,
            kernel,
        }
    }

    /// The largest gain of fields of that covariance.
    pub(in crate::limit) fn gain(covariance: &[T]) -> f64 {
        covariance[0].as_f64().max(covariance[3].as_f64()).max(0.0).sqrt()
    }

    pub(in crate::limit) fn kernel(&self) -> &Kernel<T> {
        &self.kernel
    }

    /// Evaluations of the nonlinearity in one pass over the nodes.
    pub(in crate::limit) fn count(&self) -> usize {
        2 * self.kernel.nodes().len()
    }

    /// Goes over to that covariance of the two fields, row by row.
    pub(in crate::limit) fn update(&mut self, covariance: &[T]) {
        let [a, c, _, b] = [0, 1, 2, 3].map(|k| covariance[k].as_f64());
        let (first, second) = (a.max(0.0).sqrt(), b.max(0.0).sqrt());
        let product = first * second;
        let r = if product > 0.0 { (c / product).clamp(-1.0, 1.0) } else { 0.0 };
        self.gains = [first, second * if r < 0.0 { -1.0 } else { 1.0 }];
        self.kernel.correlate(r.abs());
        for (gain, x) in self.gains.iter().zip(&mut self.deviations) {
            for (x, z) in x.iter_mut().zip(self.kernel.nodes()) {
                *x = T::lit(gain * z);
            }
        }
    }

    fn evaluate(&mut self, mean: [T; 2], sigma: &dyn Nonlinearity<T>) {
        for f in 0..2 {
            for (h, &x) in self.fields[f].iter_mut().zip(&self.deviations[f]) {
                *h = mean[f] + x;
            }
            sigma.evaluate(&self.fields[f], &mut self.values[f], &mut self.slopes[f]);
        }
    }

    /// Fills in the first F functions times the first P powers, and multiplies those of the second field by K.
    fn fill<const F: usize, const P: usize>(&mut self) {
        let Self { kernel, deviations, values, slopes, seconds, tables, transformed, rows, .. } = self;
        let half = kernel.half();
        *rows = F;
        dispatch(
            #[inline(always)]
            || {
                for f in 0..2 {
                    let (y, d, s) = (groups(&values[f]), groups(&slopes[f]), groups(&seconds[f]));
                    let x = groups(&deviations[f]);
                    let (even, odd) = tables[f][..2 * F * P * half].split_at_mut(F * P * half);
                    let (even, odd, lanes) = (groups_mut(even), groups_mut(odd), half / LANES);
                    for n in 0..lanes {
                        for lane in 0..LANES {
                            // −x has the same powers, but for the sign of odd ones.
                            let [above, below] = [n, lanes + n].map(|n| all(y[n][lane], d[n][lane], s[n][lane]));
                            let mut power = T::one();
                            for a in 0..P {
                                for k in 0..F {
                                    let (sum, difference) = (above[k] + below[k], above[k] - below[k]);
                                    let (first, second) =
                                        if a % 2 == 0 { (sum, difference) } else { (difference, sum) };
                                    let row = (a * F + k) * lanes + n;
                                    even[row][lane] = first * power;
                                    odd[row][lane] = second * power;
                                }
                                power *= x[n][lane];
                            }
                        }
                    }
                }
                for parity in 0..2 {
                    let part = parity * F * P * half..(parity + 1) * F * P * half;
                    multiply(&tables[1][part.clone()], half, kernel.matrix(parity), half, half, &mut transformed[part]);
                }
            },
        );
        self.size = F * P * half;
    }

    fn average(&self, (f, g): Term, (a, b): (usize, usize)) -> T {
        let half = self.kernel.half();
        let parts = [0, self.size].map(|start| {
            let first = &self.tables[0][start + (a * self.rows + f) * half..][..half];
            dot(first, &self.transformed[start + (b * self.rows + g) * half..][..half])
        });
        parts[0] + parts[1]
    }

    /// As [`pair_sums`](super::two_fields::pair_sums), with averages by z where h − μ = F z, F = `rows`.
    pub(in crate::limit) fn sums(&mut self, mean: [T; 2], rows: [[T; 2]; 2], sigma: &dyn Nonlinearity<T>) -> [T; SUMS] {
        self.evaluate(mean, sigma);
        self.fill::<VALUES, 2>();
        let inverse = pseudo_inverse(rows);
        let mut sums = [T::zero(); SUMS];
        for (f, term) in SIGNALS.into_iter().enumerate() {
            sums[3 * f] = self.average(term, (0, 0));
            let along = [self.average(term, (1, 0)), self.average(term, (0, 1))];
            for k in 0..2 {
                sums[3 * f + 1 + k] = inverse[0][k] * along[0] + inverse[1][k] * along[1];
            }
        }
        sums[COVARIANCE] = self.average((Y, Y), (0, 0));
        for (k, term) in [(DD, YY), (YD, YD), (YY, DD)].into_iter().enumerate() {
            sums[SQUARES + k] = self.average(term, (0, 0));
        }
        sums
    }

    /// How these averages move, with the fields as in the last update.
    pub(in crate::limit) fn gradient(
        &mut self,
        mean: [T; 2],
        rows: [[T; 2]; 2],
        sigma: &dyn Nonlinearity<T>,
    ) -> PlaneGradient<T> {
        self.evaluate(mean, sigma);
        let mut curvature = Curvature::new(self.kernel.nodes().len());
        for f in 0..2 {
            curvature.evaluate(sigma, &self.fields[f], &self.values[f], &self.slopes[f], &mut self.seconds[f]);
        }
        self.fill::<FUNCTIONS, POWERS>();
        let inverse = pseudo_inverse(rows);
        // z_k = Σ_v P_vk x_v.
        let turn = |x: [T; MONOMIALS]| {
            let [one, x0, x1, x00, x01, x11] = x;
            let along = |k: usize| inverse[0][k] * x0 + inverse[1][k] * x1;
            let second = |k: usize, l: usize| {
                let [p, q] = [k, l].map(|k| [inverse[0][k], inverse[1][k]]);
                p[0] * q[0] * x00 + (p[0] * q[1] + p[1] * q[0]) * x01 + p[1] * q[1] * x11
            };
            [one, along(0), along(1), second(0, 0), second(0, 1), second(1, 1)]
        };
        let all = |term: Term, factor: f64| {
            let powers = [(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2)];
            turn(powers.map(|power| T::lit(factor) * self.average(term, power)))
        };
        let low = |term: Term, factor: f64| {
            let [one, x0, x1] = [(0, 0), (1, 0), (0, 1)].map(|power| T::lit(factor) * self.average(term, power));
            let [one, z0, z1, ..] = turn([one, x0, x1, T::zero(), T::zero(), T::zero()]);
            [one, z0, z1]
        };
        PlaneGradient {
            // ∂_v of dY, yD, dyY² and y²DY.
            signals: [
                [all((S, Y), 1.0), all((D, D), 1.0)],
                [all((D, D), 1.0), all((Y, S), 1.0)],
                [all((SY, YY), 1.0), all((YD, YD), 2.0)],
                [all((YD, YD), 2.0), all((YY, SY), 1.0)],
            ],
            covariance: [low((D, Y), 1.0), low((Y, D), 1.0)],
            squares: [
                [low((DS, YY), 2.0), low((DD, YD), 2.0)],
                [low((SY, YD), 1.0), low((YD, SY), 1.0)],
                [low((YD, DD), 2.0), low((YY, DS), 2.0)],
            ],
        }
    }
}

/// a₁ = dY, a₂ = yD, b₁ = dyY², b₂ = y²DY.
const SIGNALS: [Term; 4] = [(D, Y), (Y, D), (YD, YY), (YY, YD)];
