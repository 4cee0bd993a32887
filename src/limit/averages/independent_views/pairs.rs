//! Averages over one field of each view.
//!
//! Given u each is a product of a function of one field and one of the other, so that as a sum of waves it is a product too, and what
//! it is with c_l, or differentiated by a field, is another sum over the same waves.

use super::axis::{Axis, Waves};
use super::law::{LatticeLaw, parts};
use super::profile::{Monomial, Profile};
use crate::Scalar;
use crate::limit::averages::two_fields::{COVARIANCE, SUMS};
use crate::limit::averages::view::Elementary;
use crate::numerics::fourier::FourierBuffers;

/// The functions of one field that pairs are made of.
pub(super) const ELEMENTARY: [Elementary; 4] =
    [Elementary::Value, Elementary::Slope, Elementary::Square, Elementary::SlopeValue];

/// Which of them a signal is of its field in view 1 and in view 2: a₁, a₂, b₁, b₂.
pub(super) const SIGNALS: [[usize; 2]; 4] = [[1, 0], [0, 1], [3, 2], [2, 3]];

/// Functions of one field: at the values of u, and as sums of waves.
#[derive(Debug, Clone)]
pub(super) struct FieldFunctions<T> {
    pub(super) profile: Profile<T>,
    pub(super) waves: [Waves<T>; 4],
}

impl<T: Scalar> FieldFunctions<T> {
    pub(super) fn new(mut profile: Profile<T>) -> Self {
        for elementary in ELEMENTARY {
            profile.monomial(Monomial::of(elementary.powers()));
        }
        Self { profile, waves: ELEMENTARY.map(|_| [Vec::new(), Vec::new()]) }
    }

    pub(super) fn transform(&mut self, axis: &Axis<T>, buffers: &mut FourierBuffers<T>) {
        for (waves, values) in self.waves.iter_mut().zip(&self.profile.values) {
            axis.to_waves(values, buffers, waves);
        }
    }
}

/// Signals as sums of waves.
#[derive(Debug, Clone)]
pub(super) struct PairBuffers<T> {
    signals: [Waves<T>; 4],
    values: Vec<T>,
}

impl<T> PairBuffers<T> {
    pub(super) fn new() -> Self {
        Self { signals: std::array::from_fn(|_| [Vec::new(), Vec::new()]), values: Vec::new() }
    }
}

/// E[f] and E[∂_v f] for f = a₁, a₂, b₁, b₂ in this order, then E[y Y]; and E[c_l f].
pub(super) fn pair_averages<T: Scalar>(
    law: &mut LatticeLaw<T>,
    [h, k]: [&FieldFunctions<T>; 2],
    turned: bool,
    buffers: &mut PairBuffers<T>,
    with_hidden: &mut [T],
) -> [T; SUMS] {
    let mut sums = [T::zero(); SUMS];
    let p = with_hidden.len() / 4;
    let PairBuffers { signals, values } = buffers;
    if let [_] = law.neurons[..] {
        // One neuron: both are functions of one u.
        let (y, d) = ([&h.profile.values[0], &k.profile.values[0]], [&h.profile.values[1], &k.profile.values[1]]);
        let slopes: T = law.weights.iter().zip(d[0]).zip(d[1]).map(|((&w, &a), &b)| w * a * b).sum();
        for (f, [first, second]) in [[d[0], y[1]], [y[0], d[1]]].into_iter().enumerate() {
            values.clear();
            values.extend(first.iter().zip(second).map(|(&f, &g)| f * g));
            law.write_waves(values, &mut signals[f]);
            // ∂_u is ∂_1 and ∂_2; one of them is σ'σ'.
            let [value, along] = law.averages(&signals[f], [[0, 0], [1, 0]]);
            sums[3 * f] = value;
            sums[3 * f + 1] = if f == 0 { along - slopes } else { slopes };
            sums[3 * f + 2] = if f == 0 { slopes } else { along - slopes };
        }
        law.with_hidden(&[parts(&signals[0]), parts(&signals[1])], &mut with_hidden[..2 * p]);
        return sums;
    }
    product(law, [&h.waves[0], &k.waves[0]], turned, &mut signals[0]);
    sums[COVARIANCE] = law.average(&signals[0]);
    pair_signals(law, [h, k], turned, signals);
    for (f, signal) in signals.iter().enumerate() {
        let [value, first, second] = law.averages(signal, [[0, 0], [1, 0], [0, 1]]);
        sums[3 * f] = value;
        (sums[3 * f + 1], sums[3 * f + 2]) = if turned { (second, first) } else { (first, second) };
    }
    law.with_hidden(&signals.each_ref().map(parts), with_hidden);
    sums
}

/// The averages over the same two neurons with the views exchanged.
pub(super) fn exchanged<T: Scalar>(sums: &[T; SUMS], hidden: &[T], with_hidden: &mut [T]) -> [T; SUMS] {
    let p = hidden.len() / 4;
    let mut out = *sums;
    for f in 0..4 {
        // a₁ and a₂ change places, b₁ and b₂, and the derivatives by the two fields.
        let other = f ^ 1;
        (out[3 * f], out[3 * f + 1], out[3 * f + 2]) = (sums[3 * other], sums[3 * other + 2], sums[3 * other + 1]);
        with_hidden[f * p..(f + 1) * p].copy_from_slice(&hidden[other * p..(other + 1) * p]);
    }
    out
}

/// The four signals of two neurons, as sums of waves.
pub(super) fn pair_signals<T: Scalar>(
    law: &LatticeLaw<T>,
    [h, k]: [&FieldFunctions<T>; 2],
    turned: bool,
    out: &mut [Waves<T>; 4],
) {
    for (out, [f, g]) in out.iter_mut().zip(SIGNALS) {
        product(law, [&h.waves[f], &k.waves[g]], turned, out);
    }
}

/// A function of the first neuron's times one of the second's; `turned`: the law has them in the other order.
fn product<T: Scalar>(law: &LatticeLaw<T>, [f, g]: [&Waves<T>; 2], turned: bool, out: &mut Waves<T>) {
    if turned { law.product_waves(g, f, out) } else { law.product_waves(f, g, out) }
}
