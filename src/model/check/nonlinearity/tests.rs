//! Every activation of the library passes the checks, and every kind of lie is found.

use super::*;
use crate::model::{Erf, FromFunctions, Identity, LeakyRelu, Polynomial, Relu, Sigmoid, Softplus, Tanh};

fn well<T: Scalar>(sigma: &dyn Nonlinearity<T>) {
    assert_eq!(check_nonlinearity(sigma), []);
    assert_eq!(quick_check_nonlinearity(sigma), []);
}

fn library<T: Scalar>() {
    well::<T>(&Tanh);
    well::<T>(&Erf);
    well::<T>(&Relu);
    well::<T>(&LeakyRelu::new(T::lit(0.1)).unwrap());
    well::<T>(&Softplus);
    well::<T>(&Sigmoid);
    well::<T>(&Identity);
    for coefficients in [[0.1, 1.0, -0.3, 0.05], [0.0, 1.0, 0.0, 0.05], [0.5, 0.0, 1.0, 0.0]] {
        well::<T>(&Polynomial::new(coefficients.map(T::lit)).unwrap());
    }
}

#[test]
fn the_library_keeps_its_word() {
    library::<f64>();
    library::<f32>();
}

#[test]
fn functions_of_users_that_are_right_pass() {
    well(&(f64::sin, f64::cos));
    well(&(f64::exp, f64::exp));
    well(&(|h: f64| h * h * h - 3.0 * h, |h: f64| 3.0 * h * h - 3.0));
    // Steep, flat, tiny, shifted, fast.
    well(&(|h: f64| (50.0 * h).tanh(), |h: f64| 50.0 / (50.0 * h).cosh().powi(2)));
    well(&(|_: f64| 2.0, |_: f64| 0.0));
    well(&(|h: f64| 1e-9 * h.tanh(), |h: f64| 1e-9 / h.cosh().powi(2)));
    well(&(|h: f64| 1e6 + h.atan(), |h: f64| 1.0 / (1.0 + h * h)));
    well(&(|h: f64| (30.0 * h).sin(), |h: f64| 30.0 * (30.0 * h).cos()));
    let gelu = |h: f64| 0.5 * h * (1.0 + Scalar::erf(h / 2.0_f64.sqrt()));
    let density = |h: f64| (-0.5 * h * h).exp() / std::f64::consts::TAU.sqrt();
    well(&(gelu, move |h: f64| 0.5 * (1.0 + Scalar::erf(h / 2.0_f64.sqrt())) + h * density(h)));
    let kinked = FromFunctions::new(|h: f64| (h - 0.3).abs(), |h: f64| (h - 0.3).signum(), |_| 0.0);
    well(&kinked.with_smoothness(Smoothness::Kinked { at: 0.3 }));
}

fn kinds(sigma: &dyn Nonlinearity) -> Vec<Disagreement> {
    let found = check_nonlinearity(sigma);
    // What quick finds, full finds too.
    assert!(quick_check_nonlinearity(sigma).len() <= found.len());
    found
}

#[test]
fn a_wrong_derivative_is_found_even_if_it_is_off_by_a_hundred_thousandth() {
    for factor in [0.5, 0.99, 1.0 + 1e-5] {
        let sigma = (f64::tanh, move |h: f64| factor / h.cosh().powi(2));
        assert!(matches!(kinds(&sigma)[..], [Disagreement::NonlinearityDerivative { order: 1, .. }]));
        assert!(matches!(quick_check_nonlinearity(&sigma)[..], [Disagreement::NonlinearityDerivative { .. }]));
    }
    // The derivative forgotten, and one that is wrong on one side.
    assert!(!kinds(&(f64::tanh, f64::tanh)).is_empty());
    assert!(!kinds(&(f64::sin, |h: f64| if h > 1.0 { h.cos() + 1e-3 } else { h.cos() })).is_empty());
    let text = kinds(&(f64::sin, |h: f64| 0.9 * h.cos()))[0].to_string();
    assert!(text.contains("σ'(h) = 0.9") && text.contains("second"), "{text}");
    let single = check_nonlinearity(&(f32::sin, |h: f32| 0.98 * h.cos()));
    assert!(matches!(single[..], [Disagreement::NonlinearityDerivative { order: 1, .. }]));
}

#[test]
fn a_wrong_second_derivative_is_found() {
    let sigma = FromFunctions::new(f64::sin, f64::cos, |h: f64| -1.001 * h.sin());
    assert!(matches!(kinds(&sigma)[..], [Disagreement::NonlinearityDerivative { order: 2, .. }]));
    assert!(matches!(quick_check_nonlinearity(&sigma)[..], [Disagreement::NonlinearityDerivative { order: 2, .. }]));
}

#[test]
fn a_wrong_parity_is_found() {
    let sine = |parity| FromFunctions::new(f64::sin, f64::cos, |h: f64| -h.sin()).with_parity(parity);
    assert!(kinds(&sine(Parity::Odd)).is_empty());
    assert!(matches!(kinds(&sine(Parity::Even))[..], [Disagreement::NonlinearityParity { .. }]));
    let shifted = FromFunctions::new(|h: f64| h.sin() + 1e-6, f64::cos, |h: f64| -h.sin()).with_parity(Parity::Odd);
    assert!(matches!(kinds(&shifted)[..], [Disagreement::NonlinearityParity { claimed: Parity::Odd, .. }]));
    assert!(matches!(quick_check_nonlinearity(&shifted)[..], [Disagreement::NonlinearityParity { .. }]));
}

#[test]
fn a_wrong_degree_is_found() {
    let cubic = |degree| {
        let functions = FromFunctions::new(|h: f64| h.powi(3), |h: f64| 3.0 * h * h, |h: f64| 6.0 * h);
        functions.with_smoothness(Smoothness::Polynomial { degree })
    };
    assert!(kinds(&cubic(3)).is_empty() && kinds(&cubic(5)).is_empty());
    assert!(matches!(kinds(&cubic(2))[..], [Disagreement::NonlinearityDegree { degree: 2, .. }]));
    let sine = FromFunctions::new(f64::sin, f64::cos, |h: f64| -h.sin());
    let sine = sine.with_smoothness(Smoothness::Polynomial { degree: 7 });
    assert!(matches!(kinds(&sine)[..], [Disagreement::NonlinearityDegree { degree: 7, .. }]));
}

#[test]
fn a_kink_that_is_not_declared_is_found() {
    let hinge = |at: f64| {
        let slope = move |h: f64| if h > at { 1.0 } else { 0.0 };
        FromFunctions::new(move |h: f64| (h - at).max(0.0), slope, |_: f64| 0.0)
    };
    for at in [0.0, 0.3, -1.71] {
        let found = kinds(&hinge(at));
        assert!(
            matches!(found[..], [Disagreement::NonlinearityJump { what: "σ'", at: there, jump }]
            if (there - at).abs() < 1e-9 && (jump - 1.0).abs() < 1e-9),
            "{found:?}"
        );
        assert!(kinds(&hinge(at).with_smoothness(Smoothness::Kinked { at })).is_empty());
        let elsewhere = hinge(at).with_smoothness(Smoothness::Kinked { at: at + 0.5 });
        assert!(matches!(kinds(&elsewhere)[..], [Disagreement::NonlinearityJump { .. }]));
    }
    let step = (|h: f64| if h > 0.3 { 1.0 } else { 0.0 }, |_: f64| 0.0);
    assert!(matches!(kinds(&step)[..], [Disagreement::NonlinearityJump { what: "σ", .. }]));
}

#[test]
fn values_that_are_not_finite_are_found() {
    let root = (f64::sqrt, |h: f64| 0.5 / h.sqrt());
    assert!(matches!(kinds(&root)[..], [Disagreement::NonlinearityValue { what: "σ'(h)" | "σ(h)", .. }]));
    assert_eq!(quick_check_nonlinearity(&root).len(), 1);
    // Far out only: the quick check does not go there.
    let blowing_up = (|h: f64| (h.powi(4)).exp(), |h: f64| 4.0 * h.powi(3) * h.powi(4).exp());
    assert!(matches!(kinds(&blowing_up)[..], [Disagreement::NonlinearityValue { .. }]));
    assert!(quick_check_nonlinearity(&blowing_up).is_empty());
}

/// tanh, of which one method is wrong or one claim.
struct Liar(&'static str);
impl Nonlinearity for Liar {
    fn value(&self, h: f64) -> f64 {
        h.tanh()
    }
    fn derivative(&self, h: f64) -> f64 {
        1.0 / h.cosh().powi(2)
    }
    fn value_and_derivative(&self, h: f64) -> (f64, f64) {
        (if self.0 == "pair" { 1.01 } else { 1.0 } * self.value(h), self.derivative(h))
    }
    fn second_derivative(&self, h: f64) -> Option<f64> {
        (self.0 != "only slices").then(|| -2.0 * self.value(h) * self.derivative(h))
    }
    fn closed_form(&self) -> Option<ClosedForm<f64>> {
        match self.0 {
            "erf" => Some(ClosedForm::Erf),
            "rectifier" => Some(ClosedForm::Rectifier { slope: 0.0 }),
            _ => None,
        }
    }
    fn evaluate(&self, fields: &[f64], values: &mut [f64], derivatives: &mut [f64]) {
        // "short" forgets what does not fill a lane.
        let end = if self.0 == "short" { fields.len() / 8 * 8 } else { fields.len() };
        for k in 0..end {
            (values[k], derivatives[k]) = (self.value(fields[k]), self.derivative(fields[k]));
            if self.0 == "slice" {
                derivatives[k] += 1e-6;
            }
        }
    }
    fn evaluate_second(&self, _fields: &[f64], values: &[f64], derivatives: &[f64], seconds: &mut [f64]) -> bool {
        let factor = if ["second slice", "only slices"].contains(&self.0) { -2.001 } else { -2.0 };
        for (second, (y, d)) in seconds.iter_mut().zip(values.iter().zip(derivatives)) {
            *second = factor * y * d;
        }
        true
    }
}

#[test]
fn methods_that_contradict_each_other_are_found() {
    assert!(kinds(&Liar("nothing")).is_empty());
    for lie in ["pair", "slice", "short", "second slice"] {
        let (found, quick) = (kinds(&Liar(lie)), quick_check_nonlinearity(&Liar(lie)));
        assert!(matches!(found[..], [Disagreement::NonlinearitySlices { .. }]), "{lie}: {found:?}");
        assert!(matches!(quick[..], [Disagreement::NonlinearitySlices { .. }]), "{lie}: {quick:?}");
    }
    let found = kinds(&Liar("only slices"));
    assert!(matches!(found[..], [Disagreement::NonlinearityDerivative { order: 2, .. }]), "{found:?}");
}

#[test]
fn a_family_that_it_is_not_of_is_found() {
    for lie in ["erf", "rectifier"] {
        let (found, quick) = (kinds(&Liar(lie)), quick_check_nonlinearity(&Liar(lie)));
        assert!(matches!(found[..], [Disagreement::NonlinearityClosedForm { .. }]), "{lie}: {found:?}");
        assert!(matches!(quick[..], [Disagreement::NonlinearityClosedForm { .. }]), "{lie}: {quick:?}");
    }
}
