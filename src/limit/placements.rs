//! Error signals of losses that are polynomials in averages over the batch, and the placements of those averages on its samples.
//!
//! With s_k = (1/B) Σ_b φ_k(y_b) each factor of X Π_k s_k sums over the samples that X is of and over others; of those that fall on n
//! different others there are (B − a)(B − a − 1)…(B − a − n + 1) choices if X is of a samples, whose average is a product of moments.
//! Not here: what is made of them (see `expansion` and `increment_expansion`).

use std::collections::BTreeMap;

use super::moment_list::{MomentList, Powers};
use crate::Scalar;
use crate::model::BatchPolynomial;

/// Terms that cancel to that many roundings are not there.
const CANCELLED_ULPS: f64 = 64.0;

/// A sum of products of averages over the batch, each with what is of the sample itself.
pub(super) type Sum = BTreeMap<(Powers, Vec<Powers>), f64>;

/// A coefficient times moments of one sample.
#[derive(Debug, Clone)]
pub(super) struct Term<T> {
    pub(super) coefficient: T,
    pub(super) moments: Vec<usize>,
}

impl<T: Scalar> Term<T> {
    /// With moments that are added to the list where they are new.
    pub(super) fn new(list: &mut MomentList, coefficient: f64, moments: &[Powers]) -> Self {
        Self { coefficient: T::lit(coefficient), moments: moments.iter().map(|powers| list.moment(powers)).collect() }
    }
}

/// The error signals e of each field; none of views beyond the first `views`.
pub(super) fn signals<T: Scalar>(loss: &BatchPolynomial<T>, views: usize) -> Vec<Sum> {
    let m = loss.n_neurons();
    (0..2 * m).map(|f| if f / m < views { signal(loss, f) } else { Sum::new() }).collect()
}

/// Whether the terms of a loss have at most that many outputs and averages.
pub(super) fn has_factors<T: Scalar>(loss: &BatchPolynomial<T>, most: usize) -> bool {
    let factors = |averages: &[Vec<_>]| averages.iter().map(|average| average.len().max(1)).sum::<usize>();
    loss.terms().iter().all(|(_, averages)| factors(averages) <= most)
}

/// e of a field: σ' of it times B ∂F/∂y.
fn signal<T: Scalar>(loss: &BatchPolynomial<T>, field: usize) -> Sum {
    let (m, fields) = (loss.n_neurons(), 2 * loss.n_neurons());
    let mut sum = Sum::new();
    for (coefficient, averages) in loss.terms() {
        let powers: Vec<Powers> = averages
            .iter()
            .map(|average| {
                let mut powers = vec![0; 2 * fields];
                for (view, neuron) in average {
                    powers[view * m + neuron] += 1;
                }
                powers
            })
            .collect();
        for (k, own) in powers.iter().enumerate().filter(|(_, own)| own[field] > 0) {
            let mut others: Vec<Powers> = powers.clone();
            others.remove(k);
            others.sort_unstable();
            let mut derivative = own.clone();
            derivative[field] -= 1;
            derivative[fields + field] += 1;
            *sum.entry((derivative, others)).or_insert(0.0) += coefficient.as_f64() * f64::from(own[field]);
        }
    }
    sum
}

pub(super) fn product(x: &Powers, y: &Powers) -> Powers {
    x.iter().zip(y).map(|(x, y)| x + y).collect()
}

/// Placements of averages over a batch on its samples: the expectation of their products.
pub(super) struct Placements {
    batch: f64,
    /// How many more may be made.
    left: usize,
    /// What is of the samples that are named, and what is of each other one; the sum of coefficients, and of their sizes.
    sum: BTreeMap<(Vec<Powers>, Vec<Powers>), (f64, f64)>,
}

impl Placements {
    /// For batches of B samples, at most so many.
    pub(super) fn new(batch_size: usize, most: usize) -> Self {
        Self { batch: batch_size as f64, left: most, sum: BTreeMap::new() }
    }

    /// Adds the expectation of a product of functions of different samples, those named, times averages over the batch. `None` if there
    /// are too many.
    pub(super) fn add(&mut self, named: &[Powers], averages: &[Powers], coefficient: f64) -> Option<()> {
        self.place(&mut named.to_vec(), averages, &mut Vec::new(), coefficient)
    }

    fn place(
        &mut self,
        named: &mut Vec<Powers>,
        averages: &[Powers],
        others: &mut Vec<Powers>,
        share: f64,
    ) -> Option<()> {
        let Some((next, rest)) = averages.split_first() else {
            self.left = self.left.checked_sub(1)?;
            let mut key = others.clone();
            key.sort_unstable();
            let (sum, size) = self.sum.entry((named.clone(), key)).or_insert((0.0, 0.0));
            *sum += share;
            *size += share.abs();
            return Some(());
        };
        let share = share / self.batch;
        for k in 0..named.len() {
            let before = std::mem::take(&mut named[k]);
            named[k] = product(&before, next);
            self.place(named, rest, others, share)?;
            named[k] = before;
        }
        for k in 0..others.len() {
            let before = std::mem::take(&mut others[k]);
            others[k] = product(&before, next);
            self.place(named, rest, others, share)?;
            others[k] = before;
        }
        let choices = self.batch - (named.len() + others.len()) as f64;
        if choices > 0.0 {
            others.push(next.clone());
            self.place(named, rest, others, share * choices)?;
            others.pop();
        }
        Some(())
    }

    /// What has been added, without what cancels: what is of the samples named, what is of others, and the coefficient. Nothing is left.
    pub(super) fn take(&mut self) -> impl Iterator<Item = (Vec<Powers>, Vec<Powers>, f64)> + use<> {
        let all = std::mem::take(&mut self.sum).into_iter();
        // What is not a number must be seen.
        let counts = |sum: f64, size: f64| !sum.is_finite() || sum.abs() > CANCELLED_ULPS * f64::EPSILON * size;
        let kept = all.filter(move |(_, (sum, size))| counts(*sum, *size));
        kept.map(|((named, others), (sum, _))| (named, others, sum))
    }
}
