//! On what lattice of u, and at what wave numbers, averages over a sum of hidden variables are taken (theory §9).
//!
//! Covers also how fields split into a part that the views have in common and one that they have not. Not here: the averages
//! (see `sum_form`).

use std::f64::consts::TAU;

use crate::Scalar;
use crate::limit::averages::table::trapezoid_step;
use crate::model::Smoothness;

/// By how much a normal's transform at the highest wave number is below the error aimed at, in units of ln(1/error).
pub(super) const WAVE_MARGIN: f64 = 2.0;
/// Views whose difference has a variance of so many ulp are one and the same.
const APART_ULPS: f64 = 4.0;
/// Against a division by zero, for sums that reach nowhere.
const NO_REACH: f64 = 1e-300;
/// What the order of a pole costs, in units of ln(1/error).
const POLE_MARGIN: f64 = 8.0;

/// s and γ: h^v = μ + s z₁ + γ_v z₂ for fields of covariance [a, c, c, b].
pub(super) fn common_part<T: Scalar>(covariance: &[T]) -> (T, [T; 2]) {
    let [a, c, b] = [covariance[0], covariance[1], covariance[3]];
    // Var(h¹ − h²).
    let apart = a + b - c - c;
    let least = T::lit(APART_ULPS) * T::EPSILON * (a + b);
    if !(apart > least) {
        return (a.max(T::zero()).sqrt(), [T::zero(); 2]);
    }
    // The determinant over it.
    let variance = c + (a - c) * (b - c) / apart;
    let spread = if variance > least { variance.sqrt() } else { T::zero() };
    (spread, [(a - c) / apart.sqrt(), (c - b) / apart.sqrt()])
}

/// The accuracy that polynomials ask for: what is averaged grows with their degree, in the square of an error signal.
pub(super) fn grown_accuracy<T: Scalar>(smoothness: &Smoothness<T>, accuracy: f64) -> f64 {
    let Smoothness::Polynomial { degree } = *smoothness else { return accuracy };
    let power = 4.0 * degree as f64;
    // x^power at x = the end of a standard normal; the end hardly depends on what it is taken at.
    accuracy + 0.5 * power * (2.0 * (accuracy + power)).ln()
}

/// The step for products of several factors: poles of σ stand on top of each other in them, and one of order n and distance d
/// makes an error (2πd/step)^(n−1)/(n−1)! times that of a simple one, 3000 for the six of a square at 2πd/step = 13.
pub(super) fn resolved_step<T: Scalar>(smoothness: &Smoothness<T>, gain: f64, accuracy: f64) -> f64 {
    trapezoid_step(smoothness, gain, accuracy + POLE_MARGIN)
}

/// The highest wave number of a product of four factors of one field.
pub(super) fn highest_wave<T: Scalar>(smoothness: &Smoothness<T>, accuracy: f64) -> f64 {
    match *smoothness {
        Smoothness::Analytic { pole_distance } => (accuracy + POLE_MARGIN) / pole_distance.as_f64(),
        Smoothness::Entire | Smoothness::Polynomial { .. } => 4.0 * accuracy.sqrt(),
        // Kinks are not averaged over sums without noise.
        Smoothness::Smooth | Smoothness::Kinked { .. } => accuracy,
    }
}

/// 1 up to a wave number, and falling beyond, in a way that leaves a density narrow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    flat: f64,
    fall: f64,
}

impl Window {
    /// For functions that have fallen to the error at wave number `highest`, with that slope of the logarithm there, over a sum that
    /// reaches that far, and beside which nothing may grow faster than exp(growth k²/2).
    pub(super) fn new((highest, slope): (f64, f64), growth: f64, reach: f64, accuracy: f64) -> Self {
        let fall = (5.0 * accuracy.sqrt() / reach.max(NO_REACH)).min(0.2 * highest);
        let fall = if growth > 0.0 { fall.min(1.0 / growth.sqrt()) } else { fall };
        // Where functions are that much above the error the window is 1 to less than its part of it: slope·x ≤ ((x + y)/fall)² with
        // x = highest − k and y = flat − highest.
        Self { flat: highest + 0.25 * slope * fall * fall, fall }
    }

    /// The highest wave number whose alias, on a lattice, is one for functions as above: 2π over its step.
    pub(super) fn top(&self, highest: f64) -> f64 {
        2.0 * self.flat.max(highest)
    }

    /// How much the logarithm of exp(growth k²/2) grows under the window.
    pub(super) fn growth(&self, growth: f64, accuracy: f64) -> f64 {
        let square = self.fall * self.fall;
        let narrow = 1.0 - 0.5 * growth * square;
        let end = self.highest(accuracy);
        let k = if narrow > 0.0 { (self.flat / narrow).min(end) } else { end };
        0.5 * growth * k * k - ((k - self.flat) / self.fall).max(0.0).powi(2)
    }

    pub(super) fn at(&self, k: f64) -> f64 {
        0.5 * libm::erfc((k - self.flat) / self.fall)
    }

    /// Where it ends.
    pub(super) fn highest(&self, accuracy: f64) -> f64 {
        self.flat + self.fall * accuracy.sqrt()
    }

    /// By how much a density is widened.
    pub(super) fn tail(&self, accuracy: f64) -> f64 {
        2.0 * accuracy.sqrt() / self.fall
    }
}

/// A lattice of u with the wave numbers of its law.
pub(super) struct Grid {
    pub(super) step: f64,
    pub(super) highest: f64,
    /// None where the normal does without.
    pub(super) window: Option<Window>,
    /// By how much a density is widened by the window.
    pub(super) tail: f64,
}

impl Grid {
    /// For fields that have a normal of standard deviation `spread` in common, over a sum that reaches that far.
    ///
    /// Where the normal is narrow, its transform goes further than that of what is averaged. It is cut off then, in a way that leaves all
    /// averages what they are: by a window that is 1 up to the highest wave number of σ.
    pub(super) fn new<T: Scalar>(smoothness: &Smoothness<T>, spread: f64, reach: f64, accuracy: f64) -> Self {
        let wave = highest_wave(smoothness, accuracy);
        let window = Window::new((wave, accuracy / wave), 0.0, reach, accuracy);
        let windowed = TAU / window.top(wave);
        let natural = if spread > 0.0 { spread * resolved_step(smoothness, spread, accuracy) } else { 0.0 };
        if natural >= windowed {
            let highest = 1.1 * (2.0 * (accuracy + WAVE_MARGIN)).sqrt() / spread;
            return Self { step: natural, highest, window: None, tail: 0.0 };
        }
        Self { step: windowed, highest: window.highest(accuracy), window: Some(window), tail: window.tail(accuracy) }
    }
}
