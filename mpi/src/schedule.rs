//! How many pieces of work are given at once.
//!
//! Covers the rule, which decides about time and about no bit of a result. Not here: who asks (see
//! [`MpiExecutor`](crate::MpiExecutor)).
//!
//! A block is for one thread. It must last long enough that the root, which has a certain time of work with each, can serve all processes, and not
//! so long that at the end all wait for one. So it lasts about [`TARGET`], or as long as keeps the root busy for a quarter of
//! its time, whichever is longer; towards the end it is its thread's share of half of what is left (guided
//! self-scheduling: C. D. Polychronopoulos and D. J. Kuck, IEEE Trans. Comput. 36 (1987)), but not shorter than the root takes for a
//! block of each process, unless that is more than its share of all that is left.

/// Seconds that a block lasts, unless the root is too busy, or little is left.
pub const TARGET: f64 = 0.02;

/// The part of its time that the root may be busy with blocks.
pub const BUSY: f64 = 0.25;

/// Seconds from which on a block is long: a thread that does such ones is given the next when it asks. The way of question and answer,
/// and what keeps the root busy meanwhile, are short beside it, and what waits behind a long piece at the end keeps all waiting.
pub const LONG: f64 = 1.0;

/// Blocks of each process that a running mean remembers.
const REMEMBERED: f64 = 5.0;

/// A running mean of seconds for each of some things; that of nothing is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mean {
    seconds: f64,
    things: f64,
    /// What is left of older measurements when a new one comes.
    left: f64,
}

impl Mean {
    /// Of nothing yet; it remembers the last five blocks of each process, or so.
    #[must_use]
    pub fn of_processes(processes: usize) -> Self {
        Self { seconds: 0.0, things: 0.0, left: 1.0 - 1.0 / (REMEMBERED * processes.max(1) as f64) }
    }

    /// Takes in the time of some more things.
    pub fn add(&mut self, seconds: f64, things: f64) {
        self.seconds = self.left * self.seconds + seconds;
        self.things = self.left * self.things + things;
    }

    /// The mean time of one thing.
    #[must_use]
    pub fn value(self) -> Option<f64> {
        (self.things > 0.0).then(|| self.seconds / self.things)
    }
}

/// What the size of the next block is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Situation {
    /// Pieces that nobody has been given.
    pub left: u64,
    /// Threads of all processes.
    pub threads: usize,
    /// All processes.
    pub processes: usize,
    /// Seconds that a piece takes, if any is done.
    pub piece: Option<f64>,
    /// Seconds that the root is busy with a block, if it has had any.
    pub root: Option<f64>,
    /// Bytes of a result, if there is any.
    pub bytes: Option<f64>,
    /// Bytes of results that may wait in the root.
    pub memory: usize,
}

impl Situation {
    /// How many blocks a thread may have: one that it works on, and the next where blocks are short and enough is left for all.
    #[must_use]
    pub fn blocks(&self) -> usize {
        if self.left <= self.threads as u64 || self.piece.is_none_or(|piece| piece * self.pieces() as f64 > LONG) {
            1
        } else {
            2
        }
    }

    /// The pieces of the next block, at least one.
    ///
    /// ```
    /// use contrastive_dynamics_mpi::schedule::Situation;
    /// let mut now = Situation {
    ///     left: 1_000_000,
    ///     threads: 64,
    ///     processes: 64,
    ///     piece: Some(1e-3),
    ///     root: Some(2e-5),
    ///     bytes: Some(8.0),
    ///     memory: 256 << 20,
    /// };
    /// assert_eq!(now.pieces(), 20);
    /// // The root of ten thousand processes has 0.2 s of work with a block of each: they must last longer ...
    /// (now.processes, now.threads) = (10_000, 10_000);
    /// now.left = 100_000_000;
    /// assert_eq!(now.pieces(), 800);
    /// // ... unless that is too much for the root's memory ...
    /// now.bytes = Some(67.1);
    /// assert_eq!(now.pieces(), 100);
    /// now.bytes = Some(8.0);
    /// // ... and end at half of what is left, shared by all, but not below the 0.2 s.
    /// now.left = 10_000_000;
    /// assert_eq!(now.pieces(), 500);
    /// now.left = 3_000_000;
    /// assert_eq!(now.pieces(), 200);
    /// now.left = 1_000_000;
    /// assert_eq!(now.pieces(), 100);
    /// ```
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // both are finite and not negative
    pub fn pieces(&self) -> u64 {
        let Self { left, threads, processes, piece, root, bytes, memory } = *self;
        // Of pieces that nobody knows, one.
        let Some(piece) = piece else { return 1 };
        let of_seconds = |seconds: f64| seconds / piece.max(1e-12);
        let threads = threads.max(1) as f64;
        let round = root.unwrap_or(0.0) * processes as f64;
        let share = left as f64 / (2.0 * threads);
        // Two blocks of each thread are under way, and may fill half of the memory.
        let most = memory as f64 / (4.0 * threads * bytes.unwrap_or(0.0).max(1e-3));
        let wanted = of_seconds((round / BUSY).max(TARGET)).min(share.max(of_seconds(round).min(2.0 * share)));
        (wanted.min(most).round() as u64).clamp(1, left.max(1))
    }
}
