//! What the best schedule gains is real at finite N.

use contrastive_dynamics::control::{Control, Optimiser, TimeGrid};
use contrastive_dynamics::model::Quantity;
use contrastive_dynamics::prelude::*;

use super::{one_feature, similarity};

/// Mean and standard error of the final similarity of 96 projected chains at N = 1000.
fn simulated<M>(model: &M, start: &OrderParameters, schedules: &Schedules, end: f64) -> (f64, f64)
where
    M: Spec<Scalar = f64, Regularizer = L2>,
{
    let mut seen = Vec::new();
    for block in 0..3 {
        let seeds: Vec<u64> = (0..32).map(|k| 32 * block + k).collect();
        let chain = ProjectedChain::builder(model, 1000).start(start).schedules(schedules);
        for run in chain.lanes(&seeds).unwrap().run(end, &Output::Stop).unwrap() {
            seen.push(run.unwrap().last().unwrap().1.cosine_similarity(0, 0).unwrap());
        }
    }
    let n = seen.len() as f64;
    let mean = seen.iter().sum::<f64>() / n;
    let variance = seen.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}

/// The best schedules of learning rate and augmentation beat the best constant rate by what the limit says, up to 1/N and four standard
/// errors (chance 6e-5); that they do not would be seen, by more than ten.
#[test]
fn the_gain_is_real_at_finite_dimension() {
    let model = one_feature();
    let ode = ReducedOde::new(&model).unwrap();
    let (start, end) = (OrderParameters::from_rows(1, 1, &[0.4], &[1.0]).unwrap(), 12.0);
    let objective = similarity();
    let rate = |grid: TimeGrid| Control::new([Quantity::LearningRate], grid).bounds(0.003, 3.0);
    let constant = Optimiser::new(&ode, &objective).control(rate(TimeGrid::constant([0.0]).unwrap()));
    let constant = constant.maximise(&start, end).unwrap();
    let grid = || TimeGrid::linear((0..=6).map(|k| 2.0 * f64::from(k))).unwrap();
    let varied = Optimiser::new(&ode, &objective)
        .control(rate(grid()))
        .control(Control::new(Quantity::NOISE_CORRELATION, grid()).bounds(-0.95, 0.95))
        .maximise(&start, end)
        .unwrap();
    let (before, its_error) = simulated(&model, &start, constant.schedules(), end);
    let (after, error) = simulated(&model, &start, varied.schedules(), end);
    let (gain, expected) = (after - before, varied.objective() - constant.objective());
    let sampling = (error * error + its_error * its_error).sqrt();
    assert!(expected > 0.01, "{expected}");
    assert!((gain - expected).abs() < 4.0 * sampling + 2e-3, "{gain} {expected} {sampling}");
    assert!(gain > 10.0 * sampling, "{gain} {sampling}");
}
