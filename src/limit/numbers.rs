//! The numbers of a model that averages depend on, as constants or with derivatives.

use super::error::LimitError;
use super::parameter::Parameter;
use super::problem::Limit;
use crate::Scalar;
use crate::model::ViewCovariance;
use crate::numerics::dual::{Dual, Number};

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
            learning_rate: N::constant(limit.settings.learning_rate),
            penalty_strength: N::constant(limit.loss.strength()),
            batch: N::constant(limit.batch),
            views: views(limit.noise.views()),
            feature_noise: views(limit.noise.features),
            scales: vec![N::one(); limit.settings.n_features],
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
            Parameter::PenaltyStrength if !limit.loss.has_form() => return Err(undefined),
            Parameter::PenaltyStrength if limit.settings.n_neurons > 1 => set(&mut self.penalty_strength, one),
            // One neuron has no penalty; weight decay is not in the averages.
            Parameter::PenaltyStrength | Parameter::WeightDecay => {}
            Parameter::BatchSize if limit.loss.over_batches() => return Err(undefined),
            Parameter::BatchSize => set(&mut self.batch, one),
            Parameter::BackgroundStd => {
                self.views.0.iter_mut().for_each(|view| set(view, two * limit.noise.background_std));
            }
            Parameter::SecondMoment(l) => {
                let scale = self.scales.get_mut(l).ok_or(undefined)?;
                // c_l = √s ξ_l.
                set(scale, one / (two * limit.hidden.second_moment[(l, l)]));
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
                let spread = (k[0] * k[2]).sqrt();
                if !(spread > T::zero()) {
                    return Err(undefined);
                }
                set(&mut views.0[1], spread);
            }
        }
        Ok(())
    }

    fn noise(&mut self, limit: &Limit<'_, T>, parameter: Parameter) -> (&mut Views<Dual<T>>, [T; 3]) {
        let entries = |k: ViewCovariance<T>| [k.get(0, 0), k.get(0, 1), k.get(1, 1)];
        match parameter {
            Parameter::FeatureNoiseVariance | Parameter::FeatureNoiseCorrelation => {
                (&mut self.feature_noise, entries(limit.noise.features))
            }
            _ => (&mut self.views, entries(limit.noise.background)),
        }
    }
}
