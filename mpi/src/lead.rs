//! How the root shares out work, and combines the results in the order of their numbers.

use std::collections::{BTreeMap, VecDeque};
use std::ops::{ControlFlow, Range};
use std::sync::PoisonError;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use contrastive_dynamics::parallel::Cancel;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::crew::{compute, threads};
use crate::group::{Pause, Together};
use crate::message::{Block, Down, Up};
use crate::schedule::{Mean, Situation};

/// A process that works.
#[derive(Default)]
struct Member {
    threads: usize,
    /// The blocks that it has been given.
    given: VecDeque<Range<u64>>,
}

/// Work that is shared out.
struct Lead<'t, R> {
    together: &'t Together<'t>,
    /// Bytes of results that may wait for their turn.
    memory: usize,
    members: Vec<Member>,
    all_threads: usize,
    /// Who can be given a block, in the order of asking.
    hungry: VecDeque<usize>,
    own: Sender<Range<u64>>,
    stop: &'t Cancel,
    /// What nobody has been given.
    left: Range<u64>,
    /// Blocks that are done and wait for their turn, by the first piece.
    waiting: BTreeMap<u64, Block>,
    waiting_bytes: usize,
    /// The next piece to be combined.
    next: u64,
    end: u64,
    stopping: bool,
    /// Time of a piece on one thread, and of the root with a block.
    piece: Mean,
    root: Mean,
    consume: &'t mut dyn FnMut(u64, R) -> ControlFlow<()>,
}

/// Runs the work in all processes. It returns when all have heard its end.
pub(crate) fn lead<R: Send + Serialize + DeserializeOwned>(
    together: &Together<'_>,
    memory: usize,
    range: Range<u64>,
    cancel: &Cancel,
    work: &(dyn Fn(u64) -> R + Sync),
    consume: &mut dyn FnMut(u64, R) -> ControlFlow<()>,
) {
    let stop = Cancel::new();
    let (own, blocks) = channel();
    let (tell, done) = channel();
    std::thread::scope(|scope| {
        let halt = Halt(&stop);
        scope.spawn(|| {
            let (blocks, tell) = (blocks, tell);
            compute(&blocks, &tell, &stop, work);
        });
        let mut lead = Lead {
            together,
            memory,
            members: (0..together.group.size).map(|_| Member::default()).collect(),
            all_threads: 0,
            hungry: VecDeque::new(),
            own,
            stop: &stop,
            left: range.clone(),
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            next: range.start,
            end: range.end.max(range.start),
            stopping: false,
            piece: Mean::of_processes(together.group.size),
            root: Mean::of_processes(together.group.size),
            consume,
        };
        lead.join(0, threads());
        lead.run(cancel, &done);
        drop(lead);
        drop(halt);
        end(together);
    });
}

/// Tells this process's own crew to end, even if the root panics.
struct Halt<'s>(&'s Cancel);

impl Drop for Halt<'_> {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Tells all others that the work is done, and waits until they have heard it: what they had sent before is dropped.
fn end(together: &Together<'_>) {
    together.tell(&Down::End);
    let mut pause = Pause::new();
    let mut missing = together.group.others().len();
    while missing > 0 {
        // Who has heard it may leave, and does not after this work if all is well.
        match together.hear_any() {
            Some((_, Up::Bye)) => missing -= 1,
            Some((_, Up::Ready { .. } | Up::Done(_) | Up::Left { panicked: false })) => pause.reset(),
            Some((rank, other)) => {
                together.fatal(format!("rank {rank} says {other:?} while work ends: every process must call the same"))
            }
            None => std::thread::sleep(pause.next()),
        }
    }
}

impl<R: DeserializeOwned> Lead<'_, R> {
    fn run(&mut self, cancel: &Cancel, done: &Receiver<Block>) {
        let mut pause = Pause::new();
        loop {
            let (begin, mut blocks) = (Instant::now(), 0_u32);
            let mut heard = false;
            while let Some((rank, message)) = self.together.hear_up() {
                heard = true;
                match message {
                    Up::Ready { threads, .. } => self.join(rank, threads),
                    Up::Done(block) => {
                        blocks += 1;
                        self.take(rank, block);
                    }
                    other => self.together.fatal(format!(
                        "rank {rank} says {other:?} while work is shared out: every process must call the same"
                    )),
                }
            }
            while let Ok(block) = done.try_recv() {
                heard = true;
                self.take(0, block);
            }
            if self.combine().is_break() || self.next == self.end {
                return;
            }
            if cancel.is_cancelled() {
                self.begin_no_more();
            }
            if self.stopping && self.members.iter().all(|member| member.given.is_empty()) {
                return;
            }
            self.give();
            if blocks > 0 {
                let seconds = begin.elapsed().as_secs_f64();
                self.root.add(seconds, f64::from(blocks));
                let mut traffic = self.together.group.traffic.lock().unwrap_or_else(PoisonError::into_inner);
                traffic.blocks += u64::from(blocks);
                traffic.root_seconds += seconds;
            }
            if heard {
                pause.reset();
            } else if let Ok(block) = done.recv_timeout(pause.next()) {
                self.take(0, block);
            }
        }
    }

    /// A process is there.
    fn join(&mut self, rank: usize, threads: usize) {
        self.members[rank].threads = threads.max(1);
        self.all_threads += threads.max(1);
        self.hungry.push_back(rank);
    }

    /// A block is done, or the first of it.
    fn take(&mut self, rank: usize, block: Block) {
        let member = &mut self.members[rank];
        let Some(given) = member.given.pop_front().filter(|given| given.start == block.first) else {
            self.together.fatal(format!("rank {rank} has done a block that it was not given"))
        };
        match &block.results {
            Err(reason) => self.together.fatal(format!("rank {rank}: {reason}")),
            Ok(bytes) => self.waiting_bytes += bytes.len(),
        }
        if block.count > 0 {
            // Of few pieces not all threads work.
            let working = member.threads.min(usize::try_from(block.count).unwrap_or(usize::MAX));
            self.piece.add(block.seconds * working as f64, block.count as f64);
        }
        if block.count < given.end - given.start {
            self.begin_no_more();
        }
        self.waiting.insert(block.first, block);
        let more = self.situation(rank).blocks().saturating_sub(self.members[rank].given.len());
        self.hungry.extend(std::iter::repeat_n(rank, more));
    }

    /// Combines what has its turn.
    fn combine(&mut self) -> ControlFlow<()> {
        while let Some(block) = self.waiting.remove(&self.next) {
            let bytes = block.results.unwrap_or_default();
            self.waiting_bytes -= bytes.len();
            let mut rest = &bytes[..];
            for index in block.first..block.first + block.count {
                match postcard::take_from_bytes(rest) {
                    Ok((result, after)) => {
                        rest = after;
                        self.next = index + 1;
                        (self.consume)(index, result)?;
                    }
                    Err(error) => self.together.fatal(format!("result {index} cannot be read from bytes: {error}")),
                }
            }
            if block.count == 0 {
                break;
            }
        }
        ControlFlow::Continue(())
    }

    /// What the next block of that process is made of.
    fn situation(&self, rank: usize) -> Situation {
        let member = &self.members[rank];
        Situation {
            left: self.left.end - self.left.start,
            threads: member.threads,
            all_threads: self.all_threads,
            processes: self.together.group.size,
            piece: self.piece.value(),
            root: self.root.value(),
        }
    }

    /// Gives blocks to those that can take them.
    fn give(&mut self) {
        while !self.stopping && !self.left.is_empty() && self.waiting_bytes <= self.memory {
            let Some(rank) = self.hungry.pop_front() else { return };
            let first = self.left.start;
            let last = (first + self.situation(rank).pieces()).min(self.left.end);
            self.left.start = last;
            self.members[rank].given.push_back(first..last);
            if rank == 0 {
                // The crew is there as long as the sender is.
                let _ = self.own.send(first..last);
            } else {
                self.together.down(rank, &Down::Block { first, last });
            }
        }
    }

    /// Gives nothing more, and asks for what is done of what was given.
    fn begin_no_more(&mut self) {
        if !std::mem::replace(&mut self.stopping, true) {
            self.stop.cancel();
            let working = |rank: &usize| !self.members[*rank].given.is_empty();
            self.together.group.others().filter(working).for_each(|rank| self.together.down(rank, &Down::Stop));
        }
    }
}
