//! Error against work of the rules for the limit coefficients: the tables of docs/accuracy.md.
//!
//!     cargo run --release --example accuracy_table
//!
//! Nodes are evaluations of the nonlinearity in one evaluation of the coefficients. Errors are of the entry that is
//! furthest off, over max(τ, largest entry).

use std::error::Error;

use contrastive_dynamics::limit::{Coefficients, Limit, Quadrature};
use contrastive_dynamics::model::{
    CentredCovarianceLoss, CovarianceLoss, Erf, GaussianNoise, Independent, L2, Law, Loss, Model, ModelError,
    Nonlinearity, Penalty, PseudoHuber, Quadratic, Relu, SpectralContrastive, Tanh,
};
use contrastive_dynamics::state::OrderParameters;

const LEARNING_RATE: f64 = 0.3;

/// A model, a state, and what is asked of them.
struct Table<'a, S, P> {
    title: &'a str,
    sigma: S,
    penalty: P,
    laws: Vec<Law>,
    neurons: usize,
    batch: usize,
    /// Rules, each with the tolerances asked for.
    rules: &'a [(Quadrature, &'a [f64])],
    /// Rule and tolerance of the truth.
    truth: (Quadrature, f64),
}

type TableModel<S, P> = Model<f64, S, Independent, GaussianNoise, L2, CovarianceLoss<P>>;

impl<S: Nonlinearity + Copy, P: Penalty + Copy> Table<'_, S, P> {
    fn model(&self) -> Result<TableModel<S, P>, Box<dyn Error>> {
        let model = Model::builder()
            .nonlinearity(self.sigma)
            .hidden(Independent::new(self.laws.clone())?)
            .noise(GaussianNoise::correlated(0.3, -0.5)?)
            .learning_rate(LEARNING_RATE)
            .n_neurons(self.neurons)
            .batch_size(self.batch)
            .penalty(self.penalty)
            .penalty_strength(if self.neurons > 1 { 1.0 } else { 0.0 })
            .build()?;
        Ok(model)
    }

    fn state(&self) -> Result<OrderParameters, Box<dyn Error>> {
        let (p, m) = (self.laws.len(), self.neurons);
        let few = |k: usize| 0.4 - 0.15 * k as f64;
        // Many overlaps, of size 0.7 together.
        let many = |k: usize| 0.7 * (k as f64).cos() / (0.5 * (p * m) as f64).sqrt();
        let q: Vec<f64> = (0..p * m).map(|k| if p * m > 6 { many(k) } else { few(k) }).collect();
        let r: Vec<f64> = (0..m * m).map(|k| if k / m == k % m { 1.0 } else { 0.2 }).collect();
        Ok(OrderParameters::from_rows(p, m, &q, &r)?)
    }

    fn print(&self) -> Result<(), Box<dyn Error>> {
        self.print_of(&self.model()?)
    }

    /// The same under another loss.
    fn print_under(&self, loss: impl Loss) -> Result<(), Box<dyn Error>> {
        self.print_of(&self.model()?.to_builder().loss(loss).build()?)
    }

    fn print_of<L: Loss>(
        &self,
        model: &Model<f64, S, Independent, GaussianNoise, L2, L>,
    ) -> Result<(), Box<dyn Error>> {
        let state = self.state()?;
        let limit = Limit::new(model)?;
        let (rule, tolerance) = self.truth;
        let truth = limit
            .clone()
            .quadrature(rule)
            .tolerance(tolerance)?
            .node_budget(1 << 26)
            .coefficients(&state)?
            .coefficients;
        let scale = largest(&truth).max(LEARNING_RATE);
        println!(
            "\n{}\n\n| rule | tolerance | nodes | estimated error | true error |\n|---|---|---|---|---|",
            self.title
        );
        for &(rule, tolerances) in self.rules {
            for &tolerance in tolerances {
                let limit = limit.clone().quadrature(rule).tolerance(tolerance)?;
                let Ok(answer) = limit.coefficients(&state) else {
                    println!("| {rule:?} | {tolerance:.0e} | - | not met in the node budget | - |");
                    continue;
                };
                let error = difference(&answer.coefficients, &truth) / scale;
                let (nodes, estimate) = (limit.rule(&state)?.nodes(), answer.error / scale);
                println!("| {rule:?} | {tolerance:.0e} | {nodes} | {estimate:.0e} | {error:.0e} |");
            }
        }
        Ok(())
    }
}

fn entries(c: &Coefficients) -> impl Iterator<Item = f64> {
    c.a.iter().chain(c.b.iter()).chain(c.lambda.iter()).copied()
}

fn largest(c: &Coefficients) -> f64 {
    entries(c).fold(0.0, |most, x| most.max(x.abs()))
}

fn difference(x: &Coefficients, y: &Coefficients) -> f64 {
    entries(x).zip(entries(y)).fold(0.0, |most, (x, y)| most.max((x - y).abs()))
}

fn main() -> Outcome<()> {
    use Quadrature::{Automatic, GaussHermite, Panels, Sobol, Trapezoidal};
    let two_point = || vec![Law::two_point(2.25)];
    Table {
        title: "tanh, one neuron, one two-point variable",
        sigma: Tanh,
        penalty: Quadratic,
        laws: laws(two_point())?,
        neurons: 1,
        batch: 1,
        rules: &[
            (Trapezoidal, &[1e-2, 1e-4, 1e-7, 1e-10]),
            (Panels, &[1e-2, 1e-4, 1e-7, 1e-10]),
            (GaussHermite, &[1e-2, 1e-4, 1e-7]),
            (Sobol, &[1e-2, 1e-4]),
        ],
        truth: (Trapezoidal, 1e-12),
    }
    .print()?;
    Table {
        title: "erf, one neuron, one Gaussian variable (the truth is the closed form)",
        sigma: Erf,
        penalty: Quadratic,
        laws: laws(vec![Law::gaussian(2.25)])?,
        neurons: 1,
        batch: 1,
        rules: &[(Automatic, &[1e-10]), (Trapezoidal, &[1e-4, 1e-7, 1e-10]), (GaussHermite, &[1e-4, 1e-7, 1e-10])],
        truth: (Automatic, 1e-12),
    }
    .print()?;
    Table {
        title: "ReLU, one neuron, one two-point variable",
        sigma: Relu,
        penalty: Quadratic,
        laws: laws(two_point())?,
        neurons: 1,
        batch: 1,
        rules: &[(Panels, &[1e-2, 1e-4, 1e-7, 1e-10]), (Trapezoidal, &[1e-2]), (Sobol, &[1e-2, 1e-3])],
        truth: (Panels, 1e-12),
    }
    .print()?;
    many_values()?;
    for neurons in [2, 3] {
        Table {
            title: &format!(
                "tanh, {neurons} neurons with the quadratic penalty, B = 4, three variables of two and of three points"
            ),
            sigma: Tanh,
            penalty: Quadratic,
            laws: laws(vec![Law::two_point(2.25), Law::three_point(1.5, 0.4), Law::two_point(0.7)])?,
            neurons,
            batch: 4,
            rules: &[
                (Automatic, &[1e-2, 1e-4, 1e-6, 1e-8, 1e-10]),
                (Trapezoidal, &[1e-2, 1e-4, 1e-6, 1e-8, 1e-10]),
                (Sobol, &[1e-2, 1e-3]),
            ],
            truth: (Trapezoidal, 1e-11),
        }
        .print()?;
    }
    independent_views()?;
    other_losses()?;
    large_gains()?;
    Table {
        title: "tanh, two neurons with the pseudo-Huber penalty of width 0.3 over whole batches, B = 8, one two-point variable",
        sigma: Tanh,
        penalty: PseudoHuber::new(0.3)?,
        laws: laws(two_point())?,
        neurons: 2,
        batch: 8,
        rules: &[(Automatic, &[1e-2, 1e-3])],
        truth: (Automatic, 2e-4),
    }
    .print()
}

type Outcome<T> = Result<T, Box<dyn Error>>;

fn laws(laws: Vec<Result<Law, ModelError>>) -> Outcome<Vec<Law>> {
    Ok(laws.into_iter().collect::<Result<_, _>>()?)
}

/// States whose fields are so large that σ is almost a sign.
fn large_gains() -> Outcome<()> {
    println!("\nLarge gains, default tolerances\n");
    println!("| model | Q | R | rule | nodes | estimated error | true error |\n|---|---|---|---|---|---|---|");
    let (two_point, laplace) = (Law::two_point(2.25)?, Law::laplace(2.25)?);
    for r in [1e4, 1e6, 1e8] {
        large_gain("tanh, two-point", Tanh, &two_point, (&[3.0], &[r]), None)?;
    }
    large_gain("tanh, Laplace", Tanh, &laplace, (&[3.0], &[1e6]), None)?;
    for r in [1e4, 1e8] {
        let closed = Quadrature::Automatic;
        large_gain("erf, Gaussian", Erf, &Law::gaussian(2.25)?, (&[3.0], &[r]), Some(closed))?;
    }
    for r in [[100.0, 3.0, 3.0, 100.0], [1e4, 3.0, 3.0, 1.0], [1e6, 3.0, 3.0, 1e6]] {
        large_gain("tanh, two-point, two neurons with the penalty, B = 4", Tanh, &two_point, (&[0.3, -0.2], &r), None)?;
    }
    Ok(())
}

/// One row. The truth is a closed form by that rule, and the rule is panels then, or the rule itself at a smaller tolerance.
fn large_gain<S: Nonlinearity + Copy>(
    name: &str,
    sigma: S,
    law: &Law,
    (q, r): (&[f64], &[f64]),
    closed: Option<Quadrature>,
) -> Outcome<()> {
    let neurons = q.len();
    let model = Model::builder()
        .nonlinearity(sigma)
        .hidden(Independent::new([law.clone()])?)
        .noise(GaussianNoise::correlated(0.3, -0.5)?)
        .learning_rate(LEARNING_RATE)
        .n_neurons(neurons)
        .batch_size(if neurons > 1 { 4 } else { 1 })
        .penalty_strength(if neurons > 1 { 1.0 } else { 0.0 })
        .build()?;
    let state = OrderParameters::from_rows(1, neurons, q, r)?;
    let limit = Limit::new(&model)?;
    let (rule, truth) = match closed {
        Some(closed) => (Quadrature::Panels, limit.clone().quadrature(closed)),
        None => (Quadrature::Automatic, limit.clone().tolerance(if neurons > 1 { 1e-10 } else { 1e-12 })?),
    };
    let limit = limit.quadrature(rule);
    let (answer, truth) = (limit.coefficients(&state)?, truth.coefficients(&state)?.coefficients);
    let scale = largest(&truth).max(LEARNING_RATE);
    let (error, estimate) = (difference(&answer.coefficients, &truth) / scale, answer.error / scale);
    let nodes = limit.rule(&state)?.nodes();
    println!("| {name} | {q:?} | {r:?} | {rule:?} | {nodes} | {estimate:.0e} | {error:.0e} |");
    Ok(())
}

/// Several neurons where only what the views have in common helps: many features, and kinks.
fn independent_views() -> Outcome<()> {
    use Quadrature::{Automatic, Sobol};
    Table {
        title: "tanh, 2 neurons with the quadratic penalty, B = 4, thirty two-point variables (the truth is the rule itself)",
        sigma: Tanh,
        penalty: Quadratic,
        laws: laws((0..30).map(|l| Law::two_point(2.0 - 0.05 * f64::from(l))).collect())?,
        neurons: 2,
        batch: 4,
        rules: &[(Automatic, &[1e-2, 1e-4, 1e-6, 1e-8, 1e-10])],
        truth: (Automatic, 1e-11),
    }
    .print()?;
    Table {
        title: "ReLU, 2 neurons with the quadratic penalty, B = 4, one two-point variable (the truth is the rule itself)",
        sigma: Relu,
        penalty: Quadratic,
        laws: laws(vec![Law::two_point(2.25)])?,
        neurons: 2,
        batch: 4,
        rules: &[(Automatic, &[1e-2, 1e-4, 1e-6, 1e-8]), (Sobol, &[1e-2, 1e-3])],
        truth: (Automatic, 1e-10),
    }
    .print()
}

/// Losses that are polynomials in averages over the batch, by moments of one sample.
fn other_losses() -> Outcome<()> {
    use Quadrature::{Automatic, GaussHermite, Sobol};
    let table = |title: &'static str, neurons: usize, rules, truth: f64| -> Outcome<_> {
        let laws = laws(vec![Law::two_point(2.25)])?;
        let truth = (Automatic, truth);
        Ok(Table { title, sigma: Tanh, penalty: Quadratic, laws, neurons, batch: 8, rules, truth })
    };
    let finer: &[(Quadrature, &[f64])] =
        &[(Automatic, &[1e-2, 1e-4, 1e-6, 1e-8, 1e-10]), (GaussHermite, &[1e-2, 1e-4, 1e-6]), (Sobol, &[1e-2, 3e-3])];
    let coarser: &[(Quadrature, &[f64])] = &[(Automatic, &[1e-2, 1e-3, 1e-4])];
    table("tanh, one neuron under the spectral loss, B = 8, one two-point variable", 1, finer, 1e-12)?
        .print_under(SpectralContrastive)?;
    table("tanh, two neurons under the spectral loss, B = 8, one two-point variable", 2, finer, 1e-11)?
        .print_under(SpectralContrastive)?;
    let centred = CentredCovarianceLoss::new(CovarianceLoss::new(Quadratic, 1.0)?);
    table(
        "tanh, two neurons with centred covariances and the quadratic penalty, B = 8, one two-point variable",
        2,
        finer,
        1e-11,
    )?
    .print_under(centred)?;
    table("tanh, three neurons under the spectral loss, B = 8, one two-point variable", 3, coarser, 1e-6)?
        .print_under(SpectralContrastive)
}

/// Hidden laws of many values.
fn many_values() -> Outcome<()> {
    use Quadrature::{Automatic, GaussHermite};
    Table {
        title: "tanh, one neuron, four continuous variables (uniform and Laplace)",
        sigma: Tanh,
        penalty: Quadratic,
        laws: laws(vec![Law::uniform(1.0), Law::laplace(1.5), Law::uniform(2.0), Law::uniform(0.5)])?,
        neurons: 1,
        batch: 1,
        rules: &[(Automatic, &[1e-2, 1e-4, 1e-7, 1e-10])],
        truth: (Automatic, 1e-12),
    }
    .print()?;
    Table {
        title: "tanh, one neuron, ten two-point variables (the truth is the sum over their 1024 values)",
        sigma: Tanh,
        penalty: Quadratic,
        laws: laws((0..10).map(|l| Law::two_point(2.0 - 0.1 * f64::from(l))).collect())?,
        neurons: 1,
        batch: 1,
        rules: &[(Automatic, &[1e-2, 1e-4, 1e-7, 1e-10])],
        truth: (GaussHermite, 1e-11),
    }
    .print()?;
    Table {
        title: "tanh, one neuron, a hundred variables (two-point, three-point and Laplace in turn)",
        sigma: Tanh,
        penalty: Quadratic,
        laws: laws(
            (0..100)
                .map(|l| match l % 3 {
                    0 => Law::two_point(1.5),
                    1 => Law::three_point(1.0, 0.2),
                    _ => Law::laplace(0.5),
                })
                .collect(),
        )?,
        neurons: 1,
        batch: 1,
        rules: &[(Automatic, &[1e-2, 1e-4, 1e-7, 1e-10])],
        truth: (Automatic, 1e-13),
    }
    .print()?;
    Ok(())
}
