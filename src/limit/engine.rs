//! Where the averages are compiled: once, in this crate, for either precision.
//!
//! Generic functions are compiled anew into every program that calls them, and those of this module's neighbours are the
//! bulk of the crate. Their few entry points go through this trait, whose methods are not generic.

use nalgebra::DMatrix;

use super::jacobian::{Direction, Visit};
use super::rule::Rule;
use super::{Estimated, Limit, LimitError};
use crate::Scalar;
use crate::order_parameters::OrderParameters;

/// A precision for which the averages are compiled.
pub trait Engine: Sized {
    /// [`Limit::refine_generic`].
    fn refine(
        limit: &Limit<'_, Self>,
        state: &OrderParameters<Self>,
    ) -> Result<(Rule<Self>, Estimated<Self>), LimitError<Self>>
    where
        Self: Scalar;

    /// [`Rule::run_generic`].
    fn run(rule: &mut Rule<Self>, limit: &Limit<'_, Self>)
    where
        Self: Scalar;

    /// [`Rule::resolves_generic`].
    fn resolves(rule: &mut Rule<Self>, limit: &Limit<'_, Self>, q: &DMatrix<Self>, r: &DMatrix<Self>) -> bool
    where
        Self: Scalar;

    /// [`Rule::differentiate_generic`].
    fn differentiate(
        rule: &mut Rule<Self>,
        limit: &Limit<'_, Self>,
        state: &OrderParameters<Self>,
        directions: &[Direction],
        visit: &mut Visit<'_, Self>,
    ) -> Result<(), LimitError<Self>>
    where
        Self: Scalar;
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
