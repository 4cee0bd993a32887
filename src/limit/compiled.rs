//! The precisions for which the averages are compiled, once, in this crate.
//!
//! Generic functions are compiled anew into every program that calls them, and those of this module's neighbours are the
//! bulk of the crate. Their few entry points go through the trait [`Engine`], whose methods are not generic.

use nalgebra::DMatrix;

use super::coefficients::{Coefficients, Estimated};
use super::error::LimitError;
use super::increment_averages::IncrementAverages;
use super::increment_rule::IncrementRule;
use super::increments::Increments;
use super::jacobian::Visit;
use super::parameter::Direction;
use super::problem::Limit;
use super::rule::Rule;
use crate::Scalar;
use crate::state::OrderParameters;

/// A [`Scalar`] for which the averages are compiled: `f64` and `f32`, hence every scalar there is.
///
/// Generic code that computes limit coefficients, or solves what is built on them, writes this bound in the place of
/// [`Scalar`].
///
/// ```
/// use contrastive_dynamics::limit::{Compiled, Limit};
/// use contrastive_dynamics::state::OrderParameters;
/// fn noise<T: Compiled>(limit: &Limit<'_, T>, state: &OrderParameters<T>) -> Option<T> {
///     limit.coefficients(state).ok().map(|answer| answer.coefficients.lambda.trace())
/// }
/// ```
pub trait Compiled: Scalar + Engine {}

impl Compiled for f32 {}
impl Compiled for f64 {}

/// The entry points of the averages.
pub trait Engine: Scalar {
    /// [`Limit::refine_generic`].
    fn refine(
        limit: &Limit<'_, Self>,
        state: &OrderParameters<Self>,
        near: bool,
    ) -> Result<(Rule<Self>, Estimated<Self>), LimitError<Self>>;

    /// [`Rule::run_generic`].
    fn run(rule: &mut Rule<Self>, limit: &Limit<'_, Self>);

    /// [`Rule::resolves_generic`].
    fn resolves(rule: &mut Rule<Self>, limit: &Limit<'_, Self>, q: &DMatrix<Self>, r: &DMatrix<Self>) -> bool;

    /// [`Rule::differentiate_generic`].
    fn differentiate(
        rule: &mut Rule<Self>,
        limit: &Limit<'_, Self>,
        state: &OrderParameters<Self>,
        directions: &[Direction],
        visit: &mut Visit<'_, Self>,
    ) -> Result<(), LimitError<Self>>;

    /// [`IncrementAverages::refine_generic`].
    fn refine_increments(
        averages: &IncrementAverages<'_, Self>,
        state: &OrderParameters<Self>,
    ) -> Result<(IncrementRule<Self>, Increments<Self>, Self), LimitError<Self>>;

    /// [`IncrementAverages::renew_generic`].
    fn renew_increments(
        averages: &IncrementAverages<'_, Self>,
        rule: &IncrementRule<Self>,
        state: &OrderParameters<Self>,
    ) -> Result<IncrementRule<Self>, LimitError<Self>>;

    /// [`IncrementRule::run_generic`].
    fn run_increments(rule: &mut IncrementRule<Self>, limit: &Limit<'_, Self>, q: &DMatrix<Self>, r: &DMatrix<Self>);
}

macro_rules! compile {
    ($($t:ty),*) => {$(
        impl Engine for $t {
            #[inline(never)]
            fn refine(
                limit: &Limit<'_, Self>,
                state: &OrderParameters<Self>,
                near: bool,
            ) -> Result<(Rule<Self>, Estimated<Self>), LimitError<Self>> {
                limit.refine_generic(state, near)
            }

            #[inline(never)]
            fn run(rule: &mut Rule<Self>, limit: &Limit<'_, Self>) {
                rule.run_generic(limit);
            }

            #[inline(never)]
            fn resolves(rule: &mut Rule<Self>, limit: &Limit<'_, Self>, q: &DMatrix<Self>, r: &DMatrix<Self>) -> bool {
                rule.resolves_generic(limit, q, r)
            }

            #[inline(never)]
            fn differentiate(
                rule: &mut Rule<Self>,
                limit: &Limit<'_, Self>,
                state: &OrderParameters<Self>,
                directions: &[Direction],
                visit: &mut Visit<'_, Self>,
            ) -> Result<(), LimitError<Self>> {
                rule.differentiate_generic(limit, state, directions, visit)
            }

            #[inline(never)]
            fn refine_increments(
                averages: &IncrementAverages<'_, Self>,
                state: &OrderParameters<Self>,
            ) -> Result<(IncrementRule<Self>, Increments<Self>, Self), LimitError<Self>> {
                averages.refine_generic(state)
            }

            #[inline(never)]
            fn renew_increments(
                averages: &IncrementAverages<'_, Self>,
                rule: &IncrementRule<Self>,
                state: &OrderParameters<Self>,
            ) -> Result<IncrementRule<Self>, LimitError<Self>> {
                averages.renew_generic(rule, state)
            }

            #[inline(never)]
            fn run_increments(
                rule: &mut IncrementRule<Self>,
                limit: &Limit<'_, Self>,
                q: &DMatrix<Self>,
                r: &DMatrix<Self>,
            ) {
                rule.run_generic(limit, q, r);
            }
        }
    )*};
}
compile!(f32, f64);

impl<T: Compiled> Limit<'_, T> {
    /// The coefficients at `state`, refined until their estimated error meets the tolerance.
    ///
    /// # Errors
    /// [`LimitError::Shape`] if the state does not fit the model, [`LimitError::ToleranceNotMet`] with the best value
    /// inside, [`LimitError::NotFinite`] if σ overflows, [`LimitError::HiddenNodes`] if the refined cubature of a hidden
    /// law has too many nodes.
    pub fn coefficients(&self, state: &OrderParameters<T>) -> Result<Estimated<T>, LimitError<T>> {
        T::refine(self, state, false).map(|(_, estimated)| estimated)
    }

    /// The rule that meets the tolerance at `state`, and where all weights are larger by a fiftieth, frozen: a smooth function of the
    /// state, to be used near it.
    ///
    /// # Errors
    /// As [`coefficients`](Self::coefficients).
    pub fn rule(&self, state: &OrderParameters<T>) -> Result<Rule<T>, LimitError<T>> {
        T::refine(self, state, true).map(|(rule, _)| rule)
    }

    /// The rule that meets the tolerance at `state`, with the estimated largest error of an entry.
    pub(crate) fn rule_with_error(&self, state: &OrderParameters<T>) -> Result<(Rule<T>, T), LimitError<T>> {
        T::refine(self, state, false).map(|(rule, estimated)| (rule, estimated.error))
    }

    /// E[∂e^v/∂h^v'] of one neuron at `state`, with e¹ = −σ'(h¹)σ(h²) and e² = −σ'(h²)σ(h¹): entry `[v][v']`.
    ///
    /// By Stein's lemma they give the drift without an inverse (theory §3, §6): near Q = 0,
    /// A_l = −τ Σ_vv' E[∂e^v/∂h^v'] (⟨c_l²⟩ + K^f_vv') Q_l.
    ///
    /// # Errors
    /// [`LimitError::Shape`] if the state does not fit the model, [`LimitError::OneNeuron`] for more than one;
    /// [`LimitError::NoSecondDerivative`] if σ gives no σ'' and the fields are degenerate; else as
    /// [`coefficients`](Self::coefficients).
    pub fn error_slopes(&self, state: &OrderParameters<T>) -> Result<[[T; 2]; 2], LimitError<T>> {
        self.check_shape(state)?;
        if self.settings.n_neurons != 1 {
            return Err(LimitError::OneNeuron { neurons: self.settings.n_neurons });
        }
        self.rule(state)?.error_slopes(self, state).ok_or(LimitError::NoSecondDerivative)
    }
}

impl<T: Compiled> Rule<T> {
    /// Whether the nodes still resolve the fields at that state.
    pub(crate) fn resolves(&mut self, limit: &Limit<'_, T>, q: &DMatrix<T>, r: &DMatrix<T>) -> bool {
        T::resolves(self, limit, q, r)
    }

    /// The coefficients at (Q, R) by this rule; returns the number of nodes used.
    pub(crate) fn apply_to(
        &mut self,
        limit: &Limit<'_, T>,
        q: &DMatrix<T>,
        r: &DMatrix<T>,
        out: &mut Coefficients<T>,
    ) -> u64 {
        self.work.state.copy_from(q, r);
        self.run(limit);
        self.work.out.copy_to(out);
        self.nodes()
    }

    /// Computes the coefficients at a packed state, to be read from [`moving`](Self::moving).
    pub(crate) fn evaluate(&mut self, limit: &Limit<'_, T>, q: &[T], upper_r: &[T]) -> u64 {
        let m = limit.settings.n_neurons;
        self.work.state.q.copy_from_slice(q);
        let triangle = (0..m).flat_map(|i| (i..m).map(move |j| (i, j)));
        for ((i, j), &x) in triangle.zip(upper_r) {
            self.work.state.r[i * m + j] = x;
            self.work.state.r[j * m + i] = x;
        }
        self.run(limit);
        self.nodes()
    }

    fn run(&mut self, limit: &Limit<'_, T>) {
        T::run(self, limit);
    }

    /// The coefficients with their derivatives along up to eight directions at a time; calls `visit` with the number
    /// of the first direction, and the coefficients at the moving state.
    pub(crate) fn differentiate(
        &mut self,
        limit: &Limit<'_, T>,
        state: &OrderParameters<T>,
        directions: &[Direction],
        visit: &mut Visit<'_, T>,
    ) -> Result<(), LimitError<T>> {
        T::differentiate(self, limit, state, directions, visit)
    }
}
