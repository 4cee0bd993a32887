//! By what averages over two fields of each view are taken: on lattices in canonical coordinates, or on nodes of the fields.

use crate::Scalar;
use crate::limit::averages::curvature::Curvature;
use crate::limit::averages::field_form::FieldForm;
use crate::limit::averages::two_views::ViewForm;
use crate::limit::averages::two_views_gradient::FormGradient;
use crate::model::Nonlinearity;

/// Products of signals that are functions of the same four fields.
#[derive(Debug, Clone)]
pub(in crate::limit) enum Form<T> {
    /// In canonical coordinates.
    Views(Box<ViewForm<T>>),
    /// For large gains.
    Fields(Box<FieldForm<T>>),
}

impl<T: Scalar> Form<T> {
    /// (view, neuron) of each field: two of view 1, then two of view 2.
    pub(in crate::limit) fn fields(&self) -> [(usize, usize); 4] {
        match self {
            Self::Views(form) => form.fields,
            Self::Fields(form) => form.fields(),
        }
    }

    /// Goes over to another covariance of the fields.
    pub(in crate::limit) fn update(&mut self, covariance: &[T]) {
        match self {
            Self::Views(form) => form.update(covariance),
            Self::Fields(form) => form.update(covariance),
        }
    }

    /// Evaluations of the nonlinearity in one pass over the nodes.
    pub(in crate::limit) fn count(&self) -> usize {
        match self {
            Self::Views(form) => form.count(),
            Self::Fields(form) => form.count(),
        }
    }

    /// Forgets all sums.
    pub(in crate::limit) fn reset(&mut self) {
        match self {
            Self::Views(form) => form.reset(),
            Self::Fields(form) => form.reset(),
        }
    }

    /// The average of a product, from the sums so far.
    pub(in crate::limit) fn average(&self, product: usize) -> T {
        match self {
            Self::Views(form) => form.average(product),
            Self::Fields(form) => form.average(product),
        }
    }

    /// The number of products.
    pub(in crate::limit) fn products(&self) -> usize {
        match self {
            Self::Views(form) => form.products(),
            Self::Fields(form) => form.products(),
        }
    }

    /// Adds `weight` times the averages at that mean of each neuron to the sums.
    pub(in crate::limit) fn add(&mut self, mean: &[T], weight: T, sigma: &dyn Nonlinearity<T>) {
        match self {
            Self::Views(form) => form.add(mean, weight, sigma),
            Self::Fields(form) => form.add(mean, weight),
        }
    }

    /// How the averages move at each of those means of the neurons, with the covariance of the last update: one for each product.
    pub(in crate::limit) fn gradients<'m>(
        &mut self,
        means: impl Iterator<Item = &'m [T]>,
        covariance: &[T],
        sigma: &dyn Nonlinearity<T>,
    ) -> Vec<Vec<FormGradient<T>>> {
        match self {
            Self::Views(form) => {
                let mut curvature = Curvature::new(form.width());
                means.map(|mean| form.gradient(mean, covariance, sigma, &mut curvature)).collect()
            }
            Self::Fields(form) => means.map(|mean| form.gradient(mean)).collect(),
        }
    }
}
