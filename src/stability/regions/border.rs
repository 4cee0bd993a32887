//! The border between two regions along a line of starts, by bisection.

use crate::Scalar;
use crate::limit::Compiled;
use crate::stability::regions::{AttractionRegions, Fate, RegionsError};
use crate::state::{OrderParameters, OrderParametersError};

/// Where the fate of starts changes along a line.
#[derive(Debug, Clone, PartialEq)]
pub struct Border<T: Scalar = f64> {
    /// The middle of the bracket.
    pub at: T,
    /// The bracket (low, high), no wider than the tolerance unless rounding is wider: between its ends the fate changes.
    pub bracket: (T, T),
    /// The fates at the two ends of the bracket.
    pub fates: (Fate<T>, Fate<T>),
    /// Starts followed.
    pub starts: usize,
}

impl<T: Compiled> AttractionRegions<'_, T> {
    /// A change of fate on the line s → `start`(s) between the two ends, to within `tolerance`.
    ///
    /// The ends must have different fates; what lies between them need not be one border, one of them is found. Where a
    /// start in the middle reaches no point, or a third one, the border that is kept is the one on the low side. A start
    /// that stops at a saddle lies on the border itself.
    ///
    /// # Errors
    /// [`RegionsError::Line`] unless low < high are finite and the tolerance is positive; [`RegionsError::NoBorder`] if both
    /// ends have the same fate.
    pub fn border(
        &self,
        start: impl Fn(T) -> Result<OrderParameters<T>, OrderParametersError>,
        (low, high): (T, T),
        tolerance: T,
    ) -> Result<Border<T>, RegionsError<T>> {
        if !(low < high && low.is_finite() && high.is_finite() && tolerance > T::zero()) {
            let [low, high, tolerance] = [low, high, tolerance].map(T::as_f64);
            return Err(RegionsError::Line { low, high, tolerance });
        }
        let ends = (self.fate_of(start(low)), self.fate_of(start(high)));
        self.bisect(&start, (low, high), ends, tolerance)
    }

    /// As [`border`](Self::border), between ends whose fates are known.
    pub(super) fn bisect(
        &self,
        start: &dyn Fn(T) -> Result<OrderParameters<T>, OrderParametersError>,
        (mut low, mut high): (T, T),
        (mut below, mut above): (Fate<T>, Fate<T>),
        tolerance: T,
    ) -> Result<Border<T>, RegionsError<T>> {
        if below.label() == above.label() {
            return Err(RegionsError::NoBorder { fate: below });
        }
        let half = T::lit(0.5);
        let mut starts = 2;
        while high - low > tolerance {
            let middle = low + (high - low) * half;
            if !(middle > low && middle < high) {
                break;
            }
            let fate = self.fate_of(start(middle));
            starts += 1;
            if fate.label() == below.label() {
                (low, below) = (middle, fate);
            } else {
                (high, above) = (middle, fate);
            }
        }
        Ok(Border { at: low + (high - low) * half, bracket: (low, high), fates: (below, above), starts })
    }
}
