//! The numbers of a model that averages depend on, each of which a derivative can be taken by.

use super::number::{Dual, Number};
use super::{Limit, LimitError};
use crate::Scalar;
use crate::model::ViewCovariance;

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
    pub(super) fn constants<T: Scalar>(limit: &Limit<'_, T>) -> Self
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

impl<T: Scalar> Numbers<Dual<T>> {
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
