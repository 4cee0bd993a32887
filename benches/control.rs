//! The gradient of a solution by the adjoint, against the solution itself and a right-hand side, and a search for the best schedule.

use std::hint::black_box;

use contrastive_dynamics::control::{Adjoint, Control, CosineSimilarity, Objective, Optimiser, TimeGrid};
use contrastive_dynamics::model::Quantity;
use contrastive_dynamics::prelude::*;
use criterion::{Criterion, criterion_group, criterion_main};

const END: f64 = 20.0;

fn model(features: usize, neurons: usize) -> impl Spec<Scalar = f64, Regularizer = L2> {
    let laws = (0..features).map(|l| Law::two_point(2.25 - 0.2 * l as f64).expect("positive"));
    Model::builder()
        .nonlinearity(Tanh)
        .hidden(Independent::new(laws).expect("not empty"))
        .noise(GaussianNoise::correlated(0.3, -0.5).expect("in range"))
        .learning_rate(0.3)
        .weight_decay(0.5)
        .n_neurons(neurons)
        .penalty_strength(2.0)
        .build()
        .expect("valid")
}

fn start(features: usize, neurons: usize) -> OrderParameters {
    let q: Vec<f64> = (0..features * neurons).map(|k| if k % (neurons + 1) == 0 { 0.4 } else { 0.1 }).collect();
    let r: Vec<f64> = (0..neurons * neurons).map(|k| if k % (neurons + 1) == 0 { 1.0 } else { 0.0 }).collect();
    OrderParameters::from_rows(features, neurons, &q, &r).expect("feasible")
}

fn gradients(c: &mut Criterion) {
    for (features, neurons) in [(1, 1), (2, 1), (10, 1), (2, 2)] {
        let mut group = c.benchmark_group(format!("control/p={features} m={neurons}"));
        group.sample_size(10);
        let (model, start) = (model(features, neurons), start(features, neurons));
        let ode = ReducedOde::new(&model).expect("a limit");
        let objective = Objective::new().at_end(CosineSimilarity { feature: 0, neuron: 0 });
        let quantities = [Quantity::LearningRate, Quantity::FeatureNoiseVariance, Quantity::FeatureNoiseCorrelation];
        group.bench_function("solution", |b| b.iter(|| ode.solver().solve(black_box(&start), END).expect("solved")));
        group.bench_function("gradient", |b| {
            let adjoint = Adjoint::new(&ode).quantities(quantities);
            b.iter(|| adjoint.gradient(&objective, black_box(&start), END).expect("differentiated"));
        });
        group.finish();
    }
}

fn searches(c: &mut Criterion) {
    let mut group = c.benchmark_group("control/search");
    group.sample_size(10);
    let (model, start) = (model(1, 1), start(1, 1));
    let ode = ReducedOde::new(&model).expect("a limit");
    let objective = Objective::new().at_end(CosineSimilarity { feature: 0, neuron: 0 });
    group.bench_function("20 learning rates", |b| {
        b.iter(|| {
            let grid = TimeGrid::linear((0..20).map(|k| END * f64::from(k) / 20.0)).expect("increasing");
            let rate = Control::new([Quantity::LearningRate], grid).bounds(0.003, 3.0);
            Optimiser::new(&ode, &objective).control(rate).maximise(black_box(&start), END).expect("found")
        });
    });
    group.finish();
}

criterion_group!(benches, gradients, searches);
criterion_main!(benches);
