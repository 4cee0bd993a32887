//! The images of a state under the symmetries of the reduced ODE: signed permutations of its packed entries.
//!
//! c_l → −c_l for a symmetric hidden variable turns the sign of row l of Q. w → −w leaves the loss of an even or odd σ
//! as it is, so it turns the sign of Q; for an even σ, or an odd one under an even penalty, each neuron can turn alone.
//! Neurons can be exchanged. Exchanging equal features is left to the caller, for whom they are different answers.

use super::super::basin::BasinError;
use crate::Scalar;
use crate::limit::Limit;
use crate::model::Parity;
use crate::order_parameters::packed_len;

/// x → y with y_k = sign\[k\] x_source\[k\].
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Image {
    pub(super) source: Vec<usize>,
    pub(super) negative: Vec<bool>,
}

impl Image {
    fn identity(n: usize) -> Self {
        Self { source: (0..n).collect(), negative: vec![false; n] }
    }

    pub(super) fn apply<T: Scalar>(&self, x: &[T]) -> Vec<T> {
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

/// Where entries of a packed state are.
struct Packing {
    features: usize,
    neurons: usize,
}

impl Packing {
    fn overlap(&self, l: usize, i: usize) -> usize {
        l * self.neurons + i
    }

    fn covariance(&self, i: usize, j: usize) -> usize {
        let (i, j) = (i.min(j), i.max(j));
        self.features * self.neurons + i * self.neurons - i * (i + 1) / 2 + j
    }

    /// Turns the signs of those features and neurons.
    fn signs(&self, feature: &dyn Fn(usize) -> bool, neuron: &dyn Fn(usize) -> bool) -> Image {
        let mut image = Image::identity(packed_len(self.features, self.neurons));
        for i in 0..self.neurons {
            for l in 0..self.features {
                image.negative[self.overlap(l, i)] = feature(l) != neuron(i);
            }
            for j in i..self.neurons {
                image.negative[self.covariance(i, j)] = neuron(i) != neuron(j);
            }
        }
        image
    }

    /// Exchanges neurons k and k + 1.
    fn exchange(&self, k: usize) -> Image {
        let swap = |i: usize| {
            if i == k {
                k + 1
            } else if i == k + 1 {
                k
            } else {
                i
            }
        };
        let mut image = Image::identity(packed_len(self.features, self.neurons));
        for i in 0..self.neurons {
            for l in 0..self.features {
                image.source[self.overlap(l, i)] = self.overlap(l, swap(i));
            }
            for j in i..self.neurons {
                image.source[self.covariance(i, j)] = self.covariance(swap(i), swap(j));
            }
        }
        image
    }
}

fn generators<T: Scalar>(limit: &Limit<'_, T>) -> Vec<Image> {
    let (p, m) = (limit.features(), limit.neurons());
    let packing = Packing { features: p, neurons: m };
    let (alone, together) = limit.hidden_signs();
    let (parity, even_penalty) = limit.parities();
    let mut images: Vec<Image> = (0..p).filter(|&l| alone[l]).map(|l| packing.signs(&|k| k == l, &|_| false)).collect();
    if together {
        images.push(packing.signs(&|_| true, &|_| false));
    }
    if parity != Parity::None {
        images.push(packing.signs(&|_| false, &|_| true));
    }
    if parity == Parity::Even || parity == Parity::Odd && even_penalty {
        images.extend((0..m).map(|i| packing.signs(&|_| false, &|k| k == i)));
    }
    images.extend((1..m).map(|i| packing.exchange(i - 1)));
    images
}

/// The most images of one point.
const MOST_IMAGES: usize = 4096;

/// Every different image of a packed state, itself first, in an order that depends on the symmetries alone.
pub(super) fn images<T: Scalar>(limit: &Limit<'_, T>, packed: &[T], close: T) -> Result<Vec<Image>, BasinError<T>> {
    let generators = generators(limit);
    let mut images = vec![Image::identity(packed.len())];
    let mut points = vec![packed.to_vec()];
    let mut next = 0;
    while next < images.len() {
        for generator in &generators {
            let image = images[next].then(generator);
            let point = image.apply(packed);
            let same = |other: &Vec<T>| other.iter().zip(&point).all(|(a, b)| (*a - *b).abs() <= close);
            if !points.iter().any(same) {
                images.push(image);
                points.push(point);
            }
        }
        if images.len() > MOST_IMAGES {
            return Err(BasinError::Images { most: MOST_IMAGES });
        }
        next += 1;
    }
    Ok(images)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{GaussianNoise, Independent, Law, Model, Sigmoid, Tanh};
    use crate::{OrderParameters, ReducedOde};

    fn state() -> OrderParameters {
        OrderParameters::from_rows(2, 2, &[0.5, 0.1, -0.2, 0.3], &[1.0, 0.15, 0.15, 0.8]).unwrap()
    }

    /// The rates at the image are the image of the rates: that is what a symmetry is. The control is a sign that is none.
    #[test]
    fn images_move_as_images() {
        let noise = GaussianNoise::correlated(0.3, -0.5).unwrap();
        let hidden = Independent::new([Law::two_point(2.25).unwrap(), Law::skewed(2.0, 0.3).unwrap()]).unwrap();
        let builder = Model::builder().hidden(hidden).noise(noise).learning_rate(0.3).weight_decay(0.5);
        let model = builder.nonlinearity(Tanh).neurons(2).penalty_strength(0.7).build().unwrap();
        let ode = ReducedOde::new(&model).unwrap();
        let packed = state().to_packed();
        let mut system = ode.system(&state()).unwrap();
        let mut rates = |y: &[f64]| {
            let mut rates = vec![0.0; y.len()];
            crate::integrate::System::rates(&mut system, 0.0, y, &mut rates).unwrap();
            rates
        };
        let here = rates(packed.as_slice());
        let images = images(ode.limit(), packed.as_slice(), 1e-9).unwrap();
        // Two signs of neurons, the first feature's sign, the exchange of neurons: 4 · 2 · 2.
        assert_eq!(images.len(), 16);
        for image in &images {
            let there = rates(&image.apply(packed.as_slice()));
            let want = image.apply(&here);
            assert!(there.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-6), "{image:?}: {there:?} {want:?}");
        }
        let skewed = Packing { features: 2, neurons: 2 }.signs(&|l| l == 1, &|_| false);
        let there = rates(&skewed.apply(packed.as_slice()));
        assert!(there.iter().zip(&skewed.apply(&here)).any(|(a, b)| (a - b).abs() > 1e-3), "the law is not symmetric");
    }

    #[test]
    fn without_parity_only_the_laws_give_signs() {
        let hidden = Independent::new([Law::two_point(2.25).unwrap(), Law::skewed(2.0, 0.3).unwrap()]).unwrap();
        let noise = GaussianNoise::correlated(0.3, -0.5).unwrap();
        let model = Model::builder().nonlinearity(Sigmoid).hidden(hidden).noise(noise).learning_rate(0.3);
        let model = model.build().unwrap();
        let ode = ReducedOde::new(&model).unwrap();
        let state = OrderParameters::from_rows(2, 1, &[0.5, -0.2], &[1.0]).unwrap();
        let images = images(ode.limit(), state.to_packed().as_slice(), 1e-9).unwrap();
        assert_eq!(images.len(), 2);
        assert_eq!(images[1].apply(state.to_packed().as_slice()), [-0.5, -0.2, 1.0]);
    }
}
