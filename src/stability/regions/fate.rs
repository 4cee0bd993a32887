//! Where one start ends: the trajectory is followed until it enters a certified neighbourhood.

use crate::Scalar;
use crate::integrate::{DormandPrince, Integrator, Step, StepError, System};
use crate::limit::Compiled;
use crate::limit::LimitError;
use crate::ode::{OdeSystem, RatesError, ReducedOde};
use crate::stability::FixedPoint;
use crate::stability::regions::symmetry::{generators, images};
use crate::stability::regions::watch::Watch;
use crate::stability::regions::{Neighbourhood, RegionsError};
use crate::state::{OrderParameters, OrderParametersError, unpack};

/// Where a start ends.
#[derive(Debug, Clone, PartialEq)]
pub enum Fate<T: Scalar = f64> {
    /// It entered the certified neighbourhood of a stable point.
    Reached {
        /// The point's number in the list given.
        point: usize,
        /// Which of the point's images under the model's symmetries, see [`AttractionRegions::images`]; 0 is the point
        /// itself.
        image: usize,
        /// When it entered.
        time: T,
    },
    /// It did not.
    NotReached(Stray<T>),
}

/// Why a start reached none of the stable points.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Stray<T: Scalar = f64> {
    /// It came so close to an unstable fixed point that the tolerance does not tell where it goes from there: the start
    /// lies on a border, within what the tolerance resolves.
    Saddle {
        /// The unstable point.
        point: OrderParameters<T>,
        /// When.
        time: T,
    },
    /// It came to rest at a stable fixed point that is not in the list.
    Unlisted {
        /// The stable point.
        point: OrderParameters<T>,
        /// When.
        time: T,
    },
    /// It was still on its way when the time or the number of steps was over.
    TimeLimit {
        /// The state then.
        state: OrderParameters<T>,
        /// The time reached.
        time: T,
    },
    /// The start is no state of the model.
    NoState(OrderParametersError),
    /// The integration failed.
    Failed {
        /// Why; `None` if no step was small enough for the tolerance.
        source: Option<RatesError<T>>,
        /// The time reached.
        time: T,
    },
}

impl<T: Scalar> Fate<T> {
    /// The number of the point reached.
    #[must_use]
    pub fn point(&self) -> Option<usize> {
        self.label().map(|(point, _)| point)
    }

    /// The numbers of the point reached and of its image.
    #[must_use]
    pub fn label(&self) -> Option<(usize, usize)> {
        match self {
            Self::Reached { point, image, .. } => Some((*point, *image)),
            Self::NotReached(_) => None,
        }
    }

    pub(super) fn describe(&self) -> String {
        match self {
            Self::Reached { point, image, .. } => format!("point {point}, image {image}"),
            Self::NotReached(stray) => {
                let reason = match stray {
                    Stray::Saddle { .. } => "stopped at a saddle",
                    Stray::Unlisted { .. } => "a stable point that is not listed",
                    Stray::TimeLimit { .. } => "still on its way",
                    Stray::NoState(_) => "no state",
                    Stray::Failed { .. } => "failed",
                };
                format!("not reached ({reason})")
            }
        }
    }
}

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
/// use contrastive_dynamics::{OrderParameters, ReducedOde};
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
/// assert_eq!(regions.fate(&near([0.3, 0.2])?).label(), Some((0, 0)));
/// assert_eq!(regions.fate(&near([0.1, -0.2])?).label(), Some((1, 1)));
/// // Equal features: the border is the diagonal.
/// let border = regions.border(|angle: f64| near([0.3 * angle.cos(), 0.3 * angle.sin()]), (0.3, 1.2), 1e-6)?;
/// assert!((border.at - std::f64::consts::FRAC_PI_4).abs() < 1e-6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct AttractionRegions<'a, T: Scalar = f64> {
    pub(super) ode: ReducedOde<'a, T>,
    /// For each point, its images, itself first.
    points: Vec<Vec<Neighbourhood<T>>>,
    pub(super) tolerance: T,
    pub(super) survey_tolerance: T,
    time_limit: T,
}

/// How carefully a start is followed.
#[derive(Debug, Clone)]
pub(super) struct Care<'a, T: Scalar> {
    pub(super) ode: ReducedOde<'a, T>,
    pub(super) tolerance: T,
}

const MOST_STEPS: u64 = 200_000;

impl<'a, T: Compiled> AttractionRegions<'a, T> {
    /// The regions of those stable points of `ode`, each given to within what Newton's method mends.
    ///
    /// # Errors
    /// [`RegionsError::NoPoints`] for an empty list; [`RegionsError::Duplicate`] if two of them are images of one another;
    /// [`RegionsError::Images`]; and as [`Neighbourhood::certify`] for each point.
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
        let generators = generators(ode)?;
        let mut kept: Vec<Neighbourhood<T>> = Vec::new();
        for state in points.into_iter().filter(|point| point.is_stable()).flat_map(|point| &point.images) {
            let packed = state.to_packed();
            let known = |kept: &Neighbourhood<T>| -> Result<bool, RegionsError<T>> {
                let images = images(&generators, packed.as_slice(), T::EPSILON.sqrt())?;
                Ok(images.iter().any(|image| kept.holds(&image.apply(packed.as_slice()), T::one())))
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
    /// [`RegionsError::NoPoints`], [`RegionsError::Duplicate`] and [`RegionsError::Images`], as [`new`](Self::new).
    pub fn from_neighbourhoods(
        ode: &ReducedOde<'a, T>,
        neighbourhoods: Vec<Neighbourhood<T>>,
    ) -> Result<Self, RegionsError<T>> {
        if neighbourhoods.is_empty() {
            return Err(RegionsError::NoPoints);
        }
        let generators = generators(ode)?;
        let mut points: Vec<Vec<Neighbourhood<T>>> = Vec::new();
        for (second, neighbourhood) in neighbourhoods.into_iter().enumerate() {
            let center = neighbourhood.packed();
            // Two points of which one attracts the other are one.
            let same = |images: &Vec<Neighbourhood<T>>| images.iter().any(|image| image.holds(center, T::one()));
            if let Some(first) = points.iter().position(same) {
                return Err(RegionsError::Duplicate { first, second });
            }
            let close = T::EPSILON.sqrt() * center.iter().fold(T::one(), |s, x| s.max(x.abs()));
            let images = images(&generators, center, close)?;
            points.push(images.iter().map(|image| neighbourhood.image(image)).collect());
        }
        let tightest = T::lit(1e3) * T::EPSILON;
        Ok(Self {
            ode: ode.clone(),
            points,
            tolerance: T::lit(1e-8).max(tightest),
            survey_tolerance: T::lit(1e-4).max(tightest),
            time_limit: T::lit(1e4),
        })
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

    /// The neighbourhoods of a point and its images under the model's symmetries, itself first; empty for a number out of
    /// range.
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
        self.entered(state.to_packed().as_slice(), T::one())
    }

    /// The point and image with V ≤ share·V₀ at a packed state.
    pub(in crate::stability) fn entered(&self, y: &[T], share: T) -> Option<(usize, usize)> {
        self.points.iter().enumerate().find_map(|(point, images)| {
            let image = images.iter().position(|image| image.holds(y, share))?;
            Some((point, image))
        })
    }

    /// Where `start` ends.
    #[must_use]
    pub fn fate(&self, start: &OrderParameters<T>) -> Fate<T> {
        let care = Care { ode: self.ode.clone(), tolerance: self.tolerance };
        match care.ode.system(start) {
            Ok(mut system) => self.follow(start, &care, &mut system),
            Err(LimitError::Shape { .. }) => Fate::NotReached(Stray::NoState(wrong_shape(start))),
            Err(source) => failed(Some(source.into()), T::zero()),
        }
    }

    /// As [`fate`](Self::fate), for a start that may be none.
    pub(super) fn fate_of(&self, start: Result<OrderParameters<T>, OrderParametersError>) -> Fate<T> {
        match start {
            Ok(start) => self.fate(&start),
            Err(error) => Fate::NotReached(Stray::NoState(error)),
        }
    }

    /// The survey tolerance and the tolerance.
    pub(in crate::stability) fn tolerances(&self) -> [T; 2] {
        [self.survey_tolerance, self.tolerance]
    }

    /// The integration at a tolerance, with coefficients good to a tenth of it.
    pub(super) fn care(&self, tolerance: T) -> Result<Care<'a, T>, LimitError<T>> {
        let ode = self.ode.clone();
        let wanted = (tolerance * T::lit(0.1)).max(ode.limit().accuracy());
        Ok(Care { ode: ode.coefficient_tolerance(wanted)?, tolerance })
    }

    /// Follows a start until it enters a neighbourhood.
    pub(super) fn follow(
        &self,
        start: &OrderParameters<T>,
        care: &Care<'_, T>,
        system: &mut OdeSystem<'_, '_, T>,
    ) -> Fate<T> {
        if (start.n_features(), start.n_neurons()) != (care.ode.limit().n_features(), care.ode.limit().n_neurons()) {
            return Fate::NotReached(Stray::NoState(wrong_shape(start)));
        }
        let packed = start.to_packed().as_slice().to_vec();
        if let Some((point, image)) = self.entered(&packed, T::one()) {
            return Fate::Reached { point, image, time: T::zero() };
        }
        let Ok(integrator) = DormandPrince::new(care.tolerance, care.tolerance * T::lit(0.01)) else {
            return failed(None, T::zero());
        };
        let mut rates = vec![T::zero(); packed.len()];
        if let Err(error) = system.rates(T::zero(), &packed, &mut rates) {
            return failed(Some(error), T::zero());
        }
        let mut step = Step::new(T::zero(), packed, rates);
        let mut watch = Watch::new(self, start, care);
        loop {
            if let Some(stray) = watch.at_rest(self, &step) {
                return Fate::NotReached(stray);
            }
            if step.t >= self.time_limit || step.work.accepted_steps >= MOST_STEPS {
                return Fate::NotReached(Stray::TimeLimit { state: state(start, &step.y), time: step.t });
            }
            match integrator.step(system, &mut step, self.time_limit) {
                Ok(()) => {}
                Err(StepError::StepTooSmall) => return failed(None, step.t),
                Err(StepError::System(error)) => return failed(Some(error), step.t),
            }
            if let Some((point, image)) = self.entered(&step.y, T::one()) {
                return Fate::Reached { point, image, time: step.t };
            }
            let renewed = system
                .accepted(step.t, &step.y)
                .and_then(|changed| if changed { system.rates(step.t, &step.y, &mut step.rates) } else { Ok(()) });
            if let Err(error) = renewed {
                return failed(Some(error), step.t);
            }
        }
    }

    pub(super) fn fastest_rate(&self) -> T {
        self.points.iter().fold(T::zero(), |s, images| s.max(images[0].fastest_rate()))
    }
}

fn checked<T: Compiled>(tolerance: T) -> Result<T, RegionsError<T>> {
    if tolerance >= T::lit(1e-12) && tolerance <= T::lit(1e-3) {
        Ok(tolerance)
    } else {
        Err(RegionsError::Tolerance { value: tolerance.as_f64() })
    }
}

fn wrong_shape<T: Compiled>(start: &OrderParameters<T>) -> OrderParametersError {
    OrderParametersError::Shape { q: start.q().shape(), r: start.r().shape() }
}

fn failed<T: Compiled>(source: Option<RatesError<T>>, time: T) -> Fate<T> {
    Fate::NotReached(Stray::Failed { source, time })
}

pub(super) fn state<T: Compiled>(like: &OrderParameters<T>, y: &[T]) -> OrderParameters<T> {
    let (q, r) = unpack(like.n_features(), like.n_neurons(), y);
    OrderParameters::from_parts(q, r)
}
