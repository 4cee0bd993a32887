//! scratch
use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
use contrastive_dynamics::stability::*;
use contrastive_dynamics::{OrderParameters, ReducedOde};
use std::time::Instant;
fn main() -> Result<(), Box<dyn std::error::Error>> {
    for q in [1.0, 0.8, 0.5, 0.3] {
        let model = Model::builder()
            .nonlinearity(Tanh)
            .hidden(Independent::new([Law::two_point(2.25)?, Law::three_point(2.25, q)?])?)
            .noise(GaussianNoise::correlated(0.3, -0.5)?)
            .learning_rate(0.3)
            .weight_decay(0.5)
            .build()?;
        let ode = ReducedOde::new(&model)?;
        let near = |q1: f64, q2: f64| OrderParameters::from_rows(2, 1, &[q1, q2], &[1.0]);
        let mut pts = vec![near(0.98, 0.0)?];
        if q == 1.0 {
            pts.push(near(0.0, 0.98)?);
        }
        if q == 0.8 {
            pts.push(OrderParameters::from_rows(2, 1, &[0.0, 0.87], &[0.8125])?);
        }
        if q == 0.5 {
            pts.push(OrderParameters::from_rows(2, 1, &[0.3713, 0.6453], &[0.677])?);
        }
        let t = Instant::now();
        let regions = AttractionRegions::new(&ode, &pts)?;
        println!("q {q}: set up {:?}", t.elapsed());
        for k in 0..regions.points() {
            let n = &regions.images(k)[0];
            println!(
                "  {:?} images {} decay {:.4} checks {}",
                n.center().to_packed().as_slice(),
                regions.images(k).len(),
                n.decay_rate(),
                n.checks()
            );
            for d in [[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0., 0., -1.]] {
                println!("     {:?}", n.surface(&d));
            }
        }
        for deg in [1.0, 44.9, 45.0, 54.7, 80.0, 87.0_f64, 90.0] {
            let a = deg.to_radians();
            let t = Instant::now();
            let f = regions.fate(&near(0.3 * a.cos(), 0.3 * a.sin())?);
            println!("  {deg} {:?} {f:?}", t.elapsed());
        }
        let t = Instant::now();
        if let Ok(b) = regions.border(
            |d: f64| {
                let a = d.to_radians();
                near(0.3 * a.cos(), 0.3 * a.sin())
            },
            (5.0, 87.0),
            1e-6,
        ) {
            println!("  border {:.7} {:?} {} {:?}", b.at, b.fates, b.starts, t.elapsed());
        }
        let t = Instant::now();
        let map = regions.map(Grid { a: (0.0, 1.0), b: (0.0, 1.0), columns: 128, rows: 128 }, near)?;
        println!("  map {:?} refined {}", t.elapsed(), map.refined());
        for k in 0..regions.points() {
            println!("   {:?} {:?}", map.fraction(k), map.fraction_of_image(k, 0));
        }
        println!(
            "   strays {}",
            map.fates().iter().filter(|f| matches!(f, Fate::NotReached(s) if !matches!(s, Stray::NoState(_)))).count()
        );
    }
    Ok(())
}
