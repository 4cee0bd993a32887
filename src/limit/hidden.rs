//! The nodes of the hidden law that the averages run over: its own cubature, merged, or Sobol points.

use nalgebra::{DMatrix, DVector};

use super::accuracy::Accuracy;
use super::error::LimitError;
use crate::Scalar;
use crate::model::{HiddenLaw, HiddenQuadrature, JointCharacteristic, MOST_ENUMERATED_NODES};
use crate::numerics::sobol::uniform;

/// The hidden law with what the averages ask of it.
#[derive(Clone)]
pub(super) struct Hidden<'a, T: Scalar> {
    pub(super) law: &'a dyn HiddenLaw<T>,
    /// Whether its cubature is exact whatever the number of points.
    pub(super) is_exact: bool,
    pub(super) mean: DVector<T>,
    pub(super) second_moment: DMatrix<T>,
    /// Factors of the hidden variables, where their second moments have been changed: of length p.
    pub(super) scales: Vec<T>,
    /// Whether c → −c and σ's parity let mirror-image nodes be merged.
    pub(super) mirror: bool,
}

/// The most nodes of a hidden law that are enumerated.
pub(super) const MOST_HIDDEN_NODES: usize = MOST_ENUMERATED_NODES;

/// Checks a hidden law that a user may have written.
pub(super) fn check_hidden<T: Scalar>(
    law: &dyn HiddenLaw<T>,
    features: usize,
    summed: bool,
) -> Result<(), LimitError<T>> {
    let fail = |reason| Err(LimitError::HiddenQuadrature { reason });
    let nodes = law.quadrature_size(CHECK_POINTS);
    if law.gaussian_part().shape() != (features, features) {
        return fail("the Gaussian part must be p x p");
    }
    if nodes > MOST_HIDDEN_NODES {
        if summed {
            return Ok(());
        }
        let (u, mut c) = (vec![T::lit(0.5); features], vec![T::zero(); features]);
        let mapped = law.transport(&u, &mut c);
        return if mapped { Ok(()) } else { Err(LimitError::HiddenNodes { nodes, most: MOST_HIDDEN_NODES }) };
    }
    let rule = law.quadrature(CHECK_POINTS);
    if rule.nodes.nrows() != features || rule.nodes.ncols() != rule.weights.len() || rule.weights.is_empty() {
        return fail("nodes must be p x n with n weights, n at least 1");
    }
    let total: f64 = rule.weights.iter().map(|w| w.as_f64()).sum();
    if !((total - 1.0).abs() < WEIGHTS) || !rule.nodes.iter().all(nalgebra::ComplexField::is_finite) {
        return fail("nodes must be finite and weights sum to 1");
    }
    Ok(())
}

/// The weights of nodes sum to 1 within that.
const WEIGHTS: f64 = 1e-5;

/// Nodes for each continuous variable at which a law is checked.
const CHECK_POINTS: usize = 8;

/// The nodes that averages run over.
pub(super) struct HiddenNodes<T: Scalar> {
    pub(super) quadrature: HiddenQuadrature<T>,
    /// Whether they are Sobol points.
    pub(super) sampled: bool,
    /// Whether there are as many Sobol points as there will ever be.
    pub(super) saturated: bool,
}

impl<T: Scalar> HiddenNodes<T> {
    /// None: the law of p variables enters otherwise.
    pub(super) fn none(p: usize) -> Self {
        let quadrature =
            HiddenQuadrature { nodes: DMatrix::zeros(p, 0), weights: Vec::new(), gaussian: DMatrix::zeros(0, 0) };
        Self { quadrature, sampled: false, saturated: false }
    }
}

impl<T: Scalar> Hidden<'_, T> {
    /// Nodes of the law's own cubature, mirror images counted once.
    pub(super) fn nodes(&self, accuracy: Accuracy) -> usize {
        self.law.quadrature_size(points(accuracy)) / if self.mirror { 2 } else { 1 }
    }
}

/// Nodes for each continuous variable.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // accuracy lies between 0 and a few hundred
fn points(accuracy: Accuracy) -> usize {
    accuracy.fixed.clamp(1.0, 1e4).ceil() as usize + 2
}

/// Whether the law gives a characteristic function.
pub(super) fn has_characteristic<T: Scalar>(law: &dyn HiddenLaw<T>) -> bool {
    let Some(first) = law.blocks().first().cloned() else { return false };
    let mut at = JointCharacteristic::new();
    // Not at zero, where every law has one.
    law.characteristic(0, &vec![T::one(); first.len()], &mut at)
}

/// The most Sobol points of each scramble, in bits.
const MOST_BITS: u32 = 14;

/// Nodes of the hidden law: its own cubature, or Sobol points where that has too many nodes; scaled to the second
/// moments that the variables have.
pub(super) fn hidden_nodes<T: Scalar>(
    hidden: &Hidden<'_, T>,
    accuracy: Accuracy,
    scrambles: &[u32],
) -> Result<HiddenNodes<T>, LimitError<T>> {
    let mut nodes = unscaled_nodes(hidden, accuracy, scrambles)?;
    scale_nodes(&mut nodes.quadrature, &hidden.scales);
    Ok(nodes)
}

/// Multiplies c_l by `factors[l]`.
pub(super) fn scale_nodes<T: Scalar>(rule: &mut HiddenQuadrature<T>, factors: &[T]) {
    for (l, &factor) in factors.iter().enumerate().filter(|(_, factor)| **factor != T::one()) {
        rule.nodes.row_mut(l).scale_mut(factor);
        rule.gaussian.row_mut(l).scale_mut(factor);
        rule.gaussian.column_mut(l).scale_mut(factor);
    }
}

fn unscaled_nodes<T: Scalar>(
    hidden: &Hidden<'_, T>,
    accuracy: Accuracy,
    scrambles: &[u32],
) -> Result<HiddenNodes<T>, LimitError<T>> {
    let points = points(accuracy);
    let size = hidden.law.quadrature_size(points);
    if size <= MOST_HIDDEN_NODES {
        return Ok(HiddenNodes { quadrature: hidden.law.quadrature(points), sampled: false, saturated: false });
    }
    let p = hidden.scales.len();
    // The Gaussian part is second moment less that of the nodes; a rule of one point has it already.
    let gaussian = hidden.law.gaussian_part();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a small positive number
    let bits = ((0.75 * accuracy.sampled).clamp(4.0, f64::from(MOST_BITS))) as u32;
    let each = 1_usize << bits;
    let count = each * scrambles.len();
    let mut nodes = DMatrix::zeros(p, count);
    let (mut u, mut c) = (vec![T::zero(); p], vec![T::zero(); p]);
    for n in 0..count {
        for (l, u) in u.iter_mut().enumerate() {
            *u = T::lit(uniform(n % each, l, scrambles[n / each])).min(T::one() - T::EPSILON);
        }
        if !hidden.law.transport(&u, &mut c) {
            return Err(LimitError::HiddenNodes { nodes: size, most: MOST_HIDDEN_NODES });
        }
        nodes.column_mut(n).copy_from_slice(&c);
    }
    let weights = vec![T::one() / T::of_usize(count); count];
    let quadrature = HiddenQuadrature { nodes, weights, gaussian };
    Ok(HiddenNodes { quadrature, sampled: true, saturated: bits == MOST_BITS })
}

/// Merges hidden nodes that are equal, or mirror images where that changes no average.
pub(super) fn merge_nodes<T: Scalar>(rule: HiddenQuadrature<T>, mirror: bool) -> HiddenQuadrature<T> {
    let (p, n) = rule.nodes.shape();
    let mut entries: Vec<(Vec<T>, T)> = (0..n)
        .map(|k| {
            let mut c: Vec<T> = rule.nodes.column(k).iter().copied().collect();
            if mirror && c.iter().find(|x| **x != T::zero()).is_some_and(|x| *x < T::zero()) {
                for x in &mut c {
                    *x = -*x;
                }
            }
            (c, rule.weights[k])
        })
        .collect();
    entries.sort_by(|(a, _), (b, _)| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    entries.dedup_by(|(b, weight_b), (a, weight_a)| {
        let same = a == b;
        if same {
            *weight_a += *weight_b;
        }
        same
    });
    let nodes = DMatrix::from_fn(p, entries.len(), |l, k| entries[k].0[l]);
    HiddenQuadrature { nodes, weights: entries.iter().map(|e| e.1).collect(), gaussian: rule.gaussian }
}
