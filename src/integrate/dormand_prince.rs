//! The Dormand-Prince pair 5(4) with error control and dense output of order 4.
//!
//! Covers the coefficients, one step, and the choice of its size. Not here: fixed steps (see
//! [`RungeKutta4`](crate::integrate::RungeKutta4)). Sources:
//! J. R. Dormand, P. J. Prince, J. Comput. Appl. Math. 6 (1980) 19, doi:10.1016/0771-050X(80)90013-3; dense output
//! L. F. Shampine, Math. Comp. 46 (1986) 135, doi:10.1090/S0025-5718-1986-0815836-3.

use crate::Scalar;
use crate::integrate::{Integrator, IntegratorError, SLIVER, Step, StepError, System, positive};

/// The Dormand-Prince method of order 5 with an embedded error estimate of order 4.
///
/// A step is accepted when the root mean square of error/(atol + rtol·|y|) over the components is at most 1.
/// Defaults: rtol 1e-8, atol 1e-11 (in `f32` 1e-5 and 1e-6).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DormandPrince<T = f64> {
    relative: T,
    absolute: T,
    largest: Option<T>,
}

impl<T: Scalar> Default for DormandPrince<T> {
    fn default() -> Self {
        let double = T::EPSILON < T::lit(1e-10);
        let (relative, absolute) = if double { (1e-8, 1e-11) } else { (1e-5, 1e-6) };
        Self { relative: T::lit(relative), absolute: T::lit(absolute), largest: None }
    }
}

impl<T: Scalar> DormandPrince<T> {
    /// The method with these relative and absolute tolerances.
    ///
    /// # Errors
    /// [`IntegratorError`] unless both are positive and finite.
    pub fn new(relative: T, absolute: T) -> Result<Self, IntegratorError> {
        let relative = positive("relative tolerance", relative)?;
        Ok(Self { relative, absolute: positive("absolute tolerance", absolute)?, largest: None })
    }

    /// Takes no step larger than `size` in t.
    ///
    /// # Errors
    /// [`IntegratorError`] unless the size is positive and finite.
    pub fn largest_step(mut self, size: T) -> Result<Self, IntegratorError> {
        self.largest = Some(positive("largest step", size)?);
        Ok(self)
    }

    /// The relative tolerance.
    #[must_use]
    pub fn relative_tolerance(&self) -> T {
        self.relative
    }

    /// Root mean square of x/(atol + rtol·max(|y|, |z|)).
    fn norm(&self, x: impl Iterator<Item = T>, y: &[T], z: &[T]) -> T {
        let sum: T = x
            .zip(y.iter().zip(z))
            .map(|(x, (y, z))| {
                let scaled = x / (self.absolute + self.relative * y.abs().max(z.abs()));
                scaled * scaled
            })
            .sum();
        (sum / T::of_usize(y.len().max(1))).sqrt()
    }

    /// A first step size (Hairer, Nørsett, Wanner, Solving Ordinary Differential Equations I, II.4).
    fn first_size<S: System<T>>(&self, system: &mut S, step: &mut Step<T>) -> Result<T, S::Error> {
        let zero = vec![T::zero(); step.y.len()];
        let d0 = self.norm(step.y.iter().copied(), &step.y, &zero);
        let d1 = self.norm(step.rates.iter().copied(), &step.y, &zero);
        let small = T::lit(NEXT_TO_NOTHING);
        let h0 = if d0 < small || d1 < small { T::lit(BLIND_STEP) } else { T::lit(FIRST_PART) * d0 / d1 };
        let y: Vec<T> = step.y.iter().zip(&step.rates).map(|(&y, &f)| y + h0 * f).collect();
        let mut rates = zero.clone();
        system.rates(step.t + h0, &y, &mut rates)?;
        step.work.right_hand_sides += 1;
        let change = rates.iter().zip(&step.rates).map(|(&a, &b)| a - b);
        let d2 = self.norm(change, &step.y, &zero) / h0;
        let steepest = d1.max(d2);
        let h1 = if steepest <= T::lit(FLAT) {
            T::lit(BLIND_STEP).max(h0 * T::lit(FLAT_PART))
        } else {
            (T::lit(FIRST_PART) / steepest).powf(T::lit(1.0 / ORDER))
        };
        Ok((T::lit(MOST_FIRST_GROWTH) * h0).min(h1))
    }
}

/// The times of stages after the first, in units of the step.
pub(crate) const NODES: [f64; 6] = [1.0 / 5.0, 3.0 / 10.0, 4.0 / 5.0, 8.0 / 9.0, 1.0, 1.0];
/// The weights of earlier stages in each stage after the first; those of the last are the weights of the step.
pub(crate) const STAGES: [&[f64]; 6] = [
    &[1.0 / 5.0],
    &[3.0 / 40.0, 9.0 / 40.0],
    &[44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0],
    &[19372.0 / 6561.0, -25360.0 / 2187.0, 64448.0 / 6561.0, -212.0 / 729.0],
    &[9017.0 / 3168.0, -355.0 / 33.0, 46732.0 / 5247.0, 49.0 / 176.0, -5103.0 / 18656.0],
    &[35.0 / 384.0, 0.0, 500.0 / 1113.0, 125.0 / 192.0, -2187.0 / 6784.0, 11.0 / 84.0],
];

// The size of the next step: Hairer, Nørsett, Wanner, Solving Ordinary Differential Equations I, II.4.
/// The error of a step falls as that power of its size.
const ORDER: f64 = 5.0;
/// A step is that part of what the estimate allows, so that it is seldom rejected.
const SAFETY: f64 = 0.9;
/// From one step to the next the size falls at most by that factor, and does so where the error is not finite ...
const LEAST_FACTOR: f64 = 0.2;
/// ... and grows at most by that; not at all after a rejected step.
const MOST_GROWTH: f64 = 10.0;
/// A first step moves the state by that part of itself, in units of what is allowed, and its error is about that part of it.
const FIRST_PART: f64 = 0.01;
/// States and rates that are less, in those units, say nothing about the size of a first step ...
const NEXT_TO_NOTHING: f64 = 1e-5;
/// ... which then is that.
const BLIND_STEP: f64 = 1e-6;
/// Rates and their change that are less are zero ...
const FLAT: f64 = 1e-15;
/// ... and the first step that part of the one tried.
const FLAT_PART: f64 = 1e-3;
/// The first step is at most so many times the one tried.
const MOST_FIRST_GROWTH: f64 = 100.0;

/// Order 5 minus order 4.
const ERROR: [f64; 7] =
    [71.0 / 57600.0, 0.0, -71.0 / 16695.0, 71.0 / 1920.0, -17253.0 / 339_200.0, 22.0 / 525.0, -1.0 / 40.0];
/// Dense output: the weight of stage s is Σ_k DENSE[s]\[k\] θ^(k+1).
const DENSE: [[f64; 4]; 7] = [
    [1.0, -8_048_581_381.0 / 2_820_520_608.0, 8_663_915_743.0 / 2_820_520_608.0, -12_715_105_075.0 / 11_282_082_432.0],
    [0.0; 4],
    [
        0.0,
        131_558_114_200.0 / 32_700_410_799.0,
        -68_118_460_800.0 / 10_900_136_933.0,
        87_487_479_700.0 / 32_700_410_799.0,
    ],
    [0.0, -1_754_552_775.0 / 470_086_768.0, 14_199_869_525.0 / 1_410_260_304.0, -10_690_763_975.0 / 1_880_347_072.0],
    [
        0.0,
        127_303_824_393.0 / 49_829_197_408.0,
        -318_862_633_887.0 / 49_829_197_408.0,
        701_980_252_875.0 / 199_316_789_632.0,
    ],
    [0.0, -282_668_133.0 / 205_662_961.0, 2_019_193_451.0 / 616_988_883.0, -1_453_857_185.0 / 822_651_844.0],
    [0.0, 40_617_522.0 / 29_380_423.0, -110_615_467.0 / 29_380_423.0, 69_997_945.0 / 29_380_423.0],
];

impl<T: Scalar> Integrator<T> for DormandPrince<T> {
    fn order(&self) -> usize {
        5
    }

    fn step<S: System<T>>(&self, system: &mut S, step: &mut Step<T>, end: T) -> Result<(), StepError<S::Error>> {
        step.check::<S::Error>(system.dimension())?;
        step.reserve(5, 8);
        if step.next_size == T::zero() {
            step.next_size = self.first_size(system, step)?;
        }
        let mut rejected = false;
        loop {
            let wanted = self.largest.map_or(step.next_size, |largest| step.next_size.min(largest));
            let rest = end - step.t;
            let size = if rest <= wanted * T::lit(1.0 + SLIVER) { rest } else { wanted };
            if !(step.t + size > step.t) {
                return Err(StepError::StepTooSmall);
            }
            let error = self.attempt(system, step, size)?;
            let shrink = |e: T| (T::lit(SAFETY) * e.powf(T::lit(-1.0 / ORDER))).max(T::lit(LEAST_FACTOR));
            if !(error <= T::one()) {
                // Too large an error, or a stage that left the finite numbers.
                step.work.rejected_steps += 1;
                rejected = true;
                step.next_size = size * if error.is_finite() { shrink(error) } else { T::lit(LEAST_FACTOR) };
                continue;
            }
            let most = if rejected { 1.0 } else { MOST_GROWTH };
            let growth = if error == T::zero() { T::lit(most) } else { shrink(error).min(T::lit(most)) };
            Self::accept(step, size, end);
            // A step cut short by `end` says nothing against the size proposed before.
            step.next_size = if size < wanted { (size * growth).max(wanted) } else { size * growth };
            return Ok(());
        }
    }
}

impl<T: Scalar> DormandPrince<T> {
    /// Computes the stages of a step and its scaled error. Scratch: stages 0..7, then the new state.
    fn attempt<S: System<T>>(&self, system: &mut S, step: &mut Step<T>, size: T) -> Result<T, S::Error> {
        let n = step.y.len();
        step.scratch[0].copy_from_slice(&step.rates);
        for (s, (weights, node)) in STAGES.iter().zip(NODES).enumerate() {
            let (stages, new) = step.scratch.split_at_mut(7);
            let point = &mut new[0];
            for k in 0..n {
                let slope: T = weights.iter().zip(&*stages).map(|(&a, stage)| T::lit(a) * stage[k]).sum();
                point[k] = step.y[k] + size * slope;
            }
            if !point.iter().all(nalgebra::ComplexField::is_finite) {
                return Ok(T::lit(f64::INFINITY));
            }
            system.rates(step.t + T::lit(node) * size, point, &mut stages[s + 1])?;
            step.work.right_hand_sides += 1;
        }
        let (stages, new) = step.scratch.split_at(7);
        let errors = (0..n).map(|k| {
            let sum: T = ERROR.iter().zip(stages).map(|(&e, stage)| T::lit(e) * stage[k]).sum();
            size * sum
        });
        Ok(self.norm(errors, &step.y, &new[0]))
    }

    fn accept(step: &mut Step<T>, size: T, end: T) {
        for k in 0..step.y.len() {
            step.dense[0][k] = step.y[k];
            for power in 0..4 {
                let sum: T = DENSE.iter().zip(&step.scratch).map(|(row, stage)| T::lit(row[power]) * stage[k]).sum();
                step.dense[power + 1][k] = size * sum;
            }
        }
        step.previous_t = step.t;
        step.t = if size == end - step.t { end } else { step.t + size };
        step.y.copy_from_slice(&step.scratch[7]);
        step.rates.copy_from_slice(&step.scratch[6]);
        step.work.accepted_steps += 1;
    }
}
