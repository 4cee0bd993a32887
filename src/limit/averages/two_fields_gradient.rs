//! How the averages over one pair of fields move when its mean and factor do (theory §3).
//!
//! With h_v = μ_v + Σ_j F_vj z_j, an average E[f(h) z_k] has the differential
//! Σ_v E[∂_v f z_k] dμ_v + Σ_vj E[∂_v f z_j z_k] dF_vj: the derivative of the frozen rule itself. Where σ has no second
//! derivative, E[∂_v f ·] comes from integration by parts.

use crate::Scalar;
use crate::limit::averages::curvature::Curvature;
use crate::limit::averages::table::NodeTable;
use crate::limit::averages::two_fields::{BLOCK, COVARIANCE, PairBuffers, SQUARES, SUMS, evaluate_pair};
use crate::model::Nonlinearity;
use crate::numerics::dual::Dual;
use crate::numerics::lanes::{Lanes, dispatch, groups};

/// 1, z₁, z₂, z₁², z₁z₂, z₂².
pub(super) const MONOMIALS: usize = 6;
/// The monomial z̃_j z̃_k, with z̃ = (1, z₁, z₂).
const PRODUCT: [[usize; 3]; 3] = [[0, 1, 2], [1, 3, 4], [2, 4, 5]];

/// E[∂_v f · monomial] for one pair of fields at one mean.
#[derive(Debug, Clone, Copy)]
pub(in crate::limit) struct PlaneGradient<T> {
    /// f = a₁, a₂, b₁, b₂; then v; then the monomial.
    pub(super) signals: [[[T; MONOMIALS]; 2]; 4],
    /// f = y Y; then v; 1, z₁, z₂.
    pub(super) covariance: [[T; 3]; 2],
    /// f = a₁², a₁a₂, a₂²; then v; 1, z₁, z₂.
    pub(super) squares: [[[T; 3]; 2]; 3],
}

/// The differentials of mean and factor.
pub(in crate::limit) struct Motion<N> {
    pub(in crate::limit) mean: [N; 2],
    pub(in crate::limit) rows: [[N; 2]; 2],
}

impl<T: Scalar> PlaneGradient<T> {
    pub(in crate::limit) fn zero() -> Self {
        Self {
            signals: [[[T::zero(); MONOMIALS]; 2]; 4],
            covariance: [[T::zero(); 3]; 2],
            squares: [[[T::zero(); 3]; 2]; 3],
        }
    }

    /// Adds another, times a weight.
    pub(in crate::limit) fn add(&mut self, weight: T, other: &Self) {
        let ours = self.signals.as_flattened_mut().as_flattened_mut().iter_mut();
        ours.zip(other.signals.as_flattened().as_flattened()).for_each(|(x, &y)| *x += weight * y);
        let ours = self.covariance.as_flattened_mut().iter_mut();
        ours.zip(other.covariance.as_flattened()).for_each(|(x, &y)| *x += weight * y);
        let ours = self.squares.as_flattened_mut().as_flattened_mut().iter_mut();
        ours.zip(other.squares.as_flattened().as_flattened()).for_each(|(x, &y)| *x += weight * y);
    }

    /// How average number `index` of `pair_sums` moves with the mean of field v.
    pub(in crate::limit) fn by_mean(&self, index: usize, v: usize) -> T {
        self.moment(index, v, 0)
    }

    /// The same with entry (v, j) of the factor.
    pub(in crate::limit) fn by_row(&self, index: usize, v: usize, j: usize) -> T {
        self.moment(index, v, j + 1)
    }

    /// E[∂_v f z̃_j z̃_k] for the average E[f z̃_k] of that number.
    fn moment(&self, index: usize, v: usize, j: usize) -> T {
        match index {
            COVARIANCE => self.covariance[v][j],
            SQUARES.. => self.squares[index - SQUARES][v][j],
            _ => self.signals[index / 3][v][PRODUCT[j][index % 3]],
        }
    }

    /// From σ'', over the nodes of the table.
    pub(in crate::limit) fn new(
        table: &NodeTable<T>,
        mean: [T; 2],
        rows: [[T; 2]; 2],
        penalty: bool,
        sigma: &dyn Nonlinearity<T>,
        buffers: &mut PairBuffers<T>,
    ) -> Self {
        let mut sums = Sums { signals: [[[Lanes::zero(); 6]; 2]; 4], ..Sums::zero() };
        let mut curvature = Curvature::new(BLOCK);
        let mut seconds = [vec![T::zero(); BLOCK], vec![T::zero(); BLOCK]];
        for start in (0..table.padded()).step_by(BLOCK) {
            let range = start..(start + BLOCK).min(table.padded());
            let pair = evaluate_pair(table, range.clone(), mean, rows, sigma, buffers);
            for f in 0..2 {
                let [h, y, d] = [pair.fields[f], pair.values[f], pair.derivatives[f]];
                curvature.evaluate(sigma, h, y, d, &mut seconds[f][..h.len()]);
            }
            let (y, d) = (pair.values, pair.derivatives);
            let seconds = [&seconds[0][..y[0].len()], &seconds[1][..y[0].len()]];
            let z = [&table.coordinate(0)[range.clone()], &table.coordinate(1)[range.clone()]];
            let w = &table.weights()[range];
            dispatch(
                #[inline(always)]
                || sums.add(w, z, y, d, seconds, penalty),
            );
        }
        Self {
            signals: sums.signals.map(|f| f.map(|v| v.map(Lanes::sum))),
            covariance: sums.covariance.map(|v| v.map(Lanes::sum)),
            squares: sums.squares.map(|f| f.map(|v| v.map(Lanes::sum))),
        }
    }

    /// By parts: E[∂f/∂z_j m(z)] = E[f (z_j m − ∂m/∂z_j)], and ∂f/∂z_j = Σ_v F_vj ∂_v f.
    pub(in crate::limit) fn by_parts(
        table: &NodeTable<T>,
        mean: [T; 2],
        rows: [[T; 2]; 2],
        sigma: &dyn Nonlinearity<T>,
        buffers: &mut PairBuffers<T>,
    ) -> Self {
        // Moments z₁^a z₂^b with a + b ≤ 3, at index [a][b], of the eight functions.
        let mut moments = [[[T::zero(); 4]; 4]; 8];
        for start in (0..table.padded()).step_by(BLOCK) {
            let range = start..(start + BLOCK).min(table.padded());
            let pair = evaluate_pair(table, range.clone(), mean, rows, sigma, buffers);
            for (n, at) in range.enumerate() {
                let (z1, z2, w) = (table.coordinate(0)[at], table.coordinate(1)[at], table.weights()[at]);
                let ([y, yy], [d, dd]) = (pair.values.map(|y| y[n]), pair.derivatives.map(|d| d[n]));
                let (a1, a2) = (d * yy, dd * y);
                let functions = [a1, a2, a1 * y * yy, a2 * y * yy, y * yy, a1 * a1, a1 * a2, a2 * a2];
                let (p1, p2) = ([T::one(), z1, z1 * z1, z1 * z1 * z1], [T::one(), z2, z2 * z2, z2 * z2 * z2]);
                for (moments, f) in moments.iter_mut().zip(functions) {
                    for a in 0..4 {
                        for b in 0..4 - a {
                            moments[a][b] += w * f * p1[a] * p2[b];
                        }
                    }
                }
            }
        }
        let inverse = pseudo_inverse(rows);
        let gradient = |f: usize, (a, b): (usize, usize)| -> [T; 2] {
            let m = &moments[f];
            let lower = |power: usize, value: T| if power > 0 { T::of_usize(power) * value } else { T::zero() };
            let along =
                [m[a + 1][b] - lower(a, m[a.saturating_sub(1)][b]), m[a][b + 1] - lower(b, m[a][b.saturating_sub(1)])];
            [0, 1].map(|v| inverse[v][0] * along[0] + inverse[v][1] * along[1])
        };
        let powers = [(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2)];
        let mut this = Self::zero();
        for (k, &power) in powers.iter().enumerate() {
            for v in 0..2 {
                for f in 0..4 {
                    this.signals[f][v][k] = gradient(f, power)[v];
                }
                if k < 3 {
                    this.covariance[v][k] = gradient(4, power)[v];
                    for f in 0..3 {
                        this.squares[f][v][k] = gradient(5 + f, power)[v];
                    }
                }
            }
        }
        this
    }

    /// All nodes from the half z_`odd` ≥ 0, where z_`odd` → −z_`odd` exchanges the views.
    pub(in crate::limit) fn complete_by_exchange(&mut self, odd: usize) {
        let half = T::lit(0.5);
        let sign = |k: usize| {
            // Monomials of odd degree in z_odd.
            let changes = if odd == 0 { k == 1 || k == 4 } else { k == 2 || k == 4 };
            if changes { -T::one() } else { T::one() }
        };
        let other = *self;
        for v in 0..2 {
            for k in 0..MONOMIALS {
                for f in 0..4 {
                    let mirror = other.signals[f ^ 1][1 - v][k];
                    self.signals[f][v][k] = half * (other.signals[f][v][k] + sign(k) * mirror);
                }
                if k < 3 {
                    self.covariance[v][k] = half * (other.covariance[v][k] + sign(k) * other.covariance[1 - v][k]);
                    for f in 0..3 {
                        let mirror = other.squares[2 - f][1 - v][k];
                        self.squares[f][v][k] = half * (other.squares[f][v][k] + sign(k) * mirror);
                    }
                }
            }
        }
    }

    /// The derivatives of the averages, in the order of `pair_sums`, along a motion of the fields.
    pub(in crate::limit) fn slopes(&self, motion: &Motion<Dual<T>>) -> [Lanes<T>; SUMS] {
        std::array::from_fn(|index| {
            let mut sum = Lanes::zero();
            for v in 0..2 {
                sum += Lanes::splat(self.by_mean(index, v)) * motion.mean[v].slopes;
                for j in 0..2 {
                    sum += Lanes::splat(self.by_row(index, v, j)) * motion.rows[v][j].slopes;
                }
            }
            sum
        })
    }

    /// E[∂_v f] for f = a₁, a₂, b₁, b₂.
    pub(in crate::limit) fn mean(&self, f: usize) -> [T; 2] {
        [self.signals[f][0][0], self.signals[f][1][0]]
    }
}

/// The matrix P with ∂_v f = Σ_j P_vj ∂f/∂z_j; where the fields have one coordinate only, they are taken to move in
/// proportion.
pub(super) fn pseudo_inverse<T: Scalar>(rows: [[T; 2]; 2]) -> [[T; 2]; 2] {
    let determinant = rows[0][0] * rows[1][1] - rows[0][1] * rows[1][0];
    if determinant != T::zero() {
        // (Fᵀ)⁻¹.
        return [
            [rows[1][1] / determinant, -rows[1][0] / determinant],
            [-rows[0][1] / determinant, rows[0][0] / determinant],
        ];
    }
    let norm: T = rows.iter().flatten().map(|x| *x * *x).sum();
    if norm > T::zero() { rows.map(|row| row.map(|x| x / norm)) } else { [[T::zero(); 2]; 2] }
}

struct Sums<T> {
    signals: [[[Lanes<T>; MONOMIALS]; 2]; 4],
    covariance: [[Lanes<T>; 3]; 2],
    squares: [[[Lanes<T>; 3]; 2]; 3],
}

impl<T: Scalar> Sums<T> {
    fn zero() -> Self {
        let zero = Lanes::zero();
        Self { signals: [[[zero; 6]; 2]; 4], covariance: [[zero; 3]; 2], squares: [[[zero; 3]; 2]; 3] }
    }

    #[inline(always)]
    fn add(&mut self, w: &[T], z: [&[T]; 2], y: [&[T]; 2], d: [&[T]; 2], s: [&[T]; 2], penalty: bool) {
        let (w, z, y, d, s) = (groups(w), z.map(groups), y.map(groups), d.map(groups), s.map(groups));
        for n in 0..w.len() {
            let at = |x: [&[[T; 8]]; 2]| [Lanes(x[0][n]), Lanes(x[1][n])];
            let (w, [z1, z2], [y, yy], [d, dd], [s, ss]) = (Lanes(w[n]), at(z), at(y), at(d), at(s));
            // ∂_v of a₁ = d Y and a₂ = D y.
            let (a1, a2) = (d * yy, dd * y);
            let cross = d * dd;
            let first = [[s * yy, cross], [cross, ss * y]];
            let monomials = [z1, z2, z1 * z1, z1 * z2, z2 * z2];
            for f in 0..2 {
                for v in 0..2 {
                    add_moments(&mut self.signals[f][v], w * first[f][v], &monomials);
                }
            }
            if penalty {
                // ∂_v of b₁ = d y Y² and b₂ = D Y y².
                let two = Lanes::splat(T::lit(2.0));
                let product = two * y * yy * cross;
                let own = [[(s * y + d * d) * yy * yy, product], [product, (ss * yy + dd * dd) * y * y]];
                for f in 0..2 {
                    for v in 0..2 {
                        add_moments(&mut self.signals[2 + f][v], w * own[f][v], &monomials);
                    }
                }
                add_first(&mut self.covariance[0], w * a1, [z1, z2]);
                add_first(&mut self.covariance[1], w * a2, [z1, z2]);
            }
            for v in 0..2 {
                let two = Lanes::splat(T::lit(2.0)) * w;
                add_first(&mut self.squares[0][v], two * a1 * first[0][v], [z1, z2]);
                add_first(&mut self.squares[1][v], w * (a1 * first[1][v] + a2 * first[0][v]), [z1, z2]);
                add_first(&mut self.squares[2][v], two * a2 * first[1][v], [z1, z2]);
            }
        }
    }
}

#[inline(always)]
fn add_moments<T: Scalar>(sums: &mut [Lanes<T>; MONOMIALS], g: Lanes<T>, monomials: &[Lanes<T>; 5]) {
    sums[0] += g;
    for k in 0..5 {
        sums[k + 1] += g * monomials[k];
    }
}

#[inline(always)]
fn add_first<T: Scalar>(sums: &mut [Lanes<T>; 3], g: Lanes<T>, z: [Lanes<T>; 2]) {
    sums[0] += g;
    sums[1] += g * z[0];
    sums[2] += g * z[1];
}
