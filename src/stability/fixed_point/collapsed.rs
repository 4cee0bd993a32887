//! The collapsed state Q = 0, R = 0 and its linearisation in closed form (theory §6).
//!
//! Covers any number of features and neurons. Not here: other fixed points (see `finder`).
//!
//! Near w = 0 the outputs are linear, y ≈ s h with s = σ'(0), and so are the error signals, e_i^v = s² Σ_j G_ij h_j^v̄
//! with v̄ the other view and G = ∂F/∂C at C = 0, for the covariance loss λ g'(0)(11ᵀ − 1) − 1. Hence, with the number
//! f = 2 of views the gradient flows through (1 for stop-gradient training),
//!   dQ/dt = −f τ s² (M₂ + K^f_12) Q G − τγ Q,
//!   dR/dt = −f τ s² D_12 (R G + G R) + κ (τ²/B) s⁴ G R G − 2τγ R + O(Q²),
//! κ = 2 (D_11 D_22 + D_12²), or D_11 D_22 for stop-gradient training. G is diagonal in the uniform vector and what is
//! orthogonal to it, so the spectrum is in closed form for any number of neurons.

use nalgebra::DMatrix;

use crate::Scalar;
use crate::limit::{Compiled, Limit};
use crate::model::{Constraint, GradientPath, Smoothness};
use crate::numerics::differences::fourth_order_step;
use crate::numerics::eigen::{SYMMETRIC_ITERATIONS, symmetric_eigen};
use crate::ode::ReducedOde;
use crate::stability::coordinates::pairs;
use crate::stability::fixed_point::error::FixedPointError;
use crate::stability::fixed_point::shape::vanishes_at_zero;
use crate::stability::spectrum::SpectrumError;
use crate::state::packed_len;

/// The linearisation of the flow at the collapsed state.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "T: serde::Serialize", deserialize = "T: serde::Deserialize<'de>"))
)]
#[non_exhaustive]
pub struct CollapsedPoint<T: Scalar = f64> {
    /// The growth rates of small overlaps, p·m of them: the eigenvalues of the Q-block, falling. For one neuron
    /// τ(2σ'(0)²(⟨c_l²⟩ + K^f_12) − γ).
    pub overlap_rates: Vec<T>,
    /// The growth rates of a small weight covariance, m(m + 1)/2 of them: the eigenvalues of the R-block, falling.
    pub covariance_rates: Vec<T>,
    /// The Jacobian of the packed rates by the packed state, n x n with n = pm + m(m + 1)/2. Beside both blocks, hidden
    /// variables with a mean couple Q to R where σ''(0) ≠ 0; R is not moved by Q to first order.
    #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::matrix"))]
    pub jacobian: DMatrix<T>,
}

/// The collapsed state of a model, with its eigenvalues in closed form.
///
/// # Errors
/// [`FixedPointError::NotCollapsible`] where R = 0 is no fixed point: σ(0) ≠ 0, or a constraint;
/// [`FixedPointError::Kink`] for a σ with a kink at 0; [`FixedPointError::Spectrum`] if the eigenvalues of E\[c cᵀ\] do
/// not converge.
///
/// ```
/// use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
/// use contrastive_dynamics::ode::ReducedOde;
/// use contrastive_dynamics::stability::collapsed_point;
/// let model = Model::builder()
///     .nonlinearity(Tanh)
///     .hidden(Independent::new([Law::two_point(2.25)?])?)
///     .noise(GaussianNoise::correlated(0.3, -0.5)?)
///     .learning_rate(0.3)
///     .weight_decay(0.5)
///     .build()?;
/// let point = collapsed_point(&ReducedOde::new(&model)?)?;
/// assert!((point.overlap_rates[0] - 0.3 * (2.0 * (2.25 - 0.15) - 0.5)).abs() < 1e-14);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn collapsed_point<T: Compiled>(ode: &ReducedOde<'_, T>) -> Result<CollapsedPoint<T>, FixedPointError<T>> {
    if ode.constraint() != Constraint::None {
        return Err(FixedPointError::NotCollapsible { reason: "the sphere constraint keeps every R_ii at 1" });
    }
    let limit = ode.limit();
    let (offset, slope) = limit.nonlinearity().value_and_derivative(T::zero());
    if !vanishes_at_zero(offset) {
        return Err(FixedPointError::NotCollapsible { reason: "the nonlinearity does not vanish at 0" });
    }
    if matches!(limit.nonlinearity().smoothness(), Smoothness::Kinked { at } if at == T::zero()) {
        return Err(FixedPointError::Kink);
    }
    let Some(coupling) = limit.loss().coupling_at_zero() else {
        return Err(FixedPointError::NotCollapsible {
            reason: "the loss is no function of the cross-view covariances",
        });
    };
    let origin = Origin::new(ode, slope, coupling);
    let (overlap_rates, covariance_rates) = origin.rates(limit)?;
    Ok(CollapsedPoint { overlap_rates, covariance_rates, jacobian: origin.jacobian(limit) })
}

/// The numbers that the linearisation is made of.
struct Origin<T> {
    neurons: usize,
    /// The entries of G on the diagonal, −1 for the covariance loss, and off it.
    diagonal: T,
    coupling: T,
    decay: T,
    /// f τ s², f τ s² D_12 and κ (τ²/B) s⁴.
    gain: T,
    spread: T,
    diffusion: T,
    feature_noise: T,
    /// τ s σ''(0) for each view that the gradient flows through, with D of that view and of the other.
    curved: Vec<(T, T)>,
}

impl<T: Compiled> Origin<T> {
    fn new(ode: &ReducedOde<'_, T>, slope: T, coupling: T) -> Self {
        let limit = ode.limit();
        let (tau, d, square) = (limit.learning_rate(), limit.views(), slope * slope);
        let (d11, d12, d22) = (d.get(0, 0), d.get(0, 1), d.get(1, 1));
        let both = limit.gradient_path() == GradientPath::BothViews;
        let views = T::lit(if both { 2.0 } else { 1.0 });
        let kappa = if both { T::lit(2.0) * (d11 * d22 + d12 * d12) } else { d11 * d22 };
        let curvature = curvature(limit);
        let scale = tau * slope * curvature;
        let half = T::lit(0.5);
        let curved =
            [d22, d11].into_iter().take(if both { 2 } else { 1 }).map(|other| (scale * half * other, scale * d12));
        Self {
            neurons: limit.n_neurons(),
            diagonal: limit.loss().diagonal(),
            coupling,
            decay: ode.decay(),
            gain: views * tau * square,
            spread: views * tau * square * d12,
            diffusion: kappa * tau * tau / limit.batch() * square * square,
            feature_noise: limit.feature_noise().get(0, 1),
            curved: curved.collect(),
        }
    }

    fn g(&self, i: usize, j: usize) -> T {
        if i == j { self.diagonal } else { self.coupling }
    }

    /// The eigenvalues of G: of the uniform vector, then of all others.
    fn modes(&self) -> Vec<T> {
        let others = self.diagonal - self.coupling;
        let mut modes = vec![others; self.neurons];
        modes[0] = self.diagonal + self.coupling * T::of_usize(self.neurons - 1);
        modes
    }

    fn rates(&self, limit: &Limit<'_, T>) -> Result<(Vec<T>, Vec<T>), FixedPointError<T>> {
        let failed = SpectrumError::NotConverged { iterations: SYMMETRIC_ITERATIONS, attempts: 1 };
        let moments = symmetric_eigen(limit.hidden_second_moment().clone()).ok_or(failed)?;
        let modes = self.modes();
        let falling = |mut rates: Vec<T>| {
            rates.sort_by(|a, b| b.partial_cmp(a).unwrap_or(std::cmp::Ordering::Equal));
            rates
        };
        let overlap = moments.eigenvalues.iter().flat_map(|&moment| {
            modes.iter().map(move |&g| -self.gain * (moment + self.feature_noise) * g - self.decay)
        });
        let covariance = pairs(self.neurons).map(|(a, b)| {
            let (g, h) = (modes[a], modes[b]);
            -self.spread * (g + h) + self.diffusion * g * h - (self.decay + self.decay)
        });
        Ok((falling(overlap.collect()), falling(covariance.collect())))
    }

    fn jacobian(&self, limit: &Limit<'_, T>) -> DMatrix<T> {
        let (p, m) = (limit.n_features(), self.neurons);
        let n = packed_len(p, m);
        let g = DMatrix::from_fn(m, m, |i, j| self.g(i, j));
        let mut jacobian = DMatrix::zeros(n, n);
        let moments = limit.hidden_second_moment();
        for l in 0..p {
            for i in 0..m {
                let row = l * m + i;
                for k in 0..p {
                    let moment = moments[(l, k)] + if l == k { self.feature_noise } else { T::zero() };
                    (0..m).for_each(|j| jacobian[(row, k * m + j)] -= self.gain * moment * g[(j, i)]);
                }
                jacobian[(row, row)] -= self.decay;
            }
        }
        // Columns of the R-block: images of the symmetric units.
        let pairs: Vec<(usize, usize)> = pairs(m).collect();
        for (column, &(a, b)) in pairs.iter().enumerate() {
            let mut unit = DMatrix::zeros(m, m);
            unit[(a, b)] = T::one();
            unit[(b, a)] = T::one();
            let drift = (&unit * &g + &g * &unit) * -self.spread;
            let image = drift + &g * &unit * &g * self.diffusion - &unit * (self.decay + self.decay);
            for (row, &at) in pairs.iter().enumerate() {
                jacobian[(p * m + row, p * m + column)] = image[at];
            }
            // e_i has ½ s σ'' G_ij h_j² + s σ'' h_i G_ij h_j of the other view to second order: a mean of c feels it.
            for l in 0..p {
                let mean = limit.hidden_mean()[l];
                for i in 0..m {
                    for &(half_other, cross) in &self.curved {
                        let sum: T =
                            (0..m).map(|j| g[(i, j)] * (half_other * unit[(j, j)] + cross * unit[(i, j)])).sum();
                        jacobian[(l * m + i, p * m + column)] -= mean * sum;
                    }
                }
            }
        }
        jacobian
    }
}

/// σ''(0), as the nonlinearity gives it or by a difference of fourth order.
fn curvature<T: Compiled>(limit: &Limit<'_, T>) -> T {
    let sigma = limit.nonlinearity();
    sigma.second_derivative(T::zero()).unwrap_or_else(|| {
        let step = fourth_order_step::<T>();
        let slope = |x: f64| sigma.derivative(T::lit(x) * step);
        (slope(-2.0) - slope(2.0) + T::lit(8.0) * (slope(1.0) - slope(-1.0))) / (T::lit(12.0) * step)
    })
}
