//! Whether the derivatives, the parity and the other claims of a nonlinearity are those of its values.
//!
//! Covers σ' and σ'' against differences, slices against single values, parity, closed forms, the degree of a polynomial,
//! and kinks that are not declared. Not here: claims to be analytic, which cost time if they are wrong, not accuracy.

#[cfg(test)]
mod tests;

use crate::Scalar;
use crate::model::check::{Disagreement, ROUNDING};
use crate::model::{ClosedForm, Nonlinearity, Parity, Smoothness};

/// Points of the quick check, and how far they go: fields are of order one.
const QUICK: (usize, f64) = (24, 4.0);
/// Points of the full check, and how far they go.
const FULL: (usize, f64) = (600, 8.0);
/// Cells in which a jump is looked for.
const CELLS: usize = 4096;
/// A function that is not correctly rounded but good to so many ulp is good enough ...
const GOOD_ULPS: f64 = 100.0;
/// ... and where it is small it may be the difference of large terms, good to so many.
const TERM_ULPS: f64 = 4.0;
/// Of a derivative half of the digits are compared: so many roots of ε.
const HALF_DIGITS: f64 = 8.0;
/// A cell is as long as the numbers in it are apart, with room for rounding, if it is so many ulp long.
const CELL_ULPS: f64 = 64.0;
/// What is less than that part of the largest value is no jump.
const LEAST_JUMP: f64 = 1e-3;
/// The highest degree at which a polynomial is fitted: beyond it sums of powers up to 4 lose the digits to compare.
const MOST_DEGREE: usize = 40;

/// Whether σ' is the derivative of σ and σ'' that of σ', whether slices have the same values, whether σ has the parity,
/// the closed form and the degree that it says, and no kink that it does not.
///
/// Empty if all is well. Nothing is random: values are compared at 600 points with |h| ≤ 8, to half of the digits of T.
/// A σ' that is wrong by more than 1e-6 of itself is found if a point lies where it is.
///
/// ```
/// use contrastive_dynamics::model::{Tanh, check_nonlinearity};
/// assert!(check_nonlinearity::<f64>(&Tanh).is_empty());
/// let wrong = (|h: f64| h.sin(), |h: f64| 0.99 * h.cos());
/// println!("{}", check_nonlinearity(&wrong)[0]);
/// ```
pub fn check_nonlinearity<T: Scalar>(sigma: &dyn Nonlinearity<T>) -> Vec<Disagreement> {
    let mut found = check_at(sigma, &points(FULL));
    // A function that is wrong at points may also jump: one cause is enough to tell.
    if found.is_empty() {
        found.extend(jumps(sigma));
    }
    found
}

/// The part of [`check_nonlinearity`] that every model can be asked: 24 points with |h| ≤ 4, and no search for kinks.
pub(super) fn quick_check_nonlinearity<T: Scalar>(sigma: &dyn Nonlinearity<T>) -> Vec<Disagreement> {
    check_at(sigma, &points(QUICK))
}

/// Points in [−end, end], evenly spread without being equally spaced: multiples of the golden ratio modulo 1. Zero, where
/// many functions are special, is the first.
fn points<T: Scalar>((count, end): (usize, f64)) -> Vec<T> {
    let golden = 0.5 * (5.0_f64.sqrt() - 1.0);
    (0..count).map(|k| T::lit(end * (2.0 * (0.5 + golden * k as f64).fract() - 1.0))).collect()
}

/// All checks at points; of each kind the first that fails.
fn check_at<T: Scalar>(sigma: &dyn Nonlinearity<T>, points: &[T]) -> Vec<Disagreement> {
    for &h in points {
        for (what, value) in [("σ(h)", sigma.value(h)), ("σ'(h)", sigma.derivative(h))] {
            if !value.is_finite() {
                return vec![Disagreement::NonlinearityValue { what, h: h.as_f64(), value: value.as_f64() }];
            }
        }
    }
    let largest = |f: &dyn Fn(T) -> T| points.iter().map(|&h| f(h).as_f64().abs()).fold(0.0, f64::max);
    let scales = [largest(&|h| sigma.value(h)), largest(&|h| sigma.derivative(h))];
    let seconds = seconds(sigma, points);
    [
        points.iter().find_map(|&h| derivative(sigma, h, scales[0])),
        points.iter().zip(&seconds).find_map(|(&h, second)| second_derivative(sigma, h, (*second)?, scales[1])),
        points.iter().find_map(|&h| parity(sigma, h, scales[0])),
        slices(sigma, points, scales),
        points.iter().find_map(|&h| closed_form(sigma, h, scales[0])),
        degree(sigma, points),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The slope of f at h by differences: centred, from above and from below, each with the error that it may have. `scale` is
/// the largest value of f anywhere.
fn slopes<T: Scalar>(f: &dyn Fn(T) -> T, h: T, scale: f64) -> [(f64, f64); 3] {
    let epsilon = T::EPSILON.as_f64();
    // What is left after extrapolation is of order s⁴ (centred) or s³ (to one side), and ε/s of rounding: the step
    // s = ε^(1/4) leaves ε^(3/4).
    let step = epsilon.sqrt().sqrt() * h.as_f64().abs().max(1.0);
    let at = |n: f64| {
        let x = h + T::lit(n * step);
        (x.as_f64(), f(x).as_f64())
    };
    let here = at(0.0);
    let [above, below] = [1.0, -1.0].map(|side| [1.0, 2.0, 4.0].map(|n| at(side * n)));
    let size = above.iter().chain(&below).map(|(_, y)| y.abs()).fold(here.1.abs(), f64::max);
    let rounding = epsilon * (GOOD_ULPS * size + TERM_ULPS * scale) / step;
    let slope = |(x0, y0): (f64, f64), (x1, y1): (f64, f64)| (y1 - y0) / (x1 - x0);
    let (near, far) = (slope(below[0], above[0]), slope(below[1], above[1]));
    let one_sided = |side: [(f64, f64); 3]| {
        let [one, two, four] = side.map(|there| slope(here, there));
        let (fine, coarse) = (2.0 * one - two, 2.0 * two - four);
        let best = fine + (fine - coarse) / 3.0;
        (best, rounding + (best - fine).abs())
    };
    [(near + (near - far) / 3.0, rounding + (near - far).abs()), one_sided(above), one_sided(below)]
}

/// The difference that contradicts a derivative, if none agrees: the centred one, and near a kink one of the one-sided.
fn contradiction<T: Scalar>(f: &dyn Fn(T) -> T, h: T, stated: f64, scale: f64) -> Option<(f64, f64)> {
    let relative = HALF_DIGITS * T::EPSILON.as_f64().sqrt();
    let allowed = |(slope, error): (f64, f64)| error + relative * slope.abs().max(stated.abs());
    let slopes = slopes(f, h, scale);
    let agrees = slopes.iter().any(|&slope| (slope.0 - stated).abs() <= allowed(slope));
    (!agrees).then(|| (slopes[0].0, allowed(slopes[0])))
}

fn derivative<T: Scalar>(sigma: &dyn Nonlinearity<T>, h: T, scale: f64) -> Option<Disagreement> {
    let stated = sigma.derivative(h).as_f64();
    let (difference, allowed) = contradiction(&|x| sigma.value(x), h, stated, scale)?;
    Some(Disagreement::NonlinearityDerivative { order: 1, h: h.as_f64(), stated, difference, allowed })
}

fn second_derivative<T: Scalar>(sigma: &dyn Nonlinearity<T>, h: T, stated: T, scale: f64) -> Option<Disagreement> {
    let stated = stated.as_f64();
    let (difference, allowed) = contradiction(&|x| sigma.derivative(x), h, stated, scale)?;
    Some(Disagreement::NonlinearityDerivative { order: 2, h: h.as_f64(), stated, difference, allowed })
}

/// σ'' at the points: from the method for one, else from that for slices, else not known.
fn seconds<T: Scalar>(sigma: &dyn Nonlinearity<T>, points: &[T]) -> Vec<Option<T>> {
    let together = slice_seconds(sigma, points);
    points
        .iter()
        .enumerate()
        .map(|(k, &h)| sigma.second_derivative(h).or(together.as_ref().map(|seconds| seconds[k])))
        .collect()
}

fn slice_seconds<T: Scalar>(sigma: &dyn Nonlinearity<T>, points: &[T]) -> Option<Vec<T>> {
    let values: Vec<T> = points.iter().map(|&h| sigma.value(h)).collect();
    let derivatives: Vec<T> = points.iter().map(|&h| sigma.derivative(h)).collect();
    let mut seconds = vec![T::lit(f64::NAN); points.len()];
    sigma.evaluate_second(points, &values, &derivatives, &mut seconds).then_some(seconds)
}

fn parity<T: Scalar>(sigma: &dyn Nonlinearity<T>, h: T, scale: f64) -> Option<Disagreement> {
    let claimed = sigma.parity();
    let (value, mirrored) = (sigma.value(h).as_f64(), sigma.value(-h).as_f64());
    let gap = match claimed {
        Parity::Even => value - mirrored,
        Parity::Odd => value + mirrored,
        Parity::None => return None,
    };
    let wrong = !(gap.abs() <= ROUNDING * T::EPSILON.as_f64() * scale);
    wrong.then(|| Disagreement::NonlinearityParity { claimed, h: h.as_f64(), value, mirrored })
}

/// `value_and_derivative`, `evaluate` and `evaluate_second` against the methods of one argument.
fn slices<T: Scalar>(sigma: &dyn Nonlinearity<T>, points: &[T], scales: [f64; 2]) -> Option<Disagreement> {
    let rounding = ROUNDING * T::EPSILON.as_f64();
    let differs = |h: T, methods: (&'static str, &'static str), alone: T, together: T, scale: f64| {
        let (alone, together) = (alone.as_f64(), together.as_f64());
        (!((alone - together).abs() <= rounding * scale)).then(|| Disagreement::NonlinearitySlices {
            h: h.as_f64(),
            method_alone: methods.0,
            alone,
            method_together: methods.1,
            together,
        })
    };
    // One less than all: a length that is no multiple of a lane's.
    let points = &points[1..];
    let (mut values, mut derivatives) = (vec![T::lit(f64::NAN); points.len()], vec![T::lit(f64::NAN); points.len()]);
    sigma.evaluate(points, &mut values, &mut derivatives);
    let first = points.iter().enumerate().find_map(|(k, &h)| {
        let (value, derivative) = (sigma.value(h), sigma.derivative(h));
        let pair = sigma.value_and_derivative(h);
        differs(h, ("value", "value_and_derivative"), value, pair.0, scales[0])
            .or_else(|| differs(h, ("derivative", "value_and_derivative"), derivative, pair.1, scales[1]))
            .or_else(|| differs(h, ("value", "evaluate"), value, values[k], scales[0]))
            .or_else(|| differs(h, ("derivative", "evaluate"), derivative, derivatives[k], scales[1]))
    });
    first.or_else(|| {
        let seconds = slice_seconds(sigma, points)?;
        let largest = seconds.iter().map(|x| x.as_f64().abs()).fold(0.0, f64::max);
        let pairs = points.iter().zip(&seconds);
        pairs.into_iter().find_map(|(&h, &together)| {
            let alone = sigma.second_derivative(h)?;
            differs(h, ("second_derivative", "evaluate_second"), alone, together, largest)
        })
    })
}

fn closed_form<T: Scalar>(sigma: &dyn Nonlinearity<T>, h: T, scale: f64) -> Option<Disagreement> {
    let (family, wanted) = match sigma.closed_form()? {
        ClosedForm::Erf => ("erf(h/√2)", (h / T::lit(std::f64::consts::SQRT_2)).erf()),
        ClosedForm::Rectifier { slope } => ("a rectifier of that slope", if h > T::zero() { h } else { slope * h }),
    };
    let (value, wanted) = (sigma.value(h).as_f64(), wanted.as_f64());
    let wrong = !((value - wanted).abs() <= ROUNDING * T::EPSILON.as_f64() * scale.max(wanted.abs()));
    wrong.then(|| Disagreement::NonlinearityClosedForm { family, h: h.as_f64(), value, wanted })
}

/// A polynomial of degree d is the one through d + 1 of its values.
fn degree<T: Scalar>(sigma: &dyn Nonlinearity<T>, points: &[T]) -> Option<Disagreement> {
    let Smoothness::Polynomial { degree } = sigma.smoothness() else { return None };
    if degree > MOST_DEGREE {
        return None;
    }
    // Chebyshev nodes, and the weights of the barycentric formula that belong to them.
    let end = QUICK.1;
    let angle = |k: usize| (k as f64 + 0.5) * std::f64::consts::PI / (degree + 1) as f64;
    let nodes: Vec<(f64, f64, f64)> = (0..=degree)
        .map(|k| {
            let x = T::lit(end * angle(k).cos());
            let sign = if k % 2 == 0 { 1.0 } else { -1.0 };
            (x.as_f64(), sigma.value(x).as_f64(), sign * angle(k).sin())
        })
        .collect();
    let scale = nodes.iter().map(|(_, y, _)| y.abs()).fold(0.0, f64::max);
    let inside = points.iter().filter(|h| h.as_f64().abs() <= end);
    inside.into_iter().find_map(|&h| {
        let x = h.as_f64();
        if nodes.iter().any(|(node, _, _)| *node == x) {
            return None;
        }
        let terms = nodes.iter().map(|(node, y, w)| (w * y / (x - node), w / (x - node)));
        let (above, below) = terms.fold((0.0, 0.0), |sum, term| (sum.0 + term.0, sum.1 + term.1));
        let (value, wanted) = (sigma.value(h).as_f64(), above / below);
        let wrong = !((value - wanted).abs() <= ROUNDING * T::EPSILON.as_f64() * scale);
        wrong.then_some(Disagreement::NonlinearityDegree { degree, h: x, value, wanted })
    })
}

/// A jump of σ or σ' where no kink is declared: the cell of the largest change is halved until rounding, and the change
/// must not have become less.
fn jumps<T: Scalar>(sigma: &dyn Nonlinearity<T>) -> Option<Disagreement> {
    let declared = match sigma.smoothness() {
        Smoothness::Kinked { at } => Some(at.as_f64()),
        _ => None,
    };
    // Off zero, so that a kink there lies inside a cell.
    let edge = |k: usize| FULL.1 * (2.0 * (k as f64 + 0.3) / CELLS as f64 - 1.0);
    let functions: [(&'static str, &dyn Fn(f64) -> f64); 2] =
        [("σ", &|h| sigma.value(T::lit(h)).as_f64()), ("σ'", &|h| sigma.derivative(T::lit(h)).as_f64())];
    functions.into_iter().enumerate().find_map(|(order, (what, f))| {
        let largest = (0..CELLS).map(|k| f(edge(k)).abs()).fold(0.0, f64::max);
        let cells = (0..CELLS - 1).map(|k| (edge(k), edge(k + 1)));
        // The jump of σ' at a declared kink is no surprise; one of σ is.
        let open = cells.filter(|(a, b)| order == 0 || !declared.is_some_and(|at| *a <= at && at <= *b));
        let change = |a: f64, b: f64| (f(b) - f(a)).abs();
        let (mut a, mut b) = open.max_by(|x, y| change(x.0, x.1).total_cmp(&change(y.0, y.1)))?;
        let first = change(a, b);
        while b - a > CELL_ULPS * T::EPSILON.as_f64() * (1.0 + a.abs()) {
            let middle = 0.5 * (a + b);
            (a, b) = if change(a, middle) >= change(middle, b) { (a, middle) } else { (middle, b) };
        }
        let jump = change(a, b);
        // A smooth function changes in proportion to the cell, which is a billion times shorter now (a thousand times in
        // single precision).
        let jumps = jump > 0.5 * first && jump > LEAST_JUMP * largest;
        jumps.then_some(Disagreement::NonlinearityJump { what, at: 0.5 * (a + b), jump })
    })
}
