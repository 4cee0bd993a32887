//! The error signals of one batch (theory §1): e_bi^v = σ'(h_bi^v) B ∂F/∂y_bi^v from the fields h, the same for every
//! simulator and every loss.
//!
//! Covers outputs, the loss's gradient and e, for one batch, and for a batch in every lane. Not here: how the fields are
//! drawn and what e does to the weights.

use crate::Scalar;
use crate::model::{CovarianceForm, GradientPath, Loss, Nonlinearity, OutputGradient, Outputs, Spec};
use crate::random::{Row, Rows, WIDTH};
use crate::sgd::batch::lane_rows::{add_product, mapped, product};

/// The form of that loss with another λ.
#[inline(always)]
fn with_strength<T: Scalar>(loss: &impl Loss<T>, strength: T) -> Option<CovarianceForm<'_, T>> {
    loss.covariance_form().map(|form| CovarianceForm { strength, ..form })
}

/// The fields of a batch and what follows from them. Of neuron i, view v of sample b is at (2i + v)·B + b, so that the
/// 2B numbers of one neuron are one slice. m and B are arguments, so that where they are constants loops unroll.
#[derive(Debug, Clone)]
pub(in crate::sgd) struct Batch<T> {
    fields: Vec<T>,
    values: Vec<T>,
    derivatives: Vec<T>,
    errors: Vec<T>,
}

impl<T: Scalar> Batch<T> {
    /// Room for B samples seen by m neurons.
    pub(in crate::sgd) fn new(neurons: usize, size: usize) -> Self {
        let zeros = vec![T::zero(); 2 * size * neurons];
        Self { fields: zeros.clone(), values: zeros.clone(), derivatives: zeros.clone(), errors: zeros }
    }

    /// h of neuron i, 2B numbers: view 1 of every sample, then view 2.
    #[inline(always)]
    pub(in crate::sgd) fn fields_mut(&mut self, i: usize, size: usize) -> &mut [T] {
        let length = 2 * size;
        &mut self.fields[i * length..(i + 1) * length]
    }

    /// e of neuron i, 2B numbers as in [`fields_mut`](Self::fields_mut).
    #[inline(always)]
    pub(in crate::sgd) fn errors(&self, i: usize, size: usize) -> &[T] {
        let length = 2 * size;
        &self.errors[i * length..(i + 1) * length]
    }

    /// Whether every e is finite.
    pub(in crate::sgd) fn is_finite(&self) -> bool {
        self.errors.iter().all(nalgebra::ComplexField::is_finite)
    }

    /// e_bi^v from the fields of the whole batch. λ is that of the model, if no other is in force.
    #[inline(always)]
    pub(in crate::sgd) fn error_signals<M: Spec<Scalar = T>>(
        &mut self,
        (model, strength): (&M, Option<T>),
        m: usize,
        size: usize,
    ) {
        model.nonlinearity().evaluate(&self.fields, &mut self.values, &mut self.derivatives);
        let outputs = Outputs::of_slice(&self.values, m, size);
        let gradient = OutputGradient::of_slice(&mut self.errors, size);
        match strength.and_then(|strength| with_strength(model.loss(), strength)) {
            Some(form) => form.gradient(outputs, gradient),
            None => model.loss().gradient(outputs, gradient),
        }
        for (e, &d) in self.errors.iter_mut().zip(&self.derivatives) {
            *e *= d;
        }
        if model.gradient_path() == GradientPath::StopGradient {
            for views in self.errors.chunks_exact_mut(2 * size) {
                views[size..].fill(T::zero());
            }
        }
    }
}

/// A batch, or a tile of one, in every lane. Of neuron i, view v of sample b is at 2(i·B' + b) + v, B' being the samples
/// that there is room for.
#[derive(Debug, Clone)]
pub(in crate::sgd) struct LaneErrors<T: Scalar> {
    size: usize,
    pub(in crate::sgd) fields: Rows<T>,
    values: Rows<T>,
    derivatives: Rows<T>,
    pub(in crate::sgd) errors: Rows<T>,
    /// Of one lane, for losses that know nothing of lanes: outputs and gradient, in the layout of [`Batch`].
    outputs: Vec<T>,
    gradient: Vec<T>,
}

impl<T: Scalar> LaneErrors<T> {
    /// Room for so many samples seen by m neurons.
    pub(in crate::sgd) fn new<M: Spec<Scalar = T>>(model: &M, size: usize) -> Self {
        let count = 2 * size * model.n_neurons();
        let rows = || Rows::new(T::zero(), count);
        let one = if model.loss().covariance_form().is_some() { 0 } else { count };
        Self {
            size,
            fields: rows(),
            values: rows(),
            derivatives: rows(),
            errors: rows(),
            outputs: vec![T::zero(); one],
            gradient: vec![T::zero(); one],
        }
    }

    /// e from the fields of as many samples as there is room for; for a loss that couples samples, that is the batch.
    #[inline(always)]
    pub(in crate::sgd) fn run<M: Spec<Scalar = T>>(&mut self, (model, strength): (&M, Option<T>)) {
        model.nonlinearity().evaluate(
            self.fields.as_flattened(),
            self.values.as_flattened_mut(),
            self.derivatives.as_flattened_mut(),
        );
        let m = model.n_neurons();
        if let Some(mut form) = model.loss().covariance_form() {
            form.strength = strength.unwrap_or(form.strength);
            self.covariance_gradient(&form, m);
        } else {
            self.gradient(model.loss(), m);
        }
        let both = model.gradient_path() == GradientPath::BothViews;
        for (pair, d) in self.errors.as_chunks_mut::<2>().0.iter_mut().zip(self.derivatives.as_chunks::<2>().0) {
            let [e1, e2] = *pair;
            product(&mut pair[0], &e1, &d[0]);
            if both {
                product(&mut pair[1], &e2, &d[1]);
            } else {
                pair[1] = [T::zero(); WIDTH];
            }
        }
    }

    /// Σ_j ∂F/∂C_ij y_j in every lane.
    #[inline(always)]
    fn covariance_gradient(&mut self, form: &CovarianceForm<'_, T>, m: usize) {
        let size = self.size;
        let coupled = form.couples_neurons(m);
        for i in 0..m {
            let diagonal = match form.diagonal.constant() {
                Some(slope) => [slope; WIDTH],
                None => self.slopes(form, i, i),
            };
            for b in 0..size {
                let at = 2 * (i * size + b);
                let (y1, y2) = (self.values[at], self.values[at + 1]);
                product(&mut self.errors[at], &diagonal, &y2);
                product(&mut self.errors[at + 1], &diagonal, &y1);
            }
        }
        if !coupled {
            return;
        }
        for i in 0..m {
            for j in (0..m).filter(|&j| j != i) {
                let slope = self.slopes(form, i, j);
                for b in 0..size {
                    let (own, other) = (2 * (i * size + b), 2 * (j * size + b) + 1);
                    add_product(&mut self.errors[own], &slope, &self.values[other]);
                    add_product(&mut self.errors[other], &slope, &self.values[own]);
                }
            }
        }
    }

    /// ∂F/∂C_ij in every lane.
    #[inline(always)]
    fn slopes(&self, form: &CovarianceForm<'_, T>, i: usize, j: usize) -> Row<T> {
        let size = self.size;
        let mut covariance = [T::zero(); WIDTH];
        for b in 0..size {
            add_product(&mut covariance, &self.values[2 * (i * size + b)], &self.values[2 * (j * size + b) + 1]);
        }
        mapped(&covariance, |c| form.slope(i, j, c / T::of_usize(size)))
    }

    /// The gradient of any loss, lane by lane.
    fn gradient(&mut self, loss: &impl Loss<T>, m: usize) {
        let size = self.size;
        let place = |k: usize| {
            let (of_neuron, v, b) = (k / (2 * size), k / size % 2, k % size);
            2 * (of_neuron * size + b) + v
        };
        for lane in 0..WIDTH {
            for (k, y) in self.outputs.iter_mut().enumerate() {
                *y = self.values[place(k)][lane];
            }
            let outputs = Outputs::of_slice(&self.outputs, m, size);
            loss.gradient(outputs, OutputGradient::of_slice(&mut self.gradient, size));
            for (k, &g) in self.gradient.iter().enumerate() {
                self.errors[place(k)][lane] = g;
            }
        }
    }
}
