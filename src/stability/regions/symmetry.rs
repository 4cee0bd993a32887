//! The images of a state under those symmetries of the reduced ODE that leave every feature in its place: signs of
//! features and of neurons, and exchanges of neurons. Which of two equal features is learned is an answer, not an image.

use crate::limit::Compiled;
use crate::limit::LimitError;
use crate::ode::ReducedOde;
use crate::stability::regions::RegionsError;
use crate::stability::{SignedPermutation, Symmetries};
use crate::state::{OrderParameters, packed_len, unpack};

/// x → y with y_k = sign\[k\] x_source\[k\].
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Image {
    pub(super) source: Vec<usize>,
    pub(super) negative: Vec<bool>,
}

impl Image {
    /// Every entry in its place.
    fn identity(n: usize) -> Self {
        Self { source: (0..n).collect(), negative: vec![false; n] }
    }

    pub(super) fn apply<T: Compiled>(&self, x: &[T]) -> Vec<T> {
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

/// The symmetries that leave every feature in its place.
pub(super) fn generators<T: Compiled>(ode: &ReducedOde<'_, T>) -> Result<Vec<Image>, LimitError<T>> {
    let in_place = |generator: &SignedPermutation| generator.features.iter().enumerate().all(|(l, to)| to.0 == l);
    let detected = Symmetries::detect(ode)?.generators;
    let (p, m) = (ode.limit().n_features(), ode.limit().n_neurons());
    // Entry k of a packed state holds k + 1: its image says from where each entry comes, and with which sign.
    let numbers: Vec<T> = (1..=packed_len(p, m)).map(T::of_usize).collect();
    let (q, r) = unpack(p, m, &numbers);
    let numbered = OrderParameters::from_parts(q, r);
    let image = |generator: &SignedPermutation| {
        let entries = generator.apply(&numbered).to_packed();
        let source = |x: &T| numbers.iter().position(|number| *number == x.abs()).unwrap_or(0);
        Image {
            source: entries.iter().map(source).collect(),
            negative: entries.iter().map(|x| *x < T::zero()).collect(),
        }
    };
    Ok(detected.iter().filter(|generator| in_place(generator)).map(image).collect())
}

/// The most images of one point.
const MOST_IMAGES: usize = 4096;

/// Every different image of a packed state, itself first, in an order that depends on the symmetries alone.
pub(super) fn images<T: Compiled>(generators: &[Image], packed: &[T], close: T) -> Result<Vec<Image>, RegionsError<T>> {
    let mut images = vec![Image::identity(packed.len())];
    let mut points = vec![packed.to_vec()];
    let mut next = 0;
    while next < images.len() {
        for generator in generators {
            let image = images[next].then(generator);
            let point = image.apply(packed);
            let same = |other: &Vec<T>| other.iter().zip(&point).all(|(a, b)| (*a - *b).abs() <= close);
            if !points.iter().any(same) {
                images.push(image);
                points.push(point);
            }
        }
        if images.len() > MOST_IMAGES {
            return Err(RegionsError::Images { most: MOST_IMAGES });
        }
        next += 1;
    }
    Ok(images)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{GaussianNoise, Independent, Law, Model, Sigmoid, Tanh};

    fn state() -> OrderParameters {
        OrderParameters::from_rows(2, 2, &[0.5, 0.1, -0.2, 0.3], &[1.0, 0.15, 0.15, 0.8]).unwrap()
    }

    /// The rates at the image are the image of the rates: that is what a symmetry is. The control is a sign that is none.
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
            crate::integrate::System::rates(&mut system, 0.0, y, &mut rates).unwrap();
            rates
        };
        let here = rates(packed.as_slice());
        let images = images(&generators(&ode).unwrap(), packed.as_slice(), 1e-9).unwrap();
        // Two signs of neurons, the first feature's sign, the exchange of neurons: 4 · 2 · 2.
        assert_eq!(images.len(), 16);
        for image in &images {
            let there = rates(&image.apply(packed.as_slice()));
            let want = image.apply(&here);
            assert!(there.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-6), "{image:?}: {there:?} {want:?}");
        }
        let mut broken = Image::identity(7);
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
        let state = OrderParameters::from_rows(2, 1, &[0.5, -0.2], &[1.0]).unwrap();
        let images = images(&generators(&ode).unwrap(), state.to_packed().as_slice(), 1e-9).unwrap();
        assert_eq!(images.len(), 2);
        assert_eq!(images[1].apply(state.to_packed().as_slice()), [-0.5, -0.2, 1.0]);
    }
}
