//! The processes that work together, and how one of them ends all.
//!
//! Covers who is there, messages of known kinds, comparisons, values for all, and ends. Not here: work that is shared out (see
//! `lead` and `serve`).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use mpi::Rank;
use mpi::topology::{Communicator, SimpleCommunicator};
use send_wrapper::SendWrapper;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::executor::Traffic;
use crate::message::{Down, Up};
use crate::wire::{Tag, look, send};

/// The rank that leads.
const ROOT: usize = 0;

/// The shortest and the longest time between two looks for messages.
const PAUSE: (Duration, Duration) = (Duration::from_micros(20), Duration::from_millis(1));

/// How long to wait until the next look: longer and longer while nothing comes.
pub(crate) struct Pause(Duration);

impl Pause {
    pub(crate) fn new() -> Self {
        Self(PAUSE.0)
    }

    /// Something came.
    pub(crate) fn reset(&mut self) {
        self.0 = PAUSE.0;
    }

    /// The time until the next look.
    pub(crate) fn next(&mut self) -> Duration {
        let now = self.0;
        self.0 = (now * 2).min(PAUSE.1);
        now
    }
}

/// All processes, as one of them sees them. It speaks on the thread that made it.
pub(crate) struct Group {
    communicator: SendWrapper<SimpleCommunicator>,
    pub(crate) rank: usize,
    pub(crate) size: usize,
    /// Whether this thread is in the midst of shared work.
    busy: AtomicBool,
    /// Whether all has ended for another reason than that programs returned.
    over: AtomicBool,
    /// How many things were done together so far.
    calls: AtomicU64,
    /// Messages from the root, which is ahead, for what this process does later.
    later: Mutex<VecDeque<(u64, Down)>>,
    /// Of others than the root: how many things the root has done together with others, once it has returned.
    all: AtomicU64,
    /// Of the root: who takes part in nothing any more.
    left: Mutex<Vec<bool>>,
    pub(crate) traffic: Mutex<Traffic>,
}

impl Group {
    /// Everybody in a communicator; its messages are not mixed with others of that communicator.
    pub(crate) fn new(communicator: &impl Communicator) -> Self {
        let own = communicator.duplicate();
        let number = |rank: Rank| usize::try_from(rank).unwrap_or(0);
        let (rank, size) = (number(own.rank()), number(own.size()));
        Self {
            communicator: SendWrapper::new(own),
            rank,
            size,
            busy: AtomicBool::new(false),
            over: AtomicBool::new(false),
            calls: AtomicU64::new(0),
            later: Mutex::new(VecDeque::new()),
            all: AtomicU64::new(u64::MAX),
            left: Mutex::new(vec![false; size]),
            traffic: Mutex::new(Traffic::default()),
        }
    }

    pub(crate) fn is_root(&self) -> bool {
        self.rank == ROOT
    }

    /// Ranks other than the root.
    pub(crate) fn others(&self) -> std::ops::Range<usize> {
        ROOT + 1..self.size
    }

    /// Whether things are done here alone: of one process, on other threads, and within work that is shared out already.
    pub(crate) fn is_alone(&self) -> bool {
        self.size == 1 || !self.communicator.valid() || self.busy.load(Ordering::Relaxed)
    }

    /// The next thing that is done together, unless it is done here alone.
    pub(crate) fn together(&self) -> Option<Together<'_>> {
        if self.is_alone() {
            return None;
        }
        self.busy.store(true, Ordering::Relaxed);
        let together = Together { group: self, call: self.calls.fetch_add(1, Ordering::Relaxed) + 1 };
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner).iter().position(|&left| left);
        if let Some(rank) = left {
            together.left(rank, false);
        }
        together.check_all();
        Some(together)
    }

    fn count(&self, bytes: usize) {
        let mut traffic = self.traffic.lock().unwrap_or_else(PoisonError::into_inner);
        traffic.messages += 1;
        traffic.bytes += bytes as u64;
    }

    fn send(&self, to: usize, tag: Tag, body: &[u8]) {
        self.count(body.len());
        send(&self.communicator, Rank::try_from(to).unwrap_or(Rank::MAX), tag, body);
    }

    fn look(&self, from: Option<usize>, tag: Tag) -> Option<(usize, Vec<u8>)> {
        let from = from.map(|rank| Rank::try_from(rank).unwrap_or(Rank::MAX));
        let (from, body) = look(&self.communicator, from, tag)?;
        self.count(body.len());
        Some((usize::try_from(from).unwrap_or(0), body))
    }

    fn up(&self, message: &Up) {
        self.send(ROOT, Tag::Up, &bytes(message));
    }

    /// Tells one; the message belongs to the last thing that was begun.
    fn down(&self, to: usize, message: &Down) {
        self.send(to, Tag::Down, &bytes(&(self.calls.load(Ordering::Relaxed), message)));
    }

    /// Tells all that are still there.
    fn tell(&self, message: &Down) {
        let body = bytes(&(self.calls.load(Ordering::Relaxed), message));
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.others().filter(|&rank| !left[rank]).for_each(|rank| self.send(rank, Tag::Down, &body));
    }

    /// What has come to the root, if anything.
    fn hear_up(&self) -> Option<(usize, Up)> {
        let (from, body) = self.look(None, Tag::Up)?;
        let message = parsed::<Up>(&body);
        if matches!(message, Up::Left { .. }) {
            self.left.lock().unwrap_or_else(PoisonError::into_inner)[from] = true;
            self.down(from, &Down::Farewell);
        }
        Some((from, message))
    }

    /// What has come from the root, if anything, and to which thing it belongs.
    fn hear_down(&self) -> Option<(u64, Down)> {
        self.look(Some(ROOT), Tag::Down).map(|(_, body)| parsed(&body))
    }

    /// The process above this one in the tree by which a value goes to all, a binomial one.
    fn parent(&self) -> usize {
        self.rank & (self.rank - 1)
    }

    /// Hands a value on to those below.
    fn hand_on(&self, body: &[u8]) {
        let below = if self.is_root() { usize::BITS } else { self.rank.trailing_zeros() };
        let ranks = (0..below).rev().filter_map(|bit| self.rank.checked_add(1_usize.checked_shl(bit)?));
        ranks.filter(|&rank| rank < self.size).for_each(|rank| self.send(rank, Tag::Share, body));
    }

    /// Takes part in the end: nobody leaves while another may still send to it.
    pub(crate) fn leave(&self) {
        if self.size == 1 || !self.communicator.valid() || mpi::is_finalized() {
            return;
        }
        let (over, panicked) = (self.over.load(Ordering::Relaxed), std::thread::panicking());
        let mut pause = Pause::new();
        if self.is_root() {
            if !over {
                let (calls, reason) = (self.calls.load(Ordering::Relaxed), "rank 0 has panicked".to_owned());
                self.tell(&if panicked { Down::Fatal { reason } } else { Down::Returned { calls } });
            }
            let all = || self.left.lock().unwrap_or_else(PoisonError::into_inner)[1..].iter().all(|&left| left);
            while !all() {
                if self.hear_up().is_none() {
                    std::thread::sleep(pause.next());
                }
            }
        } else {
            self.up(&Up::Left { panicked: panicked && !over });
            loop {
                if let Some((_, body)) = self.look(Some(self.parent()), Tag::Share) {
                    self.hand_on(&body);
                }
                match self.hear_down() {
                    Some((_, Down::Farewell)) => return,
                    Some(_) => pause.reset(),
                    None => std::thread::sleep(pause.next()),
                }
            }
        }
    }
}

/// One thing that all processes do together.
pub(crate) struct Together<'g> {
    pub(crate) group: &'g Group,
    /// Its number: all must do the same in the same order.
    pub(crate) call: u64,
}

impl Drop for Together<'_> {
    fn drop(&mut self) {
        let group = self.group;
        group.busy.store(false, Ordering::Relaxed);
        if group.is_root() && std::thread::panicking() && !group.over.swap(true, Ordering::Relaxed) {
            group.tell(&Down::Fatal { reason: "rank 0 has panicked".to_owned() });
        }
    }
}

impl Together<'_> {
    /// Ends all processes. The root panics and says why, the others end in silence.
    pub(crate) fn fatal(&self, reason: String) -> ! {
        let told = self.group.over.swap(true, Ordering::Relaxed);
        if self.group.is_root() {
            if !told {
                self.group.tell(&Down::Fatal { reason: reason.clone() });
            }
            panic!("{reason}");
        }
        std::panic::resume_unwind(Box::new(reason))
    }

    pub(crate) fn up(&self, message: &Up) {
        self.group.up(message);
    }

    pub(crate) fn down(&self, to: usize, message: &Down) {
        self.group.down(to, message);
    }

    pub(crate) fn tell(&self, message: &Down) {
        self.group.tell(message);
    }

    /// Ends this process if the root has returned and does not do this.
    fn check_all(&self) {
        if self.call > self.group.all.load(Ordering::Relaxed) {
            self.fatal("rank 0 has returned".to_owned());
        }
    }

    /// Ends all because one has left.
    fn left(&self, rank: usize, panicked: bool) -> ! {
        let how = if panicked { "panicked" } else { "returned" };
        self.fatal(format!(
            "rank {rank} has {how} before the others: every process must run the same program to its end"
        ))
    }

    /// What has come to the root, if anything, even that somebody has left.
    pub(crate) fn hear_any(&self) -> Option<(usize, Up)> {
        self.group.hear_up()
    }

    /// What has come to the root, if anything; if somebody has left, all end.
    pub(crate) fn hear_up(&self) -> Option<(usize, Up)> {
        match self.group.hear_up()? {
            (rank, Up::Left { panicked }) => self.left(rank, panicked),
            (rank, Up::Ready { call, .. }) if call != self.call => self.fatal(format!(
                "rank {rank} shares out other work than rank 0: every process must call the same in the same order"
            )),
            heard => Some(heard),
        }
    }

    /// What has come from the root, if anything; if that is the end, this process ends.
    pub(crate) fn hear_down(&self) -> Option<Down> {
        let mut later = self.group.later.lock().unwrap_or_else(PoisonError::into_inner);
        if later.front().is_some_and(|(call, _)| *call == self.call) {
            return later.pop_front().map(|(_, heard)| heard);
        }
        match self.group.hear_down()? {
            (_, Down::Fatal { reason }) => self.fatal(reason),
            (_, Down::Returned { calls }) => {
                // What it did before it returned is on the way.
                self.group.all.store(calls, Ordering::Relaxed);
                self.check_all();
                None
            }
            (call, heard) if call == self.call => Some(heard),
            (call, heard) if call > self.call => {
                later.push_back((call, heard));
                None
            }
            (_, heard) => self.unexpected(&heard),
        }
    }

    /// A message that has no place here.
    pub(crate) fn unexpected(&self, message: &impl std::fmt::Debug) -> ! {
        let rank = self.group.rank;
        panic!(
            "rank {rank} does not expect {message:?} here: every process must call the same in the same order ({})",
            self.call
        );
    }

    /// The first of the processes whose answer is not the root's, and the root's.
    pub(crate) fn compare<V: PartialEq>(
        &self,
        own: V,
        question: impl Fn(&V) -> Up,
        answer: impl Fn(Up) -> Option<V>,
        verdict: impl Fn(Option<(usize, V)>, V) -> Down,
        read: impl Fn(Down) -> Option<(Option<(usize, V)>, V)>,
    ) -> (Option<(usize, V)>, V) {
        let mut pause = Pause::new();
        if !self.group.is_root() {
            self.up(&question(&own));
            loop {
                if let Some(heard) = self.hear_down() {
                    return read(heard.clone()).unwrap_or_else(|| self.unexpected(&heard));
                }
                std::thread::sleep(pause.next());
            }
        }
        let mut others: Vec<Option<V>> = self.group.others().map(|_| None).collect();
        while others.iter().any(Option::is_none) {
            let Some((rank, heard)) = self.hear_up() else {
                std::thread::sleep(pause.next());
                continue;
            };
            let reason = format!("rank {rank} does other things than rank 0: every process must call the same");
            others[rank - 1] = Some(answer(heard).unwrap_or_else(|| self.fatal(reason)));
        }
        let other = others.into_iter().flatten().zip(1..).find(|(other, _)| *other != own);
        let told = verdict(other.map(|(other, rank)| (rank, other)), own);
        self.tell(&told);
        read(told.clone()).unwrap_or_else(|| self.unexpected(&told))
    }

    /// What `make` gives in the root, in all.
    pub(crate) fn once<V: Serialize + DeserializeOwned>(&self, make: impl FnOnce() -> V) -> V {
        if self.group.is_root() {
            let value = make();
            let begin = Instant::now();
            match postcard::to_stdvec(&(self.call, &value)) {
                Ok(body) => self.group.hand_on(&body),
                Err(error) => self.fatal(format!("what is for all cannot be written as bytes: {error}")),
            }
            self.group.traffic.lock().unwrap_or_else(PoisonError::into_inner).root_seconds +=
                begin.elapsed().as_secs_f64();
            return value;
        }
        let mut pause = Pause::new();
        loop {
            if let Some((_, body)) = self.group.look(Some(self.group.parent()), Tag::Share) {
                self.group.hand_on(&body);
                match postcard::from_bytes::<(u64, V)>(&body) {
                    Ok((call, value)) if call == self.call => return value,
                    Ok((call, _)) => self.unexpected(&format!("the value of call {call}")),
                    Err(error) => panic!("a value for all cannot be read: {error}"),
                }
            }
            if let Some(heard) = self.hear_down() {
                self.unexpected(&heard);
            }
            std::thread::sleep(pause.next());
        }
    }
}

/// A message as bytes. All are made of numbers, words and bytes, which can always be written.
fn bytes(message: &impl Serialize) -> Vec<u8> {
    postcard::to_stdvec(message).unwrap_or_default()
}

/// The message that bytes are.
///
/// # Panics
/// If they are none, which cannot be: all processes run one build.
fn parsed<M: DeserializeOwned>(body: &[u8]) -> M {
    postcard::from_bytes(body).unwrap_or_else(|error| panic!("a message of {} bytes is none: {error}", body.len()))
}
