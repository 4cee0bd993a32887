//! The search within bounds, by L-BFGS-B (R. H. Byrd, P. Lu, J. Nocedal, C. Zhu, SIAM J. Sci. Comput. 16 (1995) 1190,
//! doi:10.1137/0916069), with a line search that steps back from points that have no value.
//!
//! Covers what the kept library needs to know. Not here: what is searched for (see `optimiser`).

use std::cell::RefCell;
use std::fmt;
use std::ops::ControlFlow;

use basin::core::executor::StepOutcome;
use basin::{
    BoxBounds, ConstraintDescription, ConstraintSet, ConstraintSolveError, Constraints, CostFunction, Executor,
    FirstOrderState, Gradient, GradientState, Lbfgs, LineSearch, LineSearchBounds, LineSearchOutcome, LineSearchResult,
    Problem, State,
};

use crate::control::optimum::SearchEnd;

/// So many steps are remembered.
const MEMORY: usize = 20;

/// A step must gain that part of what the slope promises ...
const LEAST_GAIN: f64 = 1e-4;
/// ... and one that gains more than that part, where a parabola has its minimum, is lengthened ...
const FULL_GAIN: f64 = 0.5;
/// ... by that factor. What gains too little, or has no value, is shortened by it.
const FACTOR: f64 = 2.0;
/// So often at most.
const MOST_TRIALS: u32 = 60;
/// A gain that is promised to be fewer roundings of the value than that is none.
const ROUNDINGS: f64 = 4.0;

/// A function of many numbers with its gradient.
pub(super) trait Landscape {
    type Error;

    /// The value; `None` where there is none, from where the search steps back.
    fn value(&mut self, x: &[f64]) -> Result<Option<f64>, Self::Error>;

    /// The value with the gradient.
    fn gradient(&mut self, x: &[f64]) -> Result<Option<(f64, Vec<f64>)>, Self::Error>;

    /// Called after every iteration with the number of it, the value and the norm of the projected gradient.
    fn progress(&mut self, iteration: u64, value: f64, norm: f64) -> ControlFlow<()>;
}

/// What is searched, as the library wants it: errors are kept here, since its own must be plain.
struct Bounded<'l, L: Landscape> {
    landscape: RefCell<&'l mut L>,
    error: RefCell<Option<L::Error>>,
    lower: Vec<f64>,
    upper: Vec<f64>,
    /// Values are taken in units of the first gradient, so that the first step is about one scale long.
    unit: f64,
}

/// The error is beside it.
#[derive(Debug)]
struct Failed;

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the function could not be evaluated")
    }
}

impl std::error::Error for Failed {}

impl<L: Landscape> Bounded<'_, L> {
    fn keep<X>(&self, outcome: Result<X, L::Error>) -> Result<X, Failed> {
        outcome.map_err(|error| {
            *self.error.borrow_mut() = Some(error);
            Failed
        })
    }
}

impl<L: Landscape> Constraints for &Bounded<'_, L> {
    type Set = ConstraintSet<BoxBounds<Vec<f64>>>;

    fn constraints(&self) -> <Self::Set as ConstraintDescription>::Borrowed<'_> {
        ConstraintSet::new().with_bounds(BoxBounds::new(Some(&self.lower), Some(&self.upper)))
    }
}

impl<L: Landscape> CostFunction for &Bounded<'_, L> {
    type Param = Vec<f64>;
    type Output = f64;
    type Error = Failed;

    fn cost(&self, x: &Vec<f64>) -> Result<f64, Failed> {
        let value = self.keep(self.landscape.borrow_mut().value(x))?;
        Ok(value.map_or(f64::INFINITY, |value| value / self.unit))
    }
}

impl<L: Landscape> Gradient for &Bounded<'_, L> {
    type Gradient = Vec<f64>;

    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Failed> {
        Ok(self.cost_and_gradient(x)?.1)
    }

    fn cost_and_gradient(&self, x: &Vec<f64>) -> Result<(f64, Vec<f64>), Failed> {
        let answer = self.keep(self.landscape.borrow_mut().gradient(x))?;
        Ok(answer.map_or_else(
            || (f64::INFINITY, vec![f64::NAN; x.len()]),
            |(value, gradient)| (value / self.unit, gradient.iter().map(|slope| slope / self.unit).collect()),
        ))
    }
}

/// Goes as far along a direction as it leads downhill, to a factor. Values alone decide; where one has no gradient it is stepped back from too.
#[derive(Debug, Clone, Copy)]
struct Stride;

impl<P> LineSearch<P, Vec<f64>> for Stride
where
    P: CostFunction<Param = Vec<f64>, Output = f64> + Gradient<Gradient = Vec<f64>>,
{
    type Error = P::Error;

    fn next(
        &mut self,
        problem: &mut Problem<P>,
        x: &Vec<f64>,
        value: f64,
        gradient: &Vec<f64>,
        direction: &Vec<f64>,
    ) -> Result<f64, P::Error> {
        let bounds = LineSearchBounds::new(1.0, f64::MAX);
        let result = self.next_with_bounds(problem, x, value, gradient, direction, bounds)?;
        Ok(if let LineSearchOutcome::Step(length) = result.outcome { length } else { 0.0 })
    }

    fn next_with_bounds(
        &mut self,
        problem: &mut Problem<P>,
        x: &Vec<f64>,
        value: f64,
        gradient: &Vec<f64>,
        direction: &Vec<f64>,
        bounds: LineSearchBounds<f64>,
    ) -> Result<LineSearchResult<Vec<f64>, f64>, P::Error> {
        let slope: f64 = gradient.iter().zip(direction).map(|(g, d)| g * d).sum();
        let point = |length: f64| -> Vec<f64> { x.iter().zip(direction).map(|(x, d)| x + length * d).collect() };
        // What is promised must be more than rounding.
        let counts = |length: f64| -length * slope > ROUNDINGS * f64::EPSILON * value.abs();
        let gains = |length: f64, reached: f64, part: f64| reached < value && reached <= value + part * length * slope;
        let mut length = bounds.initial();
        let mut reached = if counts(length) { problem.cost(&point(length))? } else { f64::NAN };
        for _ in 0..MOST_TRIALS {
            let longer = (length * FACTOR).min(bounds.max());
            if !(gains(length, reached, FULL_GAIN) && longer > length) {
                break;
            }
            let next = problem.cost(&point(longer))?;
            if !(next < reached) {
                break;
            }
            (length, reached) = (longer, next);
        }
        for _ in 0..MOST_TRIALS {
            if !counts(length) {
                break;
            }
            if gains(length, reached, LEAST_GAIN) {
                let at = point(length);
                let (reached, slopes) = problem.cost_and_gradient(&at)?;
                if reached.is_finite() && slopes.iter().all(|slope| slope.is_finite()) {
                    return Ok(LineSearchResult::with_evaluation(length, at, reached, slopes));
                }
            }
            length /= FACTOR;
            reached = problem.cost(&point(length))?;
        }
        Ok(LineSearchResult::new(LineSearchOutcome::Failed))
    }
}

/// What is asked of a search.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    /// The norm of the projected gradient at which it ends.
    pub(super) tolerance: f64,
    pub(super) iterations: u64,
}

/// The Euclidean norm of −gradient, without what leads out of the bounds.
pub(super) fn projected_norm(x: &[f64], gradient: &[f64], lower: &[f64], upper: &[f64]) -> f64 {
    let blocked = |k: usize| gradient[k] > 0.0 && x[k] <= lower[k] || gradient[k] < 0.0 && x[k] >= upper[k];
    let free = (0..x.len()).filter(|&k| !blocked(k));
    free.map(|k| gradient[k]).fold(0.0, f64::hypot)
}

/// Goes downhill from `first`, which has a value, and says why it ended and after how many iterations. The landscape has seen the best
/// point.
pub(super) fn descend<L: Landscape>(
    landscape: &mut L,
    (lower, upper): (Vec<f64>, Vec<f64>),
    first: Vec<f64>,
    settings: Settings,
) -> Result<(SearchEnd, u64), L::Error> {
    let slopes = landscape.gradient(&first)?.map(|(_, gradient)| gradient);
    let unit = slopes.map_or(0.0, |slopes| projected_norm(&first, &slopes, &lower, &upper));
    // A power of two, so that nothing is rounded.
    let unit = if unit > 0.0 && unit.is_finite() { libm::exp2(libm::floor(libm::log2(unit))) } else { 1.0 };
    let bounded = Bounded { landscape: RefCell::new(landscape), error: RefCell::new(None), lower, upper, unit };
    let solver = Lbfgs::<Vec<f64>, f64, _, _>::with_line_search(Stride)
        .with_absolute_projected_gradient_tolerance(None)
        .with_relative_cost_reduction_tolerance(None)
        .with_m_capacity(MEMORY);
    let failure = |_: ConstraintSolveError<Failed>, iterations| match bounded.error.borrow_mut().take() {
        Some(error) => Err(error),
        None => Ok((SearchEnd::NoDescent, iterations)),
    };
    let mut stepper =
        match Executor::new(&bounded, solver, FirstOrderState::new(first)).max_iter(u64::MAX).into_stepper() {
            Ok(stepper) => stepper,
            Err(error) => return failure(error, 0),
        };
    loop {
        let state = stepper.state();
        let iteration = state.iter();
        let Some(gradient) = state.gradient() else { return Ok((SearchEnd::NoDescent, iteration)) };
        let norm = unit * projected_norm(state.param(), gradient, &bounded.lower, &bounded.upper);
        let flow = bounded.landscape.borrow_mut().progress(iteration, unit * state.cost(), norm);
        if norm <= settings.tolerance {
            return Ok((SearchEnd::Converged, iteration));
        }
        if flow.is_break() {
            return Ok((SearchEnd::Observer, iteration));
        }
        if iteration >= settings.iterations {
            return Ok((SearchEnd::IterationLimit, iteration));
        }
        match stepper.step() {
            Ok(StepOutcome::Continue) if stepper.state().iter() > iteration => {}
            Ok(_) => return Ok((SearchEnd::NoDescent, iteration)),
            Err(error) => return failure(error, iteration),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rosenbrock's valley, without a value beyond a wall.
    struct Valley {
        wall: f64,
        best: Vec<f64>,
        seen: u64,
    }

    impl Landscape for Valley {
        type Error = &'static str;
        fn value(&mut self, x: &[f64]) -> Result<Option<f64>, Self::Error> {
            Ok(self.gradient(x)?.map(|(value, _)| value))
        }
        fn gradient(&mut self, x: &[f64]) -> Result<Option<(f64, Vec<f64>)>, Self::Error> {
            if x[0] > self.wall {
                return Ok(None);
            }
            let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
            self.best = x.to_vec();
            Ok(Some((a * a + 100.0 * b * b, vec![-2.0 * a - 400.0 * x[0] * b, 200.0 * b])))
        }
        fn progress(&mut self, iteration: u64, _value: f64, _norm: f64) -> ControlFlow<()> {
            self.seen = iteration;
            if iteration == 1000 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }

    fn search(wall: f64, upper: f64, iterations: u64) -> (SearchEnd, Valley) {
        let mut valley = Valley { wall, best: Vec::new(), seen: 0 };
        let bounds = (vec![-2.0; 2], vec![upper; 2]);
        let settings = Settings { tolerance: 1e-9, iterations };
        let (end, _) = descend(&mut valley, bounds, vec![-1.2, 1.0], settings).unwrap();
        (end, valley)
    }

    #[test]
    fn the_valley_is_followed_to_its_end_past_points_without_a_value() {
        for wall in [f64::INFINITY, 1.05] {
            let (end, valley) = search(wall, 3.0, 500);
            assert_eq!(end, SearchEnd::Converged);
            assert!(valley.best.iter().all(|x| (x - 1.0).abs() < 1e-9), "{:?}", valley.best);
        }
    }

    #[test]
    fn bounds_are_kept_and_limits_too() {
        let (end, valley) = search(f64::INFINITY, 0.5, 500);
        assert_eq!(end, SearchEnd::Converged);
        // On the bound x = ½ the valley is at y = ¼.
        assert!((valley.best[0] - 0.5).abs() < 1e-12 && (valley.best[1] - 0.25).abs() < 1e-9, "{:?}", valley.best);
        let (end, valley) = search(f64::INFINITY, 3.0, 3);
        assert_eq!((end, valley.seen), (SearchEnd::IterationLimit, 3));
    }
}
