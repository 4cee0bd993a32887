//! An orthogonal frame of span(U, W), built anew from the weights (theory §8): w_i = Σ_l Q_li u_l + √N Σ_a V_ia ê_a.
//!
//! Covers Gram-Schmidt that is orthogonal to rounding and finds the rank, however singular R − QᵀQ is.

use nalgebra::DMatrix;

use crate::Scalar;
use crate::numerics::kernels::{Columns, combine, dot};
use crate::numerics::lanes::dispatch;

/// What projections leave of a vector is nothing but rounding if it is so many ulp of it, for each column that there is.
const NOTHING_ULPS: f64 = 4.0;

/// A projection takes nearly all of a vector if it leaves less than that part of its squared norm: two digits, which it then lacks.
const NEARLY_ALL: f64 = 1e-4;

/// An orthogonal frame of the weights' background parts.
#[derive(Debug, Clone)]
pub(in crate::sgd) struct Frame<T> {
    /// k vectors orthogonal to U and to each other; N numbers each, with room for m.
    pub(in crate::sgd) vectors: Vec<T>,
    /// Their norms.
    pub(in crate::sgd) norms: Vec<T>,
    pub(in crate::sgd) rank: usize,
    work: Vec<T>,
    dots: Vec<T>,
}

impl<T: Scalar> Frame<T> {
    /// Room for the frame of m neurons at dimension N.
    pub(in crate::sgd) fn new(n: usize, p: usize, m: usize) -> Self {
        let zeros = |length: usize| vec![T::zero(); length];
        Self { vectors: zeros(n * m), norms: zeros(m), rank: 0, work: zeros(n), dots: zeros(p + m) }
    }

    /// Builds the frame from the weights, and writes Q and V. Classical Gram-Schmidt, repeated where a projection
    /// takes nearly all of a vector.
    pub(in crate::sgd) fn build(&mut self, features: &[T], weights: &DMatrix<T>, q: &mut [T], v: &mut [T]) {
        dispatch(
            #[inline(always)]
            || self.orthogonalise(features, weights, q, v),
        );
    }

    #[inline(always)]
    fn orthogonalise(&mut self, features: &[T], weights: &DMatrix<T>, q: &mut [T], v: &mut [T]) {
        let (n, m) = weights.shape();
        let p = features.len() / n;
        let (size, root) = (T::of_usize(n), T::of_usize(n).sqrt());
        let nothing = T::lit(NOTHING_ULPS) * T::of_usize(p + m) * T::EPSILON;
        self.rank = 0;
        v.fill(T::zero());
        for (i, w) in weights.as_slice().chunks_exact(n).enumerate() {
            let k = self.rank;
            let (frame, free) = self.vectors.split_at_mut(k * n);
            let Some(vector) = free.get_mut(..n) else { continue };
            let (along, across) = self.dots.split_at_mut(p);
            for l in 0..p {
                q[l * m + i] = T::zero();
            }
            let mut full = T::zero();
            // Twice is enough; the third is for what the first two leave of almost nothing.
            for round in 0..3 {
                let base = if round == 0 {
                    w
                } else {
                    self.work.copy_from_slice(vector);
                    &self.work
                };
                for (l, u) in features.chunks_exact(n).enumerate() {
                    let overlap = dot(u, base) / size;
                    q[l * m + i] += overlap;
                    along[l] = -overlap;
                }
                for (a, e) in frame.chunks_exact(n).enumerate() {
                    let overlap = dot(e, base) / self.norms[a];
                    v[i * m + a] += overlap / root;
                    across[a] = -overlap / self.norms[a];
                }
                let parts = [
                    Columns { data: features, stride: n, coefficients: along },
                    Columns { data: frame, stride: n, coefficients: &across[..k] },
                ];
                let after = combine(vector, base, |x| x, parts);
                let taken = along.iter().map(|&x| x * x * size).sum::<T>()
                    + across.iter().zip(&self.norms[..k]).map(|(&x, &norm)| (x * norm) * (x * norm)).sum::<T>();
                let before = after + taken;
                if round == 0 {
                    full = before;
                }
                if after <= nothing * nothing * full {
                    break;
                }
                if after > T::lit(NEARLY_ALL) * before || round == 2 {
                    self.norms[k] = after.sqrt();
                    v[i * m + k] = self.norms[k] / root;
                    self.rank += 1;
                    break;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::start::Features;
    use rand::SeedableRng;
    use rand_xoshiro::Xoshiro256PlusPlus;

    /// U and the frame orthogonal to rounding, and W rebuilt from Q and V, for weights whose background parts shrink to
    /// nothing and to each other.
    #[test]
    fn the_frame_is_orthogonal_however_singular_the_weights_are() {
        let (n, p, m) = (50, 2, 3);
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let features = Features::<f64>::random(n, p, &mut rng).unwrap();
        let u = features.matrix();
        let normals = DMatrix::from_fn(n, m, |_, _| f64::standard_normal(&mut rng));
        for (small, rank) in [(1.0, 3), (1e-3, 3), (1e-8, 3), (1e-12, 3), (0.0, 1)] {
            // One neuron of full background, one near span(U), one near the first.
            let mut w = normals.clone();
            w.set_column(1, &(u.column(0) * 0.5 - u.column(1) * 0.3 + normals.column(1) * small));
            w.set_column(2, &(normals.column(0) + u.column(0) * 0.1 + normals.column(2) * small));
            let mut frame = Frame::new(n, p, m);
            let (mut q, mut v) = (vec![0.0; p * m], vec![0.0; m * m]);
            frame.build(u.as_slice(), &w, &mut q, &mut v);
            assert_eq!(frame.rank, rank, "{small}");
            let mut e = DMatrix::from_column_slice(n, rank, &frame.vectors[..n * rank]);
            for (a, mut column) in e.column_iter_mut().enumerate() {
                column /= frame.norms[a];
            }
            assert!(u.tr_mul(&e).amax() < 1e-12 && (e.tr_mul(&e) - DMatrix::identity(rank, rank)).amax() < 1e-13);
            let v = DMatrix::from_row_slice(m, m, &v).columns(0, rank).into_owned();
            let rebuilt = u * DMatrix::from_row_slice(p, m, &q) + e * v.transpose() * (n as f64).sqrt();
            assert!((rebuilt - &w).amax() < 1e-13, "{small}");
        }
    }
}
