//! Limit coefficients and trajectories against tables made by an independent program (dense trapezoidal quadrature,
//! ODE at rtol 1e-8): 1e-8 relative or 1e-10 absolute for one neuron, 1e-6 for two.
use crate::support::case_file::{NoData, StateData, TrajectoryData, read_cases};
use contrastive_dynamics::ReducedOde;
use contrastive_dynamics::integrate::{DormandPrince, Output};
use contrastive_dynamics::nalgebra::DMatrix;
use contrastive_dynamics::stability::uninformative_points;
use serde_json::Value;

fn table(name: &str) -> (String, Value) {
    let path = format!("{}/tests/data/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let value = serde_json::from_str(&text).unwrap();
    (text, value)
}

fn assert_close(name: &str, what: &str, got: f64, want: f64, neurons: usize) {
    let allowed = if neurons == 1 { (1e-8 * want.abs()).max(1e-10) } else { 1e-6 };
    assert!((got - want).abs() <= allowed, "{name} {what}: {got} against {want}, off by {:e}", got - want);
}

fn assert_matrix(name: &str, what: &str, got: &DMatrix<f64>, want: &Value, neurons: usize) {
    for i in 0..got.nrows() {
        for j in 0..got.ncols() {
            assert_close(name, what, got[(i, j)], want[i][j].as_f64().unwrap(), neurons);
        }
    }
}

#[test]
fn coefficients_agree_with_the_reference_table() {
    let (text, reference) = table("coefficients");
    let cases = read_cases::<StateData>(&text).unwrap();
    assert_eq!(cases.len(), 9);
    for (case, want) in cases.iter().zip(reference["cases"].as_array().unwrap()) {
        let state = case.state(&case.data.q, &case.data.r, "Q and R").unwrap();
        let m = state.n_neurons();
        let model = case.model(m).unwrap();
        let ode = ReducedOde::new(&model).unwrap();
        let answer = ode.limit().coefficients(&state).unwrap();
        let name = case.name.as_str();
        assert_matrix(name, "A", &answer.coefficients.a, &want["A"], m);
        assert_matrix(name, "B", &answer.coefficients.b, &want["B"], m);
        assert_matrix(name, "Lambda", &answer.coefficients.lambda, &want["Lambda"], m);
        let rates = ode.rates(&state).unwrap();
        assert_matrix(name, "dQ", &rates.q, &want["dQ"], m);
        assert_matrix(name, "dR", &rates.r, &want["dR"], m);
    }
}

#[test]
fn trajectories_agree_with_the_reference_table() {
    let (text, reference) = table("trajectories");
    let cases = read_cases::<TrajectoryData>(&text).unwrap();
    assert_eq!(cases.len(), 6);
    for (case, want) in cases.iter().zip(reference["cases"].as_array().unwrap()) {
        let start = case.state(&case.data.q0, &case.data.r0, "Q0 and R0").unwrap();
        let model = case.model(start.n_neurons()).unwrap();
        let ode = ReducedOde::new(&model).unwrap();
        let times = case.data.times.clone();
        let end = *times.last().unwrap();
        // The table was made with this method at these tolerances: the same steps give the same numbers, solver error
        // included. Solved more tightly, the table's own error shows: a few times 1e-8.
        let table = DormandPrince::new(1e-8, 1e-11).unwrap();
        let tight = DormandPrince::new(1e-11, 1e-13).unwrap();
        for (method, relative, absolute) in [(table, 1e-8, 1e-10), (tight, 5e-8, 1e-9)] {
            let solver = ode.solver().integrator(method).output(Output::Times(times.clone()));
            let trajectory = solver.solve(&start, end).unwrap();
            assert_eq!(trajectory.times(), case.data.times);
            for (k, (t, state)) in trajectory.iter().enumerate() {
                for (e, got) in state.to_packed().iter().enumerate() {
                    let want = want["state"][k][e].as_f64().unwrap();
                    let allowed = f64::max(relative * want.abs(), absolute);
                    assert!((got - want).abs() <= allowed, "{} t = {t} entry {e}: {got} against {want}", case.name);
                }
            }
        }
    }
}

#[test]
fn uninformative_fixed_points_agree_with_the_reference_table() {
    let (text, reference) = table("uninformative");
    let cases = read_cases::<NoData>(&text).unwrap();
    assert_eq!(cases.len(), 6);
    for (case, want) in cases.iter().zip(reference["cases"].as_array().unwrap()) {
        let model = case.model(1).unwrap();
        let ode = ReducedOde::new(&model).unwrap().coefficient_tolerance(1e-12).unwrap();
        let points = uninformative_points(&ode, 0.02, 20.0).unwrap();
        let want = want["fixed_points"].as_array().unwrap();
        assert_eq!(points.len(), want.len(), "{}", case.name);
        for (point, want) in points.iter().zip(want) {
            assert_close(&case.name, "R", point.r, want["R"].as_f64().unwrap(), 1);
            for (l, &rate) in point.growth_rates.iter().enumerate() {
                assert_close(&case.name, "eigenvalue", rate, want["eigenvalue_Q"][l].as_f64().unwrap(), 1);
            }
        }
    }
}
