//! scratch
use contrastive_dynamics::ensemble::Ensemble;
use contrastive_dynamics::model::*;
use contrastive_dynamics::sgd::*;
use contrastive_dynamics::stability::*;
use contrastive_dynamics::{OrderParameters, ReducedOde};
use std::time::Instant;
fn main() -> Result<(), Box<dyn std::error::Error>> {
    for q in [1.0, 0.8] {
        let model = Model::builder()
            .nonlinearity(Tanh)
            .hidden(Independent::new([Law::two_point(2.25)?, Law::three_point(2.25, q)?])?)
            .noise(GaussianNoise::correlated(0.3, -0.5)?)
            .learning_rate(0.3)
            .weight_decay(0.5)
            .build()?;
        let ode = ReducedOde::new(&model)?;
        let near = |q1: f64, q2: f64| OrderParameters::from_rows(2, 1, &[q1, q2], &[1.0]);
        let regions = AttractionRegions::new(&ode, &[near(0.98, 0.0)?, near(0.0, 0.87)?])?;
        let t = Instant::now();
        let s = regions.selection(SobolStarts { dimensions: 2, points: 256, scrambles: 8, seed: 1 }, |u| {
            let a = u[0] * 1.5707963;
            let r = 0.2 + 0.7 * u[1];
            near(r * a.cos(), r * a.sin())
        })?;
        println!(
            "q {q} {:?} {:?} doubtful {} und {} {:?}",
            s.probability(0),
            s.probability(1),
            s.doubtful(),
            s.undecided(),
            t.elapsed()
        );
        for n in [50, 200, 1000] {
            let t = Instant::now();
            let runs = 400;
            let f = regions.selection_at_finite_size(&Ensemble::new(runs, 3), (500.0, n as u64 / 10), |r| {
                ProjectedChain::builder(&model, n).seed(r.seed)
            })?;
            println!("   N {n} {:?} {:?} und {} {:?}", f.fraction(0), f.interval(0, 0.95), f.undecided(), t.elapsed());
        }
    }
    for p in [1usize, 2] {
        for second in [2.25] {
            for (tau, gamma) in [(0.3, 0.5), (0.1, 0.5), (1.0, 0.5), (0.3, 0.2)] {
                println!("p {p} tau {tau} gamma {gamma} second {second}");
                for iso in [true, false] {
                    for s2 in [0.0, 0.1, 0.3, 0.6, 1.0] {
                        for rho in [-1.0, -0.75, -0.5, 0.0, 0.5, 1.0] {
                            let noise = if iso {
                                GaussianNoise::correlated(s2, rho)?
                            } else {
                                GaussianNoise::semantic_preserving(s2, rho)?
                            };
                            let hidden = Independent::new(vec![Law::two_point(second)?; p])?;
                            let model = Model::builder()
                                .nonlinearity(Tanh)
                                .hidden(hidden)
                                .noise(noise)
                                .learning_rate(tau)
                                .weight_decay(gamma)
                                .build()?;
                            let ode = ReducedOde::new(&model)?;
                            let mut qs = vec![0.0; p];
                            qs[0] = 0.8;
                            let start = OrderParameters::from_rows(p, 1, &qs, &[1.0])?;
                            let mu = uninformative_points(&ode, 0.02, 20.0)?.first().map(|x| (x.r, x.growth_rates[0]));
                            match steady_state(&ode, &start, 1e4) {
                                Ok(s) => println!(
                                    "iso {iso} s2 {s2} rho {rho} cos {:.5} R {:.3} trL {:.5} mu {mu:?}",
                                    s.state.cosine_similarity(0, 0).unwrap(),
                                    s.state.r()[(0, 0)],
                                    s.gradient_variance
                                ),
                                Err(e) => println!("iso {iso} s2 {s2} rho {rho} {e}"),
                            }
                        }
                    }
                }
            }
        }
    }
    Ok(())
}
