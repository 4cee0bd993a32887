//! Branches of fixed points, over rules that are kept from point to point.

use std::convert::Infallible;
use std::ops::ControlFlow;

use contrastive_dynamics::limit::Parameter;
use contrastive_dynamics::model::Law;
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::save::SaveError;
use contrastive_dynamics::stability::{
    Branch, BranchStop, Continuation, ContinuationError, ContinuationSystem, CurveError, FunctionSystem, OdeCurve,
    steady_state,
};
use contrastive_dynamics::state::OrderParameters;

use super::Scratch;
use crate::support::models::reference;

/// Broken off after so many new points again and again, by a system made anew each time.
fn goes_on<S, E>(
    name: &str,
    settings: Continuation,
    every: usize,
    make: &dyn Fn() -> S,
    (start, parameter): (&[f64], f64),
) where
    S: ContinuationSystem<f64, Error = E>,
    E: std::fmt::Debug + PartialEq,
{
    let whole = settings.run(&mut make(), start, parameter).unwrap();
    assert!(whole.points.len() > 20, "{name}: {} points", whole.points.len());
    assert_eq!(whole.bifurcations.is_empty(), name == "decay", "{name}");
    let scratch = Scratch::new(name);
    let saved = settings.saved_in(scratch.file(), every);
    let mut breaks = 0;
    let resumed: Branch<f64, E> = loop {
        let mut left = every + 4;
        let branch = saved.run_with(&mut make(), start, parameter, |_| {
            left -= 1;
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let branch = branch.unwrap();
        if branch.stop != BranchStop::Observer {
            break branch;
        }
        breaks += 1;
    };
    assert!(breaks > 2, "{name}: {breaks}");
    assert_eq!(resumed, whole, "{name}");
}

#[test]
fn branches_of_closures_and_of_the_ode_go_on_with_the_same_bits() {
    let fold = || FunctionSystem::new(1, |x: &[f64], lambda, out: &mut [f64]| out[0] = lambda + x[0] * x[0]);
    goes_on("fold", Continuation::new(-1.0, 0.5), 3, &fold, (&[-0.9], -0.81));

    // Along the second moment the nodes of the hidden law are scaled; along the penalty the fields grow.
    let model = reference([Law::two_point(2.25).unwrap(), Law::three_point(2.0, 0.5).unwrap()]).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let start = OrderParameters::from_rows(2, 1, &[0.9, 0.0], &[1.0]).unwrap();
    let steady = steady_state(&ode, &start, 1e4).unwrap().state;
    let make = || OdeCurve::new(&ode, Parameter::SecondMoment(0)).unwrap();
    let x = make().coordinates(&steady);
    goes_on("moment", Continuation::new(0.6, 2.25).downwards(), 6, &make, (&x, 2.25));
    let make = || OdeCurve::new(&ode, Parameter::WeightDecay).unwrap();
    goes_on("decay", Continuation::new(0.05, 2.0), 6, &make, (&x, 0.5));
}

#[test]
fn a_branch_is_refused_by_another_system_and_told_where_it_cannot_be_saved() {
    let system = |slope: f64| {
        FunctionSystem::new(1, move |x: &[f64], lambda, out: &mut [f64]| out[0] = lambda + slope * x[0] * x[0])
    };
    let scratch = Scratch::new("other-branch");
    let saved = |settings: Continuation| settings.saved_in(scratch.file(), 2);
    let settings = Continuation::new(-1.0, 0.5);
    saved(settings).run(&mut system(1.0), &[-0.9], -0.81).unwrap();
    let refused = |settings: Continuation, slope: f64, start: f64| {
        let error: ContinuationError<Infallible> =
            saved(settings).run(&mut system(slope), &[start], -0.81).unwrap_err();
        assert!(matches!(error, ContinuationError::Save(SaveError::OtherWork { .. })), "{error}");
    };
    refused(settings, 1.01, -0.9);
    refused(settings.tolerance(1e-9), 1.0, -0.9);
    refused(settings, 1.0, -0.91);
    // The file of a branch of another kind of system has a memory that is none of this one.
    let nowhere = settings.saved_in(contrastive_dynamics::save::File::new("/nowhere/at/all"), 4);
    let branch = nowhere.run(&mut system(1.0), &[-0.9], -0.81).unwrap();
    assert!(
        matches!(&branch.stop, BranchStop::Unsaved(reason) if reason.contains("cannot write")),
        "{:?}",
        branch.stop
    );
    assert_eq!(branch.points.len(), 5);
    let zero = settings.saved_in(scratch.file(), 0).run(&mut system(1.0), &[-0.9], -0.81);
    assert!(matches!(zero, Err(ContinuationError::Setting { .. })));
}

#[test]
fn a_curve_recalls_its_own_memory_and_no_other() {
    let model = reference([Law::two_point(2.25).unwrap()]).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let mut curve = OdeCurve::new(&ode, Parameter::SecondMoment(0)).unwrap();
    let rates = |curve: &mut OdeCurve<'_>, parameter: f64| -> Result<[f64; 2], CurveError> {
        let mut out = [0.0; 2];
        curve.residual(&[0.9, 1.0], parameter, &mut out)?;
        Ok(out)
    };
    let empty = curve.memory();
    rates(&mut curve, 2.25).unwrap();
    rates(&mut curve, 1.7).unwrap();
    let (memory, here) = (curve.memory(), rates(&mut curve, 1.9).unwrap());
    let mut other = OdeCurve::new(&ode, Parameter::SecondMoment(0)).unwrap();
    assert!(other.recall(&memory).unwrap() && memory.len() > empty.len());
    // Whatever values were visited in between.
    rates(&mut curve, 0.3).unwrap();
    assert_eq!((rates(&mut curve, 1.9).unwrap(), rates(&mut other, 1.9).unwrap()), (here, here));
    for wrong in [&[][..], &memory[1..], &[1.0, 0.0], &[1.0, 0.0, f64::NAN, 0.0, 1.0]] {
        assert!(!other.recall(wrong).unwrap(), "{wrong:?}");
    }
}

/// A branch that leaves another is the same whether it is saved or not, and once kept it is there.
#[test]
fn a_branch_that_leaves_another_is_kept() {
    let pitchfork =
        || FunctionSystem::new(1, |x: &[f64], l: f64, out: &mut [f64]| out[0] = (l - 1.0) * x[0] - x[0].powi(3));
    let settings = Continuation::new(0.5, 2.0);
    let trunk = settings.run(&mut pitchfork(), &[0.0], 0.7).unwrap();
    let leaving = settings.switch(&mut pitchfork(), &trunk.bifurcations[0]).unwrap();
    let whole = settings.run_from(&mut pitchfork(), &leaving[0]).unwrap();
    assert!(whole.points.last().unwrap().state[0].abs() > 0.5);
    let scratch = Scratch::new("leaving");
    let saved = settings.saved_in(scratch.file(), 3);
    assert_eq!(saved.run_from(&mut pitchfork(), &leaving[0]).unwrap(), whole);
    assert!(scratch.path().exists());
    // Again: what is kept need not be computed; and another branch is other work.
    let asked = |kept: bool| {
        let mut asked = 0;
        let mut counted = FunctionSystem::new(1, |x: &[f64], l: f64, out: &mut [f64]| {
            asked += 1;
            out[0] = (l - 1.0) * x[0] - x[0].powi(3);
        });
        let again =
            if kept { saved.run_from(&mut counted, &leaving[0]) } else { settings.run_from(&mut counted, &leaving[0]) };
        assert_eq!(again.unwrap(), whole);
        asked
    };
    let (anew, kept) = (asked(false), asked(true));
    assert!(5 * kept < anew, "{kept} of {anew}");
    assert!(matches!(saved.run_from(&mut pitchfork(), &leaving[1]), Err(ContinuationError::Save(_))));
}
