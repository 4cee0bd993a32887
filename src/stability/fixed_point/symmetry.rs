//! The symmetries of a model's flow: signed permutations of features and of neurons that map solutions to solutions.
//!
//! Covers how they are found and what they do to states. They are not read off the model but tested on its coefficients
//! at a state without symmetries, so a joint law that is symmetric only as a whole, a penalty that is not even, or an
//! activation without parity all count for what they are. Not here: how images are enumerated (see `orbit`).

use nalgebra::DMatrix;

use crate::Scalar;
use crate::limit::{Compiled, LimitError};
use crate::model::Constraint;
use crate::numerics::largest::largest_size;
use crate::ode::ReducedOde;
use crate::stability::fixed_point::exchange::Exchanges;
use crate::stability::fixed_point::orbit::{PackedMap, orbit};
use crate::stability::fixed_point::signed_permutation::SignedPermutation;
use crate::state::{OrderParameters, unpack};

/// The symmetries of a model's flow, as generators of their group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Symmetries {
    /// The generators found.
    pub generators: Vec<SignedPermutation>,
}

/// The most images of one state that are listed: the signed permutations of five features are 3840, of six 46 080.
const MOST_IMAGES: usize = 20_000;

/// A symmetry holds where image and rates differ by that many errors of the coefficients: both sides have their own,
/// estimated as an order of magnitude.
const COEFFICIENT_ERRORS: f64 = 20.0;
/// And by that many ulp of the rates, for sums over a thousand nodes.
const SYMMETRY_ULPS: f64 = 1e3;

impl Symmetries {
    /// No symmetry but the identity.
    #[must_use]
    pub fn none() -> Self {
        Self { generators: Vec::new() }
    }

    /// Tests sign changes of one, two or all features, exchanges (with or without signs) of features of equal second moment, cyclic shifts,
    /// sign changes of one or of all neurons, and exchanges of neurons, each against the coefficients at a state
    /// without symmetries. A broken symmetry whose breaking is below twenty times the error of the coefficients passes.
    ///
    /// # Errors
    /// As [`Limit::coefficients`](crate::limit::Limit::coefficients).
    pub fn detect<T: Compiled>(ode: &ReducedOde<'_, T>) -> Result<Self, LimitError<T>> {
        let (p, m) = (ode.limit().n_features(), ode.limit().n_neurons());
        let state = generic(p, m);
        let here = ode.limit().coefficients(&state)?;
        let rates = ode.rates(&state)?;
        let holds = |candidate: &SignedPermutation| -> Result<bool, LimitError<T>> {
            let image = ode.rates(&candidate.apply(&state))?;
            let (q, r) = candidate.map(&rates.q, &rates.r);
            let unit = largest_size(rates.q.iter().chain(&rates.r).copied());
            let tolerance = T::lit(COEFFICIENT_ERRORS) * here.error + T::lit(SYMMETRY_ULPS) * T::EPSILON * unit;
            let differences = (image.q - q).iter().chain(&(image.r - r)).copied().collect::<Vec<T>>();
            Ok(largest_size(differences) <= tolerance)
        };
        let mut generators = Vec::new();
        let mut flips = vec![false; p];
        for l in 0..p {
            let mut flip = SignedPermutation::identity(p, m);
            flip.features[l].1 = true;
            flips[l] = holds(&flip)?;
            generators.extend(flips[l].then_some(flip));
        }
        let stiff: Vec<usize> = (0..p).filter(|&l| !flips[l]).collect();
        if stiff.len() > 1 {
            let mut together = SignedPermutation::identity(p, m);
            for &l in &stiff {
                together.features[l].1 = true;
            }
            generators.extend(holds(&together)?.then_some(together));
        }
        // Features are exchanged with the first of each class; what is no exchange of the law needs no test.
        let second = ode.limit().hidden_second_moment();
        let alike = |a: usize, b: usize| {
            let (a, b) = (second[(a, a)], second[(b, b)]);
            (a - b).abs() <= T::lit(SYMMETRY_ULPS) * T::EPSILON * a.max(b)
        };
        let mut class: Vec<usize> = (0..p).collect();
        let block = ode.limit().hidden_blocks();
        for a in 0..p {
            for b in a + 1..p {
                // Of independent variables both signs are free, or neither.
                if !flips[a] && !flips[b] && stiff.len() > 2 && block[a] == block[b] {
                    let mut pair = SignedPermutation::identity(p, m);
                    pair.features[a].1 = true;
                    pair.features[b].1 = true;
                    generators.extend(holds(&pair)?.then_some(pair));
                }
                if class[a] != a || class[b] != b || !alike(a, b) {
                    continue;
                }
                for minus in [false, true] {
                    let mut swap = SignedPermutation::identity(p, m);
                    swap.features[a] = (b, minus);
                    swap.features[b] = (a, minus);
                    if holds(&swap)? {
                        generators.push(swap);
                        class[b] = a;
                        break;
                    }
                }
            }
        }
        if p > 2 {
            let mut shift = SignedPermutation::identity(p, m);
            (0..p).for_each(|l| shift.features[l].0 = (l + 1) % p);
            generators.extend(holds(&shift)?.then_some(shift));
        }
        for i in 0..m {
            let mut flip = SignedPermutation::identity(p, m);
            flip.neurons[i].1 = true;
            generators.extend(holds(&flip)?.then_some(flip));
            // Gram and Schmidt take the neurons in their order.
            if i > 0 && ode.constraint() != Constraint::GramSchmidt {
                let mut swap = SignedPermutation::identity(p, m);
                swap.neurons[i].0 = i - 1;
                swap.neurons[i - 1].0 = i;
                generators.extend(holds(&swap)?.then_some(swap));
            }
        }
        if m > 1 {
            let mut together = SignedPermutation::identity(p, m);
            (0..m).for_each(|i| together.neurons[i].1 = true);
            generators.extend(holds(&together)?.then_some(together));
        }
        Ok(Self { generators })
    }

    /// The number of different images of a state, itself among them; images closer than `separation` in every entry are one.
    /// Exact up to 2⁵³, however many there are.
    #[must_use]
    pub fn count<T: Scalar>(&self, state: &OrderParameters<T>, separation: T) -> f64 {
        let (exchanges, images) = self.images_of_rest(state, separation);
        // Different up to exchanges, each of which has as many images by these.
        let mut different: Vec<&OrderParameters<T>> = Vec::new();
        for image in &images {
            if !different.iter().any(|known| exchanges.relate(*known, image, separation)) {
                different.push(image);
            }
        }
        different.len() as f64 * exchanges.count(state, separation)
    }

    /// Whether an image of the one state is within `reach` of the other in every entry.
    #[must_use]
    pub fn relate<T: Scalar>(&self, state: &OrderParameters<T>, other: &OrderParameters<T>, reach: T) -> bool {
        let (exchanges, images) = self.images_of_rest(state, reach);
        (other.n_features(), other.n_neurons()) == (state.n_features(), state.n_neurons())
            && images.iter().any(|image| exchanges.relate(image, other, reach))
    }

    /// What signs and exchanges of single features do, and the images by all other generators.
    fn images_of_rest<T: Scalar>(
        &self,
        state: &OrderParameters<T>,
        separation: T,
    ) -> (Exchanges, Vec<OrderParameters<T>>) {
        let (p, m) = (state.n_features(), state.n_neurons());
        let fits = |map: &&SignedPermutation| (map.features.len(), map.neurons.len()) == (p, m);
        let generators: Vec<SignedPermutation> = self.generators.iter().filter(fits).cloned().collect();
        let (exchanges, rest) = Exchanges::split(&generators, p);
        let generators = rest.into_iter().cloned().collect();
        (exchanges, Self { generators }.images(state, separation))
    }

    /// Every image of a state, itself first; images closer than `separation` in every entry are one. At most 20 000.
    #[must_use]
    pub fn images<T: Scalar>(&self, state: &OrderParameters<T>, separation: T) -> Vec<OrderParameters<T>> {
        let (p, m) = (state.n_features(), state.n_neurons());
        // A map of other shapes maps every state to itself.
        let fits = |map: &&SignedPermutation| (map.features.len(), map.neurons.len()) == (p, m);
        let generators: Vec<PackedMap> = self.generators.iter().filter(fits).map(SignedPermutation::packed).collect();
        let images = orbit(&generators, state.to_packed().as_slice(), separation, MOST_IMAGES);
        let unpacked = images.into_iter().map(|image| {
            let (q, r) = unpack(p, m, &image.point);
            OrderParameters::from_parts(q, r)
        });
        unpacked.collect()
    }

    /// The generators that leave every feature in its place, as maps of packed states.
    pub(crate) fn keeping_features(&self) -> Vec<PackedMap> {
        self.generators.iter().filter(|map| map.keeps_features()).map(SignedPermutation::packed).collect()
    }
}

/// The largest entry of the difference.
pub(crate) fn distance<T: Scalar>(x: &OrderParameters<T>, y: &OrderParameters<T>) -> T {
    let pairs = x.q().iter().zip(y.q()).chain(x.r().iter().zip(y.r()));
    largest_size(pairs.map(|(&x, &y)| x - y))
}

/// A feasible state that no signed permutation maps to itself. Any numbers do whose sizes and differences all differ.
fn generic<T: Scalar>(p: usize, m: usize) -> OrderParameters<T> {
    let q = DMatrix::from_fn(p, m, |l, i| {
        T::lit((0.31 + 0.17 * l as f64 - 0.11 * i as f64 + 0.07 * (l * i) as f64) / (p as f64).sqrt())
    });
    let factor = DMatrix::from_fn(m, m, |i, j| {
        T::lit(match i.cmp(&j) {
            std::cmp::Ordering::Less => 0.0,
            std::cmp::Ordering::Equal => 0.8 + 0.09 * i as f64,
            std::cmp::Ordering::Greater => 0.15 + 0.06 * i as f64 - 0.04 * j as f64,
        })
    });
    let r = q.tr_mul(&q) + &factor * factor.transpose();
    OrderParameters::from_parts(q, r)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::integrate::System;
    use crate::model::{GaussianNoise, Independent, Law, Model, Sigmoid, Tanh};

    fn state() -> OrderParameters {
        OrderParameters::from_rows(2, 2, &[0.5, 0.1, -0.2, 0.3], &[1.0, 0.15, 0.15, 0.8]).unwrap()
    }

    #[test]
    fn packed_maps_do_to_packed_states_what_signed_permutations_do_to_states() {
        let maps = [
            SignedPermutation { features: vec![(1, true), (0, false)], neurons: vec![(0, true), (1, false)] },
            SignedPermutation { features: vec![(0, false), (1, true)], neurons: vec![(1, false), (0, true)] },
        ];
        for map in maps {
            let packed = map.packed().apply(state().to_packed().as_slice());
            assert_eq!(packed, map.apply(&state()).to_packed().as_slice());
        }
    }

    /// The rates at the image are the image of the rates: that is what a symmetry is. The control is a sign that is
    /// none.
    #[test]
    fn images_move_as_images() {
        let noise = GaussianNoise::correlated(0.3, -0.5).unwrap();
        let hidden = Independent::new([Law::two_point(2.25).unwrap(), Law::skewed(2.0, 0.3).unwrap()]).unwrap();
        let builder = Model::builder().hidden(hidden).noise(noise).learning_rate(0.3).weight_decay(0.5);
        let model = builder.nonlinearity(Tanh).n_neurons(2).penalty_strength(0.7).build().unwrap();
        let ode = ReducedOde::new(&model).unwrap();
        let packed = state().to_packed();
        let mut system = ode.system(&state()).unwrap();
        let mut rates = |y: &[f64]| {
            let mut rates = vec![0.0; y.len()];
            system.rates(0.0, y, &mut rates).unwrap();
            rates
        };
        let here = rates(packed.as_slice());
        let generators = Symmetries::detect(&ode).unwrap().keeping_features();
        let images = orbit(&generators, packed.as_slice(), 1e-9, 1000);
        // Two signs of neurons, the first feature's sign, the exchange of neurons: 4 · 2 · 2.
        assert_eq!(images.len(), 16);
        for image in &images {
            let there = rates(&image.point);
            let want = image.map.apply(&here);
            assert!(there.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-6), "{image:?}: {there:?} {want:?}");
        }
        let mut broken = PackedMap::identity(7);
        broken.negative[2] = true;
        let there = rates(&broken.apply(packed.as_slice()));
        assert!(there.iter().zip(&broken.apply(&here)).any(|(a, b)| (a - b).abs() > 1e-3), "one overlap alone");
    }

    #[test]
    fn without_parity_only_the_laws_give_signs() {
        let hidden = Independent::new([Law::two_point(2.25).unwrap(), Law::skewed(2.0, 0.3).unwrap()]).unwrap();
        let noise = GaussianNoise::correlated(0.3, -0.5).unwrap();
        let model = Model::builder().nonlinearity(Sigmoid).hidden(hidden).noise(noise).learning_rate(0.3);
        let model = model.build().unwrap();
        let ode = ReducedOde::new(&model).unwrap();
        let generators = Symmetries::detect(&ode).unwrap().keeping_features();
        let images = orbit(&generators, &[0.5, -0.2, 1.0], 1e-9, 1000);
        assert_eq!(images.len(), 2);
        assert_eq!(images[1].point, [-0.5, -0.2, 1.0]);
    }
}
