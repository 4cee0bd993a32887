//! One neuron whose views are exchangeable: what its fields leave undrawn is drawn once for the whole batch.
//!
//! The sum and the difference of the views are independent. In each of these two modes a field is
//! g = a n₁ + b n₂, n₁ the noise along Q and n₂ that along ê (times a = √k |Q| and b = √d V), which is r n with
//! n = (a n₁ + b n₂)/r. The error e depends on n alone, so that of m = (a n₂ − b n₁)/r only Σ e m enters, which given
//! the errors is a normal of variance Σ e². Likewise for the noise along the features across Q. So a sample needs two
//! normals instead of 2(p + 1), and a batch p + 2 more.
//!
//! Covers the modes, r and the angles of a state, and what is drawn once. Not here: the batch (see [`crate::sgd::projected::lane_batch`]).

use crate::Scalar;
use crate::model::ViewCovariance;
use crate::random::{Block, Row, WIDTH};
use crate::sgd::batch::lane_rows::{add_product, mapped};

/// Standard deviations of noise along a feature and in the background, in the modes x¹ + x² and x¹ − x², each over √2.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::sgd) struct Modes<T> {
    along: [T; 2],
    background: [T; 2],
}

impl<T: Scalar> Modes<T> {
    /// The modes of K^f and D, if both views have the same variance in both.
    pub(in crate::sgd) fn new(along: ViewCovariance<T>, background: ViewCovariance<T>) -> Option<Self> {
        let modes = |k: ViewCovariance<T>| {
            let [[k11, k12], [_, k22]] = k.to_array();
            // Rounding may leave a variance of zero negative.
            let half = |x: T| (x.max(T::zero()) * T::lit(0.5)).sqrt();
            (k11 == k22).then(|| [half(k11 + k12), half(k11 - k12)])
        };
        Some(Self { along: modes(along)?, background: modes(background)? })
    }

    /// How a state with these overlaps and background turns (n₁, n₂) to (n, m).
    #[inline(always)]
    pub(in crate::sgd) fn turn(&self, q: &[Row<T>], v: &Row<T>) -> Turn<T> {
        let mut norm = [T::zero(); WIDTH];
        for q in q {
            add_product(&mut norm, q, q);
        }
        let norm = mapped(&norm, T::sqrt);
        let mut turn =
            Turn { norm, radii: [[T::zero(); WIDTH]; 2], cos: [[T::zero(); WIDTH]; 2], sin: [[T::zero(); WIDTH]; 2] };
        for s in 0..2 {
            for k in 0..WIDTH {
                let (a, b) = (self.along[s] * norm[k], self.background[s] * v[k]);
                let r = (a * a + b * b).sqrt();
                turn.radii[s][k] = r;
                // Without a field any angle will do.
                turn.cos[s][k] = if r == T::zero() { T::one() } else { a / r };
                turn.sin[s][k] = if r == T::zero() { T::zero() } else { b / r };
            }
        }
        turn
    }
}

/// |Q|, and r, a/r and b/r of either mode, in every lane.
pub(in crate::sgd) struct Turn<T> {
    norm: Row<T>,
    pub(in crate::sgd) radii: [Row<T>; 2],
    cos: [Row<T>; 2],
    sin: [Row<T>; 2],
}

/// What the sums over a batch are made of, in every lane.
pub(in crate::sgd) struct Gathered<T> {
    /// Σ e z along Q/|Q|.
    pub(in crate::sgd) along: Row<T>,
    /// Standard deviation of Σ e z in every direction across Q.
    pub(in crate::sgd) across: Row<T>,
    /// Σ e ξ.
    pub(in crate::sgd) background: Row<T>,
    /// Σ eᵀ D e.
    pub(in crate::sgd) variance: Row<T>,
}

impl<T: Scalar> Turn<T> {
    /// Q_l/|Q|; where Q is zero, the first axis.
    #[inline(always)]
    pub(in crate::sgd) fn direction(&self, q: &[Row<T>], l: usize) -> Row<T> {
        let axis = if l == 0 { T::one() } else { T::zero() };
        let mut out = [T::zero(); WIDTH];
        for k in 0..WIDTH {
            out[k] = if self.norm[k] == T::zero() { axis } else { q[l][k] / self.norm[k] };
        }
        out
    }

    /// From Σ e n and Σ e² of either mode (of e¹ ± e², the 1/√2 being in the deviations), and a normal for either.
    #[inline(always)]
    pub(in crate::sgd) fn gather(&self, modes: &Modes<T>, sums: &[[Row<T>; 2]; 2], normals: &Block<T>) -> Gathered<T> {
        let zero = [T::zero(); WIDTH];
        let mut out = Gathered { along: zero, across: zero, background: zero, variance: zero };
        for s in 0..2 {
            let (f, d, [products, squares]) = (modes.along[s], modes.background[s], &sums[s]);
            for k in 0..WIDTH {
                let drawn = squares[k].sqrt() * normals[s * WIDTH + k];
                let (cos, sin) = (self.cos[s][k], self.sin[s][k]);
                out.along[k] += f * (cos * products[k] - sin * drawn);
                out.background[k] += d * (sin * products[k] + cos * drawn);
                out.across[k] += f * f * squares[k];
                out.variance[k] += d * d * squares[k];
            }
        }
        out.across = mapped(&out.across, T::sqrt);
        out
    }
}
