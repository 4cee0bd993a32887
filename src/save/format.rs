//! The format of files: a header, a payload, and a checksum of each.
//!
//! | bytes | content |
//! |---|---|
//! | 8 | "CDSAVE" and a line end, which transfers as text would change |
//! | 4 | version of the format |
//! | 1 + n | length of the kind, and the kind |
//! | 8 | fingerprint |
//! | 8 | length of the payload |
//! | 8 | CRC-64/XZ of all that is above |
//! | | the payload, in the format of the crate postcard |
//! | 8 | CRC-64/XZ of the payload |
//!
//! Numbers are little-endian. A later version may change everything from the kind on, but not how the checksum of the header
//! is found.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::SaveError;
use super::fingerprint::{Fingerprint, checksum};

const MAGIC: &[u8; 8] = b"CDSAVE\r\n";

/// The version written, and the only one read.
const VERSION: u32 = 1;

/// The header of a file.
pub(super) struct Header<'a> {
    kind: &'a str,
    fingerprint: u64,
    length: u64,
}

/// The header, the payload and its checksum.
pub(super) fn encode<V: Serialize>(work: Fingerprint, value: &V) -> Result<[Vec<u8>; 3], SaveError> {
    let payload = postcard::to_stdvec(value).map_err(|error| SaveError::NotData { reason: error.to_string() })?;
    let kind = work.kind().as_bytes();
    let length = u8::try_from(kind.len())
        .map_err(|_| SaveError::NotData { reason: "its kind has more than 255 bytes".to_owned() })?;
    let mut header = MAGIC.to_vec();
    header.extend(VERSION.to_le_bytes());
    header.push(length);
    header.extend(kind);
    header.extend(work.value().to_le_bytes());
    header.extend((payload.len() as u64).to_le_bytes());
    header.extend(checksum(&header).to_le_bytes());
    let own = checksum(&payload).to_le_bytes().to_vec();
    Ok([header, payload, own])
}

/// Bytes that are read one after the other.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], SaveError> {
        let end = self.at.saturating_add(count);
        let taken = self.bytes.get(self.at..end);
        self.at = end;
        taken.ok_or(SaveError::Truncated { found: self.bytes.len() as u64, expected: end as u64 })
    }

    fn word(&mut self) -> Result<u64, SaveError> {
        let mut word = [0; 8];
        word.copy_from_slice(self.take(8)?);
        Ok(u64::from_le_bytes(word))
    }
}

/// The header and the payload, both as they were written.
fn parts(bytes: &[u8]) -> Result<(Header<'_>, &[u8]), SaveError> {
    let mut reader = Reader { bytes, at: 0 };
    // A file that was cut within the first word is told from one of another program.
    if !MAGIC.starts_with(&bytes[..bytes.len().min(MAGIC.len())]) {
        return Err(SaveError::Unknown);
    }
    reader.take(MAGIC.len())?;
    let mut version = [0; 4];
    version.copy_from_slice(reader.take(4)?);
    let version = u32::from_le_bytes(version);
    let kind = usize::from(reader.take(1)?[0]);
    let kind = reader.take(kind)?;
    let (fingerprint, length) = (reader.word()?, reader.word()?);
    let own = checksum(&bytes[..reader.at]);
    if reader.word()? != own {
        return Err(SaveError::Corrupted { part: "header" });
    }
    if version != VERSION {
        return Err(SaveError::Version { found: version, known: VERSION });
    }
    let kind = std::str::from_utf8(kind).map_err(|_| SaveError::Corrupted { part: "header" })?;
    let expected = (reader.at as u64).saturating_add(length).saturating_add(8);
    if (bytes.len() as u64) < expected {
        return Err(SaveError::Truncated { found: bytes.len() as u64, expected });
    }
    let payload = usize::try_from(length).ok().map_or(Err(SaveError::Unknown), |length| reader.take(length))?;
    if reader.word()? != checksum(payload) || reader.at != bytes.len() {
        return Err(SaveError::Corrupted { part: "content" });
    }
    Ok((Header { kind, fingerprint, length }, payload))
}

/// The value in a file of that work.
pub(super) fn decode<V: DeserializeOwned>(work: Fingerprint, bytes: &[u8]) -> Result<V, SaveError> {
    let (header, payload) = parts(bytes)?;
    if header.kind != work.kind() {
        return Err(SaveError::Kind { found: header.kind.to_owned(), expected: work.kind().to_owned() });
    }
    if header.fingerprint != work.value() {
        return Err(SaveError::OtherWork { found: header.fingerprint, expected: work.value() });
    }
    let content = |error: postcard::Error| SaveError::content(format!("{error} ({} bytes)", header.length));
    let (value, rest) = postcard::take_from_bytes(payload).map_err(content)?;
    if rest.is_empty() { Ok(value) } else { Err(SaveError::content("there is more than was asked for")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work() -> Fingerprint {
        Fingerprint::of("three numbers").count(7)
    }

    fn file() -> Vec<u8> {
        encode(work(), &[1.5, f64::NAN, -0.0]).unwrap().concat()
    }

    fn read(bytes: &[u8]) -> Result<[u64; 3], SaveError> {
        decode::<[f64; 3]>(work(), bytes).map(|numbers| numbers.map(f64::to_bits))
    }

    #[test]
    fn what_was_written_is_read_to_the_last_bit() {
        assert_eq!(read(&file()), Ok([1.5, f64::NAN, -0.0].map(f64::to_bits)));
    }

    /// Every flip of a bit and every cut is found, and told as what it is.
    #[test]
    fn whatever_is_changed_is_found() {
        let whole = file();
        for length in 0..whole.len() {
            assert!(matches!(read(&whole[..length]), Err(SaveError::Truncated { .. })), "cut to {length}");
        }
        for bit in 0..8 * whole.len() {
            let mut changed = whole.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let error = read(&changed).unwrap_err();
            let expected = match bit / 8 {
                0..8 => matches!(error, SaveError::Unknown),
                // The length of the kind tells where the checksum is.
                12 => matches!(error, SaveError::Corrupted { part: "header" } | SaveError::Truncated { .. }),
                8..50 => matches!(error, SaveError::Corrupted { part: "header" }),
                _ => matches!(error, SaveError::Corrupted { part: "content" }),
            };
            assert!(expected, "byte {}: {error:?}", bit / 8);
        }
        let more = [whole, vec![0]].concat();
        assert_eq!(read(&more), Err(SaveError::Corrupted { part: "content" }));
    }

    #[test]
    fn what_belongs_to_something_else_is_refused_with_what_it_is() {
        let whole = file();
        let other = decode::<[f64; 3]>(Fingerprint::of("four numbers"), &whole);
        assert!(matches!(&other, Err(SaveError::Kind { found, .. }) if found == "three numbers"), "{other:?}");
        let other = decode::<[f64; 3]>(work().count(8), &whole);
        assert!(matches!(&other, Err(SaveError::OtherWork { .. })), "{other:?}");
        assert!(matches!(decode::<[f64; 2]>(work(), &whole), Err(SaveError::Content { .. })));
        assert!(matches!(decode::<[f64; 4]>(work(), &whole), Err(SaveError::Content { .. })));
        // A later version, with a checksum of its own that is right.
        let mut later = whole;
        later[8] = 2;
        let header = 8 + 4 + 1 + 13 + 16;
        let own = checksum(&later[..header]).to_le_bytes();
        later[header..header + 8].copy_from_slice(&own);
        assert_eq!(read(&later), Err(SaveError::Version { found: 2, known: 1 }));
    }
}
