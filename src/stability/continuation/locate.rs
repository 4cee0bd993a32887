//! Which bifurcations lie between two neighbouring points of a branch, and where.
//!
//! Tests along the arc, each with a simple zero at its bifurcation: dλ (folds), det [f_x f_λ; tangent] (branch points of
//! one crossing eigenvalue, on whichever branch one comes), the real part nearest to zero (Hopf points, and
//! branch points at which several real eigenvalues cross at once, as equal features do).

use nalgebra::{Complex, DVector};

use crate::limit::Compiled;
use crate::stability::continuation::ContinuationSystem;
use crate::stability::continuation::branch::{Bifurcation, BifurcationKind, Continuation, Node};

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
    fn value<T: Compiled>(self, node: &Node<T>) -> T {
        match self {
            Self::Turning => node.turning(),
            Self::Determinant => node.determinant,
            Self::RealPart { oscillating } => nearest(&node.eigenvalues, oscillating).map_or(T::zero(), |x| x.re),
        }
    }
}

/// The eigenvalue nearest to the imaginary axis.
fn nearest<T: Compiled>(eigenvalues: &[Complex<T>], oscillating: bool) -> Option<Complex<T>> {
    let candidates = eigenvalues.iter().copied().filter(|x| (x.im != T::zero()) == oscillating);
    candidates.min_by(|x, y| x.re.abs().partial_cmp(&y.re.abs()).unwrap_or(std::cmp::Ordering::Equal))
}

fn unstable<T: Compiled>(node: &Node<T>, oscillating: bool) -> usize {
    node.eigenvalues.iter().filter(|x| x.re > T::zero() && (x.im != T::zero()) == oscillating).count()
}

impl<T: Compiled> Continuation<T> {
    /// The bifurcations between two points.
    pub(super) fn between<S: ContinuationSystem<T>>(
        &self,
        system: &mut S,
        a: &Node<T>,
        b: &Node<T>,
    ) -> Result<Vec<Bifurcation<T>>, S::Error> {
        let flips = |test: Test| (test.value(a) > T::zero()) != (test.value(b) > T::zero());
        let branching = flips(Test::Determinant);
        let folding = flips(Test::Turning) && !branching;
        let mut found = Vec::new();
        if branching {
            let point = self.locate(system, a, b, Test::Determinant)?;
            found.extend(self.describe(a, b, &point, BifurcationKind::BranchPoint { crossing: 1 }));
        }
        if folding {
            let point = self.locate(system, a, b, Test::Turning)?;
            found.extend(self.describe(a, b, &point, BifurcationKind::Fold));
        }
        // What is left of the change of stability: pairs of complex eigenvalues, or several real ones.
        let change = a.unstable.abs_diff(b.unstable);
        let explained = usize::from(branching) + usize::from(folding);
        if change > explained {
            let complex = unstable(a, true).abs_diff(unstable(b, true));
            let pairs = complex >= 2 && flips(Test::RealPart { oscillating: true });
            let test = Test::RealPart { oscillating: pairs };
            if flips(test) {
                let point = self.locate(system, a, b, test)?;
                let frequency = nearest(&point.0.eigenvalues, true).map_or(T::zero(), |x| x.im.abs());
                let kind = if pairs {
                    BifurcationKind::Hopf { frequency }
                } else {
                    BifurcationKind::BranchPoint { crossing: change - explained }
                };
                found.extend(self.describe(a, b, &point, kind));
            }
        }
        let last = a.z.len() - 1;
        let along = |x: &Bifurcation<T>| {
            (0..last).map(|k| (x.state[k] - a.z[k]) * a.tangent[k]).sum::<T>()
                + (x.parameter / self.corrector().scale - a.z[last]) * a.tangent[last]
        };
        found.sort_by(|x, y| along(x).partial_cmp(&along(y)).unwrap_or(std::cmp::Ordering::Equal));
        Ok(found)
    }

    fn describe(
        &self,
        a: &Node<T>,
        b: &Node<T>,
        (node, error): &(Node<T>, T),
        kind: BifurcationKind<T>,
    ) -> Option<Bifurcation<T>> {
        let n = node.z.len() - 1;
        // At a branch point the equations have several tangents: this branch's is between those of its neighbours.
        let (before, after) = ((&node.z - &a.z).norm(), (&b.z - &node.z).norm());
        let tangent = (&a.tangent * after + &b.tangent * before).normalize();
        node.z.iter().all(nalgebra::ComplexField::is_finite).then(|| Bifurcation {
            kind,
            parameter: self.corrector().parameter(&node.z),
            parameter_error: *error,
            state: node.z.rows(0, n).into_owned(),
            tangent,
            eigenvalues: node.eigenvalues.clone(),
            after: 0,
        })
    }

    /// The zero of a test between two points, with the width of its last bracket in λ: false position with the
    /// Illinois rule along the chord, every point corrected onto the branch.
    fn locate<S: ContinuationSystem<T>>(
        &self,
        system: &mut S,
        a: &Node<T>,
        b: &Node<T>,
        test: Test,
    ) -> Result<(Node<T>, T), S::Error> {
        let corrector = self.corrector();
        let chord = &b.z - &a.z;
        let direction = chord.normalize();
        let (mut low, mut high) = (T::zero(), T::one());
        let (mut at_low, mut at_high) = (test.value(a), test.value(b));
        let (mut left, mut right) = (a.clone(), b.clone());
        let mut best = if at_low.abs() < at_high.abs() { a.clone() } else { b.clone() };
        let mut side = 0;
        for k in 0..80 {
            let secant = low + (high - low) * at_low / (at_low - at_high);
            let inside = secant > low && secant < high;
            // A bisection now and then, lest one end never moves.
            let share = if inside && k % 5 != 4 { secant } else { T::lit(0.5) * (low + high) };
            let guess: DVector<T> = interpolate(&left, &right, (share - low) / (high - low));
            let Some(corrected) = corrector.correct(system, &guess, &direction)? else {
                // Right at a branch point the corrector may fail: the bracket so far stands.
                break;
            };
            let Ok(node) = Node::new(corrected, &direction) else { break };
            let value = test.value(&node);
            best = node.clone();
            if value == T::zero() {
                (left, right) = (node.clone(), node);
                break;
            }
            if (value > T::zero()) == (at_low > T::zero()) {
                (low, at_low, left) = (share, value, node);
                if side == -1 {
                    at_high *= T::lit(0.5);
                }
                side = -1;
            } else {
                (high, at_high, right) = (share, value, node);
                if side == 1 {
                    at_low *= T::lit(0.5);
                }
                side = 1;
            }
            let n = chord.len() - 1;
            let width = (right.z[n] - left.z[n]).abs() * corrector.scale;
            if width <= self.width() && (high - low) * chord.norm() <= self.width().sqrt() {
                break;
            }
        }
        let n = chord.len() - 1;
        let width = (right.z[n] - left.z[n]).abs() * corrector.scale;
        Ok((best, width))
    }
}

/// The point of the chord at a share of the way.
fn interpolate<T: Compiled>(a: &Node<T>, b: &Node<T>, share: T) -> DVector<T> {
    &a.z + (&b.z - &a.z) * share
}
