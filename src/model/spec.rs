//! One trait for the whole specification of a model, so that code over models has one type parameter and one bound.
//!
//! Covers the sealed trait [`Spec`]. Not here: how a model is made (see [`super::builder`]).

use super::{
    AugmentationNoise, Constraint, GradientPath, HiddenDistribution, Loss, Model, Nonlinearity, Regularizer, Settings,
    ViewCovariance,
};
use crate::Scalar;

/// A complete model: its scalar and the types of its five parts, as associated types.
///
/// [`Model`] implements it once every part is there, and nothing else does: the trait is sealed. It is how simulators,
/// the limit and everything above them take a model, and how your functions do:
///
/// ```
/// use contrastive_dynamics::prelude::*;
///
/// /// The overlap with feature 0 at time t in the limit.
/// fn final_overlap<M>(model: &M, start: &OrderParameters, t: f64) -> Result<f64, Box<dyn std::error::Error>>
/// where
///     M: Spec<Scalar = f64, Regularizer: LinearRegularizer>,
/// {
///     let trajectory = ReducedOde::new(model)?.solver().solve(start, t)?;
///     Ok(trajectory.last().ok_or("no output")?.1.q()[(0, 0)])
/// }
///
/// let model = Model::builder()
///     .nonlinearity(Tanh)
///     .hidden(Independent::new([Law::two_point(2.25)?])?)
///     .noise(NoNoise)
///     .learning_rate(0.3)
///     .build()?;
/// let start = OrderParameters::from_rows(1, 1, &[0.4], &[0.8])?;
/// assert!(final_overlap(&model, &start, 1.0)? > 0.4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a complete model",
    label = "this needs a `Model` with all its parts",
    note = "make one with `Model::builder()`; pass it by one reference, `&model`"
)]
pub trait Spec: sealed::Sealed + Sync {
    /// The precision: `f64` or `f32`.
    type Scalar: Scalar;
    /// The nonlinearity σ.
    type Nonlinearity: Nonlinearity<Self::Scalar>;
    /// The law P_c of the hidden variables.
    type Hidden: HiddenDistribution<Self::Scalar>;
    /// The augmentation noise.
    type Noise: AugmentationNoise<Self::Scalar>;
    /// The regulariser φ.
    type Regularizer: Regularizer<Self::Scalar>;
    /// The loss F.
    type Loss: Loss<Self::Scalar>;

    /// The nonlinearity σ.
    fn nonlinearity(&self) -> &Self::Nonlinearity;

    /// The law of the hidden variables.
    fn hidden(&self) -> &Self::Hidden;

    /// The augmentation noise.
    fn noise(&self) -> &Self::Noise;

    /// The regulariser φ.
    fn regularizer(&self) -> &Self::Regularizer;

    /// The loss F.
    fn loss(&self) -> &Self::Loss;

    /// The numbers and switches.
    fn settings(&self) -> &Settings<Self::Scalar>;

    /// The number p of features.
    fn n_features(&self) -> usize {
        self.settings().n_features
    }

    /// The number m of neurons.
    fn n_neurons(&self) -> usize {
        self.settings().n_neurons
    }

    /// The batch size B.
    fn batch_size(&self) -> usize {
        self.settings().batch_size
    }

    /// The learning rate τ.
    fn learning_rate(&self) -> Self::Scalar {
        self.settings().learning_rate
    }

    /// The momentum β.
    fn momentum(&self) -> Self::Scalar {
        self.settings().momentum
    }

    /// The weight decay γ.
    fn weight_decay(&self) -> Self::Scalar {
        self.settings().weight_decay
    }

    /// The standard deviation η of the background.
    fn background_std(&self) -> Self::Scalar {
        self.settings().background_std
    }

    /// The constraint on the weights.
    fn constraint(&self) -> Constraint {
        self.settings().constraint
    }

    /// Which views the gradient flows through.
    fn gradient_path(&self) -> GradientPath {
        self.settings().gradient_path
    }

    /// D = η² 11ᵀ + K^b: covariance over the views of one background coordinate of x (theory §2).
    fn view_covariance(&self) -> ViewCovariance<Self::Scalar> {
        let std = self.background_std();
        self.noise().background_covariance().plus_common(std * std)
    }
}

mod sealed {
    pub trait Sealed {}
}

impl<T, S, H, A, G, L> sealed::Sealed for Model<T, S, H, A, G, L> {}

impl<T, S, H, A, G, L> Spec for Model<T, S, H, A, G, L>
where
    T: Scalar,
    S: Nonlinearity<T>,
    H: HiddenDistribution<T>,
    A: AugmentationNoise<T>,
    G: Regularizer<T>,
    L: Loss<T>,
{
    type Scalar = T;
    type Nonlinearity = S;
    type Hidden = H;
    type Noise = A;
    type Regularizer = G;
    type Loss = L;

    #[inline]
    fn nonlinearity(&self) -> &S {
        &self.nonlinearity
    }

    #[inline]
    fn hidden(&self) -> &H {
        &self.hidden
    }

    #[inline]
    fn noise(&self) -> &A {
        &self.noise
    }

    #[inline]
    fn regularizer(&self) -> &G {
        &self.regularizer
    }

    #[inline]
    fn loss(&self) -> &L {
        &self.loss
    }

    #[inline]
    fn settings(&self) -> &Settings<T> {
        &self.settings
    }
}
