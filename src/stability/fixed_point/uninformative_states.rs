//! The fixed points without overlaps and with weights.
//!
//! Covers their states alone, for any number of neurons. Not here: what can be learned from there (see the learnability
//! room), and the search for all fixed points (see `finder`).

use crate::limit::Compiled;
use crate::ode::ReducedOde;
use crate::stability::fixed_point::error::FixedPointError;
use crate::stability::fixed_point::newton::NewtonStop;
use crate::stability::fixed_point::search::SearchSettings;
use crate::stability::fixed_point::settle::settle;
use crate::stability::fixed_point::shape::Shape;
use crate::stability::fixed_point::starts::FacedStart;
use crate::stability::fixed_point::symmetry::{Symmetries, distance};
use crate::state::OrderParameters;

/// Two states are one where an image of the one lies within that many separations of the other: both are only as good
/// as Newton's method leaves them.
const SEPARATIONS: f64 = 10.0;

/// The fixed points Q = 0 with all R_ii > 0, one of each orbit of the model's symmetries.
pub(crate) fn uninformative_states<T: Compiled>(
    ode: &ReducedOde<'_, T>,
) -> Result<Vec<OrderParameters<T>>, FixedPointError<T>> {
    let SearchSettings { newton, separation, .. } = SearchSettings::default();
    // One neuron needs no symmetries.
    let one = ode.limit().n_neurons() == 1;
    let symmetries = if one { Symmetries::none() } else { Symmetries::detect(ode)? };
    let shape = Shape::new(ode, &symmetries);
    let mut starts = shape.uninformative();
    if !one {
        let coinciding = shape.coinciding(1.0, false).into_iter();
        starts.extend(coinciding.filter(|start| start.start.state.q().amax() == T::zero()));
    }
    let mut states: Vec<OrderParameters<T>> = Vec::new();
    for FacedStart { start, face } in starts {
        let run = settle(ode, &face, &start.state, (&[], &|_| false), &newton);
        // A state of one kind of weights: vanishing neurons are the business of fewer neurons.
        let kept = (0..shape.neurons).all(|i| run.state.r()[(i, i)] > separation);
        let near = |image: &OrderParameters<T>| distance(image, &run.state) <= T::lit(SEPARATIONS) * separation;
        let known = || states.iter().any(|state| symmetries.images(state, separation).iter().any(near));
        if run.stop == NewtonStop::Converged && kept && !known() {
            states.push(run.state);
        }
    }
    Ok(states)
}
