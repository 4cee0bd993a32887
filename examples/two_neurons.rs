//! Do two neurons share two features out, or do both take the same one?
//!
//! tanh, two equal two-point features, batches of four, and a penalty of strength λ on what the neurons have in common. From a joint
//! start, on which both neurons favour feature 0, they collapse onto it while the penalty is weak, and share out the features once
//! it is strong. Above: solutions of the ODE at two strengths, and the fixed points against λ, by continuation. Below: who learns
//! what, for a start of neuron 0 anywhere on a plane and a fixed one of neuron 1, at both strengths. Ctrl-C ends it.
//!
//!     cargo run --release --features parallel --example two_neurons -- --help

mod support;

use std::collections::HashMap;

use clap::Parser;
use contrastive_dynamics::ensemble::Replicate;
use contrastive_dynamics::parallel::Cancel;
use contrastive_dynamics::prelude::*;
use contrastive_dynamics::stability::{
    AttractionRegions, BranchState, Continuation, FixedPointFinder, Grid, OdeCurve, Outcome as Fate,
};
use contrastive_dynamics::state::OrderParametersError;
use support::interrupt::{ended, flag};
use support::picture::{
    Area, BLUE, Canvas, GREY, INK, Mark, ORANGE, Pen, Plot, RED, RGBColor, SKY, Scale, Sign, key, write,
};
use support::{Out, Outcome, progress, table};

/// Do two neurons share two features out, or do both take the same one? Depends on the penalty and on the start.
#[derive(Debug, Parser)]
struct Arguments {
    /// A weak penalty λ.
    #[arg(long, default_value_t = 0.1)]
    weak: f64,
    /// A strong one.
    #[arg(long, default_value_t = 1.0)]
    strong: f64,
    /// The learning rate.
    #[arg(long, default_value_t = 0.3)]
    learning_rate: f64,
    /// Samples in a batch.
    #[arg(long, default_value_t = 4)]
    batch: usize,
    /// The end of the solutions, in time t = steps/N.
    #[arg(long, default_value_t = 30.0)]
    end: f64,
    /// Starts of neuron 0 along each axis of the maps.
    #[arg(long, default_value_t = 48, value_parser = clap::value_parser!(u32).range(2..))]
    cells: u32,
    /// Overlaps of these starts reach from minus this to this.
    #[arg(long, default_value_t = 0.7)]
    reach: f64,
    #[command(flatten)]
    out: Out,
}

/// Overlaps of neuron 1 at the start, on the maps and in the solutions, and of neuron 0 in the solutions.
const START_OF_1: [f64; 2] = [0.3, 0.1];
const START_OF_0: [f64; 2] = [0.15, 0.05];
/// The range of λ for the fixed points, and the λ at which they are sought.
const RANGE: [f64; 2] = [0.02, 2.0];
const MIDDLE: f64 = 0.4;
/// Dots along each axis for each start of a map, and how often the distance of two starts is halved to find a border between them.
const DOTS: usize = 8;
const BISECTIONS: usize = 4;

fn main() -> std::process::ExitCode {
    support::told(example())
}

fn example() -> Outcome {
    let arguments = Arguments::parse();
    println!("tanh, two neurons, two two-point features of second moment 2.25, batches of {}.\n", arguments.batch);
    let cancel = flag()?;
    let strengths = [arguments.weak, arguments.strong];
    let solutions = strengths.map(|strength| solve(&arguments, strength));
    let solutions = solutions.into_iter().collect::<Outcome<Vec<_>>>()?;
    tell_solutions(&strengths, &solutions)?;
    let branches = branches(&arguments, &cancel)?;
    tell_branches(&branches);
    let mut maps = Vec::new();
    for strength in strengths {
        maps.extend(who_learns_what(&arguments, strength, &cancel)?);
        if ended(&cancel) {
            return Ok(());
        }
    }
    tell_maps(&arguments, &strengths, &maps);
    draw(&arguments, &solutions, &branches, &maps)
}

type Trained = Model<f64, Tanh, Independent, GaussianNoise>;

fn model(arguments: &Arguments, strength: f64) -> Result<Trained, ModelError> {
    let hidden = Independent::new([Law::two_point(2.25)?, Law::two_point(2.25)?])?;
    let builder = Model::builder().nonlinearity(Tanh).hidden(hidden).learning_rate(arguments.learning_rate);
    let builder = builder.weight_decay(0.5).noise(GaussianNoise::correlated(0.3, -0.5)?);
    builder.n_neurons(2).batch_size(arguments.batch).penalty_strength(strength).build()
}

/// Neurons of those overlaps with the features, with independent backgrounds.
fn state(first: [f64; 2], second: [f64; 2]) -> Result<OrderParameters, OrderParametersError> {
    let dot = |a: [f64; 2], b: [f64; 2]| a[0] * b[0] + a[1] * b[1];
    let (r00, r01, r11) = (dot(first, first) + 0.5, dot(first, second), dot(second, second) + 0.5);
    OrderParameters::from_rows(2, 2, &[first[0], second[0], first[1], second[1]], &[r00, r01, r01, r11])
}

/// What the neurons have learned.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Learned {
    /// Each another feature.
    Shared,
    /// Both the same.
    Same,
    /// Neither of these.
    Other,
}

impl Learned {
    fn of(state: &OrderParameters) -> Self {
        let favourite = |i: usize| {
            let cosine = [0, 1].map(|l| state.cosine_similarity(l, i).unwrap_or(0.0).abs());
            (cosine[0].max(cosine[1]) > 0.8).then_some(cosine[1] > cosine[0])
        };
        match (favourite(0), favourite(1)) {
            (Some(a), Some(b)) if a == b => Self::Same,
            (Some(_), Some(_)) => Self::Shared,
            _ => Self::Other,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Shared => "features shared out",
            Self::Same => "both on the same feature",
            Self::Other => "neither",
        }
    }

    /// Of lines.
    fn color(self) -> RGBColor {
        match self {
            Self::Shared => BLUE,
            Self::Same => RED,
            Self::Other => GREY,
        }
    }

    /// Of areas: paler, and of different lightness.
    fn area(self) -> RGBColor {
        match self {
            Self::Shared => RGBColor(190, 212, 236),
            Self::Same => RGBColor(224, 134, 64),
            Self::Other => RGBColor(90, 90, 90),
        }
    }
}

const ALL: [Learned; 3] = [Learned::Shared, Learned::Same, Learned::Other];

/// From the joint start.
fn solve(arguments: &Arguments, strength: f64) -> Outcome<Trajectory> {
    let model = model(arguments, strength)?;
    let times = (0..=120).map(|k| arguments.end * f64::from(k) / 120.0).collect();
    let ode = ReducedOde::new(&model)?;
    Ok(ode.solver().output(Output::Times(times)).solve(&state(START_OF_0, START_OF_1)?, arguments.end)?)
}

fn tell_solutions(strengths: &[f64], solutions: &[Trajectory]) -> Outcome {
    println!("From a joint start, on which both neurons favour feature 0, to (|cos|: cosine similarity of weights):\n");
    let heads =
        ["penalty lambda", "time t", "Q[0,0]", "Q[0,1]", "Q[1,0]", "Q[1,1]", "R[0,0]", "R[1,1]", "|cos| neurons"];
    let mut rows = table(heads.into_iter().chain(["learned"]));
    for (strength, solution) in strengths.iter().zip(solutions) {
        let (t, end) = solution.last().ok_or("no end")?;
        let (q, r) = (end.q(), end.r());
        let cosine = r[(0, 1)].abs() / (r[(0, 0)] * r[(1, 1)]).sqrt();
        let numbers = [q[(0, 0)], q[(0, 1)], q[(1, 0)], q[(1, 1)], r[(0, 0)], r[(1, 1)], cosine];
        let mut row = vec![strength.to_string(), format!("{t:.1}")];
        // Adding zero turns −0 into 0.
        row.extend(numbers.map(|x| format!("{:.4}", (x * 1e4).round() / 1e4 + 0.0)));
        row.push(Learned::of(end).name().to_owned());
        rows.add_row(row);
    }
    println!("{rows}\n");
    Ok(())
}

/// A point of a branch.
#[derive(Debug, Clone, Copy)]
struct Point {
    strength: f64,
    /// The largest overlap.
    overlap: f64,
    learned: Learned,
    /// Bifurcations that end a stable part belong to it.
    stable: bool,
}

type Branch = Vec<Point>;

/// From all fixed points at one strength both ways, each class of images once.
fn branches(arguments: &Arguments, cancel: &Cancel) -> Outcome<Vec<Branch>> {
    let model = model(arguments, MIDDLE)?;
    let ode = ReducedOde::new(&model)?;
    let found = FixedPointFinder::new(&ode).find_with(|_, _| cancel.flow())?;
    println!("At lambda = {MIDDLE}: {} fixed points, {} of them stable.", found.points.len(), found.stable().count());
    let mut curve = OdeCurve::new(&ode, Parameter::PenaltyStrength)?;
    let bar = progress(found.points.len(), "branches of fixed points")?;
    let mut branches = Vec::new();
    for point in &found.points {
        bar.inc(1);
        if point.state.q().amax() > 0.1 {
            let first = curve.coordinates(&point.state);
            let mut branch = half_of_branch(&mut curve, &first, false, cancel);
            branch.reverse();
            branch.extend(half_of_branch(&mut curve, &first, true, cancel).into_iter().skip(1));
            branches.push(branch);
        }
    }
    bar.finish_and_clear();
    branches.retain(|branch| !branch.is_empty());
    Ok(branches)
}

/// The branch through a state towards larger or smaller λ, bifurcations included; nothing where it cannot be followed.
fn half_of_branch(curve: &mut OdeCurve<'_>, first: &[f64], upwards: bool, cancel: &Cancel) -> Branch {
    let plan = Continuation::new(RANGE[0], RANGE[1]).steps(1e-6, 0.05);
    let plan = if upwards { plan } else { plan.downwards() };
    let Ok(half) = plan.run_with(curve, first, MIDDLE, |_| cancel.flow()) else { return Vec::new() };
    let mut branch = Vec::new();
    for (k, at) in half.points.iter().enumerate() {
        let mut point = |strength: f64, x: &[f64], stable: bool| {
            let state = curve.state(x);
            branch.push(Point { strength, overlap: state.q().amax(), learned: Learned::of(&state), stable });
        };
        point(at.parameter, at.state.as_slice(), at.is_stable());
        let next = half.points.get(k + 1).is_some_and(BranchState::is_stable);
        let passed: Vec<_> = half.bifurcations.iter().filter(|bifurcation| bifurcation.after == k).collect();
        for (n, bifurcation) in passed.iter().enumerate() {
            // Of several the first ends a stable part, and the last begins one.
            let stable = (n == 0 && at.is_stable()) || (n + 1 == passed.len() && next);
            point(bifurcation.parameter, bifurcation.state.as_slice(), stable);
        }
    }
    branch
}

fn tell_branches(branches: &[Branch]) {
    for branch in branches {
        let stable: Vec<&Point> = branch.iter().filter(|point| point.stable).collect();
        let strengths = || stable.iter().map(|point| point.strength);
        let (low, high) = (strengths().fold(f64::INFINITY, f64::min), strengths().fold(0.0, f64::max));
        if let Some(first) = stable.first().filter(|_| low < high) {
            let end = if high < RANGE[1] { "and not beyond" } else { "the end of the range" };
            println!("The state \"{}\" is stable from lambda = {low:.4} to {high:.4}, {end}.", first.learned.name());
        }
    }
}

/// From a start in column i and row j to the next in its row (true) or column (false).
type Side = (bool, usize, usize);

/// Who learns what, by the start of neuron 0.
struct Map {
    strength: f64,
    grid: Grid,
    learned: Vec<Learned>,
    /// Where what is learned changes, as a part of the side.
    changes: HashMap<Side, f64>,
    /// What is learned in the middle of squares of four starts between which it changes four times.
    middles: HashMap<(usize, usize), Learned>,
    refined: usize,
}

fn who_learns_what(arguments: &Arguments, strength: f64, cancel: &Cancel) -> Outcome<Option<Map>> {
    let model = model(arguments, strength)?;
    let ode = ReducedOde::new(&model)?.coefficient_tolerance(1e-6)?;
    let found = FixedPointFinder::new(&ode).find_with(|_, _| cancel.flow())?;
    if cancel.is_cancelled() {
        return Ok(None);
    }
    let regions = AttractionRegions::of_fixed_points(&ode, &found.points)?;
    let (range, cells) = ((-arguments.reach, arguments.reach), arguments.cells as usize);
    let grid = Grid { a: range, b: range, columns: cells, rows: cells };
    let start = |a: f64, b: f64| state([a, b], START_OF_1);
    let bar = progress(cells * cells, &format!("starts at lambda = {strength}"))?;
    let map = regions.map_with(grid, start, |done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
        cancel.flow()
    })?;
    bar.finish_and_clear();
    let mut map = Map {
        strength,
        grid,
        learned: map.outcomes().iter().map(|fate| learned(&regions, fate)).collect(),
        changes: HashMap::new(),
        middles: HashMap::new(),
        refined: map.refined(),
    };
    let learned_at = |a: f64, b: f64| Ok(learned(&regions, &regions.outcome(&start(a, b)?)));
    map.refine(&learned_at, cancel)?;
    Ok(Some(map))
}

fn learned(regions: &AttractionRegions<'_>, fate: &Fate) -> Learned {
    match fate {
        Fate::Reached { point, image, .. } => Learned::of(regions.images(*point)[*image].center()),
        Fate::NotReached(_) => Learned::Other,
    }
}

/// Overlaps in distances of starts, from the first.
fn in_cells(grid: Grid, at: (f64, f64)) -> (f64, f64) {
    let part = |x: f64, (low, high): (f64, f64), count: usize| (x - low) / (high - low) * count as f64 - 0.5;
    (part(at.0, grid.a, grid.columns), part(at.1, grid.b, grid.rows))
}

impl Map {
    /// Looks between the starts: where what is learned changes on the line to the next, and in the middle of crossed squares.
    fn refine(
        &mut self,
        learned_at: &(impl Fn(f64, f64) -> Result<Learned, OrderParametersError> + Sync),
        cancel: &Cancel,
    ) -> Outcome {
        let sides = self.sides();
        let bar = progress(sides.len(), &format!("borders at lambda = {}", self.strength))?;
        let find = |replicate: Replicate| {
            let side = sides[usize::try_from(replicate.index).unwrap_or_default()];
            Ok::<_, OrderParametersError>((side, self.bisect(side, learned_at)?))
        };
        let mut found = Vec::new();
        Ensemble::new(sides.len() as u64, 0).for_each(find, |_, change| {
            bar.inc(1);
            found.push(change);
            cancel.flow()
        });
        bar.finish_and_clear();
        self.changes = found.into_iter().collect::<Result<_, _>>()?;
        for (i, j) in self.crossed() {
            let (from, to) = (self.grid.parameters(i, j), self.grid.parameters(i + 1, j + 1));
            let middle = learned_at(0.5 * (from.0 + to.0), 0.5 * (from.1 + to.1))?;
            self.middles.insert((i, j), middle);
        }
        Ok(())
    }

    /// Neighbours between which it changes, as in [`changes`](Self::changes).
    fn sides(&self) -> Vec<Side> {
        let Grid { columns, rows, .. } = self.grid;
        let all = (0..rows).flat_map(|j| (0..columns).flat_map(move |i| [(true, i, j), (false, i, j)]));
        let next = |(in_row, i, j): Side| if in_row { (i + 1, j) } else { (i, j + 1) };
        let changes = |side: &Side| {
            let (i, j) = next(*side);
            i < columns && j < rows && self.corner(i, j) != self.corner(side.1, side.2)
        };
        all.filter(changes).collect()
    }

    /// Where it changes on that side, as a part of it.
    fn bisect(
        &self,
        (in_row, i, j): Side,
        learned_at: &impl Fn(f64, f64) -> Result<Learned, OrderParametersError>,
    ) -> Result<f64, OrderParametersError> {
        let (from, to) =
            (self.grid.parameters(i, j), self.grid.parameters(i + usize::from(in_row), j + usize::from(!in_row)));
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..BISECTIONS {
            let middle = 0.5 * (low + high);
            let learned = learned_at(from.0 + middle * (to.0 - from.0), from.1 + middle * (to.1 - from.1))?;
            if learned == self.corner(i, j) { low = middle } else { high = middle }
        }
        Ok(0.5 * (low + high))
    }

    fn corner(&self, i: usize, j: usize) -> Learned {
        self.learned[j * self.grid.columns + i]
    }

    /// Squares of four starts that differ all around, by their lower left corner.
    fn crossed(&self) -> Vec<(usize, usize)> {
        let squares = (0..self.grid.rows - 1).flat_map(|j| (0..self.grid.columns - 1).map(move |i| (i, j)));
        let differ = |i: usize, j: usize, k: usize, l: usize| self.corner(i, j) != self.corner(k, l);
        let all = |&(i, j): &(usize, usize)| {
            differ(i, j, i + 1, j)
                && differ(i, j, i, j + 1)
                && differ(i + 1, j + 1, i + 1, j)
                && differ(i + 1, j + 1, i, j + 1)
        };
        squares.filter(all).collect()
    }

    /// How far it is to where what is learned changes, from a corner of a square along its side, as a part of the side.
    fn change(&self, side: Side, from_end: bool) -> f64 {
        let part = self.changes.get(&side).copied().unwrap_or(0.5);
        (if from_end { 1.0 - part } else { part }).max(1e-3)
    }

    /// What is learned from a start between those of the grid. In the square of four of them a corner that differs from the rest is cut
    /// off by the straight line through the places where it changes; a square in two halves is parted by such a line.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // whole and not negative
    fn at(&self, x: f64, y: f64) -> Learned {
        let (x, y) = in_cells(self.grid, (x, y));
        let least = |x: f64, count: usize| (x.max(0.0) as usize).min(count - 2);
        let (i, j) = (least(x, self.grid.columns), least(y, self.grid.rows));
        let (x, y) = (x - i as f64, y - j as f64);
        let below = self.corner(i, j) != self.corner(i + 1, j);
        let above = self.corner(i, j + 1) != self.corner(i + 1, j + 1);
        let left = self.corner(i, j) != self.corner(i, j + 1);
        let right = self.corner(i + 1, j) != self.corner(i + 1, j + 1);
        if below && above && !left && !right {
            let (low, high) = (self.change((true, i, j), false), self.change((true, i, j + 1), false));
            return self.corner(i + usize::from(x > low + y * (high - low)), j);
        }
        if left && right && !below && !above {
            let (low, high) = (self.change((false, i, j), false), self.change((false, i + 1, j), false));
            return self.corner(i, j + usize::from(y > low + x * (high - low)));
        }
        let cut_off = |&(dx, dy): &(usize, usize)| {
            let along_row = self.change((true, i, j + dy), dx == 1);
            let along_column = self.change((false, i + dx, j), dy == 1);
            let changes = if dy == 0 { below } else { above } && if dx == 0 { left } else { right };
            changes && (x - dx as f64).abs() / along_row + (y - dy as f64).abs() / along_column < 1.0
        };
        let corners = [(0, 0), (1, 0), (0, 1), (1, 1)];
        if let Some((dx, dy)) = corners.into_iter().find(cut_off) {
            return self.corner(i + dx, j + dy);
        }
        // The rest: the middle, or the corner opposite to the one that is cut off.
        let opposite = (usize::from(left && !right), usize::from(below && !above));
        let rest = || self.corner(i + opposite.0, j + opposite.1);
        self.middles.get(&(i, j)).copied().unwrap_or_else(rest)
    }

    fn share(&self, what: Learned) -> f64 {
        self.learned.iter().filter(|learned| **learned == what).count() as f64 / self.learned.len() as f64
    }
}

fn tell_maps(arguments: &Arguments, strengths: &[f64], maps: &[Map]) {
    let cells = arguments.cells;
    println!("\nWho learns what, by the start of neuron 0 ({cells} x {cells}); neuron 1 starts at {START_OF_1:?}:\n");
    let heads = ["penalty lambda"].into_iter().chain(ALL.map(Learned::name)).chain(["starts followed again"]);
    let mut rows = table(heads);
    for map in maps {
        let shares = ALL.map(|what| format!("{:.3}", map.share(what)));
        let ends = [vec![map.strength.to_string()], shares.to_vec(), vec![map.refined.to_string()]];
        rows.add_row(ends.concat());
    }
    println!("{rows}\n");
    if let ([weak, strong], [at_weak, at_strong]) = (strengths, maps) {
        let [before, after] = [at_weak, at_strong].map(|map| map.share(Learned::Shared));
        let verb = if after > before { "more" } else { "no more" };
        println!(
            "At lambda = {strong} the features are shared out from {verb} starts than at {weak}: {:.1} % and {:.1} %.",
            100.0 * after,
            100.0 * before
        );
    }
}

const SOLUTIONS: [[RGBColor; 2]; 2] = [[RED, ORANGE], [BLUE, SKY]];
/// Widths of branches, stable and not.
const STABLE: f64 = 3.5;
const UNSTABLE: f64 = 1.2;

fn draw(arguments: &Arguments, solutions: &[Trajectory], branches: &[Branch], maps: &[Map]) -> Outcome {
    write(&arguments.out, "two_neurons", (1080, 1000), |canvas, root| {
        let (above, below) = root.split_vertically(root.dim_in_pixel().1.cast_signed() * 49 / 100);
        let top = above.split_evenly((1, 2));
        draw_solutions(arguments, &top[0], solutions)?;
        draw_branches(&top[1], branches)?;
        let mut entries = ALL.map(|what| (what.name(), Sign::Area(what.area(), 1.0))).to_vec();
        entries
            .retain(|entry| entry.0 != Learned::Other.name() || maps.iter().any(|map| map.share(Learned::Other) > 0.0));
        entries.push(("start of neuron 1", Sign::Mark(Mark::Disk, INK)));
        let rest = key(&below, &entries)?;
        for (map, area) in maps.iter().zip(rest.split_evenly((1, 2))) {
            draw_map(canvas, &area, map)?;
        }
        Ok(())
    })
}

fn draw_solutions(arguments: &Arguments, area: &Area<'_>, solutions: &[Trajectory]) -> Outcome {
    let pen = |k: usize, l: usize, i: usize| {
        let pen = Pen::new(SOLUTIONS[k][l]);
        if i == 0 { pen } else { pen.dashed(&[7, 4]) }
    };
    let curves: Vec<_> = (0..8).map(|k| (k / 4, k / 2 % 2, k % 2)).collect();
    let strengths = [arguments.weak, arguments.strong];
    let entry = |&(k, l, i): &(usize, usize, usize)| {
        (format!("λ = {}: neuron {i}, feature {l}", strengths[k]), Sign::Line(pen(k, l, i)))
    };
    let rest = key(area, &curves.iter().map(entry).collect::<Vec<_>>())?;
    let values = solutions.iter().flat_map(|solution| {
        solution.states().iter().flat_map(|state| state.q().iter().copied().collect::<Vec<f64>>())
    });
    let y = Scale::around("overlap Q[feature, neuron]", values);
    let x = Scale::linear("time t = steps / N", 0.0..arguments.end);
    let mut plot = Plot::new(&rest, "from a joint start", x, y)?;
    for (k, l, i) in curves {
        plot.line(solutions[k].iter().map(|(t, state)| (t, state.q()[(l, i)])), pen(k, l, i))?;
    }
    Ok(())
}

fn draw_branches(area: &Area<'_>, branches: &[Branch]) -> Outcome {
    let pen = |learned: Learned, stable: bool| {
        let pen = Pen::new(learned.color());
        if stable { pen.width(STABLE) } else { pen.width(UNSTABLE).dashed(&[5, 3]) }
    };
    let mut entries: Vec<(String, Sign)> = Vec::new();
    for (stable, word) in [(true, "stable"), (false, "unstable")] {
        for learned in ALL {
            let shown =
                branches.iter().flat_map(|branch| branch.windows(2)).any(|pair| part(pair) == (learned, stable));
            if shown {
                entries.push((format!("{}, {word}", learned.name()), Sign::Line(pen(learned, stable))));
            }
        }
    }
    let rest = key(area, &entries)?;
    let x = Scale::linear("penalty strength λ", 0.0..RANGE[1]);
    let mut plot = Plot::new(&rest, "fixed points", x, Scale::linear("largest overlap |Q|", 0.0..1.05))?;
    for branch in branches {
        let mut from = 0;
        while from + 1 < branch.len() {
            let kind = part(&branch[from..from + 2]);
            let pairs = branch[from..].windows(2).take_while(|pair| part(pair) == kind).count();
            let line = branch[from..=from + pairs].iter().map(|point| (point.strength, point.overlap));
            plot.line(line, pen(kind.0, kind.1))?;
            from += pairs;
        }
    }
    Ok(())
}

/// What is learned between two points of a branch, and whether that is stable.
fn part(pair: &[Point]) -> (Learned, bool) {
    (pair[0].learned, pair.iter().all(|point| point.stable))
}

fn draw_map(canvas: &mut Canvas, area: &Area<'_>, map: &Map) -> Outcome {
    let (low, high) = map.grid.a;
    let title = format!("who learns what, λ = {}", map.strength);
    let x = Scale::linear("overlap of neuron 0 with feature 0 at the start", low..high);
    let mut plot = Plot::new(area, &title, x, Scale::linear("with feature 1", low..high))?;
    let dots = DOTS * map.grid.columns;
    plot.raster(canvas, [(low, low), (high, high)], (dots, dots), |column, row| {
        let [x, y] = [column, row].map(|k| low + (high - low) * (k as f64 + 0.5) / dots as f64);
        map.at(x, y).area()
    })?;
    plot.marks([(START_OF_1[0], START_OF_1[1])], Mark::Disk, INK, 4.5)
}
