//! The precisions for which the averages are compiled, once, in this crate.
//!
//! Generic functions are compiled anew into every program that calls them, and those of this module's neighbours are the
//! bulk of the crate. Their few entry points go through the trait [`Engine`], whose methods are not generic.

use nalgebra::DMatrix;

use crate::Scalar;
use crate::limit::jacobian::{Direction, Visit};
use crate::limit::rule::Rule;
use crate::limit::{Estimated, Limit, LimitError};
use crate::state::OrderParameters;

/// A [`Scalar`] for which the averages are compiled: `f64` and `f32`, hence every scalar there is.
///
/// Generic code that computes limit coefficients, or solves what is built on them, writes this bound in the place of
/// [`Scalar`].
///
/// ```
/// use contrastive_dynamics::limit::{Compiled, Limit};
/// use contrastive_dynamics::OrderParameters;
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
}

macro_rules! compile {
    ($($t:ty),*) => {$(
        impl Engine for $t {
            #[inline(never)]
            fn refine(
                limit: &Limit<'_, Self>,
                state: &OrderParameters<Self>,
            ) -> Result<(Rule<Self>, Estimated<Self>), LimitError<Self>> {
                limit.refine_generic(state)
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
        }
    )*};
}
compile!(f32, f64);
