//! Augmentations that depend on the sample: masking against its limit, and transformations of the user's.

use contrastive_dynamics::ensemble::{Ensemble, Summary};
use contrastive_dynamics::prelude::*;
use contrastive_dynamics::rand::Rng;
use contrastive_dynamics::sgd::{SgdError, SgdFailure};
use contrastive_dynamics::state::Checkpoint;

const N: usize = 300;
const TIMES: [f64; 2] = [1.0, 3.0];

type Plain<A> = Model<f64, Tanh, Independent, A>;

fn model<A: AugmentationNoise>(noise: A) -> Plain<A> {
    let hidden = Independent::new([Law::skewed(3.0, 0.3).unwrap()]).unwrap();
    let builder = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(noise).learning_rate(0.4);
    builder.weight_decay(0.3).batch_size(2).build().unwrap()
}

fn start() -> OrderParameters {
    OrderParameters::from_rows(1, 1, &[0.5], &[1.0]).unwrap()
}

fn observe(_: f64, state: &OrderParameters) -> Vec<f64> {
    state.to_packed().as_slice().to_vec()
}

fn masked<A: AugmentationNoise + Clone>(model: &Plain<A>, masking: &Masking, runs: u64) -> Summary {
    let start = start();
    let run = |seed: u64| -> Result<Trajectory, SgdError> {
        let builder = DirectSgd::builder(model, N).start(&start).views(masking);
        builder.build_seeded(seed)?.run(TIMES[1], &Output::Times(TIMES.to_vec()))
    };
    Ensemble::new(runs, 11).run(|replicate| run(replicate.seed), observe).unwrap()
}

/// By how much the means of masked SGD are off the ODE of `limit`, in units of five standard errors and 3/N for the bias of order 1/N.
fn off<M: Spec<Scalar = f64, Regularizer: LinearRegularizer>>(seen: &Summary, limit: &M) -> f64 {
    let ode = ReducedOde::new(limit).unwrap();
    let solution = ode.solver().output(Output::Times(TIMES.to_vec())).solve(&start(), TIMES[1]).unwrap();
    let mut worst = 0.0_f64;
    for (k, state) in solution.states().iter().enumerate() {
        for (entry, &expected) in state.to_packed().iter().enumerate() {
            let seen = seen.at(k, entry).unwrap();
            worst = worst.max((seen.mean() - expected).abs() / (5.0 * seen.standard_error() + 3.0 / N as f64));
        }
    }
    worst
}

/// Four maskings, two of correlated masks, one beside noise, by 200 runs each: four numbers a masking, false alarms below 2e-5. The
/// controls are the limits of a slightly different probability, and of independent masks in the place of correlated ones.
#[test]
fn masking_has_the_limit_of_its_effective_parameters() {
    let quiet = model(NoNoise);
    for (dropped, correlation) in [(0.3, 0.0), (0.6, 0.0), (0.5, -0.9), (0.4, 1.0)] {
        let masking = Masking::new(dropped, correlation).unwrap();
        let seen = masked(&quiet, &masking, 200);
        let own = off(&seen, &masking.limit_of(&quiet).unwrap());
        let more = Masking::new(dropped + 0.08, correlation.max(-0.7)).unwrap();
        let other = off(&seen, &more.limit_of(&quiet).unwrap());
        assert!(own < 1.0 && other > 1.3, "{dropped} {correlation}: {own} {other}");
        if correlation != 0.0 {
            let independent = Masking::new(dropped, 0.0).unwrap();
            let other = off(&seen, &independent.limit_of(&quiet).unwrap());
            assert!(other > 1.5, "{dropped} {correlation}: {other}");
        }
    }
    let noisy = model(GaussianNoise::correlated(0.4, -0.5).unwrap());
    let masking = Masking::new(0.3, 0.0).unwrap();
    let seen = masked(&noisy, &masking, 200);
    let own = off(&seen, &masking.limit_of(&noisy).unwrap());
    let without = off(&seen, &masking.limit_of(&quiet).unwrap());
    assert!(own < 1.0 && without > 1.5, "{own} {without}");
}

/// In law: means and variances of Q and R over 1000 runs of masked SGD and of the projected chain of the model of the limit, both at
/// N = 300. Eight statistics by five standard errors; N is finite, so that means may differ by 3/N and variances by a twentieth. The
/// control has masks dropped a tenth more often.
#[test]
fn masked_sgd_has_the_law_of_its_effective_model() {
    let quiet = model(NoNoise);
    let masking = Masking::new(0.5, 0.0).unwrap();
    let runs = 1000;
    let seen = masked(&quiet, &masking, runs);
    let start = start();
    let distance = |masking: &Masking| {
        let effective = masking.limit_of(&quiet).unwrap();
        let chain = ProjectedChain::builder(&effective, N).start(&start);
        let output = Output::Times(TIMES.to_vec());
        let chain = Ensemble::new(10 * runs, 5).run_projected(&chain, TIMES[1], &output, observe).unwrap();
        let mut worst = 0.0_f64;
        for (k, entry) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let (x, y) = (seen.at(k, entry).unwrap(), chain.at(k, entry).unwrap());
            worst = worst.max((x.mean() - y.mean()).abs() / (5.0 * 1.05 * x.standard_error() + 3.0 / N as f64));
            // A variance of so many normal draws is known to √(2/n) of itself.
            let ratio = (x.variance() / y.variance()).ln().abs();
            worst = worst.max(ratio / (5.0 * 1.05 * (2.0 / runs as f64).sqrt() + 0.05));
        }
        worst
    };
    let (own, other) = (distance(&masking), distance(&Masking::new(0.55, 0.0).unwrap()));
    assert!(own < 1.0 && other > 1.5, "{own} {other}");
}

/// A transformation that copies the sample is no augmentation at all: direct SGD without noise, in law and nearly in its numbers.
/// With noise it is noise that is added.
#[test]
fn transformations_of_the_user_make_the_views() {
    let copy = |x: &[f64], first: &mut [f64], second: &mut [f64], _: &mut dyn Rng| {
        first.copy_from_slice(x);
        second.copy_from_slice(x);
    };
    let nothing = Masking::new(0.0, 0.0).unwrap();
    let noisy = model(GaussianNoise::correlated(0.4, -0.5).unwrap());
    let start = start();
    let run = |views: &dyn Augmentation| {
        let mut sgd = DirectSgd::builder(&noisy, 50).start(&start).views(views).build_seeded(3).unwrap();
        (0..100).for_each(|_| sgd.step().unwrap());
        sgd.weights().clone()
    };
    // Masks take a word for every coordinate: other noise follows.
    assert_eq!(run(&copy), run(&copy));
    assert_ne!(run(&copy), run(&nothing));
    // The same means as without.
    let summary = |views: Option<&dyn Augmentation>| {
        let run = |seed: u64| -> Result<Trajectory, SgdError> {
            let builder = DirectSgd::builder(&noisy, 100).start(&start);
            let builder = if let Some(views) = views { builder.views(views) } else { builder };
            builder.build_seeded(seed)?.run(2.0, &Output::Stop)
        };
        Ensemble::new(400, 2).run(|replicate| run(replicate.seed), observe).unwrap()
    };
    let swapped = |x: &[f64], first: &mut [f64], second: &mut [f64], _: &mut dyn Rng| {
        // All of one view is 0.7 of the sample: what is shared is less.
        first.copy_from_slice(x);
        second.iter_mut().zip(x).for_each(|(view, x)| *view = 0.7 * x);
    };
    let (plain, copied, other) = (summary(None), summary(Some(&copy)), summary(Some(&swapped)));
    let z = |x: &Summary, y: &Summary, entry: usize| {
        let (x, y) = (x.at(0, entry).unwrap(), y.at(0, entry).unwrap());
        (x.mean() - y.mean()).abs() / x.standard_error().hypot(y.standard_error())
    };
    for entry in 0..2 {
        assert!(z(&plain, &copied, entry) < 5.0 && z(&plain, &other, entry) > 5.0);
    }
}

#[test]
fn views_that_cannot_be_are_errors() {
    let copy = |x: &[f64], first: &mut [f64], second: &mut [f64], _: &mut dyn Rng| {
        first.copy_from_slice(x);
        second.copy_from_slice(x);
    };
    let anisotropic = model(GaussianNoise::semantic_preserving(0.4, 0.0).unwrap());
    let error = DirectSgd::builder(&anisotropic, 50).views(&copy).build_seeded(3).unwrap_err();
    assert!(matches!(error, SgdError::Anisotropic), "{error}");
    let quiet = model(NoNoise);
    let broken = |_: &[f64], first: &mut [f64], second: &mut [f64], _: &mut dyn Rng| {
        first.fill(f64::NAN);
        second.fill(0.0);
    };
    let mut sgd = DirectSgd::builder(&quiet, 50).views(&broken).build_seeded(3).unwrap();
    assert_eq!(sgd.step(), Err(SgdFailure::Diverged { step: 1 }));
    // Saved work belongs to its views.
    let of = |views: Option<&dyn Augmentation>| {
        let builder = DirectSgd::builder(&quiet, 50);
        let builder = if let Some(views) = views { builder.views(views) } else { builder };
        builder.build_seeded(3).unwrap().fingerprint()
    };
    assert_ne!(of(Some(&copy)), of(None));
    let noisy = model(GaussianNoise::correlated(0.4, 0.0).unwrap());
    let along = Schedules::new().feature_noise_variance(Schedule::constant(0.1).unwrap());
    let mut sgd = DirectSgd::builder(&noisy, 50).views(&copy).schedules(&along).build_seeded(3).unwrap();
    assert!(matches!(sgd.step(), Err(SgdFailure::Schedule { step: 1, .. })));
}
