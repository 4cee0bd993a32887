//! What can go wrong where work is saved or read.

use std::io;
use std::path::Path;

/// An alias, because derived code would take the reference for one into the data that are read.
type Name = &'static str;

/// Why work could not be saved, or what was saved is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum SaveError {
    /// The file could not be read or written. What was there before is still there.
    #[error("cannot {action} {path}: {message}")]
    Io {
        /// What was tried.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::numerics::stored::name"))]
        action: Name,
        /// Which file.
        path: String,
        /// The kind of failure.
        #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::io_kind"))]
        kind: io::ErrorKind,
        /// What the system says.
        message: String,
    },
    /// The file is none of this library's.
    #[error("this is no file of saved work or results of contrastive-dynamics")]
    Unknown,
    /// The file ends too early.
    #[error("the file is truncated: it has {found} bytes and should have {expected}")]
    Truncated {
        /// Its length in bytes.
        found: u64,
        /// The length that it should have, as far as it tells.
        expected: u64,
    },
    /// The file is not what was written.
    #[error("the file is corrupted: the checksum of its {part} is not that of what was written")]
    Corrupted {
        /// Which part.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::numerics::stored::name"))]
        part: Name,
    },
    /// The file is of another version of the format.
    #[error(
        "the file has version {found} of the format, and this library reads version {known}: use the library that wrote it"
    )]
    Version {
        /// Its version.
        found: u32,
        /// The version that is read.
        known: u32,
    },
    /// What is kept there is something else.
    #[error("the file holds {found}, and {expected} is looked for: use another file, or remove this one")]
    Kind {
        /// What it is.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// What is kept there belongs to another model, or to work with other settings.
    #[error(
        "what was saved belongs to another model or to other settings (its fingerprint is {found:016x}, that of this work \
         {expected:016x}): use another file, or remove this one"
    )]
    OtherWork {
        /// The fingerprint in the file.
        found: u64,
        /// The fingerprint of this work.
        expected: u64,
    },
    /// It is to be saved after every none.
    #[error("work is saved after every so many steps, replicates, starts or points, at least 1, got 0")]
    Never,
    /// What was read does not fit together.
    #[error("what was saved cannot be taken over: {reason}")]
    Content {
        /// Why not.
        reason: String,
    },
    /// A value has no form as data.
    #[error("the value cannot be written: {reason}")]
    NotData {
        /// Why not.
        reason: String,
    },
    /// The processes that share the work do not do the same.
    #[error("the processes that share this work have other models, settings or seeds: start all of them alike")]
    OtherProcesses,
    /// A store other than a file failed.
    #[error("{message}")]
    Store {
        /// What it says.
        message: String,
    },
}

impl SaveError {
    /// Of a failed action on a file.
    pub(super) fn io(action: &'static str, path: &Path, error: &io::Error) -> Self {
        Self::Io { action, path: path.display().to_string(), kind: error.kind(), message: error.to_string() }
    }

    /// Of content that does not fit.
    pub(crate) fn content(reason: impl Into<String>) -> Self {
        Self::Content { reason: reason.into() }
    }
}
