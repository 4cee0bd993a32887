//! Which bifurcations lie between two neighbouring points of a branch, and where.
//!
//! Covers folds, branch points and Hopf points. Not here: the equations that define them (see `defining`), and the
//! branches that leave there (see `switch`).
//!
//! Tests along the arc, each with a simple zero at its bifurcation, notice them: dλ (folds), det [f_x f_λ; tangent]
//! (branch points at which an odd number of eigenvalues cross, on whichever branch one comes), the real part nearest to
//! zero (Hopf points, and branch points at which an even number of real eigenvalues cross, as equal features do). From
//! there Newton's method solves the equations of the bifurcation itself. Where these are degenerate, the zero of the
//! test is bracketed along the branch.

use nalgebra::{Complex, DVector};

use crate::Scalar;
use crate::limit::Compiled;
use crate::numerics::bracket::{Bracket, BracketEnd};
use crate::numerics::linear::is_finite;
use crate::stability::continuation::branch::{Bifurcation, BifurcationKind};
use crate::stability::continuation::defining::{Solution, Sought, solve};
use crate::stability::continuation::node::Node;
use crate::stability::continuation::settings::Continuation;
use crate::stability::continuation::system::AnySystem;
use crate::stability::spectrum::eigenvalues;

/// Steps to the width asked for, of which every fifth is a bisection.
const MOST_STEPS: usize = 80;
/// See [`MOST_STEPS`].
const BISECTION: usize = 5;
/// Newton's method is tried at the start, and again after so many steps: a narrower bracket is a better guess.
const TRIALS: [usize; 6] = [0, 2, 4, 8, 16, 32];
/// Steps between two points are halved that often to tell one bifurcation from another.
const MOST_HALVINGS: usize = 40;
/// How far beyond the ends of a step a bifurcation may turn out to lie, in steps.
const BEYOND: f64 = 0.05;
/// Errors of a system move what only a test has located by this power of theirs: a branch passes an imperfect branch
/// point at that distance.
const IMPERFECT: f64 = 2.0 / 3.0;

/// A function along the branch that changes sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Test {
    Turning,
    Determinant,
    /// The real part nearest to zero among eigenvalues with (or without) imaginary part.
    RealPart {
        oscillating: bool,
    },
}

impl Test {
    fn value<T: Scalar>(self, node: &Node<T>) -> T {
        match self {
            Self::Turning => node.turning(),
            Self::Determinant => node.determinant,
            Self::RealPart { oscillating } => nearest(&node.eigenvalues, oscillating).map_or(T::zero(), |x| x.re),
        }
    }

    fn flips<T: Scalar>(self, a: &Node<T>, b: &Node<T>) -> bool {
        (self.value(a) > T::zero()) != (self.value(b) > T::zero())
    }
}

/// The eigenvalue nearest to the imaginary axis.
fn nearest<T: Scalar>(eigenvalues: &[Complex<T>], oscillating: bool) -> Option<Complex<T>> {
    let candidates = eigenvalues.iter().copied().filter(|x| (x.im != T::zero()) == oscillating);
    candidates.min_by(|x, y| x.re.abs().partial_cmp(&y.re.abs()).unwrap_or(std::cmp::Ordering::Equal))
}

fn unstable<T: Scalar>(node: &Node<T>, oscillating: bool) -> usize {
    node.eigenvalues.iter().filter(|x| x.re > T::zero() && (x.im != T::zero()) == oscillating).count()
}

/// Something between two points.
#[derive(Debug, Clone, Copy)]
struct Suspect<T> {
    test: Test,
    sought: Sought<T>,
}

/// What lies between two points, by their tests.
fn suspects<T: Scalar>(a: &Node<T>, b: &Node<T>) -> Vec<Suspect<T>> {
    let mut found = Vec::new();
    let change = a.unstable.abs_diff(b.unstable);
    let branching = Test::Determinant.flips(a, b);
    let folding = Test::Turning.flips(a, b) && !branching;
    let explained = usize::from(branching) + usize::from(folding);
    // What is left of the change of stability: pairs of complex eigenvalues, or several real ones.
    let complex = unstable(a, true).abs_diff(unstable(b, true));
    let pairs = change > explained && complex >= 2 && Test::RealPart { oscillating: true }.flips(a, b);
    // An odd number of crossing eigenvalues flips the determinant.
    let odd = branching && !pairs && change > explained && change % 2 == 1;
    if branching {
        let crossing = if odd { change } else { 1 };
        found.push(Suspect { test: Test::Determinant, sought: Sought::BranchPoint { crossing } });
    }
    if folding {
        found.push(Suspect { test: Test::Turning, sought: Sought::Fold });
    }
    if change > explained && !odd {
        let test = Test::RealPart { oscillating: pairs };
        let frequency = nearest(&a.eigenvalues, true).map_or(T::zero(), |x| x.im.abs());
        let sought =
            if pairs { Sought::Hopf { frequency } } else { Sought::BranchPoint { crossing: change - explained } };
        if test.flips(a, b) {
            found.push(Suspect { test, sought });
        }
    }
    found
}

/// The bifurcations between two points. A system that fails on the way to one leaves it as narrow as it is by then.
pub(crate) fn between<T: Compiled, E>(
    settings: &Continuation<T>,
    system: &mut AnySystem<'_, T, E>,
    a: &Node<T>,
    b: &Node<T>,
) -> Vec<Bifurcation<T>> {
    let mut found = Vec::new();
    search(settings, system, a, b, 0, &mut found);
    let last = a.z.len() - 1;
    let along = |x: &Bifurcation<T>| {
        (0..last).map(|k| (x.state[k] - a.z[k]) * a.tangent[k]).sum::<T>()
            + (x.parameter / settings.scale - a.z[last]) * a.tangent[last]
    };
    found.sort_by(|x, y| along(x).partial_cmp(&along(y)).unwrap_or(std::cmp::Ordering::Equal));
    found
}

/// Locates what lies between two points, in halves where it is more than one bifurcation.
fn search<T: Compiled, E>(
    settings: &Continuation<T>,
    system: &mut AnySystem<'_, T, E>,
    a: &Node<T>,
    b: &Node<T>,
    halvings: usize,
    found: &mut Vec<Bifurcation<T>>,
) {
    let suspects = suspects(a, b);
    let simple = |suspect: &Suspect<T>| !matches!(suspect.sought, Sought::BranchPoint { crossing } if crossing > 1);
    let narrow = (&b.z - &a.z).norm() * settings.scale <= settings.location || halvings == MOST_HALVINGS;
    let [first, rest @ ..] = &suspects[..] else { return };
    if rest.is_empty() {
        if simple(first) || narrow {
            found.extend(locate(settings, system, a, b, *first));
            return;
        }
        if let Some(point) = defined(settings, system, (a, b), *first, &secant(a, b, first.test)) {
            found.extend(describe(settings, a, b, &point));
            return;
        }
    }
    if !narrow && let Some(middle) = halfway(settings, system, a, b) {
        search(settings, system, a, &middle, halvings + 1, found);
        search(settings, system, &middle, b, halvings + 1, found);
        return;
    }
    for suspect in &suspects {
        found.extend(locate(settings, system, a, b, *suspect));
    }
}

fn secant<T: Scalar>(a: &Node<T>, b: &Node<T>, test: Test) -> DVector<T> {
    let (at_a, at_b) = (test.value(a), test.value(b));
    interpolate(a, b, at_a / (at_a - at_b))
}

fn halfway<T: Compiled, E>(
    settings: &Continuation<T>,
    system: &mut AnySystem<'_, T, E>,
    a: &Node<T>,
    b: &Node<T>,
) -> Option<Node<T>> {
    let direction = (&b.z - &a.z).normalize();
    let corrected = settings.corrector().correct(system, &interpolate(a, b, T::lit(0.5)), &direction).ok()??;
    Node::new(corrected, &direction).ok()
}

/// The solution of the suspect's equations near `guess`, if it lies between the two points: first by the system as it
/// is, then by what it has that is sharper.
fn defined<T: Compiled, E>(
    settings: &Continuation<T>,
    system: &mut AnySystem<'_, T, E>,
    (a, b): (&Node<T>, &Node<T>),
    suspect: Suspect<T>,
    guess: &DVector<T>,
) -> Option<Solution<T>> {
    let corrector = settings.corrector();
    let chord = &b.z - &a.z;
    let length = chord.norm();
    let n = guess.len() - 1;
    // Where a side branch comes to a point at which several eigenvalues vanish, fewer may cross zero along it.
    let more = match suspect.sought {
        Sought::BranchPoint { crossing } => {
            (crossing + 1..=n).map(|crossing| Sought::BranchPoint { crossing }).collect()
        }
        _ => Vec::new(),
    };
    let mut all = std::iter::once(suspect.sought).chain(more);
    let unit = a.by_state.amax().max(b.by_state.amax());
    let first = all.find_map(|sought| solve(&corrector, system, sought, guess, unit, length).ok().flatten())?;
    let parameter = corrector.parameter(&first.z);
    let sharp = system.sharper(&first.z.as_slice()[..n], parameter).and_then(|mut sharper| {
        solve(&corrector, sharper.as_mut(), first.sought, &first.z, first.unit, length).ok().flatten()
    });
    let point = sharp.unwrap_or(first);
    let share = (&point.z - &a.z).dot(&chord) / (length * length);
    let (low, high) = (-T::lit(BEYOND), T::lit(1.0 + BEYOND));
    (share >= low && share <= high && is_finite(point.z.as_slice())).then_some(point)
}

fn describe<T: Scalar>(
    settings: &Continuation<T>,
    a: &Node<T>,
    b: &Node<T>,
    point: &Solution<T>,
) -> Option<Bifurcation<T>> {
    let n = point.z.len() - 1;
    // At a branch point the equations have several tangents: this branch's is between those of its neighbours.
    let (before, after) = ((&point.z - &a.z).norm(), (&b.z - &point.z).norm());
    let tangent = (&a.tangent * after + &b.tangent * before).normalize();
    let kind = match point.sought {
        Sought::Fold => BifurcationKind::Fold,
        Sought::BranchPoint { crossing } => BifurcationKind::BranchPoint { crossing },
        Sought::Hopf { frequency } => BifurcationKind::Hopf { frequency: frequency.abs() },
    };
    Some(Bifurcation {
        kind,
        parameter: settings.corrector().parameter(&point.z),
        parameter_error: point.parameter_error,
        state: point.z.rows(0, n).into_owned(),
        tangent,
        eigenvalues: eigenvalues(&point.by_state).ok()?,
        after: 0,
    })
}

/// The zero of a test between two points, by the equations of what is suspected, or where they are degenerate by false
/// position along the chord, every point corrected onto the branch.
fn locate<T: Compiled, E>(
    settings: &Continuation<T>,
    system: &mut AnySystem<'_, T, E>,
    a: &Node<T>,
    b: &Node<T>,
    suspect: Suspect<T>,
) -> Option<Bifurcation<T>> {
    let test = suspect.test;
    let corrector = settings.corrector();
    let chord = &b.z - &a.z;
    let (n, length, direction) = (chord.len() - 1, chord.norm(), chord.normalize());
    let (at_a, at_b) = (test.value(a), test.value(b));
    let mut best = if at_a.abs() < at_b.abs() { a.clone() } else { b.clone() };
    // By the share of the way along the chord.
    let mut bracket =
        Bracket::new(BracketEnd::new(T::zero(), at_a, a.clone()), BracketEnd::new(T::one(), at_b, b.clone()));
    let width = |bracket: &Bracket<T, Node<T>>| (bracket.high.data.z[n] - bracket.low.data.z[n]).abs() * settings.scale;
    let mut exact = false;
    for k in 0..MOST_STEPS {
        let secant = bracket.secant();
        // A bisection now and then, lest one end never moves.
        let bisects = k % BISECTION == BISECTION - 1;
        let share = if bracket.contains(secant) && !bisects { secant } else { bracket.middle() };
        let within = (share - bracket.low.at) / bracket.width();
        let guess = interpolate(&bracket.low.data, &bracket.high.data, within);
        if TRIALS.contains(&k)
            && let Some(point) = defined(settings, system, (a, b), suspect, &guess)
        {
            return describe(settings, a, b, &point);
        }
        // Right at a branch point the corrector may fail: the bracket so far stands.
        let Ok(Some(corrected)) = corrector.correct(system, &guess, &direction) else { break };
        let Ok(node) = Node::new(corrected, &direction) else { break };
        let value = test.value(&node);
        best = node.clone();
        if value == T::zero() {
            exact = true;
            break;
        }
        bracket.narrow(BracketEnd::new(share, value, node));
        // Where λ hardly moves along the branch, at folds, the bracket must be short too: λ is quadratic in its length.
        if width(&bracket) <= settings.location && bracket.width() * length <= settings.location.sqrt() {
            break;
        }
    }
    let parameter = corrector.parameter(&best.z);
    let uncertainty = system.uncertainty(&best.z.as_slice()[..n], parameter).ok();
    let residual = uncertainty.map_or(corrector.tolerance, |uncertainty| uncertainty.residual);
    let width = if exact { T::zero() } else { width(&bracket) };
    let frequency = nearest(&best.eigenvalues, true).map_or(T::zero(), |x| x.im.abs());
    let point = Solution {
        sought: if let Sought::Hopf { .. } = suspect.sought { Sought::Hopf { frequency } } else { suspect.sought },
        parameter_error: width + residual.powf(T::lit(IMPERFECT)) * settings.scale,
        by_state: best.by_state,
        unit: T::one(),
        z: best.z,
    };
    describe(settings, a, b, &point)
}

/// The point of the chord at a share of the way.
fn interpolate<T: Scalar>(a: &Node<T>, b: &Node<T>, share: T) -> DVector<T> {
    &a.z + (&b.z - &a.z) * share
}
