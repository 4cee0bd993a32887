//! What processes say to one another.
//!
//! | | begins | while it works | ends |
//! |---|---|---|---|
//! | to the root | [`Up::Ready`] | [`Up::Done`] | [`Up::Bye`] |
//! | from the root | | [`Down::Block`], [`Down::Stop`] | [`Down::End`] |
//!
//! Every message has the number of the thing that is done together, by which programs that do not do the same are seen, and
//! what comes early waits. All but values and results are short, so that whoever sends one need not wait for who receives it. What goes wrong says
//! so by [`Down::Fatal`], at any time; and whoever ends, in whatever way, says [`Up::Left`] and waits for [`Down::Farewell`].

use serde::{Deserialize, Serialize};

/// To the root.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Up {
    /// What this process runs.
    Hello { program: String },
    /// Its number for a comparison.
    Number { number: u64 },
    /// It is there for the work, on so many threads.
    Ready { threads: usize },
    /// A block, or the first of it, is done.
    Done(Block),
    /// It has heard the end.
    Bye,
    /// It takes part in nothing any more.
    Left(How),
}

/// How a process has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum How {
    /// The program returned.
    Returned,
    /// It panicked.
    Panicked,
}

/// A block of work that was done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Block {
    /// The first piece.
    pub(crate) first: u64,
    /// Results, from the first piece on: fewer than there are pieces if the work was cancelled.
    pub(crate) count: u64,
    /// How long it took.
    pub(crate) seconds: f64,
    /// The results, or with what the next one panicked.
    pub(crate) results: Result<Vec<u8>, String>,
}

/// From the root.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Down {
    /// Now it compares.
    Compare,
    /// Of the first process that runs something else: rank and what, and what the root runs.
    Program { other: Option<(usize, String)>, own: String },
    /// The same for numbers.
    Numbers { other: Option<(usize, u64)>, own: u64 },
    /// Pieces to be done.
    Block { first: u64, last: u64 },
    /// Begin no more pieces, and tell what is done of those given.
    Stop,
    /// The work is done.
    End,
    /// All is over, and why.
    Fatal { reason: String },
    /// The root's program has returned.
    Returned,
    /// All have left: the last message of all.
    Farewell,
}
