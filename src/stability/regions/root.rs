//! The fixed point near a state, with its linearisation in scaled coordinates.
//!
//! Covers the root of the rates that Newton's method reaches, and whether it is linearly stable. Not here: Newton's
//! method itself (see the room of fixed points), and the neighbourhood of a stable point (see `neighbourhood`).

use nalgebra::{Cholesky, DMatrix};

use crate::Scalar;
use crate::limit::Compiled;
use crate::numerics::lyapunov::lyapunov;
use crate::ode::ReducedOde;
use crate::stability::fixed_point::{
    Face, NewtonLimits, NewtonStop, keeps_collapsed_state, linearize, off_centre, settle_or_coincide,
};
use crate::stability::regions::error::RegionsError;
use crate::stability::regions::frame::Frame;
use crate::state::OrderParameters;

/// Newton's method that is pressed against the boundary of the feasible set until R is that part of the guess's is on
/// its way to R = 0, which it only approaches: every pressed step leaves a third.
const COLLAPSING: f64 = 1e-4;

/// A root of the rates.
#[derive(Debug, Clone)]
pub(crate) struct Root<T: Scalar> {
    pub(crate) state: OrderParameters<T>,
    pub(crate) packed: Vec<T>,
    pub(crate) frame: Frame<T>,
    /// The Jacobian of scaled free coordinates there.
    pub(crate) jacobian: DMatrix<T>,
    /// The length of the way from the guess, in scaled coordinates.
    pub(crate) moved: T,
}

/// The fixed point that Newton's method reaches from `guess`; `None` if it does not converge.
pub(crate) fn root<T: Compiled>(
    ode: &ReducedOde<'_, T>,
    guess: &OrderParameters<T>,
) -> Result<Option<Root<T>>, RegionsError<T>> {
    let (p, m) = (guess.n_features(), guess.n_neurons());
    // Without overlaps there are none later, not even by rounding.
    let blind = guess.q().amax() == T::zero() && off_centre(ode.limit()).is_none();
    let face = if blind { Face::without_overlaps } else { Face::whole };
    let run =
        settle_or_coincide(ode, &face(p, m, ode.constraint()), guess, (&[], &|_| false), &NewtonLimits::default());
    let collapses = || keeps_collapsed_state(ode) && run.state.r().amax() <= T::lit(COLLAPSING) * guess.r().amax();
    let state = match run.stop {
        NewtonStop::Converged => run.state,
        NewtonStop::Boundary if collapses() => OrderParameters::from_parts(DMatrix::zeros(p, m), DMatrix::zeros(m, m)),
        NewtonStop::Failed(error) => return Err(error.into()),
        _ => return Ok(None),
    };
    let frame = Frame::new(ode.constraint(), guess);
    let (start, packed) = (guess.to_packed(), state.to_packed().as_slice().to_vec());
    let jacobian = frame.scaled(&linearize(ode, &state)?.by_state);
    let moved = frame.coordinates(&|k| packed[k] - start[k]).norm();
    Ok(Some(Root { state, packed, frame, jacobian, moved }))
}

/// The linearly stable fixed point near `guess`, without its neighbourhood.
pub(in crate::stability) fn linearly_stable_root<T: Compiled>(
    ode: &ReducedOde<'_, T>,
    guess: &OrderParameters<T>,
) -> Result<OrderParameters<T>, RegionsError<T>> {
    let root = root(ode, guess)?.ok_or_else(|| RegionsError::NotFixed { guess: guess.clone() })?;
    // P is positive definite iff every eigenvalue of J has a negative real part (Lyapunov).
    let stable = lyapunov(&root.jacobian).and_then(Cholesky::new).is_some();
    if stable { Ok(root.state) } else { Err(RegionsError::Unstable { point: root.state }) }
}
