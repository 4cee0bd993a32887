//! How exact are the limit's coefficients, and what does that cost? Error against work of the rules for their averages: the tables of
//! docs/accuracy.md.
//!
//! Nodes are evaluations of the nonlinearity in one evaluation of the coefficients. Errors are of the entry that is furthest off, over max(τ,
//! largest entry). The true error is the distance to another rule, a smaller tolerance or a closed form.
//!
//!     cargo run --release --example accuracy_table -- --help

mod support;

use clap::Parser;
use comfy_table::presets::ASCII_MARKDOWN;
use contrastive_dynamics::limit::{Coefficients, Quadrature};
use contrastive_dynamics::prelude::*;
use support::{Outcome, table};

/// How exact are the limit's coefficients, and what does that cost? Error against work of the rules for their averages.
#[derive(Debug, Parser)]
struct Arguments {
    /// Prints only the tables with these words in their titles.
    #[arg(long, value_name = "WORDS", default_value = "")]
    only: String,
    /// Prints tables as Markdown.
    #[arg(long)]
    markdown: bool,
    /// The learning rate.
    #[arg(long, default_value_t = 0.3)]
    learning_rate: f64,
}

/// What rounding leaves of an error.
const ROUNDING: f64 = 1e-13;

/// What is printed, and what has been seen so far.
struct Report {
    arguments: Arguments,
    answers: usize,
    /// Answers whose true error is above their estimate.
    above: usize,
    /// Answers whose node budget was too small.
    unmet: usize,
}

impl Report {
    fn wants(&self, title: &str) -> bool {
        title.to_lowercase().contains(&self.arguments.only.to_lowercase())
    }

    /// An estimate and the true error, for a table.
    fn count(&mut self, estimate: f64, error: f64) -> [String; 2] {
        self.answers += 1;
        self.above += usize::from(error > estimate.max(ROUNDING));
        [format!("{estimate:.0e}"), format!("{error:.0e}")]
    }

    fn print(&self, title: &str, mut rows: comfy_table::Table) {
        if self.arguments.markdown {
            rows.load_preset(ASCII_MARKDOWN);
        }
        println!("{title}\n\n{rows}\n");
    }

    fn conclude(&self) {
        if self.answers == 0 {
            println!("No table has these words in its title.");
            return;
        }
        println!("The true error is above its estimate in {} of {} answers.", self.above, self.answers);
        if self.unmet > 0 {
            println!("The tolerance was not met within the node budget {} times, and the rule said so.", self.unmet);
        }
    }
}

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
    fn model(&self, learning_rate: f64) -> Outcome<TableModel<S, P>> {
        let model = Model::builder()
            .nonlinearity(self.sigma)
            .hidden(Independent::new(self.laws.clone())?)
            .noise(GaussianNoise::correlated(0.3, -0.5)?)
            .learning_rate(learning_rate)
            .n_neurons(self.neurons)
            .batch_size(self.batch)
            .penalty(self.penalty)
            .penalty_strength(if self.neurons > 1 { 1.0 } else { 0.0 })
            .build()?;
        Ok(model)
    }

    fn state(&self) -> Outcome<OrderParameters> {
        let (p, m) = (self.laws.len(), self.neurons);
        let few = |k: usize| 0.4 - 0.15 * k as f64;
        // Many overlaps, of size 0.7 together.
        let many = |k: usize| 0.7 * (k as f64).cos() / (0.5 * (p * m) as f64).sqrt();
        let q: Vec<f64> = (0..p * m).map(|k| if p * m > 6 { many(k) } else { few(k) }).collect();
        let r: Vec<f64> = (0..m * m).map(|k| if k / m == k % m { 1.0 } else { 0.2 }).collect();
        Ok(OrderParameters::from_rows(p, m, &q, &r)?)
    }

    fn print(&self, report: &mut Report) -> Outcome {
        self.print_of(&self.model(report.arguments.learning_rate)?, report)
    }

    /// The same under another loss.
    fn print_under(&self, loss: impl Loss, report: &mut Report) -> Outcome {
        self.print_of(&self.model(report.arguments.learning_rate)?.to_builder().loss(loss).build()?, report)
    }

    fn print_of<L: Loss>(
        &self,
        model: &Model<f64, S, Independent, GaussianNoise, L2, L>,
        report: &mut Report,
    ) -> Outcome {
        if !report.wants(self.title) {
            return Ok(());
        }
        let state = self.state()?;
        let limit = Limit::new(model)?;
        let (rule, tolerance) = self.truth;
        let truth = limit.clone().quadrature(rule).tolerance(tolerance)?.node_budget(1 << 26);
        let truth = truth.coefficients(&state)?.coefficients;
        let scale = largest(&truth).max(report.arguments.learning_rate);
        let mut rows = table(["rule", "tolerance", "nodes", "estimated error", "true error"]);
        for &(rule, tolerances) in self.rules {
            for &tolerance in tolerances {
                let limit = limit.clone().quadrature(rule).tolerance(tolerance)?;
                let mut row = vec![format!("{rule:?}"), format!("{tolerance:.0e}")];
                if let Ok(answer) = limit.coefficients(&state) {
                    let error = difference(&answer.coefficients, &truth) / scale;
                    row.push(limit.rule(&state)?.nodes().to_string());
                    row.extend(report.count(answer.error / scale, error));
                } else {
                    report.unmet += 1;
                    row.extend(["-", "not met in the node budget", "-"].map(String::from));
                }
                rows.add_row(row);
            }
        }
        report.print(self.title, rows);
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

fn main() -> std::process::ExitCode {
    support::told(example())
}

fn example() -> Outcome {
    let mut report = Report { arguments: Arguments::parse(), answers: 0, above: 0, unmet: 0 };
    print_all(&mut report)?;
    report.conclude();
    Ok(())
}

fn print_all(report: &mut Report) -> Outcome {
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
    .print(report)?;
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
    .print(report)?;
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
    .print(report)?;
    many_values(report)?;
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
        .print(report)?;
    }
    independent_views(report)?;
    other_losses(report)?;
    large_gains(report)?;
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
    .print(report)
}

fn laws(laws: Vec<Result<Law, ModelError>>) -> Outcome<Vec<Law>> {
    Ok(laws.into_iter().collect::<Result<_, _>>()?)
}

/// States whose fields are so large that σ is almost a sign.
fn large_gains(report: &mut Report) -> Outcome {
    let title = "Large gains, default tolerances";
    if !report.wants(title) {
        return Ok(());
    }
    let mut rows = table(["model", "Q", "R", "rule", "nodes", "estimated error", "true error"]);
    let (two_point, laplace, gaussian) = (Law::two_point(2.25)?, Law::laplace(2.25)?, Law::gaussian(2.25)?);
    for r in [1e4, 1e6, 1e8] {
        rows.add_row(large_gain("tanh, two-point", Tanh, &two_point, (&[3.0], &[r]), None, report)?);
    }
    rows.add_row(large_gain("tanh, Laplace", Tanh, &laplace, (&[3.0], &[1e6]), None, report)?);
    for r in [1e4, 1e8] {
        let closed = Some(Quadrature::Automatic);
        rows.add_row(large_gain("erf, Gaussian", Erf, &gaussian, (&[3.0], &[r]), closed, report)?);
    }
    for r in [[100.0, 3.0, 3.0, 100.0], [1e4, 3.0, 3.0, 1.0], [1e6, 3.0, 3.0, 1e6]] {
        let name = "tanh, two-point, two neurons with the penalty, B = 4";
        rows.add_row(large_gain(name, Tanh, &two_point, (&[0.3, -0.2], &r), None, report)?);
    }
    report.print(title, rows);
    Ok(())
}

/// One row. The truth is a closed form by that rule, and the rule is panels then, or the rule itself at a smaller tolerance.
fn large_gain<S: Nonlinearity + Copy>(
    name: &str,
    sigma: S,
    law: &Law,
    (q, r): (&[f64], &[f64]),
    closed: Option<Quadrature>,
    report: &mut Report,
) -> Outcome<Vec<String>> {
    let neurons = q.len();
    let model = Model::builder()
        .nonlinearity(sigma)
        .hidden(Independent::new([law.clone()])?)
        .noise(GaussianNoise::correlated(0.3, -0.5)?)
        .learning_rate(report.arguments.learning_rate)
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
    let scale = largest(&truth).max(report.arguments.learning_rate);
    let error = difference(&answer.coefficients, &truth) / scale;
    let nodes = limit.rule(&state)?.nodes().to_string();
    let mut row = vec![name.to_owned(), format!("{q:?}"), format!("{r:?}"), format!("{rule:?}"), nodes];
    row.extend(report.count(answer.error / scale, error));
    Ok(row)
}

/// Several neurons where only what the views have in common helps: many features, and kinks.
fn independent_views(report: &mut Report) -> Outcome {
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
    .print(report)?;
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
    .print(report)
}

/// Losses that are polynomials in averages over the batch, by moments of one sample.
fn other_losses(report: &mut Report) -> Outcome {
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
        .print_under(SpectralContrastive, report)?;
    table("tanh, two neurons under the spectral loss, B = 8, one two-point variable", 2, finer, 1e-11)?
        .print_under(SpectralContrastive, report)?;
    let centred = CentredCovarianceLoss::new(CovarianceLoss::new(Quadratic, 1.0)?);
    table(
        "tanh, two neurons with centred covariances and the quadratic penalty, B = 8, one two-point variable",
        2,
        finer,
        1e-11,
    )?
    .print_under(centred, report)?;
    table("tanh, three neurons under the spectral loss, B = 8, one two-point variable", 3, coarser, 1e-6)?
        .print_under(SpectralContrastive, report)
}

/// Hidden laws of many values.
fn many_values(report: &mut Report) -> Outcome {
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
    .print(report)?;
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
    .print(report)?;
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
    .print(report)?;
    Ok(())
}
