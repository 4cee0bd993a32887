//! What is known of one fixed point.
//!
//! Covers [`FixedPoint`], its class by the signs of its eigenvalues, and what the network has learned there. Not here:
//! how it is found (see `finder`).

use nalgebra::DMatrix;

use crate::Scalar;
use crate::stability::fixed_point::newton::NewtonStop;
use crate::stability::fixed_point::starts::StartKind;
use crate::stability::spectrum::Spectrum;
use crate::state::OrderParameters;

/// What the network has learned at a fixed point.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Kind {
    /// R = 0: no weights are left.
    Collapsed,
    /// Q = 0, R ≠ 0: no neuron has learned a feature.
    Uninformative,
    /// Every neuron has at most one feature, and some neuron has one.
    Selected {
        /// For each neuron the feature that it has selected: every other overlap is below a tenth of that one (or what
        /// [`FixedPointFinder::purity`](crate::stability::FixedPointFinder::purity) says). `None` for a neuron without
        /// any.
        features: Vec<Option<usize>>,
    },
    /// Some neuron overlaps with several features.
    Mixed,
}

/// How the flow behaves near a fixed point, by the signs of the eigenvalues' real parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Stability {
    /// All negative.
    Stable,
    /// Some positive, some negative.
    Saddle,
    /// All positive.
    Unstable,
    /// Some are zero within the threshold (see
    /// [`FixedPointFinder::degeneracy`](crate::stability::FixedPointFinder::degeneracy)): linearisation does not
    /// decide.
    Degenerate,
}

/// A fixed point of the reduced ODE.
///
/// Prints as a paragraph: what it is, Q and R row by row, and the eigenvalues.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "T: serde::Serialize", deserialize = "T: serde::Deserialize<'de>"))
)]
#[non_exhaustive]
pub struct FixedPoint<T: Scalar = f64> {
    /// Where it is.
    pub state: OrderParameters<T>,
    /// An estimate of how far it is from the true fixed point, as the largest entry of the packed difference: the rates
    /// left over and the error of the coefficients, times the norm of the inverse Jacobian. Infinite for a singular
    /// one.
    #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::number"))]
    pub error: T,
    /// The largest |dQ_li/dt| or |dR_ij/dt| before each step of Newton's method, and at the end.
    #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::numbers"))]
    pub residuals: Vec<T>,
    /// Why Newton's method stopped.
    pub stop: NewtonStop<T>,
    /// From where it was first found.
    pub start: StartKind,
    /// The entries of the packed state that can move: all of them, but for R_ii under the sphere constraint. Length n.
    pub coordinates: Vec<usize>,
    /// The Jacobian of the rates by the packed state, restricted to these entries: n x n.
    #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::matrix"))]
    pub jacobian: DMatrix<T>,
    /// Its eigenvalues and eigenvectors.
    pub spectrum: Spectrum<T>,
    /// The number of eigenvalues with a real part above the threshold of degeneracy.
    pub unstable: usize,
    /// The number of eigenvalues with a real part within the threshold of degeneracy.
    pub neutral: usize,
    /// How the flow behaves nearby.
    pub stability: Stability,
    /// What the network has learned there.
    pub kind: Kind,
    /// The images of the state under the model's symmetries, itself first: all if they are at most 4096, else itself alone.
    pub images: Vec<OrderParameters<T>>,
    /// How many images there are; exact up to 2⁵³.
    pub image_count: f64,
}

impl<T: Scalar> FixedPoint<T> {
    /// Whether every eigenvalue has a negative real part, beyond the threshold of degeneracy.
    #[must_use]
    pub fn is_stable(&self) -> bool {
        self.stability == Stability::Stable
    }

    /// The slowest rate of return for a stable point: minus the largest real part.
    #[must_use]
    pub fn relaxation_rate(&self) -> T {
        -self.spectrum.abscissa()
    }
}

/// Counts of unstable and neutral eigenvalues, and what they say.
pub(crate) fn classify<T: Scalar>(spectrum: &Spectrum<T>, threshold: T) -> (usize, usize, Stability) {
    let unstable = spectrum.count_above(threshold);
    let neutral = spectrum.count_above(-threshold) - unstable;
    let stability = match (unstable, neutral) {
        (_, 1..) => Stability::Degenerate,
        (0, _) => Stability::Stable,
        _ if unstable == spectrum.values.len() => Stability::Unstable,
        _ => Stability::Saddle,
    };
    (unstable, neutral, stability)
}

/// What the network has learned at a state, with overlaps below `separation` counted as none.
pub(crate) fn kind<T: Scalar>(state: &OrderParameters<T>, separation: T, purity: T) -> Kind {
    if state.r().amax() <= separation {
        return Kind::Collapsed;
    }
    let mut selected = vec![None; state.n_neurons()];
    let mut mixed = false;
    for (i, feature) in selected.iter_mut().enumerate() {
        let column = state.q().column(i);
        let (largest, most) = column
            .iter()
            .enumerate()
            .fold((0, T::zero()), |best, (l, x)| if x.abs() > best.1 { (l, x.abs()) } else { best });
        if most <= separation {
            continue;
        }
        *feature = Some(largest);
        mixed |= column.iter().enumerate().any(|(l, x)| l != largest && x.abs() > purity * most);
    }
    match (mixed, selected.iter().any(Option::is_some)) {
        (true, _) => Kind::Mixed,
        (false, true) => Kind::Selected { features: selected },
        (false, false) => Kind::Uninformative,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A feature counts beside another by its part of it, however small both are.
    #[test]
    fn what_is_mixed_is_told_relative_to_the_largest_overlap() {
        let of = |q: [f64; 2]| OrderParameters::from_rows(2, 1, &q, &[1.0]).map(|state| kind(&state, 1e-6, 0.1));
        assert_eq!(of([0.05, 0.01]), Ok(Kind::Mixed));
        assert_eq!(of([0.9, 0.05]), Ok(Kind::Selected { features: vec![Some(0)] }));
        assert_eq!(of([0.05, 0.004]), Ok(Kind::Selected { features: vec![Some(0)] }));
    }
}
