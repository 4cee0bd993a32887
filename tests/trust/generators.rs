//! Generators that repeat one word end no program: samplers by rejection go on with other words.

use std::convert::Infallible;

use contrastive_dynamics::Scalar;
use contrastive_dynamics::integrate::Output;
use contrastive_dynamics::model::{GaussianNoise, HiddenDistribution, Independent, Law, Model, Tanh};
use contrastive_dynamics::nalgebra::DMatrix;
use contrastive_dynamics::rand::TryRng;
use contrastive_dynamics::sgd::{DirectSgd, ProjectedChain, Simulator};
use contrastive_dynamics::state::OrderParameters;

/// Always the same word.
struct Stuck(u64);

impl TryRng for Stuck {
    type Error = Infallible;
    #[allow(clippy::cast_possible_truncation)] // any half does
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0 as u32)
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0)
    }
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        out.fill(self.0.to_le_bytes()[0]);
        Ok(())
    }
}

#[test]
fn everything_that_draws_ends_on_a_generator_that_repeats_one_word() {
    let laws = [Law::laplace(1.0), Law::gaussian(1.0), Law::uniform(1.0), Law::three_point(1.0, 0.3)];
    let hidden = Independent::new(laws.map(Result::unwrap)).unwrap();
    let model = Model::builder()
        .nonlinearity(Tanh)
        .hidden(hidden.clone())
        .noise(GaussianNoise::correlated(0.3, -0.5).unwrap())
        .learning_rate(0.1)
        .build()
        .unwrap();
    for word in [0, 1, 1 << 40, 1 << 63, u64::MAX] {
        let mut rng = Stuck(word);
        assert!(f64::standard_normal(&mut rng).is_finite() && f64::standard_exponential(&mut rng).is_finite());
        hidden.sample(&mut rng, &mut [0.0; 4]);
        let state = OrderParameters::<f64>::uninformative(2, &DMatrix::identity(1, 1), 100, &mut rng);
        assert!(state.is_ok());
        // Whether such features can be made orthogonal, or such a run stays finite, is another question.
        if let Ok(mut chain) = ProjectedChain::builder(&model, 20).build(Stuck(word)) {
            let _ = chain.run(0.5, &Output::Stop);
        }
        if let Ok(mut direct) = DirectSgd::builder(&model, 20).build(Stuck(word)) {
            let _ = direct.run(0.5, &Output::Stop);
        }
    }
}
