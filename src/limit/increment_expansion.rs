//! The covariance of what one batch adds to A, B and Λ, as sums of products of moments of one sample (theory §7).
//!
//! What a batch adds is made of the sums (1/B) Σ_b e_bf x_b, x a hidden variable or a coordinate of the views, and of (1/B²) Σ_b e_bf e_bg.
//! A product of two such sums runs over one sample twice or over two samples; all other factors are averages over the batch, which are
//! placed on its samples (see `placements`). So everything is exact for every B. Not here: averages of moments (see
//! `averages::increment_moments`), and what is made of them (see `increments`).

use super::expansion::MOST_NEURONS;
use super::moment_list::{MomentList, Powers};
use super::placements::{Placements, Sum, Term, has_factors, product as product_of, signals};
use crate::Scalar;
use crate::model::BatchPolynomial;

/// What more placements of factors on samples than that would take is too much: increments are averaged over whole batches.
const MOST_PLACEMENTS: usize = 1 << 20;

/// The most outputs and averages of a term of the loss: products of four have powers that fit.
const MOST_FACTORS: usize = 60;

/// A function of one sample in `owns`, or that function with its views exchanged, whose averages are those of the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) own: usize,
    pub(super) exchanged: bool,
}

/// A function X of one sample with what stands beside it.
#[derive(Debug, Clone)]
pub(super) struct Own {
    pub(super) moment: usize,
    /// The moments of X times each coordinate of view 1, then of view 2.
    pub(super) with_coordinates: Vec<usize>,
    /// Those of X times two coordinates a ≤ b, row by row; empty if they are not needed.
    pub(super) with_pairs: Vec<usize>,
}

/// E[Σ_b Σ_b' e_bf x_b e_b'g x'_b']/B² for two fields: X of one sample that has both, or of two samples, each as a place in `owns`.
#[derive(Debug, Clone)]
pub(super) struct PairPart<T> {
    pub(super) fields: (usize, usize),
    pub(super) same: Vec<(Place, Term<T>)>,
    pub(super) apart: Vec<([Place; 2], Term<T>)>,
}

/// The increments of a loss as polynomials in moments of one sample.
#[derive(Debug, Clone)]
pub(super) struct IncrementExpansion<T> {
    pub(super) list: MomentList,
    pub(super) owns: Vec<Own>,
    /// For each field, E[e x].
    pub(super) drift: Vec<Vec<(Place, Term<T>)>>,
    /// For fields f ≤ g.
    pub(super) pairs: Vec<PairPart<T>>,
    /// For each field f and each pair (see `pairs`): E[Σ_b e_bf x_b Σ_b' e_b'g e_b'h]/B³, with the place of X.
    pub(super) with_noise: Vec<(usize, usize, Vec<(Place, Term<T>)>)>,
    /// For pairs j ≤ k: E[Σ_b e_bf e_bg Σ_b' e_b'h e_b'i]/B⁴.
    pub(super) noise: Vec<(usize, usize, Vec<Term<T>>)>,
}

impl<T: Scalar> IncrementExpansion<T> {
    /// Of that loss for batches of B samples and a gradient through the first `views` views; `exchangeable`: exchanging the views changes
    /// no average. `None` if it has too many neurons, factors or terms.
    pub(super) fn new(loss: &BatchPolynomial<T>, batch_size: usize, views: usize, exchangeable: bool) -> Option<Self> {
        let m = loss.n_neurons();
        if m > MOST_NEURONS || !has_factors(loss, MOST_FACTORS) {
            return None;
        }
        let signals = signals(loss, views);
        let mut this = Self {
            list: MomentList::new(m, exchangeable),
            owns: Vec::new(),
            drift: Vec::new(),
            pairs: Vec::new(),
            with_noise: Vec::new(),
            noise: Vec::new(),
        };
        let mut placements = Placements::new(batch_size, MOST_PLACEMENTS);
        for signal in &signals {
            for ((own, averages), &coefficient) in signal {
                placements.add(std::slice::from_ref(own), averages, coefficient)?;
            }
            let terms = this.beside_one(&mut placements, false);
            this.drift.push(terms);
        }
        let fields = || (0..signals.len()).filter(|&f| !signals[f].is_empty());
        let pairs: Vec<(usize, usize)> =
            fields().flat_map(|f| fields().filter(move |&g| g >= f).map(move |g| (f, g))).collect();
        let factors = |(f, g): &(usize, usize)| signals[*f].len().saturating_mul(signals[*g].len());
        if pairs.iter().map(factors).fold(0, usize::saturating_add) > MOST_PLACEMENTS {
            return None;
        }
        let products: Vec<Vec<Factor>> = pairs.iter().map(|&(f, g)| multiply(&signals[f], &signals[g])).collect();
        let batch = batch_size as f64;
        // The chance that two samples of a batch are one.
        let (one, apart) = (1.0 / batch, 1.0 - 1.0 / batch);
        for (&(f, g), product) in pairs.iter().zip(&products) {
            for (own, averages, a) in product {
                placements.add(&[joined(own)], averages, one * a)?;
            }
            let same = this.beside_one(&mut placements, true);
            for (own, averages, a) in product.iter().filter(|_| apart > 0.0) {
                placements.add(own, averages, apart * a)?;
            }
            let mut terms = Vec::new();
            for (named, others, coefficient) in placements.take() {
                let places = [&named[0], &named[1]].map(|powers| this.own(powers, false));
                terms.push((places, Term::new(&mut this.list, coefficient, &others)));
            }
            this.pairs.push(PairPart { fields: (f, g), same, apart: terms });
        }
        for f in fields() {
            for (pair, product) in products.iter().enumerate() {
                for ((x, first), &a) in &signals[f] {
                    for (own, second, b) in product {
                        let averages = [&first[..], &second[..]].concat();
                        let noise = joined(own);
                        placements.add(&[product_of(x, &noise)], &averages, one * one * a * b)?;
                        if apart > 0.0 {
                            placements.add(&[x.clone(), noise], &averages, one * apart * a * b)?;
                        }
                    }
                }
                let terms = this.beside_one(&mut placements, false);
                this.with_noise.push((f, pair, terms));
            }
        }
        for (j, first) in products.iter().enumerate() {
            for (k, second) in products.iter().enumerate().skip(j) {
                for (x, before, a) in first {
                    for (y, after, b) in second {
                        let averages = [&before[..], &after[..]].concat();
                        let (x, y) = (joined(x), joined(y));
                        placements.add(&[product_of(&x, &y)], &averages, one * one * one * a * b)?;
                        if apart > 0.0 {
                            placements.add(&[x, y], &averages, one * one * apart * a * b)?;
                        }
                    }
                }
                let mut terms = Vec::new();
                for (named, mut others, coefficient) in placements.take() {
                    others.extend(named);
                    terms.push(Term::new(&mut this.list, coefficient, &others));
                }
                this.noise.push((j, k, terms));
            }
        }
        Some(this)
    }

    /// The sum in `placements` as terms beside a function of the first sample named; a second one is as any other.
    fn beside_one(&mut self, placements: &mut Placements, pairs: bool) -> Vec<(Place, Term<T>)> {
        let mut terms = Vec::new();
        for (named, mut others, coefficient) in placements.take() {
            others.extend_from_slice(&named[1..]);
            terms.push((self.own(&named[0], pairs), Term::new(&mut self.list, coefficient, &others)));
        }
        terms
    }

    /// The place of a function of one sample, where it is added if it is new; `pairs`: products of two coordinates stand beside it, too.
    fn own(&mut self, powers: &Powers, pairs: bool) -> Place {
        let (moment, exchanged) = self.list.moment_exchanged(powers);
        let m = powers.len() / 4;
        let coordinate = |a: usize| (a / m, a % m);
        let own = self.owns.iter().position(|own| own.moment == moment).unwrap_or_else(|| {
            let with_coordinates = (0..2 * m).map(|a| self.list.with_coordinate(moment, coordinate(a))).collect();
            self.owns.push(Own { moment, with_coordinates, with_pairs: Vec::new() });
            self.owns.len() - 1
        });
        let Own { with_coordinates, with_pairs, .. } = &mut self.owns[own];
        if pairs && with_pairs.is_empty() {
            for (a, &with_first) in with_coordinates.iter().enumerate() {
                with_pairs.extend((a..2 * m).map(|b| self.list.with_coordinate(with_first, coordinate(b))));
            }
        }
        Place { own, exchanged }
    }
}

/// A product of two error signals: what is of each one's own sample, averages over the batch, and a coefficient.
type Factor = ([Powers; 2], Vec<Powers>, f64);

fn multiply(first: &Sum, second: &Sum) -> Vec<Factor> {
    let of = |((x, before), a): (&(Powers, Vec<Powers>), &f64)| {
        let (x, before, a) = (x.clone(), before.clone(), *a);
        let with = move |((y, after), b): (&(Powers, Vec<Powers>), &f64)| {
            ([x.clone(), y.clone()], [&before[..], &after[..]].concat(), a * b)
        };
        second.iter().map(with).collect::<Vec<_>>()
    };
    first.iter().flat_map(of).collect()
}

fn joined([x, y]: &[Powers; 2]) -> Powers {
    product_of(x, y)
}
