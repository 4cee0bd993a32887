//! How the loss enters the limit coefficients (theory §1, §3): the entries of ∂F/∂C as constants and affine functions,
//! where it has such a form, moments of a sample where it is a polynomial in averages over the batch, and whole batches for what is
//! left.

use std::sync::Arc;

use super::expansion::{Expansion, MOST_NEURONS};
use crate::Scalar;
use crate::model::{BatchPolynomial, CovarianceForm, EntrySlope, Loss, OutputGradient, Outputs, Settings};

/// The loss of a model as the averages see it.
#[derive(Clone)]
pub(crate) struct LossTerms<'a, T: Scalar> {
    loss: &'a dyn Loss<T>,
    /// Its form as a function of covariances, if the diagonal of ∂F/∂C is constant, or affine in C for several neurons and a smooth σ.
    form: Option<CovarianceForm<'a, T>>,
    /// Without such a form: as a polynomial in averages over the batch, for a smooth σ.
    expansion: Option<Arc<Expansion<T>>>,
    /// λ; 0 for one neuron.
    strength: T,
    /// Whether entries off the diagonal act, or their strength is varied.
    coupled: bool,
}

impl<'a, T: Scalar> LossTerms<'a, T> {
    /// For a model of those settings and a σ with a kink or without; `exchangeable`: exchanging the views changes no average.
    pub(super) fn new(loss: &'a dyn Loss<T>, settings: &Settings<T>, kinked: bool, exchangeable: bool) -> Self {
        let (n_neurons, batch_size) = (settings.n_neurons, settings.batch_size);
        let affine = n_neurons > 1 && !kinked;
        let form = loss.covariance_form().filter(|form| {
            let lines = form.diagonal.affine().is_some() && form.off_diagonal.affine().is_some();
            form.diagonal.constant().is_some() || affine && lines
        });
        let coupled = form.is_some_and(|form| form.couples_neurons(n_neurons));
        let averaged = form.is_some() || kinked || n_neurons > MOST_NEURONS;
        let expansion = if averaged { None } else { own_polynomial(loss, n_neurons, batch_size) };
        let views = settings.gradient_path.views();
        let expansion = expansion.and_then(|loss| Expansion::new(&loss, batch_size, views, exchangeable));
        let strength = form.filter(|_| coupled).map_or(T::zero(), |form| form.strength);
        Self { loss, form, expansion: expansion.map(Arc::new), strength, coupled }
    }

    /// Whether entries of ∂F/∂C off the diagonal act.
    pub(super) fn coupled(&self) -> bool {
        self.coupled
    }

    /// Lets entries off the diagonal act, whatever their strength, of a loss that has such a form.
    pub(super) fn couple(&mut self, n_neurons: usize) {
        self.coupled |= n_neurons > 1 && self.form.is_some();
    }

    /// Whether some averages run over batches: whole ones, or by moments of one sample.
    pub(crate) fn over_batches(&self) -> bool {
        self.form.is_none_or(|form| self.coupled && form.off_diagonal.affine().is_none())
    }

    /// Whether some averages run over whole batches.
    pub(super) fn whole_batches(&self) -> bool {
        self.over_batches() && self.expansion.is_none()
    }

    /// As a polynomial in averages over the batch, where it is averaged so.
    pub(super) fn expansion(&self) -> Option<&Arc<Expansion<T>>> {
        self.expansion.as_ref()
    }

    /// As a polynomial in averages over the batch, if it is one.
    pub(super) fn polynomial(&self, n_neurons: usize, batch_size: usize) -> Option<BatchPolynomial<T>> {
        match self.form {
            Some(form) => {
                BatchPolynomial::of_covariances(&CovarianceForm { strength: self.strength, ..form }, n_neurons)
            }
            None => own_polynomial(self.loss, n_neurons, batch_size),
        }
    }

    /// λ; 0 for one neuron, and for a loss that has none.
    pub(crate) fn strength(&self) -> T {
        self.strength
    }

    /// The same loss with another λ; false for a loss that has none.
    pub(super) fn set_strength(&mut self, strength: T, n_neurons: usize) -> bool {
        if n_neurons > 1 && self.form.is_some() {
            self.strength = strength;
            self.coupled |= strength > T::zero();
        }
        self.form.is_some()
    }

    /// The diagonal entries of ∂F/∂C where C = 0: 0 for a loss without such a form, which is averaged over batches alone.
    pub(crate) fn diagonal(&self) -> T {
        self.diagonal_line().0
    }

    /// Offset and slope of the diagonal entries of ∂F/∂C.
    pub(super) fn diagonal_line(&self) -> (T, T) {
        self.form.and_then(|form| form.diagonal.affine()).unwrap_or((T::zero(), T::zero()))
    }

    /// Whether diagonal entries of ∂F/∂C move with C.
    pub(super) fn diagonal_moves(&self) -> bool {
        self.diagonal_line().1 != T::zero()
    }

    /// Whether the entry (i, j) of ∂F/∂C moves with C, so that a sample acts on its own gradient.
    pub(super) fn moves(&self, (i, j): (usize, usize)) -> bool {
        i != j || self.diagonal_moves()
    }

    /// Whether any entry of ∂F/∂C moves with C.
    pub(super) fn couples_samples(&self) -> bool {
        self.coupled || self.diagonal_moves()
    }

    /// The entries of ∂F/∂C off the diagonal over λ, as a function of C.
    pub(super) fn off_diagonal(&self) -> EntrySlope<'a, T> {
        let none = EntrySlope::Affine { offset: T::zero(), slope: T::zero() };
        self.form.map_or(none, |form| form.off_diagonal)
    }

    /// The entries of ∂F/∂C off the diagonal where C = 0; `None` for a loss without a form.
    pub(crate) fn coupling_at_zero(&self) -> Option<T> {
        self.form?;
        Some(if self.coupled { self.strength * self.off_diagonal().at(T::zero()) } else { T::zero() })
    }

    /// B ∂F/∂Y of outputs in the layout of [`Outputs`], 2mB numbers.
    pub(super) fn gradient_of(&self, outputs: &[T], n_neurons: usize, batch_size: usize, gradient: &mut [T]) {
        let outputs = Outputs::of_slice(outputs, n_neurons, batch_size);
        self.loss.gradient(outputs, OutputGradient::of_slice(gradient, batch_size));
    }

    /// Whether ∂F/∂C has entries that are averaged sample by sample.
    pub(super) fn has_form(&self) -> bool {
        self.form.is_some()
    }
}

/// The polynomial that a loss gives, if it is of so many neurons.
fn own_polynomial<T: Scalar>(loss: &dyn Loss<T>, n_neurons: usize, batch_size: usize) -> Option<BatchPolynomial<T>> {
    loss.polynomial(n_neurons, batch_size).filter(|polynomial| polynomial.n_neurons() == n_neurons)
}
