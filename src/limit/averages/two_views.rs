//! Averages over two fields of each view as forms: E[F(h¹_a, h¹_b) G(h²_c, h²_d)] = Fᵀ (K₁ ⊗ K₂) G (theory §3).
//!
//! In canonical coordinates the density is a product of two bivariate normal densities, each a small matrix between the
//! nodes of the two views. So σ is evaluated at n² nodes of each view, and a product of signals costs two products of
//! matrices, instead of n⁴ nodes. Not here: the functions of a view (see `view`),
//! the matrices (see `kernel`), derivatives (see `two_views_gradient`), and which products there are (see `signals`).

use crate::Scalar;
use crate::limit::averages::curvature::Curvature;
use crate::limit::averages::kernel::Kernel;
use crate::limit::averages::two_views_gradient::{Derivatives, FormGradient, gradients};
use crate::limit::averages::view::{Scratch, Shape, View, add_rest, elementary, transform};
use crate::limit::fields::canonical::Canonical;
use crate::limit::signals::{NoiseTerms, Signal, four_fields};
use crate::model::Nonlinearity;
use crate::numerics::kernels::dot;
use crate::numerics::lanes::{LANES, dispatch};

/// Products of signals that are functions of the same four fields.
#[derive(Debug, Clone)]
pub(in crate::limit) struct ViewForm<T> {
    /// (view, neuron) of each field: two of view 1, then two of view 2.
    pub(in crate::limit) fields: [(usize, usize); 4],
    /// For each product, the function of view 1 and that of view 2.
    products: Vec<(usize, usize)>,
    views: [View<T>; 2],
    kernels: [Kernel<T>; 2],
    canonical: Canonical,
    /// The canonical coordinate of each kernel: nodes of the second fill groups of lanes, so it is the one for which they fit better.
    order: [usize; 2],
    /// The averages so far.
    sums: Vec<T>,
    scratch: Scratch<T>,
    derivatives: [Derivatives<T>; 2],
}

/// Where the average of a product is found: in that form, with that number.
pub(in crate::limit) type Position = (usize, usize);

/// The forms that hold the products of `terms`, without nodes, and where each product is found.
pub(in crate::limit) fn forms<T: Scalar>(terms: &NoiseTerms) -> (Vec<ViewForm<T>>, Vec<Position>) {
    let mut forms: Vec<ViewForm<T>> = Vec::new();
    let mut places = Vec::new();
    for &(x, y) in terms.products() {
        let fields = four_fields((x, y));
        let index = forms.iter().position(|form| form.fields == fields).unwrap_or_else(|| {
            forms.push(ViewForm::new(fields));
            forms.len() - 1
        });
        places.push((index, forms[index].product(x, y)));
    }
    (forms, places)
}

impl<T: Scalar> ViewForm<T> {
    fn new(fields: [(usize, usize); 4]) -> Self {
        Self {
            fields,
            products: Vec::new(),
            views: [View::new(), View::new()],
            kernels: [Kernel::still(1), Kernel::still(LANES)],
            canonical: Canonical::new(&[T::zero(); 16]),
            order: [0, 1],
            sums: Vec::new(),
            scratch: Scratch::default(),
            derivatives: [Derivatives::new(), Derivatives::new()],
        }
    }

    /// The number of a product of signals, which is added if it is new.
    fn product(&mut self, x: Signal, y: Signal) -> usize {
        let function = |view: usize| {
            let field = |signal: Signal| usize::from(self.fields[2 * view].1 != signal.neuron(view));
            [x, y].map(|signal| (elementary(signal, view), field(signal)))
        };
        let (first, second) = (function(0), function(1));
        let product = (self.views[0].function(first), self.views[1].function(second));
        self.products.iter().position(|known| *known == product).unwrap_or_else(|| {
            self.products.push(product);
            self.sums.push(T::zero());
            self.products.len() - 1
        })
    }

    /// Takes nodes for the two coordinates, chosen by `axis` from their gains at that covariance of the fields, and from what half
    /// the number of nodes must be a multiple of. `None` if `axis` has none.
    pub(in crate::limit) fn choose(
        &mut self,
        covariance: &[T],
        axis: &mut dyn FnMut(f64, usize) -> Option<Kernel<T>>,
    ) -> Option<()> {
        self.canonical = Canonical::new(covariance);
        let gains = [0, 1].map(|k| self.canonical.gain(k));
        let exact = [axis(gains[0], 1)?, axis(gains[1], 1)?];
        let nodes = |lines: usize| exact[lines].half() * exact[1 - lines].half().next_multiple_of(LANES);
        let lines = usize::from(nodes(1) < nodes(0));
        self.order = [lines, 1 - lines];
        let [first, second] = exact;
        self.kernels = [if lines == 0 { first } else { second }, axis(gains[1 - lines], LANES)?];
        let nodes = self.kernels[0].nodes().len() * self.kernels[1].nodes().len();
        self.views.iter_mut().for_each(|view| view.resize(nodes));
        let Scratch { product, parts, transformed } = &mut self.scratch;
        for array in [product, parts, transformed] {
            array.resize(nodes, T::zero());
        }
        Some(())
    }

    /// Goes over to another covariance of the fields.
    pub(in crate::limit) fn update(&mut self, covariance: &[T]) {
        let lattices = self.kernels.iter().all(Kernel::is_lattice);
        self.canonical = self.canonical.at(covariance, lattices);
        let rest = self.canonical.rest != [0.0; 2];
        for (kernel, k) in self.kernels.iter_mut().zip(self.order) {
            kernel.correlate(self.canonical.correlations[k]);
            if rest {
                kernel.differentiate();
            }
        }
    }

    /// The gains of the coordinates, with the kernels whose nodes must resolve them.
    pub(in crate::limit) fn axes(&self) -> impl Iterator<Item = (f64, &Kernel<T>)> {
        self.order.iter().zip(&self.kernels).map(|(&k, kernel)| (self.canonical.gain(k), kernel))
    }

    /// Evaluations of the nonlinearity in one pass over the nodes.
    pub(in crate::limit) fn count(&self) -> usize {
        4 * self.kernels[0].nodes().len() * self.kernels[1].nodes().len()
    }

    /// Forgets all sums.
    pub(in crate::limit) fn reset(&mut self) {
        self.sums.fill(T::zero());
    }

    /// The average of a product, from the sums so far.
    pub(in crate::limit) fn average(&self, product: usize) -> T {
        self.sums[product]
    }

    /// The length of a row of nodes.
    pub(in crate::limit) fn width(&self) -> usize {
        self.kernels[1].nodes().len()
    }

    /// The number of functions of both views.
    pub(in crate::limit) fn functions(&self) -> usize {
        self.views.iter().map(|view| view.functions.len()).sum()
    }

    /// The number of products.
    pub(in crate::limit) fn products(&self) -> usize {
        self.products.len()
    }

    fn evaluate(&mut self, mean: &[T], sigma: &dyn Nonlinearity<T>) {
        let Self { fields, views: [first, second], kernels, canonical, order, .. } = self;
        let means = |v: usize| [mean[fields[2 * v].1], mean[fields[2 * v + 1].1]];
        let rows = |v: usize| [0, 1].map(|f| order.map(|k| canonical.rows[2 * v + f][k]));
        first.evaluate(means(0), rows(0), kernels, sigma);
        if means(0) == means(1) && rows(0) == rows(1) {
            second.copy_from(first);
        } else {
            second.evaluate(means(1), rows(1), kernels, sigma);
        }
    }

    /// Adds `weight` times the averages at that mean of each neuron to the sums.
    pub(in crate::limit) fn add(&mut self, mean: &[T], weight: T, sigma: &dyn Nonlinearity<T>) {
        self.evaluate(mean, sigma);
        let Self { products, views: [first, second], kernels, canonical, order, sums, scratch, .. } = self;
        let rest = order.map(|k| canonical.rest[k]);
        let Scratch { product, parts, transformed } = scratch;
        let shape = Shape::new(kernels);
        dispatch(
            #[inline(always)]
            || {
                // Function by function, so that what is read again is still close to the processor.
                for f in 0..first.functions.len() {
                    first.parts(f, shape, product, parts);
                    transform(kernels, parts, transformed, product);
                    if rest != [0.0; 2] {
                        add_rest(kernels, rest, parts, transformed, product);
                    }
                    for (&(_, g), sum) in products.iter().zip(&mut *sums).filter(|((of, _), _)| *of == f) {
                        second.parts(g, shape, product, parts);
                        *sum += weight * dot(transformed, parts);
                    }
                }
            },
        );
    }

    /// How the averages move at that mean of each neuron, with the covariance of the fields as in the last update; one for each
    /// product.
    pub(in crate::limit) fn gradient(
        &mut self,
        mean: &[T],
        covariance: &[T],
        sigma: &dyn Nonlinearity<T>,
        curvature: &mut Curvature<T>,
    ) -> Vec<FormGradient<T>> {
        self.evaluate(mean, sigma);
        let Self { fields, products, views, kernels, scratch, derivatives, .. } = self;
        let width = kernels[1].nodes().len();
        for view in &mut *views {
            view.evaluate_second(width, sigma, curvature);
        }
        let means = fields.map(|(_, neuron)| mean[neuron]);
        gradients(views, kernels, products, (&means, covariance), derivatives, scratch)
    }
}
