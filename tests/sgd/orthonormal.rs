//! Orthonormal neurons, symmetrically and by Gram and Schmidt: one law in every simulator, the limit, and what is known of Oja's
//! subspace and of Sanger's rule.

use contrastive_dynamics::ensemble::Ensemble;
use contrastive_dynamics::nalgebra::DMatrix;
use contrastive_dynamics::pde::particles::{Heun, ParticleSystem};
use contrastive_dynamics::prelude::*;
use contrastive_dynamics::sgd::SgdError;
use contrastive_dynamics::stability::{FixedPointFinder, learnability};
use contrastive_dynamics::start::StartError;

use super::equality_in_law::{
    Sample, assert_different, assert_equal, builder, compressed, direct, isotropic, lanes, projected, two_neurons,
    without,
};

const BOTH: [Constraint; 2] = [Constraint::Orthonormal, Constraint::GramSchmidt];

/// The statistics of `equality_in_law`, without R, which is I: 18 for each simulator and constraint at a significance of 1e-7. The
/// control learns a tenth more slowly.
#[test]
fn orthonormal_neurons_have_one_law_in_all_simulators() {
    let start = two_neurons().orthonormalised().unwrap();
    let overlaps = |sample: Sample| without(without(sample, &[4, 2], 1.0), &[2], 0.0);
    for constraint in BOTH {
        let model = builder(isotropic()).n_neurons(2).penalty_strength(2.0).constraint(constraint).build().unwrap();
        let name = format!("{constraint:?}");
        let reference = overlaps(direct(&model, &start));
        assert_equal(&format!("{name}, compressed"), &overlaps(compressed(&model, &start)), &reference);
        assert_equal(&format!("{name}, projected"), &overlaps(projected(&model, &start)), &reference);
        assert_equal(&format!("{name}, lanes"), &overlaps(lanes(&model, &start)), &reference);
        let slower = model.to_builder().learning_rate(0.9).build().unwrap();
        assert_different(&format!("{name}, slower"), &overlaps(projected(&slower, &start)), &reference);
    }
}

/// m = 1 is the sphere, to the last bit.
#[test]
fn one_neuron_is_on_the_sphere() {
    let model = |constraint| builder(isotropic()).constraint(constraint).build().unwrap();
    let sphere = model(Constraint::Sphere);
    let start = OrderParameters::from_rows(1, 1, &[0.4], &[1.0]).unwrap();
    for constraint in BOTH {
        let other = model(constraint);
        let run = |model| {
            let mut direct = DirectSgd::builder(model, 30).start(&start).build_seeded(1).unwrap();
            let mut compressed = CompressedSgd::builder(model, 30).start(&start).build_seeded(1).unwrap();
            let mut projected = ProjectedChain::builder(model, 30).start(&start).build_seeded(1).unwrap();
            let mut lanes = ProjectedChain::builder(model, 30).start(&start).lanes(&[1]).unwrap();
            let particles = ParticleSystem::builder(model, 50).start(&start).scheme(Heun::new(0.05).unwrap());
            let mut particles = particles.build_seeded(1).unwrap();
            for _ in 0..40 {
                direct.step().unwrap();
                compressed.step().unwrap();
                projected.step().unwrap();
                lanes.step();
                particles.step().unwrap();
            }
            let ode = ReducedOde::new(model).unwrap();
            let solution = ode.solver().solve(&start, 2.0).unwrap().last().unwrap().1.clone();
            let ends = [direct.order_parameters(), compressed.order_parameters(), projected.order_parameters()];
            (ends, lanes.order_parameters(0), particles.order_parameters(), solution)
        };
        assert_eq!(run(&sphere), run(&other));
    }
}

/// Two neurons on two features with a penalty and noise.
fn pair(constraint: Constraint) -> Model<f64, Tanh, Independent, GaussianNoise> {
    let hidden = Independent::new([Law::two_point(2.25).unwrap(), Law::three_point(1.5, 0.5).unwrap()]).unwrap();
    let builder = Model::builder().nonlinearity(Tanh).hidden(hidden).learning_rate(0.3).n_neurons(2);
    let builder = builder.noise(GaussianNoise::correlated(0.3, -0.5).unwrap()).penalty_strength(0.7).weight_decay(0.4);
    builder.constraint(constraint).build().unwrap()
}

fn informed() -> OrderParameters {
    let state = OrderParameters::from_rows(2, 2, &[0.5, 0.2, -0.1, 0.4], &[1.0, 0.0, 0.0, 1.0]).unwrap();
    state.orthonormalised().unwrap()
}

fn after(model: &Model<f64, Tanh, Independent, GaussianNoise>, end: f64) -> OrderParameters {
    let ode = ReducedOde::new(model).unwrap();
    ode.solver().solve(&informed(), end).unwrap().last().unwrap().1.clone()
}

/// Means of 1000 chains at N = 1500 against the ODE: four overlaps at two times for each constraint, five standard errors and 2/N.
/// False alarms below 1e-5. The control is the ODE of the other constraint.
#[test]
fn ensembles_follow_the_limit() {
    let times = [1.0, 4.0];
    for (k, constraint) in BOTH.into_iter().enumerate() {
        let (model, other) = (pair(constraint), pair(BOTH[1 - k]));
        let start = informed();
        let builder = ProjectedChain::builder(&model, 1500).start(&start);
        let output = Output::Times(times.to_vec());
        let observe = |_: f64, state: &OrderParameters| state.q().as_slice().to_vec();
        let summary = Ensemble::new(1000, 3).run_projected(&builder, 4.0, &output, observe).unwrap();
        let worst = |model| {
            let each = |(k, &time): (usize, &f64)| {
                let state = after(model, time);
                let entries = state.q().iter().enumerate().map(|(entry, &expected)| {
                    let seen = summary.at(k, entry).unwrap();
                    (seen.mean() - expected).abs() / (5.0 * seen.standard_error() + 2.0 / 1500.0)
                });
                entries.fold(0.0, f64::max)
            };
            times.iter().enumerate().map(each).fold(0.0, f64::max)
        };
        assert!(worst(&model) < 1.0, "{constraint:?}: {}", worst(&model));
        assert!(worst(&other) > 2.0, "{constraint:?}: {}", worst(&other));
    }
}

/// Particles under L2 follow the ODE with the order of the scheme; under L1 they follow SGD.
#[test]
fn particles_follow_the_ode_and_sgd() {
    for constraint in BOTH {
        let model = pair(constraint);
        let exact = after(&model, 2.0);
        let error = |size: f64| {
            let builder = ParticleSystem::builder(&model, 300).start(Box::leak(Box::new(informed())) as &_);
            let mut particles = builder.scheme(Heun::new(size).unwrap()).build_seeded(1).unwrap();
            let trajectory = particles.run(2.0, &Output::Stop).unwrap();
            let end = trajectory.last().unwrap().1;
            assert!((end.r() - DMatrix::identity(2, 2)).amax() < 1e-12);
            (end.q() - exact.q()).amax()
        };
        let errors = [0.05, 0.025].map(error);
        assert!(errors[0] / errors[1] > 3.0 && errors[1] < 1e-3, "{constraint:?} {errors:?}");
    }
    // The decay of L1 turns orthonormal neurons: its rates of R off the diagonal count.
    let start = informed();
    for constraint in BOTH {
        let build = |decay: f64| {
            let builder = pair(constraint).to_builder().regularizer(L1);
            builder.weight_decay(decay).build().unwrap()
        };
        let model = build(1.5);
        let end = |model: &_| {
            let builder = ParticleSystem::builder(model, 100_000).start(&start).scheme(Heun::new(0.04).unwrap());
            let mut particles = builder.build_seeded(1).unwrap();
            particles.run(2.0, &Output::Stop).unwrap().last().unwrap().1.q().clone()
        };
        let summary = Ensemble::new(40, 3).run(
            |replicate| {
                let builder = CompressedSgd::builder(&model, 2000).start(&start);
                builder.build_seeded(replicate.seed)?.run(2.0, &Output::Stop)
            },
            |_, state| state.q().as_slice().to_vec(),
        );
        let summary = summary.unwrap();
        let worst = |q: DMatrix<f64>| {
            let entries = q.iter().enumerate().map(|(entry, &expected)| {
                let seen = summary.at(0, entry).unwrap();
                // Particles scatter by 1/√M.
                (seen.mean() - expected).abs() / (5.0 * seen.standard_error() + 5e-3)
            });
            entries.fold(0.0, f64::max)
        };
        let (own, other) = (worst(end(&model)), worst(end(&build(0.0))));
        assert!(own < 1.0 && other > 1.5, "{constraint:?} {own} {other}");
    }
}

/// σ the identity, no noise: with τ' = 2τ and spikes ω_l = ⟨c_l²⟩ − 1, dQ/dt = τ'(1 + Ω)Q − (τ' + τ'²/2) Q(1 + QᵀΩQ), so that in the end
/// Q has the singular values s_l² = (2ω_l − τ')/(ω_l(2 + τ')) of the strongest features: Oja's subspace. By Gram and Schmidt Q is
/// diagonal as well: neuron i on the i-th strongest feature, which is Sanger's rule.
#[test]
fn the_identity_makes_subspace_and_sanger_rules() {
    let spikes = [2.0, 1.0, 0.5];
    let rate = 0.1;
    let laws = spikes.map(|omega| Law::two_point(1.0 + omega).unwrap());
    let builder = Model::builder().nonlinearity(Identity).hidden(Independent::new(laws).unwrap()).noise(NoNoise);
    let builder = builder.learning_rate(rate).n_neurons(2);
    let expected = |omega: f64| (2.0 * omega - 2.0 * rate) / (omega * (2.0 + 2.0 * rate));
    let start = OrderParameters::from_rows(3, 2, &[0.1, 0.2, 0.2, -0.1, 0.3, 0.2], &[1.0, 0.0, 0.0, 1.0]).unwrap();
    let start = start.orthonormalised().unwrap();
    for constraint in BOTH {
        let model = builder.clone().constraint(constraint).build().unwrap();
        let ode = ReducedOde::new(&model).unwrap();
        let end = ode.solver().solve(&start, 400.0).unwrap().last().unwrap().1.clone();
        let squares = (end.q().transpose() * end.q()).symmetric_eigenvalues();
        let mut squares: Vec<f64> = squares.iter().copied().collect();
        squares.sort_by(f64::total_cmp);
        assert!((squares[1] - expected(2.0)).abs() < 1e-7 && (squares[0] - expected(1.0)).abs() < 1e-7, "{squares:?}");
        let q = end.q().map(|x| x * x);
        let diagonal = (q[(0, 0)] - expected(2.0)).abs().max((q[(1, 1)] - expected(1.0)).abs());
        match constraint {
            Constraint::GramSchmidt => assert!(diagonal < 1e-7 && q[(0, 1)] < 1e-8, "{q}"),
            // The subspace is learned, its axes are not.
            _ => assert!(diagonal > 1e-2 && q.row(2).amax() < 1e-8, "{q}"),
        }
    }
    // The same as a fixed point, the only stable one up to signs.
    let laws = spikes.map(|omega| Law::two_point(1.0 + omega).unwrap());
    let two = builder.hidden(Independent::new([laws[0].clone(), laws[1].clone()]).unwrap());
    let model = two.constraint(Constraint::GramSchmidt).build().unwrap();
    let ode = ReducedOde::new(&model).unwrap();
    let found = FixedPointFinder::new(&ode).find().unwrap();
    let stable: Vec<_> = found.stable().collect();
    assert_eq!(stable.len(), 1, "{stable:?}");
    let q = stable[0].state.q().map(|x| x * x);
    assert!((q[(0, 0)] - expected(2.0)).abs() < 1e-9 && (q[(1, 1)] - expected(1.0)).abs() < 1e-9, "{q}");
}

/// Growth rates at Q = 0 in closed form are eigenvalues of the Jacobian of Q there.
#[test]
fn learnability_is_that_of_the_jacobian() {
    for constraint in BOTH {
        let model = pair(constraint);
        let ode = ReducedOde::new(&model).unwrap();
        let answer = learnability(&ode).unwrap();
        assert_eq!(answer.len(), 1);
        let state = OrderParameters::from_rows(2, 2, &[0.0; 4], &[1.0, 0.0, 0.0, 1.0]).unwrap();
        assert_eq!(answer[0].state, state);
        let by_state = ode.sensitivities(&state, &[]).unwrap().by_state;
        let block = by_state.view((0, 0), (4, 4)).into_owned();
        let mut eigenvalues: Vec<f64> = block.complex_eigenvalues().iter().map(|x| x.re).collect();
        let mut rates: Vec<f64> = answer[0].rates.iter().flatten().map(|x| x.re).collect();
        eigenvalues.sort_by(f64::total_cmp);
        rates.sort_by(f64::total_cmp);
        for (x, y) in rates.iter().zip(&eigenvalues) {
            assert!((x - y).abs() < 1e-8, "{constraint:?} {rates:?} {eigenvalues:?}");
        }
    }
}

#[test]
fn starts_must_be_orthonormal_and_fit_the_dimension() {
    let skew = OrderParameters::from_rows(2, 2, &[0.0; 4], &[1.0, 0.3, 0.3, 1.0]).unwrap();
    for constraint in BOTH {
        let model = pair(constraint);
        for error in [
            DirectSgd::builder(&model, 20).start(&skew).build_seeded(1).unwrap_err(),
            ProjectedChain::builder(&model, 20).start(&skew).build_seeded(1).unwrap_err(),
        ] {
            assert!(error.to_string().contains("orthonormalised"), "{error}");
        }
        assert!(ReducedOde::new(&model).unwrap().solver().solve(&skew, 1.0).is_err());
        assert!(ParticleSystem::builder(&model, 100).start(&skew).build_seeded(1).is_err());
        // More orthonormal neurons than dimensions beside the features.
        let error = DirectSgd::builder(&model, 3).build_seeded(1).unwrap_err();
        assert!(matches!(error, SgdError::Start(StartError::Dimension { least: 4, .. })), "{error}");
        let same = DMatrix::from_element(20, 2, 1.0);
        assert!(DirectSgd::builder(&model, 20).start(same).build_seeded(1).is_err());
        // Random weights are made so.
        let sgd = DirectSgd::builder(&model, 20).build_seeded(1).unwrap();
        assert!((sgd.order_parameters().r() - DMatrix::identity(2, 2)).amax() < 1e-14);
        let lanes = ProjectedChain::builder(&model, 20).lanes(&[1]).unwrap();
        assert!((lanes.order_parameters(0).unwrap().r() - DMatrix::identity(2, 2)).amax() < 1e-14);
    }
    let dependent = OrderParameters::from_rows(1, 2, &[0.1, 0.1], &[1.0, 1.0, 1.0, 1.0]).unwrap();
    assert!(dependent.orthonormalised().is_err());
}
