//! The attraction regions of a list of stable fixed points.
//!
//! Covers [`AttractionRegions`], its settings, and in which neighbourhood a state lies. Not here: where a start ends
//! (see `follow`), maps and borders.

use crate::Scalar;
use crate::limit::{Compiled, LimitError};
use crate::ode::ReducedOde;
use crate::parallel::Local;
use crate::stability::fixed_point::{FixedPoint, Image, PackedMap, Symmetries, orbit};
use crate::stability::regions::error::{RegionsError, TOLERANCES};
use crate::stability::regions::neighbourhood::Neighbourhood;
use crate::state::OrderParameters;

/// Default relative error of a step: what a neighbourhood is entered with is far larger.
const TOLERANCE: f64 = 1e-8;
/// The same on the first pass over many starts, which mistakes only those within about that of a border.
const SURVEY_TOLERANCE: f64 = 1e-4;
/// Neither is below that many ulp, which counts in single precision.
const TIGHTEST_ULPS: f64 = 1e3;
/// Default time at which a start counts as still on its way; rates are of the order of the learning rate.
const TIME_LIMIT: f64 = 1e4;
/// Coefficients are computed to that part of the tolerance of a step, so that their error does not count.
const COEFFICIENTS: f64 = 0.1;
/// The most images of one point: by signs and exchanges of five neurons there are 3840, of six 46 080.
const MOST_IMAGES: usize = 4096;

/// The regions of starts that end at each of a list of stable fixed points.
///
/// | setter | meaning | default |
/// |---|---|---|
/// | [`tolerance`](Self::tolerance) | relative error of a step of the integration | 1e-8 |
/// | [`survey_tolerance`](Self::survey_tolerance) | the same on the first pass over many starts | 1e-4 |
/// | [`time_limit`](Self::time_limit) | when a start counts as still on its way | 10⁴ |
///
/// The first pass over many starts takes coefficients good to a tenth of its tolerance, if the ODE's own are better.
///
/// ```
/// use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
/// use contrastive_dynamics::stability::AttractionRegions;
/// use contrastive_dynamics::ode::ReducedOde;
/// use contrastive_dynamics::state::OrderParameters;
/// let model = Model::builder()
///     .nonlinearity(Tanh)
///     .hidden(Independent::new([Law::two_point(2.25)?, Law::two_point(2.25)?])?)
///     .noise(GaussianNoise::correlated(0.3, -0.5)?)
///     .learning_rate(0.3)
///     .weight_decay(0.5)
///     .build()?;
/// let ode = ReducedOde::new(&model)?;
/// let near = |q: [f64; 2]| OrderParameters::from_rows(2, 1, &q, &[1.0]);
/// // One feature learned, the other not; ± are images of one another.
/// let regions = AttractionRegions::new(&ode, &[near([0.98, 0.0])?, near([0.0, 0.98])?])?;
/// assert_eq!(regions.outcome(&near([0.3, 0.2])?).label(), Some((0, 0)));
/// assert_eq!(regions.outcome(&near([0.1, -0.2])?).label(), Some((1, 1)));
/// // Equal features: the border is the diagonal.
/// let border = regions.border(|angle: f64| near([0.3 * angle.cos(), 0.3 * angle.sin()]), (0.3, 1.2), 1e-6)?;
/// assert!((border.at - std::f64::consts::FRAC_PI_4).abs() < 1e-6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[doc(alias = "basin")]
pub struct AttractionRegions<'a, T: Scalar = f64, X = Local> {
    pub(crate) ode: ReducedOde<'a, T>,
    /// For each point, its images, itself first.
    points: Vec<Vec<Neighbourhood<T>>>,
    pub(crate) tolerance: T,
    pub(crate) survey_tolerance: T,
    pub(crate) time_limit: T,
    /// Runs the starts of maps, borders and probabilities.
    pub(crate) executor: X,
}

impl<'a, T: Compiled> AttractionRegions<'a, T> {
    /// The regions of those stable points of `ode`, each given to within what Newton's method mends.
    ///
    /// # Errors
    /// [`RegionsError::NoPoints`] for an empty list; [`RegionsError::Duplicate`] if two of them are images of one
    /// another; [`RegionsError::Images`]; and as [`Neighbourhood::certify`] for each point.
    pub fn new(ode: &ReducedOde<'a, T>, points: &[OrderParameters<T>]) -> Result<Self, RegionsError<T>> {
        let certified = points.iter().map(|point| Neighbourhood::certify(ode, point));
        Self::from_neighbourhoods(ode, certified.collect::<Result<_, _>>()?)
    }

    /// The regions of the stable ones among those fixed points and their images. Which of equal features is selected
    /// counts as a point of its own; images by signs and by exchanges of neurons share a number.
    ///
    /// # Errors
    /// As [`new`](Self::new), but for duplicates, which are left out.
    pub fn of_fixed_points<'p>(
        ode: &ReducedOde<'a, T>,
        points: impl IntoIterator<Item = &'p FixedPoint<T>>,
    ) -> Result<Self, RegionsError<T>> {
        let generators = Symmetries::detect(ode)?.keeping_features();
        let mut kept: Vec<Neighbourhood<T>> = Vec::new();
        for state in points.into_iter().filter(|point| point.is_stable()).flat_map(|point| &point.images) {
            check_shape(ode, state)?;
            let packed = state.to_packed();
            let known = |kept: &Neighbourhood<T>| -> Result<bool, RegionsError<T>> {
                let images = images(&generators, packed.as_slice(), closeness(ode))?;
                Ok(images.iter().any(|image| kept.holds(&image.point)))
            };
            if !kept.iter().map(known).collect::<Result<Vec<_>, _>>()?.contains(&true) {
                kept.push(Neighbourhood::certify(ode, state)?);
            }
        }
        Self::from_neighbourhoods(ode, kept)
    }

    /// The regions of points whose neighbourhoods are known already.
    ///
    /// # Errors
    /// [`RegionsError::NoPoints`], [`RegionsError::Duplicate`] and [`RegionsError::Images`], as [`new`](Self::new);
    /// [`RegionsError::Limit`] for a neighbourhood of another shape.
    pub fn from_neighbourhoods(
        ode: &ReducedOde<'a, T>,
        neighbourhoods: Vec<Neighbourhood<T>>,
    ) -> Result<Self, RegionsError<T>> {
        if neighbourhoods.is_empty() {
            return Err(RegionsError::NoPoints);
        }
        let generators = Symmetries::detect(ode)?.keeping_features();
        let mut points: Vec<Vec<Neighbourhood<T>>> = Vec::new();
        for (second, neighbourhood) in neighbourhoods.into_iter().enumerate() {
            check_shape(ode, neighbourhood.center())?;
            let center = neighbourhood.packed();
            // Two points of which one attracts the other are one.
            let same = |images: &Vec<Neighbourhood<T>>| images.iter().any(|image| image.holds(center));
            if let Some(first) = points.iter().position(same) {
                return Err(RegionsError::Duplicate { first, second });
            }
            let close = closeness(ode) * center.iter().fold(T::one(), |s, x| s.max(x.abs()));
            let images = images(&generators, center, close)?;
            points.push(images.iter().map(|image| neighbourhood.image(&image.map)).collect());
        }
        let tightest = T::lit(TIGHTEST_ULPS) * T::EPSILON;
        Ok(Self {
            ode: ode.clone(),
            points,
            tolerance: T::lit(TOLERANCE).max(tightest),
            survey_tolerance: T::lit(SURVEY_TOLERANCE).max(tightest),
            time_limit: T::lit(TIME_LIMIT),
            executor: Local::default(),
        })
    }
}

impl<'a, T: Compiled, X> AttractionRegions<'a, T, X> {
    /// Follows the starts of maps, borders and probabilities by that executor. Default: the threads of this machine with
    /// the feature `parallel`, else one after the other. No bit of the answers depends on it.
    #[must_use]
    pub fn executor<Y>(self, executor: Y) -> AttractionRegions<'a, T, Y> {
        let Self { ode, points, tolerance, survey_tolerance, time_limit, executor: _ } = self;
        AttractionRegions { ode, points, tolerance, survey_tolerance, time_limit, executor }
    }

    /// Follows single starts, borders and doubtful starts of a map with that relative error per step.
    ///
    /// # Errors
    /// [`RegionsError::Tolerance`] unless it lies in [1e-12, 1e-3].
    pub fn tolerance(mut self, tolerance: T) -> Result<Self, RegionsError<T>> {
        self.tolerance = checked(tolerance)?;
        Ok(self)
    }

    /// Follows many starts with that relative error per step on the first pass.
    ///
    /// # Errors
    /// [`RegionsError::Tolerance`] unless it lies in [1e-12, 1e-3].
    pub fn survey_tolerance(mut self, tolerance: T) -> Result<Self, RegionsError<T>> {
        self.survey_tolerance = checked(tolerance)?;
        Ok(self)
    }

    /// Gives up on a start at that time.
    ///
    /// # Errors
    /// [`RegionsError::TimeLimit`] unless it is positive and finite.
    pub fn time_limit(mut self, time: T) -> Result<Self, RegionsError<T>> {
        if !(time > T::zero() && time.is_finite()) {
            return Err(RegionsError::TimeLimit { value: time.as_f64() });
        }
        self.time_limit = time;
        Ok(self)
    }

    /// The number of stable points, images not counted.
    #[must_use]
    pub fn points(&self) -> usize {
        self.points.len()
    }

    /// The neighbourhoods of a point and its images under the model's symmetries, itself first; empty for a number out
    /// of range.
    #[must_use]
    pub fn images(&self, point: usize) -> &[Neighbourhood<T>] {
        self.points.get(point).map_or(&[], Vec::as_slice)
    }

    /// The neighbourhood that holds a state, as numbers of point and image.
    #[must_use]
    pub fn neighbourhood_of(&self, state: &OrderParameters<T>) -> Option<(usize, usize)> {
        let center = self.points[0][0].center();
        if (state.n_features(), state.n_neurons()) != (center.n_features(), center.n_neurons()) {
            return None;
        }
        self.entered(state.to_packed().as_slice())
    }

    /// The point and image whose neighbourhood holds a packed state.
    pub(crate) fn entered(&self, y: &[T]) -> Option<(usize, usize)> {
        self.points.iter().enumerate().find_map(|(point, images)| {
            let image = images.iter().position(|image| image.holds(y))?;
            Some((point, image))
        })
    }

    /// The largest norm of a Jacobian at the stable points.
    pub(crate) fn fastest_rate(&self) -> T {
        self.points.iter().fold(T::zero(), |s, images| s.max(images[0].fastest_rate()))
    }

    /// The integration at a tolerance, with coefficients good to a tenth of it if the ODE's own are better.
    pub(crate) fn accuracy(&self, tolerance: T) -> Result<Accuracy<'a, T>, LimitError<T>> {
        let ode = self.ode.clone();
        let wanted = (tolerance * T::lit(COEFFICIENTS)).max(ode.limit().accuracy());
        Ok(Accuracy { ode: ode.coefficient_tolerance(wanted)?, tolerance })
    }
}

/// How accurately starts are followed.
#[derive(Debug, Clone)]
pub(crate) struct Accuracy<'a, T: Scalar> {
    pub(crate) ode: ReducedOde<'a, T>,
    /// Relative error of a step.
    pub(crate) tolerance: T,
}

/// So many errors of the coefficients are between images that are one.
const IMAGE_ERRORS: f64 = 10.0;

/// How close images are that are one, in units of the largest entry: rates whose coefficients err keep a symmetry up to that error.
fn closeness<T: Compiled>(ode: &ReducedOde<'_, T>) -> T {
    T::EPSILON.sqrt().max(T::lit(IMAGE_ERRORS) * ode.limit().accuracy())
}

fn checked<T: Scalar>(tolerance: T) -> Result<T, RegionsError<T>> {
    if tolerance >= T::lit(TOLERANCES.0) && tolerance <= T::lit(TOLERANCES.1) {
        Ok(tolerance)
    } else {
        Err(RegionsError::Tolerance { value: tolerance.as_f64() })
    }
}

/// Whether a state has the shape of the ODE.
fn check_shape<T: Compiled>(ode: &ReducedOde<'_, T>, state: &OrderParameters<T>) -> Result<(), LimitError<T>> {
    let (features, neurons) = (ode.limit().n_features(), ode.limit().n_neurons());
    let (state_features, state_neurons) = (state.n_features(), state.n_neurons());
    if (features, neurons) == (state_features, state_neurons) {
        return Ok(());
    }
    Err(LimitError::Shape { features, neurons, state_features, state_neurons })
}

/// Every different image of a packed state, itself first.
fn images<T: Compiled>(generators: &[PackedMap], packed: &[T], close: T) -> Result<Vec<Image<T>>, RegionsError<T>> {
    let images = orbit(generators, packed, close, MOST_IMAGES + 1);
    if images.len() > MOST_IMAGES { Err(RegionsError::Images { most: MOST_IMAGES }) } else { Ok(images) }
}
