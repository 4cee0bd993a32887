//! Wave vectors of a lattice in lines, and products of characteristic functions asked for line by line.
//!
//! Not here: which wave vectors (see `sum_lattice`), and what is made of the products (see `block_products`).

use crate::Scalar;
use crate::limit::averages::block_products::BlockProducts;
use crate::limit::hidden::Hidden;

/// Wave vectors in lines of equal steps, of which laws are asked at once.
#[derive(Debug, Clone)]
pub(super) struct Lines<T> {
    /// Where each starts, and how many there are in it.
    parts: Vec<(usize, usize)>,
    start: Vec<T>,
    step: Vec<T>,
}

/// Steps that differ by less than that of the longest wave vector are one.
const SAME_STEP: f64 = 1e-12;

impl<T: Scalar> Lines<T> {
    /// Of wave vectors of m numbers each.
    pub(super) fn new(waves: &[T], m: usize) -> Self {
        let most = waves.iter().fold(T::zero(), |most, k| most.max(k.abs()));
        let (mut parts, mut start) = (Vec::new(), 0);
        let step = |n: usize, a: usize| waves[(n + 1) * m + a] - waves[n * m + a];
        let count = waves.len() / m;
        while start < count {
            let mut end = start + 1;
            while end < count && (0..m).all(|a| (step(end - 1, a) - step(start, a)).abs() <= T::lit(SAME_STEP) * most) {
                end += 1;
            }
            parts.push((start, end - start));
            start = end;
        }
        Self { parts, start: Vec::new(), step: Vec::new() }
    }
}

/// Products at wave vectors k over the neurons, m numbers each, in those lines, for coefficients `q`.
pub(super) fn fill<T: Scalar>(
    products: &mut BlockProducts<T>,
    hidden: &Hidden<'_, T>,
    q: &[T],
    waves: &[T],
    lines: &mut Lines<T>,
) -> bool {
    let p = hidden.scales.len();
    let m = q.len() / p;
    let Lines { parts, start, step } = lines;
    products.fill(&hidden.scales, &mut |b, range, rows| {
        parts.iter().all(|&(first, count)| {
            let k = &waves[first * m..];
            let along = |l: usize, k: &dyn Fn(usize) -> T| -> T {
                (0..m).map(|a| k(a) * q[l * m + a]).sum::<T>() * hidden.scales[l]
            };
            start.clear();
            start.extend(range.clone().map(|l| along(l, &|a| k[a])));
            step.clear();
            let of_step = |a: usize| if count > 1 { k[m + a] - k[a] } else { T::zero() };
            step.extend(range.clone().map(|l| along(l, &of_step)));
            rows.run(first, count, start).is_some_and(|mut rows| hidden.law.characteristics(b, step, &mut rows))
        })
    })
}
