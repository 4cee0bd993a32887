//! What the entries of Λ are made of (theory §3): products of two signals, each a function of two fields.
//!
//! With C_ik's derivative written as G_ik = λ(offset + slope·C_ik), the error signal of neuron i in view 1 is
//!   e_i¹ = −U¹_ii + Σ_{k≠i} λ(offset_ik + slope_ik (1 − 1/B) M_ik) U¹_ik + (λ slope_ik/B) V¹_ik + fluctuations,
//! U^v_ik = σ'(h_i^v) y_k^w, V^v_ik = σ'(h_i^v) y_i^v (y_k^w)², w the other view: so Λ needs averages over no more than
//! two fields of each view, however many neurons there are. The fluctuations of C over the rest of the batch bring in
//! products of P_ik = y_i¹ y_k². The quadratic penalty has offset 0 and slope 1.
//! Where the diagonal of ∂F/∂C moves with C (Barlow Twins), k = i is one more entry of the sums, without λ.

use crate::Scalar;
use crate::limit::numbers::Numbers;
use crate::numerics::dual::Number;

/// Which function of the two fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// U: σ'(own) σ(other).
    Error,
    /// V: σ'(own) σ(own) σ(other)².
    Own,
    /// P: σ(own) σ(other), own in view 1.
    Output,
}

/// A function of neuron `own` in `view` and of neuron `other` in the other view; views count from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Signal {
    pub(super) kind: Kind,
    pub(super) view: usize,
    pub(super) own: usize,
    pub(super) other: usize,
}

impl Signal {
    fn error(view: usize, own: usize, other: usize) -> Self {
        Self { kind: Kind::Error, view, own, other }
    }

    fn output((i, k): (usize, usize)) -> Self {
        Self { kind: Kind::Output, view: 0, own: i, other: k }
    }

    /// The same function with the views exchanged.
    pub(super) fn mirrored(self) -> Self {
        match self.kind {
            Kind::Output => Self { own: self.other, other: self.own, ..self },
            _ => Self { view: 1 - self.view, ..self },
        }
    }

    /// Its neuron in that view.
    pub(super) fn neuron(&self, view: usize) -> usize {
        if view == self.view { self.own } else { self.other }
    }
}

/// Two signals, the smaller first.
pub(super) type Product = (Signal, Signal);

/// (view, neuron) of four fields that a product is a function of: two of view 1, then two of view 2.
pub(super) fn four_fields((x, y): Product) -> [(usize, usize); 4] {
    let couple = |view: usize| {
        let (a, b) = (x.neuron(view), y.neuron(view));
        // Any second neuron will do.
        let b = if a == b { usize::from(a == 0) } else { b };
        [(view, a.min(b)), (view, a.max(b))]
    };
    let ([a, b], [c, d]) = (couple(0), couple(1));
    [a, b, c, d]
}

/// The two, the smaller first.
pub(super) fn ordered(x: Signal, y: Signal) -> Product {
    if x <= y { (x, y) } else { (y, x) }
}

/// A coefficient of a signal.
#[derive(Debug, Clone, Copy)]
enum Coefficient {
    /// The diagonal of ∂F/∂C, −1 for the covariance loss.
    Loss,
    /// λ(offset + slope (1 − 1/B) M) of that entry of C; on the diagonal without λ.
    Rest((usize, usize)),
    /// λ slope/B of that entry of C.
    Own((usize, usize)),
}

#[derive(Debug, Clone, Copy)]
struct Linear {
    entry: usize,
    views: (usize, usize),
    coefficients: [Coefficient; 2],
    product: usize,
}

/// λ² slope slope' (B − 1)/B² (E[P P'] − M M') D E[U U'].
#[derive(Debug, Clone, Copy)]
struct Fluctuation {
    entry: usize,
    views: (usize, usize),
    covariances: [(usize, usize); 2],
    outputs: usize,
    errors: usize,
}

/// What an entry of ∂F/∂C is multiplied by: λ off the diagonal, 1 on it.
fn strength<T: Scalar, N: Number<T>>(numbers: &Numbers<N>, (i, k): (usize, usize)) -> N {
    if i == k { N::one() } else { numbers.penalty_strength }
}

/// Λ as a polynomial of averages of products.
#[derive(Debug, Clone)]
pub(super) struct NoiseTerms {
    neurons: usize,
    linear: Vec<Linear>,
    fluctuations: Vec<Fluctuation>,
    products: Vec<Product>,
    exchangeable: bool,
    diagonal: bool,
}

/// What Λ's terms are multiplied by: the diagonal of ∂F/∂C, its offset and slope off the diagonal, and M = E[y¹ y²ᵀ],
/// m x m each.
pub(super) struct Couplings<'a, T, N> {
    pub(super) numbers: &'a Numbers<N>,
    pub(super) diagonal: T,
    pub(super) offsets: &'a [T],
    pub(super) slopes: &'a [T],
    pub(super) means: &'a [N],
}

/// What Λ is needed for.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_excessive_bools)] // each is a question of its own
pub(super) struct Needs {
    /// Whether entries of C off the diagonal act.
    pub(super) penalised: bool,
    /// Whether entries on its diagonal act through more than a constant.
    pub(super) diagonal_moves: bool,
    /// Whether the rest of a batch matters.
    pub(super) batches: bool,
    /// How many views carry the gradient.
    pub(super) views: usize,
    /// Whether exchanging the views changes no average.
    pub(super) exchangeable: bool,
    /// Whether the diagonal of Λ is made of products too where there is no penalty, and each entry is an average over one pair of
    /// fields.
    pub(super) diagonal: bool,
}

impl NoiseTerms {
    /// For m neurons, at least two.
    pub(super) fn new(neurons: usize, needs: Needs) -> Self {
        let Needs { penalised, diagonal_moves, batches, views, exchangeable, diagonal } = needs;
        let diagonal = penalised || diagonal_moves || diagonal;
        let mut this = Self { neurons, linear: vec![], fluctuations: vec![], products: vec![], exchangeable, diagonal };
        let m = neurons;
        // C_ik in view 1 (neuron i against k), C_ki in view 2.
        let covariance = |view: usize, i: usize, k: usize| if view == 0 { (i, k) } else { (k, i) };
        let parts = |view: usize, i: usize| {
            let own = Signal { kind: Kind::Own, view, own: i, other: i };
            let mut parts = if diagonal_moves {
                // Its offset is there whatever the batch size is.
                vec![(Signal::error(view, i, i), Coefficient::Rest((i, i))), (own, Coefficient::Own((i, i)))]
            } else {
                vec![(Signal::error(view, i, i), Coefficient::Loss)]
            };
            for k in (0..m).filter(|&k| penalised && k != i) {
                let entry = covariance(view, i, k);
                if batches {
                    parts.push((Signal::error(view, i, k), Coefficient::Rest(entry)));
                }
                parts.push((Signal { kind: Kind::Own, view, own: i, other: k }, Coefficient::Own(entry)));
            }
            parts
        };
        let all_views = || (0..views).flat_map(|v| (0..views).map(move |w| (v, w)));
        for i in 0..m {
            for j in i..m {
                if !diagonal && i == j {
                    continue;
                }
                for (v, w) in all_views() {
                    for (x, a) in parts(v, i) {
                        for (y, b) in parts(w, j) {
                            let product = this.product(x, y);
                            let (entry, views) = (this.entry(i, j), (v, w));
                            this.linear.push(Linear { entry, views, coefficients: [a, b], product });
                        }
                    }
                }
            }
        }
        if !((penalised || diagonal_moves) && batches) {
            return this;
        }
        let moves = move |i: usize, k: usize| if i == k { diagonal_moves } else { penalised };
        let pairs = || (0..m).flat_map(|i| (0..m).filter(move |&k| moves(i, k)).map(move |k| (i, k)));
        for a in pairs() {
            for b in pairs() {
                for (v, w) in all_views() {
                    // The error signal that C_ik feeds in view 1 is neuron i's, in view 2 neuron k's.
                    let signal = |view: usize, (i, k): (usize, usize)| {
                        if view == 0 { Signal::error(0, i, k) } else { Signal::error(1, k, i) }
                    };
                    let (x, y) = (signal(v, a), signal(w, b));
                    if x.own > y.own {
                        continue;
                    }
                    let outputs = this.product(Signal::output(a), Signal::output(b));
                    let errors = this.product(x, y);
                    let (entry, views) = (this.entry(x.own, y.own), (v, w));
                    this.fluctuations.push(Fluctuation { entry, views, covariances: [a, b], outputs, errors });
                }
            }
        }
        this
    }

    /// The index of an entry i ≤ j of Λ.
    fn entry(&self, i: usize, j: usize) -> usize {
        i * self.neurons + j
    }

    /// The number of a product; products that differ by an exchange of the views have one.
    fn product(&mut self, x: Signal, y: Signal) -> usize {
        let mut product = ordered(x, y);
        if self.exchangeable {
            product = product.min(ordered(x.mirrored(), y.mirrored()));
        }
        self.products.iter().position(|known| *known == product).unwrap_or_else(|| {
            self.products.push(product);
            self.products.len() - 1
        })
    }

    /// Whether the diagonal of Λ is among them.
    pub(super) fn has_diagonal(&self) -> bool {
        self.diagonal
    }

    /// The products whose averages are needed.
    pub(super) fn products(&self) -> &[Product] {
        &self.products
    }

    /// Adds Λ B/τ² from the averages of the products: entries i ≤ j of an m x m matrix.
    pub(super) fn add<T: Scalar, N: Number<T>>(&self, couplings: &Couplings<'_, T, N>, products: &[N], out: &mut [N]) {
        self.visit(couplings, products, &mut |entry, coefficient, product| {
            out[entry] += coefficient * products[product];
        });
    }

    /// The weights of the products in the differential of each entry; row by row, one row for each entry i ≤ j.
    pub(super) fn weights<T: Scalar>(&self, couplings: &Couplings<'_, T, T>, products: &[T]) -> Vec<(usize, Vec<T>)> {
        let m = self.neurons;
        let mut rows = vec![vec![T::zero(); self.products.len()]; m * m];
        self.visit(couplings, products, &mut |entry, coefficient, product| rows[entry][product] += coefficient);
        for term in &self.fluctuations {
            rows[term.entry][term.outputs] += self.share(term, couplings) * products[term.errors];
        }
        rows.into_iter().enumerate().filter(|(_, row)| row.iter().any(|x| *x != T::zero())).collect()
    }

    fn share<T: Scalar, N: Number<T>>(&self, term: &Fluctuation, couplings: &Couplings<'_, T, N>) -> N {
        let numbers = couplings.numbers;
        let [a, b] = term.covariances.map(|(i, k)| i * self.neurons + k);
        let slopes = couplings.slopes[a] * couplings.slopes[b];
        let [x, y] = term.covariances.map(|entry| strength(numbers, entry));
        let rest = (numbers.batch - N::one()) / (numbers.batch * numbers.batch);
        numbers.views.get(term.views.0, term.views.1) * (x * y * rest).times(slopes)
    }

    /// Calls `f(entry, coefficient, product)` for every term, linear in that product.
    fn visit<T: Scalar, N: Number<T>>(
        &self,
        couplings: &Couplings<'_, T, N>,
        products: &[N],
        f: &mut dyn FnMut(usize, N, usize),
    ) {
        let numbers = couplings.numbers;
        let inverse = N::one() / numbers.batch;
        let at = |(i, k): (usize, usize)| i * self.neurons + k;
        let coefficient = |c: Coefficient| match c {
            Coefficient::Loss => N::constant(couplings.diagonal),
            Coefficient::Rest(entry) => {
                let mean = ((N::one() - inverse) * couplings.means[at(entry)]).times(couplings.slopes[at(entry)]);
                strength(numbers, entry) * (N::constant(couplings.offsets[at(entry)]) + mean)
            }
            Coefficient::Own(entry) => (strength(numbers, entry) * inverse).times(couplings.slopes[at(entry)]),
        };
        for term in &self.linear {
            let [a, b] = term.coefficients.map(coefficient);
            f(term.entry, numbers.views.get(term.views.0, term.views.1) * a * b, term.product);
        }
        for term in &self.fluctuations {
            let [a, b] = term.covariances.map(|pair| couplings.means[at(pair)]);
            f(term.entry, self.share(term, couplings) * (products[term.outputs] - a * b), term.errors);
        }
    }
}
