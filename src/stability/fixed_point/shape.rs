//! A model as the starts of a search see it.
//!
//! Covers its sizes, its constraint, and which signs are symmetries. Not here: the starts (see `starts`).

use crate::limit::{Compiled, Limit};
use crate::model::Constraint;
use crate::ode::ReducedOde;
use crate::stability::fixed_point::symmetry::Symmetries;
use crate::stability::tolerances::{EVALUATION, ROUNDING};

/// The model as the starts see it.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) features: usize,
    pub(crate) neurons: usize,
    pub(crate) constraint: Constraint,
    /// Whether Q = 0 is kept by the flow.
    pub(crate) centred: bool,
    /// For each feature, whether its sign alone is a symmetry.
    pub(crate) even_features: Vec<bool>,
    /// Whether the sign of every neuron alone is a symmetry.
    pub(crate) even_neurons: bool,
    /// Whether any two neurons may be exchanged.
    pub(crate) exchangeable: bool,
}

impl Shape {
    pub(crate) fn new<T: Compiled>(ode: &ReducedOde<'_, T>, symmetries: &Symmetries) -> Self {
        let limit = ode.limit();
        let (p, m) = (limit.n_features(), limit.n_neurons());
        let moved = |pairs: &[(usize, bool)]| pairs.iter().enumerate().any(|(k, &(to, minus))| to != k || minus);
        let flips = |pairs: &[(usize, bool)], at: usize| {
            pairs.iter().enumerate().all(|(k, &(to, minus))| to == k && minus == (k == at))
        };
        let generators = &symmetries.generators;
        let even_feature = |l: usize| generators.iter().any(|g| !moved(&g.neurons) && flips(&g.features, l));
        let even_neuron = |i: usize| generators.iter().any(|g| !moved(&g.features) && flips(&g.neurons, i));
        let swaps = |map: &[(usize, bool)], i: usize| {
            let to = |k: usize| {
                if k == i {
                    i - 1
                } else if k + 1 == i {
                    i
                } else {
                    k
                }
            };
            map.iter().enumerate().all(|(k, &at)| at == (to(k), false))
        };
        let exchange = |i: usize| generators.iter().any(|g| !moved(&g.features) && swaps(&g.neurons, i));
        Self {
            features: p,
            neurons: m,
            constraint: ode.constraint(),
            centred: off_centre(limit).is_none(),
            even_features: (0..p).map(even_feature).collect(),
            even_neurons: (0..m).all(even_neuron),
            exchangeable: (1..m).all(exchange),
        }
    }
}

/// The first hidden variable whose mean is not zero to rounding.
pub(crate) fn off_centre<T: Compiled>(limit: &Limit<'_, T>) -> Option<usize> {
    let scale = limit.hidden_second_moment().trace().sqrt();
    let mean = limit.hidden_mean();
    (0..limit.n_features()).find(|&l| !(mean[l].abs() <= T::lit(ROUNDING) * T::EPSILON * scale))
}

/// Whether σ(0) = 0 to rounding.
pub(crate) fn vanishes_at_zero<T: Compiled>(offset: T) -> bool {
    offset.abs() <= T::lit(EVALUATION) * T::EPSILON
}

/// Whether weights that are all zero stay so: σ(0) = 0 and no constraint.
pub(crate) fn keeps_collapsed_state<T: Compiled>(ode: &ReducedOde<'_, T>) -> bool {
    ode.constraint() == Constraint::None && vanishes_at_zero(ode.limit().nonlinearity().value(T::zero()))
}

/// Whether a neuron of weight zero stays there: moreover no other neuron pulls it.
pub(crate) fn keeps_vanishing_neurons<T: Compiled>(ode: &ReducedOde<'_, T>) -> bool {
    let coupled = ode.limit().loss().coupling_at_zero().is_none_or(|coupling| coupling != T::zero());
    keeps_collapsed_state(ode) && !coupled
}
