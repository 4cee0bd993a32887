//! Fourier sums between a lattice of points and one of wave vectors, axis by axis.
//!
//! Along each axis wave numbers are multiples of the lowest that goes once round the points, and of the first axis they may be half. Not here: fast transforms, whose
//! lattices are longer than those of a few dozen points here.

use crate::Scalar;
use crate::numerics::lanes::{LANES, dispatch};
use crate::numerics::products::multiply;

/// One axis: points j·step and wave numbers n·spacing.
#[derive(Debug, Clone)]
struct Axis<T> {
    points: usize,
    waves: usize,
    /// cos and sin of k x: a row of wave numbers for each point, and a row of points for each wave number. Rows of the last axis are
    /// padded to lanes.
    by_point: [Vec<T>; 2],
    by_wave: [Vec<T>; 2],
}

/// The two lattices. Tensors are row by row, the last axis padded to lanes.
#[derive(Debug, Clone)]
pub(crate) struct Fourier<T> {
    axes: Vec<Axis<T>>,
}

/// The points −half, …, half times a step, and wave numbers from the lowest on times 2π/((2 half + 1) step).
#[derive(Debug, Clone, Copy)]
pub(crate) struct AxisSize {
    pub(crate) half: usize,
    pub(crate) lowest: i64,
    pub(crate) waves: usize,
}

impl AxisSize {
    fn points(self) -> usize {
        2 * self.half + 1
    }
}

impl<T: Scalar> Fourier<T> {
    pub(crate) fn new(axes: &[AxisSize]) -> Self {
        let last = axes.len().saturating_sub(1);
        let axis = |(a, size): (usize, &AxisSize)| {
            let (points, waves) = (size.points(), size.waves);
            // k x is that many parts of a turn: (number of the wave)·(number of the point) modulo the points.
            let turn = std::f64::consts::TAU / points as f64;
            let parts: Vec<[T; 2]> = (0..points)
                .map(|n| {
                    let (sin, cos) = (turn * n as f64).sin_cos();
                    [T::lit(cos), T::lit(sin)]
                })
                .collect();
            let half = i64::try_from(size.half).unwrap_or(i64::MAX);
            // Rows and columns with their lengths and their first numbers.
            let tables = |(rows, row): (usize, i64), (columns, column): (usize, i64)| -> [Vec<T>; 2] {
                let width = if a == last { padded(columns) } else { columns };
                let [mut cos, mut sin] = [0, 1].map(|_| vec![T::zero(); rows * width]);
                let to = cos.chunks_exact_mut(width).zip(sin.chunks_exact_mut(width));
                for (number, (cos, sin)) in (row..).zip(to) {
                    let (mut part, step) = (remainder(number * column, points), remainder(number, points));
                    for (cos, sin) in cos.iter_mut().zip(sin).take(columns) {
                        [*cos, *sin] = parts[part];
                        part += step;
                        part = if part < points { part } else { part - points };
                    }
                }
                [cos, sin]
            };
            let (of_points, of_waves) = ((points, -half), (waves, size.lowest));
            Axis { points, waves, by_point: tables(of_points, of_waves), by_wave: tables(of_waves, of_points) }
        };
        Self { axes: axes.iter().enumerate().map(axis).collect() }
    }

    /// The entries of a tensor over the points, and over the wave vectors.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        let size = |of: &dyn Fn(&Axis<T>) -> usize| {
            let last = self.axes.len() - 1;
            self.axes.iter().enumerate().map(|(a, axis)| if a == last { padded(of(axis)) } else { of(axis) }).product()
        };
        (size(&|axis| axis.points), size(&|axis| axis.waves))
    }

    /// Where a point, or a wave vector, stands in its tensor.
    pub(crate) fn slot(&self, index: &[usize], waves: bool) -> usize {
        let last = self.axes.len() - 1;
        index.iter().zip(&self.axes).enumerate().fold(0, |slot, (a, (&at, axis))| {
            let length = if waves { axis.waves } else { axis.points };
            slot * if a == last { padded(length) } else { length } + at
        })
    }

    /// Re Σ_k f(k) exp(−ik·x) at every point, for some functions one after the other: real and imaginary parts apart.
    pub(crate) fn to_points(&self, [re, im]: [&[T]; 2], buffers: &mut FourierBuffers<T>, out: &mut Vec<T>) {
        let Some((last, others)) = self.axes.split_last() else { return };
        let (inner, width) = (last.waves, padded(last.points));
        let stride = padded(last.waves);
        let FourierBuffers { parts, next, term } = buffers;
        let times = |x: &[T], table: &[T], out: &mut Vec<T>| {
            out.resize(x.len() / stride * width, T::zero());
            dispatch(
                #[inline(always)]
                || multiply(x, stride, table, inner, width, out),
            );
        };
        let [cos, sin] = &last.by_wave;
        times(re, cos, &mut parts[0]);
        times(im, sin, term);
        add(&mut parts[0], term, T::one());
        if !others.is_empty() {
            times(im, cos, &mut parts[1]);
            times(re, sin, term);
            add(&mut parts[1], term, -T::one());
        }
        let mut after = width;
        for (a, axis) in others.iter().enumerate().rev() {
            along(&axis.by_point, (axis.waves, axis.points), after, (parts, a > 0), (next, term));
            std::mem::swap(parts, next);
            after *= axis.points;
        }
        out.clone_from(&parts[0]);
    }

    /// Σ_x f(x) exp(−ik·x) at every wave vector, for some real functions one after the other: parts 0 of the buffers are the real and
    /// the imaginary ones.
    pub(crate) fn to_waves(&self, values: &[T], buffers: &mut FourierBuffers<T>, out: &mut [Vec<T>; 2]) {
        let Some((last, others)) = self.axes.split_last() else { return };
        let (inner, width) = (last.points, padded(last.waves));
        let stride = padded(last.points);
        let rows = values.len() / stride;
        let FourierBuffers { parts, next, term } = buffers;
        for (part, table) in parts.iter_mut().zip(&last.by_point) {
            part.resize(rows * width, T::zero());
            dispatch(
                #[inline(always)]
                || multiply(values, stride, table, inner, width, part),
            );
        }
        parts[1].iter_mut().for_each(|x| *x = -*x);
        let mut after = width;
        for axis in others.iter().rev() {
            along(&axis.by_wave, (axis.points, axis.waves), after, (parts, true), (next, term));
            std::mem::swap(parts, next);
            after *= axis.waves;
        }
        out.iter_mut().zip(parts).for_each(|(out, part)| out.clone_from(part));
    }
}

/// Memory of a Fourier sum.
#[derive(Debug, Clone)]
pub(crate) struct FourierBuffers<T> {
    parts: [Vec<T>; 2],
    next: [Vec<T>; 2],
    term: Vec<T>,
}

impl<T> FourierBuffers<T> {
    pub(crate) fn new() -> Self {
        Self { parts: [Vec::new(), Vec::new()], next: [Vec::new(), Vec::new()], term: Vec::new() }
    }
}

fn padded(length: usize) -> usize {
    length.next_multiple_of(LANES)
}

/// `number` modulo so many parts, not negative.
fn remainder(number: i64, parts: usize) -> usize {
    let count = i64::try_from(parts).unwrap_or(i64::MAX);
    usize::try_from(number.rem_euclid(count)).unwrap_or(0)
}

fn add<T: Scalar>(x: &mut [T], y: &[T], factor: T) {
    x.iter_mut().zip(y).for_each(|(x, &y)| *x += factor * y);
}

/// Multiplies an inner axis, after which `after` entries come, by cos − i sin: from so many entries to so many. The imaginary part
/// only if it is asked for.
fn along<T: Scalar>(
    [cos, sin]: &[Vec<T>; 2],
    (from, to): (usize, usize),
    after: usize,
    ([re, im], both): (&[Vec<T>; 2], bool),
    ([real, imaginary], term): (&mut [Vec<T>; 2], &mut Vec<T>),
) {
    let times = |table: &[T], x: &[T], out: &mut Vec<T>| {
        out.resize(x.len() / from * to, T::zero());
        dispatch(
            #[inline(always)]
            || {
                for (x, out) in x.chunks_exact(from * after).zip(out.chunks_exact_mut(to * after)) {
                    multiply(table, from, x, from, after, out);
                }
            },
        );
    };
    times(cos, re, real);
    times(sin, im, term);
    add(real, term, T::one());
    if both {
        times(cos, im, imaginary);
        times(sin, re, term);
        add(imaginary, term, -T::one());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the sum term by term, in one, two and three dimensions.
    #[test]
    fn sums_axis_by_axis_are_those_term_by_term() {
        let size = |half, lowest, waves| AxisSize { half, lowest, waves };
        let all = [size(2, 0, 4), size(4, -3, 7), size(1, -5, 10)];
        for m in 1..=3 {
            let sizes = &all[3 - m..];
            let fourier = Fourier::<f64>::new(sizes);
            let coordinates = |size: &AxisSize| -> (Vec<f64>, Vec<f64>) {
                let (half, points) = (size.half as f64, size.points() as f64);
                let x = (0..size.points()).map(|n| 0.3 * (n as f64 - half)).collect();
                let k =
                    (0..size.waves).map(|n| (n as f64 + size.lowest as f64) * std::f64::consts::TAU / (0.3 * points));
                (x, k.collect())
            };
            let axes: Vec<(Vec<f64>, Vec<f64>)> = sizes.iter().map(coordinates).collect();
            let (points, waves) = fourier.sizes();
            let indices = |waves: bool| -> Vec<Vec<usize>> {
                let lengths = axes.iter().map(|(x, k)| if waves { k.len() } else { x.len() });
                lengths.fold(vec![Vec::new()], |known, length| {
                    known.iter().flat_map(|at| (0..length).map(|j| [&at[..], &[j]].concat())).collect()
                })
            };
            let phase = |at: &[usize], k: &[usize]| -> f64 {
                axes.iter().zip(at.iter().zip(k)).map(|((x, wave), (&j, &n))| x[j] * wave[n]).sum()
            };
            let two = |waves: usize| -> [Vec<f64>; 2] {
                [0.3, 1.1].map(|shift| (0..2 * waves).map(|k| (0.37 * k as f64 + shift).cos()).collect())
            };
            let [re, im] = two(waves);
            let (mut buffers, mut got) = (FourierBuffers::new(), Vec::new());
            fourier.to_points([&re, &im], &mut buffers, &mut got);
            for f in 0..2 {
                for at in indices(false) {
                    let terms = indices(true).into_iter().map(|k| {
                        let slot = f * waves + fourier.slot(&k, true);
                        re[slot] * phase(&at, &k).cos() + im[slot] * phase(&at, &k).sin()
                    });
                    let wanted: f64 = terms.sum();
                    assert!((got[f * points + fourier.slot(&at, false)] - wanted).abs() < 1e-12 * (1.0 + waves as f64));
                }
            }
            // What stands beside the points must not count.
            let mut values = vec![0.0; 2 * points];
            for f in 0..2 {
                for at in indices(false) {
                    let slot = f * points + fourier.slot(&at, false);
                    values[slot] = (slot as f64).sin();
                }
            }
            let mut parts = [Vec::new(), Vec::new()];
            fourier.to_waves(&values, &mut buffers, &mut parts);
            let [re, im] = parts;
            for f in 0..2 {
                for k in indices(true) {
                    let terms = indices(false).into_iter().map(|at| {
                        let x = values[f * points + fourier.slot(&at, false)];
                        (x * phase(&at, &k).cos(), -x * phase(&at, &k).sin())
                    });
                    let wanted = terms.fold((0.0, 0.0), |(a, b), (c, d)| (a + c, b + d));
                    let slot = f * waves + fourier.slot(&k, true);
                    assert!((re[slot] - wanted.0).abs() + (im[slot] - wanted.1).abs() < 1e-12 * (1.0 + points as f64));
                }
            }
        }
    }
}
