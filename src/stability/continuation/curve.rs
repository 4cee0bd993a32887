//! The reduced ODE as a system to be continued: in a parameter of the model with exact derivatives and a rule that is
//! kept from point to point, or along any family of models.

use nalgebra::{DMatrix, DVector};

use crate::Scalar;
use crate::limit::Compiled;
use crate::limit::{LimitError, Parameter, Rule};
use crate::model::Constraint;
use crate::numerics::matrix::smallest_eigenvalue;
use crate::ode::ReducedOde;
use crate::stability::continuation::ContinuationSystem;
use crate::stability::learnability::{FamilyError, OdeFamily};
use crate::state::{OrderParameters, packed_len, unpack};

/// Why a curve of fixed points could not be evaluated.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CurveError<T: Scalar = f64> {
    /// The coefficients could not be computed, or the parameter does not take the value.
    #[error(transparent)]
    Limit(#[from] LimitError<T>),
    /// The family has no member there.
    #[error(transparent)]
    Family(#[from] FamilyError<T>),
}

/// The entries of a packed state that move.
#[derive(Debug, Clone)]
struct Entries {
    features: usize,
    neurons: usize,
    free: Vec<usize>,
    fixed: Vec<usize>,
}

impl Entries {
    fn new<T: Compiled>(ode: &ReducedOde<'_, T>) -> Self {
        let (p, m) = (ode.limit().n_features(), ode.limit().n_neurons());
        let sphere = ode.constraint() == Constraint::Sphere;
        let triangle = (0..m).flat_map(|i| (i..m).map(move |j| i == j));
        let fixed: Vec<usize> =
            triangle.enumerate().filter(|&(_, diagonal)| diagonal && sphere).map(|(k, _)| p * m + k).collect();
        let free = (0..packed_len(p, m)).filter(|k| !fixed.contains(k)).collect();
        Self { features: p, neurons: m, free, fixed }
    }

    fn state<T: Compiled>(&self, x: &[T]) -> OrderParameters<T> {
        let mut packed = vec![T::zero(); self.free.len() + self.fixed.len()];
        self.fixed.iter().for_each(|&at| packed[at] = T::one());
        self.free.iter().zip(x).for_each(|(&at, &x)| packed[at] = x);
        let (q, r) = unpack(self.features, self.neurons, &packed);
        OrderParameters::from_parts(q, r)
    }

    fn coordinates<T: Compiled>(&self, state: &OrderParameters<T>) -> Vec<T> {
        let packed = state.to_packed();
        self.free.iter().map(|&at| packed.get(at).copied().unwrap_or(T::zero())).collect()
    }

    fn is_feasible<T: Compiled>(&self, x: &[T]) -> bool {
        let state = self.state(x);
        smallest_eigenvalue(&state.background()) >= -state.feasibility_tolerance()
    }

    fn restrict<T: Compiled>(&self, matrix: &DMatrix<T>) -> DMatrix<T> {
        matrix.select_rows(&self.free).select_columns(&self.free)
    }
}

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

/// The fixed points of a family of reduced ODEs. Derivatives by the parameter are differences, and every value has a
/// rule of its own: slower than [`OdeCurve`], for what is no [`Parameter`].
#[derive(Debug)]
pub struct FamilyCurve<F> {
    family: F,
    entries: Entries,
}

impl<F> FamilyCurve<F> {
    /// The curve of a family that has a member at `value`; all members have its numbers of features and neurons.
    ///
    /// # Errors
    /// Whatever keeps that member from existing.
    pub fn new<T: Compiled>(family: F, value: T) -> Result<Self, FamilyError<T>>
    where
        F: OdeFamily<T>,
    {
        let mut entries = None;
        family.visit(value, &mut |ode| entries = Some(Entries::new(ode)))?;
        let entries = entries.unwrap_or(Entries { features: 0, neurons: 0, free: Vec::new(), fixed: Vec::new() });
        Ok(Self { family, entries })
    }

    /// The unknowns at a state.
    #[must_use]
    pub fn coordinates<T: Compiled>(&self, state: &OrderParameters<T>) -> Vec<T> {
        self.entries.coordinates(state)
    }

    /// The state at those unknowns.
    #[must_use]
    pub fn state<T: Compiled>(&self, x: &[T]) -> OrderParameters<T> {
        self.entries.state(x)
    }

    fn at<T: Compiled, R>(
        &self,
        value: T,
        mut f: impl FnMut(&ReducedOde<'_, T>) -> Result<R, LimitError<T>>,
    ) -> Result<R, CurveError<T>>
    where
        F: OdeFamily<T>,
    {
        let mut answer = None;
        self.family.visit(value, &mut |ode| answer = Some(f(ode)))?;
        Ok(answer.unwrap_or(Err(LimitError::NotFinite))?)
    }
}

impl<T: Compiled, F: OdeFamily<T>> ContinuationSystem<T> for FamilyCurve<F> {
    type Error = CurveError<T>;

    fn dimension(&self) -> usize {
        self.entries.free.len()
    }

    fn residual(&mut self, x: &[T], parameter: T, out: &mut [T]) -> Result<(), CurveError<T>> {
        let state = self.entries.state(x);
        let packed = self.at(parameter, |ode| {
            let mut rule = ode.limit().rule(&state)?;
            Ok(ode.packed_rates(&mut rule, &state))
        })?;
        for (out, &at) in out.iter_mut().zip(&self.entries.free) {
            *out = packed[at];
        }
        Ok(())
    }

    fn jacobian(&mut self, x: &[T], parameter: T) -> Result<(DMatrix<T>, DVector<T>), CurveError<T>> {
        let state = self.entries.state(x);
        let by_state = self.at(parameter, |ode| Ok(ode.sensitivities(&state, &[])?.by_state))?;
        let step = T::EPSILON.cbrt() * parameter.abs().max(T::one());
        let n = self.entries.free.len();
        let (mut above, mut below) = (DVector::zeros(n), DVector::zeros(n));
        // Near the end of the family's range the difference is one-sided.
        let (mut up, mut down) = (parameter + step, parameter - step);
        if self.residual(x, up, above.as_mut_slice()).is_err() {
            up = parameter;
            self.residual(x, up, above.as_mut_slice())?;
        }
        if self.residual(x, down, below.as_mut_slice()).is_err() {
            down = parameter;
            self.residual(x, down, below.as_mut_slice())?;
        }
        Ok((self.entries.restrict(&by_state), (above - below) / (up - down)))
    }

    fn is_admissible(&self, x: &[T], _parameter: T) -> bool {
        self.entries.is_feasible(x)
    }
}
