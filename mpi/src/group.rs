//! The processes that work together, and how one of them ends all.
//!
//! Covers who is there, messages of known kinds, comparisons, values for all, and ends. Not here: work that is shared out (see
//! `lead` and `serve`).

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mpi::Rank;
use mpi::topology::{Communicator, SimpleCommunicator};
use send_wrapper::SendWrapper;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::executor::Traffic;
use crate::message::{Down, How, Up};
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

/// Characters of the longest reason that is sent.
const LONGEST_REASON: usize = 500;

/// Whether this process is in the midst of shared work, of whatever executor.
static BUSY: AtomicBool = AtomicBool::new(false);

/// All processes, as one of them sees them. It speaks on the thread that made it.
pub(crate) struct Group {
    communicator: SendWrapper<SimpleCommunicator>,
    pub(crate) rank: usize,
    pub(crate) size: usize,
    /// Whether all has ended for another reason than that programs returned.
    over: AtomicBool,
    /// How many things were done together so far.
    calls: AtomicU64,
    /// Of others than the root: how many things the root has done together with others, once it has returned.
    all: AtomicU64,
    /// Messages from the root, which is ahead, for what this process does later.
    later: Mutex<VecDeque<(u64, Down)>>,
    /// Values for all that came before they were waited for.
    shares: Mutex<VecDeque<Vec<u8>>>,
    /// Of the root: who takes part in nothing any more.
    left: Mutex<Vec<Option<How>>>,
    traffic: Mutex<Traffic>,
}

/// What is behind a lock. Nothing panics while one is held but where all is over.
fn locked<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
            over: AtomicBool::new(false),
            calls: AtomicU64::new(0),
            all: AtomicU64::new(u64::MAX),
            later: Mutex::default(),
            shares: Mutex::default(),
            left: Mutex::new(vec![None; size]),
            traffic: Mutex::new(Traffic::default()),
        }
    }

    pub(crate) fn is_root(&self) -> bool {
        self.rank == ROOT
    }

    /// Ranks other than the root.
    pub(crate) fn others(&self) -> Range<usize> {
        ROOT + 1..self.size
    }

    /// Whether things are done here alone: of one process, and within work that is shared out already.
    ///
    /// # Panics
    /// On another thread than that which made it, unless that is one on which shared work computes.
    pub(crate) fn is_alone(&self) -> bool {
        let alone = self.size == 1 || BUSY.load(Ordering::Relaxed);
        assert!(
            alone || self.communicator.valid(),
            "an MpiExecutor shares out work on the thread that made it, and this is another one"
        );
        alone
    }

    /// The next thing that is done together, unless it is done here alone.
    pub(crate) fn together(&self) -> Option<Together<'_>> {
        if self.is_alone() {
            return None;
        }
        BUSY.store(true, Ordering::Relaxed);
        let together = Together { group: self, call: self.calls.fetch_add(1, Ordering::Relaxed) + 1 };
        if self.over.load(Ordering::Relaxed) {
            together.fatal("all has ended before".to_owned());
        }
        let left = locked(&self.left).iter().enumerate().find_map(|(rank, how)| how.map(|how| (rank, how)));
        if let Some((rank, how)) = left {
            together.has_left(rank, how);
        }
        together.check_all();
        Some(together)
    }

    /// What was sent and received so far.
    pub(crate) fn traffic(&self) -> Traffic {
        *locked(&self.traffic)
    }

    /// Counts what the root had of others.
    pub(crate) fn count_blocks(&self, blocks: u32, seconds: f64) {
        let mut traffic = locked(&self.traffic);
        traffic.blocks += u64::from(blocks);
        traffic.root_seconds += seconds;
    }

    fn count(&self, bytes: usize) {
        let mut traffic = locked(&self.traffic);
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

    /// A message with the number of the thing that was begun last.
    fn numbered(&self, message: &impl Serialize) -> Vec<u8> {
        bytes(&(self.calls.load(Ordering::Relaxed), message))
    }

    fn up(&self, message: &Up) {
        self.send(ROOT, Tag::Up, &self.numbered(message));
    }

    /// Tells one.
    fn down(&self, to: usize, message: &Down) {
        self.send(to, Tag::Down, &self.numbered(message));
    }

    /// Tells all that are still there.
    fn tell(&self, message: &Down) {
        let body = self.numbered(message);
        let left = locked(&self.left).clone();
        self.others().filter(|&rank| left[rank].is_none()).for_each(|rank| self.send(rank, Tag::Down, &body));
    }

    /// What has come to the root, if anything: from whom, to which thing it belongs, and what.
    fn hear_up(&self) -> Option<(usize, u64, Up)> {
        let (from, body) = self.look(None, Tag::Up)?;
        let (call, message) = parsed::<(u64, Up)>(&body);
        if let Up::Left(how) = message {
            locked(&self.left)[from] = Some(how);
        }
        Some((from, call, message))
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

    /// A value for all that has come, handed on.
    fn shared(&self) -> Option<Vec<u8>> {
        let (_, body) = self.look(Some(self.parent()), Tag::Share)?;
        self.hand_on(&body);
        Some(body)
    }

    /// Tells all that it is over, once.
    fn end_all(&self, reason: &str) {
        if !self.over.swap(true, Ordering::Relaxed) {
            self.tell(&Down::Fatal { reason: reason.chars().take(LONGEST_REASON).collect() });
        }
    }

    /// Takes part in the end: nobody leaves while another may still send to it.
    pub(crate) fn leave(&self) {
        if self.size == 1 || !self.communicator.valid() || mpi::is_finalized() {
            return;
        }
        let (over, panicked) = (self.over.load(Ordering::Relaxed), std::thread::panicking());
        let mut pause = Pause::new();
        if self.is_root() {
            if panicked {
                self.end_all("rank 0 has panicked");
            } else if !over {
                self.tell(&Down::Returned);
            }
            while !locked(&self.left)[1..].iter().all(Option::is_some) {
                match self.hear_up() {
                    Some((_, _, Up::Left(_))) => pause.reset(),
                    // It begins something that the root does not do.
                    Some(_) => self.end_all("rank 0 has returned"),
                    None => std::thread::sleep(pause.next()),
                }
            }
            self.others().for_each(|rank| self.down(rank, &Down::Farewell));
        } else {
            self.up(&Up::Left(if panicked && !over { How::Panicked } else { How::Returned }));
            loop {
                if self.shared().is_some() {
                    pause.reset();
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
    call: u64,
}

impl Drop for Together<'_> {
    fn drop(&mut self) {
        BUSY.store(false, Ordering::Relaxed);
        if self.group.is_root() && std::thread::panicking() {
            self.group.end_all("rank 0 has panicked");
        }
    }
}

impl Together<'_> {
    /// Ends all processes. The root panics and says why, the others end in silence.
    pub(crate) fn fatal(&self, reason: String) -> ! {
        if self.group.is_root() {
            self.group.end_all(&reason);
            panic!("{reason}");
        }
        self.group.over.store(true, Ordering::Relaxed);
        std::panic::resume_unwind(Box::new(reason))
    }

    /// Ends this process if the root has returned and does not do this.
    fn check_all(&self) {
        if self.call > self.group.all.load(Ordering::Relaxed) {
            self.group.over.store(true, Ordering::Relaxed);
            // One says so.
            assert!(self.group.rank != 1, "rank 0 has returned before the others");
            self.fatal("rank 0 has returned".to_owned());
        }
    }

    /// Ends all because one has left.
    pub(crate) fn has_left(&self, rank: usize, how: How) -> ! {
        let how = if how == How::Panicked { "panicked" } else { "returned" };
        self.fatal(format!(
            "rank {rank} has {how} before the others: every process must run the same program to its end"
        ))
    }

    /// Ends all because one does something else.
    pub(crate) fn differs(&self, rank: usize, message: &Up) -> ! {
        let said: String = format!("{message:?}").chars().take(100).collect();
        self.fatal(format!(
            "rank {rank} does other things than rank 0 ({said}): every process must call the same in the same order"
        ))
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

    /// What has come to the root, if anything, even that somebody has left.
    pub(crate) fn hear_any(&self) -> Option<(usize, Up)> {
        match self.group.hear_up()? {
            (rank, _, left @ Up::Left(_)) => Some((rank, left)),
            (rank, call, heard) if call == self.call => Some((rank, heard)),
            (rank, _, heard) => self.differs(rank, &heard),
        }
    }

    /// What has come to the root, if anything; if somebody has left, all end.
    pub(crate) fn hear_up(&self) -> Option<(usize, Up)> {
        match self.hear_any()? {
            (rank, Up::Left(how)) => self.has_left(rank, how),
            heard => Some(heard),
        }
    }

    /// What has come from the root, if anything; if that is the end, this process ends. Values for all that come meanwhile are for
    /// later, or this process does other things than those above it.
    pub(crate) fn hear_down(&self) -> Option<Down> {
        if let Some(body) = self.group.shared() {
            if call_of(&body) <= self.call {
                self.unexpected("a value for all");
            }
            locked(&self.group.shares).push_back(body);
        }
        self.hear_order()
    }

    fn hear_order(&self) -> Option<Down> {
        let mut later = locked(&self.group.later);
        if later.front().is_some_and(|(call, _)| *call == self.call) {
            return later.pop_front().map(|(_, heard)| heard);
        }
        match self.group.hear_down()? {
            (_, Down::Fatal { reason }) => self.fatal(reason),
            (calls, Down::Returned) => {
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
            (_, heard) => self.unexpected(&format!("{heard:?}")),
        }
    }

    /// A message that has no place here.
    pub(crate) fn unexpected(&self, message: &str) -> ! {
        panic!(
            "rank {} does not expect {message} here: every process must call the same in the same order",
            self.group.rank
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
                match self.hear_down() {
                    None => std::thread::sleep(pause.next()),
                    Some(Down::Compare) => {}
                    Some(heard) => {
                        return read(heard.clone()).unwrap_or_else(|| self.unexpected(&format!("{heard:?}")));
                    }
                }
            }
        }
        self.tell(&Down::Compare);
        let mut others: Vec<Option<V>> = self.group.others().map(|_| None).collect();
        while others.iter().any(Option::is_none) {
            let Some((rank, heard)) = self.hear_up() else {
                std::thread::sleep(pause.next());
                continue;
            };
            others[rank - 1] = Some(answer(heard.clone()).unwrap_or_else(|| self.differs(rank, &heard)));
        }
        let other = others.into_iter().flatten().zip(1..).find(|(other, _)| *other != own);
        let told = verdict(other.map(|(other, rank)| (rank, other)), own);
        self.tell(&told);
        read(told.clone()).unwrap_or_else(|| self.unexpected(&format!("{told:?}")))
    }

    /// What `make` gives in the root, in all.
    pub(crate) fn once<V: Serialize + DeserializeOwned>(&self, make: impl FnOnce() -> V) -> V {
        if self.group.is_root() {
            let value = make();
            match postcard::to_stdvec(&(self.call, &value)) {
                Ok(body) => self.group.hand_on(&body),
                Err(error) => self.fatal(format!("what is for all cannot be written as bytes: {error}")),
            }
            return value;
        }
        let mut pause = Pause::new();
        loop {
            let early = locked(&self.group.shares).pop_front();
            if let Some(body) = early.or_else(|| self.group.shared()) {
                match postcard::from_bytes::<(u64, V)>(&body) {
                    Ok((call, value)) if call == self.call => return value,
                    _ if call_of(&body) != self.call => self.unexpected("another value for all"),
                    Ok(_) => self.unexpected("that value for all"),
                    Err(error) => panic!("a value for all cannot be read: {error}"),
                }
            }
            if let Some(heard) = self.hear_order() {
                self.unexpected(&format!("{heard:?}"));
            }
            std::thread::sleep(pause.next());
        }
    }
}

/// The number of the thing to which a value for all belongs.
fn call_of(body: &[u8]) -> u64 {
    postcard::take_from_bytes(body).map_or(0, |(call, _)| call)
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
