//! One start of a search after another: is what it reaches new, and what is it?
//!
//! Covers the settings of a search, the comparison with what is known, and the analysis of a new point. Not here: which
//! starts there are (see `starts`), and their order (see `finder`).

use nalgebra::{ComplexField, DMatrix, DVector};

use crate::Scalar;
use crate::limit::Compiled;
use crate::numerics::largest::{largest, largest_size};
use crate::numerics::linear::pseudo_inverse;
use crate::ode::ReducedOde;
use crate::stability::fixed_point::collapsed::collapsed_point;
use crate::stability::fixed_point::error::FixedPointError;
use crate::stability::fixed_point::face::Face;
use crate::stability::fixed_point::found::{FailedStart, FixedPoints};
use crate::stability::fixed_point::linearization::linearize;
use crate::stability::fixed_point::newton::{NewtonLimits, NewtonStop, Run};
use crate::stability::fixed_point::point::{FixedPoint, Kind, classify, kind};
use crate::stability::fixed_point::settle::settle_or_coincide;
use crate::stability::fixed_point::starts::{FacedStart, StartKind};
use crate::stability::fixed_point::symmetry::{Symmetries, distance};
use crate::stability::spectrum::{Spectrum, spectrum};
use crate::state::OrderParameters;

/// How many errors of a point may lie between it and another run's end: its own, and the other's, each an estimate.
const ERRORS_APART: f64 = 4.0;
/// Yet no more than that many separations: an error that large says that the point is hardly known.
const MOST_SEPARATIONS: f64 = 1e3;
/// The most images of one point that are listed.
const MOST_LISTED: f64 = 4096.0;
/// Largest images deflated of one point; those far away hardly turn a step.
const MOST_DEFLATED: usize = 128;
/// The error of the rates at a point, in errors of the coefficients: three of them enter dR/dt.
const COEFFICIENT_ERRORS: f64 = 3.0;

/// Default distance below which states are one: Newton's method ends far nearer.
const SEPARATION: f64 = 1e-6;
/// Default size of eigenvalues that count as zero: that of their errors by the coefficients' default tolerance, with a
/// margin.
const DEGENERACY: f64 = 1e-7;
/// The same two in ulp, where it is more: 1e-3 in single precision.
const SINGLE_ULPS: f64 = 1e4;
/// Default share of an overlap beside a selected feature's.
const PURITY: f64 = 0.1;

/// What a search goes by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SearchSettings<T> {
    pub(crate) newton: NewtonLimits<T>,
    /// The distance below which states are one.
    pub(crate) separation: T,
    /// Eigenvalues that count as zero, in units of the largest.
    pub(crate) degeneracy: T,
    /// Overlaps beside a selected feature's, in its units.
    pub(crate) purity: T,
}

impl<T: Scalar> Default for SearchSettings<T> {
    fn default() -> Self {
        Self {
            newton: NewtonLimits::default(),
            separation: T::lit(SEPARATION).max(T::lit(SINGLE_ULPS) * T::EPSILON),
            degeneracy: T::lit(DEGENERACY).max(T::lit(SINGLE_ULPS) * T::EPSILON),
            purity: T::lit(PURITY),
        }
    }
}

/// A search of one ODE's fixed points.
#[derive(Debug)]
pub(crate) struct Search<'o, 'a, T: Scalar> {
    pub(crate) ode: &'o ReducedOde<'a, T>,
    pub(crate) settings: SearchSettings<T>,
}

impl<T: Compiled> Search<'_, '_, T> {
    pub(crate) fn add_collapsed(&self, found: &mut FixedPoints<T>) {
        let Ok(point) = collapsed_point(self.ode) else { return };
        let limit = self.ode.limit();
        let zeros = |rows| DMatrix::zeros(rows, limit.n_neurons());
        let state = OrderParameters::from_parts(zeros(limit.n_features()), zeros(limit.n_neurons()));
        let Ok(spectrum) = spectrum(&point.jacobian) else { return };
        let (unstable, neutral, stability) = classify(&spectrum, self.threshold(&spectrum));
        found.push(FixedPoint {
            images: vec![state.clone()],
            image_count: 1.0,
            state,
            error: T::zero(),
            residuals: vec![T::zero()],
            stop: NewtonStop::Converged,
            start: StartKind::Collapsed,
            coordinates: (0..point.jacobian.nrows()).collect(),
            jacobian: point.jacobian,
            spectrum,
            unstable,
            neutral,
            stability,
            kind: Kind::Collapsed,
        });
    }

    pub(crate) fn follow(&self, faced: FacedStart<T>, deflated: &[DVector<T>], found: &mut FixedPoints<T>) {
        let FacedStart { start, face } = faced;
        let known = |state: &OrderParameters<T>| self.position(found, state);
        let seen = |state: &OrderParameters<T>| known(state).is_some();
        let mut run = settle_or_coincide(self.ode, &face, &start.state, (deflated, &seen), &self.settings.newton);
        // Convergence to R = 0 is linear: Q is of the order of the root of R there.
        let collapsed = found.points.first().is_some_and(|point| point.start == StartKind::Collapsed);
        if collapsed && run.state.r().amax() <= self.settings.separation {
            run.state = found.points[0].state.clone();
            run.stop = NewtonStop::Converged;
        }
        if run.stop != NewtonStop::Converged {
            found.failed.push(FailedStart { start, end: run.state, residuals: run.residuals, stop: run.stop });
            return;
        }
        if let Some(of) = known(&run.state) {
            found.repeats[of] += 1;
            return;
        }
        let state = run.state.clone();
        match self.analyse(run, start.kind, &found.symmetries) {
            Ok(point) => found.push(point),
            Err(error) => found.unresolved.push((state, error)),
        }
    }

    /// The number of the point that a state is an image of.
    fn position(&self, found: &FixedPoints<T>, state: &OrderParameters<T>) -> Option<usize> {
        found.points.iter().position(|point| {
            let reach = self.reach(point);
            let listed = point.images.iter().any(|image| distance(image, state) <= reach);
            listed || point.images.len() == 1 && found.symmetries.relate(&point.state, state, reach)
        })
    }

    pub(crate) fn analyse(
        &self,
        run: Run<T>,
        start: StartKind,
        symmetries: &Symmetries,
    ) -> Result<FixedPoint<T>, FixedPointError<T>> {
        let Run { state, residuals, stop } = run;
        let SearchSettings { separation, purity, .. } = self.settings;
        let whole = Face::whole(state.n_features(), state.n_neurons(), self.ode.constraint());
        let linear = linearize(self.ode, &state)?;
        let jacobian = whole.jacobian(&linear.by_state);
        let spectrum = spectrum(&jacobian)?;
        let threshold = self.threshold(&spectrum).max(linear.error);
        let (unstable, neutral, stability) = classify(&spectrum, threshold);
        let rates = self.ode.rates(&state)?;
        let coefficients = self.ode.limit().coefficients(&state)?.error;
        let left = largest_size(rates.q.iter().chain(&rates.r).copied()) + T::lit(COEFFICIENT_ERRORS) * coefficients;
        // Of what has no inverse, or none that is found, nothing is known.
        let inverse = Some(&jacobian).filter(|_| neutral == 0).and_then(pseudo_inverse);
        let error = inverse.map_or(T::lit(f64::INFINITY), |rows| {
            largest(rows.row_iter().map(|row| row.iter().copied().map(ComplexField::abs).sum::<T>())) * left
        });
        let image_count = symmetries.count(&state, separation);
        Ok(FixedPoint {
            images: if image_count <= MOST_LISTED {
                symmetries.images(&state, separation)
            } else {
                vec![state.clone()]
            },
            image_count,
            kind: kind(&state, separation, purity),
            coordinates: whole.entries().collect(),
            state,
            error,
            residuals,
            stop,
            start,
            jacobian,
            spectrum,
            unstable,
            neutral,
            stability,
        })
    }

    /// How near another state counts as this point: the separation, or what the errors of both explain.
    fn reach(&self, point: &FixedPoint<T>) -> T {
        let separation = self.settings.separation;
        separation.max((T::lit(ERRORS_APART) * point.error).min(T::lit(MOST_SEPARATIONS) * separation))
    }

    fn threshold(&self, spectrum: &Spectrum<T>) -> T {
        self.settings.degeneracy * spectrum.values.iter().fold(T::zero(), |most, x| most.max(x.modulus()))
    }
}

/// Packed images of all points, of each those nearest to `state`.
pub(crate) fn nearest_images<T: Scalar>(points: &[FixedPoint<T>], state: &OrderParameters<T>) -> Vec<DVector<T>> {
    let mut known = Vec::new();
    for point in points {
        let mut images: Vec<(T, &OrderParameters<T>)> =
            point.images.iter().map(|image| (distance(image, state), image)).collect();
        images.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(std::cmp::Ordering::Equal));
        known.extend(images.iter().take(MOST_DEFLATED).map(|(_, image)| image.to_packed()));
    }
    known
}
