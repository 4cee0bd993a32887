//! The scalar parameters of a model, and the directions in which rates are differentiated.

/// A scalar parameter of a model: a direction in which rates can be differentiated
/// (see [`ReducedOde::sensitivities`](crate::ode::ReducedOde::sensitivities)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Parameter {
    /// The learning rate τ; of a model with momentum β the effective one, τ/(1 − β).
    LearningRate,
    /// The weight decay γ.
    WeightDecay,
    /// The penalty strength λ.
    PenaltyStrength,
    /// The batch size B, as a real number: for functions of covariances that are quadratic the limit depends on it smoothly. Of other
    /// losses it is not a parameter.
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

/// A direction of differentiation.
#[derive(Debug, Clone, Copy)]
pub enum Direction {
    /// Entry (l, i) of Q.
    Overlap(usize, usize),
    /// Entry (i, j) of R, and with it (j, i).
    Covariance(usize, usize),
    /// A parameter.
    Parameter(Parameter),
}

impl Direction {
    /// The entries of a packed state, in order.
    pub(crate) fn of_state(features: usize, neurons: usize) -> impl Iterator<Item = Self> {
        let overlaps = (0..features).flat_map(move |l| (0..neurons).map(move |i| Self::Overlap(l, i)));
        let covariances = (0..neurons).flat_map(move |i| (i..neurons).map(move |j| Self::Covariance(i, j)));
        overlaps.chain(covariances)
    }
}
