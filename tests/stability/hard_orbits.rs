//! Saddles of two neurons that are hard to find are all listed by the search.

use contrastive_dynamics::integrate::System;
use contrastive_dynamics::model::Law;
use contrastive_dynamics::nalgebra::DVector;
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::stability::{FixedPointFinder, eigenvalues};
use contrastive_dynamics::state::OrderParameters;

use crate::support::models::reference;

/// Averages to 1e-4: the search is about which points there are, not where to the last digit.
const COARSE: f64 = 1e-4;

/// (Q_11, Q_12, Q_21, Q_22, R_11, R_12, R_22) of saddles that 2000 random starts of Newton's method found, and a search with fewer
/// starts missed; and how many eigenvalues are positive there.
const SADDLES: [([f64; 7], usize); 4] = [
    ([-0.635, -0.958, -0.300, 0.048, 0.498, 0.595, 0.921], 1),
    ([-0.671, 0.671, -0.499, -0.499, 0.707, -0.204, 0.707], 2),
    ([0.0, -0.546, 0.0, -0.771, 0.579, 0.0, 0.900], 2),
    ([-1.029, 0.437, 0.0, 0.0, 1.063, -0.430, 0.459], 2),
];

/// Newton's method without any care, over a frozen rule.
fn newton(ode: &ReducedOde<'_>, start: &[f64]) -> (DVector<f64>, usize) {
    let mut y = DVector::from_column_slice(start);
    let mut system = ode.system(&OrderParameters::from_packed(2, 2, start).unwrap()).unwrap();
    let mut rates = DVector::zeros(7);
    for _ in 0..6 {
        system.rates(0.0, y.as_slice(), rates.as_mut_slice()).unwrap();
        y -= system.jacobian(y.as_slice()).unwrap().by_state.lu().solve(&rates).unwrap();
    }
    system.rates(0.0, y.as_slice(), rates.as_mut_slice()).unwrap();
    assert!(rates.amax() < 1e-11 && (&y - DVector::from_column_slice(start)).amax() < 5e-3, "{y} {rates}");
    let values = eigenvalues(&system.jacobian(y.as_slice()).unwrap().by_state).unwrap();
    (y, values.iter().filter(|value| value.re > 0.0).count())
}

/// By signs of features and of neurons and by the exchange of neurons.
fn images(y: &[f64]) -> Vec<Vec<f64>> {
    let signs = (0..16_u32).map(|code| [0, 1, 2, 3].map(|bit| if code >> bit & 1 == 1 { -1.0 } else { 1.0 }));
    let exchanged = [y[1], y[0], y[3], y[2], y[6], y[5], y[4]];
    signs
        .flat_map(|[a, b, s, t]| {
            [[y[0], y[1], y[2], y[3], y[4], y[5], y[6]], exchanged]
                .map(|y| vec![a * s * y[0], a * t * y[1], b * s * y[2], b * t * y[3], y[4], s * t * y[5], y[6]])
        })
        .collect()
}

#[test]
fn the_search_lists_the_saddles_that_random_starts_find() {
    let laws = [Law::two_point(2.25).unwrap(), Law::three_point(2.25, 0.5).unwrap()];
    let model = reference(laws).weight_decay(0.35).n_neurons(2).batch_size(16).penalty_strength(0.8).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap().coefficient_tolerance(COARSE).unwrap();
    let found = FixedPointFinder::new(&ode).deflated_starts(0).find().unwrap();
    let listed = |y: &DVector<f64>| {
        let near = |point: &OrderParameters| {
            let point = point.to_packed();
            images(y.as_slice()).into_iter().any(|image| (&point - DVector::from_vec(image)).amax() < 0.01)
        };
        let points: Vec<_> = found.points.iter().filter(|point| near(&point.state)).collect();
        assert!(points.len() < 2, "each orbit once");
        points.first().map(|point| point.unstable)
    };
    for (start, unstable) in SADDLES {
        let (point, positive) = newton(&ode, &start);
        assert_eq!((listed(&point), positive), (Some(unstable), unstable), "{start:?}");
        // The control: beside it there is none.
        let mut beside = point;
        beside[6] += 0.05;
        assert_eq!(listed(&beside), None);
    }
}
