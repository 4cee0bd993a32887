//! Losses that are polynomials in averages over the batch: A, B and Λ as sums of products of moments of one sample (theory §11).
//!
//! With e_1 the error signals of one sample, E[e_1 x] and E[e_1 e_1ᵀ] are averages of X Π_k s_k, X a function of that sample and
//! s_k averages over the batch, which are placed on its samples (see `placements`). So everything is exact for every B.
//! Not here: averages of moments (see `averages::sample_moments`).

use super::moment_list::{MomentList, Powers};
use super::placements::{Placements, Term, has_factors, product, signals};
use crate::Scalar;
use crate::model::BatchPolynomial;

/// What more placements of factors on samples than that would take is too much: the loss is averaged over whole batches.
const MOST_PLACEMENTS: usize = 1 << 19;

/// With more neurons there would be more nodes than any budget has.
pub(super) const MOST_NEURONS: usize = 3;

/// The most outputs and averages of a term of the loss: products of two have powers that fit.
const MOST_FACTORS: usize = 64;

/// A moment X that stands beside x̃ and h in A and B.
#[derive(Debug, Clone)]
pub(super) struct Beside {
    pub(super) moment: usize,
    /// The moments of X times each coordinate of view 1, then of view 2.
    pub(super) with_coordinates: Vec<usize>,
}

/// An entry i ≤ j of Λ B/τ², in parts by the covariance D of two views.
#[derive(Debug, Clone)]
pub(super) struct NoisePart<T> {
    pub(super) entry: (usize, usize),
    pub(super) views: (usize, usize),
    pub(super) terms: Vec<Term<T>>,
}

/// A, B and Λ of a loss as polynomials in moments of one sample.
#[derive(Debug, Clone)]
pub(super) struct Expansion<T> {
    pub(super) list: MomentList,
    pub(super) beside: Vec<Beside>,
    /// For each field, E[e x] as a sum of terms times E[X x]: with the place of X in `beside`.
    pub(super) drift: Vec<Vec<(usize, Term<T>)>>,
    pub(super) noise: Vec<NoisePart<T>>,
}

impl<T: Scalar> Expansion<T> {
    /// Of that loss for batches of B samples and a gradient through the first `views` views; `exchangeable`: exchanging the views changes
    /// no average. `None` if it has too many neurons, factors or terms.
    pub(super) fn new(loss: &BatchPolynomial<T>, batch_size: usize, views: usize, exchangeable: bool) -> Option<Self> {
        let m = loss.n_neurons();
        if m > MOST_NEURONS || !has_factors(loss, MOST_FACTORS) {
            return None;
        }
        let mut placements = Placements::new(batch_size, MOST_PLACEMENTS);
        let signals = signals(loss, views);
        let list = MomentList::new(m, exchangeable);
        let mut this = Self { list, beside: Vec::new(), drift: Vec::new(), noise: Vec::new() };
        for signal in &signals {
            for ((own, averages), &coefficient) in signal {
                placements.add(std::slice::from_ref(own), averages, coefficient)?;
            }
            let mut terms = Vec::new();
            for (named, others, coefficient) in placements.take() {
                let place = this.beside(&named[0]);
                terms.push((place, Term::new(&mut this.list, coefficient, &others)));
            }
            this.drift.push(terms);
        }
        let pairs = (0..m).flat_map(|i| (i..m).map(move |j| (i, j)));
        for (entry, (v, w)) in pairs.flat_map(|pair| [(0, 0), (0, 1), (1, 0), (1, 1)].map(|views| (pair, views))) {
            for ((x, first), &a) in &signals[v * m + entry.0] {
                for ((y, second), &b) in &signals[w * m + entry.1] {
                    placements.add(&[product(x, y)], &[&first[..], &second[..]].concat(), a * b)?;
                }
            }
            let mut terms = Vec::new();
            for (named, mut others, coefficient) in placements.take() {
                others.extend(named);
                terms.push(Term::new(&mut this.list, coefficient, &others));
            }
            if !terms.is_empty() {
                this.noise.push(NoisePart { entry, views: (v, w), terms });
            }
        }
        Some(this)
    }

    /// The place of a moment among those beside x̃ and h, where it is added if it is new.
    fn beside(&mut self, powers: &Powers) -> usize {
        let moment = self.list.moment_in_order(powers);
        if let Some(known) = self.beside.iter().position(|known| known.moment == moment) {
            return known;
        }
        let coordinates = (0..2).flat_map(|view| (0..powers.len() / 4).map(move |k| (view, k)));
        let with_coordinates = coordinates.map(|at| self.list.with_coordinate(moment, at)).collect();
        self.beside.push(Beside { moment, with_coordinates });
        self.beside.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CovarianceLoss, Loss, Quadratic, SpectralContrastive};

    /// The value of a moment where σ and σ' of every field are these.
    fn at(expansion: &Expansion<f64>, moment: usize, (y, d): (&[f64], &[f64])) -> f64 {
        let of_view = |v: usize| -> f64 {
            let powers = expansion.list.powers(moment)[v];
            let m = powers.len() / 3;
            let factors = y[v * m..][..m].iter().chain(&d[v * m..][..m]);
            powers.iter().zip(factors).map(|(&k, x)| x.powi(i32::from(k))).product()
        };
        of_view(0) * of_view(1)
    }

    /// For samples that are all alike every average over the batch is the product of its factors, so that e does not depend on B.
    #[test]
    fn samples_that_are_alike_have_the_error_signals_of_one() {
        let factors = [0.7, -0.4, 0.3, 0.9, 0.5, 0.8, 0.6, 0.2];
        let covariance = CovarianceLoss::new(Quadratic, 0.7).unwrap();
        let (y, d) = factors.split_at(4);
        for batch in [2, 3, 7] {
            let expansion = Expansion::new(&covariance.polynomial(2, batch).unwrap(), batch, 2, false).unwrap();
            // e_1¹ = σ'(−y_1² + λ C_12 y_2²).
            let expected = d[0] * (-y[2] + 0.7 * y[0] * y[3] * y[3]);
            let seen: f64 = expansion.drift[0]
                .iter()
                .map(|(place, term)| {
                    let moments: f64 = term.moments.iter().map(|&k| at(&expansion, k, (y, d))).product();
                    term.coefficient * moments * at(&expansion, expansion.beside[*place].moment, (y, d))
                })
                .sum();
            assert!((seen - expected).abs() < 1e-14, "{batch}: {seen} {expected}");
            let part = expansion.noise.iter().find(|part| part.entry == (0, 0) && part.views == (0, 0)).unwrap();
            let square: f64 = part
                .terms
                .iter()
                .map(|term| term.coefficient * term.moments.iter().map(|&k| at(&expansion, k, (y, d))).product::<f64>())
                .sum();
            assert!((square - expected * expected).abs() < 1e-14, "{batch}: {square}");
        }
    }

    /// Pairs of a sample with itself are not in the spectral loss: they cancel.
    #[test]
    fn what_cancels_is_not_there() {
        let expansion = Expansion::<f64>::new(&SpectralContrastive.polynomial(1, 4).unwrap(), 4, 2, true).unwrap();
        // e¹ = σ'(−2y² + 2 M² y¹).
        assert_eq!(expansion.drift[0].len(), 2);
        assert_eq!(expansion.list.degree(1), 4);
    }

    #[test]
    fn too_many_terms_are_refused_and_a_gradient_through_one_view_has_half() {
        let loss = BatchPolynomial::<f64>::new(1);
        let average: &[(usize, usize)] = &[(0, 0), (1, 0)];
        let loss = loss.plus(1.0, &[average; 9]).unwrap();
        assert!(Expansion::new(&loss, 100, 2, false).is_none());
        // One average of more outputs than there may be, and neurons beyond those that are averaged so.
        let long = BatchPolynomial::<f64>::new(1).plus(1.0, &[&[(0, 0); 300]]).unwrap();
        assert!(Expansion::new(&long, 100, 2, false).is_none());
        assert!(Expansion::<f64>::new(&SpectralContrastive.polynomial(4, 4).unwrap(), 4, 2, true).is_none());
        let one = Expansion::<f64>::new(&SpectralContrastive.polynomial(1, 4).unwrap(), 4, 1, true).unwrap();
        assert!(one.drift[1].is_empty() && one.noise.iter().all(|part| part.views == (0, 0)));
    }
}
