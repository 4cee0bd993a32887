//! The numbers of a model that averages depend on, each of which a derivative can be taken by.

use crate::limit::Compiled;
use crate::limit::{Limit, LimitError};
use crate::model::ViewCovariance;
use crate::numerics::dual::{Dual, Number};

/// A scalar parameter of a model: a direction in which rates can be differentiated
/// (see [`ReducedOde::sensitivities`](crate::ReducedOde::sensitivities)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Parameter {
    /// The learning rate τ.
    LearningRate,
    /// The weight decay γ.
    WeightDecay,
    /// The penalty strength λ.
    PenaltyStrength,
    /// The batch size B, as a real number: for the quadratic penalty the limit depends on it smoothly.
    BatchSize,
    /// The standard deviation η of the background.
    BackgroundStd,
    /// The second moment E\[c_l²\] of hidden variable l, counted from 0; the shape of its law stays, c_l is scaled.
    SecondMoment(usize),
    /// The variance σ² of the noise along the features: K^f = σ² k, with k of mean diagonal 1 fixed.
    FeatureNoiseVariance,
    /// The correlation ρ between the views of the noise along the features, K^f_12 = ρ √(K^f_11 K^f_22).
    FeatureNoiseCorrelation,
    /// The variance σ² of the noise in the background: K^b = σ² k, with k of mean diagonal 1 fixed.
    BackgroundNoiseVariance,
    /// The correlation ρ between the views of the noise in the background, K^b_12 = ρ √(K^b_11 K^b_22).
    BackgroundNoiseCorrelation,
}

impl<T: Compiled> Limit<'_, T> {
    /// The limit of the same model at another value of one parameter, as [`Parameter`] describes it: a hidden variable is
    /// scaled, a noise covariance keeps its shape. The batch size may be any real number from 1.
    ///
    /// ```
    /// use contrastive_dynamics::limit::Parameter;
    /// use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
    /// use contrastive_dynamics::{Limit, OrderParameters};
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
            Parameter::LearningRate => this.learning_rate = value,
            Parameter::PenaltyStrength if self.neurons > 1 => {
                this.penalty_strength = value;
                this.penalised |= value > zero;
                this.whole_batches |= value > zero && !self.penalty.is_quadratic();
            }
            // One neuron has no penalty; weight decay is not in the averages.
            Parameter::PenaltyStrength | Parameter::WeightDecay => {}
            Parameter::BatchSize if self.whole_batches => return Err(undefined),
            Parameter::BatchSize => {
                this.batch = value;
                this.batch_terms |= value > one;
            }
            Parameter::BackgroundStd => this.background_std = value,
            Parameter::SecondMoment(l) => {
                if l >= self.features {
                    return Err(undefined);
                }
                let factor = (value / self.hidden_second_moment[(l, l)]).sqrt();
                this.hidden_scales[l] *= factor;
                this.hidden_mean[l] *= factor;
                this.hidden_second_moment.row_mut(l).scale_mut(factor);
                this.hidden_second_moment.column_mut(l).scale_mut(factor);
            }
            Parameter::FeatureNoiseVariance => {
                this.feature_noise = self.feature_noise.with_variance(value).ok_or(undefined)?;
            }
            Parameter::BackgroundNoiseVariance => {
                this.background_noise = self.background_noise.with_variance(value).ok_or(undefined)?;
            }
            Parameter::FeatureNoiseCorrelation => this.feature_noise = self.feature_noise.with_correlation(value),
            Parameter::BackgroundNoiseCorrelation => {
                this.background_noise = self.background_noise.with_correlation(value);
            }
        }
        this.views = this.background_noise.plus_shared(this.background_std * this.background_std);
        Ok(this)
    }

    /// The value that the parameter has, as [`with_parameter`](Self::with_parameter) takes it; `None` if this model does
    /// not have it. The weight decay is not the limit's: see
    /// [`ReducedOde::parameter`](crate::ReducedOde::parameter).
    #[must_use]
    pub fn parameter(&self, parameter: Parameter) -> Option<T> {
        let half = T::lit(0.5);
        let variance = |k: ViewCovariance<T>| half * (k.get(0, 0) + k.get(1, 1));
        let correlation = |k: ViewCovariance<T>| {
            let spread = (k.get(0, 0) * k.get(1, 1)).sqrt();
            (spread > T::zero()).then(|| k.get(0, 1) / spread)
        };
        match parameter {
            Parameter::LearningRate => Some(self.learning_rate),
            Parameter::WeightDecay => None,
            Parameter::PenaltyStrength => Some(self.penalty_strength),
            Parameter::BatchSize => Some(self.batch),
            Parameter::BackgroundStd => Some(self.background_std),
            Parameter::SecondMoment(l) => (l < self.features).then(|| self.hidden_second_moment[(l, l)]),
            Parameter::FeatureNoiseVariance => Some(variance(self.feature_noise)),
            Parameter::BackgroundNoiseVariance => Some(variance(self.background_noise)),
            Parameter::FeatureNoiseCorrelation => correlation(self.feature_noise),
            Parameter::BackgroundNoiseCorrelation => correlation(self.background_noise),
        }
    }
}

/// A covariance over views, [[v11, v12], [v12, v22]].
#[derive(Debug, Clone, Copy)]
pub(super) struct Views<N>([N; 3]);

impl<N: Copy> Views<N> {
    #[inline(always)]
    pub(super) fn get(&self, v: usize, w: usize) -> N {
        self.0[v + w]
    }
}

/// The parameters as numbers.
#[derive(Debug, Clone)]
pub(super) struct Numbers<N> {
    pub(super) learning_rate: N,
    /// λ, or 0 for one neuron.
    pub(super) penalty_strength: N,
    pub(super) batch: N,
    /// D = η² 11ᵀ + K^b.
    pub(super) views: Views<N>,
    /// K^f.
    pub(super) feature_noise: Views<N>,
    /// Factors of the hidden variables: 1, with a derivative where their second moment is varied. Length p.
    pub(super) scales: Vec<N>,
}

impl<N> Numbers<N> {
    /// The parameters, all constant.
    pub(super) fn constants<T: Compiled>(limit: &Limit<'_, T>) -> Self
    where
        N: Number<T>,
    {
        let views = |k: ViewCovariance<T>| Views([k.get(0, 0), k.get(0, 1), k.get(1, 1)].map(N::constant));
        Self {
            learning_rate: N::constant(limit.learning_rate),
            penalty_strength: N::constant(limit.penalty_strength),
            batch: N::constant(limit.batch),
            views: views(limit.views),
            feature_noise: views(limit.feature_noise),
            scales: vec![N::one(); limit.features],
        }
    }
}

impl<T: Compiled> Numbers<Dual<T>> {
    /// Adds the direction of `parameter`.
    pub(super) fn vary(
        &mut self,
        limit: &Limit<'_, T>,
        parameter: Parameter,
        direction: usize,
    ) -> Result<(), LimitError<T>> {
        let two = T::lit(2.0);
        let undefined = LimitError::Parameter { parameter };
        let set = |x: &mut Dual<T>, slope: T| x.slopes.0[direction] = slope;
        let one = T::one();
        match parameter {
            Parameter::LearningRate => set(&mut self.learning_rate, one),
            Parameter::PenaltyStrength if limit.neurons > 1 => set(&mut self.penalty_strength, one),
            // One neuron has no penalty; weight decay is not in the averages.
            Parameter::PenaltyStrength | Parameter::WeightDecay => {}
            Parameter::BatchSize if limit.whole_batches => return Err(undefined),
            Parameter::BatchSize => set(&mut self.batch, one),
            Parameter::BackgroundStd => {
                self.views.0.iter_mut().for_each(|view| set(view, two * limit.background_std));
            }
            Parameter::SecondMoment(l) => {
                let scale = self.scales.get_mut(l).ok_or(undefined)?;
                // c_l = √s ξ_l.
                set(scale, one / (two * limit.hidden_second_moment[(l, l)]));
            }
            Parameter::FeatureNoiseVariance | Parameter::BackgroundNoiseVariance => {
                let (views, k) = self.noise(limit, parameter);
                let variance = T::lit(0.5) * (k[0] + k[2]);
                if !(variance > T::zero()) {
                    return Err(undefined);
                }
                views.0.iter_mut().zip(k).for_each(|(view, k)| set(view, k / variance));
            }
            Parameter::FeatureNoiseCorrelation | Parameter::BackgroundNoiseCorrelation => {
                let (views, k) = self.noise(limit, parameter);
                set(&mut views.0[1], (k[0] * k[2]).sqrt());
            }
        }
        Ok(())
    }

    fn noise(&mut self, limit: &Limit<'_, T>, parameter: Parameter) -> (&mut Views<Dual<T>>, [T; 3]) {
        let entries = |k: ViewCovariance<T>| [k.get(0, 0), k.get(0, 1), k.get(1, 1)];
        match parameter {
            Parameter::FeatureNoiseVariance | Parameter::FeatureNoiseCorrelation => {
                (&mut self.feature_noise, entries(limit.feature_noise))
            }
            _ => (&mut self.views, entries(limit.background_noise)),
        }
    }
}
