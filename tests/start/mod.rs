//! Starts: what laws say of themselves, and rows with exact second moments.

use contrastive_dynamics::nalgebra::DMatrix;
use contrastive_dynamics::rand::{RngExt, SeedableRng, rngs::StdRng};
use contrastive_dynamics::sgd::{CompressedSgd, DirectSgd, ProjectedChain, Simulator};
use contrastive_dynamics::start::{DiscreteStart, FeatureLaw, LinearGaussianStart, Rows, Start, StartLaw, Whitening};
use contrastive_dynamics::state::OrderParameters;

use crate::support::models::one_feature;

fn state() -> OrderParameters {
    OrderParameters::from_rows(2, 2, &[0.5, 0.1, -0.2, 0.3], &[1.0, 0.25, 0.25, 0.8]).unwrap()
}

/// Rows that are neither centred nor orthogonal.
fn rows() -> Rows<f64> {
    let mut rng = StdRng::seed_from_u64(3);
    let mut matrix = || DMatrix::from_fn(40, 2, |_, _| rng.random::<f64>() - 0.3);
    Rows { features: matrix(), weights: matrix() }
}

/// The moments are the wanted ones, and the change is the smallest: of u by a symmetric positive definite matrix, of the rest of w
/// likewise. A wrong root of the moments would give the same moments by a map that is not symmetric.
#[test]
fn whitened_rows_have_the_moments_by_symmetric_maps() {
    let (before, state) = (rows(), state());
    let n = 40.0;
    let none = {
        let mut rows = before.clone();
        rows.whiten(&Whitening::None).unwrap();
        rows
    };
    assert_eq!((&none.features, &none.weights), (&before.features, &before.weights));
    let symmetric = |from: &DMatrix<f64>, to: &DMatrix<f64>| {
        // to = from · map.
        let map = (from.tr_mul(from)).try_inverse().unwrap() * from.tr_mul(to);
        assert!((from * &map - to).amax() < 1e-12 && (&map - map.transpose()).amax() < 1e-12);
        assert!(map.symmetric_eigenvalues().min() > 0.0);
    };
    let mut only = before.clone();
    only.whiten(&Whitening::Features).unwrap();
    assert!((only.features.tr_mul(&only.features) / n - DMatrix::identity(2, 2)).amax() < 1e-13);
    assert_eq!(only.weights, before.weights);
    symmetric(&before.features, &only.features);

    let mut all = before.clone();
    all.whiten(&Whitening::State(state.clone())).unwrap();
    assert_eq!(all.features, only.features);
    assert!((all.features.tr_mul(&all.weights) / n - state.q()).amax() < 1e-13);
    assert!((all.weights.tr_mul(&all.weights) / n - state.r()).amax() < 1e-13);
    let rest = |weights: &DMatrix<f64>| weights - &all.features * all.features.tr_mul(weights) / n;
    symmetric(&rest(&before.weights), &rest(&all.weights));
    let moments = all.order_parameters().unwrap();
    assert!((moments.to_packed() - state.to_packed()).amax() < 1e-13);
}

/// Points and weights that have the moments of their law: E[u²] = 1, E[u⁴] as it says.
#[test]
fn points_on_the_line_have_the_moments_of_the_law() {
    let laws = [FeatureLaw::gaussian(), FeatureLaw::rademacher(), FeatureLaw::sparse(0.3).unwrap()];
    for (law, fourth) in laws.into_iter().zip([3.0, 1.0, 1.0 / 0.3]) {
        let line = law.line(5).unwrap();
        let moment = |k: i32| line.iter().map(|(u, weight): &(f64, f64)| weight * u.powi(k)).sum::<f64>();
        for (k, expected) in [(0, 1.0), (1, 0.0), (2, 1.0), (3, 0.0), (4, fourth)] {
            assert!((moment(k) - expected).abs() < 1e-12, "{k}: {}", moment(k));
        }
        assert!((law.fourth_moment() - fourth).abs() < 1e-12);
        assert!(line.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(LinearGaussianStart::new(law, &state()).unwrap().feature_law(), law);
    }
}

/// The atoms come back as they were given, with masses of sum 1, and what is drawn is one of them.
#[test]
fn a_discrete_law_has_the_atoms_that_it_was_given() {
    let (u, w) = (
        DMatrix::from_row_slice(2, 3, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        DMatrix::from_row_slice(1, 3, &[7.0, 8.0, 9.0]),
    );
    let law = DiscreteStart::new(u.clone(), w.clone(), vec![1.0, 0.0, 3.0]).unwrap();
    assert_eq!((law.feature_atoms(), law.weight_atoms(), law.masses()), (&u, &w, &[0.25, 0.0, 0.75][..]));
    let mut rng = StdRng::seed_from_u64(1);
    let mut counts = [0; 3];
    for _ in 0..10_000 {
        let (mut one, mut other) = ([0.0; 2], [0.0]);
        law.sample(&mut rng, &mut one, &mut other);
        let atom = (0..3).find(|&k| law.weight_atoms()[(0, k)] == other[0]).unwrap();
        assert_eq!(one, [law.feature_atoms()[(0, atom)], law.feature_atoms()[(1, atom)]]);
        counts[atom] += 1;
    }
    // 2500 ± 43: 5 standard deviations.
    assert!(counts[1] == 0 && (counts[0] - 2500_i32).abs() < 217, "{counts:?}");
}

/// Nothing said of the start is the uninformative one, to the bits.
#[test]
fn the_uninformative_start_is_the_default() {
    let model = one_feature();
    let direct = |start: Option<Start<'static>>| {
        let builder = DirectSgd::builder(&model, 30);
        let builder = if let Some(start) = start { builder.start(start) } else { builder };
        builder.build_seeded(5).unwrap().weights().clone()
    };
    let plain = direct(None);
    assert_eq!(plain, direct(Some(Start::uninformative())));
    // Standard normal components: |w|² is chi-square of 30 degrees, 30 ± 7.7.
    assert!(plain.norm_squared() > 5.0 && plain.norm_squared() < 80.0);
    let state = OrderParameters::from_rows(1, 1, &[0.4], &[0.8]).unwrap();
    assert_ne!(plain, direct(Some(Start::from(state))));
    let compressed = CompressedSgd::builder(&model, 30);
    let chain = ProjectedChain::builder(&model, 30);
    let again = [
        compressed.clone().start(Start::uninformative()).build_seeded(5).unwrap().order_parameters(),
        chain.clone().start(Start::uninformative()).build_seeded(5).unwrap().order_parameters(),
    ];
    assert_eq!(again[0], compressed.build_seeded(5).unwrap().order_parameters());
    assert_eq!(again[1], chain.build_seeded(5).unwrap().order_parameters());
}
