//! Escape from the uninformative state: how long runs at dimension N take, and what they learn (theory §7).
//!
//! At Q = 0 small overlaps follow a linear flow with noise. Where it grows, every run follows in the end a solution without noise from a
//! random start of size N^(−1/2): that of the start itself, and of all noise pulled back to it. So the law of escape times is that of the
//! reduced ODE from Gaussian starts. Its logarithm in N is known: T ≈ (1/2μ) ln(N q²/(v z²)) + the rest of the way.

use nalgebra::{DMatrix, DVector};

use crate::Scalar;
use crate::fluctuation::noise::projected;
use crate::fluctuation::{FluctuationError, Fluctuations, StartCovariance};
use crate::integrate::{DormandPrince, Output};
use crate::limit::Compiled;
use crate::numerics::bracket::root;
use crate::numerics::linear::pseudo_inverse;
use crate::numerics::lyapunov::stationary_covariance;
use crate::numerics::matrix::square_root;
use crate::numerics::normal::normal_quantile;
use crate::numerics::sobol::uniform;
use crate::stability::eigenvalues;
use crate::state::{Direction, OrderParameters, StopReason};

/// Runs that leave Q = 0; made by [`Fluctuations::escape`]. Theory §7.
#[derive(Debug, Clone)]
pub struct Escape<'f, 'o, 'a, T: Scalar = f64> {
    fluctuations: &'f Fluctuations<'o, 'a, T>,
    start: OrderParameters<T>,
    covariance: DMatrix<T>,
    root: DMatrix<T>,
    rate: T,
    modes: usize,
}

/// How long runs at dimension N take where one overlap grows: the law of a time that is a falling function of the size of a normal number.
///
/// Times are those of the limit from a start z √(v/N), known at 40 sizes |z| and by interpolation between them. Made by [`Escape::times`];
/// theory §7.
#[derive(Debug, Clone, PartialEq)]
pub struct EscapeTimes<T: Scalar = f64> {
    rate: T,
    dimension: usize,
    /// ln |z| from −7 to 2, Chebyshev points, and T + ln|z|/μ there.
    nodes: Vec<f64>,
    rests: Vec<f64>,
}

/// One start of many, and where it leads.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Escaped<T: Scalar = f64> {
    /// When the event happens; infinite if it does not by the time limit.
    pub time: T,
    /// The state there.
    pub state: OrderParameters<T>,
    /// Feature and neuron of the largest cosine similarity, both counted from 0, and its sign, 1 or −1.
    pub learned: (usize, usize, i8),
}

/// Until R rests the flow is followed in at most so many pieces, each of about that many e-foldings of the fastest motion.
const PIECES: usize = 400;
const PIECE: f64 = 2.0;

/// By how much R may still move in a piece, relative to what it is.
const SETTLED: f64 = 1e-7;

/// Sizes |z| from exp(−7) to exp(2), beyond which there is 1e-13 of the law, and points between them.
const SIZES: (f64, f64) = (-7.0, 2.0);
const POINTS: usize = 40;

impl<'o, 'a, T: Compiled> Fluctuations<'o, 'a, T> {
    /// How runs leave Q = 0 from independent Gaussian weights of covariance `r`, m x m.
    ///
    /// ```
    /// use contrastive_dynamics::fluctuation::Fluctuations;
    /// use contrastive_dynamics::nalgebra::DMatrix;
    /// use contrastive_dynamics::prelude::*;
    /// let model = Model::builder()
    ///     .nonlinearity(Tanh)
    ///     .hidden(Independent::new([Law::two_point(2.25)?])?)
    ///     .noise(GaussianNoise::correlated(0.3, -0.5)?)
    ///     .learning_rate(0.3)
    ///     .weight_decay(0.5)
    ///     .build()?;
    /// let ode = ReducedOde::new(&model)?;
    /// let fluctuations = Fluctuations::new(&ode);
    /// let escape = fluctuations.escape(&DMatrix::identity(1, 1))?;
    /// let times = |n: usize| escape.times(n, 1e3, |state| state.cosine_similarity(0, 0).unwrap_or(0.0).abs() - 0.5);
    /// // A hundredfold dimension takes ln 100/(2 μ) longer.
    /// let later = times(1_000_000)?.mean() - times(10_000)?.mean();
    /// assert!((later - 100_f64.ln() / (2.0 * escape.rate())).abs() < 1e-2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`FluctuationError::NoEscape`] if no small overlap grows, or R does not come to rest; [`FluctuationError::NotCentred`] if a hidden
    /// variable has a mean that is learned at once;
    /// [`FluctuationError::Start`] for an R that is no covariance or does not satisfy the constraint; then as
    /// [`FluctuationSolver::solve`](crate::fluctuation::FluctuationSolver::solve).
    pub fn escape(&self, r: &DMatrix<T>) -> Result<Escape<'_, 'o, 'a, T>, FluctuationError<T>> {
        let (p, m) = (self.ode.limit().n_features(), self.ode.limit().n_neurons());
        let start = OrderParameters::new(DMatrix::zeros(p, m), r.clone())?;
        let overlaps = p * m;
        let block = |x: &DMatrix<T>| x.view((0, 0), (overlaps, overlaps)).into_owned();
        let tolerance = T::lit(SETTLED).max(T::lit(256.0) * T::EPSILON);
        let mut state = start.clone();
        // ∂Q(t)/∂Q(0) and N Cov Q(t) of the linear flow, until R rests.
        let mut propagator = DMatrix::<T>::identity(overlaps, overlaps);
        let mut covariance = block(&self.projected_start(&start)?);
        let mut settled = false;
        for _ in 0..PIECES {
            let jacobian = self.ode.sensitivities(&state, &[])?.by_state;
            let size = jacobian.amax();
            if !(size > T::zero()) {
                return Err(FluctuationError::NoEscape);
            }
            let piece = T::lit(PIECE) / size;
            let solver = self.solver().integrator(DormandPrince::default());
            let path = solver.output(Output::Times(vec![T::zero(), piece])).solve(&state, piece)?;
            let (Some(link), Some(end)) = (path.links.last(), path.trajectory.states.last()) else { break };
            let through = block(&link.propagator);
            covariance = projected(&through, &covariance) + block(&link.noise);
            propagator = through * propagator;
            if !(end.q().amax() <= tolerance.max(T::EPSILON.sqrt())) {
                return Err(FluctuationError::NotCentred);
            }
            settled = (end.r() - state.r()).amax() <= tolerance * end.r().amax();
            // Without what rounding has made of Q = 0.
            state = OrderParameters::from_parts(DMatrix::zeros(p, m), end.r().clone());
            if settled {
                break;
            }
        }
        let jacobian = block(&self.ode.sensitivities(&state, &[])?.by_state);
        let Some(modes) = growing_modes(&jacobian).filter(|_| settled) else { return Err(FluctuationError::NoEscape) };
        // From there on J is constant, and so is Γ: what is still to come, as it is now, is the stationary covariance of the flow backwards.
        let project = &modes.projection;
        let identity = DMatrix::identity(overlaps, overlaps);
        let backwards = -(project * &jacobian * project) - (identity - project) * jacobian.amax();
        let noise = projected(project, &block(&self.noise(&state)?.covariance));
        let tail = stationary_covariance(&backwards, &noise).ok_or(FluctuationError::NoEscape)?;
        let back = pseudo_inverse(&(project * propagator)).ok_or(FluctuationError::NoEscape)?;
        let covariance = projected(&back, &(projected(project, &covariance) + tail));
        let rounding = T::lit(64.0) * tolerance * covariance.amax();
        let root = square_root(&covariance, rounding).map_err(|_| FluctuationError::NoEscape)?;
        Ok(Escape { fluctuations: self, start, covariance, root, rate: modes.rate, modes: modes.count })
    }

    /// The covariance of uninformative starts, projected by the constraint.
    fn projected_start(&self, start: &OrderParameters<T>) -> Result<DMatrix<T>, FluctuationError<T>> {
        let projection = self.projection(start);
        Ok(projected(&projection, &StartCovariance::Uninformative.at(start)?))
    }
}

/// What grows under a linear flow.
struct Modes<T: Scalar> {
    /// The largest rate of growth.
    rate: T,
    count: usize,
    /// Onto what grows, along what does not.
    projection: DMatrix<T>,
}

/// Rates below that part of the largest are none.
const NO_RATE: f64 = 1e-9;

/// Newton's iteration for the sign of a matrix doubles the digits, and takes a step for each factor of two between rates before.
const SIGN_ITERATIONS: usize = 60;

/// The modes that grow; `None` if there are none, or they are not found.
fn growing_modes<T: Scalar>(jacobian: &DMatrix<T>) -> Option<Modes<T>> {
    let n = jacobian.nrows();
    let scale = jacobian.amax();
    if !(scale > T::zero()) {
        return None;
    }
    let least = T::lit(NO_RATE).max(T::lit(64.0) * T::EPSILON);
    let scaled = jacobian / scale;
    let values = eigenvalues(&scaled).ok()?;
    let growing = values.iter().filter(|value| value.re > least);
    let (count, rate) = growing.fold((0, T::zero()), |(count, rate), value| (count + 1, rate.max(value.re)));
    if count == 0 {
        return None;
    }
    // (1 + sign(J − least))/2.
    let mut sign = scaled - DMatrix::identity(n, n) * least;
    for _ in 0..SIGN_ITERATIONS {
        let next = (&sign + sign.clone().try_inverse()?) * T::lit(0.5);
        let change = (&next - &sign).amax();
        sign = next;
        if change <= T::lit(256.0) * T::EPSILON * sign.amax() {
            break;
        }
    }
    let projection = (DMatrix::identity(n, n) + sign) * T::lit(0.5);
    // Its trace is their number.
    let found = (projection.trace() - T::of_usize(count)).abs() < T::lit(1e-2);
    found.then_some(Modes { rate: rate * scale, count, projection })
}

impl<T: Compiled> Escape<'_, '_, '_, T> {
    /// μ, the largest rate at which small overlaps grow in the end.
    #[must_use]
    pub fn rate(&self) -> T {
        self.rate
    }

    /// How many modes of small overlaps grow.
    #[must_use]
    pub fn growing_modes(&self) -> usize {
        self.modes
    }

    /// v: N times the covariance of the overlaps (row by row, pm x pm) from which solutions without noise do what runs do in the end: that
    /// of the start and of all noise pulled back to it, for R at rest v = R + Γ/(2μ). Of modes that do not grow it is zero.
    #[must_use]
    pub fn start_covariance(&self) -> &DMatrix<T> {
        &self.covariance
    }

    /// The law of the time at which `event` changes from negative to positive, for one growing mode. Both signs of the overlap must have
    /// the same law: the model is symmetric, and so must the event be, a function that is even in Q.
    ///
    /// # Errors
    /// [`FluctuationError::ManyModes`] if several modes grow, and [`FluctuationError::NotSymmetric`] for a model that is not: see
    /// [`sample`](Self::sample). [`FluctuationError::NoEvent`] if the event does
    /// not happen by `time_limit`, [`FluctuationError::FewDimensions`] if N is so small that it has happened at the start already, or the
    /// starts are not small; then those of the solution.
    pub fn times(
        &self,
        dimension: usize,
        time_limit: T,
        event: impl Fn(&OrderParameters<T>) -> T,
    ) -> Result<EscapeTimes<T>, FluctuationError<T>> {
        if dimension == 0 {
            return Err(FluctuationError::Dimension { dimension });
        }
        if self.modes != 1 {
            return Err(FluctuationError::ManyModes { modes: self.modes });
        }
        if !self.fluctuations.ode.limit().is_mirrored() {
            return Err(FluctuationError::NotSymmetric);
        }
        // The one direction.
        let column = (0..self.root.ncols()).max_by(|&i, &j| {
            let (x, y) = (self.root[(i, i)], self.root[(j, j)]);
            x.partial_cmp(&y).unwrap_or(std::cmp::Ordering::Equal)
        });
        let direction = self.root.column(column.unwrap_or(0)).normalize();
        let scale = (direction.dot(&(&self.covariance * &direction))).sqrt();
        let (mut nodes, mut rests) = (Vec::new(), Vec::new());
        for k in 0..POINTS {
            let x = (std::f64::consts::PI * (k as f64 + 0.5) / POINTS as f64).cos();
            let node = 0.5 * (SIZES.0 + SIZES.1) + 0.5 * (SIZES.1 - SIZES.0) * x;
            let overlaps = &direction * (scale * T::lit(node.exp()) / T::of_usize(dimension).sqrt());
            let (time, _) = self.follow(dimension, &overlaps, time_limit, &event)?;
            if !time.is_finite() {
                return Err(FluctuationError::NoEvent { time: time_limit.as_f64() });
            }
            nodes.push(node);
            rests.push(time.as_f64() + node / self.rate.as_f64());
        }
        Ok(EscapeTimes { rate: self.rate, dimension, nodes, rests })
    }

    /// Follows `samples` starts, Sobol points of their Gaussian law, until `event` changes from negative to positive: with their times
    /// and what is learned there, any number of growing modes. In the order of the points, which are equally likely.
    ///
    /// # Errors
    /// [`FluctuationError::Sample`] with the samples before the one that failed, and why. Events that do not happen by `time_limit` are
    /// infinitely late, and no error.
    pub fn sample(
        &self,
        dimension: usize,
        samples: usize,
        time_limit: T,
        event: impl Fn(&OrderParameters<T>) -> T,
    ) -> Result<Vec<Escaped<T>>, FluctuationError<T>> {
        if dimension == 0 {
            return Err(FluctuationError::Dimension { dimension });
        }
        let n = self.root.nrows();
        let follow = |index: usize| -> Result<Escaped<T>, FluctuationError<T>> {
            let z = DVector::from_fn(n, |k, _| T::lit(normal_quantile(uniform(index, k, 1))));
            let overlaps = &self.root * z / T::of_usize(dimension).sqrt();
            let (time, state) = self.follow(dimension, &overlaps, time_limit, &event)?;
            let learned = largest_cosine(&state);
            Ok(Escaped { time, state, learned })
        };
        let mut done = Vec::new();
        for index in 0..samples {
            match follow(index) {
                Ok(escaped) => done.push(escaped),
                Err(source) => return Err(FluctuationError::Sample { source: Box::new(source), done }),
            }
        }
        Ok(done)
    }

    /// When the event happens from those overlaps, and the state there.
    fn follow(
        &self,
        dimension: usize,
        overlaps: &DVector<T>,
        time_limit: T,
        event: &impl Fn(&OrderParameters<T>) -> T,
    ) -> Result<(T, OrderParameters<T>), FluctuationError<T>> {
        let (p, m) = (self.start.n_features(), self.start.n_neurons());
        let q = DMatrix::from_fn(p, m, |l, i| overlaps[l * m + i]);
        let few = FluctuationError::FewDimensions { dimension };
        let Ok(start) = OrderParameters::new(q, self.start.r().clone()) else { return Err(few) };
        if !(event(&start) < T::zero()) {
            return Err(few);
        }
        // Overlaps may be far smaller than what solutions are accurate to by default.
        let (relative, absolute) = (T::lit(1e-9).max(T::lit(8.0) * T::EPSILON), overlaps.amax());
        let integrator = DormandPrince::new(relative, relative * absolute).unwrap_or_default();
        let solver =
            self.fluctuations.ode.solver().integrator(integrator).event(Direction::AtOrAbove, |_, state| event(state));
        let trajectory =
            solver.solve(&start, time_limit).map_err(|error| FluctuationError::Solution(Box::new(error)))?;
        let state = trajectory.last().map_or(start, |(_, state)| state.clone());
        let happened = matches!(trajectory.stop_reason(), StopReason::Event { .. });
        let never = T::lit(f64::INFINITY);
        Ok((if happened { trajectory.last().map_or(never, |(time, _)| time) } else { never }, state))
    }
}

/// Feature and neuron of the largest cosine similarity, and its sign.
fn largest_cosine<T: Scalar>(state: &OrderParameters<T>) -> (usize, usize, i8) {
    let pairs = (0..state.n_features()).flat_map(|l| (0..state.n_neurons()).map(move |i| (l, i)));
    let cosines = pairs.map(|(l, i)| (l, i, state.cosine_similarity(l, i).unwrap_or(T::zero())));
    let largest = cosines.fold((0, 0, T::zero()), |best, next| if next.2.abs() > best.2.abs() { next } else { best });
    (largest.0, largest.1, if largest.2 < T::zero() { -1 } else { 1 })
}

impl<T: Scalar> EscapeTimes<T> {
    /// The dimension N.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// T at |z|.
    fn at(&self, log_size: f64) -> f64 {
        let x = log_size.clamp(SIZES.0, SIZES.1);
        // Barycentric interpolation at Chebyshev points; smaller sizes are still linear when these have grown.
        let (mut above, mut below) = (0.0, 0.0);
        for (k, (&node, &rest)) in self.nodes.iter().zip(&self.rests).enumerate() {
            if x == node {
                return rest - log_size / self.rate.as_f64();
            }
            let angle = std::f64::consts::PI * (k as f64 + 0.5) / POINTS as f64;
            let weight = if k % 2 == 0 { angle.sin() } else { -angle.sin() } / (x - node);
            above += weight * rest;
            below += weight;
        }
        above / below - log_size / self.rate.as_f64()
    }

    /// Whether no start is large enough to be there by that time: 1e-13 of the law are.
    fn is_before(&self, time: f64) -> bool {
        time <= self.at(SIZES.1)
    }

    /// ln |z| of a time that is not before all.
    fn log_size(&self, time: f64) -> f64 {
        let excess = |x: f64| -> Result<f64, std::convert::Infallible> { Ok(self.at(x) - time) };
        if self.at(SIZES.0) <= time {
            // Linear growth alone.
            return SIZES.0 - self.rate.as_f64() * (time - self.at(SIZES.0));
        }
        let Ok(found) = root((SIZES.0, self.at(SIZES.0) - time), (SIZES.1, self.at(SIZES.1) - time), excess);
        found
    }

    /// The probability that a run has escaped by that time; 0 before the time of |z| = e², beyond which there is 1e-13 of the law, and NaN for
    /// NaN.
    #[must_use]
    pub fn distribution(&self, time: T) -> f64 {
        let time = time.as_f64();
        if time.is_nan() {
            return time;
        }
        if self.is_before(time) {
            return 0.0;
        }
        let size = self.log_size(time).exp();
        libm::erfc(size * std::f64::consts::FRAC_1_SQRT_2)
    }

    /// The probability density of the time, whose integral is [`distribution`](Self::distribution).
    #[must_use]
    pub fn density(&self, time: T) -> f64 {
        let time = time.as_f64();
        if time.is_nan() {
            return time;
        }
        if self.is_before(time) || time == f64::INFINITY {
            return 0.0;
        }
        let x = self.log_size(time);
        let step = 1e-3;
        let slope = (self.at(x + step) - self.at(x - step)) / (2.0 * step);
        let size = x.exp();
        // P(T > t) = P(|z| < size), and dz/dt = size/slope.
        (2.0 / std::f64::consts::PI).sqrt() * (-0.5 * size * size).exp() * size / slope.abs()
    }

    /// The time by which a run has escaped with that probability; NaN unless it is between 0 and 1.
    #[must_use]
    pub fn quantile(&self, probability: f64) -> T {
        if !(probability > 0.0 && probability < 1.0) {
            return T::lit(f64::NAN);
        }
        let size = -normal_quantile(0.5 * probability);
        T::lit(self.at(size.ln()))
    }

    /// The mean time: E[ln |z|] = −(γ + ln 2)/2 with Euler's γ, and the rest by quadrature.
    #[must_use]
    pub fn mean(&self) -> T {
        let mean_log = -0.5 * (EULER + std::f64::consts::LN_2);
        // E[f(|z|)] over x = ln |z|, by the trapezoidal rule: the density falls off at both ends.
        let step = 0.05;
        let (mut sum, mut total) = (0.0, 0.0);
        for k in 0..=720 {
            let x = -30.0 + step * f64::from(k);
            let size = x.exp();
            let density = (-0.5 * size * size).exp() * size;
            sum += density * (self.at(x) + x / self.rate.as_f64());
            total += density;
        }
        T::lit(sum / total - mean_log / self.rate.as_f64())
    }
}

/// Euler's constant γ.
const EULER: f64 = 0.577_215_664_901_532_9;
