//! Every answer prints as a table or a paragraph, aligned, with the names Q and R and indices from 0.

use contrastive_dynamics::ensemble::Ensemble;
use contrastive_dynamics::limit::Parameter;
use contrastive_dynamics::model::{GaussianNoise, Independent, L2, Law, Model, Tanh};
use contrastive_dynamics::nalgebra::DMatrix;
use contrastive_dynamics::ode::ReducedOde;
use contrastive_dynamics::sgd::ProjectedChain;
use contrastive_dynamics::stability::{
    AttractionRegions, Continuation, FixedPointFinder, FunctionSystem, Grid, Kind, Neighbourhood, ParameterFamily,
    PhaseDiagram, SobolStarts, critical_value, learnability, spectrum, steady_state, uninformative_points,
};
use contrastive_dynamics::state::{OrderParameters, OrderParametersError};

type Built = Model<f64, Tanh, Independent, GaussianNoise, L2>;

fn model(laws: impl IntoIterator<Item = Law>, neurons: usize) -> Built {
    let builder = Model::builder().nonlinearity(Tanh).hidden(Independent::new(laws).unwrap()).n_neurons(neurons);
    let noise = GaussianNoise::correlated(0.3, -0.5).unwrap();
    builder.noise(noise).learning_rate(0.3).weight_decay(0.5).build().unwrap()
}

fn equal() -> Built {
    model([Law::two_point(2.25).unwrap(), Law::two_point(2.25).unwrap()], 1)
}

fn state(q1: f64, q2: f64) -> Result<OrderParameters, OrderParametersError> {
    OrderParameters::from_rows(2, 1, &[q1, q2], &[1.0])
}

#[track_caller]
fn check(printed: &str, lines: &[&str]) {
    assert_eq!(printed.lines().collect::<Vec<_>>(), lines, "\n{printed}");
    assert!(!printed.ends_with('\n') && !printed.contains("VecStorage"));
}

#[test]
fn spectra_print_as_a_table() {
    let matrix = DMatrix::from_row_slice(3, 3, &[0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, -2.0]);
    let mut found = spectrum(&matrix).unwrap();
    found.residual = 2.5e-17;
    check(
        &format!("{found:.3}"),
        &[
            "         eigenvalue  eigenvector",
            "[0]  0.000 + 1.000i        0.707  0.000 - 0.707i  0.000",
            "[1]  0.000 - 1.000i        0.707  0.000 + 0.707i  0.000",
            "[2]          -2.000        0.000           0.000  1.000",
            "largest residual 2.5e-17",
        ],
    );
}

#[test]
fn fixed_points_print_as_a_table_and_one_as_a_paragraph() {
    let model = equal();
    let ode = ReducedOde::new(&model).unwrap();
    let found = FixedPointFinder::new(&ode).sobol_starts(0).deflated_starts(0).find().unwrap();
    let table = format!("{found:.3}");
    let lines: Vec<&str> = table.lines().collect();
    check(
        &lines[..5].join("\n"),
        &[
            "              kind  stability  unstable  abscissa  images  Q_0_0  Q_1_0  R_0_0",
            "[0]      collapsed   unstable         3     1.154       1  0.000  0.000  0.000",
            "[1]  uninformative     saddle         2     0.197       1  0.000  0.000  0.546",
            "[2]   selected [0]     stable         0    -0.423       4  0.984  0.000  1.007",
            "[3]          mixed     saddle         1     0.582       4  0.476  0.476  0.598",
        ],
    );
    let repeats: usize = found.repeats.iter().sum();
    let failed = found.failed.len();
    assert_eq!(lines[5], format!("4 fixed points; {repeats} more starts led to one of them, {failed} to none"));
    let mut point = found.stable().next().unwrap().clone();
    (point.error, point.residuals) = (2e-11, vec![0.5, 1e-3, 3e-14]);
    check(
        &format!("{point:.3}"),
        &[
            "stable fixed point, selected [0], 4 images by symmetry",
            "Q[0]  0.984",
            "Q[1]  0.000",
            "R[0]  1.007",
            "eigenvalues -0.423, -0.563, -0.667; 0 unstable, 0 neutral",
            "Newton's method from a start with a feature each: converged, 2 steps, largest rate 3.0e-14, error 2.0e-11",
        ],
    );
    assert_eq!(Kind::Selected { features: vec![Some(1), None] }.to_string(), "selected [1, -]");
}

#[test]
fn states_of_several_neurons_print_row_by_row() {
    let model = model([Law::two_point(2.25).unwrap()], 2);
    let ode = ReducedOde::new(&model).unwrap();
    let start = OrderParameters::from_rows(1, 2, &[0.9, 0.0], &[1.0, 0.0, 0.0, 0.55]).unwrap();
    let point = FixedPointFinder::new(&ode).polish(&start).unwrap();
    let printed = format!("{point:.3}");
    let lines: Vec<&str> = printed.lines().collect();
    check(
        &lines[..4].join("\n"),
        &[
            "saddle fixed point, selected [0, -], 1 image by symmetry",
            "Q[0]  0.984  0.000",
            "R[0]  1.007  0.000",
            "R[1]  0.000  0.546",
        ],
    );
}

#[test]
fn learnability_prints_mode_by_mode() {
    let model = model([Law::two_point(2.25).unwrap(), Law::two_point(0.8).unwrap()], 1);
    let ode = ReducedOde::new(&model).unwrap();
    let point = &uninformative_points(&ode, 0.02, 20.0).unwrap()[0];
    check(
        &format!("{point:.3}"),
        &[
            "uninformative fixed point, Q = 0, R[0,0] = 0.546",
            "mode  growth rate  direction",
            "[0]         0.197      1.000  0.000",
            "[1]        -0.073      0.000  1.000",
            "1 of 2 modes learnable",
        ],
    );
    let mut learnability = learnability(&ode).unwrap().remove(0);
    learnability.error = 1e-10;
    check(
        &format!("{learnability:.3}"),
        &[
            "uninformative fixed point; attracts weights without features",
            "Q[0]  0.000",
            "Q[1]  0.000",
            "R[0]  0.546",
            "mode  second moment  growth rates",
            "[0]           2.250         0.197",
            "[1]           0.800        -0.073",
            "learnable modes [0], error of a rate 1.0e-10",
        ],
    );
    let family = ParameterFamily::new(&ode, Parameter::SecondMoment(0));
    let mut critical = critical_value(&family, 0, (0.5, 2.25), 1e-3).unwrap();
    (critical.parameter, critical.evaluations) = (1.19, 7);
    for (end, parameter, rate) in [(&mut critical.bracket.0, 1.125, -0.25), (&mut critical.bracket.1, 1.25, 0.5)] {
        (end.parameter, end.rate, end.error) = (parameter, rate, 1e-10);
    }
    check(
        &format!("{critical:.3}"),
        &[
            "critical value 1.19, bracketed to 1.2e-1 in 7 evaluations",
            "Q[0]  0.000",
            "Q[1]  0.000",
            "R[0]  0.546",
            "growth rate -0.250 +- 1.0e-10 at 1.125",
            "growth rate 0.500 +- 1.0e-10 at 1.25",
        ],
    );
    let (moments, decays) = ([1.0, 2.0], [0.3, 30.0]);
    let diagram = PhaseDiagram::new(&ode, (Parameter::SecondMoment(0), &moments), (Parameter::WeightDecay, &decays));
    check(
        &format!("{diagram:.3}"),
        &[
            "        0.300  30.000",
            "1.000  -0.022       -",
            "2.000   0.107       -",
            "largest growth rate; - where no uninformative state attracts",
        ],
    );
}

#[test]
fn branches_print_as_a_table_and_bifurcations_as_a_paragraph() {
    let mut pitchfork = FunctionSystem::new(2, |x: &[f64], l: f64, out: &mut [f64]| {
        out[0] = (l - 0.3) * x[0] - x[0] * x[0] * x[0];
        out[1] = 0.5 * l - x[1] + x[0] * x[0];
    });
    let plan = Continuation::new(-0.2, 0.5).first_step(0.2).steps(1e-9, 0.2);
    let branch = plan.run(&mut pitchfork, &[0.0, 0.0], 0.0).unwrap();
    check(
        &format!("{branch:.3}"),
        &[
            "     parameter  arclength  unstable  abscissa   x[0]   x[1]         event",
            "[0]      0.000      0.000         0    -0.300  0.000  0.000",
            "[1]      0.179      0.200         0    -0.121  0.000  0.089",
            "         0.300                    0     0.000  0.000  0.150  branch point",
            "[2]      0.358      0.400         1     0.058  0.000  0.179",
            "[3]      0.500      0.559         1     0.200  0.000  0.250",
            "4 points, 1 bifurcation; ends: the parameter reached its bound",
        ],
    );
    let mut point = branch.bifurcations[0].clone();
    (point.parameter, point.parameter_error) = (0.3, 1e-11);
    check(
        &format!("{point:.3}"),
        &["branch point at parameter 0.3 +- 1.0e-11, after point 1", "x = [0.000, 0.150]", "eigenvalues 0.000, -1.000"],
    );
}

#[test]
fn maps_print_as_a_picture_with_a_legend() {
    let model = equal();
    let ode = ReducedOde::new(&model).unwrap();
    let regions = AttractionRegions::new(&ode, &[state(0.984, 0.0).unwrap(), state(0.0, 0.984).unwrap()]).unwrap();
    // No start on the diagonal.
    let map = regions.map(Grid { a: (0.0, 1.0), b: (0.0, 0.9), columns: 8, rows: 5 }, state).unwrap();
    check(
        &format!("{map:.2}"),
        &[
            "11111...",
            "111110..",
            "1111000.",
            "11000000",
            "10000000",
            "8 x 5 starts, first parameter in (0.00, 1.00), second in (0.00, 0.90)",
            "0  point 0: 0.50 +- 0.19 of the area",
            "1  point 1: 0.50 +- 0.13 of the area",
            ".  no state: 6 starts",
            &format!("{} starts followed twice", map.refined()),
        ],
    );
    let wide = regions.map(Grid { a: (0.0, 1.0), b: (0.0, 0.9), columns: 200, rows: 2 }, state).unwrap().to_string();
    assert_eq!(wide.lines().next().map(str::len), Some(64), "a coarse picture of many columns");
    let mut border = regions.border(|b| state(0.3, b), (0.0, 0.9), 1e-3).unwrap();
    (border.at, border.bracket) = (0.3, (0.25, 0.5));
    check(
        &border.to_string(),
        &["border at 0.3, bracketed to 2.5e-1 by 12 starts: below point 0, image 0, above point 1, image 0"],
    );
    let error = Neighbourhood::certify(&ode, &state(0.0, 0.0).unwrap()).unwrap_err().to_string();
    let point = "Q = [[0.000000], [0.000000]], R = [[0.545904]]";
    assert_eq!(error, format!("the fixed point {point} is not linearly stable"));
}

#[test]
fn selection_probabilities_print_as_tables() {
    let model = equal();
    let ode = ReducedOde::new(&model).unwrap();
    let regions = AttractionRegions::new(&ode, &[state(0.984, 0.0).unwrap(), state(0.0, 0.984).unwrap()]).unwrap();
    let sobol = SobolStarts { dimensions: 1, points: 16, scrambles: 2, seed: 3 };
    let selection = regions.selection(sobol, |u: &[f64]| state(0.4, if u[0] < 0.25 { 0.2 } else { -0.6 })).unwrap();
    check(
        &format!("{selection:.3}"),
        &[
            "point  probability  error  of its images",
            "[0]          0.250  0.022          0.250  0.000",
            "[1]          0.750  0.022          0.000  0.750",
            "2 scrambles of 16 starts; undecided 0.000, 0 starts in doubt",
        ],
    );
    let runs = Ensemble::new(10, 1);
    let start = |seed| ProjectedChain::builder(&model, 50).build_seeded(seed);
    let finite = regions.selection_at_finite_size(&runs, (0.1, 5), |replicate| start(replicate.seed)).unwrap();
    check(
        &format!("{finite:.3}"),
        &[
            "point  fraction   95 % interval  runs by image",
            "[0]       0.000  (0.000, 0.278)              0  0",
            "[1]       0.000  (0.000, 0.278)              0  0",
            "10 runs, 10 undecided",
        ],
    );
}

#[test]
fn steady_states_print_with_the_variance_of_the_gradient() {
    let model = equal();
    let ode = ReducedOde::new(&model).unwrap();
    let steady = steady_state(&ode, &state(0.4, 0.1).unwrap(), 1e4).unwrap();
    check(
        &format!("{steady:.3}"),
        &["stable steady state", "Q[0]  0.984", "Q[1]  0.000", "R[0]  1.007", "variance of the gradient 0.028"],
    );
}
