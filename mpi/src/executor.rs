//! The executor over many processes.

use std::fmt;
use std::ops::{ControlFlow, Range};

use contrastive_dynamics::parallel::{Cancel, Executor, Local};
use contrastive_dynamics::save::Fingerprint;
use mpi::Threading;
use mpi::environment::Universe;
use mpi::topology::Communicator;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::MpiError;
use crate::group::Group;
use crate::lead::lead;
use crate::message::{Down, Up};
use crate::serve::serve;

/// Bytes of results that may wait for their turn in the root, unless it is said otherwise.
const MEMORY: usize = 256 << 20;

/// Initialises MPI, for threads as [`MpiExecutor`] needs them ([`Threading::Funneled`] or more). MPI ends when the answer is dropped:
/// keep it, and drop executors before.
///
/// # Errors
/// [`MpiError::Initialised`], or [`MpiError::Threading`] if MPI supports less than is asked for.
pub fn initialize(threading: Threading) -> Result<Universe, MpiError> {
    let (universe, found) = mpi::initialize_with_threading(threading).ok_or(MpiError::Initialised)?;
    if found < threading { Err(MpiError::Threading { found }) } else { Ok(universe) }
}

/// What one process has sent and received, and what work the root had.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct Traffic {
    /// Messages sent and received.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blocks that the root had from others.
    pub blocks: u64,
    /// Seconds for which the root was busy with them, combining included.
    pub root_seconds: f64,
}

/// Runs work in all processes of a communicator, and combines it in rank 0, in the order of the pieces: in bounded memory, to the
/// same bits as on one thread.
///
/// What is run gives results that can be written as bytes: `Serialize + DeserializeOwned`, errors too. Those of the library come as they
/// were, but for `ModelError`, `LimitError` and `FixedPointError`, which come as what they say (their variant `Recorded`). Pieces are given out in
/// blocks, to each process as it asks ([`schedule`](crate::schedule)); with the feature `parallel` a process computes on as many threads as its rayon
/// pool has. Results that come before their turn wait in the root's [`memory`](Self::memory).
///
/// All processes make it, and call what uses it, in the same order, on the thread that initialised MPI. Within work that is shared out it
/// computes in its own process alone. Drop it on that thread too, before the universe.
///
/// # Panics
/// What uses it panics in rank 0, and all others end in silence, if work panics in any process, if a process leaves before the
/// others, or calls other things than they do, and if a result cannot be written as bytes; also on another thread than the one that made it.
pub struct MpiExecutor {
    group: Group,
    memory: usize,
}

impl fmt::Debug for MpiExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MpiExecutor")
            .field("rank", &self.group.rank)
            .field("size", &self.group.size)
            .field("memory", &self.memory)
            .finish_non_exhaustive()
    }
}

impl MpiExecutor {
    /// Over all processes of a communicator, which must run one version of this library.
    ///
    /// # Errors
    /// [`MpiError::Threading`] unless MPI was initialised for threads ([`initialize`]); [`MpiError::Version`], in all processes, if they
    /// differ.
    pub fn new(communicator: &impl Communicator) -> Result<Self, MpiError> {
        Self::of_program(communicator, "")
    }

    /// As [`new`](Self::new), for processes that run one version of your program: `program` is its name and version, for example.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of_program(communicator: &impl Communicator, program: &str) -> Result<Self, MpiError> {
        let found = mpi::environment::threading_support();
        if communicator.size() > 1 && found < Threading::Funneled {
            return Err(MpiError::Threading { found });
        }
        let executor = Self { group: Group::new(communicator), memory: MEMORY };
        if let Some(together) = executor.group.together() {
            let own = format!("{}{}{program}", env!("CARGO_PKG_VERSION"), if program.is_empty() { "" } else { ", " });
            let (other, expected) = together.compare(
                own,
                |program| Up::Hello { program: program.clone() },
                |up| if let Up::Hello { program } = up { Some(program) } else { None },
                |other, own| Down::Program { other, own },
                |down| if let Down::Program { other, own } = down { Some((other, own)) } else { None },
            );
            if let Some((rank, found)) = other {
                return Err(MpiError::Version { rank, found, expected });
            }
        }
        Ok(executor)
    }

    /// Bytes of results that may wait in the root for their turn, beside those of blocks under way. Default: 256 MiB. While there are more,
    /// no new blocks are given; as far as the size of results is known, those under way hold half as much at most.
    #[must_use]
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory = bytes;
        self
    }

    /// Compares the fingerprints of all processes, say of the [model](contrastive_dynamics::model::fingerprint). Do so before work that is a
    /// closure of yours (`Ensemble::run`, `map`, `PhaseDiagram::of_models_on`): the library compares only what it knows of it. Of `run_projected`, of what is
    /// saved, of maps, and of diagrams over a parameter it knows the model.
    ///
    /// # Errors
    /// [`MpiError::OtherWork`], in all processes, if they differ.
    pub fn same_work(&self, work: Fingerprint) -> Result<(), MpiError> {
        let Some((other, expected)) = self.numbers(work.value()) else { return Ok(()) };
        other.map_or(Ok(()), |(rank, found)| Err(MpiError::OtherWork { rank, found, expected }))
    }

    /// The first other number and the root's; `None` where there is nobody to compare with.
    fn numbers(&self, own: u64) -> Option<(Option<(usize, u64)>, u64)> {
        let together = self.group.together()?;
        Some(together.compare(
            own,
            |&number| Up::Number { number },
            |up| if let Up::Number { number } = up { Some(number) } else { None },
            |other, own| Down::Numbers { other, own },
            |down| if let Down::Numbers { other, own } = down { Some((other, own)) } else { None },
        ))
    }

    /// The number of this process, from 0.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.group.rank
    }

    /// How many processes there are.
    #[must_use]
    pub fn size(&self) -> usize {
        self.group.size
    }

    /// Whether this process is the one that combines, observes and saves: print and write files here.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.group.is_root()
    }

    /// What this process has sent and received so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.group.traffic()
    }
}

impl<R: Send + Serialize + DeserializeOwned> Executor<R> for MpiExecutor {
    fn for_each(
        &self,
        range: Range<u64>,
        cancel: &Cancel,
        work: &(dyn Fn(u64) -> R + Sync),
        consume: &mut dyn FnMut(u64, R) -> ControlFlow<()>,
    ) {
        match self.group.together() {
            None => Local::default().for_each(range, cancel, work, consume),
            Some(together) if self.is_root() => lead(&together, self.memory, range, cancel, work, consume),
            Some(together) => serve(&together, cancel, work),
        }
    }

    fn once(&self, make: impl FnOnce() -> R) -> R {
        match self.group.together() {
            None => make(),
            Some(together) => together.once(make),
        }
    }

    fn leads(&self) -> bool {
        self.is_root() || self.group.is_alone()
    }

    fn agree(&self, number: impl FnOnce() -> u64) -> bool {
        self.group.is_alone() || self.numbers(number()).is_none_or(|(other, _)| other.is_none())
    }
}

impl Drop for MpiExecutor {
    fn drop(&mut self) {
        self.group.leave();
    }
}
