//! Rows of one number for each lane, aligned to cache lines: a vector that straddles two of them costs twice.

use std::ops::{Deref, DerefMut};

use crate::random::lane_state::WIDTH;
use crate::random::lane_streams::Row;

/// The size of a cache line in bytes.
const LINE: usize = 64;

/// Rows in memory that is aligned as far as safe code can see to it: the vector is longer than needed, and the rows start
/// at its first entry that begins a line.
#[derive(Debug)]
pub(crate) struct Rows<T> {
    data: Vec<T>,
    start: usize,
    count: usize,
}

impl<T: Copy> Rows<T> {
    /// So many rows of that number.
    pub(crate) fn new(x: T, count: usize) -> Self {
        let spare = LINE / size_of::<T>().clamp(1, LINE);
        let data = vec![x; WIDTH * count + spare];
        let start = (0..spare).find(|&k| data[k..].as_ptr().addr().is_multiple_of(LINE)).unwrap_or(0);
        Self { data, start, count }
    }
}

/// The copy is aligned anew.
impl<T: Copy> Clone for Rows<T> {
    fn clone(&self) -> Self {
        let mut copy = Self::new(self.data[0], self.count);
        copy.copy_from_slice(self);
        copy
    }
}

impl<T> Deref for Rows<T> {
    type Target = [Row<T>];

    #[inline(always)]
    fn deref(&self) -> &[Row<T>] {
        self.data[self.start..self.start + WIDTH * self.count].as_chunks().0
    }
}

impl<T> DerefMut for Rows<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [Row<T>] {
        self.data[self.start..self.start + WIDTH * self.count].as_chunks_mut().0
    }
}

impl<'a, T> IntoIterator for &'a Rows<T> {
    type Item = &'a Row<T>;
    type IntoIter = std::slice::Iter<'a, Row<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, T> IntoIterator for &'a mut Rows<T> {
    type Item = &'a mut Row<T>;
    type IntoIter = std::slice::IterMut<'a, Row<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_their_copies_are_aligned() {
        for count in [0, 1, 7] {
            let mut rows = Rows::new(1.5_f32, count);
            assert_eq!(rows.len(), count);
            for (k, row) in rows.iter_mut().enumerate() {
                row[3] = k as f32;
            }
            let copy = rows.clone();
            assert_eq!(copy[..], rows[..]);
            assert!(copy.as_ptr().addr().is_multiple_of(LINE) && rows.as_ptr().addr().is_multiple_of(LINE));
        }
    }
}
