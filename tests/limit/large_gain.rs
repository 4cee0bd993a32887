//! Fields so large that σ is almost a sign: answers against integrals computed otherwise, closed forms, and the limit of signs;
//! their cost, which hardly grows; and a best value where there is no answer.

use contrastive_dynamics::limit::{Coefficients, Estimated, Limit, LimitError, Quadrature};
use contrastive_dynamics::model::{
    Erf, FromFunctions, GaussianNoise, Independent, Law, Model, Nonlinearity, Parity, Smoothness, Tanh, ViewCovariance,
};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::state::OrderParameters;

const RATE: f64 = 0.3;
/// D of `model` below.
const D: [f64; 2] = [1.3, 0.85];

type Any<S> = Model<f64, S, Independent, GaussianNoise>;

/// No noise along the features; D = [[1.3, 0.85], [0.85, 1.3]].
fn model<S: Nonlinearity>(sigma: S, laws: &[Law], neurons: usize) -> Any<S> {
    let noise = GaussianNoise::new(
        ViewCovariance::correlated(0.0, 0.0).unwrap(),
        ViewCovariance::correlated(0.3, -0.5).unwrap(),
    );
    Model::builder()
        .nonlinearity(sigma)
        .hidden(Independent::new(laws.to_vec()).unwrap())
        .noise(noise)
        .learning_rate(RATE)
        .n_neurons(neurons)
        .build()
        .unwrap()
}

fn one(q: f64, r: f64) -> OrderParameters {
    OrderParameters::from_rows(1, 1, &[q], &[r]).unwrap()
}

/// ∫ f over [a, b], adaptively: Gauss-Legendre of three panels against one, seven points each.
fn integrate<const N: usize>(f: &dyn Fn(f64) -> [f64; N], a: f64, b: f64, error: f64) -> [f64; N] {
    const RULE: [(f64, f64); 4] = [
        (0.0, 0.417_959_183_673_469_4),
        (0.405_845_151_377_397_2, 0.381_830_050_505_118_9),
        (0.741_531_185_599_394_4, 0.279_705_391_489_276_67),
        (0.949_107_912_342_758_5, 0.129_484_966_168_869_7),
    ];
    fn panel<const N: usize>(f: &dyn Fn(f64) -> [f64; N], a: f64, b: f64) -> [f64; N] {
        let (centre, half) = (0.5 * (a + b), 0.5 * (b - a));
        let mut sum = [0.0; N];
        for (x, w) in RULE {
            for sign in if x == 0.0 { &[1.0][..] } else { &[1.0, -1.0][..] } {
                let value = f(centre + sign * half * x);
                (0..N).for_each(|k| sum[k] += half * w * value[k]);
            }
        }
        sum
    }
    fn refine<const N: usize>(
        f: &dyn Fn(f64) -> [f64; N],
        (a, b): (f64, f64),
        whole: [f64; N],
        error: f64,
    ) -> [f64; N] {
        let middle = 0.5 * (a + b);
        let (left, right) = (panel(f, a, middle), panel(f, middle, b));
        let both: [f64; N] = std::array::from_fn(|k| left[k] + right[k]);
        if (0..N).all(|k| (both[k] - whole[k]).abs() <= error) || b - a < 1e-6 {
            return both;
        }
        let (left, right) = (refine(f, (a, middle), left, error), refine(f, (middle, b), right, error));
        std::array::from_fn(|k| left[k] + right[k])
    }
    refine(f, (a, b), panel(f, a, b), error)
}

fn normal(x: f64, variance: f64) -> f64 {
    (-0.5 * x * x / variance).exp() / (std::f64::consts::TAU * variance).sqrt()
}

/// A, B and Λ of tanh at one value ±c of the hidden variable, without noise along the feature. The integral over h¹ runs across the layer alone,
/// and that over h² has a sign beyond it.
fn truth(c: f64, q: f64, r: f64) -> [f64; 3] {
    const END: f64 = 24.0;
    let background = r - q * q;
    let (variance, covariance, mean) = (D[0] * background, D[1] * background, q * c);
    let slope = covariance / variance;
    let left = variance - covariance * slope;
    let second = |h: f64| {
        let m = mean + slope * (h - mean);
        let layer = integrate(
            &|k: f64| {
                let (y, p) = (k.tanh(), normal(k - m, left));
                [y, y * y, y * (1.0 - y * y)].map(|f| p * f)
            },
            -END,
            END,
            1e-12 / left.sqrt(),
        );
        let tail = |x: f64| 0.5 * libm::erfc(x / (2.0 * left).sqrt());
        let (above, below) = (tail(END - m), tail(END + m));
        [layer[0] + above - below, layer[1] + above + below, layer[2]]
    };
    let sums = integrate(
        &|h: f64| {
            let (y, p) = (h.tanh(), normal(h - mean, variance));
            let d = 1.0 - y * y;
            let [first, square, product] = second(h);
            [d * first, d * first * h, d * d * square, d * y * product].map(|f| p * f)
        },
        -END,
        END,
        1e-12 / variance.sqrt(),
    );
    [2.0 * RATE * c * sums[0], 2.0 * RATE * sums[1], RATE * RATE * (2.0 * D[0] * sums[2] + 2.0 * D[1] * sums[3])]
}

/// The largest error of a one-neuron answer.
fn error(answer: &Coefficients, want: [f64; 3]) -> f64 {
    let got = [answer.a[(0, 0)], answer.b[(0, 0)], answer.lambda[(0, 0)]];
    got.iter().zip(want).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
}

#[test]
fn one_neuron_of_large_gain_agrees_with_adaptive_integrals_at_a_cost_that_hardly_grows() {
    let mut nodes = Vec::new();
    for r in [1e4, 1e6, 1e8] {
        let two = model(Tanh, &[Law::two_point(2.25).unwrap()], 1);
        let answer = Limit::new(&two).unwrap().coefficients(&one(3.0, r)).unwrap();
        let want = truth(1.5, 3.0, r);
        let wrong = error(&answer.coefficients, want);
        assert!(answer.error < 1e-10 && wrong <= answer.error.max(2e-13), "{r:e}: {wrong:e} over {:e}", answer.error);
        // The control: a relative error of 1e-6 would be seen.
        assert!(error(&answer.coefficients, [want[0], want[1], want[2] * (1.0 + 1e-6)]) > answer.error, "{r:e}");
        nodes.push(answer.nodes);
    }
    assert!(nodes[0] < 500_000 && nodes[2] < 3 * nodes[0], "{nodes:?}");
    // Lattices alone do without an answer there.
    let two = model(Tanh, &[Law::two_point(2.25).unwrap()], 1);
    let lattice = Limit::new(&two).unwrap().quadrature(Quadrature::Trapezoidal).node_budget(1 << 12);
    assert!(matches!(lattice.coefficients(&one(3.0, 1e6)), Err(LimitError::ToleranceNotMet { best: Some(_), .. })));
}

#[test]
fn continuous_hidden_laws_of_large_gain_are_averages_of_the_integrals() {
    let (q, r, moment) = (3.0, 1e6, 2.25_f64);
    // Means are a thousandth of the spread: A is c² times an affine function of c², B and Λ are affine, but for c⁴(q²/r)².
    let (near, far) = (truth(1.0, q, r), truth(2.0, q, r));
    let affine = |at_one: f64, at_four: f64| {
        let slope = (at_four - at_one) / 3.0;
        (at_one - slope, slope)
    };
    for (law, kurtosis) in [(Law::laplace(moment).unwrap(), 6.0), (Law::uniform(moment).unwrap(), 1.8)] {
        let (first, second) = affine(near[0], far[0] / 4.0);
        let [b, lambda] = [1, 2].map(|k| affine(near[k], far[k])).map(|(start, slope)| start + slope * moment);
        let want = [first * moment + second * kurtosis * moment * moment, b, lambda];
        let continuous = model(Tanh, std::slice::from_ref(&law), 1);
        let limit = Limit::new(&continuous).unwrap().tolerance(1e-6).unwrap();
        let answer = limit.coefficients(&one(q, r)).unwrap();
        let wrong = error(&answer.coefficients, want);
        let allowed = answer.error + 1e-12;
        assert!(allowed < 1e-8 && wrong < allowed, "{law:?}: {wrong:e} over {allowed:e}");
        assert!(answer.nodes < 10_000_000, "{} nodes", answer.nodes);
        assert!(error(&answer.coefficients, [want[0], want[1], 1.001 * want[2]]) > allowed, "the control");
    }
}

#[test]
fn closed_forms_of_erf_agree_with_panels_at_any_gain() {
    let gaussian = [Law::gaussian(2.25).unwrap()];
    let erf = model(Erf, &gaussian, 1);
    let limit = Limit::new(&erf).unwrap();
    for (q, r) in [(0.4, 1.0), (3.0, 1e4), (90.0, 1e4), (3.0, 1e8)] {
        let closed = limit.coefficients(&one(q, r)).unwrap();
        let panels = limit.clone().quadrature(Quadrature::Panels).coefficients(&one(q, r)).unwrap();
        let (x, y) = (&closed.coefficients, &panels.coefficients);
        let difference = error(x, [y.a[(0, 0)], y.b[(0, 0)], y.lambda[(0, 0)]]);
        assert!(closed.nodes == 0 && panels.nodes > 0);
        assert!(difference <= closed.error + panels.error, "{q} {r:e}: {difference:e} over {:e}", panels.error);
    }
}

#[test]
fn signs_are_the_limit_of_large_gains() {
    let two = model(Tanh, &[Law::two_point(2.25).unwrap()], 1);
    let limit = Limit::new(&two).unwrap();
    // With h¹ in the layer, σ'(h¹) counts ∫σ' x² = π²/6 or ∫σ'² = 4/3, and h² = (D₁₂/D₁₁)h¹ + noise is a sign.
    let left = D[0] - D[1] * D[1] / D[0];
    let density = 1.0 / (std::f64::consts::TAU * D[0]).sqrt();
    let sign_slope = D[1] / D[0] * (2.0 / (std::f64::consts::PI * left)).sqrt();
    let b = 2.0 * RATE * density * sign_slope * std::f64::consts::PI.powi(2) / 6.0;
    let lambda = RATE * RATE * 2.0 * D[0] * density * 4.0 / 3.0;
    let mut before = f64::INFINITY;
    for r in [1e4, 1e6, 1e8] {
        let at = limit.coefficients(&one(3.0, r)).unwrap().coefficients;
        assert!((at.b[(0, 0)] * r / b - 1.0).abs() < 30.0 / r.sqrt(), "{r:e}");
        let off = (at.lambda[(0, 0)] * r.sqrt() / lambda - 1.0).abs();
        assert!(off < 3.0 / r.sqrt() && off < 0.2 * before, "{r:e}: {off:e}");
        before = off;
    }
}

/// erf without its closed form.
fn plain_erf() -> impl Nonlinearity {
    let slope = |h: f64| (-0.5 * h * h).exp() * (2.0 / std::f64::consts::PI).sqrt();
    FromFunctions::new(|h: f64| libm::erf(h / std::f64::consts::SQRT_2), slope, move |h: f64| -h * slope(h))
        .with_parity(Parity::Odd)
        .with_smoothness(Smoothness::Entire)
}

fn distance(x: &Coefficients, y: &Coefficients) -> f64 {
    (&x.a - &y.a).amax().max((&x.b - &y.b).amax()).max((&x.lambda - &y.lambda).amax())
}

/// States of two neurons, one of them or both large.
fn pairs() -> [OrderParameters; 3] {
    [[100.0, 3.0, 3.0, 100.0], [1e4, 3.0, 3.0, 1.0], [1e6, 30.0, 30.0, 1e4]]
        .map(|r| OrderParameters::from_rows(1, 2, &[0.3, -0.2], &r).unwrap())
}

#[test]
fn two_neurons_of_large_gain_agree_with_closed_forms() {
    let gaussian = [Law::gaussian(2.25).unwrap()];
    let (closed, plain) = (model(Erf, &gaussian, 2), model(plain_erf(), &gaussian, 2));
    let limit = Limit::new(&plain).unwrap().tolerance(1e-6).unwrap();
    for state in pairs() {
        let want = Limit::new(&closed).unwrap().coefficients(&state).unwrap();
        let got = limit.coefficients(&state).unwrap();
        let wrong = distance(&got.coefficients, &want.coefficients);
        assert!(got.error <= 3e-7 && wrong <= got.error, "{:?}: {wrong:e} over {:e}", state.r(), got.error);
        assert!(want.nodes == 0 && got.nodes < 2_000_000, "{}", got.nodes);
        let mut shifted = want.coefficients.clone();
        shifted.lambda[(0, 1)] += 1e-6;
        assert!(distance(&got.coefficients, &shifted) > got.error, "the control");
    }
}

#[test]
fn derivatives_at_large_gain_are_those_of_the_coefficients() {
    let two = [Law::two_point(2.25).unwrap()];
    // Q, then the upper triangle of R.
    for (neurons, packed, tolerance) in [(1, vec![3.0, 1e4], 1e-10), (2, vec![0.3, -0.2, 1e4, 3.0, 2.0], 1e-7)] {
        let model = model(Tanh, &two, neurons);
        let state = |packed: &[f64]| {
            let r = if neurons == 1 { vec![packed[1]] } else { vec![packed[2], packed[3], packed[3], packed[4]] };
            OrderParameters::from_rows(1, neurons, &packed[..neurons], &r).unwrap()
        };
        let limit = Limit::new(&model).unwrap().tolerance(tolerance).unwrap();
        let slope = |packed: &[f64]| -> Vec<f64> {
            let at = limit.coefficients(&state(packed)).unwrap().coefficients;
            let r = &at.b + at.b.transpose() + &at.lambda;
            let upper = (0..neurons).flat_map(|i| (i..neurons).map(move |j| (i, j)));
            at.a.iter().copied().chain(upper.map(|at| r[at])).collect()
        };
        let ode = ReducedOde::new(&model).unwrap().coefficient_tolerance(tolerance).unwrap();
        let got = ode.sensitivities(&state(&packed), &[]).unwrap().by_state;
        // Along one direction that moves everything, each number by a part of its own size.
        let along: Vec<f64> = packed.iter().zip([1.0, -0.7, 0.8, 1.3, -0.9]).map(|(x, f)| 1e-3 * f * x).collect();
        let moved = |by: f64| slope(&packed.iter().zip(&along).map(|(x, step)| x + by * step).collect::<Vec<_>>());
        let (above, below) = (moved(1.0), moved(-1.0));
        for row in 0..packed.len() {
            let want = 0.5 * (above[row] - below[row]);
            let terms = || along.iter().enumerate().map(|(column, step)| got[(row, column)] * step);
            let (sum, scale): (f64, f64) = (terms().sum(), terms().map(f64::abs).sum());
            assert!((sum - want).abs() < 3e-5 * scale, "{neurons}: {row}: {sum:e} {want:e} of {scale:e}");
            let seen = (1.001 * sum - want).abs() > 3e-5 * scale;
            assert!(seen || sum.abs() < 0.1 * scale, "the control: a tenth of a percent would be seen");
        }
    }
}

#[test]
fn where_no_rule_fits_there_is_a_best_value_with_its_error() {
    // Views that are almost equal: neither lattices nor panels resolve so narrow a density of four fields.
    let noise = GaussianNoise::correlated(1e-4, 0.0).unwrap();
    let hidden = || Independent::new([Law::gaussian(2.25).unwrap()]).unwrap();
    let build = |sigma: Box<dyn Nonlinearity>| {
        let builder = Model::builder().nonlinearity(sigma).hidden(hidden()).noise(noise).learning_rate(RATE);
        builder.n_neurons(2).build().unwrap()
    };
    let (closed, plain) = (build(Box::new(Erf)), build(Box::new(plain_erf())));
    let state = OrderParameters::from_rows(1, 2, &[0.3, -0.2], &[1e4, 30.0, 30.0, 1e4]).unwrap();
    let want: Estimated = Limit::new(&closed).unwrap().coefficients(&state).unwrap();
    let limit = Limit::new(&plain).unwrap().node_budget(1 << 14);
    let answer = limit.coefficients(&state);
    let Err(LimitError::ToleranceNotMet { best: Some(best), .. }) = answer else { panic!("{answer:?}") };
    let wrong = distance(&best.coefficients, &want.coefficients);
    assert!(wrong <= best.error && best.error < 0.1, "{wrong:e} over {:e}", best.error);
    // Points too few to meet the layer agree with each other, and are not taken at their word.
    let few = limit.node_budget(128).tolerance(1e-2).unwrap();
    let Err(LimitError::ToleranceNotMet { best: Some(best), .. }) = few.coefficients(&state) else { panic!() };
    let wrong = distance(&best.coefficients, &want.coefficients);
    assert!(wrong > 1e-3 && wrong <= best.error, "{wrong:e} over {:e}", best.error);
}
