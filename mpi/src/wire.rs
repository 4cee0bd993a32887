//! Bytes from one process to another.
//!
//! Covers messages of any length, and looks that do not wait. Not here: what they say (see `message`).

use mpi::Rank;
use mpi::point_to_point::{Destination, Message, Source, Status};
use mpi::topology::{Communicator, SimpleCommunicator};
use mpi::traits::MatchedReceiveVec;

/// Kinds of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tag {
    /// To the root.
    Up = 1,
    /// From the root.
    Down = 2,
    /// From one process to others, for all.
    Share = 3,
    /// More of a long message.
    More = 4,
}

/// MPI counts bytes by 32-bit numbers: longer messages go in parts.
const PART: usize = 1 << 28;

/// Bytes in front: the length.
const HEAD: usize = 8;

/// Sends a message, and returns when its bytes are not needed any more.
pub(crate) fn send(communicator: &SimpleCommunicator, to: Rank, tag: Tag, body: &[u8]) {
    let process = communicator.process_at_rank(to);
    let (first, rest) = body.split_at(body.len().min(PART));
    let mut message = (body.len() as u64).to_le_bytes().to_vec();
    message.extend_from_slice(first);
    process.send_with_tag(&message[..], tag as i32);
    for part in rest.chunks(PART) {
        process.send_with_tag(part, Tag::More as i32);
    }
}

/// A message of that kind that has come, if any, and from whom.
pub(crate) fn look(communicator: &SimpleCommunicator, from: Option<Rank>, tag: Tag) -> Option<(Rank, Vec<u8>)> {
    let found: Option<(Message, Status)> = match from {
        Some(rank) => communicator.process_at_rank(rank).immediate_matched_probe_with_tag(tag as i32),
        None => communicator.any_process().immediate_matched_probe_with_tag(tag as i32),
    };
    let (mut body, status) = found?.matched_receive_vec::<u8>();
    let from = status.source_rank();
    let mut head = [0; HEAD];
    head.copy_from_slice(&body[..HEAD]);
    body.drain(..HEAD);
    let length = usize::try_from(u64::from_le_bytes(head)).unwrap_or(usize::MAX);
    while body.len() < length {
        let (part, _) = communicator.process_at_rank(from).receive_vec_with_tag::<u8>(Tag::More as i32);
        body.extend(part);
    }
    Some((from, body))
}
