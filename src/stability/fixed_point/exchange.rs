//! Images of a state by signs and exchanges of single features, which may be far more than fit anywhere: matched and counted without
//! being listed.
//!
//! Covers the part of a symmetry group that signs of single features and exchanges of two generate. Not here: the rest of the
//! group, whose images are few and listed (see `orbit`).

use crate::Scalar;
use crate::stability::fixed_point::signed_permutation::SignedPermutation;
use crate::state::OrderParameters;

/// What may be done with each feature alone: its sign, and exchanges within its class.
#[derive(Debug, Clone)]
pub(crate) struct Exchanges {
    even: Vec<bool>,
    /// The classes, each in ascending order.
    classes: Vec<Vec<usize>>,
}

impl Exchanges {
    /// The part that those generators make, and the generators that are left.
    pub(crate) fn split(generators: &[SignedPermutation], features: usize) -> (Self, Vec<&SignedPermutation>) {
        let mut even = vec![false; features];
        let mut class: Vec<usize> = (0..features).collect();
        let mut rest = Vec::new();
        for map in generators.iter().filter(|map| map.features.len() == features) {
            let still = |pairs: &[(usize, bool)]| pairs.iter().enumerate().all(|(k, &to)| to == (k, false));
            let moved: Vec<usize> = (0..features).filter(|&l| map.features[l] != (l, false)).collect();
            match moved[..] {
                _ if !still(&map.neurons) => rest.push(map),
                [l] if map.features[l] == (l, true) => even[l] = true,
                [a, b] if map.features[a] == (b, false) && map.features[b] == (a, false) => {
                    let (keep, drop) = (class[a].min(class[b]), class[a].max(class[b]));
                    class.iter_mut().filter(|c| **c == drop).for_each(|c| *c = keep);
                }
                _ => rest.push(map),
            }
        }
        let classes: Vec<Vec<usize>> = (0..features)
            .map(|k| (0..features).filter(|&l| class[l] == k).collect::<Vec<_>>())
            .filter(|members| !members.is_empty())
            .collect();
        // A sign of one feature is one of all that it can be exchanged with.
        for members in &classes {
            let any = members.iter().any(|&l| even[l]);
            for &l in members {
                even[l] = any;
            }
        }
        (Self { even, classes }, rest)
    }

    /// Whether rows l of one matrix and k of another agree within `reach`, up to the sign if it is free.
    fn near<T: Scalar>(&self, x: &OrderParameters<T>, l: usize, y: &OrderParameters<T>, k: usize, reach: T) -> bool {
        let agree =
            |sign: T| x.q().row(l).iter().zip(y.q().row(k).iter()).all(|(&a, &b)| (a - sign * b).abs() <= reach);
        agree(T::one()) || self.even[l] && agree(-T::one())
    }

    /// Whether some exchanges and signs take the one state to within `reach` of the other.
    pub(crate) fn relate<T: Scalar>(&self, x: &OrderParameters<T>, y: &OrderParameters<T>, reach: T) -> bool {
        (x.r() - y.r()).amax() <= reach
            && self.classes.iter().all(|members| {
                let mut free = members.clone();
                members.iter().all(|&l| {
                    let partner = free.iter().position(|&k| self.near(x, l, y, k, reach));
                    partner.map(|at| free.swap_remove(at)).is_some()
                })
            })
    }

    /// The number of different images, those within `separation` counted once: exact up to 2⁵³.
    pub(crate) fn count<T: Scalar>(&self, state: &OrderParameters<T>, separation: T) -> f64 {
        let mut product = 1.0;
        for members in &self.classes {
            let mut left = members.len();
            let mut rows = members.clone();
            while let Some(l) = rows.pop() {
                let before = rows.len() + 1;
                rows.retain(|&k| !self.near(state, l, state, k, separation));
                let same = before - rows.len();
                // Places for so many equal ones among those left.
                product *= (0..same).fold(1.0, |choices, k| choices * (left - k) as f64 / (k + 1) as f64).round();
                left -= same;
                let size = state.q().row(l).iter().fold(T::zero(), |most, x| most.max(x.abs()));
                if self.even[l] && size + size > separation {
                    product *= 2.0_f64.powi(i32::try_from(same).unwrap_or(i32::MAX));
                }
            }
        }
        product
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stability::fixed_point::symmetry::Symmetries;

    fn swap(p: usize, a: usize, b: usize) -> SignedPermutation {
        let mut map = SignedPermutation { features: (0..p).map(|l| (l, false)).collect(), neurons: vec![(0, false)] };
        (map.features[a].0, map.features[b].0) = (b, a);
        map
    }

    fn flip(p: usize, l: usize) -> SignedPermutation {
        let mut map = swap(p, l, l);
        map.features[l] = (l, true);
        map
    }

    #[test]
    fn images_are_counted_as_they_are_listed() {
        let p = 4;
        let all = [swap(p, 0, 1), swap(p, 1, 2), swap(p, 2, 3)];
        let generators = |flips: &[usize], swaps: usize| {
            let flips = flips.iter().map(|&l| flip(p, l));
            Symmetries { generators: flips.chain(all[..swaps].to_vec()).collect() }
        };
        for (flips, swaps) in [(vec![], 3), (vec![0, 1, 2, 3], 3), (vec![0, 1, 2, 3], 0), (vec![3], 2), (vec![0, 3], 1)]
        {
            let symmetries = generators(&flips, swaps);
            for q in [[0.1, 0.2, 0.3, 0.4], [0.2, -0.2, 0.2, 0.0], [0.0; 4], [0.5, 0.0, 0.0, -0.5]] {
                let state = OrderParameters::from_rows(p, 1, &q, &[1.0]).unwrap();
                let listed = symmetries.images(&state, 1e-9);
                assert_eq!(listed.len() as f64, symmetries.count(&state, 1e-9), "{flips:?} {swaps} {q:?}");
                assert!(listed.iter().all(|image| symmetries.relate(&state, image, 1e-9)));
                // The control: a state that is no image.
                let mut other = q;
                other[1] += 1e-3;
                let other = OrderParameters::from_rows(p, 1, &other, &[1.0]).unwrap();
                assert!(!symmetries.relate(&state, &other, 1e-9));
            }
        }
    }

    #[test]
    fn more_images_than_fit_anywhere_are_counted() {
        let p = 40;
        let generators = (0..p).map(|l| flip(p, l)).chain((1..p).map(|l| swap(p, 0, l))).collect();
        let symmetries = Symmetries { generators };
        let q: Vec<f64> = (0..p).map(|l| if l < 20 { 0.1 } else { 0.0 }).collect();
        let state = OrderParameters::from_rows(p, 1, &q, &[1.0]).unwrap();
        // 40!/(20! 20!) places, 2²⁰ signs.
        assert_eq!(symmetries.count(&state, 1e-9), 137_846_528_820.0 * 1_048_576.0);
    }
}
