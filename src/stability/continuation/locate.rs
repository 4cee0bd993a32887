//! Which bifurcations lie between two neighbouring points of a branch, and where.
//!
//! Covers folds, branch points and Hopf points. Not here: the branches that leave there (see `switch`).
//!
//! Tests along the arc, each with a simple zero at its bifurcation: dλ (folds), det [f_x f_λ; tangent] (branch points
//! of one crossing eigenvalue, on whichever branch one comes), the real part nearest to zero (Hopf points, and branch
//! points at which several real eigenvalues cross at once, as equal features do).

use nalgebra::{Complex, DVector};

use crate::Scalar;
use crate::limit::Compiled;
use crate::numerics::bracket::{Bracket, BracketEnd};
use crate::numerics::linear::is_finite;
use crate::stability::continuation::branch::{Bifurcation, BifurcationKind};
use crate::stability::continuation::node::Node;
use crate::stability::continuation::settings::Continuation;
use crate::stability::continuation::system::ContinuationSystem;

/// Steps to the width asked for, of which every fifth is a bisection.
const MOST_STEPS: usize = 80;
/// See [`MOST_STEPS`].
const BISECTION: usize = 5;

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
}

/// The eigenvalue nearest to the imaginary axis.
fn nearest<T: Scalar>(eigenvalues: &[Complex<T>], oscillating: bool) -> Option<Complex<T>> {
    let candidates = eigenvalues.iter().copied().filter(|x| (x.im != T::zero()) == oscillating);
    candidates.min_by(|x, y| x.re.abs().partial_cmp(&y.re.abs()).unwrap_or(std::cmp::Ordering::Equal))
}

fn unstable<T: Scalar>(node: &Node<T>, oscillating: bool) -> usize {
    node.eigenvalues.iter().filter(|x| x.re > T::zero() && (x.im != T::zero()) == oscillating).count()
}

/// The bifurcations between two points.
pub(crate) fn between<T: Compiled, S: ContinuationSystem<T>>(
    settings: &Continuation<T>,
    system: &mut S,
    a: &Node<T>,
    b: &Node<T>,
) -> Result<Vec<Bifurcation<T>>, S::Error> {
    let flips = |test: Test| (test.value(a) > T::zero()) != (test.value(b) > T::zero());
    let branching = flips(Test::Determinant);
    let folding = flips(Test::Turning) && !branching;
    let mut found = Vec::new();
    if branching {
        let point = locate(settings, system, a, b, Test::Determinant)?;
        found.extend(describe(settings, a, b, &point, BifurcationKind::BranchPoint { crossing: 1 }));
    }
    if folding {
        let point = locate(settings, system, a, b, Test::Turning)?;
        found.extend(describe(settings, a, b, &point, BifurcationKind::Fold));
    }
    // What is left of the change of stability: pairs of complex eigenvalues, or several real ones.
    let change = a.unstable.abs_diff(b.unstable);
    let explained = usize::from(branching) + usize::from(folding);
    if change > explained {
        let complex = unstable(a, true).abs_diff(unstable(b, true));
        let pairs = complex >= 2 && flips(Test::RealPart { oscillating: true });
        let test = Test::RealPart { oscillating: pairs };
        if flips(test) {
            let point = locate(settings, system, a, b, test)?;
            let frequency = nearest(&point.node.eigenvalues, true).map_or(T::zero(), |x| x.im.abs());
            let kind = if pairs {
                BifurcationKind::Hopf { frequency }
            } else {
                BifurcationKind::BranchPoint { crossing: change - explained }
            };
            found.extend(describe(settings, a, b, &point, kind));
        }
    }
    let last = a.z.len() - 1;
    let along = |x: &Bifurcation<T>| {
        (0..last).map(|k| (x.state[k] - a.z[k]) * a.tangent[k]).sum::<T>()
            + (x.parameter / settings.scale - a.z[last]) * a.tangent[last]
    };
    found.sort_by(|x, y| along(x).partial_cmp(&along(y)).unwrap_or(std::cmp::Ordering::Equal));
    Ok(found)
}

/// A zero of a test, with the width of its last bracket in λ.
struct Located<T: Scalar> {
    node: Node<T>,
    width: T,
}

fn describe<T: Scalar>(
    settings: &Continuation<T>,
    a: &Node<T>,
    b: &Node<T>,
    Located { node, width }: &Located<T>,
    kind: BifurcationKind<T>,
) -> Option<Bifurcation<T>> {
    let n = node.z.len() - 1;
    // At a branch point the equations have several tangents: this branch's is between those of its neighbours.
    let (before, after) = ((&node.z - &a.z).norm(), (&b.z - &node.z).norm());
    let tangent = (&a.tangent * after + &b.tangent * before).normalize();
    is_finite(node.z.as_slice()).then(|| Bifurcation {
        kind,
        parameter: settings.corrector().parameter(&node.z),
        parameter_error: *width,
        state: node.z.rows(0, n).into_owned(),
        tangent,
        eigenvalues: node.eigenvalues.clone(),
        after: 0,
    })
}

/// The zero of a test between two points: false position along the chord, every point corrected onto the branch.
fn locate<T: Compiled, S: ContinuationSystem<T>>(
    settings: &Continuation<T>,
    system: &mut S,
    a: &Node<T>,
    b: &Node<T>,
    test: Test,
) -> Result<Located<T>, S::Error> {
    let corrector = settings.corrector();
    let chord = &b.z - &a.z;
    let (n, length, direction) = (chord.len() - 1, chord.norm(), chord.normalize());
    let (at_a, at_b) = (test.value(a), test.value(b));
    let mut best = if at_a.abs() < at_b.abs() { a.clone() } else { b.clone() };
    // By the share of the way along the chord.
    let mut bracket =
        Bracket::new(BracketEnd::new(T::zero(), at_a, a.clone()), BracketEnd::new(T::one(), at_b, b.clone()));
    let width = |bracket: &Bracket<T, Node<T>>| (bracket.high.data.z[n] - bracket.low.data.z[n]).abs() * settings.scale;
    for k in 0..MOST_STEPS {
        let secant = bracket.secant();
        // A bisection now and then, lest one end never moves.
        let bisects = k % BISECTION == BISECTION - 1;
        let share = if bracket.contains(secant) && !bisects { secant } else { bracket.middle() };
        let within = (share - bracket.low.at) / bracket.width();
        let guess = interpolate(&bracket.low.data, &bracket.high.data, within);
        let Some(corrected) = corrector.correct(system, &guess, &direction)? else {
            // Right at a branch point the corrector may fail: the bracket so far stands.
            break;
        };
        let Ok(node) = Node::new(corrected, &direction) else { break };
        let value = test.value(&node);
        if value == T::zero() {
            return Ok(Located { node, width: T::zero() });
        }
        best = node.clone();
        bracket.narrow(BracketEnd::new(share, value, node));
        // Where λ hardly moves along the branch, at folds, the bracket must be short too: λ is quadratic in its length.
        if width(&bracket) <= settings.location && bracket.width() * length <= settings.location.sqrt() {
            break;
        }
    }
    Ok(Located { node: best, width: width(&bracket) })
}

/// The point of the chord at a share of the way.
fn interpolate<T: Scalar>(a: &Node<T>, b: &Node<T>, share: T) -> DVector<T> {
    &a.z + (&b.z - &a.z) * share
}
