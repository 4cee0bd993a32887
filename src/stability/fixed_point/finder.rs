//! The search for all fixed points: from many starts by Newton's method, then away from those found, each orbit of the
//! model's symmetries listed once.
//!
//! Covers [`FixedPointFinder`], its settings and the order of its starts. Not here: what is done with one start (see
//! `search`).

use std::ops::ControlFlow;

use crate::Scalar;
use crate::limit::{Compiled, LimitError};
use crate::ode::ReducedOde;
use crate::stability::fixed_point::error::FixedPointError;
use crate::stability::fixed_point::face::Face;
use crate::stability::fixed_point::found::FixedPoints;
use crate::stability::fixed_point::point::{FixedPoint, Kind};
use crate::stability::fixed_point::search::{Search, SearchSettings, nearest_images};
use crate::stability::fixed_point::settle::settle;
use crate::stability::fixed_point::shape::{Shape, keeps_vanishing_neurons};
use crate::stability::fixed_point::starts::{FacedStart, SearchStart, StartKind};
use crate::stability::fixed_point::symmetry::Symmetries;
use crate::state::OrderParameters;

/// Default number of Sobol starts, of one neuron and of several: a compromise. Each costs a run of Newton's method, and no number
/// makes a search certain to be complete. Of two neurons on two features the rarest orbits that only random starts find take in one
/// random start of twenty: ninety-six miss such a one with probability 0.7 %.
const SOBOL_STARTS: [usize; 2] = [24, 96];
/// Default number of those that are followed again with deflation: fewer, since steps are longer and more of them fail.
const DEFLATED_STARTS: usize = 8;
/// Weights of a point with R_00 up to that have vanished: it says nothing of the size of starts.
const VANISHED: f64 = 1e-3;
/// The sizes R_ii by which starts are scaled lie between these.
const SIZES: (f64, f64) = (1e-2, 1e2);

/// Seeks the fixed points of a [`ReducedOde`].
///
/// No finite search is certain to find all of them; more Sobol starts make it more likely. Starts, in their order:
///
/// | starts | number | from where |
/// |---|---|---|
/// | the collapsed state | 1 | in closed form, where R = 0 is a fixed point |
/// | given | of [`start`](Self::start) | states of one's own |
/// | uninformative | 6; several neurons 12; sphere 1 or 3 | Q = 0 and kept so: sizes R_ii from 0.03 to 8 (0.12 to 2.5), R_ij/R_ii = 0, 0.6 and −0.9/(m − 1) |
/// | selected | up to 160 | every neuron on one feature, or on none; of the uninformative size and 2.5 times that |
/// | mixtures | up to 160 | all neurons on the same two or more of the first six features, with all signs |
/// | coinciding | up to 160 | several neurons: some copies of others, or zero, and kept so, at the three kinds of starts above of fewer neurons |
/// | combinations | about 60 | several neurons: all on one feature, each weaker than the one before; all on one feature or mixture with backgrounds that repel one another; each on a feature or mixture of its own |
/// | Sobol points | [`sobol_starts`](Self::sobol_starts) | over the feasible set |
/// | deflated | [`deflated_starts`](Self::deflated_starts) | given starts and Sobol points once more, away from what is known |
/// | beside | 6 for each point with features | several neurons: either way along the three slowest directions of a fixed point |
///
/// A start that is an image of an earlier one under the model's symmetries is left out: it leads to an image.
///
/// | setter | meaning | default |
/// |---|---|---|
/// | [`tolerance`](Self::tolerance) | rates that count as zero, in units of max(τ, decay) | 1e-12 (in `f32` 5e-5) |
/// | [`separation`](Self::separation) | distance below which states are one | 1e-6 (in `f32` 1e-3) |
/// | [`degeneracy`](Self::degeneracy) | eigenvalues that count as zero, in units of the largest | 1e-7 (in `f32` 1e-3) |
/// | [`purity`](Self::purity) | overlaps beside a selected feature's, in its units | 0.1 |
/// | [`sobol_starts`](Self::sobol_starts) | Sobol starts | 24; several neurons 96 |
/// | [`deflated_starts`](Self::deflated_starts) | of these, followed again with deflation | 8 |
/// | [`start`](Self::start) | a start of one's own | none |
/// | [`step_limit`](Self::step_limit) | Newton steps from each start | 60 |
///
/// ```
/// use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
/// use contrastive_dynamics::ode::ReducedOde;
/// use contrastive_dynamics::stability::{FixedPointFinder, Kind};
/// let model = Model::builder()
///     .nonlinearity(Tanh)
///     .hidden(Independent::new([Law::two_point(2.25)?])?)
///     .noise(GaussianNoise::correlated(0.3, -0.5)?)
///     .learning_rate(0.3)
///     .weight_decay(0.5)
///     .build()?;
/// let found = FixedPointFinder::new(&ReducedOde::new(&model)?).find()?;
/// let stable: Vec<_> = found.stable().collect();
/// assert_eq!(stable.len(), 1);
/// assert_eq!(stable[0].kind, Kind::Selected { features: vec![Some(0)] });
/// assert!((stable[0].state.q()[(0, 0)].abs() - 0.984_068_319).abs() < 1e-8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[doc(alias = "fixed_points")]
#[doc(alias = "equilibria")]
pub struct FixedPointFinder<'o, 'a, T: Scalar = f64> {
    search: Search<'o, 'a, T>,
    sobol_starts: usize,
    deflated_starts: usize,
    starts: Vec<OrderParameters<T>>,
}

/// Shown what has been found, and from how many starts.
type Observe<'f, T> = dyn FnMut(&FixedPoints<T>, usize) -> ControlFlow<()> + 'f;

impl<'o, 'a, T: Compiled> FixedPointFinder<'o, 'a, T> {
    /// A search with every default.
    #[must_use]
    pub fn new(ode: &'o ReducedOde<'a, T>) -> Self {
        Self {
            search: Search { ode, settings: SearchSettings::default() },
            sobol_starts: SOBOL_STARTS[usize::from(ode.limit().n_neurons() > 1)],
            deflated_starts: DEFLATED_STARTS,
            starts: Vec::new(),
        }
    }

    /// Rates up to `tolerance` times max(τ, τγ·largest entry) count as zero.
    #[must_use]
    pub fn tolerance(mut self, tolerance: T) -> Self {
        self.search.settings.newton.tolerance = tolerance;
        self
    }

    /// States no farther apart than that in any entry are one.
    #[must_use]
    pub fn separation(mut self, separation: T) -> Self {
        self.search.settings.separation = separation;
        self
    }

    /// Eigenvalues with real parts up to `degeneracy` times the largest modulus count as zero.
    #[must_use]
    pub fn degeneracy(mut self, degeneracy: T) -> Self {
        self.search.settings.degeneracy = degeneracy;
        self
    }

    /// A neuron has selected a feature if every other overlap is at most `purity` times that one.
    #[must_use]
    pub fn purity(mut self, purity: T) -> Self {
        self.search.settings.purity = purity;
        self
    }

    /// Begins at that many Sobol points, besides the structured starts.
    #[must_use]
    pub fn sobol_starts(mut self, count: usize) -> Self {
        self.sobol_starts = count;
        self
    }

    /// Follows that many of the Sobol and given starts once more, away from the points known by then.
    #[must_use]
    pub fn deflated_starts(mut self, count: usize) -> Self {
        self.deflated_starts = count;
        self
    }

    /// Begins at `state` too, and before all others.
    #[must_use]
    pub fn start(mut self, state: &OrderParameters<T>) -> Self {
        self.starts.push(state.clone());
        self
    }

    /// Takes at most that many Newton steps from each start.
    #[must_use]
    pub fn step_limit(mut self, steps: usize) -> Self {
        self.search.settings.newton.steps = steps;
        self
    }

    /// Searches.
    ///
    /// # Errors
    /// [`FixedPointError::Tolerance`] for a tolerance out of range; [`FixedPointError::Limit`] if the coefficients
    /// cannot be computed at an ordinary state. A start that fails is listed in the answer.
    pub fn find(&self) -> Result<FixedPoints<T>, FixedPointError<T>> {
        self.find_with(|_, _| ControlFlow::Continue(()))
    }

    /// Searches, and shows `observe` after every start what has been found, and from how many starts. With many features or several
    /// neurons a search takes seconds to minutes; `Break` ends it with what is found by then.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub fn find_with(
        &self,
        mut observe: impl FnMut(&FixedPoints<T>, usize) -> ControlFlow<()>,
    ) -> Result<FixedPoints<T>, FixedPointError<T>> {
        self.search_all(&mut observe)
    }

    fn search_all(&self, observe: &mut Observe<'_, T>) -> Result<FixedPoints<T>, FixedPointError<T>> {
        let SearchSettings { newton, separation, degeneracy, purity } = self.search.settings;
        for (name, value) in [
            ("tolerance", newton.tolerance),
            ("separation", separation),
            ("degeneracy", degeneracy),
            ("purity", purity),
        ] {
            if !(value > T::zero() && value.is_finite()) {
                return Err(FixedPointError::Tolerance { name, value: value.as_f64() });
            }
        }
        let (search, ode) = (&self.search, self.search.ode);
        let symmetries = Symmetries::detect(ode)?;
        let shape = Shape::new(ode, &symmetries);
        let mut found = FixedPoints::none(symmetries);
        search.add_collapsed(&mut found);
        // Whether all goes on when each of those starts has been followed.
        let mut count = 0;
        let mut tried: Vec<FacedStart<T>> = Vec::new();
        let mut follow = |starts: Vec<FacedStart<T>>, deflated: bool, found: &mut FixedPoints<T>| {
            for mut start in starts {
                if !deflated {
                    if tried.iter().any(|other| other.has_image(&start, &found.symmetries)) {
                        continue;
                    }
                    tried.push(start.clone());
                }
                let mut known = Vec::new();
                if deflated {
                    start.start.kind = StartKind::Deflated;
                    known = nearest_images(&found.points, &start.start.state);
                }
                search.follow(start, &known, found);
                count += 1;
                if observe(found, count).is_break() {
                    return false;
                }
            }
            true
        };
        let all = &mut found;
        if follow(self.given(&shape), false, all) && follow(shape.uninformative(), false, all) {
            let scale = size_of_weights(all);
            let coinciding = || match shape.neurons {
                1 => Vec::new(),
                _ => shape.coinciding(scale, keeps_vanishing_neurons(ode)),
            };
            let combinations = || if shape.neurons == 1 { Vec::new() } else { shape.combinations(scale) };
            let sobol = (0..self.sobol_starts).map(|index| shape.sobol(index, scale)).collect();
            let again = self.given(&shape).into_iter().chain((0..).map(|index| shape.sobol(index, scale)));
            let complete = follow(shape.selected(scale), false, all)
                && follow(shape.mixtures(scale), false, all)
                && follow(coinciding(), false, all)
                && follow(combinations(), false, all)
                && follow(sobol, false, all)
                && follow(again.take(self.deflated_starts).collect(), true, all);
            // Points that these lead to are tried too, in the order in which they are found.
            let mut index = 0;
            while complete && shape.neurons > 1 && index < all.points.len() {
                let point = &all.points[index];
                let learns = matches!(point.kind, Kind::Mixed | Kind::Selected { .. });
                let FixedPoint { state, coordinates, spectrum, .. } = point;
                let starts = if learns { shape.beside(state, coordinates, spectrum, index) } else { Vec::new() };
                if !follow(starts, false, all) {
                    break;
                }
                index += 1;
            }
        }
        Ok(found)
    }

    /// Newton's method from one state, and what is found there, whether or not it is new.
    ///
    /// # Errors
    /// [`FixedPointError::Limit`] and [`FixedPointError::Spectrum`] if the point reached cannot be analysed. A run that
    /// does not converge says so in [`FixedPoint::stop`].
    pub fn polish(&self, state: &OrderParameters<T>) -> Result<FixedPoint<T>, FixedPointError<T>> {
        let ode = self.search.ode;
        let (p, m) = (ode.limit().n_features(), ode.limit().n_neurons());
        if (state.n_features(), state.n_neurons()) != (p, m) {
            let (state_features, state_neurons) = (state.n_features(), state.n_neurons());
            return Err(LimitError::Shape { features: p, neurons: m, state_features, state_neurons }.into());
        }
        let face = Face::whole(p, m, ode.constraint());
        let run = settle(ode, &face, state, (&[], &|_| false), &self.search.settings.newton);
        self.search.analyse(run, StartKind::Given { index: 0 }, &Symmetries::none())
    }

    fn given(&self, shape: &Shape) -> Vec<FacedStart<T>> {
        let fits =
            |state: &&OrderParameters<T>| (state.n_features(), state.n_neurons()) == (shape.features, shape.neurons);
        let starts = self.starts.iter().filter(fits).enumerate().map(|(index, state)| FacedStart {
            start: SearchStart { kind: StartKind::Given { index }, state: state.clone() },
            face: Face::whole(shape.features, shape.neurons, shape.constraint),
        });
        starts.collect()
    }
}

/// The size R_ii that uninformative points have.
fn size_of_weights<T: Compiled>(found: &FixedPoints<T>) -> f64 {
    let sizes = found.points.iter().map(|point| point.state.r()[(0, 0)].as_f64()).filter(|r| *r > VANISHED);
    sizes.fold(None, |most: Option<f64>, r| Some(most.map_or(r, |m| m.max(r)))).unwrap_or(1.0).clamp(SIZES.0, SIZES.1)
}
