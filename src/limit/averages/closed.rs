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
    let (one_s, one_t) = (N::one() + s, N::one() + t);
    let cross = N::constant(T::lit(2.0) / T::pi()) / (one_s * one_t - x * x).sqrt();
    let (first, second) = (-(x * cross) / one_s, -(x * cross) / one_t);
    let fourth = |fields: [usize; 4]| erf_fourth(&|i, j| law.covariance[fields[i]][fields[j]]);
    (
        [N::zero(); 2],
        [[first, cross], [cross, second]],
        [fourth([0, 0, 1, 1]), fourth([0, 1, 1, 0]), fourth([1, 1, 0, 0])],
    )
}

/// E[σ'(h_0) σ'(h_1) σ(h_2) σ(h_3)] for σ = erf(·/√2) and that covariance (Saad and Solla 1995, eq. (C4)).
pub(in crate::limit) fn erf_fourth<T: Scalar, N: Number<T>>(c: &dyn Fn(usize, usize) -> N) -> N {
    let (a, b) = (N::one() + c(0, 0), N::one() + c(1, 1));
    let lambda = a * b - c(0, 1) * c(0, 1);
    let two = T::lit(2.0);
    let own = |k: usize| {
        lambda * (N::one() + c(k, k)) - c(1, k) * c(1, k) * a - c(0, k) * c(0, k) * b
            + (c(0, 1) * c(0, k) * c(1, k)).times(two)
    };
    let cross = lambda * c(2, 3) - c(1, 2) * c(1, 3) * a - c(0, 2) * c(0, 3) * b
        + c(0, 1) * (c(0, 2) * c(1, 3) + c(0, 3) * c(1, 2));
    let sine = cross / (own(2) * own(3)).sqrt();
    let scale = T::lit(4.0) / (T::pi() * T::pi());
    (arcsine(sine) / lambda.sqrt()).times(scale)
}

fn arcsine<T: Scalar, N: Number<T>>(x: N) -> N {
    let value = x.value();
    x.map(value.asin(), T::one() / (T::one() - value * value).sqrt())
}

/// The angle of (x, y), y ≥ 0.
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
