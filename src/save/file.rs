//! Work in progress and results in files.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::atomic::replace_by_parts;
use super::error::SaveError;
use super::fingerprint::Fingerprint;
use super::format::{decode, encode};
use super::store::Store;

/// A file that keeps work in progress: one kind of work in one file.
///
/// It has a version, the fingerprint of the work and checksums, and is replaced whole or not at all ([`replace`](super::replace)).
/// What is truncated, corrupted, of a later version, or of another model or other settings is refused by an error that says so.
/// A file that does not exist is no error: the work begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    path: PathBuf,
}

impl File {
    /// The file of that path.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl<V: Serialize + DeserializeOwned> Store<V> for File {
    fn load(&self, work: Fingerprint) -> Result<Option<V>, SaveError> {
        match fs::read(&self.path) {
            Ok(bytes) => decode(work, &bytes).map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(SaveError::io("read", &self.path, &error)),
        }
    }

    fn store(&self, work: Fingerprint, value: &V) -> Result<(), SaveError> {
        put(&self.path, work, value)
    }
}

/// Writes a value of that work.
fn put<V: Serialize>(path: &Path, work: Fingerprint, value: &V) -> Result<(), SaveError> {
    let parts = encode(work, value)?;
    replace_by_parts(path, &parts.each_ref().map(Vec::as_slice))
}

/// What results are.
fn results() -> Fingerprint {
    Fingerprint::of("results")
}

/// Writes results (trajectories, summaries, branches, maps, and whatever is data) into a file, to be read back by
/// [`read`] to the last bit, NaN and infinities included. The file is replaced whole or not at all.
///
/// # Errors
/// [`SaveError::Io`], or [`SaveError::NotData`] for a value that has no form as data.
///
/// ```
/// use contrastive_dynamics::prelude::*;
/// use contrastive_dynamics::save::{read, write};
/// let hidden = Independent::new([Law::two_point(2.25)?])?;
/// let model = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(NoNoise).learning_rate(0.3).build()?;
/// let start = OrderParameters::from_rows(1, 1, &[0.4], &[0.8])?;
/// let trajectory = ReducedOde::new(&model)?.solver().solve(&start, 1.0)?;
/// let path = std::env::temp_dir().join("contrastive-dynamics-results");
/// write(&path, &trajectory)?;
/// assert_eq!(read::<Trajectory>(&path)?, trajectory);
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write<V: Serialize>(path: impl AsRef<Path>, value: &V) -> Result<(), SaveError> {
    put(path.as_ref(), results(), value)
}

/// Reads results that [`write()`] has written. They must be asked for as what they are: the file tells no types.
///
/// # Errors
/// [`SaveError`]: the file cannot be read, is truncated or corrupted, or does not hold that type.
pub fn read<V: DeserializeOwned>(path: impl AsRef<Path>) -> Result<V, SaveError> {
    let path = path.as_ref();
    let bytes = fs::read(path).map_err(|error| SaveError::io("read", path, &error))?;
    decode(results(), &bytes)
}
