//! What several neurons may be on, and which of them may be copies of others: each class of exchanges once.
//!
//! Covers enumeration alone. Not here: the starts that are made of it (see `starts`).

/// Neurons up to which all assignments to clusters are tried: six of three exchangeable ones.
const PARTITIONED: usize = 3;

/// What each neuron is on, of `count` choices, after all on the first: with exchangeable neurons one of each class of
/// images, the choices rising.
pub(crate) fn tuples(neurons: usize, count: usize, exchangeable: bool) -> impl Iterator<Item = Vec<usize>> {
    let next = move |at: &Vec<usize>| {
        let most = |i: usize| if exchangeable && i + 1 < neurons { at[i + 1] } else { count - 1 };
        let place = (0..neurons).find(|&i| at[i] < most(i))?;
        let mut at = at.clone();
        at[place] += 1;
        at[..place].fill(0);
        Some(at)
    };
    std::iter::successors(Some(vec![0; neurons]), next).skip(1)
}

/// Assignments of neurons to fewer clusters, or to none, where a neuron vanishes; one for each up to the order of clusters, and up to
/// that of neurons if these may be exchanged: all for up to three neurons ([`PARTITIONED`]); for more, one pair or all
/// together. Copies of the other sign are images of these, or do not stay copies.
pub(crate) fn partitions(m: usize, vanishing: bool, exchangeable: bool) -> Vec<Vec<Option<usize>>> {
    let mut found: Vec<Vec<Option<usize>>> = Vec::new();
    if m > PARTITIONED {
        return vec![vec![Some(0); m], (0..m).map(|i| Some(i.saturating_sub(1))).collect()];
    }
    // Each neuron: nothing, an earlier cluster, or a new one.
    let mut open: Vec<(Vec<Option<usize>>, usize)> = vec![(Vec::new(), 0)];
    while let Some((partial, clusters)) = open.pop() {
        if partial.len() == m {
            if clusters < m && !(exchangeable && is_image(&partial)) {
                found.push(partial);
            }
            continue;
        }
        let mut extend = |entry: Option<usize>, clusters: usize| {
            let mut longer = partial.clone();
            longer.push(entry);
            open.push((longer, clusters));
        };
        if vanishing {
            extend(None, clusters);
        }
        (0..clusters).for_each(|c| extend(Some(c), clusters));
        extend(Some(clusters), clusters + 1);
    }
    found
}

/// Whether exchanged neurons make the assignment one of those in which clusters stand one after the other, the largest first,
/// and vanishing neurons last.
fn is_image(clusters: &[Option<usize>]) -> bool {
    let size = |c: usize| clusters.iter().filter(|other| **other == Some(c)).count();
    clusters.windows(2).any(|pair| match (pair[0], pair[1]) {
        (None, Some(_)) => true,
        (Some(a), Some(b)) => a > b || a < b && size(a) < size(b),
        (_, None) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_of_few_neurons_is_there_once() {
        assert_eq!(tuples(2, 3, false).collect::<Vec<_>>().len(), 8);
        let sorted: Vec<_> = tuples(3, 3, true).collect();
        // Multisets of three out of three but the first.
        assert_eq!(sorted.len(), 9);
        assert!(sorted.iter().all(|at| at.is_sorted()) && (1..9).all(|k| !sorted[..k].contains(&sorted[k])));
        assert_eq!(tuples(100, 2, true).count(), 100);
    }

    #[test]
    fn all_assignments_of_few_neurons_to_clusters_are_tried() {
        assert_eq!([2, 3].map(|m| partitions(m, true, false).len()), [4, 14]);
        assert_eq!([2, 3, 4].map(|m| partitions(m, false, false).len()), [1, 4, 2]);
        // Of exchangeable neurons: partitions of 0 to m neurons but all alone.
        assert_eq!([2, 3].map(|m| partitions(m, true, true).len()), [3, 6]);
        assert_eq!([2, 3].map(|m| partitions(m, false, true).len()), [1, 2]);
    }
}
