//! Functions of one field, averaged over the noise of its view: at every value of u on the lattice, and of what the noise shares with
//! another neuron's.
//!
//! With h = u + s(√r t + √(1 − r) x) the average over x is taken here, at nodes of t, so that a product of functions of two fields is
//! a sum over t of products of these. σ is evaluated at the nodes themselves: no noise is too small.

use std::f64::consts::TAU;

use crate::Scalar;
use crate::limit::averages::curvature::Curvature;
use crate::model::Nonlinearity;
use crate::numerics::gauss;
use crate::numerics::lanes::dispatch;

/// By how much nodes of noise are more accurate than the lattice, in units of ln(1/error).
const MARGIN: f64 = 2.0;
/// The most nodes of a Gauss-Hermite rule.
const MOST_HERMITE: usize = 40;
/// How far the noise may grow beyond that for which nodes were chosen.
const GROWS: f64 = 1.2;

/// σ^value σ'^slope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Monomial {
    pub(super) value: usize,
    pub(super) slope: usize,
}

impl Monomial {
    pub(super) fn of((value, slope): (usize, usize)) -> Self {
        Self { value, slope }
    }

    pub(super) fn times(self, other: Self) -> Self {
        Self { value: self.value + other.value, slope: self.slope + other.slope }
    }
}

/// Powers up to which monomials go: two factors, each of at most two of σ, or one of each.
const POWERS: usize = 5;

/// Nodes of a standard normal for noise of some size.
#[derive(Debug, Clone)]
pub(super) struct NoiseNodes<T> {
    pub(super) nodes: Vec<T>,
    pub(super) weights: Vec<T>,
    rule: NoiseRule,
    /// The largest standard deviation that they serve.
    most: f64,
}

/// What rule nodes are of.
#[derive(Debug, Clone, Copy)]
enum NoiseRule {
    /// One node: there is no noise.
    Still,
    /// A lattice of step 2π/top, which takes a wave κ for κ − top.
    Lattice { top: f64 },
    /// Gauss-Hermite.
    Hermite { points: usize },
    /// Gauss-Legendre on either side of a kink of σ at that field, from −reach to reach: without error.
    Kinked { at: f64, reach: f64 },
}

impl NoiseRule {
    /// By how much a wave of that number is wrong, as the logarithm of 1/error.
    fn mistake(self, kappa: f64) -> f64 {
        match self {
            Self::Still | Self::Kinked { .. } => f64::INFINITY,
            Self::Lattice { top } => 0.5 * (top - kappa).powi(2),
            // Wrong from the power 2n of the wave number on.
            Self::Hermite { points } => {
                let n = points as f64;
                (-n * (kappa * kappa * std::f64::consts::E / (4.0 * n)).ln()).max(0.0)
            }
        }
    }

    /// By how much it falls, that is what is left of it.
    fn falls(self, kappa: f64) -> f64 {
        match self {
            Self::Still => 0.0,
            Self::Lattice { top } => 0.5 * beside(kappa, top).powi(2),
            Self::Hermite { .. } | Self::Kinked { .. } => (0.5 * kappa * kappa).min(self.mistake(kappa)),
        }
    }

    /// Whether waves that it mistakes are of less than the error, of what falls as exp(−falls(κ)).
    fn resolves(self, accuracy: f64, falls: &dyn Fn(f64) -> f64) -> bool {
        let all = (1..=MOST_KAPPA * PER_KAPPA).map(|n| f64::from(n) / f64::from(PER_KAPPA));
        // Under little noise low wave numbers are what counts.
        let low = (1..=LOW_KAPPA).map(|n| (-0.25 * f64::from(n)).exp2());
        all.chain(low).all(|kappa| falls(kappa) + self.mistake(kappa) >= accuracy)
    }
}

/// The distance of a wave number from the next multiple of another.
pub(super) fn beside(k: f64, top: f64) -> f64 {
    (k - top * (k / top).round()).abs()
}

/// Wave numbers at which rules are judged.
const MOST_KAPPA: i32 = 24;
const PER_KAPPA: i32 = 4;
const LOW_KAPPA: i32 = 120;

impl<T: Scalar> NoiseNodes<T> {
    /// For noise of that standard deviation, where waves κ in units of it fall as exp(−falls(κ)) otherwise: a lattice, or a
    /// Gauss-Hermite rule where it needs fewer nodes.
    pub(super) fn new(deviation: f64, accuracy: f64, falls: &dyn Fn(f64) -> f64) -> Option<Self> {
        if !(deviation > 0.0) {
            let (nodes, weights) = (vec![T::zero()], vec![T::one()]);
            return Some(Self { nodes, weights, rule: NoiseRule::Still, most: 0.0 });
        }
        let accuracy = accuracy + MARGIN;
        // Of noise that has grown the same wave number is a lower one.
        let falls = |kappa: f64| falls(kappa / GROWS);
        let serves = |rule: &NoiseRule| rule.resolves(accuracy, &falls);
        let lattice = (4..=4 * MOST_KAPPA).map(|n| NoiseRule::Lattice { top: 0.25 * f64::from(n) }).find(serves);
        let hermite = (2..MOST_HERMITE).map(|points| NoiseRule::Hermite { points }).find(serves);
        let radius = (2.0 * accuracy).sqrt();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // radius and wave number are of order ten
        let half = |top: f64| (radius * top / TAU).ceil() as usize;
        let count = |rule: NoiseRule| match rule {
            NoiseRule::Lattice { top } => 2 * half(top) + 1,
            NoiseRule::Hermite { points } => points,
            NoiseRule::Still | NoiseRule::Kinked { .. } => 1,
        };
        let rule = [lattice, hermite].into_iter().flatten().min_by_key(|rule| count(*rule))?;
        let (nodes, weights): (Vec<f64>, Vec<f64>) = match rule {
            NoiseRule::Still | NoiseRule::Kinked { .. } => return None,
            NoiseRule::Lattice { top } => {
                let at = |n: usize| (n as f64 - half(top) as f64) * TAU / top;
                (0..=2 * half(top)).map(|n| (at(n), (-0.5 * at(n) * at(n)).exp())).unzip()
            }
            NoiseRule::Hermite { points } => gauss::hermite(points).into_iter().unzip(),
        };
        let total: f64 = weights.iter().sum();
        Some(Self {
            nodes: nodes.into_iter().map(T::lit).collect(),
            weights: weights.into_iter().map(|w| T::lit(w / total)).collect(),
            rule,
            most: GROWS * deviation,
        })
    }

    /// For functions with a kink at that field: on either side of it.
    pub(super) fn kinked(at: f64, deviation: f64, accuracy: f64) -> Self {
        if !(deviation > 0.0) {
            let (nodes, weights) = (vec![T::zero()], vec![T::one()]);
            return Self { nodes, weights, rule: NoiseRule::Still, most: 0.0 };
        }
        let accuracy = accuracy + MARGIN;
        // Of a normal density as far as it counts n nodes are right to about exp(−0.9 n).
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // accuracy lies between 0 and a few hundred
        let (nodes, weights) = gauss::legendre((1.1 * accuracy.clamp(1.0, 200.0)).ceil() as usize + 2);
        Self {
            nodes: nodes.into_iter().map(T::lit).collect(),
            weights: weights.into_iter().map(T::lit).collect(),
            rule: NoiseRule::Kinked { at, reach: (2.0 * accuracy).sqrt() },
            most: f64::INFINITY,
        }
    }

    /// Evaluations for each value of the fields without this noise.
    pub(super) fn count(&self) -> usize {
        if matches!(self.rule, NoiseRule::Kinked { .. }) { 2 * self.nodes.len() } else { self.nodes.len() }
    }

    /// How a wave falls that is averaged over them.
    pub(super) fn falls(&self, kappa: f64) -> f64 {
        self.rule.falls(kappa)
    }

    pub(super) fn serves(&self, deviation: f64) -> bool {
        deviation <= self.most
    }
}

/// That values of u are a mirror image of themselves, so many of them, and whether σ is odd; else it is even.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mirror {
    pub(super) odd: bool,
    pub(super) count: usize,
}

/// Some functions of one field.
#[derive(Debug, Clone)]
pub(super) struct Profile<T> {
    pub(super) own: NoiseNodes<T>,
    monomials: Vec<Monomial>,
    /// Function by function: at every shared node and every value of u, padded.
    pub(super) values: Vec<Vec<T>>,
    /// Their derivatives, of the last update that asked for them.
    pub(super) slopes: Vec<Vec<T>>,
    buffers: Buffers<T>,
}

/// Fields at all values of u and of t, for one x.
#[derive(Debug, Clone, Default)]
struct Buffers<T> {
    start: Vec<T>,
    field: Vec<T>,
    seconds: Vec<T>,
    /// Beside a kink: what each field counts, and that times x over the deviation.
    weights: Vec<T>,
    by_parts: Vec<T>,
    /// σ, σ², …, and the same of σ', from the first power on.
    values: [Vec<T>; POWERS],
    derivatives: [Vec<T>; POWERS],
}

impl<T: Scalar> Profile<T> {
    pub(super) fn new(own: NoiseNodes<T>) -> Self {
        let buffers = Buffers::default();
        Self { own, monomials: Vec::new(), values: Vec::new(), slopes: Vec::new(), buffers }
    }

    /// The number of a function, which is added if it is new.
    pub(super) fn monomial(&mut self, monomial: Monomial) -> usize {
        self.monomials.iter().position(|known| *known == monomial).unwrap_or_else(|| {
            self.monomials.push(monomial);
            self.monomials.len() - 1
        })
    }

    /// At those values of u and shared nodes, with noise of these standard deviations. `mirror`: at the mirror image of u and of the
    /// shared node every function is what it is up to a sign: half of the shared nodes are enough, σ being odd or even.
    pub(super) fn update(
        &mut self,
        u: &[T],
        (shared, nodes): (T, &[T]),
        own: T,
        (sigma, mirror): (&dyn Nonlinearity<T>, Option<Mirror>),
        with_slopes: bool,
    ) {
        let all = u.len() * nodes.len();
        let nodes = if mirror.is_some() { &nodes[..nodes.len().div_ceil(2)] } else { nodes };
        let length = u.len() * nodes.len();
        let Self { own: noise, monomials, values, slopes, buffers } = self;
        let Buffers { start, field, seconds, weights, by_parts, values: y, derivatives: d } = buffers;
        for array in
            [&mut *start, field, seconds, weights, by_parts].into_iter().chain(y.iter_mut()).chain(d.iter_mut())
        {
            array.resize(length, T::zero());
        }
        for (start, &t) in start.chunks_exact_mut(u.len()).zip(nodes) {
            start.iter_mut().zip(u).for_each(|(start, &u)| *start = u + shared * t);
        }
        for (sums, wanted) in [(&mut *values, true), (&mut *slopes, with_slopes)] {
            sums.resize(if wanted { monomials.len() } else { 0 }, Vec::new());
            for sum in sums {
                sum.clear();
                sum.resize(length, T::zero());
            }
        }
        let highest = monomials.iter().fold([1, 1], |[value, slope], m| {
            // A derivative has one σ' more.
            [value.max(m.value), slope.max(m.slope + usize::from(with_slopes))]
        });
        if let NoiseRule::Kinked { at, reach } = noise.rule {
            for below in [true, false] {
                for (&xi, &weight) in noise.nodes.iter().zip(&noise.weights) {
                    let panel = Panel { at: T::lit(at), reach: T::lit(reach), below, xi, weight };
                    for n in 0..length {
                        let (x, count) = panel.node(start[n], own);
                        (field[n], weights[n], by_parts[n]) = (start[n] + own * x, count, count * x / own);
                    }
                    sigma.evaluate(field, &mut y[0], &mut d[0]);
                    dispatch(
                        #[inline(always)]
                        || {
                            powers(y, highest[0]);
                            powers(d, highest[1]);
                            for (n, &Monomial { value, slope }) in monomials.iter().enumerate() {
                                let (y, d) = (factor(y, value), factor(d, slope));
                                add(T::one(), y, d, Some(weights), &mut values[n]);
                                if with_slopes {
                                    // By Stein's lemma: σ' need not have a derivative.
                                    add(T::one(), y, d, Some(by_parts), &mut slopes[n]);
                                }
                            }
                        },
                    );
                }
            }
            reflect(mirror, (u.len(), all), monomials, [values, slopes]);
            return;
        }
        let mut curvature = with_slopes.then(|| Curvature::new(length));
        for (&x, &weight) in noise.nodes.iter().zip(&noise.weights) {
            let shift = own * x;
            field.iter_mut().zip(&*start).for_each(|(h, &start)| *h = start + shift);
            sigma.evaluate(field, &mut y[0], &mut d[0]);
            if let Some(curvature) = &mut curvature {
                curvature.evaluate(sigma, field, &y[0], &d[0], seconds);
            }
            dispatch(
                #[inline(always)]
                || {
                    powers(y, highest[0]);
                    powers(d, highest[1]);
                    for (n, &Monomial { value, slope }) in monomials.iter().enumerate() {
                        add(weight, factor(y, value), factor(d, slope), None, &mut values[n]);
                        if with_slopes {
                            if value > 0 {
                                let weight = weight * T::of_usize(value);
                                add(weight, factor(y, value - 1), factor(d, slope + 1), None, &mut slopes[n]);
                            }
                            if slope > 0 {
                                let weight = weight * T::of_usize(slope);
                                add(weight, factor(y, value), factor(d, slope - 1), Some(seconds), &mut slopes[n]);
                            }
                        }
                    }
                },
            );
        }
        reflect(mirror, (u.len(), all), monomials, [values, slopes]);
    }
}

/// Fills in what mirror images are, of tables that have half of the shared nodes: rows of that length, so many numbers in all.
fn reflect<T: Scalar>(
    mirror: Option<Mirror>,
    (row, all): (usize, usize),
    monomials: &[Monomial],
    tables: [&mut Vec<Vec<T>>; 2],
) {
    let Some(Mirror { odd, count }) = mirror else { return };
    for (by, sums) in tables.into_iter().enumerate() {
        for (sum, &Monomial { value, slope }) in sums.iter_mut().zip(monomials) {
            // A derivative is odd where the function is even.
            let changes = (if odd { value } else { slope } + by) % 2 == 1;
            let known = sum.len();
            sum.resize(all, T::zero());
            let (known, rest) = sum.split_at_mut(known);
            let known = known.chunks_exact(row).take(rest.len() / row);
            for (image, known) in rest.rchunks_exact_mut(row).zip(known) {
                for (image, &x) in image[..count].iter_mut().zip(known[..count].iter().rev()) {
                    *image = if changes { -x } else { x };
                }
            }
        }
    }
}

/// A node on one side of a kink.
struct Panel<T> {
    at: T,
    reach: T,
    below: bool,
    xi: T,
    weight: T,
}

impl<T: Scalar> Panel<T> {
    /// x, and what it counts, for a field that without this noise is `start` and with it start + own·x.
    #[inline(always)]
    fn node(&self, start: T, own: T) -> (T, T) {
        let kink = ((self.at - start) / own).max(-self.reach).min(self.reach);
        let (low, high) = if self.below { (-self.reach, kink) } else { (kink, self.reach) };
        let half = T::lit(0.5);
        let x = half * (low + high + (high - low) * self.xi);
        let density = T::lit(0.398_942_280_401_432_7) * (-half * x * x).exp();
        (x, half * (high - low) * self.weight * density)
    }
}

/// All powers from the first.
#[inline(always)]
fn powers<T: Scalar>(powers: &mut [Vec<T>; POWERS], highest: usize) {
    for n in 1..highest.min(POWERS) {
        let (known, next) = powers.split_at_mut(n);
        for ((out, &a), &b) in next[0].iter_mut().zip(&known[0]).zip(&known[n - 1]) {
            *out = a * b;
        }
    }
}

/// A power, none for the first.
fn factor<T>(powers: &[Vec<T>; POWERS], n: usize) -> Option<&[T]> {
    n.checked_sub(1).map(|n| powers[n].as_slice())
}

/// Adds weight·a·b·c.
#[inline(always)]
fn add<T: Scalar>(weight: T, a: Option<&[T]>, b: Option<&[T]>, c: Option<&[T]>, out: &mut [T]) {
    let mut factors = [a, b, c].into_iter().flatten();
    match (factors.next(), factors.next(), factors.next()) {
        (None, ..) => out.iter_mut().for_each(|x| *x += weight),
        (Some(a), None, _) => out.iter_mut().zip(a).for_each(|(x, &a)| *x += weight * a),
        (Some(a), Some(b), None) => out.iter_mut().zip(a).zip(b).for_each(|((x, &a), &b)| *x += weight * a * b),
        (Some(a), Some(b), Some(c)) => {
            out.iter_mut().zip(a).zip(b).zip(c).for_each(|(((x, &a), &b), &c)| *x += weight * a * b * c);
        }
    }
}
