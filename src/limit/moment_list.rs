//! Moments of one sample, E[F(h¹) G(h²)], as a list: each a product F of σ, σ' and coordinates of view 1 times such a product G of
//! view 2.
//!
//! Not here: which of them a loss needs (see `expansion` and `increment_expansion`), and their averages (see
//! `averages::sample_nodes`).

use std::collections::BTreeMap;

use crate::model::Smoothness;

/// A product of powers, 4m of them for both views: of σ of each field, then of σ' of each field; fields of view 1 first. Or 3m for one
/// view: of σ of each neuron's field, of σ' of it, and of each coordinate of the view.
pub(super) type Powers = Vec<u8>;

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

/// The moments, each once.
#[derive(Debug, Clone)]
pub(super) struct MomentList {
    /// Of each view.
    pub(super) functions: [Functions; 2],
    /// E[F G]: the numbers of F and of G.
    pub(super) moments: Vec<[usize; 2]>,
    known: BTreeMap<[usize; 2], usize>,
    exchangeable: bool,
}

impl MomentList {
    /// None yet, of m neurons; `exchangeable`: exchanging the views changes no average.
    pub(super) fn new(m: usize, exchangeable: bool) -> Self {
        let functions = [Functions::new(m), Functions::new(m)];
        Self { functions, moments: Vec::new(), known: BTreeMap::new(), exchangeable }
    }

    /// The number of a moment, which is added if it is new.
    pub(super) fn moment(&mut self, powers: &Powers) -> usize {
        self.moment_exchanged(powers).0
    }

    /// The same, and whether its views have been exchanged for it.
    pub(super) fn moment_exchanged(&mut self, powers: &Powers) -> (usize, bool) {
        let [first, second] = of_views(powers);
        if self.exchangeable && first < second {
            return (self.add([second, first]), true);
        }
        (self.add([first, second]), false)
    }

    /// The same, where the views differ because something of one of them stands beside it.
    pub(super) fn moment_in_order(&mut self, powers: &Powers) -> usize {
        self.add(of_views(powers))
    }

    /// The number of a moment times a coordinate of a view.
    pub(super) fn with_coordinate(&mut self, moment: usize, (view, k): (usize, usize)) -> usize {
        let mut functions = self.moments[moment];
        functions[view] = self.functions[view].with_coordinate(functions[view], k);
        self.add_numbered(functions)
    }

    /// Whether a moment changes sign where fields and coordinates do, for a σ that is odd, or even.
    fn is_odd(&self, moment: usize, odd_sigma: bool) -> bool {
        let of = |v: usize| self.functions[v].odd_powers(self.moments[moment][v], odd_sigma);
        !(of(0) + of(1)).is_multiple_of(2)
    }

    /// The same for every moment.
    pub(super) fn odd_moments(&self, odd_sigma: bool) -> Vec<bool> {
        (0..self.moments.len()).map(|moment| self.is_odd(moment, odd_sigma)).collect()
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

    /// The points of a Gauss-Hermite rule that is exact for every moment; `None` unless σ is a polynomial.
    pub(super) fn exact_points<T>(&self, smoothness: &Smoothness<T>) -> Option<usize> {
        let Smoothness::Polynomial { degree } = smoothness else { return None };
        Some(self.degree(*degree) / 2 + 1)
    }

    /// The highest degree of a moment, where σ is a polynomial of that degree.
    pub(super) fn degree(&self, of_sigma: usize) -> usize {
        let of = |[first, second]: &[usize; 2]| {
            self.functions[0].degree(*first, of_sigma) + self.functions[1].degree(*second, of_sigma)
        };
        self.moments.iter().map(of).max().unwrap_or(0)
    }

    /// The powers of σ, of σ' and of the coordinates in each function of a moment.
    #[cfg(test)]
    pub(super) fn powers(&self, moment: usize) -> [&Powers; 2] {
        [0, 1].map(|v| &self.functions[v].powers[self.moments[moment][v]])
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
