//! Hidden nodes that move the fields alike, Qᵀc equal, or equal but for the sign where that changes no average: their
//! averages over the fields are the same and computed once.

use std::cmp::Ordering;

use crate::Scalar;
use crate::limit::fields::moments::State;
use crate::model::HiddenQuadrature;

/// The nodes in groups of equal means.
#[derive(Debug, Clone)]
pub(in crate::limit) struct Groups<T> {
    features: usize,
    neurons: usize,
    mirror: bool,
    /// Qᵀc of every node, times its sign; n x m.
    node_means: Vec<T>,
    /// −1 where the node counts as its mirror image.
    signs: Vec<T>,
    /// The nodes, group by group, and where each group starts.
    members: Vec<usize>,
    starts: Vec<usize>,
    /// For each group: the mean of the fields (m), its weight, and Σ weight · c (p).
    means: Vec<T>,
    weights: Vec<T>,
    weighted: Vec<T>,
}

impl<T: Scalar> Groups<T> {
    pub(in crate::limit) fn new(features: usize, neurons: usize, nodes: usize, mirror: bool) -> Self {
        Self {
            features,
            neurons,
            mirror,
            node_means: vec![T::zero(); nodes * neurons],
            signs: vec![T::one(); nodes],
            members: (0..nodes).collect(),
            starts: Vec::with_capacity(nodes + 1),
            means: Vec::with_capacity(nodes * neurons),
            weights: Vec::with_capacity(nodes),
            weighted: Vec::with_capacity(nodes * features),
        }
    }

    /// Groups the nodes anew for those overlaps.
    pub(in crate::limit) fn update(&mut self, state: &State<T>, hidden: &HiddenQuadrature<T>) {
        let (p, m, n) = (self.features, self.neurons, hidden.weights.len());
        for k in 0..n {
            let c = hidden.nodes.column(k);
            let means = &mut self.node_means[k * m..(k + 1) * m];
            for (i, mean) in means.iter_mut().enumerate() {
                *mean = (0..p).map(|l| state.q[l * m + i] * c[l]).sum();
            }
            let negative = means.iter().find(|x| **x != T::zero()).is_some_and(|x| *x < T::zero());
            self.signs[k] = if self.mirror && negative { -T::one() } else { T::one() };
            for mean in means {
                *mean *= self.signs[k];
            }
        }
        let means = &self.node_means;
        let order = |&a: &usize, &b: &usize| {
            let (a, b) = (&means[a * m..(a + 1) * m], &means[b * m..(b + 1) * m]);
            a.partial_cmp(b).unwrap_or(Ordering::Equal)
        };
        if n > 1 {
            self.members.sort_unstable_by(|a, b| order(a, b).then(a.cmp(b)));
        }
        self.starts.clear();
        self.means.clear();
        self.weights.clear();
        self.weighted.clear();
        for position in 0..n {
            let node = self.members[position];
            let mean = &self.node_means[node * m..(node + 1) * m];
            let known = self.means.len();
            if position == 0 || self.means[known - m..] != *mean {
                self.starts.push(position);
                self.means.extend_from_slice(mean);
                self.weights.push(T::zero());
                self.weighted.extend((0..p).map(|_| T::zero()));
            }
            let group = self.weights.len() - 1;
            let weight = hidden.weights[node];
            self.weights[group] += weight;
            for l in 0..p {
                self.weighted[group * p + l] += weight * self.signs[node] * hidden.nodes[(l, node)];
            }
        }
        self.starts.push(n);
    }

    /// Takes nodes of Qᵀc itself, each a group: for each the mean of the fields (m), its weight, and its weight with c (p).
    pub(in crate::limit) fn set(&mut self, (means, weights, weighted): (&[T], &[T], &[T])) {
        for (to, from) in [(&mut self.means, means), (&mut self.weights, weights), (&mut self.weighted, weighted)] {
            to.clear();
            to.extend_from_slice(from);
        }
    }

    /// The number m of neurons.
    pub(in crate::limit) fn neurons(&self) -> usize {
        self.neurons
    }

    /// The number of groups.
    pub(in crate::limit) fn count(&self) -> usize {
        self.weights.len()
    }

    /// The mean of the fields of each neuron at a group.
    pub(in crate::limit) fn mean(&self, group: usize) -> &[T] {
        &self.means[group * self.neurons..(group + 1) * self.neurons]
    }

    /// The weight of a group.
    pub(in crate::limit) fn weight(&self, group: usize) -> T {
        self.weights[group]
    }

    /// Σ weight · c over a group, the mirror image for some: of length p.
    pub(in crate::limit) fn weighted(&self, group: usize) -> &[T] {
        &self.weighted[group * self.features..(group + 1) * self.features]
    }

    /// The nodes of a group, of those of a hidden law.
    pub(in crate::limit) fn members(&self, group: usize) -> &[usize] {
        &self.members[self.starts[group]..self.starts[group + 1]]
    }
}

#[cfg(test)]
mod tests {
    use nalgebra::DMatrix;

    use super::*;

    #[test]
    fn nodes_of_equal_means_are_merged_and_no_weight_is_lost() {
        let nodes = DMatrix::from_row_slice(2, 4, &[1.0, 1.0, -1.0, 2.0, 1.0, -1.0, 3.0, 0.0]);
        let hidden = HiddenQuadrature { nodes, weights: vec![0.1, 0.2, 0.3, 0.4], gaussian: DMatrix::zeros(2, 2) };
        let state = State { q: vec![0.5, 0.0], r: vec![1.0] };
        let mut groups: Groups<f64> = Groups::new(2, 1, 4, true);
        groups.update(&state, &hidden);
        assert_eq!(groups.count(), 2);
        assert!((groups.weight(0) - 0.6).abs() < 1e-15 && groups.mean(0) == [0.5] && groups.mean(1) == [1.0]);
        // The third node counts as its mirror image (1, −3).
        assert!((groups.weighted(0)[0] - 0.6).abs() < 1e-15 && (groups.weighted(0)[1] - (-1.0)).abs() < 1e-15);
        assert_eq!(groups.members(0), [0, 1, 2]);
        let mut apart: Groups<f64> = Groups::new(2, 1, 4, false);
        apart.update(&state, &hidden);
        assert_eq!(apart.count(), 3);
    }
}
