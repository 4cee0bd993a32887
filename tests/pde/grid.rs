//! The McKean-Vlasov equation on a grid: against the reduced ODE, closed forms, itself at other resolutions, particles,
//! and simulation at finite N.

use contrastive_dynamics::integrate::Output;
use contrastive_dynamics::model::{
    Constraint, ElasticNet, GaussianNoise, Independent, L1, L2, Law, Model, NoNoise, Regularizer, SmoothedL1, Tanh,
};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::pde::grid::{Flux, GridError, GridFailure, GridSolver};
use contrastive_dynamics::pde::observables::ObservableError;
use contrastive_dynamics::start::{FeatureLaw, LinearGaussianStart, StartError};
use contrastive_dynamics::state::{OrderParameters, RunError, StopReason};

type Trained<G> = Model<f64, Tanh, Independent, GaussianNoise, G>;

fn model<G: Regularizer>(features: usize, regularizer: G, decay: f64) -> Trained<G> {
    let laws = [Law::two_point(2.25).unwrap(), Law::three_point(2.25, 0.5).unwrap()];
    let builder = Model::builder().nonlinearity(Tanh).hidden(Independent::new(laws[..features].to_vec()).unwrap());
    let builder = builder.noise(GaussianNoise::correlated(0.3, -0.5).unwrap()).learning_rate(0.3);
    builder.regularizer(regularizer).weight_decay(decay).build().unwrap()
}

fn start(law: FeatureLaw, q: &[f64], r: f64) -> LinearGaussianStart {
    LinearGaussianStart::new(law, &OrderParameters::from_rows(q.len(), 1, q, &[r]).unwrap()).unwrap()
}

/// The largest difference of two states.
fn distance(x: &OrderParameters, y: &OrderParameters) -> f64 {
    (x.to_packed() - y.to_packed()).amax()
}

/// Gaussian features and a linear regulariser: every conditional density stays Gaussian, and (Q, R) obeys the ODE.
#[test]
fn under_l2_the_law_stays_gaussian_with_the_moments_of_the_ode() {
    let times = vec![0.5, 2.0, 8.0, 20.0];
    for q in [&[0.4][..], &[0.35, 0.2]] {
        let model = model(q.len(), L2, 0.5);
        let law = start(FeatureLaw::gaussian(), q, 1.0);
        let mut solver = GridSolver::builder(&model).feature_nodes(6).start(&law).build().unwrap();
        let output = Output::Times(times.clone());
        let run = solver.run(20.0, &output).unwrap();
        let ode = ReducedOde::new(&model).unwrap().solver().output(output).solve(law.state(), 20.0).unwrap();
        for (grid, ode) in run.states().iter().zip(ode.states()) {
            assert!(distance(grid, ode) < 1e-6, "{}", distance(grid, ode));
        }
        assert!(solver.mass_defect() < 1e-12 && solver.error_estimate() < 1e-4);
        let (density, state) = (solver.density(), solver.order_parameters());
        let variance = state.background()[(0, 0)];
        let nodes = density.nodes();
        for k in 0..nodes.weights.len() {
            let mean = nodes.nodes.column(k).dot(&state.q().column(0));
            for (w, value) in density.centres().into_iter().zip(density.conditional_density(k).unwrap()) {
                let gaussian = (-0.5 * (w - mean).powi(2) / variance).exp() / (std::f64::consts::TAU * variance).sqrt();
                // The shape, unlike the moments, carries the error of space.
                assert!(value >= 0.0 && (value - gaussian).abs() < 5e-5, "{k} {w} {}", value - gaussian);
            }
        }
    }
}

/// The error at t = 2 against a fine solution, for two step sizes or widths each half of the one before: its order.
fn order_of(errors: [f64; 2]) -> f64 {
    (errors[0] / errors[1]).log2()
}

#[test]
fn steps_in_time_converge_with_the_order_that_was_set() {
    let (model, law) = (model(1, L1, 0.2), start(FeatureLaw::rademacher(), &[0.4], 1.0));
    let builder = || GridSolver::builder(&model).width(0.05);
    let mut fine = builder().order(4).step_size(0.01).start(&law).build().unwrap();
    fine.run(2.0, &Output::Stop).unwrap();
    for order in 2..=4 {
        let errors = [0.25, 0.125].map(|size| {
            let mut solver = builder().order(order).step_size(size).start(&law).build().unwrap();
            solver.run(2.0, &Output::Stop).unwrap();
            distance(solver.order_parameters(), fine.order_parameters())
        });
        let measured = order_of(errors);
        assert!((measured - order as f64).abs() < 0.35, "order {order}: {measured}, errors {errors:?}");
    }
}

/// Fourth order, at the kink of L1 and for both fluxes; in the distribution function at edges and the density at the kink, too.
#[test]
fn cells_converge_with_order_four() {
    let law = start(FeatureLaw::rademacher(), &[0.4], 1.0);
    let model = model(1, L1, 0.3);
    for flux in [Flux::Moments, Flux::ChangCooper] {
        let solve = |width: f64| {
            let builder = GridSolver::builder(&model).width(width).space_tolerance(f64::INFINITY).flux(flux);
            let mut solver = builder.tolerance(1e-9).start(&law).build().unwrap();
            solver.run(3.0, &Output::Stop).unwrap();
            assert_eq!(solver.width(), width, "it stays");
            let density = solver.density();
            let marginal = density.marginal().unwrap();
            let mut values: Vec<f64> = solver.order_parameters().to_packed().iter().copied().collect();
            // Edges at odd multiples of 0.03 are edges at a third of the width too.
            values.extend([0.03, 0.57, 1.05].map(|delta| marginal.fraction_within(delta).unwrap()));
            let zero = density.centres().iter().position(|w| *w == 0.0).unwrap();
            values.extend([density.density()[zero], density.conditional_density(0).unwrap()[zero]]);
            values
        };
        let fine = solve(0.06 / 9.0);
        let errors =
            [0.06, 0.02].map(|width| solve(width).iter().zip(&fine).map(|(x, y)| (x - y).abs()).collect::<Vec<_>>());
        for k in 0..fine.len() {
            // (1 − 3⁻⁸)/(3⁻⁴ − 3⁻⁸) = 82 for order four, 28 for order three, 10 for order two.
            let ratio = errors[0][k] / errors[1][k];
            // Of errors below 2e-8 others are seen.
            assert!(
                ratio > 50.0 || errors[1][k] < 2e-8,
                "{flux:?}, value {k}: {ratio}, {:?}",
                (errors[0][k], errors[1][k])
            );
        }
    }
}

/// The error in space that is estimated, of cells of width h alone, is that of the order two of these, and bounds that of the answer.
#[test]
fn the_error_in_space_is_estimated() {
    let law = start(FeatureLaw::rademacher(), &[0.4], 1.0);
    let model = model(1, L1, 0.3);
    let solve = |width: f64| {
        let builder = GridSolver::builder(&model).width(width).space_tolerance(f64::INFINITY);
        let mut solver = builder.tolerance(1e-8).start(&law).build().unwrap();
        solver.run(3.0, &Output::Stop).unwrap();
        solver
    };
    let fine = solve(0.01);
    let of_density = |solver: &GridSolver<'_, _>| {
        let (density, fine) = (solver.density(), fine.density());
        let at = |w: f64| {
            let near = |centre: &f64| (centre - w).abs() < 1e-9;
            fine.centres().iter().position(near).map_or(0.0, |place| fine.density()[place])
        };
        let pairs = density.centres().into_iter().zip(density.density());
        pairs.map(|(w, value)| solver.width() * (value - at(w)).abs()).sum::<f64>()
    };
    let estimates = [0.08, 0.04].map(|width| {
        let solver = solve(width);
        let error = of_density(&solver).max(distance(solver.order_parameters(), fine.order_parameters()));
        assert!(error < 0.3 * solver.space_error_estimate(), "{error} {}", solver.space_error_estimate());
        solver.space_error_estimate()
    });
    assert!((3.5..4.5).contains(&(estimates[0] / estimates[1])), "{estimates:?}");
}

/// A small learning rate makes the densities narrow: cells are halved again and again, and Q and R stay those of the ODE. A start that
/// is narrow for what comes is followed by cells of double the width.
#[test]
fn cells_follow_densities_that_become_narrow_or_wide() {
    let laws = [Law::two_point(2.25).unwrap()];
    let slow = Model::builder().nonlinearity(Tanh).hidden(Independent::new(laws).unwrap());
    let slow = slow
        .noise(GaussianNoise::correlated(0.3, -0.5).unwrap())
        .learning_rate(0.01)
        .weight_decay(1.5)
        .build()
        .unwrap();
    let law = start(FeatureLaw::rademacher(), &[0.9], 1.0);
    let builder = GridSolver::builder(&slow).tolerance(1e-7).space_tolerance(2e-4);
    let mut solver = builder.start(&law).build().unwrap();
    let before = solver.width();
    solver.run(150.0, &Output::Stop).unwrap();
    let ode = ReducedOde::new(&slow).unwrap().solver().solve(law.state(), 150.0).unwrap();
    assert!(solver.width() < 0.2 * before && solver.mass_defect() < 1e-12);
    assert!(distance(solver.order_parameters(), ode.last().unwrap().1) < 4e-6);

    let model = model(1, L2, 0.1);
    let law = start(FeatureLaw::rademacher(), &[0.3], 0.0925);
    let mut solver = GridSolver::builder(&model).tolerance(1e-7).start(&law).build().unwrap();
    let before = solver.width();
    solver.run(40.0, &Output::Stop).unwrap();
    let ode = ReducedOde::new(&model).unwrap().solver().solve(law.state(), 40.0).unwrap();
    assert!(solver.width() > 1.9 * before && solver.mass_defect() < 1e-12);
    assert!(distance(solver.order_parameters(), ode.last().unwrap().1) < 4e-6);
}

/// What is not finite is an error with all that came before, no drift of zero.
#[test]
fn a_regulariser_that_is_not_finite_far_out_is_an_error() {
    #[derive(Debug, Clone)]
    struct Broken;
    impl Regularizer for Broken {
        fn apply(&self, w: f64) -> f64 {
            if w.abs() > 19.0 { f64::NAN } else { w }
        }
    }
    let model = model(1, Broken, 0.001);
    let law = start(FeatureLaw::rademacher(), &[0.4], 4.0);
    assert!(matches!(
        GridSolver::builder(&model).start(&start(FeatureLaw::rademacher(), &[0.4], 9.0)).build(),
        Err(GridError::Unfit(GridFailure::Regularizer { .. }))
    ));
    let Err(GridError::Run(RunError::Failed { source, trajectory, .. })) =
        GridSolver::builder(&model).step_size(0.05).start(&law).build().unwrap().run(60.0, &Output::EverySteps(1))
    else {
        panic!("cells beyond 19 have no drift")
    };
    assert!(matches!(source, GridFailure::Regularizer { w, value } if w.abs() > 19.0 && value.is_nan()), "{source:?}");
    assert!(trajectory.states().iter().all(|state| state.r()[(0, 0)].is_finite()));
}

/// At rest the density given u is exp of a piecewise quadratic, by D ∂ρ = bρ, with the solver's own Q and R.
#[test]
fn the_stationary_density_under_l1_is_the_closed_form() {
    let law = start(FeatureLaw::rademacher(), &[0.6], 1.0);
    let (decay, model) = (0.3 * 0.2, model(1, L1, 0.2));
    let mut solver = GridSolver::builder(&model).width(0.02).tolerance(1e-6).start(&law).build().unwrap();
    solver.run(400.0, &Output::Stop).unwrap();
    let state = solver.order_parameters().clone();
    let limit = contrastive_dynamics::limit::Limit::new(&model).unwrap();
    let coefficients = limit.coefficients(&state).unwrap().coefficients;
    let drift = coefficients.drift(&state);
    let diffusion = 0.5 * coefficients.lambda[(0, 0)];
    let density = solver.density();
    let distance = |k: usize, decay: f64| -> f64 {
        let shift = density.nodes().nodes[(0, k)] * drift.alpha[(0, 0)];
        let log = |w: f64| (shift * w + 0.5 * drift.beta[(0, 0)] * w * w - decay * w.abs()) / diffusion;
        let weights: Vec<f64> = density.centres().iter().map(|&w| log(w).exp()).collect();
        // The trapezoid rule is short of the jump of the slope at zero by a twelfth of h².
        let h = density.width();
        let total = h * weights.iter().sum::<f64>() - h * h / 6.0 * decay / diffusion;
        let pairs = density.conditional_density(k).unwrap().into_iter().zip(&weights);
        pairs.map(|(n, w)| h * (n - w / total).abs()).sum()
    };
    for k in 0..2 {
        assert!(distance(k, decay) < 1e-4, "{}", distance(k, decay));
        assert!(distance(k, 1.001 * decay) > 2e-4, "the control, 0.1 % more decay, is seen");
    }
}

/// A start of width 0.05 that spreads twentyfold: cells are added, no mass is lost, none is negative, whatever the step.
#[test]
fn the_domain_grows_and_steps_of_any_length_keep_mass_and_sign() {
    let law = start(FeatureLaw::sparse(0.2).unwrap(), &[0.3], 0.0925);
    let model = model(1, ElasticNet::new(0.5).unwrap(), 0.1);
    for size in [None, Some(0.5), Some(2.0)] {
        let builder = GridSolver::builder(&model).width(0.02);
        let builder = match size {
            Some(size) => builder.step_size(size),
            None => builder.tolerance(1e-5),
        };
        let mut solver = builder.start(&law).build().unwrap();
        let before = solver.density().centres().len();
        let run = solver.run(40.0, &Output::EverySteps(1)).unwrap();
        assert!(run.states().len() > 2 && solver.density().centres().len() > 2 * before);
        assert!(solver.mass_defect() < 1e-12, "{}", solver.mass_defect());
        for k in 0..3 {
            assert!(solver.density().conditional_masses(k).unwrap().iter().all(|&n| n >= 0.0));
        }
        assert_eq!(run.stop_reason(), StopReason::EndTime);
    }
}

/// Densities of the user's: a mixture that is no Gaussian, as the closed form of an Ornstein-Uhlenbeck process moves it.
#[test]
fn densities_of_ones_own_are_moved_as_a_linear_drift_moves_them() {
    let model = model(1, L2, 0.5);
    let bump = |w: f64, mean: f64| (-0.5 * ((w - mean) / 0.3).powi(2)).exp();
    let nodes = FeatureLaw::rademacher().nodes(1, 1, 10).unwrap();
    let mut solver = GridSolver::builder(&model)
        .width(0.01)
        .densities(nodes, (-5.0, 5.0), |k, w| bump(w, -1.0 + k as f64) + 3.0 * bump(w, 1.0))
        .build()
        .unwrap();
    let start = solver.order_parameters().clone();
    solver.run(1.0, &Output::Stop).unwrap();
    let ode = ReducedOde::new(&model).unwrap().solver().solve(&start, 1.0).unwrap();
    assert!(distance(solver.order_parameters(), ode.last().unwrap().1) < 1e-6);
    // w is a contraction of what it was and a shift and a normal of its own: third central moments scale with the cube of the
    // contraction, and means given both nodes differ by the contraction of their difference, and the drift of the feature.
    // Of weights 1/4 and 3/4 at a distance d the third central moment is −3d³/32.
    let third = |masses: &[f64], centres: &[f64]| {
        let mean: f64 = masses.iter().zip(centres).map(|(n, w)| n * w).sum();
        masses.iter().zip(centres).map(|(n, w)| n * (w - mean).powi(3)).sum::<f64>()
    };
    let density = solver.density();
    let centres = density.centres();
    let of = |k: usize| third(&density.conditional_masses(k).unwrap(), &centres);
    let (wide, narrow) = (of(0), of(1));
    // Of distances 2 and 1, by the same contraction.
    assert!((wide - 8.0 * narrow).abs() < 1e-3 * wide.abs(), "{wide} {narrow}");
    let contraction = (wide / (-3.0 * 8.0 / 32.0)).cbrt();
    // dw/dt = βw + ...: the exponential of the integral of β along the solution, by the reduced ODE.
    let steps = 200;
    let ode = ReducedOde::new(&model).unwrap();
    let times: Vec<f64> = (0..=steps).map(|n| f64::from(n) / f64::from(steps)).collect();
    let path = ode.solver().output(Output::Times(times)).solve(&start, 1.0).unwrap();
    let slopes: Vec<f64> = path
        .iter()
        .map(|(_, state)| {
            let coefficients = ode.limit().coefficients(state).unwrap().coefficients;
            coefficients.drift(state).beta[(0, 0)] - 0.3 * 0.5
        })
        .collect();
    let trapezoid = slopes.windows(2).map(|ends| 0.5 * (ends[0] + ends[1])).sum::<f64>() / f64::from(steps);
    assert!((contraction - trapezoid.exp()).abs() < 1e-3, "{contraction} {}", trapezoid.exp());
}

#[test]
fn smoothed_l1_tends_to_l1() {
    let law = start(FeatureLaw::rademacher(), &[0.4], 1.0);
    let exact = model(1, L1, 0.3);
    let mut sharp = GridSolver::builder(&exact).tolerance(1e-5).start(&law).build().unwrap();
    sharp.run(3.0, &Output::Stop).unwrap();
    let mut errors = Vec::new();
    for delta in [0.2, 0.05] {
        let smooth = model(1, SmoothedL1::new(delta).unwrap(), 0.3);
        let mut solver = GridSolver::builder(&smooth).tolerance(1e-5).start(&law).build().unwrap();
        solver.run(3.0, &Output::Stop).unwrap();
        errors.push(distance(solver.order_parameters(), sharp.order_parameters()));
    }
    assert!(errors[1] < 0.4 * errors[0] && errors[0] < 0.1, "{errors:?}");
}

#[test]
fn what_cannot_be_solved_is_an_error_that_says_so() {
    let one = model(1, L1, 0.3);
    let law = start(FeatureLaw::rademacher(), &[0.4], 1.0);
    let builder = || GridSolver::builder(&one);
    let two = start(FeatureLaw::rademacher(), &[0.4, 0.1], 1.0);
    assert!(matches!(
        builder().start(&two).build(),
        Err(GridError::Start(StartError::Model { start_features: 2, .. }))
    ));
    let sharp = start(FeatureLaw::rademacher(), &[0.5], 0.25);
    assert!(matches!(builder().start(&sharp).build(), Err(GridError::Unfit(GridFailure::Unresolved { .. }))));
    assert!(matches!(builder().width(1.0).start(&law).build(), Err(GridError::Unfit(GridFailure::Unresolved { .. }))));
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(builder().width(bad).start(&law).build().is_err(), "{bad}");
        assert!(matches!(builder().tolerance(bad).start(&law).build(), Err(GridError::Setting { .. })));
        assert!(matches!(builder().step_size(bad).start(&law).build(), Err(GridError::Setting { .. })));
    }
    assert!(matches!(builder().order(5).start(&law).build(), Err(GridError::Setting { name: "order", .. })));
    assert!(matches!(builder().cell_limit(10).start(&law).build(), Err(GridError::Unfit(GridFailure::Cells { .. }))));
    let nodes = || FeatureLaw::rademacher().nodes(1, 1, 10).unwrap();
    let missing = builder().densities(nodes(), (-1.0, 1.0), |_, _| 1.0).build();
    assert!(matches!(missing, Err(GridError::Setting { name: "width", .. })));
    let negative = builder().width(0.1).densities(nodes(), (-1.0, 1.0), |_, w| w).build();
    assert!(matches!(negative, Err(GridError::Density { node: 0, .. })));
    let mut wrong = nodes();
    wrong.nodes *= 1.1;
    let wrong = builder().width(0.1).densities(wrong, (-1.0, 1.0), |_, _| 1.0).build();
    assert!(matches!(wrong, Err(GridError::Features { .. })));

    let pair = Model::builder().nonlinearity(Tanh).hidden(Independent::new([Law::two_point(1.0).unwrap()]).unwrap());
    let pair = pair.noise(NoNoise).learning_rate(0.3).n_neurons(2).build().unwrap();
    assert!(matches!(GridSolver::builder(&pair).start(&law).build(), Err(GridError::Neurons { neurons: 2 })));
    let sphere = Model::builder().nonlinearity(Tanh).hidden(Independent::new([Law::two_point(1.0).unwrap()]).unwrap());
    let sphere = sphere.noise(NoNoise).learning_rate(0.3).constraint(Constraint::Sphere).build().unwrap();
    assert!(matches!(GridSolver::builder(&sphere).start(&law).build(), Err(GridError::Constrained)));

    let mut solver = builder().tolerance(1e-4).step_limit(3).start(&law).build().unwrap();
    let limited = solver.run(50.0, &Output::EverySteps(1));
    let Err(GridError::Run(RunError::StepLimit { steps: 3, trajectory, .. })) = limited else {
        panic!("three steps are too few")
    };
    assert_eq!(trajectory.times().len(), 4);
    assert!(matches!(solver.run(0.0, &Output::Stop), Err(GridError::Run(RunError::Output(_)))));
    // Strong decay makes the weights narrower than any cells that are allowed: an error with all that came before, no wrong number.
    let strong = model(1, L1, 2.0);
    let builder = GridSolver::builder(&strong).tolerance(1e-4).width(0.05).cell_limit(6000);
    let mut solver = builder.start(&law).build().unwrap();
    let failed = solver.run(20.0, &Output::EverySteps(1));
    let Err(GridError::Run(RunError::Failed { time, source: GridFailure::Cells { most: 6000, .. }, trajectory })) =
        failed
    else {
        panic!("the weights collapse")
    };
    assert!(trajectory.times().len() > 2);
    // Time and state are those before the failed step, in the error, the trajectory and the solver.
    assert_eq!(trajectory.last(), Some((time, solver.order_parameters())));
    assert_eq!((solver.time(), trajectory.stop_reason()), (time, StopReason::Failure { time }));
}

/// At the start, Gaussian given u: conditional laws have its moments, and the law of all weights is their mixture.
#[test]
fn densities_at_the_start_are_those_of_the_law() {
    let (q, variance) = (0.4, 0.84);
    let (model, law) = (model(1, L1, 0.3), start(FeatureLaw::sparse(0.4).unwrap(), &[q], q * q + variance));
    let solver = GridSolver::builder(&model).width(0.05).start(&law).build().unwrap();
    let (density, h) = (solver.density(), 0.05_f64);
    let nodes = density.nodes();
    let weights = [0.2, 0.6, 0.2];
    assert!(nodes.weights.iter().zip(weights).all(|(x, y)| (x - y).abs() < 1e-12), "{:?}", nodes.weights);
    let mut parts = Vec::new();
    for (k, weight) in weights.into_iter().enumerate() {
        let conditional = density.conditional(k).unwrap();
        assert!((conditional.mean() - q * nodes.nodes[(0, k)]).abs() < 1e-10, "{}", conditional.mean());
        // Constant within cells of width h, of which the masses are those of the law.
        assert!((conditional.variance() - variance - h * h / 6.0).abs() < 1e-8, "{}", conditional.variance());
        parts.push((weight, conditional));
    }
    assert!(matches!(density.conditional(3), Err(ObservableError::Empty)) && density.conditional_masses(3).is_none());
    let marginal = density.marginal().unwrap();
    for w in [-1.5, -0.2, 0.0, 0.3, 2.0] {
        let mixed: f64 = parts.iter().map(|(weight, part)| weight * part.cdf(w)).sum();
        assert!((marginal.cdf(w) - mixed).abs() < 1e-12);
    }
    let (masses, values) = (density.masses(), density.density());
    assert!((masses.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    for ((mass, value), w) in masses.iter().zip(&values).zip(density.centres()) {
        // The curvature of a density over a cell.
        assert!((value * h - mass).abs() < 1e-4 * h);
        let normal = |u: f64| (-0.5 * (w - q * u).powi(2) / variance).exp() / (std::f64::consts::TAU * variance).sqrt();
        let exact = 0.6 * normal(0.0) + 0.2 * (normal(0.4_f64.sqrt().recip()) + normal(-0.4_f64.sqrt().recip()));
        assert!((value - exact).abs() < 1e-9, "{w}: {value} {exact}");
    }
}

/// The tolerance and the budget of the coefficients reach the limit: a looser one costs fewer nodes, a budget too small is refused.
#[test]
fn settings_of_the_coefficients_reach_the_limit() {
    let (model, law) = (model(1, L1, 0.3), start(FeatureLaw::rademacher(), &[0.4], 1.0));
    let builder = || GridSolver::builder(&model).width(0.1).step_size(0.25).start(&law);
    let work = |tolerance: f64| {
        let mut solver = builder().coefficient_tolerance(tolerance).build().unwrap();
        solver.run(2.0, &Output::Stop).unwrap();
        solver.work()
    };
    let (coarse, fine) = (work(1e-2), work(1e-10));
    assert_eq!((coarse.accepted_steps, coarse.rejected_steps, fine.accepted_steps), (8, 0, 8));
    assert_eq!(coarse.right_hand_sides, fine.right_hand_sides);
    assert!(coarse.right_hand_sides >= 8 && 2 * coarse.quadrature_nodes < fine.quadrature_nodes, "{coarse:?} {fine:?}");
    assert!(builder().coefficient_tolerance(-1.0).build().is_err());
    assert!(matches!(builder().node_budget(1).build(), Err(GridError::Limit(_))));
    assert!(builder().node_budget(1_000_000).build().is_ok());
}
