//! Losses that are polynomials in averages over the batch: A, B and Λ as sums of products of moments of one sample (theory §11).
//!
//! With e_1 the error signals of one sample, E[e_1 x] and E[e_1 e_1ᵀ] are averages of X Π_k s_k, X a function of that sample and
//! s_k = (1/B) Σ_b φ_k(y_b). Each factor s_k sums over the sample itself and over others; of those that fall on n different others
//! there are (B − 1)(B − 2)…(B − n) choices, whose average is a product of moments. So everything is exact for every B.
//! A moment is a function of the fields of view 1 times one of those of view 2. Not here: their averages (see
//! `averages::sample_moments`).

use std::collections::BTreeMap;

use crate::Scalar;
use crate::model::BatchPolynomial;

/// A product of powers, 4m of them for both views: of σ of each field, then of σ' of each field; fields of view 1 first. Or 3m for one
/// view: of σ of each neuron's field, of σ' of it, and of each coordinate of the view.
type Powers = Vec<u8>;

/// What more placements of factors on samples than that would take is too much: the loss is averaged over whole batches.
const MOST_PLACEMENTS: usize = 1 << 19;

/// With more neurons there would be more nodes than any budget has.
pub(super) const MOST_NEURONS: usize = 3;

/// The most outputs and averages of a term of the loss: products of two have powers that fit.
const MOST_FACTORS: usize = 64;

/// Terms that cancel to that many roundings are not there.
const CANCELLED_ULPS: f64 = 64.0;

/// A function of a view that is made of another one by one more factor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Monomial {
    /// The other function; the first of all is 1, and its own.
    pub(super) parent: usize,
    /// Of m neurons: σ of that neuron's field, from m on σ' of it, from 2m on a coordinate of the view.
    pub(super) factor: usize,
}

/// Functions of one view, each after what it is made of.
#[derive(Debug, Clone)]
pub(super) struct Functions {
    pub(super) monomials: Vec<Monomial>,
    powers: Vec<Powers>,
    known: BTreeMap<Powers, usize>,
}

/// A moment X that stands beside x̃ and h in A and B.
#[derive(Debug, Clone)]
pub(super) struct Beside {
    pub(super) moment: usize,
    /// The moments of X times each coordinate of view 1, then of view 2.
    pub(super) with_coordinates: Vec<usize>,
}

/// A coefficient times moments of one sample.
#[derive(Debug, Clone)]
pub(super) struct Term<T> {
    pub(super) coefficient: T,
    pub(super) moments: Vec<usize>,
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
    /// Of each view.
    pub(super) functions: [Functions; 2],
    /// E[F G]: the numbers of F and of G.
    pub(super) moments: Vec<[usize; 2]>,
    known: BTreeMap<[usize; 2], usize>,
    pub(super) beside: Vec<Beside>,
    /// For each field, E[e x] as a sum of terms times E[X x]: with the place of X in `beside`.
    pub(super) drift: Vec<Vec<(usize, Term<T>)>>,
    pub(super) noise: Vec<NoisePart<T>>,
    exchangeable: bool,
}

/// A sum of products of averages over the batch, each with what is of the sample itself.
type Sum = BTreeMap<(Powers, Vec<Powers>), f64>;

impl<T: Scalar> Expansion<T> {
    /// Of that loss for batches of B samples and a gradient through the first `views` views; `exchangeable`: exchanging the views changes
    /// no average. `None` if it has too many neurons, factors or terms.
    pub(super) fn new(loss: &BatchPolynomial<T>, batch_size: usize, views: usize, exchangeable: bool) -> Option<Self> {
        let m = loss.n_neurons();
        let factors = |averages: &[Vec<_>]| averages.iter().map(|average| average.len().max(1)).sum::<usize>();
        if m > MOST_NEURONS || loss.terms().iter().any(|(_, averages)| factors(averages) > MOST_FACTORS) {
            return None;
        }
        let fields = 2 * m;
        let mut placements = Placements { batch: batch_size as f64, left: MOST_PLACEMENTS, sum: BTreeMap::new() };
        let signals: Vec<Sum> = (0..fields).map(|f| if f / m < views { signal(loss, f) } else { Sum::new() }).collect();
        let functions = [Functions::new(m), Functions::new(m)];
        let mut this = Self {
            functions,
            moments: Vec::new(),
            known: BTreeMap::new(),
            beside: Vec::new(),
            drift: Vec::new(),
            noise: Vec::new(),
            exchangeable,
        };
        for signal in &signals {
            for ((own, averages), &coefficient) in signal {
                placements.add(own, averages, coefficient)?;
            }
            let mut terms = Vec::new();
            for ((own, others), coefficient) in placements.take() {
                let place = this.beside(&own);
                terms.push((place, this.term(coefficient, &others)));
            }
            this.drift.push(terms);
        }
        let pairs = (0..m).flat_map(|i| (i..m).map(move |j| (i, j)));
        for (entry, (v, w)) in pairs.flat_map(|pair| [(0, 0), (0, 1), (1, 0), (1, 1)].map(|views| (pair, views))) {
            for ((x, first), &a) in &signals[v * m + entry.0] {
                for ((y, second), &b) in &signals[w * m + entry.1] {
                    placements.add(&product(x, y), &[&first[..], &second[..]].concat(), a * b)?;
                }
            }
            let mut terms = Vec::new();
            for ((own, mut others), coefficient) in placements.take() {
                others.push(own);
                terms.push(this.term(coefficient, &others));
            }
            if !terms.is_empty() {
                this.noise.push(NoisePart { entry, views: (v, w), terms });
            }
        }
        Some(this)
    }

    fn term(&mut self, coefficient: f64, moments: &[Powers]) -> Term<T> {
        Term { coefficient: T::lit(coefficient), moments: moments.iter().map(|powers| self.moment(powers)).collect() }
    }

    /// The number of a moment, which is added if it is new.
    fn moment(&mut self, powers: &Powers) -> usize {
        let [mut first, mut second] = of_views(powers);
        if self.exchangeable && first < second {
            std::mem::swap(&mut first, &mut second);
        }
        self.add([first, second])
    }

    /// Whether a moment changes sign where fields and coordinates do, for a σ that is odd, or even.
    pub(super) fn is_odd(&self, moment: usize, odd_sigma: bool) -> bool {
        let of = |v: usize| self.functions[v].odd_powers(self.moments[moment][v], odd_sigma);
        !(of(0) + of(1)).is_multiple_of(2)
    }

    /// The number of the moment of a function of each view.
    fn add(&mut self, [first, second]: [Powers; 2]) -> usize {
        let functions = [self.functions[0].number(&first), self.functions[1].number(&second)];
        self.add_numbered(functions)
    }

    fn add_numbered(&mut self, functions: [usize; 2]) -> usize {
        *self.known.entry(functions).or_insert_with(|| {
            self.moments.push(functions);
            self.moments.len() - 1
        })
    }

    /// The place of a moment among those beside x̃ and h, where it is added if it is new.
    fn beside(&mut self, powers: &Powers) -> usize {
        // Here the views differ: x̃ and h are of one of them.
        let moment = self.add(of_views(powers));
        if let Some(known) = self.beside.iter().position(|known| known.moment == moment) {
            return known;
        }
        let mut with_coordinates = Vec::new();
        for (view, k) in (0..2).flat_map(|view| (0..powers.len() / 4).map(move |k| (view, k))) {
            let mut functions = self.moments[moment];
            functions[view] = self.functions[view].with_coordinate(functions[view], k);
            with_coordinates.push(self.add_numbered(functions));
        }
        self.beside.push(Beside { moment, with_coordinates });
        self.beside.len() - 1
    }

    /// The highest degree of a moment, where σ is a polynomial of that degree.
    pub(super) fn degree(&self, of_sigma: usize) -> usize {
        let of = |[first, second]: &[usize; 2]| {
            self.functions[0].degree(*first, of_sigma) + self.functions[1].degree(*second, of_sigma)
        };
        self.moments.iter().map(of).max().unwrap_or(0)
    }
}

impl Functions {
    /// 1 alone, of m neurons.
    fn new(m: usize) -> Self {
        let one = vec![0; 3 * m];
        let known = BTreeMap::from([(one.clone(), 0)]);
        Self { monomials: vec![Monomial { parent: 0, factor: 0 }], powers: vec![one], known }
    }

    /// The number of a function times a coordinate.
    fn with_coordinate(&mut self, function: usize, k: usize) -> usize {
        let mut powers = self.powers[function].clone();
        let m = powers.len() / 3;
        powers[2 * m + k] += 1;
        self.number(&powers)
    }

    /// The number of a function, which is added if it is new, with those that it is made of.
    fn number(&mut self, powers: &Powers) -> usize {
        if let Some(&known) = self.known.get(powers) {
            return known;
        }
        let less = |factor: usize| {
            let mut parent = powers.clone();
            parent[factor] -= 1;
            parent
        };
        let factors = || (0..powers.len()).filter(|&factor| powers[factor] > 0);
        let known = factors().find(|&factor| self.known.contains_key(&less(factor)));
        // It is not 1, which is known, so it has a factor.
        let factor = known.or_else(|| factors().next_back()).unwrap_or(0);
        let parent = self.number(&less(factor));
        self.monomials.push(Monomial { parent, factor });
        self.powers.push(powers.clone());
        self.known.insert(powers.clone(), self.monomials.len() - 1);
        self.monomials.len() - 1
    }

    /// The powers of what is odd.
    fn odd_powers(&self, function: usize, odd_sigma: bool) -> usize {
        let powers = &self.powers[function];
        let m = powers.len() / 3;
        let count = |k: usize| powers[k * m..][..m].iter().map(|&x| usize::from(x)).sum::<usize>();
        count(usize::from(!odd_sigma)) + count(2)
    }

    fn degree(&self, function: usize, of_sigma: usize) -> usize {
        let powers = &self.powers[function];
        let m = powers.len() / 3;
        let count = |k: usize| powers[k * m..][..m].iter().map(|&x| usize::from(x)).sum::<usize>();
        count(0).saturating_mul(of_sigma) + count(1).saturating_mul(of_sigma.saturating_sub(1)) + count(2)
    }
}

/// The factors of each view.
fn of_views(powers: &Powers) -> [Powers; 2] {
    let m = powers.len() / 4;
    [0, 1].map(|v| [&powers[v * m..][..m], &powers[(2 + v) * m..][..m], &vec![0; m]].concat())
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

fn product(x: &Powers, y: &Powers) -> Powers {
    x.iter().zip(y).map(|(x, y)| x + y).collect()
}

/// Placements of averages over a batch on its samples: the expectation of their products.
struct Placements {
    batch: f64,
    /// How many more may be made.
    left: usize,
    /// What is of the sample itself, and what is of each other one; the sum of coefficients, and of their sizes.
    sum: BTreeMap<(Powers, Vec<Powers>), (f64, f64)>,
}

impl Placements {
    /// Adds the expectation of `own` of one sample times those averages.
    fn add(&mut self, own: &Powers, averages: &[Powers], coefficient: f64) -> Option<()> {
        self.place(own.clone(), averages, &mut Vec::new(), coefficient)
    }

    fn place(&mut self, own: Powers, averages: &[Powers], others: &mut Vec<Powers>, share: f64) -> Option<()> {
        let Some((next, rest)) = averages.split_first() else {
            self.left = self.left.checked_sub(1)?;
            let mut key = others.clone();
            key.sort_unstable();
            let (sum, size) = self.sum.entry((own, key)).or_insert((0.0, 0.0));
            *sum += share;
            *size += share.abs();
            return Some(());
        };
        let share = share / self.batch;
        self.place(product(&own, next), rest, others, share)?;
        for k in 0..others.len() {
            let before = std::mem::take(&mut others[k]);
            others[k] = product(&before, next);
            self.place(own.clone(), rest, others, share)?;
            others[k] = before;
        }
        let choices = self.batch - 1.0 - others.len() as f64;
        if choices > 0.0 {
            others.push(next.clone());
            self.place(own, rest, others, share * choices)?;
            others.pop();
        }
        Some(())
    }

    /// What has been added, without what cancels; nothing is left.
    fn take(&mut self) -> impl Iterator<Item = ((Powers, Vec<Powers>), f64)> + use<> {
        let all = std::mem::take(&mut self.sum).into_iter();
        // What is not a number must be seen.
        let counts = |sum: f64, size: f64| !sum.is_finite() || sum.abs() > CANCELLED_ULPS * f64::EPSILON * size;
        all.filter(move |(_, (sum, size))| counts(*sum, *size)).map(|(key, (sum, _))| (key, sum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CovarianceLoss, Loss, Quadratic, SpectralContrastive};

    /// The value of a moment where σ and σ' of every field are these.
    fn at(expansion: &Expansion<f64>, moment: usize, (y, d): (&[f64], &[f64])) -> f64 {
        let of_view = |v: usize| -> f64 {
            let powers = &expansion.functions[v].powers[expansion.moments[moment][v]];
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
        assert_eq!(expansion.degree(1), 4);
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
