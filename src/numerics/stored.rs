//! Numbers and matrices as data (feature `serde`): how they look in a file, and how they are read.
//!
//! Covers matrices as rows, vectors as lists, complex numbers as [re, im], and numbers that may be infinite or NaN, which
//! formats for people such as JSON have no numbers for: there they are the words "inf", "-inf" and "NaN". Each module is
//! for `#[serde(with = "...")]`. Not here: states (see `crate::state`).

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use nalgebra::{Complex, DMatrix};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Scalar;

/// The rows of a matrix.
pub(crate) fn to_rows<E: nalgebra::Scalar>(matrix: &DMatrix<E>) -> Vec<Vec<E>> {
    matrix.row_iter().map(|row| row.iter().cloned().collect()).collect()
}

/// The matrix of those rows; an error of ragged ones.
fn of_rows<E: nalgebra::Scalar, X: Error>(rows: &[Vec<E>]) -> Result<DMatrix<E>, X> {
    let columns = rows.first().map_or(0, Vec::len);
    if rows.iter().any(|row| row.len() != columns) {
        return Err(X::custom("the rows of a matrix must be equally long"));
    }
    Ok(DMatrix::from_fn(rows.len(), columns, |i, j| rows[i][j].clone()))
}

fn pair<T: Scalar>(z: &Complex<T>) -> [T; 2] {
    [z.re, z.im]
}

fn of_pair<T>([re, im]: [T; 2]) -> Complex<T> {
    Complex { re, im }
}

/// The longest name, in bytes, and the most names that are kept.
const NAMES: (usize, usize) = (200, 1000);

/// A name that an error holds: one of those that the library itself uses, which are few. Each is kept once, for good; more, or
/// longer ones, are no names.
pub(crate) fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static str, D::Error> {
    static KNOWN: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let name = String::deserialize(deserializer)?;
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(name) = known.get(&*name) {
        return Ok(name);
    }
    if name.len() > NAMES.0 || known.len() >= NAMES.1 {
        return Err(D::Error::custom("no name that the errors of this library hold"));
    }
    let name: &'static str = Box::leak(name.into_boxed_str());
    known.insert(name);
    Ok(name)
}

/// Kinds of failures of the system.
pub(crate) mod io_kind {
    use std::io::ErrorKind::{
        self, AlreadyExists, Interrupted, InvalidData, InvalidInput, IsADirectory, NotADirectory, NotFound, Other,
        OutOfMemory, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull, TimedOut, UnexpectedEof,
        Unsupported, WriteZero,
    };

    use super::{Deserialize, Deserializer, Serialize, Serializer};

    /// Those of files; any other is `Other`.
    const KINDS: [ErrorKind; 17] = [
        Other,
        NotFound,
        PermissionDenied,
        AlreadyExists,
        Interrupted,
        InvalidData,
        InvalidInput,
        IsADirectory,
        NotADirectory,
        OutOfMemory,
        QuotaExceeded,
        ReadOnlyFilesystem,
        StorageFull,
        TimedOut,
        UnexpectedEof,
        Unsupported,
        WriteZero,
    ];

    #[allow(clippy::trivially_copy_pass_by_ref)] // derived code calls it so
    pub(crate) fn serialize<S: Serializer>(kind: &ErrorKind, serializer: S) -> Result<S::Ok, S::Error> {
        KINDS.iter().position(|known| known == kind).unwrap_or(0).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ErrorKind, D::Error> {
        let kind = usize::deserialize(deserializer)?;
        Ok(KINDS.get(kind).copied().unwrap_or(Other))
    }
}

/// A number that may be infinite or NaN.
struct Extended<T>(T);

/// What a format for people says where it has no number.
#[derive(Serialize, Deserialize)]
enum Word {
    #[serde(rename = "inf")]
    Infinity,
    #[serde(rename = "-inf")]
    MinusInfinity,
    #[serde(rename = "NaN")]
    NotANumber,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Read<T> {
    Number(T),
    Word(Word),
}

impl<T: Scalar + Serialize> Serialize for Extended<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_finite() || !serializer.is_human_readable() {
            return self.0.serialize(serializer);
        }
        let word = if self.0 > T::zero() {
            Word::Infinity
        } else if self.0 < T::zero() {
            Word::MinusInfinity
        } else {
            Word::NotANumber
        };
        word.serialize(serializer)
    }
}

impl<'de, T: Scalar + Deserialize<'de>> Deserialize<'de> for Extended<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return T::deserialize(deserializer).map(Self);
        }
        Ok(Self(match Read::deserialize(deserializer)? {
            Read::Number(x) => x,
            Read::Word(Word::Infinity) => T::lit(f64::INFINITY),
            Read::Word(Word::MinusInfinity) => T::lit(f64::NEG_INFINITY),
            Read::Word(Word::NotANumber) => T::lit(f64::NAN),
        }))
    }
}

/// A number that may be infinite or NaN.
pub(crate) mod number {
    use super::{Deserialize, Deserializer, Extended, Scalar, Serialize, Serializer};

    pub(crate) fn serialize<T: Scalar + Serialize, S: Serializer>(x: &T, serializer: S) -> Result<S::Ok, S::Error> {
        Extended(*x).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, T: Scalar + Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        Extended::deserialize(deserializer).map(|x| x.0)
    }
}

/// Numbers that may be infinite or NaN.
pub(crate) mod numbers {
    use super::{Deserialize, Deserializer, Extended, Scalar, Serialize, Serializer};

    pub(crate) fn serialize<T: Scalar + Serialize, S: Serializer>(x: &[T], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(x.iter().map(|x| Extended(*x)))
    }

    pub(crate) fn deserialize<'de, T: Scalar + Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<T>, D::Error> {
        Ok(Vec::deserialize(deserializer)?.into_iter().map(|Extended(x)| x).collect())
    }
}

/// A vector as a list.
pub(crate) mod vector {
    use nalgebra::DVector;

    use super::{Deserialize, Deserializer, Scalar, Serialize, Serializer};

    pub(crate) fn serialize<T: Scalar + Serialize, S: Serializer>(
        x: &DVector<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        x.as_slice().serialize(serializer)
    }

    pub(crate) fn deserialize<'de, T: Scalar + Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<DVector<T>, D::Error> {
        Vec::deserialize(deserializer).map(DVector::from_vec)
    }
}

/// A matrix row by row.
pub(crate) mod matrix {
    use super::{DMatrix, Deserialize, Deserializer, Scalar, Serialize, Serializer, of_rows, to_rows};

    pub(crate) fn serialize<T: Scalar + Serialize, S: Serializer>(
        matrix: &DMatrix<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        to_rows(matrix).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, T: Scalar + Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<DMatrix<T>, D::Error> {
        of_rows(&Vec::deserialize(deserializer)?)
    }
}

/// Complex numbers as pairs.
pub(crate) mod complex {
    use super::{Complex, Deserialize, Deserializer, Scalar, Serialize, Serializer, of_pair, pair};

    pub(crate) fn serialize<T: Scalar + Serialize, S: Serializer>(
        numbers: &[Complex<T>],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(numbers.iter().map(pair))
    }

    pub(crate) fn deserialize<'de, T: Scalar + Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Complex<T>>, D::Error> {
        Ok(Vec::deserialize(deserializer)?.into_iter().map(of_pair).collect())
    }
}

/// Lists of complex numbers.
pub(crate) mod complex_lists {
    use super::{Complex, Deserialize, Deserializer, Scalar, Serialize, Serializer, of_pair, pair};

    pub(crate) fn serialize<T: Scalar + Serialize, S: Serializer>(
        lists: &[Vec<Complex<T>>],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(lists.iter().map(|list| list.iter().map(pair).collect::<Vec<_>>()))
    }

    pub(crate) fn deserialize<'de, T: Scalar + Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Vec<Complex<T>>>, D::Error> {
        let lists: Vec<Vec<[T; 2]>> = Vec::deserialize(deserializer)?;
        Ok(lists.into_iter().map(|list| list.into_iter().map(of_pair).collect()).collect())
    }
}

/// A complex matrix row by row.
pub(crate) mod complex_matrix {
    use super::{
        Complex, DMatrix, Deserialize, Deserializer, Scalar, Serialize, Serializer, of_pair, of_rows, pair, to_rows,
    };

    pub(crate) fn serialize<T: Scalar + Serialize, S: Serializer>(
        matrix: &DMatrix<Complex<T>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        to_rows(&matrix.map(|z| pair(&z))).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, T: Scalar + Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<DMatrix<Complex<T>>, D::Error> {
        Ok(of_rows::<[T; 2], D::Error>(&Vec::deserialize(deserializer)?)?.map(of_pair))
    }
}

/// An error as its words: it is read as the variant `Recorded` with the same words.
macro_rules! error_as_words {
    ($error:ident $(<$t:ident>)?) => {
        impl $(<$t: crate::Scalar>)? serde::Serialize for $error $(<$t>)? {
            fn serialize<Z: serde::Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de $(, $t: crate::Scalar)?> serde::Deserialize<'de> for $error $(<$t>)? {
            fn deserialize<Z: serde::Deserializer<'de>>(deserializer: Z) -> Result<Self, Z::Error> {
                serde::Deserialize::deserialize(deserializer).map(|words| Self::Recorded { words })
            }
        }
    };
}
pub(crate) use error_as_words;
