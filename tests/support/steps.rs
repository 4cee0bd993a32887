//! What single steps of SGD show of the limit's coefficients.
//!
//! At a learning rate so small that the state stays where it is, steps are independent. With Gaussian noise the means of UᵀΔW and
//! WᵀΔW are A − τγ Uᵀφ(W)/N and B − τγ Wᵀφ(W)/N, and that of ΔWᵀΔW outside of the span of U, W and φ(W) is Λ times the
//! dimension left over N: exactly, so that a small N, which makes many steps cheap, brings no error of order 1/N.

use contrastive_dynamics::Scalar;
use contrastive_dynamics::limit::Coefficients;
use contrastive_dynamics::model::{Regularizer, Spec};
use contrastive_dynamics::nalgebra::{DMatrix, DVector};
use contrastive_dynamics::rand::{Rng, SeedableRng};
use contrastive_dynamics::random::{FillNormal, LaneRng};
use contrastive_dynamics::sgd::{CompressedSgd, DirectSgd, Simulator};
use contrastive_dynamics::start::Features;
use contrastive_dynamics::state::OrderParameters;

/// Standard errors that are allowed: by chance more in 6e-7 of the cases for each number compared, of which there are 3 to 24.
const ALLOWED: f64 = 5.0;

/// A simulator that has weights.
pub(crate) trait HasWeights: Simulator {
    fn weights(&self) -> &DMatrix<Self::Scalar>;
}

impl<T: Scalar, M: Spec<Scalar = T>, R: Rng + FillNormal<T>> HasWeights for DirectSgd<'_, M, R> {
    fn weights(&self) -> &DMatrix<T> {
        self.weights()
    }
}

impl<T: Scalar, M: Spec<Scalar = T>, R: Rng + FillNormal<T>> HasWeights for CompressedSgd<'_, M, R> {
    fn weights(&self) -> &DMatrix<T> {
        self.weights()
    }
}

/// Means over steps with their standard errors, column by column: UᵀΔW/τ above WᵀΔW/τ, then what is like Λ/τ².
pub(crate) struct Steps {
    mean: DVector<f64>,
    error: DVector<f64>,
    /// Uᵀφ(W)/N above Wᵀφ(W)/N.
    decay: DMatrix<f64>,
}

/// Steps of direct SGD at dimension N: so many legs of so many steps, each leg from the same weights.
pub(crate) fn direct<T: Scalar, M: Spec<Scalar = T>>(
    model: &M,
    n: usize,
    state: &OrderParameters<T>,
    legs: u64,
    leg: u64,
) -> Steps {
    see(model, n, state, legs, leg, |features, weights, seed| {
        DirectSgd::builder(model, n).features(features).start(weights).build_seeded(seed).unwrap()
    })
}

/// The same of compressed SGD.
pub(crate) fn compressed<T: Scalar, M: Spec<Scalar = T>>(
    model: &M,
    n: usize,
    state: &OrderParameters<T>,
    legs: u64,
    leg: u64,
) -> Steps {
    see(model, n, state, legs, leg, |features, weights, seed| {
        CompressedSgd::builder(model, n).features(features).start(weights).build_seeded(seed).unwrap()
    })
}

/// The same of a simulator that is built from features, weights and a seed.
pub(crate) fn see<T: Scalar, M: Spec<Scalar = T>, S: HasWeights<Scalar = T>>(
    model: &M,
    n: usize,
    state: &OrderParameters<T>,
    legs: u64,
    leg: u64,
    build: impl Fn(Features<T>, DMatrix<T>, u64) -> S,
) -> Steps {
    let rate = model.learning_rate().as_f64();
    let mut rng = LaneRng::seed_from_u64(0);
    let features = Features::random(n, model.n_features(), &mut rng).unwrap();
    let weights = features.weights(state, &mut rng).unwrap();
    let (u, w) = (features.matrix().map(Scalar::as_f64), weights.map(Scalar::as_f64));
    let phi = weights.map(|w| model.regularizer().apply(w).as_f64());
    let (p, m) = (u.ncols(), w.ncols());
    let linear = (&phi - &w).amax() == 0.0;
    let columns: Vec<_> = u.column_iter().chain(w.column_iter()).collect();
    let count = columns.len();
    let mut span = DMatrix::from_columns(&columns);
    let decay = span.tr_mul(&phi) / n as f64;
    if !linear {
        span = DMatrix::from_columns(&columns.into_iter().chain(phi.column_iter()).collect::<Vec<_>>());
    }
    // (U W) = basis · alongᵀ.
    let qr = span.qr();
    let (basis, along) = (qr.q(), qr.r().columns(0, count).transpose());
    let room = 1.0 - basis.ncols() as f64 / n as f64;
    let numbers = (p + m) * m + m * m;
    let (mut sum, mut squares) = (DVector::<f64>::zeros(numbers), DVector::<f64>::zeros(numbers));
    let (mut before, mut change, mut inside) = (w.clone(), w.clone(), DMatrix::zeros(basis.ncols(), m));
    let (mut shown, mut outside) = (DMatrix::zeros(p + m, m), DMatrix::zeros(m, m));
    for run in 0..legs {
        let mut sgd = build(features.clone(), weights.clone(), 1 + run);
        before.copy_from(&w);
        for _ in 0..leg {
            sgd.step().unwrap();
            for ((before, change), after) in before.iter_mut().zip(change.iter_mut()).zip(sgd.weights()) {
                let after = after.as_f64();
                (*change, *before) = ((after - *before) / rate, after);
            }
            inside.gemm_tr(1.0, &basis, &change, 0.0);
            shown.gemm(1.0, &along, &inside, 0.0);
            outside.gemm_tr(1.0, &change, &change, 0.0);
            outside.gemm_tr(-1.0, &inside, &inside, 1.0);
            let seen = shown.iter().copied().chain(outside.iter().map(|x| x / room));
            for ((sum, square), x) in sum.iter_mut().zip(squares.iter_mut()).zip(seen) {
                (*sum, *square) = (*sum + x, *square + x * x);
            }
        }
    }
    let total = (legs * leg) as f64;
    let mean = sum / total;
    let error = (squares / total - mean.component_mul(&mean)).map(|x| (x / total).sqrt());
    Steps { mean, error, decay }
}

impl Steps {
    /// The largest deviation, in standard errors, from these coefficients of learning rate 1 and this decay.
    fn deviation(&self, c: &Coefficients, decay: f64) -> f64 {
        let (p, m) = c.a.shape();
        let gradient = DMatrix::from_fn(p + m, m, |k, i| if k < p { c.a[(k, i)] } else { c.b[(k - p, i)] });
        let rates = gradient - &self.decay * decay;
        let expected = rates.iter().chain(c.lambda.iter());
        let deviations = self.mean.iter().zip(expected).zip(&self.error).map(|((x, y), error)| {
            // What a constraint fixes does not scatter, and moves with the state.
            (x - y).abs() / error.max(1e-5 * self.mean.amax())
        });
        deviations.fold(0.0, |worst, x| if x <= worst { worst } else { x })
    }

    /// Steps agree with coefficients of learning rate 1 and a decay, and would not if A, B, Λ or the decay were off by 1 %, or with
    /// the coefficients of the `others`.
    pub(crate) fn assert_follow(&self, name: &str, own: &Coefficients, decay: f64, others: &[Coefficients]) {
        let others = others.iter().map(|other| self.deviation(other, decay)).collect();
        self.assert_seen(name, own, decay, 0.01, others);
    }

    /// The same where A, B or Λ must be off by so much to be seen.
    pub(crate) fn assert_follow_to(&self, error: f64, name: &str, own: &Coefficients, decay: f64) {
        self.assert_seen(name, own, decay, error, Vec::new());
    }

    fn assert_seen(&self, name: &str, own: &Coefficients, decay: f64, error: f64, mut controls: Vec<f64>) {
        let deviation = self.deviation(own, decay);
        for sign in [-1.0, 1.0] {
            let (factor, of_decay) = (1.0 + error * sign, 1.0 + 0.01 * sign);
            let with = |a: f64, b: f64, lambda: f64| Coefficients {
                a: &own.a * a,
                b: &own.b * b,
                lambda: &own.lambda * lambda,
            };
            controls.push(self.deviation(&with(factor, 1.0, 1.0), decay));
            controls.push(self.deviation(&with(1.0, 1.0, factor), decay));
            if own.b.amax() > 0.0 {
                controls.push(self.deviation(&with(1.0, factor, 1.0), decay));
            }
            if decay > 0.0 {
                controls.push(self.deviation(own, decay * of_decay));
            }
        }
        println!("{name}: off by {deviation:.2} standard errors, the controls by {controls:.1?}");
        assert!(deviation < ALLOWED, "{name}: off by {deviation} standard errors");
        assert!(controls.iter().all(|&control| control > ALLOWED), "{name}: an error is not seen: {controls:?}");
    }
}
