//! Observables of laws on the line, against closed forms.

use contrastive_dynamics::Scalar;
use contrastive_dynamics::pde::observables::{Marginal, ObservableError};
use contrastive_dynamics::rand::{RngExt, SeedableRng, rngs::StdRng};

fn near(value: f64, wanted: f64) {
    assert!((value - wanted).abs() < 1e-13 * (1.0 + wanted.abs()), "{value} is not {wanted}");
}

fn uniform(low: f64, high: f64, cells: usize) -> Marginal {
    let edges: Vec<f64> = (0..=cells).map(|k| low + (high - low) * k as f64 / cells as f64).collect();
    Marginal::density(&edges, &vec![1.0 / cells as f64; cells]).unwrap()
}

#[test]
fn wasserstein_distances_have_their_closed_forms() {
    let sample = |values: &[f64]| Marginal::sample(values).unwrap();
    // Atoms: |x − y|; equal numbers: the mean of |x_(k) − y_(k)|; unequal numbers.
    near(sample(&[1.0]).wasserstein(&sample(&[-2.5])), 3.5);
    near(sample(&[3.0, 1.0, 2.0]).wasserstein(&sample(&[2.0, 0.0, 5.0])), (1.0 + 0.0 + 2.0) / 3.0);
    near(sample(&[0.0]).wasserstein(&sample(&[-1.0, 1.0, 1.0])), 1.0);
    near(Marginal::weighted(&[0.0, 1.0], &[3.0, 1.0]).unwrap().wasserstein(&sample(&[0.0])), 0.25);
    // Uniform [0, 1] against an atom at a: (a² + (1 − a)²)/2. Cells do not matter.
    for cells in [1, 7] {
        for a in [0.0, 0.25, 0.5, 1.0] {
            near(uniform(0.0, 1.0, cells).wasserstein(&sample(&[a])), 0.5 * (a * a + (1.0 - a) * (1.0 - a)));
        }
        near(uniform(0.0, 1.0, cells).wasserstein(&sample(&[3.0])), 2.5);
        // A shift by s costs s, a stretch about the middle by k costs (k − 1)/4; the functions cross in the middle.
        near(uniform(0.0, 1.0, cells).wasserstein(&uniform(0.3, 1.3, 3)), 0.3);
        near(uniform(0.0, 1.0, cells).wasserstein(&uniform(-0.5, 1.5, 4)), 0.25);
    }
    // The n midpoints against the uniform law: 1/(4n).
    let midpoints: Vec<f64> = (0..10).map(|k| (f64::from(k) + 0.5) / 10.0).collect();
    near(sample(&midpoints).wasserstein(&uniform(0.0, 1.0, 1)), 1.0 / 40.0);
}

#[test]
fn wasserstein_distance_is_a_metric_and_agrees_with_integration() {
    const POINTS: usize = 20_000;
    let mut rng = StdRng::seed_from_u64(1);
    let mut law = |kind: usize| {
        let mut values: Vec<f64> = (0..13).map(|_| rng.random_range(-1.0..1.0)).collect();
        let weights: Vec<f64> = (0..12).map(|_| rng.random_range(0.0..1.0)).collect();
        if kind == 0 {
            return Marginal::weighted(&values[..12], &weights).unwrap();
        }
        values.sort_by(f64::total_cmp);
        Marginal::density(&values, &weights).unwrap()
    };
    for _ in 0..20 {
        let (a, b, c) = (law(0), law(1), law(1));
        let pairs = [(&a, &b), (&b, &c), (&a, &c)];
        let [ab, bc, ac] = pairs.map(|(x, y)| x.wasserstein(y));
        assert!(ab > 0.0 && ab <= ac + bc + 1e-14 && a.wasserstein(&a) == 0.0);
        for (x, y) in pairs {
            near(x.wasserstein(y), y.wasserstein(x));
            let at = |k: usize| 2.0 * (k as f64 + 0.5) / POINTS as f64 - 1.0;
            let sum: f64 = (0..POINTS).map(|k| (x.cdf(at(k)) - y.cdf(at(k))).abs()).sum();
            // A jump costs the midpoint rule half a cell at most: 24 jumps of 1/12 and less.
            assert!((sum * 2.0 / POINTS as f64 - x.wasserstein(y)).abs() < 2e-4);
        }
    }
}

#[test]
fn moments_quantiles_and_fractions_are_exact() {
    let density = Marginal::density(&[-1.0, 0.0, 3.0], &[0.25, 0.75]).unwrap();
    // ∫ x^k over cells: 0.25 ∫_{-1}^0 + 0.25 ∫_0^3.
    for k in 0..7_u32 {
        let exponent = k.cast_signed() + 1;
        let exact = 0.25 * (3_f64.powi(exponent) - (-1_f64).powi(exponent)) / f64::from(exponent);
        near(density.moment(k), exact);
    }
    near(density.mean(), 1.0);
    near(density.variance(), 16.0 / 12.0);
    for q in [0.0, 0.25, 0.5, 1.0] {
        near(density.quantile(q).unwrap(), 4.0 * q - 1.0);
    }
    near(density.fraction_within(0.5).unwrap(), 0.25);

    let sample = Marginal::sample(&[0.0, 2.0, -0.0, -3.0]).unwrap();
    near(sample.fraction_within(0.0).unwrap(), 0.5);
    near(sample.fraction_within(2.0).unwrap(), 0.75);
    near(sample.moment(3), (8.0 - 27.0) / 4.0);
    near(sample.variance(), 13.0 / 4.0 - 0.0625);
    let quantiles = [0.0, 0.25, 0.26, 0.75, 0.76, 1.0].map(|q| sample.quantile(q).unwrap());
    assert_eq!(quantiles, [-3.0, -3.0, 0.0, 0.0, 2.0, 2.0]);
    // Empty cells at either end carry no quantile.
    let padded = Marginal::density(&[-9.0, 0.0, 1.0, 9.0], &[0.0, 1.0, 0.0]).unwrap();
    assert_eq!([0.0, 0.5, 1.0].map(|q| padded.quantile(q).unwrap()), [0.0, 0.5, 1.0]);
    assert_eq!([padded.cdf(-10.0), padded.cdf(0.5), padded.cdf(10.0)], [0.0, 0.5, 1.0]);
}

#[test]
fn a_histogram_puts_every_value_into_one_cell_and_is_exact_for_densities() {
    let sample = Marginal::sample(&[-1.0, 0.0, 0.5, 1.0, 2.0, 2.5]).unwrap();
    let histogram = sample.histogram(&[0.0, 1.0, 2.0]).unwrap();
    near(histogram.masses[0], 2.0 / 6.0);
    near(histogram.masses[1], 2.0 / 6.0);
    near(histogram.below, 1.0 / 6.0);
    near(histogram.above, 1.0 / 6.0);
    let cut = uniform(0.0, 1.0, 3).histogram(&[-1.0, 0.1, 0.4, 2.0]).unwrap();
    [0.1, 0.3, 0.6].into_iter().zip(&cut.masses).for_each(|(wanted, &mass)| near(mass, wanted));
    [0.1 / 1.1, 1.0, 0.6 / 1.6].into_iter().zip(cut.densities()).for_each(|(wanted, x)| near(x, wanted));
}

#[test]
fn conditional_laws_mix_to_the_whole() {
    let mut rng = StdRng::seed_from_u64(2);
    let u: Vec<f64> = (0..300).map(|_| rng.random_range(-1.0..1.0)).collect();
    let w: Vec<f32> = u.iter().map(|&u| f32::lit(u + rng.random_range(-1.0..1.0))).collect();
    let whole = Marginal::sample(&w).unwrap();
    let (on, off) = (Marginal::conditional(&w, |n| u[n] > 0.0), Marginal::conditional(&w, |n| u[n] <= 0.0));
    let (on, off) = (on.unwrap(), off.unwrap());
    let share = u.iter().filter(|u| **u > 0.0).count() as f64 / 300.0;
    assert!(on.mean() > off.mean() + 0.5);
    let mixed = Marginal::mixture(&[(share, &on), (1.0 - share, &off)]).unwrap();
    assert!(mixed.wasserstein(&whole) < 1e-14 && (mixed.variance() - whole.variance()).abs() < 1e-14);
    let blend = Marginal::mixture(&[(1.0, &uniform(0.0, 1.0, 1)), (3.0, &uniform(0.5, 2.0, 2))]).unwrap();
    near(blend.cdf(0.75), 0.25 * 0.75 + 0.75 * 0.25 / 1.5);
}

#[test]
fn kernel_densities_integrate_to_one_and_widen_by_the_bandwidth() {
    let step = 0.01;
    let points: Vec<f64> = (-600..=600).map(|k| f64::from(k) * step).collect();
    let sample = Marginal::sample(&[-0.7, 0.1, 0.1, 1.2]).unwrap();
    for law in [&sample, &uniform(-1.0, 0.5, 4)] {
        let density = law.kernel_density(0.3, &points).unwrap();
        let moment = |k: i32| density.iter().zip(&points).map(|(d, x)| d * x.powi(k) * step).sum::<f64>();
        assert!((moment(0) - 1.0).abs() < 1e-12 && (moment(1) - law.mean()).abs() < 1e-12);
        assert!((moment(2) - law.moment(2) - 0.09).abs() < 1e-12);
    }
    // Of n equally spaced values on [0, 1): s = 1/√12, and the quartiles' distance over 1.349 is 0.3706.
    let spread: Vec<f64> = (0..1000).map(|k| f64::from(k) / 1000.0).collect();
    let bandwidth = Marginal::sample(&spread).unwrap().silverman_bandwidth().unwrap();
    assert!((bandwidth / (0.9 / 12_f64.sqrt() * 1000_f64.powf(-0.2)) - 1.0).abs() < 1e-5);
    assert_eq!(uniform(0.0, 1.0, 2).silverman_bandwidth(), None);
    assert_eq!(Marginal::sample(&[1.0, 1.0]).unwrap().silverman_bandwidth(), None);
}

#[test]
fn what_has_no_law_is_rejected_each_with_its_error() {
    type E = ObservableError;
    assert_eq!(Marginal::sample::<f64>(&[]), Err(E::Empty));
    assert_eq!(Marginal::conditional(&[1.0], |_| false), Err(E::Empty));
    assert_eq!(Marginal::weighted(&[1.0], &[0.0]), Err(E::Empty));
    assert!(matches!(Marginal::sample(&[0.0, f64::NAN]), Err(E::NotFinite { index: 1, .. })));
    assert!(matches!(Marginal::weighted(&[1.0], &[1.0, 2.0]), Err(E::Length { expected: 1, got: 2, .. })));
    assert!(matches!(Marginal::weighted(&[1.0, 2.0], &[1.0, -2.0]), Err(E::Weight { index: 1, value: -2.0 })));
    assert!(matches!(Marginal::density(&[0.0], &[]), Err(E::Length { expected: 2, .. })));
    assert!(matches!(Marginal::density(&[f64::NAN, 1.0], &[1.0]), Err(E::Edges { index: 0, .. })));
    assert!(matches!(Marginal::density(&[0.0, 0.0], &[1.0]), Err(E::Edges { index: 1, .. })));
    assert!(matches!(Marginal::density(&[0.0, 1.0], &[-1.0]), Err(E::Weight { index: 0, .. })));
    assert_eq!(Marginal::density(&[0.0, 1.0], &[0.0]), Err(E::Empty));
    let law = Marginal::sample(&[1.0]).unwrap();
    for bad in [-0.1, 1.1, f64::NAN] {
        assert!(matches!(law.quantile(bad), Err(E::OutOfRange { .. })));
    }
    assert!(matches!(law.fraction_within(-1.0), Err(E::OutOfRange { .. })));
    assert!(matches!(law.kernel_density(0.0, &[0.0]), Err(E::OutOfRange { .. })));
    assert!(matches!(law.histogram(&[1.0, 0.0]), Err(E::Edges { .. })));
    assert_eq!(Marginal::mixture(&[]), Err(E::Empty));
    assert!(matches!(Marginal::mixture(&[(-1.0, &law)]), Err(E::Weight { index: 0, .. })));
}
