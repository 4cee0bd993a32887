//! The samplers draw from the laws they name: Kolmogorov-Smirnov tests of the continuous laws, chi-square tests of the
//! discrete ones, moments of all, and the first draws pinned to their values.
//!
//! Seeds are fixed, so a test that passes once passes always; the rates below are those at which a correct sampler
//! would fail at a fresh seed. There are 4 KS tests and 9 chi-square tests at 1e-6 each, and about 60 z tests at 6
//! standard errors (2e-9 each for a normal statistic; the fourth powers of the Laplace law are skewed, which makes it
//! 2e-8 there): less than 2e-5 in total. With the controls, which a correct sampler misses by more than 3 standard
//! errors of the control's own statistic: less than 1e-3.

use contrastive_dynamics::Scalar;
use contrastive_dynamics::model::{
    AugmentationNoise, CorrelatedSigns, Discrete, Gaussian, GaussianNoise, HiddenDistribution, HiddenVariable,
    Independent, Laplace, Law, Mixture, NoNoise, PointMasses, RademacherNoise, ThreePoint, TwoPoint, Uniform,
    ViewCovariance,
};
use contrastive_dynamics::nalgebra::DMatrix;
use contrastive_dynamics::rand::{Rng, SeedableRng};
use rand_distr::Distribution;
use rand_xoshiro::Xoshiro256PlusPlus;

const S: f64 = 2.25;

fn rng(seed: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seed)
}

fn draws(law: &impl HiddenVariable, count: usize, seed: u64) -> Vec<f64> {
    let mut rng = rng(seed);
    (0..count).map(|_| law.sample(&mut rng)).collect()
}

/// The largest distance between the empirical distribution function of `x` and `cdf`.
fn kolmogorov_smirnov(mut x: Vec<f64>, cdf: impl Fn(f64) -> f64) -> f64 {
    x.sort_by(f64::total_cmp);
    let n = x.len() as f64;
    let gap = |(k, &x): (usize, &f64)| {
        let f = cdf(x);
        (f - k as f64 / n).max((k + 1) as f64 / n - f)
    };
    x.iter().enumerate().map(gap).fold(0.0, f64::max)
}

fn gaussian_cdf(x: f64) -> f64 {
    0.5 * (1.0 + Scalar::erf(x / (2.0 * S).sqrt()))
}

fn uniform_cdf(x: f64) -> f64 {
    (0.5 + x / (2.0 * (3.0 * S).sqrt())).clamp(0.0, 1.0)
}

fn mixture_cdf(x: f64) -> f64 {
    0.3 * uniform_cdf(x) + 0.7 * laplace_cdf(x)
}

fn mixture() -> Law {
    Law::mixture([(0.3, Law::uniform(S).unwrap()), (0.7, Law::laplace(S).unwrap())]).unwrap()
}

fn laplace_cdf(x: f64) -> f64 {
    let tail = 0.5 * (-x.abs() / (0.5 * S).sqrt()).exp();
    if x < 0.0 { tail } else { 1.0 - tail }
}

/// The critical distance at that significance, √(−ln(α/2)/(2n)).
fn critical(count: usize, significance: f64) -> f64 {
    (-0.5 * (0.5 * significance).ln() / count as f64).sqrt()
}

/// n = 10⁵, significance 1e-6 each.
#[test]
fn continuous_laws_have_their_distribution_functions() {
    let n = 100_000;
    let allowed = critical(n, 1e-6);
    let distances = [
        kolmogorov_smirnov(draws(&Gaussian::with_second_moment(S).unwrap(), n, 11), gaussian_cdf),
        kolmogorov_smirnov(draws(&Uniform::with_second_moment(S).unwrap(), n, 12), uniform_cdf),
        kolmogorov_smirnov(draws(&Laplace::with_second_moment(S).unwrap(), n, 13), laplace_cdf),
        kolmogorov_smirnov(draws(&mixture(), n, 17), mixture_cdf),
    ];
    assert!(distances.iter().all(|&d| d < allowed), "{distances:?} against {allowed}");
}

/// The control: laws of equal first three moments, and of a scale 1 % too small. The latter needs n = 2·10⁶ draws (the
/// distance is 0.0024 for the Gaussian, 0.0018 for the Laplace and 0.005 for the uniform law; 0.0019 is critical).
#[test]
fn the_distribution_test_sees_a_wrong_law_and_a_scale_off_by_one_percent() {
    let (few, many) = (100_000, 2_000_000);
    let gaussian = |n| draws(&Gaussian::with_second_moment(S).unwrap(), n, 14);
    let laplace = |n| draws(&Laplace::with_second_moment(S).unwrap(), n, 15);
    let uniform = |n| draws(&Uniform::with_second_moment(S).unwrap(), n, 16);
    assert!(kolmogorov_smirnov(gaussian(few), laplace_cdf) > critical(few, 1e-6));
    assert!(kolmogorov_smirnov(laplace(few), uniform_cdf) > critical(few, 1e-6));
    assert!(kolmogorov_smirnov(uniform(few), gaussian_cdf) > critical(few, 1e-6));
    assert!(kolmogorov_smirnov(draws(&mixture(), few, 17), laplace_cdf) > critical(few, 1e-6));
    let allowed = critical(many, 1e-6);
    assert!(kolmogorov_smirnov(gaussian(many), |x| gaussian_cdf(1.01 * x)) > allowed);
    assert!(kolmogorov_smirnov(uniform(many), |x| uniform_cdf(1.01 * x)) > allowed);
    // The kink of its density makes the Laplace law's distance 0.01/(2e): just below, so by moments (next tests).
    assert!(kolmogorov_smirnov(laplace(many), |x| laplace_cdf(1.03 * x)) > allowed);
    // And the same draws pass against the right law.
    assert!(kolmogorov_smirnov(gaussian(many), gaussian_cdf) < allowed);
    assert!(kolmogorov_smirnov(uniform(many), uniform_cdf) < allowed);
    assert!(kolmogorov_smirnov(laplace(many), laplace_cdf) < allowed);
}

/// Pearson's statistic of draws that must all lie on `values`.
fn chi_square(x: &[f64], values: &[f64], probabilities: &[f64]) -> f64 {
    let mut counts = vec![0_u32; values.len()];
    for x in x {
        let nearest = values.iter().position(|v| (v - x).abs() < 1e-14);
        counts[nearest.unwrap_or_else(|| panic!("{x} is not one of {values:?}"))] += 1;
    }
    let expected = probabilities.iter().map(|p| p * x.len() as f64);
    counts.iter().zip(expected).map(|(&count, e)| (f64::from(count) - e).powi(2) / e).sum()
}

/// The upper 1e-6 quantiles of chi-square for 1, 2, 3, 4 and 7 degrees of freedom.
const QUANTILES: [(usize, f64); 5] = [(1, 23.93), (2, 27.63), (3, 30.66), (4, 33.38), (7, 40.52)];

fn quantile(degrees: usize) -> f64 {
    QUANTILES.iter().find(|q| q.0 == degrees).unwrap().1
}

/// n = 10⁶, significance 1e-6 each; the controls have one probability off by 1 %.
#[test]
fn discrete_laws_have_their_probabilities() {
    let root = |x: f64| x.sqrt();
    let five = [-2.0, -0.5, 0.1, 1.0, 3.0];
    let weights = [0.1, 0.3, 0.25, 0.2, 0.15];
    let cases: Vec<(Law, Vec<f64>, Vec<f64>)> = vec![
        (TwoPoint::with_second_moment(S).unwrap().into(), vec![1.5, -1.5], vec![0.5, 0.5]),
        (
            ThreePoint::with_second_moment(S, 0.3).unwrap().into(),
            vec![0.0, root(S / 0.3), -root(S / 0.3)],
            vec![0.7, 0.15, 0.15],
        ),
        (ThreePoint::with_second_moment(S, 1.0).unwrap().into(), vec![1.5, -1.5], vec![0.5, 0.5]),
        (PointMasses::skewed(S, 0.2).unwrap().into(), vec![3.0, -0.75], vec![0.2, 0.8]),
        (PointMasses::new(five, weights).unwrap().into(), five.to_vec(), weights.to_vec()),
    ];
    for (seed, (law, values, probabilities)) in cases.into_iter().enumerate() {
        let x = draws(&law, 1_000_000, 20 + seed as u64);
        let allowed = quantile(values.len() - 1);
        let statistic = chi_square(&x, &values, &probabilities);
        assert!(statistic < allowed, "{law:?}: {statistic}");
        let mut wrong = probabilities.clone();
        wrong[0] += 0.01;
        wrong[1] -= 0.01;
        assert!(chi_square(&x, &values, &wrong) > allowed, "the control {law:?}");
    }
}

/// n = 10⁶ draws of two signs and of three, significance 1e-6 each: one by one, and from words. The control is a correlation
/// off by 0.01.
#[test]
fn correlated_signs_have_the_probabilities_of_their_patterns() {
    let patterns = |law: &CorrelatedSigns, words: bool, seed: u64| -> Vec<f64> {
        let (p, n) = (law.dimension(), 1_000_000);
        let mut rng = rng(seed);
        let mut c = vec![0.0; n * p];
        if words {
            let words: Vec<u64> = (0..n * p).map(|_| rng.next_u64()).collect();
            assert!(law.samples_from_words(&words, &mut c));
        } else {
            let mut one = vec![0.0; p];
            for k in 0..n {
                law.sample(&mut rng, &mut one);
                for l in 0..p {
                    c[l * n + k] = one[l];
                }
            }
        }
        (0..n).map(|k| (0..p).map(|l| if c[l * n + k] > 0.0 { f64::from(1 << l) } else { 0.0 }).sum()).collect()
    };
    let pair = |rho: f64| [1.0, -1.0, -1.0, 1.0].map(|same| 0.25 * (1.0 + same * rho));
    // Three signs of correlation a²: half of the law is a common sign + with which each agrees with probability (1 + a)/2.
    let triple = |rho: f64| -> Vec<f64> {
        let agree = 0.5 * (1.0 + rho.sqrt());
        let given = |up: i32| agree.powi(up) * (1.0 - agree).powi(3 - up);
        let plus = [0, 1, 1, 2, 1, 2, 2, 3];
        plus.iter().map(|&up| 0.5 * (given(up) + given(3 - up))).collect()
    };
    let codes = |p: u32| -> Vec<f64> { (0..1 << p).map(f64::from).collect() };
    for (seed, words) in [(71, false), (72, true)] {
        let law = CorrelatedSigns::new([1.0, 4.0], -0.4).unwrap();
        let x = patterns(&law, words, seed);
        assert!(
            chi_square(&x, &codes(2), &pair(-0.4)) < quantile(3)
                && chi_square(&x, &codes(2), &pair(-0.39)) > quantile(3)
        );
        let law = CorrelatedSigns::new([1.0; 3], 0.25).unwrap();
        let x = patterns(&law, words, seed + 10);
        assert!(chi_square(&x, &codes(3), &triple(0.25)) < quantile(7));
        assert!(chi_square(&x, &codes(3), &triple(0.26)) > quantile(7), "the control");
    }
}

/// The mean of `x` less `expected`, in standard errors; exact agreement to rounding if nothing fluctuates.
fn z(x: impl Iterator<Item = f64>, expected: f64) -> f64 {
    let (mut n, mut mean, mut squares) = (0.0, 0.0, 0.0);
    for x in x {
        n += 1.0;
        let step = x - mean;
        mean += step / n;
        squares += step * (x - mean);
    }
    let error = (squares / (n * n)).sqrt().max(1e-11 * (1.0 + expected.abs()));
    (mean - expected) / error
}

/// n = 2·10⁶, 6 standard errors; the controls are the second moment of a scale off by 1 % and, where the fourth power
/// fluctuates at all, the fourth moment at a kurtosis off by 5 %.
#[test]
fn every_law_has_its_mean_second_and_fourth_moment() {
    // Each with its kurtosis.
    let laws: [(Law, f64); 6] = [
        (Law::two_point(S).unwrap(), 1.0),
        (Law::three_point(S, 0.3).unwrap(), 1.0 / 0.3),
        (Law::gaussian(S).unwrap(), 3.0),
        (Law::uniform(S).unwrap(), 1.8),
        (Law::laplace(S).unwrap(), 6.0),
        (Law::skewed(S, 0.2).unwrap(), (0.2 * 81.0 + 0.8 * 0.75_f64.powi(4)) / (S * S)),
    ];
    for (seed, (law, kurtosis)) in laws.into_iter().enumerate() {
        let x = draws(&law, 2_000_000, 30 + seed as u64);
        let second = |scale: f64| z(x.iter().map(|x| x * x), S * scale * scale);
        let fourth = |factor: f64| z(x.iter().map(|x| x.powi(4)), kurtosis * S * S * factor);
        assert!(z(x.iter().copied(), 0.0).abs() < 6.0, "{law:?}");
        assert!(second(1.0).abs() < 6.0 && fourth(1.0).abs() < 6.0, "{law:?}: {} {}", second(1.0), fourth(1.0));
        assert!(second(1.01).abs() > 6.0 && second(0.99).abs() > 6.0, "the control {law:?}: {}", second(1.01));
        assert!(fourth(1.05).abs() > 6.0, "the control {law:?}: {}", fourth(1.05));
        // The moments that the law says it has.
        assert!(law.mean().abs() < 1e-15 && (HiddenVariable::second_moment(&law) - S).abs() < 1e-14);
        assert!((law.fourth_moment() - kurtosis * S * S).abs() < 1e-13 * kurtosis * S * S);
    }
}

/// The largest |z| of the sample second moments E[c_k c_l] against `expected`.
fn worst_joint_z(law: &impl HiddenDistribution, expected: &DMatrix<f64>, seed: u64) -> f64 {
    let p = law.dimension();
    let (mut rng, mut c) = (rng(seed), vec![0.0; p]);
    let samples: Vec<Vec<f64>> = (0..500_000)
        .map(|_| {
            law.sample(&mut rng, &mut c);
            c.clone()
        })
        .collect();
    let pairs = (0..p).flat_map(|k| (0..=k).map(move |l| (k, l)));
    pairs.map(|(k, l)| z(samples.iter().map(|c| c[k] * c[l]), expected[(k, l)]).abs()).fold(0.0, f64::max)
}

/// n = 5·10⁵, 6 standard errors; the second moments are written out, and are also what the law says. The control is a
/// change of one off-diagonal entry by 0.03.
#[test]
fn joint_laws_have_their_joint_second_moments() {
    let product = Independent::new([Law::two_point(S).unwrap(), Law::skewed(1.0, 0.2).unwrap()]).unwrap();
    let want = DMatrix::from_row_slice(2, 2, &[S, 0.0, 0.0, 1.0]);
    assert!((product.second_moment() - &want).amax() < 1e-14 && worst_joint_z(&product, &want, 41) < 6.0);

    // E[c_1²] = 0.3 + 4·0.2 + 0.5·0.25, E[c_1 c_2] = 0.3·1 + 0.2·(−2) + 0.5·(−0.25), E[c_2²] = 0.3 + 0.2 + 0.5·0.25.
    let points = DMatrix::from_row_slice(2, 3, &[1.0, 2.0, -0.5, 1.0, -1.0, 0.5]);
    let discrete = Discrete::new(points, [0.3, 0.2, 0.5]).unwrap();
    let want = DMatrix::from_row_slice(2, 2, &[1.225, -0.225, -0.225, 0.625]);
    assert!((discrete.second_moment() - &want).amax() < 1e-14 && worst_joint_z(&discrete, &want, 42) < 6.0);
    let wrong = want.map(|x| if x < 0.0 { x + 0.03 } else { x });
    assert!(worst_joint_z(&discrete, &wrong, 42) > 6.0, "the control");

    // The means are (0.45, 0.35), and 1 of the constant: they fill the corner.
    let constant = Independent::new([Law::from(PointMasses::new([1.0], [1.0]).unwrap()), Law::laplace(2.0).unwrap()]);
    let joined = discrete.and(constant.unwrap());
    let want = DMatrix::from_row_slice(
        4,
        4,
        &[1.225, -0.225, 0.45, 0.0, -0.225, 0.625, 0.35, 0.0, 0.45, 0.35, 1.0, 0.0, 0.0, 0.0, 0.0, 2.0],
    );
    assert!((joined.second_moment() - &want).amax() < 1e-14 && worst_joint_z(&joined, &want, 43) < 6.0);
    let wrong = want.map(|x| if x == 0.45 { 0.48 } else { x });
    assert!(worst_joint_z(&joined, &wrong, 43) > 6.0, "the control");

    // 0.4·diag(1, 2) + 0.6·[[1, −0.5√2], [−0.5√2, 2]].
    let signs = |rho| CorrelatedSigns::new([1.0, 2.0], rho).unwrap();
    let mixture = Mixture::joint([(0.4, signs(0.0)), (0.6, signs(-0.5))]).unwrap();
    let corner = -0.3 * 2.0_f64.sqrt();
    let want = DMatrix::from_row_slice(2, 2, &[1.0, corner, corner, 2.0]);
    assert!((HiddenDistribution::second_moment(&mixture) - &want).amax() < 1e-14);
    assert!(worst_joint_z(&mixture, &want, 44) < 6.0);
    let wrong = want.map(|x| if x < 0.0 { x + 0.03 } else { x });
    assert!(worst_joint_z(&mixture, &wrong, 44) > 6.0, "the control");
}

/// The largest |z| of means, variances and covariance of pairs.
fn worst_pair_z(pairs: &[[f64; 2]], [v11, v12, v22]: [f64; 3]) -> f64 {
    let of = |f: &dyn Fn(&[f64; 2]) -> f64, expected: f64| z(pairs.iter().map(f), expected).abs();
    let statistics = [
        of(&|s| s[0], 0.0),
        of(&|s| s[1], 0.0),
        of(&|s| s[0] * s[0], v11),
        of(&|s| s[0] * s[1], v12),
        of(&|s| s[1] * s[1], v22),
    ];
    statistics.into_iter().fold(0.0, f64::max)
}

/// n = 10⁶, 6 standard errors; also singular covariances. Of a pair of fourth power, E[s_1² s_2²] = v11 v22 + 2 v12²
/// tells the Gaussian from other laws. The control is a covariance off by 1 %, in a case where it is not small.
#[test]
fn gaussian_view_pairs_have_their_covariance() {
    let cases =
        [[0.3, -0.15, 0.3], [0.2, 0.1, 0.7], [0.4, 0.4, 0.4], [0.3, -0.3, 0.3], [0.0, 0.0, 0.5], [0.5, 0.0, 0.0]];
    for (seed, [v11, v12, v22]) in cases.into_iter().enumerate() {
        let covariance = ViewCovariance::new(v11, v12, v22).unwrap();
        let mut rng = rng(50 + seed as u64);
        let pairs: Vec<[f64; 2]> = (0..1_000_000).map(|_| covariance.sample(&mut rng)).collect();
        assert!(worst_pair_z(&pairs, [v11, v12, v22]) < 6.0, "{covariance:?}");
        let mixed = pairs.iter().map(|s| (s[0] * s[1]).powi(2));
        assert!(z(mixed, v11 * v22 + 2.0 * v12 * v12).abs() < 6.0, "{covariance:?}");
        if v11 > 0.0 {
            assert!(worst_pair_z(&pairs, [1.01 * v11, 1.01 * v12, 1.01 * v22]) > 6.0, "the control {covariance:?}");
        }
        if v12 * v12 == v11 * v22 && v12 != 0.0 {
            assert!(pairs.iter().all(|s| (s[1] - s[0] * v12.signum()).abs() < 1e-15), "fully correlated");
        }
    }
}

/// n = 10⁶, 6 standard errors for the agreement of the signs; amplitudes are exact.
#[test]
fn rademacher_pairs_have_their_amplitude_and_correlation() {
    for (seed, rho) in [-1.0, -0.5, 0.0, 0.3, 1.0].into_iter().enumerate() {
        let noise = RademacherNoise::new(0.3, rho).unwrap();
        let mut rng = rng(60 + seed as u64);
        let pairs: Vec<[f64; 2]> = (0..1_000_000).map(|_| noise.sample(&mut rng)).collect();
        assert!(pairs.iter().flatten().all(|s| (s.abs() - 0.3_f64.sqrt()).abs() < 1e-15));
        assert!(worst_pair_z(&pairs, [0.3, 0.3 * rho, 0.3]) < 6.0, "rho = {rho}");
        let wrong = if rho > 0.0 { rho - 0.01 } else { rho + 0.01 };
        assert!(worst_pair_z(&pairs, [0.3, 0.3 * wrong, 0.3]) > 6.0, "the control rho = {rho}");
    }
}

/// A noise draws the background's covariance, not the features'.
#[test]
fn gaussian_noise_draws_the_background_covariance() {
    let feature = ViewCovariance::new(0.9, 0.2, 0.1).unwrap();
    let noise = GaussianNoise::new(feature, ViewCovariance::new(0.2, 0.1, 0.7).unwrap());
    let mut rng = rng(70);
    let pairs: Vec<[f64; 2]> = (0..200_000).map(|_| noise.sample(&mut rng)).collect();
    assert!(worst_pair_z(&pairs, [0.2, 0.1, 0.7]) < 6.0);
    assert!(worst_pair_z(&pairs, [0.9, 0.2, 0.1]) > 6.0, "the control");
    assert_eq!(AugmentationNoise::<f64>::sample(&NoNoise, &mut rng), [0.0, 0.0]);
}

/// The first four draws at seed 1: a changed stream changes every simulation, and must be a conscious change.
#[test]
fn the_first_draws_of_every_law_are_pinned() {
    let point_masses = PointMasses::new([-2.0, -0.5, 0.1, 1.0, 3.0], [0.1, 0.3, 0.25, 0.2, 0.15]).unwrap();
    let pinned: [(Law, [f64; 4]); 7] = [
        (Law::two_point(S).unwrap(), [-1.5, -1.5, 1.5, -1.5]),
        (Law::three_point(S, 0.3).unwrap(), [0.0, 0.0, 2.738_612_787_525_830_6, 0.0]),
        (
            Law::gaussian(S).unwrap(),
            [1.265_997_920_433_264, 1.073_341_069_095_889_6, -2.873_807_165_428_137_6, 0.678_744_705_576_694_8],
        ),
        (
            Law::uniform(S).unwrap(),
            [1.619_184_274_318_949_5, 1.283_993_769_527_762_8, -2.077_676_851_319_987_3, 1.279_380_388_766_784_7],
        ),
        (
            Law::laplace(S).unwrap(),
            [-1.163_325_659_695_120_5, -0.383_309_228_097_537_2, -0.245_129_094_020_314_35, 0.079_629_614_301_936_44],
        ),
        (Law::skewed(S, 0.2).unwrap(), [-0.75, -0.75, 3.0, -0.75]),
        (point_masses.into(), [1.0, 1.0, -0.5, 1.0]),
    ];
    for (law, want) in pinned {
        assert_eq!(draws(&law, 4, 1), want, "{law:?}");
    }
    let exponential = rand_distr::Exp::new(1.0).unwrap();
    assert_eq!(
        draws(&Law::from_distribution(exponential, [1.0], [1.0]).unwrap(), 2, 1),
        [rng(1)].iter_mut().flat_map(|rng| [0, 1].map(|_| exponential.sample(rng))).collect::<Vec<f64>>()
    );
    assert_eq!(
        draws(&mixture(), 4, 1),
        [1.198_520_112_362_818_4, -0.245_129_094_020_314_35, 1.981_295_518_274_292_2, 2.184_361_316_238_457]
    );
    let (mut signs, mut c) = (rng(1), [[0.0; 3]; 2]);
    for c in &mut c {
        CorrelatedSigns::new([1.0; 3], 0.25).unwrap().sample(&mut signs, c);
    }
    assert_eq!(c, [[-1.0, -1.0, -1.0], [1.0, -1.0, 1.0]]);
    let mut rng = rng(1);
    let noise = RademacherNoise::new(0.25, 0.5).unwrap();
    assert_eq!([noise.sample(&mut rng), noise.sample(&mut rng)], [[-0.5, -0.5], [0.5, 0.5]]);
    let covariance = ViewCovariance::new(0.2, 0.1, 0.7).unwrap();
    let want = [[-0.364_832_918_730_650_7, 0.106_474_501_988_458_62], [1.318_542_861_824_177, 0.749_167_868_009_606_1]];
    assert_eq!([covariance.sample(&mut rng), covariance.sample(&mut rng)], want);
}

/// The draws from the words that a generator of seed 1 gives, for each law that has such draws: simulations in lock-step
/// are made of them.
#[test]
fn the_first_draws_from_words_are_pinned() {
    let words: Vec<u64> = {
        let mut rng = rng(1);
        (0..6).map(|_| rng.next_u64()).collect()
    };
    let from_words = |law: &Law| {
        let mut c = [0.0; 4];
        assert!(law.samples_from_words(&words[..4], &mut c));
        c
    };
    let point_masses = PointMasses::new([-2.0, -0.5, 0.1, 1.0, 3.0], [0.1, 0.3, 0.25, 0.2, 0.15]).unwrap();
    let pinned: [(Law, [f64; 4]); 5] = [
        (Law::two_point(S).unwrap(), [-1.5, -1.5, 1.5, -1.5]),
        (Law::three_point(S, 0.3).unwrap(), [0.0, 0.0, 2.738_612_787_525_830_6, 0.0]),
        (
            Law::uniform(S).unwrap(),
            [1.619_184_274_318_95, 1.283_993_769_527_763_5, -2.077_676_851_319_987, 1.279_380_388_766_785_4],
        ),
        (
            Law::laplace(S).unwrap(),
            [-0.221_394_450_587_768_52, -0.309_235_389_715_102, 2.440_660_933_039_626_7, 0.310_496_608_361_858_83],
        ),
        (point_masses.into(), [1.0, 1.0, -0.5, 1.0]),
    ];
    for (law, want) in pinned {
        assert_eq!(from_words(&law), want, "{law:?}");
    }
    let mut c = [0.0; 6];
    let law = CorrelatedSigns::new([1.0; 3], 0.25).unwrap();
    assert!(law.samples_from_words(&words, &mut c));
    assert_eq!(c, [1.0, -1.0, -1.0, -1.0, -1.0, -1.0]);
    assert!(!Law::gaussian(S).unwrap().samples_from_words(&[], &mut []));
    assert!(!mixture().samples_from_words(&[], &mut []));
}
