//! One step in time of particles: the traits [`StochasticIntegrator`] and [`MeanField`], Euler-Maruyama and Heun.
//!
//! Covers how the answers of a step are combined. Not here: the rows themselves and their noise (see `rows` and `noise`), the
//! exponential scheme (see `exponential`).

use nalgebra::DMatrix;

use crate::Scalar;
use crate::integrate::IntegratorError;
use crate::limit::Compiled;

/// One of the three sets of weights that a step knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Before the step.
    Start,
    /// A first answer; of an adaptive scheme, the one of an order less from which the error is estimated.
    Predictor,
    /// After the step.
    End,
}

/// What moves a row at one law of the rows: the drift αᵀu + βᵀw − κψ(w) and the noise's covariance Λ per unit of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Flow<T: Scalar = f64> {
    /// α, p x m.
    pub alpha: DMatrix<T>,
    /// β, m x m: that of [`Drift`](crate::limit::Drift), the linear part of the decay, and the pull back to the sphere.
    pub beta: DMatrix<T>,
    /// Λ, m x m.
    pub lambda: DMatrix<T>,
    /// κ = τγ, or 0 if φ is linear; ψ(w) = φ(w) − s w is what its linear part leaves.
    pub decay: T,
}

/// New weights, row by row, as a sum over what is there: Fᵀu + Sᵀw + Pᵀw* + Bᵀψ(w) + B*ᵀψ(w*) + noise, with w before the
/// step and w* at the predictor.
#[derive(Debug, Clone, PartialEq)]
pub struct Change<T: Scalar = f64> {
    /// F, p x m.
    pub features: DMatrix<T>,
    /// S, m x m.
    pub start: DMatrix<T>,
    /// P, m x m, if w* enters.
    pub predictor: Option<DMatrix<T>>,
    /// B, m x m, if ψ(w) enters.
    pub bent_start: Option<DMatrix<T>>,
    /// B*, m x m, if ψ(w*) enters.
    pub bent_predictor: Option<DMatrix<T>>,
    /// The covariance of the noise that is added, m x m. All changes of one step use the same normals.
    pub covariance: DMatrix<T>,
}

/// Rows that move in the field of their own law, as a scheme sees them.
pub trait MeanField<T: Compiled = f64> {
    /// What can go wrong.
    type Error;

    /// What moves the rows at the law of that stage.
    ///
    /// # Errors
    /// Whatever keeps the coefficients from being computed there.
    fn flow(&mut self, stage: Stage) -> Result<Flow<T>, Self::Error>;

    /// Writes the weights of a stage other than [`Stage::Start`].
    ///
    /// # Errors
    /// If they are not finite.
    fn apply(&mut self, to: Stage, change: &Change<T>) -> Result<(), Self::Error>;
}

/// How large steps are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StepSize<T = f64> {
    /// All of that size, but for one that ends at an output time.
    Fixed(T),
    /// As large as the error allows: the predictor and the answer may differ, in each entry of (Q, R), by
    /// `absolute + relative·|entry|` per step.
    Adaptive {
        /// Tolerance per step, in units of the entry.
        relative: T,
        /// Tolerance per step.
        absolute: T,
    },
}

/// A one-step scheme for rows in the field of their own law.
pub trait StochasticIntegrator<T: Compiled = f64> {
    /// The weak order: errors of averages over the rows fall as (step size)^order for smooth φ.
    fn order(&self) -> usize;

    /// How large steps are. Adaptive steps need an answer of an order less in [`Stage::Predictor`].
    fn step_size(&self) -> StepSize<T>;

    /// Whether it writes an answer of an order less to [`Stage::Predictor`] in every step, from which errors are estimated. The
    /// default says so of adaptive steps, which need it.
    fn predicts(&self) -> bool {
        matches!(self.step_size(), StepSize::Adaptive { .. })
    }

    /// Writes [`Stage::End`], a step of that size after [`Stage::Start`].
    ///
    /// # Errors
    /// Those of the system.
    fn step<S: MeanField<T>>(&self, system: &mut S, size: T) -> Result<(), S::Error>;
}

impl<T: Compiled, I: StochasticIntegrator<T>> StochasticIntegrator<T> for &I {
    fn order(&self) -> usize {
        (**self).order()
    }
    fn step_size(&self) -> StepSize<T> {
        (**self).step_size()
    }
    fn predicts(&self) -> bool {
        (**self).predicts()
    }
    fn step<S: MeanField<T>>(&self, system: &mut S, size: T) -> Result<(), S::Error> {
        (**self).step(system, size)
    }
}

/// A size or tolerance must be positive and finite.
pub(super) fn checked<T: Compiled>(name: &'static str, value: T) -> Result<T, IntegratorError> {
    if value > T::zero() && value.is_finite() {
        Ok(value)
    } else {
        Err(IntegratorError { name, value: value.as_f64() })
    }
}

/// Adaptive steps with those tolerances.
pub(super) fn adaptive<T: Compiled>(relative: T, absolute: T) -> Result<StepSize<T>, IntegratorError> {
    Ok(StepSize::Adaptive {
        relative: checked("relative tolerance", relative)?,
        absolute: checked("absolute tolerance", absolute)?,
    })
}

impl<T: Compiled> Flow<T> {
    /// factor · the identity, where ψ enters.
    pub(super) fn bent(&self, factor: T) -> Option<DMatrix<T>> {
        let m = self.beta.nrows();
        (self.decay != T::zero()).then(|| DMatrix::from_diagonal_element(m, m, -self.decay * factor))
    }

    /// w + (αᵀu + βᵀw − κψ(w)) dt + Λ^{1/2} √dt ξ.
    pub(super) fn euler(&self, size: T) -> Change<T> {
        let m = self.beta.nrows();
        Change {
            features: &self.alpha * size,
            start: DMatrix::identity(m, m) + &self.beta * size,
            predictor: None,
            bent_start: self.bent(size),
            bent_predictor: None,
            covariance: &self.lambda * size,
        }
    }
}

/// Euler and Maruyama: w + (αᵀu + βᵀw − κψ(w)) dt + Λ^{1/2} √dt ξ. Weak order 1; one evaluation of the coefficients per
/// step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EulerMaruyama<T = f64> {
    size: T,
}

impl<T: Compiled> EulerMaruyama<T> {
    /// The scheme with steps of that size.
    ///
    /// # Errors
    /// [`IntegratorError`] unless it is positive and finite.
    pub fn new(size: T) -> Result<Self, IntegratorError> {
        Ok(Self { size: checked("step size", size)? })
    }
}

impl<T: Compiled> StochasticIntegrator<T> for EulerMaruyama<T> {
    fn order(&self) -> usize {
        1
    }

    fn step_size(&self) -> StepSize<T> {
        StepSize::Fixed(self.size)
    }

    fn step<S: MeanField<T>>(&self, system: &mut S, size: T) -> Result<(), S::Error> {
        let flow = system.flow(Stage::Start)?;
        system.apply(Stage::End, &flow.euler(size))
    }
}

/// Heun's scheme for additive noise: an Euler-Maruyama step to w*, then a step with the mean of the drifts at (w, law) and
/// (w*, law*), and with the mean of the two Λ, from the same normals. Weak order 2; two evaluations of the coefficients
/// per step, and an error estimate for nothing.
///
/// Source: P. E. Kloeden and E. Platen, *Numerical Solution of Stochastic Differential Equations* (1992),
/// [doi:10.1007/978-3-662-12616-5](https://doi.org/10.1007/978-3-662-12616-5), section 15.1: the explicit scheme (1.1)
/// where the noise is additive. That Λ moves with the law changes its covariance by O(dt³) per step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heun<T = f64> {
    size: StepSize<T>,
}

impl<T: Compiled> Heun<T> {
    /// The scheme with steps of that size.
    ///
    /// # Errors
    /// [`IntegratorError`] unless it is positive and finite.
    pub fn new(size: T) -> Result<Self, IntegratorError> {
        Ok(Self { size: StepSize::Fixed(checked("step size", size)?) })
    }

    /// The scheme with steps as large as the tolerances allow; see [`StepSize::Adaptive`].
    ///
    /// # Errors
    /// [`IntegratorError`] unless both are positive and finite.
    pub fn adaptive(relative: T, absolute: T) -> Result<Self, IntegratorError> {
        Ok(Self { size: adaptive(relative, absolute)? })
    }
}

/// Adaptive, with tolerances of 10⁻⁴.
impl<T: Compiled> Default for Heun<T> {
    fn default() -> Self {
        Self { size: StepSize::Adaptive { relative: T::lit(1e-4), absolute: T::lit(1e-4) } }
    }
}

impl<T: Compiled> StochasticIntegrator<T> for Heun<T> {
    fn order(&self) -> usize {
        2
    }

    fn step_size(&self) -> StepSize<T> {
        self.size
    }

    fn predicts(&self) -> bool {
        true
    }

    fn step<S: MeanField<T>>(&self, system: &mut S, size: T) -> Result<(), S::Error> {
        let here = system.flow(Stage::Start)?;
        system.apply(Stage::Predictor, &here.euler(size))?;
        let ahead = system.flow(Stage::Predictor)?;
        let (half, m) = (T::lit(0.5) * size, here.beta.nrows());
        let change = Change {
            features: (&here.alpha + &ahead.alpha) * half,
            start: DMatrix::identity(m, m) + &here.beta * half,
            bent_start: here.bent(half),
            bent_predictor: ahead.bent(half),
            covariance: (&here.lambda + &ahead.lambda) * half,
            predictor: Some(ahead.beta * half),
        };
        system.apply(Stage::End, &change)
    }
}
