//! Canonical coordinates of all fields of both views, however many neurons there are: uncorrelated within a view, and coupled one to
//! one across views. As numbers: with derivatives or without.

use nalgebra::DMatrix;

use crate::Scalar;
use crate::limit::fields::canonical::{KEPT, REST_ULPS};
use crate::limit::fields::factor::Factor;
use crate::numerics::dual::Number;
use crate::numerics::linear::{SVD_ITERATIONS, svd};

/// How the coordinates of a reference lie, to which those of other states keep where they can.
#[derive(Debug, Clone)]
pub(in crate::limit) struct Reference<T> {
    neurons: usize,
    factors: [Factor<T>; 2],
    turns: [DMatrix<f64>; 2],
}

/// h = μ + L^v u^v for the m fields of each view v, with u¹ and u² standard normal and E[u¹_k u²_l] = r_k for k = l, else almost 0.
#[derive(Debug, Clone)]
pub(in crate::limit) struct ViewCoordinates<T, N> {
    factors: [Factor<T, N>; 2],
    /// L^v, m x m each, row by row.
    pub(in crate::limit) rows: [Vec<N>; 2],
    /// r, not negative but for rounding.
    pub(in crate::limit) correlations: Vec<f64>,
    /// E[u¹_k u²_l] less r on the diagonal, m x m: as small as its square does not matter, with all derivatives.
    pub(in crate::limit) rest: Vec<N>,
    /// Whether any of it is not zero, or moves.
    pub(in crate::limit) has_rest: bool,
}

impl<T: Scalar> Reference<T> {
    /// That of a covariance of the fields, 2m x 2m row by row, view 1 first. It may be singular. `None` if it is not finite.
    pub(in crate::limit) fn new(covariance: &[T], neurons: usize) -> Option<Self> {
        let m = neurons;
        let factors = [0, 1].map(|v| Factor::new(&within(covariance, m, v), m, false));
        let turns = [DMatrix::identity(m, m), DMatrix::identity(m, m)];
        let mut this = Self { neurons, factors, turns };
        let mut coordinates: ViewCoordinates<T, T> = this.coordinates();
        this.turns = this.turned(&coordinates.correlate(covariance, m))?;
        Some(this)
    }

    /// Coordinates of that layout, to be moved to a state.
    pub(in crate::limit) fn coordinates<N: Number<T>>(&self) -> ViewCoordinates<T, N> {
        let m = self.neurons;
        let zeros = || vec![N::zero(); m * m];
        ViewCoordinates {
            factors: [0, 1].map(|v| self.factors[v].with_numbers()),
            rows: [zeros(), zeros()],
            correlations: vec![0.0; m],
            rest: zeros(),
            has_rest: false,
        }
    }

    /// The rotations that make a matrix of correlations diagonal.
    fn turned<N: Number<T>>(&self, correlation: &[N]) -> Option<[DMatrix<f64>; 2]> {
        let m = self.neurons;
        let values = DMatrix::from_fn(m, m, |k, l| correlation[k * m + l].value().as_f64());
        let svd = svd(values, (true, true), SVD_ITERATIONS)?;
        Some([svd.u?, svd.v_t?.transpose()])
    }
}

impl<T: Scalar, N: Number<T>> ViewCoordinates<T, N> {
    /// Goes over to another covariance of the fields, whose coordinates are those of the reference where these will do.
    pub(in crate::limit) fn move_to(&mut self, reference: &Reference<T>, covariance: &[N]) {
        let m = reference.neurons;
        let correlation = self.correlate(covariance, m);
        let kept = turn(&correlation, &reference.turns);
        // Kernels serve correlations from zero on.
        let near = |(at, x): (usize, &N)| {
            let x = x.value().as_f64();
            if at / m == at % m { x >= -KEPT } else { x.abs() <= KEPT }
        };
        let keeps = kept.iter().enumerate().all(near);
        let turned = if keeps { None } else { reference.turned(&correlation) };
        let turns = turned.as_ref().unwrap_or(&reference.turns);
        self.rest = if turned.is_some() { turn(&correlation, turns) } else { kept };
        self.has_rest = N::DIFFERENTIATES;
        let failed = !keeps && turned.is_none();
        for (at, rest) in self.rest.iter_mut().enumerate() {
            let value = rest.value();
            let own = if at / m == at % m {
                // Without coordinates there are no averages.
                self.correlations[at / m] = if failed { f64::NAN } else { value.as_f64().clamp(-1.0, 1.0) };
                value
            } else if turned.is_some() || value.as_f64().abs() <= REST_ULPS * T::EPSILON.as_f64() {
                // Rounding.
                value
            } else {
                T::zero()
            };
            *rest -= N::constant(own);
            self.has_rest |= rest.value() != T::zero();
        }
        for ((rows, factor), turn) in self.rows.iter_mut().zip(&self.factors).zip(turns) {
            for (at, row) in rows.iter_mut().enumerate() {
                let (i, k) = (at / m, at % m);
                *row = (0..m).fold(N::zero(), |sum, j| sum + factor.get(i, j).times(T::lit(turn[(j, k)])));
            }
        }
    }

    /// Takes the factors of each view; returns the correlations of their coordinates.
    fn correlate(&mut self, covariance: &[N], m: usize) -> Vec<N> {
        for (v, factor) in self.factors.iter_mut().enumerate() {
            factor.update(&within(covariance, m, v));
        }
        let [first, second] = &self.factors;
        // Of the coordinates of view 1 with the fields of view 2, then with its coordinates.
        let (mut mixed, mut column, mut g) = (vec![N::zero(); m * m], vec![N::zero(); m], vec![N::zero(); m]);
        for j in 0..m {
            (0..m).for_each(|i| column[i] = covariance[i * 2 * m + m + j]);
            first.regress(&column, &mut g);
            (0..m).for_each(|k| mixed[k * m + j] = g[k]);
        }
        let mut out = vec![N::zero(); m * m];
        for (row, out) in mixed.chunks_exact(m).zip(out.chunks_exact_mut(m)) {
            second.regress(row, out);
        }
        out
    }

    /// How far a unit of coordinate k moves a field, at most.
    pub(in crate::limit) fn gain(&self, k: usize) -> f64 {
        let m = self.correlations.len();
        let entries = self.rows.iter().flat_map(|rows| rows.iter().skip(k).step_by(m));
        entries.fold(0.0, |gain, x| x.value().as_f64().abs().max(gain))
    }
}

/// The covariance of the fields of one view.
fn within<N: Copy>(covariance: &[N], m: usize, view: usize) -> Vec<N> {
    let row = |i: usize| &covariance[(view * m + i) * 2 * m + view * m..][..m];
    (0..m).flat_map(row).copied().collect()
}

/// Uᵀ X V.
fn turn<T: Scalar, N: Number<T>>(correlation: &[N], [first, second]: &[DMatrix<f64>; 2]) -> Vec<N> {
    let m = first.nrows();
    let entry = |at: usize| {
        let (k, l) = (at / m, at % m);
        let pairs = (0..m).flat_map(|i| (0..m).map(move |j| (i, j)));
        pairs.fold(N::zero(), |sum, (i, j)| sum + correlation[i * m + j].times(T::lit(first[(i, k)] * second[(j, l)])))
    };
    (0..m * m).map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(coordinates: &ViewCoordinates<f64, f64>, covariance: &[f64], m: usize) {
        for (f, g) in (0..2 * m).flat_map(|f| (0..2 * m).map(move |g| (f, g))) {
            let row = |f: usize| &coordinates.rows[f / m][f % m * m..][..m];
            let (x, y) = (row(f.min(g)), row(f.max(g)));
            let sum: f64 = if f / m == g / m {
                x.iter().zip(y).map(|(x, y)| x * y).sum()
            } else {
                let weight = |k: usize, l: usize| {
                    coordinates.rest[k * m + l] + if k == l { coordinates.correlations[k] } else { 0.0 }
                };
                (0..m * m).map(|at| x[at / m] * weight(at / m, at % m) * y[at % m]).sum()
            };
            assert!((sum - covariance[f * 2 * m + g]).abs() < 1e-13, "({f}, {g}): {sum} {}", covariance[f * 2 * m + g]);
        }
    }

    /// Σ_n a_n ⊗ b_n over the views and the neurons, of matrices given by vectors.
    fn covariance(views: &[[f64; 2]], neurons: &[[f64; 3]], m: usize) -> Vec<f64> {
        let entry = |f: usize, g: usize| -> f64 {
            let vectors = views.iter().flat_map(|a| neurons.iter().map(move |b| (a, b)));
            vectors
                .enumerate()
                .map(|(n, (a, b))| (1.0 + 0.3 * n as f64) * a[f / m] * a[g / m] * b[f % m] * b[g % m])
                .sum()
        };
        (0..4 * m * m).map(|at| entry(at / (2 * m), at % (2 * m))).collect()
    }

    #[test]
    fn coordinates_reproduce_regular_and_singular_covariances_of_any_size() {
        let neurons = [[1.0, 0.2, -0.3], [0.1, 0.8, 0.4], [0.3, -0.2, 0.9]];
        for m in 1..4 {
            // Two independent directions of the views; views that are equal, opposite, and without variance.
            for views in [&[[1.0, 0.4], [0.2, -0.7]][..], &[[1.0, 1.0]], &[[1.0, -1.0]], &[]] {
                for some in [&neurons[..], &neurons[..1]] {
                    let covariance = covariance(views, some, m);
                    let reference = Reference::new(&covariance, m).unwrap();
                    let mut coordinates = reference.coordinates();
                    coordinates.move_to(&reference, &covariance);
                    check(&coordinates, &covariance, m);
                    assert!(coordinates.correlations.iter().all(|&r| r > -1e-12));
                    let moved: Vec<f64> = covariance.iter().map(|x| 1.3 * x).collect();
                    coordinates.move_to(&reference, &moved);
                    check(&coordinates, &moved, m);
                }
            }
        }
    }

    #[test]
    fn coordinates_are_kept_where_they_would_turn_for_nothing() {
        // Equal correlations, and almost equal ones.
        let of = |c: f64| {
            let mut covariance = vec![0.0; 16];
            (0..4).for_each(|f| covariance[5 * f] = 1.0);
            for (f, g, x) in [(0, 2, 0.5), (1, 3, 0.5), (0, 3, c), (1, 2, c)] {
                (covariance[4 * f + g], covariance[4 * g + f]) = (x, x);
            }
            covariance
        };
        let reference = Reference::new(&of(0.0), 2).unwrap();
        let mut coordinates: ViewCoordinates<f64, f64> = reference.coordinates();
        coordinates.move_to(&reference, &of(1e-7));
        assert!(coordinates.has_rest);
        check(&coordinates, &of(1e-7), 2);
        coordinates.move_to(&reference, &of(1e-3));
        assert!(!coordinates.has_rest);
        check(&coordinates, &of(1e-3), 2);
    }
}
