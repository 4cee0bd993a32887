//! The normals of `LaneRng`: a pinned stream, independence of how requests are split, and their law.
//!
//! Statistics are over 2²⁰ draws at fixed seeds, each within 5 standard errors: 2 precisions, 3 seeds and 17 statistics,
//! false alarms below 6e-5. The negative controls are the same draws scaled by 1.01, or shifted by 0.01, which miss.

use contrastive_dynamics::rand::{Rng, SeedableRng};
use contrastive_dynamics::random::{FillNormal, LaneRng, PerDraw};
use rand_xoshiro::Xoshiro256PlusPlus;

const COUNT: usize = 1 << 20;
const ALLOWED: f64 = 5.0;

fn doubles(seed: u64) -> Vec<f64> {
    let mut out = vec![0.0; COUNT];
    LaneRng::seed_from_u64(seed).fill_normal(&mut out);
    out
}

fn singles(seed: u64) -> Vec<f64> {
    let mut out = vec![0.0_f32; COUNT];
    LaneRng::seed_from_u64(seed).fill_normal(&mut out);
    out.into_iter().map(f64::from).collect()
}

/// P(|Z| > z).
fn tail(z: f64) -> f64 {
    libm::erfc(z / 2_f64.sqrt())
}

/// Every statistic in units of its standard error.
fn statistics(x: &[f64]) -> Vec<f64> {
    let n = x.len() as f64;
    let root = n.sqrt();
    let moment = |k: i32| x.iter().map(|x| x.powi(k)).sum::<f64>() / n;
    // Var Z^k = E Z^2k − (E Z^k)².
    let mut out = vec![
        moment(1) * root,
        (moment(2) - 1.0) * root / 2_f64.sqrt(),
        moment(3) * root / 15_f64.sqrt(),
        (moment(4) - 3.0) * root / 96_f64.sqrt(),
    ];
    for z in [2.0, 3.0, 4.0] {
        let (p, share) = (tail(z), x.iter().filter(|x| x.abs() > z).count() as f64 / n);
        out.push((share - p) * root / (p * (1.0 - p)).sqrt());
    }
    // Correlations at the distances of lanes and blocks, and those of squares (of variance 4: Z² has variance 2).
    for lag in [1, 31, 32, 63, 64] {
        let pairs = || x.iter().zip(&x[lag..]);
        out.push(pairs().map(|(x, y)| x * y).sum::<f64>() / root);
        out.push(pairs().map(|(x, y)| (x * x - 1.0) * (y * y - 1.0)).sum::<f64>() / root / 2.0);
    }
    out
}

/// √n times the Kolmogorov-Smirnov distance to the normal law; above 2.35 with probability 3.2e-5.
fn kolmogorov_smirnov(x: &[f64]) -> f64 {
    let mut x = x.to_vec();
    x.sort_unstable_by(f64::total_cmp);
    let n = x.len() as f64;
    let distance = x.iter().enumerate().fold(0.0_f64, |worst, (k, &x)| {
        let p = 0.5 * libm::erfc(-x / 2_f64.sqrt());
        worst.max((p - k as f64 / n).abs()).max(((k + 1) as f64 / n - p).abs())
    });
    distance * n.sqrt()
}

#[test]
fn normals_have_their_moments_tails_and_no_correlations() {
    for seed in [1, 2, 3] {
        for x in [doubles(seed), singles(seed)] {
            let worst = statistics(&x).into_iter().fold(0.0_f64, |worst, z| worst.max(z.abs()));
            assert!(worst < ALLOWED, "seed {seed}: {:?}", statistics(&x));
            let wide: Vec<f64> = x.iter().map(|x| 1.01 * x).collect();
            let shifted: Vec<f64> = x.iter().map(|x| x + 0.01).collect();
            assert!(statistics(&wide)[1] > 2.0 * ALLOWED && statistics(&shifted)[0] > 1.5 * ALLOWED);
            let mut echoed = x.clone();
            for k in 32..COUNT {
                echoed[k] = 0.999_95_f64.sqrt() * x[k] + 0.01 * x[k - 32];
            }
            assert!(statistics(&echoed)[11] > 1.5 * ALLOWED, "an echo of 1 % after 32 draws is heard");
        }
    }
}

/// Six samples of 2²⁰: false alarms below 1e-4 at √n D = 2.45 each (1.2e-5). The control, 1 % wider, is at 2.5 and more.
#[test]
fn normals_have_the_distribution_function() {
    for seed in [1, 2, 3] {
        for x in [doubles(seed), singles(seed)] {
            let distance = kolmogorov_smirnov(&x);
            assert!(distance < 2.45, "{distance}");
            let shifted: Vec<f64> = x.iter().map(|x| 1.01 * x + 0.002).collect();
            assert!(kolmogorov_smirnov(&shifted) > 2.45);
        }
    }
}

#[test]
fn streams_of_replicates_are_uncorrelated() {
    let draw = |index: u64| {
        let mut out = vec![0.0_f64; 1 << 16];
        LaneRng::stream(9, index).fill_normal(&mut out);
        out
    };
    let streams: Vec<Vec<f64>> = (0..12).map(draw).collect();
    for (k, x) in streams.iter().enumerate() {
        for y in &streams[..k] {
            // 66 pairs: false alarms below 4e-5.
            let correlation: f64 = x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>() / 256.0;
            assert!(correlation.abs() < ALLOWED, "{correlation}");
        }
    }
    assert_ne!(LaneRng::stream(9, 1).next_u64(), LaneRng::stream(1, 9).next_u64());
}

#[test]
fn how_requests_are_split_changes_nothing() {
    let mut whole = vec![0.0_f64; 1000];
    LaneRng::seed_from_u64(5).fill_normal(&mut whole);
    let mut parts = vec![0.0_f64; 1000];
    let mut rng = LaneRng::seed_from_u64(5);
    let mut rest = &mut parts[..];
    for size in [10, 22, 0, 1, 64, 65, 127, 300, 1, 410] {
        let (now, later) = rest.split_at_mut(size);
        rng.fill_normal(now);
        rest = later;
    }
    assert!(rest.is_empty() && whole == parts);
    // Words: the lanes in turn, of which the first is the scalar generator.
    let mut rng = LaneRng::seed_from_u64(5);
    let words: Vec<u64> = (0..64).map(|_| rng.next_u64()).collect();
    let mut scalar = Xoshiro256PlusPlus::seed_from_u64(5);
    assert_eq!([words[0], words[32]], [scalar.next_u64(), scalar.next_u64()]);
}

#[test]
fn any_generator_fills_slices_too() {
    let mut x = vec![0.0_f64; COUNT];
    PerDraw(Xoshiro256PlusPlus::seed_from_u64(4)).fill_normal(&mut x);
    assert!(statistics(&x).iter().all(|z| z.abs() < ALLOWED));
}

/// Value stability: a change here is a value-breaking change.
#[test]
fn the_stream_is_pinned() {
    let mut rng = LaneRng::seed_from_u64(42);
    let mut x = [0.0_f64; 3];
    rng.fill_normal(&mut x);
    let mut y = [0.0_f32; 3];
    LaneRng::seed_from_u64(42).fill_normal(&mut y);
    let bits = (x.map(f64::to_bits), y.map(f32::to_bits), LaneRng::stream(42, 7).next_u64());
    let doubles = [0xBFE0_7CA8_3854_C121, 0xBFFA_28C6_C8E8_7C07, 0xBFF9_AFCD_A7BD_3B86];
    assert_eq!(bits, (doubles, [1_048_958_816, 1_044_457_467, 1_053_198_712], 9_421_882_676_125_115_382));
}
