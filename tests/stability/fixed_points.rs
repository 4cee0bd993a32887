//! Fixed points of the reduced ODE: where they are, what is known of them, and that none is listed twice.

use std::ops::ControlFlow;

use contrastive_dynamics::integrate::{DormandPrince, Output};
use contrastive_dynamics::model::{
    Constraint, Discrete, FromFunctions, GaussianNoise, GradientPath, HiddenDistribution, Independent, Law, Model,
    ModelBuilder, PointMasses, Relu, Sigmoid, Tanh,
};
use contrastive_dynamics::nalgebra::{DMatrix, DVector};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::stability::{
    FixedPoint, FixedPointError, FixedPointFinder, FixedPoints, Kind, NewtonStop, Stability, Symmetries,
    collapsed_point, eigenvalues,
};
use contrastive_dynamics::state::OrderParameters;

fn builder<H: HiddenDistribution>(hidden: H) -> ModelBuilder<Tanh, H, GaussianNoise, f64> {
    let noise = GaussianNoise::correlated(0.3, -0.5).unwrap();
    Model::builder().nonlinearity(Tanh).hidden(hidden).noise(noise).learning_rate(0.3).weight_decay(0.5)
}

fn independent<const P: usize>(laws: [Law; P]) -> Independent {
    Independent::new(laws).unwrap()
}

fn two_point() -> Law {
    Law::two_point(2.25).unwrap()
}

fn of_kind<'f>(found: &'f FixedPoints, kind: &Kind) -> Vec<&'f FixedPoint> {
    found.points.iter().filter(|point| point.kind == *kind).collect()
}

fn selected(features: &[Option<usize>]) -> Kind {
    Kind::Selected { features: features.to_vec() }
}

/// The Jacobian by central differences of the rates, in the point's own coordinates.
fn differences(ode: &ReducedOde<'_>, point: &FixedPoint) -> DMatrix<f64> {
    let (p, m) = (point.state.n_features(), point.state.n_neurons());
    let packed = point.state.to_packed();
    let rates = |x: &DVector<f64>| {
        let rates = ode.rates(&OrderParameters::from_packed(p, m, x.as_slice()).unwrap()).unwrap();
        let triangle = (0..m).flat_map(|i| (i..m).map(move |j| (i, j))).map(|at| rates.r[at]).collect::<Vec<_>>();
        let rows: Vec<f64> = (0..p).flat_map(|l| (0..m).map(move |i| (l, i))).map(|at| rates.q[at]).collect();
        DVector::from_iterator(x.len(), rows.into_iter().chain(triangle))
    };
    let n = point.coordinates.len();
    let mut jacobian = DMatrix::zeros(n, n);
    for (column, &at) in point.coordinates.iter().enumerate() {
        let moved = |step: f64| {
            let mut x = packed.clone();
            x[at] += step;
            rates(&x)
        };
        let slope = (moved(1e-4) - moved(-1e-4)) / 2e-4;
        for (row, &to) in point.coordinates.iter().enumerate() {
            jacobian[(row, column)] = slope[to];
        }
    }
    jacobian
}

/// By symmetry 45° for equal laws; arctan √2 for the three-point law that is a sum of two signs (theory §6).
#[test]
fn the_saddle_between_two_features_stands_at_the_angle_known_exactly() {
    for (law, tangent) in [(two_point(), 1.0), (Law::three_point(2.25, 0.5).unwrap(), 2.0_f64.sqrt())] {
        let model = builder(independent([two_point(), law])).build().unwrap();
        let ode = ReducedOde::new(&model).unwrap();
        let found = FixedPointFinder::new(&ode).find().unwrap();
        let saddles: Vec<_> =
            of_kind(&found, &Kind::Mixed).into_iter().filter(|point| point.stability == Stability::Saddle).collect();
        assert_eq!(saddles.len(), 1);
        let q = saddles[0].state.q();
        assert!(((q[(1, 0)] / q[(0, 0)]).abs() - tangent).abs() < 1e-8, "{q}");
        assert_eq!((saddles[0].unstable, saddles[0].images.len()), (1, 4));
    }
}

#[test]
fn the_points_of_one_neuron_are_all_there_once_each_with_spectra_that_differences_confirm() {
    let model = builder(independent([two_point(), two_point()])).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let found = FixedPointFinder::new(&ode).find().unwrap();
    // Collapsed, uninformative, one feature of the two, their mixture.
    assert_eq!(found.points.len(), 4, "{:?}", found.points.iter().map(|p| p.kind.clone()).collect::<Vec<_>>());
    let counts = |kind: &Kind| of_kind(&found, kind).iter().map(|p| p.images.len()).collect::<Vec<_>>();
    assert_eq!(counts(&Kind::Collapsed), [1]);
    assert_eq!(counts(&Kind::Uninformative), [1]);
    assert_eq!(counts(&selected(&[Some(0)])), [4], "both features and both signs");
    assert_eq!(counts(&Kind::Mixed), [4]);
    assert_eq!(found.stable().count(), 1);
    assert!(found.repeats.iter().all(|&n| n > 0) && found.unresolved.is_empty());
    for point in &found.points {
        for image in &point.images {
            let rates = ode.rates(image).unwrap();
            assert!(rates.q.amax().max(rates.r.amax()) < 1e-9, "images are fixed points too");
        }
        if point.kind == Kind::Collapsed {
            continue;
        }
        assert_eq!(point.stop, NewtonStop::Converged);
        assert!(point.error < 1e-8 && point.residuals.last().unwrap() < &1e-12);
        // Convergence is quadratic: the last step but one squares the residual, up to a constant and rounding.
        let tail = &point.residuals[point.residuals.len() - 2..];
        assert!(tail[1] < 100.0 * tail[0] * tail[0] + 1e-14, "{tail:?}");
        let slopes = differences(&ode, point);
        assert!((&slopes - &point.jacobian).amax() < 1e-6);
        let other = eigenvalues(&slopes).unwrap();
        for (x, y) in point.spectrum.values.iter().zip(&other) {
            assert!((x.re - y.re).abs() < 1e-6 && (x.im - y.im).abs() < 1e-6);
        }
    }
}

/// The flow itself: it returns to stable points, and leaves saddles at the rate of their unstable eigenvalue.
#[test]
fn trajectories_return_to_stable_points_and_leave_saddles_at_their_rates() {
    let model = builder(independent([two_point(), Law::three_point(2.25, 0.8).unwrap()])).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let found = FixedPointFinder::new(&ode).find().unwrap();
    let solver = || ode.solver().integrator(DormandPrince::new(1e-11, 1e-13).unwrap());
    let moved = |point: &FixedPoint, by: &DVector<f64>| {
        OrderParameters::from_packed(2, 1, (point.state.to_packed() + by).as_slice()).unwrap()
    };
    let distance = |x: &OrderParameters, y: &OrderParameters| (x.to_packed() - y.to_packed()).norm();
    let mut saddles = 0;
    for point in found.points.iter().filter(|point| point.kind != Kind::Collapsed) {
        if point.is_stable() {
            let end = 12.0 / point.relaxation_rate();
            let start = moved(point, &DVector::from_column_slice(&[0.01, -0.01, 0.02]));
            let (_, last) = solver().solve(&start, end).unwrap().last().map(|(t, s)| (t, s.clone())).unwrap();
            assert!(distance(&last, &point.state) < 1e-4 * distance(&start, &point.state));
        } else {
            saddles += 1;
            let rate = point.spectrum.values[0].re;
            let along = point.spectrum.vector(0).unwrap().map(|x| x.re) * 1e-5;
            let run =
                solver().output(Output::Times(vec![0.0, 2.0 / rate])).solve(&moved(point, &along), 2.0 / rate).unwrap();
            let (first, last) = (run.states().first().unwrap(), run.states().last().unwrap());
            let growth = (distance(last, &point.state) / distance(first, &point.state)).ln() / 2.0;
            assert!((growth - 1.0).abs() < 1e-3, "{growth}");
        }
    }
    assert!(saddles >= 2);
}

/// Without the penalty the rates of one neuron do not depend on the other: the points of two are pairs of points of one,
/// with independent or coinciding backgrounds. Copies lie on the boundary, where R − QᵀQ is singular.
#[test]
fn two_neurons_without_a_penalty_stand_where_one_does_alone() {
    let one = builder(independent([two_point()])).build().unwrap();
    let one = FixedPointFinder::new(&ReducedOde::new(&one).unwrap()).find().unwrap();
    let model = builder(independent([two_point()])).n_neurons(2).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let found = FixedPointFinder::new(&ode).sobol_starts(2).deflated_starts(0).find().unwrap();
    let alone = |kind: &Kind| of_kind(&one, kind)[0];
    let (informed, blind) = (alone(&selected(&[Some(0)])), alone(&Kind::Uninformative));
    let mut copies = 0;
    for point in &found.points {
        for i in 0..2 {
            let (q, r) = (point.state.q()[(0, i)], point.state.r()[(i, i)]);
            let near = |other: &FixedPoint| {
                (q.abs() - other.state.q()[(0, 0)].abs()).abs().max((r - other.state.r()[(0, 0)]).abs()) < 1e-6
            };
            assert!(near(informed) || near(blind) || r.abs() < 1e-12, "neuron {i} at Q = {q}, R = {r}");
        }
        let r = point.state.r();
        if r.amax() > 0.0 && (r[(0, 1)] * r[(0, 1)] / (r[(0, 0)] * r[(1, 1)]) - 1.0).abs() < 1e-9 {
            copies += 1;
            // A copy obeys the spectrum of one neuron, among others.
            let own = if point.kind == Kind::Uninformative { blind } else { informed };
            for value in &own.spectrum.values {
                assert!(point.spectrum.values.iter().any(|x| (x - value).norm() < 1e-5), "{value} is kept");
            }
        }
    }
    assert_eq!(copies, 2, "copies without and with the feature");
    // The noise of neurons without features drives copies apart; with the feature they are locked.
    let pairs = of_kind(&found, &Kind::Uninformative);
    let copies = |point: &&&FixedPoint| point.state.r()[(0, 1)].abs() > 0.5;
    let locked: Vec<_> = pairs.iter().filter(copies).collect();
    let free: Vec<_> = pairs.iter().filter(|point| !copies(point) && point.state.r()[(1, 1)] > 0.0).collect();
    assert_eq!((locked.len(), free.len()), (1, 1));
    assert_eq!((locked[0].unstable, free[0].unstable), (3, 2));
    let both = of_kind(&found, &selected(&[Some(0), Some(0)]));
    assert!(both.len() == 1 && both[0].is_stable());
    let start = OrderParameters::from_rows(1, 2, &[0.9, 0.7], &[1.0, 0.7, 0.7, 0.9]).unwrap();
    let run = ode.solver().solve(&start, 40.0).unwrap();
    let (_, last) = run.last().unwrap();
    assert!((last.to_packed() - both[0].state.to_packed()).amax() < 1e-5, "the flow ends at the locked copies");
}

/// Rates by the closed form of the collapsed state against Jacobians of the averages at R = t, extrapolated to t = 0 by
/// hand; over the number of neurons, batches, stop-gradient, a penalty with g'(0) ≠ 0 and a mean with σ''(0) ≠ 0.
#[test]
fn the_collapsed_state_in_closed_form_is_the_limit_of_small_weights() {
    let check = |ode: ReducedOde<'_>, coefficients: f64, tolerance: f64| {
        let ode = &ode.coefficient_tolerance(coefficients).unwrap();
        let point = collapsed_point(ode).unwrap();
        let (p, m): (usize, usize) = (ode.limit().n_features(), ode.limit().n_neurons());
        let at = |t: f64| {
            let state = OrderParameters::new(DMatrix::zeros(p, m), DMatrix::identity(m, m) * t).unwrap();
            ode.sensitivities(&state, &[]).unwrap().by_state
        };
        // Richardson: the Jacobian is smooth in t.
        let mut row: Vec<DMatrix<f64>> = (0..6).map(|k| at(0.02 / f64::powi(2.0, k))).collect();
        for order in 1..6 {
            let factor = f64::powi(2.0, order);
            row = row.windows(2).map(|pair| (&pair[1] * factor - &pair[0]) / (factor - 1.0)).collect();
        }
        let worst = (&row[0] - &point.jacobian).amax();
        assert!(worst < tolerance, "{worst:e}\n{}\n{}", row[0], point.jacobian);
        let mut rates: Vec<f64> = point.overlap_rates.iter().chain(&point.covariance_rates).copied().collect();
        rates.sort_by(|a, b| b.total_cmp(a));
        for (closed, numerical) in rates.iter().zip(eigenvalues(&row[0]).unwrap()) {
            assert!((numerical - closed).norm() < tolerance, "{closed} against {numerical}");
        }
        point
    };
    let hidden = || independent([two_point(), Law::skewed(1.3, 0.3).unwrap()]);
    let model = builder(hidden()).build().unwrap();
    let point = check(ReducedOde::new(&model).unwrap(), 1e-12, 1e-8);
    // Theory §6, with D = [[1.3, 0.85], [0.85, 1.3]].
    let expected = 0.3 * 2.0 * (2.0 * 0.85 - 0.5) + 2.0 * 0.09 * (1.3 * 1.3 + 0.85 * 0.85);
    assert!((point.covariance_rates[0] - expected).abs() < 1e-14);
    let model = builder(hidden()).batch_size(3).gradient_path(GradientPath::StopGradient).build().unwrap();
    check(ReducedOde::new(&model).unwrap(), 1e-12, 1e-8);
    let model = builder(hidden()).n_neurons(2).penalty_strength(0.7).batch_size(2).build().unwrap();
    check(ReducedOde::new(&model).unwrap(), 1e-12, 1e-8);
    let shifted = Independent::new([PointMasses::new([1.4, -0.3], [0.4, 0.6]).unwrap()]).unwrap();
    let curved = FromFunctions::new(
        |h: f64| h.sin() + 0.4 * (1.0 - h.cos()),
        |h: f64| h.cos() + 0.4 * h.sin(),
        |h: f64| 0.4 * h.cos() - h.sin(),
    );
    let model = builder(shifted).nonlinearity(curved).build().unwrap();
    check(ReducedOde::new(&model).unwrap(), 1e-12, 1e-8);
    let sloped = (|c: f64| 0.8 * c, |_: f64| 0.8);
    let model = builder(hidden()).n_neurons(3).penalty(sloped).penalty_strength(0.4).build().unwrap();
    let point = collapsed_point(&ReducedOde::new(&model).unwrap()).unwrap();
    for (closed, numerical) in rates_of(&point).iter().zip(eigenvalues(&point.jacobian).unwrap()) {
        assert!((numerical - closed).norm() < 1e-12, "modes of the coupling");
    }
    let model = builder(independent([two_point()])).n_neurons(2).penalty(sloped).penalty_strength(0.4).build().unwrap();
    // Averages over whole batches: the rest of g' beside its line is zero here, but each rule is coarser.
    check(ReducedOde::new(&model).unwrap(), 1e-4, 1e-3);
}

fn rates_of(point: &contrastive_dynamics::stability::CollapsedPoint) -> Vec<f64> {
    let mut rates: Vec<f64> = point.overlap_rates.iter().chain(&point.covariance_rates).copied().collect();
    rates.sort_by(|a, b| b.total_cmp(a));
    rates
}

#[test]
fn models_without_a_collapsed_point_are_told_so() {
    let hidden = || independent([two_point()]);
    let sphere = builder(hidden()).constraint(Constraint::Sphere).build().unwrap();
    let refusal = collapsed_point(&ReducedOde::new(&sphere).unwrap());
    assert!(matches!(refusal, Err(FixedPointError::NotCollapsible { .. })));
    let sigmoid = builder(hidden()).nonlinearity(Sigmoid).build().unwrap();
    let refusal = collapsed_point(&ReducedOde::new(&sigmoid).unwrap());
    assert!(matches!(refusal, Err(FixedPointError::NotCollapsible { .. })));
    let relu = builder(hidden()).nonlinearity(Relu).build().unwrap();
    assert!(matches!(collapsed_point(&ReducedOde::new(&relu).unwrap()), Err(FixedPointError::Kink)));
}

#[test]
fn symmetries_are_those_of_the_joint_law_the_penalty_and_the_activation() {
    let count = |ode: &ReducedOde<'_>| {
        let symmetries = Symmetries::detect(ode).unwrap();
        let (p, m) = (ode.limit().n_features(), ode.limit().n_neurons());
        let q = DMatrix::from_fn(p, m, |l, i| 0.1 + 0.13 * l as f64 + 0.29 * i as f64);
        let r = q.tr_mul(&q) + DMatrix::from_fn(m, m, |i, j| if i == j { 0.5 + 0.2 * i as f64 } else { 0.11 });
        symmetries.images(&OrderParameters::new(q, r).unwrap(), 1e-9).len()
    };
    let one = |hidden: Independent| {
        let model = builder(hidden).build().unwrap();
        count(&ReducedOde::new(&model).unwrap())
    };
    assert_eq!(one(independent([two_point(), two_point()])), 8, "signs and exchange");
    assert_eq!(one(independent([two_point(), Law::three_point(2.25, 0.5).unwrap()])), 4, "signs alone");
    // A skewed law leaves the joint sign of the neuron's weights, which σ's parity gives.
    assert_eq!(one(independent([two_point(), Law::skewed(2.25, 0.2).unwrap()])), 4);
    assert_eq!(one(independent([Law::skewed(2.25, 0.2).unwrap(), Law::skewed(2.25, 0.3).unwrap()])), 2);
    // Signs of a joint law that is symmetric as a whole only.
    let s = 1.5;
    let signs = DMatrix::from_row_slice(2, 4, &[s, s, -s, -s, s, -s, s, -s]);
    let model = builder(Discrete::new(signs.clone(), [0.35, 0.15, 0.15, 0.35]).unwrap()).build().unwrap();
    assert_eq!(count(&ReducedOde::new(&model).unwrap()), 4, "both signs, exchange");
    // With an activation of no parity the joint sign goes as well.
    let tilted = FromFunctions::new(
        |h: f64| h.tanh() + 0.3 * h * h / (1.0 + h * h),
        |h: f64| 1.0 - h.tanh().powi(2) + 0.6 * h / (1.0 + h * h).powi(2),
        |h: f64| -2.0 * h.tanh() * (1.0 - h.tanh().powi(2)) + 0.6 * (1.0 - 3.0 * h * h) / (1.0 + h * h).powi(3),
    );
    let skewed = independent([Law::skewed(2.25, 0.2).unwrap(), Law::skewed(2.25, 0.3).unwrap()]);
    let model = builder(skewed).nonlinearity(tilted).build().unwrap();
    assert_eq!(count(&ReducedOde::new(&model).unwrap()), 1);
    // Two neurons, quadratic penalty: their exchange and the sign of either.
    let model = builder(independent([two_point()])).n_neurons(2).penalty_strength(1.0).build().unwrap();
    assert_eq!(count(&ReducedOde::new(&model).unwrap()), 8);
    // A penalty that is not even leaves the joint sign.
    let model = builder(independent([two_point()])).n_neurons(2).penalty((|c: f64| c.exp(), |c: f64| c.exp()));
    let model = model.penalty_strength(1.0).build().unwrap();
    assert_eq!(count(&ReducedOde::new(&model).unwrap()), 4, "joint sign and exchange");
}

#[test]
fn points_on_the_sphere_keep_their_norm() {
    let model = builder(independent([two_point(), two_point()])).constraint(Constraint::Sphere).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let found = FixedPointFinder::new(&ode).find().unwrap();
    assert!(!of_kind(&found, &Kind::Uninformative).is_empty() && !of_kind(&found, &selected(&[Some(0)])).is_empty());
    for point in &found.points {
        assert!((point.state.r()[(0, 0)] - 1.0).abs() < 1e-14);
        assert_eq!((point.coordinates.as_slice(), point.spectrum.values.len()), ([0, 1].as_slice(), 2));
        let rates = ode.rates(&point.state).unwrap();
        assert!(rates.q.amax() < 1e-10);
    }
    assert_eq!(found.stable().count(), 1);
}

#[test]
fn a_point_is_polished_from_a_start_nearby() {
    let model = builder(independent([two_point(), two_point()])).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let start = OrderParameters::from_rows(2, 1, &[0.7, 0.2], &[1.0]).unwrap();
    let finder = FixedPointFinder::new(&ode).sobol_starts(0);
    let plain = finder.deflated_starts(0).start(&start).find().unwrap();
    assert_eq!(plain.points.len(), 4);
    let polished = FixedPointFinder::new(&ode).polish(&start).unwrap();
    assert_eq!(polished.stop, NewtonStop::Converged);
    assert!(plain.points.iter().any(|p| (p.state.to_packed() - polished.state.to_packed()).amax() < 1e-9));
}

#[test]
fn starts_that_fail_are_listed_with_the_reason_and_bad_tolerances_refused() {
    let model = builder(independent([two_point()])).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let found = FixedPointFinder::new(&ode).step_limit(1).sobol_starts(3).deflated_starts(0).find().unwrap();
    assert!(found.failed.iter().filter(|failed| failed.stop == NewtonStop::StepLimit).count() >= 3);
    assert!(found.failed.iter().all(|failed| failed.residuals.len() == 2 && failed.residuals[1] > 0.0));
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let finder = || FixedPointFinder::new(&ode);
        for search in
            [finder().tolerance(bad), finder().separation(bad), finder().degeneracy(bad), finder().purity(bad)]
        {
            assert!(matches!(search.find(), Err(FixedPointError::Tolerance { .. })));
        }
    }
    let two = OrderParameters::from_rows(2, 1, &[0.1, 0.1], &[1.0]).unwrap();
    assert!(matches!(FixedPointFinder::new(&ode).polish(&two), Err(FixedPointError::Limit(_))));
}

#[test]
fn two_neurons_with_the_penalty_have_points_on_the_boundary_and_inside() {
    let model = builder(independent([two_point()])).n_neurons(2).penalty_strength(1.0).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let found = FixedPointFinder::new(&ode).sobol_starts(4).deflated_starts(1).find().unwrap();
    let boundary = |point: &FixedPoint| point.state.background().determinant().abs() < 1e-9;
    assert!(found.points.iter().any(|p| p.kind == Kind::Uninformative && !boundary(p)));
    assert!(found.points.iter().any(|p| p.kind == Kind::Uninformative && boundary(p)));
    // A neuron without weights does not feel the other, nor the other it.
    let mut alone = of_kind(&found, &selected(&[Some(0), None]));
    alone.extend(of_kind(&found, &selected(&[None, Some(0)])));
    assert!(alone.iter().any(|p| (p.state.q().amax() - 0.984_068_319_463).abs() < 1e-6 && boundary(p)));
    for point in &found.points {
        let rates = ode.rates(&point.state).unwrap();
        assert!(rates.q.amax().max(rates.r.amax()) < 1e-6);
    }
}

#[test]
fn single_precision_serves_too() {
    let noise = GaussianNoise::<f32>::correlated(0.3, -0.5).unwrap();
    let hidden = Independent::new([Law::two_point(2.25_f32).unwrap()]).unwrap();
    let model = Model::builder_in::<f32>().nonlinearity(Tanh).hidden(hidden).noise(noise).learning_rate(0.3);
    let model = model.weight_decay(0.5).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let found = FixedPointFinder::new(&ode).find().unwrap();
    let stable: Vec<_> = found.stable().collect();
    assert_eq!(stable.len(), 1);
    assert!((stable[0].state.q()[(0, 0)].abs() - 0.984_068_3).abs() < 1e-3);
}

/// Twelve equal features: a fixed point has up to 12! 2¹² images, and each class is listed once, with its size.
#[test]
fn many_equal_features_give_each_class_once() {
    let model = builder(independent([(); 12].map(|()| two_point()))).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let finder = FixedPointFinder::new(&ode).sobol_starts(6).deflated_starts(0);
    let mut seen = Vec::new();
    let found = finder.find_with(|found, starts| {
        seen.push((found.points.len(), starts));
        ControlFlow::Continue(())
    });
    let found = found.unwrap();
    assert!(seen.windows(2).all(|pair| pair[1].1 == pair[0].1 + 1 && pair[1].0 >= pair[0].0));
    // A class by the sizes of its overlaps in order.
    let class = |point: &FixedPoint| -> Vec<f64> {
        let mut sizes: Vec<f64> = point.state.q().iter().map(|q| (q.abs() * 1e5).round()).collect();
        sizes.sort_by(f64::total_cmp);
        sizes
    };
    for (k, point) in found.points.iter().enumerate() {
        let other = found.points[..k].iter().find(|other| class(other) == class(point) && other.kind == point.kind);
        assert!(other.is_none(), "{point} {other:?}");
    }
    // One feature and one of two signs; two and their signs.
    let counts = |kind: &Kind| of_kind(&found, kind).iter().map(|p| p.image_count).collect::<Vec<_>>();
    assert_eq!(counts(&selected(&[Some(0)])), [24.0]);
    let pair = of_kind(&found, &Kind::Mixed).into_iter().find(|p| class(p)[9] == 0.0).unwrap();
    assert_eq!(pair.image_count, 66.0 * 4.0);
    // What is stopped keeps what it has.
    let stopped = finder.find_with(|found, _| match found.points.len() {
        3.. => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert_eq!(stopped.unwrap().points.len(), 3);
}

/// Without symmetries a state has no image but itself, and is related to nothing else.
#[test]
fn no_symmetry_but_the_identity() {
    let none = Symmetries::none();
    let [state, mirror] = [0.4, -0.4].map(|q| OrderParameters::from_rows(1, 1, &[q], &[1.0]).unwrap());
    assert_eq!(none.images(&state, 1e-6), std::slice::from_ref(&state));
    assert_eq!(none.count(&state, 1e-6), 1.0);
    assert!(none.relate(&state, &state, 1e-6) && !none.relate(&state, &mirror, 1e-6));
    let model = crate::support::models::one_feature();
    let own = Symmetries::detect(&ReducedOde::new(&model).unwrap()).unwrap();
    assert!(own.relate(&state, &mirror, 1e-6) && own.count(&state, 1e-6) == 2.0);
}
