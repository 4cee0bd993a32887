//! Limit coefficients of rectifiers: one neuron to 1e-8 within 10⁴ nodes, against closed forms.

use contrastive_dynamics::limit::Limit;
use contrastive_dynamics::model::{GaussianNoise, Independent, Law, LeakyRelu, Model, Relu};
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::state::OrderParameters;

/// A rectifier with a Gaussian hidden variable of the same variance as everything else makes (h¹, h²) a centred Gaussian
/// pair; with s its variance and t its angle, E[1(h)max(k,0)max(k,0)] and the like are arc-cosine formulas.
#[test]
fn relu_with_gaussian_hidden_variables_matches_the_arc_cosine_formulas() {
    let (variance, second_moment, q, r, tau) = (0.3_f64, 1.7, 0.5, 1.1, 0.2);
    for rho in [-1.0_f64, -0.5, 0.0, 0.7, 1.0] {
        let builder = Model::builder().nonlinearity(Relu).learning_rate(tau);
        let builder = builder.hidden(Independent::new([Law::gaussian(second_moment).unwrap()]).unwrap());
        let model = builder.noise(GaussianNoise::correlated(variance, rho).unwrap()).build().unwrap();
        let state = OrderParameters::from_rows(1, 1, &[q], &[r]).unwrap();
        let limit = Limit::new(&model).unwrap().tolerance(1e-9).unwrap();
        let answer = limit.coefficients(&state).unwrap();
        // Two nodes of the plane per node of the count, over two rules.
        assert!(limit.rule(&state).unwrap().nodes() <= 20_000);
        let background = r - q * q;
        let s = (variance + second_moment) * q * q + (1.0 + variance) * background;
        let x = (variance * rho + second_moment) * q * q + (1.0 + variance * rho) * background;
        let angle = f64::acos((x / s).clamp(-1.0, 1.0));
        let pi = std::f64::consts::PI;
        // E[h⁺ k⁺] = B/(2τ): e¹h¹ + e²h² = −2 h⁺k⁺.
        let product = s * (angle.sin() + (pi - angle) * angle.cos()) / (2.0 * pi);
        assert!((answer.coefficients.b[(0, 0)] - 2.0 * tau * product).abs() < 1e-9, "rho {rho}");
        // A by regression: E[k⁺ 1(h) x̃] = Cov(x̃, h) E[∂_h] + Cov(x̃, k) P, with E[∂_h] = √(2s)... both from
        // E[k⁺ 1(h) h] = product = s E[∂_h] + x P(h, k > 0).
        let both = (pi - angle) / (2.0 * pi);
        let slope = (product - x * both) / s;
        let (own, cross) = ((variance + second_moment) * q, (variance * rho + second_moment) * q);
        assert!((answer.coefficients.a[(0, 0)] - 2.0 * tau * (own * slope + cross * both)).abs() < 1e-9, "rho {rho}");
        // Λ/τ² = 2 D₁₁ E[1(h) k⁺²] + 2 D₁₂ E[h⁺k⁺], E[1(h) k⁺²] = s((π − t) + sin t cos t)/(2π).
        let square = s * ((pi - angle) + angle.sin() * angle.cos()) / (2.0 * pi);
        let lambda = tau * tau * 2.0 * ((1.0 + variance) * square + (1.0 + variance * rho) * product);
        assert!((answer.coefficients.lambda[(0, 0)] - lambda).abs() < 1e-9, "rho {rho}");
        assert!((answer.coefficients.lambda[(0, 0)] * 1.001 - lambda).abs() > 1e-6, "0.1 % would be seen");
    }
}

/// The leaky rectifier of slope 1 is the identity, and of slope 0 the rectifier.
#[test]
fn leaky_relu_interpolates_between_relu_and_identity() {
    let hidden = || Independent::new([Law::two_point(2.25).unwrap(), Law::uniform(1.2).unwrap()]).unwrap();
    let noise = GaussianNoise::correlated(0.3, -0.5).unwrap();
    let state = OrderParameters::from_rows(2, 1, &[0.4, -0.2], &[0.8]).unwrap();
    let builder = || Model::builder().hidden(hidden()).noise(noise).learning_rate(0.3);
    let leaky = |slope| {
        let model = builder().nonlinearity(LeakyRelu::new(slope).unwrap()).build().unwrap();
        Limit::new(&model).unwrap().tolerance(1e-8).unwrap().coefficients(&state).unwrap().coefficients
    };
    let identity = builder().nonlinearity(contrastive_dynamics::model::Identity).build().unwrap();
    let identity = Limit::new(&identity).unwrap().coefficients(&state).unwrap().coefficients;
    assert!((leaky(1.0).a - identity.a).amax() < 1e-8);
    assert!((leaky(1.0).b - identity.b).amax() < 1e-8);
    assert!((leaky(1.0).lambda - identity.lambda).amax() < 1e-8);
    let relu = builder().nonlinearity(Relu).build().unwrap();
    let relu = Limit::new(&relu).unwrap().tolerance(1e-8).unwrap().coefficients(&state).unwrap().coefficients;
    assert!((leaky(0.0).a - relu.a).amax() < 1e-8);
}

/// The ODE of a rectifier is solved to the same end by two tolerances: its right-hand side is smooth in the state.
#[test]
fn the_ode_of_a_rectifier_can_be_solved() {
    let hidden = Independent::new([Law::two_point(2.25).unwrap()]).unwrap();
    let noise = GaussianNoise::correlated(0.3, -0.5).unwrap();
    let builder = Model::builder().nonlinearity(Relu).hidden(hidden).noise(noise).learning_rate(0.2);
    let model = builder.weight_decay(2.5).build().unwrap();
    let start = OrderParameters::from_rows(1, 1, &[0.4], &[0.8]).unwrap();
    let end = |tolerance| {
        let ode = ReducedOde::new(&model).unwrap().coefficient_tolerance(tolerance).unwrap();
        let trajectory = ode.solver().solve(&start, 2.0).unwrap();
        assert!(trajectory.work().rejected_steps <= 3);
        trajectory.last().unwrap().1.to_packed()
    };
    assert!((end(1e-7) - end(1e-10)).amax() < 1e-6);
}
