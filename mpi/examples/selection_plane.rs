//! Which of two features is selected from an uninformative start, over kurtosis and noise correlation?
//!
//! `mpirun -n 4 cargo run --release -p contrastive-dynamics-mpi --example selection_plane -- --help` tells the arguments.
//!
//! Two features of one second moment compete for one neuron: at an uninformative start both grow alike. The first takes two values; the
//! second is sparse, so that its kurtosis E[c⁴]/E[c²]² is that of the plane. For each cell of the plane runs of SGD at finite N (projected
//! chains, thirty-two in lock-step) go on until the cosine similarity with one of the features is 0.8; counted is how many selected which.
//!
//! It is saved every twenty seconds, and goes on from there when it is called again, in any number of processes. Ctrl-C, or SIGTERM, ends it
//! with a save, if the pieces under way are done before mpirun loses patience.

use std::error::Error;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use contrastive_dynamics::ensemble::Ensemble;
use contrastive_dynamics::parallel::{Cancel, Executor};
use contrastive_dynamics::prelude::*;
use contrastive_dynamics::save::{File, Fingerprint, SaveError, Store, replace};
use contrastive_dynamics::state::{Direction, Run, StopReason};
use contrastive_dynamics_mpi::{MpiExecutor, Threading, initialize};
use indicatif::{ProgressBar, ProgressStyle};
use plotters::prelude::*;

/// What every feature has.
const SECOND_MOMENT: f64 = 2.0;
const NOISE_VARIANCE: f64 = 1.0;

/// The similarity at which a feature is selected.
const SELECTED: f64 = 0.8;

/// Replicates in lock-step: a piece of work.
const TOGETHER: u64 = 32;

/// Between two saves.
const SAVED_EVERY: Duration = Duration::from_secs(20);

const HELP: &str = "\
Which of two features is selected, over kurtosis and noise correlation?

  --cells N        cells along each axis (default 64)
  --replicates N   runs of each cell (default 1000)
  --dimension N    (default 100000)
  --time T         runs that have selected nothing by then are undecided (default 100)
  --kurtosis K     of the second feature, at the far end; 1 is that of the first (default 4)
  --saved FILE     where it is saved and goes on from (default target/selection_plane.saved)
  --out FILE       the picture (default target/selection_plane.svg)
";

struct Settings {
    cells: usize,
    replicates: u64,
    dimension: usize,
    time: f64,
    kurtosis: f64,
    saved: PathBuf,
    out: PathBuf,
}

/// How many runs of a cell selected the first feature, the second, and none.
type Counts = [u64; 3];

/// What is saved: the counts of the first pieces.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Progress {
    next: u64,
    counts: Vec<Counts>,
    seconds: f64,
}

impl Settings {
    fn read() -> Result<Option<Self>, lexopt::Error> {
        use lexopt::prelude::*;
        let mut settings = Self {
            cells: 64,
            replicates: 1000,
            dimension: 100_000,
            time: 100.0,
            kurtosis: 4.0,
            saved: "target/selection_plane.saved".into(),
            out: "target/selection_plane.svg".into(),
        };
        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("cells") => settings.cells = arguments.value()?.parse()?,
                Long("replicates") => settings.replicates = arguments.value()?.parse()?,
                Long("dimension") => settings.dimension = arguments.value()?.parse()?,
                Long("time") => settings.time = arguments.value()?.parse()?,
                Long("kurtosis") => settings.kurtosis = arguments.value()?.parse()?,
                Long("saved") => settings.saved = arguments.value()?.into(),
                Long("out") => settings.out = arguments.value()?.into(),
                Long("help") | Short('h') => return Ok(None),
                other => return Err(other.unexpected()),
            }
        }
        if settings.cells < 2 || settings.replicates == 0 || !(settings.kurtosis >= 1.0) {
            return Err("at least two cells along each axis, a replicate, and a kurtosis of at least 1".into());
        }
        Ok(Some(settings))
    }

    fn pieces_of_a_cell(&self) -> u64 {
        self.replicates.div_ceil(TOGETHER)
    }

    /// Kurtosis and correlation of a cell's middle, rows of equal correlation one after the other.
    fn at(&self, cell: usize) -> (f64, f64) {
        let middle = |k: usize| (k as f64 + 0.5) / self.cells as f64;
        let kurtosis = 1.0 + (self.kurtosis - 1.0) * middle(cell % self.cells);
        (kurtosis, 2.0 * middle(cell / self.cells) - 1.0)
    }

    /// By what a saved plane is known again.
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of("a plane of selection probabilities")
            .count(self.cells as u64)
            .count(self.replicates)
            .count(self.dimension as u64)
            .numbers([self.time, self.kurtosis, SECOND_MOMENT, NOISE_VARIANCE, SELECTED])
    }

    /// What one piece of work counts.
    fn count(&self, piece: u64) -> Result<Counts, Box<dyn Error>> {
        let (cell, group) = (piece / self.pieces_of_a_cell(), piece % self.pieces_of_a_cell());
        let (kurtosis, correlation) = self.at(usize::try_from(cell)?);
        let model = Model::builder()
            .nonlinearity(Tanh)
            .hidden(Independent::new([
                Law::two_point(SECOND_MOMENT)?,
                Law::three_point(SECOND_MOMENT, 1.0 / kurtosis)?,
            ])?)
            .noise(GaussianNoise::correlated(NOISE_VARIANCE, correlation)?)
            .learning_rate(1.0)
            .weight_decay(0.4)
            .batch_size(2)
            .build()?;
        // Cells have seeds of their own.
        let ensemble = Ensemble::new(self.replicates, cell);
        let numbers = group * TOGETHER..((group + 1) * TOGETHER).min(self.replicates);
        let seeds: Vec<u64> = numbers.map(|number| ensemble.replicate(number).seed).collect();
        let mut lanes = ProjectedChain::builder(&model, self.dimension).lanes(&seeds)?;
        let similar = |feature| {
            move |_, state: &OrderParameters| state.cosine_similarity(feature, 0).unwrap_or(0.0).abs() - SELECTED
        };
        let runs = Run::of(&mut lanes)
            .output(Output::Stop)
            .event(Direction::AtOrAbove, similar(0))
            .event(Direction::AtOrAbove, similar(1))
            .check_every((self.dimension as u64 / 10).max(1))
            .each_to(self.time)?;
        let mut counts = [0; 3];
        for run in runs {
            let selected = if let StopReason::Event { index, .. } = run?.stop_reason() { index } else { 2 };
            counts[selected] += 1;
        }
        Ok(counts)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let Some(settings) = Settings::read()? else {
        print!("{HELP}");
        return Ok(());
    };
    let cancel = Cancel::new();
    let handler = cancel.clone();
    ctrlc::set_handler(move || handler.cancel())?;
    let universe = initialize(Threading::Funneled)?;
    let executor = MpiExecutor::of_program(&universe.world(), "selection_plane")?;
    executor.same_work(settings.fingerprint())?;
    let progress = run(&executor, &settings, &cancel)?;
    if !executor.is_root() {
        return Ok(());
    }
    let all = settings.pieces_of_a_cell() * (settings.cells * settings.cells) as u64;
    println!("{:.2} hours of processors", progress.seconds / 3600.0);
    if progress.next < all {
        println!("ended after {} of {all} pieces of work: call it again to go on", progress.next);
        return Ok(());
    }
    report(&settings, &progress);
    draw(&settings, &progress)
}

/// Counts all that is not saved yet.
fn run(executor: &MpiExecutor, settings: &Settings, cancel: &Cancel) -> Result<Progress, Box<dyn Error>> {
    let (store, work) = (File::new(&settings.saved), settings.fingerprint());
    let cells = settings.cells * settings.cells;
    let all = settings.pieces_of_a_cell() * cells as u64;
    let begun: Result<Option<Progress>, SaveError> = executor.once(|| store.load(work));
    let fresh = || Progress { next: 0, counts: vec![[0; 3]; cells], seconds: 0.0 };
    let mut progress = begun?.unwrap_or_else(fresh);
    let style = ProgressStyle::with_template("{bar:40} {percent}% {pos} of {len} pieces, {eta} left")?;
    let bar = if executor.is_root() { ProgressBar::new(all) } else { ProgressBar::hidden() }.with_style(style);
    bar.set_position(progress.next);
    bar.reset_eta();
    let piece = |piece: u64| {
        let begin = Instant::now();
        settings.count(piece).map(|counts| (counts, begin.elapsed().as_secs_f64())).map_err(|error| error.to_string())
    };
    let (mut saved, mut failed) = (Instant::now(), None);
    executor.for_each(progress.next..all, cancel, &piece, &mut |piece, result: Result<(Counts, f64), String>| {
        match result {
            Ok((counts, seconds)) => {
                let cell = usize::try_from(piece / settings.pieces_of_a_cell()).unwrap_or(usize::MAX);
                progress.counts[cell].iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
                progress.seconds += seconds;
                progress.next = piece + 1;
                bar.set_position(progress.next);
            }
            Err(error) => failed = Some(error),
        }
        if saved.elapsed() > SAVED_EVERY {
            saved = Instant::now();
            failed = failed.take().or_else(|| store.store(work, &progress).err().map(|error| error.to_string()));
        }
        if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    bar.finish_and_clear();
    let ended: Result<Progress, String> = executor.once(|| {
        store.store(work, &progress).map_err(|error| error.to_string())?;
        failed.map_or(Ok(progress), Err)
    });
    Ok(ended?)
}

/// The share of the first feature among runs that selected one, and the share of those.
fn shares([first, second, none]: Counts) -> (f64, f64) {
    let decided = first + second;
    (first as f64 / decided.max(1) as f64, decided as f64 / (decided + none) as f64)
}

/// The ends and the middle of the plane, in words.
fn report(settings: &Settings, progress: &Progress) {
    let n = settings.cells;
    println!("\nprobability that the first feature, of kurtosis 1, is selected (in brackets: runs that selected one)");
    println!("{:>10} {:>18} {:>18} {:>18}", "rho \\ kurt", "least", "middle", "largest");
    for row in [0, n / 2, n - 1] {
        let rho = settings.at(row * n).1;
        let cells = [0, n / 2, n - 1].map(|column| shares(progress.counts[row * n + column]));
        let words = cells.map(|(first, decided)| format!("{first:.3} ({:.0} %)", 100.0 * decided));
        println!("{rho:>10.2} {:>18} {:>18} {:>18}", words[0], words[1], words[2]);
    }
}

/// Blue where the first feature is selected, orange where the second is, paler the fewer runs select one.
fn colour(counts: Counts) -> RGBColor {
    let (first, decided) = shares(counts);
    let (ends, middle, none) = ([(0.84, 0.37, 0.0), (0.0, 0.35, 0.60)], (0.95, 0.93, 0.88), (0.75, 0.75, 0.75));
    let distance = (2.0 * first - 1.0).abs();
    let end = ends[usize::from(first > 0.5)];
    let mixed = |a: f64, b: f64, c: f64| {
        let full = b + (a - b) * distance;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // from 0 to 255
        let byte = (255.0 * (c + (full - c) * decided)).round() as u8;
        byte
    };
    RGBColor(mixed(end.0, middle.0, none.0), mixed(end.1, middle.1, none.1), mixed(end.2, middle.2, none.2))
}

fn draw(settings: &Settings, progress: &Progress) -> Result<(), Box<dyn Error>> {
    let mut picture = String::new();
    {
        let area = SVGBackend::with_string(&mut picture, (760, 600)).into_drawing_area();
        area.fill(&WHITE)?;
        let (plane, legend) = area.split_horizontally(600);
        let title = format!("{} runs of each cell, N = {}", settings.replicates, settings.dimension);
        let mut chart = ChartBuilder::on(&plane)
            .caption(title, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(46)
            .y_label_area_size(60)
            .build_cartesian_2d(1.0..settings.kurtosis.max(1.0 + 1e-9), -1.0..1.0)?;
        chart
            .configure_mesh()
            .disable_mesh()
            .x_desc("kurtosis of the second feature")
            .y_desc("correlation of the noise, ρ")
            .label_style(("sans-serif", 15))
            .axis_desc_style(("sans-serif", 17))
            .draw()?;
        let half = ((settings.kurtosis - 1.0) / (2.0 * settings.cells as f64), 1.0 / settings.cells as f64);
        chart.draw_series(progress.counts.iter().enumerate().map(|(cell, counts)| {
            let (x, y) = settings.at(cell);
            Rectangle::new([(x - half.0, y - half.1), (x + half.0, y + half.1)], colour(*counts).filled())
        }))?;
        let mut scale = ChartBuilder::on(&legend)
            .caption("first selected", ("sans-serif", 15))
            .margin(12)
            .margin_bottom(58)
            .margin_right(70)
            .y_label_area_size(44)
            .build_cartesian_2d(0.0..1.0, 0.0..1.0)?;
        scale
            .configure_mesh()
            .disable_mesh()
            .disable_x_axis()
            .y_labels(6)
            .y_label_formatter(&|share| format!("{share:.1}"))
            .label_style(("sans-serif", 15))
            .draw()?;
        scale.draw_series((0..100).map(|k| {
            let low = f64::from(k) / 100.0;
            #[allow(clippy::cast_sign_loss)]
            let counts = [k as u64, 99 - k as u64, 0];
            Rectangle::new([(0.0, low), (1.0, low + 0.01)], colour(counts).filled())
        }))?;
        area.present()?;
    }
    replace(&settings.out, picture.as_bytes())?;
    println!("\npicture written to {}; grey: no feature is learned by t = {}", settings.out.display(), settings.time);
    Ok(())
}
