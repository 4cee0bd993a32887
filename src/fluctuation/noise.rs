//! Γ, the covariance of what one step adds to the state, and what is predicted from it.

use nalgebra::DMatrix;

use crate::Scalar;
use crate::fluctuation::FluctuationSolver;
use crate::limit::{Compiled, IncrementAverages, IncrementRule, Increments, LimitError};
use crate::model::Constraint;
use crate::ode::ReducedOde;
use crate::stability::pairs;
use crate::state::{OrderParameters, packed_len};

/// The fluctuations of runs at finite N around the reduced ODE.
///
/// Γ is exact in the batch size where the loss is a polynomial in averages over the batch of few terms, σ has no kink and there are at most
/// three neurons (with three and a penalty for batches of up to 3 samples); else, and where that would take more nodes than the budget
/// has, it is averaged over whole batches, to two hundredths. The covariance is that of the packed state (see
/// [`OrderParameters::to_packed`]) times N. Theory §7.
///
/// ```
/// use contrastive_dynamics::fluctuation::Fluctuations;
/// use contrastive_dynamics::prelude::*;
/// let model = Model::builder()
///     .nonlinearity(Identity)
///     .hidden(Independent::new([Law::two_point(2.0)?])?)
///     .noise(NoNoise)
///     .learning_rate(0.1)
///     .constraint(Constraint::Sphere)
///     .build()?;
/// let ode = ReducedOde::new(&model)?;
/// let state = OrderParameters::from_rows(1, 1, &[0.0], &[1.0])?;
/// let noise = Fluctuations::new(&ode).noise(&state)?;
/// // A step adds 2τ h c to Q, with E h² = 1 and E c² = 2.
/// assert!((noise.covariance[(0, 0)] - 4.0 * 0.01 * 2.0).abs() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[doc(alias = "error bars")]
pub struct Fluctuations<'o, 'a, T: Scalar = f64> {
    pub(super) ode: &'o ReducedOde<'a, T>,
    pub(super) averages: IncrementAverages<'a, T>,
}

/// Γ at a state.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Noise<T: Scalar = f64> {
    /// Γ: N times the covariance of what one step adds to the packed state, per unit of time; n x n with n = pm + m(m + 1)/2.
    pub covariance: DMatrix<T>,
    /// The estimated largest absolute error of an entry, from before a constraint projects them.
    pub error: T,
}

/// Γ by a frozen choice of nodes; made by [`Fluctuations::noise_rule`].
#[derive(Debug, Clone)]
pub struct NoiseRule<'f, 'o, 'a, T: Scalar = f64> {
    fluctuations: &'f Fluctuations<'o, 'a, T>,
    rule: IncrementRule<T>,
}

impl<T: Compiled> NoiseRule<'_, '_, '_, T> {
    /// Γ at a state; see [`Noise::covariance`].
    ///
    /// # Errors
    /// [`LimitError::Shape`] if the state does not fit the model, [`LimitError::ZeroNeuron`] for a neuron without weights on the sphere.
    pub fn covariance(&mut self, state: &OrderParameters<T>) -> Result<DMatrix<T>, LimitError<T>> {
        let limit = self.fluctuations.ode.limit();
        limit.check_shape(state)?;
        self.fluctuations.ode.check_neurons(state)?;
        T::run_increments(&mut self.rule, limit, state.q(), state.r());
        Ok(projected(&self.fluctuations.map(state), &self.rule.increments().covariance))
    }
}

impl<'o, 'a, T: Compiled> Fluctuations<'o, 'a, T> {
    /// Those of that ODE.
    #[must_use]
    pub fn new(ode: &'o ReducedOde<'a, T>) -> Self {
        Self { ode, averages: ode.limit().increments() }
    }

    /// Replaces the tolerance of Γ: errors below `tolerance` times the largest entry. Default 1e-7 for one neuron and 1e-3 for more, and
    /// 2e-2 where whole batches are averaged, or points of a hidden law with more nodes than can be enumerated. The node budget is that of
    /// the limit, or 2²⁴ if that is the default.
    ///
    /// # Errors
    /// [`LimitError::Tolerance`] unless it is positive and finite.
    pub fn noise_tolerance(mut self, tolerance: T) -> Result<Self, LimitError<T>> {
        self.averages.set_tolerance(tolerance)?;
        Ok(self)
    }

    /// Whether the loss and σ let Γ be exact in the batch size; else it is averaged over whole batches.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.averages.is_exact()
    }

    /// Γ at a state. Under a constraint it is that of the projected steps.
    ///
    /// # Errors
    /// As [`Limit::coefficients`](crate::limit::Limit::coefficients), and [`LimitError::IncrementTolerance`].
    pub fn noise(&self, state: &OrderParameters<T>) -> Result<Noise<T>, LimitError<T>> {
        self.ode.check_neurons(state)?;
        let (_, increments, error) = T::refine_increments(&self.averages, state)?;
        Ok(Noise { covariance: projected(&self.map(state), &increments.covariance), error })
    }

    /// A rule for Γ that meets the tolerance at a state, frozen: to be evaluated often near it.
    ///
    /// # Errors
    /// As [`noise`](Self::noise).
    pub fn noise_rule(&self, state: &OrderParameters<T>) -> Result<NoiseRule<'_, 'o, 'a, T>, LimitError<T>> {
        self.ode.check_neurons(state)?;
        let (rule, _, _) = T::refine_increments(&self.averages, state)?;
        Ok(NoiseRule { fluctuations: self, rule })
    }

    /// A solver for the covariance along a solution.
    #[must_use]
    pub fn solver(&self) -> FluctuationSolver<'_, 'o, 'a, T> {
        FluctuationSolver::new(self)
    }

    /// How what a batch adds to A, B and Λ moves the packed state: a linear map, projected by the constraint.
    pub(super) fn map(&self, state: &OrderParameters<T>) -> DMatrix<T> {
        let free = free_map(state.n_features(), state.n_neurons());
        if self.ode.constraint() == Constraint::None { free } else { self.projection(state) * free }
    }

    /// How the constraint projects the rates of the packed state of free weights.
    pub(super) fn projection(&self, state: &OrderParameters<T>) -> DMatrix<T> {
        let (p, m, n) = (state.n_features(), state.n_neurons(), state.packed_len());
        if self.ode.constraint() == Constraint::None {
            return DMatrix::identity(n, n);
        }
        let (q, r) = (state.q().transpose(), state.r().transpose());
        let mut projection = DMatrix::zeros(n, n);
        for (column, mut out) in projection.column_iter_mut().enumerate() {
            let (mut rates_q, mut rates_r) = (vec![T::zero(); p * m], vec![T::zero(); m * m]);
            if column < p * m {
                rates_q[column] = T::one();
            } else if let Some((i, j)) = pairs(m).nth(column - p * m) {
                (rates_r[i * m + j], rates_r[j * m + i]) = (T::one(), T::one());
            }
            self.ode.project((q.as_slice(), r.as_slice()), &mut rates_q, &mut rates_r);
            let rates = rates_q.into_iter().chain(pairs(m).map(|(i, j)| rates_r[i * m + j]));
            out.iter_mut().zip(rates).for_each(|(out, rate)| *out = rate);
        }
        projection
    }
}

/// How increments move the packed state of free weights: Q by Â, R by B̂ + B̂ᵀ + Λ̂.
pub(super) fn free_map<T: Scalar>(p: usize, m: usize) -> DMatrix<T> {
    let mut map = DMatrix::zeros(packed_len(p, m), Increments::<T>::len(p, m));
    let at = |j: usize, i: usize| (p + j) * m + i;
    map.view_mut((0, 0), (p * m, p * m)).fill_with_identity();
    for (k, (i, j)) in pairs(m).enumerate() {
        let row = p * m + k;
        map[(row, at(i, j))] += T::one();
        map[(row, at(j, i))] += T::one();
        map[(row, (p + m) * m + k)] += T::one();
    }
    map
}

/// M C Mᵀ, symmetric to the last bit.
pub(super) fn projected<T: Scalar>(map: &DMatrix<T>, covariance: &DMatrix<T>) -> DMatrix<T> {
    let product = map * covariance * map.transpose();
    (&product + product.transpose()) * T::lit(0.5)
}
