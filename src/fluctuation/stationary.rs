//! Fluctuations at a stable fixed point: an Ornstein-Uhlenbeck process.

use nalgebra::DMatrix;

use crate::Scalar;
use crate::fluctuation::band::{Prediction, derivatives};
use crate::fluctuation::{FluctuationError, Fluctuations};
use crate::limit::Compiled;
use crate::numerics::lyapunov::stationary_covariance;
use crate::stability::free_entries;
use crate::state::OrderParameters;

/// What counts as rest: rates below that many learning rates.
const REST: f64 = 1e-6;

/// Fluctuations at a stable fixed point, an Ornstein-Uhlenbeck process; made by [`Fluctuations::stationary`]. Theory §7.
#[derive(Debug, Clone, PartialEq)]
pub struct Stationary<T: Scalar = f64> {
    state: OrderParameters<T>,
    covariance: DMatrix<T>,
    jacobian: DMatrix<T>,
    free: Vec<usize>,
}

impl<T: Compiled> Fluctuations<'_, '_, T> {
    /// The covariance at a stable fixed point: the Σ with JΣ + ΣJᵀ + Γ = 0.
    ///
    /// ```
    /// use contrastive_dynamics::fluctuation::Fluctuations;
    /// use contrastive_dynamics::prelude::*;
    /// use contrastive_dynamics::stability::steady_state;
    /// let model = Model::builder()
    ///     .nonlinearity(Tanh)
    ///     .hidden(Independent::new([Law::two_point(2.25)?])?)
    ///     .noise(GaussianNoise::correlated(0.3, -0.5)?)
    ///     .learning_rate(0.3)
    ///     .weight_decay(0.5)
    ///     .build()?;
    /// let ode = ReducedOde::new(&model)?;
    /// let start = OrderParameters::from_rows(1, 1, &[0.4], &[0.8])?;
    /// let steady = steady_state(&ode, &start, 1e3)?;
    /// let stationary = Fluctuations::new(&ode).stationary(&steady.state)?;
    /// let later = stationary.autocovariance(1.0);
    /// assert!(later[(0, 0)] < stationary.covariance()[(0, 0)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`FluctuationError::NotFixed`] where the state moves, [`FluctuationError::NotStable`] at an unstable fixed point, and
    /// [`FluctuationError::Limit`].
    pub fn stationary(&self, state: &OrderParameters<T>) -> Result<Stationary<T>, FluctuationError<T>> {
        let answer = self.ode.sensitivities(state, &[])?;
        let rate = answer.rates.to_packed().amax();
        if !(rate <= T::lit(REST) * self.ode.limit().learning_rate()) {
            return Err(FluctuationError::NotFixed { rate: rate.as_f64() });
        }
        let noise = self.noise(state)?.covariance;
        let free = free_entries(state.n_features(), state.n_neurons(), self.ode.constraint());
        let part = |x: &DMatrix<T>| DMatrix::from_fn(free.len(), free.len(), |i, j| x[(free[i], free[j])]);
        let jacobian = part(&answer.by_state);
        let own = stationary_covariance(&jacobian, &part(&noise)).ok_or(FluctuationError::NotStable)?;
        let covariance = spread(&own, &free, state.packed_len());
        Ok(Stationary { state: state.clone(), covariance, jacobian, free })
    }
}

/// A matrix of the free entries among all.
fn spread<T: Scalar>(own: &DMatrix<T>, free: &[usize], n: usize) -> DMatrix<T> {
    let mut all = DMatrix::zeros(n, n);
    for (i, &x) in free.iter().enumerate() {
        for (j, &y) in free.iter().enumerate() {
            all[(x, y)] = own[(i, j)];
        }
    }
    all
}

impl<T: Scalar> Stationary<T> {
    /// The fixed point.
    #[must_use]
    pub fn state(&self) -> &OrderParameters<T> {
        &self.state
    }

    /// Σ: N times the covariance of the packed state, n x n.
    #[must_use]
    pub fn covariance(&self) -> &DMatrix<T> {
        &self.covariance
    }

    /// N times Cov[s(t + lag), s(t)] = exp(J lag) Σ, n x n, and for a negative lag its transpose at the other; zero for an infinite one, and NaN
    /// for NaN.
    #[must_use]
    pub fn autocovariance(&self, lag: T) -> DMatrix<T> {
        let n = self.covariance.nrows();
        if lag < T::zero() {
            return self.autocovariance(-lag).transpose();
        }
        let size = self.jacobian.amax() * lag;
        if !size.is_finite() {
            // What is stable has forgotten everything.
            let value = if lag.partial_cmp(&lag).is_none() { T::lit(f64::NAN) } else { T::zero() };
            return DMatrix::from_element(n, n, value);
        }
        let own =
            DMatrix::from_fn(self.free.len(), self.free.len(), |i, j| self.covariance[(self.free[i], self.free[j])]);
        spread(&(self.propagator(lag, size) * own), &self.free, n)
    }

    /// exp(J lag), by squaring that of a lag that is so much shorter that its series converges at once.
    fn propagator(&self, lag: T, size: T) -> DMatrix<T> {
        let (mut short, mut squarings, mut size) = (lag, 0, size);
        while size > T::one() {
            (short, size) = (short * T::lit(0.5), size * T::lit(0.5));
            squarings += 1;
        }
        let mut power = (&self.jacobian * short).exp();
        for _ in 0..squarings {
            power = &power * &power;
        }
        power
    }

    /// Value and standard deviation of a smooth function of the state over runs at dimension N: the mean is the value at the fixed point, and the
    /// time infinite.
    ///
    /// # Errors
    /// [`FluctuationError::Dimension`] for N = 0, and [`FluctuationError::Functional`] where the function is not finite.
    pub fn prediction(
        &self,
        dimension: usize,
        function: impl Fn(&OrderParameters<T>) -> T,
    ) -> Result<Prediction<T>, FluctuationError<T>> {
        if dimension == 0 {
            return Err(FluctuationError::Dimension { dimension });
        }
        let time = T::lit(f64::INFINITY);
        let error = FluctuationError::Functional { time: time.as_f64() };
        let found = derivatives(&self.state, &self.covariance, &function).ok_or(error)?;
        let standard_deviation = (found.variance / T::of_usize(dimension)).sqrt();
        Ok(Prediction { time, limit: found.value, mean: found.value, standard_deviation })
    }
}
