//! What overflows is found in the step in which it does, in the precision in which it is read, and what is small is not lost
//! beside what is large.

use contrastive_dynamics::Scalar;
use contrastive_dynamics::integrate::Output;
use contrastive_dynamics::model::{Constraint, Identity, Independent, Law, Model, ModelBuilder, NoNoise};
use contrastive_dynamics::sgd::{ProjectedChain, SgdError, SgdFailure, Simulator};
use contrastive_dynamics::state::{OrderParameters, RunError, Trajectory};

type Builder<T> = ModelBuilder<Identity, Independent<Law<T>>, NoNoise, T, T>;

fn builder<T: Scalar>(learning_rate: f64) -> Builder<T> {
    let hidden = Independent::new([Law::two_point(T::lit(2.25)).unwrap()]).unwrap();
    Model::builder_in::<T>().nonlinearity(Identity).hidden(hidden).noise(NoNoise).learning_rate(T::lit(learning_rate))
}

fn assert_ends_with_a_finite_state(result: &Result<Trajectory<f32>, SgdError<f32>>) {
    let Err(SgdError::Run(RunError::Failed { source: SgdFailure::Diverged { step }, trajectory, .. })) = result else {
        panic!("R overflows in single precision: {:?}", result.as_ref().ok().and_then(Trajectory::last))
    };
    assert_eq!(trajectory.times().len() as u64, *step);
    for state in trajectory.states() {
        assert!(state.r()[(0, 0)].is_finite() && state.q()[(0, 0)].is_finite(), "{state:?}");
    }
}

/// (Q, V) are kept in double precision, but R is read in single: it overflows where Q is no more than 1.8e19.
#[test]
fn states_that_overflow_in_the_precision_of_the_model_are_a_divergence() {
    // With noise in the background the error signals, squared, would overflow first.
    let model = builder::<f32>(0.3).background_std(0.0).build().unwrap();
    let start = OrderParameters::from_rows(1, 1, &[0.4_f32], &[0.8]).unwrap();
    let chain = ProjectedChain::builder(&model, 100).start(&start);
    let output = Output::EverySteps(1);
    assert_ends_with_a_finite_state(&chain.clone().build_seeded(1).unwrap().run(50.0, &output));
    for lane in chain.lanes(&[1, 2]).unwrap().run(50.0, &output).unwrap() {
        assert_ends_with_a_finite_state(&lane);
    }
}

/// Where R_ii overflows the scale to the sphere is zero: the neuron would vanish in silence.
#[test]
fn a_neuron_whose_norm_overflows_on_the_way_to_the_sphere_is_a_divergence() {
    let builder = builder::<f64>(1e160).background_std(0.0).constraint(Constraint::Sphere);
    let model = builder.build().unwrap();
    let start = OrderParameters::from_rows(1, 1, &[1.0], &[1.0]).unwrap();
    let chain = ProjectedChain::builder(&model, 2).start(&start);
    let mut alone = chain.clone().build_seeded(1).unwrap();
    assert_eq!(alone.step(), Err(SgdFailure::Diverged { step: 1 }), "{:?}", alone.order_parameters());
    assert_eq!(alone.order_parameters(), start);
    let mut lanes = chain.lanes(&[1, 2]).unwrap();
    lanes.step();
    for lane in 0..2 {
        assert_eq!(lanes.failure(lane), Some(SgdFailure::Diverged { step: 1 }));
        assert_eq!(lanes.order_parameters(lane), Some(start.clone()));
    }
}

/// R − QᵀQ is known to the rounding of each neuron, not of the largest.
#[test]
fn a_small_neuron_beside_a_large_one_keeps_its_background() {
    let model = builder::<f32>(0.3).n_neurons(2).build().unwrap();
    let r = [1e4_f32, 0.0, 0.0, 1e-3];
    let start = OrderParameters::from_rows(1, 2, &[0.0, 0.0], &r).unwrap();
    let chain = ProjectedChain::builder(&model, 100).start(&start);
    let lanes = chain.clone().lanes(&[1]).unwrap();
    for state in [chain.build_seeded(1).unwrap().order_parameters(), lanes.order_parameters(0).unwrap()] {
        assert!((state.r()[(1, 1)] - 1e-3).abs() < 1e-9 && (state.r()[(0, 0)] - 1e4).abs() < 1e-2, "{state:?}");
    }
}
