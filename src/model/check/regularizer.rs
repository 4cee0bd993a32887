//! Whether a regulariser is linear where it says so.
//!
//! Covers φ against its claims `is_linear`, `linear_part` and `slope`. Not here: the strength of the decay.

use crate::Scalar;
use crate::model::check::{Disagreement, ROUNDING};
use crate::model::{LinearRegularizer, Regularizer};

/// Weights at which φ is looked at: those of a trained network are of order one, and so are most of these.
const WEIGHTS: [f64; 8] = [0.0, 1e-3, 0.1, 0.37, 0.73, 1.0, 2.9, 11.0];
/// The quick check asks for finite values up to here: the size that every network has.
const QUICK_WEIGHT: f64 = 1.0;

/// Whether φ is what the regulariser says of it: linear, if it says so, and finite for |w| ≤ 11.
///
/// Empty if all is well. Nothing is random: there is no false alarm. See [`check_linear_regularizer`] for the promise of a closed ODE.
///
/// ```
/// use contrastive_dynamics::model::{ElasticNet, L1, L2, check_regularizer};
/// assert!(check_regularizer::<f64, _>(&L2).is_empty() && check_regularizer::<f64, _>(&L1).is_empty());
/// assert!(check_regularizer(&ElasticNet::new(0.3)?).is_empty());
/// # Ok::<(), contrastive_dynamics::model::ModelError>(())
/// ```
pub fn check_regularizer<T: Scalar, G: Regularizer<T>>(regularizer: &G) -> Vec<Disagreement> {
    check_to(regularizer, f64::INFINITY)
}

/// The part of [`check_regularizer`] that every model can be asked: it is finite for |w| ≤ 1, and linear if it says so.
pub(super) fn quick_check_regularizer<T: Scalar, G: Regularizer<T>>(regularizer: &G) -> Vec<Disagreement> {
    check_to(regularizer, QUICK_WEIGHT)
}

/// The checks, with values that must be finite up to that weight.
fn check_to<T: Scalar, G: Regularizer<T>>(regularizer: &G, largest: f64) -> Vec<Disagreement> {
    let part = regularizer.linear_part().as_f64();
    if !part.is_finite() {
        return vec![Disagreement::RegularizerValue { what: "linear_part", w: 0.0, value: part }];
    }
    let values = points().filter(|w| w.abs() <= largest).map(|w| (w, regularizer.apply(T::lit(w)).as_f64()));
    if let Some((w, value)) = values.into_iter().find(|(_, value)| !value.is_finite()) {
        return vec![Disagreement::RegularizerValue { what: "φ(w)", w, value }];
    }
    if !regularizer.is_linear() {
        return Vec::new();
    }
    not_linear::<T, G>(regularizer, part, "is_linear").into_iter().collect()
}

/// Whether a linear regulariser is one: φ(w) = slope·w. Also everything that [`check_regularizer`] finds.
pub fn check_linear_regularizer<T: Scalar, G: LinearRegularizer<T>>(regularizer: &G) -> Vec<Disagreement> {
    let mut found = check_regularizer(regularizer);
    found.extend(not_linear::<T, G>(regularizer, regularizer.slope().as_f64(), "slope"));
    found
}

fn points() -> impl Iterator<Item = f64> {
    WEIGHTS.into_iter().chain(WEIGHTS.into_iter().skip(1).map(|w| -w))
}

/// The weight at which φ differs most from slope·w, if it does.
fn not_linear<T: Scalar, G: Regularizer<T>>(regularizer: &G, slope: f64, method: &'static str) -> Option<Disagreement> {
    let rounding = ROUNDING * T::EPSILON.as_f64();
    let off = |w: f64| {
        let value = regularizer.apply(T::lit(w)).as_f64();
        let line = slope * T::lit(w).as_f64();
        // NaN compares as not within.
        (!((value - line).abs() <= rounding * (value.abs() + line.abs()))).then_some((w, value))
    };
    let worst =
        points().filter_map(off).max_by(|(v, a), (w, b)| (a - slope * v).abs().total_cmp(&(b - slope * w).abs()));
    worst.map(|(w, value)| Disagreement::RegularizerNotLinear { method, slope, w, value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ElasticNet, L1, L2, RegularizerFunction, SmoothedL1};

    #[test]
    fn the_library_keeps_its_word() {
        assert!(
            check_linear_regularizer::<f64, _>(&L2).is_empty() && check_linear_regularizer::<f32, _>(&L2).is_empty()
        );
        assert!(check_regularizer::<f64, _>(&L1).is_empty());
        for ratio in [0.0, 0.4, 1.0] {
            assert!(check_regularizer(&ElasticNet::new(ratio).unwrap()).is_empty());
            assert!(check_regularizer(&ElasticNet::new(f32::lit(ratio)).unwrap()).is_empty());
        }
        assert!(check_regularizer(&SmoothedL1::new(0.1).unwrap()).is_empty());
        assert!(check_regularizer(&RegularizerFunction(|w: f64| w.powi(3))).is_empty());
    }

    /// φ(w) = 2w + bend·w³, which says that it is linear, of that linear part and slope.
    struct Liar {
        bend: f64,
        part: f64,
        slope: f64,
    }
    impl Regularizer for Liar {
        fn apply(&self, w: f64) -> f64 {
            2.0 * w + self.bend * w * w * w
        }
        fn linear_part(&self) -> f64 {
            self.part
        }
        fn is_linear(&self) -> bool {
            true
        }
    }
    impl LinearRegularizer for Liar {
        fn slope(&self) -> f64 {
            self.slope
        }
    }

    #[test]
    fn each_lie_is_found() {
        let check = |bend, part, slope| check_linear_regularizer(&Liar { bend, part, slope });
        assert!(check(0.0, 2.0, 2.0).is_empty());
        assert!(matches!(check(0.0, 1.99, 2.0)[..], [Disagreement::RegularizerNotLinear { method: "is_linear", .. }]));
        assert!(matches!(check(0.0, 2.0, 2.01)[..], [Disagreement::RegularizerNotLinear { method: "slope", .. }]));
        assert_eq!(check(1e-9, 2.0, 2.0).len(), 2);
        assert!(matches!(check(f64::NAN, 2.0, 2.0)[0], Disagreement::RegularizerValue { what: "φ(w)", .. }));
        assert!(matches!(check(0.0, f64::NAN, 2.0)[0], Disagreement::RegularizerValue { what: "linear_part", .. }));
        assert!(matches!(check(0.0, 2.0, f64::NAN)[..], [Disagreement::RegularizerNotLinear { method: "slope", .. }]));
        let wild = RegularizerFunction(|w: f64| if w > 2.0 { f64::INFINITY } else { w });
        assert!(matches!(check_regularizer(&wild)[..], [Disagreement::RegularizerValue { .. }]));
        assert!(quick_check_regularizer(&wild).is_empty());
        let text = check(0.0, 1.99, 2.0)[0].to_string();
        assert!(text.contains("1.99") && text.contains("is_linear"), "{text}");
    }

    /// φ(w) = 3w without another word: the slope follows.
    struct Forgetful;
    impl Regularizer for Forgetful {
        fn apply(&self, w: f64) -> f64 {
            3.0 * w
        }
    }
    impl LinearRegularizer for Forgetful {}

    #[test]
    fn the_slope_of_a_linear_regulariser_need_not_be_said() {
        assert_eq!(Forgetful.slope(), 3.0);
        assert!(check_linear_regularizer(&Forgetful).is_empty());
    }
}
