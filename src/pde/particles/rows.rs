//! The rows themselves, as columns: features, weights at the three stages of a step, normals; and the passes over them.
//!
//! Every pass goes over chunks of [`CHUNK`] rows, each with its own stream of random numbers and its own partial sums,
//! which are added in the order of the chunks. So nothing depends on the number of threads.

use nalgebra::DMatrix;

use crate::Scalar;
use crate::limit::Compiled;
use crate::numerics::kernels::{dot, sum};
use crate::numerics::lanes::{LANES, Lanes, dispatch, groups, groups_mut};
use crate::parallel::{each_chunk, each_numbered};
use crate::pde::particles::scheme::Stage;
use crate::random::{FillNormal, LaneRng};
use crate::save::SaveError;
use crate::start::Rows;

/// Rows that are worked on at a time: a column of them fits into the first-level cache.
const CHUNK: usize = 4096;

/// Groups of lanes that [`blend`] works on at a time, and their rows.
const GROUPS: usize = 4;
const BLOCK: usize = GROUPS * LANES;

/// The weights before, in and after a step, and the normals of the step.
#[derive(Debug, Clone)]
pub(super) struct RowBuffers<T: Scalar> {
    pub(super) count: usize,
    pub(super) features: usize,
    pub(super) neurons: usize,
    /// u_l at l·M.
    u: Vec<T>,
    /// w_i at i·M, for each stage.
    stages: [Vec<T>; 3],
    /// ξ_k at k·M.
    normals: Vec<T>,
    streams: Vec<LaneRng>,
    /// Sums of each chunk.
    partial: Vec<T>,
}

/// What is kept of the rows.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct SavedRows<T> {
    u: Vec<T>,
    weights: Vec<T>,
    /// Only those of a step that was begun.
    normals: Vec<T>,
    streams: Vec<LaneRng>,
}

/// One column of new weights as a sum over columns.
pub(super) struct Blend<'a, T> {
    pub(super) constant: T,
    /// Multiples of u_l, w_j, w*_j and ξ_k.
    pub(super) u: &'a [T],
    pub(super) start: &'a [T],
    pub(super) predictor: Option<&'a [T]>,
    pub(super) normals: &'a [T],
    /// Multiples of ψ(w_j) and ψ(w*_j).
    pub(super) bent_start: Option<&'a [T]>,
    pub(super) bent_predictor: Option<&'a [T]>,
}

impl<T: Compiled> RowBuffers<T> {
    /// Rows as drawn, with streams of that seed.
    pub(super) fn new(rows: Rows<T>, seed: u64) -> Self {
        let (count, features) = rows.features.shape();
        let neurons = rows.weights.ncols();
        let weights: Vec<T> = rows.weights.data.into();
        Self {
            count,
            features,
            neurons,
            u: rows.features.data.into(),
            stages: [weights.clone(), weights.clone(), weights.clone()],
            normals: weights,
            streams: (0..count.div_ceil(CHUNK) as u64).map(|chunk| LaneRng::stream(seed, chunk)).collect(),
            partial: Vec::new(),
        }
    }

    pub(super) fn saved(&self, drawn: bool) -> SavedRows<T> {
        SavedRows {
            u: self.u.clone(),
            weights: self.stages[Stage::Start as usize].clone(),
            normals: if drawn { self.normals.clone() } else { Vec::new() },
            streams: self.streams.clone(),
        }
    }

    /// Takes them over, unless they do not fit.
    pub(super) fn restore(&mut self, saved: SavedRows<T>, drawn: bool) -> Result<(), SaveError> {
        let SavedRows { u, weights, normals, streams } = saved;
        let lengths = (u.len(), weights.len(), streams.len());
        let drawn_length = if drawn { self.normals.len() } else { 0 };
        if lengths != (self.u.len(), self.normals.len(), self.streams.len()) || normals.len() != drawn_length {
            return Err(SaveError::content("its particles are of another number"));
        }
        self.u = u;
        self.stages[Stage::Start as usize] = weights;
        self.streams = streams;
        if drawn {
            self.normals = normals;
        }
        Ok(())
    }

    /// u_l of all rows.
    pub(super) fn feature(&self, l: usize) -> &[T] {
        &self.u[l * self.count..(l + 1) * self.count]
    }

    /// w_i of all rows.
    pub(super) fn weight(&self, stage: Stage, i: usize) -> &[T] {
        &self.stages[stage as usize][i * self.count..(i + 1) * self.count]
    }

    /// Makes the end of the step the start of the next one.
    pub(super) fn accept(&mut self) {
        self.stages.swap(Stage::Start as usize, Stage::End as usize);
    }

    /// Multiplies w_i by a number.
    pub(super) fn scale(&mut self, stage: Stage, i: usize, factor: T) {
        let count = self.count;
        self.stages[stage as usize][i * count..(i + 1) * count].iter_mut().for_each(|w| *w *= factor);
    }

    /// Draws new normals; with `mirrored`, the second half of the rows gets the negatives of the first half.
    pub(super) fn draw(&mut self, mirrored: bool) {
        let drawn = if mirrored { self.count / 2 } else { self.count };
        for column in self.normals.chunks_exact_mut(self.count) {
            let (first, second) = column.split_at_mut(drawn);
            each_chunk(&mut self.streams, first, CHUNK, &LaneRng::fill_normal);
            second.iter_mut().zip(first).for_each(|(y, x)| *y = -*x);
        }
    }

    /// Means over the rows: Q row by row, the upper triangle of R row by row, and of each w_i.
    pub(super) fn moments(&mut self, stage: Stage, out: &mut [T]) {
        let (p, m, n) = (self.features, self.neurons, self.count);
        let mut partial = std::mem::take(&mut self.partial);
        let (u, w) = (&self.u, &self.stages[stage as usize]);
        // Plain loops: what iterators call is not inlined, and then not compiled for the instruction set.
        reduce(
            n,
            &mut partial,
            out,
            #[inline(always)]
            |rows, sums| {
                let (u, w) = (Columns { data: u, n, rows: &rows }, Columns { data: w, n, rows: &rows });
                let mut at = 0;
                for l in 0..p {
                    for i in 0..m {
                        sums[at] = dot(u.at(l), w.at(i));
                        at += 1;
                    }
                }
                for i in 0..m {
                    for j in i..m {
                        sums[at] = dot(w.at(i), w.at(j));
                        at += 1;
                    }
                }
                for i in 0..m {
                    sums[at] = sum(w.at(i));
                    at += 1;
                }
            },
        );
        self.partial = partial;
    }

    /// Means over the rows of every normal ξ_k times u_l, w_i and 1 (p + m + 1 numbers for each k), then times ξ_j, j ≥ k.
    pub(super) fn normal_moments(&mut self, out: &mut [T]) {
        let (p, m, n) = (self.features, self.neurons, self.count);
        let mut partial = std::mem::take(&mut self.partial);
        let (u, w, normals) = (&self.u, &self.stages[Stage::Start as usize], &self.normals);
        reduce(
            n,
            &mut partial,
            out,
            #[inline(always)]
            |rows, sums| {
                let u = Columns { data: u, n, rows: &rows };
                let (w, normals) = (Columns { data: w, ..u }, Columns { data: normals, ..u });
                let mut at = 0;
                for k in 0..m {
                    for l in 0..p {
                        sums[at] = dot(normals.at(k), u.at(l));
                        at += 1;
                    }
                    for i in 0..m {
                        sums[at] = dot(normals.at(k), w.at(i));
                        at += 1;
                    }
                    sums[at] = sum(normals.at(k));
                    at += 1;
                }
                for k in 0..m {
                    for j in k..m {
                        sums[at] = dot(normals.at(k), normals.at(j));
                        at += 1;
                    }
                }
            },
        );
        self.partial = partial;
    }

    /// The mean of f(w_i) over the rows.
    pub(super) fn mean(&mut self, stage: Stage, i: usize, f: impl Fn(T) -> T + Sync) -> T {
        let mut partial = std::mem::take(&mut self.partial);
        let w = self.weight(stage, i);
        let mut out = [T::zero()];
        reduce(self.count, &mut partial, &mut out, |rows, sums| sums[0] = w[rows].iter().map(|&w| f(w)).sum());
        self.partial = partial;
        out[0]
    }

    /// The mean of w_i times f of w_j.
    pub(super) fn mean_product(&mut self, stage: Stage, (i, j): (usize, usize), f: impl Fn(T) -> T + Sync) -> T {
        let mut partial = std::mem::take(&mut self.partial);
        let (x, y) = (self.weight(stage, i), self.weight(stage, j));
        let mut out = [T::zero()];
        reduce(self.count, &mut partial, &mut out, |rows, sums| {
            sums[0] = x[rows.clone()].iter().zip(&y[rows]).map(|(&x, &y)| x * f(y)).sum();
        });
        self.partial = partial;
        out[0]
    }

    /// Multiplies every row of weights by a matrix from the right.
    pub(super) fn transform(&mut self, stage: Stage, matrix: &DMatrix<T>) {
        let (count, m) = (self.count, self.neurons);
        let weights = &mut self.stages[stage as usize];
        let mut row = vec![T::zero(); m];
        for n in 0..count {
            for (j, out) in row.iter_mut().enumerate() {
                *out = (0..m).map(|i| weights[i * count + n] * matrix[(i, j)]).sum();
            }
            row.iter().enumerate().for_each(|(j, &w)| weights[j * count + n] = w);
        }
    }

    /// Means of u uᵀ (upper triangle, row by row) and of u.
    pub(super) fn feature_moments(&self) -> (Vec<T>, Vec<T>) {
        let scale = T::one() / T::of_usize(self.count);
        let p = self.features;
        let pairs = (0..p).flat_map(|k| (k..p).map(move |l| (k, l)));
        let squares = pairs.map(|(k, l)| dot(self.feature(k), self.feature(l)) * scale).collect();
        (squares, (0..p).map(|l| sum(self.feature(l)) * scale).collect())
    }

    /// Writes column i of a stage other than the start.
    pub(super) fn blend(&mut self, to: Stage, i: usize, terms: &Blend<'_, T>, psi: impl Fn(T) -> T + Sync) {
        let n = self.count;
        let mut out = std::mem::take(&mut self.stages[to as usize]);
        let [start, predictor, _] = &self.stages;
        let linear: Vec<(T, &[T])> = nonzero(&self.u, n, Some(terms.u))
            .chain(nonzero(start, n, Some(terms.start)))
            .chain(nonzero(predictor, n, terms.predictor))
            .chain(nonzero(&self.normals, n, Some(terms.normals)))
            .collect();
        let bent: Vec<(T, &[T])> =
            nonzero(start, n, terms.bent_start).chain(nonzero(predictor, n, terms.bent_predictor)).collect();
        let mut starts: Vec<usize> = (0..n).step_by(CHUNK).collect();
        each_chunk(&mut starts, &mut out[i * n..(i + 1) * n], CHUNK, &|&mut at, out| {
            dispatch(
                #[inline(always)]
                || blend(out, at, terms.constant, &linear, &bent, &psi),
            );
        });
        self.stages[to as usize] = out;
    }
}

/// Columns of length n with their coefficients, without those that are zero.
fn nonzero<'a, T: Compiled>(data: &'a [T], n: usize, a: Option<&'a [T]>) -> impl Iterator<Item = (T, &'a [T])> {
    data.chunks_exact(n).zip(a.unwrap_or_default()).map(|(x, &a)| (a, x)).filter(|(a, _)| *a != T::zero())
}

/// Some rows of columns of length n.
#[derive(Clone, Copy)]
struct Columns<'a, T> {
    data: &'a [T],
    n: usize,
    rows: &'a std::ops::Range<usize>,
}

impl<'a, T> Columns<'a, T> {
    #[inline(always)]
    fn at(&self, k: usize) -> &'a [T] {
        &self.data[k * self.n + self.rows.start..k * self.n + self.rows.end]
    }
}

/// out = constant + Σ a·x + Σ b·ψ(y), for the rows from `at` on.
#[inline(always)]
fn blend<T: Compiled>(
    out: &mut [T],
    at: usize,
    constant: T,
    linear: &[(T, &[T])],
    bent: &[(T, &[T])],
    psi: &impl Fn(T) -> T,
) {
    let (blocks, rest) = out.as_chunks_mut::<BLOCK>();
    let mut from = at;
    for block in blocks {
        // Groups of lanes with constant indices stay in registers from term to term.
        let mut sums = [Lanes::splat(constant); GROUPS];
        for &(a, x) in linear {
            let (a, x) = (Lanes::splat(a), groups(&x[from..from + BLOCK]));
            for g in 0..GROUPS {
                sums[g] += a * Lanes(x[g]);
            }
        }
        for &(a, x) in bent {
            // A loop of its own: ψ may branch.
            let mut values = [T::zero(); BLOCK];
            for (value, &x) in values.iter_mut().zip(&x[from..from + BLOCK]) {
                *value = psi(x);
            }
            let (a, x) = (Lanes::splat(a), groups(&values));
            for g in 0..GROUPS {
                sums[g] += a * Lanes(x[g]);
            }
        }
        let out = groups_mut(block);
        for g in 0..GROUPS {
            out[g] = sums[g].0;
        }
        from += BLOCK;
    }
    for (k, out) in rest.iter_mut().enumerate() {
        let mut sum = constant;
        for (a, x) in linear {
            sum += *a * x[from + k];
        }
        for (a, x) in bent {
            sum += *a * psi(x[from + k]);
        }
        *out = sum;
    }
}

/// Means over n rows of what `sums` gives for each chunk of rows, added in the order of the chunks.
fn reduce<T: Compiled>(
    n: usize,
    partial: &mut Vec<T>,
    out: &mut [T],
    sums: impl Fn(std::ops::Range<usize>, &mut [T]) + Sync,
) {
    let width = out.len();
    let chunks = n.div_ceil(CHUNK);
    partial.clear();
    partial.resize(chunks * width, T::zero());
    let work = |chunk: usize, slots: &mut [T]| {
        let rows = chunk * CHUNK..(chunk * CHUNK + CHUNK).min(n);
        dispatch(
            #[inline(always)]
            || sums(rows, slots),
        );
    };
    each_numbered(partial, width, &work);
    out.fill(T::zero());
    for slots in partial.chunks(width) {
        out.iter_mut().zip(slots).for_each(|(out, &x)| *out += x);
    }
    let scale = T::one() / T::of_usize(n);
    for x in out {
        *x *= scale;
    }
}
