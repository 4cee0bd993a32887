//! Exact derivatives of the right-hand side by the state and by parameters of the model.
//!
//! Covers the assembly of derivatives into matrices. Not here: the averages' derivatives (see [`crate::limit`]).

use nalgebra::DMatrix;

use crate::Scalar;
use crate::limit::{Compiled, Direction, Limit, LimitError, Parameter, Rule};
use crate::model::Quantity;
use crate::numerics::dual::{DIRECTIONS, Dual, Number};
use crate::numerics::lanes::dispatch;
use crate::ode::{Rates, ReducedOde};
use crate::state::{OrderParameters, packed_len};

/// The right-hand side with its derivatives; made by [`ReducedOde::sensitivities`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Sensitivities<T: Scalar = f64> {
    /// The right-hand side itself.
    pub rates: Rates<T>,
    /// The Jacobian, n x n with n = pm + m(m + 1)/2: rows are entries of the packed rates, columns of the packed state (see
    /// [`OrderParameters::to_packed`]). A column of R_ij, i < j, moves R_ji with it.
    pub by_state: DMatrix<T>,
    /// Derivatives by the parameters, n x k, in the order in which they were asked for.
    pub by_parameter: DMatrix<T>,
}

impl<T: Compiled> ReducedOde<'_, T> {
    /// The right-hand side with its derivatives by the state and by parameters of the model, at `state`.
    ///
    /// The derivatives are those of the frozen quadrature rule that meets the tolerance at `state`, exact to rounding;
    /// so they agree with differences of a [`system`](Self::system). With a σ that has a kink they come by parts and
    /// are as accurate as the averages. Under the sphere constraint they are those of the projected flow.
    ///
    /// ```
    /// use contrastive_dynamics::limit::Parameter;
    /// use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
    /// use contrastive_dynamics::ode::ReducedOde;
    /// use contrastive_dynamics::state::OrderParameters;
    /// let model = Model::builder()
    ///     .nonlinearity(Tanh)
    ///     .hidden(Independent::new([Law::two_point(2.25)?])?)
    ///     .noise(GaussianNoise::correlated(0.3, -0.5)?)
    ///     .learning_rate(0.3)
    ///     .weight_decay(0.5)
    ///     .build()?;
    /// let state = OrderParameters::from_rows(1, 1, &[0.4], &[0.8])?;
    /// let answer = ReducedOde::new(&model)?.sensitivities(&state, &[Parameter::WeightDecay])?;
    /// // d(dQ/dt)/dγ = −τQ and d(dR/dt)/dγ = −2τR.
    /// assert!((answer.by_parameter[(0, 0)] + 0.3 * 0.4).abs() < 1e-14);
    /// assert!((answer.by_parameter[(1, 0)] + 2.0 * 0.3 * 0.8).abs() < 1e-14);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Limit::coefficients`]; [`LimitError::Parameter`] for a parameter that this model does not have;
    /// [`LimitError::NotDifferentiable`] where the rates have a derivative on one side at most.
    pub fn sensitivities(
        &self,
        state: &OrderParameters<T>,
        parameters: &[Parameter],
    ) -> Result<Sensitivities<T>, LimitError<T>> {
        let directions = self.directions(parameters);
        let limit = self.limit.for_directions(&directions);
        let mut rule = limit.rule(state)?;
        self.differentiate(&limit, &mut rule, state, &directions)
    }

    /// Every entry of the packed state, then the parameters.
    pub(crate) fn directions(&self, parameters: &[Parameter]) -> Vec<Direction> {
        let (p, m) = (self.limit.n_features(), self.limit.n_neurons());
        Direction::of_state(p, m).chain(parameters.iter().map(|&parameter| Direction::Parameter(parameter))).collect()
    }

    pub(crate) fn differentiate(
        &self,
        limit: &Limit<'_, T>,
        rule: &mut Rule<T>,
        state: &OrderParameters<T>,
        directions: &[Direction],
    ) -> Result<Sensitivities<T>, LimitError<T>> {
        let entries = packed_len(limit.n_features(), limit.n_neurons());
        let (rates, slopes) = self.slopes(limit, rule, state, directions)?;
        let by_parameter = slopes.columns(entries, directions.len() - entries).into_owned();
        Ok(Sensitivities { rates, by_state: slopes.resize_horizontally(entries, T::zero()), by_parameter })
    }

    /// The right-hand side, and its derivative along each of some directions: columns of packed rates.
    pub(crate) fn slopes(
        &self,
        limit: &Limit<'_, T>,
        rule: &mut Rule<T>,
        state: &OrderParameters<T>,
        directions: &[Direction],
    ) -> Result<(Rates<T>, DMatrix<T>), LimitError<T>> {
        let (p, m) = (limit.n_features(), limit.n_neurons());
        let mut rates = Rates { q: DMatrix::zeros(p, m), r: DMatrix::zeros(m, m) };
        let mut slopes = DMatrix::zeros(packed_len(p, m), directions.len());
        let varied: Vec<Option<Parameter>> = directions
            .iter()
            .map(|direction| if let Direction::Parameter(parameter) = direction { Some(*parameter) } else { None })
            .collect();
        let (mut q, mut r) = (vec![Dual::zero(); p * m], vec![Dual::zero(); m * m]);
        rule.differentiate(limit, state, directions, &mut |first, moving| {
            let mut decay = Dual::constant(self.decay());
            for (slope, parameter) in decay.slopes.0.iter_mut().zip(&varied[first..]) {
                *slope = match parameter {
                    Some(Parameter::LearningRate) => self.decay_slope * self.weight_decay,
                    Some(Parameter::WeightDecay) => self.decay_slope * limit.learning_rate(),
                    _ => T::zero(),
                };
            }
            dispatch(
                #[inline(always)]
                || self.assemble(&moving, decay, &mut q, &mut r),
            );
            let triangle = || (0..m).flat_map(|i| (i..m).map(move |j| i * m + j));
            for k in 0..DIRECTIONS.min(directions.len() - first) {
                let rates = q.iter().chain(triangle().map(|at| &r[at])).map(|rate| rate.slopes.0[k]);
                slopes.column_mut(first + k).iter_mut().zip(rates).for_each(|(slope, rate)| *slope = rate);
            }
            if first == 0 {
                (0..p * m).for_each(|at| rates.q[(at / m, at % m)] = q[at].value);
                (0..m * m).for_each(|at| rates.r[(at / m, at % m)] = r[at].value);
            }
        })?;
        Ok((rates, slopes))
    }

    /// The model's own value of a number that can be scheduled; `None` if it does not have it.
    pub(crate) fn scheduled_number(&self, quantity: Quantity) -> Option<T> {
        let (parameter, factor) = self.direction_of(quantity);
        Some(self.parameter(parameter)? / factor)
    }

    /// The parameter that follows a scheduled number, and its derivative by it.
    pub(crate) fn direction_of(&self, quantity: Quantity) -> (Parameter, T) {
        let parameter = match quantity {
            // Momentum makes it larger.
            Quantity::LearningRate => return (Parameter::LearningRate, self.unscheduled.rest.recip()),
            Quantity::WeightDecay => Parameter::WeightDecay,
            Quantity::PenaltyStrength => Parameter::PenaltyStrength,
            Quantity::FeatureNoiseVariance => Parameter::FeatureNoiseVariance,
            Quantity::BackgroundNoiseVariance => Parameter::BackgroundNoiseVariance,
            Quantity::FeatureNoiseCorrelation => Parameter::FeatureNoiseCorrelation,
            Quantity::BackgroundNoiseCorrelation => Parameter::BackgroundNoiseCorrelation,
        };
        (parameter, T::one())
    }

    /// The same ODE with every term that a change of those parameters may bring in.
    pub(crate) fn for_parameters(&self, parameters: &[Parameter]) -> Self {
        let directions: Vec<_> = parameters.iter().map(|&parameter| Direction::Parameter(parameter)).collect();
        Self { limit: self.limit.for_directions(&directions), ..*self }
    }
}
