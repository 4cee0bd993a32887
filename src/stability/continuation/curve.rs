//! The reduced ODE as a system to be continued in a parameter of its model.
//!
//! Covers exact derivatives, with a quadrature rule that is kept from point to point, and a finer one for bifurcations.
//! Not here: what is no parameter of a model (see `family_curve`).

use nalgebra::{DMatrix, DVector};

use crate::Scalar;
use crate::limit::{Compiled, Direction, LimitError, Parameter, Rule};
use crate::ode::ReducedOde;
use crate::stability::continuation::entries::Entries;
use crate::stability::continuation::error::CurveError;
use crate::stability::continuation::sharpness::{of_rates, sharpest};
use crate::stability::continuation::system::{BoxedSystem, ContinuationSystem, Uncertainty};
use crate::stability::fixed_point::{Linearization, from_inside};
use crate::state::{OrderParameters, packed_len, unpack};

/// The fixed points of a reduced ODE along one of its model's parameters.
///
/// Unknowns are the entries of the packed state (see [`OrderParameters::to_packed`]), without R_ii under the sphere
/// constraint. The quadrature rule is kept while it resolves the fields, so that rates are smooth along a branch.
///
/// ```
/// use contrastive_dynamics::limit::Parameter;
/// use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
/// use contrastive_dynamics::stability::{BifurcationKind, Continuation, OdeCurve, uninformative_points};
/// use contrastive_dynamics::ode::ReducedOde;
/// use contrastive_dynamics::state::OrderParameters;
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
    chosen: Option<Chosen<'a, T>>,
    /// Where neurons vanish: a rule for states near by that are inside the feasible set.
    inside: Option<(Rule<T>, Place<T>)>,
}

/// The rule in use.
#[derive(Debug)]
struct Chosen<'a, T: Scalar> {
    rule: Rule<T>,
    /// The largest error of a coefficient where it was chosen.
    error: T,
    /// The ODE at the parameter's value for which it was last used, and that value.
    member: ReducedOde<'a, T>,
    value: T,
    place: Place<T>,
}

/// Where a rule was chosen.
#[derive(Debug, Clone)]
struct Place<T: Scalar> {
    value: T,
    state: OrderParameters<T>,
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
        let ode = ode.for_parameters(&[parameter]);
        Ok(Self { entries: Entries::new(&ode), ode, parameter, chosen: None, inside: None })
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
    fn prepare(&mut self, state: &OrderParameters<T>, value: T) -> Result<&mut Chosen<'a, T>, LimitError<T>> {
        let chosen = match self.chosen.take() {
            Some(chosen) if chosen.value == value => chosen,
            Some(Chosen { mut rule, error, place, .. }) => {
                let member = self.ode.with_parameter(self.parameter, value)?;
                rule.follow(member.limit());
                Chosen { rule, error, member, value, place }
            }
            None => {
                let member = self.ode.with_parameter(self.parameter, value)?;
                let (rule, error) = member.limit().rule_with_error(state)?;
                Chosen { rule, error, member, value, place: Place { value, state: state.clone() } }
            }
        };
        Ok(self.chosen.insert(chosen))
    }

    /// The derivatives by the packed state and by the parameter, with what an extrapolation adds to their error.
    fn derivatives(
        &mut self,
        state: &OrderParameters<T>,
        value: T,
    ) -> Result<(DMatrix<T>, DVector<T>, T), LimitError<T>> {
        let varied = self.parameter;
        let Chosen { rule, member, .. } = self.prepare(state, value)?;
        match member.differentiate(member.limit(), rule, state, &member.directions(&[varied])) {
            Ok(answer) => Ok((answer.by_state, answer.by_parameter.column(0).into_owned(), T::zero())),
            Err(LimitError::NotDifferentiable) => self.derivatives_at_boundary(state),
            Err(error) => Err(error),
        }
    }

    /// The same where some neurons have vanished: along directions that leave these at zero they are exact, along
    /// others they are extrapolated from inside the feasible set.
    fn derivatives_at_boundary(
        &mut self,
        state: &OrderParameters<T>,
    ) -> Result<(DMatrix<T>, DVector<T>, T), LimitError<T>> {
        let Some(Chosen { rule, member, value, .. }) = &mut self.chosen else {
            return Err(LimitError::NotDifferentiable);
        };
        let limit = member.limit();
        // A step of Newton's method may have gone beyond zero.
        let vanishes = |i: usize| !(state.r()[(i, i)] > T::zero());
        let r = state.r().map_with_location(|i, j, x| if vanishes(i) || vanishes(j) { T::zero() } else { x });
        let state = &OrderParameters::from_parts(state.q().clone(), r);
        let stays = |i: usize| state.r()[(i, i)] > T::zero();
        let keeps = |direction: &Direction| match *direction {
            Direction::Overlap(_, i) => stays(i),
            Direction::Covariance(i, j) => stays(i) && stays(j),
            Direction::Parameter(_) => true,
        };
        let directions = member.directions(&[self.parameter]);
        let kept: Vec<usize> = (0..directions.len()).filter(|&k| keeps(&directions[k])).collect();
        let along: Vec<Direction> = kept.iter().map(|&k| directions[k]).collect();
        let (_, exact) = member.slopes(limit, rule, state, &along)?;
        let inner = &mut self.inside;
        let Linearization { mut by_state, error } = from_inside(state, |inside| {
            let kept = inner.take().and_then(|(mut rule, place)| {
                rule.follow(limit);
                rule.resolves(limit, inside.q(), inside.r()).then_some((rule, place))
            });
            let (mut rule, place) = match kept {
                Some(kept) => kept,
                None => (limit.rule(inside)?, Place { value: *value, state: inside.clone() }),
            };
            let answer = member.differentiate(limit, &mut rule, inside, &member.directions(&[]));
            *inner = Some((rule, place));
            answer.map(|answer| answer.by_state)
        })?;
        let by_parameter = exact.column(exact.ncols() - 1).into_owned();
        for (column, &k) in kept.iter().enumerate().take(kept.len() - 1) {
            by_state.set_column(k, &exact.column(column));
        }
        Ok((by_state, by_parameter, error))
    }
}

impl<T: Compiled> ContinuationSystem<T> for OdeCurve<'_, T> {
    type Error = CurveError<T>;

    fn dimension(&self) -> usize {
        self.entries.free.len()
    }

    fn residual(&mut self, x: &[T], parameter: T, out: &mut [T]) -> Result<(), CurveError<T>> {
        let state = self.entries.state(x);
        let Chosen { rule, member, .. } = self.prepare(&state, parameter)?;
        let packed = member.packed_rates(rule, &state);
        for (out, &at) in out.iter_mut().zip(&self.entries.free) {
            *out = packed[at];
        }
        Ok(())
    }

    fn jacobian(&mut self, x: &[T], parameter: T) -> Result<(DMatrix<T>, DVector<T>), CurveError<T>> {
        let (by_state, by_parameter, _) = self.derivatives(&self.entries.state(x), parameter)?;
        let by_parameter = by_parameter.select_rows(&self.entries.free);
        Ok((self.entries.restrict(&by_state), by_parameter))
    }

    fn uncertainty(&mut self, x: &[T], parameter: T) -> Result<Uncertainty<T>, CurveError<T>> {
        let state = self.entries.state(x);
        let (_, _, extrapolation) = self.derivatives(&state, parameter)?;
        let Chosen { member, error, .. } = self.prepare(&state, parameter)?;
        let Uncertainty { residual, by_state, by_parameter } = of_rates(member, *error);
        Ok(Uncertainty { residual, by_state: by_state + extrapolation, by_parameter })
    }

    fn sharper(&self, x: &[T], parameter: T) -> Option<BoxedSystem<'_, T, CurveError<T>>> {
        let state = self.entries.state(x);
        let ode = sharpest(&self.ode, self.chosen.as_ref().map(|chosen| &chosen.rule), |ode| {
            let member = ode.with_parameter(self.parameter, parameter).ok()?;
            member.limit().rule(&state).ok().map(drop)
        })?;
        let (parameter, entries) = (self.parameter, self.entries.clone());
        Some(Box::new(Self { ode, parameter, entries, chosen: None, inside: None }))
    }

    fn accepted(&mut self, x: &[T], parameter: T) -> Result<bool, CurveError<T>> {
        let state = self.entries.state(x);
        let Chosen { rule, member, .. } = self.prepare(&state, parameter)?;
        if rule.resolves(member.limit(), state.q(), state.r()) {
            return Ok(false);
        }
        self.chosen = None;
        Ok(true)
    }

    fn memory(&self) -> Vec<T> {
        let chosen = self.chosen.as_ref().map(|chosen| &chosen.place);
        let places = [chosen, self.inside.as_ref().map(|(_, place)| place)];
        let numbers = |place: &Place<T>| std::iter::once(place.value).chain(Vec::from(place.state.to_packed().data));
        let flags = places.map(|place| if place.is_some() { T::one() } else { T::zero() });
        flags.into_iter().chain(places.into_iter().flatten().flat_map(numbers)).collect()
    }

    fn recall(&mut self, memory: &[T]) -> Result<bool, CurveError<T>> {
        let (p, m) = (self.ode.limit().n_features(), self.ode.limit().n_neurons());
        let length = 1 + packed_len(p, m);
        let Some((flags, numbers)) = memory.split_at_checked(2) else { return Ok(false) };
        let wanted = flags.iter().filter(|flag| **flag == T::one()).count() * length;
        if numbers.len() != wanted || !numbers.iter().all(nalgebra::ComplexField::is_finite) {
            return Ok(false);
        }
        let mut places = numbers.chunks_exact(length).map(|numbers| {
            let (q, r) = unpack(p, m, &numbers[1..]);
            Place { value: numbers[0], state: OrderParameters::from_parts(q, r) }
        });
        let (mut chosen, mut inside) = (None, None);
        if flags[0] == T::one()
            && let Some(place) = places.next()
        {
            chosen = Some(place);
        }
        if flags[1] == T::one()
            && let Some(place) = places.next()
        {
            let member = self.ode.with_parameter(self.parameter, place.value)?;
            inside = Some((member.limit().rule(&place.state)?, place));
        }
        self.inside = inside;
        self.chosen = None;
        if let Some(Place { value, state }) = chosen {
            self.prepare(&state, value)?;
        }
        Ok(true)
    }

    fn is_admissible(&self, x: &[T], _parameter: T) -> bool {
        self.entries.is_feasible(x)
    }

    fn nearest_admissible(&self, x: &[T], _parameter: T) -> Option<Vec<T>> {
        self.entries.nearest_feasible(x)
    }
}
