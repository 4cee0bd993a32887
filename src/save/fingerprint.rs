//! What saved work belongs to, in one number.

use crc::{CRC_64_XZ, Crc};

use crate::Scalar;

const CRC: Crc<u64> = Crc::<u64>::new(&CRC_64_XZ);

/// The checksum of bytes.
#[cfg(feature = "serde")]
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    CRC.checksum(bytes)
}

/// What saved work belongs to: its kind, and a number (CRC-64/XZ) made of all that decides about its bits. Of a model that is
/// not what it is called but what it answers: its settings, σ, φ and the loss at fixed arguments, moments and a few samples
/// of its laws. So closures and types of your own have one, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    kind: &'static str,
    value: u64,
}

impl Fingerprint {
    /// Of that kind of work, and nothing else yet. The kind is told in errors: "a run of direct SGD".
    #[must_use]
    pub fn of(kind: &'static str) -> Self {
        Self { kind, value: 0 }.text(kind)
    }

    /// What kind of work.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The number.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.value
    }

    /// With bytes of that sort: 0 for words, 1 for a whole number, 2 for numbers.
    fn bytes(self, sort: u8, bytes: &[u8]) -> Self {
        let mut digest = CRC.digest();
        digest.update(&self.value.to_le_bytes());
        digest.update(&[sort]);
        digest.update(&(bytes.len() as u64).to_le_bytes());
        digest.update(bytes);
        Self { value: digest.finalize(), ..self }
    }

    /// With these words.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        self.bytes(0, text.as_bytes())
    }

    /// With that whole number.
    #[must_use]
    pub fn count(self, count: u64) -> Self {
        self.bytes(1, &count.to_le_bytes())
    }

    /// With these numbers, to the last bit.
    #[must_use]
    pub fn numbers<T: Scalar>(self, numbers: impl IntoIterator<Item = T>) -> Self {
        let bytes: Vec<u8> = numbers.into_iter().flat_map(|x| x.as_f64().to_bits().to_le_bytes()).collect();
        self.bytes(2, &bytes)
    }

    /// With all that another one is made of.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.count(other.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Value stability: files of before would be refused.
    #[test]
    fn fingerprints_are_pinned_and_tell_everything_apart() {
        let of = || Fingerprint::of("work");
        assert_eq!(of().numbers([1.0, -0.5]).count(3).value(), 0x3892_69a7_36b8_fc8f);
        let all = [
            of(),
            Fingerprint::of("walk"),
            of().text(""),
            of().count(0),
            of().count(1),
            of().numbers([0.0]),
            of().numbers([-0.0]),
            of().numbers([0.0, 0.0]),
            of().numbers([0.0]).numbers([0.0]),
            of().and(of()),
        ];
        for (k, one) in all.iter().enumerate() {
            assert!(all[..k].iter().all(|other| other.value() != one.value()), "{k}");
        }
    }
}
