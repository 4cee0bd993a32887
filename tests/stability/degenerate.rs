//! Where neurons coincide or vanish, R − QᵀQ is singular and differences leave the feasible set: spectra and branches
//! there, each checked by another way.
//!
//! Closed forms for the linear model, whose rates are polynomials that know of no edge; the flow itself along curves of
//! feasible states that begin there; spectra of regular states ever nearer; one neuron in the place of two.

use contrastive_dynamics::limit::Parameter;
use contrastive_dynamics::model::{Constraint, GaussianNoise, Identity, Independent, Law, Model, ModelBuilder, Tanh};
use contrastive_dynamics::nalgebra::{Complex, DMatrix, DVector};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::stability::{
    BifurcationKind, BranchStop, Continuation, ContinuationSystem, FixedPoint, FixedPointFinder, Kind, OdeCurve,
    eigenvalues,
};
use contrastive_dynamics::state::OrderParameters;

fn noise() -> GaussianNoise {
    GaussianNoise::correlated(0.3, -0.5).unwrap()
}

fn builder(neurons: usize) -> ModelBuilder<Tanh, Independent, GaussianNoise, f64> {
    let hidden = Independent::new([Law::two_point(2.25).unwrap()]).unwrap();
    let builder = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(noise()).learning_rate(0.3);
    builder.weight_decay(0.5).n_neurons(neurons).batch_size(4).penalty_strength(0.4)
}

fn points(ode: &ReducedOde<'_>) -> Vec<FixedPoint> {
    FixedPointFinder::new(ode).sobol_starts(0).deflated_starts(0).find().unwrap().points
}

/// The largest distance between the sorted real parts, and between the imaginary ones.
fn apart(found: &[f64], expected: &[f64]) -> f64 {
    let sorted = |x: &[f64]| {
        let mut x = x.to_vec();
        x.sort_by(f64::total_cmp);
        x
    };
    assert_eq!(found.len(), expected.len());
    sorted(found).iter().zip(sorted(expected)).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
}

fn real(values: &[Complex<f64>]) -> Vec<f64> {
    values.iter().map(|x| x.re).collect()
}

/// Two linear neurons on the sphere, packed as Q_1, Q_2, R_12 (one feature): the projected flow in closed form.
fn linear_rates(x: &[f64], moment: f64, tau: f64, batch: f64) -> [f64; 3] {
    let (k, k12, d, d12) = (0.3, -0.15, 1.3, 0.85);
    let q = [x[0], x[1]];
    let r = [[1.0, x[2]], [x[2], 1.0]];
    let field = |i: usize, j: usize, k: f64, d: f64| (moment + k) * q[i] * q[j] + d * (r[i][j] - q[i] * q[j]);
    let unconstrained = |i: usize, j: usize| {
        let (same, other) = (field(i, j, k, d), field(i, j, k12, d12));
        4.0 * tau * other + tau * tau / batch * (2.0 * d * same + 2.0 * d12 * other)
    };
    let pull = [0, 1].map(|i| -0.5 * unconstrained(i, i));
    let overlap = |i: usize| 2.0 * tau * (moment + k12) * q[i] + pull[i] * q[i];
    [overlap(0), overlap(1), unconstrained(0, 1) + (pull[0] + pull[1]) * r[0][1]]
}

#[test]
fn spectra_of_linear_neurons_that_coincide_are_those_of_the_closed_form() {
    let (moment, tau, batch) = (2.25, 0.1, 2);
    let hidden = Independent::new([Law::two_point(moment).unwrap()]).unwrap();
    let model = Model::builder().nonlinearity(Identity).hidden(hidden).noise(noise()).learning_rate(tau);
    let model = model.n_neurons(2).batch_size(batch).constraint(Constraint::Sphere).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let mut degenerate = 0;
    for point in points(&ode) {
        let packed = point.state.to_packed();
        let x = [packed[0], packed[1], packed[3]];
        assert!(linear_rates(&x, moment, tau, batch as f64).iter().all(|x| x.abs() < 1e-9), "{x:?}");
        // Polynomials are differentiated by differences, beyond the edge too.
        let differences = |moment: f64| {
            let mut jacobian = DMatrix::zeros(3, 3);
            let h = 1e-3;
            for column in 0..3 {
                for (shift, weight) in [(-2.0, 1.0), (-1.0, -8.0), (1.0, 8.0), (2.0, -1.0)] {
                    let mut moved = x;
                    moved[column] += shift * h;
                    for (row, rate) in linear_rates(&moved, moment, tau, batch as f64).into_iter().enumerate() {
                        jacobian[(row, column)] += weight / (12.0 * h) * rate;
                    }
                }
            }
            real(&eigenvalues(&jacobian).unwrap())
        };
        let found = real(&point.spectrum.values);
        assert!(apart(&found, &differences(moment)) < 1e-8, "{x:?}: {found:?} {:?}", differences(moment));
        assert!(apart(&found, &differences(1.01 * moment)) > 1e-4, "a moment off by 1 % is noticed");
        degenerate += usize::from(1.0 - x[2].abs() < 1e-12);
    }
    assert!(degenerate >= 2, "{degenerate}");
}

/// The flow along curves of feasible states: as s → 0 the change of the rates is the Jacobian's, by Richardson's
/// extrapolation from one side.
fn along(ode: &ReducedOde<'_>, curve: impl Fn(f64) -> OrderParameters) -> DVector<f64> {
    let packed = |s: f64| {
        let rates = ode.rates(&curve(s)).unwrap();
        let (q, r, m) = (rates.q.transpose(), &rates.r, rates.r.nrows());
        let triangle = (0..m).flat_map(|i| (i..m).map(move |j| (i, j))).map(|at| r[at]);
        DVector::from_iterator(q.len() + m * (m + 1) / 2, q.iter().copied().chain(triangle))
    };
    let origin = packed(0.0);
    let h = 0.04;
    let mut row: Vec<DVector<f64>> = Vec::new();
    for k in 0..5 {
        let s = h / f64::from(1 << k);
        let mut next = vec![(packed(s) - &origin) / s];
        for (order, older) in row.iter().enumerate() {
            let power = f64::from(2 << order);
            let value = (&next[order] * power - older) / (power - 1.0);
            next.push(value);
        }
        row = next;
    }
    row.pop().unwrap()
}

/// Weights of two neurons with one feature: overlaps, then their backgrounds along two unit vectors.
fn of_weights(first: [f64; 3], second: [f64; 3]) -> OrderParameters {
    let dot = |a: [f64; 3], b: [f64; 3]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (r11, r12, r22) = (dot(first, first), dot(first, second), dot(second, second));
    OrderParameters::from_rows(1, 2, &[first[0], second[0]], &[r11, r12, r12, r22]).unwrap()
}

#[test]
fn jacobians_where_neurons_vanish_or_coincide_are_those_of_the_flow_along_feasible_curves() {
    let model = builder(2).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap().coefficient_tolerance(1e-11).unwrap();
    let (mut vanished, mut copies) = (0, 0);
    for point in points(&ode) {
        let (q, r) = (point.state.q(), point.state.r());
        if r[(0, 0)] < 0.1 || q[(0, 0)].abs() < 0.1 {
            continue;
        }
        let w = [q[(0, 0)], (r[(0, 0)] - q[(0, 0)] * q[(0, 0)]).sqrt(), 0.0];
        // In s: the root of s where a squared length is to grow like s.
        let curves: Vec<Box<dyn Fn(f64) -> OrderParameters>> = if r[(1, 1)] < 1e-12 {
            vanished += 1;
            vec![
                Box::new(move |s: f64| of_weights(w, [0.0, 0.0, s.sqrt()])),
                Box::new(move |s: f64| of_weights(w, [0.7 * s, 0.0, s.sqrt()])),
                Box::new(move |s: f64| of_weights(w, [0.0, -0.8 * s, s.sqrt()])),
                Box::new(move |s: f64| of_weights([w[0] + s, w[1] - 0.5 * s, 0.0], [0.0; 3])),
            ]
        } else if (r[(0, 1)] - r[(0, 0)]).abs() < 1e-9 {
            copies += 1;
            vec![
                Box::new(move |s: f64| of_weights([w[0], w[1], s.sqrt()], [w[0], w[1], -s.sqrt()])),
                Box::new(move |s: f64| of_weights([w[0] + 0.6 * s, w[1], s.sqrt()], [w[0] - 0.2 * s, w[1], 0.0])),
                Box::new(move |s: f64| of_weights([w[0], w[1] + 0.3 * s, 0.0], [w[0] + 0.5 * s, w[1] - s, 0.0])),
            ]
        } else {
            continue;
        };
        for curve in curves {
            let tangent = {
                let difference = |s: f64| (curve(s).to_packed() - curve(0.0).to_packed()) / s;
                difference(5e-5) * 2.0 - difference(1e-4)
            };
            let expected = along(&ode, &curve);
            let found = &point.jacobian * &tangent;
            let apart = (&found - &expected).amax();
            assert!(apart < 1e-6, "{apart:e}: {found} {expected}");
            assert!((found * 1.01 - expected).amax() > 1e-4, "1 % is noticed");
        }
    }
    assert!(vanished >= 1 && copies >= 1, "{vanished} {copies}");
}

#[test]
fn spectra_where_neurons_coincide_are_limits_of_those_of_regular_states() {
    let model = builder(2).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap().coefficient_tolerance(1e-11).unwrap();
    let found = points(&ode);
    let copies: Vec<&FixedPoint> = found
        .iter()
        .filter(|point| {
            let (q, r) = (point.state.q(), point.state.r());
            q[(0, 0)].abs() > 0.1 && (r[(0, 1)].abs() - r[(0, 0)]).abs() < 1e-9
        })
        .collect();
    assert!(!copies.is_empty());
    for point in copies {
        // Backgrounds that share less: their part of R_12 smaller by t.
        let near = |t: f64| {
            let mut r = point.state.r().clone();
            let shared = r[(0, 1)] - point.state.q()[(0, 0)] * point.state.q()[(0, 1)];
            r[(0, 1)] -= t * shared;
            r[(1, 0)] -= t * shared;
            let state = OrderParameters::new(point.state.q().clone(), r).unwrap();
            let mut values = real(&eigenvalues(&ode.sensitivities(&state, &[]).unwrap().by_state).unwrap());
            values.sort_by(f64::total_cmp);
            DVector::from_vec(values)
        };
        // To second order in t.
        let (a, b, c) = (near(0.02), near(0.01), near(0.005));
        let limit = (&c * 8.0 - &b * 6.0 + &a) / 3.0;
        let mut values = real(&point.spectrum.values);
        values.sort_by(f64::total_cmp);
        assert!(apart(&values, limit.as_slice()) < 1e-6, "{values:?} {limit}");
        assert!(apart(&values, near(0.02).as_slice()) > 1e-5, "a state off the limit is told apart");
    }
}

/// Along the penalty two copies stay copies, past the point where what tells them apart begins to grow: there, on one
/// side, the flow leaves the feasible set.
#[test]
fn copies_are_followed_past_the_points_at_which_they_part() {
    let model = builder(2).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let copies = |point: &&FixedPoint| {
        let r = point.state.r();
        point.kind == Kind::Selected { features: vec![Some(0), Some(0)] } && (r[(0, 1)] - r[(0, 0)]).abs() < 1e-9
    };
    let found = points(&ode);
    let start = &found.iter().find(copies).unwrap().state;
    let mut curve = OdeCurve::new(&ode, Parameter::PenaltyStrength).unwrap();
    let plan = Continuation::new(0.3, 2.2).steps(1e-6, 0.2).first_step(0.1);
    let first = curve.coordinates(start);
    let branch = plan.run(&mut curve, &first, 0.4).unwrap();
    assert_eq!(branch.stop, BranchStop::Bound, "{branch}");
    let mut found = 0;
    for event in &branch.bifurcations {
        assert!(matches!(event.kind, BifurcationKind::BranchPoint { .. }));
        assert!(event.parameter_error > 0.0 && event.parameter_error < 1e-7, "{event}");
        // With a tighter tolerance, from states a way off: the eigenvalue that vanishes, along copies.
        let exact = ode.clone().coefficient_tolerance(1e-11).unwrap();
        let mut curve = OdeCurve::new(&exact, Parameter::PenaltyStrength).unwrap();
        let near: Vec<(f64, f64)> = [-0.03, -0.01, 0.01, 0.03]
            .iter()
            .map(|shift| {
                let at = event.parameter + shift;
                let mut x = event.state.clone();
                let mut values = Vec::new();
                for _ in 0..7 {
                    let mut f = DVector::zeros(x.len());
                    curve.residual(x.as_slice(), at, f.as_mut_slice()).unwrap();
                    let (by_state, _) = curve.jacobian(x.as_slice(), at).unwrap();
                    values = real(&eigenvalues(&by_state).unwrap());
                    x -= by_state.lu().solve(&f).unwrap();
                }
                let least = values.iter().copied().min_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap();
                (at, least)
            })
            .collect();
        let zero: f64 = (0..4)
            .map(|i| {
                let others = (0..4).filter(|&j| j != i);
                near[i].0 * others.map(|j| near[j].1 / (near[j].1 - near[i].1)).product::<f64>()
            })
            .sum();
        assert!((zero - event.parameter).abs() < 1e-6, "{zero} {event}");
        found += 1;
    }
    assert!(found >= 1, "{branch}");
    for point in &branch.points {
        let state = curve.state(point.state.as_slice());
        assert!((state.r() - DMatrix::from_element(2, 2, state.r()[(0, 0)])).amax() < 1e-9, "{state}");
        assert!(state.background().symmetric_eigen().eigenvalues.min() > -1e-9);
    }
}

/// A neuron that has vanished changes nothing for the other.
#[test]
fn beside_a_neuron_that_has_vanished_the_other_moves_as_if_alone() {
    let (pair, single) = (builder(2).build().unwrap(), builder(1).build().unwrap());
    let ode = ReducedOde::new(&pair).unwrap();
    let found = points(&ode);
    let vanished = found.iter().find(|point| point.state.r()[(1, 1)] == 0.0 && point.state.q()[(0, 0)].abs() > 0.1);
    let start = &vanished.unwrap().state;
    let plan = Continuation::new(0.4, 0.9).steps(1e-6, 0.2).first_step(0.1);
    let mut curve = OdeCurve::new(&ode, Parameter::WeightDecay).unwrap();
    let first = curve.coordinates(start);
    let branch = plan.run(&mut curve, &first, 0.5).unwrap();
    assert_eq!(branch.stop, BranchStop::Bound, "{branch}");
    let alone = ReducedOde::new(&single).unwrap();
    let mut curve = OdeCurve::new(&alone, Parameter::WeightDecay).unwrap();
    let one = plan.run(&mut curve, &[first[0], first[2]], 0.5).unwrap();
    let (last, other) = (branch.points.last().unwrap(), one.points.last().unwrap());
    assert!((last.state[0] - other.state[0]).abs() < 1e-7 && (last.state[2] - other.state[1]).abs() < 1e-7);
    assert!((last.state[0] - first[0]).abs() > 0.01, "it has moved");
    // The eigenvalues of the one are among those of the two.
    for value in &other.eigenvalues {
        assert!(last.eigenvalues.iter().any(|x| (x - value).norm() < 1e-6), "{value} {:?}", last.eigenvalues);
    }
}
