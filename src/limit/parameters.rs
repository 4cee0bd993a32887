//! The same limit at another value of one parameter.

use super::error::LimitError;
use super::parameter::Parameter;
use super::problem::Limit;
use crate::Scalar;
use crate::model::{InForce, ViewCovariance};

impl<T: Scalar> Limit<'_, T> {
    /// The limit of the same model at another value of one parameter, as [`Parameter`] describes it: a hidden variable is
    /// scaled, a noise covariance keeps its shape. The batch size may be any real number from 1.
    ///
    /// ```
    /// use contrastive_dynamics::limit::Parameter;
    /// use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
    /// use contrastive_dynamics::limit::Limit;
    /// use contrastive_dynamics::state::OrderParameters;
    /// let model = |variance: f64| {
    ///     Model::builder()
    ///         .nonlinearity(Tanh)
    ///         .hidden(Independent::new([Law::two_point(2.25)?])?)
    ///         .noise(GaussianNoise::correlated(variance, -0.5)?)
    ///         .learning_rate(0.3)
    ///         .build()
    /// };
    /// let (noisy, noisier) = (model(0.3)?, model(0.4)?);
    /// let moved = Limit::new(&noisy)?.with_parameter(Parameter::FeatureNoiseVariance, 0.4)?;
    /// let moved = moved.with_parameter(Parameter::BackgroundNoiseVariance, 0.4)?;
    /// let state = OrderParameters::from_rows(1, 1, &[0.4], &[0.8])?;
    /// let (x, y) = (moved.coefficients(&state)?, Limit::new(&noisier)?.coefficients(&state)?);
    /// assert!((x.coefficients.a - y.coefficients.a).amax() < 1e-9);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`LimitError::Parameter`] for a parameter that this model does not have (see there);
    /// [`LimitError::ParameterValue`] for a value out of its range.
    pub fn with_parameter(&self, parameter: Parameter, value: T) -> Result<Self, LimitError<T>> {
        let (zero, one) = (T::zero(), T::one());
        let (valid, allowed) = match parameter {
            Parameter::LearningRate | Parameter::SecondMoment(_) => (value > zero, "positive and finite"),
            Parameter::BatchSize => (value >= one, "at least 1 and finite"),
            Parameter::FeatureNoiseCorrelation | Parameter::BackgroundNoiseCorrelation => {
                (value >= -one && value <= one, "from -1 to 1")
            }
            _ => (value >= zero, "at least 0 and finite"),
        };
        if !(valid && value.is_finite()) {
            return Err(LimitError::ParameterValue { parameter, value: value.as_f64(), allowed });
        }
        let undefined = LimitError::Parameter { parameter };
        let mut this = self.clone();
        match parameter {
            Parameter::LearningRate => this.settings.learning_rate = value,
            // One neuron has no penalty, but its strength is a number of the model all the same.
            Parameter::PenaltyStrength => {
                if !this.loss.set_strength(value, self.settings.n_neurons) {
                    return Err(undefined);
                }
            }
            // Weight decay is not in the averages.
            Parameter::WeightDecay => {}
            Parameter::BatchSize if self.loss.over_batches() => return Err(undefined),
            Parameter::BatchSize => {
                this.batch = value;
                this.batch_terms |= value > one;
            }
            Parameter::BackgroundStd => this.noise.background_std = value,
            Parameter::SecondMoment(l) => {
                if l >= self.settings.n_features {
                    return Err(undefined);
                }
                let factor = (value / self.hidden.second_moment[(l, l)]).sqrt();
                this.hidden.scales[l] *= factor;
                this.hidden.mean[l] *= factor;
                this.hidden.second_moment.row_mut(l).scale_mut(factor);
                this.hidden.second_moment.column_mut(l).scale_mut(factor);
            }
            Parameter::FeatureNoiseVariance => {
                this.noise.features = self.noise.features.with_variance(value).ok_or(undefined)?;
            }
            Parameter::BackgroundNoiseVariance => {
                this.noise.background = self.noise.background.with_variance(value).ok_or(undefined)?;
            }
            Parameter::FeatureNoiseCorrelation => {
                this.noise.features = self.noise.features.with_correlation(value).ok_or(undefined)?;
            }
            Parameter::BackgroundNoiseCorrelation => {
                this.noise.background = self.noise.background.with_correlation(value).ok_or(undefined)?;
            }
        }
        Ok(this)
    }

    /// Goes over to numbers in force at a time, of a model whose learning rate is divided by `rest` = 1 − β.
    pub(crate) fn move_to(&mut self, numbers: &InForce<T>, rest: T) {
        self.settings.learning_rate = numbers.learning_rate / rest;
        self.noise.features = numbers.feature_noise;
        self.noise.background = numbers.background_noise;
        if let Some(strength) = numbers.penalty_strength {
            self.loss.set_strength(strength, self.settings.n_neurons);
        }
    }

    /// The same limit with entries off the diagonal of ∂F/∂C, whatever their strength is now.
    pub(crate) fn coupled(mut self) -> Self {
        self.loss.couple(self.settings.n_neurons);
        self
    }

    /// The value that the parameter has, as [`with_parameter`](Self::with_parameter) takes it; `None` if this model does
    /// not have it. The weight decay is not the limit's: see
    /// [`ReducedOde::parameter`](crate::ode::ReducedOde::parameter).
    #[must_use]
    pub fn parameter(&self, parameter: Parameter) -> Option<T> {
        let half = T::lit(0.5);
        let variance = |k: ViewCovariance<T>| half * (k.get(0, 0) + k.get(1, 1));
        let correlation = |k: ViewCovariance<T>| {
            let spread = (k.get(0, 0) * k.get(1, 1)).sqrt();
            (spread > T::zero()).then(|| k.get(0, 1) / spread)
        };
        match parameter {
            Parameter::LearningRate => Some(self.settings.learning_rate),
            Parameter::WeightDecay => None,
            Parameter::PenaltyStrength => self.loss.has_form().then(|| self.loss.strength()),
            Parameter::BatchSize => (!self.loss.over_batches()).then_some(self.batch),
            Parameter::BackgroundStd => Some(self.noise.background_std),
            Parameter::SecondMoment(l) => (l < self.settings.n_features).then(|| self.hidden.second_moment[(l, l)]),
            Parameter::FeatureNoiseVariance => Some(variance(self.noise.features)),
            Parameter::BackgroundNoiseVariance => Some(variance(self.noise.background)),
            Parameter::FeatureNoiseCorrelation => correlation(self.noise.features),
            Parameter::BackgroundNoiseCorrelation => correlation(self.noise.background),
        }
    }
}
