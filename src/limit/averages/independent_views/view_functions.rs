//! Functions of two fields of one view, averaged over its noise: at every pair of values of u on the lattice.
//!
//! The noise of the two fields is a part that they share and parts of their own, so that a product of functions of one field each is a
//! sum over nodes of the shared part. Not here: functions of one field (see `profile`).

use super::axis::Axis;
use super::pairs::FieldFunctions;
use super::profile::{Mirror, Monomial, NoiseNodes, Profile, beside};
use crate::Scalar;
use crate::limit::averages::view::Function;
use crate::model::Nonlinearity;
use crate::numerics::lanes::dispatch;
use crate::numerics::products::multiply;

/// Nodes are chosen for parts of the noise of at least so much of it, as standard deviations.
const LEAST_PART: f64 = 0.15;

/// Which functions of which fields a product is made of.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// A function of one field.
    One(usize, usize),
    /// A function of each.
    Two(usize, usize),
}

/// The functions of two neurons' fields.
#[derive(Debug, Clone)]
pub(super) struct ViewFunctions<T> {
    pub(super) view: usize,
    pub(super) neurons: [usize; 2],
    functions: Vec<Function>,
    places: Vec<Place>,
    shared: NoiseNodes<T>,
    profiles: [Profile<T>; 2],
    /// Function by function: a row of values of the second neuron, padded, for each of the first.
    pub(super) values: Vec<Vec<T>>,
    /// Their derivatives by each of the fields, of the last update that asked for them. Empty where there is none.
    pub(super) slopes: Vec<[Vec<T>; 2]>,
    by_row: Vec<T>,
}

/// Standard deviations of the noise that two fields of a view share, with a sign for the second, and of their own.
#[derive(Debug, Clone, Copy)]
pub(super) struct NoiseParts<T> {
    pub(super) shared: [T; 2],
    pub(super) own: [T; 2],
}

/// How waves of a field fall that its noise has left: by the distance of σ's poles, and over the lattice of u.
#[derive(Debug, Clone, Copy)]
pub(super) struct FieldWaves {
    pub(super) pole: f64,
    /// Where σ has a kink.
    pub(super) kink: Option<f64>,
    /// Of the noise in common, which a wave of u has, or one of the other view that makes up for it.
    pub(super) variance: f64,
    /// 2π over the step of the lattice.
    pub(super) top: f64,
}

impl FieldWaves {
    /// Nodes for noise of that standard deviation.
    pub(super) fn nodes<T: Scalar>(&self, deviation: f64, accuracy: f64) -> Option<NoiseNodes<T>> {
        match self.kink {
            Some(at) => Some(NoiseNodes::kinked(at, deviation, accuracy)),
            None => NoiseNodes::new(deviation, accuracy, &|kappa| self.falls(kappa / deviation)),
        }
    }

    pub(super) fn falls(&self, k: f64) -> f64 {
        self.pole * k + 0.5 * self.variance * beside(k, self.top).powi(2)
    }
}

impl<T: Scalar> NoiseParts<T> {
    /// Of noise of that covariance, [a, c, c, b].
    pub(super) fn new([a, c, b]: [T; 3]) -> Self {
        let spreads = [a, b].map(|x| x.max(T::zero()).sqrt());
        let product = spreads[0] * spreads[1];
        let correlation = if product > T::zero() { (c / product).max(-T::one()).min(T::one()) } else { T::zero() };
        let (shared, own) = (correlation.abs().sqrt(), (T::one() - correlation.abs()).sqrt());
        let sign = if correlation < T::zero() { -T::one() } else { T::one() };
        Self { shared: [spreads[0] * shared, sign * spreads[1] * shared], own: spreads.map(|s| s * own) }
    }

    /// Where a part is small beside the other it may grow a good deal before other nodes are needed. Across a kink there must be noise of a
    /// field's own.
    fn with_room(&self, kinked: bool) -> Self {
        let least =
            |f: usize| T::lit(LEAST_PART) * (self.shared[f] * self.shared[f] + self.own[f] * self.own[f]).sqrt();
        Self {
            shared: [0, 1].map(|f| self.shared[f].abs().max(least(f))),
            own: [0, 1].map(|f| if kinked { self.own[f] } else { self.own[f].max(least(f)) }),
        }
    }

    fn largest_shared(&self) -> f64 {
        self.shared[0].abs().max(self.shared[1].abs()).as_f64()
    }
}

impl<T: Scalar> ViewFunctions<T> {
    /// None yet, for noise of those parts, where waves of the two fields fall so.
    pub(super) fn new(
        (view, neurons): (usize, [usize; 2]),
        parts: &NoiseParts<T>,
        waves: [&FieldWaves; 2],
        accuracy: f64,
    ) -> Option<Self> {
        let parts = parts.with_room(waves[0].kink.is_some());
        let own = parts.own.map(Scalar::as_f64);
        let of_own = |f: usize| waves[f].nodes(own[f], accuracy);
        let profiles = [Profile::<T>::new(of_own(0)?), Profile::new(of_own(1)?)];
        let deviation = parts.largest_shared();
        let share = parts.shared.map(|x| x.as_f64().abs() / deviation);
        // A wave of the shared noise is of one field or of both.
        let split = |kappa: f64, of_first: f64| -> f64 {
            let parts = [of_first, 1.0 - of_first].into_iter().enumerate();
            parts
                .filter(|(_, part)| *part > 0.0)
                .map(|(f, part)| {
                    let k = part * kappa / (share[f] * deviation);
                    waves[f].pole * k + profiles[f].own.falls(k * own[f])
                })
                .sum()
        };
        let falls =
            |kappa: f64| [0.0, 0.5, 1.0].into_iter().map(|part| split(kappa, part)).fold(f64::INFINITY, f64::min);
        let shared = NoiseNodes::new(deviation, accuracy, &falls)?;
        Some(Self {
            view,
            neurons,
            functions: Vec::new(),
            places: Vec::new(),
            shared,
            profiles,
            values: Vec::new(),
            slopes: Vec::new(),
            by_row: Vec::new(),
        })
    }

    /// Whether the nodes serve for noise of those parts.
    pub(super) fn serves(&self, parts: &NoiseParts<T>) -> bool {
        let own = self.profiles.iter().zip(parts.own);
        self.shared.serves(parts.largest_shared()) && own.into_iter().all(|(p, own)| p.own.serves(own.as_f64()))
    }

    /// The number of a function, which is added if it is new; of one field alone to those of that.
    pub(super) fn function(&mut self, mut function: Function, fields: &mut [FieldFunctions<T>]) -> usize {
        function.sort_unstable();
        self.functions.iter().position(|known| *known == function).unwrap_or_else(|| {
            let [(first, f), (second, g)] = function;
            let [first, second] = [first, second].map(|elementary| Monomial::of(elementary.powers()));
            let profiles = &mut self.profiles;
            self.places.push(if f == g {
                Place::One(f, fields[self.neurons[f]].profile.monomial(first.times(second)))
            } else {
                let [own, other] = if f == 0 { [first, second] } else { [second, first] };
                Place::Two(profiles[0].monomial(own), profiles[1].monomial(other))
            });
            self.functions.push(function);
            self.functions.len() - 1
        })
    }

    /// The number of nodes of the noise that both fields share.
    pub(super) fn shared_nodes(&self) -> usize {
        self.shared.nodes.len()
    }

    /// The number of functions.
    pub(super) fn count(&self) -> usize {
        self.functions.len()
    }

    /// Evaluations of the nonlinearity at so many values of each neuron.
    pub(super) fn evaluations(&self, values: [usize; 2]) -> usize {
        let each = values.iter().zip(&self.profiles).map(|(n, profile)| n * profile.own.count());
        self.shared.nodes.len() * each.sum::<usize>()
    }

    /// Goes over to other noise, on those axes, with u at those values; `odd`: for values that are mirror images, whether σ is odd.
    pub(super) fn update(
        &mut self,
        parts: &NoiseParts<T>,
        (axes, values): ([&Axis<T>; 2], [&[T]; 2]),
        fields: [&Profile<T>; 2],
        (sigma, odd): (&dyn Nonlinearity<T>, Option<bool>),
        with_slopes: bool,
    ) {
        let nodes = &self.shared.nodes;
        for (f, profile) in self.profiles.iter_mut().enumerate() {
            let mirror = odd.map(|odd| Mirror { odd, count: axes[f].count });
            profile.update(values[f], (parts.shared[f], nodes), parts.own[f], (sigma, mirror), with_slopes);
        }
        let shape = Shape { rows: axes[0].count, first: values[0].len(), width: values[1].len() };
        let Self { places, shared, profiles: [first, second], values, slopes, by_row, .. } = self;
        let weights = &shared.weights;
        let [alone, other] = fields;
        values.resize_with(places.len(), Vec::new);
        for (out, place) in values.iter_mut().zip(&*places) {
            match *place {
                Place::One(0, n) => shape.along_first(&alone.values[n], out),
                Place::One(_, n) => shape.along_second(&other.values[n], out),
                Place::Two(n, k) => shape.product(&first.values[n], &second.values[k], weights, by_row, out),
            }
        }
        slopes.resize_with(if with_slopes { places.len() } else { 0 }, || [Vec::new(), Vec::new()]);
        for ([by_first, by_second], place) in slopes.iter_mut().zip(&*places) {
            match *place {
                Place::One(0, n) => shape.along_first(&alone.slopes[n], by_first),
                Place::One(_, n) => shape.along_second(&other.slopes[n], by_second),
                Place::Two(n, k) => {
                    shape.product(&first.slopes[n], &second.values[k], weights, by_row, by_first);
                    shape.product(&first.values[n], &second.slopes[k], weights, by_row, by_second);
                }
            }
        }
    }
}

/// A table over values of two neurons: rows, and what one function of the first is padded to, and what a row is.
#[derive(Clone, Copy)]
struct Shape {
    rows: usize,
    first: usize,
    width: usize,
}

impl Shape {
    fn product<T: Scalar>(self, f: &[T], g: &[T], weights: &[T], by_row: &mut Vec<T>, out: &mut Vec<T>) {
        let nodes = weights.len();
        by_row.resize(self.rows * nodes, T::zero());
        for (t, (values, &weight)) in f.chunks_exact(self.first).zip(weights).enumerate() {
            for (row, &x) in values[..self.rows].iter().enumerate() {
                by_row[row * nodes + t] = weight * x;
            }
        }
        out.resize(self.rows * self.width, T::zero());
        dispatch(
            #[inline(always)]
            || multiply(by_row, nodes, g, nodes, self.width, out),
        );
    }

    fn along_first<T: Scalar>(self, f: &[T], out: &mut Vec<T>) {
        out.resize(self.rows * self.width, T::zero());
        out.chunks_exact_mut(self.width).zip(f).for_each(|(row, &x)| row.fill(x));
    }

    fn along_second<T: Scalar>(self, g: &[T], out: &mut Vec<T>) {
        out.resize(self.rows * self.width, T::zero());
        out.chunks_exact_mut(self.width).for_each(|row| row.copy_from_slice(g));
    }
}
