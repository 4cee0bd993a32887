//! Numbers for each image of each stable point.
//!
//! Covers how they are laid out and printed. Not here: what they count.

use crate::limit::Compiled;
use crate::stability::display::TextTable;
use crate::stability::regions::AttractionRegions;

/// An entry for each image of each point.
pub(crate) fn for_each_image<T: Compiled, X, V: Clone>(regions: &AttractionRegions<'_, T, X>, x: &V) -> Vec<Vec<V>> {
    (0..regions.points()).map(|point| vec![x.clone(); regions.images(point).len()]).collect()
}

/// A line for each point, with its images to the right.
pub(crate) fn by_point(
    head: [&str; 4],
    points: usize,
    images: impl Fn(usize) -> usize,
    whole: impl Fn(usize) -> [String; 2],
    image: impl Fn(usize, usize) -> String,
) -> TextTable {
    let mut table = TextTable::new(head);
    for point in 0..points {
        let cells = std::iter::once(format!("[{point}]")).chain(whole(point));
        table.push(cells.chain((0..images(point)).map(|k| image(point, k))));
    }
    table
}
