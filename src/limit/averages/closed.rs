//! Averages over centred Gaussian fields in closed form: erf by arcsines, rectifiers by the angle between the fields.
//!
//! With y = σ(h), Y = σ(k), the averages of a₁ = σ'(h) Y and a₂ = σ'(k) y with the whitened coordinates come from Stein's
//! lemma, E[f z_j] = Σ_v F_vj E[∂_v f].

use crate::Scalar;
use crate::limit::averages::two_fields::{SQUARES, SUMS};
use crate::model::ClosedForm;
use crate::numerics::dual::Number;

/// The covariance of two fields and their factor rows.
pub(in crate::limit) struct PairLaw<N> {
    pub(in crate::limit) covariance: [[N; 2]; 2],
    pub(in crate::limit) rows: [[N; 2]; 2],
}

/// E[a₁], E[a₂]; E[∂_v a₁], E[∂_v a₂]; E[a₁²], E[a₁a₂], E[a₂²].
type Averages<N> = ([N; 2], [[N; 2]; 2], [N; 3]);

/// The averages of `pair_sums` for one neuron's pair of fields without penalty.
pub(in crate::limit) fn pair_sums<T: Scalar, N: Number<T>>(form: ClosedForm<T>, law: &PairLaw<N>) -> [N; SUMS] {
    let (means, slopes, squares) = averages(form, law);
    let mut sums = [N::zero(); SUMS];
    for f in 0..2 {
        sums[3 * f] = means[f];
        for j in 0..2 {
            sums[3 * f + 1 + j] = slopes[f][0] * law.rows[0][j] + slopes[f][1] * law.rows[1][j];
        }
    }
    sums[SQUARES..SQUARES + 3].copy_from_slice(&squares);
    sums
}

/// E[∂_v a_f], f then v.
pub(in crate::limit) fn slopes<T: Scalar, N: Number<T>>(form: ClosedForm<T>, law: &PairLaw<N>) -> [[N; 2]; 2] {
    averages(form, law).1
}

fn averages<T: Scalar, N: Number<T>>(form: ClosedForm<T>, law: &PairLaw<N>) -> Averages<N> {
    let ClosedForm::Rectifier { slope } = form else { return erf(law) };
    rectifier(slope, law)
}

fn erf<T: Scalar, N: Number<T>>(law: &PairLaw<N>) -> Averages<N> {
    let [[s, x], [_, t]] = law.covariance;
    let [[f00, f01], [f10, f11]] = law.rows;
    let (one_s, one_t) = (N::one() + s, N::one() + t);
    // (1 + s)(1 + t) − x² without cancellation.
    let root = f00 * f11 - f01 * f10;
    let cross = N::constant(T::lit(2.0) / T::pi()) / (one_s + t + root * root).sqrt();
    let (first, second) = (-(x * cross) / one_s, -(x * cross) / one_t);
    let fourth = |fields: [usize; 4]| erf_fourth(&|i, j| law.covariance[fields[i]][fields[j]]);
    (
        [N::zero(); 2],
        [[first, cross], [cross, second]],
        [fourth([0, 0, 1, 1]), fourth([0, 1, 1, 0]), fourth([1, 1, 0, 0])],
    )
}

/// E[σ'(h_0) σ'(h_1) σ(h_2) σ(h_3)] for σ = erf(·/√2) and that covariance (Saad and Solla 1995, eq. (C4)).
///
/// The two factors σ' make of the law another normal law, times a constant: each subtracts from the covariance of x and y
/// C_xk C_yk/(1 + C_kk). The rest is an arcsine. Large covariances leave small ones there, without cancellation where a field occurs twice.
pub(in crate::limit) fn erf_fourth<T: Scalar, N: Number<T>>(c: &dyn Fn(usize, usize) -> N) -> N {
    let c: [[N; 4]; 4] = std::array::from_fn(|x| std::array::from_fn(|y| c(x, y)));
    let (first, a) = condition(&|x, y| c[x][y], 0);
    let (second, b) = condition(&|x, y| first[x][y], 1);
    let [x, y, cross] = [second[2][2], second[3][3], second[2][3]];
    let rest = (N::one() + x + y + (x * y - cross * cross)).sqrt();
    let scale = T::lit(4.0) / (T::pi() * T::pi());
    (angle(cross, rest) / (a * b).sqrt()).times(scale)
}

/// The covariances after the factor σ'(h_k), and 1 + C_kk.
fn condition<T: Scalar, N: Number<T>>(c: &dyn Fn(usize, usize) -> N, k: usize) -> ([[N; 4]; 4], N) {
    let variance = c(k, k);
    let pivot = N::one() + variance;
    let entry = |x: usize, y: usize| {
        if !(variance.value() > T::zero()) {
            return c(x, y);
        }
        // C_xy − C_xk C_yk/C_kk is exactly 0 for the field itself.
        let share = c(x, k) / variance;
        c(x, y) - share * c(y, k) + share * (c(y, k) / pivot)
    };
    (std::array::from_fn(|x| std::array::from_fn(|y| entry(x, y))), pivot)
}

/// The angle of (x, y).
fn angle<T: Scalar, N: Number<T>>(y: N, x: N) -> N {
    let (b, a) = (y.value(), x.value());
    let norm = a * a + b * b;
    N::constant(b.atan2(a)) + (y.times(a) - x.times(b)).times(T::one() / norm)
}

/// σ(h) = h above zero, `slope` h below.
fn rectifier<T: Scalar, N: Number<T>>(slope: T, law: &PairLaw<N>) -> Averages<N> {
    let [[s, x], [_, t]] = law.covariance;
    let [[f00, f01], [f10, f11]] = law.rows;
    let determinant = f00 * f11 - f01 * f10;
    // √(st − x²) without cancellation.
    let root = if determinant.value() < T::zero() { -determinant } else { determinant };
    let (a, b) = (slope, T::one() - slope);
    let tau = T::two_pi();
    // (π − angle between the fields)/2π: both are positive.
    let both = (N::constant(T::pi()) - angle(root, x)).times(T::one() / tau);
    // E[σ'(h) σ(k)]: E[k₊] = √(t/2π), E[1_h k] = x/√(2πs), E[1_h k₊] half the sum of the two.
    let mean = |s: N, t: N| {
        let (positive, tilted) = (t.sqrt(), x / s.sqrt());
        (positive.times(a * b) + tilted.times(a * b) + (positive + tilted).times(T::lit(0.5) * b * b))
            .times(T::one() / tau.sqrt())
    };
    let cross = N::constant(a * a + a * b) + both.times(b * b);
    let edge = |s: N| (root / s).times(b * b / tau);
    let (quartic, mixed, top) = (a.powi(4), a * a * (T::one() - a * a), (T::one() - a * a).powi(2));
    // E[1_h k₊²] and E[h₊k₊].
    let square = |s: N, t: N| t.times(quartic + mixed) + (t * both + (root * x / s).times(T::one() / tau)).times(top);
    let product = x.times(quartic + mixed) + (root.times(T::one() / tau) + both * x).times(top);
    ([mean(s, t), mean(t, s)], [[edge(s), cross], [cross, edge(t)]], [square(s, t), product, square(t, s)])
}
