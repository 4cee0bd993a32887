//! The scheme that is exact for the linear part of the drift, and the matrix functions that it needs.
//!
//! Matrices act on rows from the right, as β does: dwᵀ = (uᵀα + wᵀβ) dt + noise.

use nalgebra::DMatrix;

use crate::Scalar;
use crate::integrate::IntegratorError;
use crate::limit::Compiled;
use crate::pde::particles::scheme::{
    Change, Flow, MeanField, Stage, StepSize, StochasticIntegrator, adaptive, checked,
};

/// The exponential scheme: the row's own linear drift βᵀw, the decay with it, is integrated exactly, and so is the
/// covariance of the noise that it damps (that of an Ornstein-Uhlenbeck process). Stable for any decay τγ times dt, where
/// Euler-Maruyama and Heun blow up beyond 2. Weak order 2; two evaluations of the coefficients per step.
///
/// A first step with the coefficients at the start predicts law*; the step itself takes the mean of β and Λ over both
/// ends, and α and κψ(w) linear in time between them.
///
/// Source: the deterministic part is ETD2RK of S. M. Cox and P. C. Matthews, J. Comput. Phys. 176 (2002),
/// [doi:10.1006/jcph.2002.6995](https://doi.org/10.1006/jcph.2002.6995).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exponential<T = f64> {
    size: StepSize<T>,
}

impl<T: Compiled> Exponential<T> {
    /// The scheme with steps of that size.
    ///
    /// # Errors
    /// [`IntegratorError`] unless it is positive and finite.
    pub fn new(size: T) -> Result<Self, IntegratorError> {
        Ok(Self { size: StepSize::Fixed(checked("step size", size)?) })
    }

    /// The scheme with steps as large as the tolerances allow; see [`StepSize::Adaptive`].
    ///
    /// # Errors
    /// [`IntegratorError`] unless both are positive and finite.
    pub fn adaptive(relative: T, absolute: T) -> Result<Self, IntegratorError> {
        Ok(Self { size: adaptive(relative, absolute)? })
    }
}

impl<T: Compiled> StochasticIntegrator<T> for Exponential<T> {
    fn order(&self) -> usize {
        2
    }

    fn step_size(&self) -> StepSize<T> {
        self.size
    }

    fn predicts(&self) -> bool {
        true
    }

    fn step<S: MeanField<T>>(&self, system: &mut S, size: T) -> Result<(), S::Error> {
        let here = system.flow(Stage::Start)?;
        let first = Propagator::new(&here.beta, &here.lambda, size);
        system.apply(
            Stage::Predictor,
            &Change {
                features: &here.alpha * &first.integral,
                bent_start: bent(&here, &first.integral),
                start: first.exponential,
                predictor: None,
                bent_predictor: None,
                covariance: first.covariance,
            },
        )?;
        let ahead = system.flow(Stage::Predictor)?;
        let mean = |x: &DMatrix<T>, y: &DMatrix<T>| (x + y) * T::lit(0.5);
        let second = Propagator::new(&mean(&here.beta, &ahead.beta), &mean(&here.lambda, &ahead.lambda), size);
        let early = &second.integral - &second.late;
        system.apply(
            Stage::End,
            &Change {
                features: &here.alpha * &early + &ahead.alpha * &second.late,
                bent_start: bent(&here, &early),
                bent_predictor: bent(&ahead, &second.late),
                start: second.exponential,
                predictor: None,
                covariance: second.covariance,
            },
        )
    }
}

/// −κ times that, where ψ enters.
fn bent<T: Compiled>(flow: &Flow<T>, integral: &DMatrix<T>) -> Option<DMatrix<T>> {
    (flow.decay != T::zero()).then(|| integral * -flow.decay)
}

/// What a linear drift β and noise Λ, both constant, do in a time h.
struct Propagator<T: Scalar> {
    /// exp(βh).
    exponential: DMatrix<T>,
    /// ∫₀ʰ exp(βs) ds.
    integral: DMatrix<T>,
    /// ∫₀ʰ (s/h) exp(β(h − s)) ds.
    late: DMatrix<T>,
    /// ∫₀ʰ exp(βs)ᵀ Λ exp(βs) ds.
    covariance: DMatrix<T>,
}

/// ‖β‖h at which the power series take over: they then converge to rounding in `TERMS` terms.
const SMALL: f64 = 0.25;
const TERMS: usize = 12;
/// The most doublings: ‖β‖h up to 10²⁹.
const MOST_DOUBLINGS: usize = 100;

impl<T: Compiled> Propagator<T> {
    /// By power series over a short time, which is then doubled: all four integrals double without cancellation, and
    /// strong decay underflows to 0 instead of overflowing.
    fn new(beta: &DMatrix<T>, lambda: &DMatrix<T>, time: T) -> Self {
        let m = beta.nrows();
        let norm = (0..m).map(|j| beta.column(j).abs().sum()).fold(T::zero(), T::max);
        let (mut h, mut doublings) = (time, 0);
        while norm * h > T::lit(SMALL) && doublings < MOST_DOUBLINGS {
            h *= T::lit(0.5);
            doublings += 1;
        }
        // A drift that is not finite, or a step beyond all measure: NaN, which the system reports.
        let one = if norm * h <= T::lit(SMALL) { T::one() } else { T::lit(f64::NAN) };
        let identity = DMatrix::from_diagonal_element(m, m, one);
        // x_k = (βh)^k/k!, l_k = hᵏ⁺¹/(k + 1)! L^k Λ with L Λ = βᵀΛ + Λβ.
        let (mut power, mut spread) = (identity.clone(), lambda * h);
        let mut out = Self {
            exponential: identity.clone(),
            integral: &identity * h,
            // Not yet divided by h.
            late: identity * (T::lit(0.5) * h * h),
            covariance: spread.clone(),
        };
        for k in 1..=TERMS {
            let n = T::of_usize(k);
            power = &power * beta * (h / n);
            out.exponential += &power;
            out.integral += &power * (h / (n + T::one()));
            out.late += &power * (h * h / ((n + T::one()) * (n + T::lit(2.0))));
            let half = spread * beta;
            spread = (half.transpose() + half) * (h / (n + T::one()));
            out.covariance += &spread;
        }
        for _ in 0..doublings {
            let Self { exponential, integral, late, covariance } = &mut out;
            *covariance += exponential.tr_mul(&*covariance) * &*exponential;
            *late += &*late * &*exponential + &*integral * h;
            *integral += &*integral * &*exponential;
            *exponential = &*exponential * &*exponential;
            h += h;
        }
        out.late /= time;
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(x: f64) -> DMatrix<f64> {
        DMatrix::from_element(1, 1, x)
    }

    #[test]
    fn a_scalar_propagator_has_its_closed_form_from_weak_to_very_strong_decay() {
        for (beta, h) in [(-0.3_f64, 0.01), (0.7, 0.5), (-3.0, 2.0), (-40.0, 1.0), (-1e4, 3.0), (-1e-9, 1.0)] {
            let got = Propagator::new(&scalar(beta), &scalar(1.7), h);
            let z = beta * h;
            let late = if z.abs() < 1e-3 { h * (0.5 + z / 6.0 + z * z / 24.0) } else { h * (z.exp_m1() - z) / (z * z) };
            let pairs = [
                (&got.exponential, z.exp()),
                (&got.integral, z.exp_m1() / beta),
                (&got.late, late),
                (&got.covariance, 1.7 * (2.0 * z).exp_m1() / (2.0 * beta)),
            ];
            for (matrix, wanted) in pairs {
                assert!((matrix[(0, 0)] - wanted).abs() < 1e-12 * wanted.abs().max(1e-300), "{beta} {h} {wanted}");
            }
        }
    }

    /// Against the midpoint rule on dW/dt, in time steps so small that its error is below 1e-8.
    #[test]
    fn a_matrix_propagator_solves_its_equations() {
        const STEPS: usize = 20_000;
        let beta = DMatrix::from_row_slice(2, 2, &[-1.0, 3.0, -2.0, 0.5]);
        let lambda = DMatrix::from_row_slice(2, 2, &[1.0, 0.3, 0.3, 0.6]);
        let h = 1.3;
        let got = Propagator::new(&beta, &lambda, h);
        let dt = h / STEPS as f64;
        let half = Propagator::new(&beta, &lambda, 0.5 * dt).exponential;
        let full = &half * &half;
        let (mut e, zero) = (half.clone(), DMatrix::zeros(2, 2));
        let (mut integral, mut late, mut covariance) = (zero.clone(), zero.clone(), zero);
        for k in 0..STEPS {
            let s = (k as f64 + 0.5) * dt;
            integral += &e * dt;
            late += &e * ((h - s) / h * dt);
            covariance += e.tr_mul(&lambda) * &e * dt;
            e = &e * &full;
        }
        for (x, y) in [(&got.integral, integral), (&got.late, late), (&got.covariance, covariance)] {
            assert!((x - y).amax() < 1e-8);
        }
        assert!((&got.exponential - beta.scale(h).exp()).amax() < 1e-12);
    }
}
