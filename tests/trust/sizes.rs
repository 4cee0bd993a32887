//! Sizes beyond every memory are errors that name them.

use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, ModelError, Tanh};
use contrastive_dynamics::nalgebra::DMatrix;
use contrastive_dynamics::pde::observables::Marginal;
use contrastive_dynamics::pde::particles::{ParticleError, ParticleSystem};
use contrastive_dynamics::rand::{RngExt, SeedableRng, rngs::StdRng};
use contrastive_dynamics::random::LaneRng;
use contrastive_dynamics::sgd::{CompressedSgd, DirectSgd, ProjectedChain, SgdError};
use contrastive_dynamics::stability::spectrum;
use contrastive_dynamics::start::{FeatureLaw, StartError};
use contrastive_dynamics::state::{OrderParameters, OrderParametersError};

use crate::support::models;

const ABSURD: [usize; 3] = [1 << 40, 1 << 62, usize::MAX];

#[test]
fn simulators_at_absurd_dimensions_say_that_there_is_no_memory() {
    let model = models::equal_features(1).build().unwrap();
    for n in ABSURD {
        let direct = DirectSgd::builder(&model, n).build_seeded(1);
        assert!(matches!(direct, Err(SgdError::Start(StartError::Memory { rows, .. })) if rows == n));
        let compressed = CompressedSgd::builder(&model, n).build_seeded(1);
        assert!(matches!(compressed, Err(SgdError::Start(StartError::Memory { rows, .. })) if rows == n));
        let particles = ParticleSystem::builder(&model, n).build_seeded(1);
        assert!(matches!(particles, Err(ParticleError::Start(StartError::Memory { rows, .. })) if rows == n));
        // It keeps projections only, and any N will do.
        assert!(ProjectedChain::builder(&model, n).build_seeded(1).is_ok());
    }
}

#[test]
fn models_of_absurd_batches_or_neurons_are_none() {
    let model = || {
        let hidden = Independent::new([Law::two_point(2.25).unwrap()]).unwrap();
        Model::builder()
            .nonlinearity(Tanh)
            .hidden(hidden)
            .noise(GaussianNoise::independent(0.3).unwrap())
            .learning_rate(0.3)
    };
    for size in ABSURD {
        let batch = model().batch_size(size).build();
        assert!(matches!(batch, Err(ModelError::Memory { rows, .. }) if rows == size));
        let neurons = model().n_neurons(size).build();
        assert!(matches!(neurons, Err(ModelError::Memory { .. })));
    }
}

#[test]
fn states_of_absurd_shapes_are_none() {
    for (p, m) in [(1 << 63, 0), (1 << 63, 1), (0, 1 << 63), (1 << 62, 4), (usize::MAX, usize::MAX)] {
        // As long as a length that overflowed would ask for.
        for given in [&[][..], &[0.5; 10]] {
            let shape =
                |error| matches!(error, OrderParametersError::Shape { .. } | OrderParametersError::Length { .. });
            assert!(shape(OrderParameters::from_rows(p, m, given, given).unwrap_err()));
            assert!(shape(OrderParameters::from_packed(p, m, given).unwrap_err()));
        }
    }
}

#[test]
fn quadrature_rules_end_where_weights_are_below_the_smallest_number() {
    for order in [257, 1000, usize::MAX] {
        let line = FeatureLaw::<f64>::gaussian().line(order);
        assert_eq!(line, Err(StartError::Order { order, most: 256 }));
    }
}

/// By the closed form: E[x^k] of a uniform law from a to b is (b^(k+1) − a^(k+1))/((k+1)(b − a)).
#[test]
fn moments_of_any_order_take_no_time_and_are_right() {
    let uniform = |a: f64, b: f64| Marginal::density(&[a, b], &[1.0]).unwrap();
    for k in [0, 1, 2, 31, 32, 33, 34, 65, 1000] {
        let exact = 1.0 / f64::from(k + 1);
        for (a, sign) in [(0.0, 1.0), (-1.0, if k % 2 == 1 { -1.0 } else { 1.0 })] {
            let got = uniform(a, a + 1.0).moment(k);
            assert!((got - sign * exact).abs() < 1e-13 * exact, "{k} from {a}: {got}");
        }
        let symmetric = uniform(-1.0, 1.0).moment(k);
        assert!((symmetric - if k % 2 == 1 { 0.0 } else { exact }).abs() < 1e-14);
        // Zero within, and off the middle.
        let skewed = uniform(-0.5, 1.0).moment(k);
        let half = 0.5_f64.powi(k.cast_signed() + 1);
        let wanted = exact * (1.0 + if k % 2 == 1 { -half } else { half }) / 1.5;
        assert!((skewed - wanted).abs() < 1e-13 * wanted, "{k}: {skewed} {wanted}");
        // A narrow cell: nearly a point.
        let narrow = uniform(1.0, 1.0 + 1e-9).moment(k);
        assert!((narrow - 1.0 - 0.5e-9 * f64::from(k)).abs() < 1e-12, "{k}: {narrow}");
    }
    assert_eq!(uniform(0.0, 1.0).moment(u32::MAX), 0.5_f64.powi(32));
    let atoms = Marginal::sample(&[-1.0, 1.0]).unwrap();
    assert_eq!((atoms.moment(u32::MAX), atoms.moment(u32::MAX - 1)), (0.0, 1.0));
}

/// Found by inputs at random: sizes that overflowed, loops over them, and tables for any noise.
#[test]
fn absurd_numbers_of_features_are_refused_at_once() {
    let r = DMatrix::from_element(1, 1, 1.0);
    let mut rng = LaneRng::seed_from_u64(1);
    for features in [1 << 62, usize::MAX - 1, usize::MAX] {
        assert!(OrderParameters::uninformative(features, &r, 10, &mut rng).is_err());
        assert!(OrderParameters::uninformative(features, &r, usize::MAX, &mut rng).is_err());
        // A law of one node has one in any number of dimensions.
        let nodes = FeatureLaw::<f64>::gaussian().nodes(features, 1, 10);
        assert!(matches!(nodes, Err(StartError::Memory { .. })), "{nodes:?}");
    }
}

/// Matrices of the worst numbers have eigenvalues or errors: a decomposition that ends in NaN once panicked.
#[test]
fn spectra_of_hostile_matrices_are_numbers_or_errors() {
    const BAD: [f64; 12] = [0.0, 5e-324, -1e-310, 1e-300, 1e-160, 1e-20, 1.0, -1.0, 1e20, 1e154, -1e300, f64::MAX];
    let mut rng = StdRng::seed_from_u64(3);
    for _ in 0..20_000 {
        let n = rng.random_range(1..=6);
        let matrix = DMatrix::from_fn(n, n, |_, _| match rng.random_range(0..3) {
            0 => BAD[rng.random_range(0..BAD.len())],
            1 => f64::from_bits(rng.random()),
            _ => rng.random_range(-2.0..2.0),
        });
        if let Ok(spectrum) = spectrum(&matrix) {
            assert!(spectrum.values.iter().all(|x| x.re.is_finite() && x.im.is_finite()));
        }
    }
}
