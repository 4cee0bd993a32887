//! Parts of a model as data (feature `serde`): what is read passes the checks of the constructors.
//!
//! Covers the parts with numbers, as structs of what their constructors check; parts without any, which are their names;
//! and whole models. Not here: parts that hold functions, which are no data, and laws whose type is forgotten
//! ([`Law::Shared`](crate::model::Law::Shared)), which are refused when they are written.

use serde::Deserialize;

use super::hidden::{
    Concatenation, CorrelatedSigns, Discrete, Gaussian, HiddenDistribution, Independent, Laplace, Law, Mixture,
    PointMasses, ThreePoint, TwoPoint, Uniform,
};
use super::loss::{CovarianceLoss, Loss, PseudoHuber, Quadratic, Quartic};
use super::nonlinearity::{Erf, Identity, LeakyRelu, Nonlinearity, Polynomial, Relu, Sigmoid, Softplus, Tanh};
use super::{
    AugmentationNoise, Constraint, ElasticNet, GradientPath, L1, L2, Model, ModelError, NoNoise, RademacherNoise,
    Regularizer, Settings, SmoothedL1, ViewCovariance,
};
use crate::Scalar;

/// A part without numbers is its name.
macro_rules! stored_as_name {
    ($($part:ident),*) => {$(
        impl serde::Serialize for $part {
            fn serialize<Z: serde::Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
                serializer.serialize_str(stringify!($part))
            }
        }

        impl<'de> serde::Deserialize<'de> for $part {
            fn deserialize<Z: serde::Deserializer<'de>>(deserializer: Z) -> Result<Self, Z::Error> {
                let name = <String as serde::Deserialize>::deserialize(deserializer)?;
                if name == stringify!($part) {
                    return Ok(Self);
                }
                let expected = concat!("the name ", stringify!($part));
                Err(serde::de::Error::invalid_value(serde::de::Unexpected::Str(&name), &expected))
            }
        }
    )*};
}

stored_as_name!(Identity, Tanh, Erf, Relu, Softplus, Sigmoid, NoNoise, L1, L2, Quadratic, Quartic);

/// The arguments of a constructor, and the parts that it makes of them.
macro_rules! stored_as_arguments {
    ($stored:ident $fields:tt => $($part:ident :: $new:ident),+) => {
        stored_as_arguments!(@arguments $stored $fields);
        $(stored_as_arguments!(@part $stored $fields $part $new);)+
    };
    (@arguments $stored:ident { $($field:ident: $type:ty),* }) => {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(in crate::model) struct $stored<T> {
            $($field: $type),*
        }
    };
    (@part $stored:ident { $($field:ident: $type:ty),* } $part:ident $new:ident) => {
        impl<T: Scalar> TryFrom<$stored<T>> for $part<T> {
            type Error = ModelError;

            fn try_from(stored: $stored<T>) -> Result<Self, ModelError> {
                let $stored { $($field),* } = stored;
                Self::$new($($field),*)
            }
        }
    };
}
stored_as_arguments!(
    StoredMoment { second_moment: T } => TwoPoint::with_second_moment, Gaussian::with_second_moment,
        Uniform::with_second_moment, Laplace::with_second_moment
);
stored_as_arguments!(StoredThreePoint { second_moment: T, activity: T } => ThreePoint::with_second_moment);
stored_as_arguments!(StoredSigns { second_moments: Vec<T>, loadings: Vec<T> } => CorrelatedSigns::with_loadings);
stored_as_arguments!(StoredPolynomial { coefficients: Vec<T> } => Polynomial::new);
stored_as_arguments!(StoredLeakyRelu { slope: T } => LeakyRelu::new);
stored_as_arguments!(StoredElasticNet { l1_ratio: T } => ElasticNet::new);
stored_as_arguments!(StoredWidth { width: T } => SmoothedL1::new, PseudoHuber::new);
stored_as_arguments!(StoredCovariance { v11: T, v12: T, v22: T } => ViewCovariance::new);

/// Probabilities that sum to 1 within rounding are kept to the last bit: they were normalised before they were stored.
fn kept<T: Scalar>(stored: Vec<T>, normalised: &mut Vec<T>) {
    let total: f64 = stored.iter().map(|w| w.as_f64()).sum();
    if (total - 1.0).abs() <= T::EPSILON.as_f64() * stored.len() as f64 {
        *normalised = stored;
    }
}

/// See [`PointMasses`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::model) struct StoredPointMasses<T> {
    values: Vec<T>,
    probabilities: Vec<T>,
}

impl<T: Scalar> TryFrom<StoredPointMasses<T>> for PointMasses<T> {
    type Error = ModelError;

    fn try_from(stored: StoredPointMasses<T>) -> Result<Self, ModelError> {
        let mut law = Self::new(stored.values, stored.probabilities.clone())?;
        kept(stored.probabilities, &mut law.probabilities);
        law.tabulate();
        Ok(law)
    }
}

/// See [`Discrete`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
pub(in crate::model) struct StoredDiscrete<T: Scalar> {
    /// p x n, row by row.
    #[serde(with = "crate::numerics::stored::matrix")]
    points: nalgebra::DMatrix<T>,
    probabilities: Vec<T>,
}

impl<T: Scalar> TryFrom<StoredDiscrete<T>> for Discrete<T> {
    type Error = ModelError;

    fn try_from(stored: StoredDiscrete<T>) -> Result<Self, ModelError> {
        let mut law = Self::new(stored.points, stored.probabilities.clone())?;
        kept(stored.probabilities, &mut law.probabilities);
        law.tabulate();
        Ok(law)
    }
}

/// See [`Mixture`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::model) struct StoredMixture<L, T> {
    weights: Vec<T>,
    laws: Vec<L>,
}

/// A law of this crate that can be the component of a mixture, of one variable or of several.
pub(in crate::model) trait Component {
    /// How many variables it has.
    fn variables(&self) -> usize;
}

macro_rules! one_variable {
    ($($law:ident),*) => {
        $(impl<T> Component for $law<T> {
            fn variables(&self) -> usize {
                1
            }
        })*
    };
}
one_variable!(TwoPoint, ThreePoint, Gaussian, Uniform, Laplace, PointMasses, Law);

impl<T: Scalar> Component for CorrelatedSigns<T> {
    fn variables(&self) -> usize {
        self.dimension()
    }
}

impl<T: Scalar> Component for Discrete<T> {
    fn variables(&self) -> usize {
        self.dimension()
    }
}

impl<L> Component for Independent<L> {
    fn variables(&self) -> usize {
        self.laws().len()
    }
}

impl<L: Component, T> Component for Mixture<L, T> {
    fn variables(&self) -> usize {
        self.laws.first().map_or(0, Component::variables)
    }
}

impl<A: Component, B: Component> Component for Concatenation<A, B> {
    fn variables(&self) -> usize {
        self.upper.variables() + self.lower.variables()
    }
}

impl<T: Scalar, L: Component> TryFrom<StoredMixture<L, T>> for Mixture<L, T> {
    type Error = ModelError;

    fn try_from(stored: StoredMixture<L, T>) -> Result<Self, ModelError> {
        let StoredMixture { weights, laws } = stored;
        if weights.len() != laws.len() {
            return Err(ModelError::Mixture { reason: "need as many weights as components" });
        }
        let mut mixture = Self::checked(weights.iter().copied().zip(laws))?;
        if mixture.laws.iter().any(|law| law.variables() != mixture.laws[0].variables()) {
            return Err(ModelError::Mixture { reason: "all components must have as many variables" });
        }
        kept(weights, &mut mixture.weights);
        Ok(mixture)
    }
}

/// See [`Independent`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::model) struct StoredIndependent<L> {
    laws: Vec<L>,
}

impl<L> TryFrom<StoredIndependent<L>> for Independent<L> {
    type Error = ModelError;

    fn try_from(stored: StoredIndependent<L>) -> Result<Self, ModelError> {
        Self::new(stored.laws)
    }
}

/// See [`RademacherNoise`]: the amplitude is the root of the variance.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[serde(bound(deserialize = "T: Scalar + Deserialize<'de>"))]
pub(in crate::model) struct StoredRademacher<T> {
    covariance: ViewCovariance<T>,
    agreement: T,
}

/// Roundings, in units of the last place, between the correlation of the covariance and that of the agreement.
const CORRELATION_ULPS: f64 = 8.0;

/// Why stored data is no such noise.
#[derive(Debug, thiserror::Error)]
pub(in crate::model) enum StoredRademacherError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("signs that agree with the probability {agreement} do not have the covariance given")]
    Agreement { agreement: f64 },
}

impl<T: Scalar> TryFrom<StoredRademacher<T>> for RademacherNoise<T> {
    type Error = StoredRademacherError;

    fn try_from(stored: StoredRademacher<T>) -> Result<Self, StoredRademacherError> {
        let StoredRademacher { covariance, agreement } = stored;
        let (variance, correlation) = (covariance.get(0, 0), agreement + agreement - T::one());
        let mut noise = Self::new(variance, correlation)?;
        let same = |x: T, y: T| (x - y).abs() <= T::lit(CORRELATION_ULPS) * T::EPSILON * variance;
        if covariance.get(1, 1) != variance || !same(covariance.get(0, 1), variance * correlation) {
            return Err(StoredRademacherError::Agreement { agreement: agreement.as_f64() });
        }
        (noise.covariance, noise.agreement) = (covariance, agreement);
        Ok(noise)
    }
}

/// See [`CovarianceLoss`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::model) struct StoredLoss<P, T> {
    penalty: P,
    strength: T,
}

impl<T: Scalar, P> TryFrom<StoredLoss<P, T>> for CovarianceLoss<P, T> {
    type Error = ModelError;

    fn try_from(stored: StoredLoss<P, T>) -> Result<Self, ModelError> {
        Self::new(stored.penalty, stored.strength)
    }
}

/// See [`Settings`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::model) struct StoredSettings<T> {
    n_features: usize,
    n_neurons: usize,
    batch_size: usize,
    learning_rate: T,
    momentum: T,
    weight_decay: T,
    background_std: T,
    constraint: Constraint,
    gradient_path: GradientPath,
}

impl<T: Scalar> TryFrom<StoredSettings<T>> for Settings<T> {
    type Error = ModelError;

    fn try_from(stored: StoredSettings<T>) -> Result<Self, ModelError> {
        let StoredSettings { n_features, n_neurons, batch_size, learning_rate, momentum, weight_decay, .. } = stored;
        let StoredSettings { background_std, constraint, gradient_path, .. } = stored;
        let settings = Self {
            n_features,
            n_neurons,
            batch_size,
            learning_rate,
            momentum,
            weight_decay,
            background_std,
            constraint,
            gradient_path,
        };
        settings.check()?;
        Ok(settings)
    }
}

/// A model that has not been checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[serde(bound(deserialize = "T: Scalar + Deserialize<'de>, S: Deserialize<'de>, H: Deserialize<'de>, \
                             A: Deserialize<'de>, G: Deserialize<'de>, L: Deserialize<'de>"))]
pub(in crate::model) struct StoredModel<T, S, H, A, G, L> {
    nonlinearity: S,
    hidden: H,
    noise: A,
    regularizer: G,
    loss: L,
    settings: Settings<T>,
}

/// Why stored data is no model.
#[derive(Debug, thiserror::Error)]
pub(in crate::model) enum StoredModelError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("the hidden law has {hidden} variables, the settings say {settings}")]
    Features { hidden: usize, settings: usize },
}

impl<T, S, H, A, G, L> TryFrom<StoredModel<T, S, H, A, G, L>> for Model<T, S, H, A, G, L>
where
    T: Scalar,
    S: Nonlinearity<T>,
    H: HiddenDistribution<T>,
    A: AugmentationNoise<T>,
    G: Regularizer<T>,
    L: Loss<T>,
{
    type Error = StoredModelError;

    fn try_from(stored: StoredModel<T, S, H, A, G, L>) -> Result<Self, StoredModelError> {
        let StoredModel { nonlinearity, hidden, noise, regularizer, loss, settings } = stored;
        if hidden.dimension() != settings.n_features {
            return Err(StoredModelError::Features { hidden: hidden.dimension(), settings: settings.n_features });
        }
        let model = Model::builder_in::<T>()
            .nonlinearity(nonlinearity)
            .hidden(hidden)
            .noise(noise)
            .regularizer(regularizer)
            .loss(loss)
            .learning_rate(settings.learning_rate)
            .momentum(settings.momentum)
            .weight_decay(settings.weight_decay)
            .background_std(settings.background_std)
            .n_neurons(settings.n_neurons)
            .batch_size(settings.batch_size)
            .constraint(settings.constraint)
            .gradient_path(settings.gradient_path);
        Ok(model.build()?)
    }
}
