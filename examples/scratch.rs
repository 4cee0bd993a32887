//! scratch
use contrastive_dynamics::model::*;
use contrastive_dynamics::{OrderParameters, ReducedOde};
fn main() -> Result<(), Box<dyn std::error::Error>> {
    for lam in [0.5, 2.0] {
        for (q, r) in [([0.6, 0.1, 0.1, 0.6], [1.0, 0.1, 0.1, 1.0]), ([0.6, 0.1, 0.1, 0.5], [1.0, 0.1, 0.1, 1.0])] {
            let model = Model::builder()
                .nonlinearity(Tanh)
                .hidden(Independent::new(vec![Law::two_point(2.25)?; 2])?)
                .noise(GaussianNoise::correlated(0.3, -0.5)?)
                .learning_rate(0.3)
                .weight_decay(0.5)
                .neurons(2)
                .penalty_strength(lam)
                .build()?;
            let ode = ReducedOde::new(&model)?.coefficient_tolerance(1e-5)?;
            let tr = ode.solver().steady_rate(1e-6).solve(&OrderParameters::from_rows(2, 2, &q, &r)?, 2000.0)?;
            let (t, e) = tr.last().unwrap();
            println!("{lam} {t} {:?} {:?}", e.to_packed().as_slice(), tr.work());
            let t = std::time::Instant::now();
            println!("{:?} {:?}", ode.sensitivities(e, &[]).map(|s| s.by_state.norm()), t.elapsed());
        }
    }
    Ok(())
}
