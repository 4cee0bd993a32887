//! Files that are replaced whole or not at all.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::error::SaveError;

/// Where a file is written before it takes its place.
fn partial(path: &Path) -> PathBuf {
    let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
    name.push(".partial");
    path.with_file_name(name)
}

/// Writes a file so that whoever looks sees either what was there before or all of the new content, whatever happens in
/// between: a process that is killed, a full disk, a machine without power. It is written beside its place under its name
/// with `.partial` at the end, brought to the disk, and renamed.
///
/// # Errors
/// [`SaveError::Io`]; then what was there before is still there.
///
/// ```
/// let path = std::env::temp_dir().join("contrastive-dynamics-replace");
/// contrastive_dynamics::save::replace(&path, b"one")?;
/// contrastive_dynamics::save::replace(&path, b"two")?;
/// assert_eq!(std::fs::read(&path).expect("it is there"), b"two");
/// # std::fs::remove_file(&path).expect("it is there");
/// # Ok::<(), contrastive_dynamics::save::SaveError>(())
/// ```
pub fn replace(path: impl AsRef<Path>, content: &[u8]) -> Result<(), SaveError> {
    replace_by_parts(path.as_ref(), &[content])
}

/// As [`replace`], of several parts.
pub(super) fn replace_by_parts(path: &Path, parts: &[&[u8]]) -> Result<(), SaveError> {
    let partial = partial(path);
    let written = fs::File::create(&partial).and_then(|mut file| {
        parts.iter().try_for_each(|part| file.write_all(part))?;
        file.sync_all()
    });
    let moved = written
        .map_err(|error| SaveError::io("write", path, &error))
        .and_then(|()| fs::rename(&partial, path).map_err(|error| SaveError::io("replace", path, &error)));
    if moved.is_err() {
        // What is in the way of nobody need not be removed.
        let _ = fs::remove_file(&partial);
        return moved;
    }
    // That the name leads to the new file is on the disk only with the folder.
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        fs::File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| SaveError::io("bring to the disk", path, &error))?;
    }
    Ok(())
}
