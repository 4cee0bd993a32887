//! Following a branch: predictor, corrector, step control, and what is passed on the way.

use nalgebra::{Complex, DVector};

use crate::Scalar;
use crate::limit::Compiled;
use crate::stability::continuation::ContinuationSystem;
use crate::stability::continuation::corrector::{Corrected, Corrector, bordered, tangent};
use crate::stability::continuation::switch::Emanating;
use crate::stability::spectrum::{SpectrumError, eigenvalues};

/// Why a branch could not be begun, or was cut off by the system itself.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ContinuationError<E> {
    /// A setting is out of range.
    #[error("{name} must be positive and finite (bounds increasing), got {value}")]
    Setting {
        /// Which.
        name: &'static str,
        /// The value given.
        value: f64,
    },
    /// The start does not fit the system.
    #[error("the system has {expected} unknowns, the start {found}")]
    Dimension {
        /// Unknowns of the system.
        expected: usize,
        /// Unknowns of the start.
        found: usize,
    },
    /// There is no solution near the start.
    #[error("no solution was found near the start")]
    NoSolution,
    /// The system could not be evaluated at the start.
    #[error("the system failed at the start")]
    System(#[source] E),
    /// The eigenvalues at the start could not be computed.
    #[error(transparent)]
    Spectrum(#[from] SpectrumError),
}

/// Why a branch ends.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum BranchStop<E> {
    /// The parameter reached a bound; the last point is there.
    Bound,
    /// As many points as were allowed.
    PointLimit,
    /// The branch came back to its first point.
    Closed,
    /// No step is small enough to be corrected.
    StepTooSmall,
    /// The next solution is not admissible.
    Inadmissible,
    /// The system could not be evaluated.
    Failed(E),
    /// The eigenvalues could not be computed.
    Spectrum(SpectrumError),
}

/// A point of a branch.
#[derive(Debug, Clone, PartialEq)]
pub struct BranchState<T: Scalar = f64> {
    /// λ.
    pub parameter: T,
    /// x, of length n.
    pub state: DVector<T>,
    /// Arclength from the first point, in (x, λ/scale).
    pub arclength: T,
    /// The unit tangent (dx, dλ/scale), of length n + 1.
    pub tangent: DVector<T>,
    /// The eigenvalues of f_x, by falling real part.
    pub eigenvalues: Vec<Complex<T>>,
    /// The number of eigenvalues with a positive real part.
    pub unstable: usize,
    /// The largest |f| left.
    pub residual: T,
}

impl<T: Compiled> BranchState<T> {
    /// Whether no eigenvalue has a positive real part.
    #[must_use]
    pub fn is_stable(&self) -> bool {
        self.unstable == 0
    }
}

/// What happens at a bifurcation.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum BifurcationKind<T = f64> {
    /// The branch turns round: two solutions meet and vanish.
    Fold,
    /// Other branches pass through: real eigenvalues cross zero, that many at once.
    BranchPoint {
        /// How many.
        crossing: usize,
    },
    /// A pair of complex eigenvalues crosses the imaginary axis: oscillations are born.
    Hopf {
        /// Their angular frequency there.
        frequency: T,
    },
}

/// A bifurcation on a branch.
#[derive(Debug, Clone, PartialEq)]
pub struct Bifurcation<T: Scalar = f64> {
    /// What happens.
    pub kind: BifurcationKind<T>,
    /// λ.
    pub parameter: T,
    /// How far λ may be off: the width of the last bracket.
    pub parameter_error: T,
    /// x.
    pub state: DVector<T>,
    /// The unit tangent of the branch.
    pub tangent: DVector<T>,
    /// The eigenvalues of f_x there.
    pub eigenvalues: Vec<Complex<T>>,
    /// The place of the last point before it on the branch.
    pub after: usize,
}

/// A branch of solutions.
#[derive(Debug, Clone, PartialEq)]
pub struct Branch<T: Scalar = f64, E = std::convert::Infallible> {
    /// Its points, in order.
    pub points: Vec<BranchState<T>>,
    /// What was passed on the way, in order.
    pub bifurcations: Vec<Bifurcation<T>>,
    /// Why it ends.
    pub stop: BranchStop<E>,
}

/// Pseudo-arclength continuation.
///
/// | setter | meaning | default |
/// |---|---|---|
/// | [`parameter_scale`](Self::parameter_scale) | the change of λ that counts as much as one of 1 in x | 1 |
/// | [`first_step`](Self::first_step) | arclength of the first step | 0.02 |
/// | [`steps`](Self::steps) | shortest and longest step | 1e-9, 0.1 |
/// | [`point_limit`](Self::point_limit) | most points | 1000 |
/// | [`tolerance`](Self::tolerance) | largest abs(f) at a solution | 1e-10 (in `f32` 1e-5) |
/// | [`location`](Self::location) | width to which bifurcations are bracketed in λ | 1e-10 (in `f32` 1e-5) |
/// | [`downwards`](Self::downwards) | begins towards smaller λ | upwards |
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Continuation<T: Scalar = f64> {
    low: T,
    high: T,
    scale: T,
    first_step: T,
    shortest: T,
    longest: T,
    points: usize,
    tolerance: T,
    location: T,
    upwards: bool,
}

/// Corrections that a step should take: more make the next shorter.
const FEW: usize = 3;
/// The largest angle between tangents of neighbouring points, as its cosine.
const TURN: f64 = 0.93;

/// A point in the making: the solution, its tangent and its tests.
#[derive(Debug, Clone)]
pub(super) struct Node<T: Scalar> {
    pub(super) z: DVector<T>,
    pub(super) tangent: DVector<T>,
    pub(super) eigenvalues: Vec<Complex<T>>,
    pub(super) unstable: usize,
    /// det [f_x f_μ; tangent]: changes sign at branch points.
    pub(super) determinant: T,
    pub(super) residual: T,
}

impl<T: Compiled> Node<T> {
    pub(super) fn new(corrected: Corrected<T>, before: &DVector<T>) -> Result<Self, SpectrumError> {
        let tangent = tangent(&corrected.slopes, before);
        let n = corrected.slopes.nrows();
        let by_state = corrected.slopes.columns(0, n).into_owned();
        let eigenvalues = eigenvalues(&by_state)?;
        // In units in which it neither over- nor underflows.
        let unit = by_state.amax().max(T::lit(1e-30));
        let mut scaled = bordered(&corrected.slopes, &tangent);
        scaled.rows_mut(0, n).scale_mut(T::one() / unit);
        Ok(Self {
            unstable: eigenvalues.iter().filter(|x| x.re > T::zero()).count(),
            determinant: scaled.determinant(),
            z: corrected.z,
            tangent,
            eigenvalues,
            residual: corrected.residual,
        })
    }

    /// dλ along the branch.
    pub(super) fn turning(&self) -> T {
        self.tangent[self.tangent.len() - 1]
    }
}

impl<T: Compiled> Continuation<T> {
    /// Continuation for λ from `low` to `high`, with every default.
    #[must_use]
    pub fn new(low: T, high: T) -> Self {
        Self {
            low,
            high,
            scale: T::one(),
            first_step: T::lit(0.02),
            shortest: T::lit(1e-9).max(T::lit(1e2) * T::EPSILON),
            longest: T::lit(0.1),
            points: 1000,
            tolerance: T::lit(1e-10).max(T::lit(1e2) * T::EPSILON),
            location: T::lit(1e-10).max(T::lit(1e2) * T::EPSILON),
            upwards: true,
        }
    }

    /// A change of λ by `scale` counts as much as one of 1 in x.
    #[must_use]
    pub fn parameter_scale(mut self, scale: T) -> Self {
        self.scale = scale;
        self
    }

    /// Begins with a step of that arclength.
    #[must_use]
    pub fn first_step(mut self, step: T) -> Self {
        self.first_step = step;
        self
    }

    /// Takes steps from `shortest` to `longest`.
    #[must_use]
    pub fn steps(mut self, shortest: T, longest: T) -> Self {
        (self.shortest, self.longest) = (shortest, longest);
        self
    }

    /// Ends after that many points.
    #[must_use]
    pub fn point_limit(mut self, points: usize) -> Self {
        self.points = points;
        self
    }

    /// Counts x as a solution where no |f| exceeds `tolerance`.
    #[must_use]
    pub fn tolerance(mut self, tolerance: T) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Brackets bifurcations to that width in λ.
    #[must_use]
    pub fn location(mut self, width: T) -> Self {
        self.location = width;
        self
    }

    /// Begins towards smaller λ.
    #[must_use]
    pub fn downwards(mut self) -> Self {
        self.upwards = false;
        self
    }

    pub(super) fn corrector(&self) -> Corrector<T> {
        Corrector { scale: self.scale, tolerance: self.tolerance, iterations: 12 }
    }

    pub(super) fn width(&self) -> T {
        self.location
    }

    /// The size of a first step away from a branch point.
    pub(super) fn departure(&self) -> T {
        self.first_step
    }

    fn check<E>(&self, expected: usize, found: usize) -> Result<(), ContinuationError<E>> {
        let settings = [
            ("the upper bound less the lower", self.high - self.low),
            ("the parameter's scale", self.scale),
            ("the first step", self.first_step),
            ("the shortest step", self.shortest),
            ("the longest step", self.longest),
            ("the tolerance", self.tolerance),
            ("the location width", self.location),
        ];
        for (name, value) in settings {
            if !(value > T::zero() && value.is_finite()) {
                return Err(ContinuationError::Setting { name, value: value.as_f64() });
            }
        }
        if expected == found { Ok(()) } else { Err(ContinuationError::Dimension { expected, found }) }
    }

    /// The branch through the solution near `start` at λ = `parameter`.
    ///
    /// # Errors
    /// See [`ContinuationError`]; what goes wrong after the first point ends the branch, see [`BranchStop`].
    pub fn run<S: ContinuationSystem<T>>(
        &self,
        system: &mut S,
        start: &[T],
        parameter: T,
    ) -> Result<Branch<T, S::Error>, ContinuationError<S::Error>> {
        let n = system.dimension();
        self.check(n, start.len())?;
        let mut z = DVector::zeros(n + 1);
        z.as_mut_slice()[..n].copy_from_slice(start);
        z[n] = parameter / self.scale;
        // At fixed λ.
        let mut along = DVector::zeros(n + 1);
        along[n] = T::one();
        let corrected = self.corrector().correct(system, &z, &along).map_err(ContinuationError::System)?;
        let corrected = corrected.ok_or(ContinuationError::NoSolution)?;
        if !self.upwards {
            along = -along;
        }
        Ok(self.follow(system, Node::new(corrected, &along)?))
    }

    /// The branch that leaves a branch point that way.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_from<S: ContinuationSystem<T>>(
        &self,
        system: &mut S,
        start: &Emanating<T>,
    ) -> Result<Branch<T, S::Error>, ContinuationError<S::Error>> {
        let n = system.dimension();
        self.check(n, start.state.len())?;
        let mut z = DVector::zeros(n + 1);
        z.rows_mut(0, n).copy_from(&start.state);
        z[n] = start.parameter / self.scale;
        let corrected = self.corrector().correct(system, &z, &start.direction).map_err(ContinuationError::System)?;
        let corrected = corrected.ok_or(ContinuationError::NoSolution)?;
        Ok(self.follow(system, Node::new(corrected, &start.direction)?))
    }

    fn follow<S: ContinuationSystem<T>>(&self, system: &mut S, first: Node<T>) -> Branch<T, S::Error> {
        let mut branch = Branch { points: Vec::new(), bifurcations: Vec::new(), stop: BranchStop::PointLimit };
        self.push(&mut branch, &first, T::zero());
        let mut node = first;
        let mut step = self.first_step.min(self.longest);
        branch.stop = loop {
            if branch.points.len() >= self.points {
                break BranchStop::PointLimit;
            }
            match self.advance(system, &node, &mut step, &mut branch) {
                Ok(Advance::Next(next)) => node = *next,
                Ok(Advance::End(stop)) => break stop,
                Err(error) => break BranchStop::Failed(error),
            }
        };
        branch
    }

    fn push<E>(&self, branch: &mut Branch<T, E>, node: &Node<T>, arclength: T) {
        let n = node.z.len() - 1;
        branch.points.push(BranchState {
            parameter: self.corrector().parameter(&node.z),
            state: node.z.rows(0, n).into_owned(),
            arclength,
            tangent: node.tangent.clone(),
            eigenvalues: node.eigenvalues.clone(),
            unstable: node.unstable,
            residual: node.residual,
        });
    }

    /// The next point, and what lies between.
    fn advance<S: ContinuationSystem<T>>(
        &self,
        system: &mut S,
        node: &Node<T>,
        step: &mut T,
        branch: &mut Branch<T, S::Error>,
    ) -> Result<Advance<T, S::Error>, S::Error> {
        let corrector = self.corrector();
        let n = node.z.len() - 1;
        loop {
            if *step < self.shortest {
                return Ok(Advance::End(BranchStop::StepTooSmall));
            }
            let mut guess = &node.z + &node.tangent * *step;
            let mut normal = node.tangent.clone();
            let parameter = corrector.parameter(&guess);
            let bound =
                if parameter > self.high { Some(self.high) } else { (parameter < self.low).then_some(self.low) };
            if let Some(bound) = bound {
                // The last point: on the bound, at fixed λ.
                let share = (bound / self.scale - node.z[n]) / (guess[n] - node.z[n]);
                if !(share > T::lit(1e-9)) {
                    return Ok(Advance::End(BranchStop::Bound));
                }
                guess = &node.z + &node.tangent * (*step * share);
                guess[n] = bound / self.scale;
                normal.fill(T::zero());
                normal[n] = T::one();
            }
            let corrected = match corrector.correct(system, &guess, &normal) {
                Ok(Some(corrected)) => corrected,
                // Where a parameter ends, a long step may leave its range.
                Err(error) if *step < T::lit(1e-3) => return Err(error),
                Ok(None) | Err(_) => {
                    *step *= T::lit(0.5);
                    continue;
                }
            };
            let iterations = corrected.iterations;
            let mut next = match Node::new(corrected, &node.tangent) {
                Ok(next) => next,
                Err(error) => return Ok(Advance::End(BranchStop::Spectrum(error))),
            };
            let cosine = next.tangent.dot(&node.tangent);
            // Neither a corner cut nor a jump to another branch.
            let far = (&next.z - &guess).norm() > T::lit(0.5) * *step;
            if (cosine < T::lit(TURN) || far) && *step > T::lit(4.0) * self.shortest {
                *step *= T::lit(0.5);
                continue;
            }
            let parameter = corrector.parameter(&next.z);
            if !system.is_admissible(&next.z.as_slice()[..n], parameter) {
                if *step > T::lit(1e-4).max(T::lit(4.0) * self.shortest) {
                    *step *= T::lit(0.5);
                    continue;
                }
                return Ok(Advance::End(BranchStop::Inadmissible));
            }
            let after = branch.points.len() - 1;
            for found in self.between(system, node, &next)? {
                branch.bifurcations.push(Bifurcation { after, ..found });
            }
            let length = (&next.z - &node.z).norm();
            let arclength = branch.points[after].arclength + length;
            self.push(branch, &next, arclength);
            if bound.is_some() {
                return Ok(Advance::End(BranchStop::Bound));
            }
            if self.is_closed(branch, length) {
                return Ok(Advance::End(BranchStop::Closed));
            }
            if system.accepted(&next.z.as_slice()[..n], parameter)?
                && let Some(again) = corrector.correct(system, &next.z, &next.tangent)?
                && let Ok(again) = Node::new(again, &next.tangent)
            {
                next = again;
            }
            let factor = if iterations <= FEW {
                1.4
            } else if iterations > 6 {
                0.6
            } else {
                1.0
            };
            *step = (*step * T::lit(factor)).min(self.longest);
            return Ok(Advance::Next(Box::new(next)));
        }
    }

    /// Whether the last step passed by the first point.
    fn is_closed<E>(&self, branch: &Branch<T, E>, length: T) -> bool {
        let (Some(first), Some(last)) = (branch.points.first(), branch.points.last()) else { return false };
        if branch.points.len() < 4 {
            return false;
        }
        let apart = (&first.state - &last.state).norm().hypot((first.parameter - last.parameter) / self.scale);
        apart < T::lit(0.5) * length && first.tangent.dot(&last.tangent) > T::lit(TURN)
    }
}

enum Advance<T: Scalar, E> {
    Next(Box<Node<T>>),
    End(BranchStop<E>),
}
