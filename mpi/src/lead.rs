//! How the root shares out work, and combines the results in the order of their numbers.

use std::collections::{BTreeMap, VecDeque};
use std::ops::{ControlFlow, Range};
use std::time::Instant;

use contrastive_dynamics::parallel::Cancel;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::crew::{Crew, Work, threads};
use crate::group::{Pause, Together};
use crate::message::{Block, Down, Up};
use crate::schedule::{Mean, Situation};

/// A process that works.
#[derive(Default)]
struct Member {
    threads: usize,
    /// The blocks that it has been given.
    given: Vec<Range<u64>>,
    /// How many blocks it waits for.
    asks: usize,
}

/// Work that is shared out.
struct Lead<'t, R> {
    together: &'t Together<'t>,
    crew: Crew<'t>,
    /// Bytes of results that may wait for their turn.
    memory: usize,
    members: Vec<Member>,
    threads: usize,
    /// Who waits for a block, in the order of asking.
    hungry: VecDeque<usize>,
    /// What nobody has been given.
    left: Range<u64>,
    /// Blocks that are done and wait for their turn, by the first piece.
    waiting: BTreeMap<u64, Block>,
    waiting_bytes: usize,
    /// The next piece to be combined.
    next: u64,
    end: u64,
    stopping: bool,
    /// Seconds of a piece, its bytes, and seconds of the root with a block.
    piece: Mean,
    bytes: Mean,
    root: Mean,
    consume: &'t mut dyn FnMut(u64, R) -> ControlFlow<()>,
}

/// Runs the work in all processes. It returns when all have heard its end.
pub(crate) fn lead<R: Send + Serialize + DeserializeOwned>(
    together: &Together<'_>,
    memory: usize,
    range: Range<u64>,
    cancel: &Cancel,
    work: Work<'_, R>,
    consume: &mut dyn FnMut(u64, R) -> ControlFlow<()>,
) {
    let stop = Cancel::new();
    std::thread::scope(|scope| {
        let size = together.group.size;
        let mut lead = Lead {
            together,
            crew: Crew::start(scope, &stop, work),
            memory,
            members: (0..size).map(|_| Member::default()).collect(),
            threads: 0,
            hungry: VecDeque::new(),
            left: range.clone(),
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            next: range.start,
            end: range.end.max(range.start),
            stopping: false,
            piece: Mean::of_processes(size),
            bytes: Mean::of_processes(size),
            root: Mean::of_processes(size),
            consume,
        };
        lead.join(0, threads());
        lead.run(cancel);
        drop(lead);
        end(together);
    });
}

/// Tells all others that the work is done, and waits until they have heard it: what they had sent before is dropped.
fn end(together: &Together<'_>) {
    together.tell(&Down::End);
    let mut pause = Pause::new();
    let mut heard = vec![false; together.group.size];
    while together.group.others().any(|rank| !heard[rank]) {
        match together.hear_any() {
            Some((rank, Up::Bye)) => heard[rank] = true,
            // Who has heard it may leave; who has not, does not do this work.
            Some((rank, Up::Left(_))) if heard[rank] => {}
            Some((rank, Up::Left(how))) => together.has_left(rank, how),
            Some((_, Up::Ready { .. } | Up::Done(_))) => pause.reset(),
            Some((rank, other)) => together.differs(rank, &other),
            None => std::thread::sleep(pause.next()),
        }
    }
}

impl<R: DeserializeOwned> Lead<'_, R> {
    fn run(&mut self, cancel: &Cancel) {
        let mut pause = Pause::new();
        loop {
            let (begin, mut blocks, mut heard) = (Instant::now(), 0_u32, false);
            while let Some((rank, message)) = self.together.hear_up() {
                heard = true;
                match message {
                    Up::Ready { threads } => self.join(rank, threads),
                    Up::Done(block) => {
                        blocks += 1;
                        self.take(rank, block);
                    }
                    other => self.together.differs(rank, &other),
                }
            }
            // What is combined takes its time by the piece, however large blocks are.
            if blocks > 0 {
                self.root.add(begin.elapsed().as_secs_f64(), f64::from(blocks));
            }
            while let Ok(block) = self.crew.done.try_recv() {
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
                self.together.group.count_blocks(blocks, begin.elapsed().as_secs_f64());
            }
            if heard {
                pause.reset();
            } else if let Ok(block) = self.crew.done.recv_timeout(pause.next()) {
                self.take(0, block);
            }
        }
    }

    /// A process is there.
    fn join(&mut self, rank: usize, threads: usize) {
        self.threads += threads.max(1);
        self.members[rank].threads = threads.max(1);
        self.ask(rank, threads.max(1));
    }

    /// A process may have so many blocks.
    fn ask(&mut self, rank: usize, most: usize) {
        let member = &mut self.members[rank];
        while member.given.len() + member.asks < most {
            member.asks += 1;
            self.hungry.push_back(rank);
        }
    }

    /// A block is done, or the first of it.
    fn take(&mut self, rank: usize, block: Block) {
        let given = &mut self.members[rank].given;
        let Some(at) = given.iter().position(|given| given.start == block.first) else {
            self.together.fatal(format!("rank {rank} has done a block that it was not given"))
        };
        let given = given.swap_remove(at);
        match &block.results {
            Err(reason) => self.together.fatal(format!("rank {rank}: {reason}")),
            Ok(bytes) => {
                self.waiting_bytes += bytes.len();
                self.bytes.add(bytes.len() as f64, block.count as f64);
            }
        }
        self.piece.add(block.seconds, block.count as f64);
        if block.count < given.end - given.start {
            self.begin_no_more();
        }
        self.waiting.insert(block.first, block);
        let most = self.members[rank].threads * self.situation().blocks();
        self.ask(rank, most);
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

    /// What the next block is made of.
    fn situation(&self) -> Situation {
        Situation {
            left: self.left.end.saturating_sub(self.left.start),
            threads: self.threads,
            processes: self.together.group.size,
            piece: self.piece.value(),
            root: self.root.value(),
            bytes: self.bytes.value(),
            memory: self.memory,
        }
    }

    /// Gives blocks to those that wait for some.
    fn give(&mut self) {
        while !self.stopping && !self.left.is_empty() && self.waiting_bytes <= self.memory {
            let Some(rank) = self.hungry.pop_front() else { return };
            let first = self.left.start;
            let last = (first + self.situation().pieces()).min(self.left.end);
            self.left.start = last;
            self.members[rank].asks -= 1;
            self.members[rank].given.push(first..last);
            if rank == 0 {
                self.crew.give(first..last);
            } else {
                self.together.down(rank, &Down::Block { first, last });
            }
        }
    }

    /// Gives nothing more, and asks for what is done of what was given.
    fn begin_no_more(&mut self) {
        if !std::mem::replace(&mut self.stopping, true) {
            self.crew.stop();
            let working = |rank: &usize| !self.members[*rank].given.is_empty();
            self.together.group.others().filter(working).for_each(|rank| self.together.down(rank, &Down::Stop));
        }
    }
}
