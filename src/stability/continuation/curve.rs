//! The reduced ODE as a system to be continued in a parameter of its model.
//!
//! Covers exact derivatives, with a quadrature rule that is kept from point to point. Not here: what is no parameter of
//! a model (see `family_curve`).

use nalgebra::{DMatrix, DVector};

use crate::Scalar;
use crate::limit::{Compiled, LimitError, Parameter, Rule};
use crate::ode::ReducedOde;
use crate::stability::continuation::entries::Entries;
use crate::stability::continuation::error::CurveError;
use crate::stability::continuation::system::ContinuationSystem;
use crate::state::OrderParameters;

/// The fixed points of a reduced ODE along one of its model's parameters.
///
/// Unknowns are the entries of the packed state (see [`OrderParameters::to_packed`]), without R_ii under the sphere
/// constraint. The quadrature rule is kept while it resolves the fields, so that rates are smooth along a branch.
///
/// ```
/// use contrastive_dynamics::limit::Parameter;
/// use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
/// use contrastive_dynamics::stability::{BifurcationKind, Continuation, OdeCurve, uninformative_points};
/// use contrastive_dynamics::{OrderParameters, ReducedOde};
/// let model = Model::builder()
///     .nonlinearity(Tanh)
///     .hidden(Independent::new([Law::two_point(2.25)?])?)
///     .noise(GaussianNoise::correlated(0.3, -0.5)?)
///     .learning_rate(0.3)
///     .weight_decay(0.5)
///     .build()?;
/// let ode = ReducedOde::new(&model)?;
/// let r = uninformative_points(&ode, 0.02, 20.0)?[0].r;
/// let start = OrderParameters::from_rows(1, 1, &[0.0], &[r])?;
/// let mut curve = OdeCurve::new(&ode, Parameter::SecondMoment(0))?;
/// // Below a second moment of 1.36 the feature cannot be learned from the uninformative state.
/// let start = curve.coordinates(&start);
/// let branch = Continuation::new(0.5, 2.25).downwards().run(&mut curve, &start, 2.25)?;
/// assert!(matches!(branch.bifurcations[0].kind, BifurcationKind::BranchPoint { crossing: 1 }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct OdeCurve<'a, T: Scalar = f64> {
    ode: ReducedOde<'a, T>,
    parameter: Parameter,
    entries: Entries,
    /// The rule, with the ODE of the parameter's value for which it was last used.
    rule: Option<(Rule<T>, ReducedOde<'a, T>, T)>,
}

impl<'a, T: Compiled> OdeCurve<'a, T> {
    /// The curve through that ODE.
    ///
    /// # Errors
    /// [`LimitError::Parameter`] if the model does not have the parameter.
    pub fn new(ode: &ReducedOde<'a, T>, parameter: Parameter) -> Result<Self, LimitError<T>> {
        if ode.parameter(parameter).is_none() {
            return Err(LimitError::Parameter { parameter });
        }
        let ode = ode.for_parameter(parameter);
        Ok(Self { entries: Entries::new(&ode), ode, parameter, rule: None })
    }

    /// The unknowns at a state.
    #[must_use]
    pub fn coordinates(&self, state: &OrderParameters<T>) -> Vec<T> {
        self.entries.coordinates(state)
    }

    /// The state at those unknowns.
    #[must_use]
    pub fn state(&self, x: &[T]) -> OrderParameters<T> {
        self.entries.state(x)
    }

    /// Brings rule and ODE to that value of the parameter.
    fn prepare(
        &mut self,
        state: &OrderParameters<T>,
        value: T,
    ) -> Result<(&mut Rule<T>, &ReducedOde<'a, T>), LimitError<T>> {
        let (rule, member) = match self.rule.take() {
            Some((rule, member, known)) if known == value => (rule, member),
            Some((mut rule, ..)) => {
                let member = self.ode.with_parameter(self.parameter, value)?;
                rule.follow(member.limit());
                (rule, member)
            }
            None => {
                let member = self.ode.with_parameter(self.parameter, value)?;
                (member.limit().rule(state)?, member)
            }
        };
        let (rule, member, _) = self.rule.insert((rule, member, value));
        Ok((rule, member))
    }
}

impl<T: Compiled> ContinuationSystem<T> for OdeCurve<'_, T> {
    type Error = CurveError<T>;

    fn dimension(&self) -> usize {
        self.entries.free.len()
    }

    fn residual(&mut self, x: &[T], parameter: T, out: &mut [T]) -> Result<(), CurveError<T>> {
        let state = self.entries.state(x);
        let (rule, member) = self.prepare(&state, parameter)?;
        let packed = member.packed_rates(rule, &state);
        for (out, &at) in out.iter_mut().zip(&self.entries.free) {
            *out = packed[at];
        }
        Ok(())
    }

    fn jacobian(&mut self, x: &[T], parameter: T) -> Result<(DMatrix<T>, DVector<T>), CurveError<T>> {
        let state = self.entries.state(x);
        let varied = self.parameter;
        let (rule, member) = self.prepare(&state, parameter)?;
        let directions = member.directions(&[varied]);
        let answer = member.differentiate(member.limit(), rule, &state, &directions)?;
        let by_parameter = answer.by_parameter.select_rows(&self.entries.free).column(0).into_owned();
        Ok((self.entries.restrict(&answer.by_state), by_parameter))
    }

    fn accepted(&mut self, x: &[T], parameter: T) -> Result<bool, CurveError<T>> {
        let state = self.entries.state(x);
        let (rule, member) = self.prepare(&state, parameter)?;
        if rule.resolves(member.limit(), state.q(), state.r()) {
            return Ok(false);
        }
        self.rule = None;
        Ok(true)
    }

    fn is_admissible(&self, x: &[T], _parameter: T) -> bool {
        self.entries.is_feasible(x)
    }
}
