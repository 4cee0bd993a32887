//! How averages over a sum of hidden variables move with its coefficients and with the fields (theory §9).
//!
//! Not here: the functions of u that are averaged (see `sum_form`).

use crate::Scalar;
use crate::limit::averages::sum_form::{SLOPES, SumForm, split};
use crate::limit::averages::two_fields::{SQUARES, SUMS};
use crate::limit::averages::two_fields_gradient::{Motion, PlaneGradient};
use crate::model::Nonlinearity;
use crate::numerics::dual::{Dual, Number};
use crate::numerics::lanes::Lanes;

/// How the averages move.
#[derive(Debug, Clone)]
pub(in crate::limit) struct SumGradient<T> {
    /// With the mean and the factor of the fields.
    pub(in crate::limit) plane: PlaneGradient<T>,
    /// E[c_l (∂₁ + ∂₂) f (1, z)] for f = a₁, a₂ and the three squares (1 alone), of length p each.
    pub(in crate::limit) means: [[Vec<T>; 3]; 2],
    pub(in crate::limit) squares: [Vec<T>; 3],
    /// E[c_l ∂_v f z_k] for f = a₁, a₂, view v, coordinate k.
    pub(in crate::limit) rows: [[[Vec<T>; 2]; 2]; 2],
    /// E[c_l c_l' (∂₁ + ∂₂) f] for f = a₁, a₂: p x p.
    pub(in crate::limit) pairs: Vec<Vec<T>>,
}

impl<T: Scalar> SumGradient<T> {
    /// With the fields as in the last update of the form, by z where h − μ = F z, F = `rows`; without `with_hidden` only `plane`.
    pub(in crate::limit) fn new(
        form: &mut SumForm<T>,
        rows: [[T; 2]; 2],
        sigma: &dyn Nonlinearity<T>,
        with_hidden: bool,
    ) -> Self {
        form.differentiate(sigma);
        Motions::new(form, rows).gradient(with_hidden)
    }

    fn empty() -> Self {
        let none = || Vec::new();
        Self {
            plane: PlaneGradient {
                signals: [[[T::zero(); 6]; 2]; 4],
                covariance: [[T::zero(); 3]; 2],
                squares: [[[T::zero(); 3]; 2]; 3],
            },
            means: [[none(), none(), none()], [none(), none(), none()]],
            squares: [none(), none(), none()],
            rows: [[[none(), none()], [none(), none()]], [[none(), none()], [none(), none()]]],
            pairs: Vec::new(),
        }
    }

    /// Adds to the averages how they move with the coefficients `q` of the sum, and with the factor of the fields.
    pub(in crate::limit) fn lift(
        &self,
        q: &[Dual<T>],
        rows: [[Dual<T>; 2]; 2],
        sums: &mut [Dual<T>; SUMS],
        with_hidden: &mut [Dual<T>],
    ) {
        let p = q.len();
        // Most coefficients move along no direction.
        let moving: Vec<usize> = (0..p).filter(|&l| q[l].slopes != Lanes::zero()).collect();
        let along = |c: &[T]| moving.iter().fold(Lanes::zero(), |sum, &l| sum + Lanes::splat(c[l]) * q[l].slopes);
        let still = Motion { mean: [Dual::zero(); 2], rows };
        let along_rows = self.plane.slopes(&still);
        for (k, sum) in sums.iter_mut().enumerate() {
            sum.slopes += along_rows[k];
        }
        for f in 0..2 {
            for k in 0..3 {
                sums[3 * f + k].slopes += along(&self.means[f][k]);
            }
            for l in 0..p {
                let mut slopes = along(&self.pairs[f][l * p..(l + 1) * p]);
                for v in 0..2 {
                    for k in 0..2 {
                        slopes += Lanes::splat(self.rows[f][v][k][l]) * rows[v][k].slopes;
                    }
                }
                with_hidden[f * p + l].slopes += slopes;
            }
        }
        for k in 0..3 {
            sums[SQUARES + k].slopes += along(&self.squares[k]);
        }
    }
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

    fn gradient(self, with_hidden: bool) -> SumGradient<T> {
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
        if !with_hidden {
            return SumGradient { plane, ..SumGradient::empty() };
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
        // Number of ∂_v of signal f.
        let rows = [0, 1].map(|f| [0, 1].map(|v| [0, 1].map(|k| combine(f + v, turn[k]))));
        let means = [0, 1].map(|f| {
            let along = |k: usize| sum(&rows[f][0][k], &rows[f][1][k]);
            [sum(with_hidden[3 * f], with_hidden[3 * (f + 1)]), along(0), along(1)]
        });
        let squares = [0, 1, 2].map(|f| sum(with_hidden[9 + 2 * f], with_hidden[10 + 2 * f]));
        let both: Vec<[Vec<T>; 2]> =
            (0..2).map(|f| [0, 1].map(|part| sum(&transforms[3 * f][part], &transforms[3 * (f + 1)][part]))).collect();
        let mut pairs = vec![vec![T::zero(); p * p]; 2];
        law.with_pairs(&[split(&both[0]), split(&both[1])], &mut pairs);
        SumGradient { plane, means, squares, rows, pairs }
    }
}
