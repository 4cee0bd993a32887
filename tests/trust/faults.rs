//! Seeded faults that other tests let pass: each test here sees one or two of them. The list is in tests/faults.txt.

use contrastive_dynamics::integrate::{DormandPrince, Output};
use contrastive_dynamics::limit::{Limit, Parameter, Quadrature};
use contrastive_dynamics::model::{
    AugmentationNoise, GaussianNoise, GradientPath, HiddenDistribution, Independent, L1, Law, LinearRegularizer, Model,
    Polynomial, Quartic, Regularizer, SmoothedL1, Tanh, ViewCovariance,
};
use contrastive_dynamics::nalgebra::{Complex, DMatrix, DVector, Matrix2, Matrix3, Vector3};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::pde::grid::GridSolver;
use contrastive_dynamics::rand::Rng;
use contrastive_dynamics::sgd::{DirectSgd, ProjectedChain, Simulator};
use contrastive_dynamics::stability::{
    AttractionRegions, ContinuationSystem, FamilyCurve, FamilyError, OdeFamily, Symmetries, collapsed_point,
    eigenvalues, learnability, steady_state,
};
use contrastive_dynamics::start::{FeatureLaw, LinearGaussianStart};
use contrastive_dynamics::state::{Direction, OrderParameters, Run, StopReason};

use crate::support::models::{equal_features, informed_start, one_feature, reference};

/// A solution scales with its system if only the relative tolerance counts: the same steps, and a power of two besides.
#[test]
fn the_relative_tolerance_is_relative() {
    struct Decay;
    impl contrastive_dynamics::integrate::System for Decay {
        type Error = std::convert::Infallible;
        fn dimension(&self) -> usize {
            1
        }
        fn rates(&mut self, _t: f64, y: &[f64], rates: &mut [f64]) -> Result<(), Self::Error> {
            rates[0] = -y[0];
            Ok(())
        }
    }
    let run = |start: f64| {
        let method = DormandPrince::new(1e-6, 1e-300).unwrap();
        let mut decay = contrastive_dynamics::state::Integration::new(Decay, method, 0.0, vec![start]);
        Run::of(&mut decay).output(Output::EverySteps(1)).to(5.0).unwrap()
    };
    let (small, large) = (run(1.0), run(1024.0));
    // The first step is chosen by sizes too; the later ones are as long.
    let steps = |run: &contrastive_dynamics::state::Trajectory<f64, Vec<f64>>| run.times().len();
    assert!(steps(&small).abs_diff(steps(&large)) <= 1, "{} and {}", steps(&small), steps(&large));
    assert!(steps(&small) > 10);
}

#[test]
fn of_two_events_at_one_time_the_first_counts() {
    let model = one_feature();
    let start = informed_start();
    let mut chain = ProjectedChain::builder(&model, 100).start(&start).build_seeded(1).unwrap();
    let event = |t: f64, _: &OrderParameters| t - 0.505;
    let run = Run::of(&mut chain).event(Direction::Rising, event).event(Direction::Rising, event).to(1.0).unwrap();
    assert!(matches!(run.stop_reason(), StopReason::Event { index: 0, .. }), "{:?}", run.stop_reason());
}

/// The parameter is the mean variance: the coefficients are those of the model that is built with all variances scaled.
#[test]
fn unequal_views_are_rescaled_together() {
    let views = |scale: f64| ViewCovariance::new(0.2 * scale, 0.05 * scale, 0.6 * scale).unwrap();
    let model = |scale: f64| {
        let noise = GaussianNoise::new(views(scale), views(1.0));
        reference([Law::two_point(2.25).unwrap()]).noise(noise).build().unwrap()
    };
    let (one, two) = (model(1.0), model(2.0));
    let changed = Limit::new(&one).unwrap().with_parameter(Parameter::FeatureNoiseVariance, 0.8).unwrap();
    let built = Limit::new(&two).unwrap();
    let at = |limit: &Limit<'_>| limit.coefficients(&informed_start()).unwrap().coefficients;
    assert!((at(&changed).a - at(&built).a).amax() < 1e-12);
    assert!((at(&changed).lambda - at(&built).lambda).amax() < 1e-12);
}

#[test]
fn the_smoothed_regulariser_is_that_of_its_width() {
    let smoothed = SmoothedL1::new(0.3).unwrap();
    for (w, expected) in [(0.3, 0.5_f64.sqrt()), (-0.4, -0.8), (0.72, 0.72 / 0.78)] {
        assert!((smoothed.apply(w) - expected).abs() < 1e-15);
    }
}

#[test]
fn laws_side_by_side_have_the_product_of_their_means() {
    let law = |low: f64| Independent::new([Law::point_masses([low, 1.0], [0.25, 0.75]).unwrap()]).unwrap();
    let both = law(-1.0).and(law(0.0));
    let (first, second) = (0.5, 0.75);
    assert!((both.second_moment() - DMatrix::from_row_slice(2, 2, &[1.0, 0.375, 0.375, 0.75])).amax() < 1e-15);
    assert!((both.mean() - DVector::from_column_slice(&[first, second])).amax() < 1e-15);
}

/// Growth rates of several neurons whose outputs are correlated, in batches of three: against the Jacobian, computed by other code.
#[test]
fn growth_rates_of_correlated_neurons_are_those_of_the_jacobian() {
    let model = equal_features(1).n_neurons(2).penalty_strength(0.4).batch_size(3).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let mut correlated = 0;
    for point in learnability(&ode).unwrap() {
        let r = point.state.r();
        if r[(0, 0)] < 1e-3 || r[(0, 1)].abs() < 1e-3 {
            continue;
        }
        let Ok(answer) = ode.sensitivities(&point.state, &[]) else { continue };
        correlated += 1;
        let jacobian = answer.by_state;
        let block = jacobian.view((0, 0), (2, 2)).into_owned();
        let mut rates: Vec<f64> = eigenvalues(&block).unwrap().iter().map(|x| x.re).collect();
        rates.sort_by(|a, b| b.total_cmp(a));
        for (rate, expected) in point.rates[0].iter().zip(rates) {
            assert!((rate.re - expected).abs() < 1e-6, "{} {expected} at {r}", rate.re);
        }
    }
    assert!(correlated > 0);
}

/// Averages over whole batches move with a second moment as their differences say.
#[test]
fn whole_batches_have_the_slopes_of_their_differences() {
    let hidden = [Law::two_point(2.25).unwrap(), Law::two_point(1.5).unwrap()];
    let model = reference(hidden).penalty(Quartic).penalty_strength(0.6).n_neurons(2).batch_size(2).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let state = OrderParameters::from_rows(2, 2, &[0.4, 0.2, 0.1, 0.5], &[1.0, 0.3, 0.3, 0.9]).unwrap();
    let parameter = Parameter::SecondMoment(0);
    let exact = ode.sensitivities(&state, &[parameter]).unwrap().by_parameter;
    let at = |value: f64| {
        let rates = ode.with_parameter(parameter, value).unwrap().rates(&state).unwrap();
        let (q, r) = (rates.q, rates.r);
        DVector::from_vec(vec![q[(0, 0)], q[(0, 1)], q[(1, 0)], q[(1, 1)], r[(0, 0)], r[(0, 1)], r[(1, 1)]])
    };
    let h = 0.02;
    let difference = (at(2.25 + h) - at(2.25 - h)) / (2.0 * h);
    // Points of both are the same to within what moves with the rule.
    let error = (exact.column(0) - &difference).amax();
    assert!(error < 2e-3 * difference.amax(), "{error}: {exact} {difference}");
}

/// σ(0) = 0 and σ''(0) ≠ 0.
fn bent() -> Polynomial {
    Polynomial::new(vec![0.0, 1.0, 0.4]).unwrap()
}

/// A law off centre whose second moment is changed is the law that is built with scaled values.
#[test]
fn the_mean_of_a_law_moves_with_its_second_moment() {
    let model = |scale: f64| {
        let law = Law::point_masses([-0.5 * scale, 1.5 * scale], [0.4, 0.6]).unwrap();
        let hidden = Independent::new([law]).unwrap();
        let noise = GaussianNoise::correlated(0.3, -0.5).unwrap();
        Model::builder().nonlinearity(bent()).hidden(hidden).noise(noise).learning_rate(0.3).build().unwrap()
    };
    let (one, scaled) = (model(1.0), model(1.3));
    let (one, scaled) = (ReducedOde::new(&one).unwrap(), ReducedOde::new(&scaled).unwrap());
    let moment = one.parameter(Parameter::SecondMoment(0)).unwrap();
    let moved = one.with_parameter(Parameter::SecondMoment(0), 1.69 * moment).unwrap();
    let state = informed_start();
    let rates = |ode: &ReducedOde<'_>| ode.rates(&state).unwrap();
    assert!((rates(&moved).q - rates(&scaled).q).amax() < 1e-10);
    let jacobian = |ode: &ReducedOde<'_>| collapsed_point(ode).unwrap().jacobian;
    assert!((jacobian(&moved) - jacobian(&scaled)).amax() < 1e-12);
    assert!((jacobian(&moved) - jacobian(&one)).amax() > 1e-3);
}

/// Six variables off centre and two neurons: by waves of their law, and by its nodes.
#[test]
fn laws_off_centre_have_the_averages_of_their_nodes() {
    let laws = vec![Law::point_masses([-0.6, 1.4], [0.55, 0.45]).unwrap(); 6];
    let hidden = Independent::new(laws).unwrap();
    let noise = GaussianNoise::correlated(0.4, 0.3).unwrap();
    let model = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(noise).learning_rate(0.3).n_neurons(2);
    let model = model.penalty_strength(0.5).build().unwrap();
    let q = DMatrix::from_fn(6, 2, |l, i| 0.25 - 0.05 * l as f64 + 0.1 * i as f64);
    let r = q.tr_mul(&q) + DMatrix::from_row_slice(2, 2, &[0.8, 0.2, 0.2, 0.6]);
    let state = OrderParameters::new(q, (&r + r.transpose()) * 0.5).unwrap();
    let limit = || Limit::new(&model).unwrap().tolerance(1e-7).unwrap();
    let waves = limit().coefficients(&state).unwrap().coefficients;
    let nodes = limit().quadrature(Quadrature::GaussHermite).coefficients(&state).unwrap().coefficients;
    let worst = (waves.a - nodes.a).amax().max((waves.lambda - nodes.lambda).amax()).max((waves.b - nodes.b).amax());
    assert!(worst < 1e-6, "{worst}");
}

/// Noise in view 1 alone. Where the gradient flows through view 1 only, a step moves the weights along that noise; where it would
/// flow through view 2, along the features alone.
#[test]
fn a_stopped_gradient_flows_through_view_one() {
    struct First;
    impl AugmentationNoise for First {
        fn feature_covariance(&self) -> ViewCovariance {
            ViewCovariance::new(0.25, 0.0, 0.0).unwrap()
        }
        fn background_covariance(&self) -> ViewCovariance {
            ViewCovariance::new(0.25, 0.0, 0.0).unwrap()
        }
        fn is_gaussian(&self) -> bool {
            false
        }
        fn sample<G: Rng + ?Sized>(&self, rng: &mut G) -> [f64; 2] {
            [if rng.next_u32().is_multiple_of(2) { 0.5 } else { -0.5 }, 0.0]
        }
    }
    let hidden = Independent::new([Law::two_point(2.25).unwrap()]).unwrap();
    let model = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(First).learning_rate(0.3);
    let model = model.background_std(0.0).gradient_path(GradientPath::StopGradient).build().unwrap();
    let mut sgd = DirectSgd::builder(&model, 50).start(informed_start()).build_seeded(1).unwrap();
    let before = sgd.weights().clone();
    sgd.step().unwrap();
    let change = sgd.weights() - before;
    let u = sgd.features().matrix();
    let along = u * (u.tr_mul(&change) / 50.0);
    assert!((&change - &along).norm() > 0.3 * change.norm() && change.norm() > 0.0);
}

/// A linear regulariser whose slope is not one.
#[derive(Debug)]
struct Steep;

impl Regularizer for Steep {
    fn apply(&self, w: f64) -> f64 {
        2.5 * w
    }
    fn linear_part(&self) -> f64 {
        2.5
    }
    fn is_linear(&self) -> bool {
        true
    }
}

impl LinearRegularizer for Steep {}

#[test]
fn rates_move_with_the_decay_of_a_steep_regulariser() {
    let model =
        |decay: f64| reference([Law::two_point(2.25).unwrap()]).regularizer(Steep).weight_decay(decay).build().unwrap();
    let rates = |decay: f64| {
        let model = model(decay);
        let rates = ReducedOde::new(&model).unwrap().rates(&informed_start()).unwrap();
        [rates.q[(0, 0)], rates.r[(0, 0)]]
    };
    let model = model(0.5);
    let exact = ReducedOde::new(&model).unwrap().sensitivities(&informed_start(), &[Parameter::WeightDecay]).unwrap();
    let (above, below) = (rates(0.6), rates(0.4));
    for k in 0..2 {
        // The rates are linear in the decay.
        assert!((exact.by_parameter[(k, 0)] - (above[k] - below[k]) / 0.2).abs() < 1e-9);
    }
    // −τ·2.5·Q.
    assert!((exact.by_parameter[(0, 0)] + 0.3 * 2.5 * 0.4).abs() < 1e-9);
}

/// What starts as its own mirror image stays so.
#[test]
fn a_symmetric_density_stays_symmetric_under_l1() {
    let model = one_feature().to_builder().regularizer(L1).build().unwrap();
    let start = OrderParameters::from_rows(1, 1, &[0.0], &[0.6]).unwrap();
    let law = LinearGaussianStart::new(FeatureLaw::rademacher(), &start).unwrap();
    let mut solver = GridSolver::builder(&model).tolerance(1e-4).start(&law).build().unwrap();
    solver.run(3.0, &Output::Stop).unwrap();
    assert!(solver.density().marginal().unwrap().mean().abs() < 1e-12);
}

#[test]
fn cells_lie_in_the_middle_between_their_edges() {
    let model = one_feature();
    let solver = GridSolver::builder(&model).start(informed_start()).build().unwrap();
    let (edges, centres) = (solver.density().edges(), solver.density().centres());
    let middles = edges.windows(2).map(|ends| 0.5 * (ends[0] + ends[1]));
    assert!(middles.zip(&centres).all(|(middle, centre)| (middle - centre).abs() < 1e-12));
    assert_eq!(edges.len(), centres.len() + 1);
}

/// A skewed law and its mirror image: features are exchanged with a change of sign.
#[test]
fn mirrored_laws_are_exchanged_with_a_change_of_sign() {
    // A third feature, lest a change of all signs, which a neuron's sign makes good, does the same.
    let laws = [(2.25, 0.2), (2.25, 0.8), (1.5, 0.3)].map(|(moment, positive)| Law::skewed(moment, positive).unwrap());
    let model = reference(laws).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let state = OrderParameters::from_rows(3, 1, &[0.3, 0.1, 0.2], &[1.0]).unwrap();
    let images = Symmetries::detect(&ode).unwrap().images(&state, 1e-6);
    assert!(images.iter().any(|image| image.q().as_slice() == [-0.1, -0.3, 0.2]), "{images:?}");
    assert_eq!(images.len(), 4);
}

/// V is the same at a state and, around the image, at the image of the state.
#[test]
fn neighbourhoods_of_images_are_mirror_images() {
    let model = one_feature();
    let ode = ReducedOde::new(&model).unwrap();
    let point = OrderParameters::from_rows(1, 1, &[0.98], &[1.0]).unwrap();
    let regions = AttractionRegions::new(&ode, &[point]).unwrap();
    let [own, mirrored] = regions.images(0) else { panic!("two images") };
    let (q, r) = (own.center().q()[(0, 0)], own.center().r()[(0, 0)]);
    let level = |sign: f64, dq: f64, dr: f64| {
        let state = OrderParameters::from_rows(1, 1, &[sign * (q + dq)], &[r + dr]).unwrap();
        if sign > 0.0 { own.level(&state) } else { mirrored.level(&state) }
    };
    for (dq, dr) in [(0.003, 0.01), (-0.004, 0.001), (0.001, 0.02)] {
        let (here, there) = (level(1.0, dq, dr), level(-1.0, dq, dr));
        assert!((here - there).abs() < 1e-12 * here, "{here} {there}");
    }
    // The coupling of Q and R is what signs are for.
    assert!((level(1.0, 0.003, 0.01) - level(1.0, -0.003, 0.01)).abs() > 1e-3 * level(1.0, 0.003, 0.01));
}

/// κ = (1/5)/|P| of the Lyapunov function, solved by hand in scaled coordinates.
#[test]
fn the_decay_promised_in_a_neighbourhood_is_what_was_checked() {
    let model = one_feature();
    let ode = ReducedOde::new(&model).unwrap();
    let near = OrderParameters::from_rows(1, 1, &[0.98], &[1.0]).unwrap();
    let regions = AttractionRegions::new(&ode, &[near]).unwrap();
    let hood = &regions.images(0)[0];
    let jacobian = ode.sensitivities(hood.center(), &[]).unwrap().by_state;
    let scales = [hood.center().r()[(0, 0)].sqrt(), hood.center().r()[(0, 0)]];
    let j = Matrix2::from_fn(|a, b| jacobian[(a, b)] * scales[b] / scales[a]);
    // JᵀP + PJ = −I in (P_11, P_12, P_22).
    let system = Matrix3::new(
        2.0 * j[(0, 0)],
        2.0 * j[(1, 0)],
        0.0,
        j[(0, 1)],
        j[(0, 0)] + j[(1, 1)],
        j[(1, 0)],
        0.0,
        2.0 * j[(0, 1)],
        2.0 * j[(1, 1)],
    );
    let p = system.lu().solve(&Vector3::new(-1.0, 0.0, -1.0)).unwrap();
    let (mean, half) = (0.5 * (p[0] + p[2]), (0.25 * (p[0] - p[2]).powi(2) + p[1] * p[1]).sqrt());
    let expected = 0.2 / (mean + half);
    assert!((hood.decay_rate() - expected).abs() < 1e-2 * expected, "{} {expected}", hood.decay_rate());
}

#[test]
#[cfg(feature = "serde")]
fn probabilities_have_the_standard_error_of_their_scrambles() {
    use contrastive_dynamics::stability::Selection;
    let text = r#"{"fractions":[[[0.2,0.1]],[[0.4,0.1]],[[0.6,0.1]]],"points":1000,"undecided":0.5,"doubtful":0,"complete":true}"#;
    let selection: Selection = serde_json::from_str(text).unwrap();
    // 0.3, 0.5, 0.7: a standard deviation of 0.2, over √3.
    let (mean, error) = selection.probability(0).unwrap();
    assert!((mean - 0.5).abs() < 1e-15 && (error - 0.2 / 3.0_f64.sqrt()).abs() < 1e-15, "{mean} {error}");
}

/// Where R is moved by Q to first order, the gradient through one view or both: the closed form against the rates near R = 0.
#[test]
fn the_collapsed_point_of_a_law_off_centre_has_the_slopes_of_the_rates() {
    for path in [GradientPath::BothViews, GradientPath::StopGradient] {
        let law = Law::point_masses([-0.5, 1.5], [0.4, 0.6]).unwrap();
        let noise = GaussianNoise::new(
            ViewCovariance::new(0.3, 0.1, 0.5).unwrap(),
            ViewCovariance::new(0.6, -0.2, 0.2).unwrap(),
        );
        let builder = Model::builder().nonlinearity(bent()).hidden(Independent::new([law]).unwrap()).noise(noise);
        let model = builder.learning_rate(0.3).weight_decay(0.5).gradient_path(path).build().unwrap();
        let ode = ReducedOde::new(&model).unwrap();
        let closed = collapsed_point(&ode).unwrap().jacobian;
        // Along R at Q = 0, from R = 0: (Q, R) = (0, h).
        let h = 1e-5;
        let rates = |r: f64| {
            let rates = ode.rates(&OrderParameters::from_rows(1, 1, &[0.0], &[r]).unwrap()).unwrap();
            [rates.q[(0, 0)], rates.r[(0, 0)]]
        };
        let (zero, one, two) = (rates(0.0), rates(h), rates(2.0 * h));
        for k in 0..2 {
            let slope = (4.0 * one[k] - two[k] - 3.0 * zero[k]) / (2.0 * h);
            assert!((closed[(k, 1)] - slope).abs() < 1e-4, "{path:?}: {closed} {slope}");
        }
        assert!(closed[(0, 1)].abs() > 1e-3);
    }
}

#[test]
fn the_growth_of_a_mode_is_its_fastest() {
    let model = equal_features(1).n_neurons(2).penalty_strength(0.4).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let mut several = 0;
    for point in learnability(&ode).unwrap() {
        let real = |rates: &[Complex<f64>]| rates.iter().map(|x| x.re).fold(f64::NEG_INFINITY, f64::max);
        assert_eq!(point.growth(0), Some(real(&point.rates[0])));
        several += usize::from(point.rates[0].len() > 1 && point.rates[0][0] != point.rates[0][1]);
    }
    assert!(several > 0);
}

/// Models of decay up to 0.5, and none beyond.
#[derive(Debug)]
struct UpToHalf;

impl OdeFamily<f64> for UpToHalf {
    fn visit(&self, parameter: f64, then: &mut dyn FnMut(&ReducedOde<'_>)) -> Result<(), FamilyError<f64>> {
        let model = one_feature().to_builder().weight_decay(if parameter <= 0.5 { parameter } else { -1.0 }).build()?;
        then(&ReducedOde::new(&model)?);
        Ok(())
    }
}

/// At the end of a family's range the difference is one-sided, and a slope all the same.
#[test]
fn the_end_of_a_family_has_the_slope_of_its_inside() {
    let mut curve = FamilyCurve::new::<f64>(UpToHalf, 0.4).unwrap();
    let x = [0.4, 0.8];
    let slope = |curve: &mut FamilyCurve<UpToHalf>, parameter: f64| curve.jacobian(&x, parameter).unwrap().1;
    let (inside, end) = (slope(&mut curve, 0.4), slope(&mut curve, 0.5));
    // The rates are linear in the decay.
    assert!((&inside - &end).amax() < 1e-4 * inside.amax() && inside.amax() > 0.1, "{inside} {end}");
}

#[test]
fn the_gradient_variance_is_that_of_all_neurons() {
    let model = equal_features(2).n_neurons(2).penalty_strength(0.7).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let start = OrderParameters::from_rows(2, 2, &[0.8, 0.1, 0.1, 0.8], &[1.0, 0.15, 0.15, 1.0]).unwrap();
    let steady = steady_state(&ode, &start, 1e4).unwrap();
    let lambda = ode.limit().coefficients(&steady.state).unwrap().coefficients.lambda;
    assert!((steady.gradient_variance - lambda[(0, 0)] - lambda[(1, 1)]).abs() < 1e-12);
    assert!(lambda[(1, 1)] > 1e-3);
}
