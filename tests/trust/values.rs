//! Values out of range are refused, and a NaN stays one.

use contrastive_dynamics::integrate::Output;
use contrastive_dynamics::limit::LimitError;
use contrastive_dynamics::model::{
    Constraint, ElasticNet, Erf, Identity, L1, LeakyRelu, ModelError, Nonlinearity, Regularizer, Relu, Sigmoid,
    SmoothedL1, Softplus, Tanh, ViewCovariance,
};
use contrastive_dynamics::nalgebra::DMatrix;
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::pde::grid::{GridError, GridFailure, GridSolver};
use contrastive_dynamics::pde::observables::{Marginal, ObservableError};
use contrastive_dynamics::stability::{eigenvalues, spectrum};
use contrastive_dynamics::state::{OrderParameters, RunError};

use crate::support::models;

#[test]
fn a_grid_whose_tolerance_is_below_rounding_ends() {
    let model = models::equal_features(1).build().unwrap();
    let mut grid = GridSolver::builder(&model).tolerance(1e-16).step_limit(5).build().unwrap();
    let outcome = grid.run(1.0, &Output::Stop);
    let Err(GridError::Run(RunError::Failed { source: GridFailure::StepTooSmall, trajectory, .. })) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(trajectory.times().len(), 1);
    assert!(grid.work().rejected_steps <= 41);
}

#[test]
fn variances_that_are_none_are_refused() {
    let covariance = ViewCovariance::new(1.0, 0.0, 1.0).unwrap();
    for shared in [-5.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(covariance.plus_shared(shared), Err(ModelError::NoiseVariance { .. })));
    }
    assert_eq!(covariance.plus_shared(0.5).unwrap().to_array(), [[1.5, 0.5], [0.5, 1.5]]);
    // Its square is infinite.
    let wide = models::equal_features(1).background_std(1e160).build();
    assert!(matches!(wide, Err(ModelError::BackgroundStd { value: 1e160 })));
}

#[test]
fn a_neuron_without_weights_is_on_no_sphere() {
    let model = models::equal_features(1).constraint(Constraint::Sphere).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let zero = OrderParameters::from_rows(1, 1, &[0.0], &[0.0]).unwrap();
    assert_eq!(ode.rates(&zero).unwrap_err(), LimitError::ZeroNeuron { neuron: 0 });
    assert_eq!(ode.system(&zero).unwrap_err(), LimitError::ZeroNeuron { neuron: 0 });
}

#[test]
fn a_nan_is_seen_by_every_nonlinearity_and_regulariser() {
    fn sees(sigma: &dyn Fn(f64) -> f64) -> bool {
        sigma(f64::NAN).is_nan()
    }
    let leaky = LeakyRelu::new(0.1).unwrap();
    let values: [&dyn Fn(f64) -> f64; 8] = [
        &|h| Relu.value(h),
        &|h| leaky.value(h),
        &|h| Tanh.value(h),
        &|h| Erf.value(h),
        &|h| Softplus.value(h),
        &|h| Sigmoid.value(h),
        &|h| Identity.value(h),
        &|h| Relu.derivative(h) + 0.0 * leaky.derivative(h),
    ];
    assert!(values.into_iter().all(sees));
    let (smoothed, elastic) = (SmoothedL1::new(0.1).unwrap(), ElasticNet::new(0.5).unwrap());
    let regularizers: [&dyn Fn(f64) -> f64; 3] = [&|w| L1.apply(w), &|w| smoothed.apply(w), &|w| elastic.apply(w)];
    assert!(regularizers.into_iter().all(sees));
    // And all is as it was elsewhere.
    let at = [-2.0, -0.0, 0.0, 2.0];
    assert_eq!(at.map(|h| Relu.value(h)), [0.0, 0.0, 0.0, 2.0]);
    assert_eq!(at.map(|h| Relu.derivative(h)), [0.0, 0.0, 0.0, 1.0]);
    assert_eq!(at.map(|h| leaky.derivative(h)), [0.1, 0.1, 0.1, 1.0]);
    assert_eq!(at.map(|w| L1.apply(w)), [-1.0, 0.0, 0.0, 1.0]);
}

#[test]
fn kernels_that_are_too_narrow_or_points_that_are_none_are_refused() {
    for law in [Marginal::sample(&[0.1, 0.2]).unwrap(), Marginal::density(&[0.0, 1.0], &[1.0]).unwrap()] {
        for bandwidth in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-320] {
            let outcome = law.kernel_density(bandwidth, &[0.1]);
            assert!(matches!(outcome, Err(ObservableError::OutOfRange { name: "bandwidth", .. })), "{bandwidth}");
        }
        assert!(matches!(law.kernel_density(0.1, &[0.0, f64::NAN]), Err(ObservableError::NotFinite { index: 1, .. })));
        // The narrowest kernels that there are: the density itself within a cell, and nothing outside.
        let narrow = law.kernel_density(1e-300, &[0.5, -0.5]).unwrap();
        assert!(narrow[0].is_finite() && narrow[1] == 0.0);
    }
}

#[test]
fn matrices_of_huge_and_tiny_numbers_have_spectra_or_errors() {
    for scale in [1e300, 1e308, 1e-300, 5e-324, f64::INFINITY, f64::NAN] {
        let entries: [&dyn Fn(usize, usize) -> f64; 4] = [
            &|i, j| scale * (1.0 + i as f64 - 0.5 * j as f64) / 4.0,
            &|i, j| if i == j { scale } else { 0.0 },
            &|i, j| if (i + 1) % 3 == j { scale } else { 1e-8 },
            &|i, j| if i <= j { scale } else { 0.0 },
        ];
        for entry in entries {
            let matrix = DMatrix::from_fn(3, 3, entry);
            let (values, both) = (eigenvalues(&matrix), spectrum(&matrix));
            assert_eq!(values.is_ok(), both.is_ok());
            assert_eq!(both.is_ok(), matrix.iter().all(|x| x.is_finite()), "{matrix}");
        }
    }
}
