//! Slices and matrices that do not fit together are errors.

use std::convert::Infallible;

use contrastive_dynamics::integrate::{DormandPrince, Euler, Integrator, RungeKutta4, Step, StepError, System};
use contrastive_dynamics::model::{CorrelatedSigns, Discrete, HiddenDistribution, Independent, Law, Mixture};
use contrastive_dynamics::nalgebra::{DMatrix, DVector};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::pde::particles::{ParticleError, ParticleSystem};
use contrastive_dynamics::rand::SeedableRng;
use contrastive_dynamics::rand::rngs::StdRng;
use contrastive_dynamics::stability::{BifurcationKind, Continuation, ContinuationError, Emanating, FunctionSystem};
use contrastive_dynamics::start::{Rows, Start, StartError, Whitening};
use contrastive_dynamics::state::OrderParameters;

use crate::support::models;

/// y' = −y, of two numbers.
struct Decay;
impl System for Decay {
    type Error = Infallible;
    fn dimension(&self) -> usize {
        2
    }
    fn rates(&mut self, _t: f64, y: &[f64], rates: &mut [f64]) -> Result<(), Infallible> {
        rates.iter_mut().zip(y).for_each(|(rate, y)| *rate = -y);
        Ok(())
    }
}

#[test]
fn integrators_refuse_states_and_rates_of_another_length() {
    fn refused(integrator: &impl Integrator, lengths: (usize, usize)) -> bool {
        let mut step = Step::new(0.0, vec![1.0; lengths.0], vec![1.0; lengths.1]);
        let outcome = integrator.step(&mut Decay, &mut step, 1.0);
        matches!(outcome, Err(StepError::Length { dimension: 2, length }) if length != 2)
    }
    for lengths in [(1, 2), (2, 1), (0, 1), (0, 0), (3, 3), (2, 3)] {
        assert!(refused(&DormandPrince::default(), lengths));
        assert!(refused(&RungeKutta4::new(0.1).unwrap(), lengths));
        assert!(refused(&Euler::new(0.1).unwrap(), lengths));
    }
}

#[test]
fn dense_output_of_a_step_that_was_tampered_with_is_no_panic() {
    let mut step = Step::new(0.0, vec![1.0; 2], vec![1.0; 2]);
    step.set_cubic(&[1.0], &[2.0], 0.1);
    (step.t, step.previous_t) = (1.0, 0.0);
    assert_eq!(step.interpolate(0.5).len(), 2);
    // Vectors that stood there with another length are made to fit.
    step.reserve(5, 8);
    assert!(step.dense.iter().chain(&step.scratch).all(|vector| vector.len() == 2));
}

#[test]
fn rates_of_the_ode_refuse_slices_of_another_length() {
    let model = models::equal_features(1).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let state = OrderParameters::from_rows(1, 1, &[0.4], &[0.8]).unwrap();
    let mut system = ode.system(&state).unwrap();
    for (y, rates) in [(1, 2), (3, 2), (2, 1), (2, 3), (0, 0)] {
        assert!(system.rates(0.0, &vec![0.5; y], &mut vec![0.0; rates]).is_err());
    }
    assert!(system.rates(0.0, &[0.4, 0.8], &mut [0.0; 2]).is_ok());
}

#[test]
fn directions_and_points_of_another_system_are_refused() {
    let mut fold = FunctionSystem::new(2, |x: &[f64], parameter: f64, out: &mut [f64]| {
        (out[0], out[1]) = (parameter - x[0] * x[0], x[1]);
    });
    let from = |n: usize, value: f64| Emanating {
        state: DVector::from_vec(vec![1.0, 0.0]),
        parameter: 1.0,
        direction: DVector::from_element(n, value),
    };
    let continuation = Continuation::new(0.5, 2.0);
    for (n, value) in [(0, 0.1), (1, 0.1), (2, 0.1), (7, 0.1), (3, 0.0), (3, f64::NAN), (3, f64::INFINITY)] {
        let outcome = continuation.run_from(&mut fold, &from(n, value));
        assert!(matches!(outcome, Err(ContinuationError::Direction { expected: 3, found }) if found == n));
    }
    assert!(continuation.run_from(&mut fold, &from(3, 0.1)).is_ok());
    // A branch point of another system.
    let mut pitchfork = FunctionSystem::new(1, |x: &[f64], parameter: f64, out: &mut [f64]| {
        out[0] = (parameter - 1.0) * x[0] - x[0].powi(3);
    });
    let branch = continuation.run(&mut pitchfork, &[0.0], 0.7).unwrap();
    let is_branch_point = |kind: &BifurcationKind| matches!(kind, BifurcationKind::BranchPoint { .. });
    let point = branch.bifurcations.iter().find(|point| is_branch_point(&point.kind)).unwrap();
    assert_eq!(continuation.switch(&mut pitchfork, point).unwrap().len(), 2);
    assert!(matches!(continuation.switch(&mut fold, point), Err(ContinuationError::Dimension { .. })));
}

#[test]
fn rows_of_unequal_numbers_are_refused() {
    let unequal = || Rows {
        features: DMatrix::from_fn(10, 1, |i, _| (i as f64).sin()),
        weights: DMatrix::from_fn(9, 1, |i, _| (i as f64).cos()),
    };
    let state = OrderParameters::from_rows(1, 1, &[0.4], &[0.8]).unwrap();
    let model = models::equal_features(1).build().unwrap();
    let wrong = |error: &StartError| matches!(error, StartError::WeightsShape { dimension: 10, rows: 9, .. });
    for whitening in [Whitening::None, Whitening::Features, Whitening::State(state)] {
        assert!(wrong(&unequal().whiten(&whitening).unwrap_err()));
        let start = Start::from(unequal()).whitened(whitening);
        let particles = ParticleSystem::builder(&model, 10).start(start).build_seeded(1);
        assert!(matches!(particles, Err(ParticleError::Start(error)) if wrong(&error)));
    }
}

/// Every function of a law over slices, with slices that do not fit.
fn law_survives(law: &impl HiddenDistribution) {
    let p = law.dimension();
    let mut rng = StdRng::seed_from_u64(1);
    for (given, taken) in [(0, 0), (0, p), (p, 0), (p + 1, p), (p, p + 1), (p - 1, p - 1)] {
        let transported = law.transport(&vec![0.3; given], &mut vec![0.0; taken]);
        assert!(!transported, "{given} numbers into {taken}");
        if given != taken {
            assert!(!law.samples_from_words(&vec![7; given], &mut vec![0.0; taken]));
        }
        law.sample(&mut rng, &mut vec![0.0; taken]);
    }
}

#[test]
fn hidden_laws_survive_slices_that_do_not_fit() {
    let two = || Independent::new([Law::two_point(1.0).unwrap(), Law::two_point(2.0).unwrap()]).unwrap();
    law_survives(&two());
    law_survives(&two().and(two()));
    law_survives(&CorrelatedSigns::new(vec![1.0, 2.0], 0.3).unwrap());
    law_survives(&Discrete::new(DMatrix::from_row_slice(2, 2, &[1.0, -1.0, -1.0, 1.0]), vec![0.5, 0.5]).unwrap());
    law_survives(&Mixture::joint([(0.5, two()), (0.5, two())]).unwrap());
}
