//! Faults that other tests once let pass: each test here sees one of them.

use contrastive_dynamics::integrate::Output;
use contrastive_dynamics::model::{
    Constraint, GaussianNoise, HiddenDistribution, Independent, Law, Model, Tanh, ViewCovariance,
};
use contrastive_dynamics::nalgebra::DMatrix;
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::pde::observables::Marginal;
use contrastive_dynamics::sgd::ProjectedChain;
use contrastive_dynamics::stability::collapsed_point;
use contrastive_dynamics::state::OrderParameters;

use crate::support::models;

fn draws(law: Law, words: &[u64]) -> Vec<f64> {
    let mut c = vec![0.0; words.len()];
    assert!(Independent::new([law]).unwrap().samples_from_words(words, &mut c));
    c
}

/// Words that make uniforms (k + 1/2)/n: averages over them are midpoint sums of the quantiles, with no sampling error.
fn words(n: u64) -> impl Iterator<Item = u64> {
    (0..n).map(move |k| {
        let word = ((u128::from(k) * 2 + 1) << 63) / u128::from(n);
        u64::try_from(word).unwrap()
    })
}

/// The second moment and the mean magnitude of each law to 1e-3 and better; a scale off by one per cent is off by more.
#[test]
fn draws_from_words_have_the_scale_of_their_law() {
    let second = 2.25_f64;
    let laws = [
        (Law::two_point(second), second.sqrt()),
        (Law::three_point(second, 0.4), (0.4 * second).sqrt()),
        (Law::uniform(second), (3.0 * second).sqrt() / 2.0),
        (Law::laplace(second), (second / 2.0).sqrt()),
    ];
    for (law, magnitude) in laws {
        let law = law.unwrap();
        // The last bit may be a sign: both are tried with every word.
        let words: Vec<u64> = words(100_000).flat_map(|word| [word & !1, word | 1]).collect();
        let c = draws(law.clone(), &words);
        let mean = |f: &dyn Fn(f64) -> f64| c.iter().map(|&c| f(c)).sum::<f64>() / c.len() as f64;
        assert!((mean(&|c| c * c) / second - 1.0).abs() < 1e-3, "{law:?}");
        assert!((mean(&f64::abs) / magnitude - 1.0).abs() < 1e-4, "{law:?}");
        assert!(mean(&|c| c).abs() < 1e-4);
    }
}

/// Laws with a density take all the bits that a number has.
#[test]
fn uniforms_of_words_are_as_fine_as_numbers() {
    for law in [Law::uniform(1.0), Law::laplace(1.0)] {
        let base = 1_u64 << 62;
        for bit in 12..52 {
            let c = draws(law.clone().unwrap(), &[base, base + (1 << bit)]);
            assert_ne!(c[0], c[1], "bit {bit}");
            // By how much: the slope of the quantile there is of order one.
            let step = (1_u64 << bit) as f64 / 2.0_f64.powi(64);
            assert!((c[0] - c[1]).abs() > 0.1 * step && (c[0] - c[1]).abs() < 20.0 * step, "bit {bit}");
        }
    }
}

/// On the sphere the rates are those of the free flow, normalised: R_12 is pulled by both neurons.
#[test]
fn rates_on_the_sphere_are_those_of_the_normalised_free_flow() {
    let model =
        |constraint| models::equal_features(2).n_neurons(2).penalty_strength(0.7).constraint(constraint).build();
    let (free, sphere) = (model(Constraint::None).unwrap(), model(Constraint::Sphere).unwrap());
    let (free, sphere) = (ReducedOde::new(&free).unwrap(), ReducedOde::new(&sphere).unwrap());
    let q = DMatrix::from_row_slice(2, 2, &[0.4, 0.1, -0.2, 0.5]);
    let r = DMatrix::from_row_slice(2, 2, &[1.0, 0.35, 0.35, 1.0]);
    let state = OrderParameters::new(q.clone(), r.clone()).unwrap();
    let (flow, rates) = (free.rates(&state).unwrap(), sphere.rates(&state).unwrap());
    // Central differences of (Q, R)/norms along the free flow.
    let at = |t: f64| {
        let (q, r) = (&q + &flow.q * t, &r + &flow.r * t);
        let norms = [r[(0, 0)].sqrt(), r[(1, 1)].sqrt()];
        let q = DMatrix::from_fn(2, 2, |l, i| q[(l, i)] / norms[i]);
        (q, DMatrix::from_fn(2, 2, |i, j| r[(i, j)] / (norms[i] * norms[j])))
    };
    let h = 1e-4;
    let (ahead, behind) = (at(h), at(-h));
    let (q, r) = ((ahead.0 - behind.0) / (2.0 * h), (ahead.1 - behind.1) / (2.0 * h));
    assert!((&rates.q - &q).amax() < 1e-7, "{} {q}", rates.q);
    assert!((&rates.r - &r).amax() < 1e-7, "{} {r}", rates.r);
    // Each neuron alone pulls enough to be seen.
    assert!((0..2).all(|i| (flow.r[(i, i)] * 0.35).abs() > 1e-3));
}

/// 0.9 min(s, IQR/1.349) n^(−1/5), by hand: once the deviation is the smaller, once the quartiles are.
#[test]
fn silvermans_bandwidth_is_that_of_its_formula() {
    let ends: Vec<f64> = (0..64).map(|k| if k % 2 == 0 { -1.0 } else { 1.0 }).collect();
    let got = Marginal::sample(&ends).unwrap().silverman_bandwidth().unwrap();
    // Two atoms of mass 1/2 count as two values, with s = 1 and an interquartile range of 2.
    assert!((got - 0.9 * 2.0_f64.powf(-0.2)).abs() < 1e-12, "{got}");
    let spread: Vec<f64> = (0..101).map(|k| f64::from(k) - 50.0).chain([-1e4, 1e4]).collect();
    let law = Marginal::sample(&spread).unwrap();
    let range = law.quantile(0.75).unwrap() - law.quantile(0.25).unwrap();
    assert!((49.0..=53.0).contains(&range) && law.variance().sqrt() > 1000.0);
    let got = law.silverman_bandwidth().unwrap();
    assert!((got - 0.9 * range / 1.349 * 103.0_f64.powf(-0.2)).abs() < 1e-10 * got, "{got}");
}

/// All thirty-two, alone and in company.
#[test]
fn every_lane_alone_takes_its_path() {
    let model = models::equal_features(1).batch_size(3).build().unwrap();
    let chain = || ProjectedChain::builder(&model, 40);
    let seeds: Vec<u64> = (100..132).collect();
    let together = chain().lanes(&seeds).unwrap().run(0.5, &Output::Stop).unwrap();
    let states: Vec<_> = together.iter().map(|run| run.as_ref().unwrap().states().to_vec()).collect();
    for (&seed, states) in seeds.iter().zip(&states) {
        let alone = chain().lanes(&[seed]).unwrap().run(0.5, &Output::Stop).unwrap();
        assert_eq!(alone[0].as_ref().unwrap().states(), states, "seed {seed}");
    }
    // No lane takes the normals of another.
    for (i, one) in states.iter().enumerate() {
        assert!(states[..i].iter().all(|other| other != one));
    }
}

/// Near the origin, where σ is its slope: the closed forms against the right-hand side.
#[test]
fn noise_along_features_and_in_the_background_is_told_apart() {
    // Along the features much noise, in the background little; and the other way round.
    for (feature, background) in [(0.8, 0.1), (0.1, 0.8)] {
        let covariance = |variance: f64| ViewCovariance::correlated(variance, 0.4).unwrap();
        let noise = GaussianNoise::new(covariance(feature), covariance(background));
        let hidden = Independent::new([Law::two_point(2.25).unwrap()]).unwrap();
        let builder = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(noise).learning_rate(0.2);
        let model = builder.weight_decay(0.3).batch_size(3).build().unwrap();
        let ode = ReducedOde::new(&model).unwrap().coefficient_tolerance(1e-13).unwrap();
        let point = collapsed_point(&ode).unwrap();
        let small = 1e-4;
        let rates = |q: f64| {
            let state = OrderParameters::from_rows(1, 1, &[q * small], &[small * small]).unwrap();
            ode.rates(&state).unwrap()
        };
        let overlap = rates(0.01).q[(0, 0)] / (0.01 * small);
        let covariance = rates(0.0).r[(0, 0)] / (small * small);
        let [closed_overlap, closed_covariance] = [point.overlap_rates[0], point.covariance_rates[0]];
        assert!((overlap - closed_overlap).abs() < 1e-5, "{overlap} {closed_overlap}");
        assert!((covariance - closed_covariance).abs() < 1e-5, "{covariance} {closed_covariance}");
    }
}
