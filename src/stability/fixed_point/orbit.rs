//! Signed permutations of a packed state, and the images of one state under all that some of them generate.
//!
//! Covers [`PackedMap`] and [`orbit`]. Not here: which maps are symmetries of a model (see `symmetry`).

use crate::Scalar;
use crate::numerics::constants::GOLDEN_RATIO;

/// x → y with y_k = ±x_source(k).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PackedMap {
    /// For each entry k of the image, the entry that it comes from.
    pub(crate) source: Vec<usize>,
    /// For each entry k of the image, whether it changes its sign.
    pub(crate) negative: Vec<bool>,
}

impl PackedMap {
    /// Every entry in its place.
    pub(crate) fn identity(n: usize) -> Self {
        Self { source: (0..n).collect(), negative: vec![false; n] }
    }

    pub(crate) fn apply<T: Scalar>(&self, x: &[T]) -> Vec<T> {
        let entries = self.source.iter().zip(&self.negative);
        entries.map(|(&at, &negative)| if negative { -x[at] } else { x[at] }).collect()
    }

    /// First this one, then `next`.
    fn then(&self, next: &Self) -> Self {
        Self {
            source: next.source.iter().map(|&at| self.source[at]).collect(),
            negative: next.source.iter().zip(&next.negative).map(|(&at, &n)| n != self.negative[at]).collect(),
        }
    }
}

/// An image of a packed state, with the map that makes it.
#[derive(Debug, Clone)]
pub(crate) struct Image<T> {
    pub(crate) map: PackedMap,
    pub(crate) point: Vec<T>,
}

/// Every different image of a packed state under the group of the generators, itself first, in an order that depends on
/// the generators alone. Images no farther apart than `separation` in every entry are one. Ends when there are `most`:
/// the list may hold a few more, and is then not complete.
pub(crate) fn orbit<T: Scalar>(generators: &[PackedMap], packed: &[T], separation: T, most: usize) -> Vec<Image<T>> {
    // Images in the order of a linear functional without symmetries, so that equal ones are neighbours. Its weights are
    // below 1.1, so the functional of images that are one differs by at most `reach`.
    let weights: Vec<T> = (0..packed.len()).map(|k| T::lit((GOLDEN_RATIO * (k + 1) as f64).fract() + 0.1)).collect();
    let key = |point: &[T]| point.iter().zip(&weights).map(|(&x, &weight)| weight * x).sum::<T>();
    let reach = separation * T::lit(1.1) * T::of_usize(packed.len());
    let mut images = vec![Image { map: PackedMap::identity(packed.len()), point: packed.to_vec() }];
    let mut order = vec![(key(packed), 0)];
    let mut next = 0;
    while next < images.len() && images.len() < most {
        for generator in generators {
            let point = generator.apply(&images[next].point);
            let at = key(&point);
            let same =
                |known: usize| images[known].point.iter().zip(&point).all(|(x, y)| (*x - *y).abs() <= separation);
            let first = order.partition_point(|&(other, _)| other < at - reach);
            let mut near = order[first..].iter().take_while(|&&(other, _)| other <= at + reach);
            if !near.any(|&(_, known): &(T, usize)| same(known)) {
                order.insert(order.partition_point(|&(other, _)| other < at), (at, images.len()));
                images.push(Image { map: images[next].map.then(generator), point });
            }
        }
        next += 1;
    }
    images
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Signs of the first two entries and their exchange: the eight symmetries of a square.
    #[test]
    fn orbits_hold_every_image_once_with_the_map_that_makes_it() {
        let mut sign = PackedMap::identity(3);
        sign.negative[0] = true;
        let mut swap = PackedMap::identity(3);
        swap.source.swap(0, 1);
        let generators = [sign, swap];
        let packed = [0.3, -0.7, 2.0];
        let images = orbit(&generators, &packed, 1e-9, 100);
        assert_eq!(images.len(), 8);
        for (k, image) in images.iter().enumerate() {
            assert_eq!(image.map.apply(&packed), image.point);
            assert!(image.point[2] == 2.0 && images[..k].iter().all(|other| other.point != image.point));
        }
        assert_eq!(orbit(&generators, &[0.5, 0.5, 2.0], 1e-9, 100).len(), 4, "a state with a symmetry of its own");
        assert!(orbit(&generators, &packed, 1e-9, 3).len() < 8, "cut off");
    }
}
