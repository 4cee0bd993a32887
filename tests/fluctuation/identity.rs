//! σ the identity with the sphere (Oja's rule): everything in closed form.
//!
//! With h = Qc + √(1 − Q²) g, τ' = 2τ and κ = 1 + τ'/2 a step adds τ' h (c − κ Q h)/N to Q.

use contrastive_dynamics::fluctuation::{Fluctuations, StartCovariance};
use contrastive_dynamics::integrate::DormandPrince;
use contrastive_dynamics::nalgebra::DMatrix;
use contrastive_dynamics::prelude::*;

/// The law of the hidden variable, by its second and fourth moment, and the rate.
#[derive(Clone, Copy)]
struct Oja {
    second: f64,
    fourth: f64,
    rate: f64,
}

impl Oja {
    fn kappa(self) -> f64 {
        1.0 + 0.5 * self.rate
    }

    /// E[h²c²], E[h³c], E[h⁴].
    fn moments(self, q: f64) -> [f64; 3] {
        let (s, Self { second, fourth, .. }) = (1.0 - q * q, self);
        let h4 = q.powi(4) * fourth + 6.0 * q * q * s * second + 3.0 * s * s;
        [q * q * fourth + s * second, q.powi(3) * fourth + 3.0 * q * s * second, h4]
    }

    fn drift(self, q: f64) -> f64 {
        let h2 = q * q * self.second + 1.0 - q * q;
        self.rate * (q * self.second - self.kappa() * q * h2)
    }

    /// The first two derivatives of the drift.
    fn slopes(self, q: f64) -> [f64; 2] {
        let omega = self.second - 1.0;
        let first = self.rate * (self.second - self.kappa() - 3.0 * self.kappa() * omega * q * q);
        [first, -6.0 * self.rate * self.kappa() * omega * q]
    }

    fn noise(self, q: f64) -> f64 {
        let [h2c2, h3c, h4] = self.moments(q);
        let k = self.kappa() * q;
        self.rate.powi(2) * (h2c2 - 2.0 * k * h3c + k * k * h4) - self.drift(q).powi(2)
    }

    /// The mean of N² times a step beyond N times the drift: of (Q + a/N)/√R' to second order, with a = τ'hc and
    /// R' = 1 + 2τ'κh²/N + τ'²h²(c² + ξ² − 2)/N², ξ the coordinate of a sample along the weights' background.
    fn second_order(self, q: f64) -> f64 {
        let [h2c2, h3c, h4] = self.moments(q);
        let s = 1.0 - q * q;
        let h2 = q * q * self.second + s;
        let h2xi2 = q * q * self.second + 3.0 * s;
        let k = self.kappa();
        let t = self.rate * self.rate;
        q * (1.5 * t * k * k * h4 - 0.5 * t * (h2c2 + h2xi2 - 2.0 * h2)) - t * k * h3c
    }

    fn model(self) -> Model<f64, Identity, Independent, NoNoise> {
        let law = if (self.fourth - self.second.powi(2)).abs() < 1e-12 {
            Law::two_point(self.second)
        } else {
            Law::three_point(self.second, self.second.powi(2) / self.fourth)
        };
        let hidden = Independent::new([law.unwrap()]).unwrap();
        let builder = Model::builder().nonlinearity(Identity).hidden(hidden).noise(NoNoise);
        builder.learning_rate(0.5 * self.rate).constraint(Constraint::Sphere).build().unwrap()
    }
}

fn state(q: f64) -> OrderParameters {
    OrderParameters::from_rows(1, 1, &[q], &[1.0]).unwrap()
}

const CASES: [Oja; 3] = [
    Oja { second: 2.0, fourth: 4.0, rate: 0.2 },
    Oja { second: 3.0, fourth: 18.0, rate: 1.0 },
    Oja { second: 1.5, fourth: 2.25, rate: 0.5 },
];

#[test]
fn the_noise_of_a_step() {
    for oja in CASES {
        let model = oja.model();
        let ode = ReducedOde::new(&model).unwrap();
        for q in [0.0, 0.3, -0.7, 0.95] {
            let noise = Fluctuations::new(&ode).noise(&state(q)).unwrap().covariance;
            let expected = oja.noise(q);
            assert!((noise[(0, 0)] - expected).abs() < 1e-11 * expected, "{q}: {} {expected}", noise[(0, 0)]);
            assert!(noise[(0, 1)].abs() < 1e-12 && noise[(1, 1)].abs() < 1e-12, "R does not move");
        }
    }
}

/// Σ = Γ/(−2f') with the steady Q² = (2ω − τ')/(ω(2 + τ')) (Wang, Eldar and Lu, arXiv 1805.06834), and its decay exp(f' lag).
#[test]
fn stationary_fluctuations() {
    for oja in CASES.into_iter().filter(|oja| 2.0 * (oja.second - 1.0) > oja.rate) {
        let omega = oja.second - 1.0;
        let q = ((2.0 * omega - oja.rate) / (omega * (2.0 + oja.rate))).sqrt();
        assert!(oja.drift(q).abs() < 1e-14);
        let model = oja.model();
        let ode = ReducedOde::new(&model).unwrap();
        let stationary = Fluctuations::new(&ode).stationary(&state(q)).unwrap();
        let slope = oja.slopes(q)[0];
        let expected = oja.noise(q) / (-2.0 * slope);
        assert!((stationary.covariance()[(0, 0)] / expected - 1.0).abs() < 1e-10);
        let later = stationary.autocovariance(1.5)[(0, 0)];
        assert!((later / (expected * (1.5 * slope).exp()) - 1.0).abs() < 1e-10);
        let cosine = |state: &OrderParameters| state.cosine_similarity(0, 0).unwrap();
        let prediction = stationary.prediction(100, cosine).unwrap();
        assert!((prediction.standard_deviation / (expected / 100.0).sqrt() - 1.0).abs() < 1e-9);
        // Times change places; and however large a lag is, it ends.
        assert_eq!(stationary.autocovariance(-1.5), stationary.autocovariance(1.5).transpose());
        for lag in [1e4, 1e39, 1e300, f64::INFINITY] {
            assert!(stationary.autocovariance(lag).amax() < 1e-15, "{lag}");
        }
        assert!(stationary.autocovariance(f64::NAN)[(0, 0)].is_nan());
    }
}

/// Along a solution Σ/f² moves by ∫ Γ/f³ dQ, whose integral is taken by Simpson's rule in Q; and the two-time covariance by f(Q₂)/f(Q₁).
#[test]
fn covariances_along_a_solution() {
    let oja = CASES[0];
    let model = oja.model();
    let ode = ReducedOde::new(&model).unwrap();
    let fluctuations = Fluctuations::new(&ode);
    let fine = DormandPrince::new(1e-12, 1e-13).unwrap();
    for (covariance, initial) in [
        (StartCovariance::Fixed, 0.0),
        (StartCovariance::Given(DMatrix::from_row_slice(2, 2, &[1.0, 0.0, 0.0, 0.0])), 1.0),
    ] {
        let times = vec![0.0, 1.0, 4.0];
        let solver = fluctuations.solver().integrator(fine).start_covariance(covariance).output(Output::Times(times));
        let path = solver.solve(&state(0.2), 4.0).unwrap();
        let overlap = |k: usize| path.trajectory().states()[k].q()[(0, 0)];
        for k in 0..3 {
            let (from, to) = (0.2, overlap(k));
            let panels = 2000_u32;
            let at = |i: u32| {
                let q = from + (to - from) * f64::from(i) / f64::from(panels);
                oja.noise(q) / oja.drift(q).powi(3)
            };
            let inner: f64 = (1..panels).map(|i| if i % 2 == 1 { 4.0 * at(i) } else { 2.0 * at(i) }).sum();
            let integral = (at(0) + inner + at(panels)) * (to - from) / (3.0 * f64::from(panels));
            let expected = oja.drift(to).powi(2) * (initial / oja.drift(from).powi(2) + integral);
            let seen = path.covariances()[k][(0, 0)];
            assert!((seen - expected).abs() < 1e-9, "{k}: {seen} {expected}");
        }
        let expected = path.covariances()[1][(0, 0)] * oja.drift(overlap(2)) / oja.drift(overlap(1));
        let seen = path.two_time_covariance(1, 2).unwrap()[(0, 0)];
        assert!((seen - expected).abs() < 1e-9, "{seen} {expected}");
        assert_eq!(path.two_time_covariance(2, 2).unwrap(), path.covariances()[2]);
        assert!(path.two_time_covariance(2, 1).is_none() && path.two_time_covariance(0, 3).is_none());
    }
}

/// At the steady state δ = −(½ f''Σ + f₁)/f'; on the way there it solves its own equation, here by Heun's method.
#[test]
fn corrections_of_the_mean() {
    for oja in [CASES[0], CASES[1]] {
        let model = oja.model();
        let ode = ReducedOde::new(&model).unwrap();
        let fluctuations = Fluctuations::new(&ode);
        let fine = DormandPrince::new(1e-10, 1e-11).unwrap();
        let solver = fluctuations.solver().integrator(fine).corrections(true);
        let path = solver.output(Output::Times(vec![2.0, 200.0])).solve(&state(0.3), 200.0).unwrap();
        let corrections = path.corrections().unwrap();
        let q = path.trajectory().states()[1].q()[(0, 0)];
        let [first, second] = oja.slopes(q);
        let expected = -(0.5 * second * oja.noise(q) / (-2.0 * first) + oja.second_order(q)) / first;
        assert!((corrections[1][0] - expected).abs() < 1e-6 * expected.abs(), "{} {expected}", corrections[1][0]);
        let rates = |[q, sigma, delta]: [f64; 3]| {
            let (drift, [first, second]) = (oja.drift(q), oja.slopes(q));
            let forcing = 0.5 * second * sigma + oja.second_order(q) - 0.5 * first * drift;
            [drift, 2.0 * first * sigma + oja.noise(q), first * delta + forcing]
        };
        let steps = 20_000;
        let (mut y, h) = ([0.3, 0.0, 0.0], 2.0 / f64::from(steps));
        for _ in 0..steps {
            let k = rates(y);
            let l = rates([0, 1, 2].map(|i| y[i] + h * k[i]));
            (0..3).for_each(|i| y[i] += 0.5 * h * (k[i] + l[i]));
        }
        assert!((corrections[0][0] - y[2]).abs() < 1e-6 * (1.0 + y[2].abs()), "{} {}", corrections[0][0], y[2]);
        assert!(corrections[0][1].abs() < 1e-9, "R is fixed");
    }
}
