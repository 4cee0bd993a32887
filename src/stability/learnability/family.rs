//! Families of models over one number.
//!
//! Covers the members along a parameter of a model, and along a function that builds models. Not here: what is computed
//! along a family (see `critical`, and the continuation).

use crate::Scalar;
use crate::limit::{Compiled, LimitError, Parameter};
use crate::model::{LinearRegularizer, ModelError, Spec};
use crate::ode::ReducedOde;

/// Why a family has no member at some value.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "T: serde::Serialize", deserialize = "T: serde::Deserialize<'de>"))
)]
#[non_exhaustive]
pub enum FamilyError<T: Scalar = f64> {
    /// The model could not be built.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Its limit could not be set up, or the parameter does not take the value.
    #[error(transparent)]
    Limit(#[from] LimitError<T>),
}

/// A family of reduced ODEs over one number.
pub trait OdeFamily<T: Compiled = f64>: Sync {
    /// Calls `f` with the member at that value.
    ///
    /// # Errors
    /// Whatever keeps the member from existing.
    fn visit(&self, value: T, f: &mut dyn FnMut(&ReducedOde<'_, T>)) -> Result<(), FamilyError<T>>;
}

impl<T: Compiled, F: OdeFamily<T> + ?Sized> OdeFamily<T> for &F {
    fn visit(&self, value: T, f: &mut dyn FnMut(&ReducedOde<'_, T>)) -> Result<(), FamilyError<T>> {
        (**self).visit(value, f)
    }
}

/// The models that differ from one in a [`Parameter`].
#[derive(Debug)]
pub struct ParameterFamily<'a, T: Scalar = f64> {
    ode: ReducedOde<'a, T>,
    parameter: Parameter,
}

impl<'a, T: Compiled> ParameterFamily<'a, T> {
    /// The family through that ODE.
    #[must_use]
    pub fn new(ode: &ReducedOde<'a, T>, parameter: Parameter) -> Self {
        Self { ode: ode.for_parameters(&[parameter]), parameter }
    }
}

impl<T: Compiled> OdeFamily<T> for ParameterFamily<'_, T> {
    fn visit(&self, value: T, f: &mut dyn FnMut(&ReducedOde<'_, T>)) -> Result<(), FamilyError<T>> {
        f(&self.ode.with_parameter(self.parameter, value)?);
        Ok(())
    }
}

/// The models that a function of one number builds, each with the default tolerances of its limit.
///
/// ```
/// use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
/// use contrastive_dynamics::stability::{ModelFamily, OdeFamily};
/// // The activity of a sparse hidden variable is no `Parameter`; a function of models takes anything.
/// let family = ModelFamily(|activity| {
///     let noise = GaussianNoise::correlated(0.3, -0.5)?;
///     let hidden = Independent::new([Law::three_point(2.25, activity)?])?;
///     Model::builder().nonlinearity(Tanh).hidden(hidden).noise(noise).learning_rate(0.3).weight_decay(0.5).build()
/// });
/// let mut decay = 0.0;
/// family.visit(0.5, &mut |ode| decay = ode.decay())?;
/// assert!((decay - 0.15_f64).abs() < 1e-15);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ModelFamily<F>(
    /// The function.
    pub F,
);

impl<T: Compiled, M: Spec<Scalar = T, Regularizer: LinearRegularizer<T>>, F: Fn(T) -> Result<M, ModelError> + Sync>
    OdeFamily<T> for ModelFamily<F>
{
    fn visit(&self, value: T, f: &mut dyn FnMut(&ReducedOde<'_, T>)) -> Result<(), FamilyError<T>> {
        let model = (self.0)(value)?;
        f(&ReducedOde::new(&model)?);
        Ok(())
    }
}
