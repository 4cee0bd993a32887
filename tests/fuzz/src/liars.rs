//! Users' implementations that do not do what their traits say.

use std::cell::Cell;
use std::convert::Infallible;

use arbitrary::Unstructured;
use contrastive_dynamics::integrate::{DormandPrince, Integrator, Output, Step, System};
use contrastive_dynamics::limit::Limit;
use contrastive_dynamics::model::{
    AugmentationNoise, HiddenDistribution, HiddenQuadrature, LinearRegularizer, Loss, Model, Nonlinearity,
    OutputGradient, Outputs, Regularizer, ViewCovariance, check_hidden, fingerprint,
};
use contrastive_dynamics::nalgebra::{DMatrix, DVector};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::rand::{Rng, TryRng};
use contrastive_dynamics::sgd::{CompressedSgd, DirectSgd, ProjectedChain, Simulator};
use contrastive_dynamics::stability::{collapsed_point, learnability};
use contrastive_dynamics::state::OrderParameters;

use crate::Read;
use crate::numbers::{mostly, number, numbers};

/// Answers as it should, but for those questions to which it answers anything, in turn.
#[derive(Debug)]
struct Liar {
    numbers: Vec<f64>,
    lies: u32,
    shapes: [usize; 4],
}

thread_local! {
    static TURN: Cell<usize> = const { Cell::new(0) };
}

impl Liar {
    fn next(&self) -> f64 {
        let turn = TURN.get();
        TURN.set(turn + 1);
        if self.numbers.is_empty() { 0.5 } else { self.numbers[turn % self.numbers.len()] }
    }

    fn or(&self, question: u32, honest: f64) -> f64 {
        if self.lies >> question & 1 == 1 { self.next() } else { honest }
    }

    /// A length that is right but for lies.
    fn length(&self, question: u32, honest: usize) -> usize {
        if self.lies >> question & 1 == 1 { self.shapes[question as usize % 4] } else { honest }
    }

    fn covariance(&self, question: u32) -> ViewCovariance {
        let covariance = ViewCovariance::new(self.or(question, 0.3), self.or(question, -0.1), self.or(question, 0.3));
        covariance.unwrap_or_else(|_| ViewCovariance::zero())
    }
}

impl Nonlinearity for Liar {
    fn value(&self, h: f64) -> f64 {
        self.or(0, h.tanh())
    }
    fn derivative(&self, h: f64) -> f64 {
        self.or(1, 1.0 - h.tanh().powi(2))
    }
}

impl HiddenDistribution for Liar {
    fn dimension(&self) -> usize {
        1
    }
    fn sample<G: Rng + ?Sized>(&self, _rng: &mut G, c: &mut [f64]) {
        c.fill_with(|| self.or(2, 1.0));
    }
    fn quadrature(&self, _points: usize) -> HiddenQuadrature<f64> {
        let (rows, columns) = (self.length(3, 1), self.length(4, 2));
        HiddenQuadrature {
            nodes: DMatrix::from_fn(rows, columns, |_, n| self.or(5, if n % 2 == 0 { 1.0 } else { -1.0 })),
            weights: (0..self.length(6, columns)).map(|_| self.or(7, 1.0 / columns as f64)).collect(),
            gaussian: DMatrix::from_element(self.length(8, 1), self.length(8, 1), self.or(9, 0.0)),
        }
    }
    fn mean(&self) -> DVector<f64> {
        DVector::from_fn(self.length(10, 1), |_, _| self.or(11, 0.0))
    }
    fn second_moment(&self) -> DMatrix<f64> {
        DMatrix::from_fn(self.length(12, 1), self.length(12, 1), |_, _| self.or(13, 1.0))
    }
    fn fourth_moments(&self) -> DVector<f64> {
        DVector::from_fn(self.length(14, 1), |_, _| self.or(15, 1.0))
    }
    fn is_symmetric(&self, _l: usize) -> bool {
        self.lies >> 16 & 1 == 1
    }
}

impl AugmentationNoise for Liar {
    fn feature_covariance(&self) -> ViewCovariance {
        self.covariance(0)
    }
    fn background_covariance(&self) -> ViewCovariance {
        self.covariance(1)
    }
    fn is_gaussian(&self) -> bool {
        self.lies >> 2 & 1 == 0
    }
    fn sample<G: Rng + ?Sized>(&self, _rng: &mut G) -> [f64; 2] {
        [self.or(3, 0.5), self.or(3, -0.5)]
    }
}

impl Regularizer for Liar {
    fn apply(&self, w: f64) -> f64 {
        self.or(0, w)
    }
}

impl LinearRegularizer for Liar {}

impl Loss for Liar {
    fn value(&self, _outputs: Outputs<'_, f64>) -> f64 {
        self.or(0, 0.0)
    }
    fn gradient(&self, outputs: Outputs<'_, f64>, mut gradient: OutputGradient<'_, f64>) {
        for i in 0..=outputs.n_neurons() {
            gradient.view_mut(i % 2, i).fill_with(|| self.or(1, 0.1));
        }
    }
}

/// Always the same words.
struct Stuck(u64);

impl TryRng for Stuck {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0 as u32)
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0)
    }
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        out.fill(self.0 as u8);
        Ok(())
    }
}

impl System for Liar {
    type Error = &'static str;
    fn dimension(&self) -> usize {
        self.length(4, 2)
    }
    fn rates(&mut self, _t: f64, _y: &[f64], rates: &mut [f64]) -> Result<(), &'static str> {
        rates.fill_with(|| self.next());
        if self.next() == 0.25 { Err("as it was asked to") } else { Ok(()) }
    }
}

pub(crate) fn liars(u: &mut Unstructured<'_>) -> Read<()> {
    TURN.set(0);
    let mut honest = || -> Read<Liar> {
        let mut lies = 0;
        for question in 0..17 {
            lies |= u32::from(u.ratio(1, 16)?) << question;
        }
        let mut shapes = [0; 4];
        for shape in &mut shapes {
            *shape = u.int_in_range(0..=4)?;
        }
        Ok(Liar { numbers: numbers(u, 9)?, lies, shapes })
    };
    let (mut first, second, third, fourth) = (honest()?, honest()?, honest()?, honest()?);
    let kind = u.int_in_range(0..=3)?;
    if kind == 0 {
        let length = u.int_in_range(0..=3)?;
        let mut step = Step::new(mostly(u, 0.0)?, vec![number(u)?; length], vec![0.1; u.int_in_range(0..=3)?]);
        for _ in 0..u.int_in_range(0..=6)? {
            if DormandPrince::default().step(&mut first, &mut step, mostly(u, 1.0)?).is_err() {
                break;
            }
        }
        let _ = step.interpolate(number(u)?);
        return Ok(());
    }
    let _ = check_hidden(&second).iter().map(ToString::to_string).count();
    let builder = Model::builder().learning_rate(mostly(u, 0.3)?).weight_decay(mostly(u, 0.1)?);
    let builder = builder.nonlinearity(first).hidden(second).noise(third).regularizer(fourth);
    let fifth = Liar { numbers: numbers(u, 5)?, lies: u.arbitrary()?, shapes: [1; 4] };
    let Ok(start) = OrderParameters::from_rows(1, 1, &[0.3], &[1.0]) else { return Ok(()) };
    let word = u.arbitrary()?;
    if kind == 1 {
        let Ok(model) = builder.loss(fifth).build() else { return Ok(()) };
        let _ = DirectSgd::builder(&model, 12)
            .build(Stuck(word))
            .map(|mut sgd| sgd.run(0.4, &Output::EverySteps(1)).is_ok());
        return Ok(());
    }
    let Ok(model) = builder.build() else { return Ok(()) };
    let _ = fingerprint(&model);
    if kind == 2 {
        let _ = DirectSgd::builder(&model, 12)
            .start(&start)
            .build(Stuck(word))
            .map(|mut sgd| sgd.run(0.4, &Output::Stop).is_ok());
        let _ =
            CompressedSgd::builder(&model, 12).build(Stuck(word)).map(|mut sgd| sgd.run(0.4, &Output::Stop).is_ok());
        let _ =
            ProjectedChain::builder(&model, 12).build_seeded(word).map(|mut sgd| sgd.run(0.4, &Output::Stop).is_ok());
        return Ok(());
    }
    if let Ok(limit) = Limit::new(&model)
        && let Ok(limit) = limit.node_budget(300).tolerance(1e-2)
    {
        let _ = limit.coefficients(&start).map_err(|error| error.to_string());
    }
    if let Ok(ode) = ReducedOde::new(&model)
        && let Ok(ode) = ode.coefficient_tolerance(1e-2)
    {
        let ode = ode.node_budget(300);
        let _ = ode.solver().step_limit(10).solve(&start, 0.5).map_err(|error| error.to_string());
        let _ = ode.sensitivities(&start, &[]).map_err(|error| error.to_string());
        let _ = learnability(&ode).map_err(|error| error.to_string());
        let _ = collapsed_point(&ode).map_err(|error| error.to_string());
    }
    Ok(())
}
