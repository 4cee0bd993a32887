//! How well do 10 to 10 000 processes share out work whose pieces differ in cost a hundredfold?
//!
//! `cargo run --release -p contrastive-dynamics-mpi --example schedule` prints a table; it needs no `mpirun`. Arguments:
//! `--root SECONDS` that the root is busy with a block (default 20e-6, measured by the example `efficiency`), `--way SECONDS` of a message
//! (default 5e-4, half of the longest time between two looks for messages).
//!
//! The schedule is the library's (`schedule::Situation`), the machine is a simulation. Assumptions: all processors are alike; a message
//! takes the same time between any two; the root serves blocks one after the other, and computes in the rest of its time; results are
//! small; pieces cost independently of one another, which is not known before.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};
use std::error::Error;

use contrastive_dynamics_mpi::schedule::{Mean, Situation};

/// The costs of pieces.
struct Work {
    name: &'static str,
    pieces: u64,
    /// Mean seconds of a piece.
    mean: f64,
    /// By how much the dearest costs more than the cheapest; they are uniform in the logarithm.
    spread: f64,
}

/// How blocks are chosen.
#[derive(Clone, Copy)]
enum Rule {
    /// As the library does.
    Library,
    /// All of this size.
    Fixed(u64),
}

/// A block is done, by that process, at that time.
#[derive(PartialEq)]
struct Done {
    time: f64,
    rank: usize,
    pieces: u64,
    seconds: f64,
}

impl Eq for Done {}

impl PartialOrd for Done {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The earliest first.
impl Ord for Done {
    fn cmp(&self, other: &Self) -> Ordering {
        other.time.total_cmp(&self.time).then(other.rank.cmp(&self.rank))
    }
}

/// A number in (0, 1) that belongs to an index.
fn uniform(index: u64) -> f64 {
    let mut x = index.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((x ^ (x >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

impl Work {
    fn cost(&self, index: u64) -> f64 {
        let log = self.spread.ln();
        let scale = if log > 0.0 { (self.spread - 1.0) / log } else { 1.0 };
        self.mean * (log * uniform(index)).exp() / scale
    }
}

struct Process {
    /// When it will have done all that it has been given.
    free: f64,
    given: VecDeque<u64>,
}

/// A machine that shares out work: what is computed by processors that it keeps busy.
struct Machine<'w> {
    work: &'w Work,
    rule: Rule,
    way: f64,
    processes: Vec<Process>,
    left: u64,
    next: u64,
    piece: Mean,
    root: Mean,
    under_way: BinaryHeap<Done>,
}

impl Machine<'_> {
    fn situation(&self) -> Situation {
        let all = self.processes.len();
        let (piece, root) = (self.piece.value(), self.root.value());
        Situation { left: self.left, threads: all, processes: all, piece, root, bytes: None, memory: 256 << 20 }
    }

    /// Gives blocks to a process, as many as it may have; they are there at that time.
    fn give(&mut self, rank: usize, there: f64) {
        let most = |machine: &Self| match machine.rule {
            Rule::Library => machine.situation().blocks(),
            Rule::Fixed(_) => 2,
        };
        while self.left > 0 && self.processes[rank].given.len() < most(self) {
            let pieces = match self.rule {
                Rule::Library => self.situation().pieces(),
                Rule::Fixed(pieces) => pieces.min(self.left),
            };
            let seconds = (self.next..self.next + pieces).map(|index| self.work.cost(index)).sum::<f64>();
            (self.next, self.left) = (self.next + pieces, self.left - pieces);
            let process = &mut self.processes[rank];
            process.free = process.free.max(there) + seconds;
            process.given.push_back(pieces);
            self.under_way.push(Done { time: process.free, rank, pieces, seconds });
        }
    }
}

/// The part of their time that processors compute, and how many blocks there were.
fn efficiency(work: &Work, processes: usize, rule: Rule, (busy, way): (f64, f64)) -> (f64, u64) {
    let of = |_| Process { free: 0.0, given: VecDeque::new() };
    let mut machine = Machine {
        work,
        rule,
        way,
        processes: (0..processes).map(of).collect(),
        left: work.pieces,
        next: 0,
        piece: Mean::of_processes(processes),
        root: Mean::of_processes(processes),
        under_way: BinaryHeap::new(),
    };
    (0..processes).for_each(|rank| machine.give(rank, way));
    let (mut served, mut blocks, mut computed, mut end) = (0.0_f64, 0, 0.0, 0.0_f64);
    while let Some(Done { time, rank, pieces, seconds }) = machine.under_way.pop() {
        // The root's own blocks go no way and need no service of bytes; its processor serves in between.
        let service = if rank == 0 { 0.0 } else { busy };
        served = served.max(time + if rank == 0 { 0.0 } else { machine.way }) + service;
        machine.processes[0].free += service;
        machine.root.add(busy, 1.0);
        machine.processes[rank].given.pop_front();
        machine.piece.add(seconds, pieces as f64);
        machine.give(rank, served + if rank == 0 { 0.0 } else { machine.way });
        (blocks, computed, end) = (blocks + 1, computed + seconds, end.max(served));
    }
    (computed / (end * processes as f64), blocks)
}

fn argument(name: &str, default: f64) -> Result<f64, Box<dyn Error>> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    match (arguments.next(), arguments.next()) {
        (None, _) => Ok(default),
        (Some(_), Some(value)) => Ok(value.parse()?),
        (Some(_), None) => Err(format!("{name} needs a number of seconds").into()),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let machine = (argument("--root", 20e-6)?, argument("--way", 5e-4)?);
    println!("a block takes {:.1e} s of the root, a message {:.1e} s\n", machine.0, machine.1);
    // With all alike, and blocks of one piece, there is nothing to be lost but the root's time.
    let alike = Work { name: "", pieces: 100_000, mean: 1e-2, spread: 1.0 };
    let (check, _) = efficiency(&alike, 100, Rule::Library, (0.0, 0.0));
    assert!((check - 1.0).abs() < 1e-3, "{check}");
    let works = [
        Work { name: "128 groups, 0.04 s each, as in the example efficiency", pieces: 128, mean: 0.04, spread: 1.0 },
        Work { name: "10^6 cells, 10 ms on average, 1 to 100", pieces: 1_000_000, mean: 1e-2, spread: 100.0 },
        Work { name: "10^6 replicates, 1 s each", pieces: 1_000_000, mean: 1.0, spread: 1.0 },
        Work { name: "10^6 replicates, 1 s on average, 1 to 100", pieces: 1_000_000, mean: 1.0, spread: 100.0 },
        Work { name: "31250 groups of 32 replicates, 10 s each", pieces: 31_250, mean: 10.0, spread: 1.0 },
        Work { name: "131072 groups of 32, 10 s on average, 1 to 100", pieces: 131_072, mean: 10.0, spread: 100.0 },
    ];
    let counts = [2, 10, 100, 1000, 10_000];
    for work in &works {
        println!("{}", work.name);
        println!(
            "{:>10} {:>22} {:>10} {:>10} {:>10}",
            "processes", "efficiency (blocks)", "by 1", "by 100", "by 10000"
        );
        for processes in counts {
            let (own, blocks) = efficiency(work, processes, Rule::Library, machine);
            print!("{processes:>10} {own:>11.3} {:>10}", format!("({blocks})"));
            for fixed in [1, 100, 10_000] {
                print!(" {:>10.3}", efficiency(work, processes, Rule::Fixed(fixed), machine).0);
            }
            println!();
        }
        println!();
    }
    Ok(())
}
