//! Fixed points of the reduced ODE: where they are, what is known of them, and that none is listed twice.

use contrastive_dynamics::integrate::{DormandPrince, Output};
use contrastive_dynamics::model::hidden::{Discrete, PointMasses};
use contrastive_dynamics::model::{
    Constraint, FromFunctions, GaussianNoise, GradientFlow, HiddenDistribution, Independent, Law, Model, ModelBuilder,
    Relu, Sigmoid, Tanh,
};
use contrastive_dynamics::nalgebra::{DMatrix, DVector};
use contrastive_dynamics::stability::{
    FixedPoint, FixedPointError, FixedPointFinder, FixedPoints, Kind, NewtonStop, Stability, Symmetries,
    collapsed_point, eigenvalues,
};
use contrastive_dynamics::{OrderParameters, ReducedOde};

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
    let (p, m) = (point.state.features(), point.state.neurons());
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
