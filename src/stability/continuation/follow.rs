//! Following a branch: predictor, corrector, step control, what is passed on the way, and where it is saved.
//!
//! Covers pseudo-arclength continuation (H. B. Keller 1977; E. L. Allgower and K. Georg, doi:10.1137/1.9780898719154).
//! Not here: one point (see `corrector`), bifurcations between two of them (see `locate`).

use std::ops::ControlFlow;

use nalgebra::DVector;

use crate::Scalar;
use crate::limit::Compiled;
use crate::stability::continuation::branch::{Bifurcation, Branch, BranchState, BranchStop};
use crate::stability::continuation::error::ContinuationError;
use crate::stability::continuation::locate::between;
use crate::stability::continuation::node::Node;
use crate::stability::continuation::saving::{BranchProgress, Saves};
use crate::stability::continuation::settings::Continuation;
use crate::stability::continuation::switch::{Emanating, check_direction};
use crate::stability::continuation::system::{AnySystem, ContinuationSystem};

/// Corrections up to which the next step is longer, ...
const FEW: usize = 3;
/// ... and above which it is shorter.
const MANY: usize = 6;
/// By which a step is longer: two of them double it.
const LONGER: f64 = 1.4;
/// By which a step is shorter after many corrections.
const SHORTER: f64 = 0.6;
/// By which a step that failed is shorter.
const FAILED: f64 = 0.5;
/// The largest angle between tangents of neighbouring points, 22°, as its cosine.
const TURN: f64 = 0.93;
/// A solution farther from its guess than this part of the step lies on another branch.
const FAR: f64 = 0.5;
/// Steps of up to that many shortest ones are taken even round a corner.
const CORNER: f64 = 4.0;
/// A step shorter than that on which the system fails ends the branch with its error: longer ones may have left the
/// parameter's range.
const FAILING_STEP: f64 = 1e-3;
/// A branch ends at the first solution that is not admissible, approached to that step.
const INADMISSIBLE_STEP: f64 = 1e-4;
/// A bound nearer than that part of the step is reached already.
const AT_BOUND: f64 = 1e-9;
/// A branch of fewer points is not closed.
const CLOSED_POINTS: usize = 4;
/// A branch is closed where it passes its first point at less than that part of a step.
const CLOSED: f64 = 0.5;

/// Shown the branch so far.
type Observe<'f, T, E> = dyn FnMut(&Branch<T, E>) -> ControlFlow<()> + 'f;

/// Who is shown the branch, and where it is saved.
pub(super) type Watch<'o, 'f, T, E> = (&'o mut Observe<'f, T, E>, Option<&'o mut Saves<'o, T>>);

impl<T: Compiled> Continuation<T> {
    /// The branch through the solution near `start` at λ = `parameter`.
    ///
    /// # Errors
    /// See [`ContinuationError`]; what goes wrong after the first point ends the branch, see [`BranchStop`].
    #[doc(alias = "follow")]
    pub fn run<S: ContinuationSystem<T>>(
        &self,
        system: &mut S,
        start: &[T],
        parameter: T,
    ) -> Result<Branch<T, S::Error>, ContinuationError<S::Error>> {
        self.run_with(system, start, parameter, |_| ControlFlow::Continue(()))
    }

    /// As [`run`](Self::run), and shows `observe` the branch so far after every point, the first included. `Break` ends it
    /// there, with [`BranchStop::Observer`].
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// use contrastive_dynamics::stability::{BranchStop, Continuation, FunctionSystem};
    /// let mut line = FunctionSystem::new(1, |x: &[f64], lambda, out: &mut [f64]| out[0] = lambda - x[0]);
    /// // Up to where x exceeds 0.3.
    /// let branch = Continuation::new(0.0, 1.0).run_with(&mut line, &[0.0], 0.0, |branch| {
    ///     let far = branch.points.last().is_some_and(|point| point.state[0] > 0.3);
    ///     if far { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    /// })?;
    /// assert_eq!(branch.stop, BranchStop::Observer);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_with<S: ContinuationSystem<T>>(
        &self,
        system: &mut S,
        start: &[T],
        parameter: T,
        mut observe: impl FnMut(&Branch<T, S::Error>) -> ControlFlow<()>,
    ) -> Result<Branch<T, S::Error>, ContinuationError<S::Error>> {
        self.begin(system, start, parameter, (&mut observe, None))
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
        self.run_from_with(system, start, |_| ControlFlow::Continue(()))
    }

    /// As [`run_from`](Self::run_from), and shows `observe` the branch so far after every point; see
    /// [`run_with`](Self::run_with).
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_from_with<S: ContinuationSystem<T>>(
        &self,
        system: &mut S,
        start: &Emanating<T>,
        mut observe: impl FnMut(&Branch<T, S::Error>) -> ControlFlow<()>,
    ) -> Result<Branch<T, S::Error>, ContinuationError<S::Error>> {
        self.leave(system, start, (&mut observe, None))
    }

    pub(super) fn begin<E>(
        &self,
        system: &mut AnySystem<'_, T, E>,
        start: &[T],
        parameter: T,
        mut watch: Watch<'_, '_, T, E>,
    ) -> Result<Branch<T, E>, ContinuationError<E>> {
        let n = system.dimension();
        self.check(n, start.len())?;
        let mut z = DVector::zeros(n + 1);
        z.as_mut_slice()[..n].copy_from_slice(start);
        z[n] = parameter / self.scale;
        if let Some(saves) = &mut watch.1
            && let Some(kept) = saves.resume(self, system, &z)?
        {
            return Ok(self.follow(system, kept, watch));
        }
        // At fixed λ.
        let mut along = DVector::zeros(n + 1);
        along[n] = T::one();
        let corrected = self.corrector().correct(system, &z, &along).map_err(ContinuationError::System)?;
        let corrected = corrected.ok_or(ContinuationError::NoSolution)?;
        if !self.upwards {
            along = -along;
        }
        Ok(self.follow(system, self.first(Node::new(corrected, &along)?), watch))
    }

    pub(super) fn leave<E>(
        &self,
        system: &mut AnySystem<'_, T, E>,
        start: &Emanating<T>,
        mut watch: Watch<'_, '_, T, E>,
    ) -> Result<Branch<T, E>, ContinuationError<E>> {
        let n = system.dimension();
        self.check(n, start.state.len())?;
        check_direction(n + 1, &start.direction)?;
        let mut z = DVector::zeros(n + 1);
        z.rows_mut(0, n).copy_from(&start.state);
        z[n] = start.parameter / self.scale;
        if let Some(saves) = &mut watch.1
            && let Some(kept) = saves.resume(self, system, &z)?
        {
            return Ok(self.follow(system, kept, watch));
        }
        let corrected = self.corrector().correct(system, &z, &start.direction).map_err(ContinuationError::System)?;
        let corrected = corrected.ok_or(ContinuationError::NoSolution)?;
        Ok(self.follow(system, self.first(Node::new(corrected, &start.direction)?), watch))
    }

    fn follow<E>(
        &self,
        system: &mut AnySystem<'_, T, E>,
        kept: BranchProgress<T>,
        (observe, saves): Watch<'_, '_, T, E>,
    ) -> Branch<T, E> {
        let BranchProgress { points, bifurcations, mut node, mut step, .. } = kept;
        let mut branch = Branch { points, bifurcations, stop: BranchStop::PointLimit };
        let mut saved_at = branch.points.len();
        branch.stop = loop {
            if let Some(saves) = &saves
                && branch.points.len() - saved_at >= saves.every
            {
                saved_at = branch.points.len();
                if let Err(error) = saves.keep(system, &branch, &node, step) {
                    break BranchStop::Unsaved(error.to_string());
                }
            }
            if observe(&branch).is_break() {
                break BranchStop::Observer;
            }
            if branch.points.len() >= self.points {
                break BranchStop::PointLimit;
            }
            let known = branch.points.len();
            match self.advance(system, &node, &mut step, &mut branch) {
                Ok(Advance::Next(next)) => node = *next,
                Ok(Advance::End(stop)) => {
                    // The last point is shown too; the branch ends here anyway.
                    if branch.points.len() > known {
                        let _ = observe(&branch);
                    }
                    break stop;
                }
                Err(error) => break BranchStop::Failed(error),
            }
        };
        branch
    }

    /// A branch of one point.
    fn first(&self, node: Node<T>) -> BranchProgress<T> {
        let step = self.first_step.min(self.longest);
        let points = vec![self.point(&node, T::zero())];
        BranchProgress { points, bifurcations: Vec::new(), node, step, memory: Vec::new() }
    }

    fn point(&self, node: &Node<T>, arclength: T) -> BranchState<T> {
        let n = node.z.len() - 1;
        BranchState {
            parameter: self.corrector().parameter(&node.z),
            state: node.z.rows(0, n).into_owned(),
            arclength,
            tangent: node.tangent.clone(),
            eigenvalues: node.eigenvalues.clone(),
            unstable: node.unstable,
            residual: node.residual,
        }
    }

    /// The next point, and what lies between.
    fn advance<E>(
        &self,
        system: &mut AnySystem<'_, T, E>,
        node: &Node<T>,
        step: &mut T,
        branch: &mut Branch<T, E>,
    ) -> Result<Advance<T, E>, E> {
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
                if !(share > T::lit(AT_BOUND)) {
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
                Err(error) if *step < T::lit(FAILING_STEP) => return Err(error),
                Ok(None) | Err(_) => {
                    *step *= T::lit(FAILED);
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
            let far = (&next.z - &guess).norm() > T::lit(FAR) * *step;
            if (cosine < T::lit(TURN) || far) && *step > T::lit(CORNER) * self.shortest {
                *step *= T::lit(FAILED);
                continue;
            }
            let parameter = corrector.parameter(&next.z);
            if !system.is_admissible(&next.z.as_slice()[..n], parameter) {
                if *step > T::lit(INADMISSIBLE_STEP).max(T::lit(CORNER) * self.shortest) {
                    *step *= T::lit(FAILED);
                    continue;
                }
                return Ok(Advance::End(BranchStop::Inadmissible));
            }
            let after = branch.points.len() - 1;
            for found in between(self, system, node, &next) {
                branch.bifurcations.push(Bifurcation { after, ..found });
            }
            let length = (&next.z - &node.z).norm();
            let arclength = branch.points[after].arclength + length;
            branch.points.push(self.point(&next, arclength));
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
                LONGER
            } else if iterations > MANY {
                SHORTER
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
        if branch.points.len() < CLOSED_POINTS {
            return false;
        }
        let apart = (&first.state - &last.state).norm().hypot((first.parameter - last.parameter) / self.scale);
        apart < T::lit(CLOSED) * length && first.tangent.dot(&last.tangent) > T::lit(TURN)
    }
}

/// What comes after a point.
enum Advance<T: Scalar, E> {
    Next(Box<Node<T>>),
    End(BranchStop<E>),
}
