//! How averages over a sum of hidden variables move with its coefficients and with the fields (theory §9).
//!
//! Not here: the functions of u that are averaged (see `sum_form`).

use crate::Scalar;
use crate::limit::averages::pair_motion::PairMotion;
use crate::limit::averages::sum_form::{SLOPES, SumForm, split};
use crate::limit::averages::two_fields::SQUARES;
use crate::limit::averages::two_fields_gradient::PlaneGradient;
use crate::model::Nonlinearity;

/// With what averages move.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::limit) enum Extent {
    /// With the fields around the sum alone.
    Fields,
    /// With the coefficients of the sum as well, but for E[c_l c_l' ·].
    Means,
    /// With all of them.
    Pairs,
}

/// With the fields as in the last update of the form, by z where h − μ = F z, F = `rows`.
pub(in crate::limit) fn motion<T: Scalar>(
    form: &mut SumForm<T>,
    rows: [[T; 2]; 2],
    sigma: &dyn Nonlinearity<T>,
    extent: Extent,
) -> PairMotion<T> {
    form.differentiate(sigma);
    Motions::new(form, rows).motion(extent)
}

/// E[c_l c_l' ·], p x p, of (∂₁ + ∂₂)(w₁ a₁ + w₂ a₂), after [`motion`].
pub(in crate::limit) fn weighted_pairs<T: Scalar>(form: &mut SumForm<T>, weights: [T; 2]) -> Vec<T> {
    let SumForm { law, transforms, .. } = form;
    let sum = |part: usize| -> Vec<T> {
        // Of ∂₁a₁, ∂₂a₁ = ∂₁a₂ and ∂₂a₂.
        let [a, b, c] = [0, 3, 6].map(|row| &transforms[row][part]);
        let terms = a.iter().zip(b).zip(c);
        terms.map(|((&a, &b), &c)| weights[0] * (a + b) + weights[1] * (b + c)).collect()
    };
    let (re, im) = (sum(0), sum(1));
    let p = law.features();
    let mut pairs = [vec![T::zero(); p * p]];
    law.with_pairs(&[[&re, &im]], &mut pairs);
    let [pairs] = pairs;
    pairs
}

/// From transforms of functions of u to how the averages move.
struct Motions<'a, T> {
    form: &'a mut SumForm<T>,
    turn: [[T; 2]; 2],
    /// Of every function, its transform times z₁, and times z₁².
    noisy: Vec<[Vec<T>; 2]>,
    noisier: Vec<[Vec<T>; 2]>,
}

impl<'a, T: Scalar> Motions<'a, T> {
    fn new(form: &'a mut SumForm<T>, rows: [[T; 2]; 2]) -> Self {
        let turn = form.turn(rows);
        let waves = form.law.waves().len();
        let by = |f: &dyn Fn([&[T]; 2], [&mut [T]; 2])| -> Vec<[Vec<T>; 2]> {
            let all = (0..SLOPES).map(|row| {
                let mut out = [vec![T::zero(); waves], vec![T::zero(); waves]];
                let [re, im] = &mut out;
                f(form.transform(row), [re, im]);
                out
            });
            all.collect()
        };
        let noisy = by(&|x, out| form.law.times_noise(x, out));
        let noisier = by(&|x, out| form.law.times_noise_squared(x, out));
        Self { form, turn, noisy, noisier }
    }

    /// E[g z₁^a z₂^b], for g the function of which number `row` is the first power of z₂.
    fn moment(&self, row: usize, (a, b): (usize, usize)) -> T {
        let law = &self.form.law;
        match a {
            0 => law.average(self.form.transform(row + b)),
            1 => law.average(split(&self.noisy[row + b])),
            _ => law.average(split(&self.noisier[row + b])),
        }
    }

    fn first(&self, row: usize) -> [T; 3] {
        let along = [self.moment(row, (1, 0)), self.moment(row, (0, 1))];
        let z = self.turn.map(|o| o[0] * along[0] + o[1] * along[1]);
        [self.moment(row, (0, 0)), z[0], z[1]]
    }

    fn second(&self, row: usize) -> [T; 6] {
        let [one, z1, z2] = self.first(row);
        let [uu, uv, vv] = [(2, 0), (1, 1), (0, 2)].map(|power| self.moment(row, power));
        let product = |k: usize, l: usize| {
            let (p, q) = (self.turn[k], self.turn[l]);
            p[0] * q[0] * uu + (p[0] * q[1] + p[1] * q[0]) * uv + p[1] * q[1] * vv
        };
        [one, z1, z2, product(0, 0), product(0, 1), product(1, 1)]
    }

    fn motion(self, extent: Extent) -> PairMotion<T> {
        let slopes = [self.second(0), self.second(3), self.second(6)];
        let square = |f: usize, v: usize| self.first(9 + 4 * f + 2 * v);
        let none = [T::zero(); 6];
        let plane = PlaneGradient {
            signals: [[slopes[0], slopes[1]], [slopes[1], slopes[2]], [none; 2], [none; 2]],
            covariance: [[T::zero(); 3]; 2],
            squares: [0, 1, 2].map(|f| [square(f, 0), square(f, 1)]),
        };
        let Self { form, turn, noisy, .. } = self;
        let SumForm { law, transforms, .. } = form;
        let mut motion = PairMotion::of_plane(plane);
        if extent == Extent::Fields {
            return motion;
        }
        let p = law.features();
        // Of each of ∂₁a₁, ∂₂a₁, ∂₂a₂: times 1, z₁ and z₂; then the squares along both views.
        let mut functions: Vec<[&[T]; 2]> = Vec::new();
        for e in 0..3 {
            functions.extend([split(&transforms[3 * e]), split(&noisy[3 * e]), split(&transforms[3 * e + 1])]);
        }
        for f in 0..3 {
            functions.extend([split(&transforms[9 + 4 * f]), split(&transforms[11 + 4 * f])]);
        }
        let mut averages = vec![T::zero(); p * functions.len()];
        law.with_hidden(&functions, &mut averages);
        let with_hidden: Vec<&[T]> = averages.chunks_exact(p).collect();
        let sum = |x: &[T], y: &[T]| -> Vec<T> { x.iter().zip(y).map(|(&x, &y)| x + y).collect() };
        let combine = |e: usize, o: [T; 2]| -> Vec<T> {
            let along = with_hidden[3 * e + 1].iter().zip(with_hidden[3 * e + 2]);
            along.map(|(&u, &v)| o[0] * u + o[1] * v).collect()
        };
        // One neuron: the means of both fields move alike, so that what both do stands with the first.
        for f in 0..2 {
            // Number of ∂_v of signal f.
            let along = [0, 1].map(|v| [0, 1].map(|k| combine(f + v, turn[k])));
            motion.means[3 * f][0] = sum(with_hidden[3 * f], with_hidden[3 * (f + 1)]);
            for k in 0..2 {
                motion.means[3 * f + 1 + k][0] = sum(&along[0][k], &along[1][k]);
            }
            motion.rows[f] = along;
        }
        for f in 0..3 {
            motion.means[SQUARES + f][0] = sum(with_hidden[9 + 2 * f], with_hidden[10 + 2 * f]);
        }
        if extent == Extent::Means {
            return motion;
        }
        let both: Vec<[Vec<T>; 2]> =
            (0..2).map(|f| [0, 1].map(|part| sum(&transforms[3 * f][part], &transforms[3 * (f + 1)][part]))).collect();
        let mut pairs = vec![vec![T::zero(); p * p]; 2];
        law.with_pairs(&[split(&both[0]), split(&both[1])], &mut pairs);
        for (f, pairs) in pairs.into_iter().enumerate() {
            motion.pairs[f][0] = pairs;
        }
        motion
    }
}
