//! How averages over one field of each view move with the state.
//!
//! A covariance of two fields moves an average by that of its second derivative (Price's theorem; half of it, for a variance), a mean by
//! that of its first with c. So all that is needed are derivatives by the fields, of which those by u are multiplications by wave
//! numbers.

use super::axis::Waves;
use super::law::{LatticeLaw, parts};
use super::pairs::{FieldFunctions, pair_signals};
use crate::Scalar;
use crate::limit::averages::two_fields::{COVARIANCE, SUMS};
use crate::numerics::dual::Dual;
use crate::numerics::lanes::Lanes;

/// E of derivatives of a₁, a₂, b₁, b₂ by the two fields; nothing for signals that there are not.
#[derive(Debug, Clone)]
pub(in crate::limit) struct PairSlopes<T> {
    signals: Vec<SignalSlopes<T>>,
    /// E[y Y] is there, and its second derivative by both fields.
    covariance: Option<T>,
}

#[derive(Debug, Clone)]
struct SignalSlopes<T> {
    /// E[∂_v f]; E[∂_v ∂_w f] for vw = 11, 12, 22; third ones for 111, 112, 122, 222.
    first: [T; 2],
    second: [T; 3],
    third: [T; 4],
    /// The same with c_l: of length p.
    hidden_first: [Vec<T>; 2],
    hidden_second: [Vec<T>; 3],
    /// E[c_l c_l' ∂_v f]: p x p, or empty; and ∂_v f as waves.
    pairs: [Vec<T>; 2],
    waves: [Waves<T>; 2],
}

impl<T: Scalar> SignalSlopes<T> {
    fn exchanged(&self) -> Self {
        let mut out = self.clone();
        out.first.reverse();
        out.second.reverse();
        out.third.reverse();
        out.hidden_first.reverse();
        out.hidden_second.reverse();
        out.pairs.reverse();
        out.waves.reverse();
        out
    }
}

/// A signal's derivatives as sums of waves.
struct Derivatives<T> {
    first: [Waves<T>; 2],
    second: [Waves<T>; 3],
    third: [T; 4],
}

impl<T: Scalar> PairSlopes<T> {
    /// Of fields of which the profiles have derivatives; `turned`: the law has the neurons in the other order; `pairs`: E[c_l c_l' ·] as well.
    pub(super) fn new(
        law: &mut LatticeLaw<T>,
        functions: [&FieldFunctions<T>; 2],
        turned: bool,
        (p, pairs): (usize, bool),
    ) -> Self {
        let one = law.neurons.len() == 1;
        let derivatives = if one { one_neuron(law, functions) } else { two_neurons(law, functions, turned) };
        // ∂₁∂₂ of y Y is ∂₂ of a₁.
        let covariance = (!one).then(|| law.average(&derivatives[0].first[1]));
        let all: Vec<[&[T]; 2]> =
            derivatives.iter().flat_map(|of| of.first.iter().chain(&of.second)).map(parts).collect();
        let mut with_hidden = vec![T::zero(); all.len() * p];
        law.with_hidden(&all, &mut with_hidden);
        let mut with_hidden = with_hidden.chunks_exact(5 * p);
        let signals = derivatives.into_iter().map(|Derivatives { first, second, third }| {
            let averages = |waves: &[Waves<T>]| -> Vec<T> { waves.iter().map(|waves| law.average(waves)).collect() };
            let (a, b) = (averages(&first), averages(&second));
            let with_hidden = with_hidden.next().unwrap_or_default();
            let hidden = |n: usize| with_hidden[n * p..(n + 1) * p].to_vec();
            let pairs = if pairs { law.with_pairs(&first.each_ref().map(parts)) } else { Vec::new() };
            let mut pairs = pairs.into_iter();
            SignalSlopes {
                first: [a[0], a[1]],
                second: [b[0], b[1], b[2]],
                third,
                hidden_first: [hidden(0), hidden(1)],
                hidden_second: [hidden(2), hidden(3), hidden(4)],
                pairs: std::array::from_fn(|_| pairs.next().unwrap_or_default()),
                waves: first,
            }
        });
        Self { signals: signals.collect(), covariance }
    }

    /// Of the same two neurons with the views exchanged.
    pub(super) fn exchanged(&self) -> Self {
        let mut signals: Vec<SignalSlopes<T>> = self.signals.iter().map(SignalSlopes::exchanged).collect();
        // a₁ and a₂ change places, and b₁ and b₂.
        signals.chunks_exact_mut(2).for_each(|both| both.swap(0, 1));
        Self { signals, covariance: self.covariance }
    }

    /// Whether E[y Y] is there.
    pub(in crate::limit) fn has_covariance(&self) -> bool {
        self.covariance.is_some()
    }

    /// E[c_l ∂_v ·] of average number k, as numbered in [`SUMS`], but for E[y Y]; nothing where there is none.
    pub(in crate::limit) fn means(&self, k: usize, v: usize) -> &[T] {
        let Some(signal) = self.signals.get(k / 3) else { return &[] };
        match k % 3 {
            0 => &signal.hidden_first[v],
            // ∂_v of ∂₁f, and of ∂₂f.
            1 => &signal.hidden_second[v],
            _ => &signal.hidden_second[1 + v],
        }
    }

    /// ∂_v of signal f as a sum of waves.
    pub(in crate::limit) fn first(&self, f: usize, v: usize) -> [&[T]; 2] {
        parts(&self.signals[f].waves[v])
    }

    /// Adds to the averages how they move with the coefficients of the sums that the two neurons see, p of each, and with the
    /// covariances 11, 12 and 22 of their fields.
    pub(in crate::limit) fn lift(
        &self,
        q: [&[Lanes<T>]; 2],
        covariances: [Lanes<T>; 3],
        sums: &mut [Dual<T>; SUMS],
        with_hidden: &mut [Dual<T>],
    ) {
        let p = q[0].len();
        // Most coefficients move along no direction.
        let moving = q.map(|q| -> Vec<usize> { (0..p).filter(|&l| q[l] != Lanes::zero()).collect() });
        let along =
            |v: usize, c: &[T]| moving[v].iter().fold(Lanes::zero(), |sum, &l| sum + Lanes::splat(c[l]) * q[v][l]);
        let half = T::lit(0.5);
        let price = |d: [T; 3]| {
            let terms = [half * d[0], d[1], half * d[2]].into_iter().zip(covariances);
            terms.fold(Lanes::zero(), |sum, (d, covariance)| sum + Lanes::splat(d) * covariance)
        };
        for (f, signal) in self.signals.iter().enumerate() {
            let [d111, d112, d122, d222] = signal.third;
            let [h1, h2] = &signal.hidden_first;
            let [h11, h12, h22] = &signal.hidden_second;
            sums[3 * f].slopes += price(signal.second) + along(0, h1) + along(1, h2);
            sums[3 * f + 1].slopes += price([d111, d112, d122]) + along(0, h11) + along(1, h12);
            sums[3 * f + 2].slopes += price([d112, d122, d222]) + along(0, h12) + along(1, h22);
            for l in 0..p {
                let row = |x: &[T]| if x.is_empty() { 0..0 } else { l * p..(l + 1) * p };
                let [first, second] = &signal.pairs;
                with_hidden[f * p + l].slopes +=
                    price([h11[l], h12[l], h22[l]]) + along(0, &first[row(first)]) + along(1, &second[row(second)]);
            }
        }
        if let (Some(both), [a1, a2, ..]) = (self.covariance, &self.signals[..]) {
            // ∂₁ of y Y is a₁, ∂₂ is a₂.
            sums[COVARIANCE].slopes += price([a1.first[0], both, a2.first[1]]);
            let hidden: [Vec<T>; 2] = [0, 1].map(|f| with_hidden[f * p..(f + 1) * p].iter().map(|x| x.value).collect());
            sums[COVARIANCE].slopes += along(0, &hidden[0]) + along(1, &hidden[1]);
        }
    }
}

/// Of two neurons a derivative by a field is one by its u.
fn two_neurons<T: Scalar>(
    law: &LatticeLaw<T>,
    functions: [&FieldFunctions<T>; 2],
    turned: bool,
) -> Vec<Derivatives<T>> {
    let axis = |v: usize| if turned { 1 - v } else { v };
    let by = |v: usize, waves: &Waves<T>| law.derivative(axis(v), waves);
    let of = |signal: &Waves<T>| {
        let first = [by(0, signal), by(1, signal)];
        let second = [by(0, &first[0]), by(1, &first[0]), by(1, &first[1])];
        let third = law.averages(signal, [[3, 0], [2, 1], [1, 2], [0, 3]]);
        let third = if turned { [third[3], third[2], third[1], third[0]] } else { third };
        Derivatives { first, second, third }
    };
    let mut signals = std::array::from_fn(|_| [Vec::new(), Vec::new()]);
    pair_signals(law, functions, turned, &mut signals);
    signals.iter().map(of).collect()
}

/// Of one neuron a derivative by u is one by both fields: a₁ = σ'(h) σ(k), and a₂ with the fields exchanged.
fn one_neuron<T: Scalar>(law: &mut LatticeLaw<T>, [h, k]: [&FieldFunctions<T>; 2]) -> Vec<Derivatives<T>> {
    let mut of = |slope: &FieldFunctions<T>, value: &FieldFunctions<T>| {
        // f = σ' of one field, g = σ of the other: by how often each is differentiated.
        let (f0, f1) = (&slope.profile.values[1], &slope.profile.slopes[1]);
        let (g0, g1, g2) = (&value.profile.values[0], &value.profile.slopes[0], &value.profile.slopes[1]);
        let [w10, w01, w11, w12] = [(f1, g0), (f0, g1), (f1, g1), (f1, g2)].map(|(f, g)| {
            let mut waves = [Vec::new(), Vec::new()];
            law.write_waves(&f.iter().zip(g).map(|(&f, &g)| f * g).collect::<Vec<T>>(), &mut waves);
            waves
        });
        let by = |waves: &Waves<T>| law.derivative(0, waves);
        let minus = |a: Waves<T>, b: &Waves<T>| -> Waves<T> {
            let [re, im] = a;
            let less = |x: Vec<T>, y: &[T]| x.into_iter().zip(y).map(|(x, &y)| x - y).collect();
            [less(re, &b[0]), less(im, &b[1])]
        };
        let (d10, d01) = (by(&w10), by(&w01));
        let ([d11], [e12]) = (law.averages(&w11, [[1, 0]]), law.averages(&w12, [[0, 0]]));
        let two = T::lit(2.0);
        let third = [
            law.averages(&w10, [[2, 0]])[0] - two * d11 + e12,
            d11 - e12,
            e12,
            law.averages(&w01, [[2, 0]])[0] - d11 - e12,
        ];
        let second = [minus(d10, &w11), w11.clone(), minus(d01, &w11)];
        Derivatives { first: [w10, w01], second, third }
    };
    let exchanged = |Derivatives { first: [a, b], second: [c, d, e], third: [f, g, h, i] }: Derivatives<T>| {
        Derivatives { first: [b, a], second: [e, d, c], third: [i, h, g, f] }
    };
    let first = of(h, k);
    vec![first, exchanged(of(k, h))]
}
